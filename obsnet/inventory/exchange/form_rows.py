"""What the rows of a form mean: by the user's table of rows, by their names, or by their codes of IPCC 2006.

A name that belongs to another sector than the rows above it, that stands twice, or that disagrees with its code means
nothing by itself: whoever fills the form is told.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from obsnet.errors import FormatError
from obsnet.inventory.account.categories import (
    categories_by_name,
    convert_category,
    is_category,
    means_one,
)
from obsnet.inventory.books import Sheet, read_rows
from obsnet.inventory.exchange.form_columns import FormTable, bare
from obsnet.inventory.packaged import package_rows
from obsnet.inventory.words import plain
from obsnet.language import Words, filled

__all__ = ["Codes", "FormRow", "Meanings", "is_row", "meanings", "rows_of"]

Terms = tuple[tuple[int, str], ...]
Meanings = dict[str, Terms]
Codes = Literal["ask", "IPCC2006", "CRT2023"]

_CODE = re.compile(r"^\d{1,2}(?:\.[A-Za-z0-9]{1,4})*")
_NUMBERING = re.compile(
    r"^(?:其中|of which)?\s*[::]?\s*"
    r"(?:\(?[一二三四五六七八九十]{1,3}[)、.]|\(?\d{1,2}(?:\.[\dA-Za-z]{1,4})*(?!\d)[)、.]?|[—–*-])?\s*"
)
_TOTAL = re.compile(
    r"(全[省国市区])?(温室气体)?(净?排放)?(总量|合计|总计|总排放量)|温室气体|(national|grand|net)?total(ghg)?(emissions?)?"
)
_LAND = re.compile(r"土地利用|lulucf|land use|land-use", re.IGNORECASE)
_WITHOUT = re.compile(r"不包括|不含|扣除|without|excl", re.IGNORECASE)
# Names that are of fuels or of a section's remainder as often as of a category: their code has to stand beside them.
_WITH_CODE = {"固体燃料", "solidfuels", "其他行业", "未分类", "nonspecified"}
# Names of sectors that stand among the users of energy too, unless a number such as 三、 makes them a section.
_AMONG_USERS = {"农业", "agriculture", "废弃物", "waste"}
_SECTION = re.compile(r"\(?[一二三四五六七八九十]{1,3}[)、.]")

_NO_CATEGORY = Words("no category of this name", "没有此名称的类别")
_OTHER_SECTOR = Words(
    "the name is of {code}, another sector than the rows above it", "该名称属于 {code}，与上方各行的部门不同"
)
_DISAGREE = Words("its code says {code}, its name {other}", "编码为 {code}，名称为 {other}")
_LAND_ASKED = Words(
    "a total with land or without it? Say so in the table of rows (total, total-3.B)",
    "总量是否包括土地利用？请在行对照表中写明（total 或 total-3.B）",
)
_ONE_SECTOR = Words(
    "a total beside rows of one sector: of all or of that? Say so in the table of rows",
    "表中仅有一个部门：是全部总量还是该部门合计？请在行对照表中写明",
)
_TWICE = Words(
    "rows {rows} have one meaning, {code}: which of them? Say so in the table of rows",
    "第 {rows} 行含义相同（{code}），应填哪一行？请在行对照表中写明",
)
_INSIDE = Words(
    "a total between rows of sectors: of all or of those above it? Say so in the table of rows",
    "合计位于各部门之间：是全部总量还是上方各行合计？请在行对照表中写明",
)
_WHOSE_CODE = Words(
    "its code {code} is one category in IPCC 2006 and another or none in CRT, and its name is not known: say which "
    "with --codes, or what the row means in the table of rows",
    "编码 {code} 在 IPCC 2006 与 CRT 中含义不同，且名称无法识别：请以 --codes 说明，或在行对照表中写明",
)
_NO_COUNTERPART = Words(
    "its code {code} of CRT has no single counterpart in IPCC 2006",
    "CRT 编码 {code} 在 IPCC 2006 中无单一对应",
)
_BY_CODE = Words(
    "a name that is often used for something else; write its code {code} beside it, or say it in the table of rows",
    "该名称常有他义；请在旁注明编码 {code}，或在行对照表中写明",
)


@dataclass(frozen=True)
class FormRow:
    """A row of a form, and the codes whose lines are added (1) and subtracted (-1) in it; all where a code is empty.

    `by` says what it was known by: ``rows`` of the user, ``name``, ``code`` or ``total``.
    """

    index: int
    label: str
    terms: Terms
    by: str

    @property
    def sector(self) -> str:
        """First figure of its code; empty for a total."""
        return self.terms[0][1][:1]


def meanings(rows: Path | None) -> Meanings:
    """Return what labels mean: names of categories, other usual labels, then the user's own."""
    known = {name: _terms(code) for name, code in categories_by_name().items()}
    known |= {plain(r["label"]): _terms(r["category"]) for r in package_rows("form_labels.csv")}
    if rows is not None:
        own = read_rows(rows, ("label", "category"))
        for label, category in zip(own["label"], own["category"], strict=True):
            for _, code in (terms := _terms(str(category))):
                if code and not is_category(code):
                    raise FormatError(
                        f"{rows}: {category!r} of {label!r} is no sum of categories of IPCC 2006"
                    )
            known[f"own {plain(bare(label))}"] = terms
    return known


