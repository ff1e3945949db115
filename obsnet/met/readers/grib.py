"""GRIB 1 and 2 on pressure or hybrid levels: ERA5 from MARS, GFS, CMA-GFS, NAM. Needs the extra ``grib``."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import DependencyError, FormatError, GridError, MissingVariableError
from obsnet.met.fluxes import FLUXES, KINDS
from obsnet.met.horizontal import Horizontal
from obsnet.met.names import VARIABLES, Window
from obsnet.met.readers.netcdf import SIGNS, canonical, hybrid_pressure
from obsnet.reading import at_file
from obsnet.typing import Floats, Singles

__all__ = ["GribReader"]

_LEVELS = {"isobaricInhPa": "pressure", "isobaricInPa": "pressure", "hybrid": "hybrid"}
_SURFACE = {"surface", "heightAboveGround", "atmosphere", "depthBelowLandLayer", "meanSea"}
# GFS keeps the boundary layer and more under these.
_SPECIAL = {"hpbl": "blh", "fricv": "zust", "sr": "fsr", "hgtsfc": "orog"}
_STATIC = {"terrain", "surface_geopotential", "roughness"}
_SUMS = {f"{name}_{kind}" for name in FLUXES for kind in KINDS}
# Which way heat fluxes count: ECMWF's downward, NCEP's upward. The names, which ecCodes gives, are the same.
_HEAT = {"ecmf": "down", "kwbc": "up"}


@dataclass(frozen=True)
class _Message:
    """Where a field stands; `part` counts the fields of one message."""

    path: Path
    offset: int
    part: int
    factor: float
    level: float
    member: int = 0


class GribReader:
    """Fields of GRIB files, time by time, decoded when asked for.

    Parameters
    ----------
    files : sequence of path
        Any order and split.
    heat_flux : {"auto", "up", "down"}
        Which way heat fluxes count; auto goes by the centre.
    """

    def __init__(self, files: Sequence[Path], heat_flux: str = "auto") -> None:
        self._codes = _eccodes()
        self._heat_flux = heat_flux
        self.notes: list[str] = []
        self.horizontal: Horizontal | None = None
        self._fields: dict[str, dict[float, list[_Message]]] = {}
        self._kind = ""
        self._windows: dict[tuple[str, float], Window] = {}
        self._pv: Floats | None = None
        self._shape = (0, 0)
        self._flags = (0, 0)
        for path in files:
            self._scan(path)
        moments = sorted(self._fields.get("u", {}))
        if not moments:
            found = ", ".join(sorted(self._fields)) or "nothing known"
            raise MissingVariableError(f"{files[0]}: no wind on pressure or hybrid levels; found {found}")
        self.times = np.array(moments)
        self._levels = self._check_levels()
        flat = [t for n, t in self._fields.items() if not VARIABLES[n].levels and not self._static(n)]
        self.surface_times = np.array(sorted({stamp for series in flat for stamp in series}))

    def close(self) -> None:
        """Nothing is held open."""

    def variables(self) -> set[str]:
        """Return the canonical names there are."""
        return set(self._fields)

    def _static(self, name: str) -> bool:
        """Tell whether a field is there once for all times."""
        return name in _STATIC and len(self._fields[name]) == 1

    def window(self, name: str, time: float) -> Window:
        """Return the time over which a sum or mean is taken, as its message says."""
        return self._windows[name, time]

    def _messages(self, path: Path) -> Iterator[tuple[int, int, Any]]:
        """Yield offset, number within the message, and handle of each field of a file."""
        codes = self._codes
        size = path.stat().st_size
        with path.open("rb") as stream:
            before, part = -1, 0
            # Without this the second wind component of a multi-field message is never seen.
            codes.codes_grib_multi_support_on()
            codes.codes_grib_multi_support_reset_file(stream)
            while True:
                try:
                    handle = codes.codes_grib_new_from_file(stream)
                except codes.CodesInternalError as error:
                    raise FormatError(
                        f"{path}: damaged GRIB message after byte {max(before, 0)} of {size} ({error})"
                    ) from None
                if handle is None:
                    break
                try:
                    offset = int(codes.codes_get(handle, "offset"))
                    part = part + 1 if offset == before else 0
                    before = offset
                    yield offset, part, handle
                finally:
                    codes.codes_release(handle)
        if before < 0:
            raise FormatError(f"{path}: no whole GRIB message in {size} bytes")

    def _scan(self, path: Path) -> None:
        at_file(path)
        check_frames(path)
        for offset, part, handle in self._messages(path):
            try:
                self._note(path, offset, part, handle)
            except self._codes.CodesInternalError as error:
                raise FormatError(f"{path}: damaged GRIB message at byte {offset} ({error})") from None

    def _note(self, path: Path, offset: int, part: int, handle: Any) -> None:
        """Write down where a field stands, if it is one that counts."""
        codes = self._codes

        def get(key: str) -> Any:
            return codes.codes_get(handle, key)

        surface, short = get("typeOfLevel"), get("shortName")
        level = _LEVELS.get(surface)
        if level is None and surface not in _SURFACE:
            return
        if level is None and surface == "heightAboveGround" and int(get("level")) not in {2, 10}:
            return
        if short == "lnsp":
            level = None
        name = _SPECIAL.get(short, short)
        known = canonical(name, "", get("units"), level is not None, str(path))
        if known is None:
            return
        self._check_grid(path, handle)
        if level is not None and self._kind not in {"", level}:
            raise FormatError(f"{path}: both pressure and hybrid levels; give files of one kind")
        if level is not None:
            self._kind = level
        if level == "hybrid" and self._pv is None and int(get("NV")) > 0:
            self._pv = np.asarray(codes.codes_get_array(handle, "pv"), dtype=np.float64)
        alias, scale = known
        if alias.variable.startswith("heat_flux"):
            scale = self._heat_sign(path, get("centre")) * abs(scale)
        variable = _by_step_type(alias.variable, str(get("stepType")))
        value = float(get("level")) * (1.0 if surface == "isobaricInPa" or level == "hybrid" else 100.0)
        stamp = _valid_time(path, get("validityDate"), get("validityTime"))
        rows = self._fields.setdefault(variable, {}).setdefault(stamp, [])
        member = _member(handle, codes)
        if any(m.member != member for m in rows):
            raise FormatError(
                f"{path}: {short!r} has several members of an ensemble ({rows[0].member} and {member}); particles "
                "follow one weather, so take one member (grib_copy -w perturbationNumber=0)"
            )
        if any(m.level == value for m in rows):
            raise FormatError(
                f"{path}: {short!r} at level {get('level')} is there twice for one time (also in "
                f"{rows[0].path}); give each forecast once"
            )
        rows.append(_Message(path, offset, part, scale, value, member))
        if variable in _SUMS:
            self._windows[variable, stamp] = _window(path, handle, codes, stamp)

    def _heat_sign(self, path: Path, centre: str) -> float:
        """Return the sign of a centre's heat flux against ours."""
        way = _HEAT.get(centre, "") if self._heat_flux == "auto" else self._heat_flux
        if not way:
            raise FormatError(
                f"{path}: whether the sensible heat flux of centre {centre!r} counts upward or downward is not known; "
                "say it (--heat-flux up or down: over land by day heat goes up)"
            )
        return SIGNS[way]

    def _check_grid(self, path: Path, handle: Any) -> None:
        grid, shape, flags = _grid(path, handle, self._codes)
        if self.horizontal is None:
            self.horizontal, self._shape, self._flags = grid, shape, flags
        elif not self.horizontal.same_as(grid):
            raise GridError(
                f"{path}: fields on two grids ({self._shape} and {shape} nodes); bring them to one first"
            )

    def _check_levels(self) -> Floats:
        """Return the levels that every level variable has, or say which lacks one."""
        three = {n: t for n, t in self._fields.items() if VARIABLES[n].levels}
        levels = sorted({m.level for m in next(iter(three["u"].values()))}, reverse=self._kind == "pressure")
        if self._kind == "hybrid":
            levels = levels[::-1]  # level 1 is the top
        for name, times in three.items():
            for stamp, rows in times.items():
                missing = set(levels) - {m.level for m in rows}
                if not missing:
                    continue
                if name in {"u", "v", "t", "omega", "w"}:
                    shown = ", ".join(
                        f"{v / 100 if self._kind == 'pressure' else v:g}" for v in sorted(missing)[:5]
                    )
                    raise FormatError(
                        f"{rows[0].path}: {VARIABLES[name].text} lacks {len(missing)} of {len(levels)} levels "
                        f"({shown}) at {np.datetime64(int(stamp), 's')}"
                    )
                self.notes.append(f"{VARIABLES[name].text} is not on all levels: left out")
                del self._fields[name]
                break
        return np.array(levels)

    def read(self, time: float) -> dict[str, Singles]:
        """Return all fields of one time, canonical names and units, surface first.

        Raises
        ------
        FormatError
            A variable is missing at this time, or its message is damaged.
        """
        out: dict[str, Singles] = {}
        wanted: dict[tuple[Path, int, int], tuple[str, _Message]] = {}
        for name, times in self._fields.items():
            rows = times.get(time)
            if rows is None:
                if self._static(name):
                    rows = next(iter(times.values()))
                else:
                    raise FormatError(f"{VARIABLES[name].text} is missing at {np.datetime64(int(time), 's')}")
            wanted |= {(m.path, m.offset, m.part): (name, m) for m in rows}
        stacks: dict[str, dict[float, Singles]] = {}
        for path in sorted({key[0] for key in wanted}):
            for offset, part, handle in self._messages(path):
                found = wanted.get((path, offset, part))
                if found is not None:
                    name, message = found
                    stacks.setdefault(name, {})[message.level] = self._values(path, handle, message.factor)
        for name, fields in stacks.items():
            if VARIABLES[name].levels:
                out[name] = np.stack([fields[v] for v in self._levels])
            else:
                out[name] = next(iter(fields.values()))
        out["p"] = self._pressure(out)
        return out

    def _values(self, path: Path, handle: Any, scale: float) -> Singles:
        at_file(path)
        codes = self._codes
        try:
            values = np.asarray(codes.codes_get_values(handle), dtype=np.float64)
            if int(codes.codes_get(handle, "bitmapPresent")):
                values[values == float(codes.codes_get(handle, "missingValue"))] = np.nan
            return np.asarray(values.reshape(self._shape) * scale, dtype=np.float32)
        except (codes.CodesInternalError, ValueError) as error:
            raise FormatError(f"{path}: damaged GRIB message ({error})") from None

    def _pressure(self, out: dict[str, Singles]) -> Singles:
        if self._kind == "pressure":
            return self._levels.astype(np.float32)
        if self._pv is None:
            raise FormatError("hybrid levels without their coefficients (pv) in the GRIB messages")
        half = self._pv.size // 2
        a, b = self._pv[:half], self._pv[half:]
        n = self._levels.astype(np.int64)
        full = np.stack([0.5 * (a[n] + a[n - 1]), 0.5 * (b[n] + b[n - 1])])
        return hybrid_pressure(full, out)


