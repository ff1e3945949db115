"""openghg in the acrg and PARIS layouts, and the background from curtains."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from inversion.transport.files.binning import sparse_tables
from inversion.transport.files.summary import summary
from inversion.transport.readers import ReaderOptions, open_footprints, read
from inversion.transport.readers.curtain import background, read_curtain
from obsnet.errors import FormatError, GridError, MissingVariableError, RangeError, UnitError
from obsnet.field import grid_of
from tests.inversion.transport import formats
from tests.inversion.transport.formats import T0

HOUR = np.timedelta64(1, "h")
HALF = np.timedelta64(30, "m")
ACRG = "inversion/acrg_footprints/WAO-20magl_UKV_co2_EUROPE_201801.nc"


def parts(seed: int = 1, n: int = 5, back: int = 4) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([formats.field(seed + k, back) for k in range(n)]), formats.field(seed + 90, n)


@pytest.mark.parametrize("style", ["acrg", "paris"])
def test_hours_back_pair_with_the_hour_t_minus_h(tmp_path, style):
    resolved, residual = parts()
    data = read(formats.openghg(tmp_path / "f.nc", resolved, residual, style=style))
    assert data.resolved.values.tolist() == [False, True, True, True, True]
    np.testing.assert_array_equal(data.sensitivity.values[:, 0], residual)
    np.testing.assert_array_equal(data.sensitivity.values[:, 1:], resolved[:, ::-1])
    # H_back = 0 of the release of 06-07 UTC is the flux of 06-07 UTC, H_back = 3 that of 03-04.
    assert data.step_start.values[0, -1] == T0
    assert data.step_start.values[0, 1] == T0 - 3 * HOUR
    assert np.isnat(data.step_start.values[:, 0]).all()
    assert (data.step_end.values[:, 0] == data.step_start.values[:, 1]).all()
    assert data.receptor_time.values[2] == T0 + 2 * HOUR + HALF


@pytest.mark.parametrize("style", ["acrg", "paris"])
def test_footprint_times_hourly_flux_is_the_loop_over_hours_back(tmp_path, style):
    """The known way (flux of hour t - h, the residual with the mean flux), written as a loop."""
    resolved, residual = parts(7, n=6, back=4)
    data = read(formats.openghg(tmp_path / "f.nc", resolved, residual, style=style))
    edges = T0 - 3 * HOUR + np.arange(10) * HOUR
    flux = np.random.default_rng(0).random((9, 12, 14))
    expected = [
        sum((resolved[t, h] * flux[t + 3 - h]).sum() for h in range(4)) + (residual[t] * flux[t + 3]).sum()
        for t in range(6)
    ]
    grid = grid_of(data)
    table = sparse_tables(data, grid, edges, unresolved="release").sensitivity
    at = (table["time_bin"].to_numpy(), *np.unravel_index(table["cell"].to_numpy(), grid.shape))
    product = table["sensitivity"].to_numpy().astype(float) * flux[at]
    ids = np.asarray(table["obs_id"].to_pylist())
    found = [product[ids == i].sum() for i in data.obs_id.values]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_real_parts_add_up_to_the_whole(sample_data):
    path = sample_data / ACRG
    by_hour, whole = read(path), read(path, ReaderOptions(integrated=True))
    assert by_hour.sizes == {"receptor": 24, "step": 25, "lat": 119, "lon": 94, "bnds": 2, "height": 20}
    np.testing.assert_allclose(by_hour.sensitivity.sum("step"), whole.sensitivity.squeeze("step"), atol=3e-5)
    with xr.open_dataset(path, engine="netcdf4") as raw:
        np.testing.assert_allclose(
            whole.sensitivity.values[:, 0], raw.fp.transpose("time", "lat", "lon"), rtol=1e-6
        )


def test_real_footprint_times_flux(sample_data):
    """Through tables and matrix: the same as multiplying the file's own arrays."""
    with (
        xr.open_dataset(sample_data / ACRG, engine="netcdf4") as raw,
        xr.open_dataset(
            sample_data / "inversion/acrg_footprints/co2-edgar-ff-1hr_EUROPE_2018.nc", engine="netcdf4"
        ) as emission,
    ):
        rng = np.random.default_rng(1)
        hourly = emission.flux.values[..., 0] * rng.uniform(0.5, 1.5, (48, 1, 1))
        fp = raw.fp_HiTRes.transpose("time", "H_back", "lat", "lon").values
    expected = [
        sum((fp[t, h] * hourly[24 + t - h]).sum() for h in range(24)) + (fp[t, 24] * hourly[24 + t]).sum()
        for t in range(24)
    ]
    data = read(sample_data / ACRG)
    edges = np.datetime64("2018-01-01T00") + np.arange(49) * HOUR
    binned = sparse_tables(data, grid_of(data), edges, unresolved="release")
    table = binned.sensitivity
    flux = hourly.reshape(48, -1)[table["time_bin"].to_numpy(), table["cell"].to_numpy()]
    order = {name: i for i, name in enumerate(data.obs_id.values.tolist())}
    rows = np.array([order[i] for i in table["obs_id"].to_pylist()])
    found = np.bincount(rows, weights=table["sensitivity"].to_numpy() * flux)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert binned.lost == pytest.approx({"time": 0.0, "grid": 0.0, "unresolved": 0.0}, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "column", "weighting", "site"),
    [
        ("transport/openghg/MHD-10magl_FLEXPART_ECMWFHRES_TEST_inert_201809.nc", False, "none", "MHD-10magl"),
        ("transport/openghg/THW-column_NAME_UMG_EUROPE_TEST_inert_202304.nc", True, "kernel", "THW-column"),
        ("transport/openghg/WAO-20magl_UKV_rn_TEST_201801.nc", False, "none", "WAO-20magl"),
        ("inversion/acrg_footprints/GOSAT-UK-column_EUROPE_201402.nc", True, "kernel", "GOSAT-UK-column"),
    ],
)
def test_real_files(sample_data, name, column, weighting, site):
    opened = open_footprints(sample_data / name)
    said = summary(opened)
    assert (opened.column, opened.weighting) == (column, weighting)
    assert opened.receptors["obs_id"][0].startswith(f"openghg:{site}:20")
    assert 0 <= said["boundary_share"] <= 1.0
    if column:
        assert "above, the prior counts" in " ".join(opened.notes)
        assert np.isnan(opened.receptors["height_m"]).all()
    with xr.open_dataset(sample_data / name, engine="netcdf4") as raw:
        field = raw["fp" if "fp" in raw else "srr"]
        assert said["total_sensitivity"] * len(opened) == pytest.approx(
            float(field.astype("f8").sum()), rel=1e-6
        )


