"""Places, areas and what a scene refuses."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import RangeError, SchemaError
from obsnet.grid import Grid
from obsnet.sphere import great_circle_km
from retrieval.plume.images.scene import local_plane, pixel_areas
from tests.retrieval.plume.scenes import make_scene


@given(st.floats(-80, 80), st.floats(-180, 180), st.floats(-2, 2), st.floats(-2, 2))
def test_distances_from_the_origin_are_those_on_the_sphere(lat, lon, dlat, dlon):
    x, y = local_plane(lat + dlat, lon + dlon, (lat, lon))
    assert float(np.hypot(x, y)) == pytest.approx(
        float(great_circle_km(lat, lon, lat + dlat, lon + dlon)), abs=1e-6
    )


def test_east_is_right_and_north_is_up_across_the_dateline():
    x, y = local_plane([10.0, 11.0], [-179.9, 179.9], (10.0, 179.9))
    assert x[0] > 20
    assert x[1] == pytest.approx(0.0, abs=1e-9)
    assert y[1] > 100


def test_areas_of_corners_and_of_middles_agree_with_the_grid():
    grid = Grid(np.linspace(40, 41, 51), np.linspace(100, 101, 51))
    lat, lon = np.meshgrid(*(0.5 * (e[1:] + e[:-1]) for e in (grid.lat_edges, grid.lon_edges)), indexing="ij")
    step = 0.01
    corners = [
        lat[..., None] + step * np.array([-1, -1, 1, 1]),
        lon[..., None] + step * np.array([-1, 1, 1, -1]),
    ]
    true = grid.cell_area
    for found in (pixel_areas(lat, lon), pixel_areas(lat, lon, *corners)):
        assert found / true == pytest.approx(1.0, abs=5e-3)  # sphere against ellipsoid


def test_corners_that_cross_are_refused():
    lat, lon = np.meshgrid(np.arange(40, 41, 0.02), np.arange(100, 101, 0.02), indexing="ij")
    with pytest.raises(RangeError, match="round the pixel"):
        pixel_areas(
            lat,
            lon,
            lat[..., None] + 0.01 * np.array([-1, 1, -1, 1]),
            lon[..., None] + 0.01 * np.array([-1, 1, 1, -1]),
        )


def test_a_scene_refuses_tracks_other_shapes_and_errors_of_zero():
    scene = make_scene()
    with pytest.raises(SchemaError, match="rows and columns"):
        dataclasses.replace(scene, value=scene.value[:2])
    with pytest.raises(SchemaError, match="area has shape"):
        dataclasses.replace(scene, area=scene.area[1:])
    with pytest.raises(SchemaError, match="needs its uncertainty"):
        dataclasses.replace(scene, no2=scene.value)
    with pytest.raises(RangeError, match="zero or negative"):
        dataclasses.replace(scene, uncertainty=np.zeros_like(scene.value))
    assert scene.pixel_km == pytest.approx(2.0, rel=5e-3)
    assert scene.spacing_km == pytest.approx((2.0, 2.0), rel=5e-3)
