# ruff: noqa: E501  (a line of a file's layout is one line here)
"""Writers of the netCDF dialects, for round trips; SYNTHETIC: right in layout, made-up in content."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np

from tests.stations.dialects import Rows


def obspack(
    path: Path,
    rows: Rows,
    european=False,
    unit=None,
    start="beginning",
    solar_shift=0.0,
    attrs=None,
    fill=-1e34,
) -> Path:
    """ObsPack netCDF; values are written in `unit` from the rows' ppm."""
    unit = unit or "mol mol-1"
    factor = {"mol mol-1": 1e-6, "nanomol mol-1": 1e3, "micromol mol-1": 1.0}[unit]
    seconds = rows.time.astype("datetime64[s]").astype(np.int64)
    with netCDF4.Dataset(path, "w") as nc:
        dim = "time" if european else "obs"
        nc.createDimension(dim, len(seconds))
        nc.createDimension("calendar_components", 6)
        nc.createDimension("string", 10)
        nc.createDimension("dim_concerns", 3)

        def add(name, kind, values, dims=(dim,), fill_value=None, **attributes):
            variable = nc.createVariable(name, kind, dims, fill_value=fill_value)
            variable.setncatts(attributes)
            variable[:] = values

        where = "midpoint" if european else start
        add("time", "i4", seconds + (1800 if european else 0), units="seconds since 1970-01-01T00:00:00Z",
            comment=f"POSIX time. Time-averaged values are reported at the {where} of the averaging interval.")  # fmt: skip
        if european:
            add("start_time", "i4", seconds, units="seconds since 1970-01-01T00:00:00Z")
        add(
            "value",
            "f8",
            np.where(np.isnan(rows.value), np.nan if european else fill, rows.value * factor),
            fill_value=np.nan if european else fill,
            units=unit,
        )
        add(
            "value_std_dev",
            "f8",
            np.where(np.isnan(rows.sd), np.nan if european else -99.99, rows.sd * factor),
            fill_value=np.nan if european else -99.99,
            units=unit,
        )
        add("nvalue", "i4", rows.n, fill_value=-9)
        for name in ("latitude", "longitude", "altitude"):
            add(name, "f4", np.full(len(seconds), getattr(rows, name)))
        add("intake_height", "f4", np.full(len(seconds), rows.intake))
        solar = seconds + round((rows.longitude / 15.0 + solar_shift) * 3600.0)
        times = solar.astype("datetime64[s]")
        add(
            "solartime_components",
            "i4",
            np.array([Rows(times, rows.value).parts(i) for i in range(len(times))], dtype=int).reshape(-1, 6),
            (dim, "calendar_components"),
        )
        if european:
            variable = nc.createVariable("qc_flag", "S1", (dim,))
            variable[:] = np.array(rows.flag, dtype="S1")
            add("obs_flag", "i1", np.ones(len(seconds), "i1"), fill_value=np.int8(1))
        else:
            variable = nc.createVariable("qcflag", "S1", (dim, "string"))
            variable[:] = netCDF4.stringtochar(np.array(rows.flag, dtype="S10"))
            add("obs_flag", "i4", rows.extra.get("obs_flag", np.ones(len(seconds), int)), fill_value=-9)
        add("assimilation_concerns", "i4", np.zeros((len(seconds), 3), int), (dim, "dim_concerns"))
        nc.setncatts({
            "dataset_parameter": rows.species, "dataset_name": f"{rows.species}_{rows.site.lower()}_tower-insitu_1_lab_all", "site_code": rows.site,
            "dataset_project": "tower-insitu", "dataset_calibration_scale": rows.scale, "dataset_data_frequency": 1,
            "dataset_data_frequency_unit": "hour", "site_utc2lst": 8.0, **(attrs or {}),
        })  # fmt: skip
    return path


def agage(
    path: Path,
    rows: Rows,
    comment="Time stamp corresponds to the start of the 1-minute mean.",
    flags=None,
    period=60,
) -> Path:
    """AGAGE archive netCDF of CH4 (ppb)."""
    with netCDF4.Dataset(path, "w") as nc:
        nc.createDimension("time", len(rows.time))
        for name, kind, values, attrs in (
            ("time", "i4", rows.time.astype("datetime64[s]").astype(np.int64), {"units": "seconds since 1970-01-01", "comment": comment, "sampling_time_seconds": period}),
            ("mf", "f8", rows.value, {"units": "1e-9"}), ("mf_repeatability", "f8", rows.uncertainty, {"units": "1e-9"}),
            ("mf_variability", "f8", rows.sd, {"units": "1e-9"}), ("mf_count", "i4", rows.n, {}), ("inlet_height", "i4", np.full(len(rows.time), 100), {}),
            ("data_flag", "i1", [ord(f[0]) if f[0] != "-" else 0 for f in flags or ["-B"] * len(rows.time)], {}),
            ("git_pollution_flag", "i1", [ord(f[1]) if f[1] != "-" else 0 for f in flags or ["-B"] * len(rows.time)], {}),
        ):  # fmt: skip
            variable = nc.createVariable(name, kind, ("time",))
            variable.setncatts(attrs)
            variable[:] = values
        nc.setncatts({"species": "ch4", "calibration_scale": "WMO-X2004A", "units": "1e-9", "inlet_latitude": "52.5", "inlet_longitude": "1.1",
                      "inlet_base_elevation_masl": "64.0", "site_code": "TAC", "station_long_name": "Tacolneston"})  # fmt: skip
    return path


