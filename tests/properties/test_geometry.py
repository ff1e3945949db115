"""Properties of grids, regridding and zonal weights that hold for any grid and any field."""

from __future__ import annotations

import numba
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from obsnet.coverage import polygon_area
from obsnet.grid import WGS84_AREA, Grid, axis_cell, centre_order
from obsnet.regrid import overlap, regrid_flux, regrid_total
from obsnet.zonal import assign_points, zonal_weights
from tests.properties.strategies import (
    fields,
    global_grids,
    grids,
    latitudes,
    longitudes,
    partitions,
    regular_grids,
    uneven_grids,
)

_kernel = numba.njit(axis_cell)


class TestGrid:
    @given(global_grids())
    def test_area_of_any_global_grid_is_the_ellipsoid(self, grid):
        assert abs(grid.cell_area.sum() / WGS84_AREA - 1.0) < 1e-12

    @given(grids(), latitudes(), longitudes())
    def test_index_is_the_cell_whose_edges_enclose_the_point(self, grid, lat, lon):
        cell = int(grid.index(lat, lon))
        rows = [i for i, s in enumerate(grid.lat_edges[:-1]) if s <= lat < grid.lat_edges[i + 1]]
        if lat == 90.0 == grid.lat_edges[-1]:
            rows = [grid.shape[0] - 1]
        x = float(grid.wrap(lon))
        columns = [j for j, w in enumerate(grid.lon_edges[:-1]) if w <= x < grid.lon_edges[j + 1]]
        expected = rows[0] * grid.shape[1] + columns[0] if rows and columns else -1
        assert cell == expected

    @given(grids())
    def test_every_centre_is_in_its_own_cell(self, grid):
        lat, lon = np.meshgrid(grid.lat, grid.lon, indexing="ij")
        assert np.array_equal(grid.index(lat, lon).ravel(), np.arange(grid.size))

    @given(grids(), st.integers(-2, 2))
    def test_turns_do_not_move_a_grid(self, grid, turns):
        assert Grid(grid.lat_edges, grid.lon_edges + 360.0 * turns) == grid
        assert Grid(grid.lat_edges, grid.lon_edges + 360.0 * turns).hash_id == grid.hash_id

    @given(grids(), longitudes(), st.sampled_from([-720.0, -360.0, 360.0, 720.0]))
    def test_turns_do_not_move_a_point(self, grid, lon, turn):
        lon = round(lon, 6)
        lat = float(grid.lat[0])
        assert grid.index(lat, lon) == grid.index(lat, lon + turn)

    @given(global_grids(), latitudes(), longitudes())
    def test_a_global_grid_has_every_point(self, grid, lat, lon):
        assert 0 <= grid.index(lat, lon) < grid.size

    @given(grids(), st.lists(st.floats(-180, 540), max_size=20))
    def test_scalar_kernel_equals_array_index(self, grid, points):
        edges = grid.lon_edges
        expected = [int(grid.index(grid.lat[0], x)) for x in points]
        inside = [edges[0] <= x < edges[0] + 360.0 for x in points]
        found = [int(_kernel(float(x), edges)) for x in points]
        assert all(f == e for f, e, i in zip(found, expected, inside, strict=True) if i)

    @given(uneven_grids())
    def test_dict_round_trip(self, grid):
        assert Grid.from_dict(grid.to_dict()) == grid

    @given(regular_grids(), st.booleans(), st.booleans(), st.booleans(), st.integers(0, 100))
    def test_centres_in_any_order_and_convention_give_the_grid(self, grid, flip, full_turn, single, roll):
        lat = grid.lat[::-1] if flip else grid.lat
        lon = np.roll(np.mod(grid.lon, 360.0) if full_turn else np.mod(grid.lon + 180.0, 360.0) - 180.0, roll)
        if single:
            lat, lon = lat.astype(np.float32), lon.astype(np.float32)
        rows, columns = centre_order(lat, lon)
        found = Grid.from_centres(lat, lon)
        assert np.abs(found.lat_edges - grid.lat_edges).max() < 4e-5
        assert np.abs(np.mod(found.lon_edges - grid.lon_edges + 180, 360) - 180).max() < 8e-5
        field = np.add.outer(1000.0 * lat, np.mod(lon, 360.0))
        ordered = field[rows][:, columns]
        assert np.allclose(ordered, np.add.outer(1000.0 * grid.lat, np.mod(grid.lon, 360.0)), atol=0.2)


