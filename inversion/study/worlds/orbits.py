"""Where satellites look: ground tracks of circular orbits with J2, swaths, sunlight.

Kepler's law and the secular drifts of a circular orbit under the Earth's oblateness (Vallado 2013, Fundamentals
of Astrodynamics and Applications, 4th ed., section 9.6): good to minutes and kilometres over months, which is
what a design study needs; it says nothing of where a real satellite was on a given day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obsnet.errors import RangeError
from obsnet.sphere import EARTH_RADIUS_KM
from obsnet.times import to_epoch
from obsnet.typing import Bools, Floats, Ints

__all__ = ["Orbit", "across_track", "ground_track", "sun_elevation"]

_MU = 398600.4418  # km3 s-2, gravitational constant of the Earth; WGS84
_RADIUS = 6378.137  # km, equatorial; WGS84
_J2 = 1.08262668e-3  # oblateness; EGM96
_YEAR = 365.2421897  # days, tropical year (IAU)
_SUN = 2.0 * np.pi / (_YEAR * 86400.0)  # rad s-1, mean sun against the stars


@dataclass(frozen=True)
class Orbit:
    """A circular orbit.

    Parameters
    ----------
    altitude_km : float
        Above the equatorial radius.
    inclination : float or None
        Degrees; None for sun-synchronous.

    Raises
    ------
    RangeError
        An altitude outside 200 to 2000 km, or too high to be sun-synchronous.
    """

    altitude_km: float
    inclination: float | None = None

    def __post_init__(self) -> None:
        if not 200.0 <= self.altitude_km <= 2000.0:
            raise RangeError(f"an orbit's altitude is 200 to 2000 km, found {self.altitude_km:g}")

    @property
    def _axis(self) -> float:
        return _RADIUS + self.altitude_km

    @property
    def _mean_motion(self) -> float:
        return float(np.sqrt(_MU / self._axis**3))

    @property
    def _oblate(self) -> float:
        """Drift of the node, rad s-1, per minus cosine of the inclination."""
        return 1.5 * _J2 * (_RADIUS / self._axis) ** 2 * self._mean_motion

    @property
    def tilt(self) -> float:
        """Inclination in radians."""
        if self.inclination is not None:
            return float(np.deg2rad(self.inclination))
        return float(np.arccos(-_SUN / self._oblate))

    @property
    def node_drift(self) -> float:
        """Drift of the node against the mean sun, rad s-1; 0 for sun-synchronous."""
        return 0.0 if self.inclination is None else -self._oblate * float(np.cos(self.tilt)) - _SUN

    @property
    def nodal_motion(self) -> float:
        """Angle from the ascending node gained in a second, rad s-1."""
        n, c = self._mean_motion, float(np.cos(self.tilt))
        return n * (1.0 + 1.5 * _J2 * (_RADIUS / self._axis) ** 2 * (4.0 * c * c - 1.0))

    @property
    def period_minutes(self) -> float:
        """Time from ascending node to ascending node."""
        return 2.0 * np.pi / self.nodal_motion / 60.0


def ground_track(
    orbit: Orbit, start: np.datetime64, seconds: Floats, *, ascending_hour: float, phase: float = 0.0
) -> tuple[Floats, Floats, Floats, Ints, Bools]:
    """Return where a satellite is above.

    Parameters
    ----------
    orbit : Orbit
        Of the satellite.
    start : datetime64
        UTC.
    seconds : ndarray, shape (n,)
        After `start`.
    ascending_hour : float
        Mean local solar time of the ascending node at `start`, hours.
    phase : float
        Angle from the ascending node at `start`, radians.

    Returns
    -------
    lat, lon, heading : ndarray, shape (n,)
        Degrees; geocentric latitude; heading clockwise from north over the turning Earth.
    number : ndarray of int
        Orbit, counted from the ascending node.
    ascending : ndarray of bool
    """
    u = phase + orbit.nodal_motion * seconds
    i = orbit.tilt
    lat = np.arcsin(np.sin(i) * np.sin(u))
    east = np.arctan2(np.cos(i) * np.sin(u), np.cos(u))
    hours = (float(to_epoch(start)) + seconds) / 3600.0
    node = np.deg2rad(15.0 * (ascending_hour - hours)) + orbit.node_drift * seconds
    lon = np.mod(np.rad2deg(node + east) + 180.0, 360.0) - 180.0
    # velocity over the ground: the orbit's in a plane that stands still, less the Earth's turning below it
    north = orbit.nodal_motion * np.sin(i) * np.cos(u) / np.maximum(np.cos(lat), 1e-9)
    turn = 2.0 * np.pi / 86400.0 - orbit.node_drift
    along = orbit.nodal_motion * np.cos(i) / np.maximum(np.cos(lat) ** 2, 1e-9) - turn
    heading = np.mod(np.rad2deg(np.arctan2(along * np.cos(lat), north)), 360.0)
    number = np.floor(u / (2.0 * np.pi)).astype(np.int64)
    return np.rad2deg(lat), lon, heading, number, np.cos(u) > 0.0


def across_track(lat: Floats, lon: Floats, heading: Floats, offset_km: Floats) -> tuple[Floats, Floats]:
    """Return points to the right (positive) or left of a track, on the great circle across it.

    Parameters
    ----------
    lat, lon, heading : ndarray, shape (n,)
        Degrees.
    offset_km : ndarray, shape (k,)
        Distance from the track.

    Returns
    -------
    lat, lon : ndarray, shape (n, k)
    """
    angle = np.asarray(offset_km)[None, :] / EARTH_RADIUS_KM
    bearing = np.deg2rad(np.asarray(heading) + 90.0)[:, None]
    y = np.deg2rad(np.asarray(lat))[:, None]
    sine = np.sin(y) * np.cos(angle) + np.cos(y) * np.sin(angle) * np.cos(bearing)
    there = np.arcsin(np.clip(sine, -1.0, 1.0))
    east = np.arctan2(np.sin(bearing) * np.sin(angle) * np.cos(y), np.cos(angle) - np.sin(y) * np.sin(there))
    return np.rad2deg(there), np.mod(np.asarray(lon)[:, None] + np.rad2deg(east) + 180.0, 360.0) - 180.0


def sun_elevation(times: npt.ArrayLike, lat: Floats, lon: Floats) -> Floats:
    """Return the height of the sun above the horizon, degrees, without the equation of time.

    Parameters
    ----------
    times : array_like of datetime64
        UTC.
    lat, lon : ndarray
        Degrees.

    Notes
    -----
    Declination ``-23.44 cos(2 pi (N + 10) / 365)`` with N the day of the year (Cooper-type formula, to half a
    degree); the equation of time moves noon by at most 17 minutes.
    """
    seconds = to_epoch(times)
    day = np.asarray(times).astype("datetime64[D]")
    of_year = (day - day.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.float64) + 1.0
    declination = np.deg2rad(-23.44 * np.cos(2.0 * np.pi * (of_year + 10.0) / 365.0))
    hour = np.deg2rad(15.0 * (np.mod(seconds / 3600.0 + np.asarray(lon) / 15.0, 24.0) - 12.0))
    y = np.deg2rad(np.asarray(lat))
    sine = np.sin(y) * np.sin(declination) + np.cos(y) * np.cos(declination) * np.cos(hour)
    return np.rad2deg(np.arcsin(np.clip(sine, -1.0, 1.0)))