def ggg2014(path, *, first=0, surface=1000.0, days=2, water=0.01, with_index=True, water_unit=1.0):
    """SYNTHETIC GGG2014 public file: dimensions and names as in the CaltechDATA README of Rikubetsu."""
    rows = 3 * days
    pressure = np.array([1013.0, 800.0, 500.0, 200.0, 1.0])
    with netCDF4.Dataset(path, "w") as nc:
        for name, size in (
            ("time", rows),
            ("ak_P_hPa", 3),
            ("ak_zenith", 2),
            ("prior_date", days),
            ("prior_Height", 5),
        ):
            nc.createDimension(name, size)

        def add(name, values, dims=("time",), unit=None):
            variable = nc.createVariable(name, "f8", dims)
            variable.missing_value = -1e38
            if unit:
                variable.units = unit
            variable[:] = values

        seconds = (
            np.repeat(np.arange(days), 3) * 86400.0 + np.tile([10.0, 12.0, 14.0], days) * 3600.0 - 9 * 3600.0
        )
        add(
            "time",
            (np.datetime64("2015-06-01").astype("datetime64[s]").astype(int) + seconds) / 86400.0,
            unit="days since 1970-01-01 00:00:00",
        )
        add("lat_deg", np.full(rows, 43.46))
        add("long_deg", np.full(rows, 143.77))
        add("zobs_km", np.full(rows, 0.38))
        add("asza_deg", np.tile([0.0, 30.0, 80.0], days))
        add("pout_hPa", np.full(rows, surface), unit="hPa")
        add("xco2_ppm", np.full(rows, 400.0))
        add("xco2_ppm_error", np.full(rows, 0.5))
        add("xch4_ppm", np.full(rows, 1.85))
        add("xch4_ppm_error", np.full(rows, 0.004))
        add("ak_P_hPa", [1000.0, 500.0, 1.0], ("ak_P_hPa",))
        add("ak_zenith", [0.0, 60.0], ("ak_zenith",))
        add("ak_co2", [[0.8, 1.0], [1.0, 1.0], [1.2, 0.4]], ("ak_P_hPa", "ak_zenith"))
        add("ak_ch4", np.ones((3, 2)), ("ak_P_hPa", "ak_zenith"))
        add("prior_Height", [0.0, 2.0, 5.5, 12.0, 50.0], ("prior_Height",))
        for part, values in (("year", [2015] * days), ("month", [6] * days), ("day", 1 + np.arange(days))):
            add(f"prior_{part}", values, ("prior_date",))
        both = ("prior_date", "prior_Height")
        add("prior_Pressure", np.tile(pressure, (days, 1)), both, "hPa")
        add("prior_gravity", np.full((days, 5), 9.8), both)
        add("prior_h2o", np.broadcast_to(water, (days, 5)) * water_unit, both)
        add("prior_co2", (400.0 + np.arange(days))[:, None] * np.ones(5), both, "ppm")
        add("prior_ch4", np.full((days, 5), 1850.0), both, "ppb")
        if with_index:
            variable = nc.createVariable("prior_date_index", "i4", ("time",))
            variable[:] = np.repeat(np.arange(days), 3) + first
        nc.longName = "rikubetsu01"
    return path


def ggg2020(path, rows=3):
    """SYNTHETIC GGG2020 public file: names, units and dimensions as in the format 2020.B."""
    pressure = np.array([1.0, 0.7, 0.4, 0.1])  # atm, from the surface
    with netCDF4.Dataset(path, "w") as nc:
        nc.createDimension("time", rows)
        nc.createDimension("prior_altitude", pressure.size)

        def add(name, values, unit=None, **attrs):
            dims = ("time", "prior_altitude")[: np.ndim(values)]
            variable = nc.createVariable(name, "f8", dims)
            variable.setncatts(({"units": unit} if unit else {}) | attrs)
            variable[:] = values

        both = np.ones((rows, pressure.size))
        wet = 400.0 * both * (1.0 - 0.01)
        weight = np.array([0.3, 0.3, 0.25, 0.15]) * both / (1.0 - 0.01)
        add("time", 1.5e9 + 600.0 * np.arange(rows), "seconds since 1970-01-01 00:00:00")
        for name, value in (("lat", 45.0), ("long", 10.0), ("zobs", 0.2)):
            add(name, np.full(rows, value))
        add("xco2", 401.0 + np.arange(rows), "ppm", wmo_or_analogous_scale="WMO CO2 X2007")
        add("xco2_error", np.full(rows, 0.4), "ppm")
        add("prior_xco2", np.full(rows, 400.0), "ppm")
        add("prior_co2", wet, "ppm")
        add("prior_h2o", 0.01 * both, "1")
        add("prior_pressure", pressure * both, "atm")
        add("integration_operator", weight)
        add("ak_xco2", 0.9 + 0.1 * both)
        variable = nc.createVariable("extrapolation_flags_ak_xco2", "i1", ("time",))
        variable[:] = 0
        nc.setncatts({"file_format_version": "2020.B", "short_location": "Nowhere", "long_name": "nowhere01"})
    return path
