"""From an analyser's raw readings to calibrated means with their uncertainties apart."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from obsnet.constants import species as species_of
from obsnet.errors import ConfigError, MissingVariableError, RangeError
from obsnet.schema import Quality
from obsnet.times import decimal_year
from stations.calibration.plan import CalibrationPlan, Tank
from stations.calibration.response import Response, fit_response
from stations.calibration.tanks import TankDrift
from stations.calibration.targets import TargetStatistics, target_statistics
from stations.calibration.valve_runs import Runs, episodes, settled, valve_runs
from stations.calibration.water import WaterCorrection, dry_mole_fraction, water_correction
from stations.record.record import Notes, build, intervals
from stations.record.scale_names import canonical_scale

__all__ = ["Calibrated", "Episode", "calibrate"]


@dataclass(frozen=True)
class Episode:
    """One calibration: when, with which tanks, and the response found."""

    time: np.datetime64
    tanks: tuple[str, ...]
    response: Response


@dataclass(frozen=True)
class Calibrated:
    """A calibrated record and how it came about.

    Attributes
    ----------
    record : xarray.Dataset
        Layout of `stations.record.record`, means over ``average_minutes``. Beside it along time, in the unit of the
        values: ``uncertainty_fit`` (readings of the standards; random from calibration to calibration),
        ``uncertainty_drift`` (of the response between calibrations), ``uncertainty_tank`` (assigned
        values; systematic), ``uncertainty_water`` (systematic) and ``repeatability`` (of one reading, from
        the tank runs).
    episodes : list of Episode
        The calibrations.
    targets : dict of str to TargetStatistics
        By target tank.
    notes : list of str
        What was left out, counted.
    """

    record: xr.Dataset
    episodes: list[Episode]
    targets: dict[str, TargetStatistics]
    notes: list[str] = field(default_factory=list)


def calibrate(raw: xr.Dataset, plan: CalibrationPlan) -> Calibrated:
    """Calibrate raw readings of an analyser that is switched between air and tanks.

    Runs of one gas are found from the valve, their first minutes left out. Each calibration episode gives a
    response from readings to assigned values; between episodes the calibrated value goes linearly in time
    from one response to the next (or is the mean of both). Before the first and after the last episode the
    nearest one is taken and the rows are flagged ``calibration``. Target tanks are calibrated like air.

    Parameters
    ----------
    raw : xarray.Dataset
        Record of single readings with a valve variable, uncalibrated.
    plan : CalibrationPlan
        See `stations.calibration.plan`.

    Returns
    -------
    Calibrated
        Uncertainties: those of the readings and of the assigned values are propagated apart; between two
        episodes the response is taken for a random walk tied to both, whose step is the root mean square
        change from episode to episode (variance D^2 w (1 - w), w the share of the way; D^2 times the age
        beyond the last one).

    Raises
    ------
    ConfigError, MissingVariableError, RangeError
        A plan for another species, no valve variable, no complete calibration.
    """
    notes = Notes(list(raw.attrs.get("changes", [])), list(raw.attrs.get("warnings", [])))
    path = raw.attrs.get("path", "record")
    if raw.attrs.get("species") != plan.species:
        raise ConfigError(f"{path}: the plan is for {plan.species}, the record is {raw.attrs.get('species')}")
    raw = raw.isel(time=np.flatnonzero(~np.isnat(raw["time"].values)))
    if raw.sizes["time"] == 0:
        raise RangeError(f"{path}: no reading has a time")
    value, water_sd = _readings(raw, plan)
    time = raw["time"].values
    hours = (time - time[0]) / np.timedelta64(1, "h")
    valve = _valve(raw, plan, notes)
    working = (raw["quality"].values & np.uint32(Quality.PRODUCER | Quality.TIME)) == 0
    discard = np.where(np.isin(valve, plan.air), plan.air_discard_minutes, plan.discard_minutes)
    ready = settled(hours, valve, discard, plan.gap_minutes)
    notes.changed((~ready).sum(), "readings left out while the gas settled or the valve was unknown")
    good = ready & working & np.isfinite(value)
    drifts = {tank.name: tank.drift() for tank in plan.tank}
    if plan.drift != "none":
        value = _to_working_tank(hours, time, value, valve, good, plan, drifts)
    runs = valve_runs(hours, value, valve, good, plan.gap_minutes)
    repeatability = _repeatability(runs, plan)
    found = _episodes(runs, time, plan, drifts, repeatability, notes)
    curve = _Curve(found, time[0], plan.response.between)
    record = _average(raw, plan, hours, value, valve, good, curve, water_sd, repeatability, notes)
    targets = _targets(runs, time, plan, drifts, curve)
    return Calibrated(record, found, targets, notes.changes)


def _readings(raw: xr.Dataset, plan: CalibrationPlan) -> tuple[np.ndarray, np.ndarray]:
    """Return the readings to calibrate and the systematic uncertainty of their water correction."""
    if plan.water.source == "analyser":
        return raw["value"].values, np.zeros(raw.sizes["time"])
    wet = _variable(raw, "value_wet")
    if plan.water.source == "wet":
        return wet, np.zeros(wet.size)
    if plan.water.a is None or plan.water.b is None:
        correction = water_correction(plan.species)
    else:
        spread = np.diag([plan.water.a_sd**2, plan.water.b_sd**2])
        correction = WaterCorrection(plan.water.a, plan.water.b, spread)
    return dry_mole_fraction(wet, _variable(raw, "h2o_reported_percent"), correction)


def _variable(raw: xr.Dataset, name: str) -> np.ndarray:
    if name not in raw:
        raise MissingVariableError(
            f"{raw.attrs.get('path', 'record')}: calibration needs the variable {name!r}"
        )
    return raw[name].values.astype(np.float64)


def _valve(raw: xr.Dataset, plan: CalibrationPlan, notes: Notes) -> np.ndarray:
    position = _variable(raw, plan.valve)
    whole = np.isfinite(position) & (position == np.round(position))
    valve = np.where(whole, position, -1).astype(np.int64)
    known = np.isin(valve, [*plan.air, *(t.valve for t in plan.tank)])
    strange = sorted({int(v) for v in valve[~known]})
    notes.warn((~known).sum(), f"readings at valve positions the plan does not name ({strange[:6]})")
    return np.where(known, valve, -1)


def _to_working_tank(
    hours: np.ndarray,
    time: np.ndarray,
    value: np.ndarray,
    valve: np.ndarray,
    good: np.ndarray,
    plan: CalibrationPlan,
    drifts: dict[str, TankDrift],
) -> np.ndarray:
    """Return readings corrected by ratio or offset to the working tank, interpolated between its runs."""
    (tank,) = plan.by_role("working")
    runs = valve_runs(hours, value, valve, good, plan.gap_minutes)
    rows = runs.of([tank.valve])
    rows = rows[runs.n[rows] >= plan.minimum_readings]
    if rows.size == 0:
        raise RangeError(f"the working tank {tank.name!r} (valve {tank.valve}) was never measured")
    measured = np.interp(hours, runs.middle[rows], runs.mean[rows])
    assigned = drifts[tank.name].value(decimal_year(time))
    return value * (assigned / measured) if plan.drift == "ratio" else value + (assigned - measured)


def _repeatability(runs: Runs, plan: CalibrationPlan) -> float:
    """Return the standard deviation of a single reading of a constant gas, pooled over the tank runs."""
    rows = runs.of([t.valve for t in plan.tank])
    rows = rows[(runs.n[rows] >= max(plan.minimum_readings, 2))]
    freedom = runs.n[rows] - 1
    return float(np.sqrt((freedom * runs.sd[rows] ** 2).sum() / freedom.sum())) if rows.size else float("nan")


def _episodes(
    runs: Runs,
    time: np.ndarray,
    plan: CalibrationPlan,
    drifts: dict[str, TankDrift],
    repeatability: float,
    notes: Notes,
) -> list[Episode]:
    standards = plan.by_role("standard")
    rows = runs.of([t.valve for t in standards])
    short = runs.n[rows] < plan.minimum_readings
    notes.changed(short.sum(), f"runs of standards with fewer than {plan.minimum_readings} readings left out")
    rows = rows[~short]
    number = episodes(runs.middle[rows], plan.response.episode_gap_hours)
    found, incomplete = [], 0
    for k in range(int(number[-1]) + 1 if number.size else 0):
        episode = _episode(runs, rows[number == k], time[0], standards, plan, drifts, repeatability)
        if episode is None:
            incomplete += 1
        else:
            found.append(episode)
    notes.warn(incomplete, "calibrations with too few standards left out")
    if not found:
        valves = ", ".join(str(t.valve) for t in standards)
        raise RangeError(f"no complete calibration: no episode with enough standards on valves {valves}")
    return found


def _episode(
    runs: Runs,
    rows: np.ndarray,
    origin: np.datetime64,
    standards: list[Tank],
    plan: CalibrationPlan,
    drifts: dict[str, TankDrift],
    repeatability: float,
) -> Episode | None:
    middle = float(np.average(runs.middle[rows], weights=runs.n[rows]))
    when = origin + np.timedelta64(round(middle * 3600), "s")
    year = decimal_year(np.array([when]))
    names, reading, reading_sd, assigned, assigned_sd = [], [], [], [], []
    for tank in standards:
        mine = rows[runs.valve[rows] == tank.valve]
        if mine.size == 0:
            continue
        weight = runs.n[mine].astype(np.float64)
        mean = float(np.average(runs.mean[mine], weights=weight))
        # Runs of one tank may scatter by more than their readings do; the larger of the two counts.
        between = float(runs.mean[mine].std(ddof=1) / np.sqrt(mine.size)) if mine.size > 1 else 0.0
        sd = max(repeatability / np.sqrt(weight.sum()), between, plan.response.reading_sd or 0.0)
        names.append(tank.name)
        reading.append(mean)
        reading_sd.append(sd)
        assigned.append(float(drifts[tank.name].value(year)[0]))
        assigned_sd.append(float(drifts[tank.name].uncertainty(year)[0]))
    if len(names) <= plan.response.degree:
        return None
    columns = [np.array(c) for c in (reading, assigned, reading_sd, assigned_sd)]
    response = fit_response(*columns, degree=plan.response.degree, method=plan.response.method)
    return Episode(when, tuple(names), response)


class _Curve:
    """Responses of all episodes, carried through time."""

    def __init__(self, found: list[Episode], origin: np.datetime64, between: str) -> None:
        self.found = found
        self.hours = np.array([(e.time - origin) / np.timedelta64(1, "h") for e in found])
        self.between = between

    def apply(self, hours: np.ndarray, reading: np.ndarray) -> dict[str, np.ndarray]:
        """Return value, u_fit, u_drift, u_tank and whether a row lies outside the calibrations."""
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
        for k, episode in enumerate(self.found):
            for side, weight in ((left, 1.0 - used), (right, used)):
                rows = (side == k) & (weight > 0)
                if rows.any():
                    u_reading, u_gas = episode.response.uncertainty(reading[rows])
                    value[rows] += weight[rows] * episode.response.value(reading[rows])
                    fit[rows] += (weight[rows] * u_reading) ** 2  # independent from episode to episode
                    tank[rows] += weight[rows] * u_gas  # the same gases: fully correlated
        change, typical = self._change(reading), self._typical_gap()
        age = np.maximum(np.maximum(self.hours[0] - hours, hours - self.hours[-1]), 0.0)
        walk = np.where(span > 0, share * (1.0 - share), age / typical)
        drift = change * np.sqrt(walk)
        if self.between == "mean":  # the true path is up to half the change away from the mean
            drift = np.hypot(drift, change * np.where(span > 0, np.abs(share - 0.5), 0.0))
        outside = (hours < self.hours[0]) | (hours > self.hours[-1])
        return {"value": value, "fit": np.sqrt(fit), "drift": drift, "tank": tank, "outside": outside}

    def _change(self, reading: np.ndarray) -> np.ndarray:
        """Return the root mean square change of the calibrated value from episode to episode."""
        if len(self.found) < 2:
            return np.zeros_like(reading)
        at = np.linspace(np.nanmin(reading), np.nanmax(reading), 9)
        values = np.stack([e.response.value(at) for e in self.found])
        return np.interp(reading, at, np.sqrt(np.mean(np.diff(values, axis=0) ** 2, axis=0)))

    def _typical_gap(self) -> float:
        return float(np.mean(np.diff(self.hours))) if self.hours.size > 1 else float("inf")


def _average(
    raw: xr.Dataset,
    plan: CalibrationPlan,
    hours: np.ndarray,
    value: np.ndarray,
    valve: np.ndarray,
    good: np.ndarray,
    curve: _Curve,
    water_sd: np.ndarray,
    repeatability: float,
    notes: Notes,
) -> xr.Dataset:
    """Return means of calibrated air over clock intervals."""
    air = good & np.isin(valve, plan.air)
    if not air.any():
        raise RangeError(f"no settled reading of air at valve positions {list(plan.air)}")
    time = raw["time"].values[air]
    length = np.timedelta64(round(plan.average_minutes * 60), "s").astype("timedelta64[ns]")
    bins = (time - time[0].astype("datetime64[D]").astype("datetime64[ns]")) // length
    starts, number = np.unique(bins, return_inverse=True)
    n = np.bincount(number)
    result = curve.apply(hours[air], value[air])
    shift = float(np.median(result["value"]))
    mean = np.bincount(number, result["value"] - shift) / n
    off = result["value"] - shift - mean[number]
    with np.errstate(invalid="ignore", divide="ignore"):
        sd = np.sqrt(np.bincount(number, off**2) / (n - 1))
    sd[n < 2] = np.nan

    def average(values: np.ndarray) -> np.ndarray:
        return np.bincount(number, values) / n

    extras = {f"uncertainty_{k}": average(result[k]) for k in ("fit", "drift", "tank")}
    extras["uncertainty_water"] = average(water_sd[air])
    extras["repeatability"] = np.full(starts.size, repeatability)
    outside = average(result["outside"].astype(np.float64)) > 0
    notes.warn(outside.sum(), "means before the first or after the last calibration (flagged 'calibration')")
    beyond = (value[air] < curve.found[0].response.low) | (value[air] > curve.found[0].response.high)
    notes.warn(
        (average(beyond.astype(np.float64)) > 0).sum(), "means with readings outside the standards' range"
    )
    start = time[0].astype("datetime64[D]").astype("datetime64[ns]") + starts * length
    attrs = {k: raw.attrs.get(k, "") for k in ("site_name", "network", "path")}
    return build(
        {
            "value": mean + shift,
            "sd": sd,
            "n": n,
            "quality": np.where(outside, np.uint32(Quality.CALIBRATION), np.uint32(0)),
            **{k: getattr(plan, k) for k in ("latitude", "longitude", "altitude_m", "intake_height_m")},
        },
        species=plan.species,
        unit=species_of(plan.species).unit,
        scale=canonical_scale(plan.scale, plan.species),
        when=intervals(start, "start", length),
        notes=notes,
        attrs={
            **attrs,
            "site": plan.site or raw.attrs.get("site", ""),
            "source": f"{raw.attrs.get('source', 'analyser')}_calibrated",
            "format": "calibrated",
        },
        extras=extras,
    )


def _targets(
    runs: Runs, time: np.ndarray, plan: CalibrationPlan, drifts: dict[str, TankDrift], curve: _Curve
) -> dict[str, TargetStatistics]:
    result = {}
    for tank in plan.by_role("target"):
        rows = runs.of([tank.valve])
        rows = rows[runs.n[rows] >= plan.minimum_readings]
        if rows.size == 0:
            continue
        when = time[0] + np.round(runs.middle[rows] * 3600).astype("timedelta64[s]")
        value = curve.apply(runs.middle[rows], runs.mean[rows])["value"]
        bias = value - drifts[tank.name].value(decimal_year(when))
        result[tank.name] = target_statistics(when, bias, runs.sd[rows], window_days=plan.target_window_days)
    return result
