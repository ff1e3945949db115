"""The command ``obsnet superobs``."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer

__all__ = ["superobs"]

_Text = Optional[str]  # noqa: UP045 - typer reads the annotation when the command is made
_Number = Optional[float]  # noqa: UP045


def superobs(
    store: Annotated[str, typer.Argument(help="observation store of soundings")],
    out: Annotated[str, typer.Option(help="store of super-observations; made when absent")],
    species: Annotated[str, typer.Option(help="CO2 or CH4")],
    source: Annotated[_Text, typer.Option(help="sources with commas; all by default")] = None,
    start: Annotated[_Text, typer.Option(help="first time, UTC")] = None,
    stop: Annotated[_Text, typer.Option(help="time after the last, UTC")] = None,
    box: Annotated[_Text, typer.Option(help="south,north,west,east of the soundings")] = None,
    method: Annotated[str, typer.Option(help="along-track or area")] = "along-track",
    grid: Annotated[_Text, typer.Option(help="south,north,west,east,dlat[,dlon] for areas")] = None,
    window: Annotated[_Number, typer.Option(help="seconds; 10 along track, 3600 for areas")] = None,
    max_gap: Annotated[float, typer.Option(help="seconds without a sounding that end a group")] = 3.0,
    max_gap_km: Annotated[float, typer.Option(help="a step to the next sounding that ends a group")] = 50.0,
    weighting: Annotated[str, typer.Option(help="share: of the pixel in the cell; area: its m2")] = "share",
    footprint_km: Annotated[_Number, typer.Option(help="diameter, for products without corners")] = None,
    minimum: Annotated[int, typer.Option(help="fewest soundings of a super-observation")] = 1,
    errors: Annotated[
        str, typer.Option(help="independent, correlated, chen2023_ch4 or baker2022_co2")
    ] = "independent",
    r: Annotated[_Number, typer.Option("--r", help="constant correlation of errors, 0 to 1")] = None,
    length_km: Annotated[_Number, typer.Option(help="length of the exponential correlation")] = None,
    floor: Annotated[_Number, typer.Option(help="least uncertainty, unit of the values")] = None,
    transport: Annotated[_Number, typer.Option(help="transport error, unit of the values")] = None,
    variability: Annotated[_Number, typer.Option(help="spread of the true field in a cell")] = None,
    representativity: Annotated[_Number, typer.Option(help="1: pixels missing at random")] = None,
    shard: Annotated[_Text, typer.Option(help="i/n: only the i-th of n parts, for job arrays")] = None,
    scheduler: Annotated[str, typer.Option(help="auto, serial, processes or dask")] = "auto",
    workers: Annotated[Optional[int], typer.Option(min=1, help="worker processes")] = None,  # noqa: UP045
    address: Annotated[_Text, typer.Option(help="a running Dask scheduler, e.g. tcp://node1:8786")] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Combine soundings into super-observations with honest errors.

    Good soundings are averaged over windows along the track, or over grid cells by the area that their
    pixels share with them; kernels and priors with the same weights. Never across land and sea, modes,
    platforms or gaps. Days that are done already are left alone.
    """
    from obsnet.config import validate
    from obsnet.output import emit
    from obsnet.work.work import Work
    from retrieval.commands.option_text import parse_box
    from retrieval.commands.superobs_stage import AveragingOptions, averaging
    from retrieval.superobs.store import Selection, combine_store

    given = {
        "method": method,
        "grid": grid,
        "window": window,
        "max_gap": max_gap,
        "max_gap_km": max_gap_km,
        "weighting": weighting,
        "footprint_km": footprint_km,
        "minimum": minimum,
        "errors": errors,
        "r": r,
        "length_km": length_km,
        "floor": floor,
        "transport": transport,
        "variability": variability,
        "representativity": representativity,
    }
    options = validate(AveragingOptions, given)
    sources = tuple(source.split(",")) if source else ()
    summary = combine_store(
        store,
        out,
        Selection(species, sources, start, stop, parse_box(box) if box else None),
        averaging(options),
        work=validate(Work, {"scheduler": scheduler, "workers": workers, "address": address, "shard": shard}),
    )
    if json:
        emit({"sources": summary.by_source(), "days": summary.days, "bad": len(summary.bad)})
    else:
        _print(summary, species)
    if summary.bad:
        raise SystemExit(1)


def _print(summary: Any, species: str) -> None:
    from obsnet.constants import species as species_of

    unit = species_of(species).unit_name
    for name, total in summary.by_source().items():
        print(f"{name}: {total['days']} days, {total['soundings']} soundings, {total['good']} good")
        if total["superobs"] == 0:
            print("  no super-observation")
        else:
            print(
                f"  {total['superobs']} super-observations, mean {total['value']:.3f} {unit}, "
                f"mean uncertainty {total['uncertainty']:.3f} {unit}"
            )
            print(
                f"  averaging the operator changes it by at most {total['residual_prior_max']:.3f} {unit} "
                f"on the mean prior, {total['residual_plume_max']:.3f} {unit} with 2.5 % more near the ground"
            )
        for reason, number in total["problems"].items():
            print(f"  left out: {number} {reason}")
    skipped = sum(d["skipped"] for d in summary.days if d["status"] == "done")
    print(f"{len(summary.days)} days, {skipped} of them done before")
    for day in summary.bad:
        print(f"{day['source']} {day['day']}: {day['status']}")
    if summary.bad:
        print(f"{len(summary.bad)} of {len(summary.days)} days bad")
