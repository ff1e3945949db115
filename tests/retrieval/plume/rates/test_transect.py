"""Rates from tracks."""

import numpy as np
import pytest

from retrieval.plume.images.amounts import mass_per_unit
from retrieval.plume.rates.reasons import RejectReason
from retrieval.plume.rates.transect import Track, transect_rate
from retrieval.plume.winds import PlumeWind
from tests.retrieval.plume.scenes import degrees, place, plume_mass

STACK = place("stack", 0.0, 0.0)
WIND = PlumeWind(4.0, 1.0, 0.4)


def make_track(rate=1000.0, *, lean=0.3, at=20.0, noise=0.0, seed=0, half=150.0, slope=0.002):
    """A track that crosses the line of the wind `at` km downwind, leaning against its perpendicular."""
    t = np.arange(-half, half, 0.55)  # four abreast every 2.2 km
    e, n = np.array([4.0, 1.0]) / np.sqrt(17), np.array([-1.0, 4.0]) / np.sqrt(17)
    x, y = at * e[:, None] + t * (n[:, None] + lean * e[:, None])
    mass = np.full(t.size, float(mass_per_unit(98000.0, "CO2", column_water=15.0)))
    value = 410.0 + slope * t + plume_mass(x, y, rate, 4.0, 1.0) / mass
    value = value + noise * np.random.default_rng(seed).standard_normal(t.size)
    lat, lon = degrees(x, y)
    return Track(lat, lon, value, np.full(t.size, max(noise, 0.1)), mass, 0.005)


@pytest.mark.parametrize("lean", [0.0, 0.8, -0.8])
def test_a_steady_plume_gives_its_rate_whatever_the_angle(lean):
    found = transect_rate(make_track(lean=lean), STACK, WIND)
    assert found.rate == pytest.approx(1000.0, rel=0.03)
    assert not found.reasons
    assert found.angle == pytest.approx(np.rad2deg(np.arctan2(1, abs(lean))), abs=1.0)
    assert found.distance == pytest.approx(20.0, abs=2.0)


def test_noise_scatters_rates_by_what_is_stated():
    rates = [transect_rate(make_track(noise=0.5, seed=k), STACK, WIND) for k in range(40)]
    scatter = np.std([r.rate for r in rates], ddof=1)
    stated = np.sqrt(np.mean([r.budget.additive**2 for r in rates]))
    assert 0.6 < scatter / stated < 1.4
    assert np.mean([r.low < 1000 < r.high for r in rates]) > 0.9


def test_tracks_that_tell_nothing():
    along = transect_rate(make_track(lean=4.0), STACK, WIND)
    assert along.reasons & RejectReason.ANGLE
    upwind = transect_rate(make_track(at=-60.0), STACK, WIND)
    assert upwind.reasons & RejectReason.OUTSIDE
    calm = transect_rate(make_track(), STACK, PlumeWind(0.0, 0.0, 0.4))
    assert calm.reasons & RejectReason.SLOW_WIND
    assert np.isnan(calm.rate)
    empty = transect_rate(make_track(0.0, noise=0.5), STACK, WIND)
    assert empty.reasons & RejectReason.BELOW_LIMIT
    half = make_track(half=150.0)
    cut = np.arange(half.value.size) > half.value.size // 2 - 8
    one_side = Track(**{k: (v[cut] if isinstance(v, np.ndarray) else v) for k, v in vars(half).items()})
    assert transect_rate(one_side, STACK, WIND).reasons & RejectReason.GAPS
