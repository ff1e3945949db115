"""Solving for regions: nothing lost that they can express, nothing hidden that they cannot."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from inversion import BlockDiagonalCovariance, Problem, State, solve
from inversion.case.options import BasisOptions
from inversion.case.solving.basis import make_basis
from inversion.problem.basis import membership, quadtree
from inversion.problem.reduction import reduce_problem
from inversion.problem.state import StateBlock
from inversion.problem.totals import region_totals
from obsnet.errors import ResourceError, SolverError
from tests.inversion.cases import case, dense_answer
from tests.inversion.world import make_world, options


def regions_of_s(regions):
    return {"flux": membership(quadtree(np.ones((10, 10)), regions).ravel())}


@pytest.fixture(scope="module")
def problem():
    """200 observations of case S, its cells named as a block."""
    p = case("S").problem.select(np.arange(200))
    block = StateBlock("flux", "flux", ("cell",), {"cell": np.arange(100)}, "1")
    return p.with_(prior_error=BlockDiagonalCovariance([p.prior_error]), state=State([block]))


@pytest.fixture(scope="module")
def world():
    return make_world()


def test_all_cells_as_regions_change_nothing(problem):
    part, full = reduce_problem(problem, {"flux": sp.eye_array(100)}).solve(solve), solve(problem)
    np.testing.assert_allclose(part.mean, full.mean, atol=1e-9)
    np.testing.assert_allclose(part.variance(), full.variance(), rtol=1e-8)
    assert part.stopping["unresolved"] == pytest.approx(0.0, abs=1e-12)
    assert part.chi_square == pytest.approx(full.chi_square, rel=1e-9)
    assert part.dofs == pytest.approx(full.dofs, rel=1e-8)


@pytest.mark.parametrize("regions", [4, 20, 60])
def test_the_innovations_are_as_likely_as_before(problem, regions):
    """Aggregation error keeps S = H B H' + R whatever the regions, so chi-square and evidence stay."""
    part, full = reduce_problem(problem, regions_of_s(regions)).solve(solve), solve(problem)
    assert part.chi_square == pytest.approx(full.chi_square, rel=1e-8)
    assert part.log_evidence == pytest.approx(full.log_evidence, rel=1e-8)
    assert 0 < part.stopping["unresolved"] < 1
    assert part.dofs < full.dofs


def test_totals_that_regions_express_are_those_of_the_cells(problem):
    rows = regions_of_s(12)
    part, full = reduce_problem(problem, rows).solve(solve), solve(problem)
    known, found = full.aggregate(rows["flux"]), part.aggregate(rows["flux"])
    np.testing.assert_allclose(found.mean, known.mean, atol=1e-8)
    np.testing.assert_allclose(found.covariance, known.covariance, atol=1e-9)
    np.testing.assert_allclose(
        part.averaging_kernel(rows["flux"]), full.averaging_kernel(rows["flux"]), atol=1e-8
    )


@pytest.mark.parametrize("keep", ["full", "diagonal", "none"])
def test_the_covariance_is_that_of_its_own_gain(problem, keep):
    """(I - K H) B (I - K H)' + K R K' with the gain written out, and never below the exact one."""
    part = reduce_problem(problem, regions_of_s(9), aggregation_error=keep).solve(solve)
    h, b, r = problem.jacobian.toarray(), problem.prior_error.dense(), problem.observation_error.dense()
    k = part.gain(np.eye(200))
    left = np.eye(100) - k @ h
    expected = left @ b @ left.T + k @ r @ k.T
    np.testing.assert_allclose(part.covariance(np.eye(100)), expected, atol=1e-10)
    np.testing.assert_allclose(part.variance(), np.diagonal(expected), atol=1e-10)
    np.testing.assert_allclose(part.mean, problem.prior + k @ problem.innovation, atol=1e-9)
    np.testing.assert_allclose(part.gain_rows(np.eye(100)), k, atol=1e-10)
    np.testing.assert_allclose(part.gain(problem.innovation), part.mean - problem.prior, atol=1e-9)
    exact = dense_answer(problem)[1]
    assert np.linalg.eigvalsh(expected - exact).min() > -1e-10
    np.testing.assert_allclose(part.influence, np.diagonal(h @ k), atol=1e-8)
    assert part.dofs == pytest.approx(np.trace(k @ h), rel=1e-7)


def test_uncertainties_are_calibrated_and_without_aggregation_error_the_answer_is_worse(problem):
    solved = {
        k: reduce_problem(problem, regions_of_s(6), aggregation_error=k).solve(solve)
        for k in ("full", "none")
    }
    rng, z, miss = np.random.default_rng(0), [], {k: [] for k in solved}
    spread = np.sqrt(solved["full"].variance())
    for _ in range(200):
        x = problem.prior_error.factor(rng.standard_normal(100))
        y = problem.forward(x) + problem.observation_error.factor(rng.standard_normal(200))
        z.append((solved["full"].gain(y) - x) / spread)
        for name, posterior in solved.items():
            miss[name].append(posterior.gain(y) - x)
    assert np.std(z) == pytest.approx(1.0, abs=0.03)
    assert np.sqrt(np.mean(np.square(miss["none"]))) > 1.1 * np.sqrt(np.mean(np.square(miss["full"])))


