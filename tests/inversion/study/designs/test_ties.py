"""Ties: what cannot be told apart has no order; what can, has one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inversion.study.designs.design import choose_network
from inversion.study.designs.run_design import run_design
from inversion.study.designs.ties import gain_covariance, mean_covariance, ranks
from inversion.study.options import DesignOptions, OsseOptions, WorldOptions
from inversion.study.osse.run_osse import run_osse
from inversion.study.worlds.world import StudyWorld
from obsnet.config import validate

SMALL = {"start": "2023-01-01", "stop": "2023-02-01", "cell_deg": 4.0, "south": 14.0, "north": 54.0}


def test_errors_in_common_do_not_make_ties():
    values = np.array([1.0, 1.1, 2.0])
    apart = 0.01 * np.eye(3)
    assert ranks(values, apart) == ["1=", "1=", "3"]
    assert ranks(values, apart / 16.0) == ["1", "2", "3"]
    together = 0.01 * (0.99 * np.ones((3, 3)) + 0.01 * np.eye(3))
    assert ranks(values, together) == ["1", "2", "3"]
    assert ranks(np.array([2.0, 2.0]), np.zeros((2, 2))) == ["1=", "1="]
    assert ranks(np.array([]), np.zeros((0, 0))) == []


def test_equal_networks_are_tied_as_often_as_is_stated():
    """Samples of one distribution: the better of two is called better in five of a hundred cases."""
    rng = np.random.default_rng(3)
    told = []
    for _ in range(2000):
        common = rng.standard_normal(60)
        drawn = (0.6 * common + 0.8 * rng.standard_normal((2, 60))) ** 2
        told.append("=" not in ranks(drawn.mean(axis=1), mean_covariance(drawn))[0])
    assert np.mean(told) == pytest.approx(0.05, abs=0.02)


def test_the_jackknife_of_a_sum_is_the_covariance_of_the_sum():
    """Gains of independent stretches add up, so that their spread between stretches is known."""
    from inversion import Problem

    rng = np.random.default_rng(0)
    n, k = 64, 8
    days = np.repeat([f"2023-01-{d:02d}" for d in range(1, k + 1)], n // k)
    h = np.zeros((n, n))
    size = 0.02 * rng.uniform(0.5, 1.5, n)
    h[np.arange(n), np.arange(n)] = size  # every observation sees an unknown of its own, a little
    groups = {"day": days, "platform": np.tile(["a", "b"], n // 2)}
    p = Problem(h, np.zeros(n), np.ones(n), np.zeros(n), np.ones(n), groups=groups)
    found = gain_covariance(p, "platform", ["a", "b"], weights=np.ones((1, n)), criterion="information")
    by_day = np.array([[size[(days == d) & (groups["platform"] == c)] @ size[(days == d) & (groups["platform"] == c)]
                        for d in np.unique(days)] for c in "ab"]) / 2.0  # fmt: skip
    np.testing.assert_allclose(found, k * np.cov(by_day), rtol=0.01)


def test_an_orbit_has_no_second_sample():
    study = StudyWorld(validate(WorldOptions, SMALL)).study(["oco2"], Path())
    labels = [g.label for g in choose_network(study.problem, "orbit", 0, weights=study.weights).ranking]
    key = {"weights": study.weights, "criterion": "information"}
    assert gain_covariance(study.problem, "orbit", labels, **key) is None
    assert gain_covariance(study.problem, "network", ["oco2"], **key).shape == (1, 1)


def test_the_same_network_twice_is_a_tie_and_a_better_one_is_not(tmp_path):
    (tmp_path / "again.toml").write_text('base = "stations_30"\ntitle = "the same again"\n')
    names = {"a": "stations_30", "b": "again.toml", "c": "stations_120"}
    options = validate(
        OsseOptions,
        {"world": SMALL, "twins": 100, "scenario": [{"name": k, "networks": [v]} for k, v in names.items()]},
    )
    _, summary = run_osse(options, {}, tmp_path, tmp_path)
    rows = {r["scenario"]: r for r in summary["scenarios"]}
    assert [rows[k]["rank"] for k in "abc"] == ["2=", "2=", "1"]
    assert rows["a"]["ties"] == "b"
    assert rows["c"]["ties"] == ""


def test_a_design_marks_ties_of_the_first_choice(tmp_path):
    options = validate(
        DesignOptions,
        {
            "world": SMALL,
            "existing_networks": ["existing"],
            "candidate_networks": ["stations_30"],
            "count": 1,
        },
    )
    _, summary = run_design(options, {}, tmp_path, tmp_path)
    found = [r["rank"] for r in summary["ranking"]]
    assert found[0].startswith("1")
    assert summary["chosen"][0] == summary["ranking"][0]["candidate"]
    assert set(summary["tied_first"]) == {r["candidate"] for r in summary["ranking"] if r["rank"] == "1="}
    assert any("=" in r for r in found)
    assert "=" not in found[-1] or found[-1] != "1="
    orbits = validate(
        DesignOptions,
        {"world": SMALL, "candidate_networks": ["oco2"], "by": "orbit", "count": 0, "out": "orbits"},
    )
    _, summary = run_design(orbits, {}, tmp_path, tmp_path)
    assert summary["ties_by"] is None
