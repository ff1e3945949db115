"""Manure management at tier 1: hand-worked numbers, the sum over systems, what is refused."""

import numpy as np
import pytest

from obsnet.errors import FormatError, RangeError
from obsnet.inventory.account.categories import convert_category
from obsnet.inventory.account.manure import CLIMATES, SYSTEMS, manure_factors
from obsnet.inventory.account.tier1 import read_activities, tier1
from obsnet.inventory.factors.choose import FactorBook
from obsnet.inventory.factors.table import builtin_factors
from obsnet.inventory.packaged import package_rows

SWINE = "market swine, high productivity"
HOW = {"year": "2019", "region": "130000"}


def per_head(animal, climate="cool temperate, moist", **more):
    """Return kg a head by category and gas."""
    found = manure_factors(animal, FactorBook(), climate=climate, **more, **HOW)
    return {(category, gas): 1e3 * factor for category, gas, factor, _, _ in found}


def test_swine_by_hand():
    # 4.3 kg VS and 0.54 kg N a day and 1000 kg, 69 kg a head; 35 % lagoon, 21 % slurry, 35 % pit, 7 % digester, 2 % lot
    solids, nitrogen = 4.3 * 0.069 * 365, 0.54 * 0.069 * 365
    grams = 0.35 * 180.9 + 0.21 * 63.3 + 0.35 * 18.1 + 0.07 * 6.0 + 0.02 * 3.0
    stored = 0.35 * 0.0 + 0.21 * 0.0 + 0.35 * 0.002 + 0.07 * 0.0006 + 0.02 * 0.02
    gas = 0.35 * 0.4 + 0.21 * 0.48 + 0.35 * 0.25 + 0.07 * 0.275 + 0.02 * 0.45
    found = per_head(SWINE)
    assert found["3.A.2", "CH4"] == pytest.approx(1e-3 * solids * grams, rel=1e-3)
    assert found["3.A.2", "N2O"] == pytest.approx(nitrogen * stored * 44 / 28, rel=1e-9)
    elsewhere = gas * 0.014 + 0.02 * 0.035 * 0.011
    assert found["3.C.6", "N2O"] == pytest.approx(nitrogen * elsewhere * 44 / 28, rel=1e-9)


def test_the_mix_is_the_sum_of_its_systems():
    book = FactorBook()
    shares = {s: book.find("manure share", f"{SWINE}, {s}", **HOW) for s in SYSTEMS}
    alone = [
        (share.value, per_head(SWINE, system=s, mass=50.0))
        for s, share in shares.items()
        if share is not None
    ]
    whole = per_head(SWINE, mass=50.0)
    for key, value in whole.items():
        assert sum(v * one[key] for v, one in alone) == pytest.approx(value, rel=1e-12)
    assert whole["3.A.2", "CH4"] == pytest.approx(per_head(SWINE)["3.A.2", "CH4"] * 50 / 69)


def test_shares_of_every_animal_are_one_and_warmth_gives_methane():
    frame = builtin_factors()
    shares = frame[frame["quantity"] == "manure share"]
    animals = {
        next(i.removesuffix(f", {s}") for s in SYSTEMS if i.endswith(f", {s}")) for i in shares["item"]
    }
    assert len(animals) == 11
    for animal in animals:
        mine = shares[shares["item"].str.startswith(f"{animal}, ")]
        assert mine["value"].sum() == pytest.approx(1.0, abs=0.011)
        methane = [per_head(animal, c, mass=300.0)["3.A.2", "CH4"] for c in CLIMATES if c.endswith("moist")]
        assert methane == sorted(methane)


def test_methane_is_capacity_times_what_system_and_climate_convert():
    """Two animals of one system differ by the capacity of their manure alone, whatever the climate."""
    rows = package_rows("manure_methane.csv")
    for system in SYSTEMS:
        mine = [r for r in rows if r["item"].endswith(f", {system}")]
        block = np.array([[float(r[c]) for c in CLIMATES] for r in mine if system != "digester"])
        for line in block[1:]:
            ratio = line[-1] / block[0][-1]
            np.testing.assert_allclose(line, ratio * block[0], rtol=0.02, atol=0.06 * (1.0 + ratio))


def activities(tmp_path, rows, head="item,value,unit,region,period,note,mass"):
    path = tmp_path / "a.csv"
    path.write_text(head + "\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return read_activities(path)


def test_a_table_gives_three_lines_an_animal(tmp_path):
    table = activities(
        tmp_path,
        [
            '生猪粪便(高生产力),200,万头,河北,2019,"cool temperate, moist",',
            "buffalo manure,10,head,河北,2019,tropical wet,350",
        ],
    )
    lines = tier1(table, FactorBook(), "2019")
    assert list(lines["gas"]) == ["CH4", "N2O", "N2O"] * 2
    assert list(lines["category"]) == ["3.A.2", "3.A.2", "3.C.6"] * 2
    swine = lines.iloc[0]
    assert swine["emission"] == pytest.approx(2e6 * 9.034e-3, rel=1e-3)
    assert "lagoon 35%" in swine["note"]
    assert "without a crust" in swine["note"]
    assert "Table 10.14" in swine["factor_source"]
    assert convert_category("3.C.6", "IPCC2006", "CRT2023") == "3.B.5"


@pytest.mark.parametrize(
    ("row", "error", "said"),
    [
        ("buffalo manure,10,head,河北,2019,tropical wet,", FormatError, "row 2 .buffalo manure.*column mass"),
        ("buffalo manure,10,head,河北,2019,tropical wet,3500", RangeError, "a mean mass of 3500 kg"),
        ("buffalo manure,10,head,河北,2019,,300", FormatError, "the column note says the climate"),
        ("buffalo manure,10,head,河北,2019,warm,300", FormatError, "no climate 'warm'"),
    ],
)
def test_what_has_to_be_said(tmp_path, row, error, said):
    with pytest.raises(error, match=said):
        tier1(activities(tmp_path, [row]), FactorBook(), "2019")


def test_an_unknown_system_is_named():
    with pytest.raises(FormatError, match="no system of manure 'heap'.*solid storage"):
        per_head(SWINE, system="heap")
