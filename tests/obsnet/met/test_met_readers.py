"""Readers of other formats: WRF, GRIB, ARL, hybrid levels, projections."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obsnet.constants import GRAVITY, R_DRY_AIR
from obsnet.errors import FormatError, GridError, MissingVariableError, ObsnetError
from obsnet.met import open_met
from obsnet.met.horizontal import Horizontal, Resampler
from obsnet.met.readers.arl import unpack
from obsnet.met.readers.grib import check_frames
from tests.obsnet.met import arl, grib
from tests.obsnet.met.worlds import ISOTHERMAL, era5

SCALE = R_DRY_AIR * ISOTHERMAL / GRAVITY
LAT, LON = np.arange(20.0, 50.0), np.arange(100.0, 130.0)
ARL_LEVELS = (1000.0, 925.0, 850.0, 700.0, 500.0, 300.0, 150.0)


# ---- horizontal


def test_a_projected_grid_keeps_a_plane_and_turns_its_winds():
    """Wind along the y axis of a Lambert grid, seen from the earth, is turned by the meridians' convergence."""
    from pyproj import CRS

    crs = CRS.from_proj4("+proj=lcc +lat_1=30 +lat_2=60 +lat_0=40 +lon_0=105 +a=6370000 +b=6370000 +units=m")
    x, y = np.arange(-1e6, 1.01e6, 5e4), np.arange(-8e5, 8.1e5, 5e4)
    resample = Resampler(Horizontal(y, x, crs, grid_winds=True))
    zero, ten = np.zeros((y.size, x.size)), np.full((y.size, x.size), 10.0)
    u, v = resample.wind(zero, ten)
    np.testing.assert_allclose(np.hypot(u, v), 10.0, rtol=1e-5)
    n = np.log(np.cos(np.deg2rad(30)) / np.cos(np.deg2rad(60))) / np.log(
        np.tan(np.deg2rad(75)) / np.tan(np.deg2rad(60))
    )
    turn = n * np.deg2rad(resample.lon - 105.0)
    # East of the central meridian grid north leans to the east of true north... seen from true north.
    np.testing.assert_allclose(u, np.broadcast_to(10.0 * np.sin(turn), u.shape), atol=0.02)
    np.testing.assert_allclose(v, np.broadcast_to(10.0 * np.cos(turn), v.shape), atol=0.02)
    earth = Resampler(Horizontal(y, x, crs, grid_winds=False)).wind(zero, ten)
    np.testing.assert_allclose(earth[0], 0.0)


def test_resampling_reproduces_a_bilinear_field():
    from pyproj import CRS, Transformer

    crs = CRS.from_epsg(32632)
    x, y = np.arange(4e5, 7.5e5, 2e4), np.arange(5.0e6, 5.55e6, 2e4)
    resample = Resampler(Horizontal(y, x, crs))
    field = (1.0 + x / 1e5)[None, :] + (y / 1e6)[:, None]
    px, py = Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True).transform(
        *np.meshgrid(resample.lon, resample.lat)
    )
    np.testing.assert_allclose(resample(field), 1.0 + px / 1e5 + py / 1e6, rtol=3e-5)
    spacing = np.deg2rad(resample.lat[1] - resample.lat[0]) * 6371000
    assert spacing == pytest.approx(20000, rel=0.05)  # neither wasted nor blurred


def test_gaussian_latitudes_become_even():
    gauss = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(32)[0]))
    resample = Resampler(Horizontal(gauss[::-1], np.arange(0.0, 360.0, 5.0)[:30]))
    assert np.ptp(np.diff(resample.lat)) < 1e-9
    np.testing.assert_allclose(
        resample(np.repeat(gauss[::-1][:, None], 30, 1)), resample.lat[:, None] + np.zeros(30), atol=1e-4
    )


def test_domains_with_a_hole():
    with pytest.raises(GridError, match="have a gap"):
        Resampler(Horizontal(np.arange(3.0), np.array([10.0, 11.0, 12.0, 100.0])))
    with pytest.raises(GridError, match="two rows and columns"):
        Resampler(Horizontal(np.arange(1.0), np.arange(5.0)))


