"""Totals of regions by sector and period: weights, patterns, and what a comparison with an inventory needs.

A total is ``g'x``: the mean over a period of the flux of one sector over one region, in mol s-1. The part of
the domain outside all regions is a region of its own, so that every solved flux belongs to exactly one total.

What an inventory is tested with
--------------------------------
With prior totals ``t_b``, posterior totals ``t_a`` and true totals ``t`` of one sector, spread inside each region as
the prior is, ``t_a - t_b = A (t - t_b) + error``. One total or a sum of totals ``X = w't`` is held against an
inventory I through what the observations speak for, all others staying at the prior (Rodgers & Connor 2003,
doi:10.1029/2002JD002299, applied to one flux; `obsnet.crosscheck.rules.verdict` has the whole)::

    d      = w'(t_a - t_b) - a (I - w't_b)          a = w'A u, w'u = 1
    var(d) = w'(N + W + M + O) w + y'C y + a^2 s^2     y = A'w - a w

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
``C``
    prior covariance of the sector's totals: neighbours and other periods may be off by as much;
``s``
    the inventory's own standard deviation.

``A``, ``N``, ``W`` and ``M`` are over all totals; ``N + W + M + O`` for the totals of one sector is
`Totals.test`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import scipy.sparse as sp

from inversion.operators.covariance import BlockDiagonalCovariance
from inversion.problem.innovation import seen_totals, strips
from inversion.problem.posterior import Aggregate, Posterior
from inversion.problem.state import State
from inversion.problem.time_bins import TimeBins
from obsnet.errors import SolverError
from obsnet.shares import Shares
from obsnet.typing import Bools, Floats, Ints, Times
from obsnet.work.progress import progress

__all__ = ["GROUP", "TotalWeights", "Totals", "region_totals", "total_patterns", "total_weights"]

GROUP = 256  # totals that are solved for, and kept, together


@dataclass(frozen=True, eq=False)
class TotalWeights:
    """Which total weights which state element, and in what pattern a total is spread.

    Parameters
    ----------
    sector, region, period : tuple
        Labels along the axes; totals are flat in this order, the last running fastest.
    weights : scipy.sparse.csr_array, shape (totals, n_state)
        G: state to mol s-1. Rows of prescribed sectors are empty.
    shapes : scipy.sparse.csr_array, shape (n_state, totals)
        V: the prior's shape in each region and period.
    unmixing : ndarray, shape (totals, totals)
        M: which shapes, together, change one total alone.
    fixed : ndarray, shape (totals,)
        Totals of prescribed sectors, mol s-1; 0 elsewhere.
    """

    sector: tuple[str, ...]
    region: tuple[str, ...]
    period: Times
    weights: sp.csr_array
    shapes: sp.csr_array
    unmixing: Floats
    fixed: Floats

    @property
    def pattern(self) -> sp.csr_array:
        """U = V M, shape (n_state, totals): change of the state for 1 mol s-1 more, spread as the prior.

        ``G U = I`` on the rows of solved sectors. It is nearly full where periods share time bins of the state and
        regions share cells: for small problems; `region_totals` never makes it.
        """
        return sp.csr_array(self.shapes @ sp.csr_array(self.unmixing))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Lengths of (sector, region, period)."""
        return len(self.sector), len(self.region), len(self.period) - 1

    @property
    def sector_of(self) -> Ints:
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
    tested : ndarray, shape (totals,), optional
        Totals of the estimate that the kernel and the parts of the error are of, where it is not the posterior.
    """

    weights: TotalWeights
    prior: Aggregate
    posterior: Aggregate
    kernel: Floats
    noise: Floats
    pattern: Floats
    nuisance: Floats
    test: Floats
    tested: Floats | None = None

    def differences(self, inventory: Floats) -> Floats:
        """Return what an inventory of each total is tested by, mol s-1.

        Parameters
        ----------
        inventory : ndarray, shape (totals,)
            t_I, mol s-1.

        Notes
        -----
        ``t_a - t_b - A_own (t_I - t_b)`` with the kernel among the periods of one region and sector; all other
        regions stay at the prior.
        """
        own = np.where(self.same_sector & self.same_region, self.kernel, 0.0)
        answer = self.posterior.mean if self.tested is None else self.tested
        return answer - self.prior.mean - own @ (inventory - self.prior.mean)

    @property
    def same_region(self) -> Bools:
        """Which pairs of totals are of one region, shape (totals, totals)."""
        n_sector, n_region, n_period = self.weights.shape
        region = np.tile(np.repeat(np.arange(n_region), n_period), n_sector)
        return region[:, None] == region

    @property
    def same_sector(self) -> Bools:
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
    periods: Times,
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
    rows, shapes, fixed = [], [], np.zeros((n_sector, n_region, n_period))
    unmixing = np.zeros((n_sector * count, n_sector * count))
    for number, sector in enumerate(sectors):
        mean, share = prior_mean[sector], _period_shares(bins[sector], periods)
        area = shares.area(sector)
        if sector not in state.names:
            fixed[number] = np.asarray(area @ mean.T @ share.T)
            rows.append(sp.csr_array((count, state.size)))
            shapes.append(sp.csr_array((state.size, count)))
            continue
        # kron over (region) x (period) rows and (bin, cell) columns
        parts = [sp.kron(share[[p]], area, format="csr") for p in range(n_period)]
        stacked = sp.vstack(parts, format="csr")
        order = np.arange(count).reshape(n_period, n_region).T.ravel()
        g = sp.csr_array(stacked[order]) * (1.0 / scale)
        rows.append(state.embed(sector, g))
        own = slice(number * count, (number + 1) * count)
        shape, unmixing[own, own] = total_patterns(g, mean)
        shapes.append(sp.csr_array(state.embed(sector, sp.csr_array(shape.T)).T))
    return TotalWeights(
        sectors,
        shares.labels,
        periods,
        sp.csr_array(sp.vstack(rows, format="csr")),
        sp.csr_array(sp.hstack(shapes, format="csr")),
        unmixing,
        fixed.ravel(),
    )


def _period_shares(bins: TimeBins, periods: Times) -> sp.csr_array:
    """Return the part of each period that falls into each state bin, shape (periods, bins)."""
    low, high = bins.edges[:-1].astype(np.int64), bins.edges[1:].astype(np.int64)
    start, stop = periods[:-1].astype(np.int64), periods[1:].astype(np.int64)
    overlap = np.minimum(high, stop[:, None]) - np.maximum(low, start[:, None])
    share = np.maximum(overlap, 0) / (stop - start)[:, None]
    if (np.abs(share.sum(axis=1) - 1.0) > 1e-9).any():
        raise SolverError("a period of the totals reaches beyond the fluxes' time")
    return sp.csr_array(share)


def total_patterns(g: sp.csr_array, mean: Floats) -> tuple[sp.csr_array, Floats]:
    """Return V and M of one sector with G V M = I, each column of V shaped like the prior inside its region."""
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
    return u, inverse


def _made(_name: str, make: Callable[[], Floats]) -> Floats:
    return make()


def region_totals(
    posterior: Posterior,
    weights: TotalWeights,
    *,
    keep: Callable[[str, Callable[[], Floats]], Floats] = _made,
) -> Totals:
    """Compute all totals of a posterior and the parts of their error.

    Parameters
    ----------
    posterior : Posterior
        Of a problem with a `State` and a block-diagonal prior error of the same blocks.
    weights : TotalWeights
        From `total_weights`.
    keep : callable
        ``keep(name, make)`` returns the array that ``make()`` makes, or the one that it kept under that name when
        the same posterior's totals were last computed; see `inversion.case.outputs.restart.kept_arrays`. By default
        nothing is kept.

    Raises
    ------
    SolverError
        The prior error has other blocks than the state.

    Notes
    -----
    Nothing of shape (totals, n_state) is made. With ``Q = H B G'`` and ``Z = K' G'``, both (n_obs, totals), and blocks
    s of the state, all is sums of small matrices::

        A      = Z'H U
        N      = Z'R Z
        E_s    = Z' H_s B_s H_s' Z
        W      = sum over sectors of E_s - A_s C_s - C_s'A_s' + A_s P_s A_s',  C = Q'Z,  P = G B G'
        G P G' = P - Z'Q - Q'Z + N + sum of E_s

    where A_s are the columns, C_s the rows of the sector's totals. ``E_s - …`` is
    ``rows (I - U G) B_s (I - U G)' rows'`` with rows = Z'H_s written out. The last is Joseph's form: right for any
    gain, so that a gain that iterations left off by a little makes the covariance too large by a square of it, never
    too small.
    """
    problem = posterior.problem
    state, error = problem.state, problem.prior_error
    if state is None or not isinstance(error, BlockDiagonalCovariance) or not state.fits(error.blocks):
        raise SolverError("region totals need a state and a prior error of the same blocks")
    g, n = weights.weights, weights.weights.shape[0]
    seen, before = seen_totals(problem, g)
    z = _gain(posterior, weights, seen, keep)
    noise = _symmetric(z.T @ problem.observation_error.matmul(z))
    shaped, spread = np.empty((n, n)), {name: np.empty((n, n)) for name in state.names}
    with progress(n, "totals, parts of their error") as advance:
        for part in strips(n, problem.n_state):
            rows = problem.adjoint(np.ascontiguousarray(z[:, part]))
            shaped[part] = (weights.shapes.T @ rows).T
            moved = error.matmul(rows)
            for name in state.names:
                span = state.span(name)
                spread[name][:, part] = z.T @ problem.forward_part(moved[span], span)
            advance(rows.shape[1])
    spread = {name: _symmetric(e) for name, e in spread.items()}
    kernel, common = shaped @ weights.unmixing, seen.T @ z
    fluxes = {name for name in state.names if state.block(name).kind == "flux"}
    nuisance = sum((spread[name] for name in state.names if name not in fluxes), np.zeros((n, n)))
    pattern, test = np.zeros((n, n)), np.zeros((n, n))
    for number, name in enumerate(weights.sector):
        if name not in fluxes:
            continue
        own = np.flatnonzero(weights.sector_of == number)
        answer, through = kernel[:, own], kernel[:, own] @ common[own]
        inside = spread[name] - through - through.T + answer @ before[np.ix_(own, own)] @ answer.T
        pattern += inside
        block = np.ix_(own, own)
        others = sum((spread[k][block] for k in state.names if k != name), np.zeros((own.size, own.size)))
        test[block] = noise[block] + inside[block] + others
    prior = Aggregate(np.asarray(g @ problem.prior), _symmetric(before))
    spreads = noise + sum(spread.values(), _symmetric(before - common - common.T))
    found = Aggregate(np.asarray(g @ posterior.mean), spreads)
    if not posterior.linear:  # draws know their totals better than the line through their middle
        prior, found = posterior.prior_aggregate(g), posterior.aggregate(g)
        doubt = posterior.doubt(g)
        if doubt is not None:
            sector = weights.sector_of
            test += np.where(sector[:, None] == sector, doubt, 0.0)
    tested = posterior.tested(g, z)
    return Totals(
        weights=weights,
        prior=Aggregate(prior.mean + weights.fixed, prior.covariance),
        posterior=Aggregate(found.mean + weights.fixed, found.covariance),
        kernel=kernel,
        noise=noise,
        pattern=_symmetric(pattern),
        nuisance=nuisance,
        test=test,
        tested=None if tested is None else tested + weights.fixed,
    )


def _gain(
    posterior: Posterior,
    weights: TotalWeights,
    seen: Floats,
    keep: Callable[[str, Callable[[], Floats]], Floats],
) -> Floats:
    """Return ``K' G'``, shape (n_obs, totals), solved for groups of neighbouring periods.

    Totals of the same months share most of what they need from the observations, and so their Krylov space.
    """
    g, found = weights.weights, np.empty_like(seen)
    order = np.argsort(np.arange(len(g.indptr) - 1) % weights.shape[2], kind="stable")
    groups = np.array_split(order, -(-order.size // GROUP))
    with progress(order.size, "totals, solving for their gain") as advance:
        for group in groups:
            name = f"gain-{hashlib.sha256(seen[:, group].tobytes()).hexdigest()[:16]}"
            found[:, group] = keep(name, partial(posterior.totals_gain, g[group], seen[:, group]))
            advance(group.size)
    return found


def _symmetric(a: Floats) -> Floats:
    return 0.5 * (a + a.T)
