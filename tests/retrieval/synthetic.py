"""SYNTHETIC granules in the layouts of real products, for tests: names, shapes, types, units and fills as there.

Each builder returns ``(variables, attributes)`` with variables as ``{path: (array, attributes)}``, so that a
test can break one thing before `write` makes the file. No number in them is a measurement.
"""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np

LEVELS = 20
V9_LAND = (
    "XCO2_Bias_Corrected = (XCO2_Raw + 0.900*(dpfrac + 0.0) + 0.0290*(co2_grad_del - 15.0) + 9.00*(DWS + 0.0)"
    " - footprint_bias)/0.99540"
)
V9_OCEAN = (
    "XCO2_Bias_Corrected = (XCO2_Raw + 0.245*(dp_sco2 + 0.0) - 0.0900*((co2_grad_del<(-6.)) + 6.00)"
    " - footprint_bias)/0.99530"
)
V9_FOOTPRINT = (-0.36, -0.15, -0.16, -0.14, 0.02, 0.33, 0.13, 0.34)
EPOCH = np.datetime64("1970-01-01T00:00:00", "us")


def write(path, variables, attributes=None, *, chunk=None, compress=None):
    """Write variables and global attributes as HDF5 (netCDF-4 underneath)."""
    with h5py.File(path, "w") as file:
        for key, value in (attributes or {}).items():
            file.attrs[key] = value
        for name, (given, own) in variables.items():
            values = np.asarray(given)
            options = {}
            if chunk and values.ndim and len(values) > 1:
                options = {"chunks": (min(chunk, len(values)), *values.shape[1:])}
                if compress:
                    options |= {"compression": "gzip", "compression_opts": compress, "shuffle": True}
            dataset = file.create_dataset(name, data=values, **options)
            for key, value in own.items():
                dataset.attrs[key] = value
    return path


def column(n, rng, *, layers=False, top=0.1, levels=LEVELS):
    """Pressures, weights, kernels and priors of a CO2 column, **surface first**, with gravity and humidity."""
    surface = rng.uniform(850.0, 1020.0, n)
    sigma = np.r_[np.linspace(1.0, 0.0, levels)[:-1], top / 1000.0]
    pressure = surface[:, None] * sigma
    middle = 0.5 * (pressure[:, 1:] + pressure[:, :-1])
    humidity = rng.uniform(0.002, 0.015, n)[:, None] * (middle / surface[:, None]) ** 3
    height = 7.5 * np.log(surface[:, None] / middle)
    gravity = 9.8 * (6371.0 / (6371.0 + height)) ** 2
    share = -np.diff(pressure, axis=1) * (1 - humidity) / gravity
    share /= share.sum(1, keepdims=True)
    if layers:
        weight, ratio = share, middle / surface[:, None]
    else:
        weight = np.zeros_like(pressure)
        weight[:, :-1] += share / 2
        weight[:, 1:] += share / 2
        ratio = pressure / surface[:, None]
    kernel = 1.02 - 0.5 * np.exp(-ratio / 0.1) + rng.normal(0, 0.01, (n, 1))
    prior = 410.0 - 7.0 * np.exp(-ratio / 0.1) + rng.normal(0, 0.5, (n, 1)) + 1.5 * ratio**4
    return pressure, weight, kernel, prior


def track(n, rng, start="2018-01-02T05:00:00", step=0.3):
    """Times, latitudes and longitudes of a track over China."""
    seconds = np.arange(n) * step
    time = np.datetime64(start, "us") + (seconds * 1e6).astype("timedelta64[us]")
    latitude = 20.0 + seconds * 6.75 / 111.2
    longitude = 115.0 - seconds * 0.012 + rng.normal(0, 0.02, n)
    return time, np.minimum(latitude, 80.0), longitude


