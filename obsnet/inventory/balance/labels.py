"""Rows and units of energy balances as the yearbooks print them, in both languages, of several generations."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from obsnet.errors import UnitError
from obsnet.inventory.factors.fuels import Fuel
from obsnet.inventory.notes import note
from obsnet.inventory.packaged import package_rows
from obsnet.inventory.words import plain

__all__ = ["ROWS", "BalanceRow", "find_row", "known_unit", "stated_unit"]


@dataclass(frozen=True)
class BalanceRow:
    """A row of an energy balance.

    Parameters
    ----------
    name : str
        Our key.
    section : str
        ``supply``, ``transformation``, ``loss``, ``final``, ``difference``, ``total``.
    parent : str
        Row of which it is part; empty for the six main rows.
    sign : str
        What its cells are: ``+``, ``-``, or empty for both.
    zh : str
        As the yearbooks print it.
    labels : frozenset of str
        Spellings, see `_bare`.
    """

    name: str
    section: str
    parent: str
    sign: str
    zh: str
    labels: frozenset[str]


def _bare(label: object) -> str:
    """Return a label without numbering, signs, bracketed remarks, blanks and punctuation."""
    text = unicodedata.normalize("NFKC", str(label)).strip()
    text = re.sub(
        r"^[\s#*]*(\([一二三四五六七八九十\d]+\)|[一二三四五六七八九十]+[.、,)]|\d+[.、)])?\s*[#*]?\s*",
        "",
        text,
    )
    text = re.sub(r"\((区、市|[-+]|)\)", "", text)
    return re.sub(r"[,.、;:&()/]+", "", plain(text).replace("and", ""))


def _read() -> dict[str, BalanceRow]:
    rows = {}
    for r in package_rows("balance_rows.csv"):
        labels = frozenset(_bare(x) for x in (r["row"], *r["zh"].split(";"), *r["en"].split(";")))
        rows[r["row"]] = BalanceRow(
            r["row"], r["section"], r["parent"], r["sign"], r["zh"].split(";")[0], labels
        )
    return rows


ROWS = _read()


@lru_cache(maxsize=4096)
def find_row(label: str, section: str = "") -> BalanceRow | None:
    """Return the row that a label means; None where it means none.

    Parameters
    ----------
    label : str
        A cell, in either language; both in one cell, on two lines, are understood.
    section : str
        Where the reader is: "recovery of energy" stands in two sections.

    Examples
    --------
    >>> find_row("  #用作原料、材料").name, find_row("二、加工转换投入(－)产出(＋)量").name
    ('non-energy use', 'transformation')
    >>> find_row("9.回收能", "transformation").name
    'recovered in transformation'
    """
    for part in (label, *str(label).splitlines()):
        bare = _bare(part)
        fits = [r for r in ROWS.values() if bare and bare in r.labels]
        if fits:
            return next((r for r in fits if r.section == section), fits[0])
    return None


# Units by what they measure: how many of the yearbook's printed unit one of them is.
_UNITS: dict[str, dict[str, float]] = {
    "1e4 t": {"万吨": 1.0, "104t": 1.0, "104tn": 1.0, "104tons": 1.0, "10000tons": 1.0, "10000t": 1.0, "10kt": 1.0,
              "吨": 1e-4, "t": 1e-4, "tons": 1e-4, "ton": 1e-4, "kt": 0.1, "千吨": 0.1, "mt": 100.0, "亿吨": 1e4},
    "1e8 m3": {"亿立方米": 1.0, "108m3": 1.0, "108cum": 1.0, "100millionm3": 1.0, "100millioncum": 1.0, "亿m3": 1.0,
               "万立方米": 1e-4, "万m3": 1e-4, "104m3": 1e-4, "104cum": 1e-4, "立方米": 1e-8, "m3": 1e-8,
               "百万立方米": 1e-2, "千立方米": 1e-5},
    "1e10 kJ": {"百亿千焦": 1.0, "1010kj": 1.0, "10billionkj": 1.0, "gj": 1e-4, "吉焦": 1e-4, "百万千焦": 1e-4,
                "tj": 0.1, "万吉焦": 1.0, "太焦": 0.1, "pj": 100.0},
    "1e8 kWh": {"亿千瓦时": 1.0, "亿千瓦小时": 1.0, "108kwh": 1.0, "100millionkwh": 1.0, "亿kwh": 1.0, "万千瓦时": 1e-4,
                "104kwh": 1e-4, "mwh": 1e-5, "兆瓦时": 1e-5, "千瓦时": 1e-8, "kwh": 1e-8, "gwh": 1e-2, "twh": 10.0},
    "1e4 tce": {"万吨标煤": 1.0, "万吨标准煤": 1.0, "104tce": 1.0, "10000tce": 1.0,
                "吨标煤": 1e-4, "吨标准煤": 1e-4, "tce": 1e-4},
}  # fmt: skip
_KNOWN = {
    plain(unit).replace("^", ""): (kind, factor)
    for kind, units in _UNITS.items()
    for unit, factor in units.items()
}


def known_unit(text: str) -> tuple[str, float] | None:
    """Return the printed unit that a unit is of the kind of, and how many of it one is; None where it is none.

    Examples
    --------
    >>> known_unit("(千吨)"), known_unit("104 tn"), known_unit("bushel")
    (('1e4 t', 0.1), ('1e4 t', 1.0), None)
    """
    return _KNOWN.get(plain(text).strip("()[]").replace("^", "").replace("×", ""))


def stated_unit(texts: list[str], fuel: Fuel, where: str) -> tuple[float | None, str]:
    """Return how many of the yearbook's printed unit one unit of a column's heading is, and what is to be said of it.

    Parameters
    ----------
    texts : list of str
        Cells of the heading: ``(万吨)``, ``(104 tn)``, ``10⁴ t``, ``原煤(吨)``; texts that are no unit are passed over.
    fuel : Fuel
        Of the column.
    where : str
        For error texts.

    Returns
    -------
    factor : float or None
        None where no unit is stated.
    note : str
        Empty where there is nothing to say.

    Raises
    ------
    UnitError
        Only units of another kind (coal in cubic metres, all in coal equivalent), or two of the right kind that differ.
    """
    found = []
    for text in texts:
        for part in (text, *re.findall(r"[(（\[](.*?)[)）\]]", text)):
            unit = known_unit(part)
            if unit is not None:
                found.append((part.strip(" ()（）[]"), *unit))
    right = {factor for _, kind, factor in found if kind == fuel.printed}
    wrong = list(dict.fromkeys(text for text, kind, _ in found if kind != fuel.printed))
    name = f"{fuel.name} ({fuel.zh})"
    if len(right) > 1:
        raise UnitError(
            f"{where}: {name} states two units: {', '.join(dict.fromkeys(t for t, _, _ in found))}"
        )
    if not found:
        return None, ""
    if not right:
        tce = "; this is the table in coal equivalent (标准量), the one in physical quantities (实物量) is needed"
        hint = tce if any(kind == "1e4 tce" for _, kind, _ in found) else ""
        raise UnitError(
            f"{where}: {name} in {', '.join(wrong)}; expected a unit such as {fuel.printed}{hint}"
        )
    factor = right.pop()
    if wrong:
        said = next(text for text, kind, _ in found if kind == fuel.printed)
        return (
            factor,
            note("two units", fuel=fuel.name, zh=fuel.zh, wrong=", ".join(wrong), right=said, unit=said),
        )
    return factor, "" if factor == 1.0 else f"{name}: converted to {fuel.printed} (x {factor:g})"
