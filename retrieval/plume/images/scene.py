"""One image of a gas: columns on the rows and columns of a swath, with what turns them into mass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obsnet.errors import RangeError, SchemaError
from obsnet.sphere import EARTH_RADIUS
from obsnet.typing import Bools, Floats

__all__ = ["Scene", "local_plane", "pixel_areas"]

_LEAST = 5  # rows and columns; less is a track, see `retrieval.plume.rates.transect`


@dataclass(frozen=True, eq=False)
class Scene:
    """Columns of one overpass on a swath.

    Parameters
    ----------
    name : str
        In tables and file names.
    species : str
        Formula.
    time : numpy.datetime64
        UTC, middle.
    latitude, longitude : ndarray, shape (row, column)
        Middles of the pixels, degrees.
    value, uncertainty : ndarray, shape (row, column)
        Dry column mole fraction in the species' customary unit and its random error; NaN where not to be used.
    area : ndarray, shape (row, column)
        Of the pixels, m2.
    mass : ndarray, shape (row, column)
        kg m-2 per customary unit; see `retrieval.plume.images.amounts.mass_per_unit`.
    conversion_error : float
        Relative error of `mass`, the same in all pixels.
    no2, no2_uncertainty : ndarray, optional, shape (row, column)
        Columns of NO2 in any one unit: only where they are raised is used.
    notes : tuple of str
        What was assumed.

    Raises
    ------
    SchemaError
        Shapes differ, or there are too few rows or columns for an image.
    RangeError
        Uncertainties that are zero or negative.
    """

    name: str
    species: str
    time: np.datetime64
    latitude: Floats
    longitude: Floats
    value: Floats
    uncertainty: Floats
    area: Floats
    mass: Floats
    conversion_error: float
    no2: Floats | None = None
    no2_uncertainty: Floats | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.value.shape
        if len(shape) != 2 or min(shape) < _LEAST:
            raise SchemaError(
                f"{self.name}: an image needs {_LEAST} rows and columns at least, found shape {shape}"
            )
        for name in ("latitude", "longitude", "uncertainty", "area", "mass", "no2", "no2_uncertainty"):
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise SchemaError(f"{self.name}: {name} has shape {array.shape}, the columns have {shape}")
        if (self.no2 is None) != (self.no2_uncertainty is None):
            raise SchemaError(f"{self.name}: NO2 needs its uncertainty, and the other way round")
        for name in ("uncertainty", "no2_uncertainty"):
            array = getattr(self, name)
            if array is not None and (array <= 0).any():
                raise RangeError(
                    f"{self.name}: {int((array <= 0).sum())} pixels have a {name} that is zero or negative"
                )

    @property
    def valid(self) -> Bools:
        """Pixels that have a value and all that its use needs."""
        parts = (self.value, self.uncertainty, self.area, self.mass, self.latitude, self.longitude)
        return np.asarray(np.logical_and.reduce([np.isfinite(p) for p in parts]))

    @property
    def spacing_km(self) -> tuple[float, float]:
        """Median distance between rows and between columns, km."""
        return _spacing(self.latitude, self.longitude)

    @property
    def pixel_km(self) -> float:
        """Side of a square as large as the median pixel, km."""
        return float(np.sqrt(np.nanmedian(self.area)) / 1e3)

    @property
    def scale(self) -> float:
        """What lengths chosen for pixels of 1 km and more are multiplied by: the pixel in km, 1 at most."""
        return min(1.0, self.pixel_km)


def local_plane(
    latitude: npt.ArrayLike, longitude: npt.ArrayLike, origin: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Return places in km east and north of an origin, by the azimuthal equidistant projection about it.

    Parameters
    ----------
    latitude, longitude : array_like
        Degrees.
    origin : (float, float)
        Latitude and longitude, degrees.

    Returns
    -------
    x, y : ndarray
        km; distance and direction from the origin are exact on the sphere, lengths elsewhere are long by at most
        ``(r / R)**2 / 6``: 0.02 % at 200 km.

    Notes
    -----
    Snyder (1987), Map projections: a working manual, USGS professional paper 1395, eq. 25-2 and 22-4, 22-5.
    """
    phi, lam = (np.deg2rad(np.asarray(a, dtype=np.float64)) for a in (latitude, longitude))
    phi0, lam0 = np.deg2rad(origin)
    east = np.cos(phi) * np.sin(lam - lam0)
    north = np.cos(phi0) * np.sin(phi) - np.sin(phi0) * np.cos(phi) * np.cos(lam - lam0)
    sine = np.hypot(east, north)
    cosine = np.sin(phi0) * np.sin(phi) + np.cos(phi0) * np.cos(phi) * np.cos(lam - lam0)
    arc = np.arctan2(sine, cosine)
    scale = np.where(sine > 0, arc / np.where(sine > 0, sine, 1.0), 1.0) * EARTH_RADIUS / 1e3
    return np.asarray(scale * east), np.asarray(scale * north)


def pixel_areas(
    latitude: Floats,
    longitude: Floats,
    corner_latitude: Floats | None = None,
    corner_longitude: Floats | None = None,
) -> Floats:
    """Return areas of pixels, m2: of their corners where they are known, else of the distances between middles.

    Parameters
    ----------
    latitude, longitude : ndarray, shape (row, column)
        Middles, degrees.
    corner_latitude, corner_longitude : ndarray, optional, shape (row, column, corner)
        In order round the pixel, degrees.

    Raises
    ------
    RangeError
        Corners that cross, or an order that is not round the pixel.
    """
    if corner_latitude is None or corner_longitude is None:
        vectors = []
        for axis in (0, 1):
            dlat = np.gradient(latitude, axis=axis)
            dlon = (np.gradient(np.unwrap(longitude, period=360.0, axis=axis), axis=axis)) * np.cos(
                np.deg2rad(latitude)
            )
            vectors.append((dlon, dlat))
        cross = vectors[0][0] * vectors[1][1] - vectors[0][1] * vectors[1][0]
        return np.asarray(np.abs(cross) * np.deg2rad(1.0) ** 2 * EARTH_RADIUS**2)
    x = (corner_longitude - longitude[..., None] + 180.0) % 360.0 - 180.0
    x = x * np.cos(np.deg2rad(corner_latitude))
    y = corner_latitude - latitude[..., None]
    twice = (x * np.roll(y, -1, axis=-1) - np.roll(x, -1, axis=-1) * y).sum(axis=-1)
    area = 0.5 * np.abs(twice) * np.deg2rad(1.0) ** 2 * EARTH_RADIUS**2
    plain = pixel_areas(latitude, longitude)
    ratio = float(np.nanmedian(area / plain))
    if not 0.5 < ratio < 2.0:
        raise RangeError(
            f"pixel corners enclose {ratio:.2f} times the area that the distances between middles give; they must go "
            "round the pixel"
        )
    return np.asarray(area)


def _spacing(latitude: Floats, longitude: Floats) -> tuple[float, float]:
    steps = []
    for axis in (0, 1):
        dlat = np.diff(latitude, axis=axis)
        dlon = (np.diff(longitude, axis=axis) + 180.0) % 360.0 - 180.0
        middle = np.take(latitude, range(latitude.shape[axis] - 1), axis=axis)
        length = np.hypot(dlat, dlon * np.cos(np.deg2rad(middle)))
        steps.append(float(np.deg2rad(np.nanmedian(length)) * EARTH_RADIUS / 1e3))
    return steps[0], steps[1]
