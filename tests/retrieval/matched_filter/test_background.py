"""Covariance and its shrinkage."""

import numpy as np
import pytest

from obsnet.errors import SolverError
from retrieval.matched_filter.background import covariance, oas_weight, shrink, whitening


def spectra(n, p=12, seed=0):
    """Spectra that differ in brightness, in two ways of surfaces and by noise; with their true covariance."""
    rng = np.random.default_rng(seed)
    x = np.linspace(-1, 1, p)
    ways = np.stack([3.0 * (1.2 - 0.3 * x), 0.3 * x, 0.1 * (x**2 - 0.3)])
    drawn = rng.standard_normal((n, 3)) @ ways + 0.05 * rng.standard_normal((n, p))
    return 10.0 * (1.2 - 0.3 * x) + drawn, ways.T @ ways + 0.05**2 * np.eye(p)


def test_covariance_is_that_of_numpy():
    x, _ = spectra(200)
    np.testing.assert_allclose(covariance(x - x.mean(0)), np.cov(x.T, bias=True), rtol=1e-12)


def test_weight_of_a_matrix_done_by_hand():
    # diag(1, 2, 3, 4), n = 10: (0.5 * 30 + 100) / (10.5 * (30 - 25))
    assert oas_weight(np.diag([1.0, 2.0, 3.0, 4.0]), 10) == 1.0
    assert oas_weight(np.diag([1.0, 2.0, 3.0, 4.0]), 100) == pytest.approx(115.0 / (100.5 * 5.0))
    assert oas_weight(np.eye(4), 50) == 1.0


def test_brightness_and_variances_stay_as_they_are():
    x, _ = spectra(60)
    mean = x.mean(0)
    sample = covariance(x - mean)
    made, weight = shrink(sample, mean, len(x), None)
    assert 0.0 < weight < 1.0
    np.testing.assert_allclose(np.diag(made), np.diag(sample), rtol=1e-12)
    white = whitening(made)
    np.testing.assert_allclose(white @ made @ white.T, np.eye(len(made)), atol=1e-9)
    same, nothing = shrink(sample, mean, len(x), 0.0)
    assert nothing == 0.0
    assert same is sample


@pytest.mark.parametrize(("n", "gain"), [(15, 2.0), (40, 1.05), (2000, 0.999)])
def test_a_filter_of_the_shrunk_covariance_has_less_variance(n, gain):
    """Of pixels that it was not made from; the more the fewer there were."""
    t = -np.exp(-0.5 * ((np.linspace(-1, 1, 12) - 0.2) / 0.2) ** 2)
    variance = np.zeros(2)
    for seed in range(60):
        x, true = spectra(n, seed=seed)
        mean = x.mean(0)
        sample = covariance(x - mean)
        for k, weight in enumerate((0.0, None)):
            w = np.linalg.solve(shrink(sample, mean, n, weight)[0], t)
            w /= w @ t
            variance[k] += w @ true @ w
    assert variance[0] / variance[1] > gain


def test_fewer_pixels_than_bands_are_refused_without_shrinkage():
    x, _ = spectra(8)
    with pytest.raises(SolverError, match="singular"):
        whitening(shrink(covariance(x - x.mean(0)), x.mean(0), 8, 0.0)[0])
