"""Retrievals with and without the thin scattering layer, of drawn truths and OCO-2 spectra: for docs/retrieval.md.

    python scripts/make_scattering_table.py --data ../shared/data --truths 100

Truths (height, optical depth, exponent, albedo, gas, surface pressure) are drawn, their spectra are simulated **with
the layer itself** in three bands and retrieved with and without it: what the table says of bias and coverage holds
where the sky is one thin isotropic layer. A second table is of scenes half covered, which no one layer is. Lines are
those of the sample data; without it the script says so and stops.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from obsnet.typing import Bools
from retrieval.estimation.spectrum import retrieve_clear_sky
from retrieval.forward.atmosphere import Layers, make_layers
from retrieval.forward.hitran import LineList, read_lines
from retrieval.forward.instrument import LineShape, tabulated_shape
from retrieval.forward.mixing import LineMixing
from retrieval.forward.model import ClearSky, SpectralBand
from retrieval.forward.relaxation import model_matrix, read_band, read_relaxation
from retrieval.forward.scattering import ScatteringLayer, ScatteringSky
from retrieval.forward.sun import read_solar_lines
from retrieval.forward.tables import CrossSections, build_table

# Windows, cm-1; steps of the tables; resolving powers and signal to noise about those of OCO-2.
WINDOWS = {"o2": (13005.0, 13145.0, 0.02), "weak": (6206.0, 6256.0, 0.02), "strong": (4812.0, 4882.0, 0.01)}
# Of real spectra only where the lists at hand are whole enough; widths of a Gaussian that fits best, since the real
# shapes are not at hand. Sun, view, latitude and Doppler shift; those of the simulated sounding are not in its file:
# the Sun's is that of ACOS' albedo and radiance, the view nadir.
OCO_WINDOWS = WINDOWS | {"weak": (6218.5, 6240.5, 0.02), "strong": (4812.0, 4849.0, 0.01)}
OCO_WIDTH = {"o2": 0.95, "weak": 0.8, "strong": 0.9}
OCO_FILES = {
    "real, 18 October 2014": ("oco2_target_20141018_expected_l2.h5", 61.654, 18.287, 49.1, 1.24e-6),
    "simulated, 16 June 2012": ("l2_2012061617570404.h5", 64.0, 0.5, -38.0, 0.0),
}
POWER = {"o2": 18000.0, "weak": 20000.0, "strong": 20000.0}
NOISE = {"o2": 1 / 300.0, "weak": 1 / 400.0, "strong": 1 / 250.0}
IRRADIANCE = 10.0
PRIOR = {"scattering_height": 0.25, "scattering_depth": 0.1, "scattering_exponent": 0.5, "CO2_scale": 0.05}


def shape_of(name: str, width: float = 1.0) -> LineShape:
    """Return a Gaussian line shape of the resolving power of a band, `width` times as wide."""
    low, high, _ = WINDOWS[name]
    sigma = width * 0.5 * (low + high) / POWER[name] / 2.3548
    x = np.linspace(-5.0 * sigma, 5.0 * sigma, 401)
    return tabulated_shape(x, np.exp(-0.5 * (x / sigma) ** 2))


@dataclass(frozen=True)
class Spectroscopy:
    """Tables of the gases by band."""

    tables: dict[str, tuple[CrossSections, ...]]


def spectroscopy(
    data: Path, *, mixing: bool, windows: dict[str, tuple[float, float, float]] = WINDOWS
) -> Spectroscopy:
    """Build the tables from the line lists of the sample data."""
    folder = data / "retrieval"
    lists, oxygen = folder / "spectroscopy", folder / "lm_co2"
    o2 = read_lines(lists / "O2_12847-13339.par", "O2", isotopologues=(1, 2, 3)).stronger(1e-28)
    bands = [read_band(oxygen / f"S{n}__.dat") for n in ("13001300001", "12001300001", "12111301101")]
    lines: dict[str, list[tuple[LineList, LineMixing | None]]] = {
        "o2": [
            (o2, read_relaxation(oxygen / "SDFO2.dat", oxygen / "RMFO2.dat").mixing() if mixing else None)
        ],
        "weak": [(read_lines(lists / "CO2_6200-6280_iso1.par", "CO2").stronger(3e-27), None)],
        "strong": [
            (_joined([b.lines for b in bands[1:]]), None),
            (read_lines(lists / "H2O_4545-5405.par", "H2O").stronger(3e-27), None),
        ],
    }
    if mixing:
        for at, band in (("weak", bands[0]), ("strong", bands[1])):
            lines[at][0] = lines[at][0][0], model_matrix(band, decay=100.0, cross=0.0).mixing()
    tables = {}
    for name, (low, high, step) in windows.items():
        edge = shape_of(name, 1.3).reach + 0.2
        grid = low - edge + step * np.arange(round((high - low + 2 * edge) / step) + 1)
        tables[name] = tuple(
            build_table(
                some,
                grid,
                pressure=(0.9, 1090.0),
                temperature=(190.0, 320.0),
                fraction=(0.0, 0.03)
                if some.molecule == "H2O"
                else (0.2095 if some.molecule == "O2" else 4e-4,),
                log_pressure_step=0.4,
                temperature_step=30.0,
                wing=40.0,
                mixing=mixed,
            )
            for some, mixed in lines[name]
        )
    return Spectroscopy(tables)


def _joined(lists: list[LineList]) -> LineList:
    arrays = [np.concatenate([getattr(one, f.name) for one in lists]) for f in fields(LineList)[1:]]
    order = np.argsort(arrays[1])
    return LineList(lists[0].molecule, *(a[order] for a in arrays))


def standard_air() -> Layers:
    """Return a mid-latitude profile."""
    pressure = np.concatenate([np.linspace(1000.0, 100.0, 13), [50.0, 20.0, 5.0, 1.0]])
    temperature = np.maximum(288.0 * (pressure / 1000.0) ** 0.19, 215.0)
    return make_layers(pressure, temperature, 0.008 * (pressure / 1000.0) ** 3, latitude=40.0, altitude=0.0)


def skies(
    known: Spectroscopy, layers: Layers, layer: ScatteringLayer, *, sun: float, view: float, count: int = 200
) -> tuple[ClearSky, ScatteringSky]:
    """Return the model without and with the layer, three bands of `count` channels."""
    bands = tuple(
        SpectralBand(n, np.linspace(a, b, count), shape_of(n), known.tables[n], continuum=1, shift=False)
        for n, (a, b, _) in WINDOWS.items()
    )
    gases = {
        "O2": np.full(len(layers.pressure), 0.2095),
        "CO2": np.full(len(layers.pressure), 4e-4),
        "H2O": layers.water,
    }
    clear = ClearSky(layers, gases, bands, sun, view=view, surface_pressure=True, temperature=True)
    parts = {f.name: getattr(clear, f.name) for f in fields(ClearSky) if f.init}
    return clear, ScatteringSky(**parts, layer=layer)


def simulate(known: Spectroscopy, truths: int, seed: int = 0, *, broken: bool = False) -> None:
    """Print bias, spread and coverage of retrievals of drawn truths by classes of optical depth.

    `broken`: half of the scene is under a layer of twice the depth, half of it under none.
    """
    rng = np.random.default_rng(seed)
    layers, sun, view = standard_air(), 45.0, 10.0
    layer = ScatteringLayer(0.7, 0.05, 1.0, dict.fromkeys(WINDOWS, IRRADIANCE))
    clear, hazy = skies(known, layers, layer, sun=sun, view=view)
    white = IRRADIANCE * np.cos(np.deg2rad(sun)) / np.pi
    rows = []
    for _ in range(truths):
        x = hazy.first_guess
        drawn = {
            "CO2_scale": 1.0 + 0.02 * rng.normal(),
            "H2O_scale": 1.0 + 0.1 * rng.normal(),
            "O2_scale": 1.0,
            "surface_pressure": 1000.0 + 4.0 * rng.normal(),
            "temperature_offset": rng.normal(),
            "scattering_height": np.clip(0.7 + 0.25 * rng.normal(), 0.15, 0.98),
            "scattering_depth": abs(0.05 + 0.1 * rng.normal()),
            "scattering_exponent": 1.0 + 0.5 * rng.normal(),
        }
        x = np.array([drawn.get(name, value) for name, value in zip(hazy.names, x, strict=True)])
        for name, mean in (("o2", 0.25), ("weak", 0.25), ("strong", 0.15)):
            x[hazy.names.index(f"continuum_0_{name}")] = white * mean * np.exp(0.4 * rng.normal())
        y, _ = hazy(x)
        if broken:
            place = hazy.names.index("scattering_depth")
            thick, none = x.copy(), x.copy()
            thick[place], none[place] = 2.0 * x[place], 0.0
            y = 0.5 * (hazy(thick)[0] + hazy(none)[0])
        noise = np.concatenate(
            [np.full(200, NOISE[n] * y[200 * i : 200 * i + 200].max()) for i, n in enumerate(WINDOWS)]
        )
        y = y + noise * rng.normal(size=len(y))
        row = [drawn["scattering_depth"]]
        for model in (hazy, clear):
            prior = {k: v for k, v in PRIOR.items() if k in model.names}
            prior |= {"surface_pressure": 4.0, "temperature_offset": 1.0, "O2_scale": 1e-6, "H2O_scale": 0.2}
            result = retrieve_clear_sky(model, y, noise, deviations=prior)
            at = {
                str(n): (float(result["value"][0, i]), float(result["uncertainty"][0, i]))
                for i, n in enumerate(model.names)
            }
            value, sigma = at["CO2_scale"]
            row += [
                400.0 * (value - drawn["CO2_scale"]),
                400.0 * sigma,
                at["surface_pressure"][0] - drawn["surface_pressure"],
                float(result["chi2"].mean()),
                int(result["outcome"][0]),
            ]
            if model is hazy:
                depth, s = at["scattering_depth"]
                row += [depth - drawn["scattering_depth"], s]
        rows.append(row)
    t = np.array(rows)
    print("broken" if broken else "one layer", f"{truths} truths; ppm of XCO2 and hPa, retrieved less true")
    columns = ["bias", "spread", "stated", "95 % holds", "hPa", "chi2"]
    head = ["optical depth", "truths", *(f"with: {c}" for c in columns), *(f"without: {c}" for c in columns)]
    print(f"| {' | '.join(head)} |")
    print("| --- " * len(head) + "|")
    classes: tuple[tuple[float, float], ...] = ((0.0, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 9.0), (0.0, 9.0))
    for low, high in classes:
        i: Bools = (t[:, 0] >= low) & (t[:, 0] < high)
        if not i.any():
            continue
        cells = [f"{low:g}-{high:g}" if high < 9 else f"above {low:g}", str(int(i.sum()))]
        for first in (1, 8):
            error, stated = t[i, first], t[i, first + 1]
            good = t[i, first + 4] <= 2
            error, stated = error[good], stated[good]
            inside = np.abs(error) < 1.96 * stated
            cells += [
                f"{np.mean(error):+.2f} ± {np.std(error) / np.sqrt(len(error)):.2f}",
                f"{np.std(error):.2f}",
                f"{np.sqrt(np.mean(stated**2)):.2f}",
                f"{100 * inside.mean():.0f} %",
                f"{np.mean(t[i, first + 2][good]):+.1f}",
                f"{np.mean(t[i, first + 3][good]):.2f}",
            ]
        print("| " + " | ".join(cells) + " |")
    print("not converged: with", int((t[:, 5] > 2).sum()), "without", int((t[:, 12] > 2).sum()))
    normal = t[:, 6] / t[:, 7]
    print(f"depth: bias {t[:, 6].mean():+.4f}, 95 % holds {100 * (np.abs(normal) < 1.96).mean():.0f} %")


def oco(data: Path, name: str, width: float) -> None:
    """Print fits of an OCO-2 spectrum without line mixing, with it, and with the layer too.

    The prior of the surface pressure is wide, so that what the fit makes of it tells. `width` is a factor of all line
    shapes. Noise is 0.3 % of the continuum, which stands for the model's own errors.
    """
    import h5py

    file, sun, view, latitude, doppler = OCO_FILES[name]
    with h5py.File(data / "retrieval/acos_oco2" / file) as h:
        r = {k: np.asarray(v)[0] for k, v in h["RetrievalResults"].items() if v.dtype.kind == "f"}
        parts = h["SpectralParameters"]
        counts, length, radiance = (
            parts[k][0] for k in ("num_colors_per_band", "wavelength", "measured_radiance")
        )
    pressure = np.maximum(r["vector_pressure_levels_apriori"][::-1] / 100.0, 0.95)
    order = np.argsort(-r["vector_pressure_levels_met"])
    weather = -np.log(r["vector_pressure_levels_met"][order] / 100.0)
    temperature, humidity = (
        np.interp(-np.log(pressure), weather, r[f"{n}_profile_met"][order])
        for n in ("temperature", "specific_humidity")
    )
    water = humidity / (1.0 - humidity) * 28.9647 / 18.0153
    layers = make_layers(
        pressure, temperature, water, latitude=latitude, altitude=float(r["vector_altitude_levels"][-1])
    )
    co2 = r["co2_profile_apriori"][::-1]
    gases = {"O2": np.full(len(co2) - 1, 0.20935), "CO2": 0.5 * (co2[1:] + co2[:-1]), "H2O": layers.water}
    solar = read_solar_lines(data / "retrieval/solar/solar_dc_20090102.101")
    ends = np.concatenate([[0], np.cumsum(counts)])
    answer, known_pressure = 1e6 * r["xco2"], r["surface_pressure_fph"] / 100.0
    for title, mixing, layered in (
        ("clear, no mixing", False, False),
        ("clear", True, False),
        ("layer", True, True),
    ):
        known = spectroscopy(data, mixing=mixing, windows=OCO_WINDOWS)
        bands, spectra, white = [], [], {}
        for i, (band, (low, high, _)) in enumerate(OCO_WINDOWS.items()):
            nu, y = 1e4 / length[ends[i] : ends[i + 1]], radiance[ends[i] : ends[i + 1]]
            keep = np.argsort(nu)
            keep = keep[(nu[keep] > low) & (nu[keep] < high)]
            shape = shape_of(band, OCO_WIDTH[band] * width)
            bands.append(
                SpectralBand(band, nu[keep], shape, known.tables[band], solar=solar, doppler=doppler)
            )
            spectra.append(y[keep] / np.percentile(y[keep], 98.0))
            acos = r["brdf_reflectance_o2" if band == "o2" else f"brdf_reflectance_{band}_co2"]
            white[band] = np.pi / acos / np.cos(np.deg2rad(sun))
        clear = ClearSky(layers, gases, tuple(bands), sun, view=view, surface_pressure=True, temperature=True)
        fitted = {f.name: getattr(clear, f.name) for f in fields(ClearSky) if f.init}
        model = ScatteringSky(**fitted, layer=ScatteringLayer(0.7, 0.03, 1.0, white)) if layered else clear
        prior = {
            "O2_scale": 1e-6,
            "H2O_scale": 0.3,
            "CO2_scale": 0.1,
            "temperature_offset": 3.0,
            "shift": 3e-5,
        }
        prior |= {k: v for k, v in PRIOR.items() if k in model.names and k != "CO2_scale"}
        y = np.concatenate(spectra)
        result = retrieve_clear_sky(model, y, 0.003, deviations=prior, keep=["modelled"])
        at = dict(zip(model.names, result["value"].values[0], strict=True))
        xco2 = 1e6 * r["xco2_apriori"] * at["CO2_scale"]
        residual, start = [], 0
        for one in spectra:
            part = slice(start, start + len(one))
            residual.append(f"{100 * (y - result['modelled'].values[0])[part].std():.2f} %")
            start += len(one)
        layer = " / ".join(f"{at[n]:.2f}" for n in model.names if n.startswith("scattering"))
        apart = f"{xco2 - answer:+.1f} | {at['surface_pressure'] - known_pressure:+.1f}"
        print(
            f"| {name}, shapes x {width:g} | {title} | {apart} | {' | '.join(residual)} | {layer} "
            f"| {int(result['outcome'][0])} |",
            flush=True,
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--truths", type=int, default=120)
    options = parser.parse_args()
    if not (options.data / "retrieval/lm_co2").is_dir():
        raise SystemExit(f"{options.data}: no sample data of retrieval/lm_co2 there; give --data")
    start = time.process_time()
    print(
        "| spectrum | model | ppm from ACOS | hPa from ACOS | residual O2 | weak | strong | layer | outcome |"
    )
    print("| --- " * 9 + "|")
    for name in OCO_FILES:
        for width in (1.0, 1.05):
            oco(options.data, name, width)
    known = spectroscopy(options.data, mixing=True)
    print(f"tables: {time.process_time() - start:.0f} s of processor")
    simulate(known, options.truths)
    simulate(known, options.truths, broken=True)
    print(f"all: {time.process_time() - start:.0f} s of processor")


if __name__ == "__main__":
    main()
