"""A verdict of four outcomes for each inventory total: consistent, inconsistent, not decided, not testable.

Totals are those of all regions and periods of one sector, ``t``, in one unit. What is tested is one weighted sum
of them, ``X = w't``: a region in a month, a region's year, a group of regions. With the inversion's prior ``tb``,
posterior ``ta`` and averaging kernel ``A = d ta / d t``, and a pattern ``u`` by which a discrepancy of X would be
spread over the totals (``w'u = 1``), the inventory's ``I`` is held against what the observations moved (Rodgers &
Connor 2003, doi:10.1029/2002JD002299, applied to one flux)::

    a = w'A u
    d = w'(ta - tb) - a (I - w'tb)  =  a (X - I) + y'(t - tb) + noise,      y = A'w - a w

so that where nothing was observed (A = 0) there is no difference and nothing to test, and so that an inventory
that served as the prior is not confirmed by itself. Everything that is not under test, neighbours and other
periods, stays at the inversion's prior and may be off by as much as that allows (C)::

    var d = w'N w + y'C y + a^2 s^2 + 2 a rho s y'C w / sqrt(w'C w)

with N the covariance of the noise, s the inventory's standard deviation and rho its declared correlation with the
prior's error of X. No other region's inventory enters: a wrong one costs nothing but the chance to be found itself.
The variance holds for truths as the prior expects them, whatever u is; u decides what the test is good at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from obsnet.crosscheck.rules.rule import (
    Rule,
    benjamini_hochberg,
    count_tests,
    equivalence_p,
    equivalence_power,
    minimum_detectable,
)
from obsnet.crosscheck.words import say
from obsnet.errors import RangeError, SchemaError
from obsnet.language import NOTHING, Words
from obsnet.typing import Bools, Floats

__all__ = ["Rule", "Verdict", "Verdicts", "benjamini_hochberg", "judge", "minimum_detectable"]

_UNSEEN = 0.05  # response below which a region counts as not observed at all


class Verdict(StrEnum):
    """The four outcomes."""

    CONSISTENT = "consistent"
    INCONSISTENT = "inconsistent"
    NOT_DECIDED = "not decided"
    NOT_TESTABLE = "not testable"


@dataclass(frozen=True)
class Verdicts:
    """What was found, one entry a tested total.

    Parameters
    ----------
    verdict : tuple of Verdict
        ``inconsistent`` where the inventory is shown to differ, ``consistent`` where it is not but is shown to
        agree within the margin, ``not decided`` where neither is shown.
    difference : ndarray
        d, in the unit of the totals; positive where the atmosphere asks for more than the inventory.
    sd : ndarray
        Standard deviation of d under the hypothesis.
    p_value, p_adjusted : ndarray
        Two-sided; adjusted for the number of testable totals (Benjamini-Hochberg). NaN where not testable.
    p_equivalence : ndarray
        Of the two one-sided tests that the discrepancy is beyond the margin; adjusted likewise.
    response : ndarray
        a, the share of a discrepancy that appears in the difference.
    minimum_detectable : ndarray
        Smallest discrepancy found with the rule's power at `level`, same unit; infinite where a <= 0.
    level : ndarray
        ``alpha / m``, what the adjustment leaves to the first discovery among m tests.
    margin : ndarray
        Discrepancy within which an inventory counts as consistent, same unit.
    equivalence_power : ndarray
        Chance that a right inventory is shown to agree, at least.
    reason, remark : tuple of Words
        Why it is not testable; what a reader of the verdict must know.
    """

    verdict: tuple[Verdict, ...]
    difference: Floats
    sd: Floats
    p_value: Floats
    p_adjusted: Floats
    p_equivalence: Floats
    response: Floats
    minimum_detectable: Floats
    level: Floats
    margin: Floats
    equivalence_power: Floats
    reasons: tuple[Words, ...]
    remarks: tuple[Words, ...]

    @property
    def reason(self) -> tuple[str, ...]:
        """Why a total is not testable, in English, else empty."""
        return tuple(r.en for r in self.reasons)


class _Difference(NamedTuple):
    value: Floats
    sd: Floats
    response: Floats


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
    weights: Floats | None = None,
    pattern: Floats | None = None,
    shared: float = 0.0,
    barred: Sequence[Words] | None = None,
    family: Sequence[Any] | None = None,
) -> Verdicts:
    """Judge inventories against the observations.

    Parameters
    ----------
    prior, posterior : ndarray, shape (totals,)
        Totals of the inversion, one unit.
    averaging_kernel : ndarray, shape (totals, totals)
        Response of posterior totals (rows) to true totals (columns), 1.
    noise_covariance : ndarray, shape (totals, totals)
        Covariance of the posterior totals from everything but the totals themselves: observation error and
        every other unknown (biosphere, boundary, pattern inside regions); unit squared.
    prior_covariance : ndarray, shape (totals, totals)
        Covariance by which the inversion's prior totals may be wrong; unit squared.
    inventory, inventory_sd : ndarray, shape (tested,)
        What is under test and its standard deviation, same unit; NaN where there is none.
    rule : Rule, optional
        Limits; the defaults of `Rule` otherwise.
    weights : ndarray, shape (tested, totals), optional
        w of each test; by default each total by itself.
    pattern : ndarray, shape (tested, totals), optional
        u of each test, scaled here to ``w'u = 1``; by default `weights`.
    shared : float
        Correlation between the error of an inventory and that of the prior of the same total, -1 to 1: activity
        data or factors that both rest on.
    barred : sequence of Words, optional
        Why a test may not be made at all, empty where it may; no number is given for it.
    family : sequence, optional
        What each test belongs to; the rate of false discoveries is kept in each family by itself, and none makes
        another's tests stricter. One family by default.

    Returns
    -------
    Verdicts

    Raises
    ------
    SchemaError
        Shapes that do not fit, or values that are not finite where they must be.
    RangeError
        A correlation beyond -1 to 1.

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> judge(prior=np.array([100.0]), posterior=np.array([130.0]), averaging_kernel=one, noise_covariance=4 * one,
    ...       prior_covariance=900 * one, inventory=np.array([100.0]), inventory_sd=np.array([5.0])).verdict
    (<Verdict.INCONSISTENT: 'inconsistent'>,)
    """
    rule = rule or Rule()
    n = len(prior)
    w = np.eye(n) if weights is None else weights
    u = w if pattern is None else pattern
    tests = len(w)
    _check(
        n,
        tests,
        inversion={
            "posterior": (posterior, (n,)),
            "averaging_kernel": (averaging_kernel, (n, n)),
            "noise_covariance": (noise_covariance, (n, n)),
            "prior_covariance": (prior_covariance, (n, n)),
            "weights": (w, (tests, n)),
            "pattern": (u, (tests, n)),
        },
        inventory={"inventory": (inventory, (tests,)), "inventory_sd": (inventory_sd, (tests,))},
    )
    if not -1.0 <= shared <= 1.0:
        raise RangeError(f"shared = {shared!r}: a correlation lies between -1 and 1")
    why = list(barred) if barred is not None else [NOTHING] * tests
    stated = np.isfinite(inventory) & np.isfinite(inventory_sd)
    d = _difference(
        w, u, prior, posterior, averaging_kernel, noise_covariance, prior_covariance,
        np.where(stated, inventory, np.nan), np.where(stated, inventory_sd, 0.0), shared,
    )  # fmt: skip
    solved = _form(w, prior_covariance) > 0.0
    open_ = stated & (inventory != 0) & np.array([not r.en for r in why]) & (d.sd > 0) & (d.response > 0)
    size = np.where(open_, np.abs(inventory), 1.0)
    relative = np.where(open_, d.sd / np.where(d.response > 0, d.response, 1.0) / size, np.inf)
    families = _families(family, tests)
    testable, among = np.zeros(tests, dtype=bool), np.ones(tests, dtype=np.int64)
    for at in families:
        testable[at], among[at] = count_tests(relative[at], rule)
    smallest = minimum_detectable(d.sd, d.response, rule, among)
    margin = rule.agreement * np.where(stated, np.abs(inventory), np.nan)
    p_value, p_equivalence, chance = np.full((3, tests), np.nan)
    if testable.any():
        from scipy.stats import norm

        at = testable
        p_value[at] = 2 * norm.sf(np.abs(d.value[at]) / d.sd[at])
        scale = 1.0 / d.response[at]
        p_equivalence[at] = equivalence_p(d.value[at] * scale, d.sd[at] * scale, margin[at])
        chance[at] = equivalence_power(d.sd[at] * scale, margin[at], rule.alpha / among[at])
    p_adjusted = np.full(tests, np.nan)
    for at in families:
        p_adjusted[at] = benjamini_hochberg(p_value[at])
        p_equivalence[at] = benjamini_hochberg(p_equivalence[at])
    verdicts, reasons, remarks = [], [], []
    for k in range(tests):
        reason = remark = NOTHING
        if not testable[k]:
            verdict = Verdict.NOT_TESTABLE
            share = smallest[k] / abs(inventory[k]) if stated[k] and inventory[k] else np.inf
            reason = why[k] if why[k].en else _reason(stated[k], inventory[k], solved[k], d, k, share, rule)
        elif p_adjusted[k] <= rule.alpha:
            verdict = Verdict.INCONSISTENT
            if p_equivalence[k] <= rule.alpha:
                remark = say("small but real", margin=f"{rule.agreement:.0%}")
        else:
            agrees = p_equivalence[k] <= rule.alpha
            verdict = Verdict.CONSISTENT if agrees else Verdict.NOT_DECIDED
        verdicts.append(verdict)
        reasons.append(reason)
        remarks.append(remark)
    shut = np.array([bool(r.en) for r in why])
    return Verdicts(
        tuple(verdicts),
        np.where(shut, np.nan, d.value),
        np.where(shut, np.nan, d.sd),
        p_value,
        p_adjusted,
        p_equivalence,
        d.response,
        np.where(shut, np.nan, smallest),
        rule.alpha / among,
        margin,
        chance,
        tuple(reasons),
        tuple(remarks),
    )


def _families(family: Sequence[Any] | None, tests: int) -> list[Bools]:
    """Return the tests of each family."""
    label = np.zeros(tests, dtype=np.int64) if family is None else np.unique(family, return_inverse=True)[1]
    return [label == k for k in range(label.max(initial=-1) + 1)]


def _difference(
    w: Floats,
    u: Floats,
    prior: Floats,
    posterior: Floats,
    kernel: Floats,
    noise: Floats,
    spread: Floats,
    inventory: Floats,
    own_sd: Floats,
    shared: float,
) -> _Difference:
    """Return d, its standard deviation under the hypothesis, and a, for each test; see the module's text."""
    size = np.einsum("ij,ij->i", w, u)
    seen = w @ kernel
    response = np.einsum("ij,ij->i", seen, u) / np.where(size != 0, size, 1.0)
    there = np.isfinite(inventory)
    before = w @ prior
    # Without an inventory the total is compared with nothing: what is left is what the observations moved.
    increment = np.where(there, inventory - before, 0.0)
    value = w @ (posterior - prior) - response * increment
    rest = seen - response[:, None] * w
    tied = spread @ w.T  # C w of each test
    own = np.einsum("ij,ji->i", w, tied)
    common = np.einsum("ij,ji->i", rest, tied) / np.sqrt(np.where(own > 0, own, 1.0))
    variance = (
        _form(w, noise)
        + _form(rest, spread)
        + (response * own_sd) ** 2
        + 2.0 * response * own_sd * shared * common
    )
    return _Difference(value, np.sqrt(np.maximum(variance, 0.0)), response)


