"""Line densities: a Gaussian and a sloping background, fitted across a plume in one section or many.

Theory: along the line s, across it n; in section k
``Δm(s, n) = q_k / (√(2π) σ) exp(-(n - μ)² / 2σ²) + b_k + c_k n``, ``σ² = σ0² + σ1² s / s_end``; μ is a straight line
with two waves of the length of the plume on it. Given μ and σ the rest is linear, so only they are searched for
(variable projection).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from obsnet.typing import Bools, Floats, Ints

__all__ = ["PlumeShape", "SectionPixels", "fit_shape", "line_density_weights", "plume_weights"]

_STARTS = 9  # middles from which the search may begin
_PARAMETERS = 3  # of a section: line density, background, slope


@dataclass(frozen=True, eq=False)
class SectionPixels:
    """Pixels near a plume, in its coordinates.

    Parameters
    ----------
    section : ndarray of int, shape (n,)
        To which section along the plume each belongs, 0 to `count` - 1.
    along, across : ndarray, shape (n,)
        km.
    value, error : ndarray, shape (n,)
        Enhancement and its random error, any unit.
    count : int
        Number of sections.
    end : float
        Where the last section ends, km.
    """

    section: Ints
    along: Floats
    across: Floats
    value: Floats
    error: Floats
    count: int
    end: float

    def part(self, which: Bools) -> SectionPixels:
        """Return some of the pixels."""
        return SectionPixels(
            self.section[which],
            self.along[which],
            self.across[which],
            self.value[which],
            self.error[which],
            self.count,
            self.end,
        )


@dataclass(frozen=True)
class PlumeShape:
    """Where across and how wide a plume is.

    Parameters
    ----------
    offset, turn, bow, wave : float
        Middle: ``offset + turn t + bow sin(pi t) + wave sin(2 pi t)`` with ``t = along / end``, km to the left.
    start_width, growth : float
        ``σ² = start_width² + growth² along / end``, km.
    """

    offset: float
    turn: float
    bow: float
    wave: float
    start_width: float
    growth: float

    def middle(self, along: Floats, end: float) -> Floats:
        """Return where the plume's middle is, km."""
        t = along / end
        waves = self.bow * np.sin(np.pi * t) + self.wave * np.sin(2.0 * np.pi * t)
        return np.asarray(self.offset + self.turn * t + waves)

    def width(self, along: Floats, end: float) -> Floats:
        """Return the standard deviation across, km."""
        return np.asarray(np.sqrt(self.start_width**2 + self.growth**2 * np.clip(along, 0.0, None) / end))

    def profile(self, pixels: SectionPixels) -> Floats:
        """Return the unit-area Gaussian at pixels, km-1."""
        sd = self.width(pixels.along, pixels.end)
        t = (pixels.across - self.middle(pixels.along, pixels.end)) / sd
        return np.asarray(np.exp(-0.5 * t**2) / (np.sqrt(2.0 * np.pi) * sd))


def fit_shape(
    pixels: SectionPixels, *, narrowest: float, widest: float, reach: float, one_rate: bool
) -> PlumeShape:
    """Fit middle and width to all sections together.

    Parameters
    ----------
    pixels : SectionPixels
        Of the image that shows the plume best, which need not be that of the gas.
    narrowest, widest : float
        Bounds of the width, km.
    reach : float
        How far the middle may lie from the line, km.
    one_rate : bool
        One line density for all sections (a Gaussian plume) or one for each.

    Returns
    -------
    PlumeShape
    """
    usual = float(np.log(np.sqrt(narrowest * widest)))
    bend = 0.5 * widest
    low = [-reach, -bend, -bend, -bend, np.log(narrowest), np.log(0.1 * narrowest)]
    high = [reach, bend, bend, bend, np.log(widest), np.log(widest)]

    def shape_of(p: Floats) -> PlumeShape:
        return PlumeShape(*(float(v) for v in (*p[:4], *np.exp(p[4:]))))

    def left(p: Floats) -> Floats:
        fitted = _project(pixels, shape_of(p).profile(pixels), one_rate)
        # weak priors keep what the pixels do not tell at the middle of its range
        prior = [p[0] / reach, *(p[1:4] / (0.5 * bend)), *(0.5 * (p[4:] - usual))]
        return np.concatenate([(pixels.value - fitted) / pixels.error, prior])

    tries = [np.array([m, 0.0, 0.0, 0.0, usual, usual]) for m in np.linspace(-0.9, 0.9, _STARTS) * reach]
    start = min(tries, key=lambda p: float(np.sum(left(p) ** 2)))
    found = least_squares(
        left, start, bounds=(low, high), max_nfev=40, x_scale=[reach, bend, bend, bend, 1.0, 1.0]
    )
    return shape_of(found.x)


