"""Spectra of Fourier transform spectrometers in OPUS files, as TCCON keeps them, and GGG's run logs beside them."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, nearest
from obsnet.reading import door
from retrieval.spectra.spectrum import Spectrum

__all__ = ["RunLogEntry", "read_opus", "read_run_log"]

_MAGIC = b"\x0a\x0a\xfe\xfe"
_SPECTRUM, _STATUS = 0x07, 0x17  # low bytes of a block's kind: a spectrum and what is said of it
_PARAMETERS = (
    0x20,
    0x30,
    0x40,
    0x50,
    0x60,
    0xA0,
)  # instrument, acquisition, transform, optics, history, sample


@door("an OPUS file")
def read_opus(path: str | os.PathLike[str]) -> Spectrum:
    """Read the spectrum of an OPUS file.

    Raises
    ------
    FormatError
        Not an OPUS file, one without a spectrum in wavenumbers, or a damaged one.
    """
    where = os.fspath(path)
    content = Path(path).read_bytes()
    if content[:4] != _MAGIC:
        raise FormatError(f"{where}: not an OPUS file")
    return _parse(content, where)


def _parse(content: bytes, where: str) -> Spectrum:
    directory, _, count = struct.unpack_from("<iii", content, 12)
    parameters: dict[str, Any] = {}
    data, about = None, None
    for block in range(min(count, 256)):
        kind, words, start = struct.unpack_from("<iii", content, directory + 12 * block)
        body = content[start : start + 4 * words]
        low = kind & 0xFF
        if low == _SPECTRUM:
            data = body
        elif low == _STATUS or low in _PARAMETERS:
            found = _parameters(body)
            parameters |= found
            about = found if low == _STATUS else about
    if data is None or about is None:
        raise FormatError(f"{where}: no spectrum in it")
    if about.get("DXU", "WN") != "WN":
        raise FormatError(f"{where}: the spectrum is in {about['DXU']}, not in wavenumbers (WN)")
    points = int(about["NPT"])
    values = np.frombuffer(data, "<f4", count=points).astype(np.float64) * float(about.get("CSF", 1.0))
    first, last = float(about["FXV"]), float(about["LXV"])
    if not (np.isfinite([first, last]).all() and first != last and points > 1):
        raise FormatError(f"{where}: {points} points from {first:g} to {last:g} cm-1 are no spectrum")
    wavenumber = np.linspace(first, last, points)
    if first > last:
        wavenumber, values = wavenumber[::-1].copy(), values[::-1].copy()
    return Spectrum(wavenumber, values, parameters, where)


def _parameters(body: bytes) -> dict[str, Any]:
    """Read a block of parameters: three letters, a kind (integer, float, text), a length in 16-bit words, a value."""
    found: dict[str, Any] = {}
    at = 0
    while at + 8 <= len(body):
        name = body[at : at + 3].decode("latin-1")
        kind, words = struct.unpack_from("<hh", body, at + 4)
        value = body[at + 8 : at + 8 + 2 * words]
        if name == "END" or not name.isalnum():
            break
        if kind == 0 and words == 2:
            found[name] = struct.unpack("<i", value)[0]
        elif kind == 1 and words == 4:
            found[name] = struct.unpack("<d", value)[0]
        else:
            found[name] = value.split(b"\0")[0].decode("latin-1")
        at += 8 + 2 * words
    return found


@dataclass(frozen=True)
class RunLogEntry:
    """One spectrum of a GGG run log.

    Parameters
    ----------
    spectrum : str
        Name of the file.
    year, day : int
        Day of the year, UTC.
    hour : float
        UTC.
    latitude, longitude, altitude : float
        Degrees north and east, km.
    solar_zenith : float
        Of the straight line to the Sun, degrees.
    azimuth : float
        Of the Sun, degrees from north by east.
    doppler : float
        Observer-Sun Doppler stretch, parts per million; positive receding.
    path_difference : float
        cm.
    internal_field, external_field : float
        Full angles of the fields of view, rad.
    first, last : int
        Of the points, in `spacing` from 0 cm-1.
    spacing : float
        cm-1.
    signal_to_noise : float
    outside_temperature, outside_pressure, outside_humidity : float
        C, hPa, percent.
    """

    spectrum: str
    year: int
    day: int
    hour: float
    latitude: float
    longitude: float
    altitude: float
    solar_zenith: float
    azimuth: float
    doppler: float
    path_difference: float
    internal_field: float
    external_field: float
    first: int
    last: int
    spacing: float
    signal_to_noise: float
    outside_temperature: float
    outside_pressure: float
    outside_humidity: float


# place of each field in a run log of 37 columns, after the name of the spectrum
_LOG = {
    "year": 1, "day": 2, "hour": 3, "latitude": 4, "longitude": 5, "altitude": 6, "solar_zenith": 7, "azimuth": 9,
    "doppler": 10, "path_difference": 11, "internal_field": 12, "external_field": 13, "first": 15, "last": 16,
    "spacing": 17, "signal_to_noise": 21, "outside_temperature": 26, "outside_pressure": 27, "outside_humidity": 28,
}  # fmt: skip
_WHOLE = ("year", "day", "first", "last")


@door("a run log")
def read_run_log(path: str | os.PathLike[str], spectrum: str) -> RunLogEntry:
    """Read what a GGG run log says of one spectrum.

    Parameters
    ----------
    path : path
        Run log (``.grl``) of 37 columns.
    spectrum : str
        Name of the spectrum's file.

    Raises
    ------
    FormatError
        Another layout, or the spectrum is not in it.
    """
    where = os.fspath(path)
    lines = [line.split() for line in Path(path).read_text(encoding="latin-1").splitlines()]
    rows = {line[0]: line for line in lines if len(line) > 30}
    if spectrum not in rows:
        raise FormatError(f"{where}: no spectrum {spectrum!r}{nearest(spectrum, rows)}")
    row = rows[spectrum]
    if len(row) != 37:
        raise FormatError(f"{where}: a row of {len(row)} columns for {spectrum}, 37 are known")
    try:
        values = {n: int(row[k]) if n in _WHOLE else float(row[k]) for n, k in _LOG.items()}
    except ValueError as error:
        raise FormatError(f"{where}: row of {spectrum}: {error}") from error
    return RunLogEntry(spectrum, **values)  # type: ignore[arg-type]
