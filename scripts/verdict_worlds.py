"""Worlds in which verdicts are calibrated, and their exact inversions; see `calibrate_verdicts`.

A world is a row of provinces over some months with two sectors, fossil and biosphere, observed by footprints that
also see the neighbours and the month before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

TOTAL = 100.0  # Mt a year of every province


@dataclass(frozen=True)
class World:
    """What the inversion assumes.

    Parameters
    ----------
    regions, months : int
        Provinces in a row, months.
    length, tau : float
        Correlation of the prior's errors: provinces, months (0 is none).
    spread : float
        Relative sd of the prior's totals.
    error : float
        Sd of an observation, in units of what a province of 100 Mt makes at its own station.
    gap : float
        Distance of every second province from the one before it; the next pair stands two away.
    coast : {"", "flux", "area"}
        Every province has 40 % of its flux in a cell that half is sea, plants ashore beside ships; by what such cells
        are split between province and sea.
    lognormal : bool
        Fluxes cannot be negative: tested with what method ``lognormal`` tests with.
    """

    regions: int = 13
    months: int = 1
    length: float = 1.0
    tau: float = 0.0
    spread: float = 0.15
    error: float = 0.03
    gap: float = 1.0
    coast: str = ""
    lognormal: bool = False


@dataclass(frozen=True, eq=False)
class Inversion:
    """The inversion of a world: what a verdict needs, and what is needed to draw truths and data."""

    prior: np.ndarray
    kernel: np.ndarray
    noise: np.ndarray
    covariance: np.ndarray
    gain: np.ndarray
    jacobian: np.ndarray
    biosphere: np.ndarray
    error: float
    coast: Coast | None = None


@dataclass(frozen=True, eq=False)
class Coast:
    """What is true of provinces on a coast: inner flux, plants ashore and ships, each (region).

    Attributes
    ----------
    mean, root : ndarray, shape (3 regions,) and (3 regions, k)
        Prior mean of these elements and the factor of their covariance.
    jacobian : ndarray, shape (sites, 3 regions)
    totals : ndarray, shape (regions, 3 regions)
        True totals of the provinces: inner and plants.
    """

    mean: np.ndarray
    root: np.ndarray
    jacobian: np.ndarray
    totals: np.ndarray


def _correlation(n: int, length: float) -> np.ndarray:
    if length <= 0:
        return np.eye(n)
    return np.exp(-np.abs(np.subtract.outer(np.arange(n), np.arange(n))) / length)


def covariance(world: World) -> np.ndarray:
    """Return the prior covariance of fossil totals, (region, month) with the month fastest."""
    together = np.kron(_correlation(world.regions, world.length), _correlation(world.months, world.tau))
    return (world.spread * TOTAL) ** 2 * together


@lru_cache(maxsize=64)
def invert(world: World) -> Inversion:
    """Solve a world exactly; fossil and biosphere jointly."""
    if world.coast:
        return _invert_coast(world)
    if world.lognormal:
        return _invert_lognormal(world, invert(replace(world, lognormal=False)))
    sites = 3 * world.regions
    where = np.linspace(-0.5, world.regions - 0.5, sites)
    place = np.arange(world.regions) - (1.0 - world.gap) * (np.arange(world.regions) % 2)
    distance = np.abs(np.subtract.outer(where, place))
    space = np.exp(-distance / 0.9) / TOTAL
    time = np.eye(world.months) + 0.3 * np.eye(world.months, k=-1)  # air of the month before is still there
    jacobian = np.kron(space, time)
    fossil = covariance(world)
    land = (0.03 * TOTAL) ** 2 * np.kron(_correlation(world.regions, 5.0), _correlation(world.months, 1.0))
    seen = jacobian @ (fossil + land) @ jacobian.T + world.error**2 * np.eye(len(jacobian))
    gain = np.linalg.solve(seen, jacobian @ fossil).T
    kernel = gain @ jacobian
    noise = world.error**2 * gain @ gain.T + kernel @ land @ kernel.T
    prior = np.full(len(fossil), TOTAL)
    return Inversion(prior, kernel, noise, fossil, gain, jacobian, np.linalg.cholesky(land), world.error)


def _invert_coast(world: World) -> Inversion:
    """Solve for the cells of a coast: an inner one and one shared with the sea for each province."""
    n, eye = world.regions, np.eye(world.regions)
    plants, ships = 0.4 * TOTAL, 0.05 * TOTAL
    mean = np.repeat([TOTAL - plants, plants, ships], n)
    # a factor on a whole province, and of each element by itself
    own = np.linalg.cholesky(_correlation(n, world.length) + 1e-12 * eye)
    common = world.spread * mean[:, None] * np.vstack([own, own, np.zeros((n, n))])
    apart = np.diag(0.1 * mean)
    root = np.hstack([common, apart])
    sites = np.linspace(-0.5, n - 0.5, 3 * n)
    near = np.exp(-np.abs(np.subtract.outer(sites, np.arange(n))) / 0.9) / TOTAL
    shore = np.exp(-np.abs(np.subtract.outer(sites, np.arange(n) + 0.2)) / 0.9) / TOTAL
    jacobian = np.hstack([near, shore, shore])
    cells = np.kron(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]), eye)  # plants and ships stand in one cell
    h = np.hstack([near, shore])
    b = cells @ root @ root.T @ cells.T
    land = (0.03 * TOTAL) ** 2 * _correlation(n, 5.0)
    seen = h @ b @ h.T + near @ land @ near.T + world.error**2 * np.eye(len(h))
    share = plants / (plants + ships) if world.coast == "flux" else 0.5
    g = np.hstack([eye, share * eye])
    before = cells @ mean
    pattern = np.where(
        g.T > 0, before[:, None] / (g @ before), 0.0
    )  # U: a total spread as its prior; g U = 1
    gain = np.linalg.solve(seen, h @ b).T
    rows = g @ gain
    kernel = rows @ h @ pattern
    inside = rows @ h @ (np.eye(2 * n) - pattern @ g)
    noise = world.error**2 * rows @ rows.T + rows @ near @ land @ near.T @ rows.T + inside @ b @ inside.T
    totals = np.hstack([eye, eye, np.zeros((n, n))])
    coast = Coast(mean, root, jacobian, totals)
    return Inversion(
        g @ before, kernel, noise, g @ b @ g.T, rows, near, np.linalg.cholesky(land), world.error, coast
    )


def _invert_lognormal(world: World, made: Inversion) -> Inversion:
    """Return the linear estimate that method `lognormal` tests with."""
    from inversion.operators.covariance import BlockDiagonalCovariance, DenseCovariance
    from inversion.problem.problem import Problem
    from inversion.solvers.lognormal import linear_estimate

    m = len(made.prior)
    log = np.log1p(made.covariance / np.outer(made.prior, made.prior))
    land = made.biosphere @ made.biosphere.T
    prior = np.concatenate([made.prior * np.exp(-0.5 * np.diagonal(log)), np.zeros(m)])
    h = np.hstack([made.jacobian, made.jacobian])
    error = BlockDiagonalCovariance([DenseCovariance(log, "fossil"), DenseCovariance(land, "land")])
    problem = Problem(h, np.zeros(len(h)), np.full(len(h), world.error**2), prior, error)
    found, weights = linear_estimate(problem, np.arange(2 * m) < m), np.eye(m, 2 * m)
    rows, before = found.gain_rows(weights), found.prior_aggregate(weights)
    kernel = rows @ made.jacobian
    noise = world.error**2 * rows @ rows.T + kernel @ land @ kernel.T
    return Inversion(
        before.mean, kernel, noise, before.covariance, rows, made.jacobian, made.biosphere, made.error
    )


def lognormal_truth(rng: np.random.Generator, made: Inversion) -> np.ndarray:
    """Draw totals whose logarithms are normal, with the mean and covariance of the prior."""
    log = np.log1p(made.covariance / np.outer(made.prior, made.prior))
    z = np.linalg.cholesky(log) @ rng.standard_normal(len(made.prior))
    return made.prior * np.exp(z - 0.5 * np.diagonal(log))


def truncated_truth(rng: np.random.Generator, made: Inversion) -> np.ndarray:
    """Draw totals of the normal prior that are not below zero."""
    factor = np.linalg.cholesky(made.covariance)
    while True:
        truth = made.prior + factor @ rng.standard_normal(len(made.prior))
        if (truth >= 0.0).all():
            return truth


def truncated_mean(rng: np.random.Generator, made: Inversion, data: np.ndarray) -> np.ndarray:
    """Return the posterior mean of totals as method `truncated` draws it; `data` is about the prior."""
    from inversion.operators.covariance import BlockDiagonalCovariance, DenseCovariance
    from inversion.problem.problem import Problem
    from inversion.solvers.truncated import solve_truncated

    m = len(made.prior)
    land = made.biosphere @ made.biosphere.T
    error = BlockDiagonalCovariance(
        [DenseCovariance(made.covariance, "fossil"), DenseCovariance(land, "land")]
    )
    h = np.hstack([made.jacobian, made.jacobian])
    prior = np.concatenate([made.prior, np.zeros(m)])
    observations = data + made.jacobian @ made.prior
    problem = Problem(h, observations, np.full(len(h), made.error**2), prior, error)
    lower = np.concatenate([np.zeros(m), np.full(m, -np.inf)])
    seed = int(rng.integers(2**31))
    return solve_truncated(problem, lower, draws=2000, least=100.0, seed=seed).mean[:m]