def test_a_projected_grid_without_a_projection(tmp_path):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as data:
        for name, n in (("time", 1), ("y", 5), ("x", 5)):
            data.createDimension(name, n)
            data.createVariable(name, "f8", (name,))[:] = np.arange(n)
        data["time"].units = "hours since 2020-01-01"
    with pytest.raises(
        GridError, match=r"a.nc: the grid is in x and y but no variable describes the projection"
    ):
        open_met([path])


# ---- hybrid levels


def hybrid(path, *, names=("hyam", "hybm"), p0=None, surface=101325.0):
    """ERA5-like file on 20 hybrid levels."""
    b = np.linspace(0.02, 0.997, 20) ** 1.5
    a = 8000.0 * np.linspace(0.3, 0.0, 20)
    era5(path, levels=np.arange(1.0, 21.0), change=lambda n, v: v, drop=("z",))
    with netCDF4.Dataset(path, "a") as data:
        data["level"].units = "1"
        data["sp"][:] = surface
        if names is not None:
            for name, values in zip(names, (a if p0 is None else a / p0, b), strict=True):
                data.createVariable(name, "f8", ("level",))[:] = values
            if p0 is not None:
                data.createVariable("p0", "f8", ())[...] = p0
        variable = data.createVariable("orog", "f4", ("latitude", "longitude"))
        variable.units = "m"
        variable[:] = 0.0
    return path


@pytest.mark.parametrize(("names", "p0"), [(("hyam", "hybm"), None), (("ap", "b"), None), (("a", "b"), 1e5)])
def test_hybrid_levels(tmp_path, names, p0):
    met = open_met([hybrid(tmp_path / "a.nc", names=names, p0=p0)])
    np.testing.assert_allclose(met.state[0, 0, 0, :, 0], 101325 * np.exp(-met.height / SCALE), rtol=2e-4)
    assert met.top > 5000.0


def test_hybrid_levels_without_coefficients(tmp_path):
    with pytest.raises(
        FormatError, match=r"model levels in 'level' without their coefficients; add variables hyam"
    ):
        open_met([hybrid(tmp_path / "a.nc", names=None)])


# ---- WRF


def test_wrf_sample(sample_data):
    path = sample_data / "transport" / "wrf" / "wrf_mercator_sample.nc"
    met = open_met([path])
    assert met.times.size == 4
    assert met.step == 3 * 3600.0
    with netCDF4.Dataset(path) as data:
        lat, lon = data["XLAT"][0], data["XLONG"][0]
        j, i = 24, 24
        u = 0.5 * (data["U"][2, :, j, i] + data["U"][2, :, j, i + 1])
        z = (data["PH"][2, :, j, i] + data["PHB"][2, :, j, i]) / GRAVITY - data["HGT"][2, j, i]
        middle = 0.5 * (z[1:] + z[:-1])
        surface = data["PSFC"][2, j, i]
    column = met.profile(met.times[2].astype("datetime64[s]"), float(lat[j, i]), float(lon[j, i]))
    assert column["pressure"][0, 0] == pytest.approx(float(surface), rel=2e-4)
    inside = (met.height > middle[0]) & (met.height < 4000.0)
    expected = np.interp(met.height[inside], middle, u)
    # Mercator: nothing to turn. The column lies between nodes by less than a cell.
    np.testing.assert_allclose(column["u"][0, inside], expected, atol=0.8)


def lambert(touches, reference, size, nx=40, ny=36):
    """Return latitudes and longitudes of a Lambert grid around 115 E, and the grid components of an eastward wind.

    The turn of the grid against north is sin(touches) times the distance in longitude from the middle.
    """
    from pyproj import CRS, Transformer

    crs = CRS.from_proj4(
        f"+proj=lcc +lat_1={touches} +lat_0={reference} +lon_0=115 +a=6371200 +b=6371200 +units=m"
    )
    x, y = np.meshgrid(size * (np.arange(nx) - nx / 2), size * (np.arange(ny) - ny / 2))
    lon, lat = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(x, y)
    turn = np.deg2rad(lon - 115.0) * np.sin(np.deg2rad(touches))
    return lat, lon, 10.0 * np.cos(turn), 10.0 * np.sin(turn)


