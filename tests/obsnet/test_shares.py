"""The value type, its totals, and shares in files."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import xarray as xr

from obsnet import shares as shares_module
from obsnet.cf import flux_dataset, read_netcdf, read_shares, write_netcdf
from obsnet.errors import FormatError, GridError, RangeError, RegionError, UnitError
from obsnet.grid import Grid
from obsnet.shares import Shares, add_shares, shares_of

GRID = Grid.regular(10, 12, 100, 103, 1, 1)
LABELS = ("a", "b", "offshore", "outside")


def made(**changes):
    rng = np.random.default_rng(0)
    parts = {}
    for sector in ("fossil", "shipping"):
        part = rng.random((4, 6)) * (rng.random((4, 6)) > 0.4)
        part[3] += 0.1
        parts[sector] = sp.csr_array(part / part.sum(axis=0))
    how = {"fossil": "on the land of a cell: by hand", "shipping": "at sea"}
    return Shares(
        **{"labels": LABELS, "grid": GRID, "parts": parts, "made": how, "notes": ("one", "two")} | changes
    )


def test_totals_are_sums_by_hand_and_close():
    shares, flux = made(), np.random.default_rng(1).normal(size=(2, *GRID.shape))
    totals = shares.totals(flux, "fossil")
    by_hand = (flux * GRID.cell_area).reshape(2, 6) @ shares.parts["fossil"].toarray().T
    np.testing.assert_allclose(totals, by_hand, rtol=1e-12)
    np.testing.assert_allclose(totals.sum(axis=1), (flux * GRID.cell_area).sum(axis=(1, 2)), rtol=1e-12)
    assert not np.allclose(totals, shares.totals(flux, "shipping"))


def test_regions_are_the_rows_that_are_no_rest():
    shares = made()
    assert shares.regions == ("a", "b")
    np.testing.assert_array_equal(shares.regional("fossil").toarray(), shares.parts["fossil"].toarray()[:2])
    np.testing.assert_allclose(shares.area("fossil").sum(), GRID.cell_area.sum(), rtol=1e-12)


def test_a_field_keeps_its_names_and_its_unit_is_checked():
    flux = xr.DataArray(
        np.ones((1, *GRID.shape)),
        dims=("time", "lat", "lon"),
        coords={"lat": GRID.lat, "lon": GRID.lon},
        name="flux",
        attrs={"units": "mol m-2 s-1", "substance": "CO2"},
    )
    totals = made().totals(flux, "fossil")
    assert totals.dims == ("time", "region")
    assert list(totals["region"].values) == list(LABELS)
    assert totals.attrs == {"units": "mol s-1", "substance": "CO2"}
    with pytest.raises(UnitError, match="in 'kg m-2 s-1'"):
        made().totals(flux.assign_attrs(units="kg m-2 s-1"), "fossil")
    with pytest.raises(GridError):
        made().totals(np.ones((3, 3)), "fossil")
    with pytest.raises(RangeError):
        made().totals(np.full(GRID.shape, np.nan), "fossil")


def test_what_is_no_split_is_refused():
    good = made().parts
    short, swapped = good["fossil"].toarray(), good["fossil"].toarray()
    short[:, 4] *= 0.5
    swapped[:, 0] = [-0.2, 0.0, 0.0, 1.2]
    with pytest.raises(RegionError, match="sum to 1 in every cell; cell 4 is off by 0.5"):
        made(parts={"fossil": sp.csr_array(short)})
    with pytest.raises(RegionError, match="must be positive"):
        made(parts={"fossil": sp.csr_array(swapped)})
    with pytest.raises(RegionError, match=r"have shape \(4, 6\), 3 rows of 6 cells"):
        made(labels=LABELS[:3])
    with pytest.raises(RegionError, match="no shares were made for sector 'fosil'; nearest: 'fossil'"):
        made().part("fosil")


def dataset(shares):
    edges = np.datetime64("2019-01-01", "us") + np.arange(2) * np.timedelta64(30, "D")
    data = flux_dataset(
        np.ones((1, 2, *GRID.shape)),
        GRID,
        edges,
        sectors=["fossil", "shipping"],
        substance="CO2",
        title="t",
        summary="s",
        source="s",
        license="CC0",
    ).assign_coords(region=list(LABELS))
    add_shares(data, shares)
    return data


def test_shares_come_back_from_a_file(tmp_path):
    write_netcdf(dataset(made()), tmp_path / "x.nc")
    again, first = shares_of(read_netcdf(tmp_path / "x.nc")), made()
    assert again.grid == GRID
    assert (again.labels, again.made, again.notes) == (first.labels, first.made, first.notes)
    for sector, part in first.parts.items():
        np.testing.assert_array_equal(again.parts[sector].toarray(), part.toarray())
    assert not again.doubt


def test_what_is_not_known_of_them_comes_back_too(tmp_path):
    doubt = np.array([[4.0, -1, 0, -3], [-1, 2, 0, -1], [0, 0, 0, 0], [-3, -1, 0, 4]])
    write_netcdf(dataset(made(doubt={"shipping": doubt})), tmp_path / "x.nc")
    data = read_netcdf(tmp_path / "x.nc")
    np.testing.assert_allclose(data["region_split_uncertainty"].sel(sector="shipping"), [2, 2**0.5, 0, 2])
    for again in (shares_of(data), read_shares(tmp_path / "x.nc")):
        assert set(again.doubt) == {"shipping"}
        np.testing.assert_array_equal(again.doubt["shipping"], doubt)


def test_a_file_without_shares_has_none(tmp_path):
    write_netcdf(dataset(made()).drop_vars("share_cell"), tmp_path / "x.nc")
    assert read_shares(tmp_path / "x.nc") is None


def test_too_many_are_said_not_written(monkeypatch):
    monkeypatch.setattr(shares_module, "_LARGEST", 3)
    data = dataset(made())
    assert "share" not in data
    assert data.attrs["shares"].startswith("fossil: on the land")
    with pytest.raises(FormatError, match="too many for this file"):
        shares_of(data)
    with pytest.raises(FormatError, match="it was made without"):
        shares_of(xr.Dataset())
