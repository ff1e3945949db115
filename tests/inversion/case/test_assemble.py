"""From fluxes, footprints and observations to totals that an inventory can be tested with."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from inversion import solve
from inversion.case.blocks.nuisance import background
from inversion.case.blocks.prior import flux_operator
from inversion.case.inputs.reading import match_observations
from inversion.case.options import InvertOptions
from inversion.jacobian.flux import bin_matrix
from inversion.jacobian.store import SIDES
from inversion.operators.covariance import BlockDiagonalCovariance
from inversion.operators.observation_error import MarkovError
from inversion.problem.time_bins import state_bins
from inversion.problem.totals import region_totals
from obsnet.config import validate
from obsnet.errors import ConfigError, SchemaError, SolverError
from obsnet.schema import Quality
from tests.inversion.world import APART, BACKGROUND, EDGES, GRID, REGIONS, make_world, options


@pytest.fixture(scope="module")
def world():
    return make_world()


@pytest.fixture(scope="module")
def made(world):
    return world.assemble()


def test_prior_simulation_is_footprint_times_flux_plus_background(world, made):
    total = sum(world.prior.flux.values()) * 1e6
    expected = world.jacobian.matrix @ total.ravel() + BACKGROUND
    np.testing.assert_allclose(made.problem.simulate(made.problem.prior), expected, rtol=1e-6)


def test_any_state_simulates_its_fluxes(world, made):
    """A constant change of the biosphere in one time bin, and a scaled fossil flux, written out by hand."""
    state, x = made.problem.state, made.problem.prior.copy()
    parts = {k: v.copy() for k, v in state.unstack(x).items()}
    parts["biosphere"][1] += 0.7
    parts["fossil"] *= 1.5
    parts["boundary"][SIDES.index("west"), 0] = 2.0
    flux = 1e6 * (1.5 * world.prior.flux["fossil"] + world.prior.flux["biosphere"])
    flux[3:] += 0.7
    share = world.jacobian.boundary.toarray().reshape(-1, 6, 6)[:, SIDES.index("west"), :3].sum(axis=1)
    expected = world.jacobian.matrix @ flux.ravel() + BACKGROUND + 2.0 * share
    np.testing.assert_allclose(made.problem.simulate(state.stack(parts)), expected, rtol=1e-6)


def test_a_prescribed_sector_is_simulated_and_not_solved(world, made):
    fixed = world.assemble(options(sector={"fossil": {"relative": 0.3}, "biosphere": {"prescribed": True}}))
    assert fixed.problem.state.names == ["fossil", "boundary"]
    assert fixed.solved == ("fossil",)
    np.testing.assert_allclose(
        fixed.problem.simulate(fixed.problem.prior), made.problem.simulate(made.problem.prior), rtol=1e-9
    )
    posterior = solve(fixed.problem)
    weights = world.weights(fixed)
    totals = region_totals(posterior, weights)
    expected = (world.area @ fixed.prior_mean["biosphere"].mean(axis=0)).ravel()
    np.testing.assert_allclose(totals.posterior.mean[3:], expected, rtol=1e-9)
    assert not totals.posterior.covariance[3:].any()


def test_prior_totals_are_flux_times_area(world, made):
    totals = world.weights(made).weights @ made.problem.prior
    for i, sector in enumerate(("fossil", "biosphere")):
        expected = (world.area @ world.prior.flux[sector].mean(axis=0)).ravel()
        np.testing.assert_allclose(totals[3 * i : 3 * i + 3], expected, rtol=1e-9)


def test_patterns_change_one_total_at_a_time(world, made):
    for periods in (EDGES[[0, -1]], EDGES[[0, 3, 6]]):
        w = world.weights(made, periods)
        np.testing.assert_allclose((w.weights @ w.pattern).toarray(), np.eye(w.weights.shape[0]), atol=1e-9)


def test_a_pattern_is_the_prior_inside_a_region(world, made):
    w = world.weights(made)
    span = made.problem.state.span("fossil")
    column = w.pattern.toarray()[span, 0].reshape(2, -1)
    inside = np.arange(GRID.size) % 6 < 2
    ratio = column[:, inside] / (1e6 * made.prior_mean["fossil"][:, inside])
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-9)
    assert column[:, np.arange(GRID.size) % 6 > 3] == pytest.approx(0.0, abs=1e-12)


def test_totals_add_up_and_their_errors_too(world, made):
    posterior = solve(made.problem)
    totals = region_totals(posterior, world.weights(made))
    weights = world.weights(made).weights
    np.testing.assert_allclose(totals.posterior.covariance, posterior.aggregate(weights).covariance)
    # Error of a posterior total = noise + smoothing; the smoothing through the totals, the patterns and the
    # rest.
    smooth = posterior.averaging_kernel(weights) - weights.toarray()
    smoothing = smooth @ made.problem.prior_error.matmul(np.ascontiguousarray(smooth.T))
    np.testing.assert_allclose(totals.noise + smoothing, totals.posterior.covariance, rtol=1e-6)
    halves = region_totals(posterior, world.weights(made, EDGES[[0, 3, 6]]))
    np.testing.assert_allclose(
        halves.posterior.mean.reshape(-1, 2).mean(axis=1), totals.posterior.mean, rtol=1e-9
    )


def test_an_unobserved_region_answers_to_nothing():
    world = make_world(observed="a")
    made = world.assemble(options(sector={"fossil": {"relative": 0.3}, "biosphere": {"prescribed": True}}))
    totals = region_totals(solve(made.problem), world.weights(made))
    response = np.diagonal(totals.kernel)
    assert response[0] > 0.3
    assert response[2] == pytest.approx(0.0, abs=1e-12)  # outside is seen by nobody
    assert totals.posterior.mean[2] == pytest.approx(totals.prior.mean[2])
    assert totals.posterior.covariance[2, 2] == pytest.approx(totals.prior.covariance[2, 2])


def test_the_difference_from_an_inventory_has_the_variance_it_claims(world, made):
    """Truth: the inventory's totals spread as the prior; everything else drawn from its prior error."""
    problem, weights = made.problem, world.weights(made)
    posterior = solve(problem)
    totals = region_totals(posterior, weights)
    state, rng = problem.state, np.random.default_rng(1)
    span = state.span("fossil")
    own = slice(0, 3)
    inventory = totals.prior.mean[own] * np.array([1.3, 0.8, 1.1])
    covariance = dict(zip(state.names, problem.prior_error.blocks, strict=True))
    u, g = weights.pattern.toarray(), weights.weights.toarray()
    draws = []
    for _ in range(4000):
        change = np.zeros(problem.n_state)
        for name in state.names:
            block = covariance[name]
            change[state.span(name)] = block.factor(rng.standard_normal(block.factor_size))
        f = change[span]
        change[span] = f - u[span, :3] @ (g[:3, span] @ f)  # inside regions only
        change += u[:, :3] @ (inventory - totals.prior.mean[own])
        noise = problem.observation_error.factor(rng.standard_normal(problem.observation_error.factor_size))
        draws.append(problem.forward(change) + noise)
    rows = posterior.gain_rows(weights.weights[:3])
    moved = np.array(draws) @ rows.T
    kernel = totals.kernel[own, own]
    delta = moved - kernel @ (inventory - totals.prior.mean[own])
    z = delta / np.sqrt(np.diagonal(totals.test)[own])
    assert np.abs(z.mean(axis=0)).max() < 0.06
    np.testing.assert_allclose(z.std(axis=0), 1.0, atol=0.04)
    whitened = np.linalg.solve(np.linalg.cholesky(totals.test[own, own]), delta.T)
    np.testing.assert_allclose(np.cov(whitened), np.eye(3), atol=0.08)


