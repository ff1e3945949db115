"""Meteorological fields as the kernels read them: even axes, heights above ground, float32, memory-mapped."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.atomic import write_text
from obsnet.errors import FormatError, RangeError
from obsnet.places import extent_text, place_text
from obsnet.reading import reading
from obsnet.seal import read_json, sealed_json
from obsnet.times import as_utc, from_epoch, to_epoch
from obsnet.typing import Bools, Floats, Singles

__all__ = ["STATE", "SURFACE", "WIND", "Met"]

WIND = ("u", "v", "w", "density")  # m s-1 (w relative to the ground), kg m-3 of dry air
STATE = ("pressure", "temperature", "humidity")  # Pa, K, kg/kg
SURFACE = ("blh", "blh_mass", "ustar", "inverse_obukhov", "wstar", "density")
VERSION = 3


@dataclass(frozen=True, eq=False)
class Met:
    """Wind, density and boundary-layer scales on an even grid in time, latitude, longitude.

    Parameters
    ----------
    times : ndarray of float64, shape (nt,)
        Seconds since 1970-01-01 UTC, evenly spaced.
    lat, lon : ndarray of float64
        Degrees, evenly spaced, increasing; longitudes may run past 180.
    height : ndarray of float64, shape (nz,)
        Metres above ground, ``top * (k / (nz - 1))**2``.
    wind : ndarray of float32, shape (nt, nlat, nlon, nz, 4)
        `WIND`; the four and two levels lie together in memory, so one column is one or two cache lines.
    state : ndarray of float32, shape (nt, nlat, nlon, nz, 3)
        `STATE`.
    surface : ndarray of float32, shape (nt, nlat, nlon, 6)
        `SURFACE`: boundary-layer height (m), dry-air mass in it (kg m-2), u* (m s-1), 1/L (m-1), w* (m s-1),
        dry-air density at the ground (kg m-3).
    terrain : ndarray of float32, shape (nlat, nlon)
        Metres above sea level.
    meta : dict
        ``notes`` (what the reader changed or assumed, for people), ``files``.
    folder : Path, optional
        Where the arrays lie on disk.
    """

    times: Floats
    lat: Floats
    lon: Floats
    height: Floats
    wind: Singles
    state: Singles
    surface: Singles
    terrain: Singles
    meta: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    def __post_init__(self) -> None:
        shape = (self.times.size, self.lat.size, self.lon.size)
        wanted = {
            "wind": (*shape, self.height.size, len(WIND)),
            "state": (*shape, self.height.size, len(STATE)),
            "surface": (*shape, len(SURFACE)),
            "terrain": shape[1:],
        }
        for name, expected in wanted.items():
            if getattr(self, name).shape != expected:
                raise FormatError(f"Met.{name} must have shape {expected}, found {getattr(self, name).shape}")

    @property
    def start(self) -> np.datetime64:
        """First time, UTC."""
        return as_utc(from_epoch(self.times[0])[()])

    @property
    def stop(self) -> np.datetime64:
        """Last time, UTC."""
        return as_utc(from_epoch(self.times[-1])[()])

    @property
    def step(self) -> float:
        """Seconds between times; 0 for a single one."""
        return float(self.times[1] - self.times[0]) if self.times.size > 1 else 0.0

    @property
    def top(self) -> float:
        """Height of the highest level above ground, m."""
        return float(self.height[-1])

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(south, north, west, east) of the outermost nodes, degrees; east may exceed 180."""
        return float(self.lat[0]), float(self.lat[-1]), float(self.lon[0]), float(self.lon[-1])

    def __repr__(self) -> str:
        return (
            f"Met({self.times.size} times {self.start} to {self.stop}, {self.lat.size} x {self.lon.size} nodes "
            f"{' '.join(extent_text(*self.bounds))}, {self.height.size} levels to {self.top:.0f} m)"
        )

    def wrap(self, lon: Any) -> Floats:
        """Shift longitudes by whole turns into the convention of this domain."""
        values = np.asarray(lon, dtype=np.float64)
        middle = 0.5 * (self.lon[0] + self.lon[-1])
        return np.asarray(values - 360.0 * np.round((values - middle) / 360.0))

    def inside(self, lat: Any, lon: Any) -> Bools:
        """Tell which points lie between the outermost nodes."""
        lat, lon = np.asarray(lat, dtype=np.float64), self.wrap(lon)
        south, north, west, east = self.bounds
        return np.asarray((lat >= south) & (lat <= north) & (lon >= west) & (lon <= east))

    def _place(self, time: Any, lat: Any, lon: Any) -> tuple[Floats, ...]:
        """Return fractional positions on the axes, or say what is outside."""
        seconds, lat = np.atleast_1d(to_epoch(time)), np.atleast_1d(np.asarray(lat, dtype=np.float64))
        lon = np.atleast_1d(self.wrap(lon))
        seconds, lat, lon = np.broadcast_arrays(seconds, lat, lon)
        early = ~((seconds >= self.times[0] - 1e-3) & (seconds <= self.times[-1] + 1e-3))
        if early.any():
            raise RangeError(
                f"{int(early.sum())} of {seconds.size} times are outside the meteorology, the first "
                f"{from_epoch(seconds[early][0])}; it covers {self.start} to {self.stop}"
            )
        out = ~self.inside(lat, lon)
        if out.any():
            raise RangeError(
                f"{int(out.sum())} of {seconds.size} points are outside the meteorology, the first at "
                f"{place_text(lat[out][0], lon[out][0], '.3f')}; it covers {', '.join(extent_text(*self.bounds))}"
            )
        places = []
        for values, axis in ((seconds, self.times), (lat, self.lat), (lon, self.lon)):
            step = axis[1] - axis[0] if axis.size > 1 else 1.0
            places.append(np.clip((values - axis[0]) / step, 0.0, axis.size - 1.0))
        return tuple(places)

    def profile(self, time: Any, lat: Any, lon: Any) -> dict[str, Floats]:
        """Return columns at points, linear in time and space.

        Parameters
        ----------
        time : array_like of datetime64
            UTC.
        lat, lon : array_like
            Degrees; broadcast with `time` to n points.

        Returns
        -------
        dict
            `WIND` and `STATE` of shape (n, nz), `SURFACE` and ``terrain`` of shape (n,); ``surface_density`` is
            the density of `SURFACE`.

        Raises
        ------
        RangeError
            A point outside the domain or the period.
        """
        t, y, x = self._place(time, lat, lon)
        corners = []
        weight = []
        for axis, size in ((t, self.times.size), (y, self.lat.size), (x, self.lon.size)):
            low = np.minimum(axis.astype(np.int64), max(size - 2, 0))
            f = axis - low
            corners.append((low, np.minimum(low + 1, size - 1)))
            weight.append((1.0 - f, f))
        wind = np.zeros((t.size, self.height.size, len(WIND)))
        state = np.zeros((t.size, self.height.size, len(STATE)))
        surface = np.zeros((t.size, len(SURFACE)))
        terrain = np.zeros(t.size)
        for a in (0, 1):
            for b in (0, 1):
                for c in (0, 1):
                    share = weight[0][a] * weight[1][b] * weight[2][c]
                    at = (corners[0][a], corners[1][b], corners[2][c])
                    wind += share[:, None, None] * self.wind[at]
                    state += share[:, None, None] * self.state[at]
                    surface += share[:, None] * self.surface[at]
                    terrain += share * self.terrain[at[1:]]
        out = {name: wind[..., k] for k, name in enumerate(WIND)}
        out |= {name: state[..., k] for k, name in enumerate(STATE)}
        out |= {name: surface[..., k] for k, name in enumerate(SURFACE[:-1])}
        return {**out, "surface_density": surface[..., -1], "terrain": terrain}

    def save(self, folder: str | Path, *, anew: bool = False) -> Path:
        """Write the arrays as ``.npy`` and the rest as ``met.json``, which comes last.

        Parameters
        ----------
        folder : path
            Made where it is missing.
        anew : bool
            Write arrays too that were mapped from a file while they were filled.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("wind", "state", "surface", "terrain"):
            array = getattr(self, name)
            if anew or not isinstance(array, np.memmap):
                np.save(folder / f"{name}.npy", array)
        write_text(folder / "met.json", sealed_json(self._axes()))
        return folder

    def _axes(self) -> dict[str, Any]:
        axes = {name: getattr(self, name).tolist() for name in ("times", "lat", "lon", "height")}
        return {"version": VERSION, **axes, "meta": self.meta}

    @classmethod
    def load(cls, folder: str | Path) -> Met:
        """Map a folder that `save` or `build_met` wrote; nothing is read until a kernel touches it.

        Raises
        ------
        FormatError
            The folder holds no whole set of fields of this version.
        """
        folder = Path(folder)
        try:
            axes = read_json(folder / "met.json")
        except (OSError, FormatError) as error:
            raise FormatError(f"{folder}: no prepared meteorology here ({error})") from None
        if axes.get("version") != VERSION:
            raise FormatError(f"{folder}: prepared by another version of obsnet; delete it and run again")
        # Copy-on-write maps share the page cache as read-only ones do, and numba compiles for one kind of array.
        names = ("wind", "state", "surface", "terrain")
        with reading(folder, "prepared meteorology"):
            arrays = {name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="c")) for name in names}
            evenly: dict[str, Any] = {
                n: np.asarray(axes[n], dtype=np.float64) for n in ("times", "lat", "lon", "height")
            }
            return cls(
                **evenly,
                **arrays,
                meta=axes["meta"],
                folder=folder,
            )
