"""``obsnet station``: one line a command; each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Station records: read, judge, deliver.",
)


@app.callback()
def _station() -> None:
    """Keep `app` a group while it has one command."""


@app.command()
def read(
    files: Annotated[
        list[Path],
        typer.Argument(help="Files, folders of raw hourly files; the format is found from the content."),
    ],
    species: Annotated[str | None, typer.Option(help="Which species of a file that holds several.")] = None,
    format: Annotated[
        str | None, typer.Option(help="A reader's name, where the content must not decide.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML that describes the columns of a table of your own.")
    ] = None,
    site: Annotated[str | None, typer.Option(help="Site code, where the file has none.")] = None,
    scale: Annotated[str | None, typer.Option(help="Calibration scale, where the file has none.")] = None,
    stamp: Annotated[
        str | None,
        typer.Option(help="What a time stamp names, where the file does not say: start, middle, end."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Observation store to write all species to.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read station files of any network and say what is in them; with --out, write them to a store."""
    from stations.read_command import run

    options = {
        k: v
        for k, v in {"config": config, "site": site, "scale": scale, "stamp": stamp}.items()
        if v is not None
    }
    run(files, species=species, format=format, options=options, out=out, as_json=as_json)
