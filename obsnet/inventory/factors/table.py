"""The factor database: one row a factor, with its gas, fuel or activity, region, year, unit, range, source and page.

Rows of the package are in ``obsnet/inventory/tables/factors_*.csv``. A user's file has the same columns (``source``,
``page``, ``checked`` may be empty; Chinese headings are understood) and goes before the package's editions.

``uncertainty`` is a share (0.05, not 5) and ``meaning`` says of what: ``95% half-width`` or ``sd``. Where it is
empty and ``low`` and ``high`` are given, these are the ends of a 95 % interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from obsnet.errors import FormatError, RangeError, SchemaError, nearest
from obsnet.inventory.factors.fuels import bands, find_fuel, fuels
from obsnet.inventory.packaged import package_rows
from obsnet.inventory.uncertainty.meaning import relative_sd
from obsnet.inventory.words import plain
from obsnet.reading import door

__all__ = [
    "CARBON_TO_CO2",
    "COLUMNS",
    "Factor",
    "builtin_factors",
    "check_factors",
    "conflicts",
    "query",
    "read_factors",
]

CARBON_TO_CO2 = 44.0 / 12.0  # as in the IPCC Guidelines; exact molar masses give 3.6642
COLUMNS = (
    "edition", "quantity", "gas", "item", "region", "year", "value", "unit", "low", "high", "uncertainty", "meaning",
    "source", "page", "checked",
)  # fmt: skip
FAR = 20.0  # times; what mines of two basins give differs tenfold
_TABLES = ("fuel", "electricity", "gwp", "activity", "manure")
_NUMBERS = ("value", "low", "high", "uncertainty")

# Which units a quantity may have, and the number that turns them into the first of them.
_UNITS: dict[str, dict[str, float]] = {
    "ncv": {"GJ/t": 1.0, "GJ/1000 m3": 1.0, "kJ/kg": 1e-3, "MJ/kg": 1.0, "TJ/Gg": 1.0, "PJ/1e4 t": 100.0,
            "kJ/m3": 1e-3, "MJ/m3": 1.0, "PJ/1e8 m3": 10.0, "GJ/1e4 m3": 0.1, "TJ/1e8 m3": 0.01},
    "carbon": {"t C/TJ": 1.0, "kg C/GJ": 1.0, "t C/GJ": 1e3},
    "oxidation": {"1": 1.0, "%": 0.01},
    "co2 per energy": {"kg/TJ": 1.0, "t/TJ": 1e3, "t CO2/TJ": 1e3},
    "effective": {"t CO2/t": 1.0, "t CO2/1000 m3": 1.0, "kg CO2/m3": 1.0},
    "heat": {"t CO2/GJ": 1.0},
    "electricity average": {"kg CO2/kWh": 1.0, "t CO2/MWh": 1.0},
    "electricity market-excluded": {"kg CO2/kWh": 1.0, "t CO2/MWh": 1.0},
    "electricity fossil": {"kg CO2/kWh": 1.0, "t CO2/MWh": 1.0},
    "electricity footprint": {"kg CO2e/kWh": 1.0},
    "gwp100": {"t CO2e/t": 1.0},
    "emission": {"t CO2/t": 1.0, "kg CH4/head": 1.0, "kg CH4/ha": 1.0, "m3 CH4/t": 1.0, "kg CH4/t": 1.0},
    "methane correction": {"1": 1.0},
    "degradable carbon": {"t C/t": 1.0},
    "dissimilated share": {"1": 1.0},
    "decay rate": {"1/a": 1.0},
    "methane capacity": {"kg CH4/kg BOD": 1.0, "kg CH4/kg COD": 1.0},
    "volatile solids": {"kg VS/1000 kg/d": 1.0},
    "nitrogen excreted": {"kg N/1000 kg/d": 1.0},
    "animal mass": {"kg": 1.0},
    "manure share": {"1": 1.0},
    "manure methane": {"g CH4/kg VS": 1.0},
    "manure N2O": {"kg N2O-N/kg N": 1.0},
    "manure volatilised": {"1": 1.0},
    "manure leached": {"1": 1.0},
    "indirect N2O": {"kg N2O-N/kg N": 1.0},
}  # fmt: skip
_BY_VOLUME = {
    "GJ/1000 m3",
    "kJ/m3",
    "MJ/m3",
    "PJ/1e8 m3",
    "GJ/1e4 m3",
    "TJ/1e8 m3",
    "t CO2/1000 m3",
    "kg CO2/m3",
}


@dataclass(frozen=True)
class Factor:
    """One row, its value in the unit that calculations use.

    Parameters
    ----------
    edition, quantity, gas, item, region, year, unit, source, page : str
        As in the table; ``year`` is empty where it is of no year.
    value : float
        In `unit`.
    sd : float
        Relative standard deviation; NaN where none is stated.
    """

    edition: str
    quantity: str
    gas: str
    item: str
    region: str
    year: str
    value: float
    unit: str
    sd: float
    source: str
    page: str

    @property
    def key(self) -> str:
        """What a result prints to say which row it used."""
        return "/".join(
            p for p in (self.edition, self.quantity, self.gas, self.item, self.region, self.year) if p
        )


@lru_cache(maxsize=1)
def _package() -> Any:
    import pandas as pd

    rows = [row for name in _TABLES for row in package_rows(f"factors_{name}.csv")] + _manure_methane()
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in _NUMBERS:
        frame[column] = [float(v) if v else math.nan for v in frame[column]]
    return check_factors(frame, "the package's factors")


def _manure_methane() -> list[dict[str, str]]:
    """Return the rows of the one table that is a column a climate, as the Guidelines print it."""
    shared = dict.fromkeys(COLUMNS, "") | {
        "edition": "ipcc2019", "quantity": "manure methane", "gas": "CH4", "region": "world", "unit": "g CH4/kg VS",
        "source": "IPCC 2019 Refinement, Volume 4 AFOLU", "page": "Ch 10 Table 10.14",
        "checked": "bonsai_ipcc 0.5.3 (MIT), a transcription; recomputed from its capacities and conversions, see docs",
    }  # fmt: skip
    return [
        shared | {"item": f"{row['item']}, {climate}", "value": value}
        for row in package_rows("manure_methane.csv")
        for climate, value in row.items()
        if climate != "item"
    ]


def builtin_factors() -> Any:
    """Return the package's factors, checked, as a pandas.DataFrame with columns `COLUMNS`."""
    return _package().copy()


