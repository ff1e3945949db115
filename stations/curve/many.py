"""Curve fits of records, one or many: from a Dataset, from files, in parallel with memory that stays flat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from obsnet.errors import ObsnetError
from obsnet.work.parallel import map_unordered
from obsnet.work.work import Work
from stations.curve.errors import coefficient_sd, standard_errors
from stations.curve.fit import CurveFit, CurveOptions, fit_curve, in_notes
from stations.record.series import series

__all__ = ["FitSummary", "fit_file", "fit_many", "fit_record", "summarise"]


@dataclass(frozen=True)
class FitSummary:
    """The few numbers of a fit that travel between processes; `error` says why there are none.

    Attributes
    ----------
    name : str
        Of the item that was fitted.
    numbers : dict
        See `summarise`.
    error : str
        Empty where the fit was made.
    """

    name: str
    numbers: dict[str, Any]
    error: str = ""


def fit_record(
    record: xr.Dataset, options: CurveOptions | None = None, *, use: str = "background", pairs: bool = True
) -> CurveFit:
    """Fit the usable values of a record.

    Parameters
    ----------
    record : xarray.Dataset
        Layout of `stations.record.record`.
    options : CurveOptions, optional
        See `stations.curve.fit.fit_curve`.
    use : {"background", "valid", "all"}
        Which rows, see `stations.record.series.series`.
    pairs : bool
        Average flask pairs first.
    """
    data = series(record, use=use, pairs=pairs)
    return fit_curve(data.year, data.value, options)


def summarise(fit: CurveFit, dates: Sequence[float] | np.ndarray | None = None) -> dict[str, Any]:
    """Return the numbers of a fit as plain Python values.

    Parameters
    ----------
    fit : CurveFit
        A fit.
    dates : sequence of float, optional
        Decimal years at which the curves are wanted.

    Returns
    -------
    dict
        ``n, first, last, coefficients, coefficient_sd, timezero, interval_days, polynomial_terms,
        harmonics, gain, rsd_function, rsd_smooth, reduced_chi_square, standard_errors, annual_increase,
        annual_means, amplitudes`` (of whole years), ``notes`` and, with dates, ``dates, function, smooth,
        trend, growth``.
    """
    points = np.floor(365.0 / fit.interval_days)
    whole = {year: mean for year, mean, _, n in fit.annual_means() if n >= points}
    result: dict[str, Any] = {
        "n": int(fit.x.size),
        "first": float(fit.x[0]),
        "last": float(fit.x[-1]),
        "coefficients": fit.coefficients.tolist(),
        "coefficient_sd": coefficient_sd(fit).tolist(),
        "timezero": fit.timezero,
        "interval_days": fit.interval_days,
        "polynomial_terms": fit.options.polynomial_terms,
        "harmonics": fit.options.harmonics,
        "gain": fit.options.gain,
        "noaa_compatible": fit.options.noaa_compatible,
        "rsd_function": fit.rsd_function,
        "rsd_smooth": fit.rsd_smooth,
        "reduced_chi_square": fit.reduced_chi_square,
        "standard_errors": standard_errors(fit),
        "annual_increase": fit.annual_increase(),
        "annual_means": whole,
        "amplitudes": {year: height for year, height, *_ in fit.amplitudes() if year in whole},
        "notes": list(fit.notes),
    }
    if dates is not None:
        when = np.asarray(dates, dtype=np.float64)
        result["dates"] = when.tolist()
        for name in ("function", "smooth", "trend", "growth"):
            result[name] = getattr(fit, name)(when).tolist()
    return result


def fit_file(
    path: str,
    *,
    options: CurveOptions | None = None,
    species: str | None = None,
    use: str = "background",
    pairs: bool = True,
) -> CurveFit:
    """Read a station file of any known format and fit it."""
    from stations import read

    return fit_record(read(path, species), options, use=use, pairs=pairs)


def fit_many(
    items: Iterable[Any],
    fit: Callable[[Any], CurveFit] = fit_file,
    *,
    dates: Sequence[float] | None = None,
    work: Work | None = None,
) -> Iterator[FitSummary]:
    """Fit many records in parallel, one process a worker, one record at a time in each.

    Parameters
    ----------
    items : iterable
        Small and picklable: paths, station numbers.
    fit : callable
        Module-level; item to `CurveFit`. `functools.partial(fit_file, options=...)` sets options.
    dates : sequence of float, optional
        Decimal years at which the curves are wanted.
    work : Work, optional
        How it is run.

    Yields
    ------
    FitSummary
        In the order of completion. A record that cannot be read or fitted gives one with ``error`` set; the
        others go on. Memory is that of one record a worker: only the summary travels.
    """
    task = partial(_one, fit=fit, dates=tuple(dates) if dates is not None else None)
    for _, summary in map_unordered(task, items, work):
        yield summary


def _one(item: Any, *, fit: Callable[[Any], CurveFit], dates: tuple[float, ...] | None) -> FitSummary:
    try:
        with in_notes():  # they travel in the summary
            return FitSummary(str(item), summarise(fit(item), dates))
    except (ObsnetError, OSError) as error:
        return FitSummary(str(item), {}, f"{type(error).__name__}: {error}")
