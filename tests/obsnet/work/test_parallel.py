"""Many tasks: every scheduler gives the same answers, memory stays flat, shards partition."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.config import validate
from obsnet.errors import ConfigError
from obsnet.work.parallel import cpu_count, map_unordered, shard
from obsnet.work.work import Work, parse_shard


def square(x):
    return x * x, os.environ.get("OMP_NUM_THREADS")


def fail(x):
    raise ValueError(f"item {x}")


@pytest.mark.parametrize("scheduler", ["serial", "processes", "dask"])
def test_same_answers(scheduler):
    found = dict(map_unordered(square, range(7), work=Work(scheduler=scheduler, workers=2)))
    assert {k: v[0] for k, v in found.items()} == {k: k * k for k in range(7)}
    if scheduler != "serial":
        assert {v[1] for v in found.values()} == {"1"}


def test_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    list(map_unordered(square, range(3), work=Work(workers=2)))
    assert os.environ["OMP_NUM_THREADS"] == "7"


@pytest.mark.parametrize("scheduler", ["serial", "processes"])
def test_an_error_comes_through(scheduler):
    with pytest.raises(ValueError, match="item"):
        list(map_unordered(fail, range(3), work=Work(scheduler=scheduler, workers=2)))


def test_unknown_scheduler():
    with pytest.raises(ConfigError, match="scheduler = 'threads'"):
        validate(Work, {"scheduler": "threads"})


def test_no_items():
    assert list(map_unordered(square, [], Work(workers=4))) == []


@given(st.lists(st.integers(), max_size=30), st.integers(1, 7))
def test_shards_partition(items, n):
    parts = [list(shard(items, Work(shard=f"{i}/{n}"))) for i in range(1, n + 1)]
    assert sorted(x for p in parts for x in p) == sorted(items)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert shard(items, Work()) == items


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/2"])
def test_bad_shards(text):
    with pytest.raises(ConfigError, match="write it as i/n"):
        parse_shard(text)
    with pytest.raises(ConfigError, match="write it as i/n"):
        validate(Work, {"shard": text})


def test_cpu_count():
    assert 1 <= cpu_count() <= (os.cpu_count() or 1)


SCRIPT = """
from obsnet.work.parallel import map_unordered
from obsnet.work.work import Work
def double(x):
    return 2 * x
if __name__ == "__main__":
    print(sorted(map_unordered(double, range(4), Work(scheduler="processes", workers=2))))
"""


def test_the_functions_of_a_script(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    own = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    call = [sys.executable, str(tmp_path / "script.py")]
    done = subprocess.run(call, env=own, capture_output=True, text=True, check=False)
    assert done.stdout == "[(0, 0), (1, 2), (2, 4), (3, 6)]\n", done.stderr
