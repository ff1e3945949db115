"""Files of one record that share hours: each counts once, whatever the order of reading."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from obsnet.pipeline import read_case, run_case
from obsnet.schema import Quality
from obsnet.store import ObservationStore
from stations.store.ingest import ingest
from stations.store.options import CompactTable, Delivery
from stations.store.whole import compact_store

HOURS = np.datetime64("2020-01-30T00") + np.arange(96) * np.timedelta64(1, "h")
TABLE = """
[site]
code = "LAN"
latitude = 30.30
longitude = 119.73
altitude_m = 138.0
intake_height_m = 80.0
[time]
columns = ["time"]
zone = "UTC"
stamp = "start"
interval = "1h"
[[series]]
species = "CO2"
unit = "ppm"
scale = "WMO CO2 X2019"
value = "co2"
flag = "flag"
[flags]
good = ["0"]
rejected = ["1"]
"""


def write(path, first, last, *, more=0.0, bad=(), again=()):
    """Write hours of one record; `bad` are rejected, `again` stand twice, the first time rejected."""
    rows = []
    for i in range(first, last):
        rows += [f"{HOURS[i]},{380 + i:.2f},1900,1\n"] * (i in again)
        rows.append(f"{HOURS[i]},{400 + i + more:.2f},1900,{int(i in bad)}\n")
    path.write_text("time,co2,ch4,flag\n" + "".join(rows))
    return path


@pytest.fixture
def files(tmp_path):
    (tmp_path / "mine.toml").write_text(TABLE)
    (tmp_path / "in").mkdir()
    return (
        write(tmp_path / "in/a.csv", 0, 60, again=(45,)),
        write(tmp_path / "in/b.csv", 40, 90, more=0.5, bad=(50,)),
        write(tmp_path / "in/c.csv", 55, 96),
    )


def read(files, tmp_path, store="store"):
    return ingest(files, ObservationStore(tmp_path / store), options=Delivery(config=tmp_path / "mine.toml"))


def counting(tmp_path, store="store"):
    """Return (hour, value) of the rows that count, and the store's rows."""
    table = ObservationStore(tmp_path / store).read("CO2")
    hour = ((table["time"].to_numpy() - HOURS[0].astype("datetime64[us]")) / np.timedelta64(1, "h")).astype(
        int
    )
    good = table["quality"].to_numpy() == 0
    return dict(zip(hour[good], table["value"].to_numpy()[good], strict=True)), table, int(good.sum())


RIGHT = {i: 400 + i + 0.5 * (40 <= i < 55 and i != 50) for i in range(96)}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_each_hour_counts_once_in_the_file_that_ends_later(files, tmp_path, order):
    """Hour 50 is rejected in the later file, so the earlier one's counts; hour 45 stands twice in one file."""
    for k in order:
        found = read([files[k]], tmp_path)
    values, table, good = counting(tmp_path)
    assert values == RIGHT
    assert good == len(RIGHT)
    assert len(table) == 61 + 50 + 41  # nothing is dropped
    here = table.filter(table["quality"].to_numpy() & Quality.ELSEWHERE.value == 0)
    assert len(set(here["obs_id"].to_pylist())) == len(here)
    index = {r["path"][-5:]: r for r in ObservationStore(tmp_path / "store").index.read().to_pylist()}
    assert {n: r["good"] for n, r in index.items()} == {"a.csv": 41, "b.csv": 14, "c.csv": 41}
    assert found["elsewhere"].keys() == {r["path"] for n, r in index.items() if n != "c.csv"}
    assert index["a.csv"]["notes"].endswith(
        "19 rows are in a file that ends later too and count there (flagged 'elsewhere'): 14 of them differ, "
        "by up to 0.5 ppm"
    )


def test_all_at_once_and_once_more(files, tmp_path):
    assert read(files, tmp_path)["good"] == 96
    assert counting(tmp_path)[0] == RIGHT
    again = read(files, tmp_path)
    assert (again["skipped"], again["good"]) == (3, 0)
    assert counting(tmp_path)[0] == RIGHT


