"""Screens for clouds and aerosol: what a model without scattering gets wrong tells where it may not be used.

Light that does not reach the ground sees less O2 than the surface pressure promises, and light whose path is
changed by particles sees another column in a weak than in a strong band of the same gas.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from obsnet.errors import FormatError, MissingVariableError, RangeError, SchemaError, nearest
from obsnet.opening import open_h5py
from obsnet.reading import reading, refuse_claims
from obsnet.typing import Floats, Ints
from retrieval.products.screening import Screen, ScreenResult, find_screen

__all__ = [
    "ScreeningTable",
    "clear_sky",
    "column_ratio",
    "read_preprocessor",
    "surface_pressure_difference",
]


_SCREENS = Path(__file__).parent / "screens"


@dataclass(frozen=True)
class _Product:
    name: str
    variables: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class ScreeningTable:
    """Variables by which soundings are judged, one value a sounding; what `retrieval.products.screening` judges.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (rows,)
        ``surface_pressure_difference`` (hPa), ``co2_ratio``, ``h2o_ratio`` and whatever else a screen names.
    sounding_id : ndarray of int, shape (rows,)
        Which soundings.
    product : str
        Name that the screens' ``sensors`` are held against.
    where : str
        Files, for error texts.
    notes : list of str
        Filled by the screen.
    """

    columns: dict[str, Floats]
    sounding_id: Ints
    product: str = "oco_preprocessor"
    where: str = "table"
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, values in self.columns.items():
            if values.shape != self.sounding_id.shape:
                raise SchemaError(f"{name} has {values.shape} values for {self.sounding_id.shape} soundings")

    def __len__(self) -> int:
        return len(self.sounding_id)

    @property
    def sensor(self) -> _Product:
        """The product, as a screen asks for it."""
        return _Product(self.product)

    def number(self, role: str) -> None:
        """Return nothing: there are no roles here, only columns."""
        del role

    def find(self, name: str) -> str:
        """Return the name of a column.

        Raises
        ------
        MissingVariableError
            There is none.
        """
        if name not in self.columns:
            raise MissingVariableError(f"{self.where}: no variable {name!r}{nearest(name, self.columns)}")
        return name

    def raw(self, path: str) -> Floats:
        """Return a column."""
        return self.columns[path]

    def note(self, text: str) -> None:
        """Record what a screen could not do."""
        self.notes.append(text)


def surface_pressure_difference(
    retrieved: npt.ArrayLike, expected: npt.ArrayLike, *, offset: npt.ArrayLike = 0.0
) -> Floats:
    """Return how far the surface pressure of a clear-sky fit of the O2 A band is from the expected one, hPa.

    Parameters
    ----------
    retrieved, expected : array_like, shape (rows,)
        hPa; the second from a meteorological analysis at the height of the sounding.
    offset : array_like
        hPa, what the fit is off by under clear sky (spectroscopy, geometry).

    Raises
    ------
    RangeError
        Pressures that cannot be in hPa.
    """
    p, p_0 = (np.asarray(v, dtype=np.float64) for v in (retrieved, expected))
    for name, values in (("retrieved", p), ("expected", p_0)):
        finite = values[np.isfinite(values)]
        if finite.size and not (finite.min() >= 100.0 and finite.max() <= 1300.0):
            raise RangeError(
                f"{name} surface pressure spans {finite.min():g} to {finite.max():g}, not hPa; "
                "Pa must be divided by 100"
            )
    return np.asarray(p - p_0 - np.asarray(offset, dtype=np.float64))


def column_ratio(
    weak: npt.ArrayLike,
    strong: npt.ArrayLike,
    *,
    weak_prior: npt.ArrayLike = 1.0,
    strong_prior: npt.ArrayLike = 1.0,
) -> Floats:
    """Return the ratio of a gas's column in a weak to that in a strong band, by that of the priors; NaN where none.

    Parameters
    ----------
    weak, strong, weak_prior, strong_prior : array_like, shape (rows,)
        Vertical columns of clear-sky fits in one unit; of the priors where they differ.
    """
    w, s, w_a, s_a = (np.asarray(v, dtype=np.float64) for v in (weak, strong, weak_prior, strong_prior))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (w / w_a) / (s / s_a)
    return np.asarray(np.where(np.isfinite(ratio) & (w > 0) & (s > 0), ratio, np.nan))


def clear_sky(table: ScreeningTable, screen: Screen | str = "oco_clear_sky") -> ScreenResult:
    """Judge soundings by a screen; its ``rejected`` goes to `column_table`.

    Parameters
    ----------
    table : ScreeningTable
        Of `read_preprocessor`, or made of own fits.
    screen : Screen or str
        Thresholds: a screen, the name of one, or a TOML file.
    """
    return (find_screen(screen, [_SCREENS]) if isinstance(screen, str) else screen).apply(table)


_ABP, _IDP = "ABandRetrieval/", "DOASCO2/"
_GOSAT = "ABandCloudScreen/cloud_flag"


def read_preprocessor(
    a_band: str | os.PathLike[str], doas: str | os.PathLike[str] | None = None
) -> ScreeningTable:
    """Read the A-band and the IMAP-DOAS preprocessor file of an OCO orbit into a table to screen by.

    Parameters
    ----------
    a_band : path
        L2ABP file: surface pressure from the O2 A band.
    doas : path, optional
        L2IDP file of the same orbit: column ratios. Soundings are joined by identity.

    Returns
    -------
    ScreeningTable
        ``surface_pressure_difference`` (hPa, less the offset that the file states), ``o2_chi2``,
        ``o2_chi2_limit``, ``temperature_offset`` (K), with the second file ``co2_ratio`` (from its two columns and
        their priors), ``h2o_ratio`` and ``o2_ratio``. NaN where a fit failed.

    Raises
    ------
    MissingVariableError
        A file without one of the variables.
    FormatError
        A variable with more or fewer values than there are soundings; files of different orbits: no sounding in common.

    Notes
    -----
    A cloud screen of ACOS for GOSAT has one verdict a sounding and no more: its table holds ``cloud_flag`` (0 clear),
    to be judged by the screen ``acos_cloud_flag``.
    """
    with reading(a_band, "a preprocessor file"), open_h5py(a_band) as file:
        if _GOSAT in file:
            names = _stored(file, a_band, "SoundingHeader/sounding_id").astype(np.int64)
            flags = {"cloud_flag": _read(file, a_band, _GOSAT, names)}
            return ScreeningTable(flags, names, "acos_cloud_screen", os.fspath(a_band))
        here = _identities(file, a_band)
        retrieved, expected, offset = (
            _read(file, a_band, f"{_ABP}surface_pressure_{part}abp", here) / 100.0
            for part in ("", "apriori_", "offset_")
        )
        columns = {
            "surface_pressure_difference": surface_pressure_difference(retrieved, expected, offset=offset),
            "o2_chi2": _read(file, a_band, f"{_ABP}reduced_chi_squared_o2_abp", here),
            "o2_chi2_limit": _read(file, a_band, f"{_ABP}reduced_chi_squared_o2_threshold_abp", here),
            "temperature_offset": _read(file, a_band, f"{_ABP}temperature_offset_abp", here),
        }
    if doas is not None:
        with reading(doas, "a preprocessor file"), open_h5py(doas) as file:
            there = _identities(file, doas)
            weak, weak_prior, strong, strong_prior = (
                _read(file, doas, f"{_IDP}co2_column_{band}_band_{part}idp", there)
                for band in ("weak", "strong")
                for part in ("", "apriori_")
            )
            found = {
                "co2_ratio": column_ratio(weak, strong, weak_prior=weak_prior, strong_prior=strong_prior),
                "h2o_ratio": _read(file, doas, "DOASCloudScreen/h2o_ratio_idp", there),
                "o2_ratio": _read(file, doas, "DOASCloudScreen/o2_ratio_idp", there),
            }
        order = np.argsort(there)
        place = order[np.minimum(np.searchsorted(there[order], here), len(there) - 1)]
        known = there[place] == here
        if not known.any():
            raise FormatError(
                f"{os.fspath(doas)}: no sounding of {os.fspath(a_band)} is in it; are they of one orbit?"
            )
        columns |= {name: np.where(known, values[place], np.nan) for name, values in found.items()}
    return ScreeningTable(columns, here, where=os.fspath(a_band))


def _identities(file: Any, path: str | os.PathLike[str]) -> Ints:
    return _stored(file, path, "SoundingGeometry/sounding_id").astype(np.int64)


def _read(file: Any, path: str | os.PathLike[str], name: str, soundings: Ints) -> Floats:
    values = _stored(file, path, name).astype(np.float64)
    if values.shape != soundings.shape:
        raise FormatError(
            f"{os.fspath(path)}: {name} has shape {values.shape} for {len(soundings)} soundings"
        )
    return np.where(values > -9e5, values, np.nan)  # -999999 is missing


def _stored(file: Any, path: str | os.PathLike[str], name: str) -> np.ndarray:
    if name not in file:
        raise MissingVariableError(
            f"{os.fspath(path)}: no variable {name!r}; is it an OCO preprocessor file?"
        )
    stored = file[name]
    refuse_claims(path, {name: stored})
    return np.asarray(stored).ravel()
