"""Groups: weights that are weights, windows, classes, gaps, and the order that must not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import ConfigError, SchemaError
from obsnet.grid import Grid
from obsnet.sphere import unit_vectors
from retrieval.superobs.along_track import along_track_groups
from retrieval.superobs.groups import Groups, area_groups, circle_corners, group_mean
from retrieval.superobs.polygon_overlap import overlap

GRID = Grid.regular(29, 35, 109, 112, 0.5, 0.5)
ZERO = np.datetime64("2020-06-01T00:00:00", "us")


def swath(seed, n=120):
    rng = np.random.default_rng(seed)
    lat, lon = rng.uniform(29.2, 34.8, n), rng.uniform(109.2, 111.8, n)
    half = rng.uniform(0.02, 0.2, n)[:, None]
    corners = lat[:, None] + half * [-1, -1, 1, 1], lon[:, None] + half * [-1, 1, 1, -1]
    time = ZERO + np.round(rng.uniform(0, 7200, n) * 1e6).astype("timedelta64[us]")
    return *corners, time, rng.integers(0, 3, n)


def track(seed, n=120, seconds=40):
    rng = np.random.default_rng(seed)
    when = rng.uniform(0, seconds, n)
    time = ZERO + np.round(when * 1e6).astype("timedelta64[us]")
    return time, 30 + when * 0.06, 110 + rng.uniform(0, 0.1, n), rng.integers(0, 2, n)


def as_sets(groups, rows=None):
    """Return each group as {row: weight}, keyed so that order does not matter."""
    rows = groups.row if rows is None else rows[groups.row]
    return {
        (w, c, p): dict(zip(rows[a:b].tolist(), groups.weight[a:b].tolist(), strict=True))
        for w, c, p, a, b in zip(
            groups.window.tolist(),
            groups.cell.tolist(),
            groups.part.tolist(),
            groups.offsets[:-1],
            groups.offsets[1:],
            strict=True,
        )
    }


@given(st.integers(0, 10**6), st.sampled_from(["share", "area"]))
def test_area_weights_are_weights(seed, weighting):
    groups = area_groups(*swath(seed), GRID, weighting=weighting)
    assert (groups.weight >= 0).all()
    np.testing.assert_allclose(np.add.reduceat(groups.weight, groups.offsets[:-1]), 1, atol=1e-12)
    assert ((groups.coverage > 0) & (groups.coverage <= 1)).all()
    assert (groups.effective_size <= groups.size + 1e-9).all()


@given(st.integers(0, 10**6))
def test_pixel_shares_add_up_over_cells(seed):
    """Every pixel inside the grid gives itself away exactly once."""
    groups = area_groups(*swath(seed), GRID)
    given_away = np.bincount(groups.row, groups.weight * np.repeat(groups.total, groups.size))
    np.testing.assert_allclose(given_away, 1, rtol=1e-9)
    assert groups.soundings.sum() == pytest.approx(len(given_away), rel=1e-9)


@given(st.integers(0, 10**6))
def test_area_groups_never_mix_classes_windows_or_cells(seed):
    lat, lon, time, kind = swath(seed)
    groups = area_groups(lat, lon, time, kind, GRID, window_s=600)
    label = np.repeat(np.arange(len(groups)), groups.size)
    for g in range(len(groups)):
        rows = groups.row[label == g]
        assert len(set(kind[rows])) == 1
        assert (time[rows] >= groups.window[g]).all()
        assert (time[rows] < groups.window[g] + np.timedelta64(600, "s")).all()
    names = list(zip(groups.window.tolist(), groups.cell.tolist(), groups.part.tolist(), strict=True))
    assert len(set(names)) == len(names)


@given(st.integers(0, 10**6))
def test_order_of_rows_does_not_matter(seed):
    order = np.random.default_rng(seed).permutation(120)
    lat, lon, time, kind = swath(seed)
    same = area_groups(lat[order], lon[order], time[order], kind[order], GRID)
    for one, two in zip(
        as_sets(area_groups(lat, lon, time, kind, GRID)).items(), as_sets(same, order).items(), strict=True
    ):
        assert one[0] == two[0]
        assert one[1] == pytest.approx(two[1], rel=1e-12)
    parts = track(seed)
    for length in (None, 20.0):
        one = as_sets(along_track_groups(*parts, length_km=length))
        two = as_sets(along_track_groups(*(x[order] for x in parts), length_km=length), order)
        assert one == two  # to the last bit


@given(st.integers(0, 10**6))
def test_merging_two_halves_is_the_whole(seed):
    """(total weight, mean) of disjoint halves of the soundings combine to those of all."""
    lat, lon, time, kind = swath(seed)
    value = np.random.default_rng(seed).normal(400, 5, len(kind))
    half = np.random.default_rng(seed + 1).random(len(kind)) < 0.5
    total, product = {}, {}
    for rows in (np.flatnonzero(half), np.flatnonzero(~half)):
        groups = area_groups(lat[rows], lon[rows], time[rows], kind[rows], GRID)
        for key, w, y in zip(as_sets(groups), groups.total, group_mean(value[rows], groups), strict=True):
            total[key] = total.get(key, 0) + w
            product[key] = product.get(key, 0) + w * y
    whole = area_groups(lat, lon, time, kind, GRID)
    assert set(as_sets(whole)) == set(total)
    for key, w, y in zip(as_sets(whole), whole.total, group_mean(value, whole), strict=True):
        assert w == pytest.approx(total[key], rel=1e-9)
        assert y == pytest.approx(product[key] / total[key], rel=1e-12)


@given(st.integers(0, 10**6))
def test_work_cut_at_window_edges_gives_the_same(seed):
    parts = track(seed)
    late = parts[0] >= ZERO + np.timedelta64(20, "s")
    whole = as_sets(along_track_groups(*parts, length_km=20.0))
    cut = {}
    for rows in (np.flatnonzero(late), np.flatnonzero(~late)):
        cut |= as_sets(along_track_groups(*(x[rows] for x in parts), length_km=20.0), rows)
    assert cut == whole
    lat, lon, time, kind = swath(seed)
    late = time >= ZERO + np.timedelta64(3600, "s")
    cut = {}
    for rows in (np.flatnonzero(late), np.flatnonzero(~late)):
        cut |= as_sets(area_groups(lat[rows], lon[rows], time[rows], kind[rows], GRID), rows)
    assert cut == as_sets(area_groups(lat, lon, time, kind, GRID))


@given(st.integers(0, 10**6), st.sampled_from([None, 20.0]), st.sampled_from([1.5, 3.0]))
def test_along_track_groups_never_straddle(seed, length, gap):
    time, lat, lon, kind = track(seed, n=60)
    groups = along_track_groups(time, lat, lon, kind, length_km=length, max_gap_s=gap)
    assert sorted(groups.row) == list(range(60))
    seconds = (time - ZERO) / np.timedelta64(1, "s")
    for a, b in zip(groups.offsets[:-1], groups.offsets[1:], strict=True):
        rows = groups.row[a:b]
        assert len(set(kind[rows])) == 1
        assert len(set(seconds[rows] // 10)) == 1
        assert (np.diff(seconds[rows]) <= gap).all()
        assert (groups.weight[a:b] > 0).all()
        assert groups.weight[a:b].sum() == pytest.approx(1, abs=1e-12)


def test_seconds_count_alike_however_many_soundings_they_have():
    """24 soundings in the first second, one in the second: 1/48 each and 1/2."""
    time = ZERO + np.append(np.full(24, 100_000), 1_500_000).astype("timedelta64[us]")
    groups = along_track_groups(time, np.full(25, 30.0), np.linspace(110, 110.1, 25), np.zeros(25, int))
    assert len(groups) == 1
    np.testing.assert_allclose(np.sort(groups.weight), np.append(np.full(24, 1 / 48), 0.5))
    assert groups.coverage[0] == pytest.approx(0.2)


def test_a_strait_does_not_join_its_shores():
    """Land, five seconds of sea, land, all in one window: three groups."""
    second = np.arange(0.5, 10)
    kind = np.array([0, 0, 0, 1, 1, 1, 1, 1, 0, 0])
    time = ZERO + (second * 1e6).astype("timedelta64[us]")
    groups = along_track_groups(time, 30 + second * 0.06, np.full(10, 110.0), kind)
    assert sorted(groups.size.tolist()) == [2, 3, 5]


def test_a_jump_in_space_ends_a_group():
    """GOSAT's points lie 150 km apart, seconds after each other: no mean of two places."""
    time = ZERO + (np.array([1.0, 2.0, 3.0]) * 1e6).astype("timedelta64[us]")
    lon = np.array([110.0, 110.1, 111.8])
    groups = along_track_groups(time, np.full(3, 30.0), lon, np.zeros(3, int))
    assert groups.size.tolist() == [2, 1]
    wide = along_track_groups(time, np.full(3, 30.0), lon, np.zeros(3, int), max_gap_km=200.0)
    assert wide.size.tolist() == [3]


