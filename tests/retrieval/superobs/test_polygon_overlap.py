"""Clipping: areas against closed forms and shapely; dateline, seam, poles and crossed corners."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import SchemaError
from obsnet.grid import Grid
from obsnet.sphere import AREA_RADIUS
from retrieval.superobs.polygon_overlap import PROBLEMS, cell_areas, overlap

GLOBE = Grid.regular(-90, 90, -180, 180, 10, 10)
CHINA = Grid.regular(18, 54, 73, 135, 0.5, 0.5)


def quads(n, seed, lat=(-80, 80), lon=(-180, 180), size=3.0):
    """Convex quadrilaterals: slightly bent, turned rectangles."""
    rng = np.random.default_rng(seed)
    angle, a, b = rng.uniform(0, np.pi, n), rng.uniform(0.1, size, n), rng.uniform(0.1, size, n)
    u, v = np.array([-1, 1, 1, -1]) * a[:, None] / 2, np.array([-1, -1, 1, 1]) * b[:, None] / 2
    u, v = u * rng.uniform(0.8, 1, (n, 4)), v * rng.uniform(0.8, 1, (n, 4))
    x = rng.uniform(*lon, (n, 1)) + u * np.cos(angle)[:, None] - v * np.sin(angle)[:, None]
    y = rng.uniform(*lat, (n, 1)) + u * np.sin(angle)[:, None] + v * np.cos(angle)[:, None]
    return y, x


def spherical_area(x, y):
    """An independent route: the exact line integral, edge by edge, in plain numpy."""
    x, y = np.deg2rad(np.append(x, x[0])), np.deg2rad(np.append(y, y[0]))
    dx, half = np.diff(x), np.diff(y) / 2
    mean = np.sin((y[1:] + y[:-1]) / 2) * np.sinc(half / np.pi)  # of sin along each side
    return abs(np.sum(dx * (mean - np.sin(y[0])))) * AREA_RADIUS**2


@given(st.integers(0, 10**6), st.sampled_from([10.0, 3.0, 0.7]))
def test_pieces_sum_to_the_pixel(seed, step):
    lat, lon = quads(20, seed)
    grid = Grid(np.linspace(-90, 90, round(180 / step) + 1), np.linspace(-180, 180, round(360 / step) + 1))
    found = overlap(lat, lon, grid)
    np.testing.assert_allclose(np.bincount(found.pixel, found.area, 20), found.pixel_area, rtol=1e-10)
    np.testing.assert_allclose(found.pixel_area[0], spherical_area(lon[0], lat[0]), rtol=1e-9)
    assert (found.area > 0).all()
    assert (found.cell >= 0).all()
    assert (found.cell < grid.size).all()
    assert (np.diff(found.pixel) >= 0).all()
    np.testing.assert_allclose(np.bincount(found.pixel, found.share, 20), 1, rtol=1e-10)


def test_pieces_agree_with_shapely():
    from shapely import Polygon, box

    lat, lon = quads(60, 7, lat=(20, 52), lon=(75, 133), size=1.5)
    found = overlap(lat, lon, CHINA)
    nlon = CHINA.shape[1]
    seen = 0
    for k in range(len(lat)):
        pixel = Polygon(np.column_stack([lon[k], lat[k]]))
        pieces = dict(zip(found.cell[found.pixel == k], found.area[found.pixel == k], strict=True))
        touched = 0
        for i, j in np.ndindex(CHINA.shape):
            west, south = CHINA.lon_edges[j], CHINA.lat_edges[i]
            part = pixel.intersection(box(west, south, CHINA.lon_edges[j + 1], CHINA.lat_edges[i + 1]))
            if part.area <= 1e-12:
                continue
            x, y = np.array(part.exterior.coords)[:-1].T
            assert pieces[i * nlon + j] == pytest.approx(spherical_area(x, y), rel=1e-9, abs=1.0)
            touched += 1
        assert touched == len(pieces)
        seen += touched
    assert seen > 200


def test_a_cell_as_a_pixel_has_the_cells_area():
    south, north = GLOBE.lat_edges[:-1], GLOBE.lat_edges[1:]
    lat = np.column_stack([south, south, north, north])
    lon = np.tile([20.0, 30.0, 30.0, 20.0], (len(lat), 1))
    found = overlap(lat, lon, GLOBE)
    np.testing.assert_array_equal(found.cell, np.arange(18) * 36 + 20)
    np.testing.assert_allclose(found.area, cell_areas(GLOBE)[found.cell], rtol=1e-13)
    assert cell_areas(GLOBE).sum() == pytest.approx(4 * np.pi * AREA_RADIUS**2, rel=1e-13)


def test_cell_areas_are_near_those_of_the_ellipsoid():
    np.testing.assert_allclose(cell_areas(CHINA), CHINA.cell_area.ravel(), rtol=5e-3)


@given(st.integers(0, 10**6), st.integers(-2, 2), st.booleans(), st.integers(0, 3))
def test_turns_direction_and_first_corner_do_not_matter(seed, turns, reverse, roll):
    lat, lon = quads(10, seed)
    other_lat, other_lon = np.roll(lat, roll, axis=1), np.roll(lon, roll, axis=1) + 360 * turns
    if reverse:
        other_lat, other_lon = other_lat[:, ::-1], other_lon[:, ::-1]
    one, two = overlap(lat, lon, GLOBE), overlap(other_lat, other_lon, GLOBE)
    dense = [np.zeros((10, GLOBE.size)) for _ in range(2)]
    for matrix, found in zip(dense, (one, two), strict=True):
        matrix[found.pixel, found.cell] = found.area / found.pixel_area[found.pixel]
    np.testing.assert_allclose(dense[0], dense[1], atol=1e-10)


@given(st.integers(0, 10**6))
def test_finer_cells_add_up_to_coarser_ones(seed):
    lat, lon = quads(10, seed, lat=(20, 50), lon=(75, 130))
    fine, coarse = (overlap(lat, lon, Grid.regular(10, 60, 70, 140, d, d)) for d in (1, 2))
    row, column = np.divmod(fine.cell, 70)
    summed = np.zeros((10, 25 * 35))
    np.add.at(summed, (fine.pixel, row // 2 * 35 + column // 2), fine.area)
    direct = np.zeros_like(summed)
    direct[coarse.pixel, coarse.cell] = coarse.area
    np.testing.assert_allclose(summed, direct, rtol=1e-9, atol=1e-3)


def test_dateline_pixel_given_with_a_jump():
    """Corners at 179.5 and -179.5 are one degree apart, not 359."""
    lat, lon = np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([[179.5, -179.5, -179.5, 179.5]])
    found = overlap(lat, lon, GLOBE)
    np.testing.assert_array_equal(np.sort(found.cell), [9 * 36, 9 * 36 + 35])
    np.testing.assert_allclose(found.share, 0.5, rtol=1e-12)
    pacific = Grid.regular(-10, 10, 170, -170, 10, 10)
    np.testing.assert_allclose(overlap(lat, lon, pacific).share, 0.5, rtol=1e-12)
    assert found.pixel_area[0] == pytest.approx(cell_areas(Grid.regular(0, 1, 0, 1, 1, 1))[0], rel=1e-12)


def test_seam_of_a_grid_from_zero_to_360():
    grid = Grid(np.linspace(-90, 90, 19), np.linspace(0, 360, 37))
    lat, lon = np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([[-0.5, 0.5, 0.5, -0.5]])
    found = overlap(lat, lon, grid)
    assert sorted(found.cell - 9 * 36) == [0, 35]
    np.testing.assert_allclose(found.share, 0.5, rtol=1e-12)


def test_pixel_partly_or_wholly_outside():
    lat = np.array([[17.5, 17.5, 18.5, 18.5], [0.0, 0.0, 1.0, 1.0]])
    lon = np.array([[100.0, 100.4, 100.4, 100.0]] * 2)
    found = overlap(lat, lon, CHINA)
    assert set(found.pixel) == {0}
    assert found.share.sum() == pytest.approx(0.5, abs=2e-3)
    assert found.pixel_area[1] > 0


def test_uneven_grid():
    grid = Grid([0.0, 0.1, 5.0, 6.0], [10.0, 10.5, 12.0])
    found = overlap([[0.0, 0.0, 6.0, 6.0]], [[10.0, 12.0, 12.0, 10.0]], grid)
    np.testing.assert_allclose(found.area, cell_areas(grid)[found.cell], rtol=1e-13)
    assert len(found.cell) == 6


def test_crossed_corners_are_put_in_order_and_counted():
    lat, lon = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.0])
    for order in ([0, 1, 3, 2], [0, 2, 1, 3], [0, 2, 3, 1]):
        found = overlap(lat[None, order], lon[None, order], GLOBE)
        assert found.problems["corners reordered"] == 1
        assert found.pixel_area[0] == pytest.approx(cell_areas(Grid.regular(0, 1, 0, 1, 1, 1))[0], rel=1e-12)


def test_concave_pixel_keeps_its_area():
    lat, lon = np.array([[0.0, 1.0, 4.0, 1.0]]), np.array([[0.0, 2.0, 0.0, -2.0]])
    dart_lat, dart_lon = np.array([[0.0, 1.0, 0.5, 4.0]]), np.array([[0.0, 2.0, 0.2, 0.0]])
    grid = Grid.regular(-5, 5, -5, 5, 0.25, 0.25)
    for y, x in ((lat, lon), (dart_lat, dart_lon)):
        found = overlap(y, x, grid)
        assert found.area.sum() == pytest.approx(spherical_area(x[0], y[0]), rel=1e-10)


def test_unusable_pixels_are_counted_and_left_out():
    good = ([0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0])
    lat = np.array([good[0], [np.nan, 0, 1, 1], [89.0, 89, 89, 89], [5.0, 5, 5, 5], [91.0, 0, 1, 1]])
    lon = np.array([good[1], good[1], [0.0, 90, 180, 270], [5.0, 5, 5, 5], good[1]])
    found = overlap(lat, lon, GLOBE)
    assert set(found.pixel) == {0}
    assert list(found.problems) == list(PROBLEMS)
    assert found.problems == dict(zip(PROBLEMS, (2, 1, 1, 0), strict=True))
    np.testing.assert_array_equal(found.pixel_area[1:], 0)


def test_triangles_and_hexagons():
    angle = np.deg2rad(np.arange(0, 360, 60))
    hexagon = overlap([45 + np.sin(angle)], [100 + np.cos(angle)], CHINA)
    assert hexagon.area.sum() == pytest.approx(
        spherical_area(100 + np.cos(angle), 45 + np.sin(angle)), rel=1e-10
    )
    triangle = overlap([[40.0, 40.0, 41.0]], [[100.0, 101.0, 100.0]], CHINA)
    assert triangle.area.sum() == pytest.approx(triangle.pixel_area[0], rel=1e-12)


def test_real_tropomi_pixels(sample_data):
    """Pixels nadir are 7 km x 7 km before August 2019, wider at the swath's edge."""
    import h5py

    with h5py.File(next((sample_data / "satellite/tropomi_blended").glob("*02850*"))) as file:
        lat, lon = file["latitude_bounds"][:], file["longitude_bounds"][:]
    found = overlap(lat, lon, Grid.regular(-90, 90, -180, 180, 0.25, 0.25))
    area = found.pixel_area / 1e6
    assert 35 < np.percentile(area, 1) < 60
    assert np.median(area) < 200
    assert sum(found.problems.values()) == 0
    np.testing.assert_allclose(np.bincount(found.pixel, found.share), 1, rtol=1e-9)


def test_nothing_in_nothing_out():
    found = overlap(np.zeros((0, 4)), np.zeros((0, 4)), GLOBE)
    assert len(found.pixel) == 0
    assert sum(found.problems.values()) == 0


@pytest.mark.parametrize("shapes", [((2, 4), (3, 4)), ((2, 2), (2, 2)), ((4,), (4,))])
def test_refusals(shapes):
    with pytest.raises(SchemaError, match="corners must be two arrays"):
        overlap(*(np.zeros(s) for s in shapes), GLOBE)
