"""WDCGG text of the current site (2018 on): the layout of 2021 files and that of present ones.

Both begin ``# header_lines : N``; the column names are the last ``#`` line. In 2021 files start and end of
the interval share the names ``year … second``, and ``value_unc`` is documented as a standard deviation.
Present files have ``st_``/``end_`` names, ``value_sd`` and up to three uncertainties. ``scale`` is a code that
the header decodes, and may change within a file. Some old sets are in local time: ``dataset_time_zone``.
Source: the files' own headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.errors import FormatError
from obsnet.schema import Quality
from stations.readers.choice import choose
from stations.readers.flags import decode
from stations.readers.table import read_table, require
from stations.readers.text import (
    attributes,
    check_header_count,
    check_span,
    from_parts,
    local_to_utc,
    number,
    one_site,
    split_header,
    without_fill,
)
from stations.record.record import InUnit, Notes, Span, build, intervals, spread
from stations.record.source import Source

if TYPE_CHECKING:
    from stations.record.rows import Rows

__all__ = ["read", "sniff"]

_PARTS = ("year", "month", "day", "hour", "minute", "second")
_NEEDED = (*_PARTS, "value", "latitude", "longitude", "QCflag")
_STRINGS = ("site", "flask_no", "ORG_QCflag")
_FILL = "-999.999"  # where the header declares none
_LENGTHS = {"hourly": np.timedelta64(1, "h"), "daily": np.timedelta64(1, "D"), "monthly": "month"}
_FLAGS = {"1": 0, "2": Quality.SELECTION, "3": Quality.PRODUCER, "-9": 0}


def sniff(source: Source) -> bool:
    """Tell whether a text file is WDCGG's: its column line, commented, begins with the site's identity."""
    return _column_line(source.lines) is not None


def _column_line(lines: list[str]) -> tuple[int, list[str]] | None:
    """Return the index of the column line and its names, those of the interval's end made distinct."""
    for index, line in enumerate(lines):
        words = line.lstrip("#").split()
        if words[:1] in (["site_gaw_id"], ["site_wdcgg_id"]) and "value" in words:
            names = ["site", *(w.removeprefix("st_") for w in words[1:])]
            return index, [f"end_{n}" if n in names[:i] else n for i, n in enumerate(names)]
    return None


def read(source: Source, species: str | None = None) -> list[Rows]:
    """Read a WDCGG text file; see `stations.readers.read`."""
    notes = Notes()
    header, names, rows = split_header(source, _column_line, notes)
    require(names, _NEEDED, source.where)
    attrs = attributes(header)
    check_header_count(attrs, len(header) + 1, notes)
    gas = attrs.get("dataset_parameter", "")
    if not gas or "value:units" not in attrs:
        raise FormatError(f"{source.where}: the header lacks dataset_parameter or value:units")
    choose([gas.upper()], species, source.where)
    table = read_table(rows, names, strings=_STRINGS, path=source.where, notes=notes)
    for name in table:
        fills = [*attrs.get(f"{name}:_FillValue", _FILL).split(" or ")]
        if table[name].dtype.kind == "f":
            for fill in fills:
                table[name] = without_fill(table[name], number(fill, float(_FILL)))
        else:
            table[name] = np.where(np.isin(table[name], [*fills, _FILL]), "", table[name])
    record = _record(source, attrs, table, notes)
    record.attrs["header_lines"] = len(header) + 1
    return [record]


