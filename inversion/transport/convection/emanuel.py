"""Which air a column's storms move from where to where: Emanuel's scheme of undilute updrafts that mix episodically.

Air from the layer below the cloud base goes up undilute, a part ``M_i`` of it to each level between cloud base and
level of neutral buoyancy, where it mixes with the air around in all proportions alike. Every mixture rises or sinks to
where it is as dense as the air there. How much goes to a level follows from its buoyancy, how much in all from how
warm a parcel is that arrives just above its cloud base (Emanuel & Zivkovic-Rothman 1999,
doi:10.1175/1520-0469(1999)056<1766:DAEOAC>2.0.CO;2, with the constants of their published subroutine, 4.3c).

For particles it is driven by the weather's profiles as in Forster et al. (2007, doi:10.1175/JAM2470.1), with their
slower closure; downdrafts that rain drives are left out there too. Three things differ on purpose:

- Their cloud-base flux is relaxed from call to call, ``F <- 0.7 F + 0.1 alpha dT``; here it is what that tends to,
  ``alpha dT / 3``, so that it depends on nothing but the column, and forward and backward are the same storms.
- A mixture holds its own shares of cloud and surrounding air, as in Emanuel's tracers, where they let cloud air arrive
  in one step and mixtures leave in the next.
- Cloud air is drawn by mass from all levels below the cloud base whose air would pass there too, not from the one of
  most moist static energy, which may hold less air than goes up within a step.
"""

from __future__ import annotations

import numpy as np

from inversion.transport.convection.parcel import (
    CP_CONDENSED,
    CP_VAPOUR,
    FREEZING,
    R_VAPOUR,
    available_energy,
    cloud_base_pressure,
    geopotential,
    latent_heat,
    lifted,
    saturation,
    virtual,
    warmed,
)
from inversion.transport.kernels.interpolation import jit
from obsnet.constants import CP_DRY_AIR, R_DRY_AIR
from obsnet.typing import Floats

__all__ = ["FLUX_PER_KELVIN", "moving_air"]

# kg m-2 s-1 K-1: 0.1 alpha / 0.3 with Forster et al.'s alpha = 0.025 (Emanuel's 0.2 is for models that feel it).
FLUX_PER_KELVIN = 0.1 * 0.025 / 0.3
NEGATIVE_BUOYANCY = 0.9  # K, that a parcel may have below its level of free convection
LOWEST = 1  # level from which a parcel may come: not the ground itself
COLDEST_ORIGIN, HIGHEST_BASE = 250.0, 2e4  # K, Pa
MIXING = 1.5 * 0.02 / 100.0  # K Pa-1, of mixing by a layer's depth
CLOUD_WATER, NONE_BELOW = (
    0.0011,
    -55.0,
)  # kg/kg that stays in the cloud, falling to 0 at this many degrees Celsius
LARGEST_EFFICIENCY = 0.999
DILUTE = 0.9  # share of surrounding air beyond which a mixture counts as none
LEAST = 0.01  # J kg-1, of a difference in energy


@jit
def _efficiency(celsius: float, water: float) -> float:
    """Return the share of condensed water that rains out."""
    kept = CLOUD_WATER if celsius >= 0.0 else max(CLOUD_WATER * (1.0 - celsius / NONE_BELOW), 0.0)
    return min(max(LARGEST_EFFICIENCY * (1.0 - kept / max(water, 1e-8)), 0.0), LARGEST_EFFICIENCY)


@jit
def _away_from_zero(value: float) -> float:
    return value if abs(value) >= LEAST else LEAST


@jit
def _moist_energy(temperature: Floats, humidity: Floats, potential: Floats) -> Floats:
    """Return the moist static energy of levels but for a constant, J kg-1."""
    out = np.empty(temperature.size)
    for k in range(out.size):
        q = humidity[k]
        heat = CP_DRY_AIR * (1.0 - q) + CP_CONDENSED * q
        out[k] = heat * (temperature[k] - temperature[0]) + latent_heat(temperature[k]) * q + potential[k]
    return out


@jit
def _origin(moist: Floats) -> int:
    """Return the level of most moist static energy below that of least, -1 where it grows all the way up."""
    n = moist.size
    least, at = np.inf, n - 2
    for k in range(LOWEST + 1, n):
        if moist[k] < least and moist[k] < moist[k - 1]:
            least, at = moist[k], k
    if at >= n - 2:
        return -1
    best = LOWEST
    for k in range(LOWEST, at + 1):
        if moist[k] > moist[best]:
            best = k
    return best


