"""From footprint files of any make to the sparse Jacobian: one part a file, in parallel, resumable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inversion.jacobian.store import JacobianStore
from inversion.transport.conversion.matching import WANTED, receptor_names
from inversion.transport.conversion.nest import nest_in, pair_up
from inversion.transport.conversion.one import ConvertTask, convert_file, part_name
from inversion.transport.conversion.options import ConvertOptions, ConvertSettings
from inversion.transport.files.footprint import UNIT, FootprintFile
from inversion.transport.readers import open_footprints
from inversion.transport.readers.options import ReaderOptions
from obsnet.config import resolve_files, validate
from obsnet.errors import ConfigError, FormatError, GridError, ObsnetError, SchemaError
from obsnet.grid import Grid
from obsnet.times import as_utc, round_time, time_bins
from obsnet.typing import Times
from obsnet.work import isolated
from obsnet.work.parallel import map_unordered, shard
from obsnet.work.progress import progress
from obsnet.work.shards import require_finished, taking_part
from obsnet.work.work import Work

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LOST", "common_grid", "convert_files", "head_of", "run_convert", "time_edges"]

LOST = {
    "time": "outside the flux time bins",
    "grid": "outside the grid",
    "unresolved": "unresolved, dropped",
}


@dataclass(frozen=True)
class _Sources:
    """Files that could be opened, what became of the others, how to read them, and the finer grids inside them."""

    opened: list[FootprintFile]
    failed: list[dict[str, str]]
    options: ReaderOptions
    nests: Mapping[Path, tuple[str, ReaderOptions]]


def run_convert(options: ConvertOptions, work: Work | None = None) -> dict[str, Any]:
    """Convert what the options name; see `convert_files`, and `inversion.transport.files.writers` for netCDF.

    Returns
    -------
    dict
        Report of `convert_files`, or ``receptors`` and ``notes`` of a netCDF file.

    Raises
    ------
    ConfigError
        Several inputs for one netCDF file, or no input.
    """
    single = [f for f in options.files if (Path(f) / "meta.json").is_file()]
    without = [require_finished(f, allow=options.allow_missing) for f in single]
    paths: list[Any] = single or list(resolve_files(options.files, Path()))
    if options.to != "store":
        if len(paths) != 1:
            raise ConfigError(
                f"--to {options.to} takes one input, found {len(paths)}; collect them in a sparse store first"
            )
        return isolated.apart(_rewrite, paths[0], options.reader, options.to, options.out)
    observations = None
    if options.store is not None:
        without.append(require_finished(options.store, allow=options.allow_missing))
        from obsnet.store import ObservationStore

        observations = ObservationStore(options.store).read(str(options.species), columns=list(WANTED))
    said = "; ".join(filter(None, without))
    return convert_files(paths, options.out, options, observations=observations, work=work, without=said)


def _rewrite(path: str | Path, options: ReaderOptions, to: str, out: Path) -> dict[str, Any]:
    """Write a footprint file in another layout; return how many footprints it has, and what there is to say."""
    from inversion.transport.files.writers import write_cf, write_paris

    source = open_footprints(path, options)
    (write_cf if to == "cf" else write_paris)(out, source)
    return {"receptors": len(source), "notes": source.notes}


def convert_files(
    paths: Sequence[str | Path],
    out: str | Path,
    settings: ConvertSettings | None = None,
    *,
    observations: pa.Table | None = None,
    work: Work | None = None,
    without: str = "",
    **more: Any,
) -> dict[str, Any]:
    """Convert footprint files into a sparse Jacobian.

    Parameters
    ----------
    paths : sequence of path
        Files of any make that `inversion.transport.readers` opens. A FLEXPART nest beside its mother file, and
        the two grids of a nested file under ``part="both"``, become one footprint.
    out : path
        Folder of the Jacobian. Files whose part stands there already are not read again.
    settings : ConvertSettings, optional
        Without a grid the files' own is taken, which must then be the same.
    observations : pyarrow.Table, optional
        Observation table; receptors get the identity of the observations they stand for, and those that stand
        for none are left out.
    work : Work, optional
        How it is run; shards are of the files.
    without : str
        What was missing in what is read, see `obsnet.work.shards.require_finished`.
    **more
        Fields of `ConvertSettings`, where no settings are given.

    Returns
    -------
    dict
        ``files, done, skipped, failed`` (path and error of each bad file), ``observations, receptors,
        missing, unmatched, total, lost`` and ``notes`` with how many files have each.

    Raises
    ------
    ConfigError
        No file, or none that can be opened.
    GridError
        Files on different grids and no grid given.

    Examples
    --------
    ::

        report = convert_files(sorted(Path("stilt").glob("*_foot.nc")), "footprints", step="1D")
        jacobian = JacobianStore("footprints").read()
    """
    settings = settings or validate(ConvertSettings, more)
    apart = work is not None and work.scheduler != "serial"
    sources = _sources(paths, settings, apart=apart)
    store = JacobianStore(out)
    fresh = not (store.path / "meta.json").exists()
    _create(store, sources.opened, settings, fresh)
    matches = receptor_names(sources.opened, observations, settings.max_km, settings.max_minutes)
    work = work or Work()
    mine = shard(sources.opened, work)
    tasks = _tasks(store, replace(sources, opened=list(mine)), settings, matches.names)
    report: dict[str, Any] = {
        "files": len(paths),
        "done": 0,
        "skipped": len(mine) - len(tasks),
        "failed": sources.failed,
        "receptors": 0,
        "missing": 0,
        "observations": 0,
        "unmatched": matches.unmatched,
        "total": 0.0,
        "lost": {},
        "notes": dict(matches.notes),
    }
    if without:
        report["notes"][f"made from {without}"] = len(mine)
    parts = [part_name(source.path) for source in sources.opened]
    how = settings.model_dump(mode="json", include=set(ConvertSettings.model_fields))
    with (
        taking_part(store.path, "convert", parts, how, work, without=without) as part,
        progress(len(tasks), "footprint files") as advance,
    ):
        for _, result in map_unordered(convert_file, tasks, work, on_death=_died if apart else None):
            advance(1)
            _count(report, result)
        part["failed"] = len(report["failed"])
    if fresh and not store.parts():
        # Nothing came of it, so nothing binds the next attempt.
        (store.path / "meta.json").unlink()
    return report


def _sources(paths: Sequence[str | Path], settings: ConvertSettings, *, apart: bool) -> _Sources:
    """Open all files, and find which of them are nests of others."""
    options = settings.reader
    if not paths:
        raise ConfigError("no footprint files to convert")
    nests: dict[Path, tuple[str, ReaderOptions]] = {m: (str(n), options) for m, n in pair_up(paths).items()}
    inner = {n for n, _ in nests.values()}
    if options.part == "both":
        fine = options.model_copy(update={"part": "high"})
        options = options.model_copy(update={"part": "low"})
        nests |= {Path(p): (str(p), fine) for p in paths if nest_in(p)}
    opened, failed = _open_all([p for p in paths if str(Path(p)) not in inner], options, apart=apart)
    if not opened:
        raise ConfigError(f"none of {len(paths)} files could be opened; the first: {failed[0]['error']}")
    return _Sources(opened, failed, options, nests)


def _create(
    store: JacobianStore, opened: Sequence[FootprintFile], settings: ConvertSettings, fresh: bool
) -> None:
    """Make the store, or go on with one that was made alike."""
    given = fresh or settings.start is not None or settings.stop is not None
    lifetime = _common(opened, "lifetime_hours")
    store.create(
        {
            "grid": settings.grid or common_grid(opened),
            "time_edges": time_edges(opened, settings.step, settings.start, settings.stop)
            if given
            else store.time_edges,
            "unit": UNIT,
            "kind": _common(opened, "kind"),
            "model": " + ".join(sorted({o.model for o in opened})),
            # Without loss a footprint is the same for every species.
            "species": None if lifetime is None else _common(opened, "species"),
            "lifetime_hours": lifetime,
            "weighting": " + ".join(sorted({o.weighting for o in opened})),
        }
    )


def _tasks(
    store: JacobianStore,
    sources: _Sources,
    settings: ConvertSettings,
    names: Mapping[str, tuple[str, ...]] | None,
) -> list[ConvertTask]:
    """Return what is still to be done."""
    done = set(store.parts())
    curtain = None
    if settings.background is not None:
        curtain = (str(settings.background), str(settings.species), settings.background_unit)
    tasks = []
    for source in sources.opened:
        if part_name(source.path) in done:
            continue
        own = None if names is None else {k: names[k] for k in source.receptors["obs_id"] if k in names}
        nest = sources.nests.get(source.path)
        tasks.append(
            ConvertTask(
                str(source.path), str(store.path), sources.options, settings.unresolved, own, curtain, nest
            )
        )
    return tasks


def _count(report: dict[str, Any], result: dict[str, Any]) -> None:
    """Add one file's result to the report."""
    if "error" in result:
        report["failed"].append(result)
        return
    report["done"] += 1
    for name in ("receptors", "missing", "observations", "total"):
        report[name] += result[name]
    for reason, amount in result["lost"].items():
        report["lost"][reason] = report["lost"].get(reason, 0.0) + amount
    for note in result["notes"]:
        report["notes"][note] = report["notes"].get(note, 0) + 1


