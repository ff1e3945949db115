"""The curve fit against NOAA's numbers, against functions whose fit is known, and at its edges."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.config import validate
from obsnet.errors import ConfigError, RangeError, SolverError
from stations.curve.fit import CurveWarning, fit_curve
from stations.curve.options import CurveOptions
from tests.stations.references import OPTION_NAMES, flasks, reference

CASES = range(12)


def _case(sample_data, number):
    case = reference(sample_data, "noaa_curve_fit.json")["cases"][number]
    x, y, _ = flasks(sample_data / "stations" / "noaa_flask" / case["file"], case["mode"] == "pair_mean")
    options = CurveOptions(**{OPTION_NAMES[k]: v for k, v in case["options"].items()})
    return case, x, y, options


@pytest.fixture(scope="module")
def waliguan(sample_data):
    case, x, y, options = _case(sample_data, 0)
    return case, fit_curve(x, y, options)


@pytest.mark.parametrize("number", CASES)
def test_equals_noaa(sample_data, number):
    case, x, y, options = _case(sample_data, number)
    fit = fit_curve(x, y, options)
    tolerance = 1e-5 if case["gas"] == "co2" else 5e-5
    assert fit.x.size == case["n_used"]
    assert fit.interval_days == case["sampleinterval_days"]
    assert fit.grid.size == case["n_interp"]
    assert fit.timezero == case["timezero"]
    np.testing.assert_allclose(fit.coefficients, case["params"], rtol=0, atol=tolerance)
    dates = np.array(case["dates"])
    for ours, theirs in (
        (fit.function, "function"),
        (fit.polynomial, "poly"),
        (fit.harmonic, "harmonic"),
        (fit.smooth, "smooth"),
        (fit.trend, "trend"),
    ):
        np.testing.assert_allclose(ours(dates), case[theirs], rtol=0, atol=tolerance, err_msg=theirs)
    np.testing.assert_allclose(fit.growth(dates), case["growth_rate"], rtol=0, atol=1e-4)
    assert fit.rsd_function == pytest.approx(case["rsd1_function"], abs=1e-8)
    assert fit.rsd_smooth == pytest.approx(case["rsd2_smooth"], abs=1e-7)
    assert fit.reduced_chi_square == pytest.approx(case["reduced_chisq"], rel=1e-9)


@pytest.mark.parametrize("number", CASES)
def test_yearly_and_monthly_numbers_equal_noaa(sample_data, number):
    case, x, y, options = _case(sample_data, number)
    fit = fit_curve(x, y, options)
    increase = fit.annual_increase()
    assert [str(k) for k in increase] == list(case["annual_increase"])
    np.testing.assert_allclose(
        list(increase.values()), list(case["annual_increase"].values()), rtol=0, atol=5e-5
    )
    np.testing.assert_allclose(fit.amplitudes(), case["amplitudes"], rtol=0, atol=5e-5)
    np.testing.assert_allclose(fit.monthly_means()[-24:], case["monthly_means_last24"], rtol=0, atol=5e-5)
    np.testing.assert_allclose(fit.annual_means(), case["annual_means"], rtol=0, atol=5e-5)


@pytest.mark.parametrize("number", CASES)
def test_covariance_is_noaas_only_when_asked(sample_data, number):
    case, x, y, options = _case(sample_data, number)
    ours = np.sqrt(np.diag(fit_curve(x, y, options).covariance))
    same = CurveOptions(**{**vars(options), "noaa_compatible": True})
    np.testing.assert_allclose(
        np.sqrt(np.diag(fit_curve(x, y, same).covariance)), case["param_sd"], rtol=1e-5
    )
    np.testing.assert_allclose(ours * np.sqrt(case["reduced_chisq"]), case["param_sd"], rtol=1e-5)


def test_published_waliguan_figures(waliguan):
    """The excerpt printed in the research notes, digit by digit."""
    _, fit = waliguan
    np.testing.assert_allclose(fit.coefficients[:3], [352.5327565993, 1.4713976201, 0.0183551297], atol=2e-6)
    assert fit.annual_increase()[2016] == pytest.approx(3.745, abs=5e-4)
    assert fit.annual_increase()[2020] == pytest.approx(3.250, abs=5e-4)
    assert {a[0]: a[1] for a in fit.amplitudes()}[2021] == pytest.approx(13.02, abs=5e-3)


def _known(years: np.ndarray) -> np.ndarray:
    t = years - 2000.0
    return 380.0 + 2.1 * t + 0.02 * t**2 + 3.0 * np.sin(2 * np.pi * t) - 1.5 * np.cos(4 * np.pi * t)


WEEKLY = 2000.0 + np.arange(0, 365 * 12, 7) / 365.0


def test_a_function_of_the_family_is_recovered_exactly():
    fit = fit_curve(WEEKLY, _known(WEEKLY))
    expected = [380.0, 2.1, 0.02, 3.0, 0, 0, -1.5, 0, 0, 0, 0]
    np.testing.assert_allclose(fit.coefficients, expected, atol=1e-9)
    assert fit.rsd_function < 1e-9
    inside = np.linspace(2001, 2011, 50)
    t = inside - 2000
    np.testing.assert_allclose(
        fit.trend(inside), 380 + 2.1 * t + 0.02 * t**2, atol=1e-4
    )  # linear between steps
    np.testing.assert_allclose(fit.growth(inside), 2.1 + 0.04 * t, atol=1e-6)


def test_gain_is_recovered_exactly():
    t = WEEKLY - 2000.0
    y = 380.0 + 2.0 * t + (1 + 0.03 * t) * (3.0 * np.sin(2 * np.pi * t) + 1.0 * np.cos(2 * np.pi * t))
    fit = fit_curve(WEEKLY, y, CurveOptions(gain=True, harmonics=2))
    np.testing.assert_allclose(fit.coefficients, [380, 2, 0, 3, 1, 0, 0, 0.03], atol=1e-9)
    np.testing.assert_allclose(fit.function(WEEKLY), y, atol=1e-9)


def test_filter_passes_half_at_its_cutoff():
    """H(fc) = 0.5: half of a signal of 667 days stays in the trend, of one of 80 days in the smooth curve."""
    years = 2000.0 + np.arange(0, 365 * 40, 5) / 365.0
    middle = (years > 2012) & (years < 2028)
    for days, which in ((667.0, "long"), (80.0, "short")):
        wave = np.sin(2 * np.pi * (years - 2000.0) * 365.0 / days)
        fit = fit_curve(years, 400.0 + wave, CurveOptions(interval_days=5, polynomial_terms=1, harmonics=0))
        kept = np.interp(years, fit.grid, getattr(fit, which))[middle]
        assert kept @ wave[middle] / (wave[middle] @ wave[middle]) == pytest.approx(0.5, abs=0.01)


@given(
    shift=st.floats(-50, 50),
    scale=st.floats(0.1, 20),
    order=st.randoms(use_true_random=False),
)
def test_linear_and_blind_to_order(shift, scale, order):
    rng = np.random.default_rng(1)
    x, noise = WEEKLY[::2], rng.standard_normal(WEEKLY[::2].size)
    y = _known(x) + noise
    index = list(range(x.size))
    order.shuffle(index)
    plain, moved = fit_curve(x, y), fit_curve(x[index], (scale * y + shift)[index])
    at = np.linspace(2000.5, 2011, 30)
    np.testing.assert_allclose(moved.smooth(at), scale * plain.smooth(at) + shift, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(moved.growth(at), scale * plain.growth(at), rtol=1e-7, atol=1e-7)
    assert moved.rsd_smooth == pytest.approx(scale * plain.rsd_smooth, rel=1e-8)


def test_outside_the_record_curves_are_missing_but_the_function_is_not(waliguan):
    _, fit = waliguan
    outside = np.array([1980.0, 2040.0])
    for curve in (fit.smooth, fit.trend, fit.growth, fit.cycle):
        assert np.isnan(curve(outside)).all()
    assert np.isfinite(fit.function(outside)).all()


def test_a_date_may_be_a_number(waliguan):
    _, fit = waliguan
    assert np.ndim(fit.trend(2010.5)) == 0
    assert np.ndim(fit.function(2010.5)) == 0


def test_decomposition_adds_up(waliguan):
    """Smooth curve = trend + detrended cycle on the grid; function = polynomial + harmonics everywhere."""
    _, fit = waliguan
    np.testing.assert_allclose(fit.smooth(fit.grid), fit.trend(fit.grid) + fit.cycle(fit.grid), atol=1e-10)
    np.testing.assert_allclose(fit.function(fit.x), fit.polynomial(fit.x) + fit.harmonic(fit.x), atol=1e-10)


def test_missing_values_are_counted():
    y = _known(WEEKLY)
    y[::10] = np.nan
    with pytest.warns(CurveWarning, match="rows without time or value"):
        fit = fit_curve(WEEKLY, y)
    assert fit.dropped == np.isnan(y).sum()
    np.testing.assert_allclose(fit.coefficients[:2], [380.0, 2.1], atol=1e-8)


def _hourly(days=900):
    rng = np.random.default_rng(2)
    hours = np.arange(days * 24)
    x = 2000.0 + hours / 24.0 / 365.25
    diurnal = 12.0 * np.cos(2 * np.pi * (hours % 24) / 24.0)
    keep = rng.random(hours.size) > 0.3
    keep[5000:5100] = False
    return x[keep], (_known(x) + diurnal + rng.standard_normal(hours.size))[keep]


def test_hourly_record_is_averaged_with_a_warning():
    x, y = _hourly()
    with pytest.warns(CurveWarning, match=r"samples a day: residuals averaged to 1 day"):
        fit = fit_curve(x, y)
    assert fit.interval_days == 1.0
    assert fit.averaged
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        aliased = fit_curve(x, y, CurveOptions(noaa_compatible=True))
    assert aliased.interval_days > 1.0
    inside = np.linspace(2000.5, 2002, 200)
    truth = _known(inside)
    assert np.std(fit.smooth(inside) - truth) < 0.5 * np.std(aliased.smooth(inside) - truth)


def test_cabauw_hourly_does_not_get_worse_by_smoothing(sample_data):
    """NOAA's interval aliases hourly data: its smooth curve fits worse than its function. Ours must not."""
    import xarray as xr

    from obsnet.times import decimal_year

    path = sample_data / "stations" / "obspack_icos" / "co2_cbw_tower-insitu_445_allvalid-207magl.nc"
    with xr.open_dataset(path, engine="netcdf4") as data:
        x, y = decimal_year(data["time"].values), data["value"].values * 1e6
    noaa = fit_curve(x, y, CurveOptions(noaa_compatible=True))
    assert noaa.interval_days == 13.0
    assert noaa.rsd_smooth == pytest.approx(9.29, abs=0.005)
    assert noaa.rsd_function == pytest.approx(8.97, abs=0.005)
    with pytest.warns(CurveWarning):
        ours = fit_curve(x, y)
    assert ours.rsd_smooth < ours.rsd_function


