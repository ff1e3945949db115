"""A user's own table through a TOML."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import ConfigError, FormatError
from obsnet.schema import Quality
from stations import read

TOML = """
[file]
missing = [-1]
[site]
code = "LAN"
latitude = 30.30
longitude = 119.73
altitude_m = 138.0
intake_height_m = 10.0
[time]
columns = ["date", "clock"]
format = "%Y/%m/%d %H:%M"
zone = "UTC+08:00"
stamp = "start"
interval = "1h"
[[series]]
species = "CO2"
unit = "ppm"
scale = "WMO CO2 X2019"
value = "co2"
sd = "sd"
flag = "flag"
[[series]]
species = "CH4"
unit = "ppm"
value = "ch4"
[flags]
good = ["0"]
rejected = ["1"]
selection = ["2"]
suspect = ["3"]
"""

TABLE = """# synthetic
date,clock,co2,sd,ch4,flag
2020/01/01,08:00,410.1,0.2,1.95,0
2020/01/01,09:00,411.2,0.3,1.96,1
2020/01/01,10:00,-1,0.0,1.97,2
2020/01/01,11:00,413.4,0.4,n/k,3
2020/01/01,12:00,414.5,0.5,1.99,9
"""


def mine(tmp_path, table=TABLE, toml=TOML, species=None, encoding="utf-8", **options):
    (tmp_path / "mine.csv").write_bytes(table.encode(encoding))
    (tmp_path / "mine.toml").write_text(toml, encoding="utf-8")
    return read(tmp_path / "mine.csv", species, config=tmp_path / "mine.toml", **options)


def test_a_described_table(tmp_path):
    record = mine(tmp_path)
    assert record["time_start"].values[0] == np.datetime64("2020-01-01T00:00")  # 08:00 in Beijing
    assert record["time"].values[0] == np.datetime64("2020-01-01T00:30")
    np.testing.assert_array_equal(record["value"].values, [410.1, 411.2, np.nan, 413.4, 414.5])
    np.testing.assert_array_equal(record["sd"].values, [0.2, 0.3, np.nan, 0.4, 0.5])
    assert (record.attrs["scale"], record.attrs["site"], record.attrs["format"]) == (
        "WMO CO2 X2019",
        "LAN",
        "custom",
    )
    assert record["latitude"].values[0] == 30.30
    bits = [0, Quality.PRODUCER, Quality.SELECTION | Quality.RANGE, Quality.SUSPECT, Quality.PRODUCER]
    assert record["quality"].values.tolist() == [int(b) for b in bits]
    assert record["quality_original"].values.tolist() == ["0", "1", "2", "3", "9"]
    assert "1 rows have the unknown flag '9'; taken as rejected" in record.attrs["warnings"]
    assert "5 times brought from UTC+08:00 to UTC (-8 h)" in record.attrs["changes"]
    assert "1 fill values of co2 set to missing" in record.attrs["changes"]


def test_another_series_of_the_table(tmp_path):
    record = mine(tmp_path, species="CH4")
    assert record["value"].values[0] == pytest.approx(1950.0)
    assert "1 cells of ch4 are no numbers; set to missing" in record.attrs["warnings"]


SUMMER = "date,clock,co2,sd,ch4,flag\n1988/01/15,12:00,350,0.1,1.8,0\n1988/07/15,12:00,351,0.1,1.8,0\n"


@pytest.mark.parametrize(("followed", "july"), [("true", "03:00"), ("false", "04:00")])
def test_a_named_zone_asks_whether_the_clock_followed_the_summer_time_of_1986_to_1991(
    tmp_path, followed, july
):
    toml = TOML.replace('zone = "UTC+08:00"', f'zone = "Asia/Shanghai"\nsummer_time = {followed}')
    record = mine(tmp_path, SUMMER, toml)
    expected = np.array(["1988-01-15T04:00", f"1988-07-15T{july}"], "datetime64[ns]")
    np.testing.assert_array_equal(record["time_start"].values, expected)


def test_a_zone_with_summer_time_is_not_guessed_at(tmp_path):
    toml = TOML.replace("UTC+08:00", "Asia/Shanghai")
    with pytest.raises(
        ConfigError, match="Asia/Shanghai had summer time in 1988: say whether the clock followed it"
    ):
        mine(tmp_path, SUMMER, toml)
    july = SUMMER.replace("1988/01/15,12:00,350,0.1,1.8,0\n", "")  # in July alone the offset does not change
    with pytest.raises(ConfigError, match=r"time.summer_time = true or false"):
        mine(tmp_path, july, toml)
    assert mine(tmp_path, TABLE, toml)["time_start"].values[0] == np.datetime64("2020-01-01T00:00")


@pytest.mark.parametrize(
    ("format", "texts"),
    [
        ("%Y/%m/%d %H:%M", ["2020/02/28 24:00", "2020/12/31 24:00", "2020/01/01 12:24"]),
        ("%Y%m%d%H", ["2020022824", "2020123124", "2020010112"]),
        ("%d.%m.%Y %H:%M:%S", ["28.02.2020 24:00:00", "31.12.2020 24:00:00", "24.01.2020 12:24:00"]),
        ("%Y-%m-%d %H", ["2020-02-28 24", "2020-12-31 24", "2020-01-24 12"]),
        ("", ["2020-02-28T24:00", "2020-12-31 24:00:00", "2020-01-24T12:24"]),
        ("", ["2020-02-28T24:00Z", "2020-12-31T24:00Z", "2020-01-24T12:24Z"]),
        ("", ["2020/02/28 24:00", "2020/12/31 24:00:00", "2020/01/24 12:24"]),
        ("%Y-%m-%d %H:%M%z", ["2020-02-28 24:00+0000", "2020-12-31 24:00Z", "2020-01-24 12:24+0000"]),
        ("", ["2020-02-28 24:00 +0000", "2020-12-31 24:00 +0000", "2020-01-24 12:24 +0000"]),
    ],
)
def test_24_00_is_the_next_midnight_in_any_format(tmp_path, format, texts):
    toml = TOML.replace('columns = ["date", "clock"]', 'columns = ["date"]').replace("UTC+08:00", "UTC")
    toml = toml.replace('format = "%Y/%m/%d %H:%M"', f'format = "{format}"' if format else "")
    table = "date,co2,sd,ch4,flag\n" + "".join(f"{t},400,0.1,1.9,0\n" for t in texts)
    record = mine(tmp_path, table, toml)
    assert (record["quality"].values == 0).all()
    assert record["time_start"].values.astype("datetime64[h]").astype(str).tolist()[1:] == [
        "2020-02-29T00",
        "2021-01-01T00",
    ]
    assert "2 times of 24:00 taken as the next midnight" in record.attrs["changes"]


def test_24_30_is_no_time(tmp_path):
    record = mine(tmp_path, TABLE.replace("09:00", "24:30"))
    assert (record["quality"].values & Quality.TIME > 0).sum() == 1


def test_of_repeated_rows_the_first_good_one_stays(tmp_path):
    flags = {"rejected first": "1,0,0", "rejected last": "0,0,1", "background beats selection": "2,0,0"}
    for name, three in flags.items():
        rows = "".join(f"2020/01/01,08:00,41{k}.0,0.2,1.95,{f}\n" for k, f in enumerate(three.split(",")))
        record = mine(tmp_path, "date,clock,co2,sd,ch4,flag\n" + rows)
        good = record["value"].values[record["quality"].values == 0].tolist()
        assert good == [410.0 if name == "rejected last" else 411.0], name
    assert "2 rows repeat the time, intake and sample of another row" in "".join(record.attrs["warnings"])


def test_decimal_commas_are_read_where_said_and_named_where_not(tmp_path):
    table = TABLE.replace("2020/01/01,", "2020/01/01;").replace(",", ";").replace(".", ",")
    toml = TOML.replace("[file]", '[file]\nseparator = ";"\ndecimal = ","')
    assert mine(tmp_path, table, toml)["value"].values[[0, 1]].tolist() == [410.1, 411.2]
    with pytest.raises(
        FormatError, match=r"cells of co2 such as '410,1' have a decimal comma: set file.decimal"
    ):
        mine(tmp_path, table, toml.replace('decimal = ","', ""))
    with pytest.raises(FormatError, match="cells of co2 such as 'x' are no numbers"):
        mine(tmp_path, "date,clock,co2,sd,ch4,flag\n2020/01/01,08:00,x,0.2,1.95,0\n")


def test_chinese_text_is_read_or_named_as_it_is(tmp_path):
    table = "站点,date,clock,二氧化碳,flag\n临安,2020/01/01,08:00,410.1,0\n"
    toml = TOML.replace('value = "co2"\nsd = "sd"', 'value = "二氧化碳"')
    record = mine(tmp_path, table, toml, encoding="gbk")
    assert record["value"].values.tolist() == [410.1]
    assert "1 file is not UTF-8 and was read as GB18030" in record.attrs["changes"]
    with pytest.raises(
        FormatError, match="is not 'utf-8' text .*'gb18030', in which it begins '站点,date,clock,二氧化碳"
    ):
        mine(tmp_path, table, toml.replace("[file]", '[file]\nencoding = "utf-8"'), encoding="gbk")
    with pytest.raises(FormatError, match="no encoding 'utf-88' is known"):
        mine(tmp_path, table, toml.replace("[file]", '[file]\nencoding = "utf-88"'))
    (tmp_path / "x.csv").write_bytes(table.encode("gbk"))
    with pytest.raises(FormatError, match="it begins '站点,date"):
        read(tmp_path / "x.csv")


@pytest.mark.parametrize("sheet", ["", 'sheet = "hours"'])
def test_a_workbook_is_a_table_too(tmp_path, sheet):
    import datetime as dt

    import openpyxl

    book = openpyxl.Workbook()
    page = book.active
    page.title = "hours"
    page.append(["Lin'an, hourly means"])
    page.append(["date", "clock", "co2", "flag"])
    page.append([dt.datetime(2020, 1, 1), dt.time(8), 410.1, 0])
    page.append([dt.datetime(2020, 1, 1), "24:00", 411.0, 1])
    page.append([dt.datetime(2020, 1, 3), dt.time(9, 30), None, 2])
    page.append([dt.datetime(2020, 1, 3), dt.timedelta(days=1), 412.0, 0])  # 24:00 in a cell of times
    page["B6"].number_format = "[h]:mm"
    book.create_sheet("other")
    book.save(tmp_path / "mine.xlsx")
    toml = TOML.replace("[file]", f"[file]\nskip_lines = 1\n{sheet}").replace('sd = "sd"\n', "")
    (tmp_path / "mine.toml").write_text(toml.replace("%Y/%m/%d", "%Y-%m-%d"))
    record = read(tmp_path / "mine.xlsx", config=tmp_path / "mine.toml")
    np.testing.assert_array_equal(record["value"].values, [410.1, 411.0, np.nan, 412.0])
    assert record["time_start"].values.astype("datetime64[m]").astype(str).tolist() == [
        "2020-01-01T00:00",
        "2020-01-01T16:00",
        "2020-01-03T01:30",
        "2020-01-03T16:00",
    ]
    assert record["quality_original"].values.tolist() == ["0", "1", "2", "0"]
    (tmp_path / "mine.toml").write_text(
        toml.replace("[file]", '[file]\nsheet = "none"', 1) if not sheet else toml
    )
    if not sheet:
        with pytest.raises(FormatError, match="cannot be read as the table"):
            read(tmp_path / "mine.xlsx", config=tmp_path / "mine.toml")


def test_tabs_chinese_encoding_lines_above_and_columns_without_names(tmp_path):
    names = '["date", "clock", "co2", "sd", "ch4", "flag"]'
    lines = ["[file]", 'separator = "tab"', 'encoding = "gbk"', "skip_lines = 2", f"columns = {names}"]
    toml = TOML.replace("[file]", "\n".join(lines))
    table = "临安站\n二氧化碳\n2020/01/01\t08:00\t410.1\t0.2\t1.95\t0\n"
    assert mine(tmp_path, table, toml, encoding="gbk")["value"].values.tolist() == [410.1]
    with pytest.raises(FormatError, match="is not 'utf-8' text"):
        mine(tmp_path, table, toml.replace("gbk", "utf-8"), encoding="gbk")


def test_months_and_iso_times_with_an_offset(tmp_path):
    toml = TOML.replace(
        'columns = ["date", "clock"]\nformat = "%Y/%m/%d %H:%M"', 'columns = ["date"]'
    ).replace('"1h"', '"month"')
    table = "date,co2,sd,ch4,flag\n2020-02-01T00:00:00+00:00,410.1,0.2,1.9,0\n"
    record = mine(tmp_path, table, toml)
    assert record["time_end"].values[0] == np.datetime64("2020-03-01")


def test_every_fault_of_the_description_at_once(tmp_path):
    bad = (
        TOML.replace('code = "LAN"', "")
        .replace('stamp = "start"', 'stamp = "begin"')
        .replace("[flags]", "[flag]")
    )
    with pytest.raises(ConfigError) as error:
        mine(tmp_path, toml=bad)
    text = str(error.value)
    assert "'site.code' is missing" in text
    assert "time.stamp = 'begin'" in text
    assert "unknown key 'flag'; nearest: 'flags'" in text


def test_a_column_that_is_not_there_names_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="no column 'co'; nearest: 'co2'"):
        mine(tmp_path, toml=TOML.replace('value = "co2"', 'value = "co"'))


def test_times_that_do_not_fit_are_flagged(tmp_path):
    record = mine(tmp_path, TABLE.replace("2020/01/01,09:00", "1 January,nine"))
    assert np.isnat(record["time"].values).sum() == 1
    assert "1 rows have no possible time (flagged 'time')" in record.attrs["warnings"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('interval = "1h"', 'interval = "soon"', "time.interval 'soon' is no length of time"),
        ('interval = "1h"', 'interval = "24"', "time.interval '24' is no length of time"),
        ('interval = "1h"', 'interval = "1m"', "time.interval '1m' is no length of time"),
        ('interval = "1h"', f'interval = "{9:0<400}h"', "is no length of time"),
        ('interval = "1h"', 'interval = "100000 d"', "is no length of time"),
        ('interval = "1h"\n', "", "time.stamp 'start' names a part of an interval, whose length is not said"),
        ('zone = "UTC+08:00"', 'zone = "Mars/Base"', "time zone 'Mars/Base' is not known here"),
        ('species = "CH4"', 'species = "CO2"', "a species is described twice"),
    ],
)
def test_mistakes_say_how_to_mend_them(tmp_path, old, new, message):
    with pytest.raises(ConfigError, match=message):
        mine(tmp_path, toml=TOML.replace(old, new))


@pytest.mark.parametrize("said", ["1H", "60 min", "3600s", "1 hour"])
def test_lengths_of_time_as_people_write_them(tmp_path, said):
    assert mine(tmp_path, toml=TOML.replace('"1h"', f'"{said}"')).attrs["interval_seconds"] == 3600.0


def test_an_interval_that_is_longer_than_the_step_is_said(tmp_path):
    table = TABLE.replace(",1\n", ",0\n")
    said = "1 rows share more than half of their time with the next one: the interval is longer than the step"
    assert said in mine(tmp_path, table, TOML.replace('"1h"', '"1 d"')).attrs["warnings"]
    assert not any("half of their time" in w for w in mine(tmp_path, table).attrs["warnings"])


def test_of_two_columns_of_one_name_none_is_taken(tmp_path):
    with pytest.raises(ConfigError, match="2 columns are named 'co2'"):
        mine(tmp_path, TABLE.replace("clock,co2,sd,ch4", "clock,co2,sd,co2"))


@pytest.mark.parametrize(
    ("name", "cells", "said"),
    [
        (
            "sampling_height",
            ("10", "80"),
            "several intakes .10, 80.: say site.intake_height_m = 'sampling_height'",
        ),
        ("inlet", ("10m", "80 m"), "several intakes"),
        ("采样高度", ("10", "80"), "several intakes"),
        ("level", ("10", "80"), "several intakes"),
        ("level", ("1", "2"), ""),
        ("boundary layer height", ("812.5", "high"), ""),
        ("gas", ("CO2", "CH4"), "several substances"),
        ("站点", ("瓦里关", "临安"), "several sites"),
        ("station_id", ("7", "7"), ""),
    ],
)
def test_a_column_that_nobody_named_makes_several_records(tmp_path, name, cells, said):
    _, first, *rows = TABLE.splitlines()
    table = "\n".join([f"{first},{name}", *(f"{row},{cells[i % 2]}" for i, row in enumerate(rows))])
    toml = "\n".join(line for line in TOML.splitlines() if not line.startswith("intake_height_m"))
    if not said:
        assert mine(tmp_path, table, toml).sizes["time"] == len(rows)
        return
    with pytest.raises(ConfigError, match=said):
        mine(tmp_path, table, toml)
    if "intakes" in said:
        one = mine(tmp_path, table, toml.replace("[site]", "[site]\nintake_height_m = 10.0"))
        assert any("taken as of one intake" in w for w in one.attrs["warnings"])
        by_column = mine(tmp_path, table, toml.replace("[site]", "[site]\nintake_height_m = 'sd'"))
        assert not any("taken as of one intake" in w for w in by_column.attrs["warnings"])


def test_without_a_description_there_is_a_hint(tmp_path):
    (tmp_path / "mine.csv").write_text(TABLE)
    with pytest.raises(FormatError, match="describe its columns in a TOML and give it with --config"):
        read(tmp_path / "mine.csv")
    with pytest.raises(ConfigError, match="needs a TOML that describes it"):
        read(tmp_path / "mine.csv", format="custom")


def test_rows_longer_than_the_line_of_names_are_refused(tmp_path):
    with pytest.raises(FormatError, match="its rows have more columns than the 6 names"):
        mine(tmp_path, TABLE.replace(",0\n", ",0,x\n").replace(",1\n", ",1,x\n").replace(",2\n", ",2,x\n"))


def test_samples_keep_their_names(tmp_path):
    toml = TOML.replace('flag = "flag"', 'flag = "flag"\nsample_id = "clock"')
    assert mine(tmp_path, toml=toml)["sample_id"].values.tolist()[:2] == ["08:00", "09:00"]


def test_a_time_format_that_is_none_is_named(tmp_path):
    with pytest.raises(ConfigError, match="times such as '2020/01/01 08:00' do not fit time.format"):
        mine(tmp_path, toml=TOML.replace("%H:%M", "%Q:%M"))


def test_what_cannot_be_a_table_is_refused(tmp_path):
    with pytest.raises(FormatError, match="cannot be read as the table that the TOML describes"):
        mine(tmp_path, "# nothing but a comment\n")


def test_what_a_description_says_against_the_table_is_told(tmp_path):
    """Its times are of another zone or end at 24:00, its column is of wet air."""
    plain = TOML.replace('format = "%Y/%m/%d %H:%M"\n', "")
    table = TABLE.replace(":00,", ":00Z,").replace("2020/01/01", "2020-01-01").replace("co2", "co2_wet")
    record = mine(tmp_path, table, plain.replace('value = "co2"', 'value = "co2_wet"'), "CO2")
    assert record["time_start"].values[0] == np.datetime64("2020-01-01T08:00")
    assert record.attrs["warnings"][:2] == [
        "5 times name another offset from UTC than time.zone, UTC+08:00: their own was taken",
        "5 values are of column 'co2_wet', which by its name is of wet air: taken as dry mole fractions",
    ]
    ends = mine(tmp_path, TABLE.replace("12:00", "24:00")).attrs["warnings"]
    assert ends[0] == "1 times of 24:00 are ends of their intervals, and time.stamp is 'start'"