def assert_eastward(met, bounds_at_least):
    """Wind is eastward everywhere, and temperature falls by half a degree per degree of latitude: all is in place."""
    south, north, west, east = met.bounds
    assert south < bounds_at_least[0] < bounds_at_least[1] < north
    assert west < bounds_at_least[2] < bounds_at_least[3] < east
    for lat, lon in ((31.0, 111.5), (33.0, 115.0), (35.0, 118.5)):
        column = met.profile(met.times[0].astype("datetime64[s]"), lat, lon)
        aloft = (met.height > 500.0) & (met.height < 5000.0)
        np.testing.assert_allclose(column["u"][0, aloft], 10.0, atol=0.1)
        np.testing.assert_allclose(column["v"][0, aloft], 0.0, atol=0.1)
        np.testing.assert_allclose(column["temperature"][0, aloft], 290.0 - 0.5 * lat, atol=0.1)


def wrf_file(path, *, kind=1, change=lambda _data: None):
    """Write a wrfout of an atmosphere at 290 K - lat / 2 on a Lambert grid, 30 km, 14 levels."""
    lat, lon, u, v = lambert(33.0, 33.0, 30e3)
    ny, nx = lat.shape
    nz = 14
    faces = np.linspace(0.0, 12000.0, nz + 1)[:, None, None] + np.zeros((ny, nx))
    middle = 0.5 * (faces[1:] + faces[:-1])
    temperature = 290.0 - 0.5 * lat + np.zeros((nz, 1, 1))
    pressure = 101325.0 * np.exp(-middle * GRAVITY / (R_DRY_AIR * temperature))
    along = {"U": np.concatenate([u, u[:, -1:]], axis=1), "V": np.concatenate([v, v[-1:]], axis=0)}
    along["U"][:, 1:-1] = 0.5 * (u[:, 1:] + u[:, :-1])
    along["V"][1:-1] = 0.5 * (v[1:] + v[:-1])
    with netCDF4.Dataset(path, "w") as data:
        data.TITLE = " OUTPUT FROM WRF V4.0 MODEL"
        data.setncatts(
            {"MAP_PROJ": kind, "TRUELAT1": 33.0, "TRUELAT2": 33.0, "STAND_LON": 115.0, "MOAD_CEN_LAT": 33.0}
        )
        sizes = {"Time": 1, "DateStrLen": 19, "bottom_top": nz, "bottom_top_stag": nz + 1, "south_north": ny}
        sizes |= {"south_north_stag": ny + 1, "west_east": nx, "west_east_stag": nx + 1}
        for name, size in sizes.items():
            data.createDimension(name, size)
        data.createVariable("Times", "S1", ("Time", "DateStrLen"))[0] = np.frombuffer(
            b"2020-06-01_00:00:00", "S1"
        )
        volume, flat = (
            ("Time", "bottom_top", "south_north", "west_east"),
            ("Time", "south_north", "west_east"),
        )
        stag = {"U": (*volume[:3], "west_east_stag"), "V": (*volume[:2], "south_north_stag", "west_east")}
        stag |= dict.fromkeys(("W", "PH", "PHB"), ("Time", "bottom_top_stag", *volume[2:]))
        fields = {
            **{name: np.broadcast_to(values, (nz, *values.shape)) for name, values in along.items()},
            "W": 0.0 * faces, "PH": 0.0 * faces, "PHB": GRAVITY * faces, "P": 0.0 * pressure, "PB": pressure,
            "T": temperature * (1e5 / pressure) ** (2.0 / 7.0) - 300.0, "QVAPOR": 0.0 * pressure,
            "XLAT": lat, "XLONG": lon, "HGT": 0.0 * lat, "PSFC": 101325.0 + 0.0 * lat, "T2": 290.0 - 0.5 * lat,
            "UST": 0.3 + 0.0 * lat, "HFX": 100.0 + 0.0 * lat, "PBLH": 800.0 + 0.0 * lat,
        }  # fmt: skip
        for name, values in fields.items():
            dims = stag.get(name, volume if values.ndim == 3 else flat)
            data.createVariable(name, "f4", dims)[0] = values
        change(data)
    return path


