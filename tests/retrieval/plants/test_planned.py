"""What a planned plant shows: the plume's own formula, mass, and what is said below the error."""

import numpy as np
import pytest

from obsnet.errors import ConfigError
from obsnet.work.work import Work
from retrieval.plants.options import PlannedTable
from retrieval.plants.planned import expected_plume, visibility, visibility_rows
from retrieval.plume.images.amounts import mass_per_unit
from retrieval.plume.rates.transect import Track, transect_rate
from retrieval.plume.sources import PointSource
from retrieval.plume.twin import eddy_diffusion
from retrieval.plume.winds import PlumeWind


def options(**more):
    about = {"name": "new", "latitude": 38.0, "longitude": 110.0, "winds": (5.0,), "draws": 0}
    return PlannedTable(
        **(
            about
            | ({"rate": 300.0} if "mt_per_year" not in more and "capacity_mw" not in more else {})
            | more
        )
    )


@pytest.mark.parametrize(
    ("wind", "pixel", "pressure"), [(3.0, 2.0, 1013.25), (9.0, 1.0, 850.0), (5.0, 4.0, 900.0)]
)
def test_every_cross_section_carries_the_rate(wind, pixel, pressure):
    along, across, increment = expected_plume(
        400.0, wind, pixel_km=pixel, length_km=60.0, surface_pressure=pressure
    )
    line = increment.sum(axis=0) * float(mass_per_unit(pressure * 100, "CO2")) * pixel * 1e3
    np.testing.assert_allclose(line * wind, 400.0, rtol=2e-6)
    assert increment.shape == (across.size, along.size)


def test_small_pixels_are_the_gaussian_itself():
    along, across, increment = expected_plume(
        400.0, 5.0, pixel_km=0.05, length_km=20.0, surface_pressure=1000.0
    )
    column = -1
    x = along[column] * 1e3
    sd = np.sqrt(2 * eddy_diffusion(5.0) * x / 5.0)
    expected = 400.0 / (np.sqrt(2 * np.pi) * sd * 5.0) * np.exp(-0.5 * (across * 1e3 / sd) ** 2)
    np.testing.assert_allclose(
        increment[:, column] * float(mass_per_unit(1e5, "CO2")),
        expected,
        rtol=2e-3,
        atol=1e-3 * expected.max(),
    )


def test_a_track_across_it_is_told_its_rate_by_the_plume_method():
    """The inverse of the forward model: `transect` on soundings of the plume gives the rate back."""
    _, across, increment = expected_plume(500.0, 5.0, pixel_km=1.0, length_km=21.0, surface_pressure=1000.0)
    y = np.arange(-40, 41.0)
    value = 410.0 + np.interp(y, across, increment[:, -1], left=0.0, right=0.0)
    source = PointSource("s", 38.0, 110.0)
    latitude = 38.0 + y / 111.195
    longitude = np.full(y.size, 110.0 + 20.5 / (111.195 * np.cos(np.deg2rad(38.0))))
    mass = np.full(y.size, float(mass_per_unit(1e5, "CO2")))
    track = Track(latitude, longitude, value, np.full(y.size, 0.3), mass, 0.005)
    found = transect_rate(track, source, PlumeWind(5.0, 0.0, 0.5))
    assert found.rate == pytest.approx(500.0, rel=0.03)


def test_larger_rates_and_slower_winds_show_more():
    a, b = (visibility(options(rate=r))[0] for r in (300.0, 600.0))
    assert b.largest == pytest.approx(2 * a.largest)
    assert b.limit == pytest.approx(a.limit)
    slow, fast = visibility(options(winds=(2.0, 8.0)))
    assert slow.largest > fast.largest
    assert slow.limit < fast.limit


def test_below_the_error_is_said():
    rows = visibility_rows(*[o := options(mt_per_year=0.5), visibility(o)])
    assert rows[0]["rate_kg_s"] == pytest.approx(0.5e9 / 31556952)
    assert rows[0]["pixel"] == "below error"
    assert rows[0]["plume"] == "below error"
    assert rows[0]["limit_kg_s"] > 10 * rows[0]["rate_kg_s"]
    large = visibility_rows(*[o := options(rate=3000.0), visibility(o)])
    assert (large[0]["pixel"], large[0]["plume"]) == ("above error", "above error")


def test_made_up_scenes_have_the_last_word():
    """A plume that is above its limit and is not found in most scenes is at the edge."""
    serial = Work(scheduler="serial")
    seen = visibility(options(rate=2500.0, draws=1), serial)[0]
    assert (seen.found, seen.verdict) == (1, "above error")
    edge = visibility(options(rate=330.0, winds=(6.0,), draws=2), serial)[0]
    assert edge.seen
    assert edge.found == 0
    assert edge.verdict == "at the edge"
    unseen = visibility(options(rate=20.0, draws=1), serial)[0]
    assert (unseen.found, unseen.accepted, unseen.verdict) == (0, 0, "below error")


def test_emission_by_capacity():
    made = options(capacity_mw=1000.0, t_per_mwh=0.82, load=0.5)
    assert made.emission == pytest.approx(1000 * 0.5 * 0.82 / 3.6)


def test_a_shard_is_refused():
    with pytest.raises(ConfigError, match="not a shard"):
        visibility(options(), Work(shard="1/2"))


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"rate": None}, "given: nothing"),
        ({"mt_per_year": 1.0, "rate": 3.0}, "must be said once"),
        ({"capacity_mw": 100.0}, "capacity_mw, t_per_mwh and load"),
        ({"winds": (0.0,)}, "winds must lie within"),
        ({"surface_pressure": 101325.0}, "less than or equal to 1100"),
    ],
)
def test_bad_options(more, text):
    with pytest.raises(ValueError, match=text):
        options(**more)
