"""Super-observations: many soundings as one, with the operator and the uncertainty that belong to it.

Value, kernel, prior, weights and pressures are averaged with the same weights. The mean of products is not
the product of means, so the averaged operator is not quite the mean of the operators: what is left is
reported for two profiles, see `SuperObservations.report`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obsnet.atomic import write_text
from obsnet.errors import SchemaError
from obsnet.grid import Grid
from obsnet.parquet import write_table
from obsnet.scales import one_scale
from obsnet.schema import OBSERVATIONS, PROFILES, observation_table, profile_array
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.typing import Floats, Ints
from retrieval.products import AVERAGED
from retrieval.superobs.along_track import along_track_groups
from retrieval.superobs.groups import Groups, area_groups, circle_corners, group_mean
from retrieval.superobs.operator import mean_operator
from retrieval.superobs.options import Superobs

__all__ = [
    "SuperObservations",
    "groups_of",
    "needed_columns",
    "super_observe",
    "write_report",
    "write_settings",
]

_CORNERS = {"corner_latitude", "corner_longitude"}
_NOT_AVERAGED = {"obs_id", "file_id", "quality_original", "n", "intake_height_m"}
_SURFACES, _SURFACE_LIMITS = ("sea", "coast", "land", ""), (0.2, 0.8, 1.0001)  # of the land fraction


@dataclass(frozen=True)
class SuperObservations:
    """What `super_observe` makes.

    Parameters
    ----------
    table : pyarrow.Table
        Observation table; ``n`` counts the soundings, ``source`` ends in ``_superobs``.
    report : pyarrow.Table
        One row each: ``coverage``, ``effective_n`` (1 / sum w^2), ``total_weight``, ``soundings`` (whole ones,
        shares of pixels added up), ``spread`` (weighted standard deviation of the members), and the residual
        of averaging the operator, in the unit of the value: ``residual_prior`` where the true profile is the
        mean prior, ``residual_plume`` where it has 2.5 % more in the lowest fifth of the air.
    problems : dict of str to int
        Soundings left out, by reason.
    """

    table: pa.Table
    report: pa.Table
    problems: dict[str, int]

    def residuals(self) -> dict[str, float]:
        """Return root mean square and largest size of both residuals; empty without kernels."""
        out: dict[str, float] = {}
        for name in ("residual_prior", "residual_plume"):
            values = self.report[name].to_numpy()
            values = values[np.isfinite(values)]
            if len(values):
                out |= {
                    f"{name}_rms": float(np.sqrt(np.mean(values**2))),
                    f"{name}_max": float(np.abs(values).max()),
                }
        return out


def super_observe(table: pa.Table, settings: Superobs, *, file_id: str | None = None) -> SuperObservations:
    """Combine the good soundings of one source.

    Parameters
    ----------
    table : pyarrow.Table
        Observation table of columns from one source; rows with ``quality`` other than 0 are left out.
    settings : Superobs
        What belongs together and how errors combine.
    file_id : str, optional
        Sixteen hex digits that name the result; by default a hash of its inputs and the settings.

    Returns
    -------
    SuperObservations
        Sorted by window; the same for any order of the rows.

    Raises
    ------
    ConfigError
        An error model of another species.
    SchemaError
        Several sources, points instead of columns, no pixel corners where areas are asked for.
    ScaleError
        Several calibration scales among the good rows.
    RangeError
        A good row without uncertainty.
    """
    sources = pc.unique(table["source"]).to_pylist()
    if len(sources) > 1:
        raise SchemaError(f"super-observations are made of one source at a time, found {', '.join(sources)}")
    settings.error_model.check_species(pc.unique(table["species"]).to_pylist())
    use = pc.equal(table["quality"], 0)
    # profiles stay where they are: moving them costs more than averaging them
    good = table.select([c for c in needed_columns(settings) if c not in PROFILES]).filter(use)
    flagged = {"flagged": len(table) - len(good)}
    if "point" in pc.unique(good["kind"]).to_pylist():
        raise SchemaError("super-observations are made of columns; this table holds station samples")
    groups, labels = groups_of(good, settings)
    kept = groups.at_least(settings.minimum)
    problems = flagged | kept.problems
    if len(kept) < len(groups):
        problems["in groups smaller than the minimum"] = int(groups.size.sum() - kept.size.sum())
    if len(kept) == 0:
        nothing = OBSERVATIONS.schema.empty_table().replace_schema_metadata(table.schema.metadata)
        return SuperObservations(nothing, _report(None, kept), problems)
    operator, residual = mean_operator(table, np.flatnonzero(use), kept)
    name = file_id or _file_id(table.select(["file_id", "time"]).filter(use), settings)
    return _average(good, kept, labels, settings, problems, name, operator, residual)


def write_report(
    report: pa.Table, store: Path, name: str, metadata: dict[bytes, bytes] | None = None
) -> Path:
    """Write `SuperObservations.report` beside a store and return where."""
    path = store / "_superobs" / f"{name}.parquet"
    write_table(report.replace_schema_metadata(metadata), path)
    return path


def write_settings(store: Path, settings: Superobs, **selection: Any) -> None:
    """Write beside a store how its super-observations were made, for people."""
    text = json.dumps({**selection, "settings": settings.describe()}, indent=1, sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:12]
    write_text(store / "_superobs" / f"settings-{name}.json", text)


def needed_columns(settings: Superobs) -> list[str]:
    """Return the columns of the observation table that `super_observe` looks at."""
    pixels = settings.method == "area" and settings.footprint_km is None
    without = _NOT_AVERAGED if pixels else _NOT_AVERAGED | _CORNERS
    return [name for name in OBSERVATIONS.schema.names if name not in without]


def groups_of(table: pa.Table, settings: Superobs) -> tuple[Groups, list[tuple[str, str, str]]]:
    """Return the groups of soundings, and what each class of `Groups.part` is: (platform, mode, surface)."""
    kind, labels = _classes(table)
    time = table["time"].to_numpy().astype("datetime64[us]")
    lat, lon = table["latitude"].to_numpy(), table["longitude"].to_numpy()
    if settings.method == "along-track":
        model = settings.error_model
        length = model.length_km if model.correlation == "exponential" else None
        groups = along_track_groups(
            time,
            lat,
            lon,
            kind,
            window_s=settings.window,
            inner_s=settings.inner_s,
            max_gap_s=settings.max_gap_s,
            max_gap_km=settings.max_gap_km,
            length_km=length,
        )
        return groups, labels
    assert settings.grid is not None
    if settings.footprint_km is not None:
        corners = circle_corners(lat, lon, settings.footprint_km)
    elif table["corner_latitude"].null_count < len(table):
        corners = (profile_array(table["corner_latitude"]), profile_array(table["corner_longitude"]))
    elif len(table) == 0:
        corners = (np.zeros((0, 4)), np.zeros((0, 4)))
    else:
        raise SchemaError(
            "these soundings have no pixel corners, which area overlap needs; give the footprint's diameter "
            "in km, or average along the track"
        )
    groups = area_groups(
        *corners, time, kind, settings.grid, window_s=settings.window, weighting=settings.weighting
    )
    return groups, labels


def _classes(table: pa.Table) -> tuple[Ints, list[tuple[str, str, str]]]:
    """Return a number for each row's platform, mode and surface, and what the numbers mean, sorted."""
    fraction = table["land_fraction"].to_numpy().astype(np.float64)
    platforms, platform = _coded(table["platform"])
    modes, mode = _coded(table["mode"])
    surface = np.searchsorted(_SURFACE_LIMITS, fraction, side="right")  # NaN comes last: no surface
    shape = (len(platforms), len(modes), len(_SURFACES))
    code = np.ravel_multi_index((platform, mode, surface), shape)
    present = np.flatnonzero(np.bincount(code))
    number = np.searchsorted(present, code)
    parts = np.unravel_index(present, shape)
    return number, [(platforms[p], modes[m], _SURFACES[s]) for p, m, s in zip(*parts, strict=True)]


