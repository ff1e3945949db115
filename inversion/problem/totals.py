"""Totals of regions by sector and period: weights, patterns, and what a comparison with an inventory needs.

A total is ``g'x``: the mean over a period of the flux of one sector over one region, in mol s-1. The part of
the domain outside all regions is a region of its own, so that every solved flux belongs to exactly one total.

What an inventory is tested with
--------------------------------
With prior totals ``t_b``, posterior totals ``t_a`` and an inventory ``t_I`` of one sector, spread inside
each region as the prior is, the difference that the observations alone speak for is (Rodgers & Connor 2003,
doi:10.1029/2002JD002299, applied to fluxes)::

    delta      = t_a - [t_b + A (t_I - t_b)]
    cov(delta) = N + W + M + O + A C_I A'

``A``
    response of a posterior total to a change of a true total in its pattern (`Totals.kernel`);
``N``
    error of the observations, ``G K R K' G'``;
``W``
    fluxes of the same sector that move between cells and times inside a region without changing its total;
``M``
    inflow at the boundary and offsets of instruments;
``O``
    all other sectors, with their prior error;
``C_I``
    the inventory's own covariance.

``A``, ``N``, ``W`` and ``M`` are over all totals; ``N + W + M + O`` for the totals of one sector is
`Totals.test`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from inversion.operators.covariance import BlockDiagonalCovariance, Covariance
from inversion.problem.posterior import Aggregate, Posterior
from inversion.problem.state import State
from inversion.problem.time_bins import TimeBins
from obsnet.errors import SolverError
from obsnet.shares import Shares

__all__ = ["TotalWeights", "Totals", "region_totals", "total_weights"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TotalWeights:
    """Which total weights which state element, and in what pattern a total is spread.

    Parameters
    ----------
    sector, region, period : tuple
        Labels along the axes; totals are flat in this order, the last running fastest.
    weights : scipy.sparse.csr_array, shape (totals, n_state)
        G: state to mol s-1. Rows of prescribed sectors are empty.
    pattern : scipy.sparse.csr_array, shape (n_state, totals)
        U: change of the state for 1 mol s-1 more, spread as the prior; ``G U = I`` on the rows of solved
        sectors.
    fixed : ndarray, shape (totals,)
        Totals of prescribed sectors, mol s-1; 0 elsewhere.
    """

    sector: tuple[str, ...]
    region: tuple[str, ...]
    period: npt.NDArray[np.datetime64]
    weights: sp.csr_array
    pattern: sp.csr_array
    fixed: Floats

    @property
    def shape(self) -> tuple[int, int, int]:
        """Lengths of (sector, region, period)."""
        return len(self.sector), len(self.region), len(self.period) - 1

    @property
    def sector_of(self) -> npt.NDArray[np.int64]:
        """Index of the sector of each total."""
        n_sector, n_region, n_period = self.shape
        return np.repeat(np.arange(n_sector), n_region * n_period)


@dataclass(frozen=True, eq=False)
class Totals:
    """Posterior totals and all that a comparison with another estimate needs.

    Parameters
    ----------
    weights : TotalWeights
        What they are totals of.
    prior, posterior : Aggregate
        Means (mol s-1) and covariances (mol2 s-2).
    kernel : ndarray, shape (totals, totals)
        A: answer of each posterior total to 1 mol s-1 more in each true total, spread as the prior.
    noise, pattern, nuisance : ndarray, shape (totals, totals)
        N, W, M of the module's text, mol2 s-2.
    test : ndarray, shape (totals, totals)
        ``N + W + M + O`` between totals of one sector; 0 between sectors.
    """

    weights: TotalWeights
    prior: Aggregate
    posterior: Aggregate
    kernel: Floats
    noise: Floats
    pattern: Floats
    nuisance: Floats
    test: Floats

    def differences(self, inventory: Floats) -> Floats:
        """Return what an inventory of each sector is tested by, ``t_a - [t_b + A_ss (t_I - t_b)]``, mol s-1.

        Parameters
        ----------
        inventory : ndarray, shape (totals,)
            t_I, mol s-1.
        """
        own = np.where(self.same_sector, self.kernel, 0.0)
        return self.posterior.mean - self.prior.mean - own @ (inventory - self.prior.mean)

    @property
    def same_sector(self) -> npt.NDArray[np.bool_]:
        """Which pairs of totals are of one sector, shape (totals, totals)."""
        sector = self.weights.sector_of
        return sector[:, None] == sector

    def with_split(self, doubt: Mapping[str, Floats]) -> Totals:
        """Return the totals with a test that allows for cells split among regions by places that nobody knows.

        An inventory is of what stands in a region. If that is ``G x + e``, with the covariance V of e, the difference
        has the further term ``-A_rr e_r`` where the inventory of region r is right.

        Parameters
        ----------
        doubt : mapping of str to ndarray, shape (regions, regions)
            V by sector, mol2 s-2, the same in all periods; see `obsnet.shares.Shares.doubt`.
        """
        n_sector, n_region, n_period = self.weights.shape
        added = np.zeros((n_sector, n_region, n_period, n_sector, n_region, n_period))
        for number, sector in enumerate(self.weights.sector):
            if sector in doubt:
                added[number, :, :, number] = doubt[sector][:, None, :, None]
        answer = np.diagonal(self.kernel)
        return replace(self, test=self.test + answer[:, None] * added.reshape(self.test.shape) * answer)

    def with_spread(self, between: Floats, test: Floats) -> Totals:
        """Return the totals with an error that the inversion itself cannot know added to theirs.

        Parameters
        ----------
        between : ndarray, shape (totals, totals)
            Added to the posterior's covariance, mol2 s-2.
        test : ndarray, shape (totals, totals)
            Added to that of the test, between totals of one sector.
        """
        after = Aggregate(self.posterior.mean, self.posterior.covariance + between)
        return replace(self, posterior=after, test=self.test + np.where(self.same_sector, test, 0.0))


def total_weights(
    state: State,
    sectors: tuple[str, ...],
    prior_mean: dict[str, Floats],
    *,
    bins: dict[str, TimeBins],
    shares: Shares,
    periods: npt.NDArray[np.datetime64],
    scale: float,
) -> TotalWeights:
    """Return weights and patterns of all totals.

    Parameters
    ----------
    state : State
        With a flux block (time, cell) for each solved sector.
    sectors : tuple of str
        Solved and prescribed.
    prior_mean : dict of str to ndarray (bins, cells)
        Prior flux, mol m-2 s-1.
    bins : dict of str to TimeBins
        Time bins of each sector.
    shares : Shares
        How the flux of each sector's cells is split among regions; every part of it belongs to exactly one.
    periods : ndarray of datetime64, shape (n + 1,)
        Edges of the periods.
    scale : float
        State's flux unit is mol m-2 s-1 times this.

    Notes
    -----
    Inside a region the pattern is the prior's magnitude; where a region has none of the sector it is even. A
    cell on a border belongs to several regions; the pattern is chosen so that each total changes by itself
    alone, exactly (``G U = I``), by giving the cells' changes through the smallest correction of that
    pattern.
    """
    n_sector, n_region, n_period = len(sectors), len(shares.labels), len(periods) - 1
    count = n_region * n_period
    rows, columns, fixed = [], [], np.zeros((n_sector, n_region, n_period))
    for number, sector in enumerate(sectors):
        mean, share = prior_mean[sector], _period_shares(bins[sector], periods)
        area = shares.area(sector)
        if sector not in state.names:
            fixed[number] = np.asarray(area @ mean.T @ share.T)
            rows.append(sp.csr_array((count, state.size)))
            columns.append(sp.csr_array((state.size, count)))
            continue
        # kron over (region) x (period) rows and (bin, cell) columns
        parts = [sp.kron(share[[p]], area, format="csr") for p in range(n_period)]
        stacked = sp.vstack(parts, format="csr")
        order = np.arange(count).reshape(n_period, n_region).T.ravel()
        g = sp.csr_array(stacked[order]) * (1.0 / scale)
        rows.append(state.embed(sector, g))
        columns.append(_patterns(state, sector, g, mean))
    return TotalWeights(
        sectors,
        shares.labels,
        periods,
        sp.csr_array(sp.vstack(rows, format="csr")),
        sp.csr_array(sp.hstack(columns, format="csr")),
        fixed.ravel(),
    )


def _period_shares(bins: TimeBins, periods: npt.NDArray[np.datetime64]) -> sp.csr_array:
    """Return the part of each period that falls into each state bin, shape (periods, bins)."""
    low, high = bins.edges[:-1].astype(np.int64), bins.edges[1:].astype(np.int64)
    start, stop = periods[:-1].astype(np.int64), periods[1:].astype(np.int64)
    overlap = np.minimum(high, stop[:, None]) - np.maximum(low, start[:, None])
    share = np.maximum(overlap, 0) / (stop - start)[:, None]
    if (np.abs(share.sum(axis=1) - 1.0) > 1e-9).any():
        raise SolverError("a period of the totals reaches beyond the fluxes' time")
    return sp.csr_array(share)


def _patterns(state: State, sector: str, g: sp.csr_array, mean: Floats) -> sp.csr_array:
    """Return U with G U = I, each column shaped like the prior inside its region."""
    size = np.abs(mean).ravel()
    totals = g @ size
    # A region without the sector is filled evenly.
    bare = np.asarray(totals <= 1e-12 * max(totals.max(initial=0.0), 1e-300))
    raw = g.multiply(np.where(size > 0.0, size, 0.0)[None, :])
    even = g.multiply(np.ones(size.size)[None, :])
    keep = sp.diags_array((~bare).astype(float))
    fill = sp.diags_array(bare.astype(float))
    shape = sp.csr_array(keep @ raw + fill @ even)
    # As a density: the cells' values that this share of the region's emission means.
    cell = np.asarray(g.sum(axis=0)).ravel()
    per_cell = np.where(cell > 0.0, 1.0 / np.where(cell > 0.0, cell, 1.0), 0.0)
    u = sp.csr_array(shape.multiply(per_cell[None, :]).T)
    mixing = (g @ u).toarray()
    there = np.flatnonzero(np.asarray(g.sum(axis=1)).ravel() > 0.0)
    inner = mixing[np.ix_(there, there)]
    scale = np.diagonal(inner)
    inverse = np.zeros_like(mixing)
    # Regions that share their only cell cannot change apart: the pseudo-inverse divides what they share.
    inverse[np.ix_(there, there)] = np.linalg.pinv(inner / scale, rcond=1e-8) / scale[:, None]
    return sp.csr_array(state.embed(sector, sp.csr_array(u @ inverse).T).T)


def region_totals(posterior: Posterior, weights: TotalWeights) -> Totals:
    """Compute all totals of a posterior and the parts of their error.

    Parameters
    ----------
    posterior : Posterior
        Of a problem with a `State` and a block-diagonal prior error of the same blocks.
    weights : TotalWeights
        From `total_weights`.

    Raises
    ------
    SolverError
        The prior error has other blocks than the state.
    """
    problem = posterior.problem
    state, error = problem.state, problem.prior_error
    if state is None or not isinstance(error, BlockDiagonalCovariance) or not state.fits(error.blocks):
        raise SolverError("region totals need a state and a prior error of the same blocks")
    g, u = weights.weights, weights.pattern
    covariances: dict[str, Covariance] = dict(zip(state.names, error.blocks, strict=True))
    rows = posterior.averaging_kernel(g)
    n = rows.shape[0]
    pattern, nuisance, test = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))
    noise = posterior.noise_covariance(g)
    spread: dict[str, Floats] = {}
    sector_of = weights.sector_of
    for name in state.names:
        span = state.span(name)
        part = rows[:, span]
        spread[name] = part @ covariances[name].matmul(np.ascontiguousarray(part.T))
        if state.block(name).kind != "flux":
            nuisance += spread[name]
            continue
        own = np.flatnonzero(sector_of == weights.sector.index(name))
        inside = _inside(part, u[span][:, own], g[own][:, span])
        pattern += inside @ covariances[name].matmul(np.ascontiguousarray(inside.T))
    for number, name in enumerate(weights.sector):
        if name not in state.names:
            continue
        own = np.flatnonzero(sector_of == number)
        block = np.ix_(own, own)
        span = state.span(name)
        part = rows[np.ix_(own, np.arange(span.start, span.stop))]
        inside = _inside(part, u[span][:, own], g[own][:, span])
        moved = inside @ covariances[name].matmul(np.ascontiguousarray(inside.T))
        others = sum((spread[k][block] for k in state.names if k != name), np.zeros(moved.shape))
        test[block] = noise[block] + moved + others
    prior, after = posterior.prior_aggregate(g), posterior.aggregate(g)
    return Totals(
        weights=weights,
        prior=Aggregate(prior.mean + weights.fixed, prior.covariance),
        posterior=Aggregate(after.mean + weights.fixed, after.covariance),
        kernel=np.asarray(rows @ u),
        noise=noise,
        pattern=pattern,
        nuisance=nuisance,
        test=test,
    )


def _inside(rows: Floats, pattern: sp.csr_array, weights: sp.csr_array) -> Floats:
    """Return ``rows (I - U G)``: what the rows see of changes that leave every total as it is."""
    return np.asarray(rows - (weights.T @ (rows @ pattern).T).T)
