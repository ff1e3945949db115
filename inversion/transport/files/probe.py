"""Looking into a file of footprints: what it is, and its variables with damage turned into one error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from obsnet.errors import FormatError, MissingVariableError, nearest
from obsnet.opening import open_netcdf4
from obsnet.reading import refuse_claims
from obsnet.seal import check_file

__all__ = ["NetCDF", "Probe", "open_netcdf", "probe"]


@dataclass(frozen=True)
class Probe:
    """What can be seen of a file without reading its values.

    Parameters
    ----------
    path : Path
        File or folder.
    container : str
        ``netcdf``, ``parquet``, ``fortran``, ``folder`` or ``other``.
    variables : mapping
        netCDF variables (or Parquet columns) and their dimensions.
    attributes : mapping
        Global attributes, or the Parquet schema's metadata.
    """

    path: Path
    container: str
    variables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> str:
        """Say what it is, for an error text."""
        names = ", ".join(list(self.variables)[:8])
        return f"{self.container} with {names}" if names else self.container


def probe(path: str | Path) -> Probe:
    """Look into a file.

    Raises
    ------
    FormatError
        The file is absent, empty, or damaged.
    """
    path = Path(path)
    if path.is_dir():
        return Probe(path, "folder")
    try:
        with open(path, "rb") as stream:
            magic = stream.read(8)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror})") from error
    if magic[:3] == b"CDF" or magic[:4] == b"\x89HDF":
        with open_netcdf(path) as nc:
            attributes = {name: nc.getncattr(name) for name in nc.ncattrs()}
            return Probe(path, "netcdf", {k: v.dimensions for k, v in nc.variables.items()}, attributes)
    if magic[:4] == b"PAR1":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            schema = pq.read_schema(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise FormatError(f"{path}: cannot be read as Parquet ({error})") from error
        metadata = {k.decode(): v for k, v in (schema.metadata or {}).items()}
        return Probe(path, "parquet", dict.fromkeys(schema.names, ()), metadata)
    # HYSPLIT writes unformatted big-endian records; the first is 32 bytes long.
    return Probe(path, "fortran" if magic[:4] == b"\x00\x00\x00\x20" else "other")


class NetCDF:
    """A netCDF file whose damage is a `FormatError` and whose absent variables are a `MissingVariableError`.

    Parameters
    ----------
    path : Path
        Opened at once; closed at the end of a ``with`` block.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        check_file(path)
        try:
            self._file = open_netcdf4(path)
        except (OSError, RuntimeError) as error:
            raise FormatError(f"{path}: cannot be read as netCDF ({error}); is the file cut off?") from error
        self.variables, self.dimensions = self._file.variables, self._file.dimensions
        refuse_claims(path, self.variables)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getitem__(self, name: str) -> Any:
        if name not in self.variables:
            raise MissingVariableError(f"{self.path}: no variable {name!r}{nearest(name, self.variables)}")
        return self.variables[name]

    def ncattrs(self) -> list[str]:
        """Return the names of the global attributes."""
        return list(self._file.ncattrs())

    def getncattr(self, name: str) -> Any:
        """Return a global attribute."""
        return self._file.getncattr(name)


def open_netcdf(path: Path) -> NetCDF:
    """Open a netCDF file."""
    return NetCDF(path)
