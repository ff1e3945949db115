"""What a stated uncertainty means: the one place where half-widths of 95 % become standard deviations and back."""

from __future__ import annotations

from obsnet.errors import RangeError, SchemaError, nearest

__all__ = ["MEANINGS", "half_width", "relative_sd"]

_NORMAL_95 = 1.959963984540054  # half-width of the central 95 % of a normal distribution over its sd
MEANINGS = ("95% half-width", "sd")


def relative_sd(uncertainty: float, meaning: str, where: str = "") -> float:
    """Return the relative standard deviation that a stated uncertainty means.

    Parameters
    ----------
    uncertainty : float
        Share of the value.
    meaning : {"95% half-width", "sd"}
        IPCC tables state half-widths of 95 % intervals; the inventory contract (`obsnet.inventory.table`) states sd.

    Raises
    ------
    SchemaError
        The meaning is not stated, or neither.

    Examples
    --------
    >>> round(relative_sd(0.1, "95% half-width"), 5)
    0.05102
    """
    if meaning not in MEANINGS:
        place = f"{where}: " if where else ""
        raise SchemaError(f"{place}an uncertainty needs its meaning{nearest(str(meaning), MEANINGS)}")
    if not uncertainty >= 0.0:
        raise RangeError(f"an uncertainty of {uncertainty} is negative or no number")
    return uncertainty / _NORMAL_95 if meaning == "95% half-width" else uncertainty


def half_width(sd: float) -> float:
    """Return the half-width of the 95 % interval of a normal distribution with this standard deviation."""
    return sd * _NORMAL_95
