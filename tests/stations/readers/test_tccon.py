"""TCCON: the column operator of GGG2020 and GGG2014 on the observation contract."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest

from obsnet.errors import ConfigError, FormatError, MissingVariableError
from obsnet.schema import Quality, profile_array
from stations import read
from stations.readers import read_all
from stations.readers.tccon_column import level_weights
from stations.record.summary import summary
from stations.store.observations import observations
from tests.stations.dialects_netcdf import ggg2014, ggg2020

HARWELL = "satellite/tccon/hw20230402_20230402.public.qc.nc"


@pytest.fixture
def harwell(sample_data):
    return sample_data / HARWELL


def test_harwell_columns(harwell):
    record = read(harwell)
    found = summary(record)
    assert (found["rows"], found["kind"], found["unit"], found["site"]) == (64, "column", "ppm", "HW")
    assert found["mean_good"] == pytest.approx(420.8328, abs=5e-5)
    assert (found["scale"], found["source"]) == ("WMO CO2 X2007", "tccon_ggg2020_xco2")
    assert found["species_available"] == ["CO2", "CO2_X2019", "CH4", "N2O", "CO"]
    assert found["warnings"] == []
    assert record.attrs["vertical"] == "level"
    assert record.attrs["file_format_version"] == "2020.B"


def test_x2019_is_another_record_with_an_operator_of_its_own(harwell):
    old, new = read(harwell), read(harwell, "CO2_X2019")
    assert summary(new)["mean_good"] == pytest.approx(420.8796, abs=5e-5)
    assert (new.attrs["scale"], new.attrs["source"], new.attrs["species"]) == (
        "WMO CO2 X2019",
        "tccon_ggg2020_xco2_x2019",
        "CO2",
    )
    # 1.00079 x - 0.142 would give +0.190
    assert float((new["value"] - old["value"]).mean()) == pytest.approx(0.047, abs=5e-4)
    assert not np.array_equal(new["operator_sum"].values, old["operator_sum"].values)
    assert not np.array_equal(new["prior_column_file"].values, old["prior_column_file"].values)
    # never by accident beside the other: all species of the file leave it out
    assert [r.attrs["source"] for r in read_all(harwell)] == [
        f"tccon_ggg2020_x{g}" for g in ("co2", "ch4", "n2o", "co")
    ]


@pytest.mark.parametrize("name", ["CO2", "CO2_X2019", "CH4", "N2O", "CO"])
def test_the_operator_keeps_its_identities(harwell, name):
    record = read(harwell, name)
    h, a = record["pressure_weight"].values, record["averaging_kernel"].values
    x_a, total = record["prior_profile"].values, record["operator_sum"].values
    np.testing.assert_allclose(h.sum(axis=1), 1.0, atol=1e-12)
    # S h . x_a is the file's prior column, computed there from wet profiles
    np.testing.assert_allclose(total * (h * x_a).sum(axis=1), record["prior_column_file"].values, rtol=2e-4)
    np.testing.assert_allclose((h * x_a).sum(axis=1), record["prior_column"].values, rtol=1e-12)
    assert (np.diff(record["pressure_levels"].values, axis=1) < 0).all()  # surface first
    assert 0.0 < a.min() < 1.0 < a.max()
    assert (record["quality"].values == 0).all()


def test_the_prior_is_dry_and_in_the_species_unit(harwell):
    with netCDF4.Dataset(harwell) as nc:
        wet, water = nc["prior_ch4"][:].filled(), nc["prior_h2o"][:].filled()
        raw = nc["xch4"][:].filled()
    record = read(harwell, "CH4")
    assert record.attrs["unit"] == "ppb"
    np.testing.assert_allclose(record["prior_profile"].values, wet / (1 - water), rtol=1e-6)
    np.testing.assert_allclose(
        record["value"].values, raw * 1000.0, rtol=1e-6
    )  # xch4 is in ppm, its prior in ppb
    assert summary(record)["mean_good"] == pytest.approx(1888.645, abs=5e-4)


def test_smoothing_a_wet_model_profile_gives_what_the_file_s_own_formula_gives(harwell):
    """c_s = prior_x + sum IO AK (w - prior) of the file, against X_a + sum h a (x - x_a) of the contract."""
    with netCDF4.Dataset(harwell) as nc:
        io, kernel = nc["integration_operator"][:].filled(), nc["ak_xco2"][:].filled()
        wet, water, prior = (
            nc["prior_co2"][:].filled(),
            nc["prior_h2o"][:].filled(),
            nc["prior_xco2"][:].filled(),
        )
    model = wet * (1.0 + 0.02 * np.linspace(1, -1, 51))  # a tilt: a reversed profile would not pass
    theirs = prior + (io * kernel * (model - wet)).sum(axis=1)
    record = read(harwell)
    x = model / (1.0 - water)
    ours = record["prior_column"].values + (
        record["pressure_weight"].values
        * record["averaging_kernel"].values
        * (x - record["prior_profile"].values)
    ).sum(axis=1)
    # theirs carries S, the scatter of the oxygen column (0.998 to 1.0035); without it the two are one
    np.testing.assert_allclose(theirs / record["operator_sum"].values, ours, rtol=2e-4)


def test_times_are_times_although_other_variables_count_in_days_and_hours(harwell):
    record = read(harwell)
    assert str(record["time"].values[0])[:19] == "2023-04-02T15:09:00"
    assert record["time"].dtype.kind == "M"
    assert record["latitude"].values[0] == pytest.approx(51.57, abs=1e-4)
    assert record["altitude_m"].values[0] == pytest.approx(142.0, abs=1e-3)


def test_on_the_observation_contract(harwell):
    table = observations(read(harwell, "CO2_X2019"), digest="0" * 64)
    assert table["kind"][0].as_py() == "column"
    assert profile_array(table["averaging_kernel"]).shape == (64, 51)
    assert set(table["vertical"].to_pylist()) == {"level"}
    assert set(table["scale"].to_pylist()) == {"WMO CO2 X2019"}
    assert len(set(table["obs_id"].to_pylist())) == 64


def copy(source, target, change):
    """Copy a netCDF file variable by variable; `change(name, values)` may alter values or return None to drop one."""
    with netCDF4.Dataset(source) as old, netCDF4.Dataset(target, "w") as new:
        old.set_auto_mask(False)
        new.setncatts({a: old.getncattr(a) for a in old.ncattrs()})
        for name, dim in old.dimensions.items():
            new.createDimension(name, len(dim))
        for name, variable in old.variables.items():
            values = change(name, variable[:])
            if values is not None:
                copied = new.createVariable(name, variable.dtype, variable.dimensions)
                copied.setncatts({a: variable.getncattr(a) for a in variable.ncattrs() if a != "_FillValue"})
                copied[:] = values
    return target


def test_a_bad_integration_operator_is_flagged(harwell, tmp_path):
    def break_one(name, values):
        if name == "integration_operator":
            values[5] *= 1.3
        return values

    record = read(copy(harwell, tmp_path / "hw.nc", break_one))
    assert np.flatnonzero(record["quality"].values & np.uint32(Quality.OPERATOR)).tolist() == [5]
    assert (
        "1 rows have an integration operator that does not rebuild the prior column (flagged 'operator')"
        in record.attrs["warnings"]
    )


def test_a_missing_kernel_or_prior_is_flagged_and_counted(harwell, tmp_path):
    def punch(name, values):
        if name == "ak_xco2":
            values[3, 7] = np.nan
        if name == "ak_xch4":
            values[:] = np.nan
        return values

    carbon, methane = read_all(copy(harwell, tmp_path / "columns.nc", punch))[:2]
    assert carbon.attrs["site"] == "HW"  # a file that was renamed says what it was made of
    flagged = carbon["quality"].values & np.uint32(Quality.OPERATOR) != 0
    assert np.flatnonzero(flagged).tolist() == [3]
    assert "1 rows lack a kernel, prior or weight (flagged 'operator')" in carbon.attrs["warnings"]
    assert (methane["quality"].values & np.uint32(Quality.OPERATOR) != 0).all()


def test_priors_by_index_as_before_2020_b(harwell, tmp_path):
    whole = read(harwell)
    path = copy(harwell, tmp_path / "hw.nc", lambda _name, values: values)
    with netCDF4.Dataset(path, "a") as nc:
        nc.createVariable("prior_index", "i4", ("time",))[:] = np.arange(64)[::-1]
    record = read(path)
    np.testing.assert_allclose(record["pressure_levels"].values, whole["pressure_levels"].values[::-1])
    with netCDF4.Dataset(path, "a") as nc:
        nc["prior_index"][:] = 64
    with pytest.raises(FormatError, match="prior_index runs from 64 to 64, there are 64 priors"):
        read(path)


def test_kernels_by_slant_column_as_before_2020_b(harwell, tmp_path):
    path = copy(harwell, tmp_path / "hw.nc", lambda name, values: None if name == "ak_xco2" else values)
    with netCDF4.Dataset(path, "a") as nc:
        nc.createDimension("ak_slant_xgas_bin", 2)
        slant = nc["airmass"][:].filled() * nc["xco2"][:].filled()
        nc.createVariable("ak_slant_xco2_bin", "f8", ("ak_slant_xgas_bin",))[:] = [
            slant.min(),
            0.5 * (slant.min() + slant.max()),
        ]
        table = nc.createVariable("ak_xco2", "f8", ("ak_altitude", "ak_slant_xgas_bin"))
        table[:] = np.stack([np.full(51, 0.5), np.full(51, 1.5)], axis=1)
    kernel = read(path)["averaging_kernel"].values
    share = np.clip((slant - slant.min()) / (0.5 * (slant.max() - slant.min())), 0, 1)
    np.testing.assert_allclose(kernel, np.broadcast_to((0.5 + share)[:, None], (64, 51)), rtol=1e-6)


def test_a_kernel_table_without_what_it_is_tabulated_by_is_refused(harwell, tmp_path):
    path = copy(harwell, tmp_path / "hw.nc", lambda name, values: None if name == "ak_xco2" else values)
    with netCDF4.Dataset(path, "a") as nc:
        nc.createDimension("ak_slant_xgas_bin", 2)
        nc.createVariable("ak_xco2", "f8", ("ak_altitude", "ak_slant_xgas_bin"))[:] = 1.0
    with pytest.raises(MissingVariableError, match="without ak_slant_xco2_bin and airmass"):
        read(path)


def test_without_an_integration_operator_weights_come_from_pressure_and_humidity(harwell, tmp_path):
    whole = read(harwell)
    path = copy(
        harwell, tmp_path / "hw.nc", lambda name, values: None if name == "integration_operator" else values
    )
    record = read(path)
    assert (
        "64 rows weighted by pressure and humidity: the file has no integration_operator"
        in record.attrs["changes"]
    )
    np.testing.assert_allclose(record["pressure_weight"].values.sum(axis=1), 1.0)
    # on real profiles the two sets of weights agree closely enough for the prior column
    np.testing.assert_allclose(record["prior_column"].values, whole["prior_column"].values, rtol=2e-4)


def test_profiles_from_the_top_down_are_refused(harwell, tmp_path):
    def reverse(name, values):
        return values[:, ::-1] if name == "prior_pressure" else values

    with pytest.raises(FormatError, match="prior levels run from the top down"):
        read(copy(harwell, tmp_path / "hw.nc", reverse))


# --- GGG2014, from the published description of its files (no real file at hand) -----------------------------


@pytest.mark.parametrize("first", [0, 1])
def test_ggg2014_prior_of_the_local_day_whichever_way_the_index_counts(tmp_path, first):
    record = read(ggg2014(tmp_path / "rj20150601.public.nc", first=first))
    assert (record.attrs["source"], record.attrs["site"]) == ("tccon_ggg2014_xco2", "RJ")
    np.testing.assert_allclose(record["prior_profile"].values[:, 0], [400, 400, 400, 401, 401, 401])
    np.testing.assert_allclose(record["prior_column"].values, [400, 400, 400, 401, 401, 401])
    assert record["time"].values[0] == np.datetime64("2015-06-01T01:00")
    assert record.attrs["warnings"] == []


def test_ggg2014_an_index_that_fits_neither_way_gives_way_to_the_dates(tmp_path):
    record = read(ggg2014(tmp_path / "rj.nc", first=4))
    assert any("prior_date_index that does not fit the priors' dates" in w for w in record.attrs["warnings"])
    np.testing.assert_allclose(record["prior_column"].values, [400, 400, 400, 401, 401, 401])
    without = read(ggg2014(tmp_path / "rj2.nc", with_index=False))
    np.testing.assert_allclose(without["prior_column"].values, [400, 400, 400, 401, 401, 401])


def test_ggg2014_kernel_by_zenith_angle_and_pressure(tmp_path):
    kernel = read(ggg2014(tmp_path / "rj.nc"))["averaging_kernel"].values
    np.testing.assert_allclose(kernel[0], [0.8, 0.88, 1.0, 1.0 + 0.2 * 300 / 499, 1.2])  # zenith 0
    np.testing.assert_allclose(kernel[1, 0], 0.9)  # half way to 60 degrees
    np.testing.assert_allclose(kernel[2, 0], 1.0)  # 80 degrees: clamped at 60
    np.testing.assert_allclose(kernel[2, 4], 0.4)


def test_ggg2014_methane_is_in_ppm_with_a_prior_in_ppb(tmp_path):
    record = read(ggg2014(tmp_path / "rj.nc"), "CH4")
    assert (record.attrs["unit"], record["value"].values[0]) == ("ppb", 1850.0)
    np.testing.assert_allclose(record["prior_column"].values, 1850.0)
    with pytest.raises(ConfigError, match="no N2O in this file; there is: 'CH4', 'CO2'"):
        read(tmp_path / "rj.nc", "N2O")


def test_ggg2014_priors_and_water_are_of_dry_air(tmp_path):
    """Humid air near the ground weighs by q = h / (1 + h); the priors stay what they are."""
    h = np.array([0.04, 0.02, 0.002, 1e-5, 1e-6])
    record = read(ggg2014(tmp_path / "rj.nc", water=h))
    np.testing.assert_array_equal(record["prior_profile"].values[:3], 400.0)
    levels = record["pressure_levels"].values[:1]
    weights = level_weights(levels, (h / (1.0 + h))[None], np.full((1, 5), 9.8), np.array([1000.0]))
    np.testing.assert_allclose(record["pressure_weight"].values[0], weights[0], rtol=1e-12)


def test_ggg2014_water_in_ppm_is_recognised(tmp_path):
    record = read(ggg2014(tmp_path / "rj.nc", water_unit=1e6))
    np.testing.assert_allclose(record["prior_column"].values[:3], 400.0)


def test_ggg2014_time_from_year_day_and_hour_where_time_counts_from_nothing(tmp_path):
    whole = read(ggg2014(tmp_path / "rj.nc"))
    with netCDF4.Dataset(tmp_path / "rj.nc", "a") as nc:
        nc["time"].units = "days"
        stamp = whole["time"].values
        year = stamp.astype("datetime64[Y]")
        day = (stamp.astype("datetime64[D]") - year) / np.timedelta64(1, "D") + 1
        hour = (stamp - stamp.astype("datetime64[D]")) / np.timedelta64(1, "h")
        hour[-1] = -1e38
        for name, values in (("year", year.astype(int) + 1970), ("day", day), ("hour", hour)):
            variable = nc.createVariable(name, "f8", ("time",))
            variable.missing_value = -1e38
            variable[:] = values
    record = read(tmp_path / "rj.nc")
    np.testing.assert_array_equal(record["time"].values[:-1], stamp[:-1])
    assert np.isnat(record["time"].values[-1])
    assert record["quality"].values[-1] & np.uint32(Quality.TIME)


def test_ggg2014_priors_without_a_date_are_refused(tmp_path):
    with netCDF4.Dataset(ggg2014(tmp_path / "rj.nc"), "a") as nc:
        nc["prior_day"][1] = np.nan
    with pytest.raises(FormatError, match="a prior has no possible date"):
        read(tmp_path / "rj.nc")


def test_ggg2014_kernel_table_may_stand_the_other_way(tmp_path):
    kernel = read(ggg2014(tmp_path / "rj.nc"))["averaging_kernel"].values
    with netCDF4.Dataset(tmp_path / "rj.nc", "a") as nc:
        table = nc["ak_co2"][:].filled()
        nc.renameVariable("ak_co2", "old")
        nc.createVariable("ak_co2", "f8", ("ak_zenith", "ak_P_hPa"))[:] = table.T
    np.testing.assert_array_equal(read(tmp_path / "rj.nc")["averaging_kernel"].values, kernel)


@pytest.mark.parametrize("surface", [-1e38, 0.0, 1e30, 10.0])
def test_ggg2014_without_a_possible_surface_pressure_is_flagged(tmp_path, surface):
    record = read(ggg2014(tmp_path / "rj.nc", surface=surface))
    assert (record["quality"].values & np.uint32(Quality.OPERATOR) != 0).all()


# --- weights: analytical limits ------------------------------------------------------------------------------

P = np.array([[1000.0, 700.0, 400.0, 100.0]])
FLAT = np.full((1, 4), 9.8)
DRY = np.zeros((1, 4))


def test_dry_weights_over_whole_layers_are_the_half_split():
    weights = level_weights(P, DRY, FLAT, np.array([1000.0]))
    np.testing.assert_allclose(weights, [[1 / 6, 1 / 3, 1 / 3, 1 / 6]])


def test_a_surface_inside_the_lowest_layer_moves_weight_up():
    weights = level_weights(P, DRY, FLAT, np.array([850.0]))
    # the part of 850 to 700 has its middle at 775: a quarter of the way from 700 to 1000
    np.testing.assert_allclose(weights * 750.0, [[150 * 0.25, 150 * 0.75 + 150, 300, 150]])
    assert level_weights(P, DRY, FLAT, np.array([650.0]))[0, 0] == 0.0


@pytest.mark.parametrize("surface", [500.0, 850.0, 1000.0, 1030.0])
def test_a_profile_linear_in_pressure_is_integrated_exactly(surface):
    weights = level_weights(P, DRY, FLAT, np.array([surface]))
    assert weights.sum() == pytest.approx(1.0)
    assert (weights * P).sum() == pytest.approx((surface + 100.0) / 2.0)


def test_humid_air_near_the_ground_weighs_less_as_dry_air():
    humid = level_weights(P, np.array([[0.03, 0.01, 0.0, 0.0]]), FLAT, np.array([1000.0]))
    dry = level_weights(P, DRY, FLAT, np.array([1000.0]))
    assert humid[0, 0] < dry[0, 0]
    assert humid[0, 3] > dry[0, 3]
    assert humid.sum() == pytest.approx(1.0)


def test_stronger_gravity_means_less_air_a_hectopascal():
    gravity = np.array([[9.9, 9.8, 9.7, 9.6]])
    weights = level_weights(P, DRY, gravity, np.array([1000.0]))
    assert weights[0, 0] < 1 / 6
    assert weights[0, 3] > 1 / 6


def test_kernels_clamped_at_the_end_of_their_table_are_counted(harwell, tmp_path):
    assert (np.abs(read(harwell)["kernel_extrapolation"].values) <= 1).all()

    def clamp(name, values):
        if name == "extrapolation_flags_ak_xco2":
            values[:3] = 2
        return values

    record = read(copy(harwell, tmp_path / "hw.nc", clamp))
    assert record["kernel_extrapolation"].values[:3].tolist() == [2, 2, 2]
    assert "3 rows have a kernel clamped at the end of its table" in record.attrs["warnings"]


def test_units_of_columns_count_and_pressures_that_none_has_are_flagged(tmp_path):
    path = ggg2020(tmp_path / "xx20170714_20170714.public.nc")
    plain = read(path)
    assert plain.attrs["warnings"] == []
    with netCDF4.Dataset(path, "a") as nc:
        nc["xco2_error"].units, nc["xco2_error"][:] = "ppb", 400.0
        nc["zobs"].units, nc["zobs"][:] = "m", 200.0
    told = read(path)
    for name in ("uncertainty", "altitude_m"):
        np.testing.assert_allclose(told[name], plain[name])
    with netCDF4.Dataset(path, "a") as nc:
        nc["xco2_error"].units = "ppm"
        nc["prior_pressure"][:] *= 1013.25
    told = read(path)
    assert told.attrs["warnings"] == ["3 rows begin at 1.02668e+06 hPa (flagged 'operator')"]
    assert (told["quality"].values == int(Quality.OPERATOR)).all()
    with netCDF4.Dataset(path, "a") as nc:
        nc["prior_pressure"][:] /= 1013.25
        variable = nc.createVariable("ak_pressure", "f8", ("prior_altitude",))
        variable[:] = [100.0, 400.0, 700.0, 1000.0]
    with pytest.raises(FormatError, match="kernels run from the top down by ak_pressure"):
        read(path)


@pytest.mark.parametrize(("error", "said"), [(4e-7, "1e-09 times"), (400.0, "1 times")])
def test_uncertainties_in_another_unit_are_told(tmp_path, error, said):
    path = ggg2020(tmp_path / "xx20170714_20170714.public.nc")
    with netCDF4.Dataset(path, "a") as nc:
        nc["xco2"][:] = 400.0
        nc["xco2_error"][:] = error
    assert read(path).attrs["warnings"] == [
        f"3 rows have an uncertainty {said} the value: is its unit right?"
    ]
