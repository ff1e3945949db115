"""``obsnet station read``: summaries on standard output, notes on standard error, a store on demand."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from obsnet.command import Shown, command

if TYPE_CHECKING:
    from obsnet.work.work import Work
    from stations.store.options import ReadTable

__all__ = ["read"]

_SHOWN = 6  # names of other species in the summary for people


@command("stations.store.options:ReadTable", work=True)
def read(options: ReadTable, work: Work) -> Shown:
    """Read station files of any network and say what is in them; with --out, write them to a store.

    One file gives one JSON object; several give them as "files". A file that cannot be read among several is
    reported and the rest goes on.
    """
    from pathlib import Path

    from stations.store.summaries import summarise_files

    here = Path.cwd()
    found, bad = summarise_files(options, here, work)
    one = len(found) == 1 and not bad
    data = dict(found[0]) if one else {"files": found, "bad": bad, "failed": len(bad)}
    notes = [f"{item['path']}: {note}" for item in found for note in (*item["changes"], *item["warnings"])]
    notes += [f"bad: {item['error']}" for item in bad]
    if bad:
        notes.append(
            f"{len(bad)} of {_count(len(bad) + len({i['path'] for i in found}), 'file')} could not be read"
        )
    store: dict[str, Any] = {}
    if options.store is not None:
        from stations.store.ingest import run_stations

        store = run_stations(options, here, here, work, without=[b["path"] for b in bad], report=_tell)
        data |= {"store": store}
        notes += [f"{path}: {text}" for path, text in store.get("elsewhere", {}).items()]
        if store["failed"]:
            notes.append(f"{_count(store['failed'], 'file')} could not be stored")
    return Shown(data, _lines(found, store), notes, failed=len(bad) + store.get("failed", 0))


def _tell(line: str) -> None:
    if line.startswith("bad: "):  # the other notes are those of the summaries
        print(line, file=sys.stderr)


def _lines(found: list[dict[str, Any]], store: dict[str, Any]) -> Iterator[str]:
    for item in found:
        yield _text(item)
    if store:
        fresh = _count(store["files"] - store["skipped"] - store["failed"], "file")
        skipped = f"{store['skipped']} unchanged since the last time"
        yield f"{store['path']}: {store['rows']} rows of {fresh}, {skipped}"


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
    heights = ", ".join(f"{h:g}" for h in item["intakes"][:_SHOWN]) + ", …" * (len(item["intakes"]) > _SHOWN)
    several = ", each a series of its own (--intake)" if item["side_by_side"] else ""
    return "\n".join(
        [
            f"{item['path']}",
            f"  format    {item['format']} ({item['network']}), {item['rows']} rows",
            f"  species   {item['species']} in {item['unit']}, scale {item['scale']}{also}",
            f"  site      {item['site'] or 'not named'} {item['site_name']}".rstrip(),
            f"  intakes   {heights or 'not given'}{' m' if heights else ''}{several}",
            f"  time      {item['first_time']} to {item['last_time']} UTC, stamps name {stamps}{length}",
            f"  flags     {flags}",
            f"  quality   {quality}",
        ]
    )
