"""Responses carried through time: from one calibration to the next, and beyond the last."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from stations.calibration.episodes import Episode

__all__ = ["ResponseCurve"]

ONE_SIGMA = float(norm.cdf(1.0))


class ResponseCurve:
    """Responses of all episodes, carried through time."""

    def __init__(self, found: list[Episode], origin: np.datetime64, between: str) -> None:
        self.found = found
        self.hours = np.array([(e.time - origin) / np.timedelta64(1, "h") for e in found])
        self.between = between

    def apply(self, hours: np.ndarray, reading: np.ndarray) -> dict[str, np.ndarray]:
        """Return value, u_fit, u_drift, u_tank, and rows outside the calibrations or served by a doubtful one."""
        last = len(self.found) - 1
        right = np.clip(np.searchsorted(self.hours, hours, side="right"), 0, last)
        left = np.clip(right - 1, 0, last)
        right = np.where(hours < self.hours[0], 0, np.where(hours >= self.hours[-1], last, right))
        left = np.where(hours >= self.hours[-1], last, left)
        span = self.hours[right] - self.hours[left]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(span > 0, (hours - self.hours[left]) / np.where(span > 0, span, 1.0), 0.0)
        used = np.where(span > 0, 0.5, 0.0) if self.between == "mean" else share
        value, fit, tank = np.zeros_like(reading), np.zeros_like(reading), np.zeros_like(reading)
        for side, weight in ((left, 1.0 - used), (right, used)):
            rows = np.flatnonzero(weight > 0)
            rows = rows[np.argsort(side[rows], kind="stable")]
            first = np.searchsorted(side[rows], np.arange(len(self.found) + 1))
            for k, episode in enumerate(self.found):
                mine = rows[first[k] : first[k + 1]]
                if mine.size:
                    u_reading, u_gas = episode.response.uncertainty(reading[mine])
                    value[mine] += weight[mine] * episode.response.value(reading[mine])
                    fit[mine] += (weight[mine] * u_reading) ** 2  # independent from episode to episode
                    tank[mine] += weight[mine] * u_gas  # the same gases: fully correlated
        change, typical = self._change(reading), self._typical_gap()
        age = np.maximum(np.maximum(self.hours[0] - hours, hours - self.hours[-1]), 0.0)
        walk = np.where(span > 0, share * (1.0 - share) * span / typical, age / typical)
        drift = change * np.sqrt(walk)
        if self.between == "mean":  # the true path is up to half the change away from the mean
            drift = np.hypot(drift, change * np.where(span > 0, np.abs(share - 0.5), 0.0))
        outside = (hours < self.hours[0]) | (hours > self.hours[-1])
        odd = np.array([e.disagreement.beyond_goal for e in self.found])
        doubtful = (odd[left] & (used < 1.0)) | (odd[right] & (used > 0.0))
        return {
            "value": value,
            "fit": np.sqrt(fit),
            "drift": drift,
            "tank": tank,
            "outside": outside,
            "doubtful": doubtful,
        }

    def _change(self, reading: np.ndarray) -> np.ndarray:
        """Return the likely change of the calibrated value from episode to episode.

        The root mean square of the changes seen, enlarged by Student's t for their number: one says little.
        """
        if len(self.found) < 2:
            return np.zeros_like(reading)
        at = np.linspace(np.nanmin(reading), np.nanmax(reading), 9)
        values = np.stack([e.response.value(at) for e in self.found])
        few = student.ppf(ONE_SIGMA, len(self.found) - 1)
        return few * np.interp(reading, at, np.sqrt(np.mean(np.diff(values, axis=0) ** 2, axis=0)))

    def _typical_gap(self) -> float:
        return float(np.mean(np.diff(self.hours))) if self.hours.size > 1 else float("inf")
