"""A small case on disk: store, footprints, prior, two regions, case file."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
from shapely.geometry import box

from inversion.jacobian.store import JacobianStore
from obsnet.cf import flux_dataset, write_netcdf
from obsnet.grid import Grid
from obsnet.store import ObservationStore
from tests.inversion.world import EDGES, GRID, make_world

CASE = """
[run]
name = "test"
out = "run"

[invert]
species = "CO2"
store = "store"
footprints = "footprints"
prior = "prior.nc"
step = "3D"
regions = "regions.geojson"
region_key = "code"

[invert.sector.fossil]
relative = 0.3
correlation_km = 100
regional_relative = 0.3

[invert.sector.biosphere]
sigma = 3e-7
correlation_km = 300
correlation_days = 5

[invert.boundary]
background = 410.0
sigma = 0.5
step = "3D"

[invert.error]
correlation_hours = 0
along_track_km = 0
overpass_share = 0
point = 0.8
column = 0.5
"""


def write_prior(path: Path, flux: dict[str, np.ndarray], grid: Grid = GRID) -> None:
    """Write fluxes (bins, cells) by sector as a prior."""
    cube = np.stack([f.reshape(len(f), *grid.shape) for f in flux.values()], axis=1)
    data = flux_dataset(
        cube,
        grid,
        EDGES,
        substance="CO2",
        sectors=list(flux),
        title="test prior",
        summary="s",
        source="s",
        license="CC0",
    )
    write_netcdf(data, path)


def write_case(folder: Path) -> Path:
    """Write the world of the tests into a folder."""
    world = make_world()
    ObservationStore(folder / "store").write(world.table)
    store = JacobianStore(folder / "footprints").create(
        {"grid": GRID, "time_edges": EDGES, "kind": "computed", "model": "test", "species": None}
    )
    store.write("part", world.jacobian)
    write_prior(folder / "prior.nc", world.prior.flux)
    shapes = gpd.GeoDataFrame(
        {"code": ["a", "b"]}, geometry=[box(110, 30, 112.5, 34), box(112.5, 30, 114, 34)], crs=4326
    )
    shapes.to_file(folder / "regions.geojson")
    (folder / "case.toml").write_text(CASE)
    return folder
