"""Footprints on a projected grid, binned onto latitude-longitude cells without loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from inversion.transport.readers.common import text
from obsnet.errors import GridError
from obsnet.grid import Grid
from obsnet.typing import Floats

__all__ = ["Projected", "projected_axes", "spread_matrix"]

_SPLIT = 5  # each projected cell is 5 x 5 points


class Projected(NamedTuple):
    """A target grid and the share of each projected cell that falls into each of its cells."""

    grid: Grid
    spread: sparse.csr_array  # (grid.size, ny * nx)

    def sort(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Bin ``(..., y, x)`` onto the grid; sums are kept."""
        lead = array.shape[:-2]
        flat = array.reshape(-1, array.shape[-2] * array.shape[-1])
        return np.asarray((self.spread @ flat.T).T).reshape(*lead, *self.grid.shape)


def projected_axes(nc: Any, path: Path, grid: Grid | None) -> Projected:
    """Read the projection of a file with dimensions ``y, x``.

    Raises
    ------
    GridError
        No projection in the file, no target grid given, or the footprint sticks out of it.
    """
    crs = next((t for t in (text(nc, "crs"), _mapping(nc)) if t), None)
    if crs is None:
        raise GridError(
            f"{path}: the footprint is on a projected grid (y, x), but the file has no projection (a PROJ "
            "string in the global attribute crs, or a grid mapping with crs_wkt)"
        )
    if grid is None:
        raise GridError(
            f"{path}: the footprint is on a projected grid ({crs[:60]}); give the latitude-longitude grid to "
            "put it on (--grid)"
        )
    spread = spread_matrix(np.asarray(nc["x"][:], float), np.asarray(nc["y"][:], float), crs, grid, path)
    return Projected(grid, spread)


def _mapping(nc: Any) -> str | None:
    for name in ("projection", "crs", "spatial_ref"):
        if name in nc.variables:
            for attribute in ("crs_wkt", "spatial_ref", "proj4", "proj4_params"):
                found = text(nc[name], attribute)
                if found:
                    return found
    return None


def spread_matrix(x: Floats, y: Floats, crs: str, grid: Grid, path: Path) -> sparse.csr_array:
    """Return the share of each cell ``(y, x)`` in each cell of `grid`, by points within the cell.

    Parameters
    ----------
    x, y : ndarray
        Evenly spaced cell centres in the projection.
    crs : str
        Anything pyproj reads.
    grid : Grid
        Target.

    Raises
    ------
    GridError
        Unreadable projection, uneven axes, or cells outside the target.
    """
    import pyproj

    try:
        to_lonlat = pyproj.Transformer.from_crs(pyproj.CRS.from_user_input(crs), 4326, always_xy=True)
    except pyproj.exceptions.CRSError as error:
        raise GridError(f"{path}: the projection {crs[:80]!r} cannot be read ({error})") from error
    fine = []
    for name, centres in (("x", x), ("y", y)):
        steps = np.diff(centres)
        if centres.size < 2 or not np.allclose(steps, steps[0], rtol=1e-3):
            raise GridError(f"{path}: {name} of a projected grid must be evenly spaced, two cells or more")
        offset = (np.arange(_SPLIT) + 0.5) / _SPLIT - 0.5
        fine.append(centres[:, None] + steps[0] * offset)
    xx, yy = np.broadcast_arrays(fine[0][None, :, None, :], fine[1][:, None, :, None])
    lon, lat = to_lonlat.transform(xx.ravel(), yy.ravel())
    cell = grid.index(lat, lon)
    source = np.repeat(np.arange(x.size * y.size), _SPLIT**2)
    if (cell < 0).any():
        raise GridError(
            f"{path}: {np.unique(source[cell < 0]).size} of {x.size * y.size} projected cells reach outside "
            f"{grid!r}; the footprint spans latitude {lat.min():.2f} to {lat.max():.2f}, longitude "
            f"{lon.min():.2f} to {lon.max():.2f}"
        )
    share = np.full(cell.size, 1.0 / _SPLIT**2)
    return sparse.csr_array(sparse.coo_array((share, (cell, source)), shape=(grid.size, x.size * y.size)))
