"""Fluxes from files of any maker on a latitude-longitude grid, as arguments of `obsnet.cf.flux_dataset`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.conventions import (
    Basis,
    TimeStamp,
    deviation_factor,
    find_axis,
    find_substance,
    mole_factor,
    named_dimensions,
    not_negative,
    one_deviation,
    time_bounds,
)
from obsnet.errors import FormatError, GridError, MissingVariableError, nearest
from obsnet.field import NanPolicy
from obsnet.grid import Grid, centre_order
from obsnet.opening import open_xarray
from obsnet.reading import refuse_claims
from obsnet.seal import check_file
from obsnet.times import as_utc
from obsnet.typing import Floats, Times

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Variables", "read_any_flux"]

Variables = str | Sequence[str] | Mapping[str, str] | None


def read_any_flux(
    path: str | os.PathLike[str],
    variable: Variables,
    substance: str | None,
    units: str | None,
    basis: Basis | None,
    time_is: TimeStamp | None,
    period: tuple[Any, Any] | None,
    nan: NanPolicy,
    layers: str | None = None,
) -> dict[str, Any]:
    """Read fluxes; parameters and errors as in `obsnet.cf.read_flux`.

    Parameters
    ----------
    layers : str, optional
        A dimension of the variables, such as that of an ensemble, which takes the place of sectors.

    Returns
    -------
    dict
        Arguments of `obsnet.cf.flux_dataset`; ``attrs["history"]`` lists all that was changed.
    """
    path = Path(path)
    where = str(path)
    with _open(path) as opened:
        file = opened if layers is None else _layered(opened, layers, where)
        chosen = _choose(file, variable, where)
        across = {dim for name in chosen.values() for dim in file[name].dims}
        periods, notes = _periods(file, across, time_is, period, where)
        data, grid, moved = _onto_grid(file, where)
        fluxes, spreads, sectors = [], [], []
        kind = find_substance(data[next(iter(chosen.values()))], data, substance, where)
        for sector, name in chosen.items():
            field = data[name]
            find_substance(field, data, kind.name, where)
            factor = mole_factor(field, kind, units, basis, where)
            sign = -1.0 if _is_downward(field) else 1.0
            if factor * sign != 1.0:
                notes.append(
                    f"{name} times {factor * sign:.9g} to mol m-2 s-1 of {kind.name}, positive upward"
                )
            values, parts = _layers(field, len(periods), where)
            fluxes.append(sign * factor * values)
            sectors += [p if len(chosen) == 1 else f"{sector} {p}" for p in parts] or [sector]
            if name == "flux" and "flux_uncertainty" in data:
                spread, unit = data["flux_uncertainty"], field.attrs.get("units", units)
                one_deviation(spread.attrs, f"{where}: flux_uncertainty")
                ratio = deviation_factor(spread.attrs.get("units"), unit, f"{where}: flux_uncertainty")
                not_negative(np.asarray(spread.values, float), f"{where}: flux_uncertainty")
                spreads.append(ratio * factor * _layers(spread, len(periods), where)[0])
        flux = np.concatenate(fluxes, axis=1)
        lost = int(np.isnan(flux).sum())
        if lost and nan == "zero":
            notes.append(f"{lost} of {flux.size} missing values set to 0")
        return {
            "flux": flux,
            "grid": grid,
            "times": periods,
            "substance": kind.name,
            "sectors": sectors,
            "uncertainty": np.concatenate(spreads, axis=1) if len(spreads) == len(fluxes) else None,
            "nan": nan,
            **_said(data.attrs, path, kind.name, [*notes, *moved]),
        }


def _open(path: Path) -> xr.Dataset:
    if not path.exists():
        raise FormatError(f"{path}: no such file")
    check_file(path)
    try:
        data = open_xarray(path)
        refuse_claims(path, data.variables)
        return named_dimensions(data)
    except FormatError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FormatError(f"{path}: cannot be read as netCDF ({reason})") from error


def _layered(data: xr.Dataset, name: str, where: str) -> xr.Dataset:
    if name not in data.dims:
        raise FormatError(f"{where}: no dimension {name!r}{nearest(name, map(str, data.dims))}")
    numbers = [str(k) for k in range(data.sizes[name])]
    return data.drop_vars(name, errors="ignore").rename_dims({name: "sector"}).assign_coords(sector=numbers)


def _choose(data: xr.Dataset, asked: Variables, where: str) -> dict[str, str]:
    """Return the flux variables by sector name."""
    axes = {find_axis(data, "lat", where), find_axis(data, "lon", where)}
    found = [str(n) for n, v in data.data_vars.items() if axes <= set(v.dims) and v.dtype.kind in "fiu"]
    if asked is None:
        if "flux" in found and data.attrs.get("obsnet_contract", "").startswith("flux"):
            return {"flux": "flux"}
        if len(found) != 1:
            raise MissingVariableError(
                f"{where}: {len(found)} variables could be the flux; say variable=… (several become "
                f"sectors); on the grid: {', '.join(found) or 'none'}"
            )
        asked = found
    elif isinstance(asked, str):
        asked = [asked]
    chosen = dict(asked) if isinstance(asked, Mapping) else {n: n for n in asked}
    for name in chosen.values():
        if name not in found:
            raise MissingVariableError(f"{where}: no variable {name!r} on the grid{nearest(name, found)}")
    return chosen


def _periods(
    data: xr.Dataset, across: set[Any], time_is: TimeStamp | None, period: tuple[Any, Any] | None, where: str
) -> tuple[Times, list[str]]:
    """Return bounds (time, 2) of fluxes with the dimensions `across`, and what had to be assumed."""
    time = find_axis(data, "time", where)
    if time is not None and data[time].size != 1 and not across & set(data[time].dims):
        time = None  # that of something else in the file, such as its observations
    if period is not None:
        if time is not None and data[time].size != 1:
            raise FormatError(
                f"{where}: has {data[time].size} times; period is for a file without time or with one"
            )
        return np.array([[as_utc(period[0]), as_utc(period[1])]]), ["period as stated by the caller"]
    if time is None:
        raise FormatError(
            f"{where}: has no time; say period=(start, stop), such as ('2015-01-01', '2016-01-01')"
        )
    bounds = time_bounds(data, time, time_is, where)
    return bounds, [] if "bounds" in data[time].attrs else [f"{time} read as {time_is} of each period"]


def _onto_grid(data: xr.Dataset, where: str) -> tuple[xr.Dataset, Grid, list[str]]:
    """Return the dataset with dimensions time, lat, lon in grid order, its grid, and what was moved."""
    names = {axis: find_axis(data, axis, where) for axis in ("lat", "lon", "time")}
    stated: dict[str, Any] = {
        f"{axis}_bounds": np.asarray(data[bounds].values)
        for axis in ("lat", "lon")
        if (bounds := data[names[axis]].attrs.get("bounds")) in data.variables
    }
    centres = [np.asarray(data[names[axis]].values) for axis in ("lat", "lon")]
    try:
        orders = centre_order(*centres, lon_bounds=stated.get("lon_bounds"))
        grid = Grid.from_centres(*centres, **stated)
    except GridError as error:
        raise GridError(f"{where}: {error}") from None
    notes = []
    for axis, order in zip(("lat", "lon"), orders, strict=True):
        if not np.array_equal(order, np.arange(order.size)):
            notes.append(f"{axis} reordered, first was {data[names[axis]].values[0]:g}")
            data = data.isel({data[names[axis]].dims[0]: order})
    dims = {data[n].dims[0]: axis for axis, n in names.items() if n is not None and data[n].ndim == 1}
    return (
        data.drop_vars(list(dims), errors="ignore").rename_dims({d: a for d, a in dims.items() if d != a}),
        grid,
        notes,
    )


def _layers(field: xr.DataArray, count: int, where: str) -> tuple[Floats, list[str]]:
    """Return a variable as (time, sector, lat, lon) and the names of its sectors."""
    spare = [d for d in field.dims if d not in {"time", "sector", "lat", "lon"}]
    wide = [f"{d} of {field.sizes[d]}" for d in spare if field.sizes[d] != 1]
    if wide:
        raise FormatError(
            f"{where}: {field.name!r} has a dimension {', '.join(wide)}; select one of them first"
        )
    field = field.squeeze(spare, drop=True)
    parts = [str(s) for s in field["sector"].values] if "sector" in field.dims else []
    if count > 1 and "time" not in field.dims:
        raise FormatError(f"{where}: {field.name!r} has no time, others have {count} times; read it apart")
    field = field.expand_dims([d for d in ("time", "sector") if d not in field.dims])
    return np.asarray(field.transpose("time", "sector", "lat", "lon").values, dtype=np.float64), parts


def _is_downward(field: xr.DataArray) -> bool:
    return "downward" in str(field.attrs.get("standard_name")) or str(field.attrs.get("positive")) in {
        "down",
        "downward",
    }


def _said(attrs: Mapping[Any, Any], path: Path, substance: str, notes: list[str]) -> dict[str, Any]:
    """Return the global attributes that the file states, and a line of history."""
    title = str(attrs.get("title") or path.stem)
    rights = next((attrs[k] for k in ("license", "copyright_notice", "rights") if attrs.get(k)), None)
    line = f"read from {path.name}: {'; '.join(notes) or 'unchanged'}"
    history = "\n".join(str(h) for h in (line, attrs.get("history")) if h)
    return {
        "title": title,
        "summary": str(attrs.get("summary") or f"Fluxes of {substance} read from {path.name}: {title}"),
        "source": str(attrs.get("source") or attrs.get("institution") or path.name),
        "license": str(rights or f"not stated in {path.name}"),
        "attrs": {
            **{k: str(attrs[k]) for k in ("institution", "references") if attrs.get(k)},
            "history": history,
        },
    }
