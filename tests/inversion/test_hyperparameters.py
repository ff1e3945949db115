"""Trends and error parameters: limits, derivatives, and truths that are found again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from inversion import BlockDiagonalCovariance, KroneckerCovariance, Problem, State, solve
from inversion.covariance import LowRankCovariance, SumCovariance
from inversion.hyperparameters import (
    ErrorModel,
    ObservationTerm,
    desroziers,
    fit_hyperparameters,
    fit_sizes,
    prior_term,
)
from inversion.kernels import space_correlation, time_correlation
from inversion.solvers.geostatistical import select_trend, solve_geostatistical
from inversion.state import StateBlock
from obsnet.errors import ConfigError, ResourceError, SolverError
from tests.inversion.cases import case


def trend_problem(seed=0):
    c = case("S")
    p = c.problem
    x = np.column_stack([np.ones(100), (c.lat - 35) / 15])
    rng = np.random.default_rng(seed)
    truth = x @ [2.0, -1.0] + p.prior_error.factor(rng.standard_normal(100))
    y = p.forward(truth) + p.observation_error.factor(rng.standard_normal(500))
    return p.with_(observations=y, prior=np.zeros(100)), x, truth


def test_an_empty_trend_is_the_ordinary_problem():
    p, _, _ = trend_problem()
    g, b = solve_geostatistical(p, np.zeros((100, 0))), solve(p)
    np.testing.assert_array_equal(g.mean, b.mean)
    assert g.restricted_log_likelihood == pytest.approx(b.log_evidence)
    assert g.chi_square == pytest.approx(b.chi_square)


@pytest.mark.parametrize("method", ["dual", "primal"])
def test_it_is_the_limit_of_a_wide_prior(method):
    p, x, _ = trend_problem()
    g = solve_geostatistical(p, x, method=method)
    wide = p.with_(prior_error=SumCovariance(p.prior_error, LowRankCovariance(x, 1e5 * np.eye(2))))
    b = solve(wide, "dual")
    np.testing.assert_allclose(g.mean, b.mean, atol=1e-5)
    np.testing.assert_allclose(g.variance(), b.variance(), atol=1e-5)
    weights = case("S").regions
    np.testing.assert_allclose(g.aggregate(weights).covariance, b.aggregate(weights).covariance, atol=1e-4)


def test_it_solves_the_saddle_point_system():
    """[[S, HX], [X'H', 0]] [z; beta] = [d; 0], written out."""
    p, x, _ = trend_problem()
    g = solve_geostatistical(p, x)
    h = p.jacobian.toarray()
    s, hx = h @ p.prior_error.dense() @ h.T + p.observation_error.dense(), h @ x
    full = np.block([[s, hx], [hx.T, np.zeros((2, 2))]])
    answer = np.linalg.solve(full, np.append(p.innovation, [0.0, 0.0]))
    np.testing.assert_allclose(g.beta, answer[-2:], rtol=1e-8)
    np.testing.assert_allclose(g.mean, x @ g.beta + p.prior_error.matmul(h.T @ answer[:-2]), atol=1e-9)
    assert np.abs(g.base.system.solve(p.innovation - hx @ g.beta) @ hx).max() < 1e-6


def test_trend_and_fluxes_are_calibrated():
    z, zb = [], []
    for seed in range(40):
        p, x, truth = trend_problem(seed)
        g = solve_geostatistical(p, x)
        z.append((truth - g.mean) / np.sqrt(g.variance()))
        zb.append(np.linalg.solve(np.linalg.cholesky(g.beta_covariance), g.beta - [2.0, -1.0]))
    assert np.std(z) == pytest.approx(1.0, abs=0.06)
    assert np.std(zb) == pytest.approx(1.0, abs=0.25)


def test_the_right_trend_is_chosen():
    p, x, _ = trend_problem()
    rng = np.random.default_rng(4)
    chosen, path = select_trend(
        p, {"constant": x[:, 0], "latitude": x[:, 1], "noise": rng.standard_normal(100)}, always=["constant"]
    )
    assert chosen == ["constant", "latitude"]
    assert list(path.values()) == sorted(path.values(), reverse=True)
    with pytest.raises(SolverError, match="no candidate is called 'x'"):
        select_trend(p, {"a": x[:, 0]}, always=["x"])


def test_trends_that_cannot_be_told_apart_are_refused():
    p, x, _ = trend_problem()
    with pytest.raises(SolverError, match="cannot tell the columns of the trend apart"):
        solve_geostatistical(p, np.column_stack([x[:, 0], x[:, 0]]))
    with pytest.raises(SolverError, match=r"a trend has shape \(100, q\)"):
        solve_geostatistical(p, np.ones((3, 1)))


LAT, LON = (a.ravel() for a in np.meshgrid(np.linspace(25, 45, 6), np.linspace(90, 120, 6), indexing="ij"))
DAYS = np.arange(6.0) * 5
TRUE = {"flux.sigma": 1.5, "flux.length_km": 500.0, "flux.days": 8.0, "noise.sigma": 0.7}


def model(seed=0, n=240, trend=False, kernel="exponential"):
    """Observations drawn with the errors of TRUE; the model starts elsewhere."""
    rng = np.random.default_rng(seed)
    h = np.zeros((n, 216))
    for i in range(n):
        h[i, rng.choice(216, 12, replace=False)] = rng.random(12)
    b = KroneckerCovariance(
        TRUE["flux.sigma"],
        time_correlation(DAYS, TRUE["flux.days"]),
        space_correlation(LAT, LON, TRUE["flux.length_km"], kernel),
    )
    d = h @ b.factor(rng.standard_normal(216)) + TRUE["noise.sigma"] * rng.standard_normal(n)
    term = prior_term("flux", h, np.ones(216), LAT, LON, DAYS, length_km=900.0, days=4.0, kernel=kernel)
    columns = h @ np.column_stack([np.ones(216)])
    if trend:
        d = d + 5.0 * columns[:, 0]
    return ErrorModel(d, [term], [ObservationTerm("noise", np.ones(n))], columns if trend else None)


@pytest.mark.parametrize("kernel", ["exponential", "matern32", "wendland"])
@pytest.mark.parametrize("trend", [False, True])
def test_gradient_is_the_derivative(kernel, trend):
    m = model(n=60, trend=trend, kernel=kernel)
    names = list(m.parameters)
    start = np.log([1.2, 700.0, 5.0, 0.8])
    value = lambda t: m.loss(dict(zip(names, np.exp(t), strict=True)))[0]  # noqa: E731
    _, gradient, fisher = m.loss(dict(zip(names, np.exp(start), strict=True)))
    numeric = approx_fprime(start, value, 1e-6)
    np.testing.assert_allclose([gradient[n] for n in names], numeric, rtol=1e-3, atol=1e-4)
    assert np.linalg.eigvalsh(fisher).min() > 0


def test_likelihood_is_the_evidence_of_the_problem():
    m = model(n=80)
    values = {"flux.sigma": 1.3, "flux.length_km": 400.0, "flux.days": 6.0, "noise.sigma": 0.9}
    b = KroneckerCovariance(1.3, time_correlation(DAYS, 6.0), space_correlation(LAT, LON, 400.0))
    p = Problem(m.prior[0].jacobian, m.innovation, np.full(80, 0.81), np.zeros(216), b)
    assert -m.loss(values)[0] == pytest.approx(solve(p).log_evidence, rel=1e-10)


def test_restricted_likelihood_is_that_of_the_trend():
    m = model(n=80, trend=True)
    values = {"flux.sigma": 1.3, "flux.length_km": 400.0, "flux.days": 6.0, "noise.sigma": 0.9}
    b = KroneckerCovariance(1.3, time_correlation(DAYS, 6.0), space_correlation(LAT, LON, 400.0))
    p = Problem(m.prior[0].jacobian, m.innovation, np.full(80, 0.81), np.zeros(216), b)
    g = solve_geostatistical(p, np.ones((216, 1)))
    assert -m.loss(values)[0] == pytest.approx(g.restricted_log_likelihood, rel=1e-9)


@pytest.mark.parametrize("trend", [False, True])
def test_the_errors_are_found_again(trend):
    z = []
    for seed in range(3):
        fit = fit_hyperparameters(model(seed, trend=trend))
        assert fit.log_likelihood > fit.log_likelihood_start
        assert fit.at_bounds == ()
        assert fit.chi_square == pytest.approx(1.0, abs=0.02)
        z += [np.log(fit.values[k] / TRUE[k]) / fit.relative_error[k] for k in TRUE]
    assert np.abs(z).max() < 4.0
    assert np.sqrt(np.mean(np.square(z))) < 1.7


def test_what_is_held_stays():
    fit = fit_hyperparameters(model(n=100), free=["noise.sigma"])
    assert fit.values["flux.length_km"] == 900.0
    assert list(fit.relative_error) == ["noise.sigma"]
    with pytest.raises(ConfigError, match="unknown error parameter 'noise.sgma'; nearest: 'noise.sigma'"):
        fit_hyperparameters(model(n=20), free=["noise.sgma"])


def test_desroziers_confirms_right_errors_and_points_at_wrong_ones():
    p = case("M").problem
    right = desroziers(solve(p))["all"]
    assert right["observation_error"] == pytest.approx(right["assumed_observation_error"], rel=0.03)
    assert right["prior_error"] == pytest.approx(right["assumed_prior_error"], rel=0.15)
    assert set(desroziers(solve(p), "station")) == {str(i) for i in range(12)}
    wrong = desroziers(solve(p.with_(observation_error=p.observation_error.scaled(4.0))))["all"]
    assert wrong["observation_error"] < 0.8 * wrong["assumed_observation_error"]


def blocks_problem(seed, sizes, observation):
    """Two components and observations drawn with errors `sizes` times the assumed ones."""
    rng = np.random.default_rng(seed)
    n, cells = 400, 36
    parts = [
        KroneckerCovariance(1.0, np.eye(1), space_correlation(LAT, LON, length)) for length in (100.0, 2000.0)
    ]
    h = np.zeros((n, 2 * cells))
    for i in range(n):
        h[i, rng.choice(cells, 4, replace=False)] = rng.random(4)
        h[i, cells + rng.choice(cells, 4, replace=False)] = rng.random(4)
    x = np.concatenate([s * p.factor(rng.standard_normal(cells)) for s, p in zip(sizes, parts, strict=True)])
    blocks = [
        StateBlock(k, "flux", ("cell",), {"cell": np.arange(cells)}, "1") for k in ("fossil", "biosphere")
    ]
    y = h @ x + observation * 0.5 * rng.standard_normal(n)
    error = BlockDiagonalCovariance(parts)
    return Problem(h, y, np.full(n, 0.25), np.zeros(2 * cells), error, state=State(blocks))


def test_sizes_of_components_are_found_apart():
    true = {"fossil.sigma": 2.0, "biosphere.sigma": 0.5, "observations.sigma": 1.4}
    fit, changed = fit_sizes(blocks_problem(0, (2.0, 0.5), 1.4))
    for name, value in true.items():
        assert abs(np.log(fit.values[name] / value)) < 4 * fit.relative_error[name]
        assert fit.relative_error[name] < 0.6
    assert solve(changed).chi_square == pytest.approx(1.0, abs=0.01)
    assert solve(changed).log_evidence == pytest.approx(fit.log_likelihood, rel=1e-9)


def test_sizes_need_blocks_and_a_moderate_number_of_observations():
    p = blocks_problem(0, (1.0, 1.0), 1.0)
    with pytest.raises(SolverError, match="a state and a prior error of the same blocks"):
        fit_sizes(p.with_(state=None))
    many = p.select(np.tile(np.arange(400), 11))
    with pytest.raises(ResourceError, match="4000 observations at most, found 4400"):
        fit_sizes(many)
