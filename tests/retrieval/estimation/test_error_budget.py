"""The error budget: real ACOS files to 1e-6, and a simulation in which every part is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import SchemaError
from retrieval.estimation.error_budget import error_budget, noise_covariance
from retrieval.estimation.estimate import estimate
from tests.retrieval.estimation.problems import ACOS, acos


@pytest.mark.parametrize("name", ACOS)
def test_parts_are_those_of_the_real_files(sample_data, name):
    r = acos(sample_data, name)
    s_a = r["apriori_covariance_matrix"]
    budget = error_budget(
        r["averaging_kernel_matrix"],
        s_a,
        noise_covariance(r["aposteriori_covariance_matrix"], s_a),
        r["elements"],
        r["xco2_pressure_weighting_function"],
    )
    for part, known in (
        (budget.posterior, "xco2_uncert"),
        (budget.noise, "xco2_uncert_noise"),
        (budget.smoothing, "xco2_uncert_smooth"),
        (budget.interference, "xco2_uncert_interf"),
    ):
        assert part[0] == pytest.approx(r[known], rel=1e-6)


def test_parts_are_the_spread_of_what_is_drawn():
    """Profile, interfering element, noise and a parameter of the model vary one at a time, then all together."""
    rng = np.random.default_rng(4)
    n, m, q = 4, 30, 2
    k, k_b = rng.normal(size=(m, n)), rng.normal(size=(m, q)) * 0.3
    variance, s_b = np.full(m, 4.0), np.diag([0.5, 0.1])
    s_a = np.diag([1.0, 2.0, 0.5, 3.0])
    s_a[0, 3] = s_a[3, 0] = 0.8
    h, place = np.array([0.2, 0.5, 0.3]), np.array([0, 1, 2])

    def forward(state, which):
        del which
        return state @ k.T, np.broadcast_to(k, (len(state), m, n))

    result = estimate(forward, np.zeros(m), variance, np.zeros(n), s_a, keep=["gain"])
    budget = error_budget(
        result.averaging_kernel,
        s_a,
        result.noise_covariance,
        place,
        h,
        gain=result.gain,
        parameter_jacobian=k_b,
        parameter_covariance=s_b,
    )
    gain, draws = result.gain[0].values, 40_000
    x = rng.multivariate_normal(np.zeros(n), s_a, draws)
    noise = rng.normal(size=(draws, m)) * np.sqrt(variance)
    parameter = rng.multivariate_normal(np.zeros(q), s_b, draws) @ k_b.T

    def spread(truth, disturbance):
        return float(np.std(((truth @ k.T + disturbance) @ gain.T - truth)[:, place] @ h))

    own, other = x * [1, 1, 1, 0], x * [0, 0, 0, 1]
    assert budget.noise[0] == pytest.approx(spread(0 * x, noise), rel=0.02)
    assert budget.smoothing[0] == pytest.approx(spread(own, 0.0), rel=0.02)
    assert budget.interference[0] == pytest.approx(spread(other, 0.0), rel=0.02)
    assert budget.posterior[0] == pytest.approx(spread(x, noise), rel=0.02)
    assert budget.parameter[0] == pytest.approx(spread(0 * x, parameter), rel=0.02)
    assert budget.total[0] == pytest.approx(spread(x, noise + parameter), rel=0.02)
    assert abs(budget.covariance[0]) > 0.01 * budget.posterior[0] ** 2
    full = np.zeros(n)
    full[place] = h
    assert budget.posterior[0] == pytest.approx(np.sqrt(full @ result.covariance[0].values @ full))


def test_mistakes_are_named():
    a = np.eye(3)
    with pytest.raises(SchemaError, match="elements must be numbers from 0 to 2"):
        error_budget(a, a, a, [0, 3], [1.0, 1.0])
    with pytest.raises(SchemaError, match="weight must have shape"):
        error_budget(a, a, a, [0, 1], [1.0])
    with pytest.raises(SchemaError, match="parameter error needs"):
        error_budget(a, a, a, [0, 1], [1.0, 1.0], gain=np.ones((3, 5)))
