"""Spikes, rolling outliers, stuck values, steps, pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import ConfigError
from stations.quality.spikes import hampel, pair_spread, quartile_sd, sd_spikes, steps, stuck
from tests.stations.references import flask_columns


def _minutes(days=3, seed=0, noise=0.05):
    rng = np.random.default_rng(seed)
    hours = np.arange(days * 1440) / 60.0
    return hours, 400 + 2 * np.sin(2 * np.pi * hours / 24) + noise * rng.standard_normal(hours.size)


def test_hampel_equals_the_plain_definition():
    rng = np.random.default_rng(3)
    hours = np.sort(rng.uniform(0, 200, 300))
    value = rng.standard_normal(300)
    value[::37] += 9
    expected = []
    for i in range(300):
        inside = value[np.abs(hours - hours[i]) <= 6.0]
        scale = 1.482602218505602 * np.median(np.abs(inside - np.median(inside)))
        expected.append(inside.size >= 5 and abs(value[i] - np.median(inside)) > 4 * scale)
    np.testing.assert_array_equal(hampel(hours, value, 12.0, 4.0), expected)


def test_mad_is_scaled_as_scipy_scales_it():
    from scipy.stats import median_abs_deviation

    value = np.random.default_rng(1).standard_normal(51)
    scale = median_abs_deviation(value, scale="normal")
    hours = np.arange(51.0)
    middle = np.median(value)
    far = np.abs(value - middle) > 2.0 * scale
    # one window holds all
    np.testing.assert_array_equal(hampel(hours, value, 200.0, 2.0), far)


def test_hampel_with_no_spread_needs_a_least_scale():
    hours, value = np.arange(50.0), np.full(50, 400.0)
    value[20] = 401.0
    assert not hampel(hours, value, 20.0, 5.0).any()
    assert hampel(hours, value, 20.0, 5.0, least=0.05).nonzero()[0].tolist() == [20]


def test_hampel_leaves_thin_windows_alone():
    assert not hampel(np.array([0.0, 1, 2]), np.array([1.0, 50, 1]), 10.0, 3.0).any()


def test_quartile_sd_of_a_normal_sample():
    """Between the quartiles a standard normal has sd 0.3785 (truncated normal)."""
    hours = np.arange(20000) / 60.0
    value = np.random.default_rng(2).standard_normal(hours.size)
    assert np.nanmean(quartile_sd(hours, value, 168.0)) == pytest.approx(0.3785, abs=0.01)


def test_spikes_are_found_and_the_diurnal_cycle_is_not():
    hours, value = _minutes()
    planted = np.zeros(hours.size, bool)
    for start in (500, 1700, 3100):
        planted[start : start + 8] = True
    value[planted] += 15.0
    found = sd_spikes(hours, value, alpha=1.0, window_hours=24.0)
    assert found[planted].all()
    assert found[~planted].mean() < 0.01


def test_a_new_air_mass_ends_its_own_spike():
    """sqrt(n) sigma grows until the lasting change passes: it is not cut off for ever."""
    hours, value = _minutes(noise=0.3)
    value[2000:] += 3.0
    found = sd_spikes(hours, value, alpha=1.0, window_hours=24.0)
    assert found[2000]
    assert found[2600:].mean() < 3 * found[1000:1900].mean() + 0.01


def test_larger_alpha_flags_less():
    hours, value = _minutes(noise=0.5)
    value[::97] += 2.0
    counts = [sd_spikes(hours, value, alpha=a, window_hours=24.0).sum() for a in (0.5, 1, 2, 4)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_the_search_starts_anew_after_a_gap_and_not_on_a_spike():
    hours, value = _minutes(days=2)
    value[:3] += 30.0
    assert sd_spikes(hours, value, alpha=1.0, window_hours=24.0)[3:].sum() == 0


@pytest.mark.parametrize("gap", [0.0, 30.0])
@pytest.mark.parametrize("length", [1, 5, 30])
@pytest.mark.parametrize("noise", [0.05, 0.3])
def test_contamination_at_the_start_or_after_a_gap_is_found(gap, length, noise):
    hours, value = _minutes(noise=noise)
    start = 1500 if gap else 0
    hours[start:] += gap
    value[start : start + length] += 15.0
    found = sd_spikes(hours, value, alpha=1.0, window_hours=24.0)
    assert found[start : start + length].all()
    clean = sd_spikes(hours, np.where(found, 400.0, value), alpha=1.0, window_hours=24.0)
    assert found.sum() <= length + clean.sum() + 60


def test_a_falling_start_is_no_contamination():
    """The morning's decline of CO2: 20 ppm in four hours."""
    hours, value = _minutes(noise=0.3)
    value += 20.0 * np.exp(-hours / 2.0)
    assert not sd_spikes(hours, value, alpha=1.0, window_hours=24.0)[:240].mean() > 0.05


