"""Bases: nothing lost that they can express, nothing hidden that they cannot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inversion import solve
from inversion.basis import membership, quadtree, reduce_problem
from obsnet.errors import SolverError
from tests.inversion.cases import case


@pytest.fixture(scope="module")
def problem():
    return case("S").problem.select(np.arange(200))


def test_a_complete_basis_changes_nothing(problem):
    reduced = reduce_problem(problem, np.eye(100))
    full, part = solve(problem), solve(reduced.problem)
    np.testing.assert_allclose(reduced.expand(part.mean, problem.prior), full.mean, atol=1e-9)
    np.testing.assert_allclose(part.variance(), full.variance(), rtol=1e-8)
    assert reduced.lost == pytest.approx(0.0, abs=1e-12)
    assert part.chi_square == pytest.approx(full.chi_square, rel=1e-9)


@pytest.mark.parametrize("regions", [4, 20, 60])
def test_the_innovations_are_as_likely_as_before(problem, regions):
    """Aggregation error keeps S = H B H' + R whatever the basis, so chi-square and evidence stay."""
    label = quadtree(np.ones((10, 10)), regions)
    reduced = reduce_problem(problem, membership(label.ravel()))
    full, part = solve(problem), solve(reduced.problem)
    assert part.chi_square == pytest.approx(full.chi_square, rel=1e-8)
    assert part.log_evidence == pytest.approx(full.log_evidence, rel=1e-8)
    assert 0 < reduced.lost < 1
    assert part.dofs < full.dofs


def test_coefficients_are_the_full_posterior_of_the_same_coefficients(problem):
    """z is the B^-1-weighted projection of x; its posterior must not depend on how it was computed."""
    gamma = membership(quadtree(np.ones((10, 10)), 12).ravel())
    reduced = reduce_problem(problem, gamma)
    b_inverse = problem.prior_error.solve(gamma.toarray())
    projection = np.linalg.solve(gamma.T @ b_inverse, b_inverse.T)
    known = solve(problem).aggregate(projection)
    part = solve(reduced.problem)
    np.testing.assert_allclose(part.mean, known.mean - projection @ problem.prior, atol=1e-8)
    np.testing.assert_allclose(part.aggregate(np.eye(12)).covariance, known.covariance, atol=1e-9)


def test_without_aggregation_error_the_answer_is_overconfident():
    z, zz = [], []
    p = case("S").problem
    gamma = membership(quadtree(np.ones((10, 10)), 6).ravel())
    kept, dropped = (reduce_problem(p, gamma, aggregation_error=k) for k in (True, False))
    b_inverse = p.prior_error.solve(gamma.toarray())
    projection = np.linalg.solve(gamma.T @ b_inverse, b_inverse.T)
    systems = [solve(r.problem) for r in (kept, dropped)]
    rng = np.random.default_rng(0)
    for _ in range(200):
        x = p.prior_error.factor(rng.standard_normal(100))
        y = p.forward(x) + p.observation_error.factor(rng.standard_normal(500))
        for system, out in zip(systems, (z, zz), strict=True):
            out.append((system.gain(y) - projection @ x) / np.sqrt(system.variance()))
    assert np.std(z) == pytest.approx(1.0, abs=0.07)
    assert np.std(zz) > 1.5


@given(st.integers(1, 60), st.integers(0, 99))
def test_a_quadtree_is_a_partition_into_rectangles(regions, seed):
    w = np.random.default_rng(seed).random((8, 9)) ** 4
    label = quadtree(w, regions)
    assert sorted(np.unique(label)) == list(range(regions))
    for number in range(regions):
        rows, columns = np.nonzero(label == number)
        assert rows.size == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


def test_a_quadtree_is_fine_where_the_weight_is():
    w = np.full((16, 16), 1e-3)
    w[:4, :4] = 1.0
    label = quadtree(w, 20)
    assert np.unique(label[:4, :4]).size > 10
    sums = np.bincount(label.ravel(), w.ravel())
    assert sums.max() < 3 * w.sum() / 20
    assert np.unique(quadtree(np.zeros((4, 4)), 16)).size == 16


def test_membership_takes_weights_and_leaves_out():
    m = membership([0, 1, -1, 1], [1.0, 2.0, 3.0, 4.0])
    assert m.toarray().tolist() == [[1, 0], [0, 2], [0, 0], [0, 4]]


def test_faults_are_named(problem):
    with pytest.raises(SolverError, match="100 rows, found 3"):
        reduce_problem(problem, np.ones((3, 1)))
    with pytest.raises(SolverError, match="depend on each other"):
        reduce_problem(problem, np.ones((100, 2)))
    with pytest.raises(SolverError, match="between 1 and 4 regions, asked for 5"):
        quadtree(np.ones((2, 2)), 5)
    with pytest.raises(SolverError, match="not negative"):
        quadtree(-np.ones((2, 2)), 2)
