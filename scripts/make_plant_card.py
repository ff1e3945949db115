"""Make the plant card of docs/plants.md: a made-up plant, its stack file, and overpasses of its plumes.

    python scripts/make_plant_card.py [--out docs] [--keep FOLDER] [--processes 2]

A year of hours with seasons, weekdays, days, restlessness and outages is written in the US hourly layout. On every
tenth day a scene is drawn with what the plant emitted in the two hours before (`retrieval.plume.twin`: restless air,
clouds, NO2), searched and told as `obsnet plume rate` does it. Nothing of it is real.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from obsnet.atomic import atomic_path
from retrieval.plants.figures import card_figure
from retrieval.plants.options import CardTable
from retrieval.plants.page import summary_lines
from retrieval.plants.run import run_card
from retrieval.plants.stack.layout import SHORT_TON_KG
from retrieval.plume.images.detect import detect
from retrieval.plume.options import DetectSettings, RateSettings
from retrieval.plume.rates.estimate import source_rates
from retrieval.plume.tables import PLUME_RATES, rate_rows, write_rows
from retrieval.plume.twin import PlumeWorld, make_twin

YEAR, OFFSET, SEED = 2023, 8, 20
NAME = "Made-up plant"
MEAN = 800.0  # kg s-1


def plant():
    """Return begins of the hours (local) and kg s-1."""
    rng = np.random.default_rng(SEED)
    hours = np.arange(np.datetime64(f"{YEAR}-01-01T00", "h"), np.datetime64(f"{YEAR + 1}-01-01T00", "h"))
    t = np.arange(hours.size)
    cycle = 1.0 + 0.15 * np.cos(2 * np.pi * t / 8766) + 0.1 * np.sin(2 * np.pi * (t % 24 - 9) / 24)
    cycle *= np.where((t // 24) % 7 == 0, 0.88, 1.0)  # 1 January 2023 is a Sunday
    keep = np.exp(-1 / 48)
    restless = lfilter([1.0], [1.0, -keep], rng.standard_normal(t.size) * np.sqrt(1 - keep**2))
    rate = MEAN * cycle * np.clip(1 + 0.15 * restless, 0.4, None)
    for at in rng.integers(0, t.size, 4):
        rate[at : at + 130] = 0.0
    return hours, rate


def write_stack(path, hours, rate):
    """Write the hours as the US layout has them; every two-hundredth is substituted."""
    head = ("Facility Name", "Facility ID", "Unit ID", "Date", "Hour", "Operating Time", "Gross Load (MW)")
    head += ("CO2 Mass (short tons)", "CO2 Mass Measure Indicator")
    with path.open("w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream)
        out.writerow(head)
        for unit, share in (("1", 0.6), ("2", 0.4)):
            for k, (at, q) in enumerate(zip(hours, rate, strict=True)):
                day, hour = str(at).split("T")
                on = q > 0
                mass = f"{q * share * 3600 / SHORT_TON_KG:.3f}" if on else ""
                flag = ("Substitute" if k % 200 < 3 else "Measured") if on else ""
                out.writerow((NAME, 1, unit, day, int(hour), float(on), round(q * share * 1.2), mass, flag))


def one(task):
    """Return the rows of one overpass."""
    k, at, rate = task
    os.environ["OMP_NUM_THREADS"] = "1"
    rng = np.random.default_rng([SEED, k])
    wind = float(np.clip(rng.lognormal(np.log(4.5), 0.35), 2.2, 9.0))
    world = PlumeWorld(rate=rate, wind=wind, clouds=float(rng.uniform(0, 0.3)), no2=True, noise=0.5)
    twin = make_twin(world, SEED * 1000 + k)
    scene = twin.scene
    found = detect(
        scene.value, scene.uncertainty, scene.spacing_km, DetectSettings(), scene.no2, scene.no2_uncertainty
    )
    rates = source_rates(scene, found, twin.source, (), twin.wind, RateSettings())
    about = {
        "scene": f"overpass-{k:02d}",
        "time": at.astype("datetime64[us]"),
        "source": NAME,
        "latitude": 40.0,
        "longitude": 100.0,
    }
    return [r | about for r in rate_rows(scene, rates)]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--keep", type=Path, help="folder for the made-up files and the card")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        hours, rate = plant()
        write_stack(folder / "stack.csv", hours, rate)
        (folder / "fuel.csv").write_text(
            "kind,item,value,unit,ncv,carbon,oxidation\nfuel,bituminous coal,12300000,t,20.9,26.2,0.99\n",
            encoding="utf-8",
        )
        tasks = []
        for k, day in enumerate(range(4, 364, 10)):
            local = 24 * day + 13
            at = hours[local] - np.timedelta64(OFFSET, "h")
            tasks.append((k, at, float(rate[local - 2 : local].mean())))
        with Pool(asked.processes) as pool:
            rows = [r for part in pool.map(one, tasks, chunksize=1) for r in part]
        write_rows(rows, PLUME_RATES, folder / "rates")
        options = CardTable(
            rates=[str(folder / "rates.csv")], method="csf", stack=[folder / "stack.csv"], utc_offset=OFFSET, year=YEAR,
            profile="cycles", fuel=folder / "fuel.csv", region="Gansu", activity_sd=0.02, factor_sd=0.02,
            out=folder / "card",
        )  # fmt: skip
        made = run_card(options)
        print("\n".join(summary_lines(made.card, "en")))
        for note in made.card.notes:
            print("note:", note.en)
        a = made.data["agreement"]
        for name in ("york", "deming"):
            low, high = a[name]["slope_interval"]
            print(f"{name}: slope {a[name]['slope']:.2f} ({low:.2f} to {high:.2f})")
        print(f"|E_n| <= 1: {a['e_n_within']['inside']} of {a['n']}; median ratio {a['median_ratio']:.2f}")
        table = pd.DataFrame(rows)
        truth = np.array([t[2] for t in tasks])[[int(s[-2:]) for s in table["scene"]]]
        print(
            table.assign(off=truth == 0)
            .groupby(["method"])["quality"]
            .agg(lambda q: int((q == 0).sum()))
            .to_string()
        )
        save(card_figure(made.card, "en"), asked.out / "plants_card.png")


def save(figure, path):
    """Write a picture whole."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=90)
    with atomic_path(path) as temporary:
        Image.open(buffer).convert("RGB").quantize(256).save(temporary, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