def test_test_covariance_is_its_parts(world, made):
    totals = region_totals(solve(made.problem), world.weights(made))
    rest = totals.test - totals.noise - totals.nuisance
    # what remains for fossil is the fossil pattern and the biosphere with its prior error
    assert np.linalg.eigvalsh(rest[:3, :3]).min() > 0
    assert not totals.test[:3, 3:].any()


def test_another_prior_is_no_difference_where_nobody_looks(world, made):
    """A member with another prior moves the posterior, but not what an inventory is tested by."""
    blind = made.problem.with_(observation_error=np.full(made.problem.n_obs, 1e12))
    weights = world.weights(made)
    one = region_totals(solve(blind), weights)
    other = region_totals(solve(blind.with_(prior=1.5 * np.asarray(blind.prior))), weights)
    inventory = one.prior.mean
    assert np.abs(other.posterior.mean - one.posterior.mean).max() > 0.4 * np.abs(inventory).max()
    apart = other.differences(inventory) - one.differences(inventory)
    assert np.abs(apart).max() < 1e-6 * np.abs(inventory).max()


def test_a_neighbours_inventory_is_no_part_of_a_difference(world, made):
    """Other regions stay at the prior; other periods of the same region do not."""
    totals = region_totals(solve(made.problem), world.weights(made, EDGES[[0, 3, 6]]))
    changed = totals.prior.mean.copy()
    changed[2:4] *= 1.5  # region b of the fossil sector, both periods
    moved = totals.differences(changed) - totals.differences(totals.prior.mean)
    own = np.zeros(len(changed), dtype=bool)
    own[2:4] = True
    assert not moved[~own].any()
    np.testing.assert_allclose(
        moved[own], -totals.kernel[2:4, 2:4] @ (changed - totals.prior.mean)[2:4], rtol=1e-9
    )


