"""GCWerks ``.C`` exports of gas chromatographs, with the ``.precisions.C`` beside them.

Three header rows hold scale, unit and name of each column. A row has two times: that of the sample (``yyyy
mm dd hh mi``) and that of its run (``ryyy …``); the first is used. GCWerks names the middle of the sampling
period; the file does not say how long that is, so ``time`` is the stamp and the interval is left open.
Flags have four characters: ``F`` first = rejected, ``H`` second = integrated by height, third ``B`` baseline
or ``P`` polluted.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import xarray as xr

from obsnet.errors import FormatError
from obsnet.schema import Quality
from stations.readers import choose
from stations.readers.flags import decode
from stations.readers.source import Source
from stations.readers.source import decode as decode_text
from stations.readers.text import from_parts, read_table
from stations.record import Notes, build, intervals

__all__ = ["read", "sniff"]

_TIME = ("yyyy", "mm", "dd", "hh", "mi")
_COLUMNS = ["Year", *_TIME]


def sniff(source: Source) -> bool:
    """Tell whether a text file has GCWerks' rows of scale, unit and columns."""
    return any(_is_header(source.lines, i) for i in range(min(len(source.lines), 12))) or _is_precisions(
        source
    )


def _is_header(lines: list[str], i: int) -> bool:
    return lines[i].split()[:6] == _COLUMNS and i >= 2 and lines[i - 2].split()[:1] == ["Scale:"]


def _is_precisions(source: Source) -> bool:
    return len(source.lines) > 4 and source.lines[4].split()[:4] == ["#", "Date", "s", "n"]


def read(source: Source, species: str | None = None) -> list[xr.Dataset]:
    """Read a GCWerks ``.C`` file; see `stations.readers.read`."""
    if _is_precisions(source):
        raise FormatError(
            f"{source.path}: holds precisions only; read the file beside it, {_beside(source.path, '')}"
        )
    text, _ = decode_text(source.read_bytes())
    lines = text.splitlines()
    index = next((i for i in range(min(len(lines), 12)) if _is_header(lines, i)), None)
    if index is None:
        raise FormatError(f"{source.path}: no rows 'Scale:', 'Unit:' and 'Year yyyy mm dd …' at the top")
    names, scales, units = (lines[i].split() for i in (index, index - 2, index - 1))
    if not len(names) == len(scales) == len(units):
        raise FormatError(
            f"{source.path}: the rows of scales ({len(scales)}), units ({len(units)}) and columns ({len(names)}) differ in length"
        )
    gases = [n for n, after in zip(names, names[1:], strict=False) if after == "Flag"]
    if not gases:
        raise FormatError(f"{source.path}: no species with a Flag column after it")
    # A flag belongs to the gas on its left.
    unique = [f"{names[i - 1]} Flag" if n == "Flag" else n for i, n in enumerate(names)]
    notes = Notes()
    table = read_table(
        "\n".join(lines[index + 1 :]).encode(),
        unique,
        strings={"Inlet", "Standard"} | {f"{g} Flag" for g in gases},
        path=source.path,
        notes=notes,
    )
    stamp = from_parts(*(table[n] for n in _TIME))
    precisions = _precisions(source)
    return [
        _record(source, table, stamp, gas, lines[index - 3].strip() if index >= 3 else "", units[names.index(gas)],
                scales[names.index(gas)], precisions, gases, Notes(list(notes.changes), list(notes.warnings)))
        for gas in choose(gases, species, source.path)
    ]  # fmt: skip


