"""Truths drawn, observed and inverted."""