class TestRegrid:
    @given(grids(), global_grids(), st.data())
    def test_mass_closes_wherever_the_target_covers_the_source(self, source, target, data):
        field = data.draw(fields(source.shape))
        out = regrid_flux(field, source, target, outside="zero")
        scale = (np.abs(field) * source.cell_area).sum()
        assert abs((out * target.cell_area).sum() - (field * source.cell_area).sum()) <= 1e-12 * scale

    @given(grids(), global_grids(), st.data())
    def test_totals_are_kept(self, source, target, data):
        field = data.draw(fields(source.shape))
        out = regrid_total(field, source, target)
        assert abs(out.sum() - field.sum()) <= 1e-12 * np.abs(field).sum()

    @given(global_grids(), grids())
    def test_a_global_source_is_a_partition_of_unity(self, source, target):
        assert np.abs(overlap(source, target).target_covered - 1.0).max() < 1e-8

    @given(global_grids(), grids(), st.data())
    def test_means_lie_within_the_field(self, source, target, data):
        field = data.draw(fields(source.shape))
        out = regrid_flux(field, source, target)
        margin = 1e-8 * np.abs(field).max()
        assert (out >= field.min() - margin).all()
        assert (out <= field.max() + margin).all()

    @given(grids(), grids())
    def test_overlap_is_symmetric(self, one, two):
        forth, back = overlap(one, two).matrix().toarray(), overlap(two, one).matrix().toarray()
        assert np.allclose(forth, back.T, rtol=1e-9, atol=1e-6)

    @given(grids())
    def test_onto_itself_is_the_identity(self, grid):
        assert np.allclose(
            overlap(grid, grid).matrix().toarray(), np.diag(grid.cell_area.ravel()), rtol=1e-12
        )

    @given(grids(), global_grids(), st.data())
    def test_matrix_equals_the_two_factors(self, source, target, data):
        field = data.draw(fields(source.shape))
        shared = overlap(source, target)
        by_matrix = (shared.matrix() @ field.ravel()).reshape(target.shape)
        assert np.allclose(shared.apply(field), by_matrix, rtol=1e-11, atol=1e-9 * np.abs(by_matrix).max())


def _box(grid, margin=0.0):
    """West, south, east, north of a grid, drawn in by a part of its size."""
    lat, lon = grid.lat_edges, grid.lon_edges
    dx, dy = margin * (lon[-1] - lon[0]), margin * (lat[-1] - lat[0])
    return lon[0] + dx, lat[0] + dy, lon[-1] - dx, lat[-1] - dy


class TestZonal:
    @given(regular_grids(12), st.data())
    def test_regions_and_outside_close(self, grid, data):
        frame = data.draw(partitions(*_box(grid, data.draw(st.sampled_from([-0.2, 0.0, 0.17])))))
        flux = data.draw(fields(grid.shape))
        found = zonal_weights(frame, grid, cache=None)
        assert np.abs(np.asarray(found.fraction.sum(axis=0)).ravel() + found.outside - 1.0).max() < 1e-14
        assert found.outside.min() >= 0.0
        scale = (np.abs(flux) * grid.cell_area).sum()
        assert abs(found.totals(flux).sum() - (flux * grid.cell_area).sum()) <= 1e-12 * scale

    @given(uneven_grids(8), st.data())
    def test_a_partition_of_an_uneven_domain_leaves_nothing_outside(self, grid, data):
        found = zonal_weights(data.draw(partitions(*_box(grid))), grid, cache=None)
        assert found.outside.max() < 1e-6
        assert abs(found.area.sum() / grid.cell_area.sum() - 1.0) < 1e-9

    @given(regular_grids(12), st.data())
    def test_areas_are_the_polygons_own(self, grid, data):
        frame = data.draw(partitions(*_box(grid)))
        found = zonal_weights(frame, grid, cache=None)
        expected = polygon_area(frame.geometry)
        assert np.abs(found.area - expected).max() < 1e-9 * expected.sum()

    @given(regular_grids(8), st.sampled_from([-360.0, 360.0]), st.data())
    def test_turned_polygons_are_the_same_regions(self, grid, turn, data):
        frame = data.draw(partitions(*_box(grid)))
        turned = frame.set_geometry(frame.translate(turn))
        one, two = (zonal_weights(f, grid, cache=None).matrix for f in (frame, turned))
        assert abs(one - two).max() <= 1e-9 * grid.cell_area.max()

    @given(regular_grids(8), st.randoms(use_true_random=False), st.data())
    def test_order_of_regions_does_not_matter(self, grid, random, data):
        frame = data.draw(partitions(*_box(grid, 0.1)))
        order = random.sample(range(len(frame)), len(frame))
        flux = data.draw(fields(grid.shape))
        one = zonal_weights(frame, grid, cache=None).totals(flux)[:-1]
        two = zonal_weights(frame.iloc[order], grid, cache=None).totals(flux)[:-1]
        assert np.allclose(one[order], two, rtol=1e-9, atol=1e-9 * np.abs(one).max())

    @given(st.data())
    def test_every_point_of_a_partition_has_a_region_that_holds_it(self, data):
        west = float(data.draw(st.integers(-180, 179)))
        frame = data.draw(partitions(west, 20.0, west + 10.0, 30.0))
        lat, lon = data.draw(st.floats(20.0, 30.0)), data.draw(st.floats(west, west + 10.0))
        (region,), (distance,) = assign_points([lat], [lon], frame)
        assert region in frame.index
        assert distance < 1e-9
