"""The store: idempotent, the same whatever the order of writing."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obsnet import schema
from obsnet.errors import FormatError, SchemaError
from obsnet.parquet import read_table, write_table
from obsnet.store import GranuleIndex, ObservationStore, read_part
from tests.obsnet.observations import table


def test_round_trip_with_profiles(tmp_path):
    store = ObservationStore(tmp_path / "store")
    made = table(rows=5, levels=4)
    written = store.write(made)
    assert len(written) == 2  # end of January and February
    back = store.read("co2")
    assert schema.unit_of(back) == "1e-6"
    assert back.column_names == made.column_names
    assert back.cast(made.schema).equals(made.cast(made.schema))
    np.testing.assert_array_equal(schema.profile_array(back["prior_profile"]), np.full((5, 4), 400.0))


def test_writing_again_replaces(tmp_path):
    store = ObservationStore(tmp_path)
    store.write(table())
    store.write(table())
    assert len(store.read("CO2")) == 4


@settings(max_examples=15)
@given(order=st.permutations(range(4)), chunks=st.integers(1, 4))
def test_order_and_chunking_of_writes_do_not_matter(tmp_path_factory, order, chunks):
    parts = [table(rows=3, seed=k, file_id=f"file{k}") for k in range(4)]
    one, other = (ObservationStore(tmp_path_factory.mktemp("s")) for _ in range(2))
    for part in parts:
        one.write(part)
    for k in order:
        other.write(parts[k].slice(0))
    whole = one.read("CO2")
    assert whole.equals(other.read("CO2"))
    batches = [other.read("CO2", where=pc.field("file_id") == f"file{k}") for k in range(4)]
    joined = pa.concat_tables(batches).sort_by([("time", "ascending"), ("obs_id", "ascending")])
    assert joined.equals(whole)


def test_filters(tmp_path):
    store = ObservationStore(tmp_path)
    made = table(
        rows=6,
        latitude=[0, 10, 20, 30, 40, 50.0],
        longitude=[170, 175, -175, -170, 0, 10.0],
        quality=[0, 1, 0, 0, 0, 0],
    )
    store.write(made)

    def ids(**kwargs):
        return [
            i.split(":")[-1] for i in store.read("CO2", columns=["obs_id"], **kwargs)["obs_id"].to_pylist()
        ]

    assert ids() == list("012345")
    assert ids(good_only=True) == list("02345")
    assert ids(bounds=(0, 90, 172, -172)) == ["1", "2"]
    assert ids(bounds=(0, 90, -10, 10)) == ["4", "5"]
    assert ids(start="2019-01-31", stop="2019-02-02") == ["1", "2"]
    assert ids(start="2019-02-01T00:00") == list("2345")
    assert ids(source="other") == []
    assert ids(source=["test_v1", "other"]) == list("012345")


def test_partition_columns_come_back(tmp_path):
    store = ObservationStore(tmp_path)
    store.write(table(source="a_v1", file_id="a"))
    store.write(table(source="b_v2", file_id="b", seed=1))
    assert store.species() == ["CO2"]
    assert set(store.read("CO2")["source"].to_pylist()) == {"a_v1", "b_v2"}


def test_what_is_not_there_is_said(tmp_path):
    store = ObservationStore(tmp_path / "none")
    with pytest.raises(FormatError, match="no CO2 here; the store holds nothing"):
        store.read("CO2")
    with pytest.raises(FormatError, match="make one with `obsnet ingest"):
        store.dataset()
    store.write(table())
    with pytest.raises(FormatError, match="no CH4 here; the store holds CO2"):
        store.read("CH4")


def test_parts_know_the_times_they_span_and_read_fast(tmp_path):
    store = ObservationStore(tmp_path)
    made = table(rows=6, file_id="feed", source="b_v1")  # over the end of January
    store.write(made)
    store.write(table(rows=2, file_id="beef", source="a_v1", seed=1))
    assert store.sources("CO2") == ["a_v1", "b_v1"]
    parts = store.parts("CO2", "b_v1")
    assert len(parts) == 2
    times = np.sort(made["time"].to_numpy())
    assert [parts[0].first, parts[-1].last] == [times[0], times[-1]]
    assert parts[0].last < np.datetime64("2019-02-01") <= parts[1].first
    columns = ["obs_id", "species", "source", "value", "mode", "time"]
    read = pa.concat_tables([read_part(p.path, columns) for p in parts]).unify_dictionaries()
    whole = store.read("CO2", source="b_v1", columns=columns)
    assert read.column_names == columns
    for name in columns:
        assert read[name].to_pylist() == whole[name].to_pylist()
    assert pa.types.is_dictionary(read["source"].type)


def test_a_part_from_before_a_column_was_there(tmp_path):
    store = ObservationStore(tmp_path)
    (path,) = store.write(table(rows=2))
    write_table(pq.ParquetFile(path).read().drop_columns(["mode", "prior_column"]), path)
    read = read_part(path, ["mode", "prior_column", "value"])
    assert read["mode"].null_count == read["prior_column"].null_count == 2
    assert read["value"].null_count == 0


def test_a_part_without_statistics_still_knows_its_times(tmp_path):
    store = ObservationStore(tmp_path)
    (path,) = store.write(table(rows=2))
    (expected,) = store.parts("CO2", "test_v1")
    pq.write_table(pq.ParquetFile(path).read(), path, write_statistics=False)
    assert store.parts("CO2", "test_v1") == [expected]


def test_a_part_that_is_cut_short(tmp_path):
    store = ObservationStore(tmp_path)
    (path,) = store.write(table(rows=2))
    path.write_bytes(path.read_bytes()[:100])
    for call in (lambda: store.parts("CO2", "test_v1"), lambda: read_part(path, ["value"])):
        with pytest.raises(FormatError, match="cannot be read as Parquet"):
            call()


@pytest.mark.parametrize("ties", [False, True])
def test_rows_come_in_order_of_time_then_identity_however_they_were_written(tmp_path, ties):
    made = table(rows=6)
    order = [4, 0, 5, 2, 1, 3]
    if ties:
        made = made.set_column(made.schema.get_field_index("time"), "time", pa.array([made["time"][0]] * 6))
    shuffled, sorted_store = ObservationStore(tmp_path / "a"), ObservationStore(tmp_path / "b")
    shuffled.write(made.take(order))
    sorted_store.write(made)
    found = shuffled.read("CO2")
    assert found.equals(sorted_store.read("CO2"))
    keys = list(zip(found["time"].to_pylist(), found["obs_id"].to_pylist(), strict=True))
    assert keys == sorted(keys)


def test_one_file_a_table(tmp_path):
    mixed = pa.concat_tables([table(), table(file_id="beef", seed=2)])
    with pytest.raises(SchemaError, match="comes from one file"):
        ObservationStore(tmp_path).write(mixed)


def test_an_empty_table_writes_nothing(tmp_path):
    assert ObservationStore(tmp_path).write(table().slice(0, 0)) == []


def index_row(path, status="done", digest="d"):
    return {
        "path": path,
        "size": 1,
        "sha256": digest,
        "file_id": digest[:16],
        "soundings": 3,
        "good": 1,
        "status": status,
    }


def test_index_latest_part_wins(tmp_path):
    index = GranuleIndex(tmp_path)
    assert len(index.read()) == 0
    index.write([index_row("b", "bad: truncated"), index_row("a")], "first")
    index.write([index_row("b")], "second")
    os.utime(tmp_path / "first.parquet", (1, 1))
    table = index.read()
    assert table["path"].to_pylist() == ["a", "b"]
    assert table["status"].to_pylist() == ["done", "done"]


def test_notes_of_many_files_are_added_up(tmp_path):
    index = GranuleIndex(tmp_path)
    said = {
        "a": "3 rows: no kernel; times are of another day",
        "b": "4 rows: no kernel",
        "c": "9 rows: no kernel",
    }
    index.write([index_row(k) | {"file_id": k, "notes": v} for k, v in said.items()], "first")
    assert index.notes({"a", "b"}) == {"7 rows: no kernel": 2, "times are of another day": 1}


def test_a_node_whose_clock_is_ahead_has_not_the_last_word(tmp_path):
    index = GranuleIndex(tmp_path)
    index.write([index_row("b", "bad: truncated")], "first")
    ahead = 1 << 62  # ns, a century from now
    os.utime(tmp_path / "first.parquet", ns=(ahead, ahead))
    index.write([index_row("b")], "second")
    assert index.read()["status"].to_pylist() == ["done"]
    index.write([index_row("b", "bad: gone")], "first")
    assert index.read()["status"].to_pylist() == ["bad: gone"]


def test_index_keeps_the_species_of_a_file_apart(tmp_path):
    index = GranuleIndex(tmp_path)

    def write(k, *rows):
        index.write([index_row("a", status, f"d{k}") | {"species": name} for name, status in rows], str(k))
        os.utime(tmp_path / f"{k}.parquet", (k, k))

    def read():
        return [tuple(r[c] for c in ("species", "status", "sha256")) for r in index.read().to_pylist()]

    write(1, (None, "bad: cut short"))
    assert read() == [(None, "bad: cut short", "d1")]
    write(2, ("CH4", "done"))
    assert read() == [("CH4", "done", "d2")]  # what was unknown is known now
    write(3, ("CO", "done"))
    assert read() == [("CH4", "done", "d2"), ("CO", "done", "d3")]
    write(4, ("CH4", "bad: gone"))
    assert read() == [("CH4", "bad: gone", "d4"), ("CO", "done", "d3")]
    write(5, (None, "bad: gone"))  # the other rows say what the store still holds
    assert read() == [(None, "bad: gone", "d5"), ("CH4", "bad: gone", "d4"), ("CO", "done", "d3")]
    write(6, ("CH4,CO,N2O", "done"))  # a station's file, read in one go
    assert read() == [("CH4,CO,N2O", "done", "d6")]


@given(order=st.lists(st.sampled_from([None, "CO", "CH4", "CO,CH4"]), min_size=1, max_size=6))
def test_index_has_each_species_of_a_path_at_most_once_and_the_last_always(tmp_path_factory, order):
    folder = tmp_path_factory.mktemp("index")
    for k, name in enumerate(order):
        GranuleIndex(folder).write([index_row("a", digest=str(k)) | {"species": name}], str(k))
        os.utime(folder / f"{k}.parquet", (k, k))
    rows = GranuleIndex(folder).read().to_pylist()
    names = [n for r in rows for n in (r["species"] or "none").split(",")]
    assert len(set(names)) == len(names)
    assert str(len(order) - 1) in {r["sha256"] for r in rows}


def test_index_refuses_foreign_rows(tmp_path):
    with pytest.raises(SchemaError):
        GranuleIndex(tmp_path).write([{"path": "a"}], "x")


def test_a_file_that_is_no_parquet(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_text("not a table")
    with pytest.raises(FormatError, match="cannot be read as Parquet"):
        read_table(path, schema.GRANULE_INDEX)
    write_table(pa.table({"path": ["a"]}), path)
    with pytest.raises(SchemaError, match="granule_index table lacks size"):
        read_table(path, schema.GRANULE_INDEX)
