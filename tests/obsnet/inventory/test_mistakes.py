"""What people get wrong in a table of totals: units, spellings of provinces, carbon, magnitudes."""

import pytest

from obsnet.errors import FormatError, RangeError, SchemaError, UnitError
from obsnet.grid import Grid
from obsnet.inventory.amounts import ELECTRICITY, MASS, scale
from obsnet.inventory.books import read_rows
from obsnet.inventory.factors.table import read_factors
from obsnet.inventory.notes import in_both
from obsnet.inventory.prior.build import gridded_prior
from obsnet.inventory.prior.plants import place_plants, read_plants
from obsnet.inventory.prior.totals import sector_totals
from obsnet.inventory.sources.carbon import said_of_carbon
from obsnet.inventory.sources.check import check_files
from obsnet.inventory.sources.compare import compare_sources, read_source
from obsnet.inventory.table import builtin, mass_factor, read_inventory
from obsnet.regions import provinces
from tests.obsnet.inventory.made import contract

HEAD = "region,period,gas,category,terminology,value,unit,uncertainty\n"


def table(tmp_path, *rows):
    path = tmp_path / "mine.csv"
    path.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("unit", "kg"),
    [("t", 1e3), ("10⁴ t", 1e7), ("10^4t", 1e7), ("1e4 t", 1e7), ("万吨", 1e7), ("百万吨", 1e9), ("Mt yr-1", 1e9),
     ("Gg/yr", 1e6), ("tons", 1e3), ("10 000 t", None), ("104 t", None), ("mt", None), ("MT", None), ("MtC", None),
     ("Mt CO2", None), ("Mt CO2e", None), ("万吨标准煤", None), ("m3", None), ("Mt/month", None)],
)  # fmt: skip
def test_units_of_a_mass(unit, kg):
    if kg is None and unit != "10 000 t":
        with pytest.raises(UnitError, match="is no mass"):
            mass_factor(unit)
    else:
        assert mass_factor(unit) == pytest.approx(1e7 if kg is None else kg)


def test_units_of_electricity():
    assert [
        scale(u, ELECTRICITY) for u in ("亿千瓦时", "万千瓦时", "GWh", "TWh", "10⁸ kWh", "kwh")
    ] == pytest.approx([1.0, 1e-4, 1e-2, 10.0, 1.0, None], nan_ok=True)
    assert scale("亿吨", MASS) == 1e8


def test_a_unit_is_named_with_its_row(tmp_path):
    with pytest.raises(UnitError, match="row 3: unit 'MtC' is no mass"):
        read_inventory(table(tmp_path, "130000,2019,CO2,total,,900,Mt,", "370000,2019,CO2,total,,900,MtC,"))


def test_more_than_the_world(tmp_path):
    with pytest.raises(RangeError, match=r"row 2: 9e\+06 Mt of CO2 is more than the world emits"):
        read_inventory(table(tmp_path, "130000,2019,CO2,total,,9000000,Mt,"))


def test_a_province_spelled_three_ways(tmp_path):
    rows = (
        "Hebei,2019,CO2,total,,900,Mt,",
        "河北省,2018,CO2,total,,90000,万吨,",
        "130000,2017,CO2,total,,900,Mt,",
    )
    frame, _ = read_source(table(tmp_path, *rows))
    assert set(frame["region"]) == {"130000"}
    again = table(tmp_path, *(r.replace("2018", "2019") for r in rows))
    for read in (read_source, lambda p: check_files([p])):
        with pytest.raises(SchemaError, match="Hebei and 河北省 are one region"):
            read(again)


def test_own_regions_are_kept_and_said(tmp_path):
    frame, notes = read_source(table(tmp_path, "JS,2019,CO2,total,,900,Mt,", "North,2019,CO2,total,,900,Mt,"))
    assert list(frame["region"]) == ["JS", "North"]
    assert "regions that are no province: JS, North" in notes[0]
    path = table(tmp_path, "Hebey,2019,CO2,total,,900,Mt,")
    assert "no province: Hebey (nearest: 'Hebei'" in check_files([path]).notes[0]


def test_a_unit_off_by_ten_thousand_shows(tmp_path):
    path = table(tmp_path, "河北,2007,CO2,total,,49901,t,", "河南,2007,CO2,total,,399,Mt,")
    found = check_files([path])
    assert found.counts["magnitude"] == (1, 2)
    assert "is the unit off" in found.findings.iloc[0]["text"]
    both = compare_sources(
        [("mine", read_source(path)[0].assign(period="2019")), ("ceads", builtin("ceads-2019"))]
    )
    assert any("differ by more than 30 times" in n and "130000" in n for n in both.notes)


