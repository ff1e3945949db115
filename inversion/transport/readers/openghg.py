"""Footprints of NAME, FLEXPART and others in the two layouts of openghg: ``fp`` (acrg) and ``srr`` (PARIS).

A file holds many release times of one site or satellite. Beside the time-integrated field there may be a
time-resolved one: ``fp_HiTRes(…, H_back)``, whose **last** H_back is the residual beyond the window, or the
pair ``fp_time_resolved`` / ``srr_time_resolved`` and ``…_residual``. Element H_back = h of a release in [t,
t + period) goes with the flux of the hours [t + period - h - step, t + period - h): for hourly files the
flux of hour t - h, as the producers pair them. Nested files have ``fp_low`` and ``fp_high``; column files
(``max_level``) are weighted with averaging kernel and pressure weights already. Shares of particles leaving
through the four curtains come as ``particle_locations_{n,e,s,w}``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inversion.transport.files.footprint import CURTAINS, FootprintFile, ReceptorBlock, Weighting
from inversion.transport.files.probe import Probe, open_netcdf
from inversion.transport.readers.common import (
    axes,
    axis,
    check_values,
    factor,
    receptors,
    text,
    times,
    values,
)
from inversion.transport.readers.options import ReaderOptions
from obsnet.errors import FormatError, UnitError
from obsnet.typing import Bools, Floats, Ints

__all__ = ["matches", "open_file"]

_INTEGRATED = ("fp", "srr")
_RESOLVED = (("fp_time_resolved", "fp_residual"), ("srr_time_resolved", "srr_residual"))
_SPACE = (("lat", "lon"), ("latitude", "longitude"))
_HOURS = {"h": 1.0, "s": 1 / 3600, "m": 1 / 60, "d": 24.0, "n": 1 / 3.6e12}  # by the unit's first letter
_IDENTITY = 0.01  # how well parts must add up to their sum to share its unit


def matches(found: Probe) -> bool:
    """Tell an openghg footprint by its variables."""
    names = set(found.variables)
    placed = "time" in names and any(names >= set(s) for s in _SPACE)
    return found.container == "netcdf" and placed and bool(names & {"fp", "srr", "fp_low"})


def open_file(found: Probe, options: ReaderOptions) -> FootprintFile:
    """Open an openghg footprint; see `inversion.transport.readers.open_footprints`."""
    path, attributes = found.path, found.attributes
    notes: list[str] = []
    with open_netcdf(path) as nc:
        plan = _plan(nc, found, options, notes)
        where = axes(nc[plan.lat][:], nc[plan.lon][:], path)
        begin, end = _release_times(nc["time"], path, plan, options, notes)
        rows, column = _rows(nc, found, begin, end)
        lifetime = _lifetime(nc[plan.fields[-1]])
        curtains = [
            s for s in CURTAINS if plan.high is False and f"particle_locations_{s[0]}" in nc.variables
        ]
        height = axis(nc, "height") if curtains and "height" in nc.variables else None
    weighting: Weighting = options.weighting or ("kernel" if column else "none")
    if column:
        top = attributes.get("max_level")
        above = "" if top is None else f" up to level {top}; above, the prior counts"
        notes.append(f"column footprint: averaging kernel and pressure weights are in the values{above}")
    if attributes.get("comment"):
        notes.append(f"comment in the file: {attributes['comment']}")
    start, stop, resolved = plan.steps(end)

    def load(first: int, last: int) -> ReceptorBlock:
        with open_netcdf(path) as nc:
            slab = slice(first, last)
            parts = []
            for name in plan.fields:
                var = nc[name]
                extra = [d for d in var.dimensions if d not in {"time", plan.lat, plan.lon}]
                field = values(var, ("time", *extra, plan.lat, plan.lon), time=slab)
                parts.append(field if extra else field[:, None])
            field = np.concatenate(parts, axis=1)[:, plan.order]
            field = check_values(where.sort(field) * plan.scale, path, signed=weighting != "none")
            share, age = _curtains(nc, path, curtains, where, plan, slab)
        return ReceptorBlock(field, start[slab], stop[slab], resolved, share, age, height)

    n_step = resolved.size
    species = str(attributes.get("species", "")).strip()
    return FootprintFile(
        path=path,
        format="openghg",
        model=" ".join(
            str(attributes[k]).strip() for k in ("model", "model_version", "met_model") if k in attributes
        )
        or "not named in the file",
        grid=where.grid,
        receptors=receptors(rows, "openghg", path),
        unit=plan.unit,
        load=load,
        bytes_per_receptor=8 * n_step * where.grid.size,
        span=(start[:, resolved].min() if resolved.any() else begin.min(), end.max()),
        column=column,
        weighting=weighting,
        kind="emulated" if attributes.get("emulated") else options.kind,
        species=None if species.lower() in {"", "inert"} else species.upper(),
        lifetime_hours=lifetime,
        notes=tuple(notes),
    )


class _Plan:
    """Which variables make up the footprint, and what each of their steps means."""

    def __init__(self, lat: str, lon: str, *, high: bool = False) -> None:
        self.lat, self.lon, self.high = lat, lon, high
        self.fields: list[str] = []
        self.back: Floats | None = None  # H_back in hours, rising; None: integrated only
        self.width = 0.0
        self.residual = False
        self.scale, self.unit = 1.0, ""

    @property
    def order(self) -> Ints:
        """Order of the file's steps that makes time rise: residual, then far to near."""
        if self.back is None:
            return np.zeros(1, dtype=np.int64)
        n = self.back.size
        near_to_far = np.arange(n)[::-1]
        return np.concatenate([[n], near_to_far]) if self.residual else near_to_far

    def steps(self, end: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any], Bools]:
        """Return begin and end of each step of each receptor, and which are resolved."""
        nat = np.datetime64("NaT", "us")
        if self.back is None:
            return np.full((end.size, 1), nat), end[:, None], np.zeros(1, dtype=bool)
        micro = np.round(self.back[::-1] * 3.6e9).astype("timedelta64[us]")
        stop = end[:, None] - micro[None, :]
        start = stop - np.timedelta64(round(self.width * 3.6e9), "us")
        resolved = np.ones(micro.size, dtype=bool)
        if self.residual:
            stop = np.concatenate([start[:, :1], stop], axis=1)
            start = np.concatenate([np.full((end.size, 1), nat), start], axis=1)
            resolved = np.concatenate([[False], resolved])
        return start, stop, resolved


