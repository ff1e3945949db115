"""TCCON's release GGG2014: kernels by zenith angle and pressure, daily priors, no integration operator.

Weights are those of dry air under linear interpolation in pressure between the prior's levels, from the
surface pressure up (`tccon_column.level_weights`). Kernels are interpolated in zenith angle and pressure and
clamped at the table's ends. Units are in the variables' names; xch4 is in ppm and its prior in ppb. Priors are of
dry air, unlike those of GGG2020, and so is ``prior_h2o``: moist air holds ``q = h / (1 + h)`` of water.
Written from the published description of the files (the README beside each at CaltechDATA).
Source: Wunch et al. 2011, doi:10.1098/rsta.2010.0240.
"""

from __future__ import annotations

import numpy as np

from obsnet.constants import GRAVITY
from obsnet.errors import FormatError
from obsnet.typing import Floats
from obsnet.units import convert
from stations.readers.netcdf import File
from stations.readers.tccon_column import Column, interpolate_columns, level_weights
from stations.readers.text import from_parts
from stations.record.record import Notes

__all__ = ["column", "gases"]

# gas -> unit of its variables and of their priors
_UNITS = {"CO2": ("ppm", "ppm"), "CH4": ("ppm", "ppb"), "N2O": ("ppb", "ppb"), "CO": ("ppb", "ppb")}


def gases(file: File) -> list[str]:
    """Return the gases of a file; empty where it is of another release."""
    return [g for g, (unit, _) in _UNITS.items() if f"x{g.lower()}_{unit}" in file]


def column(file: File, name: str, notes: Notes) -> Column:
    """Read one gas."""
    gas = name.lower()
    unit, prior_unit = _UNITS[name]
    variable = f"x{gas}_{unit}"
    stamp = _times(file)
    row = _prior_rows(file, stamp, file.numbers("long_deg"), notes)
    prior = convert(file.numbers(f"prior_{gas}"), file.of(f"prior_{gas}", "units") or prior_unit, unit)
    dry_water = _share(file.numbers("prior_h2o"))
    water = dry_water / (1.0 + dry_water)
    pressure = np.broadcast_to(file.numbers("prior_Pressure"), prior.shape)
    gravity = file.numbers("prior_gravity") if "prior_gravity" in file else np.full(prior.shape, GRAVITY)
    weight = level_weights(pressure[row], water[row], gravity[row], file.numbers("pout_hPa"))
    bad = ~(np.abs(weight.sum(axis=1) - 1.0) < 1e-6)
    notes.warn(bad.sum(), "rows have no usable surface pressure or prior (flagged 'operator')")
    return Column(
        stamp=stamp,
        value=file.numbers(variable),
        error=file.numbers_in(f"{variable}_error", unit),
        unit=unit,
        scale=file.of(variable, "wmo_or_analogous_scale"),
        kernel=_kernel(file, gas, pressure, row),
        prior=np.asarray(prior)[row],
        weight=weight,
        pressure=pressure[row],
        operator_sum=np.ones(len(stamp)),
        bad=bad,
    )


def _times(file: File) -> np.ndarray:
    """Return UTC times: ``time`` where it says since when it counts, else year, day of year and hour."""
    if "since" in file.of("time", "units"):
        return file.times("time")
    year, day, hour = (file.numbers(n) for n in ("year", "day", "hour"))
    good = (year > 1900) & (year < 2200) & (day >= 1) & (day < 367) & (np.abs(hour) < 48)
    years = (np.where(good, year, 1970).astype(np.int64) - 1970).astype("datetime64[Y]")
    seconds = np.round(np.where(good, (day - 1) * 86400 + hour * 3600, 0.0)).astype("timedelta64[s]")
    return np.where(good, years.astype("datetime64[us]") + seconds, np.datetime64("NaT", "us"))


def _share(water: Floats) -> Floats:
    """Return water as a mole fraction; some files give parts per million without saying so."""
    return water * 1e-6 if np.nanmax(water, initial=0.0) > 1.0 else water


def _prior_rows(file: File, stamp: np.ndarray, longitude: Floats, notes: Notes) -> np.ndarray:
    """Return each sounding's row of the daily priors: the prior of its local day.

    ``prior_date_index`` counts from 0 in some files and from 1 in others; the priors' own dates decide.
    """
    parts = [file.numbers(f"prior_{part}") for part in ("year", "month", "day")]
    dates = from_parts(*parts).astype("datetime64[D]")
    if not len(dates) or np.isnat(dates).any():
        raise FormatError(f"{file.path}: a prior has no possible date (prior_year, prior_month, prior_day)")
    east = np.nan_to_num((longitude + 180.0) % 360.0 - 180.0)
    solar = np.round(east / 15.0 * 3600.0).astype("timedelta64[s]")
    local = (stamp + solar).astype("datetime64[D]")
    if "prior_date_index" in file:
        given = file.raw("prior_date_index").astype(np.int64)
        for first in (0, 1):
            rows = given - first
            inside = rows.size and rows.min() >= 0 and rows.max() < len(dates)
            if inside and 2 * (dates[rows] == local).sum() > rows.size:
                return rows
        text = "rows have a prior_date_index that does not fit the priors' dates; the nearest day was taken"
        notes.warn(len(given), text)
    days, back = np.unique(local, return_inverse=True)
    return np.array([np.abs(dates - d).argmin() for d in days], dtype=np.int64)[back]


def _kernel(file: File, gas: str, pressure: Floats, row: np.ndarray) -> Floats:
    """Interpolate the kernel table (pressure, zenith) to each sounding's levels and zenith angle."""
    table, grid, zenith = file.numbers(f"ak_{gas}"), file.numbers("ak_P_hPa"), file.numbers("ak_zenith")
    if file.dims(f"ak_{gas}")[0] != "ak_P_hPa":
        table = table.T
    order = np.argsort(grid)
    grid, table = grid[order], table[order]
    angles = file.numbers("asza_deg")
    kernel = np.empty((len(row), pressure.shape[1]))
    for prior in np.unique(row):
        levels = np.stack([np.interp(pressure[prior], grid, column) for column in table.T], axis=1)
        mine = row == prior
        kernel[mine] = interpolate_columns(zenith, levels, angles[mine]).T
    return kernel
