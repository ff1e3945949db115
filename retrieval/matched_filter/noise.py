"""The error of an estimate by the brightness of its pixel, from the scatter of the estimates themselves."""

from __future__ import annotations

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
    variance = np.full(e.size, (_MAD * _middle(np.abs(e))) ** 2)
    powers = _powers(r, by_brightness)
    shares = np.zeros(len(powers))
    shares[0] = variance[0]
    for _ in range(_ROUNDS):
        keep = square < _CUT**2 / _KEPT * variance
        if keep.sum() <= len(powers) or not variance.min() > 0.0:
            break
        weight = keep / variance**2
        part = powers * weight
        shares, _ = nnls(part @ powers.T, part @ square)
        variance = shares @ powers
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = np.sqrt(shares @ _powers(brightness, by_brightness))
        return np.asarray(np.where(brightness > 0.0, sd / brightness, np.nan)) if by_brightness else sd


def _powers(r: Floats, by_brightness: bool) -> Floats:
    return np.stack([np.ones(r.size), r, r * r]) if by_brightness else np.ones((1, r.size))


def _middle(values: Floats) -> float:
    half = len(values) // 2
    return float(np.partition(values, half)[half])
