"""NetCDF fields on pressure or hybrid levels: ERA5, its copies by CDO, ARL-named, GEOS and CF files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, GridError, MissingVariableError, UnitError
from obsnet.met.fluxes import FLUXES, KINDS
from obsnet.met.horizontal import Horizontal
from obsnet.met.names import ALIASES, STANDARD_NAMES, VARIABLES, Alias, Window, factor
from obsnet.met.readers.netcdf_axes import (
    has_time,
    horizontal,
    is_time,
    is_x,
    is_y,
    level_dim,
    levels,
    seconds,
    times,
)
from obsnet.met.readers.windows import ECMWF_MEANS, told_windows, windows_in_file
from obsnet.opening import open_netcdf4
from obsnet.reading import at_file, refuse_claims
from obsnet.typing import Floats, Singles

__all__ = ["SIGNS", "Datasets", "NetcdfReader", "canonical", "hybrid_pressure", "layer_pressure"]

_MEMBERS = {"number", "realization", "member", "ensemble", "ens"}
_STATIC = {"terrain", "surface_geopotential", "roughness"}
_SUMS = {f"{name}_{kind}" for name in FLUXES for kind in KINDS}
_NEAR = 1e-4  # relative difference of two files' levels that still makes them the same
SIGNS = {"up": 1.0, "down": -1.0}  # of a heat flux that counts so, against ours
_HIGHEST_TOP = 30000.0  # Pa, above the uppermost of layers
_THINNER = (
    3.0  # by how much, at least, the layers at the top are than those at the ground, where nothing else tells
)
_APART = 3.0 * 3600.0  # s, between surface fields that may be interpolated in time


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


def layer_pressure(fields: dict[str, Singles], ordered: bool, where: str) -> Singles:
    """Return the pressure in the middle of layers, Pa, shape (lev, y, x), in the order of the fields.

    Parameters
    ----------
    fields : dict
        With ``p``, or with ``delp`` and ``sp`` of all layers down to the ground.
    ordered : bool
        The layer at the ground is the first; else the thinner end is the top.
    where : str
        File, for errors.

    Raises
    ------
    MissingVariableError, FormatError
        Neither is there, which end is the ground cannot be told, or the layers do not fill the air above it.
    """
    if "p" in fields:
        return fields["p"]
    if not {"delp", "sp"} <= set(fields):
        raise MissingVariableError(f"{where}: layers without their pressure (PL, or DELP and PS)")
    thick = fields["delp"].astype(np.float64)
    first, last = thick[0].mean(), thick[-1].mean()
    if not ordered and max(first, last) < _THINNER * min(first, last):
        raise FormatError(
            f"{where}: layers whose axis does not say which way it counts (attribute positive), and of {first:.0f} and "
            f"{last:.0f} Pa at its ends; set it to up or down (ncatted)"
        )
    upward = ordered or first > last
    thick = thick if upward else thick[::-1]
    top = fields["sp"] - thick.sum(axis=0)
    if not (top.min() > -2.0 and top.max() < _HIGHEST_TOP):
        raise FormatError(
            f"{where}: layers of pressure (DELP) leave {top.min():.0f} to {top.max():.0f} Pa of the surface pressure "
            "above them; layers down to the ground are needed"
        )
    middle = np.asarray(fields["sp"] - np.cumsum(thick, axis=0) + 0.5 * thick, dtype=np.float32)
    return middle if upward else middle[::-1]


class Datasets:
    """Open netCDF files, a few at a time: a month of hourly files is more than a process may hold open."""

    def __init__(self, most: int = 32) -> None:
        self._most = most
        self._open: dict[Path, Any] = {}

    def __getitem__(self, path: Path) -> Any:
        at_file(path)
        if path in self._open:
            self._open[path] = self._open.pop(path)  # the latest goes last
            return self._open[path]
        while len(self._open) >= self._most:
            self._open.pop(next(iter(self._open))).close()
        try:
            self._open[path] = open_netcdf4(path)
        except (OSError, RuntimeError) as error:
            raise FormatError(f"{path}: cannot be read as netCDF ({error})") from None
        refuse_claims(path, self._open[path].variables)
        return self._open[path]

    def close(self) -> None:
        """Close what is open."""
        while self._open:
            self._open.popitem()[1].close()


@dataclass
class _Series:
    """Where a variable stands: by time, or once for all times."""

    places: dict[float, tuple[Path, int]] = field(default_factory=dict)
    spec: dict[Path, tuple[str, float]] = field(default_factory=dict)  # name there, and factor to our unit
    windows: dict[float, Window] = field(default_factory=dict)
    constant: Path | None = None


class NetcdfReader:
    """Fields of one or more netCDF files, time by time.

    Parameters
    ----------
    files : sequence of path
        Level and surface fields may be in one file or in several, a file an hour or a file a month.
    accumulated : str
        Over which time sums are taken where the files do not say; see `obsnet.met.options.MetOptions`.
    heat_flux : {"auto", "up", "down"}
        Which way heat fluxes count, where not as their names say.

    Attributes
    ----------
    times, surface_times : ndarray of float64
        Seconds since 1970, sorted: of fields on levels, and of fields at the surface.
    horizontal : Horizontal
        The grid of all files.
    """

    def __init__(self, files: Sequence[Path], accumulated: str = "auto", heat_flux: str = "auto") -> None:
        self.files = list(files)
        self.notes: list[str] = []
        self._told = accumulated
        self._heat_sign = SIGNS.get(heat_flux)
        self._data = Datasets()
        self._series: dict[str, _Series] = {}
        self.horizontal: Horizontal | None = None
        self._levels: tuple[str, Any] | None = None
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        """Look through all files."""
        for path in self.files:
            self._scan(path, self._data[path])
        moments = {t for name in ("u", "v") if name in self._series for t in self._series[name].places}
        self.times = np.array(sorted(moments))
        if self.times.size == 0:
            found = sorted(self._series) or ["nothing known"]
            raise MissingVariableError(
                f"{self.files[0]}{' …' if len(self.files) > 1 else ''}: no wind on levels (u, v); "
                f"found {', '.join(found)}"
            )
        self._settle()

    def close(self) -> None:
        """Close the files."""
        self._data.close()

    def variables(self) -> set[str]:
        """Return the canonical names there are."""
        return set(self._series)

    def _note(self, text: str) -> None:
        if text and text not in self.notes:
            self.notes.append(text)

    def _scan(self, path: Path, data: Any) -> None:
        stamps = times(path, data)
        grid = horizontal(path, data)
        if self.horizontal is None:
            self.horizontal = grid
        elif not self.horizontal.same_as(grid):
            raise GridError(
                f"{path}: grid of {grid.y.size} x {grid.x.size} differs from {self.files[0]} "
                f"({self.horizontal.y.size} x {self.horizontal.x.size}); bring the files to one grid first"
            )
        for name, variable in data.variables.items():
            dims = variable.dimensions
            if len(dims) < 2 or not (is_y(dims[-2]) and is_x(dims[-1])):
                continue
            level = level_dim(dims)
            if level is not None and data.dimensions[level].size == 1:
                level = None  # one level of a surface field, as lnsp comes from MARS
            unit, standard = getattr(variable, "units", None), getattr(variable, "standard_name", "")
            other = [
                d
                for d in dims[:-2]
                if d not in {level, "expver"} and not is_time(d) and data.dimensions[d].size > 1
            ]
            known = canonical(name, standard, unit, level is not None or bool(other), str(path))
            if known is None:
                continue
            if other:
                raise FormatError(_strange(path, name, other[0], data.dimensions[other[0]].size))
            if level is not None:
                self._check_levels(path, data, level, name)
                if "time-averaged" in str(getattr(data, "LongName", getattr(data, "Title", ""))).lower():
                    self._note("fields on levels are means over time, taken as those of its middle")
            alias, scale = known
            if self._heat_sign is not None and alias.variable.startswith("heat_flux"):
                scale = self._heat_sign * abs(scale)
            self._enter(path, data, name, alias, scale, stamps)

    def _enter(self, path: Path, data: Any, name: str, alias: Alias, scale: float, stamps: Floats) -> None:
        """Write down where a variable stands in a file."""
        series = self._series.setdefault(alias.variable, _Series())
        series.spec[path] = (name, scale)
        if not has_time(data[name].dimensions):
            series.constant = series.constant or path
            return
        for k, stamp in enumerate(stamps.tolist()):
            if stamp in series.places:
                where = (
                    "there twice" if series.places[stamp][0] == path else f"also in {series.places[stamp][0]}"
                )
                raise FormatError(f"{path}: {name!r} at {_iso(stamp)} is {where}; give each time once")
            series.places[stamp] = (path, k)
        if alias.variable in _SUMS:
            self._enter_windows(path, data, name, alias.variable, stamps)

    def _enter_windows(self, path: Path, data: Any, name: str, variable: str, stamps: Floats) -> None:
        windows = windows_in_file(path, data, name, stamps, lambda v, like: seconds(path, v, like))
        if windows is not None:
            self._note("sums and means of fluxes taken over the bounds of their times")
        elif name in ECMWF_MEANS:
            self._note("time-mean fluxes taken as means over the interval before their time")
            return  # once all times are known
        else:
            windows = told_windows(path, data, name, variable, stamps, self._told)
            self._note(f"sums and means of fluxes taken over the windows that were said ({self._told})")
        self._series[variable].windows.update(zip(stamps.tolist(), windows, strict=True))

    def _settle(self) -> None:
        """See which fields hold for all times, which lie between the others, and which times have surfaces alone."""
        surface: set[float] = set()
        for variable, series in self._series.items():
            if variable in _STATIC and len(series.places) == 1 and series.constant is None:
                # Once for all times, under a date of its own.
                stamp, (path, _) = next(iter(series.places.items()))
                if self.times.size > 1 or stamp not in self.times:
                    series.constant = path
            if series.constant is not None or VARIABLES[variable].levels or variable in _STATIC:
                continue
            if self._between(series):
                self._note("surface fields of the middle of their hours brought to the times of the levels")
            else:
                surface |= set(series.places)
        self.surface_times = np.array(sorted(surface))

    def _between(self, series: _Series) -> bool:
        """Tell whether all times of a variable lie between those of the levels, as means of hours do."""
        return not set(series.places) & set(self.times.tolist())

    def _check_levels(self, path: Path, data: Any, dim: str, name: str) -> None:
        kind, found, note = levels(path, data, dim)
        self._note(note)
        if self._levels is None:
            self._levels = (kind, found)
            return
        mine = self._levels[1][0]
        same = kind == self._levels[0] and found[0].shape == mine.shape
        if not same or not np.allclose(found[0], mine, rtol=_NEAR, atol=1e-3):
            counts = [np.shape(axis[0])[-1] for axis in (found, self._levels[1])]
            raise FormatError(
                f"{path}: the vertical levels of {name!r} ({counts[0]}) differ from those of {self.files[0]} "
                f"({counts[1]}); every variable needs the same levels"
            )

    def window(self, name: str, time: float) -> Window:
        """Return the time over which a sum or mean is taken."""
        windows = self._series[name].windows
        if time in windows:
            return windows[time]
        steps = np.diff(self.times)
        return Window(time - (float(np.median(steps)) if steps.size else 3600.0), time)

    def read(self, time: float) -> dict[str, Singles]:
        """Return all fields of one time, canonical names and units, surface first, ``(lev,) y, x``.

        Raises
        ------
        FormatError
            A variable that other times have is missing at this one.
        """
        assert self._levels is not None
        out = {name: self._at(name, series, time) for name, series in self._series.items()}
        kind, (values, order) = self._levels
        if kind == "pressure":
            out["p"] = np.asarray(values[order], dtype=np.float32)
        elif kind == "hybrid":
            out["p"] = hybrid_pressure(values[:, order], out)
        else:
            out["p"] = layer_pressure(out, kind == "own", str(self.files[0]))
            if out["p"][0].mean() < out["p"][-1].mean():
                out |= {n: v[::-1] for n, v in out.items() if VARIABLES[n].levels}
        out.pop("delp", None)
        return out

    def _at(self, variable: str, series: _Series, time: float) -> Singles:
        """Return a variable at a time."""
        if series.constant is not None:
            path = series.constant
            k = series.places[next(iter(series.places))][1] if series.places else None
            return self._field(path, series, k, VARIABLES[variable].levels)
        if time in series.places:
            path, k = series.places[time]
            return self._field(path, series, k, VARIABLES[variable].levels)
        if not VARIABLES[variable].levels and self._between(series):
            stamps = np.array(sorted(series.places))
            n = int(np.searchsorted(stamps, time))
            if 0 < n < stamps.size and stamps[n] - stamps[n - 1] <= _APART:
                share = np.float32((time - stamps[n - 1]) / (stamps[n] - stamps[n - 1]))
                low, high = (
                    self._field(*(series.places[s][0], series, series.places[s][1]), False)
                    for s in (stamps[n - 1], stamps[n])
                )
                return low + share * (high - low)
        raise FormatError(
            f"{VARIABLES[variable].text} is missing at {_iso(time)}; it is there at {len(series.places)} of "
            f"{self.times.size} times"
        )

    def _field(self, path: Path, series: _Series, k: int | None, levels: bool) -> Singles:
        name, scale = series.spec[path]
        variable = self._data[path].variables[name]
        dims = list(variable.dimensions)
        index: list[Any] = []
        for dim in dims[:-2]:
            is_level = levels and dim == level_dim(variable.dimensions)
            whole = is_level or dim == "expver"
            index.append(
                slice(None) if whole else (k if is_time(dim) else 0)
            )  # other dimensions have one entry
        try:
            raw = variable[(*index, slice(None), slice(None))]
        except (RuntimeError, OSError, IndexError) as error:
            raise FormatError(f"{path}: variable {name!r} cannot be read ({error})") from None
        values = np.ma.filled(np.ma.asarray(raw, dtype=np.float32), np.nan)
        if "expver" in dims:
            values = _merged(values, [d for d in dims[:-2] if not is_time(d)].index("expver"))
        if levels:
            assert self._levels is not None
            values = values[self._levels[1][1]]
        return values if scale == 1.0 else values * np.float32(scale)


def _merged(values: Singles, axis: int) -> Singles:
    """Return the first version of each value that there is: final ERA5 where it is, ERA5T after it."""
    parts = np.moveaxis(values, axis, 0)
    out = parts[0]
    for part in parts[1:]:
        out = np.where(np.isnan(out), part, out)
    return np.asarray(out)


def _strange(path: Path, name: str, dim: str, size: int) -> str:
    if dim in _MEMBERS:
        return (
            f"{path}: variable {name!r} has {size} members of an ensemble ({dim}); particles follow one weather, so "
            f"take one member (ncks -d {dim},0)"
        )
    return (
        f"{path}: variable {name!r} stands on {dim!r} with {size} entries, which is no vertical axis known here; give "
        "it the levels of the other variables, or one member of an ensemble"
    )


def _iso(stamp: float) -> str:
    from obsnet.times import from_epoch

    return str(from_epoch(stamp)).replace(".000000", "")
