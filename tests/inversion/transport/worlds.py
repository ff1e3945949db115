"""Small meteorological worlds with known answers, for the transport tests."""

from __future__ import annotations

import numpy as np

from inversion.transport.receptors.releases import RELEASE, Receptors
from obsnet.met import Met
from obsnet.met.vertical import level_heights
from obsnet.times import EPOCH, to_epoch

START = np.datetime64("2020-06-01T00:00:00", "us")


def world(
    *, u=5.0, v=-3.0, h=1000.0, hours=72, density=1.2, scale=9500.0, top=8000.0, nz=40, ustar=0.4, heat=0.0
):
    """Even wind and boundary layer over 20-40 N, 100-130 E; density falls exponentially with `scale`."""
    lat, lon = np.arange(20.0, 41.0), np.arange(100.0, 131.0)
    times = to_epoch(START) + 3600.0 * np.arange(0, hours + 1, 3)
    z = level_heights(top, nz)
    rho = density * np.exp(-z / scale)
    wind = np.zeros((times.size, lat.size, lon.size, nz, 4), np.float32)
    wind[..., 0], wind[..., 1], wind[..., 3] = u, v, rho
    state = np.zeros((*wind.shape[:4], 3), np.float32)
    state[..., 0] = 101325.0 * np.exp(-z / 8000.0)
    state[..., 1], state[..., 2] = 280.0, 0.0
    surface = np.zeros((*wind.shape[:3], 6), np.float32)
    mass = density * scale * (1.0 - np.exp(-h / scale))
    flux = heat / (density * 1005.0)
    inverse = -0.4 * 9.80665 * flux / (280.0 * ustar**3)
    surface[...] = (h, mass, ustar, inverse, max(9.80665 * flux * h / 280.0, 0.0) ** (1 / 3), density)
    return Met(
        times, lat, lon, z, wind, state, surface, np.zeros((lat.size, lon.size), np.float32), {"notes": []}
    )


def bins(hours=72, step=6):
    """Flux time bins from START."""
    return START + np.arange(0, hours + 1, step).astype("timedelta64[h]")


def seconds(hours):
    """Seconds since 1970 of START plus hours."""
    return float((START - EPOCH).astype(np.int64) / 1e6 + 3600.0 * hours)


def receptors(n=1, *, at=70.0, lat=30.0, lon=115.0, z=20.0, count=50, weight=1.0, names=None):
    """Equal point receptors, `at` hours after START."""
    row = dict.fromkeys(RELEASE, 0.0) | {"t0": seconds(at), "t1": seconds(at), "x0": lon, "x1": lon}
    row |= {
        "y0": lat,
        "y1": lat,
        "z0": z,
        "z1": z,
        "ratio": 1.0,
        "w0": weight / 2,
        "w1": weight / 2,
        "count": count,
    }
    names = names or [f"r{k}" for k in range(n)]
    return Receptors(
        np.array(names), np.arange(n + 1), np.array([list(row.values())] * n, float), np.zeros(n), {}
    )
