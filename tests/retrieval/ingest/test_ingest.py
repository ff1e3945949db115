"""Ingest: known answers, bad granules, resume, duplicates, mixtures, shards, counts, the command and the stage."""

import json
import shutil

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

from obsnet.cli import main
from obsnet.config import resolve_files
from obsnet.content import sha256
from obsnet.errors import ConfigError
from obsnet.schema import Quality
from obsnet.store import ObservationStore
from obsnet.work.work import Work
from retrieval.ingest.options import IngestOptions
from retrieval.ingest.run import granule_files, ingest
from retrieval.products.bias import Correction, CorrectionClass, write_correction
from retrieval.products.read import read_granule
from tests.retrieval import synthetic
from tests.retrieval.granules import granule, week


@pytest.fixture
def acos(sample_data):
    return sample_data / "satellite" / "acos_lite"


def run(capsys, *arguments):
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(["ingest", *map(str, arguments)])
    code = stop.value.code
    out, err = capsys.readouterr()
    return (0 if code is None else code), out, err


def test_known_answers_through_the_command(acos, tmp_path, capsys):
    code, out, _ = run(capsys, acos, "--out", tmp_path / "store", "--json")
    assert code == 0
    found = json.loads(out)
    rows = [
        (r["soundings"], r["good"], round(r["mean_good"], 4), r["unit"], r["status"]) for r in found["files"]
    ]
    assert rows == [(985, 350, 384.2776, "1e-6", "done"), (917, 366, 384.2773, "1e-6", "done")]
    assert (found["soundings"], found["good"], found["bad"]) == (1902, 716, 0)
    assert found["files"][0]["counts"]["producer"]["co2_ratio"] > 100
    table = ObservationStore(tmp_path / "store").read("CO2")
    assert len(table) == 1902
    assert len(set(table["obs_id"].to_pylist())) == 1902
    good = ObservationStore(tmp_path / "store").read("CO2", good_only=True, bounds=(18, 54, 73, 135))
    assert len(good) == 16 + 17


def test_table_on_a_terminal(acos, tmp_path, capsys):
    code, out, _ = run(capsys, acos, "--out", tmp_path / "store")
    lines = out.splitlines()
    assert code == 0
    assert lines[1].split() == [
        min(p.name for p in acos.iterdir()),
        "985",
        "350",
        "384.2776",
        "ppm",
        "done",
    ]
    assert lines[-1] == "2 files: 1902 soundings, 716 good"
    code, out, _ = run(capsys, acos, "--out", tmp_path / "store")
    assert out.splitlines()[-1] == "2 files, 2 done before: 1902 soundings, 716 good"


