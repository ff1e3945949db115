"""Rows that do not fit are found, right ones are left, biased sources are told; all of it is listed."""

from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from inversion.case.checks.attenuation import diluted_score
from inversion.case.checks.remarks import add_checks, screening_lines
from inversion.case.checks.screening import departures, screen
from inversion.case.options import ScreenOptions
from inversion.errors.source_bias import source_offsets
from inversion.problem.totals import region_totals
from inversion.solvers.choose import solve
from obsnet.config import validate
from obsnet.errors import ConfigError
from tests.inversion.world import APART, make_world, options


@pytest.fixture(scope="module")
def made():
    """A problem whose observations are drawn from the prior and the errors it states."""
    return make_world(n=90).assemble(options(boundary={"background": 410.0, "sigma": 0.5, "step": "3D"}))


def exact(problem):
    return solve(problem, method="dual")


def drawn(made, seed=0, **wrong):
    """Return the problem with observations of a drawn truth; `wrong` adds to rows by number."""
    rng = np.random.default_rng(seed)
    problem = made.problem
    x = (
        problem.prior + problem.prior_error.sample(rng, 1)[:, 0]
        if hasattr(problem.prior_error, "sample")
        else None
    )
    if x is None:
        dense = problem.prior_error.matmul(np.eye(problem.n_state))
        values, vectors = np.linalg.eigh(dense)
        x = problem.prior + vectors @ (np.sqrt(np.maximum(values, 0)) * rng.standard_normal(problem.n_state))
    noise = np.linalg.cholesky(problem.observation_error.dense()) @ rng.standard_normal(problem.n_obs)
    y = problem.simulate(x) + noise
    for row, amount in wrong.get("rows", {}).items():
        y[row] += amount
    for source, amount in wrong.get("sources", {}).items():
        y[problem.labels("source") == source] += amount
    table = made.observations.set_column(
        made.observations.schema.get_field_index("value"), "value", pa.array(y)
    )
    return replace(made, problem=problem.with_(observations=y), observations=table)


def test_departures_are_those_of_solving_without_each_row(made):
    now = drawn(made)
    residual, deviations = departures(solve(now.problem, method="dual"))
    for k in (0, 17, 60):
        rest = np.arange(now.problem.n_obs) != k
        without = solve(now.problem.select(rest), method="dual")
        alone = now.problem.select(~rest)
        expected = float((alone.observations - alone.simulate(without.mean))[0])
        h = np.asarray(alone.jacobian.toarray())
        spread = np.sqrt(float((h @ without.covariance(h.T))[0, 0]) + alone.observation_error.diagonal()[0])
        assert residual[k] == pytest.approx(expected, rel=1e-8)
        assert deviations[k] == pytest.approx(expected / spread, rel=1e-8)


def test_departures_are_standard_normal(made):
    z = np.concatenate([departures(solve(drawn(made, seed).problem, method="dual"))[1] for seed in range(40)])
    assert np.mean(z) == pytest.approx(0.0, abs=0.05)
    assert np.std(z) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("rule", ["iterative", "huber"])
def test_one_wrong_row_is_found_and_the_answer_is_that_without_it(made, rule):
    bad = drawn(made, 1, rows={7: 80.0})
    good = solve(drawn(made, 1).problem.select(np.arange(90) != 7), method="dual")
    assert solve(bad.problem, method="dual").chi_square > 20
    found = screen(
        ScreenOptions(rule=rule, limit=4.0 if rule == "iterative" else 2.0),
        bad,
        exact,
    )
    after = solve(found.made.problem, method="dual")
    assert bad.problem.obs_id[7] in found.table["obs_id"].to_pylist()
    # Huber's cost of a far row is linear: it is held loosely, not made to fit
    assert after.chi_square == pytest.approx(1.0, abs=0.5) if rule == "iterative" else after.chi_square < 4.0
    spread = np.sqrt(np.maximum(good.variance(), 0))
    away = (after.mean - good.mean) / spread
    assert np.abs(away).max() < (1e-6 if rule == "iterative" else 1.0)
    if rule == "iterative":
        assert found.table["factor"].to_pylist() == [np.inf]
        assert found.table["departure"][0].as_py() == pytest.approx(80.0, abs=5.0)
        assert found.made.counts["screened"] == 1


def test_a_bad_row_does_not_take_its_neighbours_with_it(made):
    for seed in range(5):
        found = screen(ScreenOptions(), drawn(made, seed, rows={3: 30.0, 40: -30.0}), exact)
        assert set(found.table["obs_id"].to_pylist()) == {"test:003", "test:040"}


def test_sampled_predictions_reject_nothing(made):
    """An `auto` that takes cg would reject rows by a diagonal of 32 random vectors."""
    with pytest.raises(ConfigError, match=r"rule 'iterative' needs a factorisation.*method 'cg'"):
        screen(ScreenOptions(), drawn(made, 1), lambda problem: solve(problem, method="cg"))
    found = screen(
        ScreenOptions(rule="huber", limit=2.0, most=1.0),
        drawn(made, 1, rows={7: 80.0}),
        lambda p: solve(p, "cg"),
    )
    assert made.problem.obs_id[7] in found.table["obs_id"].to_pylist()


def test_right_rows_are_left(made):
    touched = [len(screen(ScreenOptions(), drawn(made, seed), exact).table) for seed in range(20)]
    # 1800 rows beyond four standard deviations: 0.11 expected
    assert sum(touched) <= 2


