"""Coverage of cells by polygons: by hand, against brute force, against exactextract, corners and edges."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from pyproj import Geod

from obsnet.coverage import around, coverage, polygon_area
from obsnet.grid import WGS84_AREA, Grid
from obsnet.regions import provinces

UNIT = Grid.regular(0, 4, 0, 6, 1, 1)


def cover(shape, grid=UNIT):
    return coverage(np.array([shape]), grid).toarray().reshape(grid.shape)


def brute_force(shape, grid):
    """Area of the clipped polygon over the area of the cell, one cell at a time."""
    boxes = [
        shapely.box(w, s, e, n)
        for s, n in zip(grid.lat_edges, grid.lat_edges[1:], strict=False)
        for w, e in zip(grid.lon_edges, grid.lon_edges[1:], strict=False)
    ]
    return polygon_area(shapely.intersection(boxes, shape)).reshape(grid.shape) / grid.cell_area


class TestCoverage:
    def test_rectangle_by_hand(self):
        expected = np.zeros(UNIT.shape)
        expected[:2] = [0.5, 1, 0.25, 0, 0, 0]
        assert np.allclose(cover(shapely.box(0.5, 0, 2.25, 2)), expected, rtol=1e-14, atol=0)

    def test_triangle_by_hand(self):
        # On the equator's side strips are nearly flat: half of each diagonal cell.
        found = cover(shapely.Polygon([(0, 0), (3, 0), (0, 3)]))
        assert found[0, :3] == pytest.approx([1.0, 1.0, 0.5], abs=1e-4)
        assert found[1, :3] == pytest.approx([1.0, 0.5, 0.0], abs=1e-4)
        assert found[0, 2] != 0.5  # but not flat
        assert found[3].sum() == 0.0

    def test_northern_half_of_a_cell_is_less_than_half_of_it(self):
        fine = Grid([60, 61, 62], [0, 2])
        found = cover(shapely.box(0, 61, 2, 62), Grid.regular(60, 62, 0, 2, 2, 2))
        assert found[0, 0] == pytest.approx(fine.cell_area[1, 0] / fine.cell_area.sum(), rel=1e-13)
        assert found[0, 0] < 0.493

    def test_rows_count_from_the_south(self):
        assert coverage(np.array([shapely.box(5, 3, 6, 4)]), UNIT).indices.tolist() == [UNIT.size - 1]

    def test_hole_parts_and_orientation(self):
        shape = shapely.box(0, 0, 3, 3).difference(shapely.box(1, 1, 2, 2)).union(shapely.box(4, 3, 5, 4))
        found = cover(shape)
        expected = np.zeros(UNIT.shape)
        expected[:3, :3] = 1
        expected[1, 1], expected[3, 4] = 0, 1
        assert np.array_equal(found, expected)
        assert np.array_equal(cover(shapely.reverse(shape)), expected)

    def test_island_in_a_lake(self):
        lake = shapely.box(0, 0, 4, 4).difference(shapely.box(0.5, 0.5, 3.5, 3.5))
        shape = shapely.MultiPolygon([lake, shapely.box(1, 1, 2, 2)])
        assert cover(shape)[1, 1] == 1.0
        assert np.allclose(cover(shape), brute_force(shape, UNIT), atol=1e-12)

    @pytest.mark.parametrize(
        "grid",
        [
            UNIT,
            Grid([0, 0.5, 2, 3, 4], [0, 2, 3, 4, 5.5]),
            Grid([1, 3.9], [-2, 2, 9]),
            Grid([-10, 60], [-10, 60]),
        ],
    )
    @pytest.mark.parametrize(
        "shape",
        [
            shapely.Polygon([(0.3, 0.2), (5.1, 0.7), (3.3, 3.9)]),
            shapely.Point(3, 2).buffer(1.7),
            shapely.Point(3, 2).buffer(9.0, quad_segs=2),
            shapely.Polygon([(0, 0), (4, 4), (6, 0), (3, 1)]),
            shapely.Polygon([(1e-9, 1e-9), (2, 1e-9), (2, 1 + 1e-9), (1e-9, 1 + 1e-9)]),
        ],
    )
    def test_brute_force(self, shape, grid):
        assert np.allclose(cover(shape, grid), brute_force(shape, grid), rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("lat", [0.0, 45.0, 80.0])
    def test_diagonal_of_a_large_cell(self, lat):
        grid = Grid([lat, lat + 10], [0, 10])
        triangle = shapely.Polygon([(0, lat), (10, lat), (0, lat + 10)])
        dense = polygon_area([shapely.segmentize(triangle, 0.05)])[0]
        assert cover(triangle, grid)[0, 0] * grid.cell_area[0, 0] == pytest.approx(dense, rel=1e-11)

    def test_polygon_much_wider_than_the_grid(self):
        assert (cover(shapely.box(-170, -80, 170, 80)) == 1.0).all()
        assert (cover(shapely.Polygon([(-170, -80), (170, -80), (-170, 300)])) == 1.0).all()

    def test_polygon_beside_the_grid(self):
        for shape in (
            shapely.box(-5, 1, 0, 2),
            shapely.box(6, 1, 9, 2),
            shapely.box(1, -5, 2, 0),
            shapely.box(1, 4, 2, 9),
        ):
            assert cover(shape).sum() == 0.0

    def test_edge_through_a_corner(self):
        # exactextract 0.3 fills a cell wholly outside this polygon: an edge passes 1e-8 from its corner.
        grid = Grid(np.linspace(8, 11, 121), np.arange(-159, -150))
        shape = shapely.Polygon(
            [
                (-151.57086001829828, 9.322849954254346),
                (-152.47584831675593, 9.854594491201222),
                (-152.82583333333332, 11),
                (-151, 11),
                (-151, 9.363444444444445),
            ]
        )
        assert (cover(shape, grid) * grid.cell_area).sum() == pytest.approx(
            polygon_area([shape])[0], rel=1e-12
        )
        assert cover(shape, grid)[62, 6] < 1e-4

    def test_neighbours_share_a_border_without_remainder(self):
        rng = np.random.default_rng(0)
        border = np.column_stack([3 + rng.normal(size=41).clip(-2, 2), np.linspace(0, 4, 41)])
        both = sum(cover(shapely.Polygon([(x, 0), *border, (x, 4)])) for x in (0, 6))
        assert np.abs(both - 1.0).max() < 1e-14

    def test_no_polygons(self):
        assert coverage(np.array([], dtype=object), UNIT).shape == (0, UNIT.size)

    def test_exactextract_agrees_on_china(self):
        grid = Grid.regular(18, 54, 73, 135, 0.5, 0.5)
        frame = provinces().reset_index()[["adcode", "geometry"]]
        raster = NumPyRasterSource(
            np.zeros(grid.shape, np.uint8), 73, 18, 135, 54, srs_wkt=frame.crs.to_wkt()
        )
        found = exact_extract(raster, frame, ["cell_id", "coverage"], include_cols="adcode", output="pandas")
        ours = coverage(frame.geometry.to_numpy(), grid).toarray()
        theirs = np.zeros_like(ours)
        for i, (cells, fraction) in enumerate(zip(found["cell_id"], found["coverage"], strict=True)):
            row, column = np.divmod(cells, grid.shape[1])
            theirs[i, (grid.shape[0] - 1 - row) * grid.shape[1] + column] = fraction
        # Theirs is planar in degrees: within a cell of half a degree area changes by tan(lat) * 0.0087.
        assert np.abs(ours - theirs).max() < 2e-3
        assert np.abs(ours - theirs).mean() < 1e-5
        assert ((ours > 1e-6) == (theirs > 1e-6)).all()


class TestDateline:
    def test_around_counts_copies(self):
        shapes = np.array(
            [shapely.box(-180, 0, -170, 1), shapely.box(0, 0, 1, 1), shapely.box(170, 0, 190, 1)]
        )
        copies, number = around(shapes, 175.0, 185.0)
        assert sorted(number.tolist()) == [0, 2]
        assert shapely.bounds(copies[number == 0]).tolist() == [[180.0, 0.0, 190.0, 1.0]]
        _, number = around(shapes, -180.0, 180.0)
        assert sorted(number.tolist()) == [0, 1, 2, 2]

    def test_strip_around_the_globe(self):
        for start in (-180, 0, 100):
            grid = Grid([0, 10, 20], start + np.arange(0, 361, 30))
            found = cover(shapely.box(-180, 0, 180, 10), grid)
            assert np.allclose(found, [[1.0] * 12, [0.0] * 12], atol=1e-14)


class TestPolygonArea:
    def test_boxes_are_grid_cells(self):
        boxes = [shapely.box(10, -80, 40, 70), shapely.box(0, 0, 1, 1)]
        expected = [Grid([-80, 70], [10, 40]).cell_area[0, 0], Grid([0, 1], [0, 1]).cell_area[0, 0]]
        assert polygon_area(boxes) == pytest.approx(expected, rel=1e-12)
        assert polygon_area([shapely.box(-180, -90, 180, 90)])[0] == pytest.approx(WGS84_AREA, rel=1e-12)

    def test_holes_parts_and_orientation(self):
        outer, hole, island = shapely.box(0, 0, 10, 10), shapely.box(2, 2, 5, 5), shapely.box(20, 0, 21, 1)
        shape = shapely.MultiPolygon([shapely.difference(outer, hole), island])
        a, b, c = polygon_area([outer, hole, island])
        assert polygon_area([shape, shapely.reverse(shape)]) == pytest.approx([a - b + c] * 2, rel=1e-13)

    def test_diagonal_edges_against_many_small_geodesics(self):
        triangle = shapely.Polygon([(100, 20), (110, 30), (101, 35)])
        dense = shapely.segmentize(triangle, 0.01)
        geodesic = abs(Geod(ellps="WGS84").geometry_area_perimeter(dense)[0])
        assert polygon_area([triangle])[0] == pytest.approx(geodesic, rel=1e-7)
