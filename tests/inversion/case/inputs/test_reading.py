"""What an inversion refuses before it begins."""

from __future__ import annotations

import pyarrow as pa
import pytest

from inversion.case.inputs.reading import load
from inversion.case.options import InvertOptions
from inversion.jacobian.store import JacobianStore
from obsnet.errors import ScaleError
from obsnet.store import ObservationStore
from tests.inversion.world import EDGES, GRID, make_world


def test_observations_on_several_scales_are_refused(tmp_path):
    world = make_world()
    scales = ["X2007" if k % 3 else "WMO CO2 X2019" for k in range(len(world.table))]
    column = world.table.schema.get_field_index("scale")
    ObservationStore(tmp_path / "store").write(world.table.set_column(column, "scale", pa.array(scales)))
    store = JacobianStore(tmp_path / "footprints").create(
        {"grid": GRID, "time_edges": EDGES, "kind": "computed", "model": "test", "species": None}
    )
    store.write("part", world.jacobian)
    options = InvertOptions.model_validate(
        {
            "species": "CO2",
            "store": "store",
            "footprints": "footprints",
            "prior": "prior.nc",
            "boundary": {"background": 410.0, "sigma": 0.5},
            "sector": {"fossil": {"relative": 0.3, "correlation_km": 100}},
        }
    )
    found = rf"X2007 \({scales.count('X2007')} rows\), X2019 \({scales.count('WMO CO2 X2019')} rows\)"
    with pytest.raises(
        ScaleError, match=rf"several calibration scales: {found}. Name sources of one scale only"
    ):
        load(options, tmp_path, tmp_path / "run")
