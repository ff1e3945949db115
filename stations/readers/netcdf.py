"""Variables of a netCDF file, one at a time, with each one's own fill and unit."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.errors import ConfigError, FormatError, MissingVariableError, ObsnetError, UnitError, nearest
from obsnet.packed import unpack
from obsnet.reading import refuse_claims
from obsnet.times import counted_since, from_epoch
from obsnet.units import convert, is_mole_fraction
from stations.record.checks import Notes
from stations.record.source import Source

if TYPE_CHECKING:
    import netCDF4

__all__ = ["File", "attribute_number", "named_part", "opened", "stamp_parts"]

_PERCENT = re.compile(r"%|per ?cent", re.IGNORECASE)
_THREE_CENTURIES = 1e10  # seconds
# "left" and "right" of labels and edges, not of values that were left blank
_LABEL = r"\b{0}\W+(?:label\w*|edge|bound\w*|border|closed|hand|side)\b|\blabel\w*\W+(?:\w+\W+)?{0}\b"
_WORDS = {
    "start": rf"\b(beginning|begin|starts?|starting)\b|{_LABEL.format('left')}",
    "middle": r"\bmid(dle|[ -]?point|[ -]?interval|[ -]?time)?\b|\bcent(re|er)(ed)?\b",
    "end": rf"\b(end|ending|ends)\b|{_LABEL.format('right')}",
}


@contextlib.contextmanager
def opened(source: Source) -> Iterator[File]:
    """Open a file for reading; what breaks because of the file becomes a `FormatError` that names it."""
    path = source.where
    try:
        with source.dataset() as dataset:
            refuse_claims(source.path, dataset.variables)
            dataset.set_auto_maskandscale(False)
            dataset.set_auto_chartostring(False)
            yield File(path, dataset)
    except ObsnetError:
        raise
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: cannot be read as netCDF ({error})") from error
    except (IndexError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: its variables do not fit together ({error})") from error


class File:
    """An open file; values come out plain, fills as NaN."""

    def __init__(self, path: str, dataset: netCDF4.Dataset) -> None:
        self.path = path
        self._dataset = dataset
        self.notes_of_record()

    def __contains__(self, name: str) -> bool:
        return name in self._dataset.variables

    def notes_of_record(self) -> Notes:
        """Return notes of a record that is read from now on, which will say what its numbers hide."""
        self.notes, self._read = Notes(), set[str]()
        return self.notes

    def names(self) -> list[str]:
        """Return the variables' names."""
        return list(self._dataset.variables)

    def attr(self, name: str, default: str = "") -> str:
        """Return a global attribute as text."""
        return _attribute(self._dataset, name, default)

    def of(self, variable: str, name: str, default: str = "") -> str:
        """Return a variable's attribute as text; the default where either is absent."""
        held = self._dataset.variables.get(variable)
        return default if held is None else _attribute(held, name, default)

    def dims(self, variable: str) -> tuple[str, ...]:
        """Return a variable's dimensions."""
        return self._variable(variable).dimensions

    def kind(self, variable: str) -> str:
        """Return the kind of a variable's numbers: ``"f"``, ``"i"``, ``"u"``; ``"S"`` for texts."""
        dtype = self._variable(variable).dtype
        return "S" if dtype is str else dtype.kind

    def _variable(self, name: str) -> netCDF4.Variable:
        try:
            return self._dataset.variables[name]
        except KeyError:
            raise MissingVariableError(
                f"{self.path}: no variable {name!r}{nearest(name, self.names())}"
            ) from None

    def raw(self, name: str) -> np.ndarray:
        """Return the stored numbers, fills and all."""
        return np.asarray(self._variable(name)[...])

    def numbers(self, name: str) -> np.ndarray:
        """Return float64, unpacked, with fills and what the file calls invalid as NaN."""
        variable = self._variable(name)
        if self.kind(name) not in "iuf":
            raise FormatError(f"{self.path}: variable {name!r} holds {variable.dtype}, not numbers")
        try:
            found = unpack(np.asarray(variable[...]), {n: variable.getncattr(n) for n in variable.ncattrs()})
        except FormatError as error:
            raise FormatError(f"{self.path}: {name}: {error}") from error
        if name not in self._read:
            self._read.add(name)
            self.notes.warn(
                found.outside,
                f"values of {name} are outside of the range that the file calls valid ({found.said}): not used",
            )
        return found.values

    def numbers_in(self, name: str, unit: str) -> np.ndarray:
        """Return numbers in a unit, where the variable names one of the same kind; as they are where it names none."""
        values, own = self.numbers(name), self.of(name, "units")
        if not own or not unit:
            return values
        if _PERCENT.fullmatch(own) and is_mole_fraction(unit):
            raise FormatError(
                f"{self.path}: {name} is in {own!r}, of the value or of what nobody says; give it in {unit}"
            )
        try:
            return np.asarray(convert(values, own, unit), dtype=np.float64)
        except UnitError:  # of another kind, or none: "masl"
            return values

    def times(self, name: str) -> np.ndarray:
        """Return ``datetime64[us]`` of a variable in units of ``<unit> since <epoch>``, as people write them.

        Raises
        ------
        FormatError
            Other units, or a calendar that is not the civil one.
        """
        variable = self._variable(name)
        said, calendar = str(getattr(variable, "units", "")), str(getattr(variable, "calendar", "standard"))
        try:
            start, one = counted_since(said, calendar)
        except UnitError as error:
            raise FormatError(f"{self.path}: {name} {error}") from error
        values = self.numbers(name) * one
        values[np.abs(values) > _THREE_CENTURIES] = np.nan  # a fill nobody declared
        return from_epoch(values, start)

    def texts(self, name: str) -> np.ndarray:
        """Return ``str`` of a character or string variable, stripped; each distinct text is decoded once."""
        raw = np.asarray(self._variable(name)[...])
        if raw.dtype.kind in "OU":
            return np.char.strip(raw.astype(str))
        if raw.dtype.kind != "S":
            return raw.astype(str)
        if raw.ndim == 2:
            raw = np.ascontiguousarray(raw).view(f"S{raw.shape[1]}").ravel()
        words, inverse = np.unique(raw, return_inverse=True)
        plain = [w.decode("utf-8", errors="replace").strip(" \0") for w in words]
        return np.array(plain, dtype=str)[inverse]


