"""ARL packed meteorology, the format that HYSPLIT and STILT read.

A file is a chain of records of one length: 50 bytes of label, then one byte a node. The first record of each
time is an index that names the grid, the levels and the variables. Values are packed as differences between
neighbours of 8 bits, so they are known to about 1/254 of the largest difference in their field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from obsnet.errors import FormatError, GridError, MissingVariableError
from obsnet.met.horizontal import Horizontal
from obsnet.met.names import ALIASES, VARIABLES, Alias, Window, factor
from obsnet.reading import at_file
from obsnet.typing import Floats, Singles

__all__ = ["ArlReader", "unpack"]

_LABEL = 50
_RADIUS = 6371200.0  # m, ARL's sphere
_SIGMA, _PRESSURE, _TERRAIN, _HYBRID = 1, 2, 3, 4


@dataclass(frozen=True)
class _Index:
    """What an index record says."""

    grid: tuple[float, ...]
    nx: int
    ny: int
    kind: int
    levels: tuple[tuple[float, tuple[str, ...]], ...]


@numba.njit(cache=True)
def unpack(packed: npt.NDArray[np.uint8], exponent: int, first: float) -> Singles:
    """Return the field that ARL packed into bytes.

    Parameters
    ----------
    packed : ndarray of uint8, shape (ny, nx)
        Differences plus 127.
    exponent : int
        Of the record's label; differences are in units of ``2**(exponent - 7)``.
    first : float
        Value at the first node.
    """
    ny, nx = packed.shape
    scale = 2.0 ** (7 - exponent)
    out = np.empty((ny, nx), np.float32)
    start = first
    for j in range(ny):
        value = start
        for i in range(nx):
            value = (np.float64(packed[j, i]) - 127.0) / scale + value
            out[j, i] = value
            if i == 0:
                start = value
    return out


class ArlReader:
    """Fields of ARL files, time by time.

    Parameters
    ----------
    files : sequence of path
        All on one grid with the same levels.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.notes: list[str] = []
        self._records: dict[float, dict[tuple[int, str], tuple[Path, int]]] = {}
        self._index: _Index | None = None
        for path in files:
            self._scan(path)
        assert self._index is not None
        self.times = np.array(sorted(self._records))
        self.surface_times = np.zeros(0)
        self.horizontal = _grid(files[0], self._index)
        lower = {name for _, names in self._index.levels[:1] for name in names}
        upper = {name for _, names in self._index.levels[1:] for name in names}
        self._surface: dict[str, Alias] = {
            n: ALIASES[n] for n in lower if n in ALIASES and not VARIABLES[ALIASES[n].variable].levels
        }
        self._upper: dict[str, Alias] = {
            n: ALIASES[n] for n in upper if n in ALIASES and VARIABLES[ALIASES[n].variable].levels
        }
        self._numbers: list[int] = self._common_levels(files[0])

    def close(self) -> None:
        """Nothing is held open."""

    def variables(self) -> set[str]:
        """Return the canonical names there are."""
        return {a.variable for a in (*self._surface.values(), *self._upper.values())}

    def window(self, name: str, time: float) -> Window:
        """Nothing in these files is known as a sum or a mean."""
        raise FormatError(f"ARL files have no sums ({name} at {time})")

    def _scan(self, path: Path) -> None:
        at_file(path)
        size = path.stat().st_size
        offset = 0
        with path.open("rb") as stream:
            while offset < size:
                stream.seek(offset)
                label = stream.read(_LABEL + 108)
                if len(label) < _LABEL + 108 or label[14:18] != b"INDX":
                    raise FormatError(
                        f"{path}: no ARL index record at byte {offset}; the file is cut or not ARL"
                    )
                stamp = _time(path, label)
                grid_x, grid_y = (_thousands(label[12 + k : 13 + k]) for k in (0, 1))
                nx, ny = (
                    int(label[_LABEL + 93 : _LABEL + 96]) + grid_x,
                    int(label[_LABEL + 96 : _LABEL + 99]) + grid_y,
                )
                length = int(label[_LABEL + 104 : _LABEL + 108])
                stream.seek(offset + _LABEL)
                index = _parse(path, stream.read(length), nx, ny)
                if self._index is None:
                    self._index = index
                elif index != self._index:
                    raise GridError(
                        f"{path}: grid, levels or variables at byte {offset} differ from the first ones"
                    )
                record = _LABEL + nx * ny
                fields = self._records.setdefault(stamp, {})
                if fields:
                    raise FormatError(f"{path}: a time that another file has too; give each time once")
                offset += record
                for level, (_, names) in enumerate(index.levels):
                    for name in names:
                        fields[level, name] = (path, offset)
                        offset += record
        if offset != size:
            raise FormatError(f"{path}: cut at byte {size}, records end at {offset}")

    def _common_levels(self, path: Path) -> list[int]:
        """Return the upper levels on which wind and temperature are there."""
        assert self._index is not None
        needed = {n for n, a in self._upper.items() if a.variable in {"u", "v", "t", "height", "p"}}
        numbers = [k for k, (_, names) in enumerate(self._index.levels) if k and needed <= set(names)]
        if len(numbers) < 4:
            raise MissingVariableError(
                f"{path}: wind and temperature are together on {len(numbers)} levels only"
            )
        return numbers

    def read(self, time: float) -> dict[str, Singles]:
        """Return all fields of one time, canonical names and units, surface first."""
        assert self._index is not None
        fields = self._records[time]
        out: dict[str, Singles] = {}
        for name, alias in self._surface.items():
            out[alias.variable] = self._field(*fields[0, name]) * np.float32(
                factor(alias.unit, alias.variable)
            )
        for name, alias in self._upper.items():
            stack = [self._field(*fields[k, name]) if (k, name) in fields else None for k in self._numbers]
            whole = next((v for v in stack if v is not None), None)
            if whole is None:
                continue
            # Vertical velocity and humidity may stop below the top: nothing above.
            filled = np.stack([np.zeros_like(whole) if v is None else v for v in stack])
            out[alias.variable] = filled * np.float32(factor(alias.unit, alias.variable))
        values = np.array([self._index.levels[k][0] for k in self._numbers])
        if "p" not in out:
            out["p"] = _pressure(self._index.kind, values, out)
        return out

    def _field(self, path: Path, offset: int) -> Singles:
        at_file(path)
        assert self._index is not None
        nx, ny = self._index.nx, self._index.ny
        with path.open("rb") as stream:
            stream.seek(offset)
            record = stream.read(_LABEL + nx * ny)
        try:
            exponent, first = int(record[18:22]), float(record[36:50])
        except ValueError:
            raise FormatError(f"{path}: damaged label at byte {offset}: {record[:_LABEL]!r}") from None
        return unpack(np.frombuffer(record[_LABEL:], np.uint8).reshape(ny, nx), exponent, first)


