"""Files in, `Met` out: complete the fields of each time, turn them to heights above ground, write them once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from obsnet.constants import GRAVITY, R_DRY_AIR
from obsnet.errors import FormatError, MissingVariableError, RangeError
from obsnet.met.boundary_layer import log_law_ustar, richardson_height, ustar_of_stress
from obsnet.met.fields import STATE, SURFACE, VERSION, WIND, Met
from obsnet.met.horizontal import Horizontal, Resampler
from obsnet.met.names import VARIABLES
from obsnet.met.vertical import (
    VAPOUR,
    _horizontal,
    air_velocity,
    heights_from_pressure,
    level_heights,
    surface_layer,
    to_terrain_following,
)
from obsnet.reading import reading
from obsnet.times import as_utc, from_epoch, to_epoch
from obsnet.typing import Floats, Singles
from obsnet.work import isolated
from obsnet.work.progress import progress

__all__ = ["Reader", "build_met", "build_met_apart", "open_met"]

Fields = dict[str, Singles]
ROUGHNESS = 0.1  # m, where the file gives none: open country with crops
# Fluxes of the interval before the time that they carry, and what divides them: ERA5 sums over an hour.
_BEFORE = {"accumulated": 3600.0, "mean": 1.0}
_FLUXES = ("heat_flux", "stress_u", "stress_v")
_VECTORS = ("u", "v", "u10", "v10", "stress_u", "stress_v") + tuple(
    f"stress_{axis}_{kind}" for kind in _BEFORE for axis in "uv"
)
LAPSE = 0.0065  # K m-1, to carry temperature to the ground where there is no 2 m temperature


class Reader(Protocol):
    """What a format must offer; see `obsnet.met.readers.netcdf.NetcdfReader`."""

    times: Floats
    horizontal: Horizontal
    notes: list[str]

    def variables(self) -> set[str]:
        """Canonical names there are."""
        ...

    def read(self, time: float) -> Fields:
        """Fields of one time, canonical units, surface first."""
        ...

    def close(self) -> None:
        """Close the files."""
        ...


def open_met(
    files: Sequence[str | Path],
    *,
    bounds: tuple[float, float, float, float] | None = None,
    start: Any = None,
    stop: Any = None,
    top: float = 20000.0,
    levels: int = 48,
    trim: bool = False,
    winds: str = "auto",
) -> Met:
    """Read meteorological files into memory; see `build_met` for the parameters."""
    with _source(files, winds) as reader:
        return _build(reader, None, bounds, start, stop, top, levels, trim)


def build_met(
    files: Sequence[str | Path],
    folder: str | Path,
    *,
    bounds: tuple[float, float, float, float] | None = None,
    start: Any = None,
    stop: Any = None,
    top: float = 20000.0,
    levels: int = 48,
    trim: bool = False,
    winds: str = "auto",
) -> Met:
    """Prepare meteorological files once, as memory-mapped arrays that all workers share.

    Parameters
    ----------
    files : sequence of path
        In any order; surface and level fields together or apart.
    folder : path
        Of the arrays; appears whole or not at all. One that was prepared from the same files with the same options
        is used as it is.
    bounds : (south, north, west, east), optional
        Part of the domain to keep, degrees.
    start, stop : time, optional
        Period to keep; the times around it are kept too.
    top : float
        Highest level above ground, m; lower where the files end lower.
    levels : int
        Terrain-following levels.
    trim : bool
        Cut off edge rows and columns that hold NaN (and say so) instead of refusing them.
    winds : {"auto", "earth", "grid"}
        What the wind components of a projected grid are along; auto believes the file.

    Returns
    -------
    Met
        Mapped from `folder`.

    Raises
    ------
    MissingVariableError, FormatError, GridError, RangeError, UnitError
        Missing variables or hours, uneven times, NaN, a domain or period too small; the text says which.
    """
    folder = Path(folder)
    options = {"bounds": bounds, "start": str(start), "stop": str(stop), "top": top, "levels": levels}
    options |= {"trim": trim, "winds": winds, "version": VERSION}
    stats = [(str(Path(f).resolve()), Path(f).stat().st_size, Path(f).stat().st_mtime_ns) for f in files]
    mark = hashlib.sha256(json.dumps([options, sorted(stats)]).encode()).hexdigest()[:16]
    found = _prepared(folder, mark)
    if found is not None:
        return found
    # Jobs of an array may prepare the same fields at once: each beside the place, the first to end moves in.
    own = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(own, ignore_errors=True)
    try:
        with _source(files, winds) as reader:
            met = _build(reader, own, bounds, start, stop, top, levels, trim)
        met.meta["fingerprint"] = mark
        met.save(own)
        del met
        try:
            own.rename(folder)
        except OSError:  # something stands there
            if _prepared(folder, mark) is None:
                shutil.rmtree(folder, ignore_errors=True)
                own.rename(folder)
    finally:
        shutil.rmtree(own, ignore_errors=True)
    return Met.load(folder)


def build_met_apart(files: Sequence[str | Path], folder: str | Path, **options: Any) -> Met:
    """Do as `build_met` in a process that may die of a damaged file; the text of the error then names it."""
    with isolated.Worker(isolated.Limits()) as worker:
        worker.call(_built, [str(f) for f in files], str(folder), options)
    return Met.load(folder)


def _built(files: Sequence[str], folder: str, options: dict[str, Any]) -> None:
    build_met(files, folder, **options)


def _prepared(folder: Path, mark: str) -> Met | None:
    """Return fields that were prepared from the same files with the same options."""
    try:
        found = Met.load(folder)
    except FormatError:
        return None
    return found if found.meta.get("fingerprint") == mark else None


class _source:
    """The reader that fits the files, closed at the end."""

    def __init__(self, files: Sequence[str | Path], winds: str = "auto") -> None:
        from obsnet.met.readers import reader_for

        if winds not in {"auto", "earth", "grid"}:
            raise FormatError(f"winds = {winds!r} is not one of auto, earth, grid")
        self.reader = reader_for([Path(f) for f in files])
        if winds != "auto":
            h = self.reader.horizontal
            self.reader.horizontal = Horizontal(h.y, h.x, h.crs, winds == "grid")

    def __enter__(self) -> Reader:
        return self.reader

    def __exit__(self, *_: object) -> None:
        self.reader.close()


def _build(
    reader: Reader,
    folder: Path | None,
    bounds: tuple[float, float, float, float] | None,
    start: Any,
    stop: Any,
    top: float,
    levels: int,
    trim: bool,
) -> Met:
    times = _period(reader.times, start, stop)
    notes = list(reader.notes)
    _announce(reader.variables(), notes)
    first = _fields(reader, times[0])
    resampler = Resampler(reader.horizontal, bounds, _edges(first, trim, notes))
    lat, lon = resampler.lat, resampler.lon
    states = _states(reader, resampler, times, first)
    heights: Floats | None = None
    out: dict[str, Any] = {}
    terrain: Singles | None = None
    with progress(times.size, "times of meteorology") as advance:
        for n, (before, now, after) in enumerate(_windows(states)):
            if heights is None or terrain is None:
                terrain = now["terrain"]
                reach = float((now["height"][-1] - terrain).min())
                if reach < 3000.0:
                    raise RangeError(f"the fields end {reach:.0f} m above ground; 3000 m are needed at least")
                heights = level_heights(min(top, 0.995 * reach), levels)
                slope = [s.astype(np.float32) for s in _horizontal(terrain.astype(np.float64), lat, lon)]
                shape = (times.size, lat.size, lon.size)
                for name, dims in (
                    ("wind", (levels, len(WIND))),
                    ("state", (levels, len(STATE))),
                    ("surface", (len(SURFACE),)),
                ):
                    out[name] = _array(folder, name, (*shape, *dims))
            w = _vertical_velocity(before, now, after, lat, lon)
            upper = [
                np.ascontiguousarray(x)
                for x in (*(now[k] for k in ("p", "height", "u", "v")), w, now["t"], now["q"])
            ]
            lower = [now["sp"], now["terrain"], *slope, *(now[k] for k in ("t2m", "u10", "v10", "roughness"))]
            arguments: list[Any] = [
                heights,
                *upper,
                *lower,
                bool(now["has_10m"]),
                out["wind"][n],
                out["state"][n],
            ]
            to_terrain_following(*arguments)
            wind, state = out["wind"][n], out["state"][n]
            ustar, blh, heat = now.get("ustar"), now.get("blh"), now["heat_flux"]
            if now["earlier"]:
                # Means over the interval before: this moment lies between it and the next.
                heat = np.asarray(0.5 * (heat + after["heat_flux"]), np.float32)
                ustar = ustar if ustar is None else np.asarray(0.5 * (ustar + after["ustar"]), np.float32)
            if ustar is None:
                ustar = log_law_ustar(
                    np.hypot(wind[..., 1, 0], wind[..., 1, 1]), heights[1], now["roughness"]
                )
            if blh is None:
                blh = richardson_height(heights, wind, state, ustar, heat)
            surface_layer(heights, wind, state, blh, ustar, heat, out["surface"][n])
            advance(1)
    assert heights is not None
    assert terrain is not None
    for name in ("wind", "state", "surface"):
        if not np.isfinite(out[name][..., :1]).all():
            raise RangeError(f"internal: prepared {name} is not finite")
    return Met(
        times, lat, lon, heights, out["wind"], out["state"], out["surface"], terrain, {"notes": notes}, folder
    )


def _fields(reader: Reader, time: float) -> Fields:
    with reading("meteorology"):
        return reader.read(float(time))


def _array(folder: Path | None, name: str, shape: tuple[int, ...]) -> Singles:
    if folder is None:
        return np.empty(shape, np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.npy"
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    with path.open("r+b") as stream:  # a disk that is full says so now; later the kernel would kill
        os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    return array


def _period(times: Floats, start: Any, stop: Any) -> Floats:
    """Return the times that cover start to stop; they must be evenly spaced."""
    first = times[0] if start is None else float(to_epoch(as_utc(start)))
    last = times[-1] if stop is None else float(to_epoch(as_utc(stop)))
    if first < times[0] - 1e-3 or last > times[-1] + 1e-3:
        raise RangeError(
            f"the meteorology covers {from_epoch(times[0])} to {from_epoch(times[-1])}; "
            f"asked for {from_epoch(first)} to {from_epoch(last)}; add files, or ask for less (start, stop)"
        )
    low = int(np.searchsorted(times, first + 1e-3) - 1)
    high = int(np.searchsorted(times, last - 1e-3))
    kept = times[max(low, 0) : min(high, times.size - 1) + 1]
    if kept.size > 1:
        steps = np.diff(kept)
        usual = float(np.median(steps))
        gap = np.flatnonzero(np.abs(steps - usual) > 1.0)
        if gap.size:
            k = int(gap[0])
            raise FormatError(
                f"the meteorology is every {usual / 3600:g} h but {from_epoch(kept[k])} is followed by "
                f"{from_epoch(kept[k + 1])}; add the missing hours"
            )
    return kept


def _edges(first: Fields, trim: bool, notes: list[str]) -> tuple[slice, slice]:
    """Find edge rows and columns with NaN; refuse or cut them."""
    ny, nx = (int(n) for n in first["u"].shape[-2:])
    bad = np.zeros((ny, nx), dtype=bool)
    for values in first.values():
        if values.ndim >= 2:
            bad |= ~np.isfinite(values).reshape(-1, ny, nx).all(axis=0)
    if not bad.any():
        return slice(None), slice(None)
    rows, columns = [0, ny], [0, nx]
    # Take off the edge with the largest share of NaN until none is left.
    while True:
        part = bad[rows[0] : rows[1], columns[0] : columns[1]]
        if not part.size:
            raise RangeError("the meteorological fields hold no block without NaN")
        if not part.any():
            break
        edges = [part[0].mean(), part[-1].mean(), part[:, 0].mean(), part[:, -1].mean()]
        worst = int(np.argmax(edges))
        if edges[worst] == 0.0:
            raise RangeError(
                f"{int(part.sum())} of {part.size} nodes inside the meteorological domain are NaN"
            )
        if worst == 0:
            rows[0] += 1
        elif worst == 1:
            rows[1] -= 1
        elif worst == 2:
            columns[0] += 1
        else:
            columns[1] -= 1
    lost = (
        f"{rows[0]} rows at the start and {ny - rows[1]} at the end, {columns[0]} columns at the start "
        f"and {nx - columns[1]} at the end"
    )
    if not trim:
        raise RangeError(
            f"{int(bad.sum())} nodes at the edge of the meteorological domain are NaN; to cut off {lost}, set trim"
        )
    notes.append(f"NaN edges cut off: {lost}")
    return slice(*rows), slice(*columns)


def _announce(names: set[str], notes: list[str]) -> None:
    """Refuse what cannot be done without, and note what is assumed instead of the rest."""
    for wanted in ({"u"}, {"v"}, {"t"}, {"sp", "lnsp"}, {"omega", "w"}):
        if not wanted & names:
            what = " or ".join(VARIABLES[v].text for v in sorted(wanted))
            raise MissingVariableError(
                f"meteorology without {what} ({'/'.join(sorted(wanted))}); found {', '.join(sorted(names))}"
            )
    if not {"height", "geopotential"} & names and not {"terrain", "surface_geopotential"} & names:
        raise MissingVariableError(
            "meteorology without terrain: a surface geopotential, or geopotential on levels, is needed"
        )
    for wanted, text in (
        ({"q", "rh"}, "no humidity: dry air assumed"),
        ({"blh"}, "no boundary-layer height: bulk Richardson number (critical 0.25)"),
        ({"u10"}, "no 10 m wind: logarithmic profile from the lowest level"),
        ({"t2m"}, "no 2 m temperature: carried down from the lowest level at 6.5 K/km"),
        (
            {"ustar", "stress_u", *(f"stress_u_{kind}" for kind in _BEFORE)},
            "no friction velocity or stress: logarithmic law with the lowest wind",
        ),
        (
            {"heat_flux", *(f"heat_flux_{kind}" for kind in _BEFORE)},
            "no sensible heat flux: neutral stability assumed",
        ),
        ({"roughness"}, f"no roughness length: {ROUGHNESS:g} m assumed"),
    ):
        if not wanted & names:
            notes.append(text)
    if "heat_flux_accumulated" in names and "heat_flux" not in names:
        notes.append("accumulated fluxes taken as sums over the hour before their time, as in ERA5")
    elif "heat_flux_mean" in names and "heat_flux" not in names:
        notes.append("time-mean fluxes taken as means over the interval before their time")


def _states(reader: Reader, resampler: Resampler, times: Floats, first: Fields) -> Iterator[Fields]:
    for n, time in enumerate(times):
        raw = first if n == 0 else _fields(reader, time)
        yield _complete(raw, resampler, float(time))


def _windows(states: Iterator[Fields]) -> Iterator[tuple[Fields, Fields, Fields]]:
    """Yield each time with the ones before and after it; the ends stand in for what is missing."""
    before = now = next(states)
    for after in states:
        yield before, now, after
        before, now = now, after
    yield before, now, now


def _complete(raw: Fields, resampler: Resampler, time: float) -> Fields:
    """Bring one time to the target grid and fill in what follows from the rest."""
    out: Fields = {}
    for name, values in raw.items():
        if name not in _VECTORS:
            out[name] = resampler(values) if values.ndim > 1 else values
    for a, b in zip(_VECTORS[::2], _VECTORS[1::2], strict=True):
        if a in raw and b in raw:
            out[a], out[b] = resampler.wind(raw[a], raw[b])
    shape = out["u"].shape
    out["time"], out["on_pressure"] = np.array(time), np.array(out["p"].ndim == 1)
    if out["p"].ndim == 1:
        out["p"] = np.broadcast_to(out["p"][:, None, None], shape).astype(np.float32)
    if "sp" not in out:
        out["sp"] = np.exp(out["lnsp"])
    if "q" not in out:
        out["q"] = (
            _specific_humidity(out["rh"], out["t"], out["p"]) if "rh" in out else np.zeros(shape, np.float32)
        )
    for variable in ("geopotential", "surface_geopotential"):
        target = {"geopotential": "height", "surface_geopotential": "terrain"}[variable]
        if target not in out and variable in out:
            out[target] = out[variable] / np.float32(GRAVITY)
    for name, values in out.items():
        limits = VARIABLES.get(name)
        if limits is None:
            continue
        low, high = float(np.min(values)), float(np.max(values))
        if not (low >= limits.low and high <= limits.high):
            raise RangeError(
                f"{limits.text} at {from_epoch(time)} spans {low:g} to {high:g} {limits.unit}, outside "
                f"{limits.low:g} to {limits.high:g}"
            )
    if "terrain" not in out:
        out["terrain"] = _height_at(out["sp"], out["p"], out["height"])
    if "height" not in out:
        out["height"] = heights_from_pressure(out["p"], out["t"], out["q"], out["sp"], out["terrain"])
    virtual = out["t"] * (1.0 + np.float32(VAPOUR) * out["q"])
    out["density"] = np.asarray(out["p"] / (np.float32(R_DRY_AIR) * virtual), dtype=np.float32)
    flat = shape[1:]
    out["has_10m"] = np.array("u10" in out and "v10" in out)
    for name in ("u10", "v10"):
        out.setdefault(name, np.zeros(flat, np.float32))
    if "t2m" not in out:
        k = (out["height"] <= out["terrain"]).sum(axis=0)[None].clip(0, shape[0] - 1)
        lowest, at = (np.take_along_axis(out[n], k, 0)[0] for n in ("t", "height"))
        out["t2m"] = (lowest + LAPSE * (at - out["terrain"])).astype(np.float32)
    out.setdefault("roughness", np.full(flat, ROUGHNESS, np.float32))
    out["roughness"] = np.clip(out["roughness"], 1e-5, 3.0).astype(np.float32)
    out["earlier"] = np.array(False)
    for kind, seconds in _BEFORE.items():
        for name in _FLUXES:
            total = out.pop(f"{name}_{kind}", None)
            if total is not None and name not in out:
                out[name] = total / np.float32(seconds)
                out["earlier"] = np.array(True)
    out.setdefault("heat_flux", np.zeros(flat, np.float32))
    if "ustar" not in out and "stress_u" in out:
        out["ustar"] = ustar_of_stress(out["stress_u"], out["stress_v"], out["sp"], out["t2m"])
    return out


def _specific_humidity(rh: npt.NDArray, t: npt.NDArray, p: npt.NDArray) -> Singles:
    """Return specific humidity from relative humidity over water (Bolton 1980, eq. 10), in %."""
    vapour = 0.01 * np.clip(rh, 0.0, 100.0) * 611.2 * np.exp(17.67 * (t - 273.15) / (t - 29.65))
    vapour = np.minimum(vapour, 0.3 * p)
    return np.asarray(0.622 * vapour / (p - 0.378 * vapour), dtype=np.float32)


def _height_at(sp: npt.NDArray, p: npt.NDArray, height: npt.NDArray) -> Singles:
    """Return the height where the pressure is the surface's, linear in log p, carried on below the lowest level."""
    k = np.clip((p > sp).sum(axis=0), 1, p.shape[0] - 1)[None]
    low, high = (np.take_along_axis(np.log(p), n, 0)[0] for n in (k - 1, k))
    za, zb = (np.take_along_axis(height, n, 0)[0] for n in (k - 1, k))
    return np.asarray(za + (np.log(sp) - low) / (high - low) * (zb - za), dtype=np.float32)


def _vertical_velocity(before: Fields, now: Fields, after: Fields, lat: Floats, lon: Floats) -> Singles:
    """Return dz/dt relative to the sea, from the file's own or from pressure velocity."""
    if "w" in now:
        return now["w"]
    span = float(after["time"] - before["time"])
    rates = [(after[k] - before[k]) / span if span else np.zeros_like(now[k]) for k in ("height", "p")]
    on_pressure = bool(now["on_pressure"])
    return air_velocity(
        omega=now["omega"],
        u=now["u"],
        v=now["v"],
        density=now["density"],
        height=now["height"],
        height_rate=rates[0],
        pressure_rate=0.0 if on_pressure else rates[1],
        pressure=now["p"],
        lat=lat,
        lon=lon,
    )
