"""Errors of a case from its observations: keys of the case file, the likelihood of its problem, truths found again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from inversion import solve
from inversion.case.options import InvertOptions
from inversion.case.solving.estimate import error_model, estimate_errors
from inversion.solvers.geostatistical import solve_geostatistical
from obsnet.config import validate
from obsnet.errors import ConfigError
from tests.inversion.world import APART, make_world, options

SECTORS = {
    "fossil": {"relative": 0.3, "correlation_km": 100, "regional_relative": 0.3},
    "biosphere": {"sigma": 3e-7, "correlation_km": 300, "correlation_days": 5},
}


@pytest.fixture(scope="module")
def world():
    return make_world()


def drawn(world, truth: InvertOptions, seed: int, tables: int = 1):
    """The world with observations drawn from the prior and observation errors of other options."""
    made = world.assemble(truth)
    rng, p = np.random.default_rng(seed), made.problem
    x = p.prior + p.prior_error.factor(rng.standard_normal(p.prior_error.factor_size))
    noise = p.observation_error.factor(rng.standard_normal(p.observation_error.factor_size))
    names = world.table.column_names
    return replace(
        world, table=world.table.set_column(names.index("value"), "value", pa.array(p.simulate(x) + noise))
    )


ALL = ["prior_sigma", "length_km", "days", "error"]


def test_parameters_are_keys_of_the_case(world):
    choice = options(
        error=APART | {"point": 0.8, "source": {"test_column": 0.5}, "correlation_hours": 6.0},
        offset={"sigma": {"test_column": 1.0}},
    )
    names = error_model(choice, world.assemble(choice), restricted=False).parameters
    assert names == {
        "sector.fossil.relative": 1.0,
        "sector.fossil.correlation_km": 100.0,
        "sector.fossil.correlation_days": 30.0,
        "sector.fossil.regional_relative": 1.0,
        "sector.biosphere.sigma": 1.0,
        "sector.biosphere.correlation_km": 300.0,
        "sector.biosphere.correlation_days": 5.0,
        "boundary.sigma": 1.0,
        "offset.sigma": 1.0,
        "error.point": 1.0,
        "error.source.test_column": 1.0,
        "error.correlation_hours": 6.0,
    }


@pytest.mark.parametrize("hours", [0.0, 6.0])
def test_likelihood_is_the_evidence_of_the_assembled_problem(world, hours):
    """At the first guess, and for a case with all parameters changed."""
    error = APART | {"point": 0.8, "column": 0.5, "correlation_hours": hours}
    one = options(error=error)
    made = world.assemble(one)
    model = error_model(one, made, restricted=False)
    assert -model.loss(model.parameters)[0] == pytest.approx(solve(made.problem).log_evidence, rel=1e-9)
    sector = {
        "fossil": {
            "relative": 0.45,
            "correlation_km": 250,
            "correlation_days": 12,
            "regional_relative": 0.15,
        },
        "biosphere": {"sigma": 6e-7, "correlation_km": 150, "correlation_days": 9},
    }
    two = options(
        error=error | {"point": 1.6},
        sector=sector,
        boundary={"background": 410.0, "sigma": 0.25, "step": "3D"},
    )
    values = model.parameters | {
        "sector.fossil.relative": 1.5,
        "sector.fossil.correlation_km": 250.0,
        "sector.fossil.correlation_days": 12.0,
        "sector.fossil.regional_relative": 0.5,
        "sector.biosphere.sigma": 2.0,
        "sector.biosphere.correlation_km": 150.0,
        "sector.biosphere.correlation_days": 9.0,
        "boundary.sigma": 0.5,
        "error.point": 2.0,
    }
    assert -model.loss(values)[0] == pytest.approx(solve(world.assemble(two).problem).log_evidence, rel=1e-9)


def test_restricted_likelihood_leaves_factors_of_the_priors_out(world):
    made = world.assemble()
    model = error_model(options(), made, restricted=True)
    p, state = made.problem, made.problem.state
    trend = np.zeros((p.n_state, 2))
    for i, name in enumerate(("fossil", "biosphere")):
        trend[state.span(name), i] = p.prior[state.span(name)]
    trend /= np.linalg.norm(p.forward(trend), axis=0)
    assert model.trend.shape == (60, 3)  # and a constant background
    np.testing.assert_allclose(model.trend[:, :2], p.forward(trend), rtol=1e-9)
    two = replace(model, trend=model.trend[:, :2])
    expected = solve_geostatistical(p, trend).log_evidence
    assert -two.loss(two.parameters)[0] == pytest.approx(expected, rel=1e-8)
    # what it leaves out cannot change it
    moved = replace(model, innovation=model.innovation + model.trend @ [30.0, -20.0, 10.0])
    assert moved.loss(model.parameters)[0] == pytest.approx(model.loss(model.parameters)[0], rel=1e-9)


@pytest.mark.parametrize("restricted", [False, True])
def test_true_errors_are_found_again(restricted):
    """Observations drawn with other errors than assumed; estimates within their own uncertainty."""
    world = make_world(n=240)
    truth = options(sector=SECTORS | {"biosphere": {"sigma": 9e-7, "correlation_km": 300, "correlation_days": 5}},
                    error=APART | {"point": 0.3, "column": 1.5})  # fmt: skip
    start = options(
        likelihood={"estimate": ["prior_sigma", "error"], "restricted": restricted}, sector=SECTORS
    )
    expected = {"sector.biosphere.sigma": 9e-7, "error.point": 0.3, "error.column": 1.5}
    z = []
    for seed in range(3):
        now = drawn(world, truth, seed)
        found = estimate_errors(start, now.assemble(start))
        rows = {r.key: r for r in found.rows}
        z += [np.log(rows[k].estimated / v) / rows[k].relative_error for k, v in expected.items()]
        assert found.log_likelihood > found.log_likelihood_assumed
        assert rows["error.point"].assumed == 0.8
    assert np.abs(z).max() < 4.0


def test_the_case_with_the_estimates_is_as_likely_as_they_say(world):
    """Every key is written where the case reads it: full likelihood of the reassembled case."""
    start = options(
        likelihood={"estimate": ALL, "restricted": False},
        error=APART | {"point": 0.8, "source": {"test_column": 0.5}, "correlation_hours": 6.0},
        boundary={"background": 410.0, "sigma": {"west": 0.5, "north": 0.2}, "step": "3D"},
        offset={"sigma": {"test_column": 0.3}},
    )
    lines = []
    found = estimate_errors(start, world.assemble(start), lines.append)
    again = world.assemble(found.options)
    assert solve(again.problem).log_evidence == pytest.approx(found.log_likelihood, rel=1e-6)
    assert len(lines) == len(found.rows) == 12
    factor = {r.key: r.estimated for r in found.rows}["boundary.sigma"]
    assert found.options.boundary.sigma == pytest.approx({"west": 0.5 * factor, "north": 0.2 * factor})
    for row, line in zip(found.rows, lines, strict=True):
        assert line.startswith(f"{row.key}: ")
        assert ("stays" in line) == (not row.determined)
        assert row.determined or row.estimated == row.assumed


def test_what_is_not_asked_for_stays(world):
    start = options(likelihood={"estimate": ["length_km"]})
    found = estimate_errors(start, world.assemble(start))
    assert {r.key for r in found.rows} == {"sector.fossil.correlation_km", "sector.biosphere.correlation_km"}
    assert found.options.sector["fossil"].relative == 0.3
    assert found.options.error == start.error


def test_many_observations_are_thinned_evenly(world):
    start = options(likelihood={"observations": 20})
    lines = []
    found = estimate_errors(start, world.assemble(start), lines.append)
    assert found.n_obs == 20
    assert lines[0] == "likelihood of 20 of 60 observations, taken evenly"


def test_nothing_to_estimate_is_said(world):
    bare = {"fossil": {"relative": 0.3}, "biosphere": {"prescribed": True}}
    start = options(sector=bare, likelihood={"estimate": ["days"]})
    with pytest.raises(
        ConfigError, match="nothing to estimate of days; the case has: sector.fossil.relative, boundary"
    ):
        estimate_errors(start, world.assemble(start))


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"estimate": ["sigma"]}, "prior_sigma"),
        ({"estimate": []}, "at least 1"),
        ({"uses": True}, "nearest: 'use'"),
    ],
)
def test_options_are_checked(table, text):
    with pytest.raises(ConfigError, match=text):
        validate(InvertOptions, {"store": "s", "footprints": "f", "prior": "p", "likelihood": table})