def line_density_weights(pixels: SectionPixels, shape: PlumeShape) -> list[Floats | None]:
    """Return for each section the weights of its pixels in its line density (value times km), None where none is told.

    Parameters
    ----------
    pixels : SectionPixels
        Of the gas.
    shape : PlumeShape
        Of the plume. A section needs a pixel within one width of its middle.
    """
    out: list[Floats | None] = []
    profile, middle = shape.profile(pixels), _nearness(pixels, shape)
    for k in range(pixels.count):
        at = np.flatnonzero(pixels.section == k)
        if not middle[at].min(initial=np.inf) <= 1.0:
            out.append(None)
            continue
        out.append(_solve_first(_section_design(pixels, profile, at), pixels.error[at]))
    return out


def plume_weights(pixels: SectionPixels, shape: PlumeShape) -> Floats | None:
    """Return the weights of all pixels in one line density that holds all along, value times km."""
    if not _nearness(pixels, shape).min(initial=np.inf) <= 1.0:
        return None
    return _plume_solve(pixels, shape.profile(pixels))


def _nearness(pixels: SectionPixels, shape: PlumeShape) -> Floats:
    """Return how many widths each pixel is from the plume's middle."""
    off = pixels.across - shape.middle(pixels.along, pixels.end)
    return np.asarray(np.abs(off) / shape.width(pixels.along, pixels.end))


def _plume_solve(pixels: SectionPixels, profile: Floats) -> Floats | None:
    x = pixels.across / max(float(np.abs(pixels.across).max(initial=0.0)), 1e-9)
    s = pixels.along / pixels.end
    return _solve_first(np.stack([profile, np.ones_like(x), x, s], axis=1), pixels.error)


def _section_design(pixels: SectionPixels, profile: Floats, at: Ints) -> Floats:
    x = pixels.across[at]
    return np.stack([profile[at], np.ones(at.size), x / max(float(np.abs(x).max(initial=0.0)), 1e-9)], axis=1)


def _solve_first(design: Floats, error: Floats) -> Floats | None:
    """Return the row of the weighted least-squares solution that gives the first parameter."""
    if len(design) <= _PARAMETERS:
        return None
    scaled = design / error[:, None]
    normal = scaled.T @ scaled
    size = np.sqrt(np.diag(normal))
    if not (size > 0).all():
        return None
    relative = normal / np.outer(size, size)
    if np.linalg.cond(relative) > 1e4:
        return None
    return np.asarray(
        np.linalg.solve(relative, (design / error[:, None] ** 2).T / size[:, None])[0] / size[0]
    )


def _project(pixels: SectionPixels, profile: Floats, one_rate: bool) -> Floats:
    """Return the best fit with a shape, all linear parameters free."""
    fitted = np.zeros_like(pixels.value)
    if one_rate:
        weight = _plume_solve(pixels, profile)
        q = 0.0 if weight is None else max(0.0, float(weight @ pixels.value))
        x = pixels.across / max(float(np.abs(pixels.across).max(initial=0.0)), 1e-9)
        design = np.stack([np.ones_like(x), x, pixels.along / pixels.end], axis=1)
        return np.asarray(q * profile + _smooth_fit(design, pixels.value - q * profile, pixels.error))
    for k in range(pixels.count):
        at = np.flatnonzero(pixels.section == k)
        design = _section_design(pixels, profile, at)
        weight = _solve_first(design, pixels.error[at])
        q = 0.0 if weight is None else max(0.0, float(weight @ pixels.value[at]))
        plume = q * profile[at]
        fitted[at] = plume + _smooth_fit(design[:, 1:], pixels.value[at] - plume, pixels.error[at])
    return fitted


def _smooth_fit(design: Floats, value: Floats, error: Floats) -> Floats:
    if len(value) <= design.shape[1]:
        return np.zeros_like(value)
    scaled = design / error[:, None]
    found, *_ = np.linalg.lstsq(scaled, value / error, rcond=None)
    return np.asarray(design @ found)
