"""A parcel of air that is lifted: where its water condenses, how warm it stays, what energy it sets free.

Moist static energy is conserved and condensed water carried along, as in Emanuel & Zivkovic-Rothman (1999,
doi:10.1175/1520-0469(1999)056<1766:DAEOAC>2.0.CO;2); saturation over water is Bolton's (1980, Mon. Weather Rev. 108,
1046, doi:10.1175/1520-0493(1980)108<1046:TCOEPT>2.0.CO;2), below freezing that over ice.
"""

from __future__ import annotations

import numpy as np

from inversion.transport.kernels.interpolation import jit
from obsnet.constants import CP_DRY_AIR, MOLAR_GAS_CONSTANT, MOLAR_MASS_WATER, R_DRY_AIR
from obsnet.typing import Floats

__all__ = [
    "CP_CONDENSED",
    "CP_VAPOUR",
    "FREEZING",
    "R_VAPOUR",
    "available_energy",
    "cloud_base_pressure",
    "geopotential",
    "latent_heat",
    "lifted",
    "saturation",
    "virtual",
    "warmed",
]

FREEZING = 273.15  # K
R_VAPOUR = MOLAR_GAS_CONSTANT / MOLAR_MASS_WATER  # J kg-1 K-1
EPSILON = R_DRY_AIR / R_VAPOUR
# J kg-1 K-1 and J kg-1, of Emanuel & Zivkovic-Rothman's code; the heat capacity of condensed water is between that of
# water and of ice.
CP_VAPOUR, CP_CONDENSED, LATENT_HEAT_AT_FREEZING = 1870.0, 2500.0, 2.501e6
COLDEST = 35.0  # K, of a lifted parcel


@jit
def saturation(pressure: float, temperature: float) -> float:
    """Return the specific humidity (kg/kg) of saturated air."""
    celsius = temperature - FREEZING
    if celsius >= 0.0:
        vapour = 611.2 * np.exp(17.67 * celsius / (243.5 + celsius))
    else:
        vapour = 100.0 * np.exp(23.33086 - 6111.72784 / temperature + 0.15215 * np.log(temperature))
    vapour = min(vapour, 0.5 * pressure)
    return EPSILON * vapour / (pressure - (1.0 - EPSILON) * vapour)


@jit
def latent_heat(temperature: float) -> float:
    """Return the latent heat of vaporisation, J kg-1."""
    return LATENT_HEAT_AT_FREEZING - (CP_CONDENSED - CP_VAPOUR) * (temperature - FREEZING)


@jit
def virtual(temperature: float, vapour: float, total: float) -> float:
    """Return the temperature (K) of dry air as light as air with so much vapour and water in all, kg/kg."""
    return temperature * (1.0 - total + vapour / EPSILON)


@jit
def warmed(humidity: float) -> float:
    """Return the heat capacity of moist air, J kg-1 K-1."""
    return CP_DRY_AIR * (1.0 - humidity) + CP_VAPOUR * humidity


@jit
def geopotential(pressure: Floats, temperature: Floats, humidity: Floats) -> Floats:
    """Return the geopotential of levels above the lowest, J kg-1, by the hypsometric equation."""
    out = np.zeros(pressure.size)
    for k in range(1, pressure.size):
        mean = 0.5 * (
            virtual(temperature[k], humidity[k], humidity[k])
            + virtual(temperature[k - 1], humidity[k - 1], humidity[k - 1])
        )
        out[k] = out[k - 1] + R_DRY_AIR * mean * np.log(pressure[k - 1] / pressure[k])
    return out


@jit
def cloud_base_pressure(pressure: float, temperature: float, humidity: float) -> float:
    """Return the pressure (Pa) at which a parcel condenses, within 0.2 % of Bolton's (Emanuel & Zivkovic-Rothman)."""
    relative = min(humidity / saturation(pressure, temperature), 1.0)
    return pressure * relative ** (temperature / (1669.0 - 122.0 * relative - temperature))


@jit
def lifted(
    origin: int,
    base: int,
    pressure: Floats,
    temperature: Floats,
    humidity: Floats,
    potential: Floats,
    parcel: Floats,
    virtual_parcel: Floats,
    water: Floats,
) -> None:
    """Lift a parcel from a level to all those above.

    Parameters
    ----------
    origin, base : int
        Level that it comes from, and the first one above its cloud base.
    pressure, temperature, humidity, potential : ndarray of float64, shape (n,)
        The air around: Pa, K, kg/kg, J kg-1, lowest first.
    parcel, virtual_parcel, water : ndarray of float64, shape (n,)
        Filled from `origin` on: temperature (K), virtual temperature less the weight of condensed water (K), and
        condensed water (kg/kg).
    """
    q = humidity[origin]
    heat = CP_DRY_AIR * (1.0 - q) + CP_CONDENSED * q
    energy = heat * temperature[origin] + q * latent_heat(temperature[origin]) + potential[origin]
    for k in range(origin, pressure.size):
        if k < base:
            t = temperature[origin] - (potential[k] - potential[origin]) / warmed(q)
            vapour = q
        else:
            t = temperature[k]
            vapour = 0.0
            for _ in range(4):  # Newton's steps; the second is within 0.05 K
                vapour = saturation(pressure[k], t)
                latent = latent_heat(t)
                rise = latent * latent * vapour / (R_VAPOUR * t * t)
                off = energy - heat * t - latent * vapour - potential[k]
                t = max(t + off / (heat + rise), COLDEST)
            vapour = min(saturation(pressure[k], t), q)
        parcel[k], water[k] = t, q - vapour
        virtual_parcel[k] = virtual(t, vapour, q)


@jit
def available_energy(
    start: int, virtual_parcel: Floats, virtual_air: Floats, pressure: Floats, edges: Floats
) -> tuple[float, int, int]:
    """Return the convective available potential energy above a level, how high it lasts, and the highest buoyant level.

    Parameters
    ----------
    start : int
        First level that counts.
    virtual_parcel, virtual_air, pressure : ndarray of float64, shape (n,)
        K, K and Pa at levels.
    edges : ndarray of float64, shape (n + 1,)
        Pressure between them, Pa.

    Returns
    -------
    energy : float
        J kg-1, the highest that is reached.
    reached, buoyant : int
        The level above the last where the sum is positive, and above the last where the parcel is lighter.
    """
    total = best = 0.0
    reached = buoyant = start
    for k in range(start, pressure.size - 2):
        gain = R_DRY_AIR * (virtual_parcel[k] - virtual_air[k]) * (edges[k] - edges[k + 1]) / pressure[k]
        total += gain
        if gain >= 0.0:
            buoyant = k + 1
        if total > 0.0:
            reached = k + 1
        best = max(best, total)
    return best, reached, buoyant
