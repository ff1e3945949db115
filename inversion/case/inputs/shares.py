"""Regions of a case and how its cells are split among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from inversion.case.inputs.reading import FluxPattern, PriorFlux, locate
from inversion.case.options import InvertOptions
from inversion.jacobian.store import Jacobian
from obsnet.constants import species
from obsnet.errors import ConfigError, nearest
from obsnet.inventory.points import read_points
from obsnet.regions import PROVINCES, REST, provinces, read_regions
from obsnet.shares import Shares
from obsnet.splitting import flux_shares

__all__ = ["read_shares"]


def read_shares(
    options: InvertOptions, jacobian: Jacobian, prior: PriorFlux, folder: Path, out: Path
) -> tuple[Shares, dict[str, str], str]:
    """Return the shares of a case's regions in its cells, names of regions for people, and where borders are from.

    Parameters
    ----------
    options : InvertOptions
        ``regions`` and ``region_key``, without them China's provinces; ``shares``.
    jacobian : Jacobian
        Its grid is split.
    prior : PriorFlux
        By whose flux, on the grid of its own file.
    folder, out : Path
        See `inversion.case.inputs.reading.locate`.

    Raises
    ------
    ObsnetError
        Regions, points or rules that cannot be used.
    """
    if options.regions is None:
        frame, names = provinces(), {k: v[0] for k, v in PROVINCES.items()}
    else:
        frame, names = read_regions(locate(str(options.regions), folder, out), options.region_key), {}
    choice, sectors = options.shares, list(prior.flux)
    shape = jacobian.grid.shape
    pattern = prior.pattern or FluxPattern.of(
        jacobian.grid,
        {s: f.reshape(-1, *shape) for s, f in prior.flux.items()},
        np.full(jacobian.n_time, 1.0 / jacobian.n_time),
    )
    rules = choice.rule if isinstance(choice.rule, dict) else dict.fromkeys(sectors, choice.rule)
    for key, named in (("rule", list(rules)), ("diffuse", choice.diffuse)):
        for sector in named:
            if sector not in sectors:
                raise ConfigError(
                    f"[invert.shares] {key}: the prior has no sector {sector!r}{nearest(sector, sectors)}"
                )
    points = None
    if choice.points is not None:
        only = sectors[0] if len(sectors) == 1 else None
        points = read_points(locate(choice.points, folder, out), species(options.species).name, only)
    shares = flux_shares(
        frame,
        jacobian.grid,
        pattern.size,
        flux_grid=pattern.grid,
        points=points,
        rules=rules,
        diffuse=(*choice.diffuse, *pattern.both_signs),
        given=pattern.given,
        snap_deg=choice.snap_deg,
    )
    shares = replace(shares, notes=(*shares.notes, *_certain(options, prior, shares)))
    return shares, names, str(frame.attrs.get("source", options.regions))


def _certain(options: InvertOptions, prior: PriorFlux, shares: Shares) -> Iterator[str]:
    """Say of which sectors the flux in no region has no error."""
    rest = [label in REST for label in shares.labels]
    for sector, choice in options.sector.items():
        if sector not in prior.flux or not choice.regional_relative or choice.relative or choice.sigma:
            continue
        total = shares.area(sector) @ np.abs(prior.flux[sector]).mean(axis=0)
        if total[rest].sum() > 0.0:
            yield (
                f"{sector}: the {total[rest].sum() / total.sum():.1%} of its flux in no region are taken as known, "
                "because regional_relative is its only error; give relative or sigma too"
            )
