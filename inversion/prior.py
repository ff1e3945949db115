"""Prior fluxes and their error: time bins of the state, sectors, errors common to a region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from inversion.covariance import Covariance, DiagonalCovariance, LowRankCovariance, SumCovariance
from inversion.kernels import grid_correlation, time_correlation
from inversion.kronecker import KroneckerCovariance
from inversion.options import SectorOptions
from obsnet.errors import ConfigError, SolverError
from obsnet.grid import Grid

__all__ = ["TimeBins", "bin_matrix", "flux_operator", "sector_error", "state_bins"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TimeBins:
    """Time bins of the state and which flux bins lie in each.

    Parameters
    ----------
    edges : ndarray of datetime64[us], shape (n + 1,)
        UTC.
    of_flux : ndarray of int, shape (flux bins,)
        State bin of each flux bin.
    seconds : ndarray, shape (flux bins,)
        Length of each flux bin.
    """

    edges: npt.NDArray[np.datetime64]
    of_flux: npt.NDArray[np.int64]
    seconds: Floats

    @property
    def size(self) -> int:
        """Count of state bins."""
        return self.edges.size - 1

    @property
    def middle(self) -> npt.NDArray[np.datetime64]:
        """Middle of each state bin."""
        return np.asarray(self.edges[:-1] + (self.edges[1:] - self.edges[:-1]) // 2)

    @property
    def mean(self) -> sp.csr_array:
        """Operator (bins, flux bins) of the time mean over each state bin."""
        total = np.bincount(self.of_flux, self.seconds, minlength=self.size)
        flux = np.arange(self.of_flux.size)
        return sp.csr_array(
            (self.seconds / total[self.of_flux], (self.of_flux, flux)), shape=(self.size, flux.size)
        )


def state_bins(flux_edges: npt.NDArray[np.datetime64], step: str) -> TimeBins:
    """Group the footprints' flux bins into time bins of the state.

    Parameters
    ----------
    flux_edges : ndarray of datetime64, shape (n + 1,)
        Flux bins of the Jacobian.
    step : str
        ``"all"`` for one bin, or a pandas frequency; calendar ones begin on calendar dates.

    Raises
    ------
    ConfigError
        A step finer than the flux bins.
    """
    from obsnet.times import time_bins

    edges = flux_edges.astype("datetime64[us]")
    seconds = np.diff(edges).astype(np.int64) / 1e6
    if step == "all":
        return TimeBins(edges[[0, -1]], np.zeros(seconds.size, np.int64), seconds)
    wanted = time_bins(edges[0], edges[-1], step)
    middle = edges[:-1] + (edges[1:] - edges[:-1]) // 2
    index = np.searchsorted(wanted, middle, side="right") - 1
    used, of_flux = np.unique(index, return_inverse=True)
    if used.size > 1 and used.size != np.ptp(used) + 1:
        raise ConfigError(
            f"time bins of {step!r} are finer than the footprints' flux bins "
            f"({seconds.min() / 3600:g} h); take a longer step"
        )
    # A bin is what its flux bins cover, so that means and totals are of the same time.
    first = np.flatnonzero(np.diff(of_flux, prepend=-1))
    return TimeBins(np.append(edges[first], edges[-1]), of_flux.astype(np.int64), seconds)


def bin_matrix(source_edges: Any, target_edges: Any) -> sp.csr_array:
    """Return the operator that averages a step function of time over other bins.

    Parameters
    ----------
    source_edges : array_like of datetime64, shape (n, 2)
        Start and end of each step; they may leave gaps.
    target_edges : array_like of datetime64, shape (m + 1,)
        Bins.

    Returns
    -------
    scipy.sparse.csr_array, shape (m, n)
        Rows sum to 1.

    Raises
    ------
    ConfigError
        A bin that the steps do not wholly cover (which). One single step counts as valid always.
    """
    bounds = np.asarray(source_edges).astype("datetime64[us]").astype(np.int64)
    edges = np.asarray(target_edges).astype("datetime64[us]")
    ticks = edges.astype(np.int64)
    if len(bounds) == 1:
        return sp.csr_array(np.ones((ticks.size - 1, 1)))
    low = np.maximum(bounds[None, :, 0], ticks[:-1, None])
    high = np.minimum(bounds[None, :, 1], ticks[1:, None])
    overlap = np.maximum(high - low, 0) / np.diff(ticks)[:, None]
    short = np.abs(overlap.sum(axis=1) - 1.0) > 1e-6
    if short.any():
        at = int(np.argmax(short))
        span = bounds.min(), bounds.max()
        first, last = (np.datetime64(int(t), "us").astype("datetime64[m]") for t in span)
        raise ConfigError(
            f"the prior flux covers {overlap[at].sum():.0%} of {edges[at].astype('datetime64[m]')} to "
            f"{edges[at + 1].astype('datetime64[m]')}, which the footprints reach; it goes from "
            f"{first} to {last} "
            f"({int(short.sum())} bins short)"
        )
    return sp.csr_array(overlap)


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
        Part of each cell in each region, for the error common to a region.
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
