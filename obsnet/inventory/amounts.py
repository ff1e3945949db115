"""Units of amounts as people write them: a number in words or figures before a unit, Chinese or English."""

from __future__ import annotations

import re
from collections.abc import Mapping

from obsnet.inventory.letters import normal

__all__ = ["ELECTRICITY", "MASS", "scale"]

# What one of each is, in t; in 1e8 kWh.
MASS: dict[str, float] = {
    "t": 1.0, "吨": 1.0, "公吨": 1.0, "ton": 1.0, "tons": 1.0, "tonne": 1.0, "tonnes": 1.0, "kg": 1e-3, "千克": 1e-3,
    "公斤": 1e-3, "g": 1e-6, "Mg": 1.0, "kt": 1e3, "Gg": 1e3, "Mt": 1e6, "Tg": 1e6, "Gt": 1e9, "Pg": 1e9,
}  # fmt: skip
ELECTRICITY: dict[str, float] = {
    "kWh": 1e-8, "千瓦时": 1e-8, "千瓦小时": 1e-8, "度": 1e-8, "MWh": 1e-5, "兆瓦时": 1e-5, "GWh": 1e-2, "TWh": 10.0,
}  # fmt: skip
_WORDS = {
    "": 1.0, "百": 1e2, "千": 1e3, "万": 1e4, "十万": 1e5, "百万": 1e6, "千万": 1e7, "亿": 1e8, "十亿": 1e9,
    "hundred": 1e2, "thousand": 1e3, "tenthousand": 1e4, "million": 1e6, "hundredmillion": 1e8, "100million": 1e8,
    "billion": 1e9,
}  # fmt: skip


def scale(unit: object, bases: Mapping[str, float]) -> float | None:
    """Return how many of the common unit of `bases` one of a unit is; None where it is not understood.

    Parameters
    ----------
    unit : str
        A multiplier and a base: ``万吨``, ``10^4 t``, ``10⁴ t``, ``1e8 kWh``, ``hundred million kWh``. Case counts
        in short units, where it means something (``Mt``, ``MWh``), and not in words. ``104 t`` is not understood,
        for it may have lost its raised figure.
    bases : mapping of str to float
        Such as `MASS`.

    Examples
    --------
    >>> scale("万吨", MASS), scale("10⁴ t", MASS), scale("10^8 kWh", ELECTRICITY), scale("104 t", MASS)
    (10000.0, 10000.0, 1.0, None)
    """
    text = re.sub(r"[\s_*·]", "", normal(unit)).replace("×", "")
    for base in sorted(bases, key=len, reverse=True):
        fits = text.casefold().endswith(base.casefold()) if len(base) > 3 else text.endswith(base)
        many = _many(text[: len(text) - len(base)]) if fits else None
        if many is not None:
            return many * bases[base]
    return None


def _many(text: str) -> float | None:
    text = text.casefold()
    if text in _WORDS:
        return _WORDS[text]
    power = re.fullmatch(r"(?:10\^|1(?:\.0)?e)\+?(\d{1,2})", text)
    if power:
        return 10.0 ** int(power.group(1))
    return float(text.replace(",", "")) if re.fullmatch(r"10{2,}|1(,000)+", text) else None
