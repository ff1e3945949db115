"""``obsnet station``: one line a command; their modules import what they need when they are called."""

from __future__ import annotations

import typer

from stations.commands.fit import fit
from stations.commands.process import budget, calibrate, qc, scale
from stations.commands.read import read
from stations.commands.show import admit, plot, sites

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
