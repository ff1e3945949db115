"""NOAA GML's short tables of trends: ``co2_mm_mlo.csv``, ``co2_weekly_mlo.csv``, ``ch4_mm_gl.csv`` and their like.

Comment lines begin with ``#``; a ``.csv`` then has a line of column names, ``year,month,decimal date,average,…`` or
``year,month,day,decimal,average,…`` or ``year,mean,unc``, a ``.txt`` has none and blanks between columns. Gas and
site are in the file's name (``gl``: the global mean of the marine surface, ``mlo``: Mauna Loa) or are said. Times: a
calendar month, the week that begins on the day, a day, a year. Fills are -99.99, -999.99, -9.99, -0.99 and, of the
days, -1.

Months that NOAA interpolated have a negative ``sdev`` and ``unc``, as its comment says; before May 1974 (Scripps'
values) these are not known. The names above are of real files; the layouts of weekly, daily, annual and ``.txt``
files are from their public descriptions and were not tested on files as released.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from obsnet.constants import SPECIES
from obsnet.errors import ConfigError, FormatError
from obsnet.schema import Quality
from obsnet.units import conversion_factor
from stations.readers.choice import choose
from stations.readers.table import read_table
from stations.readers.text import from_parts
from stations.record.record import Notes, Span, build, intervals
from stations.record.source import Source, decode

if TYPE_CHECKING:
    from stations.record.rows import Rows

__all__ = ["read", "sniff"]

_NAME = re.compile(r"^([a-z][a-z0-9]*)_(mm|weekly|daily|annmean)_([a-z]+)\.(?:csv|txt)$")
_FIRST = re.compile(r"year,(?:month,(?:day,)?decimal(?: date)?,average|mean,unc)\b")
_UNIT = re.compile(r"\b(?:micromol|nanomol|picomol|umol|nmol|pmol)(?:/mol| mol-1)|\bpp[mbt]\b")
_MONTHLY = "year month decimal average"
_COLUMNS = {  # of files without a line of names, by product and number of columns
    ("mm", 8): f"{_MONTHLY} deseasonalized ndays sdev unc",
    ("mm", 7): f"{_MONTHLY} interpolated trend ndays",
    ("global", 7): f"{_MONTHLY} average_unc trend trend_unc",
    ("global", 5): f"{_MONTHLY} trend",
    ("weekly", 9): "year month day decimal average ndays one_year_ago ten_years_ago since_1800",
    ("daily", 5): "year month day decimal average",
    ("annmean", 3): "year mean unc",
}
_NOAA_BEGAN = np.datetime64("1974-05")  # at Mauna Loa; Scripps' values before
_FILL = -0.5  # nothing here is negative but fills


def sniff(source: Source) -> bool:
    """Tell whether a text file is a table of NOAA's trends: by its line of column names, or its name."""
    rows = [line for line in source.lines if line.strip() and not line.startswith("#")]
    if not rows:
        return False
    return bool(_FIRST.match(_plain(rows[0]))) or bool(
        _NAME.match(source.name.lower()) and re.match(r"\s*\d{4}[\s,]", rows[0])
    )


def _plain(line: str) -> str:
    return ",".join(cell.strip().lower() for cell in line.split(","))


def read(source: Source, species: str | None = None) -> list[Rows]:
    """Read a table of NOAA's trends; see `stations.readers.read`."""
    notes = Notes()
    text, other = decode(source.read_bytes())
    notes.changed(bool(other), f"file is not UTF-8 and was read as {other}")
    lines = text.splitlines()
    comment = "\n".join(line for line in lines if line.startswith("#"))
    rows = [line for line in lines if line.strip() and not line.startswith("#")]
    gas, product, place = _named(source, species)
    choose([gas], None if species is None else species, source.where)
    names = _names(source, rows, product, place)
    if _FIRST.match(_plain(rows[0])):
        rows = rows[1:]
    separator = "," if rows and "," in rows[0] else " "
    table = read_table(
        "\n".join(rows).encode(), names, strings=(), path=source.where, notes=notes, separator=separator
    )
    return [_record(source, table, gas, place, comment, notes)]


