"""Records made up for tests."""

from __future__ import annotations

import numpy as np
import xarray as xr


def make_record(
    value,
    *,
    hours=None,
    start="2020-01-01",
    species="CO2",
    scale="WMO CO2 X2019",
    length_hours=1.0,
    longitude=100.9,
    **variables,
) -> xr.Dataset:
    """Return a record in the layout of `stations.record.record`: hourly unless told otherwise."""
    value = np.asarray(value, dtype=float)
    n = value.size
    offset = np.arange(n) * length_hours if hours is None else np.asarray(hours, dtype=float)
    begin = np.datetime64(start, "ns") + np.round(offset * 3600e9).astype("timedelta64[ns]")
    length = np.timedelta64(round(length_hours * 3600e9), "ns")
    data = {
        "value": value,
        "uncertainty": np.full(n, np.nan),
        "sd": np.full(n, np.nan),
        "n": np.full(n, -1, np.int32),
        "time_start": begin,
        "time_end": begin + length,
        "quality": np.zeros(n, np.uint32),
        "quality_original": np.full(n, "", dtype="<U3"),
        "latitude": np.full(n, 36.3),
        "longitude": np.full(n, longitude),
        "altitude_m": np.full(n, 3816.0),
        "intake_height_m": np.full(n, 5.0),
        "sample_id": np.full(n, "", dtype="<U8"),
    }
    for name, values in variables.items():
        kept = data[name].dtype if name in data and data[name].dtype.kind != "U" else None
        data[name] = np.broadcast_to(np.asarray(values, dtype=kept), (n,)).copy()
    attrs = {
        "species": species,
        "unit": {"CO2": "ppm", "SF6": "ppt"}.get(species, "ppb"),
        "scale": scale,
        "scale_original": scale,
        "site": "WLG",
        "site_name": "Waliguan",
        "network": "made",
        "source": "made",
        "kind": "point",
        "interval": "start",
        "interval_seconds": length_hours * 3600.0,
        "format": "made",
        "path": "made.txt",
        "changes": [],
        "warnings": [],
    }
    return xr.Dataset(
        {k: ("time", v) for k, v in data.items()}, coords={"time": begin + length // 2}, attrs=attrs
    )
