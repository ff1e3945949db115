"""Seals: our own files carry checksums of their bytes, and nothing is read from a file whose checksums do not hold.

A Parquet file has its seal between its last column and its footer, where no reader looks: a CRC-32 of each column of
each row group, headers of pages included, and of the footer. So the columns that are asked for can be verified alone.
Any other file (netCDF, ``.npz``) has it at its end, which HDF5 and zip ignore: the sha256 of all before it. A JSON
object has the sha256 of its content as an entry.

A file without a seal is another program's, or has been written again by one (which drops the seal); it is held to
its contract only. A seal that was damaged itself is told from none by its place: the content ends, as the content has
it, where a seal began.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Collection, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from obsnet.errors import FormatError
from obsnet.reading import reading

if TYPE_CHECKING:
    import pyarrow.parquet as pq

Part = TypeVar("Part", str, tuple[str, int])

__all__ = ["check_file", "check_parquet", "read_json", "seal_file", "seal_parquet", "sealed_json"]

_WHOLE = b"OBSNETs1"  # ends a file, after 32 bytes of sha256
_COLUMNS = b"OBSNETp1"  # ends the seal of a Parquet file, before the footer
_ENDING = struct.Struct("<III")  # number of columns, CRC of the footer, CRC of the columns' CRCs
_BLOCK = 1 << 22
# Columns, and columns of row groups, by file, of this process.
_verified: dict[tuple[object, ...], set[str | tuple[str, int]]] = {}


def seal_file(path: Path) -> None:
    """Add the sha256 of a file's bytes to its end."""
    with open(path, "r+b") as stream:
        digest = hashlib.file_digest(stream, "sha256").digest()
        stream.seek(0, os.SEEK_END)
        stream.write(digest + _WHOLE)


def check_file(path: str | os.PathLike[str]) -> bool:
    """Verify a sealed file; False where there is no seal, or no file.

    Raises
    ------
    FormatError
        The bytes are not those that were written.
    """
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            length = size - 32 - len(_WHOLE)
            if length < 0:
                return False
            stream.seek(length)
            said, mark = stream.read(32), stream.read()
            if mark != _WHOLE:
                if _content_ends(stream, length):
                    raise _damaged(path, "its seal")
                return False
            if _known(stream, {"*"}):
                return True
            stream.seek(0)
            digest = hashlib.sha256()
            while length and (block := stream.read(min(length, _BLOCK))):
                digest.update(block)
                length -= len(block)
            if digest.digest() != said:
                raise _damaged(path, "its bytes")
            _remember(stream, {"*"})
            return True
    except (FileNotFoundError, IsADirectoryError):
        return False


def seal_parquet(path: Path) -> None:
    """Put checksums of columns and footer into a Parquet file that has just been written."""
    import pyarrow.parquet as pq

    with open(path, "r+b") as stream:
        start, footer = _footer(stream)
        sums = [_sum(stream, *_range(c)) for _, c in _chunks(pq.read_metadata(path))]
        body = struct.pack(f"<{len(sums)}I", *sums)
        ending = _ENDING.pack(len(sums), zlib.crc32(footer), zlib.crc32(body))
        stream.seek(start)
        stream.write(body + ending + _COLUMNS + footer)


def check_parquet(
    path: str | os.PathLike[str],
    columns: Collection[str] | None = None,
    groups: Collection[int] | None = None,
) -> pq.FileMetaData:
    """Verify the footer and some columns of a Parquet file and return what the footer says.

    Parameters
    ----------
    path : path
        File; one without a seal is only opened.
    columns : collection of str, optional
        Names of top-level columns to verify; all by default.
    groups : collection of int, optional
        Row groups in which to verify them; all by default.

    Raises
    ------
    FormatError
        No Parquet file, or bytes that are not those that were written.
    """
    import pyarrow.parquet as pq

    with reading(path, "Parquet"), open(path, "rb") as stream:
        start, footer = _footer(stream)
        sums = _sums(stream, start, footer, path)
        metadata = pq.read_metadata(BytesIO(b"PAR1" + footer))
        if sums is None and _seal_ends(metadata) == start:
            raise _damaged(path, "its seal")
        if sums is not None:
            names = [metadata.schema.column(i).path.split(".")[0] for i in range(metadata.num_columns)]
            if len(names) * metadata.num_row_groups != len(sums):
                raise _damaged(path, "its seal")
            wanted = set(names) if columns is None else set(columns) & set(names)
            every = range(metadata.num_row_groups) if groups is None else groups
            wanted -= _known(stream, wanted)
            done = _known(stream, {(name, k) for name in wanted for k in every})
            for k in every if wanted else ():
                group = metadata.row_group(k)
                for i, name in enumerate(names):
                    if name not in wanted or (name, k) in done:
                        continue
                    if _sum(stream, *_range(group.column(i))) != sums[k * len(names) + i]:
                        raise _damaged(path, f"column {name!r}")
            _remember(stream, wanted if groups is None else {(name, k) for name in wanted for k in every})
        return metadata


def sealed_json(data: Mapping[str, Any]) -> str:
    """Return a JSON object as text that holds the sha256 of its own content."""
    return json.dumps({**data, "sha256": _digest(data)}, indent=1, ensure_ascii=False) + "\n"


