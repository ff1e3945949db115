"""Stack files: what is read out of them, and what is refused."""

import numpy as np
import pytest

from obsnet.errors import ConfigError, FormatError, ObsnetError, RangeError
from retrieval.plants.compare.profile import year_profile
from retrieval.plants.options import StackOptions, YearOptions
from retrieval.plants.stack.layout import amount_unit
from retrieval.plants.stack.read import read_stack
from tests.docs.pages import DOCS, blocks
from tests.retrieval.plants.world import campd_rows, write


def read(path, **more):
    return read_stack(StackOptions(stack=[path], **({"utc_offset": -6} | more)))


def test_short_tons_of_all_units_at_utc(tmp_path):
    record = read(write(tmp_path / "a.csv", campd_rows(tons=100.0)))
    assert record.start == np.datetime64("2023-01-01T06", "h")
    assert record.units == ("1", "2")
    np.testing.assert_allclose(record.mass, 2 * 100.0 * 907.18474, rtol=1e-12)
    window = record.window(np.datetime64("2023-01-01T12:15"), np.datetime64("2023-01-01T14:00"))
    assert window.rate == pytest.approx(200 * 907.18474 / 3600)
    assert window.error == pytest.approx(0.05 * window.rate)
    said = " ".join(record.notes)
    for word in (
        "CAMPD",
        "short tons",
        "UTC-6",
        "units added up: 1, 2",
        "measured 100.0% (error 5%, assumed)",
    ):
        assert word in said


def test_a_window_weighs_hours_by_the_part_inside(tmp_path):
    rows = campd_rows(units=("1",))
    rows[10]["CO2 Mass (short tons)"] = 300.0
    record = read(write(tmp_path / "a.csv", rows), utc_offset=0)
    half = record.window(np.datetime64("2023-01-01T09:30"), np.datetime64("2023-01-01T10:30"))
    assert half.rate * 3600 / 907.18474 == pytest.approx(200.0)


def test_operating_time_multiplies_rates_and_not_masses(tmp_path):
    masses = read(write(tmp_path / "a.csv", campd_rows(operating=0.5, units=("1",))))
    np.testing.assert_allclose(masses.mass, 100 * 907.18474)
    layout = tmp_path / "own.toml"
    layout.write_text(
        'unit = "lb/h"\nstamp = "start"\n[columns]\nunit = ["Unit ID"]\ndate = ["Date"]\nhour = ["Hour"]\n'
        'value = ["CO2 Mass (short tons)"]\noperating_time = ["Operating Time"]\n'
    )
    rates = read(tmp_path / "a.csv", layout=str(layout))
    np.testing.assert_allclose(rates.mass, 100 * 0.45359237 * 0.5)
    assert any("times the time in operation" in n for n in rates.notes)


def test_standing_still_is_zero_and_a_blank_in_operation_is_missing(tmp_path):
    rows = campd_rows(hours=24)
    rows[3] |= {"Operating Time": 0, "CO2 Mass (short tons)": "", "CO2 Mass Measure Indicator": ""}
    rows[5] |= {"CO2 Mass (short tons)": ""}  # of unit 1 only: the plant's hour is not known
    del rows[7]
    record = read(write(tmp_path / "a.csv", rows))
    assert record.mass[3] == pytest.approx(100 * 907.18474)
    assert np.flatnonzero(np.isnan(record.mass)).tolist() == [5, 7]
    assert any("hours without the value of every unit: 2 of 24" in n for n in record.notes)


def test_substituted_hours_have_the_larger_error_that_is_stated(tmp_path):
    rows = campd_rows(hours=24, units=("1",))
    rows[2]["CO2 Mass Measure Indicator"] = "Substitute"
    record = read(write(tmp_path / "a.csv", rows), stack_errors={"substitute": 0.3})
    np.testing.assert_allclose(record.error / record.mass, np.where(np.arange(24) == 2, 0.3, 0.05))
    window = record.window(np.datetime64("2023-01-01T08:00"), np.datetime64("2023-01-01T09:00"))
    assert window.substituted == 1.0


def chinese(n=24, first=0, **more):
    hours = range(first, first + n)
    row = {"排放量": "90", "单位": "吨", "数据标识": "实测"} | more
    return [{"小时": f"2024-07-01 {h:02d}:00"} | row for h in hours]


def test_a_chinese_table(tmp_path):
    path = write(tmp_path / "b.csv", chinese())
    path.write_bytes(path.read_text(encoding="utf-8").encode("gb18030"))
    record = read(path, utc_offset=8, stamp="end")
    assert record.start == np.datetime64("2024-06-30T15", "h")  # 00:00 names the hour that ends at midnight
    np.testing.assert_allclose(record.mass, 90e3)
    assert any("GB 18030" in n for n in record.notes)


def test_hours_from_1_to_24_are_named_by_their_end(tmp_path):
    record = read(write(tmp_path / "b.csv", chinese(first=1)), utc_offset=8)
    assert record.start == np.datetime64("2024-06-30T16", "h")
    assert record.mass.size == 24