def _died(task: ConvertTask, reason: str) -> dict[str, Any]:
    return {"path": task.path, "error": f"{task.path}: {reason}"}


def head_of(path: str | Path, options: ReaderOptions) -> FootprintFile:
    """Open a footprint file and return all of it but its values, for another process."""
    return replace(open_footprints(path, options), load=_elsewhere)


def _elsewhere(_start: int, _stop: int) -> Any:
    raise FormatError("only the head of this footprint file was read")


def _open_all(
    paths: Sequence[str | Path], options: ReaderOptions, *, apart: bool
) -> tuple[list[FootprintFile], list[dict[str, str]]]:

    def head(path: str | Path) -> FootprintFile:
        return isolated.apart(head_of, path, options) if apart else head_of(path, options)

    opened, failed = [], []
    for path in paths:
        try:
            opened.append(head(path))
        except ObsnetError as error:
            failed.append({"path": str(path), "error": str(error)})
    owner: dict[str, Path] = {}
    for source in opened:
        for name in source.receptors["obs_id"]:
            if name in owner:
                raise SchemaError(
                    f"receptor {name!r} is in {owner[name]} and in {source.path}; leave one out"
                )
            owner[name] = source.path
    return opened, failed


def common_grid(opened: Sequence[FootprintFile]) -> Grid:
    """Return the grid that all files are on, or refuse."""
    first = opened[0]
    for other in opened[1:]:
        if not other.grid.nearly(first.grid):
            raise GridError(
                f"{first.path} is on {first.grid!r}, {other.path} on {other.grid!r}; say on which grid all "
                "shall be (--grid south,north,west,east,dlat,dlon): sensitivities are shared out by area, "
                "sums kept"
            )
    return first.grid


def time_edges(opened: Sequence[FootprintFile], step: str, start: Any, stop: Any) -> Times:
    """Return the flux time bins that cover all files, or those asked for."""
    first = as_utc(start) if start is not None else round_time(min(o.span[0] for o in opened), step)
    last = as_utc(stop) if stop is not None else max(o.span[1] for o in opened)
    return time_bins(first, max(last, first + np.timedelta64(1, "h")), step)


def _common(opened: Sequence[FootprintFile], name: str) -> Any:
    """Return what all files say, or refuse to put them into one Jacobian."""
    found = {getattr(o, name): o.path for o in opened}
    if len(found) > 1:
        (a, first), (b, second) = list(found.items())[:2]
        raise SchemaError(
            f"footprints of different {name.replace('_', ' ')} do not go into one Jacobian: {a!r} in "
            f"{first}, {b!r} in {second}; convert them apart"
        )
    return next(iter(found))
