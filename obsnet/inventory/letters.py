"""Plain forms of what people write: letters and figures of any width, raised figures, blanks."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["UNIT_WORD", "normal", "plain", "ungrouped"]

# 单位 is an organisation too, as in 填报单位 and 制表单位.
UNIT_WORD = r"(?:(?<!填报)(?<!填表)(?<!编制)(?<!制表)(?<!报送)(?<!调查)(?<!主管)(?<!发布)单位|\bunits?)"


def normal(text: object) -> str:
    """Return a text in plain forms of its letters and figures, without blanks at its ends; ``10⁴`` is ``10^4``.

    Examples
    --------
    >>> normal("１２ 万吨"), normal("10⁴ m³")
    ('12 万吨', '10^4 m3')
    """
    raised = re.sub(r"(?<=\d)[⁰¹²³⁴-⁹]+", lambda m: f"^{m.group()}", str(text))
    return unicodedata.normalize("NFKC", raised).strip()


def plain(text: object) -> str:
    """Return a text without blanks of any width, full-width forms, case, dots, hyphens and underscores.

    Examples
    --------
    >>> plain("原　煤 "), plain("Raw_Coal"), plain("（－）")
    ('原煤', 'rawcoal', '()')
    """
    return re.sub(r"[\s_\-.·•]+", "", unicodedata.normalize("NFKC", str(text))).casefold()


def ungrouped(text: str) -> str:
    """Return a figure without the commas or blanks between its thousands; other texts as they are.

    Examples
    --------
    >>> ungrouped("1,234.5"), ungrouped("-1 234"), ungrouped("1,23"), ungrouped("12%")
    ('1234.5', '-1234', '1,23', '12%')
    """
    grouped = re.fullmatch(r"\s*[+-]?\d{1,3}((,\d{3})+|( \d{3})+)(\.\d*)?\s*", text)
    return re.sub(r"[, ]", "", text) if grouped else text