def test_spread_is_added_within_a_sector(world, made):
    totals = region_totals(solve(made.problem), world.weights(made))
    np.testing.assert_allclose(
        totals.differences(totals.prior.mean), totals.posterior.mean - totals.prior.mean, rtol=1e-12
    )
    more = totals.with_spread(np.ones_like(totals.test), np.full_like(totals.test, 2.0))
    np.testing.assert_allclose(more.posterior.covariance - totals.posterior.covariance, 1.0, atol=1e-3)
    np.testing.assert_allclose(more.test - totals.test, 2.0 * totals.same_sector, atol=1e-3)


def test_time_steps_by_sector(world):
    made = world.assemble(
        options(
            sector={
                "fossil": {"relative": 0.3, "step": "all"},
                "biosphere": {"sigma": 3e-7, "step": "1D"},
            }
        )
    )
    state = made.problem.state
    assert state.block("fossil").shape == (1, GRID.size)
    assert state.block("biosphere").shape == (6, GRID.size)
    np.testing.assert_allclose(
        (world.weights(made).weights @ world.weights(made).pattern).toarray(), np.eye(6), atol=1e-9
    )


def test_offsets_of_an_instrument(world):
    made = world.assemble(options(offset={"sigma": {"test_column": 1.0}}))
    state = made.problem.state
    assert state.block("offset").coords["source"].tolist() == ["test_column"]
    column = made.problem.jacobian[:, [state.span("offset").start]].toarray().ravel()
    assert (
        column.tolist()
        == (world.table["kind"].to_numpy(zero_copy_only=False) == "column").astype(float).tolist()
    )
    with pytest.raises(ConfigError, match="no observation is from 'test_colum'; nearest: 'test_column'"):
        world.assemble(options(offset={"sigma": {"test_colum": 1.0}}))


def test_a_platform_may_be_wrong_by_what_it_says_of_itself(world):
    """An error that all rows of a platform share adds s s' to the covariance of what was observed."""
    said = np.where(world.table["kind"].to_numpy(zero_copy_only=False) == "column", np.nan, 0.2)
    said[1] = 0.4  # rows may differ
    at = world.table.schema.get_field_index("uncertainty_systematic")
    table = world.table.set_column(at, "uncertainty_systematic", pa.array(said, from_pandas=True))
    stated = dataclasses.replace(world, table=table)
    with_it = stated.assemble().problem
    without = stated.assemble(options(offset={"systematic": False})).problem
    platform = table["platform"].to_numpy(zero_copy_only=False).astype(str)
    common = np.nan_to_num(np.outer(said, said)) * (platform[:, None] == platform)
    innovation = [p.jacobian @ p.prior_error.matmul(p.jacobian.toarray().T) for p in (with_it, without)]
    np.testing.assert_allclose(innovation[0] - innovation[1], common, atol=1e-9)
    assert without.n_state == world.assemble().problem.n_state
    # a source that is named has its own offset instead, once
    named = stated.assemble(options(offset={"sigma": {"test_point": 1.0}})).problem.state
    assert "systematic" not in named.names
    spread = [solve(p).variance()[: p.state.span("boundary").start] for p in (with_it, without)]
    assert (spread[0] > spread[1]).any()
    assert (spread[0] >= spread[1] * (1 - 1e-12)).all()