def test_bad_granules_are_recorded_and_the_run_goes_on(tmp_path, capsys):
    folder = tmp_path / "in"
    good = granule(folder)
    content = good.read_bytes()
    (folder / "truncated.nc4").write_bytes(content[: len(content) // 2])
    (folder / "text.nc4").write_text("not a granule\n")
    (folder / "zero.nc4").write_bytes(b"")
    granule(folder, "180105", change=lambda v, a: v.pop("xco2_averaging_kernel"))
    granule(folder, "180106", change=lambda v, a: v.update(xco2=(v["xco2"][0], {"units": "1e-9"})))
    nans = granule(folder, "180107", change=lambda v, a: v["latitude"][0].fill(np.nan))
    flagged = granule(folder, "180108", change=lambda v, a: v["xco2_quality_flag"][0].fill(1))
    code, out, _ = run(capsys, folder, "--out", tmp_path / "store", "--json")
    assert code == 1
    found = {r["path"].rsplit("/", 1)[-1]: r for r in json.loads(out)["files"]}
    assert json.loads(out)["bad"] == 5
    for name, why in {
        "truncated.nc4": "bad: broken HDF5 file",
        "text.nc4": "bad: not an HDF5 or netCDF file; it begins with 'not a granule'",
        "zero.nc4": "bad: empty file (0 bytes)",
        synthetic.lite_name("180105"): "bad: looks like oco2_lite but has no variable xco2_averaging_kernel",
        synthetic.lite_name("180106"): "bad: xco2 spans",
    }.items():
        assert found[name]["status"].startswith(why), found[name]["status"]
        assert str(tmp_path) not in found[name]["status"]
    assert found[nans.name]["status"] == "done"
    assert found[nans.name]["good"] == 0
    assert found[flagged.name]["status"] == "done"
    assert found[flagged.name]["good"] == 0
    assert found[flagged.name]["mean_good"] is None
    assert found[good.name]["good"] > 0
    store = ObservationStore(tmp_path / "store")
    assert len(store.read("CO2")) == 3 * 40
    index = {r["path"].rsplit("/", 1)[-1]: r for r in store.index.read().to_pylist()}
    assert index.keys() == found.keys()
    code, out, _ = run(capsys, folder, "--out", tmp_path / "store")
    assert code == 1
    assert out.splitlines()[-1] == "5 of 8 files bad"
    assert "3 done before" in out


def test_a_mended_file_is_read_the_next_time(tmp_path):
    folder = tmp_path / "in"
    path = granule(folder)
    content = path.read_bytes()
    path.write_bytes(content[:1000])
    assert len(ingest([path], tmp_path / "store").bad) == 1
    path.write_bytes(content)
    summary = ingest([path], tmp_path / "store")
    assert not summary.bad
    assert summary.skipped == 0
    assert ObservationStore(tmp_path / "store").index.read()["status"].to_pylist() == ["done"]


def test_resume_reads_nothing_again(tmp_path, monkeypatch):
    files = week(tmp_path / "in")
    first = ingest(files[:2], tmp_path / "store")
    import retrieval.products.read

    calls = []
    real = retrieval.products.read.read_granule
    monkeypatch.setattr(
        retrieval.products.read, "read_granule", lambda path, **k: calls.append(path) or real(path, **k)
    )
    second = ingest(files, tmp_path / "store")
    assert [c.name for c in calls] == [files[2].name]
    assert (first.skipped, second.skipped) == (0, 2)
    assert len(second.files) == 3
    assert second.soundings == 120


def test_a_changed_file_is_read_again_though_its_size_is_the_same(tmp_path):
    path = granule(tmp_path / "in")
    ingest([path], tmp_path / "store")
    with h5py.File(path, "a") as file:
        file["xco2_quality_flag"][...] = 1
    summary = ingest([path], tmp_path / "store")
    assert summary.skipped == 0
    assert summary.files[0]["good"] == 0
    table = ObservationStore(tmp_path / "store").read("CO2")
    assert len(table) == 40  # the rows of the earlier bytes are gone
    assert set(table["file_id"].to_pylist()) == {sha256(path)[:16]}


def test_other_options_mean_reading_again(tmp_path):
    path = granule(tmp_path / "in")
    plain = ingest([path], tmp_path / "store")
    screened = ingest([path], tmp_path / "store", IngestOptions(screen="oco_land"))
    assert screened.skipped == 0
    assert screened.good < plain.good
    again = ingest([path], tmp_path / "store", IngestOptions(screen="oco_land"))
    assert again.skipped == 1
    assert len(ObservationStore(tmp_path / "store").read("CO2")) == 40


def test_a_changed_screen_file_means_reading_again(tmp_path):
    path = granule(tmp_path / "in")
    screen = tmp_path / "mine.toml"
    rule = '[[filter]]\nname = "sza"\nvariable = "solar_zenith_angle"\nat_most = {}\n'
    screen.write_text(rule.format(60))
    options = IngestOptions(screen=str(screen))
    first = ingest([path], tmp_path / "store", options)
    screen.write_text(rule.format(30))
    second = ingest([path], tmp_path / "store", options)
    assert second.skipped == 0
    assert second.good < first.good


def test_moved_folder_is_not_read_again(tmp_path):
    files = week(tmp_path / "in", 2)
    ingest(files, tmp_path / "store")
    shutil.move(tmp_path / "in", tmp_path / "archive")
    summary = ingest(resolve_files([tmp_path / "archive"]), tmp_path / "store")
    assert summary.skipped == 2
    assert not summary.bad
    assert len(ObservationStore(tmp_path / "store").read("CO2")) == 80


def test_a_relative_path_is_the_same_file(tmp_path, monkeypatch):
    """Named by a case with its folder, then by hand from inside it: no copy of itself, and no second row."""
    files = week(tmp_path / "in", 2)
    ingest(files, tmp_path / "store")
    before = ObservationStore(tmp_path / "store").index.read().to_pylist()
    monkeypatch.chdir(tmp_path)
    summary = ingest(resolve_files(["in"]), tmp_path / "store")
    assert (summary.skipped, len(summary.copies), summary.soundings) == (2, 0, 80)
    assert ObservationStore(tmp_path / "store").index.read().to_pylist() == before


def test_the_same_bytes_twice(tmp_path):
    one = granule(tmp_path / "in")
    shutil.copy(one, tmp_path / "in" / "copy_of_it.nc4")
    summary = ingest(resolve_files([tmp_path / "in"]), tmp_path / "store")
    assert not summary.bad
    assert summary.to_dict()["copies"] == 1
    assert [r["status"] for r in summary.copies] == [
        f"copy: same bytes as {tmp_path / 'in' / 'copy_of_it.nc4'}, which was read before"
    ]
    assert len(ObservationStore(tmp_path / "store").read("CO2")) == 40
    later = tmp_path / "other" / "day.nc4"
    later.parent.mkdir()
    shutil.copy(one, later)
    assert ingest([later], tmp_path / "store").copies[0]["status"].startswith("copy: same bytes as")


def test_the_same_day_produced_twice_counts_once(tmp_path):
    older = granule(tmp_path / "in", made="180101000000", change=lambda v, a: v["xco2"][0].__iadd__(0.5))
    newer = granule(tmp_path / "in", made="190101000000")
    summary = ingest([older, newer], tmp_path / "store")
    assert not summary.bad
    assert [r["path"] for r in summary.copies] == [str(older)]
    assert (
        summary.copies[0]["status"]
        == f"copy: all 40 soundings are also in {newer.name}; the newer file is used"
    )
    assert len(ObservationStore(tmp_path / "store").read("CO2")) == 40


def test_a_day_that_is_in_the_store_already_wins(tmp_path):
    newer = granule(tmp_path / "in", made="190101000000", change=lambda v, a: v["xco2"][0].__iadd__(0.5))
    older = granule(tmp_path / "in", made="180101000000")
    ingest([older], tmp_path / "store")
    assert "all 40 soundings are also in" in ingest([newer], tmp_path / "store").copies[0]["status"]


def test_soundings_that_two_files_share_are_flagged_in_the_older_one(tmp_path):
    def half(variables, _attributes):
        for name, (values, own) in list(variables.items()):
            variables[name] = (values[:15], own)

    newer = granule(tmp_path / "in", made="190101000000", change=half)
    older = granule(tmp_path / "in", made="180101000000")
    summary = ingest([older, newer], tmp_path / "store")
    assert not summary.bad
    notes = {r["path"]: r["notes"] for r in summary.files}
    assert f"15 rows are also in {newer.name}, flagged duplicate" in notes[str(older)]
    table = ObservationStore(tmp_path / "store").read("CO2")
    assert len(table) == 55
    assert len(set(table["obs_id"].to_pylist())) == 55
    repeated = table["quality"].to_numpy() & int(Quality.DUPLICATE) != 0
    assert repeated.sum() == 15
    assert set(table["file_id"].filter(repeated).to_pylist()) == {sha256(older)[:16]}


def test_parts_of_one_day_are_not_duplicates(tmp_path):
    def part(rows):
        def change(variables, _attributes):
            for name, (values, own) in list(variables.items()):
                variables[name] = (values[rows], own)

        return change

    even = granule(tmp_path / "in", made="190101000000", change=part(slice(0, None, 2)))
    odd = granule(tmp_path / "in", made="180101000000", change=part(slice(1, None, 2)))
    summary = ingest([even, odd], tmp_path / "store")
    assert not summary.bad
    assert (
        ObservationStore(tmp_path / "store").read("CO2")["quality"].to_numpy() & int(Quality.DUPLICATE) == 0
    ).all()


def test_versions_are_not_mixed(tmp_path):
    one, two = granule(tmp_path / "in"), granule(tmp_path / "in", "180103", version=10)
    with pytest.raises(
        ConfigError,
        match=r"versions of oco2_lite would be mixed: oco2_lite_v10 \(1 file, e.g. .*\), oco2_lite_v9",
    ):
        ingest([one, two], tmp_path / "store")
    assert not (tmp_path / "store").exists()
    ingest([one], tmp_path / "store")
    with pytest.raises(ConfigError, match="allow it with --mixed"):
        ingest([two], tmp_path / "store")
    summary = ingest([one, two], tmp_path / "store", mixed=True)
    assert not summary.bad
    assert {p.name for p in (tmp_path / "store" / "species=CO2").iterdir()} == {
        "source=oco2_lite_v10",
        "source=oco2_lite_v9",
    }


def test_scales_are_not_mixed(tmp_path, acos):
    path = granule(tmp_path / "in", version=11)
    ingest([path], tmp_path / "a")
    other = granule(tmp_path / "in", "180103", version=11)
    with pytest.raises(
        ConfigError, match="versions of oco2_lite would be mixed: oco2_lite_v11.1 .*oco2_lite_v11.1_x2019"
    ):
        ingest([other], tmp_path / "a", IngestOptions(variant="x2019"))
    ingest([path], tmp_path / "b", IngestOptions(variant="x2019"))
    with pytest.raises(
        ConfigError, match=r"calibration scales of CO2 would be mixed: X2007 \(2 files.*X2019 \(1 file"
    ):
        ingest(sorted(acos.iterdir()), tmp_path / "b")
    # The usual scale of both products is the same.
    ingest([path], tmp_path / "c")
    assert not ingest(sorted(acos.iterdir()), tmp_path / "c").bad


def test_x2019_on_files_without_it_is_bad_file_by_file(tmp_path, capsys):
    granule(tmp_path / "in", version=11)
    v9 = granule(tmp_path / "in9", version=9)
    code, out, _ = run(capsys, tmp_path / "in", v9, "--out", tmp_path / "store", "--x2019", "--json")
    found = json.loads(out)
    assert code == 1
    assert found["bad"] == 1
    assert "no variable 'xco2_x2019'" in next(r["status"] for r in found["files"] if r["status"] != "done")
    assert {p.name for p in (tmp_path / "store" / "species=CO2").iterdir()} == {
        "source=oco2_lite_v11.1_x2019"
    }


def test_shards_together_are_the_whole(tmp_path, capsys):
    week(tmp_path / "in", 5)
    for part in ("1/2", "2/2"):
        code, _, _ = run(capsys, tmp_path / "in", "--out", tmp_path / "store", "--shard", part)
        assert code == 0
    ingest(resolve_files([tmp_path / "in"]), tmp_path / "one")
    halves, whole = (ObservationStore(tmp_path / s).read("CO2") for s in ("store", "one"))
    assert halves.equals(whole)
    assert len(ObservationStore(tmp_path / "store").index.read()) == 5
    code, _, err = run(capsys, tmp_path / "in", "--out", tmp_path / "store", "--shard", "3/2")
    assert code == 2
    assert "write it as i/n" in err


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["processes", "dask"])
def test_workers_give_the_same_store(tmp_path, scheduler):
    files = week(tmp_path / "in", 3)
    (tmp_path / "in" / "zero.nc4").write_bytes(b"")
    files.append(tmp_path / "in" / "zero.nc4")
    one = ingest(files, tmp_path / "serial", work=Work(scheduler="serial"))
    two = ingest(files, tmp_path / "parallel", work=Work(scheduler=scheduler, workers=2))
    assert two.files == one.files
    assert len(two.bad) == 1
    first, second = (ObservationStore(tmp_path / s).read("CO2") for s in ("serial", "parallel"))
    assert first.equals(second)


def test_index_says_where_and_when(tmp_path):
    path = granule(tmp_path / "in")
    ingest([path], tmp_path / "store")
    (row,) = ObservationStore(tmp_path / "store").index.read().to_pylist()
    assert (row["sensor"], row["version"], row["species"], row["size"]) == (
        "oco2_lite",
        "v9",
        "CO2",
        path.stat().st_size,
    )
    assert row["sha256"] == sha256(path)
    assert row["file_id"] == row["sha256"][:16]
    assert str(row["time_start"]) == "2018-01-02 05:00:00"
    assert row["time_end"] > row["time_start"]
    assert 19.9 < row["south"] < 20.1
    assert 114 < row["west"] <= row["east"] < 116


def test_bounding_box_over_the_dateline(tmp_path):
    def change(variables, _attributes):
        longitude = np.linspace(175, 185, 40)
        variables["longitude"] = (
            np.where(longitude > 180, longitude - 360, longitude).astype(np.float32),
            {},
        )
        variables["latitude"][0][3] = np.nan

    path = granule(tmp_path / "in", change=change)
    (row,) = ingest([path], tmp_path / "store").files
    assert row["west"] == 175.0
    assert row["east"] == -175.0


def test_extra_variables_beside_the_store(tmp_path, capsys):
    path = granule(tmp_path / "in")
    code, _, _ = run(
        capsys, path, "--out", tmp_path / "store", "--extra", "raw,footprint,co2_profile_apriori"
    )
    assert code == 0
    (extra,) = (tmp_path / "store" / "_extra").rglob("*.parquet")
    found = pq.ParquetFile(extra).read()
    assert found.column_names == ["obs_id", "raw", "footprint", "co2_profile_apriori"]
    store = ObservationStore(tmp_path / "store")
    assert set(found["obs_id"].to_pylist()) == set(store.read("CO2")["obs_id"].to_pylist())
    with h5py.File(path) as file:
        np.testing.assert_allclose(found["raw"].to_numpy(), file["Retrieval/xco2_raw"][()])


def test_profiles_of_good_rows_only(tmp_path):
    path = granule(tmp_path / "in")
    ingest([path], tmp_path / "store", IngestOptions(profiles="good"))
    table = ObservationStore(tmp_path / "store").read("CO2")
    use = table["quality"].to_numpy() == 0
    assert len(table) == 40
    assert table["averaging_kernel"].is_null().to_numpy().tolist() == (~use).tolist()


def test_screen_counts_on_the_last_lines(tmp_path, capsys):
    week(tmp_path / "in", 2)
    code, out, _ = run(capsys, tmp_path / "in", "--out", tmp_path / "store", "--screen", "oco_land")
    assert code == 0
    line = next(x for x in out.splitlines() if x.startswith("rejected by the screen: "))
    assert "quality_flag" in line
    assert "land" in line
    assert "any" in line


def test_correction_changes_the_source(tmp_path, capsys):
    path = granule(tmp_path / "in")
    correction = Correction(
        name="mine", sensor="oco2_lite", classes=(CorrectionClass(name="a", formula="raw + 1.5"),)
    )
    write_correction(correction, tmp_path / "c.toml")
    code, _, _ = run(capsys, path, "--out", tmp_path / "store", "--correction", tmp_path / "c.toml")
    assert code == 0
    assert (tmp_path / "store" / "species=CO2" / "source=oco2_lite_v9_mine").is_dir()
    (row,) = ObservationStore(tmp_path / "store").index.read().to_pylist()
    assert row["version"] == "v9_mine"
    assert "bias correction mine" in row["notes"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--sensor", "oco2lite"], "unknown sensor 'oco2lite'; nearest: 'oco2_lite'"),
        (["--screen", "oco_lnd"], "unknown screen 'oco_lnd'; nearest: 'oco_land'"),
        (["--sensors", "nowhere"], "nowhere: no such folder of sensor tables"),
        (["--correction", "none.toml"], "none.toml: no such configuration file"),
        (["--profiles", "some"], "profiles = 'some': Input should be 'all', 'good' or 'none'"),
        (["--scheduler", "threads"], "scheduler = 'threads'"),
    ],
)
def test_mistakes_of_the_user_stop_the_run_in_one_line(tmp_path, capsys, arguments, why):
    path = granule(tmp_path / "in")
    code, _out, err = run(capsys, path, "--out", tmp_path / "store", *arguments)
    assert code == 2
    assert why in err
    assert "Traceback" not in err
    assert not (tmp_path / "store").exists()


