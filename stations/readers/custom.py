"""A user's own table, described by a TOML: ``stations.read("mine.csv", config="mine.toml")``.

::

    [file]
    separator = ","          # "," ";" "tab" "space"
    decimal = "."            # or ","
    skip_lines = 0           # lines above the line of column names
    comment = "#"            # lines that begin so are left out
    encoding = "auto"        # UTF-8, else GB18030 where the text is Chinese; or "gbk", "latin-1" …
    missing = [-999.99]      # what stands for no value
    sheet = 0                # of a workbook (xlsx, xls): name, or number from 0

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
    summer_time = false              # whether the clock followed the zone's; asked for where it matters
    stamp = "start"                  # start | middle | end | instant
    interval = "1h"                  # 1h, 30min, 1d ... or "month"

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

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from obsnet.config import Options, read_toml, validate
from obsnet.errors import ConfigError
from obsnet.schema import Quality
from stations.readers.choice import choose, each
from stations.readers.flags import decode
from stations.readers.own_series import ask_about_series
from stations.readers.own_table import FileLayout, column, numbers, text_table
from stations.readers.own_times import TimeLayout, utc_times
from stations.readers.text import length_of_time
from stations.record.record import Notes, build, intervals
from stations.record.source import Source

if TYPE_CHECKING:
    import pandas as pd

    from stations.record.rows import Rows

__all__ = ["TableLayout", "read"]


_WET = re.compile(r"(?<![a-z])wet(?![a-z])|湿", re.IGNORECASE)


class _Site(Options):
    code: str
    name: str = ""
    network: str = "user"
    latitude: float | str | None = Field(default=None, description="a number or a column")
    longitude: float | str | None = None
    altitude_m: float | str | None = None
    intake_height_m: float | str | None = None


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

    file: FileLayout = FileLayout.model_validate({})
    site: _Site
    time: TimeLayout
    series: list[_Series] = Field(min_length=1)
    flags: _Flags = _Flags()


def read(source: Source, species: str | None = None) -> list[Rows]:
    """Read a described table; see `stations.readers.read`."""
    if "config" not in source.options:
        raise ConfigError(f"{source.where}: a table of your own needs a TOML that describes it (config=…)")
    config = Path(source.options["config"])
    layout = validate(TableLayout, read_toml(config), str(config))
    notes = Notes()
    table = text_table(source, layout.file, notes)
    used = _used(layout)
    unused = ((n, table.iloc[:, k].dropna()) for k, n in enumerate(table.columns) if n not in used)
    ask_about_series(unused, layout.site.intake_height_m, source.where, notes)
    stamp = utc_times(_joined(table, layout, source), layout.time, source.where, notes)
    series = {s.species: s for s in layout.series}
    if len(series) != len(layout.series):
        raise ConfigError(f"{config}: a species is described twice")
    wanted = choose(list(series), species, source.where)
    return each(
        wanted, list(series), notes, lambda gas, own: _record(source, layout, series[gas], table, stamp, own)
    )


def _used(layout: TableLayout) -> set[str]:
    """Return every text of the description that may name a column."""
    told = [v for part in (layout.site, *layout.series) for v in part.model_dump().values()]
    return {*layout.time.columns, *(v for v in told if isinstance(v, str))}


def _joined(table: pd.DataFrame, layout: TableLayout, source: Source) -> pd.Series:
    """Return the columns of the time as one text a row."""
    first, *rest = (column(table, name, source) for name in layout.time.columns)
    for more in rest:
        first = first + " " + more
    return first.str.strip()


def _record(
    source: Source,
    layout: TableLayout,
    series: _Series,
    table: pd.DataFrame,
    stamp: np.ndarray,
    notes: Notes,
) -> Rows:
    if layout.time.stamp != "instant" and not layout.time.interval:
        raise ConfigError(
            f"time.stamp {layout.time.stamp!r} names a part of an interval, whose length is not said: give "
            "time.interval, such as 1h, or time.stamp = 'instant'"
        )
    length = length_of_time(layout.time.interval) if layout.time.interval else None
    if layout.time.interval and length is None:
        raise ConfigError(
            f"time.interval {layout.time.interval!r} is no length of time; write 1h, 30min, 1d or month"
        )
    if _WET.search(series.value):
        text = f"values are of column {series.value!r}, which by its name is of wet air: taken as dry mole fractions"
        notes.warn(len(table), text)
    columns: dict[str, Any] = {
        name: numbers(table, named, layout.file, source, notes)
        for name, named in (
            ("value", series.value),
            ("uncertainty", series.uncertainty),
            ("sd", series.sd),
            ("n", series.n),
        )
        if named
    }
    for name in ("latitude", "longitude", "altitude_m", "intake_height_m"):
        place = getattr(layout.site, name)
        if place is not None:
            columns[name] = (
                numbers(table, place, layout.file, source, notes) if isinstance(place, str) else place
            )
    if series.sample_id:
        columns["sample_id"] = column(table, series.sample_id, source).to_numpy(dtype=str)
    if series.flag:
        flags = column(table, series.flag, source).to_numpy(dtype=str)
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
