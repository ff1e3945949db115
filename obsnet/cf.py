"""CF-1.11 and ACDD-1.3 files: the Flux contract, its reader, netCDF and GeoTIFF that appear whole.

Flux contract: ``flux(time, sector, lat, lon)`` in mol m-2 s-1 of the substance itself (for CO2 molecules of
CO2, never mass of carbon), positive upward, with ``time_bnds``, ``lat_bnds``, ``lon_bnds``, ``cell_area``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from obsnet import __version__
from obsnet.atomic import atomic_path
from obsnet.constants import species
from obsnet.conventions import Basis, TimeStamp, named_dimensions, unnamed_dimensions
from obsnet.errors import FormatError, RangeError, SchemaError
from obsnet.field import NanPolicy, fill_nan, grid_of
from obsnet.flux_reader import Variables, read_any_flux
from obsnet.geotiff import write_geotiff
from obsnet.grid import WGS84_A, WGS84_F, Grid
from obsnet.opening import open_xarray
from obsnet.reading import door, reading, refuse_claims
from obsnet.seal import check_file, seal_file
from obsnet.shares import Shares, shares_of
from obsnet.typing import Floats, Times

__all__ = [
    "check_flux",
    "flux_dataset",
    "grid_frame",
    "read_flux",
    "read_netcdf",
    "read_shares",
    "write_geotiff",
    "write_netcdf",
]

UNITS = "mol m-2 s-1"
# The only surface mole flux in the CF standard name table (version 93).
_STANDARD_NAME = {"CO2": "surface_upward_mole_flux_of_carbon_dioxide"}
_TIME = {
    "standard_name": "time",
    "long_name": "middle of period",
    "axis": "T",
    "bounds": "time_bnds",
    "units_metadata": "leap_seconds: none",  # as datetime64 counts
}
_LARGEST = 1.0  # mol m-2 s-1: forty times the largest power plant spread over a square kilometre
_REQUIRED = ("title", "summary", "source", "license")  # whoever writes a file must say these


def flux_dataset(
    flux: npt.ArrayLike,
    grid: Grid,
    times: Any,
    *,
    substance: str,
    title: str,
    summary: str,
    source: str,
    license: str,
    sectors: Sequence[str] = ("total",),
    uncertainty: npt.ArrayLike | None = None,
    nan: NanPolicy = "raise",
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Build a dataset of the Flux contract.

    Parameters
    ----------
    flux : array_like, shape (time, sector, lat, lon) or (time, lat, lon) for one sector
        mol m-2 s-1 of the substance, positive upward.
    grid : Grid
        The cells.
    times : array_like of datetime64, shape (time + 1,) or (time, 2)
        Edges of adjoining periods, or bounds of each period, UTC.
    substance : str
        Formula, see `obsnet.constants.SPECIES`.
    title, summary, source, license : str
        Global attributes of ACDD-1.3 that no program can make up.
    sectors : sequence of str
        Names along ``sector``.
    uncertainty : array_like, optional
        Standard error, as `flux`.
    nan : {'raise', 'zero', 'propagate'}
        Missing values are refused, count as no flux, or are kept.
    attrs : mapping, optional
        Further global attributes.

    Returns
    -------
    xarray.Dataset
        Passes `check_flux`. ``time`` is the middle of each period.

    Raises
    ------
    SchemaError
        Shapes, times or names do not fit.
    RangeError
        Missing, infinite or impossibly large values, negative uncertainty.
    """
    entry = species(substance)
    names = [str(s) for s in sectors]
    bounds = _bounds(times)
    shape = (len(bounds), len(names), *grid.shape)
    what = f"flux of {entry.name}"
    text = (
        f"molar flux of {entry.name} into the atmosphere, positive upward; amounts of {entry.name}, "
        f"{1e3 * entry.molar_mass:.7g} g mol-1, not of carbon"
    )
    shared = {
        "units": UNITS,
        "cell_methods": "time: mean area: mean",
        "cell_measures": "area: cell_area",
        "grid_mapping": "crs",
        "substance": entry.name,
        "molar_mass": entry.molar_mass,
        "molar_mass_units": "kg mol-1",
        "coverage_content_type": "modelResult",
    }
    standard = {"standard_name": _STANDARD_NAME[entry.name]} if entry.name in _STANDARD_NAME else {}
    dims = ("time", "sector", "lat", "lon")
    variables: dict[str, Any] = {
        "flux": (
            dims,
            _values(flux, shape, nan, what),
            {**standard, "long_name": f"upward {what}", "comment": text},
        )
    }
    if uncertainty is not None:
        spread = _values(uncertainty, shape, nan, f"uncertainty of {what}")
        if (spread < 0.0).any():
            raise RangeError(f"uncertainty of {what}: {int((spread < 0).sum())} values are negative")
        modifier = {"standard_name": f"{standard['standard_name']} standard_error"} if standard else {}
        long_name = f"standard error of upward {what}"
        variables["flux_uncertainty"] = (dims, spread, {**modifier, "long_name": long_name})
        variables["flux"][2]["ancillary_variables"] = "flux_uncertainty"
    for variable in list(variables.values()):
        variable[2].update(shared)
    if len(set(names)) != len(names):
        raise SchemaError(f"sectors need different names, found {', '.join(names)}")
    data = xr.Dataset({**variables, **grid_frame(grid)})
    data["time_bnds"] = (("time", "nv"), bounds)
    middle = bounds[:, 0] + (bounds[:, 1] - bounds[:, 0]) // 2
    data["time"] = ("time", middle, _TIME)
    data["sector"] = ("sector", np.array(names, dtype=object), {"long_name": "source sector"})
    data = data[["flux", *[n for n in data.data_vars if n != "flux"]]]
    data.attrs = {
        "title": title,
        "summary": summary,
        "source": source,
        "license": license,
        "keywords": f"{entry.name}, surface flux, emissions",
        **(attrs or {}),
        "obsnet_contract": "flux 1",
    }
    return check_flux(data)


