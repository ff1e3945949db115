"""Months of a year as tables write them: ``3``, ``2022-03``, ``2022年3月``, ``Mar``, ``1-2月``, ``Q1``, ``全年``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from obsnet.errors import FormatError
from obsnet.inventory.words import normal

__all__ = ["YEAR", "is_bare_total", "read_months", "without_overlap", "year_of"]

YEAR = frozenset(range(1, 13))
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
         "december")  # fmt: skip
_FIGURES = {"十二": "12", "十一": "11", "十": "10", "九": "9", "八": "8", "七": "7", "六": "6", "五": "5", "四": "4",
            "三": "3", "二": "2", "一": "1"}  # fmt: skip
_PARTS = {
    "h1": range(1, 7), "1h": range(1, 7), "上半年": range(1, 7), "h2": range(7, 13), "2h": range(7, 13),
    "下半年": range(7, 13),
}  # fmt: skip
_BARE = {"total", "sum", "合计", "总计", "累计"}
_WHOLE = {
    *_BARE, "", "year", "annual", "yearly", "wholeyear", "fullyear", "annualtotal", "yeartotal", "全年", "年度", "年",
    "全年合计", "全年累计", "年累计", "全年总计", "年合计",
}  # fmt: skip
_NAME = rf"({'|'.join(_LONG)}|sept|{'|'.join(_NAMES)})\.?"


def year_of(text: object) -> str:
    """Return the year that a text states, empty where it states none.

    Examples
    --------
    >>> year_of("2022年3月"), year_of("Mar-22"), year_of("3月")
    ('2022', '2022', '')
    """
    found = re.search(r"(?<!\d)((?:19|20)\d\d)", normal(text))
    if found:
        return found.group(1)
    short = re.fullmatch(rf"{_NAME}[-/']?(\d\d)", _squeezed(text))
    return f"20{short.group(2)}" if short else ""


def read_months(text: object) -> frozenset[int]:
    """Return the months, 1 to 12, that a text means; all twelve for a sum over the year.

    Raises
    ------
    FormatError
        It means none, or two readings are possible (``01/02/2022``).

    Examples
    --------
    >>> sorted(read_months("2022年1-2月")), sorted(read_months("Q4")), sorted(read_months("3月累计"))
    ([1, 2], [10, 11, 12], [1, 2, 3])
    """
    plain = _squeezed(text)
    months = _read(plain)
    if months is None:
        raise FormatError(
            f"{str(text).strip()!r} is no month; write 3, 2022-03, 2022年3月, March, 1-2月, Q1 or 全年"
        )
    return months


def is_bare_total(text: object) -> bool:
    """Tell whether a text says that it is a sum and not of what: of a year only where nothing else is beside it.

    Examples
    --------
    >>> is_bare_total("合计"), is_bare_total("Total"), is_bare_total("全年合计"), is_bare_total("2022年")
    (True, True, False, False)
    """
    return _squeezed(text) in _BARE


def _squeezed(text: object) -> str:
    plain = re.sub(r"\s+", "", normal(text).casefold())
    plain = re.sub(r"t?00:00(:00(\.0+)?)?z?$", "", plain)
    plain = re.sub(r"\.0+$", "", plain)  # a number that a program wrote as 3.0
    return re.sub(r"[—–―~－至到]+|-+", "-", plain)


def _read(plain: str) -> frozenset[int] | None:
    for pattern in (
        r"\d{4}([-/.])(?P<m>\d{1,2})(\1\d{1,2})?",
        r"\d{4}年(?P<m>\d{1,2})月?(\d{1,2}[日号])?",
        r"(?:19|20)\d\d(?P<m>\d\d)(\d\d)?",
        r"(?P<m>\d{1,2})[-/.](?:19|20)\d\d",
    ):
        whole = re.fullmatch(pattern, plain)
        if whole:
            return _month(whole.group("m"))
    if re.fullmatch(r"\d{1,2}[-/.]\d{1,2}[-/.](\d\d|\d{4})", plain):
        raise FormatError(f"{plain!r} may be day and month or month and day; write 2022-03")
    named = re.sub(rf"(?:19|20)?\d\d[-/']?(?={_NAME})|(?<=[a-z])[-/',.]*(?:19|20)?\d\d$", "", plain)
    ends = re.fullmatch(rf"{_NAME}(?:-{_NAME})?", named)
    if ends:
        first, last = (_NAMES.index(n[:3]) + 1 if n else 0 for n in ends.groups())
        return _span(first, last or first)
    rest = re.sub(r"^(?:19|20)\d\d年?[-/. ]?|[-/. ]?(?:19|20)\d\d年?$", "", plain)
    if rest in _WHOLE:
        return YEAR
    if rest in _PARTS:
        return frozenset(_PARTS[rest])
    for figure, number in _FIGURES.items():
        rest = rest.replace(figure, number)
    running = re.search(r"累计|ytd|cumulative|cum", rest) is not None
    rest = re.sub(r"累计|ytd|cumulative|cum|合计|当月|份", "", rest)
    quarter = re.fullmatch(r"(?:q(\d)|(\d)q|第?(\d)季度?)", rest)
    if quarter:
        k = int(next(g for g in quarter.groups() if g))
        return frozenset(range(3 * k - 2, 3 * k + 1)) if 1 <= k <= 4 else None
    span = re.fullmatch(r"(?:m|months?)?(\d{1,2})月?(?:-m?(\d{1,2})月?)?", rest)
    if span:
        first = 1 if running else int(span.group(1))
        return _span(first, int(span.group(2) or span.group(1)))
    return None


def _month(text: str) -> frozenset[int] | None:
    return _span(int(text), int(text))


def _span(first: int, last: int) -> frozenset[int] | None:
    return frozenset(range(first, last + 1)) if 1 <= first <= last <= 12 else None


def without_overlap(months: Sequence[frozenset[int]]) -> list[int]:
    """Return which rows of one series to add up, so that no month is counted twice.

    Parameters
    ----------
    months : sequence of frozenset of int
        Of each row.

    Returns
    -------
    list of int
        Rows kept. A sum gives way to its parts where they make it up (``1-2月`` beside ``1月`` and ``2月``), and
        they to it where they do not (``1-2月``, ``1-3月`` … of a running sum give way to ``1-12月``).

    Raises
    ------
    FormatError
        A month twice: two rows of the same months, or rows that overlap and neither holds the other.
    """
    left = sorted(range(len(months)), key=lambda k: (-len(months[k]), sorted(months[k])))
    for one, other in pairwise(left):
        if months[one] == months[other]:
            raise FormatError(f"{_named(months[one])} twice")
    kept: list[int] = []
    while left:
        whole = left.pop(0)
        inside = [k for k in left if months[k] < months[whole]]
        if inside and frozenset().union(*(months[k] for k in inside)) == months[whole]:
            continue
        kept.append(whole)
        left = [k for k in left if k not in inside]
    for place, one in enumerate(kept):
        for other in kept[place + 1 :]:
            both = months[one] & months[other]
            if both:
                raise FormatError(f"{_named(both)} both in {_named(months[one])} and {_named(months[other])}")
    return sorted(kept)


def _named(months: frozenset[int]) -> str:
    first, last = min(months), max(months)
    return f"month {first}" if first == last else f"months {first} to {last}"
