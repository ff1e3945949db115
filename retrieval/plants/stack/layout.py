"""How a stack file is laid out: columns, unit, clock and flags as a table of one's own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from obsnet.config import Options, read_toml, validate
from obsnet.errors import FormatError, nearest
from obsnet.kind_tables import find_table, table_names

__all__ = ["CLASSES", "LAYOUTS", "SHORT_TON_KG", "StackLayout", "amount_unit", "layout_of"]

LAYOUTS = Path(__file__).parent / "layouts"
CLASSES = ("measured", "part", "calculated", "substitute", "other")
FlagClass = Literal["measured", "part", "calculated", "substitute", "other"]
Role = Literal[
    "plant", "plant_id", "unit", "time", "date", "hour", "operating_time", "load", "value", "value_unit", "flag",
    "utc_offset",
]  # fmt: skip

_POUND_KG = 0.45359237  # exact: international yard and pound agreement, 1959
SHORT_TON_KG = 2000.0 * _POUND_KG
_MASS = {
    "kg": 1.0,
    "千克": 1.0,
    "公斤": 1.0,
    "t": 1e3,
    "吨": 1e3,
    "tonne": 1e3,
    "tonnes": 1e3,
    "metric tons": 1e3,
    "Mg": 1e3,
    "万吨": 1e7,
    "lb": _POUND_KG,
    "lbs": _POUND_KG,
    "short ton": SHORT_TON_KG,
    "short tons": SHORT_TON_KG,
}
_TIMES = {"h": 3600.0, "hr": 3600.0, "hour": 3600.0, "小时": 3600.0, "时": 3600.0, "s": 1.0, "秒": 1.0}
_TWO = {"ton", "tons"}


class StackLayout(Options):
    """A stack file's layout, from TOML.

    Examples
    --------
    >>> layout_of("campd", ()).stamp
    'start'
    """

    title: str = Field("", description="what it is")
    columns: dict[Role, list[str]] = Field(description="headings that a column may have, by what it holds")
    unit: str | None = Field(None, description="of the amounts, where no column says it")
    stamp: Literal["start", "end"] | None = Field(
        None, description="whether an hour is named by its begin or its end"
    )
    utc_offset: float | None = Field(
        None, ge=-12, le=14, description="hours that local standard time is ahead of UTC"
    )
    whole_hours: bool = Field(
        False, description="rates are means of whole hours, not of the time in operation"
    )
    flags: dict[str, FlagClass] = Field(
        {}, description="what stands in the column of flags, by what it means"
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if "value" not in self.columns:
            raise ValueError("columns.value is missing: which column holds the amounts?")
        if "time" not in self.columns and not {"date", "hour"} <= set(self.columns):
            raise ValueError("columns need time, or date and hour")
        return self

    def found(self, headings: Sequence[str]) -> dict[str, str]:
        """Return the heading of each role that a file has."""
        return {
            role: heading
            for role, names in self.columns.items()
            if (heading := next((n for n in names if n in headings), None)) is not None
        }

    def missing(self, headings: Sequence[str], *, daily: bool = False) -> list[str]:
        """Return the headings without which a file is not of this layout; flags that a layout has must be there."""
        there = self.found(headings)
        needed = ["value", *(["time"] if "time" in self.columns else ["date"] if daily else ["date", "hour"])]
        needed += ["flag"] if self.flags and not daily else []
        needed += [] if self.unit else ["value_unit"]
        return [
            self.columns[role][0] if role in self.columns else role for role in needed if role not in there
        ]


def layout_of(name: str, headings: Sequence[str], where: str = "", *, daily: bool = False) -> StackLayout:
    """Return a layout: of the package by name, of a ``.toml`` file, or the only one that fits (``auto``).

    Raises
    ------
    FormatError
        The file has not the columns of the layout; none, or several, fit.
    """
    if name != "auto":
        layout = _read(name)
        if headings and (absent := layout.missing(headings, daily=daily)):
            raise FormatError(
                f"{where}: no column {absent[0]!r}, which the layout {name} "
                f"needs{nearest(absent[0], list(headings))}; "
                "a layout of your own: --layout FILE.toml"
            )
        return layout
    fitting = [n for n in table_names(LAYOUTS) if not _read(n).missing(headings, daily=daily)]
    if len(fitting) == 1:
        return _read(fitting[0])
    found = ", ".join(headings[:8])
    said = f"layouts {' and '.join(fitting)} fit; say which with --layout" if fitting else (
        f"no known layout ({', '.join(table_names(LAYOUTS))}) has these columns: {found}; give --layout FILE.toml"
    )  # fmt: skip
    raise FormatError(f"{where}: {said}")


def _read(name: str) -> StackLayout:
    path = find_table(name, LAYOUTS, "layout of stack files")
    return validate(StackLayout, read_toml(path), path.name)


def amount_unit(text: str, where: str) -> tuple[float, bool]:
    """Return the size of a unit of amount and whether it is a rate.

    Parameters
    ----------
    text : str
        ``t``, ``kg``, ``short tons``, ``lb/h``, ``千克/小时`` …
    where : str
        File and column, for messages.

    Returns
    -------
    size : float
        kg, or kg s-1.
    is_rate : bool

    Raises
    ------
    FormatError
        Not known, or a ``ton``, of which there are three.

    Examples
    --------
    >>> amount_unit("short tons", "")
    (907.18474, False)
    >>> amount_unit("kg/h", "")[1]
    True
    """
    plain = " ".join(text.replace("／", "/").split())
    mass, slash, time = plain.partition("/")
    if not slash:
        for spelling in ("h-1", "s-1"):
            if plain.endswith(spelling):
                mass, time = plain[: -len(spelling)], spelling[0]
    mass, time = mass.strip(), time.strip()
    if mass in _TWO:
        raise FormatError(
            f"{where}: unit {text!r} may be short tons (907.18 kg), t (1000 kg) or long tons; say which"
        )
    if mass not in _MASS or (time and time not in _TIMES):
        raise FormatError(f"{where}: unit {text!r} is not known{nearest(plain, _known())}")
    return (_MASS[mass] / _TIMES[time], True) if time else (_MASS[mass], False)


def _known() -> Collection[str]:
    return [*_MASS, *(f"{m}/{t}" for m in ("kg", "t", "lb", "short tons") for t in ("h", "s"))]
