"""Other sources: workbooks of CEADs, daily data, wide tables, grids; breaks and zeroes; side by side."""

import numpy as np
import pandas as pd
import pytest

from obsnet.errors import FormatError, RegionError, SchemaError
from obsnet.inventory.account.categories import ceads_sectors
from obsnet.inventory.sources.ceads import COLUMNS, closure, read_ceads, read_ceads_books
from obsnet.inventory.sources.check import check_files
from obsnet.inventory.sources.compare import compare_sources, grid_totals, read_source
from obsnet.inventory.sources.daily import read_daily
from obsnet.inventory.sources.quality import flag_series
from obsnet.inventory.words import NATION
from tests.obsnet.inventory.made import contract, write_book


@pytest.fixture(scope="module")
def provinces_2005_2019(sample_data):
    return read_ceads_books(sorted((sample_data / "inventory/ceads/provinces").glob("*.xlsx")))


def ceads_sheet(values, spelling=0, unit="Mt CO2"):
    """Return the cells of a sheet: values by sector and column."""
    heads = [c.title().replace("Lpg", "LPG") for c in COLUMNS]
    if spelling == 1:
        heads = [h.replace(" ", "_") for h in heads]
    if spelling == 2:
        heads = [h.replace(" ", "") for h in heads]
    total = ["TotalEmissions" if spelling else "Total Consumption", *values.sum(axis=0)]
    rows = [
        [s.name + " " * (spelling == 0), *v] for s, v in zip(ceads_sectors().values(), values, strict=True)
    ]
    return [["", *heads], ["unit", *[unit] * len(heads)], [""], total, *rows]


def values(seed=0):
    block = np.random.default_rng(seed).uniform(0, 5, (47, len(COLUMNS)))
    block[:, COLUMNS.index("scope 2 heat") : COLUMNS.index("process")] = 0.0
    block[:, -1] = block[:, :17].sum(axis=1) + block[:, COLUMNS.index("process")]
    return block


def workbook(path, sheets):
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "NOTE"
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append([c.item() if hasattr(c, "item") else c for c in row])
    book.save(path)
    return path


def test_all_books_of_the_sample(provinces_2005_2019):
    data = provinces_2005_2019
    assert data.values.shape == (450, 48, 22)
    assert len(set(data.regions)) == 30
    assert closure(data).empty  # sectors to 1e-9 of the total; measured 4e-16
    total = data.series()
    for region, value in {"370000": 937, "130000": 914, "320000": 805, "150000": 794, "460000": 43}.items():
        assert round(total.at[2019, region]) == value
    assert total.loc[2019].sum() == pytest.approx(10864, abs=1)


def test_provinces_against_the_nation(provinces_2005_2019, sample_data):
    nation = read_ceads(next((sample_data / "inventory/ceads/national").glob("*.xlsx")))
    assert set(nation.regions) == {NATION}
    assert any("'sum' is no inventory" in n for n in nation.notes)
    ratio = provinces_2005_2019.series().sum(axis=1) / nation.series()[NATION] - 1
    for year, off in {2005: 0.031, 2010: 0.088, 2013: 0.026, 2015: 0.062, 2019: 0.109}.items():
        assert ratio[year] == pytest.approx(off, abs=6e-4)


@pytest.mark.parametrize("spelling", [0, 1, 2])
def test_three_spellings_of_the_headings(tmp_path, spelling):
    block = values()
    path = workbook(
        tmp_path / "Emission_Inventories_2031.xlsx", {"InnerMongolia2031": ceads_sheet(block, spelling)}
    )
    data = read_ceads(path)
    assert (data.regions, data.years) == (("150000",), (2031,))
    np.testing.assert_allclose(data.values[0, 1:], block)
    assert closure(data).empty


def test_sectors_that_do_not_add_up_are_listed(tmp_path):
    rows = ceads_sheet(values())
    rows[3][1] += 0.5
    found = closure(read_ceads(workbook(tmp_path / "b_2031.xlsx", {"Hebei2031": rows})))
    assert found["what"].tolist() == ["sectors, raw coal", "fuels and process"]


