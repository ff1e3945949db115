"""Lite granules: the real ACOS days with their known answers, synthetic OCO-2 of each version."""

import h5py
import numpy as np
import pytest

from obsnet.errors import ConfigError, FormatError, MissingVariableError
from obsnet.schema import Quality, profile_array
from retrieval.products.read import open_fields, read_granule
from tests.retrieval import synthetic

DAYS = {
    "acos_LtCO2_090901_v205205_B9213A_200310212449s.nc4": (985, 350, 384.2776, 58, 16),
    "acos_LtCO2_090903_v205205_B9213A_200310212534s.nc4": (917, 366, 384.2773, 46, 17),
}


@pytest.fixture(params=sorted(DAYS))
def day(request, sample_data):
    return sample_data / "satellite" / "acos_lite" / request.param


def good_of(table):
    return table["quality"].to_numpy() == 0


def test_known_answers_of_the_real_days(day):
    granule = read_granule(day)
    soundings, good, mean, china, china_good = DAYS[day.name]
    table = granule.table
    use = good_of(table)
    assert (len(table), int(use.sum())) == (soundings, good)
    assert table["value"].to_numpy()[use].mean() == pytest.approx(mean, abs=5e-5)
    lat, lon = table["latitude"].to_numpy(), table["longitude"].to_numpy()
    box = (lat >= 18) & (lat <= 54) & (lon >= 73) & (lon <= 135)
    assert (int(box.sum()), int((box & use).sum())) == (china, china_good)
    assert granule.source == "acos_lite_v9"
    assert granule.notes == ()


def test_identities_of_the_real_days(day):
    table = read_granule(day).table
    h, x = profile_array(table["pressure_weight"]), profile_array(table["prior_profile"])
    assert np.abs(h.sum(axis=1, dtype=np.float64) - 1).max() < 2e-7
    difference = np.einsum("ij,ij->i", h, x, dtype=np.float64) - table["prior_column"].to_numpy()
    assert np.abs(difference).max() <= 0.0041
    assert (np.diff(profile_array(table["pressure_levels"]), axis=1) < 0).all()


def test_profiles_are_surface_first(day):
    table = read_granule(day).table
    with h5py.File(day) as file:
        surface = file["Retrieval/psurf"][()]
        # A surface kernel and a tilted profile tell the order; a sum over the column does not.
        for column, name in (
            ("averaging_kernel", "xco2_averaging_kernel"),
            ("prior_profile", "co2_profile_apriori"),
            ("pressure_weight", "pressure_weight"),
        ):
            np.testing.assert_array_equal(profile_array(table[column])[:, 0], file[name][:, -1])
            np.testing.assert_array_equal(profile_array(table[column])[:, -1], file[name][:, 0])
        np.testing.assert_allclose(profile_array(table["pressure_levels"])[:, 0], surface, rtol=1e-6)
        stored = {
            k: file[k][()].astype(float)
            for k in ("pressure_weight", "xco2_averaging_kernel", "co2_profile_apriori")
        }
        tilted = file["Retrieval/SigmaB"][()].astype(float) * 10.0 + 380.0  # 10 ppm more at the surface
        wanted = file["xco2_apriori"][()] + (
            stored["pressure_weight"]
            * stored["xco2_averaging_kernel"]
            * (tilted - stored["co2_profile_apriori"])
        ).sum(1)
    h, a, x = (
        profile_array(table[k]).astype(float)
        for k in ("pressure_weight", "averaging_kernel", "prior_profile")
    )
    p = profile_array(table["pressure_levels"]).astype(float)
    model = 380.0 + 10.0 * p / p[:, :1]
    found = table["prior_column"].to_numpy() + (h * a * (model - x)).sum(1)
    np.testing.assert_allclose(found, wanted, atol=2e-4)
    wrong = table["prior_column"].to_numpy() + (h * a * (model[:, ::-1] - x)).sum(1)
    assert np.abs(wrong - wanted).max() > 0.5


