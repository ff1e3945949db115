"""Shares: which part of each cell's flux belongs to which region, sector by sector.

A cell on a coast or a border holds flux of more than one region. By area, a power plant on a shore is mostly the
sea's: the coal plants of China lose 8 to 9 % of their total that way, Guangdong a third. So a cell is divided as its
flux is (`obsnet.splitting.flux_shares` says how), and whatever divides cells takes these shares: totals and their
kernels, errors common to a region, regions that are solved for, zonal totals of a flux file. A change of a cell's
flux is divided alike.

Two rows are no regions: ``offshore``, the flux at sea, where the grid reaches any; and ``outside``, the last, all
other land.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from obsnet.errors import FormatError, RegionError, nearest
from obsnet.field import NanPolicy, grid_of
from obsnet.grid import Grid
from obsnet.regions import REST
from obsnet.typing import Floats
from obsnet.zonal import region_sums

__all__ = ["Shares", "add_shares", "shares_of"]

_LARGEST = 2_000_000  # entries that are worth a place in a file


@dataclass(frozen=True, eq=False)
class Shares:
    """The part of each cell's flux that belongs to each region.

    Parameters
    ----------
    labels : tuple of str
        Keys of the regions in the order of the rows, then those of `obsnet.regions.REST` that there are.
    grid : Grid
        The cells, flat in the order of `Grid.index`.
    parts : mapping of str to scipy.sparse.csr_array, shape (labels, cells)
        By sector; not negative, and every cell's sum to 1, so that totals over all rows are those of the domain.
    made : mapping of str to str
        By sector: where its flux was taken to be, for reports.
    notes : tuple of str
        What was chosen or found on the way.
    doubt : mapping of str to ndarray, shape (labels, labels)
        By sector: covariance of the totals of the flux that the shares were made from, mol2 s-2, for want of knowing
        where inside a cell of its own grid the flux is; it sums to 0, since nothing is lost. 0 where not given.

    Raises
    ------
    RegionError
        Parts of another shape, or a cell whose parts do not sum to 1.

    Examples
    --------
    >>> shares = flux_shares(provinces(), grid, {"power": flux}, flux_grid=fine)  # doctest: +SKIP
    >>> shares.totals(prior, "power")  # mol s-1 of each province, the sea and other countries  # doctest: +SKIP
    """

    labels: tuple[str, ...]
    grid: Grid
    parts: Mapping[str, sp.csr_array]
    made: Mapping[str, str]
    notes: tuple[str, ...] = ()
    doubt: Mapping[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for sector, part in self.parts.items():
            if part.shape != (len(self.labels), self.grid.size):
                raise RegionError(
                    f"shares of {sector!r} have shape {part.shape}, {len(self.labels)} rows of {self.grid.size} "
                    "cells are needed"
                )
            off = np.abs(np.asarray(part.sum(axis=0)).ravel() - 1.0)
            if not (part.data.min(initial=0.0) >= 0.0 and off.max(initial=0.0) <= 1e-9):
                raise RegionError(
                    f"shares of {sector!r} must be positive and sum to 1 in every cell; cell "
                    f"{int(np.argmax(off))} is off by {off.max():.3g}, the smallest is {part.data.min():.3g}"
                )

    @property
    def regions(self) -> tuple[str, ...]:
        """Labels without `REST`."""
        return tuple(label for label in self.labels if label not in REST)

    @property
    def described(self) -> tuple[str, ...]:
        """How cells were split, a line a sector."""
        return tuple(f"{sector}: {text}" for sector, text in self.made.items())

    def part(self, sector: str) -> sp.csr_array:
        """Return the parts of one sector, shape (labels, cells).

        Raises
        ------
        RegionError
            There are none for this sector.
        """
        if sector not in self.parts:
            raise RegionError(f"no shares were made for sector {sector!r}{nearest(sector, self.parts)}")
        return self.parts[sector]

    def regional(self, sector: str) -> sp.csr_array:
        """Return the rows of the regions alone, shape (regions, cells)."""
        return sp.csr_array(self.part(sector)[[label not in REST for label in self.labels]])

    def area(self, sector: str) -> sp.csr_array:
        """Return what turns a flux density of the sector into totals, m2, shape (labels, cells)."""
        return sp.csr_array(self.part(sector).multiply(self.grid.cell_area.ravel()[None, :]))

    def totals(self, flux: Any, sector: str, *, nan: NanPolicy = "raise") -> Any:
        """Integrate a flux of one sector over each region.

        Parameters
        ----------
        flux : ndarray (..., lat, lon) or xarray.DataArray
            mol m-2 s-1, any sign; a DataArray that names another unit is refused.
        sector : str
            Whose shares.
        nan : {'raise', 'zero', 'propagate'}
            Missing values, see `obsnet.field.fill_nan`.

        Returns
        -------
        ndarray (..., labels) or xarray.DataArray with dimension ``region``
            mol s-1; their sum is the total of the domain.

        Raises
        ------
        UnitError, GridError, RangeError, RegionError
            Another unit, grid, missing values under ``nan='raise'``, no such sector.
        """
        return region_sums(self.area(sector), self.labels, self.grid, flux, nan=nan)


def add_shares(data: Any, shares: Shares, *, largest: int | None = None) -> None:
    """Write shares into a dataset on the same grid, with the dimensions ``sector`` and ``region`` of the same labels.

    Parameters
    ----------
    data : xarray.Dataset
        Is changed: attributes ``shares`` (how they were made, a line a sector) and ``shares_notes``; variables
        ``share``, ``share_region``, ``share_cell``, ``share_sector`` on a dimension ``entry``, which hold what is not
        0, unless that would be millions of numbers.
    shares : Shares
        Of every sector of the dataset.
    largest : int, optional
        Numbers that are worth a place in the file, by default 2 million.

    Notes
    -----
    ``region_split_covariance`` (sector, region, region_2) is `Shares.doubt`, ``region_split_uncertainty`` (sector,
    region) the root of its diagonal.
    """
    data.attrs["shares"] = "\n".join(shares.described)
    data.attrs["shares_notes"] = "\n".join(shares.notes)
    none = np.zeros((len(shares.labels), len(shares.labels)))
    doubt = np.array([shares.doubt.get(str(s), none) for s in data["sector"].values])
    text = "of the prior total for want of knowing where inside cells its flux is"
    for name, dims, values, unit, what in (
        (
            "uncertainty",
            ("sector", "region"),
            np.sqrt(np.einsum("srr->sr", doubt)),
            "mol s-1",
            "standard deviation",
        ),
        ("covariance", ("sector", "region", "region_2"), doubt, "mol2 s-2", "covariance"),
    ):
        data[f"region_split_{name}"] = (dims, values, {"units": unit, "long_name": f"{what} {text}"})
    parts = [shares.part(str(s)).tocoo() for s in data["sector"].values]
    if sum(p.nnz for p in parts) > (_LARGEST if largest is None else largest):
        data.attrs["shares_notes"] += "\nthe shares themselves are too many for this file"
        return
    data["share"] = (
        "entry",
        np.concatenate([p.data for p in parts]),
        {"units": "1", "long_name": "part of the flux of a cell that belongs to a region"},
    )
    for name, values, text in (
        ("sector", np.repeat(np.arange(len(parts)), [p.nnz for p in parts]), "index along sector"),
        ("region", np.concatenate([p.coords[0] for p in parts]), "index along region"),
        (
            "cell",
            np.concatenate([p.coords[1] for p in parts]),
            "index of latitude times longitudes plus its own",
        ),
    ):
        data[f"share_{name}"] = ("entry", values.astype(np.int32), {"long_name": f"{text}, from 0"})


def shares_of(data: Any) -> Shares:
    """Return the shares that a file was made with, so that another flux is divided the same way.

    Parameters
    ----------
    data : xarray.Dataset
        With what `add_shares` wrote, such as ``posterior.nc``.

    Raises
    ------
    FormatError
        The file holds no shares, or damaged ones.
    """
    if "share" not in data.variables:
        why = str(data.attrs.get("shares_notes", "")) or "it was made without"
        raise FormatError(f"no shares in this file ({why.splitlines()[-1]}); make them with flux_shares")
    grid, labels = grid_of(data), tuple(str(r) for r in data["region"].values)
    said, parts, made = str(data.attrs["shares"]).splitlines(), {}, {}
    value, number, row, cell = (data[f"share{n}"].values for n in ("", "_sector", "_region", "_cell"))
    for i, sector in enumerate(map(str, data["sector"].values)):
        own = number == i
        try:
            part = sp.csr_array((value[own], (row[own], cell[own])), shape=(len(labels), grid.size))
        except ValueError as error:
            raise FormatError(
                f"shares of {sector!r} in this file do not fit its grid and regions: {error}"
            ) from error
        parts[sector], made[sector] = part, said[i].removeprefix(f"{sector}: ")
    doubt = {}
    if "region_split_covariance" in data.variables:
        values = data["region_split_covariance"].transpose("sector", "region", "region_2").values
        doubt = {s: np.asarray(v, np.float64) for s, v in zip(parts, values, strict=True) if v.any()}
    return Shares(labels, grid, parts, made, tuple(str(data.attrs["shares_notes"]).splitlines()), doubt)
