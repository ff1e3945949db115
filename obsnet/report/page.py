"""The report as one self-contained HTML page in one language; what it says is `obsnet.report.content`."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from obsnet.atomic import write_text
from obsnet.drawing.maps import VERDICT_COLOURS
from obsnet.language import Language, decimals
from obsnet.report.content import Content
from obsnet.report.sections.fit import fits
from obsnet.report.sections.section import Section, named, number, percent, signed
from obsnet.report.summary import rule_values
from obsnet.report.words import VERDICTS, say, sector_name, span, term

__all__ = ["write_report"]

_TEMPLATES = Path(__file__).parent / "templates"
_HEADS = (
    ("region", "inventory", "inversion", "sd", "difference", "sd", "response", "detectable", "p adjusted")
    + ("verdict", "remark")
)  # fmt: skip


def _row(entry: Mapping[str, Any], language: Language) -> dict[str, Any]:
    verdict, digits = str(entry["verdict"]), decimals(entry["posterior_sd"])
    known = math.isfinite(entry["inventory"])
    share = entry["minimum_detectable"] / abs(entry["inventory"]) if entry["inventory"] else math.nan
    tail, _between = ("_zh", "；") if language == "zh" else ("", "; ")
    return {
        "name": named(entry, language),
        "cells": [
            *(number(entry[k], digits) for k in ("inventory", "posterior", "posterior_sd")),
            signed(entry["difference"], digits) if known else "–",
            number(entry["difference_sd"], digits),
            percent(entry["response"]),
            percent(share),
            f"{entry['p_adjusted']:.2g}" if math.isfinite(entry["p_adjusted"]) else "–",
        ],
        "verdict": verdict,
        "verdict_said": VERDICTS[verdict][0].said(language),
        "colour": VERDICT_COLOURS[verdict],
        "why": ("；" if language == "zh" else "; ").join(
            t for t in (entry[f"reason{tail}"], entry[f"remark{tail}"]) if t
        ),
    }


def _left(section: Section) -> set[int]:
    """Return the columns of a section that hold words, which stand at the left."""
    return {
        k for row in section.rows for k, cell in enumerate(row) if cell and cell[0] not in "+-−–>0123456789"
    }


def write_report(path: Path, content: Content) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
        ``report.html``; written whole or not at all. Nothing on it comes from elsewhere; its one script is allowed by
        hash.
    content : Content
        What it says, and in which language.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    language, table = content.language, content.table
    made = {str(k): str(v) for k, v in table.iloc[0].items()}
    rule = rule_values(table)
    rank = {v: i for i, v in enumerate(VERDICTS)}
    order = table.assign(rank=table["verdict"].map(rank)).sort_values(
        ["rank", "inventory"], ascending=[True, False]
    )
    single = table[table["kind"] == "region"]
    script = (_TEMPLATES / "report.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    html = environment.get_template("report.html.j2").render(
        content=content,
        sections=[section for part in content.sections.values() for section in part],
        lang="zh-Hans" if language == "zh" else "en",
        say=lambda key, **values: say(key, language, **values),
        said=lambda words: words.said(language),
        foreign=lambda words: language == "zh" and not words.zh,
        verdicts=[
            {
                "key": v,
                "name": VERDICTS[v][0].said(language),
                "meaning": VERDICTS[v][1].said(language).format(margin=rule["margin"]),
                "colour": VERDICT_COLOURS[v],
                "number": int((single["verdict"] == v).sum()),
            }
            for v in VERDICTS
        ],
        left=_left,
        heads=[term(h).said(language) for h in _HEADS],
        rows=[_row(r, language) for r in order.to_dict("records")],
        made=made
        | {
            "period": span(made["period"], language),
            "sector": sector_name(made["sector"], language),
            "a_year": term("a year", unit=made["unit"]).said(language),
        },
        rule=rule,
        failed=fits(table) is False,
        pictures={k: base64.b64encode(v).decode("ascii") for k, v in content.pictures.items()},
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    )
    write_text(path, html)
