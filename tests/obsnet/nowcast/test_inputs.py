"""Tables of indicators and inventories: every layout, every mistake in one line, nothing known before it was out."""

import numpy as np
import pandas as pd
import pytest

from obsnet.errors import ConfigError, FormatError, RangeError, RegionError, SchemaError, UnitError
from obsnet.nowcast.inputs.history import read_history
from obsnet.nowcast.inputs.indicator_file import read_indicators
from obsnet.nowcast.inputs.indicators import indicator_name, join
from obsnet.nowcast.inputs.panel import Panel, cleaned
from tests.obsnet.nowcast.made import REGIONS, indicator_frame, inventory_frame, world, write

HEAD = ["region", "year", "month", "indicator", "value", "unit", "published"]
DAY = np.datetime64("2030-01-01")
FEW = REGIONS[:6]


@pytest.fixture(scope="module")
def small():
    return world(0, regions=FEW, years=np.arange(2008, 2016))


def table(tmp_path, rows, head=HEAD, name="i.csv"):
    return write(pd.DataFrame(rows, columns=head), tmp_path / name)


def months(values, region="河北", year=2015, name="火电", unit="亿千瓦时", labels=None):
    """Return rows of the months of a year, each out on the 17th of the next."""
    labels = labels or range(1, len(values) + 1)
    return [
        (region, year, m, name, v, unit, f"{year + m // 12}-{m % 12 + 1:02d}-17")
        for m, v in zip(labels, values, strict=True)
    ]


def refused(path, error, match, **how):
    with pytest.raises(error, match=match) as found:
        read_indicators(path, **how)
    assert "\n" not in str(found.value)
    assert str(path) in str(found.value)


@pytest.mark.parametrize("layout", ["months", "running", "year"])
def test_every_layout_has_the_same_growth(small, tmp_path, layout):
    found = read_indicators(write(indicator_frame(small, layout=layout), tmp_path / "i.csv"))
    assert found.names == ("thermal power", "cement")
    assert found.units == {"thermal power": "1e8 kWh", "cement": "t"}
    growth = found.growth(FEW, small.years[1:], DAY)
    assert growth.values == pytest.approx(small.indicators, abs=1e-9)
    assert growth.months == (12, 12)


def test_chinese_and_english_headings_gbk_and_time_in_one_column(small, tmp_path):
    frame = indicator_frame(small)
    english = frame.set_axis(HEAD, axis=1)
    one = frame.assign(时间=frame["年份"].astype(str) + "年" + frame["月份"]).drop(columns=["年份", "月份"])
    one = one.rename(columns={"时间": "年份"})
    expected = read_indicators(write(frame, tmp_path / "a.csv")).growth(FEW, [2012], DAY).values
    one.to_csv(tmp_path / "c.csv", index=False, encoding="gb18030")
    for path in (write(english, tmp_path / "b.csv"), tmp_path / "c.csv"):
        assert read_indicators(path).growth(FEW, [2012], DAY).values == pytest.approx(expected, rel=1e-12)


def test_names_and_units_in_brackets(tmp_path):
    rows = months(range(100, 112), name="火力发电量_当期值(亿千瓦时)", unit="")
    found = read_indicators(table(tmp_path, rows))
    assert found.units == {"thermal power": "1e8 kWh"}
    assert indicator_name("水泥产量累计值（万吨）") == "cement"


def test_gwh_and_1e8_kwh_are_told_by_their_unit(tmp_path):
    rows = months([10.0] * 12, year=2014) + months([1100.0] * 12, unit="GWh")
    growth = read_indicators(table(tmp_path, rows)).growth(["130000"], [2015], DAY)
    assert growth.values.ravel() == pytest.approx([np.log(1.1)])


def test_units_that_are_off_are_refused(tmp_path):
    rows = months([10.0] * 12, year=2014) + months([1100.0] * 12)  # GWh under the heading of 1e8 kWh
    refused(
        table(tmp_path, rows),
        RangeError,
        r"110 times that of 2014 in 2015: is a unit off \(1e8 kWh is 100 GWh",
    )
    mixed = months([10.0] * 12, year=2014) + months([10.0] * 12, unit="万吨")
    refused(table(tmp_path, mixed), UnitError, "thermal power is in t, other rows in 1e8 kWh")


