"""A flux on the cells and time bins of footprints: regridded with its totals, averaged over each bin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse as sp

from obsnet.errors import ConfigError
from obsnet.field import grid_of
from obsnet.grid import Grid
from obsnet.regrid import regrid_flux
from obsnet.typing import Floats, Times

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["bin_matrix", "flux_on"]


def flux_on(
    data: xr.Dataset, grid: Grid, edges: Times, *, outside: Literal["raise", "zero"] = "raise"
) -> tuple[dict[str, Floats], list[str]]:
    """Bring a flux onto cells and time bins.

    Parameters
    ----------
    data : xarray.Dataset
        As `obsnet.cf.read_flux` returns it.
    grid : Grid
        Cells.
    edges : ndarray of datetime64, shape (n + 1,)
        Time bins.
    outside : {'raise', 'zero'}
        Cells that the flux does not wholly cover are refused, or have none where it does not reach.

    Returns
    -------
    flux : dict of str to ndarray, shape (n, cells)
        mol m-2 s-1 by sector.
    notes : list of str
        What was changed on the way.

    Raises
    ------
    ConfigError, GridError
        Times or cells that the flux does not cover.
    """
    notes = []
    own = grid_of(data)
    values = data["flux"].transpose("time", "sector", "lat", "lon")
    bounds = data["time_bnds"].values
    average = bin_matrix(bounds, edges)
    if own != grid and own.nearly(grid):
        values = values.assign_coords(lat=grid.lat, lon=grid.lon)
        notes.append(
            "edges of the prior's cells differ from the footprints' by what float32 leaves: taken as the same"
        )
    elif own != grid:
        values = regrid_flux(values, own, grid, outside=outside)
        notes.append(f"prior regridded conservatively from {own!r}")
        bare = int(np.isnan(regrid_flux(np.ones(own.shape), own, grid, outside="nan")).sum())
        if bare:
            notes.append(f"{bare} of {grid.size} cells lie partly or wholly outside the prior: no flux there")
    if len(bounds) == 1:
        notes.append("prior has one time, taken as constant")
    cube = np.asarray(values.values, dtype=np.float64)
    sectors = [str(s) for s in data["sector"].values]
    return {s: average @ cube[:, i].reshape(len(bounds), -1) for i, s in enumerate(sectors)}, notes


def bin_matrix(source_edges: Any, target_edges: Any) -> sp.csr_array:
    """Return the operator that averages a step function of time over other bins.

    Parameters
    ----------
    source_edges : array_like of datetime64, shape (n, 2)
        Start and end of each step; they may leave gaps.
    target_edges : array_like of datetime64, shape (m + 1,)
        Bins.

    Returns
    -------
    scipy.sparse.csr_array, shape (m, n)
        Rows sum to 1.

    Raises
    ------
    ConfigError
        A bin that the steps do not wholly cover (which). One single step counts as valid always.
    """
    bounds = np.asarray(source_edges).astype("datetime64[us]").astype(np.int64)
    edges = np.asarray(target_edges).astype("datetime64[us]")
    ticks = edges.astype(np.int64)
    if len(bounds) == 1:
        return sp.csr_array(np.ones((ticks.size - 1, 1)))
    low = np.maximum(bounds[None, :, 0], ticks[:-1, None])
    high = np.minimum(bounds[None, :, 1], ticks[1:, None])
    overlap = np.maximum(high - low, 0) / np.diff(ticks)[:, None]
    short = np.abs(overlap.sum(axis=1) - 1.0) > 1e-6
    if short.any():
        at = int(np.argmax(short))
        span = bounds.min(), bounds.max()
        first, last = (np.datetime64(int(t), "us").astype("datetime64[m]") for t in span)
        raise ConfigError(
            f"the prior flux covers {overlap[at].sum():.0%} of {edges[at].astype('datetime64[m]')} to "
            f"{edges[at + 1].astype('datetime64[m]')}, which the footprints reach; it goes from "
            f"{first} to {last} "
            f"({int(short.sum())} bins short)"
        )
    return sp.csr_array(overlap)
