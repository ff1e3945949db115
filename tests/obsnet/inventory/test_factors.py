"""The factor database: what it recomputes, what it refuses, which row goes before which."""

import math

import pytest

from obsnet.errors import FormatError, RangeError, SchemaError
from obsnet.inventory.factors.choose import FactorBook
from obsnet.inventory.factors.fuels import bands, find_fuel, fuels
from obsnet.inventory.factors.table import builtin_factors, conflicts, query, read_factors

HEADER = "quantity,item,value,unit,region,low,high,uncertainty,meaning\n"

TWICE_CARBON = """ncv,raw coal,20,GJ/t,,,,,
carbon,raw coal,26,t C/TJ,,,,,
oxidation,raw coal,0.9,1,,,,,
effective,raw coal,0.936,t CO2/t,,,,,
"""


def table(tmp_path, text, header=HEADER):
    path = tmp_path / "mine.csv"
    path.write_text(header + text, encoding="utf-8")
    return path


def test_every_shipped_row_says_where_it_is_from():
    frame = builtin_factors()
    assert (frame[["edition", "quantity", "item", "source", "page", "checked", "region"]] != "").all().all()
    assert not frame["source"].str.contains("memory|unknown", case=False).any()


def test_classes_and_names():
    assert {f.kind for f in fuels().values()} - set(bands()) == {"total", "heat", "electricity", "other"}
    names = [n for f in fuels().values() for n in (f.name, f.zh)]
    assert len(names) == len(set(names))
    assert find_fuel("洗精煤").name == find_fuel("CleanedCoal").name == "cleaned coal"


def test_the_spread_of_coal_is_found():
    found = conflicts(builtin_factors())
    (wide,) = found[(found["quantity"] == "effective") & (found["item"] == "bituminous coal")].to_dict(
        "records"
    )
    assert (wide["lowest_edition"], wide["highest_edition"]) == ("gbt32151", "ipcc2006")
    assert wide["highest"] == pytest.approx(2.4407, abs=1e-4)  # 25.8 GJ/t x 94.6 t/TJ
    assert wide["lowest"] == pytest.approx(1.7417, abs=1e-4)  # 19.57 x 26.1 x 0.93 x 44/12
    assert not ((found["quantity"] == "effective") & (found["item"] == "diesel")).any()


def test_clinker_is_recomputed():
    row = query(builtin_factors(), item="clinker").iloc[0]
    assert row["value"] == pytest.approx(0.65 * 44.0095 / 56.0774 * 1.02, abs=5e-5)


@pytest.mark.parametrize(
    ("rows", "error", "said"),
    [
        ("ncv,anthracite,43.0,GJ/t,,,,,\n", RangeError, "outside 5 to 34, what the class 'coal' can be"),
        ("carbon,raw coal,20.2,t C/TJ,,,,,\n", RangeError, "outside 23 to 35"),
        ("ncv,raw coal,20908,GJ/t,,,,,\n", RangeError, "check the unit"),
        ("oxidation,raw coal,98,1,,,,,\n", RangeError, "unit '%' for percent"),
        ("ncv,raw coal,20.9,GJ/t,,21,22,,\n", RangeError, "outside its own range"),
        ("ncv,raw coal,20.9,GJ/t,,,,5,sd\n", RangeError, "it is a share"),
        ("ncv,raw coal,20.9,GJ/t,,,,0.05,\n", SchemaError, "needs its meaning"),
        ("ncv,raw coal,20.9,bushel,,,,,\n", FormatError, "known for it: GJ/t"),
        ("ncv,raw cole,20.9,GJ/t,,,,,\n", FormatError, "nearest: 'raw coal'"),
        ("nvc,raw coal,20.9,GJ/t,,,,,\n", FormatError, "nearest: 'ncv'"),
        ("ncv,raw coal,-1,GJ/t,,,,,\n", RangeError, "not a positive number"),
        ("ncv,raw coal,20,GJ/t,,,,,\nncv,原煤,21,GJ/t,,,,,\n", SchemaError, "2 rows share edition"),
        (
            TWICE_CARBON,
            RangeError,
            r"is stated as 0.936, .* gives 1.716 \(-45.5%\)",
        ),
        ("co2 per energy,raw coal,26,t CO2/TJ,,,,,\n", RangeError, "outside"),  # carbon given as CO2
    ],
)
def test_faulty_tables(tmp_path, rows, error, said):
    with pytest.raises(error, match=said):
        read_factors(table(tmp_path, rows))


