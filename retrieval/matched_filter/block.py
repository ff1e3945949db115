"""Some detector columns of a cube: which pixels can be used, and their enhancements, gas by gas."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntFlag
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from obsnet.errors import SolverError
from obsnet.typing import Floats, Singles
from retrieval.matched_filter.filters import filter_spectra
from retrieval.matched_filter.options import FilterSettings
from retrieval.matched_filter.strong import GrowthCurve

Reasons = npt.NDArray[np.uint8]

__all__ = ["PIXEL_REASONS", "FilteredBlock", "PixelReason", "filter_block", "groups_of"]

POWER = 1.6448536269514722  # standard deviations of a normal distribution that 95 % exceed on one side


class PixelReason(IntFlag):
    """Why a pixel is not believed."""

    NO_DATA = 1
    SATURATED = 2
    NEGATIVE = 4
    DARK = 8
    NO_BACKGROUND = 16
    UNLIKE = 32
    TOO_STRONG = 64


PIXEL_REASONS = {
    PixelReason.NO_DATA: ("no_data", "无数据"),
    PixelReason.SATURATED: ("saturated", "饱和"),
    PixelReason.NEGATIVE: ("not_positive", "辐亮度非正"),
    PixelReason.DARK: ("dark", "过暗（水体、阴影）"),
    PixelReason.NO_BACKGROUND: ("no_background", "无法确定背景"),
    PixelReason.UNLIKE: ("unlike_the_background", "与背景不同"),
    PixelReason.TOO_STRONG: ("too_strong", "烟羽过强"),
}


@dataclass(frozen=True, eq=False)
class FilteredBlock:
    """Enhancements of one gas on an image or part of one.

    Parameters
    ----------
    enhancement, sparse, error, limit : ndarray of float32, shape (row, column)
        ppm m; see `retrieval.matched_filter.filters.Filtered`. The limit is exceeded by `threshold` standard deviations
        in 95 % of cases.
    brightness : ndarray of float32, shape (row, column)
        By that of its columns' mean spectrum.
    reason : ndarray of uint8, shape (row, column)
        Bits of `PixelReason`.
    """

    enhancement: Singles
    sparse: Singles
    error: Singles
    limit: Singles
    brightness: Singles
    reason: Reasons

    @classmethod
    def empty(cls, rows: int, columns: int) -> Self:
        """Return an image without values."""
        a, b, c, d, e = (np.full((rows, columns), np.nan, dtype=np.float32) for _ in range(5))
        return cls(a, b, c, d, e, np.zeros((rows, columns), dtype=np.uint8))

    def put(self, first: int, part: Self) -> None:
        """Fill in columns from `first` on."""
        for name in (f.name for f in fields(self)):
            values = getattr(part, name)
            getattr(self, name)[:, first : first + values.shape[1]] = values


def groups_of(columns: int, together: int) -> list[tuple[int, int]]:
    """Return the columns that share a background, from and up to; a short last group joins the one before."""
    edges = list(range(0, columns, together))
    if len(edges) > 1 and 2 * (columns - edges[-1]) < together:
        edges.pop()
    return list(zip(edges, [*edges[1:], columns], strict=True))


def filter_block(
    radiance: Singles, absorption: Floats, settings: FilterSettings, curve: GrowthCurve | None = None
) -> FilteredBlock:
    """Estimate enhancements of columns that share one background.

    Parameters
    ----------
    radiance : ndarray, shape (row, column, band)
        NaN where there is none.
    absorption : ndarray, shape (band,)
        d ln(radiance) per ppm m.
    settings : FilterSettings
        Method and what is left out.
    curve : GrowthCurve, optional
        How absorption grows; by default ``exp(absorption alpha)``.
    """
    rows, columns, bands = radiance.shape
    out = FilteredBlock.empty(rows, columns)
    spectra = radiance.reshape(rows * columns, bands).astype(np.float64)
    reason = out.reason.reshape(-1)
    finite = np.isfinite(spectra).all(axis=1)
    _mark(reason, ~finite, PixelReason.NO_DATA)
    with np.errstate(invalid="ignore"):
        if settings.saturation is not None:
            _mark(reason, (spectra >= settings.saturation).any(axis=1), PixelReason.SATURATED)
        _mark(reason, finite & (spectra <= 0.0).any(axis=1), PixelReason.NEGATIVE)
    usable = reason == 0
    light = spectra.mean(axis=1)
    if usable.any():
        _mark(reason, usable & (light < settings.dark * np.median(light[usable])), PixelReason.DARK)
    background = reason == 0
    number = int(background.sum())
    if number < settings.fewest * bands + 1:
        _mark(reason, usable, PixelReason.NO_BACKGROUND)
        return out
    # Radiances differ by orders of magnitude in unit alone.
    scale = float(light[background].mean())
    try:
        made = filter_spectra(spectra[usable] / scale, absorption, settings, background[usable], curve)
    except SolverError:
        _mark(reason, usable, PixelReason.NO_BACKGROUND)
        return out
    limit = (settings.threshold + POWER) * made.error
    for name, values in (
        ("enhancement", made.enhancement),
        ("sparse", made.sparse),
        ("error", made.error),
        ("limit", limit),
        ("brightness", made.brightness),
    ):
        getattr(out, name).reshape(-1)[usable] = values
    beyond = np.zeros(len(reason), dtype=bool)
    beyond[usable] = made.beyond
    _mark(reason, beyond, PixelReason.TOO_STRONG)
    lost = usable & ~np.isfinite(out.enhancement.reshape(-1))  # too dim to be divided by its brightness
    _mark(reason, lost & (reason == 0), PixelReason.DARK)
    far = np.zeros(len(reason), dtype=bool)
    far[usable] = made.distance > settings.unlike
    _mark(reason, far & (reason == 0), PixelReason.UNLIKE)
    return out


def _mark(reason: Reasons, where: Any, bit: PixelReason) -> None:
    reason[where] |= np.uint8(bit)
