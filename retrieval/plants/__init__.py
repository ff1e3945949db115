"""Plants: satellite rates beside stack monitors and fuel, totals of a year and of provinces, planned ones."""
