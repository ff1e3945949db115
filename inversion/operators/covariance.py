"""Covariance operators: what a prior or observation error does to vectors, without its full matrix.

Every operator stands for a symmetric positive semidefinite matrix ``C = L L'``. ``L`` may have more columns
than rows, so that sums of operators need no decomposition; a standard deviation of zero is allowed and means
a state that is known.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg as la
import scipy.sparse as sp

from obsnet.errors import RangeError, SolverError
from obsnet.typing import Floats

__all__ = [
    "BlockDiagonalCovariance",
    "Covariance",
    "DenseCovariance",
    "DiagonalCovariance",
    "LowRankCovariance",
    "StretchedCovariance",
    "SumCovariance",
    "as_covariance",
    "project",
]


class Covariance(ABC):
    """A symmetric positive semidefinite matrix ``C = L L'`` of shape (size, size), as an operator.

    Vectors may be ``(size,)`` or ``(size, k)``; results have the same number of dimensions.
    """

    @property
    @abstractmethod
    def size(self) -> int:
        """Rows of C."""

    @property
    def factor_size(self) -> int:
        """Columns of L."""
        return self.size

    @abstractmethod
    def diagonal(self) -> Floats:
        """Return the variances, shape (size,)."""

    @abstractmethod
    def matmul(self, x: Floats) -> Floats:
        """Return C x."""

    @abstractmethod
    def factor(self, z: Floats) -> Floats:
        """Return L z, for z of ``factor_size`` rows."""

    @abstractmethod
    def factor_transposed(self, x: Floats) -> Floats:
        """Return L' x."""

    @abstractmethod
    def solve(self, x: Floats) -> Floats:
        """Return the inverse of C times x.

        Raises
        ------
        SolverError
            C is singular.
        """

    @abstractmethod
    def logdet(self) -> float:
        """Return the natural logarithm of the determinant of C."""

    @abstractmethod
    def scaled(self, factor: float) -> Covariance:
        """Return the operator ``factor * C`` (a factor on variances)."""

    def dense(self) -> Floats:
        """Return C as an array; only for small problems and tests."""
        return self.matmul(np.eye(self.size))

    def __matmul__(self, x: Floats) -> Floats:
        return self.matmul(x)


def scale_rows(x: Floats, scale: Floats) -> Floats:
    """Return diag(scale) x for a vector or a block of columns."""
    return scale * x if x.ndim == 1 else scale[:, None] * x


