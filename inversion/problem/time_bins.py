"""Time bins of the state: which flux bins lie in each, and means over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from obsnet.errors import ConfigError
from obsnet.typing import Floats, Ints, Times

__all__ = ["TimeBins", "state_bins"]


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

    edges: Times
    of_flux: Ints
    seconds: Floats

    @property
    def size(self) -> int:
        """Count of state bins."""
        return self.edges.size - 1

    @property
    def middle(self) -> Times:
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


def state_bins(flux_edges: Times, step: str) -> TimeBins:
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
