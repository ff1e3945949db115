"""Hierarchical sampling against integrals on a grid, derivatives, chains of known correlation, calibration."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from inversion import BlockDiagonalCovariance, DiagonalCovariance, KroneckerCovariance, Problem, State, solve
from inversion.operators.kernels import space_correlation
from inversion.operators.observation_error import MarkovError
from inversion.problem.state import StateBlock
from inversion.solvers.chains import effective_size, split_rhat
from inversion.solvers.gibbs import solve_gibbs
from inversion.solvers.marginal import marginalise
from obsnet.errors import ConfigError, ResourceError, SolverError
from tests.inversion.cases import case


def small(seed=0, n=30, sizes=(4, 3), prior_factor=1.0, error_factor=1.0, groups=3):
    """Two components, groups of observations; the truth has errors larger than stated by the factors."""
    rng = np.random.default_rng(seed)
    m = sum(sizes)
    h = rng.standard_normal((n, m))
    roots = [np.linalg.cholesky(np.exp(-np.abs(np.subtract.outer(range(k), range(k))) / 2.0)) for k in sizes]
    factor = np.broadcast_to(prior_factor, (len(sizes),))
    x = np.concatenate([f * r @ rng.standard_normal(k) for f, r, k in zip(factor, roots, sizes, strict=True)])
    variance = 0.3 + rng.random(n)
    station = np.arange(n) % groups
    noise = np.broadcast_to(error_factor, (groups,))[station] * np.sqrt(variance)
    y = h @ x + 5.0 + noise * rng.standard_normal(n)
    error = BlockDiagonalCovariance([KroneckerCovariance(1.0, [[1.0]], r @ r.T) for r in roots])
    problem = Problem(h, y, variance, np.zeros(m), error, background=5.0, groups={"station": station})
    return problem, x


def dense_log_likelihood(problem, priors, errors, station):
    """The textbook on full matrices: factors on each component and on each group of observations."""
    h = np.asarray(problem.jacobian.toarray() if hasattr(problem.jacobian, "toarray") else problem.jacobian)
    blocks = problem.prior_error.blocks
    cuts = np.cumsum([0, *(b.size for b in blocks)])
    s = np.zeros((problem.n_obs, problem.n_obs))
    for f, b, i, j in zip(priors, blocks, cuts[:-1], cuts[1:], strict=True):
        s += f**2 * h[:, i:j] @ b.dense() @ h[:, i:j].T
    size = np.asarray(errors)[station]
    s += size[:, None] * problem.observation_error.dense() * size
    return multivariate_normal(problem.simulate(problem.prior), s).logpdf(problem.observations)


# --- chains ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, -0.5])
def test_effective_size_of_a_known_chain(phi):
    rng = np.random.default_rng(1)
    z = rng.standard_normal((4, 20000))
    for i in range(1, z.shape[1]):
        z[:, i] = phi * z[:, i - 1] + np.sqrt(1 - phi**2) * z[:, i]
    assert effective_size(z) == pytest.approx(z.size * (1 - phi) / (1 + phi), rel=0.12)
    assert split_rhat(z) == pytest.approx(1.0, abs=0.003)


def test_chains_that_disagree_are_found():
    z = np.random.default_rng(2).standard_normal((4, 1000))
    assert split_rhat(z) < 1.01
    apart = z + np.array([0.0, 0.0, 0.0, 2.0])[:, None]
    assert split_rhat(apart) > 1.2
    assert effective_size(apart) < 50
    drifting = z + np.linspace(0, 3, 1000)  # each chain the same, but not stationary
    assert split_rhat(drifting) > 1.2


def test_constant_chains():
    assert effective_size(np.ones((2, 50))) == 100
    assert split_rhat(np.ones((2, 50))) == 1.0
    stuck = np.repeat([[0.0], [1.0]], 50, axis=1)
    assert split_rhat(stuck) == np.inf


# --- the likelihood --------------------------------------------------------------------------------------


@given(st.integers(0, 2**31))
def test_the_reduced_likelihood_is_that_of_full_matrices(seed):
    problem, _ = small(seed % 50)
    station = problem.groups["station"]
    marginal = marginalise(problem, (problem.prior_error,), station)
    theta = np.random.default_rng(seed).normal(0, 0.7, (3, 5))
    values = marginal.log_likelihood(0, theta)
    for row, value in zip(np.exp(theta), values, strict=True):
        assert value == pytest.approx(dense_log_likelihood(problem, row[:2], row[2:], station), rel=1e-9)


def test_it_is_the_evidence_at_factor_one():
    p = case("S").problem
    one = marginalise(p, (p.prior_error,), np.zeros(p.n_obs))
    assert one.log_likelihood(0, np.zeros((1, 2)))[0] == pytest.approx(
        solve(p, "dual").log_evidence, rel=1e-10
    )
    many = marginalise(p, (p.prior_error,), p.groups["station"])
    assert many.log_likelihood(0, np.zeros((1, 13)))[0] == pytest.approx(-753.066, abs=6e-4)


def test_the_gradient_is_that_of_the_value():
    problem, _ = small(3)
    marginal = marginalise(problem, (problem.prior_error,), problem.groups["station"])
    theta = np.random.default_rng(0).normal(0, 0.5, 5)
    value, slope = marginal.gradient(0, theta)
    assert value == pytest.approx(marginal.log_likelihood(0, theta[None])[0], rel=1e-12)
    e = 1e-5 * np.eye(5)
    numeric = (marginal.log_likelihood(0, theta + e) - marginal.log_likelihood(0, theta - e)) / 2e-5
    np.testing.assert_allclose(slope, numeric, rtol=1e-6, atol=1e-6)


def test_correlated_errors_within_a_group():
    problem, _ = small(1)
    station = problem.groups["station"]
    tied = MarkovError(np.full(30, 0.3), np.full(30, 0.8), station, np.arange(30.0), 6.0)
    problem = problem.with_(observation_error=tied)
    marginal = marginalise(problem, (problem.prior_error,), station)
    theta = np.array([[0.2, -0.1, 0.3, 0.0, -0.4]])
    expected = dense_log_likelihood(problem, np.exp(theta[0, :2]), np.exp(theta[0, 2:]), station)
    assert marginal.log_likelihood(0, theta)[0] == pytest.approx(expected, rel=1e-10)
    with pytest.raises(SolverError, match="correlated between one group and another"):
        marginalise(problem, (problem.prior_error,), np.arange(30) % 2)


# --- the posterior ---------------------------------------------------------------------------------------


@lru_cache
def sampled(name="T", draws=4000, **key):
    return solve_gibbs(case(name).problem, draws=draws, **key)


def test_variances_agree_with_an_integral_on_a_grid():
    p = case("T").problem
    axis = np.linspace(-1.6, 1.6, 65)
    h, b, r = p.jacobian.toarray(), p.prior_error.dense(), p.observation_error.dense()
    signal = h @ b @ h.T
    log = np.array(
        [
            [multivariate_normal(p.simulate(p.prior), np.exp(2 * t) * signal + np.exp(2 * s) * r).logpdf(p.observations)
             for s in axis]
            for t in axis
        ]
    )  # fmt: skip
    log -= 0.5 * (axis[:, None] ** 2 + axis**2)
    density = np.exp(log - log.max())
    density /= density.sum()
    a = sampled()
    for i, marginal in enumerate((density.sum(axis=1), density.sum(axis=0))):
        mean = marginal @ axis
        sd = np.sqrt(marginal @ (axis - mean) ** 2)
        draws = np.log(a.draws[:, :, i])
        error = sd / np.sqrt(effective_size(draws))
        assert draws.mean() == pytest.approx(mean, abs=4 * error)
        assert draws.std() == pytest.approx(sd, rel=0.05)
        quantiles = np.interp([0.1, 0.5, 0.9], np.cumsum(marginal), axis + 0.5 * (axis[1] - axis[0]))
        np.testing.assert_allclose(np.quantile(draws, [0.1, 0.5, 0.9]), quantiles, atol=0.12 * sd)
    t, s = np.log(a.draws).reshape(-1, 2).T
    cross = axis @ density @ axis - (density.sum(1) @ axis) * (density.sum(0) @ axis)
    assert np.cov(t, s)[0, 1] == pytest.approx(cross, abs=0.1 * t.std() * s.std())


def test_the_state_is_the_average_over_the_grid():
    p = case("T").problem
    axis = np.linspace(-1.4, 1.4, 15)
    log, means, variances = [], [], []
    for t in axis:
        for s in axis:
            a = solve(
                p.with_(
                    prior_error=p.prior_error.scaled(np.exp(2 * t)),
                    observation_error=p.observation_error.scaled(np.exp(2 * s)),
                ),
                "dual",
            )
            log.append(a.log_evidence - 0.5 * (t * t + s * s))
            means.append(a.mean)
            variances.append(a.variance())
    w = np.exp(np.array(log) - max(log))
    w /= w.sum()
    mean = w @ np.array(means)
    variance = w @ (np.array(variances) + (np.array(means) - mean) ** 2)
    a = sampled()
    np.testing.assert_allclose(a.mean, mean, atol=0.05 * np.sqrt(variance).max())
    np.testing.assert_allclose(a.variance(), variance, rtol=0.08)
    total = a.aggregate(np.eye(p.n_state))
    np.testing.assert_allclose(total.mean, a.mean, atol=1e-10)
    np.testing.assert_allclose(np.diagonal(total.covariance), a.variance(), rtol=1e-9)
    # and it is wider than with the sizes taken as known where they are about right
    assert a.variance().mean() > 0.9 * solve(p, "dual").variance().mean()


def test_alternatives_have_the_probabilities_of_their_evidence():
    c = case("T")
    p = c.problem
    lengths = (50.0, 200.0, 500.0, 1500.0)
    given_ = p.prior_error
    priors = {
        k: KroneckerCovariance(given_.sigma, given_.time, space_correlation(c.lat, c.lon, k)) for k in lengths
    }
    a = solve_gibbs(p, alternatives=priors, draws=4000)
    axis = np.linspace(-1.6, 1.6, 25)
    evidence = []
    for prior in priors.values():
        marginal = marginalise(p, (prior,), np.zeros(p.n_obs))
        theta = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        evidence.append(np.exp(marginal.log_likelihood(0, theta) + 110 - 0.5 * (theta**2).sum(axis=1)).sum())
    expected = np.array(evidence) / np.sum(evidence)
    found = np.array(list(a.weights_of_alternatives().values()))
    np.testing.assert_allclose(found, expected, atol=0.03)
    row = a.summary()[-1]
    assert row["parameter"] == "alternative"
    assert row["mean"] == pytest.approx(expected @ lengths, rel=0.1)
    assert row["rhat"] < 1.01


def test_groups_and_components_find_their_own_sizes():
    problem, _ = small(5, n=900, sizes=(60, 50), prior_factor=(0.4, 2.5), error_factor=(0.5, 1.0, 2.0))
    a = solve_gibbs(problem, errors_by="station", draws=400)
    rows = {r["parameter"]: r for r in a.summary()}
    assert list(rows) == ["prior 0", "prior 1", "error 0", "error 1", "error 2"]
    for name, truth in zip(rows, (0.4, 2.5, 0.5, 1.0, 2.0), strict=True):
        assert rows[name]["q025"] * 0.93 < truth < rows[name]["q975"] * 1.07
        assert rows[name]["ess"] > 400
    assert a.converged
    assert a.acceptance > 0.5


def test_a_wrong_size_is_mended_and_the_uncertainty_holds():
    """Twins whose true errors are unknown by a factor of three: the interval covers as it says."""
    inside, known = [], []
    for seed in range(60):
        rng = np.random.default_rng([seed, 9])
        problem, truth = small(
            seed,
            sizes=(6, 6),
            prior_factor=np.exp(rng.normal(0, 0.8, 2)),
            error_factor=np.exp(rng.normal(0, 0.8)),
        )
        a = solve_gibbs(problem, draws=100, spread=0.8, chains=2)
        inside.append(np.abs(truth - a.mean) < 1.96 * np.sqrt(a.variance()))
        b = solve(problem, "dual")
        known.append(np.abs(truth - b.mean) < 1.96 * np.sqrt(b.variance()))
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)
    assert np.mean(known) < np.mean(inside) - 0.05


# --- use -------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_draws():
    a, b = (solve_gibbs(case("T").problem, draws=50, seed=3) for _ in range(2))
    np.testing.assert_array_equal(a.draws, b.draws)
    assert not np.array_equal(a.draws, solve_gibbs(case("T").problem, draws=50, seed=4).draws)


def test_case_s_mixes():
    a = solve_gibbs(case("S").problem, errors_by="station", draws=700)
    assert min(r["ess"] for r in a.summary()) > 700
    assert a.converged
    assert all(r["rhat"] < 1.01 for r in a.summary())


def test_the_real_jacobian_of_east_asia(sample_data):
    """Gosan: the spread of the scale factors was too small, the estimated model error a little too large."""
    from inversion.case.inputs.foreign import foreign_problem
    from inversion.case.options import ForeignOptions
    from inversion.jacobian.foreign import read_foreign

    path = sample_data / "inversion" / "eastasia_rhime" / "standard_rhime_outs_EASTASIA.nc"
    problem, _ = foreign_problem(
        read_foreign([path]), ForeignOptions(files=[str(path)], set_aside_bad_rows=True)
    )
    a = solve_gibbs(problem, draws=400)
    rows = {r["parameter"]: r for r in a.summary()}
    assert rows["error"]["mean"] == pytest.approx(0.92, abs=0.03)  # chi-square per observation was 0.85
    assert rows["prior flux"]["q025"] < 1.7 < rows["prior flux"]["q975"]
    assert a.converged
    exact = solve(problem, "primal")
    assert np.abs((a.mean - exact.mean) / np.sqrt(exact.variance())).max() < 1.0


def test_names_come_from_the_state():
    problem, _ = small()
    blocks = [
        StateBlock(name, "other", ("i",), {"i": np.arange(k)}, "1")
        for name, k in (("fossil", 4), ("biosphere", 3))
    ]
    lines = []
    a = solve_gibbs(problem.with_(state=State(blocks)), draws=20, report=lines.append)
    assert a.names == ("prior fossil", "prior biosphere", "error")
    assert lines[0] == "3 sizes of errors of 30 observations and 7 unknowns: modes first"
    assert lines[1].startswith("3 parameters, 1 alternatives")
    assert "largest R-hat" in lines[-1]


def test_known_elements_stay_known():
    problem, _ = small()
    sigma = np.ones(7)
    sigma[2] = 0.0
    a = solve_gibbs(problem.with_(prior_error=DiagonalCovariance(sigma)), draws=30)
    assert a.mean[2] == 0.0
    assert a.variance()[2] == 0.0


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"draws": 3}, ConfigError, "8 draws, 2 chains or more and a positive spread, not 3, 4, 1"),
        ({"chains": 1}, ConfigError, "2 chains or more"),
        ({"spread": 0.0}, ConfigError, "positive spread"),
        ({"errors_by": "sation"}, SolverError, "not labelled by 'sation'; nearest: 'station'"),
        ({"alternatives": {100: DiagonalCovariance([1.0])}}, ConfigError, "alternative 100 is of 1 elements"),
    ],
)
def test_what_is_refused(change, error, text):
    with pytest.raises(error, match=text):
        solve_gibbs(small()[0], **change)


def test_alternatives_of_other_components():
    problem, _ = small()
    with pytest.raises(ConfigError, match=r"same components, found \[2, 1\]"):
        solve_gibbs(problem, alternatives={"a": problem.prior_error, "b": DiagonalCovariance(np.ones(7))})


def test_a_large_state_is_refused_with_advice():
    m = 2001
    problem = Problem(np.ones((1, m)), [1.0], [1.0], np.zeros(m), np.ones(m))
    with pytest.raises(ResourceError, match="2000 state elements or fewer, found 2001: coarsen the state"):
        solve_gibbs(problem)


def test_weights_of_the_wrong_shape():
    with pytest.raises(SolverError, match=r"weights must have shape \(totals, 60\), found \(1, 3\)"):
        sampled().aggregate(np.ones(3))