def check_flux(data: xr.Dataset, where: str = "flux") -> xr.Dataset:
    """Check a dataset against the Flux contract and return it.

    Raises
    ------
    SchemaError
        A variable, dimension, unit or attribute is not as the contract says.
    RangeError
        Infinite values, or larger than any flux on Earth.
    """
    need = ("flux", "time_bnds", "lat_bnds", "lon_bnds", "cell_area")
    missing = [n for n in need if n not in data.variables]
    if missing:
        raise SchemaError(f"{where}: lacks {', '.join(missing)}; open other people's files with read_flux")
    flux = data["flux"]
    if flux.dims != ("time", "sector", "lat", "lon"):
        raise SchemaError(f"{where}: flux must be (time, sector, lat, lon), found {tuple(flux.dims)}")
    if flux.attrs.get("units") != UNITS:
        raise SchemaError(f"{where}: flux must be in {UNITS}, found {flux.attrs.get('units')!r}")
    entry = species(str(flux.attrs.get("substance", "")))
    if not np.isclose(float(flux.attrs.get("molar_mass", np.nan)), entry.molar_mass, rtol=1e-3):
        raise SchemaError(
            f"{where}: flux states a molar mass of {flux.attrs.get('molar_mass')} kg mol-1, {entry.name} has "
            f"{entry.molar_mass}"
        )
    bounds = data["time_bnds"].values
    if bounds.dtype.kind != "M" or not (
        (bounds[:, 0] < bounds[:, 1]).all() and (np.diff(bounds[:, 0]) > np.timedelta64(0, "s")).all()
    ):
        raise SchemaError(f"{where}: time_bnds must be dates, each period after the one before")
    grid = grid_of(data)
    if not np.allclose(data["cell_area"], grid.cell_area, rtol=1e-3):
        raise SchemaError(
            f"{where}: cell_area is not that of the cells between lat_bnds and lon_bnds on WGS84"
        )
    _range(np.asarray(flux), f"{where}: flux")
    return data


