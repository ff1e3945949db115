"""Totals of regions: what part of each cell lies in each region, exactly, computed once and kept.

Cell-centre masks are not offered: they are wrong by percents for small provinces, and have no Macao.
"""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from obsnet.errors import FormatError, RangeError, RegionError, UnitError
from obsnet.field import NanPolicy, fill_nan, values_on
from obsnet.grid import Grid
from obsnet.regions import OFFSHORE, OUTSIDE, REST
from obsnet.typing import Floats, Texts

if TYPE_CHECKING:
    import geopandas

__all__ = [
    "OFFSHORE",
    "OUTSIDE",
    "ZonalWeights",
    "arc_away",
    "assign_points",
    "cache_folder",
    "region_sums",
    "sum_covariance",
    "zonal_weights",
]

log = logging.getLogger(__name__)

_VERSION = "1"  # of the cache files
_ROUNDING = 1e-9  # a cell covered to within this is wholly covered
_SLIVER = 0.01  # an overlap below this part of the smaller region is a flaw of digitising


@dataclass(frozen=True, eq=False)
class ZonalWeights:
    """The part of each grid cell that lies in each region.

    Parameters
    ----------
    regions : tuple of str
        Keys, in the order of the rows.
    grid : Grid
        The cells, flat in the order of `Grid.index`.
    fraction : scipy.sparse.csr_array, shape (regions, cells)
        Fraction of the cell's area.
    outside : ndarray, shape (cells,)
        Fraction in no region.
    region_area : ndarray, shape (regions,)
        Whole area of each polygon, m2, whether or not the grid reaches it.
    overlaps : tuple of (str, str, float)
        Pairs of regions that share area, and how much, m2.
    shared_cells : int
        Cells whose fractions summed to more than 1 because of slivers and were scaled to 1.

    Notes
    -----
    Unless made with ``allow_overlap``, the fractions of a cell and its outside part sum to 1 to rounding.
    """

    regions: tuple[str, ...]
    grid: Grid
    fraction: sp.csr_array
    outside: Floats
    region_area: Floats
    overlaps: tuple[tuple[str, str, float], ...] = ()
    shared_cells: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the rows of `matrix` and of `totals`: the regions, then ``outside``."""
        return (*self.regions, OUTSIDE)

    @cached_property
    def matrix(self) -> sp.csr_array:
        """Area of each cell in each row of `labels`, m2, shape (regions + 1, cells)."""
        rows = sp.vstack([self.fraction, sp.csr_array(self.outside[None, :])], format="csr")
        return sp.csr_array(rows.multiply(self.grid.cell_area.ravel()[None, :]))

    @property
    def area(self) -> Floats:
        """Area of each region within the grid, m2, shape (regions,)."""
        return np.asarray(self.matrix.sum(axis=1))[:-1]

    @property
    def covered(self) -> Floats:
        """Part of each region that the grid covers, shape (regions,); below 1 its total is of a part only."""
        return np.minimum(self.area / self.region_area, 1.0)

    def totals(self, flux: Any, *, nan: NanPolicy = "raise") -> Any:
        """Integrate a flux over each region as if it were even inside each cell.

        Emissions are not: on a coast they are on the land. Their totals go by `obsnet.splitting.flux_shares`.

        Parameters
        ----------
        flux : ndarray (..., lat, lon) or xarray.DataArray
            mol m-2 s-1, any sign; a DataArray that names another unit is refused.
        nan : {'raise', 'zero', 'propagate'}
            Missing values, see `obsnet.field.fill_nan`; ``propagate`` makes each region missing that
            contains a part of a missing cell.

        Returns
        -------
        ndarray (..., regions + 1) or xarray.DataArray with dimension ``region``
            mol s-1 in the order of `labels`, the last being what lies outside all regions.

        Raises
        ------
        UnitError
            A DataArray in another unit.
        GridError
            The field is on another grid.
        RangeError
            Missing values under ``nan='raise'``.
        """
        return region_sums(self.matrix, self.labels, self.grid, flux, nan=nan)


def region_sums(
    area: sp.csr_array, labels: tuple[str, ...], grid: Grid, flux: Any, *, nan: NanPolicy = "raise"
) -> Any:
    """Integrate a flux by given areas, with the checks and in the form of `ZonalWeights.totals`.

    Parameters
    ----------
    area : scipy.sparse.csr_array, shape (labels, cells)
        m2 of each cell that count for each label.
    labels : tuple of str
        Names of the rows.
    grid : Grid
        The cells.
    flux, nan
        As of `ZonalWeights.totals`.
    """
    named = hasattr(flux, "dims")
    if named and flux.attrs.get("units", "mol m-2 s-1") != "mol m-2 s-1":
        raise UnitError(
            f"zonal totals are of mol m-2 s-1, {flux.name!r} is in {flux.attrs['units']!r}; "
            "open the file with obsnet.cf.read_flux, or convert"
        )
    values, missing = fill_nan(values_on(flux, grid), nan, "zonal totals")

    def summed(field: Floats) -> Floats:
        layers = field.reshape(-1, grid.size)
        out = np.empty((len(layers), len(labels)))
        for layer, total in zip(
            layers, out, strict=True
        ):  # all at once would transpose, and so copy, them all
            total[...] = area @ layer
        return out.reshape(*field.shape[:-2], len(labels))

    out = summed(values)
    if missing is not None:
        out[summed(missing.astype(np.float64)) > 0.0] = np.nan
    if not named:
        return out
    import xarray as xr

    model = flux.transpose(..., "lat", "lon")
    coords = {k: v for k, v in model.coords.items() if not {"lat", "lon"} & set(v.dims)}
    coords["region"] = list(labels)
    kept = {k: v for k, v in flux.attrs.items() if k in {"substance", "molar_mass", "molar_mass_units"}}
    attrs = {"units": "mol s-1", **kept}
    return xr.DataArray(out, dims=(*model.dims[:-2], "region"), coords=coords, name=flux.name, attrs=attrs)


def sum_covariance(area: sp.csr_array, spread: Floats) -> Floats:
    """Return the covariance of totals whose cells err independently of each other: only shared cells tie regions.

    Parameters
    ----------
    area : scipy.sparse.csr_array, shape (labels, cells)
        What a cell counts for each total.
    spread : ndarray, shape (..., cells)
        Standard deviation of each cell.

    Returns
    -------
    ndarray, shape (..., labels, labels)
        ``sum_c area_rc area_sc spread_c ** 2``.
    """
    there = area != 0
    one, other = np.nonzero(np.triu((there @ there.T.tocsr()).toarray()))
    products = sp.csr_array(area[one].multiply(area[other]))
    layers = spread.reshape(-1, area.shape[1])
    out = np.zeros((len(layers), area.shape[0], area.shape[0]))
    for layer, square in zip(layers, out, strict=True):
        square[one, other] = square[other, one] = products @ layer**2
    return out.reshape(*spread.shape[:-1], *out.shape[1:])


def zonal_weights(
    regions: geopandas.GeoDataFrame,
    grid: Grid,
    *,
    allow_overlap: bool = False,
    cache: str | os.PathLike[str] | bool | None = True,
) -> ZonalWeights:
    """Compute, or fetch from the cache, the part of each cell that lies in each region.

    Parameters
    ----------
    regions : geopandas.GeoDataFrame
        Index of unique keys, polygons with a known reference system; see `obsnet.regions`.
    grid : Grid
        Any: across the dateline, uneven.
    allow_overlap : bool
        Take regions that overlap by more than slivers, such as cities beside their provinces: each total
        then stands alone and they no longer add up to the domain's.
    cache : path or bool
        Folder of kept weights; True for `cache_folder`, False or None for none.

    Returns
    -------
    ZonalWeights
        Slivers shared by neighbours are divided between them in the cells they fill to more than 1, and
        counted.

    Raises
    ------
    RegionError
        Repeated keys, no reference system, invalid or empty polygons, regions that overlap.
    """
    import shapely

    keys = tuple(str(k) for k in regions.index)
    if len(set(keys)) != len(keys) or set(REST) & set(keys):
        raise RegionError(
            f"regions need unique keys other than {OUTSIDE!r} and {OFFSHORE!r}, found {', '.join(keys[:10])}"
        )
    if regions.crs is None:
        raise RegionError("regions state no coordinate reference system; use obsnet.regions.read_regions")
    polygons = shapely.force_2d(regions.geometry.to_crs("EPSG:4326").to_numpy())
    # A line that crosses itself would count area twice.
    bad = ~(shapely.is_valid(polygons) & (shapely.area(polygons) > 0.0))
    if bad.any():
        named = ", ".join(keys[i] for i in np.flatnonzero(bad)[:5])
        raise RegionError(
            f"no valid polygon for {named}; obsnet.regions.read_regions repairs what can be repaired"
        )
    file = _cache_file(cache, keys, polygons, grid, allow_overlap)
    found = _load(file, keys, grid) if file is not None else None
    if found is not None:
        return found
    overlaps = _overlaps(keys, polygons)
    wide = [(a, b, area) for a, b, area, part in overlaps if part > _SLIVER]
    if wide and not allow_overlap:
        named = "; ".join(f"{a} and {b} share {area / 1e6:.4g} km2" for a, b, area in wide[:5])
        raise RegionError(
            f"{len(wide)} pairs of regions overlap: {named}; totals would count this twice, "
            "say allow_overlap=True if that is meant"
        )
    from obsnet.coverage import coverage, polygon_area  # brings numba, which sums of kept weights do without

    fraction = coverage(polygons, grid)
    filled = np.asarray(fraction.sum(axis=0)).ravel()
    full = (filled > 1.0 - _ROUNDING) & ((filled < 1.0 + _ROUNDING) | (not wide))
    fraction = sp.csr_array(
        fraction.multiply(np.where(full, 1.0 / np.where(full, filled, 1.0), 1.0)[None, :])
    )
    if wide:
        covered = np.asarray(coverage(np.array([shapely.union_all(polygons)]), grid).sum(axis=0)).ravel()
    else:
        covered = np.asarray(fraction.sum(axis=0)).ravel()
    weights = ZonalWeights(
        regions=keys,
        grid=grid,
        fraction=fraction,
        outside=np.where(covered > 1.0 - _ROUNDING, 0.0, 1.0 - covered),
        region_area=polygon_area(polygons),
        overlaps=tuple(row[:3] for row in overlaps),
        shared_cells=0 if wide else int((filled > 1.0 + _ROUNDING).sum()),
    )
    if file is not None:
        _save(weights, file)
    return weights


def assign_points(
    lat: npt.ArrayLike, lon: npt.ArrayLike, regions: geopandas.GeoDataFrame, *, snap_deg: float = 0.3
) -> tuple[Texts, Floats]:
    """Say in which region each point source lies; those just off a coast go to the nearest region.

    Parameters
    ----------
    lat, lon : array_like, shape (points,)
        Degrees, any longitude convention.
    regions : geopandas.GeoDataFrame
        As for `zonal_weights`.
    snap_deg : float
        Largest distance to a region, degrees of arc.

    Returns
    -------
    region : ndarray of str
        Key, or ``offshore``. A point on a border belongs to the region that comes first.
    distance : ndarray of float64
        Degrees of arc to that region: 0 inside, positive where snapped, NaN offshore.

    Raises
    ------
    RangeError
        Points without a position.
    RegionError
        No reference system.
    """
    import shapely

    y, x = (np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (lat, lon))
    lost = ~((np.abs(y) <= 90.0) & np.isfinite(x))
    if lost.any():
        row = int(np.argmax(lost))
        raise RangeError(
            f"{int(lost.sum())} of {y.size} points have no position; "
            f"the first is row {row}: {y[row]}, {x[row]}"
        )
    if regions.crs is None:
        raise RegionError("regions state no coordinate reference system; use obsnet.regions.read_regions")
    x = np.mod(x + 180.0, 360.0) - 180.0
    # A degree of longitude is short in the north: search wide, then measure on the ground.
    reach = snap_deg / np.maximum(np.cos(np.deg2rad(np.minimum(np.abs(y) + snap_deg, 89.9))), 1e-3)
    margin = 180.0 + min(float(reach.max(initial=0.0)), 180.0)
    from obsnet.coverage import around

    polygons, owner = around(regions.geometry.to_crs("EPSG:4326").to_numpy(), -margin, margin)
    names = np.array([*map(str, regions.index), OFFSHORE])
    points = shapely.points(x, y)
    best = np.full(y.size, len(names) - 1)
    distance = np.full(y.size, np.nan)
    tree = shapely.STRtree(polygons)
    point, polygon = tree.query(points, predicate="intersects")
    np.minimum.at(best, point, owner[polygon])
    distance[point] = 0.0
    bare = np.flatnonzero(np.isnan(distance))
    point, polygon = tree.query(points[bare], predicate="dwithin", distance=reach[bare])
    point = bare[point]
    away = arc_away(points[point], polygons[polygon])
    order = np.lexsort((owner[polygon], away, point))
    nearest = order[np.diff(point[order], prepend=-1) != 0]
    nearest = nearest[away[nearest] <= snap_deg]
    best[point[nearest]], distance[point[nearest]] = owner[polygon[nearest]], away[nearest]
    return names[best], distance


def arc_away(points: Any, shapes: Any) -> Floats:
    """Return how far points are from shapes, degrees of arc; both in degrees and broadcast together."""
    import shapely

    ends = shapely.get_point(shapely.shortest_line(points, shapes), -1)
    east = (shapely.get_x(ends) - shapely.get_x(points)) * np.cos(np.deg2rad(shapely.get_y(points)))
    return np.asarray(np.hypot(east, shapely.get_y(ends) - shapely.get_y(points)))


def cache_folder() -> Path:
    """Return the folder of kept weights: ``$OBSNET_CACHE/zonal``, else the user's cache/obsnet/zonal."""
    base = os.environ.get("OBSNET_CACHE")
    if base:
        return Path(base) / "zonal"
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "obsnet" / "zonal"


