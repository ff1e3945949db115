"""Particles of several receptors through prepared meteorology: checks, kernel, tables."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from inversion.transport.convection.columns import check_storms
from inversion.transport.kernels.random import key_of
from inversion.transport.particles.langevin import FREE_DIFFUSIVITY, OPTIONS, langevin
from inversion.transport.particles.mixed_layer import mixed_layer
from inversion.transport.particles.settings import NEAR_FIELD, ParticleSettings
from inversion.transport.particles.tables import Footprints, as_tables
from inversion.transport.particles.walk import STILT_LEVELS
from inversion.transport.particles.wind_error import NO_WAVES
from inversion.transport.receptors.releases import Receptors, Swarm
from obsnet.errors import GridError, RangeError
from obsnet.grid import Grid
from obsnet.met import Met
from obsnet.places import extent_text
from obsnet.times import from_epoch, to_epoch
from obsnet.typing import Floats, Times

__all__ = ["simulate"]


def simulate(
    met: Met,
    receptors: Receptors,
    grid: Grid,
    edges: Times,
    settings: ParticleSettings,
    *,
    threads: int = 1,
    waves: Floats = NO_WAVES,
    heights: Floats = NO_WAVES,
    turn: str = "",
) -> Footprints:
    """Run particles backward from every receptor.

    Parameters
    ----------
    met : Met
        Must cover `grid` and the period.
    receptors : Receptors
        See `from_observations`.
    grid : Grid
        Of the fluxes; its outer edges are the domain that particles leave.
    edges : ndarray of datetime64, shape (n_time + 1,)
        Flux time bins.
    settings : ParticleSettings
        Physics and size.
    threads : int
        Swarms at a time; the result does not depend on it.
    waves : ndarray, shape (2 n, 7), optional
        Error of the wind that all particles feel, of `inversion.transport.particles.wind_error.wind_error_waves`.
    heights : ndarray, shape (n, 7), optional
        Error of the boundary-layer height, of
        `inversion.transport.particles.mixing_height_error.mixing_height_waves`.
    turn : str
        With another one the same receptors meet other random numbers.

    Returns
    -------
    Footprints
        Sensitivity in ppm / (umol m-2 s-1), extensive per cell and time bin, with Monte-Carlo standard errors;
        shares of the receptor's air by side and time bin of exit (their sum is the sum of its weights).

    Raises
    ------
    GridError, RangeError
        The meteorology does not cover the grid or the period.
    MissingVariableError
        Storms are asked for, and the meteorology has no humidity or ends too low.
    """
    axes, xe, ye, releases = _geometry(met, grid, receptors)
    bins = to_epoch(edges)
    _check_period(met, bins, releases, settings)
    if settings.stormy:
        check_storms(met)
    kernel, arguments = _kernel(settings)
    swarms = receptors.swarms

    def one(n: int) -> list[Any]:
        swarm, part = swarms[n], releases[receptors.offsets[n] : receptors.offsets[n + 1]]
        shifts = swarm.shifts / np.array([axes[5], axes[3]])
        key = np.uint64(key_of(settings.seed, swarm.name + turn))
        fields = (met.wind, met.surface, met.state, axes, xe, ye, bins)
        given = (*fields, part, shifts, swarm.factors, key, *arguments)
        return _by_member(run(given, part), swarm, grid.size * (bins.size - 1))

    def run(given: tuple[Any, ...], part: Floats) -> Any:
        if settings.turbulence == "mixed-layer":
            return kernel(*given, waves, heights)
        found = kernel(*given, np.zeros(0), waves, heights)
        if not settings.smooth:
            return found
        return kernel(*given, _widths(found[5], part, axes, settings), waves, heights)

    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(one, range(len(swarms))))
    else:
        found = [one(n) for n in range(len(swarms))]
    results = [result for members in found for result in members]
    return as_tables(receptors, results, grid, bins, met, settings.direction)


def _by_member(result: Any, swarm: Swarm, entries: int) -> list[Any]:
    """Return what a kernel found for each member of a swarm, as if it had run alone."""
    keys, values, errors, ends, summary, *more = result
    cuts = np.searchsorted(keys, entries * np.arange(swarm.factors.shape[0] + 1))
    found = []
    for n, factors in enumerate(swarm.factors):
        rows = slice(cuts[n], cuts[n + 1])
        own = ends.copy()
        own[:, 5] *= factors
        found.append((keys[rows] - n * entries, values[rows], errors[rows], own, summary[n], *more))
    return found


def _in_nodes(met: Met, grid: Grid) -> tuple[Floats, Floats]:
    """Return the flux grid's edges in nodes of the meteorological grid, or say that it is too small."""
    turn = 360.0 * np.round(
        (0.5 * (met.lon[0] + met.lon[-1]) - 0.5 * (grid.lon_edges[0] + grid.lon_edges[-1])) / 360.0
    )
    xe = (grid.lon_edges + turn - met.lon[0]) / (met.lon[1] - met.lon[0])
    ye = (grid.lat_edges - met.lat[0]) / (met.lat[1] - met.lat[0])
    reach = 0.5 + 1e-6
    if (
        xe[0] < -reach
        or xe[-1] > met.lon.size - 1 + reach
        or ye[0] < -reach
        or ye[-1] > met.lat.size - 1 + reach
    ):
        raise GridError(
            f"the grid of fluxes ({grid}) runs beyond the meteorology ({', '.join(extent_text(*met.bounds))})"
        )
    return np.ascontiguousarray(xe), np.ascontiguousarray(ye)


