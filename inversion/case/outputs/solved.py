"""What a case is when it has been read, and when it has been solved."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from inversion.case.assemble import Assembled
from inversion.case.solving.estimate import EstimatedErrors
from inversion.problem.basis import Basis
from inversion.problem.posterior import Posterior
from inversion.problem.totals import Totals, TotalWeights
from obsnet.shares import Shares
from obsnet.typing import Bools, Texts

__all__ = ["PreparedCase", "SolvedCase"]


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """A case that has been read, and the problem that is to be solved.

    Attributes
    ----------
    whole, made : Assembled
        The problem of all observations, and the one to solve: without those held back or rejected, with the errors
        that the observations themselves gave where ``[invert.likelihood]`` asks to use them.
    held : ndarray of bool
        Observations of `whole` that are held back.
    weights : TotalWeights
    others
        As of `SolvedCase`.
    """

    whole: Assembled
    made: Assembled
    held: Bools
    weights: TotalWeights
    region_names: dict[str, str]
    regions_source: str
    damaged: tuple[str, ...]
    estimated: EstimatedErrors | None
    basis: Basis | None
    shares: Shares
    screened: pa.Table | None
    allowed: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class SolvedCase:
    """A case that has been read and solved.

    Attributes
    ----------
    made : Assembled
        The problem that was solved, without observations held back.
    posterior : Posterior
    totals : Totals
    evaluation : pyarrow.Table or None
        How well observations held back are predicted.
    region_names : dict of str to str
    regions_source : str
        Which boundaries.
    damaged : tuple of str
        Parts of the footprints that could not be read.
    estimated : EstimatedErrors or None
        What the observations say of the assumed errors, where asked for.
    held_back : ndarray of str
        Observations that were not used, to evaluate with.
    basis : Basis or None
        Regions that were solved for, where not cells.
    shares : Shares
        How cells are split among the regions of the totals.
    screened : pyarrow.Table or None
        Observations that ``[invert.screen]`` touched, see `inversion.case.checks.screening.Screened`.
    allowed : tuple of str
        See `inversion.case.inputs.reading.Inputs`.
    """

    made: Assembled
    posterior: Posterior
    totals: Totals
    evaluation: pa.Table | None
    region_names: dict[str, str]
    regions_source: str
    damaged: tuple[str, ...]
    estimated: EstimatedErrors | None
    held_back: Texts
    basis: Basis | None
    shares: Shares
    screened: pa.Table | None = None
    allowed: tuple[str, ...] = ()
