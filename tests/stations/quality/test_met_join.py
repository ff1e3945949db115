"""Meteorology joined by nearest time."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import FormatError, MissingVariableError, RangeError
from stations.quality.met_join import join_met
from tests.stations.made import make_record


def table(tmp_path, text):
    path = tmp_path / "met.csv"
    path.write_text(text)
    return path


def test_nearest_in_time_any_order_fills_missing(tmp_path):
    text = (
        "# station met\ntime,wind_direction,wind_speed\n2020-01-01T02:20Z,90,2\n2020-01-01T00:40:00,10,-999\n"
    )
    got = join_met(make_record([1.0, 1, 1, 1]), table(tmp_path, text))
    np.testing.assert_array_equal(got["wind_direction"], [10, np.nan, 90, np.nan])
    np.testing.assert_array_equal(got["wind_speed"], [np.nan, np.nan, 2, np.nan])
    assert "2 rows without" in got.attrs["changes"][-1]


def test_offsets_become_utc(tmp_path):
    got = join_met(make_record([1.0]), table(tmp_path, "time,wind_speed\n2020-01-01T08:30+08:00,3\n"))
    assert got["wind_speed"].values.tolist() == [3]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("when,wind_speed\n2020,3\n", MissingVariableError, "needs the column 'time'"),
        (
            "time,wind_direction\n2020-01-01,10\n2020-01-02,400\n",
            RangeError,
            "lies in 0 to 360; row 2 has 400",
        ),
        ("time,wind_speed\nyesterday,3\n", FormatError, "a time cannot be read"),
    ],
)
def test_faults(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        join_met(make_record([1.0]), table(tmp_path, text))
    with pytest.raises(FormatError, match="cannot be read as a table"):
        join_met(make_record([1.0]), tmp_path / "none.csv")
