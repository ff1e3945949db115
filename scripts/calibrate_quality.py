"""How often quality control is wrong and how much it finds: the rates that docs/inventory.md states.

    python scripts/calibrate_quality.py [--files 100]

Made files have 30 provinces and 23 years like those of CEADs, without an error in them; what `flag_series` calls a
break or a zero there is a false alarm. Then one value of one province is changed, or all from a year on. Rates are per
change from year to year, with their 95 % bounds by Wilson.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
PROVINCES, YEARS = 30, 23


def normal(rng, sd=0.05):
    return rng.normal(0.0, sd, (YEARS - 1, PROVINCES))


def heavy(rng):
    return 0.05 * rng.standard_t(4, (YEARS - 1, PROVINCES))


def remembering(rng):
    """Return changes of which each keeps half of the one before."""
    out = normal(rng)
    for t in range(1, YEARS - 1):
        out[t] += 0.5 * out[t - 1]
    return out


def unequal(rng):
    """Return changes whose spread is 2 % in one province and 15 % in another."""
    return normal(rng) / 0.05 * np.geomspace(0.02, 0.15, PROVINCES)


def booming(rng):
    """Return growth of 10 % a year that ends in 2012, by 5 % more in some provinces than in others."""
    year = np.arange(1998, 1997 + YEARS)[:, None]
    return normal(rng, 0.04) + np.where(year < 2012, 0.10 + rng.normal(0, 0.05, PROVINCES), 0.01)


def rebased(rng):
    """Return changes of a file that was revised: in 2005 every province moves by 10 %, each by its own."""
    out = normal(rng, 0.04)
    out[7] += rng.normal(0.10, 0.06, PROVINCES)
    return out


MADE = {
    "normal, 5 %": normal,
    "Student's t, 4 degrees, 5 %": heavy,
    "half of last year's change kept": remembering,
    "spread 2 to 15 % by province": unequal,
    "growth 10 % until 2012, unequal": booming,
    "revised in 2005 by 10 ± 6 %": rebased,
}
PLANTED = {
    "a year times 0.7": (0.7, False),
    "a year times 1.5": (1.5, False),
    "a year times 0.5": (0.5, False),
    "a year is 0": (0.0, False),
    "all from a year on times 1.5": (1.5, True),
}


def levels(steps):
    import pandas as pd

    rise = np.vstack([np.zeros(PROVINCES), np.cumsum(steps, axis=0)])
    size = np.geomspace(20.0, 900.0, PROVINCES)
    return pd.DataFrame(size * np.exp(rise), index=range(1997, 1997 + YEARS))


def bounds(k, n):
    """Return the 95 % bounds of a share by Wilson."""
    z, p = 1.96, k / n
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def main() -> None:
    from obsnet.inventory.sources.quality import flag_series

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=100, help="of each kind")
    count = parser.parse_args().files
    print("| made series | false alarms per change | 95 % bounds | a file |\n|---|---|---|---|")
    for k, (name, make) in enumerate(MADE.items()):
        rng = np.random.default_rng([1, k])
        found = [flag_series(levels(make(rng))) for _ in range(count)]
        alarms, changes = sum(len(f) for f in found), sum(f.attrs["changes"] for f in found)
        low, high = bounds(alarms, changes)
        print(f"| {name} | {alarms / changes:.2%} | {low:.2%} to {high:.2%} | {alarms / count:.1f} |")
    print("\n| planted in one province, normal 5 % | found |\n|---|---|")
    for k, (name, (factor, onwards)) in enumerate(PLANTED.items()):
        rng = np.random.default_rng([2, k])
        hits = 0
        for _ in range(count):
            data = levels(normal(rng))
            region, year = int(rng.integers(PROVINCES)), int(rng.integers(1998, 2019))
            data.loc[year : 2019 if onwards else year, region] *= factor
            found = flag_series(data)
            hits += bool(((found["region"] == region) & found["period"].isin([year, year + 1])).any())
        low, high = bounds(hits, count)
        print(f"| {name} | {hits / count:.0%} ({low:.0%} to {high:.0%}) |")


if __name__ == "__main__":
    main()
