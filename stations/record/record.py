"""The record in memory: one species at one or more intakes, as `Rows` of one documented layout.

Every reader hands its plain arrays to `build`, so that units, fills, placeholders, order, duplicates and
physical ranges are treated in one place and counted; `stations.read` returns it as an `xarray.Dataset`.

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
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from obsnet.constants import SPECIES
from obsnet.errors import ConfigError, UnitError
from obsnet.schema import Quality
from obsnet.times import later
from obsnet.units import conversion_factor, convert, is_mole_fraction
from stations.record.checks import (
    Notes,
    check_range,
    drop_fills,
    drop_placeholders,
    flag_positions,
    overlapping,
    repeated,
    time_order,
    warn_of_air,
    warn_of_errors,
    warn_of_tall_intakes,
    warn_of_times,
    warn_of_travel,
    without_fills,
)
from stations.record.rows import Rows, Variable
from stations.record.scale_names import UNKNOWN, canonical_scale, is_known
from stations.record.sites import sites

if TYPE_CHECKING:
    from stations.record.source import Source

__all__ = ["InUnit", "Notes", "Span", "build", "intervals", "species_name", "spread"]

CONVENTIONS = ("instant", "start", "middle", "end")
_MEASURED = ("value", "uncertainty", "sd")
_PLACE = ("latitude", "longitude", "altitude_m", "intake_height_m")
_TEXTS = ("quality_original", "sample_id")
_UNIT_NAMES = {1e-6: "ppm", 1e-9: "ppb", 1e-12: "ppt"}


def species_name(text: str) -> str:
    """Return a species' name as in `obsnet.constants.SPECIES` where it is known there, else as given."""
    return text.upper() if text.upper() in SPECIES else text


class InUnit(NamedTuple):
    """Numbers of a dialect with the unit they are in, mole fractions like the value; empty is the value's own."""

    values: np.ndarray
    unit: str = ""


class Span(NamedTuple):
    """Start, middle and end of each row's interval (datetime64[ns]), and what part of it the stamp `named`."""

    start: np.ndarray
    middle: np.ndarray
    end: np.ndarray
    named: str


