"""What may be wrong with the profiles of a row, by number; the first that applies is its code."""

from __future__ import annotations

__all__ = [
    "MISSING",
    "MOST_PRESSURE",
    "NEGATIVE",
    "NOT_MONOTONE",
    "OUTSIDE",
    "PRIOR",
    "REVERSED",
    "SOUND",
    "WEIGHT_SUM",
]

MOST_PRESSURE = 1100.0  # hPa at any ground
SOUND, MISSING, REVERSED, NOT_MONOTONE, WEIGHT_SUM, NEGATIVE, PRIOR, OUTSIDE = range(8)
