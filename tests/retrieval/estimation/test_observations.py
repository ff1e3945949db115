"""Retrieval results in the observation contract: the real ACOS sounding, and simulated profiles."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from obsnet.errors import RangeError, SchemaError
from obsnet.schema import Quality, profile_array
from retrieval.columns.column_operator import ColumnOperator
from retrieval.estimation.estimate import estimate
from retrieval.estimation.observations import column_table
from retrieval.estimation.options import RetrievalOutcome
from tests.retrieval.estimation.problems import ACOS, acos

PLACE = {
    "species": "CO2",
    "time": "2014-10-18T12:36",
    "latitude": 10.0,
    "longitude": 20.0,
    "source": "own_v1",
    "platform": "OCO-2",
}


@pytest.mark.parametrize("name", ACOS[:5])
def test_real_retrieval_becomes_the_row_its_file_states(sample_data, name):
    r = acos(sample_data, name)
    result = xr.Dataset(
        {
            "value": (("sounding", "state"), r["state_vector_result"][None]),
            "prior": (("sounding", "state"), r["state_vector_apriori"][None]),
            "covariance": (("sounding", "state", "state_2"), r["aposteriori_covariance_matrix"][None]),
            "averaging_kernel": (("sounding", "state", "state_2"), r["averaging_kernel_matrix"][None]),
            "outcome": ("sounding", r["outcome_flag"][None]),
        }
    )
    table = column_table(
        result, r["elements"][::-1], r["vector_pressure_levels"][::-1] / 100.0, unit="1", **PLACE
    )
    row = table.to_pylist()[0]
    # dry air is not known here: what humidity moves in the weights is at most 0.03 ppm
    assert row["value"] == pytest.approx(r["xco2"] * 1e6, abs=0.05)
    assert row["uncertainty"] == pytest.approx(r["xco2_uncert"] * 1e6, rel=0.01)
    np.testing.assert_allclose(
        profile_array(table["pressure_weight"])[0], r["xco2_pressure_weighting_function"][::-1], atol=1e-3
    )
    np.testing.assert_allclose(
        profile_array(table["averaging_kernel"])[0][1:-1], r["xco2_avg_kernel_norm"][::-1][1:-1], rtol=0.02
    )
    assert row["quality_original"] == RetrievalOutcome(int(r["outcome_flag"])).name.lower()
    assert len(ColumnOperator.from_table(table)) == 1


def profile_retrieval(rows=40, vertical="level", seed=2):
    """Truths, result and pressure of a simulated profile retrieval; states in mol mol-1, surface first."""
    rng = np.random.default_rng(seed)
    k = 6
    pressure = np.linspace(1000.0, 10.0, k + (vertical == "layer"))
    jacobian = rng.normal(size=(50, k)) * 1e6 / 400.0
    x_a = np.full(k, 400e-6)
    s_a = (8e-6) ** 2 * np.exp(-np.abs(np.subtract.outer(range(k), range(k))) / 3.0)
    truth = x_a + rng.multivariate_normal(np.zeros(k), s_a, rows)

    def forward(state, which):
        del which
        return state @ jacobian.T, np.broadcast_to(jacobian, (len(state), *jacobian.shape))

    y = truth @ jacobian.T + rng.normal(size=(rows, 50)) * 0.05
    return forward, y, truth, x_a, s_a, pressure


@pytest.mark.parametrize("vertical", ["level", "layer"])
def test_rows_are_what_their_own_operator_says(vertical):
    forward, y, truth, x_a, s_a, pressure = profile_retrieval(vertical=vertical)
    result = estimate(forward, y, np.full(50, 0.05**2), x_a, s_a)
    table = column_table(result, np.arange(6), pressure, **PLACE | {"identity": np.arange(40) + 7})
    assert table["obs_id"][0].as_py() == "own_v1:7"
    assert table["vertical"][0].as_py() == vertical
    operator = ColumnOperator.from_table(table)
    value, uncertainty = table["value"].to_numpy(), table["uncertainty"].to_numpy()
    true_column = (truth * 1e6 * operator.weight).sum(axis=1)
    assert (np.abs(value - true_column) < 3.5 * uncertainty).all()
    # the operator of the row, applied to the truth, leaves only noise
    noise = np.sqrt(
        np.einsum("ri,rij,rj->r", operator.weight, result.noise_covariance.values * 1e12, operator.weight)
    )
    left = (value - operator.forward(truth * 1e6)) / noise
    assert np.abs(left).max() < 4.0
    assert 0.7 < left.std() < 1.3


def test_bad_outcomes_are_flagged_and_kept():
    forward, y, _, x_a, s_a, pressure = profile_retrieval(rows=5)
    y[0] = np.nan
    y[1] += np.tile([3.0, -3.0], 25)
    result = estimate(forward, y, np.full(50, 0.05**2), x_a, s_a)
    result["outcome"][2] = RetrievalOutcome.MAX_DIVERGENCES
    table = column_table(
        result, np.arange(6), pressure, **PLACE, rejected=np.array([False, False, False, True, False])
    )
    quality = table["quality"].to_numpy()
    assert quality[0] & Quality.PRODUCER
    assert quality[0] & Quality.RANGE
    assert quality[1] == Quality.SUSPECT
    assert quality[2] == Quality.PRODUCER
    assert quality[3] == Quality.SCREEN
    assert quality[4] == 0


def test_mistakes_are_named():
    forward, y, _, x_a, s_a, pressure = profile_retrieval(rows=2)
    result = estimate(forward, y, np.full(50, 0.05**2), x_a, s_a)
    with pytest.raises(RangeError, match="surface first"):
        column_table(result, np.arange(6), pressure[::-1], **PLACE)
    with pytest.raises(SchemaError, match="elements must be numbers"):
        column_table(result, np.arange(7), pressure, **PLACE)
    with pytest.raises(SchemaError, match="a profile of 6 needs"):
        column_table(result, np.arange(6), pressure[:4], **PLACE)
    with pytest.raises(SchemaError, match="different names"):
        column_table(result, np.arange(6), pressure, **PLACE, identity=[1, 1])
