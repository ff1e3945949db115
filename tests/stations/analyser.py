"""A made-up analyser: air and tanks in turn, a response that drifts, readings every few seconds."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from tests.stations.made import make_record

TANKS = {2: 380.0, 3: 410.0, 4: 440.0, 5: 405.0}
PLAN = """
species = "CO2"
scale = "X2019"
site = "TST"
latitude = 36.0
longitude = 100.0
altitude_m = 3000
intake_height_m = 10
air = [1]
discard_minutes = 5
air_discard_minutes = 5
average_minutes = 60
[[tank]]
name = "low"
valve = 2
role = "standard"
value = 380.0
uncertainty = 0.02
[[tank]]
name = "middle"
valve = 3
role = "standard"
value = 410.0
uncertainty = 0.02
[[tank]]
name = "high"
valve = 4
role = "standard"
value = 440.0
uncertainty = 0.02
[[tank]]
name = "target"
valve = 5
role = "target"
value = 405.0
uncertainty = 0.02
"""


def air_truth(hours: np.ndarray) -> np.ndarray:
    return 412.0 + 4.0 * np.sin(2 * np.pi * hours / 24.0)


def sequence(
    days=8, every_days=2.0, seed=0, noise=0.03, gain=0.998, offset=0.8, drift_per_day=0.0, step_seconds=20.0
):
    """Return a raw record: each `every_days` the four tanks for 20 minutes each, air between.

    The reading of a true value x at time t is (x - offset - drift t) / gain, with an exponential memory of
    the gas before of 40 seconds.
    """
    rng = np.random.default_rng(seed)
    hours = np.arange(0, days * 24.0, step_seconds / 3600.0)
    valve = np.ones(hours.size)
    for start in np.arange(0.5, days * 24.0, every_days * 24.0):
        for k, port in enumerate(TANKS):
            inside = (hours >= start + k / 3) & (hours < start + (k + 1) / 3)
            valve[inside] = port
    for start in np.arange(6.0, days * 24.0, 12.0):
        valve[(hours >= start) & (hours < start + 0.25)] = 5
    true = air_truth(hours)
    for port, value in TANKS.items():
        true[valve == port] = value
    keep = np.exp(-step_seconds / 40.0)
    settled, _ = lfilter([1.0 - keep], [1.0, -keep], true, zi=[keep * true[0]])
    reading = (settled - offset - drift_per_day * hours / 24.0) / gain + noise * rng.standard_normal(
        hours.size
    )
    record = make_record(
        reading, hours=hours, length_hours=step_seconds / 3600, scale="uncalibrated", mpv_position=valve
    )
    record["value_wet"] = record["value"]
    record["h2o_reported_percent"] = ("time", np.zeros(hours.size))
    return record
