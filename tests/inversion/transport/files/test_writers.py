"""CF netCDF and the PARIS layout: what is written is read back."""

from __future__ import annotations

import dataclasses

import netCDF4
import numpy as np
import pytest
import xarray as xr

from inversion.transport.files.writers import write_cf, write_paris
from inversion.transport.readers import ReaderOptions, open_footprints, read
from obsnet.errors import FormatError, GridError
from tests.inversion.transport import formats
from tests.inversion.transport.files.test_binning import footprints

HOUR = np.timedelta64(1, "h")
STILT = "202404020600_113.3_33.4_25_foot.nc"


def sources(folder):
    """One opened file of each make."""
    resolved, residual = np.stack([formats.field(k, 4) for k in range(5)]), formats.field(9, 5)
    (folder / "i").mkdir()
    integrated = formats.stilt(folder / "i" / STILT, formats.field(3, 1), times=np.array([formats.T0]))
    return {
        "openghg": open_footprints(formats.openghg(folder / "a.nc", resolved, residual)),
        "flexpart": open_footprints(formats.flexpart(folder / "grid_time.nc", formats.field(2, 3)[None])),
        "stilt": open_footprints(formats.stilt(folder / STILT, formats.field(1, 6))),
        "pystilt": open_footprints(
            formats.pystilt_parquet(folder / "p.parquet", formats.field(4, 5)), ReaderOptions(emulated=True)
        ),
        "integrated": open_footprints(integrated),
    }


@pytest.mark.parametrize("make", ["openghg", "flexpart", "stilt", "pystilt", "integrated"])
def test_cf_round_trip(tmp_path, make):
    source = sources(tmp_path)[make]
    write_cf(tmp_path / "out.nc", source, history="test")
    again = open_footprints(tmp_path / "out.nc")
    assert again.format == "cf"
    assert again.grid == source.grid
    assert (again.kind, again.column, again.weighting, again.notes) == (
        source.kind, source.column, source.weighting, source.notes,
    )  # fmt: skip
    a, b = source.read(), again.read()
    for name in a.variables:
        if a[name].dtype.kind in "mMUO":
            assert (
                (a[name].values == b[name].values) | (a[name].isnull() & b[name].isnull()).values
            ).all(), name
        else:
            np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)
    assert set(a.variables) == set(b.variables)


def test_cf_is_self_describing(tmp_path):
    write_cf(tmp_path / "out.nc", sources(tmp_path)["openghg"])
    with xr.open_dataset(tmp_path / "out.nc", engine="netcdf4") as data:
        assert data.attrs["Conventions"] == "CF-1.11"
        assert data.sensitivity.attrs["units"] == "ppm / (umol m-2 s-1)"
        assert data.sensitivity.dims == ("receptor", "step", "lat", "lon")
        assert data.lat.attrs["bounds"] == "lat_bnds"
        assert data.step_end.dtype.kind == "M"
    with netCDF4.Dataset(tmp_path / "out.nc") as nc:
        assert nc["obs_id"].cf_role == "timeseries_id"
        assert nc.dimensions["receptor"].isunlimited()


def test_cf_is_written_in_batches(tmp_path, monkeypatch):
    values = np.stack([formats.field(k, 3) for k in range(7)])
    source = footprints(values)
    monkeypatch.setattr(type(source).batches, "__defaults__", (values[0].nbytes * 3,))
    write_cf(tmp_path / "out.nc", source)
    np.testing.assert_array_equal(read(tmp_path / "out.nc").sensitivity.values, values)


def test_nothing_is_left_of_a_file_that_failed(tmp_path):
    source = footprints(np.full((1, 2, 12, 14), np.nan))
    for write in (write_cf, write_paris):
        with pytest.raises(FormatError, match="no receptor of this file has a footprint"):
            write(tmp_path / "out.nc", source)
    assert list(tmp_path.iterdir()) == []


