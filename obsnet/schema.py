"""The contracts in which stages meet: what each table must hold, checked when written and when read.

Observation table
    A `pyarrow.Table` of one species; one row a sounding, a super-observation or a station sample. Profiles
    are **surface first**. Flagged rows are kept: ``quality`` has a bit for each reason, 0 means use.
Granule index
    One row a file that somebody tried to read.
Sensitivity table and background table
    The sparse Jacobian: one row an (observation, flux time bin, cell); beside it one row an observation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from obsnet.constants import species as species_of
from obsnet.errors import RangeError, SchemaError, nearest
from obsnet.typing import Bools

__all__ = [
    "BACKGROUND",
    "GRANULE_INDEX",
    "OBSERVATIONS",
    "PROFILES",
    "SENSITIVITY",
    "SIDES",
    "VERSION",
    "Contract",
    "Quality",
    "check",
    "check_observations",
    "check_stored",
    "observation_table",
    "out_of_range",
    "profile_array",
    "profile_column",
    "unit_of",
]

VERSION = "1"
SIDES = ("north", "east", "south", "west", "top", "inside")  # where air came in, or ended without leaving


class Quality(IntFlag):
    """Why a row should not be used; 0 means use. Every check adds its bit, none ever clears one."""

    PRODUCER = 1 << 0  # rejected by whoever made the file
    RANGE = 1 << 1  # value outside its physical range, or not finite
    GEOLOCATION = 1 << 2  # latitude or longitude missing or impossible
    TIME = 1 << 3  # time missing, impossible or out of order
    OPERATOR = 1 << 4  # kernel, weights or prior break their identities
    UNCERTAINTY = 1 << 5  # uncertainty missing, zero or negative
    SCREEN = 1 << 6  # a screening profile of the user's choice
    SELECTION = 1 << 7  # valid but not representative (not background)
    PAIR = 1 << 8  # members of a flask pair disagree
    OUTLIER = 1 << 9  # far from the fitted curve
    SPIKE = 1 << 10  # short local contamination
    VARIABILITY = 1 << 11  # too variable within the hour or from hour to hour
    STUCK = 1 << 12  # the same value again and again
    WIND = 1 << 13  # wind from an excluded sector or too weak
    GRADIENT = 1 << 14  # intakes at different heights disagree
    HOURS = 1 << 15  # outside the hours a model can represent
    CALIBRATION = 1 << 16  # calibration missing, extrapolated or failed
    DUPLICATE = 1 << 17  # the same observation again
    SUSPECT = 1 << 18  # doubted by its producer, not rejected
    ELSEWHERE = 1 << 19  # the same observation counts in another file

    @classmethod
    def names(cls, bits: int) -> list[str]:
        """Return the lower-case names of the bits that are set."""
        return [str(flag.name).lower() for flag in cls if bits & flag]


@dataclass(frozen=True)
class Contract:
    """A table's name, columns and which of them may hold nulls.

    Parameters
    ----------
    name : str
        Written into the file's metadata with the version.
    schema : pyarrow.Schema
        Columns in order.
    nullable : frozenset of str
        Columns that may be missing from a table (they are added as nulls) and may hold nulls.
    """

    name: str
    schema: pa.Schema
    nullable: frozenset[str]


_TIME = pa.timestamp("us")
_PROFILE = pa.list_(pa.float32())
PROFILES = ("pressure_edges", "pressure_levels", "pressure_weight", "averaging_kernel", "prior_profile")

# Beside those of the species: below the Dead Sea, above any aircraft, on masts and towers; shares with what rounding
# adds; corners within a turn of a centre. Pressures, weights, kernels and priors: `retrieval.readers.profiles`.
_RANGES = {
    "altitude_m": (-500.0, 30000.0, Quality.GEOLOCATION),
    "intake_height_m": (-50.0, 30000.0, Quality.GEOLOCATION),
    "n": (0.0, 1e9, Quality.RANGE),
    "land_fraction": (-1e-6, 1.0 + 1e-6, Quality.RANGE),
    "corner_latitude": (-90.0, 90.0, Quality.GEOLOCATION),
    "corner_longitude": (-540.0, 540.0, Quality.GEOLOCATION),
}
_REQUIRED = {
    "obs_id": pa.string(),
    "species": pa.string(),
    "kind": pa.string(),  # column | point
    "source": pa.string(),
    "platform": pa.string(),
    "time": _TIME,  # UTC, middle
    "latitude": pa.float64(),
    "longitude": pa.float64(),
    "value": pa.float64(),  # customary unit of the species, named in the metadata
    "uncertainty": pa.float64(),
    "quality": pa.uint32(),
    "file_id": pa.string(),
}
_OPTIONAL = {
    "time_start": _TIME,
    "time_end": _TIME,
    "altitude_m": pa.float64(),
    "intake_height_m": pa.float64(),
    "uncertainty_systematic": pa.float64(),
    "scale": pa.string(),
    "quality_original": pa.string(),
    "n": pa.int32(),
    "land_fraction": pa.float32(),
    "mode": pa.string(),
    "vertical": pa.string(),  # level | layer
    "prior_column": pa.float64(),
    **dict.fromkeys(PROFILES, _PROFILE),
    # The pixel's footprint, corners in order round it (super-observations by overlap need it).
    "corner_latitude": _PROFILE,
    "corner_longitude": _PROFILE,
}
OBSERVATIONS = Contract(
    "observations",
    pa.schema(list({**_REQUIRED, **_OPTIONAL}.items())),
    frozenset(_OPTIONAL) | {"uncertainty"},
)
GRANULE_INDEX = Contract(
    "granule_index",
    pa.schema(
        {
            "path": pa.string(),
            "size": pa.int64(),
            "sha256": pa.string(),
            "file_id": pa.string(),
            "sensor": pa.string(),
            "version": pa.string(),
            "species": pa.string(),
            "unit": pa.string(),
            "time_start": _TIME,
            "time_end": _TIME,
            "south": pa.float64(),
            "north": pa.float64(),
            "west": pa.float64(),
            "east": pa.float64(),
            "soundings": pa.int64(),
            "good": pa.int64(),
            "mean_good": pa.float64(),
            "status": pa.string(),  # done | bad: why | copy: of what
            "notes": pa.string(),  # what the reader changed, counted
            "options": pa.string(),  # hash of how it was read: another one means it must be read again
            "parts": pa.int32(),  # files of the store that hold its rows
        }.items()
    ),
    frozenset(
        {"sensor", "version", "species", "unit", "time_start", "time_end", "south", "north", "west", "east"}
        | {"mean_good", "notes", "options", "parts"}
    ),
)
# Sensitivity is extensive per cell: ppm per (umol m-2 s-1) or ppb per (nmol m-2 s-1), so coarsening sums.
# Standard errors of one observation add in squares to that of its total.
SENSITIVITY = Contract(
    "sensitivity",
    pa.schema(
        {
            "obs_id": pa.string(),
            "time_bin": pa.int32(),
            "cell": pa.int32(),
            "sensitivity": pa.float32(),
            "stderr": pa.float32(),
        }.items()
    ),
    frozenset({"stderr"}),
)
# A modelled value is ``fixed + sum share * inflow + sum sensitivity * flux``. Shares are of the air that left
# through each side (backward in time) in each bin, or was still inside at the end; they sum to 1 at a station
# and to sum h a in a column, whose `fixed` is what it takes from the retrieval's prior. A known `background`
# stands for the first two.
BACKGROUND = Contract(
    "background",
    pa.schema(
        {
            "obs_id": pa.string(),
            "background": pa.float64(),
            "background_uncertainty": pa.float64(),
            "fixed": pa.float64(),
            "side": pa.string(),  # north | east | south | west | top | inside
            "time_bin": pa.int32(),
            "share": pa.float64(),
        }.items()
    ),
    frozenset({"background", "background_uncertainty", "fixed"}),
)


def check(table: pa.Table, contract: Contract, where: str = "") -> pa.Table:
    """Bring a table into a contract's columns, order and types, or say what is wrong.

    Parameters
    ----------
    table : pyarrow.Table
        Columns in any order; nullable ones may be absent. Others are an error.
    contract : Contract
        One of this module's constants.
    where : str
        File or step named in the error text.

    Returns
    -------
    pyarrow.Table
        Columns as in the contract, schema metadata extended by ``obsnet:contract`` and ``obsnet:version``.

    Raises
    ------
    SchemaError
        Missing or unknown columns, types that cannot be cast without loss, nulls where none may be.
    """
    place = f"{where}: " if where else ""
    names = set(table.column_names)
    missing = [n for n in contract.schema.names if n not in names and n not in contract.nullable]
    if missing:
        raise SchemaError(f"{place}{contract.name} table lacks {', '.join(missing)}")
    unknown = sorted(names - set(contract.schema.names))
    if unknown:
        raise SchemaError(
            f"{place}{contract.name} table has unknown column {unknown[0]!r}"
            f"{nearest(unknown[0], contract.schema.names)}"
        )
    columns = []
    for field in contract.schema:
        if field.name not in names:
            columns.append(pa.nulls(len(table), field.type))
            continue
        column = table.column(field.name)
        if column.type != field.type:
            try:
                column = column.cast(field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise SchemaError(
                    f"{place}{contract.name}.{field.name} is {column.type}, not {field.type}: {error}"
                ) from error
        if column.null_count and field.name not in contract.nullable:
            raise SchemaError(
                f"{place}{contract.name}.{field.name} has {column.null_count} nulls; none may be"
            )
        columns.append(column)
    metadata = {
        **(table.schema.metadata or {}),
        b"obsnet:contract": contract.name.encode(),
        b"obsnet:version": VERSION.encode(),
    }
    return pa.table(columns, schema=contract.schema.with_metadata(metadata))


def check_stored(
    found: pa.Schema,
    contract: Contract,
    where: str,
    *,
    unit: str | None = None,
    elsewhere: Collection[str] = (),
) -> None:
    """Check what a stored file says of itself before a row is read.

    Parameters
    ----------
    found : pyarrow.Schema
        Of the file, with its metadata.
    contract : Contract
        One of this module's constants.
    where : str
        File named in the error text.
    unit : str, optional
        Unit that its values must be in.
    elsewhere : collection of str
        Columns that stand in the names of its folders.

    Raises
    ------
    SchemaError
        Another contract, version or unit, columns that are missing or unknown, other types.
    """
    names = set(found.names) | set(elsewhere)
    missing = [n for n in contract.schema.names if n not in names and n not in contract.nullable]
    if missing:
        raise SchemaError(f"{where}: {contract.name} table lacks {', '.join(missing)}")
    said = {k.decode(): v.decode("utf-8", "replace") for k, v in (found.metadata or {}).items()}
    name = said.get("obsnet:contract")
    if name != contract.name:
        raise SchemaError(f"{where}: holds {name or 'no contract of obsnet'}, not {contract.name}")
    version = said.get("obsnet:version")
    if version != VERSION:
        raise SchemaError(
            f"{where}: version {version} of {contract.name}, this program reads {VERSION}; make the file again"
        )
    if unit is not None and said.get("obsnet:unit") != unit:
        raise SchemaError(f"{where}: values in {said.get('obsnet:unit')}, must be in {unit}")
    for field in found:
        wanted = contract.schema.field(field.name).type if field.name in contract.schema.names else None
        if wanted is None:
            raise SchemaError(
                f"{where}: unknown column {field.name!r}{nearest(field.name, contract.schema.names)}"
            )
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if kind != wanted:
            raise SchemaError(f"{where}: {field.name} is {kind}, not {wanted}; make the file again")


def profile_column(values: Any) -> pa.Array:
    """Turn a (rows, levels) array, surface first, into a profile column.

    Parameters
    ----------
    values : ndarray, shape (rows, levels)
        Stored as float32.
    """
    values = np.ascontiguousarray(values, dtype=np.float32)
    rows, levels = values.shape
    offsets = (
        np.arange(0, (rows + 1) * levels, levels, dtype=np.int32) if levels else np.zeros(rows + 1, np.int32)
    )
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel()))


def profile_array(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Turn a profile column whose rows have one length into a float32 array (rows, levels).

    Raises
    ------
    SchemaError
        Rows of several lengths, or nulls: split by source first.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # no chunk at all
            return np.zeros((0, 0), dtype=np.float32)
    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if len(column) == 0:
        return np.zeros((0, 0), dtype=np.float32)
    if lengths[0] is None or len(lengths) != 1:
        raise SchemaError(f"profiles of one table have lengths {lengths}; read one source at a time")
    return pc.list_flatten(column).to_numpy(zero_copy_only=False).reshape(len(column), lengths[0])


def observation_table(
    columns: dict[str, Any], *, species: str, kind: str, source: str, file_id: str
) -> pa.Table:
    """Build a checked observation table from arrays.

    Parameters
    ----------
    columns : dict of str to array
        Columns of `OBSERVATIONS`; two-dimensional arrays (rows, levels) become profile columns.
        ``species``, ``kind``, ``source`` and ``file_id`` are filled in from the keywords.
    species : str
        Formula; decides the unit of ``value``, ``uncertainty`` and priors.
    kind : str
        ``"column"`` or ``"point"``.
    source : str
        Product and version, e.g. ``"acos_lite_v9"``.
    file_id : str
        First 16 hex digits of the file's sha256.

    Returns
    -------
    pyarrow.Table
        Metadata ``obsnet:unit`` and ``obsnet:species`` set. Rows outside the physical range, without
        position or without time get the quality bit that says so; nothing is dropped.

    Raises
    ------
    SchemaError
        See `check_observations`.
    """
    from obsnet.times import from_epoch

    kinds = species_of(species)
    arrays: dict[str, Any] = {}
    for name, values in columns.items():
        array = np.asarray(values) if not isinstance(values, pa.Array | pa.ChunkedArray) else values
        is_profile = isinstance(array, np.ndarray) and array.ndim == 2
        arrays[name] = profile_column(array) if is_profile else array
    value = np.asarray(arrays["value"], dtype=np.float64)
    rows = len(value)
    quality = np.array(arrays.get("quality", np.zeros(rows)), dtype=np.uint32)
    low, high = kinds.valid_range(kind)
    latitude, longitude = (np.asarray(arrays[k], dtype=np.float64) for k in ("latitude", "longitude"))
    time = np.asarray(arrays["time"]).astype("datetime64[us]")
    with np.errstate(invalid="ignore"):
        quality[~((value >= low) & (value <= high))] |= np.uint32(Quality.RANGE)
        quality[~((np.abs(latitude) <= 90) & (longitude >= -180) & (longitude <= 360))] |= np.uint32(
            Quality.GEOLOCATION
        )
        longitude = np.where(longitude >= 180, longitude - 360, longitude)
    quality[np.isnat(time)] |= np.uint32(Quality.TIME)
    for _, outside, bit in out_of_range(columns, species, kind):
        quality[outside] |= np.uint32(bit)
    # A row without a time still has to live in some month of the store.
    arrays["time"] = np.where(np.isnat(time), from_epoch(0.0), time)
    arrays |= {"value": value, "quality": quality, "latitude": latitude, "longitude": longitude}
    for name, fixed in (("species", kinds.name), ("kind", kind), ("source", source), ("file_id", file_id)):
        arrays[name] = pa.repeat(pa.scalar(fixed), rows)
    table = pa.table(
        {k: v if isinstance(v, pa.Array | pa.ChunkedArray) else pa.array(v) for k, v in arrays.items()}
    )
    table = table.replace_schema_metadata(
        {b"obsnet:unit": kinds.unit.encode(), b"obsnet:species": kinds.name.encode()}
    )
    return check_observations(table)


def out_of_range(columns: Mapping[str, Any], species: str, kind: str) -> Iterator[tuple[str, Bools, Quality]]:
    """Yield each column beside the value that leaves its physical range somewhere, in which rows, and the bit of that.

    Parameters
    ----------
    columns : mapping of str to array
        As `observation_table` takes them; what is missing (NaN, null, NaT) is told elsewhere.
    species, kind : str
        See `observation_table`.
    """
    kinds = species_of(species)
    low, high = kinds.valid_range(kind)
    ranges = _RANGES | {
        "uncertainty": (0.0, high - low, Quality.UNCERTAINTY),
        "uncertainty_systematic": (0.0, high - low, Quality.UNCERTAINTY),
        "prior_column": (0.0, kinds.valid_range("point")[1], Quality.OPERATOR),
    }
    for name, (least, most, bit) in ranges.items():
        if name in columns:
            values = np.asarray(columns[name], dtype=np.float64)
            with np.errstate(invalid="ignore"):
                outside = (values < least) | (values > most)
            if outside.any():
                yield name, np.asarray(outside.reshape(len(outside), -1).any(axis=1)), bit
    for name, wrong in (("time_start", np.greater), ("time_end", np.less)):
        if name in columns:
            outside = wrong(*(np.asarray(columns[n]).astype("datetime64[us]") for n in (name, "time")))
            if outside.any():
                yield name, outside, Quality.TIME


def unit_of(table: pa.Table) -> str:
    """Return the unit of ``value`` that the table's metadata names, e.g. ``"1e-6"``."""
    unit = (table.schema.metadata or {}).get(b"obsnet:unit")
    if unit is None:
        raise SchemaError("observation table does not name the unit of its values")
    return unit.decode()


