"""Tables for spreadsheets: numbers are numbers, texts are texts, and nothing runs."""

import csv
import shutil
import subprocess

import numpy as np
import openpyxl
import pytest

from obsnet.sheets import TableSheet, write_sheet_csv, write_sheets

NASTY = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "#N/A", "plain"]
TABLE = TableSheet(
    "=name [of] a: sheet that is far too long",
    ["=head", "number", "中文"],
    [
        (NASTY[0], 1.5, "甲"),
        (NASTY[1], np.float64(-2.25), "乙"),
        (NASTY[2], np.nan, "丙\x07"),
        (NASTY[3], -np.inf, None),
        (NASTY[4], np.int64(7), ""),
        (NASTY[5], True, "丁"),
        (NASTY[6], 1e-300, "戊"),
    ],
)


@pytest.fixture
def cells(tmp_path):
    path = write_sheets(tmp_path / "t.xlsx", [TABLE, TABLE])
    return openpyxl.load_workbook(path)


def test_texts_are_no_formulas_and_numbers_are_numbers(cells):
    sheet = cells.worksheets[0]
    assert sheet["A1"].value == "=head"
    assert {c.data_type for c in sheet["A"]} == {"s"}
    assert [c.value for c in sheet["A"]][1:] == NASTY
    assert sheet["A2"].quotePrefix
    assert not sheet["A8"].quotePrefix
    assert [c.value for c in sheet["B"]][1:] == [1.5, -2.25, None, None, 7, True, 1e-300]
    assert sheet["C4"].value == "丙"


def test_names_of_sheets_are_allowed_and_differ(cells):
    first, second = cells.sheetnames
    assert first != second
    assert all(len(n) <= 31 and not set(n) & set("[]:*?/\\") for n in (first, second))


def test_csv_is_marked_and_guarded(tmp_path):
    path = write_sheet_csv(tmp_path / "t.csv", TABLE)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with open(path, encoding="utf-8-sig", newline="") as stream:
        head, *rows = csv.reader(stream)
    assert head[0] == "'=head"
    assert [r[0] for r in rows] == [f"'{t}" for t in NASTY[:5]] + NASTY[5:]
    assert [r[1] for r in rows] == [
        "1.5",
        "-2.25",
        "",
        "",
        "7",
        "True",
        "1e-300",
    ]  # a negative number is none


def test_libreoffice_runs_nothing(tmp_path):
    """A spreadsheet that opens the workbook shows the text of the formula, not what it would give."""
    office = shutil.which("libreoffice") or shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not installed")
    path = write_sheets(tmp_path / "t.xlsx", [TABLE])
    home = f"-env:UserInstallation={(tmp_path / 'home').as_uri()}"
    done = subprocess.run(
        [office, home, "--headless", "--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76", "--outdir",
         str(tmp_path), str(path)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = (tmp_path / "t.csv").read_text(encoding="utf-8")
    for text in NASTY[:4]:
        assert text in shown
    assert "-2.25" in shown