@door("a table of factors")
def read_factors(path: str | Path, edition: str | None = None) -> Any:
    """Read and check a factor table of one's own.

    Parameters
    ----------
    path : path
        CSV or workbook with the columns ``quantity, item, value, unit``; the rest of `COLUMNS` may be missing.
    edition : str, optional
        Name of the edition where the file states none; by default the file's name.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`.

    Raises
    ------
    FormatError, RangeError, SchemaError
        See `check_factors`.
    """
    import pandas as pd

    from obsnet.inventory.books import read_rows

    required = ("quantity", "item", "value", "unit")
    frame = read_rows(path, required, [c for c in COLUMNS if c not in required], numbers=_NUMBERS)
    for column in COLUMNS:
        if column not in frame:
            frame[column] = math.nan if column in _NUMBERS else ""
    frame["edition"] = frame["edition"].replace("", edition or Path(path).stem)
    frame["region"] = frame["region"].replace("", "any")
    notes = frame.attrs["notes"]
    out = check_factors(pd.DataFrame(frame[list(COLUMNS)]), str(path))
    _refuse_far(out, str(path))
    out.attrs["notes"] = notes
    return out


def _refuse_far(frame: Any, where: str) -> None:
    """Refuse a factor of one's own that is far from every one of the package: a unit is off."""
    known: dict[tuple[str, str, str], list[float]] = {}
    for row in _package().to_dict("records"):
        what = "" if row["quantity"].startswith("electricity") else row["item"]
        known.setdefault((row["quantity"], what, row["unit"]), []).append(row["value"])
    for i, row in enumerate(frame.to_dict("records")):
        what = "" if row["quantity"].startswith("electricity") else row["item"]
        ours = [v for v in known.get((row["quantity"], what, row["unit"]), ()) if v > 0.0]
        if ours and row["value"] > 0.0 and not min(ours) / FAR <= row["value"] <= max(ours) * FAR:
            raise RangeError(
                f"{where}: row {i + 2} ({row['item']}, {row['quantity']}): {row['value']:g} {row['unit']} is more "
                f"than {FAR:g} times from the package's {min(ours):g} to {max(ours):g}; is the unit off?"
            )


