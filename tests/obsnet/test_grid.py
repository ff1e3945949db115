"""Grid: known areas, edges, conventions and the texts of its errors."""

from __future__ import annotations

import json
import pickle

import numba
import numpy as np
import pytest
from pyproj import Geod

from obsnet.errors import GridError
from obsnet.grid import WGS84_AREA, Grid, axis_cell, centre_order, strip_area

CHINA = Grid.regular(18, 54, 73, 135, 0.5, 0.5)


class TestAreas:
    def test_globe_is_the_published_surface_of_wgs84(self):
        # NIMA TR8350.2: radius of the sphere of equal area 6371007.1809 m
        assert pytest.approx(4 * np.pi * 6371007.1809**2, rel=1e-10) == WGS84_AREA
        assert pytest.approx(510_065_621.7241e6, rel=1e-12) == WGS84_AREA

    def test_globe_is_twice_the_geodesic_hemisphere(self):
        north = Geod(ellps="WGS84").polygon_area_perimeter([0, 90, 180, -90], [0, 0, 0, 0])[0]
        assert pytest.approx(2 * north, rel=1e-13) == WGS84_AREA

    @pytest.mark.parametrize("step", [0.5, 1.0, 7.5, 90.0])
    def test_cells_of_the_globe_sum_to_it(self, step):
        total = Grid.regular(-90, 90, -180, 180, step, step).cell_area.sum()
        assert total == pytest.approx(WGS84_AREA, rel=1e-12)

    def test_cell_is_the_geodesic_polygon_with_its_parallels_followed(self):
        # A geodesic between two points of a parallel bulges poleward, so the polygon follows it in steps.
        grid = Grid([39.9, 40.0, 40.1], [116.3, 116.4])
        lon = np.linspace(116.3, 116.4, 200)
        for south, north, area in zip(grid.lat_edges, grid.lat_edges[1:], grid.cell_area[:, 0], strict=False):
            lons, lats = np.append(lon, lon[::-1]), np.append(np.full(200, south), np.full(200, north))
            assert area == pytest.approx(Geod(ellps="WGS84").polygon_area_perimeter(lons, lats)[0], rel=1e-8)

    def test_not_the_sphere_nor_the_midpoint_cosine(self):
        grid = Grid.regular(0, 90, 0, 2, 2, 2)
        sphere = 6371007.1809**2 * np.outer(np.diff(np.sin(np.deg2rad(grid.lat_edges))), [np.deg2rad(2)])
        ratio = (grid.cell_area / sphere)[:, 0]
        assert ratio[0] == pytest.approx(0.9955, abs=1e-3)  # flattening is seen at the equator
        assert ratio[-1] > 1.004

    def test_strip_area_is_odd_and_increasing(self):
        lat = np.linspace(-90, 90, 181)
        assert np.array_equal(strip_area(lat), -strip_area(-lat))
        assert (np.diff(strip_area(lat)) > 0).all()

    def test_area_is_read_only(self):
        with pytest.raises(ValueError, match="read-only"):
            CHINA.cell_area[0, 0] = 0.0


