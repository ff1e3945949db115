"""Files in, `Met` out: complete the fields of each time, turn them to heights above ground, write them once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from obsnet.config import validate
from obsnet.constants import GRAVITY
from obsnet.errors import FormatError, RangeError
from obsnet.met.boundary_layer import log_law_ustar, richardson_height, surface_layer, ustar_of_stress
from obsnet.met.complete import Fields, announce, complete
from obsnet.met.continuity import conserve_mass
from obsnet.met.fields import STATE, SURFACE, VERSION, WIND, Met
from obsnet.met.fluxes import FLUXES, KINDS, Rate, at_moment, check_tiling, rate_of
from obsnet.met.horizontal import Horizontal, Resampler
from obsnet.met.names import Window
from obsnet.met.options import MetOptions
from obsnet.met.prepared import contents, fingerprint, found, move_in, scratch
from obsnet.met.readers.archives import Unpacked
from obsnet.met.underground import fill_underground
from obsnet.met.vertical import LOWER, UPPER, air_velocity, level_heights, slopes, to_terrain_following
from obsnet.reading import reading
from obsnet.times import as_utc, from_epoch, to_epoch
from obsnet.typing import Floats, Singles
from obsnet.work import isolated
from obsnet.work.progress import progress

__all__ = ["MetReader", "build_met", "build_met_apart", "open_met"]

# Processor time that opening all files, or reading one time, may take in a process apart: some damaged files keep the
# HDF5 library busy for ever. Whole files are unpacked ten times faster than this.
_SECONDS, _SECONDS_A_FILE, _BYTES_A_SECOND = 600.0, 1.0, 1e7

# m above ground of the lowest level: beyond the first it is told where it occurs, beyond the second refused where it is
# the usual (few levels leave a few peaks far below).
_HIGH, _NO_HIGHER = 500.0, 1500.0


class MetReader(Protocol):
    """What a format must offer; see `obsnet.met.readers.netcdf.NetcdfReader`."""

    times: Floats  # of fields on levels, seconds since 1970
    surface_times: Floats  # of fields at the surface alone
    horizontal: Horizontal
    notes: list[str]

    def variables(self) -> set[str]:
        """Canonical names there are."""
        ...

    def read(self, time: float) -> Fields:
        """Fields of one time, canonical units, surface first."""
        ...

    def window(self, name: str, time: float) -> Window:
        """Over which time the sum or mean of a variable at this time is taken."""
        ...

    def close(self) -> None:
        """Close the files."""
        ...


@dataclass(frozen=True)
class _Asked:
    """What is wanted of the fields."""

    bounds: tuple[float, float, float, float] | None
    start: Any
    stop: Any
    options: MetOptions


@dataclass(frozen=True, eq=False)
class _State:
    """One time on the target grid: completed fields, and the fluxes of the interval that ends at it."""

    time: float
    fields: Fields
    rates: dict[str, Rate]


def open_met(
    files: Sequence[str | Path],
    *,
    bounds: tuple[float, float, float, float] | None = None,
    start: Any = None,
    stop: Any = None,
    **options: Any,
) -> Met:
    """Read meteorological files into memory; see `build_met` for the parameters.

    Examples
    --------
    ::

        met = open_met(["era5.nc"], start="2019-01-10", stop="2019-01-11", trim=True)
        met.profile("2019-01-10T06:00", 39.9, 116.4)["temperature"]
    """
    asked = _Asked(bounds, start, stop, validate(MetOptions, options, "meteorology"))
    with _Source(files, asked.options) as source:
        return _build(source, None, asked)


def build_met(
    files: Sequence[str | Path],
    folder: str | Path,
    *,
    bounds: tuple[float, float, float, float] | None = None,
    start: Any = None,
    stop: Any = None,
    **options: Any,
) -> Met:
    """Prepare meteorological files once, as memory-mapped arrays that all workers share.

    Parameters
    ----------
    files : sequence of path
        In any order; surface and level fields together or apart; archives of the Climate Data Store as they come.
    folder : path
        Of the arrays; appears whole or not at all. One that was prepared from files of the same content with the same
        options is used as it is, one that was prepared otherwise is replaced, anything else is refused.
    bounds : (south, north, west, east), optional
        Part of the domain to keep, degrees.
    start, stop : time, optional
        Period to keep; the times around it are kept too.
    **options
        Fields of `obsnet.met.options.MetOptions`.

    Returns
    -------
    Met
        Mapped from `folder`.

    Raises
    ------
    MissingVariableError, FormatError, GridError, RangeError, UnitError
        Missing variables or hours, uneven times, NaN, a domain or period too small; the text says which.

    Examples
    --------
    ::

        met = build_met(sorted(Path("ERA5").glob("2019-01-*.nc")), "met", bounds=(18, 54, 73, 135))
        met.profile("2019-01-10T06:00", 39.9, 116.4)["temperature"]
    """
    folder, asked = Path(folder), _Asked(bounds, start, stop, validate(MetOptions, options, "meteorology"))
    decides = {"bounds": bounds, "start": str(start), "stop": str(stop), "version": VERSION}
    hashes = contents(files, folder)
    mark = fingerprint(list(hashes.values()), {**decides, **asked.options.model_dump()})
    ready = found(folder, mark)
    if ready is not None:
        return ready
    # Jobs of an array may prepare the same fields at once: each beside the place, the first to end moves in.
    with scratch(folder) as own:
        with _Source(files, asked.options) as source:
            met = _build(source, own, asked)
        move_in(met, own, folder, mark, files, hashes)
        del met
    return Met.load(folder)


def build_met_apart(files: Sequence[str | Path], folder: str | Path, **options: Any) -> Met:
    """Do as `build_met` in a process that may die of a damaged file; the text of the error then names it.

    Opening the files, and reading each time, has a limit of processor time that grows with the files; what is made of
    them has none.
    """
    with isolated.Worker(isolated.Limits()) as worker:
        worker.call(_built, [str(f) for f in files], str(folder), options)
    return Met.load(folder)


def _built(files: Sequence[str], folder: str, options: dict[str, Any]) -> None:
    build_met(files, folder, **options)


class _Source:
    """The reader that fits the files, closed at the end."""

    def __init__(self, files: Sequence[str | Path], options: MetOptions) -> None:
        from obsnet.met.readers import reader_for

        self._unpacked = Unpacked([Path(f) for f in files])
        try:
            self.seconds = _allowed(self._unpacked.files)
            with isolated.held(self.seconds):
                self.reader: MetReader = reader_for(self._unpacked.files, options)
        except BaseException:
            self._unpacked.close()
            raise
        if options.winds != "auto":
            h = self.reader.horizontal
            self.reader.horizontal = Horizontal(h.y, h.x, h.crs, options.winds == "grid")

    def __enter__(self) -> Self:
        return self

    def fields(self, time: float) -> Fields:
        """Return the fields of one time as the files have them."""
        with isolated.held(self.seconds), reading("meteorology"):
            raw = self.reader.read(float(time))
        return fill_underground(raw)

    def __exit__(self, *_: object) -> None:
        self.reader.close()
        self._unpacked.close()


def _allowed(files: Sequence[Path]) -> float:
    """Return the processor time (s) that files may take to be opened, or one of their times to be read."""
    size = sum(f.stat().st_size for f in files if f.exists())
    return _SECONDS + _SECONDS_A_FILE * len(files) + size / _BYTES_A_SECOND


def _build(source: _Source, folder: Path | None, asked: _Asked) -> Met:
    reader = source.reader
    times = _period(reader, asked.start, asked.stop)
    notes = [*reader.notes, *announce(reader.variables())]
    first = source.fields(times[0])
    resampler = Resampler(reader.horizontal, asked.bounds, _edges(first, asked.options.trim, notes))
    lat, lon = resampler.lat, resampler.lon
    states = _states(source, resampler, times, first)
    heights: Floats | None = None
    out: dict[str, Any] = {}
    terrain, slope = np.zeros((0, 0), np.float32), np.zeros((2, 0, 0), np.float32)
    level = asked.options.vertical == "omega"
    with progress(times.size, "times of meteorology") as advance:
        for n, window in enumerate(_windows(states)):
            if heights is None:
                terrain = window[1].fields["terrain"]
                heights = _heights(window[1].fields, asked, notes)
                ground = np.zeros_like(terrain) if level else terrain.astype(np.float64)
                slope = np.array(slopes(ground, lat, lon), np.float32)
                out = _arrays(folder, (times.size, lat.size, lon.size), asked.options.levels)
            wind, state, surface = (out[name][n] for name in ("wind", "state", "surface"))
            _columns(heights, window, slope, lat, lon, wind, state, level)
            _surface(heights, window[1], window[2], wind, state, surface)
            advance(1)
    assert heights is not None
    if asked.options.vertical == "continuity":
        notes.append(_conserve(times, heights, lat, lon, out["wind"]))
    for name in ("wind", "state", "surface"):
        if not np.isfinite(out[name][..., :1]).all():
            raise RangeError(f"internal: prepared {name} is not finite")
    return Met(
        times, lat, lon, heights, out["wind"], out["state"], out["surface"], terrain, {"notes": notes}, folder
    )


def _heights(fields: Fields, asked: _Asked, notes: list[str]) -> Floats:
    """Return the terrain-following levels, no higher than the fields reach everywhere; refuse air that is unknown."""
    above = fields["height"] - fields["terrain"]
    lowest = np.where(above > 0.0, above, np.inf).min(axis=0)
    if (usual := float(np.median(lowest))) > _NO_HIGHER:
        raise RangeError(
            f"the lowest level of the fields is {usual:.0f} m above ground; air below it carries the particles, so "
            f"levels down to {_NO_HIGHER:.0f} m are needed at least"
        )
    if lowest.max() > _HIGH:
        share = 100.0 * float((lowest > _HIGH).mean())
        notes.append(
            f"the lowest level is up to {lowest.max():.0f} m above ground, beyond {_HIGH:.0f} m on {share:.0f} % of "
            "the nodes: winds below it are assumed"
        )
    reach = float(above[-1].min())
    if reach < 3000.0:
        raise RangeError(f"the fields end {reach:.0f} m above ground; 3000 m are needed at least")
    return level_heights(min(asked.options.top, 0.995 * reach), asked.options.levels)


def _arrays(folder: Path | None, shape: tuple[int, int, int], levels: int) -> dict[str, Singles]:
    dims = {"wind": (levels, len(WIND)), "state": (levels, len(STATE)), "surface": (len(SURFACE),)}
    return {name: _array(folder, name, (*shape, *more)) for name, more in dims.items()}


def _array(folder: Path | None, name: str, shape: tuple[int, ...]) -> Singles:
    if folder is None:
        return np.empty(shape, np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.npy"
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    with path.open("r+b") as stream:  # a disk that is full says so now; later the kernel would kill
        os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    return array


def _columns(
    heights: Floats,
    window: tuple[_State, _State, _State],
    slope: Singles,
    lat: Floats,
    lon: Floats,
    wind: Singles,
    state: Singles,
    level: bool,
) -> None:
    """Fill wind and state of one time; `level` takes omega as if ground and pressure surfaces were."""
    before, now, after = (s.fields for s in window)
    w = _omega_alone(now) if level else _vertical_velocity(before, now, after, lat, lon)
    more = {"w": w, "slope_x": slope[0], "slope_y": slope[1]}
    upper, lower = (np.stack([(more | now)[name] for name in names]) for names in (UPPER, LOWER))
    to_terrain_following(heights, upper, lower, bool(now["has_10m"]), wind, state)


def _conserve(times: Floats, heights: Floats, lat: Floats, lon: Floats, wind: Singles) -> str:
    """Make the vertical wind of all times conserve mass, and say by how much it was changed."""
    change = np.zeros(heights.size)
    last = times.size - 1
    for n in range(times.size):
        before, after = max(n - 1, 0), min(n + 1, last)
        span = float(times[after] - times[before])
        change += conserve_mass(wind[n], wind[before], wind[after], span, heights, lat, lon)
    sizes = [
        f"{1000 * np.sqrt(np.interp(z, heights, change / times.size)):.1f} mm/s at {z:.0f} m"
        for z in (100.0, 1000.0, 5000.0)
        if z < heights[-1]
    ]
    return f"vertical wind from the conservation of mass; the file's own differs by {', '.join(sizes)} (rms)"


def _surface(
    heights: Floats, now: _State, after: _State, wind: Singles, state: Singles, out: Singles
) -> None:
    """Fill the boundary-layer scales of one time."""
    fields = now.fields
    ustar, heat = (
        fields[name]
        if name in fields
        else at_moment(now.time, now.rates.get(name), after.rates.get(name))
        if name in now.rates or name in after.rates
        else None
        for name in ("ustar", "heat_flux")
    )
    if heat is None:
        heat = np.zeros_like(fields["sp"])
    if ustar is None:
        ustar = log_law_ustar(np.hypot(wind[..., 1, 0], wind[..., 1, 1]), heights[1], fields["roughness"])
    blh = fields.get("blh")
    if blh is None:
        blh = richardson_height(heights, wind, state, ustar, heat)
    surface_layer(heights, wind, state, blh, ustar, heat, out)


def _period(reader: MetReader, start: Any, stop: Any) -> Floats:
    """Return the times that cover start to stop; they must be evenly spaced, and none may be known in part only."""
    times = reader.times
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
    surface = reader.surface_times
    ends = (-np.inf if start is None else kept[0], np.inf if stop is None else kept[-1])
    lost = np.setdiff1d(surface[(surface >= ends[0]) & (surface <= ends[1])], times)
    if lost.size:
        raise FormatError(
            f"surface fields are there at {from_epoch(lost[0])} and fields on levels are not ({lost.size} such times); "
            "add the missing files of levels, or take those times out of the surface files"
        )
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


def _states(source: _Source, resampler: Resampler, times: Floats, first: Fields) -> Iterator[_State]:
    """Yield each time, completed."""
    reader = source.reader
    known = {f"{name}_{kind}": (name, kind) for name in FLUXES for kind in KINDS}
    known = {key: of for key, of in known.items() if key in reader.variables()}
    sums: dict[str, tuple[Singles, Window]] = {}
    last: dict[str, Rate] = {}
    earlier = reader.times[reader.times < times[0] - 1e-3]
    if known and earlier.size:
        # The window of the first time may have begun before it.
        before = float(earlier[-1])
        fields = complete(source.fields(before), resampler, before)
        sums = {key: (fields[key], reader.window(key, before)) for key in known}
    for n, time in enumerate(times.tolist()):
        raw = first if n == 0 else source.fields(time)
        fields = complete(raw, resampler, time)
        rates: dict[str, Rate] = {}
        for key, (name, kind) in known.items():
            values, window = fields.pop(key), reader.window(key, time)
            rate = rate_of(name, kind, values, window, sums.get(key))
            sums[key] = (values, window)
            if rate is not None and name not in rates:
                if n:
                    check_tiling(name, rate, float(times[n - 1]), last.get(name))
                rates[name] = rate
        last = dict(rates)
        if "ustar" not in fields:
            _friction(fields, rates)
        yield _State(time, fields, rates)


def _friction(fields: Fields, rates: dict[str, Rate]) -> None:
    """Turn stress into friction velocity, of the moment or of the interval."""
    if "stress_u" in fields:
        fields["ustar"] = ustar_of_stress(fields["stress_u"], fields["stress_v"], fields["sp"], fields["t2m"])
    elif "stress_u" in rates and "stress_v" in rates:
        one = rates["stress_u"]
        values = ustar_of_stress(one.values, rates["stress_v"].values, fields["sp"], fields["t2m"])
        rates["ustar"] = Rate(values, one.start, one.end)


def _windows(states: Iterator[_State]) -> Iterator[tuple[_State, _State, _State]]:
    """Yield each time with the ones before and after it; the ends stand in for what is missing."""
    before = now = next(states)
    for after in states:
        yield before, now, after
        before, now = now, after
    yield before, now, now


def _omega_alone(now: Fields) -> Singles:
    """Return -omega / (rho g), or the file's dz/dt where it has that."""
    return now["w"] if "w" in now else -now["omega"] / (now["density"] * np.float32(GRAVITY))


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
