"""The command ``obsnet ingest``."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer

__all__ = ["ingest"]

_Files = Annotated[list[str], typer.Argument(help="granules, folders (all granules below) or globs")]
_Text = Optional[str]  # noqa: UP045 - typer reads the annotation when the command is made


def ingest(
    files: _Files,
    out: Annotated[str, typer.Option(help="folder of the observation store; made when absent")],
    sensor: Annotated[
        _Text, typer.Option(help="product, e.g. oco2_lite; recognised by content without it")
    ] = None,
    species: Annotated[_Text, typer.Option(help="for files of several, e.g. CO of WFMD")] = None,
    screen: Annotated[_Text, typer.Option(help="quality screen: a name, or a .toml of your own")] = None,
    correction: Annotated[
        _Text, typer.Option(help="bias correction (.toml) to apply to the raw values")
    ] = None,
    x2019: Annotated[
        bool, typer.Option("--x2019", help="XCO2 on the WMO X2019 scale (Lite v10, v11): --variant x2019")
    ] = False,
    variant: Annotated[_Text, typer.Option(help="another value of the product, e.g. raw of s5p_ch4")] = None,
    profiles: Annotated[
        str, typer.Option(help="whose kernels and priors are kept: all, good or none")
    ] = "all",
    extra: Annotated[
        _Text, typer.Option(help="keep further variables beside the store: names with commas, or *")
    ] = None,
    sensors: Annotated[_Text, typer.Option(help="folder of your own sensor tables")] = None,
    superobs: Annotated[
        _Text,
        typer.Option(help="average at once and keep no soundings: a .toml with the options of superobs"),
    ] = None,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="allow several versions or scales in one store")
    ] = False,
    shard: Annotated[_Text, typer.Option(help="i/n: only the i-th of n parts, for job arrays")] = None,
    scheduler: Annotated[str, typer.Option(help="auto, serial, processes or dask")] = "auto",
    workers: Annotated[Optional[int], typer.Option(min=1, help="worker processes")] = None,  # noqa: UP045
    address: Annotated[_Text, typer.Option(help="a running Dask scheduler, e.g. tcp://node1:8786")] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Read satellite granules into an observation store.

    Flagged soundings are kept with their reasons; bad files are listed with theirs and the run goes on.
    Files that are done already are left alone, so a killed run is simply started again.
    """
    from obsnet.config import read_toml, validate
    from obsnet.output import emit
    from obsnet.work.work import Work
    from retrieval.commands.superobs_stage import AveragingOptions, averaging
    from retrieval.ingest.options import IngestOptions
    from retrieval.ingest.run import granule_files
    from retrieval.ingest.run import ingest as run

    options = IngestOptions(
        sensor=sensor,
        species=species,
        variant="x2019" if x2019 else variant,
        screen=screen,
        correction=correction,
        profiles=profiles,
        extra=tuple(extra.split(",")) if extra else (),
        sensors=(sensors,) if sensors else (),
        superobs=averaging(validate(AveragingOptions, read_toml(superobs), superobs)) if superobs else None,
    )
    summary = run(
        granule_files(files),
        out,
        options,
        work=validate(Work, {"scheduler": scheduler, "workers": workers, "address": address, "shard": shard}),
        mixed=mixed,
    )
    if json:
        emit(_as_json(summary))
    else:
        _print(summary)
    if summary.bad:
        raise SystemExit(1)


def _as_json(summary: Any) -> dict[str, Any]:
    files = [{**row, "counts": summary.counts.get(row["path"], {})} for row in summary.files]
    return {
        "files": files,
        "soundings": summary.soundings,
        "good": summary.good,
        "skipped": summary.skipped,
        "bad": len(summary.bad),
    }


def _print(summary: Any) -> None:
    """Print one line a file, the filters' counts, and what failed in the last line."""
    from pathlib import Path

    from obsnet.constants import species as species_of

    width = max((len(Path(r["path"]).name) for r in summary.files), default=4)
    print(f"{'file':{width}s} {'soundings':>9s} {'good':>7s} {'mean good':>10s} unit status")
    for row in summary.files:
        mean = "-" if row.get("mean_good") is None else f"{row['mean_good']:.4f}"
        unit = species_of(row["species"]).unit_name if row.get("species") else "-"
        name = Path(row["path"]).name
        print(f"{name:{width}s} {row['soundings']:9d} {row['good']:7d} {mean:>10s} {unit:4s} {row['status']}")
        for note in filter(None, (row.get("notes") or "").split("; ")):
            print(f"  note: {note}")
    for kind, title in (("producer", "set in the producer's flags"), ("screen", "rejected by the screen")):
        totals = summary.totals(kind)
        if totals:
            print(f"{title}: " + ", ".join(f"{name} {number}" for name, number in totals.items()))
    before = f", {summary.skipped} done before" if summary.skipped else ""
    print(f"{len(summary.files)} files{before}: {summary.soundings} soundings, {summary.good} good")
    if summary.bad:
        print(f"{len(summary.bad)} of {len(summary.files)} files bad")
