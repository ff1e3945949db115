"""Small observation tables for tests."""

import numpy as np

from obsnet.schema import observation_table


def columns(rows=4, levels=0, seed=0, **changes):
    """Return plausible columns; `changes` replaces some."""
    rng = np.random.default_rng(seed)
    made = {
        "obs_id": [f"t:{seed}:{k}" for k in range(rows)],
        "platform": ["TEST"] * rows,
        "time": np.datetime64("2019-01-30T00:00", "us")
        + (np.arange(rows) * 86400_000_000).astype("timedelta64[us]"),
        "latitude": rng.uniform(-60, 60, rows),
        "longitude": rng.uniform(-180, 180, rows),
        "value": rng.uniform(400, 420, rows),
        "uncertainty": np.full(rows, 0.5),
    }
    if levels:
        made |= {
            "pressure_levels": np.tile(np.linspace(1000, 1, levels), (rows, 1)),
            "pressure_weight": np.full((rows, levels), 1 / levels),
            "averaging_kernel": np.ones((rows, levels)),
            "prior_profile": np.full((rows, levels), 400.0),
            "vertical": ["level"] * rows,
            "prior_column": np.full(rows, 400.0),
        }
    return made | changes


def table(rows=4, levels=0, seed=0, kind=None, source="test_v1", file_id="f00d", species="CO2", **changes):
    """Return a checked table."""
    kind = kind or ("column" if levels else "point")
    return observation_table(
        columns(rows, levels, seed, **changes), species=species, kind=kind, source=source, file_id=file_id
    )
