"""Trends and error parameters: limits, derivatives, and truths that are found again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from inversion import KroneckerCovariance, Problem, solve
from inversion.errors.desroziers import desroziers
from inversion.errors.hyperparameters import (
    KroneckerTerm,
    MatrixTerm,
    ModelErrorTerm,
    VarianceModel,
    fit_hyperparameters,
)
from inversion.operators.covariance import LowRankCovariance, SumCovariance
from inversion.operators.kernels import chord_km, grid_distance, space_correlation, time_correlation
from inversion.operators.observation_error import MarkovError
from inversion.solvers.geostatistical import select_trend, solve_geostatistical
from obsnet.errors import ConfigError, SolverError
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
    assert g.log_evidence == pytest.approx(b.log_evidence)
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
NAMES = ("flux.sigma", "flux.length_km", "flux.days")
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
    lags = np.abs(DAYS[:, None] - DAYS)
    term = KroneckerTerm(NAMES, h, np.ones(216), chord_km(LAT, LON), lags, 900.0, 4.0, kernel)
    columns = h @ np.column_stack([np.ones(216)])
    if trend:
        d = d + 5.0 * columns[:, 0]
    return VarianceModel(d, [term, MatrixTerm("noise.sigma", np.ones(n))], trend=columns if trend else None)


@pytest.mark.parametrize("kernel", ["exponential", "matern32", "wendland"])
@pytest.mark.parametrize("trend", [False, True])
def test_gradient_is_the_derivative(kernel, trend):
    m = model(n=60, trend=trend, kernel=kernel)
    names = list(m.parameters)
    start = np.log([1.2, 700.0, 5.0, 0.8])
    value = lambda t: m.loss(dict(zip(names, np.exp(t), strict=True)))[0]  # noqa: E731
    here = dict(zip(names, np.exp(start), strict=True))
    gradient, fisher = m.loss(here)[1], m.fisher(here)
    numeric = approx_fprime(start, value, 1e-6)
    np.testing.assert_allclose([gradient[n] for n in names], numeric, rtol=1e-3, atol=1e-4)
    assert np.linalg.eigvalsh(fisher).min() > 0


def test_a_large_grid_is_projected_without_its_matrix():
    """Distances by rows and columns apart, against those between all cells."""
    lat, lon = np.linspace(20, 50, 20), np.linspace(75, 130, 31)
    y, x = (a.ravel() for a in np.meshgrid(lat, lon, indexing="ij"))
    h = np.random.default_rng(0).random((5, 2 * 620))
    lags = np.array([[0.0, 3.0], [3.0, 0.0]])
    values = {"flux.sigma": 1.3, "flux.length_km": 400.0, "flux.days": 6.0}
    found = []
    for distance in (grid_distance(lat, lon), chord_km(y, x)):
        term = KroneckerTerm(NAMES, h, np.ones(1240), distance, lags, 900.0, 4.0, "matern32")
        part, slopes = term.parts(values)
        bare = KroneckerTerm(NAMES, h, np.ones(1240), distance, lags, 0.0, 4.0).parts(values)[0]
        found.append([part, *slopes.values(), bare])
    assert grid_distance(lat, lon).shape == (20, 20, 31)
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-10)


def test_likelihood_is_the_evidence_of_the_problem():
    m = model(n=80)
    values = {"flux.sigma": 1.3, "flux.length_km": 400.0, "flux.days": 6.0, "noise.sigma": 0.9}
    b = KroneckerCovariance(1.3, time_correlation(DAYS, 6.0), space_correlation(LAT, LON, 400.0))
    p = Problem(m.terms[0].jacobian, m.innovation, np.full(80, 0.81), np.zeros(216), b)
    assert -m.loss(values)[0] == pytest.approx(solve(p).log_evidence, rel=1e-10)


def test_restricted_likelihood_is_that_of_the_trend():
    m = model(n=80, trend=True)
    values = {"flux.sigma": 1.3, "flux.length_km": 400.0, "flux.days": 6.0, "noise.sigma": 0.9}
    b = KroneckerCovariance(1.3, time_correlation(DAYS, 6.0), space_correlation(LAT, LON, 400.0))
    p = Problem(m.terms[0].jacobian, m.innovation, np.full(80, 0.81), np.zeros(216), b)
    g = solve_geostatistical(p, np.ones((216, 1)))
    assert -m.loss(values)[0] == pytest.approx(g.log_evidence, rel=1e-9)


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


def station_errors(seed, length, sizes, n=150):
    """Innovations of two stations whose errors remember `length` hours, and a third kind that does not."""
    rng = np.random.default_rng(seed)
    group, hours = np.arange(n) % 3, np.sort(rng.uniform(0, 200, n))
    sigma = np.where(group == 2, sizes[1], sizes[0])
    own = np.full(n, 0.04)
    tied = MarkovError(own, sigma, np.where(group == 2, 10 + np.arange(n), group), hours, length)
    d = tied.factor(rng.standard_normal(tied.factor_size))
    return d, own, group, hours, tied


def station_model(seed, n=150):
    d, own, group, hours, _ = station_errors(seed, 12.0, (1.5, 0.5), n)
    sigma = {"a": np.where(group < 2, 1.0, 0.0), "b": np.where(group == 2, 1.0, 0.0)}
    term = ModelErrorTerm(sigma, {"hours": group < 2}, {"hours": 5.0}, group, hours)
    return VarianceModel(d, [term], own)


def test_a_model_error_with_memory_is_that_of_the_inversion():
    _, own, _, _, tied = station_errors(0, 12.0, (1.5, 0.5))
    s, _ = station_model(0).matrices({"a": 1.5, "b": 0.5, "hours": 12.0})
    np.testing.assert_allclose(s, tied.dense(), atol=1e-12)
    assert np.diagonal(s)[0] == pytest.approx(own[0] + 1.5**2)


def test_gradient_of_a_model_error_is_its_derivative():
    m = station_model(1, n=60)
    start = np.log([1.2, 0.6, 8.0])
    value = lambda t: m.loss(dict(zip(m.parameters, np.exp(t), strict=True)))[0]  # noqa: E731
    gradient = m.loss(dict(zip(m.parameters, np.exp(start), strict=True)))[1]
    np.testing.assert_allclose(
        [gradient[n] for n in m.parameters], approx_fprime(start, value, 1e-6), rtol=1e-3, atol=1e-4
    )


def test_memory_and_sizes_of_model_errors_are_found_again():
    z = []
    for seed in range(4):
        fit = fit_hyperparameters(station_model(seed))
        z += [
            np.log(fit.values[k] / v) / fit.relative_error[k]
            for k, v in {"a": 1.5, "b": 0.5, "hours": 12.0}.items()
        ]
    assert np.abs(z).max() < 4.0
    assert np.sqrt(np.mean(np.square(z))) < 1.7


def test_a_parameter_that_nothing_determines_is_infinitely_uncertain():
    """A component that no observation sees."""
    d, own, *_ = station_errors(0, 1.0, (1.0, 1.0))
    model = VarianceModel(
        d, [MatrixTerm("noise", np.ones(150)), MatrixTerm("tiny", 1e-9 * np.ones(150))], own
    )
    fit = fit_hyperparameters(model, factor=10.0)
    assert fit.relative_error["tiny"] > 1e3
    assert fit.relative_error["noise"] < 0.1
    assert fit.chi_square == pytest.approx(1.0, abs=0.01)


def test_faults_of_a_model_are_named():
    with pytest.raises(SolverError, match="singular covariance of the innovations"):
        VarianceModel(np.ones(3), [MatrixTerm("a", np.ones((3, 3)))]).loss({"a": 1.0})
    with pytest.raises(ConfigError, match="no error parameter to estimate; there is: a, b, hours"):
        fit_hyperparameters(station_model(0, n=20), free=[])
