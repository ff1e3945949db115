"""Containers of variables: HDF5 and netCDF-4, netCDF-3, and text tables, all behind the same few calls.

h5py is used for netCDF-4 too: it is the faster of the two and may be imported beside other threads.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from obsnet.errors import FormatError, MissingVariableError, nearest
from obsnet.opening import open_h5py
from obsnet.reading import refuse_claim, refuse_long_lines, refuse_long_numbers

__all__ = ["Container", "block_rows", "open_source"]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
_TEXT_SUFFIXES = {".csv", ".txt", ".dat", ".tsv"}
_BLOCK = 4096  # rows of a pretended chunk where a variable is stored in one piece


class Container(Protocol):
    """An open file of named variables; use it as a context manager."""

    path: Path

    def __enter__(self) -> Self: ...
    def __exit__(self, *_error: object) -> None: ...
    def __contains__(self, name: str) -> bool: ...

    def names(self) -> list[str]:
        """Return the paths of all variables."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a variable."""

    def chunk(self, name: str, axis: int) -> int:
        """Return the length along an axis that is read in one go."""

    def attributes(self, name: str | None = None) -> dict[str, Any]:
        """Return the attributes of a variable, or of the file; text as str, one-element arrays as scalars."""

    def read(self, name: str, part: tuple[slice, ...] | None = None) -> np.ndarray:
        """Read a variable, or a part of it, as stored."""


