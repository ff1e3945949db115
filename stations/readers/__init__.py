"""Read any station file, ``stations.read(path)``: a table of formats and the choice among them by content."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obsnet.errors import ConfigError, FormatError, nearest
from obsnet.reading import reading
from obsnet.work.isolated import apart
from stations.readers.choice import ALL, NoSpeciesError
from stations.readers.gcwerks_names import is_companion, main_of, precisions_of

if TYPE_CHECKING:
    import xarray as xr

    from stations.readers.options import OneRecord
    from stations.record.rows import Rows
    from stations.record.source import Source


__all__ = [
    "READERS",
    "StationReader",
    "UnknownFormatError",
    "companions",
    "expand",
    "find_reader",
    "read",
    "read_all",
    "read_each",
    "read_one",
    "read_plain",
]

_LISTED = 6  # records named in an error


@dataclass(frozen=True)
class StationReader:
    """A format; the module has ``sniff(source) -> bool`` and ``read(source, species) -> list of records``.

    Parameters
    ----------
    name : str
        For ``format=`` and ``--format``.
    module : str
        Imported when first asked.
    about : str
        For people.
    option : str, optional
        That makes a file one of this format, whatever it holds; the module has no ``sniff`` then.
    """

    name: str
    module: str
    about: str
    option: str = ""

    def sniff(self, source: Source) -> bool:
        """Tell whether a file is of this format."""
        if self.option:
            return self.option in source.options
        with reading(source.where):
            return bool(import_module(self.module).sniff(source))

    def read(self, source: Source, species: str | None) -> list[Rows | xr.Dataset]:
        """Return the records of one species, of all (``"*"``), or of the one meant by default (None)."""
        with reading(source.where, self.name):
            return import_module(self.module).read(source, species)


# Asked in this order; the more particular first.
READERS = (
    StationReader("custom", "stations.readers.custom", "a table of your own that a TOML describes", "config"),
    StationReader(
        "obsnet_record", "stations.readers.obsnet_record", "a record processed and written by this package"
    ),
    StationReader("obspack", "stations.readers.obspack", "ObsPack netCDF, NOAA and European dialect"),
    StationReader("tccon", "stations.readers.tccon", "TCCON public netCDF, GGG2014 and GGG2020 (columns)"),
    StationReader("openghg", "stations.readers.openghg", "openghg's netCDF of stations and columns"),
    StationReader("agage", "stations.readers.agage", "AGAGE archive netCDF"),
    StationReader(
        "picarro",
        "stations.readers.picarro",
        "raw Picarro DataLog_User: file, .gz, .zip or folder of hourly files",
    ),
    StationReader(
        "noaa_text",
        "stations.readers.noaa",
        "NOAA GML event, hourly, daily, monthly text, since 2021 and before",
    ),
    StationReader(
        "noaa_trends",
        "stations.readers.noaa_trends",
        "NOAA GML's tables of trends: monthly, weekly, daily, annual, of a station or global",
    ),
    StationReader("scripps", "stations.readers.scripps", "Scripps CO2 programme, monthly and weekly csv"),
    StationReader("wdcgg", "stations.readers.wdcgg", "WDCGG text, 2021 and present layout"),
    StationReader(
        "wdcgg_monthly", "stations.readers.wdcgg_monthly", "WDCGG's old monthly files with REM header"
    ),
    StationReader("icos", "stations.readers.icos", "ICOS ATC Level 2 and flask text, older .dat, portal CSV"),
    StationReader(
        "gcwerks",
        "stations.readers.gcwerks",
        "GCWerks .C of gas chromatographs, with the .precisions.C beside it",
    ),
    StationReader("gcwerks_crds", "stations.readers.gcwerks_crds", "GCWerks .dat of laser analysers"),
    StationReader(
        "coccon",
        "stations.readers.coccon",
        "COCCON/PROFFAST csv (columns), with kernels and priors from the folder beside it",
    ),
)

READERS_BY_NAME = {reader.name: reader for reader in READERS}


class UnknownFormatError(FormatError):
    """A file that no reader knows."""


def read(
    path: str | os.PathLike[str], species: str | None = None, *, format: str | None = None, **options: Any
) -> xr.Dataset:
    r"""Read one species of a station file.

    Parameters
    ----------
    path : path
        A file of any format in `READERS`, plain, compressed (``.gz``, ``.bz2``, ``.xz``) or in an archive
        (``.zip``, ``.tar``), or a folder of raw files.
    species : str, optional
        Which species of a file that holds several; by default CO2, else CH4, else the file's first.
        ``attrs["species_available"]`` lists them.
    format : str, optional
        A reader's name, where the content must not decide.
    **options
        What the file does not say: ``site``, ``scale``, ``stamp`` (``start|middle|end``), ``config``
        (TOML of a user's own layout), ``precisions``; ``site`` and ``intake`` (m above ground) choose among
        several.

    Returns
    -------
    xarray.Dataset
        The layout of `stations.record.record`.

    Raises
    ------
    FormatError
        The file is missing, of no known format, or broken.
    ConfigError
        A species, site, intake or option the file does not have; a file that holds several sites.
    UnitError
        The values cannot be in the unit the file says.

    Examples
    --------
    >>> record = read("co2_wlg_surface-flask_1_ccgg_event.txt")  # doctest: +SKIP
    >>> record["value"].mean(), record.attrs["unit"], record.attrs["scale"]  # doctest: +SKIP
    """
    found = read_each(path, species, format=format, **options)
    if len(found) > 1:
        holds = ", ".join(_named_record(r) for r in found[:_LISTED]) + ", …" * (len(found) > _LISTED)
        sites = len({r.attrs["site"] for r in found}) > 1
        raise ConfigError(
            f"{path}: holds {len(found)} records ({holds}); say which with "
            + ("--site (site=…), or read all of them" if sites else "--species, or read all of them")
        )
    return found[0]


def read_one(options: OneRecord) -> xr.Dataset:
    """Read the record that a command names, in a process that may die of it; see `read`."""
    return apart(read, options.file, options.species, **options.said)


def read_all(path: str | os.PathLike[str], *, format: str | None = None, **options: Any) -> list[xr.Dataset]:
    """Read every site and species of a station file, in the file's order; parameters and errors as in `read`."""
    return read_each(path, ALL, format=format, **options)


def read_each(
    path: str | os.PathLike[str], species: str | None = None, *, format: str | None = None, **options: Any
) -> list[xr.Dataset]:
    """Read one species of every site in a file or archive; parameters and errors as in `read`."""
    from stations.record.rows import as_dataset

    return [as_dataset(r) for r in read_plain(path, species, format=format, **options)]


def read_plain(
    path: str | os.PathLike[str], species: str | None = None, *, format: str | None = None, **options: Any
) -> list[Rows | xr.Dataset]:
    """Read as `read_each` does, but leave as plain arrays what no library of Datasets was needed for."""
    from stations.record.source import Source

    if options:
        _check_options(options)
    said = {k: v for k, v in options.items() if v is not None}
    intake = said.pop("intake", None)
    source = Source(Path(path), said)
    if format != "picarro" and _is_archive(source):
        found = _read_members(source, species, format)
    else:
        found = _reader(source, format).read(source, species)
    return found if intake is None else _with_intake(found, float(intake))


def _check_options(options: Iterable[str]) -> None:
    from stations.readers.options import HowToRead

    known = [name for name in HowToRead.model_fields if name != "format"]
    for name in options:
        if name not in known:
            raise ConfigError(f"unknown option {name!r}{nearest(name, known)}")


def _is_archive(source: Source) -> bool:
    """Tell whether a file holds several that are read one by one, and not together as hourly logs are."""
    return source.path.is_file() and len(source.inside) > 1 and not READERS_BY_NAME["picarro"].sniff(source)


def _read_members(source: Source, species: str | None, format: str | None) -> list[Rows | xr.Dataset]:
    """Read an archive member by member; what is of no known format is left out and told."""
    from stations.record.source import Source

    said = {k: v for k, v in source.options.items() if k != "site"}
    found: list[Rows | xr.Dataset] = []
    unknown: list[str] = []
    without: list[ConfigError] = []
    for member in Source(source.path, said).members():
        try:
            found += _reader(member, format).read(member, species)
        except UnknownFormatError:
            unknown.append(member.name)
        except NoSpeciesError as error:
            without.append(error)
    if not found:
        if without:
            raise without[0]
        raise UnknownFormatError(
            f"{source.path}: no reader knows any of its files ({', '.join(unknown[:6])})"
        )
    if unknown:
        note = f"{len(unknown)} files of the archive are of no known format and were left out: {', '.join(unknown[:6])}"
        for record in found:
            record.attrs["warnings"] = [*record.attrs["warnings"], note]
    if "site" in source.options:
        return _of_site(found, str(source.options["site"]), source)
    return found


def _of_site(found: list[Rows | xr.Dataset], site: str, source: Source) -> list[Rows | xr.Dataset]:
    chosen = [r for r in found if r.attrs["site"].upper() == site.upper()]
    if not chosen:
        known = sorted({str(r.attrs["site"]) for r in found})
        raise ConfigError(f"{source.path}: no site {site!r} in it{nearest(site.upper(), known)}")
    return chosen


def _with_intake(found: list[Rows | xr.Dataset], intake: float) -> list[Rows | xr.Dataset]:
    """Return the records that have an intake, cut to it."""
    from stations.record.intakes import heights, select_intake
    from stations.record.rows import as_dataset

    having = [r for r in found if round(intake, 1) in heights(r)]
    return [select_intake(as_dataset(r), intake) for r in having or found[:1]]


def _named_record(record: Rows | xr.Dataset) -> str:
    return " ".join(filter(None, (str(record.attrs["site"]), str(record.attrs["species"]))))


def _reader(source: Source, format: str | None) -> StationReader:
    return find_reader(source) if format is None else _named(format)


def _named(name: str) -> StationReader:
    if name in READERS_BY_NAME:
        return READERS_BY_NAME[name]
    raise ConfigError(f"unknown format {name!r}{nearest(name, READERS_BY_NAME)}")


def find_reader(source: Source) -> StationReader:
    """Find the reader of a file from its content.

    Raises
    ------
    FormatError
        No such file, an empty one, or a format nobody knows.
    """
    if not source.path.exists():
        raise FormatError(f"{source.where}: no such file")
    if not source.is_folder and source.path.stat().st_size == 0:
        raise FormatError(f"{source.where}: the file is empty")
    for reader in READERS:
        if reader.sniff(source):
            return reader
    if source.netcdf is not None:
        seen = f"its variables are {', '.join(list(source.netcdf.variables)[:8])}"
    else:
        first = next((line for line in source.lines if line.strip()), "")[:80]
        seen = f"it begins {first!r}" if first else "it holds no text"
    raise UnknownFormatError(
        f"{source.where}: no reader knows this format ({seen}); for a table of your own describe its columns in a "
        "TOML and give it with --config (docs/stations.md has one to copy), or name the format with --format"
    )


def expand(paths: Iterable[str | os.PathLike[str]], base: str | os.PathLike[str] = ".") -> list[Path]:
    """Turn folders and globs into their files, unless a whole folder is one record (raw hourly logs).

    Parameters
    ----------
    paths : iterable of path
        Files, folders and globs.
    base : path
        What relative ones are relative to.

    Returns
    -------
    list of Path
        What can be given to `read` one by one; companions that are read with another file are left out. A plain
        name of no file is kept: it is its reader that says so.

    Raises
    ------
    ConfigError
        A glob, or a folder, holds no file.
    """
    from obsnet.config import resolve_files

    found: list[Path] = []
    for text in paths:
        path = Path(base) / Path(text).expanduser()
        plain = path.exists() or not any(c in str(text) for c in "*?[")
        whole = plain and (not path.is_dir() or _is_one_record(path))
        found += [path] if whole else resolve_files([str(text)], Path(base))
    listed = dict.fromkeys(found)
    return [p for p in listed if not (is_companion(p) and main_of(p) in listed)]


def _is_one_record(folder: Path) -> bool:
    from stations.record.source import Source

    return any(r.sniff(Source(folder)) for r in READERS)


def companions(path: Path) -> list[Path]:
    """Return the files beside a file that its reader looks into too."""
    from stations.readers import proffast_profiles

    if path.suffix == ".C":
        beside = [precisions_of(path)]
    else:
        beside = sorted((path.parent / proffast_profiles.FOLDER).glob("*"))
    return [p for p in beside if p.is_file()]
