"""Variables of one open granule by role, on one row axis, in the units used inside, with fills made NaN."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from obsnet.constants import species as species_of
from obsnet.errors import FormatError, MissingVariableError, UnitError, nearest
from obsnet.packed import is_packed, numeric, unpack, unsigned
from obsnet.times import counted_since
from obsnet.units import conversion_factor
from retrieval.readers.own_words import flag_fault
from retrieval.readers.rows import GranuleRows
from retrieval.readers.sensors import PROFILE_ROLES, ROLES, Sensor, SensorQuality, SensorVariable
from retrieval.readers.source import Container
from retrieval.readers.stored_values import distinct_numbers, plain_text
from retrieval.readers.time_values import parse_times

__all__ = ["Fields"]

_NO_UNIT = {"", "none", "dimensionless", "unitless"}


class Fields:
    """The variables of one granule as its sensor table names them.

    The rows are the elements of the main variable (``value``), flattened: soundings of a list, or pixels of
    a swath in scan order. Every other variable is brought onto these rows: per scan line, per granule, or
    joined by sounding id where a product keeps arrays of unequal length.

    Parameters
    ----------
    source : Container
        Open file.
    sensor : Sensor
        Table for the wanted species and variant.
    """

    def __init__(self, source: Container, sensor: Sensor) -> None:
        self.source = source
        self.sensor = sensor
        self.notes: list[str] = []
        self._all: list[str] | None = None
        main = self.declared("value")
        assert main is not None  # not optional in any table
        self.rows = GranuleRows(source, self._path(main), sensor.join)

    @property
    def where(self) -> str:
        """Name of the file, for error texts."""
        return str(self.source.path)

    def __len__(self) -> int:
        return len(self.rows)

    def keep(self, mask: np.ndarray) -> None:
        """Leave out rows for good, before anything but the main variable was read."""
        self.rows.keep(mask)

    def note(self, text: str) -> None:
        """Record something the reader found or changed."""
        if text not in self.notes:
            self.notes.append(text)

    # -- by role ----------------------------------------------------------------------------------------

    def declared(self, role: str) -> SensorVariable | None:
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
            + (self._elsewhere(role) or nearest(entry.path[0], self.source.names()))
        )

    def _elsewhere(self, role: str) -> str:
        """Say under which choice the file could be read without its variable of a role; empty where under none."""
        for name, variant in self.sensor.variants.items():
            other = variant.variables.get(role)
            found = next((p for p in (other.path if other else ()) if p in self.source), None)
            if found is not None:
                return f"; --variant {name} takes {found!r} instead"
        if role in PROFILE_ROLES:
            return "; --profiles none reads the file without operators"
        return ""

    def number(self, role: str, rows: np.ndarray | None = None) -> np.ndarray | None:
        """Return a role as floats in its unit inside, fills as NaN, or None where the product lacks it.

        Parameters
        ----------
        role : str
            Key of `retrieval.readers.sensors.ROLES`.
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
        values = self._floats(path, self._load(path, role, rows))
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
        if len(self.source.shape(path)) == 1 and len(self.rows.shape) == 1:  # one profile for the whole file
            stored = np.tile(self.source.read(path), (len(self) if rows is None else len(rows), 1))
        else:
            stored = self.rows.load(path, rows)
        if stored.ndim != 2:
            raise FormatError(f"{self.where}: {path} ({role}) has one value a sounding, not a profile")
        fills = self._fills(path)
        if stored.dtype != np.float32 or is_packed(attributes):
            stored = self._floats(path, stored).astype(np.float32)
            fills = []
        values = stored if stored.flags.writeable and stored.flags.c_contiguous else stored.copy()
        orient(values, np.array(fills, dtype=np.float32), flip)
        factor = self._factor(role, path, entry, attributes)
        if factor != 1.0:
            values *= np.float32(factor)
        return values

    def _load(self, path: str, role: str = "", rows: np.ndarray | None = None) -> np.ndarray:
        """Return a variable as stored on the rows; one number where every sounding has its own is refused."""
        if len(self) > 1 and int(np.prod(self.source.shape(path))) == 1:
            raise FormatError(
                f"{self.where}: {path}{f' ({role})' if role else ''} is one number for all {len(self)} soundings; "
                "has a dimension been lost?"
            )
        return self.rows.load(path, rows)

    def _floats(self, path: str, stored: np.ndarray) -> np.ndarray:
        """Turn stored numbers into float64, unpacked, with fills and what the file calls invalid as NaN."""
        if stored.dtype.kind not in "fiub":
            raise FormatError(f"{self.where}: {path} holds {stored.dtype}, not numbers")
        try:
            found = unpack(stored, self.source.attributes(path), self.sensor.fill)
        except FormatError as error:
            raise FormatError(f"{self.where}: {path}: {error}") from error
        if found.outside:
            self.note(
                f"{found.outside} values of {path} are outside of the range that the file calls valid ({found.said}): "
                "not used"
            )
        return found.values

    def _factor(self, role: str, path: str, entry: SensorVariable, attributes: dict[str, Any]) -> float:
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

        shown, where = self._distinct_labels(path, mask)
        names = pa.array([(codes or {}).get(v, v) for v in shown], pa.string())
        return pa.DictionaryArray.from_arrays(pa.array(where), names).cast(pa.string())

    def _distinct_labels(self, path: str, mask: int | None) -> tuple[list[str], np.ndarray]:
        """Return the distinct values of a variable as strings, and which of them each sounding has."""
        stored = unsigned(self._load(path), self.source.attributes(path))
        if mask is not None:
            stored = stored & stored.dtype.type(mask)
        if stored.dtype.kind in "iufb":
            distinct, where = distinct_numbers(stored)
            shown = [f"{v:g}" if stored.dtype.kind == "f" else str(int(v)) for v in distinct]
        else:
            names, where = np.unique(plain_text(stored), return_inverse=True)
            shown = names.tolist()
        return shown, where.astype(np.int32, copy=False)

    def raw(self, path: str) -> np.ndarray:
        """Return a variable by path on the rows: numbers with fills as NaN, integers and text as they are."""
        stored = self._load(path)
        attributes = self.source.attributes(path)
        if stored.dtype.kind in "OS":
            return self.labels(path)
        if stored.dtype.kind == "f" or {"scale_factor", "add_offset"} & set(attributes):
            return self._floats(path, stored)
        return unsigned(stored, attributes)

    def _fills(self, path: str) -> list[float]:
        """Return all numbers that mean "missing": those the file declares under either name, and the table's."""
        attributes = self.source.attributes(path)
        declared = (v for k in ("_FillValue", "missing_value") for v in numeric(attributes.get(k)))
        return list({*self.sensor.fill, *declared})

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
        offset = self.declared("time_offset")
        if entry.parts:
            stored = np.column_stack([self._load(p, "time") for p in entry.path])
        else:  # a time of the whole file, where each sounding's is counted from it
            stored = self._load(path, "time") if offset is None else self.rows.load(path)
        time = self._parsed(path, entry, stored)
        if offset is not None:
            path = self._path(offset)
            unit = self._time_unit(path, offset)
            values = self._load(path, "time_offset")
            if " since " in unit:  # later versions count from their own reference
                time = self._parsed(path, offset, values)
            else:
                try:
                    scale = counted_since(f"{unit} since 1970-01-01")[1]
                except UnitError as error:
                    raise FormatError(f"{self.where}: {path}: {unit!r} is no unit of time") from error
                later = np.round(self._floats(path, values) * scale * 1e6)
                length = np.where(np.isfinite(later), later, 0.0).astype("timedelta64[us]")
                time = np.where(np.isfinite(later), time + length, np.datetime64("NaT", "us"))
        if not self.sensor.duration:
            return time, None, None
        whole = np.timedelta64(round(self.sensor.duration * 1e6), "us")
        start = time - {"start": whole * 0, "middle": whole // 2, "end": whole}[self.sensor.stamp]
        return start + whole // 2, start, start + whole

    def _parsed(self, path: str, entry: SensorVariable, stored: np.ndarray) -> np.ndarray:
        """Return times of stored values."""
        unit = self._time_unit(path, entry)
        calendar = str(self.source.attributes(path).get("calendar", "standard"))
        numbers, fills = stored, self._fills(path)
        if stored.ndim == 1 and stored.dtype.kind in "iuf" and is_packed(self.source.attributes(path)):
            numbers, fills = self._floats(path, stored), []
        time = parse_times(numbers, unit, f"{self.where}: {path}", fills, calendar)
        if stored.dtype == np.float32 and stored.ndim == 1 and np.isfinite(stored).any():
            step = float(np.spacing(np.nanmedian(np.abs(stored)))) * counted_since(unit, calendar)[1]
            if step > 1.0:
                self.note(f"{path} is stored in single precision: times are exact to {step:.3g} s only")
        return time

    def _time_unit(self, path: str, entry: SensorVariable) -> str:
        attributes = self.source.attributes(path)
        text = next((str(attributes[k]) for k in ("units", "Units", "unit") if k in attributes), "")
        return entry.unit or "" if text.lower() in _NO_UNIT else text

    def identifiers(self, time: np.ndarray) -> Any:
        """Return the product's own identity of each sounding as an Arrow array of strings or integers."""
        import pyarrow as pa
        import pyarrow.compute as pc

        parts = []
        for rule in self.sensor.id:
            kind, _, argument = rule.partition(":")
            if kind == "@row":
                parts.append(pa.array(self.rows.numbers).cast(pa.string()))
            elif kind == "@time":
                text = np.datetime_as_string(time.astype("datetime64[ms]"))
                parts.append(pa.array(np.char.replace(np.char.replace(text, "-", ""), ":", "")))
            elif kind in ("@attr", "@name"):
                parts.append(pa.repeat(pa.scalar(self._constant(kind, argument)), len(self)))
            else:
                stored = self.rows.load(rule) if len(self.sensor.id) > 1 else self._load(rule, "identity")
                if stored.dtype.kind == "f":
                    whole = stored.astype(np.int64)
                    if len(whole) and np.abs(whole).max() > 2 ** (np.finfo(stored.dtype).nmant + 1):
                        raise FormatError(
                            f"{self.where}: {rule} is stored as {stored.dtype}, which cannot tell identities of "
                            f"{len(str(whole.max()))} digits apart; use a file that keeps them as integers"
                        )
                    stored = whole
                number = stored.dtype.kind in "iu"
                parts.append(pa.array(stored if number else plain_text(stored)))
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
                first = self.source.read(rule.attribute).ravel()[0]
                text = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
            else:
                text = str(attributes.get(rule.attribute, ""))
            match = re.search(rule.pattern, text)
            if match:
                parts = [part.lstrip("0") or "0" for part in match.groups() if part]
                return ".".join([parts[0], *(p for p in parts[1:] if p != "0")])
        return ""

    def flags(self, rule: SensorQuality) -> tuple[np.ndarray, np.ndarray, Any]:
        """Return rejected, doubted (bool) and the producer's own flag as text.

        A missing flag counts as rejected.
        """
        import pyarrow as pa

        if rule.variable not in self.source and rule.optional:
            self.note(f"no variable {rule.variable!r}: every row is doubted")
            unknown = np.zeros(len(self), dtype=bool)
            return unknown, ~unknown, pa.nulls(len(self), pa.string())
        if rule.variable not in self.source:
            raise MissingVariableError(
                f"{self.where}: no variable {rule.variable!r} (quality of {self.sensor.name})"
                f"{nearest(rule.variable, self.source.names())}"
            )
        if rule.at_least is not None:
            quality = self._floats(rule.variable, self._load(rule.variable, "quality"))
            most = float(np.nanmax(quality, initial=0.0))
            if rule.at_least <= 1.0 and most > 1.01:  # the best, and what single precision makes of it
                why = f"{rule.variable} goes to {most:g}, and 1 is the best; has its scale_factor been lost?"
                raise FormatError(f"{self.where}: {why}")
            with np.errstate(invalid="ignore"):
                rejected = ~(quality >= rule.at_least - 1e-9)
            return (
                rejected,
                np.zeros(len(rejected), dtype=bool),
                pa.array(np.round(quality, 6)).cast(pa.string()),
            )
        names, where = self._distinct_labels(rule.variable, None)
        wanted, doubted = _as_labels(rule.good or ()), _as_labels(rule.suspect)
        if wrong := flag_fault(self.source.attributes(rule.variable), wanted | doubted):
            raise FormatError(
                f"{self.where}: {rule.variable}: {wrong}; say what it means in a sensor table of your own"
            )
        good, suspect = (
            np.array([n in values for n in names], dtype=bool)[where] for values in (wanted, doubted)
        )
        if not wanted & set(names):
            shown = ", ".join(names[:6]) or "none"
            self.note(f"no sounding is good: {rule.variable} is {shown}, good is {', '.join(sorted(wanted))}")
        text = pa.DictionaryArray.from_arrays(pa.array(where), pa.array(names, pa.string())).cast(pa.string())
        return ~(good | suspect), suspect, text

    # -- from the file ----------------------------------------------------------------------------------

    def _path(self, entry: SensorVariable) -> str:
        """Return where an entry that `declared` gave is found."""
        return next(path for path in entry.path if path in self.source)


def _as_labels(values: Iterable[float | str]) -> set[str]:
    """Return flag values of a table as the labels that stored values have."""
    return {f"{v:g}" if isinstance(v, float) else str(v) for v in values}


def _factor_or_none(unit: str, to: str) -> float | None:
    try:
        return conversion_factor(unit, to)
    except UnitError:
        return None
