"""Line densities are exact where the plume is Gaussian and the background slopes."""

import numpy as np
import pytest

from retrieval.plume.rates.sections import (
    PlumeShape,
    SectionPixels,
    fit_shape,
    line_density_weights,
    plume_weights,
)

SHAPE = PlumeShape(0.7, -1.0, 0.5, -0.4, 3.0, 2.0)


def pixels(noise=0.0, seed=0, line=(50.0, 60.0, 40.0)):
    s, n = (
        a.ravel() for a in np.meshgrid(np.arange(1.0, 30.0, 2.0), np.arange(-19.0, 20.0, 2.0), indexing="ij")
    )
    section = (s // 10).astype(np.int64)
    made = SectionPixels(section, s, n, np.zeros(s.size), np.full(s.size, 0.3), 3, 30.0)
    value = np.take(line, section) * SHAPE.profile(made) + 2.0 + 0.05 * n + section
    if noise:
        value = value + noise * np.random.default_rng(seed).standard_normal(s.size)
    return SectionPixels(section, s, n, value, made.error, 3, 30.0)


def test_line_densities_of_the_true_shape_are_exact_whatever_the_background():
    p = pixels()
    found = [w @ p.value[p.section == k] for k, w in enumerate(line_density_weights(p, SHAPE))]
    assert found == pytest.approx([50.0, 60.0, 40.0], rel=1e-9)
    for k, w in enumerate(line_density_weights(p, SHAPE)):
        here = p.section == k
        assert w.sum() == pytest.approx(0.0, abs=1e-9)
        assert w @ p.across[here] == pytest.approx(0.0, abs=1e-7)
        assert w @ SHAPE.profile(p)[here] == pytest.approx(1.0)


def test_shape_is_found_again():
    found = fit_shape(pixels(), narrowest=0.8, widest=12.0, reach=6.0, one_rate=False)
    p = pixels()
    assert found.middle(p.along, 30.0) == pytest.approx(SHAPE.middle(p.along, 30.0), abs=0.15)
    assert found.width(p.along, 30.0) == pytest.approx(SHAPE.width(p.along, 30.0), abs=0.3)


def test_errors_of_line_densities_are_what_they_scatter_by():
    stated = [0.3 * np.linalg.norm(w) for w in line_density_weights(pixels(), SHAPE)]
    drawn = []
    for seed in range(300):
        p = pixels(0.3, seed)
        drawn.append([w @ p.value[p.section == k] for k, w in enumerate(line_density_weights(p, SHAPE))])
    assert np.std(drawn, axis=0) == pytest.approx(stated, rel=0.15)
    assert np.mean(drawn, axis=0) == pytest.approx([50.0, 60.0, 40.0], abs=4 * max(stated) / np.sqrt(300))


def test_one_rate_for_all_sections():
    p = pixels(line=(50.0, 50.0, 50.0))
    flat = SectionPixels(p.section, p.along, p.across, p.value - p.section, p.error, 3, 30.0)
    assert plume_weights(flat, SHAPE) @ flat.value == pytest.approx(50.0, rel=1e-9)


def test_a_section_without_pixels_near_the_middle_has_no_line_density():
    p = pixels()
    there = ~((p.section == 1) & (np.abs(p.across) < 8))
    weights = line_density_weights(p.part(there), SHAPE)
    assert [w is None for w in weights] == [False, True, False]
