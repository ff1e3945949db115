"""Assumed errors against what innovations and residuals of a solved problem say."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from inversion.posterior import Posterior

__all__ = ["desroziers"]


def desroziers(posterior: Posterior, group: str | None = None) -> dict[str, dict[str, float]]:
    """Compare assumed errors with what innovations and residuals say, by group of observations.

    Parameters
    ----------
    posterior : Posterior
        Solved with the assumed errors.
    group : str, optional
        A key of ``problem.groups``; by default all observations together.

    Returns
    -------
    dict
        By label: ``observation_error`` and ``prior_error`` (standard deviations in observation space that the data
        suggest; NaN where the product is negative), ``assumed_observation_error``, ``assumed_prior_error``.

    Notes
    -----
    Desroziers et al. (2005), Q. J. R. Meteorol. Soc. 131, 3385, doi:10.1256/qj.05.108: with d_b the innovation and d_a
    the residual, E[d_a d_b'] = R and E[(d_b - d_a) d_b'] = H B H' where the assumed errors are right. The cross
    products of one group need no other.
    """
    problem = posterior.problem
    labels = np.full(problem.n_obs, "all") if group is None else problem.labels(group)
    before, after = problem.innovation, posterior.residual
    assumed = problem.observation_error.diagonal()
    # tr(H B H') of a group is tr(S) - tr(R); S_ii from H B H' rows, a block at a time
    seen = np.empty(problem.n_obs)
    for span, block in problem.row_blocks(512):
        rows = block.toarray() if sp.issparse(block) else np.asarray(block)
        seen[span] = np.einsum("ij,ji->i", rows, problem.prior_error.matmul(np.ascontiguousarray(rows.T)))
    out = {}
    for label in np.unique(labels):
        at = labels == label
        observation = float(np.mean(after[at] * before[at]))
        prior = float(np.mean((before - after)[at] * before[at]))
        out[str(label)] = {
            "observation_error": float(np.sqrt(observation)) if observation >= 0 else float("nan"),
            "prior_error": float(np.sqrt(prior)) if prior >= 0 else float("nan"),
            "assumed_observation_error": float(np.sqrt(assumed[at].mean())),
            "assumed_prior_error": float(np.sqrt(seen[at].mean())),
        }
    return out