@pytest.mark.parametrize(
    ("change", "name", "error", "said"),
    [
        (
            lambda r: r[0].__setitem__(1, "Raw Cole"),
            "Hebei2031",
            FormatError,
            "heading 'Raw Cole' is no fuel of CEADs",
        ),
        (lambda r: r[1].__setitem__(1, "Mt C"), "Hebei2031", FormatError, "unit 'Mt C', expected Mt CO2"),
        (lambda r: r.pop(10), "Hebei2031", FormatError, "lacks the row"),
        (lambda r: r[7].__setitem__(3, "n/a?"), "Hebei2031", FormatError, "'n/a\\?' is not a number"),
        (lambda r: None, "Atlantis2031", RegionError, "sheet 'Atlantis2031': no province-level region"),
        (lambda r: None, "Hebei2030", FormatError, "in a book of 2031"),
    ],
)
def test_faulty_books(tmp_path, change, name, error, said):
    rows = ceads_sheet(values())
    change(rows)
    with pytest.raises(error, match=said):
        read_ceads(workbook(tmp_path / "book_2031.xlsx", {name: rows}))


def test_a_year_given_twice(tmp_path):
    path = workbook(tmp_path / "a_2031.xlsx", {"Hebei2031": ceads_sheet(values())})
    with pytest.raises(SchemaError, match="130000 2031 stands in two workbooks"):
        read_ceads_books([path, path])
    with pytest.raises(SchemaError, match="no workbook of CEADs"):
        read_ceads_books([])


# --- breaks and zeroes


def test_the_known_errors_of_ceads_and_few_others(provinces_2005_2019):
    """Three zeroes of process emissions; 2 of 420 changes of totals and 4 of process are called breaks."""
    data = provinces_2005_2019
    total = data.series()
    process = flag_series(data.series(column="process"), "process", minor=total)
    zeroes = {(r["region"], r["period"]) for r in process[process["kind"] == "zero"].to_dict("records")}
    assert zeroes == {("530000", 2019), ("310000", 2017), ("110000", 2017)}
    assert len(process) == 7
    found = flag_series(total)
    assert {(r["region"], r["period"]) for r in found.to_dict("records")} == {
        ("640000", 2011),
        ("640000", 2017),
    }
    assert found.attrs["changes"] == 420


def test_errors_of_the_kind_that_longer_files_have(provinces_2005_2019):
    """Made years 1997-2004 before the real ones, with three years near zero, two of half, one of 0.7, one of 0."""
    late = provinces_2005_2019.series()
    rng = np.random.default_rng(0)
    back = np.exp(-np.cumsum(rng.normal(0.08, 0.05, (8, late.shape[1])), axis=0))
    early = pd.DataFrame(late.iloc[0].to_numpy() * back, range(2004, 1996, -1), late.columns)
    long = pd.concat([early, late]).sort_index()
    right = {(r["region"], r["period"]) for r in flag_series(long).to_dict("records")}
    assert right <= {("640000", 2011), ("640000", 2017)}
    long.loc[2000:2002, "640000"] *= 0.05
    long.loc[2002, "460000"] *= 0.11
    long.loc[2004:2005, "530000"] *= 0.5
    long.loc[2003, "340000"] *= 0.7
    long.loc[1999, "110000"] = 0.0
    found = {(r["region"], r["period"]): r["kind"] for r in flag_series(long).to_dict("records")}
    assert {found["640000", y] for y in (2000, 2001, 2002)} == {"zero"}
    assert (found["460000", 2002], found["340000", 2003], found["110000", 1999]) == ("spike", "spike", "zero")
    assert {("530000", 2004), ("530000", 2006)} <= set(found)
    named = {"640000", "460000", "530000", "340000", "110000"}
    assert {region for region, _ in found} == named  # no false alarm anywhere else


@pytest.mark.parametrize(("size", "least"), [(0.7, 0.95), (1.5, 0.95), (0.05, 1.0), (20.0, 1.0)])
def test_planted_errors_are_found(provinces_2005_2019, size, least):
    """A year of one province times 0.7, 1.5, 0.05 or 20: found at the year itself or the year after."""
    total = provinces_2005_2019.series()
    rng = np.random.default_rng(5)
    hits, trials = 0, 60
    for _ in range(trials):
        region, year = rng.choice(total.columns), int(rng.integers(2005, 2020))
        changed = total.copy()
        changed.loc[year, region] *= size
        found = flag_series(changed)
        hits += ((found["region"] == region) & found["period"].isin([year, year + 1])).any()
    assert hits / trials >= least