@jit
def _source(moist: Floats, origin: int, base: int, spare: float, steep: float, mass: Floats) -> Floats:
    """Return which share of cloud air comes from each level below the cloud base.

    By mass, from all levels whose air would pass there as the parcel does that is `spare` (K) warmer than it need be:
    an excess of moist static energy warms saturated air by ``1 / (cp steep)``.
    """
    out = np.zeros(base)
    for k in range(base):
        if k == origin or (moist[origin] - moist[k]) / (CP_DRY_AIR * steep) < spare:
            out[k] = mass[k]
    return out / out.sum()


@jit
def _steepness(temperature: float, saturated: float) -> float:
    """Return by how much more energy saturated air needs than dry air to be warmed by 1 K."""
    latent = latent_heat(temperature)
    return 1.0 + latent * latent * saturated / (R_VAPOUR * temperature * temperature * CP_DRY_AIR)


@jit
def _mixture(
    i: int,
    j: int,
    air: tuple[Floats, Floats, Floats, Floats],
    cloud_energy: Floats,
    cloud_water: float,
    kept: float,
) -> float:
    """Return the share of surrounding air in the mixture made at level i that is as dense as the air at level j.

    `air` is temperature, humidity, saturation humidity and static energy; `cloud_water` the total water that cloud air
    still has at i, `kept` the condensed water that it may carry at j.
    """
    t, q, saturated, energy = air
    latent = latent_heat(t[j])
    above = energy[j] - cloud_energy[i] + (CP_VAPOUR - CP_DRY_AIR) * t[j] * (cloud_water - q[j])
    below = energy[i] - cloud_energy[i] + (CP_DRY_AIR - CP_VAPOUR) * (q[i] - cloud_water) * t[j]
    share = above / _away_from_zero(below)
    steep = _steepness(t[j], saturated[j])
    condensed = (share * q[i] + (1.0 - share) * cloud_water - saturated[j]) / steep
    if j > i and (share < 0.0 or share > 1.0 or condensed > kept):
        # More condenses than cloud air may carry: the rest rains out.
        above -= latent * (cloud_water - saturated[j] - kept * steep)
        below += latent * (q[i] - cloud_water)
        share = above / _away_from_zero(below)
    return share


@jit
def _spread_out(
    i: int, base: int, top: int, shares: Floats, critical: float, edges: Floats, weights: Floats
) -> bool:
    """Fill in how much of what mixes at level i ends up at each level: mixtures of all shares are as likely.

    A level takes the shares between those of its neighbours, on the saturated or unsaturated side of `critical`, times
    its depth; the weights sum to 1. False where nothing mixes, and all are 0.
    """
    total, lowest = 0.0, 1.0
    for j in range(base, top + 1):
        weights[j] = 0.0
        if not 0.0 < shares[j] < DILUTE:
            continue
        here, over, under = shares[j], shares[j + 1], shares[j - 1]
        if j > i:
            middle = upper = lower = min(here, critical)
            if middle < lowest and over < middle:
                lowest = middle
                upper = min(over, here, critical)
                lower = min(max(under, here), critical)
        else:
            middle, upper, lower = max(here, critical), max(over, critical), max(under, critical)
        weights[j] = (abs(upper - middle) + abs(lower - middle)) * (edges[j] - edges[j + 1])
        total += weights[j]
    if total > 0.0:
        for j in range(base, top + 1):
            weights[j] /= total
    return total > 0.0


@jit
def _critical(
    i: int, air: tuple[Floats, Floats, Floats, Floats], cloud_energy: Floats, cloud_water: float
) -> float:
    """Return the share of surrounding air at which a mixture at level i is just saturated."""
    t, q, saturated, energy = air
    latent = latent_heat(t[i])
    above = energy[i] - cloud_energy[i] - latent * (cloud_water - saturated[i])
    share = above / _away_from_zero(energy[i] - cloud_energy[i] + latent * (q[i] - cloud_water))
    if cloud_water - saturated[i] + share * (q[i] - cloud_water) < 0.0:
        share = 1.0
    return max(share, 0.0)


@jit
def _excess(
    origin: int,
    base: int,
    condensing: float,
    pressure: Floats,
    edges: Floats,
    humidity: Floats,
    virtual_parcel: Floats,
    virtual_air: Floats,
) -> float:
    """Return how much warmer a parcel is than it need be to go on from its cloud base, K; 0 in equilibrium."""
    below, above = base - 1, base + 1
    drop = R_DRY_AIR * (pressure[below] - condensing) / (warmed(humidity[below]) * pressure[below])
    rise = (condensing - pressure[base]) / (pressure[base] - pressure[above])
    around = virtual_air[base] + (virtual_parcel[base] - virtual_parcel[above]) * rise
    layer = 0.0
    for k in range(origin, base):
        layer += (virtual_parcel[k] - virtual_air[k]) * (edges[k] - edges[k + 1])
    layer /= edges[origin] - edges[base]
    return virtual_parcel[below] * (1.0 - drop) - around + NEGATIVE_BUOYANCY + layer


