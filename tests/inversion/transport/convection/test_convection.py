"""Storms: a published sounding through the published subroutine, identities of what is moved, what is refused."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from inversion.transport.check.storms import storm_world, storms, unstable_sounding
from inversion.transport.convection.columns import check_storms
from inversion.transport.convection.emanuel import moving_air
from inversion.transport.convection.parcel import (
    CP_CONDENSED,
    R_VAPOUR,
    available_energy,
    latent_heat,
    lifted,
    saturation,
    virtual,
)
from inversion.transport.convection.redistribution import displaced, ledger, mass_matrix, stacked
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from obsnet.constants import CP_DRY_AIR, GRAVITY, R_DRY_AIR
from obsnet.errors import MissingVariableError
from obsnet.grid import Grid
from obsnet.met.vertical import level_heights
from tests.inversion.transport.worlds import bins, receptors, world

HEIGHT = level_heights(20000.0, 48)
GRID = Grid.regular(22, 38, 102, 128, 2, 2)


@lru_cache
def column(moisture, warmer=0.0):
    """Pressure, temperature, humidity, edges and air of the published sounding, `warmer` K at its top."""
    p, t, q = unstable_sounding(HEIGHT, moisture)
    t = t + warmer * HEIGHT / HEIGHT[-1]
    edges = np.concatenate([p[:1], np.sqrt(p[1:] * p[:-1]), p[-1:]])
    return p, t, q, edges, -np.diff(edges) / GRAVITY


def drafts(moisture, warmer=0.0):
    p, t, q, edges, mass = column(moisture, warmer)
    moved = np.zeros((48, 48))
    return moving_air(p, t, q, edges, mass, moved), moved, mass


# By moisture: cloud-base flux over alpha (kg m-2 s-1), and from which level on which shares of cloud air arrive, of
# Emanuel's subroutine convect 4.3c on the same profiles, called until its flux was steady, with damp = 0.3 and no
# evaporation of rain (as compiled in CliMT 0.31, where alpha is 0.1).
PUBLISHED = {
    0.01: (0.271, 17, [
        0.0098, 0.0096, 0, 0, 0, 0, 0, 0, 0, 0.0295, 0.0414, 0.0646, 0.0929, 0.1233, 0.1532, 0.1844,
        0.1708, 0.0274, 0.0274, 0.0279, 0.0270]),
    0.012: (0.2919, 15, [
        0.0055, 0.0055, 0, 0, 0, 0, 0, 0, 0, 0, 0.0167, 0.0188, 0.0271, 0.0409, 0.0584, 0.0742, 0.0895,
        0.1061, 0.1229, 0.1367, 0.1483, 0.1072, 0.0122, 0.0126, 0.0117]),
    0.013: (0.2863, 14, [
        0.0052, 0.0049, 0, 0, 0, 0, 0, 0, 0, 0, 0.0141, 0.0144, 0.0172, 0.0241, 0.0356, 0.0506, 0.0642,
        0.0815, 0.0947, 0.1082, 0.1218, 0.1349, 0.1903, 0.0081, 0.0081, 0.0103, 0.0059]),
}  # fmt: skip


@pytest.mark.parametrize("moisture", sorted(PUBLISHED))
def test_a_published_sounding_through_the_published_subroutine(moisture):
    """Weisman & Klemp's; the subroutine linearises saturation about the air around, which moves 2 % of what rises."""
    flux, first, arriving = PUBLISHED[moisture]
    (mine, _, base, _), moved, _ = drafts(moisture)
    assert base + 1 == first
    assert mine / 0.025 == pytest.approx(flux, rel=0.005)
    found = moved[:base].sum(axis=0)[first : first + len(arriving)] / mine
    assert 0.5 * np.abs(found - arriving).sum() < 0.035
    assert found.sum() == pytest.approx(1.0, abs=0.02)


def entropy(t, p, total):
    """Of saturated air with its water (Emanuel 1994, Atmospheric Convection, eq. 4.5.9), J kg-1 K-1."""
    q = saturation(p, t)
    r = q / (1.0 - q)
    vapour = p * r / (r + R_DRY_AIR / R_VAPOUR)
    heat = (CP_DRY_AIR + total * CP_CONDENSED) * np.log(t) - R_DRY_AIR * np.log(p - vapour)
    return heat + latent_heat(t) * r / t


