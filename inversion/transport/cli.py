"""The commands ``obsnet footprints …``; they read options and print, and compute nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from inversion.transport import commands_convert

app = typer.Typer(
    name="footprints",
    help="Footprints: what each observation feels of each flux.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
app.registered_commands += commands_convert.app.registered_commands


@app.callback()
def _group() -> None:
    """Footprints: what each observation feels of each flux."""


@app.command("run")
def run(
    met: Annotated[list[str], typer.Argument(help="Meteorological files, folders or globs.")],
    store: Annotated[Path, typer.Option(help="Observation store.")],
    species: Annotated[str, typer.Option(help="CO2, CH4, ...")],
    grid: Annotated[str, typer.Option(help="Flux cells: south,north,west,east,dlat,dlon in degrees.")],
    out: Annotated[Path, typer.Option(help="Folder of the Jacobian.")] = Path("footprints"),
    start: Annotated[str | None, typer.Option(help="First observation, UTC.")] = None,
    stop: Annotated[str | None, typer.Option(help="Observations before this time, UTC.")] = None,
    good_only: Annotated[bool, typer.Option(help="Only observations of quality 0.")] = True,
    kind: Annotated[list[str] | None, typer.Option(help="column or point; both by default.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Only these sources of the store.")] = None,
    step: Annotated[str, typer.Option(help="Flux time bins: 3h, 1D, MS, or whole.")] = "1D",
    hours: Annotated[float, typer.Option(help="Length of the backward run.")] = 72.0,
    particles: Annotated[int | None, typer.Option(help="Per receptor.")] = None,
    timestep: Annotated[float | None, typer.Option(help="Longest step, seconds.")] = None,
    turbulence: Annotated[str, typer.Option(help="mixed-layer (cheap).")] = "mixed-layer",
    seed: Annotated[int, typer.Option(help="Of the random numbers.")] = 0,
    height: Annotated[str, typer.Option(help="Points: ground (intake height) or sea (altitude).")] = "ground",
    batch: Annotated[int, typer.Option(help="Receptors a task.")] = 100,
    trim: Annotated[
        bool, typer.Option("--trim", help="Cut off edges of the meteorology that hold NaN.")
    ] = False,
    scheduler: Annotated[str, typer.Option(help="serial, processes or dask.")] = "processes",
    workers: Annotated[int | None, typer.Option(help="Worker processes.")] = None,
    shard: Annotated[
        str | None, typer.Option(help="i/n: only this part of the batches, for job arrays.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compute footprints of the observations in a store with the built-in particle model."""
    import sys

    from inversion.transport.stage import FootprintOptions, run_with
    from obsnet.cli import emit
    from obsnet.config import validate

    options = validate(
        FootprintOptions,
        {
            "met": met,
            "species": species,
            "start": start,
            "stop": stop,
            "good_only": good_only,
            "select": {"kinds": kind, "sources": source},
            "grid": _grid(grid),
            "step": step,
            "hours": hours,
            "particles": particles,
            "timestep": timestep,
            "turbulence": turbulence,
            "height": height,
            "batch": batch,
            "trim": trim,
        },
        "footprints run",
    )
    found = run_with(
        options,
        folder=Path(),
        out=out,
        store=store,
        scheduler=scheduler,
        workers=workers,
        seed=seed,
        part=shard,
        report=lambda line: print(line, file=sys.stderr),
    )
    if as_json:
        emit({**found, "out": out})
        return
    for reason, count in found["skipped"].items():
        print(f"skipped {count}: {reason}")
    print(
        f"{out}: {found['receptors']} receptors in {found['parts']} parts, {found['made']} of them made now"
    )


def _grid(text: str) -> dict[str, Any]:
    from obsnet.errors import ConfigError

    names = ("south", "north", "west", "east", "dlat", "dlon")
    values = text.split(",")
    try:
        return dict(zip(names, map(float, values), strict=True))
    except ValueError:
        raise ConfigError(f"--grid {text!r}: write it as {','.join(names)}, e.g. 18,54,73,135,1,1") from None
