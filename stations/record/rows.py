"""A record as plain arrays: what readers make and summaries need, and a Dataset only where one is asked for.

xarray and pandas take longer to import than a small file to read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Rows", "Variable", "as_dataset"]


@dataclass(frozen=True)
class Variable:
    """An array with the names of its dimensions, as `xarray.Variable`."""

    dims: tuple[str, ...]
    values: np.ndarray
    attrs: dict[str, Any] = field(default_factory=dict)


@dataclass
class Rows:
    """Variables and attributes of a record; see `stations.record.record` for the layout.

    Parameters
    ----------
    variables : dict of str to Variable
        The first dimension of each is ``time``.
    attrs : dict
        Of the whole.
    """

    variables: dict[str, Variable]
    attrs: dict[str, Any]

    def __post_init__(self) -> None:
        lengths = self.sizes
        for name, one in self.variables.items():
            if one.values.shape != tuple(lengths[d] for d in one.dims):
                raise ValueError(f"{name} has shape {one.values.shape}, other variables {lengths}")

    def __getitem__(self, name: str) -> Variable:
        return self.variables[name]

    def __contains__(self, name: str) -> bool:
        return name in self.variables

    @property
    def sizes(self) -> dict[str, int]:
        """Lengths of the dimensions."""
        return {d: n for v in self.variables.values() for d, n in zip(v.dims, v.values.shape, strict=True)}


def as_dataset(record: Rows | xr.Dataset) -> xr.Dataset:
    """Return a record as an `xarray.Dataset`."""
    if not isinstance(record, Rows):
        return record
    import xarray as xr

    dataset = xr.Dataset({name: (v.dims, v.values, v.attrs) for name, v in record.variables.items()})
    dataset.attrs = record.attrs
    return dataset
