"""Retrievals from spectra: simulated truths, kernels of layers, spoilt channels, the real one of Park Falls."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import ConfigError, RangeError, SchemaError
from obsnet.schema import profile_array
from retrieval.columns.column_operator import ColumnOperator
from retrieval.estimation.observations import column_table
from retrieval.estimation.options import RetrievalOutcome, SolverOptions
from retrieval.estimation.spectrum import gas_profile, retrieve_clear_sky, usable_channels
from tests.retrieval.forward.worlds import model, state_of

TIGHT = SolverOptions(gamma=0.0, threshold=1e-6)
WIDE = {"scale": 0.3, "offset": 1e-3, "fluorescence": 0.01}


def test_truth_comes_back_from_a_spectrum_without_noise():
    clear = model(view=None)
    truth = state_of(clear, np.random.default_rng(3))
    truth[clear.names.index("offset_weak")] = 1e-3
    y, _ = clear(truth)
    result = retrieve_clear_sky(clear, y, 1e-5, deviations=WIDE, options=TIGHT)
    assert int(result.outcome[0]) == RetrievalOutcome.CONVERGED
    np.testing.assert_allclose(result.value[0, :2], truth[:2], rtol=2e-3)
    assert result.attrs["clear_sky_only"] == 1
    assert "scattering" in result.attrs["not_modelled"]
    assert "scale 0.3" in result.attrs["prior_deviations"]


def test_stated_uncertainty_covers_drawn_truths():
    clear = model(view=None)
    rng = np.random.default_rng(8)
    noise, inside, count = 2e-3, 0, 60
    for _ in range(count):
        truth = clear.first_guess
        for i, name in enumerate(clear.names):
            sigma = {"CO2_scale": 0.1, "H2O_scale": 0.1, "surface_pressure": 20.0, "temperature_offset": 5.0}
            truth[i] += sigma.get(name, 0.0) * rng.normal()
        y = clear(truth)[0] + noise * rng.normal(size=150)
        result = retrieve_clear_sky(clear, y, noise)
        assert int(result.outcome[0]) <= RetrievalOutcome.CONVERGED_POOR_FIT
        inside += abs(float(result.value[0, 0]) - truth[0]) < 1.959964 * float(result.uncertainty[0, 0])
    assert 0.87 <= inside / count <= 1.0  # 95 % of 60: 52 to 60 within 2.6 standard deviations


@pytest.mark.parametrize("profile", [None, "CO2"])
def test_row_of_the_observation_table_knows_its_layers(profile):
    """The row's operator says what the retrieval does when one layer of the truth changes."""
    clear, truth_model = model(profile=profile), model(profile="CO2")
    x = truth_model.first_guess
    y, _ = truth_model(x)
    result = retrieve_clear_sky(clear, y, 1e-3, options=TIGHT)
    profile_result = gas_profile(result, clear, "CO2")
    table = column_table(
        profile_result,
        np.arange(7),
        clear.layers.pressure_edges,
        species="CO2",
        time=["2020-01-01T04"],
        latitude=[35.0],
        longitude=[100.0],
        source="own_v1",
        platform="FTS",
        specific_humidity=clear.layers.specific_humidity,
        gravity=clear.layers.gravity,
    )
    operator = ColumnOperator.from_table(table)
    value = table["value"].to_numpy()[0]
    assert value == pytest.approx(400.0, abs=0.2)
    np.testing.assert_allclose(
        operator.weight[0], clear.layers.dry_air / clear.layers.dry_air.sum(), rtol=1e-5
    )
    assert (profile_array(table["averaging_kernel"])[0] > 0.05).any()
    for layer in (0, 3):
        moved = x.copy()
        moved[truth_model.elements("CO2")[layer]] += 0.01
        again = retrieve_clear_sky(clear, truth_model(moved)[0], 1e-3, options=TIGHT)
        change = gas_profile(again, clear, "CO2")["value"] - profile_result["value"]
        true = np.full((1, 7), 400.0)
        true[0, layer] += 4.0
        expected = float(operator.forward(true)[0] - operator.forward(np.full((1, 7), 400.0))[0])
        assert float((change[0] * operator.weight[0]).sum()) * 1e6 == pytest.approx(
            expected, rel=0.05, abs=2e-3
        )


def test_spoilt_channels_are_left_out_and_counted():
    clear = model(view=None)
    y, _ = clear(clear.first_guess)
    spoilt = y.copy()
    spoilt[3], spoilt[40], spoilt[77] = np.nan, 9.0, -0.5
    result = retrieve_clear_sky(clear, spoilt, 1e-3, saturation=5.0)
    assert result.attrs["channels_left_out"] == "not_finite 1, saturated 1, negative 1"
    assert int(result.channels[0, 0]) == 147
    assert float(result.value[0, 0]) == pytest.approx(1.0, abs=3 * float(result.uncertainty[0, 0]))
    with pytest.raises(RangeError, match="of 150 channels cannot be used"):
        usable_channels(-y, 1e-3)
    with pytest.raises(RangeError, match="noise must be positive"):
        usable_channels(y, 0.0)


def test_mistakes_are_named():
    clear = model(view=None)
    y, _ = clear(clear.first_guess)
    with pytest.raises(SchemaError, match="150 channels"):
        retrieve_clear_sky(clear, y[:-1], 1e-3)
    with pytest.raises(ConfigError, match="CO2_scale"):
        retrieve_clear_sky(clear, y, 1e-3, deviations={"CO2_scal": 1.0})
    with pytest.raises(SchemaError, match="no gas 'CH4'"):
        gas_profile(retrieve_clear_sky(clear, y, 1e-3), clear, "CH4")


def test_park_falls(sample_data):
    """3 November 2009, Sun at 84.6 degrees: CO2 within 0.5 % of the ACOS retrieval, residual below 0.5 % where the
    list of lines is whole (it lacks H2O and the rarer CO2). Temperature and surface pressure are those of ACOS.
    """
    from scripts.make_retrieval_table import fit_window, park_falls

    case = park_falls(sample_data)
    fit = fit_window(case, 6205.0, 6240.0)
    assert fit.scale == pytest.approx(case.known_scale, rel=0.005)
    assert fit.residual < 0.005
    assert fit.share > 0.5
    assert fit.residual_all > 0.01  # what the missing lines cost
    assert fit.residual < 1.25 * fit.residual_acos
