"""Rates of one plume by several methods side by side, each with its error budget and reasons against it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from obsnet.typing import Floats
from retrieval.plume.images.detect import Detection
from retrieval.plume.images.scene import Scene
from retrieval.plume.options import RateSettings
from retrieval.plume.rates.budget import RateBudget, interval, place_elsewhere
from retrieval.plume.rates.layout import PlumeLayout, lay_out
from retrieval.plume.rates.methods import MADE_BY, Made, PlumeCase
from retrieval.plume.rates.reasons import RejectReason
from retrieval.plume.sources import PointSource
from retrieval.plume.winds import PlumeWind

__all__ = ["METHOD_ERROR", "PlumeRates", "RateEstimate", "judge", "source_rates"]

# Relative standard error of each method beyond what its sections' scatter shows: what unsteady air does to it on
# made-up plumes, and what 95 % intervals need there to hold the truth. scripts/calibrate_plumes.py prints both
# (docs/plumes.md).
METHOD_ERROR = {"ime": 0.15, "csf": 0.1, "gauss": 0.2, "lcsf": 0.15}
_LIMIT = 3.0  # standard errors of background and noise that a rate must exceed
_APART = 3.0  # ratio of largest to smallest rate of the methods that is disagreement
_PIXELS = 10


@dataclass(frozen=True, eq=False)
class RateEstimate:
    """A rate by one method.

    Parameters
    ----------
    method : str
        See `retrieval.plume.options.METHODS`.
    rate : float
        kg s-1; NaN where there is none.
    budget : RateBudget
        Standard errors, kg s-1.
    low, high : float
        95 % interval, kg s-1.
    limit : float
        Smallest rate that would have been seen here, kg s-1.
    sections : int
        That went into it.
    places : int
        Other places at which the background's error was measured; under 8 the detection's structure stands in.
    reasons : RejectReason
        Why it is not to be believed; 0 for none.
    line_density : ndarray, shape (sections, 3)
        Distance (km), line density (kg m-1) and its noise, for pictures; empty where the method has none.
    """

    method: str
    rate: float
    budget: RateBudget
    low: float
    high: float
    limit: float
    sections: int
    places: int
    reasons: RejectReason
    line_density: Floats


@dataclass(frozen=True, eq=False)
class PlumeRates:
    """All methods' rates of one source in one scene. They share pixels and wind: they are not independent."""

    source: PointSource
    wind: PlumeWind
    layout: PlumeLayout
    estimates: tuple[RateEstimate, ...]

    @property
    def accepted(self) -> tuple[RateEstimate, ...]:
        """Estimates without a reason against them."""
        return tuple(e for e in self.estimates if not e.reasons)


def source_rates(
    scene: Scene,
    found: Detection,
    source: PointSource,
    others: tuple[PointSource, ...],
    wind: PlumeWind,
    settings: RateSettings,
) -> PlumeRates:
    """Return the rates of a source.

    Parameters
    ----------
    scene : Scene
        Image.
    found : Detection
        Its plumes.
    source, others : PointSource
        Whose rate, and all other known sources.
    wind : PlumeWind
        At the source.
    settings : RateSettings
        Methods and what makes a rate unbelievable.
    """
    layout = lay_out(scene, found, source, others, wind, settings)
    residual = scene.value - found.gas.background
    error = scene.uncertainty * found.gas.noise_factor
    case = PlumeCase(scene, found, layout, residual, error, wind, settings)
    estimates = tuple(_estimate(method, MADE_BY[method](case), case) for method in settings.methods)
    return PlumeRates(source, wind, layout, judge(estimates, settings))


def judge(estimates: tuple[RateEstimate, ...], settings: RateSettings) -> tuple[RateEstimate, ...]:
    """Add the reasons that a rate's size gives: below the limit, lost in its errors, far from the other methods.

    Whether a method could see such a rate is asked of the median of all methods, not of its own estimate: noise that
    raises an estimate must not get it accepted, or what is accepted is too high.
    """
    rates = [e.rate for e in estimates if np.isfinite(e.rate)]
    middle = float(np.median(rates)) if rates else float("nan")
    out = []
    for e in estimates:
        reasons = e.reasons
        if np.isfinite(e.rate):
            if not min(middle, 2.0 * e.rate) > e.limit:
                reasons |= RejectReason.BELOW_LIMIT
            error = float(np.hypot(e.budget.additive / middle, e.budget.proportional / e.rate))
            if not (
                e.rate > 0 and middle > 0 and error < settings.max_relative_error and np.isfinite(e.high)
            ):
                reasons |= RejectReason.UNCERTAIN
        out.append(replace(e, reasons=reasons))
    left = [e.rate for e in out if not e.reasons]
    if len(left) < 2 or max(left) <= _APART * min(left):
        return tuple(out)
    return tuple(replace(e, reasons=e.reasons | RejectReason.DISAGREE) for e in out)


def _estimate(method: str, made: Made, case: PlumeCase) -> RateEstimate:
    reasons, wind, scene, found = case.layout.reasons, case.wind, case.scene, case.found
    if made.pixels is None or wind.speed == 0:
        nan = float("nan")
        reasons |= RejectReason.NO_FIT if made.pixels is None else RejectReason.SLOW_WIND
        return RateEstimate(
            method,
            nan,
            RateBudget(nan, nan, nan, nan, nan),
            nan,
            nan,
            nan,
            made.sections,
            0,
            reasons,
            made.line_density,
        )
    if made.pixels.row.size < _PIXELS:
        reasons |= RejectReason.FEW_PIXELS
    rate = made.pixels.of(case.residual)
    clear = scene.valid & np.isfinite(case.residual) & (found.labels == 0)
    background, places = place_elsewhere(made.pixels, case.residual, case.error, clear, found.gas.structure)
    size = abs(rate)
    budget = RateBudget(
        wind=size * wind.error / wind.speed,
        background=background,
        noise=made.pixels.noise(case.error),
        method=size * float(np.hypot(METHOD_ERROR[method], made.unsteady)),
        conversion=size * scene.conversion_error,
    )
    low, high = interval(rate, budget)
    limit = _LIMIT * budget.additive
    return RateEstimate(
        method, rate, budget, low, high, limit, made.sections, places, reasons, made.line_density
    )