def test_real_comment_lifetime_and_grid(sample_data):
    folder = sample_data / "transport/openghg"
    assert any("factor of 1.06" in n for n in open_footprints(next(folder.glob("MHD*"))).notes)
    radon = open_footprints(next(folder.glob("WAO*")))
    assert radon.lifetime_hours == pytest.approx(132.3768)
    assert radon.species == "RN"
    # float32 centres in one file, float64 in another: the same domain is the same grid
    column = open_footprints(next(folder.glob("THW*")))
    assert (
        column.grid
        == open_footprints(sample_data / "inversion/acrg_footprints/GOSAT-UK-column_EUROPE_201402.nc").grid
    )
    assert column.grid.lat_edges[0] == pytest.approx(10.612, abs=1e-9)


def test_real_nested_file(sample_data):
    path = sample_data / "transport/openghg/footprint_test.nc"
    low, high = open_footprints(path), open_footprints(path, ReaderOptions(part="high"))
    assert float(low.read().sensitivity.sum()) == pytest.approx(16.5189, abs=1e-3)
    assert float(high.read().sensitivity.sum()) == pytest.approx(1.81311, abs=1e-4)
    assert high.grid.shape == (55, 55)
    assert "whole domain" in low.notes[0]
    assert "outside it is left out" in high.notes[0]
    inner = low.read().sel(lat=slice(50.9, 52.0), lon=slice(-1.2, 0.45)).sensitivity.sum()
    assert float(high.read().sensitivity.sum()) == pytest.approx(float(inner), rel=0.002)