def test_flasks_taken_several_a_day_are_not_hourly_data(sample_data):
    x, y, _ = flasks(sample_data / "stations" / "noaa_flask" / "co2_mlo_surface-flask_1_ccgg_event.txt")
    assert not fit_curve(x, y).averaged


def test_monthly_means_cut_the_harmonics_only_when_they_must():
    x = 2000.0 + np.arange(80) * 89.0 / 365.0 + np.linspace(0, 0.4, 80)  # drifts through the season
    with pytest.warns(CurveWarning, match=r"2 instead of 4 harmonics: samples are 9\d days apart"):
        fit = fit_curve(x, _known(x))
    assert fit.coefficients.size == 3 + 4


def test_gap_is_filled_with_the_function_on_request():
    """A gap is bridged by a line, or left to the function and the line of the record's ends."""
    x = WEEKLY[(WEEKLY < 2004) | (WEEKLY > 2006)]
    y = _known(x) + 2.0 * np.sin(2 * np.pi * (x - 2000) / 3.3)
    filled, bridged = fit_curve(x, y, CurveOptions(gap_days=60)), fit_curve(x, y)
    inside = np.linspace(2004.6, 2005.4, 9)

    def off_function(fit):
        return fit.smooth(inside) - fit.function(inside)

    line = np.polynomial.Polynomial.fit(inside, off_function(filled), 1)
    np.testing.assert_allclose(off_function(filled), line(inside), atol=0.02)
    assert np.ptp(off_function(bridged)) > 3 * np.ptp(off_function(filled))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"short_days": 700}, "0 < short < long"),
        ({"interval_days": 0}, "interval_days = 0"),
        ({"polynomial_terms": 0}, "polynomial_terms = 0"),
        ({"gain": True, "harmonics": 0}, "nothing to scale"),
    ],
)
def test_wrong_options_say_what_is_wrong(options, text):
    with pytest.raises(ConfigError, match=text):
        validate(CurveOptions, options)