def _thousands(letter: bytes) -> int:
    """Return the thousands of a grid size that needs more than three digits: @ 0, A 1000, B 2000."""
    code = letter[0] - 64
    return 1000 * code if 0 <= code < 27 else 0


def _time(path: Path, label: bytes) -> float:
    try:
        year, month, day, hour = (int(label[k : k + 2]) for k in (0, 2, 4, 6))
        year += 2000 if year < 60 else 1900
        minute = int(label[_LABEL + 7 : _LABEL + 9])
        iso = f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}"
        return float(np.datetime64(iso, "s").astype(np.int64))
    except ValueError:
        raise FormatError(f"{path}: time {label[:10]!r} in an ARL label is no time") from None


def _parse(path: Path, text: bytes, nx: int, ny: int) -> _Index:
    try:
        grid = tuple(float(text[9 + 7 * k : 16 + 7 * k]) for k in range(12))
        count, kind = int(text[99:102]), int(text[102:104])
        at, levels = 108, []
        for _ in range(count):
            height, variables = float(text[at : at + 6]), int(text[at + 6 : at + 8])
            at += 8
            names = []
            for _ in range(variables):
                names.append(text[at : at + 4].decode("ascii"))
                at += 8
            levels.append((height, tuple(names)))
    except (ValueError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: ARL index record cannot be read ({error})") from None
    return _Index(grid, nx, ny, kind, tuple(levels))


def _pressure(kind: int, values: Floats, out: dict[str, Any]) -> Singles:
    if kind == _PRESSURE:
        return np.asarray(100.0 * values, dtype=np.float32)
    if kind == _SIGMA:
        return np.asarray(values[:, None, None] * out["sp"], dtype=np.float32)
    if kind == _HYBRID:
        # The whole number is a in hPa, the decimals are b.
        a = np.floor(values)
        return np.asarray(
            100.0 * a[:, None, None] + (values - a)[:, None, None] * out["sp"], dtype=np.float32
        )
    raise FormatError("ARL levels in height without pressure (PRES) cannot be used")


def _grid(path: Path, index: _Index) -> Horizontal:
    pole_lat, _pole_lon, ref_lat, ref_lon, size, _turn, cone, sync_x, sync_y, sync_lat, sync_lon, _ = (
        index.grid
    )
    steps_x, steps_y = np.arange(1, index.nx + 1) - sync_x, np.arange(1, index.ny + 1) - sync_y
    if size == 0.0:
        return Horizontal(sync_lat + ref_lat * steps_y, sync_lon + ref_lon * steps_x)
    from pyproj import CRS, Proj, Transformer

    sphere = f"+a={_RADIUS} +b={_RADIUS} +units=m +no_defs"
    if abs(cone) >= 89.999:
        text = f"+proj=stere +lat_0={90.0 if cone > 0 else -90.0} +lat_ts={ref_lat} +lon_0={ref_lon} {sphere}"
    elif abs(cone) > 1e-6:
        text = f"+proj=lcc +lat_1={cone} +lat_0={ref_lat} +lon_0={ref_lon} {sphere}"
    else:
        text = f"+proj=merc +lat_ts={ref_lat} +lon_0={ref_lon} {sphere}"
    if _turn != 0.0 or abs(abs(pole_lat) - 90.0) > 1e-3:
        raise GridError(
            f"{path}: a turned ARL grid (orientation {_turn:g}, pole at {pole_lat:g}) is not known"
        )
    crs = CRS.from_proj4(text)
    x0, y0 = Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True).transform(sync_lon, sync_lat)
    # The grid size is that at the reference point, not where the cone touches the Earth.
    step = 1000.0 * size * Proj(crs).get_factors(ref_lon, ref_lat).meridional_scale
    y, x = (np.asarray(a, dtype=np.float64) for a in (y0 + step * steps_y, x0 + step * steps_x))
    return Horizontal(y, x, crs, grid_winds=True)
