"""Lines of a bridge: how much of a component there is in a region, how well that is known, and who says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.crosscheck.bridge.definitions import COMPONENTS
from obsnet.errors import ConfigError, FormatError, RangeError, SchemaError, nearest
from obsnet.inventory.table import mass_factor
from obsnet.inventory.words import NATION, province_or_own
from obsnet.reading import door, read_csv

__all__ = ["BUILT_IN", "Line", "read_lines", "stated_lines"]

BUILT_IN = {"china": "bridge_china.csv"}
_TEXT = ("component", "region", "unit", "source")
_NEEDED = (*_TEXT, "value")


@dataclass(frozen=True)
class Line:
    """One line.

    Parameters
    ----------
    components : frozenset of str
        What it is of; one number may be of several components.
    region : str
        Key, or ``CHN`` for the nation.
    value, sd : float
        Mt CO2 a year, positive into the atmosphere; the sd is NaN where nobody states it.
    source : str
    """

    components: frozenset[str]
    region: str
    value: float
    sd: float
    source: str


def stated_lines(asked: Iterable[str], uncertainty: Mapping[str, float]) -> list[Line]:
    """Return the lines of built-in tables and files.

    Parameters
    ----------
    asked : iterable of str
        ``china``, or paths.
    uncertainty : mapping of str to float
        Relative sd of lines that state none, by component.

    Raises
    ------
    ConfigError
        No such table, or an uncertainty of an unknown component.
    SchemaError
        Two lines of one component and region.
    """
    for name in uncertainty:
        if name not in COMPONENTS:
            raise ConfigError(f"--bridge-uncertainty {name}: no such component{nearest(name, COMPONENTS)}")
    found: list[Line] = []
    for text in asked:
        if text in BUILT_IN:
            with resources.as_file(resources.files("obsnet.crosscheck") / "tables" / BUILT_IN[text]) as path:
                found += read_lines(path, uncertainty)
        elif Path(text).is_file():
            found += read_lines(Path(text), uncertainty)
        else:
            raise ConfigError(
                f"--bridge-lines {text!r}: no such file, and built in is {', '.join(BUILT_IN)}"
                f"{nearest(text, BUILT_IN)}"
            )
    taken: dict[tuple[str, str], Line] = {}
    for line in found:
        for component in line.components:
            other = taken.setdefault((component, line.region), line)
            if other is not line:
                raise SchemaError(
                    f"two lines of {component} for {line.region}: {other.value:g} ({other.source}) and {line.value:g} "
                    f"({line.source}); keep one"
                )
    return found


@door("lines of a bridge")
def read_lines(path: Path, uncertainty: Mapping[str, float] | None = None) -> list[Line]:
    """Read a table of lines.

    Parameters
    ----------
    path : Path
        CSV with the columns ``component`` (several with ``+`` between them), ``region`` (adcode, name, own key,
        ``CHN``), ``value``, ``unit`` (a mass of CO2 a year), ``uncertainty`` (relative sd, may be empty), ``source``.
    uncertainty : mapping of str to float, optional
        For those that state none.

    Raises
    ------
    FormatError
        Columns that are missing, a component that is none, no source.
    RangeError
        A value that is no number.
    """
    frame = read_csv(path, dtype=dict.fromkeys(_TEXT, str), encoding="utf-8-sig")
    missing = [c for c in _NEEDED if c not in frame.columns]
    if missing:
        raise FormatError(f"{path}: lines of a bridge need the columns {', '.join(missing)}")
    if "uncertainty" not in frame:
        frame = frame.assign(uncertainty=np.nan)
    return [
        _line(row, f"{path}: row {k}", uncertainty or {}) for k, row in enumerate(frame.to_dict("records"), 2)
    ]


def _line(row: Mapping[str, Any], where: str, given: Mapping[str, float]) -> Line:
    parts = [p.strip() for p in str(row["component"]).split("+")]
    strange = [p for p in parts if p not in COMPONENTS]
    if strange:
        raise FormatError(f"{where}: no component {strange[0]!r}{nearest(strange[0], COMPONENTS)}")
    if not isinstance(row["source"], str) or not row["source"].strip():
        raise FormatError(f"{where}: a line needs a source")
    try:
        value, share = float(row["value"]), float(row["uncertainty"])
    except (TypeError, ValueError):
        raise RangeError(
            f"{where}: value and uncertainty are numbers, found {row['value']!r}, {row['uncertainty']!r}"
        ) from None
    if not np.isfinite(value) or share < 0 or share > 3:
        raise RangeError(
            f"{where}: value {value:g} or uncertainty {share:g} is out of range; the latter is a share such as 0.3"
        )
    mass = value * mass_factor(str(row["unit"])) * 1e-9
    if not np.isfinite(share):
        share = next((given[p] for p in parts if p in given), float("nan"))
    region = str(row["region"]).strip()
    region = region if region == NATION else province_or_own(region)
    return Line(frozenset(parts), region, mass, share * abs(mass), row["source"].strip())