def test_real_parts_without_a_unit_are_refused_unless_they_add_up(sample_data, tmp_path):
    path = next((sample_data / "transport/openghg").glob("TAC*"))
    with pytest.raises(UnitError, match="fp_HiTRes has no unit, and it does not add up to fp"):
        read(path)
    whole = read(path, ReaderOptions(integrated=True))
    assert whole.sizes["receptor"] == 73
    resolved, residual = parts(3)
    data = read(formats.openghg(tmp_path / "f.nc", resolved, residual, part_unit=False))
    assert data.attrs["unit_in_file"] == "(mol/mol)/(mol/m2/s)"


def test_no_unit_at_all(tmp_path):
    resolved, residual = parts(3)
    path = formats.openghg(tmp_path / "f.nc", resolved, residual, unit=None)
    with pytest.raises(UnitError, match="has no unit; if you know it"):
        read(path)
    assert read(path, ReaderOptions(unit="(mol/mol)/(mol/m2/s)")).sensitivity.sum() > 0


def test_labels(tmp_path):
    resolved, residual = parts(4)
    bare = open_footprints(formats.openghg(tmp_path / "f.nc", resolved, residual, label=False))
    assert any("time has no label" in n for n in bare.notes)
    assert any("no averaging period" in n for n in bare.notes)
    left = read(formats.openghg(tmp_path / "g.nc", resolved, residual))
    right = read(tmp_path / "g.nc", ReaderOptions(label="end"))
    assert (left.receptor_time.values - right.receptor_time.values == HOUR).all()
    assert (left.step_start.values[:, 1:] - right.step_start.values[:, 1:] == HOUR).all()


def test_two_hourly_steps(tmp_path):
    resolved, residual = parts(5)
    data = read(formats.openghg(tmp_path / "f.nc", resolved, residual, step=2.0))
    assert data.step_end.values[0, -1] == T0 + HOUR
    assert data.step_start.values[0, -1] == T0 - HOUR
    assert data.step_start.values[0, 1] == T0 - 7 * HOUR


def test_a_few_receptors_are_read_alone(tmp_path):
    resolved, residual = parts(6)
    opened = open_footprints(formats.openghg(tmp_path / "f.nc", resolved, residual))
    whole = opened.read()
    xr.testing.assert_identical(opened.read(2, 4), whole.isel(receptor=slice(2, 4)))
    batches = list(opened.batches(opened.bytes_per_receptor * 2))
    assert [b.sizes["receptor"] for b in batches] == [2, 2, 1]
    np.testing.assert_array_equal(xr.concat(batches, "receptor").sensitivity, whole.sensitivity)


def test_absent_hours_are_counted(tmp_path):
    resolved, residual = parts(6)
    resolved[1] = np.nan
    residual[1] = np.nan
    data = read(formats.openghg(tmp_path / "f.nc", resolved, residual))
    assert data.sizes["receptor"] == 4
    assert data.attrs["missing_receptors"] == 1


# --- curtains ---


def uniform(value: float) -> dict[str, float]:
    return dict.fromkeys("nesw", value)


def test_uniform_curtains_give_their_own_value(tmp_path):
    resolved, residual = parts(8)
    data = read(formats.openghg(tmp_path / "f.nc", resolved, residual))
    found = background(
        data, read_curtain(formats.curtain(tmp_path / "c.nc", uniform(415e-6), unit="mol mol-1"), "CO2")
    )
    np.testing.assert_allclose(found["background"], 415.0, rtol=1e-6)
    np.testing.assert_allclose(found["share"], 0.4, rtol=1e-5)


def test_each_side_counts_by_its_share(tmp_path):
    resolved, residual = parts(8)
    data = read(formats.openghg(tmp_path / "f.nc", resolved, residual))
    values = {"n": 400e-6, "e": 410e-6, "s": 420e-6, "w": 430e-6}
    found = background(data, read_curtain(formats.curtain(tmp_path / "c.nc", values, unit="1"), "CO2"))
    np.testing.assert_allclose(found["background"], 415.0, rtol=1e-6)


def test_short_lived_tracers_lose_on_the_way(tmp_path):
    resolved, residual = parts(8)
    data = read(formats.openghg(tmp_path / "f.nc", resolved, residual)).assign_attrs(lifetime_hours=6.0)
    found = background(
        data, read_curtain(formats.curtain(tmp_path / "c.nc", uniform(415e-6), unit="1"), "CO2")
    )
    np.testing.assert_allclose(found["background"], 415.0 * np.exp(-3.0 / 6.0), rtol=1e-6)