def test_no_file_matches(tmp_path, capsys):
    code, _, err = run(capsys, tmp_path / "*.nc4", "--out", tmp_path / "store")
    assert code == 2
    assert "no file matches" in err


def test_pipeline_stage(tmp_path):
    from obsnet.pipeline import Case, RunOptions
    from retrieval.commands.ingest_stage import STAGE
    from retrieval.ingest.options import IngestTable

    granule(tmp_path / "granules")
    (tmp_path / "granules" / "zero.nc4").write_bytes(b"")
    case = Case(tmp_path, tmp_path / "run", RunOptions(name="t", scheduler="serial"))
    options = IngestTable(files=["granules"], screen="oco_good", profiles="good")
    result = STAGE.run(options, case)
    assert result.failed == 1
    assert result.summary["files"] == 2
    assert result.summary["soundings"] == 40
    assert result.outputs == (tmp_path / "run" / "store",)
    assert len(ObservationStore(tmp_path / "run" / "store").read("CO2")) == 40
    assert {p.name for p in STAGE.inputs(options, case)} == {"zero.nc4", synthetic.lite_name()}


def test_pipeline_stage_with_tables_of_the_case(tmp_path):
    from obsnet.pipeline import Case, RunOptions
    from retrieval.commands.ingest_stage import STAGE
    from retrieval.ingest.options import IngestTable

    granule(tmp_path / "granules", version=11)
    (tmp_path / "mine.toml").write_text('[[filter]]\nname = "a"\nvariable = "uncertainty"\nat_most = 0.6\n')
    case = Case(tmp_path, tmp_path / "run", RunOptions(name="t", scheduler="serial"))
    options = IngestTable(files=["granules"], screen="mine.toml", x2019=True)
    result = STAGE.run(options, case)
    assert result.failed == 0
    table = ObservationStore(tmp_path / "run" / "store").read("CO2")
    assert set(table["scale"].to_pylist()) == {"X2019"}
    assert table["uncertainty"].to_numpy()[table["quality"].to_numpy() == 0].max() <= 0.6 + 1e-6
    assert tmp_path / "mine.toml" in STAGE.inputs(options, case)


