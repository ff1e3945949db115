"""Assumed errors against what innovations and residuals of a solved problem say."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from inversion.problem.posterior import Posterior

__all__ = ["desroziers"]


def desroziers(
    posterior: Posterior, group: str | None = None, *, prior: bool = True
) -> dict[str, dict[str, float]]:
    """Compare assumed errors with what innovations and residuals say, by group of observations.

    Parameters
    ----------
    posterior : Posterior
        Solved with the assumed errors.
    group : str, optional
        A key of ``problem.groups``; by default all observations together.
    prior : bool
        Compare the prior error too, which takes a product of B for each observation.

    Returns
    -------
    dict
        By label: ``observation_error`` and ``assumed_observation_error``, ``prior_error`` and ``assumed_prior_error``:
        standard deviations in the observations that the data suggest (NaN where the product is negative), and that were
        assumed.

    Notes
    -----
    Desroziers et al. (2005), Q. J. R. Meteorol. Soc. 131, 3385, doi:10.1256/qj.05.108: with d_b the innovation and d_a
    the residual, E[d_a d_b'] = R and E[(d_b - d_a) d_b'] = H B H' where the assumed errors are right. The cross
    products of one group need no other.
    """
    problem = posterior.problem
    labels = np.full(problem.n_obs, "all") if group is None else problem.labels(group)
    before, after = problem.innovation, posterior.residual
    parts = {"observation": (after * before, problem.observation_error.diagonal())}
    if prior:
        seen = np.empty(problem.n_obs)
        for span, block in problem.row_blocks(512):
            rows = block.toarray() if sp.issparse(block) else np.asarray(block)
            moved = problem.prior_error.matmul(np.ascontiguousarray(rows.T, dtype=np.float64))
            seen[span] = np.einsum("ij,ji->i", rows, moved)
        parts["prior"] = ((before - after) * before, seen)
    found: dict[str, dict[str, float]] = {}
    for label in np.unique(labels):
        at = labels == label
        row = found[str(label)] = {}
        for name, (product, assumed) in parts.items():
            mean = float(np.mean(product[at]))
            row[f"{name}_error"] = float(np.sqrt(mean)) if mean >= 0.0 else float("nan")
            row[f"assumed_{name}_error"] = float(np.sqrt(assumed[at].mean()))
    return found
