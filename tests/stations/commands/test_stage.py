"""The pipeline stage [stations]."""

from __future__ import annotations

import pytest

from obsnet.errors import ConfigError
from obsnet.pipeline import load_stages, read_case, run_case
from obsnet.store import ObservationStore
from tests.stations.dialects import noaa_text, simple


@pytest.fixture
def case(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for site in ("WLG", "SDZ"):
        (folder / f"co2_{site.lower()}.txt").write_text(noaa_text(simple(4, site=site)))

    def read(**table):
        return read_case(
            {"run": {"name": "x"}, "stations": {"files": ["data/*.txt"], **table}}, tmp_path / "case.toml"
        )

    return read


def test_the_stage_is_declared():
    assert load_stages(["stations"])["stations"].name == "stations"


def test_files_of_a_case_into_its_store_and_done_once(case, tmp_path):
    found = run_case(*case())
    assert found["stations"]["rows"] == 8
    assert not found["stations"]["skipped"]
    store = ObservationStore(tmp_path / "run/store")
    assert sorted(set(store.read("CO2")["platform"].to_pylist())) == ["SDZ", "WLG"]
    assert run_case(*case())["stations"]["skipped"]


def test_a_bad_file_is_counted_and_tried_again(case, tmp_path):
    bad = tmp_path / "data/co2_bad.txt"
    bad.write_text("not a record")
    assert run_case(*case())["stations"]["failed"] == 1
    bad.write_text(noaa_text(simple(2, site="LAN")))
    again = run_case(*case())["stations"]
    assert (again["failed"], again["rows"], again["files"]) == (0, 2, 3)


def test_options_reach_the_readers_and_mistakes_are_told(case):
    with pytest.raises(ConfigError, match="unknown key 'file'"):
        case(file="x")
    with pytest.raises(ConfigError, match="stamp = 'begin'"):
        case(stamp="begin")
    with pytest.raises(ConfigError, match="no file matches 'none"):
        run_case(*case(files=["none*.txt"]))


def test_a_described_table_of_a_case(case, tmp_path):
    (tmp_path / "data/mine.csv").write_text("time,co2\n2020-01-01T00:00Z,400.0\n2020-01-01T01:00Z,401.0\n")
    (tmp_path / "mine.toml").write_text("""
[site]
code = "LAN"
latitude = 30.30
longitude = 119.73
altitude_m = 138.0
intake_height_m = 10.0
[time]
columns = ["time"]
stamp = "start"
interval = "1h"
[[series]]
species = "CO2"
unit = "ppm"
scale = "X2019"
value = "co2"
uncertainty = "co2"
""")
    found = run_case(*case(files=["data/mine.csv"], config="mine.toml"))["stations"]
    assert (found["rows"], found["failed"]) == (2, 0)
