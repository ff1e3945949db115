"""Compacting a store: the same rows at every moment, whatever kills it; files read again; few files."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from obsnet.compact import compact
from obsnet.errors import FormatError
from obsnet.holdings import held, is_whole, whole_parts
from obsnet.pipeline import read_case, run_case
from obsnet.store import ObservationStore
from tests.obsnet.observations import table
from tests.stations.dialects import noaa_text, simple

STATIONS = ("a", "b", "c", "d")


def day(k, rows=24):
    return (
        np.datetime64("2019-11-28", "us") + np.arange(rows) * np.timedelta64(1, "D") + np.timedelta64(k, "h")
    )


def fill(folder, stations=STATIONS):
    """Write a store of several files, each from November to January."""
    store = ObservationStore(folder)
    for k, name in enumerate(stations):
        store.write(one(name, k))
    return store


def one(name, k, rows=60):
    made = table(rows=rows, seed=k, time=day(k, rows), file_id=name * 16)
    ids = [f"{name}:{i}" for i in range(rows)]
    return made.set_column(made.schema.get_field_index("obs_id"), "obs_id", [ids])


def rows_of(store):
    return store.read("CO2").to_pylist()


def source_of(store):
    (species,) = store.path.glob("species=*")
    (source,) = species.glob("source=*")
    return source


def do(store, **options):
    return compact(store, "CO2", source_of(store).name.removeprefix("source="), **options)


def test_the_same_rows_in_few_files(tmp_path):
    store = fill(tmp_path)
    before, parts = rows_of(store), len(store.files())
    assert parts == 3 * len(STATIONS)
    found = do(store)
    assert found == {"before": parts, "after": 2, "rows": len(before)}
    assert [p.name for p in store.files()] == ["1of1.parquet"] * 2
    assert rows_of(store) == before
    assert store.read("CO2", start="2020-01-05").to_pylist() == [
        r for r in before if r["time"].year == 2020 and r["time"].day >= 5
    ]
    assert not [p for p in source_of(store).rglob("month=*") if p.name != "month=0"]
    assert do(store) == {"before": 2, "after": 2, "rows": 0}
    assert store.parts("CO2", source_of(store).name.removeprefix("source="))[0].first == np.datetime64(
        "2019-11-28T00"
    )


def test_large_years_are_divided_and_stay_so(tmp_path):
    store = fill(tmp_path, STATIONS[:3])
    do(store, rows=30)
    names = {p.name for p in store.files()}
    assert len({n.partition("of")[2] for n in names if n.endswith("of4.parquet")}) == 1
    store.write(one("e", 9))
    before = rows_of(store)
    do(store)
    assert {p.name.partition("of")[2] for p in (source_of(store) / "year=2019").rglob("*.parquet")} == {
        "4.parquet"
    }
    assert rows_of(store) == before


def killed_at(number, work):
    """Do something in a fork that kills itself at its n-th change of the file system; return whether it lived."""
    child = os.fork()
    if child == 0:
        left = [number]

        def dying(real):
            def step(*args, **kwargs):
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return real(*args, **kwargs)

            return step

        os.replace = dying(os.replace)
        Path.unlink = dying(Path.unlink)
        Path.rmdir = dying(Path.rmdir)
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFEXITED(os.waitpid(child, 0)[1])


def test_killed_at_every_step_nothing_is_lost_or_doubled(tmp_path):
    calm = fill(tmp_path / "calm")
    expected = rows_of(calm)
    number = 0
    while True:
        store = fill(tmp_path / str(number))
        lived = killed_at(number, lambda store=store: do(store, rows=70))
        assert rows_of(store) == expected, number
        assert rows_of(ObservationStore(store.path)) == expected
        do(store, rows=70)
        assert rows_of(store) == expected, number
        assert all(map(is_whole, store.files()))
        assert not list(store.path.rglob(".tmp-*")) or not lived
        if lived:
            break
        number += 1
    assert number > 15


def test_a_file_that_is_written_again_counts_once(tmp_path):
    store = fill(tmp_path)
    do(store)
    store.write(one("b", 5, rows=10))  # fewer rows, other values
    now = rows_of(store)
    assert [r["file_id"][0] for r in now].count("b") == 10
    assert len(now) == 60 * 3 + 10
    do(store)
    assert rows_of(store) == now
    assert sum(held(p).get("b" * 16, 0) for p in store.files()) == 1 + 1


def test_what_a_killed_run_left_does_not_come_back(tmp_path):
    for number in (1, 3, 5):
        store = fill(tmp_path / str(number))
        killed_at(number, lambda store=store: do(store))  # 2019 is whole, its single parts are not all gone
        left = [p for p in (source_of(store) / "year=2019").rglob("*.parquet") if not is_whole(p)]
        assert left
        store.write(one("d", 5, rows=3))
        assert sum(r["file_id"][0] == "d" and r["time"].year == 2019 for r in rows_of(store)) == 3


def test_rewriting_killed_at_every_step_never_doubles(tmp_path):
    for number in range(20):
        store = fill(tmp_path / str(number))
        do(store)
        lived = killed_at(number, lambda store=store: store.write(one("b", 5)))
        ids = [r["obs_id"] for r in rows_of(store)]
        assert len(ids) == len(set(ids))
        assert len(ids) >= 60 * 3  # no other file loses a row
        if lived:
            break
    assert lived
    assert number > 3


def test_forgetting_takes_rows_of_one_file(tmp_path):
    store = fill(tmp_path)
    do(store)
    store.forget(["c" * 16])
    assert {r["file_id"][0] for r in rows_of(store)} == set("abd")
    store.forget([n * 16 for n in "abd"])
    assert store.files() == []


def test_a_whole_part_is_sealed(tmp_path):
    store = fill(tmp_path)
    do(store)
    path = store.files()[0]
    content = bytearray(path.read_bytes())
    content[200] ^= 4
    path.write_bytes(content)
    with pytest.raises(FormatError, match="changed since the file was written"):
        store.read("CO2")


def world(folder):
    (folder / "data").mkdir()
    for site in ("WLG", "SDZ"):
        (folder / "data" / f"co2_{site}.txt").write_text(noaa_text(simple(4, site=site)))
    return {"run": {"name": "t"}, "stations": {"files": ["data/*.txt"]}}


def go(data, folder):
    return run_case(*read_case(data, folder / "case.toml"))["stations"]


def test_the_stage_lives_with_a_compacted_store(tmp_path):
    from stations.store.options import CompactTable
    from stations.store.whole import compact_store

    data = world(tmp_path)
    go(data, tmp_path)
    store = ObservationStore(tmp_path / "run" / "store")
    before = rows_of(store)
    (found,) = compact_store(CompactTable(store=store.path))
    assert (found["before"], found["after"]) == (2, 1)
    again = go(data, tmp_path)
    assert again["rows"] == 0
    assert rows_of(store) == before
    assert go(data, tmp_path)["skipped"]
    # an input that is no longer named leaves nothing behind
    gone = tmp_path / "data" / "co2_SDZ.txt"
    gone.rename(tmp_path / "kept.txt")
    go(data, tmp_path)
    assert {r["platform"] for r in rows_of(store)} == {"WLG"}
    (tmp_path / "kept.txt").rename(gone)
    go(data, tmp_path)
    assert rows_of(store) == before
    # a changed one replaces its rows
    (tmp_path / "data" / "co2_WLG.txt").write_text(
        noaa_text(replace(simple(4, site="WLG"), value=np.full(4, 405.5)))
    )
    compact_store(CompactTable(store=store.path))
    go(data, tmp_path)
    now = rows_of(store)
    assert len(now) == len(before)
    assert {r["value"] for r in now if r["platform"] == "WLG"} == {405.5}
    # one that is lost is made again
    compact_store(CompactTable(store=store.path))
    for part in whole_parts(source_of(store)):
        part.unlink()
    go(data, tmp_path)
    assert rows_of(store) == now
