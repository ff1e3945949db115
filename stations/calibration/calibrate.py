"""From an analyser's raw readings to calibrated means with their uncertainties apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from obsnet.constants import species as species_of
from obsnet.errors import ConfigError, MissingVariableError, RangeError
from obsnet.schema import Quality
from obsnet.times import decimal_year
from stations.calibration.between import ResponseCurve
from stations.calibration.episodes import Episode, find_episodes
from stations.calibration.goals import known_goal
from stations.calibration.plan import CalibrationPlan
from stations.calibration.tanks import TankDrift
from stations.calibration.targets import TargetStatistics, target_statistics
from stations.calibration.valve_runs import Runs, settled, valve_runs
from stations.calibration.water import WaterCorrection, dry_mole_fraction, water_correction, wet_mole_fraction
from stations.record.record import Notes, build, intervals
from stations.record.rows import as_dataset
from stations.record.scale_names import canonical_scale

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Calibrated", "calibrate"]


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


def calibrate(raw: xr.Dataset, plan: CalibrationPlan, goal: float | None = None) -> Calibrated:
    """Calibrate raw readings of an analyser that is switched between air and tanks.

    Runs of one gas are found from the valve, their first minutes left out. Each calibration episode gives a
    response from readings to assigned values; between episodes the calibrated value goes linearly in time
    from one response to the next (or is the mean of both). Before the first and after the last episode the
    nearest one is taken and the rows are flagged ``calibration``, as are those of an episode whose standards
    disagree beyond the goal. Target tanks are calibrated like air.

    Parameters
    ----------
    raw : xarray.Dataset
        Record of single readings with a valve variable, uncalibrated.
    plan : CalibrationPlan
        See `stations.calibration.plan`.
    goal : float, optional
        Compatibility goal, unit of the values, that standards must agree within; the package's where left out.

    Returns
    -------
    Calibrated
        Uncertainties: those of the readings and of the assigned values are propagated apart; between two
        episodes the response is taken for a random walk tied to both, whose step is the root mean square
        change from episode to episode, times Student's t of one sigma for their number (variance D^2 g w (1 - w),
        w the share of the way and g the gap over the mean gap; D^2 times the age over the mean gap beyond the
        last one).

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
    goal = known_goal(plan.species) if goal is None else goal
    found = find_episodes(runs, time[0], plan, drifts, repeatability, goal, notes)
    _tell_tanks(plan, drifts, decimal_year(time[[0, -1]]), notes)
    curve = ResponseCurve(found, time[0], plan.response.between)
    targets = _targets(runs, time, plan, drifts, curve)
    refuted = _tell_targets(targets, found, plan, goal, notes)
    record = _average(raw, plan, hours, value, valve, good, curve, water_sd, repeatability, refuted, notes)
    return Calibrated(record, found, targets, notes.changes)


def _readings(raw: xr.Dataset, plan: CalibrationPlan) -> tuple[np.ndarray, np.ndarray]:
    """Return the readings to calibrate and the systematic uncertainty of their water correction."""
    if plan.water.source == "analyser":
        return raw["value"].values, np.zeros(raw.sizes["time"])
    if plan.water.source == "wet":
        return _variable(raw, "value_wet"), np.zeros(raw.sizes["time"])
    water = _variable(raw, "h2o_reported_percent")
    if plan.water.a is None or plan.water.b is None:
        own = water_correction(plan.species)
    else:
        own = WaterCorrection(plan.water.a, plan.water.b, np.diag([plan.water.a_sd**2, plan.water.b_sd**2]))
    if plan.water.source == "residual":
        wet = wet_mole_fraction(raw["value"].values, water, water_correction(plan.species))
    else:
        wet = _variable(raw, "value_wet")
    return dry_mole_fraction(wet, water, own)


