"""The mean of the observation operators of a group, and what averaging their parts apart loses."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from obsnet.errors import SchemaError
from obsnet.typing import Floats, Ints, Singles
from retrieval.superobs.groups import Groups

__all__ = ["mean_operator"]

_PLUME = 0.025  # relative enhancement of the test profile
_PLUME_TOP = 0.8  # below this share of the surface pressure


def mean_operator(table: pa.Table, rows: Ints, groups: Groups) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Average kernels, weights, priors and pressures with the weights of the values.

    Parameters
    ----------
    table : pyarrow.Table
        Observation table; only the rows that are members are looked at.
    rows : ndarray of int
        Which row of the table each row of the groups is.
    groups : Groups
        Members and weights.

    Returns
    -------
    columns : dict
        Columns of the observation table; empty where there are no kernels.
    residuals : dict of str to ndarray, shape (groups,)
        ``residual_prior`` and ``residual_plume``: averaged operator less the mean of the operators, for the
        mean prior and for a profile with 2.5 % more in the lowest fifth of the air, unit of the values.

    Raises
    ------
    SchemaError
        Levels and layers, or profiles of several lengths, in one table.
    """
    if table["averaging_kernel"].null_count == len(table):
        return {}, {}
    member = rows[groups.row]
    verticals = pc.unique(table["vertical"].take(pa.array(member))).to_pylist()
    if len(verticals) != 1:
        raise SchemaError(f"levels and layers may not be averaged together, found {verticals}")
    grid = "pressure_edges" if verticals[0] == "layer" else "pressure_levels"
    (weight, at_weight, levels), (kernel, at_kernel, n), (prior, at_prior, m), (pressures, at, edges) = (
        _of_members(table[name], member)
        for name in ("pressure_weight", "averaging_kernel", "prior_profile", grid)
    )
    if not levels == n == m:
        raise SchemaError(f"weights, kernels and priors have {levels}, {n} and {m} values")
    column = table["prior_column"].to_numpy().astype(np.float64)[member]
    share, offsets = groups.weight, groups.offsets
    h, a, x, ha, numbers = _means(
        weight, kernel, prior, at_weight, at_kernel, at_prior, levels, column, share, offsets
    )
    pressure = _profile_means(pressures, at, edges, share, offsets)
    prior_column, response_of_prior = numbers.T
    # sum_i (mean(h a) - mean(h) mean(a)) x_i, less the same with the priors inside the mean
    response = ha - h * a
    residual = np.sum(response * x, axis=1) - (response_of_prior - np.sum(h * a * x, axis=1))
    middle = 0.5 * (pressure[:, 1:] + pressure[:, :-1]) if verticals[0] == "layer" else pressure
    plume = _PLUME * x * (middle > _PLUME_TOP * pressure[:, :1])
    columns = {
        "vertical": pa.repeat(pa.scalar(verticals[0]), len(groups)),
        "pressure_weight": h,
        "averaging_kernel": a,
        "prior_profile": x,
        grid: pressure,
        "prior_column": prior_column,
    }
    return columns, {
        "residual_prior": -residual,
        "residual_plume": -residual - np.sum(response * plume, axis=1),
    }


def _of_members(column: pa.ChunkedArray, row: Ints) -> tuple[Singles, Ints, int]:
    """Return all values of a profile column, where those of each member begin, and how many it has.

    Nothing is copied, and rows that are no members may hold nulls.
    """
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # of one chunk, or too large for one
        array = pa.concat_arrays(array.chunks)
    offsets = array.offsets.to_numpy().astype(np.int64)
    first = offsets[row]
    length = offsets[row + 1] - first
    if length.min() != length.max():
        found = np.unique(length).tolist()
        raise SchemaError(f"profiles of one table have lengths {found}; read one source at a time")
    return array.values.to_numpy(zero_copy_only=False), first, int(length[0])


@numba.njit(cache=True)
def _means(
    weight: Singles,
    kernel: Singles,
    prior: Singles,
    at_weight: Ints,
    at_kernel: Ints,
    at_prior: Ints,
    levels: int,
    column: Floats,
    share: Floats,
    offsets: Ints,
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return the means of h, a, x and h a of each group; and of the prior column and h . a . x."""
    groups = offsets.shape[0] - 1
    h, a, x, ha = (
        np.zeros((groups, levels)),
        np.zeros((groups, levels)),
        np.zeros((groups, levels)),
        np.zeros((groups, levels)),
    )
    numbers = np.zeros((groups, 2))
    for g in range(groups):
        for k in range(offsets[g], offsets[g + 1]):
            w = share[k]
            dot = response = 0.0
            for i in range(levels):
                hi = np.float64(weight[at_weight[k] + i])
                ai = np.float64(kernel[at_kernel[k] + i])
                xi = np.float64(prior[at_prior[k] + i])
                h[g, i] += w * hi
                a[g, i] += w * ai
                x[g, i] += w * xi
                ha[g, i] += w * hi * ai
                dot += hi * xi
                response += hi * ai * xi
            numbers[g, 0] += w * (dot if np.isnan(column[k]) else column[k])
            numbers[g, 1] += w * response
    return h, a, x, ha, numbers


@numba.njit(cache=True)
def _profile_means(values: Singles, first: Ints, levels: int, share: Floats, offsets: Ints) -> Floats:
    out = np.zeros((offsets.shape[0] - 1, levels))
    for g in range(out.shape[0]):
        for k in range(offsets[g], offsets[g + 1]):
            for i in range(levels):
                out[g, i] += share[k] * values[first[k] + i]
    return out
