"""The rows of a granule: the elements of its main variable, and other variables brought onto them."""

from __future__ import annotations

import numpy as np

from obsnet.errors import FormatError
from retrieval.readers.source import Container, block_rows

__all__ = ["GranuleRows"]


class GranuleRows:
    """The row axis of one open granule: soundings of a list, or pixels of a swath in scan order.

    Parameters
    ----------
    source : Container
        Open file.
    main : str
        Path of the main variable, whose elements are the rows.
    join : (str, str), optional
        Identities of the retrieved soundings and of all soundings, where a product keeps arrays of unequal
        length.
    """

    def __init__(self, source: Container, main: str, join: tuple[str, str] | None = None) -> None:
        self.source = source
        self.main = main
        self.join = join
        self.shape = source.shape(main)
        self.total = int(np.prod(self.shape))
        self.kept: np.ndarray | None = None
        self._match: np.ndarray | None = None

    def __len__(self) -> int:
        return self.total if self.kept is None else len(self.kept)

    @property
    def numbers(self) -> np.ndarray:
        """Which elements of the main variable the rows are."""
        return np.arange(self.total) if self.kept is None else self.kept

    def keep(self, mask: np.ndarray) -> None:
        """Leave out rows for good."""
        if not mask.all():
            self.kept = self.numbers[mask]

    def load(self, path: str, rows: np.ndarray | None = None) -> np.ndarray:
        """Read a variable as stored, on these rows: shape (rows,) or (rows, k).

        Parameters
        ----------
        path : str
            Variable.
        rows : ndarray of int, optional
            Only these rows of ``len(self)``.

        Raises
        ------
        FormatError
            The variable's shape fits neither the rows nor anything that can be brought onto them.
        """
        shape = self.source.shape(path)
        wanted = self.kept if rows is None else (rows if self.kept is None else self.kept[rows])
        lead = self.shape
        if shape[: len(lead)] == lead:
            values = self._read_rows(path, shape, wanted)
        elif int(np.prod(shape)) == 1:
            values = np.repeat(
                self.source.read(path).reshape(1), self.total if wanted is None else len(wanted)
            )
        elif len(lead) > 1 and shape == lead[:-1]:  # one value a scan line
            values = self.source.read(path).reshape(-1)
            lines = (np.arange(self.total) if wanted is None else wanted) // lead[-1]
            values = values[lines]
        elif self.join is not None and shape[0] == self.source.shape(self.join[1])[0]:
            values = self.source.read(path)[self._joined()]
            values = values if wanted is None else values[wanted]
        else:
            raise FormatError(
                f"{self.source.path}: {path} has shape {shape}, which does not fit {self.main} with {lead}"
            )
        return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))

    def _read_rows(self, path: str, shape: tuple[int, ...], wanted: np.ndarray | None) -> np.ndarray:
        lead = self.shape
        tail = shape[len(lead) :]
        if wanted is None or self.total == 0:
            values = self.source.read(path)
            return values.reshape(self.total, *tail) if values.ndim != 1 + len(tail) else values
        axis = next((k for k, n in enumerate(lead) if n > 1), len(lead) - 1)
        inner = int(np.prod(lead[axis + 1 :]))

        def read(part: slice) -> np.ndarray:
            index = (*(slice(None),) * axis, slice(part.start // inner, part.stop // inner))
            return self.source.read(path, index).reshape(-1, *tail)

        return block_rows(read, wanted, self.total, self.source.chunk(path, axis) * inner)

    def _joined(self) -> np.ndarray:
        """Return where each retrieved sounding stands in the arrays of all soundings."""
        if self._match is None:
            assert self.join is not None
            reference, everything = (self.source.read(p).ravel() for p in self.join)
            order = np.argsort(everything, kind="stable")
            place = np.searchsorted(everything, reference, sorter=order).clip(max=len(everything) - 1)
            found = order[place] if len(everything) else place
            lost = np.flatnonzero(everything[found] != reference) if len(everything) else reference
            if len(lost):
                retrieved, all_ids = self.join
                raise FormatError(
                    f"{self.source.path}: {len(lost)} of {len(reference)} ids of {retrieved} are not in {all_ids}"
                )
            self._match = found
        return self._match
