"""Four methods that turn a plume into a rate, each as weights of pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from obsnet.typing import Bools, Floats
from retrieval.plume.images.detect import Detection
from retrieval.plume.images.scene import Scene
from retrieval.plume.options import RateSettings
from retrieval.plume.rates.budget import PixelSum
from retrieval.plume.rates.layout import PlumeLayout, expected_share
from retrieval.plume.rates.sections import (
    PlumeShape,
    SectionPixels,
    fit_shape,
    line_density_weights,
    plume_weights,
)
from retrieval.plume.winds import PlumeWind

__all__ = ["MADE_BY", "Made", "PlumeCase"]

_PIXELS = 10  # fewest of a slice, and of the background beside a plume
_SEEN = 0.3  # share of a section that must be seen for the rest to be taken as alike
_UNEVEN = 0.3  # by which sections of one plume differ for no other reason than that air is unsteady


@dataclass(frozen=True, eq=False)
class PlumeCase:
    """All that a method needs.

    Parameters
    ----------
    scene, found, layout, wind, settings
        See `retrieval.plume.rates.estimate.source_rates`.
    residual, error : ndarray, shape (row, column)
        Columns without their smooth background, and their random errors; customary unit.
    """

    scene: Scene
    found: Detection
    layout: PlumeLayout
    residual: Floats
    error: Floats
    wind: PlumeWind
    settings: RateSettings

    @property
    def piece(self) -> float:
        """Length of a section, km."""
        return max(self.settings.section_km, 2.0 * self.scene.pixel_km)

    @property
    def shape_image(self) -> tuple[Floats, Floats]:
        """Image that tells where the plume is, and its errors: NO2 where that decided."""
        if (
            self.found.image == "no2"
            and self.scene.no2 is not None
            and self.scene.no2_uncertainty is not None
        ):
            return self.scene.no2, self.scene.no2_uncertainty
        return self.residual, self.error

    def pixels(
        self, layout: PlumeLayout, length: float, image: Floats, error: Floats
    ) -> tuple[SectionPixels, Bools]:
        """Return pixels of an image by section, and which of the layout's they are."""
        section, count = layout.sections(length)
        value, sigma = image[layout.row, layout.column], error[layout.row, layout.column]
        use = layout.inside & (section >= 0) & (section < count) & np.isfinite(value) & np.isfinite(sigma)
        parts = section[use], layout.along[use], layout.across[use], value[use], sigma[use]
        return SectionPixels(*parts, count, layout.end), np.asarray(use)

    def shape(
        self, layout: PlumeLayout, length: float, *, one_rate: bool, reach: float | None = None
    ) -> PlumeShape:
        """Return middle and width of the plume; its middle lies within `reach` of the line, km."""
        image, sigma = self.shape_image
        pixels, _ = self.pixels(layout, length, image, sigma)
        widest = max(0.75 * layout.half_width, self.scene.pixel_km)
        reach = 0.5 * widest if reach is None else reach
        narrowest = 0.4 * self.scene.pixel_km
        return fit_shape(pixels, narrowest=narrowest, widest=widest, reach=reach, one_rate=one_rate)


@dataclass(frozen=True, eq=False)
class Made:
    """What a method makes.

    Parameters
    ----------
    pixels : PixelSum or None
        Weights of the rate; None where there is no fit.
    sections : int
        That went into it.
    unsteady : float
        Relative standard error that scatter between sections shows, beyond their noise.
    line_density : ndarray, shape (sections, 3)
        Distance (km), line density and its noise (kg m-1).
    """

    pixels: PixelSum | None
    sections: int = 0
    unsteady: float = 0.0
    line_density: Floats = field(default_factory=lambda: np.zeros((0, 3)))


def _ime(case: PlumeCase) -> Made:
    """Weigh the plume's mass: ``Q = u / L Σ Δm A``, over a piece of plume of length L whose sides are the background.

    Varon et al. (2018), doi:10.5194/amt-11-5673-2018, take L from the mask and an effective wind fitted to it; with L
    along the centre line and all mass between two cross-sections, the wind is the wind. What is not seen of a section
    is taken from the rest of it, by the share of a Gaussian plume that falls there.
    """
    layout, scene = case.layout, case.scene
    section, count = layout.sections(case.piece)
    body = layout.inside & (np.abs(layout.across) <= layout.half_width)
    beside = layout.inside & ~body
    area, mass = scene.area[layout.row, layout.column], scene.mass[layout.row, layout.column]
    weight = np.zeros(layout.row.size)
    length = (layout.end - layout.start) * 1e3
    expected = expected_share(layout.across, layout.half_width) * area / 1e3 * count / length
    full = 0
    for k in range(count):
        here = body & (section == k)
        seen = float(expected[here].sum())
        if seen >= _SEEN:
            full += 1
            weight[here] = area[here] * mass[here] / seen
    if not full:
        return Made(None)
    weight *= case.wind.speed / length * count / full
    if beside.sum() >= _PIXELS:
        share = np.where(beside, 1.0 / case.error[layout.row, layout.column] ** 2, 0.0)
        weight -= weight.sum() * share / share.sum()
    used = weight != 0
    return Made(PixelSum(layout.row[used], layout.column[used], weight[used]), full)


