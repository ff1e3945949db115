"""The tables of a report as a workbook, a sheet each, and as CSV files for spreadsheets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from obsnet.language import Language, Words
from obsnet.report.tables.tables import ReportTable
from obsnet.sheets import TableSheet, write_sheet_csv, write_sheets

__all__ = ["write_table_files", "write_table_workbook"]

_FIRST = Words("Read me", "说明")
_HEAD = (
    Words("Sheet", "工作表"),
    Words("Column", "列"),
    Words("Unit", "单位"),
    Words("Key in files", "文件中的列名"),
)
_NOTES = (
    Words(
        "Numbers are those of the files named below, not rounded for the eye. An empty cell is not known, or has no "
        "bound (a discrepancy that nobody would see); the column of reasons says which.",
        "数值取自下列文件，未作显示取整。空格表示未知或无界（无法检出的差异），见“原因”列。",
    ),
    Words(
        "Mt/a: million tonnes of the gas itself a year (CO2, not carbon). Shares and probabilities are between 0 "
        "and 1.",
        "Mt/a：每年百万吨该气体（CO2，而非碳）。份额与概率介于 0 与 1 之间。",
    ),
    Words(
        "± is one standard deviation throughout. A difference is the inversion less what it would have found had the "
        "inventory been right and all else as the prior has it.",
        "标准差均为一倍标准差。差值为反演减去“若清单正确、其余同先验时反演应得的值”。",
    ),
)


def _sheet(table: ReportTable, language: Language) -> TableSheet:
    heads = [h.said(language) for h in table.headings]
    return TableSheet(table.title, heads, list(table.frame.itertuples(index=False, name=None)))


def write_table_workbook(
    path: Path, tables: Sequence[ReportTable], language: Language, *, title: str, notes: Sequence[str] = ()
) -> Path:
    """Write one workbook: what it is, units and columns first, then a sheet a table.

    Parameters
    ----------
    path : Path
        ``tables.xlsx``.
    tables : sequence of ReportTable
        From `obsnet.report.tables.tables.report_tables`.
    language : {"en", "zh"}
        Of sheets and headings.
    title : str
        Of the report.
    notes : sequence of str
        What a reader of the report must know.
    """
    at = 1 if language == "zh" else 0
    rows: list[tuple[Any, ...]] = [(title,), *((n,) for n in notes), *((n[at],) for n in _NOTES), ()]
    rows.append(tuple(h[at] for h in _HEAD))
    for table in tables:
        rows.append((table.title, f"← {table.path.name}"))
        if table.key == "covariance":  # its columns are the regions
            rows.append((None, table.headings[-1].said(language), table.headings[-1].unit))
            continue
        for head, key in zip(table.headings, table.frame.columns, strict=True):
            rows.append((None, head[at], head.unit, key))
    first = TableSheet(_FIRST[at], [_FIRST[at], "", "", ""], rows, widths=(62, 46, 12, 24))
    return write_sheets(path, [first, *(_sheet(t, language) for t in tables)])


def write_table_files(folder: Path, tables: Sequence[ReportTable], language: Language) -> list[Path]:
    """Write each table as CSV with the mark by which Excel knows UTF-8; see `obsnet.sheets` for what is guarded."""
    return [write_sheet_csv(folder / f"{t.key}.csv", _sheet(t, language)) for t in tables]
