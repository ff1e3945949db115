"""Count how often a year's total from few snapshots holds the truth; the table of docs/plants.md.

    python scripts/calibrate_plants.py [--draws 400]

Each draw is another year of a made-up plant: seasons, weekdays, days and restlessness of two days; with outages,
overpasses of a plant that stands still see nothing. Profiles come from another year of the same plant.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from scipy.signal import lfilter

from retrieval.plants.compare.annual import annual_total
from retrieval.plants.compare.match import Overpass
from retrieval.plants.compare.profile import year_profile
from retrieval.plants.options import YearOptions
from retrieval.plants.stack.record import StackRecord

LIMIT, ADDITIVE, SHARE, COMMON = 90.0, 20.0, 0.15, 0.05


def year(number, seed, outages):
    """Return a year of a plant."""
    rng = np.random.default_rng(seed)
    hours = np.arange(np.datetime64(f"{number}-01-01T00", "h"), np.datetime64(f"{number + 1}-01-01T00", "h"))
    t = np.arange(hours.size)
    cycle = 1.0 + 0.15 * np.cos(2 * np.pi * t / 8766) + 0.12 * np.sin(2 * np.pi * (t % 24 - 9) / 24)
    cycle *= np.where((t // 24) % 7 == 6, 0.85, 1.0)
    keep = np.exp(-1 / 48)
    kicks = rng.standard_normal(t.size) * np.sqrt(1 - keep**2)
    rate = 300.0 * cycle * np.clip(1 + 0.15 * lfilter([1.0], [1.0, -keep], kicks), 0.3, None)
    for at in rng.integers(0, t.size, int(outages * t.size / 120)):
        rate[at : at + 120] = 0.0
    mass = rate * 3600.0
    return StackRecord("plant", hours[0], mass, 0.05 * mass, 0 * mass, ("1",), 0.0)


def snapshots(record, count, rng):
    """Return overpasses at 13:30 on days drawn at random, with errors as stated."""
    shift = 1 + COMMON * rng.standard_normal()
    rest = np.sqrt(SHARE**2 - COMMON**2)
    out = []
    for day in np.sort(rng.choice(360, count, replace=False)):
        at = record.start + np.timedelta64(int(24 * day + 14), "h")
        window = (at - np.timedelta64(2, "h"), at)
        true = record.window(*window).rate
        q = true * shift * (1 + rest * rng.standard_normal()) + ADDITIVE * rng.standard_normal()
        parts = {
            "wind": SHARE * abs(q),
            "background": ADDITIVE,
            "noise": 0.0,
            "method": 0.0,
            "conversion": 0.0,
        }
        nan = float("nan")
        o = Overpass(
            "s", "csf", "given", at, "rate", q, nan, nan, LIMIT, parts, 0, 5.0, 1.0, 2.0, 38.0, window
        )
        out.append(o if true > LIMIT else replace(o, status="below", rate=nan, parts={}))
    return out


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=400)
    draws = parser.parse_args().draws
    print(
        "| outages | snapshots | median total / truth | truth inside 95 % | without sampling | found alone |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for outages in (0.0, 0.2):
        for count in (4, 8, 20, 60):
            rng = np.random.default_rng(count)
            ratio, inside, blind, alone = [], [], [], []
            for k in range(draws):
                profile = year_profile(
                    YearOptions(year=2023, profile="cycles"), year(2022, 5000 + k, outages)
                )
                record = year(2023, 1000 + k, outages)
                seen = snapshots(record, count, rng)
                found = annual_total(seen, profile, COMMON)
                if found is None:
                    continue
                truth = record.mass.sum() * 1e-9
                told = annual_total([o for o in seen if o.status == "rate"], profile, COMMON)
                ratio.append(found.total / truth)
                inside.append(found.low <= truth <= found.high)
                blind.append(abs(found.total - truth) <= 1.96 * np.hypot(found.random, found.common))
                alone.append(told.low <= truth <= told.high)
            print(
                f"| {outages:.0%} | {count} | {np.median(ratio):.2f} | {np.mean(inside):.2f} | {np.mean(blind):.2f} | "
                f"{np.mean(alone):.2f} |"
            )


if __name__ == "__main__":
    main()