def test_negative_excursions_are_not_spikes():
    hours, value = _minutes()
    value[1000:1010] -= 20.0
    assert not sd_spikes(hours, value, alpha=1.0, window_hours=24.0)[1000:1010].any()


@given(st.lists(st.integers(0, 2), min_size=1, max_size=60), st.integers(2, 5))
def test_stuck_is_run_length(values, repeats):
    v = np.array(values, float)
    flag = stuck(np.arange(v.size, dtype=float), v, repeats)
    start = 0
    for i in range(1, v.size + 1):
        if i == v.size or v[i] != v[start]:
            assert (flag[start:i] == (i - start >= repeats)).all()
            start = i


def test_stuck_with_tolerance_and_gap():
    hours = np.array([0, 1, 2, 30, 31, 32.0])
    value = np.array([1.0, 1.01, 1.02, 1.02, 1.02, 5])
    assert stuck(hours, value, 3, tolerance=0.015).tolist() == [True] * 5 + [False]
    assert stuck(hours, value, 3, tolerance=0.015, gap_hours=2).tolist() == [True] * 3 + [False] * 3
    assert stuck(hours, np.array([1, np.nan, 1, 1, 2, 3.0]), 3).tolist() == [
        True,
        False,
        True,
        True,
        False,
        False,
    ]


def test_steps_flag_both_ends():
    hours = np.arange(6.0)
    assert steps(hours, np.array([0, 0, 9, 9, 9, np.nan]), 5.0).tolist() == [
        False,
        True,
        True,
        False,
        False,
        False,
    ]
    assert not steps(hours * 24, np.array([0, 0, 9, 9, 9, 9.0]), 0.1).any()


def test_pairs_at_waliguan(sample_data):
    """No kept pair differs by more than 0.50 ppm; the keeper's C flag marks pairs that do."""
    data = flask_columns(sample_data / "stations/noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt")
    value = data["value"].astype(float)
    letter = np.array([f[0] for f in data["qcflag"]])
    time = data["time_decimal"]
    found = pair_spread(time, np.where(value > -900, value, np.nan), 0.5)
    kept = letter == "."
    assert not pair_spread(time[kept], value[kept], 0.5).any()
    assert pair_spread(time[kept], value[kept], 0.49).any()
    rejected = letter == "C"
    assert found[rejected].mean() > 0.7  # the rest has no partner in the file
    assert found[kept].mean() < 0.06


def test_members_of_three_all_go():
    time = np.array([1, 1, 1, 2])
    assert pair_spread(time, np.array([1.0, 1.2, 2.0, 9.0]), 0.5).tolist() == [True, True, True, False]
    assert not pair_spread(time, np.array([1.0, np.nan, 1.5, 9.0]), 0.5).any()
    assert not pair_spread(time, np.full(4, np.nan), 0.5).any()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda h, v: hampel(h, v, 0, 3), "a window and a limit above 0"),
        (lambda h, v: sd_spikes(h, v, alpha=0), "alpha is above 0"),
        (lambda h, v: quartile_sd(h, v, -1), "a window above 0 is needed"),
        (lambda h, v: stuck(h, v, 1), "a run has at least 2 values"),
    ],
)
def test_refusals(call, text):
    with pytest.raises(ConfigError, match=text):
        call(np.arange(20.0), np.ones(20))


def test_the_threshold_of_a_spike_widens_with_the_root_of_the_values_since_it_began():
    """On a plateau of 3.5 sigma with alpha 1, sqrt(n) reaches 2.5 between n = 6 and n = 7."""
    hours = np.arange(4000) / 60.0
    value = 400.0 + np.sin(hours)  # no step is a tenth of sigma
    sigma = quartile_sd(hours, value, 1000.0)[0]
    value[2000:2020] = value[1999] + 3.5 * sigma
    found = sd_spikes(hours, value, alpha=1.0, window_hours=1000.0)
    assert found[1998:2010].nonzero()[0].tolist() == [2, 3, 4, 5, 6, 7]
