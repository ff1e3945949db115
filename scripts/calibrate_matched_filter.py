"""Try the matched filters on cubes of known truth and print the tables of docs/plumes.md.

    python scripts/calibrate_matched_filter.py [--draws 60] [--processes 2]

First cubes without a plume: bias, scatter over stated error, false alarms. Then planted plumes over strength, share of
the pixels, noise, contrast and rows. Bias is the mean of
(estimate - truth); recovery is summed estimates over summed truth
where the truth exceeds three of the stated errors; coverage is how often estimate +- 1.96 errors holds the truth. What
the filter refuses as too strong, or as unlike its background, is in neither, and counted. Then strengths to 80,000, and
cubes that are harder: strong contrast with water, stripes of 5 %, a bright material that absorbs broadly where the gas
does, few bands.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from retrieval.matched_filter.filters import filter_spectra
from retrieval.matched_filter.options import FilterSettings
from retrieval.matched_filter.twin import CubeWorld, comb, make_cube

METHODS = ("classical", "albedo", "reweighted")
COLUMNS = 8
BANDS = (60, 30)


def one(task):
    """Return sums of one drawn cube, by method."""
    world, bands, seed = task
    os.environ["OMP_NUM_THREADS"] = "1"
    k = comb(bands)
    twin = make_cube(world, k, seed)
    out = {}
    for method in METHODS:
        settings = FilterSettings(method=method)
        made = [filter_spectra(twin.radiance[:, c].astype(float), k, settings) for c in range(world.columns)]
        alpha, error = (np.stack([getattr(m, n) for m in made], axis=1) for n in ("enhancement", "error"))
        sparse = np.stack([m.sparse for m in made], axis=1)
        truth = twin.enhancement
        with np.errstate(invalid="ignore"):
            none, there = truth == 0, truth > 3.0 * error
        z = (alpha - truth) / error
        beyond = np.stack([m.beyond for m in made], axis=1)
        unlike = np.stack([m.distance > settings.unlike for m in made], axis=1)
        alike = twin.alike & (truth == 0)
        none &= ~twin.alike & ~twin.water
        there &= ~beyond & ~unlike & np.isfinite(alpha)
        out[method] = {
            "none": int(none.sum()),
            "bias": float((alpha / error)[none].sum()),
            "square": float((z[none] ** 2).sum()),
            "alarms": int((z[none] > 3.0).sum()),
            "sparse_alarms": int((sparse[none] > 0).sum()),
            "error": float(error[none].sum()),
            "there": int(there.sum()),
            "beyond": int((beyond & (truth > 0)).sum()),
            "alike": int(alike.sum()),
            "alike_alarms": int((alike & ~unlike & (alpha > 3.0 * error)).sum()),
            "found": float(alpha[there].sum()),
            "sparse_found": float(np.nan_to_num(sparse[there]).sum()),
            "true": float(truth[there].sum()),
            "inside": int((np.abs(z[there]) < 1.96).sum()),
        }
    return out


def drawn(draws, series, *, plume=True, **fixed):
    """Worlds over what differs from scene to scene."""
    rng = np.random.default_rng([series, 20260302])
    for n in range(draws):
        settings = {
            "rows": int(rng.choice([500, 1280])),
            "columns": COLUMNS,
            "contrast": float(rng.uniform(0.1, 0.4)),
            "materials": float(rng.uniform(0.005, 0.03)),
            "noise": float(np.exp(rng.uniform(np.log(0.0015), np.log(0.006)))),
            "photons": float(rng.uniform(0.2, 0.8)),
            "strength": float(np.exp(rng.uniform(np.log(500.0), np.log(5000.0)))) if plume else 0.0,
            "share": float(np.exp(rng.uniform(np.log(0.005), np.log(0.1)))) if plume else 0.0,
        }
        yield CubeWorld(**(settings | fixed)), BANDS[n % 2], 1000 * series + n


def summed(results, method):
    """Return the sums of one method over cubes."""
    return {k: sum(r[method][k] for r in results) for k in results[0][method]}


def shares(s):
    """Return recovery, coverage, what was refused and false alarms, as cells of a table."""
    refused = s["beyond"] / max(s["beyond"] + s["there"], 1)
    told = (f"{s['found'] / s['true']:.3f}", f"{s['inside'] / s['there']:.2f}") if s["there"] else ("–", "–")
    return " | ".join([*told, f"{refused:.1%}", f"{s['alarms'] / s['none']:.2%}"]) + " |"


def table(results, title, plume):
    """Print a line a method."""
    print(f"\n{title}")
    head = "| method | bias / error | scatter / error | beyond 3 errors | sparse > 0 |"
    print(head + (" recovery | recovery, sparse | inside 95 % |" if plume else ""))
    print("| --- " * (8 if plume else 5) + "|")
    for method in METHODS:
        s = summed(results, method)
        n = max(s["none"], 1)
        line = (
            f"| `{method}` | {s['bias'] / n:+.3f} | {np.sqrt(s['square'] / n):.3f} | {s['alarms'] / n:.2%} |"
        )
        line += f" {s['sparse_alarms'] / n:.1%} |" if method == "reweighted" else " – |"
        if plume:
            sparse = f"{s['sparse_found'] / s['true']:.3f}" if method == "reweighted" else "–"
            line += f" {s['found'] / s['true']:.3f} | {sparse} | {s['inside'] / s['there']:.2f} |"
        print(line)


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    with ProcessPoolExecutor(asked.processes) as pool:
        quiet = list(pool.map(one, drawn(asked.draws, 1, plume=False)))
        table(quiet, f"without a plume, {asked.draws} cubes of {COLUMNS} columns", plume=False)
        results = list(pool.map(one, drawn(asked.draws, 2)))
        table(results, f"planted plumes, {asked.draws} cubes", plume=True)
        for share in (0.01, 0.05, 0.2, 0.4):
            some = list(pool.map(one, drawn(max(asked.draws // 3, 1), 3, share=share, strength=2000.0)))
            table(some, f"plume of 2000 over {share:.0%} of the pixels", plume=True)
        few = max(asked.draws // 6, 1)
        print("\nstrong plumes, reweighted; refused: as too strong")
        print(
            "| strength | deepest band | share | recovery | inside 95 % | refused | beyond 3 errors elsewhere |"
        )
        print("| --- " * 7 + "|")
        for strength in (500.0, 2000.0, 5000.0, 10000.0, 20000.0, 40000.0, 80000.0):
            for share in (0.01, 0.05, 0.2):
                some = summed(
                    list(pool.map(one, drawn(few, 4, share=share, strength=strength))), "reweighted"
                )
                deep = np.exp(comb(60).min() * strength) - 1.0
                print(f"| {strength:g} | {deep:.0%} | {share:.0%} | {shares(some)}")
        print("\nharder cubes, 10000 over 3 % of the pixels, reweighted")
        print(
            "| cubes | recovery | inside 95 % | refused | beyond 3 errors elsewhere | on the material alike |"
        )
        print("| --- " * 6 + "|")
        for name, bands, more in (
            ("as above", None, {}),
            ("contrast 0.6, 15 % water", None, {"contrast": 0.6, "dark": 0.15}),
            ("slopes and curvature 6 %", None, {"materials": 0.06}),
            ("stripes of 5 %", None, {"stripes": 0.05}),
            ("a bright material alike on 2 %", None, {"alike": 0.02}),
            ("a bright material alike on 15 %", None, {"alike": 0.15}),
            ("20 bands", 20, {}),
            ("150 bands", 150, {"rows": 1280}),
        ):
            tasks = drawn(few, 5, share=0.03, strength=10000.0, **more)
            some = summed(list(pool.map(one, ((w, bands or b, n) for w, b, n in tasks))), "reweighted")
            alarms = f"{some['alike_alarms'] / some['alike']:.1%}" if some["alike"] else "–"
            print(f"| {name} | {shares(some)} {alarms} |")


if __name__ == "__main__":
    main()
