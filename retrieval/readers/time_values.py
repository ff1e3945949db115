"""Times as products store them: counted since a date in any unit, as text, or as columns of a calendar."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from obsnet.errors import FormatError, UnitError
from obsnet.times import counted_since, from_epoch

__all__ = ["parse_times"]


def parse_times(
    values: np.ndarray, unit: str, where: str, fills: Iterable[float] = (), calendar: str = "standard"
) -> np.ndarray:
    """Turn stored times into ``datetime64[us]`` UTC.

    Parameters
    ----------
    values : ndarray
        Numbers counted in `unit`; text in ISO 8601; or (rows, 3 to 7) integers: year, month, day, hour,
        minute, second, millisecond (Lite files have 6 or 7).
    unit : str
        ``"seconds since 1970-01-01 00:00:00"`` and the like (`counted_since`); not used for text and columns.
    where : str
        File and variable, for error texts.
    fills : iterable of float
        Values that mean "no time".
    calendar : str
        Of numbers.

    Returns
    -------
    ndarray of datetime64[us]
        NaT where there is no time.
    """
    if values.ndim == 2 and values.dtype.kind in "iuf":
        return _from_columns(values, where)
    if values.dtype.kind in "OSU":
        plain = [v.decode("ascii", "replace") if isinstance(v, bytes) else str(v) for v in values.ravel()]
        plain = [v.strip(" \0").removesuffix("Z").replace(" ", "T") for v in plain]
        try:
            return np.array([v or "NaT" for v in plain], dtype="datetime64[us]")
        except ValueError as error:
            raise FormatError(f"{where}: not times in ISO 8601 ({error})") from error
    try:
        epoch, one = counted_since(unit, calendar)
    except UnitError as error:
        raise FormatError(f"{where} {error}") from error
    seconds = values.astype(np.float64) * one
    for fill in fills:
        seconds[values == fill] = np.nan
    return from_epoch(seconds, epoch)


def _from_columns(values: np.ndarray, where: str) -> np.ndarray:
    if not 3 <= values.shape[1] <= 7:
        raise FormatError(
            f"{where}: {values.shape[1]} columns of a date; year to day (3) … millisecond (7) are known"
        )
    if not np.isfinite(values).all():
        raise FormatError(f"{where}: dates that are not finite")
    part = values.astype(np.int64)
    sane = (part[:, 0] >= 1900) & (part[:, 0] < 2200) & (part[:, 1] >= 1) & (part[:, 1] <= 12)
    months = np.where(sane, (part[:, 0] - 1970) * 12 + part[:, 1] - 1, 0)
    time = months.astype("datetime64[M]").astype("datetime64[us]")
    for column, unit in zip(range(2, part.shape[1]), ("D", "h", "m", "s", "ms"), strict=False):
        count = part[:, column] - (1 if unit == "D" else 0)
        time = time + count.astype(f"timedelta64[{unit}]").astype("timedelta64[us]")
    return np.where(sane, time, np.datetime64("NaT", "us"))
