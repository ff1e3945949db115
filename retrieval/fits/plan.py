"""What is the same for all soundings of a run: lines, tables of cross sections, priors, line shapes, assumptions."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from obsnet.constants import species as species_of
from obsnet.content import sha256
from obsnet.errors import ConfigError, FormatError, RangeError, nearest
from obsnet.reading import read_csv, reading
from obsnet.typing import Floats
from obsnet.units import conversion_factor
from obsnet.work.kept import fingerprint_of
from obsnet.work.progress import progress
from retrieval.fits.options import RetrieveTable
from retrieval.forward.absorption import DOPPLER
from retrieval.forward.hitran import LineList, read_lines
from retrieval.forward.instrument import LineShape, fts_shape, tabulated_shape
from retrieval.forward.sun import SolarLines, read_solar_lines
from retrieval.forward.tables import CrossSections, build_table, open_table, save_table
from retrieval.spectra.spectrum import Sounding, Spectrum

__all__ = [
    "FitPlan",
    "Window",
    "line_shape",
    "make_plan",
    "open_tables",
    "prior_of",
    "read_prior",
    "read_shape",
    "solar_lines",
]

OXYGEN = 0.2095  # mole fraction by dry air
COLD = 220.0  # K, at which lines are about their narrowest
WING = 25.0  # cm-1
MARGIN = 0.5  # cm-1 of the tables beyond what line shape and shift need
LINES_VERSION = 1  # rises with what a table of the same lines and nodes holds


@dataclass(frozen=True)
class Window:
    """One window of the run.

    Parameters
    ----------
    name : str
        The user's.
    low, high : float
        cm-1.
    tables : tuple of (str, Path)
        Gas and its table of cross sections.
    """

    name: str
    low: float
    high: float
    tables: tuple[tuple[str, Path], ...]


@dataclass(frozen=True)
class FitPlan:
    """What every worker needs to know.

    Parameters
    ----------
    options : RetrieveTable
        Of the run.
    windows : tuple of Window
        In the order of the options.
    assumptions : dict of str to str
        What was chosen or taken for granted, for the output.
    notes : tuple of str
        What a user should know.
    """

    options: RetrieveTable
    windows: tuple[Window, ...]
    assumptions: dict[str, str]
    notes: tuple[str, ...]

    @property
    def gases(self) -> tuple[str, ...]:
        """All gases that absorb, in order."""
        return tuple(dict.fromkeys(gas for w in self.windows for gas, _ in w.tables))

    @property
    def fits_pressure(self) -> bool:
        """Whether the surface pressure is fitted."""
        wanted = self.options.fit.surface_pressure
        return wanted == "fit" or (wanted == "auto" and "O2" in self.gases)


def make_plan(options: RetrieveTable, first: Sounding) -> FitPlan:
    """Read lines, build the tables that are not there yet, and write down what is assumed.

    Parameters
    ----------
    options : RetrieveTable
        Of the run.
    first : Sounding
        A sounding of the run, which tells how far the line shapes reach.

    Raises
    ------
    ConfigError
        A window in which no gas absorbs, a gas without a prior, lines that overlap, no line shape.
    """
    every = {gas: _lines(options, gas) for gas in options.lines}
    folder = options.tables or options.out / "tables"
    notes: list[str] = []
    jobs: list[tuple[str, str, LineList, Floats, tuple[float, ...], Path]] = []
    windows = []
    for name, (low, high) in options.windows.items():
        spectrum = first.covering(low, high).between(low, high)
        reach = line_shape(options, name, spectrum, first).reach
        inside = {gas: found for gas, found in every.items() if len(found.between(low, high))}
        if not inside:
            raise ConfigError(
                f"window {name}: no line between {low:g} and {high:g} cm-1 in the lists of {', '.join(every)}"
            )
        grid = _grid(options, low, high, reach, inside)
        for gas, found in inside.items():
            short = [
                f"{'begin' if sign < 0 else 'end'} at {have:.1f}"
                for sign, have, need in (
                    (-1, found.wavenumber[0], grid[0]),
                    (1, found.wavenumber[-1], grid[-1]),
                )
                if sign * (have - need) < -1.0
            ]
            if short:
                notes.append(
                    f"{name}: lines of {gas} {' and '.join(short)} cm-1, the window with its line shape goes from "
                    f"{grid[0]:.1f} to {grid[-1]:.1f}: is the list whole?"
                )
        tables = []
        for gas, found in inside.items():
            fractions = _fractions(gas)
            near = found.between(grid[0] - WING, grid[-1] + WING)
            path = folder / f"{gas}_{low:.0f}-{high:.0f}_{_key(options, near, grid, fractions)}.zarr.zip"
            tables.append((gas, path))
            if not path.exists():
                jobs.append((name, gas, near, grid, fractions, path))
        windows.append(Window(name, low, high, tuple(tables)))
    for gas in dict.fromkeys(gas for window in windows for gas, _ in window.tables):
        prior_of(options, gas)  # a missing one is told before tables are built
    plan = FitPlan(options, tuple(windows), _assumptions(options, first, every), tuple(notes))
    if plan.options.fit.surface_pressure == "fit" and "O2" not in plan.gases:
        raise ConfigError("fit.surface_pressure: no window holds O2, which alone tells it; give met")
    with progress(len(jobs), "tables of cross sections") as advance:
        for _, _, near, grid, fractions, path in jobs:
            save_table(_build(options, near, grid, fractions), path)
            advance(1)
    return plan


def _fractions(gas: str) -> tuple[float, ...]:
    """Return the mole fractions of a gas's own for which its table holds widths."""
    return (0.0, 0.03) if gas == "H2O" else (OXYGEN,) if gas == "O2" else (0.0,)


