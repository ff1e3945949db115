"""``obsnet crosscheck`` then ``obsnet report``: the rule that was used is the one that is shown."""

import json

import numpy as np
import pandas as pd
import pytest

from obsnet.commands.crosscheck import crosscheck
from obsnet.commands.report import report
from obsnet.errors import ConfigError
from tests.commands import call
from tests.obsnet.crosscheck.verdicts.test_chain import rows, solved


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with a posterior, and an inventory of its six days."""
    folder = tmp_path_factory.mktemp("run")
    read = solved(folder)[3]
    rows(read.prior[:2] * np.array([1.0, 0.4])).to_csv(folder / "inventory.csv", index=False)
    return folder


def test_the_rule_travels(run, capsys):
    files = run / "posterior.nc", run / "inventory.csv"
    call(crosscheck, *files, "--sector", "fossil", "--alpha", 0.2, "--power", 0.6, "--detectable", 2.0)
    said = capsys.readouterr().out
    assert (
        "fossil of the inversion (2019-01-01 to 2019-01-07) against the inventory's total of 2019-01-01"
        in said
    )
    assert "rule: 0.2 false alarms (Benjamini-Hochberg), power 60%, testable up to 200%" in said
    assert "0 not testable" in said
    call(report, run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert (
        "Rule: 20% false alarms over 2 tested regions (Benjamini-Hochberg), power 60%, testable up to 200%"
        in page
    )
    assert "consistent within 200% of it" in page
    assert "found with 60% power" in page
    assert "inconsistent up to 20%" in page


def test_lines_in_chinese(run, tmp_path, capsys):
    call(
        crosscheck,
        run / "posterior.nc",
        run / "inventory.csv",
        "--out",
        tmp_path,
        "--sector",
        "fossil",
        "--language",
        "zh",
    )
    said = capsys.readouterr().out
    assert "检验清单的 total" in said
    assert "规则：误报率 0.05" in said
    assert "最小可检  判定" in said
    assert not any(word in said for word in ("not testable", "consistent", "of the inversion", "note:"))


def test_options_reach_the_table(run, tmp_path, capsys):
    call(
        crosscheck, run / "posterior.nc", run / "inventory.csv", "--out", tmp_path, "--sector", "fossil",
        "--detectable", 2.0, "--margin", 0.5, "--shared", 0.3, "--chi-square", "0.1,9", "--group", "all=a, b", "--json",
    )  # fmt: skip
    said = json.loads(capsys.readouterr().out)
    assert [r["region"] for r in said["provinces"]] == ["a", "b", "all"]
    table = pd.read_csv(tmp_path / "provinces.csv")
    assert table["margin_share"].tolist() == [0.5] * 3
    assert table["remark"].str.contains("accepted within 0.1 to 9 as asked").all()
    assert table["remark"].str.contains("correlation 0.3").all()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (["--prescribed", "land"], "--prescribed 'land': write it as NAME=VALUE"),
        (["--prescribed", "land=much"], "prescribed.land = 'much'"),
        (["--group", "=a,b"], "'=a,b': write it as NAME=VALUE"),
        (["--profile", "winter"], "profile = 'winter'"),
        (["--per", "week"], "per = 'week'"),
        (["--alpha", 0.7], "alpha = '0.7'"),
        (["--shared", 2.0], "shared = '2.0'"),
    ],
)
def test_options_that_cannot_be_meant(run, wrong, text):
    with pytest.raises(ConfigError, match=text):
        call(crosscheck, run / "posterior.nc", run / "inventory.csv", "--sector", "fossil", *wrong)
