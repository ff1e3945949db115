"""What is the same for all soundings of a run: windows, the tables of cross sections that they need, assumptions."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from obsnet.constants import species as species_of
from obsnet.content import sha256
from obsnet.errors import ConfigError
from obsnet.typing import Floats
from obsnet.work.kept import fingerprint_of
from obsnet.work.progress import progress
from retrieval.fits.inputs import OXYGEN, is_number, line_shape, lines_of, prior_of
from retrieval.fits.options import RetrieveTable
from retrieval.forward.absorption import DOPPLER
from retrieval.forward.hitran import LineList
from retrieval.forward.mixing import LineMixing, read_mixing
from retrieval.forward.tables import CrossSections, build_table, save_table
from retrieval.spectra.spectrum import Sounding, Spectrum

__all__ = ["FitPlan", "FitWindow", "make_plan"]

COLD = 220.0  # K, at which lines are about their narrowest
WING = 25.0  # cm-1
MARGIN = 0.5  # cm-1 of the tables beyond what line shape and shift need
LINES_VERSION = 2  # rises with what a table of the same lines and nodes holds


@dataclass(frozen=True)
class FitWindow:
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
    windows : tuple of FitWindow
        In the order of the options.
    assumptions : dict of str to str
        What was chosen or taken for granted, for the output.
    notes : tuple of str
        What a user should know.
    """

    options: RetrieveTable
    windows: tuple[FitWindow, ...]
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
    every = {gas: lines_of(options, gas) for gas in options.lines}
    folder = options.tables or options.out / "tables"
    notes: list[str] = []
    mixing = {gas: read_mixing(path) for gas, path in options.mixing.items()}
    mixed: set[str] = set()
    jobs: list[tuple[LineMixing | None, LineList, Floats, tuple[float, ...], Path]] = []
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
            path = folder / f"{gas}_{low:.0f}-{high:.0f}_{_key(options, gas, near, grid, fractions)}.zarr.zip"
            tables.append((gas, path))
            coefficients = mixing.get(gas)
            if coefficients is not None and not len(coefficients.match(near)[0]):
                notes.append(f"{name}: no line of {gas} has a mixing coefficient: lines on their own")
                coefficients = None
            elif coefficients is not None:
                mixed.add(gas)
            if not path.exists():
                jobs.append((coefficients, near, grid, fractions, path))
        windows.append(FitWindow(name, low, high, tuple(tables)))
    for gas in mixing:
        if gas not in mixed:
            raise ConfigError(
                f"mixing: {options.mixing[gas]} has no line of {gas} in any window: another band or isotopologue?"
            )
    used = dict.fromkeys(gas for window in windows for gas, _ in window.tables)
    notes += [
        f"{gas}: no window holds a line of its list; it is not fitted" for gas in every if gas not in used
    ]
    if options.fit.profile is not None and options.fit.profile not in used:
        raise ConfigError(f"fit.profile: no window holds a line of {options.fit.profile}")
    for gas in used:
        prior_of(options, gas)  # a missing one is told before tables are built
    plan = FitPlan(options, tuple(windows), _assumptions(options, first, every), tuple(notes))
    plan.assumptions["surface_pressure"] = (
        "fitted with the lines of O2" if plan.fits_pressure else "that of the meteorology, not fitted"
    )
    if plan.options.fit.surface_pressure == "fit" and "O2" not in plan.gases:
        raise ConfigError("fit.surface_pressure: no window holds O2, which alone tells it; give met")
    with progress(len(jobs), "tables of cross sections") as advance:
        for coefficients, near, grid, fractions, path in jobs:
            save_table(_build(options, near, grid, fractions, coefficients), path)
            advance(1)
    return plan


def _fractions(gas: str) -> tuple[float, ...]:
    """Return the mole fractions of a gas's own for which its table holds widths."""
    return (0.0, 0.03) if gas == "H2O" else (OXYGEN,) if gas == "O2" else (0.0,)


def _build(
    options: RetrieveTable,
    near: LineList,
    grid: Floats,
    fractions: tuple[float, ...],
    mixing: LineMixing | None,
) -> CrossSections:
    return build_table(
        near,
        grid,
        fraction=fractions,
        log_pressure_step=options.fit.log_pressure_step,
        temperature_step=options.fit.temperature_step,
        wing=WING,
        mixing=mixing,
    )


def _key(
    options: RetrieveTable, gas: str, lines: LineList, grid: Floats, fractions: tuple[float, ...]
) -> str:
    arrays = [getattr(lines, f.name) for f in fields(lines)[1:]]
    nodes = (options.fit.log_pressure_step, options.fit.temperature_step, fractions, WING, LINES_VERSION)
    mixing = sha256(options.mixing[gas]) if gas in options.mixing else ""
    return fingerprint_of(lines.molecule, *arrays, grid[[0, -1]], len(grid), nodes, mixing)[:12]


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


def _assumptions(options: RetrieveTable, first: Sounding, lines: dict[str, LineList]) -> dict[str, str]:
    """Say what the results stand on."""
    o, file = options, _file
    said = {
        f"lines_{gas}": f"{', '.join(map(file, o.lines[gas]))}, isotopologues "
        f"{','.join(map(str, o.isotopologues.get(gas, (1,))))}, {len(found)} lines"
        for gas, found in lines.items()
    }
    said |= {
        f"line_mixing_{gas}": file(o.mixing[gas]) if gas in o.mixing else "none: lines on their own"
        for gas in lines
    }
    if o.fit.layer:
        said["scattering_layer"] = (
            f"one, isotropic, absorbs nothing; first guess: {o.fit.layer_height:g} of the surface pressure, optical "
            f"depth {o.fit.layer_depth:g} at 760 nm, exponent {o.fit.layer_exponent:g}"
        )
        said["irradiance"] = ", ".join(f"{name} {value:g}" for name, value in o.irradiance.items())
    said["weakest_line"] = f"{o.weakest:g}" if o.weakest else "all lines of the lists"
    said["solar_lines"] = file(o.solar) if o.solar else "none: the Sun is taken for smooth"
    said["meteorology"] = file(o.met)
    if o.run_log:
        said["run_log"] = file(o.run_log)
    for gas, given in o.prior.items():
        said[f"prior_{gas}"] = (
            file(Path(given))
            if not is_number(given)
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
    stretched = f", stretched about the middle of {', '.join(o.fit.stretch)}" if o.fit.stretch else ""
    said["wavenumbers"] = f"shifted in one piece{stretched}; the instrument's own motion is in the shift"
    return said


def _file(path: Path) -> str:
    return f"{path.name} (sha256 {sha256(path)[:12]})"


def _shape_words(options: RetrieveTable, name: str, spectrum: Spectrum, sounding: Sounding) -> str:
    if name in options.shapes:
        return f"{_file(options.shapes[name])}, of all channels"
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
