"""Runs of one gas, settling, episodes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import RangeError
from stations.calibration.valve_runs import episodes, settled, valve_runs


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=80), st.integers(0, 5))
def test_runs_partition_the_readings(positions, seed):
    rng = np.random.default_rng(seed)
    valve = np.array(positions)
    hours = np.cumsum(rng.choice([0.01, 0.02, 3.0], valve.size, p=[0.5, 0.4, 0.1]))
    value = 400 + rng.standard_normal(valve.size)
    runs = valve_runs(hours, value, valve, np.ones(valve.size, bool), gap_minutes=60)
    assert runs.first[0] == 0
    assert runs.last[-1] == valve.size
    np.testing.assert_array_equal(runs.first[1:], runs.last[:-1])
    for k in range(runs.valve.size):
        part = slice(runs.first[k], runs.last[k])
        assert (valve[part] == runs.valve[k]).all()
        assert runs.n[k] == part.stop - part.start
        assert runs.mean[k] == pytest.approx(value[part].mean())
        if runs.n[k] > 1:
            assert runs.sd[k] == pytest.approx(value[part].std(ddof=1))
            assert (np.diff(hours[part]) <= 1.0).all()
        else:
            assert np.isnan(runs.sd[k])
        assert runs.middle[k] == pytest.approx(hours[part].mean())


def test_settling_counts_from_every_switch_and_every_silence():
    hours = np.array([0, 2, 4, 6, 8, 10, 12, 100, 102, 106.0]) / 60
    valve = np.array([1, 1, 1, 2, 2, 2, 2, 2, 2, 2])
    ready = settled(hours, valve, np.full(10, 3.0), gap_minutes=10)
    assert ready.tolist() == [False, False, True, False, False, True, True, False, False, True]


def test_unknown_positions_never_settle():
    assert not settled(np.arange(5.0), np.full(5, -1), np.zeros(5), 1e9).any()


def test_readings_that_do_not_count_are_left_out_of_means():
    runs = valve_runs(
        np.arange(4) / 60,
        np.array([1.0, 5.0, np.nan, 3.0]),
        np.ones(4, int),
        np.array([False, True, True, True]),
        9,
    )
    assert (runs.n[0], runs.mean[0]) == (2, 4.0)


def test_means_do_not_lose_digits():
    value = 1e9 + np.array([0.25, 0.5, 0.75])
    runs = valve_runs(np.arange(3) / 60, value, np.ones(3, int), np.ones(3, bool), 9)
    assert runs.sd[0] == 0.25


@pytest.mark.parametrize(
    ("middle", "valve", "air", "number"),
    [
        ([0, 1, 2, 30, 31, 80], [2, 3, 4, 2, 3, 2], "......", "000112"),  # pauses alone
        ([0, 1, 2, 12, 13, 14], [2, 3, 4, 2, 3, 4], "...a..", "000111"),  # round again, air between
        ([0, 1, 2, 3, 4, 5], [2, 3, 4, 2, 3, 4], "......", "000000"),  # rounds without air
        ([0, 1, 2, 3, 4, 5], [2, 3, 4, 4, 3, 2], ".aaaaa", "000011"),  # there and back
        ([0, 0.5, 1, 1.5, 2, 2.5], [2, 2, 3, 3, 4, 4], ".aaaaa", "000000"),  # each twice
        ([0, 6, 12, 18, 18.3, 18.6], [2, 2, 2, 2, 3, 4], ".aaa..", "012333"),  # one alone, every six hours
        ([0, 6, 12], [2, 3, 4], ".aa", "000"),  # one at a time
    ],
)
def test_episodes(middle, valve, air, number):
    after_air = np.array([a == "a" for a in air])
    found = episodes(np.array(middle, float), np.array(valve), after_air, 12)
    assert "".join(map(str, found)) == number


def test_no_run_is_no_episode():
    assert episodes(np.array([]), np.array([], int), np.array([], bool), 12).size == 0


def test_refusals():
    with pytest.raises(RangeError, match="no readings"):
        valve_runs(np.array([]), np.array([]), np.array([]), np.array([], bool), 1)
    with pytest.raises(RangeError, match="in time order"):
        valve_runs(np.array([1.0, 0]), np.ones(2), np.ones(2, int), np.ones(2, bool), 1)
