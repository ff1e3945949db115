"""Ensembles from a case file to crosscheck: the contract, the exact answer for many members, what is cut, refusals."""

import tomllib
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from inversion.case.assemble import Assembled
from inversion.case.options import InvertOptions
from inversion.case.run import run_invert
from inversion.case.solving.by_method import SOLVERS
from inversion.case.solving.members import open_steps
from inversion.operators.covariance import DenseCovariance
from inversion.problem.posterior import Posterior
from inversion.problem.totals import Totals, region_totals
from inversion.solvers.choose import solve
from inversion.solvers.ensemble import EnsembleGain
from inversion.solvers.letkf import solve_letkf
from inversion.solvers.localisation import Localisation, state_columns
from obsnet.cf import read_netcdf
from obsnet.config import validate
from obsnet.crosscheck.compared.quantity import Sums
from obsnet.crosscheck.rules.verdict import Rule
from obsnet.crosscheck.verdicts.table import Choices, compare, read_totals
from obsnet.errors import ConfigError
from tests.inversion.case.solving.test_estimate import drawn
from tests.inversion.case.test_files import CASE, case  # noqa: F401
from tests.inversion.world import GRID, make_world
from tests.inversion.world import options as world_options

METHODS = ["letkf", "ensemble_smoother"]


def options(**changes):
    plain = tomllib.loads(CASE)["invert"] | {"page": False, "restart": False}
    return validate(InvertOptions, plain | changes, "[invert]")


class Solved(NamedTuple):
    """The world of the tests, solved in memory."""

    made: Assembled
    posterior: Posterior
    totals: Totals
    lines: list


