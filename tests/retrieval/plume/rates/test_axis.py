"""Coordinates along and across a plume."""

import numpy as np
import pytest

from retrieval.plume.rates.axis import PlumeAxis, fit_axis, straight_axis


def test_along_a_straight_line_coordinates_are_a_rotation():
    axis = straight_axis(3.0, 4.0, 50.0)
    s, n = axis.coordinates(np.array([6.0, -3.0, 4.0]), np.array([8.0, -4.0, -3.0]))
    assert s == pytest.approx([10.0, -5.0, 0.0], abs=1e-9)
    assert n == pytest.approx([0.0, 0.0, -5.0], abs=1e-9)  # right of the wind is negative
    assert axis.bearing == pytest.approx(np.rad2deg(np.arctan2(3, 4)))
    assert axis.angle_to(-4.0, 3.0) == pytest.approx(90.0)
    assert axis.angle_to(-3.0, -4.0) == pytest.approx(180.0)


def test_points_beside_a_bent_line_get_their_distance():
    axis = PlumeAxis(np.array([1.0, 0.0]), np.array([0.0, 0.004]), 60.0)
    t = np.linspace(5, 55, 11)
    on = axis.points(t)
    tangent = np.stack([np.ones_like(t), 0.008 * t], axis=1)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    left = on + 6.0 * np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    s, n = axis.coordinates(left[:, 0], left[:, 1])
    assert n == pytest.approx(6.0, abs=0.02)
    arc = [np.sqrt(1 + (0.008 * np.linspace(0, e, 2001)) ** 2).mean() * e for e in t]
    assert s == pytest.approx(arc, abs=0.05)


def test_a_bent_plume_is_followed_and_noise_stays_straight():
    rng = np.random.default_rng(0)
    t = rng.uniform(0, 60, 400)
    x, y = t, 0.003 * t**2 + rng.normal(0, 2, 400)
    axis = fit_axis(x, y, np.ones(400))
    _, n = axis.coordinates(x, y)
    assert abs(n.mean()) < 0.5
    assert n.std() < 2.5
    short = fit_axis(rng.uniform(0, 8, 20), rng.normal(0, 1, 20), np.ones(20))
    assert abs(short.bend[1]) * 8**2 < 1.0