@door("fluxes")
def read_flux(
    path: str | os.PathLike[str],
    *,
    variable: Variables = None,
    substance: str | None = None,
    units: str | None = None,
    basis: Basis | None = None,
    time_is: TimeStamp | None = None,
    period: tuple[Any, Any] | None = None,
    nan: NanPolicy = "raise",
) -> xr.Dataset:
    """Read fluxes from any netCDF file on a latitude-longitude grid into the Flux contract.

    Parameters
    ----------
    path : path
        Our own file, or an inventory or model prior of another's making.
    variable : str, sequence of str, or mapping of sector name to str, optional
        The flux variables; several become sectors. By default the only one on the grid.
    substance : str, optional
        Where the file does not state it.
    units : str, optional
        Where the file does not state them, or wrongly.
    basis : {'substance', 'carbon'}, optional
        Whose mass it is, where the file gives mass and does not say. Never guessed: 44/12 hangs on it.
    time_is : {'start', 'middle', 'end'}, optional
        What the time stamps mean, where there are no bounds.
    period : (start, stop), optional
        The period of a file without time or with a single one.
    nan : {'raise', 'zero', 'propagate'}
        Missing values are an error, count as no flux, or are kept.

    Returns
    -------
    xarray.Dataset
        Latitude ascending, longitude from -180, mol m-2 s-1 positive upward. ``history`` lists all that was
        changed on the way.

    Raises
    ------
    FormatError, MissingVariableError, GridError, UnitError, RangeError
        The file does not hold what is needed, or does not say what it is; the text says which keyword helps.
    """
    found = read_any_flux(path, variable, substance, units, basis, time_is, period, nan)
    try:
        return flux_dataset(**found)
    except (RangeError, SchemaError) as error:
        raise type(error)(f"{path}: {error}") from None


