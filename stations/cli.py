"""``obsnet station``: one line a command; their modules import what they need when they are called."""

from __future__ import annotations

import typer

from stations.read_command import read

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


app.command()(read)