def _coded(column: pa.ChunkedArray) -> tuple[list[str], Ints]:
    """Return the values of a text column, sorted, and which of them each row has; null is empty text."""
    array = pc.dictionary_encode(column).unify_dictionaries()
    stored = array.chunk(0).dictionary.to_pylist() if array.num_chunks else []
    names = sorted({*(n or "" for n in stored), ""})
    place = np.array([names.index(n or "") for n in [*stored, ""]])
    chunks = [np.asarray(c.indices.fill_null(len(stored))) for c in array.chunks]
    return names, place[np.concatenate(chunks)] if chunks else np.zeros(0, dtype=np.int64)


def _average(
    table: pa.Table,
    groups: Groups,
    labels: list[tuple[str, str, str]],
    settings: Superobs,
    problems: dict[str, int],
    file_id: str,
    operator: dict[str, Any],
    residual: dict[str, Floats],
) -> SuperObservations:
    """Average a table of good rows over groups; the operator is averaged already."""
    source = table["source"][0].as_py() + AVERAGED
    member = groups.row
    sigma = table["uncertainty"].to_numpy().astype(np.float64)[member]
    lat, lon = table["latitude"].to_numpy(), table["longitude"].to_numpy()
    xyz = unit_vectors(lat, lon)
    uncertainty = settings.error_model.uncertainty(
        sigma,
        groups.weight,
        groups.offsets,
        position_km=xyz[member] * EARTH_RADIUS_KM,
        coverage=groups.coverage,
        soundings=groups.soundings,
    )
    number = groups.part if settings.method == "area" else groups.part // 1000
    latitude, longitude = _mean_place(xyz, groups, settings.grid if settings.method == "area" else None)
    time, start, end = _times(table, groups)
    value = table["value"].to_numpy()
    columns: dict[str, Any] = {
        "platform": [labels[k][0] for k in number],
        "mode": pa.array([labels[k][1] or None for k in number], pa.string()),
        "time": time,
        "time_start": start,
        "time_end": end,
        "latitude": latitude,
        "longitude": longitude,
        "value": group_mean(value, groups),
        "uncertainty": uncertainty,
        "n": groups.size.astype(np.int32),
    }
    for name in ("uncertainty_systematic", "altitude_m", "land_fraction"):
        if table[name].null_count < len(table):
            columns[name] = group_mean(table[name].to_numpy().astype(np.float64), groups)
    scale = one_scale(table, "the soundings")
    if scale is not None:
        columns["scale"] = pa.repeat(pa.scalar(scale), len(groups))
    if settings.method == "area" and settings.grid is not None:
        columns |= _cell_corners(settings.grid, groups)
    columns |= operator
    columns["obs_id"] = _identifiers(source, groups, labels, number, settings)
    result = observation_table(
        columns,
        species=table["species"][0].as_py(),
        kind="column",
        source=source,
        file_id=file_id,
    )
    anomaly = value - value.mean()  # else the squares lose the digits that matter
    variance = group_mean(anomaly**2, groups) - group_mean(anomaly, groups) ** 2
    spread = np.sqrt(np.maximum(variance, 0.0))
    report = _report(result["obs_id"], groups, spread=spread, **residual)
    return SuperObservations(result, report, problems)