def open_source(path: str | os.PathLike[str]) -> Container:
    """Open a file by its first bytes, whatever its name says.

    Raises
    ------
    FormatError
        The file is absent, empty, truncated or of no known kind; the text says which.
    """
    path = Path(path)
    try:
        with open(path, "rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise FormatError(f"{path}: cannot be opened ({error.strerror})") from error
    if not head:
        raise FormatError(f"{path}: empty file (0 bytes)")
    if head.startswith(_HDF5):
        return _Hdf5(path)
    if head[:3] == b"CDF" and head[3:4] in b"\x01\x02":
        return _NetCdf3(path)
    if packed := next((kind for mark, kind in _PACKED.items() if head.startswith(mark)), None):
        raise FormatError(f"{path}: is packed ({packed}); unpack it first")
    if path.suffix.lower() in _TEXT_SUFFIXES:
        return _Text(path)
    shown = head.decode("ascii", "replace").split("\n")[0].strip()
    raise FormatError(f"{path}: not an HDF5 or netCDF file; it begins with {shown!r}")


def _plain(value: Any) -> Any:
    """Turn an attribute into a str, a number or an array."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        if value.size == 1:
            return _plain(value.reshape(-1)[0])
        if value.dtype.kind in "OS":
            return np.array([_plain(v) for v in value.reshape(-1)])
        return value
    return str(value) if isinstance(value, str) else value


class _Base:
    path: Path

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""

    def names(self) -> list[str]:
        raise NotImplementedError

    def _missing(self, name: str) -> MissingVariableError:
        return MissingVariableError(f"{self.path}: no variable {name!r}{nearest(name, self.names())}")


class _Hdf5(_Base):
    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = open_h5py(path)
            self._open: dict[str, Any] = {}
            self._attributes: dict[str | None, dict[str, Any]] = {}
        except OSError as error:
            raise FormatError(f"{path}: broken HDF5 file ({_short(error)})") from error

    def close(self) -> None:
        self._file.close()

    def _find(self, name: str) -> Any:
        """Return a dataset, None where there is none; looking one up costs more than asking a dictionary."""
        if name not in self._open:
            import h5py

            try:
                found = self._file.get(name)
            except (OSError, RuntimeError) as error:
                raise FormatError(f"{self.path}: {name} cannot be found ({_short(error)})") from error
            self._open[name] = found if isinstance(found, h5py.Dataset) else None
        return self._open[name]

    def _get(self, name: str) -> Any:
        found = self._find(name)
        if found is None:
            raise self._missing(name)
        return found

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    def names(self) -> list[str]:
        import h5py

        found: list[str] = []
        self._file.visititems(
            lambda name, node: found.append(name) if isinstance(node, h5py.Dataset) else None
        )
        return found

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._get(name).shape)

    def chunk(self, name: str, axis: int) -> int:
        chunks = self._get(name).chunks
        return _BLOCK if chunks is None else int(chunks[axis])

    def attributes(self, name: str | None = None) -> dict[str, Any]:
        if name not in self._attributes:
            self._attributes[name] = self._read_attributes(name)
        return self._attributes[name]

    def _read_attributes(self, name: str | None) -> dict[str, Any]:
        node = self._file if name is None else self._get(name)
        skip = {"DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME", "_Netcdf4Dimid", "_Netcdf4Coordinates"}
        try:
            return {key: _plain(node.attrs[key]) for key in node.attrs if key not in skip}
        except (OSError, RuntimeError) as error:
            raise FormatError(
                f"{self.path}: attributes of {name or 'the file'} cannot be read ({_short(error)})"
            ) from error

    def read(self, name: str, part: tuple[slice, ...] | None = None) -> np.ndarray:
        dataset = self._get(name)
        items = math.prod(_lengths(dataset.shape, part))
        refuse_claim(self.path, name, items * dataset.dtype.itemsize)
        try:
            return np.asarray(dataset[() if part is None else part])
        except (OSError, RuntimeError, ValueError) as error:
            raise FormatError(f"{self.path}: {name} cannot be read ({_short(error)})") from error


class _NetCdf3(_Base):
    def __init__(self, path: Path) -> None:
        from scipy.io import netcdf_file

        self.path = path
        try:
            self._file = netcdf_file(path, "r", mmap=False)
        except (OSError, ValueError, TypeError, IndexError) as error:
            raise FormatError(f"{path}: broken netCDF-3 file ({_short(error)})") from error

    def close(self) -> None:
        self._file.close()

    def _get(self, name: str) -> Any:
        if name not in self._file.variables:
            raise self._missing(name)
        return self._file.variables[name]

    def __contains__(self, name: str) -> bool:
        return name in self._file.variables

    def names(self) -> list[str]:
        return list(self._file.variables)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._get(name).shape)

    def chunk(self, name: str, axis: int) -> int:
        return _BLOCK

    def attributes(self, name: str | None = None) -> dict[str, Any]:
        node = self._file if name is None else self._get(name)
        return {key: _plain(value) for key, value in node._attributes.items()}

    def read(self, name: str, part: tuple[slice, ...] | None = None) -> np.ndarray:
        return np.array(self._get(name)[() if part is None else part])


class _Text(_Base):
    """A delimited table: one header line, ``#`` comments; ``name_1, name_2 …`` make one profile ``name``.

    A comment ``# unit NAME = UNIT`` gives a column's unit, ``# KEY = VALUE`` an attribute of the file.
    """

    def __init__(self, path: Path) -> None:
        import pandas as pd

        self.path = path
        try:
            data = path.read_bytes()
            refuse_long_lines(path, data)
            lines = data.decode("utf-8-sig").splitlines()
            rows = "\n".join(line for line in lines if not line.startswith("#"))
            table = pd.read_csv(io.StringIO(rows), sep=_separator(rows), comment="#", skipinitialspace=True)
        except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
            raise FormatError(f"{path}: not a delimited text table ({_short(error)})") from error
        refuse_long_numbers(path, table)
        self._attributes: dict[str, Any] = {}
        self._units: dict[str, str] = {}
        for line in lines:
            key, equals, value = line.lstrip("# ").partition("=")
            if line.startswith("#") and equals:
                unit = key.strip().removeprefix("unit ").strip() if key.strip().startswith("unit ") else None
                target, name = (self._units, unit) if unit else (self._attributes, key.strip())
                target[name] = value.strip()
        self._columns = _group_columns(table)

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def names(self) -> list[str]:
        return list(self._columns)

    def _get(self, name: str) -> np.ndarray:
        if name not in self._columns:
            raise self._missing(name)
        return self._columns[name]

    def shape(self, name: str) -> tuple[int, ...]:
        return self._get(name).shape

    def chunk(self, name: str, axis: int) -> int:
        return _BLOCK

    def attributes(self, name: str | None = None) -> dict[str, Any]:
        if name is None:
            return dict(self._attributes)
        return {"units": self._units[name]} if name in self._units else {}

    def read(self, name: str, part: tuple[slice, ...] | None = None) -> np.ndarray:
        column = self._get(name)
        return column if part is None else column[part]


def _separator(rows: str) -> str:
    """Return what separates the columns of a table, told by its first line: the commonest of the usual ones."""
    first = rows.partition("\n")[0]
    found = max(",;\t|", key=first.count)
    return found if found in first else r"\s+"


def _lengths(shape: tuple[int, ...], part: tuple[slice, ...] | None) -> list[int]:
    """Return the lengths of a part of a variable."""
    cut = part or ()
    return [len(range(*s.indices(n))) for s, n in zip(cut, shape, strict=False)] + list(shape[len(cut) :])


def _group_columns(table: Any) -> dict[str, np.ndarray]:
    """Join columns ``name_1 … name_n`` into one array (rows, n)."""
    import re

    groups: dict[str, dict[int, str]] = {}
    for column in map(str, table.columns):
        match = re.fullmatch(r"(.+)_(\d+)", column.strip())
        if match:
            groups.setdefault(match[1], {})[int(match[2])] = column
    result = {str(c).strip(): table[c].to_numpy() for c in table.columns}
    for name, members in groups.items():
        if len(members) > 1 and name not in result:
            result[name] = np.column_stack([table[members[k]].to_numpy() for k in sorted(members)])
    return result


def _short(error: BaseException) -> str:
    """Return the first line of a library's error text, trimmed."""
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else text[:157] + "…"


def block_rows(read: Callable[[slice], np.ndarray], rows: np.ndarray, length: int, chunk: int) -> np.ndarray:
    """Read the chosen rows of a long variable, touching only the chunks that hold one.

    Parameters
    ----------
    read : callable
        ``read(slice)`` returns those rows.
    rows : ndarray of int, ascending
        Wanted rows.
    length : int
        All rows.
    chunk : int
        Rows stored together.

    Returns
    -------
    ndarray, shape (len(rows), …)
    """
    parts = []
    for first, last in _runs(np.flatnonzero(np.bincount(rows // chunk))):
        start, stop = first * chunk, min((last + 1) * chunk, length)
        inside = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)]
        block = read(slice(start, stop))
        parts.append(block if len(inside) == stop - start else block.take(inside - start, axis=0))
    if not parts:
        return read(slice(0, 0))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _runs(numbers: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield first and last of each run of consecutive numbers."""
    if len(numbers) == 0:
        return
    breaks = np.flatnonzero(np.diff(numbers) > 1)
    for first, last in zip(np.r_[0, breaks + 1], np.r_[breaks, len(numbers) - 1], strict=True):
        yield int(numbers[first]), int(numbers[last])