def test_wrf_on_a_lambert_grid(tmp_path):
    met = open_met([wrf_file(tmp_path / "wrfout_a.nc")])
    assert_eastward(met, (30.0, 36.5, 110.0, 120.0))


def test_wrf_grids_that_make_no_sense(tmp_path):
    with pytest.raises(GridError, match="WRF projection 4 .* is not known"):
        open_met([wrf_file(tmp_path / "a.nc", kind=4)])
    with pytest.raises(GridError, match="do not fit the projection that the file names"):
        open_met([wrf_file(tmp_path / "b.nc", kind=3)])
    with pytest.raises(GridError, match="WRF file without its projection"):
        open_met([wrf_file(tmp_path / "c.nc", change=lambda data: data.delncattr("TRUELAT1"))])

    def spoil(data):
        data["Times"][0] = np.frombuffer(b"2020-06-31_00:00:00", "S1")

    with pytest.raises(FormatError, match="time '2020-06-31_00:00:00' cannot be read"):
        open_met([wrf_file(tmp_path / "d.nc", change=spoil)])
    first = wrf_file(tmp_path / "e.nc")
    with pytest.raises(FormatError, match="a time that is also in"):
        open_met([first, wrf_file(tmp_path / "f.nc")])


def test_wrf_without_a_variable(tmp_path):
    path = tmp_path / "wrfout.nc"
    with netCDF4.Dataset(path, "w") as data:
        data.TITLE = " OUTPUT FROM WRF V4.0 MODEL"
        data.createDimension("Time", 1)
    with pytest.raises(MissingVariableError, match=r"WRF file without U, V, W, PH"):
        open_met([path])


# ---- GRIB


def test_grib_sample_on_a_lambert_grid(sample_data):
    pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")
    met = open_met([sample_data / "transport" / "grib" / "nam.t00z.awp21100.tm00.grib2"])
    assert met.times.size == 1
    assert "v" not in met.meta["notes"]
    column = met.profile("2018-09-17T00", 40.0, -105.0)
    # Boulder: 1.6 km up in the model's terrain, about 840 hPa.
    assert 1200.0 < column["terrain"][0] < 2500.0
    assert 75000 < column["pressure"][0, 0] < 88000
    assert np.abs(met.wind[..., 1]).max() > 20.0  # the second wind component of multi-field messages is there


