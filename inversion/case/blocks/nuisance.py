"""Unknowns that are no fluxes and that a case names: the air that flows in, offsets and biases of sources."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from inversion.case.blocks.block import Block
from inversion.case.options import BoundaryOptions, OffsetOptions
from inversion.jacobian.store import Jacobian
from inversion.operators.covariance import DiagonalCovariance
from inversion.operators.kernels import time_correlation
from inversion.operators.kronecker import KroneckerCovariance
from inversion.problem.state import StateBlock
from inversion.problem.time_bins import state_bins
from obsnet.constants import Species
from obsnet.errors import ConfigError, nearest
from obsnet.schema import SIDES
from obsnet.typing import Floats, Texts

__all__ = ["background", "nuisance_blocks", "offset_blocks"]


def nuisance_blocks(
    boundary: BoundaryOptions, offset: OffsetOptions, jacobian: Jacobian, table: pa.Table, gas: Species
) -> list[Block]:
    """Return the blocks of the state that are no fluxes; their prior means are 0.

    Parameters
    ----------
    boundary, offset : BoundaryOptions, OffsetOptions
        The tables ``[invert.boundary]`` and ``[invert.offset]``.
    jacobian : Jacobian
        Rows in the order of `table`.
    table : pyarrow.Table
        Observations.
    gas : Species
        Gives the unit.

    Raises
    ------
    ConfigError
        A source that is not there, or inflow of which the footprints know nothing.
    """
    inflow = _boundary_block(boundary, jacobian, gas)
    return [*([] if inflow is None else [inflow]), *offset_blocks(offset, table, gas)]


def offset_blocks(options: OffsetOptions, table: pa.Table, gas: Species) -> list[Block]:
    """Return the offsets and gradients that a case names; see `nuisance_blocks`."""
    made = (_offset_block(options, table, gas), _gradient_block(options, table, gas))
    return [block for block in made if block is not None]


def background(options: BoundaryOptions, jacobian: Jacobian) -> Floats:
    """Return what each observation would read without fluxes inside the domain and without corrections.

    It is the footprints' own background value where they have one, else ``fixed + sum of shares x inflow``:
    what a column takes from its retrieval's prior, and the air that came in.

    Raises
    ------
    ConfigError
        Observations without their own value and no mole fraction of inflowing air given.
    """
    n = jacobian.obs_id.size
    known = np.full(n, np.nan) if jacobian.background is None else np.asarray(jacobian.background, np.float64)
    bare = ~np.isfinite(known)
    if bare.any() and options.background is None:
        raise ConfigError(
            f"{int(bare.sum())} of {n} footprints bring no background value (first "
            f"{jacobian.obs_id[bare][0]!r}): set invert.boundary.background to the mole fraction of "
            "inflowing air"
        )
    share = np.ones(n) if jacobian.boundary is None else np.asarray(jacobian.boundary.sum(axis=1)).ravel()
    fixed = np.zeros(n) if jacobian.fixed is None else np.nan_to_num(jacobian.fixed)
    return np.where(bare, fixed + share * (options.background or 0.0), known)


def _boundary_block(options: BoundaryOptions, jacobian: Jacobian, gas: Species) -> Block | None:
    """Return corrections of the inflow by side and period."""
    given = options.sigma
    sigma: dict[str, float] = dict(given.items()) if isinstance(given, dict) else dict.fromkeys(SIDES, given)
    sides = [s for s in SIDES if sigma.get(s, 0.0) > 0.0]
    if not sides:
        return None
    if jacobian.boundary is None:
        raise ConfigError(
            "invert.boundary.sigma asks for a correction of the inflow, but the footprints do not "
            "say through which "
            "side the air came"
        )
    bins = state_bins(jacobian.time_edges, options.step)
    n_time = bins.of_flux.size
    side, flux_bin = np.meshgrid(np.arange(len(sides)), np.arange(n_time), indexing="ij")
    rows = (np.array([SIDES.index(s) for s in sides])[side] * n_time + flux_bin).ravel()
    columns = (side * bins.size + bins.of_flux[flux_bin]).ravel()
    group = sp.csr_array(
        (np.ones(rows.size), (rows, columns)), shape=(len(SIDES) * n_time, len(sides) * bins.size)
    )
    block = StateBlock(
        "boundary",
        "boundary",
        ("side", "period"),
        {"side": np.array(sides), "period": bins.middle},
        gas.unit_name,
    )
    spread = np.repeat([sigma[s] for s in sides], bins.size)
    # sides are the slow axis and independent of each other: the "time" of this Kronecker product
    error = KroneckerCovariance(
        spread, np.eye(len(sides)), time_correlation(bins.middle, options.correlation_days)
    )
    return Block(block, sp.csr_array(sp.csr_array(jacobian.boundary) @ group), np.zeros(block.size), error)


def _offset_block(options: OffsetOptions, table: pa.Table, gas: Species) -> Block | None:
    """Return constant offsets of the named sources."""
    if not options.sigma:
        return None
    source = _text(table, "source")
    _known("[invert.offset]", options.sigma, source)
    labels = (
        table["time"].to_numpy().astype("datetime64[D]").astype(str)
        if options.by == "day"
        else _text(table, options.by)
    )
    if options.by in ("mode", "day"):
        labels = np.char.add(np.char.add(source, " "), labels)
    rows = np.flatnonzero(np.isin(source, list(options.sigma)))
    names, first, column = np.unique(labels[rows], return_index=True, return_inverse=True)
    matrix = sp.csr_array((np.ones(rows.size), (rows, column)), shape=(len(table), names.size))
    spread = np.array([options.sigma[s] for s in source[rows[first]]])
    block = StateBlock("offset", "offset", (options.by,), {options.by: names}, gas.unit_name)
    return Block(block, matrix, np.zeros(block.size), DiagonalCovariance(spread**2))


def _gradient_block(options: OffsetOptions, table: pa.Table, gas: Species) -> Block | None:
    """Return biases of the named sources that grow with latitude, for 10 degrees."""
    if not options.gradient:
        return None
    source, latitude = _text(table, "source"), table["latitude"].to_numpy().astype(np.float64)
    _known("[invert.offset.gradient]", options.gradient, source)
    names = np.array(sorted(options.gradient))
    columns = np.zeros((len(table), names.size))
    for number, name in enumerate(names):
        rows = source == name
        columns[rows, number] = (latitude[rows] - latitude[rows].mean()) / 10.0
    block = StateBlock("gradient", "offset", ("source",), {"source": names}, gas.unit_name)
    error = DiagonalCovariance(np.array([options.gradient[n] for n in names]) ** 2)
    return Block(block, sp.csr_array(columns), np.zeros(block.size), error)


def _known(where: str, given: Mapping[str, float], source: Texts) -> None:
    for name in given:
        if name not in source:
            raise ConfigError(f"{where} no observation is from {name!r}{nearest(name, set(source))}")


def _text(table: pa.Table, column: str) -> Texts:
    return np.asarray(pc.fill_null(table[column], "unknown").to_numpy(zero_copy_only=False)).astype(str)
