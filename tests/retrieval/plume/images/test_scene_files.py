"""Scenes read from files."""

import numpy as np
import pytest

from obsnet.errors import FormatError, MissingVariableError, RangeError, UnitError
from retrieval.plume.images.scene_files import read_scene
from tests.retrieval.plume.files import write_scene
from tests.retrieval.plume.scenes import make_scene

SCENE = make_scene(noise=0.3, seed=1, no2=True)


def test_what_was_written_is_read(tmp_path):
    found = read_scene(write_scene(tmp_path / "a.nc", SCENE))
    assert found.value == pytest.approx(SCENE.value)
    assert found.mass == pytest.approx(SCENE.mass)
    assert found.area == pytest.approx(SCENE.area)
    assert found.no2 == pytest.approx(SCENE.no2)
    assert found.time == SCENE.time
    assert found.conversion_error == 0.005
    assert any("no corners" in note for note in found.notes)


def test_units_are_converted_and_their_absence_refused(tmp_path):
    moles = make_scene()
    moles = type(moles)(
        **{**vars(moles), "value": moles.value * 1e-6, "uncertainty": moles.uncertainty * 1e-6}
    )
    found = read_scene(write_scene(tmp_path / "a.nc", moles, units="mol mol-1", pressure=(980.0, "hPa")))
    assert found.value == pytest.approx(make_scene().value)
    assert found.mass == pytest.approx(make_scene().mass)
    with pytest.raises(UnitError, match="no units attribute"):
        read_scene(write_scene(tmp_path / "b.nc", SCENE, units=None))
    with pytest.raises(UnitError, match="dimensions differ"):
        read_scene(write_scene(tmp_path / "c.nc", SCENE, units="molec cm-2"))
    with pytest.raises(RangeError, match="hPa must be multiplied"):
        read_scene(write_scene(tmp_path / "d.nc", SCENE, pressure=(980.0, "Pa")))
    with pytest.raises(RangeError, match="most columns lie outside"):
        read_scene(write_scene(tmp_path / "e.nc", SCENE, units="ppb"))


def test_names_expressions_and_limits(tmp_path):
    path = write_scene(tmp_path / "a.nc", SCENE, names=("XCO2_A", "sigma"))
    with pytest.raises(MissingVariableError, match="--names value=NAME"):
        read_scene(path)
    asked = {"value": "XCO2_A + 0.5*sigma", "uncertainty": "sigma"}
    found = read_scene(path, names=asked, where={"cloud": (0.0, 0.1)})
    seen = np.isfinite(found.value)
    assert found.value[seen] == pytest.approx((SCENE.value + 0.5 * SCENE.uncertainty)[seen])
    assert 0.4 < seen.mean() < 0.6
    assert np.isfinite(found.no2).mean() == seen.mean()
    both = read_scene(path, names=asked, where={"cloud": (0.0, 0.1)}, no2_where={"cloud": (0.0, 1.0)})
    assert np.isfinite(both.no2).all()
    with pytest.raises(MissingVariableError, match="'clouds'; nearest: 'cloud'"):
        read_scene(path, names=asked, where={"clouds": (0.0, 0.1)})
    with pytest.raises(FormatError, match="no part of a scene"):
        read_scene(path, names={"valeu": "XCO2_A"})
    with pytest.raises(MissingVariableError, match="XCO2_B"):
        read_scene(path, names={**asked, "value": "XCO2_B + 1"})


def test_a_time_is_needed_and_may_be_given(tmp_path):
    path = write_scene(tmp_path / "a.nc", SCENE, time=False)
    with pytest.raises(MissingVariableError, match="--names time="):
        read_scene(path)
    assert read_scene(path, names={"time": "2026-05-01T05:00Z"}).time == SCENE.time


def test_rubbish_is_one_line(tmp_path):
    path = tmp_path / "a.nc"
    path.write_bytes(b"nothing")
    with pytest.raises(FormatError, match="cannot be read as an image"):
        read_scene(path)
