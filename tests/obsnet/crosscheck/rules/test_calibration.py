"""The script that makes the table of docs/crosscheck.md, with few draws: promises are kept, and would be missed."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[4] / "scripts" / "calibrate_verdicts.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("calibrate_verdicts", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["calibrate_verdicts"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["calibrate_verdicts"]


@pytest.mark.parametrize(
    "name",
    [
        "right inventories",
        "one of 13 off by its minimum",
        "4 of 13 off by three times it",
        "every second one off by the margin",
        "neighbours x1.5",
        "one month, errors of the prior correlated over 6 months",
        "the year from months, the same over 6 months",
        "the pairs merged, one of 6 off by its minimum",
        "the pairs merged, neighbours x1.5",
        "shared data, correlation 0.8, declared",
    ],
)
def test_promises(script, name):
    scenario = next(s for s in script.SCENARIOS if s.name == name)
    found = script.run(scenario, 300, seed=3)
    assert scenario.promised
    assert script.promised(scenario, found)
    assert found["testable"][0] > 0.95
    assert found["right called consistent"][0] > 0.9
    if "margin" in name:
        assert found["wrong called consistent"][0] < 0.05


def test_a_promise_that_is_not_kept_is_seen(script):
    """Errors three times as large as stated: the same check that passes above must fail."""
    scenario = next(s for s in script.SCENARIOS if s.name == "right inventories")
    found = script.run(replace(scenario, error_factor=3.0), 100)
    assert not script.promised(scenario, found)


def test_every_scenario_stands_in_the_page(script):
    page = (SCRIPT.parents[1] / "docs" / "crosscheck.md").read_text(encoding="utf-8")
    for scenario in script.SCENARIOS:
        assert f"| {scenario.name} |" in page
