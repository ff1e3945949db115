r"""TCCON public netCDF, GGG2020 and GGG2014, on the observation contract's column operator.

GGG2020 (file formats 2020.*) gives an ``integration_operator`` IO for **wet** profiles w:
``c = sum_l IO_l w_l``, smoothed ``c_s = prior_x + sum_l IO_l AK_l (w_l - prior_l)``. The contract wants dry
profiles x and weights h that sum to one, so with the prior's water q (wet mole fraction)

.. math:: h_l = IO_l (1 - q_l) / S, \quad S = \sum_l IO_l (1 - q_l), \quad x_{a,l} = prior_l / (1 - q_l)

S is the column of dry air over that of oxygen / 0.2095, which scatters about one as Xluft does. It is kept as
``operator_sum``: ``S * prior_column`` is the file's ``prior_x<gas>`` (kept too).

GGG2014 has no operator, kernels by zenith angle and pressure, and daily priors. Its weights are those of dry
air under linear interpolation in pressure between the prior's levels, from the surface pressure up
(O'Dell et al. 2012, doi:10.5194/amt-5-99-2012, appendix A); kernels are interpolated in zenith angle and
pressure and clamped at the table's ends.

``xco2`` is on WMO X2007; ``xco2_x2019`` is on X2019 **and** takes a variable share of oxygen, so no formula for
tanks leads from one to the other. They are two records, CO2 and CO2_X2019, with operators of their own.
Units differ inside a file: xch4 is in ppm and its prior in ppb, pressures in atm or hPa.
Sources: Wunch et al. 2011, doi:10.1098/rsta.2010.0240; Laughner et al. 2024, doi:10.5194/essd-16-2197-2024;
the files' attributes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from obsnet.constants import MOLAR_MASS_DRY_AIR, MOLAR_MASS_WATER
from obsnet.errors import FormatError, MissingVariableError
from obsnet.schema import Quality
from obsnet.units import convert
from stations.readers import choose
from stations.readers.netcdf import File, opened
from stations.readers.source import Source
from stations.record import Notes, build, intervals

__all__ = ["level_weights", "read", "sniff"]

Floats = npt.NDArray[np.float64]

# species -> unit of its GGG2014 variables and of their priors
_GGG2014 = {"CO2": ("ppm", "ppm"), "CH4": ("ppm", "ppb"), "N2O": ("ppb", "ppb"), "CO": ("ppb", "ppb")}
_TOLERANCE = 1e-3  # relative, of IO . prior against the file's prior column
_SUM = (0.95, 1.05)  # what S may be


@dataclass(frozen=True)
class _Column:
    """What a gas has in the file: arrays (rows,) and (rows, levels), surface first."""

    value: Floats
    error: Floats
    unit: str
    scale: str
    kernel: Floats
    prior_dry: Floats
    weight: Floats
    pressure: Floats
    operator_sum: Floats
    prior_column_file: Floats | None


def sniff(source: Source) -> bool:
    """Tell whether a netCDF file is TCCON's."""
    header = source.netcdf
    if header is None:
        return False
    return {"time", "xco2"} <= set(header.variables) or bool({"xco2_ppm", "xch4_ppm"} & set(header.variables))


def read(source: Source, species: str | None = None) -> list[xr.Dataset]:
    """Read a TCCON file; see `stations.readers.read`. CO2_X2019 comes only when it is named."""
    with opened(source.path) as file:
        if "xco2_ppm" in file or "xch4_ppm" in file:
            suffix = {g: f"_{unit}" for g, (unit, _) in _GGG2014.items()}
            gases = [g for g in _GGG2014 if f"x{g.lower()}{suffix[g]}" in file]
            return [_ggg2014(source, file, g, gases) for g in choose(gases, species, source.path)]
        gases = [g for g in _GGG2014 if f"x{g.lower()}" in file]
        if "xco2_x2019" in file:
            gases.insert(1, "CO2_X2019")
        if species == "*":
            return [_ggg2020(source, file, g, gases) for g in gases if g != "CO2_X2019"]
        return [_ggg2020(source, file, g, gases) for g in choose(gases, species, source.path)]