def test_rate_of_false_alarms_on_made_series():
    """Under lognormal changes none in 29,000; with the tails of Student's t of 4 degrees half a percent."""
    rng = np.random.default_rng(2)
    frame = {}
    for name, steps in (
        ("normal", rng.normal(0, 0.05, (29, 1000))),
        ("heavy", 0.05 * rng.standard_t(4, (29, 1000))),
    ):
        levels = np.exp(np.vstack([np.zeros(1000), np.cumsum(steps, axis=0)]))
        found = flag_series(pd.DataFrame(levels, index=range(1990, 2020)))
        frame[name] = (found["kind"] != "zero").sum() / found.attrs["changes"]
    assert frame["normal"] == 0.0
    assert 0.002 < frame["heavy"] < 0.008


def test_zero_negative_spike_and_gaps():
    series = pd.DataFrame(
        {r: np.full(9, 100.0) for r in "abcdefgh"},
        index=[2001, 2002, 2003, 2004, 2005, 2006, 2008, 2009, 2010],
    )
    rng = np.random.default_rng(0)
    series *= np.exp(rng.normal(0, 0.02, series.shape))
    series.loc[2003, "a"] = 0.0
    series.loc[2004, "b"] = -1.0
    series.loc[2005, "c"] *= 2.0
    series.loc[2006:, "d"] *= 2.0
    series.loc[2008:, "e"] *= 2.0  # across a missing year nothing can be said
    found = flag_series(series).set_index(["region", "period"])["kind"]
    assert found[("a", 2003)] == "zero"
    assert found[("b", 2004)] == "negative"
    assert found[("c", 2005)] == "spike"
    assert found[("d", 2006)] == "break"
    assert not any(region == "e" for region, _ in found.index)


def test_check_knows_what_a_file_is(sample_data, tmp_path):
    base = sample_data / "inventory"
    found = check_files([base / "energy_balance_2007/1.xls"])
    assert found.counts["identity supply"] == (
        len(found.findings[found.findings["check"] == "identity supply"]),
        20,
    )
    books = sorted((base / "ceads/provinces").glob("*201[5-9].xlsx"))
    found = check_files(books)
    assert found.counts["closure"] == (0, 150)
    path = tmp_path / "i.csv"
    rows = "".join(
        f"110000,{y},CO2,1.A,IPCC2006,{v},Mt\n" for y, v in ((2001, 10), (2002, 0.01), (2003, 11), (2004, -2))
    )
    path.write_text("region,period,gas,category,terminology,value,unit\n" + rows)
    kinds = check_files([path]).findings["check"].tolist()
    assert "zero" in kinds
    assert "negative" in kinds
    path.write_text(path.read_text().replace(",10,Mt", ",-10,Mt"))
    said = "; ".join(check_files([path]).findings["text"])
    assert "-10 Mt, with nothing before it" in said
    assert "nan" not in said


# --- daily data


def daily_book(path, year_in_dates=2020):
    def sheet(year, factor, days=366):
        rows = [["Date", "China", "BJ", "HEB", "SX", "SAX", "Week"]]
        dates = pd.date_range(f"{year}-01-01", periods=days)
        rows += [
            [d.to_pydatetime(), 10 * factor, factor, 2 * factor, 3 * factor, 4 * factor, "Monday"]
            for d in dates
        ]
        return [*rows, ["", 999.0]]

    sheets = {
        "Power2020": sheet(2020, 0.1),
        "Ground Transport2020": sheet(year_in_dates, 0.01, 366 if year_in_dates == 2020 else 365),
    }
    return workbook(path, sheets)


