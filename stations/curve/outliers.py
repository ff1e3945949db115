"""Iterative rejection of values far from the smooth curve of the record itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obsnet.errors import ConfigError, RangeError
from stations.curve.fit import CurveFit, fit_curve
from stations.curve.options import CurveOptions

__all__ = ["Rejection", "reject_outliers"]


@dataclass(frozen=True)
class Rejection:
    """What iterative rejection found.

    Attributes
    ----------
    flag : ndarray of bool, shape (n,)
        True where rejected, in the input's order.
    fit : CurveFit
        The last fit, to what was kept before its own verdict.
    passes : int
        Fits made.
    settled : bool
        Nothing changed in the last pass; False where the passes ran out or the passes began to repeat.
    """

    flag: np.ndarray
    fit: CurveFit
    passes: int
    settled: bool


def reject_outliers(
    year: np.ndarray,
    value: np.ndarray,
    *,
    above: float = 3.0,
    below: float = 3.0,
    options: CurveOptions | None = None,
    passes: int = 50,
) -> Rejection:
    """Reject values outside an envelope around the smooth curve, fit again, and take back what fits now.

    Parameters
    ----------
    year, value : ndarray, shape (n,)
        Decimal years and values, finite.
    above, below : float
        Width of the envelope in residual standard deviations about the smooth curve. 3 is usual; at 2.5
        records of polluted sites lose half of their values.
    options : CurveOptions, optional
        Of the fit; NOAA's usual ones on a grid of 7 days by default.
    passes : int
        At most.

    Returns
    -------
    Rejection
        The rules of NOAA GML's quick filter: a value exactly on the envelope stays as it was; values
        outside the dates of the kept ones are not judged.

    Raises
    ------
    RangeError
        Too few values for a fit, at the start or because the envelope took them.
    """
    if above <= 0 or below <= 0:
        raise ConfigError(f"the envelope's widths are above 0, found {above:g} and {below:g}")
    x, y = np.asarray(year, dtype=np.float64), np.asarray(value, dtype=np.float64)
    options = options or CurveOptions(interval_days=7.0)
    flag = np.zeros(x.size, dtype=bool)
    seen: set[bytes] = set()
    for number in range(1, passes + 1):
        try:
            fit = fit_curve(x[~flag], y[~flag], options)
        except RangeError as error:
            if number == 1:
                raise
            raise RangeError(
                f"the envelope of {above:g} above and {below:g} below left {(~flag).sum()} of {x.size} values; "
                f"widen it ({error})"
            ) from error
        off = y - fit.smooth(x)
        with np.errstate(invalid="ignore"):
            outside = (off > above * fit.rsd_smooth) | (off < -below * fit.rsd_smooth)
            inside = ((off > 0) & (off < above * fit.rsd_smooth)) | (
                (off < 0) & (off > -below * fit.rsd_smooth)
            )
        changed = np.where(flag, inside, outside)
        if not changed.any():
            return Rejection(flag, fit, number, True)
        flag = flag ^ changed
        state = np.packbits(flag).tobytes()
        if state in seen:
            break
        seen.add(state)
    return Rejection(flag, fit, number, False)