def test_units_are_brought_to_one(tmp_path):
    rows = "ncv,原煤,20908,kJ/kg,,,,,\nncv,天然气,3.89,PJ/1e8 m3,,,,,\noxidation,原煤,93,%,,,,,\n"
    found = read_factors(table(tmp_path, rows)).set_index(["quantity", "item"])["value"]
    assert found[("ncv", "raw coal")] == pytest.approx(20.908)
    assert found[("ncv", "natural gas")] == pytest.approx(38.9)
    assert found[("oxidation", "raw coal")] == pytest.approx(0.93)


def test_chinese_headings(tmp_path):
    path = table(tmp_path, "ncv,原煤,20.9,GJ/t\n", "参数,项目,数值,单位\n")
    assert read_factors(path)["item"].tolist() == ["raw coal"]


def test_precedence_own_table_region_year():
    book = FactorBook()
    assert book.effective("diesel", 2007).key == "ceads2007-implied/effective/CO2/diesel/China/2007"
    assert book.effective("anthracite", 2007).parts[0].edition == "gbt32151"
    assert "ceads2007-implied > gbt32151" in book.describe()
    with pytest.raises(FormatError, match="nearest: 'ipcc2006'"):
        FactorBook(editions=["ipcc06"])


def test_one_part_of_ones_own_is_never_passed_by(tmp_path):
    book = FactorBook([table(tmp_path, "ncv,bituminous coal,24.0,GJ/t,,,,,\n")])
    found = book.effective("bituminous coal", 2020)
    assert found.value == pytest.approx(24.0 * 26.1e-3 * 0.93 * 44 / 12)
    assert [p.edition for p in found.parts] == ["mine", "gbt32151", "gbt32151"]
    assert any("ncv of bituminous coal is of mine" in n for n in found.notes)
    # the implied factor of raw coal has no parts that an own calorific value could replace
    with pytest.raises(
        FormatError, match="gives ncv of raw coal, but no edition in order gives the other parts"
    ):
        FactorBook([table(tmp_path, "ncv,raw coal,24.0,GJ/t,,,,,\n")]).effective("raw coal", 2007)


def test_own_region_goes_before_the_nation(tmp_path):
    rows = "effective,raw coal,1.9,t CO2/t,any,,,,\neffective,raw coal,2.0,t CO2/t,140000,,,,\n"
    book = FactorBook([table(tmp_path, rows)])
    assert book.effective("raw coal", 2007, "140000").value == 2.0
    assert book.effective("raw coal", 2007, "110000").value == 1.9


def test_a_stand_in_is_asked_for_and_said():
    with pytest.raises(FormatError, match="--stand-in 'raw coal=bituminous coal'"):
        FactorBook(editions=["gbt32151"]).effective("raw coal", 2020)
    found = FactorBook(editions=["gbt32151"], stand_in={"原煤": "烟煤"}).effective("raw coal", 2020)
    assert found.notes[0] == "raw coal stands as bituminous coal"


def test_uncertainty_of_ipcc_is_of_its_95_percent_interval():
    found = FactorBook(editions=["ipcc2006"]).effective("bituminous coal", 2006)
    ncv, energy = (30.5 - 19.9) / 2 / 25.8 / 1.959964, (99700 - 89500) / 2 / 94600 / 1.959964
    assert found.sd == pytest.approx(math.hypot(ncv, energy), rel=1e-6)
    lent = FactorBook().effective("diesel", 2007)
    assert "ipcc2006/ncv/diesel" in lent.lent
    assert math.isfinite(lent.sd)


def test_query_says_what_there_is():
    assert len(query(builtin_factors(), item="electricity", region="河北", year=2022)) == 1
    with pytest.raises(FormatError, match="quantities: animal mass, carbon"):
        query(builtin_factors(), item="raw coal", year=1900)


def test_activities_are_found_by_their_chinese_names():
    found = query(builtin_factors(), item="水泥熟料")
    assert set(found["item"]) == {"clinker"}
    assert all(
        i.startswith("market swine, high")
        for i in query(builtin_factors(), item="生猪粪便(高生产力)")["item"]
    )
