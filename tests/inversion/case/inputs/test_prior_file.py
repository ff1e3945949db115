"""What a prior's file does not say is said in the case; another make of the same prior gives the same cells."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from inversion.case.inputs.reading import read_prior
from inversion.case.options import PriorFileOptions
from inversion.jacobian.flux import flux_on
from obsnet.cf import read_flux
from obsnet.constants import species
from obsnet.errors import FormatError, GridError, UnitError
from obsnet.grid import Grid
from tests.inversion.world import EDGES, GRID

CO2 = species("CO2")
FIELD = np.linspace(1e-8, 5e-7, GRID.size).reshape(GRID.shape)
SAID = PriorFileOptions(sectors={"total": "emi"}, gas="CO2", period="2013")


def foreign_prior(path, field=FIELD, grid=GRID, units="mol m-2 s-1", shift=0.0):
    """Write a prior as others do: one stamp without bounds, no gas, coordinates of float32."""
    lat, lon = (np.float32(c) + np.float32(shift) for c in (grid.lat, grid.lon))
    xr.Dataset(
        {
            "emi": (("lat", "lon", "time"), field[:, :, None], {"units": units}),
            "area": (("lat", "lon"), field),
        },
        {"time": [np.datetime64("2013-01-01", "ns")], "lat": lat, "lon": lon},
    ).to_netcdf(path)
    return path


def test_coordinates_of_float32_are_the_same_cells(tmp_path):
    path = foreign_prior(tmp_path / "p.nc", shift=1.5e-6)
    prior = read_prior(path, GRID, EDGES, CO2, how=SAID)
    assert list(prior.flux) == ["total"]
    np.testing.assert_array_equal(prior.flux["total"], np.tile(FIELD.ravel(), (len(EDGES) - 1, 1)))
    assert not any("regridded" in note for note in prior.notes)
    assert any("sectors = {'total': 'emi'}, gas = 'CO2', period = '2013'" in note for note in prior.notes)


def test_a_shift_that_float32_does_not_explain_is_regridded_or_refused(tmp_path):
    path = foreign_prior(tmp_path / "p.nc", shift=1e-3)
    with pytest.raises(GridError, match="lie partly or wholly outside"):
        read_prior(path, GRID, EDGES, CO2, how=SAID)
    prior = read_prior(path, GRID, EDGES, CO2, how=SAID.model_copy(update={"outside": "zero"}))
    assert any("regridded conservatively" in note for note in prior.notes)
    assert any("outside the prior: no flux there" in note for note in prior.notes)


def test_flux_is_kept_where_the_prior_reaches(tmp_path):
    inner = Grid(GRID.lat_edges[1:], GRID.lon_edges[1:])
    data = read_flux(
        foreign_prior(tmp_path / "p.nc", FIELD[1:, 1:], inner),
        variable="emi",
        substance="CO2",
        period=("2013", "2014"),
    )
    flux, _ = flux_on(data, GRID, EDGES, outside="zero")
    (found,) = flux.values()
    cube = found[0].reshape(GRID.shape)
    np.testing.assert_allclose(cube[1:, 1:], FIELD[1:, 1:], rtol=1e-9)
    assert not cube[0].any()
    assert not cube[:, 0].any()
    assert np.isclose((cube * GRID.cell_area).sum(), (FIELD[1:, 1:] * inner.cell_area).sum(), rtol=1e-9)


def test_units_and_basis(tmp_path):
    path = foreign_prior(tmp_path / "p.nc", FIELD * 44.0095e-3, units="kg m-2 s-1")
    with pytest.raises(UnitError, match=r"keys of \[invert.prior_file\]: sectors, gas, units, basis"):
        read_prior(path, GRID, EDGES, CO2, how=SAID)
    prior = read_prior(path, GRID, EDGES, CO2, how=SAID.model_copy(update={"basis": "substance"}))
    np.testing.assert_allclose(prior.flux["total"][0], FIELD.ravel(), rtol=1e-4)


def test_time_is_asked_for(tmp_path):
    with pytest.raises(FormatError, match="'time' has no bounds"):
        read_prior(
            foreign_prior(tmp_path / "p.nc"), GRID, EDGES, CO2, how=SAID.model_copy(update={"period": None})
        )


def test_a_time_of_something_else_does_not_count(tmp_path):
    path = foreign_prior(tmp_path / "p.nc")
    data = xr.open_dataset(path, engine="netcdf4").isel(time=0, drop=True).load()
    data["Ytime"] = ("n", np.array(["2013-02-01", "2013-02-02"], "datetime64[ns]"), {"standard_name": "time"})
    data.close()
    data.to_netcdf(tmp_path / "both.nc")
    prior = read_prior(tmp_path / "both.nc", GRID, EDGES, CO2, how=SAID)
    np.testing.assert_array_equal(prior.flux["total"][0], FIELD.ravel())