def early(world):
    """The world with every second observation made before the fourth day, so that there is a first step to learn in."""
    late = np.arange(60)[:, None] % 2 == 1
    kept = late | (np.arange(6 * GRID.size) // GRID.size < 3)
    air = world.jacobian.boundary.toarray() * (late | (np.arange(36) % 6 < 3))  # sides, then days
    air[air.sum(axis=1) == 0.0, 0] = 1.0
    jacobian = replace(
        world.jacobian,
        matrix=sp.csr_array(world.jacobian.matrix.multiply(kept)),
        stderr=sp.csr_array(world.jacobian.stderr.multiply(kept)),
        boundary=sp.csr_array(air / air.sum(axis=1, keepdims=True)),
    )
    return replace(world, jacobian=jacobian)


def solved(method="auto", **table):
    choice = world_options(method=method, **({method: table} if table else {}))
    world = drawn(early(make_world()), choice, seed=1)
    made, lines = world.assemble(choice), []
    weights = world.weights(made)
    posterior = (
        SOLVERS[method](choice, made, weights.weights, lines.append)
        if method in SOLVERS
        else solve(made.problem)
    )
    return Solved(made, posterior, region_totals(posterior, weights), lines)


DRAWS = 4000
NOISE = 4 * np.sqrt(0.05 * 0.95 / DRAWS)


def called_wrong(found, problem):
    """Rates at which right inventories of a and b are called wrong at 5 %: truths and errors drawn from a problem."""
    rng, error, prior = np.random.default_rng(5), problem.observation_error, problem.prior_error
    g, totals = found.totals.weights.weights, found.totals
    x = prior.factor(rng.standard_normal((prior.factor_size, DRAWS)))
    e = error.factor(rng.standard_normal((error.factor_size, DRAWS)))
    truth, answer = g @ x, g @ found.posterior.gain(problem.forward(x) + e)
    own = np.flatnonzero(totals.weights.sector_of == 0)
    kernel, c = totals.kernel[np.ix_(own, own)], totals.prior.covariance[np.ix_(own, own)]
    rates = []
    for k in range(2):
        a = kernel[k, k]
        y = kernel[k] - a * np.eye(own.size)[k]
        d = answer[own[k]] - a * truth[own[k]]
        rates.append(np.mean(np.abs(d) > 1.96 * np.sqrt(totals.test[own[k], own[k]] + y @ c @ y)))
    return rates


def verdicts(path):
    rows = pd.DataFrame(
        {
            "region": ["a", "b"],
            "period": "2019-01-01/2019-01-06",
            "gas": "CO2",
            "value": 1.0,
            "unit": "Mt yr-1",
            "uncertainty": 0.1,
        }
    )
    # the observations of the files scatter less than stated
    choices = Choices(chi_square=(0.1, 2.0), sums=Sums(merge="no"))
    return compare(read_totals(path, "fossil"), rows, rule=Rule(detectable=99.0), choices=choices)


@pytest.fixture(scope="module")
def exact(case, tmp_path_factory):  # noqa: F811
    out = tmp_path_factory.mktemp("exact")
    return read_netcdf(run_invert(options(), case, out)[0][0])


@pytest.mark.parametrize("method", METHODS)
def test_many_members_are_the_exact_solver_and_crosscheck_reads_them(case, exact, tmp_path, method):  # noqa: F811
    lines = []
    members = 130
    written, _ = run_invert(
        options(method=method, **{method: {"members": members}}), case, tmp_path, lines.append
    )
    data = read_netcdf(written[0])
    assert set(exact.data_vars) == set(data.data_vars)
    assert data.attrs["no_verdict"] == ""
    assert any("130 members of seed 0" in line and "no localisation" in line for line in lines)
    # as many members as the prior has dimensions hold it exactly
    np.testing.assert_allclose(data["region_total"], exact["region_total"], rtol=1e-6)
    np.testing.assert_allclose(
        data["region_total_uncertainty"], exact["region_total_uncertainty"], rtol=1e-6, atol=1e-6
    )
    for name in ("total_test_covariance", "total_averaging_kernel", "total_prior_covariance"):
        size = np.abs(exact[name].values).max()
        np.testing.assert_allclose(data[name].values, exact[name].values, atol=1e-6 * size)
    assert float(data.attrs["chi_square"]) == pytest.approx(float(exact.attrs["chi_square"]), rel=1e-9)
    assert data["state_dofs"].values.sum() == pytest.approx(exact["state_dofs"].values.sum(), rel=1e-6)
    assert data["source_dofs"].values.sum() == pytest.approx(exact["state_dofs"].values.sum(), rel=1e-6)
    table = verdicts(written[0])
    assert set(table["verdict"]) <= {"inconsistent", "consistent", "not decided"}


@pytest.mark.parametrize("method", METHODS)
def test_fewer_members_agree_within_their_sampling_error(method):
    """Over seeds the mean of totals nears the exact one as members grow, and so does their spread."""
    known = solved().totals.posterior
    sd = np.sqrt(np.diagonal(known.covariance))
    away, ratio = {}, {}
    for members in (25, 100):
        drawn = [solved(method, members=members, seed=seed).totals.posterior for seed in range(8)]
        away[members] = float(np.sqrt(np.mean([((d.mean - known.mean) / sd) ** 2 for d in drawn])))
        ratio[members] = float(np.mean([np.sqrt(np.diagonal(d.covariance)) / sd for d in drawn]))
    assert away[100] < min(0.8 * away[25], 0.45)
    assert abs(ratio[100] - 1.0) < abs(ratio[25] - 1.0) < 0.5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("table", [{"members": 30}, {"members": 30, "radius_km": 500.0, "inflation": 1.1}])
def test_the_gain_is_what_moved_the_mean(method, table):
    """Totals are the prior's plus the gain's rows times the innovation; forward and transposed are one matrix."""
    extra = {"lag": 1, "ahead": 0} if method == "ensemble_smoother" else {"relaxation": 0.3}
    found = solved(method, **table, **extra)
    posterior, problem = found.posterior, found.made.problem
    moved = posterior.mean - problem.prior
    size = np.abs(moved).max()
    assert size > 0
    np.testing.assert_allclose(posterior.gain(problem.innovation), moved, rtol=1e-8, atol=1e-10 * size)
    whole = posterior.gain(np.eye(problem.n_obs))
    g = found.totals.weights.weights
    rows = g @ whole
    np.testing.assert_allclose(posterior.gain_rows(g), rows, rtol=1e-8, atol=1e-9 * np.abs(rows).max())
    # Joseph's form written out
    b, r = problem.prior_error.dense(), problem.observation_error.dense()
    left = np.eye(problem.n_state) - whole @ problem.jacobian.toarray()
    p = left @ b @ left.T + whole @ r @ whole.T
    dense = g.toarray()
    np.testing.assert_allclose(posterior.true_error(g), dense @ p @ dense.T, rtol=1e-6)
    size = np.abs(p @ dense.T).max()
    np.testing.assert_allclose(posterior.covariance(dense.T), p @ dense.T, rtol=1e-6, atol=1e-9 * size)
    assert posterior.dofs == pytest.approx(np.trace(problem.jacobian @ whole), rel=1e-9)
    assert sum(posterior.dofs_by_block().values()) == pytest.approx(posterior.dofs)
    np.testing.assert_allclose(posterior.influence, np.diagonal(problem.jacobian @ whole), atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("table", [{"members": 12}, {"members": 12, "radius_km": 300.0}, {"members": 80}])
def test_false_alarms_are_at_their_rate_however_few_the_members(method, table):
    """Truths drawn from the prior, observed, moved by the gain: the test's variance is that of the difference."""
    extra = {"lag": 1, "ahead": 0} if method == "ensemble_smoother" else {}
    found = solved(method, **table, **extra)
    assert called_wrong(found, found.made.problem) == pytest.approx([0.05, 0.05], abs=NOISE)


def test_what_localisation_and_closing_cut_is_counted():
    shares = {}
    for radius in (150.0, 600.0, 1e5):
        found = solved("letkf", members=40, radius_km=radius)
        shares[radius] = found.posterior.stopping["cut_sensitivity"]
        said = f"localised to {radius:g} km, which cuts {shares[radius]:.1%}"
        assert any(said in line for line in found.lines)
    assert 0.5 < shares[150.0] < 1.0
    assert shares[150.0] > shares[600.0] > shares[1e5]
    assert shares[1e5] < 1e-3
    found = solved("ensemble_smoother", members=40, lag=1, ahead=0)
    assert 0.0 < found.posterior.stopping["closed_sensitivity"] < 0.5
    assert any("was closed when they came" in line for line in found.lines)
    assert solved("ensemble_smoother", members=40).posterior.stopping["closed_sensitivity"] == 0.0


def test_steps_follow_the_bins():
    """What spans the whole time is open from the first step to the last; a bin of the inflow is open in its own."""
    sector = {"fossil": {"relative": 0.3, "step": "all"}, "biosphere": {"sigma": 3e-7, "step": "2D"}}
    boundary = {"background": 410.0, "sigma": 0.5, "step": "3D"}
    made = make_world().assemble(world_options(sector=sector, boundary=boundary))
    first, last, count = open_steps(made)
    state = made.problem.state
    assert count == 3
    np.testing.assert_array_equal(first[state.span("fossil")], 0)
    np.testing.assert_array_equal(last[state.span("fossil")], 2)
    np.testing.assert_array_equal(np.unique(first[state.span("biosphere")]), [0, 1, 2])
    np.testing.assert_array_equal(first[state.span("biosphere")], last[state.span("biosphere")])
    inflow = first[state.span("boundary")].reshape(6, 2), last[state.span("boundary")].reshape(6, 2)
    np.testing.assert_array_equal(inflow[0][0], [0, 1])  # 3 days of bins of 2: the middle one is in both
    np.testing.assert_array_equal(inflow[1][0], [1, 2])


def test_errors_that_observations_share_are_in_the_gain_and_refused_between_steps():
    made = solved().made
    rng = np.random.default_rng(4)
    common = rng.standard_normal((60, 2))
    error = DenseCovariance(np.diag(rng.uniform(0.3, 0.6, 60)) + 0.2 * common @ common.T, "R")
    problem, record = made.problem.with_(observation_error=error), []
    column, lat, lon = state_columns(problem.state, GRID)
    near = Localisation(column, lat, lon, rng.uniform(30, 34, 60), rng.uniform(110, 116, 60), 400.0, limit=30)
    found = solve_letkf(problem, members=20, localisation=near, record=record)
    gain = EnsembleGain(record, problem.n_obs, problem.n_state)
    moved = found.mean - problem.prior
    np.testing.assert_allclose(
        gain.forward(problem.innovation[:, None])[:, 0], moved, rtol=1e-7, atol=1e-9 * np.abs(moved).max()
    )
    left = rng.standard_normal((problem.n_state, 3))
    np.testing.assert_allclose(gain.transposed(left), gain.forward(np.eye(60)).T @ left, rtol=1e-7, atol=1e-9)
    shared = replace(made, problem=problem)
    with pytest.raises(
        ConfigError, match=r"correlated between one time step and another.*correlation_hours = 0"
    ):
        SOLVERS["ensemble_smoother"](world_options(method="ensemble_smoother"), shared, None, print)


@pytest.mark.parametrize("method", METHODS)
def test_too_few_members_have_no_verdict(case, tmp_path, method):  # noqa: F811
    lines = []
    written, _ = run_invert(options(method=method, **{method: {"members": 10}}), case, tmp_path, lines.append)
    (line,) = [line for line in lines if line.startswith("no verdict: ")]
    assert "10 members cannot hold the" in line
    table = verdicts(written[0])
    assert set(table["verdict"]) == {"not testable"}
    assert table["reason"].str.contains("10 members cannot hold").all()
    assert table["reason_zh"].str.contains("不能用于判定").all()
    assert "the members' spread is 0." in read_netcdf(written[0]).attrs["checks"]


def test_tables_that_do_not_fit_are_one_line(case, tmp_path):  # noqa: F811
    for method in METHODS:
        with pytest.raises(
            ConfigError, match=rf"method {method} solves cells; \[invert.basis\] goes with auto"
        ):
            options(method=method, basis={"kind": "quadtree"})
    with pytest.raises(ConfigError, match="nearest = … chooses among observations near a cell"):
        solved("letkf", nearest=5)
    lines = []
    run_invert(options(letkf={"members": 5}), case, tmp_path, lines.append)
    assert "[invert.letkf] is not used by method auto" in lines