def test_totals_below_zero_are_said(tmp_path):
    path = table(tmp_path, "河北,2019,CO2,total,,-900,Mt,", "河南,2019,CO2,total,,399,Mt,")
    both = compare_sources([("mine", read_source(path)[0]), ("ceads", builtin("ceads-2019"))])
    assert any("mine: 1 totals below 0, first 130000 2019 (-900 Mt)" in n for n in both.notes)
    assert check_files([path]).counts["negative"] == (1, 2)


def test_co2_beside_carbon(tmp_path):
    path = table(tmp_path, "河北,2019,CO2,total,,900,Mt,", "河北,2019,C,total,,250,Mt,")
    with pytest.raises(FormatError, match="CO2 and of carbon"):
        sector_totals(read_source(path)[0])
    with pytest.raises(SchemaError, match="mine: 130000 2019 total stands as CO2 and as carbon"):
        compare_sources([("mine", read_source(path)[0]), ("ceads", builtin("ceads-2019"))])
    assert check_files([path]).counts["CO2 beside carbon"] == (1, 1)


def of_check(path):
    found = check_files([path])
    return [*found.findings["text"], *found.notes]


TOTALS = ["河北,2019,CO2,total,,914,Mt,", "山西,2019,CO2,total,,565,Mt,", "江苏,2019,CO2,total,,805,Mt,",
          "安徽,2019,CO2,total,,408,Mt,", "四川,2019,CO2,total,,315,Mt,"]  # fmt: skip


@pytest.mark.parametrize("year", [2019, 2003])  # in 2003 all provinces emitted less, and only the others tell
@pytest.mark.parametrize("carbon", [[2], [0], [0, 1, 2, 3, 4]])
def test_carbon_in_a_row_of_co2(tmp_path, year, carbon):
    share = 1.0 if year == 2019 else 0.45
    rows = []
    for k, line in enumerate(TOTALS):
        parts = line.split(",")
        parts[1], parts[5] = str(year), str(float(parts[5]) * share * (12 / 44 if k in carbon else 1.0))
        rows.append(",".join(parts))
    said = [t for t in of_check(table(tmp_path, *rows)) if "is it carbon" in t]
    assert len(said) == (0 if year == 2003 and len(carbon) == 5 else len(carbon))
    assert not any("carbon" in t for t in of_check(table(tmp_path, *TOTALS)))


def test_the_check_of_carbon_counts_and_asks_once(tmp_path):
    """What `inventory grid` and `crosscheck` say in one line; without a total of a province nothing is said."""
    path = table(tmp_path, *(line.replace("914", "249").replace("565", "154") for line in TOTALS))
    assert check_files([path]).counts["carbon"] == (2, 5)
    said = said_of_carbon(read_inventory(path))
    assert said == [
        "CO2 totals near 12/44 of what CEADs lets expect: 2, first 130000 2019 (249 Mt): is it carbon (gas C)?"
    ]
    assert "河北" in in_both(said[0]).zh
    assert said_of_carbon(read_inventory(table(tmp_path, "河北,2019,CO2,1.A,,249,Mt,"))) == []


def test_a_whole_of_one_year_and_parts_of_another_are_no_double_count(tmp_path):
    rows = "河北,2018,CO2,1A1,,300,Mt,", "河北,2019,CO2,1A1a,,200,Mt,"
    assert not any("stands beside" in t for t in of_check(table(tmp_path, *rows)))


def test_what_no_check_can_know_is_said(tmp_path):
    for row, said in [
        ("河北,2019,CO2当量,total,,914,Mt,", "gases that are not known, compared with nothing: CO2当量"),
        ("河北,2019,CO2,1A1x9,,914,Mt,", "no code of IPCC 2006 known here: 1A1x9"),
        ("河北,2019,CO2,total,,0,Mt,", "CO2 total is 0 Mt, 0 times CEADs"),
    ]:
        assert any(said in t for t in of_check(table(tmp_path, row)))
    twice = table(tmp_path, "河北,2019,CO2,1A1,,300,Mt,", "河北,2019,CO2,1A1a,,200,Mt,")
    assert any("1.A.1.a stands beside 1.A.1, which holds it" in t for t in of_check(twice))
    with pytest.raises(FormatError, match="count twice"):
        sector_totals(read_source(twice)[0])


