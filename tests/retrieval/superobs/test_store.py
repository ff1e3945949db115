"""From store to store: resumable, replaced on other settings, cut into shards, and the command itself."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.compute as pc
import pytest
import typer
from pydantic import ValidationError
from typer.testing import CliRunner

from obsnet.errors import ConfigError, FormatError
from obsnet.grid import Grid
from obsnet.pipeline import Case, RunOptions
from obsnet.store import ObservationStore, read_part
from obsnet.work.work import Work
from retrieval.commands.superobs import superobs
from retrieval.commands.superobs_stage import STAGE
from retrieval.superobs.options import Selection, Superobs, SuperobsTable
from retrieval.superobs.store import combine_store
from tests.retrieval.soundings import make_table

DAY = np.timedelta64(1, "D")
CO2 = Selection(species="CO2")


@pytest.fixture
def store(tmp_path):
    """Three days over a month's end, one source; one day of another."""
    made = ObservationStore(tmp_path / "soundings")
    first = np.datetime64("2020-05-30T05:00", "us")
    for day in range(3):
        made.write(make_table(80, seed=day, start=first + day * DAY))
    made.write(make_table(30, seed=9, source="other_lite", corners=False))
    return made


def run(*args):
    app = typer.Typer()
    app.command()(superobs.function())
    return CliRunner().invoke(app, [str(a) for a in args])


def test_every_sounding_is_used_once(store, tmp_path):
    summary = combine_store(store.path, tmp_path / "out", CO2, Superobs())
    assert summary.bad == []
    totals = summary.by_source()
    assert {k: (v["days"], v["good"]) for k, v in totals.items()} == {
        "test_lite": (3, 240),
        "other_lite": (1, 30),
    }
    table = ObservationStore(tmp_path / "out").read("CO2")
    assert pc.sum(table["n"]).as_py() == 270
    assert len(set(table["obs_id"].to_pylist())) == len(table)
    assert sorted(pc.unique(table["source"]).to_pylist()) == ["other_lite_superobs", "test_lite_superobs"]
    assert totals["test_lite"]["value"] == pytest.approx(410, abs=0.3)


def test_second_run_has_nothing_to_do_and_says_the_same(store, tmp_path):
    first = combine_store(store.path, tmp_path / "out", CO2, Superobs())
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("species=*/**/*.parquet")}
    second = combine_store(store.path, tmp_path / "out", CO2, Superobs())
    assert all(d["skipped"] for d in second.days)
    assert first.by_source() == second.by_source()
    assert {p: p.stat().st_mtime_ns for p in files} == files


def test_other_settings_replace_what_was_there(store, tmp_path):
    combine_store(store.path, tmp_path / "out", CO2, Superobs())
    combine_store(store.path, tmp_path / "out", CO2, Superobs(window_s=60, errors="correlated"))
    table = ObservationStore(tmp_path / "out").read("CO2")
    assert pc.sum(table["n"]).as_py() == 270
    assert len(pc.unique(table["file_id"])) == 4


def test_new_soundings_make_their_day_again(store, tmp_path):
    combine_store(store.path, tmp_path / "out", CO2, Superobs())
    store.write(make_table(50, seed=77, start=np.datetime64("2020-05-30T07:00", "us")))
    summary = combine_store(store.path, tmp_path / "out", CO2, Superobs())
    assert sum(not d["skipped"] for d in summary.days) == 1
    assert pc.sum(ObservationStore(tmp_path / "out").read("CO2")["n"]).as_py() == 320


def test_shards_and_workers_make_the_same(store, tmp_path):
    whole, shards, processes = (tmp_path / n for n in ("whole", "shards", "processes"))
    combine_store(store.path, whole, CO2, Superobs())
    for k in range(3):
        combine_store(store.path, shards, CO2, Superobs(), work=Work(shard=f"{k + 1}/3"))
    expected = ObservationStore(whole).read("CO2")
    assert ObservationStore(shards).read("CO2").equals(expected)
    assert len(ObservationStore(shards).index.read()) == 4
    combine_store(
        store.path,
        processes,
        Selection(species="CO2", sources=["other_lite"]),
        Superobs(),
        work=Work(scheduler="processes", workers=2),
    )
    assert len(ObservationStore(processes).read("CO2")) > 0


