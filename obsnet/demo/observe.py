"""Let the invented truth be seen: model every observation from the files that `obsnet footprints` wrote."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from obsnet.demo.world import DemoWorld
from obsnet.errors import SchemaError
from obsnet.schema import SIDES
from obsnet.seal import read_json
from obsnet.typing import Floats

__all__ = ["Simulated", "simulate"]


@dataclass(frozen=True)
class Simulated:
    """What each observation would read without instrument error.

    Parameters
    ----------
    value : dict of str to float
        ppm by obs_id.
    scatter : dict of str to float
        Standard error of `value` from the finite number of particles, ppm, by obs_id.
    """

    value: dict[str, float]
    scatter: dict[str, float]


def simulate(footprints: Path, world: DemoWorld) -> Simulated:
    """Apply sensitivities and boundary shares to the true fluxes and the true inflow.

    Parameters
    ----------
    footprints : Path
        A folder of the sensitivity contract.
    world : DemoWorld
        Truth on the same grid and time bins.

    Raises
    ------
    SchemaError
        The footprints are on another grid or other time bins.
    """
    meta = read_json(footprints / "meta.json")
    bins = len(meta["time_edges"]) - 1
    if bins != world.inflow.shape[1] or world.grid != type(world.grid).from_dict(meta["grid"]):
        raise SchemaError(f"{footprints}: footprints are not on the grid and time bins of the invented world")
    flux = 1e6 * (world.true_fossil[None, :] + world.true_biosphere)
    rows = ds.dataset(footprints / "sensitivity", format="parquet").to_table()
    at = (rows["time_bin"].to_numpy(), rows["cell"].to_numpy())
    amount = rows["sensitivity"].to_numpy().astype(np.float64) * flux[at]
    stderr = np.nan_to_num(rows["stderr"].to_numpy().astype(np.float64)) * np.abs(flux[at])
    value = _sum(rows["obs_id"], amount)
    # Cells of one observation share their particles; adding squares treats them as apart.
    scatter = {k: v**0.5 for k, v in _sum(rows["obs_id"], stderr**2).items()}
    air = ds.dataset(footprints / "background", format="parquet").to_table()
    side = np.array([SIDES.index(s) for s in air["side"].to_pylist()])
    inflow = air["share"].to_numpy() * world.inflow[side, air["time_bin"].to_numpy()]
    for key, extra in _sum(air["obs_id"], inflow).items():
        value[key] = value.get(key, 0.0) + extra
    known = air.group_by("obs_id").aggregate([("fixed", "max")])
    for key, extra in zip(known["obs_id"].to_pylist(), known["fixed_max"].to_pylist(), strict=True):
        if extra is not None and math.isfinite(extra):
            value[key] += extra
    return Simulated(value, scatter)


def _sum(keys: pa.ChunkedArray, amounts: Floats) -> dict[str, float]:
    table = pa.table({"key": keys, "amount": amounts}).group_by("key").aggregate([("amount", "sum")])
    return dict(
        zip(table["key"].to_pylist(), pc.fill_null(table["amount_sum"], 0.0).to_pylist(), strict=True)
    )