def test_columns_of_the_real_day(sample_data):
    path = sample_data / "satellite" / "acos_lite" / min(DAYS)
    table = read_granule(path).table
    assert set(table["scale"].to_pylist()) == {"X2007"}
    assert set(table["vertical"].to_pylist()) == {"level"}
    assert set(table["mode"].to_pylist()) == {"gain_h", "gain_m"}
    assert set(table["quality_original"].to_pylist()) == {"0", "1"}
    land = table["land_fraction"].to_numpy()
    assert land.min() == 0
    assert land.max() == 1
    with h5py.File(path) as file:
        identity = [f"acos_lite_v9:{i}" for i in file["sounding_id"][()]]
        start = file["time"][()]
    assert table["obs_id"].to_pylist() == identity
    seconds = table["time"].to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6
    np.testing.assert_allclose(seconds, start + 2.0, atol=1e-5)  # the file's time is the start of a 4 s scan
    assert ((table["time_end"].to_numpy() - table["time_start"].to_numpy()) == np.timedelta64(4, "s")).all()
    assert set(table["quality"].to_pylist()) == {0, int(Quality.PRODUCER)}


@pytest.mark.parametrize(
    ("name", "version"), [("B10400Br", "10.4"), ("B10309r", "10.3"), ("B11072Ar", "11"), ("B11210Ar", "11.2")]
)
def test_releases_of_oco3_are_told_apart(tmp_path, name, version):
    made = synthetic.lite(version=int(version[:2]), platform="OCO-3")
    path = synthetic.write(tmp_path / f"oco3_LtCO2_200106_{name}_220317235330s.nc4", *made)
    assert read_granule(path).source == f"oco3_lite_v{version}"


@pytest.mark.parametrize("version", [9, 10, 11])
@pytest.mark.parametrize("platform", ["OCO-2", "OCO-3"])
def test_versions_of_synthetic_granules(tmp_path, version, platform):
    prefix = platform.replace("-", "").lower()
    variables, attributes = synthetic.lite(version=version, platform=platform)
    path = synthetic.write(
        tmp_path / synthetic.lite_name(version=version, platform=prefix), variables, attributes
    )
    granule = read_granule(path)
    assert granule.source == f"{prefix}_lite_v{'11.1' if version == 11 else version}"
    assert granule.notes == ()
    table = granule.table
    np.testing.assert_array_equal(good_of(table), variables["xco2_quality_flag"][0] == 0)
    assert set(table["mode"].to_pylist()) == {"nadir", "glint"}
    np.testing.assert_allclose(
        profile_array(table["corner_latitude"]), variables["vertex_latitude"][0], rtol=0, atol=0
    )


def test_version_and_platform_come_from_the_content(tmp_path):
    path = synthetic.write(tmp_path / "renamed.nc4", *synthetic.lite(version=10, platform="OCO-3"))
    assert read_granule(path).source == "oco3_lite_v10"


def test_x2019_is_a_choice_with_a_name_of_its_own(tmp_path):
    variables, attributes = synthetic.lite(version=11)
    path = synthetic.write(tmp_path / "a.nc4", variables, attributes)
    usual, other = read_granule(path), read_granule(path, variant="x2019")
    assert (usual.source, other.source) == ("oco2_lite_v11", "oco2_lite_v11_x2019")
    assert set(other.table["scale"].to_pylist()) == {"X2019"}
    shift = other.table["value"].to_numpy() - usual.table["value"].to_numpy()
    np.testing.assert_allclose(shift, 0.047, atol=1e-4)
    assert not set(usual.table["obs_id"].to_pylist()) & set(other.table["obs_id"].to_pylist())


def test_x2019_is_refused_where_the_file_has_none(tmp_path, sample_data):
    path = synthetic.write(tmp_path / "a.nc4", *synthetic.lite(version=9))
    with pytest.raises(MissingVariableError, match=r"no variable 'xco2_x2019' \(value of oco2_lite\)"):
        read_granule(path, variant="x2019")
    with pytest.raises(ConfigError, match="acos_lite has no variant 'x2019'"):
        read_granule(sample_data / "satellite" / "acos_lite" / min(DAYS), variant="x2019")


@pytest.mark.parametrize("columns", [6, 7])
def test_date_of_six_or_seven_columns_stands_in_for_time(tmp_path, columns):
    variables, attributes = synthetic.lite(20)
    wanted = variables.pop("time")[0]
    variables["date"] = (variables["date"][0][:, :columns], {})
    table = read_granule(synthetic.write(tmp_path / "a.nc4", variables, attributes)).table
    seconds = table["time"].to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6
    np.testing.assert_allclose(seconds, wanted if columns == 7 else np.floor(wanted), atol=1.1e-3)