def test_a_limit_in_the_unit_of_the_observations(made):
    found = screen(ScreenOptions(rule="none", largest=50.0), drawn(made, 1, rows={7: 80.0}), lambda p: 1 / 0)
    assert found.table["obs_id"].to_pylist() == ["test:007"]
    assert found.made.problem.n_obs == 89
    with pytest.raises(ConfigError, match="screens nothing without largest"):
        validate(ScreenOptions, {"rule": "none"})


def test_errors_that_are_too_small_are_refused_not_screened(made):
    problem = made.problem
    small = replace(
        made, errors=replace(made.errors, own=made.errors.own * 0.01, model=made.errors.model * 0.1)
    )
    small = replace(small, problem=problem.with_(observation_error=small.errors.covariance()))
    wrong = drawn(made, 2)
    small = replace(
        small,
        problem=small.problem.with_(observations=wrong.problem.observations),
        observations=wrong.observations,
    )
    with pytest.raises(ConfigError, match=r"more than most = 0.1: its errors in \[invert.error\]"):
        screen(ScreenOptions(limit=3.0), small, exact)


def test_lines_count_by_source_and_name_rows(made):
    found = screen(ScreenOptions(), drawn(made, 1, rows={7: 80.0}), exact)
    lines = screening_lines(found.table)
    assert lines[0] == "screening: test_point: 1 rejected, 0 held less firmly"
    assert lines[1].startswith("screening: test:007 is +")
    assert screening_lines(found.table.slice(0, 0)) == ["screening: nothing rejected"]


def test_offsets_of_sources_are_calibrated_and_found(made):
    z = np.array(
        [
            [o.deviations for o in source_offsets(solve(drawn(made, s).problem, method="dual"))]
            for s in range(400)
        ]
    )
    assert np.abs(z.mean(axis=0)).max() < 0.3
    assert np.std(z) == pytest.approx(1.0, abs=0.1)
    found = {}
    for seed in range(10):
        for o in source_offsets(
            solve(drawn(made, seed, sources={"test_column": 3.0}).problem, method="dual")
        ):
            found.setdefault(o.source, []).append((o.offset, o.uncertainty, o.p_adjusted))
    offset, sd, p = np.array(found["test_column"]).T
    assert np.mean(offset) == pytest.approx(3.0, abs=4 * sd[0] / np.sqrt(10))
    assert np.median(p) < 0.001


def test_an_offset_that_is_solved_is_no_bias(made):
    free = make_world(n=90).assemble(options(offset={"sigma": {"test_column": 5.0}}))
    found = {
        o.source: o
        for o in source_offsets(solve(drawn(free, 3, sources={"test_column": 3.0}).problem, method="dual"))
    }
    assert found["test_column"].p_adjusted > 0.01


def test_remarks_travel_with_the_posterior(made):
    import xarray as xr

    bad = drawn(made, 1, rows={7: 80.0}, sources={"test_column": 5.0})
    posterior = solve(bad.problem, method="dual")
    data = xr.Dataset(
        {
            "source": ("source", ["test_column", "test_point"]),
            "source_bias_prior": ("source", [0.0, 0.0], {"units": "1e-6"}),
        }
    )
    totals = region_totals(posterior, make_world(n=90).weights(bad))
    twice = "the same air counts twice: x"
    remarks = add_checks(data, bad, posterior, totals, allowed=[twice], screened=None, options=None)
    assert remarks[0].startswith("the same air")
    assert any(r.startswith("test_column: its 30 observations are +") for r in remarks)
    assert any("test:007" in r and "[invert.screen]" in r for r in remarks)
    assert data.attrs["checks"].splitlines() == remarks
    assert data["source_offset"].attrs["units"] == "1e-6"
    fluxes = posterior.mean[bad.problem.state.span("fossil")]
    said = [r for r in remarks if r.startswith("fossil: ")]
    assert said == [] or f"fossil: {(fluxes < 0).sum()} of {fluxes.size} cells are negative" in said[0]
    assert bool(said) == bool((fluxes < 0).any())
    assert not any(r.startswith("biosphere") for r in remarks)  # it may be negative


def test_noise_in_the_footprints_is_no_offset():
    """Footprints with noise of the size they state, truths from the prior: scores are as often off as stated."""
    world = make_world(n=90)
    matrix = sp.csr_array(world.jacobian.matrix)
    share = 0.35
    stderr = matrix.copy()
    stderr.data = share * stderr.data
    clean = world.assemble(
        options(error={"point": 0.8, "column": 0.5, "monte_carlo": False, **APART})
    ).problem
    root = np.linalg.cholesky(clean.observation_error.dense())
    z, taken = [], []
    for seed in range(300):
        rng = np.random.default_rng([71, seed])
        noisy = matrix.copy()
        noisy.data = noisy.data * (1.0 + share * rng.standard_normal(noisy.nnz))
        jacobian = replace(world.jacobian, matrix=noisy, stderr=stderr)
        made = replace(world, jacobian=jacobian).assemble(options())
        truth = clean.prior + clean.prior_error.factor(rng.standard_normal(clean.prior_error.factor_size))
        error = root @ rng.standard_normal(clean.n_obs)
        problem = made.problem.with_(observations=clean.simulate(truth) + error)
        posterior = solve(problem, method="dual")
        diluted = partial(diluted_score, made, posterior, inverse=posterior.system.solve_diagonal())
        found = source_offsets(posterior, diluted=diluted)
        z.append([o.deviations for o in found])
        taken.append([o.diluted / o.uncertainty for o in found])
    z, taken = np.array(z), np.array(taken)
    error = z.std(axis=0) / np.sqrt(len(z))
    assert (np.abs(taken.mean(axis=0)) > 6 * error).any()  # without the correction it would show
    assert (np.abs(z.mean(axis=0)) < 3.5 * error + 0.1 * np.abs(taken.mean(axis=0))).all()
