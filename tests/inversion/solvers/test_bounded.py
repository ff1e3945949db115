"""Bounds and lognormal fluxes against answers known otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, lsq_linear, minimize
from scipy.stats import truncnorm

from inversion import DiagonalCovariance, Problem, solve
from inversion.case.outputs.posterior_file import summary_of
from inversion.solvers.lbfgsb import cost_and_gradient, solve_bounded
from inversion.solvers.lognormal import linear_estimate, lognormal_mode, solve_lognormal
from inversion.solvers.sampled import QUANTILES
from inversion.solvers.truncated import sample_box, solve_truncated
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
    found = lognormal_mode(p)

    def cost(z):
        rest = p.observations - p.jacobian @ np.exp(z)
        return z @ z / 0.5 + rest @ rest / noise**2

    z = np.log(found.state)
    near = minimize(cost, z, tol=1e-14)
    assert cost(z) <= near.fun * (1 + 1e-7) + 1e-9
    assert found.stopping["cost"] == pytest.approx(cost(z), rel=1e-6)
    assert (found.state > 0).all()
    np.testing.assert_allclose(p.prior_error.matmul(found.pull), z, atol=1e-9)


def test_lognormal_mode_is_calibrated_in_the_logarithm():
    z = []
    for seed in range(60):
        p, truth = positive(seed + 1000)
        # truth is drawn with 0.7^2 = 0.49, told as 0.5
        found = lognormal_mode(p)
        z.append((np.log(truth) - found.transformed.mean) / np.sqrt(found.transformed.variance()))
    assert np.std(z) == pytest.approx(1.0, abs=0.1)


def test_small_errors_make_it_linear():
    p, _ = positive()
    y = p.jacobian @ np.ones(6) + 1e-4 * np.random.default_rng(0).standard_normal(30)
    tight = p.with_(observations=y, prior_error=np.full(6, 1e-8), observation_error=np.full(30, 1e-8))
    mode, linear, sampled = lognormal_mode(tight), solve(tight), solve_lognormal(tight, draws=1000, least=100)
    np.testing.assert_allclose(mode.state - 1.0, linear.mean - 1.0, atol=3e-8)
    assert np.abs(linear.mean - 1.0).max() > 1e-5
    np.testing.assert_allclose(sampled.mean, linear.mean, atol=1e-5)
    np.testing.assert_allclose(sampled.variance(), linear.variance(), rtol=0.3)
    g = np.ones((1, 6))
    np.testing.assert_allclose(sampled.averaging_kernel(g), linear.averaging_kernel(g), rtol=1e-3)


def test_no_element_lognormal_is_the_gaussian_answer():
    p, _ = positive()
    none, exact, g = solve_lognormal(p, False, draws=20000), solve(p), np.arange(12.0).reshape(2, 6)
    spread = np.sqrt(exact.variance())
    assert np.abs((none.mean - exact.mean) / spread).max() < 0.05
    np.testing.assert_allclose(none.variance(), exact.variance(), rtol=0.06)
    np.testing.assert_allclose(
        none.prior_aggregate(g).covariance, exact.prior_aggregate(g).covariance, rtol=1e-12
    )
    np.testing.assert_allclose(none.noise_covariance(g), exact.noise_covariance(g), rtol=1e-9)
    mixed = solve_lognormal(p, [True] * 5 + [False], draws=1000, least=50)
    assert (mixed.mean[:5] > 0).all()
    assert (mixed.states[:, :5] > 0).all()


@pytest.mark.parametrize(("y", "noise"), [(0.2, 0.5), (3.0, 1.0), (-1.0, 1.0)])
def test_lognormal_moments_against_quadrature(y, noise):
    found = solve_lognormal(Problem([[1.0]], [y], [noise**2], [1.0], [0.8]), weights=[[1.0]], draws=30000)
    z = np.linspace(-8, 6, 100001)
    w = np.exp(-(z**2) / 1.6 - (y - np.exp(z)) ** 2 / (2 * noise**2))
    w, x = w / w.sum(), np.exp(z)
    mean = float(w @ x)
    sd = float(np.sqrt(w @ x**2 - mean**2))
    error = 4 * sd / np.sqrt(found.stopping["effective_draws"])
    assert found.mean[0] == pytest.approx(mean, abs=error)
    total = found.aggregate([[1.0]])
    assert total.mean[0] == pytest.approx(mean, abs=error)
    assert np.sqrt(total.covariance[0, 0]) == pytest.approx(sd, rel=0.05)
    assert np.sqrt(found.variance()[0]) == pytest.approx(sd, rel=0.05)
    known = x[np.searchsorted(np.cumsum(w), QUANTILES)]
    np.testing.assert_allclose(found.quantiles([[1.0]])[:, 0], known, atol=0.08 * sd)
    # the mode of the logarithm is none of these
    assert abs(lognormal_mode(Problem([[1.0]], [y], [noise**2], [1.0], [0.8])).state[0] - mean) > 2 * error


def test_lognormal_prior_moments():
    b = np.array([[0.5, 0.2, 0.1], [0.2, 0.4, 0.0], [0.1, 0.0, 0.3]])
    p = Problem(np.ones((1, 3)), [3.0], [1.0], [1.0, 2.0, 5.0], b)
    found = solve_lognormal(p, [True, True, False], draws=500, least=20)
    rng = np.random.default_rng(0)
    z = rng.standard_normal((400000, 3)) @ np.linalg.cholesky(b).T
    x = np.column_stack([np.exp(z[:, 0]), 2 * np.exp(z[:, 1]), 5 + z[:, 2]])
    got = found.prior_aggregate(np.eye(3))
    np.testing.assert_allclose(got.mean, x.mean(axis=0), rtol=0.01)
    np.testing.assert_allclose(got.covariance, np.cov(x.T), atol=0.03)


def test_sums_of_lognormal_means_are_unbiased_and_their_errors_right():
    """Modes of the logarithm summed as if they were medians gave +10.8 % and an error variance of 0.66."""
    m, n = 20, 16
    lag = np.abs(np.subtract.outer(np.arange(m), np.arange(m)))
    b, g = 0.5 * np.exp(-lag / 3.0), np.ones((1, m))
    root, error, deviations = np.linalg.cholesky(b), [], []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        h = rng.random((n, m)) * (rng.random((n, m)) < 0.4)
        truth = np.exp(root @ rng.standard_normal(m))
        y = h @ truth + 0.5 * rng.standard_normal(n)
        total = solve_lognormal(
            Problem(h, y, np.full(n, 0.25), np.ones(m), b), weights=g, draws=3200, least=40, seed=seed
        ).aggregate(g)
        error.append(total.mean[0] - truth.sum())
        deviations.append(error[-1] / np.sqrt(total.covariance[0, 0]))
    size = m * np.exp(0.25)
    assert np.mean(error) / size == pytest.approx(0.0, abs=4 * np.std(error) / size / np.sqrt(24))
    assert np.std(deviations) == pytest.approx(1.0, abs=0.4)


def test_what_is_tested_has_the_error_that_its_kernel_says():
    """Right inventories of lognormal truths: the difference has no shift and its stated spread.

    With the kernel at the mode of each draw the mean was -0.2 of its standard deviations.
    """
    m, n, draws = 12, 16, 40000
    b = 0.3 * np.exp(-np.abs(np.subtract.outer(np.arange(m), np.arange(m))) / 3.0)
    rng = np.random.default_rng(5)
    h, noise = rng.random((n, m)) * (rng.random((n, m)) < 0.4), 0.5
    g = np.kron(np.eye(3), np.ones(4))
    problem = Problem(h, np.zeros(n), np.full(n, noise**2), np.ones(m), b)
    found = linear_estimate(problem, np.ones(m, bool))
    rows, before = found.gain_rows(g), found.prior_aggregate(g)
    u = (g * (g @ found.problem.prior_error.dense())).T  # C w of a total, in its own cells
    u = u / np.einsum("ij,ji->i", g, u)
    response = np.diagonal(rows @ h @ u)
    rest = rows @ h - response[:, None] * g
    variance = noise**2 * (rows**2).sum(axis=1) + np.diagonal(rest @ found.problem.prior_error.matmul(rest.T))
    truth = np.exp(rng.standard_normal((draws, m)) @ np.linalg.cholesky(b).T)
    y = truth @ h.T + noise * rng.standard_normal((draws, n))
    tested = before.mean + (y - h @ found.problem.prior) @ rows.T
    z = (tested - before.mean - response * (truth @ g.T - before.mean)) / np.sqrt(variance)
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=0.02)
    np.testing.assert_allclose(z.std(axis=0), 1.0, atol=0.03)
    np.testing.assert_allclose((np.abs(z) > 1.96).mean(axis=0), 0.05, atol=0.007)
    drawn = solve_lognormal(problem.with_(observations=y[0]), weights=g, draws=400, least=10)
    np.testing.assert_allclose(drawn.tested(g, drawn.gain_rows(g).T), tested[0], rtol=1e-9)
    assert solve(problem).tested(g, rows.T) is None


def test_lognormal_by_a_method_without_a_determinant():
    """Large problems take cg: what it cannot know is left out, what it samples is sampled."""
    p, _ = positive()
    found = solve_lognormal(p, method="cg", draws=400, least=10)
    assert not found.factorised
    assert solve_lognormal(p, method="dual", draws=400, least=10).factorised
    assert found.system.probes[0].shape == (p.n_obs, 32)
    assert "log_evidence" not in summary_of(found)


def test_lognormal_faults_are_named():
    p, _ = positive()
    with pytest.raises(RangeError, match="element 0 has a median of 0"):
        solve_lognormal(p.with_(prior=np.arange(6.0)))
    with pytest.raises(SolverError, match="not reached in 1 steps"):
        lognormal_mode(p, limit=1)
    with pytest.raises(SolverError, match="independent ones of the slowest total"):
        solve_lognormal(p, draws=200)


@pytest.mark.parametrize(
    ("mean", "low", "high"), [(-1.0, 0.0, np.inf), (0.5, -np.inf, 0.0), (3.0, 0.0, 1.0), (0.2, -1, 1)]
)
def test_one_truncated_normal(mean, low, high):
    found = solve_truncated(Problem([[1.0]], [mean], [1.0], [0.0], [1e12]), low, high, draws=20000)
    known = truncnorm(low - mean, high - mean, loc=mean)
    size = found.stopping["effective_draws"]
    assert found.mean[0] == pytest.approx(known.mean(), abs=4 * known.std() / np.sqrt(size))
    assert np.sqrt(found.variance()[0]) == pytest.approx(known.std(), rel=0.04)
    assert found.states.min() >= low
    assert found.states.max() <= high


def test_two_correlated_elements_in_a_box_against_quadrature():
    mean, p = np.array([-0.5, 0.3]), np.array([[1.0, 0.8], [0.8, 1.5]])
    drawn = sample_box(
        mean, p, np.zeros(2), np.array([np.inf, 1.0]), np.array([0.5, 0.5]), 40000, np.random.default_rng(1)
    )
    x, y = np.meshgrid(np.linspace(0, 6, 1201), np.linspace(0, 1, 401), indexing="ij")
    away = np.stack([x - mean[0], y - mean[1]], axis=-1)
    w = np.exp(-0.5 * np.einsum("...i,ij,...j", away, np.linalg.inv(p), away))
    w /= w.sum()
    known = [(w * x).sum(), (w * y).sum()]
    np.testing.assert_allclose(drawn.mean(axis=0), known, atol=0.01)
    spread = [np.sqrt((w * x**2).sum() - known[0] ** 2), np.sqrt((w * y**2).sum() - known[1] ** 2)]
    np.testing.assert_allclose(drawn.std(axis=0), spread, rtol=0.02)


def test_far_bounds_are_none():
    p = problem()
    g = np.arange(16.0).reshape(2, 8)
    found, exact = solve_truncated(p, -1e6, 1e6, weights=g, draws=20000), solve(p)
    assert np.abs((found.mean - exact.mean) / np.sqrt(exact.variance())).max() < 0.05
    np.testing.assert_allclose(found.aggregate(g).covariance, exact.aggregate(g).covariance, rtol=0.06)


def test_means_within_bounds_are_calibrated_where_modes_are_not():
    """Truths from a normal distribution cut off at 0, many observations of few elements each."""
    m, n, g = 8, 8, np.ones((1, 8))
    away, mode, deviations = [], [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth = np.abs(rng.standard_normal(m))
        h = rng.random((n, m))
        p = Problem(h, h @ truth + rng.standard_normal(n), np.ones(n), np.zeros(m), np.ones(m))
        total = solve_truncated(p, weights=g, draws=1200, least=100, seed=seed).aggregate(g)
        away.append(total.mean[0] - truth.sum())
        deviations.append(away[-1] / np.sqrt(total.covariance[0, 0]))
        mode.append(solve_bounded(p).mean.sum() - truth.sum())
    assert abs(np.mean(away)) < 4 * np.std(away) / np.sqrt(60)
    assert np.std(deviations) == pytest.approx(1.0, abs=0.25)
    assert abs(np.mean(mode)) > 4 * np.std(mode) / np.sqrt(60)


def test_bounds_for_too_many_unknowns_are_refused(monkeypatch):
    monkeypatch.setattr("inversion.solvers.truncated.LARGEST", 7)
    with pytest.raises(SolverError, match="8 unknowns within bounds"):
        solve_truncated(problem())