def _terms(text: str) -> Terms:
    parts = re.findall(r"([+-]?)\s*([^+\-\s]+)", text)
    return tuple((-1 if sign == "-" else 1, "" if code == "total" else code) for sign, code in parts)


def is_row(label: str, known: Meanings) -> bool:
    """Tell whether a text is the label of a row that is known."""
    name = _name(label)
    return (
        f"own {plain(label)}" in known or name in known or bool(_TOTAL.fullmatch(name) and _CODE.match(label))
    )


def rows_of(
    sheet: Sheet, part: FormTable, known: Meanings, land: bool, codes: Codes = "ask"
) -> tuple[list[FormRow], list[tuple[int, str, Words]]]:
    """Return rows of a table whose meaning is known, and (row, label, reason) of the others.

    Parameters
    ----------
    sheet, part : Sheet, FormTable
        The table.
    known : dict
        Of `meanings`.
    land : bool
        The inventory has land, so that a total may be with it or without.
    codes : {"ask", "IPCC2006", "CRT2023"}
        Whose codes stand in the form; asked where a code alone says what a row means and the two differ.
    """
    found: list[FormRow] = []
    left: list[tuple[int, str, Words]] = []
    for i, cells in enumerate(sheet.rows[part.first : part.end], part.first):
        texts = [t for c in cells[: part.labels] if (t := bare(c))]
        if not texts:
            continue
        row = _meaning(
            i, texts, next((r.sector for r in reversed(found) if r.sector), ""), known, land, codes
        )
        if isinstance(row, FormRow):
            found.append(row)
        else:
            left.append((i, " ".join(texts), row))
    return _told_apart(found, left), left


def _told_apart(found: list[FormRow], left: list[tuple[int, str, Words]]) -> list[FormRow]:
    """Leave totals that may be of one sector, and rows that say the same twice."""
    sectors = [(r.index, r.sector) for r in found if r.sector]
    often = Counter(r.terms for r in found if r.by != "rows")
    kept = []
    for row in found:
        reason = None
        if row.by == "total" and len({s for _, s in sectors}) == 1:
            reason = _ONE_SECTOR
        elif row.by == "total" and sectors and sectors[0][0] < row.index < sectors[-1][0]:
            reason = _INSIDE
        elif row.by != "rows" and often[row.terms] > 1:
            same = ", ".join(str(r.index + 1) for r in found if r.terms == row.terms and r.by != "rows")
            code = "+".join(c or "total" for _, c in row.terms)
            reason = filled(_TWICE, rows=same, code=code)
        if reason is None:
            kept.append(row)
        else:
            left.append((row.index, row.label, reason))
    return kept


def _code_of(texts: list[str], codes: Codes) -> tuple[str, str]:
    """Return a code as it stands and in IPCC 2006, empty where CRT's has no counterpart; both without a code."""
    for found in filter(None, map(_CODE.match, texts)):
        code = found.group()
        if codes != "CRT2023" and is_category(code):
            return code, code
        if codes == "CRT2023":
            try:
                return code, convert_category(code, "CRT2023", "IPCC2006")
            except FormatError:
                if re.search("[A-Za-z]", code):
                    return code, ""
    return "", ""


def _meaning(
    index: int, texts: list[str], sector: str, known: Meanings, land: bool, codes: Codes
) -> FormRow | Words:
    """Return what a row means after rows of a sector, or why it is left."""
    label = " ".join(texts)
    name = _name(texts[-1])
    shown, code = _code_of(texts, codes)
    if own := known.get(f"own {plain(label)}") or known.get(f"own {plain(texts[-1])}"):
        return FormRow(index, label, own, "rows")
    if _TOTAL.fullmatch(name):
        of_land = _LAND.search(label)
        if land and not of_land:
            return _LAND_ASKED
        return FormRow(
            index, label, _terms("total-3.B" if of_land and _WITHOUT.search(label) else "total"), "total"
        )
    named = known.get(name)
    if not named:
        if shown and not code:
            return filled(_NO_COUNTERPART, code=shown)
        if not re.search("[A-Za-z]", shown):
            return _NO_CATEGORY
        if codes == "ask" and not means_one(shown):
            return filled(_WHOSE_CODE, code=shown)
        return FormRow(index, label, _terms(code), "code")
    first = named[0][1]
    if "." in shown and named != _terms(code):
        return filled(_DISAGREE, code=shown, other="+".join(c for _, c in named))
    if name in _WITH_CODE and "." not in shown:
        return filled(_BY_CODE, code=first)
    part = "." in first and len(named) == 1
    user = name in _AMONG_USERS and sector == "1" and code != first and not _SECTION.match(texts[-1])
    if user or (part and sector and first[0] != sector):
        return filled(_OTHER_SECTOR, code="+".join(c for _, c in named))
    return FormRow(index, label, named, "name")


def _name(text: str) -> str:
    """Return a name without its number, remarks in brackets and the word for a sum after it."""
    bare = plain(re.sub(r"\(.*?\)", "", _NUMBERING.sub("", text)) or text)
    return re.sub(r"(?<=.)(合计|总计|小计)$", "", bare)
