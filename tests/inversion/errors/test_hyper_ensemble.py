"""Several sizes of the errors at once: each as if solved alone, the Jacobian read once."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from inversion import solve
from inversion.errors.hyper_ensemble import hyper_ensemble
from inversion.operators.covariance import LowRankCovariance, SumCovariance
from inversion.operators.observation_error import MarkovError
from obsnet.errors import ConfigError
from tests.inversion.cases import case

SIZES = [
    {},
    {"prior_error": 2.0},
    {"observation_error": 1.5},
    {"prior_error": 0.5, "observation_error": 0.7},
]


def alone(problem, size):
    return solve(
        problem.with_(
            prior_error=problem.prior_error.scaled(size.get("prior_error", 1.0) ** 2),
            observation_error=problem.observation_error.scaled(size.get("observation_error", 1.0) ** 2),
        )
    )


def check(problem, sizes, weights):
    for size, member in zip(sizes, hyper_ensemble(problem, sizes, weights), strict=True):
        one = alone(problem, size)
        known = one.aggregate(weights)
        np.testing.assert_allclose(member.mean, one.mean, atol=1e-9)
        np.testing.assert_allclose(member.totals.mean, known.mean, rtol=1e-9)
        np.testing.assert_allclose(member.totals.covariance, known.covariance, rtol=1e-7, atol=1e-12)
        assert member.chi_square == pytest.approx(one.chi_square, rel=1e-9)
        assert member.log_evidence == pytest.approx(one.log_evidence, rel=1e-9)


def test_each_member_is_the_problem_solved_alone():
    check(case("S").problem, SIZES, case("S").regions)


def test_a_prior_without_a_good_inverse_is_solved_in_its_square_root():
    c = case("S")
    common = LowRankCovariance(np.ones((100, 1)), [[0.04]])
    known = c.problem.prior_error.sigma.copy()
    for error in (SumCovariance(c.problem.prior_error, common), np.where(known > 0.5, known, 0.0) ** 2):
        check(c.problem.with_(prior_error=error), SIZES, sp.csr_array(c.regions))


def test_errors_with_memory_are_scaled_too():
    c = case("S")
    n = c.problem.n_obs
    error = MarkovError(np.full(n, 0.3), np.full(n, 0.5), np.arange(n) % 7, np.arange(n) // 7, 3.0)
    check(c.problem.with_(observation_error=error), SIZES[:3], c.regions)


@settings(max_examples=15)
@given(st.floats(0.1, 10.0), st.floats(0.1, 10.0))
def test_only_the_ratio_moves_the_mean(prior, noise):
    """Both errors times f: the same mean, f^2 times the covariance."""
    p, g = case("T").problem, np.ones((1, case("T").problem.n_state))
    one, two = hyper_ensemble(
        p,
        [
            {"prior_error": prior, "observation_error": noise},
            {"prior_error": 3 * prior, "observation_error": 3 * noise},
        ],
        g,
    )
    np.testing.assert_allclose(two.mean, one.mean, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(two.totals.covariance, 9 * one.totals.covariance, rtol=1e-8)
    assert two.chi_square == pytest.approx(one.chi_square / 9, rel=1e-8)


def test_the_jacobian_is_read_once_for_all_members():
    c, reads = case("S").problem, []
    full = c.jacobian.toarray()

    def load(block_id=None):
        reads.append(block_id)
        return full[block_id[0] * 100 : (block_id[0] + 1) * 100]

    lazy = da.map_blocks(load, chunks=((100,) * 5, (100,)), dtype=float, meta=np.zeros((0, 0)))
    p = c.with_(jacobian=lazy)
    with dask.config.set(scheduler="synchronous"):
        hyper_ensemble(p, [{"prior_error": f} for f in (0.5, 1.0, 2.0, 3.0)], np.ones((1, 100)))
    counts = {b: reads.count(b) for b in reads}
    # innovation, normal matrix, right-hand side: three passes whatever the number of members
    assert max(counts.values()) <= 3


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ({"size": 1.0}, "has no 'size'"),
        ({"prior_error": 0.0}, "above zero"),
        ({"observation_error": np.inf}, "above zero"),
    ],
)
def test_faults_are_named(member, text):
    with pytest.raises(ConfigError, match=text):
        hyper_ensemble(case("T").problem, [member], np.ones((1, 60)))