def lite(n=60, *, seed=0, version=9, platform="OCO-2", start="2018-01-02T05:00:00"):
    """SYNTHETIC OCO-2/OCO-3 Lite granule (v9, v10 or v11 names); xco2 follows the v9 formula from xco2_raw."""
    rng = np.random.default_rng(seed)
    time, latitude, longitude = track(n, rng, start)
    pressure, weight, kernel, prior = (a.astype(np.float32)[:, ::-1] for a in column(n, rng))
    footprint = (1 + np.arange(n) % 8).astype(np.int8)
    land = (np.arange(n) % 10 < 7).astype(np.int8)
    f4 = {"missing_value": np.float32(-999999.0)}
    values = {
        "dpfrac": rng.normal(0, 1, n),
        "co2_grad_del": rng.normal(0, 20, n),
        "dws": rng.uniform(0, 0.2, n),
        "dp_sco2": rng.normal(0, 2, n),
        "aod_fine": rng.uniform(0, 0.1, n),
    }
    values = {k: v.astype(np.float32) for k, v in values.items()}
    raw = (408.0 + rng.normal(0, 1, n)).astype(np.float32)
    offset = np.array(V9_FOOTPRINT, np.float32)[footprint - 1]
    f = np.float32
    on_land = (
        raw
        + f(0.9) * values["dpfrac"]
        + f(0.029) * (values["co2_grad_del"] - f(15))
        + f(9) * values["dws"]
        - offset
    ) / f(0.9954)
    on_sea = (
        raw
        + f(0.245) * values["dp_sco2"]
        - f(0.09) * (np.minimum(values["co2_grad_del"], f(-6)) + f(6))
        - offset
    ) / f(0.9953)
    xco2 = np.where(land == 1, on_land, on_sea)
    bad = rng.random(n) < 0.4
    bits = np.where(bad, 1 << rng.integers(0, 3, n), 0)
    milli = (time - EPOCH).astype(np.int64) // 1000
    stamp = np.array([np.datetime_as_string(t, "s") for t in time])
    digits = np.array([int(re.sub(r"\D", "", s)) for s in stamp])
    identity = digits * 100 + milli % 1000 // 100 * 10 + footprint
    calendar = [(*map(int, re.findall(r"\d+", s)), int(m % 1000)) for s, m in zip(stamp, milli, strict=True)]
    half = 0.008
    corners_lat = latitude[:, None] + half * np.array([-1, -1, 1, 1])
    corners_lon = longitude[:, None] + half * np.array([-1, 1, 1, -1])
    variables = {
        "sounding_id": (
            identity.astype(np.int64),
            {"units": "YYYYMMDDhhmmssmf", "missing_value": np.int64(0)},
        ),
        "time": (milli / 1e3, {"units": "seconds since 1970-01-01 00:00:00", "missing_value": -999999.0}),
        "date": (np.array(calendar, np.int16), {"units": "none", "missing_value": np.int16(-9999)}),
        "latitude": (latitude.astype(np.float32), {"units": "degrees_north", **f4}),
        "longitude": (longitude.astype(np.float32), {"units": "degrees_east", **f4}),
        "vertex_latitude": (corners_lat.astype(np.float32), {"units": "degrees_north", **f4}),
        "vertex_longitude": (corners_lon.astype(np.float32), {"units": "degrees_east", **f4}),
        "solar_zenith_angle": (rng.uniform(20, 70, n).astype(np.float32), {"units": "degrees", **f4}),
        "sensor_zenith_angle": (rng.uniform(0, 45, n).astype(np.float32), {"units": "degrees", **f4}),
        "xco2": (xco2.astype(np.float32), {"units": "ppm", **f4}),
        "xco2_uncertainty": (rng.uniform(0.4, 0.9, n).astype(np.float32), {"units": "ppm", **f4}),
        "xco2_apriori": (
            (weight * prior).sum(1, dtype=np.float64).astype(np.float32),
            {"units": "ppm", **f4},
        ),
        "xco2_quality_flag": (bad.astype(np.int8), {"units": "none", "missing_value": np.int8(127)}),
        "xco2_qf_bitflag": (
            bits.astype(np.uint64 if version >= 11 else np.int32),
            {
                "units": "none",
                "missing_value": np.int32(-9999),
                "qf_variables": "co2_ratio, dp_abp, aod_total",
            },
        ),
        "pressure_levels": (pressure, {"units": "hPa", **f4}),
        "pressure_weight": (weight, {"units": "none", **f4}),
        "xco2_averaging_kernel": (kernel, {"units": "none", **f4}),
        "co2_profile_apriori": (prior, {"units": "ppm", **f4}),
        "Sounding/operation_mode": (
            np.where(land == 1, 0, 1).astype(np.int8),
            {"missing_value": np.int8(127)},
        ),
        "Sounding/footprint": (footprint, {"missing_value": np.int8(127)}),
        "Sounding/orbit": (np.full(n, 18599, np.int32), {"missing_value": np.int32(-9999)}),
        "Sounding/land_fraction": (
            (land * 100).astype(np.int8),
            {"units": "percent", "missing_value": np.int8(127)},
        ),
        "Sounding/altitude": (rng.uniform(0, 500, n).astype(np.float32), {"units": "meters", **f4}),
        "Retrieval/surface_type": (land, {"missing_value": np.int8(127)}),
        "Retrieval/xco2_raw": (raw, {"units": "ppm", **f4}),
        "Retrieval/psurf": (pressure[:, -1].copy(), {"units": "hPa", **f4}),
        **{f"Retrieval/{k}": (v, {**f4}) for k, v in values.items()},
    }
    if version >= 10:
        variables["xco2_x2019"] = ((xco2 + 0.047).astype(np.float32), {"units": "ppm", **f4})
    attributes = {
        "title": "SYNTHETIC granule in the layout of ACOS L2 Lite Output",
        "Platform": platform,
        "filter_function": f"oco2_xco2_quality_flag_b{version}",
        "Bias_Correction_land": V9_LAND,
        "Bias_Correction_oceanGL": V9_OCEAN,
        "Footprint_bias_land": "Assumed footprint biases in xco2 [ppm] for footprints 1-8: "
        + ", ".join(map(str, V9_FOOTPRINT)),
        "Footprint_bias_oceanGL": "Assumed footprint biases in xco2 [ppm] for footprints 1-8: "
        + ", ".join(map(str, V9_FOOTPRINT)),
    }
    return variables, attributes