def test_windows_are_those_of_sounding_identifiers():
    """Ten-second windows are floor(t / 10 s): the digit of tens of seconds in YYYYMMDDhhmmss."""
    time = ZERO + np.array([9_999_999, 10_000_000]).astype("timedelta64[us]")
    groups = along_track_groups(time, np.array([30.0, 30.0]), np.array([110.0, 110.0]), np.zeros(2, int))
    assert groups.window.astype(str).tolist() == ["2020-06-01T00:00:00.000000", "2020-06-01T00:00:10.000000"]


def test_exponential_weights_favour_lone_seconds():
    second = np.array([0.5, 1.5, 2.5, 5.5])
    time = ZERO + (second * 1e6).astype("timedelta64[us]")
    groups = along_track_groups(
        time, 30 + second * 0.0607, np.full(4, 110.0), np.zeros(4, int), length_km=20.0
    )
    assert groups.weight[3] == groups.weight.max()
    assert groups.weight[1] == groups.weight.min()


def test_left_out_and_unplaced():
    time, lat, lon, kind = track(1, n=10)
    lat = lat.copy()
    lat[3] = np.nan
    kind = np.where(np.arange(10) == 5, -1, kind)
    groups = along_track_groups(time, lat, lon, kind)
    assert set(range(10)) - set(groups.row) == {3, 5}
    assert groups.problems == {"without time or place": 1}
    none = along_track_groups(time[:0], lat[:0], lon[:0], kind[:0])
    assert len(none) == 0
    assert len(none.effective_size) == 0


