"""What the air held before it came: mole fractions at the places where particles end.

Three kinds of source, one call: a number, a station's baseline (a table of time and value), or fields in netCDF:
a global model on pressure or height levels (CAMS, CarbonTracker), or curtains along the four sides as openghg
keeps them (``vmr_n(height, lon)`` and so on).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from obsnet.constants import Species
from obsnet.constants import species as species_of
from obsnet.errors import ConfigError, FormatError, MissingVariableError, RangeError
from obsnet.met import Met
from obsnet.opening import open_xarray
from obsnet.reading import door, read_csv, reading
from obsnet.times import from_epoch, to_epoch
from obsnet.typing import Floats, Texts
from obsnet.units import conversion_factor

__all__ = ["Background", "is_number", "open_background", "try_background"]

_LEVELS = {"level", "lev", "plev", "pressure", "pressure_level", "height", "altitude"}
_CURTAINS = {
    "north": ("vmr_n", "lon"),
    "south": ("vmr_s", "lon"),
    "east": ("vmr_e", "lat"),
    "west": ("vmr_w", "lat"),
}


@dataclass(frozen=True)
class Background:
    """Mole fractions of incoming air.

    Parameters
    ----------
    name : str
        For metadata.
    at : callable
        ``at(time, lat, lon, height, pressure, side)`` -> values in the species' unit; arrays of one length, time
        in seconds since 1970, height in metres above ground, pressure in Pa.
    uncertainty : float
        Of one value, in the same unit; systematic, so it does not fall with the number of particles.
    """

    name: str
    at: Callable[[Floats, Floats, Floats, Floats, Floats, Texts], Floats]
    uncertainty: float = 0.0

    def of(self, endpoints: pa.Table, met: Met) -> tuple[Texts, Floats, Floats]:
        """Return observations, their weighted background and its standard error.

        Parameters
        ----------
        endpoints : pyarrow.Table
            Of `inversion.transport.particles.tables.Footprints`.
        met : Met
            Gives the pressure at the ends.
        """
        frame = endpoints.to_pandas()
        lat = np.clip(frame["latitude"].to_numpy(), met.lat[0], met.lat[-1])
        lon = np.clip(met.wrap(frame["longitude"].to_numpy()), met.lon[0], met.lon[-1])
        height, weight = frame["height_m"].to_numpy(), frame["weight"].to_numpy()
        column = met.profile(frame["time"].to_numpy(), lat, lon)["pressure"]
        pressure = _along(met.height, column, height)
        side = frame["side"].to_numpy().astype(str)
        values = self.at(to_epoch(frame["time"].to_numpy()), lat, lon, height, pressure, side)
        if not np.isfinite(values).all():
            raise RangeError(
                f"{self.name}: no value at {int((~np.isfinite(values)).sum())} of {values.size} particle ends"
            )
        names, first, code = np.unique(
            frame["obs_id"].to_numpy().astype(str), return_index=True, return_inverse=True
        )
        total = np.bincount(code, weights=weight * values)
        share, count = np.bincount(code, weights=weight), np.bincount(code)
        mean = total / np.where(share == 0.0, 1.0, share)
        spread = np.bincount(code, weights=weight * (values - mean[code]) ** 2) / np.where(
            share == 0.0, 1.0, share
        )
        error = np.sqrt(
            share**2 * np.maximum(spread, 0.0) / np.maximum(count - 1, 1) + (share * self.uncertainty) ** 2
        )
        order = np.argsort(first)
        return np.asarray(names[order], np.str_), np.asarray(total[order]), np.asarray(error[order])


def _along(height: Floats, column: Floats, z: Floats) -> Floats:
    """Return a field that falls exponentially at one height of each column."""
    place = np.clip(np.searchsorted(height, z, side="right") - 1, 0, height.size - 2)
    rows = np.arange(z.size)
    share = np.clip((z - height[place]) / (height[place + 1] - height[place]), 0.0, 1.0)
    low, high = np.log(column[rows, place]), np.log(column[rows, place + 1])
    return np.asarray(np.exp(low + share * (high - low)))


def is_number(source: str | float) -> bool:
    """Tell whether a background is a number rather than a file."""
    try:
        return bool(np.isfinite(float(source)))
    except ValueError:
        return False


@door("a background")
def open_background(
    source: str | float, species: str, base: str | Path = ".", uncertainty: float = 0.0
) -> Background:
    """Return the background that an option names.

    Parameters
    ----------
    source : str or float
        A number in the species' unit; a ``.csv`` with columns ``time`` and ``value`` (a station's baseline); or a
        netCDF file of fields or curtains.
    species : str
        Formula.
    base : path
        What a relative file is relative to.
    uncertainty : float
        Of the source itself, in the species' unit.

    Raises
    ------
    ConfigError, FormatError, MissingVariableError, RangeError
        Not a number and not a file, no usable variable, values outside the physical range.
    """
    entry = species_of(species)
    if is_number(source):
        value = float(source)
        _in_range(np.array([value]), entry, "background")
        return Background(
            f"constant {value:g} {entry.unit_name}", lambda t, *_: np.full(t.size, value), uncertainty
        )
    path = Path(base) / str(source)
    if not path.is_file():
        raise ConfigError(f"background = {source!r} is neither a number nor a file ({path})")
    if path.suffix == ".csv":
        return Background(f"baseline {path.name}", _baseline(path, entry), uncertainty)
    with reading(path, "netCDF"), open_xarray(path) as data:
        data.load()
    if "vmr_n" in data:
        return Background(f"curtains {path.name}", _curtains(path, data, entry), uncertainty)
    return Background(f"fields {path.name}", _fields(path, data, entry), uncertainty)


def try_background(source: str | float, species: str) -> None:
    """Open a background and throw it away: whatever is wrong with it is raised."""
    open_background(source, species)


def _in_range(values: Floats, entry: Species, where: str) -> None:
    low, high = entry.point_range
    if not (np.nanmin(values) >= low and np.nanmax(values) <= high):
        raise RangeError(
            f"{where}: {entry.name} spans {np.nanmin(values):g} to {np.nanmax(values):g} {entry.unit_name}, "
            f"outside {low:g} to {high:g}; check the unit"
        )


def _baseline(path: Path, entry: Species) -> Callable[..., Floats]:
    import pandas as pd

    table = read_csv(path, comment="#")
    if not {"time", "value"} <= set(table.columns):
        raise MissingVariableError(
            f"{path}: a baseline needs columns time and value, found {', '.join(table.columns)}"
        )
    try:
        seconds = to_epoch(pd.to_datetime(table["time"]).to_numpy())
    except (ValueError, TypeError) as error:
        raise FormatError(f"{path}: column time cannot be read ({error})") from None
    values = table["value"].to_numpy(dtype=float)
    keep = np.isfinite(values) & np.isfinite(seconds)
    order = np.argsort(seconds[keep])
    seconds, values = seconds[keep][order], values[keep][order]
    if not values.size:
        raise FormatError(f"{path}: no value")
    _in_range(values, entry, str(path))

    def at(t: Floats, *_: Any) -> Floats:
        if t.min() < seconds[0] - 31 * 86400.0 or t.max() > seconds[-1] + 31 * 86400.0:
            raise RangeError(
                f"{path}: the baseline covers {from_epoch(seconds[0])} to {from_epoch(seconds[-1])}, particles end "
                f"between {from_epoch(t.min())} and {from_epoch(t.max())}"
            )
        return np.interp(t, seconds, values)

    return at


def _scale(path: Path, variable: Any, entry: Species) -> float:
    unit = str(variable.attrs.get("units", ""))
    if not unit:
        raise FormatError(f"{path}: variable {variable.name!r} has no units")
    return conversion_factor(unit, entry.unit)


def _curtains(path: Path, data: Any, entry: Species) -> Callable[..., Floats]:
    from scipy.interpolate import RegularGridInterpolator

    sides = {}
    for side, (name, along) in _CURTAINS.items():
        if name not in data:
            raise MissingVariableError(f"{path}: curtain {name!r} is missing")
        variable = data[name]
        if "time" in variable.dims:
            variable = variable.mean("time", keep_attrs=True)
        variable = variable.transpose("height", along)
        # openghg writes the scale of the values as their unit, or a plain number for mol/mol.
        unit = str(variable.attrs.get("units", "mol/mol"))
        values = np.asarray(variable, dtype=float) * conversion_factor(unit, entry.unit)
        _in_range(values, entry, f"{path} {name}")
        axes = (np.asarray(data["height"], dtype=float), np.asarray(data[along], dtype=float))
        sides[side] = RegularGridInterpolator(axes, values, bounds_error=False, fill_value=None)

    def at(_t: Floats, lat: Floats, lon: Floats, height: Floats, _pressure: Floats, side: Texts) -> Floats:
        out = np.zeros(lat.size)
        known = np.zeros(lat.size, dtype=bool)
        for name, interpolate in sides.items():
            rows = side == name
            (low_z, along) = interpolate.grid
            z = np.clip(height[rows], low_z[0], low_z[-1])
            place = np.clip((lon if name in {"north", "south"} else lat)[rows], along[0], along[-1])
            out[rows] = interpolate(np.stack([z, place], axis=-1))
            known |= rows
        # Air that is still inside, or left through the top, has no curtain: the mean of the four stands in.
        if not known.all():
            levels = next(iter(sides.values())).grid[0]
            mean = np.mean([np.asarray(i.values).mean(axis=1) for i in sides.values()], axis=0)
            out[~known] = np.interp(height[~known], levels, mean)
        return out

    return at


def _fields(path: Path, data: Any, entry: Species) -> Callable[..., Floats]:
    from scipy.interpolate import RegularGridInterpolator

    wanted = {entry.name.lower(), f"mole_fraction_of_{entry.standard_name}_in_air"}
    found = [
        v for n, v in data.data_vars.items() if n.lower() in wanted or v.attrs.get("standard_name") in wanted
    ]
    if not found:
        names = ", ".join(map(str, data.data_vars))
        raise MissingVariableError(
            f"{path}: no mole fraction of {entry.name} ({entry.name.lower()}); found {names}"
        )
    variable = found[0]
    known = {
        "time": {"time", "valid_time"},
        "level": _LEVELS,
        "lat": {"lat", "latitude"},
        "lon": {"lon", "longitude"},
    }
    axis_of = {
        axis: next((d for d in variable.dims if d in options), None) for axis, options in known.items()
    }
    if None in (axis_of["level"], axis_of["lat"], axis_of["lon"]):
        raise FormatError(
            f"{path}: {variable.name!r} needs levels, latitude and longitude, found {variable.dims}"
        )
    level = data[axis_of["level"]]
    unit = str(level.attrs.get("units", ""))
    in_height = unit in {"m", "km"}
    vertical = np.asarray(level, dtype=float) * conversion_factor(unit, "m" if in_height else "Pa")
    dims = [d for d in (axis_of["time"], axis_of["level"], axis_of["lat"], axis_of["lon"]) if d]
    values = np.asarray(variable.transpose(*dims), dtype=float) * _scale(path, variable, entry)
    _in_range(values, entry, str(path))
    axes = [vertical if in_height else -np.log(vertical), np.asarray(data[axis_of["lat"]], dtype=float)]
    axes.append((np.asarray(data[axis_of["lon"]], dtype=float) + 180.0) % 360.0 - 180.0)
    if axis_of["time"]:
        axes.insert(0, to_epoch(np.asarray(data[axis_of["time"]])))
    else:
        values = values[None]
        axes.insert(0, np.zeros(1))
    for k, axis in enumerate(axes):
        order = np.argsort(axis)
        axes[k], values = axis[order], np.take(values, order, axis=k)
    if axes[0].size == 1:
        axes[0] = np.array([axes[0][0], axes[0][0] + 1.0])
        values = np.concatenate([values, values])
        single = True
    else:
        single = False
    interpolate = RegularGridInterpolator(tuple(axes), values)

    def at(t: Floats, lat: Floats, lon: Floats, height: Floats, pressure: Floats, _side: Any) -> Floats:
        points = [
            np.full(t.size, axes[0][0]) if single else t,
            height if in_height else -np.log(pressure),
            lat,
            lon,
        ]
        points[3] = (points[3] + 180.0) % 360.0 - 180.0
        if not single and (t.min() < axes[0][0] - 1.0 or t.max() > axes[0][-1] + 1.0):
            raise RangeError(
                f"{path}: fields cover {from_epoch(axes[0][0])} to {from_epoch(axes[0][-1])}, particles end between "
                f"{from_epoch(t.min())} and {from_epoch(t.max())}"
            )
        for k, (name, margin) in enumerate((("latitude", 3.0), ("longitude", 3.0))):
            axis, values_k = axes[k + 2], points[k + 2]
            if values_k.min() < axis[0] - margin or values_k.max() > axis[-1] + margin:
                raise RangeError(f"{path}: particles end outside its {name}s {axis[0]:g} to {axis[-1]:g}")
        # Below the lowest and above the highest level, and half a coarse cell beyond the edge, the edge holds.
        inside = [np.clip(p, a[0], a[-1]) for p, a in zip(points, axes, strict=True)]
        return np.asarray(interpolate(np.stack(inside, axis=-1)))

    return at