def test_year_to_date_taken_for_months_is_refused(tmp_path):
    rising = np.cumsum([9.0, 8, 10, 10, 11, 12, 13, 13, 11, 10, 11, 12])
    path = table(tmp_path, [r for y in (2013, 2014, 2015) for r in months(rising, year=y)])
    refused(
        path, FormatError, "never falls from January to December in 3 of 3 .*--year-to-date 'thermal power'"
    )
    found = read_indicators(path, year_to_date=["火力发电量"])
    assert found.totals("thermal power", ["130000"], [2015], DAY)[0, 0] == pytest.approx(rising[-1])
    refused(path, FormatError, "no indicator 'cement' to be year-to-date", year_to_date=["cement"])


def test_year_to_date_of_one_province_among_months_is_refused(small, tmp_path):
    frame = indicator_frame(small, names=("火力发电量",))
    odd = frame["地区"] == "河北"
    frame.loc[odd, "数值"] = frame[odd].groupby("年份")["数值"].cumsum()
    frame["月份"] = frame["月份"].replace("1-2月", "2月")
    refused(
        write(frame, tmp_path / "i.csv"), FormatError, "never falls .*first 130000 2008", january="together"
    )


def test_months_taken_for_year_to_date_are_refused(tmp_path):
    path = table(tmp_path, months([9.0, 8, 10, 10, 11, 12, 13, 13, 11, 10, 11, 12]))
    refused(path, FormatError, r"falls from 9 \(months 1-1\) to 8 .*these are months", year_to_date=["all"])


@pytest.mark.parametrize(
    ("february", "looks"), [(18.0, "1.8 times March, as if it held both"), (9.0, "no larger than March")]
)
def test_a_missing_january_is_asked_about(tmp_path, february, looks):
    values = [february, 10, 10, 11, 12, 13, 13, 11, 10, 11, 12]
    rows = [r for y in (2014, 2015) for r in months(values, year=y, labels=range(2, 13))]
    path = table(tmp_path, rows)
    refused(path, FormatError, f"February and no January in 2 region-years .*{looks}.*--january together")
    together = read_indicators(path, january="together")
    assert together.totals("thermal power", ["130000"], [2015], DAY)[0, 0] == pytest.approx(sum(values))
    missing = read_indicators(path, january="missing")
    assert np.isnan(missing.totals("thermal power", ["130000"], [2015], DAY)[0, 0])
    assert missing.growth(["130000"], [2015], DAY).months == (11,)  # the other months are compared
    assert missing.growth(["130000"], [2015], DAY).values.ravel() == pytest.approx([0.0])


def test_names_of_a_province_are_one_and_unknown_ones_refused(tmp_path):
    rows = months([10.0] * 12, region="广西", year=2014) + months([11.0] * 12, region="广西壮族自治区")
    found = read_indicators(table(tmp_path, rows))
    assert found.growth(["450000"], [2015], DAY).values.ravel() == pytest.approx([np.log(1.1)])
    assert any("450000 stands under 广西 and 广西壮族自治区" in n for n in found.notes)
    refused(table(tmp_path, months([1.0], region="桂林府")), RegionError, "row 2: no province-level region")


def test_an_indicator_that_ends_early_is_compared_over_the_same_months(small, tmp_path):
    frame = indicator_frame(small, layout="running", season=0.4)
    early = (
        (frame["年份"] == 2015)
        & (frame["指标"].str.startswith("水泥"))
        & (frame["月份"].isin(["1-11月", "1-12月", "1-10月"]))
    )
    found = read_indicators(write(frame[~early], tmp_path / "i.csv"))
    growth = found.growth(FEW, small.years[1:], DAY)
    assert growth.months == (12, 9)
    assert growth.notes == ("cement: 2015 is known to month 9; the same months are compared",)
    assert growth.values == pytest.approx(small.indicators, abs=1e-9)
    earlier = (frame["地区"] == "河北") & (frame["年份"] == 2015) & ~frame["月份"].isin(["1-2月", "1-3月"])
    growth = read_indicators(write(frame[~early & ~earlier], tmp_path / "i.csv")).growth(
        FEW, small.years[1:], DAY
    )
    assert "thermal power: fewer months of 2015 are known of 130000: compared over those" in growth.notes
    assert growth.values == pytest.approx(small.indicators, abs=1e-9)


