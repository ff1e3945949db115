r"""Instrument line shapes: what a spectrometer makes of a monochromatic line, and spectra seen through it.

A line shape is kept as values and slopes at equal steps of the distance from the centre and is read between them by
cubic Hermite polynomials, so that a channel's shift has an exact derivative. Shapes integrate to one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from obsnet.errors import RangeError, SchemaError
from obsnet.typing import Floats

__all__ = ["LineShape", "fts_shape", "look", "tabulated_shape"]


@dataclass(frozen=True)
class LineShape:
    """A line shape on a grid of equal steps, symmetric about 0 in reach.

    Parameters
    ----------
    step : float
        cm-1.
    value, slope : ndarray, shape (2 k + 1,)
        cm, per cm-1 squared; 0 beyond ``k step``.
    """

    step: float
    value: Floats
    slope: Floats

    def __post_init__(self) -> None:
        if len(self.value) % 2 == 0 or self.value.shape != self.slope.shape or not self.step > 0.0:
            raise SchemaError(
                "a line shape needs an odd number of values, as many slopes and a positive step"
            )

    @property
    def reach(self) -> float:
        """Distance from the centre at which the shape ends, cm-1."""
        return self.step * (len(self.value) // 2)


def _shape(step: float, value: Floats) -> LineShape:
    k = len(value) // 2
    spline = CubicSpline(step * np.arange(-k, k + 1), value, bc_type="clamped")
    area = float(spline.integrate(-k * step, k * step))
    return LineShape(step, value / area, spline(step * np.arange(-k, k + 1), 1) / area)


def fts_shape(
    path_difference: float, field_of_view: float, wavenumber: float, *, reach: float | None = None
) -> LineShape:
    """Return the line shape of a Fourier transform spectrometer without apodisation: sinc convolved with a box.

    Parameters
    ----------
    path_difference : float
        Greatest optical path difference L, cm.
    field_of_view : float
        Full angle of the internal field of view, rad; 0 for a point.
    wavenumber : float
        cm-1; the box is ``wavenumber field_of_view^2 / 8`` wide.
    reach : float, optional
        cm-1; 40 half widths of the sinc by default. The last third fades out by a cosine.

    Notes
    -----
    ``sinc(2 L x) = sin(2 pi L x) / (2 pi L x)``; Davis, Abrams and Brault (2001), Fourier Transform Spectrometry,
    chapters 3 and 9. The mean shift of an off-axis field is in the wavenumber scale of the spectrum.
    """
    if not (path_difference > 0.0 and field_of_view >= 0.0):
        raise RangeError("the path difference must be positive and the field of view not negative")
    width = 0.5 / path_difference
    far = 40.0 * width if reach is None else reach
    step = width / 20.0
    k = int(np.ceil(far / step))
    x = step * np.arange(-k, k + 1)
    box = wavenumber * field_of_view**2 / 8.0
    inside = (np.arange(16) + 0.5) / 16.0 - 0.5
    value = np.mean(np.sinc(2.0 * path_difference * (x[:, None] + box * inside)), axis=1)
    fade = np.clip((np.abs(x) / (k * step) - 2.0 / 3.0) * 3.0, 0.0, 1.0)
    return _shape(step, value * np.cos(0.5 * np.pi * fade) ** 2)


def tabulated_shape(offset: npt.ArrayLike, response: npt.ArrayLike) -> LineShape:
    """Return a line shape from a table.

    Parameters
    ----------
    offset : array_like, shape (k,)
        cm-1 from the centre, increasing, on both sides of 0.
    response : array_like, shape (k,)
        In any unit: it is normalised.

    Raises
    ------
    RangeError
        Offsets that do not increase or do not enclose 0, a response whose integral is not positive.
    """
    x, y = np.asarray(offset, dtype=np.float64), np.asarray(response, dtype=np.float64)
    if (
        x.ndim != 1
        or x.shape != y.shape
        or len(x) < 5
        or not (np.diff(x) > 0.0).all()
        or not x[0] < 0.0 < x[-1]
    ):
        raise RangeError("a table of a line shape needs at least five offsets that increase through 0")
    if not np.trapezoid(y, x) > 0.0:
        raise RangeError("the integral of a line shape must be positive")
    step = float(np.diff(x).min())
    k = int(np.ceil(max(-x[0], x[-1]) / step))
    grid = step * np.arange(-k, k + 1)
    inside = (grid >= x[0]) & (grid <= x[-1])
    return _shape(step, np.where(inside, CubicSpline(x, y)(np.clip(grid, x[0], x[-1])), 0.0))


def look(shape: LineShape, grid: Floats, spectra: Floats, centre: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return spectra as an instrument sees them, and how that changes with the channels' places.

    Parameters
    ----------
    shape : LineShape
        Of all channels.
    grid : ndarray, shape (points,)
        cm-1, equal steps, at least ``shape.reach`` beyond the channels.
    spectra : ndarray, shape (k, points)
        Monochromatic.
    centre : array_like, shape (channels,)
        cm-1.

    Returns
    -------
    seen : ndarray, shape (k, channels)
    slope : ndarray, shape (channels,)
        Of the first of the spectra, per cm-1.

    Raises
    ------
    RangeError
        The grid does not reach far enough.
    """
    c = np.asarray(centre, dtype=np.float64)
    if len(c) and not (grid[0] <= c.min() - shape.reach and c.max() + shape.reach <= grid[-1]):
        raise RangeError(
            f"channels at {c.min():g} to {c.max():g} cm-1 need the spectrum {shape.reach:g} cm-1 beyond them, "
            f"it spans {grid[0]:g} to {grid[-1]:g}"
        )
    step = (grid[-1] - grid[0]) / (len(grid) - 1)
    return _look(shape.step, shape.value, shape.slope, grid[0], step, np.ascontiguousarray(spectra), c)


