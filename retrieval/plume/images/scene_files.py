"""Scenes from netCDF files: variables by name or by expression, whatever a producer calls them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.constants import species as species_of
from obsnet.errors import FormatError, MissingVariableError, RangeError, UnitError, nearest
from obsnet.opening import open_netcdf4
from obsnet.reading import reading, refuse_claims
from obsnet.times import as_utc
from obsnet.typing import Bools, Floats
from obsnet.units import conversion_factor
from retrieval.plume.images.amounts import CONVERSION_ERROR, DRY_CONVERSION_ERROR, mass_per_unit
from retrieval.plume.images.scene import Scene, pixel_areas
from retrieval.products.expression import evaluate, parse
from retrieval.products.expression import names as names_in

__all__ = ["ROLES", "read_scene"]

# What a scene is made of, and the names that are tried where the user gives none.
ROLES: dict[str, tuple[str, ...]] = {
    "value": (),
    "uncertainty": (),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon"),
    "corner_latitude": ("latitude_corners", "corner_latitude", "latitude_bounds", "latc"),
    "corner_longitude": ("longitude_corners", "corner_longitude", "longitude_bounds", "lonc"),
    "surface_pressure": ("surface_pressure", "surface_air_pressure", "psurf", "PS"),
    "column_water": ("column_water", "total_column_water_vapour"),
    "quality": ("quality",),
    "no2": ("no2",),
    "no2_uncertainty": ("no2_uncertainty",),
    "time": ("time",),
}
_NEEDED = ("value", "uncertainty", "latitude", "longitude", "surface_pressure")
_UNITS = {"surface_pressure": "Pa", "column_water": "kg m-2"}
_NO_UNIT_NEEDED = {
    "latitude",
    "longitude",
    "corner_latitude",
    "corner_longitude",
    "quality",
    "no2",
    "no2_uncertainty",
}


def read_scene(
    path: str | Path,
    species: str = "CO2",
    names: Mapping[str, str] | None = None,
    where: Mapping[str, tuple[float, float]] | None = None,
    no2_where: Mapping[str, tuple[float, float]] | None = None,
) -> Scene:
    """Read one image.

    Parameters
    ----------
    path : path
        NetCDF with variables on two dimensions, along and across the track; others of length 1 are dropped.
    species : str
        Formula.
    names : mapping, optional
        By key of `ROLES`: a variable (``group/name``) or an expression of variables.
    where, no2_where : mapping, optional
        By variable: lowest and highest value at which a column of the gas, or of NO2, is used. NO2 takes `where` if it
        has none of its own.

    Raises
    ------
    FormatError, MissingVariableError, UnitError, RangeError
        A name that is not there, a unit missing or of the wrong kind, values beyond physics, one-dimensional data.
    """
    gas = species_of(species)
    asked = dict(names or {})
    for role in asked:
        if role not in ROLES:
            raise FormatError(f"names: {role!r} is no part of a scene{nearest(role, ROLES)}")
    with reading(path, "an image"), open_netcdf4(path) as data:
        refuse_claims(path, data.variables)
        file = _File(path, data)
        found = {}
        for role in ROLES:
            tried = _tried(role, gas.name)
            name = asked.get(role) or next((n for n in tried if file.has(n)), None)
            if name is None and role in _NEEDED:
                raise MissingVariableError(
                    f"{path}: no {role} (tried {', '.join(tried)}); say what it is called, e.g. --names {role}=NAME; "
                    f"there is: {', '.join(sorted(file.names)[:15])}"
                )
            if name is not None and role != "time":
                unit = gas.unit if role in {"value", "uncertainty"} else _UNITS.get(role)
                found[role] = file.values(name, unit, role not in _NO_UNIT_NEEDED)
        time = file.time(asked.get("time", "time"))
        usable = file.within(where or {})
        no2_usable = file.within(no2_where) if no2_where else usable
        fine = str(getattr(data, "obsnet_contract", "")).startswith("matched filter")
    return _scene(Path(path), gas.name, time, found, usable, no2_usable, fine)


def _tried(role: str, species: str) -> tuple[str, ...]:
    low = species.lower()
    if role == "value":
        return (f"x{low}", f"X{species}", f"{low}_column_dry_mole_fraction")
    if role == "uncertainty":
        return (f"x{low}_uncertainty", f"X{species}_uncertainty", f"x{low}_precision")
    return ROLES[role]


def _scene(
    path: Path,
    species: str,
    time: np.datetime64,
    found: dict[str, Floats],
    usable: Bools | None,
    no2: Bools | None,
    fine: bool,
) -> Scene:
    value = found["value"]
    if value.ndim != 2:
        raise FormatError(
            f"{path}: columns on {value.ndim} dimensions; an image has two (rows and columns), a track has one: give "
            "it to obsnet plume transect"
        )
    low, high = species_of(species).valid_range("column")
    if fine:  # pixels of some ten metres may hold as much as the air beside a source
        high = species_of(species).valid_range("point")[1]
    with np.errstate(invalid="ignore"):
        outside = (value < low) | (value > high)
    if np.isfinite(value).any() and outside[np.isfinite(value)].mean() > 0.5:
        raise RangeError(
            f"{path}: most columns lie outside {low:g} to {high:g} {species_of(species).unit_name}, the median is "
            f"{np.nanmedian(value):g}; is it a column mole fraction in the unit that the file says?"
        )
    keep = ~outside
    if "quality" in found:
        keep &= found["quality"] == 0
    value = np.where(keep if usable is None else keep & usable, value, np.nan)
    notes = [f"{int(outside.sum())} columns beyond their physical range left out"] * bool(outside.any())
    pressure, water = found["surface_pressure"], found.get("column_water")
    if water is None:
        notes.append(f"no water vapour: air taken as dry, mass within {DRY_CONVERSION_ERROR:.1%}")
    area = pixel_areas(
        found["latitude"], found["longitude"], found.get("corner_latitude"), found.get("corner_longitude")
    )
    if "corner_latitude" not in found:
        notes.append("no corners of pixels: areas from the distances between their middles")
    other = found.get("no2")
    if other is not None and no2 is not None:
        other = np.where(no2, other, np.nan)
    error = np.where(found["uncertainty"] > 0, found["uncertainty"], np.nan)
    return Scene(
        path.stem,
        species,
        time,
        found["latitude"],
        found["longitude"],
        value,
        error,
        area,
        mass_per_unit(pressure, species, column_water=water),
        CONVERSION_ERROR if water is not None else DRY_CONVERSION_ERROR,
        other,
        found.get("no2_uncertainty"),
        tuple(notes),
    )


class _File:
    """Variables of an open file."""

    def __init__(self, path: str | Path, data: Any) -> None:
        self.path, self._data = path, data
        self.names = _all_names(data)

    def has(self, name: str) -> bool:
        return name in self.names

    def values(self, text: str, unit: str | None, needs_unit: bool) -> Floats:
        """Return a variable or an expression of some, in `unit`; all of an expression have one unit."""
        if self.has(text):
            return self._one(text, unit, needs_unit)
        tree = parse(text, f"names: {text!r}")
        for name in names_in(tree):
            if self._known(name) is None:
                raise MissingVariableError(f"{self.path}: no variable {name!r}{nearest(name, self.names)}")
        return np.asarray(
            evaluate(tree, lambda n: self._one(str(self._known(n)), unit, needs_unit)), dtype=np.float64
        )

    def _known(self, name: str) -> str | None:
        """Return a variable as the file spells it; names of expressions are any case."""
        if name in self.names:
            return name
        return next((n for n in self.names if n.lower() == name.lower()), None)

    def _one(self, name: str, unit: str | None, needs_unit: bool) -> Floats:
        variable = self._data[name]
        raw = np.ma.filled(np.ma.asarray(variable[...], dtype=np.float64), np.nan)
        raw = raw.reshape([n for n in raw.shape if n != 1] or [1])
        if unit is None or not needs_unit:
            return np.asarray(raw)
        said = getattr(variable, "units", None)
        if said is None:
            raise UnitError(
                f"{self.path}: variable {name!r} has no units attribute; set it (ncatted), e.g. to {unit}"
            )
        try:
            return np.asarray(raw * conversion_factor(str(said), unit))
        except UnitError as error:
            raise UnitError(f"{self.path}: variable {name!r}: {error}") from None

    def time(self, name: str) -> np.datetime64:
        """Return the middle of the file's times, or a time that the user wrote."""
        if not self.has(name):
            if name == "time":
                raise MissingVariableError(
                    f"{self.path}: no time; give it, e.g. --names time=2015-04-23T11:00"
                )
            return as_utc(name)
        import netCDF4

        variable = self._data[name]
        raw = np.ma.compressed(np.ma.asarray(variable[...], dtype=np.float64).ravel())
        if raw.size == 0 or not hasattr(variable, "units"):
            raise FormatError(f"{self.path}: {name} has no values or no units")
        middle = netCDF4.num2date(
            0.5 * (raw.min() + raw.max()),
            variable.units,
            getattr(variable, "calendar", "standard"),
            only_use_cftime_datetimes=False,
            only_use_python_datetimes=True,
        )
        return as_utc(middle)

    def within(self, limits: Mapping[str, tuple[float, float]]) -> Bools | None:
        """Return where all variables lie within their limits."""
        out: Bools | None = None
        for name, (low, high) in limits.items():
            if self._known(name) is None:
                raise MissingVariableError(f"{self.path}: no variable {name!r}{nearest(name, self.names)}")
            values = self._one(str(self._known(name)), None, False)
            with np.errstate(invalid="ignore"):
                inside = (values >= low) & (values <= high)
            out = inside if out is None else out & inside
        return out


def _all_names(group: Any, before: str = "") -> set[str]:
    found = {before + name for name in group.variables}
    for name, inner in group.groups.items():
        found |= _all_names(inner, f"{before}{name}/")
    return found
