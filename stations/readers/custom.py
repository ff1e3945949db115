"""A user's own table, described by a TOML: ``stations.read("mine.csv", config="mine.toml")``.

::

    [file]
    separator = ","          # "," ";" "tab" "space"
    skip_lines = 0           # lines above the line of column names
    comment = "#"            # lines that begin so are left out
    encoding = "utf-8"       # or "gbk"
    missing = [-999.99]      # what stands for no value

    [site]
    code = "LAN"
    latitude = 30.30
    longitude = 119.73
    altitude_m = 138.0
    intake_height_m = 10.0   # or a column, below

    [time]
    columns = ["date", "time"]       # joined by a blank
    format = "%Y-%m-%d %H:%M"        # without it ISO 8601
    zone = "UTC+08:00"               # or a name such as "Asia/Shanghai"
    stamp = "start"                  # start | middle | end | instant
    interval = "1h"                  # a pandas interval, or "month"

    [[series]]
    species = "CO2"
    unit = "ppm"
    scale = "WMO CO2 X2019"
    value = "co2"
    uncertainty = "co2_unc"          # these are columns, and optional
    sd = "co2_sd"
    n = "co2_n"
    flag = "flag"

    [flags]                          # what a flag means; one that is not listed rejects the row
    good = ["0", ""]
    rejected = ["1"]
    selection = ["2"]
    suspect = ["3"]
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from obsnet.config import Options, read_toml, validate
from obsnet.errors import ConfigError, FormatError, nearest
from obsnet.schema import Quality
from stations.readers.choice import choose, each
from stations.readers.flags import decode
from stations.readers.text import local_to_utc
from stations.record.record import Notes, build, intervals
from stations.record.source import Source

__all__ = ["TableLayout", "read", "sniff"]

_SEPARATORS = {"tab": "\t", "space": r"\s+"}


class _File(Options):
    separator: str = ","
    skip_lines: int = Field(default=0, ge=0)
    comment: str = "#"
    encoding: str = "utf-8"
    columns: list[str] | None = Field(default=None, description="names, where the file has no line of them")
    missing: list[float] = Field(default_factory=list)


class _Site(Options):
    code: str
    name: str = ""
    network: str = "user"
    latitude: float | str | None = Field(default=None, description="a number or a column")
    longitude: float | str | None = None
    altitude_m: float | str | None = None
    intake_height_m: float | str | None = None


class _Time(Options):
    columns: list[str] = Field(min_length=1)
    format: str | None = None
    zone: str = "UTC"
    stamp: str = Field(pattern="^(start|middle|end|instant)$")
    interval: str | None = None


class _Series(Options):
    species: str
    unit: str
    value: str
    scale: str = ""
    uncertainty: str | None = None
    sd: str | None = None
    n: str | None = None
    flag: str | None = None
    sample_id: str | None = None


class _Flags(Options):
    good: list[str] = Field(default_factory=lambda: [""])
    rejected: list[str] = Field(default_factory=list)
    selection: list[str] = Field(default_factory=list)
    suspect: list[str] = Field(default_factory=list)


class TableLayout(Options):
    """The whole description."""

    file: _File = _File()
    site: _Site
    time: _Time
    series: list[_Series] = Field(min_length=1)
    flags: _Flags = _Flags()


def sniff(source: Source) -> bool:
    """Tell whether the caller described the file."""
    return "config" in source.options


def read(source: Source, species: str | None = None) -> list[xr.Dataset]:
    """Read a described table; see `stations.readers.read`."""
    if "config" not in source.options:
        raise ConfigError(f"{source.where}: a table of your own needs a TOML that describes it (config=…)")
    config = Path(source.options["config"])
    layout = validate(TableLayout, read_toml(config), str(config))
    notes = Notes()
    table = _table(source, layout)
    stamp = _times(table, layout, source, notes)
    series = {s.species: s for s in layout.series}
    if len(series) != len(layout.series):
        raise ConfigError(f"{config}: a species is described twice")
    wanted = choose(list(series), species, source.where)
    return each(
        wanted, list(series), notes, lambda gas, own: _record(source, layout, series[gas], table, stamp, own)
    )


def _table(source: Source, layout: TableLayout) -> pd.DataFrame:
    """Return the table as text, so that every cell that is no number can be counted."""
    what = layout.file
    try:
        text = source.read_bytes().decode(what.encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise FormatError(
            f"{source.where}: is not {what.encoding!r} text ({error}); set file.encoding"
        ) from error
    below = text.lstrip("\ufeff").splitlines()[what.skip_lines :]
    lines = [x for x in below if x.strip() and not (what.comment and x.startswith(what.comment))]
    try:
        table = pd.read_csv(
            io.StringIO("\n".join(lines)),
            sep=_SEPARATORS.get(what.separator, what.separator),
            header=None if what.columns else 0,
            names=what.columns,
            dtype=str,
            keep_default_na=False,
            skipinitialspace=True,
            engine="c",
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise FormatError(
            f"{source.where}: cannot be read as the table that the TOML describes ({error})"
        ) from error
    if not isinstance(table.index, pd.RangeIndex):
        raise FormatError(f"{source.where}: its rows have more columns than the {len(table.columns)} names")
    return table.rename(columns=str.strip)


def _column(table: pd.DataFrame, name: str, source: Source) -> pd.Series:
    if name not in table.columns:
        raise ConfigError(f"{source.where}: no column {name!r}{nearest(name, table.columns)}")
    return table[name].fillna("").str.strip()


def _numbers(table: pd.DataFrame, name: str, layout: TableLayout, source: Source, notes: Notes) -> np.ndarray:
    text = _column(table, name, source)
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
    notes.warn(
        (np.isnan(numbers) & ~text.str.lower().isin(["", "nan", "na", "null", "-"])).sum(),
        f"cells of {name} are no numbers; set to missing",
    )
    fill = np.isin(numbers, layout.file.missing)
    notes.changed(fill.sum(), f"fill values of {name} set to missing")
    return np.where(fill, np.nan, numbers)


def _times(table: pd.DataFrame, layout: TableLayout, source: Source, notes: Notes) -> np.ndarray:
    text = _column(table, layout.time.columns[0], source)
    for name in layout.time.columns[1:]:
        text = text + " " + _column(table, name, source)
    try:
        stamp = pd.to_datetime(text, format=layout.time.format or "ISO8601", errors="coerce", utc=False)
        if getattr(stamp.dtype, "tz", None) is not None:
            return stamp.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[ns]")
        plain = stamp.to_numpy().astype("datetime64[us]")
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{source.where}: times such as {text.iloc[0]!r} do not fit time.format ({error})"
        ) from error
    inside = (plain > np.datetime64("1800")) & (plain < np.datetime64("2200"))
    plain = np.where(inside, plain, np.datetime64("NaT")).astype("datetime64[ns]")
    zone = layout.time.zone
    if "/" not in zone:
        return local_to_utc(plain, zone, notes)
    try:
        local = pd.Series(plain).dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    except Exception as error:  # the kind depends on where pandas finds its time zones
        raise ConfigError(f"time zone {zone!r} is not known here; write it as UTC+08:00") from error
    notes.changed(len(plain), f"times brought from {zone} to UTC")
    return local.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[ns]")


def _record(
    source: Source,
    layout: TableLayout,
    series: _Series,
    table: pd.DataFrame,
    stamp: np.ndarray,
    notes: Notes,
) -> xr.Dataset:
    length: Any = None
    if layout.time.interval == "month":
        length = "month"
    elif layout.time.interval:
        try:
            length = pd.Timedelta(layout.time.interval).to_timedelta64()
        except ValueError as error:
            raise ConfigError(
                f"time.interval {layout.time.interval!r} is no length of time; write 1h, 30min or month"
            ) from error
    columns: dict[str, Any] = {
        name: _numbers(table, column, layout, source, notes)
        for name, column in (
            ("value", series.value),
            ("uncertainty", series.uncertainty),
            ("sd", series.sd),
            ("n", series.n),
        )
        if column
    }
    for name in ("latitude", "longitude", "altitude_m", "intake_height_m"):
        place = getattr(layout.site, name)
        if place is not None:
            columns[name] = _numbers(table, place, layout, source, notes) if isinstance(place, str) else place
    if series.sample_id:
        columns["sample_id"] = _column(table, series.sample_id, source).to_numpy(dtype=str)
    if series.flag:
        flags = _column(table, series.flag, source).to_numpy(dtype=str)
        said = {
            0: layout.flags.good,
            int(Quality.SELECTION): layout.flags.selection,
            int(Quality.SUSPECT): layout.flags.suspect,
            int(Quality.PRODUCER): layout.flags.rejected,
        }
        meaning = {text: bits for bits, texts in said.items() for text in texts}
        columns |= {"quality": decode(flags, meaning.get, notes), "quality_original": flags}
    return build(
        columns,
        species=series.species,
        unit=series.unit,
        scale=series.scale,
        when=intervals(stamp, layout.time.stamp, length),
        notes=notes,
        source=source,
        attrs={
            "site": layout.site.code,
            "site_name": layout.site.name,
            "network": layout.site.network,
            "source": f"{layout.site.network.lower().replace(' ', '-')}_{series.species.lower()}",
            "format": "custom",
        },
    )
