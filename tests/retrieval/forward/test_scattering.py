"""The thin scattering layer: no layer, energy, exchange of Sun and view, single scattering, finite differences."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from obsnet.errors import ConfigError, RangeError
from retrieval.estimation.error_budget import error_budget
from retrieval.estimation.spectrum import gas_profile, retrieve_clear_sky
from retrieval.forward.model import ClearSky
from retrieval.forward.scattering import COSINE, SHARE, ScatteringLayer, ScatteringSky, scattered
from tests.retrieval.forward.worlds import assert_derivatives, model, state_of

LAYER = ScatteringLayer(0.6, 0.15, 1.0, {"weak": 12.0})


def sky(layer=LAYER, **choice):
    clear = dataclasses.replace(model(), **choice)
    fields = [f for f in dataclasses.fields(ClearSky) if f.init]
    return ScatteringSky(**{f.name: getattr(clear, f.name) for f in fields}, layer=layer)


def bare(depth, sun, view, albedo=1.0, tau=None):
    """Radiance by that of a white ground, one point, no solar lines."""
    tau = np.zeros((5, 1)) if tau is None else tau
    secants = 1.0 / np.array([sun, view])
    return scattered(tau, np.array([depth]), np.array([albedo]), 1.0, secants, np.ones(1))[0][0]


def test_no_layer_is_the_clear_sky():
    clear = model()
    x = state_of(clear, np.random.default_rng(1))
    hazy = sky(dataclasses.replace(LAYER, depth=0.0, fitted=()))
    assert hazy.names == clear.names
    for name in ("continuum_1_weak", "continuum_2_weak"):  # the albedo changes within a line shape; here not
        x[clear.names.index(name)] = 0.0
    (y, k), (y_0, k_0) = hazy(x), clear(x)
    np.testing.assert_allclose(y, y_0, rtol=1e-12)
    flat = [i for i, n in enumerate(clear.names) if not n.startswith("continuum_") or n == "continuum_0_weak"]
    np.testing.assert_allclose(k[:, flat], k_0[:, flat], rtol=1e-9, atol=1e-9 * np.abs(k_0).max())


@pytest.mark.parametrize("depth", [-0.05, 0.01, 0.3, 2.0])
@pytest.mark.parametrize("sun", [0.3, 1.0])
def test_white_ground_without_gas_gives_all_light_back(depth, sun):
    """The hemisphere's mean of what is seen is what came in; of a dark ground it is less, and more than nothing."""
    seen = [bare(depth, sun, view) for view in COSINE]
    assert SHARE @ np.array(seen) == pytest.approx(1.0, rel=1e-12)
    dark = SHARE @ np.array([bare(depth, sun, view, albedo=0.0) for view in COSINE])
    assert (0.0 < dark < 1.0) == (depth > 0.0)


def test_sun_and_view_can_be_exchanged_and_thin_layers_scatter_once():
    gas = np.array([[0.3], [0.1], [0.5], [0.2], [0.15]])
    other = gas[[0, 1, 3, 2, 4]]
    assert bare(0.4, 0.5, 0.9, 0.3, gas) == pytest.approx(bare(0.4, 0.9, 0.5, 0.3, other), rel=1e-12)
    # pi I / (mu_0 F_0) of single isotropic scattering is t / (4 mu mu_0)
    assert bare(1e-7, 0.5, 0.8, albedo=0.0) == pytest.approx(1e-7 / (4 * 0.5 * 0.8), rel=0.05)
    exact = 0.5 * 1e-7 / (0.5 * 0.8) / (SHARE @ (1.0 / COSINE))
    assert bare(1e-7, 0.5, 0.8, albedo=0.0) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("choice", [{}, {"profile": "CO2"}])
def test_jacobian_is_that_of_finite_differences(choice):
    hazy = sky(**choice)
    x = state_of(hazy, np.random.default_rng(1))
    for name, value in (("height", 0.62), ("depth", 0.2), ("exponent", 1.3)):
        x[hazy.names.index(f"scattering_{name}")] = value
    assert_derivatives(hazy, x)


def test_derivative_by_the_depth_is_there_without_a_layer():
    hazy = sky(dataclasses.replace(LAYER, depth=0.0))
    x = hazy.first_guess
    i = hazy.names.index("scattering_depth")
    moved = np.stack([x, x])
    moved[0, i] += 1e-5
    moved[1, i] -= 1e-5
    up, down = hazy.forward(moved, np.arange(2))[0]
    np.testing.assert_allclose(hazy(x)[1][:, i], (up - down) / 2e-5, rtol=1e-6, atol=1e-8)


def test_results_say_what_is_in_them():
    hazy = sky()
    y, _ = hazy(hazy.first_guess)
    result = retrieve_clear_sky(hazy, y, 1e-3)
    assert result.attrs["clear_sky_only"] == 0
    assert result.attrs["not_modelled"].startswith("scattering by air; aerosol and clouds but for one")
    assert "scattering_height 0.2" in result.attrs["prior_deviations"]
    assert {"scattering_height", "scattering_depth", "scattering_exponent"} <= set(result["state"].values)
    assert result.attrs["scattering_depth_physical"] == 1
    kernel, posterior, noise = (
        result[n].values for n in ("averaging_kernel", "covariance", "noise_covariance")
    )
    prior = np.diag(np.diag(np.linalg.solve(np.eye(len(kernel[0])) - kernel[0], posterior[0])))
    for place in (hazy.names.index("CO2_scale"), hazy.names.index("scattering_depth")):
        budget = error_budget(kernel, prior, noise, [place], [1.0])
        assert budget.posterior[0] == pytest.approx(float(result["uncertainty"][0, place]), rel=1e-3)
        assert budget.interference[0] > 0.0
    assert gas_profile(result, hazy, "CO2")["averaging_kernel"].shape == (1, 7, 7)


def test_mistakes_are_named():
    for change, message in (({"height": 0.0}, "above 0 and up to 1"), ({"depth": -0.1}, "optical depth")):
        with pytest.raises(RangeError, match=message):
            dataclasses.replace(LAYER, **change)
    with pytest.raises(RangeError, match="lies above the air"):
        sky(dataclasses.replace(LAYER, height=0.004))
    with pytest.raises(ConfigError, match="no 'heigth'.*height"):
        dataclasses.replace(LAYER, fitted=("heigth",))
    with pytest.raises(ConfigError, match="irradiance of weak is missing"):
        sky(dataclasses.replace(LAYER, irradiance={"strong": 1.0}))
    with pytest.raises(ConfigError, match="reflected light"):
        ScatteringSky(
            **{**{f.name: getattr(sky(), f.name) for f in dataclasses.fields(sky()) if f.init}, "view": None}
        )
    hazy = sky()
    x = hazy.first_guess
    x[hazy.names.index("scattering_height")] = 1.2
    assert np.isnan(hazy(x)[0]).all()