def intervals(stamp: Any, convention: str, length: Any = None) -> Span:
    """Return the intervals that time stamps stand for.

    Parameters
    ----------
    stamp : ndarray of datetime64
        UTC.
    convention : {"instant", "start", "middle", "end"}
        What part of its interval a stamp names.
    length : timedelta64, ndarray of timedelta64, or "month", optional
        Length of the interval; ``"month"`` is the stamp's calendar month. Without it the interval is the
        instant.
    """
    stamp = np.asarray(stamp).astype("datetime64[ns]")
    if convention not in CONVENTIONS:
        raise ConfigError(f"interval convention {convention!r} is not one of {', '.join(CONVENTIONS)}")
    if isinstance(length, str):
        months = stamp.astype("datetime64[M]")
        start, end = months.astype("datetime64[ns]"), later(months).astype("datetime64[ns]")
        return Span(start, start + (end - start) // 2, end, convention)
    if convention == "instant" or length is None:
        return Span(stamp, stamp, stamp, convention)
    length = np.asarray(length, dtype="timedelta64[ns]")
    start = stamp - {"start": 0 * length, "middle": length // 2, "end": length}[convention]
    return Span(start, start + length // 2, start + length, convention)


def build(
    columns: Mapping[str, Any],
    *,
    species: str,
    unit: str,
    when: Span,
    notes: Notes,
    attrs: Mapping[str, Any],
    scale: str = "",
    kind: str = "point",
    extras: Mapping[str, Any] | None = None,
    source: Source | None = None,
) -> Rows:
    """Make a record of plain arrays; see the module's table for its layout.

    Parameters
    ----------
    columns : mapping of str to array
        ``value`` and any other variable of the layout, shape (rows,) or scalar; numbers in `unit` or in
        degrees and metres. What is absent is filled with NaN, -1 or the empty string. ``identity`` (str)
        tells repeated analyses of one sample apart; it is not kept.
    species, unit, scale : str
        As the file says; the values come out in the species' customary unit.
    when : Span
        See `intervals`. NaT where the file's time is impossible.
    notes : Notes
        Extended here and written into the attributes.
    attrs : mapping
        ``site, network, source, format`` and others; ``path`` and ``dataset`` are those of `source`.
    kind : {"point", "column"}
        Decides the physical range.
    extras : mapping of str to (dims, array), array or InUnit, optional
        Variables of the dialect; their first dimension is ``time``. `InUnit` is brought to the unit of the value.
        ``scale_row`` names each row's scale.
    source : Source, optional
        The file; its options say ``site`` and ``scale`` where it does not itself.

    Returns
    -------
    Rows
        Sorted by time (stable); nothing is dropped. `stations.record.rows.as_dataset` makes a Dataset of it.

    Raises
    ------
    UnitError
        Unknown unit, or more than half of the usable values outside the species' physical range.
    ConfigError
        An option that contradicts the file.
    """
    if source is not None:
        attrs = {"path": source.where, "dataset": source.name, **attrs}
    path, species = attrs.get("path", ""), species_name(species)
    options = {} if source is None else source.options
    attrs, scale = _complete(attrs, scale, options)
    _stamp(options.get("stamp"), when, path, notes)
    factor, unit_name, unit_cf = _unit(species, unit, path)
    times = {"time_start": when.start, "time_end": when.end, "time": when.middle}
    data = {name: np.asarray(v).astype("datetime64[ns]") for name, v in times.items()}
    data |= _columns(columns, len(data["time"]))
    warn_of_times(data["time_start"], data["time_end"], when.named, notes)
    # An isotope ratio of -99 is a measurement, a mole fraction of -99 is none.
    drop_fills(data, (*(_MEASURED if is_mole_fraction(unit) else _MEASURED[1:]), *_PLACE), notes)
    more = dict(extras or {})
    zero = drop_placeholders(data, notes)
    if zero.any():
        more["sd_zero"] = zero
    for name in _MEASURED:
        data[name] *= factor
    limits = SPECIES[species].valid_range(kind) if species in SPECIES else None
    what = f"{species} in {unit_name}"
    _judge(data, limits, what, attrs["site"], path, kind, notes)
    if is_mole_fraction(unit):
        warn_of_errors(data["value"], data["uncertainty"], data["quality"], kind, notes)
    if limits is not None and kind == "point":
        warn_of_air(data["value"], data["quality"], SPECIES[species].valid_range("column"), what, notes)
    scale_name, by_row = _scale(scale, species, more, notes)
    variables: dict[str, tuple[Any, np.ndarray, dict[str, str]]] = {
        name: (("time",), values, {}) for name, values in data.items()
    }
    more = {
        n: InUnit(without_fills(v.values, n, notes), v.unit) if isinstance(v, InUnit) else v
        for n, v in more.items()
    }
    for name, values in {**more, **by_row}.items():
        variables[name] = _variable(values, unit, unit_cf)
    ordered = _ordered(variables, columns.get("identity"), kind, notes)
    record = Rows(
        {n: Variable(tuple(dims), np.asarray(values), more) for n, (dims, values, more) in ordered.items()},
        {},
    )
    record.attrs |= {
        "species": species,
        "unit": unit_name,
        "scale": scale_name,
        "scale_original": scale,
        "kind": kind,
        "interval": when.named,
        **attrs,
        "changes": notes.changes,
        "warnings": notes.warnings,
    }
    length = np.unique((data["time_end"] - data["time_start"])[~np.isnat(data["time"])])
    if len(length) == 1:
        record.attrs["interval_seconds"] = float(length[0] / np.timedelta64(1, "s"))
    for name in _MEASURED:
        record[name].attrs["units"] = unit_cf
    return record


def _judge(
    data: dict[str, np.ndarray],
    limits: tuple[float, float] | None,
    what: str,
    site: str,
    path: Any,
    kind: str,
    notes: Notes,
) -> None:
    """Flag, in place, values out of range, positions and times that cannot be."""
    quality = data["quality"]
    if limits is not None:
        check_range(data["value"], quality, limits, what, path, notes)
    quality[~np.isfinite(data["value"])] |= np.uint32(Quality.RANGE)
    _locate(data, site, notes)
    flag_positions(data["latitude"], data["longitude"], quality, notes)
    if kind == "point":
        warn_of_tall_intakes(data["altitude_m"], data["intake_height_m"], notes)
        warn_of_travel(data["latitude"], data["longitude"], notes)
    lost = np.isnat(data["time"])
    notes.warn(lost.sum(), "rows have no possible time (flagged 'time')")
    quality[lost] |= np.uint32(Quality.TIME)


def _variable(values: Any, said: str, unit: str) -> tuple[Any, np.ndarray, dict[str, str]]:
    """Return dimensions, values and attributes of a dialect's variable, its numbers in the unit of the value.

    Parameters
    ----------
    said, unit : str
        Unit of the value in the file, and in the record.
    """
    if isinstance(values, InUnit):
        own = values.unit or said
        if is_mole_fraction(own) and is_mole_fraction(unit):
            numbers = np.asarray(convert(values.values, own, unit), dtype=np.float64)
            return ("time",), numbers, {"units": unit}
        return ("time",), values.values, {"units": own}
    return (*values, {}) if isinstance(values, tuple) else (("time",), values, {})


def _ordered(
    variables: dict[str, tuple[Any, np.ndarray, dict[str, str]]],
    identity: np.ndarray | None,
    kind: str,
    notes: Notes,
) -> dict[str, tuple[Any, np.ndarray, dict[str, str]]]:
    """Return the variables sorted by time, rows of point data that repeat another one flagged."""
    order = time_order(variables["time"][1], notes)
    if order is not None:
        variables = {
            n: (dims, np.asarray(values)[order], more) for n, (dims, values, more) in variables.items()
        }
        identity = None if identity is None else identity[order]
    if kind == "point":
        quality = variables["quality"][1]
        again = repeated(_keys(variables, identity), quality)
        text = "rows repeat the time, intake and sample of another row (flagged 'duplicate')"
        notes.warn(len(again), text)
        quality[again] |= np.uint32(Quality.DUPLICATE)
        start, end, intake = (variables[n][1] for n in ("time_start", "time_end", "intake_height_m"))
        alone = (quality == 0) & (variables["sample_id"][1] == "")
        text = (
            "rows share more than half of their time with the next one: the interval is longer than the step"
        )
        notes.warn(overlapping(start, end, intake, alone), text)
    return variables


def _columns(columns: Mapping[str, Any], rows: int) -> dict[str, np.ndarray]:
    """Return every variable of the layout but the times, each with an array of its own."""

    def filled(value: Any, kind: Any) -> np.ndarray:
        return np.array(np.broadcast_to(np.asarray(value, dtype=kind), (rows,)))

    found = {name: filled(columns.get(name, np.nan), np.float64) for name in (*_MEASURED, *_PLACE)}
    found |= {name: filled(columns.get(name, ""), str) for name in _TEXTS}
    counts = filled(np.nan if columns.get("n") is None else columns["n"], np.float64)
    counted = (counts >= 0) & (counts < 2**31)
    found["n"] = np.where(counted, counts, -1).astype(np.int32)
    found["quality"] = filled(columns.get("quality", 0), np.uint32)
    return found


def _complete(attrs: Mapping[str, Any], scale: str, options: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Fill in site and scale that the file does not give; contradict the file never."""
    said = {"site": attrs["site"], "scale": scale}
    for name, value in said.items():
        asked = options.get(name)
        if asked and value and value.upper() != asked.upper():
            raise ConfigError(f"{attrs.get('path')}: {name} {asked!r} was given, but the file says {value!r}")
        said[name] = value or asked or ""
    return {**attrs, "site": said["site"].upper()}, said["scale"]


def _stamp(asked: str | None, when: Span, path: Any, notes: Notes) -> None:
    """Refuse a part of the interval that the format itself contradicts; say where there is no interval."""
    if asked in (None, when.named):
        return
    if np.array_equal(when.start, when.end, equal_nan=True):
        notes.warn(when.start.size, f"rows have times without a length: --stamp {asked} moves none")
        return
    raise ConfigError(
        f"{path}: --stamp {asked} was given, but times of this file name the {when.named} of their intervals by its "
        "format or description: leave --stamp out"
    )


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


def _locate(data: Mapping[str, np.ndarray], code: str, notes: Notes) -> None:
    """Give a file without any position that of its site in the station table."""
    site = sites().get(code)
    known = np.isfinite(data["latitude"]).any() or np.isfinite(data["longitude"]).any()
    if site is None or not site.verified or known:
        return
    data["latitude"][:], data["longitude"][:] = site.latitude, site.longitude
    if site.altitude_m is not None and not np.isfinite(data["altitude_m"]).any():
        data["altitude_m"][:] = site.altitude_m + np.nan_to_num(data["intake_height_m"])
    notes.changed(len(data["value"]), f"positions taken from the station table ({site.code}, {site.name})")


def _scale(
    text: str, species: str, extras: Mapping[str, Any], notes: Notes
) -> tuple[str, dict[str, np.ndarray]]:
    """Return the canonical scale, ``mixed`` where rows are on several, and those rows' scales."""
    if "scale_row" not in extras:
        name = canonical_scale(text, species)
        if not is_known(name) and name != "mixed":
            notes.warn(1, f"unknown scale {text!r}; kept as given, no conversion will accept it")
        return name, {}
    raw, inverse = np.unique(extras["scale_row"], return_inverse=True)
    names = [canonical_scale(t, species) for t in raw.tolist()]
    several = sorted(set(names))
    by_row = {"scale_row": np.array(names or [UNKNOWN])[inverse]}
    if len(several) > 1:
        notes.warn(len(several), f"scales in one record ({', '.join(several)}); convert before use")
        return "mixed", by_row
    return "".join(several) or UNKNOWN, by_row


def _keys(
    variables: Mapping[str, tuple[Any, np.ndarray, dict[str, str]]], identity: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return what makes rows distinct: two analyses of one flask are two measurements, two hours are not."""
    keys = {name: variables[name][1] for name in ("time", "intake_height_m", "sample_id")}
    keys["value"] = np.where(keys["sample_id"] != "", variables["value"][1], 0.0)
    return keys if identity is None else keys | {"identity": identity}


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
