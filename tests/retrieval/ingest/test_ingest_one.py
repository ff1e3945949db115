"""One granule of several species, averaged at once, read again under another name, on the dateline."""

import json
import pickle

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.cli import main
from obsnet.errors import ConfigError
from obsnet.pipeline import Case, RunOptions
from obsnet.store import ObservationStore
from retrieval.commands.ingest_stage import STAGE
from retrieval.ingest.one import _arc
from retrieval.ingest.options import IngestOptions, IngestTable
from retrieval.ingest.run import ingest
from retrieval.superobs.options import Selection, Superobs
from retrieval.superobs.store import combine_store
from tests.retrieval import synthetic
from tests.retrieval.granules import granule, week

BAKER = Superobs(errors="baker2022_co2")
WFMD = "ESACCI-GHG-L2-CH4_CO-TROPOMI-WFMD-20171110-fv2.nc"


def rows_of(store):
    return {r["species"]: r for r in ObservationStore(store).index.read().to_pylist()}


# -- several species of one file ------------------------------------------------------------------------


@pytest.fixture
def both(tmp_path):
    """A store with CH4 and CO of one file."""
    path = synthetic.write(tmp_path / WFMD, *synthetic.wfmd())
    for species in (None, "CO"):
        assert not ingest([path], tmp_path / "store", IngestOptions(species=species)).bad
    return path, tmp_path / "store"


def test_each_species_of_a_file_has_its_row_and_is_resumed(both):
    path, store = both
    rows = rows_of(store)
    assert set(rows) == {"CH4", "CO"}
    assert [rows[s]["unit"] for s in ("CH4", "CO")] == ["1e-9", "1e-9"]
    assert rows["CH4"]["path"] == rows["CO"]["path"] == str(path)
    for species in (None, "CO"):
        assert ingest([path], store, IngestOptions(species=species)).skipped == 1
    assert rows_of(store) == rows


def test_reading_one_species_otherwise_leaves_the_other_alone(both):
    path, store = both
    before = rows_of(store)
    assert ingest([path], store, IngestOptions(species="CO", profiles="good")).skipped == 0
    after = rows_of(store)
    assert after["CH4"] == before["CH4"]
    assert after["CO"]["options"] != before["CO"]["options"]
    # neither is a duplicate of the other, though both have the same soundings
    for species in ("CH4", "CO"):
        assert not (ObservationStore(store).read(species)["quality"].to_numpy() & (1 << 17)).any()


def test_a_broken_file_is_bad_for_the_species_that_was_asked(both):
    path, store = both
    path.write_bytes(b"")
    (row,) = ingest([path], store, IngestOptions(species="CO")).files
    assert (row["species"], row["status"]) == ("CO", "bad: empty file (0 bytes)")
    assert {s: r["status"][:4] for s, r in rows_of(store).items()} == {"CH4": "done", "CO": "bad:"}
    assert len(ObservationStore(store).read("CO")) == 30


def test_a_file_read_for_one_species_only_after_it_broke(tmp_path):
    path = synthetic.write(tmp_path / WFMD, *synthetic.wfmd())
    content = path.read_bytes()
    ingest([path], tmp_path / "s", IngestOptions(species="CO"))
    path.write_bytes(content[:500])
    assert len(ingest([path], tmp_path / "s").bad) == 1  # of CH4, of which nothing is known
    assert set(rows_of(tmp_path / "s")) == {None, "CO"}
    path.write_bytes(content)
    assert not ingest([path], tmp_path / "s").bad
    assert set(rows_of(tmp_path / "s")) == {"CH4", "CO"}


def test_a_file_that_has_nothing_left_takes_its_rows_with_it(tmp_path):
    variables, attributes, _ = synthetic.s5p()
    path = synthetic.write(tmp_path / "orbit.nc", variables, attributes)
    ingest([path], tmp_path / "s")
    assert len(ObservationStore(tmp_path / "s").read("CH4")) > 0
    values, own = variables["PRODUCT/methane_mixing_ratio_bias_corrected"]
    fill = np.full_like(values, own["_FillValue"])
    variables["PRODUCT/methane_mixing_ratio_bias_corrected"] = (fill, own)
    synthetic.write(path, variables, attributes)
    (row,) = ingest([path], tmp_path / "s").files
    assert (row["status"], row["soundings"]) == ("done", 0)
    assert not list((tmp_path / "s").glob("species=*/**/*.parquet"))


