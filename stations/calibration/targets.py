"""Target tanks: gases of known value that never take part in the calibration and so can judge it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obsnet.errors import ConfigError

__all__ = ["Alarm", "TargetStatistics", "target_alarms", "target_statistics"]


@dataclass(frozen=True)
class TargetStatistics:
    """How an analyser measures a target tank, one row a run.

    Attributes
    ----------
    time : ndarray of datetime64
        Of each run.
    bias : ndarray
        Calibrated mean minus assigned value, unit of the values.
    cmr : ndarray
        Continuous measurement repeatability: standard deviation of the readings within the run.
    ltr : ndarray
        Long-term repeatability: standard deviation of the bias over the trailing window; NaN for fewer than
        3 runs.
    sttb : ndarray
        Short-term target bias: mean bias over the trailing window.
    """

    time: np.ndarray
    bias: np.ndarray
    cmr: np.ndarray
    ltr: np.ndarray
    sttb: np.ndarray


@dataclass(frozen=True)
class Alarm:
    """A target run that failed.

    Attributes
    ----------
    time : numpy.datetime64
        Of the run.
    bias, limit : float
        What was found and what is allowed.
    reason : str
        Which limit.
    """

    time: np.datetime64
    bias: float
    limit: float
    reason: str


def target_statistics(
    time: np.ndarray, bias: np.ndarray, run_sd: np.ndarray, *, window_days: float = 3.0
) -> TargetStatistics:
    """Return the moving statistics of a target tank.

    Parameters
    ----------
    time : ndarray of datetime64, shape (k,)
        Of each run, ascending.
    bias : ndarray, shape (k,)
        Calibrated mean minus assigned value.
    run_sd : ndarray, shape (k,)
        Standard deviation within each run.
    window_days : float
        Length of the trailing window. 3 days (30 for the long-term target) is what ICOS is reported to use;
        not checked against its documents.

    Notes
    -----
    Terms after C. Yver Kwok et al. (2015), Atmos. Meas. Tech. 8, 3867-3892, doi:10.5194/amt-8-3867-2015.
    """
    if window_days <= 0:
        raise ConfigError(f"window_days is above 0, found {window_days:g}")
    time = np.asarray(time)
    bias = np.asarray(bias, dtype=np.float64)
    ltr, sttb = np.full(bias.size, np.nan), np.full(bias.size, np.nan)
    width = np.timedelta64(round(window_days * 86400), "s")
    first = np.searchsorted(time, time - width, side="right")
    for k in range(bias.size):
        inside = bias[first[k] : k + 1]
        inside = inside[np.isfinite(inside)]
        if inside.size:
            sttb[k] = inside.mean()
        if inside.size >= 3:
            ltr[k] = inside.std(ddof=1)
    return TargetStatistics(time, bias, np.asarray(run_sd, dtype=np.float64), ltr, sttb)


def target_alarms(statistics: TargetStatistics, *, goal: float, sigmas: float = 3.0) -> list[Alarm]:
    """Return the runs whose bias is beyond the compatibility goal or out of line with the runs before.

    Parameters
    ----------
    statistics : TargetStatistics
        Of one tank.
    goal : float
        Network compatibility goal, unit of the values; see `stations.calibration.goals`.
    sigmas : float
        A run this many LTR from the STTB of the run before is out of line.
    """
    alarms = []
    for k, bias in enumerate(statistics.bias):
        if abs(bias) > goal:
            alarms.append(Alarm(statistics.time[k], float(bias), goal, "beyond the compatibility goal"))
        elif k and np.isfinite(statistics.ltr[k - 1]):
            limit = sigmas * statistics.ltr[k - 1]
            if abs(bias - statistics.sttb[k - 1]) > limit > 0:
                alarms.append(
                    Alarm(statistics.time[k], float(bias), float(limit), "out of line with the runs before")
                )
    return alarms
