"""SYNTHETIC footprint files, faithful to the layouts of their makers, for what no sample exists."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import netCDF4
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LAT = np.arange(30.25, 36.0, 0.5)  # 12 rows
LON = np.arange(110.25, 117.0, 0.5)  # 14 columns
T0 = np.datetime64("2024-04-02T06:00", "us")


def field(seed: int, steps: int, shape: tuple[int, int] = (12, 14)) -> np.ndarray:
    """Sparse non-negative sensitivities (step, lat, lon), steps forward in time."""
    rng = np.random.default_rng(seed)
    values = rng.exponential(0.01, (steps, *shape)) * (rng.random((steps, *shape)) < 0.4)
    return values.astype(np.float32)


def _seconds(times) -> np.ndarray:
    return (np.asarray(times).astype("datetime64[us]").astype(np.int64)) / 1e6


def stilt(
    path: Path,
    values: np.ndarray,
    *,
    last=T0,
    unit="ppm (umol-1 m2 s)",
    lat=LAT,
    lon=LON,
    times=None,
    crs=None,
    swap=False,
) -> Path:
    """uataq/stilt ``_foot.nc``: hour-begin stamps; the last hour begins one hour before `last`."""
    n = len(values)
    if times is None:
        times = last - np.timedelta64(3_600_000_000, "us") * np.arange(n, 0, -1)
    projected = crs is not None or lat.max() > 1000
    y, x = ("y", "x") if projected else ("lat", "lon")
    with netCDF4.Dataset(path, "w") as nc:
        for name, size in (("time", n), (y, lat.size), (x, lon.size)):
            nc.createDimension(name, size)
        nc.createVariable("time", "f8", ("time",)).units = "seconds since 1970-01-01 00:00:00Z"
        nc["time"][:] = _seconds(times)
        nc.createVariable(y, "f8", (y,))[:] = lat
        nc.createVariable(x, "f8", (x,))[:] = lon
        dims = ("time", x, y) if swap else ("time", y, x)
        foot = nc.createVariable("foot", "f4", dims, fill_value=-1.0)
        if unit is not None:
            foot.units = unit
        foot[:] = values.swapaxes(1, 2) if swap else values
        nc.title = "STILT Footprint"
        if crs:
            nc.crs = crs
        elif not projected:
            nc.crs = "+proj=longlat"
    return path


RECEPTOR = {
    "kind": "point", "time": "2024-04-02T06:00:00", "altitude_ref": "agl",
    "longitude": 113.3, "latitude": 33.4, "altitude": 25.0,
}  # fmt: skip
GRID = {
    "crs": "+proj=longlat",
    "xmin": 110.0,
    "xmax": 117.0,
    "ymin": 30.0,
    "ymax": 36.0,
    "xres": 0.5,
    "yres": 0.5,
}


def pystilt_parquet(
    path: Path, values: np.ndarray, *, receptor=None, transforms=(), integrate=False, empty=False, grid=None
) -> Path:
    """PYSTILT's sparse Parquet of one receptor."""
    hours = [0] if integrate else list(range(-len(values), 0))
    t, y, x = np.nonzero(values)
    table = pa.table(
        {
            "receptor": pa.array(["id"] * t.size).dictionary_encode(),
            "hour": np.asarray(hours, np.int16)[t],
            "y": y.astype(np.int16),
            "x": x.astype(np.int16),
            "foot": values[t, y, x].astype(np.float32),
        }
    )
    settings = {
        "grid": grid or GRID,
        "smooth_factor": 1,
        "time_integrate": integrate,
        "transforms": [{"kind": k} for k in transforms],
    }
    meta = {
        "stilt:receptor": json.dumps(receptor or RECEPTOR),
        "stilt:name": "",
        "stilt:hours": json.dumps(hours if not empty else []),
        "stilt:empty": "true" if empty else "false",
        "stilt:footprint": json.dumps(settings),
    }
    pq.write_table(table.replace_schema_metadata(meta), path)
    return path


