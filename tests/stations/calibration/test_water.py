"""Water correction against the analyser's own dry values, and the droplet test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import ConfigError, RangeError
from stations.calibration.water import (
    FACTORY,
    WaterCorrection,
    dry_mole_fraction,
    fit_water_correction,
    water_correction,
    wet_mole_fraction,
)


def test_reproduces_the_dry_values_of_a_raw_log(sample_data):
    """A real Picarro log: each dry value it prints follows from a wet value and its reported water."""
    (path,) = (sample_data / "stations" / "picarro_raw").glob("*.dat")
    lines = path.read_text().splitlines()
    names = lines[0].split()
    rows = [line.split() for line in lines[1:] if len(line.split()) == len(names)]
    data = {
        n: np.array([float(r[i]) for r in rows]) for i, n in enumerate(names) if n not in {"DATE", "TIME"}
    }
    for gas, unit in (("CO2", 1.0), ("CH4", 1e3)):
        dry, _ = dry_mole_fraction(data[gas] * unit, data["h2o_reported"], FACTORY[gas])
        printed = np.unique(data[f"{gas}_dry"]) * unit
        # every printed dry value is reached by some row; the analyser averages water over two turns
        nearest = np.abs(printed[:, None] - dry[None, :]).min(axis=1)
        assert nearest.max() / printed.mean() < 1e-4


@given(st.floats(300, 5000), st.floats(0, 4))
def test_wet_and_back(dry, water):
    c = FACTORY["CO2"]
    wet = dry * (1 + c.a * water + c.b * water**2)
    again, _ = dry_mole_fraction(np.array([wet]), np.array([water]), c)
    assert again[0] == pytest.approx(dry)


def test_dry_air_is_left_alone():
    value, uncertainty = dry_mole_fraction(np.array([400.0]), np.array([0.0]), FACTORY["CO2"])
    assert value[0] == 400.0
    assert uncertainty[0] == 0.0


def test_droplet_test_recovers_the_coefficients():
    rng = np.random.default_rng(0)
    h = np.linspace(0.0, 3.0, 400)
    wet = 410.0 * (1 - 0.0121 * h - 2.6e-4 * h * h) + 0.02 * rng.standard_normal(h.size)
    fitted, tank = fit_water_correction(wet, h)
    assert tank == pytest.approx(410.0, abs=0.02)
    sd = np.sqrt(np.diag(fitted.covariance))
    assert abs(fitted.a + 0.0121) < 4 * sd[0]
    assert abs(fitted.b + 2.6e-4) < 4 * sd[1]
    _, uncertainty = dry_mole_fraction(np.array([400.0, 400.0]), np.array([0.2, 3.0]), fitted)
    assert 0 < uncertainty[0] < uncertainty[1] < 0.1


def test_uncertainty_is_the_propagated_one():
    c = WaterCorrection(-0.012, -2.7e-4, np.diag([1e-10, 1e-12]))
    _, uncertainty = dry_mole_fraction(np.array([400.0]), np.array([2.0]), c)
    dry = 400 / (1 - 0.024 - 4 * 2.7e-4)
    assert uncertainty[0] == pytest.approx(dry / (1 - 0.024 - 4 * 2.7e-4) * np.sqrt(4e-10 + 16e-12), rel=1e-6)


def test_refusals():
    with pytest.raises(RangeError, match="in per cent, -0.5 to 10; row 2 has 15000"):
        dry_mole_fraction(np.ones(2), np.array([1.0, 15000.0]), FACTORY["CO2"])
    with pytest.raises(ConfigError, match="no factory water correction is known for CO"):
        water_correction("CO")
    with pytest.raises(RangeError, match=r"over at least 0.5 % of water, found 20 over 0.1 %"):
        fit_water_correction(np.ones(20), np.linspace(1, 1.1, 20))


@given(st.floats(0.0, 4.0), st.floats(300, 500))
def test_wet_and_dry_are_inverse(water, dry):
    h, x = np.array([water]), np.array([dry])
    wet = wet_mole_fraction(x, h, FACTORY["CO2"])
    np.testing.assert_allclose(dry_mole_fraction(wet, h, FACTORY["CO2"])[0], x, rtol=1e-14)
    assert (wet <= x).all()
