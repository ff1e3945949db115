"""Over which time sums and means in a netCDF file are taken: from its time bounds, or as the user says.

ERA5 sums over the hour before its time, ERA5-Land since midnight UTC, forecasts since their start; the variables carry
the same names and the files do not say which. A flux that is taken for the other is wrong by the number of hours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError
from obsnet.met.names import VARIABLES, Window
from obsnet.typing import Floats

__all__ = ["ECMWF_MEANS", "told_windows", "windows_in_file"]

_HOUR, _DAY = 3600.0, 86400.0
# Means over the time since the step before; NCEP's, by contrast, grow since the start of a window of hours.
ECMWF_MEANS = {"avg_ishf", "avg_iews", "avg_inss", "msshf", "metss", "mntss"}
_PERIODS = ("forecast_period", "step", "leadtime")


def windows_in_file(path: Path, data: Any, name: str, stamps: Floats, seconds: Any) -> list[Window] | None:
    """Return the windows that the bounds of the time axis give, None where there are none.

    Parameters
    ----------
    path, data : path, netCDF4.Dataset
        The file.
    name : str
        Variable whose sums they are.
    stamps : ndarray of float64, shape (time,)
        Its times, seconds since 1970.
    seconds : callable
        ``seconds(variable, like)`` decodes a variable with the unit of another.
    """
    axis = next((d for d in data[name].dimensions if d in {"time", "valid_time"}), None)
    if axis is None or axis not in data.variables:
        return None
    bounds = getattr(data[axis], "bounds", None)
    if bounds is None or bounds not in data.variables:
        return None
    values = np.asarray(seconds(data[bounds], data[axis]))
    if values.shape != (stamps.size, 2) or not (values[:, 1] >= values[:, 0]).all():
        raise FormatError(
            f"{path}: {bounds!r} does not hold the start and end of each of {stamps.size} times"
        )
    return [Window(float(a), float(b)) for a, b in values]


def told_windows(path: Path, data: Any, name: str, variable: str, stamps: Floats, told: str) -> list[Window]:
    """Return the windows that the user says.

    Parameters
    ----------
    path, data, name, stamps
        As in `windows_in_file`.
    variable : str
        Our name.
    told : str
        ``hour``, ``forecast``, or hours of the day, as in `obsnet.met.options.MetOptions.accumulated`.

    Raises
    ------
    FormatError
        Nothing is said, or the file has no forecast period.
    """
    if told == "hour":
        return [Window(t - _HOUR, t) for t in stamps.tolist()]
    if told == "forecast":
        return [
            Window(t - p, t) for t, p in zip(stamps.tolist(), _period(path, data, name, stamps), strict=True)
        ]
    if told != "auto":
        hours = np.array([float(w) * _HOUR for w in told.split(",")])
        return [Window(float(_latest(t, hours)), t) for t in stamps.tolist()]
    raise FormatError(
        f"{path}: {name!r} ({VARIABLES[variable].text}) does not say over which time it is taken: over the hour before "
        'as in ERA5 (accumulated = "hour"), since midnight as in ERA5-Land ("00"), since other hours UTC '
        '("06,18") or since the start of a forecast ("forecast"); say it (--accumulated), or give fluxes of the '
        "moment (ishf, iews, inss, zust)"
    )


def _latest(time: float, hours: Floats) -> float:
    """Return the latest of the hours of a day that lies before a time."""
    day = np.floor(time / _DAY) * _DAY
    starts = np.concatenate([day - _DAY + hours, day + hours])
    return starts[starts < time - 1.0].max()


def _period(path: Path, data: Any, name: str, stamps: Floats) -> list[float]:
    """Return the seconds since the start of the forecast of each time."""
    from obsnet.errors import UnitError
    from obsnet.units import conversion_factor

    for other in _PERIODS:
        if other in data.variables and data[other].size in {1, stamps.size}:
            try:
                scale = conversion_factor(str(getattr(data[other], "units", "hours")), "s")
            except UnitError as error:
                raise FormatError(f"{path}: {other!r}: {error}") from None
            values = np.broadcast_to(np.asarray(data[other][...], np.float64).ravel() * scale, stamps.shape)
            return [float(v) for v in values]
    raise FormatError(
        f"{path}: {name!r} is to be summed since the start of its forecast, but the file has no "
        f"{' or '.join(_PERIODS)} along its times"
    )
