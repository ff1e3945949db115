"""Rates from many overpasses: the divergence of the mean flux, and its peak at the source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from obsnet.errors import RangeError
from obsnet.typing import Floats
from retrieval.plume.images.detect import Detection
from retrieval.plume.images.scene import Scene, local_plane
from retrieval.plume.rates.budget import RateBudget, interval
from retrieval.plume.rates.reasons import RejectReason
from retrieval.plume.sources import PointSource
from retrieval.plume.winds import PlumeWind

__all__ = [
    "DivergenceRate",
    "FluxSums",
    "add_overpass",
    "divergence_of",
    "divergence_rate",
    "empty_sums",
    "peak_rate",
]

DIVERGENCE_ERROR = 0.1  # relative; sampling of the wind's directions and the peak's shape
_DRAWS = 200  # of overpasses, with replacement
_FEWEST = 8  # overpasses without which nothing cancels
_LIMIT = 3.0


@dataclass(frozen=True, eq=False)
class FluxSums:
    """Sums over one overpass on a grid about a source.

    Parameters
    ----------
    east, north : ndarray, shape (cell, cell)
        Mass flux ``Δm u`` and ``Δm v`` of the cell's mean column, kg m-1 s-1; NaN where not seen. Rows run north.
    cell_km : float
        Side of a cell.
    """

    east: Floats
    north: Floats
    cell_km: float


@dataclass(frozen=True, eq=False)
class DivergenceRate:
    """A rate from the mean of many overpasses.

    Parameters
    ----------
    rate, low, high, limit : float
        kg s-1.
    budget : RateBudget
        Standard errors, kg s-1; `noise` is the scatter over draws of overpasses, which holds all that differs between
        them.
    overpasses : int
        Used.
    width_km : float
        Standard deviation of the fitted peak.
    divergence : ndarray, shape (cell, cell)
        kg m-2 s-1.
    reasons : RejectReason
        Why it is not to be believed.
    """

    rate: float
    low: float
    high: float
    limit: float
    budget: RateBudget
    overpasses: int
    width_km: float
    divergence: Floats
    reasons: RejectReason


def empty_sums(half_km: float, cell_km: float) -> int:
    """Return the number of cells to a side; odd, so that the source is in the middle of one."""
    return 2 * round(half_km / cell_km) + 1


def add_overpass(
    scene: Scene,
    found: Detection,
    source: PointSource,
    wind: PlumeWind,
    *,
    half_km: float = 50.0,
    cell_km: float = 5.0,
) -> FluxSums:
    """Return the flux of one overpass about a source.

    Parameters
    ----------
    scene, found : Scene, Detection
        Image and its background, which is taken off: of the flux of the background only its small divergence is wanted
        gone, and its error is larger than the plume.
    source : PointSource
        In the middle of the grid.
    wind : PlumeWind
        Of the whole grid.
    half_km, cell_km : float
        Half the side of the grid, and of a cell; a cell must hold a pixel.
    """
    if cell_km < scene.pixel_km:
        raise RangeError(
            f"cells of {cell_km:g} km are smaller than the pixels of {scene.name} ({scene.pixel_km:.1f} km)"
        )
    n = empty_sums(half_km, cell_km)
    x, y = local_plane(scene.latitude, scene.longitude, source.place)
    residual = (scene.value - found.gas.background) * scene.mass
    use = scene.valid & np.isfinite(residual)
    edges = (np.arange(n + 1) - 0.5 * n) * cell_km
    weight = scene.area[use]
    bins: Any = [edges, edges]
    total, _, _ = np.histogram2d(y[use], x[use], bins=bins, weights=weight)
    mass, _, _ = np.histogram2d(y[use], x[use], bins=bins, weights=weight * residual[use])
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(total > 0, mass / total, np.nan)
    return FluxSums(mean * wind.u, mean * wind.v, cell_km)


def divergence_of(east: Floats, north: Floats, cell_km: float) -> Floats:
    """Return ``∂F_x/∂x + ∂F_y/∂y`` by central differences, NaN at the rim, kg m-2 s-1.

    Summed over a region and times the cell's area it is the flux out through the region's sides (Gauss), exactly.
    """
    out = np.full(east.shape, np.nan)
    step = 2.0 * cell_km * 1e3
    out[1:-1, 1:-1] = (east[1:-1, 2:] - east[1:-1, :-2] + north[2:, 1:-1] - north[:-2, 1:-1]) / step
    return out


def peak_rate(divergence: Floats, cell_km: float, *, radius_km: float = 25.0) -> tuple[float, float]:
    """Return the rate under a round Gaussian peak in the middle on an even background, and its width.

    Parameters
    ----------
    divergence : ndarray, shape (cell, cell)
        kg m-2 s-1.
    cell_km : float
        Side of a cell.
    radius_km : float
        Cells so far from the source are fitted.

    Returns
    -------
    rate : float
        kg s-1: ``E = Q / (2 π σ²) exp(-r² / 2σ²) + b`` (Beirle et al. 2019, doi:10.1126/sciadv.aax9800).
    width : float
        σ, km.
    """
    n = divergence.shape[0]
    at = (np.arange(n) - 0.5 * (n - 1)) * cell_km
    r2 = at[:, None] ** 2 + at[None, :] ** 2
    use = np.isfinite(divergence) & (r2 <= radius_km**2)
    if use.sum() < 10:
        return float("nan"), float("nan")

    def fit(log_width: float) -> tuple[float, float]:
        sd = np.exp(log_width)
        peak = np.exp(-0.5 * r2[use] / sd**2) / (2.0 * np.pi * (sd * 1e3) ** 2)
        design = np.stack([peak / peak.max(), np.ones_like(peak)], axis=1)
        found, *_ = np.linalg.lstsq(design, divergence[use], rcond=None)
        left = divergence[use] - design @ found
        return float(np.sum(left**2)), float(found[0] / peak.max())

    best = minimize_scalar(
        lambda w: fit(w)[0], bounds=(np.log(0.6 * cell_km), np.log(0.5 * radius_km)), method="bounded"
    )
    return fit(float(best.x))[1], float(np.exp(best.x))


def divergence_rate(
    overpasses: Sequence[FluxSums], winds: Sequence[PlumeWind], *, seed: int = 0
) -> DivergenceRate:
    """Return the rate of a source from many overpasses.

    Parameters
    ----------
    overpasses : sequence of FluxSums
        See `add_overpass`.
    winds : sequence of PlumeWind
        Of the same overpasses; those of all errors that are common to them count in full.
    seed : int
        Of the draws of overpasses.

    Notes
    -----
    CO2 does not decay, so that no lifetime enters. What turns with the wind averages out, what stands at the source
    stays; the error is the scatter of rates over draws of overpasses with replacement (bootstrap), which holds noise,
    clouds, structure of the background and errors of single winds alike. An error that all winds share does not show
    in it and is taken to be a third of their mean error.
    """
    cell = overpasses[0].cell_km if overpasses else float("nan")
    reasons = RejectReason(0)
    if len(overpasses) < _FEWEST:
        nan = float("nan")
        gone = RateBudget(nan, nan, nan, nan, nan)
        reasons |= RejectReason.FEW_PIXELS
        return DivergenceRate(nan, nan, nan, nan, gone, len(overpasses), nan, np.zeros((0, 0)), reasons)
    east, north = (np.stack([getattr(o, n) for o in overpasses]) for n in ("east", "north"))
    field = divergence_of(_mean(east), _mean(north), cell)
    rate, width = peak_rate(field, cell)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(_DRAWS):
        pick = rng.integers(0, len(overpasses), len(overpasses))
        drawn.append(peak_rate(divergence_of(_mean(east[pick]), _mean(north[pick]), cell), cell)[0])
    scatter = float(np.nanstd(drawn, ddof=1))
    size = abs(rate)
    shared = float(np.mean([w.error / max(w.speed, 1e-9) for w in winds])) / 3.0
    budget = RateBudget(size * shared, 0.0, scatter, size * DIVERGENCE_ERROR, size * 0.005)
    low, high = interval(rate, budget)
    limit = _LIMIT * scatter
    if not rate > limit:
        reasons |= RejectReason.BELOW_LIMIT
    if not (np.isfinite(rate) and rate > 0 and budget.total < 0.5 * rate and np.isfinite(high)):
        reasons |= RejectReason.UNCERTAIN
    return DivergenceRate(rate, low, high, limit, budget, len(overpasses), width, field, reasons)


def _mean(stack: Floats) -> Floats:
    there = np.isfinite(stack)
    count = there.sum(axis=0)
    total = np.where(there, stack, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
