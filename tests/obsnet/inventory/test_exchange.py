"""Inventories in the forms of others: PRIMAP2 there and back, workbooks, CO2e by every set."""

import os
import subprocess
import sys

import numpy as np
import pytest

from obsnet.errors import FormatError, RangeError, SchemaError, UnitError
from obsnet.inventory.account.compile import compile_inventory
from obsnet.inventory.account.report import write_compiled
from obsnet.inventory.books import read_sheets
from obsnet.inventory.exchange.export import export_inventory
from obsnet.inventory.exchange.primap import read_primap, write_primap
from obsnet.inventory.exchange.workbook import co2_equivalent, gwp_set, summary
from obsnet.inventory.factors.choose import FactorBook
from obsnet.inventory.sources.compare import read_source
from obsnet.inventory.sources.listing import compare_files
from obsnet.inventory.table import read_inventory
from obsnet.inventory.words import NATION
from tests.obsnet.inventory.test_account import activities, made

KEYS = ["region", "period", "gas", "category"]


@pytest.fixture
def compiled(tmp_path):
    path = activities(tmp_path, ["奶牛,200,万头,河北,2015,,"])
    done = compile_inventory([made(tmp_path)], FactorBook(), activities=[path])
    write_compiled(done, tmp_path / "out")
    return done


def in_kg(frame):
    from obsnet.inventory.table import mass_factor

    mass = [v * mass_factor(u) for v, u in zip(frame["value"], frame["unit"], strict=True)]
    return frame.assign(kg=mass).set_index(KEYS)["kg"].sort_index()


def test_primap_files_are_read_back(compiled, tmp_path):
    paths = write_primap(compiled.inventory, tmp_path / "p", meta={"title": "清单: test"})
    for path in (paths[0], paths[2]):
        back, _ = read_primap(path)
        np.testing.assert_allclose(in_kg(back), in_kg(compiled.inventory), rtol=1e-12)
        assert set(back["terminology"]) == {"IPCC2006"}
    text = paths[1].read_text(encoding="utf-8")
    assert "area: area (GBT2260)" in text
    assert "cat: category (IPCC2006)" in text


def primap(path, *rows, head="source,area (ISO3),entity,unit,category (IPCC2006_PRIMAP),2018,2019"):
    path.write_text("\n".join((head, *rows)) + "\n", encoding="utf-8")
    return path


def test_wide_tables_of_primap_hist(tmp_path):
    head = "source,scenario (PRIMAP-hist),area (ISO3),entity,unit,category (IPCC2006_PRIMAP),2018,2019"
    rows = [
        "P,HISTCR,CHN,CO2,CO2 * gigagram / a,M.0.EL,10000000,10200000",
        "P,HISTCR,FRA,CO2,Gg CO2 / yr,M.0.EL,1,2",
        "P,HISTCR,CHN,CO2,Gg CO2 / yr,1.A,NE,",
    ]
    frame, _ = read_primap(primap(tmp_path / "p.csv", *rows, head=head))
    assert frame["region"].tolist() == [NATION, NATION]
    assert frame["value"].tolist() == [1e7, 1.02e7]
    assert set(frame["unit"]) == {"Gg"}
    assert set(frame["category"]) == {"total"}
    assert set(frame["terminology"]) == {"IPCC2006"}
    again = primap(tmp_path / "p.csv", *rows, "P,HISTTP,CHN,CO2,Gg CO2 / yr,1,1,2", head=head)
    with pytest.raises(FormatError, match="several of scenario"):
        read_primap(again)


@pytest.mark.parametrize(
    ("entity", "unit", "gas"),
    [
        ("CO2", "Gg C / yr", "C"),  # carbon, 44/12 less than the mass of CO2
        ("CH4 (AR4GWP100)", "Gg CO2 / yr", "CH4 (AR4GWP100)"),  # equivalents are no mass of methane
        ("CH4", "Gg CO2 / yr", "CH4 (CO2e)"),
        ("CH4", "Gg CH4 / yr", "CH4"),
    ],
)
def test_what_a_unit_weighs_is_not_lost(tmp_path, entity, unit, gas):
    frame, _ = read_primap(primap(tmp_path / "p.csv", f"P,CHN,{entity},{unit},0,1,2"))
    assert set(frame["gas"]) == {gas}


