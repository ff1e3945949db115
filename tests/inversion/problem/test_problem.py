"""A problem refuses what cannot be meant; a state keeps its blocks apart."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp

from inversion import DiagonalCovariance, Problem, State, solve
from inversion.operators.covariance import BlockDiagonalCovariance, DenseCovariance
from inversion.operators.observation_error import subset
from inversion.problem.state import StateBlock
from obsnet.errors import ConfigError, RangeError, SolverError

H = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 1.0]])


def problem(**changes):
    parts = {
        "jacobian": H,
        "observations": [3.0, 1.0],
        "observation_error": [1.0, 1.0],
        "prior": [1.0, 1.0, 1.0],
        "prior_error": [1.0, 1.0, 1.0],
    }
    return Problem(**(parts | changes))


@pytest.mark.parametrize(
    "kind", [np.asarray, sp.csr_array, sp.coo_matrix, lambda h: da.from_array(h, chunks=(1, 2))]
)
def test_products_do_not_depend_on_the_kind_of_matrix(kind):
    p = problem(jacobian=kind(H))
    assert (p.n_obs, p.n_state) == (2, 3)
    np.testing.assert_allclose(p.forward(np.array([1.0, 2.0, 3.0])), [7.0, 3.0])
    np.testing.assert_allclose(p.adjoint(np.array([1.0, 2.0])), [1.0, 0.0, 4.0])
    np.testing.assert_allclose(p.adjoint(np.eye(2)), H.T)
    assert p.unseen.tolist() == [False, True, False]
    np.testing.assert_allclose(
        np.concatenate([np.asarray(sp.csr_array(b).toarray()) for _, b in p.row_blocks()]), H
    )


def test_adjoint_is_the_adjoint():
    rng = np.random.default_rng(0)
    matrix = sp.random_array((300, 200), density=0.1, rng=rng).tocsr()
    p = Problem(matrix, np.zeros(300), np.ones(300), np.zeros(200), np.ones(200))
    x, v = rng.standard_normal(200), rng.standard_normal(300)
    left, right = v @ p.forward(x), p.adjoint(v) @ x
    assert abs(left - right) <= 1e-13 * abs(left)


@pytest.mark.parametrize("method", ["dual", "primal", "cg"])
def test_an_entry_in_two_parts_is_their_sum(method):
    given = sp.csr_array((np.array([1.0, 2.0, 3.0]), np.array([1, 0, 0]), np.array([0, 3])), shape=(1, 2))
    parts = ([1.0], [1.0], [0.0, 0.0], [1.0, 1.0])
    split, whole = (solve(Problem(h, *parts), method) for h in (given, np.array([[5.0, 1.0]])))
    np.testing.assert_allclose(split.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(split.variance(), whole.variance(), rtol=1e-12)
    assert given.data.tolist() == [1.0, 2.0, 3.0]  # the caller's own is not touched


def test_innovation_takes_the_background_away():
    np.testing.assert_allclose(problem(background=0.25).innovation, [-0.25, -0.25])
    np.testing.assert_allclose(problem(background=[0.0, 0.5]).innovation, [0.0, -0.5])


def nan_at(array, *index):
    copy = np.array(array, dtype=float)
    copy[index] = np.nan
    return copy


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        (
            {"jacobian": nan_at(H, 1, 2)},
            RangeError,
            "the Jacobian has 1 values that are not finite, first at row 1, column 2",
        ),
        ({"jacobian": sp.csr_array(nan_at(H, 1, 2))}, RangeError, "first at row 1, column 2"),
        ({"jacobian": np.ones(3)}, SolverError, "two dimensions"),
        ({"jacobian": np.array([["a"] * 3] * 2)}, SolverError, "must hold numbers"),
        (
            {"observations": [3.0, np.nan]},
            RangeError,
            "observations vector has 1 values that are not finite, first at entry 1",
        ),
        ({"observations": [3.0]}, SolverError, r"observations must have shape \(2,\)"),
        ({"prior": [1.0, np.inf, 1.0]}, RangeError, "prior vector"),
        ({"background": [1.0]}, SolverError, r"background must have shape \(2,\)"),
        ({"observation_error": [1.0, 0.0]}, SolverError, "not positive definite: the variance of row 1 is 0"),
        ({"observation_error": [1.0, np.nan]}, RangeError, "entry 1 is nan"),
        (
            {"observation_error": [[1.0, 2.0], [2.0, 1.0]]},
            SolverError,
            "the observation error is not positive definite",
        ),
        ({"observation_error": [1.0]}, SolverError, "the observation error has 1 rows where 2 are needed"),
        ({"prior_error": np.zeros(3)}, SolverError, "zero everywhere"),
        ({"obs_id": ["a", "a"]}, SolverError, r"given more than once, first .*a.* \(2 times\)"),
        ({"groups": {"station": ["x"]}}, SolverError, "labels 'station' must have shape"),
    ],
)
def test_faults_are_named(changes, error, text):
    with pytest.raises(error, match=text):
        problem(**changes)


def test_a_lazy_jacobian_with_nan_is_refused_when_it_is_read():
    p = problem(jacobian=da.from_array(nan_at(H, 1, 2), chunks=(1, 3)))
    with pytest.raises(RangeError, match="not finite"):
        p.forward(np.ones(3))


def test_unknown_labels_name_the_known_ones():
    p = problem(groups={"station": np.array(["WLG", "LLN"])})
    with pytest.raises(SolverError, match=r"not labelled by 'staton'; nearest: 'station'"):
        p.labels("staton")


def test_selection_keeps_rows_together():
    full = np.array([[1.0, 0.5], [0.5, 2.0]])
    p = problem(observation_error=full, groups={"station": np.array(["a", "b"])}, obs_id=["1", "2"])
    part = p.select(np.array([False, True]))
    assert part.n_obs == 1
    assert part.observation_error.dense().tolist() == [[2.0]]
    assert part.groups["station"].tolist() == ["b"]
    assert part.obs_id.tolist() == ["2"]
    np.testing.assert_allclose(part.innovation, p.innovation[1:])


@pytest.mark.parametrize("rows", [[0, 2, 4], [4, 0]])
def test_subset_of_blocks_is_the_submatrix(rows):
    error = BlockDiagonalCovariance(
        [DenseCovariance([[2.0, 1.0], [1.0, 2.0]]), DiagonalCovariance([1.0, 2.0, 3.0])]
    )
    np.testing.assert_allclose(subset(error, np.array(rows)).dense(), error.dense()[np.ix_(rows, rows)])


def blocks():
    time, cell = np.arange(2), np.arange(3)
    return State(
        [
            StateBlock("fossil", "flux", ("time", "cell"), {"time": time, "cell": cell}, "umol m-2 s-1"),
            StateBlock("boundary", "boundary", ("side",), {"side": np.array(["north", "west"])}, "ppm"),
        ]
    )


def test_state_round_trip():
    s, v = blocks(), np.arange(8.0)
    parts = s.unstack(v)
    assert parts["fossil"].shape == (2, 3)
    assert parts["boundary"].tolist() == [6.0, 7.0]
    np.testing.assert_array_equal(s.stack(parts), v)
    assert s.span("boundary") == slice(6, 8)


def test_embedding_weights_keeps_to_the_block():
    wide = blocks().embed("boundary", np.array([[1.0, 2.0]]))
    assert wide.toarray().tolist() == [[0, 0, 0, 0, 0, 0, 1, 2]]
    with pytest.raises(SolverError, match="3 columns where 2 are needed"):
        blocks().embed("boundary", np.ones((1, 3)))


def test_state_faults_are_named():
    s = blocks()
    with pytest.raises(ConfigError, match="no block 'fosil'; nearest: 'fossil'"):
        s.block("fosil")
    with pytest.raises(SolverError, match="different names"):
        State([s.blocks[0], s.blocks[0]])
    with pytest.raises(SolverError, match="'boundary' is missing"):
        s.stack({"fossil": np.zeros((2, 3))})
    with pytest.raises(SolverError, match=r"has shape \(2, 3\), found \(3, 2\)"):
        s.stack({"fossil": np.zeros((3, 2)), "boundary": np.zeros(2)})
    with pytest.raises(SolverError, match="labels"):
        StateBlock("x", "flux", ("time",), {"cell": np.arange(2)}, "1")
    with pytest.raises(SolverError, match="8 elements, the Jacobian has 3 columns"):
        problem(state=s)
    with pytest.raises(SolverError, match="shape"):
        s.unstack(np.zeros(7))
