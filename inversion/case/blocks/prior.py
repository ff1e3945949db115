"""Prior fluxes and their error: time bins of the state, sectors, errors common to a region."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from inversion.case.options import SectorOptions
from inversion.operators.covariance import Covariance, DiagonalCovariance, LowRankCovariance, SumCovariance
from inversion.operators.kernels import grid_correlation, time_correlation
from inversion.operators.kronecker import KroneckerCovariance
from inversion.problem.time_bins import TimeBins
from obsnet.errors import ConfigError, SolverError
from obsnet.grid import Grid
from obsnet.typing import Floats

__all__ = ["flux_operator", "sector_error"]


def flux_operator(bins: TimeBins, prior: Floats, profile: str) -> sp.csr_array:
    """Return the operator from the state of one sector to its fluxes in the footprints' bins.

    Parameters
    ----------
    bins : TimeBins
        State bins.
    prior : ndarray, shape (flux bins, cells)
        Prior flux.
    profile : {"prior", "flat"}
        ``prior``: a change follows the prior's course within the bin; ``flat``: it is constant.

    Returns
    -------
    scipy.sparse.csr_array, shape (flux bins * cells, state bins * cells)
        The mean over a state bin of the flux of a unit state is 1.
    """
    flux_bins, cells = prior.shape
    shape = np.ones_like(prior)
    if profile == "prior":
        mean = (bins.mean @ prior)[bins.of_flux]
        # Where the mean nearly cancels there is no shape to follow.
        usable = np.abs(mean) > 1e-6 * np.abs(prior).max(axis=0, initial=0.0)[None, :]
        shape = np.where(usable, prior / np.where(usable, mean, 1.0), 1.0)
        steep = np.abs(shape).max(initial=0.0)
        if steep > 1e3:
            raise SolverError(
                f"the prior changes sign within a time bin (its course reaches {steep:.3g} times its mean): "
                "take profile = 'flat' for this sector"
            )
    row = np.arange(flux_bins * cells)
    column = bins.of_flux[row // cells] * cells + row % cells
    return sp.csr_array((shape.ravel(), (row, column)), shape=(row.size, bins.size * cells))


def sector_error(
    options: SectorOptions, mean: Floats, *, bins: TimeBins, grid: Grid, fraction: Any, scale: float
) -> Covariance:
    """Build the prior error of one sector.

    Parameters
    ----------
    options : SectorOptions
        What the user says.
    mean : ndarray, shape (state bins, cells)
        Prior flux in the state's unit.
    bins : TimeBins
        State bins.
    grid : Grid
        Cells.
    fraction : scipy.sparse array, shape (regions, cells)
        Part of each cell's flux of this sector in each region, for the error common to a region.
    scale : float
        State's unit over mol m-2 s-1.

    Returns
    -------
    Covariance
        Of size state bins * cells.

    Raises
    ------
    ConfigError
        A relative error of a prior that is zero everywhere.
    """
    time = time_correlation(bins.middle, options.correlation_days)
    parts: list[Covariance] = []
    if options.sigma is not None or options.relative is not None:
        sigma = (
            np.full(mean.shape, scale * options.sigma)
            if options.sigma is not None
            else float(options.relative or 0.0) * np.abs(mean)
        )
        if not sigma.any():
            raise ConfigError(
                "a relative error of a prior that is zero everywhere: give sigma, or prescribe it"
            )
        if options.correlation_km or options.correlation_days:
            space = grid_correlation(grid.lat, grid.lon, options.correlation_km, options.kernel)
            parts.append(KroneckerCovariance(sigma, time, space))
        else:
            parts.append(DiagonalCovariance(sigma.ravel() ** 2))
    if options.regional_relative:
        parts.append(_regional(options.regional_relative, mean, time, sp.csr_array(fraction)))
    return parts[0] if len(parts) == 1 else SumCovariance(*parts)


def _regional(relative: float, mean: Floats, time: Floats, fraction: sp.csr_array) -> LowRankCovariance:
    """Return the error by which a whole region is off in the pattern of its prior."""
    regions = fraction.shape[0]
    blocks = [fraction.multiply(relative * np.abs(mean[b])[None, :]).T for b in range(len(mean))]
    patterns = sp.csr_array(sp.block_diag(blocks, format="csr"))
    return LowRankCovariance(patterns, np.kron(time, np.eye(regions)) if regions else np.eye(0))