# -- averaged at once -----------------------------------------------------------------------------------


def without_names(table):
    columns = [c for c in table.column_names if c not in ("obs_id", "file_id")]
    return table.select(columns)


def test_averaging_at_once_gives_what_the_two_steps_give(tmp_path):
    files = week(tmp_path / "in")
    ingest(files, tmp_path / "once", IngestOptions(superobs=BAKER))
    ingest(files, tmp_path / "soundings")
    combine_store(tmp_path / "soundings", tmp_path / "two", Selection(species="CO2"), BAKER)
    once, two = (ObservationStore(tmp_path / n).read("CO2") for n in ("once", "two"))
    assert without_names(once).equals(without_names(two))
    assert [i.partition("#")[0] for i in once["obs_id"].to_pylist()] == two["obs_id"].to_pylist()
    assert set(once["source"].to_pylist()) == {"oco2_lite_v9_superobs"}


def test_options_travel_to_workers():
    options = IngestOptions(superobs=Superobs(method="area", errors="baker2022_co2", grid="18,54,73,135,1"))
    again = pickle.loads(pickle.dumps(options))
    assert again == options
    assert again.fingerprint("oco2_lite") == options.fingerprint("oco2_lite")
    assert options.fingerprint("oco2_lite") != IngestOptions(superobs=BAKER).fingerprint("oco2_lite")


def test_averaging_at_once_says_what_it_did(tmp_path):
    (path,) = week(tmp_path / "in", 1)
    (row,) = ingest([path], tmp_path / "s", IngestOptions(superobs=BAKER)).files
    table = ObservationStore(tmp_path / "s").read("CO2")
    assert row["soundings"] == 40
    assert row["notes"].startswith(f"{len(table)} super-observations, sigma^2 = (sum w s^2) sum_kl")
    assert row["notes"].endswith(f"; left out: {40 - row['good']} flagged")
    assert row["version"] == "v9_superobs"
    report = pq.ParquetFile(tmp_path / "s" / "_superobs" / f"{row['file_id']}.parquet").read()
    assert sorted(report["obs_id"].to_pylist()) == sorted(table["obs_id"].to_pylist())
    (settings,) = (tmp_path / "s" / "_superobs").glob("settings-*.json")
    assert json.loads(settings.read_text())["settings"]["errors"]["correlation"] == "exponential"


def test_averaging_at_once_is_resumed_and_replaced(tmp_path):
    files = week(tmp_path / "in")
    store = tmp_path / "s"
    ingest(files[:2], store, IngestOptions(superobs=BAKER))
    assert ingest(files, store, IngestOptions(superobs=BAKER)).skipped == 2
    total = np.sum(ObservationStore(store).read("CO2")["n"].to_numpy())
    wider = Superobs(window_s=60, errors="correlated")
    assert ingest(files, store, IngestOptions(superobs=wider)).skipped == 0
    table = ObservationStore(store).read("CO2")
    assert np.sum(table["n"].to_numpy()) == total
    assert all(":60s:" in i for i in table["obs_id"].to_pylist())


def test_soundings_and_their_averages_are_not_mixed(tmp_path):
    files = week(tmp_path / "in", 2)
    ingest(files[:1], tmp_path / "s")
    with pytest.raises(ConfigError, match=r"oco2_lite_v9 \(1 file.*oco2_lite_v9_superobs \(1 file"):
        ingest(files[1:], tmp_path / "s", IngestOptions(superobs=BAKER))
    with pytest.raises(ValueError, match="super-observations keep none"):
        IngestOptions(superobs=BAKER, extra=("raw",))


