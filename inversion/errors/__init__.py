"""Sizes and lengths of the assumed errors, judged or estimated from the observations."""