def test_what_download_tools_leave_beside_granules_is_not_read(tmp_path):
    path = granule(tmp_path / "in")
    for name in ("README", "list.xml", "oco2.nc4.md5", ".hidden.nc4"):
        (tmp_path / "in" / name).write_text("x")
    assert granule_files([tmp_path / "in"]) == [path]
    assert granule_files([str(tmp_path / "in" / "*.xml"), path]) == sorted(
        [tmp_path / "in" / "list.xml", path]
    )
    path.unlink()
    with pytest.raises(ConfigError, match="no granules in this folder"):
        granule_files([tmp_path / "in"])


def test_correction_and_another_scale_do_not_go_together(tmp_path):
    path = granule(tmp_path / "in", version=11)
    correction = Correction(
        name="mine", sensor="oco2_lite", classes=(CorrectionClass(name="a", formula="raw + 1.5"),)
    )
    write_correction(correction, tmp_path / "c.toml")
    with pytest.raises(
        ValueError, match="starts from the raw value: it cannot be combined with variant x2019"
    ):
        ingest(
            [path], tmp_path / "store", IngestOptions(correction=str(tmp_path / "c.toml"), variant="x2019")
        )


def test_an_orbit_without_a_retrieval(tmp_path):
    variables, attributes, _ = synthetic.s5p()
    for name, (values, own) in variables.items():
        if "methane_mixing_ratio" in name:
            variables[name] = (np.full_like(values, 9.96921e36), own)
    path = synthetic.write(tmp_path / "S5P.nc", variables, attributes)
    summary = ingest([path], tmp_path / "store", IngestOptions(extra=("*",)))
    assert not summary.bad
    assert (summary.soundings, summary.good) == (0, 0)
    assert ingest([path], tmp_path / "store", IngestOptions(extra=("*",))).skipped == 1


