"""``obsnet station``: one line a command; their modules import what they need when they are called."""

from __future__ import annotations

import typer

from stations.fit_command import fit
from stations.process_commands import budget, calibrate, qc, scale
from stations.read_command import read
from stations.show_commands import admit, plot, sites

__all__ = ["app"]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Station records: read, judge, deliver.",
)


@app.callback()
def _station() -> None:
    """Keep `app` a group whatever it has."""


for command in (read, scale, qc, calibrate, budget, fit, plot, admit, sites):
    app.command()(command)
