"""From files to the Jacobian on disk: restart, shards, workers, background, commands, refusals."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inversion.jacobian.store import JacobianStore
from inversion.transport.commands.footprints_stage import STAGE
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.run import run as module
from inversion.transport.run.folder import KINDS, differs, marks, plan_of, read_plan
from inversion.transport.run.options import FootprintOptions
from inversion.transport.run.plan import estimate, flux_bins, span
from inversion.transport.run.run import Air, run_footprints
from obsnet.cli import main
from obsnet.config import validate
from obsnet.errors import ConfigError, FormatError, GridError, RangeError
from obsnet.grid import Grid
from obsnet.pipeline import Case, RunOptions
from obsnet.schema import observation_table
from obsnet.store import ObservationStore
from obsnet.work.work import Work
from tests.inversion.transport.receptors.test_releases import HATS, LEVELS, column
from tests.obsnet.met.worlds import era5

GRID = Grid.regular(22, 29, 102, 110, 1, 1)
SETTINGS = ParticleSettings(turbulence="mixed-layer", hours=6.0, particles=20, seed=4)
T0 = np.datetime64("2020-06-01", "us")


@pytest.fixture(scope="module")
def met_file(tmp_path_factory):
    return era5(tmp_path_factory.mktemp("met") / "a.nc", hours=range(25))


def table(n=7, first=8):
    return observation_table(
        {
            "obs_id": [f"s:{k}" for k in range(n)],
            "platform": ["x"] * n,
            "time": T0 + (first + np.arange(n)).astype("timedelta64[h]"),
            "latitude": np.linspace(24, 27, n),
            "longitude": np.linspace(104, 108, n),
            "value": np.full(n, 410.0),
            "uncertainty": np.ones(n),
            "intake_height_m": np.full(n, 30.0),
        },
        species="CO2",
        kind="point",
        source="s",
        file_id="f" * 16,
    )


def first_of(out, kind):
    return min((out / kind).iterdir())


def go(met_file, out, observations=None, **options):
    arguments = {
        "grid": GRID,
        "step": "3h",
        "settings": SETTINGS,
        "batch": 3,
        "work": Work(scheduler="serial"),
    }
    observations = table() if observations is None else observations
    return run_footprints(observations, [met_file], out, **{**arguments, **options})


def test_bins_begin_on_round_times():
    edges = flux_bins(np.datetime64("2020-06-01T02:00"), np.datetime64("2020-06-01T13:30"), "3h")
    assert edges[0] == np.datetime64("2020-06-01T00:00")
    assert edges[-1] == np.datetime64("2020-06-01T15:00")
    months = flux_bins(np.datetime64("2020-05-30T02:00"), np.datetime64("2020-06-10"), "MS")
    assert months.astype("datetime64[D]").astype(str).tolist() == ["2020-05-01", "2020-06-01", "2020-07-01"]
    assert flux_bins(T0, T0 + np.timedelta64(1, "D"), "whole").size == 2
    with pytest.raises(ConfigError, match="'3 parsecs' is not a time step"):
        flux_bins(T0, T0 + np.timedelta64(1, "D"), "3 parsecs")


def test_a_run_makes_a_jacobian(met_file, tmp_path):
    found = go(met_file, tmp_path / "fp")
    assert (found["receptors"], found["parts"], found["made"], found["skipped"]) == (7, 3, 3, {})
    jacobian = JacobianStore(tmp_path / "fp").read()
    assert jacobian.obs_id.tolist() == [f"s:{k}" for k in range(7)]
    assert jacobian.grid == GRID
    assert (np.asarray(jacobian.matrix.sum(axis=1)).ravel() > 0).all()
    np.testing.assert_allclose(np.asarray(jacobian.boundary.sum(axis=1)).ravel(), 1.0, rtol=1e-9)
    assert jacobian.stderr is not None
    meta = JacobianStore(tmp_path / "fp").meta
    assert (meta["kind"], meta["species"], meta["background"]) == ("computed", "CO2", None)
    assert meta["settings"]["seed"] == 4


def test_finished_parts_are_not_made_again_and_missing_ones_are(met_file, tmp_path, monkeypatch):
    out = tmp_path / "fp"
    go(met_file, out)
    before = JacobianStore(out).read()
    part = JacobianStore(out).parts()[1]
    (out / "sensitivity" / f"{part}.parquet").unlink()
    calls = []
    original = module.do_task
    monkeypatch.setattr(module, "do_task", lambda task: calls.append(task.part) or original(task))
    assert go(met_file, out)["made"] == 1
    assert calls == [part]
    after = JacobianStore(out).read()
    np.testing.assert_array_equal(before.matrix.toarray(), after.matrix.toarray())


def test_batches_and_shards_change_nothing(met_file, tmp_path):
    whole = go(met_file, tmp_path / "a") and JacobianStore(tmp_path / "a").read()
    go(met_file, tmp_path / "b", batch=2)
    for k in (2, 1, 3):
        found = go(met_file, tmp_path / "c", work=Work(scheduler="serial", shard=f"{k}/3"))
        assert found["parts"] == 1
    for name in "bc":
        other = JacobianStore(tmp_path / name).read()
        np.testing.assert_array_equal(other.matrix.toarray(), whole.matrix.toarray())
        np.testing.assert_array_equal(other.boundary.toarray(), whole.boundary.toarray())


def test_worker_processes_change_nothing(met_file, tmp_path):
    go(met_file, tmp_path / "a")
    go(met_file, tmp_path / "b", work=Work(scheduler="processes", workers=2))
    one, two = (JacobianStore(tmp_path / n).read() for n in "ab")
    np.testing.assert_array_equal(one.matrix.toarray(), two.matrix.toarray())


def test_another_run_is_not_mixed_in(met_file, tmp_path):
    go(met_file, tmp_path / "fp")
    with pytest.raises(ConfigError, match=r"holds footprints of other particles \(20 there, 30 now\)"):
        go(met_file, tmp_path / "fp", settings=SETTINGS.but(particles=30))
    with pytest.raises(ConfigError, match="holds footprints of other observations"):
        go(
            met_file,
            tmp_path / "fp",
            table().slice(0, 6).replace_schema_metadata(table().schema.metadata),
            batch=3,
        )


def test_receptors_and_ends_are_written(met_file, tmp_path):
    go(met_file, tmp_path / "fp", air=Air(endpoints=True))
    rows = pq.ParquetFile(first_of(tmp_path / "fp", "receptors")).read().to_pylist()
    jacobian = JacobianStore(tmp_path / "fp").read()
    assert rows[0]["total"] == pytest.approx(float(jacobian.matrix[[0]].sum()), rel=1e-5)
    assert rows[0]["total_stderr"] >= 0.0
    ends = pq.ParquetFile(first_of(tmp_path / "fp", "endpoints")).read()
    assert len(ends) == 3 * 20
    assert set(ends["side"].to_pylist()) <= {"north", "east", "south", "west", "top", "inside"}


def test_skipped_receptors_are_counted_by_reason(met_file, tmp_path):
    far = table()
    far = far.set_column(far.column_names.index("latitude"), "latitude", [np.linspace(24, 29.5, 7)])
    found = go(met_file, tmp_path / "far", far)
    assert found["skipped"] == {"outside the grid of fluxes": 1}
    assert found["receptors"] == 6
    text = [json.loads(p.read_text()) for p in sorted((tmp_path / "far" / "skipped").iterdir())]
    assert [list(t) for t in text] == [[], [], ["s:6"]]


def test_meteorology_that_ends_before_the_particles(met_file, tmp_path):
    with pytest.raises(RangeError, match="the meteorology covers 2020-06-01T00"):
        go(met_file, tmp_path / "fp", table(first=3))
    # What failed binds nothing: the same folder takes other observations.
    assert not (tmp_path / "fp" / "plan.json").exists()
    assert go(met_file, tmp_path / "fp")["receptors"] == 7


def test_grids_beyond_the_meteorology(met_file, tmp_path):
    with pytest.raises(GridError, match="too small"):
        go(met_file, tmp_path / "fp", grid=Grid.regular(10, 29, 102, 110, 1, 1))


def test_nothing_to_do_and_bad_batches(met_file, tmp_path):
    with pytest.raises(ConfigError, match="no observation to make a footprint for"):
        go(
            met_file,
            tmp_path / "fp",
            table().slice(0, 0).replace_schema_metadata(table().schema.metadata) or None,
        ) if False else (
            run_footprints(
                table().slice(0, 0), [met_file], tmp_path / "fp", grid=GRID, step="3h", settings=SETTINGS
            )
        )
    with pytest.raises(ConfigError, match="batch must be positive"):
        go(met_file, tmp_path / "fp", batch=0)


def test_columns_carry_their_prior(met_file, tmp_path):
    columns = column(np.linspace(1.0, 0.5, 20), HATS, LEVELS, latitude=[25.0], longitude=[106.0],
                     time=np.array([T0 + np.timedelta64(12, "h")]))  # fmt: skip
    go(met_file, tmp_path / "fp", columns)
    beside = pq.ParquetFile(first_of(tmp_path / "fp", "background")).read().to_pandas()
    assert beside["background"].isna().all()
    assert beside["fixed"].iloc[0] + beside["share"].sum() * 400.0 == pytest.approx(400.0, rel=1e-6)
    go(met_file, tmp_path / "known", columns, air=Air(405.0))
    known = JacobianStore(tmp_path / "known").read().background[0]
    assert known == pytest.approx(beside["fixed"].iloc[0] + beside["share"].sum() * 405.0, rel=1e-6)


def test_a_constant_background(met_file, tmp_path):
    go(met_file, tmp_path / "fp", air=Air("405.5", 1.5))
    jacobian = JacobianStore(tmp_path / "fp").read()
    np.testing.assert_allclose(jacobian.background, 405.5, rtol=1e-9)
    np.testing.assert_allclose(jacobian.background_uncertainty, 1.5, rtol=1e-6)
    assert JacobianStore(tmp_path / "fp").meta["background"] == "405.5"
    with pytest.raises(RangeError, match="background: CO2 spans 0.0004 to 0.0004 ppm"):
        go(met_file, tmp_path / "bad", air=Air(0.0004))


@pytest.fixture
def case(met_file, tmp_path):
    ObservationStore(tmp_path / "out" / "observations").write(table())
    options = validate(
        FootprintOptions,
        {
            "met": [str(met_file)],
            "species": "CO2",
            "grid": {"south": 22, "north": 29, "west": 102, "east": 110, "dlat": 1, "dlon": 1},
            "step": "3h",
            "hours": 6,
            "particles": 20,
            "turbulence": "mixed-layer",
            "batch": 3,
        },
    )
    return options, Case(tmp_path, tmp_path / "out", RunOptions(name="t", scheduler="serial", seed=4))


def test_the_stage(case, capsys):
    options, place = case
    result = STAGE.run(options, place)
    told = capsys.readouterr().err
    assert all(f"{note}\n" in told for note in result.summary["notes"])
    assert "meteorology: no roughness length" in told
    assert result.summary["receptors"] == 7
    assert all(path.exists() for path in result.outputs)
    assert len(list(STAGE.inputs(options, place))) == 2


def test_observations_outside_the_grid_are_counted(case):
    options, place = case
    far = table(n=2, first=10)
    far = far.set_column(0, "obs_id", [["far:1", "far:2"]])
    far = far.set_column(far.column_names.index("latitude"), "latitude", [[50.0, 60.0]])
    far = far.set_column(far.column_names.index("file_id"), "file_id", [["e" * 16] * 2])
    ObservationStore(place.out / "observations").write(far)
    summary = STAGE.run(options, place).summary
    assert summary["skipped"] == {"outside the grid of fluxes": 2}
    assert summary["receptors"] == 7


def test_options_that_make_no_sense():
    base = {
        "met": ["a.nc"],
        "species": "CO2",
        "grid": {"south": 30, "north": 29, "west": 1, "east": 2, "dlat": 1, "dlon": 1},
    }
    with pytest.raises(ConfigError, match=r"grid: south must be less than north"):
        validate(FootprintOptions, base)
    with pytest.raises(ConfigError, match=r"unknown key 'particels'; nearest: 'particles'"):
        validate(FootprintOptions, {**base, "particels": 3})


def ended(arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return stop.value.code


def test_the_command(met_file, tmp_path, capsys):
    ObservationStore(tmp_path / "store").write(table())
    arguments = ["footprints", "run", str(met_file), "--store", str(tmp_path / "store"), "--species", "co2"]
    arguments += [
        "--grid",
        "22,29,102,110,1,1",
        "--step",
        "3h",
        "--hours",
        "6",
        "--particles",
        "20",
        "--batch",
        "3",
        "--turbulence",
        "mixed-layer",
    ]
    arguments += ["--scheduler", "serial", "--out", str(tmp_path / "fp")]
    assert ended(arguments + ["--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["receptors"] == 7
    assert "7 receptors in 3 parts, about 0.0 min" in captured.err
    assert ended(arguments) == 0
    captured = capsys.readouterr()
    assert "7 receptors in 3 parts, 0 of them made now" in captured.out
    assert "no roughness length" in captured.err
    assert "receptors in" not in captured.err  # nothing was left to estimate
    assert ended([*arguments[:8], "22,29,102", *arguments[9:]]) == 2
    assert "write it as south,north,west,east,dlat" in capsys.readouterr().err


def test_the_stage_takes_listed_receptors_and_a_background(case):
    options, place = case
    (place.folder / "places.csv").write_text(
        "obs_id,time,latitude,longitude,height_m\n"
        "a,2020-06-01T10:00Z,25,105,30\nb,2020-06-01T11:00Z,26,106,30\nout,2020-06-01T11:00Z,29.5,106,30\n"
    )
    listed = options.model_copy(update={"receptors": "places.csv", "background": "405.5"})
    result = STAGE.run(listed, place)
    assert result.summary["receptors"] == 2
    assert result.summary["skipped"] == {"outside the grid of fluxes": 1}
    assert [p.name for p in STAGE.inputs(listed, place)] == ["a.nc", "places.csv"]
    jacobian = JacobianStore(place.out / "footprints").read()
    assert jacobian.obs_id.tolist() == ["a", "b"]
    np.testing.assert_allclose(jacobian.background, 405.5)
    (place.folder / "base.csv").write_text("time,value\n2020-05-01,400\n2020-07-01,400\n")
    baseline = options.model_copy(update={"background": "base.csv"})
    STAGE.run(baseline, place)
    np.testing.assert_allclose(JacobianStore(place.out / "footprints").read().background, 400.0)
    assert "base.csv" in [p.name for p in STAGE.inputs(baseline, place)]


def test_coarse_meteorology_is_told(tmp_path):
    path = era5(tmp_path / "a.nc", hours=range(0, 25, 6))
    told = []
    found = go(path, tmp_path / "fp", report=told.append)
    assert any("every 6 h: coarser than 3 h" in line for line in told)
    assert any("coarser than 3 h" in note for note in found["notes"])


def test_what_the_default_turbulence_is_not_for_is_told_on_each_run_and_stored(met_file, tmp_path):
    assert ParticleSettings().turbulence == "mixed-layer"
    for _ in range(2):
        told = []
        found = go(met_file, tmp_path / "fp", report=told.append)
        (line,) = [one for one in told if one.startswith("turbulence: ")]
        assert "not for nights, terrain" in line
        assert line in found["notes"]
        notes = JacobianStore(tmp_path / "fp").meta["notes"]
        assert notes == found["notes"]
        assert "meteorology: no roughness length: 0.1 m assumed" in notes
    resolved = SETTINGS.but(turbulence="hanna", timestep=120.0)
    found = go(met_file, tmp_path / "hanna", settings=resolved)
    assert not any("turbulence" in note for note in found["notes"])


def test_how_long_it_takes_is_said_before(met_file, tmp_path):
    told = []
    go(met_file, tmp_path / "fp", report=told.append)
    assert told[-1].startswith("7 receptors in 3 parts, about 0.0 min on")
    settings = ParticleSettings(turbulence="hanna", smooth=1.0)
    # 10,000 footprints of 1000 particles for 72 h at 0.87 s, smoothed (two passes), by four workers.
    assert estimate(10000, 100, settings, 4) == "10000 receptors in 100 parts, about 72.0 min on 4 workers"
    assert estimate(100, 1, settings, 4).endswith("about 2.9 min on 4 workers")


def changed(observations, **columns):
    for name, values in columns.items():
        k = observations.column_names.index(name)
        observations = observations.set_column(k, observations.schema.field(k), [values])
    return observations


def test_a_mark_is_of_where_and_when_and_not_of_the_value():
    revised = changed(table(), value=np.full(7, 415.0), uncertainty=np.full(7, 2.0))
    assert marks(revised) == marks(table())
    moved = marks(changed(table(), longitude=np.linspace(104, 108, 7) + np.eye(7)[2]))
    assert [a == b for a, b in zip(moved, marks(table()), strict=True)] == [k != 2 for k in range(7)]


def test_parts_stay_where_all_their_observations_do():
    first, rows, gone = plan_of(table(), {"hours": 6.0}, 3, None)
    assert ([len(own) for own in first.parts.values()], gone) == ([3, 3, 1], [])
    assert np.concatenate(list(rows.values())).tolist() == list(range(7))
    fewer = table().slice(1).replace_schema_metadata(table().schema.metadata)
    second, rows, gone = plan_of(fewer, {"hours": 6.0}, 3, first)
    assert gone == list(first.parts)[:1]
    assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(6))
    assert set(list(first.parts)[1:]) < set(second.parts)
    assert differs(first, {"hours": 6.0}, gone) == (
        "other observations (3 stand in parts with one that is not asked for now)"
    )
    other, _, gone = plan_of(table(), {"hours": 7.0}, 3, first)
    assert len(gone) == 3
    assert differs(first, other.decides, gone) == "other hours (6.0 there, 7.0 now)"
    with pytest.raises(ConfigError, match="the same observation is there twice"):
        plan_of(pa.concat_tables([table(), table()]), {}, 3, None)


@pytest.mark.parametrize("first", [8, 12, 7])
def test_added_observations_leave_the_others(met_file, tmp_path, monkeypatch, first):
    """Later, in between, or earlier, which moves the time axis: the old parts stay, and read as if made at once."""
    more = table(n=3, first=first)
    more = changed(more, obs_id=["n:0", "n:1", "n:2"], latitude=np.linspace(23, 26, 3))
    both = pa.concat_tables([table(), more])
    go(met_file, tmp_path / "whole", both, step="1h")
    go(met_file, tmp_path / "fp", step="1h")
    calls = []
    original = module.do_task
    monkeypatch.setattr(module, "do_task", lambda task: calls.append(task.receptors) or original(task))
    assert go(met_file, tmp_path / "fp", both, step="1h")["made"] == 1
    assert calls == [3]
    one, two = (JacobianStore(tmp_path / n).read() for n in ("whole", "fp"))
    assert one.time_edges.tolist() == two.time_edges.tolist()
    np.testing.assert_array_equal(one.matrix.toarray(), two.matrix.toarray())
    np.testing.assert_array_equal(one.boundary.toarray(), two.boundary.toarray())
    assert not (tmp_path / "fp" / "moving").exists()


def only_two(replace):
    left = iter(range(2))
    return lambda a, b: replace(a, b) if next(left, None) is not None else 1 / 0


def test_a_move_onto_a_longer_axis_that_was_cut_short(met_file, tmp_path, monkeypatch):
    """Killed before the new files were all there, or while they took their places: the next run ends it."""
    from inversion.transport.run import folder

    early = pa.concat_tables([table(), changed(table(n=1, first=7), obs_id=["early"])])
    go(met_file, tmp_path / "whole", early, step="1h")
    whole = JacobianStore(tmp_path / "whole").read()
    for name, broken in (("before", "write_text"), ("while", "os")):
        out = tmp_path / name
        go(met_file, out, step="1h")
        with monkeypatch.context() as patch:
            if broken == "os":
                patch.setattr(folder.os, "replace", only_two(folder.os.replace))
            else:
                patch.setattr(folder, "write_text", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                go(met_file, out, early, step="1h")
        assert go(met_file, out, early, step="1h")["made"] == 1
        found = JacobianStore(out).read()
        np.testing.assert_array_equal(found.matrix.toarray(), whole.matrix.toarray())


def test_dropped_observations_are_removed_only_when_asked(met_file, tmp_path):
    out = tmp_path / "fp"
    go(met_file, out)
    fewer = table().slice(1).replace_schema_metadata(table().schema.metadata)
    with pytest.raises(ConfigError, match="holds footprints of other observations .*--replace"):
        go(met_file, out, fewer)
    assert go(met_file, out, fewer, replace=True)["made"] == 1
    assert JacobianStore(out).read().obs_id.tolist() == [f"s:{k}" for k in range(1, 7)]
    for kind in KINDS:
        if kind not in {"endpoints", "paths", "transport_error"}:
            assert len(list((out / kind).iterdir())) == 3


@pytest.mark.parametrize("replace", [True, False])
def test_a_folder_with_other_things_is_not_touched(met_file, tmp_path, replace):
    out = tmp_path / "fp"
    go(met_file, out)
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(
        ConfigError, match=r"fp: holds thesis.tex, which are no footprints; .* folder of their own"
    ):
        go(met_file, out, settings=SETTINGS.but(particles=30), replace=replace)
    assert (out / "thesis.tex").read_text() == "years of work"
    foreign = tmp_path / "foreign"
    JacobianStore(foreign).create(
        {"grid": GRID, "time_edges": [T0, T0 + np.timedelta64(1, "D")], "kind": "read", "model": "x"}
    )
    with pytest.raises(ConfigError, match="holds a Jacobian that this model did not plan"):
        go(met_file, foreign, replace=replace)


@pytest.mark.parametrize("out", [".", "..", "sub/.."])
def test_the_stage_refuses_the_folder_of_the_run(case, out):
    options, place = case
    place.out.mkdir(exist_ok=True)
    (place.out / "mine.txt").write_text("mine")
    (place.out / "sub").mkdir()
    with pytest.raises(ConfigError, match=r"out = .* is where other things are"):
        STAGE.run(options.model_copy(update={"out": out}), place)
    assert (place.out / "mine.txt").exists()


def test_meteorology_replaced_in_place_makes_new_footprints(tmp_path):
    """Same name, size and even times of writing: content decides, also for what a process holds open."""
    import os

    path, out = tmp_path / "a.nc", tmp_path / "fp"
    era5(path, hours=range(25))
    go(path, out)
    before, stat = JacobianStore(out).read().matrix.toarray(), path.stat()
    era5(path, hours=range(25), change=lambda n, v: -v if n in {"u", "v"} else v)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    with pytest.raises(ConfigError, match="holds footprints of other meteorology"):
        go(path, out)
    assert go(path, out, replace=True)["made"] == 3
    after = JacobianStore(out).read().matrix.toarray()
    assert not np.array_equal(before, after)
    go(path, tmp_path / "fresh")
    np.testing.assert_array_equal(after, JacobianStore(tmp_path / "fresh").read().matrix.toarray())


def test_a_background_file_that_changed_makes_new_footprints(met_file, tmp_path):
    path = tmp_path / "base.csv"
    for value in (400, 401):
        path.write_text(f"time,value\n2020-05-01,{value}\n2020-07-01,{value}\n")
        assert go(met_file, tmp_path / "fp", air=Air(str(path)), replace=True)["made"] == 3
        np.testing.assert_allclose(JacobianStore(tmp_path / "fp").read().background, value)


def test_ends_that_are_asked_for_later_are_made(met_file, tmp_path):
    go(met_file, tmp_path / "fp")
    assert go(met_file, tmp_path / "fp", air=Air(endpoints=True))["made"] == 3
    assert len(list((tmp_path / "fp" / "endpoints").iterdir())) == 3
    assert go(met_file, tmp_path / "fp", air=Air(endpoints=True))["made"] == 0


def test_a_damaged_plan_is_named(met_file, tmp_path):
    go(met_file, tmp_path / "fp")
    for text in ("{", "[]", '{"decides": {}, "parts": []}'):
        (tmp_path / "fp" / "plan.json").write_text(text)
        with pytest.raises(FormatError, match=r"plan.json: damaged"):
            read_plan(tmp_path / "fp")


def test_the_span_of_observations_knows_their_averaging():
    observations = table(2)
    first, last = span(observations)
    assert (first, last) == (T0 + np.timedelta64(8, "h"), T0 + np.timedelta64(9, "h"))
    start = observations["time"].to_numpy() - np.timedelta64(1, "h")
    far = np.array([T0, T0 + np.timedelta64(40, "D")]).astype("datetime64[us]")
    for name, values in (("time_start", start), ("time_end", far)):
        k = observations.column_names.index(name)
        observations = observations.set_column(k, observations.schema.field(k), [values])
    # An end forty days away is no averaging time.
    assert span(observations) == (T0, T0 + np.timedelta64(9, "h"))


def test_paths_are_written_where_they_are_asked_for(met_file, tmp_path):
    go(met_file, tmp_path / "out", settings=SETTINGS.but(paths=60.0))
    parts = sorted((tmp_path / "out" / "paths").glob("*.parquet"))
    assert len(parts) == 3
    rows = pq.read_table(parts[0]).to_pandas()
    assert set(rows.columns) == {
        "obs_id",
        "particle",
        "age",
        "latitude",
        "longitude",
        "height_m",
        "sensitivity",
    }
    total = pq.read_table(tmp_path / "out" / "receptors" / parts[0].name).to_pandas()["total"].sum()
    assert rows["sensitivity"].sum() == pytest.approx(total, rel=1e-4)
    assert rows["age"].between(-360.0, -1e-3).all()
    go(met_file, tmp_path / "none")
    assert not (tmp_path / "none" / "paths").exists()
