"""What a twin experiment or a design works on: a problem without observed values, and the totals of interest.

It comes from a case with footprints (`inversion.study.case_study`), or from an idealised world with networks
(`inversion.study.worlds.world`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pyarrow as pa
import scipy.sparse as sp

from inversion.problem.posterior import Posterior
from inversion.problem.problem import Problem
from inversion.solvers.choose import solve
from inversion.study.words import NATIONAL, named
from obsnet.language import Language
from obsnet.regions import REST
from obsnet.typing import Bools, Floats

__all__ = ["Study"]


@dataclass(frozen=True, eq=False)
class Study:
    """A problem and the totals that a study reports.

    Parameters
    ----------
    problem : Problem
        Observed values do not matter; groups ``platform``, ``orbit``, ``network`` or ``source``, ``month``.
    weights : scipy.sparse.csr_array, shape (totals, n_state)
        In Mt of the species a year.
    regions : tuple of str
        Codes of the totals; ``national`` is the sum of China's.
    names : dict of str to str
        Names for people.
    positions : dict of str to (lat, lon)
        Stations for the map.
    prior_total : ndarray, shape (totals,), or None
        Mt a-1; None in an idealised world, which has no prior flux.
    unit : str
        Of observations.
    notes : tuple of str
        Assumptions, for the report.
    observed : pyarrow.Table
        Columns ``kind, latitude, longitude, time`` of the observations, and others.
    listed : dict of str to ndarray of bool (n_obs,)
        Rows of each network or source; a station that two networks list is there once and of both.
    solve : callable
        From problem, method and report to its posterior: of cells, or of the regions of a basis.
    spread : ndarray, shape (totals, totals), or None
        Further covariance of the totals that an inversion states, that of an ensemble's members.
    """

    problem: Problem
    weights: sp.csr_array
    regions: tuple[str, ...]
    names: dict[str, str]
    positions: dict[str, tuple[float, float]]
    prior_total: Floats | None
    unit: str
    notes: tuple[str, ...]
    observed: pa.Table
    listed: dict[str, Bools]
    solve: Callable[..., Posterior] = solve
    spread: Floats | None = None

    def select(self, rows: Bools) -> Study:
        """Return the study of some of the observations."""
        problem = self.problem.select(rows)
        seen = set(problem.labels("platform").astype(str))
        return replace(
            self,
            problem=problem,
            positions={k: v for k, v in self.positions.items() if k in seen},
            observed=self.observed.filter(pa.array(rows)),
            listed={k: v[rows] for k, v in self.listed.items()},
        )

    def called(self, language: Language) -> Study:
        """Return the study with the names of its regions in a language."""
        return replace(self, names={r: named(r, language, self.names) for r in self.regions})

    def mean_reduction(self, reduction: Floats, prior_sd: Floats) -> float:
        """Return the mean over the regions that were uncertain, without the nation and what lies outside."""
        parts = [r not in {NATIONAL, *REST} for r in self.regions] & (prior_sd > 0.0)
        return float(reduction[parts].mean()) if parts.any() else 0.0
