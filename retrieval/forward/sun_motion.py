"""How fast the ground moves towards the Sun: the shift of the Sun's lines among those of the air."""

from __future__ import annotations

import numpy as np

from obsnet.errors import RangeError
from obsnet.sphere import EARTH_RADIUS
from obsnet.times import as_utc

__all__ = ["solar_doppler"]

LIGHT = 299792458.0  # m s-1, exact
UNIT_DISTANCE = 149597870700.0  # m, exact (IAU 2012)
ECCENTRICITY, YEAR = 0.016709, 365.259636 * 86400.0  # of the Earth's orbit; from perihelion to perihelion, s
TURN = 7.292115e-5  # rad s-1, WGS 84


def solar_doppler(time: np.datetime64, latitude: float, zenith: float, azimuth: float) -> float:
    """Return the relative shift of the Sun's lines at the ground, positive while it moves towards the Sun.

    Parameters
    ----------
    time : datetime64
        UTC.
    latitude : float
        Degrees north.
    zenith, azimuth : float
        Of the Sun, degrees; the azimuth from north by east.

    Notes
    -----
    The Earth's turning, ``omega r cos(latitude) sin(zenith) sin(azimuth)``, less the growth of its distance on an
    ellipse, by the mean anomaly of the Astronomical Almanac's low-precision Sun. The pull of the Moon, 12 m s-1,
    is left out. Against a GGG run log within 5e-9.
    """
    if not (-90.0 <= latitude <= 90.0 and 0.0 <= zenith <= 180.0 and np.isfinite(azimuth)):
        raise RangeError(f"no place or Sun: latitude {latitude:g}, zenith {zenith:g}, azimuth {azimuth:g}")
    days = float((as_utc(time) - np.datetime64("2000-01-01T12:00", "us")) / np.timedelta64(1, "D"))
    mean = np.deg2rad(357.528 + 0.9856003 * days)
    true = mean + 2.0 * ECCENTRICITY * np.sin(mean) + 1.25 * ECCENTRICITY**2 * np.sin(2.0 * mean)
    speed = 2.0 * np.pi * UNIT_DISTANCE / (YEAR * np.sqrt(1.0 - ECCENTRICITY**2))
    receding = speed * ECCENTRICITY * np.sin(true)
    p, z, a = np.deg2rad([latitude, zenith, azimuth])
    turning = TURN * EARTH_RADIUS * np.cos(p) * np.sin(z) * np.sin(a)
    return float((turning - receding) / LIGHT)
