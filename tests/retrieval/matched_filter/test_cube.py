"""Cubes of radiances from files, and files that are none."""

import numpy as np
import pytest

from obsnet.errors import FormatError, MissingVariableError, SchemaError
from retrieval.matched_filter.bands import Bands
from retrieval.matched_filter.cube import open_cube, read_columns, read_places
from tests.retrieval.matched_filter.files import ORDER, bands, places, write_envi, write_netcdf_cube


def numbers(shape=(6, 5, 20)):
    values = 1.0 + np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    values[2, 3, 4] = np.nan
    return values


def test_a_netcdf_cube(tmp_path):
    x = numbers()
    cube = open_cube(write_netcdf_cube(tmp_path / "a.nc", x, bands()))
    assert (cube.rows, cube.columns, len(cube.bands)) == (6, 5, 20)
    assert cube.time == "2026-07-01T05:30:00"
    which = np.array([3, 4, 11])
    np.testing.assert_array_equal(read_columns(cube, 1, 4, which), x[:, 1:4, which])
    for mine, theirs in zip(read_places(cube), places((6, 5)), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("interleave", sorted(ORDER))
@pytest.mark.parametrize("unit", ["Micrometers", "Nanometers"])
def test_an_envi_cube(tmp_path, interleave, unit):
    x = numbers()
    header = write_envi(
        tmp_path / "a.hdr",
        np.nan_to_num(x, nan=-9999.0),
        bands(),
        interleave,
        unit,
        ("data ignore value = -9999",),
    )
    cube = open_cube(header)
    np.testing.assert_allclose(cube.bands.centre, bands().centre)
    which = np.array([0, 4, 19])
    np.testing.assert_array_equal(read_columns(cube, 2, 5, which), x[:, 2:5, which])
    assert read_places(cube) is None
    lat, lon = places((6, 5))
    at = write_envi(tmp_path / "igm.hdr", np.stack([lon, lat], axis=-1))
    np.testing.assert_allclose(read_places(cube, at)[0], lat, rtol=1e-6)


def test_bands_in_another_order(tmp_path):
    x = numbers()
    turned = Bands(bands().centre, bands().fwhm)
    object.__setattr__(turned, "centre", bands().centre[::-1])
    cube = open_cube(write_envi(tmp_path / "a.hdr", np.nan_to_num(x[..., ::-1]), turned))
    np.testing.assert_allclose(cube.bands.centre, bands().centre)
    np.testing.assert_array_equal(read_columns(cube, 0, 2, np.array([1, 5])), x[:, :2, [1, 5]])


def test_a_map_is_told_and_placed(tmp_path):
    more = ("map info = {Geographic Lat/Lon, 1, 1, 100.0, 38.0, 0.01, 0.01, WGS-84}",)
    cube = open_cube(write_envi(tmp_path / "a.hdr", numbers((6, 5, 20)), bands(), more=more))
    assert "not those of detectors" in cube.notes[0]
    lat, lon = read_places(cube)
    np.testing.assert_allclose(lat[:, 0], 38.0 - 0.01 * (np.arange(6) + 0.5), atol=1e-9)
    np.testing.assert_allclose(lon[0], 100.0 + 0.01 * (np.arange(5) + 0.5), atol=1e-9)


def test_files_that_are_no_cube(tmp_path):
    x = numbers()
    header = write_envi(tmp_path / "a.hdr", x, bands())
    image = header.with_suffix(".img")
    image.write_bytes(image.read_bytes()[:-400])
    with pytest.raises(FormatError, match="2,000 bytes, its header claims 2,400"):
        open_cube(header)
    image.rename(tmp_path / "b.img")
    with pytest.raises(
        FormatError, match=r"a\.hdr: one image of the same name is wanted beside it.*found none"
    ):
        open_cube(header)
    with pytest.raises(FormatError, match="no such file"):
        open_cube(tmp_path / "none.nc")
    bare = write_envi(tmp_path / "c.hdr", x)
    with pytest.raises(FormatError, match="no wavelength, fwhm, wavelength_units; give a table of bands"):
        open_cube(bare)
    few = write_envi(tmp_path / "d.hdr", x, bands(19))
    with pytest.raises(FormatError, match="19 wavelengths and 19 widths for 20 bands"):
        open_cube(few)
    path = write_netcdf_cube(tmp_path / "e.nc", x, bands())
    with pytest.raises(MissingVariableError, match="no variable 'radiances'; nearest: 'radiance'"):
        open_cube(path, variable="radiances")
    (tmp_path / "f.nc").write_bytes(b"CDF nothing")
    with pytest.raises(FormatError, match=r"f\.nc: cannot be read"):
        open_cube(tmp_path / "f.nc")


def test_places_of_another_image(tmp_path):
    cube = open_cube(write_envi(tmp_path / "a.hdr", numbers(), bands()))
    with pytest.raises(SchemaError, match=r"\(7, 5\) pixels, the cube has 6 x 5"):
        read_places(cube, write_envi(tmp_path / "b.hdr", np.zeros((7, 5, 2))))
    with pytest.raises(FormatError, match="first band is longitude"):
        read_places(cube, write_envi(tmp_path / "c.hdr", np.full((6, 5, 2), 100.0)))


def test_a_table_of_bands(tmp_path):
    (tmp_path / "bands.csv").write_text(
        "wavelength_nm,fwhm_nm\n"
        + "\n".join(f"{c},{w}" for c, w in zip(bands().centre, bands().fwhm, strict=True))
    )
    header = write_envi(tmp_path / "a.hdr", numbers(), None)
    np.testing.assert_array_equal(open_cube(header, tmp_path / "bands.csv").bands.centre, bands().centre)
