"""Forward runs: what known releases add to the air near the ground, on a grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from inversion.transport.receptors.listed import from_places, read_places
from inversion.transport.receptors.releases import Receptors, domain_of
from inversion.transport.run.options import ForwardOptions
from inversion.transport.run.plan import flux_bins, span, told_of
from obsnet.cf import grid_frame, write_netcdf
from obsnet.config import resolve_files
from obsnet.errors import ConfigError, RangeError
from obsnet.grid import Grid
from obsnet.met import Met
from obsnet.met.build import build_met_apart
from obsnet.typing import Floats, Times

__all__ = ["forward", "run_forward"]


def forward(
    met: Met,
    sources: Receptors,
    amounts: npt.ArrayLike,
    grid: Grid,
    edges: Times,
    settings: ParticleSettings,
) -> xr.Dataset:
    """Follow what sources give off and return the mole fraction that it adds below a height.

    Parameters
    ----------
    met : Met
        Must cover `grid` and the period.
    sources : Receptors
        Where and when: points, lines.
    amounts : array_like, shape (len(sources),)
        mol that each gives off in all.
    grid : Grid
        Cells, and the domain that particles leave.
    edges : ndarray of datetime64, shape (time + 1,)
        Periods of the means.
    settings : ParticleSettings
        With ``direction = 1`` and a ``layer``.

    Returns
    -------
    xarray.Dataset
        ``mole_fraction(time, lat, lon)``, mol mol-1, mean over cell, period and the lowest ``layer`` metres, with
        ``mole_fraction_stderr`` of the particles' number.

    Raises
    ------
    ConfigError
        ParticleSettings that do not run forward, or without a layer.

    Notes
    -----
    Q mol spread over N particles, of which each spends the time t_i below the layer's top, make
    ``Q / (T A) * sum(t_i) M / (N rho layer)`` of the air over a cell of area A in a period T: the sum is the number
    that a backward run calls sensitivity (Lin et al. 2003, doi:10.1029/2002JD003161).
    """
    if settings.direction != 1 or not settings.layer > 0.0:
        raise ConfigError("a forward run needs direction = 1 and a layer in m")
    found = simulate(met, sources, grid, edges, settings).sensitivity
    place = {name: k for k, name in enumerate(sources.obs_id.tolist())}
    amount = np.asarray(amounts, dtype=np.float64)[[place[n] for n in found["obs_id"].to_pylist()]]
    periods = np.diff(edges) / np.timedelta64(1, "s")
    cell, bin_ = found["cell"].to_numpy(), found["time_bin"].to_numpy()
    scale = amount / (periods[bin_] * grid.cell_area.ravel()[cell])
    shape = (periods.size, *grid.shape)
    flat = bin_.astype(np.int64) * grid.size + cell
    total, square = np.zeros(shape), np.zeros(shape)
    np.add.at(total.reshape(-1), flat, scale * found["sensitivity"].to_numpy())
    np.add.at(square.reshape(-1), flat, (scale * found["stderr"].to_numpy()) ** 2)
    return _dataset(total, np.sqrt(square), grid, edges, settings)


def _dataset(
    total: Floats,
    error: Floats,
    grid: Grid,
    edges: Times,
    settings: ParticleSettings,
) -> xr.Dataset:
    shared = {
        "units": "mol mol-1",
        "cell_methods": "time: mean area: mean height: mean",
        "cell_measures": "area: cell_area",
        "grid_mapping": "crs",
        "coordinates": "height",
        "coverage_content_type": "modelResult",
    }
    dims = ("time", "lat", "lon")
    bounds = np.stack([edges[:-1], edges[1:]], axis=1)
    middle = bounds[:, 0] + (bounds[:, 1] - bounds[:, 0]) // 2
    height = {"units": "m", "positive": "up", "standard_name": "height", "bounds": "height_bnds"}
    return xr.Dataset(
        {
            "mole_fraction": (dims, total, {**shared, "long_name": "mole fraction that the sources add"}),
            "mole_fraction_stderr": (
                dims,
                error,
                {**shared, "long_name": "standard error of mole_fraction from the number of particles"},
            ),
            **grid_frame(grid),
            "time_bnds": (("time", "nv"), bounds),
            "height_bnds": ("nv", np.array([0.0, settings.layer])),
        },
        {
            "time": ("time", middle, {"standard_name": "time", "axis": "T", "bounds": "time_bnds"}),
            "height": ((), 0.5 * settings.layer, height),
        },
        {
            "title": "Mole fraction added by known releases",
            "summary": f"Forward particles, {settings.particles} a source, mean over {settings.layer:g} m",
            "source": f"obsnet particle model, turbulence {settings.turbulence}, seed {settings.seed}",
            "license": "that of the meteorology",
        },
    )


def run_forward(options: ForwardOptions) -> dict[str, Any]:
    """Read sources, follow them forward, write a CF file; the meteorology is prepared beside it.

    Parameters
    ----------
    options : ForwardOptions
        See `inversion.transport.receptors.listed.read_places` for the sources, with ``amount_mol``.

    Returns
    -------
    dict
        ``sources``, ``skipped`` (reason by source), ``amount_mol``, ``highest`` mole fraction, ``notes``.

    Raises
    ------
    RangeError
        No source can be followed.
    """
    settings, grid = options.settings, options.grid
    table = read_places(options.sources, options.species, amounts=True)
    first, last = span(table)
    last = last + np.timedelta64(round(settings.hours * 3600), "s")
    files = resolve_files(options.met, Path())
    prepared = options.out.with_suffix(".met")
    met = build_met_apart(
        files, prepared, bounds=grid.bounds, start=first, stop=last, **options.met_options.model_dump()
    )
    count, domain = int(settings.particles or 0), domain_of(grid, met)
    places = from_places(table, met, particles=count, hours=settings.hours, domain=domain, direction=1)
    if not len(places):
        reasons = "; ".join(places.skipped.values())
        raise RangeError(f"{options.sources}: no source can be followed: {reasons}")
    given = dict(zip(table["obs_id"].to_pylist(), table["amount_mol"].to_pylist(), strict=True))
    amounts = np.array([given[name] for name in places.obs_id.tolist()])
    data = forward(met, places, amounts, grid, flux_bins(first, last, options.step), settings)
    notes = [*settings.notes, *told_of(met)]
    data["mole_fraction"].attrs["substance"] = options.species
    data.attrs["comment"] = "; ".join(notes)
    write_netcdf(data, options.out, history=f"forward run of {len(places)} sources")
    return {
        "sources": len(places),
        "skipped": places.skipped,
        "amount_mol": float(amounts.sum()),
        "highest": float(data["mole_fraction"].max()),
        "notes": notes,
    }
