"""The ensemble filter: exact where it must be, its sampling error where it may not, one list of observations."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from inversion import DenseCovariance, DiagonalCovariance, Problem, State, solve
from inversion.operators.observation_error import MarkovError
from inversion.problem.state import StateBlock
from inversion.solvers.letkf import analyse, solve_letkf
from inversion.solvers.localisation import Localisation, gaspari_cohn, state_columns
from inversion.solvers.members import prior_ensemble
from obsnet.errors import ConfigError, RangeError, SolverError
from obsnet.grid import Grid
from tests.inversion.cases import case


def places(c, radius, limit=None, seed=0):
    """Put the case's observations at its stations' cells; the state has one column a cell."""
    rng = np.random.default_rng(seed)
    site = rng.integers(0, c.lat.size, 12)[c.problem.groups["station"]]
    column = np.arange(c.problem.n_state) % c.lat.size
    return Localisation(column, c.lat, c.lon, c.lat[site], c.lon[site], radius, limit)


def by_hand(problem, x, near, column):
    """The textbook for one column: the same observations in full matrices, R divided by the weights."""
    obs, weight = near.neighbours(column)
    k = x.shape[1]
    y = (problem.jacobian @ x)[obs]
    r = np.diag(problem.observation_error.diagonal()[obs] / weight)
    c = y.T @ np.linalg.inv(r)
    inner = np.linalg.inv((k - 1) * np.eye(k) + c @ y)
    values, vectors = np.linalg.eigh((k - 1) * inner)
    root = vectors @ np.diag(np.sqrt(values)) @ vectors.T
    inside = near.column == column
    step = x[inside] @ inner @ c @ problem.innovation[obs]
    gain = x[inside] @ inner @ c
    h = problem.jacobian.toarray()[obs][:, inside]
    return problem.prior[inside] + step, x[inside] @ root, np.einsum("ij,ji->i", gain, h)


# --- the taper -------------------------------------------------------------------------------------------


def test_gaspari_cohn_has_the_values_of_the_paper():
    assert gaspari_cohn(0.0, 1000.0) == 1.0
    assert gaspari_cohn(500.0, 1000.0) == pytest.approx(5 / 24)  # at c: both branches
    assert gaspari_cohn(1000.0, 1000.0) == 0.0
    assert gaspari_cohn(250.0, 1000.0) == pytest.approx(1 - 5 / 12 + 5 / 64 + 1 / 32 - 1 / 128)
    assert gaspari_cohn(5000.0, 1000.0) == 0.0
    assert gaspari_cohn(5000.0, np.inf) == 1.0


@given(st.floats(1.0, 5000.0))
def test_gaspari_cohn_falls_and_is_smooth(radius):
    r = np.linspace(0.0, 1.2 * radius, 500)
    w = gaspari_cohn(r, radius)
    assert (np.diff(w) <= 1e-12).all()
    assert ((w >= 0) & (w <= 1)).all()
    assert np.abs(np.diff(w, 2)).max() < 1e-3  # no kink where the branches meet


def test_it_is_positive_definite_on_a_line():
    x = np.arange(60.0)
    assert np.linalg.eigvalsh(gaspari_cohn(np.abs(x[:, None] - x), 17.0))[0] > -1e-12


# --- neighbours ------------------------------------------------------------------------------------------


@given(
    st.floats(-90, 90),
    st.floats(-180, 180),
    st.floats(50, 15000),
    st.integers(0, 2**31),
)
def test_neighbours_are_those_within_the_great_circle(lat, lon, radius, seed):
    rng = np.random.default_rng(seed)
    y, x = np.rad2deg(np.arcsin(rng.uniform(-1, 1, 200))), rng.uniform(-180, 180, 200)
    obs, weight = Localisation([0], [lat], [lon], y, x, radius).neighbours(0)
    a, b, c = np.deg2rad(lat), np.deg2rad(y), np.deg2rad(x - lon)
    h = np.sin((a - b) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(c / 2) ** 2
    distance = 2 * 6371.0088 * np.arcsin(np.sqrt(np.clip(h, 0, 1)))
    expected = gaspari_cohn(distance, radius)
    far_from_edge = expected > 1e-9
    assert set(obs) >= set(np.flatnonzero(far_from_edge))
    np.testing.assert_allclose(weight, expected[obs], atol=1e-7)
    assert (np.diff(y[obs]) >= 0).all()


def test_a_limit_takes_the_nearest():
    y = np.array([0.0, 3.0, 1.0, 2.0, 1.0])
    near = Localisation([0], [0.0], [0.0], y, np.zeros(5), 5000.0, limit=3)
    assert set(near.neighbours(0)[0]) == {0, 2, 4}
    assert set(Localisation([0], [0.0], [0.0], y, np.zeros(5), 5000.0, limit=2).neighbours(0)[0]) == {0, 2}


def test_elements_without_a_place_see_everything():
    near = Localisation([0, -1], [0.0], [0.0], [0.0, 80.0], [0.0, 0.0], 100.0)
    obs, weight = near.neighbours(-1)
    np.testing.assert_array_equal(obs, [0, 1])
    np.testing.assert_array_equal(weight, [1.0, 1.0])
    np.testing.assert_array_equal(near.neighbours(0)[0], [0])


def test_columns_of_a_state():
    grid = Grid.regular(30.0, 32.0, 110.0, 113.0, 1.0, 1.0)
    flux = StateBlock("bio", "flux", ("time", "cell"), {"time": np.arange(2), "cell": np.arange(6)}, "x")
    side = StateBlock("boundary", "boundary", ("side",), {"side": np.array(["north"])}, "ppm")
    column, lat, lon = state_columns(State([flux, side]), grid)
    np.testing.assert_array_equal(column, [*range(6), *range(6), -1])
    assert lat[3], lon[3] == (31.5, 110.5)


# --- exactness -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["T", "S"])
def test_enough_members_are_exact(name):
    p = case(name).problem
    exact, a = solve(p, "dual"), solve_letkf(p, members=p.n_state + 1, seed=7)
    np.testing.assert_allclose(a.mean, exact.mean, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(a.variance(), exact.variance(), rtol=1e-9)
    g = case(name).regions
    np.testing.assert_allclose(a.aggregate(g).covariance, exact.aggregate(g).covariance, atol=1e-9)
    np.testing.assert_allclose(a.averaging_kernel(g), exact.averaging_kernel(g), atol=1e-9)
    assert a.dofs == pytest.approx(exact.dofs, rel=1e-10)
    assert a.chi_square == pytest.approx(exact.chi_square, rel=1e-10)
    assert a.log_evidence == pytest.approx(exact.log_evidence, rel=1e-10)
    np.testing.assert_allclose(a.influence, exact.influence, atol=1e-9)
    np.testing.assert_allclose(
        [g.chi_square for g in a.leave_out("station")], [g.chi_square for g in exact.leave_out("station")]
    )


def test_one_call_reaches_every_method():
    from inversion.solvers.choose import APART
    from inversion.solvers.gibbs import Hierarchical

    p = case("T").problem
    step = np.arange(60) // 20
    exact = solve(p)
    for method, options in {
        "letkf": {"members": 61},
        "smoother": {"step": step, "lag": 3},
        "ensemble_smoother": {"step": step, "lag": 3, "ahead": 3, "members": 61},
    }.items():
        np.testing.assert_allclose(solve(p, method, **options).mean, exact.mean, atol=1e-9)
    assert isinstance(solve(p, "gibbs", draws=20), Hierarchical)
    assert {"letkf", "smoother", "gibbs"} <= set(APART)
    with pytest.raises(ConfigError, match="unknown method 'letk'; nearest: 'letkf'"):
        solve(p, "letk")
    with pytest.raises(
        ConfigError,
        match=r"method 'smoother' \(solve_smoother\): missing a required (keyword-only )?argument: 'step'",
    ):
        solve(p, "smoother")


def test_a_full_radius_is_no_localisation():
    c = case("T")
    one = solve_letkf(c.problem, members=61)
    two = solve_letkf(c.problem, members=61, localisation=places(c, np.inf))
    np.testing.assert_allclose(two.mean, one.mean, atol=1e-11)
    np.testing.assert_allclose(two.variance(), one.variance(), rtol=1e-9)
    assert two.dofs == pytest.approx(one.dofs, rel=1e-9)


@pytest.mark.parametrize("limit", [None, 20])
def test_each_column_is_the_textbook_with_one_list_of_observations(limit):
    # A system that drew another subset for R than for y would fail here wherever the limit cuts.
    c = case("S")
    near = places(c, 1500.0, limit)
    x = prior_ensemble(c.problem.prior_error, 20, 3)
    a = solve_letkf(c.problem, ensemble=x, localisation=near)
    trace = 0.0
    for column in range(c.lat.size):
        mean, spread, kernel = by_hand(c.problem, x, near, column)
        inside = near.column == column
        np.testing.assert_allclose(a.mean[inside], mean, atol=1e-10)
        np.testing.assert_allclose(a.system.analysis[inside], spread, atol=1e-9)
        trace += kernel.sum()
    assert a.dofs == pytest.approx(trace, rel=1e-9)


def test_correlated_errors():
    c = case("T")
    n = c.problem.n_obs
    error = MarkovError(
        np.full(n, 0.4),
        np.full(n, 0.8),
        c.problem.groups["station"],
        c.time_of_obs + 0.01 * np.arange(n),
        3.0,
    )
    p = c.problem.with_(observation_error=error)
    exact = solve(p, "dual")
    a = solve_letkf(p, members=61)
    np.testing.assert_allclose(a.mean, exact.mean, atol=1e-10)
    np.testing.assert_allclose(a.variance(), exact.variance(), rtol=1e-9)
    np.testing.assert_allclose(a.influence, exact.influence, atol=1e-9)
    assert a.log_evidence == pytest.approx(exact.log_evidence, rel=1e-10)
    # localised: weights belong to the rows of the same observations
    near = places(c, 2500.0)
    dense = p.with_(observation_error=DenseCovariance(error.dense()))
    one, two = (solve_letkf(q, members=30, localisation=near) for q in (p, dense))
    np.testing.assert_allclose(one.mean, two.mean, atol=1e-10)
    free = DenseCovariance(np.diag(c.problem.observation_error.diagonal()))
    three = solve_letkf(p.with_(observation_error=free), members=30, localisation=near)
    four = solve_letkf(c.problem, members=30, localisation=near)
    np.testing.assert_allclose(three.mean, four.mean, atol=1e-10)
    np.testing.assert_allclose(three.variance(), four.variance(), rtol=1e-9)


def test_the_error_falls_as_one_over_the_root_of_the_members():
    p = case("T").problem
    exact = solve(p, "dual")
    counts = np.array([70, 140, 280, 560])
    error = [
        np.mean(
            [
                np.sqrt(np.mean((solve_letkf(p, members=k, seed=s, exact=False).mean - exact.mean) ** 2))
                for s in range(6)
            ]
        )
        for k in counts
    ]
    slope = np.polyfit(np.log(counts), np.log(error), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.08)


def test_few_members_without_localisation_are_over_confident_and_localisation_mends_it():
    c = case("M")
    p = c.problem
    site = np.random.default_rng(3).integers(0, c.lat.size, 12)  # where the case puts its stations
    at = site[p.groups["station"]]
    column = np.arange(p.n_state) % c.lat.size
    near = Localisation(column, c.lat, c.lon, c.lat[at], c.lon[at], 1000.0)
    bare, local = (solve_letkf(p, members=40, localisation=one) for one in (None, near))
    square = [(a.mean - c.truth) ** 2 for a in (bare, local)]
    prior = np.mean((p.prior - c.truth) ** 2)
    assert square[0].mean() > prior > 1.1 * square[1].mean()  # without it worse than knowing nothing
    claimed = [np.mean(e / a.variance()) for e, a in zip(square, (bare, local), strict=True)]
    assert claimed[0] > 500.0
    assert claimed[1] < 10.0
    assert bare.dofs < 39  # never more than members allow
    assert local.dofs > 100


# --- reproducibility -------------------------------------------------------------------------------------


def test_the_same_bits_for_any_number_of_threads_and_any_partition():
    c = case("S")
    near = places(c, 1500.0)
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = solve_letkf(c.problem, members=24, localisation=near)
    finally:
        numba.set_num_threads(threads)
    two = solve_letkf(c.problem, members=24, localisation=near)
    np.testing.assert_array_equal(one.mean, two.mean)
    np.testing.assert_array_equal(one.system.analysis, two.system.analysis)
    # a part of the state at a time, as a job array would
    x = prior_ensemble(c.problem.prior_error, 24, 0)
    mean, parts = np.array(c.problem.prior), x.copy()
    for rows in np.array_split(np.arange(c.problem.n_state), 7):
        fresh_mean, fresh = np.array(c.problem.prior), x.copy()
        analyse(c.problem, fresh_mean, fresh, near, open_rows=rows)
        mean[rows], parts[rows] = fresh_mean[rows], fresh[rows]
    np.testing.assert_array_equal(mean, one.mean)
    np.testing.assert_array_equal(parts, one.system.analysis)


def test_members_are_counted_not_streamed():
    error = case("T").problem.prior_error
    a, b = prior_ensemble(error, 10, 5, exact=False), prior_ensemble(error, 20, 5, exact=False)
    # up to the mean that was taken off, the first members are the same
    np.testing.assert_allclose(np.diff(a, axis=1), np.diff(b[:, :10], axis=1), atol=1e-12)
    np.testing.assert_allclose(b.sum(axis=1), 0.0, atol=1e-12)
    assert not np.allclose(prior_ensemble(error, 10, 6, exact=False), a)


def test_an_exact_ensemble_holds_the_prior():
    error = case("T").problem.prior_error
    x = prior_ensemble(error, 70, 1)
    np.testing.assert_allclose(x @ x.T / 69, error.dense(), atol=1e-12)
    np.testing.assert_allclose(x.sum(axis=1), 0.0, atol=1e-11)
    with pytest.raises(ConfigError, match="60 members cannot hold a prior of rank 60; take 61"):
        prior_ensemble(error, 60, 1, exact=True)


# --- inflation, relaxation, unseen, refused --------------------------------------------------------------


def test_inflation_is_a_larger_prior():
    p = case("T").problem
    a = solve_letkf(p, members=61, inflation=1.7)
    b = solve(p.with_(prior_error=p.prior_error.scaled(1.7)), "dual")
    np.testing.assert_allclose(a.mean, b.mean, atol=1e-10)
    np.testing.assert_allclose(a.variance(), b.variance(), rtol=1e-9)


@pytest.mark.parametrize("correlated", [False, True])
def test_relaxation_gives_spread_back(correlated):
    p = case("T").problem
    if correlated:
        p = p.with_(observation_error=DenseCovariance(np.diag(p.observation_error.diagonal())))
    plain, half, full = (solve_letkf(p, members=61, relaxation=r) for r in (0.0, 0.5, 1.0))
    np.testing.assert_array_equal(half.mean, plain.mean)
    before, after = np.sqrt(p.prior_error.diagonal()), np.sqrt(plain.variance())
    np.testing.assert_allclose(np.sqrt(half.variance()), 0.5 * (before + after), rtol=1e-9)
    np.testing.assert_allclose(np.sqrt(full.variance()), before, rtol=1e-9)


def test_a_column_out_of_reach_keeps_its_prior():
    p = Problem(
        sp.csr_array(np.ones((3, 2))), [1.0, 2.0, 3.0], np.ones(3), [0.0, 5.0], DiagonalCovariance([1.0, 1.0])
    )
    near = Localisation([0, 1], [0.0, 50.0], [0.0, 0.0], np.zeros(3), np.zeros(3), 1000.0)
    a = solve_letkf(p, members=8, localisation=near)
    x = prior_ensemble(p.prior_error, 8, 0)
    assert a.mean[1] == 5.0
    np.testing.assert_array_equal(a.system.analysis[1], x[1])
    assert a.mean[0] != 0.0


def test_a_localised_answer_says_what_it_does_not_know():
    c = case("T")
    a = solve_letkf(c.problem, members=20, localisation=places(c, 1000.0))
    for ask in ("chi_square", "influence", "log_evidence"):
        with pytest.raises(SolverError, match="no single innovation covariance"):
            getattr(a, ask)
    assert a.aggregate(c.regions).covariance.shape == (31, 31)
    dense = c.problem.with_(jacobian=c.problem.jacobian.toarray())
    b = solve_letkf(dense, members=20, localisation=places(c, 1000.0))
    np.testing.assert_allclose(b.mean, a.mean, atol=1e-12)
    with pytest.raises(SolverError, match="need a sparse Jacobian"):
        _ = b.dofs


def test_a_lazy_jacobian():
    import dask.array as da

    p = case("T").problem
    lazy = p.with_(jacobian=da.from_array(p.jacobian.toarray(), chunks=(7, 60)))
    np.testing.assert_allclose(
        solve_letkf(lazy, members=61).mean, solve_letkf(p, members=61).mean, atol=1e-12
    )


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"inflation": 0.9}, ConfigError, "inflation is 1 or more"),
        ({"relaxation": 1.2}, ConfigError, "relaxation within 0 and 1, found 1 and 1.2"),
        ({"members": 1}, ConfigError, "two members or more, found 1"),
        ({"ensemble": np.ones((3, 4))}, SolverError, r"shape \(60, members\), found \(3, 4\)"),
        ({"ensemble": np.full((60, 4), np.nan)}, SolverError, "240 values that are not finite"),
        (
            {"localisation": Localisation([0], [0.0], [0.0], [0.0], [0.0], 1.0)},
            SolverError,
            "localisation is of 1 state elements and 1 observations, the problem has 60 and 40",
        ),
    ],
)
def test_what_is_refused(change, error, text):
    with pytest.raises(error, match=text):
        solve_letkf(case("T").problem, **change)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"radius_km": 0.0}, RangeError, "radius is positive"),
        ({"limit": 0}, RangeError, "limit = 0"),
        (
            {"obs_lat": [np.nan, 1.0]},
            RangeError,
            "obs_lat has 1 values that are not finite, first at entry 0",
        ),
        ({"column": [0, 3]}, SolverError, "columns 0 to 3, positions are given for 1"),
        ({"lat": [0.0, 1.0]}, SolverError, "differ in number"),
    ],
)
def test_localisations_that_are_refused(change, error, text):
    base = {"column": [0], "lat": [0.0], "lon": [0.0], "obs_lat": [0.0, 1.0], "obs_lon": [0.0, 0.0]}
    with pytest.raises(error, match=text):
        Localisation(**(base | {"radius_km": 100.0} | change))