def _ggg2020(source: Source, file: File, name: str, gases: list[str]) -> xr.Dataset:
    notes = Notes()
    gas, _, tail = name.lower().partition("_")
    tail = f"_{tail}" if tail else ""
    variable = f"x{gas}{tail}"
    stamp = file.times("time")
    rows = len(stamp)
    row = _prior_rows(file, rows)
    wet = file.numbers(f"prior_{gas}")[row]
    wet = convert(wet, file.of(f"prior_{gas}", "units"), file.of(variable, "units"))
    water = convert(file.numbers("prior_h2o")[row], file.of("prior_h2o", "units") or "1", "1")
    pressure = convert(file.numbers("prior_pressure")[row], file.of("prior_pressure", "units"), "hPa")
    operator = file.numbers(f"integration_operator{tail}")
    dry_weight = operator * (1.0 - water)
    total = dry_weight.sum(axis=1)
    column = _Column(
        value=file.numbers(variable),
        error=file.numbers(f"x{gas}_error{tail}"),
        unit=file.of(variable, "units"),
        scale=file.of(variable, "wmo_or_analogous_scale"),
        kernel=_kernel2020(file, gas, tail, rows),
        prior_dry=wet / (1.0 - water),
        weight=dry_weight / total[:, None],
        pressure=pressure,
        operator_sum=total,
        prior_column_file=file.numbers(f"prior_{variable}"),
    )
    off = np.abs((operator * wet).sum(axis=1) / column.prior_column_file - 1.0)
    bad = ~(off <= _TOLERANCE) | ~((total > _SUM[0]) & (total < _SUM[1]))
    notes.warn(
        bad.sum(),
        "rows have an integration operator that does not rebuild the prior column (flagged 'operator')",
    )
    clamp = f"extrapolation_flags_ak_x{gas}"
    clamped = file.raw(clamp) if clamp in file else np.zeros(rows, np.int8)
    notes.warn((np.abs(clamped) > 1).sum(), "rows have a kernel clamped at the end of its table")
    attrs = {
        "ggg": "GGG2020",
        "file_format_version": file.attr("file_format_version"),
        "doi": file.attr("data_doi"),
    }
    return _record(
        source, file, name, gases, stamp, column, bad, notes, attrs, {"kernel_extrapolation": clamped}
    )


def _prior_rows(file: File, rows: int) -> np.ndarray:
    """Return each sounding's row of the priors: its own from file format 2020.B on, ``prior_index`` before."""
    if "prior_index" not in file:
        return np.arange(rows)
    index = file.raw("prior_index").astype(np.int64)
    length = file.raw("prior_pressure").shape[0]
    if index.size and not (0 <= index.min() and index.max() < length):
        raise FormatError(
            f"{file.path}: prior_index runs from {index.min()} to {index.max()}, there are {length} priors"
        )
    return index


def _kernel2020(file: File, gas: str, tail: str, rows: int) -> Floats:
    """Return kernels (rows, levels): stored a sounding, or (before 2020.B) tabulated by slant column."""
    kernel = file.numbers(f"ak_x{gas}")
    dims = file.dims(f"ak_x{gas}")
    if dims[0] == "time":
        return kernel
    bins_name = f"ak_slant_x{gas}_bin"
    if bins_name not in file or "airmass" not in file:
        raise MissingVariableError(
            f"{file.path}: ak_x{gas} has dimensions {dims} without {bins_name} and airmass"
        )
    bins, slant = file.numbers(bins_name), file.numbers("airmass") * file.numbers(f"x{gas}{tail}")
    table = kernel if dims[0].startswith("ak_alt") else kernel.T  # (levels, bins)
    return _interpolate_columns(bins, table, slant).T


def _interpolate_columns(nodes: Floats, table: Floats, at: Floats) -> Floats:
    """Return (levels, len(at)) of a table (levels, nodes), linear between nodes, clamped outside."""
    order = np.argsort(nodes)
    nodes, table = nodes[order], table[:, order]
    high = np.clip(np.searchsorted(nodes, at), 1, len(nodes) - 1)
    share = np.clip((at - nodes[high - 1]) / (nodes[high] - nodes[high - 1]), 0.0, 1.0)
    return table[:, high - 1] * (1.0 - share) + table[:, high] * share


