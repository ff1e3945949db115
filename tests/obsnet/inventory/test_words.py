"""Provinces and columns however they are written; books and text tables."""

import pytest

from obsnet.errors import FormatError, RangeError, RegionError
from obsnet.inventory.books import number, read_rows, read_sheets, write_rows
from obsnet.inventory.words import NATION, canonical_columns, find_region
from obsnet.regions import PROVINCES


@pytest.mark.parametrize("code", PROVINCES)
def test_a_province_in_every_spelling(code):
    english, full, short = PROVINCES[code]
    spellings = [
        code,
        code[:2],
        english,
        english.upper(),
        english.replace(" ", ""),
        english.replace(" ", "_"),
    ]
    spellings += [full, short, f"　{short[0]}　{short[1:]} ", f"{english} Province"]
    assert {find_region(s) for s in spellings} == {code}


def test_letters_of_the_daily_data_and_of_iso():
    letters = {
        "SX": "140000",
        "SAX": "610000",
        "SN": "610000",
        "HAN": "460000",
        "HEN": "410000",
        "HB": "420000",
    }
    assert {k: find_region(k) for k in letters} == letters
    assert find_region("全国") == find_region("China") == find_region("全国（不含港澳台）") == NATION
    names = {
        "Guangxi Zhuang Autonomous Region": "450000",
        "Ningxia Hui": "640000",
        "Xinjiang Uyghur Autonomous Region": "650000",
        "新疆维吾尔": "650000",
        "广西壮族": "450000",
        "Macao SAR": "820000",
        "Nei Mongol": "150000",
        "CN-HE": "130000",
        "CN-13": "130000",
    }
    assert {n: find_region(n) for n in names} == names


def test_near_names_are_given_and_not_taken():
    with pytest.raises(RegionError, match="nearest: .*'Shaanxi'"):
        find_region("Shaanxxi")


def test_columns_in_both_languages_and_the_exact_name_first():
    assert canonical_columns(["地区", "年份", "排放量"], ["region", "period", "value"], "f") == {
        "地区": "region",
        "年份": "period",
        "排放量": "value",
    }
    assert canonical_columns(["value", "amount"], ["value"], "f") == {"value": "value"}
    with pytest.raises(FormatError, match="both mean 'value'"):
        canonical_columns(["amount", "排放量"], ["value"], "f")
    with pytest.raises(FormatError, match=r"lacks column value \(数值\); found 地区"):
        canonical_columns(["地区"], ["region", "value"], "f")


def test_text_in_gbk_is_read_and_said(tmp_path):
    path = tmp_path / "gbk.csv"
    path.write_bytes("地区,月份,用电量\n河北,1,12.5\n".encode("gbk"))
    table = read_rows(path, ("region", "value"), ("month",), numbers=("value",))
    assert table["region"].tolist() == ["河北"]
    assert table["value"].tolist() == [12.5]
    assert any("GB 18030" in n for n in table.attrs["notes"])


@pytest.mark.parametrize(
    ("cell", "value"), [("1,234.5", 1234.5), ("－", None), ("　", None), ("１２", 12.0), ("−3", -3.0)]
)
def test_numbers(cell, value):
    assert number(cell) == value


@pytest.mark.parametrize("cell", ["1.2.3", "many", "12 t", "1,23"])
def test_no_number(cell):
    with pytest.raises(RangeError, match="is not a number"):
        number(cell)


def test_chinese_headings_open_in_excel(tmp_path):
    import pandas as pd

    path = tmp_path / "zh.csv"
    write_rows(pd.DataFrame({"region": ["河北"], "value": [1.0]}), path, "zh")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert read_rows(path, ("region", "value"), numbers=("value",))["value"].tolist() == [1.0]


def test_several_sheets_that_fit_are_asked_about(tmp_path):
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["region", "value"])
    book.active.append(["Hebei", 1])
    second = book.create_sheet("second")
    second.append(["region", "value"])
    second.append(["Hebei", 2])
    book.create_sheet("notes").append(["nothing here"])
    book.save(tmp_path / "two.xlsx")
    with pytest.raises(FormatError, match="several sheets fit"):
        read_rows(tmp_path / "two.xlsx", ("region", "value"))
    chosen = read_rows(tmp_path / "two.xlsx", ("region", "value"), numbers=("value",), sheet="second")
    assert chosen["value"].tolist() == [2.0]


def test_no_workbook(tmp_path):
    (tmp_path / "false.xlsx").write_text("a,b\n")
    with pytest.raises(FormatError, match="cannot be read as a workbook"):
        read_sheets(tmp_path / "false.xlsx")
    with pytest.raises(FormatError, match="no such file"):
        read_sheets(tmp_path / "absent.xls")
