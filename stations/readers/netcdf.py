"""Variables of a netCDF file, one at a time, with each one's own fill and unit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from obsnet.errors import ConfigError, FormatError, MissingVariableError, ObsnetError, nearest
from obsnet.reading import refuse_claims
from obsnet.times import as_utc, from_epoch

__all__ = ["File", "attribute_number", "opened"]

_SECONDS = {"seconds": 1.0, "second": 1.0, "s": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0}
_THREE_CENTURIES = 1e10  # seconds


@contextlib.contextmanager
def opened(path: Path) -> Iterator[File]:
    """Open a file for reading; what breaks because of the file becomes a `FormatError` that names it."""
    try:
        with netCDF4.Dataset(path) as dataset:
            refuse_claims(path, dataset.variables)
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

    def __init__(self, path: Path, dataset: netCDF4.Dataset) -> None:
        self.path = path
        self._dataset = dataset

    def __contains__(self, name: str) -> bool:
        return name in self._dataset.variables

    def names(self) -> list[str]:
        """Return the variables' names."""
        return list(self._dataset.variables)

    def attr(self, name: str, default: str = "") -> str:
        """Return a global attribute as text."""
        return str(getattr(self._dataset, name, default)).strip()

    def of(self, variable: str, name: str, default: str = "") -> str:
        """Return a variable's attribute as text; the default where either is absent."""
        return str(getattr(self._dataset.variables.get(variable), name, default)).strip()

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
        """Return float64 with ``_FillValue`` and ``missing_value`` as NaN, scaled as the file says."""
        variable = self._variable(name)
        if self.kind(name) not in "iuf":
            raise FormatError(f"{self.path}: variable {name!r} holds {variable.dtype}, not numbers")
        raw = np.asarray(variable[...])
        values = raw.astype(np.float64)
        for attribute in ("_FillValue", "missing_value"):
            fill = getattr(variable, attribute, None)
            if fill is not None and np.ndim(fill) == 0 and np.asarray(fill).dtype.kind in "iuf":
                values[raw == np.asarray(fill).astype(raw.dtype)] = np.nan
        scale, offset = getattr(variable, "scale_factor", 1.0), getattr(variable, "add_offset", 0.0)
        return values * float(scale) + float(offset) if (scale, offset) != (1.0, 0.0) else values

    def times(self, name: str) -> np.ndarray:
        """Return ``datetime64[us]`` of a variable in units of ``<unit> since <epoch>``."""
        said = str(getattr(self._variable(name), "units", ""))
        unit, since, epoch = said.partition(" since ")
        length = _SECONDS.get(unit.strip().lower())
        if not since or length is None:
            raise FormatError(f"{self.path}: {name} has units {said!r}, not '<unit> since <date>'")
        try:
            start = as_utc(epoch)
        except ConfigError as error:
            raise FormatError(f"{self.path}: {name} counts from {epoch!r}, which is no date") from error
        values = self.numbers(name) * length
        values[np.abs(values) > _THREE_CENTURIES] = np.nan  # a fill nobody declared
        return from_epoch(values, str(start))

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


def attribute_number(text: Any, default: float = np.nan) -> float:
    """Return an attribute as a number, or the default."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return default