def _record(source: Source, attrs: dict[str, str], table: dict[str, np.ndarray], notes: Notes) -> Rows:
    tag = attrs.get("dataset_selection_tag", "event").lower()
    when = _times(attrs, table, tag, notes)
    check_span(when.start, attrs.get("dataset_start_date", ""), attrs.get("dataset_end_date", ""), notes)
    n = table.get("nvalue")
    if "value_unc" in table:  # 2021
        spreads = spread(table["value_unc"], n)
    else:
        names = {"sd": "value_sd", "uncertainty": "value_unc_1"}
        spreads = {k: table[v] for k, v in names.items() if v in table}
    codes = np.nan_to_num(table["QCflag"], nan=-9.0).astype(int).astype(str)
    own = table.get("ORG_QCflag", np.full(len(codes), ""))
    scale = _decoded(attrs, "scale_{}_name", table.get("scale"), "scale_{}_code")
    extras: dict[str, Any] = {
        "wdcgg_flag": codes.astype(np.int8, casting="unsafe"),
        "instrument": _decoded(attrs, "instrument_{}", table.get("instrument")),
        "scale_row": scale,
    }
    extras |= {name: InUnit(table[name]) for name in ("value_wmo_scale",) if name in table}
    lab, gas = attrs.get("contributor_acronym", "unknown"), attrs["dataset_parameter"]
    return build(
        {
            "value": table["value"],
            **spreads,
            "n": n,
            "quality": decode(codes, _FLAGS.get, notes),
            "quality_original": np.where(own == "", np.where(codes == "-9", "", codes), own),
            "latitude": _or_site(table, "latitude", attrs),
            "longitude": _or_site(table, "longitude", attrs),
            "altitude_m": table.get("altitude", np.nan),
            "intake_height_m": table.get("intake_height", np.nan),
            "sample_id": table.get("flask_no", ""),
        },
        species=gas,
        unit=attrs["value:units"],
        scale="; ".join(dict.fromkeys(t for t in scale.tolist() if t)),
        when=when,
        notes=notes,
        extras={k: v for k, v in extras.items() if isinstance(v, InUnit) or len(v) == len(when.middle)},
        source=source,
        attrs={
            "site": one_site(table["site"], attrs.get("site_gaw_id", ""), source.where)
            or attrs.get("site_wdcgg_id", ""),
            "site_name": attrs.get("site_name", ""),
            "network": f"WDCGG ({lab})",
            "source": f"wdcgg_{lab.lower().replace(' ', '-')}_{tag}_{gas.lower()}",
            "format": "wdcgg_2021" if "value_unc" in table else "wdcgg",
            "dataset": attrs.get("Data_Set_Name", source.name),
            "utc_to_local_hours": attrs.get("site_lst2utc", ""),
        },
    )


def _times(attrs: dict[str, str], table: dict[str, np.ndarray], tag: str, notes: Notes) -> Span:
    """Return the rows' intervals: to the file's own end where it gives one, else by the kind of mean."""
    stamp = from_parts(*(table[n] for n in _PARTS))
    finish = np.full_like(stamp, "NaT")
    if {f"end_{n}" for n in _PARTS} <= set(table):
        finish = from_parts(*(table[f"end_{n}"] for n in _PARTS))
    zone = attrs.get("dataset_time_zone", "UTC")
    if zone.upper() in {"LST", "LOCAL"}:
        zone = attrs.get("site_lst2utc", zone)
    stamp, finish = local_to_utc(stamp, zone, notes), local_to_utc(finish, zone, Notes())
    length = next((v for k, v in _LENGTHS.items() if tag.startswith(k[:4])), None)
    when = intervals(stamp, "instant" if length is None else "start", length)
    given = finish > when.start
    end = np.where(given, finish, when.end)
    middle = np.where(given, when.start + (end - when.start) // 2, when.middle)
    return Span(when.start, middle, end, "start" if given.any() else when.named)


def _decoded(
    attrs: dict[str, str], name: str, codes: np.ndarray | None, code_name: str | None = None
) -> np.ndarray:
    """Return the texts behind a column of codes; the header numbers its entries from 1.

    Parameters
    ----------
    name, code_name : str
        Patterns of the header's keys; without `code_name` the entry's number is the code.
    """
    if codes is None:
        return np.zeros(0, dtype=str)
    words: dict[float, str] = {}
    for entry in range(1, 100):
        if name.format(entry) not in attrs:
            break
        code = number(attrs.get(code_name.format(entry)), entry) if code_name else float(entry)
        words[code] = attrs[name.format(entry)]
    known, inverse = np.unique(np.nan_to_num(codes, nan=-9.0), return_inverse=True)
    return np.array([words.get(k, "") for k in known.tolist()] or [""], dtype=str)[inverse]


def _or_site(table: dict[str, np.ndarray], name: str, attrs: dict[str, str]) -> np.ndarray:
    """Return a coordinate of the rows, the site's where a row has none."""
    return np.where(np.isnan(table[name]), number(attrs.get(f"site_{name}")), table[name])
