"""The table [nowcast] of a case: made once, made again when an input changes, found by the report."""

import numpy as np
import pytest

from obsnet.commands.nowcast_stage import _in_case
from obsnet.commands.report_stage import STAGE as REPORT
from obsnet.errors import ConfigError
from obsnet.nowcast.options import PowerOptions
from obsnet.pipeline import read_case, run_case
from obsnet.report.options import ReportOptions
from obsnet.report.sections.nowcast import nowcast_folders, nowcast_sections
from tests.obsnet.nowcast.made import REGIONS, indicator_frame, inventory_frame, world, write
from tests.obsnet.report.test_report import english_in

YEARS = np.arange(2007, 2019)
QUICK = {"draws": 150, "hindcast_from": 2015}


@pytest.fixture
def case(tmp_path):
    made = world(1, regions=REGIONS[:5], years=YEARS)
    frame = inventory_frame(made)
    early = frame["period"] < "2013"
    write(frame[early], tmp_path / "early.csv")
    write(frame[~early], tmp_path / "late.csv")
    indicators = indicator_frame(made, layout="running")
    indicators.loc[(indicators["年份"] >= 2016) & indicators["指标"].str.startswith("火力"), "数值"] *= 2.0
    write(indicators, tmp_path / "i.csv")
    table = {
        "rapid": {"inventories": ["*y.csv", "late.csv"], "indicators": ["i.csv"], "year": 2018, **QUICK},
        "forecast": {"inventories": ["2019-12-31=*e.csv", "2013-12-31=early.csv"], "steps": 1, **QUICK},
    }
    return {"run": {"name": "n"}, "nowcast": table}, tmp_path


def test_a_case_makes_what_it_asks_for_and_the_report_finds_it(case):
    data, folder = case
    read, steps = read_case(data, folder / "case.toml")
    found = run_case(read, steps)["nowcast"]
    assert not found["skipped"]
    assert any("used: regression" in line for line in found["rapid"]["statements"])
    assert run_case(read, steps)["nowcast"]["skipped"]
    folders = nowcast_folders([], read.out)
    assert [f.relative_to(read.out).as_posix() for f in folders] == ["nowcast/rapid", "nowcast/forecast"]
    sections = [s for f in folders for s in nowcast_sections(f, "zh")]
    assert len(sections) == 4
    texts = [w.said("zh") for s in sections for w in (s.title, *s.text, *s.head, s.caption)]
    assert any("火力发电量在 2016 年所有地区同时跳变" in t for t in texts)
    assert english_in([*texts, *(c for s in sections for row in s.rows for c in row)]) == []
    inputs = [
        p.relative_to(read.out).as_posix()
        for p in REPORT.inputs(ReportOptions(), read)
        if "nowcast" in p.parts
    ]
    assert "nowcast/power/summary.json" in inputs  # not there: the report would show it if it were
    assert nowcast_folders(["../rapid"], read.out) == [read.out / "../rapid"]


def test_files_are_the_case_s_and_the_seed_is_the_run_s(case):
    _, folder = case
    (folder / "old").mkdir()
    (folder / "old/a.csv").write_text("", encoding="utf-8")
    asked = {
        "power": {
            "inventories": ["2013=old/*.csv"],
            "indicators": ["*.csv"],
            "flux": "p.nc",
            "shaped": "s.nc",
        }
    }
    read, _ = read_case({"run": {"name": "n", "seed": 3}, "nowcast": asked}, folder / "case.toml")
    power = _in_case("power", PowerOptions(**asked["power"]), read)
    assert power.inventories == [f"2013={folder / 'old/a.csv'}"]
    assert [p.name for p in power.indicators] == ["early.csv", "i.csv", "late.csv"]
    assert (power.seed, power.flux, power.shaped) == (3, folder / "p.nc", read.out / "s.nc")
    assert power.out == read.out / "nowcast/power"
    own = PowerOptions(inventories=["late.csv"], seed=7, out="mine")
    assert (_in_case("power", own, read).seed, _in_case("power", own, read).out) == (7, read.out / "mine")
    with pytest.raises(ConfigError, match="no file matches 'none.csv'"):
        _in_case("power", PowerOptions(inventories=["none.csv"]), read)


@pytest.mark.parametrize(
    ("table", "said"), [({}, r"says nothing; add \[nowcast.rapid\]"), ({"rapids": {}}, "nearest: 'rapid'")]
)
def test_a_table_that_asks_for_nothing_is_refused(table, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        read_case({"run": {"name": "n"}, "nowcast": table}, tmp_path / "case.toml")