def test_a_new_table_of_another_product_leaves_the_store_alone(tmp_path):
    path = granule(tmp_path / "in")
    tables = tmp_path / "tables"
    tables.mkdir()
    options = IngestOptions(sensors=(str(tables),))
    ingest([path], tmp_path / "store", options)
    (tables / "mine.toml").write_text(
        'base = "_lite"\ntitle = "x"\nplatform = "X"\n[detect]\nname = "never"\n'
    )
    assert ingest([path], tmp_path / "store", options).skipped == 1
    (tables / "oco2_lite.toml").write_text('base = "oco2_lite"\n[quality]\ngood = [0, 1]\n')
    again = ingest([path], tmp_path / "store", options)
    assert again.skipped == 0
    assert again.good == 40


def test_reading_again_on_the_other_scale_replaces_the_rows(tmp_path):
    path = granule(tmp_path / "in", version=11)
    ingest([path], tmp_path / "store", IngestOptions(extra=("raw",)))
    ingest([path], tmp_path / "store", IngestOptions(variant="x2019", extra=("raw",)))
    table = ObservationStore(tmp_path / "store").read("CO2")
    assert len(table) == 40
    assert set(table["scale"].to_pylist()) == {"X2019"}
    assert [p.parent.name for p in (tmp_path / "store" / "_extra").rglob("*.parquet")] == [
        "source=oco2_lite_v11.1_x2019"
    ]