def test_paris_round_trip(tmp_path):
    source = sources(tmp_path)["openghg"]
    write_paris(tmp_path / "out.nc", source)
    a, b = source.read(), read(tmp_path / "out.nc")
    np.testing.assert_array_equal(a.sensitivity, b.sensitivity)
    for name in (
        "step_start",
        "step_end",
        "receptor_time",
        "receptor_lat",
        "receptor_height",
        "share_west",
        "age_east",
    ):
        same = a[name].values == b[name].values
        assert (same | (a[name].isnull() & b[name].isnull()).values).all(), name
    assert str(b.obs_id.values[0]) == "openghg:ABC-25magl:2024-04-02T06:00:00"
    with netCDF4.Dataset(tmp_path / "out.nc") as nc:
        assert nc["srr"].dimensions == ("time", "latitude", "longitude")
        assert nc["srr"].units == "(mol/mol)/(mol/m2/s)"
        assert nc["srr_time_resolved"].dimensions == ("time", "latitude", "longitude", "H_back")
        np.testing.assert_allclose(
            nc["srr_time_resolved"][:].sum(axis=-1) + nc["srr_residual"][:], nc["srr"][:], rtol=1e-5
        )
        assert nc["time"].label == "left"
        assert nc["H_back"][:].tolist() == [0, 1, 2, 3]


def test_an_emulated_footprint_stays_marked(tmp_path):
    source = sources(tmp_path)["pystilt"]
    for write, name in ((write_cf, "c.nc"), (write_paris, "p.nc")):
        write(tmp_path / name, source)
        assert open_footprints(tmp_path / name).kind == "emulated"


def test_an_instantaneous_receptor_pairs_with_the_hours_before_it(tmp_path):
    """openghg multiplies element h with the flux of the hour beginning at time - h."""
    source = sources(tmp_path)["stilt"]
    write_paris(tmp_path / "out.nc", source)
    a, b = source.read(), read(tmp_path / "out.nc")
    assert (a.step_start.values == b.step_start.values[:, 1:]).all()
    np.testing.assert_array_equal(a.sensitivity, b.sensitivity[:, 1:])
    with netCDF4.Dataset(tmp_path / "out.nc") as nc:
        assert nc["H_back"][:].tolist() == [1, 2, 3, 4, 5, 6]
        assert netCDF4.num2date(nc["time"][0], nc["time"].units).hour == 6
        assert float(np.abs(nc["srr_residual"][:]).max()) == 0.0


def test_paris_of_an_integrated_footprint_has_only_srr(tmp_path):
    write_paris(tmp_path / "out.nc", sources(tmp_path)["integrated"])
    with netCDF4.Dataset(tmp_path / "out.nc") as nc:
        assert "srr_time_resolved" not in nc.variables
    assert read(tmp_path / "out.nc").resolved.values.tolist() == [False]


def test_real_paris_file_survives(sample_data, tmp_path):
    for name in (
        "MHD-10magl_FLEXPART_ECMWFHRES_TEST_inert_201809.nc",
        "THW-column_NAME_UMG_EUROPE_TEST_inert_202304.nc",
    ):
        source = open_footprints(sample_data / "transport/openghg" / name)
        write_paris(tmp_path / name, source)
        a, b = source.read(), read(tmp_path / name)
        np.testing.assert_array_equal(a.sensitivity, b.sensitivity)
        assert (a.receptor_time.values == b.receptor_time.values).all()
        assert a.attrs["weighting"] == b.attrs["weighting"]
        np.testing.assert_array_equal(a.share_west, b.share_west)


def test_what_the_paris_layout_cannot_hold(tmp_path):
    good = footprints(formats.field(1, 3)[None])
    with pytest.raises(
        FormatError, match="weighted with averaging kernel and pressure weights; this one is 'none'"
    ):
        write_paris(tmp_path / "o.nc", dataclasses.replace(good, column=True))
    with pytest.raises(FormatError, match="not in order of time, or two have one time"):
        write_paris(tmp_path / "o.nc", footprints(np.stack([formats.field(1, 3)] * 2)))
    with pytest.raises(FormatError, match="places, which are not known"):
        write_paris(
            tmp_path / "o.nc", dataclasses.replace(good, receptors=good.receptors.assign(latitude=np.nan))
        )
    with pytest.raises(GridError, match="same whole hours back"):
        write_paris(tmp_path / "o.nc", footprints(formats.field(1, 3)[None], offset=np.timedelta64(20, "m")))
    assert not (tmp_path / "o.nc").exists()