def check_factors(frame: Any, where: str) -> Any:
    """Check units, ranges and derived columns of a factor table; return it with values in the units calculations use.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns `COLUMNS`.
    where : str
        For error texts.

    Raises
    ------
    FormatError
        A quantity, fuel or unit that is not known.
    RangeError
        A value that is no positive number or outside the physical band of its fuel class; a range that does not hold
        the value; an uncertainty in percent; an effective factor that is not the product of its parts.
    SchemaError
        Two rows for one key; an uncertainty without its meaning.
    """
    out = frame.reset_index(drop=True).copy()
    changed: dict[str, list[Any]] = {c: [] for c in ("item", "unit", "value", "low", "high")}
    for i, row in enumerate(out.to_dict("records")):
        place = f"{where}: row {i + 2} ({row['item']}, {row['quantity']})"
        known = _UNITS.get(row["quantity"])
        if known is None:
            raise FormatError(
                f"{where}: row {i + 2}: no quantity {row['quantity']!r}{nearest(row['quantity'], _UNITS)}"
            )
        unit = str(row["unit"]).replace("m³", "m3")
        if unit not in known:
            raise FormatError(f"{place}: unit {row['unit']!r}; known for it: {', '.join(known)}")
        if row["quantity"] in {"ncv", "carbon", "oxidation", "co2 per energy", "effective"}:
            row["item"] = "any fuel" if row["item"] == "any fuel" else find_fuel(row["item"]).name
        for column in ("value", "low", "high"):
            row[column] = float(row[column]) * known[unit]
        row["unit"] = _standard_unit(row["quantity"], unit)
        _check_row(row, place)
        for column, cells in changed.items():
            cells.append(row[column])
    out = out.assign(**changed)
    key = ["edition", "quantity", "gas", "item", "region", "year", "unit"]
    twice = out[out.duplicated(key, keep=False)]
    if len(twice):
        first = twice.iloc[0]
        raise SchemaError(
            f"{where}: {len(twice)} rows share edition, quantity, gas, item, region and year "
            f"(first: {first['edition']}, {first['quantity']}, {first['item']})"
        )
    _recompute(out, where)
    return out


def _standard_unit(quantity: str, unit: str) -> str:
    if quantity in {"ncv", "effective"}:
        base = "GJ" if quantity == "ncv" else "t CO2"
        return f"{base}/1000 m3" if unit in _BY_VOLUME else f"{base}/t"
    if quantity in {"emission", "methane capacity"}:
        return unit
    return next(iter(_UNITS[quantity]))


