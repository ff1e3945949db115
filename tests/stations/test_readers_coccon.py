"""COCCON/PROFFAST tables, from the format's description: every file here is synthetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from obsnet.schema import Quality
from stations.observations import observations
from tests.stations.dialects import coccon, read_text, simple
from tests.stations.strategies import rows


@given(rows=rows(step=60, max_size=6))
def test_round_trip(rows):
    rows.value = np.clip(rows.value, 350, 599)
    record = read_text(coccon(rows), "combined_invparms.csv")
    np.testing.assert_array_equal(record["time"].values.astype("datetime64[s]"), rows.time)
    np.testing.assert_array_equal(record["value"].values, rows.value)
    assert (record.attrs["kind"], record.attrs["unit"]) == ("column", "ppm")


def test_species_and_units():
    text = coccon(simple())
    assert read_text(text, species="CH4")["value"].values[0] == pytest.approx(1900.0)
    assert read_text(text, species="CO")["value"].values[0] == 110.0
    record = read_text(text)
    assert record.attrs["species_available"] == ["CO2", "CH4", "CO"]
    assert record["altitude_m"].values[0] == pytest.approx(60.0)  # written in km
    assert record["surface_pressure"].values[0] == 1010.2


def test_kernels_are_absent_and_the_contract_takes_it():
    table = observations(read_text(coccon(simple())), digest="0" * 64)
    assert table["averaging_kernel"].null_count == 4
    assert table["kind"][0].as_py() == "column"


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
