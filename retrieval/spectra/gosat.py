"""Spectra of GOSAT's TANSO-FTS as the ACOS level-1 files hold them: radiances of two polarisations in three bands.

A channel's wavenumber is ``c_0 + c_1 i`` with i from **1**, as in the ACOS retrievals of the same files; so counted,
what their scale is off by is one share of the wavenumber in all bands, as it is of a misaligned interferometer.
The noise is stated in V (cm-1)-1 and becomes a radiance by the conversion coefficients of the gain that was used. The
files hold no line shape and do not say whether a channel was saturated.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

import numpy as np

from obsnet.errors import FormatError, RangeError
from obsnet.opening import open_h5py
from obsnet.reading import reading
from obsnet.typing import Floats
from retrieval.spectra.hdf5 import Level1
from retrieval.spectra.spectrum import Sounding, Spectrum, tai93_time

__all__ = ["BANDS", "Polarisation", "gosat_identities", "read_gosat"]

BANDS = ("o2", "weak_co2", "strong_co2")
Polarisation = Literal["mean", "P", "S"]
IDENTITY = "SoundingHeader/sounding_id"
MARK = "SoundingHeader/wavenumber_coefficients"  # what such a file has and no other
_UNIT = "W cm-2 sr-1 (cm-1)-1"
_UNITS = {"W cm^{-2} sr^{-1} (cm^{-1})^{-1}": _UNIT}
_VOLTS = {"V (cm^{-1})^{-1}": "V (cm-1)-1"}
_GAINS = {"H": "highgain", "M": "medgain"}


def gosat_identities(path: str | os.PathLike[str]) -> list[str]:
    """Return the names of the soundings of a file, in its order."""
    with reading(path, "a GOSAT level-1 file"), open_h5py(path) as file:
        return [str(i) for i in Level1(file, path).identities(IDENTITY).ravel()]


def read_gosat(
    path: str | os.PathLike[str], rows: Sequence[int], polarisation: Polarisation = "mean"
) -> list[Sounding]:
    """Read soundings of an ACOS level-1 file of GOSAT.

    Parameters
    ----------
    path : path
        File.
    rows : sequence of int
        Which soundings, numbers in `gosat_identities`.
    polarisation : {"mean", "P", "S"}
        ``mean`` is (P + S) / 2 with the noise of both: what ACOS fits. By the Stokes coefficients of the files, 1 and
        +-q, +-u, it is the total intensity; P or S alone depend on the polarisation of the light.

    Raises
    ------
    MissingVariableError, UnitError
        Another layout, or other units.
    FormatError
        Gains that no conversion is known for, the two polarisations on different wavenumbers.
    """
    with reading(path, "a GOSAT level-1 file"), open_h5py(path) as file:
        level1 = Level1(file, path)
        return [_one(level1, int(row), polarisation) for row in rows]


def _one(file: Level1, row: int, polarisation: Polarisation) -> Sounding:
    name = int(np.asarray(file.variable(IDENTITY)[row]))
    coefficients = file.numbers(MARK, row, (None, 3, 2, 2))
    gains = [_gain(file, name, text.strip()) for text in file.texts("SoundingHeader/gain_swir", row)]
    spectra = tuple(
        _spectrum(file, row, band, number, coefficients[number], gains, polarisation)
        for number, band in enumerate(BANDS)
    )
    geometry = {
        word: float(file.numbers(f"FootprintGeometry/footprint_{word}", row, (None, 3, 2))[0, 0])
        for word in (
            "latitude", "longitude", "altitude", "zenith", "azimuth", "solar_zenith", "solar_azimuth",
            "land_fraction", "time_tai93",
        )
    }  # fmt: skip
    velocity = float(file.numbers("SpacecraftGeometry/relative_velocity", row))
    return Sounding(
        str(name),
        tai93_time(geometry["time_tai93"]),
        geometry["latitude"],
        geometry["longitude"],
        geometry["altitude"],
        geometry["solar_zenith"],
        geometry["solar_azimuth"],
        geometry["zenith"],
        spectra,
        "GOSAT TANSO-FTS",
        land_fraction=geometry["land_fraction"] / 100.0,
        about={
            "polarisation": polarisation,
            "gain": "".join(gains),
            "view_azimuth": geometry["azimuth"],
            "relative_velocity": velocity,
        },
    )


def _gain(file: Level1, name: int, letter: str) -> str:
    if letter not in _GAINS:
        raise FormatError(
            f"{file.path}: sounding {name} has gain {letter!r}; {', '.join(_GAINS)} have conversions"
        )
    return letter


def _spectrum(
    file: Level1,
    row: int,
    band: str,
    number: int,
    coefficients: Floats,
    gains: list[str],
    polarisation: Polarisation,
) -> Spectrum:
    """Return one band; `coefficients` are (2 polarisations, 2)."""
    stored = f"SoundingSpectra/radiance_{band}"
    unit = file.unit(stored, _UNITS)
    file.unit(f"SoundingSpectra/noise_{band}_l1b", _VOLTS)
    radiance = file.numbers(stored, row, (None, 2, None))
    volts = file.numbers(f"SoundingSpectra/noise_{band}_l1b", row, (None, 2))
    points = radiance.shape[-1]
    per_volt = np.stack(
        [
            file.numbers(f"InstrumentHeader/cnv_coef_{_GAINS[gain]}_{band}", (row, p), (None, 2, points))
            for p, gain in enumerate(gains)
        ]
    )
    noise = volts[:, None] * per_volt
    if polarisation == "mean":
        if not np.array_equal(coefficients[0], coefficients[1]):
            raise FormatError(
                f"{file.path}: {band} has P on {coefficients[0]} and S on {coefficients[1]} cm-1: no mean; ask for "
                "one (--polarisation P)"
            )
        radiance, noise, scale = radiance.mean(axis=0), 0.5 * np.hypot(*noise), coefficients[0]
    else:
        p = "PS".index(polarisation)
        radiance, noise, scale = radiance[p], noise[p], coefficients[p]
    if not (np.isfinite(scale).all() and scale[1] > 0.0):
        raise RangeError(f"{file.path}: {band} has no scale of wavenumbers: coefficients {scale}")
    wavenumber = scale[0] + scale[1] * np.arange(1, points + 1)
    return Spectrum(wavenumber, radiance, {}, file.path, band, unit, noise, {"no_noise_told": ~(noise > 0.0)})
