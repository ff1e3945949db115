"""Plumes are found where they are, and nowhere else."""

import numpy as np
import pytest

from obsnet.errors import RangeError
from retrieval.plume.images.detect import detect, field_test, smooth_background
from retrieval.plume.options import DetectSettings
from tests.retrieval.plume.scenes import make_scene

SETTINGS = DetectSettings()


def find(scene, settings=SETTINGS, **changes):
    value = changes.get("value", scene.value)
    error = changes.get("uncertainty", scene.uncertainty)
    return detect(value, error, scene.spacing_km, settings, scene.no2, scene.no2_uncertainty)


def test_a_plume_is_found_and_the_rest_is_not():
    scene = make_scene(noise=0.5, seed=1)
    found = find(scene)
    truth = make_scene(noise=0.5).value - 410.0
    assert found.count == 1
    assert (found.labels == 1)[truth > 0.8].mean() > 0.95
    assert (truth[found.labels == 1] > 0.02).mean() > 0.9
    assert found.gas.noise_factor == pytest.approx(1.0, abs=0.05)


def test_noise_alone_is_no_plume():
    counts = [find(make_scene((), noise=0.5, seed=k)).count for k in range(6)]
    assert sum(counts) == 0


def test_offset_and_unit_change_nothing_and_a_slope_little():
    scene = make_scene(noise=0.5, seed=2)
    labels = find(scene).labels
    assert np.array_equal(find(scene, value=scene.value - 300.0).labels, labels)
    assert np.array_equal(
        find(scene, value=scene.value * 1e3, uncertainty=scene.uncertainty * 1e3).labels, labels
    )
    sloped = find(make_scene(noise=0.5, seed=2, slope=0.01))
    assert ((sloped.labels > 0) != (labels > 0)).mean() < 0.01


def test_a_dip_is_no_plume():
    scene = make_scene(((0.0, 0.0, -1000.0),), noise=0.5, seed=1)
    assert find(scene).count == 0


def test_errors_stated_too_small_are_noticed_and_do_not_make_plumes():
    scene = make_scene((), noise=0.5, seed=4)
    found = find(scene, uncertainty=scene.uncertainty / 3.0)
    assert found.gas.noise_factor == pytest.approx(3.0, rel=0.05)
    assert found.count == 0


def test_structure_of_the_background_raises_the_bar():
    scene = make_scene((), noise=0.2, seed=5)
    x = np.arange(scene.value.shape[0])
    waves = 0.6 * np.sin(x / 3.0)[None, :] * np.sin(x / 3.0)[:, None]
    test = field_test(scene.value + waves, scene.uncertainty, scene.spacing_km, SETTINGS)
    assert test.structure > 0.15
    assert field_test(scene.value, scene.uncertainty, scene.spacing_km, SETTINGS).structure < 0.03


def test_no2_decides_where_the_gas_is_too_noisy():
    scene = make_scene(((0.0, 0.0, 200.0),), noise=1.5, seed=3, no2=True)
    assert find(scene, DetectSettings(image="gas")).count == 0
    found = find(scene)
    assert (found.image, found.count) == ("no2", 1)
    with pytest.raises(RangeError, match="the scene has none"):
        find(make_scene(), DetectSettings(image="no2"))


def test_plumes_are_numbered_by_their_highest_z():
    scene = make_scene(((0.0, 40.0, 600.0), (0.0, -40.0, 2000.0)), noise=0.5, seed=1)
    found = find(scene)
    assert found.count == 2
    assert found.z[found.labels == 1].max() > found.z[found.labels == 2].max()


def test_an_empty_image_is_refused():
    scene = make_scene()
    with pytest.raises(RangeError, match="usable pixels"):
        find(scene, value=np.full_like(scene.value, np.nan))


def test_background_is_exact_for_a_constant():
    weight = np.random.default_rng(0).uniform(0, 1, (90, 70))
    assert smooth_background(np.full((90, 70), 7.0), weight, (2.0, 2.0), 50.0) == pytest.approx(7.0, abs=1e-9)


def test_blocks_change_the_background_little(monkeypatch):
    values = np.add.outer(np.sin(np.linspace(0, 6, 90)), np.linspace(0, 1, 70))
    coarse = smooth_background(values, np.ones((90, 70)), (2.0, 2.0), 50.0)
    monkeypatch.setattr("retrieval.plume.images.detect._FINE", 1e9)
    fine = smooth_background(values, np.ones((90, 70)), (2.0, 2.0), 50.0)
    assert np.abs(coarse - fine).max() < 0.03
    assert not np.array_equal(coarse, fine)
