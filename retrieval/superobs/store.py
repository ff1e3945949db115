"""A store of soundings into a store of super-observations: one source and day one task, resumable.

Time windows never reach over midnight UTC, so that a day's work is the same alone or with its neighbours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from obsnet.constants import species as species_of
from obsnet.errors import ConfigError, FormatError, ObsnetError, nearest
from obsnet.seal import check_parquet
from obsnet.store import ObservationStore, StoredPart, read_part
from obsnet.times import as_utc
from obsnet.work.parallel import ENOUGH_BYTES, map_unordered, shard
from obsnet.work.progress import progress
from obsnet.work.shards import require_finished, taking_part
from obsnet.work.work import Work
from retrieval.products import AVERAGED
from retrieval.superobs import VERSION
from retrieval.superobs.average import needed_columns, super_observe, write_report, write_settings
from retrieval.superobs.options import Selection, Superobs, SuperobsTable

__all__ = ["SuperobsSummary", "combine_store", "run_superobs", "sources_of"]

_DAY = np.timedelta64(1, "D")
STAGE = "superobs"  # under which a run keeps its plan


@dataclass(frozen=True)
class _Task:
    out: str
    selection: Selection
    settings: Superobs
    source: str
    day: str
    files: tuple[str, ...]  # parts of the store that reach into the day
    options: tuple[str, ...]  # how each of them was read
    done: tuple[str, str] | None  # digest and file_id of an earlier run


@dataclass(frozen=True)
class SuperobsSummary:
    """What became of a run.

    Parameters
    ----------
    days : list of dict
        One row a source and day that has soundings: ``source``, ``day``, ``soundings``, ``good``,
        ``superobs``, ``value``, ``uncertainty`` (means), residuals, ``problems``, ``status``, ``skipped``.
    errors : dict
        How errors were combined, see `ErrorModel.describe`.
    without : str
        What was missing in the store of soundings; empty where nothing was.
    """

    days: list[dict[str, Any]]
    errors: dict[str, Any] = field(default_factory=dict)
    without: str = ""

    @property
    def bad(self) -> list[dict[str, Any]]:
        """Days that could not be combined."""
        return [d for d in self.days if d["status"] != "done"]

    def files(self, out: Path) -> tuple[Path, ...]:
        """Return what the store holds of these days: their rows and their reports."""
        ids = {d["file_id"] for d in self.days}
        reports = (_report(out, i) for i in sorted(ids))
        return (*ObservationStore(out).parts_of(ids), *(p for p in reports if p.exists()))

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
                "slivers": sum(d.get("slivers", 0) for d in days),
                **{
                    k: float(np.average(v[some], weights=weights[some])) if some.any() else None
                    for k, v in means.items()
                },
                "residual_prior_max": max((d.get("residual_prior_max", 0.0) for d in days), default=0.0),
                "residual_plume_max": max((d.get("residual_plume_max", 0.0) for d in days), default=0.0),
                "problems": {k: v for k, v in problems.items() if v},
            }
        return out


def run_superobs(table: SuperobsTable, out: Path, work: Work | None = None) -> SuperobsSummary:
    """Do what the table ``[superobs]`` of a case says, or the command; both stores are relative to `out`."""
    return combine_store(
        out / table.store, out / table.out, table, table, work=work, allow_missing=table.allow_missing
    )


def combine_store(
    store: str | Path,
    out: str | Path,
    selection: Selection,
    settings: Superobs,
    *,
    work: Work | None = None,
    allow_missing: bool = False,
) -> SuperobsSummary:
    """Make the super-observations of a store.

    Parameters
    ----------
    store, out : path
        Stores of soundings and of super-observations; they may be one.
    selection : Selection
        Which soundings.
    settings : Superobs
        How they are combined. Its windows must divide a day.
    work : Work, optional
        How it is run; shards are of the days.
    allow_missing : bool
        Go on although a run has not filled `store` to its end; see `obsnet.work.shards.AllowMissing`.

    Returns
    -------
    SuperobsSummary
        Days whose soundings and settings have not changed since an earlier run are not made again; what an
        earlier run with other settings left of a day is replaced.

    Raises
    ------
    ConfigError
        Windows that do not divide a day, a source that the store does not hold.
    UnfinishedError
        A run has not filled `store` to its end.
    """
    if not np.isclose(86400.0 / settings.window, round(86400.0 / settings.window)):
        raise ConfigError(f"a window of {settings.window:g} s does not divide a day")
    settings.error_model.check_species([species_of(selection.species).name])
    source_store, target = ObservationStore(store), ObservationStore(out)
    work = work or Work()
    without = require_finished(source_store.path, allow=allow_missing, besides=(STAGE,))
    everything = _tasks(source_store, target, selection, settings)
    tasks = shard(everything, work)
    told = {"unfinished_inputs": without} if without else {}
    write_settings(target.path, settings, selection=selection.plain(), **told)
    enough = sum(Path(f).stat().st_size for task in tasks for f in task.files) >= ENOUGH_BYTES
    how = [settings.describe(), VERSION, selection.species, selection.plain().get("box")]
    names = [f"{task.source}/{task.day}" for task in everything]
    with taking_part(target.path, STAGE, names, how, work, without=without) as part:
        rows, days = [], []
        with progress(len(tasks), "days") as advance:
            for _, result in map_unordered(_run, tasks, work, enough=enough):
                advance(1)
                if result is None:
                    continue
                days.append(result["day"])
                rows.append(result["index"])
        new = [row for row, day in zip(rows, days, strict=True) if not day["skipped"]]
        if new:
            name = hashlib.sha256(json.dumps(sorted(r["path"] for r in new)).encode()).hexdigest()[:12]
            target.index.write(new, f"superobs-{name}")
        ordered = sorted(days, key=lambda d: (d["source"], d["day"]))
        summary = SuperobsSummary(ordered, settings.error_model.describe(), without)
        part["failed"] = len(summary.bad)
    return summary


def _tasks(
    store: ObservationStore, out: ObservationStore, selection: Selection, settings: Superobs
) -> list[_Task]:
    name = species_of(selection.species).name
    if name not in store.species():
        raise FormatError(
            f"{store.path}: no {name} here; the store holds {', '.join(store.species()) or 'nothing'}"
        )
    known, sources = store.sources(name), sources_of(store, name, selection.sources)
    for source in sources:
        if source not in known:
            raise ConfigError(f"{store.path} has no {name} source {source!r}{nearest(source, known)}")
    options = {r["file_id"]: r["options"] or "" for r in store.index.read().to_pylist()}
    earlier = {r["path"]: (r["sha256"], r["file_id"]) for r in out.index.read().to_pylist()}
    tasks = []
    for source in sources:
        for day, files in _days(store.parts(name, source), selection).items():
            how = tuple(options.get(Path(f).stem, "") for f in files)
            done = earlier.get(_path(name, source, day))
            tasks.append(_Task(str(out.path), selection, settings, source, day, tuple(files), how, done))
    return tasks


def sources_of(store: ObservationStore, species: str, asked: Iterable[str] = ()) -> list[str]:
    """Return the sources that are combined: those asked for, else all that are no super-observations themselves."""
    return list(asked) or [s for s in store.sources(species) if not s.endswith(AVERAGED)]


def _report(out: Path, name: str) -> Path:
    return out / "_superobs" / f"{name}.parquet"


def _path(species: str, source: str, day: str) -> str:
    """Return the name under which a day's super-observations stand in the index."""
    return f"superobs/{species}/{source}/{day}"


