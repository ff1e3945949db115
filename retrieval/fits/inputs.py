"""What the user gives beside spectra: line lists, tables of cross sections, line shapes, priors, lines of the Sun."""

from __future__ import annotations

import functools
import itertools
from dataclasses import fields
from pathlib import Path

import numpy as np

from obsnet.constants import species as species_of
from obsnet.errors import ConfigError, FormatError, RangeError, nearest
from obsnet.reading import read_csv, reading
from obsnet.typing import Floats
from obsnet.units import conversion_factor
from retrieval.fits.options import RetrieveTable
from retrieval.forward.hitran import LineList, read_lines
from retrieval.forward.instrument import LineShape, fts_shape, tabulated_shape
from retrieval.forward.sun import SolarLines, read_solar_lines
from retrieval.forward.tables import CrossSections, open_table
from retrieval.spectra.spectrum import Sounding, Spectrum

__all__ = [
    "OXYGEN",
    "is_number",
    "line_shape",
    "lines_of",
    "open_tables",
    "prior_of",
    "read_prior",
    "read_shape",
    "solar_lines",
]

OXYGEN = 0.2095  # mole fraction by dry air


def lines_of(options: RetrieveTable, gas: str) -> LineList:
    """Return the lines of all files of a gas; a line that stands in two of them would count twice."""
    wanted = options.isotopologues.get(gas, (1,))
    parts = [read_lines(path, gas, isotopologues=wanted) for path in options.lines[gas]]
    order = sorted(range(len(parts)), key=lambda k: float(parts[k].wavenumber[0]))
    for a, b in itertools.pairwise(order):
        if parts[a].wavenumber[-1] >= parts[b].wavenumber[0]:
            one, other = options.lines[gas][a], options.lines[gas][b]
            raise ConfigError(
                f"lines of {gas}: {one} reaches {parts[a].wavenumber[-1]:.3f} cm-1 and {other} begins at "
                f"{parts[b].wavenumber[0]:.3f}: lines of both would count twice; merge them or cut one"
            )
    columns = [np.concatenate([getattr(parts[k], f.name) for k in order]) for f in fields(LineList)[1:]]
    found = LineList(gas, *columns).stronger(options.weakest)
    if not len(found):
        raise ConfigError(f"lines of {gas}: none is as strong as weakest = {options.weakest:g}")
    return found


def line_shape(options: RetrieveTable, name: str, spectrum: Spectrum, sounding: Sounding) -> LineShape:
    """Return the line shape of a window: the user's, else the file's middle channel's, else a Fourier spectrometer's.

    Raises
    ------
    ConfigError
        None of them tells.
    """
    middle = 0.5 * (spectrum.wavenumber[0] + spectrum.wavenumber[-1])
    if name in options.shapes:
        return _shape_once(options.shapes[name])
    if spectrum.shape_offset is not None and spectrum.shape_response is not None:
        k = len(spectrum.wavenumber) // 2
        return tabulated_shape(spectrum.shape_offset[k], spectrum.shape_response[k])
    path, field = options.path_difference, options.field_of_view
    if path is None or field is None:
        path, field = (sounding.about.get(n) for n in ("path_difference", "field_of_view"))
    if path is None or field is None:
        raise ConfigError(
            f"window {name}: {spectrum.path} holds no line shape; give a table (--shapes {name}=FILE.csv), or "
            "--path-difference and --field-of-view of a Fourier spectrometer"
        )
    return _fts(float(path), float(field), float(middle))


@functools.lru_cache(maxsize=32)
def _fts(path: float, field: float, wavenumber: float) -> LineShape:
    return fts_shape(path, field, wavenumber)


@functools.lru_cache(maxsize=32)
def _shape_once(path: Path) -> LineShape:
    return read_shape(path)


def read_shape(path: Path) -> LineShape:
    """Read a line shape of the user's, a CSV of offset_cm1 and response.

    Raises
    ------
    FormatError
        No such columns, or no line shape in them.
    """
    with reading(path, "a line shape"):
        table = read_csv(path, comment="#")
        for column in ("offset_cm1", "response"):
            if column not in table:
                raise FormatError(f"{path}: no column {column!r}{nearest(column, table.columns)}")
        try:
            return tabulated_shape(table["offset_cm1"].to_numpy(float), table["response"].to_numpy(float))
        except RangeError as error:
            raise FormatError(f"{path}: {error}") from None


@functools.lru_cache(maxsize=16)
def open_tables(paths: tuple[Path, ...]) -> tuple[CrossSections, ...]:
    """Return tables of cross sections, read once a process."""
    return tuple(open_table(path) for path in paths)


@functools.lru_cache(maxsize=2)
def solar_lines(path: Path) -> SolarLines:
    """Return the lines of the Sun, read once a process."""
    return read_solar_lines(path)


def prior_of(options: RetrieveTable, gas: str) -> tuple[Floats, Floats] | None:
    """Return pressures (hPa, falling) and prior mole fractions (1) of a gas; None for water, which the air has.

    Raises
    ------
    ConfigError
        None is given.
    FormatError
        A table that is none, or of another unit.
    """
    if gas == "H2O":
        return None
    if gas == "O2":
        return np.array([1000.0]), np.array([OXYGEN])
    entry = species_of(gas)
    given = options.prior.get(gas)
    if given is None:
        raise ConfigError(
            f"prior: none of {gas}; say what is assumed, e.g. --prior {gas}=400 ({entry.unit_name}) or a CSV"
        )
    one = conversion_factor(entry.unit, "mol mol-1")
    if is_number(given):
        pressure, value = np.array([1000.0]), np.array([float(given)])
    else:
        pressure, value = _prior_once(Path(given))
    low, high = entry.valid_range("column")
    if not ((value >= 0.5 * low) & (value <= high)).all():
        raise ConfigError(
            f"prior of {gas}: {given} spans {value.min():g} to {value.max():g}, no mole fraction in {entry.unit_name}"
        )
    return pressure, value * one


def is_number(text: str) -> bool:
    """Tell a mole fraction from the name of a file."""
    try:
        float(text)
    except ValueError:
        return False
    return True


@functools.lru_cache(maxsize=8)
def _prior_once(path: Path) -> tuple[Floats, Floats]:
    return read_prior(path)


def read_prior(path: Path) -> tuple[Floats, Floats]:
    """Read a prior profile of the user's: pressures falling, mole fractions as they stand, of a CSV of these columns.

    Raises
    ------
    FormatError
        No such columns, or other than positive numbers.
    """
    with reading(path, "a prior profile"):
        table = read_csv(path, comment="#")
        for column in ("pressure_hpa", "mole_fraction"):
            if column not in table:
                raise FormatError(f"{path}: no column {column!r}{nearest(column, table.columns)}")
        pressure, value = (table[c].to_numpy(np.float64) for c in ("pressure_hpa", "mole_fraction"))
    order = np.argsort(-pressure)
    if not (
        len(pressure) and np.isfinite(pressure).all() and (pressure > 0).all() and np.isfinite(value).all()
    ):
        raise FormatError(f"{path}: pressures and mole fractions must be positive numbers")
    return pressure[order], value[order]
