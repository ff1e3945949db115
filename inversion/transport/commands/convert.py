"""``obsnet footprints convert`` and ``info``; they read options and print, and compute nothing."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["convert", "info"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class _To(enum.StrEnum):
    store = "store"
    cf = "cf"
    paris = "paris"


class _Unresolved(enum.StrEnum):
    refuse = "refuse"
    release = "release"
    drop = "drop"


class _Weighting(enum.StrEnum):
    none = "none"
    pressure = "pressure"
    kernel = "kernel"


class _Label(enum.StrEnum):
    begin = "begin"
    end = "end"


class _Part(enum.StrEnum):
    low = "low"
    high = "high"
    both = "both"


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Unit = Annotated[str | None, typer.Option(help="Unit of the values, where the file has none.")]
Label = Annotated[
    _Label | None, typer.Option(help="What the time stamps mark, where the file leaves it open.")
]
Weight = Annotated[
    _Weighting | None, typer.Option(help="What is in column footprints already (X-STILT files do not say).")
]
Place = Annotated[
    str | None, typer.Option(help="TIME,LAT,LON,HEIGHT of the receptor, where the file's name has none.")
]
Emulated = Annotated[
    bool, typer.Option("--emulated", help="The footprints come from an emulator; marked so.")
]
Part = Annotated[
    _Part | None,
    typer.Option(help="Which of two nested grids; the outer one by default. both: convert only."),
]
Whole = Annotated[
    bool, typer.Option("--integrated", help="Take the time-integrated field although hours are there.")
]
GridText = Annotated[str | None, typer.Option(help="south,north,west,east,dlat,dlon in degrees.")]
SourceDensity = Annotated[str | None, typer.Option(help="Air density at sources, kg m-3, or 'standard'.")]
ReceptorDensity = Annotated[
    str | None, typer.Option(help="Air density at the receptor, kg m-3, or 'standard'.")
]
Mass = Annotated[float | None, typer.Option(help="Mass released, for HYSPLIT concentrations.")]
Species = Annotated[int, typer.Option(help="Which FLEXPART species, from 1.")]
Format = Annotated[str | None, typer.Option(help="Reader; found out by content otherwise.")]


@app.command("info")
def info(
    file: Annotated[Path, typer.Argument(help="Footprint file, or folder of a sparse Jacobian.")],
    unit: Unit = None,
    label: Label = None,
    weighting: Weight = None,
    receptor: Place = None,
    emulated: Emulated = False,
    part: Part = None,
    integrated: Whole = False,
    grid: GridText = None,
    source_density: SourceDensity = None,
    receptor_density: ReceptorDensity = None,
    released_mass: Mass = None,
    species_index: Species = 1,
    format: Format = None,
    as_json: Json = False,
) -> None:
    """Say what a footprint file holds: kind, unit, receptor, total sensitivity, hours, grid."""
    from inversion.jacobian.store import JacobianStore
    from inversion.transport.files.summary import store_summary
    from obsnet.output import emit
    from obsnet.work.isolated import apart

    if (file / "meta.json").is_file():
        found = store_summary(JacobianStore(file))
    else:
        found = apart(_summary, file, _options(locals()), format)
    if as_json:
        emit(found)
        return
    hours, first = found["hours"], found["receptor"]
    steps = f"{hours['resolved_steps']} of {hours['step_hours']:g} h" if hours["resolved_steps"] else "none"
    share = f", {100 * hours['unresolved_share']:.0f} % integrated" if hours["unresolved_share"] else ""
    column = {True: "yes", False: "no", None: "not known"}[found["column"]]
    place = ""
    if first["latitude"] is not None:
        height = "column" if found["column"] else f"{first['height_m']:g} m"
        place = f", {first['latitude']:.4f}, {first['longitude']:.4f}, {height}"
    rows = {
        "format": f"{found['format']} ({found['kind']}), {found['model']}",
        "unit": f"{found['unit']} (in the file: {found['unit_in_file']})",
        "receptors": f"{found['receptors']} ({found['receptors_missing']} without a footprint)",
        "first": f"{first['obs_id']}{place}",
        "column": f"{column}, weighting {found['weighting']}",
        "total sensitivity": "mean {:.6g}, {:.6g} to {:.6g}".format(
            found["total_sensitivity"], *found["total_sensitivity_range"]
        ),
        "hours": (f"{steps}, {hours['first']} to {hours['last']}" if hours["first"] else "none apart")
        + share,
        "grid": "{0[0]} x {0[1]}, {1[0]:g} to {1[1]:g} N, {1[2]:g} to {1[3]:g} E".format(
            found["grid"]["shape"], found["grid"]["bounds"]
        ),
        "boundary": "no curtains"
        if found["boundary_share"] is None
        else f"{found['boundary_share']:.3f} left the domain",
    }
    for name, text in rows.items():
        print(f"{name:18s} {text}")
    for note in found["notes"]:
        print(f"note: {note}")


@app.command("convert")
def convert(
    files: Annotated[
        list[str], typer.Argument(help="Footprint files, folders or globs, or one sparse Jacobian.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the sparse Jacobian, or netCDF file.")],
    to: Annotated[
        _To, typer.Option(help="store (sparse Jacobian), cf or paris (netCDF, one input).")
    ] = _To.store,
    grid: GridText = None,
    step: Annotated[str, typer.Option(help="Flux time bins: 1h, 3h, 1D, MS.")] = "1h",
    start: Annotated[str | None, typer.Option(help="First flux time, UTC.")] = None,
    stop: Annotated[str | None, typer.Option(help="Fluxes before this time, UTC.")] = None,
    unresolved: Annotated[
        _Unresolved,
        typer.Option(
            help="Parts integrated over unknown hours: an error, the flux bin of the release, or left out."
        ),
    ] = _Unresolved.refuse,
    store: Annotated[
        Path | None, typer.Option(help="Observation store whose observations the receptors stand for.")
    ] = None,
    species: Annotated[str | None, typer.Option(help="Species in that store, and of --background.")] = None,
    max_km: Annotated[
        float, typer.Option(help="Largest distance of an observation from its receptor.")
    ] = 5.0,
    max_minutes: Annotated[float, typer.Option(help="Largest time between them.")] = 30.0,
    background: Annotated[
        Path | None, typer.Option(help="Boundary file (vmr_n, ...) for the background.")
    ] = None,
    background_unit: Annotated[str | None, typer.Option(help="Its unit, where it has none.")] = None,
    unit: Unit = None,
    label: Label = None,
    weighting: Weight = None,
    receptor: Place = None,
    emulated: Emulated = False,
    part: Part = None,
    integrated: Whole = False,
    source_density: SourceDensity = None,
    receptor_density: ReceptorDensity = None,
    released_mass: Mass = None,
    species_index: Species = 1,
    format: Format = None,
    scheduler: Annotated[str, typer.Option(help="serial, processes or dask.")] = "processes",
    workers: Annotated[int | None, typer.Option(help="Worker processes.")] = None,
    as_json: Json = False,
) -> None:
    """Convert footprints of any make into the sparse Jacobian, CF netCDF or the PARIS layout."""
    import sys

    from inversion.transport.conversion.convert import convert_files
    from obsnet.config import resolve_files
    from obsnet.errors import ConfigError
    from obsnet.output import emit

    options = _options(locals())
    from obsnet.config import validate
    from obsnet.work.work import Work

    single = [f for f in files if (Path(f) / "meta.json").is_file()]
    paths: list[Any] = single or resolve_files(files, Path())
    if to is not _To.store:
        from obsnet.work.isolated import apart

        if len(paths) != 1:
            raise ConfigError(
                f"--to {to} takes one input, found {len(paths)}; collect them in a sparse store first"
            )
        count, said = apart(_rewrite, paths[0], options, format, to.value, out)
        if as_json:
            emit({"out": out, "receptors": count, "notes": said})
            return
        for note in said:
            print(f"note: {note}", file=sys.stderr)
        print(f"{out}: {count} footprints")
        return
    observations = None
    if store is not None:
        from obsnet.store import ObservationStore

        if species is None:
            raise ConfigError("--store needs --species")
        wanted = ["obs_id", "time", "latitude", "longitude", "intake_height_m"]
        observations = ObservationStore(store).read(species, columns=wanted)
    curtain = None
    if background is not None:
        if species is None:
            raise ConfigError("--background needs --species")
        curtain = (str(background), species, background_unit)
    report = convert_files(
        paths,
        out,
        options=options,
        format=format,
        grid=options.grid,
        step=step,
        start=start,
        stop=stop,
        unresolved=unresolved.value,
        observations=observations,
        max_km=max_km,
        max_minutes=max_minutes,
        curtain=curtain,
        work=validate(Work, {"scheduler": scheduler, "workers": workers}, "convert"),
    )
    if as_json:
        emit({**report, "out": out})
    else:
        _tell(report, out)
    if report["failed"]:
        raise typer.Exit(1)


def _summary(file: Path, options: Any, format: str | None) -> dict[str, Any]:
    from inversion.transport.files.summary import summary
    from inversion.transport.readers import open_footprints

    return summary(open_footprints(file, options, format=format))


def _rewrite(path: Path, options: Any, format: str | None, to: str, out: Path) -> tuple[int, tuple[str, ...]]:
    """Write a footprint file in another layout; return how many footprints it has, and what there is to say."""
    from inversion.transport.files.writers import write_cf, write_paris
    from inversion.transport.readers import open_footprints

    source = open_footprints(path, options, format=format)
    (write_cf if to == "cf" else write_paris)(out, source)
    return len(source), source.notes


def _tell(report: dict[str, Any], out: Path) -> None:
    import sys

    for bad in report["failed"]:
        print(f"failed: {bad['error']}", file=sys.stderr)
    for note, count in report["notes"].items():
        print(f"note ({count} files): {note}", file=sys.stderr)
    for reason, amount in report["lost"].items():
        if abs(amount) > 1e-6 * abs(report["total"]):
            where = {
                "time": "outside the flux time bins",
                "grid": "outside the grid",
                "unresolved": "unresolved, dropped",
            }
            print(f"left out: {100 * amount / report['total']:.1f} % of all sensitivity is {where[reason]}")
    extra = f", {report['unmatched']} observations without a receptor" if report["unmatched"] else ""
    print(
        f"{out}: {report['observations']} observations from {report['done']} files, {report['skipped']} "
        f"files were there already, {report['missing']} receptors without a footprint{extra}; "
        f"{len(report['failed'])} files failed"
    )


def _options(given: dict[str, Any]) -> Any:
    """Turn a command's arguments into what the readers take."""
    from inversion.transport.readers import Options, Receptor
    from obsnet.errors import ConfigError
    from obsnet.grid import Grid
    from obsnet.times import as_utc

    receptor, grid = given["receptor"], given["grid"]
    if receptor is not None:
        words = receptor.split(",")
        try:
            receptor = Receptor(as_utc(words[0]), *(float(w) for w in words[1:]))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"--receptor {receptor!r}: write it as TIME,LAT,LON,HEIGHT ({error})"
            ) from error
    if grid is not None:
        try:
            grid = Grid.regular(*(float(w) for w in grid.split(",")))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"--grid {grid!r}: write it as south,north,west,east,dlat,dlon ({error})"
            ) from error
    plain = ("unit", "emulated", "integrated", "released_mass", "species_index")
    named = {k: given[k] and given[k].value for k in ("label", "weighting", "part")}
    density = {k: _density(given[k]) for k in ("source_density", "receptor_density")}
    return Options(receptor=receptor, grid=grid, **{k: given[k] for k in plain}, **named, **density)


def _density(text: str | None) -> Any:
    from obsnet.errors import ConfigError

    if text is None or text == "standard":
        return text
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"density {text!r}: write a number in kg m-3, or 'standard'") from None
