"""Hashes of files: remembered only where nothing can have changed."""

import hashlib
import os

import pytest

from obsnet import content
from obsnet.content import Contents, file_id, files_below, sha256


@pytest.fixture
def quiet(monkeypatch):
    """Files count as settled at once."""
    monkeypatch.setattr(content, "SETTLED", -60.0)


def restored(path, data):
    """Write other bytes of the same length into the same file and set its times back."""
    before = path.stat()
    with open(path, "r+b") as stream:
        stream.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_ino == before.st_ino


@pytest.mark.parametrize("size", [10, content.SMALL + 1])
@pytest.mark.usefixtures("quiet")
def test_a_file_replaced_in_place_with_size_and_time_restored_is_noticed(tmp_path, size):
    path = tmp_path / "a.bin"
    path.write_bytes(b"a" * size)
    memory = tmp_path / "memory.json"
    first = Contents(memory)
    assert first.digest(path) == hashlib.sha256(b"a" * size).hexdigest()
    first.save()
    restored(path, b"b" * size)
    assert Contents(memory).digest(path) == hashlib.sha256(b"b" * size).hexdigest()
    assert first.digest(path) == hashlib.sha256(b"b" * size).hexdigest()


def counted(monkeypatch):
    hashed = []
    real = hashlib.file_digest
    monkeypatch.setattr(content.hashlib, "file_digest", lambda s, k: hashed.append(s.name) or real(s, k))
    return hashed


@pytest.mark.usefixtures("quiet")
def test_a_large_file_is_hashed_once_and_a_small_one_every_run(tmp_path, monkeypatch):
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(b"a" * content.SMALL)
    small.write_bytes(b"a")
    hashed = counted(monkeypatch)
    for _ in range(2):
        known = Contents(tmp_path / "memory.json")
        for _ in range(2):
            known.digest(large)
            known.digest(small)
        known.save()
    assert [os.path.basename(n) for n in hashed] == ["large", "small", "small"]
    Contents(tmp_path / "memory.json", trust=False).digest(large)
    assert len(hashed) == 4


def test_what_changed_a_moment_ago_is_not_remembered(tmp_path, monkeypatch):
    """Two changes within one tick of the clock look like one; only a file that lay still is known by its times."""
    path = tmp_path / "a"
    path.write_bytes(b"a" * content.SMALL)
    hashed = counted(monkeypatch)
    for _ in range(2):
        known = Contents(tmp_path / "memory.json")
        known.digest(path)
        known.save()
    assert len(hashed) == 2


def test_absent_files_and_torn_memories(tmp_path):
    (tmp_path / "memory.json").write_text('{"a": [1')
    known = Contents(tmp_path / "memory.json")
    assert known.digest(tmp_path / "none") is None
    (tmp_path / "file").write_text("x")
    assert known.digest(tmp_path / "file" / "none") is None


def test_folders_stand_for_their_files(tmp_path):
    (tmp_path / "a" / ".hidden").mkdir(parents=True)
    for name in ("a/1", "a/2", "a/.tmp", "a/.hidden/3", "b"):
        (tmp_path / name).write_text("")
    found = files_below([tmp_path / "b", tmp_path / "a", tmp_path / "a" / "1", tmp_path / "gone"])
    assert [p.relative_to(tmp_path).as_posix() for p in found] == ["a/1", "a/2", "b", "gone"]


def test_hash(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256(path).startswith("ba7816bf8f01cfea")
    assert file_id(sha256(path)) == "ba7816bf8f01cfea"
