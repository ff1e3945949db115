"""Standards that do not agree: named, with the right size, and seldom for nothing."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.schema import Quality
from stations.calibration.agreement import judge_standards
from stations.calibration.calibrate import calibrate
from stations.calibration.goals import known_goal
from tests.stations.analyser import PLAN, sequence
from tests.stations.calibration.test_calibrate import errors, plan_of

VALUES = np.array([380.0, 400.0, 415.0, 430.0, 460.0])
NAMES = ["a", "b", "c", "d", "e"]


def judge(assigned, true=VALUES, sigma=0.02, degree=1, goal=0.1, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    reading = (true - 0.8) / 0.998 + noise * rng.standard_normal(true.size)
    return judge_standards(NAMES[: true.size], reading, assigned, np.full(true.size, sigma), degree, goal)


def test_agreeing_standards_are_left_alone():
    assert not judge(VALUES).misfits
    assert not judge(VALUES[:2], VALUES[:2]).misfits


@pytest.mark.parametrize("k", range(5))
@pytest.mark.parametrize("off", [-1.0, 0.2])
def test_the_wrong_one_of_five_is_named_with_its_size(k, off):
    wrong = VALUES.copy()
    wrong[k] += off
    found = judge(wrong, noise=0.001)
    assert [m.tank for m in found.misfits] == [NAMES[k]]
    assert found.which
    assert found.misfits[0].off == pytest.approx(off, abs=0.01)
    assert not found.swapped
    assert f"'{NAMES[k]}' ({found.misfits[0].off:+.3g} ppm" in found.words("ppm")


def test_of_three_all_are_named_and_none_is_accused():
    found = judge(VALUES[:3] + [0, 1, 0], VALUES[:3])
    assert {m.tank for m in found.misfits} == {"a", "b", "c"}
    assert not found.which
    assert {m.tank: m.off for m in found.misfits}["b"] == pytest.approx(1.0, abs=1e-6)
    assert "too few standards to tell which" in found.words("ppm")
    assert found.beyond_goal


def test_two_wrong_of_five_are_named():
    assert {m.tank for m in judge(VALUES + [0, 2.0, 0, 3.0, 0]).misfits} >= {"b", "d"}


@pytest.mark.parametrize("pair", [(0, 1), (1, 2), (0, 4), (3, 4)])
def test_swapped_values_are_said(pair):
    swapped = VALUES.copy()
    swapped[list(pair)] = swapped[list(pair[::-1])]
    found = judge(swapped, noise=0.002)
    assert found.swapped == tuple(NAMES[k] for k in pair)
    assert found.beyond_goal


@pytest.mark.parametrize("n", [2, 3])
def test_a_response_that_falls_is_no_response(n):
    """The ends of evenly spaced standards exchanged fit a line perfectly, one that falls."""
    true = np.array([380.0, 440.0, 410.0])[:n]
    found = judge(true[[1, 0, 2][:n]], true)
    assert found.swapped == ("a", "b")
    assert found.beyond_goal


def test_beyond_the_goal_is_said_though_uncertain_and_beyond_three_sigma_though_small():
    wide = judge(VALUES + [0, 0, 0.5, 0, 0], sigma=0.3)
    assert wide.misfits
    assert wide.beyond_goal
    small = judge(VALUES + [0, 0, 0.05, 0, 0], sigma=0.01)
    assert [m.tank for m in small.misfits] == ["c"]
    assert not small.beyond_goal
    assert not judge(VALUES + [0, 0, 0.05, 0, 0], sigma=0.02).misfits


@pytest.mark.parametrize(("n", "most"), [(3, 0.006), (5, 0.02)])
def test_false_alarms_are_as_rare_as_three_sigma(n, most):
    rng = np.random.default_rng(5)
    draws = VALUES[:n] + 0.02 * rng.standard_normal((2000, n))
    assert np.mean([bool(judge(d, VALUES[:n]).misfits) for d in draws]) < most


def test_goals_of_species_the_table_lacks():
    assert known_goal("CO2") == 0.1
    assert known_goal("CFC-11") == np.inf


def test_one_of_three_standards_wrong_is_said_and_flagged(tmp_path):
    plan = plan_of(tmp_path, PLAN.replace("value = 410.0", "value = 411.0"))
    done = calibrate(sequence(), plan)
    assert errors(done.record).mean() == pytest.approx(1 / 3, abs=0.02)  # calibrated in
    assert all({m.tank for m in e.disagreement.misfits} == {"low", "middle", "high"} for e in done.episodes)
    assert (done.record["quality"].values & Quality.CALIBRATION).all()
    (word,) = [w for w in done.record.attrs["warnings"] if "do not agree" in w]
    assert word.startswith("4 of 4 calibrations")
    assert "'middle' (+1" in word
    lenient = calibrate(sequence(), plan, goal=2.0)
    assert (lenient.record["quality"].values == 0).any()
    assert any("do not agree" in w for w in lenient.record.attrs["warnings"])  # beyond 3 sigma still


def test_a_tank_on_the_wrong_valve_for_one_calibration_flags_what_rests_on_it(tmp_path):
    raw = sequence()
    hours = (raw["time"].values - raw["time"].values[0]) / np.timedelta64(1, "h")
    valve = raw["mpv_position"].values.copy()
    second = (hours > 48) & (hours < 60)
    raw["mpv_position"].values[second & (valve == 2)] = 3
    raw["mpv_position"].values[second & (valve == 3)] = 2
    done = calibrate(raw, plan_of(tmp_path))
    assert [e.disagreement.swapped for e in done.episodes] == [(), ("low", "middle"), (), ()]
    flagged = (done.record["quality"].values & Quality.CALIBRATION) > 0
    first, third = done.episodes[0].time, done.episodes[2].time
    inside = (done.record["time_start"].values > first) & (done.record["time_end"].values < third)
    assert flagged[inside].all()
    assert not flagged[(done.record["time_start"].values > third)][:40].any()
