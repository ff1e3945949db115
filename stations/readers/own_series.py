"""Columns of a table that nothing uses, and that make several records of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from obsnet.constants import SPECIES
from obsnet.errors import ConfigError
from stations.record.record import Notes

__all__ = ["ask_about_series"]

_SITE = re.compile(r"(site|station)([ _-]?(code|id|name))?|台站|站点|站名|站号|站点名称|台站名称")
_INTAKE = re.compile(r"\b(intake|inlet|height|magl)\b|高度|进气口|采样口")
_LEVEL = re.compile(r"level|层|层次")
_METRES = re.compile(r"(\d+(?:\.\d+)?) ?m?", re.IGNORECASE)
_MOST = 20  # no mast has more intakes; a column of altitudes or boundary layers has
_NO_CODE = 5.0  # levels that all lie below are codes, not metres


def ask_about_series(
    unused: Iterable[tuple[str, Iterable[str]]], intake: float | str | None, where: str, notes: Notes
) -> None:
    """Refuse a table of several sites, substances or intakes that is taken for one.

    Parameters
    ----------
    unused : iterable of (str, iterable of str)
        Names and texts of columns that are not used.
    intake : float, str or None
        What it says of the intake. A number is taken at its word, and the column is told; so is the name of a column,
        which says the intakes itself.
    where : str
        The file, for the message.
    notes : Notes
        Told of intakes that the description says are one, by a number.

    Raises
    ------
    ConfigError
        An unused column names several of them.
    """
    for name, texts in unused:
        rows = [str(c).strip() for c in texts]
        cells = {*rows} - {""}
        if len(cells) < 2:
            continue
        some = ", ".join(sorted(cells)[:6])
        if {c.upper() for c in cells} <= SPECIES.keys():
            raise ConfigError(
                f"{where}: column {name!r} names several substances ({some}), but a row's value is taken for one of "
                "them: split the table, or give each a column of its own"
            )
        plain = re.sub(r"[_-]", " ", str(name).lower())
        if _SITE.fullmatch(plain):
            raise ConfigError(
                f"{where}: column {name!r} names several sites ({some}), and rows are taken as of one: split the table"
            )
        metres = _heights(cells) if _INTAKE.search(plain) or _LEVEL.fullmatch(plain) else []
        if len(metres) < 2 or (_LEVEL.fullmatch(plain) and max(metres) < _NO_CODE):
            continue
        if intake is None:
            raise ConfigError(
                f"{where}: column {name!r} looks like several intakes ({some}): say site.intake_height_m = '{name}', "
                "or a number of metres where all rows are of one intake"
            )
        if isinstance(intake, str):  # another column has the intakes
            continue
        notes.warn(len(rows), f"rows taken as of one intake, though column {name!r} holds {some}")


def _heights(cells: Collection[str]) -> list[float]:
    """Return the heights that cells say, ascending; none where one is no height or there are too many."""
    found = [_METRES.fullmatch(c) for c in cells]
    known = sorted({float(m[1]) for m in found if m})
    return known if all(found) and len(known) <= _MOST else []
