"""The wind that carries a plume: from meteorological files, a table, or a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from obsnet.config import resolve_files
from obsnet.constants import GRAVITY, R_DRY_AIR
from obsnet.errors import ConfigError, FormatError, MissingVariableError, RangeError, nearest
from obsnet.met.readers import reader_for
from obsnet.reading import door, read_csv, reading
from obsnet.times import from_epoch, to_epoch
from obsnet.typing import Floats
from retrieval.plume.options import PlumeWindOptions
from retrieval.plume.sources import PointSource

__all__ = ["MetWinds", "PlumeWind", "WindFinder", "read_wind_table"]

_NEAREST = 3600.0  # s, beyond the first or last time of the files
_VAPOUR = 0.608  # virtual temperature: 1 / 0.622 - 1


@dataclass(frozen=True)
class PlumeWind:
    """Mean wind of the plume's air.

    Parameters
    ----------
    u, v : float
        Towards east and north, m s-1.
    error : float
        Standard error of the speed, m s-1.
    basis : str
        Where it comes from, for tables.

    Raises
    ------
    RangeError
        Components beyond 100 m s-1 or not finite, an error that is negative.
    """

    u: float
    v: float
    error: float
    basis: str = "given"

    def __post_init__(self) -> None:
        if not (abs(self.u) <= 100 and abs(self.v) <= 100):
            raise RangeError(
                f"wind of u {self.u:g}, v {self.v:g} m s-1 ({self.basis}) is none; is it in m s-1?"
            )
        if not 0 <= self.error <= 100:
            raise RangeError(
                f"error of a wind must lie within 0 and 100 m s-1, found {self.error:g} ({self.basis})"
            )

    @property
    def speed(self) -> float:
        """Speed, m s-1."""
        return float(np.hypot(self.u, self.v))

    @property
    def coming_from(self) -> float:
        """Meteorological direction, degrees: where it blows from."""
        return float(np.rad2deg(np.arctan2(-self.u, -self.v)) % 360.0)


@door("winds (CSV)")
def read_wind_table(path: str | Path, wind_error: float) -> dict[str, PlumeWind]:
    """Read winds by source or scene.

    Parameters
    ----------
    path : path
        CSV with ``source`` or ``scene``, ``u``, ``v`` and perhaps ``error``, m s-1.
    wind_error : float
        Error where the table gives none, m s-1.

    Returns
    -------
    dict of str to PlumeWind

    Raises
    ------
    FormatError, MissingVariableError, RangeError
        No such file, a column missing, a name twice, a wind that is none.
    """
    table = read_csv(path, comment="#")
    key = next((k for k in ("source", "scene") if k in table), None)
    for name in ("source" if key is None else key, "u", "v"):
        if name not in table:
            raise MissingVariableError(f"{path}: column {name!r} is missing{nearest(name, table.columns)}")
    names = table[key].astype(str)
    if names.duplicated().any():
        raise FormatError(f"{path}: {names[names.duplicated()].iloc[0]!r} stands there twice")
    for column in ("u", "v", *({"error"} & set(table))):
        if table[column].dtype.kind not in "iuf":
            raise FormatError(f"{path}: column {column!r} must be numbers in every row")
    errors = table["error"] if "error" in table else np.full(len(table), wind_error)
    rows = zip(names, table["u"], table["v"], errors, strict=True)
    return {n: PlumeWind(float(u), float(v), float(e), f"{Path(path).name}") for n, u, v, e in rows}


class MetWinds:
    """Winds averaged over a layer above ground, from ERA5 or any files that `obsnet.met` reads.

    Parameters
    ----------
    files : sequence of path
        Wind on levels with what gives their heights: temperature and surface pressure, or geopotential.
    layer : (low, high), optional
        Heights above ground, m. By default from the ground to the boundary layer's height in the files.
    wind_error : float
        m s-1, in squares beside the spread over the layer.

    Raises
    ------
    ConfigError
        No layer, and files without a boundary-layer height.
    """

    def __init__(self, files: Sequence[Path], layer: tuple[float, float] | None, wind_error: float) -> None:
        if layer is not None and not 0 <= layer[0] < layer[1] <= 10000:
            raise ConfigError(
                f"layer = {layer[0]:g},{layer[1]:g}: write heights above ground as LOW,HIGH in m"
            )
        self._reader = reader_for(list(files))
        self._files, self._layer, self._error = list(files), layer, wind_error
        names = self._reader.variables()
        for wanted in ("u", "v"):
            if wanted not in names:
                raise MissingVariableError(
                    f"{files[0]}: no wind on levels ({wanted}); found {', '.join(sorted(names))}"
                )
        if layer is None and "blh" not in names:
            raise ConfigError(
                f"{files[0]}: no boundary-layer height; say over which heights above ground the plume's wind is "
                "averaged, e.g. --layer 0,500"
            )
        self._fields: dict[float, dict[str, Any]] = {}

    def close(self) -> None:
        """Close the files."""
        self._reader.close()

    def at(self, time: np.datetime64, latitude: float, longitude: float) -> PlumeWind:
        """Return the wind over a place, linear in time and space between nodes.

        Notes
        -----
        Mean over the layer, each level weighing as much as the height it stands for. The error is the spread of the
        along-wind component over the layer (the height of the plume is not known) and `wind_error`, in squares.

        Raises
        ------
        RangeError
            A time or place outside the files.
        """
        with reading(self._files[0], "winds"):
            parts = self._between(float(to_epoch(time)))
            winds = [(share, *self._layer_mean(stamp, latitude, longitude)) for stamp, share in parts]
        u, v = (sum(w[0] * w[k] for w in winds) for k in (1, 2))
        spread = float(np.sqrt(sum(w[0] * w[3] ** 2 for w in winds)))
        low, high = winds[0][4:6]
        basis = f"{self._files[0].name}, mean of {low:.0f} to {high:.0f} m above ground"
        return PlumeWind(float(u), float(v), float(np.hypot(spread, self._error)), basis)

    def _between(self, seconds: float) -> list[tuple[float, float]]:
        times = np.asarray(self._reader.times)
        if not times[0] - _NEAREST <= seconds <= times[-1] + _NEAREST:
            raise RangeError(
                f"{from_epoch(seconds)} is outside the winds, which cover {from_epoch(times[0])} to "
                f"{from_epoch(times[-1])}"
            )
        k = int(np.clip(np.searchsorted(times, seconds), 1, max(times.size - 1, 1)))
        if times.size == 1:
            return [(float(times[0]), 1.0)]
        share = float(np.clip((seconds - times[k - 1]) / (times[k] - times[k - 1]), 0.0, 1.0))
        return [(float(times[k - 1]), 1.0 - share), (float(times[k]), share)]

    def _layer_mean(self, stamp: float, latitude: float, longitude: float) -> tuple[float, ...]:
        if stamp not in self._fields:
            self._fields = {stamp: self._reader.read(stamp), **dict(list(self._fields.items())[:1])}
        column = self._column(self._fields[stamp], latitude, longitude)
        height = _above_ground(column, str(self._files[0]))
        low, high = self._layer or (0.0, float(column["blh"]))
        if high < 10.0:
            raise RangeError(f"boundary layer of {high:.1f} m at {from_epoch(stamp)}; give --layer LOW,HIGH")
        order = np.argsort(height)
        fine = low + (high - low) * (np.arange(100) + 0.5) / 100.0
        u, v = (np.interp(fine, height[order], np.asarray(column[n])[order]) for n in ("u", "v"))
        mean = np.array([u.mean(), v.mean()])
        unit = mean / max(float(np.hypot(*mean)), 1e-9)
        return float(mean[0]), float(mean[1]), float((u * unit[0] + v * unit[1]).std()), low, high

    def _column(self, fields: dict[str, Any], latitude: float, longitude: float) -> dict[str, Floats]:
        """Return all fields at a place, bilinear; winds of projected grids are refused by their axes."""
        grid = self._reader.horizontal
        if grid.crs is not None:
            raise FormatError(
                f"{self._files[0]}: winds on a projected grid; give them on latitudes and longitudes"
            )
        lon = longitude + 360.0 * np.round((0.5 * (grid.x[0] + grid.x[-1]) - longitude) / 360.0)
        weights = []
        for axis, at, name in ((grid.y, latitude, "latitude"), (grid.x, lon, "longitude")):
            order = np.argsort(axis)
            if not axis[order[0]] <= at <= axis[order[-1]]:
                raise RangeError(
                    f"{self._files[0]}: {name} {at:.2f} is outside the winds, {axis.min():g} to {axis.max():g}"
                )
            k = int(np.clip(np.searchsorted(axis[order], at), 1, axis.size - 1))
            a, b = order[k - 1], order[k]
            share = float((at - axis[a]) / (axis[b] - axis[a]))
            weights.append(((a, 1.0 - share), (b, share)))
        out = {}
        for name, field in fields.items():
            if np.ndim(field) < 2:
                out[name] = np.asarray(field, dtype=np.float64)
                continue
            out[name] = np.asarray(
                sum(
                    fy * fx * np.asarray(field[..., j, i], np.float64)
                    for j, fy in weights[0]
                    for i, fx in weights[1]
                )
            )
        return out


class WindFinder:
    """Winds as the options say: by source or scene from a table, one for all, or from files; a context manager.

    Parameters
    ----------
    options : PlumeWindOptions
        Exactly one of its ways.
    wind_error : float
        m s-1.
    """

    def __init__(self, options: PlumeWindOptions, wind_error: float) -> None:
        self._options, self._error = options, wind_error
        table = options.wind_table
        self._table = None if table is None else read_wind_table(table, wind_error)
        self._met = None
        if options.winds:
            self._met = MetWinds(resolve_files(options.winds), options.layer, wind_error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._met is not None:
            self._met.close()

    def at(self, scene: str, time: np.datetime64, source: PointSource) -> PlumeWind:
        """Return the wind at a source during a scene.

        Raises
        ------
        ConfigError
            A table without either.
        RangeError
            Files that do not cover time or place.
        """
        if self._met is not None:
            return self._met.at(time, *source.place)
        if self._table is not None:
            for name in (source.name, scene):
                if name in self._table:
                    return self._table[name]
            raise ConfigError(
                f"{self._options.wind_table}: no wind for source {source.name!r} or scene {scene!r}"
                f"{nearest(source.name, self._table)}"
            )
        u, v = (float(part) for part in str(self._options.wind).split(","))
        return PlumeWind(u, v, self._error)


def _above_ground(column: dict[str, Floats], where: str) -> Floats:
    """Return heights of levels above ground, m: from geopotential, or by the hypsometric equation."""
    level, ground = (
        next((column[n] / scale for n, scale in pair if n in column), None)
        for pair in (
            (("height", 1.0), ("geopotential", GRAVITY)),
            (("terrain", 1.0), ("surface_geopotential", GRAVITY)),
        )
    )
    if level is not None and ground is not None:
        return np.asarray(level - ground)
    surface_pressure = column.get("sp", np.exp(column["lnsp"]) if "lnsp" in column else None)
    if surface_pressure is None or "t" not in column:
        raise MissingVariableError(
            f"{where}: heights of levels need geopotential with that of the surface, or temperature with surface "
            "pressure"
        )
    virtual = column["t"] * (1.0 + _VAPOUR * column.get("q", np.zeros(1)))
    pressure = np.asarray(column["p"])
    order = np.argsort(-pressure)
    p = np.concatenate([[float(surface_pressure)], pressure[order]])
    t = np.concatenate([[virtual[order][0]], virtual[order]])
    steps = R_DRY_AIR / GRAVITY * 0.5 * (t[1:] + t[:-1]) * np.log(p[:-1] / p[1:])
    height = np.empty(pressure.size)
    height[order] = np.cumsum(steps)
    return height
