"""Backward particles in a well-mixed boundary layer: mean wind, re-drawn height, horizontal random walk.

The kernel knows arrays only. Positions are fractional nodes of the meteorological grid (`x` along longitude),
heights are metres above ground, times seconds since 1970.
"""

from __future__ import annotations

import numpy as np

from inversion.transport.convection.columns import CONVECTION_STEP, convected, new_columns
from inversion.transport.kernels.interpolation import (
    DLAT,
    DLON,
    LAT0,
    PER_TOP,
    Shape,
    jit,
    surface_at,
    wind_at,
)
from inversion.transport.kernels.random import normal, philox, uniform
from inversion.transport.particles.hash_table import (
    SHARE,
    TOTAL,
    VARIANCE,
    deposit,
    end_particle,
    end_stratum,
    finish,
    grow,
    new_table,
)
from inversion.transport.particles.mixing_height_error import height_factor
from inversion.transport.particles.paths import (
    INSIDE,
    bin_ahead,
    crossing,
    left_over,
    moved,
    new_tracks,
    note_end,
    note_path,
    release_point,
)
from inversion.transport.particles.wind_error import wind_error_at
from obsnet.constants import MOLAR_MASS_DRY_AIR
from obsnet.sphere import METRES_PER_DEGREE
from obsnet.typing import Floats, Ints, Singles

__all__ = ["mixed_layer"]


SCALE_HEIGHT = 9500.0  # m, of density in the lowest kilometres
_STEP, _RELEASE, _SPARE = np.uint64(1), np.uint64(2), np.uint64(3)


@jit
def _petterssen(
    flat: Singles,
    shape: Shape,
    axes: Floats,
    place: tuple[float, float, float, float],
    dt: float,
    waves: Floats,
) -> tuple[float, float, float, float]:
    """Return where the wind with its error comes from, `dt` before `place` (t, x, y, z): x, y, z, nodes a metre east.

    The mean of the winds at both ends (Petterssen 1940, Weather Analysis and Forecasting, 221-223).
    """
    t, x, y, z = place
    cy = 1.0 / (METRES_PER_DEGREE * axes[DLAT])
    u, v, w, _, _ = wind_at(flat, shape, axes, t, x, y, z)
    if waves.size:
        east, north = wind_error_at(waves, axes, t, x, y, z)
        u, v = u + east, v + north
    cx = cy * axes[DLAT] / (axes[DLON] * np.cos(np.deg2rad(axes[LAT0] + axes[DLAT] * y)))
    x1, y1, z1 = x - u * cx * dt, y - v * cy * dt, z - w * dt
    u1, v1, w1, _, _ = wind_at(flat, shape, axes, t - dt, x1, y1, z1)
    if waves.size:
        east, north = wind_error_at(waves, axes, t - dt, x1, y1, z1)
        u1, v1 = u1 + east, v1 + north
    x1, y1 = x - 0.5 * (u + u1) * cx * dt, y - 0.5 * (v + v1) * cy * dt
    return x1, y1, abs(z - 0.5 * (w + w1) * dt), cx


