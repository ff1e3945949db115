"""Quality screens as data: named filters over a granule's variables, counted one by one, nothing deleted."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pydantic import Field, model_validator

from obsnet.config import Options, read_toml, validate
from obsnet.errors import ConfigError, MissingVariableError, nearest
from retrieval.products.expression import evaluate, parse
from retrieval.readers.fields import Fields

__all__ = [
    "Condition",
    "Filter",
    "Screen",
    "ScreenResult",
    "Screenable",
    "bit_names",
    "count_bits",
    "find_screen",
    "load_screens",
]


class ScreenedProduct(Protocol):
    """What a screen asks of a product."""

    @property
    def name(self) -> str:
        """Held against the screen's ``sensors``."""

    @property
    def variables(self) -> Mapping[str, Any]:
        """Roles that the product has."""


class Screenable(Protocol):
    """What a screen can judge: a granule's `Fields`, or any table that answers the same."""

    @property
    def sensor(self) -> ScreenedProduct:
        """The product."""

    @property
    def where(self) -> str:
        """Name for error texts."""

    def __len__(self) -> int: ...

    def number(self, role: str) -> np.ndarray | None:
        """Return a role in its unit inside, None where there is none."""

    def raw(self, path: str) -> np.ndarray:
        """Return a variable as it is stored."""

    def find(self, name: str) -> str:
        """Return the path of a variable."""

    def note(self, text: str) -> None:
        """Record what could not be done."""


class Condition(Options):
    """What must hold of one variable, or of one expression; a missing value never passes."""

    variable: str | None = Field(None, description="role, path, or last part of a path")
    expression: str | None = Field(
        None, description="arithmetic of variables, see retrieval.products.expression"
    )
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    one_of: tuple[float | str, ...] | None = None
    none_of: tuple[float | str, ...] | None = None
    mask: int | None = Field(None, ge=1, description="bits looked at before one_of and none_of")
    bits_clear: int | None = Field(None, ge=1, description="bits that must be 0")

    @model_validator(mode="after")
    def _sound(self) -> Condition:
        if (self.variable is None) == (self.expression is None):
            raise ValueError("give either variable or expression")
        limits = ("at_least", "at_most", "above", "below", "one_of", "none_of", "bits_clear")
        if all(getattr(self, k) is None for k in limits):
            raise ValueError(f"a filter needs one of {', '.join(limits)}")
        if self.expression is not None:
            parse(self.expression)
        return self

    def passes(self, fields: Screenable) -> np.ndarray:
        """Return which soundings meet the condition.

        Raises
        ------
        MissingVariableError
            The file lacks a variable the filter needs.
        """
        values = self._values(fields)
        if values.dtype.kind in "US":
            return _among(values, self.one_of, True) & ~_among(values, self.none_of, False)
        return self._within(values)

    def _values(self, fields: Screenable) -> np.ndarray:
        if self.variable is not None:
            # A role comes in the unit inside; any other variable as it is stored.
            if self.variable in fields.sensor.variables and self.variable not in (
                "mode",
                "time",
                "time_offset",
            ):
                values = fields.number(self.variable)
                if values is not None:
                    return values
            return fields.raw(fields.find(self.variable))
        assert self.expression is not None
        tree = parse(self.expression)
        return np.broadcast_to(evaluate(tree, lambda n: fields.raw(fields.find(n))), (len(fields),))

    def _within(self, values: np.ndarray) -> np.ndarray:
        good = np.isfinite(values) if values.dtype.kind == "f" else np.ones(len(values), dtype=bool)
        with np.errstate(invalid="ignore"):
            for limit, test in (
                (self.at_least, np.greater_equal),
                (self.at_most, np.less_equal),
                (self.above, np.greater),
                (self.below, np.less),
            ):
                if limit is not None:
                    good &= test(values, limit)
        codes = values if self.mask is None else values.astype(np.int64) & self.mask
        good &= _among(codes, self.one_of, True) & ~_among(codes, self.none_of, False)
        if self.bits_clear is not None:
            good &= (values.astype(np.uint64) & np.uint64(self.bits_clear)) == 0
        return good


class Filter(Condition):
    """A named condition that a sounding must meet, or those of one kind of sounding."""

    name: str
    where: Condition | None = Field(None, description="only soundings for which this holds; the others pass")
    optional: bool = Field(False, description="passes where the file lacks the variable; a note says so")

    def passes(self, fields: Screenable) -> np.ndarray:
        """Return which soundings meet the condition or are not concerned by it."""
        good = super().passes(fields)
        return good if self.where is None else good | ~self.where.passes(fields)


def _among(values: np.ndarray, choices: tuple[float | str, ...] | None, otherwise: bool) -> np.ndarray:
    if choices is None:
        return np.full(len(values), otherwise)
    kind = str if values.dtype.kind in "US" else float
    return np.isin(values, [kind(c) for c in choices])


@dataclass(frozen=True)
class ScreenResult:
    """What a screen did to one granule.

    Parameters
    ----------
    rejected : ndarray of bool
        Rows that fail at least one filter.
    counts : dict of str to int
        Rows each filter rejects, whatever the others say; ``"any"`` is their union.
    alone : dict of str to int
        Rows that only this filter rejects.
    """

    rejected: np.ndarray
    counts: dict[str, int]
    alone: dict[str, int]


