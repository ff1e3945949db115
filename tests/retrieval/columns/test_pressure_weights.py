"""Pressure weights: identities, real ACOS matrices, and what humidity is worth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from obsnet.constants import GRAVITY, MOLAR_MASS_DRY_AIR
from obsnet.errors import ConfigError, RangeError, SchemaError
from retrieval.columns.pressure_weights import (
    dry_air_columns,
    half_split,
    half_split_adjoint,
    layer_weights,
    level_weights,
)

EDGES = np.array([1000.0, 700.0, 400.0, 100.0, 0.0])


@st.composite
def pressure_profiles(draw, most=30):
    steps = draw(arrays(np.float64, st.integers(1, most), elements=st.floats(0.5, 26.0)))
    return np.append(np.cumsum(steps[::-1])[::-1] + 0.1, 0.1)


def acos(sample_data, name):
    import h5py

    with h5py.File(sample_data / "satellite/acos_full_retrieval" / name) as file:
        return {k: np.asarray(v)[0] for k, v in file["RetrievalResults"].items() if v.ndim > 1}


@pytest.mark.parametrize("name", ["l2_20090827005603.h5", "out.expected.h5"])
def test_acos_weights_are_the_half_split_of_the_dry_layers(sample_data, name):
    real = acos(sample_data, name)
    dry = real["retrieved_dry_air_column_layer_thickness"][::-1]
    weight = half_split(dry / dry.sum())
    np.testing.assert_allclose(weight, real["xco2_pressure_weighting_function"][::-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["l2_20090827005603.h5", "out.expected.h5"])
def test_acos_weights_from_pressure_and_humidity(sample_data, name):
    """From p and q of the same retrieval: gravity's change with height is all that is left (5e-5)."""
    real = acos(sample_data, name)
    pressure = real["vector_pressure_levels"][::-1] / 100
    dry, water = (real[f"retrieved_{k}_column_layer_thickness"][::-1] for k in ("dry_air", "h2o"))
    ratio = water / dry * 18.01528 / 28.9647
    humid = level_weights(pressure, ratio / (1 + ratio))
    without = level_weights(pressure)
    truth = real["xco2_pressure_weighting_function"][::-1]
    # the air above the mean level weighs less: -3e-4 per km
    gravity = GRAVITY * (1 - 2 * 7.5e3 * np.log(2 * pressure[0] / (pressure[1:] + pressure[:-1])) / 6.371e6)
    exact = level_weights(pressure, ratio / (1 + ratio), gravity=gravity)
    error = [np.abs(w.weight - truth).max() for w in (without, humid, exact)]
    assert error[2] < 5e-5 < error[0] < 1e-3
    assert error[2] < error[1]
    assert humid.basis == exact.basis == "dry air"
    assert without.basis == "all air"


def test_acos_build_2_is_linear_in_log_pressure_with_the_surface_anywhere(sample_data):
    import h5py

    path = next((sample_data / "satellite/acos_l2s").glob("*.h5"))
    with h5py.File(path) as file:
        group = file["RetrievalResults"]
        active = group["num_active_levels"][:]
        truth = group["xco2_pressure_weighting_function"][:].astype(float)
        levels = group["vector_pressure_levels"][:].astype(float) / 100
        surface = group["surface_pressure_fph"][:].astype(float) / 100
    below_last = 0
    for n, h, p, s in zip(active, truth, levels, surface, strict=True):
        profile = p[:n][::-1]
        below_last += s > profile[0]
        log = level_weights(profile, surface_pressure=s, linear_in="log_pressure").weight
        flat = level_weights(profile, surface_pressure=s).weight
        assert np.abs(log - h[:n][::-1]).max() < 8e-4  # the water that the file knows and we do not
        assert np.abs(flat - h[:n][::-1]).max() > 1e-2
    assert below_last > 0


@given(pressure_profiles(), st.sampled_from(["pressure", "log_pressure"]))
def test_level_weights_are_positive_and_sum_to_one(pressure, linear_in):
    weight = level_weights(pressure, linear_in=linear_in).weight
    assert (weight > 0).all()
    assert weight.sum() == pytest.approx(1, abs=1e-13)


