"""Calibration episodes: which tank runs belong together, the response they give, and whether the tanks agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from obsnet.constants import species as species_of
from obsnet.errors import RangeError
from obsnet.times import decimal_year
from stations.calibration.agreement import Disagreement, judge_standards
from stations.calibration.plan import CalibrationPlan
from stations.calibration.response import Response, fit_response
from stations.calibration.tanks import TankDrift
from stations.calibration.valve_runs import Runs, episodes
from stations.record.checks import Notes

__all__ = ["Episode", "find_episodes"]


@dataclass(frozen=True)
class Episode:
    """One calibration: when, with which tanks, and the response found.

    Attributes
    ----------
    time : numpy.datetime64
        Mean time of the readings.
    hours : float
        From the first run to the last.
    tanks : tuple of str
        Names, in the plan's order.
    response : Response
        From readings to assigned values.
    disagreement : Disagreement
        Standards that do not fit the others, beyond 3 sigma or the goal.
    """

    time: np.datetime64
    hours: float
    tanks: tuple[str, ...]
    response: Response
    disagreement: Disagreement


def find_episodes(
    runs: Runs,
    origin: np.datetime64,
    plan: CalibrationPlan,
    drifts: dict[str, TankDrift],
    repeatability: float,
    goal: float,
    notes: Notes,
) -> list[Episode]:
    """Return the calibrations that a sequence of runs holds.

    Parameters
    ----------
    runs : Runs
        Of the valve.
    origin : numpy.datetime64
        From which their hours count.
    plan, drifts
        Valves and tanks, and the tanks' values.
    repeatability : float
        Of a single reading.
    goal : float
        Compatibility goal, unit of the values; infinite where there is none.
    notes : Notes
        Told of runs and calibrations left out, of calibrations longer than the pause that would end them, and of
        standards that do not agree.

    Raises
    ------
    RangeError
        No calibration has enough standards.
    """
    standards = [t.valve for t in plan.by_role("standard")]
    rows = runs.of(standards)
    short = runs.n[rows] < plan.minimum_readings
    notes.changed(short.sum(), f"runs of standards with fewer than {plan.minimum_readings} readings left out")
    rows = rows[~short]
    air = np.searchsorted(runs.of(list(plan.air)), rows)
    after_air = np.diff(air, prepend=air[:1]) > 0
    gap = plan.response.episode_gap_hours
    number = episodes(runs.middle[rows], runs.valve[rows], after_air, gap)
    every = [
        _episode(runs, rows[number == k], origin, plan, drifts, repeatability, goal)
        for k in np.unique(number)
    ]
    found = [episode for episode in every if episode is not None]
    notes.warn(len(every) - len(found), "calibrations with too few standards left out")
    if not found:
        valves = ", ".join(map(str, standards))
        raise RangeError(f"no complete calibration: no episode with enough standards on valves {valves}")
    long = [e for e in found if e.hours > gap]
    notes.warn(
        len(long),
        f"calibrations longer than {gap:g} h, over which the analyser is taken as steady: "
        + ", ".join(f"{str(e.time)[:16]} ({e.hours:.1f} h)" for e in long[:6])
        + (" ..." if len(long) > 6 else ""),
    )
    _tell_disagreements(found, species_of(plan.species).unit_name, notes)
    return found


def _tell_disagreements(found: list[Episode], unit: str, notes: Notes) -> None:
    """Note standards that do not agree: a line for each set of them, with its worst calibration."""
    plain = [e for e in found if not e.disagreement.misfits]
    chi = np.array([e.response.reduced_chi_square for e in plain])
    freedom = np.array([len(e.tanks) - e.response.coefficients.size for e in plain])
    # the gases are off alike each time: the calibrations together are one test
    odds = chi2.sf(chi * freedom, np.maximum(freedom, 1))
    if (freedom > 0).any() and np.median(odds[freedom > 0]) < 0.05:
        chi = chi[freedom > 0]
        notes.warn(
            chi.size,
            f"calibrations with a reduced chi-square of {np.median(chi):.1f} (median): the uncertainties of their "
            f"standards look {np.sqrt(np.median(chi)):.1f} times too small; those of the response are enlarged by that",
        )
    groups: dict[tuple[str, ...], list[Episode]] = {}
    for episode in found:
        odd = episode.disagreement
        if odd.misfits:
            groups.setdefault(odd.swapped or tuple(sorted(m.tank for m in odd.misfits)), []).append(episode)
    for members in groups.values():
        worst = max(members, key=lambda e: np.nan_to_num(e.disagreement.misfits[0].sigmas))
        flagged = sum(e.disagreement.beyond_goal for e in members)
        notes.warn(
            len(members),
            f"of {len(found)} calibrations have standards that do not agree "
            f"({', '.join(str(e.time)[:16] for e in members[:6])}{' ...' if len(members) > 6 else ''}); "
            f"at {str(worst.time)[:16]} {worst.disagreement.words(unit)}"
            + (
                f"; {flagged} beyond the goal, what they calibrate is flagged 'calibration'"
                if flagged
                else ""
            ),
        )


def _episode(
    runs: Runs,
    rows: np.ndarray,
    origin: np.datetime64,
    plan: CalibrationPlan,
    drifts: dict[str, TankDrift],
    repeatability: float,
    goal: float,
) -> Episode | None:
    middle = float(np.average(runs.middle[rows], weights=runs.n[rows]))
    when = origin + np.timedelta64(round(middle * 3600), "s")
    year = decimal_year(np.array([when]))
    names, columns = [], []
    for tank in plan.by_role("standard"):
        mine = rows[runs.valve[rows] == tank.valve]
        if mine.size == 0:
            continue
        weight = runs.n[mine].astype(np.float64)
        mean = float(np.average(runs.mean[mine], weights=weight))
        # Runs of one tank may scatter by more than their readings do; the larger of the two counts.
        between = float(runs.mean[mine].std(ddof=1) / np.sqrt(mine.size)) if mine.size > 1 else 0.0
        sd = max(repeatability / np.sqrt(weight.sum()), between, plan.response.reading_sd or 0.0)
        drift = drifts[tank.name]
        names.append(tank.name)
        own = float(drift.own_uncertainty(year)[0])
        columns.append((mean, float(drift.value(year)[0]), sd, own, drift.systematic))
    degree = plan.response.degree
    if len(names) <= degree:
        return None
    reading, assigned, reading_sd, assigned_sd, shared = np.array(columns).T
    response = fit_response(
        reading, assigned, reading_sd, assigned_sd, shared, degree=degree, method=plan.response.method
    )
    sigma = np.hypot(assigned_sd, response.slope(reading) * reading_sd)
    disagreement = judge_standards(names, reading, assigned, sigma, degree, goal)
    hours = float(runs.stop[rows].max() - runs.start[rows].min())
    return Episode(when, hours, tuple(names), response, disagreement)
