"""Totals of a ready-made Jacobian: which cells each of its columns stands for, and so whose flux its factors scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from inversion.case.inputs.reading import PriorFlux, locate, read_prior
from inversion.case.inputs.shares import read_shares
from inversion.case.options import InvertOptions
from inversion.jacobian.foreign import ForeignJacobian
from inversion.jacobian.store import Jacobian
from inversion.problem.posterior import Posterior
from inversion.problem.problem import Problem
from inversion.problem.state import State, StateBlock
from inversion.problem.totals import TotalWeights, total_patterns
from obsnet.constants import Species, species
from obsnet.errors import ConfigError, FormatError
from obsnet.grid import Grid
from obsnet.reading import door
from obsnet.shares import Shares
from obsnet.typing import Floats, Ints, Times

__all__ = ["Elements", "element_prior", "flux_fields", "place_elements", "read_elements", "with_boundary"]


# what maps are called in files of other systems that have several: IMI's StateVector.nc, RHIME's own output
_NAMES = ("StateVector", "basisfunctions")


@door("a map of elements")
def read_elements(path: Path, columns: int) -> tuple[Grid, Ints]:
    """Read which flux column each cell belongs to.

    Parameters
    ----------
    path : Path
        netCDF with ``StateVector`` (of the Integrated Methane Inversion) or ``basisfunctions`` (of openghg_inversions)
        on lat and lon, or one other variable there: 1, 2, …; 0, negative or missing where a cell belongs to none.
        Labels from 0 are columns from 0 where they are as many as the columns only if 0 is one of them.
    columns : int
        Of the Jacobian.

    Returns
    -------
    Grid
    ndarray of int, shape (cells,)
        -1 for none, else the column from 0.

    Raises
    ------
    FormatError
        No or several such variables, labels with gaps.
    """
    from obsnet.cf import read_netcdf

    data = read_netcdf(path)
    maps = [str(n) for n in data.data_vars if set(data[n].squeeze(drop=True).dims) == {"lat", "lon"}]
    name = next((n for n in _NAMES if n in maps), maps[0] if len(maps) == 1 else None)
    if name is None:
        raise FormatError(
            f"{path}: needs one variable on lat and lon with labels, found {', '.join(maps) or 'none'}"
        )
    labels = np.asarray(
        data[name].squeeze(drop=True).transpose("lat", "lon").values, dtype=np.float64
    ).ravel()
    labels = np.where(np.isfinite(labels) & (labels >= 0.0), labels, -1.0)
    known = np.unique(labels[labels >= 0.0])
    from_zero = known.size == columns and known[0] == 0.0
    if not from_zero:
        labels, known = labels - 1.0, known[known > 0.0] - 1.0
    if known.size == 0 or not np.array_equal(known, np.arange(known.size)):
        raise FormatError(
            f"{path}: labels of {name} must be 1 to their number, without gaps; found {known[:6] + 1} …"
        )
    return Grid.from_centres(data["lat"].values, data["lon"].values), np.maximum(labels, -1.0).astype(
        np.int64
    )


def with_boundary(data: ForeignJacobian, count: int, path: str) -> ForeignJacobian:
    """Return the Jacobian with the columns that the map does not have as boundary columns, or refuse.

    Raises
    ------
    ConfigError
        The map has other elements than the Jacobian has columns.
    """
    columns = data.matrix.shape[1]
    if columns == count:
        return data
    if not data.whitened or columns < count:
        raise ConfigError(f"{path}: labels {count} elements, the Jacobian has {columns} flux columns")
    note = (
        f"{columns - count} columns after the {count} elements of the map are boundary or OH, in their own unit; "
        "boundary_relative is their standard deviation"
    )
    return replace(
        data, matrix=data.matrix[:, :count], boundary=data.matrix[:, count:], notes=(*data.notes, note)
    )


@dataclass(frozen=True, eq=False)
class Elements:
    """A ready-made Jacobian put on a map; what the posterior file says of it.

    See `inversion.case.outputs.posterior_file.Described`.

    Parameters
    ----------
    species : Species
    grid : Grid
    sectors : tuple of str
        The one that is scaled.
    prior : PriorFlux
    counts : dict of str to int
    prescribed : dict of str to ndarray
        Empty.
    column : ndarray of int, shape (cells,)
        Flux column of each cell, -1 for none.
    shares : Shares
    weights : TotalWeights
    region_names : dict of str to str
    regions_source : str
    edges : ndarray of datetime64, shape (2,)
    error_notes : tuple of str
    """

    species: Species
    grid: Grid
    sectors: tuple[str, ...]
    prior: PriorFlux
    counts: dict[str, int]
    prescribed: dict[str, Floats]
    column: Ints
    shares: Shares
    weights: TotalWeights
    region_names: dict[str, str]
    regions_source: str
    edges: Times
    error_notes: tuple[str, ...] = (
        "errors of rows are independent: a ready-made Jacobian says nothing else",
    )

    def named(self, problem: Problem) -> Problem:
        """Return the problem with its factors known as those of the sector's flux."""
        assert problem.state is not None
        first, *rest = problem.state.blocks
        block = StateBlock(self.sectors[0], "flux", first.dims, first.coords, first.unit)
        return problem.with_(state=State([block, *rest]))


