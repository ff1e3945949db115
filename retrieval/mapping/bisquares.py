"""Bisquare functions over the sphere, in resolutions: what a field of fixed rank is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from obsnet.errors import RangeError
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.typing import Floats

__all__ = ["Bisquares", "Resolution", "make_basis"]

_APERTURE = 1.5  # radius of a bisquare over the spacing of its centres


@dataclass(frozen=True)
class Resolution:
    """Bisquares of one width.

    Parameters
    ----------
    centres : ndarray, shape (m, 3)
        Unit vectors.
    radius_km : float
        Where the spatial functions reach zero.
    days : ndarray, shape (k,)
        Centres in time.
    radius_days : float
        Where the temporal functions reach zero.
    """

    centres: Floats
    radius_km: float
    days: Floats
    radius_days: float

    def __len__(self) -> int:
        return len(self.centres) * len(self.days)


@dataclass(frozen=True)
class Bisquares:
    """Products of bisquares in space and in time, at several resolutions.

    Parameters
    ----------
    resolutions : tuple of Resolution
        From wide to narrow.
    """

    resolutions: tuple[Resolution, ...]

    def __len__(self) -> int:
        return sum(len(r) for r in self.resolutions)

    def evaluate(
        self, latitude: npt.ArrayLike, longitude: npt.ArrayLike, days: npt.ArrayLike
    ) -> sparse.csr_array:
        """Return S, shape (points, functions); the function's index runs fastest over time."""
        from scipy.spatial import cKDTree

        xyz, when = unit_vectors(latitude, longitude), np.asarray(days, dtype=np.float64)
        points = cKDTree(xyz)
        blocks = []
        for r in self.resolutions:
            reach = 2.0 * np.sin(min(r.radius_km / EARTH_RADIUS_KM / 2.0, np.pi / 2))
            pairs = points.sparse_distance_matrix(cKDTree(r.centres), reach, output_type="coo_matrix")
            km = 2.0 * EARTH_RADIUS_KM * np.arcsin(np.minimum(pairs.data / 2.0, 1.0))
            row, column = pairs.row, pairs.col
            space = (1.0 - np.minimum(km / r.radius_km, 1.0) ** 2) ** 2
            lag = np.abs(when[row][:, None] - r.days[None]) / r.radius_days
            time = np.where(lag < 1.0, (1.0 - np.minimum(lag, 1.0) ** 2) ** 2, 0.0)
            k = len(r.days)
            index = column[:, None] * k + np.arange(k)
            blocks.append(
                sparse.coo_array(
                    ((space[:, None] * time).ravel(), (np.repeat(row, k), index.ravel())),
                    shape=(len(xyz), len(r)),
                )
            )
        matrix = sparse.csr_array(sparse.hstack(blocks, format="csr"))
        matrix.eliminate_zeros()
        return matrix


def make_basis(
    bounds: tuple[float, float, float, float],
    days: tuple[float, float],
    *,
    spacing_km: tuple[float, ...] = (1600.0, 800.0, 400.0),
    spacing_days: float = 4.0,
) -> Bisquares:
    """Spread bisquares over a region and a time.

    Parameters
    ----------
    bounds : (south, north, west, east)
        Degrees; west > east crosses the dateline.
    days : (first, last)
        In the clock of the observations.
    spacing_km : tuple of float
        Distance of the centres, one a resolution.
    spacing_days : float
        Distance of the centres in time, all resolutions.

    Returns
    -------
    Bisquares
        Centres in rows along parallels, every other row shifted by half a step.
    """
    south, north, west, east = bounds
    if west > east:
        east += 360.0
    if not (north > south and east > west and days[1] >= days[0]):
        raise RangeError(f"a basis needs a region and a time, found {bounds} and {days}")
    count = max(round((days[1] - days[0]) / spacing_days), 1)
    step_days = (days[1] - days[0]) / count if days[1] > days[0] else spacing_days
    times = days[0] + step_days * np.arange(count + 1)
    resolutions = []
    for spacing in spacing_km:
        step = np.rad2deg(spacing / EARTH_RADIUS_KM)
        rows = max(round((north - south) / (step * np.sqrt(0.75))), 1)
        places = []
        for i, lat in enumerate(np.linspace(south, north, rows + 1)):
            wide = step / max(np.cos(np.deg2rad(lat)), 0.05)
            columns = max(round((east - west) / wide), 1)
            lon = np.linspace(west, east, columns + 1) + (0.5 * (east - west) / columns if i % 2 else 0.0)
            places.append(unit_vectors(np.full(columns + 1, lat), lon))
        centres = np.asarray(np.unique(np.round(np.concatenate(places), 9), axis=0), np.float64)
        resolutions.append(
            Resolution(centres, _APERTURE * spacing, np.asarray(times, np.float64), _APERTURE * step_days)
        )
    return Bisquares(tuple(resolutions))
