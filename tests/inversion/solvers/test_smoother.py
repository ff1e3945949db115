"""Fixed-lag smoothers equal the batch where they can, and count what they cut where they cannot."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from inversion import (
    BlockDiagonalCovariance,
    DenseCovariance,
    DiagonalCovariance,
    KroneckerCovariance,
    Problem,
    State,
    solve,
)
from inversion.operators.observation_error import MarkovError
from inversion.problem.state import StateBlock
from inversion.solvers.smoother import solve_ensemble_smoother, solve_smoother
from inversion.solvers.split import observation_steps, split_error, state_steps
from obsnet.errors import ConfigError, SolverError
from tests.inversion.cases import case


@lru_cache
def chain(back=3, steps=7, cells=4, n=60, seed=0, kind="exponential", offsets=2):
    """A problem in time: each observation looks `back` steps back; two instruments have offsets."""
    rng = np.random.default_rng(seed)
    when = np.sort(rng.integers(0, steps, n))
    h = np.zeros((n, steps * cells + offsets))
    for i, t in enumerate(when):
        for b in range(min(back, t + 1)):
            h[i, (t - b) * cells : (t - b + 1) * cells] = rng.random(cells) * np.exp(-b / 2)
        if offsets:
            h[i, steps * cells + i % offsets] = 1.0
    t = np.arange(steps)
    apart = np.abs(t[:, None] - t) / 2.0
    time = np.exp(-apart) if kind == "exponential" else np.exp(-(apart**2)) + 1e-6 * np.eye(steps)
    time /= time[0, 0]
    place = np.arange(cells)
    space = np.exp(-np.abs(place[:, None] - place) / 2.0)
    error = KroneckerCovariance(0.5 + rng.random(steps * cells), time, space)
    parts = [error, DiagonalCovariance(np.full(offsets, 0.3))] if offsets else [error]
    step = np.concatenate([np.repeat(t, cells), np.full(offsets, -1)])
    problem = Problem(
        sp.csr_array(h),
        rng.standard_normal(n) * 2 + 1,
        0.3 + rng.random(n),
        rng.standard_normal(step.size),
        BlockDiagonalCovariance(parts),
        background=rng.random(n),
    )
    return problem, step, when


@lru_cache
def batch(**key):
    return solve(chain(**key)[0], "primal")


def totals(step, seed=3):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((5, step.size))


# --- exact -----------------------------------------------------------------------------------------------


def test_the_whole_period_open_is_the_batch():
    problem, step, _ = chain()
    exact = batch()
    a = solve_smoother(problem, step=step, lag=7, weights=totals(step))
    np.testing.assert_allclose(a.mean, exact.mean, atol=1e-11)
    np.testing.assert_allclose(a.variance, exact.variance(), atol=1e-11)
    both = exact.aggregate(totals(step))
    np.testing.assert_allclose(a.totals.mean, both.mean, atol=1e-11)
    np.testing.assert_allclose(a.totals.covariance, both.covariance, atol=1e-11)
    assert a.chi_square == pytest.approx(exact.chi_square, rel=1e-11)
    assert a.log_evidence == pytest.approx(exact.log_evidence, rel=1e-11)
    assert a.stopping["cut_rows"] == 0


@pytest.mark.parametrize("lag", [3, 4, 5])
def test_a_lag_that_covers_the_footprints_gives_the_batch_of_the_observations_so_far(lag):
    problem, step, when = chain()
    a = solve_smoother(problem, step=step, lag=lag, weights=totals(step))
    for t in range(7):
        known = solve(problem.select(when <= t + lag - 1), "primal")
        here = step == t
        np.testing.assert_allclose(a.mean[here], known.mean[here], atol=1e-10)
        np.testing.assert_allclose(a.variance[here], known.variance()[here], atol=1e-10)
    exact = batch()
    for_all = step == -1
    np.testing.assert_allclose(a.mean[for_all], exact.mean[for_all], atol=1e-10)
    # totals, chi-square and evidence have all observations
    both = exact.aggregate(totals(step))
    np.testing.assert_allclose(a.totals.mean, both.mean, atol=1e-10)
    np.testing.assert_allclose(a.totals.covariance, both.covariance, atol=1e-10)
    assert a.chi_square == pytest.approx(exact.chi_square, rel=1e-10)
    assert a.log_evidence == pytest.approx(exact.log_evidence, rel=1e-10)
    assert a.stopping["cut_rows"] == 0
    assert a.stopping["memory_lost"] < 1e-12


def test_the_case_of_sixty_states():
    c = case("T")
    step = np.arange(60) // 20
    a = solve_smoother(c.problem, step=step, lag=3, weights=c.regions)
    exact = solve(c.problem, "dual")
    np.testing.assert_allclose(a.mean, exact.mean, atol=1e-12)
    np.testing.assert_allclose(a.totals.covariance, exact.aggregate(c.regions).covariance, atol=1e-12)


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(0, 2))
def test_any_small_problem(seed, back, offsets):
    problem, step, _ = chain(back=back, steps=4, cells=2, n=15, seed=seed, offsets=offsets)
    exact = solve(problem, "primal")
    a = solve_smoother(problem, step=step, lag=back, weights=totals(step))
    np.testing.assert_allclose(a.totals.mean, exact.aggregate(totals(step)).mean, atol=1e-8)
    assert a.log_evidence == pytest.approx(exact.log_evidence, rel=1e-8)


# --- what is cut -----------------------------------------------------------------------------------------


def test_a_short_lag_is_counted():
    problem, step, _ = chain()
    exact = batch()
    loss = []
    for lag in (1, 2, 3):
        a = solve_smoother(problem, step=step, lag=lag)
        loss.append(np.sqrt(np.mean((a.mean - exact.mean) ** 2)))
        assert (a.variance[step >= 0] > exact.variance()[step >= 0] * (1 - 1e-9)).all()
        h = abs(problem.jacobian.toarray())
        obs = observation_steps(problem.jacobian, step)
        gone = (step >= 0) & (step[None, :] <= obs[:, None] - lag)
        assert a.stopping["cut_rows"] == (h * gone > 0).any(axis=1).sum()
        assert a.stopping["cut_sensitivity"] == pytest.approx((h * gone).sum() / h.sum())
    assert loss[0] > loss[1] > loss[2]
    assert a.stopping["cut_rows"] == 0


def test_a_prior_that_is_no_markov_chain_is_noticed():
    problem, step, _ = chain(kind="gaussian")
    gaps = [solve_smoother(problem, step=step, lag=lag).stopping["memory_lost"] for lag in (1, 3, 5)]
    assert gaps[0] > gaps[1] > gaps[2] > 0.0
    exact = solve(problem, "primal")
    whole = solve_smoother(problem, step=step, lag=7)
    np.testing.assert_allclose(whole.mean, exact.mean, atol=1e-8)
    assert whole.stopping["memory_lost"] == 0.0


def test_known_elements_and_steps_without_observations():
    problem, step, when = chain()
    sigma = problem.prior_error.diagonal()
    sigma[step == 2] = 0.0
    known = problem.with_(prior_error=DiagonalCovariance(sigma)).select(when != 3)
    a, exact = solve_smoother(known, step=step, lag=3), solve(known, "dual")
    np.testing.assert_allclose(a.mean[step == 2], problem.prior[step == 2])
    np.testing.assert_allclose(a.mean[step == 6], exact.mean[step == 6], atol=1e-11)
    assert a.log_evidence == pytest.approx(exact.log_evidence)
    full = solve_smoother(known, step=step, lag=7)
    np.testing.assert_allclose(full.mean, exact.mean, atol=1e-11)


def test_it_reports_each_step():
    problem, step, _ = chain()
    lines = []
    solve_smoother(problem, step=step, lag=2, report=lines.append)
    assert lines[0] == "step 1 of 7: 6 open elements"
    assert lines[-1] == "step 7 of 7: 10 open elements"


# --- ensemble --------------------------------------------------------------------------------------------


def test_an_exact_ensemble_that_learns_ahead_is_the_batch():
    problem, step, _ = chain()
    exact = batch()
    a = solve_ensemble_smoother(problem, step=step, lag=7, ahead=7, members=31)
    np.testing.assert_allclose(a.mean, exact.mean, atol=1e-10)
    np.testing.assert_allclose(a.variance(), exact.variance(), atol=1e-10)
    np.testing.assert_allclose(
        a.aggregate(totals(step)).covariance, exact.aggregate(totals(step)).covariance, atol=1e-9
    )
    with pytest.raises(SolverError, match="no single innovation covariance"):
        _ = a.chi_square


def test_a_lag_of_the_ensemble_is_that_of_the_exact_smoother():
    # Without correlation in time and with an exact ensemble nothing distinguishes the two.
    problem, step, _ = chain(offsets=0)
    free = problem.with_(prior_error=DiagonalCovariance(problem.prior_error.diagonal()))
    one = solve_smoother(free, step=step, lag=3)
    two = solve_ensemble_smoother(free, step=step, lag=3, members=29)
    np.testing.assert_allclose(two.mean, one.mean, atol=1e-10)
    np.testing.assert_allclose(two.variance(), one.variance, atol=1e-10)


def test_the_error_of_the_ensemble_falls_as_one_over_the_root_of_the_members():
    problem, step, _ = chain()
    limit = solve_smoother(problem, step=step, lag=3).mean
    error = []
    for members in (40, 160, 640):
        runs = [
            solve_ensemble_smoother(problem, step=step, lag=3, ahead=7, members=members, seed=s, exact=False)
            for s in range(4)
        ]
        error.append(np.sqrt(np.mean([(a.mean - limit) ** 2 for a in runs])))
    slope = np.polyfit(np.log([40, 160, 640]), np.log(error), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.12)


def test_relaxation_and_inflation_of_the_ensemble():
    problem, step, _ = chain(offsets=0)
    plain = solve_ensemble_smoother(problem, step=step, lag=3, members=40)
    wide = solve_ensemble_smoother(problem, step=step, lag=3, members=40, relaxation=0.5)
    assert (wide.variance() > plain.variance()).all()
    with pytest.raises(ConfigError, match="inflation is 1 or more"):
        solve_ensemble_smoother(problem, step=step, lag=3, inflation=0.5)


def test_localisation_follows_the_observations_of_a_step():
    from inversion.solvers.localisation import Localisation

    c = case("T")
    step = np.arange(60) // 20
    far = Localisation(np.arange(60) % 20, c.lat, c.lon, np.full(40, -60.0), np.full(40, -100.0), 500.0)
    a = solve_ensemble_smoother(c.problem, step=step, lag=2, members=10, localisation=far)
    np.testing.assert_array_equal(a.mean, c.problem.prior)  # nobody is near
    near = Localisation(np.arange(60) % 20, c.lat, c.lon, np.full(40, 35.0), np.full(40, 100.0), np.inf)
    b = solve_ensemble_smoother(c.problem, step=step, lag=2, members=10, localisation=near)
    d = solve_ensemble_smoother(c.problem, step=step, lag=2, members=10)
    np.testing.assert_allclose(b.mean, d.mean, atol=1e-11)


# --- steps and parts -------------------------------------------------------------------------------------


def test_steps_of_a_state():
    days = np.datetime64("2019-01-01") + np.array([3, 10, 17])
    flux = StateBlock("bio", "flux", ("time", "cell"), {"time": days, "cell": np.arange(2)}, "x")
    slow = StateBlock("fossil", "flux", ("time", "cell"), {"time": days[1:2], "cell": np.arange(2)}, "x")
    side = StateBlock(
        "boundary", "boundary", ("side", "period"), {"side": np.array(["n", "s"]), "period": days}, "ppm"
    )
    offset = StateBlock("offset", "offset", ("source",), {"source": np.array(["a"])}, "ppm")
    step = state_steps(State([flux, slow, side, offset]))
    np.testing.assert_array_equal(step, [0, 0, 1, 1, 2, 2, 1, 1, 0, 1, 2, 0, 1, 2, -1])


def test_steps_of_observations():
    h = sp.csr_array(np.array([[1.0, 0, 0, 0], [1, 0, 2, 0], [0, 0, 0, 1], [0, 0, 0, 0]]))
    np.testing.assert_array_equal(observation_steps(h, np.array([0, 1, 2, -1])), [0, 2, 0, 0])
    explicit = h.copy()
    explicit.data[2] = 0.0  # a stored zero is no sensitivity
    np.testing.assert_array_equal(observation_steps(explicit, np.array([0, 1, 2, -1])), [0, 0, 0, 0])


def test_errors_that_bridge_the_parts_are_refused():
    when = np.array([0, 0, 1, 1])
    tied = MarkovError(np.ones(4), np.ones(4), np.array(["a", "b", "a", "b"]), np.arange(4.0), 5.0)
    with pytest.raises(SolverError, match="correlated between one time step and another"):
        split_error(tied, when, "time step")
    parts = split_error(tied, tied.group, "station")
    assert [p[0] for p in parts] == ["a", "b"]
    np.testing.assert_allclose(parts[0][2].dense(), tied.dense()[::2, ::2])


def test_correlated_errors_inside_a_step_are_used():
    problem, step, when = chain()
    block = [
        np.exp(-np.abs(np.subtract.outer(i := np.arange((when == t).sum()), i))) for t in np.unique(when)
    ]
    tied = problem.with_(observation_error=BlockDiagonalCovariance([DenseCovariance(b) for b in block]))
    a, exact = solve_smoother(tied, step=step, lag=7), solve(tied, "dual")
    np.testing.assert_allclose(a.mean, exact.mean, atol=1e-10)
    assert a.log_evidence == pytest.approx(exact.log_evidence)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"lag": 0}, ConfigError, "a lag is one step or more, found 0"),
        ({"step": [0, 1]}, SolverError, r"step must have shape \(30,\), found \(2,\)"),
        (
            {"weights": np.ones((2, 3))},
            SolverError,
            r"weights must have shape \(totals, 30\), found \(2, 3\)",
        ),
    ],
)
def test_what_is_refused(change, error, text):
    problem, step, _ = chain()
    with pytest.raises(error, match=text):
        solve_smoother(problem, **({"step": step, "lag": 2} | change))


def test_a_lazy_jacobian_is_refused():
    import dask.array as da

    problem, step, _ = chain()
    lazy = problem.with_(jacobian=da.from_array(problem.jacobian.toarray(), chunks=10))
    with pytest.raises(SolverError, match="needs the Jacobian in memory"):
        solve_smoother(lazy, step=step, lag=2)
