"""Kernels and priors that PROFFAST leaves beside its results, in the folder ``raw_output_proffast``.

Three files a day, named after the site and the local day (``Sodankyla170608-``):

- ``pT_fast_out.dat``: one header line, then index, altitude (m), temperature (K), pressure (Pa), dry-air column,
  water (ppm of dry air), HDO; levels from the ground up;
- ``VMR_fast_out.dat``: no header; index, altitude (m), H2O, HDO, CO2, CH4, N2O, CO, O2, HF; the gases in ppm of
  dry air;
- ``colsens.dat``: for each of the same eight gases a block that names solar zenith angles (rad) and has lines of
  altitude (km), pressure (hPa) and the column's sensitivity at each of the angles.

The layout is that which PROFFASTpylot 1.4 reads when it writes its HDF files; no real day of them was at hand.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from obsnet.constants import GRAVITY
from obsnet.errors import FormatError
from obsnet.typing import Floats
from stations.readers.tccon_column import interpolate_columns, level_weights

__all__ = ["FOLDER", "profiles"]

FOLDER = "raw_output_proffast"
_BLOCKS = ("H2O", "HDO", "CO2", "CH4", "N2O", "CO", "O2", "HF")
_PROFILES = ("averaging_kernel", "prior_profile", "pressure_weight", "pressure_levels")


def profiles(folder: Path, gas: str, day: np.ndarray, zenith: Floats, surface: Floats) -> dict[str, Floats]:
    """Return what a model column needs to be compared with the measurements.

    Parameters
    ----------
    folder : Path
        With the three files of each day.
    gas : {"CO2", "CH4", "CO"}
        Whose kernels and priors.
    day : ndarray of datetime64[D], shape (rows,)
        Local day of each measurement.
    zenith, surface : ndarray, shape (rows,)
        Apparent solar zenith angle, degrees; surface pressure, hPa.

    Returns
    -------
    dict of str to ndarray, shape (rows, levels)
        ``averaging_kernel``, ``prior_profile`` (ppm, dry), ``pressure_weight`` (sums to one) and
        ``pressure_levels`` (hPa), surface first; NaN for days without files. Empty where no day has them.

    Raises
    ------
    FormatError
        A file does not have the layout above.
    """
    found: dict[str, Floats] = {}
    for one in np.unique(day[~np.isnat(day)]):
        mine = day == one
        files = _files(folder, str(one).replace("-", "")[2:])
        if files is None:
            continue
        for name, values in zip(_PROFILES, _day(*files, gas, zenith[mine], surface[mine]), strict=True):
            if name not in found:
                found[name] = np.full((len(day), values.shape[1]), np.nan)
            if values.shape[1] != found[name].shape[1]:
                raise FormatError(f"{folder}: the days have different numbers of levels; read them apart")
            found[name][mine] = values
    return found


def _files(folder: Path, day: str) -> tuple[Path, Path, Path] | None:
    """Return a day's files; None where one is missing."""
    kinds = ("pT_fast_out", "VMR_fast_out", "colsens")
    found = [next(iter(sorted(folder.glob(f"*{day}-{kind}.dat"))), None) for kind in kinds]
    state, priors, kernels = found
    return (state, priors, kernels) if state and priors and kernels else None


def _day(
    state: Path, priors: Path, kernels: Path, gas: str, zenith: Floats, surface: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return kernel, prior, weight and pressure of a day's measurements."""
    level, prior = _numbers(state, 7), _numbers(priors, 10)
    if len(level) != len(prior):
        raise FormatError(f"{priors}: {len(prior)} levels, {state.name} has {len(level)}")
    altitude, pressure = level[:, 1], level[:, 3] / 100.0
    if len(level) < 2 or not (np.diff(altitude) > 0).all() or not (np.diff(pressure) < 0).all():
        raise FormatError(f"{state}: altitudes must rise and pressures fall from line to line")
    angles, heights, table = _sensitivity(kernels, gas)
    on_levels = np.stack([np.interp(altitude, heights, column) for column in table.T], axis=1)
    kernel = interpolate_columns(angles, on_levels, np.radians(zenith)).T
    shape = kernel.shape
    dry = level[:, 5] * 1e-6
    grid = np.broadcast_to(pressure, shape)
    water = np.broadcast_to(dry / (1.0 + dry), shape)
    weight = level_weights(grid, water, np.full(shape, GRAVITY), surface)
    return kernel, np.broadcast_to(prior[:, 2 + _BLOCKS.index(gas)], shape), weight, grid


def _numbers(path: Path, columns: int) -> Floats:
    """Return the rows of a table of numbers; other lines are headings."""
    rows = [r for line in path.read_text(encoding="latin-1").splitlines() if (r := _row(line))]
    if not rows or any(len(r) < columns for r in rows):
        raise FormatError(f"{path}: not a table of at least {columns} columns of numbers")
    return np.array([r[:columns] for r in rows])


def _row(line: str) -> list[float]:
    """Return a line of numbers; empty where a word is none."""
    try:
        return [float(word) for word in line.split()]
    except ValueError:
        return []


def _sensitivity(path: Path, gas: str) -> tuple[Floats, Floats, Floats]:
    """Return a gas's zenith angles (rad), altitudes (m) and sensitivities (altitudes, angles)."""
    blocks: list[tuple[list[float], list[list[float]]]] = []
    angles: list[float] = []
    for line in path.read_text(encoding="latin-1").splitlines():
        row = _row(line)
        if angles and len(row) == len(angles) + 2:
            if not blocks or blocks[-1][0] is not angles:
                blocks.append((angles, []))
            blocks[-1][1].append(row)
        elif len(tail := _tail(line)) > 2 and (np.diff(tail) > 0).all():
            angles = tail
    if len(blocks) != len(_BLOCKS):
        raise FormatError(
            f"{path}: {len(blocks)} tables of sensitivities, expected {len(_BLOCKS)} ({', '.join(_BLOCKS)})"
        )
    names, rows = blocks[_BLOCKS.index(gas)]
    table = np.array(rows)
    return np.array(names), table[:, 0] * 1000.0, table[:, 2:]


def _tail(line: str) -> list[float]:
    """Return the numbers that end a line, after words or none."""
    words, numbers = line.split(), []
    for word in reversed(words):
        try:
            numbers.append(float(word))
        except ValueError:
            break
    return numbers[::-1]
