"""A store of soundings into a store of super-observations: one source and day one task, resumable.

Time windows never reach over midnight UTC, so that a day's work is the same alone or with its neighbours.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from obsnet.constants import species as species_of
from obsnet.errors import ConfigError, FormatError, ObsnetError, nearest
from obsnet.parallel import Scheduler, map_unordered, shard
from obsnet.progress import progress
from obsnet.store import ObservationStore, write_table, write_text
from obsnet.times import as_utc
from retrieval.superobs import SUFFIX, Superobs, super_observe

__all__ = ["Selection", "Summary", "combine_store"]

_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Selection:
    """Which soundings of a store are combined.

    Parameters
    ----------
    species : str
        Formula.
    sources : tuple of str
        All sources of the store that are not super-observations themselves, when empty.
    start, stop : str, optional
        Half-open interval, UTC.
    bounds : (south, north, west, east), optional
        Degrees, of the soundings' centres.
    """

    species: str
    sources: tuple[str, ...] = ()
    start: str | None = None
    stop: str | None = None
    bounds: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class _Task:
    store: str
    out: str
    selection: Selection
    settings: Superobs
    source: str
    day: str
    options: tuple[tuple[str, str], ...]  # how each input file was read, by file_id
    done: tuple[str, str] | None  # digest and file_id of an earlier run


@dataclass(frozen=True)
class Summary:
    """What became of a run.

    Parameters
    ----------
    days : list of dict
        One row a source and day that has soundings: ``source``, ``day``, ``soundings``, ``good``,
        ``superobs``, ``value``, ``uncertainty`` (means), residuals, ``problems``, ``status``, ``skipped``.
    """

    days: list[dict[str, Any]]

    @property
    def bad(self) -> list[dict[str, Any]]:
        """Days that could not be combined."""
        return [d for d in self.days if d["status"] != "done"]

    def by_source(self) -> dict[str, dict[str, Any]]:
        """Return totals of each source over its finished days."""
        out: dict[str, dict[str, Any]] = {}
        for name in sorted({d["source"] for d in self.days}):
            days = [d for d in self.days if d["source"] == name and d["status"] == "done"]
            problems: dict[str, int] = {}
            for day in days:
                for reason, number in day["problems"].items():
                    problems[reason] = problems.get(reason, 0) + number
            weights = np.array([d["superobs"] for d in days], dtype=float)
            means = {k: np.array([d[k] for d in days], dtype=float) for k in ("value", "uncertainty")}
            some = weights > 0
            out[name] = {
                "days": len(days),
                "soundings": sum(d["soundings"] for d in days),
                "good": sum(d["good"] for d in days),
                "superobs": int(weights.sum()),
                **{
                    k: float(np.average(v[some], weights=weights[some])) if some.any() else None
                    for k, v in means.items()
                },
                "residual_prior_max": max((d.get("residual_prior_max", 0.0) for d in days), default=0.0),
                "residual_plume_max": max((d.get("residual_plume_max", 0.0) for d in days), default=0.0),
                "problems": {k: v for k, v in problems.items() if v},
            }
        return out


def combine_store(
    store: str | Path,
    out: str | Path,
    selection: Selection,
    settings: Superobs,
    *,
    scheduler: Scheduler = "serial",
    workers: int | None = None,
    address: str | None = None,
    part: tuple[int, int] | None = None,
) -> Summary:
    """Make the super-observations of a store.

    Parameters
    ----------
    store, out : path
        Stores of soundings and of super-observations; they may be one.
    selection : Selection
        Which soundings.
    settings : Superobs
        How they are combined. Its windows must divide a day.
    scheduler, workers, address
        See `obsnet.parallel.map_unordered`.
    part : (int, int), optional
        Shard of the days, see `obsnet.parallel.parse_shard`.

    Returns
    -------
    Summary
        Days whose soundings and settings have not changed since an earlier run are not made again; what an
        earlier run with other settings left of a day is replaced.

    Raises
    ------
    ConfigError
        Windows that do not divide a day, a source that the store does not hold.
    """
    if not np.isclose(86400.0 / settings.window, round(86400.0 / settings.window)):
        raise ConfigError(f"a window of {settings.window:g} s does not divide a day")
    source_store, target = ObservationStore(store), ObservationStore(out)
    tasks = shard(_tasks(source_store, target, selection, settings), part)
    _write_settings(target.path, selection, settings)
    rows, days = [], []
    with progress(len(tasks), "days") as advance:
        for _, result in map_unordered(_run, tasks, scheduler=scheduler, workers=workers, address=address):
            advance(1)
            if result is None:
                continue
            days.append(result["day"])
            rows.append(result["index"])
    new = [row for row, day in zip(rows, days, strict=True) if not day["skipped"]]
    if new:
        name = hashlib.sha256(json.dumps(sorted(r["path"] for r in new)).encode()).hexdigest()[:12]
        target.index.write(new, f"superobs-{name}")
    return Summary(sorted(days, key=lambda d: (d["source"], d["day"])))


def _tasks(
    store: ObservationStore, out: ObservationStore, selection: Selection, settings: Superobs
) -> list[_Task]:
    name = species_of(selection.species).name
    if name not in store.species():
        raise FormatError(
            f"{store.path}: no {name} here; the store holds {', '.join(store.species()) or 'nothing'}"
        )
    folder = store.path / f"species={name}"
    known = sorted(p.name.removeprefix("source=") for p in folder.glob("source=*"))
    sources = list(selection.sources) or [s for s in known if not s.endswith(SUFFIX)]
    for source in sources:
        if source not in known:
            raise ConfigError(f"{store.path} has no {name} source {source!r}{nearest(source, known)}")
    options = {r["file_id"]: r["options"] or "" for r in store.index.read().to_pylist() if r["file_id"]}
    earlier = {r["path"]: (r["sha256"], r["file_id"]) for r in out.index.read().to_pylist()}
    shared = (selection, settings)
    return [
        _Task(
            str(store.path),
            str(out.path),
            *shared,
            source,
            str(day),
            tuple(sorted(options.items())),
            earlier.get(_path(name, source, str(day))),
        )
        for source in sources
        for day in _days(folder / f"source={source}", selection)
    ]


def _path(species: str, source: str, day: str) -> str:
    """Return the name under which a day's super-observations stand in the index."""
    return f"superobs/{species}/{source}/{day}"


