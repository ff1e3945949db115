"""A gridded prior as a file of the Flux contract, and proxies from files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.constants import SECONDS_PER_YEAR, species
from obsnet.errors import FormatError, nearest
from obsnet.grid import Grid
from obsnet.inventory.prior.build import Prior
from obsnet.opening import open_xarray
from obsnet.reading import door, refuse_claims
from obsnet.shares import add_shares
from obsnet.typing import Floats, Times

__all__ = ["listed", "prior_dataset", "read_proxy"]

_LARGEST = 50_000_000  # shares in a file: the totals of a prior are worth nothing without them


def prior_dataset(
    prior: Prior,
    *,
    gas: str,
    times: Times,
    factors: Floats,
    title: str,
    source: str,
    license: str,
    correlation: float | None = None,
) -> Any:
    """Return a prior as a dataset of the Flux contract with totals, shares and, where stated, their covariance.

    Parameters
    ----------
    prior : Prior
        From `obsnet.inventory.prior.build.gridded_prior`.
    gas : str
        Formula.
    times : ndarray of datetime64, shape (periods, 2)
        Bounds.
    factors : ndarray, shape (periods, sectors)
        Mean rate of a period over that of the year, see `obsnet.inventory.prior.profiles`.
    title, source, license : str
        For ACDD; the license is that of the inventory and proxies.
    correlation : float, optional
        Between the errors of two provinces of one sector, in [0, 1]; errors of shared factors are 1.

    Returns
    -------
    xarray.Dataset
        Flux contract; besides ``region``, ``region_total(sector, region)`` in mol s-1, where uncertainties are stated
        ``region_total_uncertainty``, ``flux_uncertainty`` and with `correlation` ``region_covariance(sector, region,
        region_2)``; the shares as `obsnet.shares.add_shares` writes them, for `obsnet.shares.shares_of`.
    """
    from obsnet.cf import flux_dataset

    if correlation is not None and not 0.0 <= correlation <= 1.0:
        raise FormatError(f"a correlation of {correlation:g} is not between 0 and 1")
    flux = prior.flux()
    known = np.isfinite(prior.relative_sd) | (prior.totals[:, : prior.relative_sd.shape[1]] == 0)
    stated = bool(known.all())
    spread = None
    if stated:
        sd = np.nan_to_num(prior.relative_sd)
        area = prior.grid.cell_area.ravel()
        # A province is off as a whole: in a cell the errors of its provinces add as their sds.
        cells = [np.append(sd[s], [0.0, 0.0]) @ a / area for s, a in enumerate(prior.amounts)]
        spread = np.stack(cells).reshape(flux.shape)
    n = len(prior.labels)
    data = flux_dataset(
        factors[:, :, None, None] * flux[None],
        prior.grid,
        times,
        substance=gas,
        title=title,
        summary=f"{gas} emissions spread from provincial totals: "
        + "; ".join(f"{s}: {h}" for s, h in prior.how.items()),
        source=source,
        license=license,
        sectors=prior.sectors,
        uncertainty=None if spread is None else factors[:, :, None, None] * spread[None],
        attrs={
            "comment": "\n".join(prior.notes),
        },
    )
    data["region"] = (
        "region",
        np.array(prior.labels, dtype=object),
        {"long_name": "region, GB/T 2260; offshore; outside"},
    )
    unit = {"units": "mol s-1", "substance": gas}
    data["region_total"] = (
        ("sector", "region"),
        prior.totals,
        {**unit, "long_name": "annual mean emission of a region"},
    )
    if stated:
        sd = np.pad(np.nan_to_num(prior.relative_sd), ((0, 0), (0, 2))) * prior.totals
        data["region_total_uncertainty"] = (
            ("sector", "region"),
            sd,
            {**unit, "long_name": "standard deviation of region_total"},
        )
        if correlation is not None:
            covariance = sd[:, :, None] * sd[:, None, :] * (correlation + (1.0 - correlation) * np.eye(n))
            text = f"covariance of region_total within a sector, correlation {correlation:g} between regions"
            data["region_covariance"] = (
                ("sector", "region", "region_2"),
                covariance,
                {"units": "mol2 s-2", "long_name": text},
            )
    add_shares(data, prior.shares(), largest=_LARGEST)
    return data


@door("a proxy")
def read_proxy(path: str | Path, grid: Grid, variable: str | None = None) -> Floats:
    """Read a proxy density from a netCDF on any latitude-longitude grid, moved to `grid` by area.

    Missing values weigh nothing.

    Raises
    ------
    FormatError
        No such variable, more than two dimensions.
    """
    from obsnet.field import grid_of
    from obsnet.regrid import regrid_flux

    with open_xarray(path) as data:
        refuse_claims(path, data.variables)
        names = [str(n) for n, v in data.data_vars.items() if {"lat", "lon"} <= set(v.dims)]
        if variable is None and len(names) != 1:
            raise FormatError(
                f"{path}: {len(names)} variables on lat and lon; say FILE:VARIABLE; there is "
                f"{', '.join(names) or 'none'}"
            )
        name = variable or names[0]
        if name not in names:
            raise FormatError(f"{path}: no variable {name!r} on lat and lon{nearest(name, names)}")
        field = data[name].squeeze(drop=True)
        if field.ndim != 2:
            raise FormatError(f"{path}: {name} has dimensions {field.dims}; one map is wanted")
        values = field.transpose("lat", "lon").values
        return np.asarray(
            regrid_flux(np.nan_to_num(values), grid_of(data), grid, outside="zero"), dtype=np.float64
        )


def listed(prior: Prior, gas: str) -> list[dict[str, Any]]:
    """Return totals by sector and region, Mt a year: wanted, placed, and found by adding up by area."""
    mass = species(gas).molar_mass * SECONDS_PER_YEAR * 1e-9
    area = prior.by_area()
    out = []
    names: Sequence[str] = prior.labels
    for s, sector in enumerate(prior.sectors):
        placed = np.asarray(prior.amounts[s].sum(axis=1)).ravel()
        for j, region in enumerate(names):
            if prior.totals[s, j] or placed[j]:
                by_area = float(area[s, j]) * mass if j < area.shape[1] else math.nan
                out.append({"region": region, "sector": sector, "total": float(prior.totals[s, j]) * mass,
                            "placed": float(placed[j]) * mass, "by_area": by_area})  # fmt: skip
    return out
