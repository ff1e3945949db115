"""Block conjugate gradients: the exact answer, a bound that is one, estimates that are unbiased."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inversion import Problem, solve
from inversion.operators.observation_error import MarkovError
from inversion.problem.innovation import seen_totals
from inversion.solvers.cg import CGSystem, Preconditioner, block_cg, independent_part, solve_cg
from obsnet.errors import SolverError
from tests.inversion.cases import case


@pytest.fixture(scope="module")
def small():
    return case("S")


@pytest.fixture(scope="module")
def exact(small):
    return solve(small.problem, "primal")


@given(st.integers(0, 500), st.integers(1, 6))
def test_block_cg_solves(seed, k):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((30, 30))
    a = root @ root.T + np.eye(30)
    f = rng.standard_normal((30, k))
    seen = []
    x, steps, residual = block_cg(lambda p: a @ p, f, 1e-12, 200, lambda i, r: seen.append(r))
    np.testing.assert_allclose(a @ x, f, atol=1e-9)
    assert residual <= 1e-12
    assert len(seen) == steps


def test_dependent_and_empty_right_hand_sides_do_no_harm():
    a = np.diag(np.arange(1.0, 21.0))
    f = np.ones((20, 4))
    f[:, 1] = 0.0
    f[:, 2] *= 3.0
    x, _, _ = block_cg(lambda p: a @ p, f, 1e-12, 100, lambda i, r: None)
    np.testing.assert_allclose(a @ x, f, atol=1e-10)
    assert block_cg(lambda p: a @ p, np.zeros((20, 2)), 1e-12, 100, lambda i, r: None)[1] == 0


def test_many_right_hand_sides_share_their_krylov_space(small):
    system = CGSystem(small.problem, rank=0, tolerance=1e-10)
    rng = np.random.default_rng(0)
    v = rng.standard_normal((500, 16))
    system.solve(v[:, 0])
    system.solve(v)
    assert system.iterations[1] < 0.6 * system.iterations[0]


def test_the_preconditioner_cuts_the_iterations(small):
    steps = []
    for rank in (0, 20, 60):
        system = CGSystem(small.problem, rank=rank, tolerance=1e-10)
        system.solve(small.problem.innovation.copy())
        steps.append(system.iterations[0])
    assert steps[0] > 2 * steps[1] > 3 * steps[2]


def test_preconditioner_is_its_matrix(small):
    c = Preconditioner(small.problem, 40)
    identity = np.eye(500)
    inverse = c.solve(identity)
    np.testing.assert_allclose(inverse, inverse.T, atol=1e-12)
    matrix = c.scale[:, None] * (identity + (c.vectors * c.values) @ c.vectors.T) * c.scale
    np.testing.assert_allclose(inverse @ matrix, identity, atol=1e-7)
    np.testing.assert_allclose(c.outer(c.inner(identity)), inverse, atol=1e-12)
    known = np.trace(inverse @ np.diag(small.problem.observation_error.diagonal()))
    assert c.trace_of_error(small.problem.observation_error) == pytest.approx(known, rel=1e-9)


def test_variance_is_a_bound_that_falls_with_rank(small, exact):
    truth = exact.variance()
    bounds = [solve_cg(small.problem, rank=r, steps=0).variance() for r in (0, 20, 60, 200)]
    for bound in bounds:
        assert (bound >= truth - 1e-10).all()
    means = [b.mean() for b in bounds]
    assert means == sorted(means, reverse=True)
    np.testing.assert_allclose(bounds[0], small.problem.prior_error.diagonal())
    assert bounds[-1].mean() < 1.02 * truth.mean()


def test_degrees_of_freedom_and_influence_are_estimated_without_bias(small, exact):
    found = [solve_cg(small.problem, rank=40, seed=s).dofs for s in range(12)]
    error = np.std(found, ddof=1) / np.sqrt(12)
    assert abs(np.mean(found) - exact.dofs) < 4 * error
    assert error < 0.5
    a = solve_cg(small.problem, rank=40)
    by_station, known = a.influence_by("station"), exact.influence_by("station")
    for key, value in known.items():
        assert by_station[key] == pytest.approx(value, abs=2.0)


def test_the_seed_decides_and_nothing_else(small):
    one, two = (solve_cg(small.problem, rank=30, seed=5) for _ in range(2))
    np.testing.assert_array_equal(one.mean, two.mean)
    assert one.dofs == two.dofs


@pytest.mark.parametrize("white", [True, False])
def test_correlated_observation_errors(small, white):
    rows = np.arange(80)
    p = small.problem.select(rows)
    own = np.full(80, 0.3 if white else 0.0)
    error = MarkovError(own, np.ones(80), rows % 5, rows.astype(float), 10.0)
    tied = p.with_(observation_error=error)
    exact = solve(tied, "dual")
    found = solve_cg(tied, rank=20, tolerance=1e-12)
    np.testing.assert_allclose(found.mean, exact.mean, atol=1e-9)
    np.testing.assert_allclose(
        found.aggregate(small.regions).covariance, exact.aggregate(small.regions).covariance, atol=1e-8
    )
    sampled = [solve_cg(tied, rank=20, seed=seed).dofs for seed in range(16)]
    assert abs(np.mean(sampled) - exact.dofs) < 4 * np.std(sampled, ddof=1) / 4
    gap = np.linalg.eigvalsh(error.dense() - np.diag(independent_part(error)))
    assert gap.min() > -1e-10


def test_no_convergence_is_an_error_that_says_what_helps(small):
    with pytest.raises(SolverError, match=r"after 3 iterations, asked for 1e-08: raise rank \(now 0\)"):
        solve_cg(small.problem, rank=0, limit=3)


def test_the_evidence_is_refused(small):
    with pytest.raises(SolverError, match="use 'dual' or 'primal'"):
        _ = solve_cg(small.problem, rank=30).log_evidence


def test_stopping_state_is_reported(small):
    lines = []
    a = solve_cg(small.problem, rank=30, report=lines.append)
    assert a.stopping["converged"]
    assert a.stopping["residual"] <= 1e-8
    assert a.stopping["rank"] == 30
    assert lines[0].startswith("iteration 1: residual")


def test_an_observation_that_sees_nothing():
    p = Problem(np.zeros((3, 2)), np.ones(3), np.ones(3), [1.0, 2.0], [1.0, 1.0])
    np.testing.assert_array_equal(solve_cg(p).mean, [1.0, 2.0])


def test_the_mean_is_solved_once_and_with_the_probes(small, exact):
    a = solve_cg(small.problem, rank=30)
    spent = len(a.system.iterations)
    assert a.chi_square == pytest.approx(exact.chi_square, rel=1e-9)
    _ = a.dofs
    assert len(a.system.iterations) == spent
    alone = CGSystem(small.problem, rank=30)
    alone._solve(small.problem.innovation[:, None], 1e-8)
    assert a.stopping["iterations"] < alone.iterations[0]


@pytest.mark.parametrize("tolerance", [1e-4, 1e-6])
def test_the_covariance_of_totals_is_too_large_by_a_square_of_what_is_left(small, exact, tolerance):
    known = exact.aggregate(small.regions).covariance
    system = CGSystem(small.problem, rank=0, tolerance=tolerance)
    excess = system.spread(small.regions) - known
    _, left = system._solve(seen_totals(small.problem, small.regions)[0], 1e3 * tolerance)
    expected = left.T @ exact.system.solve(left)
    np.testing.assert_allclose(excess, expected, atol=1e-12)
    assert np.trace(expected) > 1e-9
    assert np.linalg.eigvalsh(excess).min() > -1e-12


def test_more_totals_than_observations(small):
    p = small.problem.select(np.arange(12))
    g = np.eye(p.n_state)
    found = solve_cg(p, tolerance=1e-12).aggregate(g).covariance
    np.testing.assert_allclose(found, solve(p, "dual").aggregate(g).covariance, atol=1e-10)


def test_strips_change_nothing(small, monkeypatch):
    whole = solve_cg(small.problem, rank=30)
    expected = whole.variance(), whole.aggregate(small.regions).covariance, whole.dofs
    monkeypatch.setattr("inversion.problem.innovation.STRIP", 8.0 * 100 * 3)  # three columns
    monkeypatch.setattr("inversion.solvers.cg.TOGETHER", 8.0 * 500 * 12)
    parts = solve_cg(small.problem, rank=30)
    np.testing.assert_allclose(parts.variance(), expected[0], rtol=1e-10)
    np.testing.assert_allclose(parts.aggregate(small.regions).covariance, expected[1], rtol=1e-8, atol=1e-10)
    assert parts.dofs == pytest.approx(expected[2], rel=1e-6)


def test_lanczos_directions_lower_the_bound_to_the_truth(small, exact):
    truth = exact.variance()
    bounds = [solve_cg(small.problem, rank=20, steps=k).variance() for k in (0, 2, 4, 40)]
    for looser, tighter in pairwise(bounds):
        assert (tighter <= looser + 1e-12).all()
        assert (tighter >= truth - 1e-10).all()
    assert np.mean(bounds[2] - truth) < 0.5 * np.mean(bounds[0] - truth)
    np.testing.assert_allclose(bounds[3], truth, rtol=1e-8)  # complete


@pytest.mark.parametrize("rank", [0, 30])
def test_lanczos_directions_stay_orthonormal(small, rank):
    found = CGSystem(small.problem, rank=rank, steps=12)._directions()
    assert found.shape[1] >= 100  # the state has as many elements
    np.testing.assert_allclose(found.T @ found, np.eye(found.shape[1]), atol=1e-12)
