"""Plans and records of shards: what is missing is named, whatever order, count, fault or change it comes from."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import FormatError, UnfinishedError
from obsnet.work.shards import plans_of, require_finished, taking_part, unfinished
from obsnet.work.work import Work

ITEMS = [f"day {k}" for k in range(10)]


def do(folder, shard=None, items=ITEMS, settings="a", **more):
    with taking_part(folder, "make", items, settings, Work(shard=shard), **more):
        pass


def fail(folder, shard, error, **more):
    with pytest.raises(type(error)), taking_part(folder, "make", ITEMS, "a", Work(shard=shard), **more):
        raise error


def said(folder):
    return "; ".join(text for _, text in unfinished(folder))


def test_nothing_is_missing_where_nothing_was_planned(tmp_path):
    assert require_finished(tmp_path / "not there") == ""


def test_a_run_of_all_at_once_is_finished_when_it_ends(tmp_path):
    with taking_part(tmp_path, "make", ITEMS, "a", Work()):
        assert "make of 10 items began" in said(tmp_path)
        assert "has not ended" in said(tmp_path)
    assert require_finished(tmp_path) == ""


def test_what_never_ran_failed_or_was_killed_is_named_in_one_line(tmp_path):
    for k in (1, 4, 5):
        do(tmp_path, f"{k}/8")
    fail(tmp_path, "3/8", ValueError("a\nb"))
    running = taking_part(tmp_path, "make", ITEMS, "a", Work(shard="2/8"))
    running.__enter__()  # killed: it never comes to its end
    with pytest.raises(UnfinishedError) as stop:
        require_finished(tmp_path)
    text = str(stop.value)
    assert "\n" not in text
    assert "make, of 8 shards: 2 began" in text
    assert "; 3 failed: a b; 6-8 never ran (6 of 10 items)" in text
    assert "--allow-missing" in text
    assert require_finished(tmp_path, allow=True).startswith(f"{tmp_path.name} without make, of 8 shards: 2")


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)).filter(lambda s: s[0] <= s[1]), max_size=8))
def test_shards_of_any_counts_add_up(tmp_path_factory, shards):
    folder = tmp_path_factory.mktemp("s")
    covered = set()
    for i, n in shards:
        do(folder, f"{i}/{n}")
        covered |= set(ITEMS[i - 1 :: n])
    assert bool(said(folder)) == bool(shards and covered != set(ITEMS))
    if shards and covered != set(ITEMS):
        assert f"({10 - len(covered)} of 10 items)" in said(folder) or "of 10 items never ran" in said(folder)


def test_another_count_finishes_what_was_begun(tmp_path):
    do(tmp_path, "1/4")
    do(tmp_path, "2/2")
    assert "of 4 shards: 3 never ran (2 of 10 items)" in said(tmp_path)
    do(tmp_path, "1/2")
    assert said(tmp_path) == ""


def test_a_shard_that_begins_again_is_not_done(tmp_path):
    do(tmp_path)
    fail(tmp_path, None, KeyboardInterrupt())
    assert "make of 10 items failed: KeyboardInterrupt" in said(tmp_path)
    do(tmp_path)
    assert said(tmp_path) == ""


def test_more_items_mean_that_all_shards_run_again(tmp_path):
    do(tmp_path, "1/2")
    do(tmp_path, "2/2", items=[*ITEMS, "day 10"])
    assert "of 2 shards: 1 never ran (6 of 11 items)" in said(tmp_path)
    assert len(plans_of(tmp_path)) == 1


def test_other_items_stand_beside(tmp_path):
    do(tmp_path, "1/2")
    do(tmp_path, items=["other"])
    assert "2 never ran (5 of 10 items)" in said(tmp_path)
    do(tmp_path, items=ITEMS[1::2])  # the rest, given as a run of its own
    assert said(tmp_path) == ""


def test_other_settings_take_the_place_and_going_back_begins_anew(tmp_path):
    for k in (1, 2):
        do(tmp_path, f"{k}/2")
    do(tmp_path, "1/2", settings="b")
    assert "2 never ran" in said(tmp_path)
    do(tmp_path, "1/2")
    assert "2 never ran" in said(tmp_path)
    do(tmp_path, "2/2")
    assert said(tmp_path) == ""


def test_a_run_whose_place_was_taken_says_so(tmp_path):
    with (
        pytest.raises(UnfinishedError, match="another began with other settings"),
        taking_part(tmp_path, "make", ITEMS, "a", Work(shard="1/2")),
    ):
        do(tmp_path, settings="b")
    assert said(tmp_path) == ""


def test_a_plan_alone_gives_up_every_other(tmp_path):
    do(tmp_path, "1/2")
    do(tmp_path, items=["new"], alone=True)
    assert said(tmp_path) == ""


def test_one_who_asks_does_not_count_himself(tmp_path):
    do(tmp_path, "1/2")
    assert require_finished(tmp_path, besides=("make",)) == ""


def test_what_was_missing_before_is_carried_on(tmp_path):
    do(tmp_path, without="store without ingest, of 2 shards: 2 never ran")
    assert require_finished(tmp_path) == "store without ingest, of 2 shards: 2 never ran"


def test_a_record_that_was_changed_is_refused(tmp_path):
    do(tmp_path, "1/2")
    (path,) = (p for p in tmp_path.rglob("1of2.json"))
    data = json.loads(path.read_text())
    assert (data["state"], data["items"]) == ("done", 5)
    path.write_text(json.dumps({**data, "state": "running"}))
    with pytest.raises(FormatError, match="changed since the file was written"):
        require_finished(tmp_path)


def test_giving_a_plan_up(tmp_path):
    do(tmp_path, "1/2")
    with pytest.raises(UnfinishedError, match="give it up") as stop:
        require_finished(tmp_path)
    folder = str(stop.value).partition("(delete ")[2].partition(")")[0]
    import shutil

    shutil.rmtree(folder)
    assert require_finished(tmp_path) == ""