def _days(folder: Path, selection: Selection) -> list[np.datetime64]:
    """Return the days of the months that a source has, within the selection."""
    start = as_utc(selection.start) if selection.start else None
    stop = as_utc(selection.stop) if selection.stop else None
    days: list[np.datetime64] = []
    for part in sorted(folder.glob("year=*/month=*")):
        year, month = (int(p.split("=")[1]) for p in (part.parent.name, part.name))
        first = np.datetime64(f"{year:04d}-{month:02d}", "M")
        days += list(np.arange(first.astype("datetime64[D]"), (first + 1).astype("datetime64[D]")))
    return sorted(d for d in days if (stop is None or d < stop) and (start is None or d + _DAY > start))


def _read(task: _Task, columns: list[str] | None) -> pa.Table:
    start, stop = as_utc(task.day), as_utc(task.day) + _DAY
    if task.selection.start and as_utc(task.selection.start) > start:
        start = as_utc(task.selection.start)
    if task.selection.stop and as_utc(task.selection.stop) < stop:
        stop = as_utc(task.selection.stop)
    return ObservationStore(task.store).read(
        task.selection.species,
        source=task.source,
        start=start,
        stop=stop,
        bounds=task.selection.bounds,
        columns=columns,
        where=ds.field("month") == int(task.day[5:7]),
    )


def _run(task: _Task) -> dict[str, Any] | None:
    """Combine one day; None where there is nothing."""
    found = _read(task, ["file_id"])
    if len(found) == 0:
        return None
    inputs = sorted(pc.unique(found["file_id"]).to_pylist())
    how = dict(task.options)
    text = json.dumps(
        [
            task.source,
            task.day,
            [(i, how.get(i, "")) for i in inputs],
            str(task.selection),
            task.settings.describe(),
        ],
        sort_keys=True,
    )
    digest = hashlib.sha256(text.encode()).hexdigest()
    name = species_of(task.selection.species)
    day: dict[str, Any] = {"source": task.source, "day": task.day, "soundings": len(found), "status": "done"}
    report = Path(task.out) / "_superobs" / f"{digest[:16]}.parquet"
    if task.done is not None and task.done[0] == digest and report.exists():
        return {"day": {**day, **_numbers_of(report), "skipped": True}, "index": {}}
    index: dict[str, Any] = {
        "path": _path(name.name, task.source, task.day),
        "size": 0,
        "sha256": digest,
        "file_id": digest[:16],
        "sensor": task.source + SUFFIX,
        "version": task.settings.method,
        "species": name.name,
        "unit": name.unit,
        "soundings": len(found),
        "options": hashlib.sha256(json.dumps(task.settings.describe(), sort_keys=True).encode()).hexdigest()[
            :16
        ],
    }
    try:
        result = super_observe(_read(task, None), task.settings, file_id=digest[:16])
    except ObsnetError as error:
        day |= {"status": f"bad: {error}", "good": 0, "superobs": 0, "problems": {}, "skipped": False}
        return {"day": day, "index": {**index, "good": 0, "status": f"bad: {error}"}}
    if task.done is not None:
        _remove(Path(task.out), name.name, task.source, task.done[1])
    store = ObservationStore(task.out)
    store.write(result.table)
    numbers = _numbers(result.table, result.problems, len(found)) | result.residuals()
    metadata = {b"obsnet:superobs": json.dumps(numbers).encode()}
    write_table(result.report.replace_schema_metadata(metadata), report)
    index |= {
        "good": numbers["good"],
        "mean_good": numbers["value"],
        "status": "done",
        "notes": json.dumps(numbers),
    }
    return {"day": {**day, **numbers, "skipped": False}, "index": index}


def _numbers(table: pa.Table, problems: dict[str, int], soundings: int) -> dict[str, Any]:
    return {
        "good": soundings - problems.get("flagged", 0),
        "superobs": len(table),
        "value": pc.mean(table["value"]).as_py(),
        "uncertainty": pc.mean(table["uncertainty"]).as_py(),
        "problems": problems,
    }


def _numbers_of(report: Path) -> dict[str, Any]:
    """Return the numbers that an earlier run wrote beside its report."""
    import pyarrow.parquet as pq

    return json.loads(pq.read_schema(report).metadata[b"obsnet:superobs"])


def _remove(out: Path, species: str, source: str, file_id: str) -> None:
    """Delete what an earlier run made of the same day with other settings."""
    folder = out / f"species={species}" / f"source={source}{SUFFIX}"
    for path in [*folder.glob(f"year=*/month=*/{file_id}.parquet"), out / "_superobs" / f"{file_id}.parquet"]:
        path.unlink(missing_ok=True)


def _write_settings(out: Path, selection: Selection, settings: Superobs) -> None:
    """Write how the super-observations were made, for people."""
    from dataclasses import asdict

    content = {"selection": asdict(selection), "settings": settings.describe()}
    text = json.dumps(content, indent=1, sort_keys=True)
    write_text(out / "_superobs" / f"settings-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json", text)