def _geometry(met: Met, grid: Grid, receptors: Receptors) -> tuple[Floats, ...]:
    """Return what kernels need to know of the axes, the flux grid's edges, and releases in nodes."""
    xe, ye = _in_nodes(met, grid)
    releases = receptors.releases.copy()
    for column, axis in ((2, met.lon), (3, met.lon), (4, met.lat), (5, met.lat)):
        releases[:, column] = (releases[:, column] - axis[0]) / (axis[1] - axis[0])
    spacing = 1.0 / met.step if met.step else 0.0
    geometry = (met.lat[0], met.lat[1] - met.lat[0], met.lon[0], met.lon[1] - met.lon[0])
    axes = np.array([met.times[0], spacing, *geometry, 1.0 / met.top, met.top / (met.height.size - 1) ** 2])
    return axes, xe, ye, releases


def _check_period(met: Met, bins: Floats, releases: Floats, settings: ParticleSettings) -> None:
    """Refuse meteorology or time bins that do not cover the particles' paths."""
    if met.times.size < 2:
        raise RangeError(f"particles need two times of meteorology at least, found {met.times.size}")
    if not len(releases):
        return
    reach = settings.direction * settings.hours * 3600.0
    first = min(releases[:, 0].min(), releases[:, 0].min() + reach)
    last = max(releases[:, 1].max(), releases[:, 1].max() + reach)
    if first < met.times[0] - 1e-3 or last > met.times[-1] + 1e-3:
        raise RangeError(f"the meteorology covers {met.start} to {met.stop}, the particles need more")
    if first < bins[0] - 1e-3 or last > bins[-1] + 1e-3:
        covered = f"{from_epoch(bins[0])} to {from_epoch(bins[-1])}"
        raise RangeError(f"the flux time bins {covered} do not cover the particles' paths")


def _widths(
    cloud: Floats,
    part: Floats,
    axes: Floats,
    settings: ParticleSettings,
) -> Floats:
    """Return the smoothing kernel's bandwidth (degrees) by age.

    ``0.06 smooth (var lon + var lat)^(1/4) (age / day)^(1/2) / cos(lat)`` (Fasoli et al. 2018,
    doi:10.5194/gmd-11-2813-2018, eq. 5, as their code has it), from the cloud itself.
    """
    count = np.maximum(cloud[:, 0], 1.0)
    mean_x, mean_y = cloud[:, 1] / count, cloud[:, 2] / count
    variance = np.maximum(cloud[:, 3] / count - mean_x**2, 0.0) * axes[5] ** 2
    variance += np.maximum(cloud[:, 4] / count - mean_y**2, 0.0) * axes[3] ** 2
    lat = axes[2] + axes[3] * (part[0, 4] + mean_y)
    days = np.linspace(0.0, settings.hours / 24.0, cloud.shape[0])
    return np.asarray(0.06 * settings.smooth * variance**0.25 * np.sqrt(days) / np.cos(np.deg2rad(lat)))


def _kernel(settings: ParticleSettings) -> tuple[Any, tuple[Any, ...]]:
    """Return the kernel of a turbulence and its last arguments."""
    if settings.turbulence == "mixed-layer":
        names = ("hours", "timestep", "diffusivity", "floor", "decay", "every", "stormy")
        return mixed_layer, tuple(float(getattr(settings, name)) for name in names)
    values = {
        "sign": settings.direction,
        "near_field": NEAR_FIELD.index(str(settings.near_field)),
        "turbulent": settings.turbulence != "none",
        "spread": FREE_DIFFUSIVITY,
    }
    levels = STILT_LEVELS if settings.turbulence == "stilt" else np.zeros(0)
    return langevin, (np.array([float(values.get(n, getattr(settings, n, 0.0))) for n in OPTIONS]), levels)
