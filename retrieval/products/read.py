"""One granule to one observation table: recognise, read what is one-dimensional, screen, then read profiles."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from obsnet.constants import species as species_of
from obsnet.content import file_id, sha256
from obsnet.errors import ConfigError, FormatError
from obsnet.reading import door
from obsnet.schema import Quality, observation_table, out_of_range
from obsnet.typing import Floats
from retrieval.readers.fields import Fields
from retrieval.readers.own_words import (
    LEAST_ERROR,
    axis_fault,
    day_doubt,
    error_doubt,
    error_fault,
    flag_doubt,
    swapped,
)
from retrieval.readers.profiles import read_profiles
from retrieval.readers.sensors import Sensor, load_sensors, recognise, sensor_named
from retrieval.readers.source import open_source

if TYPE_CHECKING:
    from retrieval.products.bias import Correction
    from retrieval.products.screening import Screen

__all__ = [
    "Granule",
    "ProfileChoice",
    "open_fields",
    "read_granule",
    "read_identities",
    "source_name",
]

ProfileChoice = Literal["all", "good", "none"]


@dataclass(frozen=True)
class Granule:
    """What was read from one file.

    Parameters
    ----------
    table : pyarrow.Table
        Observation table, one row a sounding, profiles surface first.
    sensor : Sensor
        The table it was read with.
    version : str
        Version of the product as the file tells it.
    source : str
        Product and version (and scale, where it is not the usual one), e.g. ``"oco2_lite_v11_x2019"``.
    notes : tuple of str
        What the reader found broken, converted or derived, counted.
    counts : dict of str to dict
        Rows by filter of the screen (``"screen"``) and by named bit of the producer's flag (``"producer"``).
    extra : dict of str to ndarray
        Further variables that were asked for, one entry a row.
    """

    table: pa.Table
    sensor: Sensor
    version: str
    source: str
    notes: tuple[str, ...] = ()
    counts: dict[str, dict[str, int]] | None = None
    extra: dict[str, np.ndarray] | None = None


@door("a granule")
def open_fields(
    path: str | os.PathLike[str],
    *,
    sensor: str | Sensor | None = None,
    species: str | None = None,
    variant: str | None = None,
    folders: Iterable[str | Path] = (),
) -> Fields:
    """Open a granule for reading by role; close it with ``fields.source.close()`` or use `read_granule`.

    Parameters
    ----------
    path : path
        File.
    sensor : str or Sensor, optional
        Product; recognised by content without it.
    species : str, optional
        For files of several.
    variant : str, optional
        E.g. ``"x2019"``.
    folders : iterable of path
        Sensor tables of your own.

    Raises
    ------
    FormatError
        The file is broken, or no product or several fit.
    """
    source = open_source(path)
    try:
        if sensor is None:
            sensor = recognise(source, load_sensors(folders))
        elif isinstance(sensor, str):
            sensor = sensor_named(sensor, folders)
        return Fields(source, sensor.for_species(species).for_variant(variant))
    except BaseException:
        source.__exit__()
        raise


def source_name(sensor: Sensor, version: str, variant: str | None) -> str:
    """Return the name under which a product's rows are kept."""
    return "_".join(p for p in (sensor.name, f"v{version}" if version else "", variant or "") if p)


@door("a granule")
def read_identities(
    path: str | os.PathLike[str],
    *,
    until: np.datetime64 | None = None,
    since: np.datetime64 | None = None,
    **choice: Any,
) -> pa.Array:
    """Return the product's own identity of each sounding of a file, as strings.

    Parameters
    ----------
    path : path
        File.
    until, since : datetime64, optional
        Only of soundings up to the one, from the other on, or without a time; of all where neither is given.
    **choice
        See `open_fields`.
    """
    fields = open_fields(path, **choice)
    with fields.source:
        if fields.sensor.skip_fill:
            value = fields.number("value")
            assert value is not None
            fields.keep(np.isfinite(value))
        time = fields.times()[0]
        identity = fields.identifiers(time).cast(pa.string())
    if isinstance(identity, pa.ChunkedArray):
        identity = identity.combine_chunks()
    if until is None and since is None:
        return identity
    wanted = np.isnat(time)
    wanted |= False if until is None else time <= until
    wanted |= False if since is None else time >= since
    return identity.filter(pa.array(wanted))


