"""Results that hold what the observations say together instead of each: ``K' R^-1 K`` and ``K' R^-1 (y - K x_a)``.

The Integrated Methane Inversion writes them to ``inversion_result.nc`` (`invert.py` of
github.com/geoschem/integrated_methane_inversion, commit 00617605) with its factor gamma beside them. With
``gamma K' R^-1 K = V L V'`` the rows ``L^1/2 V'`` with the innovations ``L^-1/2 V' gamma K' R^-1 (y - K x_a)`` and unit
errors are as good as all the observations: every posterior of the scale factors is the same. What is lost is the
misfit that no scale factor changes, so chi-square is of these rows only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import SchemaError
from obsnet.typing import Floats

__all__ = ["INFORMATION", "is_information", "whitened_rows"]

INFORMATION = ("KTinvSoK", "KTinvSoyKxA", "gamma")
_SEEN = 1e-10  # of the largest eigenvalue; below, nothing was observed
_SAME = 1e-3  # of the largest change that the file's own answer may differ by from what its matrices give


def is_information(data: Any) -> bool:
    """Tell whether a dataset is such a result."""
    return set(INFORMATION) <= set(data.variables)


def whitened_rows(data: Any, path: Path) -> tuple[Floats, Floats, Floats, str]:
    """Return rows of unit error that say what the observations say.

    Parameters
    ----------
    data : xarray.Dataset
        With the variables of `INFORMATION`, and ``ratio`` and ``S_post``, by which they are checked.
    path : Path
        For error texts.

    Returns
    -------
    value, simulated : ndarray, shape (r,)
    matrix : ndarray, shape (r, m)
    str
        What was read.

    Raises
    ------
    SchemaError
        Several members, or the mean of several, whose matrices belong to no single inversion.
    """
    arrays = {
        n: np.asarray(data[n].values, dtype=np.float64).squeeze() for n in (*INFORMATION, "ratio", "S_post")
    }
    matrix, right, gamma = (arrays[n] for n in INFORMATION)
    m = right.size
    if right.ndim != 1 or matrix.shape != (m, m) or gamma.ndim:
        raise SchemaError(
            f"{path}: holds {dict(data.sizes)}, several inversions; take one member (isel ensemble=0) and give that"
        )
    matrix, right = 0.5 * gamma * (matrix + matrix.T), gamma * right
    change = arrays["S_post"] @ right
    if np.abs(change - arrays["ratio"]).max() > _SAME * np.abs(arrays["ratio"]).max():
        raise SchemaError(
            f"{path}: ratio is not S_post gamma KTinvSoyKxA, so this is the mean of several inversions; take one "
            "member of the file that ends in _ensemble.nc"
        )
    values, vectors = np.linalg.eigh(matrix)
    seen = values > _SEEN * values[-1]
    h = np.sqrt(values[seen])[:, None] * vectors[:, seen].T
    innovation = (vectors[:, seen].T @ right) / np.sqrt(values[seen])
    simulated = h.sum(axis=1)
    note = (
        f"{path.name}: {int(seen.sum())} combinations of the observations in the place of them (gamma "
        f"{float(gamma):g}); chi-square is of these"
    )
    return simulated + innovation, simulated, h, note
