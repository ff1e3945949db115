"""Boundary curtains: mole fractions along the four sides of a domain, and the background they give.

openghg boundary files have ``vmr_n, vmr_e, vmr_s, vmr_w`` over height and longitude or latitude; multiplied
with the shares of particles that left through each curtain cell they sum to the background of an observation.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inversion.transport.files.footprint import CURTAINS
from inversion.transport.files.probe import open_netcdf, probe
from inversion.transport.readers.common import text, times, values
from obsnet.constants import species as species_of
from obsnet.errors import FormatError, GridError, MissingVariableError, RangeError
from obsnet.grid import centre_order
from obsnet.reading import door
from obsnet.units import conversion_factor

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["background", "read_curtain"]


@door("curtains")
def read_curtain(path: str | Path, species: str, *, unit: str | None = None) -> xr.Dataset:
    """Read a boundary file of openghg.

    Parameters
    ----------
    path : path
        netCDF with ``vmr_n`` and the others over (height, lon|lat[, time]) in any order.
    species : str
        Formula; decides the unit of the result and the range that is believed.
    unit : str, optional
        Unit of the file's values where it has none; old files are in mol mol-1 and do not say so.

    Returns
    -------
    xarray.Dataset
        ``north, east, south, west (time, height, lon|lat)`` in the species' unit; ``time`` begins the period
        in which a curtain holds.

    Raises
    ------
    MissingVariableError, FormatError
        The file has no curtains, no time, or no unit although none was given.
    RangeError
        Values that are no mole fraction of this species in this unit.
    """
    import xarray as xr

    found, kind = probe(path), species_of(species)
    path = found.path
    missing = [f"vmr_{s[0]}" for s in CURTAINS if f"vmr_{s[0]}" not in found.variables]
    if found.container != "netcdf" or missing:
        raise MissingVariableError(
            f"{path}: no boundary file ({found.describe()}); it lacks {', '.join(missing)}"
        )
    out: dict[str, Any] = {}
    with open_netcdf(path) as nc:
        if "time" not in nc.variables:
            raise FormatError(f"{path}: no time, so it is not known when these curtains hold")
        stamps = np.atleast_1d(times(nc["time"], path))
        rows, columns = centre_order(nc["lat"][:], nc["lon"][:])
        for side in CURTAINS:
            var = nc[f"vmr_{side[0]}"]
            across, order = ("lon", columns) if side in {"north", "south"} else ("lat", rows)
            said = unit or text(var, "units")
            if said is None:
                raise FormatError(
                    f"{path}: {var.name} has no unit; old openghg files are in mol mol-1: say unit='mol "
                    "mol-1' (--background-unit)"
                )
            dims = ("time", "height", across) if "time" in var.dimensions else ("height", across)
            field = values(var, dims)[..., order] * conversion_factor(said, kind.unit)
            out[side] = (
                ("time", "height", across),
                field.reshape(stamps.size, *field.shape[-2:]),
                {"units": kind.unit},
            )
            low, high = kind.point_range
            if not (field.min() >= low and field.max() <= high):
                raise RangeError(
                    f"{path}: {var.name} spans {field.min():g} to {field.max():g} {kind.unit_name}, outside "
                    f"{low:g} to {high:g}; is it {kind.name}, and in {said}?"
                )
        coords = {
            "time": stamps.astype("datetime64[ns]"),
            "height": np.asarray(nc["height"][:], float),
            "lat": np.asarray(nc["lat"][:], float)[rows],
            "lon": np.asarray(nc["lon"][:], float)[columns],
        }
    return xr.Dataset(out, coords, {"species": kind.name, "source_file": path.name}).sortby("time")


def background(data: xr.Dataset, curtain: xr.Dataset) -> pd.DataFrame:
    """Return the background that curtains give to footprints.

    Parameters
    ----------
    data : xarray.Dataset
        Footprints with ``share_<side>``.
    curtain : xarray.Dataset
        Of `read_curtain`, on the footprints' own curtain cells or on a larger domain with the same cells. The
        period that holds at the receptor's time is taken.

    Returns
    -------
    pandas.DataFrame
        Index ``obs_id``; ``background`` in the species' unit, of the air that left through the sides, as the
        mean over that air; ``share`` of the particles that left. Where the footprint has a lifetime, each
        share is reduced by the loss on its way.

    Raises
    ------
    FormatError
        No shares in the footprints, no curtain that early, or a column (its upper levels take the prior,
        which is not in a footprint file).
    GridError
        Other curtain cells.
    """
    import pandas as pd

    if "share_north" not in data:
        raise FormatError(f"{data.attrs.get('source_file')}: no shares of particles leaving the domain")
    if data.attrs.get("weighting") != "none":
        raise FormatError(
            f"{data.attrs.get('source_file')}: the background of a weighted column needs the prior above the "
            "model's top, which is not in a footprint file"
        )
    when = np.searchsorted(curtain["time"].values, data["receptor_time"].values, side="right") - 1
    if (when < 0).any():
        raise FormatError(
            f"{curtain.attrs.get('source_file')}: curtains begin {curtain['time'].values[0]}, after the "
            f"receptor at {data['receptor_time'].values[when < 0][0]}"
        )
    lifetime = data.attrs.get("lifetime_hours")
    value, share = np.zeros(data.sizes["receptor"]), np.zeros(data.sizes["receptor"])
    for side in CURTAINS:
        across = "lon" if side in {"north", "south"} else "lat"
        at = {k: _nearest(curtain[k].values, data[k].values, k, data) for k in ("height", across)}
        mole = curtain[side].values[:, at["height"]][:, :, at[across]][when]
        left = data[f"share_{side}"].values.astype(np.float64)
        kept = left
        if lifetime is not None:
            kept = left * np.exp(-np.nan_to_num(data[f"age_{side}"].values.astype(np.float64)) / lifetime)
        value += (kept * mole).sum(axis=(1, 2))
        share += left.sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(share > 0, value / share, np.nan)
    return pd.DataFrame(
        {"background": mean, "share": share}, index=pd.Index(data["obs_id"].values, name="obs_id")
    )


def _nearest(have: Any, want: Any, name: str, data: xr.Dataset) -> Any:
    """Return the position of each wanted centre among those there are."""
    at = np.abs(have[None, :] - want[:, None]).argmin(axis=1)
    step = np.abs(np.diff(have)).min() if have.size > 1 else 1.0
    off = np.abs(have[at] - want)
    if off.max() > 0.01 * step:
        worst = int(off.argmax())
        raise GridError(
            f"{data.attrs.get('source_file')}: curtain cell at {name} {want[worst]:g} is not among those of "
            f"the boundary file (nearest {have[at][worst]:g})"
        )
    return at
