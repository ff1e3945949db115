"""Fields: fills, units, times, rows, quality rules."""

import numpy as np
import pytest

from obsnet.errors import FormatError, MissingVariableError
from obsnet.schema import Quality
from retrieval.products.read import open_fields, read_granule
from retrieval.readers.time_values import parse_times
from tests.retrieval import synthetic


def fields_of(tmp_path, variables, attributes, **choice):
    return open_fields(synthetic.write(tmp_path / "a.nc4", variables, attributes), **choice)


def test_fill_under_missing_value_only(tmp_path):
    variables, attributes = synthetic.lite(5)
    values = variables["Sounding/altitude"][0].copy()
    values[1] = -999999.0
    variables["Sounding/altitude"] = (
        values,
        {"units": "meters", "missing_value": np.array([-999999.0], np.float32)},
    )
    fields = fields_of(tmp_path, variables, attributes)
    with fields.source:
        assert np.flatnonzero(np.isnan(fields.number("altitude_m"))).tolist() == [1]


@pytest.mark.parametrize("fill", [np.int16(-1), "Missing", np.float64(-999999.0)])
def test_fill_that_the_type_cannot_hold_marks_nothing(tmp_path, fill):
    variables, attributes = synthetic.lite(5)
    variables["Sounding/land_fraction"] = (np.array([0, 50, 100, 255, 7], np.uint8), {"missing_value": fill})
    fields = fields_of(tmp_path, variables, attributes)
    with fields.source:
        found = fields.raw("Sounding/land_fraction")
    assert found.tolist() == [0, 50, 100, 255, 7]


def test_integer_fill_becomes_nan(tmp_path):
    variables, attributes = synthetic.lite(5)
    variables["Sounding/land_fraction"] = (
        np.array([0, 50, 127, 100, 100], np.int8),
        {"units": "percent", "missing_value": np.int8(127)},
    )
    fields = fields_of(tmp_path, variables, attributes)
    with fields.source:
        np.testing.assert_array_equal(fields.number("land_fraction"), [0, 0.5, np.nan, 1, 1])


def test_fill_that_only_the_table_knows(tmp_path):
    """-9999.99 of the proxy product would be averaged in by a plain reader."""
    variables, attributes = synthetic.cci("ch4", 9)
    x = variables["xch4"][0].copy()
    x[4] = np.float32(-9999.99)
    variables["xch4"] = (x, variables["xch4"][1])
    path = synthetic.write(tmp_path / "ESACCI-GHG-L2-CH4-GOSAT-OCPR-20120101-fv7.2.nc", variables, attributes)
    table = read_granule(path).table
    value = table["value"].to_numpy(zero_copy_only=False)
    assert np.flatnonzero(np.isnan(value)).tolist() == [4]
    assert np.nanmean(value) > 1800


def test_unequal_lengths_are_named(tmp_path):
    variables, attributes = synthetic.lite(9)
    variables["latitude"] = (variables["latitude"][0][:7], variables["latitude"][1])
    path = synthetic.write(tmp_path / "a.nc4", variables, attributes)
    with pytest.raises(FormatError, match=r"latitude has shape \(7,\), which does not fit xco2 with \(9,\)"):
        read_granule(path)


def test_profile_where_one_number_is_expected_and_the_other_way(tmp_path):
    variables, attributes = synthetic.lite(9)
    variables["latitude"] = variables["pressure_levels"]
    with pytest.raises(FormatError, match=r"latitude \(latitude\) has 20 values a sounding, not one"):
        read_granule(synthetic.write(tmp_path / "a.nc4", variables, attributes))
    variables, attributes = synthetic.lite(9)
    variables["pressure_weight"] = variables["latitude"]
    with pytest.raises(FormatError, match="the kernel has 20 levels but there are 9 of weights"):
        read_granule(synthetic.write(tmp_path / "b.nc4", variables, attributes))


def test_text_where_numbers_are_expected(tmp_path):
    variables, attributes = synthetic.lite(3)
    variables["latitude"] = (np.array([b"30N", b"31N", b"32N"]), {})
    with pytest.raises(FormatError, match=r"latitude holds \|S3, not numbers"):
        read_granule(synthetic.write(tmp_path / "a.nc4", variables, attributes))


def test_find_by_role_extra_path_and_last_part(tmp_path):
    fields = fields_of(tmp_path, *synthetic.lite(4))
    with fields.source:
        assert fields.find("raw") == "Retrieval/xco2_raw"
        assert fields.find("uncertainty") == "xco2_uncertainty"
        assert fields.find("Retrieval/psurf") == "Retrieval/psurf"
        assert fields.find("CO2_GRAD_DEL") == "Retrieval/co2_grad_del"
        with pytest.raises(MissingVariableError, match="no variable 'albedo'"):
            fields.find("albedo")


def test_ambiguous_last_part(tmp_path):
    variables, attributes = synthetic.lite(4)
    variables["Auxiliary/psurf"] = variables["Retrieval/psurf"]
    fields = fields_of(tmp_path, variables, attributes)
    with (
        fields.source,
        pytest.raises(FormatError, match="'psurf' could be Auxiliary/psurf or Retrieval/psurf"),
    ):
        fields.find("psurf")