def test_observation_error_has_three_parts(world):
    plain = world.assemble(options(error=APART | {"point": 0.8, "column": 0.5, "monte_carlo": False})).problem
    kind = world.table["kind"].to_numpy(zero_copy_only=False)
    expected = 0.3**2 + np.where(kind == "point", 0.8, 0.5) ** 2
    np.testing.assert_allclose(plain.observation_error.diagonal(), expected)
    flux = 1e6 * sum(world.prior.flux.values()).ravel()
    sampled = expected + (world.jacobian.stderr.toarray().astype(float) ** 2) @ flux**2
    np.testing.assert_allclose(world.assemble().problem.observation_error.diagonal(), sampled, rtol=1e-6)
    one = world.assemble(
        options(error=APART | {"point": 0.8, "column": 0.5, "source": {"test_point": 2.0}})
    ).problem
    assert one.observation_error.diagonal()[1] == pytest.approx(sampled[1] + 4.0 - 0.64, rel=1e-6)
    tied = world.assemble(
        options(error=APART | {"point": 0.8, "column": 0.5, "correlation_hours": 6.0})
    ).problem
    assert isinstance(tied.observation_error, MarkovError)
    np.testing.assert_allclose(tied.observation_error.diagonal(), sampled, rtol=1e-6)
    full = tied.observation_error.dense()
    assert kind[[1, 5, 7]].tolist() == ["point"] * 3
    assert full[5, 7] == pytest.approx(0.64 * np.exp(-2 / 6))  # the same station two hours apart
    assert full[1, 4] == 0  # another station
    assert full[0, 6] == 0  # columns are not meant


def test_columns_of_an_orbit_share_their_model_error():
    import pyarrow as pa

    world = make_world()
    n = len(world.table)
    column = np.flatnonzero(world.table["kind"].to_numpy(zero_copy_only=False) == "column")
    time = np.array(world.table["time"].to_numpy())
    time[column] = EDGES[3] + np.arange(column.size) * np.timedelta64(10, "s")
    time[column[10:]] += np.timedelta64(100, "m")
    latitude = np.full(n, 32.0)
    latitude[column] = 30.0 + 0.1 * np.arange(column.size)
    names = world.table.column_names
    table = world.table.set_column(names.index("time"), "time", pa.array(time))
    table = table.set_column(names.index("latitude"), "latitude", pa.array(latitude))
    table = table.set_column(names.index("platform"), "platform", pa.array(np.full(n, "SAT")))
    from dataclasses import replace

    choice = options(
        error=APART | {"point": 0.8, "column": 0.5, "monte_carlo": False, "along_track_km": 50.0}
    )
    error = replace(world, table=table).assemble(choice).problem.observation_error.dense()
    assert error[column[0], column[1]] == pytest.approx(0.25 * np.exp(-11.12 / 50), rel=1e-3)
    assert error[column[0], column[12]] == 0  # the next orbit
    assert error[1, 2] == 0  # stations are not meant


def test_background_is_own_value_or_shares_times_inflow(world):
    from dataclasses import replace

    n = world.jacobian.obs_id.size
    own = np.full(n, np.nan)
    own[3] = 415.5
    column = world.jacobian.boundary * 0.9
    jacobian = replace(world.jacobian, background=own, fixed=np.full(n, 40.0), boundary=sp.csr_array(column))
    found = background(options().boundary, jacobian)
    assert found[3] == 415.5
    assert found[0] == pytest.approx(40.0 + 0.9 * BACKGROUND)
    with pytest.raises(ConfigError, match="59 of 60 footprints bring no background value"):
        background(options(boundary={}).boundary, jacobian)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"sector": {"fossil": {"relative": 0.3}}},
            r"sector 'biosphere' of the prior has no table \[invert.sector.biosphere\]",
        ),
        (
            {
                "sector": {
                    "fossil": {"relative": 0.3},
                    "biosphere": {"sigma": 1e-7},
                    "biospher": {"sigma": 1e-7},
                }
            },
            "the prior has no such sector; nearest: 'biosphere'",
        ),
        ({"error": {"point": 1.0}}, "set invert.error.column"),
        ({"error": {"point": 1.0, "column": 1.0, "source": {"x": 1.0}}}, "no observation is from 'x'"),
        (
            {
                "sector": {"fossil": {"prescribed": True}, "biosphere": {"prescribed": True}},
                "boundary": {"background": 400.0},
            },
            "nothing to solve",
        ),
        ({"step": "1h"}, "finer than the footprints' flux bins"),
    ],
)
def test_faults_are_named(world, changes, text):
    with pytest.raises(ConfigError, match=text):
        world.assemble(options(**changes))