def test_series_of_zeros(small, tmp_path):
    refused(table(tmp_path, months([0.0] * 12)), RangeError, "thermal power is 0 throughout")
    frame = indicator_frame(small)
    frame.loc[(frame["地区"] == "河北") & (frame["指标"] == "水泥产量"), "数值"] = 0.0
    found = read_indicators(write(frame, tmp_path / "i.csv"))
    assert "cement is 0 throughout in 130000: no growth there, left out" in found.notes
    values = found.growth(FEW, [2012], DAY).values
    assert np.isnan(values[0, FEW.index("130000"), 1])
    assert np.isfinite(values[0, :, 0]).all()
    frame = indicator_frame(small)
    frame.loc[(frame["年份"].astype(str) == "2015") & (frame["指标"] == "水泥产量"), "数值"] = 0.0
    found = read_indicators(write(frame, tmp_path / "i.csv"))
    assert found.notes.count("cement: 0 in all regions in 2015, left out") == 1
    assert {r.year for r in found.rows["cement"]} == {*small.years[:-1].tolist()} - {2015}
    shares = [("河北", y, "", "非化石占比", v, "%", f"{y + 1}-06-01") for y, v in ((2014, 0.0), (2015, 2.0))]
    assert read_indicators(table(tmp_path, shares)).growth(["130000"], [2015], DAY).values.item() == 0.02


def test_a_zero_where_other_years_produce_is_a_gap(small, tmp_path):
    """A month filled with 0 would make the year one month shorter; where a month always is 0, it stays."""
    frame = indicator_frame(small)
    hebei, july = (frame["地区"] == "河北") & (frame["指标"] == "水泥产量"), frame["月份"] == "7月"
    frame.loc[hebei & july & (frame["年份"] == 2015), "数值"] = 0.0
    found = read_indicators(write(frame, tmp_path / "i.csv"))
    assert "cement: 0 where other years have production, taken as not known: 130000 2015-07" in found.notes
    growth = found.growth(FEW, [2015], DAY)
    assert growth.values == pytest.approx(small.indicators[-1:], abs=1e-9)
    assert "cement: fewer months of 2015 are known of 130000: compared over those" in growth.notes
    frame.loc[july, "数值"] = 0.0
    idle = read_indicators(write(frame, tmp_path / "i.csv"))
    assert idle.notes == ()
    assert idle.growth(FEW, [2015], DAY).months == (12, 12)
    gone = read_indicators(write(frame[~(july & (frame["年份"] == 2015))], tmp_path / "i.csv")).growth(
        FEW, [2015], DAY
    )
    listed = "1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12"
    assert f"cement: of 2015 months {listed} are known; the same months are compared" in gone.notes


def test_rates_and_indices_of_the_year_before_are_no_amounts(small, tmp_path):
    frame = indicator_frame(small, layout="year")
    rate = frame.assign(数值=5.0, 单位="%")
    refused(
        write(rate, tmp_path / "i.csv"),
        FormatError,
        "火力发电量 in % is a rate of change or a share, not an amount",
    )
    named = rate.assign(指标="GDP_累计增长")
    refused(write(named, tmp_path / "i.csv"), FormatError, "GDP_累计增长 in % is a rate of change")
    rng = np.random.default_rng(0)
    index = frame.assign(数值=rng.uniform(95.0, 115.0, len(frame)), 单位="")
    refused(write(index, tmp_path / "i.csv"), FormatError, "that is an index of the year before")
    amounts = index.assign(单位="亿千瓦时")  # provinces of one size, in a unit that no index has
    assert read_indicators(write(amounts, tmp_path / "i.csv")).names == ("thermal power", "cement")
    based = index.assign(数值=index["数值"].mask(index["年份"] == 2008, 100.0))
    assert read_indicators(write(based, tmp_path / "i.csv")).names == ("thermal power", "cement")