class TestMaking:
    def test_shape_centres_and_bounds(self):
        assert CHINA.shape == (72, 124)
        assert CHINA.size == 72 * 124
        assert CHINA.lat[0] == 18.25
        assert CHINA.lon[-1] == 134.75
        assert CHINA.bounds == (18.0, 54.0, 73.0, 135.0)
        assert repr(CHINA) == "Grid(lat 18 to 54 in 72, lon 73 to 135 in 124)"

    def test_decimal_steps_give_decimal_edges(self):
        grid = Grid.regular(18, 54, 73, 135, 0.1, 0.1)
        assert grid.lon_edges[1] == 73.1
        assert grid.lon_edges[3] == 73.3
        assert grid.lat[0] == 18.05

    def test_across_the_dateline(self):
        grid = Grid.regular(-10, 10, 170, -170, 1, 1)
        assert grid.shape == (20, 20)
        assert grid.lon_edges[-1] == 190.0
        assert grid.bounds == (-10.0, 10.0, 170.0, -170.0)
        assert not grid.periodic

    def test_first_longitude_is_brought_home(self):
        assert Grid([0, 1], [200, 210]) == Grid([0, 1], [-160, -150])
        assert Grid([0, 1], [-185, -175]).lon_edges.tolist() == [175.0, 185.0]
        assert Grid([0, 1], [180, 190]).lon_edges[0] == -180.0

    def test_bounds_of_a_periodic_grid_are_the_globe(self):
        grid = Grid.regular(-90, 90, 0, 360, 10, 10)
        assert grid.periodic
        assert grid.bounds == (-90.0, 90.0, -180.0, 180.0)

    @pytest.mark.parametrize(
        ("lat", "lon", "match"),
        [
            ([0], [0, 1], "lat_edges needs at least two edges, found 1"),
            ([0, 0], [0, 1], "lat_edges must increase, found 0 then 0"),
            ([1, 0], [0, 1], "lat_edges must increase, found 1 then 0"),
            ([-91, 0], [0, 1], "within -90 and 90, found -91 to 0"),
            ([0, np.nan], [0, 1], "finite numbers"),
            ([[0, 1]], [0, 1], r"found shape \(1, 2\)"),
            ([0, 1], [0, 361], "span at most 360 degrees, found 0 to 361"),
        ],
    )
    def test_bad_edges(self, lat, lon, match):
        with pytest.raises(GridError, match=match):
            Grid(lat, lon)

    def test_span_must_be_whole_cells_and_the_text_says_the_nearest(self):
        with pytest.raises(GridError, match=r"latitude: 18 to 54 is 51.43 cells of 0.7.*nearest: 54 -> 53.7"):
            Grid.regular(18, 54, 73, 135, 0.7, 0.5)
        with pytest.raises(GridError, match="make no cells"):
            Grid.regular(18, 54, 73, 73, 1, 1)
        with pytest.raises(GridError, match="make no cells"):
            Grid.regular(18, 54, 73, 135, 1, -1)

    def test_edges_are_copied_and_frozen(self):
        lat = np.array([0.0, 1.0])
        grid = Grid(lat, [0, 1])
        lat[0] = -1.0
        assert grid.lat_edges[0] == 0.0
        with pytest.raises(ValueError, match="read-only"):
            grid.lat_edges[0] = 5.0


