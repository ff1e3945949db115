"""Which pixels tell a source's rate: its plume, the air beside it, and what is in the way."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from obsnet.typing import Bools, Floats, Ints
from retrieval.plume.images.detect import Detection
from retrieval.plume.images.scene import Scene, local_plane
from retrieval.plume.options import RateSettings
from retrieval.plume.rates.axis import PlumeAxis, fit_axis, straight_axis
from retrieval.plume.rates.reasons import RejectReason
from retrieval.plume.sources import PointSource
from retrieval.plume.winds import PlumeWind

__all__ = ["PlumeLayout", "expected_share", "lay_out", "plume_at"]

_NEAR = 2.5  # pixels from a source within which its plume must begin
_REACH = 60.0  # km, over which a source upwind is taken to matter
_SIDE = 10.0  # km of background beside a plume at least
_TWO_WIDTHS = 0.9544997361036416  # of a normal distribution within two standard deviations
_WIDEST = 40.0  # km, half the width of a plume at most
_UNFOUND = 30.0  # km along the wind that are looked at where no plume is found


@dataclass(frozen=True, eq=False)
class PlumeLayout:
    """A plume's coordinates and the box in which its rate is told.

    Parameters
    ----------
    axis : PlumeAxis
        Centre line.
    row, column : ndarray of int, shape (n,)
        Usable pixels near the plume, plumes of others left out.
    x, y : ndarray, shape (n,)
        km east and north of the source.
    along, across : ndarray, shape (n,)
        In the plume's coordinates, km.
    start, end : float
        Piece of the plume that is used, km along the line.
    half_width, side : float
        Plume within the first, background between the two, km across.
    plume : int
        Label of the detection, 0 for none.
    found_length : float
        How far the plume was found, km.
    coverage : float
        Share of the plume that is seen: of the box, its middle counting more than its sides.
    merged_with : tuple of str
        Sources whose plumes meet this one.
    reasons : RejectReason
        What speaks against a rate already.
    """

    axis: PlumeAxis
    row: Ints
    column: Ints
    x: Floats
    y: Floats
    along: Floats
    across: Floats
    start: float
    end: float
    half_width: float
    side: float
    plume: int
    found_length: float
    coverage: float
    merged_with: tuple[str, ...]
    reasons: RejectReason

    def part(self, which: Bools) -> PlumeLayout:
        """Return the same with some of the pixels."""
        names = ("row", "column", "x", "y", "along", "across")
        return replace(self, **{n: getattr(self, n)[which] for n in names})

    def along_wind(self, wind: PlumeWind) -> PlumeLayout:
        """Return the same pixels in coordinates along a straight wind."""
        axis = straight_axis(wind.u, wind.v, self.end)
        along, across = axis.coordinates(self.x, self.y)
        return replace(self, axis=axis, along=along, across=across)

    def sections(self, length: float) -> tuple[Ints, int]:
        """Return the number of the section that each pixel is in, and how many there are, `length` km at least."""
        count = max(1, int((self.end - self.start) / length))
        piece = np.floor((self.along - self.start) / (self.end - self.start) * count)
        return piece.astype(np.int64), count

    @property
    def inside(self) -> Bools:
        """Pixels between start and end, up to the side."""
        return np.asarray(
            (self.along >= self.start) & (self.along < self.end) & (np.abs(self.across) <= self.side)
        )


def plume_at(labels: Ints, distance: Floats, radius: float) -> int:
    """Return the label of the plume that begins at a source, the one with most pixels there; 0 for none."""
    there = labels[distance <= radius]
    there = there[there > 0]
    return int(np.bincount(there).argmax()) if there.size else 0


def expected_share(across: Floats, half_width: float) -> Floats:
    """Return how much of a plume is expected at a distance from its middle, km-1: a Gaussian, cut at two widths."""
    sd = 0.5 * half_width
    return np.asarray(np.exp(-0.5 * (across / sd) ** 2) / (np.sqrt(2.0 * np.pi) * sd * _TWO_WIDTHS))


def lay_out(
    scene: Scene,
    found: Detection,
    source: PointSource,
    others: tuple[PointSource, ...],
    wind: PlumeWind,
    settings: RateSettings,
) -> PlumeLayout:
    """Find a source's plume and lay coordinates along it.

    Parameters
    ----------
    scene : Scene
        Image.
    found : Detection
        Its plumes.
    source, others : PointSource
        Whose plume, and all other known sources.
    wind : PlumeWind
        At the source.
    settings : RateSettings
        Lengths and angles.
    """
    reasons = RejectReason(0)
    pixel, scale = scene.pixel_km, scene.scale
    unfound, reach_upwind = _UNFOUND * scale, _REACH * scale
    x, y = local_plane(scene.latitude, scene.longitude, source.place)
    distance = np.hypot(x, y)
    if not float(np.nanmin(distance)) <= 1.5 * pixel:
        reasons |= RejectReason.OUTSIDE
    if wind.speed < settings.min_wind or wind.error > settings.max_wind_error * wind.speed:
        reasons |= RejectReason.SLOW_WIND
    reach = source.radius_km + _NEAR * pixel
    plume = plume_at(found.labels, distance, reach)
    mask = found.labels == plume if plume else np.zeros(found.labels.shape, dtype=bool)
    merged: list[str] = []
    if plume:
        mask, merged = _without_others(mask, x, y, distance, reach, source, others, wind, pixel)
    outer = mask & (distance > source.radius_km)
    if plume and outer.sum() >= 3:
        axis = fit_axis(x[outer], y[outer], np.nan_to_num(found.z[outer]), scale)
    else:
        if not plume:
            reasons |= RejectReason.NOT_FOUND
        direction = (wind.u, wind.v) if wind.speed > 0 else (1.0, 0.0)
        axis = straight_axis(*direction, unfound, scale)
    if wind.speed > 0 and axis.angle_to(wind.u, wind.v) > settings.max_angle:
        reasons |= RejectReason.DIRECTION
    near = np.nan_to_num(distance, nan=np.inf) < settings.max_length_km + 2 * reach_upwind
    along, across = (np.full(distance.shape, np.nan) for _ in range(2))
    along[near], across[near] = axis.coordinates(x[near], y[near])

    start = source.radius_km + pixel
    own = mask & near & (along > 0)
    length = float(np.percentile(along[own], 98)) if own.any() else (0.0 if plume else unfound)
    end = min(length, settings.max_length_km)
    body = own & (along >= start) & (along <= end)
    spread = float(np.percentile(np.abs(across[body]), 95)) if body.any() else 2.0 * pixel
    half = float(np.clip(spread + pixel, source.radius_km + 2.0 * pixel, _WIDEST * scale))
    side = half + max(half, _SIDE * scale, 4.0 * pixel)
    end, in_the_way = _cut(axis, source, others, start, end, half, pixel)
    merged += [m for m in in_the_way if m not in merged]
    if (merged and end - start < settings.min_length_km) or _upwind(axis, source, others, half, reach_upwind):
        reasons |= RejectReason.MERGED
        merged += [m for m in _upwind(axis, source, others, half, reach_upwind) if m not in merged]
    if end - start < settings.min_length_km:
        reasons |= RejectReason.SHORT
        end = max(end, start + 2.0 * pixel)
    own_body = (found.labels == plume) & (np.abs(across) <= half) if plume else np.zeros_like(near)
    strange = ndimage.binary_dilation((found.labels > 0) & ~own_body) & ~own_body
    box = near & (along >= start) & (along < end) & (np.abs(across) <= half)
    usable = scene.valid & np.isfinite(found.gas.background)
    seen = box & usable & ~strange
    expected = expected_share(across[seen], half) * scene.area[seen] / 1e6
    coverage = float(expected.sum()) / (end - start)
    if coverage < settings.min_coverage:
        reasons |= RejectReason.GAPS
    if seen.sum() < 10:
        reasons |= RejectReason.FEW_PIXELS
    use = near & usable & ~strange & (along > -half - side) & (along < end + side)
    row, column = np.nonzero(use & (np.abs(across) <= side))
    return PlumeLayout(
        axis,
        row,
        column,
        x[row, column],
        y[row, column],
        along[row, column],
        across[row, column],
        start,
        end,
        half,
        side,
        plume,
        length if plume else 0.0,
        coverage,
        tuple(merged),
        reasons,
    )


def _without_others(
    mask: Bools,
    x: Floats,
    y: Floats,
    distance: Floats,
    reach: float,
    source: PointSource,
    others: tuple[PointSource, ...],
    wind: PlumeWind,
    pixel: float,
) -> tuple[Bools, list[str]]:
    """Cut a plume where that of another source begins, and say whose it meets.

    Downwind of the first other source whatever is seen is of both. One that lies upwind or beside cannot be cut off.
    """
    merged = []
    speed = max(wind.speed, 1e-9)
    for other in others:
        ox, oy = (float(c) for c in local_plane(other.latitude, other.longitude, source.place))
        if not (np.hypot(x[mask] - ox, y[mask] - oy) <= other.radius_km + _NEAR * pixel).any():
            continue
        merged.append(other.name)
        downwind = (ox * wind.u + oy * wind.v) / speed
        along = (x * wind.u + y * wind.v) / speed
        mask = mask & (along < downwind - other.radius_km - pixel)
    if merged:
        pieces, _ = ndimage.label(mask, structure=np.ones((3, 3)))
        piece = plume_at(pieces, distance, reach)
        mask = pieces == piece if piece else np.zeros_like(mask)
    return mask, merged


def _cut(
    axis: PlumeAxis,
    source: PointSource,
    others: tuple[PointSource, ...],
    start: float,
    end: float,
    half: float,
    pixel: float,
) -> tuple[float, list[str]]:
    """Return where the plume must end before another source adds to it, and which does."""
    names = []
    for other in others:
        s, n = _place(axis, source, other)
        first = s - other.radius_km - pixel
        if s > 0 and first < end and abs(n) < half + other.radius_km + pixel:
            end = max(first, start)
            names.append(other.name)
    return end, names


def _upwind(
    axis: PlumeAxis, source: PointSource, others: tuple[PointSource, ...], half: float, reach: float
) -> list[str]:
    """Return sources upwind, whose plumes pass through this one."""
    placed = {o.name: (_place(axis, source, o), o.radius_km) for o in others}
    return [name for name, ((s, n), radius) in placed.items() if -reach < s <= 0 and abs(n) < half + radius]


def _place(axis: PlumeAxis, source: PointSource, other: PointSource) -> tuple[float, float]:
    x, y = local_plane(other.latitude, other.longitude, source.place)
    s, n = axis.coordinates(np.atleast_1d(x), np.atleast_1d(y))
    return float(s[0]), float(n[0])
