"""``obsnet config``: what a case file may hold, and whether one is right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(
    help="Say what a case file may hold, and check one.", no_args_is_help=True, rich_markup_mode=None
)


@app.command()
def schema() -> None:
    """Print the JSON schema of case files: one table a stage, for editors and for reading."""
    from obsnet.output import emit
    from obsnet.pipeline import RunOptions, load_stages

    tables = {"run": RunOptions} | {name: stage.options for name, stage in sorted(load_stages().items())}
    emit(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "obsnet case",
            "type": "object",
            "additionalProperties": False,
            "required": ["run"],
            "properties": {name: model.model_json_schema() for name, model in tables.items()},
        }
    )


@app.command()
def check(
    case: Annotated[Path, typer.Argument(help="Case file, TOML.")],
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="Override, e.g. --set invert.period=2019.")
    ] = None,
) -> None:
    """Check a case file: every fault, one line each."""
    from obsnet.config import read_toml
    from obsnet.pipeline import read_case

    _, steps = read_case(read_toml(case, assignments or []), case)
    print(f"{case}: good; stages in order: {', '.join(stage.name for stage, _ in steps)}")
