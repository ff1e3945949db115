"""Put a problem together from what was read.

A modelled observation is ``H x + shares x correction + offset + background``: fluxes of each component in the
species' customary flux unit (umol m-2 s-1 for ppm), corrections of the air that came in through each side,
and offsets of instruments, all solved together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from inversion.case.evaluation import orbits
from inversion.case.inputs import PriorFlux
from inversion.case.model_error import ErrorParts, error_parts
from inversion.case.nuisance import background, nuisance_blocks
from inversion.case.options import InvertOptions, SectorOptions
from inversion.case.prior import flux_operator, sector_error
from inversion.jacobian.store import Jacobian
from inversion.operators.covariance import BlockDiagonalCovariance
from inversion.problem.problem import Problem
from inversion.problem.state import State, StateBlock
from inversion.problem.time_bins import TimeBins, state_bins
from obsnet.constants import Species, species
from obsnet.errors import ConfigError, nearest
from obsnet.grid import Grid
from obsnet.shares import Shares

__all__ = ["Assembled", "assemble"]

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
    shares: Shares,
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
    shares : Shares
        How cells are split among regions, for errors common to a region.
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
                choice,
                scale * mean,
                bins=bins,
                grid=jacobian.grid,
                fraction=shares.regional(sector),
                scale=scale,
            )
        except ConfigError as fault:
            raise ConfigError(f"[invert.sector.{sector}] {fault}") from fault
        errors.append(error)
    for block, matrix, error in nuisance_blocks(options, jacobian, table, gas):
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
        groups=labels
        | {"month": table["time"].to_numpy().astype("datetime64[M]").astype(str), "orbit": _passes(table)},
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


def _passes(table: pa.Table) -> npt.NDArray[np.str_]:
    """Return what each observation was made in: the pass of a satellite, by its first time, or the station."""
    platform, kind = (table[n].to_numpy(zero_copy_only=False).astype(str) for n in ("platform", "kind"))
    time = table["time"].to_numpy().astype("datetime64[m]")
    number = orbits(platform, time)
    first = np.full(number.max(initial=-1) + 1, np.datetime64("9999-01-01", "m"))
    np.minimum.at(first, number, time)
    passes = np.char.add(np.char.add(platform, " "), first[number].astype(str))
    return np.where(kind == "column", passes, platform)


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
