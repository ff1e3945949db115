"""Land around regions: countries, strips that are only errors, the sea by exclusion."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
import shapely

from obsnet.grid import Grid
from obsnet.regions import provinces
from obsnet.surroundings import other_land, world_land

GRID = Grid.regular(0, 4, 0, 6, 1, 1)


def around(shape, land, grid=GRID):
    return other_land(geopandas.GeoDataFrame(index=["a"], geometry=[shape], crs=4326), grid, land)


def test_a_country_beside_a_region():
    other, strips = around(shapely.box(0, 0, 2, 4), shapely.box(0, -1, 3, 5))
    assert other.area == pytest.approx(4.0, rel=1e-9)
    assert other.bounds == (2.0, 0.0, 3.0, 4.0)
    assert strips.is_empty


@pytest.mark.parametrize(("width", "strip"), [(0.02, True), (0.09, True), (0.11, False), (0.5, False)])
def test_width_tells_a_strip_from_a_country(width, strip):
    other, strips = around(shapely.box(0, -1, 2, 5), shapely.box(0, -2, 2 + width, 6))
    assert strips.area == pytest.approx(4 * width * strip, abs=1e-6)
    assert other.area + strips.area == pytest.approx(4 * width, rel=1e-9)


def test_a_narrow_land_border_is_no_coast():
    """Between two regions of the user's there may be ten kilometres of somebody's land."""
    two = shapely.MultiPolygon([shapely.box(0, -1, 2, 5), shapely.box(2.05, -1, 7, 5)])
    other, strips = around(two, shapely.box(-9, -9, 9, 9))
    assert other.area == pytest.approx(0.2, rel=1e-9)
    assert strips.is_empty


def test_regions_across_the_dateline():
    grid = Grid.regular(-20, -10, 175, -175, 1, 1)
    land = shapely.union_all([shapely.box(176, -19, 180, -11), shapely.box(-180, -19, -176, -11)])
    own = shapely.MultiPolygon([shapely.box(178, -18, 180, -12), shapely.box(-180, -18, -178, -12)])
    other, strips = around(own, land, grid)
    assert other.area == pytest.approx(8 * 8 - 4 * 6, rel=1e-9)
    assert other.bounds == (176.0, -19.0, 184.0, -11.0)
    assert strips.is_empty


def test_china():
    """Mongolia is land of others, the Bohai and the Taiwan Strait are sea, Jinan is neither."""
    other, strips = other_land(provinces(), Grid.regular(15, 55, 70, 140, 1, 1))
    spots = {"Ulaanbaatar": (106.9, 47.9), "Hanoi": (105.8, 21.0), "Seoul": (127.0, 37.5)}
    assert all(shapely.contains_xy(other, *xy) for xy in spots.values())
    for xy in ((119.5, 38.7), (119.5, 24.0), (117.0, 36.7)):
        assert not shapely.contains_xy(shapely.union(other, strips), *xy)
    assert 0.05 < strips.area < 2.0
    assert shapely.is_valid(other)
    assert shapely.is_valid(strips)


def test_the_world_has_the_land_it_has():
    from obsnet.coverage import polygon_area

    land = polygon_area(np.array([world_land()]))[0]
    assert land == pytest.approx(1.47e14, rel=0.02)  # m2, ice sheets included
