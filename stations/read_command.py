"""What ``obsnet station read`` does: summaries on standard output, notes on standard error, a store on demand."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from obsnet.cli import emit
from obsnet.errors import ObsnetError
from obsnet.store import ObservationStore
from stations.observations import ingest
from stations.readers import read as read_record
from stations.record import summary

__all__ = ["run"]


def run(
    files: Sequence[Path],
    *,
    species: str | None,
    format: str | None,
    options: Mapping[str, Any],
    out: Path | None,
    as_json: bool,
) -> None:
    """Print a summary of each file; a bad one among several is reported and the rest goes on (exit code 1)."""
    found: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for path in files:
        try:
            found.append(summary(read_record(path, species, format=format, **options)))
        except ObsnetError as error:
            if len(files) == 1:
                raise
            failed.append({"path": str(path), "error": str(error)})
    result: dict[str, Any] = (
        dict(found[0]) if len(files) == 1 else {"files": found, "bad": failed, "failed": len(failed)}
    )
    if out is not None:
        good = [path for path in files if str(path) not in {f["path"] for f in failed}]
        store = ingest(good, ObservationStore(out), base=Path.cwd(), options={**options, "format": format})
        result["store"] = {"path": str(out), **store}
    if as_json:
        emit(result)
    else:
        for item in found:
            print(_text(item))
        if out is not None:
            print(
                f"{out}: {store['rows']} rows of {store['files']} files written, {store['skipped']} files there before"
            )
    for item in found:
        for note in (*item["changes"], *item["warnings"]):
            print(f"{item['path']}: {note}", file=sys.stderr)
    for bad in failed:
        print(f"bad: {bad['error']}", file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {len(files)} files could not be read", file=sys.stderr)
        raise typer.Exit(1)


def _text(item: Mapping[str, Any]) -> str:
    """Return a summary for people."""
    flags = ", ".join(f"{k} {v}" for k, v in item["flags"].items()) or "none in the file"
    quality = ", ".join(f"{k} {v}" for k, v in item["quality"].items())
    lines = [
        f"{item['path']}",
        f"  format    {item['format']} ({item['network']}), {item['rows']} rows",
        f"  species   {item['species']} in {item['unit']}, scale {item['scale']}"
        + (
            f"; the file also holds {', '.join(others)}"
            if (others := [s for s in item["species_available"] if s != item["species"]])
            else ""
        ),
        f"  site      {item['site']} {item['site_name']}".rstrip(),
        f"  time      {item['first_time']} to {item['last_time']} UTC, stamps name the {item['interval']}"
        + (f", interval {item['interval_seconds']:g} s" if item["interval_seconds"] else ""),
        f"  flags     {flags}",
        f"  quality   {quality}",
    ]
    return "\n".join(lines)