def lite_name(day="180102", version=9, made="180929105747", platform="oco2"):
    """File name of a Lite granule."""
    build = {9: "B9003r", 10: "B10206Ar", 11: "B11100Ar"}[version]
    return f"{platform}_LtCO2_{day}_{build}_{made}s.nc4"


def cci(species="ch4", n=40, *, seed=1, levels=LEVELS, layers=False, unit=None, value=None):
    """SYNTHETIC ESA-CCI list of soundings, surface first; layers between ``levels`` pressures or on levels."""
    rng = np.random.default_rng(seed)
    time, latitude, longitude = track(n, rng, step=4.6)
    pressure, weight, kernel, prior = (
        a.astype(np.float32) for a in column(n, rng, layers=layers, levels=levels)
    )
    scale = {"co2": 1.0, "ch4": 4.6, "co": 0.25}[species]
    unit = unit or {"co2": "1e-6", "ch4": "1e-9", "co": "1e-9"}[species]
    x = (value or 410.0 * scale) + rng.normal(0, 1, n)
    f4 = np.float32
    variables = {
        "time": ((time - EPOCH) / np.timedelta64(1, "s"), {"units": "seconds since 1970-01-01 00:00:00"}),
        "latitude": (latitude.astype(f4), {"units": "degrees_north"}),
        "longitude": (longitude.astype(f4), {"units": "degrees_east"}),
        f"x{species}": (x.astype(f4), {"units": unit}),
        f"x{species}_uncertainty": (rng.uniform(0.5, 2, n).astype(f4), {"units": unit}),
        f"x{species}_quality_flag": ((np.arange(n) % 3 == 2).astype(np.int8), {}),
        f"x{species}_averaging_kernel": (kernel, {"units": "1"}),
        f"{species}_profile_apriori": (prior * f4(scale), {"units": unit}),
        "pressure_levels": (pressure, {"units": "hPa"}),
        "pressure_weight": (weight, {"units": "1"}),
        "exposure_id": (np.arange(n, dtype=np.int32) + 1000, {}),
    }
    return variables, {"title": "SYNTHETIC"}


