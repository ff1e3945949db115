"""A Jacobian in blocks of observations that stay where they are: on Dask workers, on disk, or in this process.

Products and the normal matrix are made block by block, where the block is; only vectors and sums travel. Sums are taken
in the order of the blocks, so that the answer does not depend on how many workers there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

from inversion.operators import matrix_products as products
from inversion.operators.normal_equations import add_normal
from obsnet.errors import SolverError
from obsnet.typing import Floats, Ints, Texts

__all__ = ["BlockJacobian", "add", "block_adjoint", "block_forward", "block_normal", "store_blocks"]


def block_forward(block: sp.csr_array, x: Floats) -> Floats:
    """Return ``H x`` of a block."""
    return products.forward(block, x)


def block_adjoint(block: sp.csr_array, v: Floats) -> Floats:
    """Return ``H' v`` of a block."""
    return products.adjoint(block, v)


def block_normal(block: sp.csr_array, weight: Floats) -> Floats:
    """Return the lower triangle of ``H' diag(weight) H`` of a block."""
    out = np.zeros((block.shape[1], block.shape[1]))
    block = products.canonical(block)
    add_normal(block.data, block.indices, block.indptr, weight, out)
    return out


def add(a: Floats, b: Floats) -> Floats:
    """Return the sum."""
    return np.asarray(a + b)


class BlockJacobian:
    """Blocks of rows of a sparse matrix, each in memory or a Dask ``Delayed`` or ``Future`` that gives one.

    Parameters
    ----------
    blocks : sequence of csr_array, Delayed or Future
        In the order of the observations. Persist them on the cluster first (``client.persist``) if they are used more
        than once.
    rows : sequence of int
        Observations in each block.
    columns : int
        State elements.

    Raises
    ------
    SolverError
        Counts that do not fit.
    """

    def __init__(self, blocks: Sequence[Any], rows: Sequence[int], columns: int) -> None:
        if len(blocks) != len(rows) or not blocks:
            raise SolverError(
                f"{len(blocks)} blocks of a Jacobian need as many row counts, found {len(rows)}"
            )
        self.blocks = [
            _checked(b, r, columns) if sp.issparse(b) else b for b, r in zip(blocks, rows, strict=True)
        ]
        self.rows = [int(r) for r in rows]
        self.shape = (sum(self.rows), int(columns))

    @property
    def nnz(self) -> int:
        """Stored entries; where blocks are elsewhere, as many as there could be."""
        if all(sp.issparse(b) for b in self.blocks):
            return int(sum(b.nnz for b in self.blocks))
        return self.shape[0] * self.shape[1]

    @property
    def spans(self) -> list[slice]:
        """Rows of each block."""
        ends = np.cumsum([0, *self.rows])
        return [slice(int(a), int(b)) for a, b in pairwise(ends)]

    def _each(self, function: Any, arguments: Sequence[Any]) -> list[Any]:
        """Apply a function to each block, where it is, and return the results in order."""
        if all(sp.issparse(b) for b in self.blocks):
            return [function(b, a) for b, a in zip(self.blocks, arguments, strict=True)]
        from dask.base import compute
        from dask.delayed import delayed

        return list(compute(*[delayed(function)(b, a) for b, a in zip(self.blocks, arguments, strict=True)]))

    def forward(self, x: Floats) -> Floats:
        """Return ``H x``, (n_obs,) or (n_obs, k)."""
        return np.concatenate(self._each(block_forward, [x] * len(self.blocks)))

    def adjoint(self, v: Floats) -> Floats:
        """Return ``H' v``, (n_state,) or (n_state, k), summed in the order of the blocks."""
        parts = self._each(block_adjoint, [v[s] for s in self.spans])
        total = parts[0].copy()
        for part in parts[1:]:
            total += part
        return total

    def normal(self, weight: Floats) -> Floats:
        """Return the lower triangle of ``H' diag(weight) H``, summed pairwise on the workers.

        Parameters
        ----------
        weight : ndarray, shape (n_obs,)
            Inverse variances.
        """
        parts = [weight[s] for s in self.spans]
        if all(sp.issparse(b) for b in self.blocks):
            out = np.zeros((self.shape[1], self.shape[1]))
            for block, part in zip(self.blocks, parts, strict=True):
                add_normal(block.data, block.indices, block.indptr, part, out)
            return out
        from dask.base import compute
        from dask.delayed import delayed

        level = [delayed(block_normal)(b, w) for b, w in zip(self.blocks, parts, strict=True)]
        while len(level) > 1:
            pairs = [delayed(add)(*level[i : i + 2]) for i in range(0, len(level) - 1, 2)]
            level = [*pairs, *level[len(level) - len(level) % 2 :]]
        return np.asarray(compute(level[0])[0])

    def __iter__(self) -> Iterator[tuple[slice, sp.csr_array]]:
        """Yield the rows and the block, one after the other in this process."""
        from dask.base import compute

        for span, block in zip(self.spans, self.blocks, strict=True):
            here = block if sp.issparse(block) else compute(block)[0]
            yield span, _checked(here, span.stop - span.start, self.shape[1])

    def __getitem__(self, rows: Ints) -> sp.csr_array:
        """Return some rows as one sparse matrix in this process."""
        parts = []
        order = np.asarray(rows)
        place = []
        for span, block in self:
            inside = np.flatnonzero((order >= span.start) & (order < span.stop))
            parts.append(block[order[inside] - span.start])
            place.append(inside)
        back = np.argsort(np.concatenate(place), kind="stable")
        return sp.csr_array(sp.vstack(parts, format="csr")[back])


def _checked(block: Any, rows: int, columns: int) -> sp.csr_array:
    matrix = products.canonical(block)
    if matrix.shape != (rows, columns):
        raise SolverError(f"a block of the Jacobian has shape {matrix.shape}, expected {(rows, columns)}")
    if not np.isfinite(matrix.data).all():
        raise SolverError(
            f"a block of the Jacobian has {np.count_nonzero(~np.isfinite(matrix.data))} values not finite"
        )
    return matrix


def _read(path: str, ids: Texts) -> sp.csr_array:
    from inversion.jacobian.store import JacobianStore

    return sp.csr_array(JacobianStore(path).read(ids).matrix)


def store_blocks(path: str, obs_ids: Texts, columns: int, *, rows: int = 5000) -> BlockJacobian:
    """Return the Jacobian of a store as blocks that are read where they are used.

    Parameters
    ----------
    path : str
        Folder of an `inversion.jacobian.store.JacobianStore` that every worker can read.
    obs_ids : ndarray of str
        Observations, in order.
    columns : int
        Flux bins times cells.
    rows : int
        Observations in a block.
    """
    from dask.delayed import delayed

    starts = range(0, len(obs_ids), rows)
    parts = [obs_ids[s : s + rows] for s in starts]
    return BlockJacobian([delayed(_read)(path, p) for p in parts], [len(p) for p in parts], columns)
