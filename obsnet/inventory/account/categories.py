"""Categories and their terminology: a code without it means nothing, 4 is waste in IPCC 2006 and land in CRT."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from obsnet.errors import FormatError, SchemaError, nearest
from obsnet.inventory.packaged import package_rows
from obsnet.inventory.words import plain
from obsnet.language import Language

__all__ = [
    "TERMINOLOGIES",
    "Sector",
    "categories_by_name",
    "category_name",
    "ceads_sectors",
    "convert_category",
    "converted",
    "is_category",
    "means_one",
    "need_terminology",
    "stated_terminology",
]

TERMINOLOGIES = ("IPCC2006", "CRT2023")
_SPELLINGS = {"ipcc2006": "IPCC2006", "ipcc": "IPCC2006", "crt2023": "CRT2023", "crt": "CRT2023", "crf": "CRT2023",
              "crf2013": "CRT2023", "ceads": "CEADs", "": ""}  # fmt: skip


@dataclass(frozen=True)
class Sector:
    """One of the 47 sectors of CEADs.

    Parameters
    ----------
    name, zh : str
        As the workbooks print it, and in Chinese.
    ipcc2006 : str
        Category of its combustion; process emissions of cement are 2.A.1.
    industry : str
        power, steel, non-ferrous, building materials, petrochemicals, chemicals, transport, construction, and the rest.
    """

    name: str
    zh: str
    ipcc2006: str
    industry: str


@lru_cache(maxsize=1)
def _rows() -> list[dict[str, str]]:
    return package_rows("categories.csv")


@lru_cache(maxsize=1)
def ceads_sectors() -> dict[str, Sector]:
    """Return the sectors of CEADs by their name without blanks and case."""
    return {
        plain(r["sector"]): Sector(r["sector"], r["zh"], r["ipcc2006"], r["industry"])
        for r in package_rows("ceads_sectors.csv")
    }


def stated_terminology(text: object) -> str:
    """Return the usual spelling of a terminology; others are kept as they stand.

    Examples
    --------
    >>> stated_terminology("ipcc 2006"), stated_terminology("CRF")
    ('IPCC2006', 'CRT2023')
    """
    return _SPELLINGS.get(plain(text), str(text).strip())


def convert_category(code: str, source: str, target: str) -> str:
    """Return what a code of one terminology is in another.

    Parameters
    ----------
    code : str
        Such as ``"4.A"``; ``"total"`` stays.
    source, target : {"IPCC2006", "CRT2023"}
        Terminologies.

    Raises
    ------
    FormatError
        No such terminology or code, or no single counterpart (livestock of IPCC is two of CRT).

    Examples
    --------
    >>> convert_category("4.A", "IPCC2006", "CRT2023"), convert_category("4", "CRT2023", "IPCC2006")
    ('5.A', '3.B')
    """
    for name in (source, target):
        if name not in TERMINOLOGIES:
            raise FormatError(f"no terminology {name!r}{nearest(name, TERMINOLOGIES)}")
    if source == target or code == "total":
        return code
    at, to = source.lower(), target.lower()
    found = [r[to] for r in _rows() if r[at] == code]
    if not found:
        raise FormatError(
            f"no category {code!r} in {source}{nearest(code, [r[at] for r in _rows() if r[at]])}"
        )
    if not found[0]:
        raise FormatError(
            f"category {code} of {source} has no single counterpart in {target}; give its parts"
        )
    return found[0]


def category_name(code: str, terminology: str, language: Language = "en") -> str:
    """Return the name of a category for people; the code where it has none here."""
    if code == "total":
        return "合计" if language == "zh" else "Total"
    at = terminology.lower()
    return next((r[language] for r in _rows() if r.get(at) == code), code)


def need_terminology(frame: Any, where: str) -> Any:
    """Return an inventory with terminologies spelt as usual; refuse codes that mean nothing without one.

    Raises
    ------
    SchemaError
        A code from 3 on without a terminology, or one category in two terminologies.
    """
    out = frame.copy()
    out["terminology"] = [stated_terminology(t) for t in out["terminology"].fillna("")]
    codes = out["category"].astype(str)
    bare = out[codes.str.match(r"^[3-9](\.|$)") & (out["terminology"] == "")]
    if len(bare):
        code = str(bare["category"].iloc[0])
        meanings = []
        for name in TERMINOLOGIES:
            meaning = category_name(code, name)
            meanings.append(f"{meaning if meaning != code else 'no such category'} in {name}")
        raise SchemaError(
            f"{where}: category {code} is {' and '.join(meanings)}; state the column terminology"
        )
    used = sorted({t for t in out["terminology"] if t in TERMINOLOGIES})
    if len(used) > 1:
        for code in ("3", "4", "5"):
            mine = out[codes.str.match(rf"^{code}(\.|$)")]
            if len({t for t in mine["terminology"] if t in TERMINOLOGIES}) > 1:
                raise SchemaError(
                    f"{where}: category {code} stands in {' and '.join(used)}, where it means different things; "
                    "convert one (--terminology)"
                )
    return out


def converted(frame: Any, target: str) -> Any:
    """Return an inventory in another terminology; no two categories meet in one."""
    out = frame.copy()
    out["category"] = [
        convert_category(c, t, target) if t in TERMINOLOGIES else c
        for c, t in zip(out["category"], out["terminology"], strict=True)
    ]
    out["terminology"] = [target if t in TERMINOLOGIES else t for t in out["terminology"]]
    return out


@lru_cache(maxsize=1)
def categories_by_name() -> dict[str, str]:
    """Return codes of IPCC 2006 by names in both languages, without blanks and case."""
    return {plain(r[language]): r["ipcc2006"] for r in _rows() for language in ("en", "zh") if r["ipcc2006"]}


def is_category(code: str) -> bool:
    """Tell whether a code is of IPCC 2006, as far as its categories are known here.

    Examples
    --------
    >>> is_category("3.C"), is_category("3.1")
    (True, False)
    """
    return any(f"{r['ipcc2006']}.".startswith(f"{code}.") for r in _rows())


def means_one(code: str) -> bool:
    """Tell whether a code is the same category in every terminology.

    Examples
    --------
    >>> means_one("2.C"), means_one("4.A"), means_one("1.A.2.g")
    (True, False, False)
    """
    either = [r for r in _rows() if code in (r["ipcc2006"], r["crt2023"])]
    return bool(either) and all(r["ipcc2006"] == r["crt2023"] for r in either)