def test_a_day_of_download_and_a_revised_year_are_said(small, tmp_path):
    frame = indicator_frame(small, layout="year")
    found = read_indicators(write(frame.assign(发布日期="2016-03-01"), tmp_path / "i.csv"))
    assert [n for n in found.notes if n.startswith("cement: all of 2008-2015 was published on 2016-03-01")]
    again = frame[frame["年份"] == 2014].assign(数值=lambda t: 0.9 * t["数值"], 发布日期="2015-11-01")
    found = read_indicators(write(pd.concat([frame, again]), tmp_path / "i.csv")).growth(FEW, [2015], DAY)
    said = "cement: 2014 was revised by -10.0 % since it first came out (median of 6 regions): growth is against it"
    assert said in found.notes


def test_a_level_shift_is_left_out_and_said(small, tmp_path):
    frame = indicator_frame(small)
    shifted = (frame["地区"] == "河北") & (frame["指标"] == "水泥产量") & (frame["年份"] >= 2012)
    frame.loc[shifted, "数值"] *= 2.5
    found = read_indicators(write(frame, tmp_path / "i.csv"))
    growth = found.growth(FEW, small.years[1:], DAY)
    j = FEW.index("130000")
    assert np.isnan(growth.values[3, j, 1])
    assert np.isfinite(np.delete(growth.values[:, j, 1], 3)).all()
    assert [n for n in growth.notes if n.startswith("cement of 130000 shifts by x2.") and "in 2012" in n]
    kept = found.growth(FEW, small.years[1:], DAY, shifts=True).values
    assert kept[3, j, 1] == pytest.approx(small.indicators[3, j, 1] + np.log(2.5))
    frame.loc[(frame["指标"] == "水泥产量") & (frame["年份"] >= 2014), "数值"] /= 2.0
    again = read_indicators(write(frame, tmp_path / "i.csv")).growth(FEW, small.years[1:], DAY)
    assert np.isnan(again.values[5, :, 1]).all()
    assert np.isfinite(again.values[6, :, 1]).all()
    assert any(" in 2014 in all regions together" in n for n in again.notes)
    assert any(n.startswith("cement of 130000 shifts by x2.") for n in again.notes)


def test_only_what_was_out_is_known_and_revisions_are_kept(tmp_path):
    rows = months([10.0] * 12, year=2014) + months([11.0] * 12)
    rows.append(("河北", 2015, 12, "火电", 22.0, "亿千瓦时", "2016-09-01"))
    found = read_indicators(table(tmp_path, rows))
    assert found.growth(["130000"], [2015], np.datetime64("2015-12-20")).months == (11,)
    assert found.growth(["130000"], [2015], np.datetime64("2016-01-16")).months == (11,)
    first, last = (
        found.growth(["130000"], [2015], np.datetime64(d)).values[0, 0, 0]
        for d in ("2016-01-17", "2016-09-01")
    )
    assert (first, last) == pytest.approx((np.log(1.1), np.log(143 / 120)))
    revised = found.triangle()
    assert revised[["region", "year", "months", "editions", "first", "last"]].to_numpy().tolist() == [
        ["130000", 2015, "12-12", 2, 11.0, 22.0]
    ]
    assert revised["revision"].iloc[0] == pytest.approx(1.0)
    assert read_indicators(table(tmp_path, [*rows, *rows], name="twice.csv")).triangle().equals(revised)
    assert found.last_published(2015) == np.datetime64("2016-01-17")  # of first figures


def test_a_date_of_publication_is_needed(tmp_path):
    rows = [(*r[:6], "") for r in months([10.0] * 12)]
    refused(table(tmp_path, rows), FormatError, "row 2: no date of publication.*--latency")
    found = read_indicators(table(tmp_path, rows), latency=20)
    assert found.rows["thermal power"][0].published == np.datetime64("2015-02-21")
    refused(
        table(tmp_path, [(*rows[5][:6], "2015-02-01")]), RangeError, "published 2015-02-01, before its months"
    )
    # a file of months that has the month's own day in this column
    refused(
        table(tmp_path, [(*rows[5][:6], "2015-06-01")]), RangeError, "published 2015-06-01, before its months"
    )
    for said in ("2015-06-30", "2015-06"):
        found = read_indicators(table(tmp_path, [(*rows[5][:6], said)]))
        assert found.rows["thermal power"][0].published == np.datetime64("2015-06-30")
    refused(table(tmp_path, [(*rows[5][:6], "soon")]), FormatError, "published 'soon' is no day")


