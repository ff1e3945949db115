"""Put a problem together from what was read.

A modelled observation is ``H x + shares x correction + offset + background``: fluxes of each component in the
species' customary flux unit (umol m-2 s-1 for ppm), corrections of the air that came in through each side,
and offsets of instruments, all solved together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from inversion.case.blocks.fluxes import make_fluxes
from inversion.case.blocks.model_error import ErrorParts, error_parts, sampling_variance
from inversion.case.blocks.nuisance import background, nuisance_blocks
from inversion.case.blocks.shared_errors import shared_blocks, shared_notes
from inversion.case.inputs.evaluation import passes
from inversion.case.inputs.reading import PriorFlux
from inversion.case.options import InvertOptions
from inversion.jacobian.store import Jacobian
from inversion.operators.covariance import BlockDiagonalCovariance
from inversion.problem.problem import Problem
from inversion.problem.state import State
from inversion.problem.time_bins import TimeBins
from obsnet.constants import Species, species
from obsnet.errors import ConfigError
from obsnet.grid import Grid
from obsnet.shares import Shares
from obsnet.typing import Bools, Floats, Texts

__all__ = ["Assembled", "assemble"]


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
    prescribed : dict of str to ndarray (observations,)
        What each prescribed sector's prior contributes to the modelled observations.
    total_flux : ndarray, shape (flux bins, cells)
        Prior flux of all sectors in the Jacobian's unit.
    stderr : csr_array or None
        Of the footprints' entries, (observations, flux bins x cells), where their sampling error counts.
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
    prescribed: dict[str, Floats]
    total_flux: Floats
    stderr: sp.csr_array | None

    def select(self, rows: Bools) -> Assembled:
        """Return the problem of some of the observations."""
        return replace(
            self,
            problem=self.problem.select(rows),
            observations=self.observations.filter(pa.array(rows)),
            errors=self.errors.select(rows),
            prescribed={k: v[rows] for k, v in self.prescribed.items()},
            stderr=None if self.stderr is None else self.stderr[rows],
        )

    @property
    def error_notes(self) -> tuple[str, ...]:
        """What errors of the observations have in common."""
        return self.errors.notes

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
    fluxes = make_fluxes(options.sector, options.step, prior.flux, jacobian, scale=scale, shares=shares)
    sampling = sampling_variance(jacobian, fluxes.total) if options.error.monte_carlo else 0.0
    errors = error_parts(options.error, table, sampling)
    shared = shared_blocks(options.offset, errors, table, gas)
    errors = replace(errors, notes=(*errors.notes, *shared_notes(options.offset, shared)))
    blocks = [
        *fluxes.blocks,
        *nuisance_blocks(options.boundary, options.offset, jacobian, table, gas),
        *shared,
    ]
    if not blocks:
        raise ConfigError(
            "nothing to solve: every sector is prescribed and no boundary or offset has an error"
        )
    problem = Problem(
        jacobian=sp.csr_array(sp.hstack([b.matrix for b in blocks], format="csr")),
        observations=table["value"].to_numpy(),
        observation_error=errors.covariance(),
        prior=np.concatenate([b.mean for b in blocks]),
        prior_error=BlockDiagonalCovariance([b.error for b in blocks]),
        background=background(options.boundary, jacobian) + fluxes.simulated,
        state=State([b.block for b in blocks]),
        groups=_groups(table),
        obs_id=table["obs_id"].to_numpy(zero_copy_only=False).astype(str),
    )
    return Assembled(
        problem=problem,
        species=gas,
        flux_scale=scale,
        grid=jacobian.grid,
        bins=fluxes.bins,
        sectors=tuple(prior.flux),
        prior_mean=fluxes.mean,
        observations=table,
        prior=prior,
        counts=dict(counts or {"used": len(table)}),
        errors=errors,
        prescribed=fluxes.prescribed,
        total_flux=fluxes.total,
        stderr=jacobian.stderr if options.error.monte_carlo else None,
    )


def _groups(table: pa.Table) -> dict[str, Texts]:
    """Return what observations may be judged by together."""
    labels = {n: table[n].to_numpy(zero_copy_only=False).astype(str) for n in ("source", "platform", "kind")}
    month, day = (table["time"].to_numpy().astype(f"datetime64[{u}]").astype(str) for u in "MD")
    return labels | {"month": month, "day": day, "orbit": passes(table)}
