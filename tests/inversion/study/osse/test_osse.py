"""Twins: right errors cover as stated, wrong ones are found, every way of solving is treated alike."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy.stats import binom, kstest

from inversion import DenseCovariance, DiagonalCovariance, Problem, solve
from inversion.solvers.gibbs import solve_gibbs
from inversion.solvers.letkf import solve_letkf
from inversion.solvers.smoother import solve_smoother
from inversion.study.osse.osse import LEVELS, run_twins
from obsnet.errors import ConfigError, SolverError
from tests.inversion.cases import case


@lru_cache
def twins(name="T", count=400, **key):
    c = case(name)
    return run_twins(c.problem, c.regions, twins=count, **key)


def test_levels_are_those_of_the_normal_distribution():
    from scipy.stats import norm

    for level, width in LEVELS.items():
        assert norm.cdf(width) - norm.cdf(-width) == pytest.approx(level, abs=1e-9)


@pytest.mark.parametrize("name", ["T", "S"])
def test_truths_from_the_prior_are_covered_as_stated(name):
    a = twins(name)
    known = np.flatnonzero(a.prior_deviation > 0)
    found = a.coverage(known)
    low, high = (binom.ppf(q, a.count, 0.95) / a.count for q in (1e-4, 1 - 1e-4))
    assert all(low <= c.inside_95 <= high for c in found)
    low, high = (binom.ppf(q, a.count, 0.68) / a.count for q in (1e-4, 1 - 1e-4))
    assert all(low <= c.inside_68 <= high for c in found)
    # one in a hundred may fall outside its bounds
    assert sum(c.verdict != "as stated" for c in found) <= 2
    assert np.mean([c.chi_square for c in found]) == pytest.approx(1.0, abs=0.05)
    assert np.abs([c.bias for c in found]).max() < 5 / np.sqrt(a.count)
    assert a.state_inside[0.68] == pytest.approx(0.68, abs=0.015)
    assert a.state_inside[0.95] == pytest.approx(0.95, abs=0.01)
    assert a.state_chi_square == pytest.approx(1.0, abs=0.04)


def test_normalised_errors_are_normal_and_the_innovation_is_chi_square():
    a = twins()
    p = case("T").problem
    i = int(np.argmax(a.reduction))
    z = (a.estimate[i] - a.truth[i]) / a.deviation[i]
    assert kstest(z, "norm").pvalue > 1e-3
    assert a.innovation_chi_square.mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / p.n_obs / a.count))
    assert a.innovation_chi_square.var() == pytest.approx(2 / p.n_obs, rel=0.3)


def test_errors_have_the_stated_covariance_between_totals():
    a = twins("S", 3000)
    error = a.estimate - a.truth
    found = np.cov(error)
    scale = np.sqrt(np.outer(np.diagonal(a.covariance), np.diagonal(a.covariance)))
    used = scale > 0
    assert np.abs((found - a.covariance)[used] / scale[used]).max() < 0.12
    np.testing.assert_allclose(a.truth.mean(axis=1), a.prior.mean, atol=0.1 * a.prior_deviation.max())
    np.testing.assert_allclose(a.truth.std(axis=1), a.prior_deviation, rtol=0.08, atol=1e-12)


def test_stated_numbers_are_those_of_the_posterior():
    c = case("T")
    a, exact = twins(), solve(c.problem, "dual")
    both = exact.aggregate(c.regions)
    np.testing.assert_allclose(a.covariance, both.covariance, atol=1e-12)
    np.testing.assert_allclose(a.posterior_deviation, np.sqrt(np.diagonal(both.covariance)), atol=1e-12)
    prior = np.sqrt(np.diagonal(exact.prior_aggregate(c.regions).covariance))
    used = prior > 0
    np.testing.assert_allclose(a.reduction[used], 1 - a.posterior_deviation[used] / prior[used])
    assert (a.reduction[~used] == 0).all()


def test_one_factorisation_is_solving_each_twin():
    c = case("T")
    one = run_twins(c.problem, c.regions, twins=6, seed=2)
    two = run_twins(c.problem, c.regions, twins=6, seed=2, solver=lambda p: solve(p, "dual"))
    np.testing.assert_allclose(two.truth, one.truth, atol=1e-12)
    np.testing.assert_allclose(two.estimate, one.estimate, atol=1e-10)
    np.testing.assert_allclose(two.deviation, one.deviation, atol=1e-10)
    assert two.state_inside == one.state_inside
    assert two.state_chi_square == pytest.approx(one.state_chi_square)
    assert two.innovation_chi_square is None


def test_a_twin_is_the_same_however_many_there_are():
    c = case("T")
    few, many = (run_twins(c.problem, c.regions, twins=n, seed=4) for n in (3, 70))
    np.testing.assert_allclose(many.truth[:, :3], few.truth, atol=1e-12)
    np.testing.assert_allclose(many.estimate[:, :3], few.estimate, atol=1e-10)
    other = run_twins(c.problem, c.regions, twins=3, seed=5)
    assert not np.allclose(other.truth, few.truth)


# --- wrong assumptions are found -------------------------------------------------------------------------


def verdicts(**key):
    c = case("S")
    a = run_twins(c.problem, c.regions, twins=300, **key)
    return a, [v.verdict for v in a.coverage()]


def test_larger_true_errors_show_as_too_sure():
    p = case("S").problem
    a, found = verdicts(truth=p.with_(prior_error=p.prior_error.scaled(4.0)))
    assert found.count("too sure") > 25
    assert a.state_inside[0.95] < 0.90
    a, found = verdicts(truth=p.with_(observation_error=p.observation_error.scaled(9.0)))
    assert found.count("too sure") > 20
    assert a.innovation_chi_square.mean() > 2.0


def test_smaller_true_errors_show_as_too_cautious():
    p = case("S").problem
    _, found = verdicts(
        truth=p.with_(
            prior_error=p.prior_error.scaled(0.25), observation_error=p.observation_error.scaled(0.25)
        )
    )
    assert found.count("too cautious") == len(found)


def test_correlated_errors_that_nobody_told_of_are_found():
    n = 20
    p = Problem(np.ones((n, 1)), np.zeros(n), np.ones(n), [0.0], [1e6])
    tied = DenseCovariance(0.8 * np.ones((n, n)) + 0.2 * np.eye(n))
    a = run_twins(p, [[1.0]], twins=2000, truth=p.with_(observation_error=tied))
    found = a.coverage()[0]
    # the mean of n has variance 0.8 + 0.2 / n, the inversion believes 1 / n
    assert found.chi_square == pytest.approx(n * (0.8 + 0.2 / n), rel=0.1)
    assert found.verdict == "too sure"
    assert found.inside_95 < 0.5


def test_a_hidden_bias_ruins_the_totals():
    c = case("S")
    found = [run_twins(c.problem, np.ones(100), twins=200, bias=b).coverage()[0] for b in (0.0, 1.0, 2.0)]
    assert found[0].chi_square < found[1].chi_square < found[2].chi_square
    assert [f.verdict for f in found] == ["as stated", "too sure", "too sure"]
    assert found[2].bias > 1.0
    assert found[2].inside_95 < 0.85


# --- any solver ------------------------------------------------------------------------------------------


def test_methods_of_every_kind():
    c = case("T")
    step = np.arange(60) // 20

    def smooth(problem):
        found = solve_smoother(problem, step=step, lag=3, weights=c.regions)

        class Result:
            mean = found.mean

            def variance(self):
                return found.variance

            def aggregate(self, _weights):
                return found.totals

        return Result()

    lines = []
    exact = run_twins(c.problem, c.regions, twins=5)
    for solver in (smooth, lambda p: solve_letkf(p, members=61)):
        a = run_twins(c.problem, c.regions, twins=5, solver=solver, report=lines.append)
        np.testing.assert_allclose(a.estimate, exact.estimate, atol=1e-9)
        np.testing.assert_allclose(a.deviation, exact.deviation, atol=1e-9)
    assert lines[-1] == "twin 5 of 5"
    hierarchical = run_twins(
        c.problem, c.regions, twins=2, solver=lambda p: solve_gibbs(p, draws=60, chains=2)
    )
    assert not np.allclose(hierarchical.deviation[:, 0], hierarchical.deviation[:, 1])


def test_few_members_are_found_to_be_too_sure():
    c = case("S")
    a = run_twins(
        c.problem, c.regions, twins=40, solver=lambda p: solve_letkf(p, members=30, exact=False, seed=1)
    )
    assert a.state_inside[0.95] < 0.6
    assert a.state_chi_square > 3.0


# --- edges -----------------------------------------------------------------------------------------------


def test_what_is_known_stays_known():
    p = Problem(np.eye(3), np.zeros(3), np.ones(3), np.ones(3), DiagonalCovariance([1.0, 0.0, 2.0]))
    a = run_twins(p, np.eye(3), twins=50)
    np.testing.assert_array_equal(a.truth[1], 1.0)
    np.testing.assert_array_equal(a.estimate[1], 1.0)
    assert a.coverage([1])[0].chi_square == 0.0
    assert a.reduction[1] == 0.0


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"twins": 0}, ConfigError, "one twin or more, found 0"),
        (
            {"truth": Problem([[1.0]], [0.0], [1.0], [0.0], [1.0])},
            SolverError,
            "the truth has 1 observations, the problem 40",
        ),
        (
            {"weights": np.ones((1, 3))},
            SolverError,
            r"weights must have shape \(totals, 60\), found \(1, 3\)",
        ),
    ],
)
def test_what_is_refused(change, error, text):
    c = case("T")
    with pytest.raises(error, match=text):
        run_twins(c.problem, **({"weights": c.regions} | change))
