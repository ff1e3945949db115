"""Trends of inventories and inversions, with errors that years have in common, and whether they differ."""
