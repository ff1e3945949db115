"""Bands of an imaging spectrometer: centres and widths, and what they make of a finely resolved spectrum."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from obsnet.errors import FormatError, RangeError, SchemaError, nearest
from obsnet.reading import read_csv, reading
from obsnet.typing import Floats, Ints

__all__ = ["Bands", "read_bands", "see"]

_REACH = 2.0  # of the width: there a Gaussian is 1.5e-5 of its peak
_PER_CM = 1e7  # nm times cm-1
_COLUMNS = ("wavelength_nm", "fwhm_nm")


@dataclass(frozen=True, eq=False)
class Bands:
    """Bands in the order of the instrument.

    Parameters
    ----------
    centre : ndarray, shape (bands,)
        Wavelength, nm, increasing.
    fwhm : ndarray, shape (bands,)
        Full width at half maximum, nm.

    Raises
    ------
    SchemaError
        Shapes that do not fit.
    RangeError
        Centres that do not increase or are no wavelengths in nm, widths that are not positive.
    """

    centre: Floats
    fwhm: Floats

    def __post_init__(self) -> None:
        if self.centre.ndim != 1 or self.centre.shape != self.fwhm.shape or not self.centre.size:
            raise SchemaError(
                f"bands need as many widths as centres, found {self.centre.shape}, {self.fwhm.shape}"
            )
        if not ((self.centre > 300.0) & (self.centre < 20000.0)).all():
            raise RangeError(
                f"wavelengths must lie within 300 and 20000 nm, found {np.min(self.centre):g} to "
                f"{np.max(self.centre):g}; micrometres must be multiplied by 1000"
            )
        if not (np.diff(self.centre) > 0.0).all():
            raise RangeError("wavelengths of bands must increase")
        if not ((self.fwhm > 0.0) & (self.fwhm < 0.1 * self.centre)).all():
            raise RangeError(
                "widths of bands must be positive and less than a tenth of the wavelength, in nm; found "
                f"{np.min(self.fwhm):g} to {np.max(self.fwhm):g}"
            )

    def __len__(self) -> int:
        return len(self.centre)

    def within(self, window: tuple[float, float]) -> Bands:
        """Return the bands whose centres lie in a window, nm.

        Raises
        ------
        RangeError
            There is none.
        """
        keep = (self.centre >= window[0]) & (self.centre <= window[1])
        if not keep.any():
            raise RangeError(
                f"no band between {window[0]:g} and {window[1]:g} nm; the instrument has {self.centre[0]:g} to "
                f"{self.centre[-1]:g}"
            )
        return Bands(self.centre[keep], self.fwhm[keep])

    def find(self, wanted: Bands, *, shift: float = 0.1, width: float = 0.1) -> Ints:
        """Return where the bands of another table are among these.

        Parameters
        ----------
        wanted : Bands
            For which something was computed.
        shift, width : float
            Largest difference of centres, as a share of the width, and of widths, as a share of themselves.

        Raises
        ------
        RangeError
            One of them is not here.
        """
        at = np.abs(self.centre[:, None] - wanted.centre).argmin(axis=0)
        off = np.abs(self.centre[at] - wanted.centre) / wanted.fwhm
        broad = np.abs(self.fwhm[at] / wanted.fwhm - 1.0)
        bad = np.flatnonzero((off > shift) | (broad > width))
        if bad.size or len(set(at.tolist())) < len(at):
            b = int(bad[0]) if bad.size else 0
            raise RangeError(
                f"{max(bad.size, 1)} of {len(wanted)} bands are not those of the cube: the table has "
                f"{wanted.centre[b]:.2f} nm, {wanted.fwhm[b]:.2f} wide, the nearest of the cube is "
                f"{self.centre[at[b]]:.2f} nm, {self.fwhm[at[b]]:.2f} wide; make the table for this instrument"
            )
        return np.asarray(at, dtype=np.int64)


def read_bands(path: str | os.PathLike[str]) -> Bands:
    """Read a CSV table with the columns ``wavelength_nm`` and ``fwhm_nm``; lines that begin with # are passed over.

    Raises
    ------
    FormatError
        A column that is missing, or values that are no numbers.
    """
    with reading(path, "a table of bands"):
        table = read_csv(path, comment="#")
        for name in _COLUMNS:
            if name not in table:
                raise FormatError(f"{path}: no column {name!r}{nearest(name, table.columns)}")
        values = [table[name].to_numpy(np.float64) for name in _COLUMNS]
        try:
            return Bands(values[0], values[1])
        except (RangeError, SchemaError) as error:
            raise type(error)(f"{path}: {error}") from None


def see(bands: Bands, wavenumber: Floats, spectra: Floats) -> Floats:
    """Return spectra as bands with Gaussian responses see them.

    Parameters
    ----------
    bands : Bands
        Wavelengths in vacuum.
    wavenumber : ndarray, shape (points,)
        cm-1, increasing in equal steps.
    spectra : ndarray, shape (k, points)
        Per wavelength, or a ratio.

    Returns
    -------
    ndarray, shape (k, bands)
        Means weighted by the response in wavelength.

    Raises
    ------
    RangeError
        The spectra end within twice the width of a band.
    """
    wavelength = _PER_CM / wavenumber
    out = np.empty((len(spectra), len(bands)))
    for b, (centre, fwhm) in enumerate(zip(bands.centre, bands.fwhm, strict=True)):
        low, high = (_PER_CM / (centre + s * _REACH * fwhm) for s in (1.0, -1.0))
        if low < wavenumber[0] or high > wavenumber[-1]:
            raise RangeError(
                f"band {centre:g} nm needs a spectrum from {low:.2f} to {high:.2f} cm-1, it spans {wavenumber[0]:.2f} "
                f"to {wavenumber[-1]:.2f}"
            )
        part = slice(int(np.searchsorted(wavenumber, low)), int(np.searchsorted(wavenumber, high, "right")))
        x = (wavelength[part] - centre) / fwhm
        # equal steps in wavenumber are steps of wavelength squared
        weight = np.exp(-4.0 * np.log(2.0) * x**2) * wavelength[part] ** 2
        out[:, b] = spectra[:, part] @ weight / weight.sum()
    return out