def wfmd(n=30, seed=2):
    """SYNTHETIC WFMD granule: 20 layers between 21 pressures, CH4 and CO."""
    variables, _ = cci("ch4", n, seed=seed, levels=21, layers=True)
    del variables["exposure_id"]
    carbon_monoxide, _ = cci("co", n, seed=seed, levels=21, layers=True)
    variables |= {k: v for k, v in carbon_monoxide.items() if "co" in k and k != "exposure_id"}
    latitude, longitude = variables["latitude"][0], variables["longitude"][0]
    spread = np.array([-0.03, -0.03, 0.03, 0.03], np.float32)
    turn = np.array([-0.04, 0.04, 0.04, -0.04], np.float32)
    variables |= {
        "latitude_corners": (latitude[:, None] + spread, {"units": "degree_north"}),
        "longitude_corners": (longitude[:, None] + turn, {"units": "degree_east"}),
        "orbit_number": (np.full(n, 372, np.int32), {}),
        "scanline": (np.arange(n, dtype=np.int32) // 5, {}),
        "ground_pixel": (np.arange(n, dtype=np.int32) % 5, {}),
        "land_fraction": (np.full(n, 80, np.int32), {"units": "1e-2"}),
        "altitude": (np.full(n, 120.0, np.float32), {"units": "m"}),
    }
    return variables, {"title": "TROPOMI/WFMD XCH4 and XCO (SYNTHETIC)", "product_version": "v1.5"}


def s5p(lines=6, pixels=5, *, seed=3, valid=0.6, delta="milliseconds"):
    """SYNTHETIC S5P CH4 orbit piece: groups, (1, line, pixel) arrays, top first, prior in mol m-2, Pa."""
    rng = np.random.default_rng(seed)
    n = lines * pixels
    fill = np.float32(9.96921e36)
    shape = (1, lines, pixels)
    hole = rng.random(n) > valid
    hole[0] = False
    surface = rng.uniform(85000, 101000, n)
    interval = (surface - 10.0) / 12
    edges = surface[:, None] - interval[:, None] * np.arange(13)
    _, share, kernel, prior = column(n, rng, layers=True, levels=13)
    air = share * (surface[:, None] / (9.8 * 0.02896))
    ppb = prior * 4.6

    def field(values, own=None, missing=fill):
        values = np.asarray(values)
        tail = values.shape[1:]
        values = values.astype(np.float32).copy()
        values[hole] = missing
        return values.reshape(*shape, *tail), {"_FillValue": missing, **(own or {})}

    detail, data, geo = (
        f"PRODUCT/SUPPORT_DATA/{g}/" for g in ("DETAILED_RESULTS", "INPUT_DATA", "GEOLOCATIONS")
    )
    latitude, longitude = rng.uniform(30, 31, n), rng.uniform(110, 111, n)
    everywhere = {"_FillValue": fill}
    since = "milliseconds since 2019-03-11 00:00:00" if delta == "since" else delta
    variables = {
        "PRODUCT/latitude": (
            latitude.reshape(shape).astype(np.float32),
            {"units": "degrees_north", **everywhere},
        ),
        "PRODUCT/longitude": (
            longitude.reshape(shape).astype(np.float32),
            {"units": "degrees_east", **everywhere},
        ),
        "PRODUCT/time": (
            np.array([289_958_400], np.int32),
            {"units": "seconds since 2010-01-01 00:00:00", "_FillValue": np.int32(-2147483647)},
        ),
        "PRODUCT/delta_time": (
            (1080 * np.arange(lines, dtype=np.int32) + 36_000_000)[None],
            {"units": since, "_FillValue": np.int32(-2147483647)},
        ),
        "PRODUCT/qa_value": (
            np.where(hole, 0, rng.choice([40, 100], n)).astype(np.uint8).reshape(shape),
            {"scale_factor": np.float32(0.01), "_FillValue": np.uint8(255), "units": "1"},
        ),
        "PRODUCT/methane_mixing_ratio": field(1860 + rng.normal(0, 5, n), {"units": "1e-9"}),
        "PRODUCT/methane_mixing_ratio_bias_corrected": field(1870 + rng.normal(0, 5, n), {"units": "1e-9"}),
        "PRODUCT/methane_mixing_ratio_precision": field(rng.uniform(1, 3, n), {"units": "1e-9"}),
        detail + "column_averaging_kernel": field(kernel[:, ::-1], {"units": "1"}),
        detail + "surface_albedo_NIR": field(rng.uniform(0.1, 0.6, n), {"units": "1"}),
        detail + "surface_albedo_SWIR": field(rng.uniform(0.01, 0.3, n), {"units": "1"}),
        detail + "chi_square": field(rng.uniform(10, 150, n), {"units": "1"}),
        data + "surface_pressure": field(surface, {"units": "Pa"}),
        data + "pressure_interval": field(interval, {"units": "Pa"}),
        data + "dry_air_subcolumns": field(air[:, ::-1], {"units": "mol m-2"}),
        data + "methane_profile_apriori": field((air * ppb * 1e-9)[:, ::-1], {"units": "mol m-2"}),
        data + "surface_altitude": field(rng.uniform(0, 100, n), {"units": "m"}),
        data + "surface_altitude_precision": field(rng.uniform(0, 100, n), {"units": "m"}),
        data + "surface_classification": (
            rng.choice(np.array([0, 1, 3, 184], np.uint8), n).reshape(shape),
            {"_FillValue": np.uint8(255)},
        ),
        geo + "latitude_bounds": field(latitude[:, None] + 0.03 * np.array([-1, -1, 1, 1])),
        geo + "longitude_bounds": field(longitude[:, None] + 0.03 * np.array([-1, 1, 1, -1])),
        geo + "solar_zenith_angle": field(rng.uniform(30, 75, n), {"units": "degree"}),
    }
    attributes = {
        "id": "S5P_OFFL_L2__CH4____20190311T101655_20190311T115825_07293_01_010202_20190317T121015",
        "title": "TROPOMI/S5P Methane 1-Orbit L2 Swath 7x7km (SYNTHETIC)",
        "orbit": np.array([7293], np.int32),
        "processor_version": "1.2.2",
    }
    return variables, attributes, {"edges": edges / 100.0, "prior": ppb, "weight": share, "there": ~hole}


def blended(n=25, seed=4):
    """SYNTHETIC blended TROPOMI+GOSAT granule: the S5P fields in one flat list."""
    wide, _, truth = s5p(1, n, seed=seed, valid=2.0)
    variables = {}
    for path, (values, own) in wide.items():
        name = path.rsplit("/", 1)[-1]
        if values.shape[:2] == (1, 1) and values.shape[2:3] == (n,):
            variables[name] = (values.reshape(n, *values.shape[3:]), own)
    variables["methane_mixing_ratio_blended"] = variables["methane_mixing_ratio_bias_corrected"]
    variables["qa_value"] = (np.full(n, 100, np.uint8), variables["qa_value"][1])
    variables["chi_square_SWIR"] = (np.linspace(0, 40000, n, dtype=np.float32), {})
    variables["time_utc"] = (np.array([b"2018-05-01T03:57:12.571000Z"] * n, dtype="S27"), {})
    return variables, {"Title": "Blended TROPOMI+GOSAT Methane Product (SYNTHETIC)"}, truth


def nies_gosat(species="CO2", n=12, seed=5):
    """SYNTHETIC NIES GOSAT SWIR L2 granule."""
    rng = np.random.default_rng(seed)
    time, latitude, longitude = track(n, rng, step=4.6)
    value = {"CO2": 400.0, "CH4": 1.85}[species]
    text = np.char.replace(np.datetime_as_string(time, "ms"), "T", " ").astype("S23")
    latitude = latitude.astype(np.float32)
    latitude[1] = -9999.0
    x = (value * (1 + rng.normal(0, 0.002, n))).astype(np.float32)
    x[2] = -1e30
    return {
        "scanAttribute/time": (text, {}),
        "Data/geolocation/latitude": (latitude, {"unit": "deg"}),
        "Data/geolocation/longitude": (longitude.astype(np.float32), {"unit": "deg"}),
        "Data/geolocation/landFraction": (np.full(n, 100.0, np.float32), {"unit": "%"}),
        f"Data/mixingRatio/X{species}": (x, {"unit": "ppmv"}),
        f"Data/mixingRatio/X{species}BiasCorrected": (x + np.float32(0.001 * value), {"unit": "ppmv"}),
        f"Data/mixingRatio/X{species}BiasCorrectedError": (
            np.full(n, 0.002 * value, np.float32),
            {"unit": "ppmv"},
        ),
        "Data/retrievalQuality/totalPostScreeningResult": ((np.arange(n) % 4 == 3).astype(np.int8), {}),
    }, {"title": "SYNTHETIC"}


def nies_gosat2(n=10, seed=6, *, top_first=True):
    """SYNTHETIC NIES GOSAT-2 SWFP granule: 15 layers between 16 pressures."""
    rng = np.random.default_rng(seed)
    time, latitude, longitude = track(n, rng, step=4.6)
    turn = -1 if top_first else 1
    pressure, weight, kernel, prior = (
        a.astype(np.float32)[:, ::turn] for a in column(n, rng, layers=True, levels=16)
    )
    r = "RetrievalResult/"
    variables = {
        "SoundingAttribute/observationTime": (
            np.char.add(np.datetime_as_string(time, "ms"), "Z").astype("S24"),
            {},
        ),
        "SoundingAttribute/soundingUniqueID": (np.array([f"G2-{k:04d}" for k in range(n)], dtype="S7"), {}),
        "SoundingGeometry/latitude": (latitude.astype(np.float32), {}),
        "SoundingGeometry/longitude": (longitude.astype(np.float32), {}),
        "SoundingGeometry/height": (np.full(n, 50.0, np.float32), {}),
        "SoundingGeometry/landFraction": (np.full(n, 100.0, np.float32), {}),
        "SoundingGeometry/sunglintFlag": (np.zeros(n, np.int8), {}),
        r + "pressure_level": (pressure, {}),
        r + "pressure_weighting_function": (weight, {}),
    }
    for gas, scale, unit in (("co2", 1.0, "ppm"), ("ch4", 4.6, "ppb"), ("co", 0.25, "ppb")):
        f4 = np.float32(scale)
        variables |= {
            f"{r}x{gas}": ((410 * scale + rng.normal(0, 1, n)).astype(np.float32), {"unit": unit}),
            f"{r}x{gas}_uncert": (np.full(n, 0.5, np.float32), {"unit": unit}),
            f"{r}x{gas}_quality_flag": ((np.arange(n) % 5 == 4).astype(np.int8), {}),
            f"{r}x{gas}_column_averaging_kernel": (kernel, {}),
            f"{r}{gas}_profile_apriori": (prior * f4, {"unit": unit}),
            f"{r}x{gas}_apriori": ((weight * prior).sum(1) * f4, {"unit": unit}),
        }
    variables["Metadata/productVersion"] = (np.array([b"02.20"]), {})
    return variables, {"title": "SYNTHETIC"}


def tansat():
    """TanSat of the agency: time in parts, weights of one profile for all; returns them too."""
    rng = np.random.default_rng(0)
    n = 6
    surface = np.full(n, 1000.0)
    sigma = np.r_[np.linspace(1, 0, 20)[:-1], 1e-4]
    layer = -np.diff(sigma)
    h = np.zeros(20)
    h[:-1] += layer / 2
    h[1:] += layer / 2
    variables = {
        "year": (np.full(n, 2018.0), {}),
        "month": (np.full(n, 1.0), {}),
        "day": (np.full(n, 2.0), {}),
        "hour": (np.arange(n, dtype=float), {}),
        "longitude": (rng.uniform(100, 120, n), {}),
        "latitude": (rng.uniform(20, 40, n), {}),
        "xco2_bc": (405 + rng.normal(0, 1, n), {}),
        "xco2_error": (np.full(n, 1.5), {}),
        "xco2_column_averaging_kernel": (np.ones((n, 20)), {}),
        "co2_profile_apriori": (np.full((n, 20), 402.0), {}),
        "pressure_levels": (surface[:, None] * sigma, {}),
        "h": (h / h.sum(), {}),
    }
    return variables, h


def co2m():
    """A swath of groups, without CO2 in one pixel."""
    rng = np.random.default_rng(1)
    lines, pixels = 4, 3
    n = lines * pixels
    pressure, weight, kernel, prior = (a[:, ::-1] for a in column(n, rng, layers=True, levels=21))
    shape = (lines, pixels)
    product, support = "data/PRODUCT/", "data/PRODUCT/SUPPORT_DATA/"
    xco2 = rng.normal(415, 1, n).astype(np.float32)
    xco2[5] = 9.96921e36
    variables = {
        product + "xco2": (xco2.reshape(shape), {"units": "ppm", "_FillValue": np.float32(9.96921e36)}),
        product + "xco2_precision": (np.full(shape, 0.6), {"units": "ppm"}),
        product + "xch4": (rng.normal(1900, 5, shape), {"units": "ppb"}),
        product + "xch4_precision": (np.full(shape, 8.0), {"units": "ppb"}),
        product + "latitude": (rng.uniform(30, 31, shape), {}),
        product + "longitude": (rng.uniform(110, 111, shape), {}),
        product + "time": (np.array([10.0]), {"units": "days since 2028-01-01"}),
        product + "delta_time": (np.arange(lines, dtype=float), {"units": "seconds"}),
        product + "qa_value": (np.full(shape, 100, np.uint8), {"scale_factor": 0.01}),
        support + "INPUT_DATA/pressure_levels": (pressure.reshape(*shape, 21), {"units": "hPa"}),
        support + "INPUT_DATA/co2_profile_apriori": (prior.reshape(*shape, 20), {"units": "ppm"}),
        support + "INPUT_DATA/ch4_profile_apriori": (4.6 * prior.reshape(*shape, 20), {"units": "ppb"}),
        support + "DETAILED_RESULTS/pressure_weight": (weight.reshape(*shape, 20), {}),
        support + "DETAILED_RESULTS/xco2_averaging_kernel": (kernel.reshape(*shape, 20), {}),
        support + "DETAILED_RESULTS/xch4_averaging_kernel": (kernel.reshape(*shape, 20), {}),
    }
    return variables


def methanesat(uncertain=True):
    """A swath without operator, with or without uncertainty."""
    rng = np.random.default_rng(4)
    shape = (5, 4)
    fill = np.float32(9.969209968386869e36)
    xch4 = rng.normal(1920, 15, shape).astype(np.float32)
    xch4[0, 0] = fill
    flag = np.zeros(shape, np.int8)
    flag[2], flag[0, 0] = 1, -128
    variables = {
        "product_co2proxy/xch4_co2proxy": (xch4, {"units": "ppb", "_FillValue": fill}),
        "product_co2proxy/main_quality_flag": (flag, {"_FillValue": np.int8(-128)}),
        "geolocation/latitude": (rng.uniform(32, 33, shape), {"units": "degrees_north"}),
        "geolocation/longitude": (rng.uniform(-104, -103, shape), {"units": "degrees_east"}),
        "geolocation/time": (np.full(5, 350000.25), {"units": "hours since 1985-01-01"}),
        "co2proxy_fit_diagnostics/ch4_averaging_kernel": (np.ones((*shape, 19), np.float32), {}),
    }
    if uncertain:
        variables["product_co2proxy/xch4_co2proxy_uncertainty"] = (np.full(shape, 25.0), {"units": "ppb"})
    return variables


def s5p_v208():
    """Processor 2.8, which has a destriped variant."""
    variables, attributes, _ = s5p(delta="since")
    name = "PRODUCT/methane_mixing_ratio_bias_corrected"
    value, own = variables[name]
    variables[name + "_destriped"] = (np.where(value < 1e30, value - 2, value).astype(np.float32), own)
    return variables, attributes | {"processor_version": "2.8.0"}


def read_spec(das_or_cdl: Path):
    """Return ``{name: {attribute: text}}`` of a header dump (CDL, or DAP .das with the paths inside)."""
    text = das_or_cdl.read_text()
    if das_or_cdl.suffix == ".cdl":
        found: dict[str, dict[str, str]] = {}
        for kind, name, dims in re.findall(r"^\t(\w+) (\w+)\(([^)]*)\) ;", text, re.MULTILINE):
            found[name] = {"type": kind, "dims": dims}
        for name, key, value in re.findall(r"^\t\t(\w+):(\w+) = \"?(.*?)\"? ;", text, re.MULTILINE):
            if name in found:
                found[name][key] = value
        return found
    result = {}
    for block in re.findall(r"^    (\w+) \{\n(.*?)^    \}", text, re.MULTILINE | re.DOTALL):
        own = dict(re.findall(r'^\s+\w+ (\w+) "?(.*?)"?;$', block[1], re.MULTILINE))
        if "fullnamepath" in own:
            result[own["fullnamepath"].lstrip("/")] = own
    return result
