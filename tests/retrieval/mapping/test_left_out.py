"""Bin means judged by their own soundings: by hand, against the plain definition, and honest on made-up fields."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.grid import Grid
from retrieval.mapping.crossvalidation import scores
from retrieval.mapping.gridding import Soundings, accumulate, bin_statistics, cell_numbers, empty_bins
from retrieval.mapping.left_out import field_variance, leave_one_out

GRID = Grid.regular(20, 30, 100, 110, 1, 1)
EDGES = np.array(["2020-06-01", "2020-06-02", "2020-06-03"], "datetime64[us]")


def draw(n, seed=0, *, grid=GRID, field=1.0, sigma=(0.4, 0.9), r=0.0):
    """Soundings of a field that varies inside cells, errors with a part that a cell shares."""
    rng = np.random.default_rng(seed)
    time = EDGES[0] + rng.integers(0, 2 * 86_400_000_000, n).astype("timedelta64[us]")
    lat, lon = rng.uniform(20, 30, n), rng.uniform(100, 110, n)
    s = rng.uniform(*sigma, n)
    places = Soundings(time, lat, lon, np.zeros(n), s)
    cell = cell_numbers(empty_bins(grid, EDGES, species="CO2"), places)
    shared = rng.normal(size=2 * grid.size)[cell]
    error = s * (np.sqrt(r) * shared + np.sqrt(1 - r) * rng.normal(size=n))
    level = rng.normal(size=2 * grid.size)[cell]
    return Soundings(time, lat, lon, 410 + level + field * rng.normal(size=n) + error, s), cell


def sums(soundings, grid=GRID):
    return accumulate(empty_bins(grid, EDGES, species="CO2"), **vars(soundings))


def plainly(soundings, cell, *, r, field):
    """What `leave_one_out` should say, one sounding at a time."""
    mean, sd = np.full(len(cell), np.nan), np.full(len(cell), np.nan)
    for k in range(len(cell)):
        others = np.flatnonzero((cell == cell[k]) & (np.arange(len(cell)) != k))
        if len(others) == 0:
            continue
        mean[k] = soundings.value[others].mean()
        s = soundings.uncertainty[[k, *others]]
        weight = np.append(1.0, np.full(len(others), -1 / len(others)))
        error = np.outer(s, s) * (r + (1 - r) * np.eye(len(s)))
        sd[k] = np.sqrt(weight @ error @ weight + field * np.sum(weight**2))
    return scores(soundings.value, mean, sd)


@given(st.integers(0, 10**6), st.integers(1, 60), st.sampled_from([0.0, 0.3, 1.0]), st.integers(1, 4))
def test_the_plain_definition_in_any_batches(seed, n, r, batches):
    coarse = Grid.regular(20, 30, 100, 110, 5, 5)
    made, cell = draw(n, seed, grid=coarse, r=0.2)
    bins = sums(made, coarse)
    cuts = [Soundings(*(x[k::batches] for x in vars(made).values())) for k in range(batches)]
    found = leave_one_out(bins, cuts, r=r).to_dict()
    expected = plainly(made, cell, r=r, field=field_variance(bins, r=r)).to_dict()
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True)


def test_three_soundings_by_hand():
    time = np.full(4, EDGES[0])
    made = Soundings(
        time,
        np.array([20.5, 20.5, 20.5, 28.5]),
        np.full(4, 100.5),
        np.array([400.0, 402, 404, 9]),
        np.ones(4),
    )
    bins = sums(made)
    # sum of squares 8 = 2 field + 2/3 * 3
    assert field_variance(bins) == pytest.approx(3)
    assert field_variance(bins, r=1.0) == pytest.approx(4)
    found = leave_one_out(bins, [made])
    assert (found.n, found.missing) == (3, 1)
    assert found.rmse == pytest.approx(np.sqrt((9 + 0 + 9) / 3))
    assert found.coverage95 == 1  # 3 within 1.96 sqrt(3 * 1.5 + 0.5 + 1)


@pytest.mark.parametrize("r", [0.0, 0.5])
@pytest.mark.parametrize("field", [0.0, 1.0])
def test_the_95_percent_range_is_honest(r, field):
    made, _ = draw(20000, 3, field=field, r=r)
    bins = sums(made)
    assert field_variance(bins, r=r) == pytest.approx(field, abs=0.05)
    found = leave_one_out(bins, [made], r=r)
    assert found.coverage95 == pytest.approx(0.95, abs=0.01)
    assert found.score_sd == pytest.approx(1, abs=0.02)
    assert found.bias == pytest.approx(0, abs=1e-6)


def test_uncertainties_that_are_far_too_large_are_seen():
    made, _ = draw(20000, 4, field=0.0)
    claimed = Soundings(made.time, made.latitude, made.longitude, made.value, 3 * made.uncertainty)
    found = leave_one_out(sums(claimed), [claimed])
    assert found.coverage95 > 0.99
    assert found.score_sd == pytest.approx(1 / 3, abs=0.02)


def test_slivers_with_huge_errors_do_not_hide_the_field():
    made, cell = draw(20000, 5, field=1.0)
    claimed = np.where(cell % 5 == 0, 60.0, made.uncertainty)  # they are better than they say
    told = Soundings(made.time, made.latitude, made.longitude, made.value, claimed)
    assert field_variance(sums(told)) == pytest.approx(1.0, abs=0.1)


def test_without_uncertainties_there_is_no_range():
    made, _ = draw(50, 6, grid=Grid.regular(20, 30, 100, 110, 10, 10))
    told = Soundings(made.time, made.latitude, made.longitude, made.value, np.full(50, np.nan))
    found = leave_one_out(sums(told), [told])
    assert np.isnan(found.coverage95)
    assert found.rmse > 0


@given(st.integers(0, 10**6))
def test_cells_are_those_that_sums_go_to(seed):
    made, _ = draw(200, seed)
    rng = np.random.default_rng(seed)
    strange = np.where(rng.random(200) < 0.2, np.nan, made.value)
    moved = Soundings(
        made.time + rng.integers(-1, 2, 200) * np.timedelta64(1, "D"),
        made.latitude + rng.uniform(-3, 3, 200),
        made.longitude + 360.0 * rng.integers(-1, 2, 200),
        strange,
        made.uncertainty,
    )
    cell = cell_numbers(sums(moved), moved)
    count = bin_statistics(sums(moved)).count.ravel()
    np.testing.assert_array_equal(np.bincount(cell[cell >= 0], minlength=len(count)), count)
