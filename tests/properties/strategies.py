"""Hypothesis strategies for grids, points and polygons, shared by all property tests."""

from __future__ import annotations

import geopandas
import numpy as np
import shapely
from hypothesis import strategies as st

from obsnet.grid import Grid


@st.composite
def edges(draw, low: float, high: float, max_cells: int = 12):
    """Increasing edges on a lattice of a thousandth of the span, so that no cell is degenerate."""
    ticks = draw(st.lists(st.integers(0, 1000), min_size=2, max_size=max_cells + 1, unique=True))
    return low + (high - low) * np.sort(ticks) / 1000.0


@st.composite
def uneven_grids(draw, max_cells: int = 12):
    """Any grid: uneven, on any side of the globe, across the dateline."""
    start = draw(st.integers(-1800, 1799)) / 10.0
    return Grid(draw(edges(-90.0, 90.0, max_cells)), draw(edges(start, start + 360.0, max_cells)))


@st.composite
def global_grids(draw, max_cells: int = 24):
    """Even grids of the whole globe that start anywhere."""
    nlat, nlon = draw(st.integers(1, max_cells)), draw(st.integers(2, max_cells))
    start = draw(st.integers(-180, 179))
    return Grid(np.linspace(-90, 90, nlat + 1), start + np.linspace(0, 360, nlon + 1))


@st.composite
def regular_grids(draw, max_cells: int = 30):
    """Even grids of a part of the globe, cells a simple fraction of a degree, across the dateline too."""
    dlat, dlon = (draw(st.sampled_from([0.1, 0.25, 0.3125, 0.5, 1.0, 4 / 3, 2.0])) for _ in range(2))
    nlat, nlon = draw(st.integers(2, max_cells)), draw(st.integers(2, max_cells))
    south = draw(st.integers(-90, int(90 - nlat * dlat)))
    west = draw(st.integers(-180, 179))
    return Grid(south + dlat * np.arange(nlat + 1), west + dlon * np.arange(nlon + 1))


def grids(max_cells: int = 12):
    """Any grid at all."""
    return st.one_of(uneven_grids(max_cells), global_grids(max_cells), regular_grids(max_cells))


def latitudes():
    """Latitudes, the poles and whole degrees among them."""
    return st.one_of(st.floats(-90, 90), st.integers(-90, 90).map(float))


def longitudes():
    """Longitudes of any convention."""
    return st.one_of(st.floats(-180, 360), st.integers(-180, 360).map(float))


@st.composite
def fields(draw, shape: tuple[int, ...]):
    """Finite fields of a shape, both signs, five orders of magnitude."""
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    return random.normal(size=shape) * 10.0 ** random.uniform(-3, 2, size=shape)


@st.composite
def partitions(draw, west: float, south: float, east: float, north: float):
    """Regions that fill a box without gap or overlap: Voronoi cells of random points."""
    count = draw(st.integers(2, 6))
    spots = draw(
        st.lists(
            st.tuples(st.integers(1, 99), st.integers(1, 99)), min_size=count, max_size=count, unique=True
        )
    )
    box = shapely.box(west, south, east, north)
    points = shapely.MultiPoint(
        [(west + (east - west) * x / 100, south + (north - south) * y / 100) for x, y in spots]
    )
    cells = shapely.get_parts(shapely.voronoi_polygons(points, extend_to=box))
    pieces = [p for p in shapely.intersection(cells, box) if p.area > 0]
    return geopandas.GeoDataFrame(
        index=[f"r{i}" for i in range(len(pieces))], geometry=pieces, crs="EPSG:4326"
    )
