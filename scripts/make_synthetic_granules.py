"""Write SYNTHETIC granules of the size and layout of OCO-2 Lite days, for benchmarks.

    python scripts/make_synthetic_granules.py FOLDER --days 4 --soundings 158000

Layout: the names of the v9 header with the x2019 values of v11, chunks of 8192 soundings, deflate 4 with
shuffle. The values are smooth fields with noise, so they compress about as real ones do.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np

LEVELS = 20
CHUNK = 8192
# fmt: off
SINGLE = (
    "aod_bc", "aod_dust", "aod_fine", "aod_ice", "aod_oc", "aod_seasalt", "aod_strataer", "aod_sulfate",
    "aod_total", "aod_water", "albedo_o2a", "albedo_wco2", "albedo_sco2", "albedo_slope_o2a",
    "albedo_slope_wco2", "albedo_slope_sco2", "chi2_o2a", "chi2_wco2", "chi2_sco2", "co2_grad_del",
    "deltaT", "dp", "dp_o2a", "dp_sco2", "dpfrac", "dws", "eof3_3_rel", "fs", "h2o_scale", "ice_height",
    "psurf", "psurf_apriori", "rms_rel_wco2", "rms_rel_sco2", "s31", "s32", "t700", "tcwv",
    "tcwv_apriori", "tcwv_uncertainty", "windspeed", "windspeed_apriori", "xco2_raw",
)
# fmt: on


def track(
    n: int, day: np.datetime64, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return seconds, latitude, longitude and footprint of fourteen half orbits."""
    orbits = 14
    orbit = np.arange(n) * orbits // n
    within = np.arange(n) - np.searchsorted(orbit, orbit)
    length = np.bincount(orbit)[orbit]
    seconds = orbit * 5930.0 + within / length * 2700.0
    latitude = -65.0 + 130.0 * within / length
    longitude = (150.0 - orbit * 24.7 - 25.0 * within / length + 180.0) % 360.0 - 180.0
    start = (day - np.datetime64("1970-01-01", "D")).astype(float) * 86400.0
    return start + seconds, latitude + rng.normal(0, 0.01, n), longitude, 1 + np.arange(n) % 8


def write_granule(path: Path, n: int, day: np.datetime64, seed: int) -> None:
    """Write one day."""
    rng = np.random.default_rng(seed)
    seconds, latitude, longitude, footprint = track(n, day, rng)
    surface = 1000.0 - 60.0 * np.sin(np.radians(longitude)) ** 2 + rng.normal(0, 2, n)
    sigma = np.append(1e-4, np.linspace(0, 1, LEVELS)[1:])
    pressure = surface[:, None] * sigma
    middle = 0.5 * (sigma[1:] + sigma[:-1])
    humidity = 0.012 * np.cos(np.radians(latitude))[:, None] * middle**3
    share = np.diff(pressure, axis=1) * (1 - humidity) * (1 - 2 * 7.5 * np.log(middle) / 6371.0) ** -1
    share /= share.sum(1, keepdims=True)
    weight = np.zeros_like(pressure)
    weight[:, :-1] += share / 2
    weight[:, 1:] += share / 2
    noise = rng.normal(0, 0.01, (n, 1))
    kernel = 1.02 - 0.5 * np.exp(-sigma / 0.1) * (1 + noise) + 0.001 * rng.normal(size=(n, LEVELS))
    prior = 410.0 - 7.0 * np.exp(-sigma / 0.1) + 2 * np.sin(np.radians(latitude))[:, None] * sigma
    bad = rng.random(n) < 0.42
    bad = np.repeat(bad[::64], 64)[:n]  # clouds come in patches
    whole = np.floor(seconds).astype("datetime64[s]")
    text = np.char.replace(
        np.char.replace(np.char.replace(np.datetime_as_string(whole), "-", ""), ":", ""), "T", ""
    )
    identity = text.astype(np.int64) * 100 + (seconds * 10 % 10).astype(np.int64) * 10 + footprint
    x = (weight * prior).sum(1)
    raw = x + rng.normal(0, 0.8, n)
    variables = {
        "sounding_id": identity,
        "time": seconds,
        "latitude": latitude,
        "longitude": longitude,
        "vertex_latitude": latitude[:, None] + 0.008 * np.array([-1, -1, 1, 1]),
        "vertex_longitude": longitude[:, None] + 0.008 * np.array([-1, 1, 1, -1]),
        "solar_zenith_angle": 20 + np.abs(latitude),
        "sensor_zenith_angle": np.full(n, 0.4),
        "xco2": raw + 0.3,
        "xco2_x2019": raw + 0.35,
        "xco2_uncertainty": rng.uniform(0.4, 0.9, n),
        "xco2_apriori": x,
        "xco2_quality_flag": bad.astype(np.int8),
        "xco2_qf_bitflag": np.where(bad, 1 << rng.integers(0, 20, n), 0),
        "pressure_levels": pressure,
        "pressure_weight": weight,
        "xco2_averaging_kernel": kernel,
        "co2_profile_apriori": prior,
        "Sounding/operation_mode": (np.arange(n) // 5000 % 2).astype(np.int8),
        "Sounding/footprint": footprint.astype(np.int8),
        "Sounding/orbit": np.repeat(np.int32(18599), n),
        "Sounding/land_fraction": np.where(np.sin(np.radians(3 * longitude)) > 0, 100, 0).astype(np.int8),
        "Sounding/altitude": np.abs(rng.normal(200, 50, n)),
        "Retrieval/surface_type": (np.sin(np.radians(3 * longitude)) > 0).astype(np.int8),
        **{f"Retrieval/{name}": rng.normal(0, 1, n) for name in SINGLE},
    }
    units = {
        "time": "seconds since 1970-01-01 00:00:00",
        "pressure_levels": "hPa",
        "Sounding/land_fraction": "percent",
    }
    with h5py.File(path, "w") as file:
        file.attrs["title"] = "SYNTHETIC granule in the layout of OCO-2 Lite, for benchmarks"
        file.attrs["Platform"] = "OCO-2"
        file.attrs["filter_function"] = "oco2_xco2_quality_flag_b11"
        for name, full in variables.items():
            narrow = full.dtype == np.float64 and name != "time"
            values = full.astype(np.float32) if narrow else full
            chunks = (min(CHUNK, n), *values.shape[1:])
            dataset = file.create_dataset(
                name, data=values, chunks=chunks, compression="gzip", compression_opts=4, shuffle=True
            )
            dataset.attrs["missing_value"] = values.dtype.type(-999999 if values.dtype.kind == "f" else 127)
            ppm = name in ("xco2", "xco2_x2019", "xco2_uncertainty", "xco2_apriori", "co2_profile_apriori")
            dataset.attrs["units"] = units.get(name, "ppm" if ppm else "none")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--days", type=int, default=4)
    parser.add_argument("--soundings", type=int, default=158_000)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for k in range(options.days):
        day = np.datetime64("2020-07-01") + k
        stamp = str(day).replace("-", "")[2:]
        path = options.folder / f"oco2_LtCO2_{stamp}_B11100Ar_230603{k:06d}s.nc4"
        write_granule(path, options.soundings, day, seed=k)
        print(f"{path}  {path.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
