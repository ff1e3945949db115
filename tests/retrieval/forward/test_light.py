"""Air, light paths, the Sun's lines and line shapes: identities and known answers."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import FormatError, RangeError, SchemaError
from retrieval.forward.atmosphere import gravity, make_layers, refractivity, slant_factors
from retrieval.forward.instrument import LineShape, fts_shape, look, tabulated_shape
from retrieval.forward.sun import SolarLines, read_solar_lines, solar_transmittance
from tests.retrieval.forward.worlds import air


def test_gravity_of_the_ellipsoid():
    assert gravity(0.0, 0.0) == pytest.approx(9.7803253359)
    assert gravity(90.0, 0.0) == pytest.approx(9.8321849379, rel=1e-10)  # WGS 84
    assert gravity(45.0, 10_000.0) == pytest.approx(gravity(45.0, 0.0) * (6371.0 / 6381.0) ** 2, rel=2e-5)


def test_air_weighs_what_presses():
    """Dry air and water vapour times gravity, over all layers, are the surface pressure less that of the top."""
    layers = air(levels=40)
    grams = layers.dry_air * 1e4 / 6.02214076e23 * (0.0289647 + 0.01801528 * layers.water)
    assert np.sum(grams * layers.gravity) / 100.0 == pytest.approx(1000.0 - 5.0, rel=1e-12)
    assert 33_000 < layers.altitude[-1] < 37_000
    assert (layers.specific_humidity < layers.water).all()


def test_columns_of_the_real_retrieval(sample_data):
    """Park Falls, 3 November 2009: the file's dry air at its retrieved surface pressure and temperature."""
    import h5py

    with h5py.File(sample_data / "retrieval/fts_acos/out.expected.h5") as file:
        r = {k: np.asarray(v)[0] for k, v in file["RetrievalResults"].items() if v.dtype.kind == "f"}
    pressure = r["vector_pressure_levels"][::-1] / 100.0
    pressure = pressure * r["surface_pressure_fph"] / 100.0 / pressure[0]
    dry = r["retrieved_dry_air_column_layer_thickness"][::-1] * 1e-4
    water = r["retrieved_h2o_column_layer_thickness"][::-1] * 1e-4 / dry
    water = np.interp(np.arange(71), np.arange(70) + 0.5, water)
    temperature = r["temperature_profile"][::-1] + r["temperature_offset_fph"]
    layers = make_layers(pressure, temperature, water, latitude=45.945, altitude=442.0)
    assert layers.dry_air.sum() == pytest.approx(dry.sum(), rel=2e-4)
    np.testing.assert_allclose(layers.altitude, r["vector_altitude_levels"][::-1], atol=40.0)


def test_light_paths():
    layers = air(levels=30)
    np.testing.assert_allclose(slant_factors(layers, 0.0, 6225.0), 1.0)
    flat = slant_factors(layers, 60.0, 6225.0)
    assert (flat < 2.0).all()  # shells are round
    np.testing.assert_allclose(flat, 2.0, rtol=0.02)
    low, bent = slant_factors(layers, 85.0, 6225.0), slant_factors(layers, 85.0, 6225.0, apparent=True)
    assert (low < bent).all()  # the Sun that seems at 85 degrees is below that
    r = 6371.0088 + layers.altitude / 1000.0
    length = np.diff(np.sqrt(r**2 - (r[0] * np.sin(np.deg2rad(60.0))) ** 2)) / np.diff(r)
    np.testing.assert_allclose(flat, length, rtol=2e-3)  # straight lines, but for refraction
    with pytest.raises(RangeError, match="zenith"):
        slant_factors(layers, 95.0, 6225.0)


def test_refractivity_of_air():
    assert refractivity(1013.25, 288.15, 1e4 / 0.5893) == pytest.approx(
        2.77e-4, rel=1e-3
    )  # 1.000277 at sodium D
    assert refractivity(506.625, 288.15, 6225.0) == pytest.approx(0.5 * refractivity(1013.25, 288.15, 6225.0))


def test_solar_lines_have_their_depth_and_move_with_the_sun():
    sun = SolarLines(np.array([6226.0]), np.array([0.5]), np.array([0.03]), np.array([0.05]))
    nu = np.linspace(6225.0, 6227.0, 4001)
    still, moving = solar_transmittance(sun, nu), solar_transmittance(sun, nu, doppler=1e-5)
    assert still.min() == pytest.approx(np.exp(-0.5))
    assert nu[np.argmin(moving)] - nu[np.argmin(still)] == pytest.approx(0.0623, abs=6e-4)
    assert solar_transmittance(sun, nu, disk=1.0).sum() < still.sum()
    gauss = SolarLines(sun.wavenumber, sun.depth, np.array([0.0]), sun.doppler_width)
    at = solar_transmittance(gauss, np.array([6226.05]))
    assert -np.log(at[0]) == pytest.approx(0.5 * np.exp(-1.0))


