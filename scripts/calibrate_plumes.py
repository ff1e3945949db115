"""Try the rates of plumes on scenes of known truth and print the tables of docs/plumes.md.

    python scripts/calibrate_plumes.py [--draws 200] [--processes 2] [--data DIR]

First method errors alone (wind, background and detector perfect), then made-up plumes over wind, place, strength, pixel
and clouds, then scenes without any source, then the synthetic CO2M granule of DIR/retrieval/smartcarb, which has one
weather only. Error is (estimate - truth) / truth; coverage is how often the stated 95 % interval holds the truth.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from obsnet.opening import open_netcdf4
from retrieval.plume.images.detect import detect
from retrieval.plume.images.scene import local_plane
from retrieval.plume.images.scene_files import read_scene
from retrieval.plume.options import METHODS, DetectSettings, RateSettings
from retrieval.plume.rates.estimate import source_rates
from retrieval.plume.rates.reasons import REASONS
from retrieval.plume.sources import PointSource
from retrieval.plume.twin import PlumeWorld, make_twin
from retrieval.plume.winds import MetWinds, PlumeWind

COLUMNS = "n accepted median   25 %   75 %  coverage  10x"


def one_twin(task):
    """Return a row a method for one drawn scene."""
    settings, seed, group = task
    os.environ["OMP_NUM_THREADS"] = "1"
    twin = make_twin(settings, seed)
    scene = twin.scene
    found = detect(
        scene.value, scene.uncertainty, scene.spacing_km, DetectSettings(), scene.no2, scene.no2_uncertainty
    )
    rates = source_rates(scene, found, twin.source, twin.others, twin.wind, RateSettings())
    return [
        {
            "group": group,
            "method": e.method,
            "truth": twin.rate,
            "rate": e.rate,
            "low": e.low,
            "high": e.high,
            "reasons": int(e.reasons),
            "unsteady": e.budget.method,
            "plumes": found.count,
            "wind": twin.wind.speed / settings.wind,
        }
        for e in rates.estimates
    ]


def quiet_tasks(draws):
    """Scenes in which only the air is unsteady."""
    rng = np.random.default_rng(1)
    for k in range(draws):
        settings = PlumeWorld(
            rate=2000,
            wind=float(rng.uniform(3, 8)),
            direction=float(rng.uniform(0, 360)),
            noise=0.05,
            structure=0.0,
            slope=0.0,
            clouds=0.0,
            wind_error=0.0,
            wind_turn=float(rng.choice([0.0, 8.0])),
            rows=60,
            columns=60,
            no2=bool(k % 2),
        )
        yield settings, 10_000 + k, "quiet"


def drawn_tasks(draws, series, *, rate=None):
    """Scenes as satellites have them."""
    rng = np.random.default_rng((4 if rate is None else 5, *((series,) * bool(series))))
    for k in range(draws):
        pixel, noise = ((1.0, 1.0), (2.0, 0.7), (4.0, 0.5))[k % 3]
        no2 = bool(k // 3 % 2)
        settings = PlumeWorld(
            rate=float(np.exp(rng.uniform(np.log(150), np.log(3000)))) if rate is None else rate,
            wind=float(np.exp(rng.uniform(np.log(1.5), np.log(10)))),
            direction=float(rng.uniform(0, 360)),
            pixel_km=pixel,
            rows=int(120 / pixel),
            columns=int(120 / pixel),
            latitude=float(rng.uniform(-60, 60)),
            noise=noise,
            structure=float(rng.uniform(0.1, 0.5)),
            clouds=float(rng.uniform(0, 0.4)),
            no2=no2,
            neighbour=500.0 if rate is None and k % 10 == 9 else None,
        )
        yield (
            settings,
            (40_000 if rate is None else 50_000) + 100_000 * series + k,
            f"{pixel:g} km" + (", NO2" if no2 else ""),
        )


def table(rows, title):
    """Print a line a method."""
    print(f"\n{title}\n{'':8s} {COLUMNS}")
    for method in METHODS:
        mine = [r for r in rows if r["method"] == method]
        used = [r for r in mine if not r["reasons"]]
        print(f"{method:8s} {line(mine, used)}")


def line(mine, used):
    """Return the numbers of accepted estimates."""
    if not used:
        return f"{len(mine):3d} {0:8.0%}"
    error = np.array([(r["rate"] - r["truth"]) / r["truth"] for r in used])
    covered = np.mean([r["low"] <= r["truth"] <= r["high"] for r in used])
    off = sum(not 0.1 < r["rate"] / r["truth"] < 10 for r in used)
    quarter, middle, three = np.percentile(error, (25, 50, 75))
    spread = f"{middle:+6.0%} {quarter:+6.0%} {three:+6.0%}"
    return f"{len(mine):3d} {len(used) / len(mine):8.0%} {spread} {covered:9.2f} {off:4d}"


def rejected(rows, title):
    """Print why estimates were rejected, and how far off they would have been."""
    print(f"\n{title}")
    bad = [r for r in rows if r["reasons"]]
    for bit, words in REASONS.items():
        n = sum(bool(r["reasons"] & bit) for r in bad)
        if n:
            print(f"  {n / len(rows):5.1%} {words[0]}")
    off = sum(not 0.1 < r["rate"] / r["truth"] < 10 for r in bad)
    print(f"  of {len(bad)} rejected estimates {off} are ten times off or none")


GRANULE = {
    "value": "XCO2_BG + XCO2_TOT + XCO2_RA - XCO2_GPP",
    "uncertainty": "0.5*uXCO2",  # the middle one of the file's three scenarios
    "no2": "NO2_BG + NO2_TOT",
    "no2_uncertainty": "uNO2_high",
}


def one_granule(task):
    """Return a row a method and source for one draw of noise on the synthetic CO2M granule."""
    folder, seed = task
    os.environ["OMP_NUM_THREADS"] = "1"
    files = sorted(folder.glob("Sentinel_7_CO2_*.nc"))
    clear = read_scene(files[0], "CO2", GRANULE, {"CLCT": (0.0, 0.01)}, {"CLCT": (0.0, 0.3)})
    rng = np.random.default_rng(seed)
    noise = {
        name: getattr(clear, name) + getattr(clear, error) * rng.standard_normal(clear.value.shape)
        for name, error in (("value", "uncertainty"), ("no2", "no2_uncertainty"))
    }
    scene = replace(clear, **noise)
    sources, truth = granule_truth(folder)
    analysed = MetWinds(sorted(folder.glob("SMARTCARB_ERA5-*.nc")), (0.0, 1000.0), RateSettings().wind_error)
    winds = {"ERA5": lambda s: analysed.at(scene.time, *s.place), "the model's own": model_winds(folder)}
    out = []
    for image in ("gas", "no2"):
        found = detect(
            scene.value,
            scene.uncertainty,
            scene.spacing_km,
            DetectSettings(image=image),
            scene.no2,
            scene.no2_uncertainty,
        )
        for name, wind_at in winds.items():
            for source in sources:
                x, y = local_plane(scene.latitude, scene.longitude, source.place)
                if np.hypot(x, y).min() > 5:
                    continue
                others = tuple(s for s in sources if s is not source)
                rates = source_rates(scene, found, source, others, wind_at(source), RateSettings())
                out += [
                    {
                        "group": f"plume from {image}, wind: {name}",
                        "method": e.method,
                        "source": source.name,
                        "truth": truth[source.name],
                        "rate": e.rate,
                        "low": e.low,
                        "high": e.high,
                        "reasons": int(e.reasons),
                    }
                    for e in rates.estimates
                ]
    return out


def granule_truth(folder):
    """Return the granule's sources and their rates at 11 UTC, kg s-1."""
    lines = (folder / "sources-smartcarb.csv").read_text(encoding="utf-8").splitlines()[1:]
    sources = [
        PointSource(
            r["source"],
            float(r["latitude"]),
            float(r["longitude"]),
            float(r["diameter"]) / 2e3 if float(r["diameter"]) > 5e3 else 0.0,
        )
        for r in csv.DictReader(lines)
    ]
    with (folder / "SMARTCARB-CO2-emissions.csv").open(encoding="utf-8") as stream:
        hour = next(r for r in csv.DictReader(stream, delimiter="\t") if r["UTC"] == "2015-04-23 11:00:00")
    return sources, {s.name: float(hour[f"{s.name} (Mt/yr)"]) * 1e9 / (365 * 86400.0) for s in sources}


