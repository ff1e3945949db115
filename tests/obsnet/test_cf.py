"""The Flux contract: built, written, checked by the compliance checker, read back; and its errors."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import netCDF4
import numpy as np
import pytest
import xarray as xr

from obsnet.cf import check_flux, flux_dataset, read_flux, read_netcdf, write_netcdf
from obsnet.constants import species
from obsnet.errors import FormatError, RangeError, SchemaError
from obsnet.field import grid_of
from obsnet.grid import Grid

GRID = Grid.regular(20, 26, 110, 118, 2, 2)
EDGES = np.array(["2020-01-01", "2020-02-01", "2020-03-01"], dtype="datetime64[us]")
WORDS = {"title": "Fluxes", "summary": "Fluxes of a test.", "source": "random numbers", "license": "CC0-1.0"}
SHAPE = (2, 2, *GRID.shape)


def values(shape=SHAPE):
    return 1e-7 * np.random.default_rng(0).normal(size=shape)


def dataset(flux=None, grid=GRID, **options):
    options = {"substance": "CO2", "sectors": ("energy", "industry"), **WORDS, **options}
    return flux_dataset(values() if flux is None else flux, grid, options.pop("times", EDGES), **options)


def check_with_compliance_checker(path, suite, report):
    """Return the messages of a suite by priority, and whether a check broke."""
    from compliance_checker.runner import CheckSuite, ComplianceChecker

    CheckSuite.load_all_available_checkers()
    _, broke = ComplianceChecker.run_checker(
        str(path), [suite], 0, "strict", output_filename=str(report), output_format="json"
    )
    found = json.loads(report.read_text())[suite]
    levels = ("high_priorities", "medium_priorities", "low_priorities")
    return {k: [m for check in found.get(k, []) for m in check["msgs"]] for k in levels}, broke


class TestFluxDataset:
    def test_contract(self):
        data = dataset(uncertainty=np.abs(values()))
        assert data["flux"].dims == ("time", "sector", "lat", "lon")
        assert data["flux"].attrs["units"] == "mol m-2 s-1"
        assert data["flux"].attrs["substance"] == "CO2"
        assert data["flux"].attrs["molar_mass"] == species("CO2").molar_mass
        assert "positive upward" in data["flux"].attrs["comment"]
        assert "not of carbon" in data["flux"].attrs["comment"]
        assert data["flux"].attrs["ancillary_variables"] == "flux_uncertainty"
        assert np.array_equal(data["cell_area"], GRID.cell_area)
        assert grid_of(data) == GRID
        assert data["sector"].values.tolist() == ["energy", "industry"]

    def test_time_is_the_middle_of_its_bounds(self):
        data = dataset()
        assert data["time"].values[0] == np.datetime64("2020-01-16T12:00")
        assert data["time"].values[1] == np.datetime64("2020-02-15T12:00")  # a leap year
        assert np.array_equal(data["time_bnds"][:, 1], EDGES[1:])

    def test_bounds_with_gaps(self):
        bounds = [["2019-01-01", "2019-02-01"], ["2020-01-01", "2020-02-01"]]
        assert dataset(times=bounds)["time"].dt.year.values.tolist() == [2019, 2020]

    def test_one_sector_may_be_left_out(self):
        data = dataset(values((2, *GRID.shape)), sectors=("total",))
        assert data["flux"].shape == (2, 1, *GRID.shape)

    def test_methane_has_no_standard_name_and_its_own_mass(self):
        attrs = dataset(substance="ch4")["flux"].attrs
        assert attrs["substance"] == "CH4"
        assert attrs["molar_mass"] == pytest.approx(0.01604, abs=1e-5)
        assert "standard_name" not in attrs  # the table has none for this mole flux

    def test_totals_by_cell_area(self):
        flux = np.ones(SHAPE) * 1e-8
        data = dataset(flux)
        total = float((data["flux"] * data["cell_area"]).sum(("lat", "lon"))[0, 0])
        assert total == pytest.approx(1e-8 * GRID.cell_area.sum(), rel=1e-14)

    @pytest.mark.parametrize(
        ("change", "error", "match"),
        [
            (
                {"flux": values((2, 2, 3, 3))},
                SchemaError,
                r"must have shape .*\(2, 2, 3, 4\), found \(2, 2, 3, 3\)",
            ),
            ({"times": EDGES[:1]}, SchemaError, r"edges \(time \+ 1,\) or bounds"),
            ({"times": EDGES[::-1]}, SchemaError, "each period must end after it starts"),
            ({"sectors": ("a", "a")}, SchemaError, "sectors need different names, found a, a"),
            ({"flux": 1e7 * values()}, RangeError, "larger than any flux on Earth; check the unit"),
            ({"flux": values() + np.inf}, RangeError, "48 of 48 values are infinite"),
            ({"flux": values() * np.nan}, RangeError, "flux of CO2: 48 of 48 values are missing"),
            ({"uncertainty": -np.ones(SHAPE)}, RangeError, "uncertainty of flux of CO2: "),
        ],
    )
    def test_errors(self, change, error, match):
        with pytest.raises(error, match=match):
            dataset(**change)

    def test_missing_values_as_the_caller_says(self):
        flux = values()
        flux[0, 0, 0, 0] = np.nan
        assert dataset(flux, nan="zero")["flux"].values[0, 0, 0, 0] == 0.0
        assert np.isnan(dataset(flux, nan="propagate")["flux"].values[0, 0, 0, 0])


class TestCheckFlux:
    @pytest.mark.parametrize(
        ("spoil", "match"),
        [
            (
                lambda d: d.drop_vars("cell_area"),
                "x.nc: lacks cell_area; open other people's files with read_flux",
            ),
            (
                lambda d: d.transpose("sector", "time", ...),
                r"must be \(time, sector, lat, lon\), found \('sector'",
            ),
            (lambda d: d.assign(cell_area=d["cell_area"] * 1.01), "cell_area is not that of the cells"),
            (
                lambda d: d.assign(time_bnds=d["time_bnds"].copy(data=d["time_bnds"].values[::-1])),
                "time_bnds must be dates",
            ),
        ],
    )
    def test_structure(self, spoil, match):
        with pytest.raises(SchemaError, match=match):
            check_flux(spoil(dataset()), "x.nc")

    @pytest.mark.parametrize(
        ("attr", "value", "match"),
        [
            ("units", "kg m-2 s-1", "must be in mol m-2 s-1, found 'kg m-2 s-1'"),
            ("molar_mass", 0.012, r"states a molar mass of 0\.012 kg mol-1, CO2 has 0\.044"),
        ],
    )
    def test_attributes(self, attr, value, match):
        data = dataset()
        data["flux"].attrs[attr] = value
        with pytest.raises(SchemaError, match=match):
            check_flux(data)


class TestWriteNetcdf:
    @pytest.mark.parametrize(
        "grid",
        [
            GRID,
            Grid.regular(-4, 2, 176, -176, 2, 2),
            Grid([20, 21, 23, 26], [110, 112, 115, 116, 118]),
            Grid.regular(-90, 90, -180, 180, 60, 90),
        ],
        ids=["regular", "dateline", "uneven", "globe"],
    )
    @pytest.mark.parametrize("substance", ["CO2", "CH4"])
    def test_passes_the_compliance_checker(self, tmp_path, grid, substance):
        data = dataset(grid=grid, substance=substance, uncertainty=np.abs(values()))
        path = write_netcdf(data, tmp_path / "flux.nc")
        found, broke = check_with_compliance_checker(path, "cf:1.11", tmp_path / "report.json")
        assert not broke
        assert found["high_priorities"] == []
        # A recommendation that the contract leaves: time before sector.
        assert all("recommended order T, Z, Y, X" in m for m in found["medium_priorities"])

    def test_acdd_has_all_that_is_highly_recommended(self, tmp_path):
        path = write_netcdf(dataset(), tmp_path / "flux.nc")
        found, broke = check_with_compliance_checker(path, "acdd:1.3", tmp_path / "report.json")
        assert not broke
        assert found["high_priorities"] == []

    def test_what_is_on_disk(self, tmp_path):
        path = write_netcdf(
            dataset(uncertainty=np.abs(values())),
            tmp_path / "flux.nc",
            history="made for a test",
            created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        )
        with netCDF4.Dataset(path) as file:
            for name in ("time", "lat", "lon", "time_bnds", "lat_bnds", "lon_bnds"):
                assert "_FillValue" not in file[name].ncattrs()
            assert file["flux"].filters()["zlib"]
            assert file["flux"].filters()["complevel"] == 1
            assert file["time"].units == "seconds since 1970-01-01"
            assert "units" not in file["time_bnds"].ncattrs()
            assert file["flux"].grid_mapping == "crs"
            assert file["crs"].inverse_flattening == pytest.approx(298.257223563)
            assert file["flux"].coordinates == "sector_name"
            assert file["sector_name"][:].tolist() == ["energy", "industry"]
            assert file.Conventions == "CF-1.11, ACDD-1.3"
            assert file.date_created == "2026-01-02T03:04:05Z"
            assert file.history.startswith("2026-01-02T03:04:05Z obsnet ")
            assert file.history.endswith(": made for a test")
            assert (file.geospatial_lon_min, file.geospatial_lon_max) == (110.0, 118.0)
            assert file.time_coverage_start == "2020-01-01T00:00:00Z"
            assert file.time_coverage_end == "2020-03-01T00:00:00Z"
        with xr.open_dataset(path, engine="netcdf4") as plain:
            np.testing.assert_array_equal(plain["flux"].sel(sector="industry"), plain["flux"][:, 1])

    def test_history_grows_downward(self, tmp_path):
        one = write_netcdf(dataset(attrs={"history": "before"}), tmp_path / "1.nc", history="now")
        lines = read_netcdf(one).attrs["history"].splitlines()
        assert lines[0].endswith("now")
        assert lines[1] == "before"

    def test_missing_words_are_named(self, tmp_path):
        data = dataset()
        del data.attrs["title"]
        data.attrs["license"] = " "
        with pytest.raises(SchemaError, match="global attributes title, license must say what the data are"):
            write_netcdf(data, tmp_path / "flux.nc")
        assert list(tmp_path.iterdir()) == []

    def test_failure_leaves_the_old_file(self, tmp_path):
        path = write_netcdf(dataset(), tmp_path / "flux.nc")
        before = path.read_bytes()
        broken = dataset()
        broken.attrs["bad"] = object()
        with pytest.raises(TypeError):
            write_netcdf(broken, path)
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["flux.nc"]

    def test_encodings_of_another_file_do_not_leak(self, tmp_path):
        data = dataset()
        data["flux"].encoding = {
            "dtype": "int16",
            "scale_factor": 1e-9,
            "_FillValue": -1,
            "chunksizes": (1, 1, 1, 1),
        }
        again = read_netcdf(write_netcdf(data, tmp_path / "flux.nc"))
        assert np.array_equal(again["flux"], data["flux"])

    def test_other_datasets_too(self, tmp_path):
        data = xr.Dataset(
            {"total": ("region", [1.0, np.nan])}, coords={"region": ["110000", "outside"]}, attrs=WORDS
        )
        again = read_netcdf(write_netcdf(data, tmp_path / "totals.nc"))
        xr.testing.assert_equal(again, data)
        assert "geospatial_lat_min" not in again.attrs

    def test_read_netcdf_errors(self, tmp_path):
        with pytest.raises(FormatError, match="no such file"):
            read_netcdf(tmp_path / "absent.nc")
        (tmp_path / "text.nc").write_text("hello")
        with pytest.raises(FormatError, match="cannot be read as netCDF"):
            read_netcdf(tmp_path / "text.nc")


class TestRoundTrip:
    @pytest.mark.parametrize(
        "grid",
        [
            GRID,
            Grid.regular(-4, 2, 176, -176, 2, 2),
            Grid([20, 21, 23, 26], [110, 112, 115, 116, 118]),
            Grid.regular(-90, 90, -180, 180, 60, 90),
        ],
        ids=["regular", "dateline", "uneven", "globe"],
    )
    def test_file_gives_back_the_dataset(self, tmp_path, grid):
        data = dataset(grid=grid, uncertainty=np.abs(values()))
        path = write_netcdf(data, tmp_path / "flux.nc")
        again = read_flux(path)
        for name in ("flux", "flux_uncertainty", "time_bnds", "cell_area", "lat", "lon", "sector"):
            assert np.array_equal(again[name], data[name]), name
        assert again["flux"].attrs == data["flux"].attrs
        assert grid_of(again) == grid
        assert {k: again.attrs[k] for k in WORDS} == WORDS
        assert "read from flux.nc: unchanged" in again.attrs["history"]
        check_flux(read_netcdf(path))

    def test_globe_from_greenwich_is_brought_home(self, tmp_path):
        data = dataset(grid=Grid.regular(-90, 90, 0, 360, 60, 90))
        again = read_flux(write_netcdf(data, tmp_path / "flux.nc"))
        assert grid_of(again) == Grid.regular(-90, 90, -180, 180, 60, 90)
        assert np.array_equal(again["flux"], np.roll(data["flux"], 2, axis=3))
        assert "lon reordered, first was 45" in again.attrs["history"]
