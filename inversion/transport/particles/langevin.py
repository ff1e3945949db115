"""Particles with resolved turbulence: Langevin steps in the vertical, exact steps in the horizontal.

One interval of the mean wind holds many vertical steps. Each is short against the turbulence's memory
(``T_Lw / ctl``), the distance to the layer's other end and the scale on which sigma_w changes; the mean wind is
taken once, in the middle of the interval and at the particle's mean height within it, which is second order.
"""

from __future__ import annotations

import numpy as np

from inversion.transport.convection.columns import CONVECTION_STEP, Columns, convected, new_columns
from inversion.transport.kernels.interpolation import DLAT, DLON, PER_TOP, Shape, jit, surface_at, wind_at
from inversion.transport.kernels.random import normal, philox
from inversion.transport.particles.free_air import Aloft, Known, free_levels, new_known
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
from inversion.transport.particles.mixing_height_error import height_factor
from inversion.transport.particles.near_field import NOT_NEAR, TAYLOR, dilution
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
from inversion.transport.particles.sideways import (
    NO_FADING,
    SPARE,
    fading,
    free_step,
    nodes_per_metre,
    turbulent_step,
    wind_scales,
)
from inversion.transport.particles.walk import Air, Draws, Ladder, Walk, stepped_walk, vertical_walk
from inversion.transport.particles.wind_error import wind_error_at
from obsnet.constants import MOLAR_MASS_DRY_AIR
from obsnet.sphere import METRES_PER_DEGREE
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
    "decay",
    "every",
    "stormy",
)
SIGN, HOURS, TIMESTEP, CTL, VEGHT, FLOOR, LEAST_TL, NEAR, LAYER, TURBULENT, SPREAD, HORIZONTAL_TL = range(12)
DECAY, EVERY, STORMY = 12, 13, 14
CLOUD = 48  # ages at which the cloud's place and size are kept
YOUNGEST, GROWTH = (
    10.0,
    0.1,
)  # s, first interval of a plume whose own depth matters; how intervals grow with its age
FREE_DIFFUSIVITY = 50.0  # m2 s-1, horizontal, above the boundary layer (Stohl et al. 2005, section 4)
_RELEASE = np.uint64(12)


Fields = tuple[Singles, Singles, Singles, Shape, Floats]  # wind, surface, state, their shape, axes
Cells = tuple[Floats, Floats, Floats, Floats]  # edges in x, y and time; particles of each release
Members = tuple[Floats, Floats]  # of the receptors that share the particles: how far off (nodes), factors
Table = tuple[Ints, Floats, Ints]
# h (m), dry mass in it (kg m-2), u* (m s-1), 1/L (m-1), w* (m s-1), density at the ground (kg m-3).
Layer = tuple[float, float, float, float, float, float]


@jit
def _begin(
    release: Floats, key: np.uint64, number: np.uint64, q: int
) -> tuple[float, float, float, float, float, float, float, float]:
    """Return t, x, y, z and weight of a particle, and its velocities along, across and up, normalised."""
    words = philox(key, number, np.uint64(0), np.uint64(0), _RELEASE)
    t, x, y, z, weight = release_point(release, q, words[0], words[1])
    words = philox(key, number, np.uint64(0), np.uint64(1), _RELEASE)
    mu = normal(words[0], key, number, np.uint64(0), SPARE)
    mv = normal(words[1], key, number, np.uint64(1), SPARE)
    mw = normal(words[2], key, number, np.uint64(2), SPARE)
    return t, x, y, z, weight, mu, mv, mw


@jit
def _interval(longest: float, young: bool, age: float, left: float, to_edge: float) -> float:
    """Return the length (s) of the next interval: no further than the run's end and the next time bin's edge."""
    dt = min(longest, left)
    if young:
        dt = min(dt, YOUNGEST + GROWTH * age)  # a young plume grows by the second
    return min(dt, to_edge) if to_edge > 1e-6 else dt


@jit
def _layer_at(fields: Fields, heights: Floats, floor: float, t: float, x: float, y: float) -> Layer:
    """Return the boundary layer at a place, with the error of its height, no shallower than `floor`."""
    h, mass, ustar, il, wstar, rho_ground = surface_at(fields[1], fields[3], fields[4], t, x, y)
    if heights.size:
        factor = height_factor(heights, fields[4], t, x, y)
        h, mass, wstar = h * factor, mass * factor, wstar * np.cbrt(factor)
    if h < floor:
        mass *= floor / h
        h = floor
    return h, mass, ustar, il, wstar, rho_ground


