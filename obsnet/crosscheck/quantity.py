"""What is tested: regions and groups of regions, in the sum of some periods, as weights over all totals.

A discrepancy of such a sum is taken to be spread over its own regions in all periods as the inversion's prior
doubts them, ``u = C w`` of those regions: an inventory that is wrong in March is likely wrong in April too, as far
as the prior says so. It says nothing of other regions, whose totals stay at the prior (`verdict`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from obsnet.crosscheck.inventory_rows import Chosen
from obsnet.crosscheck.periods import Compared
from obsnet.crosscheck.totals import RegionTotals
from obsnet.crosscheck.words import NOTHING, Words, say
from obsnet.errors import ConfigError, nearest
from obsnet.regions import REST
from obsnet.typing import Floats

__all__ = ["Quantities", "make_quantities"]


@dataclass(frozen=True)
class Quantities:
    """What is tested and the inventory of it.

    Parameters
    ----------
    names : tuple of str
        Regions and groups.
    weights, pattern : ndarray, shape (tested, totals)
        w and u of `verdict.judge`.
    inventory, inventory_sd : ndarray, shape (tested,)
        Mt a year; NaN where there is none.
    barred : tuple of Words
        Why it may not be tested, else empty.
    remarks : tuple of list of Words
        What to know of each.
    """

    names: tuple[str, ...]
    weights: Floats
    pattern: Floats
    inventory: Floats
    inventory_sd: Floats
    barred: tuple[Words, ...]
    remarks: tuple[list[Words], ...]


def make_quantities(
    totals: RegionTotals,
    chosen: Chosen,
    compared: Compared,
    groups: Mapping[str, Sequence[str]],
    profile_uncertainty: float = 0.0,
) -> Quantities:
    """Return all regions but ``outside``, then the groups.

    Parameters
    ----------
    totals : RegionTotals
        Of the inversion.
    chosen : Chosen
        The inventory's totals by region.
    compared : Compared
        Periods to sum.
    groups : mapping of str to sequence of str
        Regions to test as a sum, besides each by itself.
    profile_uncertainty : float
        Relative sd of a stated temporal profile; counts where one is used.

    Raises
    ------
    ConfigError
        A group of regions that do not exist, or are named like one.
    """
    regions = [r for r in totals.regions if r not in REST]
    members = {r: (r,) for r in regions} | _groups(groups, regions)
    tested = _mean_over(totals, compared.periods)
    factor, barred = _profile(totals, compared)
    value = chosen.value * factor
    sd = np.hypot(
        chosen.sd * np.abs(factor), (profile_uncertainty if compared.profiled else 0.0) * np.abs(value)
    )
    shape = (len(totals.regions), len(totals.periods))
    rows = []
    for name, inside in members.items():
        at = [totals.regions.index(r) for r in inside]
        weights, own = np.zeros(shape), np.zeros(shape)
        weights[at], own[at] = tested, 1.0
        pattern = own.ravel() * (totals.prior_covariance @ weights.ravel())
        lacking = [r for r in inside if not np.isfinite(chosen.value[totals.regions.index(r)])]
        reasons = [chosen.absent.get(r, say("no inventory")) for r in lacking] or [barred[i] for i in at]
        remarks = [x for r in inside for x in chosen.remarks[r]]
        if name not in regions:
            remarks.append(say("group", regions=", ".join(totals.names[r] for r in inside)))
        rows.append(
            (
                weights.ravel(),
                # a total that the prior does not doubt has no pattern of its own
                pattern if weights.ravel() @ pattern > 0 else weights.ravel(),
                value[at].sum(),
                sd[at].sum(),
                next((r for r in reasons if r.en), NOTHING),
                [*remarks, *compared.remarks],
            )
        )
    w, u, total, spread, why, notes = zip(*rows, strict=True)
    return Quantities(tuple(members), np.stack(w), np.stack(u), np.array(total), np.array(spread), why, notes)


def _mean_over(totals: RegionTotals, periods: Sequence[int]) -> Floats:
    """Return the weights by which rates of periods make up the mean rate of some of them, shape (periods,)."""
    length = np.array([p.length if i in periods else 0.0 for i, p in enumerate(totals.periods)])
    return length / length.sum()


def _profile(totals: RegionTotals, compared: Compared) -> tuple[Floats, list[Words]]:
    """Return what turns the inventory's rate of each region into one of the tested time, or why it cannot."""
    prior = totals.prior.reshape(len(totals.regions), len(totals.periods))
    part, whole = (prior @ _mean_over(totals, p) for p in (compared.periods, compared.whole))
    known = (whole != 0) | (compared.whole == compared.periods)
    same = compared.whole == compared.periods
    factor = np.ones(len(part)) if same else np.where(known, part / np.where(known, whole, 1.0), 1.0)
    return factor, [compared.barred if k or compared.barred.en else say("no profile") for k in known]


def _groups(groups: Mapping[str, Sequence[str]], regions: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Check that groups are made of regions."""
    for name, inside in groups.items():
        if name in (*regions, *REST):
            raise ConfigError(f"group {name!r} is named like a region; give it a name of its own")
        if len(set(inside)) < max(len(inside), 2):
            raise ConfigError(f"group {name!r} needs two regions or more, each once, found {list(inside)}")
        for region in inside:
            if region not in regions:
                raise ConfigError(f"group {name!r}: no region {region!r}{nearest(region, regions)}")
    return {name: tuple(inside) for name, inside in groups.items()}
