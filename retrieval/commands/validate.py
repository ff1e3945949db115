"""The command ``obsnet validate``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obsnet.command import Shown, command

if TYPE_CHECKING:
    from retrieval.validation.options import ValidateTable

__all__ = ["validate"]


@command("retrieval.validation.options:ValidateTable")
def validate(options: ValidateTable) -> Shown:
    """Validate satellite columns against a ground network.

    Each overpass of a site is compared with the site's own columns about that time, seen through the
    satellite's averaging kernels and priors. Bias, scatter and correlation come by site, mode and season.
    """
    from retrieval.validation.compare import run_validate

    report = run_validate(options, Path())
    without = report["summary"].get("unfinished_inputs")
    return Shown(report, _lines(report, options.species), [f"went on with {without}"] if without else [])


def _lines(report: dict[str, Any], species: str) -> Iterator[str]:
    from obsnet.constants import species as species_of

    unit = species_of(species).unit_name

    def text(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    yield (
        f"{'':14s} {'n':>5s} {'bias':>8s} {'error':>7s} {'sd':>7s} {'R2':>5s}   satellite minus reference, {unit}"
    )
    for cut in ("site", "mode", "season"):
        for row in report[cut]:
            yield (
                f"{row[cut] or '(no mode)':14s} {row['n']:5d} {text(row['bias'], '8.3f'):>8s} "
                f"{text(row['bias_error'], '7.3f'):>7s} {text(row['sd'], '7.3f'):>7s} {text(row['r2'], '5.2f'):>5s}"
            )
    total = report["summary"]
    if total["n"] == 0:
        yield "no overpass meets the criteria; widen the box, the time or the minimum"
        return
    yield (
        f"{total['n']} overpasses: bias {total['bias']:+.3f} {unit}, sd {text(total['sd'], '.3f')} {unit}, "
        f"R2 {text(total['r2'], '.2f')}"
    )
    if total["site_bias_sd"] is not None:
        yield (
            f"{total['sites']} sites: mean bias {total['mean_site_bias']:+.3f} {unit}, scatter of the sites' biases "
            f"{total['site_bias_sd']:.3f} {unit}"
        )
    for name in report["files"]:
        yield f"wrote {name}"
