"""Conservative regridding between latitude-longitude grids, exact on the ellipsoid.

A cell is a product of a latitude strip and a longitude interval, so the area two cells share is the product
of two one-dimensional overlaps: two small sparse matrices instead of one large one. Jones (1999),
doi:10.1175/1520-0493(1999)127<2204:FASOCR>2.0.CO;2, first order, with the overlaps in closed form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from obsnet.errors import GridError
from obsnet.field import NanPolicy, fill_nan, like_field, values_on
from obsnet.grid import Grid, strip_area
from obsnet.typing import Floats

__all__ = ["AxisOverlap", "overlap", "refinement", "regrid_flux", "regrid_total"]

_WHOLE = 1.0 - 1e-6  # a cell covered to this fraction is covered: edges are kept to 1e-9 degree


@dataclass(frozen=True, eq=False)
class AxisOverlap:
    """The area that each source cell shares with each target cell, as two factors.

    Parameters
    ----------
    source, target : Grid
        The two grids.
    lat : scipy.sparse.csr_array, shape (target nlat, source nlat)
        Shared strip area, m2 rad-1.
    lon : scipy.sparse.csr_array, shape (target nlon, source nlon)
        Shared longitude, radians.
    """

    source: Grid
    target: Grid
    lat: sp.csr_array
    lon: sp.csr_array

    def apply(self, density: Floats) -> Floats:
        """Integrate a density ``(..., lat, lon)`` in X m-2 on the source to totals in X of target cells."""
        layers = density.reshape(-1, *self.source.shape)
        out = np.empty((len(layers), *self.target.shape))
        for layer, total in zip(layers, out, strict=True):
            total[...] = (self.lon @ (self.lat @ layer).T).T
        return out.reshape(*density.shape[:-2], *self.target.shape)

    def matrix(self) -> sp.csr_array:
        """Return the shared areas of flat cells, m2, shape (target size, source size).

        With ``P = matrix() / source area`` (by column), a Jacobian of extensive sensitivities with one column
        a source cell becomes ``H @ P.T`` on the target.
        """
        return sp.csr_array(sp.kron(self.lat, self.lon, format="csr"))

    @property
    def target_covered(self) -> Floats:
        """Fraction of each target cell that lies in the source, shape of the target."""
        return np.outer(self.lat.sum(axis=1), self.lon.sum(axis=1)) / self.target.cell_area

    @property
    def source_covered(self) -> Floats:
        """Fraction of each source cell that lies in the target, shape of the source."""
        return np.outer(self.lat.sum(axis=0), self.lon.sum(axis=0)) / self.source.cell_area


def overlap(source: Grid, target: Grid) -> AxisOverlap:
    """Return the areas that two grids share; longitudes meet around the globe."""
    lat = _overlap(source.lat_edges, target.lat_edges, strip_area)
    # Both first edges lie in [-180, 180), so a turn either way brings together all that can meet.
    turns = (np.round(source.lon_edges + turn, 9) for turn in (-360.0, 0.0, 360.0))
    lon = sum((_overlap(edges, target.lon_edges, np.asarray) for edges in turns), start=0)
    return AxisOverlap(source, target, lat, sp.csr_array(lon * np.deg2rad(1.0)))


def refinement(target: Grid, source: Grid) -> Grid:
    """Return the coarsest grid on whose cells fields of both grids are even: all edges of the target, and the source's.

    Parameters
    ----------
    target, source : Grid
        The refinement covers the target; longitudes of the source meet it around the globe.
    """
    turns = np.concatenate([np.round(source.lon_edges + turn, 9) for turn in (-360.0, 0.0, 360.0)])

    def edges(own: Floats, other: Floats) -> Floats:
        return np.union1d(own, other[(other > own[0]) & (other < own[-1])])

    return Grid(edges(target.lat_edges, source.lat_edges), edges(target.lon_edges, turns))


def regrid_flux(
    field: Any,
    source: Grid,
    target: Grid,
    *,
    outside: Literal["raise", "zero", "nan"] = "raise",
    nan: NanPolicy = "raise",
) -> Any:
    """Regrid an amount per area as the mean over each target cell; totals are kept.

    Parameters
    ----------
    field : ndarray or xarray.DataArray, (..., lat, lon)
        A flux such as mol m-2 s-1, or a fraction; any sign. Computed in float64.
    source, target : Grid
        Where the field is and where it shall be.
    outside : {'raise', 'zero', 'nan'}
        What a target cell has where the source does not reach: an error, no flux (totals are still kept), or
        NaN for each target cell not wholly within the source.
    nan : {'raise', 'zero', 'propagate'}
        Missing source values, see `obsnet.field.fill_nan`. ``propagate`` makes each target cell that touches
        one missing.

    Returns
    -------
    ndarray or xarray.DataArray
        As `field`, on `target`, same unit. Where the target covers the source and no NaN arises, the integral
        over the area equals the source's to rounding (1e-12 relative to the integral of absolute values).

    Raises
    ------
    GridError
        The field is not on `source`, or the target sticks out of it under ``outside='raise'``.
    RangeError
        Missing values under ``nan='raise'``.
    """
    if outside not in {"raise", "zero", "nan"}:
        raise GridError(f"outside must be 'raise', 'zero' or 'nan', found {outside!r}")
    values, missing = fill_nan(values_on(field, source), nan, "regrid_flux")
    shared = overlap(source, target)
    out = shared.apply(values) / target.cell_area
    bare = shared.target_covered < _WHOLE
    if outside == "raise" and bare.any():
        raise GridError(
            f"{int(bare.sum())} of {target.size} cells of the target {target!r} lie partly or wholly outside "
            f"the source {source!r}; say outside='zero' or outside='nan'"
        )
    if outside == "nan":
        out[..., bare] = np.nan
    if missing is not None:
        out[shared.apply(missing.astype(np.float64)) > 0.0] = np.nan
    return like_field(field, out, target)


def regrid_total(
    field: Any,
    source: Grid,
    target: Grid,
    *,
    outside: Literal["raise", "drop"] = "raise",
    nan: NanPolicy = "raise",
) -> Any:
    """Regrid an amount per cell: each source cell is split by area among the target cells it meets.

    Parameters
    ----------
    field : ndarray or xarray.DataArray, (..., lat, lon)
        Totals of cells such as mol s-1, or footprint sensitivities such as ppm (umol m-2 s-1)-1 per cell.
    source, target : Grid
        Where the field is and where it shall be.
    outside : {'raise', 'drop'}
        What becomes of non-zero source cells that the target does not cover: an error, or the part outside
        is dropped.
    nan : {'raise', 'zero', 'propagate'}
        As in `regrid_flux`.

    Returns
    -------
    ndarray or xarray.DataArray
        As `field`, on `target`, same unit; the sum is kept, less what was dropped.

    Raises
    ------
    GridError
        The field is not on `source`, or amounts lie outside the target under ``outside='raise'``.
    RangeError
        Missing values under ``nan='raise'``.

    Examples
    --------
    >>> fine, coarse = (Grid.regular(20, 40, 100, 120, size, size) for size in (1.0, 2.0))
    >>> float(regrid_total(np.ones(fine.shape), fine, coarse).sum())
    400.0
    """
    if outside not in {"raise", "drop"}:
        raise GridError(f"outside must be 'raise' or 'drop', found {outside!r}")
    values, missing = fill_nan(values_on(field, source), nan, "regrid_total")
    shared = overlap(source, target)
    lost = (values != 0.0) & (shared.source_covered < _WHOLE)
    if outside == "raise" and lost.any():
        raise GridError(
            f"{int(lost.sum())} non-zero values of the source {source!r} lie partly or wholly outside "
            f"the target {target!r}; say outside='drop' to lose what is outside"
        )
    out = shared.apply(values / source.cell_area)
    if missing is not None:
        out[shared.apply(missing.astype(np.float64)) > 0.0] = np.nan
    return like_field(field, out, target)


def _overlap(source: Floats, target: Floats, measure: Callable[[Floats], Floats]) -> sp.csr_array:
    """Return the measure that the intervals of two axes share, (target, source)."""
    ends = np.union1d(source, target)
    ends = ends[(ends >= max(source[0], target[0])) & (ends <= min(source[-1], target[-1]))]
    middle = 0.5 * (ends[1:] + ends[:-1])
    rows, columns = (np.searchsorted(edges, middle, side="right") - 1 for edges in (target, source))
    shape = (target.size - 1, source.size - 1)
    return sp.csr_array((np.diff(measure(ends)), (rows, columns)), shape=shape)
