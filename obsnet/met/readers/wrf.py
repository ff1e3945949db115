"""WRF output (wrfout): staggered winds, terrain-following pressure levels, map projections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.constants import GRAVITY
from obsnet.errors import FormatError, GridError, MissingVariableError
from obsnet.met.horizontal import Horizontal
from obsnet.met.names import Window
from obsnet.met.readers.netcdf import Datasets
from obsnet.typing import Floats, Singles

__all__ = ["WrfReader"]

_RADIUS = 6370000.0  # m, WRF's sphere
_KAPPA = 2.0 / 7.0
_REQUIRED = ("U", "V", "W", "PH", "PHB", "T", "P", "PB", "QVAPOR", "PSFC", "HGT", "XLAT", "XLONG")
_SURFACE = {
    "PSFC": "sp",
    "HGT": "terrain",
    "T2": "t2m",
    "U10": "u10",
    "V10": "v10",
    "PBLH": "blh",
    "UST": "ustar",
    "HFX": "heat_flux",
    "ZNT": "roughness",
}


class WrfReader:
    """Fields of wrfout files of one domain, time by time.

    Parameters
    ----------
    files : sequence of path
        One or more times each.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.notes: list[str] = []
        self._data = Datasets()
        self._place: dict[float, tuple[Path, int]] = {}
        self.horizontal: Horizontal | None = None
        try:
            self._open(files)
        except BaseException:
            self.close()
            raise

    def _open(self, files: Sequence[Path]) -> None:
        """Look through all files."""
        for path in files:
            data = self._data[path]
            missing = [n for n in _REQUIRED if n not in data.variables]
            if missing:
                raise MissingVariableError(f"{path}: WRF file without {', '.join(missing)}")
            grid = _grid(path, data)
            if self.horizontal is not None and not self.horizontal.same_as(grid):
                raise GridError(f"{path}: another WRF domain than {files[0]}; give one domain at a time")
            self.horizontal = grid
            for k, stamp in enumerate(_times(path, data)):
                if stamp in self._place:
                    raise FormatError(
                        f"{path}: a time that is also in {self._place[stamp][0]}; give each time once"
                    )
                self._place[stamp] = (path, k)
        self.times = np.array(sorted(self._place))
        self.surface_times = np.zeros(0)
        self._names = set(self._data[files[0]].variables)

    def close(self) -> None:
        """Close the files."""
        self._data.close()

    def variables(self) -> set[str]:
        """Return the canonical names there are."""
        return {"u", "v", "w", "t", "q", "p", "height", *(v for k, v in _SURFACE.items() if k in self._names)}

    def window(self, name: str, time: float) -> Window:
        """Nothing in these files is a sum or a mean."""
        raise FormatError(f"WRF output has no sums ({name} at {time})")

    def read(self, time: float) -> dict[str, Singles]:
        """Return all fields of one time; WRF's levels begin at the surface already."""
        path, k = self._place[time]
        data = self._data[path]

        def field(name: str) -> Floats:
            return np.ma.filled(np.ma.asarray(data.variables[name][k], dtype=np.float64), np.nan)

        pressure = field("P") + field("PB")
        vapour = np.maximum(field("QVAPOR"), 0.0)
        faces = (field("PH") + field("PHB")) / GRAVITY
        out = {
            "u": _middle(field("U"), -1),
            "v": _middle(field("V"), -2),
            "w": _middle(field("W"), 0),
            "height": _middle(faces, 0),
            "p": pressure,
            "t": (field("T") + 300.0) * (pressure / 1e5) ** _KAPPA,
            "q": vapour / (1.0 + vapour),
            **{ours: field(name) for name, ours in _SURFACE.items() if name in data.variables},
        }
        return {name: values.astype(np.float32) for name, values in out.items()}


def _middle(values: Floats, axis: int) -> Floats:
    """Bring a staggered field to the middle of its cells."""
    first = [slice(None)] * values.ndim
    second = [slice(None)] * values.ndim
    first[axis], second[axis] = slice(None, -1), slice(1, None)
    return 0.5 * (values[tuple(first)] + values[tuple(second)])


def _times(path: Path, data: Any) -> list[float]:
    if "Times" not in data.variables:
        raise FormatError(f"{path}: WRF file without Times")
    stamps: list[float] = []
    for row in np.ma.filled(data.variables["Times"][:], b" "):
        text = b"".join(np.atleast_1d(row)).decode("ascii", "replace").strip()
        try:
            stamps.append(float(np.datetime64(text.replace("_", "T"), "us").astype(np.int64)) / 1e6)
        except ValueError:
            raise FormatError(f"{path}: time {text!r} cannot be read") from None
    return stamps


def _grid(path: Path, data: Any) -> Horizontal:
    """Return the axes in the model's projection, checked against its latitudes and longitudes."""
    from pyproj import CRS, Transformer

    lat, lon = (np.asarray(data.variables[n][0], dtype=np.float64) for n in ("XLAT", "XLONG"))
    try:
        kind = int(data.MAP_PROJ)
        one, two, middle, centre = (
            float(getattr(data, n)) for n in ("TRUELAT1", "TRUELAT2", "STAND_LON", "MOAD_CEN_LAT")
        )
    except AttributeError as error:
        raise GridError(f"{path}: WRF file without its projection ({error})") from None
    sphere = f"+a={_RADIUS} +b={_RADIUS} +units=m +no_defs"
    if kind == 1:
        text = f"+proj=lcc +lat_1={one} +lat_2={two} +lat_0={centre} +lon_0={middle} {sphere}"
    elif kind == 2:
        pole = 90.0 if one > 0 else -90.0
        text = f"+proj=stere +lat_0={pole} +lat_ts={one} +lon_0={middle} {sphere}"
    elif kind == 3:
        text = f"+proj=merc +lat_ts={one} +lon_0={middle} {sphere}"
    elif kind == 6 and abs(float(getattr(data, "POLE_LAT", 90.0)) - 90.0) < 1e-3:
        return Horizontal(lat[:, 0], lon[0])
    else:
        raise GridError(f"{path}: WRF projection {kind} ({getattr(data, 'MAP_PROJ_CHAR', '?')}) is not known")
    crs = CRS.from_proj4(text)
    x, y = Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True).transform(lon, lat)
    axis_y, axis_x = y.mean(axis=1), x.mean(axis=0)
    step = abs(axis_x[1] - axis_x[0])
    if max(np.abs(y - axis_y[:, None]).max(), np.abs(x - axis_x[None, :]).max()) > 0.05 * step:
        raise GridError(f"{path}: latitudes and longitudes do not fit the projection that the file names")
    return Horizontal(axis_y, axis_x, crs, grid_winds=True)
