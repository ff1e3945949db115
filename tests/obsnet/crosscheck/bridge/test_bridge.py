"""The bridge between definitions: it closes to zero, its lines are what differ, and what is open is not tested."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from obsnet.commands.crosscheck import crosscheck
from obsnet.crosscheck.bridge.definitions import COMPONENTS, PRESETS, components_of, needed
from obsnet.crosscheck.bridge.harmonise import make_bridge
from obsnet.crosscheck.bridge.lines import read_lines, stated_lines
from obsnet.crosscheck.bridge.options import BridgeOptions
from obsnet.crosscheck.compared.quantity import Sums
from obsnet.crosscheck.verdicts.table import Choices, check, compare, read_totals
from obsnet.errors import ConfigError, FormatError, RangeError, SchemaError
from obsnet.regions import PROVINCES
from obsnet.report.sections.bridge import bridge as bridge_section
from tests.commands import call
from tests.obsnet.crosscheck.verdicts.test_table import inventory, posterior

LINES = """component,region,value,unit,uncertainty,source
bunkers,110000,4,Mt,0.5,airport statistics
bunkers,Tianjin,6,Mt,0.5,airport statistics
process,110000,3000,kt,0.1,cement works
process,120000,2,Mt,0.1,cement works
scope2,110000,30,Mt,0.1,grid company
scope2,120000,20,Mt,0.1,grid company
biofuel,110000,1,Mt,0.3,energy balance
biofuel,120000,2,Mt,0.3,energy balance
respiration,110000,5,Mt,0.2,census
respiration,120000,4,Mt,0.2,census
"""


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "lines.csv"
    path.write_text(LINES)
    return str(path)


@pytest.fixture
def totals(tmp_path):
    return read_totals(posterior(tmp_path / "p.nc"))


def made(lines, **options):
    return Choices(
        bridge=make_bridge(
            BridgeOptions(**{"inventory": "ceads", "sector": "fossil", "lines": lines} | options)
        ),
        sums=Sums({"both": ["110000", "120000"]}, merge="no"),
    )


def test_sets_and_what_differs():
    assert set(PRESETS["net"]) >= {"landuse", "lateral_river"}
    assert all(set(p) <= set(COMPONENTS) for p in PRESETS.values())
    ceads, fossil, sources = (components_of([k], "x") for k in ("ceads", "fossil", "sources"))
    nothing = frozenset()
    assert needed(ceads, ceads, nothing) == {}
    assert needed(ceads | {"scope2"}, fossil, nothing) == {"bunkers": 1, "scope2": -1}
    assert needed(ceads, sources, frozenset({"biofuel"})) == {"bunkers": 1, "respiration": 1}
    # forwards and back is nothing
    there, back = needed(ceads, sources, nothing), needed(sources, ceads, nothing)
    assert all(there[c] + back[c] == 0 for c in there)


def test_every_line_with_its_sign(totals, lines):
    """Beijing 100 ± 5 of combustion and electricity, in the words of a sector of all sources: by hand."""
    choices = made(lines, inventory=["combustion", "scope2"], sector="sources")
    found = check(totals, inventory(value=[100.0, 200.0]), choices=choices)
    row = found.table.set_index("region").loc["110000"]
    assert row["inventory"] == pytest.approx(100 + 3 + 4 + 1 + 5 - 30)
    assert row["inventory_sd"] == pytest.approx(np.sqrt(5**2 + 0.3**2 + 2**2 + 0.3**2 + 1**2 + 3**2))
    steps = found.bridge[found.bridge["region"] == "110000"]
    assert steps["line"].tolist() == [
        "inventory", "process", "bunkers", "biofuel", "respiration", "scope2", "difference", "inversion",
    ]  # fmt: skip
    np.testing.assert_allclose(steps["value"], [100, 3, 4, 1, 5, -30, 110 - 83, 110])
    np.testing.assert_allclose(steps["total"], [100, 103, 107, 108, 113, 83, 110, 110])
    assert steps["source"].tolist()[1] == "cement works"
    assert steps["label_zh"].tolist()[5] == "减 外购电力与热力（范围二）"
    assert steps["label_en"].tolist()[5] == "− electricity and heat from elsewhere (scope 2)"
    assert "definitions bridged by -17 Mt (±3.8), see the bridge" in row["remark"]


@pytest.mark.parametrize("sector", ["fossil", "sources", "ceads"])
@pytest.mark.parametrize("source", ["ceads", "combustion", "fossil", "scope2"])
def test_it_closes_to_zero(totals, lines, sector, source):
    """Inventory, lines and difference less the inversion, for every region and the sum of both."""
    choices = made(lines, inventory=["combustion", source], sector=sector, without=[])
    found = check(totals, inventory(value=[100.0, 200.0]), choices=choices)
    for key, steps in found.bridge.groupby("region"):
        assert steps["value"].iloc[:-1].sum() - steps["value"].iloc[-1] == pytest.approx(0.0, abs=1e-9), key
        assert steps["total"].iloc[-2] == pytest.approx(steps["total"].iloc[-1])
    assert set(found.bridge["region"]) == {"110000", "120000", "both"}
    values = found.bridge.pivot(index="region", columns="line", values="value")
    np.testing.assert_allclose(values.loc["both"], values.loc[["110000", "120000"]].sum())


def test_one_definition_is_no_bridge(totals, lines):
    plain = compare(totals, inventory(value=[100.0, 200.0]), choices=Choices(sums=Sums(merge="no")))
    same = check(
        totals,
        inventory(value=[100.0, 200.0]),
        choices=Choices(
            bridge=make_bridge(BridgeOptions(inventory="fossil", sector="fossil")), sums=Sums(merge="no")
        ),
    )
    pd.testing.assert_frame_equal(same.table, plain)
    assert "not_harmonised" not in set(same.statistics["statistic"])
    assert "not_harmonised" in set(check(totals, inventory()).statistics["statistic"])


def test_what_is_tested_is_the_harmonised_inventory(totals, lines):
    """The line moves the difference by the response, and its error joins the inventory's."""
    rows = inventory(value=[100.0, 200.0])
    before = compare(totals, rows, choices=Choices(sums=Sums(merge="no"))).iloc[0]
    after = compare(totals, rows, choices=made(lines)).iloc[0]
    assert after["difference"] - before["difference"] == pytest.approx(-0.9 * 4)
    assert after["difference_sd"] ** 2 - before["difference_sd"] ** 2 == pytest.approx((0.9 * 2) ** 2)


