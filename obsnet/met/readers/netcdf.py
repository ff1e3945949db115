"""NetCDF fields on pressure or hybrid levels: ERA5, its copies by CDO, ARL-named and CF files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, GridError, MissingVariableError, UnitError
from obsnet.met.horizontal import Horizontal
from obsnet.met.names import ALIASES, STANDARD_NAMES, VARIABLES, Alias, factor
from obsnet.reading import at_file, refuse_claims
from obsnet.typing import Floats, Singles

__all__ = ["NetcdfReader", "canonical", "hybrid_pressure"]

_PRESSURE_AXES = {"level", "lev", "plev", "pressure_level", "isobaricInhPa", "pressure", "isobaric"}
_HYBRID_AXES = {"hybrid", "model_level", "nhym"}
_LAT, _LON = {"latitude", "lat"}, {"longitude", "lon"}


def canonical(
    name: str, standard_name: str, unit: str | None, levels: bool, where: str
) -> tuple[Alias, float] | None:
    """Return our name of a file's variable and the factor to our unit, or None where it is of no use.

    Parameters
    ----------
    name, standard_name : str
        As the file has them.
    unit : str or None
        The file's unit, None where it gives none.
    levels : bool
        Whether the variable has a vertical dimension.
    where : str
        File, for errors.
    """
    alias = ALIASES.get(name) or STANDARD_NAMES.get(standard_name)
    if alias is None:
        return None
    key = alias.variable
    if key == "geopotential" and not levels:
        key = "surface_geopotential"
    elif key == "height" and not levels:
        key = "terrain"
    elif key == "omega" and (unit or "").strip() in {"m s-1", "m s**-1", "m/s"}:
        key = "w"
    if VARIABLES[key].levels != levels:
        return None
    if unit is None:
        unit = alias.unit
        if not unit:
            raise UnitError(f"{where}: variable {name!r} ({VARIABLES[key].text}) has no units attribute")
    try:
        return Alias(key, unit, alias.sign), factor(unit, key) * alias.sign
    except UnitError as error:
        raise UnitError(f"{where}: variable {name!r}: {error}") from None


def hybrid_pressure(coefficients: Floats, fields: dict[str, Singles]) -> Singles:
    """Return pressure on hybrid levels, ``a + b * sp``, shape (lev, y, x).

    Raises
    ------
    MissingVariableError
        Neither surface pressure nor its logarithm is there.
    """
    if "sp" in fields:
        surface = fields["sp"].astype(np.float64)
    elif "lnsp" in fields:
        surface = np.exp(fields["lnsp"].astype(np.float64))
    else:
        raise MissingVariableError("model levels need the surface pressure (sp or lnsp)")
    a, b = coefficients
    return np.asarray(a[:, None, None] + b[:, None, None] * surface, dtype=np.float32)


class Datasets:
    """Open netCDF files, a few at a time: a month of hourly files is more than a process may hold open."""

    def __init__(self, most: int = 32) -> None:
        self._most = most
        self._open: dict[Path, Any] = {}

    def __getitem__(self, path: Path) -> Any:
        import netCDF4

        at_file(path)
        if path in self._open:
            self._open[path] = self._open.pop(path)  # the latest goes last
            return self._open[path]
        while len(self._open) >= self._most:
            self._open.pop(next(iter(self._open))).close()
        try:
            self._open[path] = netCDF4.Dataset(path)
        except OSError as error:
            raise FormatError(f"{path}: cannot be read as netCDF ({error})") from None
        refuse_claims(path, self._open[path].variables)
        return self._open[path]

    def close(self) -> None:
        """Close what is open."""
        while self._open:
            self._open.popitem()[1].close()


class NetcdfReader:
    """Fields of one or more netCDF files, time by time.

    Parameters
    ----------
    files : sequence of path
        Level and surface fields may be in one file or in several, a file an hour or a file a month.

    Attributes
    ----------
    times : ndarray of float64
        Seconds since 1970, sorted.
    horizontal : Horizontal
        The grid of all files.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = list(files)
        self.notes: list[str] = []
        self._data = Datasets()
        self._index: dict[str, dict[float, tuple[Path, int]]] = {}
        self._spec: dict[tuple[Path, str], tuple[str, float]] = {}
        self._constant: dict[str, tuple[Path, str, float]] = {}
        self.horizontal: Horizontal | None = None
        self._levels: tuple[str, Any] | None = None
        for path in self.files:
            self._scan(path, self._data[path])
        moments = {t for name in ("u", "v") for t in self._index.get(name, {})}
        self.times = np.array(sorted(moments))
        if self.times.size == 0:
            found = sorted(self._index) or ["nothing known"]
            raise MissingVariableError(
                f"{self.files[0]}{' …' if len(self.files) > 1 else ''}: no wind on levels (u, v); "
                f"found {', '.join(found)}"
            )

    def close(self) -> None:
        """Close the files."""
        self._data.close()

    def _scan(self, path: Path, data: Any) -> None:
        stamps = _times(path, data)
        grid = _horizontal(path, data)
        if self.horizontal is None:
            self.horizontal = grid
        elif not self.horizontal.same_as(grid):
            raise GridError(
                f"{path}: grid of {grid.y.size} x {grid.x.size} differs from {self.files[0]} "
                f"({self.horizontal.y.size} x {self.horizontal.x.size}); bring the files to one grid first"
            )
        for name, variable in data.variables.items():
            dims = variable.dimensions
            if len(dims) < 2 or not (_is_y(dims[-2]) and _is_x(dims[-1])):
                continue
            level = _level_dim(dims)
            if level is not None and data.dimensions[level].size == 1:
                level = None  # one level of a surface field, as lnsp comes from MARS
            unit, standard = getattr(variable, "units", None), getattr(variable, "standard_name", "")
            other = [d for d in dims[:-2] if d != level and not _is_time(d) and data.dimensions[d].size > 1]
            known = canonical(name, standard, unit, level is not None or bool(other), str(path))
            if known is None:
                continue
            if other:
                raise FormatError(
                    f"{path}: variable {name!r} stands on {other[0]!r} with {data.dimensions[other[0]].size} entries, "
                    "which is no vertical axis known here; give it the levels of the other variables, or one "
                    "member of an ensemble"
                )
            alias, scale = known
            if level is not None:
                self._check_levels(path, data, level, name)
            if not _has_time(dims):
                self._constant.setdefault(alias.variable, (path, name, scale))
                continue
            places = self._index.setdefault(alias.variable, {})
            for k, stamp in enumerate(stamps):
                if stamp in places and places[stamp][0] != path:
                    raise FormatError(
                        f"{path}: {name!r} at {_iso(stamp)} is also in {places[stamp][0]}; give each time once"
                    )
                places[stamp] = (path, k)
            self._spec[path, alias.variable] = (name, scale)

    def _check_levels(self, path: Path, data: Any, dim: str, name: str) -> None:
        found = _levels(path, data, dim)
        if self._levels is None:
            self._levels = found
        elif found[0] != self._levels[0] or not np.array_equal(found[1][0], self._levels[1][0]):
            counts = [np.shape(axis[1][0])[-1] for axis in (found, self._levels)]
            raise FormatError(
                f"{path}: the vertical levels of {name!r} ({counts[0]}) differ from those of {self.files[0]} "
                f"({counts[1]}); every variable needs the same levels"
            )

    def variables(self) -> set[str]:
        """Return the canonical names there are."""
        return set(self._index) | set(self._constant)

    def read(self, time: float) -> dict[str, Singles]:
        """Return all fields of one time, canonical names and units, surface first, ``(lev,) y, x``.

        Raises
        ------
        FormatError
            A variable that other times have is missing at this one.
        """
        assert self._levels is not None
        out: dict[str, Singles] = {}
        for variable, places in self._index.items():
            if time not in places:
                raise FormatError(
                    f"{VARIABLES[variable].text} is missing at {_iso(time)}; it is there at {len(places)} of "
                    f"{self.times.size} times"
                )
            path, k = places[time]
            name, scale = self._spec[path, variable]
            out[variable] = self._field(path, name, scale, k, VARIABLES[variable].levels)
        for variable, (path, name, scale) in self._constant.items():
            out.setdefault(variable, self._field(path, name, scale, None, VARIABLES[variable].levels))
        kind, (values, order) = self._levels
        if kind == "pressure":
            out["p"] = np.asarray(values[order], dtype=np.float32)
        else:
            out["p"] = hybrid_pressure(values[:, order], out)
        return out

    def _field(self, path: Path, name: str, scale: float, k: int | None, levels: bool) -> Singles:
        variable = self._data[path].variables[name]
        dims = list(variable.dimensions)
        index: list[Any] = []
        for dim in dims[:-2]:
            is_level = levels and dim == _level_dim(variable.dimensions)
            index.append(
                slice(None) if is_level else (k if _is_time(dim) else 0)
            )  # other dimensions have one entry
        try:
            raw = variable[(*index, slice(None), slice(None))]
        except (RuntimeError, OSError) as error:
            raise FormatError(f"{path}: variable {name!r} cannot be read ({error})") from None
        values = np.ma.filled(np.ma.asarray(raw, dtype=np.float32), np.nan)
        if levels:
            assert self._levels is not None
            values = values[self._levels[1][1]]
        return values if scale == 1.0 else values * np.float32(scale)


