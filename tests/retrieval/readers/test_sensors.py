"""Sensor tables: all shipped ones are sound, faults are told one line each, an institute can add its own."""

import numpy as np
import pytest

from obsnet.errors import ConfigError, FormatError
from retrieval.products.read import read_granule
from retrieval.readers import sensors as module
from retrieval.readers.sensors import load_sensors, recognise, sensor_named
from retrieval.readers.source import open_source
from tests.retrieval import synthetic

OWN = """
title = "own"
platform = "X"
species = "CO2"
id = ["@row"]
{more}
[detect]
variables = ["own_x"]
[variables]
time = "time"
latitude = "latitude"
longitude = "longitude"
value = "own_x"
"""


def test_all_shipped_tables_are_sound_and_whole():
    sensors = load_sensors()
    wanted = {
        "oco2_lite",
        "oco3_lite",
        "acos_lite",
        "acos_l2s",
        "s5p_ch4",
        "s5p_ch4_blended",
        "s5p_ch4_v208",
        "methanesat",
        "wfmd",
        "gosat_ocpr",
        "gosat_ocfp",
        "gosat_srfp_co2",
        "gosat_srfp_ch4",
        "gosat_srpr_ch4",
        "gosat2_srfp_co2",
        "gosat2_srfp_ch4",
        "gosat2_srpr_ch4",
        "tansat_ocfp",
        "tansat_iap",
        "oco2_focal",
        "nies_gosat_co2",
        "nies_gosat_ch4",
        "nies_gosat2",
        "gosat_gw",
        "co2m",
        "acdl",
        "generic_column",
        "generic_weighting",
    }
    assert wanted == set(sensors)
    for sensor in sensors.values():
        assert sensor.title
        assert sensor.platform
        assert sensor.detect.variables, sensor.name
        for variant in sensor.variants:
            assert sensor.for_variant(variant).variables["value"] != sensor.variables["value"]
        for species in sensor.all_species():
            assert sensor.for_species(species).species == species


def test_bases_are_no_products():
    assert not any(name.startswith("_") for name in load_sensors())


def test_unknown_names_tell_the_nearest():
    with pytest.raises(ConfigError, match="unknown sensor 'oco2lite'; nearest: 'oco2_lite'"):
        sensor_named("oco2lite")
    with pytest.raises(ConfigError, match="oco2_lite has no CH4"):
        sensor_named("oco2_lite").for_species("ch4")
    with pytest.raises(ConfigError, match="wfmd has no CO2; nearest: 'CO'"):
        sensor_named("wfmd").for_species("CO2")


def test_a_table_of_ones_own_and_one_that_replaces(tmp_path, monkeypatch):
    (tmp_path / "mine.toml").write_text(OWN.format(more=""))
    (tmp_path / "oco2_lite.toml").write_text(
        'base = "_oco_lite"\ntitle = "ours"\nplatform = "OCO-2"\n[detect]\nname = "x"\n'
    )
    sensors = load_sensors([tmp_path])
    assert sensors["mine"].variables["value"].path == ("own_x",)
    assert sensors["oco2_lite"].title == "ours"
    monkeypatch.setenv("OBSNET_SENSORS", str(tmp_path))
    assert load_sensors()["oco2_lite"].title == "ours"


def test_a_granule_is_read_with_a_table_of_ones_own(tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "mine.toml").write_text(OWN.format(more=""))
    variables = {
        "own_x": (np.array([410.0, 411.0]), {"units": "ppm"}),
        "time": (np.array([0.0, 1.0]), {"units": "seconds since 2020-01-01"}),
        "latitude": (np.array([30.0, 31.0]), {}),
        "longitude": (np.array([100.0, 101.0]), {}),
    }
    path = synthetic.write(tmp_path / "a.h5", variables)
    with pytest.raises(FormatError, match="no sensor table of 28 fits"):
        read_granule(path)
    granule = read_granule(path, folders=[folder])
    assert granule.source == "mine"
    assert granule.table["value"].to_pylist() == [410.0, 411.0]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ('scael = "X2007"', "unknown key 'scael'; nearest: 'scale'"),
        ('vertical = "levels"', "vertical = 'levels'"),
        ("[variables.kernel]\npath = 'k'", "unknown variable 'kernel'; nearest: 'averaging_kernel'"),
        ("[variables.averaging_kernel]\npath = 'k'", "a product with kernels needs vertical"),
        ("[variables.uncertainty]\npath = 'k'\nwrong_unit = true", "wrong_unit needs the unit that is right"),
        ("[variables.uncertainty]\npath = []", "uncertainty.path"),
        ("[quality]\nvariable = 'q'", "give either `good`"),
        ("[quality]\nvariable = 'q'\ngood = [0]\nat_least = 1", "give either `good`"),
        ("[other.XX]\nvariables = {}\nquality = {variable='q', good=[0]}", "unknown species 'XX'"),
    ],
)
def test_faulty_tables(tmp_path, more, why):
    text = OWN.format(more="") + more if more.startswith("[") else OWN.format(more=more)
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_sensors([tmp_path])
    assert why in str(caught.value)
    assert "bad.toml" in str(caught.value)


