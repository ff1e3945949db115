"""Winter weather over East Asia, invented: westerlies, travelling waves and a boundary layer with a day.

The wind is the curl of a stream function, so it is free of divergence on the sphere and needs no vertical
motion. Nothing here is a forecast; it moves air at realistic speeds through a realistic depth.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from obsnet.atomic import atomic_path
from obsnet.sphere import EARTH_RADIUS
from obsnet.times import solar_hour, to_epoch
from obsnet.typing import Floats

__all__ = ["make_weather", "write_weather"]

LEVELS = np.array(
    [1000.0, 950.0, 900.0, 850.0, 800.0, 700.0, 600.0, 500.0, 400.0, 300.0, 200.0, 100.0]
)  # hPa
SURFACE_PRESSURE = 101325.0  # Pa; the invented world is flat


def make_weather(
    times: NDArray[np.datetime64],
    bounds: tuple[float, float, float, float],
    rng: np.random.Generator,
    *,
    step: float = 2.0,
) -> Any:
    """Make meteorological fields in the layout of ERA5 on pressure levels.

    Parameters
    ----------
    times : ndarray of datetime64
        UTC.
    bounds : (south, north, west, east)
        Degrees; covered with one `step` to spare.
    rng : numpy.random.Generator
        Phases and speeds of the waves.
    step : float
        Grid spacing in degrees.

    Returns
    -------
    xarray.Dataset
        ``u, v`` (m s-1), ``w`` (Pa s-1, zero), ``t`` (K), ``q`` (kg kg-1) on (time, level, latitude,
        longitude);
        ``sp`` (Pa), ``z`` (m2 s-2, zero), ``blh`` (m), ``t2m`` (K) on (time, latitude, longitude).
    """
    import xarray as xr

    south, north, west, east = bounds
    latitude = np.arange(south - step, north + 1.5 * step, step)
    longitude = np.arange(west - step, east + 1.5 * step, step)
    seconds = to_epoch(times) - to_epoch(times)[0]
    u, v = _wind(seconds, latitude, longitude, rng)
    shape3 = (len(times), len(LEVELS), len(latitude), len(longitude))
    shape2 = (len(times), len(latitude), len(longitude))
    height = -7500.0 * np.log(LEVELS / 1013.25)
    surface = 283.0 - 0.7 * (latitude - 20.0)
    temperature = np.maximum(surface[None, None, :, None] - 0.0062 * height[None, :, None, None], 215.0)
    humidity = 0.004 * np.exp(-height / 2200.0)[None, :, None, None] * (surface / 283.0)[None, None, :, None]
    hour = solar_hour(times[:, None], longitude[None, :])
    # Shallow at night, deepest in mid-afternoon, a little deeper in the south.
    day = np.clip(np.sin((hour - 8.0) / 10.0 * np.pi), 0.0, None) * ((hour > 8) & (hour < 18))
    layer = 250.0 + 1000.0 * day[:, None, :] * (1.0 + 0.01 * (40.0 - latitude))[None, :, None]
    three, two = ("time", "level", "latitude", "longitude"), ("time", "latitude", "longitude")

    def field(values: Floats, dims: tuple[str, ...], units: str, name: str) -> tuple[Any, ...]:
        full = np.broadcast_to(values, shape3 if dims == three else shape2).astype(np.float32)
        return dims, full, {"units": units, "long_name": name}

    return xr.Dataset(
        {
            "u": field(u, three, "m s**-1", "U component of wind"),
            "v": field(v, three, "m s**-1", "V component of wind"),
            "w": field(np.zeros(1), three, "Pa s**-1", "Vertical velocity"),
            "t": field(temperature, three, "K", "Temperature"),
            "q": field(humidity, three, "kg kg**-1", "Specific humidity"),
            "sp": field(np.full(1, SURFACE_PRESSURE), two, "Pa", "Surface pressure"),
            "z": field(np.zeros(1), two, "m**2 s**-2", "Geopotential at the surface"),
            "blh": field(layer, two, "m", "Boundary layer height"),
            "t2m": field(surface[None, :, None], two, "K", "2 metre temperature"),
        },
        coords={
            "time": ("time", times.astype("datetime64[ns]"), {"standard_name": "time"}),
            "level": ("level", LEVELS, {"units": "hPa", "standard_name": "air_pressure", "positive": "down"}),
            "latitude": ("latitude", latitude, {"units": "degrees_north", "standard_name": "latitude"}),
            "longitude": ("longitude", longitude, {"units": "degrees_east", "standard_name": "longitude"}),
        },
        attrs={"title": "Synthetic weather for a twin experiment; not an analysis of the atmosphere"},
    )


def _wind(
    seconds: Floats, latitude: Floats, longitude: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return u, v (time, level, lat, lon): westerlies that grow with height plus four travelling waves."""
    t = seconds[:, None, None]
    phi, lam = np.deg2rad(latitude)[None, :, None], np.deg2rad(longitude)[None, None, :]
    # Stream function psi in m2 s-1; u = -dpsi/dy, v = dpsi/dx on the sphere.
    u = np.zeros((len(seconds), len(latitude), len(longitude)))
    v = np.zeros_like(u)
    for number in (5.0, 8.0, 11.0, 15.0):
        amplitude = 4.0 * EARTH_RADIUS / number * rng.uniform(0.7, 1.2)  # about 4 m s-1 of wind a wave
        meridional = rng.uniform(4.0, 9.0)
        period = rng.uniform(3.0, 6.0) * 86400.0
        phase = rng.uniform(0, 2 * np.pi, 2)
        x = number * lam - 2 * np.pi * t / period + phase[0]
        y = meridional * phi + phase[1]
        v += amplitude * number * np.cos(x) * np.cos(y) / (EARTH_RADIUS * np.cos(phi))
        u += amplitude * meridional * np.sin(x) * np.sin(y) / EARTH_RADIUS
    zonal = 2.0 + 22.0 * (1.0 - LEVELS / 1000.0)
    north_wind = -2.5 * (LEVELS / 1000.0) ** 4  # the winter monsoon, near the ground
    wave = 0.8 + 0.4 * (1.0 - LEVELS / 1000.0)
    return (
        zonal[None, :, None, None] + wave[None, :, None, None] * u[:, None],
        north_wind[None, :, None, None] + wave[None, :, None, None] * v[:, None],
    )


def write_weather(weather: Any, path: Path) -> None:
    """Write the fields as netCDF-4, atomically."""
    encoding: dict[str, Any] = {name: {"zlib": True, "complevel": 1} for name in weather.data_vars}
    encoding |= {str(name): {"_FillValue": None} for name in weather.coords}
    encoding["time"] |= {"units": "hours since 1970-01-01", "dtype": "float64"}
    with atomic_path(path) as temporary:
        weather.to_netcdf(temporary, engine="netcdf4", encoding=encoding)
