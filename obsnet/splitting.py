"""How the flux of a cell is split: by points, by a finer flux, by land and sea; by area where there is no flux.

Every cell of the finest grid (`obsnet.regrid.refinement` by the flux's own) is given to regions, sea and other land
by the rule of its sector, and a coarser cell is split as the flux of the fine ones in it adds up:

``land``
    The flux is on the land of the cell. In a cell wholly at sea it belongs to the nearest region that the cell's
    middle is within `snap_deg` of, else it is offshore. Most emissions, and the biosphere.
``sea``
    The flux is at sea where the cell reaches the sea, else on its land by area. Ships, the ocean.
``area``
    The flux is even over the cell. Aircraft.

The magnitude of the flux decides, averaged over time: a sector with both signs in one cell has no sum to take parts
of, and parts that are negative or above 1 would turn one change of the cell into changes of both signs. Totals stay
additive.

Points are where they are; just off a coast, up to `snap_deg`, they belong to the nearest region. A file that says
whose the flux of its cells is, as a prior made from provincial totals does, is taken at its word.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.ndimage import maximum_filter

from obsnet.coverage import coverage
from obsnet.errors import ConfigError, GridError, RangeError, nearest
from obsnet.field import fill_nan, grid_of, values_on
from obsnet.grid import Grid
from obsnet.points import Points, place_points
from obsnet.regions import OFFSHORE, OUTSIDE, PROVINCES, REST
from obsnet.regrid import refinement
from obsnet.run_words import line
from obsnet.shares import Shares
from obsnet.surroundings import other_land
from obsnet.typing import Bools, Floats, Ints
from obsnet.zonal import zonal_weights

if TYPE_CHECKING:
    import geopandas

__all__ = ["Rule", "flux_shares", "flux_totals", "usual_rule"]

Rule = Literal["land", "sea", "area"]
_TINY = 1e-9  # of a cell; less is rounding of the polygons
_UNSURE = 0.03  # of a region's flux: what is said of its total's want of places
_ABSURD = 10.0  # times the flux: points in another unit, not of another year
# Words in the name of a sector that leave no doubt; every other sector is on land.
_WORDS: dict[Rule, frozenset[str]] = {
    "sea": frozenset({"ship", "ships", "shipping", "marine", "maritime", "ocean", "sea", "offshore"}),
    "area": frozenset({"aviation", "aircraft"}),
}
_WHERE: dict[Rule, str] = {
    "land": "on the land of a cell",
    "sea": "at sea where a cell reaches the sea",
    "area": "even over a cell",
}


def usual_rule(sector: str) -> Rule:
    """Return where a sector is by its name: ships and the ocean ``sea``, aircraft ``area``, all else ``land``."""
    words = set(re.split(r"[^a-z]+", sector.casefold()))
    return next((rule for rule, known in _WORDS.items() if words & known), "land")


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Parts of each fine cell's area; they sum to 1.

    Parameters
    ----------
    own : csr_array, shape (regions, cells)
        In each region.
    other, strip, sea : ndarray, shape (cells,)
        On other land, on land that is only an error of the coast, at sea.
    """

    own: sp.csr_array
    other: Floats
    strip: Floats
    sea: Floats

    def by_area(self) -> sp.csr_array:
        """Return the rows (regions, offshore, outside) of the rule ``area``."""
        return _rows(self.own, self.sea, self.other + self.strip)

    def at_sea(self) -> sp.csr_array:
        """Return the rows of the rule ``sea``."""
        dry = (self.sea == 0.0).astype(np.float64)
        return _rows(_times(self.own, dry), 1.0 - dry, (self.other + self.strip) * dry)

    @property
    def land(self) -> Floats:
        """Part of each cell on land, strips aside."""
        return np.asarray(self.own.sum(axis=0)).ravel() + self.other

    def on_land(self, cells: Ints, row: Ints) -> sp.csr_array:
        """Return the rows of the rule ``land``; `cells` have none, and belong to the rows `row`."""
        land = np.where(self.land > _TINY, self.land, np.inf)
        bare = np.where(np.isinf(land), 1.0, 0.0)
        bare[cells] = 0.0
        afloat = bare * (self.strip == 0.0)
        rows = _rows(_over(self.own, land), afloat, self.other / land + bare - afloat)
        lone = sp.csr_array((np.ones(cells.size), (row, cells)), shape=rows.shape)
        return sp.csr_array(rows + lone)


