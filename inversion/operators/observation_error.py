"""Errors of the observations: independent, or correlated in time at a station and along an orbit."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.linalg as la
import scipy.sparse as sp

from inversion.operators.covariance import (
    BlockDiagonalCovariance,
    Covariance,
    DenseCovariance,
    DiagonalCovariance,
)
from obsnet.errors import RangeError, SolverError
from obsnet.typing import Floats, Ints

__all__ = ["MarkovError", "subset"]


class MarkovError(Covariance):
    """An independent part plus one that forgets exponentially within each group, in O(n).

    ``R = diag(independent) + diag(common) C diag(common)`` with ``C_ij = exp(-|p_i - p_j| / length)``
    inside a group and 0 between groups: an Ornstein-Uhlenbeck process in time at a station (AR(1) for even
    steps), or an exponential along an orbit's track. Its inverse on sorted positions is tridiagonal
    (Rybicki & Press 1995, doi:10.1103/PhysRevLett.74.1060), so nothing of size n^2 is made.

    Parameters
    ----------
    independent : array_like, shape (n,)
        Variance without memory (instrument): positive everywhere, or zero everywhere.
    common : array_like, shape (n,)
        Standard deviation of the part with memory (transport, representation).
    group : array_like, shape (n,)
        Stations or orbits.
    position : array_like, shape (n,)
        Time (hours) or distance along the track (km).
    length : float
        e-folding length, in the unit of `position`.

    Raises
    ------
    RangeError, SolverError
        Numbers that are not finite, a length that is not positive, a matrix that would be singular: no
        independent part and two observations of a group at one position.
    """

    def __init__(
        self,
        independent: npt.ArrayLike,
        common: npt.ArrayLike,
        group: npt.ArrayLike,
        position: npt.ArrayLike,
        length: float,
    ) -> None:
        self.independent, self.common, self.position = (
            np.asarray(a, dtype=np.float64) for a in (independent, common, position)
        )
        self.group, self.length = np.asarray(group), float(length)
        n = self.independent.size
        if any(a.shape != (n,) for a in (self.independent, self.common, self.group, self.position)):
            raise SolverError(
                "the parts of a correlated observation error must have one value an observation"
            )
        for name, values in (
            ("variance", self.independent),
            ("deviation", self.common),
            ("position", self.position),
        ):
            if not np.isfinite(values).all() or (name != "position" and (values < 0).any()):
                raise RangeError(f"the observation error's {name} must be finite and not negative")
        if not self.length > 0.0:
            raise RangeError(f"the correlation length of an observation error is positive, found {length:g}")
        self._white = bool((self.independent > 0.0).all())
        if not self._white and (self.independent.any() or not (self.common > 0.0).all()):
            raise SolverError(
                "give every observation an independent variance above zero, or none of them and all "
                "a common part"
            )
        keys = np.unique(self.group, return_inverse=True)[1]
        pairs, self._node = np.unique(np.stack([keys, self.position]), axis=1, return_inverse=True)
        self._node = self._node.ravel()
        if not self._white and pairs.shape[1] < n:
            raise SolverError(
                f"{n - pairs.shape[1]} observations share group and position with another and have no "
                "independent "
                "part: their errors would be identical"
            )
        rho = np.where(np.diff(pairs[0]) == 0, np.exp(-np.abs(np.diff(pairs[1])) / self.length), 0.0)
        self._rho = np.append(0.0, rho)
        self._scale = 1.0 / np.sqrt(-np.expm1(2.0 * np.log(np.maximum(self._rho, 1e-300))))

    @property
    def size(self) -> int:  # noqa: D102
        return self.independent.size

    @property
    def nodes(self) -> int:
        """Distinct positions."""
        return self._rho.size

    @property
    def factor_size(self) -> int:  # noqa: D102
        return self.nodes + (self.size if self._white else 0)

    @cached_property
    def _gather(self) -> sp.csr_array:
        """diag(common) P, shape (n, nodes)."""
        return sp.csr_array((self.common, (np.arange(self.size), self._node)), shape=(self.size, self.nodes))

    @cached_property
    def _whitener(self) -> Floats:
        """W with C^-1 = W' W as lower bands: diagonal, sub-diagonal."""
        bands = np.zeros((2, self.nodes))
        bands[0] = self._scale
        bands[1, :-1] = -(self._scale * self._rho)[1:]
        return bands

    def _unwhiten(self, z: Floats) -> Floats:
        """W^-1 z."""
        return np.asarray(la.solve_banded((1, 0), self._whitener, z, check_finite=False))

    def _unwhiten_transposed(self, x: Floats) -> Floats:
        """W'^-1 x."""
        upper = np.zeros_like(self._whitener)
        upper[0, 1:], upper[1] = self._whitener[1, :-1], self._whitener[0]
        return np.asarray(la.solve_banded((0, 1), upper, x, check_finite=False))

    @cached_property
    def _capacitance(self) -> Floats:
        """Banded Cholesky factor of C^-1 + (diag(common) P)' D^-1 (diag(common) P)."""
        w = self._whitener
        bands = np.zeros((2, self.nodes))
        bands[0] = w[0] ** 2
        bands[0, :-1] += w[1, :-1] ** 2
        bands[1, :-1] = w[0, 1:] * w[1, :-1]
        bands[0] += np.bincount(self._node, self.common**2 / self.independent, minlength=self.nodes)
        return np.asarray(la.cholesky_banded(bands, lower=True, check_finite=False))

    def diagonal(self) -> Floats:  # noqa: D102
        return self.independent + self.common**2

    def matmul(self, x: Floats) -> Floats:  # noqa: D102
        inner = self._gather.T @ x
        own = self.independent if x.ndim == 1 else self.independent[:, None]
        return np.asarray(own * x + self._gather @ self._unwhiten(self._unwhiten_transposed(inner)))

    def factor(self, z: Floats) -> Floats:  # noqa: D102
        result = self._gather @ self._unwhiten(z[: self.nodes])
        if self._white:
            root = np.sqrt(self.independent)
            result = result + (root if z.ndim == 1 else root[:, None]) * z[self.nodes :]
        return np.asarray(result)

    def factor_transposed(self, x: Floats) -> Floats:  # noqa: D102
        first = self._unwhiten_transposed(self._gather.T @ x)
        root = np.sqrt(self.independent)
        return np.concatenate([first, (root if x.ndim == 1 else root[:, None]) * x]) if self._white else first

    def solve(self, x: Floats) -> Floats:  # noqa: D102
        if not self._white:
            scale = self.common if x.ndim == 1 else self.common[:, None]
            z = np.empty_like(x, dtype=np.float64)
            z[self._node] = x / scale
            w = self._whitener
            y = (w[0] * z.T).T
            y[1:] += (w[1, :-1] * z[:-1].T).T
            back = (w[0] * y.T).T
            back[:-1] += (w[1, :-1] * y[1:].T).T
            return np.asarray(back[self._node] / scale)
        own = self.independent if x.ndim == 1 else self.independent[:, None]
        y = x / own
        inner = la.cho_solve_banded((self._capacitance, True), self._gather.T @ y, check_finite=False)
        return np.asarray(y - (self._gather @ inner) / own)

    def logdet(self) -> float:  # noqa: D102
        memory = -2.0 * float(np.log(self._scale).sum())
        if not self._white:
            return memory + 2.0 * float(np.log(self.common).sum())
        inner = 2.0 * float(np.log(self._capacitance[0]).sum())
        return memory + inner + float(np.log(self.independent).sum())

    def scaled(self, factor: float) -> MarkovError:  # noqa: D102
        return MarkovError(
            factor * self.independent, np.sqrt(factor) * self.common, self.group, self.position, self.length
        )

    def subset(self, rows: Ints) -> MarkovError:
        """Return the error of some observations."""
        return MarkovError(
            self.independent[rows], self.common[rows], self.group[rows], self.position[rows], self.length
        )


def subset(error: Covariance, rows: Ints) -> Covariance:
    """Return the error of some observations.

    Parameters
    ----------
    error : Covariance
        Error of all observations.
    rows : ndarray of int
        Which to keep, in their order.
    """
    if isinstance(error, DiagonalCovariance):
        return DiagonalCovariance(error.diagonal()[rows])
    if isinstance(error, MarkovError):
        return error.subset(rows)
    if isinstance(error, BlockDiagonalCovariance) and (np.diff(rows) > 0).all():
        blocks, start = [], 0
        for block in error.blocks:
            inside = rows[(rows >= start) & (rows < start + block.size)] - start
            if inside.size:
                blocks.append(subset(block, inside))
            start += block.size
        return BlockDiagonalCovariance(blocks)
    unit = np.zeros((error.size, rows.size))
    unit[rows, np.arange(rows.size)] = 1.0
    return DenseCovariance(error.matmul(unit)[rows], "the observation error")