def test_a_sheet_of_the_wrong_year_is_noticed_and_not_joined(sample_data):
    daily = read_daily(next((sample_data / "inventory/daily_2019_2020").glob("Dataset*.xlsx")))
    assert any(
        "'Ground Transport2020' carries dates of 2019: noticed, not joined" in f for f in daily.findings
    )
    transport = daily.table[daily.table["sector"] == "ground transport"]
    assert {d.year for d in transport["date"]} == {2019}
    annual = daily.contract()
    assert set(annual["period"]) == {"2019"}  # 2020 lacks a sector
    totals = annual.set_index("region")["value"]
    # Three sectors of 2019: 131.3 + 77.2 + 31.7. The sheet of transport ends with a line of sums, which taken for a
    # day makes 271.8 of it.
    assert totals["210000"] == pytest.approx(240.11, abs=0.01)
    assert totals["130000"] == pytest.approx(481.66, abs=0.01)
    assert totals.sum() == pytest.approx(9594.7, abs=0.1)


def test_daily_books_that_are_right(tmp_path):
    daily = read_daily(daily_book(tmp_path / "d.xlsx"))
    totals = daily.contract().set_index("region")["value"]
    assert totals["610000"] == pytest.approx(366 * 4 * 0.11)
    assert "140000" in totals.index
    wrong = read_daily(daily_book(tmp_path / "w.xlsx", 2019))
    assert any("noticed, not joined" in f for f in wrong.findings)
    assert set(wrong.table["sector"]) == {"power"}


def made_days(year, factor, days=None, change=lambda rows: None):
    rng = np.random.default_rng(year * 100 + int(1000 * factor))
    names = ["北京", "河北", "Shanxi", "SAX", "GD"]
    dates = pd.date_range(f"{year}-01-01", f"{year}-12-31")[:days]
    rows = [["日期", *names]]
    rows += [[d.to_pydatetime(), *(factor * rng.uniform(1, 2, len(names))).round(6)] for d in dates]
    change(rows)
    return rows


def total_of(*books):
    return [
        books[0][0],
        *[[r[0][0], *np.sum([c[1:] for c in r], axis=0)] for r in zip(*(b[1:] for b in books), strict=True)],
    ]


def emptied(rows):
    rows[40][2] = ""


def zeroed(rows):
    for row in rows[50:57]:
        row[3] = 0.0


@pytest.mark.parametrize("name", ["Total2021", "合计2021", "2021年全部", "总量 2021"])
def test_a_sheet_of_sums_is_no_sector(tmp_path, name):
    a, b = made_days(2021, 0.1), made_days(2021, 0.02)
    sheets = {"2021年电力": a, "2021年工业": b}
    right = read_daily(workbook(tmp_path / "a.xlsx", sheets)).contract()
    found = read_daily(workbook(tmp_path / "b.xlsx", {**sheets, name: total_of(a, b)}))
    assert len(right) == 5
    assert found.contract()["value"].tolist() == right["value"].tolist()


@pytest.mark.parametrize(
    ("sheets", "said"),
    [
        ({"Power2021": made_days(2021, 0.1), "Power2021 (2)": made_days(2021, 0.1)}, "both give 2021-01-01"),
        ({"电力2020": made_days(2021, 0.1)}, "could be joined: .*'电力2020' carries dates of 2021"),
        ({"A2021": made_days(2021, 0.1), "B2021": made_days(2021, 0.1)}, "hold the same numbers"),
        ({"A2021": [["日期", "北京", "河北", "山西", "广东"], *[[f"{m:02d}/02/2021", 1, 1, 1, 1] for m in (1, 2)]]},
         "'01/02/2021' is not a date; write 2019-01-31"),
    ],
)  # fmt: skip
def test_daily_sheets_that_cannot_be_joined(tmp_path, sheets, said):
    with pytest.raises(FormatError, match=said):
        read_daily(workbook(tmp_path / "d.xlsx", sheets))


def test_every_sheet_of_sums_is_compared_and_months_may_have_names(tmp_path):
    """Of two years with a sheet of sums each the first counts too; a sector of zeros is no copy of anything."""

    def named(rows, form="%d %b %Y"):
        return [rows[0], *[[r[0].strftime(form), *r[1:]] for r in rows[1:]]]

    sheets = {}
    for year in (2021, 2022):
        a, b = made_days(year, 0.1, 40), made_days(year, 0.02, 40)
        off = total_of(a, b)
        off[5][1] *= 1.5 if year == 2021 else 1.0
        none = [b[0], *[[r[0], *[0.0] * (len(r) - 1)] for r in b[1:]]]
        sheets |= {f"Power{year}": named(a), f"Industry{year}": named(b, "%B %d, %Y")}
        sheets |= {f"Aviation{year}": none, f"Total{year}": off}
    daily = read_daily(workbook(tmp_path / "d.xlsx", sheets))
    assert str(daily.table["date"].min())[:10] == "2021-01-01"
    assert sum("differ from the sheet of totals on 1 province-days" in f for f in daily.findings) == 1


