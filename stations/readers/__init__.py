"""Read any station file, ``stations.read(path)``: a table of formats and the choice among them by content."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obsnet.config import resolve_files
from obsnet.errors import ConfigError, FormatError, nearest
from obsnet.reading import reading
from obsnet.work.isolated import apart
from stations.readers.choice import ALL
from stations.record.source import Source

if TYPE_CHECKING:
    import xarray as xr


__all__ = ["READERS", "Reader", "companions", "expand", "find_reader", "read", "read_all", "read_apart"]

OPTIONS = ("site", "scale", "stamp", "config", "precisions")


@dataclass(frozen=True)
class Reader:
    """A format; the module has ``sniff(source) -> bool`` and ``read(source, species) -> list of Dataset``.

    Parameters
    ----------
    name : str
        For ``format=`` and ``--format``.
    module : str
        Imported when first asked.
    about : str
        For people.
    """

    name: str
    module: str
    about: str

    def sniff(self, source: Source) -> bool:
        """Tell whether a file is of this format."""
        with reading(source.path):
            return bool(import_module(self.module).sniff(source))

    def read(self, source: Source, species: str | None) -> list[xr.Dataset]:
        """Return the records of one species, of all (``"*"``), or of the one meant by default (None)."""
        with reading(source.path, self.name):
            return import_module(self.module).read(source, species)


# Asked in this order; the more particular first.
READERS = (
    Reader("custom", "stations.readers.custom", "a table of your own that a TOML describes"),
    Reader(
        "obsnet_record", "stations.readers.obsnet_record", "a record processed and written by this package"
    ),
    Reader("obspack", "stations.readers.obspack", "ObsPack netCDF, NOAA and European dialect"),
    Reader("tccon", "stations.readers.tccon", "TCCON public netCDF, GGG2014 and GGG2020 (columns)"),
    Reader("agage", "stations.readers.agage", "AGAGE archive netCDF"),
    Reader(
        "picarro",
        "stations.readers.picarro",
        "raw Picarro DataLog_User: file, .gz, .zip or folder of hourly files",
    ),
    Reader(
        "noaa_text",
        "stations.readers.noaa",
        "NOAA GML event, hourly, daily, monthly text, since 2021 and before",
    ),
    Reader("wdcgg", "stations.readers.wdcgg", "WDCGG text, 2021 and present layout"),
    Reader("wdcgg_monthly", "stations.readers.wdcgg_monthly", "WDCGG's old monthly files with REM header"),
    Reader("icos", "stations.readers.icos", "ICOS ATC Level 2 and flask text, older .dat, portal CSV"),
    Reader(
        "gcwerks",
        "stations.readers.gcwerks",
        "GCWerks .C of gas chromatographs, with the .precisions.C beside it",
    ),
    Reader("gcwerks_crds", "stations.readers.gcwerks_crds", "GCWerks .dat of laser analysers"),
    Reader(
        "coccon",
        "stations.readers.coccon",
        "COCCON/PROFFAST csv (columns), with kernels and priors from the folder beside it",
    ),
)


def read(
    path: str | os.PathLike[str], species: str | None = None, *, format: str | None = None, **options: Any
) -> xr.Dataset:
    """Read one species of a station file.

    Parameters
    ----------
    path : path
        A file of any format in `READERS`, plain, ``.gz`` or ``.zip``, or a folder of raw files.
    species : str, optional
        Which species of a file that holds several; by default CO2, else CH4, else the file's first.
        ``attrs["species_available"]`` lists them.
    format : str, optional
        A reader's name, where the content must not decide.
    **options
        What the file does not say: ``site``, ``scale``, ``stamp`` (``start|middle|end``), ``config``
        (TOML of a user's own layout), ``precisions``.

    Returns
    -------
    xarray.Dataset
        The layout of `stations.record.record`.

    Raises
    ------
    FormatError
        The file is missing, of no known format, or broken.
    ConfigError
        A species or an option the file does not have.
    UnitError
        The values cannot be in the unit the file says.

    Examples
    --------
    >>> record = read("co2_wlg_surface-flask_1_ccgg_event.txt")  # doctest: +SKIP
    >>> record["value"].where(record["quality"] == 0)  # doctest: +SKIP
    """
    return _read(path, species, format, options)[0]


def read_apart(
    path: str | os.PathLike[str], species: str | None = ALL, *, format: str | None = None, **options: Any
) -> list[xr.Dataset]:
    """Read a file in a process that may die of it; parameters and errors as in `read`, and as in `apart`."""
    return apart(_read, path, species, format, options)


def read_all(path: str | os.PathLike[str], *, format: str | None = None, **options: Any) -> list[xr.Dataset]:
    """Read every species of a station file, in the file's order; parameters and errors as in `read`."""
    return _read(path, ALL, format, options)


def _read(
    path: str | os.PathLike[str], species: str | None, format: str | None, options: dict[str, Any]
) -> list[xr.Dataset]:
    for name in options:
        if name not in OPTIONS:
            raise ConfigError(f"unknown option {name!r}{nearest(name, OPTIONS)}")
    source = Source(Path(path), {k: v for k, v in options.items() if v is not None})
    return (find_reader(source) if format is None else _named(format)).read(source, species)


def _named(name: str) -> Reader:
    for reader in READERS:
        if reader.name == name:
            return reader
    raise ConfigError(f"unknown format {name!r}{nearest(name, [r.name for r in READERS])}")


def find_reader(source: Source) -> Reader:
    """Find the reader of a file from its content.

    Raises
    ------
    FormatError
        No such file, an empty one, or a format nobody knows.
    """
    if not source.path.exists():
        raise FormatError(f"{source.path}: no such file")
    if not source.is_folder and source.path.stat().st_size == 0:
        raise FormatError(f"{source.path}: the file is empty")
    for reader in READERS:
        if reader.sniff(source):
            return reader
    if source.netcdf is not None:
        seen = f"its variables are {', '.join(list(source.netcdf.variables)[:8])}"
    else:
        first = next((line for line in source.lines if line.strip()), "")[:80]
        seen = f"it begins {first!r}" if first else "it holds no text"
    raise FormatError(
        f"{source.path}: no reader knows this format ({seen}); for a table of your own describe its columns in a "
        "TOML and give it with --config, or name the format with --format"
    )


def companions(path: Path) -> list[Path]:
    """Return the files beside a station file that are read with it, whatever its format turns out to be."""
    from stations.readers.gcwerks import is_companion, precisions_of
    from stations.readers.proffast_profiles import FOLDER

    if path.is_dir() or is_companion(path):
        return []
    beside = [p for p in (precisions_of(path),) if p != path and p.is_file()]
    return beside + sorted(p for p in (path.parent / FOLDER).glob("*") if p.is_file())


def expand(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Turn folders into their files, unless a whole folder is one record (raw hourly logs).

    Parameters
    ----------
    paths : iterable of path
        Files and folders.

    Returns
    -------
    list of Path
        What can be given to `read` one by one; companions that are read with another file are left out.
    """
    from stations.readers.gcwerks import is_companion

    found: list[Path] = []
    for path in map(Path, paths):
        whole = not path.is_dir() or any(r.sniff(Source(path)) for r in READERS)
        found += [path] if whole else [p for p in resolve_files([path]) if not is_companion(p)]
    return found