def test_rows_count_again_when_the_other_file_has_them_no_more(files, tmp_path):
    read(files, tmp_path)
    write(files[1], 70, 90, more=0.5)
    write(files[2], 95, 96)
    read(files, tmp_path)
    values, _, good = counting(tmp_path)
    assert values == {i: 400 + i + 0.5 * (70 <= i < 90) for i in (*range(60), *range(70, 90), 95)}
    assert good == len(values)
    table = ObservationStore(tmp_path / "store").index.read().to_pylist()
    assert not any("ends later" in (r["notes"] or "") for r in table)


def made_of(tmp_path, name, interval, times, value, change=("", "")):
    """Write a record of rows of some length."""
    (tmp_path / "mine.toml").write_text(TABLE.replace("1h", interval).replace(*change, 1))
    rows = "".join(f"{t},{v:.9f},0\n" for t, v in zip(times, np.broadcast_to(value, len(times)), strict=True))
    (tmp_path / name).write_text("time,co2,flag\n" + rows)
    return read([tmp_path / name], tmp_path)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_hours_half_hours_and_stamps_a_second_off_are_one_air(tmp_path, order):
    """Hours 0 to 40 in one file, half hours 30 to 60 in a second, hours 50 to 80 a second late in a third."""
    half, whole = np.timedelta64(30, "m"), np.timedelta64(60, "m")
    files = [("1h", whole, 0, 40, 0), ("30min", half, 30, 60, 0), ("1h", whole, 50, 80, 1)]
    for k in order:
        interval, step, first, last, late = files[k]
        times = np.arange(HOURS[0] + first * whole, HOURS[0] + last * whole, step) + np.timedelta64(late, "s")
        made_of(tmp_path, f"{k}.csv", interval, times, 400 + k)
    good = ObservationStore(tmp_path / "store").read("CO2", good_only=True)
    # the hour that begins a second before the last half hour ends is its own air
    assert np.bincount(good["value"].to_numpy().astype(int) - 400).tolist() == [30, 60, 20]
    lasts = (good["time_end"].to_numpy() - good["time_start"].to_numpy()) / whole
    assert lasts.sum() == pytest.approx(80.0)  # every hour once


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_of_hours_days_and_months_the_finest_count(tmp_path, order):
    """Hours from 20 January on with two days missing, days from 10 January on, months, which end last."""
    start, hour = np.datetime64("2020-01-01T00"), np.timedelta64(1, "h")
    hours = start + np.arange(19 * 24, 80 * 24) * hour
    hours = hours[(hours < start + 40 * 24 * hour) | (hours >= start + 42 * 24 * hour)]
    days = start + np.arange(9, 85) * np.timedelta64(24, "h")
    months = np.arange("2020-01", "2020-05", dtype="datetime64[M]")
    truth = lambda t, length: 400 + ((t - start) / hour + length / 2) / 100  # noqa: E731
    no_intake = ("intake_height_m = 80.0\n", "")
    files = [
        ("hours.csv", "1h", hours, truth(hours, 1)),
        ("days.csv", "1d", days, truth(days, 24) + 0.25),
        ("months.csv", "month", months.astype("datetime64[D]"), 400.0, no_intake),
    ]
    for k in order:
        found = made_of(tmp_path, *files[k])
    good = (
        ObservationStore(tmp_path / "store").read("CO2", good_only=True).to_pandas().sort_values("time_start")
    )
    lasts = ((good["time_end"] - good["time_start"]) / np.timedelta64(1, "h")).to_numpy()
    assert np.bincount(lasts.astype(int))[[1, 24, 720]].tolist() == [len(hours), 10 + 2 + 5, 1]
    assert (good["time_start"].to_numpy()[1:] >= good["time_end"].to_numpy()[:-1]).all()  # nothing twice
    said = {p.rpartition("/")[2]: text for p, text in found["elsewhere"].items()}
    assert said.keys() == {"days.csv", "months.csv"}
    assert "59 rows are means over time of which a finer file has rows" in said["days.csv"]
    assert said["days.csv"].endswith("they differ from the mean of those by up to 0.25 ppm")
    assert "3 rows are means" in said["months.csv"]  # April alone counts


