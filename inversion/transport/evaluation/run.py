"""An evaluation from files to scores: both files read, the model run both ways, table and picture written."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from inversion.transport.evaluation.datem import CONCENTRATION, read_releases, read_samples
from inversion.transport.evaluation.model import backward, forward, reachable
from inversion.transport.evaluation.options import EvaluateOptions
from inversion.transport.evaluation.scores import TracerScores, scores
from inversion.transport.run.plan import told_of
from obsnet.atomic import write_text
from obsnet.config import resolve_files
from obsnet.errors import RangeError
from obsnet.grid import Grid
from obsnet.met import Met
from obsnet.met.build import build_met_apart
from obsnet.parquet import write_table
from obsnet.typing import Floats
from obsnet.units import conversion_factor
from obsnet.work.progress import progress

__all__ = ["evaluate", "run_evaluation"]

_LATE = "begins later after the releases than particles travel (hours)"


def evaluate(
    met: Met, samples: pd.DataFrame, releases: pd.DataFrame, options: EvaluateOptions
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Model each sample both ways.

    Parameters
    ----------
    met : Met
        Must cover samples and releases.
    samples, releases : pandas.DataFrame
        As `inversion.transport.evaluation.datem` reads them.
    options : EvaluateOptions
        How the model is run.

    Returns
    -------
    table : pandas.DataFrame
        The samples that can be modelled, with columns ``backward``, ``backward_stderr``, ``forward``,
        ``forward_stderr`` (kg m-3) as asked for.
    left_out : dict of str to int
        How many others, by reason.

    Raises
    ------
    RangeError
        A release, or every sample, is out of reach.
    """
    grid, begin, end = options.grid, releases["start"].min(), releases["stop"].max()
    table = samples.assign(bottom=options.sampler, top=options.sampler)
    reach = np.minimum(_hours(table["stop"] - begin), options.hours)
    early = reach <= 0.0  # over before the first release: nothing to follow, no weather needed
    asked = table.assign(start=table["start"].where(~early, begin), stop=table["stop"].where(~early, begin))
    why = np.array(reachable(met, grid, asked, np.maximum(reach, 0.0), -1), dtype=object)
    why[np.asarray(_hours(table["start"] - end) > options.hours)] = _LATE
    left_out = Counter(str(reason).split(" (")[0] for reason in why if reason)
    table, reach = table[why == ""].reset_index(drop=True), reach[why == ""]
    if table.empty:
        raise RangeError(f"no sample can be modelled: {why[0]}")
    ahead = float(min(options.hours, max(_hours(table["stop"] - begin).max(), 0.1)))
    for name, reason in zip(
        releases["name"], _out_of_reach(met, grid, releases, ahead, options), strict=True
    ):
        if reason:
            raise RangeError(f"release {name!r}: {reason}")
    live = np.flatnonzero(reach > 0.0)
    for way in options.ways:
        table[way] = table[f"{way}_stderr"] = 0.0
        if not live.size:
            continue
        later = table.iloc[live]
        if way == "backward":
            found = _back(met, later, releases, reach[live], options)
        else:
            found = forward(met, grid, later, releases, options.settings(1, ahead))
        for name, values in zip((way, f"{way}_stderr"), found, strict=True):
            table.loc[live, name] = values
    return table.drop(columns=["bottom", "top"]), dict(left_out)


def _hours(spans: Any) -> Floats:
    return np.asarray(spans.to_numpy() / np.timedelta64(1, "s"), dtype=np.float64) / 3600.0


def _out_of_reach(
    met: Met, grid: Grid, releases: pd.DataFrame, ahead: float, options: EvaluateOptions
) -> list[str]:
    hours = ahead if "forward" in options.ways else 0.0
    return reachable(met, grid, releases, np.full(len(releases), hours), 1)


def _back(
    met: Met, table: pd.DataFrame, releases: pd.DataFrame, reach: Floats, options: EvaluateOptions
) -> tuple[Floats, Floats]:
    """Run samples of one time together: they travel for as long."""
    value, error = np.zeros(len(table)), np.zeros(len(table))
    groups = table.groupby(["start", "stop"]).indices
    with progress(len(table), "samples") as advance:
        for rows in groups.values():
            settings = options.settings(-1, float(reach[rows[0]]))
            value[rows], error[rows] = backward(met, options.grid, table.iloc[rows], releases, settings)
            advance(len(rows))
    return value, error


def run_evaluation(options: EvaluateOptions) -> dict[str, Any]:
    """Read a tracer experiment, model it, write ``samples.parquet``, ``scores.json`` and ``evaluation.png``.

    Parameters
    ----------
    options : EvaluateOptions
        See there.

    Returns
    -------
    dict
        ``samples``, ``left_out`` (count by reason), ``unit``, ``scores`` (way, then ``samples`` and ``stations``, the
        means by station), ``notes``.

    Raises
    ------
    FormatError, RangeError, UnitError
        Files that are none, weather that does not reach, nothing to score.
    """
    from inversion.transport.evaluation.picture import draw

    samples, notes = read_samples(options.samples, options.unit)
    releases = read_releases(options.releases)
    begin, end = pd.Timestamp(releases["start"].min()), pd.Timestamp(releases["stop"].max())
    near = samples[samples["start"] <= end + pd.Timedelta(hours=options.hours)]
    if near.empty or near["stop"].max() <= begin:
        raise RangeError(
            f"{options.samples}: no sample is taken within {options.hours:g} h of the releases from {begin} to {end}"
        )
    last = pd.Timestamp(near["stop"].max())
    # Particles of a sample go back as long as its end lies after the first release, those of a release as far on.
    start = begin - pd.Timedelta((near["stop"] - near["start"]).max())
    stop = last + (end - begin) if "forward" in options.ways else last
    met = build_met_apart(
        resolve_files(options.met, Path()),
        options.out / "met",
        bounds=options.grid.bounds,
        start=np.datetime64(start if "backward" in options.ways else begin, "us"),
        stop=np.datetime64(stop, "us"),
        **options.met_options.model_dump(),
    )
    table, left_out = evaluate(met, samples, releases, options)
    unit = options.unit or "pg m-3"
    factor = conversion_factor(CONCENTRATION, unit)
    for column in ("measured", *(n + e for n in options.ways for e in ("", "_stderr"))):
        table[column] *= factor
    found: dict[str, dict[str, TracerScores]] = {
        way: _scored(table, way, options.threshold) for way in options.ways
    }
    report = {
        "samples": len(table),
        "left_out": left_out,
        "unit": unit,
        "scores": {way: {kind: asdict(s) for kind, s in both.items()} for way, both in found.items()},
        "notes": [*notes, *options.settings(-1, options.hours).notes, *told_of(met)],
    }
    write_table(pa.Table.from_pandas(table, preserve_index=False), options.out / "samples.parquet")
    write_text(
        options.out / "scores.json",
        json.dumps({**report, "options": options.model_dump(mode="json")}, indent=1),
    )
    draw(table, found, unit, options.threshold, options.out / "evaluation.png")
    return report


def _scored(table: pd.DataFrame, way: str, threshold: float) -> dict[str, TracerScores]:
    means = table.groupby("station")[["measured", way]].mean()
    return {
        "samples": scores(table["measured"], table[way], threshold),
        "stations": scores(means["measured"], means[way], threshold),
    }