def test_a_parcel_is_neutral_in_its_own_adiabat():
    """Air along a saturated parcel's constant entropy, in balance with its own weight: energy is conserved too."""
    p = np.linspace(95000.0, 30000.0, 800)
    total = saturation(p[0], 296.0) / (1.0 - saturation(p[0], 296.0))
    start, share = entropy(296.0, p[0], total), 1.0 / (1.0 + total)
    t = np.array([brentq(lambda x, at=at: entropy(x, at, total) - start, 180.0, 300.0) for at in p])
    vapour = np.array(
        [saturation(a, b) / (1.0 - saturation(a, b)) * share for a, b in zip(p, t, strict=True)]
    )
    density = np.array([virtual(*row, total * share) for row in zip(t, vapour, strict=True)])
    rise = R_DRY_AIR * 0.5 * (density[1:] + density[:-1]) * np.log(p[:-1] / p[1:])
    potential = np.concatenate([[0.0], np.cumsum(rise)])
    parcel, light, water = np.zeros(800), np.zeros(800), np.zeros(800)
    around = t + 3.0
    around[0] = 296.0
    lifted(0, 1, p, around, np.full(800, total * share), potential, parcel, light, water)
    warm = t > 273.15
    assert np.abs(parcel - t)[warm].max() < 0.15
    assert np.abs(parcel - t).max() < 1.0  # below freezing vapour is that over ice, latent heat that of water
    edges = np.concatenate([p[:1], np.sqrt(p[1:] * p[:-1]), p[-1:]])
    assert abs(available_energy(1, light, density, p, edges)[0]) < 60.0


def test_energy_of_a_known_sounding():
    """Weisman & Klemp's with 14 g/kg; a parcel that is everywhere 1 K lighter sets R ln(p0 / p1) J/kg free."""
    (_, energy, base, top), _, _ = drafts(0.014)
    assert 1900.0 < energy < 2300.0
    assert HEIGHT[base] < 1500.0
    assert 14000.0 < HEIGHT[top] < 16000.0
    p, _, _, edges, _ = column(0.014)
    found, reached, _ = available_energy(5, np.full(48, 251.0), np.full(48, 250.0), p, edges)
    assert found == pytest.approx(R_DRY_AIR * np.log(edges[5] / edges[46]), rel=1e-3)
    assert reached == 46


def test_nothing_unstable_moves_nothing():
    """Dry, or warm aloft: no flux; half as unstable, less."""
    for moisture, warmer in ((0.0005, 0.0), (0.014, 60.0)):
        (flux, _, _, _), moved, mass = drafts(moisture, warmer)
        assert flux == 0.0
        assert not moved.any()
        np.testing.assert_allclose(mass_matrix(mass, moved, 900.0), np.diag(mass), rtol=1e-14)
    strong, weak = drafts(0.014)[0], drafts(0.014, 8.0)[0]
    assert 0.0 < weak[0] < strong[0]
    assert 0.0 < weak[1] < strong[1]


@settings(max_examples=15, deadline=None)
@given(st.floats(0.006, 0.018), st.floats(-5.0, 10.0), st.floats(10.0, 2700.0))
def test_air_is_conserved_whatever_the_storm(moisture, warmer, dt):
    _, moved, mass = drafts(moisture, warmer)
    assert (moved >= 0.0).all()
    assert (dt * moved.sum(axis=1) <= 0.5 * mass).all()
    matrix = mass_matrix(mass, moved, dt)
    assert matrix.min() >= 0.0
    np.testing.assert_allclose(matrix.sum(axis=0), mass, rtol=1e-12)
    np.testing.assert_allclose(matrix.sum(axis=1), mass, rtol=1e-12)


def test_particles_follow_the_matrix_both_ways():
    """Where they go from a level, and where they came from, against its rows and columns."""
    _, moved, mass = drafts(0.014)
    dt, n = 2700.0, 48
    matrix, book = mass_matrix(mass, moved, dt), np.empty((3, n))
    before, after = np.empty(n + 1), np.empty(n + 1)
    ledger(mass, moved, book)
    stacked(book, dt, before, after)
    rng = np.random.default_rng(3)
    for sign, level in ((1.0, 6), (1.0, 33), (-1.0, 6), (-1.0, 36)):
        ends = np.zeros(n)
        for share, a, b in zip(
            rng.random(4000), *rng.integers(0, 2**32, (2, 4000), dtype=np.uint64), strict=True
        ):
            place = before[level] + share * mass[level]
            end = displaced(place, sign, dt, moved, book, (before, after), (a, b))
            ends[np.searchsorted(before, end, side="right") - 1] += 1
        wanted = (matrix[level] if sign > 0.0 else matrix[:, level]) / mass[level]
        error = np.sqrt(np.maximum(wanted * (1.0 - wanted), 1e-5) / 4000)
        assert (np.abs(ends / 4000 - wanted) < 5.0 * error).all()


def test_honesty_tests_of_storms():
    rows = list(storms(2000))
    assert all(row.passed for row in rows), rows
    assert rows[-1].detail.split()[0] != "0"


