"""Spread regional totals over a grid so that adding the cells up again gives the totals."""

from __future__ import annotations

from typing import Any

import numpy as np

from obsnet.errors import RegionError
from obsnet.typing import Floats

__all__ = ["spread_totals"]


def spread_totals(totals: Floats, weights: Any, proxy: Floats, points: Floats | None = None) -> Floats:
    """Return a flux density whose regional totals are the given ones.

    Parameters
    ----------
    totals : ndarray, shape (regions,)
        mol s-1; NaN where there is no inventory (the region gets nothing of its own).
    weights : scipy.sparse array, shape (regions, cells)
        What turns a density into totals, m2: ``weights @ density = totals``. Those of `obsnet.shares.Shares.area`:
        whoever adds the field up with the same shares finds the totals again.
    proxy : ndarray, shape (cells,)
        Relative density inside a region, >= 0 (1 everywhere: even).
    points : ndarray, shape (cells,), optional
        Emissions already placed (plants), mol s-1 a cell.

    Returns
    -------
    ndarray, shape (cells,)
        mol m-2 s-1, >= 0.

    Raises
    ------
    RegionError
        No non-negative density has these totals: the plants of a region exceed its total, or a region is too
        small for the grid to tell from its neighbour.

    Notes
    -----
    A cell on a border belongs to two regions, so the densities of all regions have to be found together: with
    ``density = sum_q d_q c_q proxy`` (c the share of a cell in a region) the totals are ``M d``; d >= 0 by
    non-negative least squares.
    """
    from scipy import sparse
    from scipy.optimize import nnls

    weights = sparse.csr_array(weights)
    area = np.asarray(weights.sum(axis=0)).ravel()
    with np.errstate(invalid="ignore", divide="ignore"):
        per_area = np.where(area > 0, 1.0 / np.where(area > 0, area, 1.0), 0.0)
    share = weights @ sparse.diags_array(per_area)
    placed = np.zeros(len(proxy)) if points is None else points * per_area
    there = np.isfinite(totals)
    matrix = (weights @ sparse.diags_array(proxy) @ share.T).toarray()[np.ix_(there, there)]
    wanted = totals[there] - (weights @ placed)[there]
    scale = np.maximum(np.abs(totals[there]), 1e-300)
    density, _ = nnls(matrix / scale[:, None], wanted / scale)
    result = placed + proxy * (share[there].T @ density)
    missed = np.abs((weights @ result)[there] - totals[there]) / scale
    if missed.max(initial=0.0) > 1e-9:
        worst = int(np.flatnonzero(there)[missed.argmax()])
        raise RegionError(
            f"the total of region number {worst} cannot be met on this grid (off by {missed.max():.1%}): "
            "use a finer grid, or fewer plants in it"
        )
    return result
