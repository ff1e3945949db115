"""Country budgets in the CEOS layout, an experiment of the OCO-2 model intercomparison a system.

Byrne et al. (2023), doi:10.5194/essd-15-963-2023. Columns ``Alpha 3 Code, Year, <experiment> <quantity> (TgCO2)`` and
``… unc (TgCO2)``, one standard deviation over the models of the experiment. The row ``mean`` of a country is of all
its years and has a deviation of its own, which is not what years with independent errors would give.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.crosscheck.systems.estimate import SystemEstimate, refuse_fills
from obsnet.crosscheck.systems.keys import region_keys
from obsnet.errors import FormatError, UnitError, nearest
from obsnet.inventory.period import Period, read_period
from obsnet.reading import door, read_csv

__all__ = ["is_ceos", "read_ceos"]

_COLUMN = re.compile(r"(?P<experiment>\w+) (?P<quantity>\w+)(?P<sd> unc)? \((?P<unit>[^)]*)\)")
_KEY, _YEAR = "Alpha 3 Code", "Year"
# Which part of the unit names whose mass it is.
_SCALE = {"TgCO2": 1.0, "GtCO2": 1e3, "TgC": 44.0095 / 12.011, "PgC": 1e3 * 44.0095 / 12.011}


def is_ceos(head: str) -> bool:
    """Tell from its first line whether a text is of this layout."""
    return _KEY in head and _COLUMN.search(head) is not None


@door("a table of country budgets")
def read_ceos(path: str | Path, system: str, *, quantity: str | None = None) -> list[SystemEstimate]:
    """Read the experiments of a table of country budgets.

    Parameters
    ----------
    path : path
        CSV.
    system : str
        Name in the comparison; experiments are ``system experiment``.
    quantity : str, optional
        ``NCE`` (net, fossil included; the default), ``NBE`` (without fossil), ``dC_loss``.

    Raises
    ------
    FormatError
        Not this layout, no such quantity, rows that cannot be read.
    UnitError
        A unit that does not say whose mass it is.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path}: no such file")
    frame = read_csv(path, dtype={_KEY: str, _YEAR: str}, encoding="utf-8-sig")
    if not {_KEY, _YEAR} <= set(frame.columns):
        raise FormatError(
            f"{path}: lacks the columns {_KEY!r} and {_YEAR!r}; found {', '.join(frame.columns[:6])}"
        )
    columns = {str(c): m for c in frame.columns if (m := _COLUMN.fullmatch(str(c)))}
    quantities = list(dict.fromkeys(m["quantity"] for m in columns.values()))
    wanted = quantity or "NCE"
    if wanted not in quantities:
        raise FormatError(f"{path}: no quantity {wanted!r}{nearest(wanted, quantities)}")
    if frame.duplicated([_KEY, _YEAR]).any():
        row = frame[frame.duplicated([_KEY, _YEAR])].iloc[0]
        raise FormatError(f"{path}: {row[_KEY]} {row[_YEAR]} stands twice")
    years = sorted({y for y in frame[_YEAR] if re.fullmatch(r"(19|20)\d\d", y)})
    labels, periods = _periods(frame[_YEAR], years, str(path))
    keys, notes = region_keys(list(dict.fromkeys(frame[_KEY])))
    made = []
    for column, m in columns.items():
        if m["quantity"] != wanted or m["sd"]:
            continue
        total = _table(frame, column, m["unit"], labels, str(path))
        spread = next((c for c, o in columns.items() if o["sd"] and o.group(1, 2) == m.group(1, 2)), None)
        sd = np.full(total.shape, np.nan)
        if spread is not None:
            sd = _table(frame, spread, columns[spread]["unit"], labels, str(path))
        estimate = SystemEstimate(f"{system} {m['experiment']}", "CO2", wanted, periods, keys, total, sd)
        made.append(replace(estimate, rests_on={"models": "OCO-2 v10 MIP"}, notes=tuple(notes)))
    return made


def _periods(found: Any, years: list[str], where: str) -> tuple[list[str], tuple[Period, ...]]:
    labels = list(years)
    periods = [read_period(y) for y in years]
    odd = sorted(set(found) - set(years) - {"mean"})
    if odd or not years:
        raise FormatError(
            f"{where}: the column {_YEAR!r} holds {', '.join(odd) or 'no year'}; a year or 'mean' is needed"
        )
    if "mean" in set(found):
        if int(years[-1]) - int(years[0]) >= len(years):
            raise FormatError(
                f"{where}: its means are of {', '.join(years)}, with years missing between them, so of no one time; "
                "leave out the rows 'mean'"
            )
        labels.append("mean")
        periods.append(Period(periods[0].start, periods[-1].stop))
    return labels, tuple(periods)


def _table(frame: Any, column: str, unit: str, labels: list[str], where: str) -> Any:
    import pandas as pd

    if unit not in _SCALE:
        raise UnitError(f"{where}: {column!r}: unit {unit!r}; known here: {', '.join(_SCALE)}")
    try:
        values = pd.to_numeric(frame[column])
    except ValueError as error:
        raise FormatError(f"{where}: column {column!r}: {error}") from error
    refuse_fills(values.to_numpy(float), f"{where}: {column!r}")
    wide = frame.assign(value=values).pivot(index=_YEAR, columns=_KEY, values="value")
    return _SCALE[unit] * wide.reindex(index=labels, columns=list(dict.fromkeys(frame[_KEY]))).to_numpy(float)
