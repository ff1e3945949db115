"""A block of the state with all that the problem needs of it."""

from __future__ import annotations

from typing import NamedTuple

import scipy.sparse as sp

from inversion.operators.covariance import Covariance
from inversion.problem.state import StateBlock
from obsnet.typing import Floats

__all__ = ["Block"]


class Block(NamedTuple):
    """A block of the state: its columns of H, its prior mean and the error of that.

    Attributes
    ----------
    block : StateBlock
        Name, kind, axes, unit.
    matrix : scipy.sparse.csr_array, shape (n_obs, size)
        Columns of H.
    mean : ndarray, shape (size,)
        Prior mean in the block's unit.
    error : Covariance
        Of the prior mean.
    """

    block: StateBlock
    matrix: sp.csr_array
    mean: Floats
    error: Covariance
