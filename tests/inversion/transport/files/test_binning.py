"""Footprints into cells and time bins: sums are kept, whatever cannot be placed is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inversion.jacobian.store import JacobianStore
from inversion.transport.files.binning import sparse_tables
from inversion.transport.files.footprint import FootprintFile, ReceptorBlock
from inversion.transport.files.summary import store_summary, summary
from obsnet.errors import FormatError, SchemaError
from obsnet.grid import Grid
from tests.inversion.transport import formats
from tests.inversion.transport.formats import LAT, LON, T0

HOUR = np.timedelta64(1, "h")
GRID = Grid.from_centres(LAT, LON)


def footprints(
    values: np.ndarray, *, offset=np.timedelta64(0, "us"), resolved=True, start_known=True, weighting="none"
) -> FootprintFile:
    """In memory: values (receptor, step, lat, lon), hourly steps that end at T0 + offset."""
    n, steps = values.shape[:2]
    end = T0 + offset - HOUR * np.arange(steps)[::-1]
    start = end - HOUR if start_known else np.full(steps, np.datetime64("NaT", "us"))
    table = pd.DataFrame(
        {
            "obs_id": [f"o{i}" for i in range(n)], "time": T0, "time_start": T0, "time_end": T0,
            "latitude": 33.0, "longitude": 113.0, "height_m": 10.0,
        }
    )  # fmt: skip
    whole = np.broadcast_to(start, (n, steps)), np.broadcast_to(end, (n, steps))
    return FootprintFile(
        path=Path("memory"),
        format="test", model="test", grid=GRID, receptors=table, unit="ppm m2 s umol-1",
        load=lambda a, b: ReceptorBlock(values[a:b], whole[0][a:b], whole[1][a:b], np.full(steps, resolved)),
        bytes_per_receptor=values[0].nbytes, span=(T0 - steps * HOUR, T0), weighting=weighting,
    )  # fmt: skip


def hours(first: int, last: int, step: int = 1) -> np.ndarray:
    return T0 + HOUR * np.arange(first, last + 1, step)


@given(st.integers(0, 1000), st.sampled_from([1, 2, 3, 6]), st.sampled_from([0, 10, 30, 59]))
def test_sums_are_kept_for_any_bins(seed, step, minutes):
    values = np.stack([formats.field(seed + k, 6) for k in range(3)])
    data = footprints(values, offset=np.timedelta64(minutes, "m")).read()
    binned = sparse_tables(data, GRID, hours(-6, 6, step))
    assert binned.total == pytest.approx(values.sum(dtype=float), rel=1e-6)
    assert binned.sensitivity["sensitivity"].to_numpy().sum(dtype=float) == pytest.approx(
        binned.total, rel=1e-5
    )
    assert binned.lost == pytest.approx({"time": 0, "grid": 0, "unresolved": 0}, abs=1e-9)


@given(st.floats(0.1, 9.0), st.floats(0.1, 9.0))
def test_binning_is_linear(a, b):
    x, y = (formats.field(k, 4)[None].astype(float) for k in (1, 2))

    def dense(values):
        table = sparse_tables(footprints(values).read(), GRID, hours(-4, 0, 2)).sensitivity
        out = np.zeros((2, GRID.size))
        out[table["time_bin"].to_numpy(), table["cell"].to_numpy()] = table["sensitivity"].to_numpy()
        return out

    np.testing.assert_allclose(dense(a * x + b * y), a * dense(x) + b * dense(y), rtol=1e-4, atol=1e-6)


def test_a_step_across_an_edge_is_shared_by_time():
    values = np.zeros((1, 1, 12, 14))
    values[0, 0, 2, 3] = 1.0
    data = footprints(values, offset=np.timedelta64(15, "m")).read()  # 05:15 to 06:15
    table = sparse_tables(data, GRID, hours(-2, 2)).sensitivity
    assert dict(zip(table["time_bin"].to_pylist(), table["sensitivity"].to_pylist(), strict=True)) == {
        1: pytest.approx(0.75),
        2: pytest.approx(0.25),
    }
    assert set(table["cell"].to_pylist()) == {2 * 14 + 3}


@given(st.integers(0, 1000), st.floats(0.3, 2.0), st.floats(-0.3, 0.3))
def test_another_grid_keeps_sums(seed, cell, shift):
    values = formats.field(seed, 3)[None]
    grid = Grid.regular(
        29, 29 + round(8 / cell) * cell, 109 + shift, 109 + shift + round(10 / cell) * cell, cell, cell
    )
    binned = sparse_tables(footprints(values).read(), grid, hours(-3, 0))
    found = binned.sensitivity["sensitivity"].to_numpy().sum(dtype=float)
    assert found + binned.lost["grid"] == pytest.approx(values.sum(dtype=float), rel=1e-5)
    if grid.lat_edges[-1] >= 36 and grid.lon_edges[-1] >= 117:
        assert binned.lost["grid"] == pytest.approx(0.0, abs=1e-9)


def test_coarsening_is_a_sum_of_cells():
    values = formats.field(5, 2)[None]
    coarse = Grid(GRID.lat_edges[::2], GRID.lon_edges[::2])
    table = sparse_tables(footprints(values).read(), coarse, hours(-2, 0)).sensitivity
    out = np.zeros((2, *coarse.shape))
    out.reshape(2, -1)[table["time_bin"].to_numpy(), table["cell"].to_numpy()] = table[
        "sensitivity"
    ].to_numpy()
    np.testing.assert_allclose(out, values[0].reshape(2, 6, 2, 7, 2).sum((2, 4)), rtol=1e-4, atol=1e-7)


def test_what_falls_outside_is_counted():
    values = formats.field(6, 6)[None]
    late = sparse_tables(footprints(values).read(), GRID, hours(-2, 0))
    assert late.lost["time"] == pytest.approx(values[0, :4].sum(dtype=float), rel=1e-5)
    half = Grid(GRID.lat_edges[6:], GRID.lon_edges)
    cut = sparse_tables(footprints(values).read(), half, hours(-6, 0))
    assert cut.lost["grid"] == pytest.approx(values[0, :, :6].sum(dtype=float), rel=1e-5)


def test_unresolved_hours_are_not_guessed():
    values = formats.field(7, 1)[None]
    data = footprints(values, resolved=False, start_known=False, offset=np.timedelta64(30, "m")).read()
    with pytest.raises(
        FormatError, match=r"100 % of the sensitivity of 'o0' is integrated over hours.*--unresolved"
    ):
        sparse_tables(data, GRID, hours(-24, 24))
    release = sparse_tables(data, GRID, hours(-24, 24), unresolved="release")
    assert set(release.sensitivity["time_bin"].to_pylist()) == {24}
    drop = sparse_tables(data, GRID, hours(-24, 24), unresolved="drop")
    assert drop.lost["unresolved"] == pytest.approx(values.sum(dtype=float), rel=1e-5)
    assert drop.sensitivity.to_pylist() == [{"obs_id": "o0", "time_bin": 0, "cell": 0, "sensitivity": 0.0}]


def test_an_integrated_part_of_known_hours_in_one_bin_needs_no_choice():
    values = formats.field(7, 1)[None]
    data = footprints(values, resolved=False).read()  # 05 to 06, integrated
    assert sparse_tables(data, GRID, hours(-24, 24, 24)).lost["unresolved"] == 0.0
    with pytest.raises(FormatError, match="integrated over hours"):
        sparse_tables(data, GRID, T0 - HOUR + np.array([-60, 30, 90]).astype("timedelta64[m]"))


def test_an_observation_nothing_reaches_stays(tmp_path):
    values = np.concatenate([formats.field(8, 2)[None], np.zeros((1, 2, 12, 14), np.float32)])
    table = sparse_tables(footprints(values).read(), GRID, hours(-2, 0)).sensitivity
    store = JacobianStore(tmp_path).create(
        {"grid": GRID, "time_edges": hours(-2, 0), "kind": "read", "model": "test"}
    )
    store.write_part("a", table)
    assert store.read().obs_id.tolist() == ["o0", "o1"]
    np.testing.assert_allclose(store.read().matrix.sum(axis=1), [values[0].sum(), 0.0], rtol=1e-5)


def test_summary_says_what_the_issue_asks():
    found = summary(footprints(formats.field(9, 3)[None]))
    assert {"kind", "unit", "receptor", "total_sensitivity", "hours", "grid"} <= set(found)
    assert found["hours"] == {
        "resolved_steps": 3, "step_hours": 1.0, "first": "2024-04-02T03:00:00", "last": "2024-04-02T06:00:00",
        "unresolved_share": 0.0,
    }  # fmt: skip


def test_a_store_says_the_same_as_its_files(tmp_path):
    values = np.stack([formats.field(k, 3) for k in (9, 10)])
    source = footprints(values)
    meta = {"grid": GRID, "time_edges": hours(-3, 0), "kind": "emulated", "model": "test"}
    store = JacobianStore(tmp_path).create(meta)
    with pytest.raises(FormatError, match="holds no observation yet"):
        store_summary(store)
    store.write_part("a", sparse_tables(source.read(), GRID, hours(-3, 0)).sensitivity)
    one, other = summary(source), store_summary(store)
    assert set(one) == set(other)
    assert other["total_sensitivity"] == pytest.approx(one["total_sensitivity"], rel=1e-6)
    assert (other["hours"], other["grid"], other["receptors"]) == (
        one["hours"],
        one["grid"],
        one["receptors"],
    )
    assert other["kind"] == "emulated"


def test_receptors_are_unique():
    import dataclasses

    good = footprints(np.stack([formats.field(9, 3)] * 2))
    with pytest.raises(FormatError, match="receptor 'x' occurs more than once"):
        dataclasses.replace(good, receptors=good.receptors.assign(obs_id="x"))
    with pytest.raises(SchemaError, match="receptor table lacks height_m"):
        dataclasses.replace(good, receptors=good.receptors.drop(columns="height_m"))