def _rows(own: sp.csr_array, offshore: Floats, outside: Floats) -> sp.csr_array:
    return sp.csr_array(sp.vstack([own, sp.csr_array(np.stack([offshore, outside]))], format="csr"))


def _times(rows: sp.csr_array, factor: Floats) -> sp.csr_array:
    return sp.csr_array(rows.multiply(factor[None, :]))


def _over(rows: sp.csr_array, total: Floats) -> sp.csr_array:
    """Divide columns; by division, so that a part that is all of its cell is 1 exactly."""
    return sp.csr_array((rows.data / total[rows.indices], rows.indices, rows.indptr), shape=rows.shape)


def flux_shares(
    regions: geopandas.GeoDataFrame,
    grid: Grid,
    flux: Mapping[str, npt.ArrayLike],
    *,
    flux_grid: Grid | None = None,
    points: Points | None = None,
    rules: Mapping[str, Rule] | None = None,
    diffuse: Collection[str] = (),
    given: Shares | None = None,
    snap_deg: float = 0.3,
    land: Any = None,
) -> Shares:
    """Say which part of each cell's flux belongs to each region.

    Parameters
    ----------
    regions : geopandas.GeoDataFrame
        As for `obsnet.zonal.zonal_weights`; they may not overlap.
    grid : Grid
        Cells to split.
    flux : mapping of str to array_like (..., lat, lon)
        By sector, mol m-2 s-1, any sign; its mean magnitude over leading dimensions counts. Zeros where nothing is
        known.
    flux_grid : Grid, optional
        Cells of the flux, finer than `grid` or not; by default `grid`. They must cover it.
    points : Points, optional
        That part of the flux whose place is known.
    rules : mapping of str to {"land", "sea", "area"}, optional
        By sector; by default `usual_rule`.
    diffuse : collection of str
        Sectors that are spread evenly where their rule puts them, such as rice: where inside a cell they are is known.
        So it is taken to be where a flux has both signs, and by the rule ``area``.
    given : Shares, optional
        Whose the flux of the cells of `flux_grid` is by its own file (`obsnet.shares.shares_of`). It decides for the
        sectors that have neither a rule nor points here, if it has all `regions`; others of its own are ``outside``.
    snap_deg : float
        Largest distance of a point, or of the middle of a cell at sea, from its region, degrees of arc.
    land : shapely geometry, optional
        All land, degrees; by default `obsnet.surroundings.world_land`.

    Returns
    -------
    Shares
        Rows: the regions, ``offshore`` where the grid reaches the sea, ``outside``.

    Raises
    ------
    RegionError
        Regions that overlap or cannot be used.
    ConfigError
        A rule for, or points of, a sector that has no flux.
    GridError
        A flux, or given shares, that are not on `flux_grid`; a flux that does not cover `grid`.
    RangeError
        Missing values, or points that emit more than ten times the whole flux.

    Notes
    -----
    With the parts q of a fine cell u by the rule, its flux m (mol s-1), and the points p of region r,
    ``W[r, c] = sum_u q[r, u] m'[u] + p[r, c]``; m' is m where a cell c has no points, else m less the points in u,
    scaled to what the flux of c is beyond its points. Shares are W by column over its sum, and parts of area
    where that is 0.

    Where inside a cell of its own grid the flux m is, nobody said. If all of it stood at one place, anywhere on what
    the parts q divide, a region would have all of it with probability q: the covariance of the totals is then
    ``sum m'^2 (diag(q) - q q')``, `Shares.doubt`. Coal plants of China put on grids of 0.1 to 1 degree are off by 0.7
    to 1.3 times its root (rms of provinces, scripts/calibrate_coast.py). A flux that is spread out is surer.

    Given shares g of the cells s of `flux_grid` put ``g[r, s] m[s]`` of region r into s; where `grid` cuts s, that
    goes to the region's own area there. Their doubt is the file's.
    """
    rule = {sector: (rules or {}).get(sector, usual_rule(sector)) for sector in flux}
    _known("rules", rules or {}, flux)
    _known("diffuse", diffuse, flux)
    source_grid = flux_grid or grid
    fine = refinement(grid, source_grid)
    lat, lon = (a.ravel() for a in np.meshgrid(fine.lat, fine.lon, indexing="ij"))
    source, cell, area = source_grid.index(lat, lon), grid.index(lat, lon), fine.cell_area.ravel()
    if (source < 0).any():
        raise GridError(f"the flux on {source_grid!r} does not cover {grid!r}, whose cells it should split")
    size = {sector: _size(v, sector, source_grid) for sector, v in flux.items()}
    amount = {sector: area * m[source] for sector, (m, _) in size.items()}
    other, strips = other_land(regions, fine, land)
    zones = zonal_weights(regions, fine)
    rest = coverage(np.array([other, strips]), fine).toarray()
    sea = zones.outside - rest.sum(axis=0)
    pieces = _Pieces(zones.fraction, rest[0], rest[1], np.where(sea > _TINY, sea, 0.0))
    on_land = np.sum([a for s, a in amount.items() if rule[s] == "land"] or np.zeros((1, fine.size)), axis=0)
    lone = np.flatnonzero((on_land > 0.0) & _reached(pieces, fine, snap_deg))
    row = place_points(lat[lone], lon[lone], regions, other, snap_deg=snap_deg)
    lone, row = lone[row != len(regions)], row[row != len(regions)]
    parts = {"area": pieces.by_area(), "sea": pieces.at_sea(), "land": pieces.on_land(lone, row)}

    def gather(part: sp.csr_array, weight: Floats, into: Ints = cell, count: int = grid.size) -> sp.csr_array:
        found = _times(part, weight).tocoo()
        at = (found.coords[0], into[found.coords[1]])
        return sp.csr_array((found.data, at), shape=(part.shape[0], count))

    even = gather(parts["area"], area)
    even = _over(even, np.asarray(even.sum(axis=0)).ravel())
    shares, made, notes, doubt = {}, {}, [], {}
    spots = None if points is None else _place(points, flux, pieces, fine, regions, other, snap_deg)
    known_part, why = _given(given, regions.index, source_grid)
    for sector in flux:
        part, m, said = parts[rule[sector]], amount[sector], ""
        weight = sp.csr_array((len(regions) + 2, grid.size))
        if given is not None and sector in given.parts:
            own = points is not None and (points.sector == sector).any()
            reason = (
                f"a rule is given for {sector}"
                if sector in (rules or {})
                else "points are given"
                if own
                else why
            )
            if reason:
                notes.append(f"{sector}: whose its cells are by its own file is not used: {reason}")
            else:
                rows = known_part @ given.part(sector)
                weight = gather(_within(rows, m, source, parts["area"], area), np.ones(fine.size))
                shares[sector] = _normal(weight, even)
                if sector in given.doubt:
                    doubt[sector] = np.asarray(known_part @ given.doubt[sector] @ known_part.T)
                    notes += _doubtful(sector, weight, doubt[sector], regions.index)
                made[sector] = f"as its own file says ({given.made[sector]}), on {_cells(source_grid)} cells"
                notes += _remarks(sector, weight, 0.0, snap_deg)
                continue
        if points is not None and spots is not None and (points.sector == sector).any():
            m, weight, said = _beyond_points(points, spots, sector, m, cell, weight.shape)
        weight = sp.csr_array(weight + gather(part, m))
        shares[sector] = _normal(weight, even)
        if sector not in diffuse and rule[sector] != "area" and not size[sector][1]:
            doubt[sector] = _doubt(gather(part, m, source, source_grid.size))
            notes += _doubtful(sector, weight, doubt[sector], regions.index)
        made[sector] = (
            f"{_WHERE[rule[sector]]}, by its flux on {_cells(source_grid)} cells{said}; by area where it has none"
        )
        snapped = amount[sector][lone].sum() * (rule[sector] == "land")
        notes += _remarks(sector, weight, snapped, snap_deg)
        if sector not in (rules or {}) and rule[sector] != "land":
            notes.append(f"{sector}: taken to be {_WHERE[rule[sector]]} because of its name")
    labels = np.array([*map(str, regions.index), OFFSHORE, OUTSIDE])
    afloat = pieces.sea.any() or any(p[[len(regions)]].nnz for p in shares.values())
    there = (labels != OFFSHORE) | afloat
    return Shares(
        tuple(map(str, labels[there])),
        grid,
        {s: p[there] for s, p in shares.items()},
        made,
        tuple(notes),
        {s: v[np.ix_(there, there)] for s, v in doubt.items()},
    )