def _days(parts: Iterable[StoredPart], selection: Selection) -> dict[str, list[str]]:
    """Return the days within the selection that a source may have rows of, and the parts that reach into each."""
    start, stop = (as_utc(t) if t else None for t in (selection.start, selection.stop))
    days: dict[str, list[str]] = {}
    for part in parts:
        first, last = (t.astype("datetime64[D]") for t in (part.first, part.last))
        for day in np.arange(first, last + _DAY):
            if (stop is None or day < stop) and (start is None or day + _DAY > start):
                days.setdefault(str(day), []).append(str(part.path))
    return dict(sorted(days.items()))


def _read(task: _Task) -> pa.Table:
    """Return the day's rows that are selected, with the columns that averaging needs."""
    day, selection = np.datetime64(task.day, "us"), task.selection
    start = max(day, as_utc(selection.start)) if selection.start else day
    stop = min(day + _DAY, as_utc(selection.stop)) if selection.stop else day + _DAY
    parts = []
    for name in task.files:
        part = read_part(name, needed_columns(task.settings))
        time = part["time"].to_numpy()
        inside = (time >= start) & (time < stop)
        if selection.box is not None:
            south, north, west, east = selection.box
            latitude, longitude = (part[c].to_numpy() for c in ("latitude", "longitude"))
            inside &= (latitude >= south) & (latitude <= north)
            after, before = longitude >= west, longitude <= east
            inside &= (after & before) if west <= east else (after | before)
        parts.append(part if inside.all() else part.filter(pa.array(inside)))
    return pa.concat_tables(parts)