class Screen(Options):
    """A named quality profile."""

    name: str
    title: str = ""
    reference: str = ""
    sensors: tuple[str, ...] = Field((), description="products it is meant for; all when empty")
    filter: tuple[Filter, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Screen:
        seen = [f.name for f in self.filter]
        twice = sorted({n for n in seen if seen.count(n) > 1})
        if twice or "any" in seen:
            raise ValueError(
                f"filter names must differ and not be 'any'; look at {', '.join(twice) or 'any'}"
            )
        return self

    def apply(self, fields: Screenable) -> ScreenResult:
        """Judge every sounding of a granule.

        Raises
        ------
        ConfigError
            The screen is meant for other products.
        MissingVariableError
            The file lacks a variable that a filter needs.
        """
        if self.sensors and fields.sensor.name not in self.sensors:
            raise ConfigError(
                f"screen {self.name!r} is for {', '.join(self.sensors)}, not for {fields.sensor.name} ({fields.where})"
            )
        failures: dict[str, np.ndarray] = {}
        for rule in self.filter:
            try:
                failures[rule.name] = ~rule.passes(fields)
            except MissingVariableError as error:
                if not rule.optional:
                    raise MissingVariableError(
                        f"screen {self.name!r}, filter {rule.name!r}: {error}"
                    ) from error
                fields.note(f"screen {self.name}: filter {rule.name} left out, the file lacks its variable")
                failures[rule.name] = np.zeros(len(fields), dtype=bool)
        times = sum((f.astype(np.int32) for f in failures.values()), np.zeros(len(fields), np.int32))
        rejected = times > 0
        counts = {name: int(f.sum()) for name, f in failures.items()} | {"any": int(rejected.sum())}
        alone = {name: int((f & (times == 1)).sum()) for name, f in failures.items()}
        return ScreenResult(rejected, counts, alone)


def load_screens(folders: Iterable[str | Path] = ()) -> dict[str, Screen]:
    """Read all screens: the shipped ones, those in ``OBSNET_SCREENS``, then the given folders; later ones win.

    Raises
    ------
    ConfigError
        A folder is absent or a file is faulty.
    """
    own = [p for p in os.environ.get("OBSNET_SCREENS", "").split(os.pathsep) if p]
    screens: dict[str, Screen] = {}
    for folder in (Path(__file__).parent / "screens", *map(Path, own), *map(Path, folders)):
        if not folder.is_dir():
            raise ConfigError(f"{folder}: no such folder of screens")
        for path in sorted(folder.glob("*.toml")):
            screens[path.stem] = _read_screen(path)
    return screens


def _read_screen(path: Path) -> Screen:
    return validate(Screen, {"name": path.stem, **read_toml(path)}, path.name)


def find_screen(name: str, folders: Iterable[str | Path] = ()) -> Screen:
    """Return a screen by name, or read it from a TOML file.

    Parameters
    ----------
    name : str
        Name of a screen, or a path that ends in ``.toml``.
    folders : iterable of path
        See `load_screens`.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    if name.endswith(".toml"):
        return _read_screen(Path(name))
    screens = load_screens(folders)
    if name not in screens:
        raise ConfigError(f"unknown screen {name!r}{nearest(name, screens)}; or give a .toml file")
    return screens[name]


def bit_names(attributes: Mapping[str, Any]) -> list[str]:
    """Return the names of the bits of a flag variable, lowest first, from its attributes."""
    text = str(attributes.get("qf_variables") or attributes.get("flag_meanings") or "")
    return [n for n in re.split(r"[,\s]+", text) if n]


def _bits(values: np.ndarray, names: Iterable[str]) -> tuple[np.ndarray, dict[str, int]]:
    """Return flags as unsigned 64-bit numbers and the place of each named bit, and of each unnamed one in use."""
    wide = values.astype(np.int64).view(np.uint64) if values.dtype.kind == "i" else values.astype(np.uint64)
    if values.dtype.kind == "i" and values.dtype.itemsize < 8:  # the sign was extended
        wide &= np.uint64(2 ** (8 * values.dtype.itemsize) - 1)
    labels = {name: k for k, name in enumerate(names)}
    used = int(np.bitwise_or.reduce(wide)) if len(wide) else 0
    return wide, labels | {f"bit_{k}": k for k in range(len(labels), used.bit_length()) if used >> k & 1}


def count_bits(fields: Fields, path: str) -> dict[str, int]:
    """Return how many soundings of a granule each of the producer's filters rejects; zeros left out.

    A sounding whose flag holds the file's missing value counts under ``"missing"``.
    """
    values = fields.raw(path)
    attributes = fields.source.attributes(path)
    missing = attributes.get("missing_value")
    absent = np.zeros(len(values), dtype=bool) if missing is None else values == missing
    wide, labels = _bits(values[(values != 0) & ~absent], bit_names(attributes))
    counts = {name: int(np.count_nonzero(wide & np.uint64(1 << k))) for name, k in labels.items()}
    counts["missing"] = int(absent.sum())
    return {name: n for name, n in counts.items() if n}