def _plan(nc: Any, found: Probe, options: ReaderOptions, notes: list[str]) -> _Plan:
    path, names = found.path, nc.variables
    lat, lon = next(s for s in _SPACE if s[0] in names)
    if "fp_low" in names:
        if options.part == "high":
            plan = _Plan("lat_high", "lon_high", high=True)
            plan.fields = ["fp_high"]
            _share_unit(plan, nc, path, options, "fp_high", "fp_low")
            notes.append("inner grid of a nested footprint: what lies outside it is left out")
        else:
            plan = _Plan(lat, lon)
            plan.fields = ["fp_low"]
            plan.scale, plan.unit = factor(text(nc["fp_low"], "units"), options, path, "fp_low")
            notes.append(
                "outer grid of a nested footprint (whole domain); the inner one is part='high', both are joined by "
                "convert with part='both' (--part both)"
            )
        return plan
    plan = _Plan(lat, lon)
    whole = next((n for n in _INTEGRATED if n in names), None)
    pair = next((p for p in _RESOLVED if p[0] in names), None)
    if options.integrated or (pair is None and "fp_HiTRes" not in names):
        if whole is None:
            raise FormatError(f"{path}: no time-integrated footprint (fp or srr) in the file")
        plan.fields = [whole]
        plan.scale, plan.unit = factor(text(nc[whole], "units"), options, path, whole)
        return plan
    if pair is not None:
        if pair[1] not in names:
            raise FormatError(f"{path}: {pair[0]} without {pair[1]}: the footprint is not whole")
        plan.fields, plan.residual = list(pair), True
        back = _hours_back(nc, pair[0], path, notes)
        plan.back = back
    else:
        plan.fields, plan.residual = ["fp_HiTRes"], True
        back = _hours_back(nc, "fp_HiTRes", path, notes)
        plan.back = back[:-1]
    if plan.back.size == 0:
        raise FormatError(
            f"{path}: {plan.fields[0]} has no step but the residual; read the file with integrated=True"
        )
    plan.width = float(back[1] - back[0]) if back.size > 1 else 1.0
    if (back.size > 1 and not np.allclose(np.diff(back), plan.width)) or plan.width <= 0:
        raise FormatError(f"{path}: hours back must rise evenly, found {back}")
    _share_unit(plan, nc, path, options, plan.fields[0], whole)
    return plan


