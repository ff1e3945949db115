"""Response curves: exact data, textbook limits, an independent orthogonal distance regression."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import ConfigError, RangeError
from stations.calibration.response import fit_response

GAS = np.array([370.0, 395.0, 415.0, 440.0, 480.0])


@given(st.floats(-3, 3), st.floats(0.95, 1.05), st.floats(-1e-4, 1e-4), st.sampled_from(["wls", "odr"]))
def test_exact_curves_are_recovered(offset, gain, bend, method):
    reading = GAS
    value = offset + gain * reading + bend * (reading - 420) ** 2
    response = fit_response(reading, value, 0.01, 0.01, degree=2, method=method)
    np.testing.assert_allclose(response.value(reading), value, atol=1e-6)
    np.testing.assert_allclose(response.slope(reading), gain + 2 * bend * (reading - 420), atol=1e-6)


def test_weighted_least_squares_is_the_textbook_line():
    rng = np.random.default_rng(1)
    y = 0.5 + 0.999 * GAS + 0.02 * rng.standard_normal(5)
    r = fit_response(GAS, y, 0.0, 0.02, method="wls")
    slope, intercept = np.polyfit(GAS, y, 1)
    assert r.coefficients[1] == pytest.approx(slope)
    assert r.value(0.0) == pytest.approx(intercept)
    sxx = ((GAS - GAS.mean()) ** 2).sum()
    inflate = np.sqrt(max(r.reduced_chi_square, 1.0))
    at = 400.0
    expected = 0.02 * inflate * np.sqrt(1 / 5 + (at - GAS.mean()) ** 2 / sxx)
    reading, gas = r.uncertainty(at)
    assert gas == pytest.approx(expected, rel=1e-9)
    assert reading == 0.0


def test_what_all_gases_share_does_not_average_out():
    alone = fit_response(GAS, GAS, 0.01, 0.02)
    together = fit_response(GAS, GAS, 0.01, 0.02, 0.1)
    np.testing.assert_allclose(together.uncertainty(GAS)[1], np.hypot(alone.uncertainty(GAS)[1], 0.1))
    tilted = fit_response(GAS, GAS, 0.01, 0.02, 0.001 * GAS)  # an error of the scale, in proportion
    np.testing.assert_allclose(
        tilted.uncertainty(420.0)[1], np.hypot(alone.uncertainty(420.0)[1], 0.42), rtol=1e-9
    )


def test_odr_is_deming_regression_for_a_line():
    """With one ratio of variances for all points the answer is closed: Deming 1943."""
    rng = np.random.default_rng(2)
    true = np.linspace(350, 500, 30)
    x, y = true + 2.0 * rng.standard_normal(30), 3 + 0.98 * true + 1.0 * rng.standard_normal(30)
    ratio = (1.0 / 2.0) ** 2  # variance of y over variance of x
    sxx, syy = x.var(), y.var()
    sxy = ((x - x.mean()) * (y - y.mean())).mean()
    slope = (syy - ratio * sxx + np.sqrt((syy - ratio * sxx) ** 2 + 4 * ratio * sxy**2)) / (2 * sxy)
    r = fit_response(x, y, 2.0, 1.0)
    assert r.coefficients[1] == pytest.approx(slope, rel=1e-7)
    assert r.value(x.mean()) == pytest.approx(y.mean(), rel=1e-9)


def test_odr_equals_odrpack():
    odr = pytest.importorskip("scipy.odr")
    rng = np.random.default_rng(3)
    sx, sy = rng.uniform(0.02, 0.2, 5), rng.uniform(0.02, 0.2, 5)
    y = 1.0 + 0.99 * GAS + 2e-5 * (GAS - 420) ** 2 + sy * rng.standard_normal(5)
    x = GAS + sx * rng.standard_normal(5)
    ours = fit_response(x, y, sx, sy, degree=2)
    model = odr.Model(lambda b, z: b[0] + b[1] * z + b[2] * z**2)
    run = odr.ODR(odr.RealData(x - ours.centre, y, sx=sx, sy=sy), model, beta0=[420, 1, 0], maxit=500)
    theirs = run.run()
    np.testing.assert_allclose(ours.coefficients, theirs.beta, rtol=1e-5, atol=1e-9)
    factor = max(ours.reduced_chi_square, 1.0)
    np.testing.assert_allclose(
        ours.reading_covariance + ours.gas_covariance, theirs.cov_beta * factor, rtol=2e-3, atol=1e-12
    )


def test_large_errors_of_readings_flatten_least_squares_but_not_odr():
    rng = np.random.default_rng(4)
    true = np.linspace(380, 420, 4000)
    x = true + 8.0 * rng.standard_normal(true.size)
    wls = fit_response(x, true, 0.0, 0.1, method="wls")
    orthogonal = fit_response(x, true, 8.0, 0.1)
    assert wls.coefficients[1] < 0.8
    assert orthogonal.coefficients[1] == pytest.approx(1.0, abs=0.03)


def test_an_exact_fit_has_no_chi_square_and_keeps_the_stated_errors():
    r = fit_response(GAS[:2], GAS[:2], 0.01, 0.02)
    assert np.isnan(r.reduced_chi_square)
    assert r.uncertainty(GAS[0]) == pytest.approx((0.01, 0.02), rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"degree": 3}, ConfigError, "degree 1 or 2, found 3"),
        ({"method": "lsq"}, ConfigError, "'lsq' is not one of wls, odr"),
        ({"measured_sd": 0.0}, RangeError, "above 0"),
        (
            {"measured": GAS[:2], "assigned": GAS[:2], "degree": 2},
            RangeError,
            "more than 2 different gases, found 2",
        ),
    ],
)
def test_refusals(arguments, error, text):
    base = {"measured": GAS, "assigned": GAS, "measured_sd": 0.1, "assigned_sd": 0.1}
    with pytest.raises(error, match=text):
        fit_response(**{**base, **arguments})
