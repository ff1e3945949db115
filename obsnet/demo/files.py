"""Write observations in the formats in which real ones arrive: OCO-2 Lite granules, NOAA event text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from obsnet.atomic import atomic_path, write_text
from obsnet.demo.network import DemoSite
from obsnet.times import decimal_year, to_epoch
from obsnet.typing import Floats

__all__ = ["LEVELS", "column_operator", "write_lite", "write_noaa_event"]

LEVELS = 20
_TO_X2019 = (1.00079, -0.142)  # from X2007, ppm: Hall et al. 2021, doi:10.5194/amt-14-3015-2021
# Pressure of level k over surface pressure, top first, evenly spaced as in the Lite files.
_SIGMA = np.append(1e-4, np.linspace(0.0, 1.0, LEVELS)[1:])


def column_operator(rows: int, surface_pressure: float) -> dict[str, Floats]:
    """Return the retrieval's view of the column: pressures, weights, kernel and prior, **top first**.

    Parameters
    ----------
    rows : int
        Soundings.
    surface_pressure : float
        hPa.

    Returns
    -------
    dict
        ``pressure_levels`` (hPa), ``pressure_weight`` (sums to 1, half of each layer to each of its levels),
        ``averaging_kernel`` (1), ``prior_profile`` (ppm), each (rows, 20); ``prior_column`` (ppm), (rows,).
    """
    pressure = np.tile(_SIGMA * surface_pressure, (rows, 1))
    layer = np.diff(pressure, axis=1) / (pressure[:, -1:] - pressure[:, :1])
    weight = np.zeros_like(pressure)
    weight[:, :-1] += layer / 2
    weight[:, 1:] += layer / 2
    # Near 1 in the troposphere, falling towards the top, as in the near infrared.
    kernel = np.tile(1.02 - 0.55 * np.exp(-_SIGMA / 0.12), (rows, 1))
    prior = np.tile(412.0 - 6.0 * np.exp(-_SIGMA / 0.1), (rows, 1))
    return {
        "pressure_levels": pressure,
        "pressure_weight": weight,
        "averaging_kernel": kernel,
        "prior_profile": prior,
        "prior_column": (weight * prior).sum(1),
    }


def write_lite(
    path: Path,
    *,
    time: NDArray[np.datetime64],
    latitude: Floats,
    longitude: Floats,
    xco2: Floats,
    uncertainty: Floats,
    flag: NDArray[np.int8],
    operator: dict[str, Floats],
) -> None:
    """Write one day of soundings in the layout of an OCO-2 Lite file.

    Parameters
    ----------
    path : Path
        ``oco2_LtCO2_YYMMDD_…nc4``.
    time : ndarray of datetime64, shape (n,)
        UTC.
    latitude, longitude : ndarray, shape (n,)
        Degrees.
    xco2, uncertainty : ndarray, shape (n,)
        ppm, on the WMO scale X2019; the file has them on X2007 too, as the real ones do.
    flag : ndarray, shape (n,)
        0 good, 1 bad.
    operator : dict
        From `column_operator`, top first as in the real files.
    """
    import netCDF4

    n = len(time)
    stamp = time.astype("datetime64[ms]").astype(object)
    sounding = np.array(
        [
            int(t.strftime("%Y%m%d%H%M%S") + f"{t.microsecond // 100000}{1 + k % 8}")
            for k, t in enumerate(stamp)
        ]
    )
    epoch = np.array(
        [(t.year, t.month, t.day, t.hour, t.minute, t.second, t.microsecond // 1000) for t in stamp], np.int16
    )
    surface = operator["pressure_levels"][:, -1]
    half = 0.01
    older = (xco2 - _TO_X2019[1]) / _TO_X2019[0]
    corners = (
        np.stack([latitude + dy for dy in (-half, -half, half, half)], 1),
        np.stack([longitude + dx for dx in (-half, half, half, -half)], 1),
    )
    # name -> (type, dimensions, values, units, missing value)
    variables = {
        "sounding_id": ("i8", ("sounding_id",), sounding, "1", 0),
        "time": ("f8", ("sounding_id",), to_epoch(time), "seconds since 1970-01-01 00:00:00", -999999.0),
        "date": ("i2", ("sounding_id", "epoch_dimension"), epoch, "1", -9999),
        "latitude": ("f4", ("sounding_id",), latitude, "degrees_north", -999999.0),
        "longitude": ("f4", ("sounding_id",), longitude, "degrees_east", -999999.0),
        "vertex_latitude": ("f4", ("sounding_id", "vertices"), corners[0], "degrees_north", -999999.0),
        "vertex_longitude": ("f4", ("sounding_id", "vertices"), corners[1], "degrees_east", -999999.0),
        "solar_zenith_angle": ("f4", ("sounding_id",), np.abs(latitude) + 15.0, "degrees", -999999.0),
        "sensor_zenith_angle": ("f4", ("sounding_id",), np.zeros(n), "degrees", -999999.0),
        "xco2": ("f4", ("sounding_id",), older, "ppm", -999999.0),
        "xco2_x2019": ("f4", ("sounding_id",), xco2, "ppm", -999999.0),
        "xco2_uncertainty": ("f4", ("sounding_id",), uncertainty, "ppm", -999999.0),
        "xco2_apriori": ("f4", ("sounding_id",), operator["prior_column"], "ppm", -999999.0),
        "xco2_quality_flag": ("i1", ("sounding_id",), flag, "1", 127),
        "pressure_levels": ("f4", ("sounding_id", "levels"), operator["pressure_levels"], "hPa", -999999.0),
        "pressure_weight": ("f4", ("sounding_id", "levels"), operator["pressure_weight"], "1", -999999.0),
        "xco2_averaging_kernel": (
            "f4",
            ("sounding_id", "levels"),
            operator["averaging_kernel"],
            "1",
            -999999.0,
        ),
        "co2_profile_apriori": ("f4", ("sounding_id", "levels"), operator["prior_profile"], "ppm", -999999.0),
        "Sounding/operation_mode": ("i1", ("sounding_id",), np.zeros(n), "1", 127),
        "Sounding/land_water_indicator": ("i1", ("sounding_id",), np.zeros(n), "1", 127),
        "Sounding/land_fraction": ("f4", ("sounding_id",), np.full(n, 100.0), "percent", -999999.0),
        "Sounding/footprint": ("i1", ("sounding_id",), 1 + np.arange(n) % 8, "1", 127),
        "Retrieval/psurf": ("f4", ("sounding_id",), surface, "hPa", -999999.0),
        "Retrieval/xco2_raw": ("f4", ("sounding_id",), older, "ppm", -999999.0),
    }
    with atomic_path(path) as temporary, netCDF4.Dataset(temporary, "w") as nc:
        sizes = {"sounding_id": n, "levels": LEVELS, "vertices": 4, "epoch_dimension": 7}
        for name, size in sizes.items():
            nc.createDimension(name, size)
        nc.title = "SYNTHETIC soundings of a twin experiment in the layout of OCO-2 Lite files"
        nc.comment = "pressure levels and profiles run from space to surface"
        for name, (kind, dims, values, units, missing) in variables.items():
            variable = nc.createVariable(name, kind, dims, zlib=True, complevel=1)
            variable.units = units
            variable.missing_value = np.array(missing, kind)
            variable[:] = np.asarray(values).astype(kind)


_COLUMNS = (
    "site_code year month day hour minute second datetime time_decimal air_sample_container_id value "
    "value_unc latitude "
    "longitude altitude elevation intake_height method event_number instrument analysis_datetime qcflag"
)


def write_noaa_event(
    path: Path,
    site: DemoSite,
    time: NDArray[np.datetime64],
    value: Floats,
    uncertainty: Floats,
    flag: list[str],
) -> None:
    """Write one station's samples in the layout of NOAA event text (2021 onwards).

    Parameters
    ----------
    path : Path
        ``co2_<site>_surface-flask_1_ccgg_event.txt``.
    site : DemoSite
        Where.
    time : ndarray of datetime64
        UTC.
    value, uncertainty : ndarray
        micromol mol-1.
    flag : list of str
        Three characters each; ``...`` is good.
    """
    body = [
        "# DATA SET NAME",
        "#",
        f"# dataset_name: co2_{site.code.lower()}_surface-flask_1_ccgg_event",
        "#",
        "# DESCRIPTION",
        "#",
        "# SYNTHETIC samples of a twin experiment, written in the layout of event files. Not an observation.",
        "#",
        "# GLOBAL ATTRIBUTES",
        "#",
        f"# site_code : {site.code}",
        f"# site_latitude : {site.latitude}",
        f"# site_longitude : {site.longitude}",
        f"# site_elevation : {site.elevation}",
        "# site_elevation_unit : masl",
        "# dataset_parameter : co2",
        "# dataset_calibration_scale : WMO CO2 X2019",
        "#",
        "# VARIABLE ATTRIBUTES",
        "#",
        "# value:units : micromol mol-1",
        "# value:_FillValue : -999.999",
        "# value_unc:units : micromol mol-1",
        "# value_unc:_FillValue : -999.999",
        "#",
        "# VARIABLE ORDER",
        "#",
    ]
    lines = [f"# header_lines : {len(body) + 2}", *body, _COLUMNS]
    altitude = site.elevation + site.intake
    for k, (stamp, year) in enumerate(
        zip(time.astype("datetime64[s]").astype(object), decimal_year(time), strict=True)
    ):
        lines.append(
            f"{site.code} {stamp:%Y %m %d %H %M %S} {stamp:%Y-%m-%dT%H:%M:%SZ} {year:.9f} {site.code}{k:05d} "
            f"{value[k]:.3f} {uncertainty[k]:.3f} "
            f"{site.latitude:.4f} {site.longitude:.4f} {altitude:.2f} {site.elevation:.2f} "
            f"{site.intake:.2f} S {100000 + k} TWIN {stamp:%Y-%m-%dT%H:%M:%S} {flag[k]}"
        )
    write_text(path, "\n".join(lines) + "\n")
