"""Options that several station commands share, and how they load and save; light to import."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obsnet.errors import ConfigError

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "File",
    "Json",
    "Out",
    "Scale",
    "Site",
    "Species",
    "decimal_years",
    "load",
    "named_files",
    "notes",
    "save",
]

File = Annotated[
    Path, typer.Argument(help="A station file of any known format; a record written by --out is one.")
]
Species = Annotated[str | None, typer.Option(help="Which species of a file that holds several.")]
Site = Annotated[str | None, typer.Option(help="Site code, where the file has none.")]
Scale = Annotated[str | None, typer.Option(help="Calibration scale, where the file has none.")]
Out = Annotated[Path | None, typer.Option(help="Write the record to this netCDF file (*.nc).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def load(path: Path, species: str | None, site: str | None = None, scale: str | None = None) -> xr.Dataset:
    """Read a record, whatever wrote it."""
    from stations.readers import read

    return read(path, species, site=site, scale=scale)


def save(record: xr.Dataset, out: Path | None) -> None:
    """Write a record where the user wants it."""
    if out is None:
        return
    if out.suffix != ".nc":
        raise ConfigError(f"{out}: a record is written as netCDF; name it *.nc")
    from stations.record.file import write_record

    write_record(record, out)


def notes(lines: Iterable[str]) -> None:
    """Print notes on standard error."""
    for line in lines:
        print(line, file=sys.stderr)


def named_files(texts: Iterable[str]) -> dict[str, Path]:
    """Read ``27m=FILE`` options."""
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise ConfigError(f"--with {text!r}: write it as NAME=FILE")
        found[name] = Path(path)
    return found


def decimal_years(texts: Iterable[str]) -> list[float]:
    """Read dates as decimal years: ``2015.5``, ``2015-07-02``, comma-separated, or a file with one a line."""
    from obsnet.times import as_utc, decimal_year

    years: list[float] = []
    for text in texts:
        is_file = "," not in text and len(text) < 255 and Path(text).is_file()
        parts = re.split(r"[\s,]+", Path(text).read_text(encoding="utf-8") if is_file else text)
        for part in filter(None, parts):
            number: Any = re.fullmatch(r"\d{3,4}(\.\d*)?", part)
            years.append(float(part) if number else float(decimal_year([as_utc(part)])[0]))
    return years
