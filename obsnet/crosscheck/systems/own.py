"""A posterior file of `obsnet invert` as one system among the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from obsnet.crosscheck.compared.totals import read_totals
from obsnet.crosscheck.systems.estimate import SystemEstimate
from obsnet.inventory.words import NATION
from obsnet.regions import PROVINCES, REST
from obsnet.typing import Floats

__all__ = ["read_own", "with_nation"]


def with_nation(regions: Sequence[str]) -> tuple[Floats, list[str]]:
    """Return which regions make up each row of a table, and its keys: all but the rest, then ``CHN`` of all provinces.

    Returns
    -------
    matrix : ndarray, shape (keys, regions)
    keys : list of str
    """
    own = [k for k, r in enumerate(regions) if r not in REST]
    matrix, keys = np.eye(len(regions))[own], [regions[k] for k in own]
    if set(PROVINCES) <= set(keys):
        china = np.isin(regions, list(PROVINCES)).astype(float)
        return np.vstack([matrix, china]), [*keys, NATION]
    return matrix, keys


def read_own(
    path: str | Path, system: str, *, sector: str | None = None, quantity: str | None = None
) -> SystemEstimate:
    """Read the totals of one sector, with the covariance of all regions and periods; of all provinces also ``CHN``.

    Parameters
    ----------
    path : path
        ``posterior.nc``.
    system : str
        Name in the comparison.
    sector : str, optional
        May be left out if the file has one.
    quantity : str, optional
        What others call it; by default the sector.

    Raises
    ------
    FormatError, ConfigError
        See `obsnet.crosscheck.compared.totals.read_totals`.
    """
    found = read_totals(path, sector)
    count = len(found.periods)
    matrix, keys = with_nation(found.regions)
    total = found.posterior.reshape(-1, count)
    square = found.posterior_covariance.reshape(len(found.regions), count, len(found.regions), count)
    joint = np.einsum("ar,rksl,bs->kalb", matrix, square, matrix, optimize=True)
    spread = np.sqrt(np.maximum(np.einsum("kaka->ka", joint), 0.0))
    return SystemEstimate(
        system,
        found.gas,
        quantity or found.sector,
        found.periods,
        tuple(keys),
        (matrix @ total).T,
        spread,
        joint=joint,
        rests_on={"prior": found.prior_name} if found.prior_name else {},
        notes=tuple(f"the run's checks: {c}" for c in found.checks),
    )