def _is_time(dim: str) -> bool:
    return dim.lower() in {"time", "valid_time"}


def _has_time(dims: Sequence[str]) -> bool:
    return any(_is_time(d) for d in dims)


def _is_y(dim: str) -> bool:
    return dim in _LAT or dim in {"y", "rlat", "south_north"}


def _is_x(dim: str) -> bool:
    return dim in _LON or dim in {"x", "rlon", "west_east"}


def _level_dim(dims: Sequence[str]) -> str | None:
    return next((d for d in dims[:-2] if d in _PRESSURE_AXES | _HYBRID_AXES), None)


def _iso(seconds: float) -> str:
    from obsnet.times import from_epoch

    return str(from_epoch(seconds)).replace(".000000", "")


def _times(path: Path, data: Any) -> Floats:
    import cftime

    name = next((n for n in ("valid_time", "time") if n in data.variables and n in data.dimensions), None)
    if name is None:
        name = next((n for n in ("valid_time", "time") if n in data.variables), None)
    if name is None:
        return np.zeros(0)
    variable = data.variables[name]
    unit = getattr(variable, "units", "")
    calendar = getattr(variable, "calendar", "standard")
    try:
        moments = cftime.num2date(
            np.atleast_1d(np.asarray(variable[:])), unit, calendar, only_use_cftime_datetimes=False
        )
        return np.array([np.datetime64(m, "us").astype(np.int64) / 1e6 for m in np.atleast_1d(moments)])
    except (ValueError, TypeError, OverflowError) as error:
        raise FormatError(
            f"{path}: time {unit!r} with calendar {calendar!r} cannot be read ({error})"
        ) from None


