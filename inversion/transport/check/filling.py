"""Honesty test of whole winds: air that fills a domain evenly must go on filling it evenly.

Particles are strewn in proportion to mass and follow the weather for hours, forward or backward. Boxes whose air has
been inside all the time, as probes sent the other way tell, must hold the number that their mass says. What is left of
the spread of these numbers after the counting noise is how far the winds, as particles see them, fail to conserve mass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from inversion.transport.check.worlds import Row, plain_world
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from inversion.transport.receptors.releases import Receptors
from obsnet.grid import Grid
from obsnet.met import Met, open_met
from obsnet.met.continuity import conserve_mass
from obsnet.times import from_epoch
from obsnet.typing import Bools, Floats

__all__ = ["Filling", "domain_filling", "spread", "waves"]

LAYERS = (0.0, 150.0, 400.0, 800.0)  # m
SIDE = 6  # boxes along a side of the domain
TOP = 2500.0  # m, up to which the domain is filled
ACCEPTED = 0.05


@dataclass(frozen=True, eq=False)
class Filling:
    """Boxes after a run.

    Parameters
    ----------
    ratio, expected : ndarray of float64, shape (layers, boxes, boxes)
        Particles found over particles expected, and the latter.
    inside : ndarray of bool, shape (layers, boxes, boxes)
        Whose air has been in the domain all the time.
    """

    ratio: Floats
    expected: Floats
    inside: Bools

    @property
    def excess(self) -> float:
        """Relative spread of density beyond the counting noise."""
        return _excess(self.ratio[self.inside], self.expected[self.inside])

    @property
    def lowest(self) -> float:
        """The same of the lowest layer; NaN where none of its boxes is left."""
        inside = self.inside[0]
        return _excess(self.ratio[0][inside], self.expected[0][inside]) if inside.any() else float("nan")

    @property
    def noise(self) -> float:
        """Relative spread by counting alone."""
        return float(np.sqrt(np.mean(1.0 / self.expected[self.inside])))


def _excess(ratio: Floats, expected: Floats) -> float:
    return float(np.sqrt(max(float(np.mean((ratio - 1.0) ** 2) - np.mean(1.0 / expected)), 0.0)))


def spread(
    met: Met, *, turbulence: str, direction: int, hours: float, particles: int = 60000, seed: int = 0
) -> Filling:
    """Fill a domain with particles, let them go and count them.

    Parameters
    ----------
    met : Met
        The weather; the run begins at its first time, or backward at its last.
    turbulence, direction, hours
        Of the run.
    particles : int
        In all.
    seed : int
        Of their places.
    """
    rng = np.random.default_rng(seed)
    south, north, west, east = met.bounds
    sine = np.sin(np.deg2rad([south, north]))
    lat = np.rad2deg(np.arcsin(rng.uniform(sine[0], sine[1], particles)))
    lon = rng.uniform(west, east, particles)
    start = float(met.times[0] if direction > 0 else met.times[-1])
    z = _by_mass(met, start, lat, lon, rng.uniform(0.0, 1.0, particles))
    end = _ends(met, lat, lon, z, start, turbulence, direction, hours, seed)
    edges = np.linspace(south, north, SIDE + 1), np.linspace(west, east, SIDE + 1)
    counts = np.histogramdd(end, bins=[np.array(LAYERS), *edges])[0]
    reverse = start + direction * 3600.0 * hours
    share = _mass(met, reverse, edges) / _mass(met, start, (edges[0][[0, -1]], edges[1][[0, -1]]), whole=True)
    expected = particles * share
    return Filling(counts / expected, expected, _inside(met, edges, reverse, -direction, hours))


def _columns(met: Met, time: float) -> Floats:
    """Return mass of dry air below each height (kg m-2) at each node, shape (ny, nx, nz), at a time of the weather."""
    n = int(np.argmin(np.abs(met.times - time)))
    rho = met.wind[n, ..., 3].astype(np.float64)
    layers = 0.5 * (rho[..., 1:] + rho[..., :-1]) * np.diff(met.height)
    return np.concatenate([np.zeros((*rho.shape[:2], 1)), np.cumsum(layers, axis=-1)], axis=-1)


def _at(met: Met, field: Floats, lat: Floats, lon: Floats) -> Floats:
    """Return the values of ``field(lat, lon, ...)`` at the nearest nodes."""
    j = np.clip(np.rint((lat - met.lat[0]) / (met.lat[1] - met.lat[0])).astype(int), 0, met.lat.size - 1)
    i = np.clip(np.rint((lon - met.lon[0]) / (met.lon[1] - met.lon[0])).astype(int), 0, met.lon.size - 1)
    return field[j, i]


def _by_mass(met: Met, time: float, lat: Floats, lon: Floats, share: Floats) -> Floats:
    """Return heights below which a share of each column's mass up to `TOP` lies."""
    mass = _at(met, _columns(met, time), lat, lon)
    whole = np.array([np.interp(TOP, met.height, m) for m in mass])
    # Columns that hold less have fewer particles: those beyond their mass start above the layers that are judged.
    full = whole.max()
    return np.array([np.interp(s * full, m, met.height) for s, m in zip(share, mass, strict=True)])


