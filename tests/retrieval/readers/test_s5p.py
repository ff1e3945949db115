"""TROPOMI: the official layout and the blended product, real and synthetic."""

import numpy as np
import pytest

from obsnet.errors import FormatError, MissingVariableError
from obsnet.schema import Quality, profile_array
from retrieval.products.read import open_fields, read_granule
from tests.retrieval import synthetic

BLENDED = {"02834": (11319, 886), "02850": (11972, 2442), "02955": (11838, None)}


def folder(sample_data, name):
    return sample_data / "satellite" / name


def official(sample_data, pattern):
    return next(folder(sample_data, "tropomi_official").glob(pattern))


def test_real_subset_has_three_retrievals_and_none_good(sample_data):
    granule = read_granule(official(sample_data, "*SUB.nc4"))
    table = granule.table
    assert len(table) == 3
    assert set(table["quality_original"].to_pylist()) == {"0.4"}
    assert set(table["quality"].to_pylist()) == {int(Quality.PRODUCER)}
    assert granule.source == "s5p_ch4_v1.2"
    edges = profile_array(table["pressure_edges"])
    np.testing.assert_allclose(edges[:, -1], 0.1, atol=2e-3)  # 10 Pa at the top
    assert edges.shape[1] == 13
    assert (edges[:, 0] > 800).all()
    prior = profile_array(table["prior_profile"])
    assert (prior[:, 0] > 1700).all()
    assert (prior[:, -1] < 1500).all()
    h = profile_array(table["pressure_weight"])
    np.testing.assert_allclose(h.sum(1), 1, atol=1e-6)


def test_real_orbit_of_few_variables(sample_data):
    path = official(sample_data, "l2ss_varsubset*")
    with pytest.raises(MissingVariableError, match="methane_mixing_ratio_bias_corrected"):
        read_granule(path)
    fields = open_fields(path, variant="raw")
    with fields.source:
        value = fields.number("value")
        there = np.isfinite(value)
        longitude = fields.number("longitude")
        fields.keep(there)
        time, _, _ = fields.times()
    assert there.sum() == 52210
    assert (value[there].min(), value[there].max()) == (
        pytest.approx(1370.45, abs=0.01),
        pytest.approx(1985.21, abs=0.01),
    )
    assert longitude.max() > 179.9
    assert longitude.min() < -179.9
    assert time.min() >= np.datetime64("2019-03-19T11:30:00")
    assert time.max() <= np.datetime64("2019-03-19T12:30:00")


@pytest.mark.parametrize("orbit", sorted(BLENDED))
def test_real_blended_orbits(sample_data, orbit):
    path = next(folder(sample_data, "tropomi_blended").glob(f"*_{orbit}_*"))
    table = read_granule(path).table
    soundings, china = BLENDED[orbit]
    assert len(table) == soundings
    assert (table["quality"].to_numpy() == 0).all()
    assert len(set(table["obs_id"].to_pylist())) == soundings
    if china is not None:
        lat, lon = table["latitude"].to_numpy(), table["longitude"].to_numpy()
        assert ((lat >= 18) & (lat <= 54) & (lon >= 73) & (lon <= 135)).sum() == china


def test_blended_variants_differ_as_published(sample_data):
    path = next(folder(sample_data, "tropomi_blended").glob("*_02850_*"))
    usual, corrected = (
        read_granule(path, variant=v).table["value"].to_numpy() for v in (None, "bias_corrected")
    )
    difference = usual - corrected
    assert difference.mean() == pytest.approx(-7.1, abs=0.05)
    assert difference.std() == pytest.approx(12.3, abs=0.05)


@pytest.mark.parametrize("delta", ["milliseconds", "since"])
def test_synthetic_orbit(tmp_path, delta):
    variables, attributes, truth = synthetic.s5p(delta=delta)
    path = synthetic.write(tmp_path / "S5P.nc", variables, attributes)
    granule = read_granule(path)
    table = granule.table
    there = truth["there"]
    assert len(table) == there.sum()
    np.testing.assert_allclose(
        profile_array(table["pressure_edges"]), truth["edges"][there], rtol=1e-5, atol=1e-3
    )
    np.testing.assert_allclose(profile_array(table["prior_profile"]), truth["prior"][there], rtol=1e-5)
    np.testing.assert_allclose(profile_array(table["pressure_weight"]), truth["weight"][there], rtol=1e-5)
    column = (truth["weight"] * truth["prior"]).sum(1)[there]
    np.testing.assert_allclose(table["prior_column"].to_numpy(), column, rtol=1e-6)
    rows = np.flatnonzero(there)
    assert table["obs_id"].to_pylist() == [f"s5p_ch4_v1.2:7293-{r}" for r in rows]
    line = rows // 5
    wanted = np.datetime64("2019-03-11T10:00:00", "us") + line * np.timedelta64(1_080_000, "us")
    np.testing.assert_array_equal(table["time"].to_numpy().astype("datetime64[us]"), wanted)
    qa = variables["PRODUCT/qa_value"][0].ravel()[there]
    np.testing.assert_array_equal(table["quality"].to_numpy() == 0, qa == 100)
    assert set(table["mode"].to_pylist()) <= {"land", "water", "some_water", "coast"}


