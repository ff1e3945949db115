"""Fluxes where the sizes of the errors are not known: averaged over draws of these sizes, with a test that knows it.

Means, variances and totals are those of the draws (`inversion.solvers.gibbs`), wider than with any one choice of sizes
by what the choices disagree on. What an inventory is tested with is the linear problem whose squared errors are the
draws' means, ``E[tau^2] B`` and ``E[s^2] R``: for one gain Joseph's form is linear in B and R, so this is the error
averaged over the draws. The covariance between the draws' own answers is added to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from inversion.operators.covariance import (
    BlockDiagonalCovariance,
    Covariance,
    DiagonalCovariance,
    StretchedCovariance,
)
from inversion.problem.posterior import Aggregate, Posterior
from inversion.problem.problem import Problem
from inversion.solvers.gibbs import Hierarchical
from obsnet.typing import Floats

__all__ = ["HierarchicalPosterior", "averaged", "mean_problem"]


@dataclass(frozen=True, eq=False)
class HierarchicalPosterior(Posterior):
    """Posterior averaged over draws of the errors' sizes, over the linear posterior of their mean; see `Posterior`.

    Parameters
    ----------
    sizes : Hierarchical
        The draws.
    """

    sizes: Hierarchical = field(kw_only=True, repr=False)
    linear: ClassVar[bool] = False

    def variance(self) -> Floats:
        """Return the variance of each element within draws and between them."""
        return self.sizes.variance()

    def aggregate(self, weights: Any) -> Aggregate:
        """Return totals averaged over the draws and their covariance within draws and between them."""
        return self.sizes.aggregate(self._weights(weights))

    def doubt(self, weights: Any) -> Floats:
        """Return the covariance between the draws' totals."""
        return self.sizes.between(self._weights(weights))


def mean_problem(sizes: Hierarchical, errors_by: str | None) -> Problem:
    """Return the problem whose squared errors are the means over the draws.

    Parameters
    ----------
    sizes : Hierarchical
        With one alternative.
    errors_by : str or None
        As `solve_gibbs` took it.
    """
    problem = sizes.problem
    squares = np.mean(sizes.draws.reshape(-1, len(sizes.names)) ** 2, axis=0)
    of_prior, of_error = np.split(squares, [sizes.marginal.components])
    prior = problem.prior_error
    blocks = prior.blocks if isinstance(prior, BlockDiagonalCovariance) else (prior,)
    grown = [block.scaled(float(f)) for block, f in zip(blocks, of_prior, strict=True)]
    group = np.zeros(problem.n_obs, np.int64)
    if errors_by is not None:
        group = np.unique(problem.labels(errors_by), return_inverse=True)[1]
    error, factor = problem.observation_error, of_error[group]
    stretched: Covariance = (
        DiagonalCovariance(error.diagonal() * factor)
        if isinstance(error, DiagonalCovariance)
        else StretchedCovariance(error, np.sqrt(factor))
    )
    whole = BlockDiagonalCovariance(grown) if isinstance(prior, BlockDiagonalCovariance) else grown[0]
    return problem.with_(prior_error=whole, observation_error=stretched)


def averaged(sizes: Hierarchical, errors_by: str | None = None) -> HierarchicalPosterior:
    """Return the posterior of draws of error sizes.

    Parameters
    ----------
    sizes : Hierarchical
        From `inversion.solvers.gibbs.solve_gibbs`, with one alternative.
    errors_by : str, optional
        What its observation errors were grouped by.
    """
    from inversion.solvers.choose import solve

    linear = solve(mean_problem(sizes, errors_by))
    worst = max(sizes.summary(), key=lambda r: r["rhat"])
    stopping = {
        "converged": sizes.converged,
        "acceptance": sizes.acceptance,
        "effective_draws": min(r["ess"] for r in sizes.summary()),
        "r_hat": worst["rhat"],
        "sizes": {r["parameter"]: [r["median"], r["q025"], r["q975"]] for r in sizes.summary()},
    }
    return HierarchicalPosterior(
        linear.problem, sizes.mean, linear.system, f"hierarchical ({linear.method})", stopping, sizes=sizes
    )