@door("a granule")
def read_granule(
    path: str | os.PathLike[str],
    *,
    sensor: str | Sensor | None = None,
    species: str | None = None,
    variant: str | None = None,
    screen: Screen | None = None,
    correction: Correction | None = None,
    profiles: ProfileChoice = "all",
    extra: Sequence[str] = (),
    folders: Iterable[str | Path] = (),
    digest: str | None = None,
) -> Granule:
    """Read one granule into an observation table.

    One-dimensional variables are read and judged first; profiles after that, and with ``profiles="good"``
    only from the parts of the file where something survived.

    Parameters
    ----------
    path : path
        File.
    sensor, species, variant, folders
        See `open_fields`.
    screen : Screen, optional
        Quality profile of the user's choice; rows it rejects get the bit ``SCREEN``.
    correction : Correction, optional
        Bias correction to apply to the raw value instead of the producer's.
    profiles : {"all", "good", "none"}
        Rows whose profiles are read; the others hold nulls.
    extra : sequence of str
        Further variables to return by row: names of the sensor table, paths, or last parts of paths;
        ``"*"`` stands for all that the sensor table lists.
    digest : str, optional
        The file's sha256 where it is known already.

    Returns
    -------
    Granule

    Raises
    ------
    FormatError
        The file as a whole cannot be used; the text says why.
    """
    if profiles not in ("all", "good", "none"):
        raise ConfigError(f"profiles {profiles!r}: choose all, good or none")
    if correction is not None and variant is not None:
        raise ConfigError(
            f"bias correction {correction.name} starts from the raw value: it cannot be combined with variant {variant}"
        )
    fields = open_fields(path, sensor=sensor, species=species, variant=variant, folders=folders)
    with fields.source:
        return _read(fields, variant, screen, correction, profiles, extra, digest or sha256(path))


def _read(
    fields: Fields,
    variant: str | None,
    screen: Screen | None,
    correction: Correction | None,
    profiles: ProfileChoice,
    extra: Sequence[str],
    digest: str,
) -> Granule:
    chosen = fields.sensor
    value = fields.number("value")
    assert value is not None
    if chosen.skip_fill:
        there = np.isfinite(value)
        fields.keep(there)
        value = value[there]
    if variant is not None:
        fields.note(f"values are {fields.find('value')} (variant {variant})")
    version = fields.version()
    source = source_name(chosen, version, variant)
    columns, quality = _plain_columns(fields)
    counts: dict[str, dict[str, int]] = {}
    if chosen.quality is not None:
        rejected, suspect, text = fields.flags(chosen.quality)
        quality[rejected] |= Quality.PRODUCER.value
        quality[suspect] |= Quality.SUSPECT.value
        columns["quality_original"] = text
        if chosen.quality.bits is not None and chosen.quality.bits in fields.source:
            from retrieval.products.screening import count_bits

            counts["producer"] = count_bits(fields, chosen.quality.bits)
    if correction is not None:
        value = correction.apply(fields)
        fields.note(correction.summary())
        source = f"{source}_{correction.name}"
    _check_plausible(fields, value, quality)
    _check_errors(fields, value, columns["uncertainty"], quality)
    _doubts(fields, value, columns, quality)
    if screen is not None:
        result = screen.apply(fields)
        quality[result.rejected] |= Quality.SCREEN.value
        counts |= {"screen": result.counts, "screen_alone": result.alone}
    columns |= {"value": value, "quality": quality}
    _mark_repeats(fields, columns, quality, source)
    rows = _profile_rows(columns, quality, chosen.species, profiles)
    found = None if profiles == "none" else read_profiles(fields, rows)
    if found is not None:
        where = slice(None) if rows is None else rows
        fault = np.zeros(len(quality), dtype=bool)
        fault[where] = found.fault
        quality[fault] |= Quality.OPERATOR.value
        columns |= {name: _spread(array, rows, len(quality)) for name, array in found.columns.items()}
        vertical = "layer" if "pressure_edges" in found.columns else "level"
        columns["vertical"] = pa.repeat(pa.scalar(vertical), len(quality))
    if chosen.untested:
        fields.note(f"the table of {chosen.name} was never tested on a real file")
    for name, outside, _ in out_of_range(columns, chosen.species, "column"):
        first = np.ravel(np.asarray(columns[name])[outside])[0]
        fields.note(
            f"{int(outside.sum())} rows: {name} outside its physical range, {first:g} in the first of them"
        )
    table = observation_table(
        columns, species=chosen.species, kind="column", source=source, file_id=file_id(digest)
    )
    names = [*chosen.extra, *(e for e in extra if e != "*")] if "*" in extra else list(extra)
    kept = {
        n: fields.raw(fields.find(n))
        for n in names
        if n not in chosen.extra or chosen.extra[n] in fields.source
    }
    return Granule(table, chosen, version, source, tuple(fields.notes), counts, kept)


