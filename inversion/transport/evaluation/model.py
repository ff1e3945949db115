"""What the model says each sample of a tracer experiment holds, backward from samples and forward from releases.

Both come from the same number: Q kg spread over N particles, of which each spends the time t_i below the layer's
top, make ``Q sum(t_i) / (N T A layer)`` kg m-3 over a cell of area A in a period T. Backward, the particles are a
sample's, A and T are those of the source's cell and of the release; forward, they are a release's, and A and T those
of the sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from inversion.transport.receptors.releases import Receptors, domain_of, unreachable
from obsnet.constants import MOLAR_MASS_DRY_AIR
from obsnet.grid import Grid
from obsnet.met import Met
from obsnet.times import from_epoch, to_epoch
from obsnet.typing import Floats

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["backward", "forward", "reachable"]


def _seconds(column: pd.Series) -> Floats:
    return np.asarray(to_epoch(column.to_numpy().astype("datetime64[us]")), dtype=np.float64)


def _receptors(met: Met, table: pd.DataFrame, names: list[str], count: int) -> Receptors:
    """Return releases at places that last from start to stop, from bottom to top."""
    n = len(table)
    start, stop = _seconds(table["start"]), _seconds(table["stop"])
    lon = np.asarray(met.wrap(table["longitude"].to_numpy(dtype=np.float64)))
    lat, low, high = (table[c].to_numpy(dtype=np.float64) for c in ("latitude", "bottom", "top"))
    one = np.ones(n)
    rows = [start, stop, lon, lon, lat, lat, low, high, one, 0.5 * one, 0.5 * one, count * one]
    return Receptors(np.array(names), np.arange(n + 1), np.stack(rows, axis=1), np.zeros(n), {})


def reachable(met: Met, grid: Grid, table: pd.DataFrame, hours: Floats, direction: int) -> list[str]:
    """Return why particles cannot start at each row, or "" if they can; parameters as in `backward`."""
    domain = domain_of(grid, met)
    lon = np.asarray(met.wrap(table["longitude"].to_numpy(dtype=np.float64)))
    start, stop = _seconds(table["start"]), _seconds(table["stop"])
    return [
        unreachable(met, float(lat), float(x), (float(a), float(b)), float(h), domain, float(top), direction)
        for lat, x, a, b, h, top in zip(table["latitude"], lon, start, stop, hours, table["top"], strict=True)
    ]


def _density(met: Met, grid: Grid, table: pd.DataFrame, depth: float) -> Floats:
    """Return the mean density of dry air (kg m-3) in the lowest metres, in the middle of each row's time."""
    middle = from_epoch(0.5 * (_seconds(table["start"]) + _seconds(table["stop"])))
    air = met.profile(middle, table["latitude"].to_numpy(), table["longitude"].to_numpy())["density"]
    heights = np.linspace(0.0, depth, 11)
    return np.array([np.interp(heights, met.height, column).mean() for column in air])


def backward(
    met: Met, grid: Grid, samples: pd.DataFrame, releases: pd.DataFrame, settings: ParticleSettings
) -> tuple[Floats, Floats]:
    """Follow each sample's air back to the releases.

    Parameters
    ----------
    met : Met
        Must cover the samples and `settings.hours` before them.
    grid : Grid
        Cells in whose lowest `settings.layer` metres releases are spread.
    samples : pandas.DataFrame
        ``start, stop, latitude, longitude, bottom, top``; all of one length of travel.
    releases : pandas.DataFrame
        As of `inversion.transport.evaluation.datem.read_releases`.
    settings : ParticleSettings
        With ``direction = -1`` and a ``layer``.

    Returns
    -------
    value, error : ndarray, shape (samples,)
        kg m-3, and the standard error of the particles' number.
    """
    names = [str(k) for k in range(len(samples))]
    begin, end = _seconds(releases["start"]), _seconds(releases["stop"])
    first = _seconds(samples["start"]).min() - settings.hours * 3600.0
    last = _seconds(samples["stop"]).max()
    inner = np.concatenate([begin, end])
    edges = np.unique([first, *inner[(inner > first) & (inner < last)], last])
    found = simulate(
        met, _receptors(met, samples, names, int(settings.particles or 1)), grid, from_epoch(edges), settings
    ).sensitivity.to_pandas()
    number, bins = found["obs_id"].astype(int).to_numpy(), found["time_bin"].to_numpy()
    value, variance = np.zeros(len(samples)), np.zeros(len(samples))
    for k, row in enumerate(releases.itertuples()):
        cell = int(grid.index(row.latitude, row.longitude))
        flux = row.mass / ((end[k] - begin[k]) * grid.cell_area.ravel()[cell])
        during = (edges[bins] >= begin[k] - 1e-3) & (edges[bins + 1] <= end[k] + 1e-3)
        seen = during & (found["cell"].to_numpy() == cell)
        np.add.at(value, number[seen], flux * found["sensitivity"].to_numpy()[seen])
        np.add.at(variance, number[seen], (flux * found["stderr"].to_numpy()[seen]) ** 2)
    scale = _density(met, grid, samples, settings.layer) / MOLAR_MASS_DRY_AIR
    return value * scale, np.sqrt(variance) * scale


def forward(
    met: Met, grid: Grid, samples: pd.DataFrame, releases: pd.DataFrame, settings: ParticleSettings
) -> tuple[Floats, Floats]:
    """Follow the releases to the samples; parameters and what is returned as of `backward`, with ``direction = 1``.

    A sample is the mean over its cell of `grid`, the lowest `settings.layer` metres and its time.
    """
    names = [str(k) for k in range(len(releases))]
    start, stop = _seconds(samples["start"]), _seconds(samples["stop"])
    begin, end = _seconds(releases["start"]), _seconds(releases["stop"])
    last = max(end.max() + settings.hours * 3600.0, stop.max())
    inner = np.concatenate([start, stop])
    edges = np.unique([begin.min(), *inner[(inner > begin.min()) & (inner < last)], last])
    found = simulate(
        met, _receptors(met, releases, names, int(settings.particles or 1)), grid, from_epoch(edges), settings
    ).sensitivity.to_pandas()
    mass = releases["mass"].to_numpy()[found["obs_id"].astype(int).to_numpy()]
    cells, bins = found["cell"].to_numpy(), found["time_bin"].to_numpy()
    field, square = np.zeros((edges.size - 1, grid.size)), np.zeros((edges.size - 1, grid.size))
    np.add.at(field, (bins, cells), mass * found["sensitivity"].to_numpy())
    np.add.at(square, (bins, cells), (mass * found["stderr"].to_numpy()) ** 2)
    at = np.asarray(grid.index(samples["latitude"].to_numpy(), samples["longitude"].to_numpy()), dtype=int)
    area = grid.cell_area.ravel()[at]
    value, variance = np.zeros(len(samples)), np.zeros(len(samples))
    for k in range(len(samples)):
        during = (edges[:-1] >= start[k] - 1e-3) & (edges[1:] <= stop[k] + 1e-3)
        value[k], variance[k] = field[during, at[k]].sum(), square[during, at[k]].sum()
    scale = _density(met, grid, samples, settings.layer) / (MOLAR_MASS_DRY_AIR * area * (stop - start))
    return value * scale, np.sqrt(variance) * scale