def _horizontal(path: Path, data: Any) -> Horizontal:
    names = set(data.variables)
    lat = next((n for n in _LAT if n in names and data.variables[n].ndim == 1), None)
    lon = next((n for n in _LON if n in names and data.variables[n].ndim == 1), None)
    if lat and lon:
        y, x = (np.asarray(data.variables[n][:], dtype=np.float64) for n in (lat, lon))
        return Horizontal(y, x)
    if {"x", "y"} <= names and data.variables["x"].ndim == 1:
        y, x = (np.asarray(data.variables[n][:], dtype=np.float64) for n in ("y", "x"))
        return Horizontal(y, x, _crs(path, data), _grid_winds(data))
    raise GridError(
        f"{path}: neither latitude and longitude axes nor x and y of a projection; "
        f"found {', '.join(sorted(names))[:200]}"
    )


def _crs(path: Path, data: Any) -> Any:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    for variable in data.variables.values():
        if not hasattr(variable, "grid_mapping_name") and not hasattr(variable, "proj_params"):
            continue
        attributes = {k: variable.getncattr(k) for k in variable.ncattrs()}
        makers = (
            lambda a=attributes: CRS.from_wkt(a["crs_wkt"]),
            lambda a=attributes: CRS.from_user_input(a["proj_params"]),
            lambda a=attributes: CRS.from_cf(a),
        )
        for make in makers:
            try:
                return make()
            except (KeyError, CRSError):
                continue
    raise GridError(f"{path}: the grid is in x and y but no variable describes the projection (grid_mapping)")