def _ggg2014(source: Source, file: File, gas: str, gases: list[str]) -> xr.Dataset:
    notes = Notes()
    low = gas.lower()
    unit, prior_unit = _GGG2014[gas]
    variable = f"x{low}_{unit}"
    stamp = _time2014(file)
    longitude = file.numbers("long_deg")
    row = _prior_rows2014(file, stamp, longitude, notes)
    wet = convert(file.numbers(f"prior_{low}"), file.of(f"prior_{low}", "units") or prior_unit, unit)
    water = _share(file.numbers("prior_h2o"))
    pressure = file.numbers("prior_Pressure")
    if pressure.ndim == 1:
        pressure = np.broadcast_to(pressure, wet.shape)
    gravity = file.numbers("prior_gravity") if "prior_gravity" in file else np.full(wet.shape, 9.80665)
    weight = level_weights(pressure[row], water[row], gravity[row], file.numbers("pout_hPa"))
    column = _Column(
        value=file.numbers(variable),
        error=file.numbers(f"{variable}_error"),
        unit=unit,
        scale=file.of(variable, "wmo_or_analogous_scale"),
        kernel=_kernel2014(file, low, pressure, row),
        prior_dry=(wet / (1.0 - water))[row],
        weight=weight,
        pressure=pressure[row],
        operator_sum=np.ones(len(stamp)),
        prior_column_file=None,
    )
    bad = ~(np.abs(weight.sum(axis=1) - 1.0) < _TOLERANCE)
    notes.warn(bad.sum(), "rows have no usable surface pressure or prior (flagged 'operator')")
    return _record(source, file, gas, gases, stamp, column, bad, notes, {"ggg": "GGG2014"}, {})


def _time2014(file: File) -> np.ndarray:
    """Return UTC times: ``time`` where it says since when it counts, else year, day of year and hour."""
    if "since" in file.of("time", "units"):
        return file.times("time")
    year, day, hour = (file.numbers(n) for n in ("year", "day", "hour"))
    good = (year > 1900) & (year < 2200) & (day >= 1) & (day < 367) & np.isfinite(hour)
    years = (
        (np.where(good, year, 1970).astype(np.int64) - 1970).astype("datetime64[Y]").astype("datetime64[us]")
    )
    seconds = np.round(np.where(good, (day - 1) * 86400 + hour * 3600, 0.0)).astype("timedelta64[s]")
    return np.where(good, years + seconds, np.datetime64("NaT", "us"))


def _share(water: Floats) -> Floats:
    """Return water as a mole fraction; some files give parts per million without saying so."""
    return water * 1e-6 if np.nanmax(water, initial=0.0) > 1.0 else water


def _prior_rows2014(file: File, stamp: np.ndarray, longitude: Floats, notes: Notes) -> np.ndarray:
    """Return each sounding's row of the daily priors: the prior of its local day.

    ``prior_date_index`` counts from 0 in some files and from 1 in others; the priors' own dates decide.
    """
    days = [file.numbers(f"prior_{part}") for part in ("year", "month", "day")]
    months = ((days[0].astype(np.int64) - 1970) * 12 + days[1].astype(np.int64) - 1).astype("datetime64[M]")
    dates = months.astype("datetime64[D]") + (days[2].astype(np.int64) - 1)
    noon_shift = np.round(np.nan_to_num(longitude) / 15.0 * 3600.0).astype("timedelta64[s]")
    local = (stamp + noon_shift).astype("datetime64[D]")
    nearest = (
        np.abs(local[:, None] - dates[None, :]).argmin(axis=1)
        if len(dates) < 20000
        else np.searchsorted(dates, local)
    )
    if "prior_date_index" not in file:
        return nearest
    given = file.raw("prior_date_index").astype(np.int64)
    for first in (0, 1):
        rows = given - first
        if (
            rows.size
            and rows.min() >= 0
            and rows.max() < len(dates)
            and np.median(dates[rows] == local) == 1.0
        ):
            return rows
    notes.warn(
        len(given),
        "rows have a prior_date_index that does not fit the priors' dates; the nearest day was taken",
    )
    return nearest


def _kernel2014(file: File, gas: str, pressure: Floats, row: np.ndarray) -> Floats:
    """Interpolate the kernel table (pressure, zenith) to each sounding's levels and zenith angle."""
    table, grid, zenith = file.numbers(f"ak_{gas}"), file.numbers("ak_P_hPa"), file.numbers("ak_zenith")
    if file.dims(f"ak_{gas}")[0] != "ak_P_hPa":
        table = table.T
    order = np.argsort(grid)
    angles = file.numbers("asza_deg")
    kernel = np.empty((len(row), pressure.shape[1]))
    for day in np.unique(row):
        on_levels = np.stack(
            [np.interp(pressure[day], grid[order], table[order, k]) for k in range(len(zenith))], axis=1
        )
        mine = row == day
        kernel[mine] = _interpolate_columns(zenith, on_levels, angles[mine]).T
    return kernel


