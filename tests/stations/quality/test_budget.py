"""The error budget: quadrature, apartness, lookup, floor."""

from __future__ import annotations

import numpy as np
import pytest

import stations
from obsnet.errors import ConfigError, MissingVariableError
from obsnet.kind_tables import table_names
from obsnet.schema import Quality
from stations.calibration.calibrate import calibrate
from stations.calibration.plan import load_plan
from stations.quality.budget import FOLDER, apply_budget, load_budget
from tests.stations.analyser import PLAN, sequence
from tests.stations.made import make_record


def budget(tmp_path, text):
    path = tmp_path / "b.toml"
    path.write_text(text)
    return load_budget(path)


TERMS = """
[[term]]
name = "repeatability"
kind = "random"
value = 0.3
per_root_n = true
[[term]]
name = "fit"
kind = "random"
value = {CO2 = 0.04}
[[term]]
name = "scale"
kind = "systematic"
value = 1e-4
relative = true
[[term]]
name = "hour"
kind = "representation"
variable = "sd"
"""


def test_terms_add_in_quadrature_and_stay_apart(tmp_path):
    record = make_record([400.0, 400.0], n=[9, 100], sd=[0.5, np.nan])
    got, reports = apply_budget(record, budget(tmp_path, TERMS))
    measured = np.array([np.hypot(0.1, 0.04), np.hypot(0.03, 0.04)])
    np.testing.assert_allclose(got["uncertainty_measurement"], measured)
    np.testing.assert_allclose(got["uncertainty"], np.hypot(measured, [0.5, 0.0]))
    np.testing.assert_allclose(got["uncertainty_systematic"], 0.04)
    np.testing.assert_allclose(got["uncertainty_representation"], [0.5, np.nan])
    assert {r.name: r.kind for r in reports}["scale"] == "systematic"
    assert sum(r.share for r in reports if r.kind != "systematic") == pytest.approx(1.0)
    assert [r.share for r in reports if r.kind == "systematic"] == pytest.approx([1.0])


def test_lookup_by_date_and_value(tmp_path):
    text = """
[[term]]
name = "repeatability"
kind = "random"
value = 2.0
stop = "2020-01-01T02:00Z"
[[term]]
name = "repeatability"
kind = "random"
value = 1.0
maximum = 1900.0
[[term]]
name = "repeatability"
kind = "random"
value = 3.0
required = true
maximum = 1950.0
"""
    record = make_record([1800, 1890, 1890, 1920, 2000.0], species="CH4", scale="WMO CH4 X2004A")
    got, reports = apply_budget(record, budget(tmp_path, text))
    np.testing.assert_array_equal(got["uncertainty"], [2, 2, 1, 3, np.nan])
    assert got["quality"].values.tolist() == [0, 0, 0, 0, Quality.UNCERTAINTY]
    assert reports[0].rows == 4


def test_a_term_begins_on_its_date_and_serves_its_species_only(tmp_path):
    text = """
[[term]]
name = "repeatability"
kind = "random"
value = 2.0
start = "2020-01-01T01:00Z"
[[term]]
name = "other gas"
kind = "random"
value = {CH4 = 9.0}
[[term]]
name = "not measured here"
kind = "random"
variable = "uncertainty_fit"
"""
    got, _ = apply_budget(make_record([400.0] * 3), budget(tmp_path, text))
    np.testing.assert_array_equal(got["uncertainty"], [np.nan, 2.0, 2.0])


def test_floor_is_a_least_value_not_an_addition(tmp_path):
    record = make_record([400.0, 400.0], sd=[0.1, 3.0])
    got, _ = apply_budget(record, budget(tmp_path, "floor = {CO2 = 0.5}" + TERMS))
    assert got["uncertainty"].values[0] == pytest.approx(0.5)
    assert got["uncertainty"].values[1] == pytest.approx(np.hypot(3.0, 0.04), rel=1e-3)
    assert "1 uncertainties raised to the floor of 0.5" in got.attrs["changes"]


@pytest.mark.parametrize(
    ("name", "scatter"), [("co2_wlg", 1.3124), ("co2_mlo", 0.5127), ("co2_lln", 2.21), ("ch4_wlg", 13.2346)]
)
def test_floor_is_the_scatter_about_the_smooth_curve(sample_data, name, scatter):
    record = stations.read(sample_data / f"stations/noaa_flask/{name}_surface-flask_1_ccgg_event.txt")
    got, _ = apply_budget(record, load_budget("record"))
    good = got["uncertainty"].values[got["quality"].values == 0]
    assert good.min() == pytest.approx(scatter, abs=0.006)
    assert np.isfinite(good).all()