def test_grib_that_is_damaged_or_incomplete(sample_data, tmp_path):
    pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")
    folder = sample_data / "transport"
    whole = (folder / "grib" / "nam.t00z.awp21100.tm00.grib2").read_bytes()
    cut = tmp_path / "cut.grib2"
    cut.write_bytes(whole[: len(whole) // 2 + 1000])
    with pytest.raises(FormatError, match=r"cut.grib2: (damaged GRIB message|.* lacks)"):
        open_met([cut])
    with pytest.raises(MissingVariableError, match=r"no wind on pressure or hybrid levels; found t"):
        open_met([folder / "grib" / "regular_gg_ml_g2.grib"])
    with pytest.raises(MissingVariableError, match="without terrain"):
        open_met(sorted((folder / "flexpart11" / "met_grib1").glob("EN*")))


def test_grib_without_a_level_of_one_variable(sample_data, tmp_path):
    eccodes = pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")
    source = sample_data / "transport" / "flexpart11" / "met_grib1" / "EN2024010100"
    target = tmp_path / "EN2024010100"
    with source.open("rb") as stream, target.open("wb") as out:
        while (handle := eccodes.codes_grib_new_from_file(stream)) is not None:
            if (eccodes.codes_get(handle, "shortName"), eccodes.codes_get(handle, "level")) != ("t", 5):
                eccodes.codes_write(handle, out)
            eccodes.codes_release(handle)
    with pytest.raises(FormatError, match=r"temperature lacks 1 of 12 levels \(5\) at 2024-01-01"):
        open_met([target])


@pytest.mark.parametrize(("gfs", "edition"), [(True, 2), (False, 2), (False, 1)])
def test_grib_of_the_centres_is_what_netcdf_is(tmp_path, gfs, edition):
    """GFS (humidity in %, heights, upward fluxes) and ECMWF (geopotential, downward ones) of one and the same air."""
    pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")
    files = [grib.write(tmp_path / f"{h}.grb", h, gfs=gfs, edition=edition) for h in (0, 1, 2)]
    # GFS has no friction velocity beside these fields: both derive it from the wind.
    same = era5(tmp_path / "a.nc", drop=("zust",) if gfs else ())
    found, expected = open_met(files), open_met([same])
    np.testing.assert_array_equal(found.times, expected.times)
    np.testing.assert_allclose(found.height, expected.height, rtol=1e-4)
    for name in ("wind", "state", "surface"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=2e-4, atol=1e-4)


def test_grib_of_gfs_with_its_time_mean_heat_flux(tmp_path):
    pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")
    files = [grib.write(tmp_path / f"{h}.grb", h, gfs=True, mean=True) for h in (1, 2, 3)]
    met = open_met(files)
    same = open_met([era5(tmp_path / "a.nc", hours=(1, 2, 3), drop=("zust",))])
    np.testing.assert_allclose(met.surface, same.surface, rtol=1e-3, atol=1e-4)
    assert (met.surface[..., 3] < 0.0).all()  # upward: unstable


def test_grib_levels_and_grids_that_differ(tmp_path):
    pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")
    first = grib.write(tmp_path / "0.grb", 0, gfs=True)
    lacks = grib.write(tmp_path / "1.grb", 1, gfs=True, leave_out=lambda n, level: (n, level) == ("w", 850))
    with pytest.raises(FormatError, match=r"1.grb: pressure vertical velocity lacks 1 of 13 levels \(850\)"):
        open_met([first, lacks])
    without = grib.write(tmp_path / "1.grb", 1, gfs=True, leave_out=lambda n, _level: n == "sp")
    with pytest.raises(FormatError, match=r"surface pressure is missing at 2020-06-01T01"):
        open_met([first, without])
    with pytest.raises(FormatError, match=r"'u' at level 1000 is there twice for one time"):
        open_met([first, grib.write(tmp_path / "again.grb", 0, gfs=True)])


def grib2(*lengths):
    """Return a GRIB 2 message of empty sections."""
    body = b"".join(n.to_bytes(4, "big") + bytes([k % 7 + 1]) + bytes(n - 5) for k, n in enumerate(lengths))
    return b"GRIB\0\0\0\2" + (20 + len(body)).to_bytes(8, "big") + body + b"7777"


def test_frames_of_grib_are_walked_without_eccodes(tmp_path, sample_data):
    folder = sample_data / "transport"
    check_frames(folder / "grib" / "nam.t00z.awp21100.tm00.grib2")
    check_frames(folder / "flexpart11" / "met_grib1" / "EN2024010100")
    path = tmp_path / "a.grib2"
    path.write_bytes(b"bulletin\r\n" + grib2(21, 30) + grib2(21))
    check_frames(path)
    for damaged in (
        grib2(21)[:-1],
        grib2(21)[:-4] + b"777x",
        grib2(21).replace(b"\0\0\0\x15\1", b"\0\0\0\x16\1"),
        grib2(21).replace(b"\x15\1", b"\x15\x09"),
    ):
        path.write_bytes(grib2(30) + damaged)
        with pytest.raises(FormatError, match=rf"damaged GRIB message at byte 50 of {50 + len(damaged)}"):
            check_frames(path)
    one = (folder / "flexpart11" / "met_grib1" / "EN2024010100").read_bytes()
    path.write_bytes(one[:-10])
    with pytest.raises(FormatError, match="damaged GRIB message at byte"):
        check_frames(path)


@settings(max_examples=12)
@given(st.floats(0.0, 0.999), st.binary(min_size=20, max_size=60))
def test_damaged_grib_never_ends_in_a_traceback(tmp_path_factory, place, junk):
    """Junk anywhere: an error of ours, or fields within physical ranges."""
    pytest.importorskip("eccodes", reason="the extra 'grib' is not installed")
    path = grib.write(tmp_path_factory.mktemp("grib") / "a.grb", 0, gfs=True)
    whole = bytearray(path.read_bytes())
    at = int(place * len(whole))
    whole[at : at + len(junk)] = junk
    path.write_bytes(bytes(whole))
    try:
        met = open_met([path])
    except ObsnetError:
        return
    assert np.isfinite(met.wind).all()


# ---- ARL


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1000.0))
def test_unpacking_is_within_the_formats_precision(seed, size):
    values = size * np.cumsum(np.random.default_rng(seed).normal(size=(6, 9)), axis=1)
    exponent, first, data = arl.pack(values)
    found = unpack(np.frombuffer(data, np.uint8).reshape(values.shape), exponent, first)
    np.testing.assert_allclose(found, values, atol=2.0 ** (exponent - 7) * 1.01)


