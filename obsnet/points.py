"""Point sources and the regions they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.coverage import around
from obsnet.errors import RangeError, SchemaError
from obsnet.places import place_text
from obsnet.regions import OFFSHORE
from obsnet.typing import Floats, Ints, Texts
from obsnet.zonal import arc_away, assign_points

if TYPE_CHECKING:
    import geopandas

__all__ = ["Points", "place_points"]


@dataclass(frozen=True, eq=False)
class Points:
    """Point sources: where they are and how large.

    Parameters
    ----------
    lat, lon : array_like, shape (points,)
        Degrees, any longitude convention.
    rate : array_like, shape (points,)
        mol s-1, not negative.
    sector : array_like of str, shape (points,)
        Of which flux they are part.
    whole : bool
        The points are all there is of the sector in their cells, so that their rates matter only relative to each
        other, such as capacities. Else the cell's flux beyond its points is split as if there were none.
    name : str
        What they are called in reports.

    Raises
    ------
    SchemaError
        Columns of different length.
    RangeError
        Points without a position or at 0 north 0 east, rates that are negative or not finite.
    """

    lat: Floats
    lon: Floats
    rate: Floats
    sector: Texts
    whole: bool = False
    name: str = "points"

    def __post_init__(self) -> None:
        for column in ("lat", "lon", "rate"):
            object.__setattr__(self, column, np.atleast_1d(np.asarray(getattr(self, column), np.float64)))
        object.__setattr__(self, "sector", np.atleast_1d(np.asarray(self.sector, np.str_)))
        sizes = {c: getattr(self, c).size for c in ("lat", "lon", "rate", "sector")}
        if len(set(sizes.values())) != 1:
            raise SchemaError(f"{self.name}: columns of points differ in length: {sizes}")
        for rows, text in (
            (~((np.abs(self.lat) <= 90.0) & (np.abs(self.lon) <= 540.0)), "no position in degrees"),
            ((self.lat == 0.0) & (self.lon == 0.0), "position 0 N 0 E, which stands for a missing one"),
            (~(np.isfinite(self.rate) & (self.rate >= 0.0)), "a rate that is negative or no number"),
        ):
            if rows.any():
                at = int(np.argmax(rows))
                raise RangeError(
                    f"{self.name}: {int(rows.sum())} of {rows.size} points have {text}; the first is row {at + 1}: "
                    f"{place_text(self.lat[at], self.lon[at])}, rate {self.rate[at]:g}"
                )


def place_points(
    lat: Floats, lon: Floats, regions: geopandas.GeoDataFrame, other: Any, *, snap_deg: float
) -> Ints:
    """Say to which row of `obsnet.shares.Shares` each point belongs.

    Parameters
    ----------
    lat, lon : ndarray, shape (points,)
        Degrees, any longitude convention.
    regions : geopandas.GeoDataFrame
        n polygons.
    other : shapely geometry
        Land of nobody in `regions`, see `obsnet.surroundings.other_land`.
    snap_deg : float
        Largest distance to a region, degrees of arc.

    Returns
    -------
    ndarray of int64, shape (points,)
        Row of the region it lies in; else n + 1 on other land; else of the region within `snap_deg`, or n + 1 where
        other land is nearer; else n, at sea.
    """
    import shapely

    count = len(regions)
    names, distance = assign_points(lat, lon, regions, snap_deg=snap_deg)
    number = {key: i for i, key in enumerate([*map(str, regions.index), OFFSHORE])}
    row = np.array([number[name] for name in names], dtype=np.int64)
    lon = np.mod(lon + 180.0, 360.0) - 180.0
    spots = shapely.points(lon, lat)
    abroad = shapely.union_all(around(shapely.get_parts(other), -181.0, 181.0)[0])
    shapely.prepare(abroad)
    free = distance != 0.0
    there = free & shapely.intersects(abroad, spots)
    row[there] = count + 1
    # A degree of longitude is short in the north: search wide, then measure on the ground.
    reach = np.nan_to_num(distance) / np.maximum(np.cos(np.deg2rad(lat)), 1e-3)
    near = np.flatnonzero((row < count) & free & shapely.dwithin(abroad, spots, reach))
    row[near[arc_away(spots[near], abroad) < distance[near]]] = count + 1
    return row
