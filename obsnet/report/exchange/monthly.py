"""Monthly fluxes of one degree in CF netCDF: the grid and step in which inversions are exchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from obsnet.cf import flux_dataset, write_netcdf
from obsnet.field import grid_of
from obsnet.grid import Grid
from obsnet.regrid import regrid_flux
from obsnet.report.exchange.means import BOUND, mean_fluxes, months_of

__all__ = ["one_degree", "write_monthly"]


def one_degree(grid: Grid) -> Grid:
    """Return the cells of whole degrees that cover a grid."""
    south, north, west, east = grid.bounds
    return Grid.regular(
        float(np.floor(south)), float(np.ceil(north)), float(np.floor(west)), float(np.ceil(east)), 1.0, 1.0
    )


def write_monthly(data: Any, path: Path) -> Path:
    """Write monthly mean fluxes on one degree with standard deviations, in the Flux contract.

    Parameters
    ----------
    data : xarray.Dataset
        Posterior file. A month that it has in part has the bounds of that part.
    path : Path
        netCDF; whole or not at all.

    Notes
    -----
    Totals are kept: a cell at the edge that the posterior's grid covers in part has the mean over the whole cell, with
    nothing outside. Of the standard deviations see `obsnet.report.exchange.means.BOUND`.
    """
    months = months_of(data["time_bnds"].values.astype("datetime64[us]"))
    found = mean_fluxes(data, months, str(path))
    source = grid_of(data)
    target = one_degree(source)
    flux, spread = (
        np.asarray(regrid_flux(found[n], source, target, outside="zero")) if n in found else None
        for n in ("flux", "flux_uncertainty")
    )
    whole = [m[0] == m[0].astype("datetime64[M]") and m[1] == m[1].astype("datetime64[M]") for m in months]
    part = [str(m[0])[:7] for m, w in zip(months, whole, strict=True) if not w]
    made = flux_dataset(
        flux,
        target,
        months,
        substance=str(data["flux"].attrs["substance"]),
        sectors=[str(s) for s in data["sector"].values],
        uncertainty=spread,
        title=f"{data.attrs.get('title', 'Fluxes')}, monthly means on one degree",
        summary=f"{data.attrs.get('summary', 'Not described')}. Means over months and cells of one degree; totals are "
        "kept: a cell at the edge that was covered in part holds the flux of that part, spread over all of it.",
        source=str(data.attrs.get("source", "not stated")),
        license=str(data.attrs.get("license", "not stated")),
        attrs={"months_in_part": ", ".join(part)} if part else {},
    )
    if spread is not None:
        made["flux_uncertainty"].attrs["comment"] = BOUND
    return write_netcdf(made, path, history="monthly means on one degree")