def test_both_species_of_a_file_in_one_store(tmp_path):
    name = "ESACCI-GHG-L2-CH4_CO-TROPOMI-WFMD-20171110-fv2.nc"
    path = synthetic.write(tmp_path / name, *synthetic.wfmd())
    ingest([path], tmp_path / "store")
    ingest([path], tmp_path / "store", IngestOptions(species="CO"))
    store = ObservationStore(tmp_path / "store")
    assert store.species() == ["CH4", "CO"]
    assert len(store.read("CH4")) == len(store.read("CO")) == 30


def test_a_file_that_breaks_keeps_its_rows_until_it_is_mended(tmp_path):
    path = granule(tmp_path / "in")
    ingest([path], tmp_path / "store")
    path.write_bytes(b"")
    (row,) = ingest([path], tmp_path / "store").files
    assert row["status"] == "bad: empty file (0 bytes)"
    assert row["notes"] == "the store keeps what the file held when it was last read"
    assert len(ObservationStore(tmp_path / "store").read("CO2")) == 40
    granule(tmp_path / "in", n=25)
    assert not ingest([path], tmp_path / "store").bad
    assert len(ObservationStore(tmp_path / "store").read("CO2")) == 25


def test_planning_grows_with_the_number_of_files_of_one_size(tmp_path):
    """Products of fixed layout have files of one size: what each task is told must not grow with their number."""
    from retrieval.ingest.options import IngestOptions
    from retrieval.ingest.plan import make_plan

    options = IngestOptions(sensor="oco2_lite")
    print_ = options.fingerprint("oco2_lite")
    paths, index = [], []
    for number in range(400):
        path = tmp_path / f"{number:04d}.nc4"
        path.write_bytes(f"{number:010d}".encode())
        paths.append(str(path))
        if number < 300:
            row = dict.fromkeys(("time_start", "time_end", "version"))
            row |= {
                "path": str(path),
                "size": 10,
                "sha256": sha256(path),
                "status": "done",
                "options": print_,
            }
            index.append(row | {"sensor": "oco2_lite", "species": "CO2", "file_id": "x"})
    (tmp_path / "0399.nc4").write_bytes((tmp_path / "0007.nc4").read_bytes())  # a copy of a finished one
    (tmp_path / "0398.nc4").write_bytes((tmp_path / "0350.nc4").read_bytes())  # a copy of a new one
    plan = make_plan(paths, index, options, mixed=True)
    assert sum(map(len, plan.done.values())) <= 302
    assert plan.done[paths[7]] == ((sha256(tmp_path / "0007.nc4"), paths[7]),)
    assert [where for _, where in plan.done[paths[399]]] == [paths[7]]
    assert [where for _, where in plan.done[paths[398]]] == [paths[350]]
    assert not plan.done.get(paths[350])


