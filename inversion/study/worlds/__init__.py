"""Idealised worlds: networks, orbits, sampling, truths."""
