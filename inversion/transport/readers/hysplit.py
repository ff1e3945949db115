"""HYSPLIT concentration output ``cdump``: unformatted big-endian records, full or sparse.

A backward run leaves a footprint in the lowest level, but the file says neither what was released nor in
which unit the sums are, so the user must:

- ``unit="ppm / (umol m-2 s-1)"`` for output that is a footprint already (a run in STILT mode, ICHEM = 8, with
  the emission rate set so that the sums come out in that unit);
- ``released_mass`` (in the mass unit of the run) and ``source_density`` for mass concentrations C. The lowest
  level of height h and area A then gives the sensitivity M A C dt / (rho m), with M the molar mass of dry
  air, m the mass released and dt the sampling time: Lin et al. (2003), doi:10.1029/2002JD003161, eq. 8, with
  C = m / (N A h) sum(residence time) / dt.

Record layout: HYSPLIT User's Guide, "Concentration packing".
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from inversion.transport.files.footprint import UNIT, FootprintFile, ReceptorBlock
from inversion.transport.files.probe import Probe
from inversion.transport.readers.common import axes, check_values, factor, receptors
from inversion.transport.readers.flexpart import standard_density
from inversion.transport.readers.options import ReaderOptions
from obsnet.constants import MOLAR_MASS_DRY_AIR
from obsnet.errors import FormatError, UnitError
from obsnet.typing import Floats, Ints, Singles, Times

__all__ = ["Dump", "matches", "open_file", "read_dump"]


class Dump(NamedTuple):
    """A whole cdump file.

    Parameters
    ----------
    model : str
        Four letters that name the meteorology.
    releases : list of dict
        ``time, latitude, longitude, height_m``.
    lat, lon : ndarray
        Grid points: centres of cells, as HYSPLIT sums.
    levels : ndarray of int
        Tops of the levels, m above ground; 0 is deposition.
    species : list of str
        Four-letter names.
    start, end : ndarray of datetime64
        Sampling intervals; end before start in a backward run.
    values : ndarray of float32, shape (time, species, level, lat, lon)
        As in the file.
    """

    model: str
    releases: list[dict[str, Any]]
    lat: Floats
    lon: Floats
    levels: Ints
    species: list[str]
    start: Times
    end: Times
    values: Singles


def matches(found: Probe) -> bool:
    """Tell a cdump by the length of its first record."""
    return found.container == "fortran"


def open_file(found: Probe, options: ReaderOptions) -> FootprintFile:
    """Open a backward cdump; see `inversion.transport.readers.open_footprints`."""
    path = found.path
    dump = read_dump(path)
    if (dump.end > dump.start).all():
        raise FormatError(
            f"{path}: the sampling intervals run forward from {dump.start[0]} to {dump.end[-1]}: "
            "concentrations of a forward run are no footprint"
        )
    if len(dump.species) > 1 or len({tuple(r.values()) for r in dump.releases}) > 1:
        raise FormatError(
            f"{path}: {len(dump.species)} pollutants and {len(dump.releases)} release points; a footprint "
            "has one of each"
        )
    air = np.flatnonzero(dump.levels > 0)
    if not air.size:
        raise FormatError(f"{path}: no level above ground, found {dump.levels.tolist()}")
    where = axes(dump.lat, dump.lon, path)
    field = where.sort(dump.values[:, 0, air[0]].astype(np.float64))
    notes = [f"lowest level, 0 to {dump.levels[air[0]]} m, of {dump.model}"]
    hours = np.abs(dump.start - dump.end)
    if options.unit is not None:
        scale, unit = factor(options.unit, options, path, "cdump")
        field = field * scale
    elif options.released_mass is not None and options.source_density is not None:
        unit = "mass m-3"
        density = options.source_density
        if density == "standard":
            notes.append("air density is that of the standard atmosphere at sea level, not the run's")
            density = float(standard_density(0.5 * dump.levels[air[0]]))
        seconds = (hours / np.timedelta64(1, "s")).astype(np.float64)
        field = field * (
            MOLAR_MASS_DRY_AIR
            * where.grid.cell_area
            * seconds[:, None, None]
            / (density * options.released_mass)
        )
    else:
        raise UnitError(
            f"{path}: a cdump does not say its unit. Say unit={UNIT!r} if the run made footprints (STILT "
            "mode), or released_mass and source_density if it holds mass concentrations (--unit, or "
            "--released-mass and --source-density)"
        )
    order = np.argsort(dump.end)
    values = check_values(field[order], path, signed=False)[None]
    begin, end = np.minimum(dump.start, dump.end)[order], np.maximum(dump.start, dump.end)[order]
    release = dump.releases[0]
    time = release["time"]
    row = {**release, "time_start": time, "time_end": time}

    def load(_start: int, _stop: int) -> ReceptorBlock:
        return ReceptorBlock(values, begin[None], end[None], np.ones(begin.size, dtype=bool))

    return FootprintFile(
        path=path,
        format="hysplit",
        model=f"HYSPLIT {dump.model}",
        grid=where.grid,
        receptors=receptors([row], "hysplit", path),
        unit=unit,
        load=load,
        bytes_per_receptor=values.nbytes,
        span=(begin[0], end[-1]),
        weighting=options.weighting or "none",
        kind=options.kind,
        notes=tuple(notes),
    )


def read_dump(path: Path) -> Dump:
    """Read a cdump file.

    Raises
    ------
    FormatError
        Records that do not fit together: cut off, or no cdump.
    """
    records = _Records(path)
    model, *_, n_release, packed = struct.unpack(">4s7i", records.next(32))
    releases = []
    for _ in range(n_release):
        y, mo, d, h, lat, lon, height, mi = struct.unpack(">4i3fi", records.next(32))
        releases.append(
            {"time": _time(y, mo, d, h, mi, path), "latitude": lat, "longitude": lon, "height_m": height}
        )
    nlat, nlon, dlat, dlon, lat0, lon0 = struct.unpack(">2i4f", records.next(24))
    levels = _counted(records.next(), ">i4", path)
    names = [n.decode("ascii", "replace") for n in _counted(records.next(), "S4", path)]
    start: list[np.datetime64] = []
    end: list[np.datetime64] = []
    fields: list[Singles] = []
    while not records.done:
        for stamps in (start, end):
            y, mo, d, h, mi, _ = struct.unpack(">6i", records.next(24))
            stamps.append(_time(y, mo, d, h, mi, path))
        fields.append(np.zeros((len(names), levels.size, nlat, nlon), dtype=np.float32))
        for _ in range(len(names) * levels.size):
            body = records.next()
            name, level = body[:4].decode("ascii", "replace"), int.from_bytes(body[4:8], "big", signed=True)
            if name not in names or level not in levels:
                raise FormatError(
                    f"{path}: record of {name!r} at {level} m, which the header does not announce"
                )
            into = fields[-1][names.index(name), int(np.flatnonzero(levels == level)[0])]
            if packed:
                points = np.frombuffer(body, [("i", ">i2"), ("j", ">i2"), ("v", ">f4")], offset=12)
                if points.size != int.from_bytes(body[8:12], "big"):
                    raise FormatError(
                        f"{path}: record of {name!r} at {level} m holds {points.size} points, not as it says"
                    )
                if points.size and not (
                    points["i"].min() >= 1
                    and points["i"].max() <= nlon
                    and points["j"].min() >= 1
                    and points["j"].max() <= nlat
                ):
                    raise FormatError(
                        f"{path}: record of {name!r} at {level} m has points outside its grid of {nlat} x "
                        f"{nlon}"
                    )
                into[points["j"] - 1, points["i"] - 1] = points["v"]
            else:
                full = np.frombuffer(body, ">f4", offset=8)
                if full.size != nlat * nlon:
                    raise FormatError(
                        f"{path}: record of {name!r} at {level} m holds {full.size} values, not {nlat * nlon}"
                    )
                into[...] = full.reshape(nlat, nlon)
    if not fields:
        raise FormatError(f"{path}: no sampling interval in the file")
    # float32 steps such as 0.3 and 0.05 are meant as decimals.
    step_lat, step_lon, first_lat, first_lon = (
        float(np.format_float_positional(np.float32(v), trim="-")) for v in (dlat, dlon, lat0, lon0)
    )
    return Dump(
        model.decode("ascii", "replace").strip(),
        releases,
        first_lat + step_lat * np.arange(nlat),
        first_lon + step_lon * np.arange(nlon),
        levels.astype(np.int64),
        names,
        np.array(start, dtype="datetime64[us]"),
        np.array(end, dtype="datetime64[us]"),
        np.stack(fields),
    )


class _Records:
    """Fortran unformatted records: each between two copies of its length."""

    def __init__(self, path: Path) -> None:
        self.path, self.data, self.at = path, path.read_bytes(), 0

    @property
    def done(self) -> bool:
        return self.at >= len(self.data)

    def next(self, size: int | None = None) -> bytes:
        head = self.data[self.at : self.at + 4]
        length = int.from_bytes(head, "big")
        body = self.data[self.at + 4 : self.at + 4 + length]
        tail = self.data[self.at + 4 + length : self.at + 8 + length]
        if len(head) < 4 or tail != head or (size is not None and length != size):
            raise FormatError(
                f"{self.path}: record at byte {self.at} is not as a cdump has it; is the file cut off, or "
                "another format?"
            )
        self.at += 8 + length
        return body


def _counted(body: bytes, kind: str, path: Path) -> npt.NDArray[Any]:
    out = np.frombuffer(body, kind, offset=4)
    if out.size != int.from_bytes(body[:4], "big"):
        raise FormatError(f"{path}: a header record holds {out.size} items, not as it says")
    return out


def _time(year: int, month: int, day: int, hour: int, minute: int, path: Path) -> np.datetime64:
    # Two-digit years, as in all of HYSPLIT: 40 to 99 are the last century's.
    year += 0 if year >= 100 else 1900 if year >= 40 else 2000
    try:
        return np.datetime64(f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}", "us")
    except ValueError as error:
        raise FormatError(f"{path}: {year}-{month}-{day} {hour}:{minute} is no time ({error})") from error
