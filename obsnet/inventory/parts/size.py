"""How large a plant or an enterprise can be: a share of what its whole province emits."""

from __future__ import annotations

from functools import lru_cache

from obsnet.inventory.account.report import named_region
from obsnet.inventory.notes import note
from obsnet.inventory.table import builtin

__all__ = ["LARGE", "province_emission", "province_words"]

LARGE = 0.05  # of a province: few plants are, so it is said


@lru_cache(maxsize=1)
def _totals() -> dict[str, float]:
    table = builtin("ceads-2019")
    return {str(r): 1e6 * float(v) for r, v in zip(table["region"], table["value"], strict=True)}


def province_emission(region: str) -> float:
    """Return the CO2 that a province emitted in 2019, t; of the largest one where CEADs has none.

    Examples
    --------
    >>> province_emission("130000")
    914000000.0
    """
    return _totals().get(region, max(_totals().values()))


def province_words(region: str) -> str:
    """Return what `province_emission` is, for messages."""
    name = named_region(region) if region in _totals() else "the largest province"
    return note("in 2019", name=name, value=f"{province_emission(region) / 1e6:g}")
