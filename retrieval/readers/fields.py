"""Variables of one open granule by role, on one row axis, in the units used inside, with fills made NaN."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from obsnet.constants import species as species_of
from obsnet.errors import FormatError, MissingVariableError, UnitError, nearest
from obsnet.times import from_epoch
from obsnet.units import conversion_factor
from retrieval.readers.source import Source, block_rows
from retrieval.sensors import ROLES, QualityRule, Sensor, Variable

__all__ = ["Fields", "parse_times"]

_NO_UNIT = {"", "none", "dimensionless", "unitless"}
_SINCE = re.compile(
    r"(\w+)\s+since\s+(\d{4}-\d{2}-\d{2})(?:[T\s]+(\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?))?\s*(?:UTC|Z|[+-]?0{1,2}:?00)?"
)
_SECONDS = {
    "microseconds": 1e-6,
    "milliseconds": 1e-3,
    "seconds": 1.0,
    "minutes": 60.0,
    "hours": 3600.0,
    "days": 86400.0,
}
_SHORT = {
    "ms": "milliseconds",
    "s": "seconds",
    "sec": "seconds",
    "second": "seconds",
    "min": "minutes",
    "h": "hours",
    "d": "days",
}


class Fields:
    """The variables of one granule as its sensor table names them.

    The rows are the elements of the main variable (``value``), flattened: soundings of a list, or pixels of
    a swath in scan order. Every other variable is brought onto these rows: per scan line, per granule, or
    joined by sounding id where a product keeps arrays of unequal length.

    Parameters
    ----------
    source : Source
        Open file.
    sensor : Sensor
        Table for the wanted species and variant.
    """

    def __init__(self, source: Source, sensor: Sensor) -> None:
        self.source = source
        self.sensor = sensor
        self.notes: list[str] = []
        self.rows: np.ndarray | None = None
        self._match: np.ndarray | None = None
        self._all: list[str] | None = None
        main = self.declared("value")
        assert main is not None  # not optional in any table
        self.shape = source.shape(self._path(main))

    @property
    def where(self) -> str:
        """Name of the file, for error texts."""
        return str(self.source.path)

    @property
    def total(self) -> int:
        """Elements of the main variable, before any were left out."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.total if self.rows is None else len(self.rows)

    def keep(self, mask: np.ndarray) -> None:
        """Leave out rows for good, before anything but the main variable was read."""
        if not mask.all():
            self.rows = np.flatnonzero(mask) if self.rows is None else self.rows[mask]

    def note(self, text: str) -> None:
        """Record something the reader found or changed."""
        if text not in self.notes:
            self.notes.append(text)

    # -- by role ----------------------------------------------------------------------------------------

    def declared(self, role: str) -> Variable | None:
        """Return the table's entry of a role if the file has the variable.

        Raises
        ------
        MissingVariableError
            The product must have it and the file has not.
        """
        entry = self.sensor.variables.get(role)
        if entry is None:
            return None
        if any(p in self.source for p in entry.path):
            return entry
        if entry.optional:
            return None
        raise MissingVariableError(
            f"{self.where}: no variable {entry.path[0]!r} ({role} of {self.sensor.name})"
            f"{nearest(entry.path[0], self.source.names())}"
        )

    def number(self, role: str, rows: np.ndarray | None = None) -> np.ndarray | None:
        """Return a role as floats in its unit inside, fills as NaN, or None where the product lacks it.

        Parameters
        ----------
        role : str
            Key of `retrieval.sensors.ROLES`.
        rows : ndarray of int, optional
            Only these rows of `len(self)`.

        Returns
        -------
        ndarray of float64, shape (rows,)
        """
        entry = self.declared(role)
        if entry is None:
            return None
        path = self._path(entry)
        attributes = self.source.attributes(path)
        values = self._floats(path, self._load(path, rows), attributes, entry.fill)
        if values.ndim != 1:
            raise FormatError(
                f"{self.where}: {path} ({role}) has {values.shape[1]} values a sounding, not one"
            )
        factor = self._factor(role, path, entry, attributes)
        return values if factor == 1.0 else values * factor

    def profile(self, role: str, rows: np.ndarray | None = None, *, flip: bool = False) -> np.ndarray | None:
        """Return a role with several values a sounding, fills as NaN, or None where the product lacks it.

        Parameters
        ----------
        role, rows
            See `number`.
        flip : bool
            Turn each profile round.

        Returns
        -------
        ndarray of float32, shape (rows, levels)
        """
        from retrieval.readers.profile_kernel import orient

        entry = self.declared(role)
        if entry is None:
            return None
        path = self._path(entry)
        attributes = self.source.attributes(path)
        stored = self._load(path, rows)
        if stored.ndim != 2:
            raise FormatError(f"{self.where}: {path} ({role}) has one value a sounding, not a profile")
        fills = _fills(attributes, entry.fill)
        if stored.dtype != np.float32 or {"scale_factor", "add_offset"} & set(attributes):
            stored = self._floats(path, stored, attributes, entry.fill).astype(np.float32)
            fills = []
        values = orient(stored, np.array(fills, dtype=np.float32), flip)
        factor = self._factor(role, path, entry, attributes)
        if factor != 1.0:
            values *= np.float32(factor)
        return values

    def _floats(
        self, path: str, stored: np.ndarray, attributes: dict[str, Any], fill: tuple[float, ...]
    ) -> np.ndarray:
        """Turn stored numbers into float64, scaled, with fills as NaN."""
        if stored.dtype.kind not in "fiub":
            raise FormatError(f"{self.where}: {path} holds {stored.dtype}, not numbers")
        bad = _fill_mask(stored, _fills(attributes, fill))
        values = stored.astype(np.float64)
        scale, offset = attributes.get("scale_factor"), attributes.get("add_offset")
        if scale is not None:
            values *= float(scale)
        if offset is not None:
            values += float(offset)
        if bad is not None:
            values[bad] = np.nan
        return values

    def _factor(self, role: str, path: str, entry: Variable, attributes: dict[str, Any]) -> float:
        """Return the factor from the stored unit to the one inside."""
        target = ROLES[role]
        if target is None:
            target = species_of(self.sensor.species).unit
        if target == "":
            return 1.0
        text = str(next((attributes[k] for k in ("units", "Units", "unit") if k in attributes), "")).strip()
        declared = entry.unit or target
        if text.lower() in _NO_UNIT:
            text = declared
        elif entry.wrong_unit:
            if _factor_or_none(text, declared) != 1.0:
                self.note(f"{path}: unit {text!r} in the file is known to be wrong, taken as {declared}")
            text = declared
        elif text != declared and _factor_or_none(text, declared) not in (1.0, None):
            self.note(f"{path}: converted from {text!r}, where {declared} was expected")
        try:
            return conversion_factor(text, target)
        except UnitError as error:
            raise FormatError(f"{self.where}: {path}: {error}") from error

    def text(self, role: str) -> Any:
        """Return a role as an Arrow string array, stored codes translated by the table, or None."""
        entry = self.declared(role)
        return None if entry is None else self.arrow_labels(self._path(entry), entry.codes, entry.mask)

    def labels(self, path: str, codes: dict[str, str] | None = None, mask: int | None = None) -> np.ndarray:
        """Return a variable as strings; `mask` picks bits of a number, `codes` translates."""
        return np.asarray(self.arrow_labels(path, codes, mask), dtype=str)

    def arrow_labels(self, path: str, codes: dict[str, str] | None = None, mask: int | None = None) -> Any:
        """Return the same as an Arrow string array, which is much faster to make of numbers."""
        import pyarrow as pa

        stored = self._load(path, None)
        if mask is not None:
            stored = stored & stored.dtype.type(mask)
        if stored.dtype.kind in "iufb":
            distinct, where = _distinct(stored)
            shown = [f"{v:g}" if stored.dtype.kind == "f" else str(int(v)) for v in distinct]
        else:
            distinct, where = np.unique(_plain_text(stored), return_inverse=True)
            shown = distinct.tolist()
        names = pa.array([(codes or {}).get(v, v) for v in shown], pa.string())
        return pa.DictionaryArray.from_arrays(pa.array(where.astype(np.int32)), names).cast(pa.string())

    def raw(self, path: str) -> np.ndarray:
        """Return a variable by path on the rows: numbers with fills as NaN, integers and text as they are."""
        stored = self._load(path, None)
        attributes = self.source.attributes(path)
        if stored.dtype.kind in "OS":
            return self.labels(path)
        if stored.dtype.kind == "f" or "scale_factor" in attributes:
            return self._floats(path, stored, attributes, self._table_fill(path))
        return stored

    def _table_fill(self, path: str) -> tuple[float, ...]:
        fills = [entry.fill for entry in self.sensor.variables.values() if entry.fill]
        own = [entry.fill for entry in self.sensor.variables.values() if path in entry.path]
        return own[0] if own and own[0] else (fills[0] if fills else ())

    def find(self, name: str) -> str:
        """Return the path of a variable by role, extra name, path or last part of its path, any case.

        Raises
        ------
        MissingVariableError
            The file has none of that name.
        """
        sensor = self.sensor
        if name in sensor.extra and sensor.extra[name] in self.source:
            return sensor.extra[name]
        if name in sensor.variables:
            entry = self.declared(name)
            if entry is not None:
                return self._path(entry)
        if name in self.source:
            return name
        if self._all is None:
            self._all = self.source.names()
        matches = [p for p in self._all if p.rsplit("/", 1)[-1].lower() == name.lower()]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise FormatError(f"{self.where}: {name!r} could be {' or '.join(matches)}; give the whole path")
        raise MissingVariableError(f"{self.where}: no variable {name!r}{nearest(name, self._all)}")

    # -- time, identity, quality ------------------------------------------------------------------------

    def times(self) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Return middle, start and end of each sounding as ``datetime64[us]``; start and end may be unknown."""
        entry = self.declared("time")
        assert entry is not None
        path = self._path(entry)
        if entry.parts:
            stored = np.column_stack([self._load(p, None) for p in entry.path])
        else:
            stored = self._load(path, None)
        time = parse_times(
            stored, self._time_unit(path, entry), f"{self.where}: {path}", self._time_fills(path, entry)
        )
        offset = self.declared("time_offset")
        if offset is not None:
            path = self._path(offset)
            unit = self._time_unit(path, offset)
            values = self._load(path, None)
            if " since " in unit:  # later versions count from their own reference
                time = parse_times(values, unit, f"{self.where}: {path}", self._time_fills(path, offset))
            else:
                scale = _seconds(unit.split()[0] if unit else "", f"{self.where}: {path}")
                time = time + (np.round(values.astype(np.float64) * scale * 1e6)).astype("timedelta64[us]")
        if not self.sensor.duration:
            return time, None, None
        length = np.timedelta64(round(self.sensor.duration * 1e6), "us")
        start = time - {"start": length * 0, "middle": length // 2, "end": length}[self.sensor.stamp]
        return start + length // 2, start, start + length

    def _time_unit(self, path: str, entry: Variable) -> str:
        attributes = self.source.attributes(path)
        text = next((str(attributes[k]) for k in ("units", "Units", "unit") if k in attributes), "")
        return entry.unit or "" if text.lower() in _NO_UNIT else text

    def _time_fills(self, path: str, entry: Variable) -> list[float]:
        return _fills(self.source.attributes(path), entry.fill)

    def identifiers(self, time: np.ndarray) -> Any:
        """Return the product's own identity of each sounding as an Arrow array of strings or integers."""
        import pyarrow as pa
        import pyarrow.compute as pc

        parts = []
        for rule in self.sensor.id:
            kind, _, argument = rule.partition(":")
            if kind == "@row":
                rows = np.arange(self.total) if self.rows is None else self.rows
                parts.append(pa.array(rows).cast(pa.string()))
            elif kind == "@time":
                text = np.datetime_as_string(time.astype("datetime64[ms]"))
                parts.append(pa.array(np.char.replace(np.char.replace(text, "-", ""), ":", "")))
            elif kind in ("@attr", "@name"):
                parts.append(pa.repeat(pa.scalar(self._constant(kind, argument)), len(self)))
            else:
                stored = self._load(rule, None)
                if stored.dtype.kind == "f":
                    stored = stored.astype(np.int64)
                number = stored.dtype.kind in "iu"
                parts.append(pa.array(stored if number else _plain_text(stored)))
        if len(parts) == 1:
            return parts[0]
        return pc.binary_join_element_wise(*(p.cast(pa.string()) for p in parts), "-")

    def _constant(self, kind: str, argument: str) -> str:
        if kind == "@attr":
            attributes = self.source.attributes()
            if argument not in attributes:
                raise FormatError(f"{self.where}: no global attribute {argument!r}, which names the granule")
            return str(attributes[argument])
        for text in (self.source.path.name, str(self.source.attributes().get("id", ""))):
            match = re.search(argument, text)
            if match:
                return match[1]
        raise FormatError(f"{self.where}: file name without {argument!r}, which names the granule")

    def version(self) -> str:
        """Return the product's version as its table finds it, or an empty string."""
        attributes = self.source.attributes()
        for rule in self.sensor.version:
            if rule.attribute is None:
                text = self.source.path.name
            elif rule.attribute in self.source:
                text = str(self.labels_of_file(rule.attribute))
            else:
                text = str(attributes.get(rule.attribute, ""))
            match = re.search(rule.pattern, text)
            if match:
                return match[1].lstrip("0") or "0"
        return ""

    def labels_of_file(self, path: str) -> str:
        """Return the one text or number of a variable that describes the whole file."""
        value = self.source.read(path).ravel()[0]
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def flags(self, rule: QualityRule) -> tuple[np.ndarray, np.ndarray, Any]:
        """Return rejected, doubted (bool) and the producer's own flag as text.

        A missing flag counts as rejected.
        """
        import pyarrow as pa

        if rule.variable not in self.source:
            raise MissingVariableError(
                f"{self.where}: no variable {rule.variable!r} (quality of {self.sensor.name})"
                f"{nearest(rule.variable, self.source.names())}"
            )
        if rule.at_least is not None:
            quality = self._floats(
                rule.variable, self._load(rule.variable, None), self.source.attributes(rule.variable), ()
            )
            with np.errstate(invalid="ignore"):
                rejected = ~(quality >= rule.at_least - 1e-9)
            return (
                rejected,
                np.zeros(len(rejected), dtype=bool),
                pa.array(np.round(quality, 6)).cast(pa.string()),
            )
        import pyarrow.compute as pc

        text = self.arrow_labels(rule.variable)
        good, suspect = (
            pc.is_in(
                text, pa.array([f"{v:g}" if isinstance(v, float) else v for v in values], pa.string())
            ).to_numpy(zero_copy_only=False)
            for values in (rule.good or (), rule.suspect)
        )
        return ~(good | suspect), suspect, text

    # -- from the file ----------------------------------------------------------------------------------

    def _path(self, entry: Variable) -> str:
        for path in entry.path:
            if path in self.source:
                return path
        raise MissingVariableError(
            f"{self.source.path}: no variable {entry.path[0]!r}{nearest(entry.path[0], self.source.names())}"
        )

    def _load(self, path: str, rows: np.ndarray | None) -> np.ndarray:
        """Read a variable as stored, on the rows: shape (rows,) or (rows, k)."""
        shape = self.source.shape(path)
        wanted = self.rows if rows is None else (rows if self.rows is None else self.rows[rows])
        lead = self.shape
        if shape[: len(lead)] == lead:
            values = self._read_rows(path, shape, wanted)
        elif int(np.prod(shape)) == 1:
            values = np.repeat(
                self.source.read(path).reshape(1), self.total if wanted is None else len(wanted)
            )
        elif len(lead) > 1 and shape == lead[:-1]:  # one value a scan line
            values = self.source.read(path).reshape(-1)
            lines = (np.arange(self.total) if wanted is None else wanted) // lead[-1]
            values = values[lines]
        elif (
            len(shape) == 1
            and len(lead) == 1
            and shape[0] <= 256
            and shape != lead
            and self._is_profile(path)
        ):
            values = np.broadcast_to(
                self.source.read(path), (self.total if wanted is None else len(wanted), shape[0])
            )
        elif self.sensor.join is not None and shape[0] == self.source.shape(self.sensor.join[1])[0]:
            values = self.source.read(path)[self._joined()]
            values = values if wanted is None else values[wanted]
        else:
            main = self._path(self.sensor.variables["value"])
            raise FormatError(
                f"{self.where}: {path} has shape {shape}, which does not fit {main} with {lead}"
            )
        return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))

    def _is_profile(self, path: str) -> bool:
        profiles = (
            "pressure_levels",
            "pressure_edges",
            "pressure_weight",
            "weighting_function",
            "averaging_kernel",
        )
        return any(path in e.path for r, e in self.sensor.variables.items() if r in profiles)

    def _read_rows(self, path: str, shape: tuple[int, ...], wanted: np.ndarray | None) -> np.ndarray:
        lead = self.shape
        tail = shape[len(lead) :]
        if wanted is None or self.total == 0:
            values = self.source.read(path)
            return values.reshape(self.total, *tail) if values.ndim != 1 + len(tail) else values
        axis = next((k for k, n in enumerate(lead) if n > 1), len(lead) - 1)
        inner = int(np.prod(lead[axis + 1 :]))

        def read(part: slice) -> np.ndarray:
            index = (*(slice(None),) * axis, slice(part.start // inner, part.stop // inner))
            return self.source.read(path, index).reshape(-1, *tail)

        return block_rows(read, wanted, self.total, self.source.chunk(path, axis) * inner)

    def _joined(self) -> np.ndarray:
        """Return where each retrieved sounding stands in the arrays of all soundings."""
        if self._match is None:
            assert self.sensor.join is not None
            reference, everything = (self.source.read(p).ravel() for p in self.sensor.join)
            order = np.argsort(everything, kind="stable")
            place = np.searchsorted(everything, reference, sorter=order).clip(max=len(everything) - 1)
            found = order[place] if len(everything) else place
            lost = np.flatnonzero(everything[found] != reference) if len(everything) else reference
            if len(lost):
                retrieved, all_ids = self.sensor.join
                raise FormatError(
                    f"{self.where}: {len(lost)} of {len(reference)} ids of {retrieved} are not in {all_ids}"
                )
            self._match = found
        return self._match


def _plain_text(stored: np.ndarray) -> np.ndarray:
    """Return text of any storage as a numpy string array without padding."""
    if stored.dtype.kind == "O":
        stored = np.array(
            [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in stored.ravel()]
        )
    elif stored.dtype.kind == "S":
        if stored.dtype.itemsize == 1 and stored.ndim == 2:  # characters along the last axis
            stored = np.ascontiguousarray(stored).view(f"S{stored.shape[1]}").ravel()
        stored = np.char.decode(stored, "utf-8", "replace")
    return np.char.strip(stored, " \0") if stored.size else stored.astype(str)


def _distinct(stored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct numbers and which of them each element is; without sorting where they are small."""
    if stored.dtype.itemsize == 1 and stored.dtype.kind in "iu":
        codes = stored.view(np.uint8)
        distinct = np.flatnonzero(np.bincount(codes, minlength=256)).astype(np.uint8)
        place = np.zeros(256, dtype=np.int32)
        place[distinct] = np.arange(len(distinct))
        return distinct.view(stored.dtype), place[codes]
    return np.unique(stored, return_inverse=True)


def _as_float(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):  # a fill of another type, such as 'Missing', marks nothing here
        return None


def _fills(attributes: dict[str, Any], more: tuple[float, ...]) -> list[float]:
    """Return all numbers that mean "missing": those the file declares under either name, and the table's."""
    declared = (_as_float(attributes.get(k)) for k in ("_FillValue", "missing_value"))
    return list({*more, *(v for v in declared if v is not None)})


def _fill_mask(stored: np.ndarray, fills: list[float]) -> np.ndarray | None:
    """Return where a stored array holds a fill value, None where it nowhere does."""
    bad: np.ndarray | None = None
    if stored.size == 0:
        return None
    for value in fills:
        if stored.dtype.kind == "f":
            wanted = stored.dtype.type(value)
        elif value == int(value) and np.iinfo(stored.dtype).min <= value <= np.iinfo(stored.dtype).max:
            wanted = stored.dtype.type(int(value))
        else:  # a fill that the type cannot hold (-1 of uint8) marks nothing
            continue
        found = stored == wanted
        if found.any():
            bad = found if bad is None else bad | found
    return bad


def _factor_or_none(unit: str, to: str) -> float | None:
    try:
        return conversion_factor(unit, to)
    except UnitError:
        return None


def _seconds(name: str, where: str) -> float:
    name = _SHORT.get(name.lower(), name.lower())
    name = name if name.endswith("s") else name + "s"
    if name not in _SECONDS:
        raise FormatError(f"{where}: unit of time {name!r} is not one of {', '.join(_SECONDS)}")
    return _SECONDS[name]


def parse_times(values: np.ndarray, unit: str, where: str, fills: Iterable[float] = ()) -> np.ndarray:
    """Turn stored times into ``datetime64[us]`` UTC.

    Parameters
    ----------
    values : ndarray
        Numbers counted in `unit`; text in ISO 8601; or (rows, 3 to 7) integers: year, month, day, hour,
        minute, second, millisecond (Lite files have 6 or 7).
    unit : str
        ``"seconds since 1970-01-01 00:00:00"`` and the like; not used for text and columns.
    where : str
        File and variable, for error texts.
    fills : iterable of float
        Values that mean "no time".

    Returns
    -------
    ndarray of datetime64[us]
        NaT where there is no time.
    """
    if values.ndim == 2 and values.dtype.kind in "iuf":
        return _from_columns(values, where)
    if values.dtype.kind in "OSU":
        plain = [v.decode("ascii", "replace") if isinstance(v, bytes) else str(v) for v in values.ravel()]
        plain = [v.strip(" \0").removesuffix("Z").replace(" ", "T") for v in plain]
        try:
            return np.array([v or "NaT" for v in plain], dtype="datetime64[us]")
        except ValueError as error:
            raise FormatError(f"{where}: not times in ISO 8601 ({error})") from error
    match = _SINCE.fullmatch(unit.strip())
    if not match:
        raise FormatError(f"{where}: unit {unit!r} does not say since when it counts (unit since date, UTC)")
    seconds = values.astype(np.float64) * _seconds(match[1], where)
    for fill in fills:
        seconds[values == fill] = np.nan
    clock = match[3] or "00:00:00"
    try:
        return from_epoch(seconds, f"{match[2]}T{clock}")
    except ValueError as error:
        raise FormatError(f"{where}: {unit!r} names no date ({error})") from error


def _from_columns(values: np.ndarray, where: str) -> np.ndarray:
    if not 3 <= values.shape[1] <= 7:
        raise FormatError(
            f"{where}: {values.shape[1]} columns of a date; year to day (3) … millisecond (7) are known"
        )
    if not np.isfinite(values).all():
        raise FormatError(f"{where}: dates that are not finite")
    part = values.astype(np.int64)
    sane = (part[:, 0] >= 1900) & (part[:, 0] < 2200) & (part[:, 1] >= 1) & (part[:, 1] <= 12)
    months = np.where(sane, (part[:, 0] - 1970) * 12 + part[:, 1] - 1, 0)
    time = months.astype("datetime64[M]").astype("datetime64[us]")
    for column, unit in zip(range(2, part.shape[1]), ("D", "h", "m", "s", "ms"), strict=False):
        count = part[:, column] - (1 if unit == "D" else 0)
        time = time + count.astype(f"timedelta64[{unit}]").astype("timedelta64[us]")
    return np.where(sane, time, np.datetime64("NaT", "us"))
