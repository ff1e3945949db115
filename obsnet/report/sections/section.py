"""What a section of the report is made of, and how its numbers are written."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from obsnet.language import NOTHING, Language, Words

__all__ = ["Section", "named", "number", "percent", "plain", "signed"]


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs, a picture with its caption, a table.

    Parameters
    ----------
    title : Words
    text : sequence of Words
        Paragraphs.
    head : sequence of Words
        Headings of the columns, of which the first is set to the left.
    rows : sequence of sequence of str
        Cells, in one language.
    picture : bytes, optional
        PNG.
    caption : Words
        Under the picture, and what it says to those who cannot see it.
    """

    title: Words
    text: Sequence[Words] = ()
    head: Sequence[Words] = ()
    rows: Sequence[Sequence[str]] = field(default=())
    picture: bytes | None = None
    caption: Words = NOTHING

    @property
    def image(self) -> str:
        """The picture as text."""
        return "" if self.picture is None else base64.b64encode(self.picture).decode("ascii")


def number(value: float, digits: int = 0) -> str:
    """Return a number with thousands apart, a dash for none."""
    return f"{value:,.{digits}f}" if math.isfinite(value) else "–"


def signed(value: float, digits: int = 0) -> str:
    """Return a number with its sign; no minus before nothing."""
    return f"{round(value, digits) + 0.0:+,.{digits}f}" if math.isfinite(value) else "–"


def percent(value: float) -> str:
    """Return a share in percent."""
    if not math.isfinite(value):
        return "–"
    return "> 1000%" if value >= 10 else f"{round(value, 2) + 0.0:.0%}"


def named(row: Mapping[str, Any], language: Language) -> str:
    """Return the name of a row's region in a language, the other where it has none."""
    return Words(str(row["name_en"]), str(row["name_zh"])).said(language)


def plain(text: Any) -> str:
    """Return a name as matplotlib draws it letter for letter: a dollar would begin a formula."""
    return str(text).replace("$", r"\$")
