r"""Relaxation matrices of bands, and the coefficients of first-order line mixing that follow from them.

W (n, n) couples lines by collisions; ``W_kj`` is what line j gives to line k, half widths stand on the diagonal. With
populations rho and transition amplitudes d of the lines,

* detailed balance: ``W_kj rho_j = W_jk rho_k``;
* sum rule: ``sum_k d_k W_kj = 0``, collisions do not change what the band absorbs in all;
* first order in pressure: ``Y_j = 2 sum_{k != j} (d_k / d_j) W_kj / (nu_j - nu_k)`` (Rosenkranz 1975, IEEE Trans.
  Antennas Propag. 23, 498-506).

From the first follows ``sum_j rho_j d_j^2 Y_j = 0``; from both, that the far wings of the band, ``sum S (gamma + Y
(nu - nu_j)) / (nu - nu_j)^2``, vanish to their leading order.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from obsnet.errors import FormatError, RangeError, SchemaError
from obsnet.reading import door
from obsnet.typing import Bools, Floats
from retrieval.forward.hitran import LineList
from retrieval.forward.mixing import REFERENCE, TEMPERATURES, LineMixing

__all__ = ["RelaxationMatrix", "model_matrix", "read_band", "read_relaxation"]

SECOND_RADIATION = 1.438776877  # cm K; CODATA 2018
CLOSEST = 1e-5  # cm-1 between coupled lines below which the first order says nothing
STEEPEST = 20.0  # exponent of a temperature dependence
_PAIR, _LINE, _BAND = 55, 91, 202  # characters of a record


@dataclass(frozen=True)
class RelaxationMatrix:
    """Lines of a band and how collisions with air couple them, at 296 K.

    Parameters
    ----------
    wavenumber, lower_energy : ndarray, shape (lines,)
        cm-1.
    population : ndarray, shape (lines,)
        Of the lower level, relative.
    amplitude : ndarray, shape (lines,)
        Of the transition, with its sign, relative: the strength goes with ``population amplitude^2``.
    matrix : ndarray, shape (lines, lines)
        W, cm-1 atm-1: column j gives, row k takes.
    exponent : ndarray, shape (lines, lines)
        ``W(T) = W (296 K / T)^exponent``.
    source : str
        Where it is from.
    """

    wavenumber: Floats
    lower_energy: Floats
    population: Floats
    amplitude: Floats
    matrix: Floats
    exponent: Floats
    source: str

    def __post_init__(self) -> None:
        n = len(self.wavenumber)
        square = self.matrix.shape == self.exponent.shape == (n, n)
        if not square or any(a.shape != (n,) for a in (self.lower_energy, self.population, self.amplitude)):
            raise SchemaError(
                f"{self.source}: {n} lines need a matrix of {n} by {n}, found {self.matrix.shape}"
            )
        arrays = (
            self.wavenumber,
            self.lower_energy,
            self.population,
            self.amplitude,
            self.matrix,
            self.exponent,
        )
        if not all(np.isfinite(a).all() for a in arrays) or np.abs(self.exponent).max() > STEEPEST:
            raise RangeError(f"{self.source}: numbers must be finite and exponents within {STEEPEST:g}")
        if not (self.population > 0.0).all() or not (self.amplitude != 0.0).all():
            raise RangeError(f"{self.source}: populations must be positive and amplitudes not zero")
        if not (np.diag(self.matrix) > 0.0).all():
            raise RangeError(
                f"{self.source}: the diagonal of a relaxation matrix is widths and must be positive"
            )

    def at(self, temperature: float) -> tuple[Floats, Floats]:
        """Return W (lines, lines) and the populations (lines,) at a temperature, in detailed balance exactly.

        Of the two elements of a pair, which a file gives to some digits each, the mean of what they say is taken.
        """
        population = self.population * np.exp(
            -SECOND_RADIATION * self.lower_energy * (1.0 / temperature - 1.0 / REFERENCE)
        )
        root = np.sqrt(population)
        even = self.matrix * (REFERENCE / temperature) ** self.exponent * root[None, :] / root[:, None]
        return 0.5 * (even + even.T) * root[:, None] / root[None, :], population

    def imbalance(self) -> float:
        """Return the largest departure of the matrix as given from detailed balance, by the pair's widths."""
        root = np.sqrt(self.population)
        even = self.matrix * root[None, :] / root[:, None]
        width = np.sqrt(np.outer(np.diag(even), np.diag(even)))
        return float((np.abs(even - even.T) / width).max())

    def sum_rule(self, temperature: float = REFERENCE) -> Floats:
        """Return ``sum_k d_k W_kj / (d_j W_jj)`` of each line: 0 where the sum rule holds."""
        matrix, _ = self.at(temperature)
        return np.asarray(self.amplitude @ matrix / (self.amplitude * np.diag(matrix)))

    def first_order(self, temperature: float) -> Floats:
        """Return Y of each line, atm-1.

        Raises
        ------
        RangeError
            Coupled lines at the same place: the first order is singular there.
        """
        matrix, _ = self.at(temperature)
        distance = self.wavenumber[:, None] - self.wavenumber[None, :]
        coupled = (matrix.T != 0.0) & ~np.eye(len(distance), dtype=bool)
        close = coupled & (np.abs(distance) < CLOSEST)
        if close.any():
            j = np.argwhere(close)[0][0]
            raise RangeError(
                f"{self.source}: two coupled lines lie at {self.wavenumber[j]:.5f} cm-1; the first order is singular "
                "there: take one out, or their coupling"
            )
        share = np.divide(matrix.T, distance, out=np.zeros(distance.shape), where=coupled)
        return np.asarray(2.0 * share @ self.amplitude / self.amplitude)

    def mixing(self) -> LineMixing:
        """Return the coefficients at 150 to 350 K, as `cross_section` and `build_table` take them."""
        values = np.stack([self.first_order(t) for t in TEMPERATURES])
        return LineMixing(self.wavenumber, self.lower_energy, TEMPERATURES, values, self.source)


