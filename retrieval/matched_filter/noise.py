"""The error of an estimate by the brightness of its pixel, from the scatter of the estimates themselves."""

from __future__ import annotations

import numba
import numpy as np
from scipy.optimize import nnls

from obsnet.typing import Bools, Floats

__all__ = ["brightness_noise"]

_MAD = 1.482602218505602  # of a normal distribution, standard deviation over median absolute deviation
_CUT = 3.0
_KEPT = 0.9733369246625415  # variance of a normal distribution cut at three standard deviations
_ROUNDS = 2


def brightness_noise(amount: Floats, brightness: Floats, usable: Bools, by_brightness: bool) -> Floats:
    """Return the standard deviation of ``amount / brightness``.

    Parameters
    ----------
    amount : ndarray, shape (pixels,)
        Estimates times brightness.
    brightness : ndarray, shape (pixels,)
        1 on average.
    usable : ndarray of bool, shape (pixels,)
        Pixels whose scatter tells.
    by_brightness : bool
        Whether the variance goes with brightness; else it is one for all.

    Returns
    -------
    ndarray, shape (pixels,)

    Notes
    -----
    The variance of `amount` is ``c0 + c1 r + c2 r^2``, none of them negative: noise of the electronics, of photons, and
    clutter that goes with brightness. Pixels beyond three standard deviations have no say, and the rest is raised to
    what a normal distribution would have had.
    """
    e, r = amount[usable], brightness[usable]
    if not e.size:
        return np.full(len(amount), np.nan)
    e = e - _middle(e)
    square = e * e / _KEPT
    # in units of the scatter itself, so that the equations of all columns are alike
    scale = (_MAD * _middle(np.abs(e))) ** 2
    if not scale > 0.0:
        return np.zeros(len(amount))
    square /= scale
    powers = 3 if by_brightness else 1
    shares = np.array([1.0, 0.0, 0.0])[:powers]
    for _ in range(_ROUNDS):
        matrix, vector, kept = _equations(square, r, shares, _CUT**2 / _KEPT)
        if kept <= powers:
            break
        shares, _ = nnls(matrix, vector)
    shares = shares * scale
    if not by_brightness:
        return np.full(len(amount), np.sqrt(shares[0]))
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = np.sqrt(shares[0] + brightness * (shares[1] + brightness * shares[2])) / brightness
        return np.asarray(np.where(brightness > 0.0, sd, np.nan))


@numba.njit(cache=True)
def _equations(square: Floats, r: Floats, shares: Floats, cut: float) -> tuple[Floats, Floats, int]:
    """Return the normal equations of the shares, weighted by the variances that they give, and of how many pixels."""
    p = len(shares)
    sums, vector, kept = np.zeros(2 * p - 1), np.zeros(p), 0
    for i in range(len(square)):
        variance = shares[0]
        if p > 1:
            variance += r[i] * (shares[1] + r[i] * shares[2])
        if square[i] < cut * variance:
            kept += 1
            term = 1.0 / (variance * variance)
            for j in range(2 * p - 1):
                sums[j] += term
                if j < p:
                    vector[j] += term * square[i]
                term *= r[i]
    matrix = np.empty((p, p))
    for i in range(p):
        for j in range(p):
            matrix[i, j] = sums[i + j]
    return matrix, vector, kept


def _middle(values: Floats) -> float:
    half = len(values) // 2
    return float(np.partition(values, half)[half])
