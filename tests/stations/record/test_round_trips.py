"""Write a dialect, read it, and have the same record: those whose round trip is not beside their other tests."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.schema import Quality
from stations import read
from stations.record.file import read_record, write_record
from tests.stations.dialects import Rows, icos_flask, picarro, read_text, rem_monthly
from tests.stations.dialects_netcdf import agage, ggg2014, obspack
from tests.stations.strategies import icos_flags, noaa_flags, rows, spreads, values

IN_32_BITS = 2_000_000_000


def same(record, rows, value=None, offset=0):
    """Compare stamps (seconds), values, spreads, counts with what was written."""
    stamp = {"middle": "time"}.get(record.attrs["interval"], "time_start")
    np.testing.assert_array_equal(
        record[stamp].values.astype("datetime64[s]"), rows.time + np.timedelta64(offset, "s")
    )
    np.testing.assert_allclose(record["value"].values, rows.value if value is None else value, rtol=1e-12)


@pytest.mark.parametrize("european", [False, True])
@given(data=st.data(), unit=st.sampled_from(["mol mol-1", "nanomol mol-1", "micromol mol-1"]))
def test_obspack(european, data, unit):
    flags = icos_flags if european else noaa_flags
    written = data.draw(rows(step=3600, flags=flags, max_size=5, latest=IN_32_BITS))
    with tempfile.TemporaryDirectory() as folder:
        record = read(obspack(Path(folder) / "a.nc", written, european=european, unit=unit))
    same(record, written, offset=1800 if european else 0)
    np.testing.assert_allclose(record["sd"].values, written.sd, rtol=1e-12)
    np.testing.assert_array_equal(record["n"].values, written.n)
    assert record["quality_original"].values.tolist() == written.flag
    rejected = (record["quality"].values & np.uint32(Quality.PRODUCER)) != 0
    assert rejected.tolist() == [f in "NKH" if european else f[0] != "." for f in written.flag]


@given(written=rows(step=60, flags=st.sampled_from(["-B", "-P", "FB", "--"]), max_size=5, latest=IN_32_BITS))
def test_agage(written):
    written.value = written.value + 1500.0
    with tempfile.TemporaryDirectory() as folder:
        record = read(agage(Path(folder) / "a.nc", written, flags=written.flag))
    same(record, written)
    np.testing.assert_array_equal(record["uncertainty"].values, written.uncertainty)
    np.testing.assert_array_equal(record["sd"].values, written.sd)
    assert record["quality_original"].values.tolist() == written.flag


@given(
    months=st.lists(st.integers(0, 600), min_size=1, max_size=6, unique=True).map(sorted),
    lines=st.sampled_from([25, 32]),
    data=st.data(),
)
def test_rem_monthly(months, lines, data):
    size = len(months)
    written = Rows(
        np.array(months, "datetime64[M]").astype("datetime64[s]"),
        np.array(data.draw(st.lists(values, min_size=size, max_size=size))),
        sd=np.array(data.draw(st.lists(spreads, min_size=size, max_size=size))),
        n=np.array(data.draw(st.lists(st.integers(1, 999), min_size=size, max_size=size))),
    )
    record = read_text(rem_monthly(written, lines), "wlg.dat")
    same(record, written)
    np.testing.assert_array_equal(record["n"].values, written.n)
    np.testing.assert_array_equal(record["sd"].values, written.sd)
    ends = (np.array(months) + 1).astype("datetime64[M]").astype("datetime64[s]")
    np.testing.assert_array_equal(record["time_end"].values.astype("datetime64[s]"), ends)


@given(
    days=st.integers(1, 4),
    first=st.sampled_from([0, 1]),
    surface=st.floats(500.0, 1050.0),
    water=st.floats(1e-4, 0.03),
    unit=st.sampled_from([1.0, 1e6]),
)
def test_ggg2014(days, first, surface, water, unit):
    with tempfile.TemporaryDirectory() as folder:
        path = ggg2014(
            Path(folder) / "rj.nc", days=days, first=first, surface=surface, water=water, water_unit=unit
        )
        record = read(path)
    assert (record["quality"].values == 0).all()
    np.testing.assert_allclose(record["pressure_weight"].values.sum(axis=1), 1.0)
    np.testing.assert_allclose(record["prior_column"].values, 400.0 + np.repeat(np.arange(days), 3))


@given(written=rows(step=3600, flags=icos_flags, max_size=6))
def test_icos_flask(written):
    record = read_text(icos_flask(written), "x.CO2")
    same(record, written)
    assert (record["time_end"].values - record["time_start"].values == np.timedelta64(1, "h")).all()
    np.testing.assert_array_equal(record["uncertainty"].values, written.uncertainty)
    assert record["sample_id"].values.tolist() == written.sample
    assert record["quality_original"].values.tolist() == written.flag


@given(
    start=st.integers(700_000_000, 4_000_000_000),
    step=st.integers(1, 5),
    steps=st.lists(st.integers(1, 900), min_size=3, max_size=12),
    hours=st.sampled_from([0.0, 8.0, -3.5]),
)
def test_picarro(start, step, steps, hours):
    value = 400.0 + np.cumsum(steps) / 100.0
    epoch = start + step * np.arange(value.size, dtype=float)
    record = read_text(picarro(epoch, value, local_hours=hours), "X-DataLog_User.dat")
    np.testing.assert_array_equal(record["time"].values.astype("datetime64[s]").astype(np.int64), epoch)
    np.testing.assert_allclose(record["value"].values, value, rtol=1e-10)
    assert any("local time" in c for c in record.attrs["changes"]) == (hours != 0.0)


@given(
    written=rows(step=60, flags=st.sampled_from(["ok", "bad", "city", "odd"]), max_size=6),
    minutes=st.sampled_from([0, 480, -210, 345]),
    stamp=st.sampled_from(["start", "middle", "end"]),
    separator=st.sampled_from([",", ";", "tab"]),
    unit=st.sampled_from([("ppm", 1.0), ("nmol mol-1", 1e3), ("1", 1e-6)]),
)
def test_a_table_of_one_s_own(written, minutes, stamp, separator, unit):
    zone = f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    glue = "\t" if separator == "tab" else separator
    local = written.time + np.timedelta64(minutes, "m")
    lines = [glue.join(["when", "co2", "flag"])]
    lines += [
        glue.join([str(t), repr(float(v * unit[1])), f])
        for t, v, f in zip(local, written.value, written.flag, strict=True)
    ]
    toml = f"""
    file = {{ separator = "{separator}" }}
    site = {{ code = "MINE" }}
    time = {{ columns = ["when"], zone = "{zone}", stamp = "{stamp}", interval = "10min" }}
    series = [{{ species = "CO2", unit = "{unit[0]}", value = "co2", flag = "flag" }}]
    flags = {{ good = ["ok"], rejected = ["bad"], selection = ["city"], suspect = ["odd"] }}
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "mine.csv").write_text("\n".join(lines))
        (Path(folder) / "mine.toml").write_text(toml)
        record = read(Path(folder) / "mine.csv", config=Path(folder) / "mine.toml")
        write_record(record, Path(folder) / "mine.nc")
        again = read_record(Path(folder) / "mine.nc")
    named = {"start": "time_start", "middle": "time", "end": "time_end"}[stamp]
    np.testing.assert_array_equal(record[named].values.astype("datetime64[s]"), written.time)
    np.testing.assert_allclose(record["value"].values, written.value, rtol=1e-12)
    bits = {"ok": 0, "bad": Quality.PRODUCER, "city": Quality.SELECTION, "odd": Quality.SUSPECT}
    assert record["quality"].values.tolist() == [int(bits[f]) for f in written.flag]
    for name in record.variables:  # what this package writes, it reads
        np.testing.assert_array_equal(again[name].values, record[name].values)