def flux_totals(data: Any, regions: geopandas.GeoDataFrame, **options: Any) -> Any:
    """Return the totals of a gridded flux by region, each cell split by where its own flux is.

    Parameters
    ----------
    data : xarray.Dataset
        With ``flux(time, sector, lat, lon)`` in mol m-2 s-1, see `obsnet.cf.read_flux`.
    regions : geopandas.GeoDataFrame
        As of `flux_shares`.
    **options
        Of `flux_shares`: ``points``, ``rules``, ``diffuse``, ``snap_deg``, ``land``.

    Returns
    -------
    xarray.DataArray (time, sector, region)
        mol s-1, the rows of `flux_shares`; their sum is the total of the file. Attributes ``shares`` and
        ``shares_notes`` say how cells were split.

    Examples
    --------
    >>> from obsnet.cf import read_flux
    >>> flux_totals(read_flux("edgar.nc"), provinces()).sel(region="440000")  # doctest: +SKIP
    """
    import xarray as xr

    by_sector = {str(s): data["flux"].sel(sector=s, drop=True) for s in data["sector"].values}
    shares = flux_shares(regions, grid_of(data), by_sector, **options)
    totals = xr.concat([shares.totals(flux, s) for s, flux in by_sector.items()], dim="sector")
    totals = totals.assign_coords(sector=list(by_sector)).transpose("time", "sector", "region")
    return totals.assign_attrs(shares="\n".join(shares.described), shares_notes="\n".join(shares.notes))


