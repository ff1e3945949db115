"""The step and the posterior: the saved state of the OCO solver, real ACOS matrices, dense twins."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.estimation import solver
from tests.retrieval.estimation.problems import ACOS, acos, saved_state

WHOLE = {n: np.ones(n, dtype=bool) for n in range(1, 120)}


def one_step(jacobian, residual, variance, state, prior, scale, correlation, gamma):
    """Return dx and the numbers of a first step."""
    n = len(state)
    numbers = np.zeros(solver.STATE)
    numbers[solver.GAMMA] = gamma
    factors = solver.factorise(correlation, WHOLE[n], solver.CONDITION)
    after = state.copy()
    kept = np.zeros(n), np.zeros((n, n)), np.zeros(n)
    decided = solver.advance(
        after,
        jacobian,
        residual,
        1.0 / variance,
        prior,
        scale,
        correlation,
        *factors,
        *kept,
        numbers,
        1e-9,
        20,
        5,
        solver.CONDITION,
    )
    assert decided == solver.GO_ON
    return after - state, numbers


def test_step_of_the_saved_oco_state(sample_data):
    """n = 107, m = 2246, gamma = 10; the source's own test asks for a relative 1e-6."""
    s = saved_state(sample_data)
    k, variance, scale = s["k"], s["se"], s["sigma_ap"]
    assert k.shape == (2246, 107)
    dx, numbers = one_step(
        k, -s["residual"], variance, s["X_i"], s["X_a"], scale, s["apriori_cov_scaled"], 10.0
    )
    for element, known in {
        10: -1.9295747636982488e-06,
        20: -493.30933006057325,
        21: -4.5497933230390259,
        30: 0.63245395057915621,
    }.items():
        assert dx[element] == pytest.approx(known, rel=1e-6)
    for place, known in {
        solver.DECREASE: 310088.73232535017,
        solver.CHI2: 310323.31238974462,
        solver.CHI2_FORECAST: 51.641434095666973,
        solver.PRIOR: 0.0,
        solver.PRIOR_FORECAST: 16.630739518037689,
    }.items():
        assert numbers[place] == pytest.approx(known, rel=1e-6, abs=1e-12)
    assert numbers[solver.DECREASE] / numbers[solver.USED] == pytest.approx(2898.0253091504742, rel=1e-6)
    normal, *_ = solver.normal_equations(k, s["residual"], 1.0 / variance, np.ones(107))
    assert normal[0, 0] == pytest.approx(29584028.051484555, rel=1e-12)
    assert normal[0, 1] == pytest.approx(55199185.339754276, rel=1e-12)
    assert normal[1, 1] == pytest.approx(108736851.88356204, rel=1e-12)


@pytest.mark.parametrize("name", ACOS)
def test_posterior_of_real_retrievals(sample_data, name):
    """From S and S_a of the file ``K^T S_eps^-1 K`` follows; what it gives back must be the file's matrices."""
    r = acos(sample_data, name)
    s_a, s = r["apriori_covariance_matrix"], r["aposteriori_covariance_matrix"]
    scale = np.sqrt(np.diag(s_a))
    outer = scale[:, None] * scale[None]
    correlation = np.ascontiguousarray(s_a / outer)
    normal = np.linalg.inv(s / outer) - np.linalg.inv(correlation)
    normal = np.ascontiguousarray(0.5 * (normal + normal.T))
    posterior, noise, kernel, degrees, information = solver.characterise(
        normal, scale, correlation, solver.CONDITION
    )
    s = 0.5 * (s + s.T)  # the file's own is symmetric to 1e-5 of a variance only
    np.testing.assert_allclose(posterior / outer, s / outer, atol=1e-6)
    h, place = r["xco2_pressure_weighting_function"], r["elements"]
    block = np.ix_(place, place)
    assert h @ posterior[block] @ h == pytest.approx(r["xco2_uncert"] ** 2, rel=1e-6)
    assert h @ noise[block] @ h == pytest.approx(r["xco2_uncert_noise"] ** 2, rel=1e-6)
    np.testing.assert_allclose(h @ kernel[block], r["xco2_avg_kernel"], atol=1e-6)
    if r["outcome_flag"] < 3:  # a retrieval that diverged tells a number that its own matrices do not give
        assert degrees == pytest.approx(r["dof_full_vector"], abs=1e-4)
    assert information > 0.0


