"""Packed numbers against netCDF4's own reading of them, and what that library does not say."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest

from obsnet.errors import FormatError
from obsnet.packed import fill_mask, is_packed, unpack, unsigned


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("i2", {"scale_factor": 0.01, "add_offset": 400.0}),
        ("i2", {"scale_factor": 0.01, "valid_range": np.array([-300, 900], "i2")}),
        ("i1", {"_Unsigned": "true", "scale_factor": 0.5}),
        ("i1", {"_Unsigned": "true", "valid_max": np.int8(-56)}),  # 200
        ("i4", {"valid_min": np.int32(-5), "valid_max": np.int32(7)}),
        ("f4", {"valid_min": np.float32(0.25)}),
        ("f8", {"missing_value": np.array([1.0, 2.0])}),
        ("i2", {"scale_factor": -2.0, "valid_min": np.int16(0)}),
    ],
)
def test_numbers_are_those_that_netcdf4_reads(tmp_path, kind, attributes):
    rng = np.random.default_rng(3)
    stored = (
        rng.integers(-120, 120, 400).astype(kind) if kind[0] == "i" else rng.integers(0, 4, 400).astype(kind)
    )
    fill = np.array(-7, kind)
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("x", 400)
        variable = file.createVariable("v", kind, ("x",), fill_value=fill)
        variable.set_auto_maskandscale(False)
        variable.setncatts(attributes)
        variable[:] = stored
    with netCDF4.Dataset(tmp_path / "a.nc") as file:
        expected = np.ma.filled(file["v"][:].astype(float), np.nan)
        all_of_it = {n: file["v"].getncattr(n) for n in file["v"].ncattrs()}
    found = unpack(stored, all_of_it)
    np.testing.assert_allclose(found.values, expected, rtol=1e-12)
    limited = any(k.startswith("valid") for k in attributes)
    assert is_packed(all_of_it) == (limited or "scale_factor" in attributes or "_Unsigned" in attributes)
    meant = unsigned(stored, all_of_it)
    mask = fill_mask(meant, [float(unsigned(np.array([fill]), all_of_it)[0])])
    fills = 0 if mask is None else mask.sum()
    assert found.outside == (np.isnan(expected).sum() - fills if limited else 0)
    assert bool(found.said) == (found.outside > 0)


def test_a_range_of_floating_point_is_of_what_packed_integers_stand_for():
    """NUG: it is wider than the external type, so it is in the unit of the unpacked numbers."""
    stored, packing = np.array([0, 100, 900], "i2"), {"scale_factor": 0.1, "add_offset": 350.0}
    found = unpack(stored, packing | {"valid_range": np.array([355.0, 420.0])})
    np.testing.assert_array_equal(found.values, [np.nan, 360.0, np.nan])
    assert (found.outside, found.said) == (2, "355 to 420")
    found = unpack(stored, packing | {"valid_range": np.array([50, 500], "i2")})
    np.testing.assert_array_equal(found.values, [np.nan, 360.0, np.nan])
    assert found.said == "355 to 400"


def test_a_fill_is_not_outside_and_one_that_the_type_cannot_hold_marks_nothing():
    found = unpack(
        np.array([255, 3], "u1"), {"_FillValue": 255, "missing_value": -1, "valid_max": np.uint8(9)}
    )
    np.testing.assert_array_equal(found.values, [np.nan, 3.0])
    assert found.outside == 0
    found = unpack(np.array([-1, 3], "i1"), {"_FillValue": np.int8(-1), "_Unsigned": "true"})
    np.testing.assert_array_equal(found.values, [np.nan, 3.0])


@pytest.mark.parametrize("said", [{"scale_factor": "many"}, {"scale_factor": 0.0}, {"add_offset": np.nan}])
def test_what_cannot_be_unpacked_is_refused(said):
    with pytest.raises(FormatError, match="with which no number can be unpacked"):
        unpack(np.array([1], "i2"), said)