def check_observations(table: pa.Table, where: str = "") -> pa.Table:
    """Check an observation table against its contract and against physics.

    Raises
    ------
    SchemaError
        Columns or types are off, more than one species, an unknown kind, a kernel without its priors.
    RangeError
        A row marked for use has a value outside its species' physical range.
    """
    place = f"{where}: " if where else ""
    table = check(table, OBSERVATIONS, where)
    if len(table) == 0:
        return table
    names = pc.unique(table["species"]).to_pylist()
    if len(names) != 1:
        raise SchemaError(f"{place}an observation table holds one species, found {', '.join(sorted(names))}")
    entry = species_of(names[0])
    if unit_of(table) != entry.unit:
        raise SchemaError(
            f"{place}{entry.name} values are kept in {entry.unit}, the table says {unit_of(table)}"
        )
    for kind in pc.unique(table["kind"]).to_pylist():
        if kind not in {"column", "point"}:
            raise SchemaError(f"{place}kind is 'column' or 'point', found {kind!r}")
        # Masks, not table.filter: that would copy the profiles of every good row.
        use = pc.and_(pc.equal(table["kind"], kind), pc.equal(table["quality"], 0))
        value = table["value"].filter(use)
        if len(value) == 0:
            continue
        low, high = entry.valid_range(kind)
        spread = pc.min_max(value).as_py()
        if (
            spread["min"] is None
            or spread["min"] < low
            or spread["max"] > high
            or pc.any(pc.is_nan(value)).as_py()
        ):
            raise RangeError(
                f"{place}{entry.name} {kind} values marked for use span {spread['min']} to {spread['max']} "
                f"{entry.unit_name}, outside {low:g} to {high:g}; check the unit"
            )
        if kind == "column" and pc.any(pc.and_(use, pc.is_valid(table["averaging_kernel"]))).as_py():
            for name in ("pressure_weight", "prior_profile", "vertical"):
                if table[name].null_count and pc.any(pc.and_(use, pc.is_null(table[name]))).as_py():
                    raise SchemaError(f"{place}rows with an averaging kernel also need {name}")
    return table
