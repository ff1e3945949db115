"""Covariance of lognormal elements against draws, and as an operator."""

import numpy as np
import pytest

from inversion.operators.covariance import BlockDiagonalCovariance, DenseCovariance
from inversion.operators.lognormal import LognormalCovariance, lognormal_covariance

B = np.array([[0.5, 0.2, 0.1], [0.2, 0.4, -0.2], [0.1, -0.2, 0.3]])
LOG = np.array([True, True, False])
MEAN = np.array([1.0, 3.0, 5.0])


@pytest.fixture(scope="module")
def made():
    return LognormalCovariance(DenseCovariance(B), MEAN, LOG)


def test_moments_of_draws(made):
    z = np.random.default_rng(0).standard_normal((400000, 3)) @ np.linalg.cholesky(B).T
    x = np.where(LOG, MEAN * np.exp(z - 0.5 * np.diagonal(B)), MEAN + z)
    np.testing.assert_allclose(x.mean(axis=0), MEAN, rtol=0.01)
    np.testing.assert_allclose(made.dense(), np.cov(x.T), rtol=0.03, atol=0.02)


def test_it_is_one_operator(made, monkeypatch):
    monkeypatch.setattr("inversion.operators.lognormal._COLUMNS", 2)
    dense, x = made.dense(), np.random.default_rng(1).standard_normal((3, 4))
    np.testing.assert_allclose(dense, dense.T, rtol=1e-12)
    np.testing.assert_allclose(np.diagonal(dense), made.diagonal(), rtol=1e-12)
    np.testing.assert_allclose(made.matmul(x), dense @ x, rtol=1e-12)
    np.testing.assert_allclose(made.matmul(x[:, 0]), dense @ x[:, 0], rtol=1e-12)
    root = made.factor(np.eye(made.factor_size))
    np.testing.assert_allclose(root @ root.T, dense, rtol=1e-9)
    np.testing.assert_allclose(made.factor_transposed(x), root.T @ x, rtol=1e-9)
    np.testing.assert_allclose(made.solve(made.matmul(x)), x, rtol=1e-9)
    assert made.logdet() == pytest.approx(np.linalg.slogdet(dense)[1])
    np.testing.assert_allclose(made.scaled(2.0).dense(), made.scaled(2.0).matmul(np.eye(3)), rtol=1e-12)


def test_blocks_keep_apart_what_is_and_what_is_not():
    both = BlockDiagonalCovariance([DenseCovariance(B), DenseCovariance(2.0 * B)])
    found = lognormal_covariance(both, np.tile(MEAN, 2), np.array([True] * 3 + [False] * 3))
    assert isinstance(found, BlockDiagonalCovariance)
    assert found.blocks[1] is both.blocks[1]
    np.testing.assert_allclose(found.blocks[0].dense(), np.outer(MEAN, MEAN) * np.expm1(B), rtol=1e-12)
