"""From a mole fraction of the column to mass per area, and from kg s-1 to kt a-1, each unit said."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from obsnet.constants import GRAVITY, MOLAR_MASS_DRY_AIR, SECONDS_PER_YEAR
from obsnet.constants import species as species_of
from obsnet.errors import RangeError
from obsnet.typing import Floats
from obsnet.units import conversion_factor

__all__ = ["CONVERSION_ERROR", "DRY_CONVERSION_ERROR", "kt_per_year", "mass_per_unit"]

# Relative. Gravity of the air column against the standard value: +-0.26 % between equator and poles
# (WGS84 normal gravity, 9.780 to 9.832 m s-2), -0.2 % at the height of half the mass.
CONVERSION_ERROR = 0.005
# Without humidity the air is taken as dry: 50 kg m-2 of vapour are 0.5 % of 1e4 kg m-2 of air.
DRY_CONVERSION_ERROR = 0.01


def mass_per_unit(
    surface_pressure: npt.ArrayLike, species: str, *, column_water: npt.ArrayLike | None = None
) -> Floats:
    """Return the mass of a gas per area that one customary unit of its dry column mole fraction stands for.

    Parameters
    ----------
    surface_pressure : array_like
        Pa.
    species : str
        Formula; its customary unit is ppm for CO2, ppb for CH4.
    column_water : array_like, optional
        Water vapour in the column, kg m-2; without it the air is taken as dry.

    Returns
    -------
    ndarray
        kg m-2 per ppm (or ppb), not negative.

    Raises
    ------
    RangeError
        A surface pressure outside 300 to 1120 hPa, as one in hPa is, or water outside 0 to 150 kg m-2.

    Notes
    -----
    The dry air of a column weighs ``m = p_s / g - W`` (hydrostatic, W the water), and the mole fraction X of a gas
    of molar mass M in air of molar mass M_d is ``X m M / M_d`` of mass.

    Examples
    --------
    >>> round(float(mass_per_unit(101325.0, "CO2")), 6)
    0.015699
    """
    pressure = np.asarray(surface_pressure, dtype=np.float64)
    _within(
        pressure, 30000.0, 112000.0, "surface pressure", "Pa; a pressure in hPa must be multiplied by 100"
    )
    water = np.zeros(()) if column_water is None else np.asarray(column_water, dtype=np.float64)
    _within(water, 0.0, 150.0, "water vapour of the column", "kg m-2")
    gas = species_of(species)
    per_mole = conversion_factor(gas.unit, "mol mol-1") * gas.molar_mass / MOLAR_MASS_DRY_AIR
    return np.asarray(per_mole * (pressure / GRAVITY - water))


def kt_per_year(rate: npt.ArrayLike) -> Floats:
    """Return kg s-1 as kt a-1: what the source would emit in a mean Gregorian year at this rate.

    Parameters
    ----------
    rate : array_like
        kg s-1.

    Examples
    --------
    >>> round(float(kt_per_year(1.0)), 3)
    31.557
    """
    return np.asarray(np.asarray(rate, dtype=np.float64) * SECONDS_PER_YEAR * 1e-6)


def _within(values: Floats, low: float, high: float, what: str, unit: str) -> None:
    with np.errstate(invalid="ignore"):
        outside = (values < low) | (values > high)
    if outside.any():
        raise RangeError(
            f"{what} must lie within {low:g} and {high:g} {unit}; found {values[outside].flat[0]:g}"
        )