def test_long_sounding_ids_survive_being_stored_as_doubles(tmp_path):
    variables, attributes = synthetic.lite(20)
    wanted = variables["sounding_id"][0]
    variables["sounding_id"] = (wanted.astype(np.float64), {})
    table = read_granule(synthetic.write(tmp_path / "a.nc4", variables, attributes)).table
    assert table["obs_id"].to_pylist() == [f"oco2_lite_v9:{i}" for i in wanted]


def test_a_sounding_twice_in_one_file_is_flagged_and_keeps_an_identity(tmp_path):
    variables, attributes = synthetic.lite(12)
    identity = variables["sounding_id"][0].copy()
    identity[7] = identity[3]
    variables["sounding_id"] = (identity, {})
    granule = read_granule(synthetic.write(tmp_path / "a.nc4", variables, attributes))
    flags = granule.table["quality"].to_numpy()
    assert np.flatnonzero(flags & int(Quality.DUPLICATE)).tolist() == [7]
    assert len(set(granule.table["obs_id"].to_pylist())) == 12
    assert "1 rows repeat a sounding of the same file" in granule.notes


def test_all_flagged_day_is_a_day_without_good_soundings(tmp_path):
    variables, attributes = synthetic.lite(10)
    variables["xco2_quality_flag"] = (np.ones(10, np.int8), {})
    granule = read_granule(synthetic.write(tmp_path / "a.nc4", variables, attributes))
    assert len(granule.table) == 10
    assert not good_of(granule.table).any()


def test_missing_flag_counts_as_rejected(tmp_path):
    variables, attributes = synthetic.lite(10)
    flag = np.zeros(10, np.int8)
    flag[4] = 127
    variables["xco2_quality_flag"] = (flag, {"missing_value": np.int8(127)})
    table = read_granule(synthetic.write(tmp_path / "a.nc4", variables, attributes)).table
    assert np.flatnonzero(~good_of(table)).tolist() == [4]


def test_nan_and_impossible_positions_are_flagged(tmp_path):
    variables, attributes = synthetic.lite(10)
    variables["xco2_quality_flag"] = (np.zeros(10, np.int8), {})
    latitude = variables["latitude"][0].copy()
    latitude[2], latitude[5], latitude[6] = np.nan, -999999.0, 95.0
    variables["latitude"] = (latitude, variables["latitude"][1])
    table = read_granule(synthetic.write(tmp_path / "a.nc4", variables, attributes)).table
    flags = table["quality"].to_numpy()
    assert np.flatnonzero(flags & int(Quality.GEOLOCATION)).tolist() == [2, 5, 6]


def test_uncertainty_that_is_not_positive_is_flagged(tmp_path):
    variables, attributes = synthetic.lite(6)
    variables["xco2_quality_flag"] = (np.zeros(6, np.int8), {})
    sigma = variables["xco2_uncertainty"][0].copy()
    sigma[1], sigma[3] = 0.0, -999999.0
    variables["xco2_uncertainty"] = (sigma, variables["xco2_uncertainty"][1])
    table = read_granule(synthetic.write(tmp_path / "a.nc4", variables, attributes)).table
    flags = table["quality"].to_numpy()
    assert np.flatnonzero(flags & int(Quality.UNCERTAINTY)).tolist() == [1, 3]


def test_raw_value_is_not_what_is_read(day):
    """Reading xco2_raw instead of xco2 would shift the good mean by almost 2 ppm."""
    fields = open_fields(day)
    with fields.source:
        raw = fields.raw("Retrieval/xco2_raw")
        value = fields.number("value")
        good = fields.raw("xco2_quality_flag") == 0
    assert 1.6 < (value - raw)[good].mean() < 2.0


def test_profiles_only_of_good_rows(tmp_path):
    variables, attributes = synthetic.lite(300)
    path = synthetic.write(tmp_path / "a.nc4", variables, attributes, chunk=32, compress=4)
    whole, part, none = (read_granule(path, profiles=p).table for p in ("all", "good", "none"))
    use = good_of(whole)
    np.testing.assert_array_equal(good_of(part), use)
    np.testing.assert_array_equal(good_of(none), use)
    assert part["averaging_kernel"].null_count == int((~use).sum())
    assert none["averaging_kernel"].null_count == len(none)
    for name in ("averaging_kernel", "pressure_levels", "pressure_weight", "prior_profile"):
        np.testing.assert_array_equal(
            profile_array(part[name].filter(use)), profile_array(whole[name].filter(use)), err_msg=name
        )
    np.testing.assert_array_equal(part["prior_column"].to_numpy()[use], whole["prior_column"].to_numpy()[use])
    with pytest.raises(ConfigError, match="choose all, good or none"):
        read_granule(path, profiles="some")


