"""What stations would see of a planned plant, from footprints as the transport writes them."""

import json

import numpy as np
import pytest
from scipy import sparse
from typer.testing import CliRunner

from inversion.jacobian.store import Jacobian, JacobianStore
from obsnet.cli import app
from obsnet.errors import ConfigError, FormatError, RangeError
from obsnet.grid import Grid
from obsnet.store import ObservationStore
from retrieval.plants.footprints import station_views
from retrieval.plants.options import PlannedTable
from tests.obsnet.observations import table

GRID = Grid.regular(36.0, 40.0, 108.0, 112.0, 1.0, 1.0)
EDGES = np.array(["2026-01-01", "2026-01-02", "2026-01-03"], dtype="datetime64[us]")
TIMES = np.array(["2026-01-01T06", "2026-01-01T07", "2026-01-02T06", "2026-01-02T06"], dtype="datetime64[us]")


@pytest.fixture
def files(tmp_path):
    """Four observations; `near` feels the plant's cell in both bins, `far` only another cell."""
    ids = np.array([f"o{k}" for k in range(4)])
    matrix = np.zeros((4, 2 * GRID.size))
    cell = int(GRID.index(38.5, 110.5))
    matrix[0, cell], matrix[1, cell] = 0.02, 0.04
    matrix[2, [cell, GRID.size + cell]] = 0.01, 0.05
    matrix[3, cell + 1] = 0.3
    store = JacobianStore(tmp_path / "footprints").create(
        {"grid": GRID, "time_edges": EDGES, "kind": "computed", "model": "made up", "species": "CO2"}
    )
    store.write("a", Jacobian(sparse.csr_array(matrix.astype(np.float32)), ids, GRID, EDGES))
    observations = ObservationStore(tmp_path / "store")
    for source, part in (("near", slice(0, 3)), ("far", slice(3, 4))):
        rows = len(ids[part])
        observations.write(table(rows, source=source, file_id=source, obs_id=ids[part], time=TIMES[part]))
    return tmp_path


def options(folder, **more):
    about = {
        "name": "new", "latitude": 38.2, "longitude": 110.9, "rate": 300.0, "winds": (5.0,), "draws": 0,
        "footprints": folder / "footprints", "store": folder / "store", "station_error": 2.0, "out": folder / "out",
    }  # fmt: skip
    return PlannedTable(**{**about, **more})


def test_increments_are_sensitivity_times_flux(files):
    """By hand: 300 kg s-1 over the cell's area, in umol m-2 s-1, times the summed sensitivity."""
    view = station_views(options(files))
    flux = 300.0 / 44.0095e-3 * 1e6 / float(GRID.cell_area.ravel()[GRID.index(38.2, 110.9)])
    near, far = view.stations
    assert (near.source, near.observations, near.days) == ("near", 3, 2)
    assert near.largest == pytest.approx(0.06 * flux, rel=1e-4)
    assert near.mean == pytest.approx(0.04 * flux, rel=1e-4)
    # two days with means 0.03 and 0.06: one error a day, three standard errors of the best weighted sum
    assert near.limit == pytest.approx(300.0 * 3.0 * 2.0 / (flux * np.hypot(0.03, 0.06)), rel=1e-4)
    assert near.seen == (near.limit < 300.0)
    assert (far.largest, far.limit, far.seen) == (0.0, np.inf, False)
    assert view.together.limit == pytest.approx(near.limit)
    twice = station_views(options(files, rate=600.0))
    assert twice.stations[0].largest == pytest.approx(2.0 * near.largest)
    assert twice.stations[0].limit == pytest.approx(near.limit)
    seen = station_views(options(files, rate=1.01 * near.limit)).stations[0].seen
    assert seen
    assert not station_views(options(files, rate=0.99 * near.limit)).stations[0].seen


def test_what_cannot_be_told_is_refused(files):
    with pytest.raises(
        ValueError, match="stations need footprints, store and station_error; given: footprints"
    ):
        options(files, store=None, station_error=None)
    with pytest.raises(RangeError, match="outside the footprints' grid"):
        station_views(options(files, latitude=50.0))
    with pytest.raises(FormatError, match=r"meta\.json is missing"):
        station_views(options(files, footprints=files / "store"))
    ObservationStore(files / "other").write(ObservationStore(files / "store").read("CO2", source="near"))
    with pytest.raises(ConfigError, match="1 of 4 observations with footprints"):
        station_views(options(files, store=files / "other"))


@pytest.mark.parametrize(
    ("language", "words"), [("en", ("Stations", "below error")), ("zh", ("站点", "低于误差"))]
)
def test_the_page_is_in_both_languages(files, language, words):
    done = CliRunner().invoke(
        app,
        ["plume", "planned", "<b>new", "--latitude", "38.2", "--longitude", "110.9", "--rate", "3", "--draws", "0",
         "--footprints", str(files / "footprints"), "--store", str(files / "store"), "--station-error", "2",
         "--language", language, "--out", str(files / "out"), "--json"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    page = (files / "out" / "_b_new_planned.html").read_text()
    assert "<b>new" not in page
    for word in (*words, "near", "far"):
        assert word in page
    assert words[1] in json.loads(done.stdout)["summary"][-1]
    assert len(json.loads(done.stdout)["stations"]) == 3
