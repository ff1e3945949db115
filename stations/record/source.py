"""An input file as the sniffers see it: its first bytes, its text, its netCDF header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from obsnet.errors import FormatError
from obsnet.opening import open_netcdf4
from obsnet.reading import reading, refuse_long_lines
from stations.record.containers import is_packed, plain_name, unpack

__all__ = ["HEAD_BYTES", "NetcdfHeader", "Source", "decode", "is_chinese"]

HEAD_BYTES = 1 << 18
_ODD = 0.02  # share of runs of high bytes of odd length: GBK's rare characters have a low second byte
_NETCDF_MAGIC = (b"\x89HDF", b"CDF\x01", b"CDF\x02", b"CDF\x05")


@dataclass(frozen=True)
class NetcdfHeader:
    """Dimensions, variable attributes and global attributes of a netCDF file."""

    dims: Mapping[str, int]
    variables: Mapping[str, Mapping[str, Any]]
    attrs: Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """A file, a member of an archive, or a folder of hourly files, opened as far as a question asks.

    Parameters
    ----------
    path : Path
        Plain, compressed (``.gz``, ``.bz2``, ``.xz``), an archive (``.zip``, ``.tar``) or a folder.
    options : mapping
        What the caller said: ``stamp``, ``config``, ``site`` ...
    member : (str, bytes), optional
        Name and content of the member of the archive that is meant.
    """

    path: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    member: tuple[str, bytes] | None = None

    @property
    def name(self) -> str:
        """Name of the file or member without what tells of compression."""
        return plain_name(self.member[0] if self.member else self.path.name)

    @property
    def where(self) -> str:
        """The path, and the member of an archive, for people."""
        return f"{self.path}:{self.member[0]}" if self.member else str(self.path)

    @property
    def is_folder(self) -> bool:
        """Whether the path is a folder."""
        return self.path.is_dir()

    @cached_property
    def inside(self) -> list[tuple[str, bytes]]:
        """Name and content of everything a packed file holds, or of the one member that is meant; else nothing."""
        if self.member:
            return [self.member]
        with reading(self.path):
            return [] if self.is_folder or not is_packed(self.path) else unpack(self.path)

    def members(self) -> list[Source]:
        """Return the members of an archive of several, each as a source; else the source itself."""
        if self.member or len(self.inside) < 2:
            return [self]
        return [Source(self.path, self.options, part) for part in self.inside]

    @cached_property
    def magic(self) -> bytes:
        """First eight bytes, unpacked; nothing of a folder or an archive of several."""
        return self._start(8)

    def _start(self, size: int) -> bytes:
        if self.is_folder or len(self.inside) > 1:
            return b""
        if self.inside:
            return self.inside[0][1][:size]
        with self.path.open("rb") as stream:
            return stream.read(size)

    @property
    def is_netcdf(self) -> bool:
        """Whether the file is netCDF or HDF5."""
        return self.magic.startswith(_NETCDF_MAGIC)

    @property
    def is_workbook(self) -> bool:
        """Whether the file is a workbook: xlsx, the only zip that is not unpacked, or xls."""
        return self.magic.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0"))

    @cached_property
    def head(self) -> str:
        """First 256 KiB as text; empty for netCDF, workbooks and folders."""
        return "" if self.is_netcdf or self.is_workbook else decode(self._start(HEAD_BYTES))[0]

    @cached_property
    def lines(self) -> list[str]:
        """Lines of `head`; the last may be cut."""
        return self.head.splitlines()

    def read_bytes(self) -> bytes:
        """Return the content of the one file that the path, or the archive, holds."""
        parts = self.parts()
        if len(parts) != 1:
            raise FormatError(f"{self.path}: holds {len(parts)} files; give them one by one")
        data = parts[0][1]
        if self.is_netcdf or self.is_workbook:
            return data
        text = _unix(data)
        refuse_long_lines(self.where, text)
        return text

    def parts(self) -> list[tuple[str, bytes]]:
        """Return (name, content) of the file, of each member of an archive, or of each file of a folder."""
        if self.is_folder:
            files = sorted(p for p in self.path.iterdir() if p.is_file() and p.name[0] != ".")
            return [part for p in files for part in unpack(p)]
        return self.inside or unpack(self.path)

    @cached_property
    def netcdf(self) -> NetcdfHeader | None:
        """Header of a netCDF file; None for others."""
        if not self.is_netcdf:
            return None
        try:
            with self.dataset() as file:
                return NetcdfHeader(
                    {k: len(v) for k, v in file.dimensions.items()},
                    {k: {a: v.getncattr(a) for a in v.ncattrs()} for k, v in file.variables.items()},
                    {a: file.getncattr(a) for a in file.ncattrs()},
                )
        except (OSError, RuntimeError, UnicodeDecodeError) as error:
            raise FormatError(f"{self.where}: cannot be opened as netCDF ({error})") from error

    def dataset(self) -> Any:
        """Return the open `netCDF4.Dataset` of a netCDF file, unpacked in memory where it is packed."""
        return open_netcdf4(*self.inside[0]) if self.inside else open_netcdf4(self.path)


def _unix(data: bytes) -> bytes:
    """Return a text whose lines end in CR alone, as old Macintoshes wrote them, with line feeds."""
    return data.replace(b"\r", b"\n") if b"\r" in data and b"\n" not in data else data


def decode(data: bytes) -> tuple[str, str]:
    """Return text and, where it is not UTF-8, how it was read: ``"GB18030"`` (Chinese) or ``"Latin-1"``."""
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        # The head of a file may end inside a character.
        if error.end >= len(data) - 3 and len(data) >= HEAD_BYTES:
            return data.decode("utf-8-sig", errors="ignore"), ""
    if is_chinese(data):
        return data.decode("gb18030", errors="ignore"), "GB18030"
    return data.decode("latin-1"), "Latin-1"


def is_chinese(data: bytes) -> bool:
    """Tell whether bytes are Chinese text in GB2312, GBK or GB18030: its high bytes come in pairs, Latin-1's singly."""
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", data)]
    if not runs or sum(n % 2 for n in runs) > _ODD * len(runs):
        return False
    try:
        data[: data.rfind(b"\n") + 1 or len(data)].decode("gb18030")
    except UnicodeDecodeError:
        return False
    return True