def element_prior(options: InvertOptions, grid: Grid, column: Ints, folder: Path, out: Path) -> PriorFlux:
    """Return the flux that the factors of a ready-made Jacobian scale.

    Parameters
    ----------
    options : InvertOptions
        ``prior``, ``start``, ``stop``.
    grid, column
        From `read_elements`.
    folder, out : Path
        See `inversion.case.inputs.reading.locate`.

    Raises
    ------
    ConfigError
        A prior of several sectors, or with uptake in the cells that are scaled.
    """
    edges = np.array([options.start, options.stop], dtype="datetime64[us]")
    if not edges[0] < edges[1]:
        raise ConfigError(f"[invert] start {options.start} is not before stop {options.stop}")
    prior = read_prior(
        locate(str(options.prior), folder, out),
        grid,
        edges,
        species(options.species),
        options.prior_name,
        options.prior_file,
    )
    if len(prior.flux) != 1:
        raise ConfigError(
            f"{options.prior}: the factors of a ready-made Jacobian are of one flux, this prior has "
            f"{', '.join(prior.flux)}; give the sum that its simulations were made with as one sector"
        )
    ((sector, flux),) = prior.flux.items()
    below = int((flux[0][column >= 0] < 0.0).sum())
    if below:
        raise ConfigError(
            f"{options.prior}: {sector} is negative in {below} cells that are scaled; factors need one sign"
        )
    return prior


def place_elements(
    options: InvertOptions, grid: Grid, column: Ints, problem: Problem, folder: Path, out: Path
) -> Elements:
    """Put the factors of a ready-made Jacobian on the map.

    Parameters
    ----------
    options : InvertOptions
        ``prior``, ``start``, ``stop``, ``regions``, ``shares``.
    grid, column
        From `read_elements`.
    problem : Problem
        From `inversion.case.inputs.foreign.foreign_problem`.
    folder, out : Path
        See `inversion.case.inputs.reading.locate`.

    Raises
    ------
    ConfigError
        See `element_prior`.
    """
    prior = element_prior(options, grid, column, folder, out)
    ((sector, flux),) = prior.flux.items()
    cells, scaled = flux[0], column >= 0
    edges = np.array([options.start, options.stop], dtype="datetime64[us]")
    empty = Jacobian(sp.csr_array((0, grid.size), dtype=np.float32), np.zeros(0, "U1"), grid, edges)
    shares, names, source = read_shares(options, empty, prior, folder, out)
    area = shares.area(sector)
    count = problem.n_state
    member = sp.csr_array((cells[scaled], (np.flatnonzero(scaled), column[scaled])), shape=(grid.size, count))
    g = sp.csr_array(area @ member)
    shapes, unmixing = total_patterns(g, np.ones((1, count)))
    weights = TotalWeights(
        (sector,), shares.labels, edges, g, shapes, unmixing, np.asarray(area @ np.where(scaled, 0.0, cells))
    )
    counts = {"used": problem.n_obs}
    return Elements(
        species(options.species),
        grid,
        (sector,),
        prior,
        counts,
        {},
        column,
        shares,
        weights,
        names,
        source,
        edges,
    )


def flux_fields(placed: Elements, posterior: Posterior) -> tuple[Times, dict[str, Floats]]:
    """Return time edges and flux fields (time, sector, lat, lon): the prior times the factor of each cell's element."""
    flux = placed.prior.flux[placed.sectors[0]][0]
    scaled = placed.column >= 0
    at = np.where(scaled, placed.column, 0)
    prior_sd, sd = np.sqrt(posterior.prior_variance()), np.sqrt(np.maximum(posterior.variance(), 0.0))
    values: dict[str, Any] = {
        "flux": np.where(scaled, posterior.mean[at], 1.0),
        "flux_uncertainty": np.where(scaled, sd[at], 0.0),
        "flux_prior": np.ones(scaled.shape),
        "flux_prior_uncertainty": np.where(scaled, prior_sd[at], 0.0),
    }
    cube = (1, 1, *placed.grid.shape)
    fields = {
        n: (v * (np.abs(flux) if "uncertainty" in n else flux)).reshape(cube) for n, v in values.items()
    }
    return placed.edges, fields