def test_other_mistakes_in_one_line(tmp_path):
    rows = months([10.0] * 12)
    refused(
        table(tmp_path, [*rows, rows[3][:4] + (12.0,) + rows[3][5:]]),
        SchemaError,
        "month 4.* stands twice .*10 and 12",
    )
    refused(
        table(tmp_path, [(*rows[0][:4], -1.0, *rows[0][5:])]),
        RangeError,
        "row 2: thermal power is -1, below 0",
    )
    refused(table(tmp_path, [("河北", 2015, "13", *rows[0][3:])]), FormatError, "row 2: '13' is no month")
    refused(table(tmp_path, [("河北", "x", "1", *rows[0][3:])]), FormatError, "row 2: 'x' is no year")
    refused(table(tmp_path, [(*rows[0][:4], "", *rows[0][5:])]), FormatError, "no row with a value")
    refused(table(tmp_path, rows, [*HEAD[:3], "what", *HEAD[4:]]), FormatError, "lacks column indicator")
    good = read_indicators(table(tmp_path, rows))
    tonnes = read_indicators(table(tmp_path, months([10.0] * 12, unit="万吨"), name="t.csv"))
    with pytest.raises(UnitError, match="1e8 kWh in one file, in t in another"):
        join([good, tonnes])
    with pytest.raises(FormatError, match="no indicator 'cement'"):
        good.only(["cement"])


def test_shares_change_by_their_difference(tmp_path):
    rows = [("河北", y, "", "非化石占比", v, "%", f"{y + 1}-06-01") for y, v in ((2014, 10.0), (2015, 12.5))]
    found = read_indicators(table(tmp_path, rows))
    assert found.growth(["130000"], [2015], DAY).values.ravel() == pytest.approx([0.025])


# inventories


def test_editions_replace_each_other_when_they_are_out(small, tmp_path):
    write(inventory_frame(small), tmp_path / "old.csv")
    revised = inventory_frame(small).assign(value=lambda t: t["value"] * 1.1)
    write(revised[revised["period"] >= "2013"], tmp_path / "new.csv")
    history = read_history([f"2016-06-01={tmp_path / 'old.csv'}", f"2017-06={tmp_path / 'new.csv'}"])
    before, after = history.at(np.datetime64("2017-05-31")), history.at()
    assert before.values == pytest.approx(small.emissions)
    assert after.values[:5] == pytest.approx(small.emissions[:5])
    assert after.values[5:] == pytest.approx(1.1 * small.emissions[5:])
    assert len(history.triangle()) == 2 * 3 * len(FEW)
    meet = "inventories published 2017-06-30 begin in 2013 and differ there by +10.0 % from those before them: the"
    assert [n for n in history.notes if n.startswith(meet)]
    with pytest.raises(FormatError, match="no inventory was out on 2016-01-01"):
        history.at(np.datetime64("2016-01-01"))


def test_years_without_an_edition_come_after_their_lag(small, tmp_path):
    history = read_history([str(write(inventory_frame(small), tmp_path / "a.csv"))], lag=18)
    assert history.at(np.datetime64("2015-06-30")).last == 2012
    assert history.at(np.datetime64("2015-07-01")).last == 2013
    assert history.at().last == 2015


def test_mistakes_of_inventories(small, tmp_path):
    path = str(write(inventory_frame(small), tmp_path / "a.csv"))
    with pytest.raises(FormatError, match="110000 2008 total stands in two files"):
        read_history([path, str(write(inventory_frame(small), tmp_path / "b.csv"))])
    with pytest.raises(FormatError, match="no year of CO2 '1.A.1.a'; categories: total"):
        read_history([path], "1.A.1.a")
    empty = tmp_path / "empty.csv"
    empty.write_text("region,period,gas,category,value,unit\n")
    with pytest.raises(FormatError, match="no year of CO2 'total'; categories: none"):
        read_history([str(empty)])
    with pytest.raises(ConfigError, match="2016-13 is no day"):
        read_history([f"2016-13={path}"])
    with pytest.raises(FormatError, match="no such"):
        read_history([str(tmp_path / "none.csv")])


