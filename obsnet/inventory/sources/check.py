"""One door for checks: what a file is is found out, then its own checks are run; nothing is repaired."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obsnet.constants import SPECIES
from obsnet.inventory.account.categories import ceads_sectors, is_category, need_terminology
from obsnet.inventory.balance.identities import check_balance, coverage, negative_activity, sign_faults
from obsnet.inventory.balance.magnitude import magnitude_faults
from obsnet.inventory.balance.read import Balance, read_balances
from obsnet.inventory.books import read_sheets
from obsnet.inventory.factors.table import builtin_factors
from obsnet.inventory.notes import in_both, note
from obsnet.inventory.sources.carbon import beside_ceads, carbon_in_co2
from obsnet.inventory.sources.ceads import closure, is_ceads, read_ceads, read_ceads_books
from obsnet.inventory.sources.daily import is_daily, read_daily
from obsnet.inventory.sources.quality import flag_series
from obsnet.inventory.table import mass_factor, read_inventory, with_provinces
from obsnet.inventory.words import part_and_whole, plain, province_or_own, said_of_own
from obsnet.language import Language

__all__ = ["Checked", "check_files"]

_FLUORINATED = re.compile(r"(HFC|PFC|NF3|CF4|C[2-6]F)", re.IGNORECASE)
_APART = 30.0  # times CEADs' total of 2019; provinces changed less in twenty years
_COLUMNS = ["file", "region", "period", "check", "where", "value", "expected", "gap", "unit", "text"]


# What a check is called in Chinese; a name that is a check's and a column's begins with the check's.
_ZH = {
    "identity supply": "恒等式 可供量",
    "identity difference": "恒等式 平衡差额",
    "identity final": "恒等式 终端消费量",
    "identity residential": "恒等式 居民生活",
    "identity transformation": "恒等式 加工转换投入产出",
    "identity total": "恒等式 消费量合计",
    "identity coal": "恒等式 煤合计",
    "identity petroleum": "恒等式 油品合计",
    "negative activity": "活动量为负",
    "negative": "负值",
    "magnitude": "数量级",
    "sign": "正负号",
    "closure": "分项之和",
    "breaks and zeroes": "突变与零值",
    "breaks and zeroes of total": "突变与零值 总量",
    "breaks and zeroes of process": "突变与零值 工业过程",
    "CO2 beside carbon": "CO2 与碳并列",
    "carbon": "疑为碳",
    "daily": "日数据",
    "break": "突变",
    "zero": "零值",
}


def _named(check: str, language: Language) -> str:
    return _ZH.get(check, check) if language == "zh" else check


def _called(region: str, language: Language) -> str:
    """Return what a region is called in Chinese, where that is asked for and it is a province."""
    from obsnet.regions import PROVINCES

    code = province_or_own(region)
    return PROVINCES[code][1] if language == "zh" and code in PROVINCES else region


@dataclass(frozen=True, eq=False)
class Checked:
    """Findings on files.

    Parameters
    ----------
    findings : pandas.DataFrame
        ``file, region, period, check, where, value, expected, gap, unit, text``.
    counts : dict of str to (int, int)
        Findings and cells looked at, by check.
    notes : tuple of str
        What was read how.
    """

    findings: Any
    counts: dict[str, tuple[int, int]]
    notes: tuple[str, ...]

    def data(self) -> dict[str, Any]:
        """Return all for machines."""
        counts = {k: {"found": a, "checked": b} for k, (a, b) in self.counts.items()}
        return {"findings": self.findings.to_dict("records"), "counts": counts, "notes": list(self.notes)}

    def lines(self, language: Language = "en") -> Iterator[str]:
        """Return all for people."""
        for row in self.findings.to_dict("records"):
            place = f"{Path(str(row['file'])).name}: {_called(row['region'], language)} {row['period']}"
            text, expected = row["text"], row["expected"]
            if language == "zh" and (chinese := in_both(text).zh):
                text = chinese
            elif language == "zh" and expected is not None and math.isfinite(expected):
                where = f"{row['where']} " if row["where"] else ""
                gap = "" if row["gap"] is None else f"，差额 {row['gap']:+.4g}"
                text = f"{where}为 {row['value']:g}，对照值 {expected:g}{gap} {row['unit']}".rstrip()
            yield f"{place} {_named(row['check'], language)}: {text}"
        for name, (found, looked) in self.counts.items():
            of = f"{found} / {looked}" if language == "zh" else f"{found} of {looked}"
            yield f"{_named(name, language)}: {of}"


def check_files(
    files: Sequence[Path],
    *,
    region: str | None = None,
    year: int | None = None,
    sheet: str | None = None,
    signs: Any = "printed",
    tolerance: float = 0.05,
) -> Checked:
    """Check energy balances, CEADs workbooks, daily data and inventories of the contract.

    Parameters
    ----------
    files : sequence of path
        Of any of these kinds; CEADs workbooks are checked together, since a break shows between years.
    region, year, sheet, signs
        For balances, see `obsnet.inventory.balance.read.read_balances`.
    tolerance : float
        Of identities, in the printed unit.

    Returns
    -------
    Checked
    """
    import pandas as pd

    rows: list[tuple[Any, ...]] = []
    counts: dict[str, tuple[int, int]] = {}
    notes: list[str] = []
    books = []

    def add(name: str, found: int, looked: int) -> None:
        a, b = counts.get(name, (0, 0))
        counts[name] = (a + found, b + looked)

    for path in map(Path, files):
        if path.suffix.lower() in {".xls", ".xlsx", ".xlsm", ".xlsb", ".ods"}:
            opened = read_sheets(path)
            if is_ceads(opened):
                books.append(read_ceads(path, opened))
                continue
            if is_daily(opened):
                daily = read_daily(path, opened)
                rows += [(path, "", "", "daily", "", None, None, None, "", text) for text in daily.findings]
                add("daily", len(daily.findings), len(opened))
                continue
        elif _is_contract(path):
            notes += _check_contract(path, rows, add)
            continue
        for balance in read_balances(path, region=region, year=year, sheet=sheet, signs=signs):
            notes += [
                f"{balance.region} {balance.year}: {n}" for n in (*balance.notes, *_coverage_said(balance))
            ]
            _check_one(balance, path, tolerance, rows, add)
    if books:
        _check_ceads(books, files, rows, add, notes)
    return Checked(pd.DataFrame(rows, columns=_COLUMNS), counts, tuple(notes))


def _coverage_said(balance: Balance) -> list[str]:
    """Say how much of what an inventory needs a partial balance has."""
    factors = builtin_factors()
    fuels = factors[(factors["edition"] == "ceads2007-implied") & (factors["quantity"] == "effective")][
        "item"
    ]
    found = coverage(balance, fuels)
    if found["score"] == 1.0:
        return []
    rows, columns = found["rows_missing"], found["fuels_missing"]
    key = "needs both" if rows and columns else "needs rows" if rows else "needs columns"
    return [note(key, share=f"{found['score']:.0%}", rows=", ".join(rows), fuels=", ".join(columns))]


def _is_contract(path: Path) -> bool:
    from obsnet.errors import FormatError
    from obsnet.inventory.words import canonical_columns

    try:
        canonical_columns(
            read_sheets(path)[0].rows[0], ("region", "period", "gas", "value", "unit"), str(path)
        )
    except (FormatError, IndexError):
        return False
    return True


def _check_one(balance: Any, path: Path, tolerance: float, rows: list[Any], add: Any) -> None:
    place = (path, balance.region, balance.year)
    gaps = check_balance(balance, tolerance)
    for r in gaps.to_dict("records"):
        where = f"{r['row']}, {r['fuel']} ({r['cell']})"
        text = f"{where}: {r['stated']:g}, should be {r['expected']:g}, gap {r['gap']:+.4g} {r['unit']}"
        numbers = (r["stated"], r["expected"], r["gap"], r["unit"])
        rows.append((*place, f"identity {r['identity']}", r["cell"], *numbers, text))
    for name, looked in gaps.attrs["checked"].items():
        add(f"identity {name}", int((gaps["identity"] == name).sum()), looked)
    odd = negative_activity(balance)
    for r in odd.to_dict("records"):
        where = f"{r['fuel']} ({r['cell']})"
        text = f"{where}: non-energy {r['non_energy']:g} of final {r['final']:g}: activity {r['activity']:g}"
        rows.append(
            (*place, "negative activity", r["cell"], r["activity"], 0.0, r["activity"], r["unit"], text)
        )
    add("negative activity", len(odd), balance.table.shape[1])
    large = magnitude_faults(balance)
    for cell, text, value, most in large:
        rows.append((*place, "magnitude", cell, value, most, value - most, "", text))
    add("magnitude", len(large), balance.table.shape[1])
    signs = sign_faults(balance)
    for r in signs.to_dict("records"):
        text = f"{r['row']}, {r['fuel']} ({r['cell']}): {r['value']:g}, should be {r['expected']}"
        rows.append((*place, "sign", r["cell"], r["value"], 0.0, r["value"], "", text))
    add("sign", len(signs), balance.table.size)


def _check_contract(path: Path, rows: list[Any], add: Any) -> list[str]:
    import numpy as np

    frame = need_terminology(with_provinces(read_inventory(path), str(path)), str(path))
    frame["mt"] = [v * mass_factor(str(u)) * 1e-9 for v, u in zip(frame["value"], frame["unit"], strict=True)]
    negative = frame[(frame["mt"] < 0) & ~frame["category"].astype(str).str.match(r"^(3\.B|4)")]
    for r in negative.to_dict("records"):
        text = note("below 0", item=f"{r['gas']} {r['category']}", value=f"{r['value']:g} {r['unit']}")
        rows.append(
            (path, r["region"], r["period"], "negative", "", r["value"], 0.0, r["value"], r["unit"], text)
        )
    add("negative", len(negative), len(frame))
    co2 = frame[frame["gas"].isin(["CO2", "C"])].groupby(["region", "period", "category"], sort=False)
    both = [place for place, group in co2 if group["gas"].nunique() > 1]
    for region, period, category in both:
        text = note("both gases", category=category)
        rows.append((path, region, period, "CO2 beside carbon", "", None, None, None, "", text))
    if both:
        add("CO2 beside carbon", len(both), len(co2))
    total = beside_ceads(frame)
    odd = total[(total["times"] > _APART) | ((total["times"] >= 0) & (total["times"] < 1.0 / _APART))]
    for r in odd.to_dict("records"):
        text = note(
            "times usual",
            value=f"{r['value']:g} {r['unit']}",
            times=f"{r['times']:.2g}",
            usual=f"{r['usual']:g}",
        )
        place = (path, r["region"], r["period"], "magnitude", "")
        rows.append((*place, r["mt"], r["usual"], None, "Mt", text))
    add("magnitude", len(odd), len(total))
    carbon = carbon_in_co2(total)
    for r in carbon.to_dict("records"):
        text = note("as carbon", value=f"{r['value']:g} {r['unit']}", usual=f"{r['usual']:g}")
        place = (path, r["region"], r["period"], "carbon", "")
        rows.append((*place, r["mt"], r["usual"], None, "Mt", text))
    add("carbon", len(carbon), len(total))
    for (gas, category), group in frame.groupby(["gas", "category"]):
        years = [p for p in group["period"] if str(p).isdigit()]
        if len(set(years)) < 3:
            continue
        series = group[group["period"].isin(years)].pivot_table(
            index="period", columns="region", values="mt", aggfunc="sum"
        )
        found = flag_series(series.set_index(np.array([int(p) for p in series.index])), f"{gas} {category}")
        _flags(found, path, rows)
        add("breaks and zeroes", len(found), found.attrs["changes"])
    said = [said_of_own(frame["region"]), *_said_of_names(frame)]
    return [f"{path.name}: {text}" for text in said if text]


def _said_of_names(frame: Any) -> list[str]:
    """Name gases and categories that nothing else here knows, and a category beside one that holds it."""
    said = []
    gases = [g for g in dict.fromkeys(frame["gas"]) if g not in {*SPECIES, "C"} and not _FLUORINATED.match(g)]
    if gases:
        said.append(note("unknown gases", gases=", ".join(gases)))
    ours = frame[frame["terminology"].isin(["", "IPCC2006"]) & (frame["category"] != "total")]
    odd = [
        c for c in dict.fromkeys(ours["category"]) if not is_category(c) and plain(c) not in ceads_sectors()
    ]
    if odd:
        said.append(note("unknown categories", categories=", ".join(odd[:5]) + " …" * (len(odd) > 5)))
    for (region, period, gas), group in frame.groupby(["region", "period", "gas"]):
        twice = part_and_whole(group["category"])
        if twice:
            where = f"{region} {period} {gas}"
            said.append(note("part beside", part=twice[0], whole=twice[1], where=where))
            break
    return said


def _check_ceads(
    books: list[Any], files: Sequence[Path], rows: list[Any], add: Any, notes: list[str]
) -> None:
    data = read_ceads_books(books)
    notes += data.notes
    name = Path(files[0]).parent / "CEADs"
    gaps = closure(data)
    for r in gaps.to_dict("records"):
        said = note("by parts", stated=f"{r['stated']:g}", parts=f"{r['expected']:g}")
        text = f"{r['what']}: {said}"
        rows.append(
            (
                name,
                r["region"],
                r["period"],
                "closure",
                "",
                r["stated"],
                r["expected"],
                r["stated"] - r["expected"],
                "Mt",
                text,
            )
        )
    add("closure", len(gaps), len(data.regions))
    total = data.series()
    for what, found in (
        ("total", flag_series(total, "total")),
        ("process", flag_series(data.series(column="process"), "process", minor=total)),
    ):
        _flags(found, name, rows)
        add(f"breaks and zeroes of {what}", len(found), found.attrs["changes"])


def _flags(found: Any, path: Path, rows: list[Any]) -> None:
    for r in found.to_dict("records"):
        size = {} if r["spreads"] == float("inf") else {"spreads": f"{r['spreads']:.1f}"}
        key = "first" if r["before"] != r["before"] else "after spreads" if size else "after"
        said = note(key, value=f"{r['value']:.4g}", before=f"{r['before']:.4g}", **size)
        text = f"{r['what']}: {r['kind']}: {said}"
        rows.append(
            (
                path,
                r["region"],
                r["period"],
                r["kind"],
                r["what"],
                r["value"],
                r["before"],
                r["change"],
                "Mt",
                text,
            )
        )
