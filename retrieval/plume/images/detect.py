"""Where a column is raised: a local z-test against noise and background.

A pixel belongs to a plume where the mean round it stands out of the background by more than noise and structure of the
background explain (after Kuhlmann et al. 2019, doi:10.5194/amt-12-6695-2019):

    z = (local mean - background) / sqrt(noise of the local mean + variance of the background's structure)

Unlike there the structure's variance is not given but measured, from plume-free pixels of the same scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from obsnet.errors import RangeError
from obsnet.typing import Bools, Floats, Ints
from retrieval.plume.options import DetectSettings

__all__ = ["Detection", "detect", "field_test", "smooth_background"]

_ROUNDS = 4  # of background and mask; on scenes of 100,000 pixels the mask no longer changes after three
_MAD = 1.482602218505602  # of a normal distribution, standard deviation over median absolute deviation
_FINE = 6.0  # blocks a width, which leaves a Gaussian as it is to 1e-3
_LEAST = 50  # valid pixels without which no test means anything


@dataclass(frozen=True, eq=False)
class FieldTest:
    """A z-test of one image.

    Parameters
    ----------
    z : ndarray, shape (row, column)
        Local mean above background in standard deviations; NaN where there is too little to see.
    background : ndarray, shape (row, column)
        Smooth, without plumes; unit of the image.
    structure : float
        Standard deviation of plume-free local means beyond their noise; unit of the image.
    noise_factor : float
        What the stated errors are multiplied by, from differences of neighbours; 1 at least.
    """

    z: Floats
    background: Floats
    structure: float
    noise_factor: float


@dataclass(frozen=True, eq=False)
class Detection:
    """Plumes of a scene.

    Parameters
    ----------
    labels : ndarray of int, shape (row, column)
        0 outside, 1 … plumes, the one with the highest z first.
    z : ndarray
        Of the image that decided, NO2 where it is used.
    gas : FieldTest
        Of the gas itself, with plumes of either image left out of its background.
    image : {"gas", "no2"}
        Which decided.
    """

    labels: Ints
    z: Floats
    gas: FieldTest
    image: str

    @property
    def count(self) -> int:
        """Number of plumes."""
        return int(self.labels.max())


def detect(
    value: Floats,
    uncertainty: Floats,
    spacing_km: tuple[float, float],
    settings: DetectSettings,
    no2: Floats | None = None,
    no2_uncertainty: Floats | None = None,
) -> Detection:
    """Find connected plumes in an image.

    Parameters
    ----------
    value, uncertainty : ndarray, shape (row, column)
        Columns of the gas and their random errors; NaN where not to be used.
    spacing_km : (float, float)
        Between rows and between columns.
    settings : DetectSettings
        Sizes and thresholds.
    no2, no2_uncertainty : ndarray, optional
        Decide instead of the gas where they are given and `settings.image` is ``"auto"`` or ``"no2"``.

    Raises
    ------
    RangeError
        Too few usable pixels, or NO2 asked for and not there.
    """
    if settings.image == "no2" and no2 is None:
        raise RangeError("image = 'no2', but the scene has none; take 'gas', or name its NO2 columns")
    if no2 is not None and no2_uncertainty is not None and settings.image != "gas":
        test, image = field_test(no2, no2_uncertainty, spacing_km, settings), "no2"
        labels = _connected(test.z, settings, settings.peak)
        gas = field_test(value, uncertainty, spacing_km, settings, labels > 0)
    else:
        gas, image = field_test(value, uncertainty, spacing_km, settings), "gas"
        test, labels = gas, _connected(gas.z, settings, settings.peak)
    return Detection(labels, test.z, gas, image)


def field_test(
    value: Floats,
    uncertainty: Floats,
    spacing_km: tuple[float, float],
    settings: DetectSettings,
    known: Bools | None = None,
) -> FieldTest:
    """Test every pixel of an image; see `detect`.

    Parameters
    ----------
    value, uncertainty, spacing_km, settings
        See `detect`.
    known : ndarray of bool, optional
        Pixels of plumes that are known otherwise and left out of the background.
    """
    valid = np.isfinite(value) & np.isfinite(uncertainty)
    if valid.sum() < _LEAST:
        raise RangeError(f"{int(valid.sum())} usable pixels; a test against the background needs {_LEAST}")
    factor = max(1.0, _noise_factor(value, uncertainty))
    weight = np.where(valid, 1.0 / np.where(valid, uncertainty * factor, 1.0) ** 2, 0.0)
    values = np.where(valid, value, 0.0)
    near = [max(settings.smoothing_km / s, 0.5) for s in spacing_km]
    total = _blur(weight, near)
    seen = total > 0.25 * float(np.median(weight[valid]))  # a quarter of the neighbours at least
    safe = np.where(seen, total, 1.0)
    local = _blur(weight * values, near) / safe
    variance = _blur_squared(weight, near) / safe**2
    mask = _grown(known, spacing_km, settings) if known is not None else np.zeros(valid.shape, dtype=bool)
    always = mask.copy()
    for _ in range(_ROUNDS):
        background = smooth_background(
            values, np.where(mask, 0.0, weight), spacing_km, settings.background_km
        )
        rest = seen & ~mask & np.isfinite(background)
        if rest.sum() < _LEAST:
            raise RangeError(f"{int(rest.sum())} pixels outside plumes; the background cannot be told")
        residual = local - background
        noise = float(np.median(variance[rest]))
        # The centre of the distribution: what is raised beyond 2.5 sigma is no background, nor is its like below.
        spread = _MAD * float(np.median(np.abs(residual[rest] - np.median(residual[rest]))))
        structure = np.sqrt(max(0.0, spread**2 - noise))
        z = np.where(seen, residual / np.sqrt(np.where(seen, variance, 1.0) + structure**2), np.nan)
        raised = _connected(z, settings, settings.low + 1.0) > 0
        mask = always | _grown(raised, spacing_km, settings)
    return FieldTest(np.asarray(z), background, float(structure), factor)


def smooth_background(
    values: Floats, weight: Floats, spacing_km: tuple[float, float], width_km: float
) -> Floats:
    """Return weighted means over a wide Gaussian; NaN where nothing is near.

    Parameters
    ----------
    values, weight : ndarray, shape (row, column)
        Finite everywhere; weight 0 where a value is not to be used.
    spacing_km : (float, float)
        Between rows and columns.
    width_km : float
        Standard deviation of the Gaussian.

    Notes
    -----
    Normalised convolution, and once more of what it leaves: near an edge or a gap the mean is of one side, and a slope
    of the background goes into it by as much as its centre of mass is off; the second pass takes most of that back.
    On blocks of pixels, since nothing so wide needs single ones.
    """
    coarse = [max(1, int(width_km / s / _FINE)) for s in spacing_km]
    blocks = _blocks(weight, coarse)
    wide = [width_km / s / c for s, c in zip(spacing_km, coarse, strict=True)]
    total = _blur(blocks, wide)
    seen = total > 1e-6 * float(total.max())
    safe = np.where(seen, total, 1.0)
    out = np.zeros(values.shape)
    for _ in range(2):
        mean = np.where(seen, _blur(_blocks(weight * (values - out), coarse), wide) / safe, np.nan)
        out = out + _spread(mean, coarse, values.shape)
    return out


def _blocks(field: Floats, size: list[int]) -> Floats:
    """Return sums over blocks; the last of a row or column may be smaller."""
    for axis, step in enumerate(size):
        if step > 1:
            field = np.add.reduceat(field, np.arange(0, field.shape[axis], step), axis=axis)
    return field


def _spread(blocks: Floats, size: list[int], shape: tuple[int, ...]) -> Floats:
    """Return a field of blocks on the pixels, linear between the middles of blocks."""
    places = []
    for step, n, m in zip(size, shape, blocks.shape, strict=True):
        edges = np.minimum(np.arange(m + 1) * step, n)
        middle = 0.5 * (edges[:-1] + edges[1:] - 1)
        places.append(np.interp(np.arange(n), middle, np.arange(m)))
    whole = np.where(np.isfinite(blocks), blocks, 0.0)
    there = np.isfinite(blocks).astype(np.float64)
    low = [np.minimum(p.astype(np.int64), max(m - 2, 0)) for p, m in zip(places, blocks.shape, strict=True)]
    high = [np.minimum(a + 1, m - 1) for a, m in zip(low, blocks.shape, strict=True)]
    part = [p - a for p, a in zip(places, low, strict=True)]
    value, share = np.zeros(shape), np.zeros(shape)
    for rows, fr in ((low[0], 1.0 - part[0]), (high[0], part[0])):
        for columns, fc in ((low[1], 1.0 - part[1]), (high[1], part[1])):
            w = fr[:, None] * fc[None, :]
            value += w * whole[np.ix_(rows, columns)]
            share += w * there[np.ix_(rows, columns)]
    return np.where(share > 0, value / np.where(share > 0, share, 1.0), np.nan)


def _noise_factor(value: Floats, uncertainty: Floats) -> float:
    """Return the scatter of differences of neighbours over what the stated errors make it."""
    ratios = []
    for axis in (0, 1):
        difference = np.diff(value, axis=axis)
        n = value.shape[axis]
        a, b = (np.take(uncertainty, r, axis=axis) for r in (range(n - 1), range(1, n)))
        scaled = difference / np.hypot(a, b)
        ratios.append(scaled[np.isfinite(scaled)])
    every = np.concatenate(ratios)
    return float(_MAD * np.median(np.abs(every))) if every.size else 1.0


def _connected(z: Floats, settings: DetectSettings, peak: float) -> Ints:
    """Label regions above the lower threshold that somewhere exceed the upper one, the highest first."""
    above = np.nan_to_num(z, nan=-np.inf) > settings.low
    labels, count = ndimage.label(above, structure=np.ones((3, 3)))
    if count == 0:
        return np.asarray(labels, dtype=np.int64)
    index = np.arange(1, count + 1)
    highest = ndimage.maximum(np.nan_to_num(z, nan=-np.inf), labels, index)
    size = ndimage.sum_labels(above, labels, index)
    keep = np.flatnonzero((highest > peak) & (size >= settings.pixels))
    keep = keep[np.argsort(-highest[keep])]
    new = np.zeros(count + 1, dtype=np.int64)
    new[keep + 1] = np.arange(1, keep.size + 1)
    return np.asarray(new[labels])


def _grown(mask: Bools, spacing_km: tuple[float, float], settings: DetectSettings) -> Bools:
    """Return a mask with a margin, since a plume does not end where it is no longer seen."""
    if not mask.any():
        return mask
    distance = ndimage.distance_transform_edt(~mask, sampling=spacing_km)
    return np.asarray(distance <= settings.margin_km)


def _blur(field: Floats, width: list[float]) -> Floats:
    return np.asarray(ndimage.gaussian_filter(field, width, mode="constant", truncate=3.0))


def _blur_squared(field: Floats, width: list[float]) -> Floats:
    """Return the sum over the squared Gaussian: with weights 1/s2 the variance of a weighted sum."""
    out = field
    for axis, w in enumerate(width):
        radius = int(3.0 * w + 0.5)
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / w) ** 2)
        kernel /= kernel.sum()
        out = ndimage.correlate1d(out, kernel**2, axis=axis, mode="constant")
    return np.asarray(out)
