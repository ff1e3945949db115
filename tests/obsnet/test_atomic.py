"""Files are there whole or not at all, and what the dead left is swept."""

import subprocess
import sys

import pytest

from obsnet.atomic import atomic_path, sweep, write_text


def test_atomic_path_leaves_nothing_behind_on_failure(tmp_path):
    target = tmp_path / "deep" / "file.txt"

    def half():
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert not target.exists()
    assert list(target.parent.iterdir()) == []


def test_atomic_path_replaces_whole(tmp_path):
    target = tmp_path / "file.txt"
    write_text(target, "old")
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
        assert temporary.suffix == ".txt"
    assert target.read_text() == "new"


def test_sweep_takes_only_what_the_dead_left(tmp_path):
    code = (
        "import os, sys\nfrom obsnet.atomic import atomic_path\n"
        "with atomic_path(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n    os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "deep" / "file.nc")], check=False)
    (left,) = (tmp_path / "deep").iterdir()
    assert left.suffix == ".nc"
    with atomic_path(tmp_path / "mine.txt") as temporary:
        temporary.write_text("in flight")
        foreign = tmp_path / ".tmp-othernode-1-00000000-x.txt"
        foreign.write_text("another node's")
        assert sweep(tmp_path) == 1
        assert temporary.exists()
    assert foreign.exists()
    assert not left.exists()