@jit
def mixed_layer(
    wind: Singles,
    surface: Singles,
    state: Singles,
    axes: Floats,
    xe: Floats,
    ye: Floats,
    edges: Floats,
    releases: Floats,
    shifts: Floats,
    factors: Floats,
    key: np.uint64,
    hours: float,
    timestep: float,
    diffusivity: float,
    floor: float,
    decay: float,
    every: float,
    stormy: float,
    waves: Floats,
    heights: Floats,
) -> tuple[Ints, Floats, Floats, Floats, Floats, Singles]:
    """Run the particles of one receptor, or of several that share them, backward.

    Parameters
    ----------
    wind, surface, state : ndarray of float32
        Of `obsnet.met.Met`, shapes (nt, ny, nx, nz, 4), (nt, ny, nx, 6) and (nt, ny, nx, nz, 3); the last is read with
        storms only.
    axes : ndarray of float64, shape (8,)
        First time (s), 1 / time step, first latitude, latitude step, first longitude, longitude step (degrees),
        1 / top, top / (nz - 1)^2.
    xe, ye, edges : ndarray of float64
        Edges of the flux cells in nodes of the meteorological grid, and of the time bins in seconds.
    releases : ndarray of float64, shape (n, 12)
        `RELEASE`.
    shifts : ndarray of float64, shape (members, 2)
        How far each receptor that takes these particles lies from their release, in nodes of x and y; all of a path
        is moved by that.
    factors : ndarray of float64, shape (members, particles)
        What each of them makes of a particle's weight.
    key : uint64
        Of the random numbers.
    hours, timestep : float
        Length of the run (h) and longest step (s).
    diffusivity : float
        Horizontal, within the boundary layer, m2 s-1.
    floor : float
        Least depth of the mixed layer, m.
    decay : float
        Rate at which the tracer decays, s-1.
    every : float
        Between two ages at which paths are written down, s; 0 for none.
    stormy : float
        1 where storms move particles, else 0.
    waves, heights : ndarray of float64, shapes (2 n, 7), (n, 7)
        As in `inversion.transport.particles.langevin.langevin`.

    Returns
    -------
    keys, total, error : ndarray
        Flat (member, bin, cell), sensitivity and its standard error, in ppm / (umol m-2 s-1).
    ends : ndarray of float64, shape (particles, 6)
        Where each path ended: t, x, y, z, side, weight / particles of its release, less what has decayed; not moved,
        and without factors.
    summary : ndarray of float64, shape (members, 3)
        Total sensitivity, its standard error, weighted residence time (s).
    tracks : ndarray of float32, shape (particles, ages, 5)
        Of `inversion.transport.particles.paths.note_path`, age 0 where a path was over.

    Notes
    -----
    A particle below h is re-drawn evenly in mass within h at every step, and takes up
    ``M dt / (mass of the layer)``; above h it follows the mean wind. Advection is Petterssen's scheme.
    """
    shape = (wind.shape[0], wind.shape[1], wind.shape[2], wind.shape[3])
    flat, ground, air = wind.reshape(-1), surface.reshape(-1), state.reshape(-1)
    counts = releases[:, 11].copy()
    keys, sums, owners = new_table(1024)
    count_of_members, bins = shifts.shape[0], edges.shape[0] - 1
    whole, summary = np.zeros((count_of_members, 5)), np.zeros((count_of_members, 3))
    used = 0
    ends = np.empty((int(counts.sum()), 6))
    tracks = new_tracks(ends.shape[0], hours, every)
    top = 0.999999 / axes[PER_TOP]
    cy = 1.0 / (METRES_PER_DEGREE * axes[DLAT])
    columns = new_columns(shape[3] if stormy > 0.0 else 0)
    particle = 0
    for stratum in range(releases.shape[0]):
        count = int(counts[stratum])
        for q in range(count):
            number = np.uint64(particle)
            words = philox(key, number, np.uint64(0), np.uint64(0), _RELEASE)
            t, x, y, z, weight = release_point(releases[stratum], q, words[0], words[1])
            begun, stop, calm = t, t - hours * 3600.0, 0.0
            b = bin_ahead(t, edges, -1.0)
            side = INSIDE
            step = np.uint64(0)
            while t > stop + 1e-6:
                dt = min(timestep, t - stop, t - edges[b])
                step += np.uint64(1)
                words = philox(key, number, step, np.uint64(0), _STEP)
                h, mass, _, _, _, _ = surface_at(ground, shape, axes, t - 0.5 * dt, x, y)
                if heights.size:
                    factor = height_factor(heights, axes, t - 0.5 * dt, x, y)
                    h, mass = h * factor, mass * factor
                if h < floor:
                    mass *= floor / h
                    h = floor
                mixed = z < h
                if mixed:
                    z = -SCALE_HEIGHT * np.log(1.0 - uniform(words[0]) * (1.0 - np.exp(-h / SCALE_HEIGHT)))
                x1, y1, z1, cx = _petterssen(flat, shape, axes, (t, x, y, z), dt, waves)
                if mixed:
                    spread = np.sqrt(2.0 * diffusivity * dt)
                    x1 += cx * spread * normal(words[1], key, number, step, _SPARE)
                    y1 += cy * spread * normal(words[2], key, number, step, _SPARE)
                f, side = crossing(x, y, z, x1, y1, z1, xe, ye, top)
                x1, y1, z1 = x + f * (x1 - x), y + f * (y1 - y), z + f * (z1 - z)
                summary[:, 2] += f * dt * weight / count * factors[:, particle]
                value = 0.0
                if mixed:
                    value = weight * MOLAR_MASS_DRY_AIR * f * dt / mass * left_over(decay, begun - t, f * dt)
                    for m in range(count_of_members):
                        part = value * factors[m, particle]
                        if part == 0.0:
                            continue
                        whole[m, SHARE] += part
                        xm, xm1 = moved(x, shifts[m, 0], xe), moved(x1, shifts[m, 0], xe)
                        ym, ym1 = moved(y, shifts[m, 1], ye), moved(y1, shifts[m, 1], ye)
                        at = m * bins + b
                        used += deposit(
                            keys, sums, owners, counts, xe, ye, at, xm, ym, xm1, ym1, part, particle, stratum
                        )
                        if 2 * used > keys.shape[0]:
                            keys, sums, owners = grow(keys, sums, owners)
                if tracks.size:
                    ages = (begun - t, begun - t + f * dt)
                    note_path(tracks[particle], every, ages, (x, y, z), (x1, y1, z1), value / count)
                x, y, z = x1, y1, z1
                t -= f * dt
                if side != INSIDE:
                    break
                calm += dt
                if columns[0].size and (calm >= CONVECTION_STEP or t <= stop + 1e-6):
                    middle = (t + 0.5 * calm, x, y)
                    z = convected(z, -1.0, calm, flat, air, shape, axes, middle, columns, (key, number, step))
                    calm = 0.0
                if t <= edges[b] + 1e-6 and b > 0:
                    b -= 1
            if tracks.size:
                note_end(tracks[particle], every, begun - t, (x, y, z))
            ends[particle, 0], ends[particle, 1], ends[particle, 2], ends[particle, 3] = t, x, y, z
            ends[particle, 4], ends[particle, 5] = side, weight / count * left_over(decay, begun - t, 0.0)
            for m in range(count_of_members):
                end_particle(whole[m])
            particle += 1
        for m in range(count_of_members):
            end_stratum(whole[m], counts[stratum])
    found, total, error = finish(keys, sums, owners, counts)
    summary[:, 0], summary[:, 1] = whole[:, TOTAL], np.sqrt(whole[:, VARIANCE])
    return found, total, error, ends, summary, tracks