def test_a_day_produced_twice_is_averaged_once(tmp_path):
    """In one run and in a later one: soundings of the older file never count beside those of the newer."""
    old = granule(tmp_path / "in", made="180929105747")
    new = granule(tmp_path / "in", made="190101000000", change=lambda v, a: a.update(history="again"))
    options = IngestOptions(superobs=BAKER)
    rows = {row["path"]: row["status"] for row in ingest([old, new], tmp_path / "a", options).files}
    assert rows[str(new)] == "done"
    assert rows[str(old)].startswith("copy: all 40 soundings are also in")
    ingest([old], tmp_path / "b", options)
    assert ingest([new], tmp_path / "b", options).copies  # what the store has wins
    one, two = (ObservationStore(tmp_path / n).read("CO2") for n in "ab")
    assert without_names(one).equals(without_names(two))


def test_a_granule_without_a_good_sounding_makes_none(tmp_path):
    path = granule(tmp_path / "in", change=lambda v, a: v["xco2_quality_flag"][0].fill(1))
    (row,) = ingest([path], tmp_path / "s", IngestOptions(superobs=BAKER)).files
    assert (row["status"], row["good"]) == ("done", 0)
    assert "0 super-observations" in row["notes"]
    assert ObservationStore(tmp_path / "s").species() == []


def command(capsys, *arguments):
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(["ingest", *map(str, arguments)])
    return stop.value.code or 0, *capsys.readouterr()


def test_command_reads_the_options_from_a_table(tmp_path, capsys):
    week(tmp_path / "in", 1)
    options = tmp_path / "averaging.toml"
    options.write_text('errors = "baker2022_co2"\nfloor = 0.3\n')
    arguments = (tmp_path / "in", "--out", tmp_path / "s", "--superobs", options)
    code, out, _ = command(capsys, *arguments)
    assert code == 0
    assert "super-observations" in out
    assert ObservationStore(tmp_path / "s").read("CO2")["uncertainty"].to_numpy().min() >= 0.3
    options.write_text('erors = "baker2022_co2"\nfloor = -1\n')
    code, _, err = command(capsys, *arguments)
    assert code == 2
    assert "unknown key 'erors'; nearest: 'errors'" in err
    assert "floor = -1" in err


def test_stage_averages_at_once(tmp_path):
    week(tmp_path / "granules", 1)
    case = Case(tmp_path, tmp_path / "run", RunOptions(name="t", scheduler="serial"))
    options = IngestTable(files=["granules"], superobs={"errors": "correlated", "window": 60})
    assert STAGE.run(options, case).failed == 0
    assert ObservationStore(tmp_path / "run" / "store").sources("CO2") == ["oco2_lite_v9_superobs"]


# -- bounding box ---------------------------------------------------------------------------------------


def arc_by_sorting(longitude):
    """What `_arc` should say, the slow way."""
    x = np.unique(longitude)
    gaps = np.diff(x)
    k = int(np.argmax(gaps)) if len(gaps) else 0
    over = len(gaps) > 0 and gaps[k] > 90 and gaps[k] > x[0] + 360 - x[-1]
    return (x[k + 1], x[k]) if over else (x[0], x[-1])


@given(
    st.lists(st.floats(-180, 180, exclude_max=True, width=32), min_size=1, max_size=6),
    st.sampled_from([1.0, 0.01]),
    st.floats(-180, 180),
)
def test_arc_holds_every_longitude_and_is_the_short_way_round(drawn, spread, centre):
    longitude = (np.array(drawn) * spread + centre + 180.0) % 360.0 - 180.0
    west, east = _arc(longitude)
    inside = (longitude >= west) & (longitude <= east)
    if west > east:
        inside = (longitude >= west) | (longitude <= east)
    assert inside.all()
    assert {west, east} <= set(longitude.tolist())
    slow = arc_by_sorting(longitude)
    # whole degrees may choose another of two gaps that are equal to within two degrees
    assert abs((east - west) % 360 - (slow[1] - slow[0]) % 360) < 2.0 or (west > east) != (slow[0] > slow[1])
