"""ACOS L2 standard (real); NIES, GOSAT-GW, TanSat, CO2M and generic layouts (synthetic, marked untested)."""

import h5py
import numpy as np
import pytest
from scipy.io import netcdf_file

from obsnet.errors import FormatError
from obsnet.schema import Quality, profile_array
from retrieval.products.read import read_granule
from retrieval.readers.sensors import load_sensors
from tests.retrieval import synthetic


@pytest.fixture
def l2s(sample_data):
    return next((sample_data / "satellite" / "acos_l2s").glob("*.h5"))


def test_real_l2_standard(l2s):
    granule = read_granule(l2s, extra=("cloud_flag",))
    table = granule.table
    flags = table["quality"].to_numpy()
    assert len(table) == 60
    assert table["value"].to_numpy().mean() == pytest.approx(394.961, abs=5e-4)
    assert (flags == 0).sum() == 4
    assert (flags & int(Quality.SUSPECT) != 0).sum() == 2  # 'Caution'
    assert set(table["quality_original"].to_pylist()) == {"Good", "Caution", "Bad"}
    with h5py.File(l2s) as file:
        every, retrieved = (
            file["SoundingHeader/sounding_id"][()],
            file["RetrievalResults/sounding_id_reference"][()],
        )
        cloud = file["SoundingHeader/cloud_flag"][()]
        active = file["RetrievalResults/num_active_levels"][()]
        p = file["RetrievalResults/vector_pressure_levels"][()]
        h = file["RetrievalResults/xco2_pressure_weighting_function"][()]
    place = {i: k for k, i in enumerate(every)}
    np.testing.assert_array_equal(granule.extra["cloud_flag"], cloud[[place[i] for i in retrieved]])
    found = profile_array(table["pressure_levels"])
    weight = profile_array(table["pressure_weight"])
    for row in range(60):
        n = active[row]
        np.testing.assert_allclose(found[row, :n], p[row, :n][::-1] / 100, rtol=1e-6)
        np.testing.assert_allclose(weight[row, :n], h[row, :n][::-1], rtol=1e-6)
        assert (weight[row, n:] == 0).all()
    sound = (flags & int(Quality.OPERATOR)) == 0
    assert sound.sum() == 55  # five have a prior of 0 at their lowest level
    assert (np.diff(found[sound], axis=1) < 0).all()
    np.testing.assert_allclose(weight.sum(1), 1, atol=1e-6)
    assert any("20 rows have fewer active levels" in note for note in granule.notes)


def test_time_of_l2_standard_is_the_middle(l2s):
    table = read_granule(l2s).table
    first = table["obs_id"][0].as_py()
    assert first == "acos_l2s_v2.9:20110419002609" or first.endswith(":20110419002609")
    middle = np.datetime64("2011-04-19T00:26:10.901", "us")
    assert table["time"].to_numpy()[0].astype("datetime64[us]") == middle
    assert table["time_start"].to_numpy()[0].astype("datetime64[us]") == middle - np.timedelta64(2, "s")


def test_ids_that_are_not_among_all_soundings(l2s, tmp_path):
    copy = tmp_path / l2s.name
    copy.write_bytes(l2s.read_bytes())
    with h5py.File(copy, "a") as file:
        identity = file["RetrievalResults/sounding_id_reference"]
        identity[3] = 1
    with pytest.raises(FormatError, match="1 of 60 ids of RetrievalResults/sounding_id_reference are not in"):
        read_granule(copy, extra=("cloud_flag",))