def test_an_open_bridge_is_not_tested(totals, lines, tmp_path):
    few = tmp_path / "few.csv"
    few.write_text("\n".join(r for r in LINES.splitlines() if "bunkers,Tianjin" not in r))
    table = compare(totals, inventory(value=[100.0, 200.0]), choices=made(str(few))).set_index("region")
    assert table.loc["110000", "verdict"] == "consistent"
    for key in ("120000", "both"):
        assert table.loc[key, "verdict"] == "not testable"
        assert "definitions differ by international aviation and shipping" in table.loc[key, "reason"]
        assert "--bridge-without bunkers" in table.loc[key, "reason"]
        assert "国际航空与航运" in table.loc[key, "reason_zh"]
    without = compare(
        totals, inventory(value=[100.0, 200.0]), choices=made(str(few), without="bunkers")
    ).set_index("region")
    assert without.loc["120000", "verdict"] != "not testable"
    assert "left out as asked" in without.loc["120000", "remark"]


def test_a_line_without_an_error_is_not_tested(totals, tmp_path):
    bare = tmp_path / "bare.csv"
    bare.write_text(LINES.replace("4,Mt,0.5", "4,Mt,"))
    table = compare(totals, inventory(value=[100.0, 200.0]), choices=made(str(bare))).set_index("region")
    assert (
        "states no uncertainty: give it (--bridge-uncertainty bunkers=0.3)" in table.loc["110000", "reason"]
    )
    given = compare(
        totals, inventory(value=[100.0, 200.0]), choices=made(str(bare), uncertainty={"bunkers": 0.5})
    )
    assert given["inventory_sd"].iloc[0] == pytest.approx(np.hypot(5.0, 2.0))


