"""A verdict of three outcomes for each region: consistent, inconsistent, not testable.

Everything is a region total in one unit. With the inversion's prior ``xb``, posterior ``xa``, averaging
kernel ``A = d xa / d x`` and an inventory ``b``, the inventory is seen through the same kernel as the truth
(Rodgers & Connor 2003, doi:10.1029/2002JD002299, applied to fluxes)::

    d = xa - [xb + A (b - xb)]  =  A (x - b) + noise

so that where nothing was observed (A = 0) there is no difference and nothing to test, and so that an
inventory that served as the prior is not confirmed by itself. The hypothesis tested for region r is that its
own inventory is right within its uncertainty, *whatever* is true of the other regions: they may be off by as
much as the inversion's prior allows. A wrong neighbour therefore costs power, not a false alarm.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from obsnet.errors import SchemaError
from obsnet.typing import Floats

__all__ = ["Rule", "Verdict", "Verdicts", "benjamini_hochberg", "judge", "minimum_detectable"]


class Verdict(StrEnum):
    """The three outcomes."""

    CONSISTENT = "consistent"
    INCONSISTENT = "inconsistent"
    NOT_TESTABLE = "not testable"


@dataclass(frozen=True)
class Rule:
    """When a region counts as testable and when as inconsistent.

    Parameters
    ----------
    alpha : float
        Rate of false alarms, two-sided; over all tested regions it is the false discovery rate.
    power : float
        Chance with which a discrepancy of the minimum detectable size is found.
    detectable : float
        A region is testable if its minimum detectable discrepancy is at most this share of its inventory.
        The default of 0.3 is the accuracy asked of regional inversions of 100-1000 km (GCOS).
    """

    alpha: float = 0.05
    power: float = 0.80
    detectable: float = 0.30


@dataclass(frozen=True)
class Verdicts:
    """What was found, one entry a region.

    Parameters
    ----------
    verdict : tuple of Verdict
    difference : ndarray
        d, in the unit of the totals; positive where the atmosphere asks for more than the inventory.
    sd : ndarray
        Standard deviation of d under the hypothesis.
    p_value, p_adjusted : ndarray
        Two-sided; adjusted for the number of testable regions (Benjamini-Hochberg). NaN where not testable.
    response : ndarray
        A_rr, the share of a discrepancy in the region that would appear in its posterior.
    minimum_detectable : ndarray
        Smallest discrepancy found with the rule's power at its alpha, same unit; infinite where A_rr <= 0.
    reason : tuple of str
        Why a region is not testable, else empty.
    """

    verdict: tuple[Verdict, ...]
    difference: Floats
    sd: Floats
    p_value: Floats
    p_adjusted: Floats
    response: Floats
    minimum_detectable: Floats
    reason: tuple[str, ...]


def benjamini_hochberg(p: Floats) -> Floats:
    """Return p-values adjusted for false discovery (Benjamini & Hochberg 1995); NaN is not counted."""
    from scipy.stats import false_discovery_control

    adjusted = np.full(p.shape, np.nan)
    tested = np.isfinite(p)
    if tested.any():
        adjusted[tested] = false_discovery_control(p[tested])
    return adjusted


def minimum_detectable(sd: Floats, response: Floats, rule: Rule) -> Floats:
    """Return the smallest true discrepancy that is found with the rule's power.

    Parameters
    ----------
    sd : ndarray
        Standard deviation of the difference under the hypothesis.
    response : ndarray
        Share of a true discrepancy that appears in the difference.
    rule : Rule
        ``alpha`` and ``power``.

    Returns
    -------
    ndarray
        ``(z_{1-alpha/2} + z_{power}) sd / response``; infinite where the response is not positive.
    """
    from scipy.stats import norm

    factor = float(norm.ppf(1 - rule.alpha / 2) + norm.ppf(rule.power))
    with np.errstate(divide="ignore"):
        return np.where(response > 0, factor * sd / np.where(response > 0, response, 1.0), np.inf)


def judge(
    *,
    prior: Floats,
    posterior: Floats,
    averaging_kernel: Floats,
    noise_covariance: Floats,
    prior_covariance: Floats,
    inventory: Floats,
    inventory_sd: Floats,
    rule: Rule | None = None,
) -> Verdicts:
    """Judge each region's inventory against the observations.

    Parameters
    ----------
    prior, posterior : ndarray, shape (regions,)
        Totals of the inversion, one unit.
    averaging_kernel : ndarray, shape (regions, regions)
        Response of posterior totals (rows) to true totals (columns), 1.
    noise_covariance : ndarray, shape (regions, regions)
        Covariance of the posterior totals from everything but the region totals themselves: observation
        error and every other unknown (biosphere, boundary, pattern inside regions); unit squared.
    prior_covariance : ndarray, shape (regions, regions)
        Covariance by which the inversion's prior totals may be wrong; unit squared.
    inventory, inventory_sd : ndarray, shape (regions,)
        Totals under test and their standard deviation, same unit; NaN where there is none.
    rule : Rule, optional
        Limits; the defaults of `Rule` otherwise.

    Returns
    -------
    Verdicts

    Raises
    ------
    SchemaError
        Shapes that do not fit, or values that are not finite where they must be.
    """
    rule = rule or Rule()
    regions = len(prior)
    for name, array, shape in (
        ("posterior", posterior, (regions,)),
        ("averaging_kernel", averaging_kernel, (regions, regions)),
        ("noise_covariance", noise_covariance, (regions, regions)),
        ("prior_covariance", prior_covariance, (regions, regions)),
        ("inventory", inventory, (regions,)),
        ("inventory_sd", inventory_sd, (regions,)),
    ):
        if array.shape != shape:
            raise SchemaError(f"{name} has shape {array.shape}, {shape} is needed for {regions} regions")
        if not name.startswith("inventory") and not np.isfinite(array).all():
            raise SchemaError(f"{name} of the inversion has values that are not finite")
    there = np.isfinite(inventory) & np.isfinite(inventory_sd) & (inventory != 0)
    # A region without an inventory is compared with nothing; for its neighbours it stays at the prior.
    increment = np.where(there, inventory - prior, 0.0)
    difference = posterior - prior - averaging_kernel @ increment
    response = np.diag(averaging_kernel).copy()
    own = np.where(there, inventory_sd, 0.0) ** 2
    sd = np.sqrt(np.maximum(_null_variance(averaging_kernel, noise_covariance, prior_covariance, own), 0.0))
    smallest = minimum_detectable(sd, response, rule)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(there, smallest / np.abs(inventory), np.inf)
    testable = there & (relative <= rule.detectable) & (sd > 0)
    p_value = np.full(regions, np.nan)
    if testable.any():
        from scipy.stats import norm

        p_value[testable] = 2 * norm.sf(np.abs(difference[testable]) / sd[testable])
    p_adjusted = benjamini_hochberg(p_value)
    verdicts, reasons = [], []
    for r in range(regions):
        if not testable[r]:
            verdicts.append(Verdict.NOT_TESTABLE)
            reasons.append(_reason(bool(there[r]), float(response[r]), float(relative[r]), rule))
        else:
            wrong = p_adjusted[r] < rule.alpha
            verdicts.append(Verdict.INCONSISTENT if wrong else Verdict.CONSISTENT)
            reasons.append("")
    return Verdicts(tuple(verdicts), difference, sd, p_value, p_adjusted, response, smallest, tuple(reasons))


def _null_variance(kernel: Floats, noise: Floats, prior: Floats, own: Floats) -> Floats:
    """Return the variance of each region's difference when only its own inventory is held to be right.

    For region r the covariance of the truth about the inventory is the prior's for all other regions and
    ``own[r]``, uncorrelated with them, for r itself.
    """
    variance = np.empty(len(own))
    for r, row in enumerate(kernel):
        others = row.copy()
        others[r] = 0.0
        variance[r] = noise[r, r] + others @ prior @ others + row[r] ** 2 * own[r]
    return variance


def _reason(there: bool, response: float, relative: float, rule: Rule) -> str:
    if not there:
        return "no inventory"
    if response < 0.05:
        return "not observed"
    return f"smallest detectable discrepancy {relative:.0%} exceeds {rule.detectable:.0%}"