def _named(source: Source, species: str | None) -> tuple[str, str, str]:
    """Return gas, product and site of a file's name, or the gas that the caller says."""
    match = _NAME.match(source.name.lower())
    if match and match[1].upper() in SPECIES:
        return match[1].upper(), match[2], "" if match[3] == "gl" else match[3].upper()
    if species in {None, "*"}:
        raise ConfigError(
            f"{source.where}: neither the table nor the file's name (as in co2_mm_mlo.csv) says which species this is; "
            "say it with --species (species=…), and the site with --site"
        )
    return str(species).upper(), "", ""


def _names(source: Source, rows: list[str], product: str, place: str) -> list[str]:
    first = _plain(rows[0]) if rows else ""
    if _FIRST.match(first):
        names = [re.sub(r"\W+", "_", n) for n in first.split(",")]
        names = ["decimal" if n == "decimal_date" else n for n in names]
        if len(set(names)) < len(names):
            raise FormatError(f"{source.where}: a column name is there twice: {first}")
        return names
    count = len(re.split(r"[\s,]+", rows[0].strip())) if rows else 0
    kind = "global" if product == "mm" and not place else product
    if (kind, count) not in _COLUMNS:
        raise FormatError(f"{source.where}: no layout with {count} columns and no line of names is known")
    return _COLUMNS[kind, count].split()


def _record(
    source: Source, table: dict[str, np.ndarray], gas: str, place: str, comment: str, notes: Notes
) -> Rows:
    value = table["mean"] if "mean" in table else table["average"]
    when, product = _times(table)
    missing = value < _FILL
    notes.changed(missing.sum(), "fill values set to missing")
    sd = _positive(table, "sdev")
    uncertainty = next((_positive(table, n) for n in ("unc", "average_unc") if n in table), np.nan)
    quality = np.zeros(value.size, dtype=np.uint32)
    if "sdev" in table and "unc" in table and product == "monthly":
        own = when.start.astype("datetime64[M]") >= _NOAA_BEGAN
        filled = own & ~missing & (table["sdev"] < 0) & (table["unc"] < 0)
        notes.warn(filled.sum(), "months that NOAA interpolated (flagged 'suspect')")
        quality[filled] = Quality.SUSPECT
    scale = re.search(r"\bX(?:19|20)\d\d[A-Z]?\b", comment)
    if not place and not source.options.get("site"):
        notes.warn(
            1, "no site: the table is a mean of the marine surface or does not say; it has no position"
        )
    return build(
        {
            "value": np.where(missing, np.nan, value),
            "uncertainty": uncertainty,
            "sd": sd,
            "n": np.where(table["ndays"] >= 0, table["ndays"], np.nan) if "ndays" in table else None,
            "quality": quality,
        },
        species=gas,
        unit=_unit(source, gas, comment, value.size, notes),
        scale=scale[0] if scale else "",
        when=when,
        notes=notes,
        source=source,
        attrs={
            "site": place,
            "site_name": "",
            "network": "NOAA GML",
            "source": f"noaa_trends_{product}_{gas.lower()}",
            "format": "noaa_trends",
        },
    )


def _unit(source: Source, gas: str, comment: str, rows: int, notes: Notes) -> str:
    """Return the unit that the comment names: the gas's own where it names several."""
    entry, said = SPECIES.get(gas), _UNIT.findall(comment)
    if entry is None:
        if not said:
            raise FormatError(f"{source.where}: its comment gives no unit and {gas!r} has no customary one")
        return str(said[0])
    if not said:
        notes.changed(rows, f"values without a unit taken as {entry.unit_name}")
        return entry.unit_name
    return next((str(u) for u in said if conversion_factor(u, entry.unit) == 1.0), str(said[0]))


def _positive(table: dict[str, np.ndarray], name: str) -> np.ndarray | float:
    return np.where(table[name] < 0, np.nan, table[name]) if name in table else np.nan


def _times(table: dict[str, np.ndarray]) -> tuple[Span, str]:
    """Return the rows' intervals and what kind of mean they are."""
    if "month" not in table:
        start = from_parts(table["year"], np.ones(len(table["year"])))
        end = from_parts(table["year"] + 1, np.ones(len(table["year"])))
        return Span(start, start + (end - start) // 2, end, "start"), "annual"
    if "day" not in table:
        return intervals(from_parts(table["year"], table["month"]), "start", "month"), "monthly"
    start = from_parts(table["year"], table["month"], table["day"])
    weekly = "ndays" in table or any("ago" in name for name in table)
    days = 7 if weekly else 1
    return intervals(start, "start", np.timedelta64(days, "D")), "weekly" if weekly else "daily"
