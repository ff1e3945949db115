"""Files as centres send them: what is read as it comes, and what is refused with its name."""

from __future__ import annotations

import zipfile

import netCDF4
import numpy as np
import pytest
import xarray as xr

from obsnet.constants import GRAVITY, R_DRY_AIR
from obsnet.errors import ConfigError, FormatError, GridError, MissingVariableError, RangeError
from obsnet.met import open_met
from obsnet.met.readers.ecmwf import full_levels
from obsnet.met.readers.grib import _grid
from obsnet.met.readers.netcdf import layer_pressure
from obsnet.met.underground import fill_underground
from tests.obsnet.met import grib
from tests.obsnet.met.worlds import ISOTHERMAL, LEVELS, era5

SURFACE = {"sp", "t2m", "u10", "v10", "blh", "zust", "ishf"}
UPPER = {"u", "v", "w", "t", "q", "z"}
SCALE = R_DRY_AIR * ISOTHERMAL / GRAVITY


def same(met, other):
    for name in ("times", "lat", "lon"):
        np.testing.assert_allclose(getattr(met, name), getattr(other, name), atol=1e-3)
    for name in ("wind", "state", "surface", "terrain"):
        np.testing.assert_allclose(getattr(met, name), getattr(other, name), rtol=2e-3, atol=5e-2)


# ---- hours that are there in part, or twice


@pytest.mark.parametrize("lost", [(3,), (0,), (1, 2)])
def test_hours_of_the_surface_that_the_levels_lack_are_named(tmp_path, lost):
    """Seen: they vanished from the time axis."""
    hours = [h for h in range(4) if h not in lost]
    files = [
        era5(tmp_path / "a.nc", hours=hours, only=UPPER),
        era5(tmp_path / "b.nc", hours=range(4), only=SURFACE),
    ]
    text = (
        rf"surface fields are there at 2020-06-01T0{lost[0]}.* on levels are not \({len(lost)} such times\)"
    )
    with pytest.raises(FormatError, match=text):
        open_met(files)


def test_a_period_within_the_levels_asks_for_nothing_beyond(tmp_path):
    files = [
        era5(tmp_path / "a.nc", hours=range(3), only=UPPER),
        era5(tmp_path / "b.nc", hours=range(9), only=SURFACE),
    ]
    met = open_met(files, start="2020-06-01T00:00", stop="2020-06-01T02:00")
    assert met.times.size == 3
    with pytest.raises(FormatError, match="surface fields are there at 2020-06-01T03"):
        open_met(files)


def test_one_time_twice_in_one_file(tmp_path):
    """Seen: the last one won."""
    with pytest.raises(
        FormatError, match=r"a.nc: 'sp' at 2020-06-01T01:00:00 is there twice; give each time once"
    ):
        open_met([era5(tmp_path / "a.nc", hours=(0, 1, 1, 2))])


def test_grib_hours_of_the_surface_that_the_levels_lack(tmp_path):
    pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")
    whole = [grib.write(tmp_path / f"{h}.grb", h, gfs=True) for h in (0, 1)]
    levels = {name for name, kind, *_ in grib.fields(gfs=True) if kind == "isobaricInhPa"}
    part = grib.write(tmp_path / "2.grb", 2, gfs=True, leave_out=lambda n, _level: n in levels)
    with pytest.raises(FormatError, match="surface fields are there at 2020-06-01T02"):
        open_met([*whole, part])


# ---- holes


@pytest.mark.parametrize("name", ["t", "u", "blh", "ishf"])
def test_nan_at_a_later_time_names_variable_and_time(tmp_path, name):
    def hole(variable, values):
        if variable == name:
            values[1, ..., 5, 5] = np.nan
        return values

    with pytest.raises(
        RangeError, match=r"at 2020-06-01T01.* is missing \(NaN\) at \d+ of \d+ nodes of the domain"
    ):
        open_met([era5(tmp_path / "a.nc", change=hole)])