def arl_file(path, *, times=("2024-04-01T00", "2024-04-01T03"), **options):
    shape = (LAT.size, LON.size)
    height = SCALE * np.log(1013.25 / np.array(ARL_LEVELS))

    def surface(_n):
        flat = {"PRSS": 1013.25, "SHGT": 0.0, "T02M": 270.0, "PBLH": 700.0, "USTR": 0.3, "SHTF": 100.0}
        return {name: np.full(shape, value) for name, value in flat.items()}

    def upper(n):
        ramp = 5.0 + 0.1 * np.arange(shape[1]) + n + np.zeros(shape)
        return {
            "HGTS": height[:, None, None] + np.zeros(shape),
            "TEMP": np.full((len(height), *shape), 270.0),
            "UWND": np.stack([ramp] * len(height)),
            "VWND": np.full((len(height), *shape), -3.0),
            "WWND": np.full((len(height), *shape), -0.01),
            "RELH": np.full((len(height), *shape), 0.0),
        }

    return arl.write(path, times, ARL_LEVELS, surface, upper, lat=LAT, lon=LON, **options)


def test_arl_files_are_read(tmp_path):
    met = open_met([arl_file(tmp_path / "arl")], vertical="file")
    assert met.bounds == (20.0, 49.0, 100.0, 129.0)
    assert met.step == 3 * 3600.0
    column = met.profile("2024-04-01T03", 30.0, 110.0)
    aloft = met.height > 300.0
    np.testing.assert_allclose(column["u"][0, aloft], 7.0, atol=0.02)
    np.testing.assert_allclose(column["v"][0, aloft], -3.0, atol=0.01)
    # -0.01 hPa/s is upward.
    np.testing.assert_allclose(column["w"][0, aloft], 1.0 / (column["density"][0, aloft] * GRAVITY), rtol=0.1)
    assert column["blh"][0] == pytest.approx(700.0)
    assert column["inverse_obukhov"][0] < 0.0


