"""Validation: statistics by hand, stores and the command, tables and pictures."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow as pa
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from obsnet.errors import ConfigError, RangeError
from obsnet.pipeline import Case, RunOptions
from obsnet.store import ObservationStore
from retrieval.commands.validate import validate
from retrieval.commands.validate_stage import STAGE
from retrieval.superobs.average import super_observe
from retrieval.superobs.options import Superobs
from retrieval.validation.collocation import PAIRS
from retrieval.validation.compare import statistics, summary, validate_stores, write_figures
from retrieval.validation.options import Criteria, ValidateTable
from tests.retrieval.ground import make_ground, make_overpasses


def make_pairs(satellite, reference, site=None, mode=None, time=None):
    n = len(satellite)
    columns = {
        "site": site or ["A"] * n,
        "mode": mode or ["nadir"] * n,
        "time": time
        if time is not None
        else np.datetime64("2020-01-15", "us") + np.arange(n) * np.timedelta64(1, "D"),
        "satellite": np.asarray(satellite, float),
        "reference": np.asarray(reference, float),
    }
    rows = {f.name: columns.get(f.name, pa.nulls(n, f.type)) for f in PAIRS}
    return pa.table({k: pa.array(v) if not isinstance(v, pa.Array) else v for k, v in rows.items()}).cast(
        PAIRS
    )


def test_statistics_by_hand():
    pairs = make_pairs([1.0, 2, 4, 10], [0.0, 2, 2, 7], site=["A", "A", "A", "B"])
    a, b = statistics(pairs, ("site",))
    assert (a["site"], a["n"]) == ("A", 3)
    assert a["bias"] == pytest.approx(1.0)
    assert a["sd"] == pytest.approx(1.0)
    assert a["bias_error"] == pytest.approx(1 / np.sqrt(3))
    assert a["rmse"] == pytest.approx(np.sqrt(5 / 3))
    assert a["r2"] == pytest.approx(np.corrcoef([1, 2, 4], [0, 2, 2])[0, 1] ** 2)
    assert (b["n"], b["bias"], b["sd"], b["r2"]) == (1, 3.0, None, None)
    assert statistics(pairs, ())[0]["n"] == 4
    assert statistics(pairs.slice(0, 0)) == []


@given(st.integers(0, 10**6), st.floats(-3, 3), st.integers(3, 60))
def test_a_constant_offset_is_a_bias_and_nothing_else(seed, offset, n):
    reference = np.random.default_rng(seed).normal(410, 2, n)
    row = statistics(make_pairs(reference + offset, reference), ())[0]
    assert row["bias"] == pytest.approx(offset, abs=1e-9)
    assert row["sd"] == pytest.approx(0, abs=1e-9)
    assert row["r2"] == pytest.approx(1, abs=1e-9)


@given(st.integers(0, 10**6))
def test_groups_add_up(seed):
    rng = np.random.default_rng(seed)
    n = 80
    pairs = make_pairs(
        rng.normal(size=n),
        rng.normal(size=n),
        site=rng.choice(["A", "B", "C"], n).tolist(),
        mode=rng.choice(["nadir", "glint"], n).tolist(),
    )
    total = statistics(pairs, ())[0]
    for cut in (("site",), ("mode",), ("site", "mode"), ("season",), ("year", "site")):
        rows = statistics(pairs, cut)
        assert sum(r["n"] for r in rows) == n
        assert sum(r["n"] * r["bias"] for r in rows) == pytest.approx(n * total["bias"], abs=1e-9)


def test_summary_over_sites():
    pairs = make_pairs([1.0, 1, 3, 3, 9], [0.0, 0, 0, 0, 0], site=["A", "A", "B", "B", "C"])
    found = summary(pairs)
    assert found["sites"] == 2  # a site of one pair has no bias to speak of
    assert found["mean_site_bias"] == 2
    assert found["site_bias_sd"] == pytest.approx(np.sqrt(2))
    assert found["mean_site_sd"] == 0
    assert summary(pairs.slice(0, 0))["n"] == 0


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("validation")
    satellite, ground = ObservationStore(folder / "sat"), ObservationStore(folder / "ground")
    satellite.write(_one_file(make_overpasses()))
    ground.write(make_ground())
    return satellite, ground


def _one_file(table):
    at = table.column_names.index("file_id")
    ids = [f"test_lite:{i}" for i in range(len(table))]
    table = table.set_column(at, "file_id", pa.array(["a" * 16] * len(table)))
    return table.set_column(table.column_names.index("obs_id"), "obs_id", pa.array(ids))


def test_stores(stores):
    pairs = validate_stores(*stores, "CO2", source="test_lite")
    assert len(pairs) == 8
    later = validate_stores(*stores, "CO2", source="test_lite", start="2020-06-02", stop="2020-06-04")
    assert len(later) == 4


def test_super_observations_are_validated_alike(stores, tmp_path):
    """Means of 10-s means, through averaged operators: near the pairs of the soundings themselves."""
    satellite, ground = stores
    made = ObservationStore(tmp_path / "so")
    made.write(super_observe(satellite.read("CO2"), Superobs()).table)
    one = validate_stores(satellite, ground, "CO2", source="test_lite")
    two = validate_stores(made, ground, "CO2", source="test_lite_superobs", criteria=Criteria(minimum=1))
    assert len(two) == len(one)
    np.testing.assert_allclose(two["reference"].to_numpy(), one["reference"].to_numpy(), atol=0.4)


def test_refusals(stores, tmp_path):
    with pytest.raises(RangeError, match="no good CO2 column in the time"):
        validate_stores(*stores, "CO2", source="test_lite", start="2022-01-01")
    two = ObservationStore(tmp_path / "two")
    two.write(make_ground())
    two.write(make_ground(source="coccon_xco2"))
    with pytest.raises(ConfigError, match="name one: coccon_xco2, tccon_ggg2020_xco2"):
        validate_stores(stores[0], two, "CO2", source="test_lite")
    with pytest.raises(ConfigError, match="unknown grouping 'sites'"):
        statistics(make_pairs([1.0], [1.0]), ("sites",))


def run(*args):
    app = typer.Typer()
    app.command()(validate.function())
    return CliRunner().invoke(app, [str(a) for a in args])


def test_command(stores, tmp_path):
    satellite, ground = stores
    common = (satellite.path, "--reference", ground.path, "--species", "CO2", "--source", "test_lite")
    done = run(*common, "--out", tmp_path / "v")
    assert done.exit_code == 0, done.output
    assert "8 overpasses: bias" in done.output
    assert "2 sites: mean bias" in done.output
    names = {p.name for p in (tmp_path / "v").iterdir()}
    assert names >= {
        "pairs.csv",
        "statistics_site.csv",
        "statistics_site_season.csv",
        "scatter.png",
        "series.png",
    }
    rows = list(csv.DictReader((tmp_path / "v/pairs.csv").open()))
    assert len(rows) == 8
    report = json.loads(run(*common, "--out", tmp_path / "w", "--json").output)
    assert report["summary"]["n"] == 8
    assert float(rows[0]["satellite"]) == pytest.approx(
        validate_stores(*stores, "CO2", source="test_lite")["satellite"][0].as_py(), rel=1e-5
    )


def test_command_where_nothing_matches(stores, tmp_path):
    satellite, ground = stores
    done = run(
        satellite.path, "--reference", ground.path, "--species", "CO2", "--source", "test_lite",
        "--out", tmp_path / "v", "--minimum", "99",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1].startswith("no overpass meets the criteria")
    assert not list((tmp_path / "v").glob("*.png"))


def test_figures_of_many_sites(tmp_path):
    n = 45
    rng = np.random.default_rng(0)
    pairs = make_pairs(
        410 + rng.normal(size=n),
        410 + rng.normal(size=n),
        site=[f"S{i % 15:02d}" for i in range(n)],
        mode=["nadir" if i % 2 else "glint" for i in range(n)],
    )
    pictures = write_figures(pairs, "CO2", tmp_path, dpi=50)
    assert [p.name for p in pictures] == ["scatter.png", "series.png"]
    assert write_figures(make_pairs([1.0], [1.0]), "CO2", tmp_path / "one", dpi=50)
    assert write_figures(pairs.slice(0, 0), "CO2", tmp_path / "none") == []


def test_stage(stores, tmp_path):
    case = Case(tmp_path, tmp_path, RunOptions(name="t", out="."))
    options = ValidateTable(
        store=str(stores[0].path), reference=str(stores[1].path), species="CO2", source="test_lite"
    )
    result = STAGE.run(options, case)
    assert result.summary["n"] == 8
    assert result.outputs == (tmp_path / "validation",)
