"""``obsnet reconcile``: from files to table, lines and page; CEADs' provinces against its nation."""

import json

import numpy as np
import pandas as pd
import pytest

from obsnet.commands.reconcile import reconcile
from obsnet.crosscheck.reconcile.options import ReconcileOptions
from obsnet.crosscheck.reconcile.run import reconcile_tables
from obsnet.crosscheck.verdicts.table import read_totals
from obsnet.errors import ConfigError, SchemaError
from obsnet.report.sections.optional import optional_files, optional_sections
from tests.commands import call
from tests.obsnet.crosscheck.verdicts.test_table import inventory, posterior

EXCESS = {2005: 3.13, 2010: 8.78, 2019: 10.92}


def with_nation(value=270.0, **more):
    rows = inventory(value=[100.0, 200.0])
    return pd.concat([rows, rows.iloc[:1].assign(region="China", value=value, **more)], ignore_index=True)


def test_the_nations_row_is_the_constraint(tmp_path, capsys):
    with_nation(uncertainty=0.0001).to_csv(tmp_path / "inv.csv", index=False)
    call(reconcile, tmp_path / "inv.csv", "--out", tmp_path, "--json")
    said = json.loads(capsys.readouterr().out)
    table = pd.read_csv(tmp_path / "reconciled.csv", dtype={"region": str})
    assert table["region"].tolist() == ["110000", "120000", "CHN"]
    # variances of 25 and 100 share a gap of 30
    np.testing.assert_allclose(table["reconciled"], [94.0, 176.0, 270.0], atol=0.01)
    assert [r["statistic"] for r in said["statistics"]][:2] == ["regions_less_nation", "chi_square"]
    assert "(+11.11%)" in said["statistics"][0]["text"]
    # one constraint cannot tell which of three numbers is off
    assert "cannot tell in which of them" in said["statistics"][2]["text"]


def test_lines_and_page(tmp_path, capsys):
    with_nation().to_csv(tmp_path / "inv.csv", index=False)
    call(reconcile, tmp_path / "inv.csv", "--out", tmp_path, "--factor", 0.03)
    said = capsys.readouterr().out
    assert "Beijing" in said
    assert "regions add up to 300 Mt, the nation to 270 (+11.11%)" in said
    (section,) = optional_sections(tmp_path)["reconciled"]
    assert section.title.zh == "协调估计"
    assert len(section.rows) == 3
    assert section.rows[2][0] == "Nation"
    assert optional_sections(tmp_path, "zh")["reconciled"][0].rows[2][0] == "全国"
    assert section.picture.startswith(b"\x89PNG")
    assert any("各地区之和 300 Mt" in t.zh for t in section.text)
    assert [p.name for p in optional_files(tmp_path)] == ["reconciled.csv", "reconciled_statistics.csv"]
    assert optional_sections(tmp_path / "nothing") == {}


def test_with_an_inversion(tmp_path):
    """By hand: inventory 100 ± 5 and an inversion 110 of kernel 0.9 and noise 5: X is seen as 90 + 0.9 x ..."""
    totals = read_totals(posterior(tmp_path / "p.nc"))
    found = reconcile_tables(inventory(value=[100.0, 200.0]), ReconcileOptions(inventory="x"), totals)
    # y = (110 - 100) + 0.9 x 100 = 100 = 0.9 X + noise of 5; precision 1/25 + 0.81/25
    best = (100 / 25 + 0.9 * 100 / 25) / (1 / 25 + 0.81 / 25)
    assert found.table["reconciled"][0] == pytest.approx(best)
    assert found.table["reconciled_sd"][0] == pytest.approx(np.sqrt(25 / 1.81))
    assert found.table["inversion"].tolist() == pytest.approx([110.0, 220.0])
    either = reconcile_tables(
        inventory(value=[100.0, 200.0]), ReconcileOptions(inventory="x", unknown_correlation=True), totals
    )
    assert (either.table["reconciled_sd"] > found.table["reconciled_sd"]).all()
    assert "weight" in set(either.statistics["statistic"])


