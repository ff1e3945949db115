"""Errors that many observations share: as unknowns they are what they are in R, and averaging leaves them."""

import numpy as np
import pyarrow as pa
import pytest

from inversion import solve
from inversion.case.blocks.model_error import error_parts
from inversion.case.blocks.shared_errors import (
    OVERPASS,
    PARTICLES,
    PATTERN,
    SYSTEMATIC,
    shared_blocks,
    shared_notes,
)
from inversion.case.options import ErrorOptions, OffsetOptions
from inversion.operators.covariance import BlockDiagonalCovariance
from inversion.operators.kernels import chord_km
from inversion.problem.problem import Problem
from obsnet.config import validate
from obsnet.constants import species
from obsnet.errors import ConfigError
from tests.inversion.world import APART, make_world, options

CO2 = species("CO2")
DAY = np.timedelta64(86_400_000_000, "us")


def soundings(n=60, *, systematic=0.5, kind="column", sources=1, platforms=1, seed=0):
    rng = np.random.default_rng(seed)
    which = np.arange(n)
    return pa.table(
        {
            "source": [f"s{i % sources}" for i in which],
            "platform": [f"p{i % platforms}" for i in which],
            "kind": [kind] * n,
            # ten soundings an overpass, an overpass a day
            "time": np.datetime64("2023-01-01T05", "us")
            + (which // 10) * DAY
            + which * np.timedelta64(1, "s"),
            "latitude": 25.0 + 20.0 * rng.random(n),
            "longitude": 90.0 + 40.0 * rng.random(n),
            "uncertainty": np.full(n, 0.6),
            "uncertainty_systematic": np.full(n, systematic),
        }
    )


def covariance(table, error, offset):
    """Return all errors of the observations as a matrix: R, and what stands in the state."""
    parts = error_parts(error, table)
    whole = parts.covariance().dense()
    for block in shared_blocks(offset, parts, table, CO2):
        p = block.matrix.toarray()
        whole = whole + p @ block.error.dense() @ p.T
    return whole


def test_an_overpass_shares_its_part_of_the_model_error():
    table = soundings(systematic=0.0)
    error = ErrorOptions(column=0.7, along_track_km=0.0, overpass_share=0.3)
    found = covariance(table, error, OffsetOptions())
    same = np.arange(60)[:, None] // 10 == np.arange(60) // 10
    expected = 0.49 * (0.3 * same + 0.7 * np.eye(60)) + 0.36 * np.eye(60)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_patterns_are_alike_nearby_and_of_the_stated_size():
    table = soundings(n=300)
    found = covariance(table, ErrorOptions(column=0.7, **APART), OffsetOptions(pattern_km=2000.0)) - np.diag(
        np.full(300, 0.36 + 0.49)
    )
    np.testing.assert_allclose(np.diagonal(found), 0.25, rtol=1e-12)
    lat, lon = (table[n].to_numpy() for n in ("latitude", "longitude"))
    expected = 0.25 * np.exp(-chord_km(lat, lon) / 2000.0)
    # cells of a quarter of the length stand for points
    assert np.abs(found - expected).max() < 0.25 * 0.3
    assert np.abs(found - expected).mean() < 0.25 * 0.06


def test_the_source_has_the_pattern_whatever_the_satellite():
    """Three satellites of one instrument see one pattern; two instruments two."""
    three = soundings(n=90, platforms=3)
    parts = error_parts(ErrorOptions(column=0.7), three)
    (pattern,) = [b for b in shared_blocks(OffsetOptions(), parts, three, CO2) if b.block.name == PATTERN]
    assert pattern.block.coords["source"].tolist() == ["s0"]
    two = soundings(n=90, sources=2)
    (pattern,) = [
        b
        for b in shared_blocks(OffsetOptions(), error_parts(ErrorOptions(column=0.7), two), two, CO2)
        if b.block.name == PATTERN
    ]
    c = pattern.error.dense()
    half = c.shape[0] // 2
    assert not c[:half, half:].any()


@pytest.mark.parametrize("n", [10, 1000])
def test_a_systematic_error_does_not_average_away(n):
    """A weekly mean of a station: 3.04 ppm stays 3.04, however many days."""
    table = soundings(n=n, kind="point", systematic=3.0)
    whole = covariance(table, ErrorOptions(point=0.1, **APART), OffsetOptions())
    assert np.sqrt(whole.mean()) == pytest.approx(np.hypot(3.0, np.hypot(0.6, 0.1) / np.sqrt(n)), rel=1e-9)


def test_more_satellites_of_one_instrument_teach_no_more_than_its_pattern_lets_them():
    """The mean over a region: with a common pattern the error has a floor, independent errors do not."""
    free, tied = [], []
    for platforms in (1, 3, 9):
        table = soundings(n=200 * platforms, platforms=platforms, seed=platforms)
        error = ErrorOptions(column=0.7, **APART)
        for found, chosen in ((free, OffsetOptions(systematic=False)), (tied, OffsetOptions())):
            whole = covariance(table, error, chosen)
            n = len(table)
            x = np.ones((n, 1))
            found.append(float(1.0 / np.sqrt(x.T @ np.linalg.solve(whole, x))[0, 0]))
    np.testing.assert_allclose(np.array(free) / free[0], [1.0, 3.0**-0.5, 1.0 / 3.0], rtol=1e-6)
    assert tied[2] > 0.85 * tied[0]
    assert tied[0] > 3.0 * free[0]


def test_the_unknowns_are_in_the_problem_and_give_the_answer_of_a_full_r():
    made = make_world(n=60)
    choice = options(error={"point": 0.8, "column": 0.5, "correlation_hours": 6.0, "overpass_share": 0.4})
    with_unknowns = made.assemble(choice)
    apart = made.assemble(
        options(error={"point": 0.8, "column": 0.5, "correlation_hours": 6.0, "overpass_share": 0.0})
    )
    assert OVERPASS in with_unknowns.problem.state.names
    assert OVERPASS not in apart.problem.state.names
    # R of the full problem: what the unknowns stand for, added to their own R
    state = with_unknowns.problem.state
    span = state.span(OVERPASS)
    p = with_unknowns.problem.jacobian[:, span].toarray()
    r = with_unknowns.problem.observation_error.dense()
    block = dict(zip(state.names, with_unknowns.problem.prior_error.blocks, strict=True))[OVERPASS]
    full = apart.problem.with_(observation_error=r + p @ block.dense() @ p.T)
    a, b = solve(with_unknowns.problem), solve(full)
    keep = [n for n in state.names if n != OVERPASS]
    for name in keep:
        np.testing.assert_allclose(
            a.mean[state.span(name)], b.mean[apart.problem.state.span(name)], rtol=1e-8, atol=1e-12
        )
    columns = np.array(made.table["kind"].to_pylist()) == "column"
    np.testing.assert_allclose(
        np.diagonal(full.observation_error.dense())[columns], 0.09 + 0.25 + 0.0, atol=0.3
    )


def known_by(length, every, hours, days=168):
    """Return how well a constant is known by means over `length` of one station, one each `every`."""
    start = np.datetime64("2023-01-01T06", "us") + np.arange(round(days * DAY / every)) * every
    n = start.size
    table = pa.table(
        {
            "source": ["s"] * n,
            "platform": ["WLG"] * n,
            "kind": ["point"] * n,
            "time": start + length // 2,
            "time_start": start,
            "time_end": start + length,
            "latitude": np.full(n, 36.0),
            "longitude": np.full(n, 101.0),
            "uncertainty": np.full(n, 0.01),
        }
    )
    parts = error_parts(ErrorOptions(point=3.0, correlation_hours=hours), table)
    problem = Problem(np.ones((n, 1)), np.zeros(n), parts.covariance(), [0.0], [1e6])
    return float(np.sqrt(solve(problem).variance()[0]))


@pytest.mark.parametrize("hours", [24.0, 84.0, 240.0])
def test_a_station_is_worth_the_same_however_it_is_written(hours):
    """Hours, afternoons, days, weeks or fortnights: the memory of the model error makes one answer of them."""
    hour = np.timedelta64(3_600_000_000, "us")
    # n independent numbers of a process with memory m in a time T: 1 + T / 2m
    expected = 3.0 / np.sqrt(1.0 + 168 * 24 / (2 * hours))
    written = [(hour, hour), (hour, DAY), *((d * DAY, d * DAY) for d in (1, 3, 7, 14))]
    for length, every in written:
        rel = 0.05 if every > length and hours < 48 else 0.025  # afternoons miss what lies between them
        assert known_by(length, every, hours) == pytest.approx(expected, rel=rel)


def test_without_a_memory_weeks_are_worth_less_than_days():
    day, week = (known_by(k * DAY, k * DAY, 0.0) for k in (1, 7))
    assert week == pytest.approx(np.sqrt(7.0) * day, rel=1e-6)  # as it was


def test_what_was_chosen_is_said():
    table = soundings()
    error = ErrorOptions(column=0.7, overpass_share=0.5)
    said = error_parts(error, table).notes
    assert said[0].startswith("error.along_track_km = 20, not stated: by default that of OCO-2")
    assert said[1:] == ("error.overpass_share = 0.5, as stated",)
    data = make_world().assemble(options(error={"point": 0.8, "column": 0.5}))
    assert len(data.errors.notes) == 3


def test_the_length_of_a_pattern_is_said_where_there_is_one():
    table = soundings()
    blocks = shared_blocks(OffsetOptions(), error_parts(ErrorOptions(column=0.7), table), table, CO2)
    (said,) = shared_notes(OffsetOptions(), blocks)
    assert said.startswith("offset.pattern_km = 1000, not stated: assumed")
    assert shared_notes(OffsetOptions(pattern_km=500.0), blocks) == ()
    assert shared_notes(OffsetOptions(), []) == ()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"overpass_share": 1.0}, "overpass_share"),
        ({"correlation_hours": -1.0}, "correlation_hours"),
    ],
)
def test_shares_and_lengths_have_bounds(table, message):
    with pytest.raises(ConfigError, match=message):
        validate(ErrorOptions, table)


