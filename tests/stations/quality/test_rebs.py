"""REBS against R's numbers, and on records whose baseline is known."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import ConfigError, RangeError
from stations.quality.rebs import local_linear, rebs
from tests.stations.references import flasks, reference

FILES = {"wlg_co2": "co2_wlg", "mlo_co2": "co2_mlo"}


def _case(sample_data, name):
    case = next(c for c in reference(sample_data, "rebs.json")["cases"] if c["case"] == name)
    path = sample_data / "stations/noaa_flask" / f"{FILES[name]}_surface-flask_1_ccgg_event.txt"
    x, y, _ = flasks(path, rejected=1)
    return case, x, y


@pytest.mark.parametrize("name", ["wlg_co2", "mlo_co2"])
def test_equals_r(sample_data, name):
    case, x, y = _case(sample_data, name)
    assert x.size == case["n"]
    ours = rebs(x, y, case["NoXP"], delta=np.ptp(x) / 100)
    assert ours.sigma == pytest.approx(case["sigma"], abs=1e-6)
    assert ours.fit.mean() == pytest.approx(case["mean_fit"], abs=1e-9)
    assert ours.weight.mean() == pytest.approx(case["mean_weight"], abs=1e-9)
    assert (ours.weight == 0).sum() == case["n_zero_weight"]
    index = np.array(case["index0"])
    np.testing.assert_allclose(ours.fit[index], case["fit"], rtol=0, atol=1e-8)
    np.testing.assert_allclose(ours.weight[index], case["weight"], rtol=0, atol=1e-8)


def test_equals_r_at_every_flask(sample_data):
    table = np.genfromtxt(
        sample_data / "stations/reference/rebs_wlg_co2.csv", delimiter=",", names=True, encoding="utf-8"
    )
    x, y = table["x"], table["y"]
    ours = rebs(x, y, 60, delta=np.ptp(x) / 100)
    np.testing.assert_allclose(ours.fit, table["fit"], rtol=0, atol=1e-8)
    np.testing.assert_allclose(ours.weight, table["rw"], rtol=0, atol=1e-8)


def _polluted(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    x = np.arange(n, dtype=float)
    truth = 400 + 5 * np.sin(2 * np.pi * x / 800)
    polluted = rng.random(n) < 0.25
    return x, truth, truth + 0.3 * rng.standard_normal(n) + polluted * rng.exponential(8.0, n), polluted


def test_finds_a_known_baseline_under_pollution():
    x, truth, y, polluted = _polluted()
    fit = rebs(x, y, 120)
    assert np.abs(fit.fit - truth)[100:-100].mean() < 0.15
    background = y <= fit.fit + 3 * fit.sigma_below
    strong = polluted & (y > truth + 2)
    assert background[~polluted].mean() > 0.97
    assert background[strong].mean() < 0.02


def test_a_straight_line_stays_a_straight_line():
    x = np.sort(np.random.default_rng(1).uniform(0, 10, 300))
    y = 3.0 + 0.5 * x
    np.testing.assert_allclose(local_linear(x, y, 40, 0.0, np.ones(300)), y, rtol=1e-10)
    np.testing.assert_allclose(local_linear(x, y, 40, 0.5, np.ones(300)), y, rtol=1e-10)


def test_order_of_rows_does_not_matter():
    x, _, y, _ = _polluted(600)
    shuffle = np.random.default_rng(2).permutation(x.size)
    straight, mixed = rebs(x, y, 80), rebs(x[shuffle], y[shuffle], 80)
    np.testing.assert_allclose(mixed.fit, straight.fit[shuffle], rtol=1e-12)
    np.testing.assert_allclose(mixed.weight, straight.weight[shuffle], rtol=1e-12)


def test_shift_and_scale_pass_through():
    x, _, y, _ = _polluted(600)
    plain, moved = rebs(x, y, 80), rebs(x, 3 * y - 50, 80)
    np.testing.assert_allclose(moved.fit, 3 * plain.fit - 50, rtol=1e-9)
    assert moved.sigma == pytest.approx(3 * plain.sigma)


def test_default_delta_does_not_blur():
    x, _, y, _ = _polluted(3000)
    np.testing.assert_allclose(rebs(x, y, 200).fit, rebs(x, y, 200, delta=0.0).fit, atol=0.1)


def test_ties_share_one_fit():
    x = np.repeat(np.arange(50.0), 3)
    y = np.random.default_rng(4).standard_normal(150)
    fit = rebs(x, y, 30, delta=0.0).fit.reshape(50, 3)
    np.testing.assert_array_equal(fit[:, 0], fit[:, 2])


def test_refusals():
    with pytest.raises(ConfigError, match="at least 3 points"):
        rebs(np.arange(9.0), np.ones(9), 2)
    with pytest.raises(RangeError, match="needs that many finite values, found 9"):
        rebs(np.arange(9.0), np.ones(9), 10)
    with pytest.raises(RangeError, match="no scale to judge by"):
        rebs(np.arange(20.0), np.ones(20), 10)
