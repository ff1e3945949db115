"""Tank drift against NOAA's results and its limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import ConfigError, RangeError
from stations.calibration.tanks import fit_tank_drift
from tests.stations.references import reference

CASES = ["no_drift", "linear", "quadratic", "two_points", "one_point"]


@pytest.mark.parametrize("name", CASES)
def test_equals_noaa(sample_data, name):
    case = reference(sample_data, "noaa_quality_control_and_tanks.json")["tank_drift"][name]
    column = {k: np.array([d[k] for d in case["input"]]) for k in ("dd", "mixratio", "meas_unc", "typeB_unc")}
    drift = fit_tank_drift(column["dd"], column["mixratio"], column["meas_unc"], column["typeB_unc"])
    want = case["result"]
    np.testing.assert_allclose(drift.coefficients, [want[f"coef{i}"] for i in range(3)], atol=5.1e-7)
    np.testing.assert_allclose(drift.uncertainties, [want[f"unc_c{i}"] for i in range(3)], atol=5.1e-7)
    assert drift.residual_sd == pytest.approx(want["sd_resid"], abs=5.1e-7)
    assert drift.reduced_chi_square == pytest.approx(want["chisq"], abs=5.1e-7)
    assert drift.n == want["n"]
    if drift.n > 1:  # NOAA writes 0 where there is one date only
        assert drift.t0 == pytest.approx(want["tzero"], abs=5.1e-7)


def test_the_published_quadratic_case(sample_data):
    case = reference(sample_data, "noaa_quality_control_and_tanks.json")["tank_drift"]["quadratic"]["input"]
    drift = fit_tank_drift([d["dd"] for d in case], [d["mixratio"] for d in case], 0.2, 0.2)
    assert drift.degree == 2
    assert drift.coefficients[2] == pytest.approx(0.16875, abs=1e-6)
    assert drift.uncertainties[2] == pytest.approx(0.0116, abs=5e-5)


@given(st.floats(300, 500), st.floats(-0.2, 0.2), st.integers(4, 12))
def test_an_exact_line_is_recovered(level, rate, n):
    year = np.linspace(2010, 2020, n)
    drift = fit_tank_drift(year, level + rate * (year - 2015), 0.001, degree="linear")
    np.testing.assert_allclose(drift.value(year), level + rate * (year - 2015), atol=1e-9)
    assert drift.coefficients[1] == pytest.approx(rate, abs=1e-9)


def test_noise_alone_earns_no_drift():
    rng = np.random.default_rng(0)
    degrees = [
        fit_tank_drift(np.arange(2010, 2018.0), 400 + 0.01 * rng.standard_normal(8), 0.01).degree
        for _ in range(300)
    ]
    assert np.mean(np.array(degrees) == 0) > 0.88


def test_uncertainty_grows_away_from_the_calibrations():
    drift = fit_tank_drift([2010.0, 2012, 2014, 2016], [400, 400.1, 400.2, 400.31], 0.01)
    assert drift.degree == 1
    near, far = drift.uncertainty(np.array([2013.0, 2023.0]))
    assert far > 3 * near
    assert drift.uncertainty(drift.t0) == pytest.approx(0.01 / 2, rel=1e-6)


def test_scatter_between_calibrations_is_in_the_uncertainty():
    rng = np.random.default_rng(3)
    value = 400 + 0.13 * rng.standard_normal(6)
    drift = fit_tank_drift(np.arange(2014, 2020.0), value, 0.01)
    assert drift.degree == 0
    assert drift.uncertainties[0] == pytest.approx(0.01 / np.sqrt(6))  # NOAA's
    assert drift.uncertainty(2017.0) == pytest.approx(value.std(ddof=1) / np.sqrt(6))
    assert drift.excess == pytest.approx(value.std(ddof=1) / 0.01)
    quiet = fit_tank_drift(np.arange(2014, 2020.0), 400 + 0.002 * rng.standard_normal(6), 0.01)
    assert quiet.uncertainty(2017.0) == pytest.approx(0.01 / np.sqrt(6))  # never below what is stated
    assert quiet.excess == 1.0


@pytest.mark.parametrize(("scatter", "low", "high"), [(1.0, 0.02, 0.08), (5.0, 0.9, 1.0)])
def test_scatter_beyond_what_is_stated_is_told_when_it_is_significant(scatter, low, high):
    rng = np.random.default_rng(1)
    year = np.arange(2014.0, 2018.0)
    draws = 400 + 0.01 * scatter * rng.standard_normal((300, 4))
    told = np.mean([fit_tank_drift(year, d, 0.01, degree="mean").excess > 1 for d in draws])
    assert low < told <= high


def test_two_calibrations_apart_may_be_drift_or_scatter():
    drift = fit_tank_drift([2014.0, 2018.0], [400.0, 400.2], 0.01)
    assert drift.degree == 1
    assert drift.uncertainty(2016.0) == pytest.approx(0.1, rel=0.02)


def test_what_calibrations_share_does_not_average_out():
    few = fit_tank_drift([2014.0, 2016.0], [400.0, 400.0], 0.01, 0.05)
    many = fit_tank_drift(np.linspace(2014, 2018, 50), np.full(50, 400.0), 0.01, 0.05)
    assert many.uncertainty(2016.0) == pytest.approx(np.hypot(0.05, 0.01 / np.sqrt(50)))
    assert few.uncertainty(2015.0) == pytest.approx(np.hypot(0.05, 0.01 / np.sqrt(2)))


@pytest.mark.parametrize("n", [3, 6, 10])
@pytest.mark.parametrize("scatter", [1, 5])
@pytest.mark.parametrize("rate", [0.0, 0.01, 0.05])
def test_stated_uncertainties_hold_beyond_the_calibrations(n, scatter, rate):
    """Draws of true drifts and scatters; one standard uncertainty holds at least 68 %, two 95 %."""
    rng = np.random.default_rng(n * 100 + scatter)
    off = []
    for _ in range(150):
        year, true = np.sort(rng.uniform(2010, 2018, n)), rate * rng.standard_normal()
        noise = 0.01 * scatter * rng.standard_normal(n)
        drift = fit_tank_drift(year, 400 + true * (year - 2014) + noise, 0.01)
        at = drift.last + np.array([0.5, 2.0, 5.0])
        off.append(np.abs(drift.value(at) - 400 - true * (at - 2014)) / drift.uncertainty(at))
    assert (np.mean(np.array(off) < 1, axis=0) > 0.64).all()
    assert (np.mean(np.array(off) < 2, axis=0) > 0.89).all()


def test_a_drift_that_few_dates_cannot_show_is_not_made_up():
    drift = fit_tank_drift([2015.0], [400.0], 0.02)
    assert np.isnan(drift.missed).all()
    assert drift.uncertainty(2025.0) == pytest.approx(0.02)
    assert drift.beyond([2014.0, 2015.0, 2025.0]).tolist() == [1.0, 0.0, 10.0]


def test_equal_values_are_a_mean():
    assert fit_tank_drift([2010.0, 2012, 2014, 2016], [400.0] * 4, 1e-6).degree == 0


def test_two_calibrations_on_one_day_are_a_mean():
    drift = fit_tank_drift([2010.5, 2010.5], [400.0, 400.2], 0.01)
    assert drift.degree == 0
    assert drift.coefficients[0] == pytest.approx(400.1)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: fit_tank_drift([], [], []), RangeError, "found 0"),
        (lambda: fit_tank_drift([2010.0], [400.0], [0.0]), RangeError, "uncertainties above 0"),
        (
            lambda: fit_tank_drift([2010.0, 2011], [4.0, 5], 1.0, degree="quadratic"),
            RangeError,
            "more than 2 dates, found 2",
        ),
        (
            lambda: fit_tank_drift([2010.0], [400.0], [1.0], degree="cubic"),
            ConfigError,
            "'cubic' is not one of",
        ),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()
