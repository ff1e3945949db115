"""All references of STILT in one table: ours, STILT's, and STILT's second run, in all, by age and on the map.

STILT's turbulence is taken, and its mixing height where it holds another than the file. STILT takes omega as if the
ground were level (``vertical = "omega"``): with that wind we must agree within the noise. What our own vertical wind
makes of it over hills stands beside; `inversion.transport.check.filling` tells which of the two keeps even air even.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from inversion.transport.check.mixing_height import with_mixing_height
from inversion.transport.check.worlds import Row, release
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from obsnet.grid import Grid
from obsnet.met import Met, open_met
from obsnet.times import from_epoch, to_epoch
from obsnet.typing import Floats

__all__ = ["references", "table_of"]


@dataclass(frozen=True)
class _Reference:
    """One receptor: footprints of two runs, by age for the mixing height ("" for the file's), meteorology, place.

    `vertical` is the vertical wind that ours is run with; `same` says that STILT's is no other.
    """

    name: str
    first: str
    second: str
    by_age: str
    met: str
    end: str
    place: tuple[float, float, float]
    particles: int
    ages: tuple[int, ...]
    coarse: int
    vertical: str = "continuity"
    same: bool = True


_DAY = (0, 1, 3, 6, 12, 24)
_HILLS = _Reference(
    "ERA5, night, hills, 50 m",
    "stilt_more/era5_ulm_nosmooth_foot.nc",
    "stilt_more/era5_ulm_rep2_nosmooth_foot.nc",
    "",
    "met/era5_regrid.nc",
    "2025-05-01T02:00",
    (48.4, 9.9, 50.0),
    3000,
    (0, 1, 2),
    5,
    same=False,
)
REFERENCES = (
    _Reference(
        "afternoon, flat, 10 m",
        "stilt_synthetic/synt_surf_2000_nosmooth_foot.nc",
        "stilt_synthetic/synt_surf_1000_foot.nc",
        "stilt_synthetic/synt_surf_2000_byage.csv",
        "met/synt.nc",
        "2024-04-02T06:00",
        (39.9, 116.4, 10.0),
        2000,
        _DAY,
        5,
    ),
    _Reference(
        "night, flat, 10 m",
        "stilt_more/synt_night_nosmooth_foot.nc",
        "stilt_more/synt_night_rep2_nosmooth_foot.nc",
        "stilt_more/synt_night_byage.csv.gz",
        "met/synt.nc",
        "2024-04-02T20:00",
        (39.9, 116.4, 10.0),
        1000,
        _DAY,
        5,
    ),
    _HILLS,
    replace(_HILLS, name=f"{_HILLS.name}, STILT's w", vertical="omega", same=True),
)


def references(reference: Path, scale: float = 1.0) -> Iterator[Row]:
    """Run each reference that is there; `scale` multiplies its number of particles."""
    for one in REFERENCES:
        if all((reference / name).exists() for name in (one.first, one.second, one.met)):
            yield _row(one, reference, scale)


def _row(one: _Reference, folder: Path, scale: float) -> Row:
    theirs = xr.load_dataset(folder / one.first, engine="netcdf4")["foot"]
    hours = one.ages[-1]
    first = _by_hour(theirs, one, hours)
    second = _by_hour(xr.load_dataset(folder / one.second, engine="netcdf4")["foot"], one, hours)
    met = open_met([folder / one.met], vertical=one.vertical)
    if one.by_age:
        mixing = pd.read_csv(folder / one.by_age, header=[0, 1], index_col=0)["mlht"]["mean"]
        met = with_mixing_height(met, folder / one.met, mixing, float(to_epoch(np.datetime64(one.end))))
    ours, noise = _ours(met, one, theirs, max(int(one.particles * scale), 1))
    total, again = ours.sum() / first.sum(), second.sum() / first.sum()
    classes = list(zip(one.ages[:-1], one.ages[1:], strict=True))
    ages = {
        f"{a}-{b} h": [float(m[a:b].sum() / first[a:b].sum()) for m in (ours, second)] for a, b in classes
    }
    overlap = [_overlap(m, first, one.coarse) for m in (ours, second)]
    by_age = ", ".join(f"{name} {mine:.2f} ({own:.2f})" for name, (mine, own) in ages.items())
    return Row(
        f"STILT's references: {one.name}",
        100.0 * abs(total - 1.0),
        # Two runs differ by sqrt(2) of our noise, and STILT's two by what they do.
        100.0 * (2.0 * np.sqrt(2.0) * noise + abs(again - 1.0)) if one.same else np.nan,
        "%",
        f"total {ours.sum():.3f}, STILT {first.sum():.3f} and {second.sum():.3f}, our noise {100 * noise:.1f} %; ours "
        f"over STILT (STILT over STILT) {by_age}; overlap {overlap[0]:.3f} ({overlap[1]:.3f})",
        {
            "kind": "references",
            "name": one.name,
            "total": [float(ours.sum()), float(first.sum()), float(second.sum())],
            "ratio": [float(total), float(again)],
            "ages": ages,
            "overlap": overlap,
            "noise": noise,
        },
    )


def _by_hour(foot: xr.DataArray, one: _Reference, hours: int) -> Floats:
    """Return footprints by hour of age, the latest first; hours stand at their beginning, empty ones are absent."""
    end = np.datetime64(one.end)
    out = np.zeros((hours, foot.sizes["lat"], foot.sizes["lon"]))
    for n, time in enumerate(foot["time"].to_numpy()):
        age = int((end - time) / np.timedelta64(1, "h")) - 1
        out[age] += foot.transpose("time", "lat", "lon").to_numpy()[n]
    return out


def _ours(met: Met, one: _Reference, theirs: xr.DataArray, particles: int) -> tuple[Floats, float]:
    """Return the same of ours on the same cells, and the relative noise of the sum.

    Particles are followed to half a degree before the edge of the meteorology, where STILT drops them, or to the last
    of its cells.
    """
    lat, lon = (theirs[n].to_numpy().astype(np.float64) for n in ("lat", "lon"))
    south, north, west, east = met.bounds
    dy, dx = float(lat[-1] - lat[0]) / (lat.size - 1), float(lon[-1] - lon[0]) / (lon.size - 1)
    reach = (
        (lat[0] - dy / 2 - south, dy),
        (north - lat[-1] - dy / 2, dy),
        (lon[0] - dx / 2 - west, dx),
        (east - lon[-1] - dx / 2, dx),
    )
    below, above, left, right = (max(int(np.floor((room - 0.5) / step + 1e-6)), 0) for room, step in reach)
    grid = Grid(
        lat[0] - dy / 2 + dy * np.arange(-below, lat.size + above + 1),
        lon[0] - dx / 2 + dx * np.arange(-left, lon.size + right + 1),
    )
    hours, end = one.ages[-1], float(to_epoch(np.datetime64(one.end)))
    run = ParticleSettings(turbulence="stilt", hours=float(hours), particles=particles)
    edges = from_epoch(end + 3600.0 * np.arange(-hours, 1))
    found = simulate(met, release("stilt", end, *one.place, particles), grid, edges, run)
    flat = np.zeros((hours, grid.size))
    table = found.sensitivity
    flat[table["time_bin"].to_numpy(), table["cell"].to_numpy()] = table["sensitivity"].to_numpy()
    cut = flat.reshape(hours, *grid.shape)[::-1, below : below + lat.size, left : left + lon.size]
    row = found.receptors.to_pylist()[0]
    return cut, float(row["total_stderr"] / row["total"])


def _overlap(a: Floats, b: Floats, coarse: int) -> float:
    """Return the shared part of two maps of unit sum, over squares of `coarse` cells a side."""
    maps = []
    for by_hour in (a, b):
        whole = by_hour.sum(axis=0)
        rows, columns = (-(-n // coarse) * coarse for n in whole.shape)
        filled = np.zeros((rows, columns))
        filled[: whole.shape[0], : whole.shape[1]] = whole / whole.sum()
        maps.append(filled.reshape(rows // coarse, coarse, columns // coarse, coarse).sum(axis=(1, 3)))
    return float(np.minimum(*maps).sum())


def table_of(rows: Sequence[Row]) -> list[str]:
    """Return one table over all references among the rows, as lines of Markdown; none where there is no reference."""
    chosen = [row.series for row in rows if row.series.get("kind") == "references"]
    if not chosen:
        return []
    head = [
        "STILT's reference",
        "ours",
        "STILT",
        "again",
        "ours / STILT",
        "again / STILT",
        "by age: ours (again)",
    ]
    lines = [f"| {' | '.join([*head, 'overlap (again)'])} |", f"|{' --- |' * (len(head) + 1)}"]
    for one in chosen:
        ours, first, second = (f"{v:.3f}" for v in one["total"])
        ratio, again = (f"{v:.3f}" for v in one["ratio"])
        ages = ", ".join(f"{name} {mine:.2f} ({own:.2f})" for name, (mine, own) in one["ages"].items())
        overlap = "{:.3f} ({:.3f})".format(*one["overlap"])
        lines.append(
            f"| {one['name']} | {ours} | {first} | {second} | {ratio} | {again} | {ages} | {overlap} |"
        )
    return lines
