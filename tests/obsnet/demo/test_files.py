"""The invented files are well-formed: the readers of real ones take them and find what was written."""

import numpy as np
import pytest

from obsnet import schema
from obsnet.demo.files import column_operator, write_lite, write_noaa_event
from obsnet.demo.network import DemoSite
from obsnet.scales import one_scale
from obsnet.store import ObservationStore


def test_operator_keeps_the_identities_of_real_files():
    operator = column_operator(3, 1013.25)
    weight, kernel, prior = (operator[k] for k in ("pressure_weight", "averaging_kernel", "prior_profile"))
    np.testing.assert_allclose(weight.sum(1), 1.0, rtol=1e-12)
    np.testing.assert_allclose((weight * prior).sum(1), operator["prior_column"], rtol=1e-12)
    pressure = operator["pressure_levels"]
    assert (np.diff(pressure, axis=1) > 0).all()  # top first
    assert pressure[0, -1] == pytest.approx(1013.25)
    assert 0.9 < (weight * kernel).sum(1)[0] < 1.02
    assert weight[0, -1] == pytest.approx(weight[0, -2] / 2, rel=1e-6)


def write_day(path, n=9, **changes):
    rng = np.random.default_rng(1)
    time = np.datetime64("2019-01-08T05:00", "us") + np.arange(n) * np.timedelta64(90, "s")
    given = {
        "time": time,
        "latitude": rng.uniform(20, 50, n),
        "longitude": rng.uniform(100, 130, n),
        "xco2": rng.uniform(408, 415, n),
        "uncertainty": np.full(n, 0.7),
        "flag": (np.arange(n) == 4).astype(np.int8),
        "operator": column_operator(n, 1000.0),
    } | changes
    write_lite(path, **given)
    return given


def test_lite_file_through_ingest(tmp_path):
    from retrieval.ingest.options import IngestOptions
    from retrieval.ingest.run import ingest

    path = tmp_path / "oco2_LtCO2_190108_TWIN_000000000000s.nc4"
    given = write_day(path)
    assert not ingest([path], tmp_path / "store", IngestOptions(variant="x2019")).bad
    table = ObservationStore(tmp_path / "store").read("CO2")
    assert len(table) == 9
    assert one_scale(table, "the demo's columns") == "X2019"
    assert not ingest([path], tmp_path / "older").bad
    older = ObservationStore(tmp_path / "older").read("CO2")["value"].to_numpy()
    np.testing.assert_allclose(1.00079 * older - 0.142, given["xco2"], rtol=1e-7)
    np.testing.assert_allclose(table["value"].to_numpy(), given["xco2"].astype(np.float32), rtol=1e-7)
    np.testing.assert_array_equal(table["time"].to_numpy(), given["time"])
    assert [q == 0 for q in table["quality"].to_pylist()] == [k != 4 for k in range(9)]
    pressure = schema.profile_array(table["pressure_levels"])
    assert (np.diff(pressure, axis=1) < 0).all()  # surface first inside
    kernel = schema.profile_array(table["averaging_kernel"])
    np.testing.assert_allclose(kernel[0], given["operator"]["averaging_kernel"][0][::-1], rtol=1e-6)


def test_event_text_through_the_station_reader(tmp_path):
    from stations.store.ingest import ingest

    site = DemoSite("XYZ", 36.2879, 100.8964, 3810.0, 5.0)
    path = tmp_path / "co2_xyz_surface-flask_1_ccgg_event.txt"
    time = np.array(["2019-01-08T06:01:25", "2019-01-09T06:01:25", "2020-02-29T00:00:00"], "datetime64[us]")
    value = np.array([411.123, 409.5, 402.0])
    write_noaa_event(path, site, time, value, np.full(3, 0.1), ["...", "C..", "..."])
    summary = ingest([path], ObservationStore(tmp_path / "store"), base=tmp_path, report=print)
    assert summary["failed"] == 0
    table = ObservationStore(tmp_path / "store").read("CO2")
    np.testing.assert_array_equal(table["time"].to_numpy(), time)
    np.testing.assert_allclose(table["value"].to_numpy(), value)
    np.testing.assert_allclose(table["uncertainty"].to_numpy(), 0.1)
    assert table["latitude"].to_pylist() == [36.2879] * 3
    assert table["intake_height_m"].to_pylist() == [5.0] * 3
    assert table["altitude_m"].to_pylist() == [3815.0] * 3
    assert [q == 0 for q in table["quality"].to_pylist()] == [True, False, True]
    assert set(table["platform"].to_pylist()) == {"XYZ"}
    assert "X2019" in table["scale"].to_pylist()[0]


def test_header_count_is_true(tmp_path):
    path = tmp_path / "x.txt"
    write_noaa_event(
        path,
        DemoSite("ABC", 1.0, 2.0, 3.0, 4.0),
        np.array(["2019-01-08"], "datetime64[us]"),
        np.ones(1),
        np.ones(1),
        ["..."],
    )
    lines = path.read_text().splitlines()
    count = int(lines[0].split(":")[1])
    assert lines[count - 1].startswith("site_code year")
    assert len(lines) == count + 1
