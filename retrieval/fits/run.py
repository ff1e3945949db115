"""Files of spectra: soundings fitted in chunks that are kept, then written as columns."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from obsnet.atomic import write_text
from obsnet.cf import write_netcdf
from obsnet.config import resolve_files
from obsnet.constants import species as species_of
from obsnet.content import sha256
from obsnet.errors import ConfigError, FormatError, ObsnetError
from obsnet.output import plain
from obsnet.provenance import record
from obsnet.store import ObservationStore
from obsnet.work.isolated import apart
from obsnet.work.kept import Arrays, KeptResults, fingerprint_of, map_kept
from obsnet.work.work import Work
from retrieval.estimation.clear_sky import clear_sky, read_preprocessor
from retrieval.fits.fit import SPECTRA, fit_sounding
from retrieval.fits.inputs import is_number
from retrieval.fits.options import RetrieveTable
from retrieval.fits.plan import FitPlan, make_plan
from retrieval.fits.results import FittedSounding, observation_rows, results_dataset, told
from retrieval.forward.air_files import AirFile, open_air, read_air
from retrieval.spectra.files import SpectraFile, open_spectra, read_soundings
from retrieval.spectra.spectrum import Sounding

__all__ = ["RetrieveSummary", "run_retrieve"]

VERSION = "1"
T = TypeVar("T")
_UNKNOWN = {
    "time": np.datetime64("NaT", "us"),
    "latitude": np.nan,
    "longitude": np.nan,
    "altitude": np.nan,
    "sun": np.nan,
    "view": np.nan,
    "land_fraction": np.nan,
    "platform": "",
    "rejected": "",
    "about": {},
}


@dataclass
class RetrieveSummary:
    """What became of the files.

    Parameters
    ----------
    files : list of dict
        ``file``, ``kind``, ``status`` (``done`` or ``bad: why``), ``soundings``, ``fitted``, ``good``.
    soundings : list of dict
        See `retrieval.fits.results.told`, with ``file``.
    written : list of Path
        Files.
    assumptions : dict of str to str
        What the results stand on.
    notes : list of str
        What a user should know.
    """

    files: list[dict[str, Any]] = field(default_factory=list)
    soundings: list[dict[str, Any]] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)
    assumptions: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def bad(self) -> list[dict[str, Any]]:
        """Files that could not be used."""
        return [f for f in self.files if f["status"] != "done"]


@dataclass(frozen=True)
class _Chunk:
    """Some soundings of a file, and where the air above each stands."""

    plan: FitPlan
    file: SpectraFile  # with these soundings alone
    first: int  # of them, in the whole file
    air: AirFile
    air_rows: tuple[int, ...]


def run_retrieve(options: RetrieveTable, work: Work | None = None) -> RetrieveSummary:
    """Fit the soundings of files of spectra; see `retrieval.fits.options.RetrieveTable`.

    Raises
    ------
    ConfigError
        A mistake in the options, files of several instruments, two of one name.
    """
    work = work or Work()
    work.refuse_shard("the rows of a file of spectra are written whole")
    paths = resolve_files(options.files)
    stems = [p.stem for p in paths]
    twice = sorted({s for s in stems if stems.count(s) > 1})
    if twice:
        raise ConfigError(f"several files are called {twice[0]!r}; their outputs would be one another's")
    air = apart(open_air, options.met)
    cloudy, notes = _screened(options)
    summary = RetrieveSummary(notes=notes)
    plan: FitPlan | None = None
    kind = ""
    for path in paths:
        try:
            file = apart(open_spectra, path, options.run_log)
            if kind and file.kind != kind:
                raise ConfigError(
                    f"{path}: spectra of {file.kind}, others are of {kind}: one instrument a run"
                )
            kind = file.kind
            if plan is None:
                plan = make_plan(options, _first(file, options))
                summary.assumptions, summary.notes = plan.assumptions, [*notes, *plan.notes]
            _one(file, plan, air, cloudy, work, summary)
        except ConfigError:
            raise
        except ObsnetError as error:
            summary.files.append({"file": path.name, "kind": kind, "status": f"bad: {error}"})
    given = [
        options.met,
        *(p for p in (options.solar, options.a_band, options.doas, options.run_log) if p),
        *options.mixing.values(),
        *options.shapes.values(),
        *(Path(p) for p in options.prior.values() if not is_number(p)),
    ]
    run = record(
        command="obsnet retrieve",
        config=plain(options.model_dump(mode="json")),
        inputs=[*paths, *given, *(p for files in options.lines.values() for p in files)],
        files=summary.files,
        soundings=summary.soundings,
        assumptions=summary.assumptions,
        notes=summary.notes,
        algorithm=VERSION,
    )
    text = json.dumps(plain(run), indent=1, ensure_ascii=False) + "\n"
    write_text(options.out / "retrieve_run.json", text)
    return summary


def _first(file: SpectraFile, options: RetrieveTable) -> Sounding:
    """Return the first sounding that can be read."""
    first: ObsnetError | None = None
    for row in range(len(file.identities)):
        try:
            return apart(read_soundings, file, [row], options.polarisation)[0]
        except ObsnetError as error:
            first = first or error
    raise first or FormatError(f"{file.path}: no sounding")


def _screened(options: RetrieveTable) -> tuple[dict[str, bool], list[str]]:
    """Return which soundings a screen turns down, and what it said."""
    if options.a_band is None:
        return {}, []
    table = apart(read_preprocessor, options.a_band, options.doas)
    if table.product != "acos_cloud_screen" and options.doas is None:
        raise ConfigError(
            f"{options.a_band}: the screen of OCO needs the ratios of IMAP-DOAS too; give --doas FILE"
        )
    screen = "acos_cloud_flag" if table.product == "acos_cloud_screen" else "oco_clear_sky"
    result = clear_sky(table, screen)
    rejected = np.asarray(result.rejected)
    said = f"screen {screen}: {int(rejected.sum())} of {len(rejected)} soundings turned down"
    return dict(zip(map(str, table.sounding_id.tolist()), rejected.tolist(), strict=True)), [
        said,
        *table.notes,
    ]


def _one(
    file: SpectraFile,
    plan: FitPlan,
    air: AirFile,
    cloudy: dict[str, bool],
    work: Work,
    summary: RetrieveSummary,
) -> None:
    options, total = plan.options, len(file.identities)
    air_rows = air.rows_of(file.identities)  # a file of another granule is told before anything is fitted
    unknown = sum(i not in cloudy for i in file.identities) if cloudy else 0
    if unknown == total:
        raise ConfigError(
            f"{options.a_band}: no sounding of {file.path} is in it; is it of the same granule?"
        )
    if unknown:
        summary.notes.append(
            f"{unknown} soundings of {file.path.name} are not in {options.a_band}: turned down, as if cloudy"
        )
    digest = sha256(file.path)
    bare = dataclasses.replace(air, identities=())  # all names would go to every worker with every chunk
    chunks = []
    for first in range(0, total, options.chunk):
        inside = range(first, min(first + options.chunk, total))
        chunks.append(_Chunk(plan, file.part(inside), first, bare, tuple(air_rows[k] for k in inside)))
    question = fingerprint_of(
        digest, sha256(options.met), options.model_dump_json(exclude={"out", "language", "source", "tables"}),
        plan.assumptions, [t for w in plan.windows for _, t in w.tables], VERSION,
    )  # fmt: skip
    kept = KeptResults(options.out / f".{file.path.stem}_kept", question)
    made = map_kept(
        _fit_chunk,
        chunks,
        work,
        names=[f"{c.first}" for c in chunks],
        kept=kept,
        what=f"chunks of {file.path.stem}",
        enough=total > 2 * options.chunk,
    )
    fitted = [
        _fitted(identity, k, arrays, cloudy)
        for chunk, arrays in zip(chunks, made, strict=True)
        for k, identity in enumerate(chunk.file.identities)
    ]
    store = ObservationStore(options.out / "store")
    by_gas: dict[str, dict[str, dict[str, Any]]] = {}
    index: list[dict[str, Any]] = []
    for gas in plan.gases:
        table = observation_rows(plan, fitted, gas, digest[:16]) if gas not in ("O2", "H2O") else None
        if table is None:
            continue
        summary.written += store.write(table)
        columns = ("obs_id", "value", "uncertainty", "prior_column", "quality")
        by_gas[gas] = {r["obs_id"].rpartition(":")[2]: r for r in table.select(columns).to_pylist()}
        good = [r["value"] for r in by_gas[gas].values() if r["quality"] == 0]
        times = table["time"].to_numpy()
        index.append(
            {
                "path": str(file.path),
                "size": file.path.stat().st_size,
                "sha256": digest,
                "file_id": digest[:16],
                "sensor": options.rows_source,
                "version": VERSION,
                "species": gas,
                "unit": species_of(gas).unit,
                "time_start": times.min(),
                "time_end": times.max(),
                "soundings": len(table),
                "good": len(good),
                "mean_good": float(np.mean(good)) if good else None,
                "status": "done",
                "notes": json.dumps(
                    {"clear_sky_only": int(not options.fit.layer), "not_fitted": total - len(table)}
                ),
                "options": question[:16],
            }
        )
    if index:
        store.index.write(index, f"retrieve-{digest[:12]}")
    rows = []
    for f in fitted:
        mine = {
            gas: found[f.place["identity"]] for gas, found in by_gas.items() if f.place["identity"] in found
        }
        rows.append({"file": file.path.name, **told(plan, f, mine)})
    data = results_dataset(plan, fitted, file.path.name)
    summary.written.append(
        write_netcdf(data, options.out / f"{file.path.stem}_columns.nc", history="obsnet retrieve")
    )
    if options.pictures:
        from retrieval.fits.figures import draw_sounding

        for f in [f for f in fitted if "radiance" in f.arrays][: options.pictures]:
            picture = options.out / f"{file.path.stem}_{f.place['identity']}.png"
            summary.written.append(draw_sounding(plan, f, picture, options.language))
    kept.forget()
    summary.soundings += rows
    number = sum(bool(f.arrays) for f in fitted)
    summary.files.append(
        {
            "file": file.path.name,
            "kind": file.kind,
            "status": "done" if number else f"bad: no sounding could be fitted: {fitted[0].status}",
            "soundings": total,
            "fitted": number,
            "good": {gas: sum(r["quality"] == 0 for r in found.values()) for gas, found in by_gas.items()},
        }
    )


def _fit_chunk(chunk: _Chunk) -> Arrays:
    """Fit the soundings of a chunk; entries are named ``<number in the chunk>:<name>``."""
    out: Arrays = {}
    options = chunk.plan.options
    soundings = _each(
        lambda rows: read_soundings(chunk.file, rows, options.polarisation),
        range(len(chunk.file.identities)),
    )
    airs = _each(lambda rows: read_air(chunk.air, rows), chunk.air_rows)
    for row, (sounding, air) in enumerate(zip(soundings, airs, strict=True)):
        status = "fitted"
        place = dict(_UNKNOWN)
        try:
            if isinstance(sounding, ObsnetError):
                raise sounding
            place = _place(sounding)
            if isinstance(air, ObsnetError):
                raise air
            found = fit_sounding(chunk.plan, sounding, air)
            dropped = () if options.spectra or chunk.first + row < options.pictures else SPECTRA
            out |= {f"{row}:{name}": values for name, values in found.items() if name not in dropped}
        except ConfigError:
            raise  # a mistake in the options is one of all soundings
        except ObsnetError as error:
            status = str(error)
        when = place.pop("time")
        out[f"{row}:time"] = np.asarray(when, dtype="datetime64[us]")
        out[f"{row}:place"] = np.array(json.dumps(place))
        out[f"{row}:status"] = np.array(status)
    return out


def _each(read: Callable[[Sequence[int]], list[T]], rows: Sequence[int]) -> list[T | ObsnetError]:
    """Read rows at once; where one is spoilt, one by one, and what is wrong with it stands in its place."""
    try:
        return [*read(rows)]
    except ObsnetError as error:
        if len(rows) == 1:
            return [error]
    return [found for row in rows for found in _each(read, [row])]


def _place(sounding: Sounding) -> dict[str, Any]:
    s = sounding
    view = np.nan if s.view is None else s.view
    names = (
        "time",
        "latitude",
        "longitude",
        "altitude",
        "sun",
        "land_fraction",
        "platform",
        "rejected",
        "about",
    )
    return {**{n: getattr(s, n) for n in names}, "view": view}


def _fitted(identity: str, row: int, arrays: Arrays, cloudy: dict[str, bool]) -> FittedSounding:
    mine = {n.partition(":")[2]: v for n, v in arrays.items() if n.startswith(f"{row}:")}
    place = json.loads(str(mine.pop("place"))) | {"identity": identity, "time": mine.pop("time")[()]}
    status = str(mine.pop("status"))
    return FittedSounding(place, mine, status, cloudy.get(identity, bool(cloudy)))
