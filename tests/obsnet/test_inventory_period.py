"""Periods of inventory rows."""

import numpy as np
import pytest

from obsnet.errors import FormatError
from obsnet.inventory.period import read_period

SIX = "2019-01-01T06:00:00.000000"


@pytest.mark.parametrize(
    ("text", "start", "stop", "shown"),
    [
        ("2019", "2019-01-01", "2020-01-01", "2019"),
        (2019, "2019-01-01", "2020-01-01", "2019"),
        ("2019-02", "2019-02-01", "2019-03-01", "2019-02-01 to 2019-03-01"),
        ("2019-02-28", "2019-02-28", "2019-03-01", "2019-02-28 to 2019-03-01"),
        ("2019-01/2019-03", "2019-01-01", "2019-04-01", "2019-01-01 to 2019-04-01"),
        ("2015-01-01/2015-12-31", "2015-01-01", "2016-01-01", "2015"),
        ("2015 / 2017", "2015-01-01", "2018-01-01", "2015/2017"),
        ("2019-01-01T00:00/2020-01-01T00:00Z", "2019-01-01", "2020-01-01", "2019"),
        (
            "2019-01-01T06:00/2019-01-02T00:00",
            "2019-01-01T06",
            "2019-01-02",
            "2019-01-01T06:00:00.000000 to 2019-01-02",
        ),
    ],
)
def test_written(text, start, stop, shown):
    found = read_period(text)
    assert (found.start, found.stop) == (np.datetime64(start), np.datetime64(stop))
    assert str(found) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nan",
        "19",
        "2019-13",
        "2019-02-30",
        "2019Q1",
        "2019-03/2019-01",
        "2019/2020/2021",
        "2019-1",
        "2019-01-01T00:00",
    ],
)
def test_no_time(text):
    with pytest.raises(FormatError, match="is no time: write a year"):
        read_period(text)


def test_years():
    assert read_period("2019").whole_years == 1
    assert read_period("2015/2017").whole_years == 3
    assert read_period("2019-01").whole_years == 0
    assert read_period("2019").length == 365 * 86400
    assert read_period("2020").length == 366 * 86400
    assert read_period("2020-02").shifted(1) == read_period("2021-02")
    assert read_period("2019").shifted(-4) == read_period("2015")
