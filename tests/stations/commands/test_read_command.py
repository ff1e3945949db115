"""`obsnet station read` as a newcomer meets it."""

from __future__ import annotations

import json

from obsnet.store import ObservationStore
from tests.stations.dialects import gcwerks_crds, noaa_text, simple


def test_waliguan_as_json(station, sample_data):
    code, out, err = station(
        "read", sample_data / "stations/noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt", "--json"
    )
    found = json.loads(out)
    assert code == 0
    assert (found["rows"], found["header_lines"]) == (3397, 158)
    assert found["flags"] == {"...": 2676, "C..": 572, ".S.": 145, "M..": 4}
    assert (found["first_time"], found["last_time"]) == ("1990-08-05T08:57:00Z", "2022-12-28T00:15:00Z")
    assert (found["unit"], found["scale"], found["interval"]) == ("ppm", "WMO CO2 X2019", "instant")
    assert "4 fill values of value" in err


def test_for_people(station, tmp_path):
    (tmp_path / "sdz.picarro.hourly.10m.dat").write_text(gcwerks_crds(simple(5)))
    code, out, _ = station("read", tmp_path / "sdz.picarro.hourly.10m.dat")
    assert code == 0
    assert "species   CO2 in ppm, scale unknown; the file also holds CH4" in out
    assert "stamps name the start of the interval, 3600 s" in out
    assert "site      SDZ" in out


def test_options(station, tmp_path):
    path = tmp_path / "sdz.picarro.hourly.10m.dat"
    path.write_text(gcwerks_crds(simple(5)))
    _, out, _ = station("read", path, "--species", "CH4", "--stamp", "end", "--scale", "WMO X2004A", "--json")
    found = json.loads(out)
    assert (found["species"], found["interval"], found["scale"]) == ("CH4", "end", "WMO CH4 X2004A")
    assert found["first_time"] == "2019-12-31T23:30:00Z"


def test_one_bad_file_is_a_mistake_and_one_of_several_is_counted(station, tmp_path):
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text(noaa_text(simple()))
    bad.write_text("hello")
    code, _, err = station("read", bad)
    assert code == 2
    assert "no reader knows this format (it begins 'hello')" in err
    code, out, err = station("read", good, bad, "--json")
    found = json.loads(out)
    assert code == 1
    assert (len(found["files"]), found["failed"]) == (1, 1)
    assert err.strip().endswith("1 of 2 files could not be read")


def test_into_a_store(station, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(noaa_text(simple(6)))
    code, out, _ = station("read", path, "--out", tmp_path / "store")
    assert code == 0
    assert f"{tmp_path / 'store'}: 6 rows of 1 file, 0 unchanged since the last time" in out
    _, out, _ = station("read", path, "--out", tmp_path / "store", "--json")
    assert json.loads(out)["store"]["skipped"] == 1
    assert len(ObservationStore(tmp_path / "store").read("CO2")) == 6


def test_formats_are_listed_in_the_help(station):
    code, out, _ = station("read", "--help")
    assert code == 0
    assert "--config" in out
    assert "--stamp" in out


def test_a_folder_of_files_is_each_of_them_and_a_folder_of_logs_one_record(station, tmp_path):
    from tests.stations.dialects import picarro

    mixed, logs = tmp_path / "mixed", tmp_path / "logs"
    mixed.mkdir()
    logs.mkdir()
    for name in ("a.txt", "b.txt"):
        (mixed / name).write_text(noaa_text(simple()))
    for hour in range(3):
        text = picarro([1.5e9 + 3600 * hour, 1.5e9 + 3600 * hour + 2], [400.0 + hour, 401.0 + hour])
        (logs / f"{hour}-DataLog_User.dat").write_text(text, newline="")
    _, out, _ = station("read", mixed, "--json", "--out", tmp_path / "store")
    found = json.loads(out)
    assert [f["rows"] for f in found["files"]] == [4, 4]
    assert found["store"]["rows"] == 8
    code, out, err = station("read", logs, "--json", "--site", "WLG", "--out", tmp_path / "of logs")
    assert not code, err
    found = json.loads(out)
    assert (found["rows"], found["files"]) == (6, 3)
    assert found["store"]["species"] == {"CH4": 6, "CO2": 6}


def test_what_cannot_be_stored_is_told_and_counted(station, tmp_path):
    from tests.stations.dialects import gcwerks_c

    (tmp_path / "x.C").write_text(gcwerks_c(simple(), gases=("CFC-11",)))
    code, out, err = station("read", tmp_path / "x.C", "--out", tmp_path / "store")
    assert code == 1
    assert "CFC-11 in ppt" in out
    assert "CFC-11: no species of the observation contract" in err
    assert err.strip().endswith("1 file could not be stored")


def test_a_store_keeps_to_one_scale_unless_told_otherwise(station, tmp_path):
    for name, scale in (("a.txt", "CO2_X2007"), ("b.txt", "CO2_X2019")):
        (tmp_path / name).write_text(noaa_text(simple(5, scale=scale)))
    files = (tmp_path / "a.txt", tmp_path / "b.txt", "--out", tmp_path / "store")
    code, _, err = station("read", *files)
    assert code == 2
    assert "CO2 is on 'WMO CO2 X2007' in" in err
    assert "allow it with mixed_scales = true (--mixed-scales)" in err
    code, out, _ = station("read", *files, "--mixed-scales")
    assert code == 0
    assert "10 rows" in out or "5 rows" in out  # what the stopped run had written is not done again
    assert len(ObservationStore(tmp_path / "store").read("CO2")) == 10
