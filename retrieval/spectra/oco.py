"""Spectra of OCO-2 and OCO-3 as level-1b files of soundings (L1bSc) hold them: three bands, eight footprints.

A channel's wavelength is a polynomial of its number, counted from **1**, in micrometres; the noise is
``M / 100 sqrt(|100 I / M| c_photon^2 + c_background^2)``, M the greatest signal that can be measured. The spectrum is
turned into order of wavenumber; its radiance stays one by wavelength. Layout as published by the mission; no real
file was at hand when this was written.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

import numpy as np

from obsnet.opening import open_h5py
from obsnet.reading import reading
from obsnet.typing import Floats
from retrieval.spectra.hdf5 import Level1
from retrieval.spectra.spectrum import Sounding, Spectrum, tai93_time

__all__ = ["oco_places", "read_oco"]

BANDS = ("o2", "weak_co2", "strong_co2")
IDENTITY = "SoundingGeometry/sounding_id"
MARK = "InstrumentHeader/dispersion_coef_samp"
_UNIT = "photons s-1 m-2 sr-1 um-1"
_UNITS = {
    "Photons sec^{-1} m^{-2} sr^{-1} um^{-1}": _UNIT,
    "Ph sec^{-1} m^{-2} sr^{-1} um^{-1}": _UNIT,
    "Photons Second^{-1} Meters^{-2} Steradian^{-1} Microns^{-1}": _UNIT,
}
_MICRONS = {"Microns": "um", "Micrometers": "um", "um": "um", "micron": "um"}


def oco_places(path: str | os.PathLike[str]) -> list[tuple[str, int, int]]:
    """Return name, frame and footprint (from 0) of the soundings of a file, in its order."""
    with reading(path, "an OCO level-1b file"), open_h5py(path) as file:
        found = Level1(file, path).identities(IDENTITY)
        if found.ndim != 2:
            found = found.reshape(len(found), -1)
        return [(str(found[i, j]), int(i), int(j)) for i, j in np.argwhere(found > 0)]


def read_oco(path: str | os.PathLike[str], places: Sequence[tuple[str, int, int]]) -> list[Sounding]:
    """Read soundings of a level-1b file of OCO-2 or OCO-3.

    Parameters
    ----------
    path : path
        File.
    places : sequence of (str, int, int)
        Of `oco_places`.

    Raises
    ------
    MissingVariableError, UnitError, FormatError
        Another layout, or other units.
    """
    with reading(path, "an OCO level-1b file"), open_h5py(path) as file:
        level1 = Level1(file, path)
        platform = _platform(level1)
        stamp = os.stat(path).st_mtime_ns
        return [_one(level1, stamp, name, i, j, platform) for name, i, j in places]


def _platform(level1: Level1) -> str:
    name = "Metadata/PlatformShortName"
    said = level1.texts(name)[:1] if level1.has(name) else []
    return "".join(said).strip() or "OCO-2"


@functools.lru_cache(maxsize=24)  # three bands of eight footprints: 80 MB of line shapes
def _detector(path: str, stamp: int, band: int, footprint: int) -> _Detector:
    """Return what a file says of a detector, read once a process; a file that was written anew has another stamp."""
    with open_h5py(path) as file:
        return _Detector(Level1(file, path), band, footprint)


class _Detector:
    """What a file says of one band and footprint, in order of wavelength; line shapes in order of wavenumber."""

    def __init__(self, file: Level1, band: int, footprint: int) -> None:
        at = (band, footprint)
        coefficients = file.numbers(MARK, at, (3, None, None))
        file.unit(MARK, _MICRONS)
        snr = file.numbers("InstrumentHeader/snr_coef", at, (3, None, None, None))
        points = len(snr)
        channel = np.arange(1, points + 1)
        self.wavelength = np.asarray(
            np.polynomial.polynomial.polyval(channel, coefficients), dtype=np.float64
        )
        self.photon, self.background = snr[:, 0], snr[:, 1]
        if file.has("InstrumentHeader/bad_sample_list"):
            bad = file.numbers("InstrumentHeader/bad_sample_list", at, (3, None, points))
        else:  # older files keep the list beside the noise
            bad = snr[:, 2] if snr.shape[1] > 2 else np.zeros(points)
        self.bad = bad != 0.0
        self.most = float(file.numbers("InstrumentHeader/measureable_signal_max_observed", band, (3,)))
        shape = (3, None, points, None)
        away = file.numbers("InstrumentHeader/ils_delta_lambda", at, shape)
        response = file.numbers("InstrumentHeader/ils_relative_response", at, shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.wavenumber = 1e4 / self.wavelength
            offset = 1e4 / (self.wavelength[:, None] + away) - self.wavenumber[:, None]
        self.offset, self.response = offset[::-1, ::-1].copy(), response[::-1, ::-1].copy()
        for values in (self.offset, self.response):  # all soundings of the detector have these very arrays
            values.setflags(write=False)

    def noise(self, radiance: Floats) -> Floats:
        """Return the standard deviation of radiances."""
        share = np.abs(100.0 * radiance / self.most)
        return np.asarray(self.most / 100.0 * np.sqrt(share * self.photon**2 + self.background**2))


def _one(file: Level1, stamp: int, name: str, frame: int, footprint: int, platform: str) -> Sounding:
    at = (frame, footprint)

    def value(word: str) -> float:
        return float(file.numbers(f"SoundingGeometry/sounding_{word}", at, (None, None)))

    flag = 0.0 if not file.has("SoundingGeometry/sounding_qual_flag") else value("qual_flag")
    about: dict[str, float] = {"footprint": footprint + 1}
    for word in ("azimuth", "relative_velocity", "polarization_angle"):
        if file.has(f"SoundingGeometry/sounding_{word}"):
            about[f"sounding_{word}"] = value(word)
    land = value("land_fraction") / 100.0 if file.has("SoundingGeometry/sounding_land_fraction") else np.nan
    return Sounding(
        name,
        tai93_time(value("time_tai93")),
        value("latitude"),
        value("longitude"),
        value("altitude"),
        value("solar_zenith"),
        value("solar_azimuth"),
        value("zenith"),
        tuple(
            _spectrum(file, _detector(file.path, stamp, k, footprint), at, band)
            for k, band in enumerate(BANDS)
        ),
        platform,
        land_fraction=land,
        rejected="" if flag == 0.0 else f"sounding_qual_flag {flag:.0f}",
        about=about,
    )


def _spectrum(file: Level1, detector: _Detector, at: tuple[int, int], band: str) -> Spectrum:
    stored = f"SoundingMeasurements/radiance_{band}"
    unit = file.unit(stored, _UNITS)
    radiance = file.numbers(stored, at, (None, None, len(detector.wavelength)))
    noise = detector.noise(radiance)
    with np.errstate(invalid="ignore"):
        faults = {
            "bad_sample": detector.bad,
            "saturated": radiance >= detector.most,
            "no_noise_told": np.isfinite(radiance) & ~(noise > 0.0),
        }
    return Spectrum(
        detector.wavenumber[::-1].copy(),
        radiance[::-1].copy(),
        {},
        file.path,
        band,
        unit,
        noise[::-1].copy(),
        {name: fault[::-1].copy() for name, fault in faults.items()},
        detector.offset,
        detector.response,
    )
