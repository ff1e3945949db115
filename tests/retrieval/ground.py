"""A made-up ground network, and satellites that see exactly what it measures."""

from __future__ import annotations

import numpy as np

from obsnet.schema import observation_table
from retrieval.columns.pressure_weights import level_weights
from tests.retrieval.soundings import START, make_table

SITES = {"HF": (31.9, 117.2, 34.0), "XH": (39.8, 116.9, 36.0)}


def make_ground(
    sites=SITES,
    *,
    days=4,
    per_day=20,
    seed=0,
    species="CO2",
    source="tccon_ggg2020_xco2",
    scale="WMO CO2 X2007",
):
    """Return columns of some sites about 05 UTC of each day."""
    rng = np.random.default_rng(seed)
    names = [s for s in sites for _ in range(days * per_day)]
    n = len(names)
    day = np.tile(np.repeat(np.arange(days), per_day), len(sites))
    offset = np.round(rng.uniform(-1800, 1800, n) * 1e6).astype("timedelta64[us]")
    pressure = np.tile(np.append(np.linspace(1012, 20, 40), [10, 5, 1, 0.1]), (n, 1))
    weight = level_weights(pressure).weight
    prior = 400 + 6 * np.exp(-((1012 - pressure) / 200)) - 8 * (pressure < 150) + rng.normal(0, 0.2, (n, 1))
    if species == "CH4":
        prior = prior * 4.6
    column = np.sum(weight * prior, axis=1)
    place = np.array([sites[s] for s in names])
    return observation_table(
        {
            "obs_id": [f"{source}:{s}:{i}" for i, s in enumerate(names)],
            "platform": names,
            "time": START + day * np.timedelta64(1, "D") + offset,
            "latitude": place[:, 0],
            "longitude": place[:, 1],
            "altitude_m": place[:, 2],
            "value": column * (1 + rng.normal(0.002, 0.001, n)),
            "uncertainty": np.full(n, 0.8),
            "scale": [scale] * n,
            "pressure_levels": pressure,
            "pressure_weight": weight,
            "prior_profile": prior,
            "prior_column": column,
            "averaging_kernel": np.ones((n, pressure.shape[1])),
            "vertical": ["level"] * n,
        },
        species=species,
        kind="column",
        source=source,
        file_id="f" * 16,
    )


def make_overpasses(sites=SITES, *, days=4, n=30, vertical="level", species="CO2", seconds=20.0, **columns):
    """Return soundings that pass each site once a day, a few seconds after 05 UTC."""
    import pyarrow as pa

    tables = []
    for k, (lat, lon, _) in enumerate(sites.values()):
        tables += [
            make_table(
                n,
                seed=100 * k + day,
                species=species,
                vertical=vertical,
                lat=(lat - 0.5, lat + 0.5),
                lon=(lon - 0.5, lon + 0.5),
                seconds=seconds,
                start=START + day * np.timedelta64(1, "D") + k * np.timedelta64(10, "m"),
                altitude_m=np.full(n, 50.0),
                **columns,
            )
            for day in range(days)
        ]
    return pa.concat_tables(tables)
