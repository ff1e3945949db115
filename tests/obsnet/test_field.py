"""The checks at the door: grid, missing values, coordinates."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from obsnet.errors import GridError, RangeError
from obsnet.field import fill_nan, grid_of, like_field, values_on
from obsnet.grid import Grid

GRID = Grid.regular(20, 23, 110, 114, 1, 1)


def dataset(grid=GRID, bounds=True):
    data = xr.Dataset(coords={"lat": grid.lat, "lon": grid.lon})
    if bounds:
        for name, edges in (("lat", grid.lat_edges), ("lon", grid.lon_edges)):
            data[f"{name}_bnds"] = ((name, "nv"), np.stack([edges[:-1], edges[1:]], axis=1))
    return data


class TestGridOf:
    @pytest.mark.parametrize("bounds", [True, False])
    def test_even_grid_with_and_without_bounds(self, bounds):
        assert grid_of(dataset(bounds=bounds)) == GRID

    def test_uneven_grid_and_one_cell_by_their_bounds(self):
        for grid in (Grid([0, 1, 3], [178, 180, 190]), Grid([0, 1], [0, 1])):
            assert grid_of(dataset(grid)) == grid

    def test_data_array(self):
        assert grid_of(xr.DataArray(np.zeros(GRID.shape), coords={"lat": GRID.lat, "lon": GRID.lon})) == GRID

    def test_missing_coordinate_lists_what_there_is(self):
        with pytest.raises(GridError, match="no coordinate lat; there is: lon, y"):
            grid_of(xr.Dataset(coords={"y": [1, 2], "lon": [1, 2]}))

    @pytest.mark.parametrize("axis", ["lat", "lon"])
    def test_order_is_checked(self, axis):
        with pytest.raises(GridError, match=r"reorder with obsnet\.grid\.centre_order"):
            grid_of(dataset(bounds=False).isel({axis: slice(None, None, -1)}))


class TestValues:
    def test_lists_and_integers_become_float64(self):
        assert values_on(np.ones(GRID.shape, dtype=int), GRID).dtype == np.float64

    def test_data_array_without_coordinates_is_trusted_by_shape(self):
        data = xr.DataArray(np.arange(12).reshape(4, 3), dims=("lon", "lat"))
        assert np.array_equal(values_on(data, GRID), data.values.T)

    def test_coordinates_a_cell_off_are_refused(self):
        data = xr.DataArray(np.zeros(GRID.shape), coords={"lat": GRID.lat, "lon": GRID.lon + 1})
        with pytest.raises(GridError, match=r"its lon has 4 values, 111.5 to 114.5"):
            values_on(data, GRID)

    def test_float32_coordinates_pass(self):
        coords = {"lat": GRID.lat.astype(np.float32), "lon": GRID.lon.astype(np.float32)}
        assert values_on(xr.DataArray(np.zeros(GRID.shape), coords=coords), GRID).shape == GRID.shape

    def test_like_field_gives_back_the_form_it_got(self):
        values = np.zeros((2, *GRID.shape))
        assert like_field(values, values, GRID) is values
        model = xr.DataArray(values, dims=("time", "lat", "lon"), name="x", attrs={"units": "1"})
        out = like_field(model, values + 1, GRID)
        assert out.attrs == {"units": "1"}
        assert np.array_equal(out["lat"], GRID.lat)


class TestFillNan:
    def test_whole_field_is_passed_through(self):
        values = np.ones(3)
        out, mask = fill_nan(values, "raise", "x")
        assert out is values
        assert mask is None

    def test_three_policies(self):
        values = np.array([1.0, np.nan])
        with pytest.raises(RangeError, match="flux: 1 of 2 values are missing"):
            fill_nan(values, "raise", "flux")
        assert [a if a is None else a.tolist() for a in fill_nan(values, "zero", "x")] == [[1.0, 0.0], None]
        assert [a.tolist() for a in fill_nan(values, "propagate", "x")] == [[1.0, 0.0], [False, True]]
        assert np.isnan(values[1])  # the caller's array is left alone

    @pytest.mark.parametrize("policy", ["raise", "zero", "propagate"])
    def test_infinity(self, policy):
        with pytest.raises(RangeError, match="x: 2 of 3 values are infinite"):
            fill_nan(np.array([np.inf, -np.inf, np.nan]), policy, "x")
