"""The compiled rounds against the same rounds with a covariance of all spectra each."""

import numpy as np
import pytest

from retrieval.matched_filter.background import covariance, inverse_of, shrink, whitening
from retrieval.matched_filter.rounds import taken_in_rounds
from retrieval.matched_filter.twin import CubeWorld, comb, make_cube

K = comb(20)


def slowly(x, matrix, rho, rounds, dim):
    """Mean, covariance and filter made anew from the cleaned spectra in each round; zero stays zero."""
    mean, n = x.mean(axis=0), len(x)
    rest = matrix - (1.0 - rho) * covariance(x - mean)
    amount, alive = np.zeros(n), np.ones(n, dtype=bool)
    mu, t = mean, mean * K
    for turn in range(rounds):
        y = x - np.outer(amount, t)
        w = np.linalg.solve((1.0 - rho) * covariance(y - y.mean(axis=0)) + rest, t)
        r = np.maximum((x - np.outer(amount, t)) @ mean / (mu @ mean), dim)
        less = 1.0 / (amount + r * 1e-3 / np.sqrt(t @ w)) if turn else 0.0
        amount = np.where(alive, ((x - mu) @ w - less) / (t @ w), 0.0)
        alive = amount > 0.0
        amount[~alive] = 0.0
        mu = mean / (1.0 + amount.mean() * K)
        t = mu * K
    return amount


@pytest.mark.parametrize("share", [0.0, 0.15])
def test_rounds_need_no_covariance_of_spectra(share):
    world = CubeWorld(rows=500, columns=1, share=share, strength=3000.0, noise=0.002)
    x = make_cube(world, K, 3).radiance[:, 0].astype(float)
    mean = x.mean(axis=0)
    matrix, rho = shrink(covariance(x - mean), mean, len(x), None)
    deviation = 1.0 / np.sqrt(mean * K @ np.linalg.solve(matrix, mean * K))
    for rounds in (1, 2, 7, 30):
        made, turns = taken_in_rounds(
            x - mean, x @ mean, mean, K, inverse_of(whitening(matrix)), 1.0 - rho,
            rounds=rounds, dim=0.02, still=0.0,
        )  # fmt: skip
        assert turns == rounds
        np.testing.assert_allclose(made, slowly(x, matrix, rho, rounds, 0.02), atol=1e-6 * deviation)


def test_rounds_end_where_nothing_moves():
    """A plume alone, without noise that has to die: the rest of the rounds changes nothing that counts."""
    x = (
        make_cube(CubeWorld(rows=500, columns=1, strength=3000.0, noise=0.0005), K, 3)
        .radiance[:, 0]
        .astype(float)
    )
    mean = x.mean(axis=0)
    matrix, rho = shrink(covariance(x - mean), mean, len(x), None)
    given = (x - mean, x @ mean, mean, K, inverse_of(whitening(matrix)), 1.0 - rho)
    whole, _ = taken_in_rounds(*given, rounds=200, dim=0.02, still=0.0)
    ended, turns = taken_in_rounds(*given, rounds=200, dim=0.02, still=1e-3)
    deviation = 1.0 / np.sqrt(mean * K @ np.linalg.solve(matrix, mean * K))
    assert turns < 100
    np.testing.assert_allclose(ended, whole, atol=0.02 * deviation)
