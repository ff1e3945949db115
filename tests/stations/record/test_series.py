"""Usable rows of a record."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from obsnet.errors import ConfigError, MissingVariableError
from obsnet.schema import Quality
from stations.record.series import series

DAY = np.datetime64("2020-01-01", "ns")


def _record(days, values, quality):
    time = DAY + (np.array(days) * 86400e9).astype("timedelta64[ns]")
    return xr.Dataset(
        {"value": ("time", np.array(values, float)), "quality": ("time", np.array(quality, np.uint32))},
        coords={"time": time},
    )


def test_pairs_are_averaged_and_left_out_rows_counted():
    record = _record(
        [0, 0, 7, 14, 21, 21],
        [400, 401, 402, 403, np.nan, 404],
        [0, 0, Quality.PRODUCER, Quality.SELECTION, 0, 0],
    )
    got = series(record)
    np.testing.assert_allclose(got.value, [400.5, 404])
    assert got.members.tolist() == [2, 1]
    assert got.left_out == {"producer": 1, "selection": 1}
    assert got.year[0] == 2020.0
    assert series(record, use="valid").value.tolist() == [400.5, 403, 404]
    assert series(record, use="all").value.size == 4
    assert series(record, pairs=False).value.tolist() == [400, 401, 404]


def test_bad_values_stay_out_even_of_all():
    record = _record([0, 1], [400, 99999], [0, Quality.RANGE | Quality.PRODUCER])
    assert series(record, use="all").value.tolist() == [400]


def test_rows_are_sorted():
    got = series(_record([9, 1, 5], [3, 1, 2], [0, 0, 0]))
    assert got.value.tolist() == [1, 2, 3]


def test_errors():
    with pytest.raises(ConfigError, match="'backgroud' is not known; nearest: 'background'"):
        series(_record([0], [1], [0]), use="backgroud")
    with pytest.raises(MissingVariableError, match="no variable 'quality'"):
        series(_record([0], [1], [0]).drop_vars("quality"))


def test_empty():
    assert series(_record([0], [np.nan], [0])).value.size == 0