def _build(
    options: RetrieveTable, near: LineList, grid: Floats, fractions: tuple[float, ...]
) -> CrossSections:
    return build_table(
        near,
        grid,
        fraction=fractions,
        log_pressure_step=options.fit.log_pressure_step,
        temperature_step=options.fit.temperature_step,
        wing=WING,
    )


def _key(options: RetrieveTable, lines: LineList, grid: Floats, fractions: tuple[float, ...]) -> str:
    arrays = [getattr(lines, f.name) for f in fields(lines)[1:]]
    nodes = (options.fit.log_pressure_step, options.fit.temperature_step, fractions, WING, LINES_VERSION)
    return fingerprint_of(lines.molecule, *arrays, grid[[0, -1]], len(grid), nodes)[:12]


def _lines(options: RetrieveTable, gas: str) -> LineList:
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


def _grid(
    options: RetrieveTable, low: float, high: float, reach: float, lines: dict[str, LineList]
) -> Floats:
    shift = options.fit.search + 5e-5  # of the start and of the fit
    widest = reach + shift * high + MARGIN
    step = options.fit.step
    if step is None:
        heaviest = max(float(found.molar_mass.max()) for found in lines.values())
        step = 0.5 * float(DOPPLER) * low * np.sqrt(COLD / heaviest)
    points = int(np.ceil((high - low + 2.0 * widest) / step)) + 1
    return np.asarray(low - widest + step * np.arange(points))


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
    one_value = _number(given)
    if one_value is None:
        pressure, value = _prior_once(Path(given))
    else:
        pressure, value = np.array([1000.0]), np.array([one_value])
    low, high = entry.valid_range("column")
    if not ((value >= 0.5 * low) & (value <= high)).all():
        raise ConfigError(
            f"prior of {gas}: {given} spans {value.min():g} to {value.max():g}, no mole fraction in {entry.unit_name}"
        )
    return pressure, value * one


def _number(text: str) -> float | None:
    """Return a number, None for what must be a file."""
    try:
        return float(text)
    except ValueError:
        return None


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


def _assumptions(options: RetrieveTable, first: Sounding, lines: dict[str, LineList]) -> dict[str, str]:
    """Say what the results stand on."""
    o = options

    def file(path: Path) -> str:
        return f"{path.name} (sha256 {sha256(path)[:12]})"

    said = {
        f"lines_{gas}": f"{', '.join(map(file, o.lines[gas]))}, isotopologues "
        f"{','.join(map(str, o.isotopologues.get(gas, (1,))))}, {len(found)} lines"
        for gas, found in lines.items()
    }
    said["weakest_line"] = f"{o.weakest:g}" if o.weakest else "all lines of the lists"
    said["solar_lines"] = file(o.solar) if o.solar else "none: the Sun is taken for smooth"
    said["meteorology"] = file(o.met)
    for gas, given in o.prior.items():
        said[f"prior_{gas}"] = (
            file(Path(given))
            if _number(given) is None
            else f"{given} {species_of(gas).unit_name} at all heights"
        )
    if "O2" in lines:
        said["prior_O2"] = f"{OXYGEN} of dry air"
    said["continuum"] = (
        f"polynomial of degree {o.fit.continuum} in each window: albedo, Sun and calibration together"
    )
    if first.view is not None:
        said["surface"] = "flat, reflects alike in all directions"
    said["polarisation"] = str(first.about.get("polarisation", "as measured")) + "; the model has none"
    said["model_error"] = f"{o.fit.model_error:g} of the continuum"
    for name, (low, high) in o.windows.items():
        said[f"line_shape_{name}"] = _shape_words(
            o, name, first.covering(low, high).between(low, high), first
        )
    said["wavenumbers"] = "shifted in one piece; the instrument's own motion is in the shift"
    return said


def _shape_words(options: RetrieveTable, name: str, spectrum: Spectrum, sounding: Sounding) -> str:
    if name in options.shapes:
        return f"{options.shapes[name].name}, of all channels"
    if spectrum.shape_offset is not None and spectrum.shape_response is not None:
        widths = [
            _full_width(*pair) for pair in zip(spectrum.shape_offset, spectrum.shape_response, strict=True)
        ]
        spread = 100.0 * (max(widths) / min(widths) - 1.0)
        return f"of the file's middle channel; over the window its width differs by {spread:.1f} %"
    given = options.path_difference is not None
    path, field = (
        (options.path_difference, options.field_of_view)
        if given
        else (sounding.about["path_difference"], sounding.about["field_of_view"])
    )
    return f"Fourier spectrometer, {path:g} cm, {field:g} rad ({'given' if given else 'run log'}), no apodisation"


def _full_width(offset: Floats, response: Floats) -> float:
    inside = offset[response >= 0.5 * np.max(response)]
    return float(max(np.ptp(inside), 1e-12))
