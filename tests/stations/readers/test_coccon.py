"""COCCON/PROFFAST tables: the layout is that of PROFFASTpylot's reference output, the content made up."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stations
from obsnet.errors import FormatError, ObsnetError, UnitError
from obsnet.schema import Quality
from stations.store.observations import observations
from tests.stations.dialects import coccon, proffast_day, proffast_raw, read_text, simple
from tests.stations.strategies import damage, rows


@given(rows=rows(step=60, max_size=6))
def test_round_trip(rows):
    rows.value = np.clip(rows.value, 350, 599)
    for separator in (", ", "\t"):  # tabs in some versions of the pylot
        record = read_text(coccon(rows, separator), "comb_invparms.csv")
        np.testing.assert_array_equal(record["time"].values.astype("datetime64[s]"), rows.time)
        np.testing.assert_allclose(record["value"].values, rows.value, rtol=1e-12)
        assert (record.attrs["kind"], record.attrs["unit"]) == ("column", "ppm")


def test_species_and_units():
    text = coccon(simple())
    assert read_text(text, species="CH4")["value"].values[0] == pytest.approx(1900.0)
    assert read_text(text, species="CO")["value"].values[0] == pytest.approx(110.0)  # written in ppm
    record = read_text(text)
    assert record.attrs["species_available"] == ["CO2", "CH4", "CO"]
    assert record["altitude_m"].values[0] == 60.0
    assert record["surface_pressure"].values[0] == 1010.2
    with pytest.raises(UnitError, match="CO in ppb"):
        read_text(text.replace("1.10000e-01", "1.10000e+02"), species="CO")  # ppb under PROFFAST's name


def test_a_site_by_the_sea_stays_there():
    assert read_text(coccon(simple()).replace(" 60.000,", " 5.000,"))["altitude_m"].values[0] == 5.0


def test_an_instrument_without_a_second_channel_has_no_co():
    record = read_text(coccon(simple()).replace("1.10000e-01", "0.00000e+00"), species="CO")
    assert np.isnan(record["value"].values).all()
    assert "4 fill values set to missing" in record.attrs["changes"]


def test_fills_and_odd_air():
    rows = simple(3)
    rows.value[1] = -900000.0
    record = read_text(coccon(rows))
    assert np.isnan(record["value"].values).tolist() == [False, True, False]
    assert "1 fill values set to missing" in record.attrs["changes"]
    odd = read_text(coccon(simple(3, extra={"xair": 1.2})))
    assert (odd["quality"].values == np.uint32(Quality.SUSPECT)).all()


def test_a_utc_column_in_local_time_shows_against_the_julian_date():
    text = coccon(simple(3)).replace("2020-01-01 0", "2020-01-01 1")
    assert any("UTC and a Julian date that differ" in w for w in read_text(text).attrs["warnings"])


def test_without_a_utc_column_the_julian_date_is_used():
    text = coccon(simple(3)).replace("UTC,", "when,", 1)
    record = read_text(text)
    np.testing.assert_array_equal(
        record["time"].values.astype("datetime64[m]"), simple(3).time.astype("datetime64[m]")
    )


def test_without_the_folder_kernels_are_absent_and_the_contract_takes_it():
    record = read_text(coccon(simple()))
    assert (
        "4 rows without kernels and priors (no folder raw_output_proffast beside the table)"
        in record.attrs["warnings"]
    )
    table = observations(record, digest="0" * 64)
    assert table["averaging_kernel"].null_count == 4
    assert table["kind"][0].as_py() == "column"


@pytest.fixture
def result(tmp_path):
    """A result folder of the pylot: 14 to 17 h UTC is the 1st and, from 16 h on, the 2nd of January in Beijing."""
    (tmp_path / "comb_invparms_Beijing.csv").write_text(coccon(simple(start="2020-01-01T14:00:00")))
    proffast_day(tmp_path / "raw_output_proffast", "200101")
    return tmp_path / "comb_invparms_Beijing.csv"


def test_kernels_and_priors_come_from_the_folder_beside_it(result):
    proffast_day(result.parent / "raw_output_proffast", "200102", kernel=lambda z, a: 0.5 + 0.0 * z)
    record = stations.read(result)
    kernel = record["averaging_kernel"].values
    assert kernel.shape == (4, 20)
    np.testing.assert_allclose(kernel[:2], 1.0 + 0.1 * np.radians(45.1), rtol=1e-4)  # linear in the angle
    np.testing.assert_allclose(kernel[2:], 0.5, rtol=1e-4)  # another local day
    np.testing.assert_allclose(record["pressure_weight"].values.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(record["prior_profile"].values[0, [0, -1]], [400.05, 460.0])
    assert (np.diff(record["pressure_levels"].values, axis=1) < 0).all()  # surface first
    # a prior that rises 1 ppm a km: the column's mean height is the scale height
    assert record["prior_column"].values == pytest.approx(400.0 + 7.4, abs=0.4)
    assert (record["quality"].values == 0).all()
    methane = stations.read(result, "CH4")
    np.testing.assert_allclose(methane["averaging_kernel"].values[2:], 1.0, rtol=1e-4)
    assert methane["prior_column"].values == pytest.approx(1900.0)  # in ppb as the values
    table = observations(record, digest="0" * 64)
    assert table["averaging_kernel"].null_count == 0
    assert table["vertical"][0].as_py() == "level"


def test_a_day_without_files_is_flagged_and_counted(result):
    record = stations.read(result)
    assert "2 rows lack a kernel, prior or weight (flagged 'operator')" in record.attrs["warnings"]
    assert record["quality"].values.tolist() == [0, 0, int(Quality.OPERATOR), int(Quality.OPERATOR)]
    observations(record, digest="0" * 64)


def test_a_folder_without_any_of_the_days_is_said(result):
    for path in (result.parent / "raw_output_proffast").iterdir():
        path.unlink()
    record = stations.read(result)
    assert any("none of their days in raw_output_proffast" in w for w in record.attrs["warnings"])
    assert "averaging_kernel" not in record


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("pT_fast_out", "no numbers\n", "not a table of at least 7 columns"),
        ("pT_fast_out", " 0 1 250 100 1 1 1\n 1 0 250 200 1 1 1\n", "levels|altitudes must rise"),
        ("VMR_fast_out", " 0 1 1 1 400 1.9 0.3 0.1 0.2 0\n", "1 levels, .* has 20"),
        ("colsens", " alt p 0.0 0.5 1.0\n 0 1000 1 1 1\n", "1 tables of sensitivities, expected 8"),
        ("colsens", "", "0 tables of sensitivities"),
    ],
)
def test_a_broken_day_names_the_file(result, kind, text, message):
    path = result.parent / "raw_output_proffast" / f"Beijing200101-{kind}.dat"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        stations.read(result)


@given(data=st.data(), kind=st.sampled_from(["pT_fast_out", "VMR_fast_out", "colsens"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_damaged_days_never_raise_anything_but_an_obsnet_error(result, data, kind):
    path = result.parent / "raw_output_proffast" / f"Beijing200101-{kind}.dat"
    whole = path.read_bytes()
    path.write_bytes(data.draw(damage(whole)))
    with contextlib.suppress(ObsnetError):
        stations.read(result)
    path.write_bytes(whole)


def test_a_day_as_proffast_itself_writes_it(tmp_path):
    """Blanks between columns, no UTC column, and its kernels beside it."""
    rows = simple(start="2020-01-01T06:00:00")
    path = tmp_path / "Beijing200101-invparms.dat"
    path.write_text(proffast_raw(rows))
    bare = stations.read(path)
    np.testing.assert_allclose(bare["value"].values, rows.value, rtol=1e-5)
    np.testing.assert_array_equal(bare["time"].values.astype("datetime64[s]"), rows.time)
    assert bare.attrs["format"] == "proffast_raw"
    assert "averaging_kernel" not in bare
    proffast_day(tmp_path, "200101")
    assert stations.read(path)["averaging_kernel"].shape == (4, 20)


def test_a_real_day_of_proffast(sample_data):
    path = sample_data.parent / "cases/stations/ma220329-invparms.dat"
    if not path.exists():
        pytest.skip("no case beside the sample data")
    record = stations.read(path)
    np.testing.assert_allclose(record["value"].values, [418.459, 418.695, 418.592])
    np.testing.assert_allclose(stations.read(path, "CH4")["value"].values, [1880.98, 1879.79, 1881.58])
    assert record["surface_pressure"].values[0] == 949.4
    assert str(record["time"].values[0])[:19] == "2022-03-29T09:06:12"
    assert not any("text where a number belongs" in c for c in record.attrs["changes"])
