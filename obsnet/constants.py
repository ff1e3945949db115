"""Physical constants and the table of substances, each with its source."""

from __future__ import annotations

from dataclasses import dataclass

from obsnet.errors import ConfigError, nearest

__all__ = [
    "CP_DRY_AIR",
    "GRAVITY",
    "GWP100_SET",
    "MOLAR_GAS_CONSTANT",
    "MOLAR_MASS_CARBON",
    "MOLAR_MASS_DRY_AIR",
    "MOLAR_MASS_WATER",
    "R_DRY_AIR",
    "SECONDS_PER_YEAR",
    "SPECIES",
    "VON_KARMAN",
    "Species",
    "species",
]

MOLAR_GAS_CONSTANT = 8.314462618  # J mol-1 K-1, molar gas constant; CODATA 2018
GRAVITY = 9.80665  # m s-2, standard gravity; CGPM 1901
MOLAR_MASS_DRY_AIR = 0.0289647  # kg mol-1; Picard et al. 2008, Metrologia 45, 149, CO2 of 400 ppm to 4 digits
MOLAR_MASS_WATER = 0.01801528  # kg mol-1; IUPAC 2013
MOLAR_MASS_CARBON = 0.0120107  # kg mol-1; IUPAC 2013
R_DRY_AIR = MOLAR_GAS_CONSTANT / MOLAR_MASS_DRY_AIR  # J kg-1 K-1
CP_DRY_AIR = 3.5 * R_DRY_AIR  # J kg-1 K-1, ideal diatomic gas
VON_KARMAN = 0.4
SECONDS_PER_YEAR = 365.2425 * 86400.0  # Gregorian mean year
GWP100_SET = "AR5"


@dataclass(frozen=True)
class Species:
    """A substance and what may be believed of it.

    Parameters
    ----------
    name : str
        Upper-case formula, ``"CO2"``.
    molar_mass : float
        kg mol-1.
    unit : str
        Customary unit of a dry mole fraction as a CF number: ``"1e-6"`` (ppm) or ``"1e-9"`` (ppb).
    unit_name : str
        The same for people: ``"ppm"``.
    column_range, point_range : tuple of float
        Physical range of a column average and of a sample at a station, in `unit`.
    standard_name : str
        The substance's part of CF standard names, ``"carbon_dioxide"``.
    """

    name: str
    molar_mass: float
    unit: str
    unit_name: str
    column_range: tuple[float, float]
    point_range: tuple[float, float]
    standard_name: str

    def valid_range(self, kind: str) -> tuple[float, float]:
        """Return the physical range of ``kind`` (``"column"`` or ``"point"``), in `unit`."""
        return self.column_range if kind == "column" else self.point_range


# Molar masses: IUPAC 2013 standard atomic weights. Ranges: what an instrument outside a plume can see;
# the point range is wide because a city hour is real data.
SPECIES = {
    s.name: s
    for s in (
        Species("CO2", 0.0440095, "1e-6", "ppm", (300.0, 600.0), (150.0, 5000.0), "carbon_dioxide"),
        Species("CH4", 0.01604246, "1e-9", "ppb", (1400.0, 2400.0), (500.0, 50000.0), "methane"),
        Species("N2O", 0.0440128, "1e-9", "ppb", (250.0, 400.0), (200.0, 2000.0), "nitrous_oxide"),
        Species("CO", 0.0280101, "1e-9", "ppb", (10.0, 1000.0), (0.0, 50000.0), "carbon_monoxide"),
        Species("SF6", 0.1460554, "1e-12", "ppt", (1.0, 30.0), (0.0, 1000.0), "sulfur_hexafluoride"),
        Species("H2", 0.00201588, "1e-9", "ppb", (300.0, 800.0), (100.0, 10000.0), "molecular_hydrogen"),
    )
}


def species(name: str) -> Species:
    """Return the entry of a substance by name, any case.

    Raises
    ------
    ConfigError
        The substance is not in the table.
    """
    try:
        return SPECIES[name.upper()]
    except KeyError:
        raise ConfigError(f"unknown species {name!r}{nearest(name.upper(), SPECIES)}") from None