@door("a relaxation matrix")
def read_relaxation(lines: str | os.PathLike[str], matrix: str | os.PathLike[str]) -> RelaxationMatrix:
    """Read the relaxation matrix of the O2 A band from its two files: lines, and elements.

    Parameters
    ----------
    lines : path
        Records of 91 characters: wavenumber (cm-1), population, two amplitudes (of a rigid rotor; of the line's
        strength), lower energy (cm-1), half width in air (cm-1 atm-1) at 296 K, its exponent, shift, label. The
        second amplitude is taken: with it the strengths are those of HITRAN.
    matrix : path
        One record of 55 characters a pair of lines, all pairs: element (cm-1 atm-1), exponent, labels of the line
        that takes and the line that gives.

    Raises
    ------
    FormatError
        Records of another width, numbers that cannot be read, a pair that is missing, twice there or of other lines.
    """
    first, second = (
        [r for r in Path(p).read_text(encoding="latin-1").splitlines() if r.strip()] for p in (lines, matrix)
    )
    for path, records, width in ((lines, first, _LINE), (matrix, second, _PAIR)):
        _check_width(path, records, width)
    names = [" ".join(r[-10:].split()) for r in first]
    place = {name: i for i, name in enumerate(names)}
    n = len(first)
    if len(place) != n or len(second) != n * n:
        raise FormatError(
            f"{os.fspath(matrix)}: {len(place)} different lines need {n * n} pairs, found {len(second)}"
        )
    try:
        table = np.array([[float(v) for v in r[:-12].split()] for r in first]).reshape(n, 8)
        values = np.array([[float(v) for v in r[:30].split()] for r in second]).reshape(n * n, 2)
    except ValueError as error:
        raise FormatError(f"{os.fspath(lines)}, {os.fspath(matrix)}: {error}") from None
    at = np.empty((n * n, 2), dtype=np.int64)
    for number, record in enumerate(second):
        pair = [" ".join(record[a:b].split()) for a, b in ((33, 43), (45, 55))]
        if not all(name in place for name in pair):
            raise FormatError(f"{os.fspath(matrix)}, line {number + 1}: {pair} is no pair of the lines")
        at[number] = [place[name] for name in pair]
    if len(np.unique(at, axis=0)) != n * n:
        raise FormatError(f"{os.fspath(matrix)}: a pair of lines is there twice")
    elements, exponents = np.empty((2, n, n))
    elements[at[:, 0], at[:, 1]], exponents[at[:, 0], at[:, 1]] = values.T
    source = f"relaxation matrix {Path(matrix).name}"
    return RelaxationMatrix(table[:, 0], table[:, 4], table[:, 1], table[:, 3], elements, exponents, source)


@dataclass(frozen=True)
class BandLines:
    """Lines of one band of CO2, as `read_band` finds them.

    Parameters
    ----------
    lines : LineList
        The lines, in order of wavenumber.
    population, amplitude : ndarray, shape (lines,)
        See `RelaxationMatrix`.
    branch, parity : ndarray of str, shape (lines,)
        P, Q or R; e or f of the lower level.
    source : str
        Name of the file.
    """

    lines: LineList
    population: Floats
    amplitude: Floats
    branch: np.ndarray
    parity: np.ndarray
    source: str


