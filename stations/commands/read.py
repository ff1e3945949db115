"""``obsnet station read``: summaries on standard output, notes on standard error, a store on demand."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from obsnet.errors import ObsnetError
from stations.commands.options import Json, Scale, Site, Species

__all__ = ["read"]

_SHOWN = 6  # names of other species in the summary for people

Files = Annotated[
    list[Path],
    typer.Argument(help="Files, or folders of raw hourly files; the format is found from the content."),
]
Format = Annotated[str | None, typer.Option(help="A reader's name, where the content must not decide.")]
Config = Annotated[Path | None, typer.Option(help="TOML that describes the columns of a table of your own.")]
Stamp = Annotated[
    str | None, typer.Option(help="What a time stamp names, where the file does not say: start, middle, end.")
]
Out = Annotated[
    Path | None, typer.Option(help="Observation store to write to: every species, or the one named.")
]
Mixed = Annotated[
    bool,
    typer.Option("--mixed-scales", help="Let a species be on several scales; else a run that mixes stops."),
]


def read(
    files: Files,
    species: Species = None,
    format: Format = None,
    config: Config = None,
    site: Site = None,
    scale: Scale = None,
    stamp: Stamp = None,
    out: Out = None,
    mixed_scales: Mixed = False,
    as_json: Json = False,
) -> None:
    """Read station files of any network and say what is in them; with --out, write them to a store.

    One file gives one JSON object; several give them as "files". A file that cannot be read among several is
    reported and the rest goes on.
    """
    from obsnet.output import emit
    from obsnet.work.isolated import apart
    from stations.readers import expand

    options: dict[str, Any] = {
        "format": format,
        "config": config,
        "site": site,
        "scale": scale,
        "stamp": stamp,
    }
    found, bad = [], []
    paths = expand(files)
    for path in paths:
        try:
            found.append(apart(_summary, path, species, options))
        except ObsnetError as error:
            if len(paths) == 1:
                raise
            bad.append({"path": str(path), "error": str(error)})
    result = found[0] if len(paths) == 1 else {"files": found, "bad": bad, "failed": len(bad)}
    store: dict[str, Any] = {}
    if out is not None:
        broken = {b["path"] for b in bad}
        store = _store([p for p in paths if str(p) not in broken], out, species, options, mixed_scales)
        result |= {"store": store}
    if as_json:
        emit(result)
    else:
        for item in found:
            print(_text(item))
        if store:
            read_now = _count(store["files"] - store["skipped"] - store["failed"], "file")
            skipped = f"{store['skipped']} unchanged since the last time"
            print(f"{out}: {store['rows']} rows of {read_now}, {skipped}")
    for item in found:
        for note in (*item["changes"], *item["warnings"]):
            print(f"{item['path']}: {note}", file=sys.stderr)
    for item in bad:
        print(f"bad: {item['error']}", file=sys.stderr)
    if bad:
        print(f"{len(bad)} of {_count(len(paths), 'file')} could not be read", file=sys.stderr)
    if store.get("failed"):
        print(f"{_count(store['failed'], 'file')} could not be stored", file=sys.stderr)
    if bad or store.get("failed"):
        raise typer.Exit(1)


def _summary(path: Path, species: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """Return what a file holds, in a few numbers and words."""
    from stations.readers import read
    from stations.record.summary import summary

    return summary(read(path, species, **options))


def _store(
    files: list[Path], out: Path, species: str | None, options: Mapping[str, Any], mixed_scales: bool
) -> dict[str, Any]:
    """Write files to a store; those that cannot be are told on standard error."""
    from obsnet.store import ObservationStore
    from stations.store.observations import ingest
    from stations.store.process import Process

    def tell(line: str) -> None:
        if line.startswith("bad: "):  # the other notes are those of the summaries
            print(line, file=sys.stderr)

    wanted = ("*",) if species is None else (species,)
    counts = ingest(
        files,
        ObservationStore(out),
        base=Path.cwd(),
        species=wanted,
        options=options,
        process=Process(mixed_scales=mixed_scales),
        report=tell,
        apart=True,
    )
    return {"path": str(out), **counts}


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _text(item: Mapping[str, Any]) -> str:
    """Return a summary for people."""
    others = [s for s in item["species_available"] if s != item["species"]]
    more = f", … ({len(others)} in all)" if len(others) > _SHOWN else ""
    also = f"; the file also holds {', '.join(others[:_SHOWN])}{more}" if others else ""
    stamps = {"instant": "the instant"}.get(item["interval"], f"the {item['interval']} of the interval")
    length = f", {item['interval_seconds']:g} s" if item["interval_seconds"] else ""
    flags = ", ".join(f"{k} {v}" for k, v in item["flags"].items()) or "none in the file"
    quality = ", ".join(f"{k} {v}" for k, v in item["quality"].items())
    return "\n".join(
        [
            f"{item['path']}",
            f"  format    {item['format']} ({item['network']}), {item['rows']} rows",
            f"  species   {item['species']} in {item['unit']}, scale {item['scale']}{also}",
            f"  site      {item['site'] or 'not named'} {item['site_name']}".rstrip(),
            f"  time      {item['first_time']} to {item['last_time']} UTC, stamps name {stamps}{length}",
            f"  flags     {flags}",
            f"  quality   {quality}",
        ]
    )
