"""Target-tank statistics and alarms, and the goals behind them."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import ConfigError
from stations.calibration.goals import compatibility_goal
from stations.calibration.targets import target_alarms, target_statistics

RUNS = np.datetime64("2020-01-01") + np.arange(40) * np.timedelta64(12, "h")


def test_moving_statistics_are_the_plain_ones():
    bias = np.random.default_rng(0).standard_normal(40)
    got = target_statistics(RUNS, bias, np.full(40, 0.03), window_days=3)
    k = 20
    age = RUNS[k] - RUNS
    inside = bias[(age >= np.timedelta64(0, "s")) & (age < np.timedelta64(3, "D"))]
    assert inside.size == 6
    assert got.sttb[k] == pytest.approx(inside.mean())
    assert got.ltr[k] == pytest.approx(inside.std(ddof=1))
    assert np.isnan(got.ltr[:2]).all()
    assert got.sttb[0] == bias[0]
    assert (got.cmr == 0.03).all()


def test_alarms():
    bias = np.tile([0.01, -0.01], 20).astype(float)
    bias[30], bias[35] = 0.25, 0.08
    alarms = target_alarms(target_statistics(RUNS, bias, np.full(40, 0.03), window_days=3), goal=0.1)
    by_time = {str(a.time): a for a in alarms}
    assert by_time[str(RUNS[30])].reason == "beyond the compatibility goal"
    assert by_time[str(RUNS[30])].limit == 0.1
    assert len(alarms) >= 1
    calm = target_alarms(target_statistics(RUNS, np.tile([0.01, -0.01], 20), np.full(40, 0.03)), goal=0.1)
    assert calm == []


def test_a_run_out_of_line_is_found_below_the_goal():
    bias = np.tile([0.005, -0.005], 20).astype(float)
    bias[30] = 0.08
    (alarm,) = [
        a for a in target_alarms(target_statistics(RUNS, bias, np.zeros(40)), goal=0.1) if a.time == RUNS[30]
    ]
    assert alarm.reason == "out of line with the runs before"


def test_goals_are_a_table_with_its_warning(tmp_path):
    goal = compatibility_goal("CO2")
    assert (goal.goal, goal.extended) == (0.1, 0.2)
    assert "not checked" in goal.note
    own = tmp_path / "mine.toml"
    own.write_text("[goal]\nCO2 = 0.3\n")
    assert compatibility_goal("CO2", own).goal == 0.3
    assert np.isnan(compatibility_goal("CO2", own).extended)
    with pytest.raises(ConfigError, match="has no compatibility goal of CF4"):
        compatibility_goal("CF4")


def test_refusal():
    with pytest.raises(ConfigError, match="above 0, found 0"):
        target_statistics(RUNS, np.zeros(40), np.zeros(40), window_days=0)
