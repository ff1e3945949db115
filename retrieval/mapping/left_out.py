"""A map of means judged by its own soundings: each is predicted from the others of its cell and period."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from obsnet.typing import Floats
from retrieval.mapping.crossvalidation import HeldOutScores
from retrieval.mapping.gridding import BinSums, Soundings, cell_numbers

__all__ = ["field_variance", "leave_one_out"]


def field_variance(bins: BinSums, *, r: float = 0.0) -> float:
    """Return the variance of the true field inside cells, pooled over those with two soundings or more.

    Parameters
    ----------
    bins : BinSums
        Filled.
    r : float
        Correlation of the errors of soundings in one cell.

    Returns
    -------
    float
        Unit of the values squared; not negative.

    Notes
    -----
    In a cell ``E sum (y - mean)^2 = (n - 1) field + (1 - r) (1 - 1 / n) sum s^2 + r sum (s - mean s)^2``: what
    the errors explain is taken off, and what all soundings of a cell share alike does not show. Cells count by
    the inverse of their mean ``s^2``: slivers of pixels with huge errors would else hide the field.
    """
    n, first, second, s, s2 = bins.sums[bins.sums[:, 0] > 1.0].T
    if len(n) == 0:
        return 0.0
    squares = np.maximum(second - first**2 / n, 0.0)
    errors = (1.0 - r) * (1.0 - 1.0 / n) * s2 + r * (s2 - s**2 / n)
    weight = n / np.maximum(s2, 1e-30)
    return max(float(np.sum(weight * (squares - errors)) / np.sum(weight * (n - 1.0))), 0.0)


def leave_one_out(bins: BinSums, soundings: Iterable[Soundings], *, r: float = 0.0) -> HeldOutScores:
    """Compare each sounding with the mean of its cell's others.

    Parameters
    ----------
    bins : BinSums
        Sums of all the soundings.
    soundings : iterable of Soundings
        The same once more, in batches.
    r : float
        Correlation of the errors of soundings in one cell.

    Returns
    -------
    HeldOutScores
        ``missing`` counts soundings that are alone in their cell.

    Notes
    -----
    The difference's variance is that of the field (`field_variance`) at a point and in the mean of the others,
    ``field n / (n - 1)``, the others' and the sounding's own measurement errors, less what they share:
    ``u^2 + s^2 - 2 r s mean(s of the others)``. An error that all soundings of a cell have in common cannot be
    seen here, nor how good the map is where it has no soundings.
    """
    field = field_variance(bins, r=r)
    total = np.zeros(12)
    missing = 0
    for batch in soundings:
        cell = cell_numbers(bins, batch)
        inside = cell >= 0
        n, first, _, errors, squares = bins.sums[cell[inside]].T
        missing += int(np.sum(n < 2.0))
        with_others = np.flatnonzero(inside)[n > 1.0]
        others, first, errors, squares = (x[n > 1.0] for x in (n - 1.0, first, errors, squares))
        y = batch.value[with_others].astype(np.float64) - bins.shift
        s = batch.uncertainty[with_others].astype(np.float64)
        x = (first - y) / others
        shared = (errors - s) / others
        own = r * shared**2 + (1.0 - r) * (squares - s * s) / others**2
        variance = field * (1.0 + 1.0 / others) + own + s * s - 2.0 * r * s * shared
        e = x - y
        with np.errstate(divide="ignore", invalid="ignore"):
            z = e / np.sqrt(variance)
        covered = np.where(np.isnan(z), np.nan, np.abs(z) <= 1.96)
        parts = (np.ones(len(e)), e, e * e, np.abs(e), covered, z, z * z, x, y, x * x, y * y, x * y)
        total += [float(np.sum(p)) for p in parts]
    return _scores(total, missing)


def _scores(total: Floats, missing: int) -> HeldOutScores:
    n = total[0]
    if n == 0:
        return HeldOutScores(0, *(float("nan"),) * 6, missing)
    e, e2, size, covered, z, z2, x, y, x2, y2, xy = total[1:] / n
    spread = (x2 - x * x) * (y2 - y * y)
    r2 = float((xy - x * y) ** 2 / spread) if spread > 0 and n > 2 else float("nan")
    sd = float(np.sqrt(max(z2 - z * z, 0.0)))
    return HeldOutScores(int(n), float(e), float(np.sqrt(e2)), float(size), r2, float(covered), sd, missing)
