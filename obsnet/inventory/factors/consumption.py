"""Averages of announced electricity factors over provinces, weighted by consumption.

Four quantities share a name and are kept apart: *average* (all electricity consumed), *market-excluded* (without
non-fossil electricity that was traded), *fossil* (fossil generation alone), *footprint* (life cycle, CO2e).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from obsnet.errors import ConfigError, FormatError, RangeError, SchemaError
from obsnet.inventory.factors.consumed_months import Running, each_month_once, english_name, with_running_sums
from obsnet.inventory.months import read_months, year_of
from obsnet.inventory.notes import note
from obsnet.reading import door

__all__ = ["Averaged", "Running", "consumption_average", "consumption_average_of_file"]

LARGEST = 2e4  # 1e8 kWh a year: a fifth of the nation's in 2024, and more than twice any province's
_ODD_MONTH = 3.0  # times the median month of a region
_ODD_REGION = 6.0  # times the median of consumption over CO2; provinces differ by three
_KINDS = ("average", "market-excluded", "fossil", "footprint")


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
    consumption: Any, *, year: int | str | None = None, kind: str = "average", running: Running = "ask"
) -> Averaged:
    """Average the announced provincial factors by consumption.

    Parameters
    ----------
    consumption : pandas.DataFrame
        ``region`` (any spelling), ``value`` (1e8 kWh), and, if there, ``month`` (see `obsnet.inventory.months`)
        and ``period`` (year). Rows without a value, of the nation, and of groups of provinces are left out and said.
    year : int, optional
        Of the factors; by default the year of the consumption where the table says it, else the latest announced.
    kind : str
        Which quantity; provinces are announced for ``average`` only.
    running : {"ask", "yes", "no"}
        Whether a month's value is the sum since January: values that rise every month to several times the first are
        asked about.

    Raises
    ------
    ConfigError
        Values that look like running sums.
    FormatError
        No provincial factors of that kind and year, or no region with one; a month that cannot be read.
    RangeError
        Negative consumption, or more than any province has: a unit is off. A total (``合计``) beside some months that
        they do not add up to: it may be of them or of the year.
    SchemaError
        A month of a region twice.
    """
    import pandas as pd

    from obsnet.inventory.factors.table import builtin_factors
    from obsnet.inventory.words import NATION, find_region, is_group
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
    frame = pd.DataFrame(consumption).copy().reset_index(drop=True)
    if "month" not in frame:
        frame["month"] = frame.get("period", "")
    frame, notes = _without_gaps(frame)
    groups = [is_group(r) for r in frame["region"]]
    if any(groups):
        names = ", ".join(dict.fromkeys(frame[groups]["region"]))
        notes.append(note("groups", names=names))
        frame = frame[[not g for g in groups]].reset_index(drop=True)
    frame["region"] = [find_region(r) for r in frame["region"]]
    frame, chosen, said = _of_year(frame, year, announced)
    notes += said
    frame["months"] = [read_months(t) for t in frame["month"]]
    frame, said = with_running_sums(frame, running)
    notes += said
    frame, said = each_month_once(frame)
    notes += said
    if (frame["region"] == NATION).any():
        notes.append(note("nation"))
    notes += _odd_months(frame) + _odd_regions(frame)
    total = frame[frame["region"] != NATION].groupby("region")["value"].sum()
    if len(total) and total.max() > LARGEST:
        most = str(total.idxmax())
        raise RangeError(
            f"{PROVINCES[most][0]} consumes {total.max():.4g} x 1e8 kWh a year, no province consumes {LARGEST:.0f}; "
            "is a unit off (1e4 kWh against 1e8 kWh)? A column unit states it"
        )
    value = own[own["year"].astype(str) == chosen].set_index("region")["value"]
    without = [r for r in total.index if r not in value.index]
    if without:
        names = ", ".join(PROVINCES[r][0] for r in without)
        notes.append(note("not announced", regions=names, share=f"{total[without].sum() / total.sum():.2%}"))
    absent = [PROVINCES[r][0] for r in value.index if r not in total.index]
    if absent:
        notes.append(note("absent", n=len(absent), all=len(value), regions=", ".join(absent)))
    none = [english_name(r) for r in total.index if total[r] == 0.0]
    if none:
        notes.append(note("zero", regions=", ".join(none)))
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
    path: str | Path, *, year: int | str | None = None, kind: str = "average", running: Running = "ask"
) -> Averaged:
    """Average by the consumption in a file; see `obsnet.inventory.factors.weights` for its layouts."""
    from obsnet.inventory.factors.weights import read_weights

    table = read_weights(path, year)
    try:
        found = consumption_average(table, year=year, kind=kind, running=running)
    except (ConfigError, FormatError, RangeError, SchemaError) as fault:
        raise type(fault)(f"{path}: {fault}") from None
    return replace(found, notes=(*table.attrs["notes"], *found.notes))


def _of_year(frame: Any, year: int | str | None, announced: list[str]) -> tuple[Any, str, list[str]]:
    """Keep the rows of one year, and say which year of factors goes with them."""
    years = [year_of(t) for t in frame["period" if "period" in frame else "month"]]
    stated = sorted({y for y in years if y})
    notes = []
    if stated and not all(years):
        if len(stated) > 1:
            raise FormatError("some rows state their year and some do not; state it in all or in none")
        notes.append(note("some years", n=years.count(""), year=stated[0]))
        years = [stated[0]] * len(years)
    if year is None and len(stated) > 1:
        raise FormatError(f"consumption of several years ({', '.join(stated)}); say which with --year")
    wanted = str(year) if year is not None else (stated[0] if stated else announced[-1])
    if wanted not in announced:
        raise FormatError(
            f"no provincial factors of {wanted}; announced: {', '.join(announced)}; say which with --year"
        )
    if not stated:
        return frame, wanted, [note("no year", year=wanted)] if year is None else []
    if wanted not in stated:
        if len(stated) > 1:
            raise FormatError(f"consumption of several years ({', '.join(stated)}), none of them {wanted}")
        return frame, wanted, [*notes, note("other year", year=stated[0], other=wanted)]
    return frame[[y == wanted for y in years]].reset_index(drop=True), wanted, notes


def _without_gaps(frame: Any) -> tuple[Any, list[str]]:
    """Leave out, and say, rows without a value; refuse negative values."""
    empty = frame["value"].isna()
    first = frame[empty]["region"].iloc[0] if empty.any() else ""
    notes = [note("empty", n=int(empty.sum()), region=first)] if first else []
    frame = frame[~empty]
    if (frame["value"] < 0).any():
        row = frame[frame["value"] < 0].iloc[0]
        raise RangeError(f"consumption of {row['region']} is {row['value']:g}, below 0")
    return frame.reset_index(drop=True), notes


def _odd_months(frame: Any) -> list[str]:
    """Name single months that are far from the median month of their region."""
    out = []
    single = frame[[len(m) == 1 for m in frame["months"]]]
    for region, group in single.groupby("region"):
        middle = float(group["value"].median())
        odd = group[(group["value"] > _ODD_MONTH * middle) | (group["value"] * _ODD_MONTH < middle)]
        if len(group) >= 4 and len(odd):
            row = odd.iloc[0]
            out.append(
                note(
                    "odd month",
                    region=english_name(str(region)),
                    month=min(row["months"]),
                    value=f"{row['value']:g}",
                    middle=f"{middle:g}",
                )
            )
    return out


def _odd_regions(frame: Any) -> list[str]:
    """Name provinces whose consumption is far from what their CO2 lets expect."""
    from obsnet.inventory.table import builtin

    emission = builtin("ceads-2019").set_index("region")["value"]
    total = frame[frame["region"].isin(emission.index)].groupby("region")["value"].sum()
    total = total[total > 0]
    if len(total) < 5:
        return []
    ratio = total / emission[total.index].astype(float)
    times = ratio / ratio.median()
    odd = times[(times > _ODD_REGION) | (times < 1.0 / _ODD_REGION)]
    return [note("odd region", region=english_name(str(r)), times=f"{t:.2g}") for r, t in odd.items()]
