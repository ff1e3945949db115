"""The files beside the page of a report: annex, tables, exchange with other inversions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from obsnet.language import Words
from obsnet.report.annex.write import write_annex
from obsnet.report.content import Content
from obsnet.report.exchange.monthly import write_monthly
from obsnet.report.exchange.paris import write_paris
from obsnet.report.exchange.paris_inventory import inventory_name, write_paris_inventory
from obsnet.report.options import ReportOptions
from obsnet.report.sections.nowcast import nowcast_folders
from obsnet.report.tables.tables import ReportTable, report_tables
from obsnet.report.tables.workbook import write_table_files, write_table_workbook

__all__ = ["behind", "write_files"]


def behind(posterior: Path, tables: Sequence[ReportTable]) -> list[tuple[str, str, Words]]:
    """Return name, sha256 and content of the files that a report is made of."""
    from obsnet.content import sha256

    inversion = (posterior.name, sha256(posterior), Words("The inversion", "反演结果"))
    return [inversion, *((t.path.name, sha256(t.path), Words(t.title, t.title)) for t in tables)]


def write_files(
    content: Content, data: Any, posterior: Path, table: Path, out: Path, options: ReportOptions
) -> list[Path]:
    """Write what `ReportOptions.formats` asks for.

    Parameters
    ----------
    content : Content
        What the report says.
    data : xarray.Dataset
        Of the posterior file.
    posterior, table : Path
        Posterior file and ``provinces.csv``.
    out : Path
        Folder.
    options : ReportOptions
        Formats and language.

    Returns
    -------
    list of Path
        Of what was written.

    Raises
    ------
    FormatError, SchemaError
        A posterior that the layout of an exchange file has no place for.
    """
    language = content.language
    tables = report_tables(table, nowcast_folders(options.nowcast, out), language)
    written: list[Path] = []
    if "docx" in options.formats:
        written.append(write_annex(out / "annex.docx", content, behind(posterior, tables), options.template))
    if "xlsx" in options.formats:
        book, notes = out / "tables.xlsx", [n.said(language) for n in content.notes]
        written.append(write_table_workbook(book, tables, language, title=content.title, notes=notes))
    if "csv" in options.formats:
        written += write_table_files(out / "tables", tables, language)
    if "paris" in options.formats:
        sectors, gas = [str(s) for s in data["sector"].values], str(data["flux"].attrs["substance"]).lower()
        written.append(write_paris(data, out / "paris" / f"obsnet_{gas}.nc"))
        inventory = out / "paris" / "inventory" / inventory_name(content.table)
        written.append(write_paris_inventory(content.table, sectors, inventory))
    if "monthly" in options.formats:
        written.append(write_monthly(data, out / "flux_monthly.nc"))
    return written
