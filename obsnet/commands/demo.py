"""``obsnet demo``: the main job on an embedded default."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option(help="folder for everything; made if absent")],
    network: Annotated[
        str, typer.Option(help="idealised, or existing: a few stations and one satellite")
    ] = "idealised",
    planted: Annotated[
        str, typer.Option(help="adcode of the province whose inventory is 25 % too low")
    ] = "370000",
    days: Annotated[int, typer.Option(min=3, max=60, help="observed days")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="of every draw")] = 1,
    workers: Annotated[
        int | None, typer.Option(min=1, help="worker processes; by default the processors at hand")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the run record as JSON")] = False,
) -> None:
    """Run a twin experiment over China: an invented truth, files in the real formats, the same commands."""
    from obsnet.commands.crosscheck import print_table
    from obsnet.demo.run import run_demo
    from obsnet.output import emit

    record, table = run_demo(
        out,
        network=network,
        planted=planted,
        days=days,
        seed=seed,
        workers=workers,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if as_json:
        emit(record)
        return
    print_table(table)
    print(f"planted: {record['planted']} ({record['verdicts'][record['planted']]}); {record['network']}")
    print(f"{record['seconds']} s, {record['peak_memory_mib']} MiB; open {out / 'report.html'}")
