"""The commands ``obsnet footprints …``; they read options and print, and compute nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from inversion.transport.commands import convert as commands_convert

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
    species: Annotated[str, typer.Option(help="CO2, CH4, ...")],
    grid: Annotated[str, typer.Option(help="Flux cells: south,north,west,east,dlat,dlon in degrees.")],
    store: Annotated[Path | None, typer.Option(help="Observation store.")] = None,
    receptors: Annotated[
        Path | None, typer.Option(help="File of points, paths and columns instead of the store.")
    ] = None,
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
    turbulence: Annotated[
        str, typer.Option(help="mixed-layer (cheap), hanna (full), stilt or none.")
    ] = "mixed-layer",
    near_field: Annotated[str | None, typer.Option(help="hanna: taylor, stilt or none.")] = None,
    ctl: Annotated[float, typer.Option(help="hanna: vertical steps per Lagrangian time scale.")] = 10.0,
    smooth: Annotated[float, typer.Option(help="hanna: kernel smoothing factor; 0 for none.")] = 0.0,
    background: Annotated[
        str | None,
        typer.Option(help="Incoming air: a number, a baseline .csv, or fields or curtains in netCDF."),
    ] = None,
    background_uncertainty: Annotated[
        float, typer.Option(help="Of that source, in the species' unit.")
    ] = 0.0,
    endpoints: Annotated[
        bool, typer.Option("--endpoints", help="Also write where every particle ended.")
    ] = False,
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
    """Compute footprints of the observations in a store, or of listed receptors, with the built-in particle model."""
    import sys

    from inversion.transport.commands.footprints_stage import FootprintOptions, run_with
    from obsnet.config import validate
    from obsnet.errors import ConfigError
    from obsnet.output import emit
    from obsnet.work.work import Work

    if (store is None) == (receptors is None):
        raise ConfigError("say where to make footprints for: either --store or --receptors")
    options = validate(
        FootprintOptions,
        {
            "met": met,
            "receptors": None if receptors is None else str(receptors),
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
            "near_field": near_field,
            "ctl": ctl,
            "smooth": smooth,
            "background": background,
            "background_uncertainty": background_uncertainty,
            "endpoints": endpoints,
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
        store=store or Path(),
        work=validate(Work, {"scheduler": scheduler, "workers": workers, "shard": shard}, "footprints"),
        seed=seed,
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


@app.command("forward")
def forward(
    met: Annotated[list[str], typer.Argument(help="Meteorological files, folders or globs.")],
    sources: Annotated[Path, typer.Option(help="File of points and paths with amount_mol.")],
    species: Annotated[str, typer.Option(help="CO2, CH4, ...")],
    grid: Annotated[str, typer.Option(help="Cells: south,north,west,east,dlat,dlon in degrees.")],
    out: Annotated[Path, typer.Option(help="netCDF file.")] = Path("forward.nc"),
    step: Annotated[str, typer.Option(help="Periods of the means: 1h, 1D, or whole.")] = "1h",
    hours: Annotated[float, typer.Option(help="How long each particle is followed.")] = 24.0,
    layer: Annotated[float, typer.Option(help="Mean over this many metres above ground.")] = 100.0,
    particles: Annotated[int, typer.Option(help="Per source.")] = 10000,
    turbulence: Annotated[str, typer.Option(help="hanna, stilt or none.")] = "hanna",
    seed: Annotated[int, typer.Option(help="Of the random numbers.")] = 0,
    trim: Annotated[
        bool, typer.Option("--trim", help="Cut off edges of the meteorology that hold NaN.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Follow known releases forward: the mole fraction that they add near the ground."""
    from inversion.transport.particles.settings import Settings
    from inversion.transport.run.forward import run_forward
    from obsnet.config import resolve_files
    from obsnet.grid import Grid
    from obsnet.output import emit

    run = Settings(
        turbulence=turbulence, hours=hours, particles=particles, seed=seed, layer=layer, direction=1
    )
    cells = Grid.regular(**_grid(grid))
    files = resolve_files(met, Path())
    found = run_forward(files, sources, out, species=species, grid=cells, step=step, settings=run, trim=trim)
    if as_json:
        emit({**found, "out": out})
    else:
        for name, reason in found["skipped"].items():
            print(f"skipped {name}: {reason}")
        print(
            f"{out}: {found['sources']} sources, {found['amount_mol']:g} mol, up to {found['highest']:.3g} mol mol-1"
        )
    if found["skipped"]:
        raise typer.Exit(1)


def _grid(text: str) -> dict[str, Any]:
    from obsnet.errors import ConfigError

    names = ("south", "north", "west", "east", "dlat", "dlon")
    values = text.split(",")
    try:
        return dict(zip(names, map(float, values), strict=True))
    except ValueError:
        raise ConfigError(f"--grid {text!r}: write it as {','.join(names)}, e.g. 18,54,73,135,1,1") from None


@app.command("check")
def check(
    reference: Annotated[
        Path | None, typer.Option(help="Folder with met, stilt_synthetic and mptrac_era5 to compare with.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the table and the pictures.")] = None,
    scale: Annotated[float, typer.Option(help="Multiplies the numbers of particles.")] = 1.0,
    only: Annotated[str, typer.Option(help="Only tests whose name contains this.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Test the particle model against known answers, STILT and MPTRAC."""
    from inversion.transport.check.run import plain, run_checks
    from obsnet.output import emit

    def report(row: Any) -> None:
        if not as_json:
            mark = {True: "ok  ", False: "FAIL", None: "    "}[row.passed]
            limit = "" if row.passed is None else f" (accepted {row.accepted:.3g})"
            print(f"{mark} {row.test}: {row.measured:.3g} {row.unit}{limit}; {row.detail}", flush=True)

    rows = run_checks(reference, scale=scale, only=only, report=report)
    if out is not None:
        from inversion.transport.check.pictures import write_report

        write_report(rows, out)
    failed = sum(row.passed is False for row in rows)
    if as_json:
        emit({"tests": [plain(row) for row in rows], "failed": failed})
    else:
        print(f"{len(rows)} tests, {failed} failed" + (f"; table and pictures in {out}" if out else ""))
    if failed:
        raise typer.Exit(1)