def test_levels_below_ground_may_be_empty(tmp_path):
    """MERRA-2 leaves them empty. Over terrain of 1200 m the levels up to 900 hPa lie in the ground."""
    full = open_met([era5(tmp_path / "a.nc", terrain=1200.0)])

    def empty(name, values):
        if name in UPPER:
            values[:, LEVELS > 870.0] = np.nan
        return values

    same(open_met([era5(tmp_path / "b.nc", terrain=1200.0, change=empty)]), full)

    def above(name, values):
        if name in UPPER:
            values[:, LEVELS > 840.0] = np.nan
        return values

    with pytest.raises(RangeError, match="NaN"):
        open_met([era5(tmp_path / "c.nc", terrain=1200.0, change=above)])


def test_heights_below_ground_follow_the_pressure():
    p = np.array([100000.0, 90000.0, 80000.0], np.float32)
    flat = np.full((1, 1), 85000.0, np.float32)
    column = np.array([np.nan, np.nan, 1.0], np.float32)[:, None, None]
    out = fill_underground({"p": p, "sp": flat, "u": column, "t": 280.0 * column, "height": 2000.0 * column})
    scale = R_DRY_AIR * 280.0 / GRAVITY
    np.testing.assert_allclose(out["height"][:, 0, 0], 2000.0 - scale * np.log(p / 80000.0), rtol=1e-5)
    assert out["t"][0, 0, 0] == 280.0


# ---- ensembles, projections, what is no output of a model


def with_members(path, name, members):
    era5(path)
    with netCDF4.Dataset(path) as data, netCDF4.Dataset(path.with_suffix(".ens.nc"), "w") as out:
        for dim, size in data.dimensions.items():
            out.createDimension(dim, size.size)
        out.createDimension(name, members)
        for key, variable in data.variables.items():
            wide = key == "u"
            dims = (variable.dimensions[0], name, *variable.dimensions[1:]) if wide else variable.dimensions
            made = out.createVariable(key, "f8", dims)
            made.setncatts({k: variable.getncattr(k) for k in variable.ncattrs()})
            made[:] = np.repeat(variable[:][:, None], members, axis=1) if wide else variable[:]
    return path.with_suffix(".ens.nc")


def test_an_ensemble_is_refused_and_one_member_is_not(tmp_path):
    with pytest.raises(
        FormatError, match=r"variable 'u' has 3 members of an ensemble \(number\).*ncks -d number,0"
    ):
        open_met([with_members(tmp_path / "a.nc", "number", 3)])
    same(open_met([with_members(tmp_path / "b.nc", "number", 1)]), open_met([era5(tmp_path / "c.nc")]))


def test_members_of_a_grib_ensemble(tmp_path):
    codes = pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")
    path = grib.write(tmp_path / "a.grb", 0, gfs=False, edition=2)
    with path.open("rb") as stream, (tmp_path / "b.grb").open("wb") as out:
        while (handle := codes.codes_grib_new_from_file(stream)) is not None:
            for member in (1, 2):
                codes.codes_set(handle, "productDefinitionTemplateNumber", 1)
                codes.codes_set(handle, "perturbationNumber", member)
                codes.codes_write(handle, out)
            codes.codes_release(handle)
    with pytest.raises(FormatError, match=r"has several members of an ensemble \(1 and 2\)"):
        open_met([tmp_path / "b.grb"])


def test_latitudes_of_a_curved_grid_need_its_projection(tmp_path):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as data:
        for name, n in (("time", 1), ("y", 5), ("x", 5)):
            data.createDimension(name, n)
        data.createVariable("time", "f8", ("time",)).units = "hours since 2020-01-01"
        data["time"][:] = 0.0
        for name in ("lat", "lon"):
            data.createVariable(name, "f8", ("y", "x"))[:] = 1.0
    with pytest.raises(
        GridError, match="neither latitude and longitude axes nor x and y of a projection; found lat"
    ):
        open_met([path])


def test_met_em_is_named_for_what_it_is(tmp_path):
    path = tmp_path / "met_em.d01.2020-06-01_00:00:00.nc"
    with netCDF4.Dataset(path, "w") as data:
        data.TITLE = "OUTPUT FROM METGRID V4.5"
        data.createDimension("num_metgrid_levels", 34)
    with pytest.raises(
        FormatError, match="a met_em file, the input that WPS makes for WRF; give WRF's output"
    ):
        open_met([path])


