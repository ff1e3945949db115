"""Totals of regions from others' gridded posteriors, by the same splitting of cells as everywhere.

A file's deviation of each cell says nothing of how the errors of cells hang together, so a region's deviation is not
known from it until the user states that; an ensemble's spread of totals is.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from obsnet.constants import SECONDS_PER_YEAR, species
from obsnet.conventions import deviation_factor, not_negative, one_deviation
from obsnet.crosscheck.systems.estimate import GridResolution, SystemEstimate
from obsnet.crosscheck.systems.layouts import LAYOUTS, Layout
from obsnet.crosscheck.systems.scaled import read_scaled
from obsnet.errors import FormatError, RangeError, RegionError
from obsnet.flux_reader import read_any_flux
from obsnet.grid import Grid
from obsnet.inventory.period import Period, read_period
from obsnet.inventory.words import NATION
from obsnet.opening import open_netcdf4, open_xarray
from obsnet.places import extent_text
from obsnet.reading import reading
from obsnet.regions import PROVINCES
from obsnet.shares import Shares
from obsnet.splitting import flux_shares
from obsnet.typing import Floats, Times
from obsnet.zonal import sum_covariance, zonal_weights

if TYPE_CHECKING:
    import geopandas

    from obsnet.crosscheck.systems.options import SystemOptions

__all__ = ["files_of", "read_grids"]

_GENERIC = Layout("", (), "", "")
# Part of a region that a grid covers: below the first it is said, below the second there is no total.
_WHOLE, _MOST = 0.999, 0.8
_PER = re.compile(r"(/\s*|\b)(months?|mon|years?|yr|annum|a)(-1|\^-1|\*\*-1)?$", re.IGNORECASE)


def files_of(path: str) -> list[str]:
    """Return the files that a path, or a pattern with ``*``, means.

    Raises
    ------
    FormatError
        None.
    """
    found = sorted(glob.glob(path)) if any(c in path for c in "*?[") else [path]
    if not found:
        raise FormatError(f"{path}: no file fits")
    return found


def read_grids(options: SystemOptions, regions: geopandas.GeoDataFrame) -> list[SystemEstimate]:
    """Read a gridded posterior into totals of regions; of China's provinces also their sum, ``CHN``.

    Parameters
    ----------
    options : SystemOptions
        Files and how to read them.
    regions : geopandas.GeoDataFrame
        Polygons that do not overlap.

    Raises
    ------
    FormatError, MissingVariableError, UnitError, GridError, RangeError
        What the file does not hold or say, see `obsnet.cf.read_flux`; files of one time.
    RegionError
        Polygons that overlap, or none that the grid covers.
    """
    layout = LAYOUTS.get(options.preset or "", _GENERIC)
    members = options.members or layout.members or layout.systems or None
    parts = [_read(path, options, layout, members) for path in files_of(options.path)]
    flux, spread, times, grid, gas = _joined(parts, options.path)
    grid, near = _cropped(grid, regions)
    flux = flux[(..., *near)]
    notes = list(parts[0]["notes"])
    if layout is not _GENERIC:
        notes.append(
            f"layout {options.preset} as published, never tried on a file of its makers: {layout.source}"
        )
    matrix, keys = _sums(regions)
    lost = np.isnan(flux)
    missing = np.asarray(lost.all(axis=(2, 3)))
    some = lost & ~missing[:, :, None, None]
    if some.any() and options.nan == "raise":
        raise RangeError(f"{options.path}: missing values in some cells; nan=zero takes them as no flux")
    if some.any():
        notes.append(f"{int(some.sum())} of {some.size} missing values taken as no flux")
        flux = np.where(some, 0.0, flux)
    size = np.nanmean(np.abs(flux), axis=(0, 1))
    shares = flux_shares(regions, grid, {"flux": size})
    own = [shares.labels.index(str(r)) for r in regions.index]
    mass = species(gas).molar_mass * SECONDS_PER_YEAR * 1e-9  # mol s-1 -> Tg a year
    total = mass * shares.totals(np.where(missing[:, :, None, None], 0.0, flux), "flux")[..., own] @ matrix.T
    total[missing] = np.nan
    covered = zonal_weights(regions, grid).covered
    notes += _coverage_notes(covered, regions.index, options.path)
    total[..., matrix @ (covered < _MOST) > 0] = np.nan
    resolution = _resolution(shares, own, matrix, size, mass)
    notes += [f"cells split: {text}" for text in shares.described]
    periods = tuple(Period(a, b) for a, b in times)
    blank = np.full(total.shape[:1] + total.shape[2:], np.nan)
    quantity = options.quantity or layout.quantity or "flux"
    made = SystemEstimate(options.name, gas, quantity, periods, keys, blank, blank, resolution=resolution)
    made = replace(made, notes=tuple(notes))
    if layout.systems and not options.members:
        names = parts[0]["names"]
        known = [m for m in range(total.shape[1]) if np.isfinite(total[:, m]).any()]
        return [replace(made, system=f"{options.name} {names[m]}", total=total[:, m]) for m in known]
    if members:
        ensemble = total.transpose(1, 0, 2)
        return [replace(made, total=ensemble.mean(axis=0), sd=ensemble.std(axis=0, ddof=1), members=ensemble)]
    sd, said, covariance = blank, "states no deviation", None
    if spread is not None and options.cells is None:
        said = "states deviations of cells and not how they hang together: cells=common or cells=independent"
    elif spread is not None:
        area = mass * (matrix @ shares.area("flux").toarray()[own])
        covariance, said = _cell_covariance(spread[(..., *near)], area, options.cells == "common")
        unknown = np.isnan(total[:, 0] + np.diagonal(covariance, axis1=1, axis2=2))
        covariance[unknown[:, :, None] | unknown[:, None, :]] = np.nan
        sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    return [replace(made, total=total[:, 0], sd=sd, covariance=covariance, notes=(*notes, said))]


def _read(path: str, options: SystemOptions, layout: Layout, members: str | None) -> dict[str, Any]:
    """Return one file's flux (time, member, lat, lon) in mol m-2 s-1, its grid, times, spread and notes."""
    variables = options.variables or layout.variables or None
    period = None if options.period is None else read_period(options.period)
    gas = options.gas or layout.gas or None
    stated = _stated_units(path, variables)
    units = options.units or stated or layout.units or None
    slow = _PER.search(units) if units else None
    if slow and units:
        units = _PER.sub("s-1" if slow[3] or not slow[1].strip() else "/s", units)
    when = None if period is None else (period.start, period.stop)

    def read(names: Any) -> dict[str, Any]:
        how = (gas, units, options.basis or layout.basis, options.time_is, when)
        return read_any_flux(path, names, *how, "propagate", members)

    notes = []
    if layout.units and stated and stated != layout.units and options.units is None:
        notes.append(f"states {stated}, the published layout {layout.units}: the file's is taken")
    with reading(path, "a gridded flux"):
        scaled = options.preset == "imi"
        found = read_scaled(path, options.prior, options.time_is, when) if scaled else read(variables)
        names = [] if members is None else _member_names(path, members, len(found["sectors"]))
    count = 1 if members is None else len(names)
    if (options.members or layout.members) and count < 2:
        raise FormatError(f"{path}: one member along {members} has no spread")
    flux = found["flux"]
    flux = flux.reshape(flux.shape[0], -1, count, *flux.shape[2:]).sum(axis=1)
    if members is not None:
        notes.append(f"{count} members along {members}")
    seconds = (found["times"][:, 1] - found["times"][:, 0]) / np.timedelta64(1, "s")
    scale = np.ones(len(seconds))
    if slow:
        monthly = slow[2].lower().startswith("mon")
        scale = 1.0 / (seconds if monthly else np.full(len(seconds), SECONDS_PER_YEAR))
        notes.append("per month: over the length of each" if monthly else "per year: over 365.2425 days")
    spread = found["uncertainty"]
    if options.spread is not None:
        own, of = _stated_units(path, [options.spread]), stated or options.units or layout.units or None
        with open_netcdf4(path) as data:
            variable = data.variables.get(options.spread)
            held = {} if variable is None else {k: variable.getncattr(k) for k in variable.ncattrs()}
            if variable is not None:
                not_negative(np.ma.filled(variable[:], np.nan), f"{path}: {options.spread}")
        one_deviation(held, f"{path}: {options.spread}")
        spread = deviation_factor(own, of, f"{path}: {options.spread}") * read(options.spread)["flux"]
    history = str(found["attrs"]["history"]).splitlines()[0].partition(": ")[2]
    return {
        "flux": flux * scale[:, None, None, None],
        "spread": None if spread is None else np.abs(spread[:, 0]) * scale[:, None, None],
        "grid": found["grid"],
        "times": found["times"],
        "gas": found["substance"],
        "names": names,
        "notes": notes if history == "unchanged" else [*notes, history],
    }


