"""The command ``obsnet validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

__all__ = ["make_files", "validate"]

_Text = Optional[str]  # noqa: UP045 - typer reads the annotation when the command is made
_Number = Optional[float]  # noqa: UP045
_CUTS = (("site",), ("mode",), ("season",), ("site", "mode"), ("site", "season"))


def validate(
    store: Annotated[str, typer.Argument(help="observation store of the satellite")],
    reference: Annotated[str, typer.Option(help="store of the ground network (TCCON, COCCON)")],
    out: Annotated[str, typer.Option(help="folder for tables and pictures")],
    species: Annotated[str, typer.Option(help="CO2 or CH4")],
    source: Annotated[str, typer.Option(help="satellite product, e.g. acos_lite_v9")],
    reference_source: Annotated[_Text, typer.Option(help="needed where the reference has several")] = None,
    half_latitude: Annotated[float, typer.Option(help="half the box round a site, degrees")] = 2.5,
    half_longitude: Annotated[float, typer.Option(help="half the box round a site, degrees")] = 5.0,
    hours: Annotated[float, typer.Option(help="reference columns before and after the overpass")] = 1.0,
    minimum: Annotated[int, typer.Option(min=1, help="fewest soundings of an overpass")] = 5,
    altitude: Annotated[_Number, typer.Option(help="largest difference in height, m")] = None,
    adjust: Annotated[str, typer.Option(help="kernel: see through the satellite's kernels; none")] = "kernel",
    start: Annotated[_Text, typer.Option(help="first time, UTC")] = None,
    stop: Annotated[_Text, typer.Option(help="time after the last, UTC")] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Validate satellite columns against a ground network.

    Each overpass of a site is compared with the site's own columns about that time, seen through the
    satellite's averaging kernels and priors. Bias, scatter and correlation come by site, mode and season.
    """
    from obsnet.output import emit

    report = make_files(
        Path(store),
        Path(reference),
        Path(out),
        species=species,
        source=source,
        reference_source=reference_source,
        half_latitude=half_latitude,
        half_longitude=half_longitude,
        hours=hours,
        minimum=minimum,
        altitude=altitude,
        adjust=adjust,
        start=start,
        stop=stop,
    )
    if json:
        emit(report)
    else:
        _print(report, species)


def make_files(
    store: Path,
    reference: Path,
    out: Path,
    *,
    species: str,
    half_latitude: float,
    half_longitude: float,
    hours: float,
    minimum: int,
    altitude: float | None,
    **rest: Any,
) -> dict[str, Any]:
    """Collocate, write tables and pictures, return the numbers."""
    from obsnet.store import ObservationStore
    from retrieval.validation.collocation import Criteria
    from retrieval.validation.compare import statistics, summary, validate_stores, write_figures, write_tables

    criteria = Criteria(half_latitude, half_longitude, hours, minimum=minimum, altitude_m=altitude)
    pairs = validate_stores(
        ObservationStore(store), ObservationStore(reference), species, criteria=criteria, **rest
    )
    files = [*write_tables(pairs, out, _CUTS), *write_figures(pairs, species, out)]
    tables = {"_".join(cut): statistics(pairs, cut) for cut in _CUTS}
    return {"summary": summary(pairs), **tables, "files": [str(f) for f in files]}


def _print(report: dict[str, Any], species: str) -> None:
    from obsnet.constants import species as species_of

    unit = species_of(species).unit_name

    def text(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    print(
        f"{'':14s} {'n':>5s} {'bias':>8s} {'error':>7s} {'sd':>7s} {'R2':>5s}   satellite minus reference, {unit}"
    )
    for cut in ("site", "mode", "season"):
        for row in report[cut]:
            print(
                f"{row[cut] or '(no mode)':14s} {row['n']:5d} {text(row['bias'], '8.3f'):>8s} "
                f"{text(row['bias_error'], '7.3f'):>7s} {text(row['sd'], '7.3f'):>7s} {text(row['r2'], '5.2f'):>5s}"
            )
    total = report["summary"]
    if total["n"] == 0:
        print("no overpass meets the criteria; widen the box, the time or the minimum")
        return
    print(
        f"{total['n']} overpasses: bias {total['bias']:+.3f} {unit}, sd {text(total['sd'], '.3f')} {unit}, "
        f"R2 {text(total['r2'], '.2f')}"
    )
    if total["site_bias_sd"] is not None:
        print(
            f"{total['sites']} sites: mean bias {total['mean_site_bias']:+.3f} {unit}, scatter of the sites' biases "
            f"{total['site_bias_sd']:.3f} {unit}"
        )
    for name in report["files"]:
        print(f"wrote {name}")
