"""Seeded problems T, S, M, L, K with truth drawn from the prior, and their known answers.

The recipe is fixed by the published answers: stations in random cells of a box over China, plume-shaped
sensitivities e-folding over 400 km and 1.5 steps back, exponential correlations of 500 km and 2 steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.sparse as sp

from inversion import KroneckerCovariance, Problem

SHAPES = {
    "T": (4, 5, 3, 40, 1),
    "S": (10, 10, 1, 500, 2),
    "M": (10, 20, 10, 5000, 3),
    "L": (20, 40, 10, 10000, 4),
    "K": (40, 60, 40, 20000, 5),
}
# chi-square per observation, degrees of freedom, log evidence, rmse of prior and posterior, calibration
KNOWN = {
    "T": (0.9734, 26.616, -107.219, None, None, 1.082),
    "S": (0.915859, 45.422576, -753.066, 0.4919, 0.3543, 1.068),
    "M": (0.9845, 403.212, -7429.022, 0.5090, 0.3218, 0.948),
}


@dataclass(frozen=True, eq=False)
class Case:
    """One synthetic problem and the truth behind it."""

    problem: Problem
    truth: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    regions: np.ndarray  # 31 random totals over the cells, shape (31, state)
    time_of_obs: np.ndarray


def _great_circle(lat, lon):
    a, b = np.radians(lat), np.radians(lon)
    s = np.sin((a[:, None] - a) / 2) ** 2 + np.cos(a[:, None]) * np.cos(a) * np.sin((b[:, None] - b) / 2) ** 2
    return 2 * 6371 * np.arcsin(np.sqrt(np.clip(s, 0, 1)))


@lru_cache(maxsize=4)
def case(name: str) -> Case:
    """Return a case by name; the order of random draws is part of the recipe."""
    ny, nx, nt, n, seed = SHAPES[name]
    rng = np.random.default_rng(seed)
    ns = ny * nx
    m = ns * nt
    lat, lon = (
        a.ravel() for a in np.meshgrid(np.linspace(20, 50, ny), np.linspace(75, 130, nx), indexing="ij")
    )
    space = np.exp(-_great_circle(lat, lon) / 500.0)
    steps = np.arange(nt)
    time = np.exp(-np.abs(steps[:, None] - steps) / 2.0)
    stations = rng.integers(0, ns, 12)
    station, when = rng.integers(0, 12, n), rng.integers(0, nt, n)
    rows, columns, values = [], [], []
    for i in range(n):
        centre, angle = stations[station[i]], rng.uniform(0, 2 * np.pi)
        north = (lat - lat[centre]) * 111
        east = (lon - lon[centre]) * 111 * np.cos(np.radians(lat[centre]))
        along = east * np.cos(angle) + north * np.sin(angle)
        across = north * np.cos(angle) - east * np.sin(angle)
        for back in range(min(5, when[i] + 1)):
            w = np.exp(-np.abs(along - 150 * back) / 400.0 - (across / 200.0) ** 2) * np.exp(-back / 1.5)
            cells = np.flatnonzero(w > 1e-3)
            rows.append(np.full(cells.size, i))
            columns.append((when[i] - back) * ns + cells)
            values.append(w[cells])
    matrix = sp.csr_array(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(n, m)
    )
    matrix = matrix * (1.0 / matrix.sum(axis=1).max() * 20)
    sigma, prior = 0.3 + 0.4 * rng.random(m), np.ones(m)
    space_root = np.linalg.cholesky(space + 1e-10 * np.eye(ns))
    time_root = np.linalg.cholesky(time)
    truth = prior + sigma * (time_root @ rng.standard_normal((nt, ns)) @ space_root.T).ravel()
    variance = (0.5 + rng.random(n)) ** 2
    y = matrix @ truth + np.sqrt(variance) * rng.standard_normal(n)
    problem = Problem(
        matrix, y, variance, prior, KroneckerCovariance(sigma, time, space), groups={"station": station}
    )
    masks = np.random.default_rng(31).integers(0, 31, ns)
    regions = np.tile(masks == np.arange(31)[:, None], nt).astype(float)
    return Case(problem, truth, lat, lon, regions, when)


def dense_answer(problem: Problem):
    """Return posterior mean and covariance by the textbook formula on full matrices."""
    h = problem.jacobian.toarray() if sp.issparse(problem.jacobian) else np.asarray(problem.jacobian)
    b, r = problem.prior_error.dense(), problem.observation_error.dense()
    gain = b @ h.T @ np.linalg.inv(h @ b @ h.T + r)
    return problem.prior + gain @ problem.innovation, b - gain @ h @ b, gain @ h