def _overlaps(keys: tuple[str, ...], polygons: npt.NDArray[Any]) -> list[tuple[str, str, float, float]]:
    """Return pairs of regions that share area: keys, area in m2, part of the smaller."""
    import shapely

    from obsnet.coverage import polygon_area

    one, two = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    one, two = one[one < two], two[one < two]
    common = shapely.intersection(polygons[one], polygons[two])
    shared = shapely.area(common)
    part = shared / np.minimum(shapely.area(polygons[one]), shapely.area(polygons[two]))
    found = np.flatnonzero(shared > 0.0)
    return [(keys[one[i]], keys[two[i]], float(polygon_area([common[i]])[0]), float(part[i])) for i in found]


def _cache_file(
    cache: str | os.PathLike[str] | bool | None,
    keys: tuple[str, ...],
    polygons: npt.NDArray[Any],
    grid: Grid,
    allow_overlap: bool,
) -> Path | None:
    import shapely

    if cache is None or cache is False:
        return None
    digest = hashlib.sha256(f"{_VERSION}|{grid.hash_id}|{allow_overlap}|{keys}".encode())
    for wkb in shapely.to_wkb(polygons, byte_order=1):
        digest.update(wkb)
    folder = cache_folder() if cache is True else Path(cache)
    return folder / f"{digest.hexdigest()[:32]}.npz"


