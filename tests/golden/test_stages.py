"""A stage whose numbers changed says so by its version: else every finished case would keep the old ones."""

from __future__ import annotations

import copy

import pytest

from tests.golden.stage_numbers import WORLDS, changes, read_kept, same_data, stage_numbers

AGAIN = "run `python scripts/make_golden.py`"


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_changed_numbers_raise_the_version(world, tmp_path):
    kept = read_kept()[world]
    if not same_data(kept):
        pytest.skip("packages of data have other versions than those of the kept numbers")
    now = stage_numbers(world, tmp_path)
    assert kept.keys() == now.keys(), f"the stages of {world!r} are others: {AGAIN}"
    for stage, before in kept.items():
        found = changes(before["numbers"], now[stage]["numbers"])
        same = before["version"] == now[stage]["version"]
        raised = f"raise its VERSION (see the version of its STAGE) and {AGAIN}"
        assert not (found and same), f"numbers of [{stage}] changed: {raised}: {found[:5]}"
        assert same, (
            f"[{stage}] is version {now[stage]['version']}, kept are those of {before['version']}: {AGAIN}"
        )
        more = now[stage]["numbers"].keys() - before["numbers"].keys()
        assert not more, f"[{stage}] has more variables: {AGAIN}"


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
