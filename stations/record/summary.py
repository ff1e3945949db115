"""What a record holds, in a few numbers and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.schema import Quality
from stations.record.intakes import heights, side_by_side

if TYPE_CHECKING:
    import xarray as xr

    from stations.record.rows import Rows

__all__ = ["summary"]

_SAID = ["species", "unit", "scale", "site", "site_name", "network", "source", "format", "kind", "interval"]


def summary(record: Rows | xr.Dataset) -> dict[str, Any]:
    """Return what ``obsnet station read`` prints of a record.

    Parameters
    ----------
    record : Rows or xarray.Dataset
        See `stations.record.record`.

    Returns
    -------
    dict
        ``rows``; ``first_time``, ``last_time`` (middle of the interval, ISO 8601 UTC) and ``start``, ``end`` of
        the whole; ``flags`` (the producer's, counted); ``quality`` (``use`` and every bit that is set,
        counted); ``intakes`` (heights, m) and whether they run ``side_by_side``; ``mean_good``; ``species, unit,
        scale, interval`` and other attributes; ``changes`` and ``warnings``, each with its count.
    """
    attrs = record.attrs
    quality, time = record["quality"].values, record["time"].values
    flags, counts = np.unique(record["quality_original"].values, return_counts=True)
    by_count = sorted(zip(flags.tolist(), counts.tolist(), strict=True), key=lambda pair: -pair[1])
    bits = {str(f.name).lower(): int((quality & np.uint32(f) != 0).sum()) for f in Quality}
    good = record["value"].values[quality == 0]
    found: dict[str, Any] = {
        "path": str(attrs.get("path", "")),
        "rows": int(time.size),
        "first_time": _extreme(time, np.min),
        "last_time": _extreme(time, np.max),
        "start": _extreme(record["time_start"].values, np.min),
        "end": _extreme(record["time_end"].values, np.max),
        **{name: attrs.get(name, "") for name in _SAID},
        "intakes": list(heights(record)),
        "side_by_side": bool(side_by_side(record)),
        "interval_seconds": attrs.get("interval_seconds"),
        "flags": {flag: count for flag, count in by_count if flag},
        "quality": {"use": int((quality == 0).sum())} | {name: n for name, n in bits.items() if n},
        "mean_good": float(good.mean()) if good.size else None,
        "species_available": list(attrs.get("species_available", [attrs.get("species", "")])),
        "changes": list(attrs.get("changes", [])),
        "warnings": list(attrs.get("warnings", [])),
    }
    return found | {name: attrs[name] for name in ("header_lines", "files") if name in attrs}


def _extreme(times: np.ndarray, reduce: Any) -> str | None:
    """Return the first or last time as ISO 8601 UTC, with no more digits than it needs."""
    times = times[~np.isnat(times)]
    if not times.size:
        return None
    return str(reduce(times).astype("datetime64[ms]")).removesuffix(".000") + "Z"
