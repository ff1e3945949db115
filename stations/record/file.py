"""A processed record as a netCDF file with its history: what one step writes, the next one reads."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.atomic import atomic_path
from obsnet.errors import FormatError, SchemaError
from obsnet.output import plain
from obsnet.reading import reading
from obsnet.seal import check_file, seal_file
from stations.record.openghg_file import write_openghg
from stations.record.source import Source

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["MARK", "read_record", "write_record"]

MARK = "obsnet_record"  # global attribute: the record's attributes as JSON
ROW = "obs"  # dimension of a record in which times repeat; time is then a coordinate beside it
NEEDED = ("time", "time_start", "time_end", "value", "uncertainty", "sd", "n", "quality", "quality_original")
_TIME = {"units": "microseconds since 1970-01-01", "calendar": "proleptic_gregorian", "dtype": "int64"}
_LONG_NAMES = {
    "value": "dry air mole fraction",
    "uncertainty": "standard uncertainty, random",
    "uncertainty_systematic": "standard uncertainty, systematic",
    "sd": "standard deviation inside the averaging interval",
    "n": "number of measurements",
    "quality": "reasons not to use the row, 0 = use",
    "altitude_m": "altitude of the intake above sea level",
    "intake_height_m": "height of the intake above ground",
    "time": "middle of the sample",
    "time_start": "start of the sample",
    "time_end": "end of the sample",
}
_STANDARD = {
    "time": {"standard_name": "time", "axis": "T", "units_metadata": "leap_seconds: none"},
    "latitude": {"standard_name": "latitude", "units": "degrees_north"},
    "longitude": {"standard_name": "longitude", "units": "degrees_east"},
}


def write_record(record: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write a record as CF netCDF; it appears whole or not at all.

    Parameters
    ----------
    record : xarray.Dataset
        Layout of `stations.record.record`.
    path : path
        ``*.nc``; ``*.openghg.nc`` is written in the layout that openghg reads, see `write_openghg`.
    """
    from obsnet.schema import Quality

    if str(path).endswith(".openghg.nc"):
        return write_openghg(record, path)

    missing = [name for name in NEEDED if name not in record.variables]
    if missing:
        raise SchemaError(f"{path}: not a station record, it lacks {', '.join(missing)}")
    data = record.copy()
    rises = np.diff(data["time"].values) > np.timedelta64(0, "s")
    if not rises.all():  # pairs: no coordinate of CF may repeat a value
        data = data.swap_dims(time=ROW)
    for name in map(str, data.variables):
        own = data[name].attrs
        text = _LONG_NAMES.get(name) or own.get("long_name") or name.replace("_", " ")
        data[name].attrs = {**own, "long_name": text, **_STANDARD.get(name, {})}
    data["quality"].attrs |= {
        "flag_masks": np.array([int(f) for f in Quality], dtype=np.uint32),
        "flag_meanings": " ".join(str(f.name).lower() for f in Quality),
    }
    attrs = record.attrs
    data.attrs = {
        "Conventions": "CF-1.11",
        "title": f"{attrs.get('species', '')} at {attrs.get('site', '') or 'an unnamed site'}",
        "history": "\n".join(attrs.get("changes", [])) or "read, nothing changed",
        MARK: json.dumps(plain(attrs), ensure_ascii=False),
    }
    times = [n for n in data.variables if data[n].dtype.kind == "M"]
    encoding: dict[Any, Any] = {n: dict(_TIME) for n in times}
    encoding |= {
        n: {"zlib": True, "complevel": 1, "_FillValue": None if data[n].dtype.kind in "iu" else np.nan}
        for n in data.variables
        if data[n].dtype.kind in "fiu"
    }
    for name in map(str, data.variables):
        data[name].encoding = {}
    with atomic_path(path) as temporary:
        data.to_netcdf(temporary, engine="netcdf4", encoding=encoding)
        seal_file(temporary)
    return Path(path)


def read_record(path: str | os.PathLike[str] | Source) -> xr.Dataset:
    """Read a record that `write_record` wrote; packed files and members of archives come as a `Source`.

    Raises
    ------
    FormatError
        The file is no netCDF file, or no record of this package.
    """
    import xarray as xr

    source = path if isinstance(path, Source) else Source(Path(path))
    path = source.where
    check_file(path)
    with reading(path, "netCDF"):
        store = xr.backends.NetCDF4DataStore(source.dataset())
        with xr.open_dataset(store, engine="store", decode_timedelta=False) as stored:
            data = stored.load()
    try:
        attrs = json.loads(data.attrs[MARK])
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise FormatError(f"{path}: not a station record of this package (no attribute {MARK!r})") from error
    with reading(path, "a station record"):
        if ROW in data.dims:
            data = data.swap_dims({ROW: "time"})
        for name in ("flag_masks", "flag_meanings"):
            data["quality"].attrs.pop(name, None)
        for name in map(str, data.variables):
            if data[name].dtype.kind == "M":
                data[name] = data[name].astype("datetime64[ns]")
            if data[name].dtype.kind in "OT":
                data[name] = (data[name].dims, data[name].values.astype(str), data[name].attrs)
            data[name].attrs.pop("long_name", None)
    data.attrs = {**attrs, "path": str(path)}
    return data
