"""The inventory table: known totals, units, and what a user's file may do wrong."""

import numpy as np
import pytest

from obsnet.errors import FormatError, RangeError, SchemaError, UnitError
from obsnet.inventory.table import builtin, mole_rate, read_inventory

HEADER = "region,period,gas,value,unit,uncertainty\n"


def written(tmp_path, text):
    path = tmp_path / "inventory.csv"
    path.write_text(HEADER + text, encoding="utf-8")
    return path


def test_builtin_totals():
    table = builtin("ceads-2019").set_index("region")
    assert len(table) == 30
    # The published sum of the thirty provinces, rounded to 1 Mt each.
    assert table["value"].sum() == pytest.approx(10864, abs=15)
    assert table.loc["370000", "value"] == 937
    assert "540000" not in table.index
    assert set(table["unit"]) == {"Mt"}
    assert table["uncertainty"].isna().all()
    assert table["source"].str.contains("10.1038/sdata.2017.201").all()


def test_builtin_equals_the_workbook(sample_data):
    """Each province's figure is the workbook's Scope_1_Total rounded to 1 Mt."""
    openpyxl = pytest.importorskip("openpyxl")
    book = next((sample_data / "inventory" / "ceads" / "provinces").glob("*2019.xlsx"))
    sheets = openpyxl.load_workbook(book, read_only=True, data_only=True)
    table = builtin("ceads-2019").set_index("region")["value"]
    for code, sheet in {
        "110000": "Beijing2019",
        "150000": "InnerMongolia2019",
        "440000": "Guangdong2019",
    }.items():
        rows = [r for r in sheets[sheet].iter_rows(values_only=True) if r[0] == "TotalEmissions"]
        assert table[code] == round(rows[0][-1])


def test_mole_rate_is_44_over_12_apart():
    assert mole_rate(44.0095, "t", "CO2") == pytest.approx(1e6 / (365.2425 * 86400), rel=1e-12)
    assert mole_rate(1.0, "Mt", "C") / mole_rate(1.0, "Mt", "CO2") == pytest.approx(
        44.0095 / 12.0107, rel=1e-9
    )


@pytest.mark.parametrize(
    ("unit", "kg"),
    [("Mt", 1e9), ("kt", 1e6), ("t", 1e3), ("万吨", 1e7), ("kg", 1.0), ("Mt/yr", 1e9), ("Tg", 1e9)],
)
def test_mass_units(unit, kg):
    assert mole_rate(1.0, unit, "CH4") == pytest.approx(kg / 0.01604246 / (365.2425 * 86400))


def test_user_file(tmp_path):
    path = written(tmp_path, "110000,2019,CO2,89,Mt,0.1\n120000,2019,CO2,158,Mt,\n120000,2019,CH4,1,Mt,0.3\n")
    table = read_inventory(path, gas="co2")
    assert list(table["region"]) == ["110000", "120000"]
    assert table["uncertainty"].iloc[0] == 0.1
    assert np.isnan(table["uncertainty"].iloc[1])
    assert set(table["category"]) == {"total"}


def test_byte_order_mark_is_no_column(tmp_path):
    path = tmp_path / "excel.csv"
    path.write_text(HEADER + "110000,2019,CO2,89,Mt,\n", encoding="utf-8-sig")
    assert read_inventory(path)["region"].tolist() == ["110000"]


@pytest.mark.parametrize(
    ("rows", "error", "text"),
    [
        ("110000,2019,CO2,many,Mt,\n", RangeError, "row 2: value is not a number"),
        ("110000,2019,CO2,89,Mt,-0.1\n", RangeError, "uncertainty below 0"),
        ("110000,2019,CO2,89,Mt,10\n", RangeError, "a share \\(0.1\\), not percent"),
        ("110000,2019,CO2,89,Mt,\n110000,2019,CO2,90,Mt,\n", SchemaError, "2 rows share region"),
        ("110000,2019,CO2,89,m3,\n", UnitError, "row 2: unit .m3. is no mass"),
        ("110000,2019,CO2,89,bushels of coal,\n", UnitError, "is no mass"),
    ],
)
def test_bad_rows(tmp_path, rows, error, text):
    with pytest.raises(error, match=text):
        read_inventory(written(tmp_path, rows))


def test_bad_files(tmp_path):
    with pytest.raises(FormatError, match="no such inventory; built in: ceads-2019"):
        read_inventory(tmp_path / "absent.csv")
    path = tmp_path / "short.csv"
    path.write_text("region,value\n110000,1\n", encoding="utf-8")
    with pytest.raises(FormatError, match="lacks column period, gas, unit; found region, value"):
        read_inventory(path)
    with pytest.raises(FormatError, match="nearest: 'ceads-2019'"):
        builtin("ceads-2018")
    with pytest.raises(FormatError, match="no row for CH4"):
        read_inventory(written(tmp_path, "110000,2019,CO2,89,Mt,\n"), gas="CH4")