def model_winds(folder):
    """Return a function from source to the wind that carried the plumes, at the nearest cell."""
    with open_netcdf4(next(iter(sorted(folder.glob("SMARTCARB_winds_*.nc"))))) as data:
        lat, lon = (np.asarray(data[n][...]) for n in ("lat", "lon"))
        u, v = (np.asarray(data[n][0]) for n in ("U_GNFR_A", "V_GNFR_A"))

    def at(source):
        k = np.unravel_index(
            np.argmin((lat - source.latitude) ** 2 + (0.62 * (lon - source.longitude)) ** 2), lat.shape
        )
        return PlumeWind(float(u[k]), float(v[k]), RateSettings().wind_error, "model")

    return at


def wind_errors(folder):
    """Print how far two analyses of the same wind are apart."""
    sources, _ = granule_truth(folder)
    analysed = MetWinds(sorted(folder.glob("SMARTCARB_ERA5-*.nc")), (0.0, 1000.0), 0.0)
    at = model_winds(folder)
    time = np.datetime64("2015-04-23T11:00")
    pairs = [(analysed.at(time, *s.place), at(s)) for s in sources]
    speed = np.array([a.speed - b.speed for a, b in pairs])
    print(
        f"\nwind at {len(pairs)} places, ERA5 over 0 to 1000 m against the model's own: speeds differ by ",
        end="",
    )
    layer = np.mean([a.error for a, _ in pairs])
    print(
        f"{speed.mean():+.1f} m s-1, rms {np.sqrt(np.mean(speed**2)):.1f}; spread over the layer {layer:.1f}"
    )