class TestFromCentres:
    globe = Grid.regular(-90, 90, -180, 180, 0.1, 0.1)

    @pytest.mark.parametrize("kind", [np.float32, np.float64])
    @pytest.mark.parametrize("shift", [0, 360])
    def test_edgar_layout_in_either_convention_and_precision(self, kind, shift):
        lat = np.linspace(-89.95, 89.95, 1800).astype(kind)
        lon = (np.arange(3600) * 0.1 + 0.05 + shift).astype(kind)
        assert Grid.from_centres(lat, lon) == self.globe
        rows, columns = centre_order(lat, lon)
        assert np.array_equal(rows, np.arange(1800))
        assert np.array_equal(columns, np.roll(np.arange(3600), 1800))

    def test_descending_latitude_with_centres_on_the_poles(self):
        lat, lon = np.linspace(90, -90, 721), np.arange(1440) * 0.25  # ERA5
        grid = Grid.from_centres(lat, lon)
        assert grid.lat_edges[[0, 1, -1]].tolist() == [-90.0, -89.875, 90.0]
        assert grid.lon_edges[[0, -1]].tolist() == [-179.875, 180.125]
        assert grid.cell_area.sum() == pytest.approx(WGS84_AREA, rel=1e-12)
        rows, columns = centre_order(lat, lon)
        assert rows[0] == 720
        assert lon[columns[0]] == 180.25

    def test_dateline_in_wrapped_longitudes(self):
        lon = [178.5, 179.5, -179.5, -178.5]
        grid = Grid.from_centres([0, 1], lon)
        assert grid == Grid.regular(-0.5, 1.5, 178, -178, 1, 1)
        assert centre_order([0, 1], lon)[1].tolist() == [0, 1, 2, 3]

    def test_greenwich_in_0_360_is_put_together(self):
        lon = [0.5, 1.5, 358.5, 359.5]
        assert Grid.from_centres([0, 1], lon) == Grid.regular(-0.5, 1.5, -2, 2, 1, 1)
        assert centre_order([0, 1], lon)[1].tolist() == [2, 3, 0, 1]

    def test_thirds_of_a_degree_from_float32(self):
        grid = Grid.regular(30, 40, 100, 110, 1 / 3, 1 / 3)
        assert Grid.from_centres(grid.lat.astype(np.float32), grid.lon.astype(np.float32)) == grid

    @pytest.mark.parametrize("step", [1e-3, 1e-4, 1e-5])
    def test_very_fine_grid_is_not_moved_to_round_numbers(self, step):
        centres = 30.0123456 + step * np.arange(5)
        grid = Grid.from_centres(centres, centres)
        assert np.allclose(grid.lat, centres, atol=0.01 * step, rtol=0)
        assert np.allclose(np.diff(grid.lon_edges), step, rtol=1e-3)

    def test_uneven_axis_needs_bounds(self):
        lat = np.array(
            [-89.5, *np.arange(-88.0, 89.0, 2.0), 89.5]
        )  # GEOS-Chem 2 x 2.5: half cells at the poles
        lon = np.arange(-180, 180, 2.5)
        with pytest.raises(GridError, match=r"latitude is unevenly spaced: .*give the cell bounds"):
            Grid.from_centres(lat, lon)
        edges = np.array([-90.0, *np.arange(-89.0, 90.0, 2.0), 90.0])
        grid = Grid.from_centres(lat, lon, lat_bounds=np.stack([edges[:-1], edges[1:]], axis=1))
        assert np.array_equal(grid.lat_edges, edges)
        assert grid.lon_edges[0] == -178.75
        assert grid.periodic

    def test_bounds_may_descend_and_wrap(self):
        lat_bounds = [[2.0, 1.0], [1.0, 0.0]]
        lon_bounds = [[178.0, 179.0], [179.0, -178.0], [-178.0, -177.0]]
        grid = Grid.from_centres(
            [1.5, 0.5], [178.5, -179.5, -177.5], lat_bounds=lat_bounds, lon_bounds=lon_bounds
        )
        assert grid == Grid([0, 1, 2], [178, 179, 182, 183])
        assert Grid.from_centres([0.5], [0.0], lat_bounds=[[0, 1]], lon_bounds=[[-180, 180]]).periodic

    @pytest.mark.parametrize(
        ("lat", "lon", "bounds", "match"),
        [
            ([0], [0, 1], {}, "latitude has one centre"),
            ([0, 1], [0, 1, 3], {}, "longitude is unevenly spaced"),
            (
                [0, 1],
                [0, 90, 180, 270, 360],
                {},
                "longitudes 0 and 360 are 0 degrees apart where others are 90: drop",
            ),
            ([0, 95], [0, 1], {}, "latitude must lie within -90 and 90, found 0 to 95"),
            ([0, 0], [0, 1], {}, "latitude is unevenly spaced"),
            ([0, 1], [0, 1], {"lat_bounds": [[0, 1]]}, r"latitude bounds must be finite, of shape \(2, 2\)"),
            ([0, 1], [0, 1], {"lat_bounds": [[0, 1], [2, 3]]}, "latitude bounds do not touch: 1 then 2"),
        ],
    )
    def test_errors(self, lat, lon, bounds, match):
        with pytest.raises(GridError, match=match):
            Grid.from_centres(lat, lon, **bounds)


