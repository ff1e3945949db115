"""FLEXPART 10 and 11 backward output ``grid_time_<date>.nc`` and ``grid_time_nest_<date>.nc``.

What the numbers mean depends on two switches of the run. With h the thickness of the lowest output layer
(its ``height`` is the layer's top), M the molar mass of dry air, rho_s and rho_r the air density at source
and receptor, a sensitivity in ppm / (umol m-2 s-1) is

=========== ============= ============= ====================
ind_source  ind_receptor  unit in file  factor
=========== ============= ============= ====================
1 (mass)    1 (mass)      s             M / (h rho_r)
1 (mass)    2 (ratio)     s m3 kg-1     M / h
2 (ratio)   1 (mass)      s kg m-3      M / (h rho_s rho_r)
2 (ratio)   2 (ratio)     s             M / (h rho_s)
=========== ============= ============= ====================

The tracer's own molar mass cancels. Time stamps are negative seconds from the end of the simulation and mark
the far, earlier end of each step. Seibert and Frank (2004), doi:10.5194/acp-4-51-2004; Pisso et al. (2019),
doi:10.5194/gmd-12-4955-2019, section 8.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from inversion.transport.files.footprint import FootprintFile, ReceptorBlock
from inversion.transport.files.probe import Probe, open_netcdf
from inversion.transport.readers.common import axes, axis, check_values, receptors, text, values
from inversion.transport.readers.options import ReaderOptions
from obsnet.constants import GRAVITY, MOLAR_MASS_DRY_AIR, R_DRY_AIR
from obsnet.errors import ConfigError, FormatError, UnitError, nearest
from obsnet.typing import Floats

__all__ = ["UNITS", "matches", "open_file", "standard_density"]

# (ind_source, ind_receptor): unit, divided by source density, divided by receptor density
UNITS = {
    (1, 1): ("s", False, True),
    (1, 2): ("s m3 kg-1", False, False),
    (2, 1): ("s kg m-3", True, True),
    (2, 2): ("s", True, False),
}


def matches(found: Probe) -> bool:
    """Tell FLEXPART output by its species variable and its switches."""
    species = any(name.startswith("spec") and name.endswith(("_mr", "_pptv")) for name in found.variables)
    return found.container == "netcdf" and species and "ind_source" in found.attributes


def open_file(found: Probe, options: ReaderOptions) -> FootprintFile:
    """Open FLEXPART backward output; see `inversion.transport.readers.open_footprints`."""
    path, attributes = found.path, found.attributes
    if int(attributes.get("ldirect", -1)) != -1:
        raise FormatError(
            f"{path}: a forward run (ldirect {attributes['ldirect']}) holds concentrations, no footprint"
        )
    species = [n for n in found.variables if n.startswith(f"spec{options.species_index:03d}_")]
    if not species:
        raise FormatError(
            f"{path}: no species "
            f"{options.species_index}{nearest(f'spec{options.species_index:03d}', found.variables)}"
        )
    name = species[0]
    order = ("nageclass", "pointspec", "time", "height", "latitude", "longitude")
    notes = _notes(found)
    with open_netcdf(path) as nc:
        field = nc[name]
        missing = [d for d in order if d not in field.dimensions]
        if missing:
            raise FormatError(
                f"{path}: {name} lacks dimension {', '.join(missing)}; it has {field.dimensions}"
            )
        unit, by_source, by_receptor = _unit(found, text(field, "units"), options)
        tops = axis(nc, "height")
        where = axes(nc["latitude"][:], nc["longitude"][:], path)
        far = np.asarray(nc["time"][:], dtype=np.int64)
        end_of_run = _end(attributes, path)
        step = _number(found, "loutstep")
        table = _releases(nc, path, end_of_run, field.shape[field.dimensions.index("pointspec")], notes)
        ground = (
            where.sort(np.asarray(values(nc["ORO"], ("latitude", "longitude")), float))
            if "ORO" in nc.variables
            else None
        )
        decay = float(field.getncattr("decay")) if "decay" in field.ncattrs() else -1.0
        tracer = text(field, "long_name")
    if not (tops[0] > 0 and (np.diff(tops) > 0).all()):
        raise FormatError(f"{path}: height must hold the tops of layers in rising order, found {tops}")
    if not np.array_equal(np.diff(np.concatenate([[0], far])), np.full(far.size, -step)):
        raise FormatError(
            f"{path}: time must go back from the end of the run in steps of loutstep ({step} s), found "
            f"{far[:3]} …"
        )
    if decay > 0:
        notes.append(f"{tracer} decays at {decay:g} s-1 in this run; the loss is in the sensitivities")
    notes.append(f"lowest output layer, 0 to {tops[0]:g} m, taken as where fluxes mix")
    divide: Floats | float = tops[0]
    if by_source:
        divide = divide * _density(options.source_density, "source", ground, 0.5 * tops[0], path, notes)
    receptor_density = np.ones(len(table))
    if by_receptor:
        cell = where.grid.index(table["latitude"], table["longitude"])
        at = None if ground is None else np.where(cell >= 0, ground.ravel()[np.maximum(cell, 0)], 0.0)
        z = np.nan_to_num(table["height_m"].to_numpy(dtype=float))
        receptor_density = np.broadcast_to(
            _density(options.receptor_density, "receptor", at, z, path, notes), len(table)
        ).copy()
    start = end_of_run + far.astype("timedelta64[s]")

    def load(first: int, stop: int) -> ReceptorBlock:
        with open_netcdf(path) as nc:
            slab = values(
                nc[name], ("pointspec", "nageclass", "time", "height", "latitude", "longitude"),
                pointspec=slice(first, stop), height=slice(0, 1),
            )  # fmt: skip
        lowest = where.sort(slab.astype(np.float64).sum(axis=1)[:, :, 0])
        ppm = lowest * MOLAR_MASS_DRY_AIR / divide / receptor_density[first:stop, None, None, None]
        n = stop - first
        # Time goes back in the file; forward here.
        begin = np.broadcast_to(start[::-1], (n, start.size))
        return ReceptorBlock(
            check_values(ppm[:, ::-1], path, signed=False),
            begin,
            begin + np.timedelta64(step, "s"),
            np.ones(start.size, dtype=bool),
        )

    return FootprintFile(
        path=path,
        format="flexpart",
        model=str(attributes.get("source", "FLEXPART")).strip(),
        grid=where.grid,
        receptors=receptors(table.to_dict("records"), "flexpart", path),
        unit=unit,
        load=load,
        bytes_per_receptor=8 * far.size * where.grid.size,
        span=(start[-1], end_of_run),
        column=False,
        weighting=options.weighting or "none",
        kind=options.kind,
        species=None,
        lifetime_hours=None if decay <= 0 else 1.0 / decay / 3600.0,
        notes=tuple(notes),
    )


def _notes(found: Probe) -> list[str]:
    notes = []
    ctl = float(found.attributes.get("ctl", 1.0))
    if ctl < 0:
        notes.append(
            f"CTL was negative (file attribute ctl = {ctl:g}): turbulence was stepped with the "
            "synchronisation time, which lowers surface footprints by tens of per cent; a run with CTL of "
            "10 and IFINE of 4 does not"
        )
    step, average = (abs(int(found.attributes.get(k, 0))) for k in ("loutstep", "loutaver"))
    if average and average != step:
        notes.append(
            f"output covers only {average} s of each step of {step} s (loutaver, loutstep); not scaled up"
        )
    if "nest" in found.path.name or int(found.attributes.get("nested_output", 0)) == 2:
        notes.append(
            "nested output: sensitivities outside the nest are in the mother file; convert both files together"
        )
    if found.attributes.get("comment"):
        notes.append(f"comment in the file: {found.attributes['comment']}")
    return notes


def _unit(found: Probe, stated: str | None, options: ReaderOptions) -> tuple[str, bool, bool]:
    """Return unit and densities from both switches, which must agree with the stated unit."""
    key = tuple(int(found.attributes.get(k, 0)) for k in ("ind_source", "ind_receptor"))
    if key not in UNITS:
        raise UnitError(
            f"{found.path}: ind_source, ind_receptor = {key} are not a footprint's; known: {sorted(UNITS)}"
        )
    expected, by_source, by_receptor = UNITS[key]
    said = options.unit or stated
    if said is None or "".join(said.split()) != "".join(expected.split()):
        raise UnitError(
            f"{found.path}: unit is {said!r}, but ind_source = {key[0]}, ind_receptor = {key[1]} make "
            f"{expected!r}; the file contradicts itself"
        )
    return expected, by_source, by_receptor


def _number(found: Probe, name: str) -> int:
    try:
        return abs(int(found.attributes[name]))
    except (KeyError, ValueError) as error:
        raise FormatError(f"{found.path}: global attribute {name!r} is missing or no number") from error


def _end(attributes: Any, path: Path) -> np.datetime64:
    try:
        date, time = str(attributes["iedate"]), str(attributes["ietime"]).zfill(6)
        return np.datetime64(f"{date[:4]}-{date[4:6]}-{date[6:8]}T{time[:2]}:{time[2:4]}:{time[4:6]}", "us")
    except (KeyError, ValueError) as error:
        raise FormatError(
            f"{path}: the end of the run (iedate, ietime) is missing or no time ({error})"
        ) from error


def _releases(nc: Any, path: Path, end: np.datetime64, n: int, notes: list[str]) -> Any:
    import pandas as pd

    wanted = (
        "RELLNG1",
        "RELLNG2",
        "RELLAT1",
        "RELLAT2",
        "RELZZ1",
        "RELZZ2",
        "RELSTART",
        "RELEND",
        "RELKINDZ",
    )
    r = {k: np.asarray(nc[k][:]) for k in wanted}
    names = [
        b"".join(row).decode("ascii", "replace").strip("\x00 ") for row in np.ma.filled(nc["RELCOM"][:], b" ")
    ]
    points = len(names)
    if points != n:
        if n != 1:
            raise FormatError(
                f"{path}: {points} releases but {n} footprints; IOUTPUTFOREACHRELEASE leaves either one or "
                "all"
            )
        notes.append(
            f"{points} releases were run together into one footprint; their mean place is the receptor"
        )
        r = {
            k: np.atleast_1d(v.min() if k == "RELSTART" else v.max() if k == "RELEND" else v.mean())
            for k, v in r.items()
        }
        names = ["all releases"]
    if (r["RELKINDZ"] != 1).any():
        notes.append("release heights are not above ground (RELKINDZ); taken as unknown")
    begin, stop = (end + r[k].astype(np.int64).astype("timedelta64[s]") for k in ("RELSTART", "RELEND"))
    twice = len(set(names)) < len(names)
    return pd.DataFrame(
        {
            "site": [
                f"{name or 'release'}{f'#{i + 1}' if twice or not name else ''}"
                for i, name in enumerate(names)
            ],
            "time": begin + (stop - begin) // 2,
            "time_start": begin,
            "time_end": stop,
            "latitude": 0.5 * (r["RELLAT1"] + r["RELLAT2"]),
            "longitude": 0.5 * (r["RELLNG1"] + r["RELLNG2"]),
            "height_m": np.where(r["RELKINDZ"] == 1, 0.5 * (r["RELZZ1"] + r["RELZZ2"]), np.nan),
        }
    )


def _density(
    said: float | Literal["standard"] | None,
    where: str,
    ground: Floats | None,
    height: Floats | float,
    path: Path,
    notes: list[str],
) -> Floats | float:
    if said is None:
        raise ConfigError(
            f"{path}: these switches need the air density at the {where}; give {where}_density in kg m-3, or "
            f"'standard' for the standard atmosphere over the file's orography (--{where}-density)"
        )
    if said != "standard":
        return float(said)
    notes.append(f"air density at the {where} is that of the standard atmosphere, not the run's")
    return standard_density(np.asarray(height) + (0.0 if ground is None else ground))


def standard_density(altitude: npt.ArrayLike) -> Floats:
    """Return the air density of the ICAO standard atmosphere below 11 km.

    Parameters
    ----------
    altitude : array_like
        m above sea level.

    Returns
    -------
    ndarray of float64
        kg m-3; 1.2250 at sea level. ISO 2533:1975: temperature 288.15 K falling by 6.5 K km-1, 1013.25 hPa.
    """
    t0, lapse, p0 = 288.15, 0.0065, 101325.0
    temperature = t0 - lapse * np.minimum(np.asarray(altitude, dtype=np.float64), 11000.0)
    pressure = p0 * (temperature / t0) ** (GRAVITY / (R_DRY_AIR * lapse))
    return np.asarray(pressure / (R_DRY_AIR * temperature))
