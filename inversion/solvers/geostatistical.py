"""Fluxes as a trend plus correlated deviations: the trend's coefficients are estimated with the fluxes.

``x = x_b + X beta + xi`` with ``xi ~ N(0, Q)`` and nothing known of beta (Kitanidis 1995, Water Resour. Res. 31, 2411,
doi:10.1029/95WR01945; Michalak, Bruhwiler & Tans 2004, J. Geophys. Res. 109, D14109, doi:10.1029/2003JD004422). It is
the limit of an ordinary inversion with prior error ``Q + t^2 X X'`` for t to infinity, without its loss of digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.linalg as la

from inversion.problem.gained import GainedPosterior
from inversion.problem.posterior import Posterior
from inversion.problem.problem import Problem
from obsnet.errors import SolverError
from obsnet.typing import Floats

__all__ = ["GeostatisticalPosterior", "TrendSystem", "select_trend", "solve_geostatistical"]


class TrendSystem:
    """What is known of the observations where a trend is not: ``Pi = S^-1 - S^-1 H X cov(beta) X'H' S^-1``.

    Parameters
    ----------
    base : Posterior
        Without a trend; its S is used.
    seen : ndarray, shape (n_obs, q)
        ``H X``.
    trend : ndarray, shape (n_state, q)
        X.
    beta_covariance : ndarray, shape (q, q)

    Notes
    -----
    Pi takes the place of ``S^-1``: ``d' Pi d`` is what the trend leaves, and ``(Pi d)_i / Pi_ii`` is observation i
    minus its prediction from all others with the trend fitted to those alone.
    """

    def __init__(self, base: Posterior, seen: Floats, trend: Floats, beta_covariance: Floats) -> None:
        self.base, self.trend, self.seen = base, trend, seen
        self.factorised = base.factorised
        self._root = la.cholesky(beta_covariance, lower=True) if seen.shape[1] else beta_covariance
        # S^-1 H X and (X - K H X), both times the root of the covariance of beta
        self.weighted = base.system.solve(seen) @ self._root
        self.left = trend - base.gain(seen)  # what of a trend the known mean would not find
        self.spread = self.left @ self._root

    def solve(self, v: Floats) -> Floats:
        """Return ``Pi v``."""
        return np.asarray(self.base.system.solve(v) - self.weighted @ (self.weighted.T @ v))

    def solve_diagonal(self) -> Floats:
        """Return the diagonal of Pi."""
        return self.base.system.solve_diagonal() - np.einsum("ij,ij->i", self.weighted, self.weighted)

    def forward(self, v: Floats) -> Floats:
        """Return ``K v``, the best unbiased gain."""
        return np.asarray(self.base.gain(v) + self.spread @ (self.weighted.T @ v))

    def transposed(self, v: Floats) -> Floats:
        """Return ``K' v``."""
        known = self.base.system.solve(self.base.problem.forward(self.base.problem.prior_error.matmul(v)))
        return np.asarray(known + self.weighted @ (self.spread.T @ v))

    def covariance(self, v: Floats) -> Floats:
        """Return ``P v``."""
        return np.asarray(self.base.covariance(v) + self.spread @ (self.spread.T @ v))

    def variance(self) -> Floats:
        """Return the diagonal of P, the trend's uncertainty included."""
        return self.base.variance() + np.einsum("ij,ij->i", self.spread, self.spread)

    def dofs(self) -> float:
        """Return tr(K H)."""
        return float(self.base.dofs + np.sum(self.weighted * (self.base.problem.forward(self.spread))))

    def logdet(self) -> float:
        """Return ``ln det S + ln det X'H' S^-1 H X``, what takes the place of ``ln det S`` (REML)."""
        return float(self.base.system.logdet() - 2.0 * np.log(np.diagonal(self._root)).sum())


@dataclass(frozen=True, eq=False)
class GeostatisticalPosterior(GainedPosterior):
    """Best unbiased estimate with a trend; see `Posterior`.

    Parameters
    ----------
    trend : ndarray, shape (n_state, q)
        X.
    beta : ndarray, shape (q,)
        Coefficients.
    beta_covariance : ndarray, shape (q, q)
    base : Posterior
        The same problem without a trend; its factorisation is used.

    Notes
    -----
    ``K H X = X``: a trend in the truth comes out whole. So the error does not depend on how large it is, and Joseph's
    form gives the same with the prior error Q or ``Q + t^2 X X'`` for any t.
    """

    system: TrendSystem = field(repr=False)
    trend: Floats = field(kw_only=True, repr=False)
    beta: Floats = field(kw_only=True)
    beta_covariance: Floats = field(kw_only=True)
    base: Posterior = field(kw_only=True, repr=False)

    @property
    def chi_square(self) -> float:
        """``d' Pi d / (n - q)``: about 1 where the errors are right."""
        return self.cost / (self.problem.n_obs - self.beta.size)

    @property
    def log_evidence(self) -> float:
        """Log likelihood of the observations with beta integrated out (REML), constants included."""
        constant = (self.problem.n_obs - self.beta.size) * float(np.log(2.0 * np.pi))
        return -0.5 * (self.system.logdet() + self.cost + constant)

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
    seen = problem.forward(x)
    weighted = base.system.solve(np.column_stack([seen, problem.innovation]))
    information = seen.T @ weighted[:, :-1]
    scale = np.sqrt(np.diagonal(information))
    if x.shape[1] and (not scale.all() or np.linalg.cond(information / np.outer(scale, scale)) > 1e12):
        raise SolverError(
            "the observations cannot tell the columns of the trend apart, or see nothing of one"
        )
    covariance = np.asarray(np.linalg.inv(0.5 * (information + information.T)), dtype=np.float64)
    beta = covariance @ (seen.T @ weighted[:, -1])
    system = TrendSystem(base, seen, x, covariance)
    return GeostatisticalPosterior(
        problem,
        base.mean + system.left @ beta,
        system,
        f"geostatistical ({base.method})",
        dict(base.stopping),
        applied=system,
        trend=x,
        beta=beta,
        beta_covariance=covariance,
        base=base,
    )


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