def _normal(weight: sp.csr_array, even: sp.csr_array) -> sp.csr_array:
    """Return the parts that weights make of each cell; where there are none, the even ones."""
    total = np.asarray(weight.sum(axis=0)).ravel()
    known = total > 0.0
    mixed = sp.csr_array(
        _over(weight, np.where(known, total, np.inf)) + _times(even, np.where(known, 0.0, 1.0))
    )
    mixed.eliminate_zeros()
    return mixed


def _given(given: Shares | None, keys: Iterable[Any], grid: Grid) -> tuple[sp.csr_array, str]:
    """Return what takes the rows of given shares to (regions, offshore, outside), and why they cannot be used."""
    keys = [str(k) for k in keys]
    if given is None:
        return sp.csr_array((len(keys) + 2, 0)), ""
    if given.grid != grid:
        raise GridError(f"given shares are on {given.grid!r}, the flux on {grid!r}")
    lacking = [k for k in keys if k not in given.labels]
    rows = [*keys, *REST]
    at = [rows.index(label) if label in rows else len(keys) + 1 for label in given.labels]
    matrix = sp.csr_array((np.ones(len(at)), (at, np.arange(len(at)))), shape=(len(rows), len(at)))
    return matrix, f"it has no region {lacking[0]!r}" if lacking else ""


