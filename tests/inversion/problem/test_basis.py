"""Partitions of a grid: rectangles, small where they should be, and what a case makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inversion import BlockDiagonalCovariance, State, solve
from inversion.case.options import BasisOptions
from inversion.case.solving.basis import make_basis
from inversion.problem.basis import block_error, expected_information, membership, quadtree
from inversion.problem.reduction import reduce_problem
from inversion.problem.state import StateBlock
from obsnet.errors import ConfigError, ResourceError, SolverError
from tests.inversion.cases import case
from tests.inversion.world import GRID, make_world, options


@pytest.fixture(scope="module")
def world():
    return make_world()


@pytest.fixture(scope="module")
def made(world):
    return world.assemble()


@given(st.integers(1, 60), st.integers(0, 99), st.booleans())
def test_a_quadtree_is_a_partition_into_rectangles(regions, seed, guided):
    rng = np.random.default_rng(seed)
    w = rng.random((8, 9)) ** 4
    label = quadtree(w, regions, (lambda _masks: rng.random()) if guided else None)
    assert sorted(np.unique(label)) == list(range(regions))
    for number in range(regions):
        rows, columns = np.nonzero(label == number)
        assert rows.size == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


@given(st.integers(1, 71), st.integers(0, 99))
def test_one_region_more_divides_one_region(regions, seed):
    w = np.random.default_rng(seed).random((8, 9))
    coarse, fine = quadtree(w, regions), quadtree(w, regions + 1)
    parents = [np.unique(coarse[fine == k]) for k in range(regions + 1)]
    assert all(p.size == 1 for p in parents)


def test_a_quadtree_is_fine_where_the_weight_is():
    w = np.full((16, 16), 1e-3)
    w[:4, :4] = 1.0
    label = quadtree(w, 20)
    assert np.unique(label[:4, :4]).size > 10
    sums = np.bincount(label.ravel(), w.ravel())
    assert sums.max() < 3 * w.sum() / 20


def test_a_quadtree_without_weight_divides_the_largest():
    label = quadtree(np.zeros((4, 4)), 4)
    assert np.bincount(label.ravel()).tolist() == [4, 4, 4, 4]
    assert np.unique(quadtree(np.zeros((4, 4)), 16)).size == 16


def test_membership_takes_weights_and_leaves_out():
    m = membership([0, 1, -1, 1], [1.0, 2.0, 3.0, 4.0])
    assert m.toarray().tolist() == [[1, 0, 0, 0], [0, 2, 0, 4]]


def test_faults_are_named(made):
    with pytest.raises(SolverError, match="between 1 and 4 regions, asked for 5"):
        quadtree(np.ones((2, 2)), 5)
    with pytest.raises(SolverError, match="not negative"):
        quadtree(-np.ones((2, 2)), 2)
    with pytest.raises(SolverError, match="a basis needs a state and a prior error of the same blocks"):
        block_error(made.problem.with_(state=None), "fossil")


@pytest.mark.parametrize("kind", ["quadtree", "weighted", "adaptive"])
def test_rows_are_means_over_their_regions(world, made, kind):
    basis = make_basis(BasisOptions(kind=kind, count=7), made, world.shares)
    area = GRID.cell_area.ravel()
    for name in ("fossil", "biosphere"):
        rows = basis.restriction[name].toarray()
        assert rows.shape == (2 * 7, 2 * GRID.size)
        np.testing.assert_allclose(rows.sum(axis=1), 1.0)
        assert not rows[:7, GRID.size :].any()
        label = basis.region[name]
        np.testing.assert_allclose(
            rows[3, : GRID.size], np.where(label == 3, area, 0) / area[label == 3].sum()
        )


def test_regions_of_the_totals_are_a_basis_too(world, made):
    basis = make_basis(BasisOptions(kind="regions"), made, world.shares)
    rows = basis.restriction["fossil"].toarray()[:3, : GRID.size]
    np.testing.assert_allclose(rows * world.area.sum(axis=1)[:, None], world.area.toarray(), rtol=1e-12)
    assert basis.region["fossil"].reshape(GRID.shape)[0].tolist() == [0, 0, 0, 1, 2, 2]


def test_adaptive_regions_are_small_where_observations_see():
    """Only the west is seen: dividing the east teaches nothing, so it stays whole while the west is divided."""
    world = make_world(observed="a")
    made = world.assemble(options(sector={"fossil": {"relative": 0.3}, "biosphere": {"prescribed": True}}))
    label = (
        make_basis(BasisOptions(kind="adaptive", count=12), made, world.shares).region["fossil"].reshape(4, 6)
    )
    assert np.unique(label[:, :3]).size >= 10
    assert np.unique(label[:, 3:]).size <= 3


def test_expected_information_is_the_gain_in_degrees_of_freedom(made):
    """Against reduced problems written out with the two halves, and with only their sum."""
    p, name = made.problem, "biosphere"
    span, masks = p.state.span(name), np.zeros((2, GRID.size), dtype=bool)
    masks[0, :9], masks[1, 9:15] = True, True
    halves = np.tile(masks.astype(float), 2)

    def freedom(rows):
        return reduce_problem(p, {name: rows}).solve(solve).dofs_by_block()[name]

    expected = freedom(halves) - freedom(halves.sum(axis=0, keepdims=True))
    assert expected > 0.05
    assert expected_information(p, name, 2)(masks) == pytest.approx(expected, rel=1e-6)
    assert span.stop - span.start == halves.shape[1]


def test_adaptive_regions_tell_more_than_others():
    """Case S, 60 of its 100 cells' worth of regions: degrees of freedom of each kind."""
    p = case("S").problem
    block = StateBlock("flux", "flux", ("cell",), {"cell": np.arange(100)}, "1")
    p = p.with_(prior_error=BlockDiagonalCovariance([p.prior_error]), state=State([block]))
    weight = np.asarray(abs(p.jacobian).sum(axis=0)).reshape(10, 10)
    gain = expected_information(p, "flux", 1)
    labels = [quadtree(np.ones((10, 10)), 40), quadtree(weight, 40), quadtree(weight, 40, gain)]
    even, weighted, adaptive = (
        reduce_problem(p, {"flux": membership(k.ravel())}).solve(solve).dofs for k in labels
    )
    assert even < weighted < adaptive < solve(p).dofs


def test_an_adaptive_basis_needs_memory(made, monkeypatch):
    monkeypatch.setattr("inversion.problem.basis.available_memory", lambda: 1e4)
    with pytest.raises(ResourceError, match="take kind = 'weighted'"):
        expected_information(made.problem, "fossil", 2)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        ({"fossil": 3}, "count has no entry for the solved sector 'biosphere'"),
        ({"fossil": 3, "biosphere": 4, "fosil": 2}, "'fosil' is not solved; nearest: 'fossil'"),
    ],
)
def test_counts_by_sector(world, made, count, text):
    with pytest.raises(ConfigError, match=text):
        make_basis(BasisOptions(kind="quadtree", count=count), made, world.shares)


def test_each_sector_has_its_own_count(world, made):
    basis = make_basis(
        BasisOptions(kind="quadtree", count={"fossil": 3, "biosphere": 400}), made, world.shares
    )
    assert basis.restriction["fossil"].shape[0] == 2 * 3
    assert basis.restriction["biosphere"].shape[0] == 2 * GRID.size  # never more than cells
