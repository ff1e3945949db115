"""What an inversion says of the emissions of a year, where its observations can say anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from obsnet.crosscheck.compared.totals import RegionTotals
from obsnet.errors import FormatError
from obsnet.inventory.period import Period
from obsnet.typing import Floats

__all__ = ["Seen", "seen_in", "updated"]

_DETECTABLE = 0.30  # of an emission: the same limit as of `obsnet crosscheck`
_POWER = 1.959964 + 0.841621  # standard deviations found with power 0.8 at 1 in 20
_WHOLE = 0.02  # of a year that periods may miss


@dataclass(frozen=True, eq=False)
class Seen:
    """An inversion as an observation of annual emissions: ``y = H e + noise``.

    Parameters
    ----------
    regions : tuple of str
        Of the inversion, all of them.
    year : int
    value : ndarray, shape (regions,)
        ``y``: posterior totals less what they take from the prior, Mt a year.
    response : ndarray, shape (regions, regions)
        ``H``: averaging kernel of annual totals, emissions spread in time as in the prior.
    noise : ndarray, shape (regions, regions)
        Covariance of the noise, (Mt a year) squared.
    prior, prior_covariance : ndarray
        Of the regions, for those that no inventory is of.
    """

    regions: tuple[str, ...]
    year: int
    value: Floats
    response: Floats
    noise: Floats
    prior: Floats
    prior_covariance: Floats


def seen_in(totals: RegionTotals, year: int) -> Seen:
    """Return what an inversion saw of a year.

    Parameters
    ----------
    totals : RegionTotals
        From `obsnet.crosscheck.compared.totals.read_totals`.
    year : int

    Raises
    ------
    FormatError
        Its periods do not cover the year, or the run bars tests of inventories.
    """
    if totals.no_verdict:
        raise FormatError(f"this inversion can test no inventory: {totals.no_verdict}")
    whole = Period(np.datetime64(f"{year}-01-01", "us"), np.datetime64(f"{year + 1}-01-01", "us"))
    inside = np.array([whole.start <= p.start and p.stop <= whole.stop for p in totals.periods])
    length = np.array([p.length for p in totals.periods]) * inside
    if abs(length.sum() / whole.length - 1.0) > _WHOLE:
        raise FormatError(
            f"periods of the inversion cover {length.sum() / whole.length:.0%} of {year}; an annual estimate needs "
            "the year"
        )
    count = len(totals.regions)
    mean = np.kron(np.eye(count), length / length.sum())  # (regions, totals), the period fastest
    prior = mean @ totals.prior
    over = np.divide(totals.prior, np.repeat(prior, len(length)), where=np.repeat(prior, len(length)) != 0.0,
                     out=np.ones(totals.prior.size))  # fmt: skip
    spread = (
        np.kron(np.eye(count), np.ones(len(length))) * over
    ).T  # annual totals to periods, as in the prior
    response = mean @ totals.averaging_kernel @ spread
    return Seen(
        totals.regions, year, mean @ totals.posterior - prior + response @ prior, response,
        mean @ totals.noise_covariance @ mean.T, prior, mean @ totals.prior_covariance @ mean.T,
    )  # fmt: skip


def updated(
    draws: Floats, regions: Sequence[str], seen: Seen, definition_sd: float, rng: np.random.Generator
) -> tuple[Floats, tuple[str, ...]]:
    """Return draws of emissions after the inversion is taken as one more observation of them.

    Parameters
    ----------
    draws : ndarray, shape (draws, regions)
        Mt a year.
    regions : sequence of str
        Of the draws.
    seen : Seen
        Rows of regions whose smallest detectable discrepancy is above 30 % of the estimate are left out: there the
        observations cannot tell.
    definition_sd : float
        Relative: by how much an inventory and the atmosphere differ in a region for what they mean by emissions.
    rng : numpy.random.Generator
        Of the noise.

    Returns
    -------
    draws : ndarray, shape (draws, regions)
    tested : tuple of str
        Regions whose rows were used.

    Notes
    -----
    Least squares in the ensemble's own covariance, as `obsnet.nowcast.models.nation.tied`. Regions of the inversion
    that have no draws are unknowns with the inversion's prior; since ``y`` is what the kernel makes of the truth, an
    inventory that served as that prior counts nothing twice.
    """
    place = {r: i for i, r in enumerate(seen.regions)}
    known = [j for j, r in enumerate(regions) if r in place]
    others = [i for r, i in place.items() if r not in set(regions)]
    state = np.empty((len(draws), len(seen.regions)))
    state[:, [place[regions[j]] for j in known]] = draws[:, known]
    if others:
        state[:, others] = rng.multivariate_normal(
            seen.prior[others], seen.prior_covariance[np.ix_(others, others)], len(draws), method="eigh"
        )
    mean = state.mean(axis=0)
    own = np.diagonal(seen.response)
    with np.errstate(divide="ignore", invalid="ignore"):
        detectable = _POWER * np.sqrt(np.maximum(np.diagonal(seen.noise), 0.0)) / (own * np.abs(mean))
    rows = [place[regions[j]] for j in known if 0.0 < detectable[place[regions[j]]] <= _DETECTABLE]
    if not rows:
        return draws, ()
    differ = np.where(np.isin(np.arange(len(mean)), others), 0.0, definition_sd * mean)
    h = seen.response[rows]
    noise = seen.noise[np.ix_(rows, rows)] + (h * differ**2) @ h.T
    apart = state - mean
    modelled = apart @ h.T
    covariance = modelled.T @ modelled / (len(draws) - 1)
    gain = np.linalg.solve(covariance + noise, modelled.T @ (draws - draws.mean(axis=0)) / (len(draws) - 1)).T
    luck = rng.multivariate_normal(np.zeros(len(rows)), noise, len(draws), method="eigh")
    return draws + (seen.value[rows] + luck - state @ h.T) @ gain.T, tuple(seen.regions[i] for i in rows)
