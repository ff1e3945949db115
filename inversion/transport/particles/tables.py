"""What particles found, as the tables of the contracts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from inversion.transport.receptors.releases import Receptors
from obsnet.grid import Grid
from obsnet.met import Met
from obsnet.schema import SIDES
from obsnet.times import from_epoch
from obsnet.typing import Floats, Singles

__all__ = ["Footprints", "as_tables"]


@dataclass(frozen=True)
class Footprints:
    """What `simulate` found, as tables.

    Parameters
    ----------
    sensitivity, background : pyarrow.Table
        Contracts `obsnet.schema.SENSITIVITY` and `BACKGROUND`.
    receptors : pyarrow.Table
        One row a receptor: obs_id, total and total_stderr (ppm / (umol m-2 s-1)), residence_hours (mean time in
        the domain per unit of weight), particles, particles_of: receptors with the same entry share their particles,
        and with them their Monte-Carlo errors.
    endpoints : pyarrow.Table
        One row a particle: obs_id, time, latitude, longitude, height_m, side, weight; where its path left the
        domain or, on side ``inside``, where the run ended.
    paths : pyarrow.Table
        One row a particle and age, where paths were asked for: obs_id, particle (from 0), age (minutes, negative
        backward), latitude, longitude, height_m, sensitivity that it took up
        since the row before (the sum over a receptor is its total); a last row where a path left the domain.
    """

    sensitivity: pa.Table
    background: pa.Table
    receptors: pa.Table
    endpoints: pa.Table
    paths: pa.Table


def as_tables(
    receptors: Receptors, results: Sequence[Any], grid: Grid, bins: Floats, met: Met, direction: int = -1
) -> Footprints:
    """Collect kernel results into the contracts' tables."""
    n_time = bins.size - 1
    sizes = [max(len(r[0]), 1) for r in results]
    keys = [r[0] if len(r[0]) else np.zeros(1, np.int64) for r in results]
    values = [r[1] if len(r[0]) else np.zeros(1) for r in results]
    errors = [r[2] * _together(r[2], r[4][1]) if len(r[0]) else np.zeros(1) for r in results]
    flat = np.concatenate([*keys, np.zeros(0, np.int64)])
    sensitivity = pa.table(
        {
            "obs_id": pa.array(np.repeat(receptors.obs_id, sizes).tolist(), pa.string()),
            "time_bin": (flat // grid.size).astype(np.int32),
            "cell": (flat % grid.size).astype(np.int32),
            "sensitivity": np.concatenate([*values, np.zeros(0)]).astype(np.float32),
            "stderr": np.concatenate([*errors, np.zeros(0)]).astype(np.float32),
        }
    )
    ids: list[str] = []
    sides: list[str] = []
    when: list[int] = []
    share: list[float] = []
    fixed: list[float] = []
    for n, result in enumerate(results):
        ends = result[3]
        # A path that stops at a bin's lower edge belongs to the bin it came from.
        at = np.clip(np.searchsorted(bins, ends[:, 0], side="right") - 1, 0, n_time - 1)
        total = np.bincount(
            ends[:, 4].astype(np.int64) * n_time + at, weights=ends[:, 5], minlength=len(SIDES) * n_time
        )
        found = np.flatnonzero(total)
        ids.extend([str(receptors.obs_id[n])] * found.size)
        sides.extend(SIDES[k] for k in found // n_time)
        when.extend((found % n_time).tolist())
        share.extend(np.maximum(total[found], 0.0).tolist())
        fixed.extend([float(receptors.known[n])] * found.size)
    background = pa.table(
        {
            "obs_id": pa.array(ids, pa.string()),
            "fixed": pa.array(fixed, pa.float64()),
            "side": pa.array(sides, pa.string()),
            "time_bin": pa.array(when, pa.int32()),
            "share": pa.array(share, pa.float64()),
        }
    )
    ends = np.concatenate([np.zeros((0, 6)), *(r[3] for r in results)])
    lon = met.lon[0] + (met.lon[1] - met.lon[0]) * ends[:, 1]
    endpoints = pa.table(
        {
            "obs_id": pa.array(
                np.repeat(receptors.obs_id, [len(r[3]) for r in results]).tolist(), pa.string()
            ),
            "time": from_epoch(ends[:, 0]),
            "latitude": met.lat[0] + (met.lat[1] - met.lat[0]) * ends[:, 2],
            "longitude": (lon + 180.0) % 360.0 - 180.0,
            "height_m": ends[:, 3],
            "side": pa.DictionaryArray.from_arrays(ends[:, 4].astype(np.int8), list(SIDES)),
            "weight": ends[:, 5],
        }
    )
    summary = np.array([r[4][:3] for r in results]).reshape(-1, 3)
    return Footprints(
        sensitivity,
        background,
        pa.table(
            {
                "obs_id": pa.array(receptors.obs_id.tolist(), pa.string()),
                "total": summary[:, 0],
                "total_stderr": summary[:, 1],
                "residence_hours": summary[:, 2] / 3600.0,
                "particles": pa.array([len(r[3]) for r in results], pa.int32()),
                "particles_of": pa.array(receptors.particles_of, pa.string()),
            }
        ),
        endpoints,
        _paths(receptors, [r[-1] for r in results], met, direction),
    )


def _paths(receptors: Receptors, tracks: Sequence[Singles], met: Met, direction: int) -> pa.Table:
    """Return the paths of all particles as rows."""
    kept = [np.nonzero(track[..., 0] > 0.0) for track in tracks]
    rows = np.concatenate([np.zeros((0, 5), np.float32), *(t[k] for t, k in zip(tracks, kept, strict=True))])
    numbers = np.concatenate([np.zeros(0, np.int64), *(k[0] for k in kept)])
    lon = met.lon[0] + (met.lon[1] - met.lon[0]) * rows[:, 1].astype(np.float64)
    names = np.repeat(receptors.obs_id, [k[0].size for k in kept])
    return pa.table(
        {
            "obs_id": pa.array(names.tolist(), pa.string()).dictionary_encode(),
            "particle": numbers.astype(np.int32),
            "age": (direction * rows[:, 0] / 60.0).astype(np.float32),
            "latitude": (met.lat[0] + (met.lat[1] - met.lat[0]) * rows[:, 2].astype(np.float64)).astype(
                np.float32
            ),
            "longitude": ((lon + 180.0) % 360.0 - 180.0).astype(np.float32),
            "height_m": rows[:, 3],
            "sensitivity": rows[:, 4],
        }
    )


def _together(errors: Floats, total: float) -> float:
    """Return the factor that makes the squares of one receptor's standard errors add up to that of its total.

    A particle that lingers is felt in many cells, so the cells' errors go together and their squares alone
    would fall short of the error of a modelled value.
    """
    apart = float(np.sqrt(np.sum(errors**2)))
    return max(total / apart, 1.0) if apart > 0.0 else 1.0