def test_the_observation_error_of_regions_is_what_other_systems_leave_out(problem):
    """Against their own claim: solved without aggregation error, the regions' variances are far too small."""
    reduction = reduce_problem(problem, regions_of_s(6), aggregation_error="none")
    posterior = reduction.solve(solve)
    claimed = posterior.system.inner.variance()
    true = np.diagonal(posterior.aggregate(reduction.restriction).covariance)
    assert np.median(true / claimed) > 2.0


def test_blocks_that_are_not_reduced_stay(world):
    made = world.assemble()
    basis = make_basis(BasisOptions(kind="quadtree", count=5), made, world.shares)
    part, full = reduce_problem(made.problem, basis.restriction).solve(solve), solve(made.problem)
    assert part.stopping["regions"] == 2 * 2 * 5 + 12
    span = made.problem.state.span("boundary")
    np.testing.assert_allclose(part.mean[span], full.mean[span], atol=1e-8)
    np.testing.assert_allclose(part.variance()[span], full.variance()[span], rtol=1e-7)
    assert sum(part.dofs_by_block().values()) == pytest.approx(part.dofs, rel=1e-8)
    assert set(part.dofs_by_block()) == {"fossil", "biosphere", "boundary"}


def test_province_totals_on_a_basis_of_provinces_are_exact(world):
    made = world.assemble()
    weights = world.weights(made)
    basis = make_basis(BasisOptions(kind="regions"), made, world.shares)
    part = region_totals(reduce_problem(made.problem, basis.restriction).solve(solve), weights)
    full = region_totals(solve(made.problem), weights)
    for name in ("kernel", "noise", "pattern", "nuisance", "test"):
        a, b = getattr(part, name), getattr(full, name)
        np.testing.assert_allclose(a, b, atol=1e-7 * np.abs(b).max())
    np.testing.assert_allclose(part.posterior.covariance, full.posterior.covariance, rtol=1e-6)
    np.testing.assert_allclose(part.posterior.mean, full.posterior.mean, rtol=1e-9)


def test_a_sector_known_in_places_has_a_basis(world):
    """A relative error of a prior with empty cells has no inverse; rows in which nothing is uncertain go."""
    from dataclasses import replace

    flux = world.prior.flux["fossil"].copy()
    flux[:, np.arange(24) % 6 < 2] = 0.0
    bare = replace(world, prior=replace(world.prior, flux=world.prior.flux | {"fossil": flux}))
    made = bare.assemble(options(sector={"fossil": {"relative": 0.3}, "biosphere": {"prescribed": True}}))
    label = np.repeat(np.arange(4), 6) * 2 + (np.arange(24) % 6 >= 2)
    rows = {"fossil": sp.csr_array(sp.kron(sp.eye_array(2), membership(label)))}
    part = reduce_problem(made.problem, rows).solve(solve)
    assert part.stopping["regions"] == 2 * 4 + 12
    empty = np.tile(np.arange(24) % 6 < 2, 2)
    np.testing.assert_array_equal(part.mean[:48][empty], 0.0)
    assert not part.variance()[:48][empty].any()


def test_regions_that_follow_from_others_are_left_out(problem):
    rows = regions_of_s(8)["flux"]
    doubled = sp.vstack([rows, rows[[0]] + rows[[1]]])
    a, b = (reduce_problem(problem, {"flux": r}).solve(solve) for r in (rows, doubled))
    assert b.stopping["regions"] == 8
    np.testing.assert_allclose(a.mean, b.mean, atol=1e-8)


def test_leaving_a_station_out_is_solving_without_it(problem):
    rows = regions_of_s(9)
    posterior = reduce_problem(problem, rows).solve(solve)
    station = problem.labels("station")
    for left in posterior.leave_out("station", case("S").regions)[:4]:
        keep = station.astype(str) != left.label
        again = reduce_problem(problem.select(keep), rows).solve(solve)
        known = again.aggregate(case("S").regions)
        np.testing.assert_allclose(left.totals.mean, known.mean, atol=1e-7)
        np.testing.assert_allclose(left.totals.covariance, known.covariance, atol=1e-8)
    assert posterior.leave_out("station")[0].totals is None


def test_variances_alone_need_independent_errors_and_the_full_error_needs_memory(problem, monkeypatch):
    tied = problem.with_(observation_error=np.eye(200) + 0.1)
    with pytest.raises(SolverError, match="take 'full'"):
        reduce_problem(tied, regions_of_s(4), aggregation_error="diagonal")
    monkeypatch.setattr("inversion.problem.reduction.available_memory", lambda: 1e6)
    with pytest.raises(ResourceError, match="invert.basis.aggregation_error = 'diagonal'"):
        reduce_problem(problem, regions_of_s(4))


def test_faults_are_named(problem):
    with pytest.raises(SolverError, match="the basis of 'flux' has 3 columns where 100 are needed"):
        reduce_problem(problem, {"flux": np.ones((3, 3))})
    with pytest.raises(SolverError, match="nothing of 'flux' is uncertain"):
        reduce_problem(problem, {"flux": np.zeros((3, 100))})
    with pytest.raises(SolverError, match="a basis needs a state"):
        reduce_problem(Problem(np.eye(2), np.ones(2), np.ones(2), np.zeros(2), np.ones(2)), {})
