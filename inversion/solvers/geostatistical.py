"""Fluxes as a trend plus correlated deviations: the trend's coefficients are estimated with the fluxes.

``x = x_b + X beta + xi`` with ``xi ~ N(0, Q)`` and nothing known of beta (Kitanidis 1995, Water Resour. Res. 31, 2411,
doi:10.1029/95WR01945; Michalak, Bruhwiler & Tans 2004, J. Geophys. Res. 109, D14109, doi:10.1029/2003JD004422). It is
the limit of an ordinary inversion with prior error ``Q + t^2 X X'`` for t to infinity, without its loss of digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg as la

from inversion.problem.posterior import Aggregate, Posterior
from inversion.problem.problem import Problem
from obsnet.errors import SolverError
from obsnet.typing import Floats

__all__ = ["GeostatisticalPosterior", "select_trend", "solve_geostatistical"]


@dataclass(frozen=True, eq=False)
class GeostatisticalPosterior:
    """Best estimate with a trend.

    Attributes
    ----------
    problem : Problem
        ``prior`` is what the trend adds to (usually zero), ``prior_error`` is Q.
    trend : ndarray, shape (n_state, q)
        X.
    mean : ndarray, shape (n_state,)
    beta : ndarray, shape (q,)
        Coefficients.
    beta_covariance : ndarray, shape (q, q)
    base : Posterior
        The same problem without a trend; its factorisation is used.
    """

    problem: Problem
    trend: Floats
    mean: Floats
    beta: Floats
    beta_covariance: Floats
    base: Posterior

    @cached_property
    def _spread(self) -> Floats:
        """(X - K H X) chol(cov beta): what not knowing beta adds, shape (n_state, q)."""
        moved = self.trend - self.base.gain(self.problem.forward(self.trend))
        return moved @ la.cholesky(self.beta_covariance, lower=True)

    def variance(self) -> Floats:
        """Return the variance of each element, the trend's uncertainty included, shape (n_state,)."""
        return self.base.variance() + np.einsum("ij,ij->i", self._spread, self._spread)

    def aggregate(self, weights: Any) -> Aggregate:
        """Return linear totals and their covariance, exactly; weights (p, n_state)."""
        g = np.atleast_2d(np.asarray(weights, dtype=np.float64))
        half = g @ self._spread
        return Aggregate(g @ self.mean, self.base.aggregate(g).covariance + half @ half.T)

    @cached_property
    def cost(self) -> float:
        """``d' Pi d``: what is left after the trend has been fitted, n - q where the errors are right."""
        d = self.problem.innovation - self.problem.forward(self.trend @ self.beta)
        return float(d @ self.base.system.solve(d))

    @property
    def chi_square(self) -> float:
        """``d' Pi d / (n - q)``: about 1 where the errors are right."""
        return self.cost / (self.problem.n_obs - self.beta.size)

    @property
    def restricted_log_likelihood(self) -> float:
        """Log likelihood of the observations with beta integrated out (REML), constants included."""
        n, q = self.problem.n_obs, self.beta.size
        trend = -np.linalg.slogdet(self.beta_covariance)[1]
        return -0.5 * float(self.base.system.logdet() + trend + self.cost + (n - q) * np.log(2.0 * np.pi))

    @property
    def bic(self) -> float:
        """Bayesian information criterion, ``ln det S + d' Pi d + q ln n``: smaller is better."""
        return float(self.base.system.logdet() + self.cost + self.beta.size * np.log(self.problem.n_obs))


def solve_geostatistical(
    problem: Problem, trend: npt.ArrayLike, *, method: str = "auto"
) -> GeostatisticalPosterior:
    """Estimate fluxes and trend coefficients together.

    Parameters
    ----------
    problem : Problem
        ``prior_error`` is the covariance of the deviations from the trend.
    trend : array_like, shape (n_state, q)
        X: patterns such as a constant, an inventory, a vegetation index; q = 0 is the ordinary problem with a known
        mean.
    method : str
        Of the factorisation, see `inversion.solve`.

    Returns
    -------
    GeostatisticalPosterior

    Raises
    ------
    SolverError
        A trend of the wrong shape, or whose columns the observations cannot tell apart.
    """
    from inversion.solvers.choose import solve

    x = np.asarray(trend, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] != problem.n_state or not np.isfinite(x).all():
        raise SolverError(f"a trend has shape ({problem.n_state}, q) and finite values, found {x.shape}")
    base = solve(problem, method=method)
    if x.shape[1] == 0:
        return GeostatisticalPosterior(problem, x, base.mean, np.zeros(0), np.zeros((0, 0)), base)
    hx = problem.forward(x)
    weighted = base.system.solve(np.column_stack([hx, problem.innovation]))
    information = hx.T @ weighted[:, :-1]
    scale = np.sqrt(np.diagonal(information))
    if not scale.all() or np.linalg.cond(information / np.outer(scale, scale)) > 1e12:
        raise SolverError(
            "the observations cannot tell the columns of the trend apart, or see nothing of one"
        )
    covariance = np.asarray(np.linalg.inv(0.5 * (information + information.T)), dtype=np.float64)
    beta = covariance @ (hx.T @ weighted[:, -1])
    z = weighted[:, -1] - weighted[:, :-1] @ beta
    mean = problem.prior + x @ beta + problem.prior_error.matmul(problem.adjoint(z))
    return GeostatisticalPosterior(problem, x, mean, beta, covariance, base)


def select_trend(
    problem: Problem, candidates: dict[str, npt.ArrayLike], *, always: Sequence[str] = ()
) -> tuple[list[str], dict[str, float]]:
    """Choose columns of the trend by the Bayesian information criterion, one at a time.

    Parameters
    ----------
    problem : Problem
        See `solve_geostatistical`.
    candidates : dict of str to array_like (n_state,)
        Columns to choose from.
    always : sequence of str
        Columns that are in from the start.

    Returns
    -------
    list of str, dict
        Names chosen, in the order in which they came; BIC after each.
    """
    columns = {k: np.asarray(v, dtype=np.float64) for k, v in candidates.items()}
    unknown = [a for a in always if a not in columns]
    if unknown:
        raise SolverError(f"no candidate is called {unknown[0]!r}; there is: {', '.join(columns)}")

    def score(names: Sequence[str]) -> float:
        stacked = np.column_stack([columns[n] for n in names]) if names else np.zeros((problem.n_state, 0))
        return solve_geostatistical(problem, stacked).bic

    chosen = list(always)
    best = score(chosen)
    path = {"+".join(chosen) or "none": best}
    while len(chosen) < len(columns):
        trials = {name: score([*chosen, name]) for name in columns if name not in chosen}
        name = min(trials, key=lambda n: trials[n])
        if trials[name] >= best:
            break
        chosen.append(name)
        best = trials[name]
        path["+".join(chosen)] = best
    return chosen, path
