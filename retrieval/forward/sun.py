r"""The Sun's absorption lines: a line list in GGG's record to a transmittance of the solar atmosphere.

``tau = sum s exp(-x^2 / sqrt(d^4 + y^2 x^2 (1 + |x| / (y + 0.07))))``: Gaussian in the middle, exponential wings
(Toon 2014, solar line list for GGG; no physics is meant by the shape). x is the distance from the line, d its
Doppler width with the rotation of the Sun in it, y the width of its wings. Continuum 1.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt

from obsnet.errors import FormatError
from obsnet.reading import door
from obsnet.typing import Floats

__all__ = ["SolarLines", "read_solar_lines", "solar_transmittance"]

REACH = 1e-5  # optical depth at which a line ends
ROTATION = 3.95e-6  # of the wavenumber: broadening by rotation for the whole disk, before limb darkening


@dataclass(frozen=True)
class SolarLines:
    """Lines of the Sun, sorted.

    Parameters
    ----------
    wavenumber : ndarray, shape (lines,)
        cm-1, at rest.
    depth : ndarray, shape (lines,)
        Optical depth at the centre.
    wing_width, doppler_width : ndarray, shape (lines,)
        cm-1.
    """

    wavenumber: Floats
    depth: Floats
    wing_width: Floats
    doppler_width: Floats


@door("a solar line list")
def read_solar_lines(path: str | os.PathLike[str]) -> SolarLines:
    """Read a solar line list of GGG (records that begin: number, wavenumber, depth, two widths; Latin-1 text).

    Raises
    ------
    FormatError
        A record that cannot be read.
    """
    where = os.fspath(path)
    rows = []
    for number, line in enumerate(Path(path).read_text(encoding="latin-1").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            rows.append([_number(line[a:b]) for a, b in ((3, 15), (15, 25), (25, 35), (35, 40))])
        except ValueError:
            raise FormatError(
                f"{where}, line {number}: not a record of a solar line list: {line[:40]!r}"
            ) from None
    if not rows:
        raise FormatError(f"{where}: no line")
    table = np.array(rows)
    table = table[np.argsort(table[:, 0], kind="stable")]
    return SolarLines(*np.ascontiguousarray(table.T))


def _number(text: str) -> float:
    """Read a number as Fortran does, in which 1.44-02 is 1.44E-02."""
    value = float(re.sub(r"(?<=[0-9.])([+-])", r"E\1", text))
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def solar_transmittance(
    lines: SolarLines,
    wavenumber: npt.ArrayLike,
    *,
    doppler: float = 0.0,
    disk: float = 0.0,
) -> Floats:
    """Return the transmittance of the solar atmosphere at wavenumbers of the observer.

    Parameters
    ----------
    lines : SolarLines
        Of the disk's centre, or of the whole disk.
    wavenumber : array_like, shape (points,)
        cm-1, increasing.
    doppler : float
        Relative shift ``nu_observed / nu_rest - 1``; positive towards the Sun.
    disk : float
        Part of the Sun's diameter that is seen, 0 to 1, for the broadening by its rotation; 0 for a list that has
        it already (disk-integrated).
    """
    nu = np.ascontiguousarray(np.asarray(wavenumber, np.float64) / (1.0 + doppler))
    rotation = ROTATION * lines.wavenumber * disk / np.sqrt(0.538 + 0.462 * disk**2.5)
    width = lines.doppler_width**2 + rotation**2
    out = np.zeros(len(nu))
    _add_lines(nu, lines.wavenumber, lines.depth, lines.wing_width, width, out)
    return np.asarray(np.exp(-out))


@numba.njit(cache=True)
def _add_lines(nu: Floats, centre: Floats, depth: Floats, wing: Floats, width: Floats, out: Floats) -> None:
    for k in range(len(centre)):
        reach = np.sqrt(np.abs(2.0 * depth[k] * (np.sqrt(width[k]) + wing[k]) / REACH))
        for i in range(np.searchsorted(nu, centre[k] - reach), np.searchsorted(nu, centre[k] + reach)):
            x = abs(nu[i] - centre[k])
            root = np.sqrt(width[k] ** 2 + (wing[k] * x) ** 2 * (1.0 + x / (wing[k] + 0.07)))
            out[i] += depth[k] * np.exp(-x * x / root)
