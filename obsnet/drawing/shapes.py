"""Polygons of the regions on a map: China's provinces, or the user's own as the posterior file knows them by cells."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["shapes_of"]


def shapes_of(data: Any, table: Any) -> Any:
    """Return polygons by region key where the regions are not China's provinces; None where they are.

    The posterior file has no borders but each region's share of each cell, so a region is drawn as the cells of which
    it holds more than any other.

    Parameters
    ----------
    data : xarray.Dataset
        Posterior file.
    table : pandas.DataFrame
        Of verdicts.

    Returns
    -------
    geopandas.GeoDataFrame or None
        Indexed by region; None too where the file does not hold the shares.
    """
    from obsnet.regions import PROVINCES

    single = set(table[table["kind"] == "region"]["region"])
    if single <= set(PROVINCES) or "share_cell" not in data:
        return None
    import geopandas as gpd
    import shapely

    from obsnet.field import grid_of

    grid = grid_of(data)
    regions = [str(r) for r in data["region"].values]
    held = np.zeros((len(regions), grid.shape[0] * grid.shape[1]))
    places = (data["share_region"].values, data["share_cell"].values)
    np.maximum.at(held, places, data["share"].values)  # of several sectors the largest
    owner = np.where(held.any(axis=0), held.argmax(axis=0), -1).reshape(grid.shape)
    south, west = np.meshgrid(grid.lat_edges[:-1], grid.lon_edges[:-1], indexing="ij")
    north, east = np.meshgrid(grid.lat_edges[1:], grid.lon_edges[1:], indexing="ij")
    boxes = shapely.box(west, south, east, north)
    keys = [k for k, r in enumerate(regions) if r in single and (owner == k).any()]
    shapes = [shapely.union_all(boxes[owner == k]) for k in keys]
    return gpd.GeoDataFrame(geometry=shapes, index=[regions[k] for k in keys], crs="EPSG:4326")
