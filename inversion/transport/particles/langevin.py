"""Particles with resolved turbulence: Langevin steps in the vertical, exact steps in the horizontal.

One interval of the mean wind holds many vertical steps. Each is short against the turbulence's memory
(``T_Lw / ctl``), the distance to the layer's other end and the scale on which sigma_w changes; the mean wind is
taken once, in the middle of the interval and at the particle's mean height within it, which is second order.
"""

from __future__ import annotations

import numpy as np

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
    smear,
)
from inversion.transport.particles.interpolation import DLAT, DLON, LAT0, PER_TOP, jit, surface_at, wind_at
from inversion.transport.particles.mixed_layer import (
    INSIDE,
    METRES_PER_DEGREE,
    bin_ahead,
    crossing,
    release_point,
)
from inversion.transport.particles.random import normal, philox
from inversion.transport.particles.turbulence import horizontal_scales, ou_coefficients, regime
from inversion.transport.particles.walk import STILT_ALOFT, Draws, stepped_walk, vertical_walk
from obsnet.constants import MOLAR_MASS_DRY_AIR
from obsnet.typing import Floats, Ints, Singles

__all__ = ["CLOUD", "OPTIONS", "langevin"]


# Entries of `options`. `layer` > 0 counts time below that height (m) instead of below `veght` of the boundary
# layer; `near_field` 0 none, 1 Taylor, 2 as published by STILT; `turbulent` 0 follows the mean wind only.
OPTIONS = (
    "sign",
    "hours",
    "timestep",
    "ctl",
    "veght",
    "floor",
    "least_tl",
    "near_field",
    "layer",
    "turbulent",
    "spread",
    "horizontal_tl",
)
SIGN, HOURS, TIMESTEP, CTL, VEGHT, FLOOR, LEAST_TL, NEAR, LAYER, TURBULENT, SPREAD, HORIZONTAL_TL = range(12)
CLOUD = 48  # ages at which the cloud's place and size are kept
YOUNGEST = 10.0  # s, first interval of a plume whose own depth matters
FREE_DIFFUSIVITY = 50.0  # m2 s-1, horizontal, above the boundary layer (Stohl et al. 2005, section 4)
_RELEASE, _HORIZONTAL, _SPARE = (np.uint64(k) for k in (12, 11, 14))


@jit
def _per_metre(axes: Floats, y: float) -> float:
    """Return nodes a metre eastward."""
    around = axes[DLON] * np.cos(np.deg2rad(axes[LAT0] + axes[DLAT] * y))
    return 1.0 / (METRES_PER_DEGREE * around)


@jit
def _sideways(
    su: float, sv: float, tu: float, tv: float, dt: float, mu: float, mv: float, draws: Draws
) -> tuple[float, float, float, float]:
    """Return the way along and across the wind (m) by turbulence, and the new memories."""
    key, particle, step = draws
    words = philox(key, particle, step, np.uint64(0), _HORIZONTAL)
    n0, n1, n2, n3 = (
        normal(words[0], key, particle, step, _SPARE),
        normal(words[1], key, particle, step, _SPARE),
        normal(words[2], key, particle, step, _SPARE),
        normal(words[3], key, particle, step, _SPARE),
    )
    r, noise, way, shared, rest = ou_coefficients(tu, dt)
    along = su * (way * mu + shared * n0 + rest * n2)
    mu = r * mu + noise * n0
    if tv != tu:
        r, noise, way, shared, rest = ou_coefficients(tv, dt)
    across = sv * (way * mv + shared * n1 + rest * n3)
    return along, across, mu, r * mv + noise * n1


@jit
def _taylor_depth(sigma: float, tl: float, t: float) -> float:
    """Return how far turbulence has spread a plume after t (Taylor 1921)."""
    return sigma * np.sqrt(2.0 * tl * (t - tl * (1.0 - np.exp(-t / max(tl, 1e-3)))))


@jit
def _published_depth(sigma: float, tl: float, t: float) -> float:
    """Return the same as the code published with STILT has it, which adds it up over minutes."""
    return sigma * np.sqrt(2.0 * max(tl * t + tl * tl * np.exp(-t / max(tl, 1e-3)) - 1.0, 0.0))


@jit
def _seen(cloud: Floats, before: float, now: float, dx: float, dy: float) -> None:
    """Add a particle's place to the ages (in nodes of the cloud) that it has just passed."""
    node = int(before) + 1
    while node <= CLOUD and node <= now + 1e-9:
        cloud[node, 0] += 1.0
        cloud[node, 1] += dx
        cloud[node, 2] += dy
        cloud[node, 3] += dx * dx
        cloud[node, 4] += dy * dy
        node += 1


