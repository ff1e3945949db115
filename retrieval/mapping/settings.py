"""What is mapped and how."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obsnet.errors import ConfigError, nearest
from obsnet.grid import Grid
from obsnet.typing import Times

__all__ = ["METHODS", "MapSettings"]

METHODS = {
    "bin": "means of the soundings in each cell and period",
    "kriging": "local ordinary kriging in space and time, averaged over the cell",
    "frk": "fixed-rank kriging with bisquares of several widths",
}


@dataclass(frozen=True)
class MapSettings:
    """What is mapped and how.

    Parameters
    ----------
    species : str
        Formula.
    grid : Grid
        Cells.
    time_edges : ndarray of datetime64, shape (periods + 1,)
        UTC, see `obsnet.times.time_bins`.
    method : {"bin", "kriging", "frk"}
        Bin means, local kriging, fixed-rank kriging.
    source : str, optional
        Of the store; needed where it holds several for the species.
    r : float
        Correlation of the errors of soundings in one cell and period, for means.
    window_days : float
        Observations so long before and after a period are used for it (kriging and frk).
    neighbours : int
        Observations a cell is kriged from.
    reach_km : float
        Cells farther than this from any observation stay empty (kriging).
    spacing_km : tuple of float
        Of the bisquares' centres (frk).
    spacing_days : float
        The same in time.
    folds : int
        Of the cross-validation; 0 leaves it out. Means are judged sounding by sounding whatever the number.
    """

    species: str
    grid: Grid
    time_edges: Times
    method: str = "bin"
    source: str | None = None
    r: float = 0.0
    window_days: float = 8.0
    neighbours: int = 64
    reach_km: float = np.inf
    spacing_km: tuple[float, ...] = (1600.0, 800.0, 400.0)
    spacing_days: float = 4.0
    folds: int = 10

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f"unknown method {self.method!r}{nearest(self.method, METHODS)}")
        if not self.window_days > 0.0:
            raise ConfigError(f"window_days must be positive, found {self.window_days}")
        if self.folds != 0 and self.folds < 2:
            raise ConfigError(f"folds must be 0 or at least 2, found {self.folds}")
