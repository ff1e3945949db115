"""A record as netCDF in openghg's layout, for those who go on there; `stations.readers.openghg` reads it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.atomic import atomic_path
from obsnet.constants import SPECIES
from obsnet.errors import ConfigError, SchemaError
from obsnet.units import is_mole_fraction
from stations.record.intakes import heights
from stations.record.intakes import label as label_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["write_openghg"]

NOT_SET = "NOT_SET"  # openghg's word for what nobody said
_NEEDED = ("time", "time_start", "value", "uncertainty", "sd", "n", "quality")
_COLUMN = {
    "averaging_kernel": "x{}_averaging_kernel",
    "prior_profile": "{}_profile_apriori",
    "pressure_levels": "pressure_levels",
    "pressure_weight": "pressure_weights",
    "prior_column": "x{}_apriori",
}


def write_openghg(record: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write a record in the layout that openghg reads as ``source_format="openghg"``; whole or not at all.

    Parameters
    ----------
    record : xarray.Dataset
        Layout of `stations.record.record`, of one intake; columns need kernels, priors and pressure levels.
    path : path
        ``*.nc``. Rows with any quality bit have ``…_status_flag`` 1 (columns ``…_quality_flag``): openghg has no
        reasons. What openghg wants and the record does not say is ``NOT_SET``.

    Raises
    ------
    SchemaError
        Not a record, or a column record without its operator.
    ConfigError
        Several intakes.
    """
    missing = [name for name in _NEEDED if name not in record.variables]
    if missing:
        raise SchemaError(f"{path}: not a station record, it lacks {', '.join(missing)}")
    if len(found := heights(record)) > 1:
        each = ", ".join(map(label_of, found))
        raise ConfigError(
            f"{path}: openghg's file has one inlet, this record {len(found)} ({each}); choose one first"
        )
    record = record.isel(time=np.flatnonzero(~np.isnat(record["time"].values)))
    label = str(record.attrs["species"]).lower().replace("-", "")
    data = _column(record, label, path) if record.attrs.get("kind") == "column" else _point(record, label)
    data.attrs = {
        "Conventions": "CF-1.11",
        "title": f"{label} at {record.attrs.get('site', '')}",
        "history": "\n".join(record.attrs.get("changes", [])) or "read, nothing changed",
        **_attrs(record, label),
    }
    for name in map(str, data.variables):
        if not {"long_name", "standard_name"} & set(data[name].attrs):
            data[name].attrs = {**data[name].attrs, "long_name": name.replace("_", " ")}
    data["time"].attrs["units_metadata"] = "leap_seconds: none"
    data["time"].encoding = {"units": "seconds since 1970-01-01", "dtype": "float64", "_FillValue": None}
    with atomic_path(path) as temporary:
        data.to_netcdf(temporary, engine="netcdf4")
    return Path(path)


def _unit(record: xr.Dataset) -> str:
    """Return the CF number of a mole fraction, as openghg writes units."""
    entry = SPECIES.get(str(record.attrs["species"]))
    unit = str(record.attrs.get("unit", ""))
    return entry.unit if entry is not None and is_mole_fraction(unit) else unit


def _point(record: xr.Dataset, label: str) -> xr.Dataset:
    import xarray as xr

    unit = {"units": _unit(record)}
    n = record["n"].values.astype(np.float64)
    return xr.Dataset(
        {
            label: (
                "time",
                record["value"].values,
                {**unit, "long_name": f"mole_fraction_of_{label}_in_air"},
            ),
            f"{label}_repeatability": ("time", record["uncertainty"].values, unit),
            f"{label}_variability": ("time", record["sd"].values, unit),
            f"{label}_number_of_observations": ("time", np.where(n < 0, np.nan, n)),
            f"{label}_status_flag": (
                "time",
                (record["quality"].values != 0).astype(np.int32),
                {"flag_meaning": "0 = unflagged, 1 = flagged"},
            ),
        },
        coords={"time": ("time", record["time_start"].values, _time(record))},
    )


def _time(record: xr.Dataset) -> dict[str, str]:
    if record.attrs.get("interval") == "instant":
        return {"standard_name": "time"}
    text = "Time stamp corresponds to beginning of sampling period."
    return {"standard_name": "time", "label": "left", "comment": text}


def _column(record: xr.Dataset, label: str, path: Any) -> xr.Dataset:
    import xarray as xr

    missing = [name for name in _COLUMN if name not in record]
    if missing:
        raise SchemaError(f"{path}: openghg's columns need {', '.join(missing)}, which this record lacks")
    unit = {"units": _unit(record)}
    units = {"prior_profile": unit, "prior_column": unit, "pressure_levels": {"units": "hPa"}}
    data: dict[str, Any] = {
        f"x{label}": ("time", record["value"].values, unit),
        f"x{label}_uncertainty": ("time", record["uncertainty"].values, unit),
        f"x{label}_quality_flag": ("time", (record["quality"].values != 0).astype(np.int32)),
    }
    for own, name in _COLUMN.items():
        dims = ("time", "lev") if record[own].ndim == 2 else ("time",)
        data[name.format(label)] = (dims, record[own].values, units.get(own, {}))
    for name, degrees in (("latitude", "degrees_north"), ("longitude", "degrees_east")):
        data[name] = ("time", record[name].values, {"standard_name": name, "units": degrees})
    return xr.Dataset(data, coords={"time": ("time", record["time"].values, {"standard_name": "time"})})


def _attrs(record: xr.Dataset, label: str) -> dict[str, str]:
    said = record.attrs

    def middle(name: str) -> float:
        values = record[name].values if name in record else np.array([np.nan])
        return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")

    def text(value: float) -> str:
        return f"{value:g}" if np.isfinite(value) else NOT_SET

    height = middle("intake_height_m")
    seconds = said.get("interval_seconds")
    scale = str(said.get("scale", "")).replace("WMO ", "WMO-").replace(f"-{said['species']} ", "-")
    column = said.get("kind") == "column"
    return {
        "species": label,
        "site": str(said.get("site", "")).lower() or NOT_SET,
        "network": str(said.get("network", "")).lower() or NOT_SET,
        "instrument": str(said.get("instrument", "")) or NOT_SET,
        "platform": "site" if column else "surface",
        "inlet": "column" if column else (f"{height:g}m" if np.isfinite(height) else NOT_SET),
        "inlet_height_magl": "column" if column else text(height),
        "sampling_period": f"{float(seconds):g}" if seconds else NOT_SET,
        "sampling_period_unit": "s",
        "calibration_scale": scale or "unknown",
        "station_longitude": text(middle("longitude")),
        "station_latitude": text(middle("latitude")),
        "station_height_masl": text(middle("altitude_m") - (height if np.isfinite(height) else 0.0)),
        "station_long_name": str(said.get("site_name", "")) or NOT_SET,
        "data_owner": str(said.get("data_owner", "")) or NOT_SET,
        "data_owner_email": str(said.get("data_owner_email", "")) or NOT_SET,
    }
