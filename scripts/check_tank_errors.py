"""How true the stated uncertainty of a tank is: `python scripts/check_tank_errors.py`.

True drifts and true scatters of the calibrations are drawn, the tank is fitted, and how often the truth lies within
one and two stated standard uncertainties is counted: at the middle of the calibrations, and 1, 3 and 5 years after
the last. Calibrations state 0.01; `scatter` is what they truly have over that, `rate` and `curve` the spread of true
drifts in unit/yr and unit/yr2.
"""

from __future__ import annotations

import argparse

import numpy as np

from stations.calibration.tanks import fit_tank_drift

DRAWS = 400
AFTER = (1.0, 3.0, 5.0)
DRIFTS = ((0.0, 0.0), (0.01, 0.0), (0.05, 0.0), (0.02, 0.003))


def covered(n: int, scatter: float, rate: float, curve: float, seed: int) -> np.ndarray:
    """Return the shares within one and two standard uncertainties, shape (2, 1 + years after)."""
    rng = np.random.default_rng(seed)
    off = []
    for _ in range(DRAWS):
        year = np.sort(rng.uniform(2010, 2018, n))
        drift = np.array([400.0, rate, curve]) * np.append(1.0, rng.standard_normal(2))
        value = np.polynomial.polynomial.polyval(year - 2014, drift) + 0.01 * scatter * rng.standard_normal(n)
        fit = fit_tank_drift(year, value, 0.01)
        at = np.array([year.mean(), *(fit.last + x for x in AFTER)])
        off.append(
            np.abs(fit.value(at) - np.polynomial.polynomial.polyval(at - 2014, drift)) / fit.uncertainty(at)
        )
    return np.array([np.mean(np.array(off) < k, axis=0) for k in (1, 2)])


def main() -> None:
    """Print a table."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    print("  n scatter  rate  curve   middle  " + "  ".join(f"+{x:.0f} years" for x in AFTER))
    for n in (2, 3, 6, 10):
        for scatter in (1.0, 5.0):
            for k, (rate, curve) in enumerate(DRIFTS):
                shares = covered(n, scatter, rate, curve, 100 * n + k)
                words = "  ".join(f"{one:.2f}/{two:.2f}" for one, two in shares.T)
                print(f"{n:>3} {scatter:>7.0f} {rate:>5.2f} {curve:>6.3f}  {words}", flush=True)


if __name__ == "__main__":
    main()
