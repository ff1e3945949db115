"""Any file of spectra: which kind it is, which soundings it holds, and those that are asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from obsnet.errors import ConfigError, FormatError
from obsnet.opening import open_h5py
from obsnet.reading import reading
from obsnet.typing import Floats
from retrieval.spectra import gosat, oco
from retrieval.spectra.opus import RunLogEntry, read_opus, read_run_log
from retrieval.spectra.spectrum import Sounding, Spectrum

__all__ = ["SpectraFile", "open_spectra", "read_soundings"]

_OPUS, _HDF5 = b"\x0a\x0a\xfe\xfe", b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class SpectraFile:
    """A file of spectra that was looked into.

    Parameters
    ----------
    path : Path
        File.
    kind : {"gosat", "oco", "opus"}
        Which reader.
    identities : tuple of str
        Names of the soundings.
    places : tuple of (str, int, int)
        Name, and row or frame and footprint, of the soundings.
    run_log : Path, optional
        Of an OPUS file.
    """

    path: Path
    kind: str
    identities: tuple[str, ...]
    places: tuple[tuple[str, int, int], ...]
    run_log: Path | None = None

    def part(self, rows: Sequence[int]) -> SpectraFile:
        """Return the same file with some of its soundings alone."""
        return replace(
            self,
            identities=tuple(self.identities[k] for k in rows),
            places=tuple(self.places[k] for k in rows),
        )


def open_spectra(path: str | os.PathLike[str], run_log: str | os.PathLike[str] | None = None) -> SpectraFile:
    """Look into a file of spectra.

    Parameters
    ----------
    path : path
        ACOS level 1 of GOSAT, L1bSc of OCO-2 or OCO-3, or an OPUS spectrum.
    run_log : path, optional
        GGG run log with the spectrum of an OPUS file: place, time, Sun and instrument.

    Raises
    ------
    FormatError
        Another kind of file.
    ConfigError
        An OPUS file without a run log.
    """
    where = Path(path)
    with reading(path, "a file of spectra"), open(where, "rb") as stream:
        head = stream.read(8)
    if head[:4] == _OPUS:
        if run_log is None:
            raise ConfigError(
                f"{where}: an OPUS file does not say where the Sun stood; give the run log (--run-log FILE.grl)"
            )
        return SpectraFile(where, "opus", (where.name,), ((where.name, 0, 0),), Path(run_log))
    if head != _HDF5:
        raise FormatError(f"{where}: neither HDF5 nor OPUS; GOSAT and OCO level 1 and OPUS spectra are read")
    with reading(path, "a file of spectra"), open_h5py(path) as file:
        marks = {kind: mark in file for kind, mark in (("gosat", gosat.MARK), ("oco", oco.MARK))}
        there = ", ".join(sorted(file))
    if marks["gosat"]:
        names = gosat.gosat_identities(path)
        return SpectraFile(where, "gosat", tuple(names), tuple((n, row, 0) for row, n in enumerate(names)))
    if marks["oco"]:
        places = oco.oco_places(path)
        return SpectraFile(where, "oco", tuple(p[0] for p in places), tuple(places))
    raise FormatError(
        f"{where}: neither {gosat.MARK} (GOSAT) nor {oco.MARK} (OCO) is in it; its groups are {there or 'none'}"
    )


def read_soundings(
    file: SpectraFile, rows: Sequence[int], polarisation: gosat.Polarisation = "mean"
) -> list[Sounding]:
    """Read soundings of a file; `rows` count its identities, `polarisation` is of GOSAT alone."""
    if file.kind == "gosat":
        return gosat.read_gosat(file.path, [file.places[k][1] for k in rows], polarisation)
    if file.kind == "oco":
        return oco.read_oco(file.path, [file.places[k] for k in rows])
    assert file.run_log is not None
    return [_ground(read_opus(file.path), read_run_log(file.run_log, file.path.name)) for _ in rows]


def _ground(spectrum: Spectrum, log: RunLogEntry) -> Sounding:
    """Return a spectrum of the Sun; its noise is told by the run log as a share of the brightest channels."""
    start = np.datetime64(f"{log.year:04d}-01-01", "us")
    time = start + np.timedelta64(round(((log.day - 1) * 24.0 + log.hour) * 3.6e9), "us")
    if not log.signal_to_noise > 0.0:
        raise FormatError(
            f"{log.spectrum}: the run log states a signal-to-noise ratio of {log.signal_to_noise:g}"
        )
    good = spectrum.radiance[np.isfinite(spectrum.radiance)]
    level = float(np.percentile(good, 99.0)) if good.size else 0.0
    if not level > 0.0:
        raise FormatError(f"{spectrum.path}: no light in it: 99 % of the channels are at or below {level:g}")
    noise: Floats = np.full(len(spectrum.radiance), level / log.signal_to_noise)
    found = Spectrum(
        spectrum.wavenumber, spectrum.radiance, spectrum.parameters, spectrum.path, "fts", noise=noise
    )
    return Sounding(
        log.spectrum,
        time,
        log.latitude,
        log.longitude,
        1000.0 * log.altitude,
        log.solar_zenith,
        log.azimuth,
        None,
        (found,),
        str(spectrum.parameters.get("INS", "FTS")).strip() or "FTS",
        about={
            "path_difference": log.path_difference,
            "field_of_view": log.internal_field,
            "outside_pressure": log.outside_pressure,
            "signal_to_noise": log.signal_to_noise,
        },
    )
