"""Columns that share particles beside columns with particles of their own: totals, maps, enhancements, errors, time.

    python scripts/check_shared_particles.py SAMPLES [--seeds 8] [--particles 500] [--only 0 1] [--km 5 10] [--json]

SAMPLES is the folder of transport samples. A block of soundings like OCO-2's (eight across, 1.3 by 2.25 km) is run with
each seed, once with particles of its own and once with those of its cells. What differs between the means over seeds
beyond what seeds differ by is what sharing does; "not moved" leaves all paths where the cell's middle has them, to show
what moving them is worth. Processor seconds are of the same run.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from inversion.transport.receptors.releases import Receptors, domain_of, from_observations
from inversion.transport.receptors.sharing import from_neighbours
from inversion.transport.run.plan import flux_bins
from obsnet.grid import Grid
from obsnet.met import Met, open_met
from obsnet.schema import observation_table
from obsnet.typing import Floats


@dataclass(frozen=True)
class Swath:
    """Soundings, weather, and the width of the cells (km) that are tried."""

    name: str
    met: str
    time: str
    place: tuple[float, float]
    hours: float
    cell: float  # degrees, of fluxes
    widths: tuple[float, ...]


SWATHS = (
    Swath(
        "ERA5, night, hills, 1.9 h, 0.05°",
        "met/era5_regrid.nc",
        "2025-05-01T01:58",
        (48.4, 9.9),
        1.9,
        0.05,
        (5.0,),
    ),
    Swath(
        "made-up afternoon, 24 h, 0.1°",
        "met/synt.nc",
        "2024-04-02T06:00",
        (39.9, 116.4),
        24.0,
        0.1,
        (5.0, 10.0),
    ),
    Swath("made-up night, 24 h, 0.1°", "met/synt.nc", "2024-04-02T20:00", (39.9, 116.4), 24.0, 0.1, (10.0,)),
)
ACROSS, ALONG = 8, 6
EAST, NORTH, EVERY = 1.3, 2.25, 0.333  # km, km and s from one sounding to the next
LEVELS = np.linspace(1000.0, 0.1, 20)


def soundings(swath: Swath) -> pa.Table:
    """Return a block of columns with OCO-2's levels and a kernel that falls with height."""
    row, across = np.divmod(np.arange(ACROSS * ALONG), ACROSS)
    n = row.size
    hats = np.r_[0.5, np.ones(LEVELS.size - 2), 0.5] / (LEVELS.size - 1)
    north, east = swath.place
    start = np.datetime64(swath.time, "us")
    return observation_table(
        {
            "obs_id": [f"{swath.name} {k}" for k in range(n)],
            "platform": ["x"] * n,
            "time": start + (1e6 * EVERY * row).astype("timedelta64[us]"),
            "latitude": north + row * NORTH / 111.2,
            "longitude": east + across * EAST / (111.2 * np.cos(np.deg2rad(north))),
            "value": np.full(n, 410.0),
            "uncertainty": np.ones(n),
            "pressure_levels": np.tile(LEVELS, (n, 1)),
            "pressure_weight": np.tile(hats, (n, 1)),
            "averaging_kernel": np.tile(np.linspace(1.05, 0.8, LEVELS.size), (n, 1)),
            "prior_profile": np.full((n, LEVELS.size), 400.0),
            "prior_column": np.full(n, 400.0),
            "vertical": ["level"] * n,
        },
        species="CO2",
        kind="column",
        source="s",
        file_id="f" * 16,
    )


def grid_of(met: Met, cell: float) -> Grid:
    """Return whole cells within the meteorology."""
    south, north, west, east = met.bounds
    return Grid.regular(
        *(
            f(v / cell) * cell
            for f, v in ((np.ceil, south), (np.floor, north), (np.ceil, west), (np.floor, east))
        ),
        cell,
        cell,
    )


def run(
    met: Met, receptors: Receptors, grid: Grid, edges: Any, settings: ParticleSettings
) -> tuple[list[str], Floats, float]:
    """Return names, footprints (receptor, cell) over all times, and processor seconds."""
    begin = time.process_time()
    found = simulate(met, receptors, grid, edges, settings)
    spent = time.process_time() - begin
    names = sorted(receptors.obs_id.tolist())
    place = {name: k for k, name in enumerate(names)}
    rows = found.sensitivity
    maps = np.zeros((len(names), grid.size))
    at = np.array([place[name] for name in rows["obs_id"].to_pylist()])
    np.add.at(maps, (at, rows["cell"].to_numpy()), rows["sensitivity"].to_numpy())
    return names, maps, spent


def unmoved(receptors: Receptors) -> Receptors:
    """Return the same, all paths where the cell's middle has them."""
    assert receptors.shared is not None
    return replace(receptors, shared=tuple(replace(s, shifts=0.0 * s.shifts) for s in receptors.shared))


