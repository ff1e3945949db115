"""A granule of GOSAT whose truth is known: spectra computed by the model, written in the layout of level 1."""

from __future__ import annotations

import dataclasses

import h5py
import numpy as np

from retrieval.fits import fit
from retrieval.fits.options import RetrieveTable
from retrieval.fits.plan import make_plan
from retrieval.forward.air_files import layers_of, open_air, read_air
from retrieval.forward.scattering import ELEMENTS
from retrieval.spectra.files import open_spectra, read_soundings
from tests.retrieval.forward.worlds import record
from tests.retrieval.spectra.made import gosat_file

SHIFT = 3e-5  # what the file's wavenumbers are off by
LIGHT = {"o2": 2.4e-6, "weak": 2.4e-6}  # of the Sun: a continuum of 3e-7 is an albedo of 0.6
NOISE = {"o2": 5e-10, "weak": 5e-10}  # of the mean of both polarisations
START = {"o2": 12945.0, "weak_co2": 6195.0, "strong_co2": 4750.0}
POINTS = 150


def inputs(folder):
    """Line lists and air; return the options that name them."""
    for gas, molecule, first, strength in (("O2", 7, 12951.0, 8e-26), ("CO2", 2, 6200.3, 1.5e-23)):
        made = [
            record(molecule, "1", first + 1.7 * k, strength * (1.0 + 0.2 * k), 100.0 + 60.0 * k)
            for k in range(12)
        ]
        (folder / f"{gas}.par").write_text("\n".join(made) + "\n")
    pressure = np.geomspace(1000.0, 1.0, 30)
    temperature = np.maximum(290.0 - 52.0 * np.log(1000.0 / pressure), 215.0)
    rows = [f"{p},{t},{0.008 * (p / 1000.0) ** 3}" for p, t in zip(pressure, temperature, strict=True)]
    (folder / "met.csv").write_text("pressure_hpa,temperature_k,water\n" + "\n".join(rows) + "\n")
    return {
        "windows": {"o2": (12950.0, 12970.0), "weak": (6200.0, 6220.0)},
        "lines": {g: (folder / f"{g}.par",) for g in ("O2", "CO2")},
        "met": folder / "met.csv",
        "prior": {"CO2": "400"},
        "path_difference": 2.5,
        "field_of_view": 0.0158,
        "tables": folder / "tables",
        "pictures": 0,
        "fit": {
            "layers": 8, "step": 0.02, "log_pressure_step": 1.0, "temperature_step": 45.0, "continuum": 1,
        },
    }  # fmt: skip


def granule(folder, truths, *, seed=5, name="granule.h5", hazes=None):
    """Write a granule of `truths` (CO2 scale, surface pressure by the air's, temperature offset); return options.

    With `hazes` (height, optical depth, exponent) one a truth, there is a thin layer under the irradiance `LIGHT`.
    """
    options = inputs(folder)
    with_layer = {"fit": options["fit"] | {"layer": True}, "irradiance": LIGHT} if hazes else {}
    path = gosat_file(folder / name, soundings=len(truths), points=POINTS, start=START)
    table = RetrieveTable(files=[str(path)], out=folder / "out", **(options | with_layer))
    file = open_spectra(path)
    sounding = read_soundings(file, [0])[0]
    plan = make_plan(table, sounding)
    air = read_air(open_air(table.met), [0])[0]
    layers = layers_of(air, table.fit.layers, latitude=sounding.latitude, altitude=sounding.altitude)
    gases = {gas: fit._prior_layers(plan, gas, layers) for gas in plan.gases}
    rng = np.random.default_rng(seed)
    with h5py.File(path, "r+") as stored:
        for window, spectrum in zip(plan.windows, sounding.spectra, strict=False):
            nu = spectrum.wavenumber
            inside = (nu > window.low - 0.5) & (nu < window.high + 0.5)
            cut = dataclasses.replace(
                spectrum.between(nu[inside][0], nu[inside][-1]), wavenumber=nu[inside] * (1.0 + SHIFT)
            )
            model = fit._model(plan, layers, gases, (fit._band(plan, window, cut, sounding),), sounding)
            if hazes:
                model = fit._under_layer(model, table)
            for row, (scale, pressure, warmer) in enumerate(truths):
                x = model.first_guess
                known = {
                    "CO2_scale": scale,
                    "surface_pressure": x[model.names.index("surface_pressure")] * pressure,
                    "temperature_offset": warmer,
                    f"continuum_0_{window.name}": 3e-7,
                    f"continuum_1_{window.name}": 1e-8,
                }
                if hazes:
                    known |= dict(zip(ELEMENTS, hazes[row], strict=True))
                for element, value in known.items():
                    if element in model.names:
                        x[model.names.index(element)] = value
                y, _ = model(x)
                y = y + NOISE[window.name] * rng.normal(size=len(y))
                values = np.full(POINTS, 3e-7)
                values[inside] = y
                stored[f"SoundingSpectra/radiance_{spectrum.name}"][row] = values
    return options | {"files": [str(path)], "out": folder / "out"}
