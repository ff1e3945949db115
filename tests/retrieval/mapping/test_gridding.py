"""Bins: against numpy, merged and cut up, and the traps of float32, one-pass variances and edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import GridError, RangeError, ScaleError
from obsnet.grid import Grid
from obsnet.store import ObservationStore
from obsnet.times import time_bins
from retrieval.mapping.gridding import accumulate, bin_statistics, bin_store, empty_bins, merge
from tests.retrieval.soundings import make_table

GRID = Grid.regular(18, 54, 73, 135, 2, 2)
DAYS = time_bins("2020-06-01", "2020-06-04", "1D")


def soundings(n, seed, spread=1.0):
    rng = np.random.default_rng(seed)
    return {
        "time": DAYS[0] + rng.integers(-(10**10), 27 * 10**10, n).astype("timedelta64[us]"),
        "latitude": rng.uniform(15, 57, n),
        "longitude": rng.uniform(70, 140, n),
        "value": rng.normal(415, spread, n),
        "uncertainty": rng.uniform(0.3, 1, n),
        "quality": (rng.random(n) < 0.2).astype(np.uint32),
    }


def rows(data, keep):
    return {k: v[keep] for k, v in data.items()}


@given(st.integers(0, 10**6), st.integers(0, 2000), st.floats(0, 1))
def test_against_numpy(seed, n, r):
    data = soundings(n, seed)
    bins = accumulate(empty_bins(GRID, DAYS, species="CO2"), **data)
    found = bin_statistics(bins, r=r)
    day = np.searchsorted(DAYS, data["time"], side="right") - 1
    inside = (day >= 0) & (day < 3)
    cell = GRID.index(data["latitude"], data["longitude"])
    used = inside & (cell >= 0) & (data["quality"] == 0)
    assert found.count.sum() == used.sum()
    assert bins.left_out.sum() + used.sum() == n
    key = day * GRID.size + cell
    for k in np.unique(key[used])[:20]:
        x, s = data["value"][used & (key == k)], data["uncertainty"][used & (key == k)]
        at = np.unravel_index(k, found.count.shape)
        assert found.count[at] == len(x)
        assert found.mean[at] == pytest.approx(x.mean(), rel=1e-13)
        if len(x) > 1:
            assert found.sd[at] == pytest.approx(x.std(ddof=1), rel=1e-8, abs=1e-7)
        expected = np.sqrt(r * s.mean() ** 2 + (1 - r) * np.sum(s**2) / len(s) ** 2)
        assert found.uncertainty[at] == pytest.approx(expected, rel=1e-12)
    assert np.isnan(found.mean[found.count == 0]).all()
    assert np.isnan(found.sd[found.count < 2]).all()


@given(st.integers(0, 10**6), st.integers(1, 7))
def test_chunks_halves_and_order_do_not_matter(seed, chunks):
    data = soundings(500, seed)
    whole = accumulate(empty_bins(GRID, DAYS, species="CO2"), **data)
    in_turn = empty_bins(GRID, DAYS, species="CO2")
    merged = empty_bins(GRID, DAYS, species="CO2")
    for part in np.array_split(np.random.default_rng(seed).permutation(500), chunks):
        accumulate(in_turn, **rows(data, part))
        merged = merge(merged, accumulate(empty_bins(GRID, DAYS, species="CO2"), **rows(data, part)))
    for other in (in_turn, merged):
        np.testing.assert_allclose(other.sums, whole.sums, rtol=1e-12, atol=1e-9)
        np.testing.assert_array_equal(other.left_out, whole.left_out)


@given(st.integers(0, 10**6), st.floats(1e-3, 1e-1))
def test_variances_of_pairs_are_never_negative_and_keep_their_digits(seed, spread):
    value = np.random.default_rng(seed).normal(415, spread, 2)
    bins = accumulate(
        empty_bins(Grid.regular(0, 1, 0, 1, 1, 1), DAYS, species="CO2"),
        time=np.full(2, DAYS[0]),
        latitude=np.full(2, 0.5),
        longitude=np.full(2, 0.5),
        value=value,
    )
    sd = bin_statistics(bins).sd[0, 0, 0]
    # sums about 450 square to 35^2: the variance is right to some 1e-12
    assert sd >= 0
    assert sd**2 == pytest.approx(value.var(ddof=1), abs=1e-11)


def test_one_pass_in_float32_does_give_negative_variances():
    """The trap itself, so that nobody takes it for theory."""
    pairs = np.random.default_rng(0).normal(415, 1, (10_000, 2)).astype(np.float32)
    naive = (pairs**2).sum(axis=1) - pairs.sum(axis=1) ** 2 / np.float32(2)
    assert (naive < 0).mean() > 0.005


def test_a_million_values_in_one_cell():
    value = np.random.default_rng(0).normal(415, 1, 1_000_000).astype(np.float32)
    n = len(value)
    bins = accumulate(
        empty_bins(Grid.regular(0, 1, 0, 1, 1, 1), DAYS, species="CO2"),
        time=np.full(n, DAYS[1]),
        latitude=np.full(n, 0.5, np.float32),
        longitude=np.full(n, 0.5, np.float32),
        value=value,
    )
    assert bin_statistics(bins).sd[1, 0, 0] == pytest.approx(value.astype(float).std(ddof=1), rel=1e-8)


def test_float32_just_below_an_edge_stays_inside():
    """float32(54.999999) is 55.0: outside a grid that ends at 55; nothing lands in another row or day."""
    grid = Grid.regular(15, 55, 70, 130, 0.1, 0.1)
    lat = np.array([54.99999, 54.9999999, 55.0, 54.95], dtype=np.float32)
    bins = accumulate(
        empty_bins(grid, DAYS),
        time=np.full(4, DAYS[2]),
        latitude=lat,
        longitude=np.full(4, 100.05),
        value=np.full(4, 415.0),
    )
    count = bin_statistics(bins).count
    assert count[2, -1].sum() == 2
    assert count.sum() == 2
    assert bins.left_out.tolist() == [0, 0, 2]


@given(st.integers(0, 10**6))
def test_float32_and_float64_of_the_same_numbers_agree_with_grid_index(seed):
    rng = np.random.default_rng(seed)
    lat, lon = (rng.uniform(*x, 300).astype(np.float32) for x in ((14, 56), (68, 137)))
    edge = rng.integers(0, 300, 100)
    lat[edge] = np.round(lat[edge], 1)
    grid = Grid.regular(15, 55, 70, 135, 0.1, 0.1)
    bins = accumulate(
        empty_bins(grid, DAYS[:2]),
        time=np.full(300, DAYS[0]),
        latitude=lat,
        longitude=lon,
        value=np.ones(300),
    )
    cell = grid.index(lat, lon)
    expected = np.bincount(cell[cell >= 0], minlength=grid.size)
    np.testing.assert_array_equal(bin_statistics(bins).count.ravel(), expected)


@given(st.integers(0, 10**6), st.floats(0, 1))
def test_uneven_axes_agree_with_grid_index(seed, unevenness):
    """From axes that are even but for rounding to wild ones; places on edges, outside, and none at all."""
    rng = np.random.default_rng(seed)
    lat_edges, lon_edges = (
        low + np.cumsum(1.0 + unevenness**6 * rng.uniform(-0.9, 3.0, size)) - 1.0
        for low, size in ((10.0, 12), (70.0, 30))
    )
    grid = Grid(lat_edges, lon_edges)
    lat, lon = rng.uniform(8, grid.lat_edges[-1] + 2, 400), rng.uniform(68, grid.lon_edges[-1] + 2, 400)
    lat[:12], lon[12:42] = grid.lat_edges, grid.lon_edges
    lat[50], lon[51], lat[52] = np.nan, np.nan, 1e30
    bins = accumulate(
        empty_bins(grid, DAYS[:2]),
        time=np.full(400, DAYS[0]),
        latitude=lat,
        longitude=lon,
        value=np.ones(400),
    )
    cell = grid.index(lat, lon)
    np.testing.assert_array_equal(
        bin_statistics(bins).count.ravel(), np.bincount(cell[cell >= 0], minlength=grid.size)
    )


def test_edges_of_time_and_space():
    time = np.array(
        [DAYS[0], DAYS[1], DAYS[1] - np.timedelta64(1, "us"), DAYS[3], np.datetime64("NaT", "us")]
    )
    bins = accumulate(
        empty_bins(GRID, DAYS),
        time=time,
        latitude=np.full(5, 18.0),
        longitude=np.full(5, 73.0),
        value=np.full(5, 410.0),
    )
    assert bin_statistics(bins).count[:, 0, 0].tolist() == [2, 1, 0]
    assert bins.left_out.tolist() == [0, 2, 0]


def test_longitude_conventions_poles_and_the_dateline():
    globe = Grid.regular(-90, 90, -180, 180, 30, 30)
    lon = np.array([-180.0, 180.0, 540.0, 359.0, -1.0, 0.0])
    bins = accumulate(
        empty_bins(globe, DAYS[:2]),
        time=np.full(6, DAYS[0]),
        latitude=np.full(6, 90.0),
        longitude=lon,
        value=np.ones(6),
    )
    count = bin_statistics(bins).count[0, -1]
    assert (count[0], count[5], count[6]) == (3, 2, 1)
    pacific = Grid.regular(-30, 30, 150, -150, 30, 30)
    bins = accumulate(
        empty_bins(pacific, DAYS[:2]),
        time=np.full(6, DAYS[0]),
        latitude=np.zeros(6),
        longitude=lon,
        value=np.ones(6),
    )
    assert bin_statistics(bins).count[0, 1].tolist() == [0, 3]


def test_what_cannot_be_used_is_counted():
    bins = accumulate(
        empty_bins(GRID, DAYS),
        time=np.full(4, DAYS[0]),
        latitude=np.array([20.0, 20, np.nan, 20]),
        longitude=np.array([80.0, 80, 80, np.inf]),
        value=np.array([np.nan, 410, 410, 410]),
        quality=np.array([0, 4, 0, 0]),
    )
    assert bins.left_out.tolist() == [2, 0, 2]
    assert bin_statistics(bins).count.sum() == 0


def test_uneven_bins_of_months():
    months = time_bins("2020-01-01", "2020-07-01", "MS")
    bins = accumulate(
        empty_bins(GRID, months),
        time=np.array(["2020-02-29T23:59:59", "2020-03-01"], dtype="datetime64[us]"),
        latitude=np.full(2, 30.0),
        longitude=np.full(2, 100.0),
        value=np.full(2, 410.0),
    )
    assert bin_statistics(bins).count.sum(axis=(1, 2)).tolist() == [0, 1, 1, 0, 0, 0]


def test_store_as_a_stream(tmp_path):
    store = ObservationStore(tmp_path / "s")
    tables = [make_table(300, seed=k, start=DAYS[k] + np.timedelta64(5, "h")) for k in range(3)]
    for table in tables:
        store.write(table)
    store.write(make_table(50, seed=9, source="other", quality=np.full(50, 2, np.uint32)))
    grid = Grid.regular(29, 35, 109, 112, 0.5, 0.5)
    bins = bin_store(store, "CO2", grid, DAYS[:3], batch=64)
    found = bin_statistics(bins)
    assert found.count.sum(axis=(1, 2)).tolist() == [300, 300]
    value = tables[0]["value"].to_numpy()
    assert np.nansum(found.mean[0] * found.count[0]) == pytest.approx(value.sum(), rel=1e-12)
    assert bin_store(store, "CO2", grid, DAYS, sources=("other",)).sums.sum() == 0
    store.write(make_table(10, seed=11, scale=["WMO-CO2-X2019"] * 10))
    with pytest.raises(ScaleError, match=r"X2007 \(900 rows\), X2019 \(10 rows\)"):
        bin_store(store, "CO2", grid, DAYS)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: empty_bins(GRID, DAYS[::-1]), GridError, "must increase"),
        (lambda: empty_bins(GRID, DAYS[:1]), GridError, "must increase"),
        (lambda: bin_statistics(empty_bins(GRID, DAYS), r=2), RangeError, "within 0 and 1"),
        (lambda: merge(empty_bins(GRID, DAYS), empty_bins(GRID, DAYS[:2])), GridError, "can be merged"),
        (lambda: merge(empty_bins(GRID, DAYS), empty_bins(GRID, DAYS, shift=1)), GridError, "can be merged"),
        (
            lambda: accumulate(
                empty_bins(GRID, DAYS), time=DAYS, latitude=[1.0], longitude=[1.0], value=[1.0]
            ),
            GridError,
            "columns of one length",
        ),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()
