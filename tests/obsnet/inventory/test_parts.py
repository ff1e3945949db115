"""Below the province: cities sum to it, reports are added up with their outliers, one enterprise without double
counting."""

import numpy as np
import pandas as pd
import pytest

from obsnet.errors import FormatError, RangeError, RegionError
from obsnet.inventory.factors.choose import FactorBook
from obsnet.inventory.parts.cities import read_cities, split_cities
from obsnet.inventory.parts.enterprise import compute_enterprise, enterprise_lines, read_enterprise
from obsnet.inventory.parts.reports import add_up, outliers, read_reports
from obsnet.inventory.table import read_inventory

EDITIONS = ["gbt32151", "ipcc2006", "mee-nbs"]


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def hebei(tmp_path):
    rows = "130000,2019,CO2,1.A.2,IPCC2006,500,Mt,0.1\n130000,2019,CO2,1.A.3,IPCC2006,100,Mt,0.2\n"
    return read_inventory(
        written(tmp_path, "i.csv", "region,period,gas,category,terminology,value,unit,uncertainty\n" + rows)
    )


def test_cities_sum_to_their_province(tmp_path, hebei):
    rows = "河北,唐山,,,60\n河北,石家庄,,,30\n河北,邯郸,,,9.5\n河北,定州,,,0.5\n河北,雄安,,,\n"
    text = "地区,城市,数值,单位,代用指标\n" + rows
    found, _ = split_cities(hebei, read_cities(written(tmp_path, "c.csv", text)))
    for category, total in (("1.A.2", 500), ("1.A.3", 100)):
        mine = found[found["category"] == category].set_index("city")
        assert mine["value"].sum() == pytest.approx(total, rel=1e-12)
        assert mine["share"]["唐山"] == pytest.approx(0.6)
    industry = found[found["category"] == "1.A.2"].set_index("city")["resolvable"]
    # 2.5 Mt is below the province's sd of 50 Mt; nothing tells 雄安
    assert industry.to_dict() == {"唐山": True, "石家庄": True, "邯郸": False, "定州": False, "雄安": False}


def test_own_totals_stand_and_the_rest_goes_by_proxy(tmp_path, hebei):
    rows = "Hebei,A,1.A.2,200,Mt,\nHebei,B,1.A.2,,,3\nHebei,C,1.A.2,,,1\nHebei,A,,,,1\nHebei,B,,,,1\n"
    text = "region,city,category,value,unit,proxy\n" + rows
    found, _ = split_cities(hebei, read_cities(written(tmp_path, "c.csv", text)))
    industry = found[found["category"] == "1.A.2"].set_index("city")
    assert industry["value"].to_dict() == {"A": 200.0, "B": 225.0, "C": 75.0}
    assert industry["basis"].to_dict() == {"A": "own", "B": "proxy", "C": "proxy"}
    assert found[found["category"] == "1.A.3"]["value"].tolist() == [50.0, 50.0]


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        (
            "region,city,category,value,unit\nHebei,A,1.A.2,600,Mt\nHebei,A,1.A.3,9,Mt\n",
            RangeError,
            "cities of 130000 1.A.2 sum to 600 Mt, the province has 500",
        ),
        (
            "region,city,category,value,unit\nHebei,A,1.A.2,60,Mt\nHebei,A,1.A.3,9,Mt\n",
            RangeError,
            "add the others or a proxy",
        ),
        (
            "region,city,value,unit\nHebei,A,60,Mt\n",
            FormatError,
            "no category, the inventory has 1.A.2, 1.A.3 and no",
        ),
        ("region,city,proxy\nHebei,A,0\n", RegionError, "all 0 or missing"),
        ("region,city,proxy\nHebei,A,-1\n", RangeError, "below 0"),
        ("region,city,proxy\nHebei,A,1\nHebei,A,2\n", FormatError, "A stands twice"),
        ("region,city\nHebei,A\n", FormatError, "need a column proxy"),
        ("region,city,proxy\nHenan,A,1\n", RegionError, "no province of the cities"),
    ],
)
def test_faulty_cities(tmp_path, hebei, text, error, said):
    with pytest.raises(error, match=said):
        split_cities(hebei, read_cities(written(tmp_path, "c.csv", text)))


