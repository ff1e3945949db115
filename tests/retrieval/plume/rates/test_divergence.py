"""Divergence: Gauss's theorem, the peak, and many overpasses."""

import numpy as np
import pytest

from retrieval.plume.images.detect import detect
from retrieval.plume.options import DetectSettings
from retrieval.plume.rates.divergence import add_overpass, divergence_of, divergence_rate, peak_rate
from retrieval.plume.rates.reasons import RejectReason
from retrieval.plume.winds import PlumeWind
from tests.retrieval.plume.scenes import make_scene, place


def test_divergence_summed_over_a_box_is_what_leaves_it():
    rng = np.random.default_rng(0)
    east, north = rng.normal(size=(2, 12, 12))
    field = divergence_of(east, north, 5.0)
    inside = field[1:-1, 1:-1].sum() * (5e3) ** 2
    sides = (
        0.5 * (east[1:-1, -1] + east[1:-1, -2] - east[1:-1, 0] - east[1:-1, 1]).sum()
        + 0.5 * (north[-1, 1:-1] + north[-2, 1:-1] - north[0, 1:-1] - north[1, 1:-1]).sum()
    ) * 5e3
    assert inside == pytest.approx(sides)


def test_a_peak_gives_its_rate_whatever_the_background():
    at = np.arange(-50, 51, 5.0)
    r2 = at[:, None] ** 2 + at[None, :] ** 2
    field = 800.0 / (2 * np.pi * 7000.0**2) * np.exp(-0.5 * r2 / 49.0) + 3e-7
    rate, width = peak_rate(field, 5.0)
    assert rate == pytest.approx(800.0, rel=1e-3)
    assert width == pytest.approx(7.0, rel=1e-3)


def test_the_published_example_has_its_published_peak(sample_data):
    """Divergence field of CO2 about Jänschwalde and Berlin with the rates fitted to it by their authors."""
    import xarray as xr

    path = sample_data / "retrieval" / "smartcarb" / "SMARTCARB_DIV_example.nc"
    with xr.open_dataset(path, engine="netcdf4") as data:
        fields, rates = data["CO2_div"].values, data["CO2_emissions"].values
    found = np.array([peak_rate(f, 5.0)[0] for f in fields])
    # their unit and fit differ; the ratio of the two sources does not depend on the first
    assert found[0] / found[1] == pytest.approx(rates[0] / rates[1], rel=0.35)


def overpass(k, rate=1000.0, noise=0.3):
    angle = 2.4 * k
    u, v = 5 * np.cos(angle), 5 * np.sin(angle)
    scene = make_scene(((0.0, 0.0, rate),), u=u, v=v, noise=noise, seed=k, half=70.0)
    found = detect(scene.value, scene.uncertainty, scene.spacing_km, DetectSettings())
    wind = PlumeWind(u, v, 0.5)
    return add_overpass(scene, found, place("stack", 0.0, 0.0), wind), wind


def test_many_overpasses_give_the_rate():
    made = [overpass(k) for k in range(12)]
    found = divergence_rate([m[0] for m in made], [m[1] for m in made])
    assert not found.reasons
    assert found.low < 1000.0 < found.high
    assert found.rate == pytest.approx(1000.0, rel=0.25)
    few = divergence_rate([m[0] for m in made[:3]], [m[1] for m in made[:3]])
    assert few.reasons & RejectReason.FEW_PIXELS
    assert np.isnan(few.rate)


def test_no_source_no_rate():
    made = [overpass(k, rate=0.0) for k in range(10)]
    found = divergence_rate([m[0] for m in made], [m[1] for m in made])
    assert found.reasons & RejectReason.BELOW_LIMIT
