"""The same air twice is noticed by platform, time and place; what only looks alike is not."""

import numpy as np
import pyarrow as pa
import pytest

from inversion.case.inputs.same_air import refuse_same_air, same_air
from obsnet.errors import SchemaError
from obsnet.schema import observation_table

START = np.datetime64("2019-06-01T05:00", "us")


def rows(count, *, kind="column", source="oco2_lite_v11", file_id="a" * 16, seconds=None, **changes):
    seconds = np.arange(count) * 0.3 if seconds is None else np.asarray(seconds, dtype=float)
    made = {
        "obs_id": [f"{source}:{file_id[:2]}:{k}" for k in range(count)],
        "platform": ["OCO-2"] * count,
        "time": START + (seconds * 1e6).astype("timedelta64[us]"),
        "latitude": 35.0 + 0.02 * np.arange(count),
        "longitude": np.full(count, 110.0),
        "value": np.full(count, 412.0),
        "uncertainty": np.full(count, 0.5),
        "mode": ["land"] * count,
    } | changes
    return observation_table(made, species="CO2", kind=kind, source=source, file_id=file_id)


def test_soundings_of_a_swath_are_different_air():
    across = rows(8, seconds=np.zeros(8), longitude=110.0 + 0.05 * np.arange(8))
    assert same_air(rows(200)) == []
    # across the border of two granules, and two products that kept different footprints
    after = rows(3, file_id="b" * 16, seconds=[60.0, 60.3, 60.6], latitude=35.0 + 0.02 * np.arange(200, 203))
    assert same_air(pa.concat_tables([rows(200), after])) == []
    beside = rows(200, source="focal_v10", longitude=np.full(200, 110.014))
    assert same_air(pa.concat_tables([rows(200), beside])) == []
    assert same_air(across) == []


def test_two_products_of_one_sounding():
    lite = rows(5, seconds=[0, 100, 200, 300, 400])
    other = rows(5, source="focal_v10", seconds=[0.2, 100.1, 250, 300, 400], platform=["OCO2"] * 5,
                 latitude=35.003 + 0.02 * np.arange(5))  # fmt: skip
    pairs = same_air(pa.concat_tables([lite, other]))
    assert [(p.first, p.second) for p in pairs] == [(0, 5), (1, 6), (3, 8), (4, 9)]
    assert {p.why for p in pairs} == {"the same sounding"}


def test_the_order_of_rows_does_not_matter():
    when = [0, 100, 200, 300, 400]
    table = pa.concat_tables([rows(5, seconds=when), rows(5, source="b_v1", seconds=when)])
    order = np.random.default_rng(0).permutation(10)
    found = {frozenset((order[p.first], order[p.second])) for p in same_air(table.take(order))}
    assert found == {frozenset((k, k + 5)) for k in range(5)}


def test_two_files_of_one_window():
    first = rows(3, seconds=[2, 12, 22], n=[10, 10, 10], latitude=[35.0, 35.6, 36.2])
    second = rows(2, file_id="b" * 16, seconds=[27, 33], n=[9, 10], latitude=[36.4, 36.8])
    pairs = same_air(pa.concat_tables([first, second]))
    assert [(p.first, p.second) for p in pairs] == [(2, 3)]
    other = rows(1, file_id="b" * 16, seconds=[27], n=[9], latitude=[36.4], mode=["glint"])
    assert same_air(pa.concat_tables([first, other])) == []


def test_neighbouring_cells_of_one_file_are_different_air():
    assert same_air(rows(4, seconds=[1, 2, 3, 4], n=[5, 5, 5, 5], latitude=[35.0, 35.5, 35.0, 35.5])) == []


def test_an_hour_of_a_station_in_two_files():
    hour = {
        "seconds": [0, 3600, 7200],
        "platform": ["WLG"] * 3,
        "latitude": [36.28] * 3,
        "intake_height_m": [80.0] * 3,
    }
    one = rows(3, kind="point", source="noaa", **hour)
    again = rows(3, kind="point", source="noaa", file_id="b" * 16, **hour)
    other = rows(3, kind="point", source="noaa", file_id="c" * 16, **(hour | {"intake_height_m": [10.0] * 3}))
    assert [(p.first, p.second) for p in same_air(pa.concat_tables([one, again]))] == [(0, 3), (1, 4), (2, 5)]
    assert same_air(pa.concat_tables([one, other])) == []


@pytest.mark.parametrize(("length", "late", "pairs"), [(30, 0, 8), (60, 1, 4), (60, 1800, 0), (1440, 0, 1)])
def test_times_of_one_intake_that_overlap(length, late, pairs):
    """Hours beside half hours, hours a second off, hours that share no more than half, and hours beside their day."""

    def means(minutes, count, first=0, **changes):
        start = START + (first + 60 * minutes * np.arange(count)).astype("timedelta64[s]")
        half = np.timedelta64(30 * minutes, "s")
        times = {"time_start": start, "time": start + half, "time_end": start + 2 * half}
        place = {"latitude": np.full(count, 36.3), "intake_height_m": np.full(count, 5.0)}
        return rows(count, kind="point", **times, **place, **changes)

    hours = means(60, 4)
    others = means(length, 240 // min(length, 240), late, source="another", file_id="b" * 16)
    found = same_air(pa.concat_tables([hours, others]))
    assert len(found) >= pairs
    assert bool(found) == bool(pairs)


@pytest.mark.parametrize("heights", [[5.0], [5.0, 80.0]])
@pytest.mark.parametrize("length", [0, 60])
def test_a_month_that_states_no_intake_may_be_of_any(length, heights):
    """Beside hours, and beside flasks that it may be the mean of; a flask in an hour of an analyser is no mean."""

    def times(start, minutes):
        start = np.asarray(start, dtype="datetime64[us]")
        half = np.timedelta64(30 * minutes, "s")
        return {"time_start": start, "time": start + half, "time_end": start + 2 * half}

    def at(height, when, **changes):
        place = {
            "latitude": np.full(len(when["time"]), 36.3),
            "intake_height_m": [height] * len(when["time"]),
        }
        return rows(len(when["time"]), kind="point", **(place | when | changes))

    days = START + np.arange(4) * np.timedelta64(5, "D")
    short = pa.concat_tables([at(h, times(days, length)) for h in heights])
    june, july = (times([day], 30 * 1440) for day in ("2019-06-01", "2019-07-01"))
    other = {"source": "another", "file_id": "b" * 16}
    for height, when, twice in ((None, june, True), (80.04, june, 80.0 in heights), (None, july, False)):
        found = same_air(pa.concat_tables([short, at(height, when, **other)]))
        assert bool(found) == twice
        assert all(p.second == len(short) or p.first == len(short) for p in found)
    if length == 0:
        assert (
            same_air(pa.concat_tables([short, at(5.0, times(days - np.timedelta64(9, "m"), 60), **other)]))
            == []
        )


def test_refused_unless_allowed():
    table = pa.concat_tables([rows(2, seconds=[0, 100]), rows(2, source="focal_v10", seconds=[0, 100])])
    with pytest.raises(
        SchemaError, match=r"2 pairs of the same sounding in focal_v10 and oco2_lite_v11.*allow_same_air"
    ):
        refuse_same_air(table, allow=False)
    assert "counts twice" in refuse_same_air(table, allow=True)
    assert refuse_same_air(rows(3), allow=False) == ""
