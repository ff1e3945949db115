"""The clear-sky model: its Jacobian by finite differences, the law of Beer, and refusals."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from obsnet.errors import ConfigError, RangeError, SchemaError
from retrieval.forward.instrument import fts_shape
from retrieval.forward.model import SpectralBand
from tests.retrieval.forward.worlds import assert_derivatives, model, state_of, table


@pytest.mark.parametrize("choice", [{}, {"view": None}, {"profile": "CO2"}])
def test_jacobian_is_that_of_finite_differences(choice):
    clear = model(**choice)
    assert_derivatives(clear, state_of(clear, np.random.default_rng(1)))


def test_scale_and_path_are_interchangeable():
    """The law of Beer: twice the gas under half the path is the same light."""
    clear = model(view=None)
    x = clear.first_guess
    place = [clear.names.index(f"{g}_scale") for g in ("CO2", "H2O")]
    plain, _ = clear(x)
    half = [(path / 2.0, up) for path, up in clear._path]
    other = dataclasses.replace(clear)
    other._path[:] = half
    x[place] *= 2.0
    np.testing.assert_allclose(other(x)[0], plain, rtol=1e-12)


def test_layers_add_up_to_the_scale():
    whole, layered = model(), model(profile="CO2")
    _, k = whole(whole.first_guess)
    y, k_layers = layered(layered.first_guess)
    np.testing.assert_allclose(y, whole(whole.first_guess)[0], rtol=1e-12)
    total = k_layers[:, layered.elements("CO2")].sum(axis=1)
    np.testing.assert_allclose(total, k[:, whole.elements("CO2")[0]], rtol=1e-9, atol=1e-12)


def test_more_gas_or_air_darkens():
    clear = model()
    x = clear.first_guess
    y, jacobian = clear(x)
    for name in ("CO2_scale", "H2O_scale", "surface_pressure"):
        column = jacobian[:, clear.names.index(name)]
        assert column.max() < 0.03 * abs(column.min())  # a sinc has side lobes
        assert column.min() < 0.0
    assert -0.01 < y.min() < 0.9 * y.max()


def test_states_beyond_the_tables_are_not_finite():
    clear = model()
    x = clear.first_guess
    x[clear.names.index("temperature_offset")] = 90.0
    y, jacobian = clear(x)
    assert np.isnan(y).all()
    assert np.isnan(jacobian).all()


def test_mistakes_are_named():
    clear = model()
    band = clear.bands[0]
    with pytest.raises(SchemaError, match="gases are"):
        dataclasses.replace(clear, gases={"CO2": clear.gases["CO2"]})
    with pytest.raises(SchemaError, match="7 layer means"):
        dataclasses.replace(clear, gases={**clear.gases, "CO2": np.ones(3)})
    with pytest.raises(ConfigError, match="profile='CH4'"):
        dataclasses.replace(clear, profile="CH4")
    with pytest.raises(ConfigError, match="fluorescence"):
        dataclasses.replace(clear, view=None)
    with pytest.raises(SchemaError, match="different names"):
        dataclasses.replace(clear, bands=(band, band))
    with pytest.raises(RangeError, match="wavelength order"):
        dataclasses.replace(band, channel=band.channel[::-1])
    co2 = table("CO2", (6225.2, 6226.1, 6227.4), 2e-23)
    with pytest.raises(SchemaError, match="two tables"):
        SpectralBand("x", band.channel, fts_shape(20.0, 0.0, 6226.0), (co2, co2))
    with pytest.raises(SchemaError, match="the state has"):
        clear(np.ones(3))
