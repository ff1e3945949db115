"""The command ``obsnet grid``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obsnet.command import Shown, command

if TYPE_CHECKING:
    from retrieval.mapping.settings import GridTable

__all__ = ["grid"]


@command("retrieval.mapping.settings:GridTable")
def grid(options: GridTable) -> Shown:
    """Map columns: bin means, local kriging or fixed-rank kriging, each with its standard error.

    Every map comes with a check on held-out blocks: bias, RMSE, and how often the observations lie within
    the 95 % range that the map claims.
    """
    from retrieval.mapping.maps import run_grid

    report = run_grid(options, Path())
    return Shown(report, _lines(report, options.species))


def _lines(report: dict[str, Any], species: str) -> Iterator[str]:
    from obsnet.constants import species as species_of

    unit = species_of(species).unit_name
    yield (
        f"{report['source']}: {report['observations']} columns, "
        f"{report['cells']} of {report['cells_of']} cells mapped"
    )
    for reason, number in report.get("left_out", {}).items():
        yield f"  left out: {number} {reason}"
    if "variogram" in report:
        v = report["variogram"]
        yield (
            f"  variogram: {v['sill_space']:.3g} over {v['range_km']:.0f} km, {v['sill_time']:.3g} over "
            f"{v['range_days']:.1f} days, nugget {v['nugget']:.3g} ({unit})2; mean: {report['trend']['terms']}"
        )
    if "functions" in report:
        yield (
            f"  {report['functions']} functions, {report['iterations']} iterations, "
            f"fine-scale sd {report['fine_variance'] ** 0.5:.3g} {unit}"
        )
    if "cross_validation" in report:
        c = report["cross_validation"]
        what = "columns against the others of their cell" if report["method"] == "bin" else "held-out blocks"
        yield (
            f"  {what}: n {c['n']}, bias {c['bias']:+.3f} {unit}, RMSE {c['rmse']:.3f} {unit}, "
            f"R2 {c['r2']:.2f}, inside the 95 % range {100 * c['coverage95']:.1f} %"
        )
    for name in report["files"]:
        yield f"wrote {name}"