@pytest.mark.parametrize(
    ("row", "error", "said"),
    [
        (
            "P,CHN,CO2,Gg CO2 / day,0,1,2",
            UnitError,
            "row 2: unit 'Gg CO2 / day' is no mass of one gas a year",
        ),
        ("P,CHN,CO2,Gg CH4 / yr,0,1,2", UnitError, "weighs CH4, the row is of CO2"),
        ("P,CHN,CO2,Gg CO2 / yr,0,1,many", RangeError, "row 2, 2019: 'many' is not a number"),
        ("P,FRA,CO2,Gg CO2 / yr,0,1,2", FormatError, "no row of China"),
    ],
)
def test_faulty_primap_tables(tmp_path, row, error, said):
    with pytest.raises(error, match=said):
        read_primap(primap(tmp_path / "p.csv", row))


def test_an_exported_inventory_is_compared(compiled, tmp_path):
    """One year is one column of years; both forms are told from a table of the contract."""
    paths = write_primap(compiled.inventory, tmp_path / "p")
    for path in (paths[0], paths[2]):
        back, _ = read_source(path)
        np.testing.assert_allclose(in_kg(back), in_kg(compiled.inventory), rtol=1e-12)


def test_industry_and_construction_stand_beside_each_other(compiled):
    """1.A.2 is both of them together, so no row that leaves construction out may be called so."""
    codes = set(compiled.inventory["category"])
    assert {"1.A.2.m", "1.A.2.k"} <= codes
    assert not any(a != b and b.startswith(f"{a}.") for a in codes for b in codes)


ROUND_TRIP = """
import sys
import primap2, primap2.pm2io as io
frame = io.read_interchange_format(sys.argv[1])
data = io.from_interchange_format(frame)
data.pr.ensure_valid()
io.write_interchange_format(sys.argv[2], data.pr.to_interchange_format())
print(sorted(str(v) for v in data.data_vars), float(data["CO2"].pint.to("Mt CO2 / yr").pr.loc[{"category":
"0"}].sum().pint.magnitude))
"""


def primap_python():
    """Return an interpreter with PRIMAP2: ours, or the one named by OBSNET_PRIMAP2_PYTHON."""
    for python in (os.environ.get("OBSNET_PRIMAP2_PYTHON"), sys.executable):
        if python and subprocess.run([python, "-c", "import primap2"], capture_output=True).returncode == 0:
            return python
    return None