def dense(jacobian, variance, s_a):
    return np.linalg.inv(jacobian.T @ (jacobian / variance[:, None]) + np.linalg.inv(s_a))


@pytest.mark.parametrize("n", [1, 3, 8])
def test_posterior_is_the_closed_form(n):
    rng = np.random.default_rng(n)
    jacobian, variance = rng.normal(size=(25, n)), rng.uniform(0.1, 1.0, 25)
    root = rng.normal(size=(n, n)) + np.eye(n)
    s_a = root @ root.T
    scale = np.sqrt(np.diag(s_a))
    correlation = s_a / (scale[:, None] * scale)
    normal, *_ = solver.normal_equations(jacobian, np.zeros(25), 1.0 / variance, scale)
    posterior, noise, kernel, degrees, information = solver.characterise(
        normal, scale, correlation, solver.CONDITION
    )
    s = dense(jacobian, variance, s_a)
    gain = s @ jacobian.T / variance
    np.testing.assert_allclose(posterior, s, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(kernel, gain @ jacobian, atol=1e-10)
    np.testing.assert_allclose(noise, (gain * variance) @ gain.T, rtol=1e-8, atol=1e-12)
    smoothing = (kernel - np.eye(n)) @ s_a @ (kernel - np.eye(n)).T
    np.testing.assert_allclose(noise + smoothing, posterior, rtol=1e-8, atol=1e-12)
    assert degrees == pytest.approx(np.trace(kernel))
    assert information == pytest.approx(-0.5 * np.linalg.slogdet(np.eye(n) - kernel)[1])


def test_unseen_element_keeps_its_prior_and_its_correlation():
    rng = np.random.default_rng(5)
    jacobian, variance = rng.normal(size=(25, 3)), np.full(25, 0.3)
    jacobian[:, 1] = 0.0
    s_a = np.array([[1.0, 0.8, 0.1], [0.8, 4.0, 0.3], [0.1, 0.3, 2.0]])
    scale = np.sqrt(np.diag(s_a))
    normal, *_ = solver.normal_equations(jacobian, np.zeros(25), 1.0 / variance, scale)
    posterior, noise, kernel, *_ = solver.characterise(
        normal, scale, s_a / (scale[:, None] * scale), solver.CONDITION
    )
    assert posterior[1, 1] == pytest.approx(4.0)
    assert not kernel[1].any()
    assert not kernel[:, 1].any()
    smoothing = (kernel - np.eye(3)) @ s_a @ (kernel - np.eye(3)).T
    np.testing.assert_allclose(noise + smoothing, posterior, atol=1e-12)


def test_prior_without_variance_in_a_direction_is_not_entered():
    """Two elements that the prior ties together stay tied, whatever the measurement says."""
    jacobian = np.array([[1.0, 0.0], [0.0, 1.0]])
    scale, tied = np.array([2.0, 3.0]), np.ones((2, 2))
    dx, _ = one_step(
        jacobian, np.array([5.0, -1.0]), np.full(2, 1e-4), np.zeros(2), np.zeros(2), scale, tied, 0.0
    )
    assert dx[0] / scale[0] == pytest.approx(dx[1] / scale[1])
    posterior, *_ = solver.characterise(
        solver.normal_equations(jacobian, np.zeros(2), np.full(2, 1e4), scale)[0],
        scale,
        tied,
        solver.CONDITION,
    )
    assert posterior[0, 1] ** 2 == pytest.approx(posterior[0, 0] * posterior[1, 1])
