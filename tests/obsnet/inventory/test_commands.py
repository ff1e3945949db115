"""The commands from end to end on made files: text, JSON, notes, one line for a mistake."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from obsnet import cli
from obsnet.command import Command, Group, load
from obsnet.errors import ObsnetError
from tests.obsnet.inventory.made import FUELS_17, cells, numbers, write_book

INVENTORY, FACTORS = load("obsnet.commands.inventory:app"), load("obsnet.commands.factors:app")


def run(group, *words, code=0):
    done = CliRunner().invoke(cli._group(group), [str(w) for w in words])
    assert done.exit_code == code, done.output
    return done


def told(group, *words):
    return json.loads(run(group, *words, "--json").stdout)


def refused(group, *words):
    done = CliRunner().invoke(cli._group(group), [str(w) for w in words])
    assert isinstance(done.exception, ObsnetError), done.exception
    assert "\n" not in str(done.exception)
    return str(done.exception)


@pytest.fixture
def book(tmp_path):
    return write_book(tmp_path / "河北2015.xlsx", cells(numbers(FUELS_17, 1), FUELS_17))


@pytest.mark.parametrize("group", [INVENTORY, FACTORS])
def test_every_command_loads_and_is_of_a_model(group):
    assert isinstance(group, Group)
    for place in group.commands.values():
        target = load(place)
        assert isinstance(target, Command)
        assert target.help
        assert target.function()


def test_the_list_of_commands_brings_no_pandas():
    code = (
        "import sys\nfrom obsnet.command import load\n"
        "for g in ('inventory', 'factors'):\n"
        "    [load(p) for p in load(f'obsnet.commands.{g}:app').commands.values()]\n"
        "print([m for m in ('pandas', 'xarray', 'numba', 'geopandas', 'pyarrow', 'scipy') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_from_balance_to_trace_to_workbook(book, tmp_path):
    made = told(
        INVENTORY, "compile", book, "--out", tmp_path / "out", "--language", "zh", "--activity-sd", "0.05"
    )
    total = next(r for r in made["inventory"] if r["category"] == "total")
    shown = run(INVENTORY, "compile", book, "--language", "zh").stdout
    assert "河北省 2015" in shown
    assert "参考法" in shown
    lines = told(INVENTORY, "trace", tmp_path / "out" / "trace.csv", "--gas", "CO2")
    assert sum(x["emission"] for x in lines) == pytest.approx(1e6 * total["value"])
    text = run(INVENTORY, "trace", tmp_path / "out" / "trace.csv", "--category", "1.A.3").stdout
    assert "ceads2007-implied/effective" in text
    written = told(INVENTORY, "export", tmp_path / "out", "--out", tmp_path / "e", "--gwp", "ar6")["written"]
    assert len(written) == 4
    again = run(INVENTORY, "recalculate", tmp_path / "out", tmp_path / "out").stdout
    assert "0 numbers changed" in again


def test_check_of_a_balance(book):
    found = told(INVENTORY, "check", book)
    assert found["counts"]["identity supply"] == {"found": 0, "checked": 20}
    assert found["findings"] == []
    assert "identity total: 0 of 20" in run(INVENTORY, "check", book).stdout


def test_a_gridded_prior(tmp_path):
    path = tmp_path / "i.csv"
    path.write_text(
        "region,period,gas,category,terminology,value,unit,uncertainty\n130000,2019,CO2,1.A.1.a,IPCC2006,100,Mt,0.1\n"
    )
    (tmp_path / "plants.csv").write_text("name,latitude,longitude,capacity\nA,38.0,114.5,600\n")
    done = told(
        INVENTORY,
        "grid",
        path,
        "--out",
        tmp_path / "p.nc",
        "--grid",
        "34,44,112,121,0.5",
        "--plants",
        tmp_path / "plants.csv",
    )
    assert done["totals"][0]["placed"] == pytest.approx(100.0, rel=1e-9)
    assert any("standard deviations and no covariance" in n for n in done["notes"])


def test_comparison_and_cities(tmp_path):
    for name, value in (("a", 100), ("b", 120)):
        (tmp_path / f"{name}.csv").write_text(
            f"region,period,gas,value,unit,uncertainty\n130000,2019,CO2,{value},Mt,0.1\n"
        )
    found = told(INVENTORY, "compare", tmp_path / "a.csv", f"other={tmp_path / 'b.csv'}")
    assert found["table"][0]["spread"] == pytest.approx(20 / 110)
    assert "other" in found["table"][0]
    (tmp_path / "c.csv").write_text("region,city,proxy\n河北,唐山,3\n河北,保定,1\n")
    cities = told(INVENTORY, "cities", tmp_path / "a.csv", "--cities", tmp_path / "c.csv")
    assert [c["value"] for c in cities] == [75.0, 25.0]


def test_an_enterprise_and_reports(tmp_path):
    (tmp_path / "e.csv").write_text("类型,项目,数值,单位\n燃料,柴油,10,吨\n")
    found = told(INVENTORY, "enterprise", tmp_path / "e.csv", "--region", "河北", "--year", "2022")
    assert found["scope1"] == pytest.approx(10 * 42.652e-3 * 20.2 * 0.98 * 44 / 12)
    (tmp_path / "r.csv").write_text("region,category,name,value,unit\n河北,power,A,2,万吨\n")
    assert told(INVENTORY, "reports", tmp_path / "r.csv")["sums"][0]["value"] == pytest.approx(0.02)


def test_factors(tmp_path):
    rows = told(FACTORS, "query", "柴油", "--quantity", "ncv")
    assert {r["edition"] for r in rows} == {"gbt32151", "ipcc2006", "yearbook2008"}
    assert "bituminous coal" in run(FACTORS, "conflicts").stdout
    (tmp_path / "w.csv").write_text("地区,月份,用电量\n河北,1,3\n北京,1,1\n", encoding="gbk")
    found = told(FACTORS, "electricity", "--weights", tmp_path / "w.csv")
    assert found["value"] == pytest.approx((3 * 0.7252 + 0.5580) / 4)
    (tmp_path / "p.csv").write_text("region,generation,emission\nHebei,100,80\n")
    assert told(FACTORS, "network", tmp_path / "p.csv")["provinces"][0]["average"] == pytest.approx(0.8)
    (tmp_path / "f.csv").write_text("quantity,item,value,unit\nncv,原煤,21,GJ/t\n")
    assert "good; 1 factors" in run(FACTORS, "check", tmp_path / "f.csv").stdout


def test_mistakes_are_one_line(tmp_path, book):
    assert "no such file" in refused(INVENTORY, "compile", tmp_path / "absent.xls")
    assert "nearest: 'ipcc2006'" in refused(INVENTORY, "compile", book, "--editions", "ipcc06")
    assert "no fuel is called 'other petrol'" in refused(
        INVENTORY, "compile", book, "--exclude", "other petrol"
    )
    assert "no factor fits" in refused(FACTORS, "query", "unobtainium")
