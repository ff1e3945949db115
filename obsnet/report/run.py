"""From a posterior file and its table of verdicts to the page, its pictures and a GeoTIFF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from obsnet.report.options import ReportOptions

if TYPE_CHECKING:
    from obsnet.report.content import Content

__all__ = ["report_content", "report_files"]


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
    posterior: Path,
    table_file: Path,
    out: Path,
    options: ReportOptions,
    store: Path | None = None,
    *,
    within_run: bool = False,
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
        Heading, notes, language.
    store : Path, optional
        Observation store.
    within_run : bool
        A stage calls: the run's record is not written yet.

    Returns
    -------
    list of Path
        Files written.

    Raises
    ------
    FormatError
        The table is not one of `obsnet crosscheck`; a template of which no annex can be made, before anything is read.
    """
    from obsnet.atomic import atomic_path
    from obsnet.cf import read_netcdf, write_geotiff
    from obsnet.crosscheck.verdicts.table import read_table
    from obsnet.field import grid_of
    from obsnet.reading import reading
    from obsnet.report.annex.document import check_template
    from obsnet.report.files import write_files
    from obsnet.report.page import write_report
    from obsnet.seal import check_file
    from obsnet.work.isolated import apart

    if options.template is not None and "docx" in options.formats:
        check_template(options.template, out / "annex.docx")
    # a seal that holds keeps damage out (not malice: whoever forges one ends this command, and nothing else)
    data = read_netcdf(posterior) if check_file(posterior) else apart(read_netcdf, posterior)
    table = read_table(table_file)
    with reading(f"{table_file} with {posterior.name}", "results of a run"):
        flux = _mean_flux(data, str(table["sector"].iloc[0]))
        content = report_content(data, table, flux, posterior, table_file, out, options, store, within_run)
    image = out / "flux.tif"
    what = f"{table['sector'].iloc[0]} flux of {table['gas'].iloc[0]}, mean of the period"
    write_geotiff(
        flux["posterior"],
        grid_of(data),
        image,
        units="mol m-2 s-1",
        description=f"posterior {what}",
        uncertainty=flux["sd"],
    )
    images = [out / f"{name}.png" for name in content.pictures]
    for path, image_bytes in zip(images, content.pictures.values(), strict=True):
        with atomic_path(path) as temporary:
            temporary.write_bytes(image_bytes)
    page = out / "report.html"
    write_report(page, content)
    return [page, image, *images, *write_files(content, data, posterior, table_file, out, options)]


def _mean_flux(data: Any, sector: str) -> dict[str, Any]:
    """Return the mean over time of a sector's prior and posterior flux, and what is known of its error.

    Errors of a cell at several times are taken as one, which is the largest that their mean can have; the file does not
    state how they are correlated.
    """
    import numpy as np

    chosen = data.sel(sector=sector)
    length = ((data["time_bnds"][:, 1] - data["time_bnds"][:, 0]) / np.timedelta64(1, "s")).astype(float)
    nothing = np.full((data.sizes["lat"], data.sizes["lon"]), np.nan)

    def mean(key: str) -> Any:
        if key not in chosen:
            return nothing
        return chosen[key].weighted(length).mean("time").transpose("lat", "lon").values

    sd, before = mean("flux_uncertainty"), mean("flux_prior_uncertainty")
    with np.errstate(invalid="ignore", divide="ignore"):
        # a cell of which the prior was sure has nothing to learn
        reduction = np.where(before > 0.0, 1.0 - sd / before, np.where(np.isfinite(before), 0.0, np.nan))
    return {"prior": mean("flux_prior"), "posterior": mean("flux"), "sd": sd, "reduction": reduction}


def report_content(
    data: Any,
    table: Any,
    flux: dict[str, Any],
    posterior: Path,
    table_file: Path,
    out: Path,
    options: ReportOptions,
    store: Path | None = None,
    within_run: bool = False,
) -> Content:
    """Return what the report says; `flux` is from `_mean_flux`, all else as in `report_files`."""
    from obsnet.crosscheck.verdicts.run import beside
    from obsnet.crosscheck.verdicts.table import read_covariance, read_statistics
    from obsnet.crosscheck.words import common_first
    from obsnet.drawing.fonts import missing
    from obsnet.drawing.shapes import shapes_of
    from obsnet.field import grid_of
    from obsnet.language import Words
    from obsnet.report.content import Content, facts
    from obsnet.report.pictures import draw
    from obsnet.report.record import inputs_section, said_section
    from obsnet.report.sections.beside import beside_the_verdict
    from obsnet.report.sections.bridge import bridge
    from obsnet.report.sections.fit import fit, fit_words
    from obsnet.report.sections.nowcast import nowcast_folders, nowcast_sections
    from obsnet.report.sections.optional import optional_sections
    from obsnet.report.sections.told_apart import told_apart
    from obsnet.report.summary import summary
    from obsnet.report.words import both, span

    language = options.language
    remarks = [Words(*pair) for pair in zip(table["remark"], table["remark_zh"], strict=True)]
    common, own = common_first(remarks)
    table = table.assign(remark=[t.en for t in own], remark_zh=[t.zh for t in own])
    statistics = read_statistics(beside(table_file, "statistics"))
    told = [Words(r["text"], r["text_zh"]) for r in statistics[statistics["told"] == 1].to_dict("records")]
    notes = options.notes_zh or options.notes if language == "zh" else options.notes or options.notes_zh
    first, last = (str(data["time_bnds"].values.ravel()[k])[:10] for k in (0, -1))
    read = {path.name: path for path in (posterior, table_file)}
    definitions, covariance = beside(table_file, "bridge"), beside(table_file, "covariance")
    marks = _stations(store) if store is not None and store.is_dir() else []
    return Content(
        language=language,
        title=options.title_zh if language == "zh" else options.title,
        notes=[
            *(Words(n, n if _chinese(n) else "") for n in notes),
            *([both("no font")] if missing(language) else []),
        ],
        remarks=[*told, *common],
        summary=summary(table, language),
        table=table,
        pictures=draw(table, flux, grid_of(data), marks, language=language, shapes=shapes_of(data, table)),
        fit=fit_words(table).said(language),
        period=span(f"{first} to {last}", language),
        sections={
            "bridge": [bridge(definitions, language)] if definitions.is_file() else [],
            "beside": [beside_the_verdict(table, statistics, language)],
            "told_apart": [told_apart(table, read_covariance(covariance), language)],
            **optional_sections(table_file.parent, language),
            "nowcast": [
                section
                for folder in nowcast_folders(options.nowcast, out)
                for section in nowcast_sections(folder, language)
            ],
            "fit": [fit(table, data, language)],
            "inputs": [
                *said_section(out, data.attrs, language),
                inputs_section(out, read, within_run=within_run),
            ],
        },
        facts=facts(data, table),
    )


def _chinese(text: str) -> bool:
    return any("\u4e00" <= c <= "\u9fff" for c in text)
