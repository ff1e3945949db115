"""A form is filled by its own words; what could be meant in two ways is left and said."""

import openpyxl
import pandas as pd
import pytest

from obsnet.errors import FormatError
from obsnet.inventory.exchange.form import fill_form
from tests.commands import call

LINES = [
    # category, gas, value, unit
    ("1.A.1.a", "CO2", 100.0, "Mt"),
    ("1.A.2.a", "CO2", 50.0, "Mt"),
    ("1.B.1.a", "CH4", 2.0, "Mt"),
    ("2.C.1", "CO2", 5.0, "Mt"),
    ("3.A.1", "CH4", 300.0, "kt"),
    ("3.C.7", "CH4", 100.0, "kt"),
    ("4.A", "CH4", 200.0, "kt"),
]


def inventory(folder, lines=LINES, regions=("河北",), periods=(2015,)):
    rows = [f"{r},{p},{g},{c},IPCC2006,{v},{u}" for r in regions for p in periods for c, g, v, u in lines]
    path = folder / "inventory.csv"
    path.write_text("\n".join(["region,period,gas,category,terminology,value,unit", *rows]), encoding="utf-8")
    return path


def form(folder, *rows, merged=()):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for cells in merged:
        book.active.merge_cells(cells)
    book.save(folder / "form.xlsx")
    return folder / "form.xlsx"


CHINESE = [
    ["2015年二氧化碳等温室气体清单汇总表", "", "", "", ""],
    ["单位：万吨", "", "", "", ""],
    ["部门", "", "二氧化碳", "甲烷", "温室气体合计（万吨CO2当量）"],
    ["总量（不包括土地利用变化和林业）", "", None, None, None],
    ["一、能源活动总计", "", None, None, None],
    ["", "1. 化石燃料燃烧", None, None, None],
    ["", "其中：钢铁", None, None, None],
    ["", "2. 煤炭开采逃逸", None, None, None],
    ["二、工业生产过程", "", None, None, None],
    ["", "钢铁", None, None, None],
    ["三、农业活动", "", None, None, None],
    ["四、废弃物处理", "", None, "NE", "=SUM(C12:D12)"],
    ["国际燃料舱", "", None, None, None],
]


def test_a_form_in_chinese(tmp_path):
    """Numbering is no code (3 is agriculture here), steel among processes burns nothing, what is there is left."""
    done = fill_form(form(tmp_path, *CHINESE), inventory(tmp_path), tmp_path / "out.xlsx")
    page = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    ch4 = {4: 260, 5: 200, 8: 200, 11: 40}  # 10⁴ t
    co2 = {4: 15500, 5: 15000, 6: 15000, 7: 5000, 9: 500}
    assert {r: v for r in range(4, 14) if (v := page.cell(r, 3).value) is not None} == pytest.approx(co2)
    assert {r: page.cell(r, 4).value for r in (4, 5, 8, 11)} == pytest.approx(ch4)
    assert page["E4"].value == pytest.approx(15500 + 28 * 260)
    assert page["E8"].value == pytest.approx(28 * 200)
    assert (page["D12"].value, page["E12"].value) == ("NE", "=SUM(C12:D12)")
    left = {r["cell"]: r["reason"].en for r in done.left}
    assert "1.A.2.a, another sector" in left["A10"]
    assert "holds NE already; the inventory has 20" in left["D12"]
    assert "no category" in left["A13"]
    assert [(r["category"], r["gas"]) for r in done.in_no_row] == [("4.A", "CH4")]
    total = inventory(tmp_path, [*LINES, ("total", "CO2", 155.0, "Mt")])
    again = fill_form(form(tmp_path, *CHINESE), total, tmp_path / "again.xlsx")
    assert again.cells == done.cells  # a total beside its parts counts once
    assert done.notes[-1].en == "sums are of what the inventory has: CH4, CO2; sectors 1, 2, 3, 4"
    account = pd.read_csv(tmp_path / "out_cells.csv")
    assert account["what"].value_counts().to_dict() == {"filled": len(done.cells), "left": 4, "in no row": 1}


def test_a_form_in_english(tmp_path):
    """Units in a row of their own, each up to the next; codes that disagree with their names fill nothing."""
    given = form(
        tmp_path,
        ["Categories", "", "CO2", "CH4", "HFCs", "Total GHG emissions"],
        ["", "", "(Gg)", "", "", "CO2 equivalent (Gg)"],
        ["1.A.1", "Energy industries", None, None, None, None],
        ["1.A.2.a", "Iron and steel", 5, None, None, None],
        ["1.B", "Mineral industry", None, None, None, None],
        ["2.C", "A name of one's own", None, None, None, None],
        ["3.1", "Cattle", None, None, None, None],
        ["Total", "", None, None, None, None],
    )
    done = fill_form(given, inventory(tmp_path), tmp_path / "out.xlsx")
    page = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    assert [page.cell(r, 3).value for r in range(3, 9)] == [100_000, 5, None, 5000, None, 155_000]
    assert page["F8"].value == pytest.approx(155_000 + 28 * 2600)
    assert page["F4"].value == pytest.approx(50_000)
    said = {r["cell"]: r["reason"].en for r in done.left}
    assert "holds 5 already" in said["C4"]
    assert "code says 1.B, its name 2.A" in said["A5"]
    assert "no category" in said["A7"]
    assert {c["label"]: c["by"] for c in done.cells}["2.C A name of one's own"] == "code"


