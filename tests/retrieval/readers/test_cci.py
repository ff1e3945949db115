"""The ESA-CCI family: real proxy methane, WFMD with both separators, unit traps, level and layer products."""

import numpy as np
import pytest

from obsnet.errors import FormatError
from obsnet.schema import Quality, profile_array
from retrieval.products.read import open_fields, read_granule
from retrieval.readers.sensors import load_sensors
from tests.retrieval import synthetic

PROXY = {"20120101": (2417, 1053, 1779.58, 146), "20141205": (2200, 950, 1801.86, 112)}


@pytest.mark.parametrize("date", sorted(PROXY))
def test_real_proxy_methane(sample_data, date):
    path = next((sample_data / "satellite" / "gosat_ocpr").glob(f"*{date}*"))
    table = read_granule(path).table
    soundings, good, mean, china = PROXY[date]
    flags = table["quality"].to_numpy()
    producer = (flags & int(Quality.PRODUCER)) == 0
    assert (len(table), int(producer.sum())) == (soundings, good)
    assert table["value"].to_numpy()[producer].mean() == pytest.approx(mean, abs=0.005)
    lat, lon = table["latitude"].to_numpy(), table["longitude"].to_numpy()
    box = (lat >= 18) & (lat <= 54) & (lon >= 73) & (lon <= 135)
    assert (box & producer).sum() == china
    # one good sounding of 2014 has its lowest level under the ground, filled in all profiles
    assert int((flags == 0).sum()) == good
    assert set(table["vertical"].to_pylist()) == {"level"}
    assert set(table["mode"].to_pylist()) == {"land", "glint"}


def test_proxy_identity_on_every_good_sounding(sample_data):
    for path in sorted((sample_data / "satellite" / "gosat_ocpr").glob("*.nc")):
        fields = open_fields(path)
        with fields.source:
            good = fields.raw("xch4_quality_flag") == 0
            raw = fields.raw("raw_xch4") / fields.raw("raw_xco2") * fields.raw("model_xco2")
            offset = (raw - fields.number("value"))[good]
        np.testing.assert_allclose(offset, 7.70996, atol=1e-3)


@pytest.mark.parametrize("separator", ["-", "_"])
def test_wfmd_with_both_separators_and_both_gases(tmp_path, separator):
    variables, attributes = synthetic.wfmd()
    path = synthetic.write(
        tmp_path / f"ESACCI-GHG-L2-CH4{separator}CO-TROPOMI-WFMD-20171110-fv2.nc", variables, attributes
    )
    for species, name in ((None, "xch4"), ("CO", "xco")):
        granule = read_granule(path, species=species)
        table = granule.table
        assert granule.source == "wfmd_v2"
        np.testing.assert_allclose(table["value"].to_numpy(), variables[name][0], rtol=1e-7)
        assert profile_array(table["pressure_edges"]).shape[1] == 21
        assert profile_array(table["averaging_kernel"]).shape[1] == 20
        assert set(table["vertical"].to_pylist()) == {"layer"}
        assert table["land_fraction"][0].as_py() == pytest.approx(0.8)
    assert table["obs_id"][7].as_py() == "wfmd_v2:372-1-2"
    assert granule.table["species"][0].as_py() == "CO"


def test_ppm_called_1e9_is_read_as_ppm_and_told(tmp_path):
    variables, attributes = synthetic.cci("co2", levels=13, layers=True, unit="1e-9")
    path = synthetic.write(tmp_path / "ESACCI-GHG-L2-CO2-GOSAT2-SRFP-20191231-fv2.nc", variables, attributes)
    granule = read_granule(path)
    assert 400 < granule.table["value"].to_numpy().mean() < 420
    assert 400 < granule.table["prior_column"].to_numpy().mean() < 420
    assert any(
        note.startswith("xco2: unit '1e-9' in the file is known to be wrong") for note in granule.notes
    )


def test_ppm_called_1e9_where_no_table_knows_is_refused(tmp_path):
    variables, attributes = synthetic.cci("co2", unit="1e-9")
    path = synthetic.write(tmp_path / "ESACCI-GHG-L2-CO2-GOSAT-OCFP-20120101-fv7.nc", variables, attributes)
    with pytest.raises(FormatError, match=r"xco2 spans 0\.4.* outside 300 to 600; times 1e\+3 it would fit"):
        read_granule(path)