def test_profiles_of_a_day_without_good_rows(tmp_path):
    variables, attributes = synthetic.lite(40)
    variables["xco2_quality_flag"] = (np.ones(40, np.int8), {})
    path = synthetic.write(tmp_path / "a.nc4", variables, attributes, chunk=16)
    table = read_granule(path, profiles="good").table
    assert len(table) == 40
    assert table["averaging_kernel"].null_count == 40


def test_extra_variables_come_by_table_name_path_or_last_part(tmp_path):
    variables, attributes = synthetic.lite(9)
    path = synthetic.write(tmp_path / "a.nc4", variables, attributes)
    extra = read_granule(path, extra=("raw", "Retrieval/psurf", "dp_sco2", "footprint")).extra
    np.testing.assert_array_equal(extra["raw"], variables["Retrieval/xco2_raw"][0])
    np.testing.assert_array_equal(extra["Retrieval/psurf"], variables["Retrieval/psurf"][0])
    assert extra["footprint"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 1]
    everything = read_granule(path, extra=("*",)).extra
    assert {"raw", "quality_bits", "footprint", "dpfrac", "dws"} <= set(everything)
    with pytest.raises(MissingVariableError, match="no variable 'dp_sc02'; nearest"):
        read_granule(path, extra=("dp_sc02",))


def test_missing_variable_is_named_with_its_role(tmp_path):
    variables, attributes = synthetic.lite(9)
    del variables["co2_profile_apriori"]
    path = synthetic.write(tmp_path / "a.nc4", variables, attributes)
    with pytest.raises(
        MissingVariableError, match=r"a.nc4: no variable 'co2_profile_apriori' \(prior_profile of oco2_lite\)"
    ):
        read_granule(path)


@pytest.mark.parametrize(
    ("unit", "what"),
    [
        ("1e-9", "median 0.4"),
        ("1", r"times 1e-6 it would fit"),
        ("hPa", "their dimensions differ"),
        ("parrots", "not known"),
    ],
)
def test_wrong_unit_text_makes_the_granule_bad(tmp_path, unit, what):
    variables, attributes = synthetic.lite(9)
    variables["xco2"] = (variables["xco2"][0], {"units": unit})
    path = synthetic.write(tmp_path / "a.nc4", variables, attributes)
    with pytest.raises(FormatError, match=what):
        read_granule(path)


def test_another_unit_that_is_right_is_converted_and_told(tmp_path):
    variables, attributes = synthetic.lite(9)
    wanted = read_granule(synthetic.write(tmp_path / "a.nc4", variables, attributes)).table
    variables["xco2"] = (variables["xco2"][0].astype(np.float64) * 1e-6, {"units": "mol mol-1"})
    variables["pressure_levels"] = (variables["pressure_levels"][0] * 100, {"units": "Pa"})
    granule = read_granule(synthetic.write(tmp_path / "b.nc4", variables, attributes))
    np.testing.assert_allclose(granule.table["value"].to_numpy(), wanted["value"].to_numpy(), rtol=1e-7)
    np.testing.assert_allclose(
        profile_array(granule.table["pressure_levels"]), profile_array(wanted["pressure_levels"]), rtol=1e-6
    )
    assert "pressure_levels: converted from 'Pa', where hPa was expected" in granule.notes


def test_spec_names_are_in_the_synthetic_granule_with_their_types(sample_data):
    spec = synthetic.read_spec(sample_data / "satellite" / "format_specs" / "oco2_LtCO2_180102_B9003r.das")
    variables, _ = synthetic.lite(version=9)
    # The dump lists sounding_id as a dimension only; aod_fine came with v10.
    ours = set(variables) - {"sounding_id", "Retrieval/aod_fine"}
    assert ours <= set(spec), sorted(ours - set(spec))
    for name in ("xco2", "pressure_levels", "xco2_uncertainty", "co2_profile_apriori"):
        assert variables[name][1]["units"] == spec[name]["units"]
        assert float(spec[name]["missing_value"]) == float(variables[name][1]["missing_value"])
    sensor = read_sensor("oco2_lite")
    wanted = {p for v in sensor.variables.values() for p in v.path} | set(sensor.extra.values())
    missing = wanted - set(spec)
    assert missing <= {"Retrieval/aod_fine"}, missing


def read_sensor(name):
    from retrieval.readers.sensors import sensor_named

    return sensor_named(name)
