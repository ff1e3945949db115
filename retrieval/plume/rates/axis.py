"""Coordinates of a plume: along its curved centre line and across."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from obsnet.typing import Floats

__all__ = ["PlumeAxis", "fit_axis", "straight_axis"]

_STEP = 0.5  # km, between the nodes of the line
_BEND = 0.003  # km-1, prior standard deviation of the curvature term: 7.5 km of bend in 50 km
_WIDTH = 5.0  # km, how far plume pixels lie from the line


@dataclass(frozen=True, eq=False)
class PlumeAxis:
    """A line through the source, ``x = a t + b t²``, continued straight on at both ends.

    Parameters
    ----------
    direction : ndarray, shape (2,)
        Coefficients a of x and y (km east and north of the source) on t, km.
    bend : ndarray, shape (2,)
        Coefficients b, km-1.
    length : float
        Largest t that the line was fitted to, km.
    step : float
        Between the nodes of the line, km.
    """

    direction: Floats
    bend: Floats
    length: float
    step: float = _STEP

    def points(self, t: Floats) -> Floats:
        """Return places on the line, shape (t, 2), km."""
        t = np.asarray(t, dtype=np.float64)[:, None]
        return np.asarray(self.direction * t + self.bend * t**2)

    @property
    def bearing(self) -> float:
        """Direction in which the plume leaves the source, degrees from north by east."""
        return float(np.rad2deg(np.arctan2(self.direction[0], self.direction[1])) % 360.0)

    def angle_to(self, u: float, v: float) -> float:
        """Return the angle between the plume at its source and a wind, degrees 0 to 180."""
        cross = self.direction[0] * v - self.direction[1] * u
        return float(np.rad2deg(np.abs(np.arctan2(cross, self.direction[0] * u + self.direction[1] * v))))

    def coordinates(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return the distance along the line and across it, to the left looking downwind.

        Parameters
        ----------
        x, y : ndarray
            km east and north of the source.

        Returns
        -------
        along, across : ndarray
            km; `along` is arc length, 0 at the source, negative upwind. The nearest node's tangent is used:
            off by at most half a step times the line's turn between nodes.
        """
        nodes = self.points(np.arange(0.0, max(self.length, self.step) + 0.5 * self.step, self.step))
        tangent = np.gradient(nodes, axis=0) if len(nodes) > 1 else self.direction[None]
        tangent = tangent / np.linalg.norm(tangent, axis=1, keepdims=True)
        arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(nodes, axis=0), axis=1))])
        places = np.stack([np.ravel(x), np.ravel(y)], axis=1)
        _, at = cKDTree(nodes).query(places)
        offset = places - nodes[at]
        along = arc[at] + (offset * tangent[at]).sum(axis=1)
        across = tangent[at, 0] * offset[:, 1] - tangent[at, 1] * offset[:, 0]
        shape = np.shape(x)
        return along.reshape(shape), across.reshape(shape)


def straight_axis(u: float, v: float, length: float, scale: float = 1.0) -> PlumeAxis:
    """Return the line that a wind of u, v (m s-1, east and north) gives."""
    speed = float(np.hypot(u, v))
    return PlumeAxis(np.array([u, v]) / speed, np.zeros(2), length, _STEP * scale)


def fit_axis(x: Floats, y: Floats, weight: Floats, scale: float = 1.0) -> PlumeAxis:
    """Fit the line to plume pixels.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        km east and north of the source.
    weight : ndarray, shape (n,)
        Enhancement; what is not positive does not count.
    scale : float
        `retrieval.plume.images.scene.Scene.scale`.

    Notes
    -----
    Least squares in x and y apart, on t, the distance from the source; the bend has a prior of mean 0, so that a
    short or noisy plume stays straight.
    """
    t = np.hypot(x, y)
    w = np.clip(weight, 0.0, None)
    w = w / max(float(w.mean()), 1e-300) / (_WIDTH * scale) ** 2
    design = np.stack([t, t**2], axis=1)
    normal = design.T @ (w[:, None] * design) + np.diag([1e-9, (scale / _BEND) ** 2])
    a = np.linalg.solve(normal, design.T @ (w[:, None] * np.stack([x, y], axis=1)))
    length = float(np.max(t, initial=0.0))
    size = float(np.linalg.norm(a[0]))
    step = _STEP * scale
    if size < 1e-6:  # pixels all round the source: no direction
        return PlumeAxis(np.array([1.0, 0.0]), np.zeros(2), length, step)
    return PlumeAxis(a[0], a[1], length, step)
