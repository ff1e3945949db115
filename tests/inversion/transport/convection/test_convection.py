"""Storms: a published sounding through the published subroutine, identities of what is moved, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inversion.transport.check.storms import storm_world, storms, unstable_sounding
from inversion.transport.convection.columns import check_storms
from inversion.transport.convection.emanuel import moving_air
from inversion.transport.convection.parcel import (
    available_energy,
    cloud_base_pressure,
    geopotential,
    latent_heat,
    lifted,
    saturation,
    virtual,
)
from inversion.transport.convection.redistribution import displaced, ledger, mass_matrix, stacked
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from obsnet.constants import GRAVITY
from obsnet.errors import MissingVariableError
from obsnet.grid import Grid
from obsnet.met.vertical import level_heights
from tests.inversion.transport.worlds import bins, receptors, world

HEIGHT = level_heights(20000.0, 48)
GRID = Grid.regular(22, 38, 102, 128, 2, 2)


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


# Share of cloud air that arrives at each level from the second above the cloud base on, and the cloud-base flux per
# alpha in kg m-2 s-1: Emanuel's subroutine convect, version 4.3c, for the same profiles at rest (0.1 alpha dT / damp),
# without evaporation of rain, as CliMT 0.31 compiles it (doi:10.5194/gmd-11-3781-2018).
PUBLISHED = @@PUBLISHED@@


@pytest.mark.parametrize("moisture", sorted(PUBLISHED))
def test_a_published_sounding_through_the_published_subroutine(moisture):
    """Weisman & Klemp (1982). The subroutine linearises saturation about the air around, which moves 2 % of what rises."""
    flux, first, arriving = PUBLISHED[moisture]
    (mine, _, base, _), moved, _ = drafts(moisture)
    assert base + 1 == first
    assert mine / 0.025 == pytest.approx(flux, rel=0.005)
    found = moved[:base].sum(axis=0)[first : first + len(arriving)] / mine
    assert 0.5 * np.abs(found - arriving).sum() < 0.035
    assert found.sum() == pytest.approx(1.0, abs=0.02)


def test_energy_of_a_known_sounding():
    """A parcel that keeps its moist entropy with its water (Emanuel 1994, eq. 4.5.9), in steps of 10 Pa."""
    p, t, q, edges, _ = column(0.014)
    k, n = 3, 48
    parcel, light, water = np.zeros(n), np.zeros(n), np.zeros(n)
    condensing = cloud_base_pressure(p[k], t[k], q[k])
    base = int(np.argmax(p < condensing))
    lifted(k, base, p, t, q, geopotential(p, t, q), parcel, light, water)
    r = q[k] / (1.0 - q[k])
    temperature, pressure = t[k], p[k]
    expected = np.full(n, np.nan)
    fine = np.arange(p[k], 20000.0, -10.0)
    for at in fine[1:]:
        wet = saturation(pressure, temperature)
        mixed = min(wet / (1.0 - wet), r)
        heat, volume = 1004.7 + 2500.0 * r - 630.0 * mixed, (287.06 + 461.5 * mixed) * temperature / (
            pressure / (1.0 + 0.0 * r)
        )
        gain = volume * (at - pressure)
        if mixed < r:
            latent = latent_heat(temperature)
            # ds = 0 with saturated vapour: d(r_s)/dT from Clausius-Clapeyron.
            slope = latent * mixed / (461.5 * temperature**2) * (1.0 + mixed * 461.5 / 287.06)
            by_pressure = -mixed * (1.0 + mixed * 461.5 / 287.06) / pressure
            temperature += (gain - latent * by_pressure * (at - pressure)) / (heat + latent * slope)
        else:
            temperature += gain / heat
        inside = (p <= pressure) & (p > at)
        expected[inside] = temperature
        pressure = at
    known = np.isfinite(expected) & (p > 25000.0)
    assert np.abs(parcel - expected)[known].max() < 0.35
    air = np.array([virtual(*row) for row in zip(t, q, q, strict=True)])
    energy, reached, _ = available_energy(base, light, air, p, edges)
    dry = virtual(1.0, 0.0, 0.0)
    assert dry == 1.0
    assert 1900.0 < energy < 2300.0
    assert 12000.0 < HEIGHT[reached] < 16000.0


def test_nothing_unstable_moves_nothing():
    """Dry, or warm aloft: no flux; half as unstable, less."""
    for moisture, warmer in ((0.0005, 0.0), (0.014, 60.0)):
        (flux, _, _, _), moved, mass = drafts(moisture, warmer)
        assert flux == 0.0
        assert not moved.any()
        np.testing.assert_array_equal(mass_matrix(mass, moved, 900.0), np.diag(mass))
    strong, weak = drafts(0.014)[0], drafts(0.014, 8.0)[0]
    assert 0.0 < weak[0] < strong[0]
    assert 0.0 < weak[1] < strong[1]


@settings(max_examples=40, deadline=None)
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
        for share, a, b in zip(rng.random(20000), *rng.integers(0, 2**32, (2, 20000), dtype=np.uint64), strict=True):
            place = before[level] + share * mass[level]
            end = displaced(place, sign, dt, moved, book, (before, after), (a, b))
            ends[np.searchsorted(before, end, side="right") - 1] += 1
        wanted = (matrix[level] if sign > 0.0 else matrix[:, level]) / mass[level]
        error = np.sqrt(np.maximum(wanted * (1.0 - wanted), 1e-5) / 20000)
        assert (np.abs(ends / 20000 - wanted) < 5.0 * error).all()


def test_honesty_tests_of_storms():
    rows = list(storms(3000))
    assert all(row.passed for row in rows), rows
    assert rows[-1].detail.split()[0] != "0"


@pytest.mark.parametrize("turbulence", ["hanna", "mixed-layer"])
def test_calm_air_is_the_plain_run_bit_for_bit(turbulence):
    """The option is on, nothing is unstable."""
    met = storm_world(0.0005)
    place, when = receptors(z=500.0, at=40.0, count=20), {"hours": 12.0, "particles": 20}
    object.__setattr__(met, "times", met.times - met.times[0] + world(hours=3).times[0])
    plain, calm = (
        simulate(met, place, GRID, bins(48), ParticleSettings(turbulence=turbulence, convection=c, **when, timestep=600.0))
        for c in ("none", "emanuel")
    )
    assert plain.sensitivity.equals(calm.sensitivity)
    assert plain.endpoints.equals(calm.endpoints)


def test_what_storms_need_is_named():
    met = storm_world()
    check_storms(met)
    low = world(top=8000.0)
    low.state[..., 2] = 0.01
    with pytest.raises(MissingVariableError, match="up to 150 hPa, and this meteorology ends at 8000 m, 373 hPa"):
        check_storms(low)
    with pytest.raises(MissingVariableError, match="needs specific humidity"):
        simulate(world(), receptors(), GRID, bins(), ParticleSettings(convection="emanuel"))
    with pytest.raises(ValueError, match="too long for convection"):
        ParticleSettings(convection="emanuel", timestep=3600.0)
    assert any("convection: none" in note for note in ParticleSettings().notes)
