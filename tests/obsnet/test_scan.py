"""A choice of rows is that of the whole read, whatever is skipped on the way; what is read is verified."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet import scan, store
from obsnet.errors import FormatError
from obsnet.store import ObservationStore
from tests.obsnet.observations import table

ROWS = 60


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Two files over two months and a year's end, in row groups of seven rows; some rows share a time."""
    here = ObservationStore(tmp_path_factory.mktemp("scan"))
    rng = np.random.default_rng(5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "GROUP", 7)
        for k in range(2):
            hours = np.sort(rng.integers(0, 24 * 40, ROWS))
            hours[::9] = hours[1::9][: len(hours[::9])]
            here.write(
                table(
                    rows=ROWS,
                    seed=k,
                    levels=3,
                    file_id=f"{k:016x}",
                    time=np.datetime64("2019-12-05", "us")
                    + np.sort(hours) * np.timedelta64(3_600_000_000, "us"),
                    latitude=np.sort(rng.uniform(-80, 80, ROWS)),
                    longitude=rng.uniform(-180, 180, ROWS),
                    quality=rng.choice([0, 0, 1], ROWS),
                )
            )
    return here


def expected(whole, bounds, good_only, start, stop):
    south, north, west, east = bounds
    lat, lon, time = (whole[n].to_numpy() for n in ("latitude", "longitude", "time"))
    inside = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
    mask = inside & (lat >= south) & (lat <= north) & (time >= start) & (time < stop)
    if good_only:
        mask &= whole["quality"].to_numpy() == 0
    return whole.filter(pa.array(mask))


@given(
    latitudes=st.tuples(st.floats(-90, 90), st.floats(-90, 90)).map(sorted),
    longitudes=st.tuples(st.floats(-180, 180), st.floats(-180, 180)),
    good_only=st.booleans(),
    days=st.tuples(st.integers(0, 45), st.integers(0, 45)).map(sorted),
)
def test_any_choice_is_that_of_the_whole(many, latitudes, longitudes, good_only, days):
    whole = many.read("CO2")
    start, stop = (np.datetime64("2019-12-01", "us") + np.timedelta64(int(d), "D") for d in days)
    asked = {"bounds": (*latitudes, *longitudes), "good_only": good_only, "start": start, "stop": stop}
    found = many.read("CO2", **asked)
    assert found.equals(expected(whole, **asked))
    assert many.read("CO2", columns=["value"], **asked)["value"].equals(found["value"])
    low = pc.field("latitude") > 0
    assert many.read("CO2", where=low, **asked).equals(found.filter(low))


def test_rows_that_share_a_time_are_ordered_by_identity(many):
    whole = many.read("CO2")
    keys = list(zip(whole["time"].to_pylist(), whole["obs_id"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    assert len(set(whole["time"].to_pylist())) < len(keys)


def test_identities_are_not_read_where_times_differ(tmp_path, monkeypatch):
    here = ObservationStore(tmp_path)
    here.write(table(rows=6))
    read = []
    take = scan.take_columns
    monkeypatch.setattr(scan, "take_columns", lambda hits, names: read.extend(names) or take(hits, names))
    assert len(here.read("CO2", columns=["value"])) == 6
    assert "obs_id" not in read


def test_months_that_are_not_asked_for_are_not_opened(many, monkeypatch):
    opened = []
    check = store.checked_part
    monkeypatch.setattr(store, "checked_part", lambda p, *a: opened.append(p.parent.name) or check(p, *a))
    many.read("CO2", start="2020-01-03", stop="2020-01-05")
    assert set(opened) == {"month=1"}
    opened.clear()
    many.read("CO2", stop="2020-01-01")
    assert set(opened) == {"month=12"}


def flip(path, group, name):
    about = pq.read_metadata(path).row_group(group)
    column = next(c for c in map(about.column, range(about.num_columns)) if c.path_in_schema == name)
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 4
    path.write_bytes(content)


def test_damage_is_told_where_its_rows_are_read_and_only_there(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "GROUP", 5)
    here = ObservationStore(tmp_path)
    january = np.datetime64("2019-01-01", "us") + np.arange(20) * np.timedelta64(1, "h")
    (path,) = here.write(table(rows=20, time=january, latitude=np.arange(20.0)))
    flip(path, 2, "value")
    assert len(here.read("CO2", bounds=(0, 4, -180, 180))) == 5
    assert len(here.read("CO2", columns=["latitude"])) == 20
    for asked in ({"bounds": (11, 11, -180, 180)}, {"columns": ["value"]}):
        with pytest.raises(FormatError, match="column 'value' changed since the file was written"):
            here.read("CO2", **asked)
