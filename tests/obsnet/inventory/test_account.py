"""The provincial inventory: right answers on real balances, the trace of every number, terminology, tier 1."""

import csv
import math

import numpy as np
import pytest

from obsnet.errors import ConfigError, FormatError, RangeError, SchemaError
from obsnet.inventory.account.categories import (
    ceads_sectors,
    convert_category,
    converted,
    need_terminology,
)
from obsnet.inventory.account.compile import compile_inventory, trace
from obsnet.inventory.account.report import read_trace, write_compiled
from obsnet.inventory.account.tier1 import find_activity, first_order_decay, read_activities
from obsnet.inventory.balance.read import read_balance
from obsnet.inventory.factors.choose import FactorBook
from obsnet.inventory.packaged import package_rows
from obsnet.inventory.sources.check import check_files
from obsnet.inventory.table import read_inventory
from obsnet.inventory.uncertainty.montecarlo import province_covariance
from tests.obsnet.inventory.made import FUELS_17, FUELS_30, LABELS_2010, cells, numbers, write_book


@pytest.fixture(scope="module")
def sample_balances(sample_data):
    return {k: read_balance(sample_data / f"inventory/energy_balance_2007/{k}.xls") for k in range(1, 26)}


def made(tmp_path, columns=FUELS_17, change=lambda rows: None, title="河北能源平衡表2015", seed=1):
    rows = cells(numbers(columns, seed), columns, title=title)
    change(rows)
    return read_balance(write_book(tmp_path / "balance.xlsx", rows))


def right_answers(sample_data, fuels):
    path = sample_data.parent / f"cases/inventory/balances_2007_right_answers_{fuels}_fuels.csv"
    if not path.is_file():
        pytest.skip("right answers absent")
    with open(path, newline="") as stream:
        return {int(r["file"]): (float(r["calc"]), float(r["ceads_comb"])) for r in csv.DictReader(stream)}


@pytest.mark.parametrize(
    ("fuels", "exclude", "national"), [(17, (), -0.0063), (16, ("其他石油制品",), -0.0070)]
)
def test_right_answers_of_the_sample_provinces(sample_balances, sample_data, fuels, exclude, national):
    """CO2 to 1e-3 Mt; within 4 % of CEADs a province and 1 % in sum, as the reference found on 30 provinces."""
    answers = right_answers(sample_data, fuels)
    book = FactorBook()
    totals = {}
    for number, balance in sample_balances.items():
        inventory = compile_inventory([balance], book, exclude=exclude).inventory
        totals[number] = inventory.set_index("category").at["total", "value"]
        assert totals[number] == pytest.approx(answers[number][0], abs=1e-3)
        assert abs(totals[number] / answers[number][1] - 1) < 0.04
    off = sum(totals.values()) / sum(answers[k][1] for k in totals) - 1
    assert abs(off) < 0.01
    assert off == pytest.approx(national, abs=0.001)  # 25 of the 30 provinces


def test_lines_add_up_to_every_number(sample_balances):
    done = compile_inventory([sample_balances[3], sample_balances[4]], FactorBook())
    scale = {"Mt": 1e6, "kt": 1e3}
    for row in done.inventory.to_dict("records"):
        if row["category"] != "total":
            lines = done.trace[
                (done.trace["category"] == row["category"]) & (done.trace["region"] == row["region"])
            ]
        else:
            lines = done.trace[done.trace["region"] == row["region"]]
        np.testing.assert_allclose(lines["emission"].sum(), row["value"] * scale[row["unit"]], rtol=1e-12)
        np.testing.assert_allclose(lines["activity"] * lines["factor"], lines["emission"], rtol=1e-12)
    first = done.trace.iloc[0]
    assert first["cell"]
    assert first["factor_key"].startswith("ceads2007-implied/")
    assert "Shan et al. 2018" in first["factor_source"]


def test_reference_approach_stands_beside(sample_balances):
    done = compile_inventory(list(sample_balances.values()), FactorBook())
    table = done.reference.set_index("region")
    assert len(table) == 25
    # Shanxi's balance has a statistical difference of -170 Mt of coal, the reference approach sees it.
    assert table.at["140000", "difference"] < -0.9
    usual = table["difference"].abs().median()
    assert usual < 0.06