def _attribute(held: Any, name: str, default: str) -> str:
    """Return an attribute of the file; netCDF4's own, such as a variable's ``scale``, are none of it.

    A name that only differs in capitals counts (``Calibration_scale``), where no other does.
    """
    there = held.ncattrs()
    alike = [name] if name in there else [n for n in there if n.lower() == name.lower()]
    return str(held.getncattr(alike[0])).strip() if len(alike) == 1 else default


def stamp_parts(*texts: str) -> list[str]:
    """Return what parts of an interval are named by what is said of a stamp: ``start``, ``middle``, ``end``.

    Examples
    --------
    >>> stamp_parts("Values are reported at the middle of the averaging interval.")
    ['middle']
    >>> stamp_parts("Seconds since the beginning of 1970; middle of the interval")
    ['middle']
    >>> stamp_parts("Hours begin at 0 and end at 23 UTC")
    ['start', 'end']
    """
    # a text that is nothing else is a label
    said = " ".join(f"{t} label" if t.lower().strip() in {"left", "right"} else t for t in texts)
    said = said.lower().replace("_", " ")
    said = re.sub(r"\bsince (the )?(beginning|start)\b", "", said)  # of 1970: no part of an interval
    return [name for name, words in _WORDS.items() if re.search(words, said)]


def named_part(source: Source, usual: str, *texts: str) -> str:
    """Return what part of its interval a stamp names: by the file, else as the caller says, else as is usual.

    Raises
    ------
    ConfigError
        The caller says another one than the file, or the file says several and the caller none of them.
    """
    said, asked = stamp_parts(*texts), source.options.get("stamp")
    text = repr("; ".join(t for t in texts if t)[:200])
    if said and asked and asked not in said:
        raise ConfigError(
            f"{source.where}: --stamp {asked} was given, but the file says that its times name the {' or '.join(said)} "
            f"({text}): leave --stamp out, or mend that text in the file"
        )
    if len(said) > 1 and not asked:
        raise ConfigError(
            f"{source.where}: what the file says of its times can be read as their {' or '.join(said)} ({text}): say "
            f"which with --stamp"
        )
    return asked or (said[0] if said else usual)


def attribute_number(text: Any, default: float = np.nan) -> float:
    """Return an attribute as a number, or the default."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return default
