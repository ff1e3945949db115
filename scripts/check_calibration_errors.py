"""How true the stated uncertainties of calibrated hours are: `python scripts/check_calibration_errors.py`.

Four days of a made-up analyser with a known truth are calibrated 60 times a case: gases are drawn about their assigned
values (apart and all together), the response walks at random, readings are noisy. Counted is how often the true hour
lies within one and two stated standard uncertainties (readings, response, drift, tanks). The analyser lags by 40 s
behind air that changes by up to 1 ppm an hour, which no uncertainty states: 0.012 ppm at most. In the last cases the
gases are off by five times of what is stated; how often the user is told, that is counted in every case.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from obsnet.schema import Quality
from stations.calibration.calibrate import calibrate
from stations.calibration.plan import load_plan
from tests.stations.analyser import PLAN, air_truth, sequence

DRAWS = 60
CASES = (  # walk (ppm per root hour), of each gas, of all gases (ppm), days between, times that gases are off more
    (0.0, 0.02, 0.0, 1.0, 1.0),
    (0.02, 0.02, 0.0, 0.5, 1.0),
    (0.02, 0.02, 0.05, 1.0, 1.0),
    (0.05, 0.005, 0.0, 0.25, 1.0),
    (0.02, 0.02, 0.0, 2.0, 1.0),
    (0.0, 0.02, 0.0, 1.0, 5.0),
    (0.02, 0.02, 0.0, 0.5, 5.0),
)
TOLD = ("do not agree", "times too small")


def misses(
    walk: float, alone: float, shared: float, every: float, worse: float, seed: int
) -> tuple[np.ndarray, bool]:
    """Return calibrated less true hours in stated standard uncertainties, and whether gases are said to be off."""
    rng = np.random.default_rng(seed)
    together, text = shared * rng.standard_normal(), PLAN
    for value in (380.0, 410.0, 440.0):
        assigned = value + together + worse * alone * rng.standard_normal()
        new = f"value = {assigned:.5f}\nuncertainty = {alone}\ntype_b = {shared}"
        text = text.replace(f"value = {value}\nuncertainty = 0.02", new)
    raw = sequence(days=4, every_days=every, seed=seed, step_seconds=60.0)
    steps = rng.standard_normal(raw.sizes["time"])
    raw["value"] = raw["value"] - walk / np.sqrt(60.0) * np.cumsum(steps)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.toml"
        path.write_text(text)
        calibrated = calibrate(raw, load_plan(path))
    done, said = calibrated.record, any(w in n for n in calibrated.record.attrs["warnings"] for w in TOLD)
    n = done["n"].values
    start = (done["time_start"].values - np.datetime64("2020-01-01")) / np.timedelta64(1, "h")
    truth = air_truth(start[:, None] + (np.arange(60) + 0.5) / 60).mean(axis=1)
    parts = [done[f"uncertainty_{k}"].values ** 2 for k in ("fit", "drift", "tank")]
    stated = np.sqrt(sum(parts) + done["repeatability"].values ** 2 / n)
    use = (n >= 58) & ((done["quality"].values & Quality.CALIBRATION) == 0)
    return ((done["value"].values - truth) / stated)[use], said


def main() -> None:
    """Print a line a case."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    print("walk   gases  together  days  worse   within one, two   told")
    for case in CASES:
        found = [misses(*case, seed) for seed in range(DRAWS)]
        off = np.abs(np.concatenate([m for m, _ in found]))
        words = "{:.2f}  {:.3f}  {:>7.2f}  {:>5.2f}  {:>5.0f}".format(*case)
        told = np.mean([said for _, said in found])
        print(f"{words}   {np.mean(off < 1):.2f}, {np.mean(off < 2):.2f}        {told:.2f}", flush=True)


if __name__ == "__main__":
    main()
