"""Files of spectra in the layouts of GOSAT and OCO, made of arrays."""

from __future__ import annotations

import h5py
import numpy as np

BANDS = ("o2", "weak_co2", "strong_co2")
START = {"o2": 12870.0, "weak_co2": 6200.0, "strong_co2": 4750.0}


def put(file, name, values, unit=None):
    node = file.create_dataset(name, data=values)
    if unit is not None:
        node.attrs["Units"] = np.array([unit], dtype=object)


def gosat_file(
    path, radiance=None, *, soundings=2, points=40, spacing=0.2, gain=b"H    ", start=START, **geometry
):
    """Write a level-1 file as ACOS does; `radiance` by band has shape (soundings, 2, points)."""
    given = radiance or {}
    rng = np.random.default_rng(0)
    places = {
        "latitude": 36.0, "longitude": 140.0, "altitude": 90.0, "zenith": 1.5, "azimuth": 355.0,
        "solar_zenith": 48.0, "solar_azimuth": 199.0, "land_fraction": 100.0, "time_tai93": 541050593.389,
    } | geometry  # fmt: skip
    with h5py.File(path, "w") as file:
        ids = 20100223034944 + np.arange(soundings)
        put(file, "SoundingHeader/sounding_id", ids.astype(np.int64))
        put(file, "SoundingHeader/gain_swir", np.full((soundings, 2), gain, dtype="S6"))
        scale = np.empty((soundings, 3, 2, 2))
        scale[..., 1] = spacing
        for name, value in places.items():
            kind = np.float64 if name.endswith("tai93") else np.float32
            put(file, f"FootprintGeometry/footprint_{name}", np.full((soundings, 3, 2), value, kind))
        put(file, "SpacecraftGeometry/relative_velocity", np.full(soundings, 190.0, np.float32))
        for number, band in enumerate(BANDS):
            values = given.get(band, 3e-7 * (1.0 + 0.1 * rng.random((soundings, 2, points))))
            n = values.shape[-1]
            scale[:, number, :, 0] = start[band]
            put(
                file,
                f"SoundingSpectra/radiance_{band}",
                values.astype(np.float32),
                "W cm^{-2} sr^{-1} (cm^{-1})^{-1}",
            )
            put(
                file,
                f"SoundingSpectra/noise_{band}_l1b",
                np.tile(np.float32([4e-6, 3e-6]), (soundings, 1)),
                "V (cm^{-1})^{-1}",
            )
            for word, factor in (("highgain", 2e-4), ("medgain", 6e-4)):
                put(
                    file,
                    f"InstrumentHeader/cnv_coef_{word}_{band}",
                    np.full((soundings, 2, n), factor, np.float32),
                )
        put(file, "SoundingHeader/wavenumber_coefficients", scale, "Wavenumbers")
    return path


def oco_file(path, *, frames=1, footprints=2, points=60, knots=21, radiance=None, old=False):
    """Write an L1bSc file by the published layout; of old files the bad samples stand beside the noise."""
    rng = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        ids = 2014101812360370 + 10 * np.arange(frames)[:, None] + np.arange(1, footprints + 1)
        put(file, "SoundingGeometry/sounding_id", ids.astype(np.int64))
        for name, value in {
            "latitude": 36.6, "longitude": -97.5, "altitude": 310.0, "zenith": 12.0, "azimuth": 80.0,
            "solar_zenith": 46.0, "solar_azimuth": 180.0, "land_fraction": 100.0, "relative_velocity": 3000.0,
        }.items():  # fmt: skip
            put(file, f"SoundingGeometry/sounding_{name}", np.full((frames, footprints), value, np.float32))
        put(file, "SoundingGeometry/sounding_time_tai93", np.full((frames, footprints), 687789371.0))
        put(file, "SoundingGeometry/sounding_qual_flag", np.zeros((frames, footprints), np.uint64))
        coefficients = np.zeros((3, footprints, 6))
        coefficients[:, :, 0] = np.array([0.7576, 1.5906, 2.0431])[:, None]
        coefficients[:, :, 1] = np.array([1.75e-5, 3.65e-5, 4.70e-5])[:, None]
        coefficients[:, :, 2] = -1e-9
        put(file, "InstrumentHeader/dispersion_coef_samp", coefficients, "Microns")
        snr = np.zeros((3, footprints, points, 3 if old else 2))
        snr[..., 0], snr[..., 1] = 0.01, 0.02
        bad = np.zeros((3, footprints, points))
        bad[:, :, 7] = 1.0
        if old:
            snr[..., 2] = bad
        else:
            put(file, "InstrumentHeader/bad_sample_list", bad.astype(np.int8))
        put(file, "InstrumentHeader/snr_coef", snr)
        put(file, "InstrumentHeader/measureable_signal_max_observed", np.array([7.0e20, 2.45e20, 1.25e20]))
        offset = np.linspace(-2e-4, 3e-4, knots)
        put(
            file, "InstrumentHeader/ils_delta_lambda", np.broadcast_to(offset, (3, footprints, points, knots))
        )
        shape = np.exp(-((offset / 5e-5) ** 2))
        put(
            file,
            "InstrumentHeader/ils_relative_response",
            np.broadcast_to(shape, (3, footprints, points, knots)),
        )
        for band in BANDS:
            values = 5e19 * (1.0 + 0.1 * rng.random((frames, footprints, points)))
            if radiance is not None and band in radiance:
                values = radiance[band]
            put(
                file,
                f"SoundingMeasurements/radiance_{band}",
                values.astype(np.float32),
                "Photons sec^{-1} m^{-2} sr^{-1} um^{-1}",
            )
    return path
