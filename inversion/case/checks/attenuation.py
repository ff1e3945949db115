"""What noise in the footprints makes of a common offset: fluxes fitted to noisy footprints explain too little.

Footprints of a finite number of particles are ``H + N``. A fit to them is diluted as every regression on a noisy
variable is, by the whole flux and not by its correction alone; what it leaves over stands in the same sign in all
observations and looks like an offset of their source. With ``a = S^-1 v``, the prior flux ``f`` and independent entries
of N with variance ``s^2``, the score ``v' S^-1 d`` of an offset is then, to first order,

    E = sum_j w_j f_j sum_i (S^-1)_ii s_ij^2,    w = M B H' a,

where M takes the state to fluxes of each time and cell. Regression dilution: Fuller 1987, Measurement Error Models,
doi:10.1002/9780470316665.
"""

from __future__ import annotations

import numpy as np

from inversion.case.assemble import Assembled
from inversion.problem.posterior import Posterior
from obsnet.typing import Floats

__all__ = ["diluted_score"]


def diluted_score(made: Assembled, posterior: Posterior, weighted: Floats, inverse: Floats) -> Floats:
    """Return the score of offsets that the footprints' sampling error makes where there is none.

    Parameters
    ----------
    made : Assembled
        The case.
    posterior : Posterior
        Of its cells; of basis regions nothing is foretold.
    weighted : ndarray, shape (n_obs, k)
        ``S^-1 v`` of each indicator v.
    inverse : ndarray, shape (n_obs,)
        The diagonal of ``S^-1``.

    Returns
    -------
    ndarray, shape (k,)
        Zero where the footprints state no error.
    """
    problem, state = posterior.problem, posterior.problem.state
    score = np.zeros(weighted.shape[1])
    if made.stderr is None or state is None:
        return score
    noise = made.stderr.power(2).T @ inverse * made.total_flux.ravel()
    pulled = problem.prior_error.matmul(problem.adjoint(weighted))
    for sector in made.solved:
        mean, span = made.prior_mean[sector], state.span(sector)
        if span.stop - span.start != mean.size:
            return np.zeros_like(score)
        cells = pulled[span].reshape(*mean.shape, -1)[made.bins[sector].of_flux]
        score += noise @ cells.reshape(noise.size, -1)
    return score