class TestIndex:
    def test_edges_belong_to_the_cell_east_and_north(self):
        grid = Grid.regular(18, 54, 73, 135, 0.1, 0.1)
        assert grid.index(18.0, 73.0) == 0
        assert grid.index(18.0, 73.1) == 1
        assert grid.index(18.1, 73.0) == 620
        assert grid.index(54.0, 80.0) == -1
        assert grid.index(30.0, 135.0) == -1
        assert grid.index(np.nextafter(54.0, 0), np.nextafter(135.0, 0)) == grid.size - 1

    def test_float32_just_below_the_edge_is_outside_not_the_next_row(self):
        # float32(53.9999999) is exactly 54: flat index 360 * 620 would be a write past the array.
        assert CHINA.index(np.float32(53.9999999), np.float32(100.0)) == -1

    def test_poles_and_dateline(self):
        globe = Grid.regular(-90, 90, -180, 180, 1, 1)
        assert globe.index(90, 0) // 360 == 179
        assert globe.index(-90, -180) == 0
        assert globe.index(0, 180) == globe.index(0, -180)
        assert globe.index(0, 540) == globe.index(0, 180)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_not_a_place(self, bad):
        assert CHINA.index(bad, 100.0) == -1
        assert CHINA.index(30.0, bad) == -1
        assert Grid.regular(-90, 90, -180, 180, 1, 1).index(0.0, bad) == -1

    def test_one_place_in_two_conventions(self):
        grid = Grid.regular(-10, 10, -74, -70, 0.1, 0.1)
        lon = grid.lon_edges[:-1]
        assert np.array_equal(grid.index(0.0, lon), grid.index(0.0, lon + 360.0))

    def test_hair_west_of_a_periodic_grid_is_inside(self):
        globe = Grid.regular(-90, 90, 0, 360, 1, 1)
        assert int(globe.index(0.0, -1e-17)) in {90 * 360, 90 * 360 + 359}

    def test_broadcast_and_type(self):
        out = CHINA.index(np.array([[20.0], [30.0]]), np.array([100.0, 110.0, 0.0]))
        assert out.shape == (2, 3)
        assert out.dtype == np.int64
        assert (out[:, 2] == -1).all()

    def test_numba_takes_the_scalar_kernel(self):
        kernel = numba.njit(axis_cell)
        edges = CHINA.lon_edges
        points = [*edges, *CHINA.lon, np.nan, 0.0, np.nextafter(135.0, 0)]
        expected = CHINA.index(30.0, points)
        found = [kernel(x, edges) for x in points]
        assert [f + (24 * 124 if f >= 0 else 0) for f in found] == expected.tolist()

    def test_scalar_kernel_on_a_very_uneven_axis(self):
        edges = np.array([0.0, 1e-6, 2e-6, 3.0, 90.0])
        x = np.array([0.0, 5e-7, 1e-6, 2.5e-6, 2.0, 3.0, 89.0, 90.0, -1.0])
        assert [axis_cell(v, edges) for v in x] == [0, 0, 1, 2, 2, 3, 3, -1, -1]


class TestIdentity:
    def test_dict_round_trip_through_json(self):
        for grid in (CHINA, Grid([0, 1, 3], [170, 180, 195])):
            assert Grid.from_dict(json.loads(json.dumps(grid.to_dict()))) == grid

    def test_even_axis_is_three_numbers(self):
        assert CHINA.to_dict()["lon"] == {"first": 73.0, "last": 135.0, "n": 124}
        assert Grid([0, 1, 3], [0, 1]).to_dict()["lat"] == {"edges": [0.0, 1.0, 3.0]}

    @pytest.mark.parametrize("data", [{}, {"lat": {"first": 0}, "lon": {}}, {"lat": 3, "lon": 4}, []])
    def test_bad_dict(self, data):
        with pytest.raises(GridError, match=r"expected a grid as Grid.to_dict writes it"):
            Grid.from_dict(data)

    def test_hash_is_stable_and_tells_grids_apart(self):
        assert CHINA.hash_id == Grid.regular(18, 54, 73, 135, 0.5, 0.5).hash_id
        assert CHINA.hash_id != Grid.regular(18, 54, 73, 135, 1, 0.5).hash_id
        # Written into caches on disk: a change here orphans them.
        assert Grid([0, 1], [0, 1]).hash_id == "fee44a099545c9e3"
        assert len({CHINA, Grid.regular(18, 54, 73, 135, 0.5, 0.5)}) == 1

    def test_edges_do_not_leak_from_one_axis_to_the_other(self):
        assert Grid([0, 1, 2], [3, 4]).hash_id != Grid([0, 1], [2, 3, 4]).hash_id

    def test_pickle_and_comparison_with_other_things(self):
        assert pickle.loads(pickle.dumps(CHINA)) == CHINA
        assert CHINA != "grid"
        with pytest.raises(AttributeError):
            CHINA.lat_edges = np.zeros(3)
