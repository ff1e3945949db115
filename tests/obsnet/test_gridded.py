"""Spreading totals: what is added up again is what was given."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from obsnet.errors import RegionError
from obsnet.inventory.gridded import spread_totals


def two_regions(border=0.5):
    """Return weights of two regions over five cells of area 2; the middle cell is shared."""
    share = np.array([[1, 1, border, 0, 0], [0, 0, 1 - border, 1, 1]], float)
    return sparse.csr_array(2.0 * share)


@given(st.floats(1, 100), st.floats(1, 100), st.floats(0.1, 0.9))
def test_totals_are_met(a, b, border):
    weights = two_regions(border)
    totals = np.array([a, b])
    try:
        density = spread_totals(totals, weights, np.ones(5))
    except RegionError:
        # only a region whose neighbour already fills the shared cell beyond its total may refuse
        assert max(a, b) / min(a, b) > 4
        return
    assert (density >= 0).all()
    np.testing.assert_allclose(weights @ density, totals, rtol=1e-8)


def test_even_proxy_and_no_border_is_plain_division():
    weights = sparse.csr_array(np.array([[2.0, 2.0, 0.0], [0.0, 0.0, 4.0]]))
    density = spread_totals(np.array([8.0, 4.0]), weights, np.ones(3))
    np.testing.assert_allclose(density, [2.0, 2.0, 1.0])


def test_proxy_and_points():
    weights = sparse.csr_array(np.array([[2.0, 2.0]]))
    np.testing.assert_allclose(spread_totals(np.array([8.0]), weights, np.array([3.0, 1.0])), [3.0, 1.0])
    density = spread_totals(np.array([8.0]), weights, np.ones(2), points=np.array([4.0, 0.0]))
    np.testing.assert_allclose(density, [3.0, 1.0])


def test_a_region_without_a_total_gets_nothing_of_its_own():
    weights = two_regions()
    density = spread_totals(np.array([10.0, np.nan]), weights, np.ones(5))
    assert density[4] == 0
    assert (weights @ density)[0] == pytest.approx(10.0)


def test_plants_beyond_the_total():
    weights = sparse.csr_array(np.array([[2.0, 2.0]]))
    with pytest.raises(RegionError, match="region number 0 cannot be met on this grid"):
        spread_totals(np.array([8.0]), weights, np.ones(2), points=np.array([9.0, 0.0]))