def test_negative_activity_is_asked_about(tmp_path):
    def feed(rows):
        line = next(r for r in rows if r and r[0] == LABELS_2010["non-energy use"])
        line[1 + FUELS_17.index("gasoline")] = 500.0

    balance = made(tmp_path, change=feed)
    with pytest.raises(
        ConfigError, match=r"combustion would be negative: gasoline \(汽油\): final .*--negative keep"
    ):
        compile_inventory([balance], FactorBook())
    kept = compile_inventory([balance], FactorBook(), negative="keep")
    zero = compile_inventory([balance], FactorBook(), negative="zero")
    line = kept.trace[(kept.trace["item"] == "gasoline") & (kept.trace["category"] == "1.A.2.m")].iloc[0]
    assert line["emission"] < 0
    difference = (
        zero.inventory.set_index("category").at["total", "value"]
        - kept.inventory.set_index("category").at["total", "value"]
    )
    assert difference == pytest.approx(-line["emission"] / 1e6)
    assert zero.trace[zero.trace["note"] != ""]["note"].iloc[0].endswith("set to 0")


def test_final_use_beyond_its_uses_is_a_line_of_its_own(tmp_path):
    def more(rows):
        line = next(r for r in rows if r and r[0] == LABELS_2010["final consumption"])
        line[1] += 12.5

    done = compile_inventory([made(tmp_path, change=more)], FactorBook())
    line = done.trace[done.trace["category"] == "1.A.5"].iloc[0]
    assert line["activity"] == pytest.approx(125000.0)
    assert "not the sum of its uses" in line["note"]


def test_thirty_fuels_ask_what_has_two_readings(tmp_path):
    balance = made(tmp_path, FUELS_30)
    with pytest.raises(ConfigError, match="--steel-gases exclude"):
        compile_inventory([balance], FactorBook())
    with pytest.raises(
        ConfigError, match=r"no CO2 factor of coal gangue .*--exclude 'coal gangue,.*lubricants"
    ):
        compile_inventory([balance], FactorBook(), steel_gases="exclude")
    left = ["coal gangue", "lubricants", "paraffin", "white spirit", "bitumen"]
    done = compile_inventory([balance], FactorBook(), steel_gases="exclude", exclude=left)
    counted = compile_inventory([balance], FactorBook(), steel_gases="count", exclude=left)
    assert set(counted.trace["item"]) - set(done.trace["item"]) == {"blast furnace gas", "converter gas"}
    assert "LNG" in set(done.trace["item"])
    assert any("fuels left out: coal gangue" in n for n in done.notes)


def test_own_factors_go_first_and_are_said(tmp_path):
    own = tmp_path / "mine.csv"
    own.write_text("quantity,item,value,unit\neffective,raw coal,2.0,t CO2/t\n")
    balance = made(tmp_path)
    done = compile_inventory([balance], FactorBook([own]))
    lines = done.trace[done.trace["item"] == "raw coal"]
    assert set(lines["factor"]) == {2.0}
    assert done.notes[0].startswith("factors in order: mine > ceads2007-implied")


def test_uncertainty_needs_to_be_said_and_shared_factors_add(tmp_path):
    balance = made(tmp_path)
    assert compile_inventory([balance], FactorBook()).inventory["uncertainty"].isna().all()
    own = tmp_path / "sd.csv"
    rows = [
        f"effective,{f},1,t CO2/{'1000 m3' if 'gas' in f and f != 'refinery gas' else 't'},0.1,sd"
        for f in ("raw coal",)
    ]
    own.write_text("quantity,item,value,unit,uncertainty,meaning\n" + "\n".join(rows) + "\n")
    exclude = [f for f in FUELS_17 if f not in {"raw coal", "heat", "electricity", "other energy"}]
    done = compile_inventory([balance], FactorBook([own]), exclude=exclude, activity_sd=0.0)
    np.testing.assert_allclose(done.inventory["uncertainty"], 0.1)  # one factor in all: nothing averages out
    done = compile_inventory([balance], FactorBook([own]), exclude=exclude, activity_sd=0.2)
    emission = done.trace["emission"].to_numpy()
    expected = math.sqrt(0.1**2 + 0.2**2 * (emission**2).sum() / emission.sum() ** 2)
    assert done.inventory.set_index("category").at["total", "uncertainty"] == pytest.approx(expected)


