"""Unknown and prescribed fluxes of a case: a block of the state for each sector that is solved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from inversion.case.blocks.block import Block
from inversion.case.blocks.prior import flux_operator, sector_error
from inversion.case.options import SectorOptions
from inversion.jacobian.store import Jacobian
from inversion.problem.state import StateBlock
from inversion.problem.time_bins import TimeBins, state_bins
from obsnet.errors import ConfigError, nearest
from obsnet.grid import Grid
from obsnet.shares import Shares
from obsnet.typing import Floats

__all__ = ["Fluxes", "make_fluxes"]


@dataclass(frozen=True, eq=False)
class Fluxes:
    """What the sectors of a prior give to the problem.

    Attributes
    ----------
    blocks : list of Block
        Of the solved sectors; x is the mean flux of each time bin.
    bins : dict of str to TimeBins
        Of every sector.
    mean : dict of str to ndarray, shape (bins, cells)
        Prior mean of every sector, mol m-2 s-1.
    simulated : ndarray, shape (n_obs,)
        What prescribed sectors and the prior's course within time bins add to each observation.
    total : ndarray, shape (flux bins, cells)
        Sum of all sectors in the state's unit.
    prescribed : dict of str to ndarray, shape (n_obs,)
        What each prescribed sector adds to each observation.
    """

    blocks: list[Block]
    bins: dict[str, TimeBins]
    mean: dict[str, Floats]
    simulated: Floats
    total: Floats
    prescribed: dict[str, Floats]


def make_fluxes(
    sectors: Mapping[str, SectorOptions],
    step: str,
    flux: Mapping[str, Floats],
    jacobian: Jacobian,
    *,
    scale: float,
    shares: Shares,
) -> Fluxes:
    """Make the blocks of the solved sectors and simulate the others.

    Parameters
    ----------
    sectors : mapping of str to SectorOptions
        The tables ``[invert.sector.*]``.
    step : str
        Time bins of sectors that name none of their own.
    flux : mapping of str to ndarray, shape (flux bins, cells)
        Prior, mol m-2 s-1.
    jacobian : Jacobian
        On the same bins and cells.
    scale : float
        State's flux unit in mol m-2 s-1 times this.
    shares : Shares
        How cells are split among regions, for errors common to a region.

    Raises
    ------
    ConfigError
        Sectors of the prior without a table, or tables without a sector.
    """
    _same_names(sectors, flux)
    h = sp.csr_array(jacobian.matrix)
    made = Fluxes([], {}, {}, np.zeros(h.shape[0]), np.zeros((jacobian.n_time, jacobian.grid.size)), {})
    for name, values in flux.items():
        choice, bins = sectors[name], state_bins(jacobian.time_edges, sectors[name].step or step)
        mean = bins.mean @ values
        made.bins[name], made.mean[name] = bins, mean
        made.total[...] += scale * values
        contribution = h @ (scale * values.ravel())
        made.simulated[...] += contribution
        if choice.prescribed:
            made.prescribed[name] = contribution
            continue
        matrix = sp.csr_array(h @ flux_operator(bins, values, _profile(choice)))
        # x is the mean flux itself; what the prior's course adds within a bin is part of the background.
        made.simulated[...] -= matrix @ (scale * mean.ravel())
        try:
            error = sector_error(
                choice,
                scale * mean,
                bins=bins,
                grid=jacobian.grid,
                fraction=shares.regional(name),
                scale=scale,
            )
        except ConfigError as fault:
            raise ConfigError(f"[invert.sector.{name}] {fault}") from fault
        made.blocks.append(
            Block(_label(name, bins, jacobian.grid, scale), matrix, scale * mean.ravel(), error)
        )
    return made


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


def _profile(choice: SectorOptions) -> str:
    return choice.profile or ("prior" if choice.sigma is None else "flat")


def _label(name: str, bins: TimeBins, grid: Grid, scale: float) -> StateBlock:
    prefix = {1e6: "umol", 1e9: "nmol", 1e12: "pmol"}[round(scale)]
    coords = {"time": bins.middle, "cell": np.arange(grid.size)}
    return StateBlock(name, "flux", ("time", "cell"), coords, f"{prefix} m-2 s-1")