def test_patterns_of_nobody_are_refused():
    table = soundings(systematic=0.0)
    parts = error_parts(ErrorOptions(column=0.7), table)
    with pytest.raises(ConfigError, match=r"\[invert.offset.pattern\] no column is from 's1'; nearest: 's0'"):
        shared_blocks(OffsetOptions(pattern={"s1": 0.5}), parts, table, CO2)
    found = shared_blocks(OffsetOptions(pattern={"s0": 0.5}), parts, table, CO2)
    assert [b.block.name for b in found] == [PATTERN, OVERPASS]


def test_a_prior_of_unknowns_is_block_diagonal():
    table = soundings(kind="point")
    found = shared_blocks(OffsetOptions(), error_parts(ErrorOptions(point=1.0), table), table, CO2)
    assert [b.block.name for b in found] == [SYSTEMATIC]
    assert BlockDiagonalCovariance([b.error for b in found]).size == 1


def test_columns_of_the_same_particles_err_alike():
    """Sampling error of a shared cell is one draw: in full R it is common to its columns, and alone it is one's own."""
    table = soundings(n=6, systematic=0.0)
    sampling = np.array([0.04, 0.09, 0.04, 0.01, 0.25, 0.16])
    error = ErrorOptions(column=0.7, along_track_km=0.0, overpass_share=0.0)
    apart = error_parts(error, table, sampling)
    assert not apart.sampled.any()
    np.testing.assert_allclose(apart.own, 0.36 + sampling)
    named = table.append_column("particles_of", pa.array(["a", "a", "a", "b", "c", "c"]))
    parts = error_parts(error, named, sampling)
    np.testing.assert_allclose(parts.own, 0.36 + np.where(np.arange(6) == 3, sampling, 0.0))
    assert any("sampling error of 5 columns: one for each of 2 cells" in note for note in parts.notes)
    (block,) = shared_blocks(OffsetOptions(), parts, named, CO2)
    assert block.block.name == PARTICLES
    p = block.matrix.toarray()
    found = parts.covariance().dense() + p @ block.error.dense() @ p.T
    size = np.sqrt(sampling)
    same = np.array(["aaabcc"[i] == "aaabcc"[j] for i in range(6) for j in range(6)]).reshape(6, 6)
    np.testing.assert_allclose(found, (0.49 + 0.36) * np.eye(6) + same * np.outer(size, size), rtol=1e-9)
    kept = parts.select(np.array([0, 1]))
    assert kept.swarm.tolist() == ["a", "a"]