def _csf(case: PlumeCase) -> Made:
    """Sum over cross-sections: line density of each by a Gaussian on a sloping background, times the wind.

    After Kuhlmann et al. (2021), doi:10.3389/frsen.2021.689838: middle and width may come from NO2; here they vary
    smoothly along the plume, so that noise of single sections does not move them.
    """
    shape = case.shape(case.layout, case.piece, one_rate=False)
    return _sum_sections(case, case.layout, case.piece, shape)


def _sum_sections(case: PlumeCase, layout: PlumeLayout, length: float, shape: PlumeShape) -> Made:
    pixels, use = case.pixels(layout, length, case.residual, case.error)
    row, column = layout.row[use], layout.column[use]
    parts, rows = [], []
    for k, w in enumerate(line_density_weights(pixels, shape)):
        if w is None:
            continue
        r, c = (a[pixels.section == k] for a in (row, column))
        part = PixelSum(r, c, w * case.scene.mass[r, c] * 1e3)  # kg m-1
        middle = layout.start + (k + 0.5) * (layout.end - layout.start) / pixels.count
        parts.append(part)
        rows.append((middle, part.of(case.residual), part.noise(case.error)))
    if not parts:
        return Made(None)
    density = np.array(rows)
    share = 1.0 / (density[:, 2] ** 2 + (_UNEVEN * density[:, 1].mean()) ** 2)
    share /= share.sum()
    total = _weighted(parts, share * case.wind.speed)
    return Made(total, len(parts), _unsteadiness(density, share), density)


def _gauss(case: PlumeCase) -> Made:
    """Fit one Gaussian plume, ``Q / (√(2π) σ(s) u) exp(-n² / 2σ²)``, and a sloping background to all pixels.

    As Nassar et al. (2017), doi:10.1002/2017GL074702, but with σ² growing linearly along the plume and fitted, instead
    of taken from a stability class; the fit may turn the plume about its source.
    """
    shape = case.shape(case.layout, case.piece, one_rate=True)
    pixels, use = case.pixels(case.layout, case.piece, case.residual, case.error)
    weight = plume_weights(pixels, shape)
    if weight is None:
        return Made(None)
    row, column = case.layout.row[use], case.layout.column[use]
    return Made(PixelSum(row, column, weight * case.scene.mass[row, column] * 1e3 * case.wind.speed), 1)


def _lcsf(case: PlumeCase) -> Made:
    """Cut slices across the wind itself, fit each alone, take the middle half of their fluxes.

    After Zheng et al. (2020), doi:10.5194/acp-20-8501-2020: neither the plume's mask nor its centre line is needed. The
    mean of the two middle quarters is as robust as the median, with less of its noise.
    """
    if case.wind.speed == 0:
        return Made(None)
    straight = case.layout.along_wind(case.wind)
    section, count = straight.sections(case.piece)
    length = straight.end - straight.start
    reach = 0.7 * straight.side  # the wind's direction is off, the plume bends
    parts, rows = [], []
    for k in range(count):
        here = straight.inside & (section == k)
        if here.sum() < _PIXELS:
            continue
        alone = straight.part(here)
        shape = case.shape(alone, 2.0 * length, one_rate=False, reach=reach)
        slice_ = _sum_sections(case, alone, 2.0 * length, shape)
        if slice_.pixels is not None:
            parts.append(slice_.pixels)
            rows.append((straight.start + (k + 0.5) * length / count, *slice_.line_density[0, 1:]))
    if not parts:
        return Made(None)
    density = np.array(rows)
    order = np.argsort(density[:, 1])
    cut = len(order) // 4
    share = np.zeros(len(order))
    share[order[cut : len(order) - cut]] = 1.0
    share /= share.sum()
    every = np.full(len(order), 1.0 / len(order))
    return Made(_weighted(parts, share), len(parts), _unsteadiness(density, every), density)


def _weighted(parts: list[PixelSum], share: Floats) -> PixelSum:
    total = parts[0].times(float(share[0]))
    for part, s in zip(parts[1:], share[1:], strict=True):
        if s:
            total = total + part.times(float(s))
    return total


def _unsteadiness(density: Floats, share: Floats) -> float:
    """Return the relative standard error of a mean of sections that scatter more than their noise.

    Neighbouring sections scatter together, so pairs of them count as one.
    """
    mean = float(share @ density[:, 1])
    n = len(density)
    if n < 3 or mean <= 0:
        return 0.0
    excess = float(np.sum((density[:, 1] - mean) ** 2) / (n - 1) - np.mean(density[:, 2] ** 2))
    return float(np.sqrt(max(excess, 0.0) * np.sum(share**2) * 2.0) / mean)


MADE_BY: dict[str, Callable[[PlumeCase], Made]] = {"ime": _ime, "csf": _csf, "gauss": _gauss, "lcsf": _lcsf}
