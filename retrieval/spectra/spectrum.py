"""What every reader of spectra returns: a spectrum in order of wavenumber, and the sounding that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from obsnet.errors import FormatError, RangeError, SchemaError
from obsnet.typing import Bools, Floats

__all__ = ["Sounding", "Spectrum", "tai93_time"]

# Seconds by which TAI - UTC had grown since 1993 began, from these days on; IERS Bulletin C.
_LEAPS = (
    "1993-07-01", "1994-07-01", "1996-01-01", "1997-07-01", "1999-01-01",
    "2006-01-01", "2009-01-01", "2012-07-01", "2015-07-01", "2017-01-01",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A spectrum and what its file says of it.

    Parameters
    ----------
    wavenumber : ndarray, shape (points,)
        cm-1 in vacuum, increasing, as the instrument states it (moving as it moves).
    radiance : ndarray, shape (points,)
        In `unit`; NaN where the file has none.
    parameters : dict
        What else the file says, by its own names (OPUS: three letters; one that stands in several blocks keeps its
        last value).
    path : str
        File.
    name : str
        Of the band, as the file has it.
    unit : str
        As the file states it; ``"arbitrary"`` for what was never calibrated.
    noise : ndarray, shape (points,), optional
        Standard deviation in the same unit; None where the file does not tell.
    faults : dict of str to ndarray of bool, shape (points,)
        Channels that cannot be used, by reason; see `good`.
    shape_offset, shape_response : ndarray, shape (points, k), optional
        Line shape of each channel: cm-1 from its centre, increasing, and response in any unit.
    """

    wavenumber: Floats
    radiance: Floats
    parameters: dict[str, Any]
    path: str
    name: str = ""
    unit: str = "arbitrary"
    noise: Floats | None = None
    faults: Mapping[str, Bools] = field(default_factory=dict)
    shape_offset: Floats | None = None
    shape_response: Floats | None = None

    def __post_init__(self) -> None:
        n = len(self.wavenumber)
        if n < 2 or not (np.diff(self.wavenumber) > 0.0).all():
            raise RangeError(
                f"{self.path}: wavenumbers of {self.name or 'the spectrum'} do not increase from {n} points; "
                "are the coefficients of the dispersion damaged?"
            )
        for what, values in (("radiance", self.radiance), ("noise", self.noise), *self.faults.items()):
            if values is not None and values.shape != (n,):
                raise SchemaError(f"{self.path}: {what} of shape {values.shape} for {n} channels")

    @property
    def good(self) -> Bools:
        """Channels with a finite radiance and no fault, shape (points,)."""
        good: Bools = np.isfinite(self.radiance)
        for fault in self.faults.values():
            good = good & ~fault
        return good

    @property
    def left_out(self) -> dict[str, int]:
        """How many channels cannot be used, by reason."""
        counts = {"not_finite": int((~np.isfinite(self.radiance)).sum())}
        counts |= {name: int(fault.sum()) for name, fault in self.faults.items()}
        return {name: n for name, n in counts.items() if n}

    def between(self, low: float, high: float) -> Spectrum:
        """Return a window, cm-1.

        Raises
        ------
        FormatError
            The spectrum does not reach that far.
        """
        if not (self.wavenumber[0] <= low < high <= self.wavenumber[-1]):
            raise FormatError(
                f"{self.path}: asked for {low:g} to {high:g} cm-1, the spectrum spans {self.wavenumber[0]:g} to "
                f"{self.wavenumber[-1]:g}"
            )
        keep = (self.wavenumber >= low) & (self.wavenumber <= high)

        def part(values: Floats | None) -> Floats | None:
            return None if values is None else values[keep]

        return replace(
            self,
            wavenumber=self.wavenumber[keep],
            radiance=self.radiance[keep],
            noise=part(self.noise),
            faults={name: fault[keep] for name, fault in self.faults.items()},
            shape_offset=part(self.shape_offset),
            shape_response=part(self.shape_response),
        )


@dataclass(frozen=True, eq=False)
class Sounding:
    """Spectra of one place and time, and how the light went.

    Parameters
    ----------
    identity : str
        The instrument's own name.
    time : datetime64
        UTC, middle.
    latitude, longitude, altitude : float
        Degrees north and east, m above sea level: of the ground that is seen, or of who looks into the Sun.
    sun, sun_azimuth : float
        Zenith angle of the Sun and its azimuth from north by east, degrees.
    view : float, optional
        Zenith angle of the satellite at the ground, degrees; None who looks into the Sun.
    spectra : tuple of Spectrum
        One a band.
    platform : str
        Instrument.
    land_fraction : float
        0 to 1; NaN where the file does not tell.
    rejected : str
        Why the producer rejects the sounding; empty where it does not.
    about : dict
        What else the file says, for the output: polarisation, velocity, gain …
    """

    identity: str
    time: np.datetime64
    latitude: float
    longitude: float
    altitude: float
    sun: float
    sun_azimuth: float
    view: float | None
    spectra: tuple[Spectrum, ...]
    platform: str
    land_fraction: float = np.nan
    rejected: str = ""
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        limits = {
            "latitude": (self.latitude, -90.0, 90.0),
            "longitude": (self.longitude, -180.0, 360.0),
            "altitude": (self.altitude, -500.0, 9000.0),
            "solar zenith": (self.sun, 0.0, 90.0),
            "solar azimuth": (self.sun_azimuth, -360.0, 360.0),
            "zenith": (0.0 if self.view is None else self.view, 0.0, 90.0),
        }
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise RangeError(
                    f"sounding {self.identity}: {name} is {value:g}, must lie in {low:g} to {high:g}"
                )
        if np.isnat(self.time):
            raise RangeError(f"sounding {self.identity}: no time")

    def covering(self, low: float, high: float) -> Spectrum:
        """Return the spectrum that has a window, cm-1.

        Raises
        ------
        FormatError
            None of the spectra reaches that far.
        """
        for spectrum in self.spectra:
            if spectrum.wavenumber[0] <= low < high <= spectrum.wavenumber[-1]:
                return spectrum
        there = ", ".join(f"{s.name} {s.wavenumber[0]:g} to {s.wavenumber[-1]:g}" for s in self.spectra)
        raise FormatError(
            f"{self.spectra[0].path}: no spectrum spans {low:g} to {high:g} cm-1; there is {there}"
        )


def tai93_time(seconds: float) -> np.datetime64:
    """Return UTC of seconds of atomic time since 1993-01-01T00:00:00 UTC; NaT where they are not finite.

    Examples
    --------
    >>> tai93_time(541050593.0)  # seven leap seconds later
    np.datetime64('2010-02-23T03:49:46.000000')
    """
    if not np.isfinite(seconds) or not 0.0 < seconds < 4e9:
        return np.datetime64("NaT", "us")
    naive = np.datetime64("1993-01-01", "us") + np.timedelta64(round(seconds * 1e6), "us")
    for before, day in enumerate(_LEAPS):
        if naive < np.datetime64(day, "us") + np.timedelta64(before + 1, "s"):
            return naive - np.timedelta64(before, "s")
    return naive - np.timedelta64(len(_LEAPS), "s")