def test_what_daily_sheets_lack_is_said(tmp_path):
    sheets = {
        "Power2021": made_days(2021, 0.1, change=emptied),
        "Industry2021": made_days(2021, 0.02, change=zeroed),
    }
    daily = read_daily(workbook(tmp_path / "d.xlsx", sheets))
    said = " ".join(daily.findings)
    assert "'Power2021' has 1 empty cells, first 130000 2021-02-09" in said
    assert "7 values are 0 where their series usually is not, first industry 140000 2021-02-19" in said
    assert set(daily.contract()["region"]) == {"110000", "140000", "610000", "440000"}  # no total of Hebei
    sheets["Transport2021"] = made_days(2020, 0.01)
    assert (
        read_daily(workbook(tmp_path / "e.xlsx", sheets)).contract().empty
    )  # nor of anything without transport


# --- side by side


def test_side_by_side_on_real_sources(sample_data):
    base = sample_data / "inventory"
    ceads, _ = read_source(next((base / "ceads/provinces").glob("*2019.xlsx")))
    daily, _ = read_source(next((base / "daily_2019_2020").glob("Dataset*.xlsx")))
    found = compare_sources([("CEADs", ceads), ("daily", daily)], period="2019")
    table = found.table.set_index("region")
    off = table["daily"] / table["CEADs"] - 1
    for region, value in {"210000": -0.550, "130000": -0.473, "530000": 0.529}.items():
        assert off[region] == pytest.approx(value, abs=0.001)
    assert 0.25 < off.abs().median() < 0.35
    sums = found.sums.set_index("source")
    assert sums.at["CEADs", "shared_sum"] == pytest.approx(10864, abs=1)
    assert sums.at["daily", "shared_sum"] == pytest.approx(9573.6, abs=0.1)
    assert table.at["530000", "sd"] == pytest.approx(
        np.std([185.96, 284.29], ddof=1) / np.mean([185.96, 284.29]), rel=1e-3
    )


def test_carbon_units_and_terminologies_are_brought_together():
    a = contract([("110000", "2019", "CO2", "4.A", "IPCC2006", 44.0, "Mt")])
    b = contract([("110000", "2019", "C", "5.A", "CRT2023", 12000.0, "kt")])
    found = compare_sources([("a", a), ("b", b)], category="4.A")
    assert found.table["a"].iloc[0] == pytest.approx(44.0)
    assert found.table["b"].iloc[0] == pytest.approx(44.0)
    assert any("carbon turned into CO2" in n for n in found.notes)
    with pytest.raises(FormatError, match="fewer than two sources have CH4 total"):
        compare_sources([("a", a), ("b", b)], gas="CH4")


def test_parts_are_added_up_and_said():
    a = contract([("110000", "2019", "CO2", "1.A", "IPCC2006", 3.0, "Mt")])
    b = contract([("110000", "2019", "CO2", c, "IPCC2006", 1.0, "Mt") for c in ("1.A.1", "1.A.2")])
    found = compare_sources([("a", a), ("b", b)], category="1.A")
    assert found.table["b"].iloc[0] == 2.0
    assert any("added up over 1.A.1, 1.A.2" in n for n in found.notes)


def test_parts_of_parts_are_added_up_once():
    a = contract([("110000", "2019", "CO2", "1.A", "IPCC2006", 3.0, "Mt")])
    codes = {"1.A.1": 1.0, "1.A.1.a": 0.75, "1.A.1.a.i": 0.5, "1.A.2": 2.0}
    b = contract([("110000", "2019", "CO2", c, "IPCC2006", v, "Mt") for c, v in codes.items()])
    found = compare_sources([("a", a), ("b", b)], category="1.A")
    assert found.table["b"].iloc[0] == 3.0