def _run(task: _Task) -> dict[str, Any] | None:
    """Combine one day; None where there is nothing."""
    text = json.dumps(
        [
            task.source,
            task.day,
            [(Path(f).stem, how) for f, how in zip(task.files, task.options, strict=True)],
            task.selection.plain(),
            task.settings.describe(),
            VERSION,
        ],
        sort_keys=True,
    )
    digest = hashlib.sha256(text.encode()).hexdigest()
    name = species_of(task.selection.species)
    day: dict[str, Any] = {
        "source": task.source,
        "day": task.day,
        "status": "done",
        "file_id": digest[:16],
    }
    report = _report(Path(task.out), digest[:16])
    if task.done is not None and task.done[0] == digest and report.exists():
        return {"day": {**day, **_numbers_of(report), "skipped": True}, "index": {}}
    soundings = _read(task)
    if len(soundings) == 0:
        return None
    day["soundings"] = len(soundings)
    index: dict[str, Any] = {
        "path": _path(name.name, task.source, task.day),
        "size": 0,
        "sha256": digest,
        "file_id": digest[:16],
        "sensor": task.source + AVERAGED,
        "version": task.settings.method,
        "species": name.name,
        "unit": name.unit,
        "soundings": len(soundings),
        "options": hashlib.sha256(json.dumps(task.settings.describe(), sort_keys=True).encode()).hexdigest()[
            :16
        ],
    }
    try:
        result = super_observe(soundings, task.settings, file_id=digest[:16])
    except ObsnetError as error:
        day |= {"status": f"bad: {error}", "good": 0, "superobs": 0, "problems": {}, "skipped": False}
        return {"day": day, "index": {**index, "good": 0, "status": f"bad: {error}"}}
    if task.done is not None:
        _remove(Path(task.out), name.name, task.source, task.done[1])
    ObservationStore(task.out).write(result.table)
    numbers = _numbers(result.table, result.problems, len(soundings)) | result.residuals()
    numbers["errors"] = task.settings.error_model.equation
    numbers["slivers"] = int(np.sum(result.report["soundings"].to_numpy() < 1.0))
    metadata = {b"obsnet:superobs": json.dumps(numbers).encode()}
    write_report(result.report, Path(task.out), digest[:16], metadata)
    index |= {
        "good": numbers["good"],
        "mean_good": numbers["value"],
        "status": "done",
        "notes": json.dumps(numbers),
    }
    return {"day": {**day, **numbers, "skipped": False}, "index": index}


def _numbers(table: pa.Table, problems: dict[str, int], soundings: int) -> dict[str, Any]:
    return {
        "soundings": soundings,
        "good": soundings - problems.get("flagged", 0),
        "superobs": len(table),
        "value": pc.mean(table["value"]).as_py(),
        "uncertainty": pc.mean(table["uncertainty"]).as_py(),
        "problems": problems,
    }


def _numbers_of(report: Path) -> dict[str, Any]:
    """Return the numbers that an earlier run wrote beside its report."""
    return json.loads(check_parquet(report, ()).metadata[b"obsnet:superobs"])


def _remove(out: Path, species: str, source: str, file_id: str) -> None:
    """Delete what an earlier run made of the same day with other settings."""
    folder = out / f"species={species}" / f"source={source}{AVERAGED}"
    for path in [*folder.glob(f"year=*/month=*/{file_id}.parquet"), _report(out, file_id)]:
        path.unlink(missing_ok=True)
