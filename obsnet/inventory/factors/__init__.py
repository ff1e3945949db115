"""Emission factors: one row a factor, with source, page and edition, and which one goes before which."""