def test_primap2_opens_and_writes_it_again(compiled, tmp_path):
    python = primap_python()
    if python is None:
        pytest.skip("PRIMAP2 is not installed; name an interpreter that has it in OBSNET_PRIMAP2_PYTHON")
    paths = write_primap(compiled.inventory, tmp_path / "p")
    done = subprocess.run(
        [python, "-c", ROUND_TRIP, str(paths[1].with_suffix("")), str(tmp_path / "again")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "'CH4'" in done.stdout
    total = float(done.stdout.split("]")[1])
    expected = compiled.inventory.set_index(["gas", "category"]).at[("CO2", "total"), "value"]
    assert total == pytest.approx(expected, rel=1e-9)
    back, _ = read_primap(tmp_path / "again.csv")
    np.testing.assert_allclose(in_kg(back), in_kg(compiled.inventory), rtol=1e-9)


def test_primap_files_need_one_terminology(compiled, tmp_path):
    mixed = compiled.inventory.copy()
    mixed.loc[0, "terminology"] = "CRT2023"
    with pytest.raises(
        SchemaError, match="need one terminology of IPCC2006, CRT2023, found CRT2023, IPCC2006"
    ):
        write_primap(mixed, tmp_path)
    monthly = compiled.inventory.assign(period="2015-01")
    with pytest.raises(FormatError, match="period '2015-01' is no year"):
        write_primap(monthly, tmp_path)


def test_sets_of_gwp_are_kept_apart(compiled):
    assert gwp_set("ar5") == {"CH4": 28.0, "N2O": 265.0, "SF6": 23500.0, "CO2": 1.0}
    assert gwp_set("ar5-feedback")["CH4"] == 34.0
    ch4 = compiled.inventory["gas"] == "CH4"
    for name, value in {"sar": 21, "ar4": 25, "ar6": 27.9}.items():
        found = co2_equivalent(compiled.inventory, name)
        np.testing.assert_allclose(found[ch4]["co2e"], compiled.inventory[ch4]["value"] * 1e-3 * value)
    with pytest.raises(FormatError, match="no set of GWPs 'ar7'"):
        gwp_set("ar7")
    with pytest.raises(FormatError, match="has no GWP of HFC"):
        co2_equivalent(compiled.inventory.assign(gas="HFC"))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_workbooks(compiled, tmp_path, language):
    paths = export_inventory(
        tmp_path / "out", tmp_path / "e", ["primap2", "xlsx"], gwp="ar5", language=language
    )
    sheets = {s.name: s.rows for s in read_sheets(paths[-1])}
    names = {"en": ["summary", "inventory", "trace"], "zh": ["清单汇总", "清单", "来源"]}[language]
    assert list(sheets) == names
    head, *rows = sheets[names[0]]
    assert head[-1] == "CO2e (kt, AR5)"
    total = next(r for r in rows if str(r[2]).startswith("total"))
    co2, ch4 = (
        compiled.inventory.set_index(["gas", "category"]).at[(g, "total"), "value"] for g in ("CO2", "CH4")
    )
    assert total[-1] == pytest.approx(1e3 * co2 + 28 * ch4)
    assert total[0] == ("河北省" if language == "zh" else "Hebei")
    if language == "zh":
        assert "交通运输" in [r[3] for r in rows]


def test_categories_are_converted_for_export(compiled, tmp_path):
    table = read_inventory(tmp_path / "out" / "inventory.csv")
    export_inventory(tmp_path / "out", tmp_path / "crt", ["primap2"], terminology="CRT2023")
    back, _ = read_primap(tmp_path / "crt" / "primap2.csv")
    assert set(back["terminology"]) == {"CRT2023"}
    assert "3.A" in set(back["category"])  # enteric fermentation, 3.A.1 of IPCC 2006
    assert "3.A.1" in set(table["category"])
    assert summary(table)["category"].str.contains("IPCC2006").any()


def primap_netcdf(path, sources=("one", "two")):
    import xarray as xr

    years = np.array(["2018-01-01", "2019-01-01"], dtype="datetime64[ns]")
    cube = np.arange(2.0 * 2 * 2 * len(sources)).reshape(2, 2, 2, len(sources)) + 1.0
    cube[0, 0, 0, 0] = np.nan
    dims = ("time", "area (ISO3)", "category (IPCC2006_PRIMAP)", "source")
    data = xr.Dataset(
        {"CO2": (dims, cube, {"units": "CO2 * kt / a"})},
        coords={"time": years, dims[1]: ["CHN", "USA"], dims[2]: ["1.A", "M.AG"], "source": list(sources)},
    )
    data.to_netcdf(path)
    return path


def test_a_netcdf_of_primap2(tmp_path):
    path = primap_netcdf(tmp_path / "p.nc")
    with pytest.raises(FormatError, match="several of source: one; two; say which one after the file"):
        read_source(path)
    with pytest.raises(FormatError, match="no source 'three'"):
        read_source(path, "three")
    frame, _ = read_source(path, "one")
    assert set(frame["region"]) == {NATION}
    assert set(frame["unit"]) == {"kt"}
    found = frame.set_index(["period", "category"])["value"].to_dict()
    assert found == {("2018", "AG"): 3.0, ("2019", "1.A"): 9.0, ("2019", "AG"): 11.0}
    both = compare_files([f"a={path}:one", f"b={path}:two"], {}, category="1.A", terminology="IPCC2006")
    assert both.table.set_index("period").loc["2019", ["a", "b"]].tolist() == pytest.approx([9.0e-3, 10.0e-3])


def test_the_real_primap_hist(sample_data):
    path = sample_data / "posteriors/primap/primap2_test_data_v2.5.1_final.nc"
    frame, _ = read_source(path, "EI 2023, HISTORY")
    china = frame[(frame["gas"] == "CO2") & (frame["category"] == "1.A") & (frame["period"] == "2019")]
    assert china["value"].tolist() == pytest.approx([9.93e6], rel=1e-3)  # kt
