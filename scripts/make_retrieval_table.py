"""The clear-sky model on the real solar spectrum of Park Falls: the tables of docs/retrieval.md, and their picture.

    python scripts/make_retrieval_table.py --data ../shared/data --out docs

Without the sample data it says so and stops. Temperature and surface pressure are taken from the ACOS retrieval of the
same spectrum, because the weak CO2 band alone does not know them.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from retrieval.estimation.spectrum import retrieve_clear_sky
from retrieval.forward.atmosphere import Layers, make_layers
from retrieval.forward.hitran import read_lines
from retrieval.forward.instrument import fts_shape
from retrieval.forward.model import ClearSky, SpectralBand
from retrieval.forward.relaxation import model_matrix, read_band, read_relaxation
from retrieval.forward.sun import SolarLines, read_solar_lines
from retrieval.forward.tables import CrossSections, build_table
from retrieval.spectra.opus import RunLogEntry, read_opus, read_run_log
from retrieval.spectra.spectrum import Spectrum

SPECTRUM = "pa20091103saaaaa_100223160344.008"
WEAK = slice(31859, 31859 + 15930)  # the weak CO2 band among the channels of the ACOS file


@dataclass(frozen=True)
class Case:
    """What is known of the spectrum."""

    folder: Path
    spectrum: Spectrum
    log: RunLogEntry
    layers: Layers
    co2: np.ndarray
    known_scale: float
    acos: tuple[np.ndarray, np.ndarray, np.ndarray]  # wavenumber, measured, modelled
    sun: SolarLines


@dataclass(frozen=True)
class Fit:
    """One window."""

    scale: float
    deviation: float
    scale_all: float
    residual: float
    residual_all: float
    residual_acos: float
    share: float
    channel: np.ndarray
    radiance: np.ndarray
    difference: np.ndarray
    use: np.ndarray


def park_falls_levels(data: Path, pressure: float | None = None) -> tuple[np.ndarray, ...]:
    """Return pressure (hPa), temperature (K), water and CO2 (mole fractions by dry air) of the ACOS retrieval's levels.

    All pressures go with that of the surface: what ACOS retrieved, or `pressure` (hPa).
    """
    import h5py

    rows = np.loadtxt(data / "retrieval/fts_acos/atmosphere_fts.dat", skiprows=11)[::-1]
    with h5py.File(data / "retrieval/fts_acos/out.expected.h5") as file:
        r = {k: np.asarray(v)[0] for k, v in file["RetrievalResults"].items() if v.dtype.kind == "f"}
    levels = r["vector_pressure_levels"][::-1] / 100.0
    water, co2 = (
        np.exp(np.interp(-np.log(levels), -np.log(rows[:, 0] / 100.0), np.log(rows[:, k]))) for k in (3, 4)
    )
    water = water * r["h2o_scale_factor"]
    temperature = r["temperature_profile"][::-1] + r["temperature_offset_fph"]
    surface = r["surface_pressure_fph"] / 100.0 if pressure is None else pressure
    return levels * surface / levels[0], temperature, water / (1.0 - water), co2


def park_falls(data: Path, *, warmer: float = 0.0, pressure: float | None = None) -> Case:
    """Read the case; `warmer` K on top of the temperature that ACOS found, at another surface pressure (hPa)."""
    import h5py

    folder = data / "retrieval"
    levels, temperature, water, co2 = park_falls_levels(data, pressure)
    with h5py.File(folder / "fts_acos/out.expected.h5") as file:
        known = float(file["RetrievalResults/co2_scale_factor"][0])
        parts = file["SpectralParameters"]
        acos = tuple(parts[n][0][WEAK] for n in ("wavenumber", "measured_radiance", "modeled_radiance"))
    layers = make_layers(levels, temperature + warmer, water, latitude=45.945, altitude=442.0)
    return Case(
        folder,
        read_opus(folder / "fts_acos" / SPECTRUM),
        read_run_log(folder / "fts_acos/tccon_runlog.grl", SPECTRUM),
        layers,
        0.5 * (co2[1:] + co2[:-1]),
        known,
        acos,
        read_solar_lines(folder / "solar/solar_dc_20090102.101"),
    )


_TABLES: dict[tuple[float, float, bool], CrossSections] = {}


def fit_window(case: Case, low: float, high: float, *, mixing: bool = False) -> Fit:
    """Fit a window twice: on all channels, and without those at which the lines of the list are too few.

    Where the ACOS model absorbs at least 1 % of the continuum more than ours, the list lacks a line; half a line's
    width (0.06 cm-1) to either side goes with it. Line mixing, if wanted, is modelled from the widths of the band.
    """
    if (low, high, mixing) not in _TABLES:
        lines = read_lines(case.folder / "spectroscopy/CO2_6200-6280_iso1.par", "CO2").stronger(1e-27)
        band_30013 = read_band(case.folder / "lm_co2/S13001300001__.dat")
        grid = low - 0.6 + 0.0025 * np.arange(round((high - low + 1.2) / 0.0025) + 1)
        _TABLES[low, high, mixing] = build_table(
            lines,
            grid,
            temperature=(195.0, 285.0),
            fraction=(4e-4,),
            log_pressure_step=0.35,
            temperature_step=22.5,
            mixing=model_matrix(band_30013, decay=100.0, cross=0.0).mixing() if mixing else None,
        )
    window = case.spectrum.between(low, high)
    band = SpectralBand(
        "weak",
        window.wavenumber,
        fts_shape(case.log.path_difference, case.log.internal_field, 0.5 * (low + high)),
        (_TABLES[low, high, mixing],),
        continuum=3,
        solar=case.sun,
        doppler=-case.log.doppler * 1e-6,
    )
    model = ClearSky(case.layers, {"CO2": case.co2}, (band,), case.log.solar_zenith)
    level = float(np.percentile(window.radiance, 98.0))
    noise = 0.003 * level  # what the model, not the detector, leaves
    whole = retrieve_clear_sky(model, window.radiance, noise, keep=["modelled"])
    nu, measured, modelled = case.acos
    theirs = np.interp(window.wavenumber, nu, modelled)
    use = np.ones(len(theirs), dtype=bool)
    result = whole
    for _ in range(4):
        ours = result["modelled"].values[0]
        more = (ours - theirs) / level
        lacking = more - np.median(more[use]) > 0.01
        use = np.convolve(lacking, np.ones(17), mode="same") < 0.5
        result = retrieve_clear_sky(model, window.radiance, noise, use=use, keep=["modelled"])
    difference = (window.radiance - result["modelled"].values[0]) / level
    all_channels = (window.radiance - whole["modelled"].values[0]) / level
    of_acos = np.interp(window.wavenumber, nu, measured - modelled) / level
    return Fit(
        float(result["value"][0, 0]),
        float(result["uncertainty"][0, 0]),
        float(whole["value"][0, 0]),
        float(difference[use].std()),
        float(all_channels.std()),
        float(of_acos[use].std()),
        float(use.mean()),
        window.wavenumber,
        window.radiance / level,
        difference,
        use,
    )


def fit_oxygen(case: Case, factor: float) -> list[str]:
    """Fit the O2 A band of the same moment, 12960 to 13185 cm-1: scale, residual and that of ACOS.

    `factor` is what the coefficients of line mixing are multiplied by: 0 is without, -1 has their sign reversed.
    """
    import h5py

    with h5py.File(case.folder / "fts_acos/out.expected.h5") as file:
        parts = file["SpectralParameters"]
        nu, y, theirs = (
            parts[n][0][: WEAK.start] for n in ("wavenumber", "measured_radiance", "modeled_radiance")
        )
    inside = (nu > 12960.0) & (nu < 13185.0)
    nu, y, theirs = nu[inside], y[inside], theirs[inside]
    lines = read_lines(case.folder / "spectroscopy/O2_12847-13339.par", "O2", isotopologues=(1, 2, 3))
    mixing = read_relaxation(case.folder / "lm_co2/SDFO2.dat", case.folder / "lm_co2/RMFO2.dat").mixing()
    mixing = replace(mixing, coefficient=factor * mixing.coefficient)
    table = build_table(
        lines.stronger(1e-29),
        12959.0 + 0.008 * np.arange(round(227.0 / 0.008)),
        temperature=(195.0, 285.0),
        fraction=(0.2095,),
        log_pressure_step=0.6,
        temperature_step=30.0,
        wing=60.0,
        mixing=mixing,
    )
    shape = fts_shape(case.log.path_difference, case.log.internal_field, 13070.0, reach=0.6)
    band = SpectralBand(
        "o2", nu, shape, (table,), continuum=4, solar=case.sun, doppler=-case.log.doppler * 1e-6
    )
    gases = {"O2": np.full(len(case.co2), 0.2095)}
    model = ClearSky(case.layers, gases, (band,), case.log.solar_zenith)
    level = float(np.percentile(y, 98.0))
    result = retrieve_clear_sky(model, y, 0.003 * level, keep=["modelled"])
    residuals = (np.std(y - m) / level for m in (result["modelled"].values[0], theirs))
    return [f"{float(result['value'][0, 0]):.4f}", *(f"{100 * v:.2f} %" for v in residuals)]


def _row(name: str, fit: Fit, known: float) -> str:
    first, second = (f"{100 * (v / known - 1):+.2f} %" for v in (fit.scale_all, fit.scale))
    return (
        f"| {name} | {fit.scale_all:.4f} ({first}) | {100 * fit.residual_all:.2f} % "
        f"| {fit.scale:.4f} ± {fit.deviation:.4f} ({second}) | {100 * fit.residual:.2f} % "
        f"| {100 * fit.residual_acos:.2f} % | {100 * fit.share:.0f} % |"
    )


def _draw(fit: Fit, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        2, 1, figsize=(10, 5), sharex=True, height_ratios=[2, 1], layout="constrained"
    )
    axes[0].plot(fit.channel, fit.radiance, lw=0.6, color="black")
    axes[0].set_ylabel("radiance / continuum")
    lacking = np.where(fit.use, np.nan, 100.0 * fit.difference)
    axes[1].plot(fit.channel, lacking, lw=0.5, color="tab:red", label="a line is missing from the list")
    axes[1].plot(
        fit.channel,
        np.where(fit.use, 100.0 * fit.difference, np.nan),
        lw=0.6,
        color="tab:blue",
        label="fitted",
    )
    axes[1].set_ylim(-5.0, 3.0)
    axes[1].set_ylabel("measured - modelled, %")
    axes[1].set_xlabel("wavenumber, cm$^{-1}$")
    axes[1].legend(loc="lower right", ncols=2, fontsize=8)
    axes[1].set_xlim(fit.channel[0], fit.channel[-1])
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args()
    if not (options.data / "retrieval/fts_acos").is_dir():
        raise SystemExit(f"{options.data}: no sample data of retrieval/fts_acos there; give --data")
    case = park_falls(options.data)
    print(f"ACOS: scale {case.known_scale:.6f}")
    print(
        "| case | scale, all channels | residual | scale, list whole | residual | of ACOS there | channels |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    fit = fit_window(case, 6205.0, 6240.0)
    print(_row("6205-6240", fit, case.known_scale))
    _draw(fit, options.out / "retrieval_park_falls.png")
    for low, high in ((6208.0, 6219.0), (6222.0, 6238.0)):
        print(_row(f"{low:.0f}-{high:.0f}", fit_window(case, low, high), case.known_scale))
    for low, high in ((6205.0, 6240.0), (6208.0, 6219.0), (6222.0, 6238.0)):
        fit = fit_window(case, low, high, mixing=True)
        print(_row(f"{low:.0f}-{high:.0f}, line mixing modelled", fit, case.known_scale))
    print("O2 A band | scale | residual | of ACOS")
    for mixing in (False, True):
        print(
            "| "
            + ("line mixing" if mixing else "no mixing")
            + " | "
            + " | ".join(fit_oxygen(case, mixing))
            + " |"
        )
    for name, change in (("3.83 K warmer", {"warmer": 3.831}), ("surface 969.1 hPa", {"pressure": 969.1})):
        print(
            _row(
                f"6205-6240, {name}",
                fit_window(park_falls(options.data, **change), 6205.0, 6240.0),
                case.known_scale,
            )
        )


if __name__ == "__main__":
    main()
