"""`obsnet retrieve` on real soundings of GOSAT and the Sun over Park Falls: tables and picture of docs/retrieval.md.

    python scripts/make_retrieve_cases.py --data ../shared/data --work /tmp/retrieve --out docs

Tables of cross sections are kept in --work: the first run takes minutes, later ones seconds. Without the sample data it
says so and stops.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from make_retrieval_table import SPECTRUM, park_falls_levels

from obsnet.config import validate
from obsnet.work.work import Work
from retrieval.fits.options import RetrieveTable
from retrieval.fits.run import RetrieveSummary, run_retrieve

GRANULE = "acos_{}B2900_tccon_5_good_qual"
NODES = {"log_pressure_step": 0.35, "temperature_step": 22.5}
# lines of water that the list of the weak band lacks, seen in the sounding of September
WATER = {
    "water_a": (6209.0, 6209.9), "water_b": (6216.5, 6219.2), "water_c": (6241.2, 6242.8), "water_d": (6244.2, 6245.7),
    "water_e": (6254.3, 6257.9), "water_f": (6259.9, 6266.0),
}  # fmt: skip


def run(out: Path, **options: Any) -> RetrieveSummary:
    """Run the command."""
    shutil.rmtree(out, ignore_errors=True)
    given = {"tables": out.parent / "tables", "out": out, "weakest": 1e-27, **options}
    return run_retrieve(validate(RetrieveTable, given), Work(scheduler="serial"))


def gosat(data: Path, work: Path, name: str, **options: Any) -> RetrieveSummary:
    """Fit the five soundings."""
    folder = data / "retrieval"
    lines = {
        "O2": (folder / "spectroscopy/O2_12847-13339.par",),
        "CO2": (folder / "spectroscopy/CO2_6200-6280_iso1.par",),
    }
    if "strong" in options["windows"]:  # records of 160 characters with more behind them: cut
        parts = [folder / f"lm_co2/{n}__.dat" for n in ("S12001300001", "S12111301101")]
        text = sorted(
            (line[:160] for p in parts for line in p.read_text().splitlines()), key=lambda r: float(r[3:15])
        )
        (work / "co2_strong.par").write_text("\n".join(text) + "\n")
        lines["CO2"] += (work / "co2_strong.par",)
        lines["H2O"] = (folder / "spectroscopy/H2O_4545-5405.par",)
    used = {gas: files for gas, files in lines.items() if gas in options.pop("gases", tuple(lines))}
    fit = NODES | {"step": 0.005} | options.pop("fit", {})
    return run(
        work / name,
        files=[str(folder / f"acos_gosat/{GRANULE.format('L1b')}.h5")],
        lines=used,
        isotopologues={"O2": (1, 2, 3)} if "O2" in used else {},
        met=folder / f"acos_gosat/{GRANULE.format('Ecm')}.h5",
        a_band=folder / f"acos_gosat/{GRANULE.format('Cld')}.h5",
        prior={"CO2": "390"},
        solar=folder / "solar/solar_di_20100208.101",
        path_difference=2.5,
        field_of_view=0.0158,
        fit=fit,
        **options,
    )


def park_falls(data: Path, work: Path) -> RetrieveSummary:
    """Fit the weak CO2 band of the spectrum, with the air that ACOS found."""
    folder = data / "retrieval"
    pressure, temperature, water, co2 = park_falls_levels(data)
    (work / "met.csv").write_text(_csv("pressure_hpa,temperature_k,water", pressure, temperature, water))
    (work / "co2.csv").write_text(_csv("pressure_hpa,mole_fraction", pressure, 1e6 * co2))
    return run(
        work / "park_falls",
        files=[str(folder / f"fts_acos/{SPECTRUM}")],
        run_log=folder / "fts_acos/tccon_runlog.grl",
        windows={"weak": (6205.0, 6240.0)},
        lines={"CO2": (folder / "spectroscopy/CO2_6200-6280_iso1.par",)},
        met=work / "met.csv",
        prior={"CO2": str(work / "co2.csv")},
        solar=folder / "solar/solar_dc_20090102.101",
        fit=NODES | {"step": 0.0025, "temperature": False, "model_error": 0.003, "layers": 45},
    )


def _csv(head: str, *columns: np.ndarray) -> str:
    return (
        head
        + "\n"
        + "\n".join(",".join(f"{v:.8g}" for v in row) for row in zip(*columns, strict=True))
        + "\n"
    )


def expected(data: Path) -> dict[str, dict[str, float]]:
    """Return what ACOS found, by sounding."""
    import h5py

    found = {}
    for path in sorted((data / "retrieval/acos_gosat/expected").glob("l2_*.h5")):
        with h5py.File(path) as file:
            r = file["RetrievalResults"]
            found[path.stem.removeprefix("l2_")] = {
                "xco2": 1e6 * float(r["xco2"][0]),
                "surface_pressure": float(r["surface_pressure_fph"][0]) / 100.0,
                "aod": float(r["aerosol_total_aod"][0]),
            }
    return found


def show(title: str, summary: RetrieveSummary, known: dict[str, dict[str, float]]) -> None:
    """Print one table."""
    print(f"\n{title}\n")
    print("| sounding | XCO2, ppm | of ACOS | surface − weather, hPa | ACOS − weather | T offset, K | χ² |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for s in summary.soundings:
        if "chi2" not in s:
            print(f"| {s['sounding']} | {s['status']} |")
            continue
        acos = known.get(s["sounding"])
        x = s.get("xco2")
        met = s["surface_pressure_met"]
        mine = f"{x['value']:.1f} ± {x['uncertainty']:.1f}" if x else ""
        theirs = f"{acos['xco2']:.1f} ({x['value'] - acos['xco2']:+.1f})" if acos and x else ""
        surface = f"{s['surface_pressure'] - met:+.1f}" if "surface_pressure" in s else ""
        of_acos = f"{acos['surface_pressure'] - met:+.1f}" if acos else ""
        warmer = f"{s['temperature_offset']:+.1f}" if "temperature_offset" in s else ""
        chi2 = ", ".join(f"{n} {v:.1f}" for n, v in s["chi2"].items())
        print(f"| {s['sounding']} | {mine} | {theirs} | {surface} | {of_acos} | {warmer} | {chi2} |")


def main() -> None:
    """Print the tables and keep the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("retrieve_cases"))
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--only", choices=("gosat", "park_falls"))
    options = parser.parse_args()
    if not (options.data / "retrieval/acos_gosat").is_dir():
        raise SystemExit(f"{options.data}: no sample data of retrieval/acos_gosat there; give --data")
    options.work.mkdir(parents=True, exist_ok=True)
    if options.only != "gosat":
        (found,) = park_falls(options.data, options.work).soundings
        print(
            f"Park Falls: scale {found['scale']['CO2']:.4f} ± {found['scale_uncertainty']['CO2']:.4f} (ACOS 1.0040), "
            f"XCO2 {found['xco2']['value']:.2f} ppm (ACOS 391.33), residual {100 * found['residual']['weak']:.2f} %"
        )
    if options.only == "park_falls":
        return
    known = expected(options.data)
    both = {"o2": (12950.0, 13190.0), "weak": (6209.0, 6271.0)}
    weak = {"weak": both["weak"]}
    cases = (
        ("O2 A and weak CO2", "both", {"windows": both, "exclude": WATER}),
        (
            "O2 A and weak CO2, without fitting a temperature",
            "cold",
            {"windows": both, "exclude": WATER, "fit": {"temperature": False}},
        ),
        (
            "weak CO2 alone, surface pressure of the weather",
            "weak",
            {"windows": weak, "exclude": WATER, "gases": ("CO2",)},
        ),
        ("all channels of the weak band", "all", {"windows": weak, "gases": ("CO2",)}),
        (
            "strong CO2 alone, surface pressure of the weather",
            "strong",
            {"windows": {"strong": (4820.0, 4852.0)}, "gases": ("CO2", "H2O")},
        ),
    )
    for title, name, choice in cases:
        show(title, gosat(options.data, options.work, name, **choice), known)
        if name == "both":
            picture = next((options.work / name).glob("*_20100223034944.png"))
            shutil.copyfile(picture, options.out / "retrieval_gosat.png")


if __name__ == "__main__":
    main()
