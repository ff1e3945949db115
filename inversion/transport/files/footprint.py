"""A footprint in memory: one form for every make, and its way into the sparse Jacobian.

A footprint says by how much an observation rises, in ppm, when a cell emits 1 umol m-2 s-1 during a step:
extensive per cell, so a modelled enhancement is the plain sum of footprint times flux density, and coarsening
sums. Lin et al. (2003), doi:10.1029/2002JD003161, eq. 8.

In memory an `xarray.Dataset` with dimensions ``receptor, step, lat, lon``:

``sensitivity(receptor, step, lat, lon)``
    float32, ppm / (umol m-2 s-1).
``step_start, step_end(receptor, step)``
    The hours whose fluxes are meant, UTC, half-open. The start is NaT where the file does not say how far
    back an integrated or residual part reaches.
``resolved(step)``
    False for a part integrated over more than the file can tell apart.
``obs_id, receptor_time, receptor_start, receptor_end, receptor_lat, receptor_lon, receptor_height``
(receptor)
    Height in m above ground; NaN for columns.
``share_<side>(receptor, height, lat|lon)``, ``age_<side>``
    Where the file has them: share of the particles that left through each cell of the four curtains, and
    their mean age in hours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from inversion.jacobian.store import UNIT
from obsnet.errors import FormatError, SchemaError
from obsnet.grid import Grid
from obsnet.reading import reading
from obsnet.typing import Bools, Times

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = [
    "CURTAINS",
    "UNIT",
    "FootprintFile",
    "ReceptorBlock",
    "Weighting",
]

CURTAINS = ("north", "east", "south", "west")
# What has been done to a column footprint already; only "none" may still be weighted.
Weighting = Literal["none", "pressure", "kernel", "unknown"]
RECEPTOR_COLUMNS = ("obs_id", "time", "time_start", "time_end", "latitude", "longitude", "height_m")
BATCH_BYTES = 128 * 2**20

AnyFloats = npt.NDArray[np.floating[Any]]


class ReceptorBlock(NamedTuple):
    """What a reader hands over for some receptors; rows south to north, columns west to east."""

    sensitivity: AnyFloats  # (receptor, step, lat, lon), ppm / (umol m-2 s-1); NaN where missing
    step_start: Times  # (receptor, step)
    step_end: Times  # (receptor, step)
    resolved: Bools  # (step,)
    share: Mapping[str, AnyFloats] = {}  # side -> (receptor, height, lat or lon)
    age: Mapping[str, AnyFloats] = {}  # side -> (receptor, height, lat or lon), hours
    height: AnyFloats | None = None  # (height,), m, layer middles of the curtains


@dataclass(frozen=True)
class FootprintFile:
    """A footprint file, opened: what it says of itself, and its values a few receptors at a time.

    Parameters
    ----------
    path : Path
        File or folder.
    format : str
        Name of the reader.
    model : str
        Transport model and its version, as the file says.
    grid : Grid
        Cells.
    receptors : pandas.DataFrame
        Columns `RECEPTOR_COLUMNS`, one row a receptor, times UTC.
    unit : str
        Unit in the file; values come out in `UNIT`.
    load : callable
        ``load(start, stop) -> ReceptorBlock`` of these receptors.
    bytes_per_receptor : int
        Size of one receptor's values when dense, which decides the batches.
    span : tuple of datetime64
        Earliest known begin and latest end of the steps of all receptors.
    column : bool
        The receptors are columns.
    weighting : str
        Whether pressure weights and averaging kernel are in the values already.
    kind : str
        ``"read"`` or ``"emulated"``.
    species : str or None
        None for an inert tracer.
    lifetime_hours : float or None
        Lifetime that is in the values already.
    notes : tuple of str
        What the reader changed or wants the user to know.
    """

    path: Path
    format: str
    model: str
    grid: Grid
    receptors: pd.DataFrame
    unit: str
    load: Callable[[int, int], ReceptorBlock]
    bytes_per_receptor: int
    span: tuple[np.datetime64, np.datetime64]
    column: bool = False
    weighting: Weighting = "none"
    kind: str = "read"
    species: str | None = None
    lifetime_hours: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        missing = [c for c in RECEPTOR_COLUMNS if c not in self.receptors]
        if missing:
            raise SchemaError(f"{self.path}: receptor table lacks {', '.join(missing)}")
        twice = self.receptors["obs_id"][self.receptors["obs_id"].duplicated()]
        if len(twice):
            raise FormatError(f"{self.path}: receptor {twice.iloc[0]!r} occurs more than once")

    def __len__(self) -> int:
        return len(self.receptors)

    def read(self, start: int = 0, stop: int | None = None) -> xr.Dataset:
        """Read receptors ``start`` to ``stop`` (all of them by default).

        Returns
        -------
        xarray.Dataset
            See the module's docstring. Receptors whose every value is missing are left out and counted in the
            attribute ``missing_receptors``.

        Raises
        ------
        FormatError
            Some but not all values of a receptor are missing or infinite.
        """
        stop = len(self) if stop is None else min(stop, len(self))
        with reading(self.path, "footprints"):
            return _dataset(self, self.receptors.iloc[start:stop], self.load(start, stop))

    def batches(self, max_bytes: int = BATCH_BYTES) -> Iterator[xr.Dataset]:
        """Read all receptors, so many at a time that their dense values stay below `max_bytes`."""
        size = max(1, int(max_bytes // max(self.bytes_per_receptor, 1)))
        for start in range(0, len(self), size):
            yield self.read(start, start + size)


def _dataset(head: FootprintFile, receptors: pd.DataFrame, block: ReceptorBlock) -> xr.Dataset:
    import xarray as xr

    values = np.asarray(block.sensitivity, dtype=np.float32)
    finite = np.isfinite(values).reshape(len(values), -1)
    whole, none = finite.all(axis=1), ~finite.any(axis=1)
    if finite.shape[1] and not (whole | none).all():
        at = int(np.flatnonzero(~(whole | none))[0])
        raise FormatError(
            f"{head.path}: receptor {receptors['obs_id'].iloc[at]!r} has {int((~finite[at]).sum())} of "
            f"{finite.shape[1]} sensitivities missing or infinite; a footprint is whole or absent"
        )
    keep = np.flatnonzero(whole)
    table = receptors.iloc[keep]
    dims = ("receptor", "step", "lat", "lon")
    coords: dict[str, Any] = {
        "obs_id": ("receptor", table["obs_id"].to_numpy(dtype=np.str_)),
        "lat": (
            "lat",
            head.grid.lat,
            {"units": "degrees_north", "standard_name": "latitude", "bounds": "lat_bnds"},
        ),
        "lon": (
            "lon",
            head.grid.lon,
            {"units": "degrees_east", "standard_name": "longitude", "bounds": "lon_bnds"},
        ),
        "lat_bnds": (("lat", "bnds"), np.stack([head.grid.lat_edges[:-1], head.grid.lat_edges[1:]], axis=1)),
        "lon_bnds": (("lon", "bnds"), np.stack([head.grid.lon_edges[:-1], head.grid.lon_edges[1:]], axis=1)),
        "resolved": ("step", np.asarray(block.resolved, dtype=bool)),
        "step_start": (dims[:2], np.asarray(block.step_start)[keep].astype("datetime64[ns]")),
        "step_end": (dims[:2], np.asarray(block.step_end)[keep].astype("datetime64[ns]")),
    }
    for column, name in zip(RECEPTOR_COLUMNS[1:], _RECEPTOR_NAMES, strict=True):
        coords[name] = ("receptor", table[column].to_numpy(), _RECEPTOR_ATTRS.get(name, {}))
    data: dict[str, Any] = {
        "sensitivity": (
            dims,
            values[keep],
            {"units": UNIT, "long_name": "footprint per cell", "cell_methods": "lat: lon: sum"},
        )
    }
    for prefix, fields, unit in (("share", block.share, "1"), ("age", block.age, "hours")):
        for side, array in fields.items():
            across = "lon" if side in {"north", "south"} else "lat"
            data[f"{prefix}_{side}"] = (
                ("receptor", "height", across),
                np.asarray(array)[keep],
                {"units": unit},
            )
    if block.height is not None and block.share:
        coords["height"] = ("height", np.asarray(block.height), {"units": "m", "positive": "up"})
    attrs = {
        "source_file": head.path.name,
        "format": head.format,
        "model": head.model,
        "kind": head.kind,
        "column": int(head.column),
        "weighting": head.weighting,
        "unit_in_file": head.unit,
        "species": head.species or "inert",
        "missing_receptors": int(none.sum()) if finite.shape[1] else 0,
        "notes": "\n".join(head.notes),
    }
    if head.lifetime_hours is not None:
        attrs["lifetime_hours"] = head.lifetime_hours
    return xr.Dataset(data, coords, attrs)


_RECEPTOR_NAMES = (
    "receptor_time",
    "receptor_start",
    "receptor_end",
    "receptor_lat",
    "receptor_lon",
    "receptor_height",
)
_RECEPTOR_ATTRS = {
    "receptor_lat": {"units": "degrees_north"},
    "receptor_lon": {"units": "degrees_east"},
    "receptor_height": {"units": "m", "long_name": "height above ground"},
}
