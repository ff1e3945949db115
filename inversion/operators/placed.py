"""A Jacobian whose products are made on workers: each keeps some blocks of rows, only vectors and sums travel.

The process that leads has put the Jacobian together and keeps it; what it hands out are the products, which are most of
the work where it is large. How it is cut depends on the Jacobian alone, and sums are taken in the order of the blocks:
the answer is the same bit for bit on any number of workers, and that of one process to rounding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
import scipy.sparse as sp

from inversion.operators import matrix_products as products
from inversion.operators.distributed import BlockJacobian, add, block_adjoint, block_forward, block_normal
from obsnet.errors import ClusterError, FormatError
from obsnet.reading import door
from obsnet.seal import check_file, seal_file
from obsnet.typing import Floats
from obsnet.work.cluster import client_of
from obsnet.work.parallel import goes_to_dask
from obsnet.work.work import Work

__all__ = ["PlacedJacobian", "placed"]

_ENTRIES = 20_000_000  # of a block, about 0.2 GB
_FEWEST = 8  # blocks, where there are rows enough
_TRIES = 5  # of a product; a worker that dies takes vectors with it


@contextlib.contextmanager
def placed(matrix: Any, work: Work | None, folder: Path) -> Iterator[Any]:
    """Give a Jacobian that is worked with on Dask's workers, where the work goes there; else the matrix itself.

    Parameters
    ----------
    matrix : scipy.sparse or ndarray, shape (n_obs, n_state)
        Only a sparse one is handed out.
    work : Work, optional
        Where.
    folder : Path
        That every worker sees; blocks are there as long as the context is, and a worker that takes the place of one
        that died reads them again.

    Yields
    ------
    PlacedJacobian or the matrix
    """
    if work is None or not goes_to_dask(work) or not sp.issparse(matrix):
        yield matrix
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(prefix=".blocks-", dir=folder.resolve()) as kept,
        client_of(work) as client,
        PlacedJacobian(matrix, client, Path(kept)) as made,
    ):
        yield made


class PlacedJacobian(BlockJacobian):
    """Blocks of rows of a sparse matrix on the workers of a Dask client; rows and selections are taken here.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (n_obs, n_state)
    client : distributed.Client
    folder : Path
        Where the blocks are kept for the workers; it is the caller's to remove.
    """

    def __init__(self, matrix: sp.csr_array, client: Any, folder: Path) -> None:
        self.matrix = products.canonical(matrix)
        self.client = client
        n, columns = self.matrix.shape
        count = min(max(_FEWEST, -(-self.matrix.nnz // _ENTRIES)), max(n, 1))
        # blocks of about as many entries each
        at = np.searchsorted(self.matrix.indptr, self.matrix.nnz * np.arange(1, count) / count)
        cuts = np.unique(np.concatenate([[0], at, [n]]))
        paths = []
        for first, stop in pairwise(cuts):
            paths.append(str(folder / f"{first}.npz"))
            write_block(Path(paths[-1]), self.matrix[first:stop])
        blocks = client.map(read_block, paths, pure=False)
        super().__init__(blocks, np.diff(cuts).tolist(), columns)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.blocks = []  # the workers let go of theirs

    @property
    def nnz(self) -> int:
        """Stored entries."""
        return int(self.matrix.nnz)

    def forward(self, x: Floats) -> Floats:
        """Return ``H x``, (n_obs,) or (n_obs, k)."""
        return np.concatenate(self._tried(lambda: self.client.gather(self._submitted(block_forward, [x]))))

    def adjoint(self, v: Floats) -> Floats:
        """Return ``H' v``, (n_state,) or (n_state, k), summed pairwise on the workers."""
        return np.asarray(self._tried(lambda: self._sum(block_adjoint, [v[s] for s in self.spans])))

    def normal(self, weight: Floats) -> Floats:
        """Return the lower triangle of ``H' diag(weight) H``, summed pairwise on the workers; see `BlockJacobian`."""
        return np.asarray(self._tried(lambda: self._sum(block_normal, [weight[s] for s in self.spans])))

    def __iter__(self) -> Iterator[tuple[slice, sp.csr_array]]:
        """Yield all rows at once, of this process."""
        yield slice(0, self.shape[0]), self.matrix

    def __getitem__(self, rows: Any) -> sp.csr_array:
        """Return some rows, or rows and columns, as one sparse matrix in this process."""
        return sp.csr_array(self.matrix[rows])

    def _submitted(self, function: Any, arguments: Sequence[Floats]) -> list[Any]:
        """Return futures of a function of each block and its argument, or of the one argument of all."""
        there = self.client.scatter([np.ascontiguousarray(a) for a in arguments], hash=False)
        each = there * len(self.blocks) if len(there) == 1 else there
        return [
            self.client.submit(function, b, a, pure=False) for b, a in zip(self.blocks, each, strict=True)
        ]

    def _sum(self, function: Any, arguments: Sequence[Floats]) -> Any:
        level = self._submitted(function, arguments)
        while len(level) > 1:
            pairs = range(0, len(level) - 1, 2)
            added = [self.client.submit(add, level[i], level[i + 1], pure=False) for i in pairs]
            level = [*added, *level[len(level) - len(level) % 2 :]]
        return level[0].result()

    def _tried(self, product: Any) -> Any:
        """Make a product, again where a worker died with a vector that was sent to it."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        for _ in range(_TRIES):
            try:
                return product()
            except (CancelledError, KilledWorker, OSError) as error:
                fault = error
                if self.client.status != "running":
                    break
        raise ClusterError(
            f"a product with the Jacobian failed on the workers ({fault}); run again to go on"
        ) from None


def write_block(path: Path, part: sp.csr_array) -> None:
    """Write rows of a Jacobian for a worker, sealed."""
    np.savez(path, data=part.data, indices=part.indices, indptr=part.indptr, shape=part.shape)
    seal_file(path)


@door("a block of a Jacobian")
def read_block(path: str) -> sp.csr_array:
    """Read rows that `write_block` wrote.

    Raises
    ------
    FormatError
        The file changed on its way, as a disk that nodes share may do.
    """
    if not check_file(path):
        raise FormatError(f"{path}: lost its seal")
    with np.load(path, allow_pickle=False) as kept:
        return sp.csr_array((kept["data"], kept["indices"], kept["indptr"]), shape=tuple(kept["shape"]))
