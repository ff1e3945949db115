"""The vertical wind that conserves mass: known answers, and whether even air stays even through prepared fields."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.met import open_met
from obsnet.met.continuity import conserve_mass
from obsnet.met.vertical import level_heights
from obsnet.sphere import METRES_PER_DEGREE
from tests.obsnet.met.worlds import era5

LAT, LON = np.arange(20.0, 31.0, 0.5), np.arange(100.0, 112.0, 0.5)
Z = level_heights(8000.0, 60)
SCALE = 9000.0


def air(density=None):
    wind = np.zeros((LAT.size, LON.size, Z.size, 4), np.float32)
    wind[..., 3] = 1.2 * np.exp(-Z / SCALE) if density is None else density
    return wind


def east_west(rate):
    """u that grows with the distance from 106 E: a divergence of `rate` (s-1) everywhere."""
    metres = METRES_PER_DEGREE * np.cos(np.deg2rad(LAT))[:, None] * (LON - 106.0)
    return rate * metres[..., None]


@pytest.mark.parametrize("rate", [1e-5, -2e-5])
def test_diverging_air_sinks_by_what_it_loses(rate):
    """Over a depth of density rho(z): w = -rate int rho / rho(z), here H (exp(z / H) - 1) of rate."""
    wind = air()
    wind[..., 0] = east_west(rate)
    wind[..., -1, 2] = -rate * SCALE * (np.exp(Z[-1] / SCALE) - 1.0)  # the file's own, at the top
    conserve_mass(wind, wind, wind, 7200.0, Z, LAT, LON)
    expected = -rate * SCALE * (np.exp(Z / SCALE) - 1.0)
    np.testing.assert_allclose(wind[5, 5, :, 2], expected, rtol=2e-3, atol=1e-9)
    assert wind[5, 5, 0, 2] == 0.0


def test_northward_air_on_converging_meridians_rises():
    """v = 10 m/s everywhere: meridians converge, d(v cos lat)/dy / cos lat = -v tan(lat) / R."""
    wind = air()
    wind[..., 1] = 10.0
    rate = -10.0 * np.tan(np.deg2rad(LAT)) * np.deg2rad(1.0) / METRES_PER_DEGREE
    expected = -rate[:, None] * SCALE * (np.exp(Z / SCALE) - 1.0)
    wind[..., -1, 2] = expected[:, None, -1]
    conserve_mass(wind, wind, wind, 7200.0, Z, LAT, LON)
    np.testing.assert_allclose(wind[2:-2, 5, 1:, 2], expected[2:-2, 1:], rtol=5e-3)


def test_air_that_grows_lighter_leaves_upwards():
    """No wind, density falls by a share a second: the column expands, w = share int rho / rho(z)."""
    share = 2e-6
    now, before, after = air(), air() * (1.0 + 3600.0 * share), air() * (1.0 - 3600.0 * share)
    expected = share * SCALE * (np.exp(Z / SCALE) - 1.0)
    now[..., -1, 2] = expected[-1]
    conserve_mass(now, before.astype(np.float32), after.astype(np.float32), 7200.0, Z, LAT, LON)
    np.testing.assert_allclose(now[5, 5, 1:, 2], expected[1:], rtol=5e-3)
    single = air()
    assert conserve_mass(single, single, single, 0.0, Z, LAT, LON).max() == 0.0


def test_what_the_divergence_gets_wrong_is_met_at_the_top_and_hardly_below():
    """The file's own w at the top; the correction grows as the square of height."""
    wind = air()
    wind[..., 0] = east_west(1e-6)
    plain = wind.copy()
    plain[..., -1, 2] = -1e-6 * SCALE * (np.exp(Z[-1] / SCALE) - 1.0)
    wind[..., -1, 2] = plain[..., -1, 2] + 0.05
    for fields in (wind, plain):
        conserve_mass(fields, fields, fields, 7200.0, Z, LAT, LON)
    added = (wind[5, 5, :, 2] - plain[5, 5, :, 2]) * wind[5, 5, :, 3] / wind[5, 5, -1, 3]
    np.testing.assert_allclose(added, 0.05 * (Z / Z[-1]) ** 2, atol=2e-5)


def test_the_size_of_the_change_is_what_is_reported(tmp_path):
    def diverging(name, values):
        return values + 2e-5 * 1e5 * (np.arange(values.shape[-1]) - 6.0) if name == "u" else values

    path = era5(tmp_path / "a.nc", change=diverging)
    kept, mended = open_met([path], vertical="file"), open_met([path])
    np.testing.assert_array_equal(kept.wind[..., :2], mended.wind[..., :2])
    assert not np.array_equal(kept.wind[..., 2], mended.wind[..., 2])
    rms = [
        1000 * np.sqrt(np.mean((np.array([np.interp(z, kept.height, d) for d in difference])) ** 2))
        for z in (1000.0,)
        for difference in [(kept.wind[..., 2] - mended.wind[..., 2]).reshape(-1, kept.height.size)]
    ]
    note = next(n for n in mended.meta["notes"] if "conservation of mass" in n)
    assert float(note.split(" mm/s at 1000 m")[0].split(", ")[-1]) == pytest.approx(rms[0], rel=0.05)
    assert not any("conservation" in n for n in kept.meta["notes"])


def test_omega_alone_knows_neither_slopes_nor_moving_surfaces(tmp_path):
    """``-omega / (rho g)`` at each level, 0 at the ground, whatever the ground and the pressure surfaces do."""

    def hilly(name, values):
        if name == "w":
            return values + 0.1
        if name == "z":  # pressure surfaces rise by 50 m an hour and 10 m a degree
            hours, east = np.arange(values.shape[0]), np.arange(values.shape[-1])
            return values + 9.80665 * (50.0 * hours[:, None, None, None] + 10.0 * east)
        return values

    path = era5(tmp_path / "a.nc", change=hilly)
    alone, own = (open_met([path], vertical=v) for v in ("omega", "file"))
    density = alone.state[..., 0] / (287.05 * alone.state[..., 1])
    high = alone.height > 1000.0
    np.testing.assert_allclose(alone.wind[..., high, 2], -0.1 / (9.80665 * density[..., high]), rtol=8e-2)
    assert (alone.wind[..., 0, 2] == 0.0).all()
    # The surfaces' own rise, 50 m an hour, and 10 m/s up a slope of 1e-4.
    rise = (own.wind[..., high, 2] - alone.wind[..., high, 2]).mean()
    assert rise > 0.01
    np.testing.assert_array_equal(own.wind[..., :2], alone.wind[..., :2])
