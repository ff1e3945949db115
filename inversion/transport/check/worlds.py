"""What the honesty tests share: a line of their table, even worlds with known answers, single releases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inversion.transport.receptors.releases import RELEASE, Receptors
from obsnet.constants import GRAVITY, VON_KARMAN
from obsnet.met import Met
from obsnet.met.vertical import level_heights
from obsnet.times import to_epoch
from obsnet.typing import Times

__all__ = ["SCALE_HEIGHT", "START", "Row", "bin_edges", "plain_world", "release"]

START = np.datetime64("2024-04-01T00:00:00", "us")
SCALE_HEIGHT = 9500.0  # m, of density


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Parameters
    ----------
    test : str
        What was tested.
    measured : float
        The figure.
    accepted : float
        Largest figure that passes; NaN where the line only informs.
    unit : str
        Of both.
    detail : str
        How, in a few words.
    series : dict
        What the picture shows.
    """

    test: str
    measured: float
    accepted: float
    unit: str
    detail: str
    series: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def passed(self) -> bool | None:
        """True, False, or None for a line that only informs."""
        return None if np.isnan(self.accepted) else bool(self.measured <= self.accepted)


def plain_world(
    *,
    u: float = 3.0,
    v: float = -2.0,
    h: float = 1000.0,
    ustar: float = 0.4,
    heat: float = 0.0,
    hours: int = 72,
    top: float = 8000.0,
    nz: int = 40,
    density: float = 1.2,
    step: float = 3.0,
    spacing: float = 1.0,
) -> Met:
    """Return an even world over 20-40 N, 100-130 E whose answers are known.

    Parameters
    ----------
    u, v : float
        Wind, m s-1.
    h, ustar, heat : float
        Boundary-layer height (m), friction velocity (m s-1), upward heat flux (W m-2).
    hours : int
        Length, from `START`.
    density : float
        At the ground, kg m-3; falls exponentially over 9500 m.
    """
    lat, lon = np.arange(20.0, 40.0 + 1e-9, spacing), np.arange(100.0, 130.0 + 1e-9, spacing)
    times = float(to_epoch(START)) + 3600.0 * np.arange(0.0, hours + step, step)
    z = level_heights(top, nz)
    wind = np.zeros((times.size, lat.size, lon.size, nz, 4), np.float32)
    wind[..., 0], wind[..., 1], wind[..., 3] = u, v, density * np.exp(-z / SCALE_HEIGHT)
    state = np.zeros((*wind.shape[:4], 3), np.float32)
    state[..., 0], state[..., 1] = 101325.0 * np.exp(-z / 8000.0), 280.0
    flux = heat / (density * 1005.0)
    scales = (
        h,
        density * SCALE_HEIGHT * (1.0 - np.exp(-h / SCALE_HEIGHT)),
        ustar,
        -VON_KARMAN * GRAVITY * flux / (280.0 * ustar**3),
        max(GRAVITY * flux * h / 280.0, 0.0) ** (1.0 / 3.0),
        density,
    )
    surface = np.empty((*wind.shape[:3], 6), np.float32)
    surface[...] = scales
    return Met(
        times, lat, lon, z, wind, state, surface, np.zeros((lat.size, lon.size), np.float32), {"notes": []}
    )


def release(
    name: str,
    time: float | tuple[float, float],
    lat: float | tuple[float, float],
    lon: float | tuple[float, float],
    z: float | tuple[float, float],
    count: int,
    ratio: float = 1.0,
) -> Receptors:
    """Return one receptor of one release; pairs are its ends."""
    ends = [v if isinstance(v, tuple) else (v, v) for v in (time, lon, lat, z)]
    row = np.array([[*ends[0], *ends[1], *ends[2], *ends[3], ratio, 0.5, 0.5, float(count)]])
    assert row.shape[1] == len(RELEASE)
    return Receptors(np.array([name]), np.array([0, 1]), row, np.zeros(1), {})


def bin_edges(hours: float, step: float) -> Times:
    """Return time bins of `step` hours from `START`."""
    return START + np.round(np.arange(0.0, hours + 1e-9, step) * 3.6e9).astype("timedelta64[us]")
