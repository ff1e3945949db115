"""Bias corrections of many granules: each verified, or all of them fitted together."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from obsnet.errors import ConfigError, FormatError, ObsnetError
from obsnet.work.isolated import apart
from obsnet.work.parallel import map_unordered, shard
from obsnet.work.progress import counted
from obsnet.work.work import Work
from retrieval.products.bias import Correction, producer_correction, read_correction, verify, write_correction
from retrieval.products.bias_fit import BiasSamples, ClassFit, collect, concatenate, read_truth, refit
from retrieval.products.bias_options import FitOptions, VerifyOptions
from retrieval.products.read import open_fields
from retrieval.readers.files import granule_files

__all__ = ["fit_files", "verify_files"]

_VerifyTask = tuple[Path, Correction | None, float]
_CollectTask = tuple[Path, Correction, float, float]


def verify_files(options: VerifyOptions, work: Work | None = None) -> list[dict[str, Any]]:
    """Recompute the values of granules from their raw ones.

    Parameters
    ----------
    options : VerifyOptions
        Which and how near.
    work : Work, optional
        How it is run; shards are of the files.

    Returns
    -------
    list of dict
        One a file and class: ``file``, ``class``, ``n``, ``largest`` and ``mean`` difference, ``status``; for
        a file that cannot be used ``file`` and ``status`` only. Sorted by path.
    """
    correction = None if options.correction is None else read_correction(options.correction)
    work = work or Work()
    paths = shard(granule_files(options.files), work)
    tasks = [(path, correction, options.tolerance) for path in paths]
    each = map_unordered(_verify, tasks, work, enough=len(tasks) > _MANY, on_death=_unverified)
    found = dict(_by_path(counted(each, "granules", len(tasks))))
    return [row for path in sorted(found) for row in found[path]]


_MANY = 20  # granules, from which on starting processes pays


def _by_path(pairs: Iterable[tuple[Any, Any]]) -> Iterable[tuple[Path, Any]]:
    return ((task[0], result) for task, result in pairs)


def _unverified(task: _VerifyTask, reason: str) -> list[dict[str, Any]]:
    """Return the row of a granule that killed the process which read it."""
    return [{"file": task[0].name, "status": f"bad: {task[0]}: {reason}"}]


def _verify(task: _VerifyTask) -> list[dict[str, Any]]:
    path, correction, tolerance = task
    try:
        fields = open_fields(path)
        with fields.source:
            found = verify(fields, correction)
    except ObsnetError as error:
        return [{"file": path.name, "status": f"bad: {error}"}]
    rows = []
    for v in found:
        status = "same" if v.largest <= tolerance else ("no formula" if v.name == "none" else "differs")
        numbers = {"class": v.name, "n": v.n, "largest": v.largest, "mean": v.mean}
        rows.append({"file": path.name, **numbers, "status": status})
    return rows


def fit_files(options: FitOptions, work: Work | None = None) -> list[ClassFit]:
    """Fit a bias correction to granules and write it.

    Parameters
    ----------
    options : FitOptions
        To what, and where it is written.
    work : Work, optional
        How it is run.

    Returns
    -------
    list of ClassFit
        See `retrieval.products.bias_fit.refit`.

    Raises
    ------
    ConfigError
        A shard was asked for.
    """
    if work is not None and work.part is not None:
        raise ConfigError("a bias correction is fitted to all granules together: leave --shard out")
    paths = granule_files(options.files)
    correction = apart(_correction_of, paths[0]) if options.start is None else read_correction(options.start)
    tasks = [(path, correction, options.length_km, options.gap_s) for path in paths]
    each = map_unordered(_collect, tasks, work, enough=len(tasks) > _MANY, on_death=_refuse)
    parts = dict(_by_path(counted(each, "granules", len(tasks))))
    samples = concatenate(parts[path] for path in paths)
    new, fits = refit(
        correction,
        samples,
        name=options.name,
        truth=None if options.truth is None else read_truth(str(options.truth), samples.obs_id),
        minimum=options.minimum,
        provenance={
            "files": len(paths),
            "first_file": paths[0].name,
            "last_file": paths[-1].name,
            "length_km": options.length_km,
        },
    )
    write_correction(new, options.out)
    return fits


def _refuse(task: _CollectTask, reason: str) -> BiasSamples:
    """End the fit: a granule killed the process which read it."""
    raise FormatError(f"{task[0]}: {reason}")


def _correction_of(path: Path) -> Correction:
    fields = open_fields(path)
    with fields.source:
        return producer_correction(fields)


def _collect(task: _CollectTask) -> BiasSamples:
    path, correction, length, gap = task
    fields = open_fields(path)
    with fields.source:
        if fields.sensor.name != correction.sensor:
            raise FormatError(
                f"{path}: is {fields.sensor.name}, the bias correction is of {correction.sensor}"
            )
        return collect(fields, correction, length=length, gap=gap)
