"""Columns of a satellite against those of a ground network."""
