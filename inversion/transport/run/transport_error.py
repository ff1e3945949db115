"""What errors of the weather's winds do to each modelled observation: members that are blown otherwise, and a flux.

A member m is the model with one error field of the winds; its modelled value is ``c_m = H_m f`` plus its background.
What the winds' error gives is the variance over members of the value that infinitely many particles would have. Two
runs of each member with the same field and other turbulence have that in common and nothing else, so the covariance
over members of the two is its unbiased estimate: no Monte-Carlo error has to be known and taken off. Lin & Gerbig
(2005, doi:10.1029/2004GL021127) take the difference of the variances among particles with and without errors instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from inversion.transport.particles.tables import Footprints
from inversion.transport.particles.wind_error import wind_error_waves
from inversion.transport.receptors.releases import Receptors
from inversion.transport.run.options import WindErrorOptions
from obsnet.grid import Grid
from obsnet.met import Met
from obsnet.typing import Floats, Times

__all__ = ["transport_error"]


def transport_error(
    met: Met,
    receptors: Receptors,
    grid: Grid,
    edges: Times,
    settings: ParticleSettings,
    error: WindErrorOptions,
    flux: Floats,
    inflow: Callable[[Footprints], dict[str, float]] = lambda _found: {},
) -> pa.Table:
    """Return the variance that wind errors give to each modelled observation.

    Parameters
    ----------
    met, grid, edges, settings
        As in `inversion.transport.particles.simulate.simulate`; the seed of `settings` is that of the errors too.
    receptors : Receptors
        With half of ``error.particles`` each.
    error : WindErrorOptions
        Statistics of the winds' errors, and how many members.
    flux : ndarray, shape (bins, cells)
        In the species' customary unit of flux (umol m-2 s-1 for ppm).
    inflow : callable, optional
        Takes what `simulate` found and returns the background value of each obs_id.

    Returns
    -------
    pyarrow.Table
        ``obs_id``; ``transport_variance``, in the square of the species' unit, unbiased and therefore below 0 now and
        then where it is small; ``transport_variance_stderr`` from the number of members; ``members``.
    """
    names, settings = receptors.obs_id.tolist(), settings.but(paths=0.0)
    values = np.zeros((2, error.members, len(names)))
    for member in range(error.members):
        waves = wind_error_waves(error, settings.seed, member)
        for half in range(2):
            # Random numbers go by the name: every member and half has turbulence of its own.
            own = np.array([f"{name} wind error {member} {half}" for name in names])
            found = simulate(met, replace(receptors, obs_id=own), grid, edges, settings, waves=waves)
            values[half, member] = _modelled(found, own, flux, inflow(found))
    one, two = values - values.mean(axis=1, keepdims=True)
    free = error.members - 1
    shared = (one * two).sum(axis=0) / free
    each = (one**2).sum(axis=0) * (two**2).sum(axis=0) / free**2
    return pa.table(
        {
            "obs_id": pa.array(names, pa.string()),
            "transport_variance": shared,
            # Of the covariance of two Gaussian samples.
            "transport_variance_stderr": np.sqrt((each + shared**2) / free),
            "members": pa.array([error.members] * len(names), pa.int32()),
        }
    )


def _modelled(found: Footprints, names: Any, flux: Floats, background: dict[str, float]) -> Floats:
    """Return ``H f`` and the background of each receptor."""
    rows = found.sensitivity
    felt = rows["sensitivity"].to_numpy() * flux[rows["time_bin"].to_numpy(), rows["cell"].to_numpy()]
    place = {name: k for k, name in enumerate(names.tolist())}
    value = np.array([background.get(name, 0.0) for name in place])
    np.add.at(value, [place[name] for name in rows["obs_id"].to_pylist()], felt)
    return value