def _plain_columns(fields: Fields) -> tuple[dict[str, Any], np.ndarray]:
    """Return the one-dimensional columns and the quality bits they earn."""
    chosen = fields.sensor
    quality = np.zeros(len(fields), dtype=np.uint32)
    time, start, end = fields.times()
    if chosen.day and (doubt := day_doubt(chosen.day, fields.source.path.name, time)):
        fields.note(f"all rows: {doubt}")
    to_come = int((time > np.datetime64("now") + np.timedelta64(1, "D")).sum())
    if to_come:  # as those of a simulated granule may be
        fields.note(f"{to_come} rows are of a time to come: is the unit of time right?")
    latitude, longitude = (_degrees(fields, role) for role in ("latitude", "longitude"))
    if wrong := swapped(latitude, longitude):
        raise FormatError(f"{fields.where}: {wrong}")
    columns: dict[str, Any] = {
        "time": time,
        "latitude": latitude,
        "longitude": longitude,
        "platform": pa.repeat(pa.scalar(chosen.platform), len(fields)),
        "_id": fields.identifiers(time),
    }
    if start is not None:
        columns |= {"time_start": start, "time_end": end}
    if chosen.scale is not None:
        columns["scale"] = pa.repeat(pa.scalar(chosen.scale), len(fields))
    for role in ("uncertainty", "uncertainty_systematic", "altitude_m", "land_fraction"):
        values = fields.number(role)
        if values is not None:
            columns[role] = values
    if "uncertainty" not in columns:
        columns["uncertainty"] = np.full(len(fields), np.nan)
        fields.note("the file states no uncertainty: no row can be used")
    with np.errstate(invalid="ignore"):
        quality[~(columns["uncertainty"] > 0)] |= Quality.UNCERTAINTY.value
    mode = fields.text("mode")
    if mode is not None:
        columns["mode"] = mode
    corners = [fields.profile(f"corner_{c}") for c in ("latitude", "longitude")]
    if corners[0] is not None and corners[1] is not None:
        columns["corner_latitude"] = corners[0]
        columns["corner_longitude"] = _around(corners[1], columns["longitude"])
    return columns, quality


def _degrees(fields: Fields, role: str) -> Floats:
    """Return latitudes or longitudes.

    Raises
    ------
    FormatError
        The variable's own attributes say that it is something else.
    """
    path = fields.find(role)
    if wrong := axis_fault(role, fields.source.attributes(path)):
        raise FormatError(f"{fields.where}: {path} ({role}) {wrong}")
    values = fields.number(role)
    assert values is not None  # not optional in any table
    return values


