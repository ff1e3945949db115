"""What could be found: the verdict's own power, what NO2 sees, truths drawn and counted, files and commands."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, norm

from inversion.problem.totals import region_totals
from inversion.solvers.choose import solve
from inversion.study.detect.detect import detect, networks_of, set_up, verdicts
from inversion.study.detect.detect_map import classes
from inversion.study.detect.run_detect import detect_lines, run_detect, setting_of
from inversion.study.options import DetectOptions
from inversion.study.words import NATIONAL
from inversion.study.worlds.network import read_network
from obsnet.config import validate
from obsnet.crosscheck.rules.rule import Rule, detection_power, minimum_detectable
from obsnet.crosscheck.rules.verdict import Verdict
from obsnet.errors import ConfigError
from tests.commands import call

# A week, and errors so small that some provinces are testable.
EASY = {
    "period": "2019-01-01/2019-01-10",
    "uncertainty": 0.02,
    "no2_ratio": 0.02,
    "no2_error": 0.01,
    "fossil": {"regional_relative": 0.3, "correlation_days": 365.0},
    "world": {"national_sd": 300.0, "error": {"point": 0.3, "column": 0.1}},
}


SCRIPT = Path(__file__).resolve().parents[4] / "scripts" / "calibrate_detect.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("calibrate_detect", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["calibrate_detect"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["calibrate_detect"]


@lru_cache
def ready(**more):
    options = validate(DetectOptions, EASY | more)
    return options, *setting_of(options, Path())


@lru_cache
def setting(system):
    options, world, fossil, _ = ready()
    return set_up(world, system, fossil, options)


@lru_cache
def rows(system):
    options, world, _, _ = ready()
    return {r["region"]: r for r in detect(setting(system), world.shares.regions, options)}


# --- known answers ---------------------------------------------------------------------------------------


def test_power_at_the_minimum_is_the_rules():
    rule, tests = Rule(), np.array([1, 3, 30])
    sd, response = np.array([5.0, 8.0, 2.0]), np.array([0.9, 0.4, 1.1])
    smallest = minimum_detectable(sd, response, rule, tests)
    np.testing.assert_allclose(
        detection_power(smallest, sd, response, rule.alpha / tests), rule.power, atol=1e-6
    )
    # without a discrepancy it is the level
    np.testing.assert_allclose(detection_power(0.0, sd, response, rule.alpha / tests), rule.alpha / tests)
    # one test, all seen: the textbook's
    assert detection_power(3.0, 1.0, 1.0, 0.05) == pytest.approx(norm.cdf(3.0 - 1.959963985), abs=1e-6)


def test_prior_totals_are_the_inventory():
    made = setting("stations_60")
    totals = made.weights.weights @ made.problem.prior * made.mass
    n = len(made.fossil.shares.regions)
    np.testing.assert_allclose(totals[:n], np.nan_to_num(made.fossil.total), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(totals[n:], 0.0, atol=1e-9)


def test_no2_sees_the_last_hours_of_fossil_emissions_alone():
    plain, with_no2 = setting("co2m_1").problem, setting("co2m_1+no2").problem
    assert with_no2.n_obs == 2 * plain.n_obs
    no2 = np.char.endswith(with_no2.groups["network"].astype(str), "NO2")
    assert no2.sum() == plain.n_obs
    state, h = with_no2.state, with_no2.jacobian.tocsr()
    assert abs(h[no2][:, state.span("biosphere")]).sum() == 0.0
    assert abs(h[no2][:, state.span("inflow")]).sum() == 0.0
    fossil = h[:, state.span("fossil")].sum(axis=1)
    # a flux everywhere: five days of it for CO2, an e-folding time for NO2, steps of three hours
    steps = np.exp(-(np.arange(40) + 0.5) * 3.0 / 4.0).sum()
    assert fossil[no2].max() / fossil[~no2].max() == pytest.approx(steps / 40, rel=0.01)
    # the ratio of all provinces off by one is the signal of all emissions
    whole = h[no2][:, state.span("fossil")] @ with_no2.prior[state.span("fossil")]
    np.testing.assert_allclose(h[no2][:, state.span("ratio")].sum(axis=1), whole, rtol=1e-9)
    assert "pattern" not in state.names or not h[no2][:, state.span("pattern")].nnz


def test_more_observations_and_less_doubt_find_smaller_discrepancies():
    options, world, fossil, _ = ready()
    known = rows("co2m_1+no2")
    doubtful = set_up(world, "co2m_1+no2", fossil, options.model_copy(update={"no2_ratio": 1.0}))
    less = {r["region"]: r for r in detect(doubtful, world.shares.regions, options)}
    china = [r[NATIONAL]["posterior_sd"] for r in (known, less, rows("co2m_1"))]
    assert china[0] < china[1] < china[2]
    assert rows("stations_60")[NATIONAL]["posterior_sd"] < rows("existing")[NATIONAL]["posterior_sd"]


def test_what_is_reached_is_what_the_verdict_promises():
    found = rows("stations_60")
    options = ready()[0]
    testable = [r for r in found.values() if r["testable"] and r["region"] != NATIONAL]
    assert len(testable) > 3
    for r in testable:
        assert r["level"] == pytest.approx(0.05 / len(testable))
        for d, power in zip(options.discrepancy, r["power"], strict=True):
            assert (power >= 0.8 - 1e-6) == (r["minimum_detectable"] <= d)
        assert r["minimum_detectable"] <= 0.3
    other = [r for r in found.values() if not r["testable"] and np.isfinite(r["inventory"])]
    assert all(r["power"] == [0.0, 0.0, 0.0] and r["reached"] is None and r["reason"] for r in other)
    assert found[NATIONAL]["level"] == pytest.approx(0.05)


def test_systems_are_networks_joined():
    assert networks_of("co2m_1 + stations_60+NO2") == (["co2m_1", "stations_60"], True)
    options, world, fossil, _ = ready()
    with pytest.raises(ConfigError, match="NO2 goes with the columns"):
        set_up(world, "existing+no2", fossil, options)
    with pytest.raises(ConfigError, match="no network 'oco4'"):
        set_up(world, "oco4", fossil, options)


# --- truths drawn, observed, inverted, judged --------------------------------------------------------------


def test_stated_power_is_found(script):
    """The whole way: truths of which one province's inventory is off, observations, inversion, verdict."""
    made, (options, world, _, _) = setting("stations_60"), ready()
    provinces = [r for r in rows("stations_60").values() if r["testable"] and r["region"] != NATIONAL]
    off = {r["region"]: float(r["minimum_detectable"]) for r in provinces[:2]}
    # every province is tested, so that no draw chooses which
    found = script.count(made, world.shares.regions, off, replace(options.rule(), detectable=1e6), draws=400)
    for key in off:
        one = found[key]
        assert one.tested == 400
        low, high = (binom.ppf(q, 400, one.stated / 400) for q in (1e-4, 1 - 1e-4))
        assert low <= one.found <= high
    assert 0 < found[""].alarms <= binom.ppf(1 - 1e-4, 400, 0.05)


