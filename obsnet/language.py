"""The two languages of what people read, and texts that are there in both."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal, NamedTuple
from unicodedata import east_asian_width

from pydantic import Field

from obsnet.config import Options

__all__ = [
    "NOTHING",
    "WRITTEN",
    "InLanguage",
    "Language",
    "Sentences",
    "Words",
    "apart",
    "decimals",
    "filled",
    "padded",
    "period_zh",
    "screen_width",
]

Language = Literal["en", "zh"]


class InLanguage(Options):
    """Whatever has texts, headings or pictures; the one declaration of the option."""

    language: Language = Field("en", description="language of texts, headings and pictures: en or zh")


class Words(NamedTuple):
    """One text in both languages."""

    en: str
    zh: str

    def said(self, language: Language) -> str:
        """Return the text in a language; a name that has no other form stands as it is."""
        mine, other = (self.zh, self.en) if language == "zh" else (self.en, self.zh)
        return mine or other


WRITTEN = Words("written: {path}", "已写入：{path}")
NOTHING = Words("", "")


class Sentences:
    """English sentences with holes, and their Chinese: one table for who writes them and who shows them.

    Parameters
    ----------
    texts : mapping of str to (English, Chinese)
        By key; holes in braces.
    """

    def __init__(self, texts: Mapping[str, tuple[str, str]]) -> None:
        self._texts = texts

    def line(self, key: str, **values: Any) -> str:
        """Return a sentence in English."""
        return self._texts[key][0].format(**values)

    def in_both(self, text: str, inside: Callable[[str], str] = str) -> Words:
        """Return a sentence in both languages; without Chinese where the table does not have it.

        Parameters
        ----------
        text : str
            English.
        inside : callable
            Turns what fills a hole into Chinese.
        """
        for pattern, chinese in self._forms:
            if found := pattern.fullmatch(text):
                return Words(text, chinese.format(**{k: inside(v) for k, v in found.groupdict().items()}))
        return Words(text, "")

    @cached_property
    def _forms(self) -> list[tuple[re.Pattern[str], str]]:
        """The sentences as patterns with their Chinese, the longest first, whose holes are the smallest part."""
        forms = []
        for english, chinese in sorted(self._texts.values(), key=lambda t: -len(t[0])):
            parts = re.split(r"\{(\w+)\}", english)
            pattern = "".join(f"(?P<{p}>.+?)" if k % 2 else re.escape(p) for k, p in enumerate(parts))
            forms.append((re.compile(pattern, re.DOTALL), chinese))
        return forms


_BETWEEN = (("; ", ", "), ("；", "，"))


def filled(texts: tuple[str, str], **values: Any) -> Words:
    """Return a text in English and Chinese with what stands in braces filled in; `Words` each in their language."""
    plain = {k: v if isinstance(v, int | float | Words) else apart(str(v)) for k, v in values.items()}
    return Words(
        *(
            text.format(**{k: v[at] if isinstance(v, Words) else v for k, v in plain.items()})
            for at, text in enumerate(texts)
        )
    )


def apart(text: str) -> str:
    """Return a name without what stands between remarks, at which they would be taken apart in the wrong place."""
    for between, comma in _BETWEEN:
        text = text.replace(between, comma)
    return text


_SPAN = re.compile(r"\d{4}[-\dT:]* to \d{4}[-\dT:]*")


def period_zh(text: str) -> str:
    """Return a period in Chinese: ``2014-02-01 to 2014-03-01`` has a word between its ends; other texts stay.

    Examples
    --------
    >>> period_zh("2014-02-01 to 2014-03-01"), period_zh("2014")
    ('2014-02-01 至 2014-03-01', '2014')
    """
    return text.replace(" to ", " 至 ") if _SPAN.fullmatch(text) else text


def decimals(sd: float) -> int:
    """Return how many decimals a total with this standard deviation is written with: two digits of it, at most four.

    Totals of China in Mt have none, those of a small region or gas as many as say something.

    Examples
    --------
    >>> decimals(159.0), decimals(0.77), decimals(0.0), decimals(float("nan"))
    (0, 2, 0, 0)
    """
    return min(max(1 - math.floor(math.log10(sd)), 0), 4) if math.isfinite(sd) and sd > 0.0 else 0


def padded(text: str, width: int) -> str:
    """Return a text filled up to a width of the screen, on its left where the width is below 0."""
    blanks = " " * max(0, abs(width) - screen_width(text))
    return text + blanks if width > 0 else blanks + text


def screen_width(text: str) -> int:
    """Return the places a text takes: Chinese characters two."""
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)
