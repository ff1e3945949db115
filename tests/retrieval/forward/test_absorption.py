"""Cross sections against scipy's Voigt profile, integrals, the gas law; tables against cross sections."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import voigt_profile

from obsnet.errors import FormatError, RangeError, SchemaError
from retrieval.forward.absorption import DOPPLER, SECOND_RADIATION, cross_section, partition_ratio
from retrieval.forward.tables import CrossSections, build_table, open_table, save_table
from tests.retrieval.forward.worlds import lines


@pytest.mark.parametrize("pressure", [0.05, 3.0, 300.0, 1000.0])
def test_sum_of_voigt_profiles(pressure):
    some, nu, t = lines(), np.arange(6220.0, 6232.0, 0.003), 240.0
    p = pressure / 1013.25
    expected = np.zeros(len(nu))
    for k in range(len(some)):
        nu0, e = some.wavenumber[k], some.lower_energy[k]
        strength = (
            some.strength[k] / partition_ratio("CO2", t) * np.exp(-SECOND_RADIATION * e * (1 / t - 1 / 296))
        )
        strength *= (1 - np.exp(-SECOND_RADIATION * nu0 / t)) / (1 - np.exp(-SECOND_RADIATION * nu0 / 296))
        sigma = DOPPLER * nu0 * np.sqrt(t / 43.98983) / np.sqrt(2 * np.log(2))
        gamma = p * (0.07 * 0.9 + 0.09 * 0.1) * (296 / t) ** 0.7
        expected += strength * voigt_profile(nu - nu0 + 0.005 * p, sigma, gamma)
    np.testing.assert_allclose(cross_section(some, nu, pressure, t, fraction=0.1), expected, rtol=1e-8)


def test_doppler_width_is_that_of_carbon_dioxide():
    """Half width 0.00579 cm-1 at 6225 cm-1 and 296 K by 3.581163e-7 nu sqrt(T / M), the formula of HITRAN's pages."""
    assert pytest.approx(3.581163e-7, rel=1e-6) == DOPPLER


def test_integral_is_the_strength_whatever_the_pressure():
    one = lines(centres=(6226.0,))
    for pressure in (0.1, 30.0, 300.0):
        nu = np.concatenate(
            [np.arange(6001.0, 6225.0, 0.01), np.arange(6225, 6227, 2e-4), np.arange(6227, 6451, 0.01)]
        )
        area = np.trapezoid(cross_section(one, nu, pressure, 296.0, wing=220.0), nu)
        assert area == pytest.approx(2e-23, rel=2e-3)


def test_wings_end_where_they_are_told_to():
    one = lines(centres=(6226.0,))
    sigma = cross_section(one, np.array([6215.9, 6216.1, 6235.9, 6236.1]), 500.0, 250.0, wing=10.0)
    assert (sigma > 0).tolist() == [False, True, True, False]


def test_partition_sums_have_their_limits():
    assert partition_ratio("CO2", 296.0) == 1.0
    assert partition_ratio("H2O", 200.0) == pytest.approx((200 / 296) ** 1.5, rel=1e-3)
    assert partition_ratio("O2", 200.0) == pytest.approx(200 / 296, rel=1e-3)
    with pytest.raises(RangeError, match="150"):
        partition_ratio("CO2", 90.0)
    with pytest.raises(FormatError, match="vibrations"):
        partition_ratio("SF6", 250.0)


def test_wrong_orders_are_refused():
    with pytest.raises(RangeError, match="wavelength order"):
        cross_section(lines(), np.arange(6230.0, 6220.0, -0.1), 500.0, 250.0)
    with pytest.raises(RangeError, match="pressure"):
        cross_section(lines(), np.arange(6220.0, 6230.0, 0.1), 50000.0, 250.0)
    with pytest.raises(RangeError, match="equal steps"):
        build_table(lines(), np.array([6220.0, 6221.0, 6223.0]))
    with pytest.raises(RangeError, match="no line"):
        build_table(lines(), np.arange(4000.0, 4001.0, 0.1))


@pytest.fixture(scope="module")
def small():
    return build_table(lines(), np.arange(6224.5, 6228.0, 0.004), fraction=(0.0, 0.04))


def test_table_is_the_lines(small):
    rng = np.random.default_rng(0)
    for _ in range(8):
        p, t, x = np.exp(rng.uniform(np.log(0.1), np.log(1050))), rng.uniform(180, 320), rng.uniform(0, 0.04)
        exact = cross_section(lines(), small.wavenumber, p, t, fraction=x)
        value, _, _ = small.at([p], [t], [x])
        assert np.abs(value[0] - exact).max() < 5e-4 * exact.max()


def test_derivatives_are_those_of_the_interpolation(small):
    p, t, h = 317.0, 251.0, 1e-4
    _, by_p, by_t = small.at([p], [t])
    up, down = small.at([p * np.exp(h)], [t])[0], small.at([p * np.exp(-h)], [t])[0]
    np.testing.assert_allclose(by_p, (up - down) / (2 * h), rtol=1e-5, atol=1e-6 * np.abs(by_p).max())
    warm, cold = small.at([p], [t + h])[0], small.at([p], [t - h])[0]
    np.testing.assert_allclose(by_t, (warm - cold) / (2 * h), rtol=1e-5, atol=1e-5 * np.abs(by_t).max())


def test_nodes_are_exact_and_outside_is_refused(small):
    value, _, _ = small.at([np.exp(small.log_pressure[5])], [small.temperature[3]])
    np.testing.assert_allclose(value[0], small.values[5, 3, 0] * 1e-24, rtol=1e-5)
    for p, t in ((1e-4, 250.0), (500.0, 400.0)):
        with pytest.raises(RangeError, match="build a wider one"):
            small.at([p], [t])


def test_round_trip_through_the_file(small, tmp_path):
    import xarray as xr
    import zarr

    path = tmp_path / "co2.zarr.zip"
    save_table(small, path)
    again = open_table(path)
    for name in ("wavenumber", "log_pressure", "temperature", "fraction", "values"):
        np.testing.assert_array_equal(getattr(small, name), getattr(again, name))
    with zarr.storage.ZipStore(str(path), mode="r") as store:
        assert xr.open_zarr(store, consolidated=False)["cross_section"].attrs["units"] == "1e-24 cm2"
    path.write_bytes(b"PK not a zip")
    with pytest.raises(FormatError, match="not a table"):
        open_table(path)
    with pytest.raises(SchemaError, match="shape"):
        CrossSections(
            "CO2", small.wavenumber[1:], small.log_pressure, small.temperature, small.fraction, small.values
        )
