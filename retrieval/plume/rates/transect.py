"""Rates from a track that crosses a plume once, as OCO-2 does: a Gaussian across the wind on a sloping background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obsnet.typing import Floats
from retrieval.plume.images.scene import local_plane
from retrieval.plume.rates.budget import RateBudget, interval
from retrieval.plume.rates.reasons import RejectReason
from retrieval.plume.rates.sections import PlumeShape, SectionPixels, fit_shape, line_density_weights
from retrieval.plume.sources import PointSource
from retrieval.plume.winds import PlumeWind

__all__ = ["CROSSING_ERROR", "Track", "TransectRate", "transect_rate"]

# Relative: one cross-section of an unsteady plume, which any other would not repeat. Assumed, not counted yet.
CROSSING_ERROR = 0.3
_NARROW, _WIDE = 0.5, 20.0  # km, of a plume's width
_LIMIT = 3.0
_FEWEST = 20  # soundings in the window
_PLACES = 6  # elsewhere on the track, without which the background's error is not told


@dataclass(frozen=True, eq=False)
class Track:
    """Soundings of one pass in order of time.

    Parameters
    ----------
    latitude, longitude : ndarray, shape (n,)
        Degrees.
    value, uncertainty : ndarray, shape (n,)
        Dry column mole fraction and its random error, customary unit.
    mass : ndarray, shape (n,)
        kg m-2 per customary unit; see `retrieval.plume.images.amounts.mass_per_unit`.
    conversion_error : float
        Relative error of `mass`.
    """

    latitude: Floats
    longitude: Floats
    value: Floats
    uncertainty: Floats
    mass: Floats
    conversion_error: float


@dataclass(frozen=True, eq=False)
class TransectRate:
    """A rate from one crossing.

    Parameters
    ----------
    rate, low, high, limit : float
        kg s-1: estimate, its 95 % interval, and what would have been seen.
    budget : RateBudget
        Standard errors, kg s-1.
    angle : float
        Between track and wind, degrees 0 to 90.
    distance : float
        Of the crossing downwind of the source, km.
    soundings : int
        In the window.
    reasons : RejectReason
        Why it is not to be believed.
    across, enhancement, fitted : ndarray
        For pictures: km across the wind, values and fit (customary unit) without background.
    """

    rate: float
    low: float
    high: float
    limit: float
    budget: RateBudget
    angle: float
    distance: float
    soundings: int
    reasons: RejectReason
    across: Floats
    enhancement: Floats
    fitted: Floats


def transect_rate(
    track: Track,
    source: PointSource,
    wind: PlumeWind,
    *,
    window_km: float = 40.0,
    min_angle: float = 30.0,
    min_wind: float = 2.0,
    max_distance_km: float = 100.0,
    max_relative_error: float = 0.6,
) -> TransectRate:
    """Return the rate of a source whose plume a track crosses.

    Parameters
    ----------
    track : Track
        Soundings.
    source : PointSource
        Whose plume.
    wind : PlumeWind
        At the source.
    window_km : float
        Of the track to either side of the crossing, across the wind.
    min_angle : float
        Between track and wind, degrees: along the wind a track sees one side of the background only.
    min_wind : float
        m s-1.
    max_distance_km : float
        Downwind.
    max_relative_error : float
        Standard error over rate beyond which a rate is rejected.

    Notes
    -----
    ``Q = u ∫ Δm dn``, n across the wind: an integral along the track times the sine of the angle between both (Nassar
    et al. 2017, doi:10.1002/2017GL074702). The line of the wind may miss the plume by as much as its direction is off,
    so the Gaussian's middle is free within half the window.
    """
    nothing = np.zeros(0)
    x, y = local_plane(track.latitude, track.longitude, source.place)
    speed = max(wind.speed, 1e-9)
    along, across = (x * wind.u + y * wind.v) / speed, (y * wind.u - x * wind.v) / speed
    reasons = RejectReason(0)
    if wind.speed < min_wind or wind.error > wind.speed / 3.0:
        reasons |= RejectReason.SLOW_WIND
    good = np.isfinite(track.value) & np.isfinite(track.uncertainty) & np.isfinite(track.mass)
    near = good & (np.abs(across) <= window_km) & (along > source.radius_km) & (along < max_distance_km)
    if near.sum() < _FEWEST or wind.speed == 0:
        reasons |= RejectReason.OUTSIDE if not near.any() else RejectReason.FEW_PIXELS
        nan = float("nan")
        gone = RateBudget(nan, nan, nan, nan, nan)
        return TransectRate(
            nan, nan, nan, nan, gone, nan, nan, int(near.sum()), reasons, nothing, nothing, nothing
        )
    direction = np.polyfit(across[near], along[near], 1)[0] if np.ptp(across[near]) > 1e-6 else np.inf
    angle = float(np.rad2deg(np.arctan2(1.0, abs(direction))))
    distance = float(np.interp(0.0, *_sorted(across[near], along[near])))
    if angle < min_angle:
        reasons |= RejectReason.ANGLE
    if not (float(across[near].min()) < -0.25 * window_km and float(across[near].max()) > 0.25 * window_km):
        reasons |= RejectReason.GAPS  # background on one side only

    # Values about their median: what is common to all is background.
    value = (track.value - np.median(track.value[near])) * track.mass
    error = track.uncertainty * track.mass
    pixels = _pixels(across[near], value[near], error[near], window_km)
    shape = fit_shape(pixels, narrowest=_NARROW, widest=_WIDE, reach=0.5 * window_km, one_rate=False)
    weight = line_density_weights(pixels, shape)[0]
    if weight is None:
        reasons |= RejectReason.NO_FIT
        weight = np.zeros(int(near.sum()))
    rate = float(wind.speed * 1e3 * weight @ value[near])
    scatter = _scatter(pixels, shape.profile(pixels))
    noise = wind.speed * 1e3 * _noise(pixels, shape, float(weight @ value[near]), 0.5 * window_km)
    size = abs(rate)
    budget = RateBudget(
        wind=size * wind.error / speed,
        background=_elsewhere(across, along, value, error, good, near, weight, pixels) * wind.speed * 1e3,
        noise=noise * scatter,
        method=size * CROSSING_ERROR,
        conversion=size * track.conversion_error,
    )
    low, high = interval(rate, budget)
    limit = _LIMIT * budget.additive
    if not rate > limit:
        reasons |= RejectReason.BELOW_LIMIT
    if not (rate > 0 and budget.total < max_relative_error * rate and np.isfinite(high)):
        reasons |= RejectReason.UNCERTAIN
    q = float(weight @ value[near])
    fitted = q * shape.profile(pixels) / track.mass[near]
    level = np.median((value[near] / track.mass[near] - fitted)[np.abs(across[near]) > 0.3 * window_km])
    return TransectRate(
        rate,
        low,
        high,
        limit,
        budget,
        angle,
        distance,
        int(near.sum()),
        reasons,
        across[near],
        value[near] / track.mass[near] - level,
        fitted,
    )


def _sorted(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(a)
    return a[order], b[order]


def _pixels(across: Floats, value: Floats, error: Floats, window: float) -> SectionPixels:
    n = across.size
    return SectionPixels(np.zeros(n, np.int64), np.zeros(n), across, value, error, 1, window)


def _noise(pixels: SectionPixels, shape: PlumeShape, density: float, reach: float) -> float:
    """Return the standard error of the line density, middle and width being told by the same soundings."""
    profile, sd = shape.profile(pixels), float(shape.width(pixels.along[:1], pixels.end)[0])
    t = (pixels.across - shape.middle(pixels.along, pixels.end)) / sd
    columns = [
        profile,
        density * profile * t / sd,
        density * profile * (t**2 - 1.0),
        np.ones_like(t),
        pixels.across / reach,
    ]
    design = np.stack(columns, axis=1) / pixels.error[:, None]
    prior = np.diag([0.0, 1.0 / reach**2, 0.25, 0.0, 0.0])
    return float(np.sqrt(max(np.linalg.pinv(design.T @ design + prior, hermitian=True)[0, 0], 0.0)))


def _scatter(pixels: SectionPixels, profile: Floats) -> float:
    """Return the scatter of the residuals over the stated errors, 1 at least."""
    design = np.stack([profile, np.ones_like(profile), pixels.across], axis=1) / pixels.error[:, None]
    found, *_ = np.linalg.lstsq(design, pixels.value / pixels.error, rcond=None)
    left = pixels.value / pixels.error - design @ found
    return float(max(1.0, np.sqrt(np.sum(left**2) / max(len(left) - 3, 1))))


def _elsewhere(
    across: Floats,
    along: Floats,
    value: Floats,
    error: Floats,
    good: np.ndarray,
    near: np.ndarray,
    weight: Floats,
    pixels: SectionPixels,
) -> float:
    """Return the scatter of line densities that the same Gaussian finds on the rest of the track, beyond noise.

    Weights go with the soundings' places, so that they are taken at the nearest ones when moved along the track.
    """
    index = np.flatnonzero(near)
    length = int(index[-1] - index[0] + 1)
    pattern = np.zeros(length)
    pattern[index - index[0]] = weight
    sums, noises = [], []
    for start in range(0, across.size - length + 1, max(1, length // 2)):
        window = np.arange(start, start + length)
        if (window[-1] >= index[0] and start <= index[-1]) or not good[window][pattern != 0].mean() > 0.9:
            continue
        use = good[window]
        w = np.where(use, pattern, 0.0)
        v, e = (np.where(use, a[window], 0.0) for a in (value, error))
        v = v - v[use].mean()
        sums.append(float(w @ v))
        noises.append(float(np.sum((w * e) ** 2)))
    if len(sums) < _PLACES:
        return 0.0
    n = len(sums) / 2.0
    excess = float(np.mean(np.square(sums)) - np.mean(noises))
    return float(np.sqrt(max(excess, 0.0) * n / (n - 1.0)))
