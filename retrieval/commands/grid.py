"""The command ``obsnet grid``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obsnet.command import Shown, command

if TYPE_CHECKING:
    from obsnet.work.work import Work
    from retrieval.mapping.settings import GridTable

__all__ = ["grid"]


@command("retrieval.mapping.settings:GridTable", work=True)
def grid(options: GridTable, work: Work) -> Shown:
    """Map columns: bin means, local kriging or fixed-rank kriging, each with its standard error.

    Every map comes with a check on held-out blocks: bias, RMSE, and how often the observations lie within
    the 95 % range that the map claims.
    """
    from retrieval.mapping.maps import run_grid

    report = run_grid(options, Path(), work)
    without = report.get("unfinished_inputs")
    return Shown(report, _lines(report, options.species), [f"went on with {without}"] if without else [])


def _lines(report: dict[str, Any], species: str) -> Iterator[str]:
    from obsnet.constants import species as species_of

    unit = species_of(species).unit_name
    yield (
        f"{report['source']}: {report['observations']} columns, "
        f"{report['cells']} of {report['cells_of']} cells mapped"
    )
    if without := report["periods_without_value"]:
        yield f"  no value anywhere, nothing drawn: {len(without)} of the periods: {', '.join(without)}"
    if borrowed := report["periods_without_columns"]:
        yield (
            f"  no column of their own, mapped from the days around, no picture: {len(borrowed)} of the periods: "
            f"{', '.join(borrowed)}"
        )
    for reason, number in report.get("left_out", {}).items():
        yield f"  left out: {number} {reason}"
    if "left_empty" in report:
        limit = f" (above {report['max_sd']:g} {unit})" if "max_sd" in report else ""
        yield (
            f"  left empty: {report['left_empty']['beyond_reach']} cells farther than {report['reach_km']:g} km from "
            f"any column then, {report['left_empty']['above_max_sd']} of too large a standard error{limit}"
        )
    if "variogram" in report:
        v = report["variogram"]
        yield (
            f"  covariance: {v['sill_space']:.3g} over {v['range_km']:.0f} km, {v['sill_time']:.3g} over "
            f"{v['range_days']:.1f} days, nugget {v['nugget']:.3g} ({unit})2, fitted to {v['fitted_to']}; "
            f"mean: {report['trend']['terms']}"
        )
        if v["at_bounds"]:
            yield f"  the data do not tell {v['at_bounds']}: the fit ended at that bound"
        yield f"  variances vary from place to place: {v['evenness']:.0f} columns nearby count as much as all others"
    if "functions" in report:
        yield (
            f"  {report['functions']} functions ({report['memory_gib']:.2g} GiB), {report['iterations']} iterations, "
            f"fine-scale sd {report['fine_variance'] ** 0.5:.3g} {unit}"
        )
    if scale := report.get("error_scale", report.get("variogram", {}).get("error_scale")):
        yield f"  errors of the columns taken as {scale:.2f} times what they are stated to be"
    if "cross_validation" in report:
        c = report["cross_validation"]
        what = "columns against the others of their cell"
        if "block_degrees" in c:
            what = f"means of held-out blocks of {c['block_degrees']:g} degrees"
        yield (
            f"  {what}: n {c['n']}, bias {c['bias']:+.3f} {unit}, RMSE {c['rmse']:.3f} {unit}, "
            f"R2 {c['r2']:.2f}, inside the 95 % range {100 * c['coverage95']:.1f} %"
        )
    if "cross_validation_wide" in report:
        w = report["cross_validation_wide"]
        yield (
            f"  of {w['block_degrees']:g} degrees: n {w['n']}, inside {100 * w['coverage95']:.1f} %; standard errors "
            f"multiplied by {report['widened']:.2f} for it"
        )
    for name in report["files"]:
        yield f"wrote {name}"