@pytest.mark.parametrize(
    ("values", "unit", "wanted"),
    [
        ([0.5], "seconds since 1970-01-01 00:00:00", "1970-01-01T00:00:00.500000"),
        ([1500], "milliseconds since 2019-03-11 00:00:00", "2019-03-11T00:00:01.500000"),
        ([2], "days since 2020-01-01", "2020-01-03T00:00:00.000000"),
        ([1], "hours since 2020-01-01T12:00:00Z", "2020-01-01T13:00:00.000000"),
        ([60], "s since 2010-01-01 00:00:00 UTC", "2010-01-01T00:01:00.000000"),
        ([1], "minutes since 2010-01-01 00:00:00.0 +00:00", "2010-01-01T00:01:00.000000"),
        ([1], "seconds since 1970-1-1 0:0:0", "1970-01-01T00:00:01.000000"),
        ([1], "secs since 1970-01-01 00:00:00", "1970-01-01T00:00:01.000000"),
        ([1], "hrs since 1970-01-01 08:00 +08:00", "1970-01-01T01:00:00.000000"),
        ([2], "Days  since 1900-1-1", "1900-01-03T00:00:00.000000"),
        ([1e3], "msec since 1970-01-01T00:00:00.000Z", "1970-01-01T00:00:01.000000"),
    ],
)
def test_units_of_time(values, unit, wanted):
    found = parse_times(np.array(values), unit, "file: time")
    assert np.datetime_as_string(found, "us").tolist() == [wanted]


@pytest.mark.parametrize(
    "text",
    [b"2011-04-19T00:26:10.901Z", "2011-04-19 00:26:10.901", b"2011-04-19T00:26:10.901000Z\0\0"],
)
def test_text_times(text):
    found = parse_times(np.array([text]), "", "file: time")
    assert np.datetime_as_string(found, "ms").tolist() == ["2011-04-19T00:26:10.901"]


def test_no_time_is_no_time():
    assert np.isnat(
        parse_times(np.array([-999999.0, np.nan]), "seconds since 1970-01-01", "x", [-999999.0])
    ).all()
    assert np.isnat(parse_times(np.array([b"", b"  "]), "", "x")).all()
    assert np.isnat(parse_times(np.array([[-9999] * 6], np.int16), "", "x")).all()


@pytest.mark.parametrize(
    ("values", "unit", "why"),
    [
        ([1.0], "seconds", "not '<unit> since <date>'"),
        ([1.0], "fortnights since 2000-01-01", "not '<unit> since <date>'"),
        ([1.0], "seconds since yesterday", "not '<unit> since <date>'"),
        ([1.0], "seconds since 2020-13-01", "not '<unit> since <date>'"),
        ([1.0], "months since 2020-01-01", "not '<unit> since <date>'"),
        ([b"noon"], "", "not times in ISO 8601"),
        ([[1] * 8], "", "8 columns of a date"),
    ],
)
def test_times_that_cannot_be_read(values, unit, why):
    with pytest.raises(FormatError, match=f"file: time.*{why}"):
        parse_times(np.array(values), unit, "file: time")


def test_a_calendar_of_models_is_refused():
    with pytest.raises(FormatError, match="file: time is in the calendar '360_day', not the civil one"):
        parse_times(np.array([1.0]), "days since 2020-01-01", "file: time", calendar="360_day")


def test_dates_count_days_and_leap_years():
    rows = np.array([[2020, 2, 29, 23, 59, 58, 7], [2019, 12, 31, 0, 0, 0, 0]], np.int16)
    found = parse_times(rows, "", "x")
    assert np.datetime_as_string(found, "ms").tolist() == [
        "2020-02-29T23:59:58.007",
        "2019-12-31T00:00:00.000",
    ]


def test_one_profile_for_the_whole_file_even_with_as_many_soundings_as_levels(tmp_path):
    """Twenty soundings on twenty levels: a weight profile must not be taken for one weight a sounding."""
    variables, attributes = synthetic.lite(20)
    variables["pressure_weight"] = (variables["pressure_weight"][0][3], variables["pressure_weight"][1])
    fields = fields_of(tmp_path, variables, attributes)
    with fields.source:
        found = fields.profile("pressure_weight", flip=True)
        part = fields.profile("pressure_weight", np.array([2, 5]))
    np.testing.assert_array_equal(found, np.tile(variables["pressure_weight"][0][::-1], (20, 1)))
    assert part.shape == (2, 20)


def test_nan_as_declared_fill(tmp_path):
    variables, attributes = synthetic.lite(5)
    variables["Sounding/land_fraction"] = (
        np.array([0, 50, 100, 100, 7], np.uint8),
        {"_FillValue": np.nan, "units": "percent"},
    )
    values = variables["xco2"][0].copy()
    values[2] = np.nan
    variables["xco2"] = (values, {"units": "ppm", "_FillValue": np.float32(np.nan)})
    table = read_granule(synthetic.write(tmp_path / "a.nc4", variables, attributes)).table
    assert table["land_fraction"].to_pylist() == pytest.approx([0, 0.5, 1, 1, 0.07])
    assert np.flatnonzero(np.isnan(table["value"].to_numpy(zero_copy_only=False))).tolist() == [2]


def test_scan_line_without_time(tmp_path):
    variables, attributes, _ = synthetic.s5p(3, 2, valid=2.0)
    delta = variables["PRODUCT/delta_time"][0].copy()
    delta[0, 1] = -2147483647
    variables["PRODUCT/delta_time"] = (delta, variables["PRODUCT/delta_time"][1])
    table = read_granule(synthetic.write(tmp_path / "a.nc", variables, attributes)).table
    flags = table["quality"].to_numpy() & int(Quality.TIME)
    assert np.flatnonzero(flags).tolist() == [2, 3]
