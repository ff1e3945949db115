"""Records that this package itself wrote, for instance after quality control."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stations.readers.choice import NoSpeciesError
from stations.record.file import MARK, read_record
from stations.record.source import Source

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["read", "sniff"]


def sniff(source: Source) -> bool:
    """Tell whether a file is a record of this package."""
    header = source.netcdf
    return header is not None and MARK in header.attrs


def read(source: Source, species: str | None = None) -> list[xr.Dataset]:
    """Read a processed record; see `stations.readers.read`."""
    record = read_record(source)
    if species not in {None, "*"} and str(species).upper() != str(record.attrs.get("species", "")).upper():
        raise NoSpeciesError(f"{source.where}: holds {record.attrs.get('species')}, not {species}")
    return [record]
