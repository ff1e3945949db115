"""Footprints in our own CF netCDF, as `inversion.transport.files.writers.write_cf` leaves them."""

from __future__ import annotations

from typing import Any

import numpy as np

from inversion.transport.files.footprint import CURTAINS, FootprintFile, ReceptorBlock
from inversion.transport.files.probe import Probe, open_netcdf
from inversion.transport.readers.common import axis, factor, receptors, text, times, values
from inversion.transport.readers.options import ReaderOptions
from obsnet.errors import FormatError
from obsnet.grid import Grid

__all__ = ["matches", "open_file"]

_NAN = float("nan")


def matches(found: Probe) -> bool:
    """Tell it by the variable and the global attribute that only it has."""
    return found.container == "netcdf" and "footprint_contract" in found.attributes


def open_file(found: Probe, options: ReaderOptions) -> FootprintFile:
    """Open a footprint of our own; see `inversion.transport.readers.open_footprints`."""
    path, attributes = found.path, found.attributes
    order = ("receptor", "step", "lat", "lon")
    with open_netcdf(path) as nc:
        field = nc["sensitivity"]
        scale, unit = factor(text(field, "units"), options, path, "sensitivity")
        edges = [
            np.append(b[:, 0], b[-1, 1])
            for b in (np.asarray(nc[n][:], float) for n in ("lat_bnds", "lon_bnds"))
        ]
        grid = Grid(*edges)
        ids = [str(s) for s in np.atleast_1d(nc["obs_id"][:])]
        stamps = {
            k: times(nc[f"receptor_{n}"], path)
            for k, n in (("time", "time"), ("time_start", "start"), ("time_end", "end"))
        }
        place = {
            k: np.ma.filled(nc[f"receptor_{n}"][:].astype(float), _NAN)
            for k, n in (("latitude", "lat"), ("longitude", "lon"), ("height_m", "height"))
        }
        resolved = np.asarray(nc["resolved"][:]).astype(bool)
        curtains = [s for s in CURTAINS if f"share_{s}" in nc.variables]
        height = axis(nc, "height") if curtains else None
        ends = times(nc["step_end"], path)
        begins = times(nc["step_start"], path, missing=True)[:, resolved]
        span = (begins.min() if begins.size else stamps["time_start"].min(), ends.max())
        size = field.shape[field.dimensions.index("step")] * grid.size
    if len(ids) != len(set(ids)):
        raise FormatError(f"{path}: an obs_id occurs more than once")

    def load(first: int, stop: int) -> ReceptorBlock:
        slab = {"receptor": slice(first, stop)}
        with open_netcdf(path) as nc:
            field = values(nc["sensitivity"], order, **slab) * scale
            begin, end = (
                times(nc[n], path, missing=n == "step_start")[first:stop] for n in ("step_start", "step_end")
            )
            share, age = (
                {
                    s: values(
                        nc[f"{prefix}_{s}"],
                        ("receptor", "height", "lon" if s in {"north", "south"} else "lat"),
                        **slab,
                    )
                    for s in curtains
                    if f"{prefix}_{s}" in nc.variables
                }
                for prefix in ("share", "age")
            )
        return ReceptorBlock(field, begin, end, resolved, share, age, height)

    rows: list[dict[str, Any]] = [
        {"obs_id": ids[i], **{k: v[i] for k, v in {**stamps, **place}.items()}} for i in range(len(ids))
    ]
    species = str(attributes.get("species", "inert"))
    return FootprintFile(
        path=path,
        format="cf",
        model=str(attributes.get("model", "")),
        grid=grid,
        receptors=receptors(rows, "cf", path),
        unit=unit,
        load=load,
        bytes_per_receptor=8 * size,
        span=span,
        column=bool(attributes.get("column", 0)),
        weighting=options.weighting or attributes.get("weighting", "unknown"),
        kind="emulated" if options.emulated else str(attributes.get("kind", "read")),
        species=None if species == "inert" else species,
        lifetime_hours=float(attributes["lifetime_hours"]) if "lifetime_hours" in attributes else None,
        notes=tuple(str(attributes.get("notes", "")).splitlines()),
    )
