"""GeoTIFF: what other programs read back."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import xarray as xr

from obsnet.cf import write_geotiff
from obsnet.errors import GridError, RangeError
from obsnet.grid import Grid

GRID = Grid.regular(18, 54, 73, 135, 0.5, 0.5)
WORDS = {"units": "mol m-2 s-1", "description": "flux of CO2"}


def field(grid=GRID):
    return np.arange(grid.size, dtype=float).reshape(grid.shape)


def test_values_place_and_words(tmp_path):
    path = write_geotiff(field(), GRID, tmp_path / "map.tif", **WORDS)
    with rasterio.open(path) as source:
        assert source.crs.to_epsg() == 4326
        assert source.bounds == (73.0, 18.0, 135.0, 54.0)
        assert source.transform.e < 0  # north up
        assert np.array_equal(source.read(1)[::-1], field())
        (value,) = next(source.sample([(116.3, 39.8)]))
        assert value == field().ravel()[GRID.index(39.8, 116.3)]
        assert source.units == ("mol m-2 s-1",)
        assert source.descriptions == ("flux of CO2",)
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert np.isnan(source.nodata)
    assert [p.name for p in tmp_path.iterdir()] == ["map.tif"]


def test_large_maps_have_overviews(tmp_path):
    grid = Grid.regular(18, 54, 73, 135, 0.05, 0.05)
    with rasterio.open(write_geotiff(field(grid), grid, tmp_path / "map.tif", **WORDS)) as source:
        assert source.overviews(1) == [2, 4]


@pytest.mark.parametrize("nodata", [float("nan"), -9999.0])
def test_missing_cells(tmp_path, nodata):
    values = field()
    values[3, 5] = np.nan
    with rasterio.open(write_geotiff(values, GRID, tmp_path / "map.tif", nodata=nodata, **WORDS)) as source:
        masked = source.read(1, masked=True)[::-1]
        assert masked.mask.sum() == 1
        assert masked.mask[3, 5]
        assert np.array_equal(source.nodata, nodata, equal_nan=True)


def test_double_precision_and_data_array(tmp_path):
    values = xr.DataArray(field() + 1e-12, coords={"lat": GRID.lat, "lon": GRID.lon})
    with rasterio.open(write_geotiff(values, GRID, tmp_path / "map.tif", dtype="float64", **WORDS)) as source:
        assert np.array_equal(source.read(1)[::-1], values)


def test_across_the_dateline_runs_past_180(tmp_path):
    grid = Grid.regular(-4, 2, 176, -176, 2, 2)
    with rasterio.open(write_geotiff(field(grid), grid, tmp_path / "map.tif", **WORDS)) as source:
        assert (source.bounds.left, source.bounds.right) == (176.0, 184.0)


@pytest.mark.parametrize(
    ("values", "grid", "options", "error", "match"),
    [
        (
            np.zeros((2, *GRID.shape)),
            GRID,
            {},
            GridError,
            r"holds one map \(lat, lon\), found shape \(2, 72, 124\)",
        ),
        (np.zeros((3, 3)), GRID, {}, GridError, "is not on Grid"),
        (np.zeros((2, 2)), Grid([0, 1, 3], [0, 1, 2]), {}, GridError, "is uneven; regrid first"),
        (np.zeros(GRID.shape), GRID, {"nodata": 0.0}, RangeError, "nodata 0 also occurs as a value"),
        (np.full(GRID.shape, np.inf), GRID, {}, RangeError, "values are infinite"),
    ],
)
def test_errors(tmp_path, values, grid, options, error, match):
    with pytest.raises(error, match=match):
        write_geotiff(values, grid, tmp_path / "map.tif", **WORDS, **options)
    assert list(tmp_path.iterdir()) == []
