"""From a posterior file and its table of verdicts to the page, its pictures and a GeoTIFF."""

from __future__ import annotations

from pathlib import Path

from obsnet.crosscheck.words import Words
from obsnet.report.options import ReportOptions

__all__ = ["report_files"]


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
    """Write ``report.html`` with its pictures, ``flux.tif``, and the files of `ReportOptions.formats`.

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

    from obsnet.atomic import atomic_path
    from obsnet.cf import read_netcdf, write_geotiff
    from obsnet.crosscheck.run import beside
    from obsnet.crosscheck.table import read_covariance, read_statistics, read_table
    from obsnet.crosscheck.words import common_first
    from obsnet.field import grid_of
    from obsnet.report.annex.chapters import Annex
    from obsnet.report.facts import facts
    from obsnet.report.files import write_files
    from obsnet.report.page import draw, write_report
    from obsnet.report.sections.beside import beside_the_verdict
    from obsnet.report.sections.bridge import bridge
    from obsnet.report.sections.nowcast import nowcast_sections
    from obsnet.report.sections.optional import optional_sections
    from obsnet.report.sections.told_apart import told_apart
    from obsnet.work.isolated import apart

    table = read_table(table_file)
    remarks = [Words(*pair) for pair in zip(table["remark"], table["remark_zh"], strict=True)]
    common, own = common_first(remarks)
    table = table.assign(remark=[t.en for t in own], remark_zh=[t.zh for t in own])
    definitions = beside(table_file, "bridge")
    statistics = read_statistics(beside(table_file, "statistics"))
    told = [Words(r["text"], r["text_zh"]) for r in statistics[statistics["told"] == 1].to_dict("records")]
    data = apart(read_netcdf, posterior)
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
    sections = [
        *([bridge(definitions)] if definitions.is_file() else []),
        beside_the_verdict(table, statistics),
        told_apart(table, read_covariance(beside(table_file, "covariance"))),
        *optional_sections(table_file.parent),
        *(section for name in options.nowcast for section in nowcast_sections(out / name)),
    ]
    rests = facts(data, table)
    page = out / "report.html"
    write_report(
        page,
        table,
        pictures,
        title=options.title,
        title_zh=options.title_zh,
        notes=[*options.notes, *(f"{t.en} · {t.zh}" for t in [*told, *common])],
        facts=[(what.en, which.en) for what, which in rests],
        period=f"{first} to {last}",
        sections=sections,
    )
    material = Annex(
        Words(options.title, options.title_zh),
        table,
        data,
        pictures,
        sections,
        notes=options.notes,
        remarks=[*told, *common],
        facts=rests,
        period=f"{first} to {last}",
    )
    return [page, image, *images, *write_files(material, posterior, table_file, out, options)]
