"""Whether an inversion fits its own errors; one that does not has no verdict to give.

With ``S = H B H' + R`` the innovations' ``d' S^-1 d`` is chi-square distributed with as many degrees of freedom as
there are observations, whatever is correlated with what, if the errors are as stated (Tarantola 2005,
doi:10.1137/1.9780898717921). No run's errors are stated exactly, so the bounds are that distribution's 99.9 % range
or 0.5 to 1.25, whichever is wider: at 1.25 every standard deviation is 11 % too small and a nominal 5 % of false
alarms is 8 %, which is the worst that is let through; errors that are overstated make a test dull, not wrong.

A source's residuals are looked at too. Their mean square over the stated error is about ``1 - dofs / n`` of the
source; with errors common to its rows it scatters as one squared normal variate does, which passes nine once in 400
runs. Above nine times what is expected, residuals of three times their errors, the run is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from obsnet.crosscheck.words import say
from obsnet.language import NOTHING, Words

__all__ = ["Fit", "FitFinding", "SourceFit", "chi_square_bounds", "judge_fit"]

_RANGE = 0.999  # of right runs
_TOLERANCE = (0.5, 1.25)
_SOURCE_REMARK, _SOURCE_REFUSE = 2.0, 9.0


@dataclass(frozen=True)
class SourceFit:
    """Residuals of one source of observations.

    Parameters
    ----------
    name : str
    count : float
        Observations.
    dofs : float
        Degrees of freedom for signal that they contribute.
    chi_square : float
        Mean square of posterior difference over stated error.
    """

    name: str
    count: float
    dofs: float
    chi_square: float

    @property
    def ratio(self) -> float:
        """Mean square over what is expected of it."""
        left = self.count - self.dofs
        return self.chi_square * self.count / left if left >= 1.0 else 1.0

    def __str__(self) -> str:
        return f"{self.name} ({self.ratio:.3g} times the squared errors)"


@dataclass(frozen=True)
class Fit:
    """What a posterior file says of its fit.

    Parameters
    ----------
    chi_square : float or None
        Innovation chi-square per observation; None where the file has none.
    n_observations : int
    sources : tuple of SourceFit
    """

    chi_square: float | None
    n_observations: int
    sources: tuple[SourceFit, ...]


@dataclass(frozen=True)
class FitFinding:
    """What follows from it.

    Parameters
    ----------
    low, high : float
        Bounds that chi-square was held against.
    barred : Words
        Why there is no verdict, else empty.
    remarks : tuple of Words
    """

    low: float
    high: float
    barred: Words
    remarks: tuple[Words, ...]


def chi_square_bounds(n: int) -> tuple[float, float]:
    """Return the bounds of chi-square per observation of a run that is let through.

    Parameters
    ----------
    n : int
        Observations.
    """
    from scipy.stats import chi2

    low, high = (float(chi2.ppf(q, n)) / n for q in ((1 - _RANGE) / 2, (1 + _RANGE) / 2))
    return min(low, _TOLERANCE[0]), max(high, _TOLERANCE[1])


def judge_fit(fit: Fit, allowed: tuple[float, float] | None = None) -> FitFinding:
    """Say whether a run fits its own errors.

    Parameters
    ----------
    fit : Fit
    allowed : (float, float), optional
        Bounds in the place of `chi_square_bounds`; a source's residuals then bar nothing either. That is remarked.
    """
    from scipy.stats import chi2

    if fit.chi_square is None:
        return FitFinding(float("nan"), float("nan"), NOTHING, (say("fit unknown"),))
    usual = chi_square_bounds(fit.n_observations)
    low, high = allowed or usual
    worst = sorted(fit.sources, key=lambda s: -s.ratio)
    where = "; ".join(map(str, worst[:2])) or "unknown"
    remarks, barred = [], NOTHING
    if not low <= fit.chi_square <= high:
        barred = say("misfit", chi=fit.chi_square, low=low, high=high, where=where)
    elif allowed is not None:
        remarks.append(
            say(
                "fit allowed",
                chi=fit.chi_square,
                low=low,
                high=high,
                usual_low=usual[0],
                usual_high=usual[1],
            )
        )
    for source in worst[:1]:
        free = max(source.count - source.dofs, 1.0)
        scatter = float(chi2.ppf(_RANGE, free)) / free
        limit = max(_SOURCE_REFUSE, scatter)
        if source.ratio > limit and allowed is None and not barred.en:
            barred = say("source misfit", where=source, high=limit)
        elif source.ratio > max(_SOURCE_REMARK, scatter):
            remarks.append(say("source poor", where=source, high=max(_SOURCE_REMARK, scatter)))
    return FitFinding(low, high, barred, tuple(remarks))
