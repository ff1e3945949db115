"""What the footprint readers share: looking into a file, units, axes, times and receptors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from inversion.transport.files.footprint import UNIT
from inversion.transport.files.probe import NetCDF
from inversion.transport.readers.options import ReaderOptions
from obsnet.errors import FormatError, GridError, UnitError
from obsnet.grid import Grid, centre_order
from obsnet.times import as_utc
from obsnet.typing import Floats, Ints, Singles, Times
from obsnet.units import conversion_factor

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Axes",
    "axes",
    "axis",
    "check_values",
    "factor",
    "receptors",
    "text",
    "times",
    "values",
]

HOUR = np.timedelta64(3_600_000_000, "us")
FALLBACK_LABEL = "the hour's end"


def text(nc_or_variable: Any, name: str) -> str | None:
    """Return an attribute as text, None where absent or empty."""
    if name not in nc_or_variable.ncattrs():
        return None
    value = nc_or_variable.getncattr(name)
    found = value.strip() if isinstance(value, str) else str(value)
    return found or None


def values(variable: Any, order: Sequence[str], **slices: slice) -> npt.NDArray[Any]:
    """Read a netCDF variable, or a slab of it, with its dimensions in this order; missing is NaN.

    Parameters
    ----------
    variable : netCDF4.Variable
        Whose dimensions are those in `order`, in any order.
    order : sequence of str
        Dimensions of the result.
    slices : slice
        By dimension name.
    """
    if sorted(variable.dimensions) != sorted(order):
        raise FormatError(
            f"{variable.group().filepath()}: variable {variable.name!r} has dimensions "
            f"{variable.dimensions}, expected {tuple(order)} in any order"
        )
    try:
        raw: Any = variable[tuple(slices.get(d, slice(None)) for d in variable.dimensions)]
    except (OSError, RuntimeError) as error:
        raise FormatError(
            f"{variable.group().filepath()}: variable {variable.name!r} cannot be read ({error}); is the "
            "file cut off?"
        ) from error
    if np.ma.isMaskedArray(raw):
        holes = raw.dtype.kind != "f" and np.ma.is_masked(raw)
        raw = np.ma.filled(
            raw.astype(np.float64) if holes else raw, np.nan if holes or raw.dtype.kind == "f" else 0
        )
    return np.transpose(raw, [variable.dimensions.index(d) for d in order])


def axis(nc: NetCDF, name: str) -> Floats:
    """Read a coordinate in float64.

    Raises
    ------
    FormatError
        Values that are missing or infinite.
    """
    out = np.asarray(values(nc[name], nc[name].dimensions), dtype=np.float64)
    if not np.isfinite(out).all():
        raise FormatError(f"{nc.path}: {name!r} has values that are missing or infinite")
    return out


def times(variable: Any, path: Path, *, missing: bool = False) -> Times:
    """Read a time axis as ``datetime64[us]``, UTC; NaT only where `missing` allows it.

    Raises
    ------
    FormatError
        No unit, a calendar without real dates, or values that are none.
    """
    import xarray as xr

    units = text(variable, "units")
    calendar = text(variable, "calendar") or "standard"
    if units is None or " since " not in units:
        raise FormatError(
            f"{path}: variable {variable.name!r} needs a unit such as 'hours since 1970-01-01', found "
            f"{units!r}"
        )
    if calendar not in {"standard", "gregorian", "proleptic_gregorian"}:
        raise FormatError(
            f"{path}: variable {variable.name!r} has calendar {calendar!r}; footprints need real dates"
        )
    raw = np.asarray(values(variable, variable.dimensions), dtype=np.float64)
    if not (missing or np.isfinite(raw).all()):
        raise FormatError(f"{path}: variable {variable.name!r} has times that are missing or infinite")
    plain = re.sub(r"\s*(Z|UTC|GMT)\s*$", "", units)
    try:
        coded = xr.Dataset({"t": (("n",), raw.ravel(), {"units": plain, "calendar": calendar})})
        return np.asarray(xr.decode_cf(coded)["t"].values).astype("datetime64[us]").reshape(raw.shape)
    except (ValueError, OverflowError) as error:
        raise FormatError(f"{path}: variable {variable.name!r} holds no times ({error})") from error


def factor(unit: str | None, options: ReaderOptions, path: Path, name: str) -> tuple[float, str]:
    """Return what turns values into ppm / (umol m-2 s-1), and the unit they had.

    Raises
    ------
    UnitError
        The unit is missing or is no sensitivity.
    """
    said = options.unit or unit
    if said is None:
        raise UnitError(
            f"{path}: variable {name!r} has no unit; if you know it, say so (unit='(mol/mol)/(mol/m2/s)', on "
            "the command line --unit)"
        )
    try:
        return conversion_factor(said, UNIT), said
    except UnitError as error:
        raise UnitError(
            f"{path}: variable {name!r}: {error}; a footprint is in {UNIT} or the like"
        ) from error


class Axes(NamedTuple):
    """A grid and the order that brings a file's rows and columns onto it."""

    grid: Grid
    rows: Ints
    columns: Ints

    def sort(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Reorder ``(..., lat, lon)``."""
        return array[..., self.rows, :][..., self.columns]


def axes(lat: npt.ArrayLike, lon: npt.ArrayLike, path: Path) -> Axes:
    """Make the grid of a file's cell centres.

    Centres kept in float32 are rounded to 1e-5 degree (1 m) first, so that the same domain is the same grid
    whatever precision a file has.

    Raises
    ------
    GridError
        Centres that make no grid; the file is named.
    """
    lat, lon = (
        np.round(np.asarray(a, dtype=np.float64), 5 if np.asarray(a).dtype == np.float32 else 9)
        for a in (lat, lon)
    )
    try:
        rows, columns = centre_order(lat, lon)
        return Axes(Grid.from_centres(lat, lon), rows, columns)
    except GridError as error:
        raise GridError(f"{path}: {error}") from error


def check_values(array: npt.NDArray[Any], path: Path, *, signed: bool) -> Singles:
    """Refuse what no footprint can hold.

    Raises
    ------
    FormatError
        Negative sensitivities of an unweighted footprint.
    """
    array = np.asarray(array, dtype=np.float32)
    if not signed and array.size and np.nanmin(array, initial=0.0) < 0.0:
        raise FormatError(
            f"{path}: sensitivities go down to {np.nanmin(array):g}; only a kernel-weighted column may have "
            "negative ones. Is a fill value undeclared?"
        )
    return array


def receptors(rows: Iterable[Mapping[str, Any]], source: str, path: Path) -> pd.DataFrame:
    """Make the receptor table.

    Parameters
    ----------
    rows : iterable of mapping
        ``time, time_start, time_end, latitude, longitude, height_m`` and optionally ``site`` or ``obs_id``;
        NaN where a place is not known.
    source : str
        First part of ``obs_id``; the second is the site (or place), the third the time.

    Raises
    ------
    FormatError
        A position that is none.
    """
    import pandas as pd

    out = []
    for row in rows:
        lat, lon, height = (float(row[k]) for k in ("latitude", "longitude", "height_m"))
        unknown = np.isnan(lat) and np.isnan(lon)
        if not unknown and not (-90 <= lat <= 90 and -180 <= lon <= 360):
            raise FormatError(f"{path}: receptor at latitude {lat:g}, longitude {lon:g} is nowhere")
        if height < 0:
            raise FormatError(f"{path}: receptor at {height:g} m is below ground")
        lon = (lon + 180) % 360 - 180 if lon >= 180 else lon
        stamps = {k: as_utc(row[k]) for k in ("time", "time_start", "time_end")}
        place = row.get("site") or f"{lat:.4f},{lon:.4f}" + ("" if np.isnan(height) else f",{height:g}m")
        name = row.get("obs_id") or f"{source}:{place}:{stamps['time'].astype('datetime64[s]')}"
        out.append({"obs_id": name, **stamps, "latitude": lat, "longitude": lon, "height_m": height})
    frame = pd.DataFrame(out)
    for k in ("time", "time_start", "time_end"):
        frame[k] = frame[k].to_numpy().astype("datetime64[us]") if out else pd.Series(dtype="datetime64[us]")
    return frame