def test_two_balances_of_one_year(tmp_path):
    balance = made(tmp_path)
    with pytest.raises(ConfigError, match="a second balance of 130000 2015"):
        compile_inventory([balance, balance], FactorBook())
    with pytest.raises(ConfigError, match="nothing to compile"):
        compile_inventory([], FactorBook())


# --- terminology


def test_four_differs():
    assert convert_category("4", "IPCC2006", "CRT2023") == "5"
    assert convert_category("4", "CRT2023", "IPCC2006") == "3.B"
    assert convert_category("1.A.2.g.v", "CRT2023", "IPCC2006") == "1.A.2.k"
    with pytest.raises(FormatError, match="no single counterpart"):
        convert_category("3.A", "IPCC2006", "CRT2023")
    with pytest.raises(FormatError, match="no category '1.A.9' in IPCC2006"):
        convert_category("1.A.9", "IPCC2006", "CRT2023")
    with pytest.raises(FormatError, match="no terminology 'CRF'"):
        convert_category("4", "CRF", "IPCC2006")


@pytest.mark.parametrize("row", package_rows("categories.csv"), ids=lambda r: r["ipcc2006"])
def test_terminologies_go_there_and_back(row):
    if row["crt2023"]:
        assert convert_category(row["ipcc2006"], "IPCC2006", "CRT2023") == row["crt2023"]
        assert convert_category(row["crt2023"], "CRT2023", "IPCC2006") == row["ipcc2006"]
    assert row["en"]
    assert row["zh"]


