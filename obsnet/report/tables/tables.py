"""Every table behind a report, with all its columns and digits, in one language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obsnet.crosscheck.verdicts.run import beside
from obsnet.language import Language, Words
from obsnet.reading import door, read_csv
from obsnet.report.tables.headings import Heading, heading, in_language

__all__ = ["ReportTable", "report_tables"]

_OF_REPORT = {
    "verdicts": Words("Verdicts", "结论"),
    "covariance": Words("Covariance", "协方差"),
    "statistics": Words("All regions together", "总体统计"),
    "bridge": Words("Definitions", "定义统一"),
    "reconciled": Words("Reconciliation", "协调估计"),
    "reconciled_statistics": Words("Reconciliation, all", "协调估计统计"),
    "attribution": Words("Sectors", "部门"),
    "trends": Words("Trends", "趋势"),
}
_OF_NOWCAST = {
    "estimate": Words("Rapid estimate", "快速核算"),
    "forecast": Words("Forecast", "预测"),
    "scores": Words("Scores", "检验评分"),
    "reliability": Words("Reliability", "可靠性"),
}
_TEXTS = ("region", "period", "inventory_period", "correlation_with", "joint", "members", "category")


@dataclass(frozen=True)
class ReportTable:
    """One table as a person gets it.

    Parameters
    ----------
    key : str
        Name of its file, without ending.
    title : str
        In the language.
    path : Path
        File that it was made from.
    headings : tuple of Heading
        Of the columns.
    frame : pandas.DataFrame
        One language's columns, codes in words, full precision.
    """

    key: str
    title: str
    path: Path
    headings: tuple[Heading, ...]
    frame: Any


@door("tables of a run")
def report_tables(table: Path, nowcasts: Sequence[Path], language: Language) -> list[ReportTable]:
    """Return the tables of a report that are there.

    Parameters
    ----------
    table : Path
        ``provinces.csv``; the others lie beside it.
    nowcasts : sequence of Path
        Folders of `obsnet nowcast`.
    language : {"en", "zh"}
        Of headings, names, reasons and codes.
    """
    folder = table.parent
    files = {
        "verdicts": table,
        **{what: beside(table, what) for what in ("covariance", "statistics", "bridge")},
        **{name: folder / f"{name}.csv" for name in ("reconciled", "attribution", "trends")},
        "reconciled_statistics": folder / "reconciled_statistics.csv",
    }
    found = [
        _made(files[key], key, title, language) for key, title in _OF_REPORT.items() if files[key].is_file()
    ]
    for place in nowcasts:
        for key, title in _OF_NOWCAST.items():
            if (place / f"{key}.csv").is_file():
                name = Words(f"{title.en}, {place.name}", f"{title.zh}，{place.name}")
                made = _made(place / f"{key}.csv", key, name, language)
                found.append(
                    ReportTable(f"{place.name}_{key}", made.title, made.path, made.headings, made.frame)
                )
    names = dict(zip(found[0].frame["region"], found[0].frame["name"], strict=True))
    return [_named(t, names) for t in found]


@door("a table of ours")
def _made(path: Path, key: str, title: Words, language: Language) -> ReportTable:
    frame = in_language(read_csv(path, dtype=dict.fromkeys(_TEXTS, str)), language)
    names = tuple(heading(str(c), key) for c in frame.columns)
    return ReportTable(key, title.zh if language == "zh" else title.en, path, names, frame)


def _named(table: ReportTable, names: dict[str, str]) -> ReportTable:
    """Put names of regions where only their codes stand."""
    frame, headings = table.frame, list(table.headings)
    if "region" in frame and "name" not in frame and set(frame["region"]) & set(names):
        frame = frame.copy()
        frame.insert(1, "name", [names.get(r, "") for r in frame["region"]])
        headings.insert(1, heading("name"))
    for column in {"correlation_with", "joint"} & set(frame.columns):
        frame = frame.assign(**{column: [names.get(v, v) for v in frame[column]]})
    if table.key == "covariance":
        headings[2:] = [Heading(names.get(c, c), names.get(c, c), "Mt²/a²") for c in frame.columns[2:]]
    return ReportTable(table.key, table.title, table.path, tuple(headings), frame)