@jit
def _up_and_down(
    z: float,
    memory: float,
    dt: float,
    air: Air,
    counting: float,
    options: Floats,
    ladder: Ladder,
    aloft: Aloft,
    draws: Draws,
) -> Walk:
    """Take a particle through the vertical steps of one interval."""
    if ladder[0].size:
        return stepped_walk(z, memory, dt, air, options[CTL], counting, ladder, aloft, draws)
    return vertical_walk(z, memory, dt, air, options[CTL], options[LEAST_TL], counting, draws)


@jit
def _kernel_width(widths: Floats, place: float) -> float:
    """Return the bandwidth (degrees) of the smoothing kernel at an age (in nodes of the cloud), 0 for none."""
    if widths.size == 0:
        return 0.0
    k = min(int(place), CLOUD - 1)
    return widths[k] + (place - k) * (widths[k + 1] - widths[k])


@jit
def _spread(
    table: Table,
    used: int,
    cells: Cells,
    members: Members,
    b: int,
    path: tuple[float, float, float, float],
    wide: float,
    axes: Floats,
    value: float,
    owner: tuple[int, int],
    whole: Floats,
) -> tuple[Table, int]:
    """Put what was taken up on a piece of path (x, y to x, y) into the cells of all members; return table and use."""
    xe, ye, edges, counts = cells
    shifts, factors = members
    for member in range(shifts.shape[0]):
        part = value * factors[member, owner[0]]
        if part == 0.0:
            continue
        whole[member, SHARE] += part
        x, x1 = moved(path[0], shifts[member, 0], xe), moved(path[2], shifts[member, 0], xe)
        y, y1 = moved(path[1], shifts[member, 1], ye), moved(path[3], shifts[member, 1], ye)
        at = member * (edges.shape[0] - 1) + b
        used += _into_cells(table, (xe, ye), counts, at, (x, y, x1, y1), wide, axes, part, owner)
        if 2 * used > table[0].shape[0]:
            table = grow(table[0], table[1], table[2])
    return table, used