def test_a_fossil_inventory_never_meets_a_net_flux(tmp_path, lines):
    net = read_totals(posterior(tmp_path / "net.nc", sectors=("net",)))
    with pytest.raises(ConfigError, match="sector 'net' of the inversion is a net flux"):
        compare(net, inventory())
    with pytest.raises(ConfigError, match="sector 'net' of the inversion is a net flux"):
        compare(net, inventory(), choices=made(lines))  # a bridge that does not lead there
    with pytest.raises(ConfigError, match="--bridge-without landuse: a fossil inventory is never"):
        made(lines, sector="net", without=["landuse"])
    with pytest.raises(ConfigError, match="a bridge of definitions is of CO2, the inversion is of CH4"):
        compare(replace(net, gas="CH4"), inventory(gas="CH4"), choices=made(lines))
    compare(replace(net, gas="CH4"), inventory(gas="CH4"))  # whose total is what an inventory is of
    table = compare(net, inventory(value=[100.0, 200.0]), choices=made(lines, sector="net"))
    assert (table["verdict"] == "not testable").all()
    assert table["reason"].str.contains("land use, land-use change and forestry").all()
    land = LINES + "".join(
        f"{c},{r},{v},Mt,0.3,own\n"
        for r in ("110000", "120000")
        for c, v in (("landuse", -9), ("lateral_crop+lateral_wood", 3), ("lateral_river", -1))
    )
    (tmp_path / "land.csv").write_text(land)
    table = compare(
        net, inventory(value=[100.0, 200.0]), choices=made(str(tmp_path / "land.csv"), sector="net")
    )
    assert table["inventory"].tolist() == pytest.approx([97.0, 199.0, 296.0])


def test_the_nations_lines(tmp_path, totals):
    """Built-in values stand for the nation and for nothing smaller; those without an error need one."""
    found = {frozenset(line.components): line for line in stated_lines(["china"], {})}
    rivers = found[frozenset({"lateral_river"})]
    assert (rivers.value, rivers.region) == (-288.0, "CHN")
    assert rivers.sd == pytest.approx(26.0, abs=0.1)
    both = found[frozenset({"lateral_crop", "lateral_wood"})]
    assert (both.value, both.sd) == (215.0, pytest.approx(64.5))
    assert np.isnan(found[frozenset({"respiration"})].sd)
    assert all("doi" in line.source or "Transparency" in line.source for line in found.values())
    n = len(PROVINCES)
    eye = np.eye(n)
    nation = replace(
        totals,
        regions=tuple(PROVINCES),
        names={k: v[0] for k, v in PROVINCES.items()},
        prior=np.full(n, 100.0),
        posterior=np.full(n, 100.0),
        averaging_kernel=0.9 * eye,
        noise_covariance=eye,
        prior_covariance=900 * eye,
        posterior_covariance=eye,
        net_covariance=None,
    )
    rows = pd.DataFrame(
        {
            "region": list(PROVINCES),
            "period": "2019",
            "gas": "CO2",
            "value": 100.0,
            "unit": "Mt",
            "uncertainty": 0.05,
        }
    )
    bridge = make_bridge(
        BridgeOptions(
            inventory=["combustion", "landuse"],
            sector=["combustion", "landuse", "lateral_crop", "lateral_wood", "lateral_river"],
            lines="china",
        )
    )
    table = compare(nation, rows, choices=Choices(bridge=bridge, sums=Sums(asked=["nation"]))).set_index(
        "region"
    )
    assert table.loc["nation", "inventory"] == pytest.approx(3400 + 215 - 288)
    assert "of which nothing is stated here" in table.loc["110000", "reason"]


