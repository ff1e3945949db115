"""The honesty tests themselves: their table, their pictures, the comparisons with STILT and MPTRAC."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from inversion.transport.check.day import diurnal
from inversion.transport.check.filling import spread, waves
from inversion.transport.check.mptrac import mptrac
from inversion.transport.check.options import CheckOptions
from inversion.transport.check.pictures import write_report
from inversion.transport.check.references import references, table_of
from inversion.transport.check.run import plain, run_checks
from inversion.transport.check.stilt import stilt
from inversion.transport.check.worlds import Row
from obsnet.cli import main
from obsnet.met import open_met


def test_rows_know_whether_they_pass():
    assert Row("a", 1.0, 2.0, "%", "").passed is True
    assert Row("a", 3.0, 2.0, "%", "").passed is False
    assert Row("a", 3.0, np.nan, "%", "").passed is None
    assert plain(Row("a", 3.0, 2.0, "%", "how", {"kind": "x"})) == {
        "test": "a", "measured": 3.0, "accepted": 2.0, "unit": "%", "detail": "how", "passed": False,
    }  # fmt: skip


def test_tests_can_be_chosen():
    told = []
    rows = run_checks(CheckOptions(only="taylor", scale=0.05), report=told.append)
    assert [r.test for r in rows] == ["Taylor diffusion"]
    assert told == rows


def test_the_adjoint_is_exact():
    (row,) = run_checks(CheckOptions(only="adjoint"))
    assert row.passed, row


def test_mptrac(sample_data):
    (row,) = mptrac(sample_data / "transport")
    assert row.passed, row
    assert row.measured < 0.5


def test_stilt_on_the_same_meteorology(sample_data, tmp_path):
    rows = list(stilt(sample_data / "transport", 500))
    judged = [row for row in rows if row.passed is not None]
    assert len(judged) == 5
    assert all(row.passed for row in judged), judged
    written = write_report(rows, tmp_path)
    assert {p.name for p in written} == {"check.md", "stilt_hours.png", "stilt_maps.png"}
    assert all(p.stat().st_size > 500 for p in written)
    assert "| STILT: total sensitivity |" in (tmp_path / "check.md").read_text()


def test_the_command_says_what_failed(capsys, tmp_path, monkeypatch):
    from inversion.transport.check import run as check

    with pytest.raises(SystemExit) as stop:
        main(["footprints", "check", "--only", "taylor", "--scale", "0.05", "--json"])
    assert stop.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert found["failed"] == 0
    assert found["tests"][0]["passed"] is True
    monkeypatch.setattr(check, "taylor", lambda _n: iter([Row("planted", 2.0, 1.0, "%", "too much")]))
    with pytest.raises(SystemExit) as stop:
        main(["footprints", "check", "--only", "taylor", "--out", str(tmp_path)])
    assert stop.value.code == 1
    out = capsys.readouterr().out
    assert "FAIL planted: 2 % (accepted 1); too much" in out
    assert "1 tests, 1 failed; table and pictures in" in out


def test_pictures_of_layers_and_parcels(tmp_path):
    rng = np.random.default_rng(0)
    layers = [
        Row(f"well mixed, {k}", 0.1, 3.0, "%", "", {"kind": "layers", "name": str(k), "ratio": rng.normal(0, 0.01, 20),
                                                    "error": np.full(20, 0.005)})
        for k in range(3)
    ]  # fmt: skip
    places = {name: rng.normal(6e5, 1e4, 50) for name in ("x", "y", "rx", "ry")}
    parcels = Row("MPTRAC", 0.2, 1.0, "km", "", {"kind": "parcels", **places})
    failed = Row("worse", 2.0, 1.0, "", "said why")
    written = write_report([*layers, parcels, failed], tmp_path)
    assert [p.name for p in written] == ["check.md", "well_mixed.png", "mptrac.png"]
    text = (tmp_path / "check.md").read_text()
    assert "| worse | 2 | 1 |  | **no** | said why |" in text
    assert text.count("| yes |") == 4


def test_even_air_stays_even_through_a_day_with_a_jet():
    """Every scheme, both ways; scales aloft taken at a particle's own height gather air twofold."""
    rows = list(diurnal(1000))
    assert len(rows) == 5
    assert all(row.passed for row in rows), rows


def test_a_filled_world_stays_even_and_a_wrong_vertical_wind_is_seen():
    met = waves()
    found = {name: spread(m, turbulence="none", direction=-1, hours=12.0, particles=20000) for name, m in (
        ("right", met),
        ("none", replace(met, wind=met.wind * np.array([1.0, 1.0, 0.0, 1.0], np.float32))),
        ("wrong", replace(met, wind=met.wind * np.array([1.0, 1.0, -1.0, 1.0], np.float32))),
    )}  # fmt: skip
    assert found["right"].inside.sum() > 30
    assert found["right"].ratio[found["right"].inside].mean() == pytest.approx(1.0, abs=0.03)
    assert found["right"].excess < 0.08
    assert found["none"].excess > 0.25
    assert found["wrong"].excess > 0.5


def test_the_file_s_own_vertical_wind_gathers_air_over_hills(sample_data):
    """At night over hills, 2 h: the lowest 150 m become uneven by more than a tenth with it, not with continuity."""
    file = sample_data / "transport" / "met" / "era5_regrid.nc"
    lowest = {
        vertical: spread(
            open_met([file], vertical=vertical), turbulence="none", direction=-1, hours=2.0, particles=100000
        ).lowest
        for vertical in ("continuity", "file")
    }
    assert lowest["continuity"] < 0.06
    assert lowest["file"] > 0.1


def test_the_references_stand_in_one_table(sample_data, tmp_path):
    """A third of the particles: inside the noise of both on flat land, and over hills with STILT's own w."""
    rows = list(references(sample_data / "transport", 0.3))
    assert [row.passed for row in rows] == [True, True, None, True]
    found = {row.series["name"]: row.series for row in rows}
    for name in ("afternoon, flat, 10 m", "night, flat, 10 m"):
        one = found[name]
        assert abs(one["ratio"][0] - 1.0) < 4.0 * one["noise"] + abs(one["ratio"][1] - 1.0)
        assert one["overlap"][0] > one["overlap"][1] - 0.06
    hills = found["ERA5, night, hills, 50 m"]
    assert 0.85 < hills["ratio"][0] < 0.95
    assert hills["overlap"][0] > 0.95
    same = found["ERA5, night, hills, 50 m, STILT's w"]
    for name, (mine, own) in same["ages"].items():
        assert abs(mine - 1.0) < 0.02 + 3.0 * same["noise"] + abs(own - 1.0), name
    assert same["overlap"][0] > 0.97
    lines = table_of(rows)
    assert len(lines) == 6
    assert "| ERA5, night, hills, 50 m, STILT's w |" in lines[-1]
    write_report(rows, tmp_path)
    assert lines[-1] in (tmp_path / "check.md").read_text()
    assert table_of([]) == []


def test_the_vertical_wind_that_stilt_takes_does_not_keep_even_air_even(sample_data):
    """What explains the difference over hills: with omega as it is, air near the ground is uneven by a third."""
    file = sample_data / "transport" / "met" / "era5_regrid.nc"
    found = {
        v: spread(open_met([file], vertical=v), turbulence="none", direction=-1, hours=2.0, particles=60000)
        for v in ("continuity", "omega")
    }
    assert found["continuity"].excess < 0.07
    assert found["omega"].excess > 0.15
    assert found["omega"].lowest > 0.25