def test_a_value_without_a_category_is_of_the_total(tmp_path, hebei):
    whole = hebei.iloc[:1].assign(category="total", value=600.0)
    both = pd.concat([hebei, whole], ignore_index=True)
    cities = read_cities(
        written(tmp_path, "c.csv", "region,city,value,unit,proxy\nHebei,A,5,Mt,\nHebei,B,,,1\n")
    )
    found, notes = split_cities(both, cities)
    assert found.set_index(["category", "city"])["value"].to_dict() == {
        ("total", "A"): 5.0,
        ("total", "B"): 595.0,
    }
    assert any("not divided: 1.A.2, 1.A.3" in n for n in notes)


def test_reports_are_added_up_and_outliers_listed(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        f"河北,cement,P{k},{t:.1f},t,{t / 0.6 * e:.1f}"
        for k, (t, e) in enumerate(
            zip(rng.uniform(1e5, 1e6, 30), np.exp(rng.normal(0, 0.1, 30)), strict=True)
        )
    ]
    rows += [
        "河北,cement,wrong unit,500000,万吨,800000",
        "河北,cement,carbon,130000,t,800000",
        "河北,cement,P3,1000,t,1600",
    ]
    path = written(tmp_path, "r.csv", "region,category,name,value,unit,base\n" + "\n".join(rows) + "\n")
    reports = read_reports(path)
    odd = outliers(reports).groupby("name")["why"].agg("; ".join)
    assert "off by 10⁴" in odd["wrong unit"]
    assert "more than Hebei" in odd["wrong unit"]
    assert odd["P3"] == "name stands twice; name stands twice"
    assert len(odd) == 2
    inventory = read_inventory(
        written(tmp_path, "i.csv", "region,period,gas,category,value,unit\n130000,2019,CO2,cement,60,Mt\n")
    )
    sums = add_up(reports, inventory)
    assert sums["reports"].tolist() == [33]
    assert sums["coverage"].iloc[0] == pytest.approx(reports["mass"].sum() * 1e-6 / 60)
    with pytest.raises(RangeError, match="not a positive number"):
        read_reports(written(tmp_path, "n.csv", "region,category,name,value,unit\n河北,x,P,-1,t\n"))


def enterprise(tmp_path, rows, head="kind,item,value,unit,ncv,carbon,oxidation,factor,note", year=2022):
    lines = read_enterprise(written(tmp_path, "e.csv", head + "\n" + "\n".join(rows) + "\n"))
    return compute_enterprise(lines, FactorBook(editions=EDITIONS), region="河北", year=year)


def test_an_enterprise_with_its_audit_trail(tmp_path):
    rows = [
        "fuel,烟煤,1000,t,20.5,,,,",
        "fuel,柴油,10,t,,,,,",
        "fuel,天然气,5,万立方米,,,,,",
        "process,水泥熟料,2000,t,,,,0.53,",
        "electricity,,4000,MWh,,,,,",
        "green electricity,,1000,MWh,,,,,certificate 17",
        "heat,,300,GJ,,,,,",
    ]
    found = enterprise(tmp_path, rows)
    coal = 1000 * 20.5e-3 * 26.1 * 0.93 * 44 / 12
    diesel = 10 * 42.652e-3 * 20.2 * 0.98 * 44 / 12
    gas = 50 * 38.931e-3 * 15.3 * 0.99 * 44 / 12
    assert found.scope1 == pytest.approx(coal + diesel + gas + 2000 * 0.53)
    assert found.scope2_location == pytest.approx(4000 * 0.7252 + 300 * 0.11)
    assert found.scope2_market == pytest.approx(3000 * 0.5856 + 300 * 0.11)
    trail = found.trail.set_index("item")
    assert trail.loc["bituminous coal", "tier"] == "part measured"
    assert "ncv 20.5 (measured)" in trail.loc["bituminous coal", "source"]
    assert trail.loc["diesel", "tier"] == "default"
    assert "GB/T 32151" in trail.loc["diesel", "source"]
    text = "\n".join(enterprise_lines(found))
    assert "scope 2, by market" in text
    assert "sum" not in found.data()


