"""``obsnet station fit``: the curve fit of one record, or of many in parallel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from stations.commands.options import Json, Scale, Site, Species, decimal_years, load, notes

if TYPE_CHECKING:
    from obsnet.work.work import Work
    from stations.curve.fit import CurveFit, CurveOptions

__all__ = ["fit"]

Files = Annotated[list[Path], typer.Argument(help="Station files; several are fitted in parallel.")]
Dates = Annotated[
    list[str] | None,
    typer.Option(
        help="Where to give the curves: decimal years or dates, comma-separated, or a file of them."
    ),
]
Short = Annotated[float, typer.Option("--short", help="Cutoff of the short filter, days.")]
Long = Annotated[float, typer.Option("--long", help="Cutoff of the long filter, days.")]
Interval = Annotated[
    float | None, typer.Option(help="Spacing of the filtered grid, days; found where left out.")
]
Terms = Annotated[int, typer.Option(help="Polynomial terms; 3 is a quadratic.")]
Harmonics = Annotated[int, typer.Option(help="Harmonics of the year.")]
Timezero = Annotated[float | None, typer.Option(help="Decimal year in which t = 0.")]
Gap = Annotated[float, typer.Option(help="Fill gaps longer than this, days, with the function; 0 never.")]
Gain = Annotated[bool, typer.Option("--gain", help="Let the seasonal amplitude grow linearly.")]
Noaa = Annotated[bool, typer.Option("--noaa-compatible", help="Errors as NOAA's program prints them.")]
Use = Annotated[str, typer.Option(help="background, valid or all rows.")]
Pairs = Annotated[bool, typer.Option("--pairs/--no-pairs", help="Average the members of flask pairs first.")]
Replicates = Annotated[
    int, typer.Option("--errors", help="Members of a Monte-Carlo ensemble of errors; 0 none.")
]
Seed = Annotated[int, typer.Option(help="Of the ensemble.")]
Workers = Annotated[int | None, typer.Option(help="Processes for several files.")]
Address = Annotated[str | None, typer.Option(help="A running Dask scheduler, e.g. tcp://node1:8786")]
Scheduler = Annotated[Literal["processes", "dask", "serial"], typer.Option(help="How several files are run.")]


def fit(
    files: Files,
    dates: Dates = None,
    short: Short = 80.0,
    long: Long = 667.0,
    interval: Interval = None,
    terms: Terms = 3,
    harmonics: Harmonics = 4,
    timezero: Timezero = None,
    gap: Gap = 0.0,
    gain: Gain = False,
    noaa: Noaa = False,
    use: Use = "background",
    pairs: Pairs = True,
    replicates: Replicates = 0,
    seed: Seed = 0,
    species: Species = None,
    site: Site = None,
    scale: Scale = None,
    workers: Workers = None,
    scheduler: Scheduler = "processes",
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Fit function, smooth curve, trend and growth rate (Thoning, Tans & Komhyr 1989)."""
    from obsnet.output import emit
    from obsnet.work.work import Work
    from stations.curve.fit import CurveOptions

    options = CurveOptions(short, long, interval, terms, harmonics, timezero, gap, gain, noaa)
    at = decimal_years(dates) if dates else None
    if len(files) > 1:
        task = {"options": options, "species": species, "use": use, "pairs": pairs}
        work = Work(scheduler="dask" if address else scheduler, workers=workers, address=address)
        _many(files, task, at, work, as_json)
        return
    result = _one(files[0], options, at, species, site, scale, use, pairs, replicates, seed)
    if as_json:
        emit(result)
    else:
        print("\n".join(_text(result)))
    notes(result["notes"])


def _one(
    path: Path,
    options: CurveOptions,
    at: list[float] | None,
    species: str | None,
    site: str | None,
    scale: str | None,
    use: str,
    pairs: bool,
    replicates: int,
    seed: int,
) -> dict[str, Any]:
    from stations.curve.fit import in_notes
    from stations.curve.many import fit_record, summarise

    record = load(path, species, site, scale)
    with in_notes():
        fitted = fit_record(record, options, use=use, pairs=pairs)
    attrs = record.attrs
    result = {k: attrs.get(k, "") for k in ("site", "species", "unit", "scale")} | summarise(fitted, at)
    result["monthly_means"] = {f"{y}-{m:02d}": mean for y, m, mean, *_ in fitted.monthly_means()}
    if replicates:
        result["ensemble"] = _ensemble(fitted, at, replicates, seed)
    return result


def _ensemble(fitted: CurveFit, at: list[float] | None, replicates: int, seed: int) -> dict[str, Any]:
    import numpy as np

    from stations.curve.errors import curve_ensemble

    found = curve_ensemble(fitted, replicates=replicates, seed=seed)
    result: dict[str, Any] = {
        "replicates": replicates,
        "seed": seed,
        "coefficient_sd": found.coefficients,
        "annual_increase_sd": found.annual_increase,
    }
    if at is not None:
        for name in ("smooth", "trend", "growth"):
            result[f"{name}_sd"] = found.at(np.array(at), name)
    return result


def _many(files: list[Path], task: dict[str, Any], at: list[float] | None, work: Work, as_json: bool) -> None:
    from functools import partial

    from obsnet.output import emit
    from obsnet.work.progress import progress
    from stations.curve.many import fit_file, fit_many

    done = []
    with progress(len(files), "fits") as advance:
        for summary in fit_many(list(map(str, files)), partial(fit_file, **task), dates=at, work=work):
            done.append(summary)
            advance(1)
    done.sort(key=lambda s: s.name)
    bad = [{"path": s.name, "error": s.error} for s in done if s.error]
    if as_json:
        emit(
            {
                "files": [{"path": s.name, **s.numbers} for s in done if not s.error],
                "bad": bad,
                "failed": len(bad),
            }
        )
    else:
        for s in done:
            if not s.error:
                n = s.numbers
                print(f"{s.name}: {n['n']} values, rsd {n['rsd_function']:.3f} and {n['rsd_smooth']:.3f}")
    notes(f"bad: {b['path']}: {b['error']}" for b in bad)
    if bad:
        notes([f"{len(bad)} of {len(files)} files could not be fitted"])
        raise typer.Exit(1)


def _text(result: dict[str, Any]) -> list[str]:
    """Return a fit for people."""
    unit = result["unit"]
    lines = [
        f"{result['site']} {result['species']} {result['scale']}",
        f"  {result['n']} values from {result['first']:.3f} to {result['last']:.3f}",
        f"  zero {result['timezero']:g}, grid of {result['interval_days']:g} days",
        f"  residual sd: function {result['rsd_function']:.4f}, smooth curve {result['rsd_smooth']:.4f} {unit}",
        "  coefficients " + ", ".join(f"{c:.6g}" for c in result["coefficients"]),
        "  standard errors " + ", ".join(f"{k} {v:.3g}" for k, v in result["standard_errors"].items()),
    ]
    for key, words in (
        ("annual_increase", f"annual increase ({unit}/yr)"),
        ("amplitudes", f"seasonal amplitude ({unit})"),
    ):
        if last := list(result[key].items())[-5:]:
            lines.append(f"  {words} " + ", ".join(f"{year}: {v:.2f}" for year, v in last))
    for k, year in enumerate(result.get("dates", [])):
        values = ", ".join(f"{n} {result[n][k]:.4f}" for n in ("function", "smooth", "trend", "growth"))
        lines.append(f"  {year:.4f}: {values}")
    return lines
