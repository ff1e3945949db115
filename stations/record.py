"""The record in memory: one species at one or more intakes, as one documented `xarray.Dataset`.

Every reader hands its plain arrays to `build`, so that units, fills, placeholders, order, duplicates and
physical ranges are treated in one place and counted.

Layout
------
Dimension ``time`` (coordinate ``time``: UTC, **middle** of the sampled interval, ``datetime64[ns]``), sorted.

==================== ============== ==================================================================
variable             type           meaning
==================== ============== ==================================================================
value                float64        dry mole fraction in the unit of ``attrs["unit"]``; NaN = missing
uncertainty          float64        standard uncertainty (1 sigma) the producer gives; NaN = not given
sd                   float64        standard deviation inside the averaging interval; NaN = not given
n                    int32          measurements behind the value; -1 = not given
time_start, time_end datetime64[ns] the sampled interval; equal for an instant (flask)
quality              uint32         bits of `obsnet.schema.Quality`; 0 = use
quality_original     str            the producer's flag, untouched
latitude, longitude  float64        degrees, longitude -180..180
altitude_m           float64        of the intake, above sea level
intake_height_m      float64        above ground
sample_id            str            flask or event; empty for continuous data
==================== ============== ==================================================================

A reader may add variables of its dialect along ``time``. Column records (``kind = "column"``) add the
profile variables of the observation contract along ``(time, level)``, surface first.

Attributes: ``species, unit, scale, scale_original, site, site_name, network, source, kind, interval``
(what the file's stamp meant: ``instant|start|middle|end``), ``interval_seconds`` (where it is constant),
``format, path, species_available, changes`` and ``warnings`` (lists of counted texts).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from obsnet.constants import SPECIES
from obsnet.errors import ConfigError, UnitError
from obsnet.schema import Quality
from obsnet.units import conversion_factor, is_mole_fraction

__all__ = ["Notes", "build", "intervals", "pair_means", "species_name", "spread", "summary"]

STRINGS = ("quality_original", "sample_id")
CONVENTIONS = ("instant", "start", "middle", "end")
_UNIT_NAMES = {1e-6: "ppm", 1e-9: "ppb", 1e-12: "ppt"}
# Numbers that stand for "missing" in some file or other, whatever the header says: -99, -99.9, ... -999999.999
_FILLS = np.unique(
    [-(10.0**i - 10.0**-d) if d else -(10.0**i - 1.0) for i in range(2, 10) for d in range(10)]
)


@dataclass
class Notes:
    """What a reader changed (`changes`) and what it doubts (`warnings`), each with its count."""

    changes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def changed(self, count: Any, text: str) -> None:
        """Note that `count` things were changed; nothing is noted for 0."""
        if count:
            self.changes.append(f"{int(count)} {text}")

    def warn(self, count: Any, text: str) -> None:
        """Note that `count` things are doubtful; nothing is noted for 0."""
        if count:
            self.warnings.append(f"{int(count)} {text}")


def species_name(text: str) -> str:
    """Return a species' name as in `obsnet.constants.SPECIES` where it is known there, else as given."""
    return text.upper() if text.upper() in SPECIES else text