def read_json(path: str | os.PathLike[str], *, sealed: bool = False) -> dict[str, Any]:
    """Read a JSON object and verify it where it is sealed.

    Parameters
    ----------
    path : path
    sealed : bool
        Refuse one without a seal: what can be made again is not believed where its seal is damaged too.

    Raises
    ------
    FormatError
        The file cannot be read, is no JSON object, or changed since it was written.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(data, dict):
        raise FormatError(f"{path}: no JSON object")
    said = data.pop("sha256", None)
    if sealed and said is None:
        raise FormatError(f"{path}: lost its seal")
    if said is not None and said != _digest(data):
        raise _damaged(path, "its content")
    return data


def _digest(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _damaged(path: str | os.PathLike[str], what: str) -> FormatError:
    return FormatError(
        f"{path}: {what} changed since the file was written (checksum); delete it and run what made it again"
    )


def _footer(stream: BinaryIO) -> tuple[int, bytes]:
    """Return where the footer begins, and it with its length and the mark at the end."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(size - 8, 0))
    ending = stream.read()
    length = int.from_bytes(ending[:4], "little")
    if size < 12 or ending[4:] != b"PAR1" or length > size - 12:
        raise ValueError("it ends before its footer")
    start = size - 8 - length
    stream.seek(start)
    return start, stream.read()


def _sums(stream: BinaryIO, start: int, footer: bytes, path: str | os.PathLike[str]) -> list[int] | None:
    """Return the columns' checksums, None where the file has no seal."""
    fixed = _ENDING.size + len(_COLUMNS)
    if start < fixed:
        return None
    stream.seek(start - fixed)
    ending, mark = stream.read(_ENDING.size), stream.read(len(_COLUMNS))
    if mark != _COLUMNS:
        return None
    count, of_footer, of_body = _ENDING.unpack(ending)
    first = start - fixed - 4 * count
    if first < 0:
        raise _damaged(path, "its seal")
    stream.seek(first)
    body = stream.read(4 * count)
    if zlib.crc32(body) != of_body:
        raise _damaged(path, "its seal")
    if zlib.crc32(footer) != of_footer:
        raise _damaged(path, "its footer")
    return list(struct.unpack(f"<{count}I", body))


def _seal_ends(metadata: pq.FileMetaData) -> int:
    """Return where a seal would end that follows the columns; -1 where the writer put something else there."""
    if not metadata.num_row_groups or not str(metadata.created_by).startswith("parquet-cpp-arrow"):
        return -1
    last = metadata.row_group(metadata.num_row_groups - 1)
    chunks = [last.column(i) for i in range(last.num_columns)]
    if any(
        c.has_offset_index or c.has_column_index or getattr(c, "bloom_filter_offset", None) for c in chunks
    ):
        return -1
    sums = 4 * metadata.num_row_groups * len(chunks)
    return max((sum(_range(c)) for c in chunks), default=0) + sums + _ENDING.size + len(_COLUMNS)


def _content_ends(stream: BinaryIO, place: int) -> bool:
    """Tell whether the file is netCDF-4 or a zip that ends at a place before its end, as itself has it."""
    stream.seek(0)
    head = stream.read(48)
    if head[:8] == b"\x89HDF\r\n\x1a\n":  # end of file in the superblock, versions 0 and 1, and 2 and 3
        at = {0: 40, 1: 44, 2: 28, 3: 28}.get(head[8], len(head))
        return int.from_bytes(head[at : at + 8], "little") == place
    stream.seek(max(place - 22, 0))
    ending = stream.read(
        22
    )  # of the central directory; its last two bytes are the length of a comment that follows
    return ending[:4] == b"PK\x05\x06" and ending[-2:] == b"\0\0"


def _chunks(metadata: pq.FileMetaData) -> list[tuple[str, pq.ColumnChunkMetaData]]:
    """Return top-level name and description of each column of each row group."""
    groups = (metadata.row_group(k) for k in range(metadata.num_row_groups))
    columns = (group.column(i) for group in groups for i in range(group.num_columns))
    return [(c.path_in_schema.split(".")[0], c) for c in columns]


def _range(chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    """Return where a column's pages begin, the dictionary's too, and how many bytes they take."""
    starts = [chunk.data_page_offset]
    if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
        starts.append(chunk.dictionary_page_offset)
    return min(starts), chunk.total_compressed_size


def _sum(stream: BinaryIO, start: int, length: int) -> int:
    stream.seek(start)
    total = 0
    while length and (block := stream.read(min(length, _BLOCK))):
        total = zlib.crc32(block, total)
        length -= len(block)
    return total


def _identity(stream: BinaryIO) -> tuple[object, ...]:
    about = os.fstat(stream.fileno())
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _known(stream: BinaryIO, columns: set[Part]) -> set[Part]:
    """Return which columns this process has verified already: a part is opened again for each batch of rows."""
    return {c for c in columns if c in _verified.get(_identity(stream), ())}


def _remember(stream: BinaryIO, columns: Collection[str | tuple[str, int]]) -> None:
    if len(_verified) > 100_000:
        _verified.clear()
    _verified.setdefault(_identity(stream), set()).update(columns)