def test_all_faults_at_once(tmp_path):
    (tmp_path / "one.toml").write_text('title = "x"')
    (tmp_path / "two.toml").write_text(
        OWN.format(more='species = "CO2"').replace('species = "CO2"\n', "", 1).replace("own_x", "y", 1)
    )
    (tmp_path / "three.toml").write_text(OWN.format(more="bad = 1"))
    with pytest.raises(ConfigError) as caught:
        load_sensors([tmp_path])
    text = str(caught.value)
    assert "one.toml" in text
    assert "three.toml" in text
    assert text.count("\n") >= 2


def test_missing_variables_and_base(tmp_path):
    (tmp_path / "bad.toml").write_text(OWN.format(more="").replace('latitude = "latitude"\n', ""))
    with pytest.raises(ConfigError, match="variables lack latitude"):
        load_sensors([tmp_path])
    (tmp_path / "bad.toml").write_text('base = "_lit"\ntitle = "x"')
    with pytest.raises(ConfigError, match="base '_lit' does not exist; nearest: '_lite'"):
        load_sensors([tmp_path])
    with pytest.raises(ConfigError, match="no such folder of sensor tables"):
        load_sensors([tmp_path / "nowhere"])


def recognised(path, sensors=None):
    with open_source(path) as source:
        return recognise(source, sensors or load_sensors()).name


def test_recognition_says_what_is_missing(tmp_path):
    variables, attributes = synthetic.lite(5)
    del variables["xco2_averaging_kernel"]
    path = synthetic.write(tmp_path / "a.nc4", variables, attributes)
    with pytest.raises(FormatError, match="looks like oco2_lite but has no variable xco2_averaging_kernel"):
        recognised(path)


def test_recognition_of_something_else(tmp_path):
    path = synthetic.write(tmp_path / "a.nc4", {"temperature": (np.zeros(3), {})})
    with pytest.raises(FormatError, match="no sensor table of 28 fits; name one with --sensor"):
        recognised(path)


def test_lite_without_platform_is_recognised_by_its_name_or_asked_for(tmp_path):
    variables, attributes = synthetic.lite(5)
    del attributes["Platform"]
    named = synthetic.write(tmp_path / synthetic.lite_name(), variables, attributes)
    assert recognised(named) == "oco2_lite"
    path = synthetic.write(tmp_path / "day.nc4", variables, attributes)
    with pytest.raises(
        FormatError, match="could be acos_lite or oco2_lite or oco3_lite by its variables, but neither"
    ):
        recognised(path)
    assert read_granule(path, sensor="oco3_lite").source == "oco3_lite_v9"


def test_a_tie_is_told(tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    for name in ("first", "second"):
        (folder / f"{name}.toml").write_text(OWN.format(more=""))
    path = synthetic.write(tmp_path / "a.h5", {"own_x": (np.zeros(3), {})})
    with pytest.raises(FormatError, match="could be first or second; say which with --sensor"):
        recognised(path, load_sensors([folder]))


def test_merge_keeps_what_the_table_does_not_touch():
    base = {"variables": {"a": {"path": "x", "fill": [1.0]}, "b": "y"}, "detect": {"name": "n"}}
    own = {"variables": {"a": {"path": "z"}}, "detect": {"variables": ["v"]}}
    assert module._merge(base, own) == {
        "variables": {"a": {"path": "z"}, "b": "y"},
        "detect": {"name": "n", "variables": ["v"]},
    }


def test_a_table_over_the_shipped_one_of_the_same_name(tmp_path):
    (tmp_path / "acos_lite.toml").write_text('base = "acos_lite"\ntitle = "ours"\nduration = 0.0\n')
    ours, shipped = load_sensors([tmp_path])["acos_lite"], load_sensors()["acos_lite"]
    assert ours.title == "ours"
    assert ours.duration == 0
    assert ours.variables == shipped.variables


def test_tables_that_stand_on_each_other(tmp_path):
    (tmp_path / "one.toml").write_text('base = "two"')
    (tmp_path / "two.toml").write_text('base = "one"')
    with pytest.raises(ConfigError, match=r"two.toml: base 'one' is built on 'two' itself"):
        load_sensors([tmp_path])


def test_a_changed_table_is_seen_at_once(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(OWN.format(more=""))
    assert load_sensors([tmp_path])["mine"].scale is None
    path.write_text(OWN.format(more='scale = "X2007"'))
    assert load_sensors([tmp_path])["mine"].scale == "X2007"
