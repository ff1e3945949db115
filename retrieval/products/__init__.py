"""One granule to one observation table: screens, bias corrections."""