def test_gaps_and_steps_of_inventories_are_said(small, tmp_path):
    frame = inventory_frame(small)
    hebei, shanxi = frame["region"] == "130000", frame["region"] == "140000"
    frame.loc[hebei & (frame["period"] >= "2012"), "value"] *= 0.6
    lost = (shanxi & (frame["period"] == "2010")) | (hebei & (frame["period"] == "2015"))
    history = read_history([str(write(frame[~lost], tmp_path / "a.csv"))])
    notes = cleaned(history.at())[1]
    assert "140000: no value of 2010, bridged" in notes
    assert "130000: no value of 2015, taken as that of 2014" in notes
    values = small.emissions.copy()
    values[0, 0] = np.nan  # nothing before it to bridge from
    held, said = cleaned(Panel(FEW, small.years, values))
    assert held.values[0, 0] == pytest.approx(values[1, 0])
    assert f"{FEW[0]}: no value of {small.years[0]}, taken as that of {small.years[1]}" in said
    assert [n for n in notes if n.startswith("130000 2012: emissions shift by x0.59")]
    assert cleaned(Panel(FEW, small.years, small.emissions))[1] == ()
    frame.loc[frame["period"] >= "2012", "value"] *= 12.0 / 44.0
    with pytest.raises(FormatError, match="inventories of 2012 are 0.2.* carbon taken for CO2"):
        read_history([str(write(frame, tmp_path / "b.csv"))])


def test_only_steps_that_regions_share_are_taken_for_a_unit(small, tmp_path):
    """Sectors that few regions have begin in each with another factor; four of six regions in carbon share theirs."""
    for factors, refuse in (([2.0, 5.0, 20.0, 90.0], False), ([12.0 / 44.0] * 4, True)):
        frame = inventory_frame(small)
        for region, factor in zip(FEW, factors, strict=False):
            frame.loc[(frame["region"] == region) & (frame["period"] >= "2012"), "value"] *= factor
        path = str(write(frame, tmp_path / "a.csv"))
        if refuse:
            with pytest.raises(FormatError, match="carbon taken for CO2"):
                read_history([path])
        else:
            assert set(read_history([path]).regions) == set(FEW)


def test_regions_with_too_little_are_left_out_and_said(small, tmp_path):
    frame = inventory_frame(small)
    late = (frame["region"] == "130000") & (frame["period"] < "2014")
    frame.loc[frame["region"] == "140000", "value"] = 0.0
    history = read_history([str(write(frame[~late], tmp_path / "a.csv"))])
    assert set(FEW) - set(history.regions) == {"130000", "140000"}
    assert "130000: values of 2014-2015 only, left out" in history.notes
    assert "140000: a series of zeros, left out" in history.notes
    with pytest.raises(FormatError, match="no region has 4 years of positive values from 2014 on"):
        read_history([str(write(frame[frame["period"] >= "2014"], tmp_path / "b.csv"))])


def test_the_nation_s_longer_series_leaves_no_province_out(small, tmp_path):
    frame = inventory_frame(small, nation=1.02 * small.emissions.sum(axis=1))
    nation = frame[frame["region"] == "CHN"]
    older = nation.assign(period=[str(int(y) - 8) for y in nation["period"]])
    sources = [str(write(f, tmp_path / f"{k}.csv")) for k, f in enumerate((frame, older))]
    found = read_history(sources)
    assert found.regions == tuple(sorted(FEW))
    assert found.notes == ()
    assert (found.at().years[0], found.at(nation=True).years[0]) == (2008, 2000)
    with pytest.raises(ConfigError, match="no inventories are named"):
        read_history([])


def test_ceads_by_category(sample_data):
    books = sorted((sample_data / "inventory/ceads/provinces").glob("*201[6789].xlsx"))
    if not books:
        pytest.skip("no CEADs")
    power = read_history([str(b) for b in books], "1.A.1.a").at()
    total = read_history([str(b) for b in books]).at()
    assert total.values[-1].sum() == pytest.approx(10864, abs=1.0)  # reference/inventory.md, section 5.2
    assert len(power.regions) == 30
    assert (power.values < total.values).all()
    assert 0.3 < power.values[-1].sum() / total.values[-1].sum() < 0.6
