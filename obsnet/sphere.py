"""The Earth as a sphere: its radii, places as unit vectors, distances.

Lengths use the mean radius ``R1 = (2 a + b) / 3`` of the WGS84 ellipsoid, areas of small polygons the radius ``R2``
of the sphere that has the ellipsoid's area; both from a = 6378137 m, 1/f = 298.257223563 (Moritz 2000,
doi:10.1007/s001900050278, gives 6371008.7714 and 6371007.1809 for GRS80). Areas of grid cells are the ellipsoid's
own, see `obsnet.grid`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from obsnet.typing import Floats

__all__ = [
    "AREA_RADIUS",
    "EARTH_RADIUS",
    "EARTH_RADIUS_KM",
    "METRES_PER_DEGREE",
    "great_circle_km",
    "unit_vectors",
]

EARTH_RADIUS = 6371008.8  # m, R1
EARTH_RADIUS_KM = EARTH_RADIUS / 1e3
AREA_RADIUS = 6371007.2  # m, R2
METRES_PER_DEGREE = float(np.deg2rad(1.0) * EARTH_RADIUS)  # along a meridian


def unit_vectors(latitude: npt.ArrayLike, longitude: npt.ArrayLike) -> Floats:
    """Return places as vectors from the centre of the Earth.

    Parameters
    ----------
    latitude, longitude : array_like, shape (n,) or ()
        Degrees.

    Returns
    -------
    ndarray, shape (n, 3)
        Of length 1: towards 0 N 0 E, 0 N 90 E, the north pole.

    Examples
    --------
    >>> unit_vectors(90.0, 0.0).round(12).tolist()
    [0.0, 0.0, 1.0]
    """
    phi, lam = (
        np.deg2rad(np.asarray(latitude, dtype=np.float64)),
        np.deg2rad(np.asarray(longitude, np.float64)),
    )
    phi, lam = np.broadcast_arrays(phi, lam)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def great_circle_km(
    latitude: npt.ArrayLike, longitude: npt.ArrayLike, latitude_2: npt.ArrayLike, longitude_2: npt.ArrayLike
) -> Floats:
    """Return distances along the sphere by the haversine formula, which is exact for near places too.

    Parameters
    ----------
    latitude, longitude, latitude_2, longitude_2 : array_like
        Degrees; broadcast.

    Returns
    -------
    ndarray
        km.

    Examples
    --------
    >>> float(great_circle_km(0.0, 179.5, 0.0, -179.5).round(2))
    111.2
    """
    a, b, c, d = (
        np.deg2rad(np.asarray(x, np.float64)) for x in (latitude, longitude, latitude_2, longitude_2)
    )
    h = np.sin((c - a) / 2) ** 2 + np.cos(a) * np.cos(c) * np.sin((d - b) / 2) ** 2
    return np.asarray(2.0 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(h, 1.0))))