def intervals(stamp: Any, convention: str, length: Any = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return start, middle and end of the intervals that time stamps stand for.

    Parameters
    ----------
    stamp : ndarray of datetime64
        UTC.
    convention : {"instant", "start", "middle", "end"}
        What part of its interval a stamp names.
    length : timedelta64 or ndarray of timedelta64, or "month", optional
        Length of the interval; ``"month"`` is the stamp's calendar month. Without it the interval is the instant.

    Returns
    -------
    tuple of ndarray of datetime64[ns]
        Start, middle, end.
    """
    stamp = np.asarray(stamp).astype("datetime64[ns]")
    if convention not in CONVENTIONS:
        raise ValueError(f"interval convention {convention!r} is not one of {', '.join(CONVENTIONS)}")
    if isinstance(length, str):
        months = stamp.astype("datetime64[M]")
        start, end = months.astype("datetime64[ns]"), (months + 1).astype("datetime64[ns]")
        return start, start + (end - start) // 2, end
    if convention == "instant" or length is None:
        return stamp, stamp, stamp
    length = np.asarray(length, dtype="timedelta64[ns]")
    start = stamp - {"start": 0 * length, "middle": length // 2, "end": length}[convention]
    return start, start + length // 2, start + length


def build(
    columns: Mapping[str, Any],
    *,
    species: str,
    unit: str,
    start: np.ndarray,
    middle: np.ndarray,
    end: np.ndarray,
    interval: str,
    notes: Notes,
    attrs: Mapping[str, Any],
    scale: str = "",
    kind: str = "point",
    extras: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Make a record of plain arrays; see the module's table for its layout.

    Parameters
    ----------
    columns : mapping of str to array
        ``value`` and any other variable of the layout, shape (rows,) or scalar; numbers in `unit` or in
        degrees and metres. What is absent is filled with NaN, -1 or the empty string. ``identity``
        (str) tells repeated analyses of one sample apart; it is not kept.
    species, unit, scale : str
        As the file says; the values come out in the species' customary unit.
    start, middle, end : ndarray of datetime64, shape (rows,)
        See `intervals`. NaT where the file's time is impossible.
    interval : str
        What the file's stamp meant.
    notes : Notes
        Extended here and written into the attributes.
    attrs : mapping
        ``site, network, source, format, path, ...``.
    kind : {"point", "column"}
        Decides the physical range.
    extras : mapping of str to (dims, array) or array, optional
        Variables of the dialect; one dimension is ``time``.
    options : mapping, optional
        What the caller says where the file does not: ``site``, ``scale``.

    Returns
    -------
    xarray.Dataset
        Sorted by time (stable); nothing is dropped.

    Raises
    ------
    UnitError
        Unknown unit, or more than half of the usable values outside the species' physical range.
    """
    path = attrs.get("path", "")
    species = species_name(species)
    attrs, scale = _complete(attrs, scale, options or {})
    entry = SPECIES.get(species)
    factor, unit_name, unit_cf = _unit(species, unit, path)
    rows = len(middle)
    data: dict[str, np.ndarray] = {
        name: np.array(np.broadcast_to(np.asarray(columns.get(name, np.nan), dtype=np.float64), (rows,)))
        for name in ("value", "uncertainty", "sd", "latitude", "longitude", "altitude_m", "intake_height_m")
    }
    mole_fraction = is_mole_fraction(unit)
    _missing(data, mole_fraction, notes)
    _locate(data, attrs["site"], notes)
    if factor != 1.0:
        for name in ("value", "uncertainty", "sd"):
            data[name] *= factor
    data["n"] = _counts(columns.get("n"), rows)
    for name in STRINGS:
        data[name] = np.array(np.broadcast_to(np.asarray(columns.get(name, ""), dtype=str), (rows,)))
    quality = np.array(np.broadcast_to(np.asarray(columns.get("quality", 0), dtype=np.uint32), (rows,)))
    if entry is not None:
        low, high = entry.valid_range(kind)
        _check_range(data["value"], quality, low, high, f"{species} in {unit_name}", path, notes)
    quality[~np.isfinite(data["value"])] |= np.uint32(Quality.RANGE)
    _place(data, quality, notes)
    times = {"time_start": start, "time_end": end, "time": middle}
    times = {k: np.asarray(v).astype("datetime64[ns]") for k, v in times.items()}
    bad_time = np.isnat(times["time"])
    quality[bad_time] |= np.uint32(Quality.TIME)
    notes.warn(bad_time.sum(), "rows have no possible time (flagged 'time')")
    order = _order(times["time"], notes)
    data["quality"] = quality
    variables: dict[str, Any] = {}
    for name, values in (data | times).items():
        variables[name] = ("time", values if order is None else values[order])
    for name, extra in (extras or {}).items():
        dims, values = extra if isinstance(extra, tuple) else (("time",), extra)
        variables[name] = (dims, values if order is None or dims[0] != "time" else np.asarray(values)[order])
    dataset = xr.Dataset(variables)
    if kind == "point":
        _mark_duplicates(dataset, columns.get("identity"), order, notes)
    dataset.attrs = {
        "species": species,
        "unit": unit_name,
        "scale": _scale(scale, species, extras or {}, notes),
        "scale_original": scale,
        "kind": kind,
        "interval": interval,
        **attrs,
        "changes": notes.changes,
        "warnings": notes.warnings,
    }
    length = np.unique((dataset["time_end"] - dataset["time_start"]).values[~bad_time])
    if len(length) == 1:
        dataset.attrs["interval_seconds"] = float(length[0] / np.timedelta64(1, "s"))
    for name in ("value", "uncertainty", "sd"):
        dataset[name].attrs["units"] = unit_cf
    return dataset


def _complete(attrs: Mapping[str, Any], scale: str, options: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Fill in site and scale that the file does not give; contradict the file never."""
    attrs = dict(attrs)
    for name, said, asked in (
        ("site", attrs["site"], options.get("site")),
        ("scale", scale, options.get("scale")),
    ):
        if asked and said and said.upper() != asked.upper():
            raise ConfigError(f"{attrs.get('path')}: {name} {asked!r} was given, but the file says {said!r}")
    attrs["site"] = (attrs["site"] or options.get("site", "")).upper()
    return attrs, scale or options.get("scale", "")


def _locate(data: dict[str, np.ndarray], code: str, notes: Notes) -> None:
    """Give a file without any position that of its site in the station table."""
    from stations.sites import sites

    site = sites().get(code)
    if (
        site is None
        or not site.verified
        or np.isfinite(data["latitude"]).any()
        or np.isfinite(data["longitude"]).any()
    ):
        return
    data["latitude"][:], data["longitude"][:] = site.latitude, site.longitude
    if site.altitude_m is not None and not np.isfinite(data["altitude_m"]).any():
        height = data["intake_height_m"]
        data["altitude_m"][:] = site.altitude_m + np.where(np.isfinite(height), height, 0.0)
    notes.changed(len(data["value"]), f"positions taken from the station table ({site.code}, {site.name})")


def _scale(text: str, species: str, extras: Mapping[str, Any], notes: Notes) -> str:
    """Return the canonical scale; ``mixed`` where ``scale_row`` names several."""
    from stations.scale_names import UNKNOWN, canonical_scale, is_known

    if "scale_row" in extras:
        several = {canonical_scale(t, species) for t in np.unique(extras["scale_row"]).tolist()}
        if len(several) > 1:
            notes.warn(
                len(several), f"scales in one record ({', '.join(sorted(several))}); convert before use"
            )
            return "mixed"
        return several.pop() if several else UNKNOWN
    name = canonical_scale(text, species)
    if name != UNKNOWN and not is_known(name):
        notes.warn(1, f"unknown scale {text!r}; kept as given, no conversion will accept it")
    return name


def _unit(species: str, unit: str, path: Any) -> tuple[float, str, str]:
    """Return the factor to the species' customary unit, that unit's name and its CF spelling."""
    entry = SPECIES.get(species)
    try:
        if entry is not None:
            return conversion_factor(unit, entry.unit), entry.unit_name, entry.unit
        if not is_mole_fraction(unit):
            return 1.0, unit, unit
        # A species nobody keeps a range for stays in ppm, ppb or ppt as it came; mol mol-1 becomes ppt.
        size = conversion_factor(unit, "1")
        name = _UNIT_NAMES.get(size)
        return (1.0, name, f"{size:.0e}") if name else (size * 1e12, "ppt", "1e-12")
    except UnitError as error:
        raise UnitError(f"{path}: {species}: {error}") from error


def _missing(data: dict[str, np.ndarray], mole_fraction: bool, notes: Notes) -> None:
    """Turn undeclared fills and placeholder zeros into NaN."""
    for name in ("value", "uncertainty", "sd", "latitude", "longitude", "altitude_m", "intake_height_m"):
        values = data[name]
        if name == "value" and not mole_fraction:
            continue  # an isotope ratio of -99 is a measurement
        low = np.flatnonzero(values <= -99.0)
        if low.size and name != "longitude" and name != "altitude_m":
            near = _FILLS[np.clip(np.searchsorted(_FILLS, values[low]), 0, len(_FILLS) - 1)]
            before = _FILLS[np.clip(np.searchsorted(_FILLS, values[low]) - 1, 0, len(_FILLS) - 1)]
            fill = np.minimum(abs(values[low] - near), abs(values[low] - before)) <= 1e-6 * abs(values[low])
        else:
            fill = values[low] < (-900.0 if name == "altitude_m" else -360.0)
        notes.changed(fill.sum(), f"fill values of {name} that the header does not declare set to missing")
        values[low[fill]] = np.nan
    for name in ("uncertainty", "sd"):
        zero = data[name] == 0.0
        notes.changed(
            zero.sum(),
            f"values of {name} exactly 0 set to missing (a placeholder, not a perfect measurement)",
        )
        negative = data[name] < 0.0
        notes.changed(negative.sum(), f"negative values of {name} set to missing")
        data[name][zero | negative] = np.nan


def _counts(values: Any, rows: int) -> np.ndarray:
    if values is None:
        return np.full(rows, -1, np.int32)
    values = np.broadcast_to(np.asarray(values, dtype=np.float64), (rows,))
    good = (values >= 0) & (values < 2**31)
    return np.where(good, values, -1).astype(np.int32)


def _check_range(
    value: np.ndarray, quality: np.ndarray, low: float, high: float, what: str, path: Any, notes: Notes
) -> None:
    usable = np.isfinite(value) & ((quality & np.uint32(Quality.PRODUCER)) == 0)
    outside = usable & ~((value >= low) & (value <= high))
    count = int(outside.sum())
    if count == 0:
        return
    first = int(np.flatnonzero(outside)[0])
    if 2 * count > usable.sum():
        raise UnitError(
            f"{path}: {count} of {int(usable.sum())} values of {what} are outside {low:g} to {high:g}, the first in row "
            f"{first + 1} ({value[first]:g}); the file's unit is wrong or not what it says"
        )
    for power in (-12, -9, -6, -3, 3, 6, 9, 12):
        scaled = value[outside] * 10.0**power
        # Half a range is no proof; a value that lands between the file's own extremes is.
        inside = value[usable & ~outside]
        alike = (scaled >= inside.min()) & (scaled <= inside.max())
        notes.warn(
            alike.sum(),
            f"rows look as if in another unit (10^{-power} times {what}); flagged 'range', not converted",
        )
    notes.warn(
        count, f"values of {what} outside {low:g} to {high:g}, the first in row {first + 1}; flagged 'range'"
    )
    quality[outside] |= np.uint32(Quality.RANGE)
    quality[np.isfinite(value) & ~usable & ~((value >= low) & (value <= high))] |= np.uint32(Quality.RANGE)


def _place(data: dict[str, np.ndarray], quality: np.ndarray, notes: Notes) -> None:
    longitude = data["longitude"]
    east = longitude >= 180.0
    longitude[east & (longitude <= 360.0)] -= 360.0
    with np.errstate(invalid="ignore"):
        wrong = (abs(data["latitude"]) > 90.0) | (abs(longitude) > 180.0)
    notes.warn(wrong.sum(), "rows have an impossible position (flagged 'geolocation')")
    missing = ~(np.isfinite(data["latitude"]) & np.isfinite(longitude))
    if len(missing) and missing.all():
        # Nothing is wrong with the values: what needs a position (the observation table) flags the rows itself.
        notes.warn(
            len(missing),
            "rows without a position: the file gives none; name the site to take it from the station table",
        )
        missing[:] = False
    quality[wrong | missing] |= np.uint32(Quality.GEOLOCATION)


def _order(time: np.ndarray, notes: Notes) -> np.ndarray | None:
    """Return the stable order by time, or None where the rows are in order."""
    steps = np.diff(time)
    backward = int((steps < np.timedelta64(0)).sum()) if len(steps) else 0
    if backward == 0 and not np.isnat(time).any():
        return None
    notes.warn(backward, "step(s) back in time; rows were sorted")
    return np.argsort(time, kind="stable")  # NaT sorts last


def _mark_duplicates(dataset: xr.Dataset, identity: Any, order: np.ndarray | None, notes: Notes) -> None:
    """Flag every later row of the same time, intake and sample; two analyses of one flask are two measurements."""
    time = dataset["time"].values
    same_time = np.zeros(len(time), dtype=bool)
    same_time[1:] = time[1:] == time[:-1]
    if not same_time.any():
        return
    import pandas as pd

    same_time[:-1] |= same_time[1:]
    rows = np.flatnonzero(same_time)
    key = pd.DataFrame({n: dataset[n].values[rows] for n in ("time", "intake_height_m", "sample_id")})
    discrete = dataset["sample_id"].values[rows] != ""
    key["value"] = np.where(discrete, dataset["value"].values[rows], 0.0)
    if identity is not None:
        key["identity"] = (identity if order is None else identity[order])[rows]
    again = rows[key.duplicated().to_numpy()]
    notes.warn(len(again), "rows repeat the time, intake and sample of an earlier row (flagged 'duplicate')")
    dataset["quality"].values[again] |= np.uint32(Quality.DUPLICATE)


def pair_means(record: xr.Dataset) -> xr.Dataset:
    """Average the usable rows of equal time: the members of a flask pair.

    Parameters
    ----------
    record : xarray.Dataset
        See the module's table; rows with ``quality`` 0 are used.

    Returns
    -------
    xarray.Dataset
        ``time``, ``value`` (mean), ``n`` (members) and ``difference`` (largest minus smallest, NaN for single members).
    """
    use = record["quality"].values == 0
    time, inverse = np.unique(record["time"].values[use], return_inverse=True)
    value = record["value"].values[use]
    n = np.bincount(inverse, minlength=len(time))
    low, high = np.full(len(time), np.inf), np.full(len(time), -np.inf)
    np.minimum.at(low, inverse, value)
    np.maximum.at(high, inverse, value)
    means = np.bincount(inverse, weights=value, minlength=len(time)) / np.maximum(n, 1)
    difference = np.where(n > 1, high - low, np.nan)
    result = xr.Dataset(
        {"value": ("time", means), "n": ("time", n.astype(np.int32)), "difference": ("time", difference)},
        {"time": time},
    )
    result.attrs = dict(record.attrs)
    return result


def spread(value: np.ndarray, n: np.ndarray | None) -> dict[str, np.ndarray]:
    """Split a ``value_unc`` that its file documents as a standard deviation wherever n exceeds 1.

    Parameters
    ----------
    value, n : ndarray, shape (rows,)
        n may hold NaN, or be absent, where nobody counted.

    Returns
    -------
    dict
        ``sd`` and ``uncertainty`` (of single measurements), each NaN where the other stands.
    """
    single = np.zeros(len(value), bool) if n is None else np.asarray(n == 1)
    return {"sd": np.where(single, np.nan, value), "uncertainty": np.where(single, value, np.nan)}


def summary(record: xr.Dataset) -> dict[str, Any]:
    """Return what ``obsnet station read`` prints of a record.

    Parameters
    ----------
    record : xarray.Dataset
        See the module's table.

    Returns
    -------
    dict
        ``rows, first_time, last_time, start, end, flags`` (the producer's, counted), ``quality`` (bits,
        counted), ``species, unit, scale, interval, ...``.
    """
    time = record["time"].values
    good_time = time[~np.isnat(time)]
    starts, ends = record["time_start"].values, record["time_end"].values
    quality = record["quality"].values
    letters, counts = np.unique(record["quality_original"].values, return_counts=True)
    flags = {str(k): int(v) for k, v in sorted(zip(letters, counts, strict=True), key=lambda kv: -kv[1]) if k}
    value = record["value"].values[quality == 0]
    keys = (
        "species",
        "unit",
        "scale",
        "site",
        "site_name",
        "network",
        "source",
        "format",
        "kind",
        "interval",
    )
    return {
        "path": str(record.attrs.get("path", "")),
        "rows": int(time.size),
        "first_time": _iso(good_time.min()) if good_time.size else None,
        "last_time": _iso(good_time.max()) if good_time.size else None,
        "start": _iso(np.nanmin(starts)) if good_time.size else None,
        "end": _iso(np.nanmax(ends)) if good_time.size else None,
        **{k: record.attrs.get(k, "") for k in keys},
        "interval_seconds": record.attrs.get("interval_seconds"),
        "flags": flags,
        "quality": {"use": int((quality == 0).sum())}
        | {f.name.lower(): int((quality & f > 0).sum()) for f in Quality if (quality & f).any()},
        "mean_good": float(value.mean()) if value.size else None,
        "species_available": list(record.attrs.get("species_available", [record.attrs.get("species", "")])),
        **({"header_lines": record.attrs["header_lines"]} if "header_lines" in record.attrs else {}),
        "changes": list(record.attrs.get("changes", [])),
        "warnings": list(record.attrs.get("warnings", [])),
    }


def _iso(time: np.datetime64) -> str:
    """Return ISO 8601 UTC, seconds where they suffice."""
    text = str(time.astype("datetime64[ms]"))
    return text.removesuffix(".000") + "Z"
