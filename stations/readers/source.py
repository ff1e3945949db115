"""An input file as the sniffers see it: its first bytes, its text, its netCDF header."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from obsnet.errors import FormatError

__all__ = ["HEAD_BYTES", "MAX_BYTES", "NetcdfHeader", "Source"]

HEAD_BYTES = 1 << 16
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
        """First 64 KiB as text; empty for netCDF and folders."""
        if self.is_folder or self.is_netcdf:
            return ""
        return decode(self._open(HEAD_BYTES))[0]

    @cached_property
    def lines(self) -> list[str]:
        """Lines of `head`; the last may be cut."""
        return self.head.splitlines()

    def read_bytes(self) -> bytes:
        """Return the whole content, unpacked."""
        return self._open(MAX_BYTES)

    def _open(self, limit: int) -> bytes:
        """Return up to `limit` bytes; a file that holds more than `MAX_BYTES` is refused."""
        whole = limit >= MAX_BYTES
        try:
            if self.magic.startswith(b"\x1f\x8b"):
                with gzip.open(self.path) as stream:
                    data = stream.read(limit + whole)
            elif self.magic.startswith(b"PK\x03\x04"):
                data = self._unzip(limit, whole)
            else:
                with self.path.open("rb") as stream:
                    data = stream.read(limit + whole)
        except (OSError, EOFError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise FormatError(f"{self.path}: cannot be read ({error})") from error
        except Exception as error:  # zlib.error has no common base with the others
            if type(error).__module__ != "zlib":
                raise
            raise FormatError(f"{self.path}: the compressed data are broken ({error})") from error
        if whole and len(data) > MAX_BYTES:
            raise FormatError(f"{self.path}: unpacks to more than {MAX_BYTES >> 20} MiB; split the file")
        return data

    def _unzip(self, limit: int, whole: bool) -> bytes:
        """Return the members of an archive one after another, in the order of their names."""
        out = io.BytesIO()
        with zipfile.ZipFile(self.path) as archive:
            names = sorted(
                n for n in archive.namelist() if not n.endswith("/") and not Path(n).name.startswith(".")
            )
            for name in names:
                with archive.open(name) as member:
                    out.write(member.read(limit + whole - out.tell()))
                if out.tell() >= limit + whole:
                    break
                out.write(b"\n")
        return out.getvalue()

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


def decode(data: bytes) -> tuple[str, bool]:
    """Return text and whether it had to be read as Latin-1 because it is not UTF-8."""
    try:
        return data.decode("utf-8-sig"), False
    except UnicodeDecodeError as error:
        # The head of a file may end inside a character.
        if error.end >= len(data) - 3 and len(data) >= HEAD_BYTES:
            return data.decode("utf-8-sig", errors="ignore"), False
        return data.decode("latin-1"), True
