"""Air above soundings from files: pressure, temperature and water of levels, and the pressure at the ground."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.constants import MOLAR_MASS_DRY_AIR, MOLAR_MASS_WATER
from obsnet.errors import FormatError, MissingVariableError, RangeError, UnitError, nearest
from obsnet.opening import open_h5py, open_xarray
from obsnet.reading import read_csv, reading, refuse_claims
from obsnet.typing import Floats
from obsnet.units import convert
from retrieval.forward.atmosphere import Layers, make_layers

__all__ = ["AirFile", "AirLevels", "layers_of", "open_air", "read_air", "read_levels"]

STRANGE = 60.0  # hPa from the pressure of the standard atmosphere at that height; deep lows are 50 away
# groups and endings of the variables of OCO files of meteorology, new and old
_OCO = (("Meteorology", "_met"), ("ECMWF", "_ecmwf"))
_CSV = ("pressure_hpa", "temperature_k", "water")
_OWN = {"pressure": "hPa", "temperature": "K", "specific_humidity": "1", "surface_pressure": "hPa"}


@dataclass(frozen=True)
class AirFile:
    """A file of meteorology that was looked into.

    Parameters
    ----------
    path : Path
        File.
    kind : {"acos", "oco", "own", "levels"}
        ECMWF of ACOS for GOSAT, of OCO, the user's own netCDF, one table for all soundings.
    identities : tuple of str
        Of its soundings; empty where it states none.
    count : int
        Soundings in it; 0 for a table that serves any.
    """

    path: Path
    kind: str
    identities: tuple[str, ...]
    count: int

    def rows_of(self, identities: Sequence[str]) -> list[int]:
        """Return where all soundings of a file of spectra stand.

        Parameters
        ----------
        identities : sequence of str
            Of the soundings, in the order of their file: meteorology that states no identities is taken in the same
            order, if it has as many.

        Raises
        ------
        FormatError
            One is not there.
        """
        if self.kind == "levels":
            return [0] * len(identities)
        if self.identities:
            place = {name: row for row, name in enumerate(self.identities)}
            for name in identities:
                if name not in place:
                    raise FormatError(
                        f"{self.path}: no sounding {name}{nearest(name, self.identities)}; is it of the same granule?"
                    )
            return [place[name] for name in identities]
        if len(identities) != self.count:
            raise FormatError(
                f"{self.path}: states no identities and has {self.count} soundings, the spectra {len(identities)}: "
                "they cannot be told apart"
            )
        return list(range(self.count))


@dataclass(frozen=True)
class AirLevels:
    """Levels above one sounding, surface first.

    Parameters
    ----------
    pressure, temperature, humidity : ndarray, shape (levels,)
        hPa, K, kg of water per kg of moist air.
    surface_pressure : float
        hPa.
    """

    pressure: Floats
    temperature: Floats
    humidity: Floats
    surface_pressure: float


def open_air(path: str | os.PathLike[str]) -> AirFile:
    """Look into a file of meteorology.

    Parameters
    ----------
    path : path
        ECMWF file of ACOS (GOSAT) or of OCO, own netCDF with ``pressure``, ``temperature`` and ``specific_humidity``
        on (sounding, level), ``surface_pressure`` and ``sounding_id``, all with units; or a CSV of levels with
        ``pressure_hpa``, ``temperature_k``, ``water`` (mole fraction by dry air), surface first, for all soundings.

    Raises
    ------
    FormatError
        None of these.
    """
    where = Path(path)
    if where.suffix.lower() == ".csv":
        return AirFile(where, "levels", (), 0)
    with reading(path, "a file of meteorology"), open_h5py(path) as file:
        if "ecmwf/temperature_pressures" in file:
            return AirFile(where, "acos", (), len(file["ecmwf/temperature_pressures"]))
        for group, end in _OCO:
            if f"{group}/temperature_profile{end}" in file:
                found = np.asarray(file["SoundingGeometry/sounding_id"]).ravel()
                return AirFile(where, "oco", tuple(map(str, found.tolist())), found.size)
        if all(name in file for name in (*_OWN, "sounding_id")):
            found = np.asarray(file["sounding_id"]).ravel()
            names = [t.decode() if isinstance(t, bytes) else str(t) for t in found.tolist()]
            return AirFile(where, "own", tuple(names), len(names))
        there = ", ".join(sorted(file))
    raise FormatError(
        f"{where}: no meteorology of soundings: ECMWF of ACOS or OCO, or netCDF with {', '.join(_OWN)} and "
        f"sounding_id; there is {there or 'nothing'}"
    )


def read_air(file: AirFile, rows: Sequence[int]) -> list[AirLevels]:
    """Read the air above soundings; rows as of `AirFile.rows_of`.

    Raises
    ------
    RangeError
        Values that are no air in the units that are stated.
    MissingVariableError, UnitError
        A variable or its unit is not there.
    """
    with reading(file.path, "a file of meteorology"):
        if file.kind == "levels":
            parts = [_table(file.path)] * len(rows)
        elif file.kind == "own":
            parts = _own(file.path, rows)
        else:
            with open_h5py(file.path) as opened:
                refuse_claims(file.path, _variables(opened))
                parts = [
                    (_acos if file.kind == "acos" else _oco)(opened, file.path, int(row)) for row in rows
                ]
        return [_checked(file.path, *part) for part in parts]


def _variables(file: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    file.visititems(lambda name, node: found.update({name: node}) if hasattr(node, "shape") else None)
    return found


def _acos(file: Any, path: Path, row: int) -> tuple[Floats, Floats, Floats, float]:
    """Read (exposure, band, polarisation, level); the three bands look at one place."""
    group = file["ecmwf"]
    get = {n: np.asarray(group[n][row, 0, 0], dtype=np.float64) for n in (
        "temperature", "temperature_pressures", "specific_humidity", "specific_humidity_pressures", "surface_pressure"
    )}  # fmt: skip
    if not np.array_equal(get["temperature_pressures"], get["specific_humidity_pressures"]):
        raise FormatError(f"{path}: temperature and humidity are on different pressures")
    pressure = get["temperature_pressures"] / 100.0
    return pressure, get["temperature"], get["specific_humidity"], float(get["surface_pressure"]) / 100.0


def _oco(file: Any, path: Path, row: int) -> tuple[Floats, Floats, Floats, float]:
    group, end = next((g, e) for g, e in _OCO if f"{g}/temperature_profile{e}" in file)
    names = [
        f"{group}/{n}{end}"
        for n in (
            "vector_pressure_levels",
            "temperature_profile",
            "specific_humidity_profile",
            "surface_pressure",
        )
    ]
    for name in names:
        if name not in file:
            raise MissingVariableError(f"{path}: no variable {name!r}{nearest(name, list(_variables(file)))}")
    at = np.unravel_index(row, file[names[3]].shape)
    pressure, temperature, humidity, surface = (np.asarray(file[n][at], dtype=np.float64) for n in names)
    return pressure / 100.0, temperature, humidity, float(surface) / 100.0


def _own(path: Path, rows: Sequence[int]) -> list[tuple[Floats, Floats, Floats, float]]:
    with open_xarray(path) as data:
        arrays = []
        for name, unit in _OWN.items():
            stated = data[name].attrs.get("units")
            if stated is None:
                raise UnitError(f"{path}: {name} states no unit; write its attribute units ({unit})")
            wanted = 1 if name == "surface_pressure" else 2
            if data[name].ndim != wanted:
                raise FormatError(f"{path}: {name} is on {data[name].dims}; (sounding, level) is wanted")
            some = data[name][list(rows)].values  # these rows alone are read
            arrays.append(convert(some.astype(np.float64), str(stated), unit))
    p, t, q, s = arrays
    return [(p[k], t[k], q[k], float(s[k])) for k in range(len(rows))]


def read_levels(path: str | os.PathLike[str]) -> tuple[Floats, Floats, Floats]:
    """Read a CSV of ``pressure_hpa``, ``temperature_k`` and ``water`` (mole fraction by dry air) as they stand.

    Raises
    ------
    MissingVariableError
        A column is not there.
    """
    with reading(path, "a table of levels"):
        table = read_csv(path, comment="#")
        for name in _CSV:
            if name not in table:
                raise MissingVariableError(f"{path}: no column {name!r}{nearest(name, table.columns)}")
        pressure, temperature, water = (table[n].to_numpy(np.float64) for n in _CSV)
        return pressure, temperature, water


def _table(path: Path) -> tuple[Floats, Floats, Floats, float]:
    pressure, temperature, water = read_levels(path)
    ratio = water * MOLAR_MASS_WATER / MOLAR_MASS_DRY_AIR
    return pressure, temperature, ratio / (1.0 + ratio), float(pressure[0]) if len(pressure) else np.nan


def _checked(
    path: Path, pressure: Floats, temperature: Floats, humidity: Floats, surface: float
) -> AirLevels:
    """Return levels surface first, of values that can be air."""
    if len(pressure) > 1 and pressure[0] < pressure[-1]:
        pressure, temperature, humidity = pressure[::-1], temperature[::-1], humidity[::-1]
    if len(pressure) < 5 or not (np.diff(pressure) < 0.0).all():
        raise RangeError(f"{path}: {len(pressure)} pressures that do not fall from level to level")
    for name, values, low, high in (
        ("pressure (hPa)", pressure, 0.0, 1100.0),
        ("temperature (K)", temperature, 150.0, 340.0),
        ("specific humidity (kg kg-1)", humidity, 0.0, 0.05),
        ("surface pressure (hPa)", np.array([surface]), 400.0, 1100.0),
    ):
        if not ((values >= low) & (values <= high)).all():
            raise RangeError(
                f"{path}: {name} spans {np.min(values):g} to {np.max(values):g}, must lie in {low:g} to {high:g}"
            )
    if pressure[-1] > 50.0:
        raise RangeError(
            f"{path}: the highest level lies at {pressure[-1]:g} hPa; a column needs the air above"
        )
    return AirLevels(pressure, temperature, humidity, surface)


def layers_of(air: AirLevels, number: int, *, latitude: float, altitude: float, top: float = 0.1) -> Layers:
    """Return layers from the ground to `top` hPa, thinner towards it.

    Parameters
    ----------
    air : AirLevels
        Temperature and humidity are linear in ln p between its levels, constant beyond them.
    number : int
        Of layers; their edges are ``top + (p_s - top) (k / number)^1.5``.
    latitude, altitude : float
        Degrees north; of the ground, m.
    top : float
        hPa.

    Raises
    ------
    RangeError
        A surface pressure that cannot be at that height: another place, or another unit.
    """
    standard = 1013.25 * (1.0 - 2.25577e-5 * altitude) ** 5.25588  # ICAO standard atmosphere
    if abs(air.surface_pressure - standard) > STRANGE:
        raise RangeError(
            f"surface pressure {air.surface_pressure:.1f} hPa at {altitude:.0f} m, where {standard:.0f} hPa is usual: "
            "is the meteorology of the same place?"
        )
    edges = top + (air.surface_pressure - top) * (np.arange(number, -1, -1) / number) ** 1.5
    at = -np.log(edges)
    temperature, humidity = (
        np.interp(at, -np.log(air.pressure), values) for values in (air.temperature, air.humidity)
    )
    water = humidity / (1.0 - humidity) * MOLAR_MASS_DRY_AIR / MOLAR_MASS_WATER
    return make_layers(edges, temperature, water, latitude=latitude, altitude=altitude)
