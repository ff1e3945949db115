"""Groups of regions: built in, in a file, named on the spot."""

import numpy as np
import pandas as pd
import pytest

from obsnet.crosscheck.compared.groups import GRIDS, chosen_groups, read_groups
from obsnet.crosscheck.compared.quantity import Sums
from obsnet.crosscheck.verdicts.options import CrosscheckOptions
from obsnet.crosscheck.verdicts.table import Choices, compare, read_totals
from obsnet.errors import ConfigError, FormatError
from obsnet.regions import PROVINCES
from tests.obsnet.crosscheck.verdicts.test_table import inventory, posterior

ALL = tuple(PROVINCES)


def test_the_grids_part_the_mainland_but_tibet():
    inside = [f"{p}0000" for _, members in GRIDS.values() for p in members]
    assert len(GRIDS) == 6
    assert len(inside) == len(set(inside)) == 30
    assert set(ALL) - set(inside) == {"540000", "710000", "810000", "820000"}


def test_built_in_groups():
    found = chosen_groups(["grids", "nation", "stated"], {}, ALL, ALL[:5])
    assert len(found) == 8
    assert found["nation"] == ALL
    assert found["stated"] == ALL[:5]
    assert found["grid-northeast"] == ("210000", "220000", "230000")
    with pytest.raises(
        ConfigError,
        match="'nations': no such file, and built in are grids, nation, stated; nearest: 'nation'",
    ):
        chosen_groups(["nations"], {}, ALL, ALL)
    with pytest.raises(ConfigError, match="group 'grid-north': no region '370000'"):
        chosen_groups(["grids"], {}, ALL[:10], ALL)
    with pytest.raises(ConfigError, match="'stated' needs two regions or more"):
        chosen_groups(["stated"], {}, ALL, ALL[:1])


def test_a_file_of_groups(tmp_path):
    path = tmp_path / "groups.csv"
    path.write_text("group,region\nJJJ,Beijing\nJJJ,天津\nJJJ,130000\nmine,a\nmine,b\n", encoding="utf-8-sig")
    assert read_groups(path) == {"JJJ": ("110000", "120000", "130000"), "mine": ("a", "b")}
    path.write_text("组,地区\n长三角,上海\n长三角,江苏\n", encoding="utf-8")
    assert read_groups(path) == {"长三角": ("310000", "320000")}
    for text, why in (
        ("a,b\n1,2\n", "groups need the columns group and region, found a, b"),
        ("group,region\nx,\n", "row 2: group or region is empty"),
        ("group,region\n", "no rows"),
    ):
        path.write_text(text)
        with pytest.raises(FormatError, match=why):
            read_groups(path)
    path.write_text("group,region\nx,110000\nx,120000\n")
    with pytest.raises(ConfigError, match="'x' is given twice"):
        chosen_groups([str(path)], {"x": ["110000", "130000"]}, ALL, ALL)


def test_sums_with_covariance(tmp_path):
    totals = read_totals(posterior(tmp_path / "p.nc"))
    choices = Choices(sums=Sums(asked=["stated"]))
    table = compare(totals, inventory(value=[100.0, 200.0]), choices=choices).set_index("region")
    row = table.loc["stated"]
    assert (row["kind"], row["members"], row["name_zh"]) == ("group", "110000 120000", "有清单的全部地区")
    np.testing.assert_allclose(row["posterior_sd"], np.sqrt(50.0))
    assert "北京市、天津市 之和" in row["remark_zh"]


def test_options():
    made = CrosscheckOptions(groups="grids", group={"x": ["a", "b"]}).choices().sums
    assert (made.asked, made.groups, made.merge) == (["grids"], {"x": ["a", "b"]}, "besides")
    with pytest.raises(ValueError, match=r"table \[crosscheck.group\]"):
        CrosscheckOptions(groups={"x": ["a", "b"]})


def test_the_stage_reads_groups_beside_the_case(tmp_path):
    """The file is an input of the stage, found from the case file wherever the program is run."""
    from obsnet.commands.crosscheck_stage import STAGE
    from obsnet.crosscheck.verdicts.options import CrosscheckTable
    from obsnet.pipeline import read_case

    (tmp_path / "out").mkdir()
    posterior(tmp_path / "out" / "posterior.nc")
    inventory(value=[100.0, 200.0]).to_csv(tmp_path / "inv.csv", index=False)
    (tmp_path / "groups.csv").write_text("group,region\nboth,110000\nboth,120000\n")
    (tmp_path / "lines.csv").write_text(
        "component,region,value,unit,uncertainty,source\n"
        "bunkers,110000,4,Mt,0.5,airport\nbunkers,120000,6,Mt,0.5,airport\n"
    )
    bridge = {"inventory": "ceads", "sector": "fossil", "lines": ["lines.csv"]}
    options = {"inventory": "inv.csv", "groups": ["groups.csv"], "bridge": bridge}
    case, _ = read_case({"run": {"name": "t", "out": "out"}, "crosscheck": options}, tmp_path / "case.toml")
    made = CrosscheckTable(**options)
    assert {tmp_path / "groups.csv", tmp_path / "lines.csv"} <= set(STAGE.inputs(made, case))
    result = STAGE.run(made, case)
    parts = ("", "_covariance", "_statistics", "_bridge")
    assert [p.name for p in result.outputs] == [f"provinces{part}.csv" for part in parts]
    table = pd.read_csv(result.outputs[0])
    assert table["region"].tolist() == ["110000", "120000", "both"]
    assert table["inventory"].tolist() == [104.0, 206.0, 310.0]