@pytest.mark.parametrize(("species", "low", "high"), [("CO2", 395, 405), ("CH4", 1840, 1860)])
def test_nies_gosat(tmp_path, species, low, high):
    variables, attributes = synthetic.nies_gosat(species)
    granule = read_granule(synthetic.write(tmp_path / "SWIRL2_V02.95.h5", variables, attributes))
    table = granule.table
    flags = table["quality"].to_numpy()
    assert granule.sensor.species == species
    assert granule.sensor.untested
    use = flags == 0
    assert low < table["value"].to_numpy()[use].mean() < high
    assert flags[1] & int(Quality.GEOLOCATION)
    assert flags[2] & int(Quality.RANGE)
    assert np.flatnonzero(flags & int(Quality.PRODUCER)).tolist() == [3, 7, 11]
    # The stored time is the end of a 4 s integration.
    end = np.datetime64(variables["scanAttribute/time"][0][0].decode().replace(" ", "T"), "us")
    assert table["time"].to_numpy()[0].astype("datetime64[us]") == end - np.timedelta64(2, "s")
    assert table["averaging_kernel"].null_count == len(table)
    assert table["land_fraction"][0].as_py() == 1.0


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize("species", ["CO2", "CH4", "CO"])
def test_nies_gosat2_takes_its_order_from_the_pressures(tmp_path, top_first, species):
    variables, attributes = synthetic.nies_gosat2(top_first=top_first)
    path = synthetic.write(tmp_path / "GOSAT2TFTS220211029_02SWFPV0220000018.h5", variables, attributes)
    granule = read_granule(path, species=species)
    assert granule.source == "nies_gosat2_v2.20"
    pressure = profile_array(granule.table["pressure_edges"])
    assert (pressure[:, 0] > 800).all()
    assert pressure.shape[1] == 16
    weight = variables["RetrievalResult/pressure_weighting_function"][0]
    turn = -1 if top_first else 1
    np.testing.assert_array_equal(profile_array(granule.table["pressure_weight"]), weight[:, ::turn])
    flag = variables[f"RetrievalResult/x{species.lower()}_quality_flag"][0]
    np.testing.assert_array_equal(granule.table["quality"].to_numpy() == 0, flag == 0)
    assert granule.table["obs_id"][2].as_py() == "nies_gosat2_v2.20:G2-0002"


@pytest.mark.parametrize("mode", ["W", "F"])
def test_gosat_gw(tmp_path, mode):
    path = synthetic.write(tmp_path / f"GWT3{mode}_L2_GHG_20260101.h5", *synthetic.nies_gosat2())
    granule = read_granule(path)
    assert granule.sensor.name == "gosat_gw"
    assert "the table of gosat_gw was never tested on a real file" in granule.notes


def test_tansat_of_the_agency_with_time_in_parts_and_one_weight_profile(tmp_path):
    variables, h = synthetic.tansat()
    table = read_granule(synthetic.write(tmp_path / "TanSat_L2SCI_02.nc", variables)).table
    assert np.datetime_as_string(table["time"].to_numpy()[3], "s") == "2018-01-02T03:00:00"
    np.testing.assert_allclose(profile_array(table["pressure_weight"])[4], h / h.sum(), rtol=1e-6)
    assert (table["quality"].to_numpy() == 0).all()


def test_co2m_is_a_swath_of_groups(tmp_path):
    variables = synthetic.co2m()
    path = synthetic.write(tmp_path / "CO2M_L2.nc", variables, {"platform": "CO2M-A"})
    table = read_granule(path).table
    assert len(table) == 11
    assert set(table["vertical"].to_pylist()) == {"layer"}
    assert (profile_array(table["pressure_edges"])[:, 0] > 800).all()
    assert np.datetime_as_string(table["time"].to_numpy()[-1], "s") == "2028-01-11T00:00:03"
    assert len(read_granule(path, species="CH4").table) == 12


@pytest.mark.parametrize("uncertain", [True, False])
def test_methanesat_is_a_swath_without_operator(tmp_path, uncertain):
    variables = synthetic.methanesat(uncertain)
    name = "MethaneSAT_L2_post_20241205T011500_20241205T011530.nc"
    granule = read_granule(synthetic.write(tmp_path / name, variables, {}))
    assert granule.source == "methanesat"
    assert "the table of methanesat was never tested on a real file" in granule.notes
    assert ("the file states no uncertainty: no row can be used" in granule.notes) is not uncertain
    table = granule.table
    assert len(table) == 19
    assert (table["quality"].to_numpy() == 0).sum() == (15 if uncertain else 0)
    assert np.datetime_as_string(table["time"].to_numpy()[0], "s") == "2024-12-05T08:15:00"
    assert table["averaging_kernel"].null_count == 19


