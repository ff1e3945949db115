"""The periods of a map one by one, wherever there are workers, kept as they come."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.typing import Floats
from obsnet.work.kept import Arrays, KeptResults, fingerprint_of, map_kept
from obsnet.work.work import Work
from retrieval.mapping import VERSION
from retrieval.mapping.mappers import Mapper
from retrieval.mapping.scattered import Columns, within_reach
from retrieval.mapping.settings import MapSettings

__all__ = ["FEWEST", "MappedPeriods", "keeper", "map_periods"]

FEWEST = 10  # columns that a field is made from
_ENOUGH_CELLS = 50_000  # that are kriged in about as long as several starts of workers take


@dataclass(frozen=True, eq=False)
class MappedPeriods:
    """What became of the periods.

    Parameters
    ----------
    fields : dict of str to ndarray, shape (period, lat, lon)
        ``value``, ``uncertainty``, ``count``.
    empty : dict of str to int
        Cells left empty: ``beyond_reach``, ``above_max_sd``.
    fitted : dict
        Of the last period that was mapped, see `Mapper.report`.
    """

    fields: dict[str, Floats]
    empty: dict[str, int]
    fitted: dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Period:
    """A period, the columns around it, and what maps it."""

    mapper: Mapper
    columns: Columns
    start: np.datetime64
    stop: np.datetime64
    settings: MapSettings


def keeper(target: Path, columns: Columns, settings: MapSettings) -> KeptResults:
    """Return where the periods of a map are kept until its file is written, beside that."""
    question = fingerprint_of(VERSION, settings.model_dump_json(), *vars(columns).values())
    return KeptResults(target.with_name(f".{target.name}.periods"), question)


def map_periods(
    mapper: Mapper,
    columns: Columns,
    settings: MapSettings,
    work: Work | None = None,
    kept: KeptResults | None = None,
) -> MappedPeriods:
    """Map all periods that have columns enough around them.

    Parameters
    ----------
    mapper : Mapper
        Fitted, and validated where that was asked for.
    columns : Columns
        In order of time.
    settings : MapSettings
    work : Work, optional
        Where; by default in processes where there are cells enough.
    kept : KeptResults, optional
        See `keeper`.

    Notes
    -----
    Kriging gives the same bits wherever it is done. A fixed-rank fit is the same to rounding: algebra of several
    threads, in this process, adds in another order than that of one, in a worker.
    """
    window = np.timedelta64(round(settings.window_days * 86400e6), "us")
    edges = settings.time_edges.astype("datetime64[us]")
    shape = (len(edges) - 1, *settings.grid.shape)
    low = np.searchsorted(columns.time, edges[:-1] - window)
    high = np.searchsorted(columns.time, edges[1:] + window)
    wanted = np.flatnonzero(high - low >= FEWEST)
    tasks = [
        _Period(mapper, columns.between(low[k], high[k]), edges[k], edges[k + 1], settings) for k in wanted
    ]
    found = map_kept(
        _map_period,
        tasks,
        work,
        names=[f"{k:05d}" for k in wanted],
        kept=kept,
        what="periods",
        enough=len(tasks) * settings.grid.size >= _ENOUGH_CELLS,
    )
    fields = {name: np.full(shape, np.nan) for name in ("value", "uncertainty")}
    fields["count"] = np.zeros(shape)
    empty = {"beyond_reach": 0, "above_max_sd": 0}
    for k, one in zip(wanted, found, strict=True):
        for name, field in fields.items():
            field[k] = one[name]
        for name in empty:
            empty[name] += int(one[name])
    return MappedPeriods(fields, empty, json.loads(str(found[-1]["fitted"])) if found else mapper.report())


def _map_period(task: _Period) -> Arrays:
    """Return the fields of one period, and how many cells are left empty."""
    s = task.settings
    far = ~within_reach(task.columns, s.grid, s.reach_km)
    fields = {
        name: np.array(field, dtype=np.float64)
        for name, field in task.mapper.period(task.columns, task.start, task.stop, ~far).items()
    }
    with np.errstate(invalid="ignore"):
        vague = ~far & (fields["uncertainty"] > (s.max_sd or np.inf))
    for name in ("value", "uncertainty"):
        fields[name][far | vague] = np.nan
    about = {
        "beyond_reach": far.sum(),
        "above_max_sd": vague.sum(),
        "fitted": json.dumps(task.mapper.report()),
    }
    return fields | {name: np.array(value) for name, value in about.items()}
