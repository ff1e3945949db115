"""An inventory and an inversion of the same regions in the same time, as numbers that can be combined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from obsnet.crosscheck.compared.fit import judge_fit
from obsnet.crosscheck.compared.inventory_rows import Chosen
from obsnet.crosscheck.compared.noise import noise_of
from obsnet.crosscheck.compared.periods import TimeChoice, match_periods
from obsnet.crosscheck.compared.quantity import Sums, covariance_of, make_quantities
from obsnet.crosscheck.compared.totals import RegionTotals
from obsnet.crosscheck.rules.statistics import kernel_parts, sd_of
from obsnet.crosscheck.words import of_the_run, say
from obsnet.errors import ConfigError, RegionError
from obsnet.language import NOTHING, Words
from obsnet.regions import region_name
from obsnet.typing import Floats

__all__ = ["Sources", "TopDown", "bottom_up", "with_inversion"]


@dataclass(frozen=True)
class TopDown:
    """What an inversion says of the same regions: ``value = response X + error``.

    Parameters
    ----------
    value : ndarray, shape (n,)
    response : ndarray, shape (n, n)
        G.
    error : ndarray, shape (n, n)
        Covariance.
    """

    value: Floats
    response: Floats
    error: Floats


@dataclass(frozen=True)
class Sources:
    """What is reconciled, by region: the inventory, and an inversion if there is one."""

    keys: list[str]
    names: list[Words]
    value: Floats
    sd: Floats
    seen: Floats
    seen_sd: Floats
    top_down: TopDown | None = None
    remarks: tuple[Words, ...] = ()


def bottom_up(chosen: Chosen, regions: Sequence[str]) -> Sources:
    """Return the regions that have an inventory."""
    at = np.isfinite(chosen.value)
    keys = [r for r, there in zip(regions, at, strict=True) if there]
    none = np.full(len(keys), np.nan)
    return Sources(keys, [_named(k) for k in keys], chosen.value[at], chosen.sd[at], none, none)


def with_inversion(
    totals: RegionTotals, chosen: Chosen, time: TimeChoice, prescribed: Mapping[str, float]
) -> Sources:
    """Return the regions that have an inventory, and what an inversion says of them.

    Parameters
    ----------
    totals : RegionTotals
    chosen : Chosen
        Rows of the inventory.
    time : TimeChoice
        How they are held against another time.
    prescribed : mapping of str to float
        As in `table.Choices`.

    Raises
    ------
    ConfigError
        The times do not meet, or with this run nothing can be tested.
    """
    noise, unstated, notes = noise_of(totals, prescribed)
    compared = match_periods(totals.periods, chosen.period, None, time)
    fit = judge_fit(totals.fit)
    unable = say("no verdict", text=of_the_run(totals.no_verdict)) if totals.no_verdict else NOTHING
    for why in (unable, fit.barred, unstated, compared.barred):
        if why.en:
            raise ConfigError(f"with this inversion nothing can be compared: {why.en}")
    tested = make_quantities(totals, chosen, compared, Sums(merge="no"))
    at = np.flatnonzero(np.isfinite(tested.inventory) & np.array([not b.en for b in tested.barred]))
    w, u = tested.weights[at], tested.pattern[at]
    own, rest = kernel_parts(w, u, totals.averaging_kernel)
    error = w @ noise @ w.T + rest @ totals.prior_covariance @ rest.T
    return Sources(
        [tested.tested[i].key for i in at],
        [tested.tested[i].name for i in at],
        tested.inventory[at],
        tested.inventory_sd[at],
        w @ totals.posterior,
        sd_of(covariance_of(w, totals.posterior_covariance)),
        TopDown(w @ (totals.answer - totals.prior) + own @ (w @ totals.prior), own, error),
        (*compared.remarks, *fit.remarks, *notes),
    )


def _named(region: str) -> Words:
    try:
        return Words(region_name(region), region_name(region, "zh"))
    except RegionError:  # the user's own regions
        return Words(region, region)