def _check_row(row: dict[str, Any], place: str) -> None:
    value = row["value"]
    if not (math.isfinite(value) and value >= 0.0):
        raise RangeError(f"{place}: value {value} is not a positive number")
    if not (math.isnan(row["low"]) or row["low"] <= value) or not (
        math.isnan(row["high"]) or value <= row["high"]
    ):
        raise RangeError(
            f"{place}: value {value:g} is outside its own range {row['low']:g} to {row['high']:g}"
        )
    if math.isfinite(row["uncertainty"]):
        if row["uncertainty"] < 0 or row["uncertainty"] > 3:
            raise RangeError(
                f"{place}: uncertainty {row['uncertainty']:g}; it is a share (0.05), not percent"
            )
        relative_sd(row["uncertainty"], row["meaning"], place)
    if row["quantity"] == "oxidation" and value > 1.0:
        raise RangeError(f"{place}: an oxidation fraction of {value:g} is above 1; unit '%' for percent")
    if row["quantity"] == "oxidation" and value < 0.5:
        raise RangeError(
            f"{place}: an oxidation fraction of {value:g}; write 0.94 with unit '1', or 94 with '%'"
        )
    if row["item"] in fuels() and fuels()[row["item"]].unit == "t" and row["unit"].endswith("/1000 m3"):
        raise FormatError(
            f"{place}: {row['item']} is counted by the tonne, the factor is by volume; give it per t"
        )
    if row["item"] not in fuels():
        return
    band = bands().get(fuels()[row["item"]].kind)
    if band is None:
        return
    low, high = {
        "ncv": band.ncv,
        "carbon": band.carbon,
        "co2 per energy": tuple(1e3 * CARBON_TO_CO2 * c for c in band.carbon),
        "effective": (0.0, 1e-3 * CARBON_TO_CO2 * band.ncv[1] * band.carbon[1]),
    }.get(row["quantity"], (0.0, math.inf))
    if not low <= value <= high:
        raise RangeError(
            f"{place}: {value:g} {row['unit']} is outside {low:.4g} to {high:.4g}, what the class "
            f"{fuels()[row['item']].kind!r} can be; check the unit and the row"
        )


def _recompute(frame: Any, where: str) -> None:
    """Compare what a table states with what its own rows give: effective = ncv x carbon x oxidation x 44/12."""
    for (edition, item, region, year), group in frame.groupby(
        ["edition", "item", "region", "year"], sort=False
    ):
        have = {r["quantity"]: r["value"] for r in group.to_dict("records")}
        what = f"{where}: {edition}, {item} {region} {year}".rstrip()
        energy = 1e3 * CARBON_TO_CO2 * have.get("carbon", math.nan)
        if "carbon" in have and "co2 per energy" in have:
            _same(have["co2 per energy"], energy, f"{what}: CO2 per energy", "carbon x 44/12")
        if {"ncv", "carbon", "effective"} <= set(have):
            product = 1e-6 * have["ncv"] * energy * have.get("oxidation", 1.0)
            _same(have["effective"], product, f"{what}: effective factor", "ncv x carbon x oxidation x 44/12")


def _same(stated: float, computed: float, what: str, how: str) -> None:
    if abs(stated - computed) > 0.005 * computed:
        raise RangeError(
            f"{what} is stated as {stated:g}, {how} gives {computed:.4g} ({stated / computed - 1:+.1%})"
        )


def factor_of(row: dict[str, Any]) -> Factor:
    """Return a row of a checked table as a `Factor`."""
    sd = math.nan
    if math.isfinite(row["uncertainty"]):
        sd = relative_sd(row["uncertainty"], row["meaning"])
    elif math.isfinite(row["low"]) and math.isfinite(row["high"]) and row["value"] > 0:
        sd = relative_sd((row["high"] - row["low"]) / (2.0 * row["value"]), "95% half-width")
    text = {
        k: str(row[k])
        for k in ("edition", "quantity", "gas", "item", "region", "year", "unit", "source", "page")
    }
    return Factor(value=float(row["value"]), sd=sd, **text)


