"""What meteorological variables are called in files: one table, from many names to ours.

Our names and units are the canonical ones below; heat flux is **upward positive**. A name that several
centres use for different things (``z``, ``w``) is told apart by its dimensions and its unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from obsnet.errors import UnitError

__all__ = ["ALIASES", "VARIABLES", "Alias", "MetVariable", "factor"]


@dataclass(frozen=True)
class MetVariable:
    """A canonical variable.

    Parameters
    ----------
    unit : str
        Canonical unit.
    levels : bool
        Has a vertical dimension.
    low, high : float
        Physical range, in `unit`; a value outside is an error that names the file.
    text : str
        For error messages.
    """

    unit: str
    levels: bool
    low: float
    high: float
    text: str


class Window(NamedTuple):
    """Over which time a sum or a mean is taken, seconds since 1970."""

    start: float
    end: float


@dataclass(frozen=True)
class Alias:
    """One name of a variable in files.

    Parameters
    ----------
    variable : str
        Key of `VARIABLES`.
    unit : str
        Unit taken where the file gives none; "" means a file without a unit is refused.
    sign : float
        -1 where the file counts the other direction.
    """

    variable: str
    unit: str = ""
    sign: float = 1.0


VARIABLES = {
    "u": MetVariable("m s-1", True, -150.0, 150.0, "eastward wind"),
    "v": MetVariable("m s-1", True, -150.0, 150.0, "northward wind"),
    "omega": MetVariable("Pa s-1", True, -100.0, 100.0, "pressure vertical velocity"),
    "w": MetVariable("m s-1", True, -50.0, 50.0, "vertical velocity"),
    "t": MetVariable("K", True, 130.0, 350.0, "temperature"),
    "q": MetVariable("kg kg-1", True, -1e-3, 0.06, "specific humidity"),
    "rh": MetVariable("%", True, -20.0, 160.0, "relative humidity"),
    "height": MetVariable("m", True, -1500.0, 90000.0, "geopotential height"),
    "geopotential": MetVariable("m2 s-2", True, -15000.0, 900000.0, "geopotential"),
    "p": MetVariable("Pa", True, 0.0, 120000.0, "pressure on model levels"),
    "delp": MetVariable("Pa", True, 0.0, 10000.0, "pressure thickness of model layers"),
    "sp": MetVariable("Pa", False, 30000.0, 112000.0, "surface pressure"),
    "lnsp": MetVariable("1", False, 10.0, 12.0, "logarithm of surface pressure"),
    "terrain": MetVariable("m", False, -1000.0, 9000.0, "terrain height"),
    "surface_geopotential": MetVariable("m2 s-2", False, -10000.0, 90000.0, "surface geopotential"),
    "t2m": MetVariable("K", False, 180.0, 340.0, "2 m temperature"),
    "u10": MetVariable("m s-1", False, -100.0, 100.0, "10 m eastward wind"),
    "v10": MetVariable("m s-1", False, -100.0, 100.0, "10 m northward wind"),
    "blh": MetVariable("m", False, 0.0, 10000.0, "boundary-layer height"),
    "ustar": MetVariable("m s-1", False, 0.0, 10.0, "friction velocity"),
    "stress_u": MetVariable("N m-2", False, -50.0, 50.0, "eastward surface stress"),
    "stress_v": MetVariable("N m-2", False, -50.0, 50.0, "northward surface stress"),
    "stress_u_accumulated": MetVariable("N m-2 s", False, -1e7, 1e7, "accumulated eastward surface stress"),
    "stress_v_accumulated": MetVariable("N m-2 s", False, -1e7, 1e7, "accumulated northward surface stress"),
    "heat_flux": MetVariable("W m-2", False, -2000.0, 2000.0, "upward sensible heat flux"),
    "heat_flux_accumulated": MetVariable("J m-2", False, -2e8, 2e8, "accumulated upward sensible heat flux"),
    "stress_u_mean": MetVariable("N m-2", False, -50.0, 50.0, "time-mean eastward surface stress"),
    "stress_v_mean": MetVariable("N m-2", False, -50.0, 50.0, "time-mean northward surface stress"),
    "heat_flux_mean": MetVariable("W m-2", False, -2000.0, 2000.0, "time-mean upward sensible heat flux"),
    "roughness": MetVariable("m", False, 0.0, 20.0, "surface roughness length"),
}

ALIASES = {
    # ECMWF short names, netCDF (letter first) and GRIB/CDO (digit first)
    "u": Alias("u"),
    "v": Alias("v"),
    "w": Alias("omega"),
    "t": Alias("t"),
    "q": Alias("q"),
    "r": Alias("rh"),
    "z": Alias("geopotential"),
    "gh": Alias("height"),
    "sp": Alias("sp"),
    "lnsp": Alias("lnsp", "1"),
    "orog": Alias("terrain"),
    "t2m": Alias("t2m"),
    "2t": Alias("t2m"),
    "u10": Alias("u10"),
    "10u": Alias("u10"),
    "v10": Alias("v10"),
    "10v": Alias("v10"),
    "blh": Alias("blh"),
    "zust": Alias("ustar"),
    "iews": Alias("stress_u"),
    "inss": Alias("stress_v"),
    "ewss": Alias("stress_u_accumulated"),
    "nsss": Alias("stress_v_accumulated"),
    "ishf": Alias("heat_flux", sign=-1.0),  # ECMWF counts downward
    "sshf": Alias("heat_flux_accumulated", sign=-1.0),
    "metss": Alias("stress_u_mean"),
    "mntss": Alias("stress_v_mean"),
    "msshf": Alias("heat_flux_mean", sign=-1.0),
    "avg_iews": Alias("stress_u_mean"),
    "avg_inss": Alias("stress_v_mean"),
    "avg_ishf": Alias("heat_flux_mean", sign=-1.0),
    "fsr": Alias("roughness"),
    "sr": Alias("roughness"),
    # GEOS: MERRA-2 and GEOS-FP; tested on made-up files only
    "U": Alias("u"),
    "V": Alias("v"),
    "OMEGA": Alias("omega"),
    "T": Alias("t"),
    "QV": Alias("q"),
    "RH": Alias("rh"),
    "H": Alias("height"),
    "PL": Alias("p"),
    "DELP": Alias("delp"),
    "PS": Alias("sp"),
    "PHIS": Alias("surface_geopotential"),
    "T2M": Alias("t2m"),
    "U10M": Alias("u10", "m s-1"),  # and ARL, without units
    "V10M": Alias("v10", "m s-1"),
    "PBLH": Alias("blh", "m"),
    "USTAR": Alias("ustar"),
    "TAUX": Alias("stress_u"),
    "TAUY": Alias("stress_v"),
    "HFLUX": Alias("heat_flux"),  # upward
    "Z0M": Alias("roughness"),
    # CMIP and CF-style
    "ua": Alias("u"),
    "va": Alias("v"),
    "wap": Alias("omega"),
    "ta": Alias("t"),
    "hus": Alias("q"),
    "hur": Alias("rh"),
    "zg": Alias("height"),
    "ps": Alias("sp"),
    "tas": Alias("t2m"),
    "uas": Alias("u10"),
    "vas": Alias("v10"),
    "hpbl": Alias("blh"),
    "hfss": Alias("heat_flux"),
    # NCEP short names in GRIB, and CMA's (CMA-GFS, CRA-40; tested on made-up messages only)
    "wz": Alias("w"),
    "fricv": Alias("ustar"),
    "shtfl": Alias("heat_flux"),
    "ishf_up": Alias("heat_flux"),
    "avg_shtfl": Alias("heat_flux_mean"),
    "avg_utaua": Alias("stress_u_mean"),
    "avg_vtaua": Alias("stress_v_mean"),
    # ARL four-letter names; that format keeps no units
    "UWND": Alias("u", "m s-1"),
    "VWND": Alias("v", "m s-1"),
    "WWND": Alias("omega", "hPa s-1"),
    "DZDT": Alias("w", "m s-1"),
    "TEMP": Alias("t", "K"),
    "SPHU": Alias("q", "kg kg-1"),
    "RELH": Alias("rh", "%"),
    "HGTS": Alias("height", "m"),
    "PRES": Alias("p", "hPa"),
    "PRSS": Alias("sp", "hPa"),
    "SHGT": Alias("terrain", "m"),
    "T02M": Alias("t2m", "K"),
    "HPBL": Alias("blh", "m"),
    "USTR": Alias("ustar", "m s-1"),
    "SHTF": Alias("heat_flux", "W m-2"),
    "UMOF": Alias("stress_u", "N m-2"),
    "VMOF": Alias("stress_v", "N m-2"),
    "RGHS": Alias("roughness", "m"),
}

# The CF standard name decides where the short name is unknown.
STANDARD_NAMES = {
    "eastward_wind": Alias("u"),
    "northward_wind": Alias("v"),
    "lagrangian_tendency_of_air_pressure": Alias("omega"),
    "upward_air_velocity": Alias("w"),
    "air_temperature": Alias("t"),
    "specific_humidity": Alias("q"),
    "relative_humidity": Alias("rh"),
    "geopotential_height": Alias("height"),
    "geopotential": Alias("geopotential"),
    "surface_air_pressure": Alias("sp"),
    "surface_altitude": Alias("terrain"),
    "atmosphere_boundary_layer_thickness": Alias("blh"),
    "surface_upward_sensible_heat_flux": Alias("heat_flux"),
    "surface_downward_sensible_heat_flux": Alias("heat_flux", sign=-1.0),
    "surface_roughness_length": Alias("roughness"),
}

# Spellings met in practice; anything else goes through the unit registry, which is slower to load.
_FACTORS = {
    "m s-1": {"m s**-1": 1.0, "m/s": 1.0, "m s-1": 1.0},
    "Pa s-1": {"Pa s**-1": 1.0, "Pa/s": 1.0, "Pa s-1": 1.0, "hPa s-1": 100.0, "hPa/s": 100.0},
    "K": {"K": 1.0},
    "kg kg-1": {"kg kg**-1": 1.0, "kg/kg": 1.0, "kg kg-1": 1.0, "1": 1.0, "g kg-1": 1e-3},
    "%": {"%": 1.0, "percent": 1.0, "1": 100.0},
    "m": {"m": 1.0, "gpm": 1.0, "meters": 1.0, "metres": 1.0},
    "m2 s-2": {"m**2 s**-2": 1.0, "m2 s-2": 1.0, "m+2 s-2": 1.0, "m^2/s^2": 1.0},
    "Pa": {"Pa": 1.0, "hPa": 100.0, "mb": 100.0, "mbar": 100.0, "millibars": 100.0, "millibar": 100.0},
    "1": {"1": 1.0, "~": 1.0, "": 1.0, "Numeric": 1.0, "dimensionless": 1.0},
    "N m-2": {"N m**-2": 1.0, "N m-2": 1.0, "Pa": 1.0, "N/m2": 1.0},
    "N m-2 s": {"N m**-2 s": 1.0, "N m-2 s": 1.0, "Pa s": 1.0},
    "W m-2": {"W m**-2": 1.0, "W m-2": 1.0, "W/m2": 1.0},
    "J m-2": {"J m**-2": 1.0, "J m-2": 1.0, "J/m2": 1.0},
}


def factor(unit: str, variable: str) -> float:
    """Return what turns values in `unit` into the canonical unit of `variable`.

    Raises
    ------
    UnitError
        The unit is of another dimension or unknown.
    """
    canonical = VARIABLES[variable].unit
    known = _FACTORS[canonical].get(unit.strip())
    if known is not None:
        return known
    from obsnet.units import conversion_factor

    try:
        return conversion_factor(unit, canonical)
    except UnitError as error:
        raise UnitError(f"{VARIABLES[variable].text} in {unit!r}: expected {canonical} ({error})") from None
