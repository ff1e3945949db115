"""Screens: filters as data, counted one by one; bit flags by name."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.config import validate
from obsnet.errors import ConfigError, MissingVariableError
from obsnet.schema import Quality
from retrieval.products.read import open_fields, read_granule
from retrieval.products.screening import Screen, bit_names, count_bits, find_screen, load_screens
from retrieval.readers.sensors import load_sensors
from tests.retrieval import synthetic


def screen_of(*filters, **more):
    return validate(Screen, {"name": "mine", "filter": list(filters), **more})


@pytest.fixture
def lite(tmp_path):
    variables, attributes = synthetic.lite(80)
    return synthetic.write(tmp_path / "a.nc4", variables, attributes), variables


def test_shipped_screens_name_products_that_exist():
    sensors = load_sensors()
    screens = load_screens()
    assert {
        "oco_good",
        "oco_land",
        "s5p_ch4_imi",
        "s5p_ch4_strict",
        "s5p_ch4_snowfree",
        "s5p_ch4_blended",
    } <= set(screens)
    for screen in screens.values():
        assert screen.title
        assert set(screen.sensors) <= set(sensors)


def test_counts_of_each_filter_and_of_it_alone(lite):
    path, variables = lite
    screen = screen_of(
        {"name": "sza", "variable": "solar_zenith_angle", "at_most": 50.0},
        {"name": "land", "variable": "surface_type", "one_of": [1]},
        {"name": "spread", "expression": "abs(dpfrac) + abs(dp_sco2)", "below": 3.0},
    )
    granule = read_granule(path, screen=screen)
    fails = {
        "sza": variables["solar_zenith_angle"][0] > 50,
        "land": variables["Retrieval/surface_type"][0] != 1,
        "spread": np.abs(variables["Retrieval/dpfrac"][0]) + np.abs(variables["Retrieval/dp_sco2"][0]) >= 3,
    }
    any_of = np.logical_or.reduce(list(fails.values()))
    times = sum(f.astype(int) for f in fails.values())
    assert granule.counts["screen"] == {k: int(f.sum()) for k, f in fails.items()} | {
        "any": int(any_of.sum())
    }
    assert granule.counts["screen_alone"] == {k: int((f & (times == 1)).sum()) for k, f in fails.items()}
    flags = granule.table["quality"].to_numpy()
    np.testing.assert_array_equal(flags & int(Quality.SCREEN) != 0, any_of)
    assert len(granule.table) == 80  # nothing is deleted
    plain = read_granule(path).table["quality"].to_numpy()
    np.testing.assert_array_equal(flags & ~np.uint32(Quality.SCREEN), plain)


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        ({"at_least": 2.0}, [0, 1, 1, 0]),
        ({"above": 2.0}, [0, 0, 1, 0]),
        ({"at_most": 2.0}, [1, 1, 0, 0]),
        ({"below": 2.0}, [1, 0, 0, 0]),
        ({"at_least": 1.5, "at_most": 2.5}, [0, 1, 0, 0]),
        ({"one_of": [1, 3]}, [1, 0, 1, 0]),
        ({"none_of": [1, 3]}, [0, 1, 0, 0]),
    ],
)
def test_limits_and_missing_values_never_pass(tmp_path, rule, passes):
    variables, attributes = synthetic.lite(4)
    variables["Retrieval/thing"] = (np.float32([1, 2, 3, -999999]), {"missing_value": np.float32(-999999)})
    fields = open_fields(synthetic.write(tmp_path / "a.nc4", variables, attributes))
    with fields.source:
        result = screen_of({"name": "t", "variable": "thing", **rule}).apply(fields)
    assert (~result.rejected).astype(int).tolist() == passes


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        ({"mask": 0x03, "one_of": [0]}, [1, 0, 0, 1]),
        ({"mask": 0xF9, "none_of": [184]}, [1, 1, 1, 0]),
        ({"bits_clear": 0x05}, [1, 0, 1, 1]),
    ],
)
def test_bit_fields(tmp_path, rule, passes):
    variables, attributes = synthetic.lite(4)
    variables["Retrieval/thing"] = (np.array([0, 1, 2, 184], np.uint8), {})
    fields = open_fields(synthetic.write(tmp_path / "a.nc4", variables, attributes))
    with fields.source:
        result = screen_of({"name": "t", "variable": "thing", **rule}).apply(fields)
    assert (~result.rejected).astype(int).tolist() == passes


def test_where_limits_a_filter_to_some_soundings(tmp_path):
    variables, attributes = synthetic.lite(4)
    variables["Retrieval/chi"] = (np.float32([1, 9, 9, 1]), {})
    variables["Retrieval/kind"] = (np.int8([2, 2, 3, 3]), {})
    rule = {"name": "t", "variable": "chi", "at_most": 5, "where": {"variable": "kind", "one_of": [2]}}
    fields = open_fields(synthetic.write(tmp_path / "a.nc4", variables, attributes))
    with fields.source:
        assert screen_of(rule).apply(fields).rejected.tolist() == [False, True, False, False]


def test_text_variables(tmp_path):
    variables, attributes = synthetic.lite(3)
    variables["Sounding/gain"] = (np.array([b"H", b"M", b"H"]), {})
    fields = open_fields(synthetic.write(tmp_path / "a.nc4", variables, attributes))
    with fields.source:
        found = screen_of({"name": "gain", "variable": "gain", "one_of": ["H"]}).apply(fields)
    assert found.rejected.tolist() == [False, True, False]


def test_roles_come_in_the_unit_inside(tmp_path):
    variables, attributes = synthetic.lite(3)
    variables["xco2_uncertainty"] = (np.array([0.5e-6, 0.9e-6, 2e-6]), {"units": "mol mol-1"})
    fields = open_fields(synthetic.write(tmp_path / "a.nc4", variables, attributes))
    with fields.source:
        found = screen_of({"name": "u", "variable": "uncertainty", "at_most": 1.0}).apply(fields)
    assert found.rejected.tolist() == [False, False, True]


def test_absent_variable_is_an_error_or_noted(lite):
    path, _ = lite
    rule = {"name": "cloud", "variable": "cloud_fraction", "below": 0.1}
    with pytest.raises(
        MissingVariableError, match="screen 'mine', filter 'cloud': .*no variable 'cloud_fraction'"
    ):
        read_granule(path, screen=screen_of(rule))
    granule = read_granule(path, screen=screen_of({**rule, "optional": True}))
    assert granule.counts["screen"] == {"cloud": 0, "any": 0}
    assert "screen mine: filter cloud left out, the file lacks its variable" in granule.notes


def test_screen_of_another_product_is_refused(lite):
    with pytest.raises(
        ConfigError, match="screen 's5p_ch4_imi' is for s5p_ch4, s5p_ch4_v208, not for oco2_lite"
    ):
        read_granule(lite[0], screen=find_screen("s5p_ch4_imi"))


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        ([], "filter"),
        ([{"name": "a", "variable": "x"}], "a filter needs one of at_least"),
        ([{"name": "a", "at_most": 1}], "give either variable or expression"),
        (
            [{"name": "a", "variable": "x", "expression": "y", "at_most": 1}],
            "give either variable or expression",
        ),
        ([{"name": "a", "expression": "y +", "at_most": 1}], "ends where"),
        ([{"name": "a", "variable": "x", "at_most": 1}] * 2, "filter names must differ.*look at a"),
        ([{"name": "any", "variable": "x", "at_most": 1}], "not be 'any'"),
        ([{"name": "a", "variable": "x", "atmost": 1}], "unknown key"),
    ],
)
def test_faulty_screens(filters, why):
    with pytest.raises(ConfigError, match=why):
        screen_of(*filters)


def test_find_screen(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="unknown screen 'oco_god'; nearest: 'oco_good'"):
        find_screen("oco_god")
    own = tmp_path / "own.toml"
    own.write_text('[[filter]]\nname = "a"\nvariable = "x"\nat_most = 1\n')
    assert find_screen(str(own)).name == "own"
    assert find_screen("own", [tmp_path]).filter[0].at_most == 1
    monkeypatch.setenv("OBSNET_SCREENS", str(tmp_path))
    assert "own" in load_screens()


def test_names_of_bits():
    assert bit_names({"qf_variables": "co2_ratio, dp_abp,h2o_ratio"}) == ["co2_ratio", "dp_abp", "h2o_ratio"]
    assert bit_names({"flag_meanings": "cloud snow"}) == ["cloud", "snow"]
    assert bit_names({}) == []


def counted(flags, names=""):
    """Count the bits of flags that a granule would hold."""
    source = SimpleNamespace(attributes=lambda _path: {"flag_meanings": names})
    return count_bits(SimpleNamespace(raw=lambda _path: flags, source=source), "flags")  # type: ignore[arg-type]


@given(
    st.lists(st.integers(0, 2**63 - 1), max_size=30),
    st.sampled_from(["int64", "uint64", "int32", "uint8", "int8"]),
)
def test_counted_bits_rebuild_the_sum_of_the_flags(values, kind):
    wide = np.array(values, np.uint64)
    flags = (wide & np.uint64(np.iinfo(kind).max)).astype(kind)
    place = {"first": 0, "second": 1}
    total = sum(
        n << place.get(name, int(name.removeprefix("bit_")) if name.startswith("bit_") else 0)
        for name, n in counted(flags, "first second").items()
    )
    assert total == sum(int(f) for f in flags)


def test_highest_bit_of_a_signed_flag():
    assert counted(np.array([-(2**31)], np.int32)) == {"bit_31": 1}
    assert counted(np.array([-128], np.int8)) == {"bit_7": 1}


def test_real_bit_flags_agree_with_the_quality_flag(sample_data):
    for path in sorted((sample_data / "satellite" / "acos_lite").glob("*.nc4")):
        fields = open_fields(path)
        with fields.source:
            bits = fields.raw("xco2_qf_bitflag")
            flag = fields.raw("xco2_quality_flag")
            names = bit_names(fields.source.attributes("xco2_qf_bitflag"))
            counts = count_bits(fields, "xco2_qf_bitflag")
        assert len(names) == 30
        np.testing.assert_array_equal(bits != 0, flag == 1)
        by_hand = {n: int(np.count_nonzero(bits & (1 << k))) for k, n in enumerate(names)}
        assert counts == {n: m for n, m in by_hand.items() if m}


def test_missing_bit_flag_is_counted_as_such(tmp_path):
    variables, attributes = synthetic.lite(4)
    variables["xco2_qf_bitflag"] = (
        np.array([0, 5, -9999, 1], np.int32),
        {"missing_value": np.int32(-9999), "qf_variables": "a, b, c"},
    )
    granule = read_granule(synthetic.write(tmp_path / "a.nc4", variables, attributes))
    assert granule.counts["producer"] == {"a": 2, "c": 1, "missing": 1}


def test_blended_screen_on_real_data(sample_data):
    path = next((sample_data / "satellite" / "tropomi_blended").glob("*_02850_*"))
    fields = open_fields(path)
    with fields.source:
        kind = fields.raw("surface_classification") & 3
        chi = fields.raw("chi_square_SWIR")
    granule = read_granule(path, screen=find_screen("s5p_ch4_blended"), profiles="none")
    coast, water = kind == 3, (kind == 2) & (chi > 20000)
    assert granule.counts["screen"] == {
        "coast": int(coast.sum()),
        "inland_water_chi_square": int(water.sum()),
        "any": int((coast | water).sum()),
    }
    assert coast.sum() > 100


def test_strict_tropomi_screen_on_a_synthetic_orbit(tmp_path):
    variables, attributes, truth = synthetic.s5p(10, 10)
    path = synthetic.write(tmp_path / "S5P.nc", variables, attributes)
    granule = read_granule(path, screen=find_screen("s5p_ch4_strict"))
    there = truth["there"]
    support = "PRODUCT/SUPPORT_DATA/"

    def get(name):
        return variables[name][0].reshape(100)[there]

    wanted = {
        "qa_value": get("PRODUCT/qa_value") < 100,
        "land": get(support + "INPUT_DATA/surface_classification") & 3 != 0,
        "solar_zenith_angle": get(support + "GEOLOCATIONS/solar_zenith_angle") >= 70,
        "precision": get("PRODUCT/methane_mixing_ratio_precision") >= 10,
        "roughness": get(support + "INPUT_DATA/surface_altitude_precision") >= 80,
        "albedo_SWIR": get(support + "DETAILED_RESULTS/surface_albedo_SWIR") <= 0.02,
        "chi_square": get(support + "DETAILED_RESULTS/chi_square") >= 100,
    }
    counts = {name: int(mask.sum()) for name, mask in wanted.items()}
    counts["any"] = int(np.logical_or.reduce(list(wanted.values())).sum())
    assert granule.counts["screen"] == counts