def test_the_posterior_stays_out_of_it():
    made = setting("stations_60")
    totals = region_totals(solve(made.problem), made.weights)
    n = len(made.fossil.shares.regions)
    found = verdicts(made, totals, Rule(), np.eye(n), made.fossil.total, made.fossil.sd)
    assert not any(v is Verdict.INCONSISTENT for v in found.verdict)


def test_a_province_is_drawn_by_what_is_reached_or_how_far_it_is():
    def row(region, reached, smallest, inventory=1.0):
        return {"region": region, "reached": reached, "minimum_detectable": smallest, "inventory": inventory}

    found = classes(
        [
            row("a", 0.2, 0.15),
            row("b", None, 0.31),
            row("c", None, 0.7),
            row("d", None, None),
            row("e", None, None, None),
            row(NATIONAL, 0.1, 0.05),
        ],
        [0.1, 0.2, 0.3],
    )
    assert found == {"a": 0.2, "b": 0.5, "c": 1.0, "d": float("inf")}


# --- files and command ---------------------------------------------------------------------------------


def test_files_in_both_languages_and_going_on(tmp_path):
    options = validate(DetectOptions, EASY | {"system": ["existing", "co2m_1+no2"]})
    lines = []
    written, summary = run_detect(options, tmp_path, tmp_path / "out", "en", lines.append)
    assert {p.name for p in written} == {"detect.csv", "detect.json", "detect.png"}
    text = written[0].read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    table = list(csv.DictReader(text.decode("utf-8-sig").splitlines()))
    assert len(table) == 2 * 35
    assert table[0]["name"] == "Beijing"
    assert table[-1]["name"] == "China"
    assert next(r for r in table if r["region"] == "540000")["minimum_detectable"] == ""
    assert json.loads(written[1].read_text())["rows"][0]["region"] == "110000"
    said = "\n".join(detect_lines(summary))
    assert "Hebei" in said
    assert "its standard deviation 2%, as stated" in said
    assert "CO2 per NO2 is unknown by 2%" in said
    assert "provinces at 30%" in said
    # nothing is computed a second time, and a torn file is
    kept = sorted((tmp_path / "out" / "detect_parts").glob("*.json"))
    kept[0].write_text("{")
    lines.clear()
    _, again = run_detect(options, tmp_path, tmp_path / "out", "zh", lines.append)
    assert sum("known from an earlier run" in line for line in lines) == 1
    assert again["rows"] == summary["rows"]
    text = written[0].read_text(encoding="utf-8-sig")
    assert text.startswith("观测系统,名称,")
    assert ",清单标准差," in text
    assert ",检出概率_0.1," in text
    assert all(any(ord(c) > 0x2E7F for c in head) for head in text.splitlines()[0].split(","))
    assert "北京市" in text
    assert "现有本底站" in text
    assert "河北省" in "\n".join(detect_lines(again, "zh"))
    for change in ({"alpha": 0.1}, {"period": "2019-02-01/2019-02-10"}, {"uncertainty": 0.03}):
        other = options.model_copy(update={"system": ["existing"], **change})
        lines.clear()
        run_detect(other, tmp_path, tmp_path / "out", "en", lines.append)
        assert not any("known from" in line for line in lines)


