"""From a store of columns to a map: bin means, local kriging or fixed-rank kriging, with a held-out check."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from obsnet.cf import write_netcdf
from obsnet.constants import species as species_of
from obsnet.errors import ConfigError, RangeError, nearest
from obsnet.scales import one_scale
from obsnet.store import ObservationStore
from obsnet.work.kept import KeptResults, map_ordered
from obsnet.work.parallel import goes_to_dask
from obsnet.work.shards import require_finished
from obsnet.work.work import Work
from retrieval.mapping.dataset import (
    column_map,
    periods_without_columns,
    periods_without_value,
    write_geotiffs,
)
from retrieval.mapping.gridding import LEFT_OUT, bin_statistics, bin_store, read_soundings
from retrieval.mapping.left_out import leave_one_out
from retrieval.mapping.mappers import MAPPERS
from retrieval.mapping.periods import FEWEST, keeper, map_periods
from retrieval.mapping.scattered import Columns, near_grid
from retrieval.mapping.settings import METHODS, GridTable, MapSettings

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Map", "make_map", "read_columns", "run_grid"]

_ENOUGH_COLUMNS = 20_000  # that are foretold in about as long as several starts of workers take


@dataclass(frozen=True)
class Map:
    """A map and what is to be known about it.

    Parameters
    ----------
    data : xarray.Dataset
        See `column_map`.
    report : dict
        ``observations``, ``cells``, ``left_out``, the mean and the covariance that were fitted, and
        ``cross_validation`` (see `HeldOutScores`; of block means where a field was mapped).
    kept : KeptResults, optional
        Where its periods are kept until it is written.
    """

    data: xr.Dataset
    report: dict[str, Any]
    kept: KeptResults | None = None


def run_grid(table: GridTable, out: Path, work: Work | None = None) -> dict[str, Any]:
    """Do what the table ``[grid]`` of a case says, or the command: make the map and write its files.

    Parameters
    ----------
    table : GridTable
        What is mapped and where it goes.
    out : Path
        What the store's and the files' names are relative to.
    work : Work, optional
        Where the periods of a field are mapped; what a killed run had mapped of the same is taken.

    Returns
    -------
    dict
        `Map.report` and ``files``.
    """
    from retrieval.mapping.figures import write_pictures

    if work is not None:
        work.refuse_shard("a map is of all its periods")
    target = out / table.out
    made = make_map(ObservationStore(out / table.store), table, work, target)
    write_netcdf(made.data, target, history=f"mapped by {table.method}")
    if made.kept is not None:
        made.kept.forget()
    files = [target]
    draw = partial(write_pictures, language=table.language)
    for asked, write in ((table.geotiff, write_geotiffs), (table.pictures, draw)):
        if asked:
            folder = target.parent if asked is True else out / asked
            files += write(made.data, table.grid, table.species, folder)
    return {
        **made.report,
        "periods_without_value": periods_without_value(made.data, table.species),
        "periods_without_columns": periods_without_columns(made.data, table.species),
        "files": [str(f) for f in files],
    }


def make_map(
    store: ObservationStore, settings: MapSettings, work: Work | None = None, target: Path | None = None
) -> Map:
    """Map the good columns of a store.

    Parameters
    ----------
    store : ObservationStore
        Soundings or super-observations.
    settings : MapSettings
        What and how.
    work : Work, optional
        Where the periods of a field are mapped; bin means are one pass through the store in this process.
    target : Path, optional
        File that will be written: periods of a field are kept beside it until `KeptResults.forget`.

    Returns
    -------
    Map

    Raises
    ------
    ConfigError
        The store holds several sources and none was named.
    RangeError
        Nothing to map.
    ScaleError
        Columns on several calibration scales.
    UnfinishedError
        A run has not filled the store to its end.
    """
    without = require_finished(store.path, allow=settings.allow_missing)
    source = _source(store, settings)
    kept = None
    if settings.method == "bin":
        fields, report = _bin_map(store, settings, source)
    else:
        columns, scale = _near_columns(store, settings, source)
        kept = None if target is None else keeper(target, columns, settings)
        fields, report = _field_map(columns, settings, work, kept)
        report["scale"] = scale
    value = np.asarray(fields["value"])
    report["cells"] = int(np.isfinite(value).sum())
    report["cells_of"] = value.size
    if without:
        report["unfinished_inputs"] = without
    entry = species_of(settings.species)
    first, last = (np.datetime_as_string(t, unit="D") for t in settings.time_edges[[0, -1]])
    attrs = {
        "title": f"X{entry.name} from {source}, {first} to {last}",
        "summary": f"Column-average dry air mole fraction of {entry.name} mapped by "
        f"{METHODS[settings.method]}, with the standard deviation of the mapped value's error.",
        "source": source,
        "license": "terms of the producer of the columns",
        **_flat(report),
    }
    data = column_map(
        settings.grid,
        settings.time_edges,
        settings.species,
        fields,
        method=METHODS[settings.method],
        attrs=attrs,
    )
    return Map(data, {"method": settings.method, "source": source, **report}, kept)


def _flat(report: dict[str, Any]) -> dict[str, Any]:
    """Return the report as global attributes of plain numbers and text."""
    out: dict[str, Any] = {}
    for key, value in report.items():
        if isinstance(value, dict):
            out |= {f"{key}_{k}": v for k, v in _flat(value).items()}
        elif isinstance(value, str | int | float):
            out[key] = value
        elif value is not None:
            out[key] = str(value)
    return out


def _source(store: ObservationStore, settings: MapSettings) -> str:
    name = species_of(settings.species).name
    known = store.sources(name)
    if not known:
        raise ConfigError(
            f"{store.path} holds no {name}; there is: {', '.join(store.species()) or 'nothing'}"
        )
    if settings.source is None:
        if len(known) > 1:
            raise ConfigError(f"{store.path} holds several sources of {name}, name one: {', '.join(known)}")
        return known[0]
    if settings.source not in known:
        raise ConfigError(
            f"{store.path} has no {name} source {settings.source!r}{nearest(settings.source, known)}"
        )
    return settings.source


def read_columns(
    store: ObservationStore, species: str, source: str, start: Any, stop: Any
) -> tuple[Columns, str | None]:
    """Read the good columns of a source and their calibration scale.

    Raises
    ------
    ScaleError
        There are several scales.
    """
    names = ["latitude", "longitude", "time", "value", "uncertainty", "scale", "kind"]
    table = store.read(species, source=source, start=start, stop=stop, good_only=True, columns=names)
    table = table.filter(pc.equal(table["kind"], "column"))
    scale = one_scale(table, f"columns of {source}")
    lat, lon, value, sigma = (
        table[n].to_numpy().astype(np.float64) for n in ("latitude", "longitude", "value", "uncertainty")
    )
    time = table["time"].to_numpy().astype("datetime64[us]")
    return Columns(lat, lon, time, value, sigma), scale


def _bin_map(
    store: ObservationStore, settings: MapSettings, source: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    bins = bin_store(store, settings.species, settings.grid, settings.time_edges, sources=(source,))
    found = bin_statistics(bins, r=settings.r)
    n = int(found.count.sum())
    if n == 0:
        raise RangeError(f"no good {settings.species} column of {source} lies on the grid and in the periods")
    report: dict[str, Any] = {
        "observations": n,
        "left_out": {k: int(v) for k, v in zip(LEFT_OUT, bins.left_out, strict=True) if v},
    }
    spread, count = found.sd[found.count > 1], found.count[found.count > 1].astype(np.float64)
    if len(spread):
        report["spread_in_cells"] = float(np.sqrt(np.average(spread**2, weights=count - 1)))
    if settings.folds:
        first, last = bins.time_edges[[0, -1]]
        again = read_soundings(store, settings.species, first, last, sources=(source,))
        report["cross_validation"] = leave_one_out(bins, again, r=settings.r).to_dict()
    fields = {"value": found.mean, "uncertainty": found.uncertainty, "spread": found.sd, "count": found.count}
    return fields, report


def _near_columns(store: ObservationStore, settings: MapSettings, source: str) -> tuple[Columns, str | None]:
    """Return the columns that a field is made from, in order of time, and their scale."""
    window = np.timedelta64(round(settings.window_days * 86400e6), "us")
    edges = settings.time_edges.astype("datetime64[us]")
    columns, scale = read_columns(store, settings.species, source, edges[0] - window, edges[-1] + window)
    columns = columns.take(near_grid(columns, settings.grid))
    if len(columns) < FEWEST:
        raise RangeError(
            f"{len(columns)} good {settings.species} columns of {source} lie near the grid and the periods; "
            f"a field needs at least {FEWEST}"
        )
    return columns, scale


def _field_map(
    columns: Columns, settings: MapSettings, work: Work | None, kept: KeptResults | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Map by kriging of either kind."""
    if settings.method == "frk" and not (work is not None and goes_to_dask(work)):
        work = Work(scheduler="serial")  # its algebra takes all cores, and each fit much memory
    mapper = MAPPERS[settings.method](columns, settings)
    each = partial(map_ordered, work=work, what="folds", enough=len(columns) >= _ENOUGH_COLUMNS)
    scores = mapper.validate(columns, each) if settings.folds else []  # before the periods: it widens them
    made = map_periods(mapper, columns, settings, work, kept)
    report: dict[str, Any] = {
        "observations": len(columns),
        "reach_km": settings.reach_km,
        "left_empty": made.empty,
    }
    if settings.max_sd is not None:
        report["max_sd"] = settings.max_sd
    report |= made.fitted
    for name, found, size in zip(("", "_wide"), scores, (1.0, 2.0), strict=False):
        report[f"cross_validation{name}"] = {**found.to_dict(), "block_degrees": size * settings.block}
    return made.fields, report
