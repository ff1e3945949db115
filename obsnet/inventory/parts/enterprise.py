"""One enterprise: fuel, process, purchased power and heat; scopes apart, nothing counted twice.

Scope 1 is fuel x calorific value x carbon x oxidation x 44/12, plus process emissions, less CO2 stored for good.
Scope 2 is stated twice and never added to scope 1: by location (all purchased power at the average factor) and by
market (green power at 0, the rest at the factor that excludes traded non-fossil power, for the average factor would
count green power a second time).

A line that emits more than its whole province did is refused, and every result says what share of the province it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obsnet.errors import FormatError, RangeError, nearest
from obsnet.inventory.account.tier1 import find_activity
from obsnet.inventory.factors.choose import FactorBook
from obsnet.inventory.factors.fuels import bands, find_fuel
from obsnet.inventory.factors.table import CARBON_TO_CO2, FAR, Factor
from obsnet.inventory.notes import named, note
from obsnet.inventory.parts.size import LARGE, province_emission, province_words
from obsnet.inventory.words import find_region
from obsnet.language import Language, Words, padded
from obsnet.reading import door

__all__ = ["Enterprise", "compute_enterprise", "enterprise_lines", "read_enterprise"]

_KINDS = {
    "fuel": ("fuel", "燃料"),
    "process": ("process", "过程", "工业过程"),
    "electricity": ("electricity", "purchased electricity", "外购电力", "电力"),
    "green electricity": ("green electricity", "green power", "绿电", "绿色电力"),
    "heat": ("heat", "purchased heat", "外购热力", "热力"),
    "captured": ("captured", "ccus captured", "捕集"),
    "stored": ("stored", "ccus stored", "封存"),
    "transferred": ("transferred", "ccus transferred", "外供CO2", "转移"),
}
_SCALE = {
    "fuel t": {"t": 1.0, "吨": 1.0, "万吨": 1e4, "kt": 1e3, "kg": 1e-3},
    "fuel 1000 m3": {
        "1000 m3": 1.0,
        "千立方米": 1.0,
        "m3": 1e-3,
        "Nm3": 1e-3,
        "立方米": 1e-3,
        "万立方米": 10.0,
        "1e4 m3": 10.0,
        "1e4 Nm3": 10.0,
    },
    "electricity": {"MWh": 1.0, "兆瓦时": 1.0, "kWh": 1e-3, "千瓦时": 1e-3, "万千瓦时": 10.0, "GWh": 1e3},
    "heat": {"GJ": 1.0, "吉焦": 1.0, "MJ": 1e-3, "TJ": 1e3, "百万千焦": 1.0},
    "mass": {"t": 1.0, "吨": 1.0, "万吨": 1e4, "kt": 1e3, "kg": 1e-3},
}


@dataclass(frozen=True, eq=False)
class Enterprise:
    """Emissions of one enterprise in a year.

    Parameters
    ----------
    trail : pandas.DataFrame
        ``scope, kind, item, amount, unit, factor, factor_unit, tier`` (``measured``, ``default``), ``source,
        emission`` (t CO2).
    scope1, scope2_location, scope2_market, stored : float
        t CO2; scope 1 is after storage.
    notes : tuple of str
        Rules that were applied.
    """

    trail: Any
    scope1: float
    scope2_location: float
    scope2_market: float
    stored: float
    notes: tuple[str, ...]

    def data(self) -> dict[str, Any]:
        """Return all for machines; there is no sum of scopes on purpose."""
        return {
            "scope1": self.scope1,
            "scope2_location_based": self.scope2_location,
            "scope2_market_based": self.scope2_market,
            "stored": self.stored,
            "unit": "t CO2",
            "trail": self.trail.to_dict("records"),
            "notes": list(self.notes),
        }


@door("an enterprise's activities")
def read_enterprise(path: str | Path) -> Any:
    """Read ``kind, item, value, unit``; optional ``ncv, carbon, oxidation, factor`` (measured), ``note``.

    Returns
    -------
    pandas.DataFrame
        ``kind, item, value, unit, ncv, carbon, oxidation, factor, note, line``; measured values NaN where the table
        has none.
    """
    from obsnet.inventory.books import number, read_rows, read_sheets

    table = read_rows(path, ("kind", "value", "unit"), ("item", "note"), numbers=("value",))
    rows = read_sheets(path)[0].rows
    heads = {str(c).strip().casefold(): j for j, c in enumerate(rows[table.attrs["heading"]])}
    measured = {
        "ncv": ("ncv", "低位发热量"),
        "carbon": ("carbon", "单位热值含碳量"),
        "oxidation": ("oxidation", "碳氧化率"),
        "factor": ("factor", "排放因子"),
    }
    for column, spellings in measured.items():
        j = next((heads[n] for n in spellings if n in heads), None)
        cells = [
            rows[line - 1][j] if j is not None and j < len(rows[line - 1]) else ""
            for line in table.attrs["rows"]
        ]
        found = [number(c, f"{path}: {column}") for c in cells]
        table[column] = [math.nan if f is None else f for f in found]
    for column in ("item", "note"):
        if column not in table:
            table[column] = ""
    names = {n.casefold(): kind for kind, spellings in _KINDS.items() for n in spellings}
    for k, word in enumerate(table["kind"]):
        if word.casefold() not in names:
            raise FormatError(f"{path}: row {table.attrs['rows'][k]}: no kind {word!r}{nearest(word, names)}")
    table["kind"] = [names[w.casefold()] for w in table["kind"]]
    table["line"] = table.attrs["rows"]
    table.attrs = {"where": table.attrs["where"]}
    return table


def compute_enterprise(lines: Any, book: FactorBook, *, region: str, year: int) -> Enterprise:
    """Compute the emissions of one enterprise.

    Parameters
    ----------
    lines : pandas.DataFrame
        From `read_enterprise`.
    book : FactorBook
        Factors in order; the usual default are those for enterprises (``gbt32151``).
    region : str
        Province, for the average factor of power.
    year : int
        Of the activity.

    Raises
    ------
    FormatError
        Units, fuels or activities that are not known; green power without a certificate in its note.
    RangeError
        Negative amounts; a line or a scope that emits more than the whole province; measured values outside the
        physical band of the fuel, or far from every factor of their kind; more green power than purchased; more CO2
        captured than emitted, or stored and transferred than captured.
    """
    import pandas as pd

    where = str(lines.attrs.get("where", "enterprise"))
    code = find_region(region)
    trail: list[dict[str, Any]] = []
    sums = dict.fromkeys(_KINDS, 0.0)
    notes = [book.describe()]
    for row in lines.to_dict("records"):
        place = f"{where}: row {row['line']}"
        if not row["value"] >= 0.0:
            raise RangeError(f"{place}: {row['value']} is not a positive number")
        made = _line(row, book, code, year, place)
        name = made["item"] or made["kind"]
        said = f"row {row['line']}: {row['value']:g} {row['unit']} of {name}"
        notes += _within_the_province(made["emission"], code, f"{where}: {said}")
        trail.append(made)
        sums[row["kind"]] += made["amount"] if row["kind"] not in {"fuel", "process"} else made["emission"]
    power, green = sums["electricity"], sums["green electricity"]
    if green > power * (1 + 1e-9):
        raise RangeError(
            f"{where}: green power of {green:g} MWh exceeds the {power:g} MWh purchased; it is part of them, not beside"
        )
    captured, stored, given = sums["captured"], sums["stored"], sums["transferred"]
    emitted = sums["fuel"] + sums["process"]
    if captured > emitted * (1 + 1e-9):
        raise RangeError(f"{where}: {captured:g} t CO2 captured of {emitted:g} t emitted")
    if stored + given > captured * (1 + 1e-9):
        raise RangeError(f"{where}: {stored + given:g} t CO2 stored and transferred, {captured:g} t captured")
    if given:
        notes.append(note("transferred", mass=f"{given:g}"))
    notes += _within_the_province(emitted, code, f"{where}: scope 1")
    share = emitted / province_emission(code)
    notes.append(note("share of province", share=f"{share:.2g}", province=province_words(code)))
    average = book.need("electricity average", "electricity", year=year, region=code) if power else None
    heat = sum(t["emission"] for t in trail if t["kind"] == "heat")
    location = power * average.value if average else 0.0
    market = 0.0
    if power:
        residual = book.need("electricity market-excluded", "electricity", year=year, region="China")
        market = (power - green) * residual.value if green else location
        notes.append(
            note("by market", green=f"{green:g}", factor=f"{residual.value:g}", row=residual.key)
            if green
            else note("no green")
        )
        for name, factor in (("average", average), ("market-excluded", residual)):
            if factor is not None and factor.year and int(factor.year) != year:
                notes.append(note("factor of year", kind=name, year=factor.year, used=year))
    frame = pd.DataFrame(trail)
    return Enterprise(frame, emitted - stored, location + heat, market + heat, stored, tuple(notes))


def _within_the_province(emission: float, region: str, what: str) -> list[str]:
    """Refuse what exceeds the province; return a note on what is a large part of it."""
    share = emission / province_emission(region)
    if share <= LARGE:
        return []
    part = {"what": what, "value": f"{emission / 1e6:.4g}", "province": province_words(region)}
    text = note("more than province" if share > 1.0 else "large part", share=f"{share:.0%}", **part)
    if share > 1.0:
        raise RangeError(text)
    return [text]


def _near_the_default(value: float, default: Factor | None, place: str) -> None:
    if default is not None and not default.value / FAR <= value <= default.value * FAR:
        raise RangeError(
            f"{place}: a factor of {value:g} is more than {FAR:g} times from {default.value:g} {default.unit} "
            f"({default.key}); is the unit off?"
        )


def _line(row: dict[str, Any], book: FactorBook, region: str, year: int, place: str) -> dict[str, Any]:
    kind = row["kind"]
    if kind == "fuel":
        return _fuel(row, book, region, year, place)
    if kind == "process":
        return _process(row, book, region, year, place)
    family = {"electricity": "electricity", "green electricity": "electricity", "heat": "heat"}.get(
        kind, "mass"
    )
    amount = row["value"] * _scale(row["unit"], family, place)
    made = {
        "scope": "",
        "kind": kind,
        "item": row["item"],
        "amount": amount,
        "factor": math.nan,
        "factor_unit": "",
        "tier": "",
        "source": str(row["note"]),
        "emission": 0.0,
        "unit": {"electricity": "MWh", "heat": "GJ"}.get(family, "t"),
    }
    if kind == "green electricity" and not str(row["note"]).strip():
        raise FormatError(f"{place}: green power needs its certificate or contract in the column note")
    factor: Factor | None = None
    if kind == "electricity":
        factor = book.need("electricity average", "electricity", year=year, region=region)
        made |= {
            "scope": "2",
            "factor": factor.value,
            "factor_unit": factor.unit,
            "tier": "default",
            "source": f"{factor.key}: {factor.source}",
            "emission": amount * factor.value,
        }
    elif kind == "heat":
        own = row["factor"] == row["factor"]
        factor = None if own else book.need("heat", "heat", year=year, region=region)
        if own:
            _near_the_default(row["factor"], book.find("heat", "heat", year=year, region=region), place)
        value = row["factor"] if factor is None else factor.value
        made |= {
            "scope": "2",
            "factor": value,
            "factor_unit": "t CO2/GJ",
            "tier": "measured" if own else "default",
            "source": _of(factor),
            "emission": amount * value,
        }
    elif kind == "stored":
        made |= {"scope": "1", "emission": -amount}
    return made


def _fuel(row: dict[str, Any], book: FactorBook, region: str, year: int, place: str) -> dict[str, Any]:
    fuel = find_fuel(row["item"])
    amount = row["value"] * _scale(row["unit"], f"fuel {fuel.unit}", place)
    measured = {q: row[q] for q in ("ncv", "carbon", "oxidation") if row[q] == row[q]}
    band = bands().get(fuel.kind)
    for quantity, value in measured.items():
        low, high = (0.0, 1.0) if quantity == "oxidation" or band is None else getattr(band, quantity)
        if not low <= value <= high:
            raise RangeError(
                f"{place}: measured {quantity} of {fuel.name} is {value:g}, outside {low:g} to {high:g}"
            )
    if len(measured) == 3:
        factor = 1e-3 * CARBON_TO_CO2 * measured["ncv"] * measured["carbon"] * measured["oxidation"]
        source = "measured by the enterprise"
    elif not measured:
        chosen = book.effective(fuel, year, region)
        factor, source = chosen.value, f"{chosen.key}: {chosen.source}"
    else:
        parts = {}
        for quantity, unit in (("ncv", f"GJ/{fuel.unit}"), ("carbon", ""), ("oxidation", "")):
            if quantity in measured:
                parts[quantity] = (measured[quantity], "measured")
            else:
                found = book.need(quantity, fuel.name, year=year, region=region, unit=unit)
                parts[quantity] = (found.value, found.key)
        factor = 1e-3 * CARBON_TO_CO2 * math.prod(v for v, _ in parts.values())
        source = " x ".join(f"{q} {v:g} ({k})" for q, (v, k) in parts.items())
    tier = "measured" if len(measured) == 3 else "part measured" if measured else "default"
    return {
        "scope": "1",
        "kind": "fuel",
        "item": fuel.name,
        "amount": amount,
        "unit": fuel.unit,
        "factor": factor,
        "factor_unit": f"t CO2/{fuel.unit}",
        "tier": tier,
        "source": source,
        "emission": amount * factor,
    }


def _process(row: dict[str, Any], book: FactorBook, region: str, year: int, place: str) -> dict[str, Any]:
    entry = find_activity(row["item"])
    amount = row["value"] * _scale(row["unit"], "mass", place)
    own = row["factor"] == row["factor"]
    how: dict[str, Any] = {"year": year, "region": region, "gas": "CO2"}
    found = None if own else book.need("emission", entry.factor, **how)
    if own:
        _near_the_default(row["factor"], book.find("emission", entry.factor, **how), place)
    value = row["factor"] if found is None else found.value
    return {
        "scope": "1",
        "kind": "process",
        "item": entry.name,
        "amount": amount,
        "unit": "t",
        "factor": value,
        "factor_unit": "t CO2/t",
        "tier": "measured" if own else "default",
        "source": _of(found),
        "emission": amount * value,
    }


def _of(factor: Factor | None) -> str:
    return "the enterprise" if factor is None else f"{factor.key}: {factor.source}"


def _scale(unit: str, family: str, place: str) -> float:
    known = _SCALE[family]
    if str(unit).strip() not in known:
        raise FormatError(f"{place}: unit {unit!r}; known here: {', '.join(known)}")
    return known[str(unit).strip()]


def enterprise_lines(found: Enterprise, language: Language = "en") -> Iterator[str]:
    """Return an enterprise's emissions for people."""
    scope, location, market = (
        ("范围", "（按所在地）", "（按市场）")
        if language == "zh"
        else ("scope ", ", by location", ", by market")
    )
    for r in found.trail.to_dict("records"):
        factor = (
            f" x {r['factor']:.6g} {r['factor_unit']} [{named(r['tier'], language)}]"
            if r["factor"] == r["factor"]
            else ""
        )
        kind, item = padded(named(r["kind"], language), 18), padded(named(r["item"], language), 16)
        what = f"{scope}{r['scope'] or '-'} {kind}{item}{r['amount']:>14,.4g} {r['unit']}"
        yield f"{what}{factor} = {r['emission']:,.2f} t CO2"
        if r["source"]:
            yield f"    {r['source']}"
    stored = Words(f" (after {found.stored:,.2f} t stored)", f"（已扣除封存 {found.stored:,.2f} t）").said(
        language
    )
    yield f"{scope}1: {found.scope1:,.2f} t CO2" + (stored if found.stored else "")
    yield f"{scope}2{location}: {found.scope2_location:,.2f} t CO2"
    yield f"{scope}2{market}: {found.scope2_market:,.2f} t CO2"
