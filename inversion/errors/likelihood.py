"""How likely the observations are for other sizes of the errors: the whole surface from one decomposition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg as la

from inversion.problem.innovation import innovation_covariance
from inversion.problem.problem import Problem
from inversion.solvers.primal import normal_matrix
from obsnet.typing import Floats

__all__ = ["LikelihoodSurface", "likelihood_surface"]

_LARGEST = 2000  # the smaller side of the problem: an eigenvalue decomposition of that size


@dataclass(frozen=True, eq=False)
class LikelihoodSurface:
    """Log evidence over factors on the assumed standard deviations.

    Attributes
    ----------
    prior_factor, observation_factor : ndarray, shape (p,), (r,)
        1 is what was assumed.
    log_evidence : ndarray, shape (p, r)
    """

    prior_factor: Floats
    observation_factor: Floats
    log_evidence: Floats

    @property
    def best(self) -> tuple[float, float]:
        """Factors of the greatest likelihood on the grid: (prior, observation)."""
        i, j = np.unravel_index(int(np.argmax(self.log_evidence)), self.log_evidence.shape)
        return float(self.prior_factor[i]), float(self.observation_factor[j])


def likelihood_surface(
    problem: Problem,
    prior_factor: npt.ArrayLike | None = None,
    observation_factor: npt.ArrayLike | None = None,
) -> LikelihoodSurface | None:
    """Compute the log evidence for all pairs of factors on prior and observation error.

    Parameters
    ----------
    problem : Problem
        At most 2000 observations or 2000 unknowns (the smaller counts).
    prior_factor, observation_factor : array_like, optional
        Factors on the standard deviations; by default 1/4 to 4 and 1/2 to 2.

    Returns
    -------
    LikelihoodSurface or None
        None where the problem is too large.

    Notes
    -----
    With w_i the eigenvalues of ``R^-1 H B H'`` and u the innovation in its eigenvectors, factors a and b give
    ``-2 ln L = ln det R + sum ln(b^2 + a^2 w_i) + u_i^2 / (b^2 + a^2 w_i) + n ln 2 pi``.
    """
    a = np.geomspace(0.25, 4.0, 33) if prior_factor is None else np.asarray(prior_factor, dtype=np.float64)
    b = (
        np.geomspace(0.5, 2.0, 33)
        if observation_factor is None
        else np.asarray(observation_factor, dtype=np.float64)
    )
    n, m, error = problem.n_obs, problem.prior_error.factor_size, problem.observation_error
    if min(n, m) > _LARGEST:
        return None
    d = problem.innovation
    solved = error.solve(d)
    total = float(d @ solved)
    if n <= m:
        r = error.dense()
        values, vectors = la.eigh(innovation_covariance(problem) - r, r, check_finite=False)
        energy = (vectors.T @ d) ** 2
    else:
        prior = problem.prior_error
        half = prior.factor_transposed(normal_matrix(problem))
        values, vectors = la.eigh(prior.factor_transposed(np.ascontiguousarray(half.T)), check_finite=False)
        projected = vectors.T @ prior.factor_transposed(problem.adjoint(solved))
        seen = values > 1e-12 * max(values[-1], 1e-300)
        energy = np.where(seen, projected**2 / np.where(seen, values, 1.0), 0.0)
    values = np.maximum(values, 0.0)
    rest, free = max(total - float(energy.sum()), 0.0), n - values.size
    fixed = error.logdet() + n * float(np.log(2.0 * np.pi))
    surface = np.empty((a.size, b.size))
    for i, prior_scale in enumerate(a):
        for j, noise_scale in enumerate(b):
            s = noise_scale**2 + prior_scale**2 * values
            blind = free * 2.0 * np.log(noise_scale) + rest / noise_scale**2
            surface[i, j] = -0.5 * (fixed + float(np.sum(np.log(s) + energy / s)) + blind)
    return LikelihoodSurface(a, b, surface)