def test_times_that_are_missing_are_counted(tmp_path):
    path = era5(tmp_path / "a.nc")
    with netCDF4.Dataset(path, "a") as data:
        data["time"][1] = np.ma.masked
    with pytest.raises(FormatError, match=r"'time' lacks 1 of 3 times"):
        open_met([path])


# ---- as the Climate Data Store sends them


def test_archives_are_read_as_they_come(tmp_path, monkeypatch):
    names = ("data_stream-oper_stepType-instant.nc", "data_stream-oper_levels.nc")
    for name, only in zip(names, (SURFACE, UPPER), strict=True):
        era5(tmp_path / name, only=only)
    path = tmp_path / "era5.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.write(tmp_path / name, name)
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    same(open_met([path]), open_met([era5(tmp_path / "whole.nc")]))
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.write(tmp_path / names[0], "x.nc")
    with pytest.raises(MissingVariableError, match=r"two.zip/0-x.nc: no wind on levels"):
        open_met([tmp_path / "two.zip"])
    assert list(place.iterdir()) == []


def test_archives_that_are_damaged_or_empty(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(era5(tmp_path / "a.nc"), "../../../a.nc")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match=r"a.zip: cannot be read as a zip archive"):
        open_met([path])
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("nothing")
    with pytest.raises(FormatError, match="an archive with nothing in it"):
        open_met([path])


def test_terrain_under_a_date_of_its_own(tmp_path):
    """ERA5's static geopotential is downloaded for one hour of any year."""
    base = era5(tmp_path / "a.nc", drop=("z",), terrain=500.0)
    static = tmp_path / "z.nc"
    with netCDF4.Dataset(base) as data, netCDF4.Dataset(static, "w") as out:
        for dim in ("latitude", "longitude"):
            out.createDimension(dim, data.dimensions[dim].size)
            out.createVariable(dim, "f8", (dim,))[:] = data[dim][:]
        out.createDimension("time", 1)
        out.createVariable("time", "f8", ("time",)).units = "hours since 1979-01-01"
        out["time"][:] = 0.0
        variable = out.createVariable("z", "f4", ("time", "latitude", "longitude"))
        variable.units, variable[:] = "m**2 s**-2", 500.0 * GRAVITY
    met = open_met([base, static])
    assert met.times.size == 3
    np.testing.assert_allclose(met.terrain, 500.0, rtol=1e-5)
    same(met, open_met([era5(tmp_path / "b.nc", terrain=500.0)]))


@pytest.mark.parametrize("split", [1, 2])
def test_final_and_preliminary_versions_are_put_together(tmp_path, split):
    """Old downloads: a dimension expver, final values in one half, preliminary ones in the other, NaN elsewhere."""
    path = era5(tmp_path / "a.nc")
    with netCDF4.Dataset(path) as data, netCDF4.Dataset(tmp_path / "b.nc", "w") as out:
        for dim, size in data.dimensions.items():
            out.createDimension(dim, size.size)
        out.createDimension("expver", 2)
        out.createVariable("expver", "i4", ("expver",))[:] = (1, 5)
        for key, variable in data.variables.items():
            wide = len(variable.dimensions) > 1
            dims = (
                (variable.dimensions[0], "expver", *variable.dimensions[1:]) if wide else variable.dimensions
            )
            made = out.createVariable(key, "f8", dims)
            made.setncatts({k: variable.getncattr(k) for k in variable.ncattrs()})
            if wide:
                both = np.repeat(variable[:].astype(float)[:, None], 2, axis=1)
                both[split:, 0], both[:split, 1] = np.nan, np.nan
                made[:] = both
            else:
                made[:] = variable[:]
    same(open_met([tmp_path / "b.nc"]), open_met([path]))


def test_axes_and_levels_that_differ_by_rounding_are_the_same(tmp_path):
    """A thousandth of a cell; a tenth of a cell is another grid."""
    lat, lon = np.arange(30.0, 20.0, -1.0), np.arange(100.0, 112.0)
    upper = era5(tmp_path / "a.nc", only=UPPER)
    shifted = era5(tmp_path / "b.nc", only=SURFACE, lat=lat + 1e-3, lon=lon - 1e-3)
    same(open_met([upper, shifted]), open_met([era5(tmp_path / "c.nc")]))
    with pytest.raises(GridError, match="differs from"):
        open_met([upper, era5(tmp_path / "d.nc", only=SURFACE, lat=lat + 0.1)])
    wind = era5(tmp_path / "e.nc", only={"u", "v", "w"})
    rest = era5(tmp_path / "f.nc", only=SURFACE | {"t", "q", "z"}, levels=LEVELS * (1.0 + 3e-6))
    same(open_met([wind, rest]), open_met([era5(tmp_path / "g.nc")]))


