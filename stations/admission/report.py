"""Verdicts as a page in Chinese and English, as CSV, and as plain values."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stations.admission.chinese import in_chinese, in_two
from stations.admission.judge import Admission, Requirements

__all__ = ["VERDICTS_ZH", "admission_csv", "admission_html", "admission_summary", "evidence_csv"]

TEMPLATES = Path(__file__).with_name("templates")
VERDICTS_ZH = {"pass": "通过", "fail": "未通过", "not testable": "无法判定"}


def admission_rows(admissions: Sequence[Admission]) -> list[dict[str, Any]]:
    """Return one row a station and criterion, in plain values."""
    return [
        {
            "station": a.station,
            "species": a.species,
            "data_from": a.first,
            "data_to": a.last,
            "criterion": f.criterion.label,
            "criterion_zh": f.criterion.label_zh,
            "required": f.criterion.required,
            "verdict": f.outcome.verdict,
            "found": f.outcome.found,
            "found_zh": f.outcome.found_zh or f.outcome.found,
            "limit": f.outcome.limit,
            "limit_zh": f.outcome.limit_zh or f.outcome.limit,
            "reason": f.outcome.reason,
            "reason_zh": f.outcome.reason_zh,
            "rows": len(f.outcome.rows),
        }
        for a in admissions
        for f in a.findings
    ]


def admission_csv(admissions: Sequence[Admission]) -> str:
    """Return the verdicts as CSV: one row a station and criterion."""
    rows = admission_rows(admissions)
    return _csv(rows, list(rows[0]) if rows else ["station"])


def evidence_csv(admissions: Sequence[Admission]) -> str:
    """Return the rows behind the verdicts as CSV: station, criterion, row number, item, value."""
    rows = [
        {
            "station": a.station,
            "criterion": f.criterion.label,
            "criterion_zh": f.criterion.label_zh,
            "row": number,
            "item": key,
            "item_zh": in_chinese(key),
            "value": value,
            "value_zh": in_chinese(value) if isinstance(value, str) else value,
        }
        for a in admissions
        for f in a.findings
        for number, row in enumerate(f.outcome.rows, 1)
        for key, value in row.items()
    ]
    return _csv(rows, ["station", "criterion", "criterion_zh", "row", "item", "item_zh", "value", "value_zh"])


def _csv(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: _safe(v) for k, v in row.items()} for row in rows)
    return text.getvalue()


def _safe(value: Any) -> Any:
    """Return text that a spreadsheet will not take for a formula."""
    return (
        f"'{value}"
        if isinstance(value, str) and value[:1] in {"=", "+", "-", "@"} and not _number(value)
        else value
    )


def _number(text: str) -> bool:
    try:
        float(text.split(maxsplit=1)[0])
    except (ValueError, IndexError):
        return False
    return True


def admission_html(admissions: Sequence[Admission], requirements: Requirements) -> str:
    """Return the report as one HTML page, Chinese and English side by side, everything escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["cell"] = _cell
    return environment.get_template("admission.html").render(
        admissions=admissions, requirements=requirements, verdicts_zh=VERDICTS_ZH
    )


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if isinstance(value, str):
        return in_two(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def admission_summary(admissions: Sequence[Admission]) -> list[dict[str, Any]]:
    """Return the verdicts for ``--json``."""
    return [
        {
            "station": a.station,
            "species": a.species,
            "file": a.file,
            "data_from": a.first,
            "data_to": a.last,
            "verdict": a.verdict,
            "criteria": [
                {
                    "kind": f.criterion.kind,
                    "label": f.criterion.label,
                    "label_zh": f.criterion.label_zh,
                    "required": f.criterion.required,
                    **asdict(f.outcome),
                }
                for f in a.findings
            ],
        }
        for a in admissions
    ]
