"""Results in order, the same wherever they are made; what was kept is not made again, what is damaged is."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import WorkerError
from obsnet.work.kept import KeptResults, fingerprint_of, map_kept, map_ordered
from obsnet.work.work import Work

NAMES = [f"{k:02d}" for k in range(6)]


def root(k):
    return {"root": np.sqrt(np.arange(float(k), k + 3.0)), "word": np.array(f"item {k}")}


def never(k):
    raise AssertionError(f"{k} was kept")


def only_even(k):
    if k % 2:
        raise WorkerError(f"{k} is odd")
    return root(k)


@pytest.mark.parametrize("scheduler", ["serial", "processes", "dask"])
def test_results_come_in_the_order_of_the_items(scheduler):
    work = Work(scheduler=scheduler, workers=2)
    assert [str(r["word"]) for r in map_ordered(root, range(6), work, what="roots")] == [
        f"item {k}" for k in range(6)
    ]
    found = map_kept(root, range(6), work, names=NAMES, what="roots")
    for k, one in enumerate(found):
        np.testing.assert_array_equal(one["root"], root(k)["root"])


def test_what_was_kept_is_not_made_again(tmp_path):
    kept = KeptResults(tmp_path / "kept", fingerprint_of("one", np.arange(3)))
    with pytest.raises(WorkerError, match="1 is odd"):
        map_kept(only_even, range(6), Work(scheduler="serial"), names=NAMES, kept=kept, what="roots")
    assert len(list((tmp_path / "kept").glob("*.npz"))) == 1  # the first, before the fault
    map_kept(root, range(6), Work(scheduler="serial"), names=NAMES, kept=kept, what="roots")
    again = map_kept(never, range(6), Work(scheduler="serial"), names=NAMES, kept=kept, what="roots")
    assert [str(r["word"]) for r in again] == [f"item {k}" for k in range(6)]
    kept.forget()
    assert not (tmp_path / "kept").exists()


def test_a_damaged_file_is_made_again_and_another_question_is_not_answered(tmp_path):
    kept = KeptResults(tmp_path, fingerprint_of("one"))
    kept.write("a", root(1))
    (path,) = tmp_path.glob("*.npz")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + b"x" + whole[len(whole) // 2 + 1 :])
    assert kept.read("a") is None
    path.write_bytes(whole[:100])  # torn
    assert kept.read("a") is None
    path.write_bytes(whole)
    assert str(kept.read("a")["word"]) == "item 1"
    other = KeptResults(tmp_path, fingerprint_of("two"))
    assert other.read("a") is None
    other.write("a", root(2))
    assert kept.read("a") is None  # gone with the old question
    assert str(other.read("a")["word"]) == "item 2"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([np.zeros(2)], [np.zeros((2, 1))]),
        ([np.zeros(2, np.int64)], [np.zeros(2)]),
        ([np.array("2020-01-01", "datetime64[us]")], [np.array("2020-01-02", "datetime64[us]")]),
        (["a", "b"], ["ab", ""]),
        ([np.zeros(2), np.zeros(1)], [np.zeros(1), np.zeros(2)]),
    ],
)
def test_questions_that_differ_have_other_hashes(one, other):
    assert fingerprint_of(*one) != fingerprint_of(*other)
    assert fingerprint_of(*one) == fingerprint_of(*one)