# ---- ECMWF's model levels


def on_model_levels(path, numbers, *, name="level", unit="1"):
    """An isothermal world on numbered levels, whose pressures follow from the surface pressure."""
    era5(path, levels=np.asarray(numbers, float), drop=("z",))
    with netCDF4.Dataset(path, "a") as data:
        data["level"].units = unit
        variable = data.createVariable("orog", "f4", ("latitude", "longitude"))
        variable.units, variable[:] = "m", 0.0
    if name == "level":
        return path
    with xr.open_dataset(path, engine="netcdf4") as data:
        data.rename(level=name).to_netcdf(path.with_suffix(".named.nc"))
    return path.with_suffix(".named.nc")


@pytest.mark.parametrize(("name", "unit"), [("level", "1"), ("model_level", "1"), ("hybrid", "level")])
def test_the_137_levels_are_known(tmp_path, name, unit):
    met = open_met([on_model_levels(tmp_path / "a.nc", np.arange(60, 138), name=name, unit=unit)])
    np.testing.assert_allclose(met.state[0, 0, 0, :, 0], 101325 * np.exp(-met.height / SCALE), rtol=2e-4)
    assert any("ECMWF's 137 model levels" in note for note in met.meta["notes"])


@pytest.mark.parametrize(
    "numbers", [np.arange(1, 92), np.arange(30, 61), np.arange(100, 139), np.arange(90, 137) + 0.5]
)
def test_numbers_that_may_be_of_other_levels_are_not_guessed_at(tmp_path, numbers):
    with pytest.raises(
        FormatError, match="model levels in 'level' without their coefficients; add variables hyam"
    ):
        open_met([on_model_levels(tmp_path / "a.nc", numbers)])


def test_the_137_levels_are_those_of_gribs(sample_data):
    """Coefficients as a message of ECMWF's own has them, and the pressures that its documentation prints."""
    a, b = full_levels(np.array([1, 137]))
    np.testing.assert_allclose((a + 101325.0 * b) / 100.0, [0.0100, 1012.0494], atol=1e-3)
    codes = pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")
    with (sample_data / "transport/grib/regular_gg_ml_g2.grib").open("rb") as stream:
        handle = codes.codes_grib_new_from_file(stream)
        half = codes.codes_get_array(handle, "pv").reshape(2, 138)
        codes.codes_release(handle)
    np.testing.assert_allclose(
        full_levels(np.arange(1, 138)), 0.5 * (half[:, 1:] + half[:, :-1]), rtol=1e-6, atol=1e-9
    )


# ---- GEOS


GEOS = {
    "u": ("U", "m s-1"), "v": ("V", "m s-1"), "w": ("OMEGA", "Pa s-1"), "t": ("T", "K"), "q": ("QV", "kg kg-1"),
    "sp": ("PS", "Pa"), "t2m": ("T2M", "K"), "u10": ("U10M", "m s-1"), "v10": ("V10M", "m s-1"),
    "blh": ("PBLH", "m"), "zust": ("USTAR", "m s-1"), "ishf": ("HFLUX", "W m-2"),
}  # fmt: skip


