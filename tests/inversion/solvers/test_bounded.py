"""Bounds and lognormal fluxes against answers known otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, lsq_linear, minimize

from inversion import DiagonalCovariance, Problem, solve
from inversion.solvers.lbfgsb import cost_and_gradient, solve_bounded
from inversion.solvers.lognormal import solve_lognormal
from obsnet.errors import RangeError, SolverError
from tests.inversion.cases import case


def problem(seed=0, n=20, m=8):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((m, m))
    return Problem(
        rng.standard_normal((n, m)),
        2 * rng.standard_normal(n),
        rng.random(n) + 0.5,
        rng.standard_normal(m),
        root @ root.T + 0.3 * np.eye(m),
    )


def whitened(p):
    """Least squares that has the same cost."""
    b, r = np.linalg.cholesky(p.prior_error.dense()), np.sqrt(p.observation_error.diagonal())
    a = np.concatenate([np.linalg.inv(b), p.jacobian / r[:, None]])
    return a, np.concatenate([np.linalg.solve(b, p.prior), p.observations / r])


@given(st.integers(0, 400))
def test_bounded_mode_is_the_bounded_least_squares_answer(seed):
    p = problem(seed)
    found = solve_bounded(p, 0.0, 0.8)
    known = lsq_linear(*whitened(p), bounds=(0.0, 0.8), method="bvls", tol=1e-14)
    np.testing.assert_allclose(found.mean, known.x, atol=1e-8)
    assert found.stopping["violation"] < 1e-9


def test_without_bounds_it_is_the_mean():
    p = problem()
    found = solve_bounded(p, -np.inf)
    exact = solve(p)
    np.testing.assert_allclose(found.mean, exact.mean, atol=1e-9)
    assert found.cost == pytest.approx(exact.cost, rel=1e-9)
    g = np.arange(16.0).reshape(2, 8)
    np.testing.assert_allclose(found.aggregate(g).covariance, exact.aggregate(g).covariance, rtol=1e-8)


@pytest.mark.parametrize("name", ["T", "S"])
def test_unbounded_agreement_on_the_cases(name):
    p = case(name).problem
    np.testing.assert_allclose(solve_bounded(p, -np.inf).mean, solve(p).mean, atol=1e-10)


def test_optimality_at_the_bound():
    p = problem(3)
    found = solve_bounded(p)
    assert (found.mean >= 0).all()
    assert (~found.free).any()
    np.testing.assert_allclose(found.gradient[found.free], 0.0, atol=1e-8)
    assert (found.gradient[~found.free] > 0).all()


def test_gradient_against_differences_and_taylor():
    p, rng = problem(), np.random.default_rng(0)
    x, direction = rng.standard_normal((2, 8))
    value, gradient = cost_and_gradient(p, x)
    np.testing.assert_allclose(
        gradient, approx_fprime(x, lambda z: cost_and_gradient(p, z)[0], 1e-7), rtol=1e-4
    )
    rest = [
        abs(cost_and_gradient(p, x + h * direction)[0] - value - h * gradient @ direction)
        for h in (1e-2, 1e-3)
    ]
    assert np.log10(rest[0] / rest[1]) == pytest.approx(2.0, abs=1e-3)


def test_faulty_bounds_are_named():
    with pytest.raises(SolverError, match="leave nothing for element 2: 1 to 0"):
        solve_bounded(problem(), [0, 0, 1, 0, 0, 0, 0, 0], [1, 1, 0, 1, 1, 1, 1, 1])
    known = problem().with_(prior_error=DiagonalCovariance([1.0, 0.0, 1, 1, 1, 1, 1, 1]))
    with pytest.raises(SolverError, match="prior error of zero"):
        solve_bounded(known)


def positive(seed=0, n=30, m=6, noise=0.3):
    rng = np.random.default_rng(seed)
    h = rng.random((n, m))
    truth = np.exp(0.7 * rng.standard_normal(m))
    y = h @ truth + noise * rng.standard_normal(n)
    return Problem(h, y, np.full(n, noise**2), np.ones(m), np.full(m, 0.5)), truth


@given(st.integers(0, 200), st.floats(0.05, 2.0))
def test_lognormal_mode_minimises_its_cost(seed, noise):
    p, _ = positive(seed, noise=noise)
    found = solve_lognormal(p)

    def cost(z):
        rest = p.observations - p.jacobian @ np.exp(z)
        return z @ z / 0.5 + rest @ rest / noise**2

    z = np.log(found.median)
    near = minimize(cost, z, tol=1e-14)
    assert cost(z) <= near.fun * (1 + 1e-7) + 1e-9
    assert found.stopping["cost"] == pytest.approx(cost(z), rel=1e-6)
    assert (found.median > 0).all()
    assert (found.mean > found.median).all()


def test_lognormal_posterior_is_calibrated():
    z = []
    for seed in range(60):
        p, truth = positive(seed + 1000)
        # truth is drawn with 0.7^2 = 0.49, told as 0.5
        found = solve_lognormal(p)
        z.append((np.log(truth) - found.transformed.mean) / np.sqrt(found.transformed.variance()))
    assert np.std(z) == pytest.approx(1.0, abs=0.1)


def test_small_errors_make_it_linear():
    p, _ = positive()
    y = p.jacobian @ np.ones(6) + 1e-4 * np.random.default_rng(0).standard_normal(30)
    tight = p.with_(observations=y, prior_error=np.full(6, 1e-8), observation_error=np.full(30, 1e-8))
    found, linear = solve_lognormal(tight), solve(tight)
    np.testing.assert_allclose(found.median - 1.0, linear.mean - 1.0, atol=3e-8)
    assert np.abs(linear.mean - 1.0).max() > 1e-5
    np.testing.assert_allclose(found.mean, found.median, rtol=1e-7)


def test_mixed_states_keep_their_normal_elements():
    p, _ = positive()
    mixed = solve_lognormal(p, [True] * 5 + [False])
    none = solve_lognormal(p, False)
    np.testing.assert_allclose(none.mean, solve(p).mean, rtol=1e-9)
    np.testing.assert_allclose(none.variance(), solve(p).variance(), rtol=1e-9)
    assert (mixed.median[:5] > 0).all()
    assert mixed.mean[5] == mixed.median[5]


def test_moments_of_the_lognormal():
    p, _ = positive()
    found = solve_lognormal(p)
    draws = np.exp(
        found.transformed.mean
        + np.sqrt(found.transformed.variance()) * np.random.default_rng(0).standard_normal((400000, 6))
    )
    np.testing.assert_allclose(draws.mean(axis=0), found.mean, rtol=0.01)
    np.testing.assert_allclose(draws.var(axis=0), found.variance(), rtol=0.05)


def test_lognormal_faults_are_named():
    p, _ = positive()
    with pytest.raises(RangeError, match="element 0 has a median of 0"):
        solve_lognormal(p.with_(prior=np.arange(6.0)))
    with pytest.raises(SolverError, match="not reached in 1 steps"):
        solve_lognormal(p, limit=1)
