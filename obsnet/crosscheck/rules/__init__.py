"""By what rule it is judged, on plain numbers: level, minimum, verdict, the statistics beside it, published lines."""