def geos(path, *, only, minutes=0, hours=(0, 3), layers=False, name_of_time="minutes since 2020-06-01"):
    """MERRA-2's names and fill value; layers counted from the top with their pressure, or pressure levels."""
    base = era5(path.with_suffix(".era5"), hours=range(len(hours)), only=only | {"z"})
    with netCDF4.Dataset(base) as data, netCDF4.Dataset(path, "w") as out:
        sizes = {"time": len(hours), "lev": LEVELS.size, "lat": 10, "lon": 12}
        for dim, size in sizes.items():
            out.createDimension(dim, size)
            out.createVariable(dim, "f8", (dim,))
        out["time"].units, out["time"][:] = name_of_time, 60.0 * np.asarray(hours) + minutes
        out["lat"][:], out["lon"][:] = data["latitude"][::-1], data["longitude"][:]
        # Pressure levels as they are; layers from the top.
        order = slice(None, None, -1) if layers else slice(None)
        out["lev"].units = "layer" if layers else "hPa"
        out["lev"][:] = np.arange(1.0, LEVELS.size + 1) if layers else LEVELS
        for ours, (name, unit) in GEOS.items():
            if ours not in only:
                continue
            values = data[ours][:].astype(float)[..., ::-1, :]
            values = values[:, order] if values.ndim == 4 else values
            dims = ("time", "lev", "lat", "lon") if values.ndim == 4 else ("time", "lat", "lon")
            made = out.createVariable(name, "f4", dims, fill_value=1e15)
            made.units = unit
            made[:] = -values if ours == "ishf" else values  # upward in GEOS
        if "sp" in only:
            made = out.createVariable("PHIS", "f4", ("time", "lat", "lon"))
            made.units, made[:] = "m+2 s-2", 0.0
        if layers and "u" in only:
            made = out.createVariable("PL", "f4", ("time", "lev", "lat", "lon"))
            made.units, made[:] = "Pa", 100.0 * LEVELS[order][:, None, None]
        if not layers and "u" in only:
            made = out.createVariable("H", "f4", ("time", "lev", "lat", "lon"))
            made.units, made[:] = "m", data["z"][:].astype(float)[:, :, ::-1] / GRAVITY
    return path


@pytest.mark.parametrize("layers", [False, True])
def test_geos_names_and_layers(tmp_path, layers):
    """Fields of the moment on levels and at the surface, fluxes of the middle of the hours around."""
    levels = geos(tmp_path / "asm.nc", only={"u", "v", "w", "t", "q", "sp"}, layers=layers)
    flat = geos(tmp_path / "slv.nc", only={"t2m", "u10", "v10"}, hours=(0, 3), minutes=0)
    flux = geos(tmp_path / "flx.nc", only={"blh", "zust", "ishf"}, hours=(-1, 0, 1, 2, 3), minutes=30)
    met = open_met([levels, flat, flux])
    assert met.step == 3 * 3600.0
    expected = open_met([era5(tmp_path / "b.nc", hours=(0, 3))])
    same(met, expected)
    assert any("middle of their hours" in note for note in met.meta["notes"])


def test_geos_fluxes_that_do_not_reach_the_levels_hours(tmp_path):
    levels = geos(tmp_path / "asm.nc", only={"u", "v", "w", "t", "q", "sp", "t2m", "u10", "v10"})
    flux = geos(tmp_path / "flx.nc", only={"blh", "zust", "ishf"}, hours=(0, 1, 2), minutes=30)
    with pytest.raises(FormatError, match="is missing at 2020-06-01T00"):
        open_met([levels, flux])


EDGES = (
    np.array([1013.25, 996, 980, 950, 910, 860, 790, 690, 560, 410, 270, 150, 60, 50.0]) * 100.0
)  # Pa, from the ground


def delp(path, *, upward, positive=True, unit="layer", cut=slice(None), thick=-np.diff(EDGES)):
    """GEOS layers without their pressure, only its thickness; counted from the top or from the ground."""
    base = geos(path.with_suffix(".pl"), only={"u", "v", "w", "t", "q", "sp", *FLAT}, layers=True)
    with xr.open_dataset(base, engine="netcdf4", decode_times=False) as data:
        made = data.drop_vars("PL").load()
    order = slice(None) if upward else slice(None, None, -1)
    made["DELP"] = made["T"] * 0.0 + thick[order][:, None, None].astype("f4")
    # Something that differs between the ends, to tell them apart.
    made["U"] = made["T"] * 0.0 + np.linspace(4.0, 30.0, thick.size)[order][:, None, None].astype("f4")
    made["U"].attrs["units"], made["DELP"].attrs["units"] = "m s-1", "Pa"
    made["lev"] = made["lev"].copy(data=np.arange(1.0, thick.size + 1))
    made["lev"].attrs = {"units": unit} | ({"positive": "up" if upward else "down"} if positive else {})
    made.isel(lev=cut).to_netcdf(path)
    return path


