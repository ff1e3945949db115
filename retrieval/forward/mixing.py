r"""First-order line mixing: what neighbouring lines of a band lend each other in collisions, line by line.

To first order in pressure the profile of line j becomes ``Re w(z) + p Y_j Im w(z)`` of the Faddeeva function in place
of ``Re w(z)``: an antisymmetric part that takes from the wings and gives to the middle of the band (Rosenkranz 1975,
IEEE Trans. Antennas Propag. 23, 498-506). ``sum_j S_j Y_j = 0``, so that the band as a whole absorbs what it did.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline

from obsnet.errors import FormatError, RangeError, SchemaError
from obsnet.reading import door
from obsnet.typing import Floats, Ints
from retrieval.forward.hitran import LineList

__all__ = ["LineMixing", "read_mixing"]

REFERENCE = 296.0  # K
TEMPERATURES = np.linspace(150.0, 350.0, 21)  # K, of the coefficients kept
NEAR, SAME = 0.02, 1.0  # cm-1 in wavenumber and lower energy within which a line is taken for the same
_HEAD = ("wavenumber", "lower_energy", "mixing")


@dataclass(frozen=True)
class LineMixing:
    """Coefficients Y of some lines at several temperatures.

    Parameters
    ----------
    wavenumber, lower_energy : ndarray, shape (lines,)
        cm-1: which lines.
    temperature : ndarray, shape (temperatures,)
        K, increasing.
    coefficient : ndarray, shape (temperatures, lines)
        Y, atm-1; positive where a line gives to the side of higher wavenumbers.
    source : str
        Where they are from, as told in tables and results.
    """

    wavenumber: Floats
    lower_energy: Floats
    temperature: Floats
    coefficient: Floats
    source: str

    def __post_init__(self) -> None:
        shape = len(self.temperature), len(self.wavenumber)
        if self.coefficient.shape != shape or self.lower_energy.shape != self.wavenumber.shape:
            raise SchemaError(f"mixing coefficients must have shape {shape}, found {self.coefficient.shape}")
        if not np.isfinite(self.coefficient).all():
            raise RangeError(f"{self.source}: mixing coefficients must be finite")

    def at(self, lines: LineList, temperature: float) -> Floats:
        """Return Y of the lines of a list at one temperature, atm-1; 0 of a line that has none.

        Raises
        ------
        RangeError
            A temperature outside those of the coefficients.
        FormatError
            None of the lines has a coefficient: the list is of another band or isotopologue.
        """
        low, high = self.temperature[0], self.temperature[-1]
        if not low <= temperature <= high:
            raise RangeError(
                f"{self.source}: mixing coefficients span {low:g} to {high:g} K, asked for {temperature:g} K"
            )
        mine, theirs = self.match(lines)
        if not len(mine):
            raise FormatError(
                f"{self.source}: none of its {len(self.wavenumber)} lines "
                f"({self.wavenumber.min():g} to {self.wavenumber.max():g} cm-1) is in the list of {lines.molecule} "
                f"({lines.wavenumber.min():g} to {lines.wavenumber.max():g} cm-1): another band or isotopologue"
            )
        values = CubicSpline(self.temperature, self.coefficient[:, mine])(temperature)
        out = np.zeros(len(lines))
        out[theirs] = values
        return out

    def match(self, lines: LineList) -> tuple[Ints, Ints]:
        """Return which lines here are which of a list: the nearest of the same lower energy, if within 0.02 cm-1."""
        order = np.argsort(lines.wavenumber)
        first, last = (np.searchsorted(lines.wavenumber[order], self.wavenumber + d) for d in (-NEAR, NEAR))
        mine, theirs = [], []
        for i in range(len(self.wavenumber)):
            near = order[first[i] : last[i]]
            near = near[np.abs(lines.lower_energy[near] - self.lower_energy[i]) < SAME]
            if len(near):
                mine.append(i)
                theirs.append(near[np.argmin(np.abs(lines.wavenumber[near] - self.wavenumber[i]))])
        return np.array(mine, dtype=np.int64), np.array(theirs, dtype=np.int64)

    def imbalance(self, lines: LineList) -> float:
        """Return ``|sum S Y| / sum |S Y|`` over the lines of a list at 296 K: 0 where the band keeps its integral.

        A list cut at some strength, or without some of the lines, has more.
        """
        product = lines.strength * self.at(lines, REFERENCE)
        return float(abs(product.sum()) / np.abs(product).sum()) if product.any() else 0.0


@door("a file of mixing coefficients")
def read_mixing(path: str | os.PathLike[str]) -> LineMixing:
    """Read coefficients of first-order line mixing from a text file.

    Parameters
    ----------
    path : path
        First line: names of columns, separated by blanks: ``wavenumber`` and ``lower_energy`` (cm-1), ``mixing``
        (Y at 296 K, atm-1) and, where the file has it, ``exponent`` n: ``Y(T) = Y (296 K / T)^n``. Lines that begin
        with ``#`` are passed over. Without the exponent Y does not depend on temperature, and `source` says so.

    Raises
    ------
    FormatError
        Other columns, a row of another length, something that is no number.
    RangeError
        Coefficients that are not finite, exponents beyond 20.
    """
    where = os.fspath(path)
    rows = [r.split() for r in Path(path).read_text(encoding="utf-8").splitlines()]
    rows = [r for r in rows if r and not r[0].startswith("#")]
    head = rows[0] if rows else []
    if sorted(head) not in (sorted(_HEAD), sorted((*_HEAD, "exponent"))):
        raise FormatError(
            f"{where}: the first line must name the columns {', '.join(_HEAD)} and perhaps exponent, found "
            f"{' '.join(head)[:60]!r}"
        )
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(head):
            raise FormatError(f"{where}, row {number}: {len(row)} columns, {len(head)} are named")
    try:
        table = dict(zip(head, np.array(rows[1:], dtype=np.float64).reshape(-1, len(head)).T, strict=True))
    except ValueError as error:
        raise FormatError(f"{where}: {error}") from None
    if not len(rows) > 1:
        raise FormatError(f"{where}: no line")
    exponent = table.get("exponent", np.zeros(len(rows) - 1))
    if not (np.abs(exponent) <= 20.0).all():
        raise RangeError(f"{where}: exponents must be finite and within 20, found {np.abs(exponent).max():g}")
    told = "" if "exponent" in table else ", the same at all temperatures"
    return LineMixing(
        table["wavenumber"],
        table["lower_energy"],
        TEMPERATURES,
        table["mixing"] * (REFERENCE / TEMPERATURES[:, None]) ** exponent,
        f"{Path(path).name}{told}",
    )