def _save(weights: ZonalWeights, file: Path) -> None:
    from obsnet.atomic import atomic_path
    from obsnet.seal import seal_file

    pairs = np.array([row[:2] for row in weights.overlaps], dtype=np.str_).reshape(-1, 2)
    try:
        with atomic_path(file) as temporary:
            np.savez_compressed(
                temporary,
                data=weights.fraction.data,
                indices=weights.fraction.indices,
                indptr=weights.fraction.indptr,
                outside=weights.outside,
                region_area=weights.region_area,
                pairs=pairs,
                shared=np.array([row[2] for row in weights.overlaps]),
                shared_cells=weights.shared_cells,
            )
            seal_file(temporary)
    except OSError as error:
        # A home that compute nodes may only read must not stop a run: the weights are already computed.
        log.warning("zonal weights are not kept: %s", error)


def _load(file: Path, keys: tuple[str, ...], grid: Grid) -> ZonalWeights | None:
    """Read kept weights; None where there are none or the file is damaged."""
    from obsnet.reading import reading
    from obsnet.seal import check_file

    if not file.is_file():
        return None
    try:
        check_file(file)
        with reading(file, "kept weights"), np.load(file, allow_pickle=False) as kept:
            shape = len(keys), grid.size
            pairs = zip(kept["pairs"].tolist(), kept["shared"].tolist(), strict=True)
            return ZonalWeights(
                regions=keys,
                grid=grid,
                fraction=sp.csr_array((kept["data"], kept["indices"], kept["indptr"]), shape=shape),
                outside=kept["outside"],
                region_area=kept["region_area"],
                overlaps=tuple((a, b, area) for (a, b), area in pairs),
                shared_cells=int(kept["shared_cells"]),
            )
    except FormatError as error:
        log.warning("damaged, computed anew: %s", error)
        return None