FLAT = {"t2m", "u10", "v10", "blh", "zust", "ishf"}


@pytest.mark.parametrize("upward", [True, False])
@pytest.mark.parametrize("unit", ["layer", "millibar"])
def test_layers_of_known_thickness_from_either_end(tmp_path, upward, unit):
    """Pressure is that below which the layers above weigh it; a number that is called a pressure is none."""
    met = open_met([delp(tmp_path / "a.nc", upward=upward, unit=unit)])
    np.testing.assert_allclose(met.state[0, 0, 0, :, 0], 101325 * np.exp(-met.height / SCALE), rtol=3e-4)
    middle = 0.5 * (EDGES[1:] + EDGES[:-1])
    aloft = met.height > 500.0
    wind = np.interp(met.height[aloft], SCALE * np.log(101325.0 / middle), np.linspace(4.0, 30.0, 13))
    np.testing.assert_allclose(met.wind[0, 0, 0, aloft, 0], wind, atol=0.05)


def test_layers_whose_end_nothing_tells_are_refused(tmp_path):
    with pytest.raises(FormatError, match="does not say which way it counts .attribute positive."):
        open_met([delp(tmp_path / "a.nc", upward=True, positive=False)])
    thin = np.concatenate([-np.diff(EDGES[:-1]), [40.0]])
    known = open_met([delp(tmp_path / "b.nc", upward=False, positive=False, thick=thin)])
    same(known, open_met([delp(tmp_path / "c.nc", upward=True, thick=thin)]))


def test_layers_that_end_above_the_ground_are_refused(tmp_path):
    with pytest.raises(FormatError, match="layers down to the ground are needed"):
        open_met([delp(tmp_path / "a.nc", upward=True, cut=slice(7, None))])
    with pytest.raises(
        MissingVariableError, match="f.nc: layers without their pressure .PL, or DELP and PS."
    ):
        layer_pressure({"sp": np.full((1, 1), 1e5, np.float32)}, True, "f.nc")


def test_means_over_time_on_levels_are_told(tmp_path):
    path = delp(tmp_path / "a.nc", upward=True)
    with netCDF4.Dataset(path, "a") as data:
        data.LongName = "MERRA2 tavg3_3d_asm_Nv: 3d,3-Hourly,Time-Averaged,Model-Level,Assimilation"
    assert any("means over time" in note for note in open_met([path]).meta["notes"])


# ---- what lies below the lowest level, and which way heat goes


def test_levels_that_begin_high_above_ground_are_told_or_refused(tmp_path):
    with pytest.raises(RangeError, match="the lowest level of the fields is 5582 m above ground"):
        open_met([era5(tmp_path / "a.nc", levels=np.array([500.0, 400.0, 300.0, 200.0, 100.0]))])
    met = open_met([era5(tmp_path / "b.nc", levels=np.array([900.0, 800.0, 500.0, 300.0, 100.0]))])
    assert any("lowest level is up to 93" in note for note in met.meta["notes"])
    assert not any("lowest level" in n for n in open_met([era5(tmp_path / "c.nc")]).meta["notes"])


def test_the_way_that_a_heat_flux_counts_can_be_said(tmp_path):
    path = era5(tmp_path / "a.nc")
    plain, down, up = (open_met([path], heat_flux=way) for way in ("auto", "down", "up"))
    same(plain, down)
    assert (plain.surface[..., 3] < 0.0).all()
    assert (up.surface[..., 3] > 0.0).all()


@pytest.mark.parametrize("vertical", ["w", "wz"])
def test_cma_messages(tmp_path, vertical):
    """CMA's centre, its fields as CMA-GFS and CRA-40 have them: the sign of the heat flux has to be said."""
    pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")
    files = [
        grib.write(tmp_path / f"{h}.grb", h, gfs=True, centre="babj", rename={"w": vertical})
        for h in (0, 1, 2)
    ]
    with pytest.raises(
        FormatError, match="heat flux of centre 'babj' counts upward or downward is not known"
    ):
        open_met(files)
    same(open_met(files, heat_flux="up"), open_met([era5(tmp_path / "a.nc", drop=("zust",))]))
    assert (open_met(files, heat_flux="down").surface[..., 3] > 0.0).all()
    silent = [
        grib.write(tmp_path / f"{h}.q.grb", h, gfs=True, centre="babj", leave_out=lambda n, _l: n == "ishf")
        for h in (0, 1)
    ]
    assert open_met(silent).times.size == 2


