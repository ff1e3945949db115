"""Errors of the boundary-layer height: the correlation that was asked for, a closed form, none where there is none."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from inversion.transport.particles.mixing_height_error import height_factor, mixing_height_waves
from inversion.transport.particles.settings import MixingHeightError, ParticleSettings
from inversion.transport.particles.simulate import simulate
from inversion.transport.run.options import MixingHeightErrorOptions
from inversion.transport.run.transport_error import together, transport_error
from obsnet.constants import MOLAR_MASS_DRY_AIR
from obsnet.grid import Grid
from obsnet.sphere import METRES_PER_DEGREE
from tests.inversion.transport.particles.test_wind_error import AXES, GRID
from tests.inversion.transport.worlds import bins, receptors, world

WIDE = Grid.regular(22, 38, 102, 128, 1, 1)


def test_correlation_is_the_one_asked_for():
    """Means over 4000 members of products of ln(factor) at two places."""
    error = MixingHeightError(relative=0.4, hours=3.0, km=100.0)
    waves = [mixing_height_waves(error, 0, m) for m in range(4000)]
    here, noise = (1.6e9, 15.0, 10.0), 4.0 * 0.16 / np.sqrt(4000)
    first = np.log([height_factor(w, AXES, *here) for w in waves])
    assert np.median(first) == pytest.approx(0.0, abs=0.03)
    for apart, expected in (
        ((0.0, 0.0, 0.0), 1.0),
        ((3 * 3600.0, 0.0, 0.0), np.exp(-1.0)),
        ((3600.0, 0.0, 0.9), np.exp(-1 / 3 - 0.9 * METRES_PER_DEGREE / 1e5)),
    ):
        second = np.log([height_factor(w, AXES, *np.add(here, apart)) for w in waves])
        assert np.mean(first * second) == pytest.approx(0.16 * expected, abs=1.5 * noise)


@pytest.mark.parametrize("turbulence", ["mixed-layer", "hanna"])
def test_no_error_is_the_plain_run_bit_for_bit(turbulence):
    met, place = world(heat=60.0, hours=48), receptors(2, at=40.0, z=20.0, count=20)
    run = ParticleSettings(turbulence=turbulence, hours=12.0, particles=20)
    still, other = (
        mixing_height_waves(MixingHeightError(relative=s, hours=3.0, km=100.0), 0, 1) for s in (0.0, 0.4)
    )
    plain = simulate(met, place, GRID, bins(48), run)
    same, moved = (simulate(met, place, GRID, bins(48), run, heights=w) for w in (still, other))
    for table in ("sensitivity", "background", "receptors", "endpoints"):
        assert getattr(same, table).equals(getattr(plain, table)), table
    assert not moved.sensitivity.equals(plain.sensitivity)


def test_a_layer_that_is_off_everywhere_has_a_closed_form():
    """A stirred layer of h e^x feels 1 / (h e^x): variance (e^(s^2) - 1) e^(s^2) of the square at x = 0."""
    s, hours, depth = 0.25, 10.0, 1000.0
    error = MixingHeightErrorOptions(relative=s, hours=1e6, km=1e7, flux="x", members=400, particles=2)
    run = ParticleSettings(turbulence="mixed-layer", hours=hours)
    found = transport_error(
        world(u=0.0, v=0.0, h=depth, hours=48), receptors(at=40.0, z=20.0, count=1), WIDE, bins(48), run, error,
        np.full((8, WIDE.size), 3.0),
    )  # fmt: skip
    mass = 1.2 * 9500.0 * (1.0 - np.exp(-depth / 9500.0))
    plain = 3.0 * MOLAR_MASS_DRY_AIR * hours * 3600.0 / mass
    expected = plain**2 * (np.exp(s * s) - 1.0) * np.exp(s * s)
    value, sigma = (found[n][0].as_py() for n in ("transport_variance", "transport_variance_stderr"))
    assert value == pytest.approx(expected, abs=4.0 * sigma)
    assert sigma < 0.1 * expected


def test_errors_that_do_not_know_of_each_other_add():
    shared = {"obs_id": ["a", "b"], "transport_variance_stderr": [0.3, 0.4]}
    one, two = (
        pa.table({**shared, "transport_variance": values, "members": [members] * 2})
        for values, members in (([1.0, 2.0], 50), ([0.5, -0.1], 20))
    )
    assert together({"wind": one}) is one
    both = together({"wind": one, "mixing height": two}).to_pydict()
    assert both["transport_variance"] == [1.5, 1.9]
    assert both["transport_variance_stderr"] == pytest.approx([0.3 * 2**0.5, 0.4 * 2**0.5])
    assert both["members"] == [20, 20]
    assert both["wind_variance"] == [1.0, 2.0]
    assert both["mixing_height_variance"] == [0.5, -0.1]
