"""Speed of batched optimal estimation, the clear-sky model and matched filters, beside a yardstick and floors.

    python scripts/bench_retrieval.py

Processor seconds of one thread (set OMP_NUM_THREADS=1). The yardstick is the same retrieval as a plain loop in numpy,
one sounding at a time, with the same number of steps; the floor is what the symmetric product K^T K alone takes in the
fastest library at hand. pyOptimalEstimation 1.4 takes 2.3 s for one retrieval of this size (0.4 soundings a second)
with a Jacobian by finite differences; that figure was measured elsewhere and is quoted, not run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import fields

import numba
import numpy as np

from retrieval.estimation.estimate import estimate
from retrieval.estimation.spectrum import retrieve_clear_sky
from retrieval.forward.atmosphere import make_layers
from retrieval.forward.hitran import LineList
from retrieval.forward.instrument import fts_shape
from retrieval.forward.model import ClearSky, SpectralBand
from retrieval.forward.scattering import ScatteringLayer, ScatteringSky
from retrieval.forward.tables import build_table
from retrieval.matched_filter.filters import filter_spectra
from retrieval.matched_filter.options import FilterSettings
from retrieval.matched_filter.twin import CubeWorld, comb, make_cube

STATE, CHANNELS = 20, 1000


def seconds(work: Callable[[], object], tries: int = 3) -> float:
    """Return the fewest processor seconds of some tries."""
    best = np.inf
    for _ in range(tries):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


@numba.njit(cache=True)
def transmit(state: np.ndarray, shape: np.ndarray, spectrum: np.ndarray, jacobian: np.ndarray) -> None:
    """Compute exp(-B x) and its Jacobian for many states."""
    for row in range(len(state)):
        depth = shape @ state[row]
        for i in range(len(depth)):
            spectrum[row, i] = np.exp(-depth[i])
            for j in range(shape.shape[1]):
                jacobian[row, i, j] = -shape[i, j] * spectrum[row, i]


def estimation(rows: int) -> None:
    """Print soundings a second of the batch, of the loop and of the floor."""
    rng = np.random.default_rng(0)
    shape = rng.normal(size=(CHANNELS, STATE)) * 0.05
    noise = 0.01

    def forward(state: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        del which
        spectrum, jacobian = np.empty((len(state), CHANNELS)), np.empty((len(state), CHANNELS, STATE))
        transmit(state, shape, spectrum, jacobian)
        return spectrum, jacobian

    truth = rng.normal(size=(rows, STATE))
    y = forward(truth, truth)[0] + noise * rng.normal(size=(rows, CHANNELS))
    x_a, s_a = np.zeros(STATE), np.eye(STATE)
    estimate(forward, y[:20], noise**2, x_a, s_a)
    result = estimate(forward, y, noise**2, x_a, s_a)
    steps = float(result["iterations"].mean())
    batch = seconds(lambda: estimate(forward, y, noise**2, x_a, s_a)) / rows
    few = min(rows, 100)

    def loop() -> None:
        inverse = np.linalg.inv(s_a)
        for row in range(few):
            x = x_a.copy()
            for _ in range(round(steps)):
                modelled, k = (a[0] for a in forward(x[None], x[None]))
                left = inverse + k.T @ (k / noise**2)
                x = x + np.linalg.solve(left, k.T @ ((y[row] - modelled) / noise**2) + inverse @ (x_a - x))
            np.linalg.inv(left)

    yardstick = seconds(loop) / few
    k = np.asfortranarray(rng.normal(size=(CHANNELS, STATE)))
    from scipy.linalg.blas import dsyrk

    floor = seconds(lambda: [dsyrk(1.0, k, trans=1) for _ in range(200)]) / 200 * steps
    print(f"estimation {STATE} x {CHANNELS}, {rows} soundings, {steps:.1f} steps each")
    print("| what | soundings / s / core | ratio to the yardstick |")
    print("| --- | --- | --- |")
    for name, value in (
        ("batch", batch),
        ("numpy loop (yardstick)", yardstick),
        ("K^T K alone (floor)", floor),
    ):
        print(f"| {name} | {1 / value:,.0f} | {yardstick / value:.1f} |")
    print(
        f"batch over floor: {batch / floor:.1f}; over pyOptimalEstimation's 0.4 a second: {1 / batch / 0.4:,.0f}"
    )


def clear_sky() -> None:
    """Print soundings a second of a three-band clear-sky retrieval with tables of made-up lines."""
    rng = np.random.default_rng(1)
    pressure = np.geomspace(1000.0, 1.0, 21)
    temperature = np.maximum(290.0 - 50.0 * np.log(1000.0 / pressure) / np.log(3.0), 215.0)
    layers = make_layers(pressure, temperature, 0.01 * (pressure / 1000.0) ** 3, latitude=35.0, altitude=0.0)
    gases = {"O2": np.full(20, 0.2095), "CO2": np.full(20, 4e-4), "H2O": layers.water}
    bands = []
    for name, gas, low, width, strength in (
        ("o2", "O2", 13000.0, 190.0, 5e-24),
        ("weak", "CO2", 6170.0, 90.0, 5e-24),
        ("strong", "CO2", 4810.0, 75.0, 5e-23),
    ):
        grid = low - 1.0 + 0.01 * np.arange(round((width + 2.0) / 0.01))
        tables = [build_table(_lines(g, low, width, s, rng), grid, pressure=(0.9, 1090.0), temperature=(190.0, 320.0),
                              log_pressure_step=0.4, temperature_step=30.0, wing=10.0)
                  for g, s in ((gas, strength), ("H2O", 1e-25))]  # fmt: skip
        channel = np.linspace(low, low + width, 1000)
        bands.append(SpectralBand(name, channel, fts_shape(3.0, 0.0, low, reach=0.9), tuple(tables)))
    model = ClearSky(layers, gases, tuple(bands), 40.0, view=20.0, surface_pressure=True, temperature=True)
    parts = {f.name: getattr(model, f.name) for f in fields(ClearSky) if f.init}
    layer = ScatteringLayer(0.7, 0.05, 1.0, {b.name: 12.0 for b in bands})
    points = sum(len(t.wavenumber) for b in bands for t in b.tables) * 20
    values = np.ones((16, points // 64), dtype=np.float32)
    floor = seconds(lambda: values.astype(np.float64).sum(axis=0)) * 64
    print(
        f"three bands, 3000 channels, {points:,} cross sections; reading them once (floor) {1e3 * floor:.0f} ms"
    )
    print("| sky | soundings / s / core | steps | model and Jacobian | by the floor |")
    print("| --- | --- | --- | --- | --- |")
    for name, sky in (("clear", model), ("with a scattering layer", ScatteringSky(**parts, layer=layer))):
        truth = sky.first_guess
        truth[:3] *= 1.01
        y, _ = sky(truth)
        y = y + 0.002 * rng.normal(size=y.shape)
        result = retrieve_clear_sky(sky, y, 0.002)
        one = seconds(lambda s=sky, y=y: retrieve_clear_sky(s, y, 0.002))  # type: ignore[misc]
        call = seconds(lambda s=sky: s(s.first_guess))  # type: ignore[misc]
        print(
            f"| {name} | {1 / one:.1f} | {int(result['iterations'][0])} | {1e3 * call:.0f} ms | {call / floor:.1f} |"
        )


def _lines(molecule: str, low: float, width: float, strength: float, rng: np.random.Generator) -> LineList:
    n = 60
    one = np.ones(n)
    centre = np.sort(low + width * rng.uniform(size=n))
    first, energy = np.ones(n, dtype=np.int64), 500.0 * rng.uniform(size=n)
    strengths = strength * rng.uniform(size=n)
    return LineList(
        molecule, first, centre, strengths, 0.07 * one, 0.09 * one, energy, 0.7 * one, -0.005 * one
    )


def matched_filters(rows: int = 1280, bands: int = 60, columns: int = 20) -> None:
    """Print pixels a second of the filters, one detector column at a time, and of the products they need at least."""
    k = comb(bands)
    quiet, strong = (
        [x.astype(np.float64) for x in make_cube(world, k, 1).radiance.swapaxes(0, 1)]
        for world in (
            CubeWorld(rows=rows, columns=columns, strength=0.0),
            CubeWorld(rows=rows, columns=columns, strength=5000.0, share=0.05),
        )
    )
    centred = [x - x.mean(axis=0) for x in quiet]
    square = np.eye(bands)

    def least() -> None:
        for y in centred:
            y.T @ y
            y @ square

    floor = seconds(least, 10) / (rows * columns)
    print(f"matched filters, {rows} x {columns} pixels, {bands} bands, one column a background")
    print("| what | Mpixel / s / core | times the floor |")
    print("| --- | --- | --- |")
    print(f"| covariance and whitening by BLAS (floor) | {1e-6 / floor:.2f} | 1.0 |")
    for method, cubes, name in (
        ("classical", quiet, "`classical`"),
        ("albedo", quiet, "`albedo`"),
        ("reweighted", quiet, "`reweighted`"),
        ("reweighted", strong, "`reweighted`, 5000 ppm m on 5 % of the pixels"),
    ):
        settings = FilterSettings(method=method)

        def work(settings: FilterSettings = settings, cubes: list[np.ndarray] = cubes) -> None:
            for x in cubes:
                filter_spectra(x, k, settings)

        work()
        took = seconds(work, 10) / (rows * columns)
        again = seconds(least, 10) / (rows * columns)  # the machine's load changes
        print(f"| {name} | {1e-6 / took:.2f} | {took / min(floor, again):.1f} |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    options = parser.parse_args()
    estimation(options.rows)
    clear_sky()
    matched_filters()


if __name__ == "__main__":
    main()