def query(
    frame: Any,
    *,
    item: str | None = None,
    quantity: str | None = None,
    region: str | None = None,
    year: str | int | None = None,
    edition: str | None = None,
    gas: str | None = None,
) -> Any:
    """Return the rows that fit; texts match as parts, names of fuels and provinces in either language.

    Raises
    ------
    FormatError
        Nothing fits; says what there is.
    """
    from obsnet.errors import RegionError
    from obsnet.inventory.words import NATION, find_region

    out = frame
    if item is not None:
        try:
            out = out[out["item"] == find_fuel(item).name]
        except FormatError:
            named = {
                r["factor"]
                for r in package_rows("activities.csv")
                if plain(item) in map(plain, (r["item"], r["zh"], *r["other names"].split(";")))
            }
            part = out["item"].str.contains(item, case=False, regex=False)
            for name in named:
                part |= out["item"].str.startswith(name)
            out = out[part]
    if region is not None:
        try:
            code = find_region(region)
            out = out[out["region"] == ("China" if code == NATION else code)]
        except RegionError:
            out = out[out["region"].str.contains(region, case=False, regex=False)]
    for column, wanted in (("quantity", quantity), ("edition", edition)):
        if wanted is not None:
            out = out[out[column].str.contains(wanted, case=False, regex=False)]
    if gas is not None:
        out = out[out["gas"].str.upper() == gas.upper()]
    if year is not None:
        out = out[out["year"].astype(str) == str(year)]
    if out.empty:
        raise FormatError(f"no factor fits; editions: {', '.join(sorted(set(frame['edition'])))}; "
                          f"quantities: {', '.join(sorted(set(frame['quantity'])))}")  # fmt: skip
    return out.reset_index(drop=True)


def conflicts(frame: Any, tolerance: float = 0.05) -> Any:
    """List fuels and activities whose editions differ: lowest and highest value, their editions, the spread.

    Parameters
    ----------
    frame : pandas.DataFrame
        Checked factors.
    tolerance : float
        Spread over the mean below which editions agree.

    Returns
    -------
    pandas.DataFrame
        Columns ``quantity, item, gas, unit, lowest, lowest_edition, highest, highest_edition, spread``, widest
        first. Fuels are compared by what counts: t CO2 a tonne (or 1000 m3) where an edition gives all parts.
    """
    import pandas as pd

    rows = [*frame.to_dict("records"), *_effective_rows(frame)]
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if row["quantity"].startswith("electricity"):
            continue  # years and regions differ, as they should
        groups.setdefault((row["quantity"], row["item"], row["gas"], row["unit"]), []).append(row)
    out = []
    for (quantity, item, gas, unit), found in groups.items():
        if len({r["edition"] for r in found}) < 2:
            continue
        low, high = min(found, key=lambda r: r["value"]), max(found, key=lambda r: r["value"])
        mean = sum(r["value"] for r in found) / len(found)
        spread = (high["value"] - low["value"]) / mean if mean else 0.0
        if spread > tolerance:
            out.append(
                (
                    quantity,
                    item,
                    gas,
                    unit,
                    low["value"],
                    low["edition"],
                    high["value"],
                    high["edition"],
                    spread,
                )
            )
    names = [
        "quantity",
        "item",
        "gas",
        "unit",
        "lowest",
        "lowest_edition",
        "highest",
        "highest_edition",
        "spread",
    ]
    return pd.DataFrame(out, columns=names).sort_values("spread", ascending=False).reset_index(drop=True)


def _effective_rows(frame: Any) -> list[dict[str, Any]]:
    """Return effective factors of editions that give calorific value and carbon, as rows of the table."""
    out = []
    for (edition, item), group in frame.groupby(["edition", "item"], sort=False):
        have = {r["quantity"]: r for r in group.to_dict("records")}
        if "ncv" not in have or not {"carbon", "co2 per energy"} & set(have) or "effective" in have:
            continue
        energy = (
            have["co2 per energy"]["value"]
            if "co2 per energy" in have
            else 1e3 * CARBON_TO_CO2 * have["carbon"]["value"]
        )
        oxidation = have["oxidation"]["value"] if "oxidation" in have else 1.0
        unit = have["ncv"]["unit"].replace("GJ", "t CO2")
        value = 1e-6 * have["ncv"]["value"] * energy * oxidation
        out.append(
            {
                "edition": edition,
                "quantity": "effective",
                "item": item,
                "gas": "CO2",
                "unit": unit,
                "value": value,
            }
        )
    return out