def test_grids(tmp_path):
    """A constant flux gives each province its area, and the sea of its cells."""
    import xarray as xr

    from obsnet.grid import Grid
    from obsnet.regions import provinces
    from obsnet.splitting import flux_shares
    from obsnet.zonal import zonal_weights

    grid = Grid.regular(3, 54, 73, 136, 1, 1)
    flux = xr.DataArray(
        np.full(grid.shape, 1e-9),
        dims=("lat", "lon"),
        coords={"lat": grid.lat, "lon": grid.lon},
        name="emi_co2",
    )
    flux.attrs = {"units": "kg m-2 s-1"}
    path = tmp_path / "EDGAR_CO2_2015.nc"
    flux.to_dataset().to_netcdf(path)
    frame, notes = grid_totals(path, basis="substance", substance="CO2")
    area = zonal_weights(provinces(), grid, cache=False).area
    found = frame["value"] / (1e-9 * 365.2425 * 86400 * 1e-9)
    inland = frame["region"].isin(
        ["140000", "340000", "360000", "410000", "420000", "430000", "500000", "520000"]
    )
    np.testing.assert_allclose(found[inland], area[inland], rtol=1e-6)
    coast = frame["region"].isin(["310000", "330000", "350000", "440000", "460000"])
    assert (found[coast] > 1.1 * area[coast]).all()  # the flux of a cell on the coast is on its land
    shares = flux_shares(provinces(), grid, {"total": np.ones(grid.shape)})
    np.testing.assert_allclose(found, shares.area("total").sum(axis=1)[: len(frame)], rtol=1e-6)
    assert set(frame["period"]) == {"2015"}
    assert any("taken as the year 2015" in n for n in notes)
    assert any("on the land of a cell" in n for n in notes)
    assert any("totals are uncertain for it: " in n and "Hong Kong" in n for n in notes)


def test_a_file_that_says_whose_its_cells_are_is_taken_at_its_word(tmp_path):
    """A prior made from provincial totals gives them back, whatever its cells."""
    from obsnet.cf import write_netcdf
    from obsnet.grid import Grid
    from obsnet.inventory.prior.build import gridded_prior
    from obsnet.inventory.prior.files import prior_dataset
    from obsnet.regions import provinces

    totals = pd.DataFrame(
        [("130000", "total", 900e9, 0.1), ("110000", "total", 90e9, 0.1), ("120000", "total", 150e9, 0.1)],
        columns=["region", "sector", "value", "sd"],
    )
    made = gridded_prior(totals, provinces(), Grid.regular(34, 44, 112, 122, 1, 1))
    year = np.array([["2019-01-01", "2020-01-01"]], "datetime64[us]")
    said = {"title": "t", "source": "s", "license": "l"}
    data = prior_dataset(made, gas="CO2", times=year, factors=np.ones((1, 1)), **said)
    write_netcdf(data, tmp_path / "prior.nc")
    frame, notes = grid_totals(tmp_path / "prior.nc")
    value = dict(zip(frame["region"], frame["value"], strict=True))
    assert value["130000"] == pytest.approx(900.0, rel=2e-4)  # years of 365 and 365.2425 days
    assert value["110000"] / value["130000"] == pytest.approx(0.1, rel=1e-9)
    assert any("as its own file says" in n for n in notes)
    assert not any("uncertain" in n for n in notes)
    bare = data.drop_vars([n for n in data.variables if str(n).startswith("share")])
    write_netcdf(bare, tmp_path / "bare.nc")
    frame, _ = grid_totals(tmp_path / "bare.nc")
    assert abs(frame.set_index("region")["value"]["110000"] / value["110000"] - 1.0) > 0.01


def test_one_source_given_twice_is_not_added_up():
    a = contract([("110000", "2019", "CO2", "total", "CEADs", 3.0, "Mt")])
    with pytest.raises(SchemaError, match="a: 110000 2019 total stands twice"):
        compare_sources([("a", pd.concat([a, a])), ("b", a)])


def test_unknown_workbooks(tmp_path):
    path = write_book(tmp_path / "x.xlsx", [["a", "b"], [1, 2]])
    with pytest.raises(FormatError, match="neither a workbook of CEADs nor of daily emissions"):
        read_source(path)