def test_what_a_scale_conversion_brought_is_not_lost(tmp_path):
    record = make_record([400.0]).assign(uncertainty_systematic=("time", [0.03]))
    assert apply_budget(record, budget(tmp_path, TERMS))[0]["uncertainty_systematic"].values[
        0
    ] == pytest.approx(0.05)
    named = TERMS + '[[term]]\nname="conversion"\nkind="systematic"\nvariable="uncertainty_systematic"\n'
    assert apply_budget(record, budget(tmp_path, named))[0]["uncertainty_systematic"].values[
        0
    ] == pytest.approx(0.05)


def test_a_budget_is_applied_once(tmp_path):
    got, _ = apply_budget(make_record([400.0], sd=[0.1]), budget(tmp_path, TERMS))
    with pytest.raises(ConfigError, match="has a budget already"):
        apply_budget(got, budget(tmp_path, TERMS))


def test_no_term_no_floor_no_use(tmp_path):
    got, _ = apply_budget(
        make_record([400.0]), budget(tmp_path, '[[term]]\nname="p"\nkind="random"\nvariable="uncertainty"')
    )
    assert np.isnan(got["uncertainty"].values[0])
    assert got["quality"].values[0] == Quality.UNCERTAINTY


def test_a_calibrated_record_gets_its_whole_budget(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    record = calibrate(sequence(days=4, drift_per_day=0.1), load_plan(plan)).record
    text = (
        (load_budget.__globals__["FOLDER"] / "calibrated.toml")
        .read_text()
        .replace('floor = "residual"', 'floor = "none"')
    )
    got, reports = apply_budget(record, budget(tmp_path, text))
    by_name = {r.name: r for r in reports}
    assert by_name["tanks"].median == pytest.approx(0.0115, abs=0.004)
    assert by_name["repeatability"].median < 0.005
    measured = got["uncertainty_measurement"].values
    total = got["uncertainty"].values
    assert (total >= measured).all()
    parts = [record[f"uncertainty_{k}"].values for k in ("fit", "drift", "tank")]
    # hours between two calibrations share the errors of both: none of it averages out
    np.testing.assert_allclose(got["uncertainty_systematic"].values, np.sqrt(np.square(parts).sum(axis=0)))
    spread = np.hypot(record["sd"].values, record["repeatability"].values / np.sqrt(record["n"].values))
    np.testing.assert_allclose(total, np.where(np.isfinite(spread), spread, measured))


@pytest.mark.parametrize("name", table_names(FOLDER))
def test_budgets_that_come_with_the_package_are_valid(name):
    assert load_budget(name).title


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ('[[term]]\nname="a"\nkind="random"', ConfigError, "needs either a variable or a value"),
        ('[[term]]\nname="a"\nkind="sort"\nvalue=1', ConfigError, "kind = 'sort'"),
        ('floor = "big"\n[[term]]\nname="a"\nkind="random"\nvalue=1', ConfigError, "floor"),
        (
            '[[term]]\nname="a"\nkind="random"\nvariable="sdd"\nrequired=true',
            MissingVariableError,
            "nearest: 'sd'",
        ),
        ('floor = {CH4 = 1}\n[[term]]\nname="a"\nkind="random"\nvalue=1', ConfigError, "no floor for CO2"),
        (
            'floor = "residual"\n[[term]]\nname="a"\nkind="random"\nvalue=1',
            ConfigError,
            "give the floor as a number",
        ),
    ],
)
def test_faults(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        apply_budget(make_record([400.0]), budget(tmp_path, text))
    with pytest.raises(ConfigError, match="no budget 'recrod'; nearest: 'record'"):
        load_budget("recrod")


def test_a_part_that_nobody_stated_is_missing_and_not_zero(tmp_path):
    record = make_record([400.0, 401.0], sd=[0.5, np.nan], uncertainty=[np.nan, 0.1])
    got, _ = apply_budget(
        record,
        budget(
            tmp_path,
            """
floor = 0.3
[[term]]
name = "producer"
kind = "random"
variable = "uncertainty"
[[term]]
name = "hour"
kind = "representation"
variable = "sd"
""",
        ),
    )
    np.testing.assert_array_equal(got["uncertainty_measurement"], [np.nan, 0.1])
    np.testing.assert_array_equal(got["uncertainty_representation"], [0.5, np.nan])
    np.testing.assert_array_equal(got["uncertainty_systematic"], [np.nan, np.nan])
    np.testing.assert_array_equal(got["uncertainty"], [0.5, 0.3])


def test_what_the_fit_behind_the_floor_says_is_kept():
    hours = np.arange(24 * 900)
    value = 400.0 + 3.0 * np.sin(2 * np.pi * hours / 8766) + np.random.default_rng(0).normal(size=hours.size)
    got, _ = apply_budget(make_record(value, sd=0.2), load_budget("record"))
    assert any("samples a day" in c for c in got.attrs["changes"])
