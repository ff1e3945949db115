"""Receptors and sources that a user lists in a file: points, lines along a path, columns given level by level.

One row a corner. A receptor of one row is a point; rows that share an ``obs_id`` are a path in the order of their
times, or, where they have weights, the levels of a column, each at its own place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from inversion.transport.receptors.releases import Receptors, line, point, slant, unreachable
from obsnet.errors import FormatError, RangeError, SchemaError, nearest
from obsnet.met import Met
from obsnet.reading import door, read_csv
from obsnet.times import as_utc, to_epoch
from obsnet.typing import Floats, Times

__all__ = ["from_places", "read_places"]

_TIMES = ("time", "time_end")
_LIMITS = {
    "latitude": (-90.0, 90.0),
    "longitude": (-180.0, 360.0),
    "height_m": (-np.inf, np.inf),
    "weight": (-np.inf, np.inf),
    "zenith": (0.0, 85.0),
    "azimuth": (-360.0, 360.0),
    "amount_mol": (-np.inf, np.inf),
}
_NEEDED = ("time", "latitude", "longitude", "height_m")
_KNOWN = ("obs_id", *_TIMES, *_LIMITS)
_TIME = pa.timestamp("us")
_SCHEMA = pa.schema(
    [
        ("obs_id", pa.string()),
        ("species", pa.string()),
        ("time", _TIME),
        ("time_start", _TIME),
        ("time_end", _TIME),
        ("corner_time", pa.list_(_TIME)),
        *((name, pa.list_(pa.float64())) for name in ("latitude", "longitude", "height_m", "weight")),
        *((name, pa.float64()) for name in ("zenith", "azimuth", "amount_mol")),
    ]
)


@door("receptors")
def read_places(path: str | Path, species: str, *, amounts: bool = False) -> pa.Table:
    """Read a receptor file.

    Parameters
    ----------
    path : path
        CSV (``.csv``) or Parquet with ``time, latitude, longitude, height_m`` (UTC, degrees, m above ground) and,
        as wanted, ``obs_id``; ``time_end`` of a point that releases over a while; ``weight`` (averaging kernel
        times pressure weight) of a column's levels; ``zenith, azimuth`` (degrees, azimuth clockwise from north) of
        the line of sight along which a receptor leans; ``amount_mol`` that a source gives off.
    species : str
        Of all rows.
    amounts : bool
        The rows are sources: ``amount_mol`` must be there.

    Returns
    -------
    pyarrow.Table
        One row a receptor, its corners in lists.

    Raises
    ------
    FormatError, SchemaError, RangeError
        Columns missing or unknown, values missing or out of range, with the row.
    """
    path = Path(path)
    rows = _rows(path)
    needed = [*_NEEDED, *(["amount_mol"] if amounts else [])]
    missing = [name for name in needed if name not in rows]
    if missing:
        raise SchemaError(f"{path}: needs the columns {', '.join(needed)}; lacks {', '.join(missing)}")
    for name in rows:
        if name not in _KNOWN:
            raise SchemaError(f"{path}: column {name!r} is unknown{nearest(str(name), _KNOWN)}")
    if not len(rows):
        raise SchemaError(f"{path}: holds no receptor")
    if "obs_id" not in rows:
        rows["obs_id"] = [f"{path.stem}:{k}" for k in range(len(rows))]
    for name in _TIMES:
        if name in rows:
            rows[name] = _times(path, name, rows[name], name in needed)
    for name, (low, high) in _LIMITS.items():
        if name in rows:
            rows[name] = _numbers(path, name, rows[name], low, high, name in needed)
    groups = rows.groupby(rows["obs_id"].astype(str), sort=False)
    return pa.Table.from_pylist([_receptor(path, species, n, g) for n, g in groups], schema=_SCHEMA)


def _rows(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".csv":
            return read_csv(path, dtype=str, keep_default_na=False, comment="#", skipinitialspace=True)
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise FormatError(f"{path}: there is no such receptor file") from None
    except (OSError, ValueError, pa.ArrowInvalid) as error:
        raise FormatError(f"{path}: cannot be read as CSV or Parquet ({error})") from error


def _times(path: Path, name: str, column: pd.Series, needed: bool) -> Times:
    """Return UTC times; rows are counted from 1, without the heading."""
    out = np.full(len(column), np.datetime64("NaT", "us"), "datetime64[us]")
    for k, text in enumerate(column):
        if text == "" or pd.isna(text):
            if needed:
                raise RangeError(f"{path}: row {k + 1} has no {name}")
            continue
        try:
            out[k] = as_utc(text)
        except ValueError as error:
            raise RangeError(f"{path}: row {k + 1}: {name} {error}") from error
    return out


def _numbers(path: Path, name: str, column: pd.Series, low: float, high: float, needed: bool) -> Floats:
    values = pd.to_numeric(column.mask(column == ""), errors="coerce").to_numpy(dtype=np.float64)
    text = column.astype(str).str.strip()
    bad = np.isinf(values) | (np.isnan(values) & (needed | ~text.isin(["", "nan", "None"]).to_numpy()))
    if bad.any():
        k = int(np.argmax(bad))
        raise RangeError(f"{path}: row {k + 1}: {name} {text.iloc[k]!r} is not a number")
    out = (values < low) | (values > high)
    if out.any():
        k = int(np.argmax(out))
        raise RangeError(f"{path}: row {k + 1}: {name} {values[k]:g} is outside {low:g} to {high:g}")
    return values


def _receptor(path: Path, species: str, name: Any, rows: pd.DataFrame) -> dict[str, Any]:
    """Return one receptor's row."""
    where = f"{path}: receptor {name}"
    times = rows["time"].to_numpy().astype("datetime64[us]")
    ends = rows["time_end"].to_numpy().astype("datetime64[us]") if "time_end" in rows else times
    ends = np.where(np.isnat(ends), times, ends)
    if (ends < times).any():
        raise RangeError(f"{where}: time_end comes before time")
    if len(rows) > 1 and (ends > times).any():
        raise SchemaError(f"{where}: time_end belongs to a point; the rows of a path have one time each")
    weights = rows["weight"].to_numpy() if "weight" in rows else np.full(len(rows), np.nan)
    weight = None if np.isnan(weights).all() else weights.tolist()
    if weight is not None and np.isnan(weights).any():
        raise SchemaError(f"{where}: has weights in some of its rows only")
    if weight is None and len(rows) > 1 and not (np.diff(times) > np.timedelta64(0, "s")).all():
        raise SchemaError(
            f"{where}: has {len(rows)} rows whose times do not increase; a path needs increasing times, the "
            "levels of a column need weights, and other receptors another obs_id"
        )
    one: dict[str, Any] = {}
    for column in ("zenith", "azimuth", "amount_mol"):
        values = rows[column].unique() if column in rows else np.array([np.nan])
        if len(values) > 1:
            raise SchemaError(f"{where}: {column} differs between its rows")
        one[column] = None if np.isnan(values[0]) else float(values[0])
    if (one["zenith"] is None) != (one["azimuth"] is None):
        raise SchemaError(f"{where}: a line of sight needs both zenith and azimuth")
    return {
        "obs_id": str(name),
        "species": species,
        "time": times[0],
        "time_start": times.min(),
        "time_end": ends.max(),
        "corner_time": times.tolist(),
        **{n: rows[n].tolist() for n in ("latitude", "longitude", "height_m")},
        "weight": weight,
        **one,
    }


