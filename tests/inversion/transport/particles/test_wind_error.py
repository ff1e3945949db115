"""Wind errors: the correlation that was asked for, none where there is none, dispersion against its closed form."""

from __future__ import annotations

import numpy as np
import pytest

from inversion.transport.particles.settings import ParticleSettings, WindError
from inversion.transport.particles.simulate import simulate
from inversion.transport.particles.wind_error import NO_WAVES, wind_error_at, wind_error_waves
from obsnet.config import validate
from obsnet.errors import ConfigError
from obsnet.grid import Grid
from obsnet.sphere import METRES_PER_DEGREE
from tests.inversion.transport.worlds import bins, receptors, world

GRID = Grid.regular(22, 38, 102, 128, 1, 1)
AXES = np.array([0.0, 1.0, 20.0, 1.0, 100.0, 1.0, 1e-4, 1.0])  # nodes a degree apart from 20 N 100 E
FAR = 1e7


def ends(member, error, **options):
    """Where one member's particles end: degrees east and north of where they began, by particle."""
    met = world(u=options.pop("u", 0.0), v=0.0, hours=48)
    run = ParticleSettings(**{"turbulence": "none", "hours": 24.0, "timestep": 600.0, **options})
    waves = wind_error_waves(error, 3, member)
    found = simulate(met, receptors(at=40.0, z=500.0, count=1), GRID, bins(48), run, waves=waves).endpoints
    return np.array([found["longitude"][0].as_py() - 115.0, found["latitude"][0].as_py() - 30.0])


@pytest.mark.parametrize(
    ("apart", "expected"),
    [
        ((0.0, 0.0, 0.0, 0.0), 1.0),
        ((3 * 3600.0, 0.0, 0.0, 0.0), np.exp(-1.0)),
        ((0.0, 0.0, 0.9, 0.0), np.exp(-0.9 * METRES_PER_DEGREE / 1e5)),
        ((0.0, 0.9, 0.0, 0.0), np.exp(-0.9 * METRES_PER_DEGREE * np.cos(np.deg2rad(30.0)) / 1e5)),
        ((0.0, 0.0, 0.0, 250.0), np.exp(-0.5)),
        ((3600.0, 0.3, 0.4, 100.0), None),
    ],
)
def test_correlation_is_the_one_asked_for(apart, expected):
    """Means over 4000 members of products at two places; both components, and none between them."""
    error = WindError(speed=2.0, hours=3.0, km=100.0, metres=500.0)
    here = (1.6e9, 15.0, 10.0, 300.0)
    there = tuple(np.add(here, apart))
    waves = [wind_error_waves(error, 0, m) for m in range(4000)]
    a, b = (np.array([wind_error_at(w, AXES, *p) for w in waves]) for p in (here, there))
    if expected is None:
        metres = METRES_PER_DEGREE * np.hypot(0.3 * np.cos(np.deg2rad(30.2)), 0.4)
        expected = np.exp(-1 / 3 - metres / 1e5 - 0.2)
    noise = 4.0 * 4.0 / np.sqrt(4000)
    np.testing.assert_allclose((a * b).mean(axis=0), 4.0 * expected, atol=1.5 * noise)
    np.testing.assert_allclose((a * b[:, ::-1]).mean(axis=0), 0.0, atol=noise)
    kurtosis = (a**4).mean(axis=0) / (a**2).mean(axis=0) ** 2
    np.testing.assert_allclose(kurtosis, 3.0, atol=0.5)


@pytest.mark.parametrize("turbulence", ["mixed-layer", "hanna", "stilt", "none"])
def test_no_error_is_the_plain_run_bit_for_bit(turbulence):
    met, place = world(heat=60.0, hours=48), receptors(2, at=40.0, z=20.0, count=20)
    run = ParticleSettings(turbulence=turbulence, hours=12.0, particles=20)
    still = wind_error_waves(WindError(speed=0.0, hours=3.0, km=100.0, metres=500.0), 0, 1)
    blown = wind_error_waves(WindError(speed=2.0, hours=3.0, km=100.0, metres=500.0), 0, 1)
    plain, same, other = (
        simulate(met, place, GRID, bins(48), run, waves=w) for w in (NO_WAVES, still, blown)
    )
    for table in ("sensitivity", "background", "receptors", "endpoints"):
        assert getattr(same, table).equals(getattr(plain, table)), table
    assert not other.endpoints.equals(plain.endpoints)


def dispersion(hours, time_scale):
    """``2 T^2 (t / T - 1 + exp(-t / T))`` per unit of variance of the wind, h2 (Taylor 1921)."""
    x = hours / time_scale
    return 2.0 * time_scale**2 * (x - 1.0 + np.exp(-x))


@pytest.mark.parametrize("turbulence", ["none", "mixed-layer"])
def test_an_error_that_only_time_ends_disperses_as_taylor_says(turbulence):
    """Still air, one particle a member: variance over members of the way, both components."""
    error = WindError(speed=1.5, hours=4.0, km=FAR, metres=FAR)
    more = {"diffusivity": 0.0} if turbulence == "mixed-layer" else {}
    way = np.array([ends(m, error, turbulence=turbulence, **more) for m in range(600)]) * METRES_PER_DEGREE
    way[:, 0] *= np.cos(np.deg2rad(30.0))
    expected = (1.5 * 3600.0) ** 2 * dispersion(24.0, 4.0)
    np.testing.assert_allclose((way**2).mean(axis=0), expected, rtol=4.0 * np.sqrt(2.0 / 600))


def test_air_that_moves_forgets_sooner():
    """A wind U through an error of length L and time T: correlation time 1 / (1 / T + U / L)."""
    u, length = 8.0, 60.0
    error = WindError(speed=0.4, hours=6.0, km=length, metres=FAR)
    way = np.array([ends(m, error, u=u, hours=18.0) for m in range(600)])
    mean = -u * 18 * 3600.0 / (METRES_PER_DEGREE * np.cos(np.deg2rad(30.0)))
    assert way[:, 0].mean() == pytest.approx(mean, rel=0.01)
    time_scale = 1.0 / (1.0 / 6.0 + u * 3.6 / length)
    expected = (0.4 * 3600.0) ** 2 * dispersion(18.0, time_scale)
    found = np.var(way[:, 1] * METRES_PER_DEGREE)
    assert found == pytest.approx(expected, rel=4.0 * np.sqrt(2.0 / 600))
    assert found < 0.6 * (0.4 * 3600.0) ** 2 * dispersion(18.0, 6.0)


def test_particles_of_a_member_feel_one_field():
    """Near ones go together, far ones apart; another member and another seed are other fields."""
    error = WindError(speed=2.0, hours=3.0, km=100.0, metres=500.0)
    one = wind_error_waves(error, 0, 1)
    assert np.array_equal(one, wind_error_waves(error, 0, 1))
    assert not np.array_equal(one, wind_error_waves(error, 0, 2))
    assert not np.array_equal(one, wind_error_waves(error, 1, 1))
    here, near, far = (
        np.array(wind_error_at(one, AXES, 1.6e9, x, 10.0, 300.0)) for x in (15.0, 15.001, 25.0)
    )
    np.testing.assert_allclose(near, here, atol=0.2)
    assert np.abs(far - here).max() > 0.2


def test_all_of_the_statistics_are_said():
    with pytest.raises(ConfigError, match="hours"):
        validate(WindError, {"speed": 2.0, "km": 100.0, "metres": 500.0})
    with pytest.raises(ConfigError, match="greater than 0"):
        validate(WindError, {"speed": 2.0, "hours": 0.0, "km": 100.0, "metres": 500.0})
