"""The invented truth: emissions, biosphere, inflow, and what the bottom-up inventory says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from obsnet.errors import ConfigError, nearest
from obsnet.grid import Grid
from obsnet.inventory.gridded import spread_totals
from obsnet.inventory.table import builtin, mole_rate
from obsnet.schema import SIDES
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.typing import Floats

__all__ = ["BACKGROUND_PPM", "SETTINGS", "DemoWorld", "TwinSettings", "make_world"]

BACKGROUND_PPM = 412.0


@dataclass(frozen=True)
class TwinSettings:
    """What the twin experiment assumes; the same numbers go into the case file.

    Parameters
    ----------
    inventory_sd : float
        Relative sd by which a province's bottom-up total is off from the truth.
    planted_error : float
        Share by which the planted province's bottom-up total is too low.
    regional_sigma, cell_sigma, cell_length_km : float
        The inversion's doubt of fossil fluxes: relative sd of whole provinces, of single cells, and how far
        the latter reaches.
    biosphere_sigma, biosphere_length_km, biosphere_days : float
        Biosphere: umol m-2 s-1, km, days.
    biosphere_bins : int
        Flux time bins over which its error stays the same.
    inflow_sigma, inflow_days : float
        Inflow at each side: ppm, length of a period in days.
    point_transport_sd, column_transport_sd : float
        Transport error of a modelled value at a station and in a column, ppm; the scatter of the particles
        that make the truth is counted in it.
    """

    inventory_sd: float = 0.05
    planted_error: float = 0.25
    regional_sigma: float = 0.30
    cell_sigma: float = 0.25
    cell_length_km: float = 150.0
    biosphere_sigma: float = 0.30
    biosphere_length_km: float = 500.0
    biosphere_days: float = 7.0
    biosphere_bins: int = 2
    inflow_sigma: float = 1.5
    inflow_days: float = 3.0
    point_transport_sd: float = 1.5
    column_transport_sd: float = 0.3


SETTINGS = TwinSettings()


@dataclass(frozen=True)
class DemoWorld:
    """Truth and inventory on one grid.

    Parameters
    ----------
    grid : Grid
        Flux cells.
    regions : list of str
        Adcodes, the order of `weights`.
    weights : scipy.sparse array, shape (regions, cells)
        What turns a fossil flux into totals of the regions, m2.
    prior_fossil, prior_biosphere : ndarray, shape (cells,), (bins, cells)
        mol m-2 s-1; what the inversion starts from: the reported inventory, spread.
    true_fossil, true_biosphere : ndarray
        The same for the truth.
    inflow : ndarray, shape (6, bins)
        True mole fraction of air that came through each side in each bin, ppm.
    reported : ndarray, shape (regions,)
        Bottom-up totals, mol s-1; NaN where nobody reports.
    planted : str
        Adcode of the province whose bottom-up total is wrong.
    """

    grid: Grid
    regions: list[str]
    weights: Any
    prior_fossil: Floats
    prior_biosphere: Floats
    true_fossil: Floats
    true_biosphere: Floats
    inflow: Floats
    reported: Floats
    planted: str

    def true_total(self, region: str) -> float:
        """Return the true fossil total of a region, Mt CO2 a year."""
        rate = float((self.weights @ self.true_fossil)[self.regions.index(region)])
        return rate / mole_rate(1.0, "Mt", "CO2")


def _plants(totals: Floats, share: Floats, rng: np.random.Generator) -> Floats:
    """Place half of each region's total as plants in cells that lie well inside it; mol s-1 a cell."""
    points = np.zeros(share.shape[1])
    for r in np.flatnonzero(np.isfinite(totals)):
        inside = np.flatnonzero(share[r] > 0.95)
        if len(inside) == 0:
            continue
        cells = rng.choice(inside, size=min(6, len(inside)), replace=False)
        sizes = rng.dirichlet(np.full(len(cells), 2.0))
        np.add.at(points, cells, 0.5 * totals[r] * sizes)
    return points


def _biosphere(grid: Grid, land: Floats) -> Floats:
    """Return the winter respiration of the prior, mol m-2 s-1: strongest where it is mild."""
    latitude = np.repeat(grid.lat, grid.shape[1])
    return 1e-6 * land * (0.6 * np.exp(-(((latitude - 25.0) / 12.0) ** 2)) + 0.1)


