"""The workbook of a report: every table, all digits, one language."""

import csv

import numpy as np
import openpyxl
import pandas as pd
import pytest

from obsnet.crosscheck.attribution.run import COLUMNS as ATTRIBUTION
from obsnet.crosscheck.bridge.harmonise import COLUMNS as BRIDGE
from obsnet.crosscheck.reconcile.run import COLUMNS as RECONCILED
from obsnet.crosscheck.trend.run import COLUMNS as TRENDS
from obsnet.crosscheck.verdicts.options import CrosscheckOptions
from obsnet.crosscheck.verdicts.run import crosscheck_files
from obsnet.report.tables.headings import heading, in_language
from obsnet.report.tables.tables import report_tables
from obsnet.report.tables.workbook import write_table_files, write_table_workbook
from tests.obsnet.crosscheck.verdicts.test_table import posterior

EVIL = '=cmd|"/C calc"!A0'


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the table of a made posterior, whose second region bears a wicked name."""
    made = posterior(tmp_path / "posterior.nc")
    rows = "region,period,gas,category,terminology,value,unit,uncertainty,source,edition\n"
    rows += "110000,2019,CO2,total,CEADs,130,Mt,0.05,book,1\n"
    (tmp_path / "inventory.csv").write_text(rows, encoding="utf-8")
    crosscheck_files(made, tmp_path / "inventory.csv", CrosscheckOptions(), tmp_path / "provinces.csv")
    table = pd.read_csv(tmp_path / "provinces.csv", dtype={"region": str})
    table.loc[1, ["name_en", "name_zh"]] = EVIL
    table.to_csv(tmp_path / "provinces.csv", index=False)
    return tmp_path


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_number_is_the_files(folder, language):
    tables = report_tables(folder / "provinces.csv", [], language)
    path = write_table_workbook(folder / "t.xlsx", tables, language, title="T", notes=["n"])
    book = openpyxl.load_workbook(path)
    assert len(book.sheetnames) == len(tables) + 1
    stored = pd.read_csv(folder / "provinces.csv", dtype={"region": str})
    sheet = book.worksheets[1]
    heads = [c.value for c in sheet[1]]
    assert all(not isinstance(v, str) or v.lower() not in {"inf", "nan"} for r in sheet.values for v in r)
    for key in ("inventory", "posterior", "minimum_detectable", "p_adjusted", "response"):
        column = heads.index(heading(key).said(language))
        found = np.array([r[column] for r in list(sheet.values)[1:]], float)
        expected = stored[key].where(np.isfinite(stored[key])).to_numpy()
        np.testing.assert_array_equal(found, expected)
    names = [r[heads.index(heading("name").said(language))] for r in list(sheet.values)[1:]]
    assert names == [{"en": "Beijing", "zh": "北京市"}[language], EVIL]
    cell = sheet.cell(3, heads.index(heading("name").said(language)) + 1)
    assert (cell.data_type, cell.quotePrefix) == ("s", True)


def test_the_chinese_workbook_has_chinese_codes(folder):
    frame = report_tables(folder / "provinces.csv", [], "zh")[0].frame
    assert set(frame["verdict"]) <= {"不一致", "一致", "未能判定", "无法检验"}
    assert "无清单" in frame["reason"].tolist()
    assert "name_en" not in frame


def test_covariances_are_headed_by_names(folder):
    made = {t.key: t for t in report_tables(folder / "provinces.csv", [], "zh")}["covariance"]
    assert [h.said("zh") for h in made.headings] == ["代码", "地区", "北京市（Mt²/a²）", f"{EVIL}（Mt²/a²）"]
    assert made.frame["name"].tolist() == ["北京市", EVIL]


def test_files_for_excel_are_guarded(folder):
    tables = report_tables(folder / "provinces.csv", [], "en")
    paths = write_table_files(folder / "tables", tables, "en")
    assert [p.stem for p in paths] == ["verdicts", "covariance", "statistics"]
    assert all(p.read_bytes().startswith(b"\xef\xbb\xbf") for p in paths)
    with open(paths[0], encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[2][1] == f"'{EVIL}"


@pytest.mark.parametrize(
    ("table", "columns"),
    [("bridge", BRIDGE), ("attribution", ATTRIBUTION), ("trends", TRENDS), ("reconciled", RECONCILED)],
)
def test_all_columns_of_our_tables_have_names(table, columns):
    frame = in_language(pd.DataFrame({c: ["x"] for c in columns}), "en")
    assert [c for c in frame.columns if heading(c, table).zh == c and c != "z"] == []


def test_all_columns_of_verdicts_have_names(folder):
    for table in report_tables(folder / "provinces.csv", [], "en"):
        unnamed = [c for c, h in zip(table.frame.columns, table.headings, strict=True) if h.zh == c != "z"]
        assert table.key == "covariance" or unnamed == []


def test_a_text_that_is_missing_in_a_language_is_that_of_the_other():
    frame = pd.DataFrame(
        {"name_en": ["A", "B"], "name_zh": ["甲", ""], "reason": ["", "r"], "reason_zh": ["", np.nan]}
    )
    assert in_language(frame, "zh").to_dict("list") == {"name": ["甲", "B"], "reason": ["", "r"]}