def test_what_is_refused(tmp_path):
    totals = read_totals(posterior(tmp_path / "p.nc", chi_square=200.0))
    with pytest.raises(ConfigError, match="nothing can be compared: the run does not fit its own errors"):
        reconcile_tables(inventory(), ReconcileOptions(inventory="x"), totals)
    with pytest.raises(ConfigError, match="leave out one of them"):
        reconcile_tables(with_nation(), ReconcileOptions(inventory="x", nation=1.0))
    with pytest.raises(ConfigError, match="give --nation-uncertainty, 0 if it is exact"):
        reconcile_tables(inventory(), ReconcileOptions(inventory="x", nation=250.0))
    with pytest.raises(ConfigError, match="inventory is of 2015"):
        reconcile_tables(
            inventory(period="2015"),
            ReconcileOptions(inventory="x"),
            read_totals(posterior(tmp_path / "q.nc")),
        )


def test_what_could_be_added_up_that_is_not_alike(tmp_path):
    """Another year's nation, several gases, one province twice, a net flux; what stands beside provinces is said."""
    options = ReconcileOptions(inventory="x", nation=280.0, nation_uncertainty=0.02)
    with pytest.raises(ConfigError, match="national total is of 2018, the regions' are of 2019"):
        reconcile_tables(with_nation(period="2018"), ReconcileOptions(inventory="x"))
    with pytest.raises(ConfigError, match="national total states no uncertainty: give --nation-uncertainty"):
        reconcile_tables(with_nation(uncertainty=np.nan), ReconcileOptions(inventory="x", uncertainty=0.1))
    exact = reconcile_tables(
        with_nation(uncertainty=np.nan), ReconcileOptions(inventory="x", nation_uncertainty=0.0)
    )
    assert exact.table["reconciled"].iloc[-1] == pytest.approx(270.0)
    rows = inventory(value=[100.0, 200.0])
    both = pd.concat([rows.assign(gas="CH4", unit="kt"), rows])
    with pytest.raises(ConfigError, match="the inventory has CH4, CO2: choose one with --gas"):
        reconcile_tables(both, options)
    assert reconcile_tables(both, options.model_copy(update={"gas": "CO2"})).table["gas"].eq("CO2").all()
    with pytest.raises(SchemaError, match="110000 and 北京 are one region"):
        reconcile_tables(pd.concat([rows, rows.iloc[:1].assign(region="北京")]), options)
    net = read_totals(posterior(tmp_path / "n.nc", ("net",)))
    with pytest.raises(ConfigError, match="'net' of the inversion is a net flux"):
        reconcile_tables(rows, ReconcileOptions(inventory="x"), net)
    beside = pd.concat([rows, rows.iloc[:1].assign(region="East China")])
    for table, text in (
        (beside, "East China stand beside provinces"),
        (rows, "32 are not among them: Hebei"),
    ):
        said = reconcile_tables(table, options).statistics.set_index("statistic")["text"]["remarks"]
        assert text in said


@pytest.mark.slow
def test_ceads_provinces_against_the_nation(sample_data):
    """Provinces exceed the nation as the reference says; adjustments lie within two sd of 10 % and 5 %."""
    from obsnet.inventory.sources.ceads import read_ceads

    folder = sample_data / "inventory" / "ceads"
    national = read_ceads(next((folder / "national").glob("*.xlsx"))).contract()
    for year, excess in EXCESS.items():
        rows = read_ceads(next((folder / "provinces").glob(f"*{year}.xlsx"))).contract()
        table = pd.concat([rows, national[national["period"] == str(year)]], ignore_index=True)
        options = ReconcileOptions(inventory="x", uncertainty=0.1, nation_uncertainty=0.05, year=str(year))
        found = reconcile_tables(table, options)
        assert len(found.table) == 31
        provinces, nation = found.table[:-1], found.table.iloc[-1]["inventory"]
        total = provinces["inventory"].sum()
        assert 100 * (total / nation - 1) == pytest.approx(excess, abs=0.005)
        v = (0.1 * provinces["inventory"]) ** 2
        expected = -(total - nation) * v / (v.sum() + (0.05 * nation) ** 2)
        np.testing.assert_allclose(provinces["adjustment"], expected, rtol=1e-9)
        assert (provinces["adjustment"].abs() < 2 * provinces["inventory_sd"]).all()