def test_area_counts_what_it_could_not_use():
    lat, lon, time, kind = swath(3, n=6)
    lat[0] += 40
    lon[1] = np.nan
    groups = area_groups(lat, lon, time, kind, GRID)
    assert groups.problems["outside the grid"] == 1
    assert groups.problems["corners missing"] == 1
    assert len(area_groups(lat[:0], lon[:0], time[:0], kind[:0], GRID)) == 0


def test_full_cover():
    """A cell tiled by its pixels is covered once, whatever the pixels' sizes."""
    edges = np.linspace(30, 30.5, 6)
    south, west = (x.ravel() for x in np.meshgrid(edges[:-1], edges[:-1] + 80, indexing="ij"))
    lat = south[:, None] + 0.1 * np.array([0, 0, 1, 1])
    lon = west[:, None] + 0.1 * np.array([0, 1, 1, 0])
    groups = area_groups(lat, lon, np.full(25, ZERO), np.zeros(25), GRID)
    assert len(groups) == 1
    assert groups.coverage[0] == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(groups.weight, 0.04, rtol=1e-9)
    area = area_groups(lat, lon, np.full(25, ZERO), np.zeros(25), GRID, weighting="area")
    pixel = overlap(lat, lon, GRID).pixel_area
    np.testing.assert_allclose(area.weight, pixel / pixel.sum(), rtol=1e-9)


def test_round_footprints():
    lat, lon = circle_corners([0.0, 45.0, -70.0], [179.99, 100.0, 10.0], 10.5)
    np.testing.assert_allclose(overlap(lat, lon, GRID).pixel_area / 1e6, np.pi * 10.5**2 / 4, rtol=2e-3)


def test_group_mean_of_profiles():
    groups = Groups(
        np.array([0, 2, 3]),
        np.array([0, 2, 1]),
        np.array([0.25, 0.75, 1.0]),
        np.ones(2),
        np.ones(2),
        np.ones(2),
        np.full(2, ZERO),
        np.array([-1, -1]),
        np.array([0, 0]),
    )
    np.testing.assert_allclose(group_mean([[1.0, 2], [5, 6], [3, 4]], groups), [[2.5, 3.5], [5, 6]])
    np.testing.assert_allclose(group_mean([1.0, 5, 3], groups), [2.5, 5])
    assert len(groups.at_least(2)) == 1
    assert groups.at_least(1) is groups
    np.testing.assert_allclose(np.linalg.norm(unit_vectors([10.0, -80], [0, 300]), axis=1), 1)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: along_track_groups(*track(0), inner_s=3.0), ConfigError, "not a whole number"),
        (lambda: along_track_groups(*track(0), window_s=0.0), ConfigError, "not a whole number"),
        (lambda: area_groups(*swath(0), GRID, weighting="n"), ConfigError, "'share' or 'area'"),
        (lambda: area_groups(*swath(0), GRID, window_s=0.0), ConfigError, "time window must be positive"),
        (lambda: circle_corners([0.0], [0.0], 0.0), ConfigError, "diameter must be positive"),
        (
            lambda: Groups(
                *(np.array(x) for x in ([0, 1], [0], [-1.0], [1.0], [1.0], [1.0], [ZERO], [0], [0]))
            ),
            SchemaError,
            "must not be negative",
        ),
        (
            lambda: Groups(
                *(np.array(x) for x in ([0, 1], [0], [0.5], [1.0], [1.0], [1.0], [ZERO], [0], [0]))
            ),
            SchemaError,
            "must sum to one",
        ),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()
