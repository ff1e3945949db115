"""What the rules for pollution find, and how much of what they flag is right.

    python scripts/check_pollution_rules.py                  # spikes planted into made-up minutes
    python scripts/check_pollution_rules.py GAGE_FOLDER      # also AGAGE's rule and REBS against Mace Head's keepers

`found` is the share of the polluted values that is flagged, `precision` the share of the flagged that is polluted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from stations.quality.agage_baseline import agage_polluted
from stations.quality.rebs import rebs
from stations.quality.spikes import sd_spikes
from tests.stations.references import mace_head

GASES = ("CFC-11", "CFC-11 (2)", "CFC-12", "CH3CCl3", "CCl4", "N2O", "CFC-113", "CH4")


def robust_baseline(days: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return what the table `rebs_background` flags."""
    points = int(np.clip(round(60.0 * days.size / np.ptp(days)), 15, days.size))
    found = rebs(days * 24.0, value, points, rounds=(5, 5), b=3.5)
    return value > found.fit + 3.0 * found.sigma_below


RULES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "AGAGE": agage_polluted,
    "REBS": robust_baseline,
}


def planted(size: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hours, values and the truth: two weeks of minutes with a day's cycle, slow noise and 40 events."""
    rng = np.random.default_rng(seed)
    hours = np.arange(14 * 1440) / 60.0
    slow = lfilter([np.sqrt(1 - 0.95**2)], [1.0, -0.95], rng.standard_normal(hours.size))
    value = 400.0 + 4.0 * np.sin(2 * np.pi * hours / 24.0) + slow + 0.1 * rng.standard_normal(hours.size)
    polluted = np.zeros(hours.size, dtype=bool)
    for start in rng.choice(hours.size - 60, 40, replace=False):
        polluted[start : start + rng.integers(2, 30)] = True
    value[polluted] += size * (1.0 + rng.exponential(1.0, polluted.sum()))
    return hours, value, polluted


def main() -> None:
    """Print a line a case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "gage", nargs="?", type=Path, help="folder of the GAGE files of Mace Head with letters"
    )
    folder = parser.parse_args().gage
    for size in (1.0, 3.0, 10.0):
        shares = []
        for seed in range(6):
            hours, value, polluted = planted(size, seed)
            flag = sd_spikes(hours, value, alpha=1.0)
            shares.append((flag[polluted].mean(), polluted[flag].mean()))
        found, precision = np.mean(shares, axis=0)
        print(
            f"spikes of {2 * size:g} ppm on air of 3 ppm spread: found {found:.0%}, precision {precision:.0%}"
        )
    if folder is None:
        return
    days, value, letter = mace_head(folder)
    for name, rule in RULES.items():
        for k, gas in enumerate(GASES):
            use = np.isfinite(value[:, k]) & np.isin(letter[:, k], [" ", "P"])
            theirs = letter[use, k] == "P"
            ours = rule(days[use], value[use, k])
            print(
                f"{name:<6} {gas:<10} polluted {theirs.mean():.0%}: found {ours[theirs].mean():.0%}, "
                f"precision {theirs[ours].mean():.0%}"
            )


if __name__ == "__main__":
    main()
