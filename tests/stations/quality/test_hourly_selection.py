"""NOAA's mountain rules hour by hour."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest

from obsnet.errors import ConfigError, RangeError
from stations.quality.hourly_selection import REASONS, mountain_hours
from tests.stations.references import reference


@pytest.fixture(scope="module")
def cabauw(sample_data):
    """Hours, values and scatter of Cabauw at 207 m; hours without scatter left out."""
    import xarray as xr

    path = sample_data / "stations/obspack_icos/co2_cbw_tower-insitu_445_allvalid-207magl.nc"
    with xr.open_dataset(path, engine="netcdf4") as data:
        start = data["start_time"].values
        value, sd = (1e6 * data[n].values.astype(np.float64) for n in ("value", "value_std_dev"))
    rows = (start >= np.datetime64("2000")) & (start < np.datetime64("2023"))
    rows &= np.isfinite(value) & np.isfinite(sd)
    return start[rows].astype("datetime64[h]").astype(np.int64), value[rows], sd[rows]


@pytest.mark.parametrize(
    ("upslope", "kept", "letters"),
    [(None, 2179, "faf0bedcb09b81ff"), ((21, 5), 1066, "828845378f8a0c75")],
)
def test_every_hour_of_eighteen_years_equals_noaa(cabauw, upslope, kept, letters):
    """The letters of NOAA's program, each year by itself with its missing hours as fill rows, by their sha256."""
    ours = mountain_hours(*cabauw, upslope=upslope)
    assert ours.size == 134_149
    assert (ours == ".").sum() == kept
    assert hashlib.sha256("".join(ours.tolist()).encode()).hexdigest()[:16] == letters


def test_every_hour_equals_noaas_letters_of_the_case(cabauw, sample_data):
    import pandas as pd

    path = sample_data.parent / "cases/stations/noaa_selection_cbw_207m_2000_2022.csv.gz"
    if not path.exists():
        pytest.skip("the case's letters are absent; their sha256 is checked above")
    theirs = pd.read_csv(path, keep_default_na=False)
    hours = theirs["start_time"].to_numpy().astype("datetime64[h]").astype(np.int64)
    np.testing.assert_array_equal(cabauw[0], hours)
    np.testing.assert_array_equal(mountain_hours(*cabauw), theirs["letter_no_window"])
    np.testing.assert_array_equal(mountain_hours(*cabauw, upslope=(21, 5)), theirs["letter_upslope_21_5"])


def test_rows_one_after_the_other_equal_noaa(cabauw, sample_data):
    """NOAA's program knows hours by their place: without fill rows it takes neighbours in the file for neighbours."""
    hour, value, sd = cabauw
    rows = hour >= np.datetime64("2022", "h").astype(np.int64)
    # in single precision, as the numbers for which NOAA's letters were made
    ours = mountain_hours(hour[rows][0] + np.arange(rows.sum()), *(np.float32(x[rows]) for x in (value, sd)))
    theirs = reference(sample_data, "noaa_quality_control_and_tanks.json")["hourly_selection_cbw"]["flags"]
    assert ours.tolist() == [flag[1] for _, flag in theirs]
    assert Counter(ours.tolist()) == {"V": 4953, "D": 756, "S": 149, "N": 48, ".": 161}


def _quiet(n, value=400.0):
    return 2400 + np.arange(n), np.full(n, value), np.full(n, 0.1)


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
    value[[11, 13]] += [0.6, 0.4]
    assert mountain_hours(hour, value, sd)[10:15].tolist() == [".", "D", "D", "D", "."]


def test_one_missing_hour_doubles_the_limit():
    hour, value, sd = _quiet(24)
    gone = np.delete(np.arange(24), [10, 12, 14])  # 11 and 13 stand alone between missing hours
    value[13:] += 0.4
    assert mountain_hours(hour[gone], value[gone], sd[gone])[10:12].tolist() == ["S", "S"]
    value[13:] += 0.2
    assert mountain_hours(hour[gone], value[gone], sd[gone])[10:12].tolist() == ["D", "D"]


def test_over_a_missing_hour_only_hours_without_a_letter_are_compared():
    hour, value, sd = _quiet(24)
    sd[11] = 0.5
    gone = np.delete(np.arange(24), 12)
    value[13:] += 5.0
    assert mountain_hours(hour[gone], value[gone], sd[gone])[10:13].tolist() == [".", "V", "."]


def test_two_quiet_runs_far_apart_do_not_meet():
    hour = np.r_[0:3, 96:99]
    value = np.repeat([400.0, 402.0], 3)
    assert set(mountain_hours(hour, value, np.full(6, 0.1))) == {"."}


def test_upslope_hours_are_not_compared_with():
    value = np.array([410.0, 410.1, 410.1, 412.0, 413.0])
    letters = mountain_hours(np.arange(18, 23), value, np.full(5, 0.1), upslope=(21, 5))
    assert letters.tolist() == [".", ".", ".", "U", "U"]


def test_singles_and_lonely_pairs():
    """The first hour of a year has nobody before it and is judged by neither rule, as in NOAA's program."""
    hour = np.array([0, 20, 40, 41, 60, 61, 62])
    letters = mountain_hours(hour, np.full(7, 400.0), np.full(7, 0.1))
    assert letters.tolist() == [".", "S", "N", "N", ".", ".", "."]


@pytest.mark.parametrize(("last", "letter"), [(10, "."), (11, "N")])
def test_the_last_hour_of_a_year_may_be_single_with_one_hour_of_company(last, letter):
    """As NOAA's program has it, which was run on the hours of Cabauw 27 m and of Bilsdale, and on 800 draws."""
    hour = np.r_[0:3, last]
    assert mountain_hours(hour, np.full(4, 400.0), np.full(4, 0.1)).tolist() == [*"...", letter]


def test_years_are_judged_one_by_one():
    new_year = np.datetime64("2020-01-01", "h").astype(np.int64)
    value = np.where(np.arange(6) < 3, 400.0, 409.0)
    assert set(mountain_hours(new_year + np.arange(-3, 3), value, np.full(6, 0.1))) == {"."}
    jump = np.where(np.arange(6) < 2, 400.0, 409.0)
    assert mountain_hours(new_year + np.arange(-2, 4), jump, np.full(6, 0.1)).tolist() == [".", "N", *4 * "."]
    assert set(mountain_hours(new_year + np.arange(2, 8), jump, np.full(6, 0.1))) == {"."}


def test_missing_hours_may_be_there_as_fills():
    hour, value, sd = _quiet(24)
    value[9:] += 0.4
    fill = np.isin(np.arange(24), [3, 4, 9, 15])
    with_fills = mountain_hours(hour, np.where(fill, -999.99, value), sd)
    np.testing.assert_array_equal(with_fills == "*", fill)
    np.testing.assert_array_equal(with_fills[~fill], mountain_hours(hour[~fill], value[~fill], sd[~fill]))
    np.testing.assert_array_equal(mountain_hours(hour, np.where(fill, np.nan, value), sd), with_fills)


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
