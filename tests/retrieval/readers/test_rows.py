"""The row axis of a granule and arrays as stored, against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from obsnet.errors import FormatError
from obsnet.packed import fill_mask, numeric
from retrieval.readers.rows import GranuleRows
from retrieval.readers.source import open_source
from retrieval.readers.stored_values import distinct_numbers, plain_text
from tests.retrieval import synthetic


def rows_of(path, main="value", **variables):
    """An open row axis over a file of these arrays."""
    synthetic.write(path, {name: (values, {}) for name, values in variables.items()}, chunk=4)
    return GranuleRows(open_source(path), main, ("retrieved", "every") if "every" in variables else None)


@given(
    shape=st.sampled_from([(12,), (3, 4), (1, 3, 4), (1, 12, 1)]),
    mask=arrays(bool, 12),
    wanted=st.lists(st.integers(0, 11), unique=True).map(sorted),
    levels=st.sampled_from([None, 3]),
)
def test_rows_are_the_elements_in_the_order_of_the_file(tmp_path_factory, shape, mask, wanted, levels):
    values = np.arange(12 * (levels or 1)).reshape(*shape, *([levels] if levels else []))
    folder = tmp_path_factory.mktemp("rows")
    rows = rows_of(
        folder / "a.h5", value=np.zeros(shape), other=values, line=np.arange(int(np.prod(shape[:-1])))
    )
    flat = values.reshape(12, *([levels] if levels else []))
    with rows.source:
        assert len(rows) == 12
        np.testing.assert_array_equal(rows.load("other"), flat)
        np.testing.assert_array_equal(rows.load("other", np.array(wanted, dtype=np.int64)), flat[wanted])
        rows.keep(mask)
        assert len(rows) == mask.sum()
        np.testing.assert_array_equal(rows.numbers, np.flatnonzero(mask))
        np.testing.assert_array_equal(rows.load("other"), flat[mask])
        again = np.arange(len(rows)) % 2 == 0
        np.testing.assert_array_equal(rows.load("other", np.flatnonzero(again)), flat[mask][again])
        rows.keep(again)  # what was left out stays out
        np.testing.assert_array_equal(rows.load("other"), flat[mask][again])


def test_numbers_of_the_file_and_of_scan_lines_are_spread(tmp_path):
    rows = rows_of(
        tmp_path / "a.h5", value=np.zeros((1, 3, 4)), one=np.array([7.0]), line=np.array([[10, 20, 30]])
    )
    with rows.source:
        assert rows.load("one").tolist() == [7.0] * 12
        assert rows.load("line").tolist() == np.repeat([10, 20, 30], 4).tolist()
        rows.keep(np.arange(12) > 9)
        assert rows.load("one").tolist() == [7.0] * 2
        assert rows.load("line", np.array([1])).tolist() == [30]


def test_arrays_of_all_soundings_are_joined_by_identity(tmp_path):
    every = np.array([5, 9, 1, 7, 3])
    rows = rows_of(
        tmp_path / "a.h5",
        value=np.zeros(3),
        retrieved=np.array([7, 5, 3]),
        every=every,
        angle=every * 10.0,
    )
    with rows.source:
        assert rows.load("angle").tolist() == [70, 50, 30]
        rows.keep(np.array([True, False, True]))
        assert rows.load("angle").tolist() == [70, 30]


def test_what_fits_no_way_is_named(tmp_path):
    rows = rows_of(tmp_path / "a.h5", value=np.zeros(6), other=np.zeros(5))
    with (
        rows.source,
        pytest.raises(FormatError, match=r"other has shape \(5,\), which does not fit value with \(6,\)"),
    ):
        rows.load("other")


@given(st.sampled_from([np.int8, np.uint8, np.int16, np.float32]), st.integers(0, 40), st.integers(0, 10**6))
def test_distinct_numbers_are_those_of_unique(kind, n, seed):
    stored = np.random.default_rng(seed).integers(0, 100, n).astype(kind)
    stored = stored - kind(50) if np.dtype(kind).kind != "u" else stored
    distinct, where = distinct_numbers(stored)
    np.testing.assert_array_equal(distinct[where], stored)
    assert sorted(distinct.tolist()) == np.unique(stored).tolist()


@pytest.mark.parametrize(
    ("stored", "fills", "found"),
    [
        (np.array([1, 255, 3], np.uint8), [-1.0, 255.0], [False, True, False]),
        (np.array([1, -9999], np.int32), [-9999.0, 1e20, 0.5, np.nan], [False, True]),
        (np.array([1, -999999], np.float32), [-999999.0], [False, True]),
        (np.array([1.1], np.float32), [1.1], [True]),  # compared in the type of the file
        (np.array([1, 2], np.int16), [], None),
        (np.array([], np.float32), [1.0], None),
    ],
)
def test_fills_are_compared_in_the_type_of_the_file(stored, fills, found):
    mask = fill_mask(stored, fills)
    assert (mask if found is None else mask.tolist()) == found


@pytest.mark.parametrize(
    ("value", "numbers"),
    [(None, []), ("-999", [-999.0]), ("Missing", []), (np.float32(3), [3.0]), ([1, 2], [1.0, 2.0])],
)
def test_attributes_as_numbers(value, numbers):
    assert numeric(value) == numbers


def test_text_of_any_storage():
    characters = np.array([[b"a", b"b"], [b"c", b" "]], dtype="S1")
    for stored in (
        np.array([b"ab\0", b"c  "]),
        np.array(["ab", "c"], object),
        np.array([b"ab", b"c"], object),
        characters,
    ):
        assert plain_text(stored).tolist() == ["ab", "c"]
    assert plain_text(np.array([], "S3")).tolist() == []
