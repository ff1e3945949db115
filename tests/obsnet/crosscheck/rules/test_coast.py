"""A coastal province's right inventory is called wrong as often as promised; by area it is condemned."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[4] / "scripts" / "calibrate_coast.py"


@pytest.fixture(scope="module")
def coast():
    spec = importlib.util.spec_from_file_location("calibrate_coast", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_right_inventories_of_the_coast_keep_the_rate(coast):
    for province in ("440000", "330000"):
        found = coast.calibrate("points", province, draws=300, worlds=2)
        assert abs(found.rate - 0.05) < 3.5 * found.error
        assert abs(found.shift) < 0.2
        assert found.spread == pytest.approx(1.0, abs=0.15)
        assert found.detectable < 0.3


def test_by_area_they_were_condemned(coast):
    found = coast.calibrate("area", "440000", draws=100, worlds=1)
    assert found.rate > 0.3
    assert found.shift < -1.5
