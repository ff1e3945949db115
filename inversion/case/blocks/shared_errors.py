"""Errors that many observations share, as unknowns of the state: averaging does not make them smaller.

Four kinds: a station's stated systematic error is one offset; the columns of one source (a product, an instrument of
several satellites) share a pattern over the ground, alike over some distance and the same at all times; of the
model error of columns a share is common to each overpass; and columns whose footprints share particles err alike by
chance. An error ``P z`` with ``z ~ N(0, C)`` in R and an unknown z
of the state with prior error C are the same thing, ``H B H' + R`` has ``P C P'`` either way, so every solver has them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from inversion.case.blocks.block import Block
from inversion.case.blocks.model_error import ErrorParts
from inversion.case.options import OffsetOptions
from inversion.operators.covariance import DiagonalCovariance
from inversion.operators.kernels import space_correlation
from inversion.operators.kronecker import KroneckerCovariance
from inversion.problem.state import StateBlock
from obsnet.constants import Species
from obsnet.errors import ConfigError, nearest
from obsnet.sphere import METRES_PER_DEGREE
from obsnet.typing import Bools, Floats, Ints, Texts

__all__ = ["OVERPASS", "PARTICLES", "PATTERN", "SYSTEMATIC", "shared_blocks", "shared_notes"]

# Names of the blocks.
SYSTEMATIC, PATTERN, OVERPASS, PARTICLES = "systematic", "pattern", "overpass", "particles"
_NODES = 4.0  # a correlation length


def shared_blocks(options: OffsetOptions, errors: ErrorParts, table: pa.Table, gas: Species) -> list[Block]:
    """Return the unknowns that stand for shared errors; their prior means are 0.

    Parameters
    ----------
    options : OffsetOptions
        The table ``[invert.offset]``.
    errors : ErrorParts
        With what an overpass has in common, and columns of the same particles.
    table : pyarrow.Table
        Observations: ``source, kind, platform, latitude, longitude, uncertainty_systematic``.
    gas : Species
        Gives the unit.

    Raises
    ------
    ConfigError
        A pattern of a source that is not there, or of stations.
    """
    source, kind, platform = (
        table[n].to_numpy(zero_copy_only=False).astype(str) for n in ("source", "kind", "platform")
    )
    stated = np.nan_to_num(table["uncertainty_systematic"].to_numpy(zero_copy_only=False).astype(np.float64))
    stated[np.isin(source, list(options.sigma)) | (not options.systematic)] = 0.0
    columns = kind == "column"
    for name, sigma in options.pattern.items():
        rows = (source == name) & columns
        if not rows.any():
            raise ConfigError(
                f"[invert.offset.pattern] no column is from {name!r}{nearest(name, set(source[columns]))}"
            )
        stated[rows] = sigma
    found = [_by_label(SYSTEMATIC, "platform", platform, np.where(columns, 0.0, stated), gas)]
    if options.pattern_km > 0.0:
        found.append(_pattern(options.pattern_km, source, columns & (stated > 0.0), stated, table, gas))
    else:
        found.append(_by_label(PATTERN, "source", source, np.where(columns, stated, 0.0), gas))
    found.append(_by_label(OVERPASS, "overpass", errors.overpass, errors.common, gas))
    found.append(_by_label(PARTICLES, "swarm", errors.swarm, errors.sampled, gas))
    return [block for block in found if block is not None]


def shared_notes(options: OffsetOptions, blocks: Iterable[Block]) -> tuple[str, ...]:
    """Return what of these errors was chosen for the user."""
    if PATTERN not in {b.block.name for b in blocks} or "pattern_km" in options.model_fields_set:
        return ()
    km = f"offset.pattern_km = {options.pattern_km:g}, not stated: assumed"
    return (f"{km}; the systematic error of columns is a pattern over the ground, the same at all times",)


def _by_label(name: str, axis: str, labels: Texts, size: Floats, gas: Species) -> Block | None:
    """Return one unknown a label, as large as each of its observations says."""
    rows = np.flatnonzero(size > 0.0)
    if not rows.size:
        return None
    names, column = np.unique(labels[rows], return_inverse=True)
    spread = _root_mean_square(size[rows], column)
    matrix = sp.csr_array((size[rows] / spread[column], (rows, column)), shape=(size.size, names.size))
    block = StateBlock(name, "offset", (axis,), {axis: names}, gas.unit_name)
    return Block(block, matrix, np.zeros(block.size), DiagonalCovariance(spread**2))


def _pattern(
    length_km: float, source: Texts, chosen: Bools, size: Floats, table: pa.Table, gas: Species
) -> Block | None:
    """Return a pattern a source, constant in cells of a fraction of its length."""
    rows = np.flatnonzero(chosen)
    if not rows.size:
        return None
    names, which = np.unique(source[rows], return_inverse=True)
    step = 1e3 * length_km / _NODES / METRES_PER_DEGREE
    lat, lon = (table[n].to_numpy()[rows].astype(np.float64) for n in ("latitude", "longitude"))
    cells = np.stack([np.floor(lat / step), np.floor(lon / step)])
    places, node = np.unique(cells, axis=1, return_inverse=True)
    middle = np.clip((places[0] + 0.5) * step, -90.0, 90.0), (places[1] + 0.5) * step
    column = which * places.shape[1] + node.ravel()
    spread = np.repeat(_root_mean_square(size[rows], which), places.shape[1])
    matrix = sp.csr_array((size[rows] / spread[column], (rows, column)), shape=(source.size, spread.size))
    labels = np.array([f"{a:.2f} {o:.2f}" for a, o in zip(*middle, strict=True)])
    block = StateBlock(
        PATTERN, "offset", ("source", "place"), {"source": names, "place": labels}, gas.unit_name
    )
    # sources are the slow axis and independent of each other: the "time" of this Kronecker product
    error = KroneckerCovariance(spread, np.eye(names.size), space_correlation(*middle, length_km))
    return Block(block, matrix, np.zeros(block.size), error)


def _root_mean_square(values: Floats, group: Ints) -> Floats:
    return np.sqrt(np.bincount(group, values**2) / np.bincount(group))
