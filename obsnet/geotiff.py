"""Maps for geographic information systems: one field, one cloud-optimised GeoTIFF."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.atomic import atomic_path
from obsnet.errors import GridError, RangeError
from obsnet.field import fill_nan, values_on
from obsnet.grid import Grid

__all__ = ["write_geotiff"]


def write_geotiff(
    field: Any,
    grid: Grid,
    path: str | os.PathLike[str],
    *,
    units: str,
    description: str,
    uncertainty: Any = None,
    nodata: float = float("nan"),
    dtype: str = "float32",
) -> Path:
    """Write one map as a cloud-optimised GeoTIFF in EPSG:4326, north up.

    Parameters
    ----------
    field : ndarray or xarray.DataArray, (lat, lon)
        Missing values (NaN) become `nodata`.
    grid : Grid
        Even; across the dateline the map runs past 180.
    path : path
        Replaced if it exists; appears whole or not at all.
    units, description : str
        Of the band.
    uncertainty : ndarray or xarray.DataArray, (lat, lon), optional
        Standard deviation of the field, in its units: a second band.
    nodata : float
        Value of missing cells.
    dtype : {'float32', 'float64'}
        Of the file.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    GridError
        The field is not on the grid, or the grid is uneven.
    RangeError
        Infinite values, or values equal to `nodata`.
    """
    import rasterio
    from rasterio.transform import from_origin

    fields = [field] if uncertainty is None else [field, uncertainty]
    texts = [description, f"standard deviation of {description}"][: len(fields)]
    steps = np.diff(grid.lat_edges), np.diff(grid.lon_edges)
    if any(np.ptp(s) > max(1e-6 * s[0], 5e-9) for s in steps):
        raise GridError(f"{path}: a GeoTIFF needs even cells, {grid!r} is uneven; regrid first")
    images = [_image(f, grid, path, nodata, dtype) for f in fields]
    north, west = grid.lat_edges[-1], grid.lon_edges[0]
    height, width = (north - grid.lat_edges[0]) / grid.shape[0], (grid.lon_edges[-1] - west) / grid.shape[1]
    profile = {
        "driver": "COG",
        "height": grid.shape[0],
        "width": grid.shape[1],
        "count": len(images),
        "dtype": dtype,
        "nodata": nodata,
        "crs": "EPSG:4326",
        "transform": from_origin(west, north, width, height),
        "compress": "deflate",
        "predictor": "yes",
    }
    with atomic_path(path) as temporary:
        with rasterio.open(temporary, "w", **profile) as sink:
            for band, (image, text) in enumerate(zip(images, texts, strict=True), 1):
                sink.write(image, band)
                sink.set_band_description(band, text)
            sink.units = (units,) * len(images)
        temporary.with_name(temporary.name + ".aux.xml").unlink(missing_ok=True)
    return Path(path)


def _image(field: Any, grid: Grid, path: Any, nodata: float, dtype: str) -> Any:
    """Return a band: north up, missing values as `nodata`."""
    values, missing = fill_nan(values_on(field, grid), "propagate", str(path))
    if values.ndim != 2:
        raise GridError(f"{path}: a GeoTIFF holds one map (lat, lon), found shape {values.shape}")
    lost = np.zeros(values.shape, bool) if missing is None else missing
    if (values[~lost] == nodata).any():
        raise RangeError(f"{path}: nodata {nodata:g} also occurs as a value; choose another")
    return np.where(lost, nodata, values)[::-1].astype(dtype)
