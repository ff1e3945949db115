"""Separable covariance in time and space, of which only the two factors are held."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import scipy.linalg as la
import scipy.sparse as sp

from inversion.operators.covariance import (
    Covariance,
    checked_deviations,
    checked_positive,
    cholesky,
    scale_rows,
)
from inversion.operators.toeplitz import GridCorrelation, as_grid_correlation
from obsnet.errors import SolverError
from obsnet.typing import Floats

__all__ = ["KroneckerCovariance"]

_LARGE = 500_000  # numbers below which threads take longer to start than they save


class KroneckerCovariance(Covariance):
    """Separable prior error ``diag(sigma) (E (x) D) diag(sigma)``; state index = time * cells + cell.

    Parameters
    ----------
    sigma : array_like, shape (times * cells,) or (times, cells), or a number
        Standard deviation of each state element; zero where it is known.
    time_correlation : array_like, shape (times, times)
        Correlation between time bins (E), positive definite.
    space_correlation : array_like, sparse or GridCorrelation, shape (cells, cells)
        Correlation between cells (D), positive definite. A sparse matrix serves the methods that need only
        products (``dual``, ``cg``). That of a large grid of even longitudes is kept by its Toeplitz blocks.

    Notes
    -----
    Yadav and Michalak (2013), Geosci. Model Dev. 6, 583, doi:10.5194/gmd-6-583-2013: a product costs
    2 M (times + cells) operations instead of 2 M^2.
    """

    def __init__(
        self, sigma: npt.ArrayLike, time_correlation: npt.ArrayLike, space_correlation: npt.ArrayLike | Any
    ) -> None:
        self.time = _correlation(
            np.atleast_2d(np.asarray(time_correlation, dtype=np.float64)), "the time correlation"
        )
        self.space: Any = space_correlation
        if sp.issparse(self.space):
            self.space = sp.csr_array(self.space)
        elif not isinstance(self.space, GridCorrelation):
            self.space = np.asarray(self.space, dtype=np.float64)
        if self.space.ndim != 2 or self.space.shape[0] != self.space.shape[1]:
            raise SolverError(
                f"the space correlation must be a square matrix, found shape {self.space.shape}"
            )
        self.shape = (self.time.shape[0], self.space.shape[0])
        self.sigma = checked_deviations(sigma, self.shape[0] * self.shape[1], "the prior standard deviation")
        if isinstance(self.space, np.ndarray):
            _correlation(self.space, "the space correlation")
            _ = self.factors  # positive definite, or an error now
            blocks = as_grid_correlation(self.space)
            if blocks is not None:
                self.space = blocks
                del self.factors

    @property
    def size(self) -> int:  # noqa: D102
        return self.sigma.size

    @cached_property
    def factors(self) -> tuple[Floats, Floats]:
        """Lower Cholesky factors of E and D."""
        if sp.issparse(self.space):
            raise SolverError("a sparse space correlation has no factor; use method 'dual' or 'cg'")
        space = self.space.toarray() if isinstance(self.space, GridCorrelation) else self.space
        return cholesky(self.time, "the time correlation"), cholesky(space, "the space correlation")

    def _apply(self, x: Floats, time: Floats, space: Any, spare: Floats | None = None) -> Floats:
        """Return ``(time (x) space) x``; `spare` is memory like x (or x itself) that may be written over."""
        nt, ns = self.shape
        cube = x.reshape(nt, ns, -1)
        k = cube.shape[2]
        if nt > 1:
            cube = (time @ cube.reshape(nt, ns * k)).reshape(nt, ns, k)
        if k == 1:
            return np.asarray((space @ cube[:, :, 0].T).T).reshape(x.shape)
        if isinstance(space, GridCorrelation):
            out = np.empty_like(cube) if spare is None or nt == 1 else spare.reshape(cube.shape)
            # each step by itself, so that the numbers are the same for any count of threads
            with ThreadPoolExecutor(numba.get_num_threads() if cube.size > _LARGE else 1) as pool:
                list(pool.map(space.multiply, cube, out))
            return out.reshape(x.shape)
        if sp.issparse(space):
            return (
                np.asarray(space @ cube.transpose(1, 0, 2).reshape(ns, nt * k))
                .reshape(ns, nt, k)
                .transpose(1, 0, 2)
                .reshape(x.shape)
            )
        return np.matmul(space, cube).reshape(x.shape)

    def diagonal(self) -> Floats:  # noqa: D102
        return self.sigma**2

    def matmul(self, x: Floats) -> Floats:  # noqa: D102
        scaled = scale_rows(x, self.sigma)
        moved = self._apply(scaled, self.time, self.space, spare=scaled)
        moved *= self.sigma if x.ndim == 1 else self.sigma[:, None]
        return moved

    def factor(self, z: Floats) -> Floats:  # noqa: D102
        return scale_rows(self._apply(z, *self.factors), self.sigma)

    def factor_transposed(self, x: Floats) -> Floats:  # noqa: D102
        time, space = self.factors
        return self._apply(scale_rows(x, self.sigma), time.T, space.T)

    def solve(self, x: Floats) -> Floats:  # noqa: D102
        weight = 1.0 / checked_positive(self.sigma)
        time, space = self.inverses
        return scale_rows(self._apply(scale_rows(x, weight), time, space), weight)

    @cached_property
    def inverses(self) -> tuple[Floats, Floats]:
        """Inverses of E and D."""
        time, space = (la.cho_solve((f, True), np.eye(f.shape[0]), check_finite=False) for f in self.factors)
        return time, space

    def logdet(self) -> float:  # noqa: D102
        nt, ns = self.shape
        time, space = (float(np.log(np.diagonal(f)).sum()) for f in self.factors)
        return 2.0 * (float(np.log(checked_positive(self.sigma)).sum()) + ns * time + nt * space)

    def scaled(self, factor: float) -> KroneckerCovariance:  # noqa: D102
        return KroneckerCovariance(np.sqrt(factor) * self.sigma, self.time, self.space)


def _correlation(matrix: Floats, what: str) -> Floats:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise SolverError(f"{what} must be a square matrix, found shape {matrix.shape}")
    off = np.abs(np.diagonal(matrix) - 1.0).max(initial=0.0)
    if not off <= 1e-6:
        raise SolverError(
            f"{what} must have ones on its diagonal, found a difference of {off:.3g}; give sigma apart"
        )
    return matrix
