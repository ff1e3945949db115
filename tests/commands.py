"""Commands called as a user types them, with errors as exceptions."""

from __future__ import annotations

import typer


def call(command, *arguments):
    """Run a command of ours and return its exit code."""
    app = typer.Typer(add_completion=False)
    app.command()(command.function())
    try:
        code = typer.main.get_command(app).main(args=[str(a) for a in arguments], standalone_mode=False)
    except typer.Exit as stop:
        code = stop.exit_code
    return code or 0