@door("a band of a line-mixing package")
def read_band(path: str | os.PathLike[str]) -> BandLines:
    """Read the lines of one CO2 band: HITRAN records with water broadening, amplitude and population behind them.

    Raises
    ------
    FormatError
        Records that are not 202 characters wide, numbers that cannot be read, other branches than P, Q and R.
    RangeError
        Strengths, widths or populations that are not positive.
    """
    where = os.fspath(path)
    records = [r for r in Path(path).read_text(encoding="latin-1").splitlines() if r.strip()]
    _check_width(path, records, _BAND)
    places = ((3, 15), (15, 25), (35, 40), (40, 45), (45, 55), (55, 59), (59, 67), (170, 186), (186, 202))
    try:
        kind = {r[:3] for r in records}
        table = np.array([[_number(r[a:b]) for a, b in places] for r in records])
        branch, parity = (np.array([r[at] for r in records]) for at in (117, 121))
    except ValueError as error:
        raise FormatError(f"{where}: {error}") from None
    if kind != {" 21"} or not set(branch.tolist()) <= set("PQR"):
        raise FormatError(
            f"{where}: lines of the branches P, Q and R of molecule 2, isotopologue 1 are wanted, found "
            f"{sorted(kind)}, {sorted(set(branch.tolist()))}"
        )
    if not (np.isfinite(table).all() and (table[:, [0, 1, 2, 8]] > 0.0).all() and (table[:, 7] != 0.0).all()):
        raise RangeError(
            f"{where}: wavenumbers, strengths, widths and populations must be positive, amplitudes not 0"
        )
    order = np.argsort(table[:, 0], kind="stable")
    table, branch, parity = table[order], branch[order], parity[order]
    lines = LineList("CO2", np.ones(len(table), dtype=np.int64), *np.ascontiguousarray(table[:, :7].T))
    return BandLines(lines, table[:, 8], table[:, 7], branch, parity, Path(path).name)


def model_matrix(band: BandLines, *, decay: float, cross: float = 1.0) -> RelaxationMatrix:
    r"""Return a relaxation matrix that is not measured but follows from widths, detailed balance, sum rule and a shape.

    Parameters
    ----------
    band : BandLines
        Lines.
    decay : float
        cm-1: coupling of two lines goes with ``exp(-(|E_k - E_j| + |E'_k - E'_j|) / (2 decay))``, E and E' the energies
        of their lower and upper levels; levels of different parity (e, f) are not coupled.
    cross : float
        Coupling of lines of different branches by that of lines of one.

    Raises
    ------
    RangeError
        A decay or share that is not positive, or no matrix of this shape with these widths.

    Notes
    -----
    With ``s_j = |d_j| rho_j^1/2``, the root of the strength, the matrix ``W_kj = -D_k D_j e_kj (rho_k / rho_j)^1/2`` is
    in detailed balance for any symmetric shape e; the sum rule for the widths gamma asks ``D_j s_j sum_k e_kj s_k D_k
    = gamma_j s_j^2``, which is solved for D > 0 by scaling rows and columns in turn. The signs of the amplitudes make
    all couplings take from the wings. What the shape gets wrong is unknown: compare with a measured band.
    """
    if not (decay > 0.0 and cross >= 0.0):
        raise RangeError(f"decay must be positive and cross not negative, found {decay:g} and {cross:g}")
    lines = band.lines
    root, s = np.sqrt(band.population), np.sqrt(lines.strength)
    levels = (lines.lower_energy, lines.lower_energy + lines.wavenumber)
    gap = sum(np.abs(e[:, None] - e[None, :]) for e in levels)
    same: Bools = band.branch[:, None] == band.branch[None, :]
    parity: Bools = band.parity[:, None] == band.parity[None, :]
    shape = np.exp(-0.5 * gap / decay) * np.where(same, 1.0, cross) * parity
    np.fill_diagonal(shape, 0.0)
    shape *= s[:, None] * s[None, :]
    wanted = lines.air_width * s**2
    impossible = f"{band.source}: no coupling of this shape adds to the widths; try another decay"
    if not (shape.sum(axis=1) > 1e-200).all():
        raise RangeError(impossible)
    scale = np.sqrt(wanted / shape.sum(axis=1))
    for _ in range(20000):
        ratio = wanted / (scale * (shape @ scale))
        scale = scale * np.sqrt(ratio)
        if np.abs(ratio - 1.0).max() < 1e-10:
            break
    else:
        raise RangeError(impossible)
    sign = np.sign(band.amplitude)
    even = -scale[:, None] * scale[None, :] * shape / (s[:, None] * s[None, :])
    amplitude = sign * s / root
    matrix = even * sign[:, None] * sign[None, :] * root[:, None] / root[None, :] + np.diag(lines.air_width)
    exponent = np.broadcast_to(0.5 * (lines.exponent[:, None] + lines.exponent[None, :]), matrix.shape)
    source = f"modelled from the widths of {band.source}, decay {decay:g} cm-1, cross {cross:g}"
    return RelaxationMatrix(
        lines.wavenumber, lines.lower_energy, band.population, amplitude, matrix, exponent, source
    )


def _check_width(path: str | os.PathLike[str], records: list[str], width: int) -> None:
    for number, record in enumerate(records, start=1):
        if len(record) != width:
            raise FormatError(
                f"{os.fspath(path)}, record {number}: {len(record)} characters, this layout has {width}"
            )
    if not records:
        raise FormatError(f"{os.fspath(path)}: no record")


def _number(text: str) -> float:
    return float(re.sub("[dD]", "E", text))