@jit
def _into_cells(
    table: Table,
    grid: tuple[Floats, Floats],
    counts: Floats,
    b: int,
    path: tuple[float, float, float, float],
    wide: float,
    axes: Floats,
    value: float,
    owner: tuple[int, int],
) -> int:
    """Put what was taken up on a piece of path into its cells; return how many of them are new."""
    keys, sums, owners = table
    xe, ye = grid
    x, y, x1, y1 = path
    if wide > 0.0:
        xm, ym, wx, wy = 0.5 * (x + x1), 0.5 * (y + y1), wide / axes[DLON], wide / axes[DLAT]
        return smear(keys, sums, owners, counts, xe, ye, b, xm, ym, wx, wy, value, owner[0], owner[1])
    return deposit(keys, sums, owners, counts, xe, ye, b, x, y, x1, y1, value, owner[0], owner[1])


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
def _follow(
    fields: Fields,
    cells: Cells,
    members: Members,
    releases: Floats,
    who: tuple[np.uint64, int, int, int],
    options: Floats,
    levels: Floats,
    widths: Floats,
    errors: tuple[Floats, Floats],
    columns: Columns,
    known: Known,
    first: tuple[float, float],
    table: Table,
    used: int,
    whole: Floats,
    ends: Floats,
    cloud: Floats,
    summary: Floats,
    tracks: Singles,
) -> tuple[Table, int]:
    """Follow one particle to its end and write down what it felt; arguments as in `langevin`.

    `who` is the key, the particle, its release and its number there. `whole`, `ends`, `cloud`, `summary` and `tracks`
    are filled; the table, which may have grown, and its used entries are returned.
    """
    flat, _, state, shape, axes = fields
    xe, ye, edges, counts = cells
    key, particle, stratum, q = who
    waves, heights = errors
    sign, turbulent, stepped = options[SIGN], options[TURBULENT] > 0.0, levels.size > 0
    near_field = int(options[NEAR])
    per_node = CLOUD / (options[HOURS] * 3600.0)
    top = 0.999999 / axes[PER_TOP]
    cy = 1.0 / (METRES_PER_DEGREE * axes[DLAT])
    count = int(counts[stratum])
    number = np.uint64(particle)
    t, x, y, z, weight, mu, mv, mw = _begin(releases[stratum], key, number, q)
    z_release = z
    left, age, calm = options[HOURS] * 3600.0, 0.0, 0.0
    b = bin_ahead(t, edges, sign)
    side = INSIDE
    step, vertical = np.uint64(0), 0
    u, v, w, rho, gradient = wind_at(flat, shape, axes, t, x, y, z)
    cx = nodes_per_metre(axes, y)
    along = across = NO_FADING
    plume = (near_field != NOT_NEAR, 0.0, 0.0, 0.0)
    ladder, aloft = (levels, np.empty(levels.size), np.empty(levels.size)), (known[1], 0, 0)
    while left > 1e-6:
        edge = edges[b] if sign < 0.0 else edges[b + 1]
        dt = _interval(options[TIMESTEP], near_field == TAYLOR and plume[0], age, left, abs(t - edge))
        step += np.uint64(1)
        draws = (key, number, step)
        h, mass, ustar, il, wstar, rho_ground = _layer_at(
            fields, heights, options[FLOOR], t + 0.5 * sign * dt, x, y
        )
        layer = options[LAYER] if options[LAYER] > 0.0 else options[VEGHT] * h
        z1, mean, below, sigma, tl, n = z, z, 0.0, 0.0, 0.0, 0
        mixed = turbulent and (stepped or z < h)
        if mixed:
            air = (h, ustar, il, wstar, gradient / rho)
            if stepped:
                aloft = free_levels(flat, state, shape, axes, (t, x, y), z, h, levels, known, aloft[1])
            z1, mw, mean, below, sigma, tl, n = _up_and_down(
                z, mw, dt, air, layer, options, ladder, aloft, draws
            )
        elif z < layer:
            below = dt
        half = 0.5 * sign * dt
        y_mid = y + v * cy * half
        u, v, w, rho, gradient = wind_at(
            flat, shape, axes, t + half, x + u * cx * half, y_mid, max(mean + w * half, 0.0)
        )
        cx = nodes_per_metre(axes, y_mid)
        if waves.size:
            east, north = wind_error_at(waves, axes, t + half, x, y, mean)
            u, v = u + east, v + north
        dx, dy = sign * u * dt, sign * v * dt
        z1 = abs(z1 + sign * w * dt)
        if mixed:
            scales = wind_scales(mean, h, ustar, il, sigma if stepped else -1.0, options[HORIZONTAL_TL])
            along = fading(along, scales[2], dt)
            across = fading(along if scales[3] == scales[2] else across, scales[3], dt)
            east, north, mu, mv = turbulent_step(scales, (along, across), mu, mv, (u, v), draws)
            dx, dy = dx + east, dy + north
        elif turbulent:
            east, north = free_step(options[SPREAD], dt, draws)
            dx, dy = dx + east, dy + north
        x1, y1 = x + cx * dx, y + cy * dy
        f, side = crossing(x, y, z, x1, y1, z1, xe, ye, top)
        x1, y1, z1 = x + f * (x1 - x), y + f * (y1 - y), z + f * (z1 - z)
        vertical += n
        value = 0.0
        if below > 0.0:
            depth = layer
            if plume[0]:
                depth, plume = dilution(near_field, plume, (sigma, tl), (age, dt, below), z_release, layer)
            rho_top = 2.0 * mass / h - rho_ground
            rho_mean = rho_ground + 0.5 * (depth / h) * (rho_top - rho_ground)
            value = weight * MOLAR_MASS_DRY_AIR * f * below / (depth * rho_mean)
            value *= left_over(options[DECAY], age, f * dt)
            wide = _kernel_width(widths, (age + 0.5 * dt) * per_node)
            path, owner = (x, y, x1, y1), (particle, stratum)
            table, used = _spread(table, used, cells, members, b, path, wide, axes, value, owner, whole)
        if tracks.size:
            note_path(
                tracks[particle], options[EVERY], (age, age + f * dt), (x, y, z), (x1, y1, z1), value / count
            )
        x, y, z = x1, y1, z1
        t += sign * f * dt
        _seen(cloud, age * per_node, (age + f * dt) * per_node, x - first[0], y - first[1])
        age += f * dt
        left -= f * dt
        if side != INSIDE:
            break
        calm += dt
        if columns[0].size and (calm >= CONVECTION_STEP or left <= 1e-6):
            middle = (t - 0.5 * sign * calm, x, y)
            z = convected(z, sign, calm, flat, state, shape, axes, middle, columns, draws)
            calm = 0.0
        if abs(t - edge) < 1e-6 and 0 <= b + sign < edges.shape[0] - 1:
            b += int(sign)
    if tracks.size:
        note_end(tracks[particle], options[EVERY], age, (x, y, z))
    ends[particle, 0], ends[particle, 1], ends[particle, 2], ends[particle, 3] = t, x, y, z
    ends[particle, 4], ends[particle, 5] = side, weight / count * left_over(options[DECAY], age, 0.0)
    summary[:, 2] += age * weight / count * members[1][:, particle]
    summary[:, 3] += step
    summary[:, 4] += vertical
    return table, used