def test_solar_list_of_the_samples(sample_data, tmp_path):
    sun = read_solar_lines(sample_data / "retrieval/solar/solar_dc_20090102.101")
    assert len(sun.wavenumber) == 27552
    (tmp_path / "x.101").write_text("not a line list at all, but text of some length\n")
    with pytest.raises(FormatError, match="line 1"):
        read_solar_lines(tmp_path / "x.101")


def test_fts_shape_is_sinc_and_box():
    shape = fts_shape(45.0, 0.0024, 6225.0)
    x = shape.step * (np.arange(len(shape.value)) - len(shape.value) // 2)
    assert np.trapezoid(shape.value, x) == pytest.approx(1.0, abs=1e-4)
    near = np.abs(x) < 0.05
    point = fts_shape(45.0, 0.0, 6225.0).value[near]
    np.testing.assert_allclose(point / point.max(), np.sinc(90.0 * x[near]), atol=1e-6)
    half = x[near][shape.value[near] > 0.5 * shape.value.max()]
    assert np.ptp(half) == pytest.approx(1.2067 / 90.0, rel=0.1)  # full width of a sinc
    assert shape.value.max() < fts_shape(45.0, 0.0, 6225.0).value.max()


def test_looking_keeps_a_constant_and_a_slope_and_has_its_derivative():
    shape = fts_shape(20.0, 0.002, 6226.0, reach=0.5)
    grid = 6224.0 + 0.004 * np.arange(1000)
    centre = np.linspace(6225.0, 6227.0, 37)
    seen, _ = look(shape, grid, np.stack([np.ones(1000), grid - 6225.0]), centre)
    np.testing.assert_allclose(seen[0], 1.0, rtol=1e-12)
    np.testing.assert_allclose(seen[1], centre - 6225.0, atol=2e-4)
    ripple = np.cos(2 * np.pi * 5.0 * grid)[None]
    seen, slope = look(shape, grid, ripple, centre)
    np.testing.assert_allclose(seen[0], np.cos(2 * np.pi * 5.0 * centre), atol=0.01)  # 5 cm of path: passes
    gone, _ = look(shape, grid, np.cos(2 * np.pi * 24.0 * grid)[None], centre)
    assert np.abs(gone).max() < 0.02  # 24 cm: beyond the instrument
    up, down = (look(shape, grid, ripple, centre + d)[0][0] for d in (1e-5, -1e-5))
    np.testing.assert_allclose(slope, (up - down) / 2e-5, rtol=1e-5, atol=1e-4)


def test_tabulated_shapes():
    x = np.linspace(-0.6, 0.6, 61)
    shape = tabulated_shape(x, 7.0 * np.exp(-((x - 0.1) ** 2) / 0.02))
    grid = 6224.0 + 0.004 * np.arange(1000)
    seen, _ = look(shape, grid, (grid - 6225.0)[None], [6226.0])
    assert seen[0, 0] == pytest.approx(1.1, abs=1e-3)  # its centre of mass is not at 0
    for bad in (x[::-1], np.abs(x), x + 2.0):
        with pytest.raises(RangeError, match="increase through 0"):
            tabulated_shape(bad, np.ones(61))
    with pytest.raises(RangeError, match="reaches|beyond"):
        look(shape, grid, grid[None], [6224.1])
    with pytest.raises(SchemaError, match="odd"):
        LineShape(0.1, np.ones(4), np.ones(4))


def test_air_that_cannot_be_is_refused():
    with pytest.raises(RangeError, match="surface first"):
        make_layers([5.0, 500.0], [250.0, 250.0], [0.0, 0.0], latitude=0.0, altitude=0.0)
    with pytest.raises(RangeError, match="temperature"):
        make_layers([500.0, 5.0], [25.0, 15.0], [0.0, 0.0], latitude=0.0, altitude=0.0)
    with pytest.raises(SchemaError, match="one sounding"):
        make_layers([500.0, 5.0], [250.0], [0.0, 0.0], latitude=0.0, altitude=0.0)