def _form(rows: Floats, matrix: Floats) -> Floats:
    """Return ``r M r'`` of each row."""
    return np.asarray(np.einsum("ij,ij->i", rows @ matrix, rows))


def _check(
    n: int,
    tests: int,
    *,
    inversion: dict[str, tuple[Floats, tuple[int, ...]]],
    inventory: dict[str, tuple[Floats, tuple[int, ...]]],
) -> None:
    for name, (array, shape) in (inversion | inventory).items():
        if array.shape != shape:
            raise SchemaError(
                f"{name} has shape {array.shape}, {shape} is needed for {n} regions"
                + (f" and {tests} tests" if tests != n else "")
            )
    for name, (array, _) in inversion.items():
        if not np.isfinite(array).all():
            raise SchemaError(f"{name} of the inversion has values that are not finite")


def _reason(
    stated: bool, inventory: float, solved: bool, d: _Difference, k: int, share: float, rule: Rule
) -> Words:
    """Say why a test that was not barred cannot be made."""
    if not stated:
        return say("no inventory")
    if inventory == 0:
        return say("zero")
    if d.response[k] < _UNSEEN:
        return say("not observed" if solved else "not solved")
    if not d.sd[k] > 0:
        return say("no spread")
    return say("too little seen", share=f"{share:.0%}", limit=f"{rule.detectable:.0%}")