def check_frames(path: Path) -> None:
    """Walk through the messages of a file by the lengths they state; ecCodes may crash where these are wrong.

    Raises
    ------
    FormatError
        A message is cut or its sections do not fill it.
    """
    size = path.stat().st_size
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(b"GRIB")
        while at >= 0:
            edition = data[at + 7] if at + 16 <= size else 0
            if edition == 2:
                end = at + int.from_bytes(data[at + 8 : at + 16], "big")
                whole = end <= size and _sections_fill(data, at + 16, end)
            else:
                length = int.from_bytes(data[at + 4 : at + 7], "big")
                large = bool(length & 0x800000)  # ECMWF's way beyond 8 MiB: ecCodes knows the length
                end = at + (8 if large else max(length, 8))
                whole = edition == 1 and (large or (end <= size and data[end - 4 : end] == b"7777"))
            if not whole:
                raise FormatError(
                    f"{path}: damaged GRIB message at byte {at} of {size}; fetch the file again"
                )
            at = data.find(b"GRIB", end)


def _sections_fill(data: mmap.mmap, at: int, end: int) -> bool:
    """Tell whether the sections of a GRIB 2 message lead from `at` to its closing 7777."""
    while at + 4 < end:
        length = int.from_bytes(data[at : at + 4], "big")
        if length < 5 or at + length > end - 4 or not 1 <= data[at + 4] <= 7:
            return False
        at += length
    return at + 4 == end and data[at:end] == b"7777"


