"""What files say of axes, substances, units and times: taken at their word, never guessed."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from obsnet.constants import MOLAR_MASS_CARBON, species
from obsnet.conventions import (
    find_axis,
    find_substance,
    mole_factor,
    named_dimensions,
    one_deviation,
    time_bounds,
    unnamed_dimensions,
)
from obsnet.errors import ConfigError, FormatError, MissingVariableError, RangeError, UnitError

CO2, CH4, N2O = species("CO2"), species("CH4"), species("N2O")


def flux(units="mol m-2 s-1", **attrs):
    return xr.DataArray(np.zeros(2), dims="x", name="emis", attrs={"units": units, **attrs})


class TestAxes:
    @pytest.mark.parametrize(
        ("name", "attrs"),
        [
            ("lat", {}),
            ("Latitude", {}),
            ("rows", {"units": "degrees_north"}),
            ("rows", {"units": "degree_N"}),
            ("rows", {"standard_name": "latitude"}),
        ],
    )
    def test_latitude_by_name_unit_or_standard_name(self, name, attrs):
        data = xr.Dataset(coords={name: (name, [1.0, 2.0], attrs), "other": [1, 2, 3]})
        assert find_axis(data, "lat") == name

    def test_what_the_file_states_beats_the_name(self):
        data = xr.Dataset(coords={"lat": [1, 2], "y": ("y", [1.0, 2.0], {"standard_name": "latitude"})})
        assert find_axis(data, "lat") == "y"

    def test_time_by_its_encoding_or_none(self):
        data = xr.Dataset(coords={"t0": ("t0", [0.0], {"units": "days since 2000-01-01"})})
        assert find_axis(xr.decode_cf(data), "time") == "t0"
        assert find_axis(xr.Dataset(), "time") is None

    def test_curvilinear_grid(self):
        data = xr.Dataset(coords={"lat": (("y", "x"), np.zeros((2, 2)))})
        with pytest.raises(FormatError, match="f.nc: lat is two-dimensional; regrid"):
            find_axis(data, "lat", "f.nc")

    def test_nothing(self):
        with pytest.raises(MissingVariableError, match="f.nc: no one-dimensional longitude; there is: lat"):
            find_axis(xr.Dataset(coords={"lat": [1]}), "lon", "f.nc")

    def test_bounds_are_not_the_axis(self):
        data = xr.Dataset(coords={"lat": [1.0, 2.0]})
        data["lat_bnds"] = ("lat", [1.0, 2.0], {"units": "degrees_north"})
        assert find_axis(data, "lat") == "lat"


class TestSubstance:
    @pytest.mark.parametrize(
        "attrs",
        [
            {"species": "co2"},
            {"substance": "CO2"},
            {"standard_name": "surface_upward_mole_flux_of_carbon_dioxide"},
            {"standard_name": "tendency_of_atmosphere_mass_content_of_carbon_dioxide_due_to_emission"},
        ],
    )
    def test_stated(self, attrs):
        assert find_substance(flux(**attrs), xr.Dataset(), None) == CO2

    def test_monoxide_is_not_dioxide(self):
        name = "tendency_of_atmosphere_mass_content_of_carbon_monoxide_due_to_emission"
        assert find_substance(flux(standard_name=name), xr.Dataset(), None).name == "CO"

    def test_asked(self):
        assert find_substance(flux(), xr.Dataset(), "ch4") == CH4
        assert find_substance(flux(), xr.Dataset(attrs={"species": "CO2"}), None) == CO2

    def test_unsaid_and_contradicted(self):
        with pytest.raises(UnitError, match="f.nc: 'emis' does not say of which substance; say substance="):
            find_substance(flux(), xr.Dataset(), None, "f.nc")
        with pytest.raises(UnitError, match="'emis' is of co2, not of CH4"):
            find_substance(flux(species="co2"), xr.Dataset(), "CH4")


class TestMoleFactor:
    def test_moles_need_no_basis(self):
        assert mole_factor(flux("mol m-2 s-1"), CO2, None, None) == 1.0
        assert mole_factor(flux("umol m-2 s-1"), CO2, None, None) == pytest.approx(1e-6)
        assert mole_factor(flux("mol/m2/s"), CO2, None, None) == 1.0

    def test_forty_four_twelfths(self):
        of_substance = mole_factor(flux("kg m-2 s-1"), CO2, None, "substance")
        of_carbon = mole_factor(flux("kg m-2 s-1"), CO2, None, "carbon")
        assert of_substance == pytest.approx(1.0 / 0.0440095, rel=1e-9)
        assert of_carbon == pytest.approx(1.0 / 0.0120107, rel=1e-9)
        assert of_carbon / of_substance == pytest.approx(44.0095 / 12.0107, rel=1e-12)

    @pytest.mark.parametrize("substance", [CO2, CH4])
    def test_mass_of_unsaid_substance_is_refused(self, substance):
        with pytest.raises(UnitError, match=r"f.nc: 'emis' in 'kg m-2 s-1' does not say .*basis='carbon'"):
            mole_factor(flux("kg m-2 s-1"), substance, None, None, "f.nc")

    @pytest.mark.parametrize(
        ("units", "expected"),
        [
            ("gC m-2 day-1", 1e-3 / 86400 / MOLAR_MASS_CARBON),
            ("g C m-2 d-1", 1e-3 / 86400 / MOLAR_MASS_CARBON),
            ("kgC/m2/s", 1 / MOLAR_MASS_CARBON),
            ("kgCO2 m-2 s-1", 1 / CO2.molar_mass),
            ("kg CO2 m-2 h-1", 1 / 3600 / CO2.molar_mass),
        ],
    )
    def test_units_that_say_whose_mass(self, units, expected):
        assert mole_factor(flux(units), CO2, None, None) == pytest.approx(expected, rel=1e-12)

    def test_standard_name_that_says_whose_mass(self):
        stem = "tendency_of_atmosphere_mass_content_of_carbon_dioxide"
        plain = flux("kg m-2 s-1", standard_name=f"{stem}_due_to_emission")
        carbon = flux("kg m-2 s-1", standard_name=f"{stem}_expressed_as_carbon_due_to_emission")
        assert mole_factor(plain, CO2, None, None) == pytest.approx(1 / CO2.molar_mass)
        assert mole_factor(carbon, CO2, None, None) == pytest.approx(1 / MOLAR_MASS_CARBON)

    def test_caller_may_not_contradict_the_file(self):
        with pytest.raises(UnitError, match="file states mass of carbon, basis='substance' was asked"):
            mole_factor(flux("gC m-2 s-1"), CO2, None, "substance")
        with pytest.raises(UnitError, match="is in 'kgCH4 m-2 s-1', but is said to be CO2"):
            mole_factor(flux("kgCH4 m-2 s-1"), CO2, None, None)

    def test_caller_may_state_the_units(self):
        assert mole_factor(flux(""), CO2, "nmol m-2 s-1", None) == pytest.approx(1e-9)

    @pytest.mark.parametrize(
        ("variable", "match"),
        [
            (xr.DataArray(0.0, name="emis"), "'emis' has no units; say units="),
            (flux("kg m-2 month-1"), "months and years differ in length"),
            (flux("kg m-2 yr-1"), "months and years differ in length"),
            (flux("gC/m2/a"), "months and years differ in length"),
            (flux("K"), "is in 'K': neither amount nor mass per area and time"),
            (flux("kg s-1"), "neither amount nor mass per area and time"),
        ],
    )
    def test_no_flux(self, variable, match):
        with pytest.raises(UnitError, match=match):
            mole_factor(variable, CO2, None, "carbon")

    def test_no_carbon_in_nitrous_oxide(self):
        with pytest.raises(UnitError, match="N2O has no carbon to be counted by"):
            mole_factor(flux("kg m-2 s-1"), N2O, None, "carbon")

    def test_unknown_basis(self):
        with pytest.raises(ConfigError, match="basis must be 'substance' or 'carbon', found 'co2'"):
            mole_factor(flux("kg m-2 s-1"), CO2, None, "co2")


class TestTimeBounds:
    def bounds(self, stamps, time_is=None, **attrs):
        data = xr.Dataset(coords={"time": ("time", np.array(stamps, dtype="datetime64[ns]"), attrs)})
        return time_bounds(data, "time", time_is, "f.nc").astype("datetime64[h]").astype(str).tolist()

    def test_stated_bounds(self):
        data = xr.Dataset(coords={"time": ("time", np.array(["2020-01-05"], "M8[ns]"), {"bounds": "tb"})})
        data["tb"] = (("time", "n"), np.array([["2020-01-01", "2020-02-01"]], "M8[ns]"))
        out = time_bounds(data, "time", None)
        assert out.astype("M8[D]").astype(str).tolist() == [["2020-01-01", "2020-02-01"]]

    @pytest.mark.parametrize(
        ("time_is", "expected"),
        [
            ("start", [["2020-01-01T00", "2020-01-01T03"], ["2020-01-01T03", "2020-01-01T06"]]),
            ("middle", [["2019-12-31T22", "2020-01-01T01"], ["2020-01-01T01", "2020-01-01T04"]]),
            ("end", [["2019-12-31T21", "2020-01-01T00"], ["2020-01-01T00", "2020-01-01T03"]]),
        ],
    )
    def test_three_hourly(self, time_is, expected):
        assert self.bounds(["2020-01-01T00", "2020-01-01T03"], time_is) == expected

    def test_calendar_months_from_their_starts_middles_and_ends(self):
        expected = [["2020-01-01T00", "2020-02-01T00"], ["2020-02-01T00", "2020-03-01T00"]]
        assert self.bounds(["2020-01-01", "2020-02-01"], "start") == expected
        assert self.bounds(["2020-01-16T12", "2020-02-15T12"], "middle") == expected
        assert self.bounds(["2020-02-01", "2020-03-01"], "end") == expected

    def test_years(self):
        out = self.bounds(["2019-01-01", "2020-01-01"], "start")
        assert out[1] == ["2020-01-01T00", "2021-01-01T00"]

    def test_days_on_either_side_of_a_months_end_are_days(self):
        out = self.bounds(["2020-01-31T12", "2020-02-01T12"], "middle")
        assert out == [["2020-01-31T00", "2020-02-01T00"], ["2020-02-01T00", "2020-02-02T00"]]

    def test_unsaid(self):
        with pytest.raises(
            FormatError, match="f.nc: 'time' has no bounds; say whether its stamps are time_is="
        ):
            self.bounds(["2020-01-01", "2020-01-02"])

    def test_uneven_and_single(self):
        with pytest.raises(FormatError, match="uneven steps and no bounds"):
            self.bounds(["2020-01-01", "2020-01-02", "2020-01-04"], "start")
        with pytest.raises(FormatError, match=r"one time and no bounds; say period=\(start, stop\)"):
            self.bounds(["2020-01-01"], "start")

    def test_other_calendars_are_refused(self):
        data = xr.Dataset(
            coords={"time": ("time", [0, 1], {"units": "days since 2000-02-28", "calendar": "noleap"})}
        )
        with pytest.raises(FormatError, match="cannot be read as real dates .calendar noleap"):
            time_bounds(xr.decode_cf(data), "time", "start", "f.nc")


class TestNames:
    def test_round_trip(self):
        data = xr.Dataset(
            {"x": (("sector", "lat"), np.ones((2, 2)))}, coords={"sector": ["a", "b"], "lat": [1, 2]}
        )
        flat = unnamed_dimensions(data)
        assert "sector" not in flat.variables
        assert flat["sector_name"].values.tolist() == ["a", "b"]
        assert "lat" in flat.indexes
        xr.testing.assert_identical(named_dimensions(flat), data)
        assert named_dimensions(flat).sel(sector="b").sizes == {"lat": 2}

    def test_other_text_is_left_alone(self):
        data = xr.Dataset({"station_name": ("station", ["x", "y"])}, coords={"station": [3, 4]})
        xr.testing.assert_identical(named_dimensions(data), data)


@pytest.mark.parametrize(
    "text",
    [
        "square root of the variance",
        "square-root of the total posterior flux variance",
        "std dev (sqrt of variance)",
        "flux standard deviation = sqrt(posterior variance)",
        "posterior variance, square rooted",
        "square-rooted error variance",
        "standard deviation, the root of the variance",
        "variance^0.5",
        "root-mean-square error",
        "后验方差的平方根",
        "后验误差协方差对角线的平方根",
    ],
)
def test_the_root_of_a_variance_is_a_deviation(text):
    one_deviation({"long_name": text}, "f")


@pytest.mark.parametrize(
    "text",
    [
        "posterior variance",
        "variances",
        "variance; take the square root of it",
        "take the square root of the variance for the standard deviation",
        "variance: the square root of the variance is the standard deviation",
        "error variance, not square rooted",
        "not the square root of the variance",
        "square root not taken of variance",
        "root zone carbon flux variance",
        "standard deviation squared",
        "squared standard deviation",
        "mean squared error",
        "后验方差",
        "95 % interval",
        "2-sigma",
        "relative error",
    ],
)
def test_what_is_no_deviation_says_so(text):
    for key in ("long_name", "description", "comment"):
        with pytest.raises(RangeError, match="says of itself .* one standard deviation is needed"):
            one_deviation({key: text}, "f")
