"""A record as a rule of quality control sees it, and what a rule gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from obsnet.errors import MissingVariableError, nearest
from obsnet.schema import Quality

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Found", "PerSpecies", "RuleRows", "SkipRule"]

PerSpecies = float | dict[str, float]


class SkipRule(Exception):
    """A rule that has nothing to say of this record; the report tells why."""


@dataclass(frozen=True)
class RuleRows:
    """A record as a rule sees it.

    Attributes
    ----------
    record : xarray.Dataset
        Layout of `stations.record.record`, sorted by time.
    value : ndarray, shape (n,)
        NaN in rows the rule is not to judge.
    hours : ndarray, shape (n,)
        Hours since the first time; NaN where there is none.
    others : mapping of str to Dataset
        Further intakes, by the names that rules use.
    """

    record: xr.Dataset
    value: np.ndarray
    hours: np.ndarray
    others: Mapping[str, xr.Dataset]

    @property
    def species(self) -> str:
        """Formula."""
        return str(self.record.attrs["species"])

    @property
    def judged(self) -> np.ndarray:
        """Rows to be judged."""
        return np.isfinite(self.value) & np.isfinite(self.hours)

    def number(self, setting: PerSpecies) -> float:
        """Return a setting that may differ from species to species."""
        if isinstance(setting, Mapping):
            if self.species not in setting:
                raise SkipRule(f"has no number for {self.species}")
            return float(setting[self.species])
        return float(setting)

    def variable(self, name: str) -> np.ndarray:
        """Return a variable along time as float64."""
        if name not in self.record:
            raise MissingVariableError(
                f"{self.record.attrs.get('path', 'record')}: a rule needs {name!r}, which the record has not"
                f"{nearest(name, map(str, self.record.data_vars))}; join meteorology with --met"
            )
        return self.record[name].values.astype(np.float64)

    def flag(self, name: str) -> np.ndarray:
        """Return a variable of yes and no along time; no where the record does not have it."""
        if name not in self.record:
            return np.zeros(self.value.size, dtype=bool)
        return self.record[name].values.astype(bool)

    def longitude(self) -> np.ndarray:
        """Return degrees east, which solar time needs."""
        found = self.variable("longitude")
        if not np.isfinite(found).any():
            raise SkipRule("needs solar time, and the record has no longitude")
        return found

    def compressed(self, kernel: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        """Apply a kernel of (hours, value) to the judged rows; the rest is not flagged."""
        flag = np.zeros(self.value.size, dtype=bool)
        rows = self.judged
        if rows.any():
            flag[rows] = kernel(self.hours[rows], self.value[rows])
        return flag


@dataclass(frozen=True)
class Found:
    """Rows flagged for one reason."""

    reason: str
    flag: Quality
    rows: np.ndarray
