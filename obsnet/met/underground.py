"""Pressure levels that lie below the ground: some centres leave them empty, others fill them; here they are filled.

What stands there is never used as air. But fields are interpolated sideways before levels below ground are left out,
and an empty node would empty its neighbours.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from obsnet.constants import GRAVITY, R_DRY_AIR
from obsnet.typing import Bools, Singles

__all__ = ["fill_underground"]

_CARRIED = ("u", "v", "omega", "w", "t", "q", "rh")


def fill_underground(raw: dict[str, Singles]) -> dict[str, Singles]:
    """Fill what is missing on pressure levels below ground from the lowest level that is there.

    Parameters
    ----------
    raw : dict
        Fields of one time, surface first; ``p`` of shape (lev,) in Pa.

    Returns
    -------
    dict
        The same; wind, temperature and humidity carried down, heights by the hypsometric equation
        ``dz = (R T / g) ln(p_lowest / p)``. What is missing above ground stays missing.
    """
    p = raw["p"]
    if p.ndim != 1 or "sp" not in raw:
        return raw
    missing = ~np.isfinite(raw["u"])
    below = missing & (p[:, None, None] > raw["sp"])
    if not below.any():
        return raw
    out = dict(raw)
    lowest = np.argmin(missing, axis=0)[None]
    for name in _CARRIED:
        if name in raw:
            out[name] = _where(below, np.take_along_axis(raw[name], lowest, 0), raw[name])
    for name, unit in (("height", 1.0), ("geopotential", GRAVITY)):
        if name in raw:
            at, t = (np.take_along_axis(raw[n], lowest, 0) for n in (name, "t"))
            fall = unit * R_DRY_AIR / GRAVITY * t * np.log(p[lowest] / p[:, None, None])
            out[name] = _where(below, at + fall, raw[name])
    return out


def _where(below: Bools, filled: npt.NDArray, values: Singles) -> Singles:
    return np.asarray(np.where(below & ~np.isfinite(values), filled, values), np.float32)
