"""A gridded prior whose provinces sum to a table: plants at their places, the remainder by a proxy, sector by sector.

What belongs to a province in a cell is known when the cell is filled, plants by where they stand and the rest by the
province's part of the cell, so totals hold exactly through the *shares* stored beside the flux: the part of each
cell's flux that is each province's. Adding cells up by area instead moves plants at coasts and borders to the sea
and to neighbours; how much is stored too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from obsnet.constants import SECONDS_PER_YEAR, species
from obsnet.errors import FormatError, RangeError, RegionError, nearest
from obsnet.grid import Grid
from obsnet.inventory.notes import note
from obsnet.inventory.prior.plants import Plants
from obsnet.shares import Shares
from obsnet.typing import Floats
from obsnet.work.progress import counted

__all__ = ["Excess", "Prior", "gridded_prior"]

Excess = Literal["scale", "raise", "refuse"]
TOO_MANY = 10.0  # times a province's total: no set of plants, but a unit; the most that was published is 1.3
_POINTS = "power"  # the sector whose emissions stand at plants


@dataclass(frozen=True, eq=False)
class Prior:
    """Emissions on a grid, and whose they are.

    Parameters
    ----------
    grid : Grid
        Cells.
    labels : tuple of str
        Regions, then ``offshore`` and ``outside``.
    sectors : tuple of str
        In order.
    amounts : tuple of scipy.sparse.csr_array, shape (labels, cells)
        mol s-1 of each label in each cell, a sector each.
    totals : ndarray, shape (sectors, labels)
        mol s-1, what was to be met.
    relative_sd : ndarray, shape (sectors, regions)
        Of the totals; NaN where none is stated.
    notes : tuple of str
        Every rule that was applied.
    how : dict of str to str
        By sector: where its emissions were put.
    fraction : scipy.sparse.csr_array, shape (regions, cells)
        Part of each cell's area in each region.
    """

    grid: Grid
    labels: tuple[str, ...]
    sectors: tuple[str, ...]
    amounts: tuple[Any, ...]
    totals: Floats
    relative_sd: Floats
    notes: tuple[str, ...]
    how: Mapping[str, str]
    fraction: Any

    def flux(self) -> Floats:
        """Return mol m-2 s-1, shape (sectors, lat, lon)."""
        area = self.grid.cell_area.ravel()
        return np.stack([np.asarray(a.sum(axis=0)).ravel() / area for a in self.amounts]).reshape(
            -1, *self.grid.shape
        )

    def by_area(self) -> Floats:
        """Return totals of regions by area, shape (sectors, regions), mol s-1: what a reader without shares finds."""
        area = self.grid.cell_area.ravel()
        return np.stack([self.fraction @ (f.ravel() * area) for f in self.flux()])

    def shares(self) -> Shares:
        """Return whose the flux of each cell is; a cell without flux is divided by area, the rest of it outside."""
        rest = 1.0 - np.asarray(self.fraction.sum(axis=0)).ravel()
        rest[rest < 1e-10] = 0.0  # rounding
        even = sp.vstack([self.fraction, sp.csr_array(np.stack([np.zeros_like(rest), rest]))], format="csr")
        parts = {}
        for sector, amounts in zip(self.sectors, self.amounts, strict=True):
            total = np.asarray(amounts.sum(axis=0)).ravel()
            own = amounts.multiply(np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)[None, :])
            part = sp.csr_array(own + even.multiply((total <= 0)[None, :]))
            part.eliminate_zeros()
            parts[sector] = part
        made = {s: note("else by area", how=text) for s, text in self.how.items()}
        return Shares(self.labels, self.grid, parts, made, self.notes)


def gridded_prior(
    totals: Any,
    regions: Any,
    grid: Grid,
    *,
    gas: str = "CO2",
    plants: Plants | None = None,
    plant_sector: str = _POINTS,
    proxies: Mapping[str, Floats] | None = None,
    excess: Excess = "scale",
    least_covered: float = 0.9,
) -> Prior:
    """Spread provincial totals over a grid.

    Parameters
    ----------
    totals : pandas.DataFrame
        From `obsnet.inventory.prior.totals.sector_totals`.
    regions : geopandas.GeoDataFrame
        See `obsnet.regions`; must hold every region of the totals.
    grid : Grid
        Cells.
    gas : str
        Formula.
    plants : Plants, optional
        Where they are masses, they stand as they are and the remainder of `plant_sector` goes by its proxy; where
        they are capacities, a province's whole sector goes to its plants in proportion.
    plant_sector : str
        Sector of the plants.
    proxies : mapping of str to ndarray (lat, lon), optional
        By sector, or ``all``: relative density, not negative; without one a sector is even over a province's area.
    excess : {"scale", "raise", "refuse"}
        Where plants exceed a province's total of the sector: scale them down to it, raise the total to them, or refuse.
    least_covered : float
        Part of a region that the grid must cover.

    Returns
    -------
    Prior

    Raises
    ------
    RegionError
        A region that is not there, or not on the grid; plants beyond the total under ``refuse``; a proxy that is 0
        all over a province.
    FormatError
        A negative total: sinks have no place by a proxy of emissions.
    """
    from obsnet.zonal import OFFSHORE, OUTSIDE, zonal_weights

    weights = zonal_weights(regions, grid)
    codes = list(weights.regions)
    strange = sorted(set(totals["region"]) - set(codes))
    if strange:
        names = [*codes, *regions["name_en"]] if "name_en" in regions else codes
        raise RegionError(
            f"region {strange[0]!r} of the inventory is not among the boundaries{nearest(strange[0], names)}"
        )
    negative = totals[totals["value"] < 0]
    if len(negative):
        row = negative.iloc[0]
        raise FormatError(
            f"{row['sector']} of {row['region']} is {row['value'] / 1e9:g} Mt, below 0; leave sinks out of this prior"
        )
    rate = 1.0 / species(gas).molar_mass / SECONDS_PER_YEAR
    sectors = tuple(dict.fromkeys(totals["sector"]))
    wanted = np.zeros((len(sectors), len(codes) + 2))
    sd = np.full((len(sectors), len(codes)), np.nan)
    for row in totals.to_dict("records"):
        at = sectors.index(row["sector"]), codes.index(row["region"])
        wanted[at], sd[at] = row["value"] * rate, row["sd"]
    part = weights.covered
    for j in np.flatnonzero(wanted[:, : len(codes)].sum(axis=0) > 0):
        if part[j] < least_covered:
            raise RegionError(
                f"the grid covers {part[j]:.0%} of {codes[j]}, whose total would be squeezed into it; take a "
                f"larger grid"
            )
    area = sp.csr_array(weights.fraction.multiply(grid.cell_area.ravel()[None, :]))
    notes: list[str] = []
    partial = [
        f"{codes[j]} {part[j]:.1%}"
        for j in range(len(codes))
        if least_covered <= part[j] < 0.999 and wanted[:, j].sum() > 0
    ]
    if partial:
        notes.append(note("in part", regions=", ".join(partial)))
    amounts, how = [], {}
    for s, sector in enumerate(counted(sectors, "sectors")):
        proxy = (proxies or {}).get(sector, (proxies or {}).get("all"))
        density = np.ones(grid.size) if proxy is None else _proxy(proxy, grid, sector)
        spread = "even over the area of a province" if proxy is None else "by the proxy"
        rest = wanted[s, : len(codes)].copy()
        points = sp.csr_array((len(codes) + 2, grid.size))
        if plants is not None and sector == plant_sector:
            points, rest, said = _points(plants, rest, codes, grid, rate, excess)
            notes += [*plants.notes, *said]
            wanted[s, len(codes)] = float(points[[len(codes)]].sum())
            kind = "their emissions" if plants.is_mass else "in proportion to capacity"
            spread = note("plants at", n=plants.value.size, kind=kind, rest=spread)
        held = area @ density
        bare = np.flatnonzero((held <= 0) & (rest > 1e-12 * max(wanted[s].max(), 1e-300)))
        if bare.size:
            raise RegionError(
                f"the proxy of {sector} is 0 all over {codes[bare[0]]}, which has emissions; use another, or none"
            )
        scale = np.divide(rest, held, out=np.zeros_like(rest), where=held > 0)
        own = sp.csr_array(area.multiply(density[None, :]).multiply(scale[:, None]))
        empty = sp.csr_array((2, grid.size))
        amounts.append(sp.csr_array(sp.vstack([own, empty], format="csr") + points))
        how[sector] = spread
        if excess == "raise" and sector == plant_sector:
            wanted[s] = np.asarray(amounts[-1].sum(axis=1)).ravel()
    labels = (*codes, OFFSHORE, OUTSIDE)
    return Prior(
        grid, labels, sectors, tuple(amounts), wanted, sd, tuple(notes), how, sp.csr_array(weights.fraction)
    )


def _proxy(values: Floats, grid: Grid, sector: str) -> Floats:
    from obsnet.field import values_on

    density = values_on(values, grid).ravel()
    if not np.isfinite(density).all() or (density < 0).any():
        raise FormatError(
            f"the proxy of {sector} has missing or negative values; a density must be 0 or more everywhere"
        )
    return density


def _points(
    plants: Plants, rest: Floats, codes: list[str], grid: Grid, rate: float, excess: Excess
) -> tuple[Any, Floats, list[str]]:
    """Return plants by label and cell (mol s-1), what remains of each region's total, and what was done."""
    from obsnet.regions import PROVINCES
    from obsnet.zonal import OFFSHORE

    index = {**{c: j for j, c in enumerate(codes)}, OFFSHORE: len(codes)}
    row = np.array([index[r] for r in plants.region])
    cell = grid.index(plants.lat, plants.lon)
    notes = []
    off = cell < 0
    if off.any():
        notes.append(note("off grid", n=int(off.sum())))
    row, cell, value = row[~off], cell[~off], plants.value[~off]
    held = np.asarray(np.bincount(row, value, minlength=len(codes) + 1), dtype=np.float64)
    left = rest.copy()
    if not plants.is_mass:
        inside = row < len(codes)
        share = np.where(inside, value / np.where(held[row] > 0, held[row], 1.0), 0.0)
        amount = share * np.where(inside, np.append(rest, 0.0)[np.minimum(row, len(codes))], 0.0)
        have = held[: len(codes)] > 0
        left[have] = 0.0
        without = [PROVINCES.get(codes[j], (codes[j],))[0] for j in np.flatnonzero(~have & (rest > 0))]
        if without:
            notes.append(note("no plant", regions=", ".join(without)))
        if (~inside).any():
            notes.append(note("no share", n=int((~inside).sum())))
    else:
        amount = value * rate
        held = held * rate
        for j in np.flatnonzero(held[: len(codes)] > rest * (1 + 1e-12)):
            name = PROVINCES.get(codes[j], (codes[j],))[0]
            if rest[j] > 0:
                said = note("too many", region=name, times=f"{held[j] / rest[j]:.2f}")
            else:
                emit = held[j] / rate / 1e9
                said = note("none there", region=name, mass=f"{emit:.3g}")
            if held[j] > TOO_MANY * rest[j] > 0:
                raise RangeError(
                    f"{said}: a unit is off (1e4 t against t?), in the plants or in the inventory"
                )
            if excess == "refuse":
                raise RegionError(f"{said}; say what goes before: --excess scale or --excess raise")
            if excess == "scale":
                amount = np.where(row == j, amount * (rest[j] / held[j]), amount)
                notes.append(f"{said}: {note('scaled')}")
                left[j] = 0.0
            else:
                notes.append(f"{said}: {note('raised')}")
                left[j] = 0.0
        fits = held[: len(codes)] <= rest * (1 + 1e-12)
        left[fits] = np.maximum(rest[fits] - held[: len(codes)][fits], 0.0)
        if held[len(codes)] > 0:
            notes.append(note("beside", mass=f"{held[len(codes)] / rate / 1e9:.3g}"))
    points = sp.csr_array((amount, (row, cell)), shape=(len(codes) + 2, grid.size))
    return points, left, notes