def method_errors(rows):
    """Print the scatter that unsteady air makes, and what sections themselves say of it."""
    print("\nerror of the method alone, over truth; stated: root mean square of what the budget has for it")
    for method in METHODS:
        mine = [r for r in rows if r["method"] == method and np.isfinite(r["rate"]) and not r["reasons"]]
        error = np.array([r["rate"] / r["truth"] - 1 for r in mine])
        stated = np.array([r["unsteady"] / r["rate"] for r in mine])
        numbers = (error.mean(), np.sqrt(np.mean(error**2)), np.sqrt(np.mean(stated**2)))
        print(
            f"{method:8s} n {len(mine):3d} mean {numbers[0]:+.3f} rms {numbers[1]:.3f} stated {numbers[2]:.3f}"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument(
        "--series", type=int, default=1, help="of scenes; method errors were set with scenes of series 0"
    )
    parser.add_argument("--rows", type=Path, help="keep every estimate in this file (JSON)")
    parser.add_argument(
        "--read", type=Path, help="print the tables of estimates that were kept, draw nothing"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("OBSNET_SAMPLE_DATA", "../shared/data"))
    )
    parser.add_argument("--noise-draws", type=int, default=4, help="of the granule; 0 leaves it out")
    asked = parser.parse_args()
    folder = asked.data / "retrieval" / "smartcarb"
    if asked.noise_draws and folder.exists():
        granule(folder, asked.noise_draws, asked.processes)
    if asked.read:
        made_up_tables(json.loads(asked.read.read_text()))
    elif asked.draws:
        made_up(asked)


def granule(folder, draws, processes):
    """Print the tables of the synthetic CO2M granule."""
    wind_errors(folder)
    with ProcessPoolExecutor(processes) as pool:
        rows = [r for part in pool.map(one_granule, [(folder, k) for k in range(draws)]) for r in part]
    for group in sorted({r["group"] for r in rows}):
        table([r for r in rows if r["group"] == group], f"synthetic CO2M granule, {group}")
    rejected(rows, "why rejected (shares of all estimates)")
    for name in sorted({r["source"] for r in rows if not r["reasons"]}):
        used = [r for r in rows if r["source"] == name and not r["reasons"]]
        ratio = np.array([r["rate"] / r["truth"] for r in used])
        print(f"  {name}: {len(used)} accepted, {ratio.min():.2f} to {ratio.max():.2f} of the truth")


def made_up(asked):
    """Print the tables of drawn scenes."""
    with ProcessPoolExecutor(asked.processes) as pool:
        tasks = [
            *quiet_tasks(asked.draws // 4),
            *drawn_tasks(asked.draws, asked.series),
            *((s, n, "empty " + g) for s, n, g in drawn_tasks(asked.draws // 6, asked.series, rate=0.0)),
        ]
        every = []
        for k, rows in enumerate(pool.map(one_twin, tasks)):
            every += rows
            print(f"\r{k + 1} of {len(tasks)} scenes", end="", file=sys.stderr, flush=True)
            if asked.rows:
                asked.rows.write_text(json.dumps(every))
    made_up_tables(every)


def made_up_tables(every):
    """Print the tables of estimates on drawn scenes."""
    quiet = [r for r in every if r["group"] == "quiet"]
    method_errors(quiet)
    empty = [r for r in every if r["group"].startswith("empty")]
    drawn = [r for r in every if r not in quiet and r not in empty]
    table(drawn, "made-up plumes")
    for group in sorted({r["group"] for r in drawn}):
        table([r for r in drawn if r["group"] == group], f"pixels of {group}")
    rejected(drawn, "why rejected (shares of all estimates)")
    scenes = len(empty) // len(METHODS)
    if not scenes:
        return
    alarms = sum(r["plumes"] for r in empty) / len(METHODS)
    told = sum(not r["reasons"] for r in empty)
    print(f"\nwithout a source: {alarms / scenes:.2f} plumes a scene, {told} rates accepted")


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
