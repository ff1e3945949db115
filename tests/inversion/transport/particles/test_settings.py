"""Every option of particles changes a number or is refused, whatever the turbulence and the direction."""

from __future__ import annotations

import numpy as np
import pytest

from inversion.transport.check.storms import unstable_sounding
from inversion.transport.evaluation.options import EvaluateOptions
from inversion.transport.particles.settings import TURBULENCE, ParticleSettings
from inversion.transport.particles.simulate import simulate
from inversion.transport.run.options import FootprintOptions, ForwardOptions
from obsnet.config import validate
from obsnet.errors import ConfigError
from obsnet.grid import Grid
from tests.inversion.transport.worlds import bins, receptors, world

GRID = Grid.regular(22, 38, 102, 128, 1, 1)
# Another value of each option than what suits any turbulence.
OTHER = {
    "hours": 9.0, "particles": 31, "timestep": 90.0, "seed": 5, "floor": 1300.0, "ctl": 7.0, "veght": 0.25,
    "layer": 60.0, "near_field": ("none", "taylor", "stilt"), "least_tl": 9.0, "horizontal_tl": 7200.0,
    "diffusivity": 500.0, "smooth": 1.0, "half_life": 5.0, "paths": 60.0, "convection": "emanuel",
}  # fmt: skip
NAMES = set(ParticleSettings.model_fields) - {"turbulence", "direction"}


def found(settings):
    met = world(heat=60.0, hours=48, top=20000.0, nz=48)
    met.state[...] = np.stack(unstable_sounding(met.height), axis=-1)
    count = int(settings.particles or 0)
    place = receptors(at=24.0, z=20.0, count=count)
    place.releases[:, 1] += 1800.0  # over half an hour: particles of the mean wind draw their times
    tables = simulate(met, place, GRID, bins(48), settings)
    return [getattr(tables, name).to_pydict() for name in ("sensitivity", "receptors", "endpoints", "paths")]


def test_every_option_is_tried():
    assert set(OTHER) == NAMES


@pytest.mark.parametrize("direction", [-1, 1])
@pytest.mark.parametrize("turbulence", TURBULENCE)
def test_every_option_acts_or_is_refused(turbulence, direction):
    common = {"turbulence": turbulence, "direction": direction, "hours": 6.0, "particles": 20}
    if turbulence == "mixed-layer" and direction == 1:
        with pytest.raises(ConfigError, match="direction = 1 does nothing"):
            validate(ParticleSettings, common)
        return
    plain = validate(ParticleSettings, common)
    before = found(plain)
    for name, others in OTHER.items():
        for value in others if isinstance(others, tuple) else (others,):
            if value == getattr(plain, name):
                continue
            try:
                changed = validate(ParticleSettings, {**common, name: value})
            except ConfigError as error:
                assert f"{name} = {value} does nothing" in str(error)  # noqa: PT017
                continue
            assert found(changed) != before, f"{name} = {value} does nothing with {turbulence}, and is taken"


def test_a_layer_and_a_share_of_the_boundary_layer_exclude_each_other():
    with pytest.raises(
        ConfigError, match="veght = 0.2 does nothing where time is counted below layer = 50 m"
    ):
        validate(ParticleSettings, {"turbulence": "hanna", "veght": 0.2, "layer": 50.0})
    with pytest.raises(ConfigError, match="near_field = taylor does nothing forward in time"):
        validate(ParticleSettings, {"turbulence": "hanna", "near_field": "taylor", "direction": 1})


FORWARD = {"met": ["x"], "sources": "s", "species": "CO2", "grid": GRID}
EVALUATE = {"met": ["x"], "samples": "s", "releases": "r", "grid": GRID}
FOOTPRINTS = {"met": ["x"], "species": "CO2", "grid": GRID, "turbulence": "hanna"}


@pytest.mark.parametrize(
    ("model", "given", "settings"),
    [
        (ForwardOptions, FORWARD, lambda o: o.settings),
        (EvaluateOptions, EVALUATE, lambda o: o.settings(-1, o.hours)),
        (FootprintOptions, FOOTPRINTS, lambda o: o.settings(0)),
    ],
)
def test_what_a_command_takes_reaches_the_particles(model, given, settings):
    """An option of a command is refused, or is in the settings that particles are run with."""
    for name, others in OTHER.items():
        for value in others if isinstance(others, tuple) else (others,):
            try:
                options = validate(model, {**given, name: value})
            except ConfigError:
                continue
            assert getattr(settings(options), name) == value, name


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        (ForwardOptions, {**FORWARD, "near_field": "taylor"}, "near_field = taylor does nothing forward"),
        (ForwardOptions, {**FORWARD, "veght": 0.2}, "veght = 0.2 does nothing"),
        (EvaluateOptions, {**EVALUATE, "near_field": "taylor"}, "near_field"),
        (EvaluateOptions, {**EVALUATE, "veght": 0.2}, "veght = 0.2 does nothing"),
        (EvaluateOptions, {**EVALUATE, "ways": ["forward"], "particles": 5}, "particles does nothing without"),
        (EvaluateOptions, {**EVALUATE, "ways": ["backward"], "released": 5}, "released does nothing without"),
        (FootprintOptions, {**FOOTPRINTS, "receptors": "r.csv", "start": "2020-01-01"}, "start: of an observation"),
        (FootprintOptions, {**FOOTPRINTS, "receptors": "r.csv", "height": "sea"}, "height: of an observation"),
        (FootprintOptions, {**FOOTPRINTS, "background_uncertainty": 1.0}, "does nothing without background"),
    ],
)  # fmt: skip
def test_what_would_do_nothing_is_refused(model, given, said):
    with pytest.raises(ConfigError, match=said):
        validate(model, given)


def test_the_same_settings_give_the_same_numbers():
    """What the other tests rest on."""
    run = ParticleSettings(turbulence="hanna", hours=6.0, particles=20)
    first, again = found(run), found(run)
    assert first == again
    assert np.isfinite(first[1]["total"][0])
