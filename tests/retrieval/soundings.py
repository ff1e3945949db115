"""Made-up soundings for the tests of super-observations, maps and validation."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from obsnet.schema import observation_table
from retrieval.columns.pressure_weights import layer_weights, level_weights

START = np.datetime64("2020-06-01T05:00:00", "us")


def make_table(
    n=200,
    *,
    seed=0,
    species="CO2",
    vertical="level",
    source="test_lite",
    platform="OCO-2",
    seconds=60.0,
    lat=None,
    lon=(110.0, 110.1),
    corners=True,
    profiles=True,
    start=START,
    **columns,
) -> pa.Table:
    """Return a track of soundings northward at the speed of a satellite; keywords replace columns."""
    lat = (30.0, 30.0 + 0.06 * seconds) if lat is None else lat
    rng = np.random.default_rng(seed)
    when = np.sort(rng.uniform(0, seconds, n))
    latitude = lat[0] + (lat[1] - lat[0]) * when / seconds
    longitude = rng.uniform(*lon, n)
    value = (410 if species == "CO2" else 1900) + rng.normal(size=n)
    data = {
        "obs_id": [f"{source}:{seed}-{i}" for i in range(n)],
        "platform": [platform] * n if isinstance(platform, str) else list(platform),
        "time": start + np.round(when * 1e6).astype("timedelta64[us]"),
        "latitude": latitude,
        "longitude": longitude,
        "value": value,
        "uncertainty": rng.uniform(0.4, 0.9, n),
        "land_fraction": np.ones(n),
        "mode": ["nadir"] * n,
        "scale": ["WMO-CO2-X2007"] * n,
    }
    if corners:
        data["corner_latitude"] = latitude[:, None] + 0.01 * np.array([-1, -1, 1, 1])
        data["corner_longitude"] = longitude[:, None] + 0.01 * np.array([-1, 1, 1, -1])
    if profiles:
        levels = 20
        surface = rng.uniform(900, 1010, (n, 1))
        pressure = surface * np.linspace(1, 1e-3, levels + (vertical == "layer"))
        weight = (layer_weights if vertical == "layer" else level_weights)(pressure).weight
        prior = value.mean() + rng.normal(0, 2, (n, levels))
        data |= {
            "pressure_edges" if vertical == "layer" else "pressure_levels": pressure,
            "pressure_weight": weight,
            "averaging_kernel": rng.uniform(0.6, 1.2, (n, levels)),
            "prior_profile": prior,
            "prior_column": np.sum(weight * prior, axis=1),
            "vertical": [vertical] * n,
        }
    return observation_table(
        data | columns, species=species, kind="column", source=source, file_id=f"{seed:016x}"
    )
