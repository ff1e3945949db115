"""The inventory table: bottom-up totals by region, checked at the door.

Columns: ``region`` (GB/T 2260 adcode or the user's own key), ``period`` (year, or ISO start/end), ``gas``,
``category``, ``terminology``, ``value``, ``unit`` (mass a year of the gas itself, never of carbon unless
``gas`` says ``C``), ``uncertainty`` (relative standard deviation, empty if unknown), ``source``, ``edition``.
"""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path
from typing import Any

from obsnet.constants import SECONDS_PER_YEAR, species
from obsnet.errors import FormatError, RangeError, SchemaError, nearest
from obsnet.reading import door
from obsnet.units import conversion_factor

__all__ = ["COLUMNS", "builtin", "mole_rate", "read_inventory"]

COLUMNS = (
    "region",
    "period",
    "gas",
    "category",
    "terminology",
    "value",
    "unit",
    "uncertainty",
    "source",
    "edition",
)
_OPTIONAL = {"category": "total", "terminology": "", "uncertainty": None, "source": "", "edition": ""}
_BUILTIN = {"ceads-2019": "china_provinces_co2_2019.csv"}


def builtin(name: str) -> Any:
    """Return an inventory that comes with the program.

    Parameters
    ----------
    name : str
        ``"ceads-2019"``: CO2 of 30 provinces of China in 2019, fossil fuel and cement, Mt CO2 rounded to
        1 Mt (Shan et al. 2018, doi:10.1038/sdata.2017.201; Shan et al. 2020, doi:10.1038/s41597-020-0393-y;
        Guan et al. 2021). It states no uncertainty. Nothing for Tibet, Hong Kong, Macao, Taiwan. Yunnan's
        process emissions of that year (0.004 Mt after 35 Mt the year before) are an error of the source:
        its total is about 35 Mt too low.

    Returns
    -------
    pandas.DataFrame
        See the module.
    """
    if name not in _BUILTIN:
        raise FormatError(f"no built-in inventory {name!r}{nearest(name, _BUILTIN)}")
    with resources.as_file(resources.files("obsnet.inventory") / "tables" / _BUILTIN[name]) as path:
        return read_inventory(path)


@door("an inventory")
def read_inventory(path: str | Path, *, gas: str | None = None) -> Any:
    """Read and check an inventory table.

    Parameters
    ----------
    path : path
        CSV, UTF-8 (with or without a byte order mark), or the name of a built-in one.
    gas : str, optional
        Keep this gas only.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`; ``region`` is text, ``value`` and ``uncertainty`` are float.

    Raises
    ------
    FormatError
        Not a CSV table, or columns missing.
    SchemaError
        Two rows for the same region, period, gas and category.
    RangeError
        A value that is not finite, or an uncertainty below 0.
    UnitError
        A unit that is no mass (a year).
    """
    import pandas as pd

    if str(path) in _BUILTIN:
        return builtin(str(path))
    path = Path(path)
    try:
        frame = pd.read_csv(
            path, dtype={"region": str, "period": str}, encoding="utf-8-sig", skipinitialspace=True
        )
    except FileNotFoundError:
        raise FormatError(f"{path}: no such inventory; built in: {', '.join(_BUILTIN)}") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: not a CSV table in UTF-8: {error}") from error
    missing = [c for c in COLUMNS if c not in frame.columns and c not in _OPTIONAL]
    if missing:
        raise FormatError(
            f"{path}: inventory lacks column {', '.join(missing)}; found {', '.join(frame.columns)}"
        )
    for column, default in _OPTIONAL.items():
        if column not in frame.columns:
            frame[column] = default
    frame["region"] = frame["region"].str.strip()
    for column in ("value", "uncertainty"):
        frame[column] = pd.to_numeric(frame[column], errors="coerce").astype(float)
    bad = frame.index[~frame["value"].map(math.isfinite)]
    if len(bad):
        raise RangeError(f"{path}: row {bad[0] + 2}: value is not a number")
    if (frame["uncertainty"] < 0).any():
        raise RangeError(f"{path}: row {frame.index[frame['uncertainty'] < 0][0] + 2}: uncertainty below 0")
    if (frame["uncertainty"] > 3).any():
        row = frame.index[frame["uncertainty"] > 3][0]
        raise RangeError(
            f"{path}: row {row + 2}: uncertainty {frame['uncertainty'][row]:g} is above 3; "
            "it is a share (0.1), not percent"
        )
    if gas is not None:
        frame = frame[frame["gas"].str.upper() == gas.upper()].reset_index(drop=True)
        if frame.empty:
            raise FormatError(f"{path}: no row for {gas}")
    for unit in frame["unit"].unique():
        _mass_factor(str(unit))
    doubled = frame[frame.duplicated(["region", "period", "gas", "category"], keep=False)]
    if len(doubled):
        first = doubled.iloc[0]
        raise SchemaError(
            f"{path}: {len(doubled)} rows share region, period, gas and category "
            f"(first: {first['region']} {first['period']})"
        )
    return frame[list(COLUMNS)]


def _mass_factor(unit: str) -> float:
    """Return kg of a mass unit, written with or without ``yr-1``: Mt is a million tonnes, not a megatesla."""
    plain = unit.strip().replace("/yr", "").replace(" yr-1", "").replace("/a", "").replace(" a-1", "").strip()
    tonnes = {
        "t": 1e3,
        "kt": 1e6,
        "Mt": 1e9,
        "Gt": 1e12,
        "万吨": 1e7,
        "吨": 1e3,
        "亿吨": 1e11,
        "Tg": 1e9,
        "Gg": 1e6,
        "Pg": 1e12,
    }
    return tonnes[plain] if plain in tonnes else conversion_factor(plain, "kg")


def mole_rate(value: Any, unit: str, gas: str) -> Any:
    """Turn an annual total into a mean rate.

    Parameters
    ----------
    value : float or ndarray
        Mass of the gas a year (365.2425 days).
    unit : str
        ``"Mt"``, ``"kt"``, ``"万吨"``, ``"kg"`` …
    gas : str
        ``"CO2"``, or ``"C"`` for a total given as carbon of CO2.

    Returns
    -------
    float or ndarray
        mol s-1.
    """
    from obsnet.constants import MOLAR_MASS_CARBON

    mass = MOLAR_MASS_CARBON if gas.upper() == "C" else species(gas).molar_mass
    return value * (_mass_factor(unit) / mass / SECONDS_PER_YEAR)
