"""What is inside a file: itself, unpacked where it is compressed, or the members of an archive.

Everything is unpacked in memory and never by a member's own word on its size; together no more than `MAX_BYTES`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from obsnet.errors import FormatError
from obsnet.reading import reading

__all__ = ["MAX_BYTES", "is_packed", "plain_name", "unpack"]

MAX_BYTES = 2 << 30  # a station's file is never larger; a small archive that unpacks to more is an attack
_CHUNK = 1 << 24
_DEPTH = 3  # a gzipped file in a tar in a zip
_STREAMS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_SUFFIXES = (".gz", ".bz2", ".xz", ".zip", ".tar", ".tgz")
_ZIP = b"PK\x03\x04"
_WORKBOOK = "xl/workbook.xml"


def plain_name(name: str) -> str:
    """Return a file's name without the suffixes of compression and archives."""
    while (found := next((s for s in _SUFFIXES if name.lower().endswith(s)), None)) and len(name) > len(
        found
    ):
        name = name[: -len(found)]
    return name


def is_packed(path: Path) -> bool:
    """Tell whether a file is compressed or an archive, from its first bytes; a workbook (xlsx) is not."""
    with path.open("rb") as stream:
        start = stream.read(512)
    return _kind(start) is not None and not (start.startswith(_ZIP) and _is_workbook(path.read_bytes()))


def _kind(data: bytes) -> str | None:
    if data.startswith(_ZIP):
        return "zip"
    if data[257:262] == b"ustar":
        return "tar"
    return "stream" if any(data.startswith(magic) for magic in _STREAMS) else None


def _is_workbook(data: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _WORKBOOK in archive.namelist()
    except zipfile.BadZipFile:
        return False


def unpack(path: Path, limit: int | None = None) -> list[tuple[str, bytes]]:
    """Return (name, content) of a plain file, of what a compressed one holds, or of each member of an archive.

    Raises
    ------
    FormatError
        The file is broken, or holds more than `limit` bytes (`MAX_BYTES`).
    """
    left = _Budget(path, MAX_BYTES if limit is None else limit)
    with reading(path):
        with path.open("rb") as stream:
            data = left.take(stream)
        return list(_inside(path.name, data, left, _DEPTH))


class _Budget:
    """How many bytes may still be unpacked."""

    def __init__(self, path: Path, limit: int) -> None:
        self.path, self.limit, self.left = path, limit, limit

    def take(self, stream: Any) -> bytes:
        """Return all of a stream, chunk by chunk."""
        chunks = []
        while chunk := stream.read(_CHUNK):
            self.left -= len(chunk)
            if self.left < 0:
                raise FormatError(f"{self.path}: holds more than {self.limit >> 20} MiB; split it")
            chunks.append(chunk)
        return b"".join(chunks)


def _inside(name: str, data: bytes, left: _Budget, depth: int) -> Iterator[tuple[str, bytes]]:
    kind = _kind(data)
    if kind is None or depth == 0 or (kind == "zip" and _is_workbook(data)):
        yield name, data
    elif kind == "stream":
        opener = next(o for magic, o in _STREAMS.items() if data.startswith(magic))
        with opener(io.BytesIO(data)) as stream:
            yield from _inside(name, left.take(stream), left, depth - 1)
    elif kind == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in sorted(n for n in archive.namelist() if n[-1] != "/" and _shown(n)):
                with archive.open(member) as stream:
                    yield from _inside(Path(member).name, left.take(stream), left, depth - 1)
    else:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            members = sorted((m for m in archive if m.isfile() and _shown(m.name)), key=lambda m: m.name)
            for info in members:
                stream = archive.extractfile(info)
                if stream is not None:
                    yield from _inside(Path(info.name).name, left.take(stream), left, depth - 1)


def _shown(member: str) -> bool:
    """Tell whether a member is a file of the user's: not hidden, not what macOS adds."""
    return Path(member).name[:1] not in {".", ""} and "__MACOSX" not in member
