"""Tables of plumes and of rates: one contract each, as CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from obsnet.atomic import atomic_path, write_text
from obsnet.output import plain
from obsnet.schema import Contract, check
from retrieval.plume.images.amounts import kt_per_year
from retrieval.plume.images.detect import Detection
from retrieval.plume.images.scene import Scene, local_plane
from retrieval.plume.rates.estimate import PlumeRates
from retrieval.plume.rates.layout import plume_at
from retrieval.plume.rates.reasons import words_of
from retrieval.plume.sources import PointSource

__all__ = ["PLUMES", "PLUME_RATES", "plume_rows", "rate_rows", "write_rows"]

_NEAR = 2.5  # pixels
PLUMES = Contract(
    "plumes",
    pa.schema(
        {
            "scene": pa.string(),
            "time": pa.timestamp("us"),
            "species": pa.string(),
            "plume": pa.int64(),  # label in the picture and in <scene>_plumes.nc
            "sources": pa.string(),  # known ones at which it begins or which it meets, separated by ';'
            "image": pa.string(),  # which decided: gas | no2
            "pixels": pa.int64(),
            "area_km2": pa.float64(),
            "highest_z": pa.float64(),
            "latitude": pa.float64(),  # of the pixel with the highest z
            "longitude": pa.float64(),
            "mean_enhancement": pa.float64(),  # customary unit
        }.items()
    ),
    frozenset({"mean_enhancement"}),
)
PLUME_RATES = Contract(
    "plume_rates",
    pa.schema(
        {
            "scene": pa.string(),
            "time": pa.timestamp("us"),
            "species": pa.string(),
            "source": pa.string(),
            "latitude": pa.float64(),
            "longitude": pa.float64(),
            "method": pa.string(),
            "rate_kg_s": pa.float64(),
            "low95_kg_s": pa.float64(),
            "high95_kg_s": pa.float64(),
            "rate_kt_a": pa.float64(),  # if it emitted so all year
            "error_kg_s": pa.float64(),
            "error_wind_kg_s": pa.float64(),
            "error_background_kg_s": pa.float64(),
            "error_noise_kg_s": pa.float64(),
            "error_method_kg_s": pa.float64(),
            "error_conversion_kg_s": pa.float64(),
            "limit_kg_s": pa.float64(),
            "quality": pa.int64(),  # bits of RejectReason, 0 = use
            "reasons": pa.string(),
            "merged_with": pa.string(),
            "plume": pa.int64(),
            "wind_m_s": pa.float64(),
            "wind_from_deg": pa.float64(),
            "wind_error_m_s": pa.float64(),
            "wind_basis": pa.string(),
            "start_km": pa.float64(),
            "end_km": pa.float64(),
            "half_width_km": pa.float64(),
            "coverage": pa.float64(),
            "sections": pa.int64(),
        }.items()
    ),
    frozenset(
        {"rate_kg_s", "low95_kg_s", "high95_kg_s", "rate_kt_a", "limit_kg_s", "error_kg_s"}
        | {f"error_{n}_kg_s" for n in ("wind", "background", "noise", "method", "conversion")}
    ),
)


def plume_rows(scene: Scene, found: Detection, sources: Sequence[PointSource]) -> list[dict[str, Any]]:
    """Return a row a plume; see `PLUMES`."""
    touched: dict[int, list[str]] = {}
    for source in sources:
        x, y = local_plane(scene.latitude, scene.longitude, source.place)
        label = plume_at(found.labels, np.hypot(x, y), source.radius_km + _NEAR * scene.pixel_km)
        if label:
            touched.setdefault(label, []).append(source.name)
    rows = []
    for k in range(1, found.count + 1):
        mask = found.labels == k
        z = np.where(mask, found.z, -np.inf)
        at = np.unravel_index(int(np.argmax(z)), z.shape)
        above = (scene.value - found.gas.background)[mask]
        above = above[np.isfinite(above)]
        rows.append(
            {
                "scene": scene.name,
                "time": scene.time,
                "species": scene.species,
                "plume": k,
                "sources": ";".join(touched.get(k, [])),
                "image": found.image,
                "pixels": int(mask.sum()),
                "area_km2": float(np.nansum(scene.area[mask]) / 1e6),
                "highest_z": float(z[at]),
                "latitude": float(scene.latitude[at]),
                "longitude": float(scene.longitude[at]),
                "mean_enhancement": float(above.mean()) if above.size else None,
            }
        )
    return rows


def rate_rows(scene: Scene, rates: PlumeRates, language: str = "en") -> list[dict[str, Any]]:
    """Return a row a method; see `PLUME_RATES`. Rejected rates are kept with their reasons."""
    layout, wind, source = rates.layout, rates.wind, rates.source
    rows = []
    for e in rates.estimates:
        budget = {f"error_{name}_kg_s": value for name, value in vars(e.budget).items()}
        numbers = {
            "rate_kg_s": e.rate,
            "low95_kg_s": e.low,
            "high95_kg_s": e.high,
            "rate_kt_a": float(kt_per_year(e.rate)),
            "error_kg_s": e.budget.total,
            **budget,
            "limit_kg_s": e.limit,
        }
        rows.append(
            {
                "scene": scene.name,
                "time": scene.time,
                "species": scene.species,
                "source": source.name,
                "latitude": source.latitude,
                "longitude": source.longitude,
                "method": e.method,
                **{k: v if np.isfinite(v) else None for k, v in numbers.items()},
                "quality": int(e.reasons),
                "reasons": words_of(e.reasons, language),
                "merged_with": ";".join(layout.merged_with),
                "plume": layout.plume,
                "wind_m_s": wind.speed,
                "wind_from_deg": wind.coming_from,
                "wind_error_m_s": wind.error,
                "wind_basis": wind.basis,
                "start_km": layout.start,
                "end_km": layout.end,
                "half_width_km": layout.half_width,
                "coverage": layout.coverage,
                "sections": e.sections,
            }
        )
    return rows


def write_rows(rows: Sequence[dict[str, Any]], contract: Contract, stem: str | Path) -> list[Path]:
    """Write rows as ``<stem>.csv`` and ``<stem>.json`` after checking them against their contract.

    Returns
    -------
    list of Path
        The two files.
    """
    types = {f.name: f.type for f in contract.schema}
    columns = {n: pa.array([_stamp(r[n]) for r in rows], types[n]) for n in contract.schema.names}
    table = check(pa.table(columns), contract, str(stem))
    files = [Path(f"{stem}.csv"), Path(f"{stem}.json")]
    with atomic_path(files[0]) as temporary:
        table.to_pandas().to_csv(temporary, index=False, float_format="%.6g")
    text = json.dumps(plain([dict(r) for r in table.to_pylist()]), indent=1, ensure_ascii=False)
    write_text(files[1], text + "\n")
    return files


def _stamp(value: Any) -> Any:
    return value.astype("datetime64[us]").item() if isinstance(value, np.datetime64) else value
