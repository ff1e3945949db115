"""A stage whose numbers changed says so by its version: else every finished case would keep the old ones."""

from __future__ import annotations

import copy

import pytest

from tests.golden.stage_numbers import WORLDS, changes, faults, read_kept, same_data, stage_numbers

AGAIN = "run `python scripts/make_golden.py`"


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_changed_numbers_raise_the_version(world, tmp_path):
    kept = read_kept()[world]
    if not same_data(kept):
        pytest.skip("packages of data have other versions than those of the kept numbers")
    must_raise, others = faults(kept, stage_numbers(world, tmp_path))
    assert not must_raise, (
        f"numbers changed: raise the VERSION of the stage (see its STAGE) and {AGAIN}: {must_raise}"
    )
    assert not others, f"{AGAIN}, look at the difference and commit it: {others}"


def test_a_changed_number_is_seen_and_a_last_digit_is_not():
    kept = read_kept()["transport"]["footprints"]["numbers"]
    for name, old in kept.items():
        if old[3] == 0.0:
            continue
        for place in (2, 3, 4):
            now = copy.deepcopy(kept)
            now[name][place] += 1e-10 * old[3]
            assert changes(kept, now) == []
            now[name][place] += 1e-5 * old[3]
            assert len(changes(kept, now)) == 1
    now = copy.deepcopy(kept)
    name = next(iter(now))
    now[name][1] += 1
    assert len(changes(kept, now)) == 1
    del now[name]
    assert changes(kept, now) == [f"{name} is gone"]


def test_what_excuses_other_numbers():
    def world(one=1.0, two=1.0, **more):
        numbers = lambda x: {"v": [1.0, 0.0, x, x, x]}  # noqa: E731
        common = {"version": 1, "options": "a", "data": {}}
        first = common | {"needs": [], "numbers": numbers(one)} | more
        return {"first": first, "second": common | {"needs": ["first"], "numbers": numbers(two)}}

    assert faults(world(), world()) == ([], [])
    assert [s[:8] for s in faults(world(), world(one=2.0))[0]] == ["[first]:"]
    assert faults(world(), world(one=2.0, version=2))[0] == []
    assert faults(world(), world(one=2.0, options="b"))[0] == []
    assert faults(world(), world(two=2.0))[0] == ["[second]: v: mean 1, rms 1, now 2, 2"]
    assert faults(world(), world(one=2.0, two=2.0, version=2))[0] == []
    assert faults(world(), world(version=2)) == ([], ["[first]: version changed"])
