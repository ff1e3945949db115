"""Fluxes of other makers: layouts as they come, known totals, and the texts that help."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from obsnet.cf import check_flux, read_flux
from obsnet.constants import MOLAR_MASS_CARBON, species
from obsnet.errors import FormatError, GridError, MissingVariableError, RangeError, UnitError
from obsnet.field import grid_of
from obsnet.grid import Grid

CO2 = species("CO2").molar_mass
GLOBE = Grid.regular(-90, 90, -180, 180, 30, 30)
YEAR = ("2015-01-01", "2016-01-01")
EDGAR_NAME = "tendency_of_atmosphere_mass_content_of_carbon_dioxide_due_to_emission"


def pattern(grid=GLOBE):
    """A field that tells every cell apart."""
    return 1e-9 * (1 + np.arange(grid.size, dtype=float).reshape(grid.shape))


def edgar(path, **attrs):
    """Annual emissions as EDGAR lays them out: no time, longitude 0 to 360, float32."""
    attrs = {"units": "kg m-2 s-1", "standard_name": EDGAR_NAME, **attrs}
    data = xr.Dataset(
        {"emi_co2": (("lat", "lon"), np.roll(pattern(), 6, axis=1).astype(np.float32), attrs)},
        coords={
            "lat": ("lat", GLOBE.lat.astype(np.float32), {"units": "degrees_north"}),
            "lon": ("lon", np.mod(np.roll(GLOBE.lon, 6), 360).astype(np.float32), {"units": "degrees_east"}),
        },
        attrs={"title": "Annual emissions", "copyright_notice": "Free with acknowledgement"},
    )
    data.to_netcdf(path)
    return path


def model(path, times=("2020-01-01", "2020-02-01"), **attrs):
    """A model prior: named axes, latitude north to south, several flux variables, monthly."""
    fluxes = {
        name: (
            ("time", "latitude", "longitude"),
            np.stack([(i + k) * pattern()[::-1] for i in range(len(times))]),
        )
        for k, name in ((1, "fossil"), (2, "fire"))
    }
    data = xr.Dataset(
        fluxes,
        coords={"time": np.array(times, "M8[ns]"), "latitude": GLOBE.lat[::-1], "longitude": GLOBE.lon},
        attrs={"species": "CO2"},
    )
    for name in fluxes:
        data[name].attrs = {"units": "mol m-2 s-1", **attrs}
    data.to_netcdf(path)
    return path


class TestEdgarLayout:
    def test_field_is_turned_and_converted(self, tmp_path):
        data = read_flux(edgar(tmp_path / "edgar.nc"), period=YEAR)
        check_flux(data)
        assert grid_of(data) == GLOBE
        assert np.allclose(data["flux"][0, 0], pattern() / CO2, rtol=1e-6)
        assert data["time_bnds"].values.astype("M8[D]").astype(str).tolist() == [list(YEAR)]
        assert data["sector"].values.tolist() == ["emi_co2"]
        assert data.attrs["license"] == "Free with acknowledgement"
        assert data.attrs["title"] == "Annual emissions"
        history = data.attrs["history"]
        assert history.startswith("read from edgar.nc: period as stated by the caller; emi_co2 times 22.7223")
        assert "lon reordered, first was 15" in history

    def test_period_is_asked_for(self, tmp_path):
        with pytest.raises(FormatError, match=r"edgar\.nc: has no time; say period=\(start, stop\)"):
            read_flux(edgar(tmp_path / "edgar.nc"))

    def test_without_the_standard_name_nothing_is_guessed(self, tmp_path):
        path = edgar(tmp_path / "edgar.nc", standard_name="")
        with pytest.raises(UnitError, match="does not say of which substance"):
            read_flux(path, period=YEAR)
        with pytest.raises(UnitError, match="whether the mass is of CO2 or of carbon"):
            read_flux(path, period=YEAR, substance="CO2")
        carbon = read_flux(path, period=YEAR, substance="CO2", basis="carbon")
        assert np.allclose(carbon["flux"][0, 0], pattern() / MOLAR_MASS_CARBON, rtol=1e-6)

    def test_the_real_sample_is_refused_with_its_reason(self, sample_data):
        # Every 53rd cell of the 0.1 degree file: points 5.14 degrees apart that overlap at Greenwich.
        path = sample_data / "inventory/edgar_sample/v6.0_CO2_excl_short-cycle_org_C_2015_TOTALS.5.3x5.1.nc"
        with pytest.raises(GridError, match=r"TOTALS.*longitudes 359\.95 and 0\.05 are 0\.09999 degrees"):
            read_flux(path, period=YEAR)


class TestModelLayout:
    def test_several_variables_become_sectors(self, tmp_path):
        data = read_flux(model(tmp_path / "m.nc"), variable=["fossil", "fire"], time_is="start")
        assert data["sector"].values.tolist() == ["fossil", "fire"]
        assert np.array_equal(data["flux"].sel(sector="fire")[1], 3 * pattern())
        assert data["time_bnds"].values.astype("M8[D]").astype(str)[1].tolist() == [
            "2020-02-01",
            "2020-03-01",
        ]
        assert "lat reordered, first was 75" in data.attrs["history"]
        assert "time read as start of each period" in data.attrs["history"]

    def test_sectors_may_be_renamed(self, tmp_path):
        data = read_flux(model(tmp_path / "m.nc"), variable={"energy": "fossil"}, time_is="start")
        assert data["sector"].values.tolist() == ["energy"]

    def test_choice_is_asked_for(self, tmp_path):
        path = model(tmp_path / "m.nc")
        with pytest.raises(MissingVariableError, match=r"2 variables could be the flux.*grid: fossil, fire"):
            read_flux(path, time_is="start")
        with pytest.raises(MissingVariableError, match="no variable 'fosil' on the grid; nearest: 'fossil'"):
            read_flux(path, variable="fosil", time_is="start")

    def test_time_stamps_are_asked_for(self, tmp_path):
        with pytest.raises(FormatError, match="time_is='start', 'middle' or 'end'"):
            read_flux(model(tmp_path / "m.nc"), variable="fire")

    def test_period_does_not_fit_many_times(self, tmp_path):
        with pytest.raises(FormatError, match="has 2 times; period is for a file without time or with one"):
            read_flux(model(tmp_path / "m.nc"), variable="fire", period=YEAR)

    def test_single_time_with_a_stated_period(self, tmp_path):
        data = read_flux(model(tmp_path / "m.nc", times=["2015-07-01"]), variable="fire", period=YEAR)
        assert data["flux"].shape == (1, 1, *GLOBE.shape)

    @pytest.mark.parametrize(
        "attrs", [{"standard_name": "surface_downward_mole_flux_of_carbon_dioxide"}, {"positive": "down"}]
    )
    def test_downward_is_turned_and_told(self, tmp_path, attrs):
        data = read_flux(model(tmp_path / "m.nc", **attrs), variable="fossil", time_is="start")
        assert np.array_equal(data["flux"][0, 0], -pattern())
        assert "fossil times -1 to mol m-2 s-1 of CO2, positive upward" in data.attrs["history"]

    def test_caller_states_units(self, tmp_path):
        data = read_flux(model(tmp_path / "m.nc"), variable="fossil", time_is="start", units="nmol m-2 s-1")
        assert np.allclose(data["flux"][0, 0], 1e-9 * pattern())

    def test_wrong_unit_is_found_by_its_size(self, tmp_path):
        with pytest.raises(RangeError, match=r"m\.nc: flux of CO2: values up to .* larger than any flux"):
            read_flux(model(tmp_path / "m.nc"), variable="fossil", time_is="start", units="Gmol m-2 s-1")

    def test_missing_values(self, tmp_path):
        path = model(tmp_path / "m.nc")
        with xr.open_dataset(path, engine="netcdf4") as data:
            gaps = data.load()
        gaps["fossil"][0, 0, 0] = np.nan
        gaps.to_netcdf(path)
        with pytest.raises(RangeError, match=r"m\.nc: flux of CO2: 1 of 144 values are missing"):
            read_flux(path, variable="fossil", time_is="start")
        filled = read_flux(path, variable="fossil", time_is="start", nan="zero")
        assert "1 of 144 missing values set to 0" in filled.attrs["history"]
        kept = read_flux(path, variable="fossil", time_is="start", nan="propagate")
        assert int(np.isnan(kept["flux"]).sum()) == 1

    def test_other_dimensions(self, tmp_path):
        path = model(tmp_path / "m.nc")
        with xr.open_dataset(path, engine="netcdf4") as data:
            whole = data.load()
        for levels in (1, 2):
            whole.expand_dims(lev=levels).to_netcdf(tmp_path / f"{levels}.nc")
        read_flux(tmp_path / "1.nc", variable="fire", time_is="start")
        with pytest.raises(FormatError, match="'fire' has a dimension lev of 2; select one of them first"):
            read_flux(tmp_path / "2.nc", variable="fire", time_is="start")

    def test_field_without_time_beside_fields_with_it(self, tmp_path):
        path = model(tmp_path / "m.nc")
        with xr.open_dataset(path, engine="netcdf4") as data:
            whole = data.load()
        whole["fire"] = whole["fire"][0].drop_vars("time")
        whole.to_netcdf(path)
        with pytest.raises(FormatError, match="'fire' has no time, others have 2 times"):
            read_flux(path, variable=["fossil", "fire"], time_is="start")

    def test_substances_do_not_mix(self, tmp_path):
        path = model(tmp_path / "m.nc")
        with xr.open_dataset(path, engine="netcdf4") as data:
            whole = data.load()
        whole["fire"].attrs["species"] = "CH4"
        whole.to_netcdf(path)
        with pytest.raises(UnitError, match="'fire' is of CH4, not of CO2"):
            read_flux(path, variable=["fossil", "fire"], time_is="start")


class TestBounds:
    def test_uneven_axes_by_their_bounds(self, tmp_path):
        edges = np.array([-90.0, -89.0, -30.0, 31.0, 89.0, 90.0])
        lat = 0.5 * (edges[1:] + edges[:-1])
        data = xr.Dataset(
            {
                "e": (("lat", "lon"), np.full((5, 12), 1e-8), {"units": "mol m-2 s-1", "species": "CO2"}),
                "lat_b": (("lat", "n"), np.stack([edges[:-1], edges[1:]], axis=1)),
            },
            coords={"lat": ("lat", lat, {"bounds": "lat_b"}), "lon": GLOBE.lon},
        )
        data.to_netcdf(tmp_path / "u.nc")
        assert np.array_equal(grid_of(read_flux(tmp_path / "u.nc", period=YEAR)).lat_edges, edges)
        data.drop_vars("lat_b").to_netcdf(tmp_path / "v.nc")
        with pytest.raises(GridError, match=r"v\.nc: latitude is unevenly spaced"):
            read_flux(tmp_path / "v.nc", period=YEAR)


class TestRealFiles:
    def test_edgar_hourly_over_europe(self, sample_data):
        path = sample_data / "inversion/acrg_footprints/co2-edgar-ff-1hr_EUROPE_2018.nc"
        data = read_flux(path, time_is="start")
        with xr.open_dataset(path, engine="netcdf4") as file:
            raw = file["flux"].transpose("time", "lat", "lon").values
        assert np.array_equal(data["flux"][:, 0], raw.astype(float))
        hours = data["time_bnds"].values.astype("M8[h]").astype(str).tolist()
        assert hours == [["2018-01-01T00", "2018-01-01T01"], ["2018-01-01T01", "2018-01-01T02"]]
        total = float((data["flux"] * data["cell_area"]).sum(("lat", "lon", "sector"))[0])
        # Fossil CO2 of Europe is of the order of 4 Gt a year
        assert 1.0 < total * CO2 * 3.156e7 / 1e12 < 6.0

    def test_gaps_are_told(self, sample_data):
        path = sample_data / "inversion/acrg_footprints/co2-ukghg-ff-1hr_EUROPE_2018.nc"
        with pytest.raises(RangeError, match="3582 of 22372 values are missing"):
            read_flux(path, time_is="start")

    def test_gross_primary_production_takes_up(self, sample_data):
        path = sample_data / "transport/openghg/flux_co2-gpp-cardamom_EUROPE_2012.nc"
        data = read_flux(path, period=("2012-01-01", "2012-02-01"))
        assert data["flux"].shape == (1, 1, 293, 391)
        assert float(data["flux"].max()) <= 0.0

    def test_not_netcdf_and_not_there(self, tmp_path):
        with pytest.raises(FormatError, match="no such file"):
            read_flux(tmp_path / "absent.nc")
        (tmp_path / "text.nc").write_text("hello")
        with pytest.raises(FormatError, match=r"text\.nc: cannot be read as netCDF \("):
            read_flux(tmp_path / "text.nc")
