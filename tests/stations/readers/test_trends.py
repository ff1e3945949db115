"""NOAA's tables of trends and Scripps' files: layouts of their public descriptions, shortened."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import ConfigError
from obsnet.schema import Quality
from stations.readers import UnknownFormatError
from tests.stations.dialects import noaa_trends, read_text, scripps


def days(record, name="time_start"):
    return record[name].values.astype("datetime64[D]").astype(str).tolist()


def test_noaa_months():
    record = read_text(noaa_trends(), "co2_mm_mlo.csv")
    np.testing.assert_array_equal(record["value"].values, [315.71, np.nan, 333.90, 422.80])
    assert days(record) == ["1958-03-01", "1958-04-01", "1976-06-01", "2024-01-01"]
    assert days(record, "time_end")[-1] == "2024-02-01"
    assert (record.attrs["site"], record.attrs["unit"]) == ("MLO", "ppm")
    assert record.attrs["scale"] == "WMO CO2 X2019"
    assert record["n"].values.tolist() == [-1, -1, 0, 27]
    np.testing.assert_array_equal(record["sd"].values, [np.nan] * 3 + [0.73])
    np.testing.assert_array_equal(record["uncertainty"].values, [np.nan] * 3 + [0.27])
    assert record["latitude"].values[0] == pytest.approx(19.5, abs=0.1)


def test_months_that_noaa_interpolated_are_no_measurements_and_scripps_months_are():
    record = read_text(noaa_trends(), "co2_mm_mlo.csv")
    assert record["quality"].values.tolist() == [0, int(Quality.RANGE), int(Quality.SUSPECT), 0]
    assert any("1 months that NOAA interpolated" in w for w in record.attrs["warnings"])


@pytest.mark.parametrize(
    ("name", "names", "row", "start", "end", "value", "site"),
    [
        (
            "co2_mm_mlo.csv", "year,month,decimal date,average", "2022,4,2022.2917,420.02",
            "2022-04-01", "2022-05-01", 420.02, "MLO",
        ),
        (
            "co2_weekly_mlo.csv", "year,month,day,decimal,average,ndays,1 year ago,10 years ago,increase since 1800",
            "1974,5,19,1974.3795,333.37,5,-999.99,-999.99,50.40", "1974-05-19", "1974-05-26", 333.37, "MLO",
        ),
        (
            "ch4_mm_gl.csv", "year,month,decimal,average,average_unc,trend,trend_unc",
            "2020,7,2020.542,1869.31,0.9,1875.61,0.5", "2020-07-01", "2020-08-01", 1869.31, "",
        ),
        ("co2_annmean_mlo.csv", "year,mean,unc", "2020,414.21,0.12", "2020-01-01", "2021-01-01", 414.21, "MLO"),
        ("co2_daily_mlo.csv", "", "1974,5,19,1974.3781,333.46", "1974-05-19", "1974-05-20", 333.46, "MLO"),
        (
            "co2_mm_mlo.txt", "", " 2021   3    2021.2083      417.64      416.07     28    0.94    0.34",
            "2021-03-01", "2021-04-01", 417.64, "MLO",
        ),
        (
            "co2_mm_mlo.txt", "", "1964   4    1964.292      -99.99      322.00      319.30     -1",
            "1964-04-01", "1964-05-01", np.nan, "MLO",
        ),
        ("co2_mm_gl.txt", "", " 2021   3  2021.208  416.02  0.1  414.9  0.1", "2021-03-01", "2021-04-01", 416.02, ""),
    ],
)  # fmt: skip
def test_noaa_tables_of_every_kind(name, names, row, start, end, value, site):
    unit = "nanomol/mol, abbreviated ppb" if name.startswith("ch4") else "ppm"
    record = read_text(noaa_trends(names, [row], unit), name)
    assert (days(record), days(record, "time_end")) == ([start], [end])
    np.testing.assert_array_equal(record["value"].values, [value])
    assert record.attrs["site"] == site
    assert record.attrs["species"] == name[:3].upper()


def test_a_renamed_table_asks_for_gas_and_site():
    with pytest.raises(ConfigError, match=r"which species this is; say it with --species"):
        read_text(noaa_trends(), "keeling.csv")
    record = read_text(noaa_trends(), "keeling.csv", species="CO2", site="MLO")
    assert record.attrs["site"] == "MLO"
    assert record["value"].values[0] == 315.71


def test_a_unit_that_the_table_does_not_say_is_said_to_be_taken():
    text = "\n".join(line for line in noaa_trends().splitlines() if not line.startswith("#"))
    record = read_text(text, "co2_mm_mlo.csv")
    assert "4 values without a unit taken as ppm" in record.attrs["changes"]
    assert record.attrs["scale"] == "unknown"


def test_scripps_months():
    record = read_text(scripps(), "monthly_in_situ_co2_mlo.csv")
    np.testing.assert_array_equal(record["value"].values, [np.nan, 315.71, 419.47])
    assert days(record) == ["1958-01-01", "1958-03-01", "2023-01-01"]
    assert record.attrs["scale"] == "Scripps X12"  # not WMO's: no conversion takes it for one
    assert record.attrs["site"] == "MLO"
    assert any("1 rows were measured at MKO, not at MLO" in w for w in record.attrs["warnings"])


def test_scripps_without_the_station_and_by_week():
    record = read_text(scripps(station=False), "monthly_flask_co2_ptb.csv")
    assert record.attrs["site"] == "PTB"
    assert record["value"].values[1] == 315.71
    head = scripps().split("  Yr")[0].replace("2012", "2008A")
    weekly = read_text(head + "1958-03-29,  316.19\n1958-04-05,  317.31\n", "weekly_in_situ_co2_mlo.csv")
    assert days(weekly) == ["1958-03-29", "1958-04-05"]
    assert days(weekly, "time_end") == ["1958-04-05", "1958-04-12"]
    assert weekly["value"].values.tolist() == [316.19, 317.31]
    assert weekly.attrs["scale"] == "Scripps X08A"


def test_lines_of_scripps_that_are_no_rows_are_said():
    head = scripps().split("  Yr")[0]
    weekly = read_text(
        head + "1958-03-29,  316.19\n1958-04-05,  NaN\n1958-04-12 317.1\n", "weekly_in_situ_co2_mlo.csv"
    )
    assert weekly["value"].values.tolist() == [316.19]
    assert any(
        "2 lines with a date are no rows of this table and were left out, e.g. '1958-04-05,  NaN'" in w
        for w in weekly.attrs["warnings"]
    )
    months = read_text(scripps().replace("1958, 03,", "1958, Mar,"), "monthly_in_situ_co2_mlo.csv")
    assert any("1 lines with a date are no rows" in w for w in months.attrs["warnings"])
    assert not any(
        "no rows" in w for w in read_text(scripps(), "monthly_in_situ_co2_mlo.csv").attrs["warnings"]
    )


@pytest.mark.parametrize(
    "columns",
    [
        "  Yr, Mn,    Date,      Date,     C13,seasonally,        fit,  seasonally,      C13, seasonally",
        "% Yr, Mn, Dy,      CO2, NB, scale",
    ],
)
def test_other_tables_of_scripps_are_not_taken_for_monthly_co2(columns):
    lines = scripps(station=False).splitlines()
    with pytest.raises(UnknownFormatError):
        read_text("\n".join([*lines[:5], columns, *lines[8:]]) + "\n", "monthly_flask_c13_ptb.csv")
