"""What is tested: regions, sets of them that are told apart by nothing, groups; as weights over all totals.

A discrepancy of such a sum is taken to be spread over its own regions in all periods as the inversion's prior
doubts them, ``u = C w`` of those regions: an inventory that is wrong in March is likely wrong in April too, as far
as the prior says so. It says nothing of other regions, whose totals stay at the prior (`verdict`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from obsnet.crosscheck.compared.groups import chosen_groups, group_name
from obsnet.crosscheck.compared.inventory_rows import Chosen
from obsnet.crosscheck.compared.joint import RegionResolution, joint_sets, resolve
from obsnet.crosscheck.compared.periods import Compared
from obsnet.crosscheck.compared.totals import RegionTotals
from obsnet.crosscheck.rules.statistics import common_error, sd_of
from obsnet.crosscheck.words import say
from obsnet.errors import RegionError
from obsnet.language import NOTHING, Words
from obsnet.regions import REST, region_name
from obsnet.typing import Floats

__all__ = ["Kind", "Quantities", "Sums", "Tested", "covariance_of", "make_quantities", "weights_of"]

_UNSURE = 0.03  # of a prior total: what is said of its want of places
_FEW = 8  # regions that a remark names; the column `members` has all
Kind = Literal["region", "joint", "group"]


@dataclass(frozen=True)
class Sums:
    """Which sums of regions are tested besides each region by itself.

    Parameters
    ----------
    groups : mapping of str to sequence of str
        Named on the spot.
    asked : sequence of str
        Built-in groups and files of groups, see `groups.chosen_groups`.
    merge : {"besides", "instead", "no"}
        Whether regions that are not told apart are tested as a sum too, only so, or not.
    """

    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    asked: Sequence[str] = ()
    merge: Literal["besides", "instead", "no"] = "besides"


@dataclass(frozen=True)
class Tested:
    """One sum of regions.

    Parameters
    ----------
    key : str
        Region, group, or the regions of a joint set with ``+`` between them.
    name : Words
        For people.
    kind : {"region", "joint", "group"}
    members : tuple of str
        Regions.
    """

    key: str
    name: Words
    kind: Kind
    members: tuple[str, ...]


@dataclass(frozen=True)
class Quantities:
    """What is tested and the inventory of it.

    Parameters
    ----------
    tested : tuple of Tested
        Regions, joint sets, groups, in this order.
    weights, pattern : ndarray, shape (tested, totals)
        w and u of `verdict.judge`.
    inventory, inventory_sd : ndarray, shape (tested,)
        Mt a year; NaN where there is none.
    barred : tuple of Words
        Why it may not be tested, else empty.
    remarks : tuple of list of Words
        What to know of each.
    resolution : RegionResolution
        Of the regions, which are the first of those tested.
    joint : tuple of str
        Key of the joint set that a region is in; empty where it stands by itself.
    family : tuple of str
        Of tests, in each of which the rate of false discoveries is kept: regions, joint sets unless they stand for
        their regions, groups.
    """

    tested: tuple[Tested, ...]
    weights: Floats
    pattern: Floats
    inventory: Floats
    inventory_sd: Floats
    barred: tuple[Words, ...]
    remarks: tuple[list[Words], ...]
    resolution: RegionResolution
    joint: tuple[str, ...]
    family: tuple[str, ...]

    @property
    def regions(self) -> int:
        """How many of those tested are single regions."""
        return len(self.joint)


def make_quantities(
    totals: RegionTotals,
    chosen: Chosen,
    compared: Compared,
    sums: Sums | None = None,
    profile_uncertainty: float = 0.0,
    common: float = 1.0,
) -> Quantities:
    """Return all regions but those of `REST`, then sets that are not told apart, then groups.

    Parameters
    ----------
    totals : RegionTotals
        Of the inversion.
    chosen : Chosen
        The inventory's totals by region.
    compared : Compared
        Periods to sum.
    sums : Sums, optional
        Which sums of regions are tested.
    profile_uncertainty : float
        Relative sd of a stated temporal profile; counts where one is used.
    common : float
        Correlation between the errors of two regions' inventories; wholly correlated ones make a sum most uncertain.

    Raises
    ------
    ConfigError
        See `groups.chosen_groups`.
    """
    sums = sums or Sums()
    single = [Tested(r, _named(r, totals), "region", (r,)) for r in totals.regions if r not in REST]
    resolution = _resolution(totals, single, compared.periods)
    sets = [] if sums.merge == "no" else joint_sets(resolution.pairs)
    joint = [_together([single[i] for i in inside]) for inside in sets]
    of = {r: one for one in joint for r in one.members}
    stated = [r.key for r in single if np.isfinite(chosen.value[totals.regions.index(r.key)])]
    groups = chosen_groups(sums.asked, sums.groups, [r.key for r in single], stated)
    tested = [*single, *joint, *(Tested(k, group_name(k), "group", m) for k, m in groups.items())]
    weights, pattern = weights_of(totals, [t.members for t in tested], compared.periods)
    factor, barred = _profile(totals, compared)
    value = chosen.value * factor
    sd = np.hypot(
        chosen.sd * np.abs(factor), (profile_uncertainty if compared.profiled else 0.0) * np.abs(value)
    )
    why, notes = [], []
    for one in tested:
        at = [totals.regions.index(r) for r in one.members]
        why.append(_barred(one, at, chosen, totals, barred, of if sums.merge == "instead" else {}))
        remarks = [x for r in one.members for x in chosen.remarks[r]]
        if one.kind != "region":
            names = (_names(one.members, totals, "en"), _names(one.members, totals, "zh"))
            remarks.append(say(one.kind, regions=names[0], regions_zh=names[1], common=common))
        elif one.key in of and sums.merge == "besides":
            remarks.append(say("not resolved", joint=of[one.key].name.en, joint_zh=of[one.key].name.zh))
        notes.append([*remarks, *_split(at, totals, compared.periods), *compared.remarks])
    at_of = [[totals.regions.index(r) for r in t.members] for t in tested]
    return Quantities(
        tuple(tested),
        weights,
        pattern,
        np.array([value[at].sum() for at in at_of]),
        np.array([np.sqrt(common_error(sd[at], common).sum()) for at in at_of]),
        tuple(why),
        tuple(notes),
        resolution,
        tuple(of[r.key].key if r.key in of else "" for r in single),
        tuple("region" if t.kind == "joint" and sums.merge == "instead" else t.kind for t in tested),
    )


def weights_of(
    totals: RegionTotals, members: Sequence[Sequence[str]], periods: Sequence[int]
) -> tuple[Floats, Floats]:
    """Return w and u of sums of regions in the mean of some periods, each of shape (sums, totals)."""
    over = _mean_over(totals, periods)
    shape = (len(totals.regions), len(totals.periods))
    rows = []
    for inside in members:
        at = [totals.regions.index(r) for r in inside]
        weights, own = np.zeros(shape), np.zeros(shape)
        weights[at], own[at] = over, 1.0
        pattern = own.ravel() * (totals.prior_covariance @ weights.ravel())
        # a total that the prior does not doubt has no pattern of its own
        rows.append((weights.ravel(), pattern if weights.ravel() @ pattern > 0 else weights.ravel()))
    w, u = zip(*rows, strict=True)
    return np.stack(w), np.stack(u)


def _resolution(totals: RegionTotals, single: Sequence[Tested], periods: Sequence[int]) -> RegionResolution:
    w, u = weights_of(totals, [t.members for t in single], periods)
    size = np.einsum("ij,ij->i", w, u)
    response = w @ totals.averaging_kernel @ (u / np.where(size > 0, size, 1.0)[:, None]).T
    spread = sd_of(covariance_of(w, totals.prior_covariance))
    return resolve(response, spread, covariance_of(w, totals.posterior_covariance))


def covariance_of(w: Floats, covariance: Floats) -> Floats:
    """Return the covariance of sums, shape (sums, sums), NaN where it rests on a value that is not known.

    Parameters
    ----------
    w : ndarray, shape (sums, totals)
        Weights of the sums.
    covariance : ndarray, shape (totals, totals)
    """
    known = np.isfinite(covariance)
    if known.all():
        return w @ covariance @ w.T
    used = (w != 0).astype(float)
    unknown = used @ (~known).astype(float) @ used.T > 0
    return np.where(unknown, np.nan, w @ np.where(known, covariance, 0.0) @ w.T)


def _barred(
    one: Tested,
    at: Sequence[int],
    chosen: Chosen,
    totals: RegionTotals,
    profile: Sequence[Words],
    merged: Mapping[str, Tested],
) -> Words:
    """Say why a sum may not be tested, else nothing."""
    lacking = [r for r, i in zip(one.members, at, strict=True) if not np.isfinite(chosen.value[i])]
    if lacking and one.kind == "region":
        return chosen.absent.get(one.key, say("no inventory"))
    if lacking:
        return say(
            "no inventory of",
            regions=_names(lacking, totals, "en"),
            regions_zh=_names(lacking, totals, "zh"),
        )
    if one.kind == "region" and one.key in merged:
        joint = merged[one.key].name
        return say("only jointly", joint=joint.en, joint_zh=joint.zh)
    return next((profile[i] for i in at if profile[i].en), NOTHING)


def _split(at: Sequence[int], totals: RegionTotals, periods: Sequence[int]) -> list[Words]:
    """Say how far the prior total of some regions may be off for want of knowing where inside cells its flux is."""
    if totals.split_covariance is None:
        return []
    before = totals.prior.reshape(len(totals.regions), len(totals.periods)) @ _mean_over(totals, periods)
    whole, variance = abs(float(before[at].sum())), float(totals.split_covariance[np.ix_(at, at)].sum())
    if not variance > (_UNSURE * whole) ** 2:
        return []
    return [
        say("split" if totals.split_in_test else "split not in test", size=f"{np.sqrt(variance) / whole:.0%}")
    ]


def _together(members: Sequence[Tested]) -> Tested:
    """Make one sum of regions that are not told apart."""
    return Tested(
        "+".join(m.key for m in members),
        Words(" + ".join(m.name.en for m in members), " + ".join(m.name.zh for m in members)),
        "joint",
        tuple(m.key for m in members),
    )


def _named(region: str, totals: RegionTotals) -> Words:
    label = totals.names.get(region, region)
    try:
        return Words(label, region_name(region, "zh"))
    except RegionError:  # the user's own regions
        return Words(label, label)


def _names(regions: Sequence[str], totals: RegionTotals, language: Literal["en", "zh"]) -> str:
    if len(regions) > _FEW:
        return {"en": f"{len(regions)} regions", "zh": f"{len(regions)} 个地区"}[language]
    return {"en": ", ", "zh": "、"}[language].join(getattr(_named(r, totals), language) for r in regions)


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