def test_one_store_for_both_is_not_combined_again(store):
    combine_store(store.path, store.path, CO2, Superobs())
    again = combine_store(store.path, store.path, CO2, Superobs())
    assert set(again.by_source()) == {"test_lite", "other_lite"}
    assert all(d["skipped"] for d in again.days)


def test_selection(store, tmp_path):
    part = Selection(
        species="CO2", sources=["test_lite"], start="2020-05-31", stop="2020-06-01", box=(31, 33, 100, 120)
    )
    summary = combine_store(store.path, tmp_path / "out", part, Superobs())
    assert [d["day"] for d in summary.days] == ["2020-05-31"]
    assert 0 < summary.days[0]["soundings"] < 80


def test_a_file_over_midnight_is_cut_there(tmp_path):
    """A window never reaches over midnight, and each day takes its rows from every file that has some."""
    store = ObservationStore(tmp_path / "s")
    store.write(make_table(200, seed=1, seconds=60, start=np.datetime64("2020-12-31T23:59:35", "us")))
    store.write(make_table(100, seed=2, seconds=30, start=np.datetime64("2021-01-01T03:00", "us")))
    summary = combine_store(store.path, tmp_path / "o", CO2, Superobs())
    assert [d["day"] for d in summary.days] == ["2020-12-31", "2021-01-01"]
    assert sum(d["good"] for d in summary.days) == 300
    table = ObservationStore(tmp_path / "o").read("CO2")
    assert pc.sum(table["n"]).as_py() == 300
    midnight = np.datetime64("2021-01-01", "us")
    starts, ends = (table[c].to_numpy() for c in ("time_start", "time_end"))
    assert ((starts >= midnight) == (ends >= midnight)).all()


def test_a_box_over_the_dateline(tmp_path):
    store = ObservationStore(tmp_path / "s")
    lon = np.where(np.arange(80) % 2, 179.5, -179.5)
    store.write(make_table(80, longitude=lon, corners=False, seconds=40))
    box = Selection(species="CO2", box=(29, 36, 179, -179))
    assert combine_store(store.path, tmp_path / "a", box, Superobs()).days[0]["soundings"] == 80
    west = Selection(species="CO2", box=(29, 36, 179, 180))
    assert combine_store(store.path, tmp_path / "b", west, Superobs()).days[0]["soundings"] == 40


def test_a_damaged_part_of_the_store_is_named(store, tmp_path):
    part = next((store.path / "species=CO2" / "source=test_lite").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:200])
    with pytest.raises(FormatError, match=rf"{part.name}: cannot be read as Parquet"):
        combine_store(store.path, tmp_path / "o", CO2, Superobs())


def test_a_day_that_is_not_selected_is_not_read(store, tmp_path, monkeypatch):
    from retrieval.superobs import store as superobs_store

    read = []
    monkeypatch.setattr(superobs_store, "read_part", lambda *a: read.append(a) or read_part(*a))
    combine_store(store.path, tmp_path / "o", Selection(species="CO2", start="2020-06-01"), Superobs())
    assert len(read) == 2  # the third day, and the other source's
    combine_store(store.path, tmp_path / "o", Selection(species="CO2", start="2020-06-01"), Superobs())
    assert len(read) == 2


def test_a_bad_day_is_told_and_the_rest_goes_on(store, tmp_path):
    grid = Grid.regular(29, 35, 109, 112, 1, 1)
    summary = combine_store(store.path, tmp_path / "out", CO2, Superobs(method="area", grid=grid))
    assert [d["source"] for d in summary.bad] == ["other_lite"]
    assert "no pixel corners" in summary.bad[0]["status"]
    assert summary.by_source()["test_lite"]["superobs"] > 0
    status = ObservationStore(tmp_path / "out").index.read()["status"].to_pylist()
    assert sum(s.startswith("bad: ") for s in status) == 1


def test_how_it_was_made_is_written_beside_it(store, tmp_path):
    combine_store(store.path, tmp_path / "out", CO2, Superobs(errors="baker2022_co2", floor=0.1))
    (path,) = (tmp_path / "out" / "_superobs").glob("settings-*.json")
    content = json.loads(path.read_text())
    assert content["settings"]["errors"]["source"].startswith("Baker et al. 2022")
    assert content["settings"]["errors"]["floor"] == 0.1
    notes = json.loads(ObservationStore(tmp_path / "out").index.read()["notes"][0].as_py())
    assert notes["residual_plume_max"] > 0