def level_weights(pressure: Floats, water: Floats, gravity: Floats, surface: Floats) -> Floats:
    """Return the share of a column's dry air that each level stands for.

    Parameters
    ----------
    pressure, water, gravity : ndarray, shape (rows, levels)
        hPa, surface first (levels below the ground are allowed); wet mole fraction of water; m s-2.
    surface : ndarray, shape (rows,)
        Surface pressure, hPa.

    Returns
    -------
    ndarray, shape (rows, levels)
        Sums to one; 0 on levels below the ground that no air lies next to; NaN where an input is missing.

    Notes
    -----
    Profiles are linear in pressure between levels. A layer's dry air is ``dp (1 - q) / (g M)`` with M of the
    moist air; its mean profile is that at the middle of the part above the ground.
    """
    low, high = pressure[:, :-1], pressure[:, 1:]
    bottom = np.minimum(low, surface[:, None])
    bottom[:, 0] = np.where(surface > low[:, 0], surface, bottom[:, 0])  # air below the lowest level
    thickness = np.maximum(bottom - high, 0.0)
    share = (0.5 * (bottom + high) - high) / (low - high)  # of the lower level
    share = np.where(thickness > 0.0, share, 0.0)

    def middle(profile: Floats) -> Floats:
        return share * profile[:, :-1] + (1.0 - share) * profile[:, 1:]

    q = middle(water)
    moist_mass = MOLAR_MASS_DRY_AIR * (1.0 - q) + MOLAR_MASS_WATER * q
    air = thickness * (1.0 - q) / (middle(gravity) * moist_mass)
    air = np.where(thickness > 0.0, air, 0.0)
    weight = np.zeros_like(pressure)
    weight[:, :-1] += air * share
    weight[:, 1:] += air * (1.0 - share)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = weight / weight.sum(axis=1, keepdims=True)
    return np.where(np.isfinite(surface)[:, None], weight, np.nan)


def _record(
    source: Source, file: File, name: str, gases: list[str], stamp: np.ndarray, column: _Column, bad: np.ndarray,
    notes: Notes, attrs: dict[str, Any], extras: dict[str, Any],
) -> xr.Dataset:  # fmt: skip
    if np.nanmedian(np.diff(column.pressure, axis=1)) > 0:
        raise FormatError(
            f"{source.path}: prior levels run from the top down; TCCON files begin at the surface"
        )
    quality = np.where(bad, np.uint32(Quality.OPERATOR), np.uint32(0))
    flag = file.raw("flag") if "flag" in file else np.zeros(len(stamp), np.int16)
    notes.warn((flag != 0).sum(), "rows are flagged by the producer")
    quality[flag != 0] |= np.uint32(Quality.PRODUCER)
    start, middle, end = intervals(stamp, "instant")
    altitude = "zobs" if "zobs" in file else "zobs_km"
    profiles = {
        "averaging_kernel": column.kernel,
        "prior_profile": column.prior_dry,
        "pressure_weight": column.weight,
        "pressure_levels": column.pressure,
    }
    prior_column = (column.weight * column.prior_dry).sum(axis=1)
    extras = {k: (("time", "level"), v) for k, v in profiles.items()} | extras
    extras |= {"prior_column": prior_column, "operator_sum": column.operator_sum}
    if column.prior_column_file is not None:
        extras["prior_column_file"] = column.prior_column_file
    gas = name.split("_")[0]
    product = f"x{name.lower()}"
    dataset = build(
        {
            "value": column.value,
            "uncertainty": column.error,
            "quality": quality,
            "quality_original": np.where(flag == 0, "", flag.astype(str)),
            "latitude": file.numbers("lat" if "lat" in file else "lat_deg"),
            "longitude": file.numbers("long" if "long" in file else "long_deg"),
            "altitude_m": 1000.0 * file.numbers(altitude) if altitude in file else np.nan,
        },
        species=gas,
        unit=column.unit,
        scale=column.scale,
        start=start,
        middle=middle,
        end=end,
        interval="instant",
        notes=notes,
        kind="column",
        extras=extras,
        options=source.options,
        attrs={
            "site": source.name[:2],
            "site_name": file.attr("short_location") or file.attr("longName") or file.attr("long_name"),
            "network": "TCCON",
            "source": f"tccon_{attrs['ggg'].lower()}_{product}",
            "format": f"tccon_{attrs['ggg'].lower()}",
            "path": str(source.path),
            "dataset": file.attr("long_name") or source.name,
            "vertical": "level",
            "species_available": gases,
            **{k: v for k, v in attrs.items() if k != "ggg"},
        },
    )
    # `build` has brought value and uncertainty to the species' unit; priors follow them.
    factor = convert(1.0, column.unit, dataset["value"].attrs["units"])
    for variable in ("prior_profile", "prior_column", "prior_column_file"):
        if variable in dataset:
            dataset[variable] = dataset[variable] * float(factor)
    return dataset
