"""A map of columns as a CF dataset, and as files: netCDF, cloud-optimised GeoTIFF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from obsnet.cf import grid_frame, write_geotiff
from obsnet.constants import species as species_of
from obsnet.errors import RangeError, SchemaError
from obsnet.grid import Grid
from obsnet.typing import Times

__all__ = [
    "column_map",
    "periods_without_columns",
    "periods_without_value",
    "stamp_of",
    "variable_of",
    "write_geotiffs",
]


# role -> (suffix of the name, modifier of the standard name, long name, unit: of the species or none)
_ROLES: dict[str, tuple[str, str | None, str, bool]] = {
    "value": ("", "", "column-average dry air mole fraction of {gas}", True),
    "uncertainty": (
        "_uncertainty",
        "standard_error",
        "standard deviation of the error of the mapped {gas} column",
        True,
    ),
    "spread": ("_spread", None, "standard deviation of the {gas} columns in the cell", True),
    "count": ("_count", None, "number of {gas} columns in the cell and period", False),
}


def variable_of(species: str, role: str = "value") -> str:
    """Return the name of a variable of a map: ``xco2``, ``xco2_uncertainty``, ``xco2_count`` and so on."""
    return f"x{species.lower()}{_ROLES[role][0]}"


def column_map(
    grid: Grid,
    time_edges: Times,
    species: str,
    fields: dict[str, npt.ArrayLike],
    *,
    method: str,
    attrs: dict[str, Any],
) -> xr.Dataset:
    """Build the dataset of a map.

    Parameters
    ----------
    grid : Grid
        Cells.
    time_edges : ndarray of datetime64, shape (time + 1,)
        UTC.
    species : str
        Formula; decides units and names.
    fields : dict of str to array_like
        ``value`` and ``uncertainty`` and, where there are, ``spread`` and ``count``; shape (time, lat, lon),
        in the species' customary unit, NaN where unknown.
    method : str
        In words, e.g. ``"ordinary kriging of blocks"``.
    attrs : dict
        Global attributes: ``title``, ``summary``, ``source``, ``license`` and more.

    Returns
    -------
    xarray.Dataset
        As `obsnet.cf.write_netcdf` takes it.

    Raises
    ------
    SchemaError
        Shapes, or ``value`` and ``uncertainty`` not both there.
    RangeError
        A mapped value outside the species' physical range, a negative uncertainty.
    """
    entry = species_of(species)
    edges = np.asarray(time_edges).astype("datetime64[us]")
    shape = (len(edges) - 1, *grid.shape)
    if not {"value", "uncertainty"} <= set(fields) <= set(_ROLES):
        raise SchemaError(f"a map needs value and uncertainty, found {', '.join(sorted(fields))}")
    standard = f"dry_atmosphere_mole_fraction_of_{entry.standard_name}"
    known = entry.name in {"CO2", "CH4"}  # the substances for which the table has such a name
    variables: dict[str, Any] = {}
    for role, (_, modifier, long_name, with_unit) in _ROLES.items():
        if role not in fields:
            continue
        array = np.asarray(fields[role])
        if array.shape != shape:
            raise SchemaError(f"{role} must have shape (time, lat, lon) = {shape}, found {array.shape}")
        about: dict[str, Any] = {
            "long_name": long_name.format(gas=entry.name),
            "units": entry.unit if with_unit else "1",
            "grid_mapping": "crs",
            "coverage_content_type": "physicalMeasurement" if role == "value" else "qualityInformation",
        }
        if role == "count":
            about["standard_name"] = "number_of_observations"
        elif modifier is not None and known:
            about["standard_name"] = f"{standard} {modifier}".strip()
        if role == "value":
            about |= {"cell_methods": "time: mean area: mean", "comment": f"mapped by {method}"}
        stored = array.astype(np.int32) if role == "count" else array.astype(np.float32)
        variables[variable_of(species, role)] = (("time", "lat", "lon"), stored, about)
    value, uncertainty = (np.asarray(fields[r], np.float64) for r in ("value", "uncertainty"))
    low, high = entry.column_range
    found = value[np.isfinite(value)]
    if found.size and not (found.min() >= low and found.max() <= high):
        raise RangeError(
            f"mapped {entry.name} spans {found.min():g} to {found.max():g} {entry.unit_name}, "
            f"outside {low:g} to {high:g}"
        )
    if (uncertainty < 0).any():
        raise RangeError("mapped uncertainties must not be negative")
    others = [variable_of(species, role) for role in fields if role != "value"]
    variables[variable_of(species)][2]["ancillary_variables"] = " ".join(others)
    data = xr.Dataset({**variables, **grid_frame(grid)})
    data["time_bnds"] = (("time", "nv"), np.stack([edges[:-1], edges[1:]], axis=1))
    middle = edges[:-1] + (edges[1:] - edges[:-1]) // 2
    data["time"] = (
        "time",
        middle,
        {"standard_name": "time", "long_name": "middle of period", "axis": "T", "bounds": "time_bnds"},
    )
    data.attrs = {"keywords": f"X{entry.name}, {entry.name}, Level 3", **attrs}
    return data


def stamp_of(start: np.datetime64) -> str:
    """Return the start of a period for a file's name: the day, with the time of day where it is not midnight."""
    text = str(np.datetime_as_string(start, unit="m"))
    return text.removesuffix("T00:00").replace(":", "")


def write_geotiffs(data: xr.Dataset, grid: Grid, species: str, folder: str | Path) -> list[Path]:
    """Write each period as a cloud-optimised GeoTIFF of two bands: the value, and its standard error.

    Parameters
    ----------
    data : xarray.Dataset
        From `column_map`.
    grid : Grid
        Its cells, even.
    species : str
        Formula.
    folder : path
        Files are named ``<variable>_<start>.tif``.

    Returns
    -------
    list of Path
        Periods without any value are left out.
    """
    entry = species_of(species)
    name, error = variable_of(species), variable_of(species, "uncertainty")
    borrowed = periods_without_columns(data, species)
    written = []
    for k, start in enumerate(data["time_bnds"].values[:, 0]):
        value, spread = (data[n].values[k].astype(np.float64) for n in (name, error))
        if not np.isfinite(value).any():
            continue
        stamp = stamp_of(start)
        path = Path(folder) / f"{name}_{stamp}.tif"
        own = "" if stamp not in borrowed else ", no column of its own: mapped from the days around"
        text = f"{data[name].attrs['long_name']}, {entry.unit_name}, from {stamp}{own}"
        unit = entry.unit_name
        written.append(write_geotiff(value, grid, path, units=unit, description=text, uncertainty=spread))
    return written


def periods_without_value(data: xr.Dataset, species: str) -> list[str]:
    """Return the starts of the periods of a map that have no value anywhere, of which nothing is drawn."""
    empty = ~np.isfinite(data[variable_of(species)].values).any(axis=(1, 2))
    return [stamp_of(start) for start in data["time_bnds"].values[empty, 0]]


def periods_without_columns(data: xr.Dataset, species: str) -> list[str]:
    """Return the starts of the periods that have values but no column on the grid: all of it comes from other days.

    Of a map without counts nothing is known of that, and none is named.
    """
    if variable_of(species, "count") not in data:
        return []
    mapped = np.isfinite(data[variable_of(species)].values).any(axis=(1, 2))
    own = data[variable_of(species, "count")].values.any(axis=(1, 2))
    return [stamp_of(start) for start in data["time_bnds"].values[mapped & ~own, 0]]