def _hours_back(nc: Any, name: str, path: Path, notes: list[str]) -> Floats:
    dims = [d for d in nc[name].dimensions if d not in {"time", "lat", "lon", "latitude", "longitude"}]
    if len(dims) != 1 or dims[0] not in nc.variables:
        raise FormatError(f"{path}: {name} needs one dimension of hours back with a coordinate, found {dims}")
    coordinate = nc[dims[0]]
    unit = text(coordinate, "units")
    if unit is None:
        notes.append(f"{dims[0]} has no unit; taken as hours, as its definition says")
        unit = "hours"
    if unit[0].lower() not in _HOURS or " since " in unit:
        raise FormatError(f"{path}: {dims[0]} is in {unit!r}, not in hours or the like")
    return axis(nc, dims[0]) * _HOURS[unit[0].lower()]


def _share_unit(
    plan: _Plan, nc: Any, path: Path, options: ReaderOptions, name: str, whole: str | None
) -> None:
    """Take a part's own unit, or that of the whole where the part adds up to it."""
    own = text(nc[name], "units")
    if own is None and options.unit is None and whole is not None and _adds_up(plan, nc, whole):
        own = text(nc[whole], "units")
    if own is None and options.unit is None and whole is not None and text(nc[whole], "units"):
        raise UnitError(
            f"{path}: {name} has no unit, and it does not add up to {whole} (unit "
            f"{text(nc[whole], 'units')!r}); say the unit, or read the integrated field (integrated=True, "
            "--integrated)"
        )
    plan.scale, plan.unit = factor(own, options, path, name)


def _adds_up(plan: _Plan, nc: Any, whole: str) -> bool:
    """Whether the parts of the first whole receptor sum to the field they are parts of."""
    for t in range(min(nc.dimensions["time"].size, 24)):
        one = {"time": slice(t, t + 1)}
        part = 0.0
        for name in plan.fields:
            var = nc[name]
            part += float(np.sum(values(var, var.dimensions, **one), dtype=np.float64))
        if plan.high:
            lat, lon = (np.asarray(nc[k][:], float) for k in ("lat", "lon"))
            inner = [
                (a >= b.min()) & (a <= b.max())
                for a, b in ((lat, nc["lat_high"][:]), (lon, nc["lon_high"][:]))
            ]
            total = float(values(nc[whole], ("time", "lat", "lon"), **one)[0][np.ix_(*inner)].sum())
        else:
            total = float(np.sum(values(nc[whole], nc[whole].dimensions, **one), dtype=np.float64))
        if np.isfinite(part) and np.isfinite(total):
            return abs(part - total) <= _IDENTITY * abs(total)
    return False


