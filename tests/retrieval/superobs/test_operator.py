"""The averaged operator against plain sums, and which tables it refuses."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import SchemaError
from obsnet.schema import profile_array
from retrieval.superobs.groups import Groups
from retrieval.superobs.operator import mean_operator
from tests.retrieval.soundings import make_table

NAMES = ("pressure_weight", "averaging_kernel", "prior_profile")


def draw_groups(members, seed=0):
    """Groups of given rows with random weights."""
    rng = np.random.default_rng(seed)
    sizes = [len(m) for m in members]
    weight = np.concatenate([w / w.sum() for w in (rng.uniform(0.1, 1, n) for n in sizes)])
    ones, times = np.ones(len(sizes)), np.zeros(len(sizes), "datetime64[us]")
    numbers = np.arange(len(sizes))
    offsets = np.append(0, np.cumsum(sizes))
    return Groups(offsets, np.concatenate(members), weight, ones, ones, ones, times, numbers, numbers)


@given(
    st.integers(0, 10**6),
    st.sampled_from(["level", "layer"]),
    st.lists(st.lists(st.integers(0, 19), min_size=1, max_size=6), min_size=1, max_size=5),
    st.integers(1, 4),
)
def test_means_and_residuals_are_plain_sums(seed, vertical, members, chunks):
    table = make_table(20, seed=seed, vertical=vertical)
    grid = "pressure_edges" if vertical == "layer" else "pressure_levels"
    h, a, x, p = (profile_array(table[n]).astype(float) for n in (*NAMES, grid))
    groups = draw_groups([np.array(m) for m in members], seed)
    pieces = pa.concat_tables(
        [table.slice(k * 20 // chunks, (k + 1) * 20 // chunks - k * 20 // chunks) for k in range(chunks)]
    )
    columns, residuals = mean_operator(pieces, np.arange(20), groups)
    for g in range(len(members)):
        row = groups.row[groups.offsets[g] : groups.offsets[g + 1]]
        w = groups.weight[groups.offsets[g] : groups.offsets[g + 1]]
        mh, ma, mx, mp = (w @ v[row] for v in (h, a, x, p))
        for name, mean in zip((*NAMES, grid), (mh, ma, mx, mp), strict=True):
            np.testing.assert_allclose(columns[name][g], mean, rtol=1e-12)
        prior = table["prior_column"].to_numpy()[row]
        assert columns["prior_column"][g] == pytest.approx(w @ prior, rel=1e-12)
        middle = 0.5 * (mp[1:] + mp[:-1]) if vertical == "layer" else mp
        for name, truth in (
            ("residual_prior", mx),
            ("residual_plume", mx * np.where(middle > 0.8 * mp[0], 1.025, 1.0)),
        ):
            of_mean = w @ prior + np.sum(mh * ma * (truth - mx))
            mean_of = w @ (prior + np.sum(h[row] * a[row] * (truth - x[row]), axis=1))
            assert residuals[name][g] == pytest.approx(of_mean - mean_of, abs=1e-9)


def test_one_sounding_loses_nothing():
    _, residuals = mean_operator(make_table(3), np.arange(3), draw_groups([np.array([k]) for k in range(3)]))
    for values in residuals.values():
        np.testing.assert_allclose(values, 0, atol=1e-10)


def test_rows_that_are_no_members_may_lack_profiles():
    table = make_table(6)
    whole, _ = mean_operator(table, np.arange(6), draw_groups([np.array([0, 2]), np.array([5])]))
    absent = pa.array([False, True, False, True, True, False])
    holes = table
    for name in (*NAMES, "pressure_levels"):
        values = [
            None if hole else v for v, hole in zip(table[name].to_pylist(), absent.to_pylist(), strict=True)
        ]
        holes = holes.set_column(
            holes.schema.get_field_index(name), name, pa.array(values, pa.list_(pa.float32()))
        )
    part, _ = mean_operator(holes, np.array([0, 2, 5]), draw_groups([np.array([0, 1]), np.array([2])]))
    for name in NAMES:
        np.testing.assert_array_equal(part[name], whole[name])
    with pytest.raises(SchemaError, match=r"lengths \[0, 20\]"):
        mean_operator(holes, np.arange(6), draw_groups([np.array([0, 1])]))


def test_no_kernel_no_operator():
    assert mean_operator(make_table(4, profiles=False), np.arange(4), draw_groups([np.arange(4)])) == ({}, {})


def test_a_prior_column_that_is_missing_is_computed():
    table = make_table(4)
    none = table.set_column(
        table.schema.get_field_index("prior_column"), "prior_column", pa.nulls(4, pa.float64())
    )
    groups = draw_groups([np.arange(4)])
    for key, values in mean_operator(none, np.arange(4), groups)[0].items():
        if key != "vertical":
            np.testing.assert_allclose(values, mean_operator(table, np.arange(4), groups)[0][key], rtol=1e-6)


def test_refusals():
    groups = draw_groups([np.arange(6)])
    both = pa.concat_tables([make_table(3), make_table(3, vertical="layer", seed=1)])
    with pytest.raises(SchemaError, match=r"levels and layers may not be averaged together"):
        mean_operator(both, np.arange(6), groups)
    table = make_table(6)
    short = pa.array([v[:-1] for v in table["averaging_kernel"].to_pylist()], pa.list_(pa.float32()))
    wrong = table.set_column(table.schema.get_field_index("averaging_kernel"), "averaging_kernel", short)
    with pytest.raises(SchemaError, match="weights, kernels and priors have 20, 19 and 20 values"):
        mean_operator(wrong, np.arange(6), groups)
