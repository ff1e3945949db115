"""An input file as the sniffers see it: its first bytes, its text, its netCDF header."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from obsnet.errors import FormatError

__all__ = ["HEAD_BYTES", "MAX_BYTES", "NetcdfHeader", "Source"]

HEAD_BYTES = 1 << 18
MAX_BYTES = 2 << 30  # a station's file is never larger; a small archive that unpacks to more is an attack
_NETCDF_MAGIC = (b"\x89HDF", b"CDF\x01", b"CDF\x02", b"CDF\x05")


@dataclass(frozen=True)
class NetcdfHeader:
    """Dimensions, variable attributes and global attributes of a netCDF file."""

    dims: Mapping[str, int]
    variables: Mapping[str, Mapping[str, Any]]
    attrs: Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """A file, or a folder of hourly files, opened as far as a question asks.

    Parameters
    ----------
    path : Path
        Plain, ``.gz`` or ``.zip`` (unpacked in memory only, at most `MAX_BYTES`), or a folder.
    options : mapping
        What the caller said: ``stamp``, ``config``, ``site`` ...
    """

    path: Path
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """File name without ``.gz``, ``.zip``."""
        return self.path.name.removesuffix(".gz").removesuffix(".zip")

    @property
    def is_folder(self) -> bool:
        """Whether the path is a folder."""
        return self.path.is_dir()

    @cached_property
    def magic(self) -> bytes:
        """First eight bytes."""
        if self.is_folder:
            return b""
        with self.path.open("rb") as stream:
            return stream.read(8)

    @property
    def is_netcdf(self) -> bool:
        """Whether the file is netCDF or HDF5."""
        return self.magic.startswith(_NETCDF_MAGIC)

    @cached_property
    def head(self) -> str:
        """First 256 KiB as text; empty for netCDF and folders."""
        if self.is_folder or self.is_netcdf:
            return ""
        return decode(self._first())[0]

    @cached_property
    def lines(self) -> list[str]:
        """Lines of `head`; the last may be cut."""
        return self.head.splitlines()

    def read_bytes(self) -> bytes:
        """Return the content of the one file that the path, or the archive, holds."""
        parts = self.parts()
        if len(parts) != 1:
            raise FormatError(f"{self.path}: holds {len(parts)} files; give them one by one")
        return parts[0][1]

    def parts(self) -> list[tuple[str, bytes]]:
        """Return (name, content) of the file, of each member of an archive, or of each file of a folder.

        Archives are unpacked in memory only; together no more than `MAX_BYTES` are taken.
        """
        paths = [self.path]
        if self.is_folder:
            paths = sorted(p for p in self.path.iterdir() if p.is_file() and p.name[0] != ".")
        found: list[tuple[str, bytes]] = []
        left = MAX_BYTES
        for path in paths:
            for name, data in _members(path, left):
                found.append((name, data))
                left -= len(data)
        return found

    def _first(self) -> bytes:
        """Return the first bytes of the file or of the first member."""
        return next(iter(_members(self.path, HEAD_BYTES, cut=True)), ("", b""))[1]

    @cached_property
    def netcdf(self) -> NetcdfHeader | None:
        """Header of a netCDF file; None for others."""
        if not self.is_netcdf:
            return None
        import netCDF4

        try:
            with netCDF4.Dataset(self.path) as file:
                return NetcdfHeader(
                    {k: len(v) for k, v in file.dimensions.items()},
                    {k: {a: v.getncattr(a) for a in v.ncattrs()} for k, v in file.variables.items()},
                    {a: file.getncattr(a) for a in file.ncattrs()},
                )
        except (OSError, RuntimeError, UnicodeDecodeError) as error:
            raise FormatError(f"{self.path}: cannot be opened as netCDF ({error})") from error


def _members(path: Path, limit: int, *, cut: bool = False) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of a plain, gzipped or zipped file; beyond `limit` bytes it is cut or refused."""
    with path.open("rb") as stream:
        magic = stream.read(4)
    try:
        if magic == b"PK\x03\x04":
            with zipfile.ZipFile(path) as archive:
                names = sorted(n for n in archive.namelist() if n[-1] != "/" and Path(n).name[0] != ".")
                for name in names:
                    with archive.open(name) as member:
                        data = _take(member, limit, path, cut)
                    yield Path(name).name, data
                    if cut:
                        return
                    limit -= len(data)
        else:
            gzipped = magic[:2] == b"\x1f\x8b"
            with gzip.open(path) if gzipped else path.open("rb") as stream:
                yield path.name.removesuffix(".gz") if gzipped else path.name, _take(stream, limit, path, cut)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise FormatError(f"{path}: cannot be read ({error})") from error


def _take(stream: Any, limit: int, path: Path, cut: bool) -> bytes:
    """Return all of a stream, chunk by chunk: an archive's own word on its size is not believed."""
    if cut:
        return stream.read(limit)
    if isinstance(stream, io.BufferedReader) and path.stat().st_size <= limit:
        return stream.read()
    chunks, size = [], 0
    while chunk := stream.read(1 << 24):
        size += len(chunk)
        if size > limit:
            raise FormatError(f"{path}: holds more than {MAX_BYTES >> 20} MiB; split it")
        chunks.append(chunk)
    return b"".join(chunks)


def decode(data: bytes) -> tuple[str, bool]:
    """Return text and whether it had to be read as Latin-1 because it is not UTF-8."""
    try:
        return data.decode("utf-8-sig"), False
    except UnicodeDecodeError as error:
        # The head of a file may end inside a character.
        if error.end >= len(data) - 3 and len(data) >= HEAD_BYTES:
            return data.decode("utf-8-sig", errors="ignore"), False
        return data.decode("latin-1"), True
