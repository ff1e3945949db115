"""Tables of an annex: what could be found, what was found, sums."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from obsnet.crosscheck.words import joined
from obsnet.language import NOTHING, Words, decimals
from obsnet.report.annex.texts import text
from obsnet.report.sections.section import Section, number, percent, signed
from obsnet.report.tables.headings import VALUES

__all__ = ["detectability", "sums", "verdict_table"]


def _name(row: dict[str, Any]) -> Words:
    return Words(row["name_en"], row["name_zh"])


def _verdict(row: dict[str, Any]) -> Words:
    return Words(row["verdict"], VALUES["verdict"][row["verdict"]])


def _share(row: dict[str, Any]) -> float:
    size = abs(row["inventory"])
    return row["minimum_detectable"] / size if size > 0 else math.nan


def detectability(table: Any, picture: bytes | None) -> Section:
    """Return what would have been found in each region, the best seen first."""
    single = table[table["kind"] == "region"]
    share = (single["minimum_detectable"] / single["inventory"].abs()).replace(np.inf, 1e9).fillna(2e9)
    rows = [
        (
            _name(r),
            _total(r, "inventory"),
            percent(r["response"]),
            number(r["minimum_detectable"], decimals(r["posterior_sd"])),
            percent(_share(r)),
            text("no" if r["verdict"] == "not testable" else "yes"),
        )
        for r in single.assign(order=share).sort_values("order", kind="stable").to_dict("records")
    ]
    head = [text(k) for k in ("region", "inventory", "seen", "least", "least share", "testable")]
    caption = text("totals chart", unit=table["unit"].iloc[0])
    return Section(text("detectability"), [text("detectability text")], head, rows, picture, caption)


def verdict_table(table: Any, picture: bytes | None) -> Section:
    """Return the verdicts of regions, those that were tested first."""
    rank = {v: k for k, v in enumerate(VALUES["verdict"])}
    single = table[table["kind"] == "region"]
    order = single.assign(rank=single["verdict"].map(rank)).sort_values(
        ["rank", "inventory"], ascending=[True, False], kind="stable"
    )
    head = [text(k) for k in ("region", "inventory", "inversion", "difference", "p", "verdict", "why")]
    said = text("verdicts text", unit=table["unit"].iloc[0], gas=table["gas"].iloc[0])
    rows = [(_name(r), *_found(r)) for r in order.to_dict("records")]
    return Section(text("verdicts"), [said], head, rows, picture, text("verdict map"))


def _total(row: dict[str, Any], key: str, write: Callable[[float, int], str] = number) -> str:
    """Return a total with its standard deviation, as many decimals as the inversion's says."""
    digits = decimals(row["posterior_sd"])
    return (
        f"{write(row[key], digits)} ± {number(row[f'{key}_sd'], digits)}" if math.isfinite(row[key]) else "–"
    )


def _found(row: dict[str, Any]) -> tuple[Any, ...]:
    known = math.isfinite(row["inventory"])
    # what to know of a test does not matter where there was none; page and tables have it all the same
    why = [Words(row[k], row[f"{k}_zh"]) for k in (("reason", "remark") if known else ("reason",))]
    return (
        _total(row, "inventory"),
        _total(row, "posterior"),
        _total(row, "difference", signed) if known else "–",
        f"{row['p_adjusted']:.2g}" if math.isfinite(row["p_adjusted"]) else "–",
        _verdict(row),
        joined(why),
    )


def sums(table: Any) -> list[Section]:
    """Return the sums that were tested: groups first, then sets that are not told apart."""
    more = table[table["kind"] != "region"].sort_values("kind")
    if more.empty:
        return [Section(NOTHING, [text("no sums")])]
    head = [text(k) for k in ("sum", "inventory", "inversion", "difference", "p", "verdict", "why")]
    rows = [(_name(r), *_found(r)) for r in more.to_dict("records")]
    return [Section(NOTHING, [text("sums text")], head, rows)]