@jit
def langevin(
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
    options: Floats,
    levels: Floats,
    widths: Floats,
    waves: Floats,
    heights: Floats,
) -> tuple[Ints, Floats, Floats, Floats, Floats, Floats, Singles]:
    """Run the particles of one receptor, or of several that share them, through resolved turbulence.

    Parameters
    ----------
    wind, surface, axes, xe, ye, edges, releases, shifts, factors, key
        As in `inversion.transport.particles.mixed_layer.mixed_layer`.
    state : ndarray of float32
        Of `obsnet.met.Met`; read with `levels`, for the air above the boundary layer, and with storms only.
    options : ndarray of float64, shape (len(OPTIONS),)
        `OPTIONS`.
    levels : ndarray of float64
        Heights of `stepped_walk`; empty for scales that change smoothly.
    widths : ndarray of float64, shape (CLOUD + 1,) or (0,)
        Kernel bandwidth (degrees) at even ages from 0 to the end; empty for no smoothing.
    waves : ndarray of float64, shape (2 n, 7)
        Error of the wind, see `inversion.transport.particles.wind_error.wind_error_waves`; empty for none.
    heights : ndarray of float64, shape (n, 7)
        Error of the boundary-layer height, see
        `inversion.transport.particles.mixing_height_error.mixing_height_waves`; empty for none.

    Returns
    -------
    keys, total, error, ends : ndarray
        As in `mixed_layer`.
    summary : ndarray of float64, shape (members, 5)
        Total sensitivity, its standard error, weighted residence time (s), intervals, vertical steps.
    cloud : ndarray of float64, shape (CLOUD + 1, 5)
        At even ages: particles still inside, sums of x, y, x^2, y^2 relative to the first release.
    tracks : ndarray of float32, shape (particles, ages, 5)
        Of `inversion.transport.particles.paths.note_path`, age 0 where a path was over.

    Notes
    -----
    A particle takes up ``M t / (mass of air below the counting height)`` for the time t it spends below it
    (Lin et al. 2003, doi:10.1029/2002JD003161). Near the receptor, where the plume has not yet filled that
    layer, its own depth ``z0 + sqrt(2 s^2 T (t - T (1 - exp(-t / T))))`` (Taylor 1921) stands in; the published
    STILT form (Fasoli et al. 2018, doi:10.5194/gmd-11-2813-2018), whose root reads
    ``T t + T^2 exp(-t / T) - 1`` and is summed over minutes, is option 2.
    """
    shape = (wind.shape[0], wind.shape[1], wind.shape[2], wind.shape[3])
    fields = (wind.reshape(-1), surface.reshape(-1), state.reshape(-1), shape, axes)
    counts = releases[:, 11].copy()
    cells = (xe, ye, edges, counts)
    table, used = new_table(1024), 0
    members = (shifts, factors)
    ends, cloud = np.empty((int(counts.sum()), 6)), np.zeros((CLOUD + 1, 5))
    whole, summary = np.zeros((shifts.shape[0], 5)), np.zeros((shifts.shape[0], 5))
    tracks = new_tracks(ends.shape[0], options[HOURS], options[EVERY])
    first = (releases[0, 2], releases[0, 4])
    columns = new_columns(shape[3] if options[STORMY] > 0.0 else 0)
    known = new_known(levels.size)
    particle = 0
    for stratum in range(releases.shape[0]):
        for q in range(int(counts[stratum])):
            who = (key, particle, stratum, q)
            table, used = _follow(
                fields,
                cells,
                members,
                releases,
                who,
                options,
                levels,
                widths,
                (waves, heights),
                columns,
                known,
                first,
                table,
                used,
                whole,
                ends,
                cloud,
                summary,
                tracks,
            )
            for member in range(shifts.shape[0]):
                end_particle(whole[member])
            particle += 1
        for member in range(shifts.shape[0]):
            end_stratum(whole[member], counts[stratum])
    keys, sums, owners = table
    found, total, error = finish(keys, sums, owners, counts)
    summary[:, 0], summary[:, 1] = whole[:, TOTAL], np.sqrt(whole[:, VARIANCE])
    return found, total, error, ends, summary, cloud, tracks