def _around(corner: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Bring corner longitudes within 180 degrees of the centre, so that a pixel on the dateline stays whole."""
    if corner.size == 0 or corner.max() - corner.min() < 180.0:
        return corner
    turns = np.round((corner - centre[:, None].astype(np.float32)) / np.float32(360.0))
    return corner - np.float32(360.0) * turns if turns.any() else corner


def _check_plausible(fields: Fields, value: np.ndarray, quality: np.ndarray) -> None:
    """Refuse a granule whose good values are nearly all outside the physical range: its unit is not what it says.

    Raises
    ------
    FormatError
        With the range found, the range allowed and the unit under which the numbers would fit.
    """
    entry = species_of(fields.sensor.species)
    low, high = entry.valid_range("column")
    finite = np.isfinite(value)
    judged = finite & (quality & Quality.PRODUCER.value == 0)
    judged = judged if judged.any() else finite
    if not judged.any():
        return
    inside = (value >= low) & (value <= high)
    if (inside & judged).sum() >= 0.5 * judged.sum():
        return
    found = value[judged]
    middle = float(np.median(found))
    fits = [k for k in (-9, -6, -3, 3, 6, 9) if low <= middle * 10.0**k <= high]
    hint = f"; times 1e{fits[0]:+d} it would fit: is the unit in the file right?" if fits else ""
    path = fields.sensor.variables["value"].path[0]
    raise FormatError(
        f"{fields.where}: {path} spans {found.min():.6g} to {found.max():.6g} {entry.unit_name} (median {middle:.6g}), "
        f"outside {low:g} to {high:g}{hint}"
    )


def _check_errors(fields: Fields, value: Floats, error: Floats, quality: np.ndarray) -> None:
    """Flag rows whose uncertainty is next to nothing, and refuse a granule of such.

    Raises
    ------
    FormatError
        With the unit under which the numbers would fit.
    """
    wrong, small = error_fault(value, error)
    if wrong:
        raise FormatError(f"{fields.where}: {wrong}")
    if small.any():
        fields.note(
            f"{int(small.sum())} rows: uncertainty below {LEAST_ERROR:g} of the value, which no single sounding has"
        )
        quality[small] |= Quality.UNCERTAINTY.value


def _doubts(fields: Fields, value: Floats, columns: dict[str, Any], quality: np.ndarray) -> None:
    """Say what the soundings themselves tell of a flag and of uncertainties that no words explain."""
    good = quality & Quality.PRODUCER.value == 0
    of = good, value, columns["uncertainty"], columns["latitude"]
    for doubt in (flag_doubt(*of), error_doubt(*of)):
        if doubt:
            fields.note(doubt)


def _mark_repeats(fields: Fields, columns: dict[str, Any], quality: np.ndarray, source: str) -> None:
    """Give each row its identity in the store; a sounding that stands twice in one file is flagged."""
    import pyarrow.compute as pc

    native = columns.pop("_id")
    if isinstance(native, pa.ChunkedArray):
        native = native.combine_chunks()
    identity = pc.binary_join_element_wise(pa.scalar(source), native.cast(pa.string()), ":")
    again = _repeated(native)
    if again is not None:
        quality[again] |= Quality.DUPLICATE.value
        fields.note(f"{int(again.sum())} rows repeat a sounding of the same file")
        numbered = pc.binary_join_element_wise(
            identity, pa.array(np.arange(len(native))).cast(pa.string()), "#"
        )
        identity = pc.if_else(pa.array(again), numbered, identity)
    columns["obs_id"] = identity


def _repeated(native: pa.Array) -> np.ndarray | None:
    """Return which identities stood earlier in the list already, None where none did."""
    if pa.types.is_integer(native.type):
        number = native.to_numpy(zero_copy_only=False)
        if (number[1:] > number[:-1]).all():
            return None
    codes = native.dictionary_encode()
    if len(codes.dictionary) == len(native):
        return None
    _, first = np.unique(codes.indices.to_numpy(), return_index=True)
    again = np.ones(len(native), dtype=bool)
    again[first] = False
    return again


def _profile_rows(
    columns: dict[str, Any], quality: np.ndarray, species: str, profiles: ProfileChoice
) -> np.ndarray | None:
    """Return the rows whose profiles are wanted; None for all."""
    if profiles == "all":
        return None
    low, high = species_of(species).valid_range("column")
    with np.errstate(invalid="ignore"):
        use = (quality == 0) & (columns["value"] >= low) & (columns["value"] <= high)
        use &= np.isfinite(columns["latitude"]) & np.isfinite(columns["longitude"])
    return np.flatnonzero(use)


def _spread(values: np.ndarray, rows: np.ndarray | None, total: int) -> Any:
    """Put the read rows of a profile or number back among all rows, nulls in between."""
    if rows is None:
        return values
    if values.ndim == 1:
        full = np.full(total, np.nan)
        full[rows] = values
        return full
    sizes = np.zeros(total + 1, dtype=np.int32)
    sizes[rows + 1] = values.shape[1]
    absent = np.ones(total, dtype=bool)
    absent[rows] = False
    flat = pa.array(np.ascontiguousarray(values, dtype=np.float32).ravel())
    return pa.ListArray.from_arrays(pa.array(np.cumsum(sizes, dtype=np.int32)), flat, mask=pa.array(absent))