def _release_times(
    stamp: Any, path: Path, plan: _Plan, options: ReaderOptions, notes: list[str]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return begin and end of each release."""
    found = np.atleast_1d(times(stamp, path))
    said = text(stamp, "period")
    match = re.match(r"\s*([\d.]+)\s*([a-z]+)", said.lower()) if said else None
    if match and match[2][0] in _HOURS:
        period = float(match[1]) * _HOURS[match[2][0]]
    else:
        period = plan.width
        notes.append(f"time has no averaging period; {period:g} h taken")
    label = {"begin": "left", "end": "right"}.get(options.label or "", (text(stamp, "label") or "").lower())
    if label not in {"left", "right", "middle", "mid"}:
        if label:
            raise FormatError(f"{path}: time has label {label!r}; known: left, right, middle")
        label = "left"
        notes.append(
            "time has no label; stamps taken as the beginning of the release, as openghg writes them"
        )
    length = np.timedelta64(round(period * 3.6e9), "us")
    begin = found - {"left": length * 0, "right": length}.get(label, length // 2)
    return begin, begin + length


def _rows(nc: Any, found: Probe, begin: Any, end: Any) -> tuple[list[dict[str, Any]], bool]:
    path, attributes = found.path, found.attributes
    name = re.match(r"(?P<site>[A-Za-z0-9-]+?)-(?P<inlet>\d+(?:\.\d+)?m[a-z]*|column)_", path.name)
    inlet = str(attributes.get("inlet_height") or (name["inlet"] if name else ""))
    site = str(attributes.get("site") or (name["site"] if name else "")).strip()
    level = str(nc["lev"][0]) if "lev" in nc.variables else ""
    column = "max_level" in attributes or "column" in {inlet, level}
    n = begin.size
    if not {"release_lat", "release_lon"} <= set(nc.variables):
        raise FormatError(f"{path}: no release_lat and release_lon, so the receptor is not known")
    lat, lon = (
        np.broadcast_to(np.asarray(nc[k][:], float).ravel(), n) for k in ("release_lat", "release_lon")
    )
    if column:
        height = np.full(n, np.nan)
    elif "release_height" in nc.variables:
        height = np.broadcast_to(np.asarray(nc["release_height"][:], float).ravel(), n)
    else:
        number = re.match(r"[\d.]+", inlet)
        height = np.full(n, float(number[0]) if number else np.nan)
    place = "-".join(p for p in (site, inlet) if p) or path.stem
    middle = begin + (end - begin) // 2
    keys = ("time", "time_start", "time_end", "latitude", "longitude", "height_m")
    rows = [
        dict(
            zip(keys, row, strict=True),
            site=place,
            obs_id=f"openghg:{place}:{row[1].astype('datetime64[s]')}",
        )
        for row in zip(middle, begin, end, lat, lon, height, strict=True)
    ]
    return rows, column


def _lifetime(field: Any) -> float | None:
    """Return the lifetime in hours that is in the values, None where there is no loss."""
    said = text(field, "loss_lifetime_hrs")
    try:
        hours = float(said) if said else -9.0
    except ValueError:  # "No loss applied"
        return None
    return hours if hours > 0 else None


def _curtains(
    nc: Any, path: Path, sides: list[str], where: Any, plan: _Plan, slab: slice
) -> tuple[dict[str, Any], dict[str, Any]]:
    share: dict[str, Any] = {}
    age: dict[str, Any] = {}
    for side in sides:
        across, order = (plan.lon, where.columns) if side in {"north", "south"} else (plan.lat, where.rows)
        for name, out in ((f"particle_locations_{side[0]}", share), (f"mean_age_particles_{side[0]}", age)):
            if name in nc.variables:
                out[side] = values(nc[name], ("time", "height", across), time=slab)[..., order]
    left = sum(np.nansum(s, axis=(1, 2), dtype=np.float64) for s in share.values()) if share else np.zeros(1)
    if np.max(left, initial=0.0) > 1.01:
        raise FormatError(
            f"{path}: shares of particles leaving the domain add up to {np.max(left):.2f}, more than 1"
        )
    return share, age
