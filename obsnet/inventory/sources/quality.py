"""Breaks and zeroes of annual series, without drowning them in false alarms.

The yardstick is what all regions do: the change of a logarithm from year to year, less the median change of all
regions in that year, over its robust spread (1.4826 x median absolute value). A break is a change beyond `limit`
spreads; a break that turns back within two years is a spike. A zero is a value below a tenth of the usual of its
series that has no business being small.

Measured (tests/obsnet/inventory/test_sources.py): on the 450 province-years of CEADs 2005 to 2019, 2 of 420 changes
of totals (Ningxia 2011 and 2017) and 7 numbers of process emissions are flagged, of which three are zeroes or nearly
(Beijing and Shanghai 2017, Yunnan 2019). On made series (scripts/calibrate_quality.py) with normal changes none of
66,000 is, with Student's t of 4 degrees 0.6 %, with spreads of 2 to 15 % by province 1.2 %. A year of one province
times 0.7 or 1.5 is found at least 19 times in 20.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["LIMIT", "flag_series"]

LIMIT = 5.0
_LEAST = 0.15  # smallest change of a logarithm that is worth a flag
_SPREAD = 0.044  # of CEADs' provincial totals, where a file has too few changes to have a spread of its own
_FEW = 30
_NEARLY = 0.1  # of the usual value


def flag_series(series: Any, what: str = "total", *, limit: float = LIMIT, minor: Any = None) -> Any:
    """List breaks, spikes and zeroes of annual series.

    Parameters
    ----------
    series : pandas.DataFrame
        Years by regions; NaN where there is nothing.
    what : str
        Name of the quantity, for the table.
    limit : float
        Robust spreads beyond which a change is a break.
    minor : pandas.DataFrame, optional
        Totals of the same shape: a part below 0.2 % of its total is no matter.

    Returns
    -------
    pandas.DataFrame
        ``region, period, what, kind`` (``zero``, ``break``, ``spike``, ``negative``), ``value, before, change`` (of
        the logarithm, less the median of the year), ``spreads``; worst first. ``attrs``: ``changes`` and ``spread``.
    """
    import pandas as pd

    frame = series.sort_index()
    values = frame.to_numpy(dtype=np.float64)
    years = [int(y) for y in frame.index]
    usual = _usual(values)
    if minor is not None:
        whole = np.nanmedian(minor.sort_index().to_numpy(dtype=np.float64), axis=0)
        counts = usual > 0.002 * whole[None, :]
    else:
        counts = usual > 0.0
    zero = np.isfinite(values) & (values < _NEARLY * usual) & counts & (values >= 0.0)
    negative = np.isfinite(values) & (values < 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where((values > 0.0) & ~zero, np.log(values), np.nan)
    steps = np.diff(logs, axis=0)
    consecutive = np.diff(years) == 1
    steps[~consecutive] = np.nan
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a year without any change
        common = (
            np.nanmedian(steps, axis=1, keepdims=True) if steps.shape[1] >= 5 else np.zeros((len(steps), 1))
        )
    own = steps - np.nan_to_num(common)
    finite = own[np.isfinite(own)]
    spread = 1.4826 * float(np.median(np.abs(finite))) if finite.size >= _FEW else _SPREAD
    spread = max(spread, 1e-6)
    out = []
    for j, region in enumerate(frame.columns):
        for i, year in enumerate(years):
            before = values[i - 1, j] if i else np.nan
            if negative[i, j] or zero[i, j]:
                kind = "negative" if negative[i, j] else "zero"
                out.append((region, year, what, kind, values[i, j], before, np.nan, np.inf))
            elif i and counts[i, j] and np.isfinite(own[i - 1, j]):
                step = own[i - 1, j]
                if abs(step) > limit * spread and abs(step) > _LEAST:
                    later = own[i : i + 2, j]
                    back = (
                        np.isfinite(later)
                        & (np.sign(later) == -np.sign(step))
                        & (np.abs(later) > 0.5 * abs(step))
                    )
                    kind = "spike" if back.any() else "break"
                    out.append((region, year, what, kind, values[i, j], before, step, abs(step) / spread))
    names = ["region", "period", "what", "kind", "value", "before", "change", "spreads"]
    table = (
        pd.DataFrame(out, columns=names)
        .sort_values("spreads", ascending=False, kind="stable")
        .reset_index(drop=True)
    )
    table.attrs = {"changes": int(finite.size), "spread": spread}
    return table


def _usual(values: Any) -> Any:
    """Return the median of four years before and after each value, without itself; years by regions."""
    import warnings

    positive = np.where(np.isfinite(values) & (values > 0.0), values, np.nan)
    out = np.zeros(values.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a region with nothing around
        for i in range(len(values)):
            near = [k for k in range(max(0, i - 4), min(len(values), i + 5)) if k != i]
            out[i] = np.nan_to_num(np.nanmedian(positive[near], axis=0)) if near else 0.0
    return out