@pytest.mark.parametrize("n", [0, 1, 5, 11])
def test_too_few_samples(n):
    with pytest.raises(RangeError, match="samples"):
        fit_curve(WEEKLY[:n], np.ones(n))


def test_lengths_must_agree():
    with pytest.raises(RangeError, match="one length, found 10 and 9"):
        fit_curve(WEEKLY[:10], np.ones(9))


def test_half_a_season_cannot_hold_four_harmonics():
    x = 2000.0 + np.arange(60) / 365.0
    with pytest.raises(SolverError, match="cannot be told apart"):
        fit_curve(x, _known(x))


def test_a_short_record_has_no_end_line():
    """Under one long cutoff nothing is subtracted at the ends; the fit still works with fewer terms."""
    x = 2000.0 + np.arange(0, 400, 3) / 365.0
    fit = fit_curve(x, _known(x), CurveOptions(polynomial_terms=2, harmonics=2))
    assert np.isfinite(fit.trend(2000.5))


def test_a_season_without_samples_is_said():
    winter = WEEKLY[(WEEKLY % 1.0 < 0.25) | (WEEKLY % 1.0 > 0.75)]
    with pytest.warns(
        CurveWarning, match=r"a stretch of 6\.\d months of the season: 4 harmonics are not held"
    ):
        fit = fit_curve(winter, _known(winter))
    assert len(fit.notes) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit_curve(winter, _known(winter), CurveOptions(harmonics=0)).notes == ()
        assert fit_curve(WEEKLY, _known(WEEKLY)).notes == ()
