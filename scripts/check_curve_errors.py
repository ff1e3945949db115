"""How true the stated standard errors of trend and growth are: twins with noise of known memory.

    python scripts/check_curve_errors.py             # the table of docs/stations.md
    python scripts/check_curve_errors.py --draws 10  # quicker

Records of a known signal with autoregressive noise of 0 to 365 days of memory are fitted and their errors stated; the
truth is the spread of what the same fit makes of 300 draws of that noise. Printed are the ratios stated : true, mean,
standard deviation and (median) over the draws, how often the truth lies in the range that is called likely (two in
three would be honest), and how often the user is told that the record is short.
"""

from __future__ import annotations

import argparse

import numpy as np

from stations.curve.errors import errors_and_noise
from stations.curve.fit import CurveFit, fit_curve
from stations.curve.many import doubts
from stations.curve.noise import Noise, Simulation

MEMORIES = (0.0, 10.0, 30.0, 60.0, 90.0, 180.0, 365.0)


def records() -> dict[str, np.ndarray]:
    """Dates: weekly, daily, flasks at random with gaps, a short record."""
    rng = np.random.default_rng(2)
    weekly = 2000.0 + np.arange(0, 20 * 365.25, 7) / 365.25
    flasks = np.sort(2000.0 + rng.uniform(0, 25, 900))
    return {
        "weekly, 20 years": weekly,
        "flasks with gaps, 25 years": flasks[(np.abs(flasks - 2008) > 0.3) & (np.abs(flasks - 2017) > 0.4)],
        "daily, 12 years": 2000.0 + np.arange(0, 12 * 365.25) / 365.25,
        "weekly, 6 years": weekly[weekly < 2006.0],
    }


def signal(year: np.ndarray) -> np.ndarray:
    t = year - 2000.0
    return 370.0 + 2.0 * t + 0.01 * t**2 + 3.0 * np.sin(2 * np.pi * t) + 1.2 * np.cos(4 * np.pi * t)


def noisy(year: np.ndarray, days: float, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed).standard_normal(year.size)
    for i in range(1, draw.size):
        keep = np.exp(-(year[i] - year[i - 1]) * 365.25 / days) if days else 0.0
        draw[i] = keep * draw[i - 1] + np.sqrt(1.0 - keep * keep) * draw[i]
    return signal(year) + 2.0 * draw


def truth(fit: CurveFit, days: float) -> tuple[float, float]:
    """Root mean square, over the middle of the record, of what the fit makes of the noise."""
    true = Simulation(fit, range(300), 99, thin=False).curves(Noise(2.0, days))
    edge = min(667.0 / 730.0, 0.25 * true.grid[-1])
    inside = (true.grid >= edge) & (true.grid <= true.grid[-1] - edge)
    return tuple(float(np.sqrt(np.mean(x[inside] ** 2))) for x in (true.polynomial + true.long, true.growth))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=30)
    draws = parser.parse_args().draws
    print(f"{'dates':<28} {'memory':>6}  {'trend':>21}  {'growth':>21}  likely  told  at the bound")
    for name, year in records().items():
        clean = fit_curve(year, signal(year))
        for days in MEMORIES:
            fits = [fit_curve(year, noisy(year, days, seed)) for seed in range(draws)]
            found = [errors_and_noise(fit) for fit in fits]
            bound = sum(e.noise.at_bound for e in found)
            told = sum(any("short" in note for note in doubts(e)) for e in found)
            words, held = [], []
            for kind, true in zip(("trend", "growth"), truth(clean, days), strict=True):
                ratio = np.array([e.stated[kind] for e in found]) / true
                words.append(f"{ratio.mean():.2f} +- {ratio.std():.2f} ({np.median(ratio):.2f})")
                held += [e.likely[kind][0] <= true <= e.likely[kind][1] for e in found]
            print(
                f"{name:<28} {days:>6.0f}  {words[0]:>21}  {words[1]:>21}  {np.mean(held):6.2f}  {told / draws:4.2f}  "
                f"{bound} of {draws}",
                flush=True,
            )


if __name__ == "__main__":
    main()