CODES = [["Category", "", "CO2 (kt)", "CH4 (kt)"], ["4.A", "Own words", None, None], ["5.A", "Own words", None, None],
         ["3.A", "More words", None, None], ["1.A.2.a", "Still more", None, None]]  # fmt: skip


@pytest.mark.parametrize(
    ("codes", "cells"),
    [("ask", {}), ("IPCC2006", {"D2": 200.0, "D4": 300.0}), ("CRT2023", {"D3": 200.0, "D4": 300.0})],
)
def test_codes_that_mean_two_things_are_asked_about(tmp_path, codes, cells):
    """4.A is landfills in IPCC 2006 and forests in CRT, whose landfills are 5.A; 1.A.2.a is iron and steel in both."""
    done = fill_form(form(tmp_path, *CODES), inventory(tmp_path), tmp_path / "out.xlsx", codes=codes)
    assert {c["cell"]: c["value"] for c in done.cells} == {"C5": 50_000.0, **cells}
    said = {r["cell"]: r["reason"].en for r in done.left}
    if codes == "ask":
        assert "its code 4.A is one category in IPCC 2006 and another or none in CRT" in said["A2"]
        assert "--codes" in said["A4"]
    if codes == "CRT2023":
        assert "4.A of CRT has no single counterpart" in said["A2"]


def test_the_users_rows_go_first_and_two_readings_are_asked(tmp_path):
    with_land = [*LINES, ("3.B", "CO2", -20.0, "Mt")]
    given = form(tmp_path, ["", "CO2 (Mt)"], ["All of it", None], ["Total", None], ["能源", None])
    rows = tmp_path / "rows.csv"
    rows.write_text("label,category\nAll of it,total-3.B\n能源,1.A+1.B\n", encoding="utf-8")
    done = fill_form(given, inventory(tmp_path, with_land), tmp_path / "out.xlsx", rows=rows)
    page = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    assert [page.cell(r, 2).value for r in (2, 3, 4)] == pytest.approx([155.0, None, 150.0])
    assert "with land or without" in done.left[0]["reason"].en
    rows.write_text("label,category\nAll of it,9.Z\n", encoding="utf-8")
    with pytest.raises(FormatError, match="no sum of categories"):
        fill_form(given, inventory(tmp_path), tmp_path / "out.xlsx", rows=rows)


def test_a_total_beside_one_sector_is_asked(tmp_path):
    given = form(tmp_path, ["", "CO2 (Mt)"], ["合计", None], ["能源活动", None], ["Total fuel", None])
    done = fill_form(given, inventory(tmp_path), tmp_path / "out.xlsx")
    assert [c["cell"] for c in done.cells] == ["B3"]
    assert [r["cell"] for r in done.left] == ["A4", "A2"]


def test_what_cannot_be_filled_is_one_line(tmp_path):
    made = inventory(tmp_path)
    out = tmp_path / "out.xlsx"
    with pytest.raises(FormatError, match="has no unit"):
        fill_form(form(tmp_path, ["", "CO2"], ["能源活动", None]), made, out)
    with pytest.raises(FormatError, match="B1 and C1 are both of CO2"):
        fill_form(form(tmp_path, ["", "CO2 (Mt)", "二氧化碳 (Mt)"], ["能源活动", None]), made, out)
    with pytest.raises(FormatError, match="no heading of gases"):
        fill_form(form(tmp_path, ["a", "b"]), made, out)
    with pytest.raises(FormatError, match="no row is known"):
        fill_form(form(tmp_path, ["", "CO2 (Mt)"], ["x", None]), made, out)
    whole = form(tmp_path, ["", "CO2 (Mt)"], ["能源活动", None])
    with pytest.raises(FormatError, match="which holds it"):
        fill_form(whole, inventory(tmp_path, [*LINES, ("1.A", "CO2", 1.0, "Mt")]), out)
    with pytest.raises(FormatError, match="not the sum of its categories"):
        fill_form(whole, inventory(tmp_path, [*LINES, ("total", "CO2", 156.0, "Mt")]), out)
    with pytest.raises(FormatError, match="2 periods"):
        fill_form(whole, inventory(tmp_path, periods=(2015, 2016)), out)
    fill_form(whole, tmp_path / "inventory.csv", out, period="2016")
    with pytest.raises(FormatError, match="--region"):
        fill_form(whole, inventory(tmp_path, regions=("河北", "山西")), out)
    inventory(tmp_path)
    (tmp_path / "form.xlsx").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(FormatError, match="cannot be read as a workbook"):
        fill_form(whole, made, out)


