"""Observations that nobody has made yet, as an observation store: the way to real footprints for a design.

`obsnet footprints` releases particles from the store as from any other, and a case's ``[invert]`` reads both; its
observed values are never looked at by `obsnet osse` and `obsnet design`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from inversion.study.worlds.sampling import Sampling
from obsnet.constants import species as species_of
from obsnet.errors import ConfigError
from obsnet.schema import observation_table
from obsnet.store import ObservationStore

__all__ = ["observed_table", "virtual_tables", "write_virtual"]

# Values that stand in for those never made: near today's global means, inside every range check.
_STAND_IN = {"CO2": 420.0, "CH4": 1920.0}
_EDGES = np.linspace(1000.0, 0.0, 11)  # hPa; scaled to the model's ground where particles are released


def observed_table(made: Sampling) -> pa.Table:
    """Return what the errors of observations depend on, as a table of observations has it; sources are networks."""
    return pa.table(
        {
            "source": made.network,
            "platform": made.platform,
            "kind": np.where(made.column, "column", "point"),
            "time": made.time,
            "latitude": made.latitude,
            "longitude": made.longitude,
            "uncertainty": made.random,
            "uncertainty_systematic": made.systematic,
        }
    )


def virtual_tables(made: Sampling, species: str, intake_m: float) -> list[pa.Table]:
    """Return observation tables of a sampling, one a network.

    Parameters
    ----------
    made : Sampling
        Who observes where and when.
    species : str
        Formula.
    intake_m : float
        Height of stations' intakes above ground.

    Returns
    -------
    list of pyarrow.Table
        Source ``virtual_<network>``; columns see all layers alike (kernel 1). Values are stand-ins.
    """
    gas = species_of(species)
    tables = []
    for network in np.unique(made.network):
        rows = np.flatnonzero(made.network == network)
        column = bool(made.column[rows[0]])
        source = f"virtual_{network}"
        when = made.time[rows]
        # Several super-observations of an overpass may have one time.
        ids = np.char.add(np.char.add(f"{source}:", made.platform[rows]), np.char.add(":", when.astype(str)))
        _, first, count = np.unique(ids, return_inverse=True, return_counts=True)
        number = np.zeros(rows.size, dtype=np.int64)
        order = np.argsort(first, kind="stable")
        starts = np.cumsum(count) - count
        number[order] = np.arange(rows.size) - np.repeat(starts, count)
        columns = {
            "obs_id": np.char.add(np.char.add(ids, ":"), number.astype(str)),
            "platform": made.platform[rows],
            "time": when,
            "latitude": made.latitude[rows],
            "longitude": made.longitude[rows],
            "value": np.full(rows.size, _STAND_IN[gas.name]),
            "uncertainty": made.random[rows],
            "uncertainty_systematic": made.systematic[rows],
            "n": made.soundings[rows].astype(np.int32),
        }
        if column:
            layers = _EDGES.size - 1
            columns |= {
                "pressure_edges": np.tile(_EDGES, (rows.size, 1)),
                "pressure_weight": np.full((rows.size, layers), 1.0 / layers),
                "averaging_kernel": np.ones((rows.size, layers)),
                "prior_profile": np.full((rows.size, layers), _STAND_IN[gas.name]),
                "vertical": np.full(rows.size, "layer"),
            }
        else:
            columns |= {"intake_height_m": np.full(rows.size, intake_m)}
        digest = hashlib.sha256("".join(columns["obs_id"]).encode()).hexdigest()
        tables.append(
            observation_table(
                columns,
                species=gas.name,
                kind="column" if column else "point",
                source=source,
                file_id=digest[:16],
            )
        )
    return tables


def write_virtual(made: Sampling, species: str, folder: Path, intake_m: float = 50.0) -> dict[str, int]:
    """Write a sampling into an observation store.

    Parameters
    ----------
    made : Sampling
        Observations to write.
    species : str
        Formula.
    folder : Path
        The store; it must not exist, so that stand-ins never mix with real values.
    intake_m : float
        Height of stations' intakes above ground.

    Returns
    -------
    dict of str to int
        Observations by source.

    Raises
    ------
    ConfigError
        The folder exists.
    """
    if folder.exists():
        raise ConfigError(f"{folder} exists; virtual observations go into a new store, apart from real ones")
    store = ObservationStore(folder)
    counts = {}
    for table in virtual_tables(made, species, intake_m):
        store.write(table)
        counts[str(table["source"][0].as_py())] = len(table)
    return counts
