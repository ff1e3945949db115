"""The command ``obsnet plume absorption``: lines, air and bands from files to a table of unit absorption."""

from __future__ import annotations

from typing import Any

import numpy as np

from obsnet.constants import species as species_of
from obsnet.errors import ConfigError, nearest
from obsnet.typing import Floats
from obsnet.units import conversion_factor
from retrieval.forward.air_files import read_levels
from retrieval.forward.atmosphere import Layers, make_layers, refractivity
from retrieval.forward.hitran import read_lines
from retrieval.forward.sun import read_solar_lines
from retrieval.matched_filter.bands import Bands, read_bands
from retrieval.matched_filter.cube import open_cube
from retrieval.matched_filter.options import AbsorptionTable
from retrieval.matched_filter.target import UnitAbsorption, unit_absorption, write_unit_absorption

__all__ = ["in_vacuum", "run_absorption", "standard_levels"]

_LATITUDE = 45.0  # at which gravity is that of the standard atmosphere
_SCALE = 1500.0 / np.log(2.0)  # m, over which water falls by a factor e


def run_absorption(options: AbsorptionTable) -> tuple[UnitAbsorption, dict[str, Any]]:
    """Compute a table of unit absorption and write it; see `retrieval.matched_filter.options.AbsorptionTable`.

    Returns
    -------
    UnitAbsorption
    dict
        What was made of what.
    """
    o = options
    if o.gas not in o.lines:
        raise ConfigError(f"lines: none of {o.gas}{nearest(o.gas, o.lines)}; e.g. --lines {o.gas}=FILE.par")
    csv = o.bands.suffix.lower() == ".csv"
    bands = (read_bands(o.bands) if csv else open_cube(o.bands).bands).within(o.window)
    stated = bands
    if o.wavelengths == "air":
        bands = in_vacuum(bands)
    layers = _air(options)
    lines = {
        gas: read_lines(path, gas, isotopologues=o.isotopologues.get(gas, (1,)))
        for gas, path in o.lines.items()
    }
    fractions = {gas: _fraction(gas, layers, options) for gas in lines}
    solar = None if o.solar is None else read_solar_lines(o.solar)
    about = {
        "window_nm": f"{o.window[0]:g},{o.window[1]:g}",
        "lines": "; ".join(
            f"{gas} {path.name}, isotopologues {','.join(map(str, o.isotopologues.get(gas, (1,))))}"
            for gas, path in o.lines.items()
        ),
        "atmosphere": o.atmosphere.name
        if o.atmosphere
        else f"standard, {o.surface_pressure:g} hPa, water {o.water:g}",
        "wavelengths": o.wavelengths,
        "solar_lines": o.solar.name if o.solar else "none",
    }
    made = unit_absorption(
        o.gas, bands, lines, fractions, layers, sun=o.sun, view=o.view, solar=solar, about=about
    )
    made = UnitAbsorption(made.gas, stated, made.value, made.air, made.linear_to, made.curve, made.about)
    write_unit_absorption(made, o.out)
    need = 1e7 / (bands.centre[-1] + 2.0 * bands.fwhm[-1]), 1e7 / (bands.centre[0] - 2.0 * bands.fwhm[0])
    notes = [
        f"lines of {gas} span {have[0]:.1f} to {have[1]:.1f} cm-1, the bands {need[0]:.1f} to {need[1]:.1f}: "
        "is the list whole?"
        for gas, have in ((g, (v.wavenumber[0], v.wavenumber[-1])) for g, v in lines.items())
        if have[0] > need[0] or have[1] < need[1]
    ]
    unit = species_of(o.gas)
    found = {
        "gas": o.gas,
        "bands": len(stated),
        "strongest_per_ppm_m": float(made.value.min()),
        "strongest_per_column_unit": float(made.per_column_unit.min()),
        "column_unit": unit.unit_name,
        "column_unit_per_1000_ppm_m": 1e3
        * made.air.mole_fraction_per_ppm_m
        / conversion_factor(unit.unit, "mol mol-1"),
        "linear_to_ppm_m": made.linear_to,
        **made.about,
        "notes": notes,
        "file": str(o.out),
    }
    return made, found


def _air(options: AbsorptionTable) -> Layers:
    if options.atmosphere is None:
        levels = standard_levels(options.surface_pressure, options.water)
        altitude = 0.0
    else:
        levels, altitude = read_levels(options.atmosphere), 0.0
    return make_layers(*levels, latitude=_LATITUDE, altitude=altitude)


def standard_levels(surface_pressure: float, water: float, number: int = 25) -> tuple[Floats, Floats, Floats]:
    """Return pressure (hPa), temperature (K) and water (mole fraction) at levels, surface first.

    Notes
    -----
    Temperature of the ICAO standard atmosphere (Doc 7488) by pressure, 288.15 K at 1013.25 hPa with 6.5 K km-1 up to
    226.32 hPa, then 216.65 K; water falls by half each 1.5 km.
    """
    pressure = surface_pressure * np.linspace(1.0, 0.02, number) ** 1.3
    exponent = 8.314462618 * 0.0065 / (0.0289647 * 9.80665)
    temperature = np.maximum(288.15 * (pressure / 1013.25) ** exponent, 216.65)
    height = (288.15 - temperature) / 0.0065
    ground = height[0]
    high = temperature <= 216.65
    height[high] = 11000.0 + 6341.6 * np.log(226.32 / pressure[high])
    return pressure, temperature, water * np.exp(-(height - ground) / _SCALE)


def _fraction(gas: str, layers: Layers, options: AbsorptionTable) -> Floats:
    if gas == "H2O":
        return layers.water
    if gas == "O2":
        return np.full(len(layers.water), 0.2095)
    if gas not in options.background:
        raise ConfigError(f"background: no column mole fraction of {gas}; e.g. --background {gas}=VALUE")
    one = conversion_factor(species_of(gas).unit, "mol mol-1")
    return np.full(len(layers.water), options.background[gas] * one)


def in_vacuum(bands: Bands) -> Bands:
    """Return bands whose wavelengths are those in standard air with their wavelengths in vacuum."""
    index = 1.0 + np.array([float(refractivity(1013.25, 288.15, 1e7 / c)) for c in bands.centre])
    return Bands(bands.centre * index, bands.fwhm)
