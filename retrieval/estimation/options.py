"""How the solver runs and how a retrieval can end."""

from __future__ import annotations

from enum import IntEnum

from pydantic import Field

from obsnet.config import Options

__all__ = ["RetrievalOutcome", "SolverOptions"]


class RetrievalOutcome(IntEnum):
    """How a retrieval ended; 1 to 4 are the codes of the OCO full-physics solver, 5 and 6 are for bad input."""

    CONVERGED = 1  # and chi2 of every band is below the limit
    CONVERGED_POOR_FIT = 2  # but chi2 of some band is not
    MAX_ITERATIONS = 3
    MAX_DIVERGENCES = 4
    NOT_FINITE = 5  # the forward model gave NaN or infinity at the first guess
    NO_DATA = 6  # no channel with a finite measurement and variance


class SolverOptions(Options):
    """Settings of the Levenberg-Marquardt solver.

    Examples
    --------
    >>> SolverOptions(max_iterations=20).gamma
    10.0
    """

    gamma: float = Field(10.0, ge=0.0, description="Levenberg-Marquardt parameter of the first step")
    threshold: float = Field(
        0.01,
        gt=0.0,
        description="converged when the expected change of the cost by the next step, per element, is below this",
    )
    max_iterations: int = Field(15, ge=1, description="accepted steps")
    max_divergences: int = Field(4, ge=1, description="steps taken back because they raised the cost")
    max_chi2: float = Field(1.4, gt=0.0, description="reduced chi2 of a band above which its fit is poor")
    block: int = Field(
        16, ge=1, description="soundings handed to the forward model at once; small blocks stay in cache"
    )