def test_refusals(store, tmp_path):
    with pytest.raises(ConfigError, match="does not divide a day"):
        combine_store(store.path, tmp_path / "o", CO2, Superobs(window_s=7, inner_s=7))
    with pytest.raises(ConfigError, match="nearest: 'test_lite'"):
        combine_store(
            store.path, tmp_path / "o", Selection(species="CO2", sources=["test_light"]), Superobs()
        )
    with pytest.raises(FormatError, match="no CH4 here; the store holds CO2"):
        combine_store(store.path, tmp_path / "o", Selection(species="CH4"), Superobs())


def test_command(store, tmp_path):
    out = tmp_path / "out"
    done = run(store.path, "--out", out, "--species", "CO2", "--errors", "baker2022_co2", "--floor", "0.2")
    assert done.exit_code == 0, done.output
    assert "test_lite: 3 days, 240 soundings, 240 good" in done.output
    assert done.output.splitlines()[-1] == "4 days, 0 of them done before"
    again = run(
        store.path, "--out", out, "--species", "CO2", "--errors", "baker2022_co2", "--floor", "0.2", "--json"
    )
    data = json.loads(again.output)
    assert all(d["skipped"] for d in data["days"])
    assert data["sources"]["test_lite"]["uncertainty"] >= 0.2


def test_command_counts_what_failed_in_its_last_line(store, tmp_path):
    done = run(
        store.path,
        "--out",
        tmp_path / "o",
        "--species",
        "CO2",
        "--method",
        "area",
        "--grid",
        "29,35,109,112,1",
    )
    assert done.exit_code == 1
    assert done.output.splitlines()[-1] == "1 of 4 days bad"
    wrong = run(store.path, "--out", tmp_path / "o", "--species", "CO2", "--grid", "29,35,109,112,1")
    assert isinstance(wrong.exception, ConfigError)


def test_stage(store, tmp_path):
    case = Case(tmp_path, tmp_path, RunOptions(name="t", out=".", scheduler="serial"))
    options = SuperobsTable(store="soundings", species="CO2", errors="baker2022_co2", r=None)
    result = STAGE.run(options, case)
    assert result.failed == 0
    assert result.summary["superobs"] == len(ObservationStore(tmp_path / "superobs").read("CO2"))
    assert STAGE.needs == ("ingest",)
    # the index of the store decides whether the stage must run again
    index = list(STAGE.inputs(options, case))
    store.index.write([], "another")
    assert len(list(STAGE.inputs(options, case))) == len(index) + 1
    with pytest.raises(ValidationError, match="method"):
        SuperobsTable(species="CO2", method="cells")


def test_how_errors_combine_is_printed_and_stored(store, tmp_path):
    """Nothing is taken as independent without a word; what was chosen is in the output."""
    said = run(store.path, "--out", tmp_path / "a", "--species", "CO2")
    assert (
        "errors: sigma^2 = sum (w s)^2, ppm, from uncertainty of each sounding; nothing was chosen"
        in said.output
    )
    (settings,) = (tmp_path / "a" / "_superobs").glob("settings-*.json")
    stored = json.loads(settings.read_text())["settings"]["errors"]
    assert stored["source"].startswith("nothing was chosen")
    notes = json.loads(ObservationStore(tmp_path / "a").index.read()["notes"][0].as_py())
    assert notes["errors"] == stored["equation"] == "sigma^2 = sum (w s)^2"
    named = run(store.path, "--out", tmp_path / "b", "--species", "CO2", "--errors", "independent", "--json")
    data = json.loads(named.output)
    assert data["errors"]["source"] == "errors of soundings independent; an assumption, of no source"


def test_an_error_model_of_another_species_is_refused(store, tmp_path):
    with pytest.raises(ConfigError, match=r"error model chen2023_ch4 is in units of CH4: sigma\^2 = 15\^2"):
        combine_store(store.path, tmp_path / "out", CO2, Superobs(errors="chen2023_ch4"))
    assert not (tmp_path / "out").exists()
