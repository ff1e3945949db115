"""Rates beside each other: time match, agreement, year totals."""