def test_options_that_a_format_has_no_use_for_are_refused(tmp_path, sample_data):
    pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")
    path = grib.write(tmp_path / "0.grb", 0, gfs=True)
    with pytest.raises(ConfigError, match="accumulated = 'hour' does nothing with GRIB files"):
        open_met([path], accumulated="hour")
    wrf = sample_data / "transport/wrf/wrf_mercator_sample.nc"
    with pytest.raises(ConfigError, match="heat_flux = 'up' does nothing with WRF files"):
        open_met([wrf], heat_flux="up")


# ---- shapes of the Earth, and the other pole


PROJECTIONS = {
    "lambert": {
        "Latin1InDegrees": 30.0,
        "Latin2InDegrees": 60.0,
        "LaDInDegrees": 45.0,
        "LoVInDegrees": 110.0,
    },
    "polar_stereographic": {"LaDInDegrees": 60.0, "orientationOfTheGridInDegrees": 110.0},
    "south": {"LaDInDegrees": -60.0, "orientationOfTheGridInDegrees": 110.0, "projectionCentreFlag": 128},
}


def projected(codes, kind, shape):
    """A message on a grid of 12 x 9 nodes of 30 km."""
    south = kind == "south"
    handle = codes.codes_grib_new_from_samples("polar_stereographic_pl_grib2")
    keys = ({"gridType": kind} if kind == "lambert" else {}) | {"shapeOfTheEarth": shape, "Nx": 12, "Ny": 9}
    keys |= {"latitudeOfFirstGridPointInDegrees": -70.0 if south else 35.0, "jScansPositively": 1}
    keys |= {"longitudeOfFirstGridPointInDegrees": 100.0, "DxInMetres": 30000, "DyInMetres": 30000}
    for key, value in {**keys, **PROJECTIONS[kind]}.items():
        codes.codes_set(handle, key, value)
    codes.codes_set_values(handle, np.zeros(12 * 9))
    return handle


@pytest.mark.parametrize("kind", list(PROJECTIONS))
@pytest.mark.parametrize("shape", [0, 6, 8])
def test_projected_gribs_lie_where_ecmwf_puts_them(tmp_path, kind, shape):
    codes = pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")
    from pyproj import Transformer

    handle = projected(codes, kind, shape)
    grid, size, _ = _grid(tmp_path, handle, codes)
    lat, lon = (codes.codes_get_array(handle, key).reshape(9, 12) for key in ("latitudes", "longitudes"))
    codes.codes_release(handle)
    back = Transformer.from_crs(grid.crs, grid.crs.geodetic_crs, always_xy=True)
    found = back.transform(*np.meshgrid(grid.x, grid.y))
    assert size == (9, 12)
    np.testing.assert_allclose(found[1], lat, atol=2e-3)
    np.testing.assert_allclose(np.asarray(found[0]) % 360.0, lon, atol=5e-3)


@pytest.mark.parametrize(
    ("shape", "axes"),  # WMO code table 3.2
    [
        (0, (6367470.0, 6367470.0)), (2, (6378160.0, 6356775.0)), (4, (6378137.0, 6356752.314)),
        (5, (6378137.0, 6356752.314)), (6, (6371229.0, 6371229.0)), (8, (6371200.0, 6371200.0)),
        (9, (6377563.396, 6356256.909)),
    ],
)  # fmt: skip
def test_shapes_of_the_earth(tmp_path, shape, axes):
    codes = pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")
    handle = projected(codes, "lambert", shape)
    ellipsoid = _grid(tmp_path, handle, codes)[0].crs.ellipsoid
    codes.codes_release(handle)
    assert (ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre) == pytest.approx(axes, abs=0.01)


def test_an_earth_without_axes(tmp_path):
    codes = pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")
    handle = projected(codes, "polar_stereographic", 7)
    with pytest.raises(GridError, match="an Earth of shape 7 with axes of"):
        _grid(tmp_path, handle, codes)
    codes.codes_release(handle)
