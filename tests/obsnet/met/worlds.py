"""Small meteorological files with known contents, for the tests of obsnet.met."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np

from obsnet.constants import GRAVITY, R_DRY_AIR

LEVELS = np.array(
    [1000.0, 975.0, 950.0, 900.0, 850.0, 800.0, 700.0, 600.0, 500.0, 400.0, 300.0, 200.0, 100.0]
)
ISOTHERMAL = 270.0  # K


def era5(
    path: Path,
    *,
    hours=(0, 1, 2),
    lat=None,
    lon=None,
    levels=LEVELS,
    change=lambda _name, values: values,
    drop=(),
    units=None,
    only=None,
    terrain=0.0,
):
    """Write an ERA5-like file: an isothermal atmosphere at rest but for what `change` makes of it."""
    lat = np.arange(30.0, 20.0, -1.0) if lat is None else np.asarray(lat)
    lon = np.arange(100.0, 112.0) if lon is None else np.asarray(lon)
    units = units or {}
    shape = (len(hours), lat.size, lon.size)
    surface = 101325.0 * np.exp(-GRAVITY * terrain / (R_DRY_AIR * ISOTHERMAL))
    flat = {
        "sp": (surface, "Pa"),
        "t2m": (ISOTHERMAL, "K"),
        "u10": (4.0, "m s**-1"),
        "v10": (0.0, "m s**-1"),
        "blh": (800.0, "m"),
        "zust": (0.3, "m s**-1"),
        "ishf": (-120.0, "W m**-2"),
        "zs": (0.0, ""),
    }
    height = R_DRY_AIR * ISOTHERMAL / GRAVITY * np.log(101325.0 / (100.0 * levels))
    column = {
        "u": (10.0 + 0.0 * height, "m s**-1"),
        "v": (-5.0 + 0.0 * height, "m s**-1"),
        "w": (0.0 * height, "Pa s**-1"),
        "t": (ISOTHERMAL + 0.0 * height, "K"),
        "q": (0.0 * height, "kg kg**-1"),
        "z": (GRAVITY * height, "m**2 s**-2"),
    }
    with netCDF4.Dataset(path, "w") as data:
        axes = {"time": (np.asarray(hours, float), "hours since 2020-06-01"), "level": (levels, "hPa")}
        axes |= {"latitude": (lat, "degrees_north"), "longitude": (lon, "degrees_east")}
        for name, (values, unit) in axes.items():
            data.createDimension(name, len(values))
            variable = data.createVariable(name, "f8", (name,))
            variable[:], variable.units = values, unit
        for table, dims in ((flat, ("time", "latitude", "longitude")), (column, tuple(axes))):
            for name, (value, unit) in table.items():
                if name in drop or name == "zs" or (only is not None and name not in only):
                    continue
                if dims == tuple(axes):
                    values = np.broadcast_to(value[None, :, None, None], (shape[0], levels.size, *shape[1:]))
                else:
                    values = np.full(shape, value)
                variable = data.createVariable(name, "f4", dims)
                variable[:] = change(name, np.array(values))
                if units.get(name, unit) is not None:
                    variable.units = units.get(name, unit)
    return path
