"""Layers of air: dry air between pressure levels with gravity by height and latitude, and light paths through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obsnet.constants import MOLAR_GAS_CONSTANT, MOLAR_MASS_DRY_AIR, MOLAR_MASS_WATER
from obsnet.errors import RangeError, SchemaError
from obsnet.sphere import EARTH_RADIUS
from obsnet.typing import Floats
from retrieval.columns.pressure_weights import check_pressure, dry_air_columns

__all__ = ["Layers", "gravity", "make_layers", "refractivity", "slant_factors"]

AVOGADRO = 6.02214076e23  # mol-1; CODATA 2018, exact


@dataclass(frozen=True)
class Layers:
    """Layers between levels, surface first.

    Parameters
    ----------
    pressure_edges : ndarray, shape (layers + 1,)
        hPa.
    pressure, temperature, water : ndarray, shape (layers,)
        Means: hPa, K, mole fraction of water vapour by dry air.
    altitude : ndarray, shape (layers + 1,)
        Of the edges, m above sea level.
    edge_temperature : ndarray, shape (layers + 1,)
        K.
    dry_air : ndarray, shape (layers,)
        Molecules cm-2.
    gravity : ndarray, shape (layers,)
        m s-2.
    """

    pressure_edges: Floats
    pressure: Floats
    temperature: Floats
    water: Floats
    altitude: Floats
    edge_temperature: Floats
    dry_air: Floats
    gravity: Floats

    @property
    def specific_humidity(self) -> Floats:
        """Water vapour of the layers, kg per kg of moist air."""
        ratio = self.water * MOLAR_MASS_WATER / MOLAR_MASS_DRY_AIR
        return np.asarray(ratio / (1.0 + ratio))


def gravity(latitude: npt.ArrayLike, altitude: npt.ArrayLike) -> Floats:
    """Return the acceleration of gravity, m s-2, at degrees north and m above the ellipsoid.

    Notes
    -----
    Somigliana's formula and second-order free-air correction with the constants of WGS 84 (NGA.STND.0036_1.0.0_WGS84,
    2014).
    """
    s = np.sin(np.deg2rad(np.asarray(latitude, dtype=np.float64))) ** 2
    z = np.asarray(altitude, dtype=np.float64)
    surface = 9.7803253359 * (1.0 + 0.00193185265241 * s) / np.sqrt(1.0 - 0.00669437999014 * s)
    a, flattening, m = 6378137.0, 1.0 / 298.257223563, 0.00344978650684
    free = 1.0 - 2.0 / a * (1.0 + flattening + m - 2.0 * flattening * s) * z + 3.0 * z**2 / a**2
    return np.asarray(surface * free)


def make_layers(
    pressure: npt.ArrayLike,
    temperature: npt.ArrayLike,
    water: npt.ArrayLike,
    *,
    latitude: float,
    altitude: float,
) -> Layers:
    """Return the layers between levels, in hydrostatic balance.

    Parameters
    ----------
    pressure : array_like, shape (levels,)
        hPa, surface first.
    temperature : array_like, shape (levels,)
        K.
    water : array_like, shape (levels,)
        Mole fraction of water vapour by **dry** air.
    latitude : float
        Degrees north.
    altitude : float
        Of the first level, m.

    Raises
    ------
    SchemaError
        Shapes that do not fit.
    RangeError
        Pressure that is not surface first in hPa, temperatures outside 150 to 350 K, water outside 0 to 0.1.

    Notes
    -----
    Layer means are those of the edges; the thickness of a layer is ``R T_v / (M g) ln(p_below / p_above)``.
    """
    p = check_pressure(pressure, "pressure")
    t, w = np.asarray(temperature, dtype=np.float64), np.asarray(water, dtype=np.float64)
    if p.ndim != 1 or t.shape != p.shape or w.shape != p.shape:
        raise SchemaError(
            f"levels of one sounding are wanted, found shapes {p.shape}, {t.shape} and {w.shape}"
        )
    if p[-1] <= 0.0:
        raise RangeError("the highest level must lie above 0 hPa")
    for name, values, low, high in (("temperature", t, 150.0, 350.0), ("water", w, 0.0, 0.1)):
        if not ((values >= low) & (values <= high)).all():
            raise RangeError(
                f"{name} must lie within {low:g} and {high:g}, found {values.min():g} to {values.max():g}"
            )
    mean_t, mean_w = 0.5 * (t[1:] + t[:-1]), 0.5 * (w[1:] + w[:-1])
    ratio = mean_w * MOLAR_MASS_WATER / MOLAR_MASS_DRY_AIR
    molar = MOLAR_MASS_DRY_AIR * (1.0 + ratio) / (1.0 + mean_w)  # of moist air
    heights, pulls = [float(altitude)], []
    for layer in range(len(mean_t)):
        scale = MOLAR_GAS_CONSTANT * mean_t[layer] / molar[layer] * np.log(p[layer] / p[layer + 1])
        thick = scale / float(gravity(latitude, heights[-1]))
        for _ in range(3):
            middle = float(gravity(latitude, heights[-1] + 0.5 * thick))
            thick = scale / middle
        heights.append(heights[-1] + thick)
        pulls.append(middle)
    g = np.array(pulls)
    dry = dry_air_columns(p, ratio / (1.0 + ratio), gravity=g) * AVOGADRO * 1e-4
    return Layers(p, 0.5 * (p[1:] + p[:-1]), mean_t, mean_w, np.array(heights), t, dry, g)


def refractivity(pressure: npt.ArrayLike, temperature: npt.ArrayLike, wavenumber: float) -> Floats:
    """Return n - 1 of dry air at hPa, K and cm-1.

    Notes
    -----
    Edlen (1966), doi:10.1088/0026-1394/2/2/002, eq. 1, scaled by density from 15 C and 1013.25 hPa.
    """
    s = (wavenumber * 1e-4) ** 2
    standard = 1e-8 * (8342.13 + 2406030.0 / (130.0 - s) + 15997.0 / (38.9 - s))
    density = np.asarray(pressure, np.float64) / 1013.25 * 288.15 / np.asarray(temperature, np.float64)
    return np.asarray(standard * density)


def slant_factors(layers: Layers, zenith: float, wavenumber: float, *, apparent: bool = False) -> Floats:
    """Return the length of a light path through each layer by its thickness.

    Parameters
    ----------
    layers : Layers
        Spherical shells.
    zenith : float
        Zenith angle at the lowest edge, degrees below 90.
    wavenumber : float
        cm-1, for refraction.
    apparent : bool
        Whether the angle is that of the light as it arrives, or that of the straight line to the Sun: then the angle
        of arrival is found by the bending along the path.

    Returns
    -------
    ndarray of float64, shape (layers,)

    Raises
    ------
    RangeError
        An angle of 90 degrees or more.

    Notes
    -----
    ``n r sin(zenith)`` is constant along a ray. Layers are cut into shells of equal thickness; the refractivity is
    exponential in height within a layer.
    """
    if not 0.0 <= zenith < 90.0:
        raise RangeError(f"zenith angle must lie within 0 and 90 degrees, found {zenith:g}")
    angle = zenith
    for _ in range(1 if apparent else 20):
        factors, bending = _trace(layers, np.deg2rad(angle), wavenumber)
        if apparent or abs(angle + bending - zenith) < 1e-9:
            break
        angle = zenith - bending
    return factors


def _trace(layers: Layers, angle: float, wavenumber: float, cuts: int = 40) -> tuple[Floats, float]:
    """Return slant factors and the bending in degrees of a ray that arrives at an apparent zenith angle."""
    r = EARTH_RADIUS + layers.altitude
    log_n = np.log(refractivity(layers.pressure_edges, layers.edge_temperature, wavenumber))
    share = (np.arange(cuts) + 0.5) / cuts
    radius = r[:-1, None] + np.diff(r)[:, None] * share
    slope = np.diff(log_n) / np.diff(r)
    small = np.exp(log_n[:-1, None] + np.diff(log_n)[:, None] * share)
    invariant = (1.0 + np.exp(log_n[0])) * r[0] * np.sin(angle)
    sine = invariant / ((1.0 + small) * radius)
    cosine = np.sqrt(1.0 - sine**2)
    bend = -(slope[:, None] * small) / (1.0 + small) * sine / cosine * (np.diff(r)[:, None] / cuts)
    return np.mean(1.0 / cosine, axis=1), float(np.rad2deg(bend.sum()))
