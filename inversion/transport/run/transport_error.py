"""What errors of the weather do to each modelled observation: members with other winds or mixing heights, and a flux.

A member m is the model with one error field; its modelled value is ``c_m = H_m f`` plus its background.
What the error gives is the variance over members of the value that infinitely many particles would have. Two
runs of each member with the same field and other turbulence have that in common and nothing else, so the covariance
over members of the two is its unbiased estimate: no Monte-Carlo error has to be known and taken off. Lin & Gerbig
(2005, doi:10.1029/2004GL021127) take the difference of the variances among particles with and without errors instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from inversion.transport.particles.tables import Footprints
from inversion.transport.receptors.releases import Receptors
from inversion.transport.run.options import MixingHeightErrorOptions, WindErrorOptions
from obsnet.grid import Grid
from obsnet.met import Met
from obsnet.typing import Floats, Times

__all__ = ["together", "transport_error"]


def transport_error(
    met: Met,
    receptors: Receptors,
    grid: Grid,
    edges: Times,
    settings: ParticleSettings,
    error: WindErrorOptions | MixingHeightErrorOptions,
    flux: Floats,
    inflow: Callable[[Footprints], dict[str, float]] = lambda _found: {},
) -> pa.Table:
    """Return the variance that errors of the weather give to each modelled observation.

    Parameters
    ----------
    met, grid, edges, settings
        As in `inversion.transport.particles.simulate.simulate`; the seed of `settings` is that of the errors too.
    receptors : Receptors
        With half of ``error.particles`` each.
    error : WindErrorOptions or MixingHeightErrorOptions
        Statistics of the errors, and how many members.
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
        waves, heights = error.fields(settings.seed, member)
        for half in range(2):
            turn = f" {error.kind} error {member} {half}"  # every member and half has turbulence of its own
            found = simulate(met, receptors, grid, edges, settings, waves=waves, heights=heights, turn=turn)
            values[half, member] = _modelled(found, names, flux, inflow(found))
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


def together(found: Mapping[str, pa.Table]) -> pa.Table:
    """Return the variance of errors that do not know of each other, and that of each where there are several.

    Parameters
    ----------
    found : mapping of str to pyarrow.Table
        Of `transport_error`, by kind of error; the same observations.
    """
    first, *others = found.values()
    if not others:
        return first
    sums = {"obs_id": first["obs_id"]}
    total = {name: [t[name].to_numpy() for t in found.values()] for name in first.column_names[1:]}
    sums["transport_variance"] = pa.array(np.sum(total["transport_variance"], axis=0))
    sums["transport_variance_stderr"] = pa.array(
        np.sqrt(np.sum(np.square(total["transport_variance_stderr"]), axis=0))
    )
    sums["members"] = pa.array(np.min(total["members"], axis=0), pa.int32())
    for kind, table in found.items():
        sums[f"{kind.replace(' ', '_')}_variance"] = table["transport_variance"]
    return pa.table(sums)


def _modelled(found: Footprints, names: Any, flux: Floats, background: dict[str, float]) -> Floats:
    """Return ``H f`` and the background of each receptor."""
    rows = found.sensitivity
    felt = rows["sensitivity"].to_numpy() * flux[rows["time_bin"].to_numpy(), rows["cell"].to_numpy()]
    place = {name: k for k, name in enumerate(names)}
    value = np.array([background.get(name, 0.0) for name in place])
    np.add.at(value, [place[name] for name in rows["obs_id"].to_pylist()], felt)
    return value