def _with_totals(density: Floats, totals: Floats, weights: Any, share: Floats) -> Floats:
    """Scale a density region by region until its totals are the given ones; border cells take the mix."""
    cover = share.sum(0)
    for _ in range(200):
        current = weights @ density
        there = np.isfinite(totals) & (current > 0)
        factor = np.where(there, totals / np.where(there, current, 1.0), 1.0)
        density = density * np.where(cover > 0, (share.T @ factor) / np.where(cover > 0, cover, 1.0), 1.0)
        if np.abs(factor - 1.0).max() < 1e-10:
            break
    return density


def _correlated(grid: Grid, length_km: float, rng: np.random.Generator, draws: int) -> Floats:
    """Draw fields of unit variance with correlation exp(-chord / length), shape (draws, cells)."""
    lat, lon = np.meshgrid(grid.lat, grid.lon, indexing="ij")
    xyz = EARTH_RADIUS_KM * unit_vectors(lat.ravel(), lon.ravel())
    from scipy.spatial.distance import pdist, squareform

    correlation = np.exp(-squareform(pdist(xyz)) / length_km)
    factor = np.linalg.cholesky(correlation + 1e-9 * np.eye(len(xyz)))
    return (factor @ rng.standard_normal((len(xyz), draws))).T


def make_world(
    grid: Grid,
    regions: list[str],
    weights: Any,
    fraction: Any,
    bins: int,
    bin_days: float,
    *,
    seed: int,
    planted: str,
    settings: TwinSettings = SETTINGS,
) -> DemoWorld:
    """Draw a truth around the 2019 provincial totals, and an inventory with one wrong province.

    Parameters
    ----------
    grid : Grid
        Flux cells.
    regions : list of str
        Adcodes.
    weights : scipy.sparse array, shape (regions, cells)
        What turns a fossil flux into totals of the regions, m2, see `obsnet.shares.Shares.area`.
    fraction : scipy.sparse array, shape (regions, cells)
        Of each cell's area in each region.
    bins : int
        Flux time bins.
    bin_days : float
        Their length.
    seed : int
        Of every draw.
    planted : str
        Adcode.
    settings : TwinSettings
        Sizes of the errors; the inversion is told the same.

    Raises
    ------
    ConfigError
        The planted province has no inventory.
    """
    from scipy import sparse

    rng = np.random.default_rng([seed, 1])
    weights = sparse.csr_array(weights)
    table = builtin("ceads-2019").set_index("region")
    rate = mole_rate(table["value"], "Mt", "CO2")
    published = np.array([rate.get(code, np.nan) for code in regions])
    if planted not in set(table.index):
        raise ConfigError(f"planted province {planted!r} has no inventory{nearest(planted, table.index)}")
    area = grid.cell_area.ravel()
    share = (weights @ sparse.diags_array(1.0 / area)).toarray()
    inside = fraction.toarray()
    land = np.clip(inside.sum(0), 0, 1)
    reported = published.copy()
    where = regions.index(planted)
    reported[where] *= 1.0 - settings.planted_error
    # The pattern is one and the same; truth and inventory differ by province totals and by cells.
    prior_fossil = spread_totals(reported, weights, np.ones(grid.size), _plants(reported, inside, rng))
    true_totals = published * (1.0 + settings.inventory_sd * rng.standard_normal(len(regions)))
    pattern = 1.0 + settings.cell_sigma * _correlated(grid, settings.cell_length_km, rng, 1)[0]
    true_fossil = _with_totals(prior_fossil * np.maximum(pattern, 0.0), true_totals, weights, share)
    prior_biosphere = np.tile(_biosphere(grid, land), (bins, 1))
    group = np.arange(bins) // settings.biosphere_bins
    middle = bin_days * np.array([np.flatnonzero(group == g).mean() for g in np.unique(group)])
    fields = _correlated(grid, settings.biosphere_length_km, rng, len(middle))
    for k in range(1, len(middle)):
        memory = np.exp(-(middle[k] - middle[k - 1]) / settings.biosphere_days)
        fields[k] = memory * fields[k - 1] + np.sqrt(1 - memory**2) * fields[k]
    true_biosphere = prior_biosphere + 1e-6 * settings.biosphere_sigma * land * fields[group]
    periods = int(np.ceil(bins * bin_days / settings.inflow_days))
    draws = settings.inflow_sigma * rng.standard_normal((len(SIDES), periods))
    period = np.minimum((np.arange(bins) * bin_days / settings.inflow_days).astype(int), periods - 1)
    inflow = BACKGROUND_PPM + draws[:, period]
    return DemoWorld(
        grid,
        regions,
        weights,
        prior_fossil,
        prior_biosphere,
        true_fossil,
        true_biosphere,
        inflow,
        reported,
        planted,
    )