def _tell_tanks(plan: CalibrationPlan, drifts: dict[str, TankDrift], years: np.ndarray, notes: Notes) -> None:
    """Note tanks used long after their last calibration, of unknown drift, or whose calibrations scatter."""
    unit = species_of(plan.species).unit_name
    for name, drift in drifts.items():
        if drift.excess > 1.0:
            sd = float(drift.uncertainty(years.mean()))
            notes.warnings.append(
                f"the {drift.n} calibrations of tank {name!r} scatter {drift.excess:.1f} times more than they state; "
                f"its uncertainty is from their scatter, {sd:.3g} {unit}"
            )
        beyond = drift.beyond(years)
        if beyond.max() <= 0.0:
            continue
        k = int(beyond.argmax())
        side = "after its last" if years[k] > drift.last else "before its first"
        sd = float(drift.uncertainty(years[k : k + 1])[0])
        text = f"tank {name!r} is used {beyond[k]:.1f} years {side} calibration, uncertainty {sd:.3g} {unit} there"
        if np.isnan(drift.missed).any():
            dates = "a single date" if drift.first == drift.last else "so few dates"
            text += f", without any drift that calibrations on {dates} cannot show (drift_per_year)"
        notes.warnings.append(text)


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


def _average(
    raw: xr.Dataset,
    plan: CalibrationPlan,
    hours: np.ndarray,
    value: np.ndarray,
    valve: np.ndarray,
    good: np.ndarray,
    curve: ResponseCurve,
    water_sd: np.ndarray,
    repeatability: float,
    refuted: bool,
    notes: Notes,
) -> xr.Dataset:
    """Return means of calibrated air over clock intervals, all of them flagged where a target refutes the standards."""
    air = good & np.isin(valve, plan.air)
    if not air.any():
        raise RangeError(f"no settled reading of air at valve positions {list(plan.air)}")
    time = raw["time"].values[air]
    length = np.timedelta64(round(plan.average_minutes * 60), "s").astype("timedelta64[ns]")
    bins = (time - time[0].astype("datetime64[D]").astype("datetime64[ns]")) // length
    starts, number = np.unique(bins, return_inverse=True)
    n = np.bincount(number)
    full = plan.average_minutes / 60.0 / float(np.median(np.diff(hours[air]))) if n.sum() > 1 else 1.0
    few = n < plan.minimum_share * full
    share = f"fewer than {plan.minimum_share:.0%} of the {full:.0f} readings they could hold"
    notes.warn(few.sum(), f"means with {share} (flagged 'variability')")
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
    outside, doubtful = (average(result[k].astype(np.float64)) > 0 for k in ("outside", "doubtful"))
    doubtful |= refuted
    notes.warn(outside.sum(), "means before the first or after the last calibration (flagged 'calibration')")
    notes.warn(doubtful.sum(), "means of calibrations whose standards disagree (flagged 'calibration')")
    beyond = (value[air] < curve.found[0].response.low) | (value[air] > curve.found[0].response.high)
    notes.warn(
        (average(beyond.astype(np.float64)) > 0).sum(), "means with readings outside the standards' range"
    )
    start = time[0].astype("datetime64[D]").astype("datetime64[ns]") + starts * length
    attrs = {k: raw.attrs.get(k, "") for k in ("site_name", "network", "path")}
    record = build(
        {
            "value": mean + shift,
            "sd": sd,
            "n": n,
            "quality": np.where(outside | doubtful, np.uint32(Quality.CALIBRATION), np.uint32(0))
            | np.where(few, np.uint32(Quality.VARIABILITY), np.uint32(0)),
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
    return as_dataset(record)


def _tell_targets(
    targets: dict[str, TargetStatistics],
    found: list[Episode],
    plan: CalibrationPlan,
    goal: float,
    notes: Notes,
) -> bool:
    """Note targets that are off by more than the goal; return whether they refute standards that nothing else tests.

    A response goes through as many standards as it has coefficients, right or wrong: there the target alone can tell.
    """
    unit = species_of(plan.species).unit_name
    untested = sum(len(e.tanks) <= plan.response.degree + 1 for e in found)
    bias = {name: float(np.nanmedian(t.bias)) for name, t in targets.items() if np.isfinite(t.bias).any()}
    off = [f"{name!r} ({value:+.3g} {unit})" for name, value in bias.items() if abs(value) > goal]
    if off:
        text = f"target tanks off by more than the goal of {goal:g} {unit}, median of their runs: {', '.join(off)}"
        notes.warn(len(off), f"{text}; their values or those of the standards are wrong")
    if untested and not bias:
        text = "calibrations have no more standards than the response has coefficients and no target"
        notes.warn(untested, f"{text}: a wrong standard would not show")
    return untested == len(found) and bool(off)


def _targets(
    runs: Runs, time: np.ndarray, plan: CalibrationPlan, drifts: dict[str, TankDrift], curve: ResponseCurve
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
