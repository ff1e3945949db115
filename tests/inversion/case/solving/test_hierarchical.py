"""Sizes of errors drawn with the fluxes, from a case file: where sd has to be wider, what a test knows, refusals."""

import json

import numpy as np
import pytest

from inversion.case.run import run_invert
from inversion.operators.covariance import DenseCovariance
from inversion.problem.totals import region_totals
from inversion.solvers.averaged import averaged, mean_problem
from inversion.solvers.choose import solve
from inversion.solvers.gibbs import solve_gibbs
from obsnet.cf import read_netcdf
from obsnet.errors import SolverError
from tests.inversion.case.solving.test_members import options, solved, verdicts
from tests.inversion.case.test_files import case  # noqa: F401
from tests.inversion.world import make_world

TABLE = {"spread": 0.5, "draws": 1200, "chains": 2, "least": 100.0}


def sd(covariance):
    return np.sqrt(np.diagonal(covariance))


@pytest.fixture(scope="module")
def found():
    return solved("hierarchical", **TABLE)


def test_totals_are_within_and_between_the_draws(found):
    """By hand from single draws: the law of total variance, and the mean of the problems of these draws."""
    sizes = found.posterior.sizes
    g = found.totals.weights.weights
    theta = sizes.draws.reshape(-1, len(sizes.names))
    means, within = [], []
    problem = found.made.problem
    for factor in theta[:: len(theta) // 60]:
        blocks = [b.scaled(f**2) for b, f in zip(problem.prior_error.blocks, factor, strict=False)]
        one = problem.with_(
            prior_error=type(problem.prior_error)(blocks),
            observation_error=problem.observation_error.scaled(factor[-1] ** 2),
        )
        total = solve(one, method="primal").aggregate(g)
        means.append(total.mean)
        within.append(total.covariance)
    whole = np.mean(within, axis=0) + np.cov(np.array(means).T)
    np.testing.assert_allclose(
        found.totals.posterior.mean, np.mean(means, axis=0), atol=0.3 * sd(whole).max()
    )
    np.testing.assert_allclose(sd(found.totals.posterior.covariance), sd(whole), rtol=0.15)


def test_it_is_wider_than_the_sizes_it_averages(found):
    """Plug-in of the draws' mean squares: the averaged answer has what the draws disagree on besides."""
    plain = solve(found.posterior.problem, method="dual")
    g = found.totals.weights.weights
    between = found.posterior.sizes.between(g)
    assert (np.diagonal(between) > 0).all()
    made = region_totals(plain, found.totals.weights)
    same = found.totals.weights.sector_of[:, None] == found.totals.weights.sector_of
    np.testing.assert_allclose(
        found.totals.test, made.test + np.where(same, between, 0.0), rtol=1e-8, atol=1e-9 * made.test.max()
    )
    np.testing.assert_allclose(found.totals.kernel, made.kernel, atol=1e-9)


def test_the_mean_problem_has_the_mean_squares():
    made = make_world(n=40).assemble()
    sizes = solve_gibbs(made.problem, errors_by="kind", spread=0.5, draws=60, chains=2)
    mean = mean_problem(sizes, "kind")
    squares = dict(zip(sizes.names, np.mean(sizes.draws.reshape(-1, 5) ** 2, axis=0), strict=True))
    kind, ratio = made.problem.labels("kind"), mean.observation_error.diagonal()
    ratio = ratio / made.problem.observation_error.diagonal()
    for name in ("column", "point"):
        np.testing.assert_allclose(ratio[kind == name], squares[f"error {name}"])
    span = made.problem.state.span("fossil")
    np.testing.assert_allclose(
        mean.prior_error.diagonal()[span],
        squares["prior fossil"] * made.problem.prior_error.diagonal()[span],
    )
    # errors with a memory keep it
    dense = made.problem.with_(observation_error=DenseCovariance(made.problem.observation_error.dense(), "R"))
    other = mean_problem(solve_gibbs(dense, spread=0.5, draws=60, chains=2), None)
    assert averaged(solve_gibbs(dense, spread=0.5, draws=60, chains=2)).chi_square > 0
    assert other.observation_error.solve(np.ones(40)).shape == (40,)


def test_from_the_case_file_to_a_verdict(case, tmp_path):  # noqa: F811
    lines = []
    table = {"method": "hierarchical", "hierarchical": TABLE | {"errors_by": "kind"}}
    written, _ = run_invert(options(**table), case, tmp_path, lines.append)
    assert any(line.startswith("hierarchical: error column times ") for line in lines)
    assert any(line.endswith("unknowns: modes first") for line in lines)
    data = read_netcdf(written[0])
    state = json.loads(data.attrs["solver_state"])
    assert set(state["sizes"]) == {
        "prior fossil",
        "prior biosphere",
        "prior boundary",
        "error column",
        "error point",
    }
    # the observations of these files scatter less than stated, and that is found
    assert state["sizes"]["error column"][0] < 0.8
    assert len(verdicts(written[0])) == 2


def test_draws_that_say_too_little_are_refused():
    with pytest.raises(SolverError, match=r"hierarchical: 100 draws are worth \d+ independent ones"):
        solved("hierarchical", draws=100, chains=2)