@jit
def langevin(
    wind: Singles,
    surface: Singles,
    axes: Floats,
    xe: Floats,
    ye: Floats,
    edges: Floats,
    releases: Floats,
    key: np.uint64,
    options: Floats,
    levels: Floats,
    widths: Floats,
) -> tuple[Ints, Floats, Floats, Floats, Floats, Floats]:
    """Run one receptor's particles through resolved turbulence, backward or forward.

    Parameters
    ----------
    wind, surface, axes, xe, ye, edges, releases, key
        As in `inversion.transport.particles.mixed_layer.mixed_layer`.
    options : ndarray of float64, shape (len(OPTIONS),)
        `OPTIONS`.
    levels : ndarray of float64
        Heights of `stepped_walk`; empty for scales that change smoothly.
    widths : ndarray of float64, shape (CLOUD + 1,) or (0,)
        Kernel bandwidth (degrees) at even ages from 0 to the end; empty for no smoothing.

    Returns
    -------
    keys, total, error, ends : ndarray
        As in `mixed_layer`.
    summary : ndarray of float64, shape (5,)
        Total sensitivity, its standard error, weighted residence time (s), intervals, vertical steps.
    cloud : ndarray of float64, shape (CLOUD + 1, 5)
        At even ages: particles still inside, sums of x, y, x^2, y^2 relative to the first release.

    Notes
    -----
    A particle takes up ``M t / (mass of air below the counting height)`` for the time t it spends below it
    (Lin et al. 2003, doi:10.1029/2002JD003161). Near the receptor, where the plume has not yet filled that
    layer, its own depth ``z0 + sqrt(2 s^2 T (t - T (1 - exp(-t / T))))`` (Taylor 1921) stands in; the published
    STILT form (Fasoli et al. 2018, doi:10.5194/gmd-11-2813-2018), whose root reads
    ``T t + T^2 exp(-t / T) - 1`` and is summed over minutes, is option 2.
    """
    shape = (wind.shape[0], wind.shape[1], wind.shape[2], wind.shape[3])
    flat, ground = wind.reshape(-1), surface.reshape(-1)
    sign, ctl, least_tl = options[SIGN], options[CTL], options[LEAST_TL]
    turbulent, stepped = options[TURBULENT] > 0.0, levels.size > 0
    near_field = int(options[NEAR])
    counts = releases[:, 11].copy()
    keys, sums, owners = new_table(1024)
    whole = np.zeros(5)
    used = 0
    ends = np.empty((int(counts.sum()), 6))
    residence = 0.0
    intervals = vertical = 0
    cloud = np.zeros((CLOUD + 1, 5))
    per_node = CLOUD / (options[HOURS] * 3600.0)
    x_first, y_first = releases[0, 2], releases[0, 4]
    top = 0.999999 / axes[PER_TOP]
    cy = 1.0 / (METRES_PER_DEGREE * axes[DLAT])
    particle = 0
    for stratum in range(releases.shape[0]):
        count = int(counts[stratum])
        for q in range(count):
            number = np.uint64(particle)
            words = philox(key, number, np.uint64(0), np.uint64(0), _RELEASE)
            t, x, y, z, weight = release_point(releases[stratum], q, words[0], words[1])
            z_release = z
            left = options[HOURS] * 3600.0
            age = 0.0
            b = bin_ahead(t, edges, sign)
            side = INSIDE
            step = np.uint64(0)
            words = philox(key, number, np.uint64(0), np.uint64(1), _RELEASE)
            mu = normal(words[0], key, number, np.uint64(0), _SPARE)
            mv = normal(words[1], key, number, np.uint64(1), _SPARE)
            mw = normal(words[2], key, number, np.uint64(2), _SPARE)
            u, v, w, rho, gradient = wind_at(flat, shape, axes, t, x, y, z)
            cx = _per_metre(axes, y)
            near = near_field > 0
            mean_sigma = mean_tl = depth = 0.0
            while left > 1e-6:
                dt = min(options[TIMESTEP], left)
                if near_field == 1 and near:
                    dt = min(dt, YOUNGEST + 0.25 * age)  # a young plume grows by the second
                edge = edges[b] if sign < 0.0 else edges[b + 1]
                if abs(t - edge) > 1e-6:
                    dt = min(dt, abs(t - edge))
                step += np.uint64(1)
                intervals += 1
                h, mass, ustar, il, wstar, rho_ground = surface_at(
                    ground, shape, axes, t + 0.5 * sign * dt, x, y
                )
                if h < options[FLOOR]:
                    mass *= options[FLOOR] / h
                    h = options[FLOOR]
                layer = options[LAYER] if options[LAYER] > 0.0 else options[VEGHT] * h
                mean, below, sigma, tl = z, 0.0, 0.0, 0.0
                mixed = turbulent and (stepped or z < h)
                z1 = z
                if mixed:
                    air = (h, ustar, il, wstar, gradient / rho)
                    draws = (key, number, step)
                    if stepped:
                        walk = stepped_walk(z, mw, dt, air, ctl, layer, levels, STILT_ALOFT, draws)
                    else:
                        walk = vertical_walk(z, mw, dt, air, ctl, least_tl, layer, draws)
                    z1, mw, mean, below, sigma, tl, n = walk
                    vertical += n
                elif z < layer:
                    below = dt
                half = 0.5 * sign * dt
                y_mid = y + v * cy * half
                z_mid = max(mean + w * half, 0.0)
                u, v, w, rho, gradient = wind_at(flat, shape, axes, t + half, x + u * cx * half, y_mid, z_mid)
                cx = _per_metre(axes, y_mid)
                dx, dy = sign * u * dt, sign * v * dt
                z1 = abs(z1 + sign * w * dt)
                if mixed:
                    if stepped:  # as wide as high, with one time scale
                        su, sv, tu, tv = sigma, sigma, 0.0, 0.0
                    else:
                        su, sv, tu, tv = horizontal_scales(mean, h, ustar, il, regime(h, il))
                    if options[HORIZONTAL_TL] > 0.0:
                        tu = tv = options[HORIZONTAL_TL]
                    along, across, mu, mv = _sideways(su, sv, tu, tv, dt, mu, mv, (key, number, step))
                    # sigma_u is along the mean wind, sigma_v across it.
                    speed = np.sqrt(u * u + v * v) + 1e-6
                    dx += (u * along - v * across) / speed
                    dy += (v * along + u * across) / speed
                elif turbulent:
                    words = philox(key, number, step, np.uint64(0), _HORIZONTAL)
                    spread = np.sqrt(2.0 * options[SPREAD] * dt)
                    dx += spread * normal(words[0], key, number, step, _SPARE)
                    dy += spread * normal(words[1], key, number, step, _SPARE)
                x1, y1 = x + cx * dx, y + cy * dy
                f, side = crossing(x, y, z, x1, y1, z1, xe, ye, top)
                x1, y1, z1 = x + f * (x1 - x), y + f * (y1 - y), z + f * (z1 - z)
                residence += f * dt * weight / count
                if below > 0.0:
                    rho_top = 2.0 * mass / h - rho_ground
                    dilution = layer
                    if near:
                        if near_field == 2:
                            depth += below / dt * _published_depth(sigma, tl, age + dt)
                        else:
                            # Travel-time means of the scales: the plume remembers where it has been.
                            share = dt / (age + dt)
                            mean_sigma += share * (sigma - mean_sigma)
                            mean_tl += share * (tl - mean_tl)
                            depth = _taylor_depth(mean_sigma, mean_tl, age + 0.5 * dt)
                        if z_release + depth < layer:
                            dilution = z_release + depth
                        else:
                            near = near_field == 2
                    rho_mean = rho_ground + 0.5 * (dilution / h) * (rho_top - rho_ground)
                    value = weight * MOLAR_MASS_DRY_AIR * f * below / (dilution * rho_mean)
                    if widths.size:
                        place = (age + 0.5 * dt) * per_node
                        k = min(int(place), CLOUD - 1)
                        wide = widths[k] + (place - k) * (widths[k + 1] - widths[k])
                        xm, ym, wx, wy = 0.5 * (x + x1), 0.5 * (y + y1), wide / axes[DLON], wide / axes[DLAT]
                        used += smear(
                            keys, sums, owners, counts, xe, ye, b, xm, ym, wx, wy, value, particle, stratum
                        )
                    else:
                        used += deposit(
                            keys, sums, owners, counts, xe, ye, b, x, y, x1, y1, value, particle, stratum
                        )
                    whole[SHARE] += value
                    if 2 * used > keys.shape[0]:
                        keys, sums, owners = grow(keys, sums, owners)
                x, y, z = x1, y1, z1
                t += sign * f * dt
                _seen(cloud, age * per_node, (age + f * dt) * per_node, x - x_first, y - y_first)
                age += f * dt
                left -= f * dt
                if side != INSIDE:
                    break
                if abs(t - edge) < 1e-6 and 0 <= b + sign < edges.shape[0] - 1:
                    b += int(sign)
            ends[particle, 0], ends[particle, 1], ends[particle, 2], ends[particle, 3] = t, x, y, z
            ends[particle, 4], ends[particle, 5] = side, weight / count
            end_particle(whole)
            particle += 1
        end_stratum(whole, counts[stratum])
    found, total, error = finish(keys, sums, owners, counts)
    summary = np.zeros(5)
    summary[0], summary[1] = whole[TOTAL], np.sqrt(whole[VARIANCE])
    summary[2], summary[3], summary[4] = residence, intervals, vertical
    return found, total, error, ends, summary, cloud
