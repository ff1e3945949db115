"""Means of exponentials over cells and times: against plain quadrature, limits, and pieces that add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.legendre import leggauss

from obsnet.grid import Grid
from retrieval.mapping.block_integrals import (
    cell_sizes_km,
    from_point,
    from_time,
    mean_within,
    within_time,
)

NODES = leggauss(8)


def by_midpoints(x, y, width, height, length, n=400):
    u, v = ((np.arange(n) + 0.5) / n - 0.5) * width, ((np.arange(n) + 0.5) / n - 0.5) * height
    return np.exp(-np.hypot(u[:, None] - x, v[None, :] - y) / length).mean()


@pytest.mark.parametrize(
    ("x", "y", "width", "height", "length"),
    [
        (0, 0, 100, 50, 20),  # inside
        (50, 25, 100, 50, 20),  # on a corner
        (50, 3, 100, 50, 20),  # on a side
        (70, -10, 100, 50, 20),  # outside
        (300, 100, 100, 100, 200),
        (10, 10, 100, 100, 3000),
        (-40, 60, 10, 200, 15),  # long and thin
    ],
)
def test_mean_from_a_point(x, y, width, height, length):
    assert from_point(x, y, width, height, length, *NODES) == pytest.approx(
        by_midpoints(x, y, width, height, length), rel=2e-4
    )


def test_far_below_the_size_of_the_cell_a_point_sees_its_own_disc():
    """2 pi L^2 over the area inside, half of it on a side, a quarter on a corner, nothing outside."""
    disc = 2 * np.pi / (200 * 200)
    for x, y, share in ((0, 0, 1), (100, 0, 0.5), (100, 100, 0.25), (120, 0, 0)):
        assert from_point(x, y, 200, 200, 1.0, *NODES) == pytest.approx(share * disc, rel=1e-6, abs=1e-9)


@given(
    st.floats(-200, 200),
    st.floats(-200, 200),
    st.floats(10, 300),
    st.floats(10, 300),
    st.floats(1, 5000),
)
@settings(max_examples=60)
def test_a_cell_is_the_mean_of_its_quarters(x, y, width, height, length):
    quarters = [
        from_point(x - sx * width / 4, y - sy * height / 4, width / 2, height / 2, length, *NODES)
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    assert from_point(x, y, width, height, length, *NODES) == pytest.approx(np.mean(quarters), abs=1e-8)


@given(st.floats(5, 500), st.floats(5, 500), st.floats(0.5, 5000))
@settings(max_examples=40)
def test_mean_within_is_the_mean_of_means_from_points(width, height, length):
    nodes, weights = leggauss(20)
    outer = sum(
        weights[i] * weights[j] / 4
        * from_point(nodes[i] * width / 2, nodes[j] * height / 2, width, height, length, *NODES)
        for i in range(20) for j in range(20)
    )  # fmt: skip
    (found,) = mean_within(width, height, length)
    assert 0 < found < 1
    # the outer quadrature sees the sides only where the length is not far below the cell
    assert found == pytest.approx(outer, rel=1e-6 if length > min(width, height) else 0.2)


def test_mean_within_at_both_ends():
    assert mean_within(100, 100, 1e7)[0] == pytest.approx(1, abs=1e-5)
    # 1 - E|d| / L with the mean distance of two points of a unit square, 0.521405433
    assert 1 - mean_within(100, 100, 1e5)[0] == pytest.approx(52.1405433 / 1e5, rel=1e-3)
    assert mean_within(1000, 1000, 0.5)[0] == pytest.approx(2 * np.pi * 0.25 / 1e6, rel=2e-3)


@given(st.floats(-20, 20), st.floats(0.01, 30), st.floats(0.1, 50))
@settings(max_examples=40)
def test_times(lag, duration, length):
    t = (np.arange(20000) + 0.5) / 20000 * duration - duration / 2
    assert from_time(lag, duration, length) == pytest.approx(np.exp(-abs(t - lag) / length).mean(), abs=1e-5)
    assert within_time(duration, length) == pytest.approx(
        np.mean([from_time(s, duration, length) for s in t[::100]]), abs=1e-3
    )
    assert from_time(lag, 0.0, length) == pytest.approx(np.exp(-abs(lag) / length))
    assert within_time(0.0, length) == 1.0


def test_rectangles_have_the_cells_areas():
    grid = Grid.regular(-90, 90, -180, 180, 5, 5)
    size = cell_sizes_km(grid)
    assert size.shape == (grid.size, 2)
    assert np.sum(size[:, 0] * size[:, 1]) == pytest.approx(4 * np.pi * 6371.0088**2, rel=1e-12)


@given(
    turn=st.floats(0.0, 2 * np.pi),
    beyond=st.floats(0.5, 200.0),
    height=st.floats(0.2, 5.0),
    length=st.floats(0.05, 100.0),
)
def test_far_and_near_from_a_point_agree_with_many_points(turn, beyond, height, length):
    """Where few points of the rectangle stand for it, and on the other side of that line, it is the same to 1e-8."""
    half = 0.5 * np.hypot(1.0, height)
    x, y = beyond * half * np.cos(turn), beyond * half * np.sin(turn)
    if abs(x) < 0.75 and abs(y) < 0.75 * height:
        return  # the quadrature below needs a distance from the rectangle
    nodes, weights = leggauss(40)
    u, v = 0.5 * nodes, 0.5 * height * nodes
    length *= half
    exact = weights @ np.exp(-np.hypot(u[:, None] - x, v[None, :] - y) / length) @ weights / 4.0
    near_sides = leggauss(24)
    if beyond > 6.0 and half < 0.5 * length:
        assert from_point(x, y, 1.0, height, length, *NODES) == pytest.approx(exact, rel=1e-8)
    elif length > 0.3 * half:
        assert from_point(x, y, 1.0, height, length, *near_sides) == pytest.approx(exact, rel=1e-4)
