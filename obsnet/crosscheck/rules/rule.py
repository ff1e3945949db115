"""The rule of the verdicts: one level for testability, for the minimum that is promised, and for the decision.

With m testable regions the false discovery rate is kept at ``alpha`` (Benjamini & Hochberg 1995), which leaves
``alpha / m`` to the first discovery. A discrepancy is promised to be found only if it is found at *that* level,
and a region is testable only if the promise lies within the limit; m is the number of regions of which both are
true together. More regions make each test stricter, so there is exactly one such m.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obsnet.errors import ConfigError
from obsnet.typing import Bools, Floats, Ints

__all__ = [
    "ADJUSTMENT",
    "Rule",
    "benjamini_hochberg",
    "count_tests",
    "detection_power",
    "equivalence_p",
    "equivalence_power",
    "minimum_detectable",
]

ADJUSTMENT = "Benjamini-Hochberg"
_TIE = 1.0 + 1e-9  # regions equally well seen are testable together or not at all


@dataclass(frozen=True)
class Rule:
    """When a region counts as testable, when as inconsistent and when as consistent.

    Parameters
    ----------
    alpha : float
        Rate of false alarms, two-sided; over all tested regions it is the false discovery rate, of
        "inconsistent" and of "consistent" alike.
    power : float
        Chance with which a discrepancy of the minimum detectable size is found.
    detectable : float
        A region is testable if its minimum detectable discrepancy is at most this share of its inventory.
        The default of 0.3 is the accuracy asked of regional inversions of 100-1000 km (GCOS).
    margin : float, optional
        A region is consistent if it is shown to agree within this share of its inventory; by default
        `detectable`.

    Raises
    ------
    ConfigError
        A value out of its range.
    """

    alpha: float = 0.05
    power: float = 0.80
    detectable: float = 0.30
    margin: float | None = None

    def __post_init__(self) -> None:
        checks = (
            ("alpha", 0.0 < self.alpha < 0.5, "between 0 and 0.5"),
            ("power", 0.5 < self.power < 1.0, "between 0.5 and 1"),
            ("detectable", self.detectable > 0.0, "above 0"),
            ("margin", self.margin is None or self.margin > 0.0, "above 0"),
        )
        for name, good, text in checks:
            if not good:
                raise ConfigError(f"{name} = {getattr(self, name)!r} of the verdict's rule must be {text}")

    @property
    def agreement(self) -> float:
        """The margin that is used."""
        return self.detectable if self.margin is None else self.margin


def benjamini_hochberg(p: Floats) -> Floats:
    """Return p-values adjusted for false discovery (Benjamini & Hochberg 1995); NaN is not counted."""
    from scipy.stats import false_discovery_control

    adjusted = np.full(p.shape, np.nan)
    tested = np.isfinite(p)
    if tested.any():
        adjusted[tested] = false_discovery_control(p[tested])
    return adjusted


def minimum_detectable(sd: Floats, response: Floats, rule: Rule, tests: int | Ints = 1) -> Floats:
    """Return the smallest true discrepancy that is found with the rule's power.

    Parameters
    ----------
    sd : ndarray
        Standard deviation of the difference under the hypothesis.
    response : ndarray
        Share of a true discrepancy that appears in the difference.
    rule : Rule
        ``alpha`` and ``power``.
    tests : int or ndarray of int
        Number of tests m among which it is found; the first discovery has the level ``alpha / m``.

    Returns
    -------
    ndarray
        ``(z_{1-alpha/2m} + z_{power}) sd / response``; infinite where the response is not positive.
    """
    from scipy.stats import norm

    factor = norm.isf(rule.alpha / (2 * np.asarray(tests))) + norm.ppf(rule.power)
    return np.where(response > 0, factor * sd / np.where(response > 0, response, 1.0), np.inf)


def detection_power(discrepancy: Floats, sd: Floats, response: Floats, level: Floats) -> Floats:
    """Return the chance that a true discrepancy is found at a level, two-sided.

    Parameters
    ----------
    discrepancy : ndarray
        True discrepancy, unit of `sd`.
    sd, response : ndarray
        As in `minimum_detectable`.
    level : ndarray
        ``alpha / m``.
    """
    from scipy.stats import norm

    edge = norm.isf(np.asarray(level) / 2)
    shift = np.maximum(response, 0.0) * discrepancy / sd
    return np.asarray(norm.sf(edge - shift) + norm.sf(edge + shift))


def count_tests(relative: Floats, rule: Rule) -> tuple[Bools, Ints]:
    """Say which regions are testable together, and among how many tests each one's minimum is promised.

    Parameters
    ----------
    relative : ndarray
        ``sd / (response x inventory)`` of each region; infinite where there is nothing to test.
    rule : Rule

    Returns
    -------
    testable : ndarray of bool
    tests : ndarray of int
        The number of testable regions for them; for another region how many would be tested if it and all
        that are seen as well or better were.
    """
    rank = (relative[None, :] <= relative[:, None] * _TIE).sum(axis=1)
    there = np.isfinite(relative)
    smallest = minimum_detectable(np.where(there, relative, 1.0), np.ones(relative.shape), rule, rank)
    testable = there & (smallest <= rule.detectable)
    m = int(testable.sum())
    return testable, np.where(testable, m, np.where(there, rank, m + 1))


def equivalence_p(discrepancy: Floats, sd: Floats, margin: Floats) -> Floats:
    """Return the p-value of "the discrepancy is at least as large as the margin" (two one-sided tests).

    Parameters
    ----------
    discrepancy, sd, margin : ndarray
        Estimate, its standard deviation, and the margin, one unit.

    Notes
    -----
    Schuirmann (1987), doi:10.1007/BF01068419: the larger of the two one-sided p-values.
    """
    from scipy.stats import norm

    return np.asarray(norm.sf((margin - np.abs(discrepancy)) / sd))


def equivalence_power(sd: Floats, margin: Floats, level: Floats) -> Floats:
    """Return the chance that an inventory without discrepancy is shown to agree within the margin."""
    from scipy.stats import norm

    return np.maximum(2.0 * norm.cdf(margin / sd - norm.isf(level)) - 1.0, 0.0)
