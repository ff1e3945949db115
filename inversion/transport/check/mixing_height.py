"""Another model's mixing height in our meteorology, so that a comparison is not one of mixing heights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from obsnet.met import Met
from obsnet.met.boundary_layer import surface_layer
from obsnet.opening import open_xarray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["with_mixing_height"]


def with_mixing_height(met: Met, file: Path, mixing: pd.Series, end: float) -> Met:
    """Return the meteorology with another boundary-layer height, given by age in minutes before `end`."""
    with open_xarray(file) as data:
        ustar, heat = (data[name].to_numpy().astype(np.float32) for name in ("USTR", "SHTF"))
    age = -60.0 * mixing.index.to_numpy(dtype=float)
    order = np.argsort(age)
    depth = np.interp(end - met.times, age[order], mixing.to_numpy(dtype=float)[order])
    surface = np.empty_like(met.surface)
    for n in range(met.times.size):
        flat = np.full(met.terrain.shape, depth[n], np.float32)
        surface_layer(met.height, met.wind[n], met.state[n], flat, ustar[n], heat[n], surface[n])
    return replace(met, surface=surface)
