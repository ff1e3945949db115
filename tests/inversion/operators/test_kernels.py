"""Correlations on the sphere and in time are positive definite and mean kilometres."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from inversion.operators.kernels import (
    EARTH_RADIUS_KM,
    KERNELS,
    chord_km,
    space_correlation,
    time_correlation,
)
from obsnet.errors import ConfigError


@pytest.mark.parametrize("kernel", KERNELS)
@given(seed=st.integers(0, 1000), length=st.floats(50, 20000))
def test_positive_definite_anywhere_on_the_globe(kernel, seed, length):
    rng = np.random.default_rng(seed)
    lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, 40))), rng.uniform(-180, 180, 40)
    matrix = space_correlation(lat, lon, length, kernel)
    np.testing.assert_allclose(np.diagonal(matrix), 1.0)
    assert np.linalg.eigvalsh(matrix).min() > -1e-10


def test_the_gaussian_of_great_circle_distance_would_not_be():
    lon = np.linspace(-180, 180, 24, endpoint=False)
    arc = np.abs((lon[:, None] - lon + 180) % 360 - 180) * np.pi / 180 * EARTH_RADIUS_KM
    assert np.linalg.eigvalsh(np.exp(-((arc / 8000) ** 2))).min() < -1e-3
    assert np.linalg.eigvalsh(space_correlation(np.zeros(24), lon, 8000)).min() > 0


@pytest.mark.parametrize("kernel", KERNELS)
def test_integral_length_is_the_length(kernel):
    assert quad(lambda r: float(KERNELS[kernel](np.array(r))), 0, 40, limit=200)[0] == pytest.approx(
        1.0, rel=1e-6
    )


def test_kilometres_not_degrees():
    d = chord_km([50.0, 50.0, 0.0], [0.0, 1.0, 0.0])
    # one degree of longitude at 50 N is 71.5 km; a chord of it is shorter by less than a metre
    assert d[0, 1] == pytest.approx(2 * np.pi * EARTH_RADIUS_KM / 360 * np.cos(np.radians(50)), rel=2e-5)
    assert chord_km([90.0, -90.0], [0.0, 0.0])[0, 1] == pytest.approx(2 * EARTH_RADIUS_KM)
    assert chord_km([0.0, 0.0], [180.0, -180.0])[0, 1] == pytest.approx(0.0, abs=1e-9)


def test_sparse_equals_dense():
    rng = np.random.default_rng(0)
    lat, lon = rng.uniform(20, 50, 60), rng.uniform(75, 130, 60)
    dense = space_correlation(lat, lon, 300.0, "wendland")
    sparse = space_correlation(lat, lon, 300.0, "wendland", sparse=True)
    np.testing.assert_allclose(sparse.toarray(), dense, atol=1e-14)
    assert sparse.nnz < 0.9 * 3600


def test_no_length_is_no_correlation():
    assert space_correlation([0.0, 1.0], [0.0, 1.0], 0.0).tolist() == [[1, 0], [0, 1]]
    assert space_correlation([0.0, 1.0], [0.0, 1.0], 0.0, "wendland", sparse=True).toarray().tolist() == [
        [1, 0],
        [0, 1],
    ]
    assert time_correlation([0.0, 5.0], 0.0).tolist() == [[1, 0], [0, 1]]


def test_time_correlation_counts_days():
    times = np.array(["2019-01-01", "2019-01-11"], dtype="datetime64[D]")
    assert time_correlation(times, 10.0)[0, 1] == pytest.approx(np.exp(-1))
    assert time_correlation([0.0, 20.0], 10.0)[0, 1] == pytest.approx(np.exp(-2))


def test_faults_are_named():
    with pytest.raises(ConfigError, match="unknown correlation kernel 'exponentail'; nearest: 'exponential'"):
        space_correlation([0.0], [0.0], 1.0, "exponentail")
    with pytest.raises(ConfigError, match="never zero; a sparse correlation needs 'wendland'"):
        space_correlation([0.0], [0.0], 1.0, "matern32", sparse=True)
