"""Footprints to files that others read: CF netCDF, and the PARIS layout of openghg."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inversion.transport.files.footprint import CURTAINS, FootprintFile
from obsnet import __version__
from obsnet.atomic import atomic_path
from obsnet.errors import FormatError, GridError
from obsnet.seal import seal_file
from obsnet.times import to_epoch
from obsnet.typing import Floats

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["write_cf", "write_paris"]

_SECONDS = {
    "units": "seconds since 1970-01-01 00:00:00",
    "calendar": "standard",
    "units_metadata": "leap_seconds: none",  # as datetime64 counts
}
_PARIS_UNIT = "(mol/mol)/(mol/m2/s)"  # the same number as ppm / (umol m-2 s-1)


_ABOUT = {
    "receptor_time": {"long_name": "middle of the observation", "standard_name": "time"},
    "receptor_start": {"long_name": "start of the observation"},
    "receptor_end": {"long_name": "end of the observation"},
    "receptor_lat": {"long_name": "latitude of the observation", "standard_name": "latitude"},
    "receptor_lon": {"long_name": "longitude of the observation", "standard_name": "longitude"},
    "release_lat": {"long_name": "latitude of the release", "standard_name": "latitude"},
    "release_lon": {"long_name": "longitude of the release", "standard_name": "longitude"},
    "release_height": {"long_name": "height of the release above ground"},
    "step_start": {"long_name": "begin of the hours of the fluxes"},
    "step_end": {"long_name": "end of the hours of the fluxes"},
    "resolved": {"long_name": "whether these hours are told apart"},
    "height": {
        "long_name": "height above ground where air leaves the domain",
        "standard_name": "height",
        "axis": "Z",
    },
}
_SIDES = {
    "share": "share of particles that left the domain",
    "age": "mean age of particles that left the domain",
    "particle_locations": "share of particles that left the domain",
    "mean_age_particles": "mean age of particles that left the domain",
}


def _about(name: str) -> dict[str, str]:
    """Return what CF wants said of a variable of ours; nothing of one that says it itself."""
    kind, _, side = name.rpartition("_")
    if kind in _SIDES:
        return {"long_name": f"{_SIDES[kind]} ({side})"}
    return _ABOUT.get(name, {})


def _said(nc: Any) -> None:
    """Say of every variable what it is, where it does not say so itself."""
    for name, variable in nc.variables.items():
        there = set(variable.ncattrs())
        variable.setncatts({k: v for k, v in _about(name).items() if k not in there})


def write_cf(path: str | Path, source: FootprintFile, *, history: str = "") -> None:
    """Write footprints as CF netCDF that `inversion.transport.readers` opens again without loss.

    Parameters
    ----------
    path : path
        Appears whole or not at all.
    source : FootprintFile
        Read and written some receptors at a time.
    history : str
        Line for the attribute of that name.

    Raises
    ------
    FormatError
        No receptor has a footprint.
    """
    with atomic_path(path) as temporary, _new_file(temporary) as nc:
        at = 0
        for data in source.batches():
            if not data.sizes["receptor"]:
                continue
            if at == 0:
                _define_cf(nc, data, history)
            at = _append_cf(nc, data, at)
        if at == 0:
            raise FormatError(f"{source.path}: no receptor of this file has a footprint")


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[Any]:
    import netCDF4

    nc = netCDF4.Dataset(path, "w", format="NETCDF4")
    try:
        yield nc
    finally:
        nc.close()
    seal_file(path)


def _define_cf(nc: Any, data: xr.Dataset, history: str) -> None:
    for name, size in data.sizes.items():
        nc.createDimension(name, None if name == "receptor" else size)
    attrs = {k: v for k, v in data.attrs.items() if k != "missing_receptors"}
    nc.setncatts(
        {
            "Conventions": "CF-1.11",
            "title": "Footprints: sensitivity of observations to surface fluxes",
            "footprint_contract": "1",
            "source": f"obsnet {__version__}",
            **attrs,
            "history": history or f"written by obsnet {__version__}",
        }
    )
    space = data.sizes["lat"], data.sizes["lon"]
    for name, var in data.variables.items():
        dims, attrs = var.dims, dict(var.attrs)
        if var.dtype.kind == "M":
            out = nc.createVariable(name, "f8", dims, fill_value=np.nan)
            attrs |= _SECONDS
        elif var.dtype.kind in "UO":
            out = nc.createVariable(name, str, dims)
            attrs |= {"cf_role": "timeseries_id"} if name == "obs_id" else {}
        elif name == "sensitivity":
            chunks = (1, min(data.sizes["step"], 24), *space)
            out = nc.createVariable(name, "f4", dims, zlib=True, complevel=1, shuffle=True, chunksizes=chunks)
            attrs |= {
                "coordinates": "obs_id receptor_time receptor_lat receptor_lon step_start step_end resolved"
            }
        else:
            kind = {"b": "i1"}.get(var.dtype.kind, var.dtype.str[1:])
            out = nc.createVariable(name, kind, dims, zlib=len(dims) > 1)
        out.setncatts(attrs)
        if "receptor" not in dims:
            out[...] = var.values.astype(np.int8) if var.dtype.kind == "b" else var.values
    _said(nc)


def _append_cf(nc: Any, data: xr.Dataset, at: int) -> int:
    if data.sizes["step"] != len(nc.dimensions["step"]):
        raise GridError(
            f"footprints of one file have {data.sizes['step']} and {len(nc.dimensions['step'])} steps"
        )
    stop = at + data.sizes["receptor"]
    for name, var in data.variables.items():
        if "receptor" not in var.dims:
            continue
        values = to_epoch(var.values) if var.dtype.kind == "M" else var.values
        nc[name][at:stop] = values.astype(object) if var.dtype.kind in "UO" else values
    return stop


def write_paris(path: str | Path, source: FootprintFile, *, site: str | None = None) -> None:
    """Write the footprints of one site in the PARIS layout, for openghg and its inversions.

    Parameters
    ----------
    path : path
        Appears whole or not at all.
    source : FootprintFile
        One site, receptors at different times; columns must be weighted with kernel and pressure weights,
        which is what this layout means by a column.
    site : str, optional
        Code of the site; from the first receptor's identity otherwise.

    Raises
    ------
    FormatError
        Receptors out of order or without a place, or an unweighted column.
    GridError
        Hours that are not whole steps back from the receptor.

    Notes
    -----
    ``srr(time, latitude, longitude)`` is the integral; where hours are resolved there are also
    ``srr_time_resolved(time, latitude, longitude, H_back)`` and ``srr_residual``. Element H_back = h pairs
    with the flux of the hour that begins at ``time - h``, as openghg pairs them: an instantaneous receptor at
    06:00 therefore begins with H_back = 1.
    """
    if source.column and source.weighting != "kernel":
        raise FormatError(
            f"{source.path}: a column in the PARIS layout is weighted with averaging kernel and pressure "
            f"weights; this one is {source.weighting!r}"
        )
    stamps = source.receptors["time_start"].to_numpy()
    if (np.diff(stamps) <= np.timedelta64(0, "s")).any():
        raise FormatError(
            f"{source.path}: receptors are not in order of time, or two have one time; the PARIS layout "
            "holds one site"
        )
    if source.receptors["latitude"].isna().any():
        raise FormatError(
            f"{source.path}: the PARIS layout needs the receptors' places, which are not known here"
        )
    with atomic_path(path) as temporary, _new_file(temporary) as nc:
        at = 0
        for data in source.batches():
            if not data.sizes["receptor"]:
                continue
            plan = _Paris.of(data, source.path)
            if at == 0:
                plan.define(nc, data, source, site or _site(str(data["obs_id"].values[0])))
            at = plan.append(nc, data, at)
        if at == 0:
            raise FormatError(f"{source.path}: no receptor of this file has a footprint")


def _site(obs_id: str) -> str:
    """Return the site in ``source:site-inlet:time``."""
    words = obs_id.split(":")
    return words[min(1, len(words) - 1)].partition("-")[0]


class _Paris:
    """How the steps of a footprint become H_back."""

    def __init__(self, back: Floats, width: float, period: float) -> None:
        self.back, self.width, self.period = back, width, period

    @classmethod
    def of(cls, data: xr.Dataset, path: Path) -> _Paris:
        hour = np.timedelta64(1, "h")
        length = (data["receptor_end"].values - data["receptor_start"].values) / hour
        resolved = data["resolved"].values
        if not resolved.any():
            return cls(np.zeros(0), 0.0, float(length[0]))
        start, end = (data[k].values[:, resolved] for k in ("step_start", "step_end"))
        widths = (end - start) / hour
        width = float(widths.flat[0])
        # A release without length is given one step's, so that hour t - h pairs with H_back = h.
        period = float(length[0]) or width
        back = (data["receptor_start"].values[:, None] - end) / hour + period
        same = np.allclose(back, back[0], atol=1e-6) and np.allclose(widths, width)
        if not same or not np.allclose(back, np.round(back), atol=1e-6) or not np.allclose(length, length[0]):
            raise GridError(
                f"{path}: the PARIS layout needs the same whole hours back for every receptor; found steps "
                f"that end {np.unique(np.round(back, 3))[:6]} h back"
            )
        return cls(np.round(back[0][::-1]), width, period)

    def define(self, nc: Any, data: xr.Dataset, source: FootprintFile, site: str) -> None:
        space = ("latitude", "longitude")
        for name, size in (("time", None), *zip(space, (data.sizes["lat"], data.sizes["lon"]), strict=True)):
            nc.createDimension(name, size)
        for name, unit, values in (
            ("latitude", "degrees_north", data["lat"].values),
            ("longitude", "degrees_east", data["lon"].values),
        ):
            _put(nc, name, "f8", (name,), values, units=unit, long_name=name, standard_name=name)
        period = f"{self.period:g} hours"
        stamp = nc.createVariable("time", "f8", ("time",))
        stamp.setncatts({**_SECONDS, "standard_name": "time", "label": "left", "period": period})
        lifetime = source.lifetime_hours if source.lifetime_hours is not None else -9.0
        fields: dict[str, tuple[str, ...]] = {"srr": ("time", *space)}
        if self.back.size:
            nc.createDimension("H_back", self.back.size)
            _put(
                nc,
                "H_back",
                "f8",
                ("H_back",),
                self.back,
                units="hours",
                long_name="hours back from release time",
            )
            fields["srr_time_resolved"] = ("time", *space, "H_back")
            fields["srr_residual"] = ("time", *space)
        for name, dims in fields.items():
            var = nc.createVariable(name, "f4", dims, zlib=True, complevel=1, shuffle=True)
            var.setncatts(
                {
                    "units": _PARIS_UNIT,
                    "long_name": "source_receptor_relationship",
                    "loss_lifetime_hrs": lifetime,
                }
            )
        for name, unit in (("lat", "degrees_north"), ("lon", "degrees_east"), ("height", "m")):
            nc.createVariable(f"release_{name}", "f4", ("time",)).setncatts({"units": unit})
        sides = [s for s in CURTAINS if f"share_{s}" in data]
        if sides:
            nc.createDimension("height", data.sizes["height"])
            _put(nc, "height", "f8", ("height",), data["height"].values, units="m", positive="up")
        for side in sides:
            dims = ("time", "height", "longitude" if side in {"north", "south"} else "latitude")
            nc.createVariable(f"particle_locations_{side[0]}", "f4", dims, zlib=True).setncatts(
                {"units": "1"}
            )
            if f"age_{side}" in data:
                nc.createVariable(f"mean_age_particles_{side[0]}", "f4", dims, zlib=True).setncatts(
                    {"units": "hour"}
                )
        height = source.receptors["height_m"].iloc[0]
        inlet = "column" if source.column else "" if np.isnan(height) else f"{height:g}magl"
        nc.setncatts(
            {
                "Conventions": "CF-1.11",
                "title": "Total source sensitivities and boundary sensitivities",
                "source": f"obsnet {__version__} from {source.path.name}",
                "model": source.model,
                "species": source.species or "inert",
                "site": site,
                "inlet_height": inlet,
                "emulated": int(source.kind == "emulated"),
                "history": f"written by obsnet {__version__}",
                **({"comment": "; ".join(source.notes)} if source.notes else {}),
            }
        )
        _said(nc)

    def append(self, nc: Any, data: xr.Dataset, at: int) -> int:
        stop = at + data.sizes["receptor"]
        values, resolved = data["sensitivity"].values, data["resolved"].values
        nc["time"][at:stop] = to_epoch(data["receptor_start"].values)
        nc["srr"][at:stop] = values.sum(axis=1)
        if self.back.size:
            nc["srr_time_resolved"][at:stop] = np.moveaxis(values[:, resolved][:, ::-1], 1, -1)
            nc["srr_residual"][at:stop] = values[:, ~resolved].sum(axis=1)
        for name in ("lat", "lon", "height"):
            nc[f"release_{name}"][at:stop] = data[f"receptor_{name}"].values
        for side in CURTAINS:
            for prefix, target in (("share", "particle_locations"), ("age", "mean_age_particles")):
                if f"{target}_{side[0]}" in nc.variables:
                    nc[f"{target}_{side[0]}"][at:stop] = data[f"{prefix}_{side}"].values
        return stop


def _put(nc: Any, name: str, kind: str, dims: tuple[str, ...], values: Any, **attrs: Any) -> None:
    var = nc.createVariable(name, kind, dims)
    var.setncatts(attrs)
    var[...] = values