@given(pressure_profiles())
def test_level_weights_integrate_what_they_claim_to(pressure):
    """A profile linear in the coordinate is integrated exactly; means of p and ln p are closed forms."""
    bottom, top = pressure[0], pressure[-1]
    assert level_weights(pressure).weight @ pressure == pytest.approx(0.5 * (bottom + top), rel=1e-12)
    mean_log = (bottom * np.log(bottom) - top * np.log(top)) / (bottom - top) - 1
    log = level_weights(pressure, linear_in="log_pressure").weight @ np.log(pressure)
    assert log == pytest.approx(mean_log, rel=1e-9, abs=1e-9)


@given(pressure_profiles(), st.floats(0.05, 1.4))
def test_surface_between_or_below_the_lowest_levels(pressure, fraction):
    surface = pressure[1] + fraction * (pressure[0] - pressure[1])
    weight = level_weights(pressure, surface_pressure=surface).weight
    assert weight.sum() == pytest.approx(1, abs=1e-13)
    assert weight @ pressure == pytest.approx(0.5 * (surface + pressure[-1]), rel=1e-12)


def test_many_surfaces_over_one_set_of_levels():
    weight = level_weights(EDGES, surface_pressure=[990.0, 800.0]).weight
    assert weight.shape == (2, 5)
    np.testing.assert_allclose(weight[1], level_weights(EDGES, surface_pressure=800.0).weight, atol=1e-15)


@given(
    arrays(np.float64, (3, 7), elements=st.floats(-10, 10)),
    arrays(np.float64, (3, 8), elements=st.floats(-10, 10)),
)
def test_half_split_and_its_adjoint(layers, levels):
    assert np.sum(half_split(layers) * levels) == pytest.approx(
        np.sum(layers * half_split_adjoint(levels)), abs=1e-11
    )
    np.testing.assert_allclose(half_split(layers).sum(axis=-1), layers.sum(axis=-1), atol=1e-12)


def test_dry_air_of_a_whole_atmosphere():
    """1013.25 hPa of dry air is about 3.57e5 mol m-2."""
    columns = dry_air_columns(np.array([1013.25, 500.0, 0.0]))
    assert columns.sum() == pytest.approx(101325 / (GRAVITY * MOLAR_MASS_DRY_AIR), rel=1e-14)
    assert columns.sum() == pytest.approx(3.567e5, rel=1e-3)


def test_layer_weights_without_humidity_are_pressure_shares():
    result = layer_weights(EDGES)
    np.testing.assert_allclose(result.weight, [0.3, 0.3, 0.3, 0.1], atol=1e-15)
    assert result.basis == "all air"


def test_humidity_lightens_the_lowest_layer():
    humid = layer_weights(EDGES, [0.02, 0.005, 0.0, 0.0])
    assert humid.weight[0] < 0.3 < humid.weight[2]
    np.testing.assert_allclose(humid.weight, np.array([0.294, 0.2985, 0.3, 0.1]) / 0.9925, atol=1e-14)


def test_humidity_on_levels_is_averaged():
    on_levels = np.array([0.02, 0.01, 0.004, 0.0, 0.0])
    between = level_weights(EDGES + 1, half_split_adjoint(on_levels)).weight
    np.testing.assert_allclose(level_weights(EDGES + 1, on_levels).weight, between, atol=0)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: layer_weights(EDGES[::-1]), RangeError, "surface first"),
        (lambda: level_weights([1000.0, 900.0, 900.0]), RangeError, "must decrease"),
        (lambda: level_weights([1000.0]), SchemaError, "at least two"),
        (lambda: level_weights([1000.0, np.nan, 1.0]), RangeError, "must decrease"),
        (lambda: layer_weights(EDGES * 100), RangeError, "Pa must be divided by 100"),
        (lambda: layer_weights([1000.0, -1.0]), RangeError, "within 0 and 1100 hPa"),
        (lambda: layer_weights(EDGES, [8.0, 2.0, 0.0, 0.0]), RangeError, "divided by 1000"),
        (lambda: layer_weights(EDGES, [-0.01, 0.0, 0.0, 0.0]), RangeError, "specific humidity"),
        (lambda: level_weights(EDGES, surface_pressure=650.0), RangeError, "drop the levels under ground"),
        (lambda: level_weights(EDGES, linear_in="height"), ConfigError, "'height'"),
        (lambda: level_weights(EDGES, linear_in="log_pressure"), RangeError, "above 0 hPa"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()