def test_a_finished_file_that_becomes_a_copy_of_another_is_told(tmp_path):
    """Same size, other bytes: the index tells whose they are."""
    files = week(tmp_path / "in", days=2)
    target = max(f.stat().st_size for f in files)
    for file in files:  # the same size, as products of fixed layout have
        file.write_bytes(file.read_bytes().ljust(target, b"\0"))
    assert not ingest(files, tmp_path / "store").bad
    files[1].write_bytes(files[0].read_bytes())
    (copy,) = ingest(files, tmp_path / "store").copies
    assert copy["path"] == str(files[1])
    assert copy["status"] == f"copy: same bytes as {files[0]}, which was read before"


def test_minor_versions_of_a_product_are_told_apart(tmp_path):
    """B11100 is v11.1, B11210 v11.2; builds before 11 have no minor versions."""
    (tmp_path / "in").mkdir()
    (tmp_path / "old").mkdir()
    for name, made in (
        ("oco2_LtCO2_200701_B11100Ar_230101000000s.nc4", 1),
        ("oco2_LtCO2_200702_B11210Ar_240101000000s.nc4", 2),
    ):
        synthetic.write(tmp_path / "in" / name, *synthetic.lite(version=11, seed=made))
    synthetic.write(
        tmp_path / "old" / "oco2_LtCO2_200702_B11014Ar_220101000000s.nc4", *synthetic.lite(version=11)
    )
    files = granule_files([str(tmp_path / "in")], tmp_path)
    with pytest.raises(ConfigError, match=r"oco2_lite_v11.1 \(1 file.*oco2_lite_v11.2 \(1 file.*--mixed"):
        ingest(files, tmp_path / "store")
    summary = ingest(files, tmp_path / "store", mixed=True)
    assert not summary.bad
    assert set(ObservationStore(tmp_path / "store").sources("CO2")) == {"oco2_lite_v11.1", "oco2_lite_v11.2"}
    ingest(granule_files([str(tmp_path / "old")], tmp_path), tmp_path / "other")
    assert set(ObservationStore(tmp_path / "other").sources("CO2")) == {"oco2_lite_v11"}
    variables, attributes = synthetic.lite(version=11)
    attributes["BuildId"] = "B11.2.00"  # of a file that was renamed
    assert read_granule(synthetic.write(tmp_path / "day.nc4", variables, attributes)).version == "11.2"