def test_an_offset_in_the_stamps_needs_no_option(tmp_path):
    rows = [r | {"小时": r["小时"].replace(" ", "T") + "+08:00"} for r in chinese()]
    record = read(write(tmp_path / "b.csv", rows), utc_offset=None, stamp="start")
    assert record.start == np.datetime64("2024-06-30T16", "h")
    assert record.utc_offset == 8


def test_daily_totals(tmp_path):
    rows = campd_rows(hours=72)
    days = [r | {"CO2 Mass (short tons)": 2400.0} for r in rows if r["Hour"] == 0]
    for d in days:
        del d["Hour"]
    hourly = write(tmp_path / "a.csv", rows)
    record = read(hourly, daily=write(tmp_path / "d.csv", days))
    assert any("within 1% on 6 of 6 days" in n for n in record.notes)
    days[0]["CO2 Mass (short tons)"] = 2500.0
    record = read(hourly, daily=write(tmp_path / "d.csv", days))
    assert any("on 5 of 6 days; the largest gap is 4.0% on 2023-01-01" in n for n in record.notes)
    wrong = [d | {"CO2 Mass (short tons)": 2177.0} for d in days]  # metric tons in the place of short ones
    with pytest.raises(FormatError, match="do not add up to the daily totals on 6 of 6 days"):
        read(hourly, daily=write(tmp_path / "d.csv", wrong))


def edited(change, **more):
    rows = campd_rows(**({"hours": 24} | more))
    out = change(rows)
    return rows if out is None else out


def summer(rows):
    """Return the rows as a clock with summer time has them: without 02 on the second Sunday of March."""
    return [r for r in rows if not (r["Date"] == "2023-03-12" and r["Hour"] == 2)]


def winter(rows):
    return [*rows, *(dict(r) for r in rows if r["Date"] == "2023-11-05" and r["Hour"] == 1)]


