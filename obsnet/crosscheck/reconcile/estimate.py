"""The joint best estimate of regions from an inventory, the nation's total and an inversion.

The inventory's regions b have errors of their own and one factor f in common, which the nation's total N shares::

    cov(b) = diag(s^2) + f^2 b b',     var(N) = s_N^2 + f^2 N^2,     cov(b, N) = f^2 b N

The regions add up to the nation and the stated statistical difference D: ``1't = N + D``. An inversion is a further
source with its kernel: ``W (ta - tb) + G W tb = G X + F (t - tb) + noise`` (`statistics.chi_square`), so that where
nothing was observed it says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from obsnet.crosscheck.compared.sources import TopDown
from obsnet.crosscheck.reconcile.kernel import BestEstimate, combine, gross_errors, intersect, same_direction
from obsnet.crosscheck.rules.statistics import sd_of
from obsnet.errors import ConfigError, SchemaError
from obsnet.typing import Bools, Floats

__all__ = ["Nation", "Reconciled", "reconcile"]


@dataclass(frozen=True)
class Nation:
    """A national total that the regions have to add up to.

    Parameters
    ----------
    value, sd : float
        Mt a year; the sd without the factor in common.
    difference, difference_sd : float
        By how much the regions are known to exceed it, and how well.
    """

    value: float
    sd: float
    difference: float = 0.0
    difference_sd: float = 0.0


@dataclass(frozen=True)
class Reconciled:
    """A joint best estimate and what it says of its sources.

    Parameters
    ----------
    value, sd, adjustment, adjustment_sd : ndarray, shape (n,)
        Best estimate, and what it moved the inventory by.
    covariance : ndarray, shape (n, n)
    nation : float
        What the regions now add up to less the stated difference; NaN without a nation.
    chi_square, p : float
        Test that all sources agree within their errors.
    freedom : int
    labels : tuple of str
        Of the numbers that may be wrong: ``inventory KEY``, ``nation``, ``inversion KEY``, then ``inventory, all`` and
        ``inversion, all`` for a factor on a whole source.
    ratios : ndarray, shape (numbers,)
        Likelihood ratio of a gross error in each.
    suspects : tuple of str
        Numbers of which the largest ratio is too large; several where their errors look alike.
    weight : float
        Of the inventory, where the correlation was taken as unknown; NaN else.
    """

    value: Floats
    sd: Floats
    adjustment: Floats
    adjustment_sd: Floats
    covariance: Floats
    nation: float
    chi_square: float
    p: float
    freedom: int
    labels: tuple[str, ...]
    ratios: Floats
    suspects: tuple[str, ...]
    weight: float


def reconcile(
    regions: Sequence[str],
    inventory: Floats,
    inventory_sd: Floats,
    *,
    nation: Nation | None = None,
    top_down: TopDown | None = None,
    factor: float = 0.0,
    unknown_correlation: bool = False,
    alpha: float = 0.05,
) -> Reconciled:
    """Reconcile an inventory with its nation and an inversion.

    Parameters
    ----------
    regions : sequence of str
        Keys.
    inventory, inventory_sd : ndarray, shape (regions,)
        Mt a year; the sd without the factor in common.
    nation : Nation, optional
    top_down : TopDown, optional
    factor : float
        Relative sd of the error that regions and nation share.
    unknown_correlation : bool
        Whether errors of inventory and inversion may be correlated in any way.
    alpha : float
        Level of the test for gross errors, over all numbers.

    Raises
    ------
    ConfigError
        Nothing to reconcile with, or an unknown correlation without an inversion.
    SchemaError
        Values that are not finite, or shapes that differ.
    """
    from scipy.stats import chi2

    n = len(regions)
    for name, array in (("inventory", inventory), ("inventory_sd", inventory_sd)):
        if array.shape != (n,) or not np.isfinite(array).all():
            raise SchemaError(f"{name} needs {n} finite values, one a region, found {array.shape}")
    if nation is None and top_down is None:
        raise ConfigError("nothing to reconcile the inventory with: give a national total or an inversion")
    if unknown_correlation and top_down is None:
        raise ConfigError("an unknown correlation is one between inventory and inversion: give --posterior")
    own = np.diag(inventory_sd**2) + factor**2 * np.outer(inventory, inventory)

    def made(w: float | None) -> BestEstimate:
        bottom, top = (1.0, 1.0) if w is None else (w, 1.0 - w)
        h, y, error, common = _stacked(inventory, nation, top_down, factor, bottom, top)
        return combine(inventory, own / bottom, h, y, error, common)

    weight, found = intersect(made) if unknown_correlation else (float("nan"), made(None))
    plain = made(None)
    labels, directions = _numbers(regions, inventory, nation, top_down)
    ratios = gross_errors(plain, directions)
    p = float(chi2.sf(plain.chi_square, plain.freedom))
    tried = np.isfinite(ratios)
    suspects: tuple[str, ...] = ()
    if tried.any() and chi2.sf(np.nanmax(ratios), 1) * tried.sum() <= alpha:
        worst = int(np.nanargmax(ratios))
        suspects = tuple(labels[k] for k in same_direction(plain, directions, worst))
    return Reconciled(
        found.value,
        sd_of(found.covariance),
        found.value - inventory,
        sd_of(found.adjustment_covariance),
        found.covariance,
        float(found.value.sum() - nation.difference) if nation else float("nan"),
        plain.chi_square,
        p,
        plain.freedom,
        labels,
        ratios,
        suspects,
        weight,
    )


def _stacked(
    inventory: Floats,
    nation: Nation | None,
    top_down: TopDown | None,
    factor: float,
    bottom: float,
    top: float,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return H, y, R and X of everything that the inventory is held against."""
    n = len(inventory)
    h, y, variances, shared = [], [], [], []
    if nation is not None:
        h.append(np.ones((1, n)))
        y.append(np.array([nation.value + nation.difference]))
        spread = nation.sd**2 + nation.difference_sd**2 + (factor * nation.value) ** 2
        variances.append(np.array([[spread / bottom]]))
        shared.append((factor**2 * nation.value * inventory)[:, None] / bottom)
    if top_down is not None:
        h.append(top_down.response)
        y.append(top_down.value)
        variances.append(top_down.error / top)
        shared.append(np.zeros((n, n)))
    m = sum(len(v) for v in y)
    error, at = np.zeros((m, m)), 0
    for block in variances:
        error[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    return np.vstack(h), np.concatenate(y), error, np.hstack(shared)


def _numbers(
    regions: Sequence[str], inventory: Floats, nation: Nation | None, top_down: TopDown | None
) -> tuple[tuple[str, ...], Floats]:
    """Return what may be wrong, and how an error of each moves the redundancies, (redundancies, numbers)."""
    h, y, _, _ = _stacked(inventory, nation, top_down, 0.0, 1.0, 1.0)
    labels = [f"inventory {r}" for r in regions]
    columns = [*(-h).T]
    if nation is not None:
        labels.append("nation")
        columns.append(np.eye(len(y))[0])
    if top_down is not None:
        first = len(y) - len(regions)
        labels += [f"inversion {r}" for r in regions]
        columns += list(np.eye(len(y))[first:])
        whole: Bools = np.arange(len(y)) >= first
        labels += ["inventory, all", "inversion, all"]
        columns += [-(h @ inventory), np.where(whole, h @ inventory, 0.0)]
    return tuple(labels), np.array(columns).T
