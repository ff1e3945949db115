"""Blocks on workers give the same answer as one matrix here."""

from __future__ import annotations

from itertools import pairwise

import dask
import numpy as np
import pytest
import scipy.sparse as sp

from inversion import solve
from inversion.jacobian.store import JacobianStore
from inversion.operators.distributed import BlockJacobian, store_blocks
from inversion.operators.observation_error import MarkovError
from obsnet.errors import SolverError
from tests.inversion.cases import case
from tests.inversion.world import EDGES, GRID, make_world

CUTS = [0, 130, 131, 300, 500]


def blocks(lazy):
    h = case("S").problem.jacobian
    parts = [h[a:b] for a, b in pairwise(CUTS)]
    made = [dask.delayed(p) for p in parts] if lazy else parts
    return BlockJacobian(made, np.diff(CUTS), 100)


@pytest.mark.parametrize("lazy", [False, True])
def test_products_are_the_whole_matrix(lazy):
    h, b = case("S").problem.jacobian.toarray(), blocks(lazy)
    rng = np.random.default_rng(0)
    for x in (rng.standard_normal(100), rng.standard_normal((100, 3))):
        np.testing.assert_allclose(b.forward(x), h @ x, rtol=1e-12, atol=1e-13)
    for v in (rng.standard_normal(500), rng.standard_normal((500, 3))):
        np.testing.assert_allclose(b.adjoint(v), h.T @ v, rtol=1e-12, atol=1e-12)
    w = rng.random(500)
    np.testing.assert_allclose(np.tril(b.normal(w)), np.tril(h.T @ (w[:, None] * h)), rtol=1e-12, atol=1e-12)
    rows = np.array([499, 3, 130, 3, 131])
    np.testing.assert_array_equal(b[rows].toarray(), h[rows])


@pytest.mark.parametrize("lazy", [False, True])
def test_an_entry_in_two_parts_is_their_sum(lazy):
    block = sp.csr_array((np.array([1.0, 2.0, 3.0]), np.array([1, 0, 0]), np.array([0, 3])), shape=(1, 2))
    b = BlockJacobian([dask.delayed(block) if lazy else block], [1], 2)
    np.testing.assert_allclose(np.tril(b.normal(np.array([0.5]))), [[12.5, 0.0], [2.5, 0.5]])


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("method", ["primal", "dual", "cg"])
def test_solvers_agree_to_rounding(lazy, method):
    c = case("S")
    options = {"tolerance": 3e-13} if method == "cg" else {}
    one = solve(c.problem, method, **options)
    two = solve(c.problem.with_(jacobian=blocks(lazy)), method, **options)
    np.testing.assert_allclose(two.mean, one.mean, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        two.aggregate(c.regions).covariance, one.aggregate(c.regions).covariance, atol=1e-10
    )
    assert two.dofs == pytest.approx(one.dofs, rel=1e-10)
    np.testing.assert_allclose(two.influence, one.influence, atol=1e-9)
    np.testing.assert_array_equal(two.problem.unseen, one.problem.unseen)


def test_correlated_errors_work_on_blocks_too():
    c, rows = case("S").problem, np.arange(500)
    error = MarkovError(np.full(500, 0.5), np.ones(500), rows % 12, rows.astype(float), 50.0)
    one = solve(c.with_(observation_error=error), "primal")
    two = solve(c.with_(observation_error=error, jacobian=blocks(True)), "primal")
    np.testing.assert_allclose(two.mean, one.mean, atol=1e-11)


@pytest.mark.slow
def test_two_worker_processes_give_the_answer_of_one():
    from distributed import Client, LocalCluster

    c = case("S")
    one = solve(c.problem, "primal")
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        h = c.problem.jacobian
        kept = client.scatter([h[a:b] for a, b in pairwise(CUTS)])
        far = c.problem.with_(jacobian=BlockJacobian(kept, np.diff(CUTS), 100))
        two = solve(far, "primal")
        np.testing.assert_allclose(two.mean, one.mean, rtol=0, atol=1e-12)


def test_blocks_of_a_store_are_read_where_they_are_used(tmp_path):
    world = make_world()
    store = JacobianStore(tmp_path / "footprints").create(
        {"grid": GRID, "time_edges": EDGES, "kind": "computed", "model": "test", "species": None}
    )
    store.write("part", world.jacobian)
    ids = world.jacobian.obs_id[::-1]
    lazy = store_blocks(str(store.path), ids, world.jacobian.matrix.shape[1], rows=17)
    assert [s.stop - s.start for s in lazy.spans] == [17, 17, 17, 9]
    x = np.random.default_rng(0).standard_normal(lazy.shape[1])
    with dask.config.set(scheduler="synchronous"):
        np.testing.assert_allclose(lazy.forward(x), (world.jacobian.matrix @ x)[::-1], rtol=1e-5)


def test_selection_takes_rows_across_blocks():
    p = case("S").problem.with_(jacobian=blocks(True))
    some = np.arange(500) % 3 == 0
    part = p.select(some)
    assert sp.issparse(part.jacobian)
    np.testing.assert_allclose(part.innovation, p.innovation[some], atol=1e-12)


def test_faulty_blocks_are_named():
    with pytest.raises(SolverError, match="2 blocks of a Jacobian need as many row counts"):
        BlockJacobian([1, 2], [1], 3)
    with pytest.raises(SolverError, match=r"has shape \(2, 3\), expected \(2, 4\)"):
        BlockJacobian([sp.csr_array(np.ones((2, 3)))], [2], 4)
    with pytest.raises(SolverError, match="1 values not finite"):
        BlockJacobian([sp.csr_array([[np.nan, 1.0]])], [1], 2)
