"""Stages that arrive in shards: the next stage refuses what is not whole, or says what it lacks."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import xarray as xr

from inversion.case.inputs.reading import load
from inversion.case.options import InvertOptions
from inversion.jacobian.store import JacobianStore
from inversion.transport.commands.footprints_stage import STAGE as FOOTPRINTS
from obsnet.cf import flux_dataset, write_netcdf
from obsnet.cli import main
from obsnet.errors import UnfinishedError
from obsnet.store import ObservationStore
from tests.cases import transport
from tests.obsnet.observations import table as points
from tests.retrieval.granules import granule, week

GRID = ["--species", "CO2", "--grid", "-60,60,-180,180,10", "--start", "2018-01-01", "--stop", "2018-01-05"]
GRID += ["--folds", "0"]
SUPEROBS = ["--species", "CO2", "--errors", "baker2022_co2", "--scheduler", "serial"]


@pytest.fixture
def obsnet(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder; return its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        return (stop.value.code or 0, *capsys.readouterr())

    run.folder = tmp_path
    return run


def ingest(obsnet, shard=None, *more):
    of = [] if shard is None else ["--shard", shard]
    return obsnet("ingest", "in", "--out", "store", "--scheduler", "serial", *of, *more)[0]


def test_superobs_and_maps_refuse_a_store_with_a_shard_missing(obsnet):
    week(obsnet.folder / "in", days=3)
    assert ingest(obsnet, "1/3") == 0
    for command in (
        ["superobs", "store", "--out", "s", *SUPEROBS],
        ["grid", "store", "--out", "m.nc", *GRID],
        ["validate", "store", "--species", "CO2", "--source", "oco2_lite_v9"],
    ):
        code, _, err = obsnet(*command)
        assert code == 2
        assert len(err.splitlines()) == 1
        assert "store: not finished: ingest, of 3 shards: 2-3 never ran (2 of 3 items)" in err
    ingest(obsnet, "3/3")
    ingest(obsnet, "2/3")
    assert obsnet("superobs", "store", "--out", "s", *SUPEROBS)[0] == 0
    assert obsnet("grid", "store", "--out", "m.nc", *GRID)[0] == 0
    with xr.open_dataset("m.nc", engine="netcdf4") as data:
        assert "unfinished_inputs" not in data.attrs


def test_what_is_allowed_is_told_by_all_that_comes_of_it(obsnet):
    week(obsnet.folder / "in", days=3)
    ingest(obsnet, "1/3")
    lack = "store without ingest, of 3 shards: 2-3 never ran (2 of 3 items)"
    code, out, err = obsnet("superobs", "store", "--out", "s", *SUPEROBS, "--allow-missing", "--json")
    assert (code, json.loads(out)["unfinished_inputs"]) == (0, lack)
    assert lack in err
    (settings,) = (obsnet.folder / "s" / "_superobs").glob("settings-*.json")
    assert json.loads(settings.read_text())["unfinished_inputs"] == lack
    assert (
        obsnet("grid", "s", "--out", "m.nc", *GRID)[0] == 0
    )  # the super-observations are whole, what they are of is not
    with xr.open_dataset("m.nc", engine="netcdf4") as data:
        assert data.attrs["unfinished_inputs"] == lack
    assert obsnet("grid", "store", "--out", "n.nc", "--allow-missing", *GRID)[0] == 0
    with xr.open_dataset("n.nc", engine="netcdf4") as data:
        assert data.attrs["unfinished_inputs"] == lack


def test_a_killed_superobs_run_goes_on_and_its_days_are_missing_until_then(obsnet, monkeypatch):
    import retrieval.superobs.store as module

    week(obsnet.folder / "in", days=3)
    ingest(obsnet)
    original = module._run
    done = []

    def killed(task):
        done.append(task)
        if len(done) == 2:
            raise KeyboardInterrupt
        return original(task)

    monkeypatch.setattr(module, "_run", killed)
    assert obsnet("superobs", "store", "--out", "store", *SUPEROBS)[0] == 130
    monkeypatch.setattr(module, "_run", original)
    code, _, err = obsnet("grid", "store", "--source", "oco2_lite_v9_superobs", "--out", "m.nc", *GRID)
    assert (code, "superobs of 3 items failed: KeyboardInterrupt" in err) == (2, True)
    assert obsnet("superobs", "store", "--out", "store", *SUPEROBS)[0] == 0
    assert obsnet("grid", "store", "--source", "oco2_lite_v9_superobs", "--out", "m.nc", *GRID)[0] == 0


def test_files_that_come_later_and_bad_ones(obsnet):
    week(obsnet.folder / "in", days=2)
    for k in "12":
        ingest(obsnet, f"{k}/2")
    granule(obsnet.folder / "in", "180103", seed=3)
    (obsnet.folder / "in" / "bad.nc4").write_text("no granule")
    ingest(obsnet, "1/2")
    assert "2 never ran (2 of 4 items)" in obsnet("superobs", "store", "--out", "s", *SUPEROBS)[2]
    ingest(obsnet, "2/2")
    assert (
        obsnet("superobs", "store", "--out", "s", *SUPEROBS)[0] == 0
    )  # a bad file is told by the index, not missing
    assert len(ObservationStore("store").sources("CO2")) == 1


def test_stations_in_shards(obsnet, tmp_path):
    from tests.stations.dialects import noaa_text, simple

    (tmp_path / "data").mkdir()
    for site in ("WLG", "SDZ"):
        (tmp_path / "data" / f"co2_{site.lower()}.txt").write_text(noaa_text(simple(4, site=site)))
    read = ["station", "read", "data", "--store", "store", "--scheduler", "serial"]
    assert obsnet(*read, "--shard", "2/2")[0] == 0
    with pytest.raises(UnfinishedError, match="stations, of 2 shards: 1 never ran"):
        load_of(tmp_path)
    assert obsnet(*read, "--shard", "1/2")[0] == 0


def load_of(folder, **more):
    options = {
        "species": "CO2",
        "store": "observations" if (folder / "run").exists() else "store",
        "footprints": "footprints",
        "prior": "prior.nc",
        "boundary": {"background": 400.0, "sigma": 0.5},
        "sector": {"fossil": {"relative": 0.3, "correlation_km": 100}},
        **more,
    }
    return load(InvertOptions.model_validate(options), folder, folder / "run")


@pytest.fixture
def footprints(tmp_path):
    """Return a function that makes a shard of the footprints of four observations in parts of one."""
    from obsnet.pipeline import read_case

    world = transport(tmp_path)
    world.data["footprints"]["batch"] = 1
    world.data["footprints"]["store"] = "observations"

    def go(shard=None):
        run = {**world.data["run"], "shard": shard} if shard else world.data["run"]
        case, ((stage, options),) = read_case({**world.data, "run": run}, tmp_path / "case.toml")
        assert stage is FOOTPRINTS
        return stage.run(options, case)

    return go


def _prior(folder):
    store = JacobianStore(folder / "run" / "footprints")
    edges = store.time_edges[[0, -1]]
    flux = np.full((1, 1, *store.grid.shape), 1e-7)
    text = {"title": "t", "summary": "s", "source": "s", "license": "CC0"}
    data = flux_dataset(flux, store.grid, edges, substance="CO2", sectors=["fossil"], **text)
    write_netcdf(data, folder / "prior.nc")


def test_observations_without_footprint_because_a_shard_never_ran_are_named_so(tmp_path, footprints):
    footprints("2/3")
    _prior(tmp_path)
    with pytest.raises(UnfinishedError) as stop:
        load_of(tmp_path)
    assert "footprints, of 3 shards: 1, 3 never ran (3 of 4 items)" in str(stop.value)
    assert "3 planned parts of footprints, for 3 observations, were never made" in str(stop.value)
    read = load_of(tmp_path, allow_missing=True)
    assert (read.counts["used"], read.counts["footprint_never_made"], read.counts["without_footprint"]) == (
        1,
        3,
        0,
    )
    assert "1, 3 never ran" in read.allowed[0]
    where = {"latitude": [25.0], "longitude": [105.0], "intake_height_m": [30.0]}
    late = points(1, time=np.array(["2020-06-01T20"], "datetime64[us]"), **where)
    ObservationStore(tmp_path / "run" / "observations").write(_renamed(late))
    read = load_of(tmp_path, allow_missing=True)
    assert (read.counts["footprint_never_made"], read.counts["without_footprint"]) == (3, 1)
    footprints("1/2")  # new observations: another plan, which all shards must do
    with pytest.raises(UnfinishedError, match=r"footprints, of 2 shards: 2 never ran \(2 of 5 items\)"):
        load_of(tmp_path)


def _renamed(table):
    import pyarrow as pa

    for name, value in (("obs_id", "late"), ("file_id", "e" * 16)):
        table = table.set_column(table.schema.get_field_index(name), name, pa.array([value]))
    return table


def test_all_shards_make_what_one_run_makes(tmp_path, footprints):
    footprints()
    whole = JacobianStore(tmp_path / "run" / "footprints").read()
    shutil.rmtree(tmp_path / "run" / "footprints")
    for k in (3, 1, 2):
        footprints(f"{k}/3")
    parts = JacobianStore(tmp_path / "run" / "footprints").read()
    np.testing.assert_array_equal(parts.matrix.toarray(), whole.matrix.toarray())
    _prior(tmp_path)
    assert load_of(tmp_path).counts == {
        "used": 4,
        "flagged": 0,
        "without_uncertainty": 0,
        "without_footprint": 0,
        "footprints_without_observation": 0,
    }


def test_a_part_that_is_gone_is_missed_though_its_shard_ended(tmp_path, footprints):
    footprints()
    _prior(tmp_path)
    min((tmp_path / "run" / "footprints" / "sensitivity").glob("*.parquet")).unlink()
    with pytest.raises(
        UnfinishedError, match="not finished: 1 planned parts of footprints, for 1 observations"
    ):
        load_of(tmp_path)


def test_a_posterior_says_what_it_lacks(tmp_path):
    from inversion.case.run import run_invert
    from obsnet.work.shards import taking_part
    from obsnet.work.work import Work
    from tests.cases import inversion

    world = inversion(tmp_path)
    with taking_part(tmp_path / "store", "ingest", ["a", "b"], "", Work(shard="1/2")):
        pass
    table = {k: v for k, v in world.data["invert"].items() if k != "ensemble"}
    options = InvertOptions.model_validate({**table, "allow_missing": True})
    lines = []
    _, summary = run_invert(options, tmp_path, tmp_path / "run", lines.append)
    lack = "made from store without ingest, of 2 shards: 2 never ran (1 of 2 items)"
    assert lack in summary["remarks"]
    assert lack in lines
    with xr.open_dataset(tmp_path / "run" / "posterior.nc", engine="netcdf4") as data:
        assert lack in data.attrs["checks"]


def test_invert_takes_the_option_as_a_flag(tmp_path):
    from inversion.commands.invert import InvertCommand

    (tmp_path / "case.toml").write_text(
        '[run]\nname = "t"\n[invert]\nstore = "s"\nfootprints = "f"\nprior = "p.nc"\n'
        "boundary = { background = 400.0, sigma = 1.0 }\n[invert.sector.a]\nrelative = 0.3\ncorrelation_km = 100\n"
    )
    for allowed in (False, True):
        given = InvertCommand(case=tmp_path / "case.toml", allow_missing=allowed)
        assert given.start().options.allow_missing == allowed
