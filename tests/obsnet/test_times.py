"""Time: UTC in, UTC out."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import ConfigError
from obsnet.times import (
    as_utc,
    decimal_year,
    from_epoch,
    round_time,
    season,
    solar_hour,
    time_bins,
    to_epoch,
    year_month,
)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2019-01-31", "2019-01-31T00:00"),
        ("2019-01-31T08:00+08:00", "2019-01-31T00:00"),
        ("2019-01-31T06:00Z", "2019-01-31T06:00"),
        (np.datetime64("2019-01-31T06:00"), "2019-01-31T06:00"),
    ],
)
def test_as_utc(text, utc):
    assert as_utc(text) == np.datetime64(utc)


@pytest.mark.parametrize("text", ["yesterday-ish", "2019-13-01", None, "NaT"])
def test_as_utc_refuses(text):
    with pytest.raises(ConfigError, match="is not a time"):
        as_utc(text)


@given(st.lists(st.floats(-2e9, 4e9), min_size=1, max_size=5))
def test_epoch_round_trip(seconds):
    assert to_epoch(from_epoch(seconds)) == pytest.approx(np.array(seconds), abs=1e-6)


def test_epoch_of_missing_and_of_other_origins():
    assert np.isnat(from_epoch([np.nan, np.inf, 1e30, -1e30])).all()
    assert np.isnan(to_epoch(np.array(["NaT"], "datetime64[us]"))).all()
    assert from_epoch(0.0, "2010-01-01") == np.datetime64("2010-01-01")


@given(st.datetimes(min_value=datetime.datetime(1950, 1, 1), max_value=datetime.datetime(2200, 1, 1)))
def test_year_and_month(moment):
    year, month = year_month(np.array([moment], "datetime64[us]"))
    assert (year[0], month[0]) == (moment.year, moment.month)


def test_decimal_year_knows_leap_years():
    assert decimal_year(np.datetime64("2020-07-02")) == pytest.approx(2020.5)
    assert decimal_year(np.datetime64("2019-07-02T12:00")) == pytest.approx(2019.5)
    assert decimal_year(np.datetime64("1969-01-01")) == 1969.0


def test_season():
    months = np.arange("1969-12", "1970-12", dtype="datetime64[M]")
    assert season(months).tolist() == ["DJF"] * 3 + ["MAM"] * 3 + ["JJA"] * 3 + ["SON"] * 3
    assert season(np.datetime64("2020-02-29T23:59:59")) == "DJF"


def test_solar_hour():
    # Beijing time is about 1 h 17 min ahead of the sun at Waliguan.
    assert solar_hour(np.datetime64("2020-01-01T00:00"), 100.9) == pytest.approx(6.7267, abs=1e-3)
    assert solar_hour(np.datetime64("2020-01-01T20:00"), 116.0) == pytest.approx(3.7333, abs=1e-3)
    assert solar_hour(np.datetime64("2020-01-01T00:00"), -60.0) == pytest.approx(20.0)
    assert solar_hour(np.datetime64("2020-01-01T00:00"), 300.0) == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("step", "right"),
    [("3h", "2019-03-05T15"), ("1D", "2019-03-05"), ("MS", "2019-03-01"), ("YS", "2019-01-01")],
)
def test_round_time(step, right):
    assert round_time("2019-03-05T17:20", step) == np.datetime64(right)
    assert round_time(right, step) == np.datetime64(right)


@pytest.mark.parametrize("step", ["3 parsecs", "3H", "", "often"])
def test_a_step_that_is_none(step):
    with pytest.raises(ConfigError, match="is not a time step; write it as 3h, 1D or MS"):
        round_time("2019-03-05", step)


def test_time_bins_cover():
    edges = time_bins("2019-01-01", "2019-01-03T12:00", "1D")
    assert list(edges) == list(
        np.array(["2019-01-01", "2019-01-02", "2019-01-03", "2019-01-04"], "datetime64[us]")
    )
    months = time_bins("2019-01-15", "2019-03-02", "MS")
    assert months[0] == np.datetime64("2019-01-15")
    assert list(months[1:]) == list(np.array(["2019-02-01", "2019-03-01", "2019-04-01"], "datetime64[us]"))


def test_time_bins_that_end_on_an_edge_have_no_empty_bin():
    assert list(time_bins("2019-01-01", "2019-01-03", "1D")) == list(
        np.array(["2019-01-01", "2019-01-02", "2019-01-03"], "datetime64[us]")
    )
    assert list(time_bins("2019-01-01", "2019-03-01", "MS")) == list(
        np.array(["2019-01-01", "2019-02-01", "2019-03-01"], "datetime64[us]")
    )
    just = time_bins("2019-01-01", "2019-01-03T00:00:00.000001", "1D")
    assert just[-1] == np.datetime64("2019-01-04")
    with pytest.raises(ConfigError, match="stop after start"):
        time_bins("2019-01-01", "2019-01-01", "1D")


def test_months_and_years_change_at_midnight():
    edge = np.array(["2019-12-31T23:59:59.999999", "2020-01-01"], "datetime64[us]")
    assert [x.tolist() for x in year_month(edge)] == [[2019, 2020], [12, 1]]
    assert decimal_year(edge)[1] == 2020.0
    assert season(edge).tolist() == ["DJF", "DJF"]
    assert solar_hour(edge[1], 0.0) == 0.0


@pytest.mark.parametrize(
    ("start", "stop", "step", "text"),
    [
        ("2019-02-01", "2019-01-01", "1D", "stop after start"),
        ("2019-01-01", "2019-02-01", "fortnight", "not a time step"),
    ],
)
def test_time_bins_refuse(start, stop, step, text):
    with pytest.raises(ConfigError, match=text):
        time_bins(start, stop, step)
