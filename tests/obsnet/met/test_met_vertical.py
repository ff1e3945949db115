"""Heights, vertical velocity and profiles against what is known of simple atmospheres."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.constants import CP_DRY_AIR, GRAVITY, R_DRY_AIR, VON_KARMAN
from obsnet.met.boundary_layer import log_law_ustar, richardson_height, surface_layer, ustar_of_stress
from obsnet.met.vertical import air_velocity, heights_from_pressure, level_heights, to_terrain_following
from obsnet.sphere import METRES_PER_DEGREE

LAT, LON = np.linspace(20, 30, 11), np.linspace(100, 112, 13)
SHAPE = (12, LAT.size, LON.size)


def test_levels_are_dense_near_the_ground():
    z = level_heights(16000.0, 41)
    assert z[0] == 0.0
    assert z[-1] == 16000.0
    assert np.all(np.diff(z, 2) > 0)
    k = np.sqrt(5000.0 / 16000.0) * 40
    assert np.searchsorted(z, 5000.0, side="right") - 1 == int(k)


@pytest.mark.parametrize("ground", [0.0, 1500.0, -200.0])
def test_hypsometric_heights_of_an_isothermal_atmosphere(ground):
    """z = R T / g ln(ps / p), from any ground; levels below ground lie below it."""
    scale = R_DRY_AIR * 280.0 / GRAVITY
    p = np.linspace(100000, 10000, SHAPE[0])[:, None, None] + np.zeros(SHAPE)
    sp = np.full(SHAPE[1:], 101325.0 * np.exp(-ground / scale))
    t, q = np.full(SHAPE, 280.0), np.zeros(SHAPE)
    z = heights_from_pressure(*(a.astype(np.float32) for a in (p, t, q, sp, np.full(SHAPE[1:], ground))))
    np.testing.assert_allclose(z, scale * np.log(101325.0 / p), atol=0.7)


def test_moist_air_is_thicker():
    p = np.linspace(100000, 10000, SHAPE[0])[:, None, None] + np.zeros(SHAPE)
    sp, t = np.full(SHAPE[1:], 101325.0), np.full(SHAPE, 280.0)
    dry, moist = (
        heights_from_pressure(*(a.astype(np.float32) for a in (p, t, np.full(SHAPE, q), sp, 0 * sp)))
        for q in (0.0, 0.01)
    )
    np.testing.assert_allclose(moist / dry, 1.00608, rtol=1e-4)


def fields(**values):
    return {
        k: np.full(SHAPE, v, np.float32) if np.isscalar(v) else v.astype(np.float32)
        for k, v in values.items()
    }


def test_level_pressure_surfaces_give_minus_omega_over_rho_g():
    f = fields(omega=-2.0, u=10.0, v=5.0, density=1.1, height=1000.0)
    w = air_velocity(**f, height_rate=0.0 * f["u"], pressure_rate=0.0, pressure=f["u"], lat=LAT, lon=LON)
    np.testing.assert_allclose(w, 2.0 / (1.1 * GRAVITY), rtol=1e-5)


def test_wind_along_sloping_pressure_surfaces_rises():
    """With omega 0 air stays on its pressure surface and climbs with it."""
    metres = METRES_PER_DEGREE
    height = 1000.0 + 0.01 * metres * (LAT[:, None] - 20.0) + 0.0 * LON + np.zeros(SHAPE)
    f = fields(omega=0.0, u=10.0, v=5.0, density=1.1, height=height)
    rate = np.full(SHAPE, 0.02, np.float32)
    w = air_velocity(**f, height_rate=rate, pressure_rate=0.0, pressure=f["u"], lat=LAT, lon=LON)
    np.testing.assert_allclose(w, 0.02 + 5.0 * 0.01, rtol=1e-4)


def test_terrain_following_levels_in_still_stratified_air_give_no_motion():
    """Over a slope p and z both change along a level; hydrostatic balance cancels them for air moving level."""
    scale = R_DRY_AIR * 280.0 / GRAVITY
    metres = METRES_PER_DEGREE
    height = 500.0 + 0.001 * metres * (LAT[:, None] - 20.0) + 0.0 * LON + np.zeros(SHAPE)
    p = 101325.0 * np.exp(-height / scale)
    f = fields(u=10.0, v=5.0, density=p / (R_DRY_AIR * 280.0), height=height)
    # Air that moves level has omega 0, whatever the levels do.
    w = air_velocity(
        omega=0.0 * f["u"],
        **f,
        height_rate=0.0 * f["u"],
        pressure_rate=0.0 * f["u"],
        pressure=p.astype(np.float32),
        lat=LAT,
        lon=LON,
    )
    inner = w[:, 1:-1]
    np.testing.assert_allclose(inner, 0.0, atol=2e-3)
    assert 5.0 * 0.001 > 2e-3  # the terms that cancel are larger than the tolerance


def columns(*, u, z, has_10m=True, u10=3.0, terrain=0.0, w=0.0, roughness=0.1, slope=0.0, nz=30, top=8000.0):
    """One column through to_terrain_following; returns heights, wind, state."""
    n = len(z)
    scale = R_DRY_AIR * 280.0 / GRAVITY
    p = 101325.0 * np.exp(-np.asarray(z) / scale)
    sp = 101325.0 * np.exp(-terrain / scale)

    def three(values):
        return np.broadcast_to(np.asarray(values, float), (n,))[:, None, None].astype(np.float32)

    def two(value):
        return np.full((1, 1), value, np.float32)

    levels = level_heights(top, nz)
    wind, state = np.zeros((1, 1, nz, 4), np.float32), np.zeros((1, 1, nz, 3), np.float32)
    upper = np.stack([three(v) for v in (p, z, u, 0.0, w, 280.0, 0.0)])
    lower = np.stack([two(v) for v in (sp, terrain, slope, 0.0, 280.0, u10, 0.0, roughness)])
    to_terrain_following(levels, upper, lower, has_10m, wind, state)
    return levels, wind[0, 0], state[0, 0]


def test_wind_is_logarithmic_below_and_linear_above_the_lowest_level():
    z = np.array([100.0, 500.0, 1000.0, 4000.0, 9000.0])
    levels, wind, _ = columns(u=[8.0, 12.0, 14.0, 20.0, 30.0], z=z, has_10m=False)
    below = (levels > 0) & (levels < 100)
    expected = 8.0 * np.log((levels[below] + 0.1) / 0.1) / np.log(100.1 / 0.1)
    np.testing.assert_allclose(wind[below, 0], expected, rtol=1e-5)
    above = levels > 100
    np.testing.assert_allclose(wind[above, 0], np.interp(levels[above], z, [8, 12, 14, 20, 30]), rtol=1e-5)


def test_ten_metre_wind_shapes_the_lowest_layer():
    levels, wind, _ = columns(u=[9.0, 12.0, 20.0, 30.0], z=[200.0, 1000.0, 4000.0, 9000.0], u10=3.0)
    at_ten = np.interp(10.0, levels, wind[:, 0])
    assert at_ten == pytest.approx(3.0, rel=0.05)
    middle = (levels > 10) & (levels < 200)
    g = np.log((levels[middle] + 0.1) / 10.1) / np.log(200.1 / 10.1)
    np.testing.assert_allclose(wind[middle, 0], 3.0 + g * 6.0, rtol=1e-4)


def test_the_lowest_layer_keeps_the_mean_of_the_logarithmic_profile():
    levels, wind, _ = columns(u=[8.0, 12.0, 20.0, 30.0], z=[100.0, 1000.0, 4000.0, 9000.0], has_10m=False)
    z = np.linspace(0, levels[1], 20001)
    exact = np.mean(8.0 * np.log((z + 0.1) / 0.1) / np.log(100.1 / 0.1))
    assert 0.5 * (wind[0, 0] + wind[1, 0]) == pytest.approx(exact, rel=2e-3)


def test_levels_below_ground_are_not_used():
    levels, wind, state = columns(
        u=[99.0, 99.0, 10.0, 10.0, 10.0],
        z=[100.0, 900.0, 2000.0, 5000.0, 9000.0],
        terrain=1500.0,
        u10=4.0,
        top=7000.0,
    )
    assert wind[:, 0].max() < 11.0
    scale = R_DRY_AIR * 280.0 / GRAVITY
    np.testing.assert_allclose(state[:, 0], 101325.0 * np.exp(-(levels + 1500.0) / scale), rtol=2e-4)


def test_air_blowing_up_a_slope_does_not_sink_into_it():
    """w relative to the ground is dz/dt - u . grad(terrain), and 0 at the ground."""
    _, wind, _ = columns(u=10.0, z=[100.0, 1000.0, 4000.0, 9000.0], w=0.05, slope=0.005)
    assert wind[0, 2] == 0.0
    np.testing.assert_allclose(wind[5:, 2], 0.0, atol=1e-6)


def test_density_is_that_of_dry_air():
    levels, wind, state = columns(u=10.0, z=[100.0, 1000.0, 4000.0, 9000.0])
    np.testing.assert_allclose(wind[:, 3], state[:, 0] / (R_DRY_AIR * state[:, 1]), rtol=1e-5)
    assert levels.size == wind.shape[0]


def test_surface_scales():
    levels = level_heights(8000.0, 40)
    wind = np.zeros((1, 1, 40, 4), np.float32)
    wind[..., 3] = 1.2 * np.exp(-levels / 9000.0)
    state = np.full((1, 1, 40, 3), 290.0, np.float32)
    out = np.zeros((1, 1, 6), np.float32)

    def two(value):
        return np.full((1, 1), value, np.float32)

    surface_layer(levels, wind, state, two(1200.0), two(0.4), two(200.0), out)
    h, mass, ustar, inverse, wstar, density = out[0, 0]
    assert (h, ustar, density) == pytest.approx((1200.0, 0.4, 1.2))
    assert mass == pytest.approx(1.2 * 9000.0 * (1 - np.exp(-1200.0 / 9000.0)), rel=1e-3)
    flux = 200.0 / (1.2 * CP_DRY_AIR)
    assert 1.0 / inverse == pytest.approx(-(0.4**3) * 290.0 / (VON_KARMAN * GRAVITY * flux), rel=1e-5)
    assert wstar == pytest.approx((GRAVITY * flux * 1200.0 / 290.0) ** (1 / 3), rel=1e-5)
    surface_layer(levels, wind, state, two(1200.0), two(0.4), two(-30.0), out)
    assert out[0, 0, 3] > 0  # stable
    assert out[0, 0, 4] == 0.0


def test_friction_velocity():
    one = np.ones((1, 1), np.float32)
    stress = ustar_of_stress(0.3 * one, 0.4 * one, 101325.0 * one, 288.15 * one)
    assert stress[0, 0] == pytest.approx(np.sqrt(0.5 / 1.225), rel=1e-3)
    assert log_law_ustar(5.0 * one, 10.0, 0.1 * one)[0, 0] == pytest.approx(0.4 * 5 / np.log(10.1 / 0.1))


@pytest.mark.parametrize(("depth", "shear"), [(600.0, 0.0), (1500.0, 0.0), (1000.0, 5.0)])
def test_richardson_height_finds_the_inversion(depth, shear):
    """A mixed layer under an inversion of 5 K in 200 m: the height lies within the inversion."""
    levels = level_heights(8000.0, 60)
    theta = np.where(
        levels < depth,
        300.0,
        300.0 + np.minimum((levels - depth) / 200.0 * 5.0, 5.0) + 0.004 * (levels - depth),
    )
    pressure = 101325.0 * np.exp(-levels / 8500.0)
    wind = np.zeros((1, 1, 60, 4), np.float32)
    wind[..., 0], wind[..., 3] = 5.0 + shear * levels / 1000.0, 1.2
    state = np.zeros((1, 1, 60, 3), np.float32)
    state[..., 0] = pressure
    state[..., 1] = theta * (pressure / pressure[0]) ** (R_DRY_AIR / CP_DRY_AIR)
    found = richardson_height(
        levels, wind, state, np.full((1, 1), 0.3, np.float32), np.full((1, 1), 0.0, np.float32)
    )
    assert depth - 60.0 < found[0, 0] < depth + 260.0


def test_richardson_height_of_a_stable_night_is_low_and_of_heated_air_higher():
    levels = level_heights(8000.0, 60)
    pressure = 101325.0 * np.exp(-levels / 8500.0)
    wind = np.zeros((1, 1, 60, 4), np.float32)
    wind[..., 0], wind[..., 3] = 3.0, 1.2
    state = np.zeros((1, 1, 60, 3), np.float32)
    state[..., 0] = pressure
    state[..., 1] = (290.0 + 0.01 * levels) * (pressure / pressure[0]) ** (R_DRY_AIR / CP_DRY_AIR)
    ustar, heat = np.full((1, 1), 0.1, np.float32), np.full((1, 1), 300.0, np.float32)
    night = richardson_height(levels, wind, state, ustar, 0 * heat)[0, 0]
    day = richardson_height(levels, wind, state, ustar, heat)[0, 0]
    assert 20.0 <= night < 150.0
    assert day > 1.5 * night