def _eccodes() -> Any:
    if "eccodes" not in sys.modules:
        # It brings libraries that take the place of those that pyproj needs, unless pyproj has loaded its own before.
        from pyproj import CRS

        CRS.from_epsg(4326)
    try:
        import eccodes
    except (ImportError, RuntimeError, OSError) as error:
        raise DependencyError(f"GRIB files need ecCodes ({error}); pip install 'obsnet[grib]'") from None
    return eccodes


def _by_step_type(variable: str, step_type: str) -> str:
    """Return our name of a flux whose message is a sum or a mean under the name of the moment, or the other way."""
    for kind, suffix in (("avg", "mean"), ("accum", "accumulated")):
        if step_type == kind and variable in FLUXES:
            return f"{variable}_{suffix}"
    return variable


def _member(handle: Any, codes: Any) -> int:
    if not codes.codes_is_defined(handle, "perturbationNumber"):
        return 0
    return int(codes.codes_get(handle, "perturbationNumber"))


def _window(path: Path, handle: Any, codes: Any, end: float) -> Window:
    """Return over which time a message is summed; since the forecast's start where it has one step only."""
    codes.codes_set(handle, "stepUnits", "s")
    first, last = (int(codes.codes_get(handle, key, int)) for key in ("startStep", "endStep"))
    if first == last:
        first = 0
    if not 0 <= first <= last:
        raise FormatError(f"{path}: a sum over the steps {first} to {last} s makes no sense")
    return Window(end - (last - first), end)


