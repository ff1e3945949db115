"""Curve fits of records, one or many: from a Dataset, from files, in parallel with memory that stays flat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.errors import ObsnetError
from obsnet.work.isolated import apart
from obsnet.work.parallel import map_unordered, shard
from obsnet.work.progress import progress
from obsnet.work.work import Work
from stations.curve.errors import Errors, coefficient_sd, curve_ensemble, errors_and_noise
from stations.curve.fit import CurveFit, fit_curve, in_notes
from stations.curve.options import CurveOptions, FitTable
from stations.record.series import series

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FitSummary", "doubts", "fit_file", "fit_files", "fit_many", "fit_record", "summarise"]

_WIDE = 1.5  # a standard error that could as well be so many times another is said to be badly known


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
    fit = fit_curve(data.year, data.value, options)
    return replace(fit, notes=(*data.notes, *fit.notes))


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
        harmonics, gain, rsd_function, rsd_smooth, reduced_chi_square, standard_errors, standard_errors_likely (least
        and most), standard_errors_year_long (see `Errors`), noise (sd, memory_days, at_bound, likely),
        annual_increase, annual_means, amplitudes`` (of whole years), ``notes`` and, with dates, ``dates,
        function, smooth, trend, growth``.
    """
    errors = errors_and_noise(fit)
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
        "standard_errors": errors.stated,
        "standard_errors_likely": {k: list(v) for k, v in errors.likely.items()},
        "standard_errors_year_long": errors.year_long,
        "noise": None if errors.noise is None else asdict(errors.noise),
        "annual_increase": fit.annual_increase(),
        "annual_means": whole,
        "amplitudes": {year: height for year, height, *_ in fit.amplitudes() if year in whole},
        "notes": [*fit.notes, *doubts(errors)],
    }
    if dates is not None:
        when = np.asarray(dates, dtype=np.float64)
        result["dates"] = when.tolist()
        for name in ("function", "smooth", "trend", "growth"):
            result[name] = getattr(fit, name)(when).tolist()
    return result


def doubts(errors: Errors) -> list[str]:
    """Say so where the noise may be slower than the trend's filter lets one see, or the record tells little of it."""
    notes = []
    if errors.noise is not None and errors.noise.at_bound:
        like = f"residuals as correlated as noise of {errors.noise.memory_days:.0f} days or more makes them"
        notes.append(f"{like}: errors of trend and growth are lower bounds")
    low, high = errors.likely.get("trend", (1.0, 1.0))
    if high > _WIDE * low:
        notes.append(
            f"the record is short for its noise, whose memory it tells badly: the trend's standard error may be "
            f"{low:.2g} to {high:.2g}, that of the growth rate "
            "{:.2g} to {:.2g}".format(*errors.likely["growth"])
        )
    return notes


def fit_file(path: str | Path, options: FitTable) -> dict[str, Any]:
    """Read a station file of any known format, fit it, and return the numbers of `summarise` and of its errors.

    Parameters
    ----------
    path : path
        One file.
    options : FitTable
        What is read, fitted and wanted; its ``files`` are not looked at.

    Returns
    -------
    dict
        ``site, species, unit, scale``, those of `summarise`, ``monthly_means`` (``"2019-07"``), and ``ensemble``
        where replicates are asked for.
    """
    from stations.readers import read

    record = apart(read, path, options.species, **options.said)
    dates = options.dates or None
    with in_notes():  # they travel in the numbers
        fit = fit_record(record, options.curve, use=options.use, pairs=options.pairs)
    found = {k: record.attrs.get(k, "") for k in ("site", "species", "unit", "scale")} | summarise(fit, dates)
    found["monthly_means"] = {f"{y}-{m:02d}": mean for y, m, mean, *_ in fit.monthly_means()}
    if options.replicates:
        found["ensemble"] = _ensemble(fit, options)
    return found


def _ensemble(fit: CurveFit, options: FitTable) -> dict[str, Any]:
    found = curve_ensemble(fit, replicates=options.replicates, seed=options.seed)
    result: dict[str, Any] = {
        "replicates": options.replicates,
        "seed": options.seed,
        "coefficient_sd": found.coefficients,
        "annual_increase_sd": found.annual_increase,
    }
    if options.dates:
        for name in ("smooth", "trend", "growth"):
            result[f"{name}_sd"] = found.at(np.array(options.dates), name)
    return result


def fit_files(options: FitTable, work: Work | None = None) -> list[FitSummary]:
    """Fit the files of ``obsnet station fit``, in the order of their names.

    Raises
    ------
    ObsnetError
        The only file cannot be read or fitted; among several its summary says so.
    """
    if len(options.files) == 1:
        (path,) = options.files
        return [FitSummary(str(path), fit_file(path, options))]
    done = []
    with progress(len(options.files), "fits") as advance:
        for summary in fit_many(list(map(str, options.files)), partial(fit_file, options=options), work):
            done.append(summary)
            advance(1)
    return sorted(done, key=lambda s: s.name)


def fit_many(
    items: Iterable[Any], numbers: Callable[[Any], dict[str, Any]], work: Work | None = None
) -> Iterator[FitSummary]:
    """Fit many records in parallel, one process a worker, one record at a time in each.

    Parameters
    ----------
    items : iterable
        Small and picklable: paths, station numbers.
    numbers : callable
        Module-level; item to the numbers of its fit, such as those of `fit_file` or `summarise`.
    work : Work, optional
        How it is run.

    Yields
    ------
    FitSummary
        In the order of completion. A record that cannot be read or fitted gives one with ``error`` set; the
        others go on. Memory is that of one record a worker: only the summary travels.
    """
    todo = list(items)
    task = partial(_one, numbers=numbers)
    for _, summary in map_unordered(task, shard(todo, work or Work()), work, on_death=_died):
        yield summary


def _died(item: Any, reason: str) -> FitSummary:
    return FitSummary(str(item), {}, f"FormatError: {reason}")


def _one(item: Any, *, numbers: Callable[[Any], dict[str, Any]]) -> FitSummary:
    try:
        with in_notes():
            return FitSummary(str(item), numbers(item))
    except (ObsnetError, OSError) as error:
        return FitSummary(str(item), {}, f"{type(error).__name__}: {error}")