BAD = {
    "no offset": (lambda r: None, {"utc_offset": None}, {}, "nothing says how far it is from UTC"),
    "negative": (lambda r: r[4].update({"CO2 Mass (short tons)": -1}), {}, {}, "row 6.*negative"),
    "text": (lambda r: r[4].update({"CO2 Mass (short tons)": "much"}), {}, {}, "row 6.*'much' is not a number"),
    "minutes": (lambda r: r[0].update({"Operating Time": 60}), {}, {}, "60 is no share of an hour"),
    "flag": (lambda r: r[0].update({"CO2 Mass Measure Indicator": "Mesured"}), {}, {}, "'Mesured'.*'Measured'"),
    "twice": (lambda r: [*r, dict(r[3])], {}, {}, "2023-01-01 03:00 of unit 1 stands there twice; which one"),
    "spring": (summer, {}, {"start": "2023-03-10", "hours": 96}, "2023-03-12 02:00, a Sunday.*summer time"),
    "autumn": (winter, {}, {"start": "2023-11-03", "hours": 96}, "2023-11-05 01:00 .*twice: a clock that goes back"),
    "plants": (lambda r: r + campd_rows(name="Other"), {}, {}, "2 plants; say which with --plant"),
    "no plant": (lambda r: None, {"plant": "Mil Creek"}, {}, "no plant 'Mil Creek'; nearest: 'Mill Creek'"),
    "unit": (lambda r: r[0].update({"CO2 Mass (short tons)": 1e5}), {}, {}, "more than any unit emits"),
    "date": (lambda r: r[0].update({"Date": "01-13-2023"}), {}, {}, "row 2: '01-13-2023 0' is not the begin"),
    "hour 24": (lambda r: r[23].update({"Hour": 24}), {}, {}, "hour 24 in row 25"),
    "layout": (lambda r: [{"a": 1, "b": 2}], {}, {}, "no known layout"),
    "column": (lambda r: [x for x in r if x.pop("Hour") >= 0], {"layout": "campd"}, {}, "no column 'Hour'"),
    "stamp": (lambda r: None, {"stamp": "end"}, {}, "named by their start, --stamp says end"),
    "span": (lambda r: r[0].update({"Date": "1900-01-01"}), {}, {}, "no monitor ran so long"),
    "empty": (lambda r: r[:0] or [dict.fromkeys(r[0], "")], {}, {}, "no rows below the headings"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files_get_one_clear_line(tmp_path, name):
    change, options, world, text = BAD[name]
    path = write(tmp_path / "a.csv", edited(change, **world))
    with pytest.raises(ObsnetError, match=text) as caught:
        read(path, **options)
    assert "\n" not in str(caught.value)
    assert "a.csv" in str(caught.value)


def test_a_gap_of_spring_is_a_gap_if_the_user_says_so(tmp_path):
    path = write(tmp_path / "a.csv", summer(campd_rows("2023-03-10", 96)))
    assert np.isnan(read(path, clock="standard").mass).sum() == 1


def test_chinese_files_that_can_be_read_in_two_ways(tmp_path):
    path = write(tmp_path / "b.csv", chinese())
    with pytest.raises(FormatError, match="--stamp start or --stamp end"):
        read(path, utc_offset=8)
    with pytest.raises(FormatError, match="without the time in operation"):
        read(write(tmp_path / "c.csv", chinese(单位="吨/小时")), utc_offset=8, stamp="start")
    rows = [r | {"小时": r["小时"] + "+08:00"} for r in chinese()]
    with pytest.raises(FormatError, match=r"--utc-offset says UTC-6, the file \(or the layout\) UTC\+8"):
        read(write(tmp_path / "d.csv", rows), stamp="start")
    rows[3]["小时"] = "2024-07-01 03:00+09:00"
    with pytest.raises(FormatError, match="standard time has one all year"):
        read(write(tmp_path / "e.csv", rows), utc_offset=None, stamp="start")


@pytest.mark.parametrize(
    ("unit", "kg"),
    [
        ("t", 1e3), ("吨", 1e3), ("短吨", None), ("tons", None), ("万吨", 1e7), ("lb/h", 0.45359237 / 3600),
        ("千克/小时", 1 / 3600), ("t h-1", 1e3 / 3600),
    ],
)  # fmt: skip
def test_units(unit, kg):
    if kg is None:
        with pytest.raises(FormatError, match="short tons|not known"):
            amount_unit(unit, "a.csv")
    else:
        assert amount_unit(unit, "")[0] == pytest.approx(kg)


def test_options_are_checked():
    with pytest.raises(ValueError, match="no flag 'substituted'"):
        StackOptions(stack_errors={"substituted": 0.1})
    with pytest.raises(ValueError, match="share"):
        StackOptions(stack_errors={"substitute": 20})


def test_a_window_outside_or_mostly_missing_has_no_rate(tmp_path):
    rows = campd_rows(hours=24, units=("1",))
    for row in rows[5:8]:
        row["CO2 Mass (short tons)"] = ""
    record = read(write(tmp_path / "a.csv", rows), utc_offset=0)
    at = np.datetime64("2023-01-01T00:00")
    assert np.isnan(record.window(at + np.timedelta64(5, "h"), at + np.timedelta64(8, "h")).rate)
    part = record.window(at + np.timedelta64(4, "h"), at + np.timedelta64(6, "h"))
    assert part.seen == pytest.approx(0.5)
    assert np.isnan(record.window(at - np.timedelta64(5, "h"), at - np.timedelta64(3, "h")).rate)
    with pytest.raises(RangeError, match="end after its begin"):
        record.window(at, at)


def test_years(tmp_path):
    rows = campd_rows("2023-01-01", 8760, units=("1",))
    record = read(write(tmp_path / "a.csv", rows))
    year = record.year(2023)
    assert year.total == pytest.approx(8760 * 100 * 907.18474)
    assert year.seen == 1.0  # the year of the plant's clock, not of UTC
    assert year.error == pytest.approx(0.05 * year.total)
    assert record.year(2024) is None
    fewer = read(write(tmp_path / "b.csv", rows[: 8760 - 876]))
    assert fewer.year(2023).total == pytest.approx(year.total)
    assert fewer.year(2023).seen == pytest.approx(0.9)


def test_a_clock_on_the_half_hour(tmp_path):
    record = read(write(tmp_path / "a.csv", campd_rows("2023-01-01", 8760, units=("1",))), utc_offset=5.5)
    assert record.start == np.datetime64("2022-12-31T18:30", "m")
    assert record.year(2023).seen == 1.0
    profile = year_profile(YearOptions(year=2023, profile="hours"), record)
    np.testing.assert_allclose(profile.rate, 1.0)


def test_the_layout_that_the_documents_show(tmp_path):
    own = tmp_path / "my_layout.toml"
    own.write_text(next(b for b in blocks(DOCS / "plants.md", "toml") if "my_layout" in b), encoding="utf-8")
    rows = [
        {"stack": "1", "when": f"2024-07-01 {h:02d}:00", "CO2": 7200, "on": 0.5, "how": "ok"}
        for h in range(24)
    ]
    rows[3]["how"] = "filled"
    record = read(write(tmp_path / "a.csv", rows), layout=str(own), utc_offset=None)
    np.testing.assert_allclose(record.mass, 3600.0)
    assert record.error[3] == pytest.approx(720.0)


def test_a_layout_that_is_none(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('unit = "t"\n[columns]\nvalue = ["x"]\n')
    path = write(tmp_path / "a.csv", campd_rows())
    with pytest.raises(ConfigError, match="columns need time, or date and hour"):
        read(path, layout=str(own))
    own.write_text('unit = "t"\n[columns]\nvalu = ["x"]\n')
    with pytest.raises(ConfigError, match="valu"):
        read(path, layout=str(own))