def _valid_time(path: Path, date: int, time: int) -> float:
    text = f"{int(date):08d}T{int(time):04d}"
    try:
        iso = f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[9:11]}:{text[11:13]}"
        return float(np.datetime64(iso, "s").astype(np.int64))
    except ValueError:
        raise FormatError(f"{path}: validity time {date} {time} is no time") from None


def _grid(path: Path, handle: Any, codes: Any) -> tuple[Horizontal, tuple[int, int], tuple[int, int]]:
    """Return axes in the file's order, shape (ny, nx) and scanning flags."""

    def get(key: str) -> Any:
        return codes.codes_get(handle, key)

    kind = get("gridType")
    flags = (int(get("iScansNegatively")), int(get("jScansPositively")))
    if kind in {"regular_ll", "regular_gg"}:
        nx, ny = int(get("Ni")), int(get("Nj"))
        lat = np.asarray(codes.codes_get_array(handle, "distinctLatitudes"), dtype=np.float64)
        lon = np.asarray(codes.codes_get_array(handle, "distinctLongitudes"), dtype=np.float64)
        lat = np.sort(lat) if flags[1] else np.sort(lat)[::-1]
        west = float(get("longitudeOfFirstGridPointInDegrees"))
        lon = np.sort((lon - west) % 360.0) + west
        lon = lon[::-1] if flags[0] else lon
        return Horizontal(lat, lon, None, False), (ny, nx), flags
    if kind not in {"lambert", "polar_stereographic", "mercator"}:
        raise GridError(f"{path}: GRIB grid {kind!r} is not known; bring it to a regular grid (cdo remapbil)")
    return _projected(path, kind, _earth(path, handle, codes), get, flags)


def _earth(path: Path, handle: Any, codes: Any) -> str:
    """Return the shape of the Earth that a message is on (code table 3.2)."""
    keys = ("earthMajorAxisInMetres", "earthMinorAxisInMetres")
    if not all(codes.codes_is_defined(handle, key) for key in keys):
        keys = ("radius", "radius")
    axes = [float(codes.codes_get(handle, key)) for key in keys]
    if not all(6.3e6 < axis < 6.4e6 for axis in axes):
        shape = codes.codes_get(handle, "shapeOfTheEarth")
        raise GridError(
            f"{path}: an Earth of shape {shape} with axes of {axes[0]:g} and {axes[1]:g} m is none"
        )
    return f"+a={axes[0]} +b={axes[1]} +units=m +no_defs"


def _projected(
    path: Path, kind: str, earth: str, get: Any, flags: tuple[int, int]
) -> tuple[Horizontal, tuple[int, int], tuple[int, int]]:
    from pyproj import CRS, Transformer

    nx, ny = (
        int(get("Nx") if kind != "mercator" else get("Ni")),
        int(get("Ny") if kind != "mercator" else get("Nj")),
    )
    if kind == "lambert":
        text = f"+proj=lcc +lat_1={get('Latin1InDegrees')} +lat_2={get('Latin2InDegrees')} +lat_0={get('LaDInDegrees')}"
        text += f" +lon_0={get('LoVInDegrees')} {earth}"
    elif kind == "polar_stereographic":
        middle, south = get("orientationOfTheGridInDegrees"), bool(int(get("southPoleOnProjectionPlane")))
        true = abs(float(get("LaDInDegrees"))) * (-1.0 if south else 1.0)
        text = f"+proj=stere +lat_0={-90 if south else 90} +lat_ts={true} +lon_0={middle} {earth}"
    else:
        text = f"+proj=merc +lat_ts={get('LaDInDegrees')} {earth}"
    crs = CRS.from_proj4(text)
    transform = Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True)
    x0, y0 = transform.transform(
        float(get("longitudeOfFirstGridPointInDegrees")), float(get("latitudeOfFirstGridPointInDegrees"))
    )
    dx, dy = (
        (float(get("DxInMetres")), float(get("DyInMetres")))
        if kind != "mercator"
        else (float(get("DiInMetres")), float(get("DjInMetres")))
    )
    if not (nx > 1 and ny > 1 and dx > 0 and dy > 0):
        raise GridError(f"{path}: {kind} grid of {nx} x {ny} nodes at {dx:g} x {dy:g} m makes no sense")
    x = x0 + (-dx if flags[0] else dx) * np.arange(nx)
    y = y0 + (dy if flags[1] else -dy) * np.arange(ny)
    return Horizontal(y, x, crs, bool(int(get("resolutionAndComponentFlags")) & 8)), (ny, nx), flags