def _grid_winds(data: Any) -> bool:
    """Tell whether the winds are along x and y: where the file does not call them eastward."""
    for variable in data.variables.values():
        standard = getattr(variable, "standard_name", "")
        if standard == "eastward_wind":
            return False
        if standard in {"x_wind", "grid_eastward_wind"}:
            return True
    return True


def _levels(path: Path, data: Any, dim: str) -> tuple[str, Any]:
    """Return ("pressure", (Pa, order)) or ("hybrid", (a and b stacked, order)); order puts the surface first."""
    coefficients = _hybrid(path, data, dim)
    if coefficients is not None:
        return "hybrid", (coefficients, np.argsort(-(coefficients[0] + coefficients[1] * 101325.0)))
    if dim not in data.variables:
        raise FormatError(f"{path}: the vertical dimension {dim!r} has no coordinate variable")
    variable = data.variables[dim]
    values = np.asarray(variable[:], dtype=np.float64)
    unit = getattr(variable, "units", None)
    if dim in {"hybrid", "model_level", "nhym"} or (
        unit in {None, "1", "level"} and "PRSS" not in data.variables
    ):
        raise FormatError(
            f"{path}: model levels in {dim!r} without their coefficients; add variables hyam (Pa) and hybm on "
            f"{dim!r} (GRIB files carry them), or interpolate to pressure levels"
        )
    if unit is None:
        unit = "hPa"  # ARL-named files keep no units
    try:
        pressure = values * factor(unit, "p")
    except UnitError as error:
        raise UnitError(f"{path}: vertical axis {dim!r}: {error}") from None
    if not ((pressure > 0).all() and np.unique(pressure).size == pressure.size):
        raise FormatError(f"{path}: vertical axis {dim!r} must hold distinct positive pressures")
    return "pressure", (pressure, np.argsort(-pressure))


def _hybrid(path: Path, data: Any, dim: str) -> Floats | None:
    """Return coefficients a (Pa) and b of full levels, shape (2, lev), where the file has them."""
    pairs: tuple[tuple[str, str], ...] = (("hyam", "hybm"), ("ap", "b"), ("a", "b"), ("hyai", "hybi"))
    for names in pairs:
        if not set(names) <= set(data.variables):
            continue
        a, b = (np.asarray(data.variables[n][:], dtype=np.float64) for n in names)
        if names[0] in {"a", "hyam"} and a.max() < 2.0:
            # CF's dimensionless a stands for a * p0.
            p0 = data.variables.get("p0", data.variables.get("P0"))
            a = a * (float(np.asarray(p0[...])) if p0 is not None else 1e5)
        if names[0] == "hyai":
            a, b = 0.5 * (a[1:] + a[:-1]), 0.5 * (b[1:] + b[:-1])
        if a.ndim != 1 or a.size != data.dimensions[dim].size:
            raise FormatError(
                f"{path}: {names[0]} has {a.size} entries, the levels {data.dimensions[dim].size}"
            )
        return np.stack([a, b])
    return None