def _mass(met: Met, time: float, edges: tuple[Floats, Floats], *, whole: bool = False) -> Floats:
    """Return the mass of boxes and layers in units of that of all particles' air, up to a factor."""
    columns = _columns(met, time)
    sine, lon = np.sin(np.deg2rad(edges[0])), edges[1]
    if whole:
        full = max(np.interp(TOP, met.height, m) for m in columns.reshape(-1, met.height.size))
        return np.asarray(full * (sine[-1] - sine[0]) * (lon[-1] - lon[0]))
    parts = 8
    out = np.zeros((len(LAYERS) - 1, SIDE, SIDE))
    for j in range(SIDE):
        for i in range(SIDE):
            s = sine[j] + (sine[j + 1] - sine[j]) * (np.arange(parts) + 0.5) / parts
            x = lon[i] + (lon[i + 1] - lon[i]) * (np.arange(parts) + 0.5) / parts
            lat, lon_ = (a.ravel() for a in np.meshgrid(np.rad2deg(np.arcsin(s)), x))
            below = np.array([np.interp(LAYERS, met.height, m) for m in _at(met, columns, lat, lon_)])
            area = (sine[j + 1] - sine[j]) * (lon[i + 1] - lon[i])
            out[:, j, i] = np.diff(below.mean(axis=0)) * area
    return out


def _ends(
    met: Met,
    lat: Floats,
    lon: Floats,
    z: Floats,
    start: float,
    turbulence: str,
    direction: int,
    hours: float,
    seed: int,
) -> Floats:
    """Return where particles are after the run: height, latitude, longitude; NaN for those that left."""
    one = np.ones(lat.size)
    rows = np.stack(
        [start * one, start * one, lon, lon, lat, lat, z, z, one, 0.5 * one, 0.5 * one, one], axis=1
    )
    receptor = Receptors(np.array(["fill"]), np.array([0, lat.size]), rows, np.zeros(1), {})
    south, north, west, east = met.bounds
    grid = Grid(np.linspace(south, north, 3), np.linspace(west, east, 3))
    run = ParticleSettings(
        turbulence=turbulence,
        hours=hours,
        particles=1,
        seed=seed,
        **({} if turbulence == "mixed-layer" else {"direction": direction}),
    )
    other = start + direction * 3600.0 * hours
    edges = from_epoch(np.array([min(start, other), max(start, other)]))
    ends = simulate(met, receptor, grid, edges, run).endpoints.to_pandas()
    found = np.stack([ends["height_m"], ends["latitude"], met.wrap(ends["longitude"])], axis=1)
    return np.where((ends["side"] == "inside").to_numpy()[:, None], found, np.nan)


def _inside(met: Met, edges: tuple[Floats, Floats], start: float, direction: int, hours: float) -> Bools:
    """Tell which boxes' air comes from within the domain, by probes of the mean wind along their walls."""
    points = 4
    axes = [np.array([(a + 0.02) for a in LAYERS]), *edges]
    spots = []
    for axis in axes:
        low, high = axis[:-1], axis[1:]
        spots.append(low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, points))
    mesh = np.array(np.meshgrid(*(s.ravel() for s in spots), indexing="ij")).reshape(3, -1)
    margin = 0.02
    south, north, west, east = met.bounds
    lat = np.clip(mesh[1], south + 1e-3, north - 1e-3)
    lon = np.clip(mesh[2], west + 1e-3, east - 1e-3)
    end = _ends(met, lat, lon, mesh[0], start, "none", direction, hours, 0)
    dy, dx = margin * (north - south), margin * (east - west)
    good = (
        (end[:, 0] < 0.8 * TOP)
        & (end[:, 1] > south + dy)
        & (end[:, 1] < north - dy)
        & (end[:, 2] > west + dx)
        & (end[:, 2] < east - dx)
    )
    shape = (len(LAYERS) - 1, points, SIDE, points, SIDE, points)
    return np.asarray(good.reshape(shape).all(axis=(1, 3, 5)))


