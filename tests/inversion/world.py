"""A small world: two sectors, three regions, sides, a sparse Jacobian, observations of a known truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from inversion.case.assemble import Assembled, assemble
from inversion.case.inputs.reading import PriorFlux
from inversion.case.options import InvertOptions
from inversion.jacobian.store import Jacobian
from inversion.problem.totals import TotalWeights, total_weights
from obsnet.grid import Grid
from obsnet.schema import observation_table
from obsnet.shares import Shares

GRID = Grid.regular(30.0, 34.0, 110.0, 116.0, 1.0, 1.0)
EDGES = np.datetime64("2019-01-01", "us") + np.arange(7) * np.timedelta64(1, "D")
REGIONS = ("a", "b", "outside")
BACKGROUND = 410.0
APART = {"correlation_hours": 0.0, "along_track_km": 0.0, "overpass_share": 0.0}  # errors that share nothing


def options(**changes) -> InvertOptions:
    base = {
        "species": "CO2",
        "store": "store",
        "footprints": "footprints",
        "prior": "prior.nc",
        "step": "3D",
        "sector": {
            "fossil": {
                "relative": 0.3,
                "correlation_km": 100,
                "correlation_days": 30,
                "regional_relative": 0.3,
            },
            "biosphere": {"sigma": 3e-7, "correlation_km": 300, "correlation_days": 5},
        },
        "boundary": {"background": BACKGROUND, "sigma": 0.5, "step": "3D"},
        "error": {"point": 0.8, "column": 0.5} | APART,
    }
    return InvertOptions.model_validate(base | changes)


@dataclass(frozen=True)
class World:
    """All that `assemble` takes, and areas of regions."""

    jacobian: Jacobian
    table: pa.Table
    prior: PriorFlux
    fraction: sp.csr_array
    area: sp.csr_array

    def assemble(self, choice: InvertOptions | None = None) -> Assembled:
        return assemble(choice or options(), self.jacobian, self.table, self.prior, shares=self.shares)

    @property
    def shares(self) -> Shares:
        sectors = list(self.prior.flux)
        return Shares(REGIONS, GRID, dict.fromkeys(sectors, self.fraction), dict.fromkeys(sectors, "drawn"))

    def weights(self, made: Assembled, periods=None) -> TotalWeights:
        return total_weights(
            made.problem.state,
            made.sectors,
            made.prior_mean,
            bins=made.bins,
            shares=self.shares,
            periods=EDGES[[0, -1]] if periods is None else periods,
            scale=made.flux_scale,
        )


def make_world(seed: int = 0, n: int = 60, observed: str = "ab") -> World:
    """Return a world whose stations see the regions named in `observed`."""
    rng = np.random.default_rng(seed)
    cells = GRID.size
    column = np.arange(cells) % 6
    # region a: west, with half of the third column of cells; b: the other half and the next; the rest outside
    a = np.where(column < 2, 1.0, np.where(column == 2, 0.5, 0.0))
    b = np.where(column == 3, 1.0, np.where(column == 2, 0.5, 0.0))
    fraction = sp.csr_array(np.stack([a, b, 1 - a - b]))
    area = sp.csr_array(fraction.multiply(GRID.cell_area.ravel()[None, :]))
    seen = np.zeros(cells, dtype=bool)
    for name, part in (("a", a), ("b", b), ("o", 1 - a - b)):
        if name in observed:
            seen |= part > 0
    dense = rng.random((n, 6, cells)) * (rng.random((n, 6, cells)) < 0.3) * seen
    matrix = sp.csr_array(dense.reshape(n, -1).astype(np.float32))
    boundary = rng.random((n, 6, 6)) * (rng.random((n, 6, 6)) < 0.3)
    boundary[:, 5, 0] += 1e-6
    boundary /= boundary.sum(axis=(1, 2), keepdims=True)
    ids = np.array([f"test:{i:03d}" for i in range(n)])
    stderr = matrix.copy()
    stderr.data = 0.1 * stderr.data
    jacobian = Jacobian(
        matrix, ids, GRID, EDGES, stderr=stderr, boundary=sp.csr_array(boundary.reshape(n, -1))
    )
    kinds = np.where(np.arange(n) % 3 == 0, "column", "point")
    tables = [
        observation_table(
            {
                "obs_id": ids[kinds == kind],
                "platform": np.where(np.arange(n) % 2 == 0, "AAA", "BBB")[kinds == kind],
                "time": (EDGES[3] + np.arange(n) * np.timedelta64(1, "h"))[kinds == kind],
                "latitude": np.full((kinds == kind).sum(), 32.0),
                "longitude": np.full((kinds == kind).sum(), 112.0),
                "value": np.full((kinds == kind).sum(), BACKGROUND),
                "uncertainty": np.full((kinds == kind).sum(), 0.3),
            },
            species="CO2",
            kind=kind,
            source=f"test_{kind}",
            file_id="0" * 16,
        )
        for kind in ("column", "point")
    ]
    table = pa.concat_tables(tables).sort_by("obs_id")
    fossil = np.tile(1e-6 * rng.random(cells), (6, 1))
    course = 1e-7 * np.sin(np.arange(6))[:, None] * rng.random(cells)
    return World(
        jacobian, table, PriorFlux("test prior", {"fossil": fossil, "biosphere": course}), fraction, area
    )
