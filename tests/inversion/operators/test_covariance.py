"""Covariance operators against their full matrices."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from inversion.operators.covariance import (
    BlockDiagonalCovariance,
    DenseCovariance,
    DiagonalCovariance,
    LowRankCovariance,
    SumCovariance,
    as_covariance,
    cholesky,
    project,
)
from inversion.operators.kronecker import KroneckerCovariance
from inversion.operators.observation_error import MarkovError, subset
from obsnet.errors import RangeError, SolverError


def exponential(n, length):
    i = np.arange(n)
    return np.exp(-np.abs(i[:, None] - i) / length)


def kronecker(nt=3, ns=4, seed=0):
    sigma = 0.5 + np.random.default_rng(seed).random(nt * ns)
    return KroneckerCovariance(sigma, exponential(nt, 2.0), exponential(ns, 3.0))


def spd(n, seed=0):
    a = np.random.default_rng(seed).standard_normal((n, n))
    return a @ a.T + n * np.eye(n)


OPERATORS = {
    "diagonal": lambda: DiagonalCovariance([1.0, 4.0, 9.0]),
    "dense": lambda: DenseCovariance(spd(5)),
    "kronecker": kronecker,
    "one time": lambda: kronecker(1, 6),
    "one cell": lambda: kronecker(6, 1),
    "blocks": lambda: BlockDiagonalCovariance(
        [kronecker(), DiagonalCovariance([2.0, 3.0]), DenseCovariance(spd(3))]
    ),
    "sum": lambda: SumCovariance(
        kronecker(), LowRankCovariance(np.random.default_rng(1).random((12, 2)), spd(2))
    ),
    "blocks of sums": lambda: BlockDiagonalCovariance(
        [
            SumCovariance(DiagonalCovariance(np.ones(4)), LowRankCovariance(np.ones((4, 1)), [[2.0]])),
            kronecker(2, 2),
        ]
    ),
}


@pytest.fixture(params=OPERATORS, ids=list(OPERATORS))
def operator(request):
    return OPERATORS[request.param]()


def test_every_operation_is_the_matrix_one(operator):
    full, rng = operator.dense(), np.random.default_rng(3)
    np.testing.assert_allclose(full, full.T, atol=1e-14)
    np.testing.assert_allclose(operator.diagonal(), np.diagonal(full), rtol=1e-13)
    np.testing.assert_allclose(operator.logdet(), np.linalg.slogdet(full)[1], rtol=1e-11)
    root = operator.factor(np.eye(operator.factor_size))
    np.testing.assert_allclose(root @ root.T, full, atol=1e-12)
    for shape in ((operator.size,), (operator.size, 1), (operator.size, 3)):
        x = rng.standard_normal(shape)
        np.testing.assert_allclose(operator @ x, full @ x, atol=1e-12)
        np.testing.assert_allclose(operator.solve(full @ x), x, atol=1e-10)
        np.testing.assert_allclose(operator.factor_transposed(x), root.T @ x, atol=1e-12)
    np.testing.assert_allclose(operator.scaled(2.5).dense(), 2.5 * full, rtol=1e-12)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 1000))
def test_kronecker_is_the_kronecker_product(nt, ns, seed):
    c = kronecker(nt, ns, seed)
    full = c.sigma[:, None] * np.kron(c.time, c.space) * c.sigma
    np.testing.assert_allclose(c.dense(), full, atol=1e-13)


def test_state_index_is_time_times_cells_plus_cell():
    c = KroneckerCovariance(np.ones((2, 3)), np.array([[1, 0.5], [0.5, 1]]), np.eye(3))
    full = c.dense()
    assert full[0, 3] == 0.5  # same cell, next time
    assert full[0, 1] == 0.0  # next cell, same time


def test_sparse_space_correlation_gives_the_same_products():
    c = kronecker()
    s = KroneckerCovariance(c.sigma, c.time, sp.csr_array(c.space))
    x = np.random.default_rng(0).standard_normal((12, 4))
    np.testing.assert_allclose(s @ x, c @ x, atol=1e-14)
    np.testing.assert_allclose(s @ x[:, 0], c @ x[:, 0], atol=1e-14)
    with pytest.raises(
        SolverError, match="sparse space correlation has no factor; use method 'dual' or 'cg'"
    ):
        s.factor(x)


def test_a_known_state_has_sigma_zero():
    c = KroneckerCovariance([1.0, 0.0], [[1.0]], np.eye(2))
    assert (c @ np.ones(2)).tolist() == [1.0, 0.0]
    with pytest.raises(SolverError, match="singular: 1 of 2"):
        c.solve(np.ones(2))


@given(st.integers(1, 40), st.integers(0, 99))
def test_projection_does_not_depend_on_blocks(block, seed):
    c = kronecker()
    h = sp.random_array((17, 12), density=0.4, rng=np.random.default_rng(seed))
    expected = h.toarray() @ c.dense() @ h.toarray().T
    np.testing.assert_allclose(project(sp.csr_array(h), c, block=block), expected, atol=1e-12)
    np.testing.assert_allclose(project(h.toarray(), c, block=block), expected, atol=1e-12)


def test_as_covariance_reads_variances_matrices_and_operators():
    assert as_covariance([1.0, 2.0], 2, "R").diagonal().tolist() == [1.0, 2.0]
    assert isinstance(as_covariance(sp.diags_array([1.0, 2.0]), 2, "R"), DiagonalCovariance)
    np.testing.assert_allclose(as_covariance(spd(3), 3, "R").dense(), spd(3))
    np.testing.assert_allclose(as_covariance(sp.csr_array(spd(3)), 3, "R").dense(), spd(3))
    given_operator = kronecker()
    assert as_covariance(given_operator, 12, "B") is given_operator


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: DenseCovariance([[1.0, 2.0], [2.0, 1.0]], "R"),
            "R is not positive definite: its eigenvalues go from -1 to 3",
        ),
        (lambda: DenseCovariance([[1.0, 0.5], [0.0, 1.0]], "R"), "R is not symmetric"),
        (lambda: DenseCovariance(np.ones((2, 3)), "R"), "R must be a square matrix"),
        (lambda: DiagonalCovariance([0.0, 0.0]), "zero everywhere"),
        (lambda: DiagonalCovariance(np.ones((2, 2))), "one dimension"),
        (lambda: KroneckerCovariance([1.0, 2.0, 3.0], np.eye(2), np.eye(2)), "must have 4 values or one"),
        (
            lambda: KroneckerCovariance(1.0, 2 * np.eye(2), np.eye(2)),
            "time correlation must have ones on its diagonal",
        ),
        (
            lambda: KroneckerCovariance(1.0, np.eye(2), np.ones((2, 2))),
            "space correlation is not positive definite",
        ),
        (
            lambda: KroneckerCovariance(0.0, np.eye(2), np.eye(2)),
            "zero everywhere: the observations could change nothing",
        ),
        (lambda: as_covariance([1.0], 3, "the prior error"), "the prior error has 1 rows where 3 are needed"),
        (lambda: SumCovariance(kronecker(), DiagonalCovariance([1.0])), "sizes .* cannot be added"),
        (lambda: LowRankCovariance(np.ones((4, 2)), [[1.0]]), "2 patterns need a core of that size"),
        (
            lambda: LowRankCovariance(np.ones((4, 1)), [[1.0]]).solve(np.ones(4)),
            "low-rank covariance is singular",
        ),
        (lambda: BlockDiagonalCovariance([]), "needs a block"),
    ],
)
def test_faults_are_named(make, text):
    with pytest.raises(SolverError, match=text):
        make()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_impossible_deviations_name_the_entry(bad):
    with pytest.raises(RangeError, match=r"entry 1 is .* \(1 in all\)"):
        DiagonalCovariance([1.0, bad])


def test_a_matrix_with_nan_is_refused():
    with pytest.raises(RangeError, match="R has 1 values that are not finite"):
        cholesky([[1.0, np.nan], [0.0, 1.0]], "R")


def test_flux_units_of_1e_minus_18_are_no_special_case():
    c = DenseCovariance(1e-18 * spd(4))
    np.testing.assert_allclose(c.solve(c @ np.ones(4)), np.ones(4), rtol=1e-10)


def markov(seed=0, white=True, n=15):
    rng = np.random.default_rng(seed)
    position = rng.integers(0, 8, n).astype(float) if white else rng.permutation(n) * 1.5
    independent = 0.2 + rng.random(n) if white else np.zeros(n)
    return MarkovError(independent, 0.5 + rng.random(n), rng.integers(0, 3, n), position, 2.5)


@given(st.integers(0, 200), st.booleans())
def test_markov_error_is_its_full_matrix(seed, white):
    error = markov(seed, white)
    same = error.group[:, None] == error.group
    near = same * np.exp(-np.abs(error.position[:, None] - error.position) / error.length)
    full = np.diag(error.independent) + error.common[:, None] * near * error.common
    x = np.random.default_rng(seed).standard_normal((15, 2))
    np.testing.assert_allclose(error.dense(), full, atol=1e-12)
    np.testing.assert_allclose(error.solve(full @ x), x, atol=1e-8)
    np.testing.assert_allclose(error.solve(full @ x[:, 0]), x[:, 0], atol=1e-8)
    np.testing.assert_allclose(error.diagonal(), np.diagonal(full))
    assert error.logdet() == pytest.approx(np.linalg.slogdet(full)[1], rel=1e-9, abs=1e-9)
    root = error.factor(np.eye(error.factor_size))
    np.testing.assert_allclose(root @ root.T, full, atol=1e-12)
    np.testing.assert_allclose(error.factor_transposed(x), root.T @ x, atol=1e-12)
    np.testing.assert_allclose(error.scaled(3.0).dense(), 3 * full, atol=1e-12)
    rows = np.array([3, 1, 7])
    np.testing.assert_allclose(subset(error, rows).dense(), full[np.ix_(rows, rows)], atol=1e-12)


def test_markov_error_of_even_steps_is_ar1():
    error = MarkovError(np.zeros(5), np.full(5, 2.0), np.zeros(5), np.arange(5.0), 1 / np.log(2))
    np.testing.assert_allclose(
        error.dense(), 4 * 0.5 ** np.abs(np.subtract.outer(range(5), range(5))), rtol=1e-12
    )


def test_markov_error_needs_no_square_matrix():
    n = 200_000
    error = MarkovError(np.ones(n), np.ones(n), np.arange(n) % 7, np.arange(n) / 7, 24.0)
    x = np.random.default_rng(0).standard_normal(n)
    np.testing.assert_allclose(error.solve(error @ x), x, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (
            ([1.0, 0.0], [1.0, 1.0], [0, 0], [0.0, 1.0], 1.0),
            SolverError,
            "independent variance above zero, or none",
        ),
        (
            ([0.0, 0.0], [1.0, 1.0], [0, 0], [1.0, 1.0], 1.0),
            SolverError,
            "1 observations share group and position",
        ),
        (([1.0, 1.0], [1.0, np.nan], [0, 0], [1.0, 1.0], 1.0), RangeError, "deviation must be finite"),
        (([1.0, 1.0], [1.0, 1.0], [0, 0], [1.0, 1.0], 0.0), RangeError, "length .* is positive"),
        (([1.0], [1.0, 1.0], [0, 0], [1.0, 1.0], 1.0), SolverError, "one value an observation"),
    ],
)
def test_markov_faults_are_named(arguments, error, text):
    with pytest.raises(error, match=text):
        MarkovError(*arguments)
