"""Correlation on a grid of even longitudes: products by fast Fourier transform, without its full matrix.

Between two rows of such a grid the correlation depends on the difference of longitudes alone, so each pair of rows is a
symmetric Toeplitz matrix, which a circulant one of twice the length contains (Golub & Van Loan 2013, Matrix
Computations, ch. 4.7-4.8). A product then takes rows^2 columns operations in the place of (rows columns)^2.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from obsnet.typing import Floats

__all__ = ["SMALLEST", "GridCorrelation", "as_grid_correlation"]

_CHUNK = 32
SMALLEST = 600  # cells below which the full matrix is as quick


class GridCorrelation:
    """A symmetric matrix of Toeplitz blocks; cell = row * columns + column.

    Parameters
    ----------
    lags : ndarray, shape (rows, rows, columns)
        Correlation of two rows by the number of columns between the cells.
    """

    ndim = 2

    def __init__(self, lags: Floats) -> None:
        self.lags = np.asarray(lags, dtype=np.float64)
        rows, _, columns = self.lags.shape
        self.shape = (rows * columns, rows * columns)

    @cached_property
    def _length(self) -> int:
        from scipy import fft  # 5 MB that problems without a large grid need not load

        return int(fft.next_fast_len(2 * self.lags.shape[2] - 1, real=True))

    @property
    def operations(self) -> float:
        """Floating-point operations of a product for each cell, about."""
        return 8.0 * self.lags.shape[0] + 10.0 * float(np.log2(self._length))

    @cached_property
    def _spectrum(self) -> Floats:
        """Eigenvalues of the circulant extension, shape (frequencies, rows, rows)."""
        from scipy import fft

        rows, _, columns = self.lags.shape
        ring = np.zeros((self._length, rows, rows))
        ring[:columns] = self.lags.transpose(2, 0, 1)
        ring[self._length - columns + 1 :] = ring[columns - 1 : 0 : -1]
        return np.ascontiguousarray(fft.rfft(ring, axis=0).real)

    def __matmul__(self, x: Floats) -> Floats:
        """Return the product with (cells,) or (cells, k)."""
        flat = np.asarray(x, dtype=np.float64)
        block = flat.reshape(self.shape[0], -1)
        out = np.empty_like(block)
        self.multiply(block, out)
        return out.reshape(flat.shape)

    def multiply(self, x: Floats, out: Floats) -> None:
        """Write the product with a block of vectors into `out`, both (cells, k)."""
        for start in range(0, x.shape[1], _CHUNK):  # so that the transforms stay in the cache
            part = slice(start, start + _CHUNK)
            self._product(x[:, part], out[:, part])

    def _product(self, x: Floats, out: Floats) -> None:
        from scipy import fft

        rows, _, columns = self.lags.shape
        cube = np.ascontiguousarray(x.reshape(rows, columns, -1).transpose(1, 0, 2))
        wave = fft.rfft(cube, n=self._length, axis=0)
        # the spectrum is real: real and imaginary parts are columns of their own
        moved = np.matmul(self._spectrum, wave.view(np.float64)).view(np.complex128)
        back = fft.irfft(moved, n=self._length, axis=0, overwrite_x=True)[:columns]
        out.reshape(rows, columns, -1)[...] = back.transpose(1, 0, 2)  # a view: only the first axis is split

    def toarray(self) -> Floats:
        """Return the full matrix."""
        columns = self.lags.shape[2]
        apart = np.abs(np.arange(columns)[:, None] - np.arange(columns))
        return np.ascontiguousarray(self.lags[:, :, apart].transpose(0, 2, 1, 3)).reshape(self.shape)


def as_grid_correlation(matrix: Floats) -> GridCorrelation | None:
    """Return a full matrix as Toeplitz blocks where it has them and is large enough for that to pay.

    Parameters
    ----------
    matrix : ndarray, shape (cells, cells)
        Symmetric.
    """
    cells = matrix.shape[0]
    if cells < SMALLEST:
        return None
    for columns in range(cells, 7, -1):
        if cells % columns:
            continue
        # a look at the first rows saves building what will not fit
        first = matrix[0].reshape(-1, columns)
        second = matrix[1].reshape(-1, columns)
        if np.allclose(first[:, :-1], second[:, 1:], rtol=0.0, atol=1e-13):
            made = GridCorrelation(matrix[::columns].reshape(cells // columns, cells // columns, columns))
            if np.allclose(made.toarray(), matrix, rtol=0.0, atol=1e-13):
                return made
    return None
