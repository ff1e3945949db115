"""What is said of all regions together: chi-square, the requirement line, and whether a run is surer than can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from obsnet.crosscheck.compared.quantity import Quantities, covariance_of
from obsnet.crosscheck.compared.totals import RegionTotals
from obsnet.crosscheck.rules.published import is_national, self_check
from obsnet.crosscheck.rules.statistics import chi_square, common_error, sd_of
from obsnet.crosscheck.words import say
from obsnet.language import Words
from obsnet.regions import PROVINCES
from obsnet.typing import Floats

__all__ = ["STATISTICS", "all_regions"]

STATISTICS = ("statistic", "value", "text", "text_zh", "told")
_SAME = 1e-3  # an inventory this near to the prior is the prior
_SIZE = 3.0  # inversion over inventory in the median region; beyond, a unit is likelier than a discovery


def all_regions(
    totals: RegionTotals,
    tested: Quantities,
    noise: Floats,
    common: float | None,
    shared: float,
    requirement_met: Sequence[str],
    *,
    able: bool,
    bridged: bool = False,
) -> Any:
    """Return the statistics of all regions together.

    Parameters
    ----------
    totals : RegionTotals
        Of the inversion.
    tested : Quantities
        What was tested.
    noise : ndarray, shape (totals, totals)
        N of `verdict.judge`, with what prescribed sectors add.
    common : float, optional
        Correlation between inventories' errors; both 0 and 1 if nothing is said.
    shared : float
        Correlation between errors of inventory and prior.
    requirement_met : sequence of str
        By tested sum, see `published`.
    able : bool
        Whether the run can be tested at all.
    bridged : bool
        Whether it was stated what inventory and sector are of.

    Returns
    -------
    pandas.DataFrame
        Columns `STATISTICS`.
    """
    import pandas as pd

    n = tested.regions
    rows: list[tuple[str, float, Words, bool]] = []
    # what stands for the regions: each, or with `merge = "instead"` the sets in the place of their members
    stands = np.array(tested.family) == "region"
    stated = np.isfinite(tested.inventory) & np.array([not b.en for b in tested.barred])
    doubted = np.einsum("ij,ij->i", tested.weights @ totals.prior_covariance, tested.weights) > 0
    at = np.flatnonzero(stands & stated & doubted)
    if able and len(at):
        for rho in (0.0, 1.0) if common is None else (common,):
            rows += _together(totals, tested, noise, at, rho, shared)
    met = int((np.asarray(requirement_met)[:n] == "yes").sum())
    rows.append(("requirement_met", met, say("requirements", met=met, of=n), False))
    before = tested.weights @ totals.prior
    same = int((np.abs(tested.inventory - before) <= _SAME * np.abs(before))[at].sum())
    if same and 2 * same >= len(at):
        rows.append(("is_the_prior", same, say("is the prior", count=same, of=len(at)), not shared))
    there = at[tested.inventory[at] != 0]
    if len(there):
        answer = (tested.weights @ totals.posterior)[there]
        ratio = float(np.median(np.abs(answer / tested.inventory[there])))
        if not 1.0 / _SIZE <= ratio <= _SIZE:
            text = say("another size", ratio=f"{ratio:.3g}", of=len(there))
            rows.append(("another_size", ratio, text, True))
    if totals.gas == "CO2" and not bridged:
        rows.append(("not_harmonised", float("nan"), say("not harmonised"), False))
    net = _national_net_sd(totals, tested)
    if np.isfinite(net):
        told = self_check(net)
        rows.append(("national_net_sd", net, told or Words("", ""), told is not None))
    return pd.DataFrame(
        [(key, value, text.en, text.zh, int(told)) for key, value, text, told in rows], columns=STATISTICS
    )


def _together(
    totals: RegionTotals,
    tested: Quantities,
    noise: Floats,
    at: np.ndarray,
    rho: float,
    shared: float,
) -> list[tuple[str, float, Words, bool]]:
    found = chi_square(
        weights=tested.weights[at],
        pattern=tested.pattern[at],
        prior=totals.prior,
        posterior=totals.answer,
        kernel=totals.averaging_kernel,
        noise=noise,
        prior_covariance=totals.prior_covariance,
        inventory=tested.inventory[at],
        inventory_covariance=common_error(tested.inventory_sd[at], rho),
        shared=shared,
    )
    text = say(
        "all regions",
        freedom=found.freedom,
        regions=len(at),
        common=rho,
        value=found.value,
        p=found.p,
    )
    name = f"chi_square_common_{rho:g}"
    return [
        (name, found.value, text, False),
        (f"{name}_freedom", found.freedom, Words("", ""), False),
        (f"{name}_p", found.p, Words("", ""), False),
    ]


def _national_net_sd(totals: RegionTotals, tested: Quantities) -> float:
    """Return the standard deviation of the net CO2 of all provinces, NaN where the run is not of that."""
    n = tested.regions
    members = [t.key for t in tested.tested[:n]]
    if totals.gas != "CO2" or totals.net_covariance is None or not is_national(members):
        return float("nan")
    inside = [m in PROVINCES for m in members]
    total = tested.weights[:n][inside].sum(axis=0)[None, :]
    return float(sd_of(covariance_of(total, totals.net_covariance))[0])