@pytest.mark.parametrize(
    ("role", "change", "bit"),
    [
        ("xco2_uncertainty", lambda v: np.full_like(v, np.inf), Quality.UNCERTAINTY),
        ("xco2_uncertainty", lambda v: 1e30 * v, Quality.UNCERTAINTY),
        ("xco2_averaging_kernel", lambda v: 1e30 * v, Quality.OPERATOR),
        ("co2_profile_apriori", lambda v: 1e30 * v, Quality.OPERATOR),
        ("Sounding/altitude", lambda v: 1e30 + v, Quality.GEOLOCATION),
        ("Sounding/land_fraction", lambda _: 120, Quality.RANGE),
        ("vertex_latitude", lambda v: v + 500.0, Quality.GEOLOCATION),
        ("pressure_levels", lambda v: 10.0 * v, Quality.OPERATOR),
    ],
)
def test_columns_beyond_their_physical_range_are_no_good(tmp_path, role, change, bit):
    def wild(variables, _attributes):
        values, own = variables[role]
        values = np.array(values)
        values[3] = change(values[3])
        variables[role] = (values, own)

    summary = ingest([granule(tmp_path / "in", change=wild)], tmp_path / "store")
    assert not summary.bad
    table = ObservationStore(tmp_path / "store").read("CO2").sort_by("obs_id")
    quality = table["quality"].to_numpy()
    assert (quality & bit.value != 0).sum() == 1
    (row,) = summary.files
    assert bit is Quality.UNCERTAINTY or "1 rows" in row["notes"]


@pytest.mark.parametrize(
    ("variable", "role"),
    [
        ("xco2_uncertainty", " (uncertainty)"),
        ("xco2_quality_flag", ""),
        ("time", " (time)"),
        ("sounding_id", " (identity)"),
        ("Sounding/operation_mode", ""),
    ],
)
def test_one_number_for_all_soundings_is_a_lost_dimension(tmp_path, variable, role):
    def lost(variables, _attributes):
        values, own = variables[variable]
        variables[variable] = (np.asarray(values)[:1], own)

    (bad,) = ingest([granule(tmp_path / "in", change=lost)], tmp_path / "store").bad
    assert f"{variable}{role} is one number for all 40 soundings" in bad["status"]
