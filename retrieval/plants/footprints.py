"""What stations would see of a planned plant: its cell of their footprints, read as files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from obsnet import schema
from obsnet.constants import species as species_of
from obsnet.errors import ConfigError, FormatError, RangeError, UnitError
from obsnet.grid import Grid
from obsnet.parquet import read_table
from obsnet.seal import read_json
from obsnet.store import ObservationStore
from obsnet.typing import Floats, Texts, Times
from obsnet.units import conversion_factor
from retrieval.plants.options import PlannedTable

__all__ = ["NetworkView", "StationView", "station_views"]

_UNIT = "ppm / (umol m-2 s-1)"
_LIMIT = 3.0  # standard errors that an emission must exceed, as for plumes


@dataclass(frozen=True)
class StationView:
    """What one source of observations, a station or a satellite, would see.

    Parameters
    ----------
    source : str
        As the observation store calls it; ``all`` for all together.
    observations, days : int
        With a footprint.
    largest, mean : float
        Increment of an observation, ppm.
    above : float
        Share of observations whose increment exceeds the error of one.
    limit : float
        Smallest steady emission that they would show together, kg s-1; infinite where none feels the cell.
    seen : bool
        Whether the plant's emission is above it.
    """

    source: str
    observations: int
    days: int
    largest: float
    mean: float
    above: float
    limit: float
    seen: bool


@dataclass(frozen=True)
class NetworkView:
    """All sources.

    Parameters
    ----------
    stations : tuple of StationView
        Lowest limit first.
    together : StationView
        All observations, errors of different sources independent.
    cell_km : float
        Side of a square as large as the cell over which the emission is spread.
    model : str
        That the footprints are of.
    """

    stations: tuple[StationView, ...]
    together: StationView
    cell_km: float
    model: str


def station_views(options: PlannedTable) -> NetworkView:
    """Return what the observations of a folder of footprints would see of a planned plant.

    Parameters
    ----------
    options : PlannedTable
        With `footprints`, `store` and `station_error`.

    Raises
    ------
    ConfigError, FormatError, UnitError
        No footprints there, of another species or unit, or of observations that the store does not have.
    RangeError
        A plant outside their grid.

    Notes
    -----
    A steady emission Q makes in each observation ``h Q = (Σ_bins s) Q / (M A)``, s the sensitivity of the plant's cell
    (ppm per µmol m-2 s-1, extensive), M the molar mass and A the cell's area. Errors of one source within a UTC day are
    taken as one and the same, those of different days and sources as independent: with the mean h of each day the best
    weighted sum has the standard error ``σ / √(Σ_days h²)``, of which the limit is three.
    """
    folder = options.footprints
    assert folder is not None
    assert options.store is not None
    assert options.station_error is not None
    grid, model = _described(folder)
    cell = int(grid.index(options.latitude, options.longitude))
    if cell < 0:
        south, north, west, east = grid.bounds
        raise RangeError(
            f"{folder}: the plant at {options.latitude:g}, {options.longitude:g} lies outside the footprints' grid "
            f"({south:g} to {north:g} north, {west:g} to {east:g} east)"
        )
    area = float(grid.cell_area.ravel()[cell])
    ids, felt = _felt(folder, cell)
    source, day = _observed(options.store, ids, folder)
    per_rate = felt * 1e6 / (species_of("CO2").molar_mass * area)
    views = [_view(str(s), per_rate[source == s], day[source == s], options) for s in np.unique(source)]
    views.sort(key=lambda v: (v.limit, v.source))
    told = sum(_LIMIT**2 / v.limit**2 for v in views)
    limit = _LIMIT / float(np.sqrt(told)) if told else float("inf")
    # increments and days are those of all observations, the limit is not: errors of two sources on a day are two
    together = replace(_view("all", per_rate, day, options), limit=limit, seen=options.emission > limit)
    return NetworkView(tuple(views), together, float(np.sqrt(area)) / 1e3, model)


def _view(source: str, per_rate: Floats, day: Times, options: PlannedTable) -> StationView:
    days, which = np.unique(day, return_inverse=True)
    daily = np.bincount(which, per_rate) / np.bincount(which)
    squared = float(daily @ daily) / float(options.station_error or 0.0) ** 2
    limit = _LIMIT / float(np.sqrt(squared)) if squared > 0.0 else float("inf")
    increment = per_rate * options.emission
    return StationView(
        source,
        len(per_rate),
        len(days),
        float(increment.max()),
        float(increment.mean()),
        float(np.mean(increment > (options.station_error or 0.0))),
        limit,
        options.emission > limit,
    )


def _described(folder: Path) -> tuple[Grid, str]:
    target = folder / "meta.json"
    if not target.is_file():
        raise FormatError(
            f"{folder}: no footprints here (meta.json is missing); give the folder that obsnet footprints run "
            "or convert wrote"
        )
    meta = read_json(target)
    if meta.get("version") != schema.VERSION:
        raise FormatError(f"{target}: not footprints of version {schema.VERSION}")
    if meta.get("species") not in (None, "CO2"):
        raise FormatError(
            f"{target}: footprints of {meta['species']}; a plant's increment needs those of CO2"
        )
    unit = str(meta.get("unit", _UNIT))
    if abs(conversion_factor(unit, _UNIT) - 1.0) > 1e-9:
        raise UnitError(f"{target}: sensitivities in {unit!r}; {_UNIT} is wanted")
    return Grid.from_dict(meta["grid"]), str(meta.get("model", ""))


def _felt(folder: Path, cell: int) -> tuple[Texts, Floats]:
    """Return all observations, and what each feels of a cell over all time bins."""
    total: dict[str, float] = {}
    for part in sorted((folder / "sensitivity").glob("[!.]*.parquet")):
        table = read_table(part, schema.SENSITIVITY)
        for name in table["obs_id"].unique().to_pylist():
            total.setdefault(name, 0.0)
        here = table.filter(pc.equal(table["cell"], cell))
        for name, value in zip(here["obs_id"].to_pylist(), here["sensitivity"].to_pylist(), strict=True):
            total[name] += value
    if not total:
        raise FormatError(f"{folder}: no footprints in it")
    return np.array(list(total)), np.array(list(total.values()), dtype=np.float64)


def _observed(store: Path, ids: Texts, folder: Path) -> tuple[Texts, Times]:
    """Return the source and the UTC day of each observation."""
    table = ObservationStore(store).read("CO2", columns=["obs_id", "source", "time"])
    known = {name: k for k, name in enumerate(table["obs_id"].to_pylist())}
    missing = [name for name in ids.tolist() if name not in known]
    if missing:
        raise ConfigError(
            f"{store}: {len(missing)} of {len(ids)} observations with footprints in {folder} are not in it, e.g. "
            f"{missing[0]!r}; give the store that the footprints were made of"
        )
    at = np.array([known[name] for name in ids.tolist()])
    source = np.array(table["source"].to_pylist())[at]
    time = np.asarray(table["time"].to_numpy(), dtype="datetime64[us]")[at]
    return source, time.astype("datetime64[D]")