@pytest.mark.parametrize(
    ("head", "unit"),
    [
        ([["单位：万吨"], ["填报单位：河北省生态环境厅"]], ""),
        ([["填报单位：河北省生态环境厅 单位：万吨"]], ""),
        ([["Reporting unit: Hebei EPB"]], "万吨"),
    ],
)
def test_an_organisation_is_no_unit_of_amounts(tmp_path, head, unit):
    path = form(tmp_path, *head, ["部门", "二氧化碳"], ["能源活动", None])
    done = fill_form(path, inventory(tmp_path), tmp_path / "out.xlsx", unit=unit)
    assert [c["value"] for c in done.cells] == [15000.0]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_command_says_what_was_left(tmp_path, capsys, language):
    from obsnet.commands.inventory_export import fill

    given = form(tmp_path, *CHINESE, merged=["C11:D11"])
    call(
        fill, given, "--inventory", inventory(tmp_path), "--out", tmp_path / "o.xlsx", "--language", language
    )
    said = capsys.readouterr().out
    assert ("未填 Sheet D11" if language == "zh" else "left Sheet D11") in said
    assert ("CO2 当量按" if language == "zh" else "CO2 equivalents by") in said


def filled_in(folder, *rows, merged=(), **options):
    done = fill_form(form(folder, *rows, merged=merged), inventory(folder), folder / "out.xlsx", **options)
    return (
        {c["cell"]: (c["gas"], round(c["value"], 6)) for c in done.cells},
        {r["cell"] for r in done.left},
        done,
    )


def test_headings_of_several_rows_and_several_tables(tmp_path):
    """Each column by all that stands over it; each table by its own heading and unit, wherever the sheet begins."""
    over = (
        ["", "部门", "温室气体排放量（万吨CO2当量）", ""],
        ["", "", "CO2①", "CH₄¹"],
        ["", "能源活动", None, None],
    )
    cells, _, done = filled_in(tmp_path, ["", "2020年"], *over, merged=["B2:B3", "C2:D2"])
    assert cells == {"C4": ("CO2", 15000), "D4": ("CH4", 5600)}
    assert "speaks of 2020" in done.notes[0].en
    cells, left, _ = filled_in(
        tmp_path,
        ["部门", "CO2", "", "", "CH4（吨）"],
        ["", "活动水平", "排放因子", "排放量(万吨)", ""],
        ["能源活动", None, None, None, None],
        ["表2"],
        ["单位：吨"],
        ["部门", "CO2（生物质）", "CO2（吨/万元）", "CO2吸收量", "CH4"],
        ["四、废弃物处理", None, None, None, None],
        merged=["B1:D1"],
    )
    assert cells == {"D3": ("CO2", 15000), "E3": ("CH4", 2_000_000), "E7": ("CH4", 200_000)}
    assert left == {"B2", "C2", "B6", "C6", "D6"}
    empty = [None, None]
    cells, left, _ = filled_in(
        tmp_path,
        ["", "CH4", ""],
        ["单位", "万吨", "万吨CO2当量"],
        ["能源活动", *empty],
        merged=["B1:C1"],
        unit="Mt",
    )
    assert cells == {"B3": ("CH4", 200), "C3": ("CH4", 5600)}
    cells, left, _ = filled_in(
        tmp_path, ["", "CO2（万吨）", "", "CH4（万吨）"], ["能源活动", None, "农业活动", None]
    )
    assert (cells, left) == ({"B2": ("CO2", 15000)}, {"D1"})
    for heading in (["", "CO2（万吨）", ""], ["", "温室气体（不含土地）", "CO2 (MtC)"]):
        with pytest.raises(FormatError, match="of a gas and a unit alone"):
            filled_in(tmp_path, heading, ["能源活动", *empty], merged=["B1:C1"] * ("" in heading[1:]))


def test_rows_that_mean_two_things_are_left(tmp_path):
    names = [
        "能源活动",
        "农业",
        "固体燃料",
        "钢铁",
        "合计",
        "其中：钢铁",
        "二、工业生产过程",
        "三、农业活动",
        "合计",
    ]
    cells, left, _ = filled_in(tmp_path, ["", "CO2 (Mt)", "CH4 (Mt)"], *([n, None, None] for n in names))
    assert cells == {"B2": ("CO2", 150), "C2": ("CH4", 2), "B8": ("CO2", 5), "C9": ("CH4", 0.4)}
    assert left == {"A3", "A4", "A5", "A6", "A7", "A10"}