def flexpart(
    path: Path,
    values: np.ndarray,
    *,
    switches=(1, 2),
    unit="s m3 kg-1",
    ctl=0.1,
    releases=1,
    lat=LAT,
    lon=LON,
    **attrs,
) -> Path:
    """FLEXPART ``grid_time``: values (pointspec, time forward, lat, lon) in the lowest of two layers."""
    n = values.shape[1]
    with netCDF4.Dataset(path, "w") as nc:
        sizes = {
            "time": n,
            "longitude": lon.size,
            "latitude": lat.size,
            "height": 2,
            "numspec": 1,
            "pointspec": len(values),
            "nageclass": 1,
            "nchar": 45,
            "numpoint": releases,
        }
        for name, size in sizes.items():
            nc.createDimension(name, size)
        nc.createVariable("time", "i4", ("time",)).units = "seconds since 2024-04-02 06:00"
        nc["time"][:] = -3600 * np.arange(1, n + 1)
        nc.createVariable("longitude", "f4", ("longitude",))[:] = lon
        nc.createVariable("latitude", "f4", ("latitude",))[:] = lat
        nc.createVariable("height", "f4", ("height",))[:] = [150.0, 50000.0]
        nc.createVariable("RELCOM", "S1", ("numpoint", "nchar"))
        for i in range(releases):
            nc["RELCOM"][i] = np.frombuffer(f"SITE{i}".ljust(45).encode(), "S1")
        rel = {
            "RELLNG1": 113.2,
            "RELLNG2": 113.4,
            "RELLAT1": 33.3,
            "RELLAT2": 33.5,
            "RELZZ1": 10.0,
            "RELZZ2": 30.0,
        }
        for name, value in rel.items():
            nc.createVariable(name, "f4", ("numpoint",))[:] = value
        for name, value in {"RELSTART": -3600, "RELEND": 0, "RELKINDZ": 1}.items():
            nc.createVariable(name, "i4", ("numpoint",))[:] = value
        nc.createVariable("ORO", "i4", ("latitude", "longitude"))[:] = 1000
        order = ("nageclass", "pointspec", "time", "height", "latitude", "longitude")
        spec = nc.createVariable("spec001_mr", "f4", order)
        spec.setncatts({"units": unit, "long_name": "AIRTRACER", "decay": np.float32(-9.9)})
        spec[:] = 7.0  # the upper layer must never be read
        spec[0, :, :, 0] = values[:, ::-1]
        base = {
            "source": "Version 10.4", "ldirect": -1, "iedate": "20240402", "ietime": "060000", "ctl": ctl,
            "loutstep": -3600, "loutaver": -3600, "ind_source": switches[0], "ind_receptor": switches[1],
        }  # fmt: skip
        nc.setncatts(base | attrs)
    return path


def openghg(
    path: Path,
    resolved: np.ndarray,
    residual: np.ndarray,
    *,
    style="acrg",
    unit="(mol/mol)/(mol/m2/s)",
    part_unit=True,
    label=True,
    step=1.0,
) -> Path:
    """openghg: resolved (time, H_back near to far, lat, lon), residual (time, lat, lon); hourly from T0."""
    n, back = resolved.shape[:2]
    paris = style == "paris"
    y, x = ("latitude", "longitude") if paris else ("lat", "lon")
    with netCDF4.Dataset(path, "w") as nc:
        for name, size in (
            ("time", n),
            (y, LAT.size),
            (x, LON.size),
            ("H_back", back + (0 if paris else 1)),
            ("height", 2),
        ):
            nc.createDimension(name, size)
        time = nc.createVariable("time", "f8", ("time",))
        time.units = "hours since 2024-04-02 06:00"
        if label:
            time.setncatts({"label": "left", "period": "1.0 hours"})
        time[:] = np.arange(n)
        nc.createVariable(y, "f4", (y,))[:] = LAT
        nc.createVariable(x, "f4", (x,))[:] = LON
        h = nc.createVariable("H_back", "f8", ("H_back",))
        h[:] = step * np.arange(back + (0 if paris else 1))
        h.units = "Hours"
        total = resolved.sum(axis=1) + residual
        if paris:
            fields = {
                "srr": (("time", y, x), total),
                "srr_residual": (("time", y, x), residual),
                "srr_time_resolved": (("time", y, x, "H_back"), np.moveaxis(resolved, 1, -1)),
            }
        else:
            hires = np.concatenate([np.moveaxis(resolved, 1, -1), residual[..., None]], axis=-1)
            fields = {"fp": ((y, x, "time"), np.moveaxis(total, 0, -1)),
                      "fp_HiTRes": ((y, x, "time", "H_back"), np.moveaxis(hires, 0, 2))}  # fmt: skip
        for name, (dims, values) in fields.items():
            var = nc.createVariable(name, "f4", dims)
            var[:] = values
            if unit is not None and (part_unit or name in {"fp", "srr"}):
                var.units = unit
        for name, value in (("release_lat", 33.4), ("release_lon", 113.3), ("release_height", 25.0)):
            nc.createVariable(name, "f4", ("time",))[:] = value
        nc.createVariable("height", "f4", ("height",))[:] = [500.0, 1500.0]
        for side, across in (("n", x), ("e", y), ("s", x), ("w", y)):
            size = LON.size if across == x else LAT.size
            dims = ("time", "height", across) if paris else ("height", across, "time")
            share = np.full((n, 2, size), 0.1 / (2 * size))
            age = np.full((n, 2, size), 3.0)
            for name, values in ((f"particle_locations_{side}", share), (f"mean_age_particles_{side}", age)):
                nc.createVariable(name, "f4", dims)[:] = values if paris else np.moveaxis(values, 0, -1)
        nc.setncatts({"site": "ABC", "inlet_height": "25magl", "model": "NAME", "species": "inert"})
    return path


