"""Put a problem together from what was read.

A modelled observation is ``H x + shares x correction + offset + background``: fluxes of each component in the
species' customary flux unit (umol m-2 s-1 for ppm), corrections of the air that came in through each side,
and offsets of instruments, all solved together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from inversion.covariance import BlockDiagonalCovariance, Covariance, DiagonalCovariance, KroneckerCovariance
from inversion.inputs import PriorFlux
from inversion.jacobian import SIDES, Jacobian
from inversion.kernels import time_correlation
from inversion.model_error import ErrorParts, error_parts
from inversion.options import BoundaryOptions, InvertOptions, OffsetOptions, SectorOptions
from inversion.prior import TimeBins, flux_operator, sector_error, state_bins
from inversion.problem import Problem
from inversion.state import State, StateBlock
from obsnet.constants import Species, species
from obsnet.errors import ConfigError, nearest
from obsnet.grid import Grid

__all__ = ["Assembled", "assemble", "background"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Assembled:
    """A problem made of files, and what is needed to read its answer.

    Parameters
    ----------
    problem : Problem
        Fluxes in the unit below, mole fractions in the species' unit.
    species : Species
        What is inverted.
    flux_scale : float
        State's flux unit in mol m-2 s-1 times this: 1e6 for umol.
    grid : Grid
        Flux cells.
    bins : dict of str to TimeBins
        Time bins of each sector.
    sectors : tuple of str
        All sectors of the prior, solved and prescribed, in the file's order.
    prior_mean : dict of str to ndarray (bins, cells)
        Mean prior flux of each sector in each bin, mol m-2 s-1.
    observations : pyarrow.Table
        The rows that are used, in the problem's order.
    prior : PriorFlux
        With its notes.
    counts : dict of str to int
        What was used and what was left out, and why.
    errors : ErrorParts
        Of which the observation error is made.
    """

    problem: Problem
    species: Species
    flux_scale: float
    grid: Grid
    bins: dict[str, TimeBins]
    sectors: tuple[str, ...]
    prior_mean: dict[str, Floats]
    observations: pa.Table
    prior: PriorFlux
    counts: dict[str, int]
    errors: ErrorParts

    def select(self, rows: npt.NDArray[np.bool_]) -> Assembled:
        """Return the problem of some of the observations."""
        return replace(
            self,
            problem=self.problem.select(rows),
            observations=self.observations.filter(pa.array(rows)),
            errors=self.errors.select(rows),
        )

    @property
    def solved(self) -> tuple[str, ...]:
        """Sectors that have a block in the state."""
        assert self.problem.state is not None
        return tuple(s for s in self.sectors if s in self.problem.state.names)


def assemble(
    options: InvertOptions,
    jacobian: Jacobian,
    table: pa.Table,
    prior: PriorFlux,
    *,
    fraction: Any,
    counts: Mapping[str, int] | None = None,
) -> Assembled:
    """Put the problem together.

    Parameters
    ----------
    options : InvertOptions
        Errors, time steps, sides.
    jacobian : Jacobian
        Rows in the order of `table`.
    table : pyarrow.Table
        Observations to use.
    prior : PriorFlux
        On the Jacobian's cells and bins.
    fraction : scipy.sparse array, shape (regions, cells)
        Part of each cell in each region, for errors common to a region.
    counts : mapping, optional
        From `match_observations`.

    Raises
    ------
    ConfigError
        Sectors of the prior without a table or tables without a sector, no background, no model error.
    """
    gas = species(options.species)
    scale = 1.0 / float(gas.unit)
    _same_names(options.sector, prior.flux)
    steps = {s: state_bins(jacobian.time_edges, options.sector[s].step or options.step) for s in prior.flux}
    h = sp.csr_array(jacobian.matrix)
    simulated = np.zeros(h.shape[0])
    blocks: list[StateBlock] = []
    matrices, means, errors, prior_mean = [], [], [], {}
    total = np.zeros((jacobian.n_time, jacobian.grid.size))
    for sector, flux in prior.flux.items():
        choice, bins = options.sector[sector], steps[sector]
        mean = bins.mean @ flux
        prior_mean[sector] = mean
        total += flux
        simulated += h @ (scale * flux.ravel())
        if choice.prescribed:
            continue
        matrix = _sector_matrix(h, choice, flux, bins)
        # x is the mean flux itself; what the prior's course adds within a bin is part of the background.
        simulated -= matrix @ (scale * mean.ravel())
        blocks.append(_flux_block(sector, bins, jacobian.grid, scale))
        matrices.append(matrix)
        means.append(scale * mean.ravel())
        try:
            error = sector_error(
                choice, scale * mean, bins=bins, grid=jacobian.grid, fraction=fraction, scale=scale
            )
        except ConfigError as fault:
            raise ConfigError(f"[invert.sector.{sector}] {fault}") from fault
        errors.append(error)
    for extra in (
        _boundary_block(options.boundary, jacobian, gas),
        _offset_block(options.offset, table, gas),
        _systematic_block(options.offset, table, gas),
    ):
        if extra is not None:
            block, matrix, error = extra
            blocks.append(block)
            matrices.append(matrix)
            means.append(np.zeros(block.size))
            errors.append(error)
    if not blocks:
        raise ConfigError(
            "nothing to solve: every sector is prescribed and no boundary or offset has an error"
        )
    labels = {n: table[n].to_numpy(zero_copy_only=False).astype(str) for n in ("source", "platform", "kind")}
    parts = error_parts(options, jacobian, table, scale * total)
    problem = Problem(
        jacobian=sp.csr_array(sp.hstack(matrices, format="csr")),
        observations=table["value"].to_numpy(),
        observation_error=parts.covariance(),
        prior=np.concatenate(means),
        prior_error=BlockDiagonalCovariance(errors),
        background=background(options.boundary, jacobian) + simulated,
        state=State(blocks),
        groups=labels | {"month": table["time"].to_numpy().astype("datetime64[M]").astype(str)},
        obs_id=table["obs_id"].to_numpy(zero_copy_only=False).astype(str),
    )
    return Assembled(
        problem,
        gas,
        scale,
        jacobian.grid,
        steps,
        tuple(prior.flux),
        prior_mean,
        table,
        prior,
        dict(counts or {"used": len(table)}),
        parts,
    )


def _same_names(tables: Mapping[str, SectorOptions], flux: Mapping[str, Floats]) -> None:
    for sector in flux:
        if sector not in tables:
            raise ConfigError(
                f"sector {sector!r} of the prior has no table [invert.sector.{sector}]: "
                "give its error, or prescribed = true"
            )
    for sector in tables:
        if sector not in flux:
            raise ConfigError(
                f"[invert.sector.{sector}]: the prior has no such sector{nearest(sector, flux)}"
            )


def _sector_matrix(h: sp.csr_array, choice: SectorOptions, flux: Floats, bins: TimeBins) -> sp.csr_array:
    profile = choice.profile or ("prior" if choice.sigma is None else "flat")
    return sp.csr_array(h @ flux_operator(bins, flux, profile))


def _flux_block(name: str, bins: TimeBins, grid: Grid, scale: float) -> StateBlock:
    prefix = {1e6: "umol", 1e9: "nmol", 1e12: "pmol"}[round(scale)]
    coords = {"time": bins.middle, "cell": np.arange(grid.size)}
    return StateBlock(name, "flux", ("time", "cell"), coords, f"{prefix} m-2 s-1")


def background(options: BoundaryOptions, jacobian: Jacobian) -> Floats:
    """Return what each observation would read without fluxes inside the domain and without corrections.

    It is the footprints' own background value where they have one, else ``fixed + sum of shares x inflow``:
    what a column takes from its retrieval's prior, and the air that came in.

    Raises
    ------
    ConfigError
        Observations without their own value and no mole fraction of inflowing air given.
    """
    n = jacobian.obs_id.size
    known = np.full(n, np.nan) if jacobian.background is None else np.asarray(jacobian.background, np.float64)
    bare = ~np.isfinite(known)
    if bare.any() and options.background is None:
        raise ConfigError(
            f"{int(bare.sum())} of {n} footprints bring no background value (first "
            f"{jacobian.obs_id[bare][0]!r}): set invert.boundary.background to the mole fraction of "
            "inflowing air"
        )
    share = np.ones(n) if jacobian.boundary is None else np.asarray(jacobian.boundary.sum(axis=1)).ravel()
    fixed = np.zeros(n) if jacobian.fixed is None else np.nan_to_num(jacobian.fixed)
    return np.where(bare, fixed + share * (options.background or 0.0), known)


Block = tuple[StateBlock, sp.csr_array, Covariance]


def _boundary_block(options: BoundaryOptions, jacobian: Jacobian, gas: Species) -> Block | None:
    """Return corrections of the inflow by side and period."""
    given = options.sigma
    sigma: dict[str, float] = dict(given.items()) if isinstance(given, dict) else dict.fromkeys(SIDES, given)
    sides = [s for s in SIDES if sigma.get(s, 0.0) > 0.0]
    if not sides:
        return None
    if jacobian.boundary is None:
        raise ConfigError(
            "invert.boundary.sigma asks for a correction of the inflow, but the footprints do not "
            "say through which "
            "side the air came"
        )
    bins = state_bins(jacobian.time_edges, options.step)
    n_time = bins.of_flux.size
    side, flux_bin = np.meshgrid(np.arange(len(sides)), np.arange(n_time), indexing="ij")
    rows = (np.array([SIDES.index(s) for s in sides])[side] * n_time + flux_bin).ravel()
    columns = (side * bins.size + bins.of_flux[flux_bin]).ravel()
    group = sp.csr_array(
        (np.ones(rows.size), (rows, columns)), shape=(len(SIDES) * n_time, len(sides) * bins.size)
    )
    block = StateBlock(
        "boundary",
        "boundary",
        ("side", "period"),
        {"side": np.array(sides), "period": bins.middle},
        gas.unit_name,
    )
    spread = np.repeat([sigma[s] for s in sides], bins.size)
    # sides are the slow axis and independent of each other: the "time" of this Kronecker product
    error = KroneckerCovariance(
        spread, np.eye(len(sides)), time_correlation(bins.middle, options.correlation_days)
    )
    return block, sp.csr_array(sp.csr_array(jacobian.boundary) @ group), error


def _offset_block(options: OffsetOptions, table: pa.Table, gas: Species) -> Block | None:
    """Return constant offsets of the named sources."""
    if not options.sigma:
        return None
    source = table["source"].to_numpy(zero_copy_only=False).astype(str)
    present = sorted(set(source))
    for name in options.sigma:
        if name not in present:
            raise ConfigError(f"[invert.offset] no observation is from {name!r}{nearest(name, present)}")
    labels = (
        source if options.by == "source" else table["platform"].to_numpy(zero_copy_only=False).astype(str)
    )
    chosen = np.isin(source, list(options.sigma))
    names, column = np.unique(labels[chosen], return_inverse=True)
    rows = np.flatnonzero(chosen)
    matrix = sp.csr_array((np.ones(rows.size), (rows, column)), shape=(len(table), names.size))
    spread = np.array([options.sigma[source[labels == n][0]] for n in names])
    block = StateBlock("offset", "offset", (options.by,), {options.by: names}, gas.unit_name)
    return block, matrix, DiagonalCovariance(spread**2)


def _systematic_block(options: OffsetOptions, table: pa.Table, gas: Species) -> Block | None:
    """Return the error that all observations of a platform share, as large as each of them says.

    Averaging does not make it smaller, so it is an unknown of its own and not a part of R's diagonal.
    """
    source, platform = (table[n].to_numpy(zero_copy_only=False).astype(str) for n in ("source", "platform"))
    size = np.nan_to_num(table["uncertainty_systematic"].to_numpy(zero_copy_only=False).astype(np.float64))
    rows = np.flatnonzero((size > 0.0) & ~np.isin(source, list(options.sigma)))
    if not options.systematic or not rows.size:
        return None
    names, column = np.unique(platform[rows], return_inverse=True)
    spread = np.sqrt(np.bincount(column, size[rows] ** 2) / np.bincount(column))
    matrix = sp.csr_array((size[rows] / spread[column], (rows, column)), shape=(len(table), names.size))
    block = StateBlock("systematic", "offset", ("platform",), {"platform": names}, gas.unit_name)
    return block, matrix, DiagonalCovariance(spread**2)
