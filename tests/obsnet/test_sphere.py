"""Distances on the sphere against the ellipsoid's geodesics and each other."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from obsnet.sphere import (
    AREA_RADIUS,
    EARTH_RADIUS,
    EARTH_RADIUS_KM,
    METRES_PER_DEGREE,
    great_circle_km,
    unit_vectors,
)

A, B = 6378137.0, 6378137.0 * (1 - 1 / 298.257223563)
places = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


def test_radii_are_those_of_the_ellipsoid():
    assert abs(EARTH_RADIUS - (2 * A + B) / 3) < 0.1
    e = np.sqrt(1 - (B / A) ** 2)
    area = 2 * np.pi * A**2 * (1 + (1 - e**2) / e * np.arctanh(e))
    assert abs(AREA_RADIUS - np.sqrt(area / (4 * np.pi))) < 0.1
    assert abs(METRES_PER_DEGREE - 2 * np.pi * EARTH_RADIUS / 360) < 1e-6


@given(places, places)
def test_chord_and_great_circle_agree(first, second):
    chord = np.linalg.norm(unit_vectors(*first) - unit_vectors(*second))
    along = 2 * EARTH_RADIUS_KM * np.arcsin(min(chord / 2, 1.0))
    assert abs(great_circle_km(*first, *second) - along) < 1e-6 + 2e-4 * (chord > 1.99)


@given(places, places)
def test_within_the_flattening_of_the_geodesic(first, second):
    exact = Geod(ellps="WGS84").inv(first[1], first[0], second[1], second[0])[2] / 1e3
    assert abs(great_circle_km(*first, *second) - exact) <= 0.0057 * exact + 1e-6


def test_shapes():
    assert unit_vectors(np.zeros(4), 3.0).shape == (4, 3)
    assert great_circle_km(np.zeros(4), 0.0, 1.0, np.zeros(4)).shape == (4,)
