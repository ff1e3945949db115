"""Line lists in the 160-character record of HITRAN (2004 and later), as HITRAN online and HAPI write them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from obsnet.errors import FormatError, RangeError, nearest
from obsnet.reading import door
from obsnet.typing import Floats, Ints

__all__ = ["MOLECULES", "LineList", "read_lines"]

RECORD = 160
# HITRAN's number of each molecule and the molar masses of its isotopologues in HITRAN's order, g mol-1: sums of atomic
# masses (1H 1.007825, 2H 2.014102, 12C 12, 13C 13.003355, 16O 15.994915, 17O 16.999132, 18O 17.999160).
MOLECULES: dict[str, tuple[int, tuple[float, ...]]] = {
    "H2O": (1, (18.010565, 20.014810, 19.014782, 19.016842, 21.021087, 20.021059)),
    "CO2": (2, (43.989830, 44.993185, 45.994075, 44.994047, 46.997430, 45.997402, 47.998320)),
    "CH4": (6, (16.031300, 17.034655, 17.037577)),
    "O2": (7, (31.989830, 33.994075, 32.994047)),
}
_COLUMNS = {
    "wavenumber": (3, 15),
    "strength": (15, 25),
    "air_width": (35, 40),
    "self_width": (40, 45),
    "lower_energy": (45, 55),
    "exponent": (55, 59),
    "shift": (59, 67),
}


@dataclass(frozen=True)
class LineList:
    """Lines of one molecule, sorted by wavenumber.

    Parameters
    ----------
    molecule : str
        Formula.
    isotopologue : ndarray of int, shape (lines,)
        HITRAN's number, from 1.
    wavenumber : ndarray, shape (lines,)
        cm-1, in vacuum.
    strength : ndarray, shape (lines,)
        cm-1 / (molecule cm-2) at 296 K, natural abundance counted in.
    air_width, self_width : ndarray, shape (lines,)
        Half width at half maximum at 296 K, cm-1 atm-1.
    lower_energy : ndarray, shape (lines,)
        cm-1.
    exponent : ndarray, shape (lines,)
        Of the temperature dependence of the air width.
    shift : ndarray, shape (lines,)
        By the pressure of air, cm-1 atm-1.
    """

    molecule: str
    isotopologue: Ints
    wavenumber: Floats
    strength: Floats
    air_width: Floats
    self_width: Floats
    lower_energy: Floats
    exponent: Floats
    shift: Floats

    def __len__(self) -> int:
        return len(self.wavenumber)

    @property
    def molar_mass(self) -> Floats:
        """Molar mass of each line's isotopologue, g mol-1."""
        return np.asarray(MOLECULES[self.molecule][1])[self.isotopologue - 1]

    def between(self, low: float, high: float) -> LineList:
        """Return the lines of a range of wavenumbers, cm-1."""
        return self._take((self.wavenumber >= low) & (self.wavenumber <= high))

    def stronger(self, least: float) -> LineList:
        """Return the lines of at least some strength."""
        return self._take(self.strength >= least)

    def _take(self, keep: np.ndarray) -> LineList:
        arrays = [getattr(self, f.name)[keep] for f in fields(self)[1:]]
        return LineList(self.molecule, *arrays)


@door("a HITRAN file")
def read_lines(
    path: str | os.PathLike[str], molecule: str, *, isotopologues: Iterable[int] = (1,)
) -> LineList:
    """Read the lines of one molecule from a HITRAN file.

    Parameters
    ----------
    path : path
        File of 160-character records; further parameters of HAPI after a comma are passed over.
    molecule : str
        One of `MOLECULES`; other molecules in the file are passed over.
    isotopologues : iterable of int
        Which ones must be there. Others are **not** read.

    Returns
    -------
    LineList

    Raises
    ------
    FormatError
        Records of another width, numbers that cannot be read, a molecule or isotopologue that the file lacks.
    RangeError
        Strengths, widths or energies that are negative.

    Notes
    -----
    Gordon et al. (2022), doi:10.1016/j.jqsrt.2021.107949, for the record.
    """
    where = os.fspath(path)
    if molecule not in MOLECULES:
        raise FormatError(f"{where}: no molar masses of {molecule!r}{nearest(molecule, MOLECULES)}")
    text = [line for line in Path(path).read_bytes().splitlines() if line.strip()]
    for number, line in enumerate(text, start=1):
        if len(line) < RECORD or line[RECORD : RECORD + 1].strip() not in (b"", b",", b"#"):
            raise FormatError(
                f"{where}, line {number}: a record of {len(line)} characters; HITRAN's since 2004 has {RECORD} "
                "(100 is the layout before it: convert it)"
            )
    number_of, masses = MOLECULES[molecule]
    table = np.array([line[:RECORD] for line in text], dtype=f"S{RECORD}")
    letters = table.view("S1").reshape(len(table), RECORD)

    def column(first: int, last: int) -> np.ndarray:
        return np.ascontiguousarray(letters[:, first:last]).view(f"S{last - first}").ravel()

    try:
        kinds = column(0, 2).astype(np.int64)
        isotopologue = np.array([_isotopologue(c) for c in column(2, 3)], dtype=np.int64)
        numbers = {name: column(*place).astype(np.float64) for name, place in _COLUMNS.items()}
    except ValueError as error:
        raise FormatError(f"{where}: not a HITRAN record: {error}") from None
    wanted = list(isotopologues)
    mine = kinds == number_of
    there = sorted(set(isotopologue[mine].tolist()))
    missing = [i for i in wanted if i not in there]
    if not mine.any() or missing:
        raise FormatError(
            f"{where}: asked for isotopologues {wanted} of {molecule}, found {there or 'none'}"
            + (f"; {missing} are missing: the absorption would be too weak by their share" if missing else "")
        )
    if max(wanted) > len(masses):
        raise FormatError(f"{where}: no molar mass of isotopologue {max(wanted)} of {molecule}")
    keep = np.flatnonzero(mine & np.isin(isotopologue, wanted))
    keep = keep[np.argsort(numbers["wavenumber"][keep], kind="stable")]
    odd = [name for name, values in numbers.items() if not np.isfinite(values[keep]).all()]
    if odd:
        raise FormatError(f"{where}: {', '.join(odd)} of {molecule}: not a number in some records")
    for name in ("strength", "air_width", "lower_energy"):
        low = numbers[name][keep].min()
        if not (low >= 0.0 or name == "lower_energy"):
            raise RangeError(f"{where}: {name} of {molecule} falls to {low:g}")
    return LineList(molecule, isotopologue[keep], *(numbers[name][keep] for name in _COLUMNS))


def _isotopologue(letter: bytes) -> int:
    """Return HITRAN's number: the tenth is 0, the next A, B."""
    if letter in (b"A", b"B"):
        return 11 if letter == b"A" else 12
    return int(letter) or 10
