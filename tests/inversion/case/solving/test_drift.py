"""An unknown mean from a case file: against dense algebra, the limit of a wide prior, its drift, its tests."""

import json

import numpy as np
import pytest

from inversion.case.run import run_invert
from inversion.case.solving.drift import drift_columns
from inversion.operators.covariance import BlockDiagonalCovariance
from inversion.solvers.choose import solve
from obsnet.cf import read_netcdf
from obsnet.errors import ConfigError
from tests.inversion.case.solving.test_members import NOISE, called_wrong, options, solved, verdicts
from tests.inversion.case.test_files import case  # noqa: F401
from tests.inversion.world import make_world
from tests.inversion.world import options as world_options

DRIFT = {"fossil": ["prior"], "biosphere": ["bin", "constant"]}


def textbook(problem, trend):
    """Kitanidis' equations on full matrices: the kriging system with its Lagrange multipliers."""
    h, q, r = problem.jacobian.toarray(), problem.prior_error.dense(), problem.observation_error.dense()
    hx, n, p = h @ trend, problem.n_obs, trend.shape[1]
    system = np.block([[h @ q @ h.T + r, hx], [hx.T, np.zeros((p, p))]])
    right = np.vstack([h @ q, trend.T])
    both = np.linalg.solve(system, right)
    gain = both[:n].T
    covariance = q - gain @ (h @ q) - trend @ both[n:]
    return problem.prior + gain @ problem.innovation, 0.5 * (covariance + covariance.T), gain


def test_the_answer_is_that_of_the_kriging_system():
    found = solved("geostatistical", drift=DRIFT)
    posterior = found.posterior
    mean, covariance, gain = textbook(found.made.problem, posterior.trend)
    g = found.totals.weights.weights.toarray()
    size = np.abs(mean).max()
    np.testing.assert_allclose(posterior.mean, mean, atol=1e-8 * size)
    np.testing.assert_allclose(posterior.variance(), np.diagonal(covariance), rtol=1e-7)
    np.testing.assert_allclose(posterior.gain_rows(g), g @ gain, atol=1e-8 * np.abs(g @ gain).max())
    expected = g @ covariance @ g.T
    np.testing.assert_allclose(found.totals.posterior.covariance, expected, atol=1e-7 * expected.max())
    np.testing.assert_allclose(posterior.aggregate(g).covariance, expected, atol=1e-7 * expected.max())
    np.testing.assert_allclose(
        posterior.covariance(g.T), covariance @ g.T, atol=1e-7 * np.abs(covariance @ g.T).max()
    )
    hk = found.made.problem.jacobian @ gain
    assert posterior.dofs == pytest.approx(np.trace(hk), rel=1e-8)
    assert posterior.system.dofs() == pytest.approx(np.trace(hk), rel=1e-8)
    # a drift in the truth comes out whole
    np.testing.assert_allclose(
        gain @ (found.made.problem.jacobian @ posterior.trend), posterior.trend, atol=1e-8 * size
    )


def test_a_very_wide_prior_is_the_limit():
    found = solved("geostatistical", drift=DRIFT, drift_sd=3e3)
    wide = solve(found.posterior.problem, method="dual")
    assert isinstance(wide.problem.prior_error, BlockDiagonalCovariance)
    g = found.totals.weights.weights
    np.testing.assert_allclose(found.totals.posterior.mean, wide.aggregate(g).mean, rtol=1e-3)
    sd, known = (
        np.sqrt(np.diagonal(c)) for c in (found.totals.posterior.covariance, wide.aggregate(g).covariance)
    )
    np.testing.assert_allclose(sd, known, rtol=1e-3)


def test_the_known_mean_is_more_certain_and_a_wrong_one_is_found():
    """Truths twice the prior: the drift finds the factor without bias, whatever errors the sector's table states."""
    known, found = solved(), solved("geostatistical", drift={"fossil": ["prior"]})
    sd, less = (np.sqrt(np.diagonal(t.totals.posterior.covariance)) for t in (found, known))
    assert (sd > less * (1 - 1e-9)).all()
    problem, rng = found.made.problem, np.random.default_rng(3)
    x = problem.prior[:, None] + problem.prior_error.factor(
        rng.standard_normal((problem.prior_error.factor_size, 400))
    )
    x += found.posterior.trend  # fossil doubled
    e = problem.observation_error
    d = problem.forward(x - problem.prior[:, None]) + e.factor(rng.standard_normal((e.factor_size, 400)))
    g = found.totals.weights.weights
    away = g @ (problem.prior[:, None] + found.posterior.gain(d) - x)
    away, sd = away[:2], sd[:2]
    assert (np.abs(away.mean(axis=1)) < 4 * sd / 20).all()
    np.testing.assert_allclose(away.std(axis=1) / sd, 1.0, atol=0.15)


@pytest.mark.parametrize("drift_sd", [0.5, 2.0])
def test_false_alarms_with_a_drift_as_wide_as_stated(drift_sd):
    found = solved("geostatistical", drift=DRIFT, drift_sd=drift_sd)
    assert called_wrong(found, found.posterior.problem) == pytest.approx([0.05, 0.05], abs=NOISE)


def test_from_the_case_file_to_a_verdict(case, tmp_path):  # noqa: F811
    lines = []
    table = {"method": "geostatistical", "geostatistical": {"drift": {"fossil": ["prior"]}}}
    written, summary = run_invert(options(**table), case, tmp_path, lines.append)
    (line,) = [line for line in lines if line.startswith("geostatistical: drift fossil prior ")]
    assert "may be ± 1 elsewhere" in line
    data = read_netcdf(written[0])
    state = json.loads(data.attrs["solver_state"])
    assert list(state["drift"]) == ["fossil prior"]
    assert state["drift_sd"] == 1.0
    assert data["state_dofs"].values.sum() == pytest.approx(summary["dofs"], rel=1e-6)
    assert len(verdicts(written[0])) == 2


def test_drifts_that_cannot_be_are_one_line():
    made = make_world().assemble(world_options())
    for drift, text in (
        ({"fosil": ["prior"]}, r"drift of 'fosil': the sector is not solved; nearest: 'fossil'"),
        ({"fossil": ["prior", "bin"]}, "say the same twice; bin has prior in it"),
        ({"fossil": []}, "drift has no column"),
    ):
        with pytest.raises(ConfigError, match=text):
            drift_columns(drift, made)
