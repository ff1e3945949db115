"""A footprint in memory, and the files it goes to."""