def waves(*, wave: float = 2.0, hours: int = 24) -> Met:
    """Return a world whose winds converge and diverge over waves of 12 degrees, and the vertical wind of them."""
    met = plain_world(u=0.5, v=-0.3, h=800.0, ustar=0.3, heat=20.0, hours=hours, step=1.0, spacing=0.5)
    lam = 2.0 * np.pi * (met.lon - met.lon[0]) / 12.0
    phi = 2.0 * np.pi * (met.lat - met.lat[0]) / 12.0
    profile = np.exp(-met.height / 3000.0)
    for n in range(met.times.size):
        turn = 1.0 + 0.5 * np.cos(2.0 * np.pi * n / 24.0)
        met.wind[n, ..., 0] += wave * turn * np.sin(lam)[None, :, None] * np.cos(phi)[:, None, None] * profile
        met.wind[n, ..., 1] += wave * np.sin(phi)[:, None, None] * np.cos(lam)[None, :, None] * profile
    for n in range(met.times.size):
        before, after = max(n - 1, 0), min(n + 1, met.times.size - 1)
        span = float(met.times[after] - met.times[before])
        conserve_mass(met.wind[n], met.wind[before], met.wind[after], span, met.height, met.lat, met.lon)
    return met


# Files of the reference, hours, and from and to which time.
_REAL = {
    "ERA5, night, hills": ("met/era5_regrid.nc", 2.0, None, None),
    "WRF": ("wrf/wrf_mercator_sample.nc", 3.0, None, None),
    "made-up day": ("met/synt.nc", 24.0, "2024-04-02T00:00", "2024-04-03T00:00"),
}


_VERTICAL = {"continuity": "", "file": "the file's own w", "omega": "STILT's w"}
_TIMES = {"none": 3.0, "stilt": 1.0 / 3.0}  # particles, by what they cost


def domain_filling(reference: Path | None = None, particles: int = 60000) -> Iterator[Row]:
    """Fill a made-up world, and the reference's, and let the air go both ways, with the mean wind and with turbulence.

    Beside the mean wind stands what the file's own vertical wind would do, and omega taken as it is, as STILT does.
    """
    yield from _rows("waves", waves(), 24.0, particles)
    for name, (file, hours, start, stop) in _REAL.items():
        if reference is None or not (reference / file).exists():
            continue
        period = [None if t is None else np.datetime64(t) for t in (start, stop)]
        for vertical, text in _VERTICAL.items():
            met = open_met([reference / file], start=period[0], stop=period[1], vertical=vertical)
            if vertical == "continuity":
                yield from _rows(name, met, hours, particles)
            else:
                others = _rows(f"{name}, {text}", met, hours, particles, ("none",))
                yield from (replace(row, accepted=np.nan) for row in others)


def _rows(
    name: str, met: Met, hours: float, particles: int, schemes: tuple[str, ...] = ("none", "hanna", "stilt")
) -> Iterator[Row]:
    for turbulence in schemes:
        for direction in (-1, 1):
            number = round(_TIMES.get(turbulence, 1.0) * particles)
            found = spread(met, turbulence=turbulence, direction=direction, hours=hours, particles=number)
            way = "backward" if direction < 0 else "forward"
            yield _row(f"filling, {name}, {hours:g} h, {turbulence}, {way}", found)


def _row(name: str, found: Filling) -> Row:
    number = int(found.inside.sum())
    if number == 0:
        return Row(name, np.nan, np.nan, "%", "no box keeps its air inside the domain for so long")
    ratio = found.ratio[found.inside]
    # Three standard errors of the mean square that is left when the counting noise is taken off.
    chance = 3.0 * found.noise**2 * np.sqrt(2.0 / number)
    lowest = found.lowest
    return Row(
        name,
        100.0 * found.excess,
        100.0 * float(np.sqrt(ACCEPTED**2 + chance)),
        "%",
        f"spread of density beyond counting noise of {100 * found.noise:.1f} %; below {LAYERS[1]:g} m "
        f"{100 * lowest:.1f} %; {number} boxes, {ratio.min():.2f} to {ratio.max():.2f}, mean {ratio.mean():.3f}",
    )