def _record(
    source: Source, table: dict[str, np.ndarray], stamp: np.ndarray, gas: str, station: str, unit: str, scale: str,
    precisions: dict[str, tuple[np.ndarray, np.ndarray]], gases: list[str], notes: Notes,
) -> xr.Dataset:  # fmt: skip
    from stations.sites import by_name

    convention = source.options.get("stamp", "middle")
    start, middle, end = intervals(stamp, "instant")
    flags = table[f"{gas} Flag"]
    days, values = precisions.get(gas, (np.zeros(0, "datetime64[D]"), np.zeros(0)))
    site = by_name(station.split("-")[0])
    inlet = table.get("Inlet", np.full(len(stamp), ""))
    return build(
        {
            "value": table[gas],
            "uncertainty": _on_days(stamp, days, values),
            "quality": decode(flags, _meaning, notes),
            "quality_original": flags,
            "intake_height_m": _heights(inlet),
        },
        species=gas,
        unit=unit,
        scale="" if scale == "--" else scale,
        start=start,
        middle=middle,
        end=end,
        interval=convention,
        notes=notes,
        extras={"inlet": inlet, "standard": table.get("Standard", inlet)},
        options=source.options,
        attrs={
            "site": site.code if site else "",
            "site_name": site.name if site else station.split("-")[0],
            "network": "AGAGE (GCWerks)",
            "source": f"gcwerks_{station.split('-', 1)[-1] or 'gc'}_{gas.lower()}",
            "format": "gcwerks_c",
            "path": str(source.path),
            "dataset": station,
            "species_available": gases,
        },
    )


def _meaning(flag: str) -> int | None:
    if len(flag) != 4 or flag[0] not in "-F" or flag[2] not in "-BP":
        return None
    return (Quality.PRODUCER if flag[0] == "F" else 0) | (Quality.SELECTION if flag[2] == "P" else 0)


def _heights(inlet: np.ndarray) -> np.ndarray:
    """Return metres of inlets named ``70m``; NaN of others (``ASM``)."""
    names, inverse = np.unique(inlet, return_inverse=True)
    found = [re.fullmatch(r"(\d+(?:\.\d+)?)m?", n) for n in names.tolist()]
    return np.array([float(m[1]) if m else np.nan for m in found] or [np.nan])[inverse]


def _beside(path: Path, part: str) -> Path:
    """Return ``x.precisions.C`` of ``x.C`` (part ``.precisions``), or the other way round (empty part)."""
    stem = path.name.removesuffix(".C").removesuffix(".precisions")
    return path.with_name(f"{stem}{part}.C")


def _precisions(source: Source) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return days and standard deviations by species of the file named, or the one beside; empty without."""
    asked = source.options.get("precisions")
    path = Path(asked) if asked else _beside(source.path, ".precisions")
    if not path.exists():
        if asked:
            raise FormatError(f"{path}: no such file of precisions")
        return {}
    lines = decode_text(Source(path).read_bytes())[0].splitlines()
    if not _is_precisions(Source(path)):
        raise FormatError(f"{path}: not a GCWerks file of precisions (line 5 must begin '# Date s n')")
    gases = lines[3].lstrip("#").split()
    names = ["day", *(f"{kind} {g}" for g in gases for kind in ("s", "n"))]
    table = read_table("\n".join(lines[5:]).encode(), names, strings=(), path=path, notes=Notes())
    days = yymmdd(table["day"])
    order = np.argsort(days, kind="stable")
    return {g: (days[order].astype("datetime64[D]"), table[f"s {g}"][order]) for g in gases}


def yymmdd(numbers: np.ndarray) -> np.ndarray:
    """Return the date of numbers such as 180116; years from 70 on are of the last century."""
    year = numbers // 10000
    return from_parts(np.where(year >= 70, 1900, 2000) + year, numbers // 100 % 100, numbers % 100)


def _on_days(stamp: np.ndarray, days: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return each sample's precision: that of its day, else of the last day before that has one."""
    good = np.isfinite(values) & ~np.isnat(days)
    days, values = days[good], values[good]
    if not days.size:
        return np.full(len(stamp), np.nan)
    found = np.searchsorted(days, stamp.astype("datetime64[D]"), side="right") - 1
    return np.where(found >= 0, values[np.maximum(found, 0)], np.nan)
