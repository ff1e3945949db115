"""Made-up scenes keep their mass and their seed."""

import numpy as np
import pytest

from retrieval.plume.twin import PlumeWorld, make_twin

SMALL = PlumeWorld(rows=40, columns=40, clouds=0.2, no2=True)


def test_the_plume_holds_what_was_emitted_while_it_crossed():
    # straight wind, no eddies: all mass between source and rim is rate times travel time
    twin = make_twin(PlumeWorld(rows=60, columns=60, unsteady=0.0, wind=5.0, direction=90.0, rate=1000.0), 1)
    scene = twin.scene
    mass = twin.enhancement * scene.area * scene.mass
    across = mass.sum(axis=0)  # of each column of pixels, crossed in 2 km / 5 m s-1
    inner = across[across > 0][5:25]
    assert inner == pytest.approx(1000.0 * 2000.0 / 5.0, rel=0.25)
    assert inner.mean() == pytest.approx(1000.0 * 2000.0 / 5.0, rel=0.1)


def test_one_seed_one_scene():
    a, b, c = (make_twin(SMALL, seed) for seed in (1, 1, 2))
    assert np.array_equal(a.scene.value, b.scene.value, equal_nan=True)
    assert not np.array_equal(a.scene.value, c.scene.value, equal_nan=True)
    assert np.isnan(a.scene.value).mean() == pytest.approx(0.2, abs=0.01)
    assert a.scene.no2 is not None
