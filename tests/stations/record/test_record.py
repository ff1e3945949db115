"""The record: intervals, fills, placeholders, ranges, order, duplicates, summaries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import ConfigError, UnitError
from obsnet.schema import Quality
from stations.record.record import Notes, build, intervals, species_name, spread
from stations.record.rows import as_dataset
from stations.record.summary import summary


def make(value, *, time=None, unit="ppm", species="CO2", kind="point", notes=None, **columns):
    """Build a record of hourly rows."""
    value = np.asarray(value, dtype=float)
    if time is None:
        time = np.datetime64("2020-01-01", "s") + np.arange(len(value)) * np.timedelta64(3600, "s")
    record = build(
        {"value": value, "latitude": 30.0, "longitude": 110.0, **columns},
        species=species, unit=unit, scale="", kind=kind, notes=notes or Notes(),
        when=intervals(np.asarray(time), "start", np.timedelta64(1, "h")),
        attrs={"site": "XXX", "source": "x", "path": "f.txt"},
    )  # fmt: skip
    return as_dataset(record)


@pytest.mark.parametrize(("convention", "offset"), [("start", 0), ("middle", -1800), ("end", -3600)])
def test_what_a_stamp_names(convention, offset):
    stamp = np.array(["2020-02-29T12:00"], "datetime64[s]")
    start, middle, end, named = intervals(stamp, convention, np.timedelta64(3600, "s"))
    assert named == convention
    assert start[0] == stamp[0] + np.timedelta64(offset, "s")
    assert (middle - start)[0] == (end - middle)[0] == np.timedelta64(1800, "s")


def test_an_instant_is_its_own_interval_and_an_unknown_convention_is_refused():
    stamp = np.array(["2020-02-29T12:00"], "datetime64[s]")
    assert all(t[0] == stamp[0] for t in intervals(stamp, "instant", np.timedelta64(1, "h"))[:3])
    assert all(t[0] == stamp[0] for t in intervals(stamp, "start")[:3])
    with pytest.raises(ConfigError, match="'begin' is not one of instant, start, middle, end"):
        intervals(stamp, "begin")


@given(month=st.integers(0, 2400))
def test_calendar_months(month):
    stamp = np.array([month], "datetime64[M]").astype("datetime64[s]") + np.timedelta64(86400, "s")
    start, middle, end, _ = intervals(stamp, "middle", "month")
    assert (
        start.astype("datetime64[M]")
        == stamp.astype("datetime64[M]")
        == (end - np.timedelta64(1, "s")).astype("datetime64[M]")
    )
    assert (end - start)[0] / np.timedelta64(1, "D") in {28, 29, 30, 31}
    assert start < middle < end


@pytest.mark.parametrize(
    ("unit", "species", "factor", "name"),
    [
        ("mol mol-1", "CO2", 1e-6, "ppm"),
        ("nmol.mol-¹", "CH4", 1.0, "ppb"),
        ("1e-9", "CH4", 1.0, "ppb"),
        ("ppm", "CH4", 1e-3, "ppb"),
        ("mol mol-1", "SF6", 1e-12, "ppt"),
        ("ppt", "CFC-11", 1.0, "ppt"),
        ("1e-12", "CFC-11", 1.0, "ppt"),
        ("mol mol-1", "CFC-11", 1e-12, "ppt"),
    ],
)
def test_units_come_out_customary(unit, species, factor, name):
    expected = {"CO2": 400.0, "CH4": 1900.0, "SF6": 10.0, "CFC-11": 230.0}[species]
    record = make([expected * factor] * 3, unit=unit, species=species, uncertainty=factor)
    np.testing.assert_allclose(record["value"].values, expected, rtol=1e-12)
    np.testing.assert_allclose(record["uncertainty"].values, 1.0, rtol=1e-12)
    assert record.attrs["unit"] == name


def test_an_unknown_unit_is_an_error():
    with pytest.raises(UnitError, match=r"f\.txt: CO2: unit 'kelvins per blub' is not known"):
        make([400.0], unit="kelvins per blub")


@pytest.mark.parametrize(
    "fill", [-99.0, -99.9, -99.99, -999.0, -999.9, -999.99, -999.999, -9999.0, -999999.0, -999.99899]
)
def test_fills_whatever_they_are_called(fill):
    record = make(
        [400.0, fill, 401.0], uncertainty=[0.1, 0.1, fill], sd=[fill, 0.2, 0.2], latitude=[30.0, 30.0, 31.0]
    )
    assert np.isnan(record["value"].values).tolist() == [False, True, False]
    assert np.isnan(record["uncertainty"].values).tolist() == [False, False, True]
    assert np.isnan(record["sd"].values).tolist() == [True, False, False]
    assert len(record.attrs["changes"]) == 3


def test_single_precision_fills_are_recognised():
    assert np.isnan(make([400.0, float(np.float32(-999.999))])["value"].values[1])


def test_an_isotope_ratio_may_be_anything():
    record = make([-99.99, -20.0], unit="per mil", species="14C")
    assert record["value"].values.tolist() == [-99.99, -20.0]
    assert record.attrs["unit"] == "per mil"


def test_a_negative_altitude_is_a_place_but_minus_999_is_not():
    record = make([400.0, 400.0], altitude_m=[-28.0, -999.0])
    assert record["altitude_m"].values[0] == -28.0
    assert np.isnan(record["altitude_m"].values[1])


def test_an_intake_that_is_an_altitude_is_told():
    (said,) = make([400.0] * 2, altitude_m=3816.0, intake_height_m=3816.0).attrs["warnings"]
    assert said.startswith("2 rows have an intake 3816 m above the ground and as much above the sea")
    for altitude, intake in ((3816.0, 6.0), (10.0, 10.0), (3816.0, 3000.0)):
        assert make([400.0] * 2, altitude_m=altitude, intake_height_m=intake).attrs["warnings"] == []


def test_zero_and_negative_spreads_say_nothing():
    record = make([400.0] * 4, sd=[0.0, -0.1, 0.2, np.nan], uncertainty=[0.0, 0.1, 0.1, 0.1])
    assert np.isnan(record["sd"].values).tolist() == [True, True, False, True]
    assert record.attrs["changes"] == [
        "1 values of uncertainty exactly 0 set to missing (a placeholder, not a perfect measurement)",
        "1 values of sd exactly 0 set to missing (a placeholder, not a perfect measurement)",
        "1 negative values of sd set to missing",
    ]


def test_missing_values_are_flagged_and_rejected_ones_are_not_judged():
    record = make([400.0, np.nan, 1e9, 401.0], quality=[0, 0, int(Quality.PRODUCER), 0])
    assert record["quality"].values.tolist() == [0, int(Quality.RANGE), int(Quality.PRODUCER), 0]
    assert record.attrs["warnings"] == []


def test_column_and_point_have_ranges_of_their_own():
    assert make([1000.0] * 2).attrs["warnings"] == []  # a city hour
    (said,) = make([1900.0] * 30).attrs["warnings"]  # and methane in the column of carbon dioxide
    assert said.startswith(
        "30 values of CO2 in ppm have a median of 1900, and no column of air is outside 300"
    )
    with pytest.raises(UnitError, match="outside 300 to 600"):
        make([1000.0] * 2, kind="column")


@given(order=st.permutations(range(8)))
def test_any_order_comes_out_sorted_with_its_own_values(order):
    time = np.datetime64("2020-01-01", "s") + np.array(order) * np.timedelta64(3600, "s")
    record = make(400.0 + np.array(order), time=time, n=np.array(order))
    assert record["value"].values.tolist() == [400.0 + i for i in range(8)]
    assert record["n"].values.tolist() == list(range(8))
    assert any("back in time" in w for w in record.attrs["warnings"]) == (list(order) != sorted(order))


def test_continuous_rows_of_one_time_are_duplicates_unless_their_intakes_differ():
    time = np.array(["2020-01-01"] * 4, "datetime64[s]")
    record = make([400, 401, 402, 403], time=time, intake_height_m=[10, 10, 80, 80])
    assert (record["quality"].values & np.uint32(Quality.DUPLICATE) != 0).tolist() == [
        False,
        True,
        False,
        True,
    ]


def test_flasks_are_duplicates_only_when_all_is_the_same():
    time = np.array(["2020-01-01"] * 4, "datetime64[s]")
    record = make(
        [400, 400, 400, 401],
        time=time,
        sample_id=["a", "a", "b", "a"],
        identity=np.array(["1", "1", "1", "1"]),
    )
    assert (record["quality"].values & np.uint32(Quality.DUPLICATE) != 0).tolist() == [
        False,
        True,
        False,
        False,
    ]
    again = make([400, 400], time=time[:2], sample_id=["a", "a"], identity=np.array(["1", "2"]))
    assert (again["quality"].values == 0).all()


def test_positions():
    record = make([400.0] * 3, latitude=[30.0, 95.0, np.nan], longitude=[190.0, 10.0, 10.0])
    assert record["longitude"].values[0] == -170.0
    assert (record["quality"].values & np.uint32(Quality.GEOLOCATION) != 0).tolist() == [False, True, True]
    nowhere = make([400.0] * 3, latitude=np.nan, longitude=np.nan)
    assert (nowhere["quality"].values == 0).all()
    assert any(w.startswith("3 rows without a position") for w in nowhere.attrs["warnings"])


def test_spread_splits_by_count():
    parts = spread(np.array([0.1, 0.2, 0.3]), np.array([1.0, 5.0, np.nan]))
    np.testing.assert_array_equal(parts["sd"], [np.nan, 0.2, 0.3])
    np.testing.assert_array_equal(parts["uncertainty"], [0.1, np.nan, np.nan])
    np.testing.assert_array_equal(spread(np.array([0.1]), None)["sd"], [0.1])


def test_summary_counts_flags_and_bits():
    record = make(
        [400, 401, np.nan],
        quality_original=["a", "a", "b"],
        quality=[0, int(Quality.SELECTION | Quality.SUSPECT), 0],
    )
    found = summary(record)
    assert found["flags"] == {"a": 2, "b": 1}
    assert found["quality"] == {"use": 1, "range": 1, "selection": 1, "suspect": 1}
    assert (found["first_time"], found["last_time"]) == ("2020-01-01T00:30:00Z", "2020-01-01T02:30:00Z")
    assert (found["start"], found["end"]) == ("2020-01-01T00:00:00Z", "2020-01-01T03:00:00Z")
    assert found["mean_good"] == 400.0


def test_species_names():
    assert (species_name("co2"), species_name("ch3ccl3"), species_name("CFC-11")) == (
        "CO2",
        "ch3ccl3",
        "CFC-11",
    )


def test_notes_say_nothing_of_zero_and_go_on_by_themselves():
    notes = Notes()
    notes.changed(0, "nothing")
    notes.warn(np.int64(0), "nothing")
    notes.warn(np.int64(2), "things")
    other = notes.copy()
    other.warn(1, "more")
    assert notes.warnings == ["2 things"]
    assert other.warnings == ["2 things", "1 more"]