def _within(part: sp.csr_array, m: Floats, source: Ints, even: sp.csr_array, area: Floats) -> sp.csr_array:
    """Return the amount of each row in each fine cell: of a cell of the flux, by the row's own area there.

    Parameters
    ----------
    part : csr_array, shape (rows, cells of the flux)
        Whose a cell is.
    m, source, area : ndarray, shape (fine cells,)
        Amount, cell of the flux, area.
    even : csr_array, shape (rows, fine cells)
        Parts of area.
    """
    if np.unique(source).size == source.size:  # nothing is cut
        return _times(sp.csr_array(part[:, source]), m)
    whole = np.asarray(np.bincount(source, m, minlength=part.shape[1]), dtype=np.float64)
    amount = _times(part, whole)
    into = sp.csr_array(
        (np.ones(source.size), (source, np.arange(source.size))), shape=(part.shape[1], source.size)
    )
    own = _times(even, area)
    there = sp.csr_array(own @ into.T)
    there.eliminate_zeros()
    share = sp.csr_array(
        amount.multiply(sp.csr_array((1.0 / there.data, there.indices, there.indptr), there.shape))
    )
    bare = _over(sp.csr_array(amount - amount.multiply(there > 0.0)), into @ area)
    # where a row has no area of its own, all over the cell
    return sp.csr_array(own.multiply(share @ into) + _times(sp.csr_array(bare @ into), area))


def _doubtful(sector: str, weight: sp.csr_array, doubt: Floats, keys: Iterable[Any]) -> list[str]:
    """Say which regions' totals are uncertain for want of places, by 3 % or more of their flux."""
    total = np.asarray(weight.sum(axis=1)).ravel()[:-2]
    size = np.sqrt(np.maximum(np.diagonal(doubt)[:-2], 0.0)) / np.where(total > 0.0, total, np.inf)
    names = [PROVINCES.get(str(k), (str(k),))[0] for k in keys]
    told = [f"{names[i]} {size[i]:.0%}" for i in np.argsort(-size, kind="stable") if size[i] >= _UNSURE]
    if not told:
        return []
    text = f"{sector}: where inside its cells the flux stands is not known, and totals are uncertain for it"
    return [f"{text}: {', '.join(told)}; give points, or a finer prior"]


def _known(what: str, named: Iterable[str], sectors: Iterable[str]) -> None:
    """Refuse what is said of a sector that there is not."""
    for sector in sorted({str(s) for s in named} - set(sectors)):
        raise ConfigError(f"{what}: there is no flux of sector {sector!r}{nearest(sector, sectors)}")


def _size(field: Any, sector: str, grid: Grid) -> tuple[Floats, bool]:
    """Return the mean magnitude of a flux, flat, and whether it has both signs."""
    values, _ = fill_nan(values_on(field, grid), "raise", f"the flux of {sector}")
    both = float(values.min(initial=0.0)) < 0.0 < float(values.max(initial=0.0))
    return np.abs(values).reshape(-1, grid.size).mean(axis=0), both


def _doubt(weight: sp.csr_array) -> Floats:
    """Return the covariance of the rows' sums if each column stood, as a whole, at one row with its part as chance."""
    whole = np.asarray(weight.sum(axis=0)).ravel()
    return np.asarray(np.diag(weight @ whole) - (weight @ weight.T).toarray())


def _cells(grid: Grid) -> str:
    lat, lon = (float(np.mean(np.diff(e))) for e in (grid.lat_edges, grid.lon_edges))
    return f"{lat:.3g} x {lon:.3g} degree"


