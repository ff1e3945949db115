"""What a footprint file or a sparse Jacobian holds, as plain values for people and for JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inversion.jacobian.store import UNIT, JacobianStore
from inversion.transport.files.footprint import CURTAINS, FootprintFile
from obsnet.errors import FormatError
from obsnet.grid import Grid
from obsnet.places import extent_text
from obsnet.schema import SIDES
from obsnet.times import as_utc

__all__ = ["in_words", "store_summary", "summary"]


@dataclass
class _Tally:
    """Running sums over the receptors of a file."""

    totals: list[float] = field(default_factory=list)
    first: Any = None
    last: Any = None
    steps: int = 0
    step_hours: float | None = None
    missing: int = 0
    unresolved: float = 0.0
    left: list[float] = field(default_factory=list)

    def fields(self) -> dict[str, Any]:
        """Return what was summed, under the names of `summary`."""
        total = float(np.sum(self.totals))
        nan = float("nan")
        return {
            "unit": UNIT,
            "receptors_missing": self.missing,
            "total_sensitivity": float(np.mean(self.totals)) if self.totals else nan,
            "total_sensitivity_range": [min(self.totals, default=nan), max(self.totals, default=nan)],
            "hours": {
                "resolved_steps": self.steps,
                "step_hours": self.step_hours,
                "first": None if self.first is None else _iso(self.first),
                "last": None if self.last is None else _iso(self.last),
                "unresolved_share": self.unresolved / total if total else 0.0,
            },
            "boundary_share": float(np.mean(self.left)) if self.left else None,
        }


def summary(footprints: FootprintFile) -> dict[str, Any]:
    """Return what a user wants to know of a footprint file, as plain values.

    Returns
    -------
    dict
        ``kind, format, model, unit, unit_in_file, receptor`` (the first), ``receptors`` (how many),
        ``total_sensitivity`` (mean over receptors) with its range, ``hours`` (resolved steps, their length,
        first and last hour, share unresolved), ``grid``, ``weighting``, ``boundary_share``, ``notes``.
    """
    tally = _Tally()
    for data in footprints.batches():
        values = data["sensitivity"].values
        by_step = values.sum(axis=(2, 3), dtype=np.float64)
        tally.totals += by_step.sum(axis=1).tolist()
        tally.missing += int(data.attrs["missing_receptors"])
        resolved = data["resolved"].values
        tally.unresolved += float(by_step[:, ~resolved].sum())
        tally.steps = max(tally.steps, int(resolved.sum()))
        if resolved.any() and len(values):
            start, end = data["step_start"].values[:, resolved], data["step_end"].values[:, resolved]
            tally.first = start.min() if tally.first is None else min(tally.first, start.min())
            tally.last = end.max() if tally.last is None else max(tally.last, end.max())
            tally.step_hours = float((end - start).flat[0] / np.timedelta64(1, "s")) / 3600.0
        sides = [data[f"share_{s}"] for s in CURTAINS if f"share_{s}" in data]
        if sides:
            tally.left += sum(s.values.sum(axis=(1, 2), dtype=np.float64) for s in sides).tolist()
    first = footprints.receptors.iloc[0].to_dict()
    return {
        "file": str(footprints.path),
        "format": footprints.format,
        "kind": footprints.kind,
        "model": footprints.model,
        "species": footprints.species or "inert",
        "lifetime_hours": footprints.lifetime_hours,
        "unit_in_file": footprints.unit,
        "receptors": len(footprints),
        "receptor": {str(k): (_iso(v) if str(k).startswith("time") else v) for k, v in first.items()},
        "receptor_last_time": _iso(footprints.receptors["time"].max()),
        "column": footprints.column,
        "weighting": footprints.weighting,
        "notes": list(footprints.notes),
        **tally.fields(),
        "grid": _grid(footprints.grid),
    }


def store_summary(store: JacobianStore) -> dict[str, Any]:
    """Return the same of a sparse Jacobian, without making it dense; keys that it cannot fill are None.

    Raises
    ------
    FormatError
        The store holds no observation.
    """
    meta, edges = store.meta, store.time_edges
    tally, first, n = _Tally(), None, 0
    grid_size = store.grid.size
    for part in store.batches(1000):
        n += part.obs_id.size
        first = str(part.obs_id[0]) if first is None else first
        tally.totals += np.asarray(part.matrix.sum(axis=1, dtype=np.float64)).ravel().tolist()
        bins = part.matrix.indices[part.matrix.data != 0.0] // grid_size
        if bins.size:
            low, high = edges[bins.min()], edges[bins.max() + 1]
            tally.first = low if tally.first is None else min(tally.first, low)
            tally.last = high if tally.last is None else max(tally.last, high)
        if part.boundary is not None:
            inside = SIDES.index("inside") * part.n_time
            tally.left += np.asarray(part.boundary[:, :inside].sum(axis=1)).ravel().tolist()
    if not n:
        raise FormatError(f"{store.path}: the Jacobian holds no observation yet")
    tally.steps = edges.size - 1
    tally.step_hours = float((edges[1] - edges[0]) / np.timedelta64(1, "s")) / 3600.0
    return {
        "file": str(store.path),
        "format": "store",
        "kind": meta["kind"],
        "model": meta["model"],
        "species": meta["species"] or "inert",
        "lifetime_hours": None,
        "unit_in_file": meta["unit"],
        "receptors": n,
        "receptor": {"obs_id": first, "latitude": None, "longitude": None, "height_m": None},
        "receptor_last_time": None,
        "column": None,
        "weighting": meta.get("weighting", "unknown"),
        "notes": [f"{len(store.parts())} parts"],
        **tally.fields(),
        "grid": _grid(store.grid),
    }


def in_words(found: dict[str, Any]) -> dict[str, str]:
    """Return a summary as lines for people, by what they say."""
    hours, first = found["hours"], found["receptor"]
    steps = f"{hours['resolved_steps']} of {hours['step_hours']:g} h" if hours["resolved_steps"] else "none"
    share = f", {100 * hours['unresolved_share']:.0f} % integrated" if hours["unresolved_share"] else ""
    column = {True: "yes", False: "no", None: "not known"}[found["column"]]
    place = ""
    if first["latitude"] is not None:
        height = "column" if found["column"] else f"{first['height_m']:g} m"
        place = f", {first['latitude']:.4f}, {first['longitude']:.4f}, {height}"
    left = found["boundary_share"]
    return {
        "format": f"{found['format']} ({found['kind']}), {found['model']}",
        "unit": f"{found['unit']} (in the file: {found['unit_in_file']})",
        "receptors": f"{found['receptors']} ({found['receptors_missing']} without a footprint)",
        "first": f"{first['obs_id']}{place}",
        "column": f"{column}, weighting {found['weighting']}",
        "total sensitivity": "mean {:.6g}, {:.6g} to {:.6g}".format(
            found["total_sensitivity"], *found["total_sensitivity_range"]
        ),
        "hours": (f"{steps}, {hours['first']} to {hours['last']}" if hours["first"] else "none apart")
        + share,
        "grid": "{} x {}, {}, {}".format(*found["grid"]["shape"], *extent_text(*found["grid"]["bounds"])),
        "boundary": "no curtains" if left is None else f"{left:.3f} left the domain",
    }


def _grid(grid: Grid) -> dict[str, Any]:
    return {**grid.to_dict(), "shape": list(grid.shape), "bounds": list(grid.bounds)}


def _iso(time: Any) -> str:
    return str(as_utc(time).astype("datetime64[s]"))
