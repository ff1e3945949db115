"""Fields on a grid: the checks every function makes at its door, and the xarray coordinates of a grid."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from obsnet.errors import GridError, RangeError
from obsnet.grid import Grid, centre_order
from obsnet.typing import Bools, Floats

__all__ = ["NanPolicy", "fill_nan", "grid_of", "like_field", "values_on"]

NanPolicy = Literal["raise", "zero", "propagate"]


def values_on(field: Any, grid: Grid) -> Floats:
    """Return a field as float64 ``(..., lat, lon)`` after checking that it is on `grid`.

    Parameters
    ----------
    field : ndarray or xarray.DataArray
        ndarray with trailing dimensions (lat, lon); DataArray with dimensions ``lat`` and ``lon`` anywhere.
    grid : Grid
        Where the field must be. Coordinates that the DataArray carries must be its centres within 1 % of a
        cell.

    Raises
    ------
    GridError
        Dimensions, shape or coordinates differ.
    """
    if hasattr(field, "dims"):
        missing = {"lat", "lon"} - set(field.dims)
        if missing:
            raise GridError(f"field {field.name!r} needs dimensions lat and lon, found {tuple(field.dims)}")
        for name, edges, centres in (("lat", grid.lat_edges, grid.lat), ("lon", grid.lon_edges, grid.lon)):
            found = np.asarray(field[name], dtype=np.float64) if name in field.coords else centres
            near = found.shape == centres.shape and (np.abs(found - centres) < 0.01 * np.diff(edges)).all()
            if not near:
                raise GridError(
                    f"field {field.name!r} is not on {grid!r}: its {name} has {found.size} values, "
                    f"{found[0]:g} to {found[-1]:g}"
                )
        field = field.transpose(..., "lat", "lon").values
    values = np.asarray(field, dtype=np.float64)
    if values.shape[-2:] != grid.shape:
        raise GridError(f"field of shape {values.shape} is not on {grid!r}: it must end in {grid.shape}")
    return values


def like_field(field: Any, values: Floats, grid: Grid) -> Any:
    """Return `values` ``(..., lat, lon)`` on `grid` in the form in which `field` came, attributes kept."""
    if not hasattr(field, "dims"):
        return values
    import xarray as xr

    model = field.transpose(..., "lat", "lon")
    coords = {k: v for k, v in model.coords.items() if not {"lat", "lon"} & set(v.dims)}
    for name, centres in (("lat", grid.lat), ("lon", grid.lon)):
        coords[name] = (name, centres, field[name].attrs if name in field.coords else {})
    return xr.DataArray(values, dims=model.dims, coords=coords, name=field.name, attrs=field.attrs)


def fill_nan(values: Floats, policy: NanPolicy, what: str) -> tuple[Floats, Bools | None]:
    """Apply a policy for missing values.

    Parameters
    ----------
    values : ndarray of float64
        Any shape.
    policy : {'raise', 'zero', 'propagate'}
        ``raise``: missing values are an error. ``zero``: they count as nothing. ``propagate``: whatever they
        touch is missing.
    what : str
        Named in the error text.

    Returns
    -------
    values : ndarray of float64
        NaN replaced by 0.
    mask : ndarray of bool or None
        Where the caller must put NaN back; None if nowhere.

    Raises
    ------
    RangeError
        NaN under ``raise``; infinities under any policy.
    """
    if policy not in {"raise", "zero", "propagate"}:
        raise RangeError(f"nan must be 'raise', 'zero' or 'propagate', found {policy!r}")
    finite = np.isfinite(values)
    if finite.all():
        return values, None
    mask = np.isnan(values)
    if (~finite & ~mask).any():
        raise RangeError(f"{what}: {int((~finite & ~mask).sum())} of {values.size} values are infinite")
    if policy == "raise":
        raise RangeError(
            f"{what}: {int(mask.sum())} of {values.size} values are missing; say nan='zero' where missing "
            "means none, or nan='propagate'"
        )
    return np.where(mask, 0.0, values), mask if policy == "propagate" else None


def grid_of(data: Any) -> Grid:
    """Return the grid of a Dataset or DataArray with coordinates ``lat`` and ``lon``.

    Bounds ``lat_bnds`` and ``lon_bnds`` are used where present.

    Raises
    ------
    GridError
        Coordinates missing, uneven without bounds, or not in order: south to north and eastward; an axis
        around the globe may start anywhere.
    """
    names = set(getattr(data, "variables", data.coords))
    missing = {"lat", "lon"} - names
    if missing:
        raise GridError(
            f"no coordinate {' and '.join(sorted(missing))}; there is: {', '.join(map(str, sorted(names)))}"
        )
    lat, lon = (np.asarray(data[name], dtype=np.float64) for name in ("lat", "lon"))
    lat_bounds, lon_bounds = (data[n].values if n in names else None for n in ("lat_bnds", "lon_bnds"))
    rows, columns = centre_order(lat, lon, lon_bounds=lon_bounds)
    grid = Grid.from_centres(lat, lon, lat_bounds=lat_bounds, lon_bounds=lon_bounds)
    start = int(np.argmin(columns))  # where the first column of the data lies in the grid
    if np.array_equal(columns, np.arange(lon.size)) or not grid.periodic:
        start = 0
    edges = np.concatenate([grid.lon_edges[start:], grid.lon_edges[1 : start + 1] + 360.0])
    if not (
        np.array_equal(rows, np.arange(lat.size))
        and np.array_equal(np.roll(columns, -start), np.arange(lon.size))
    ):
        raise GridError("lat must ascend and lon run eastward; reorder with obsnet.grid.centre_order")
    return Grid(grid.lat_edges, edges)
