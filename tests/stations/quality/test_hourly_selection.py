"""NOAA's mountain rules hour by hour."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from obsnet.errors import ConfigError, RangeError
from stations.quality.hourly_selection import REASONS, mountain_hours
from tests.stations.references import reference


@pytest.fixture(scope="module")
def cabauw(sample_data):
    """Hours, values and scatter of Cabauw at 207 m in 2022, as single precision as the file."""
    import xarray as xr

    path = sample_data / "stations/obspack_icos/co2_cbw_tower-insitu_445_allvalid-207magl.nc"
    with xr.open_dataset(path) as data:
        start = data["start_time"].values
        rows = (start >= np.datetime64("2022-01-01")) & (start < np.datetime64("2023-01-01"))
        rows &= np.isfinite(data["value"].values)
        hour = start[rows].astype("datetime64[h]").astype(np.int64)
        value, sd = (np.float32(1e6) * data[n].values[rows] for n in ("value", "value_std_dev"))
    return hour, value, sd


def test_every_hour_equals_noaa(cabauw, sample_data):
    ours = mountain_hours(*cabauw)
    theirs = reference(sample_data, "noaa_quality_control_and_tanks.json")["hourly_selection_cbw"]["flags"]
    assert ours.tolist() == [flag[1] for _, flag in theirs]
    assert Counter(ours.tolist()) == {"V": 4953, "D": 756, "S": 149, "N": 48, ".": 161}


def test_upslope_count_equals_noaa(cabauw):
    assert Counter(mountain_hours(*cabauw, upslope=(21, 5)).tolist())["U"] == 2235


def _quiet(n, value=400.0):
    return np.arange(n), np.full(n, value), np.full(n, 0.1)


def test_quiet_air_is_kept():
    assert set(mountain_hours(*_quiet(48))) == {"."}


def test_scatter_within_the_hour():
    hour, value, sd = _quiet(24)
    sd[10] = 0.30
    sd[11] = np.nan
    letters = mountain_hours(hour, value, sd)
    assert letters[10] == "V"
    assert (letters[[9, 11]] == ".").all()


def test_a_jump_takes_both_hours_but_edges_of_long_runs_come_back():
    hour, value, sd = _quiet(24)
    value[12:] += 1.0
    assert set(mountain_hours(hour, value, sd)) == {"."}  # both have three kept hours on one side
    assert mountain_hours(hour, value, sd, run=20)[11:13].tolist() == ["D", "D"]


def test_one_missing_hour_doubles_the_limit():
    hour, value, sd = _quiet(24)
    gone = np.delete(np.arange(24), 12)
    value[13:] += 0.4
    assert mountain_hours(hour[gone], value[gone], sd[gone], run=20)[11:13].tolist() == [".", "."]
    value[13:] += 0.2
    assert mountain_hours(hour[gone], value[gone], sd[gone], run=20)[11:13].tolist() == ["D", "D"]


def test_singles_and_lonely_pairs():
    hour = np.array([0, 20, 21, 60, 61, 62])
    letters = mountain_hours(hour, np.full(6, 400.0), np.full(6, 0.1))
    assert letters.tolist() == ["S", "N", "N", ".", ".", "."]


@pytest.mark.parametrize(("window", "expected"), [((21, 5), 9), ((10, 16), 7), ((0, 23), 24)])
def test_upslope_window_may_pass_midnight(window, expected):
    letters = mountain_hours(*_quiet(24), upslope=window)
    assert (letters == "U").sum() == expected


def test_every_letter_has_a_reason():
    assert set(REASONS) == set("VDUSN")


def test_refusals():
    with pytest.raises(RangeError, match="each hour once, in order"):
        mountain_hours(np.array([1, 1]), np.ones(2), np.ones(2))
    with pytest.raises(ConfigError, match="above 0"):
        mountain_hours(*_quiet(3), maximum_sd=0)
    assert mountain_hours(*_quiet(0)).size == 0