def _stated_units(path: str, variables: Iterable[str] | None) -> str | None:
    """Return the units of the fluxes if all of them state the same."""
    with reading(path, "netCDF"), open_netcdf4(path) as data:
        named = [data.variables[n] for n in (variables or data.variables) if n in data.variables]
        units = {str(v.units) for v in named if v.ndim > 1 and "units" in v.ncattrs()}
    return units.pop() if len(units) == 1 else None


def _member_names(path: str, dim: str, count: int) -> list[str]:
    """Return the names along a dimension: its own text, or characters of ``<dim>_name``; else numbers."""
    with open_xarray(path) as data:
        size = data.sizes[dim]
        for name in (f"{dim}_name", dim):
            if name in data.variables and data[name].dtype.kind in "SUO":
                rows = np.asarray(data[name].values)
                rows = rows if rows.ndim == 1 else np.array(["".join(map(_text, row)) for row in rows])
                if rows.size == size:
                    return [_text(r).strip() for r in rows]
    return [str(k + 1) for k in range(size)] if count % size == 0 else []


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _joined(parts: list[dict[str, Any]], path: str) -> tuple[Floats, Floats | None, Times, Grid, str]:
    """Put files of one system one behind the other."""
    first = parts[0]
    for part in parts[1:]:
        same = part["gas"] == first["gas"] and part["names"] == first["names"]
        if not (same and first["grid"].nearly(part["grid"])):
            raise FormatError(f"{path}: its files differ in grid, gas or members")
        if (part["spread"] is None) != (first["spread"] is None):
            raise FormatError(f"{path}: some of its files have a deviation and some have none")
    times = np.concatenate([p["times"] for p in parts])
    order = np.argsort(times[:, 0], kind="stable")
    times = times[order]
    twice = np.flatnonzero(times[1:, 0] < times[:-1, 1])
    if twice.size:
        raise FormatError(f"{path}: two fluxes of {Period(*times[twice[0] + 1])}")
    flux = np.concatenate([p["flux"] for p in parts])[order]
    spread = None if first["spread"] is None else np.concatenate([p["spread"] for p in parts])[order]
    return flux, spread, times, first["grid"], str(first["gas"])