def from_places(
    table: pa.Table,
    met: Met,
    *,
    particles: int,
    hours: float,
    domain: tuple[float, float, float, float] | None = None,
    direction: int = -1,
) -> Receptors:
    """Turn listed places into releases; parameters and skipping as in `receptors.from_observations`.

    Parameters
    ----------
    table : pyarrow.Table
        From `read_places`.
    direction : {-1, 1}
        Backward or forward in time.
    """
    made: list[Receptors] = []
    angles: list[tuple[float, float]] = []
    skipped: dict[str, str] = {}
    for row in table.to_pylist():
        times = to_epoch(np.array(row["corner_time"], dtype="datetime64[us]"))
        last = float(to_epoch(np.datetime64(row["time_end"])))
        lat, height = np.array(row["latitude"]), np.array(row["height_m"])
        lon = np.asarray(met.wrap(np.array(row["longitude"])), dtype=np.float64)
        reach = (float(times.min()), last)
        reasons = (
            unreachable(met, float(a), float(o), reach, hours, domain, float(z), direction)
            for a, o, z in zip(lat, lon, height, strict=True)
        )
        reason = next(filter(None, reasons), "")
        if reason:
            skipped[row["obs_id"]] = reason
            continue
        angles.append((row["zenith"] or 0.0, row["azimuth"] or 0.0))
        if row["weight"] is not None:
            releases = _levels(times, lat, lon, height, np.array(row["weight"]), particles)
        elif times.size == 1:
            releases = np.array([point((reach[0], last), lat[0], lon[0], height[0], float(particles))])
        else:
            stamps = np.array(row["corner_time"], dtype="datetime64[us]")
            made.append(line(row["obs_id"], stamps, lat, lon, height, particles=particles))
            continue
        offsets = np.array([0, len(releases)])
        made.append(Receptors(np.array([row["obs_id"]]), offsets, releases, np.zeros(1), {}))
    joined = Receptors.join(made, skipped)
    zenith, azimuth = np.array(angles).reshape(-1, 2).T
    return slant(joined, zenith, azimuth)


def _levels(
    times: Floats,
    lat: Floats,
    lon: Floats,
    height: Floats,
    weight: Floats,
    particles: int,
) -> Floats:
    """Return the releases of a column's levels; particles go by the size of the weights, one each at least."""
    size = np.abs(weight)
    share = size / size.sum() if size.sum() > 0.0 else np.full(size.size, 1.0 / size.size)
    count = np.maximum(np.round(share * particles), 1.0)
    rows = [
        point((times[k], times[k]), lat[k], lon[k], height[k], count[k], weight[k]) for k in range(size.size)
    ]
    return np.array(rows)