def test_a_prior_of_zeros_is_refused(world):
    from dataclasses import replace

    empty = replace(world.prior, flux=world.prior.flux | {"fossil": np.zeros((6, GRID.size))})
    with pytest.raises(
        ConfigError, match=r"\[invert.sector.fossil\] a relative error of a prior that is zero everywhere"
    ):
        replace(world, prior=empty).assemble(
            options(sector={"fossil": {"relative": 1.0}, "biosphere": {"prescribed": True}})
        )


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"store": "s"}, "footprints, prior missing"),
        ({"sector": {"x": {}}, "store": "s", "footprints": "f", "prior": "p"}, "give relative"),
        (
            {"sector": {"x": {"relative": 1, "sigma": 1}}, "store": "s", "footprints": "f", "prior": "p"},
            "not both",
        ),
        ({"sector": {"x": {"relative": 1, "prescribed": True}}}, "prescribed sector has no error"),
        ({"boundary": {"sigma": -1}}, "not negative"),
        ({"boundary": {"sgma": 1}}, "unknown key 'boundary.sgma'; nearest: 'sigma'"),
    ],
)
def test_options_are_checked(table, text):
    with pytest.raises(ConfigError, match=text):
        validate(InvertOptions, table)


def test_matching_says_what_is_left_out(world):
    ids = np.append(world.jacobian.obs_id[:50], "test:none")
    used, counts = match_observations(world.table, ids)
    assert len(used) == 50
    assert counts == {
        "used": 50,
        "flagged": 0,
        "without_uncertainty": 0,
        "without_footprint": 10,
        "footprints_without_observation": 1,
    }
    with pytest.raises(SchemaError, match="no observation is left to invert: 60 in the store, 1 footprints"):
        match_observations(world.table, np.array(["nothing"]))
    import pyarrow as pa

    with pytest.raises(SchemaError, match="60 observations stand in the store more than once"):
        match_observations(pa.concat_tables([world.table] * 2), ids)
    column = world.table.schema.get_field_index("quality")
    elsewhere = pa.array(np.full(60, Quality.ELSEWHERE, np.uint32))  # the same hours of another file
    other = world.table.set_column(column, world.table.schema.field(column), elsewhere)
    assert match_observations(pa.concat_tables([other, world.table]), ids)[1] == counts


def test_time_bins_are_what_their_flux_bins_cover():
    bins = state_bins(EDGES, "4D")
    assert bins.edges.tolist() == EDGES[[0, 4, 6]].tolist()
    assert bins.of_flux.tolist() == [0, 0, 0, 0, 1, 1]
    np.testing.assert_allclose(bins.mean.toarray() @ np.arange(6.0), [1.5, 4.5])
    assert state_bins(EDGES, "all").size == 1


def test_prior_times_are_averaged_over_bins():
    day = np.timedelta64(1, "D")
    source = np.stack([EDGES[0] + 2 * day * np.arange(3), EDGES[0] + 2 * day * np.arange(1, 4)], axis=1)
    np.testing.assert_allclose(bin_matrix(source, EDGES) @ np.arange(3.0), [0, 0, 1, 1, 2, 2])
    np.testing.assert_allclose(bin_matrix(source, EDGES[[0, 3, 6]]) @ np.arange(3.0), [1 / 3, 5 / 3])
    np.testing.assert_allclose(bin_matrix(source[:1], EDGES) @ np.ones(1), 1.0)
    with pytest.raises(
        ConfigError, match=r"the prior flux covers 0% of 2019-01-05T00:00 .* \(2 bins short\)"
    ):
        bin_matrix(source[:2], EDGES)


def test_profiles_keep_the_mean():
    bins = state_bins(EDGES, "3D")
    prior = np.random.default_rng(0).random((6, 4)) + 0.1
    for profile in ("prior", "flat"):
        spread = flux_operator(bins, prior, profile) @ np.arange(8.0)
        np.testing.assert_allclose((bins.mean @ spread.reshape(6, 4)).ravel(), np.arange(8.0), rtol=1e-12)
    np.testing.assert_allclose(
        flux_operator(bins, prior, "prior") @ (bins.mean @ prior).ravel(), prior.ravel(), rtol=1e-12
    )
    swinging = np.array([[1.0], [-1.0], [1e-5], [1.0], [1.0], [1.0]])
    with pytest.raises(SolverError, match="changes sign within a time bin"):
        flux_operator(bins, swinging, "prior")


def test_regions_are_the_rows(world, made):
    w = world.weights(made)
    assert w.shape == (2, 3, 1)
    assert w.region == REGIONS
    assert isinstance(made.problem.prior_error, BlockDiagonalCovariance)
    assert w.sector_of.tolist() == [0, 0, 0, 1, 1, 1]