def _cropped(grid: Grid, regions: geopandas.GeoDataFrame) -> tuple[Grid, tuple[slice, slice]]:
    """Return the part of a grid around all regions, and where it is."""
    west, south, east, north = regions.total_bounds
    rows = np.flatnonzero((grid.lat_edges[1:] > south) & (grid.lat_edges[:-1] < north))
    columns = np.flatnonzero((grid.lon_edges[1:] > west) & (grid.lon_edges[:-1] < east))
    if not rows.size or not columns.size:
        raise RegionError(
            f"the grid {grid!r} reaches none of the regions "
            f"({', '.join(reversed(extent_text(south, north, west, east)))})"
        )
    r = slice(max(rows[0] - 1, 0), min(rows[-1] + 2, grid.shape[0]))
    c = slice(max(columns[0] - 1, 0), min(columns[-1] + 2, grid.shape[1]))
    return Grid(grid.lat_edges[r.start : r.stop + 1], grid.lon_edges[c.start : c.stop + 1]), (r, c)


def _coverage_notes(covered: Floats, keys: Iterable[Any], path: str) -> list[str]:
    """Say which regions a grid covers in part; refuse one that covers none."""
    if (covered < _MOST).all():
        raise RegionError(f"{path}: its grid covers none of the regions whole")
    part = [f"{k} {c:.0%}" for k, c in zip(keys, covered, strict=True) if _MOST <= c < _WHOLE]
    none = [str(k) for k, c in zip(keys, covered, strict=True) if c < _MOST]
    return [f"the grid covers only a part of {', '.join(part)}, and totals are of that"] * bool(part) + [
        f"the grid covers less than {_MOST:.0%} of {', '.join(none[:8])}{' …' if len(none) > 8 else ''}: no totals"
    ] * bool(none)


def _sums(regions: geopandas.GeoDataFrame) -> tuple[Floats, tuple[str, ...]]:
    """Return what adds regions up, and the keys of the sums: the regions, and China where they are its provinces."""
    keys = tuple(map(str, regions.index))
    matrix = np.eye(len(keys))
    if set(keys) == set(PROVINCES):
        return np.vstack([matrix, np.ones(len(keys))]), (*keys, NATION)
    return matrix, keys


def _resolution(shares: Shares, own: list[int], matrix: Floats, size: Floats, mass: float) -> GridResolution:
    """Say how sure totals are for want of knowing where in a cell its flux is."""
    part = shares.part("flux").toarray()[own]
    amount = size.ravel() * shares.grid.cell_area.ravel()
    parts = matrix @ part
    whole = (parts * amount).sum(axis=1)
    alone = (np.where(parts > 1.0 - 1e-6, parts, 0.0) * amount).sum(axis=1)
    doubt = shares.doubt["flux"][np.ix_(own, own)]
    spread = np.sqrt(np.maximum(np.diagonal(matrix @ doubt @ matrix.T), 0.0))
    safe = np.where(whole > 0.0, whole, np.inf)
    lat, lon = (float(np.mean(np.diff(e))) for e in (shares.grid.lat_edges, shares.grid.lon_edges))
    return GridResolution(f"{lat:.3g} x {lon:.3g} degree", 1.0 - alone / safe, mass * spread, mass * whole)


def _cell_covariance(spread: Floats, area: Floats, common: bool) -> tuple[Floats, str]:
    """Return the covariance of totals from deviations of cells, whose errors are one and the same or independent."""
    flat, parts = spread.reshape(len(spread), -1), csr_array(area)
    if common:
        each = np.stack([parts @ layer for layer in flat])
        return each[:, :, None] * each[
            :, None, :
        ], "errors of all cells taken as common: the largest deviation"
    return sum_covariance(parts, flat), "errors of cells taken as independent: the smallest deviation"