@jit
def moving_air(
    pressure: Floats, temperature: Floats, humidity: Floats, edges: Floats, mass: Floats, moved: Floats
) -> tuple[float, float, int, int]:
    """Fill in how much air storms take from each level to each other.

    Parameters
    ----------
    pressure, temperature, humidity : ndarray of float64, shape (n,)
        Of the column's levels, lowest first; Pa, K, kg/kg.
    edges : ndarray of float64, shape (n + 1,)
        Pressure between them, Pa.
    mass : ndarray of float64, shape (n,)
        Air of each level, kg m-2.
    moved : ndarray of float64, shape (n, n)
        ``moved[i, j]`` is filled with what goes from level i to level j, kg m-2 s-1; what sinks in compensation is not
        in it.

    Returns
    -------
    flux : float
        Through the cloud base, kg m-2 s-1; 0 where nothing is unstable.
    energy : float
        Convective available potential energy of the parcel above its cloud base, J kg-1.
    base, top : int
        First level above the cloud base, and the highest that is reached.
    """
    n = pressure.size
    moved[:, :] = 0.0
    potential = geopotential(pressure, temperature, humidity)
    moist = _moist_energy(temperature, humidity, potential)
    origin = _origin(moist)
    if origin < 0 or temperature[origin] < COLDEST_ORIGIN or humidity[origin] <= 0.0:
        return 0.0, 0.0, 0, 0
    condensing = cloud_base_pressure(pressure[origin], temperature[origin], humidity[origin])
    base = origin + 1
    while base < n and pressure[base] >= condensing:
        base += 1
    if condensing < HIGHEST_BASE or base >= n - 3:
        return 0.0, 0.0, 0, 0
    parcel, virtual_parcel, water = np.zeros(n), np.zeros(n), np.zeros(n)
    lifted(origin, base, pressure, temperature, humidity, potential, parcel, virtual_parcel, water)
    virtual_air, saturated, energy = np.empty(n), np.empty(n), np.empty(n)
    for k in range(n):
        virtual_air[k] = virtual(temperature[k], humidity[k], humidity[k])
        saturated[k] = saturation(pressure[k], temperature[k])
        energy[k] = temperature[k] * warmed(humidity[k]) + potential[k]
    spare = virtual_parcel[base] - virtual_air[base] + NEGATIVE_BUOYANCY
    if spare <= 0.0:
        return 0.0, 0.0, 0, 0
    available, reached, buoyant = available_energy(base + 1, virtual_parcel, virtual_air, pressure, edges)
    top = max(reached, buoyant)
    if top <= base or top >= n - 1:
        return 0.0, available, base, top
    flux = FLUX_PER_KELVIN * max(
        _excess(origin, base, condensing, pressure, edges, humidity, virtual_parcel, virtual_air), 0.0
    )
    if flux <= 0.0:
        return 0.0, available, base, top

    efficiency, cloud_energy, mixing = np.zeros(n), energy.copy(), np.zeros(n)
    for k in range(base, top + 1):
        efficiency[k] = _efficiency(parcel[k] - FREEZING, water[k])
        rained = latent_heat(temperature[k]) + (CP_DRY_AIR - CP_VAPOUR) * temperature[k]
        cloud_energy[k] = energy[origin] + rained * efficiency[k] * water[k]
    for i in range(base + 1, top + 1):
        k = min(i, buoyant)
        mixing[i] = abs(virtual_air[k] - virtual_parcel[k]) + MIXING * (edges[k] - edges[k + 1])
    mixing *= flux / mixing.sum()
    air = (temperature, humidity, saturated, energy)
    shares, weights = np.zeros(n + 1), np.zeros(n)
    steep = _steepness(temperature[base], saturated[base])
    source = _source(moist, origin, base, spare, steep, mass)
    for i in range(base + 1, top + 1):
        cloud_water = humidity[origin] - efficiency[i] * water[i]
        for j in range(base, top + 1):
            kept = water[j] * (1.0 - efficiency[j])
            share = _mixture(i, j, air, cloud_energy, cloud_water, kept)
            shares[j] = 1.0 if i == j else min(max(share, 0.0), 1.0)
        critical = _critical(i, air, cloud_energy, cloud_water)
        if not _spread_out(i, base, top, shares, critical, edges, weights):
            weights[i], shares[i] = 1.0, 0.0  # nothing mixes: cloud air stays at its level
        for j in range(base, top + 1):
            pure = mixing[i] * weights[j]
            if pure > 0.0:
                moved[i, j] += pure * shares[j] / (1.0 - shares[j])
                for k in range(base):
                    moved[k, j] += pure * source[k]
    return flux, available, base, top
