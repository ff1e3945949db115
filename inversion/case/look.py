"""What an inversion would say of its inputs before it runs: files are opened, nothing is solved or written."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from inversion.case.inputs.reading import PriorFlux, locate, read_prior
from inversion.case.options import InvertOptions
from inversion.jacobian.store import JacobianStore
from obsnet.case_check import later
from obsnet.config import resolve_files
from obsnet.constants import species
from obsnet.errors import ConfigError, ObsnetError, nearest
from obsnet.work.isolated import apart

__all__ = ["look"]


def look(
    options: InvertOptions, folder: Path, out: Path, before: Collection[str]
) -> Iterator[str | ObsnetError]:
    """Open what an inversion reads and say what a run would say.

    Parameters
    ----------
    options, folder, out
        As of `inversion.case.run.run_invert`.
    before : collection of str
        Stages of the case that come first.

    Yields
    ------
    str or ObsnetError
    """
    if options.foreign is not None:
        yield from _look_foreign(options, folder, out)
        return
    footprints = locate(str(options.footprints), folder, out)
    store = locate(str(options.store), folder, out)
    for path in (store, footprints):
        if not path.exists():
            yield later(path, before)
    prior = _prior(options, footprints, folder, out)
    yield f"prior {prior.name}: {', '.join(prior.flux)} of {species(options.species).name}"
    yield from prior.notes
    known, asked = list(prior.flux), list(options.sector)
    for name in known:
        if name not in asked:
            yield ConfigError(f"sector {name!r} of the prior has no table [invert.sector.{name}]")
    for name in asked:
        if name not in known:
            yield ConfigError(f"[invert.sector.{name}]: the prior has no such sector{nearest(name, known)}")
    yield from _beside(options, folder, out)
    if store.exists() and footprints.exists():
        from inversion.case.inputs.reading import load

        counts = load(options, folder, out).counts
        yield ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in counts.items())


def _prior(options: InvertOptions, footprints: Path, folder: Path, out: Path) -> PriorFlux:
    """Return the prior on the footprints' cells, or on its own where there are none yet."""
    from obsnet.field import grid_of

    path, gas = locate(str(options.prior), folder, out), species(options.species)
    if footprints.exists():
        jacobian = JacobianStore(footprints)
        return read_prior(
            path, jacobian.grid, jacobian.time_edges, gas, options.prior_name, options.prior_file
        )
    from inversion.case.inputs.reading import prior_data

    data = prior_data(path, options.prior_file)
    bounds = data["time_bnds"].values
    edges = np.append(bounds[:, 0], bounds[-1:, 1]) if (bounds[1:, 0] == bounds[:-1, 1]).all() else bounds[0]
    return read_prior(path, grid_of(data), edges, gas, options.prior_name, options.prior_file)


def _beside(options: InvertOptions, folder: Path, out: Path) -> Iterator[str | ObsnetError]:
    """Open regions, points and transport errors."""
    if options.regions is not None:
        from obsnet.regions import read_regions

        frame = read_regions(locate(options.regions, folder, out), options.region_key)
        yield f"{len(frame)} regions in {options.regions}"
    if options.shares.points is not None:
        from obsnet.inventory.points import read_points

        only = next(iter(options.sector), None) if len(options.sector) == 1 else None
        points = read_points(locate(options.shares.points, folder, out), species(options.species).name, only)
        yield f"{len(points.lat)} points in {options.shares.points}"
    if options.error.transport is not None and not locate(options.error.transport, folder, out).exists():
        yield ConfigError(f"[invert.error] transport: {options.error.transport} is not there")


def _look_foreign(options: InvertOptions, folder: Path, out: Path) -> Iterator[str | ObsnetError]:
    from inversion.case.inputs.elements import element_prior, read_elements
    from inversion.case.inputs.foreign import foreign_problem
    from inversion.jacobian.foreign import read_foreign

    assert options.foreign is not None
    data = apart(read_foreign, resolve_files(options.foreign.files, folder))
    problem, found = foreign_problem(data, options.foreign)
    yield f"{found['system']}: {problem.n_obs} rows, {problem.n_state} factors, in {found['unit']}"
    yield from [*found["notes"], *found["converted"]]
    if options.foreign.elements is None:
        yield "no map of the columns (elements): scale factors are written, no totals, so crosscheck cannot read them"
        return
    path = locate(options.foreign.elements, folder, out)
    grid, column = apart(read_elements, path, data.matrix.shape[1])
    yield f"{int(column.max()) + 1} elements on {grid!r}"
    yield from element_prior(options, grid, column, folder, out).notes
    yield from _beside(options, folder, out)
