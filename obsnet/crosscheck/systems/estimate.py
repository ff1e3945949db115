"""What one system says of the totals of regions, and its mean over a year with all that is known of its error."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from obsnet.crosscheck.rules.statistics import negative_variance
from obsnet.errors import RangeError, SchemaError
from obsnet.inventory.period import Period
from obsnet.typing import Floats

__all__ = [
    "Between",
    "GridResolution",
    "Mean",
    "SystemEstimate",
    "mean_over",
    "refuse_fills",
    "without_zeros",
]

Between = Literal["independent", "common"]
# Tg a year, twice the world's and more; a total beyond it is in another unit.
_WORLD = {"CO2": 1e5, "CH4": 1e3, "N2O": 1e2}
_FILLS = (-9999.0, -99999.0, -999999.0, -9999.9, 1e20, 1e30)
_ROUNDING = 1e-5  # of the largest eigenvalue; files hold covariances in single precision


@dataclass(frozen=True, eq=False)
class GridResolution:
    """What a grid tells of each region.

    Parameters
    ----------
    cell : str
        Size of a cell, ``1 x 1 degree``.
    shared : ndarray, shape (regions,)
        Part of the magnitude of a region's flux that comes from cells it shares with others.
    split_sd : ndarray, shape (regions,)
        Standard deviation of the region's mean total if the flux of every shared cell stood at one unknown place in
        it, Tg a year, see `obsnet.shares.Shares.doubt`.
    magnitude : ndarray, shape (regions,)
        Sum of the flux's magnitude, Tg a year: what `split_sd` is held against, since a net total may be nearly 0.
    """

    cell: str
    shared: Floats
    split_sd: Floats
    magnitude: Floats


@dataclass(frozen=True, eq=False)
class SystemEstimate:
    """Totals of one system: mean rates of each of its periods.

    Parameters
    ----------
    system : str
        Name; no two of one comparison are alike.
    gas : str
        Formula; totals are Tg of it a year.
    quantity : str
        What the totals are of: ``total``, ``net``, ``land`` …; only like is set beside like.
    periods : tuple of Period
        In any order; some may hold others (a mean of years beside the years).
    regions : tuple of str
        Keys, see `obsnet.crosscheck.systems.keys`.
    total : ndarray, shape (periods, regions)
        Tg a year, upward positive; NaN where the system says nothing.
    sd : ndarray, shape (periods, regions)
        One standard deviation; NaN where none is known.
    covariance : ndarray, shape (periods, regions, regions), optional
        Of the regions in one period.
    joint : ndarray, shape (periods, regions, periods, regions), optional
        Covariance of all of them, in time too.
    members : ndarray, shape (members, periods, regions), optional
        An ensemble whose spread is the error, in time too.
    resolution : GridResolution, optional
        Where totals were added up from cells.
    rests_on : dict of str to str
        What other systems may rest on too: transport, prior, observations.
    notes : tuple of str
        What was read as what.

    Raises
    ------
    SchemaError
        Shapes that do not fit, a region or a period twice.
    RangeError
        A total beyond the world's, a negative standard deviation, a covariance that is not symmetric and positive
        semi-definite.
    """

    system: str
    gas: str
    quantity: str
    periods: tuple[Period, ...]
    regions: tuple[str, ...]
    total: Floats
    sd: Floats
    covariance: Floats | None = None
    joint: Floats | None = None
    members: Floats | None = None
    resolution: GridResolution | None = None
    rests_on: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = (len(self.periods), len(self.regions))
        if self.total.shape != shape or self.sd.shape != shape:
            raise SchemaError(
                f"{self.system}: {shape[0]} periods of {shape[1]} regions need totals and deviations of that shape, "
                f"found {self.total.shape} and {self.sd.shape}"
            )
        for what, keys in (("region", self.regions), ("period", tuple(map(str, self.periods)))):
            again = sorted({k for k in keys if keys.count(k) > 1})
            if again:
                raise SchemaError(f"{self.system}: {what} {again[0]} stands twice")
        if (np.abs(self.total) > _WORLD.get(self.gas, np.inf)).any():
            k, r = np.argwhere(np.abs(self.total) > _WORLD[self.gas])[0]
            raise RangeError(
                f"{self.system}: {self.total[k, r]:.3g} Tg of {self.gas} a year in {self.regions[r]} is more than the "
                "world emits; is a unit off?"
            )
        wrong = (self.sd < 0.0) | np.isinf(self.sd)
        if wrong.any():
            k, r = np.argwhere(wrong)[0]
            raise RangeError(
                f"{self.system}: the standard deviation of {self.regions[r]} in {self.periods[k]} is {self.sd[k, r]:g}"
            )
        for k, matrix in enumerate(() if self.covariance is None else self.covariance):
            _semidefinite(matrix, f"{self.system}: the covariance of {self.periods[k]}")


def _semidefinite(matrix: Floats, what: str) -> None:
    """Refuse what no errors can have; rows that are missing throughout are left aside."""
    known = np.isfinite(matrix).any(axis=1)
    part = matrix[np.ix_(known, known)]
    if not part.size:
        return
    if not np.isfinite(part).all():
        raise RangeError(f"{what} has missing numbers")
    largest = float(np.abs(part).max())
    if float(np.abs(part - part.T).max()) > _ROUNDING * largest:
        raise RangeError(f"{what} is not symmetric")
    even = 0.5 * (part + part.T)
    most = float(np.linalg.eigvalsh(even)[-1]) / largest if largest else 0.0
    fault = negative_variance(even, _ROUNDING * max(most, 0.0))
    if fault:
        raise RangeError(f"{what} is not positive semi-definite ({fault}): no errors can have it")


def without_zeros(estimate: SystemEstimate) -> SystemEstimate:
    """Return an estimate whose deviations of 0 are none: nobody knows a total exactly."""
    if estimate.joint is not None or estimate.members is not None:
        return estimate
    empty = (estimate.sd == 0.0) & (np.abs(estimate.total) > 0.0)
    if not empty.any():
        return estimate
    named = ", ".join(r for r, some in zip(estimate.regions, empty.any(axis=0), strict=True) if some)
    note = f"states a deviation of 0 for {named}: taken as none"
    return replace(estimate, sd=np.where(empty, np.nan, estimate.sd), notes=(*estimate.notes, note))


def refuse_fills(values: Floats, where: str) -> None:
    """Refuse numbers that mean "nothing" in many files where the file does not say so."""
    for fill in _FILLS:
        if (values == fill).any():
            raise RangeError(
                f"{where}: {fill:g} stands there {int((values == fill).sum())} times, which looks like nothing: "
                "declare it (_FillValue), or leave it empty"
            )


@dataclass(frozen=True, eq=False)
class Mean:
    """Mean totals of a stretch of time.

    Parameters
    ----------
    total, sd : ndarray, shape (regions,)
        Tg a year.
    sd_common : ndarray, shape (regions,)
        The same deviation if errors of all periods were one and the same: the largest that the file allows.
    covariance : ndarray, shape (regions, regions), optional
        Where the system states one.
    periods : int
        How many of its periods it is of.
    """

    total: Floats
    sd: Floats
    sd_common: Floats
    covariance: Floats | None
    periods: int


def mean_over(estimate: SystemEstimate, wanted: Period, between: Between = "independent") -> Mean | None:
    """Return the mean totals of a stretch of time; None where the system's periods do not make it up.

    Parameters
    ----------
    estimate : SystemEstimate
        One system.
    wanted : Period
        A year, a month, a range.
    between : {"independent", "common"}
        How errors of different periods hang together; most files do not say. An ensemble and a joint covariance do, and
        are not asked.

    Notes
    -----
    Periods are weighted by their length. With weights w and deviations s: ``sum w^2 s^2`` or ``(sum w s)^2``.
    """
    whole = [k for k, p in enumerate(estimate.periods) if (p.start, p.stop) == (wanted.start, wanted.stop)]
    inside = whole[:1] or _tiling(estimate.periods, wanted)
    if not inside:
        return None
    length = np.array([estimate.periods[k].length for k in inside])
    weight = length / length.sum()
    total, sd = weight @ estimate.total[inside], estimate.sd[inside]
    covariance: Floats | None
    common = weight @ sd
    if estimate.joint is not None:
        square = estimate.joint[np.ix_(inside, range(total.size), inside, range(total.size))]
        own = np.einsum("k,karb,r->ab", weight, square, weight)
        spread = np.sqrt(np.maximum(np.diagonal(own), 0.0))
        return Mean(total, spread, spread, own, len(inside))
    if estimate.members is not None:
        each = np.einsum("k,mkr->mr", weight, estimate.members[:, inside])
        own = np.atleast_2d(np.cov(each, rowvar=False, ddof=1))
        spread = np.sqrt(np.diagonal(own))
        return Mean(total, spread, spread, own, len(inside))
    stated = None if estimate.covariance is None else estimate.covariance[inside]
    if between == "common":
        covariance = stated[0] if stated is not None and len(inside) == 1 else None
        return Mean(total, common, common, covariance, len(inside))
    covariance = None if stated is None else np.einsum("k,krs->rs", weight**2, stated)
    return Mean(total, np.sqrt(weight**2 @ sd**2), common, covariance, len(inside))


def _tiling(periods: tuple[Period, ...], wanted: Period) -> list[int]:
    """Return periods that follow each other from the begin to the end of what is wanted; the longest first."""
    at, found = wanted.start, []
    while at < wanted.stop:
        fits = [(p.stop, k) for k, p in enumerate(periods) if p.start == at and p.stop <= wanted.stop]
        if not fits:
            return []
        at, k = max(fits, key=lambda f: f[0])
        found.append(k)
    return found