@pytest.mark.parametrize("figure", ['"91,400"', "91 400", "91400"])
def test_figures_years_and_codes_as_people_write_them(tmp_path, figure):
    path = table(tmp_path, f"河北,2019年,碳,1a1a,,{figure},万吨,")
    row = read_source(path)[0].iloc[0]
    assert (row["period"], row["gas"], row["category"], row["value"]) == ("2019", "C", "1.A.1.a", 91400.0)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("emission,clinker,53.8,t CO2/t", "53.8 t CO2/t is more than 20 times from the package's 0.5"),
        ('emission,"swine, enteric",1500,kg CH4/head', "is the unit off"),
        ("electricity average,electricity,570,kg CO2/kWh", "is the unit off"),
        ("oxidation,raw coal,0.94,%", "an oxidation fraction of 0.0094"),
        ("ncv,diesel,42.652,GJ/1000 m3", "diesel is counted by the tonne"),
        ("ncv,raw coal,43,GJ/t", "outside 5 to 34"),
    ],
)
def test_factors_that_cannot_be(tmp_path, row, said):
    path = tmp_path / "f.csv"
    path.write_text(f"quantity,item,value,unit\n{row}\n", encoding="utf-8")
    with pytest.raises((RangeError, FormatError), match=said):
        read_factors(path)


def test_plants_in_another_unit(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(
        "name,latitude,longitude,value,unit\nA,38,114.5,5,Mt\nA,38,114.5,5,Mt\n", encoding="utf-8"
    )
    frame, is_mass, notes = read_plants(path)
    assert any("1 plants stand twice" in n for n in notes)
    totals, _ = sector_totals(contract([("130000", "2019", "CO2", "1.A.1.a", "IPCC2006", 10.0, "kt")]))
    plants = place_plants(frame, is_mass, provinces())
    grid = Grid.regular(36.0, 43.0, 113.0, 120.0, 0.5, 0.5)
    with pytest.raises(
        RangeError, match="plants of Hebei are 1000.00 times its total of the sector: a unit is off"
    ):
        gridded_prior(totals, provinces(), grid, plants=plants)


def test_a_table_in_chinese_however_it_is_headed(tmp_path):
    path = tmp_path / "zh.csv"
    text = "省份,年度,温室气体,部门,排放量(万吨),不确定性\n"
    text += "河北省,2019,二氧化碳,合计,90000,0.06\n山西,2019,CO₂,合计,50000,\n"
    for encoding in ("utf-8", "gbk"):
        path.write_text(text.replace("CO₂", "CO2") if encoding == "gbk" else text, encoding=encoding)
        frame = read_inventory(path)
        assert frame["region"].tolist() == ["130000", "140000"]
        assert set(frame["gas"]) == {"CO2"}
        assert set(frame["category"]) == {"total"}
        assert set(frame["unit"]) == {"万吨"}
    path.write_text("地区,年份,气体,数值(万吨),单位\n河北,2019,CO2,9,Mt\n", encoding="utf-8")
    with pytest.raises(FormatError, match="says 万吨, the column of units Mt"):
        read_inventory(path)
    path.write_text("地区,省份,年份,气体,数值,单位\n河北,河北,2019,CO2,9,Mt\n", encoding="utf-8")
    with pytest.raises(FormatError, match="both mean 'region'"):
        read_inventory(path)


def test_a_title_above_chinese_headings_and_percent(tmp_path):
    path = tmp_path / "zh.csv"
    text = "2019年二氧化碳排放汇总,,,,\n,,,,\n地区,年份,气体,数值（万吨）,{}\n河北,2019,CO2,90000,{}\n"
    for heading, cell in (("不确定性（%）", "10"), ("不确定度", "10%"), ("不确定性", "0.1")):
        path.write_text(text.format(heading, cell), encoding="gb18030")
        frame = read_inventory(path)
        assert frame[["region", "value", "uncertainty"]].to_numpy().tolist() == [["130000", 90000.0, 0.1]]
    path.write_text(text.format("不确定性", "一成"), encoding="gb18030")
    with pytest.raises(RangeError, match="row 4: uncertainty is not a number"):
        read_inventory(path)


def test_of_a_table_that_lacks_a_column_the_headings_are_named_not_the_title(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text("两年对比,,\n类别,气体,基年,现状\n", encoding="utf-8")
    with pytest.raises(FormatError, match="lacks column current .*found 类别, 气体, 基年, 现状"):
        read_rows(path, ("category", "gas", "base", "current"))


def test_a_category_beside_one_that_holds_it():
    rows = [("130000", "2019", "CO2", c, "IPCC2006", v, "Mt") for c, v in (("1.A", 600.0), ("1.A.1", 300.0))]
    with pytest.raises(FormatError, match="1.A.1 of 130000 is a part of 1.A, which has a row too"):
        sector_totals(contract(rows))
