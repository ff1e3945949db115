"""The likelihood of error sizes with the state integrated out, from matrices that are computed once.

With ``B = L L'``, T the factors tau on the columns of L, and ``M_g = L' H_g' R_g^-1 H_g L``, the density of the
observations under prior errors ``tau_b^2 B_b`` and observation errors ``s_g^2 R_g`` is::

    -2 ln p(y | tau, s) = sum_g [n_g ln s_g^2 + ln det R_g + d_g' R_g^-1 d_g / s_g^2] + ln det A - u' A^-1 u
    A = I + T (sum_g M_g / s_g^2) T,     u = T sum_g L' H_g' R_g^-1 d_g / s_g^2

so a value costs one Cholesky factor of the size of the state, whatever the number of observations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg as la

from inversion.operators.covariance import BlockDiagonalCovariance, Covariance
from inversion.problem.problem import Problem
from inversion.solvers.split import split_error
from obsnet.typing import Floats, Ints

__all__ = ["Marginal", "marginalise"]


@dataclass(frozen=True, eq=False)
class Marginal:
    """All that the likelihood needs of the observations, for each alternative prior.

    Parameters
    ----------
    priors : tuple of Covariance
        The alternatives.
    normal : tuple of ndarray, shape (groups, q * q)
        M_g, for each alternative; q columns of L.
    right : tuple of ndarray, shape (groups, q)
        ``L' H_g' R_g^-1 d_g``.
    block : tuple of ndarray of int, shape (q,)
        Component of each column of L.
    square, count, logdet : ndarray, shape (groups,)
        ``d_g' R_g^-1 d_g``, observations, ``ln det R_g``.
    components : int
        Number of factors tau.
    """

    priors: tuple[Covariance, ...]
    normal: tuple[Floats, ...]
    right: tuple[Floats, ...]
    block: tuple[Ints, ...]
    square: Floats
    count: Floats
    logdet: Floats
    components: int

    @property
    def size(self) -> int:
        """Number of parameters: tau of each component, then s of each group."""
        return self.components + self.count.size

    def system(self, alternative: int, theta: Floats) -> tuple[Floats, Floats, Floats]:
        """Return A (n, q, q), u (n, q) and T (n, q) of parameters theta (n, size)."""
        scale = np.exp(theta[:, : self.components])[:, self.block[alternative]]
        weight = np.exp(-2.0 * theta[:, self.components :])
        q = scale.shape[1]
        a = (weight @ self.normal[alternative]).reshape(-1, q, q)
        a *= scale[:, :, None]
        a *= scale[:, None, :]
        a[:, np.arange(q), np.arange(q)] += 1.0
        return a, (weight @ self.right[alternative]) * scale, scale

    def log_likelihood(
        self, alternative: int, theta: Floats, advance: Callable[[int], None] = lambda _rows: None
    ) -> Floats:
        """Return ``ln p(y | a, theta)`` of each row of theta, shape (n,); `advance` hears how many are done."""
        out = np.empty(len(theta))
        step = max(1, int(4e6) // max(self.right[alternative].shape[1], 1) ** 2)
        for start in range(0, len(theta), step):
            part = theta[start : start + step]
            a, u, _ = self.system(alternative, part)
            n, q = u.shape
            # One factor of A bordered by u: its last row is the root of A times the inverse of A times u.
            bordered = np.empty((n, q + 1, q + 1))
            bordered[:, :q, :q] = a
            bordered[:, q, :q] = bordered[:, :q, q] = u
            bordered[:, q, q] = 1.0 + np.einsum("ij,ij->i", u, u)
            root = np.linalg.cholesky(bordered)
            inner = 2.0 * np.log(np.einsum("ijj->ij", root)[:, :q]).sum(axis=1)
            quadratic = np.einsum("ij,ij->i", root[:, q, :q], root[:, q, :q])
            out[start : start + step] = -0.5 * (self._outer(part) + inner - quadratic)
            advance(n)
        return out

    def _outer(self, theta: Floats) -> Floats:
        logs = 2.0 * theta[:, self.components :]
        known = self.logdet.sum() + self.count.sum() * np.log(2.0 * np.pi)
        return np.asarray(logs @ self.count + np.exp(-logs) @ self.square + known)

    def gradient(self, alternative: int, theta: Floats) -> tuple[float, Floats]:
        """Return ``ln p(y | a, theta)`` of one theta and its gradient."""
        a, u, scale = (x[0] for x in self.system(alternative, theta[None]))
        q, block = u.size, self.block[alternative]
        root = la.cholesky(a, lower=True, check_finite=False)
        inverse = la.cho_solve((root, True), np.eye(q), check_finite=False)
        half = la.solve_triangular(root, u, lower=True, check_finite=False)
        v = la.solve_triangular(root, half, lower=True, trans=1, check_finite=False)
        inner = 2.0 * float(np.log(np.diagonal(root)).sum()) - float(half @ half)
        value = -0.5 * (float(self._outer(theta[None])[0]) + inner)
        weight = np.exp(-2.0 * theta[self.components :])
        spread = (np.outer(scale, scale) * inverse + np.outer(scale * v, scale * v)).ravel()
        of_groups = weight * (
            self.normal[alternative] @ spread + self.square - 2.0 * self.right[alternative] @ (scale * v)
        )
        of_components = np.bincount(block, v**2 - 1.0 + np.diagonal(inverse), minlength=self.components)
        return value, np.concatenate([of_components, of_groups - self.count])


def marginalise(problem: Problem, priors: tuple[Covariance, ...], labels: npt.NDArray[Any]) -> Marginal:
    """Compute what the likelihood needs.

    Parameters
    ----------
    problem : Problem
        Its observation error, background and prior mean.
    priors : tuple of Covariance
        Alternatives for its prior error.
    labels : ndarray, shape (n_obs,)
        Groups of observations whose error has one size.

    Raises
    ------
    SolverError
        Errors correlated between groups.
    """
    parts = split_error(problem.observation_error, labels, "group")
    rows = {k: problem.select(r) for k, r, _ in parts}
    innovation = {k: part.innovation for k, part in rows.items()}
    normal, right, block = [], [], []
    for prior in priors:
        q = prior.factor_size
        root = prior.factor(np.eye(q))
        m, b = np.empty((len(parts), q * q)), np.empty((len(parts), q))
        for i, (label, _, error) in enumerate(parts):
            seen = rows[label].forward(root)
            white = error.solve(seen)
            m[i], b[i] = (seen.T @ white).ravel(), white.T @ innovation[label]
        normal.append(m)
        right.append(b)
        sizes = [p.factor_size for p in prior.blocks] if isinstance(prior, BlockDiagonalCovariance) else [q]
        block.append(np.repeat(np.arange(len(sizes)), sizes))
    return Marginal(
        priors,
        tuple(normal),
        tuple(right),
        tuple(block),
        np.array([innovation[k] @ e.solve(innovation[k]) for k, _, e in parts]),
        np.array([float(r.size) for _, r, _ in parts]),
        np.array([e.logdet() for _, _, e in parts]),
        int(block[0][-1]) + 1,
    )
