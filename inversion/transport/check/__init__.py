"""Honesty tests of the particle model."""