def test_a_code_without_its_terminology(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("region,period,gas,category,value,unit\n110000,2019,CH4,4.A,1,kt\n")
    with pytest.raises(
        SchemaError, match="category 4.A is Solid waste disposal in IPCC2006 and no such category in CRT2023"
    ):
        need_terminology(read_inventory(path), str(path))
    path.write_text(
        "region,period,gas,category,terminology,value,unit\n110000,2019,CO2,4,CRT2023,-5,kt\n"
        "120000,2019,CO2,4,ipcc 2006,1,kt\n"
    )
    with pytest.raises(SchemaError, match="category 4 stands in CRT2023 and IPCC2006"):
        need_terminology(read_inventory(path), str(path))
    path.write_text("region,period,gas,category,value,unit\n110000,2019,CO2,1.A,1,kt\n")
    assert need_terminology(read_inventory(path), str(path))["category"].tolist() == ["1.A"]


def test_conversion_of_a_table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("region,period,gas,category,terminology,value,unit\n110000,2019,CH4,4.A,IPCC2006,1,kt\n")
    out = converted(need_terminology(read_inventory(path), "t"), "CRT2023")
    assert (out["category"].tolist(), out["terminology"].tolist()) == (["5.A"], ["CRT2023"])


def test_ceads_sectors_map_to_ipcc_and_industries():
    sectors = ceads_sectors()
    assert len(sectors) == 47
    codes = {r["ipcc2006"] for r in package_rows("categories.csv")}
    assert {s.ipcc2006 for s in sectors.values()} <= codes
    seeds = {
        "power",
        "steel",
        "non-ferrous",
        "building materials",
        "petrochemicals",
        "chemicals",
        "transport",
        "construction",
    }
    assert seeds <= {s.industry for s in sectors.values()}


# --- tier 1


def activities(tmp_path, rows, header="item,value,unit,region,period,kind,note"):
    path = tmp_path / "activities.csv"
    path.write_text(header + "\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_process_and_livestock_and_rice(tmp_path):
    path = activities(
        tmp_path,
        [
            "水泥熟料,6000,万吨,河北,2015,,",
            "奶牛,200,万头,河北,2015,,",
            "水稻,80,千公顷,河北,2015,,",
            "露天煤炭产量,1000,万吨,河北,2015,,",
        ],
    )
    done = compile_inventory([made(tmp_path)], FactorBook(), activities=[path])
    table = done.inventory.set_index(["gas", "category"])
    assert table.at[("CO2", "2.A.1"), "value"] == pytest.approx(60 * 0.5203)
    assert table.at[("CH4", "3.A.1"), "value"] == pytest.approx(2e6 * 78e-6)
    assert table.at[("CH4", "3.C.7"), "value"] == pytest.approx(80e3 * 134.47e-6)
    assert table.at[("CH4", "1.B.1.a"), "value"] == pytest.approx(1e7 * 1.2 * 0.67e-6)
    assert table.at[("CH4", "1.B.1.a"), "unit"] == "kt"


def test_mines_without_a_factor_need_ones_own(tmp_path):
    path = activities(tmp_path, ["井工煤炭产量,1000,万吨,河北,2015,,"])
    with pytest.raises(
        FormatError, match="no factor 'emission' of 'coal, underground mines'.*give your own with --factors"
    ):
        compile_inventory([], FactorBook(), activities=[path])
    own = tmp_path / "mine.csv"
    own.write_text('quantity,item,value,unit,gas\nemission,"coal, underground mines",8,m3 CH4/t,CH4\n')
    done = compile_inventory([], FactorBook([own]), activities=[path])
    assert done.inventory["value"].iloc[0] == pytest.approx(1e7 * 8 * 0.67e-6)


def test_first_order_decay_conserves_carbon():
    decayed = first_order_decay(np.array([100.0] + [0.0] * 400), 0.06)
    assert decayed[0] == 0.0  # nothing in the year it is put down
    assert decayed[1] == pytest.approx(100 * (1 - math.exp(-0.06)))
    assert decayed.sum() == pytest.approx(100.0)
    steady = first_order_decay(np.full(500, 7.0), 0.185)
    assert steady[-1] == pytest.approx(7.0)


def test_landfills(tmp_path):
    rows = [f'填埋厨余,10,万吨,河北,{y},"managed, anaerobic",wet temperate' for y in range(1990, 2016)]
    done = compile_inventory([], FactorBook(), activities=[activities(tmp_path, rows)])
    carbon = 1e5 * 0.15 * 0.7 * 1.0
    stock = carbon * sum(math.exp(-0.185 * k) for k in range(25))
    expected = stock * (1 - math.exp(-0.185)) * 0.5 * 16 / 12 / 1e3
    assert done.inventory["value"].iloc[0] == pytest.approx(expected)
    assert done.inventory["category"].tolist() == ["4.A", "total"]
    with pytest.raises(FormatError, match="note says the climate"):
        compile_inventory(
            [], FactorBook(), activities=[activities(tmp_path, ["填埋厨余,10,万吨,河北,2015,x,"])]
        )


@pytest.mark.parametrize(
    ("row", "error", "said"),
    [
        ("熟料,6000000000,万吨,河北,2015,,", RangeError, "more than any province has; is the unit off"),
        ("熟料,-5,万吨,河北,2015,,", RangeError, "not a positive number"),
        ("熟料,5,头,河北,2015,,", FormatError, "clinker in '头'; known units: t"),
        ("孰料,5,t,河北,2015,,", FormatError, "no activity is called '孰料'"),
        ("熟料,5,t,河北,,,", FormatError, "no period"),
    ],
)
def test_faulty_activities(tmp_path, row, error, said):
    with pytest.raises(error, match=said):
        read_activities(activities(tmp_path, [row]))


def test_an_activity_given_twice(tmp_path):
    with pytest.raises(SchemaError, match="stands twice"):
        read_activities(activities(tmp_path, ["熟料,5,t,河北,2015,,", "水泥熟料,5,t,Hebei,2015,,"]))
    assert find_activity("电解铝").category == "2.C.3"


# --- files and trace


@pytest.mark.parametrize("language", ["en", "zh"])
def test_files_in_both_languages_are_read_again(tmp_path, language):
    done = compile_inventory([made(tmp_path)], FactorBook())
    write_compiled(done, tmp_path / "out", language)
    table = read_inventory(tmp_path / "out" / "inventory.csv")
    assert table["region"].tolist() == done.inventory["region"].tolist()
    np.testing.assert_allclose(table["value"], done.inventory["value"])
    lines = read_trace(tmp_path / "out")
    np.testing.assert_allclose(lines["emission"], done.trace["emission"])
    found = trace(lines, region="河北", category="1.A.4", gas="co2")
    assert set(found["category"]) == {"1.A.4.a", "1.A.4.b", "1.A.4.c"}
    if language == "zh":
        assert (tmp_path / "out" / "inventory.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with pytest.raises(FormatError, match="no line for any region"):
        trace(lines, category="2.A")


def test_totals_of_provinces_covary_by_their_factors(sample_balances, tmp_path):
    some = [sample_balances[k] for k in (1, 2, 3)]
    made = compile_inventory(some, FactorBook(), activity_sd=0.05, factor_sd=0.05)
    table = made.covariance.pivot(index="region", columns="other", values="covariance")
    total = made.inventory[made.inventory["category"] == "total"].set_index("region")
    np.testing.assert_allclose(np.sqrt(np.diag(table)), (total["value"] * total["uncertainty"])[table.index])
    fuels = made.trace.pivot_table(
        index="region", columns="item", values="emission", aggfunc="sum", fill_value=0.0
    )
    sd = made.trace.groupby("item")["factor_sd"].first()[fuels.columns]
    shared = province_covariance(fuels.to_numpy() / 1e6, 0.0, sd.to_numpy())
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(table.to_numpy()[off], shared[off], rtol=1e-9)
    assert np.linalg.eigvalsh(table.to_numpy()).min() > 0
    assert (made.covariance["correlation"] <= 1 + 1e-12).all()
    alone = compile_inventory(some, FactorBook(), activity_sd=0.0, factor_sd=0.05).covariance
    assert alone["correlation"].min() > 0.7  # one error for all, whatever the mix of fuels
    assert compile_inventory(some[:1], FactorBook(), activity_sd=0.05, factor_sd=0.05).covariance.empty
    close = compile_inventory(some, FactorBook(), activity_sd=0.0, factor_sd=0.05, factor_correlation=1.0)
    np.testing.assert_allclose(close.covariance["correlation"], 1.0)  # all fuels err as one
    own = close.inventory[close.inventory["category"] == "total"].set_index("region")["uncertainty"]
    shared = (close.trace["emission"] * close.trace["factor_sd"]).groupby(close.trace["region"]).sum()
    whole = close.trace.groupby("region")["emission"].sum()
    np.testing.assert_allclose(own, (shared / whole)[own.index])
    write_compiled(made, tmp_path, "zh")
    assert (
        (tmp_path / "covariance.csv")
        .read_text(encoding="utf-8-sig")
        .startswith("地区,另一地区,年份,气体,协方差")
    )


def test_a_wrong_unit_is_refused_or_kept_and_said(tmp_path):
    table = numbers(FUELS_17)
    for line in table.values():
        line["natural gas"] *= 1e-4
    balance = read_balance(write_book(tmp_path / "b.xlsx", cells(table, FUELS_17)))
    with pytest.raises(RangeError, match="natural gas .*is its unit off.*--magnitude keep"):
        compile_inventory([balance], FactorBook())
    kept = compile_inventory([balance], FactorBook(), magnitude="keep")
    assert any("taken as it stands: natural gas" in n for n in kept.notes)


def test_rows_that_are_missing_and_odd_signs_are_said(tmp_path):
    def change(rows):
        rows[:] = [r for r in rows if not (r and r[0] == LABELS_2010["thermal power"])]
        line = next(r for r in rows if r and r[0] == LABELS_2010["transport"])
        line[1 + FUELS_17.index("kerosene")] = -3.0

    notes = " ".join(compile_inventory([made(tmp_path, change=change)], FactorBook()).notes)
    assert "no row of thermal power (火力发电): nothing is counted of it" in notes
    assert "1 cells with a sign their row cannot have, first transport, kerosene" in notes
    checked = check_files([tmp_path / "balance.xlsx"])
    assert any(
        "75% of what an inventory of combustion needs; no row thermal power" in n for n in checked.notes
    )
    said = list(checked.lines("zh"))
    assert any("正负号: " in line and "为 -3，对照值 0" in line for line in said)
    assert not any(" of " in line or "identity" in line for line in said)