@pytest.mark.parametrize(("touches", "reference"), [(33.0, 33.0), (25.0, 33.0)])
def test_arl_on_a_lambert_grid(tmp_path, touches, reference):
    """The size of the grid holds at the reference latitude, wherever the cone touches the Earth."""
    from pyproj import Proj

    scale = Proj(f"+proj=lcc +lat_1={touches} +lat_0=33 +lon_0=115 +a=6371200 +b=6371200").get_factors(
        115.0, reference
    )
    lat, lon, u, v = lambert(touches, 33.0, 30e3 * scale.meridional_scale)
    shape = lat.shape
    height = SCALE * np.log(1013.25 / np.array(ARL_LEVELS))

    def surface(_n):
        flat = {"PRSS": 1013.25, "SHGT": 0.0, "PBLH": 700.0, "USTR": 0.3, "SHTF": 100.0}
        return {**{name: np.full(shape, value) for name, value in flat.items()}, "T02M": 290.0 - 0.5 * lat}

    def upper(_n):
        fields = {
            "UWND": u,
            "VWND": v,
            "WWND": np.zeros(shape),
            "TEMP": 290.0 - 0.5 * lat,
            "RELH": np.zeros(shape),
        }
        stacks = {name: np.stack([values] * len(height)) for name, values in fields.items()}
        return {"HGTS": height[:, None, None] + np.zeros(shape), **stacks}

    grid = (90.0, 0.0, reference, 115.0, 30.0, 0.0, touches, 21.0, 19.0, 33.0, 115.0, 0.0)
    path = arl.write(
        tmp_path / "arl", ("2024-04-01T00",), ARL_LEVELS, surface, upper, lat=lat[:, 0], lon=lon[0], grid=grid
    )
    assert_eastward(open_met([path]), (30.0, 36.5, 110.0, 120.0))
    turned = (*grid[:5], 30.0, *grid[6:])
    path = arl.write(
        tmp_path / "turned",
        ("2024-04-01T00",),
        ARL_LEVELS,
        surface,
        upper,
        lat=lat[:, 0],
        lon=lon[0],
        grid=turned,
    )
    with pytest.raises(GridError, match="a turned ARL grid"):
        open_met([path])


@pytest.mark.parametrize(
    ("kind", "levels"),
    [
        (1, (0.99, 0.92, 0.85, 0.7, 0.5, 0.3, 0.15)),
        # The whole number is a (hPa), the decimals are b.
        (4, (0.99, 5.92, 20.8, 60.6, 120.3, 180.05, 120.0)),
    ],
)
def test_arl_on_terrain_following_levels(tmp_path, kind, levels):
    """Sigma and hybrid levels give the pressure of the isothermal atmosphere back."""
    pressures = (
        np.array(levels) * 1013.25 if kind == 1 else np.floor(levels) + (np.array(levels) % 1) * 1013.25
    )
    shape = (LAT.size, LON.size)

    def surface(_n):
        flat = {"PRSS": 1013.25, "SHGT": 0.0, "T02M": 270.0, "PBLH": 700.0, "USTR": 0.3, "SHTF": 100.0}
        return {name: np.full(shape, value) for name, value in flat.items()}

    def upper(_n):
        flat = {"TEMP": 270.0, "UWND": 8.0, "VWND": -3.0, "WWND": 0.0, "SPHU": 0.0}
        return {name: np.full((len(levels), *shape), value) for name, value in flat.items()}

    path = arl.write(
        tmp_path / "arl", ("2024-04-01T00",), levels, surface, upper, lat=LAT, lon=LON, kind=kind
    )
    met = open_met([path])
    column = met.profile("2024-04-01T00", 30.0, 110.0)
    np.testing.assert_allclose(column["pressure"][0], 101325.0 * np.exp(-met.height / SCALE), rtol=2e-3)
    assert met.top <= SCALE * np.log(1013.25 / pressures.min())


def test_arl_files_that_are_cut_or_differ(tmp_path):
    path = arl_file(tmp_path / "arl")
    (tmp_path / "cut").write_bytes(path.read_bytes()[:-500])
    with pytest.raises(FormatError, match="cut at byte"):
        open_met([tmp_path / "cut"])
    with pytest.raises(FormatError, match="a time that another file has too"):
        open_met([path, arl_file(tmp_path / "again")])
    noise = bytearray(path.read_bytes())
    noise[100:110] = b"##########"
    (tmp_path / "noise").write_bytes(noise)
    with pytest.raises(FormatError, match="ARL index record cannot be read"):
        open_met([tmp_path / "noise"])


def test_formats_are_not_mixed(tmp_path):
    with pytest.raises(FormatError, match="several formats: arl, netcdf"):
        open_met([arl_file(tmp_path / "arl"), era5(tmp_path / "a.nc")])
