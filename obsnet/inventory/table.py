"""The inventory table: bottom-up totals by region, checked at the door.

Columns: ``region`` (GB/T 2260 adcode or the user's own key), ``period`` (year, or ISO start/end), ``gas``,
``category``, ``terminology``, ``value``, ``unit`` (mass a year of the gas itself, never of carbon unless
``gas`` says ``C``), ``uncertainty`` (relative standard deviation, empty if unknown), ``source``, ``edition``.
How periods are written: `obsnet.inventory.period`. A mass without ``yr-1`` of a period that is no year could be
meant either way; who compares it has to say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from obsnet.constants import SECONDS_PER_YEAR, species
from obsnet.errors import FormatError, RangeError, SchemaError, UnitError, nearest
from obsnet.inventory.amounts import MASS, scale
from obsnet.inventory.letters import ungrouped
from obsnet.inventory.period import read_period
from obsnet.inventory.spelling import gas_name, read_contract, whole_name
from obsnet.inventory.words import dotted, normal, province_or_own
from obsnet.reading import door

__all__ = [
    "BUILT_IN",
    "COLUMNS",
    "builtin",
    "check_inventory",
    "mass_factor",
    "masses",
    "mole_rate",
    "per_year",
    "read_inventory",
    "with_provinces",
]

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
_LARGEST = {"CO2": 1e14, "C": 3e13, "CH4": 1e12, "N2O": 1e11}  # kg a year, twice the world's and more
BUILT_IN = {"ceads-2019": "china_provinces_co2_2019.csv"}


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
    if name not in BUILT_IN:
        raise FormatError(f"no built-in inventory {name!r}{nearest(name, BUILT_IN)}")
    with resources.as_file(resources.files("obsnet.inventory") / "tables" / BUILT_IN[name]) as path:
        return read_inventory(path)


@door("an inventory")
def read_inventory(path: str | Path, *, gas: str | None = None) -> Any:
    """Read and check an inventory table.

    Parameters
    ----------
    path : path
        CSV, UTF-8 (with or without a byte order mark) or GB 18030, headings English or Chinese (then provinces by
        their Chinese names too), or the name of a built-in one.
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
    SchemaError, RangeError, UnitError
        See `check_inventory`.
    """
    if str(path) in BUILT_IN:
        return builtin(str(path))
    path = Path(path)
    try:
        frame = read_contract(path)
    except FileNotFoundError:
        raise FormatError(f"{path}: no such inventory; built in: {', '.join(BUILT_IN)}") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: not a CSV table in UTF-8: {error}") from error
    frame = check_inventory(frame, str(path))
    if gas is not None:
        frame = frame[frame["gas"] == gas.upper()].reset_index(drop=True)
        if frame.empty:
            raise FormatError(f"{path}: no row for {gas}")
    return frame


def check_inventory(frame: Any, where: str = "inventory") -> Any:
    """Check a table of inventory rows and return it tidy.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns `COLUMNS`, of which some may be missing; row k stands in line k + 2 of its file.
    where : str
        Named in errors.

    Returns
    -------
    pandas.DataFrame
        All of `COLUMNS`; text is stripped, ``gas`` upper-case, ``value`` and ``uncertainty`` are float. A category
        that means the whole is ``total``.

    Raises
    ------
    FormatError
        Columns missing, an empty gas or category, a period that is no time.
    SchemaError
        Two rows for the same region, period, gas, category and terminology.
    RangeError
        A value that is not finite, or an uncertainty that is no number or not between 0 and 3.
    UnitError
        A unit that is no mass (a year).
    """
    import pandas as pd

    missing = [c for c in COLUMNS if c not in frame.columns and c not in _OPTIONAL]
    if missing:
        raise FormatError(
            f"{where}: inventory lacks column {', '.join(missing)}; found {', '.join(map(str, frame.columns))}"
        )
    line = 2 + frame.attrs.get("above", 0)  # of the file, of the first row
    frame = frame.assign(**{c: d for c, d in _OPTIONAL.items() if c not in frame.columns})
    for column in set(COLUMNS) - {"value", "uncertainty"}:
        frame[column] = frame[column].map(lambda v: "" if pd.isna(v) else str(v).strip())
    frame["gas"] = [normal(gas_name(g)).upper() for g in frame["gas"]]  # CO₂ is CO2
    frame["category"] = [
        "total" if c.casefold() == "total" else dotted(whole_name(c)) for c in frame["category"]
    ]
    frame["period"] = [re.sub(r"^(\d{4})\s*年$", r"\1", p) for p in frame["period"]]
    frame["value"] = frame["value"].map(lambda v: ungrouped(v) if isinstance(v, str) else v)
    shares = frame["uncertainty"] = frame["uncertainty"].map(_share)
    for column in ("value", "uncertainty"):
        frame[column] = pd.to_numeric(frame[column], errors="coerce").astype(float)
    share = frame["uncertainty"]
    lost = share.isna() & shares.map(lambda v: not pd.isna(v) and str(v).strip() != "")
    for error, bad, text in (
        *((FormatError, frame[c] == "", f"{c} is empty") for c in ("region", "gas", "category")),
        (RangeError, ~frame["value"].map(math.isfinite), "value is not a number"),
        (RangeError, lost, "uncertainty is not a number; it is a share such as 0.1 or 10%, empty if unknown"),
        (RangeError, share < 0, "uncertainty below 0"),
        (RangeError, share > 3, "uncertainty is above 3; it is a share (0.1), not percent"),
    ):
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise error(f"{where}: row {row + line}: {text}")
    _refuse_units(frame, where, line)
    for period in frame["period"].unique():
        read_period(period)
    doubled = frame[frame.duplicated(["region", "period", "gas", "category", "terminology"], keep=False)]
    if len(doubled):
        first = doubled.iloc[0]
        raise SchemaError(
            f"{where}: {len(doubled)} rows share region, period, gas, category and terminology "
            f"(first: {first['region']} {first['period']})"
        )
    return frame[list(COLUMNS)]


def _share(value: Any) -> Any:
    """Return a share for percent, other things as they are."""
    found = (
        re.fullmatch(r"\s*([\d.]+(?:[eE][-+]?\d+)?)\s*[%％]\s*", value) if isinstance(value, str) else None
    )
    return float(found.group(1)) / 100.0 if found else value


def _refuse_units(frame: Any, where: str, line: int) -> None:
    """Refuse units that are no mass, and amounts that no region of the world emits."""
    for row, (gas, value, unit) in enumerate(
        zip(frame["gas"], frame["value"], frame["unit"], strict=True), line
    ):
        try:
            kg = abs(value) * mass_factor(unit)
        except UnitError as fault:
            raise UnitError(f"{where}: row {row}: {fault}") from None
        if kg > _LARGEST.get(gas, _LARGEST["CO2"]):
            raise RangeError(
                f"{where}: row {row}: {value:g} {unit} of {gas} is more than the world emits; is the unit off "
                "(t against 1e4 t)?"
            )


def with_provinces(frame: Any, where: str) -> Any:
    """Return an inventory whose provinces go by adcode however they were written; own keys stay.

    Raises
    ------
    SchemaError
        One province in two spellings, with two rows of one period, gas and category.
    """
    out = frame.assign(region=[province_or_own(r) for r in frame["region"]])
    twice = out[out.duplicated(["region", "period", "gas", "category", "terminology"], keep=False)]
    if len(twice):
        first = twice.iloc[0]
        names = dict.fromkeys(frame.loc[twice.index[twice["region"] == first["region"]], "region"])
        raise SchemaError(
            f"{where}: {' and '.join(names)} are one region ({first['region']}), and {first['period']} "
            f"{first['gas']} {first['category']} stands there twice"
        )
    return out


def _plain_unit(unit: str) -> str:
    return unit.strip().replace("/yr", "").replace(" yr-1", "").replace("/a", "").replace(" a-1", "").strip()


def per_year(unit: str) -> bool:
    """Say whether a unit is a mass a year, as against a mass."""
    return _plain_unit(unit) != unit.strip()


def mass_factor(unit: str) -> float:
    """Return kg of a mass unit, written with or without ``yr-1``: Mt is a million tonnes, not a megatesla.

    Raises
    ------
    UnitError
        No mass, or one of two readings: ``mt``, ``104 t`` (was it 10⁴ t?), ``MtC`` beside a column of gases.

    Examples
    --------
    >>> mass_factor("Mt"), mass_factor("10⁴ t"), mass_factor("万吨"), mass_factor("Gg yr-1")
    (1000000000.0, 10000000.0, 10000000.0, 1000000.0)
    """
    tonnes = scale(_plain_unit(unit), MASS)
    if tonnes is None:
        raise UnitError(
            f"unit {unit!r} is no mass; write t, kt, Mt, Tg, 万吨 or 1e4 t, without the gas: it has a column of its "
            "own, and carbon is the gas C"
        )
    return tonnes * 1e3


def masses(values: Iterable[float], units: Iterable[object], where: str, rows: Iterable[int]) -> list[float]:
    """Return kg of amounts with their units, NaN where there is none; an error names its row.

    Raises
    ------
    UnitError
        See `mass_factor`.
    """
    out = []
    for value, unit, row in zip(values, units, rows, strict=True):
        try:
            out.append(value * mass_factor(str(unit)) if math.isfinite(value) else value)
        except UnitError as fault:
            raise UnitError(f"{where}: row {row}: {fault}") from None
    return out


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
    return value * (mass_factor(unit) / mass / SECONDS_PER_YEAR)
