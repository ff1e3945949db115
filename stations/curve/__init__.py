"""The curve fit of Thoning, Tans & Komhyr (1989), its errors, and fits of many records."""