@numba.njit(cache=True, fastmath={"reassoc", "nsz", "contract"})  # sums in any order, side by side
def _look(
    knot: float,
    value: Floats,
    slope: Floats,
    start: float,
    step: float,
    spectra: Floats,
    centre: Floats,
) -> tuple[Floats, Floats]:
    half = len(value) // 2
    reach = half * knot
    seen, change = np.zeros((len(spectra), len(centre))), np.zeros(len(centre))
    weight, steep = np.empty(int(2.0 * reach / step) + 3), np.empty(int(2.0 * reach / step) + 3)
    for channel in range(len(centre)):
        first = int(np.ceil((centre[channel] - reach - start) / step))
        last = int(np.floor((centre[channel] + reach - start) / step))
        total, drift = 0.0, 0.0
        for i in range(first, last + 1):
            at = (start + i * step - centre[channel] + reach) / knot
            k = min(max(int(at), 0), len(value) - 2)
            t = at - k
            a, b = value[k], value[k + 1]
            u, v = slope[k] * knot, slope[k + 1] * knot
            w = a + t * (u + t * (3.0 * (b - a) - 2.0 * u - v + t * (2.0 * (a - b) + u + v)))
            d = u + t * (2.0 * (3.0 * (b - a) - 2.0 * u - v) + 3.0 * t * (2.0 * (a - b) + u + v))
            weight[i - first] = w
            steep[i - first] = -d / knot
            total += w
            drift += steep[i - first]
        for n in range(len(spectra)):
            row = spectra[n]
            s = 0.0
            for i in range(first, last + 1):
                s += weight[i - first] * row[i]
            seen[n, channel] = s / total
        s = 0.0
        for i in range(first, last + 1):
            s += steep[i - first] * spectra[0, i]
        # the weights are divided by their sum, which moves with the centre too
        change[channel] = (s - seen[0, channel] * drift) / total
    return seen, change