@pytest.mark.parametrize("turbulence", ["hanna", "mixed-layer"])
def test_calm_air_is_the_plain_run_bit_for_bit(turbulence):
    """The option is on, nothing is unstable."""
    met = storm_world(0.0005)
    place = receptors(z=500.0, at=40.0, count=20)
    object.__setattr__(met, "times", met.times - met.times[0] + world(hours=3).times[0])
    run = ParticleSettings(turbulence=turbulence, timestep=600.0, hours=12.0, particles=20)
    plain, calm = (
        simulate(met, place, GRID, bins(48), run.but(convection=name)) for name in ("none", "emanuel")
    )
    assert plain.sensitivity.equals(calm.sensitivity)
    assert plain.endpoints.equals(calm.endpoints)


def test_what_storms_need_is_named():
    met = storm_world()
    check_storms(met)
    low = world(top=8000.0)
    low.state[..., 2] = 0.01
    with pytest.raises(
        MissingVariableError, match="up to 150 hPa, and this meteorology ends at 8000 m, 373 hPa"
    ):
        check_storms(low)
    with pytest.raises(MissingVariableError, match="needs specific humidity"):
        simulate(world(), receptors(), GRID, bins(), ParticleSettings(convection="emanuel", hours=6.0))
    with pytest.raises(ValueError, match="too long for convection"):
        ParticleSettings(convection="emanuel", timestep=3600.0)
    assert any("convection: none" in note for note in ParticleSettings().notes)


def columns_of(met, warmer=0.0, moister=0.0):
    """All columns of a meteorology, warmed and moistened towards the ground, with what storms move in them."""
    low = np.clip(1.0 - met.height / 1500.0, 0.0, 1.0)
    for p, t, q in met.state.astype(float).reshape(-1, met.height.size, 3).transpose(0, 2, 1):
        edges = np.concatenate([p[:1], np.sqrt(p[1:] * p[:-1]), p[-1:]])
        mass, moved = -np.diff(edges) / GRAVITY, np.zeros((p.size, p.size))
        found = moving_air(p, t + warmer * low, q * (1.0 + moister * low), edges, mass, moved)
        yield *found, moved, mass


@pytest.fixture(scope="module")
def era5_hills(sample_data):
    """Real ERA5 up to 1 hPa: a spring night over southern Germany and the Alps, three hours."""
    from obsnet.met import open_met

    files = sorted((sample_data / "transport" / "mptrac_era5").glob("era5_*.nc"))
    return open_met(files, trim=True, top=18000.0)


@pytest.mark.parametrize(("warmer", "moister"), [(0.0, 0.0), (6.0, 0.2)])
def test_real_columns_keep_their_air(era5_hills, sample_data, warmer, moister):
    """As they are, and as a hot afternoon would have them: sums by row and column, and what goes up."""
    fluxes, energies = [], []
    for flux, energy, base, _, moved, mass in columns_of(era5_hills, warmer, moister):
        fluxes.append(flux)
        energies.append(energy)
        assert (flux > 0.0) == moved.any()
        if flux <= 0.0:
            continue
        assert (moved >= 0.0).all()
        assert (2700.0 * moved.sum(axis=1) <= 0.5 * mass).all()
        matrix = mass_matrix(mass, moved, 2700.0)
        assert matrix.min() >= 0.0
        np.testing.assert_allclose(matrix.sum(axis=0), mass, rtol=1e-12)
        np.testing.assert_allclose(matrix.sum(axis=1), mass, rtol=1e-12)
        # An even tracer stays even, and any tracer keeps its mass.
        tracer = np.linspace(3.0, 1.0, mass.size) ** 2
        np.testing.assert_allclose(np.sum(matrix.T @ tracer), np.sum(mass * tracer), rtol=1e-12)
        # What rises from below the cloud base is the flux.
        assert moved[:base, base:].sum() == pytest.approx(flux, rel=0.02)
    fluxes, energies = np.array(fluxes), np.array(energies)
    if warmer:
        # Cloud-base fluxes of storms are hundredths of a kg m-2 s-1 (0.27 alpha in the published soundings: 0.007).
        assert (fluxes > 0.0).mean() > 0.9
        assert 0.005 < np.median(fluxes) < 0.05
        assert fluxes.max() < 0.1
        assert 1000.0 < energies.max() < 3500.0
    else:
        assert (fluxes > 0.0).mean() < 0.05
        files = (sample_data / "transport" / "mptrac_era5").glob("era5_*.nc")
        theirs = max(float(xr.load_dataset(file, engine="netcdf4")["cape"].max()) for file in files)
        assert energies.max() == pytest.approx(theirs, rel=0.5)  # ERA5's own, of its parcels and its levels