def test_the_share_of_the_province_is_said(tmp_path):
    found = enterprise(tmp_path, ["fuel,烟煤,1000,t,,,,,"])
    assert any("scope 1 before storage is 1.9e-06 of Hebei (914 Mt CO2" in n for n in found.notes)
    found = enterprise(tmp_path, ["fuel,烟煤,1e8,t,,,,,"])
    assert any("1e+08 t of bituminous coal emits 174.2 Mt CO2, 19% of Hebei" in n for n in found.notes)


def test_a_report_beyond_its_province_is_listed(tmp_path):
    rows = (
        "region,category,name,value,unit\n河北,power,A,20000,万吨\n河北,power,B,2e9,t\n河北,power,C,3e6,t\n"
    )
    odd = outliers(read_reports(written(tmp_path, "r.csv", rows))).set_index("name")["why"]
    assert "200 Mt is 22% of Hebei" in odd["A"]
    assert "2000 Mt is more than Hebei" in odd["B"]
    assert "C" not in odd.index


def test_stored_co2_is_deducted_once_and_transferred_is_not(tmp_path):
    rows = ["fuel,烟煤,1000,t,,,,,", "captured,,500,t,,,,,", "stored,,300,t,,,,,", "transferred,,100,t,,,,,"]
    found = enterprise(tmp_path, rows)
    assert found.scope1 == pytest.approx(1000 * 19.57e-3 * 26.1 * 0.93 * 44 / 12 - 300)
    assert any("100 t CO2 transferred to others are not deducted" in n for n in found.notes)


def test_without_green_power_both_ways_agree(tmp_path):
    found = enterprise(tmp_path, ["electricity,,100,MWh,,,,,"], year=2023)
    assert found.scope2_location == found.scope2_market
    assert any(
        "factor of 2022 for power of 2023" in n for n in found.notes
    )  # provinces are announced up to 2022


@pytest.mark.parametrize(
    ("rows", "error", "said"),
    [
        (
            ["electricity,,100,MWh,,,,,", "green electricity,,200,MWh,,,,,c"],
            RangeError,
            "exceeds the 100 MWh purchased",
        ),
        (
            ["electricity,,100,MWh,,,,,", "green electricity,,20,MWh,,,,,"],
            FormatError,
            "needs its certificate",
        ),
        (["fuel,柴油,1,t,,,,,", "captured,,500,t,,,,,"], RangeError, "captured of"),
        (
            ["fuel,烟煤,1000,t,,,,,", "captured,,5,t,,,,,", "stored,,50,t,,,,,"],
            RangeError,
            "stored and transferred",
        ),
        (["fuel,烟煤,1000,t,43,,,,"], RangeError, "measured ncv of bituminous coal is 43, outside 5 to 34"),
        (["fuel,烟煤,1000,t,,,98,,"], RangeError, "outside 0 to 1"),
        (["fuel,烟煤,1000,MWh,,,,,"], FormatError, "unit 'MWh'; known here: t"),
        (["fuel,烟煤,-1,t,,,,,"], RangeError, "not a positive number"),
        (
            ["fuel,烟煤,1e9,t,,,,,"],
            RangeError,
            r"row 2: 1e\+09 t of bituminous coal emits .* more than Hebei",
        ),
        (["electricity,,1e13,kWh,,,,,"], RangeError, "more than Hebei .*is a unit off"),
        (["heat,,1e11,GJ,,,,,"], RangeError, "of heat emits"),
        (["process,水泥熟料,6e8,t,,,,,"] * 4, RangeError, "scope 1 emits"),
        (["process,水泥熟料,2000,t,,,,530,"], RangeError, "530 is more than 20 times from 0.5"),
        (["heat,,300,GJ,,,,110,"], RangeError, "110 is more than 20 times from 0.11"),
        (["feul,烟煤,1,t,,,,,"], FormatError, "no kind 'feul'; nearest: 'fuel'"),
    ],
)
def test_faulty_enterprises(tmp_path, rows, error, said):
    with pytest.raises(error, match=said):
        enterprise(tmp_path, rows)


def test_chinese_lines(tmp_path):
    found = enterprise(tmp_path, ["燃料,柴油,10,吨", "外购电力,,1,万千瓦时"], "类型,项目,数值,单位")
    assert found.scope2_location == pytest.approx(10 * 0.7252)