def compare(swath: Swath, folder: Path, seeds: int, particles: int) -> list[dict[str, Any]]:
    """Return one row a width of cells, and one without moving the paths."""
    met = open_met([folder / swath.met])
    grid = grid_of(met, swath.cell)
    table = soundings(swath)
    last = np.datetime64(swath.time, "us") + np.timedelta64(60, "s")
    edges = flux_bins(
        last - np.timedelta64(round(3600 * swath.hours) + 120, "s"), last + np.timedelta64(60, "s"), "1h"
    )
    rng = np.random.default_rng(1)
    # Half of all fluxes within 4 % of the cells: what is moved by a cell is felt otherwise.
    flux = rng.lognormal(0.0, 1.8, grid.size)
    flux /= flux.mean()
    given: dict[str, Any] = {"particles": particles, "hours": swath.hours, "domain": domain_of(grid, met)}
    ways = {"own": from_observations(table, met, **given)}
    for km in swath.widths:
        ways[f"{km:g} km"] = from_neighbours(table, met, **given, km=km)
    widest = f"{swath.widths[-1]:g} km"
    ways[f"{widest}, not moved"] = unmoved(ways[widest])
    maps: dict[str, list[Floats]] = {name: [] for name in ways}
    spent = dict.fromkeys(ways, 0.0)
    for seed in range(seeds + 1):  # the first run compiles and fills caches
        for name, receptors in ways.items():
            settings = ParticleSettings(turbulence="hanna", hours=swath.hours, particles=particles, seed=seed)
            _, found, took = run(met, receptors, grid, edges, settings)
            if seed:
                maps[name].append(found)
                spent[name] += took
    own = np.array(maps["own"])
    out = []
    for name, receptors in ways.items():
        if name == "own":
            continue
        mine = np.array(maps[name])
        of = np.array([swarm.name for swarm in receptors.swarms for _ in swarm.factors])
        of = of[np.argsort(receptors.obs_id)]
        row: dict[str, Any] = {
            "swath": swath.name,
            "cells": name,
            "soundings": own.shape[1],
            "swarms": len(receptors.swarms),
        }
        for what, weights in (("total", np.ones(grid.size)), ("enhancement", flux)):
            row |= {f"{what}_{k}": v for k, v in differences(own @ weights, mine @ weights).items()}
        row |= {"overlap": overlap(mine, own), "overlap_own": overlap(own, own)}
        row["correlation"] = within(mine.sum(axis=2), of)
        row["correlation_own"] = within(own.sum(axis=2), of)
        row["cpu_ms"] = 1e3 * spent[name] / (seeds * own.shape[1])
        row["cpu_ms_own"] = 1e3 * spent["own"] / (seeds * own.shape[1])
        out.append({k: v if isinstance(v, str | int) else round(float(v), 4) for k, v in row.items()})
    return out


def differences(own: Floats, mine: Floats) -> dict[str, float]:
    """Return, in percent of the mean: a run's noise of both, the difference of means, and what of it is not noise.

    Parameters
    ----------
    own, mine : ndarray, shape (seeds, soundings)
    """
    size, seeds = own.mean(), own.shape[0]
    noise = [v.var(axis=0, ddof=1).mean() for v in (own, mine)]
    apart = mine.mean(axis=0) - own.mean(axis=0)
    by_chance = sum(noise) / seeds
    beyond = np.mean(apart**2) - by_chance
    return {
        "noise_own": 100.0 * np.sqrt(noise[0]) / size,
        "noise_shared": 100.0 * np.sqrt(noise[1]) / size,
        "mean_difference": 100.0 * apart.mean() / size,
        "rms_difference": 100.0 * np.sqrt(np.mean(apart**2)) / size,
        "rms_by_chance": 100.0 * np.sqrt(by_chance) / size,
        "beyond_chance": 100.0 * np.sqrt(max(beyond, 0.0)) / size,
    }


def overlap(a: Floats, b: Floats) -> float:
    """Return the mean shared part of maps of unit sum, of one seed of `a` and the next seed of `b`."""
    a, b = a / a.sum(axis=2, keepdims=True), b / b.sum(axis=2, keepdims=True)
    return float(np.minimum(a, np.roll(b, 1, axis=0)).sum(axis=2).mean())


def within(totals: Floats, of: Any) -> float:
    """Return the correlation over seeds of the totals of two soundings of a cell, in the mean over pairs."""
    apart = totals - totals.mean(axis=0)
    size = np.sqrt((apart**2).sum(axis=0))
    both = (apart.T @ apart) / np.outer(size, size)
    pairs = (of[:, None] == of) & ~np.eye(of.size, dtype=bool)
    return float(both[pairs].mean())


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--particles", type=int, default=500)
    parser.add_argument(
        "--only", type=int, nargs="*", default=list(range(len(SWATHS))), help="numbers of the swaths"
    )
    parser.add_argument(
        "--km", type=float, nargs="*", help="widths of cells to try in the place of a swath's own"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for k in options.only:
        swath = replace(SWATHS[k], widths=tuple(options.km or SWATHS[k].widths))
        for row in compare(swath, options.samples, options.seeds, options.particles):
            print(
                json.dumps(row) if options.json else "\n".join(f"{n:28} {v}" for n, v in row.items()) + "\n",
                flush=True,
            )


if __name__ == "__main__":
    main()