def _mean_place(xyz: Floats, groups: Groups, grid: Grid | None) -> tuple[Floats, Floats]:
    """Return the mean position on the sphere; inside its cell where there is a grid."""
    mean = group_mean(xyz, groups)
    latitude = np.rad2deg(np.arctan2(mean[:, 2], np.hypot(mean[:, 0], mean[:, 1])))
    longitude = np.rad2deg(np.arctan2(mean[:, 1], mean[:, 0]))
    if grid is not None:
        row, column = np.divmod(groups.cell, grid.shape[1])
        south, north = grid.lat_edges[row], grid.lat_edges[row + 1]
        west, east = grid.lon_edges[column], grid.lon_edges[column + 1]
        # a pixel's centre may lie outside the cell it reaches into; a cell does not own its northern edge
        latitude = np.clip(latitude, south, north - 1e-6 * (north - south))
        middle = 0.5 * (west + east)
        longitude = middle + np.mod(longitude - middle + 180.0, 360.0) - 180.0
        longitude = np.clip(longitude, west, east - 1e-6 * (east - west))
        longitude = np.mod(longitude + 180.0, 360.0) - 180.0
    return latitude, longitude


def _cell_corners(grid: Grid, groups: Groups) -> dict[str, Floats]:
    row, column = np.divmod(groups.cell, grid.shape[1])
    south, north = grid.lat_edges[row], grid.lat_edges[row + 1]
    west, east = grid.lon_edges[column], grid.lon_edges[column + 1]
    return {
        "corner_latitude": np.stack([south, south, north, north], axis=1),
        "corner_longitude": np.stack([west, east, east, west], axis=1),
    }


def _times(table: pa.Table, groups: Groups) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Return mean, first start and last end of each group."""
    time = table["time"].to_numpy().astype("datetime64[us]").astype(np.int64)
    origin = time.min()
    mean = origin + np.round(group_mean((time - origin).astype(np.float64), groups)).astype(np.int64)
    ends = []
    for name, reduce in (("time_start", np.minimum), ("time_end", np.maximum)):
        if table[name].null_count == 0:
            time = table[name].to_numpy().astype("datetime64[us]").astype(np.int64)
        ends.append(reduce.reduceat(time[groups.row], groups.offsets[:-1]))
    return mean.astype("datetime64[us]"), ends[0].astype("datetime64[us]"), ends[1].astype("datetime64[us]")


def _report(ids: Any, groups: Groups, **columns: Floats) -> pa.Table:
    nothing = np.full(len(groups), np.nan)
    return pa.table(
        {
            "obs_id": ids if ids is not None else pa.array([], pa.string()),
            "coverage": groups.coverage,
            "effective_n": groups.effective_size,
            "total_weight": groups.total,
            "soundings": groups.soundings,
            **{name: columns.get(name, nothing) for name in ("spread", "residual_prior", "residual_plume")},
        }
    )


def _identifiers(
    source: str,
    groups: Groups,
    labels: list[tuple[str, str, str]],
    number: Ints,
    settings: Superobs,
) -> list[str]:
    """Return names that are unique in a store and the same however the work was cut up."""
    start = np.datetime_as_string(groups.window, unit="s" if settings.window >= 1 else "us")
    if settings.method == "area" and settings.grid is not None:
        place = [f"{settings.grid.hash_id[:8]}:{c}" for c in groups.cell]
    else:
        place = [f"{settings.window:g}s:{p % 1000}" for p in groups.part]
    kinds = ["-".join(x for x in label if x) for label in labels]
    return [f"{source}:{p}:{t}Z:{kinds[k]}" for p, t, k in zip(place, start, number, strict=True)]


def _file_id(table: pa.Table, settings: Superobs) -> str:
    """Return 16 hex digits of what the super-observations were made of and how."""
    inputs = sorted(pc.unique(table["file_id"]).to_pylist())
    day = str(pc.min(table["time"]).as_py())[:10]
    text = json.dumps([inputs, day, settings.describe()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