def test_an_inventory_of_the_users_own(tmp_path):
    (tmp_path / "mine.csv").write_text(
        "region,period,gas,value,unit,uncertainty\n140000,2020,CO2,560,Mt,0.01\n150000,2020,CO2,790,Mt,\n"
    )
    table = EASY | {"inventory": "mine.csv", "system": ["existing"], "period": None, "uncertainty": 0.1}
    options = validate(DetectOptions, table | {"world": EASY["world"] | {"step": "YS"}})
    world, fossil, chosen = setting_of(options, tmp_path)
    assert str(chosen.period) == "2020"
    assert (str(world.start)[:10], str(world.stop)[:10]) == ("2020-01-01", "2021-01-01")
    at = [world.shares.regions.index(r) for r in ("140000", "150000")]
    np.testing.assert_allclose(fossil.sd[at] / fossil.total[at], [0.01, 0.1])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"world": {"species": "CH4"}}, "species must be CO2"),
        ({"world": {"start": "2019-01-01"}}, "given by period"),
        ({"discrepancy": [0.5]}, "beyond detectable = 0.3"),
        ({"discrepancy": [0.0]}, "greater than 0"),
        ({"system": []}, "at least 1 item"),
    ],
)
def test_faulty_tables(table, message):
    with pytest.raises(ConfigError, match=message):
        validate(DetectOptions, table)


def test_the_command(tmp_path, capsys, monkeypatch):
    from inversion.commands.design import detect as command

    monkeypatch.chdir(tmp_path)
    world = ("--set", "detect.world.cell_deg=4", "--set", "detect.world.south=14")
    call(command, "--period", "2019-01-01/2019-01-05", "--system", "existing", *world, "--language", "zh")
    out, err = capsys.readouterr()
    assert "北京市" in out
    assert "1 of 1, existing" in err
    assert (tmp_path / "run" / "detect.png").exists()
    table = '[detect]\nperiod = "2019-01-01/2019-01-05"\nsystem = ["existing"]\n'
    (tmp_path / "case.toml").write_text(table + "[detect.world]\ncell_deg = 4.0\nsouth = 14.0\n")
    call(command, tmp_path / "case.toml", "--json", "--out", tmp_path / "run")
    out, err = capsys.readouterr()
    assert json.loads(out)["systems"] == ["existing"]
    assert "known from an earlier run" in err
    (tmp_path / "other.toml").write_text("[design]\ncount = 3\n")
    with pytest.raises(ConfigError, match=r"no table \[detect\]; there is: design"):
        call(command, tmp_path / "other.toml")
    with pytest.raises(ConfigError, match="unknown key 'perid'; nearest: 'period'"):
        call(command, "--set", "detect.perid=1")


def test_a_design_is_still_a_case(capsys):
    from inversion.commands.design import design
    from obsnet.cli import _command

    for words in (["nowhere.toml"], ["--json", "nowhere.toml"], ["choose", "nowhere.toml"]):
        with pytest.raises(ConfigError, match="nowhere.toml: no such configuration file"):
            _command("design", design).main(args=words, standalone_mode=False)
    _command("design", design).main(args=["--help"], standalone_mode=False)
    out = capsys.readouterr().out
    assert "choose" in out
    assert "detect" in out


def test_the_name_of_a_changed_network_is_its_own(tmp_path):
    (tmp_path / "mine.toml").write_text('base = "co2m_1"\ntitle = "two wide imagers"\n')
    assert read_network("mine.toml", tmp_path).called("zh") == "two wide imagers"
    assert read_network("co2m_2").called("zh") == "CO2M（两颗）"