def lidar_rows(n=5):
    rng = np.random.default_rng(2)
    pressure = np.tile(np.array([1000.0, 800, 600, 400, 200, 50]), (n, 1))
    function = rng.uniform(0.5, 1.5, (n, 6)) * np.array([1.2, 1.4, 1.1, 0.8, 0.4, 0.1])
    return pressure, function, 411 + rng.normal(0, 0.3, n)


def lidar_text(path):
    pressure, function, value = lidar_rows()
    header = ["time", "latitude", "longitude", "quality_flag", "xco2", "xco2_uncertainty"]
    header += [f"{name}_{k + 1}" for name in ("pressure_levels", "weighting_function") for k in range(6)]
    lines = ["# platform = DQ-1", "# unit xco2 = ppm", "# unit pressure_levels = Pa", ",".join(header)]
    for row in range(5):
        numbers = [f"2022-05-01T0{row}:00:00Z", 30 + row, 110, int(row == 4), value[row], 1.0]
        lines.append(",".join(map(str, [*numbers, *(100 * pressure[row]), *function[row]])))
    path.write_text("\n".join(lines))
    return path


def test_lidar_as_text(tmp_path):
    pressure, function, _ = lidar_rows()
    path = lidar_text(tmp_path / "acdl_20220501.csv")
    granule = read_granule(path)
    table = granule.table
    assert granule.source == "acdl"
    assert set(table["platform"].to_pylist()) == {"DQ-1"}
    np.testing.assert_allclose(
        profile_array(table["pressure_weight"]), function / function.sum(1, keepdims=True), rtol=1e-6
    )
    assert (profile_array(table["averaging_kernel"]) == 1).all()
    np.testing.assert_allclose(profile_array(table["pressure_levels"]), pressure, rtol=1e-6)
    assert (table["quality"].to_numpy() == 0).tolist() == [True] * 4 + [False]
    # With a kernel of 1 the prior drops out: X_model = prior_column + sum h (x - x_a) = sum h x.
    h, x_a = profile_array(table["pressure_weight"]), profile_array(table["prior_profile"])
    model = np.linspace(420, 400, 6)
    found = table["prior_column"].to_numpy() + (h * (model - x_a)).sum(1)
    np.testing.assert_allclose(found, (h * model).sum(1), rtol=1e-6)


def own_netcdf3(path):
    """Profiles from the top down."""
    rng = np.random.default_rng(3)
    pressure, weight, kernel, prior = (a[:, ::-1] for a in synthetic.column(4, rng, levels=10))
    arrays = {
        "pressure_levels": pressure,
        "pressure_weight": weight,
        "averaging_kernel": kernel,
        "prior_profile": prior * 4.6,
        "time": np.arange(4.0),
        "latitude": np.full(4, 30.0),
        "longitude": np.full(4, 200.0),
        "quality_flag": np.zeros(4, np.int32),
        "xch4": np.full(4, 1900.0),
        "xch4_uncertainty": np.full(4, 9.0),
    }
    with netcdf_file(path, "w") as file:
        file.createDimension("n", 4)
        file.createDimension("level", 10)
        for name, values in arrays.items():
            variable = file.createVariable(name, values.dtype.str[1:], ("n", "level")[: values.ndim])
            variable[:] = values
    return path


def test_generic_column_as_netcdf3_top_first(tmp_path):
    path = own_netcdf3(tmp_path / "own.nc")
    with netcdf_file(path, mmap=False) as file:
        pressure = file.variables["pressure_levels"][:].copy()
    table = read_granule(path, species="CH4").table
    np.testing.assert_allclose(profile_array(table["pressure_levels"]), pressure[:, ::-1], rtol=1e-6)
    assert set(table["longitude"].to_pylist()) == {-160.0}
    assert (table["quality"].to_numpy() == 0).all()


def test_untested_tables_are_marked():
    untested = {name for name, sensor in load_sensors().items() if sensor.untested}
    assert {"gosat_gw", "co2m", "acdl", "tansat_ocfp", "tansat_iap", "nies_gosat_co2", "wfmd"} <= untested
    assert {"methanesat", "s5p_ch4_v208"} <= untested
    assert not untested & {"acos_lite", "acos_l2s", "gosat_ocpr", "s5p_ch4", "s5p_ch4_blended"}
