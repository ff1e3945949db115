"""Covariance of what has a normal logarithm: its own, not that of the logarithm."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from inversion.operators.covariance import BlockDiagonalCovariance, Covariance, DenseCovariance
from obsnet.typing import Bools, Floats

__all__ = ["LognormalCovariance", "lognormal_covariance"]

_COLUMNS = 256  # of the full matrix at a time


class LognormalCovariance(Covariance):
    """``m_i m_j (exp(B_ij) - 1)`` between lognormal elements with mean m, ``m_i B_ij`` between one and a normal one.

    Parameters
    ----------
    base : Covariance
        B: of the logarithm where lognormal, of the element itself elsewhere.
    mean : array_like, shape (size,)
        Mean of the element, not of its logarithm.
    logarithmic : ndarray of bool, shape (size,)
        Which elements are lognormal.

    Notes
    -----
    The exponential undoes every structure of B: columns of the full matrix are made, used and forgotten.
    """

    def __init__(self, base: Covariance, mean: npt.ArrayLike, logarithmic: Bools) -> None:
        self.base, self.logarithmic = base, logarithmic
        self.scale = np.where(logarithmic, np.asarray(mean, dtype=np.float64), 1.0)

    @property
    def size(self) -> int:  # noqa: D102
        return self.base.size

    @property
    def factor_size(self) -> int:  # noqa: D102
        return self._whole.factor_size

    def diagonal(self) -> Floats:  # noqa: D102
        variance, log = self.base.diagonal(), self.logarithmic
        return np.asarray(self.scale**2 * np.where(log, np.expm1(np.where(log, variance, 0.0)), variance))

    def matmul(self, x: Floats) -> Floats:  # noqa: D102
        flat = x[:, None] if x.ndim == 1 else x
        out = np.empty(flat.shape)
        for start in range(0, self.size, _COLUMNS):
            part = slice(start, min(start + _COLUMNS, self.size))
            out[part] = self._columns(part).T @ flat
        return out[:, 0] if x.ndim == 1 else out

    def _columns(self, part: slice) -> Floats:
        unit = np.zeros((self.size, part.stop - part.start))
        unit[np.arange(part.start, part.stop), np.arange(part.stop - part.start)] = 1.0
        columns = self.base.matmul(unit)
        both = self.logarithmic[:, None] & self.logarithmic[None, part]
        columns = np.where(both, np.expm1(np.where(both, columns, 0.0)), columns)
        return np.asarray(self.scale[:, None] * columns * self.scale[None, part])

    @cached_property
    def _whole(self) -> DenseCovariance:
        return DenseCovariance(self.matmul(np.eye(self.size)), "the covariance of lognormal elements")

    def factor(self, z: Floats) -> Floats:  # noqa: D102
        return self._whole.factor(z)

    def factor_transposed(self, x: Floats) -> Floats:  # noqa: D102
        return self._whole.factor_transposed(x)

    def solve(self, x: Floats) -> Floats:  # noqa: D102
        return self._whole.solve(x)

    def logdet(self) -> float:  # noqa: D102
        return self._whole.logdet()

    def scaled(self, factor: float) -> Covariance:  # noqa: D102
        return self._whole.scaled(factor)


def lognormal_covariance(base: Covariance, mean: Floats, logarithmic: Bools) -> Covariance:
    """Return the covariance of a state of which some elements are lognormal, in the blocks of `base`."""
    if not isinstance(base, BlockDiagonalCovariance):
        return LognormalCovariance(base, mean, logarithmic) if logarithmic.any() else base
    at = np.cumsum([b.size for b in base.blocks])[:-1]
    parts = zip(base.blocks, np.split(mean, at), np.split(logarithmic, at), strict=True)
    return BlockDiagonalCovariance([lognormal_covariance(*part) for part in parts])