def test_snow_class_184_is_land(tmp_path):
    """The two low bits are the surface, the rest is detail."""
    variables, attributes, _truth = synthetic.s5p()
    name = "PRODUCT/SUPPORT_DATA/INPUT_DATA/surface_classification"
    variables[name] = (np.full((1, 6, 5), 184, np.uint8), variables[name][1])
    table = read_granule(synthetic.write(tmp_path / "S5P.nc", variables, attributes)).table
    assert set(table["mode"].to_pylist()) == {"land"}


def test_pixels_on_the_dateline_stay_whole(tmp_path):
    variables, attributes, _truth = synthetic.s5p(2, 3, valid=2.0)
    geo = "PRODUCT/SUPPORT_DATA/GEOLOCATIONS/longitude_bounds"
    centre = np.full((1, 2, 3), 179.98, np.float32)
    centre[0, 1] = -179.99
    corner = np.tile(np.float32([179.9, -179.9, -179.9, 179.9]), (1, 2, 3, 1))
    variables["PRODUCT/longitude"] = (centre, variables["PRODUCT/longitude"][1])
    variables[geo] = (corner, variables[geo][1])
    table = read_granule(synthetic.write(tmp_path / "S5P.nc", variables, attributes)).table
    corners = profile_array(table["corner_longitude"])
    assert np.ptp(corners, axis=1).max() < 0.5
    assert np.abs(corners - table["longitude"].to_numpy()[:, None]).max() < 0.5


def test_synthetic_blended(tmp_path):
    variables, attributes, truth = synthetic.blended()
    name = "S5P_BLND_L2__CH4____20180501T032352_20180501T050523_02834_03_020400_20230614T000922.nc"
    granule = read_granule(synthetic.write(tmp_path / name, variables, attributes))
    assert granule.source == "s5p_ch4_blended_v20400"
    assert granule.table["obs_id"][3].as_py() == "s5p_ch4_blended_v20400:02834-3"
    np.testing.assert_allclose(profile_array(granule.table["prior_profile"]), truth["prior"], rtol=1e-5)


def test_raw_and_corrected_are_different_sources(tmp_path):
    variables, attributes, _ = synthetic.s5p()
    path = synthetic.write(tmp_path / "S5P.nc", variables, attributes)
    assert read_granule(path, variant="raw").source == "s5p_ch4_v1.2_raw"
    assert read_granule(path, variant="raw").table["value"].to_numpy().mean() < 1865


def test_a_file_without_the_corrected_value_is_read_raw_when_asked(sample_data):
    path = official(sample_data, "l2ss_varsubset*")
    with pytest.raises(MissingVariableError, match="--variant raw takes 'PRODUCT/methane_mixing_ratio'"):
        read_granule(path)
    with pytest.raises(MissingVariableError, match="surface_pressure.*--profiles none"):
        read_granule(path, variant="raw")
    granule = read_granule(path, variant="raw", profiles="none")
    assert granule.source == "s5p_ch4_v1.2_raw"
    assert len(granule.table) == 52210
    flags = granule.table["quality"].to_numpy()
    assert (flags & (Quality.UNCERTAINTY | Quality.SUSPECT) == Quality.UNCERTAINTY | Quality.SUSPECT).all()
    assert "values are PRODUCT/methane_mixing_ratio (variant raw)" in granule.notes
    assert "no variable 'PRODUCT/qa_value': every row is doubted" in granule.notes


def test_processor_2_8_has_a_destriped_variant(tmp_path):
    variables, attributes = synthetic.s5p_v208()
    path = synthetic.write(tmp_path / "S5P.nc", variables, attributes)
    usual, destriped = read_granule(path), read_granule(path, variant="destriped")
    assert usual.source == "s5p_ch4_v208_v2.8"
    assert "the table of s5p_ch4_v208 was never tested on a real file" in usual.notes
    assert destriped.source == "s5p_ch4_v208_v2.8_destriped"
    difference = usual.table["value"].to_numpy() - destriped.table["value"].to_numpy()
    np.testing.assert_allclose(difference, 2, atol=1e-3)
    assert (usual.table["quality"].to_numpy() == 0).any()


def test_a_quality_in_per_cent_that_does_not_say_so_is_refused(tmp_path):
    """Of 40 of 100 every one would be above 0.5."""
    variables, attributes, _ = synthetic.s5p()
    stored, _ = variables["PRODUCT/qa_value"]
    variables["PRODUCT/qa_value"] = (stored, {})
    path = synthetic.write(tmp_path / "S5P_OFFL_L2__CH4___.nc", variables, attributes)
    with pytest.raises(
        FormatError, match="qa_value goes to 100, and 1 is the best; has its scale_factor been lost"
    ):
        read_granule(path)
