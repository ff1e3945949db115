"""Idealised transport: footprints of a puff that drifts back with a wind that is the same everywhere.

For studies before any meteorology is at hand: it conserves mass and has the right units and sizes, so that
networks can be compared with each other. It is not for inversions of real data, and its absolute numbers are
not forecasts.

An observation feels a flux F at the place of its puff for the time dt as::

    dC = F dt / N,    N = n h  (moles of air in a mixed layer, station)  or  p / (g M)  (whole column)

The puff is a normal distribution that widens as ``sigma^2 = sigma_0^2 + 2 K t``. Air at a station leaves the mixed
layer backwards with an e-folding time. The wind is a steady one plus a process that forgets (Ornstein-Uhlenbeck),
drawn once for all observations of a study.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import Field
from scipy.special import ndtr

from obsnet.config import Options
from obsnet.constants import GRAVITY, MOLAR_GAS_CONSTANT, MOLAR_MASS_DRY_AIR
from obsnet.errors import ConfigError
from obsnet.grid import Grid
from obsnet.typing import Bools, Floats, Times

__all__ = ["TransportOptions", "Wind", "idealised_footprints"]

_SURFACE = 101325.0  # Pa
_WARMTH = 288.15  # K; both of the standard atmosphere at sea level (ISO 2533)
_KM = 111.195  # a degree of latitude on a sphere of the Earth's mean radius
_SMALL = 1e-6  # of a row's largest entry: left out
_BATCH = 64


class TransportOptions(Options):
    """The idealised air."""

    mixing_height_m: float = Field(
        default=1000.0, gt=0, description="depth of the layer that stations sample"
    )
    residence_days: float = Field(default=3.0, gt=0, description="e-folding time of air in that layer")
    days: float = Field(default=5.0, gt=0, description="how far back observations look")
    step_hours: float = Field(default=3.0, gt=0, description="of the drift")
    eastward: float = Field(default=3.0, description="steady wind, m s-1")
    northward: float = Field(default=0.0, description="steady wind, m s-1")
    gust: float = Field(default=5.0, ge=0, description="standard deviation of each wind component, m s-1")
    memory_hours: float = Field(default=24.0, gt=0, description="e-folding time of the wind")
    diffusivity: float = Field(default=5e4, ge=0, description="horizontal, m2 s-1")
    puff_km: float = Field(default=20.0, gt=0, description="size of the puff at the observation")
    seed: int | None = Field(default=None, ge=0, description="of the wind; by default the world's")


class Wind:
    """One wind for a study, the same everywhere.

    Parameters
    ----------
    options : TransportOptions
        Strength and memory.
    start, stop : datetime64
        First and last observation.
    seed : int
        Same seed, same wind.
    """

    def __init__(
        self, options: TransportOptions, start: np.datetime64, stop: np.datetime64, seed: int = 0
    ) -> None:
        self.options, self.seed = options, seed if options.seed is None else options.seed
        self.step = np.timedelta64(round(options.step_hours * 3600), "s")
        self.start = (start - np.timedelta64(round((options.days + 1) * 86400), "s")).astype("datetime64[s]")
        self.count = int((stop - self.start) / self.step) + 2

    @cached_property
    def components(self) -> Floats:
        """Eastward and northward wind in each step, m s-1, shape (2, steps)."""
        o = self.options
        noise = np.random.default_rng([self.seed, 17]).standard_normal((2, self.count))
        keep = np.exp(-o.step_hours / o.memory_hours)
        out = np.empty_like(noise)
        out[:, 0] = noise[:, 0]
        for i in range(1, self.count):
            out[:, i] = keep * out[:, i - 1] + np.sqrt(1.0 - keep**2) * noise[:, i]
        return o.gust * out + np.array([[o.eastward], [o.northward]])

    def back(self, times: Times) -> tuple[Floats, Times]:
        """Return how far the air has come and when it was there, in the middle of each step back.

        Parameters
        ----------
        times : ndarray of datetime64, shape (n,)
            Of the observations.

        Returns
        -------
        displacement (2, n, steps), times (n, steps)
            East and north, km; where the air was relative to the observation.
        """
        steps = round(self.options.days * 24.0 / self.options.step_hours)
        at = ((times - self.start) / self.step).astype(np.int64)
        number = at[:, None] - np.arange(steps)
        wind = self.components[:, number]
        moved = -np.cumsum(wind, axis=2) + 0.5 * wind  # to the middle of the step
        middle = times[:, None] - (np.arange(steps) * self.step + self.step // 2)
        return moved * self.options.step_hours * 3.6, middle


def idealised_footprints(
    latitude: Floats,
    longitude: Floats,
    times: Times,
    column: Bools,
    *,
    grid: Grid,
    time_edges: Times,
    wind: Wind,
    lifetime_hours: npt.ArrayLike = np.inf,
) -> sp.csr_array:
    """Return the sensitivities of observations to fluxes.

    Parameters
    ----------
    latitude, longitude : ndarray, shape (n,)
        Degrees.
    times : ndarray of datetime64, shape (n,)
        UTC.
    column : ndarray of bool, shape (n,)
        Column averages see all of the column, stations the mixed layer.
    grid : Grid
        Cells.
    time_edges : ndarray of datetime64, shape (bins + 1,)
        Of the fluxes; what lies before the first is left out.
    wind : Wind
        Of the study.
    lifetime_hours : array_like, shape (n,) or a number
        e-folding time of what is observed; CO2 and CH4 last.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, bins * grid.size)
        ppm / (umol m-2 s-1), column index ``bin * grid.size + cell``.

    Raises
    ------
    ConfigError
        Observations outside the wind's time.
    """
    if times.size and (times.min() < wind.start or times.max() > wind.start + wind.count * wind.step):
        raise ConfigError("observations lie outside the time for which the wind was made")
    o, edges = wind.options, time_edges.astype("datetime64[us]")
    n, bins = times.size, edges.size - 1
    lifetime = np.broadcast_to(np.asarray(lifetime_hours, dtype=np.float64) / 24.0, n)
    order = np.argsort(times, kind="stable")
    parts = []
    for first in range(0, n, _BATCH):
        rows = order[first : first + _BATCH]
        moved, when = wind.back(times[rows].astype("datetime64[us]"))
        age = (np.arange(moved.shape[2]) + 0.5) * o.step_hours / 24.0  # days
        sigma = np.sqrt(o.puff_km**2 + 2.0 * o.diffusivity * age * 86400.0 * 1e-6)  # km
        lat = latitude[rows][:, None] + moved[1] / _KM
        width = _KM * np.cos(np.deg2rad(np.clip(lat, -85.0, 85.0)))
        lon = longitude[rows][:, None] + moved[0] / width
        north = np.diff(ndtr((grid.lat_edges - lat[..., None]) * _KM / sigma[:, None]), axis=2)
        east = np.diff(ndtr((grid.lon_edges - lon[..., None]) * (width / sigma)[..., None]), axis=2)
        air = _SURFACE / (GRAVITY * MOLAR_MASS_DRY_AIR)  # mol m-2
        layer = _SURFACE / (MOLAR_GAS_CONSTANT * _WARMTH) * o.mixing_height_m
        stay = np.where(column[rows][:, None], 1.0 / air, np.exp(-age / o.residence_days) / layer)
        weight = stay * o.step_hours * 3600.0 * np.exp(-age / lifetime[rows][:, None])
        of_bin = np.searchsorted(edges, when, side="right") - 1
        for b in np.unique(of_bin[(of_bin >= 0) & (of_bin < bins)]):
            block = np.matmul(
                (np.where(of_bin == b, weight, 0.0)[..., None] * north).transpose(0, 2, 1), east
            )
            flat = block.reshape(rows.size, -1)
            flat[flat < _SMALL * flat.max(axis=1, keepdims=True)] = 0.0
            i, cell = np.nonzero(flat)
            parts.append((flat[i, cell], rows[i], b * grid.size + cell))
    if not parts:
        return sp.csr_array((n, bins * grid.size))
    data, row, col = (np.concatenate(p) for p in zip(*parts, strict=True))
    return sp.csr_array((data, (row, col)), shape=(n, bins * grid.size))