def _reached(pieces: _Pieces, fine: Grid, snap_deg: float) -> Bools:
    """Say which cells without land may have a region within `snap_deg` of their middle; a few too many."""
    own = (np.asarray(pieces.own.sum(axis=0)) > _TINY).reshape(fine.shape)
    steepest = min(float(np.abs(fine.lat_edges).max()) + snap_deg, 89.0)
    wide = snap_deg / np.array([1.0, np.cos(np.deg2rad(steepest))])
    cells = [
        int(r / np.diff(e).min()) + 2 for r, e in zip(wide, (fine.lat_edges, fine.lon_edges), strict=True)
    ]
    near = maximum_filter(own, size=[2 * min(c, n) + 1 for c, n in zip(cells, fine.shape, strict=True)])
    return np.asarray(near.ravel() & (pieces.land <= _TINY))


def _place(
    points: Points,
    flux: Iterable[str],
    pieces: _Pieces,
    fine: Grid,
    regions: Any,
    other: Any,
    snap_deg: float,
) -> tuple[Ints, Ints]:
    """Return the fine cell of each point, -1 outside the grid, and its row."""
    _known(points.name, points.sector, flux)
    at = fine.index(points.lat, points.lon)
    row = place_points(points.lat, points.lon, regions, other, snap_deg=snap_deg)
    adrift = (row == len(regions)) & (at >= 0)
    row[adrift] += pieces.sea[at[adrift]] == 0.0
    return at, row


def _beyond_points(
    points: Points, spots: tuple[Ints, Ints], sector: str, m: Floats, cell: Ints, shape: tuple[int, int]
) -> tuple[Floats, sp.csr_array, str]:
    """Return what the fine cells have beyond a sector's points, the points' weights, and what to say of them."""
    own = (points.sector == sector) & (spots[0] >= 0)
    at, row, rate = spots[0][own], spots[1][own], points.rate[own]
    placed = np.bincount(cell[at], rate, minlength=shape[1])
    flux = np.bincount(cell, m, minlength=shape[1])
    weight = sp.csr_array((rate, (row, cell[at])), shape=shape)
    if points.whole:
        said = f"; in {np.count_nonzero(placed)} cells all of it is at {own.sum()} points of {points.name}"
        return np.where(placed[cell] > 0.0, 0.0, m), weight, said
    if placed.sum() > _ABSURD * flux.sum() > 0.0:
        raise RangeError(
            f"{points.name}: the points of {sector!r} emit {placed.sum():.3g} mol s-1 where its whole flux is "
            f"{flux.sum():.3g}: is their unit right?"
        )
    left = np.maximum(m - np.bincount(at, rate, minlength=m.size), 0.0)
    within = np.bincount(cell, left, minlength=shape[1])
    left *= (np.maximum(flux - placed, 0.0) / np.where(within > 0.0, within, 1.0))[cell]
    sums = [float(a.sum()) for a in (np.minimum(placed, flux), np.maximum(placed - flux, 0.0), flux)]
    part, beyond = (a / sums[2] if sums[2] > 0.0 else np.inf for a in sums[:2])
    said = f"; {part:.1%} of it is at {own.sum()} points of {points.name}"
    if beyond > 1e-3:
        said += f", which give {beyond:.1%} more than their cells have"
    return left, weight, said


def _remarks(sector: str, weight: sp.csr_array, snapped: float, snap_deg: float) -> list[str]:
    """Say what lies in no region, and what was counted to one from the sea."""
    rows = np.asarray(weight.sum(axis=1)).ravel()
    total = float(rows.sum())
    if total == 0.0:
        return [f"{sector}: has no flux; cells are split by area"]
    said = {"sector": sector, "sea": f"{rows[-2] / total:.1%}", "land": f"{rows[-1] / total:.1%}"}
    if snapped > 0.0:
        return [line("nearest land", share=f"{snapped / total:.1%}", far=f"{snap_deg:g}", **said)]
    return [line("in no region", **said)]