@pytest.mark.parametrize(
    ("file", "kind", "shape", "source", "vertical"),
    [
        ("ESACCI-GHG-L2-CO2-TANSAT-OCFP-20170303-fv1.nc", "co2", {}, "tansat_ocfp_v1", "level"),
        ("ESACCI-GHG-L2-CO2-GOSAT-OCFP-20120101-fv7.3.nc", "co2", {}, "gosat_ocfp_v7.3", "level"),
        (
            "ESACCI-GHG-L2-CO2-OCO2-FOCAL-20180101-fv10.nc",
            "co2",
            {"levels": 6, "layers": True},
            "oco2_focal_v10",
            "layer",
        ),
        ("ESACCI-GHG-L2-CO2-OCO2-FOCAL-20180101-fv10.nc", "co2", {"levels": 6}, "oco2_focal_v10", "level"),
        (
            "ESACCI-GHG-L2-CH4-GOSAT-SRPR-20120101-fv2.3.8.nc",
            "ch4",
            {"levels": 13, "layers": True},
            "gosat_srpr_ch4_v2.3.8",
            "layer",
        ),
        (
            "ESACCI-GHG-L2-CH4-GOSAT-SRFP-20120101-fv2.nc",
            "ch4",
            {"levels": 13, "layers": True},
            "gosat_srfp_ch4_v2",
            "layer",
        ),
        (
            "ESACCI-GHG-L2-CO2-GOSAT-SRFP-20120101-fv2.nc",
            "co2",
            {"levels": 13, "layers": True},
            "gosat_srfp_co2_v2",
            "layer",
        ),
        (
            "ESACCI-GHG-L2-CH4-GOSAT2-SRPR-20190101-fv2.nc",
            "ch4",
            {"levels": 13, "layers": True},
            "gosat2_srpr_ch4_v2",
            "layer",
        ),
    ],
)
def test_products_of_the_family(tmp_path, file, kind, shape, source, vertical):
    variables, attributes = synthetic.cci(kind, **shape)
    granule = read_granule(synthetic.write(tmp_path / file, variables, attributes))
    table = granule.table
    assert granule.source == source
    assert set(table["vertical"].to_pylist()) == {vertical}
    pressure = profile_array(table["pressure_levels" if vertical == "level" else "pressure_edges"])
    np.testing.assert_array_equal(pressure, variables["pressure_levels"][0])  # surface first already
    np.testing.assert_array_equal(
        table["quality"].to_numpy() == 0, variables[f"x{kind}_quality_flag"][0] == 0
    )
    assert any("never tested on a real file" in note for note in granule.notes)
    column = (variables["pressure_weight"][0].astype(float) * variables[f"{kind}_profile_apriori"][0]).sum(1)
    np.testing.assert_allclose(table["prior_column"].to_numpy(), column, rtol=1e-6)


@pytest.mark.parametrize(
    ("dump", "sensor"),
    [
        ("ESACCI-GHG-L2-CH4-CO-TROPOMI-WFMD-20171110-fv2.cdl", "wfmd"),
        ("ESACCI-GHG-L2-CO2-GOSAT2-SRFP-20191231-fv2.cdl", "gosat2_srfp_co2"),
    ],
)
def test_every_path_of_the_table_stands_in_the_header_of_a_real_file(sample_data, dump, sensor):
    spec = synthetic.read_spec(sample_data / "satellite" / "format_specs" / dump)
    table = load_sensors()[sensor]
    entries = [*table.variables.items(), *(i for o in table.other.values() for i in o.variables.items())]
    for role, entry in entries:
        assert any(p in spec for p in entry.path) or entry.optional, (role, entry.path)
    assert set(table.extra.values()) <= set(spec)
    assert all(p in spec for p in table.id)
    builder = synthetic.wfmd()[0] if sensor == "wfmd" else synthetic.cci("co2")[0]
    assert set(builder) <= set(spec)
    for name, (values, own) in builder.items():
        assert values.ndim == len(spec[name]["dims"].split(",")), name
        if "units" in own and name not in ("latitude", "longitude") and sensor == "wfmd":
            assert own["units"] == spec[name]["units"], name