def test_shares_become_the_background_table(tmp_path):
    resolved, residual = parts(8)
    data = read(formats.openghg(tmp_path / "f.nc", resolved, residual))
    edges = T0 - 6 * HOUR + np.arange(13) * HOUR
    table = sparse_tables(data, grid_of(data), edges, unresolved="release").background.to_pandas()
    one = table[table.obs_id == data.obs_id.values[0]].set_index("side")
    for side in ("north", "east", "south", "west"):
        assert one.loc[side, "share"] == pytest.approx(0.1, rel=1e-5)
        assert one.loc[side, "time_bin"] == 3  # released in the middle of hour 6, three hours old: hour 3
    assert one.loc["inside", "share"] == pytest.approx(0.6, rel=1e-5)
    assert table.groupby("obs_id")["share"].sum().to_numpy() == pytest.approx(1.0)


def test_air_older_than_the_first_bin_came_in_the_first(tmp_path):
    resolved, residual = parts(8)
    data = read(formats.openghg(tmp_path / "f.nc", resolved, residual))
    table = sparse_tables(data, grid_of(data), T0 + np.arange(6) * HOUR, unresolved="release").background
    assert set(table["time_bin"].to_pylist()) == {0, 1}


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        ({"species": "CO2"}, FormatError, "vmr_n has no unit; old openghg files are in mol mol-1"),
        ({"species": "CH4", "unit": "mol mol-1"}, RangeError, "vmr_n spans 415000 to 415000 ppb"),
        ({"species": "CO2", "unit": "ppb"}, RangeError, "outside 150 to 5000; is it CO2, and in ppb"),
    ],
)
def test_curtains_are_checked(tmp_path, kwargs, error, text):
    path = formats.curtain(tmp_path / "c.nc", uniform(415e-6))
    with pytest.raises(error, match=text):
        read_curtain(path, **kwargs)


def test_curtains_that_do_not_fit(tmp_path, sample_data):
    resolved, residual = parts(8)
    data = read(formats.openghg(tmp_path / "f.nc", resolved, residual))
    real = read_curtain(sample_data / "transport/openghg/bc_co2_EUROPE_201407.nc", "CO2", unit="mol mol-1")
    assert real.north.mean().item() == pytest.approx(395, abs=5)
    with pytest.raises(GridError, match="is not among those of the boundary file"):
        background(data, real)
    late = read_curtain(formats.curtain(tmp_path / "c.nc", uniform(415e-6), unit="1"), "CO2")
    with pytest.raises(FormatError, match="curtains begin .* after the receptor"):
        background(data, late.assign_coords(time=late.time + np.timedelta64(60, "D")))
    column = read(sample_data / "inversion/acrg_footprints/GOSAT-UK-column_EUROPE_201402.nc")
    with pytest.raises(FormatError, match="weighted column needs the prior"):
        background(column, real)
    with pytest.raises(MissingVariableError, match="no boundary file"):
        read_curtain(tmp_path / "f.nc", "CO2")


def test_real_background(sample_data):
    """TAC in July 2014 with CAMS curtains: a number around the marine background of the month."""
    data = read(next((sample_data / "transport/openghg").glob("TAC*")), ReaderOptions(integrated=True))
    real = read_curtain(sample_data / "transport/openghg/bc_co2_EUROPE_201407.nc", "CO2", unit="mol mol-1")
    # The sample is cut to 12 x 12 cells, its curtains with it: they lie within the boundary file's.
    found = background(data, real)
    expected = 0.0
    raw = xr.open_dataset(next((sample_data / "transport/openghg").glob("TAC*")), engine="netcdf4")
    bc = xr.open_dataset(
        sample_data / "transport/openghg/bc_co2_EUROPE_201407.nc", engine="netcdf4"
    ).drop_vars("time")
    bc = bc.reindex(lat=raw.lat, lon=raw.lon, method="nearest")
    for side in "nesw":
        share = raw[f"particle_locations_{side}"].isel(time=0)
        expected += float((share * bc[f"vmr_{side}"]).sum()) * 1e6
    assert found["background"].iloc[0] * found["share"].iloc[0] == pytest.approx(expected, rel=1e-5)
