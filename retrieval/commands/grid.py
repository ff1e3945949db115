"""The command ``obsnet grid``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

__all__ = ["grid", "make_files"]

_Text = Optional[str]  # noqa: UP045 - typer reads the annotation when the command is made
_Number = Optional[float]  # noqa: UP045


def grid(
    store: Annotated[str, typer.Argument(help="observation store of soundings or super-observations")],
    out: Annotated[str, typer.Option(help="netCDF file to write")],
    species: Annotated[str, typer.Option(help="CO2 or CH4")],
    cells: Annotated[str, typer.Option("--grid", help="south,north,west,east,dlat[,dlon]")],
    start: Annotated[str, typer.Option(help="first time, UTC")],
    stop: Annotated[str, typer.Option(help="time after the last, UTC")],
    step: Annotated[str, typer.Option(help="length of a period: 1D, 8D, MS")] = "1D",
    method: Annotated[str, typer.Option(help="bin, kriging or frk")] = "bin",
    source: Annotated[_Text, typer.Option(help="source; needed where the store has several")] = None,
    r: Annotated[float, typer.Option("--r", help="correlation of errors inside a cell, for means")] = 0.0,
    window_days: Annotated[float, typer.Option(help="days before and after a period that are used")] = 8.0,
    neighbours: Annotated[int, typer.Option(min=1, help="columns that a cell is kriged from")] = 64,
    reach_km: Annotated[_Number, typer.Option(help="cells farther from any column stay empty")] = None,
    folds: Annotated[int, typer.Option(min=0, help="of the cross-validation; 0 leaves it out")] = 10,
    geotiff: Annotated[_Text, typer.Option(help="folder for cloud-optimised GeoTIFFs")] = None,
    pictures: Annotated[_Text, typer.Option(help="folder for PNG maps")] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Map columns: bin means, local kriging or fixed-rank kriging, each with its standard error.

    Every map comes with a check on held-out blocks: bias, RMSE, and how often the observations lie within
    the 95 % range that the map claims.
    """
    from obsnet.output import emit

    report = make_files(
        Path(store),
        Path(out),
        cells=cells,
        start=start,
        stop=stop,
        step=step,
        geotiff=Path(geotiff) if geotiff else None,
        pictures=Path(pictures) if pictures else None,
        species=species,
        method=method,
        source=source,
        r=r,
        window_days=window_days,
        neighbours=neighbours,
        reach_km=reach_km,
        folds=folds,
    )
    if json:
        emit(report)
    else:
        _print(report, species)


def make_files(
    store: Path,
    out: Path,
    *,
    cells: str,
    start: str,
    stop: str,
    step: str,
    geotiff: Path | None,
    pictures: Path | None,
    reach_km: float | None,
    **settings: Any,
) -> dict[str, Any]:
    """Make the map and write its files; return the report with their names."""
    from obsnet.cf import write_netcdf
    from obsnet.store import ObservationStore
    from obsnet.times import time_bins
    from retrieval.commands.option_text import parse_grid
    from retrieval.mapping.dataset import write_geotiffs
    from retrieval.mapping.figures import write_pictures
    from retrieval.mapping.maps import make_map
    from retrieval.mapping.settings import MapSettings

    where = parse_grid(cells)
    made = make_map(
        ObservationStore(store),
        MapSettings(
            grid=where,
            time_edges=time_bins(start, stop, step),
            reach_km=float("inf") if reach_km is None else reach_km,
            **settings,
        ),
    )
    write_netcdf(made.data, out, history=f"mapped by {settings['method']}")
    files = [out]
    if geotiff is not None:
        files += write_geotiffs(made.data, where, settings["species"], geotiff)
    if pictures is not None:
        files += write_pictures(made.data, where, settings["species"], pictures)
    return {**made.report, "files": [str(f) for f in files]}


def _print(report: dict[str, Any], species: str) -> None:
    from obsnet.constants import species as species_of

    unit = species_of(species).unit_name
    print(
        f"{report['source']}: {report['observations']} columns, "
        f"{report['cells']} of {report['cells_of']} cells mapped"
    )
    for reason, number in report.get("left_out", {}).items():
        print(f"  left out: {number} {reason}")
    if "variogram" in report:
        v = report["variogram"]
        print(
            f"  variogram: {v['sill_space']:.3g} over {v['range_km']:.0f} km, {v['sill_time']:.3g} over "
            f"{v['range_days']:.1f} days, nugget {v['nugget']:.3g} ({unit})2; mean: {report['trend']['terms']}"
        )
    if "functions" in report:
        print(
            f"  {report['functions']} functions, {report['iterations']} iterations, "
            f"fine-scale sd {report['fine_variance'] ** 0.5:.3g} {unit}"
        )
    if "cross_validation" in report:
        c = report["cross_validation"]
        what = "columns against the others of their cell" if report["method"] == "bin" else "held-out blocks"
        print(
            f"  {what}: n {c['n']}, bias {c['bias']:+.3f} {unit}, RMSE {c['rmse']:.3f} {unit}, "
            f"R2 {c['r2']:.2f}, inside the 95 % range {100 * c['coverage95']:.1f} %"
        )
    for name in report["files"]:
        print(f"wrote {name}")
