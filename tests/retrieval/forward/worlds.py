"""Lines, air and instruments for tests, made here: no file of others is needed."""

from __future__ import annotations

import numpy as np

from retrieval.forward.atmosphere import make_layers
from retrieval.forward.hitran import LineList
from retrieval.forward.instrument import fts_shape
from retrieval.forward.model import ClearSky, SpectralBand
from retrieval.forward.sun import SolarLines
from retrieval.forward.tables import build_table


def record(molecule=2, isotopologue="1", wavenumber=6225.0, strength=1e-23, energy=100.0, tail=""):
    """A 160-character record."""
    head = f"{molecule:2d}{isotopologue}{wavenumber:12.6f}{strength:10.3E}{1e-3:10.3E}.0700{0.09:5.3f}"
    return (head + f"{energy:10.4f}0.70-.005000").ljust(160) + tail


def lines(molecule="CO2", centres=(6225.2, 6226.1, 6227.4), strength=2e-23):
    n = len(centres)
    one = np.ones(n)
    return LineList(
        molecule,
        np.ones(n, dtype=np.int64),
        np.asarray(centres, float),
        strength * (1.0 + np.arange(n)),
        0.07 * one,
        0.09 * one,
        100.0 * (1.0 + np.arange(n)),
        0.7 * one,
        -0.005 * one,
    )


def air(levels=8, surface=1000.0):
    pressure = np.geomspace(surface, 5.0, levels)
    temperature = np.maximum(290.0 - 6.5 * 8.0 * np.log(surface / pressure), 215.0)
    return make_layers(pressure, temperature, 0.01 * (pressure / surface) ** 3, latitude=35.0, altitude=100.0)


def grid(low=6224.0, high=6229.0, step=0.005):
    return low + step * np.arange(round((high - low) / step) + 1)


_TABLES = {}


def table(molecule, centres, strength):
    key = molecule, tuple(centres), strength
    if key not in _TABLES:
        _TABLES[key] = build_table(
            lines(molecule, centres, strength),
            grid(),
            pressure=(2.0, 1090.0),
            temperature=(190.0, 320.0),
            fraction=(0.0, 0.02) if molecule == "H2O" else (0.0,),
            temperature_step=30.0,
        )
    return _TABLES[key]


def model(view=30.0, **choice):
    """Two gases, lines of the Sun, everything fitted."""
    layers = air()
    band = SpectralBand(
        "weak",
        np.arange(6225.0, 6228.0, 0.02),
        fts_shape(20.0, 0.002, 6226.0, reach=0.5),
        (table("CO2", (6225.2, 6226.1, 6227.4), 2e-23), table("H2O", (6225.7, 6227.0), 2e-24)),
        continuum=2,
        shift=True,
        stretch=True,
        offset=True,
        fluorescence=view is not None,
        solar=SolarLines(np.array([6226.5]), np.array([0.3]), np.array([0.03]), np.array([0.05])),
        doppler=1e-6,
    )
    gases = {"CO2": np.full(7, 400e-6), "H2O": layers.water}
    return ClearSky(
        layers, gases, (band,), 40.0, view=view, surface_pressure=True, temperature=True, **choice
    )


def state_of(clear, rng):
    """A state away from the first guess."""
    x = clear.first_guess
    for i, name in enumerate(clear.names):
        if "scale" in name or "layer" in name:
            x[i] = 1.0 + 0.05 * rng.normal()
        elif name == "surface_pressure":
            x[i] *= 0.99
        elif name == "temperature_offset":
            x[i] = 2.0
        elif name.startswith("continuum"):
            x[i] += 0.05 * rng.normal()
        elif name.startswith("shift"):
            x[i] = 5e-7
        elif name.startswith("stretch"):
            x[i] = 5e-4
        else:
            x[i] = 0.02
    return x


STEPS = {"surface_pressure": 0.02, "temperature_offset": 0.005, "shift": 1e-9, "stretch": 1e-6}


def assert_derivatives(sky, x):
    """The Jacobian is that of central differences, each element of the state for itself."""
    _, jacobian = sky(x)
    for i, name in enumerate(sky.names):
        step = STEPS.get(name.removesuffix("_weak"), 1e-4)
        moved = np.stack([x, x])
        moved[0, i] += step
        moved[1, i] -= step
        up, down = sky.forward(moved, np.arange(2))[0]
        difference = (up - down) / (2.0 * step)
        assert np.abs(difference).max() > 0.0, name
        error = np.abs(jacobian[:, i] - difference).max() / np.abs(difference).max()
        assert error < 1e-5, f"{name}: {error:.2e}"
