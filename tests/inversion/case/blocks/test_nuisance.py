"""Unknowns that are no fluxes, errors by station, and what observations were made in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from inversion import solve
from inversion.case.options import InvertOptions
from obsnet.config import validate
from obsnet.errors import ConfigError
from tests.inversion.world import APART, EDGES, make_world, options


@pytest.fixture(scope="module")
def world():
    return make_world()


def with_columns(world, **columns):
    table = world.table
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, pa.array(values, type=table.schema.field(name).type))
    return replace(world, table=table)


def is_column(world):
    return world.table["kind"].to_numpy(zero_copy_only=False) == "column"


def test_an_offset_by_observing_mode(world):
    """Land against glint: one unknown each, and a mode that is not stated is one of its own."""
    column = is_column(world)
    mode = np.where(np.arange(60) % 2 == 0, "land", "glint").astype(object)
    mode[np.flatnonzero(column)[:2]] = None
    made = with_columns(world, mode=list(mode)).assemble(
        options(offset={"sigma": {"test_column": 1.0}, "by": "mode"})
    )
    block = made.problem.state.block("offset")
    assert block.coords["mode"].tolist() == ["test_column glint", "test_column land", "test_column unknown"]
    h = made.problem.jacobian[:, made.problem.state.span("offset")].toarray()
    np.testing.assert_array_equal(h.sum(axis=1), column)
    assert h[:, 2].sum() == 2


def test_a_bias_that_grows_with_latitude_is_found(world):
    """Columns 0.8 ppm too high for each 10 degrees north; with the right error it is solved for."""
    column, rng = is_column(world), np.random.default_rng(0)
    latitude = np.where(column, 20.0 + 30.0 * rng.random(60), 32.0)
    there = with_columns(world, latitude=latitude)
    choice = options(offset={"gradient": {"test_column": 1.0}})
    made = there.assemble(choice)
    p, span = made.problem, made.problem.state.span("gradient")
    h = p.jacobian[:, [span.start]].toarray().ravel()
    middle = latitude[column].mean()
    np.testing.assert_allclose(h, np.where(column, (latitude - middle) / 10.0, 0.0), atol=1e-12)
    assert p.prior_error.diagonal()[span] == 1.0
    observed = p.with_(observations=p.simulate(p.prior) + 0.8 * h)
    posterior = solve(observed)
    assert posterior.mean[span][0] == pytest.approx(0.8, abs=0.15)
    assert np.sqrt(posterior.variance()[span][0]) < 0.5


def test_a_model_error_for_one_station(world):
    error = APART | {
        "point": 0.8,
        "column": 0.5,
        "monte_carlo": False,
        "source": {"test_point": 1.0},
        "platform": {"AAA": 3.0},
    }
    r = world.assemble(options(error=error)).problem.observation_error.diagonal()
    platform = world.table["platform"].to_numpy(zero_copy_only=False)
    kind = world.table["kind"].to_numpy(zero_copy_only=False)
    expected = np.where(platform == "AAA", 3.0, np.where(kind == "point", 1.0, 0.5))
    np.testing.assert_allclose(r, 0.3**2 + expected**2)


def test_observations_know_their_pass(world):
    column = is_column(world)
    time = EDGES[3] + np.where(np.arange(60) < 30, 0, 98) * np.timedelta64(1, "m") + np.arange(60)
    made = with_columns(world, time=time.astype("datetime64[us]")).assemble()
    labels = made.problem.labels("orbit")
    assert set(labels[~column]) == {"AAA", "BBB"}
    assert set(labels[column]) == {
        f"{s} {t}" for s in ("AAA", "BBB") for t in ("2019-01-04T00:00", "2019-01-04T01:38")
    }
    shares = solve(made.problem).influence_by("orbit")
    assert sum(shares.values()) == pytest.approx(solve(made.problem).dofs, rel=1e-8)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"offset": {"gradient": {"test_colum": 1.0}}},
            "no observation is from 'test_colum'; nearest: 'test_column'",
        ),
        (
            {"error": APART | {"point": 1.0, "column": 1.0, "platform": {"AAB": 1.0}}},
            r"error.platform\] no observation",
        ),
    ],
)
def test_names_that_are_not_there(world, changes, text):
    with pytest.raises(ConfigError, match=text):
        world.assemble(options(**changes))


def test_errors_are_not_negative():
    table = {"store": "s", "footprints": "f", "prior": "p", "error": {"platform": {"AAA": -1.0}}}
    with pytest.raises(ConfigError, match="greater than or equal to 0"):
        validate(InvertOptions, table)
