"""CO2 factors of electricity: averages over provinces, and a network of provinces solved by conservation.

Four quantities share a name and are kept apart: *average* (all electricity consumed), *market-excluded* (without
non-fossil electricity that was traded), *fossil* (fossil generation alone), *footprint* (life cycle, CO2e).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, RangeError, SchemaError
from obsnet.reading import door
from obsnet.typing import Floats

__all__ = [
    "NetworkFactors",
    "consumption_average",
    "consumption_average_of_file",
    "network_factors",
    "read_network",
]

_SUMS = {"total", "sum", "year", "annual", "合计", "全年", "累计", "总计"}
_KINDS = ("average", "market-excluded", "fossil", "footprint")


@dataclass(frozen=True, eq=False)
class NetworkFactors:
    """Factors of a network of provinces.

    Parameters
    ----------
    average : ndarray, shape (regions,)
        t CO2 a MWh consumed (= kg/kWh).
    fossil : ndarray, shape (regions,)
        t CO2 a MWh of fossil generation; NaN where there is none.
    market_excluded : float
        Emission of the whole network over its consumption less traded non-fossil electricity.
    consumption : ndarray, shape (regions,)
        MWh: generation and imports less exports.
    residual : float
        Sum of consumption x factor over emissions (with those of imports from outside), less 1: conservation.
    """

    average: Floats
    fossil: Floats
    market_excluded: float
    consumption: Floats
    residual: float


def network_factors(
    generation: Floats,
    emission: Floats,
    flow: Floats,
    *,
    fossil_generation: Floats | None = None,
    traded_nonfossil: Floats | None = None,
    imports: Floats | None = None,
    import_factor: Floats | float = 0.0,
) -> NetworkFactors:
    """Solve the consumption factors of provinces that exchange electricity.

    Parameters
    ----------
    generation, emission : ndarray, shape (regions,)
        MWh generated and t CO2 emitted by it.
    flow : ndarray, shape (regions, regions)
        MWh sent from row to column.
    fossil_generation, traded_nonfossil : ndarray, optional
        MWh; part of generation, and non-fossil electricity sold on the market.
    imports, import_factor : ndarray, optional
        MWh from outside the network and its t CO2 a MWh.

    Raises
    ------
    RangeError
        Negative amounts, a province that sends more than it has, fossil generation beyond all generation.
    SchemaError
        Shapes differ.

    Notes
    -----
    Electricity in a province is one mix: ``e_i (G_i + sum_j T_ji + M_i) = C_i + sum_j T_ji e_j + M_i m``, a linear
    system. What a province consumes carries ``e_i``; the sum of consumption x factor is the sum of emissions.

    Examples
    --------
    >>> made = network_factors(np.array([100.0, 100.0]), np.array([90.0, 0.0]), np.array([[0.0, 50.0], [0.0, 0.0]]))
    >>> made.average.round(3).tolist()
    [0.9, 0.3]
    """
    g, c, t = (np.asarray(a, dtype=np.float64) for a in (generation, emission, flow))
    n = g.size
    if g.shape != (n,) or c.shape != (n,) or t.shape != (n, n):
        raise SchemaError(f"generation {g.shape}, emission {c.shape} and flow {t.shape} do not fit together")
    m = np.zeros(n) if imports is None else np.asarray(imports, dtype=np.float64)
    outside = np.broadcast_to(np.asarray(import_factor, dtype=np.float64), (n,))
    t = np.where(np.eye(n, dtype=bool), 0.0, t)
    for name, values in (("generation", g), ("emission", c), ("flow", t), ("imports", m)):
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise RangeError(f"{name} must not be negative or missing, found {np.nanmin(values):g}")
    supply = g + t.sum(axis=0) + m
    consumption = supply - t.sum(axis=1)
    if (supply <= 0).any() or (consumption < -1e-9 * supply).any():
        worst = int(np.argmin(consumption))
        raise RangeError(
            f"region number {worst} sends {t.sum(axis=1)[worst]:g} MWh and has {supply[worst]:g}"
        )
    average = np.asarray(np.linalg.solve(np.diag(supply) - t.T, c + m * outside), dtype=np.float64)
    fossil = np.full(n, np.nan)
    if fossil_generation is not None:
        f = np.asarray(fossil_generation, dtype=np.float64)
        if (f > g * (1 + 1e-9)).any() or (f < 0).any():
            raise RangeError("fossil generation must lie between 0 and all generation")
        fossil = np.asarray(np.where(f > 0, c / np.where(f > 0, f, 1.0), np.nan), dtype=np.float64)
    traded = 0.0 if traded_nonfossil is None else float(np.sum(traded_nonfossil))
    total = float((c + m * outside).sum())
    if traded >= consumption.sum():
        raise RangeError(
            f"traded non-fossil electricity ({traded:g} MWh) is not less than consumption ({consumption.sum():g})"
        )
    residual = float((consumption * average).sum() / total - 1.0) if total else 0.0
    return NetworkFactors(average, fossil, total / (consumption.sum() - traded), consumption, residual)


@door("a network")
def read_network(provinces: str | Path, flows: str | Path | None = None) -> tuple[list[str], dict[str, Any]]:
    """Read a network: ``region, generation, emission`` and, if there, ``fossil_generation, traded_nonfossil``; flows.

    Parameters
    ----------
    provinces : path
        Amounts in MWh and t CO2; headings in either language.
    flows : path, optional
        ``from, to, value`` in MWh.

    Returns
    -------
    regions : list of str
        Adcodes.
    amounts : dict
        Arguments of `network_factors`.
    """
    from obsnet.inventory.books import read_rows
    from obsnet.inventory.words import find_region

    optional = ("fossil_generation", "traded_nonfossil")
    amounts = ("generation", "emission")
    table = read_rows(provinces, ("region", *amounts), optional, numbers=(*amounts, *optional))
    regions = [find_region(r) for r in table["region"]]
    if len(set(regions)) != len(regions):
        again = sorted({r for r in regions if regions.count(r) > 1})
        raise SchemaError(f"{provinces}: {', '.join(again)} has several rows")
    found: dict[str, Any] = {c: table[c].to_numpy(float) for c in (*amounts, *optional) if c in table}
    flow = np.zeros((len(regions), len(regions)))
    if flows is not None:
        moves = read_rows(flows, ("from", "to", "value"), numbers=("value",))
        for start, end, value in zip(moves["from"], moves["to"], moves["value"], strict=True):
            ends = [find_region(start), find_region(end)]
            lost = [r for r in ends if r not in regions]
            if lost:
                raise FormatError(f"{flows}: {lost[0]} has no row in {provinces}")
            flow[regions.index(ends[0]), regions.index(ends[1])] += value
    return regions, {**found, "flow": flow}


@dataclass(frozen=True, eq=False)
class Averaged:
    """A consumption-weighted average of provincial factors.

    Parameters
    ----------
    value : float
        kg CO2/kWh.
    kind, year : str
        Which quantity, of which year.
    table : pandas.DataFrame
        ``region, name, consumption, factor, share``; consumption in 1e8 kWh.
    nation : float
        The announced factor of the nation of the same kind and year; NaN where there is none.
    notes : tuple of str
        Regions left out, months missing, the year chosen.
    """

    value: float
    kind: str
    year: str
    table: Any
    nation: float
    notes: tuple[str, ...]


def consumption_average(
    consumption: Any, *, year: int | str | None = None, kind: str = "average"
) -> Averaged:
    """Average the announced provincial factors by consumption.

    Parameters
    ----------
    consumption : pandas.DataFrame
        ``region`` (any spelling), ``value`` (1e8 kWh), and, if there, ``month`` and ``period`` (year).
    year : int, optional
        Of the factors; by default the year of the consumption where the table says it, else the latest announced.
    kind : str
        Which quantity; provinces are announced for ``average`` only.

    Raises
    ------
    FormatError
        No provincial factors of that kind and year, or no region with one.
    RangeError
        Negative or missing consumption.
    """
    import pandas as pd

    from obsnet.inventory.factors.table import builtin_factors
    from obsnet.inventory.words import NATION, find_region
    from obsnet.regions import PROVINCES

    if kind not in _KINDS:
        raise FormatError(f"no electricity factor {kind!r}; there are {', '.join(_KINDS)}")
    factors = builtin_factors()
    factors = factors[factors["quantity"] == f"electricity {kind}"]
    own = factors[factors["region"].isin(PROVINCES)]
    announced = sorted({str(y) for y in own["year"]})
    if not announced:
        raise FormatError(
            f"no province has an announced factor {kind!r}; only the average is announced by province"
        )
    frame = pd.DataFrame(consumption).copy()
    frame["region"] = [find_region(r) for r in frame["region"]]
    notes: list[str] = []
    frame, chosen, said = _of_year(frame, year, announced)
    notes += said
    frame, said = _whole(frame)
    notes += said + _months(frame)
    if (frame["region"] == NATION).any():
        notes.append("rows of the whole nation are left out: provinces are added up")
    total = frame[frame["region"] != NATION].groupby("region")["value"].sum()
    value = own[own["year"].astype(str) == chosen].set_index("region")["value"]
    without = [r for r in total.index if r not in value.index]
    if without:
        names = ", ".join(PROVINCES[r][0] for r in without)
        notes.append(
            f"no announced factor, left out: {names} ({total[without].sum() / total.sum():.2%} of consumption)"
        )
    absent = [PROVINCES[r][0] for r in value.index if r not in total.index]
    if absent:
        notes.append(f"no consumption given for {len(absent)} of {len(value)} provinces: {', '.join(absent)}")
    used = [r for r in total.index if r in value.index and total[r] > 0]
    if not used:
        raise FormatError("no region of the consumption table has an announced factor")
    table = pd.DataFrame(
        {
            "region": used,
            "name": [PROVINCES[r][0] for r in used],
            "consumption": total[used].to_numpy(),
            "factor": value[used].to_numpy(),
            "share": (total[used] / total[used].sum()).to_numpy(),
        }
    )
    nation = factors[(factors["region"] == "China") & (factors["year"].astype(str) == chosen)]["value"]
    mean = float((table["share"] * table["factor"]).sum())
    return Averaged(
        mean, kind, chosen, table, float(nation.iloc[0]) if len(nation) else float("nan"), tuple(notes)
    )


@door("consumption")
def consumption_average_of_file(
    path: str | Path, *, year: int | str | None = None, kind: str = "average"
) -> Averaged:
    """Average by the consumption in a file: ``region, month, value`` in 1e8 kWh, headings in either language."""
    from obsnet.inventory.books import read_rows

    table = read_rows(path, ("region", "value"), ("month", "period", "unit"), numbers=("value",))
    if "unit" in table:
        scale = {
            "": 1.0,
            "1e8 kWh": 1.0,
            "亿千瓦时": 1.0,
            "亿kWh": 1.0,
            "亿度": 1.0,
            "万千瓦时": 1e-4,
            "MWh": 1e-5,
            "GWh": 1e-2,
            "TWh": 10.0,
        }
        odd = sorted(set(table["unit"]) - set(scale))
        if odd:
            raise FormatError(f"{path}: unit {odd[0]!r}; known: {', '.join(u for u in scale if u)}")
        table["value"] *= table["unit"].map(scale)
    found = consumption_average(table, year=year, kind=kind)
    return Averaged(
        found.value, found.kind, found.year, found.table, found.nation, (*table.attrs["notes"], *found.notes)
    )


def _of_year(frame: Any, year: int | str | None, announced: list[str]) -> tuple[Any, str, list[str]]:
    """Keep the rows of one year, and say which year of factors goes with them."""
    import re

    text = frame["period"] if "period" in frame else frame.get("month")
    years = [] if text is None else [re.search(r"(19|20)\d\d", str(t)) for t in text]
    stated = sorted({m.group() for m in years if m})
    if stated and not all(years):
        raise FormatError("some rows state their year and some do not; state it in all or in none")
    if year is None and len(stated) > 1:
        raise FormatError(f"consumption of several years ({', '.join(stated)}); say which with --year")
    wanted = str(year) if year is not None else (stated[0] if stated else announced[-1])
    if wanted not in announced:
        raise FormatError(
            f"no provincial factors of {wanted}; announced: {', '.join(announced)}; say which with --year"
        )
    if not stated:
        return frame, wanted, [f"the table states no year: factors of {wanted}"] if year is None else []
    if wanted not in stated:
        return frame, wanted, [f"consumption is of {', '.join(stated)}, factors of {wanted}"]
    keep = [m is not None and m.group() == wanted for m in years]
    return frame[keep].reset_index(drop=True), wanted, []


def _whole(frame: Any) -> tuple[Any, list[str]]:
    """Leave out, and say, rows without a value and sums beside their months; refuse negative values."""
    notes = []
    empty = frame["value"].isna()
    if empty.any():
        notes.append(
            f"{int(empty.sum())} rows without a value are left out (first: {frame[empty]['region'].iloc[0]})"
        )
    frame = frame[~empty]
    if (frame["value"] < 0).any():
        row = frame[frame["value"] < 0].iloc[0]
        raise RangeError(f"consumption of {row['region']} is {row['value']:g}, below 0")
    if "month" in frame:
        sums = frame["month"].astype(str).str.strip().str.casefold().isin(_SUMS)
        if sums.any() and not sums.all():
            notes.append(f"{int(sums.sum())} rows are sums over the year beside months, left out")
            frame = frame[~sums]
    return frame.reset_index(drop=True), notes


def _months(frame: Any) -> list[str]:
    """Refuse a month given twice; say where regions have different months."""
    if "month" not in frame or not frame["month"].astype(str).str.strip().any():
        return []
    twice = frame[frame.duplicated(["region", "month"])]
    if len(twice):
        raise SchemaError(f"{twice['region'].iloc[0]} has month {twice['month'].iloc[0]!r} twice")
    counts = frame.groupby("region")["month"].nunique()
    usual = int(counts.mode().iloc[0])
    odd = counts[counts != usual]
    return [f"{region} has {n} months, most have {usual}" for region, n in odd.items()]