def test_the_built_in_values_are_those_of_the_country_table(sample_data):
    path = sample_data / "posteriors" / "ceos_country_budgets" / "pilot_topdown_CO2_Budget_countries_v1.csv"
    table = pd.read_csv(path)
    row = table[(table["Alpha 3 Code"] == "CHN") & (table["Year"] == "mean")].iloc[0]
    found = {frozenset(line.components): line for line in stated_lines(["china"], {})}
    rivers, trade = found[frozenset({"lateral_river"})], found[frozenset({"lateral_crop", "lateral_wood"})]
    named = {c.split(" (")[0].strip(): v for c, v in row.items()}
    assert (rivers.value, trade.value) == (named["Rivers"], named["Wood+Crop"])
    # and the sign is that of the atmosphere: NBE = stock change + rivers + trade
    assert named["LNLGIS NBE"] == pytest.approx(
        named["LNLGIS dC_loss"] + rivers.value + trade.value, rel=0.01
    )


def test_command_and_page(tmp_path, lines, capsys):
    inventory(value=[100.0, 200.0]).to_csv(tmp_path / "inv.csv", index=False)
    path = posterior(tmp_path / "posterior.nc")
    ends = ("--bridge-inventory", "ceads", "--bridge-sector", "fossil", "--bridge-lines", lines)
    call(crosscheck, path, tmp_path / "inv.csv", *ends, "--json")
    assert len(json.loads(capsys.readouterr().out)["bridge"]) == 8
    section = bridge_section(tmp_path / "provinces_bridge.csv")
    assert section.rows[1][1] == "+ international aviation and shipping"
    assert bridge_section(tmp_path / "provinces_bridge.csv", "zh").rows[1][1] == "加 国际航空与航运"
    assert section.rows[1][-1] == "airport statistics"
    assert section.picture.startswith(b"\x89PNG")
    # without a bridge the table of the last one is gone
    call(crosscheck, path, tmp_path / "inv.csv")
    assert not (tmp_path / "provinces_bridge.csv").exists()
    assert "whether inventory and sector are of the same things was not stated" in capsys.readouterr().out


def test_what_is_refused(tmp_path, lines):
    both = {"inventory": "ceads", "sector": "fossil"}
    for options, text in (
        ({"inventory": "ceads"}, "say --bridge-sector too"),
        ({"lines": lines}, "a bridge needs both ends"),
        (
            both | {"inventory": "cead"},
            "--bridge-inventory 'cead': no such component or set; nearest: 'ceads'",
        ),
        (both | {"lines": "chna"}, "--bridge-lines 'chna': no such file"),
        (both | {"without": "scope2"}, "do not differ by it"),
        (both | {"uncertainty": {"bunker": 0.1}}, "no such component; nearest: 'bunkers'"),
    ):
        with pytest.raises(ConfigError, match=text):
            make_bridge(BridgeOptions(**options))
    bad = tmp_path / "bad.csv"
    for old, new, error, why in (
        ("bunkers,110000", "bunker,110000", FormatError, "row 2: no component 'bunker'; nearest: 'bunkers'"),
        ("0.5,airport statistics", "0.5,", FormatError, "row 2: a line needs a source"),
        ("4,Mt,0.5", "4,Mt,50", RangeError, "row 2: value 4 or uncertainty 50 is out of range"),
        ("4,Mt,0.5", "much,Mt,0.5", RangeError, "row 2: value and uncertainty are numbers, found 'much'"),
        ("component,region,value", "component,place,value", FormatError, "need the columns region"),
    ):
        bad.write_text(LINES.replace(old, new))
        with pytest.raises(error, match=why):
            read_lines(bad)
    bad.write_text(LINES + "bunkers,110000,7,Mt,0.5,other\n")
    with pytest.raises(
        SchemaError, match=r"two lines of bunkers for 110000: 4 \(airport statistics\) and 7 \(other\)"
    ):
        stated_lines([str(bad)], {})