def read_netcdf(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a file that `write_netcdf` wrote, names along dimensions restored.

    Raises
    ------
    FormatError
        No such file, not netCDF, or changed since it was written.
    """
    if not Path(path).exists():
        raise FormatError(f"{path}: no such file")
    check_file(path)
    with reading(path, "netCDF"), open_xarray(path) as stored:
        refuse_claims(path, stored.variables)
        return named_dimensions(stored.load())


def read_shares(path: str | os.PathLike[str]) -> Shares | None:
    """Return whose the flux of each cell is where a flux file says so (`obsnet.shares.add_shares`), else None.

    Raises
    ------
    FormatError
        Shares that are damaged.
    """
    with reading(path, "netCDF"), open_xarray(path) as stored:
        if not {"share", "share_cell", "share_region", "share_sector"} <= set(stored.variables):
            return None
        of_flux = [n for n, v in stored.data_vars.items() if {"lat", "lon"} <= set(v.dims)]
        rest = stored.drop_vars(of_flux)
        refuse_claims(path, rest.variables)
        return shares_of(named_dimensions(rest.load()))


def write_netcdf(
    data: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    history: str | None = None,
    created: datetime | None = None,
) -> Path:
    """Write a dataset as CF-1.11 netCDF4 with ACDD-1.3 attributes; the file appears whole or not at all.

    Parameters
    ----------
    data : xarray.Dataset
        Global attributes ``title``, ``summary``, ``source`` and ``license`` must be there.
    path : path
        Replaced if it exists.
    history : str, optional
        What was done, as a line of the ``history`` attribute; put before earlier lines.
    created : datetime, optional
        Time of writing; now by default.

    Returns
    -------
    Path
        Of the file. Data variables are deflated at level 1; coordinates and bounds have no fill value.

    Raises
    ------
    SchemaError
        Global attributes are missing.
    """
    missing = [n for n in _REQUIRED if not str(data.attrs.get(n, "")).strip()]
    if missing:
        raise SchemaError(f"{path}: global attributes {', '.join(missing)} must say what the data are")
    stamp = (created or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = [f"{stamp} obsnet {__version__}: {history or 'written'}", str(data.attrs.get("history", ""))]
    out = unnamed_dimensions(data).assign_attrs(
        {
            **data.attrs,
            "Conventions": "CF-1.11, ACDD-1.3",
            "history": "\n".join(line for line in lines if line),
            "date_created": data.attrs.get("date_created", stamp),
            "date_modified": stamp,
            "standard_name_vocabulary": "CF Standard Name Table v93",
            **_extent(data),
        }
    )
    # as characters too, under the dimension's own name, where xarray looks for what `sel` takes
    named = {d: data[d] for d in data.dims if f"{d}_name" in out.variables and d in data.coords}
    out = out.assign_coords(named)
    bounds = {str(v.attrs["bounds"]) for v in data.variables.values() if "bounds" in v.attrs}
    encoding: dict[Any, dict[str, Any]] = {}
    for name, variable in out.variables.items():
        packed = (
            name not in out.coords
            and name not in bounds
            and variable.ndim > 0
            and variable.dtype.kind in "fiu"
        )
        encoding[name] = {"zlib": True, "complevel": 1, "shuffle": True} if packed else {"_FillValue": None}
        if variable.dtype.kind == "M":
            encoding[name] |= {
                "units": "seconds since 1970-01-01",
                "calendar": "standard",
                "dtype": "float64",
            }
        elif variable.dtype.kind in "OUST":
            encoding[name] = {"dtype": "S1", "char_dim_name": f"{name}_length"} if name in named else {}
    with atomic_path(path) as temporary:
        out.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=encoding)
        seal_file(temporary)
    return Path(path)


def _bounds(times: Any) -> Times:
    """Return (time, 2) bounds of edges or bounds."""
    given = np.asarray(times).astype("datetime64[us]")
    bounds = np.stack([given[:-1], given[1:]], axis=1) if given.ndim == 1 else given
    if bounds.ndim != 2 or bounds.shape[1] != 2 or len(bounds) == 0:
        raise SchemaError(f"times must be edges (time + 1,) or bounds (time, 2), found shape {given.shape}")
    if np.isnat(bounds).any() or not (bounds[:, 0] < bounds[:, 1]).all():
        raise SchemaError("each period must end after it starts")
    return bounds


def _values(values: npt.ArrayLike, shape: tuple[int, ...], nan: NanPolicy, what: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 3 and shape[1] == 1:
        array = array[:, None]
    if array.shape != shape:
        raise SchemaError(f"{what} must have shape (time, sector, lat, lon) = {shape}, found {array.shape}")
    filled, missing = fill_nan(array, nan, what)
    out = filled if missing is None else np.where(missing, np.nan, filled)
    _range(out, what)
    return out


def _range(values: Floats, what: str) -> None:
    if np.isinf(values).any():
        raise RangeError(f"{what}: {int(np.isinf(values).sum())} of {values.size} values are infinite")
    largest = float(np.nanmax(np.abs(values), initial=0.0))
    if largest > _LARGEST:
        raise RangeError(
            f"{what}: values up to {largest:.3g} {UNITS} are larger than any flux on Earth; check the unit"
        )


def grid_frame(grid: Grid) -> dict[str, Any]:
    """Return coordinates, bounds, areas and the reference system of a grid, for `xarray.Dataset`."""
    frame: dict[str, Any] = {}
    for name, standard, unit, axis, edges, centres in (
        ("lat", "latitude", "degrees_north", "Y", grid.lat_edges, grid.lat),
        ("lon", "longitude", "degrees_east", "X", grid.lon_edges, grid.lon),
    ):
        attrs = {"standard_name": standard, "long_name": standard, "units": unit, "axis": axis}
        frame[name] = (name, centres, {**attrs, "bounds": f"{name}_bnds"})
        frame[f"{name}_bnds"] = ((name, "nv"), np.stack([edges[:-1], edges[1:]], axis=1))
    area = {"standard_name": "cell_area", "long_name": "area of grid cell on WGS84", "units": "m2"}
    area["coverage_content_type"] = "auxiliaryInformation"
    frame["cell_area"] = (("lat", "lon"), grid.cell_area, area)
    frame["crs"] = (
        (),
        np.int32(0),
        {
            "grid_mapping_name": "latitude_longitude",
            "long_name": "WGS84",
            "semi_major_axis": WGS84_A,
            "inverse_flattening": 1.0 / WGS84_F,
            "longitude_of_prime_meridian": 0.0,
        },
    )
    return frame


def _extent(data: xr.Dataset) -> dict[str, Any]:
    """Return the ACDD attributes of where and when, from the bounds."""
    out: dict[str, Any] = {}
    if {"lat_bnds", "lon_bnds"} <= set(data.variables):
        south, north, west, east = grid_of(data).bounds
        out = {
            "geospatial_lat_min": south,
            "geospatial_lat_max": north,
            "geospatial_lat_units": "degrees_north",
            "geospatial_lon_min": west,
            "geospatial_lon_max": east,
            "geospatial_lon_units": "degrees_east",
        }
    if "time_bnds" in data.variables:
        bounds = data["time_bnds"].values
        first, last = (np.datetime_as_string(t, unit="s") + "Z" for t in (bounds.min(), bounds.max()))
        out |= {"time_coverage_start": first, "time_coverage_end": last}
    return out