def cholesky(matrix: npt.ArrayLike, what: str, *, tolerance: float = 1e-8) -> Floats:
    """Return the lower Cholesky factor of a symmetric matrix, or say why there is none.

    Parameters
    ----------
    matrix : array_like, shape (n, n)
        Symmetric within `tolerance` of its largest entry.
    what : str
        Named in the error text.
    tolerance : float
        Relative asymmetry that is put down to rounding.

    Raises
    ------
    RangeError
        A value that is not finite.
    SolverError
        Not square, not symmetric, or not positive definite (with its smallest eigenvalue).
    """
    array = np.asarray(matrix, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise SolverError(f"{what} must be a square matrix, found shape {array.shape}")
    if not np.isfinite(array).all():
        raise RangeError(f"{what} has {np.count_nonzero(~np.isfinite(array))} values that are not finite")
    gap = np.abs(array - array.T).max(initial=0.0)
    if gap > tolerance * np.abs(array).max(initial=0.0):
        raise SolverError(f"{what} is not symmetric: it differs from its transpose by up to {gap:.3g}")
    try:
        return np.asarray(la.cholesky(array, lower=True, check_finite=False))
    except la.LinAlgError:
        low, high = la.eigvalsh(array)[[0, -1]]
        raise SolverError(
            f"{what} is not positive definite: its eigenvalues go from {low:.3g} to {high:.3g}"
        ) from None


def checked_deviations(values: npt.ArrayLike, size: int, what: str) -> Floats:
    """Return standard deviations as a flat array of `size`, checked."""
    array = np.asarray(values, dtype=np.float64)
    try:
        flat = np.broadcast_to(array.reshape(-1) if array.ndim else array, (size,)).copy()
    except ValueError:
        raise SolverError(f"{what} must have {size} values or one, found shape {array.shape}") from None
    bad = ~np.isfinite(flat) | (flat < 0.0)
    if bad.any():
        at = int(np.argmax(bad))
        raise RangeError(
            f"{what} must be finite and not negative; entry {at} is {flat[at]:g} ({bad.sum()} in all)"
        )
    if size and not flat.any():
        raise SolverError(f"{what} is zero everywhere: the observations could change nothing")
    flat.flags.writeable = False
    return flat


class DiagonalCovariance(Covariance):
    """Independent errors.

    Parameters
    ----------
    variance : array_like, shape (size,)
        Not negative, not all zero.
    """

    def __init__(self, variance: npt.ArrayLike) -> None:
        array = np.asarray(variance, dtype=np.float64)
        if array.ndim != 1:
            raise SolverError(f"a variance vector has one dimension, found shape {array.shape}")
        self._variance = checked_deviations(array, array.size, "the variance")

    @property
    def size(self) -> int:  # noqa: D102
        return self._variance.size

    def diagonal(self) -> Floats:  # noqa: D102
        return self._variance

    def matmul(self, x: Floats) -> Floats:  # noqa: D102
        return scale_rows(x, self._variance)

    def factor(self, z: Floats) -> Floats:  # noqa: D102
        return scale_rows(z, np.sqrt(self._variance))

    def factor_transposed(self, x: Floats) -> Floats:  # noqa: D102
        return self.factor(x)

    def solve(self, x: Floats) -> Floats:  # noqa: D102
        return scale_rows(x, 1.0 / checked_positive(self._variance))

    def logdet(self) -> float:  # noqa: D102
        return float(np.log(checked_positive(self._variance)).sum())

    def scaled(self, factor: float) -> DiagonalCovariance:  # noqa: D102
        return DiagonalCovariance(factor * self._variance)


def checked_positive(values: Floats) -> Floats:
    zeros = np.count_nonzero(values == 0.0)
    if zeros:
        raise SolverError(f"the covariance is singular: {zeros} of {values.size} variances are zero")
    return values


class DenseCovariance(Covariance):
    """A full matrix.

    Parameters
    ----------
    matrix : array_like, shape (size, size)
        Symmetric positive definite.
    name : str
        Named in error texts.
    """

    def __init__(self, matrix: npt.ArrayLike, name: str = "the covariance matrix") -> None:
        self.root = cholesky(matrix, name)
        self._matrix = np.asarray(matrix, dtype=np.float64)

    @property
    def size(self) -> int:  # noqa: D102
        return self._matrix.shape[0]

    def diagonal(self) -> Floats:  # noqa: D102
        return np.diagonal(self._matrix).copy()

    def matmul(self, x: Floats) -> Floats:  # noqa: D102
        return self._matrix @ x

    def factor(self, z: Floats) -> Floats:  # noqa: D102
        return self.root @ z

    def factor_transposed(self, x: Floats) -> Floats:  # noqa: D102
        return self.root.T @ x

    def solve(self, x: Floats) -> Floats:  # noqa: D102
        return np.asarray(la.cho_solve((self.root, True), x, check_finite=False))

    def logdet(self) -> float:  # noqa: D102
        return 2.0 * float(np.log(np.diagonal(self.root)).sum())

    def scaled(self, factor: float) -> DenseCovariance:  # noqa: D102
        return DenseCovariance(factor * self._matrix)


class LowRankCovariance(Covariance):
    """``U C U'`` with few columns, such as an error that is common to a province.

    Parameters
    ----------
    patterns : array_like or sparse, shape (size, k)
        U: what a unit of each common error does to the state.
    core : array_like, shape (k, k)
        C: covariance of the common errors, positive definite.
    """

    def __init__(self, patterns: npt.ArrayLike | Any, core: npt.ArrayLike) -> None:
        self.core = np.asarray(core, dtype=np.float64)
        self.patterns = sp.csr_array(patterns, dtype=np.float64)
        if self.patterns.shape[1] != self.core.shape[0]:
            raise SolverError(
                f"{self.patterns.shape[1]} patterns need a core of that size, found {self.core.shape}"
            )
        self._root = sp.csr_array(
            self.patterns @ sp.csr_array(cholesky(self.core, "the core of a low-rank covariance"))
        )

    @property
    def size(self) -> int:  # noqa: D102
        return int(self.patterns.shape[0])

    @property
    def factor_size(self) -> int:  # noqa: D102
        return int(self.patterns.shape[1])

    def diagonal(self) -> Floats:  # noqa: D102
        return np.asarray(self._root.multiply(self._root).sum(axis=1)).ravel()

    def matmul(self, x: Floats) -> Floats:  # noqa: D102
        return np.asarray(self._root @ (self._root.T @ x))

    def factor(self, z: Floats) -> Floats:  # noqa: D102
        return np.asarray(self._root @ z)

    def factor_transposed(self, x: Floats) -> Floats:  # noqa: D102
        return np.asarray(self._root.T @ x)

    def solve(self, x: Floats) -> Floats:  # noqa: D102
        raise SolverError("a low-rank covariance is singular; add an independent part to it")

    def logdet(self) -> float:  # noqa: D102
        raise SolverError("a low-rank covariance is singular; add an independent part to it")

    def scaled(self, factor: float) -> LowRankCovariance:  # noqa: D102
        return LowRankCovariance(self.patterns, factor * self.core)


class SumCovariance(Covariance):
    """A regular covariance plus low-rank ones, for errors that are common to many elements.

    Parameters
    ----------
    base : Covariance
        Any operator.
    *extra : Covariance
        Operators of the same size.
    """

    def __init__(self, base: Covariance, *extra: Covariance) -> None:
        self.parts = (base, *extra)
        if any(p.size != base.size for p in extra):
            raise SolverError(f"covariances of sizes {[p.size for p in self.parts]} cannot be added")

    @property
    def size(self) -> int:  # noqa: D102
        return self.parts[0].size

    @property
    def factor_size(self) -> int:  # noqa: D102
        return sum(p.factor_size for p in self.parts)

    def diagonal(self) -> Floats:  # noqa: D102
        return np.sum([p.diagonal() for p in self.parts], axis=0)

    def matmul(self, x: Floats) -> Floats:  # noqa: D102
        return np.asarray(sum(p.matmul(x) for p in self.parts))

    def factor(self, z: Floats) -> Floats:  # noqa: D102
        cuts = np.cumsum([p.factor_size for p in self.parts])[:-1]
        return np.asarray(sum(p.factor(part) for p, part in zip(self.parts, np.split(z, cuts), strict=True)))

    def factor_transposed(self, x: Floats) -> Floats:  # noqa: D102
        return np.concatenate([p.factor_transposed(x) for p in self.parts])

    @cached_property
    def _woodbury(self) -> tuple[Floats, Floats, Floats]:
        """Return U (size, k) of the extra parts, base^-1 U, and the Cholesky factor of I + U' base^-1 U."""
        low = [p.factor(np.eye(p.factor_size)) for p in self.parts[1:]]
        u = np.concatenate(low, axis=1) if low else np.zeros((self.size, 0))
        w = self.parts[0].solve(u)
        return u, w, cholesky(np.eye(u.shape[1]) + u.T @ w, "the capacitance matrix")

    def solve(self, x: Floats) -> Floats:  # noqa: D102
        _, w, c = self._woodbury
        return self.parts[0].solve(x) - w @ la.cho_solve((c, True), w.T @ x, check_finite=False)

    def logdet(self) -> float:  # noqa: D102
        return self.parts[0].logdet() + 2.0 * float(np.log(np.diagonal(self._woodbury[2])).sum())

    def scaled(self, factor: float) -> SumCovariance:  # noqa: D102
        return SumCovariance(*(p.scaled(factor) for p in self.parts))


class StretchedCovariance(Covariance):
    """``D C D`` with a diagonal D: the same correlations, each element in another unit.

    Parameters
    ----------
    base : Covariance
    stretch : array_like, shape (size,)
        Diagonal of D, positive.
    """

    def __init__(self, base: Covariance, stretch: npt.ArrayLike) -> None:
        self.base = base
        self.stretch = checked_deviations(stretch, base.size, "the stretch")

    @property
    def size(self) -> int:  # noqa: D102
        return self.base.size

    @property
    def factor_size(self) -> int:  # noqa: D102
        return self.base.factor_size

    def diagonal(self) -> Floats:  # noqa: D102
        return np.asarray(self.stretch**2 * self.base.diagonal())

    def matmul(self, x: Floats) -> Floats:  # noqa: D102
        return scale_rows(self.base.matmul(scale_rows(x, self.stretch)), self.stretch)

    def factor(self, z: Floats) -> Floats:  # noqa: D102
        return scale_rows(self.base.factor(z), self.stretch)

    def factor_transposed(self, x: Floats) -> Floats:  # noqa: D102
        return self.base.factor_transposed(scale_rows(x, self.stretch))

    def solve(self, x: Floats) -> Floats:  # noqa: D102
        inverse = 1.0 / checked_positive(self.stretch)
        return scale_rows(self.base.solve(scale_rows(x, inverse)), inverse)

    def logdet(self) -> float:  # noqa: D102
        return self.base.logdet() + 2.0 * float(np.log(checked_positive(self.stretch)).sum())

    def scaled(self, factor: float) -> StretchedCovariance:  # noqa: D102
        return StretchedCovariance(self.base.scaled(factor), self.stretch)


class BlockDiagonalCovariance(Covariance):
    """Independent blocks, one a component of the state or a group of observations.

    Parameters
    ----------
    blocks : sequence of Covariance
        In the order of the vector.
    """

    def __init__(self, blocks: Sequence[Covariance]) -> None:
        self.blocks = tuple(blocks)
        if not self.blocks:
            raise SolverError("a block-diagonal covariance needs a block")
        self._cuts = np.cumsum([b.size for b in self.blocks])[:-1]
        self._factor_cuts = np.cumsum([b.factor_size for b in self.blocks])[:-1]

    @property
    def size(self) -> int:  # noqa: D102
        return sum(b.size for b in self.blocks)

    @property
    def factor_size(self) -> int:  # noqa: D102
        return sum(b.factor_size for b in self.blocks)

    def diagonal(self) -> Floats:  # noqa: D102
        return np.concatenate([b.diagonal() for b in self.blocks])

    def matmul(self, x: Floats) -> Floats:  # noqa: D102
        return np.concatenate(
            [b.matmul(p) for b, p in zip(self.blocks, np.split(x, self._cuts), strict=True)]
        )

    def factor(self, z: Floats) -> Floats:  # noqa: D102
        return np.concatenate(
            [b.factor(p) for b, p in zip(self.blocks, np.split(z, self._factor_cuts), strict=True)]
        )

    def factor_transposed(self, x: Floats) -> Floats:  # noqa: D102
        parts = np.split(x, self._cuts)
        return np.concatenate([b.factor_transposed(p) for b, p in zip(self.blocks, parts, strict=True)])

    def solve(self, x: Floats) -> Floats:  # noqa: D102
        return np.concatenate([b.solve(p) for b, p in zip(self.blocks, np.split(x, self._cuts), strict=True)])

    def logdet(self) -> float:  # noqa: D102
        return sum(b.logdet() for b in self.blocks)

    def scaled(self, factor: float) -> BlockDiagonalCovariance:  # noqa: D102
        return BlockDiagonalCovariance([b.scaled(factor) for b in self.blocks])


def as_covariance(given: Any, size: int, what: str) -> Covariance:
    """Turn a variance vector, a matrix or an operator into an operator of the right size.

    Parameters
    ----------
    given : Covariance, array_like
        One dimension: variances. Two: a full matrix (a sparse one that is diagonal is read as variances).
    size : int
        Rows it must have.
    what : str
        Named in error texts.

    Raises
    ------
    SolverError, RangeError
        Wrong size, not finite, not positive definite.
    """
    if isinstance(given, Covariance):
        operator = given
    elif sp.issparse(given):
        matrix = sp.csr_array(given)
        off = matrix - sp.diags_array(matrix.diagonal())
        operator = (
            DenseCovariance(matrix.toarray(), what)
            if abs(off).sum()
            else DiagonalCovariance(matrix.diagonal())
        )
    else:
        array = np.asarray(given, dtype=np.float64)
        operator = DenseCovariance(array, what) if array.ndim == 2 else DiagonalCovariance(array)
    if operator.size != size:
        raise SolverError(f"{what} has {operator.size} rows where {size} are needed")
    return operator


def project(matrix: Any, covariance: Covariance, *, block: int = 512, out: Floats | None = None) -> Floats:
    """Return ``H C H'``, a block of rows at a time so that no (size, rows) array is made.

    Parameters
    ----------
    matrix : ndarray or sparse, shape (n, size)
        H.
    covariance : Covariance
        C.
    block : int
        Rows of H at a time.
    out : ndarray, shape (n, n), optional
        Where the result goes.

    Returns
    -------
    ndarray, shape (n, n)
        Symmetric to rounding.
    """
    n = matrix.shape[0]
    result = np.empty((n, n)) if out is None else out
    for start in range(0, n, block):
        rows = matrix[start : start + block]
        strip = rows.toarray() if sp.issparse(rows) else np.asarray(rows)
        result[:, start : start + block] = matrix @ covariance.matmul(
            np.ascontiguousarray(strip.T, dtype=np.float64)
        )
    return result
