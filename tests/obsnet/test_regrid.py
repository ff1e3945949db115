"""Regridding: known answers, closure, edges of domains, missing values and error texts."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from obsnet.errors import GridError, RangeError
from obsnet.grid import Grid, strip_area
from obsnet.regrid import overlap, refinement, regrid_flux, regrid_total

FINE = Grid.regular(18, 54, 73, 135, 0.25, 0.25)
COARSE = Grid.regular(18, 54, 73, 135, 2, 2)
GLOBE = Grid.regular(-90, 90, -180, 180, 1, 1)


def lognormal(grid, *lead, seed=0):
    return np.random.default_rng(seed).lognormal(sigma=2.0, size=(*lead, *grid.shape))


class TestFlux:
    def test_two_cells_into_one_by_hand(self):
        source, target = Grid([0, 30, 60], [0, 10]), Grid([0, 60], [0, 10])
        south, north = np.diff(strip_area([0, 30, 60]))
        expected = (2.0 * south + 5.0 * north) / (south + north)
        assert regrid_flux([[2.0], [5.0]], source, target)[0, 0] == pytest.approx(expected, rel=1e-15)

    def test_halves_of_a_cell_in_longitude(self):
        source, target = Grid([0, 1], [0, 1, 2]), Grid([0, 1], [0.0, 0.25, 1.5])
        out = regrid_flux([[4.0, 8.0]], source, target)
        assert out[0].tolist() == pytest.approx([4.0, (0.75 * 4 + 0.5 * 8) / 1.25], rel=1e-14)

    def test_constant_stays_constant(self):
        target = Grid([20.3, 25.1, 40.0, 53.9], [75.5, 80.123, 134.9])
        assert np.allclose(regrid_flux(np.full(FINE.shape, 3.5), FINE, target), 3.5, rtol=1e-13)

    @pytest.mark.parametrize("target", [COARSE, Grid.regular(18, 54, 73, 135, 0.4, 0.31), GLOBE])
    def test_mass_closes(self, target):
        field = lognormal(FINE)
        out = regrid_flux(field, FINE, target, outside="zero")
        assert (out * target.cell_area).sum() == pytest.approx((field * FINE.cell_area).sum(), rel=1e-12)

    def test_integral_of_a_smooth_field_is_exact_where_it_is_constant_in_cells(self):
        # Not cosine of the centre: weights sin(lat) of a sphere are wrong by up to 0.4 % on the ellipsoid.
        field = np.repeat(np.arange(36.0)[:, None], 62, axis=1)
        source = Grid.regular(18, 54, 73, 135, 1, 1)
        out = regrid_flux(field, source, Grid([18, 54], [73, 135]))
        weights = np.diff(strip_area(np.arange(18.0, 55.0)))
        assert out[0, 0] == pytest.approx((np.arange(36) * weights).sum() / weights.sum(), rel=1e-14)

    def test_refine_then_coarsen_is_the_identity(self):
        field = lognormal(COARSE)
        assert np.allclose(regrid_flux(regrid_flux(field, COARSE, FINE), FINE, COARSE), field, rtol=1e-13)

    def test_two_conventions_of_the_globe(self):
        other = Grid.regular(-90, 90, 0, 360, 1, 1)
        field = lognormal(GLOBE)
        assert np.allclose(regrid_flux(field, GLOBE, other), np.roll(field, -180, axis=1), rtol=1e-13)

    def test_half_cell_shift_around_the_globe_closes(self):
        shifted = Grid(GLOBE.lat_edges, GLOBE.lon_edges + 0.5)
        field = lognormal(GLOBE)
        out = regrid_flux(field, GLOBE, shifted)
        assert np.allclose(out, 0.5 * (field + np.roll(field, -1, axis=1)), rtol=1e-12)

    def test_region_across_the_dateline_from_the_globe(self):
        region = Grid.regular(-10, 10, 170, -170, 1, 1)
        field = np.tile(np.arange(360.0), (180, 1))
        out = regrid_flux(field, GLOBE, region)
        assert np.allclose(out[0], [*range(350, 360), *range(10)])

    def test_leading_dimensions_are_kept(self):
        field = lognormal(FINE, 2, 3)
        out = regrid_flux(field, FINE, COARSE)
        assert out.shape == (2, 3, *COARSE.shape)
        assert np.array_equal(out[1, 2], regrid_flux(field[1, 2], FINE, COARSE))

    def test_no_fields_at_all(self):
        assert regrid_flux(np.zeros((0, *FINE.shape)), FINE, COARSE).shape == (0, *COARSE.shape)

    def test_float32_is_computed_in_float64(self):
        field = lognormal(FINE).astype(np.float32)
        out = regrid_flux(field, FINE, COARSE)
        assert out.dtype == np.float64
        assert np.array_equal(out, regrid_flux(field.astype(np.float64), FINE, COARSE))


class TestOutside:
    wide = Grid.regular(16, 56, 71, 137, 2, 2)

    def test_error_is_the_default_and_says_how_to_mend(self):
        with pytest.raises(
            GridError, match=r"102 of 660 cells .*lie partly or wholly outside the source.*'zero'"
        ):
            regrid_flux(np.ones(FINE.shape), FINE, self.wide)

    def test_zero_keeps_mass_and_nan_shows_the_rim(self):
        ones = np.ones(FINE.shape)
        zero, nan = (regrid_flux(ones, FINE, self.wide, outside=o) for o in ("zero", "nan"))
        assert zero[0, 0] == 0.0
        assert np.isnan(nan[0]).all()
        assert np.allclose(nan[1:-1, 1:-1], 1.0)
        assert np.isnan(nan).sum() == 102

    def test_partly_covered_cell_is_diluted_under_zero_and_missing_under_nan(self):
        source, target = Grid([0, 1], [0, 1]), Grid([0, 1], [0, 2])
        assert regrid_flux([[6.0]], source, target, outside="zero")[0, 0] == pytest.approx(3.0, rel=1e-14)
        assert np.isnan(regrid_flux([[6.0]], source, target, outside="nan")[0, 0])

    def test_no_meeting_at_all(self):
        out = regrid_flux(np.ones(FINE.shape), FINE, Grid.regular(-20, -10, 0, 10, 1, 1), outside="zero")
        assert (out == 0).all()

    def test_total_outside_is_an_error_only_where_there_is_something(self):
        small = Grid.regular(20, 50, 75, 133, 2, 2)
        field = lognormal(FINE)
        with pytest.raises(GridError, match=r"non-zero values of the source .*outside='drop'"):
            regrid_total(field, FINE, small)
        inside = np.where(overlap(FINE, small).source_covered > 0.5, field, 0.0)
        assert regrid_total(inside, FINE, small).sum() == pytest.approx(inside.sum(), rel=1e-12)
        assert regrid_total(field, FINE, small, outside="drop").sum() == pytest.approx(
            inside.sum(), rel=1e-12
        )

    def test_unknown_choices(self):
        with pytest.raises(GridError, match="outside must be 'raise', 'zero' or 'nan', found 'drop'"):
            regrid_flux(np.ones(FINE.shape), FINE, COARSE, outside="drop")
        with pytest.raises(GridError, match="outside must be 'raise' or 'drop', found 'zero'"):
            regrid_total(np.ones(FINE.shape), FINE, COARSE, outside="zero")
        with pytest.raises(RangeError, match=r"nan must be .* found 'skip'"):
            regrid_flux(np.ones(FINE.shape), FINE, COARSE, nan="skip")


class TestTotal:
    def test_coarsening_sums_blocks(self):
        field = lognormal(FINE)
        blocks = field.reshape(18, 8, 31, 8).sum(axis=(1, 3))
        assert np.allclose(regrid_total(field, FINE, COARSE), blocks, rtol=1e-12)

    def test_sum_is_kept_on_grids_that_do_not_fit(self):
        field = lognormal(FINE, 3) * np.array([1.0, -1.0, 1e-9])[:, None, None]
        out = regrid_total(field, FINE, Grid.regular(18, 54, 73, 135, 0.4, 0.31))
        assert np.allclose(out.sum(axis=(1, 2)), field.sum(axis=(1, 2)), rtol=1e-12)

    def test_is_flux_times_area(self):
        field = lognormal(FINE)
        totals = regrid_total(field * FINE.cell_area, FINE, COARSE)
        assert np.allclose(totals / COARSE.cell_area, regrid_flux(field, FINE, COARSE), rtol=1e-12)

    def test_coarse_footprint_sees_the_same_of_a_coarse_flux(self):
        # Extensive sensitivity: H_fine . x_fine = H_coarse . x_coarse where x is constant in coarse cells.
        footprint, flux = lognormal(FINE, seed=1), lognormal(COARSE, seed=2)
        fine_flux = regrid_flux(flux, COARSE, FINE)
        coarse = regrid_total(footprint, FINE, COARSE)
        assert (coarse * flux).sum() == pytest.approx((footprint * fine_flux).sum(), rel=1e-12)

    def test_matrix_coarsens_a_jacobian_by_columns(self):
        rows = lognormal(FINE, 4)
        split = overlap(FINE, COARSE).matrix() / FINE.cell_area.ravel()
        out = rows.reshape(4, -1) @ split.T
        assert np.allclose(out.reshape(4, *COARSE.shape), regrid_total(rows, FINE, COARSE), rtol=1e-12)


class TestMissing:
    field = np.array([[np.nan, 1.0], [2.0, 3.0]])
    source = Grid([0, 1, 2], [0, 1, 2])
    target = Grid([0, 2], [0, 1, 2])

    def test_error_names_the_count(self):
        with pytest.raises(RangeError, match="regrid_flux: 1 of 4 values are missing; say nan='zero'"):
            regrid_flux(self.field, self.source, self.target)

    def test_zero_counts_as_none(self):
        out = regrid_flux(self.field, self.source, self.target, nan="zero")
        assert out[0, 0] == pytest.approx(2.0 * self.source.cell_area[1, 0] / self.target.cell_area[0, 0])

    def test_propagate_reaches_only_what_it_touches(self):
        out = regrid_flux(self.field, self.source, self.target, nan="propagate")
        assert np.isnan(out[0, 0])
        assert np.isfinite(out[0, 1])
        assert np.isnan(regrid_total(self.field, self.source, self.target, nan="propagate")).tolist() == [
            [True, False]
        ]

    def test_infinity_is_never_data(self):
        with pytest.raises(RangeError, match="1 of 4 values are infinite"):
            regrid_flux([[np.inf, 1.0], [2.0, 3.0]], self.source, self.target, nan="zero")


class TestDataArray:
    def make(self, grid=FINE, dims=("time", "lat", "lon")):
        data = xr.DataArray(
            lognormal(grid, 2),
            dims=("time", "lat", "lon"),
            coords={
                "time": [10, 20],
                "lat": ("lat", grid.lat, {"units": "degrees_north"}),
                "lon": grid.lon,
                "mask": (("lat", "lon"), np.ones(grid.shape)),
            },
            name="flux",
            attrs={"units": "mol m-2 s-1"},
        )
        return data.transpose(*dims)

    @pytest.mark.parametrize("dims", [("time", "lat", "lon"), ("lon", "time", "lat")])
    def test_dimensions_by_name_attributes_kept(self, dims):
        field = self.make(dims=dims)
        out = regrid_flux(field, FINE, COARSE)
        assert out.dims == ("time", "lat", "lon")
        assert out.attrs == field.attrs
        assert out.name == "flux"
        assert out["lat"].attrs == {"units": "degrees_north"}
        assert np.array_equal(out["lon"], COARSE.lon)
        assert np.array_equal(out["time"], [10, 20])
        assert "mask" not in out.coords  # it was on the source
        assert np.array_equal(out.values, regrid_flux(self.make().values, FINE, COARSE))

    def test_wrong_grid_is_found_by_its_coordinates(self):
        with pytest.raises(
            GridError, match=r"field 'flux' is not on Grid\(.*its lat has 144 values, 53.8.* to 18.1"
        ):
            regrid_flux(self.make().isel(lat=slice(None, None, -1)), FINE, COARSE)

    def test_dimension_names(self):
        with pytest.raises(GridError, match=r"needs dimensions lat and lon, found \('time', 'y', 'lon'\)"):
            regrid_flux(self.make().rename(lat="y"), FINE, COARSE)

    def test_shape_of_plain_arrays(self):
        with pytest.raises(
            GridError, match=r"field of shape \(3, 3\) is not on Grid.*must end in \(144, 248\)"
        ):
            regrid_flux(np.ones((3, 3)), FINE, COARSE)


class TestOverlap:
    def test_covered_fractions(self):
        shared = overlap(Grid([0, 1], [0, 1]), Grid([0, 1, 2], [0.5, 1.5]))
        assert shared.target_covered.ravel().tolist() == pytest.approx([0.5, 0.0])
        assert shared.source_covered.ravel().tolist() == pytest.approx([0.5])

    def test_size_is_that_of_the_axes_not_of_the_product(self):
        shared = overlap(FINE, COARSE)
        assert shared.lat.nnz == FINE.shape[0]
        assert shared.lon.nnz == FINE.shape[1]


class TestRefinement:
    def test_edges_of_both_inside_the_target(self):
        found = refinement(Grid([0, 2, 4], [10, 13]), Grid([-1, 1, 2, 3, 9], [0, 11, 12.5, 20]))
        assert found.lat_edges.tolist() == [0, 1, 2, 3, 4]
        assert found.lon_edges.tolist() == [10, 11, 12.5, 13]

    def test_of_itself_and_of_a_coarser_one(self):
        assert refinement(COARSE, COARSE) == COARSE
        assert refinement(FINE, COARSE) == FINE
        assert refinement(COARSE, FINE) == FINE

    def test_across_the_dateline(self):
        found = refinement(Grid([0, 2], [175, 180, 185]), GLOBE)
        assert found.lon_edges.tolist() == list(range(175, 186))

    def test_fields_of_both_grids_are_even_on_its_cells(self):
        source = Grid([18.1, 20.3, 54.0], [73.0, 80.7, 100.3, 135.0])
        target = Grid([18.1, 19.0, 30.2, 50.0], [73.0, 75.5, 99.9, 120.0])
        fine = refinement(target, source)
        for grid in (source, target):
            shared = overlap(fine, grid)
            # every cell lies in one cell of the grid only
            assert (shared.matrix() > 1.0).sum(axis=0).max() == 1