def curtain(path: Path, values, *, unit=None) -> Path:
    """openghg boundary conditions on the same curtain cells, one month."""
    with netCDF4.Dataset(path, "w") as nc:
        for name, size in (("height", 2), ("lat", LAT.size), ("lon", LON.size), ("time", 1)):
            nc.createDimension(name, size)
        nc.createVariable("height", "f4", ("height",))[:] = [500.0, 1500.0]
        nc.createVariable("lat", "f4", ("lat",))[:] = LAT
        nc.createVariable("lon", "f4", ("lon",))[:] = LON
        nc.createVariable("time", "f8", ("time",)).units = "days since 2024-04-01"
        nc["time"][:] = 0
        for side, across in (("n", "lon"), ("e", "lat"), ("s", "lon"), ("w", "lat")):
            var = nc.createVariable(f"vmr_{side}", "f8", ("height", across, "time"))
            var[:] = values[side]
            if unit:
                var.units = unit
    return path


def foot1(
    path: Path,
    values: np.ndarray,
    *,
    swap=False,
    label="begin",
    unit="ppm per (umol m-2 s-1)",
    receptor=T0,
    kind="f8",
    name="foot1",
    lat=LAT,
    lon=LON,
    mode="w",
) -> Path:
    """CarbonTracker-Lagrange ``foot1``; `values` forward in time, stored near to far, missing -1e34."""
    n = len(values)
    hour = np.timedelta64(3_600_000_000, "us")
    begin = receptor - hour * np.arange(n, 0, -1)
    stamps = begin if label == "begin" else begin + hour
    with netCDF4.Dataset(path, mode) as nc:
        for axis, size in ((f"{name}date", n), (f"{name}lat", lat.size), (f"{name}lon", lon.size)):
            nc.createDimension(axis, size)
        date = nc.createVariable(f"{name}date", kind, (f"{name}date",))
        date.units = "days since 2000-01-01 00:00:00 UTC"
        date[:] = ((stamps - np.datetime64("2000-01-01", "us")) / np.timedelta64(1, "D"))[::-1]
        nc.createVariable(f"{name}lat", "f8", (f"{name}lat",))[:] = lat
        nc.createVariable(f"{name}lon", "f8", (f"{name}lon",))[:] = lon
        dims = [f"{name}{axis}" for axis in (("date", "lon", "lat") if swap else ("date", "lat", "lon"))]
        foot = nc.createVariable(name, "f4", dims, fill_value=-1e34)
        if unit:
            foot.units = unit
        foot[:] = (values.swapaxes(1, 2) if swap else values)[::-1]
    return path


def cdump(path: Path, values: np.ndarray, *, packed=True, backward=True, levels=(100,), cut=None) -> Path:
    """HYSPLIT cdump with one pollutant: values (time, lat, lon), forward in time, in the lowest level."""

    def record(body: bytes) -> bytes:
        size = struct.pack(">i", len(body))
        return size + body + size

    def stamp(time: np.datetime64) -> bytes:
        date, clock = str(time.astype("datetime64[m]")).split("T")
        y, mo, d = (int(v) for v in date.split("-"))
        h, mi = (int(v) for v in clock.split(":"))
        return struct.pack(">6i", y % 100, mo, d, h, mi, 0)

    hour = np.timedelta64(1, "h")
    out = record(struct.pack(">4s7i", b"GDAS", 24, 4, 2, 6, 0, 1, int(packed)))
    out += record(struct.pack(">4i3fi", 24, 4, 2, 6, 33.4, 113.3, 25.0, 0))
    out += record(struct.pack(">2i4f", LAT.size, LON.size, 0.5, 0.5, LAT[0], LON[0]))
    out += record(struct.pack(f">{1 + len(levels)}i", len(levels), *levels))
    out += record(struct.pack(">i4s", 1, b"FOOT"))
    n = len(values)
    for k in range(n):
        near, far = T0 - k * hour, T0 - (k + 1) * hour
        first, second = (near, far) if backward else (T0 + k * hour, T0 + (k + 1) * hour)
        out += record(stamp(first)) + record(stamp(second))
        for number, level in enumerate(levels):
            layer = values[n - 1 - k] if number == 0 else np.full_like(values[0], 9.0)
            body = struct.pack(">4si", b"FOOT", level)
            if packed:
                j, i = np.nonzero(layer)
                points = np.zeros(j.size, [("i", ">i2"), ("j", ">i2"), ("v", ">f4")])
                points["i"], points["j"], points["v"] = i + 1, j + 1, layer[j, i]
                body += struct.pack(">i", j.size) + points.tobytes()
            else:
                body += layer.astype(">f4").tobytes()
            out += record(body)
    path.write_bytes(out[:cut])
    return path
