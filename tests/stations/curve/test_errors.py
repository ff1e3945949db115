"""Standard errors: NOAA's printed ones when asked, the white-noise and AR(1) limits otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import ConfigError
from stations.curve import kernel
from stations.curve.errors import coefficient_sd, curve_ensemble, errors_and_noise, standard_errors
from stations.curve.fit import fit_curve, in_notes
from stations.curve.many import doubts
from stations.curve.noaa_errors import lag_one
from stations.curve.noise import Noise, Simulation, estimate_noise
from stations.curve.options import CurveOptions
from tests.stations.references import OPTION_NAMES, flasks, reference

NAMES = {
    "function": "function",
    "polynomial": "poly",
    "short": "short",
    "long": "long",
    "smooth": "smooth_curve",
    "trend": "trend_curve",
    "growth": "growth",
}
WEEKLY = 2000.0 + np.arange(0, 365 * 30, 7) / 365.0


@pytest.mark.parametrize("number", range(12))
def test_equals_what_noaa_prints(sample_data, number):
    case = reference(sample_data, "noaa_curve_fit.json")["cases"][number]
    x, y, _ = flasks(sample_data / "stations" / "noaa_flask" / case["file"], case["mode"] == "pair_mean")
    options = {OPTION_NAMES[k]: v for k, v in case["options"].items()}
    errors = standard_errors(fit_curve(x, y, CurveOptions(**options, noaa_compatible=True)))
    for ours, theirs in NAMES.items():
        assert errors[ours] == pytest.approx(case["filter_sd"][theirs], rel=2e-5), ours


def _noise(r: float, seed: int = 3) -> np.ndarray:
    draw = np.random.default_rng(seed).standard_normal(WEEKLY.size)
    for i in range(1, draw.size):
        draw[i] = r * draw[i - 1] + np.sqrt(1 - r * r) * draw[i]
    return draw


def test_coefficients_of_white_noise_have_the_textbook_error():
    """sd of a fitted sine amplitude = s sqrt(2/n); of the mean, with a constant alone, s/sqrt(n)."""
    y = 400.0 + _noise(0.0)
    fit = fit_curve(WEEKLY, y, CurveOptions(polynomial_terms=1, harmonics=1))
    n = WEEKLY.size
    expected = np.sqrt(fit.reduced_chi_square) * np.array([1 / np.sqrt(n), np.sqrt(2 / n), np.sqrt(2 / n)])
    np.testing.assert_allclose(coefficient_sd(fit), expected, rtol=2e-3)


def test_filter_error_of_white_noise_is_its_bandwidth():
    """For white noise the variance of the filtered value is s^2 times the integral of H^2, by Parseval."""
    fit = fit_curve(WEEKLY, 400.0 + _noise(0.0))
    frequency = np.linspace(0, 365.0 / 7 / 2, 200001)
    share = np.trapezoid(kernel.response(frequency, 667.0) ** 2, frequency) / frequency[-1]
    assert standard_errors(fit)["long"] == pytest.approx(np.sqrt(share), rel=0.1)


@pytest.mark.parametrize("r", [0.0, 0.5, 0.8])
def test_errors_of_the_middle_and_the_ensemble_agree(r):
    fit = fit_curve(WEEKLY, 400.0 + 2.0 * (WEEKLY - 2000) + 1.5 * _noise(r))
    errors = standard_errors(fit)
    ensemble = curve_ensemble(fit, replicates=150, seed=4)
    middle = slice(fit.grid.size // 5, -fit.grid.size // 5)
    for name in ("smooth", "trend", "growth"):
        assert getattr(ensemble, name)[middle].mean() == pytest.approx(errors[name], rel=0.15), name
    increase = np.array([v for k, v in ensemble.annual_increase.items() if 2006 < k < 2024])
    assert increase.mean() == pytest.approx(errors["annual_increase"], rel=0.15)


def _of_memory(days: float, seed: int, year: np.ndarray = WEEKLY) -> np.ndarray:
    draw = np.random.default_rng(seed).standard_normal(year.size)
    for i in range(1, draw.size):
        keep = np.exp(-(year[i] - year[i - 1]) * 365.25 / days) if days else 0.0
        draw[i] = keep * draw[i - 1] + np.sqrt(1 - keep * keep) * draw[i]
    return draw


@pytest.mark.parametrize(
    "days", [0.0, 30.0, 90.0]
)  # more of them, with counts, in scripts/check_curve_errors.py
@pytest.mark.parametrize("sampling", ["weekly", "flasks"])
def test_stated_errors_of_trend_and_growth_are_true_for_noise_of_0_to_90_days(days, sampling):
    """Twins: what the fit makes of noise of known memory, against what it states of records with that noise."""
    year = WEEKLY
    if sampling == "flasks":  # half of the weeks, two gaps of half a year
        rng = np.random.default_rng(2)
        year = WEEKLY[
            (rng.random(WEEKLY.size) < 0.5) & (np.abs(WEEKLY - 2011) > 0.25) & (np.abs(WEEKLY - 2020) > 0.25)
        ]
    signal = 370.0 + 2.0 * (year - 2000) + 0.01 * (year - 2000) ** 2 + 3.0 * np.sin(2 * np.pi * year)
    true = Simulation(fit_curve(year, signal), range(200), 77).curves(Noise(2.0, days))
    inside = (true.grid > 0.92) & (true.grid < true.grid[-1] - 0.92)
    trend, growth = (np.sqrt(np.mean(x[inside] ** 2)) for x in (true.polynomial + true.long, true.growth))
    stated = [standard_errors(fit_curve(year, signal + 2.0 * _of_memory(days, k, year))) for k in range(12)]
    for name, truth in (("trend", trend), ("growth", growth)):
        assert np.exp(np.mean(np.log([e[name] for e in stated]))) == pytest.approx(truth, rel=0.15), name


@pytest.mark.parametrize("years", [30, 12])
def test_what_noise_that_remembers_a_year_would_do_is_true_of_twins_that_have_it(years):
    """What is stated of such twins is half of the truth, as the page says; what is said beside it is the truth."""
    year = WEEKLY[: 365 * years // 7]
    signal = 370.0 + 2.0 * (year - 2000) + 3.0 * np.sin(2 * np.pi * year)
    true = Simulation(fit_curve(year, signal), range(200), 77).curves(Noise(2.0, 365.25))
    inside = (true.grid > 0.92) & (true.grid < true.grid[-1] - 0.92)
    found = [errors_and_noise(fit_curve(year, signal + 2.0 * _of_memory(365.25, k, year))) for k in range(16)]
    for name, curve in (("trend", true.polynomial + true.long), ("growth", true.growth)):
        truth = np.sqrt(np.mean(curve[inside] ** 2))
        said = np.exp(np.mean(np.log([e.year_long[name] for e in found])))
        assert said == pytest.approx(truth, rel=0.15), name
        assert np.mean([e.stated[name] for e in found]) < 0.75 * truth
    white = errors_and_noise(fit_curve(year, signal + 2.0 * _of_memory(0.0, 3, year)))
    assert white.year_long["trend"] > 3 * white.stated["trend"]  # said of every record, which cannot know


@pytest.mark.parametrize("days", [0.0, 60.0])
def test_short_records_are_true_on_average_and_say_how_little_they_tell(days):
    year = WEEKLY[:313]
    signal = 370.0 + 2.0 * (year - 2000) + 3.0 * np.sin(2 * np.pi * year)
    true = Simulation(fit_curve(year, signal), range(200), 77).curves(Noise(2.0, days))
    inside = (true.grid > 0.92) & (true.grid < true.grid[-1] - 0.92)
    truth = np.sqrt(np.mean((true.polynomial + true.long)[inside] ** 2))
    found = [errors_and_noise(fit_curve(year, signal + 2.0 * _of_memory(days, k, year))) for k in range(12)]
    stated = np.array([e.stated["trend"] for e in found])
    assert np.exp(np.log(stated).mean()) == pytest.approx(truth, rel=0.15)
    assert all(e.likely["trend"][0] <= e.stated["trend"] <= e.likely["trend"][1] for e in found)
    told = np.mean([any("short for its noise" in note for note in doubts(e)) for e in found])
    assert told == 0 if days == 0 else told > 0.3


@pytest.mark.parametrize("days", [0.0, 20.0, 60.0])
def test_noise_is_found_again(days):
    found = [estimate_noise(fit_curve(WEEKLY, 370.0 + 2.0 * _of_memory(days, k))) for k in range(8)]
    assert np.median([n.memory_days for n in found]) == pytest.approx(days, rel=0.25, abs=3.0)
    assert np.median([n.sd for n in found]) == pytest.approx(2.0, rel=0.1)
    assert sum(n.at_bound for n in found) <= 1


def test_noise_too_slow_to_be_told_from_the_trend_is_said_to_be():
    """Of a memory of three years little is left in the residuals; what is left is more correlated than can be."""
    found = [estimate_noise(fit_curve(WEEKLY, 370.0 + 2.0 * _of_memory(1000.0, k))) for k in range(6)]
    assert sum(n.at_bound for n in found) >= 3
    assert all(n.memory_days <= 120.1 for n in found)


def test_hours_are_averaged_before_noise_is_sought():
    hours = 2015.0 + np.arange(0, 3 * 365.25 * 24) / (365.25 * 24)
    value = 400.0 + 2.0 * (hours - 2015) + _of_memory(15.0, 1, hours)
    with in_notes():
        fit = fit_curve(hours, value + np.random.default_rng(5).standard_normal(hours.size))
        short = fit_curve(hours[:5000], value[:5000], CurveOptions(harmonics=0, polynomial_terms=1))
    assert Simulation(fit, range(2), 0).t.size == 1000  # a thousandth of three years is less than three days
    assert 5.0 < estimate_noise(fit).memory_days < 40.0
    assert 900 < Simulation(short, range(2), 0).t.size < 1100
    assert standard_errors(short)["trend"] > 0


def test_a_record_of_a_line_has_no_noise():
    errors = standard_errors(fit_curve(WEEKLY[:200], 2.0 * (WEEKLY[:200] - 2000)))
    assert all(0.0 <= v < 1e-9 for v in errors.values())


def test_autocorrelation_widens_the_errors():
    white, red = (fit_curve(WEEKLY, 400.0 + _noise(r)) for r in (0.0, 0.8))
    assert standard_errors(red)["trend"] > 1.7 * standard_errors(white)["trend"]
    red_sd = curve_ensemble(red, replicates=100).coefficients
    assert red_sd[1] > 1.5 * coefficient_sd(red)[1]


def test_ensemble_covers_the_truth():
    """Trend errors of many records of known truth: about 68 in 100 lie within one standard error."""
    truth = 400.0 + 2.0 * (WEEKLY - 2000)
    at = np.linspace(2004, 2026, 23)
    hits = []
    for seed in range(12):
        fit = fit_curve(WEEKLY, truth + _noise(0.4, seed))
        sd = curve_ensemble(fit, replicates=60, seed=seed).at(at, "trend")
        hits.append(np.abs(fit.trend(at) - (400.0 + 2.0 * (at - 2000))) < sd)
    assert 0.55 < np.mean(hits) < 0.80


def test_ensemble_repeats_and_does_not_depend_on_chunks(monkeypatch):
    fit = fit_curve(WEEKLY[::4], (400.0 + _noise(0.3))[::4])
    first = curve_ensemble(fit, replicates=20, seed=9)
    import stations.curve.errors as module

    monkeypatch.setattr(module, "CHUNK", 3 * fit.x.size)
    again = curve_ensemble(fit, replicates=20, seed=9)
    np.testing.assert_allclose(first.trend, again.trend, rtol=1e-12)
    other = curve_ensemble(fit, replicates=20, seed=10)
    assert not np.allclose(first.trend, other.trend)


def test_gain_is_held_in_the_ensemble():
    t = WEEKLY - 2000
    fit = fit_curve(
        WEEKLY, 400 + (1 + 0.02 * t) * np.sin(2 * np.pi * t) + 0.1 * _noise(0.2), CurveOptions(gain=True)
    )
    ensemble = curve_ensemble(fit, replicates=20)
    assert ensemble.coefficients.shape == fit.coefficients.shape
    assert ensemble.coefficients[-1] == 0.0


def test_errors_of_use():
    fit = fit_curve(WEEKLY, 400.0 + _noise(0.0))
    with pytest.raises(ConfigError, match="'short' and 'long', found 'middle'"):
        lag_one(fit, "middle")
    with pytest.raises(ConfigError, match="at least 2 replicates, found 1"):
        curve_ensemble(fit, replicates=1)


def test_means_over_days_are_as_alike_as_means_are():
    """Daily values are thinned to means over three days, whose noise is smoother than that of single days."""
    year = 2000.0 + np.arange(12 * 365) / 365.25
    simulation = Simulation(fit_curve(year, 370.0 + 2.0 * (year - 2000.0)), range(40), 1)
    noise = simulation._noise(Noise(2.0, 5.0))
    apart = np.subtract.outer(np.arange(3), np.arange(3))
    within, beside = (np.exp(-np.abs(days + apart) / 5.0).mean() for days in (0, 3))
    assert np.mean(noise**2) == pytest.approx(4.0, rel=0.02)
    assert np.mean(noise[1:] * noise[:-1]) / np.mean(noise**2) == pytest.approx(beside / within, abs=0.01)
    white = simulation._noise(Noise(2.0, 0.0))
    assert np.mean(white**2) == pytest.approx(4.0, rel=0.02)
    assert np.mean(white[1:] * white[:-1]) == pytest.approx(0.0, abs=0.05)
