"""Ready-made Jacobians: the unit trap of a real file, and files that are none."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from inversion import solve
from inversion.case.inputs.foreign import foreign_problem
from inversion.case.options import ForeignOptions
from inversion.jacobian.foreign import read_foreign
from obsnet.errors import FormatError, SchemaError, UnitError

ASIDE = ForeignOptions(files=["x"], set_aside_bad_rows=True)


@pytest.fixture(scope="module")
def gosat(sample_data):
    return read_foreign(sorted((sample_data / "inversion" / "gosat_jacobian").glob("*.nc")))


@pytest.fixture(scope="module")
def east_asia(sample_data):
    return read_foreign([sample_data / "inversion" / "eastasia_rhime" / "standard_rhime_outs_EASTASIA.nc"])


def test_the_four_flask_rows_are_found_and_named(gosat):
    assert [(b.file, b.row, b.label) for b in gosat.bad] == [
        ("test.20100101.nc", 862, "flask"),
        ("test.20100101.nc", 863, "flask"),
        ("test.20100102.nc", 1018, "flask"),
        ("test.20100102.nc", 1019, "flask"),
    ]
    assert gosat.bad[0].value == pytest.approx(1.875265e-6)
    assert "times 1e9 it would fit, another unit" in gosat.bad[0].reason


def test_they_are_never_solved_blindly(gosat):
    with pytest.raises(
        UnitError, match=r"4 of 1884 rows cannot be in 1e-9 like the others:\ntest.20100101.nc row 862"
    ):
        foreign_problem(gosat, ForeignOptions(files=["x"]))


def test_without_them_the_answer_is_sane(gosat):
    problem, report = foreign_problem(
        gosat, ASIDE.model_copy(update={"model_error": 8.0, "mean_offset": 10.0})
    )
    assert (report["rows"], report["used"], len(report["set_aside"])) == (1884, 1880, 4)
    posterior = solve(problem)
    assert 0.8 < posterior.chi_square < 1.4
    assert 1.0 < posterior.dofs < 10.0
    assert (np.abs(posterior.mean - 1.0) < 3 * 0.5).all()
    assert (posterior.variance() <= 0.25 + 1e-12).all()


def test_with_them_the_answer_would_be_nonsense(gosat):
    """What a blind solve does: misfits of 1e19 standard deviations squared."""
    misfit = (gosat.value - gosat.simulated) / gosat.error
    assert np.sum(misfit**2) / misfit.size > 1e15


def test_a_number_common_to_a_row_is_no_response(gosat):
    assert any(
        "862 rows of hm share one number among nearly all columns (12.6 to 31.5)" in n for n in gosat.notes
    )
    assert np.median(np.median(gosat.matrix, axis=1)) == pytest.approx(0.0, abs=1e-9)


def test_a_whole_variable_in_another_unit(east_asia):
    assert east_asia.bad == ()
    assert "multiplied by 1e+12: they sum to 3.635e-11 where about 36.29 is missing" in east_asia.faults[0]
    with pytest.raises(UnitError, match="the boundary's responses claim '1e-12 mol/mol'"):
        foreign_problem(east_asia, ForeignOptions(files=["x"]))
    problem, report = foreign_problem(east_asia, ASIDE)
    assert report["used"] == 1482
    assert report["converted"] == list(east_asia.faults)
    posterior = solve(problem)
    assert 0.5 < posterior.chi_square < 1.5
    assert posterior.dofs_by_block()["flux"] > 2.0
    rmse = [np.sqrt(np.mean(r**2)) for r in (problem.innovation, posterior.residual)]
    assert rmse[1] < rmse[0] < 5.0
    assert (problem.groups["source"] == "GSN").all()


def file(tmp_path, name="a.nc", rows=30, columns=4, unit="1e-9", **change):
    rng = np.random.default_rng(0)
    h = rng.random((rows, columns))
    data = xr.Dataset(
        {
            "obs": ("n", 1800.0 + rng.standard_normal(rows)),
            "oerr": ("n", np.full(rows, 10.0)),
            "hm": (("n", "t"), h),
            "hm0": ("n", np.full(rows, 1800.0)),
        }
    )
    for key, value in change.items():
        data[key] = (data[key].dims, value)
    for key in data:
        data[key].attrs["units"] = unit
    data.to_netcdf(tmp_path / name)
    return tmp_path / name


def test_a_clean_file_goes_through(tmp_path):
    data = read_foreign([file(tmp_path)])
    problem, report = foreign_problem(data, ForeignOptions(files=["x"]))
    assert report["set_aside"] == []
    np.testing.assert_allclose(problem.simulate(problem.prior), 1800.0)


def test_missing_values_are_bad_rows(tmp_path):
    value = np.full(30, 1800.0)
    value[4] = np.nan
    error = np.full(30, 10.0)
    error[7] = 0.0
    found = read_foreign([file(tmp_path, obs=value, oerr=error)]).bad
    assert [(b.row, b.reason) for b in found] == [
        (4, "value nan is not a positive number"),
        (7, "error 0 is not a positive number"),
    ]


def test_a_pollution_event_is_data(tmp_path):
    value = np.full(30, 1800.0)
    value[3] = 4000.0
    assert read_foreign([file(tmp_path, obs=value)]).bad == ()


def test_nan_in_the_matrix_is_refused(tmp_path):
    h = np.ones((30, 4))
    h[3, 2] = np.nan
    data = read_foreign([file(tmp_path, hm=h)])
    with pytest.raises(
        UnitError, match=r"a.nc row 3 \(all\): the responses have 1 values that are not finite"
    ):
        foreign_problem(data, ForeignOptions(files=["x"]))
    assert foreign_problem(data, ASIDE)[0].n_obs == 29


def test_faulty_files_are_named(tmp_path):
    text = tmp_path / "text.nc"
    text.write_text("no netCDF")
    with pytest.raises(FormatError, match=r"text.nc: cannot be read as netCDF"):
        read_foreign([text])
    xr.Dataset({"temperature": ("x", [1.0])}).to_netcdf(tmp_path / "other.nc")
    with pytest.raises(FormatError, match="no Jacobian of a known system in it; there is: temperature"):
        read_foreign([tmp_path / "other.nc"])
    xr.Dataset({"temperature": ("x", [1.0])}).to_netcdf(tmp_path / "grouped.nc", group="trace")
    with pytest.raises(FormatError, match="there is: nothing outside of groups"):
        read_foreign([tmp_path / "grouped.nc"])
    with pytest.raises(UnitError, match="obs names no unit"):
        read_foreign([file(tmp_path, unit="")])
    with pytest.raises(UnitError, match="in 1e-6, but"):
        read_foreign([file(tmp_path, "a.nc"), file(tmp_path, "b.nc", unit="1e-6")])
    with pytest.raises(SchemaError, match=r"3 \+ 0 columns, .* has 4 \+ 0"):
        read_foreign([file(tmp_path, "a.nc"), file(tmp_path, "c.nc", columns=3)])
    with pytest.raises(SchemaError, match="no file"):
        read_foreign([])


def test_variables_in_different_units_are_refused(tmp_path):
    path = file(tmp_path)
    data = xr.load_dataset(path, engine="netcdf4")
    data["oerr"].attrs["units"] = "1e-6"
    data.to_netcdf(tmp_path / "mixed.nc")
    with pytest.raises(UnitError, match="oerr is in '1e-6', obs in '1e-9'"):
        read_foreign([tmp_path / "mixed.nc"])
