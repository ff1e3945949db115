"""Columns from the footprints of release levels, once and only once weighted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from obsnet.errors import FormatError, GridError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["weigh_levels"]


def weigh_levels(data: xr.Dataset, weights: npt.ArrayLike, column: npt.ArrayLike) -> xr.Dataset:
    """Combine the footprints of release levels into those of columns.

    Parameters
    ----------
    data : xarray.Dataset
        Footprints of points at several heights; the levels of one column share their steps.
    weights : array_like, shape (receptor,)
        Averaging kernel times pressure weight of the level each receptor stands for. Levels that are left out
        (above the model's top) count with their prior in the observation operator.
    column : array_like of str, shape (receptor,)
        Observation to which each level belongs.

    Returns
    -------
    xarray.Dataset
        One receptor a column, ``weighting = "kernel"``: ``sum_k A_k w_k F_k``.

    Raises
    ------
    FormatError
        The footprints are weighted already, or it is not known whether they are.
    GridError
        Shapes do not fit, or the levels of a column have different steps.
    """
    done = data.attrs.get("weighting", "unknown")
    if done != "none":
        said = "it is not known whether it is" if done == "unknown" else f"it is already ({done})"
        raise FormatError(
            f"{data.attrs.get('source_file', 'footprint')}: a kernel may be applied only to an unweighted "
            f"footprint; {said}. Say weighting='none' when opening the file if the values are unweighted"
        )
    weights, column = np.asarray(weights, dtype=np.float64), np.asarray(column, dtype=np.str_)
    n = data.sizes["receptor"]
    if weights.shape != (n,) or column.shape != (n,):
        raise GridError(
            f"weights and column need one value a receptor ({n}), found {weights.shape}, {column.shape}"
        )
    names, first = np.unique(column, return_index=True)
    out = data.isel(receptor=first).assign_coords(obs_id=("receptor", names))
    out["receptor_height"] = ("receptor", np.full(names.size, np.nan), data["receptor_height"].attrs)
    fields = [k for k in data.data_vars if k == "sensitivity" or str(k).startswith("share_")]
    values = {k: np.zeros(out[k].shape) for k in fields}
    for i, name in enumerate(names):
        levels = np.flatnonzero(column == name)
        for axis in ("step_start", "step_end"):
            times = data[axis].values[levels].astype(np.int64)
            if not (times == times[0]).all():
                raise GridError(f"the levels of {name!r} have different steps")
        for k in fields:
            values[k][i] = np.tensordot(weights[levels], data[k].values[levels], axes=1)
    drop = [k for k in data.data_vars if str(k).startswith("age_")]
    new = {k: (data[k].dims, v.astype(data[k].dtype), data[k].attrs) for k, v in values.items()}
    return out.drop_vars(drop).assign(new).assign_attrs(column=1, weighting="kernel")