def test_a_mean_lost_to_an_hour_is_counted(tmp_path):
    """One good hour takes a month's place: the hours are the record, and that they fill little of it is said."""
    hours = np.arange("2020-01-31T23", "2020-02-28", dtype="datetime64[h]")
    months = np.array(["2020-01-01", "2020-02-01"], "datetime64[D]")
    made_of(tmp_path, "hours.csv", "1h", hours, 400.0)
    (said,) = made_of(tmp_path, "months.csv", "month", months, 401.0)["elsewhere"].values()
    assert said.endswith("by up to 1 ppm, and 1 of them have such for less than half of their time")


def test_flasks_filled_over_a_time_are_no_part_of_an_analysers_means(tmp_path):
    """Two hours of flask in a day of means; the same flasks in a second file count once."""
    made_of(tmp_path, "days.csv", "1d", HOURS[::24], 400.0)
    flasks = TABLE.replace("1h", "30min").replace('flag = "flag"', 'flag = "flag"\nsample_id = "flask"')
    (tmp_path / "mine.toml").write_text(flasks)
    for name, last in (("f.csv", 2), ("g.csv", 3)):
        rows = "".join(f"{HOURS[10 + i]},{410 + i},0,F{i}/10m\n" for i in range(last))
        (tmp_path / name).write_text("time,co2,flag,flask\n" + rows)
        read([tmp_path / name], tmp_path)
    good = ObservationStore(tmp_path / "store").read("CO2", good_only=True)
    assert sorted(good["value"].to_pylist()) == [400.0] * 4 + [410.0, 411.0, 412.0]


def test_every_species_of_a_file_is_settled(files, tmp_path):
    more = TABLE.replace(
        "[flags]",
        '[[series]]\nspecies = "CH4"\nunit = "ppb"\nscale = "WMO CH4 X2004A"\nvalue = "ch4"\nflag = "flag"\n[flags]',
    )
    (tmp_path / "mine.toml").write_text(more)
    read(files, tmp_path)
    for species in ("CO2", "CH4"):
        table = ObservationStore(tmp_path / "store").read(species, good_only=True)
        assert len(table) == len(set(table["time"].to_pylist())) == 96


def test_parts_of_whole_years_are_settled_too(files, tmp_path):
    read(files[:2], tmp_path)
    compact_store(CompactTable(store=tmp_path / "store"))
    read(files[2:], tmp_path)
    assert counting(tmp_path)[0] == RIGHT


def test_other_records_are_left_alone(files, tmp_path):
    """Another site, another intake, another time."""
    for name, change in (("a", ("30.30", "31.30")), ("b", ("80.0", "10.0"))):
        (tmp_path / "other.toml").write_text(TABLE.replace(*change))
        store = ObservationStore(tmp_path / f"store_{name}")
        ingest([files[0]], store, options=Delivery(config=tmp_path / "mine.toml"))
        ingest([files[1]], store, options=Delivery(config=tmp_path / "other.toml"))
        assert counting(tmp_path, f"store_{name}")[2] == 60 + 49


def test_a_file_that_the_case_names_no_more_has_no_say(files, tmp_path):
    def run(names):
        table = {"files": names, "config": "mine.toml"}
        return run_case(*read_case({"run": {"name": "x"}, "stations": table}, tmp_path / "case.toml"))

    run(["in/a.csv", "in/b.csv"])
    assert counting(tmp_path, "run/store")[2] == 90
    run(["in/a.csv"])
    values, table, _ = counting(tmp_path, "run/store")
    assert values == {i: 400.0 + i for i in range(60)}
    assert not (table["quality"].to_numpy() & Quality.ELSEWHERE.value).any()
