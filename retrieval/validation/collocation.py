"""Satellite columns beside a ground network's: who saw the same air, and the two made comparable.

A pair is one overpass of one mode: the mean of the satellite's soundings in a box round the site against the mean
of the site's own columns about that time, seen through the satellite's averaging kernels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from obsnet.errors import ConfigError, RangeError, ScaleError, SchemaError
from obsnet.scales import one_scale
from obsnet.schema import profile_array, unit_of
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.typing import Floats, Ints
from obsnet.work.progress import progress
from retrieval.columns.column_operator import ColumnOperator
from retrieval.columns.pressure_weights import half_split_adjoint
from retrieval.columns.vertical_remap import interpolate_levels, overlap_layers
from retrieval.validation.options import Criteria

__all__ = ["PAIRS", "as_satellite_sees", "collocate", "sites_of"]


PAIRS = pa.schema(
    {
        "site": pa.string(),
        "mode": pa.string(),
        "time": pa.timestamp("us"),  # mean of the satellite's soundings
        "satellite": pa.float64(),
        "reference": pa.float64(),  # as the satellite would have seen it
        "reference_raw": pa.float64(),  # as the site reported it
        "satellite_sd": pa.float64(),  # of the soundings
        "reference_sd": pa.float64(),
        "satellite_uncertainty": pa.float64(),  # mean of the soundings'
        "reference_uncertainty": pa.float64(),
        "n_satellite": pa.int32(),
        "n_reference": pa.int32(),
        "distance_km": pa.float64(),  # of the mean sounding from the site
        "altitude_difference_m": pa.float64(),  # satellite above site
        "latitude": pa.float64(),  # of the site
        "longitude": pa.float64(),
    }.items()
)


def sites_of(reference: pa.Table) -> dict[str, tuple[float, float, float]]:
    """Return latitude, longitude and altitude (m, NaN where unknown) of each site of a reference table.

    Raises
    ------
    RangeError
        A site whose position wanders by more than 0.1 degree.
    """
    names = np.asarray(reference["platform"].to_pylist(), dtype=str)
    out = {}
    for name in sorted(set(names)):
        mine = names == name
        lat, lon, altitude = (
            reference[c].to_numpy().astype(np.float64)[mine] for c in ("latitude", "longitude", "altitude_m")
        )
        if np.ptp(lat) > 0.1 or np.ptp(lon) > 0.1:
            raise RangeError(
                f"site {name} moves from {lat.min():.3f} to {lat.max():.3f} north and {lon.min():.3f} to "
                f"{lon.max():.3f} east; give each place its own name"
            )
        known = altitude[np.isfinite(altitude)]
        out[name] = (
            float(np.median(lat)),
            float(np.median(lon)),
            float(np.median(known)) if len(known) else np.nan,
        )
    return out


def collocate(
    satellite: pa.Table, reference: pa.Table, criteria: Criteria | None = None, *, adjust: str = "kernel"
) -> pa.Table:
    """Pair satellite overpasses with reference columns.

    Parameters
    ----------
    satellite, reference : pyarrow.Table
        Observation tables of columns of one species, each from one source; sites are the reference's
        ``platform``. Rows with ``quality`` other than 0 are left out.
    criteria : Criteria, optional
        What counts as the same air.
    adjust : {"kernel", "none"}
        Whether the reference is seen through the satellite's kernels and priors first.

    Returns
    -------
    pyarrow.Table
        `PAIRS`, sorted by site and time.

    Raises
    ------
    SchemaError
        Other species or units, or profiles that the adjustment needs are missing.
    ScaleError
        The two are on different calibration scales.

    Notes
    -----
    Rodgers and Connor (2003), doi:10.1029/2002JD002299; Wunch et al. (2011), doi:10.5194/acp-11-12317-2011:
    ``X_g,adj = X_a,s + sum h a_s (gamma x_a,g - x_a,s)`` with ``gamma = X_g / X_a,g``, because the ground
    network scales its prior profile.
    """
    c = criteria or Criteria()
    if adjust not in {"kernel", "none"}:
        raise ConfigError(f"adjust is 'kernel' or 'none', found {adjust!r}")
    sat, ref = (t.filter(pc.equal(t["quality"], 0)) for t in (satellite, reference))
    _comparable(satellite, reference, sat, ref)
    if len(sat) == 0 or len(ref) == 0:
        return PAIRS.empty_table()
    if adjust == "kernel":
        _need_profiles(sat, "satellite")
        _need_profiles(ref, "reference")
    names = np.asarray(ref["platform"].to_pylist(), dtype=str)
    rows: list[dict[str, Any]] = []
    sites = sites_of(ref)
    with progress(len(sites), "sites") as advance:
        for site, place in sites.items():
            ground = ref.filter(pa.array(names == site))
            for overpass in _overpasses(sat, place, c):
                pair = _pair(sat.take(overpass), ground, place, c, adjust)
                if pair is not None:
                    rows.append({"site": site, **pair})
            advance(1)
    table = pa.Table.from_pylist(rows, schema=PAIRS)
    return table.sort_by([("site", "ascending"), ("time", "ascending"), ("mode", "ascending")])


def _comparable(satellite: pa.Table, reference: pa.Table, sat: pa.Table, ref: pa.Table) -> None:
    """Refuse to compare different substances, units or scales."""
    if unit_of(satellite) != unit_of(reference):
        raise SchemaError(
            f"satellite in {unit_of(satellite)}, reference in {unit_of(reference)}: not one unit"
        )
    found = {}
    for what, table in (("satellite", sat), ("reference", ref)):
        kinds = set(pc.unique(table["kind"]).to_pylist())
        if "point" in kinds:
            raise SchemaError(f"the {what} holds station samples, not columns")
        found[what] = set(pc.unique(table["species"]).to_pylist())
        if len(pc.unique(table["source"])) > 1:
            raise SchemaError(f"the {what} comes from several sources; compare one at a time")
    if len(found["satellite"] | found["reference"]) > 1:
        raise SchemaError(
            f"satellite of {found['satellite']} and reference of {found['reference']}: not one species"
        )
    scales = [one_scale(table, f"{what} columns") for what, table in (("satellite", sat), ("reference", ref))]
    if None not in scales and scales[0] != scales[1]:
        raise ScaleError(
            f"satellite on {scales[0]}, reference on {scales[1]}: differences "
            "of scale exceed those of the satellite; read one of them on the other's scale"
        )


def _need_profiles(table: pa.Table, what: str) -> None:
    for name in ("averaging_kernel", "prior_profile", "pressure_weight"):
        if table[name].null_count:
            raise SchemaError(
                f"{table[name].null_count} rows of the {what} have no {name}; leave the adjustment out, or read "
                "the files with their profiles"
            )


def _overpasses(sat: pa.Table, place: tuple[float, float, float], c: Criteria) -> Iterator[Ints]:
    """Yield the rows of each overpass of a site, by mode, in order of time."""
    lat, lon, altitude = place
    away = np.mod(sat["longitude"].to_numpy() - lon + 180.0, 360.0) - 180.0
    near = (np.abs(sat["latitude"].to_numpy() - lat) <= c.half_latitude) & (np.abs(away) <= c.half_longitude)
    if c.altitude_m is not None and np.isfinite(altitude):
        height = sat["altitude_m"].to_numpy().astype(np.float64)
        # an unknown height cannot be held against a sounding
        near &= ~(np.abs(height - altitude) > c.altitude_m)
    rows = np.flatnonzero(near)
    if len(rows) == 0:
        return
    time = sat["time"].to_numpy().astype("datetime64[us]").astype(np.int64)[rows]
    mode = np.asarray(pc.fill_null(sat["mode"], "").to_pylist(), dtype=str)[rows]
    order = np.lexsort((rows, time, mode))
    rows, time, mode = rows[order], time[order], mode[order]
    breaks = (mode[1:] != mode[:-1]) | (np.diff(time) > c.gap_minutes * 60e6)
    for piece in np.split(rows, np.flatnonzero(breaks) + 1):
        if len(piece) >= c.minimum:
            yield piece


def _pair(
    sat: pa.Table, ground: pa.Table, place: tuple[float, float, float], c: Criteria, adjust: str
) -> dict[str, Any] | None:
    """Return one pair, or None where the site saw nothing at the time."""
    stamps = sat["time"].to_numpy().astype("datetime64[us]")
    time = stamps[0] + (stamps - stamps[0]).astype(np.int64).mean().astype("timedelta64[us]")
    mode = sat["mode"][0].as_py()
    half = np.timedelta64(round(c.hours_by_mode.get(mode or "", c.hours) * 3600e6), "us")
    about = np.abs(ground["time"].to_numpy().astype("datetime64[us]") - time) <= half
    if about.sum() < c.minimum_reference:
        return None
    ground = ground.filter(pa.array(about))
    values, raw = sat["value"].to_numpy(), ground["value"].to_numpy()
    seen = (
        as_satellite_sees(ground, ColumnOperator.from_table(sat)).mean() if adjust == "kernel" else raw.mean()
    )
    lat, lon, altitude = place
    mean = unit_vectors(sat["latitude"].to_numpy(), sat["longitude"].to_numpy()).mean(axis=0)
    chord = float(np.linalg.norm(mean / np.linalg.norm(mean) - unit_vectors(lat, lon)))
    height = sat["altitude_m"].to_numpy().astype(np.float64)
    return {
        "mode": mode,
        "time": time.item(),
        "satellite": float(values.mean()),
        "reference": float(seen),
        "reference_raw": float(raw.mean()),
        "satellite_sd": float(values.std(ddof=1)) if len(values) > 1 else None,
        "reference_sd": float(raw.std(ddof=1)) if len(raw) > 1 else None,
        "satellite_uncertainty": float(np.mean(sat["uncertainty"].to_numpy())),
        "reference_uncertainty": float(np.mean(ground["uncertainty"].to_numpy())),
        "n_satellite": len(values),
        "n_reference": len(raw),
        "distance_km": float(2.0 * EARTH_RADIUS_KM * np.arcsin(min(chord / 2, 1.0))),
        "altitude_difference_m": float(np.mean(height) - altitude) if np.isfinite(height).all() else None,
        "latitude": lat,
        "longitude": lon,
    }


def as_satellite_sees(ground: pa.Table, operator: ColumnOperator) -> Floats:
    """Return the columns that the satellite would have retrieved over the air that a site measured.

    Parameters
    ----------
    ground : pyarrow.Table
        Reference columns about the time, on levels, with dry priors; their mean profile is used.
    operator : ColumnOperator
        Of the satellite's soundings.

    Returns
    -------
    ndarray of float64, shape (soundings,)
        See `collocate`. Below the site's ground its lowest value stands; of a satellite pixel higher than the
        site only the air above the pixel counts.
    """
    if set(pc.unique(ground["vertical"]).to_pylist()) != {"level"}:
        raise SchemaError("a reference profile must be on levels")
    prior = profile_array(ground["prior_profile"]).astype(np.float64)
    weight = profile_array(ground["pressure_weight"]).astype(np.float64)
    pressure = profile_array(ground["pressure_levels"]).astype(np.float64).mean(axis=0)
    gamma = ground["value"].to_numpy() / np.sum(weight * prior, axis=1)
    profile = (gamma[:, None] * prior).mean(axis=0)
    rows = len(operator)
    if operator.vertical == "layer":
        layers = np.broadcast_to(half_split_adjoint(profile), (rows, len(profile) - 1))
        return operator.forward(overlap_layers(layers, pressure, operator.pressure, surface="clip"))
    x, known = interpolate_levels(np.broadcast_to(profile, (rows, len(profile))), pressure, operator.pressure)
    return operator.forward(np.where(known, x, operator.prior_profile))
