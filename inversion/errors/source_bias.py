"""Whether all observations of one source are off by the same amount: a score test of an offset that was not solved.

For an indicator ``v`` of the rows of a source and ``S = H B H' + R``, the generalised least-squares estimate of a
common offset is ``b = v' S^-1 d / v' S^-1 v`` with variance ``1 / v' S^-1 v``. It knows what fluxes, inflow and
offsets in the state can explain, so what is left is what nothing in the inversion accounts for. An offset that *is*
solved is in S and takes the test's power away, as it should. What footprints of few particles make of no offset
(`inversion.case.checks.attenuation`) is taken off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from inversion.problem.posterior import Posterior
from obsnet.typing import Floats

__all__ = ["Offset", "source_offsets"]


class Offset(NamedTuple):
    """The offset of one source against everything else.

    Attributes
    ----------
    source : str
    observations : int
        How many it has.
    offset, uncertainty : float
        Unit of the observations.
    deviations : float
        Offset over uncertainty: standard normal where the source has no offset and the errors are right.
    p_adjusted : float
        Two-sided, times the number of sources (Bonferroni), at most 1.
    diluted : float
        What noise in the footprints was expected to add; `offset` is without it.
    """

    source: str
    observations: int
    offset: float
    uncertainty: float
    deviations: float
    p_adjusted: float
    diluted: float = 0.0


def source_offsets(
    posterior: Posterior, group: str = "source", *, diluted: Callable[[Floats], Floats] | None = None
) -> list[Offset]:
    """Estimate the common offset of every source.

    Parameters
    ----------
    posterior : Posterior
        Solved; each source costs one more solution of ``S``.
    group : str
        A key of ``problem.groups``.
    diluted : callable, optional
        ``S^-1 v``, (n_obs, k), in; the score that is expected without any offset, (k,), out.

    Returns
    -------
    list of Offset
        By source. With one source only, its offset is told from the prior's simulation alone.
    """
    from scipy.stats import norm

    labels = posterior.problem.labels(group)
    names, column = np.unique(labels, return_inverse=True)
    indicator = np.zeros((labels.size, names.size))
    indicator[np.arange(labels.size), column] = 1.0
    solved = posterior.system.solve(indicator)
    information = np.einsum("ij,ij->j", indicator, solved)
    noise = np.zeros(names.size) if diluted is None else diluted(solved)
    score = solved.T @ posterior.problem.innovation - noise
    found = []
    for k, name in enumerate(names):
        z = float(score[k] / np.sqrt(information[k]))
        found.append(
            Offset(
                str(name),
                int((column == k).sum()),
                float(score[k] / information[k]),
                float(1.0 / np.sqrt(information[k])),
                z,
                float(min(1.0, 2.0 * names.size * norm.sf(abs(z)))),
                float(noise[k] / information[k]),
            )
        )
    return found
