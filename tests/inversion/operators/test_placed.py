"""Products on Dask's workers: those of one process to rounding, the same bits on one worker and on two."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import scipy.sparse as sp

from inversion import solve
from inversion.operators.placed import placed
from obsnet.work.cluster import client_of, session
from obsnet.work.work import Work
from tests.inversion.cases import case

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two():
    """Two workers that serve every test of this module."""
    with session():
        yield Work(scheduler="dask", workers=2)


def products(matrix):
    """Return one vector and several, forward and back."""
    rng = np.random.default_rng(0)
    n, m = matrix.shape
    x, v = rng.standard_normal((m, 3)), rng.standard_normal((n, 3))
    return [matrix.forward(x), matrix.forward(x[:, 0]), matrix.adjoint(v), matrix.adjoint(v[:, 0])]


def test_products_rows_and_selections(two, tmp_path):
    h = sp.csr_array(case("S").problem.jacobian)
    with placed(h, two, tmp_path) as far:
        assert len(far.blocks) == 8
        assert sum(s.stop - s.start for s in far.spans) == h.shape[0]
        rng = np.random.default_rng(0)
        x, v = rng.standard_normal((h.shape[1], 3)), rng.standard_normal((h.shape[0], 3))
        expected = [h @ x, h @ x[:, 0], h.T @ v, h.T @ v[:, 0]]
        for found, right in zip(products(far), expected, strict=True):
            np.testing.assert_allclose(found, right, rtol=0, atol=1e-12)
        weight = rng.uniform(0.5, 2.0, h.shape[0])
        dense = h.toarray()
        np.testing.assert_allclose(
            far.normal(weight), np.tril(dense.T @ (weight[:, None] * dense)), atol=1e-11
        )
        assert (far[[3, 1]] != h[[3, 1]]).nnz == 0
        assert far.nnz == h.nnz
        assert list(tmp_path.iterdir()) != []
    assert list(tmp_path.iterdir()) == []  # nothing stays


@pytest.mark.parametrize("method", ["primal", "dual", "cg"])
def test_solutions_are_those_of_one_process(two, tmp_path, method):
    c = case("S")
    here = solve(c.problem, method)
    with placed(sp.csr_array(c.problem.jacobian), two, tmp_path) as far:
        there = solve(c.problem.with_(jacobian=far), method)
        np.testing.assert_allclose(there.mean, here.mean, rtol=0, atol=1e-8 if method == "cg" else 1e-11)
        np.testing.assert_allclose(there.variance(), here.variance(), rtol=1e-6)
        wanted, found = (p.aggregate(c.regions).covariance for p in (here, there))
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-10)


def test_one_worker_and_two_give_the_same_bits(two, tmp_path):
    h = sp.csr_array(case("S").problem.jacobian)
    with placed(h, two, tmp_path) as far:
        of_two = [*products(far), far.normal(np.ones(h.shape[0]))]
    with session(), placed(h, Work(scheduler="dask", workers=1), tmp_path) as far:
        of_one = [*products(far), far.normal(np.ones(h.shape[0]))]
    for a, b in zip(of_one, of_two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_worker_that_dies_is_replaced_and_its_blocks_are_read_again(tmp_path):
    h = sp.csr_array(case("S").problem.jacobian)
    work = Work(scheduler="dask", workers=2)
    with session(), placed(h, work, tmp_path) as far:
        before = products(far)
        with client_of(work) as client:
            victim = next(iter(client.run(os.getpid).values()))
            os.kill(victim, signal.SIGKILL)
        for a, b in zip(products(far), before, strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_does_not_go_to_dask_stays(tmp_path):
    h = sp.csr_array(np.eye(3))
    for work in (None, Work(scheduler="serial"), Work(scheduler="processes", workers=2)):
        with placed(h, work, tmp_path) as same:
            assert same is h
    dense = np.eye(3)
    with placed(dense, Work(scheduler="dask"), tmp_path) as same:
        assert same is dense
    assert list(tmp_path.iterdir()) == []
