"""From footprint files of any make to the sparse Jacobian: one part a file, in parallel, resumable."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from inversion.jacobian.store import JacobianStore
from inversion.transport.conversion.nest import add_up, nest_in, nested_batches, pair_up
from inversion.transport.files.binning import Unresolved, sparse_tables
from inversion.transport.files.footprint import UNIT, FootprintFile
from inversion.transport.readers import open_footprints
from inversion.transport.readers.common import Options
from obsnet.errors import ConfigError, FormatError, GridError, ObsnetError, SchemaError, StorageError
from obsnet.grid import Grid
from obsnet.times import as_utc, time_bins
from obsnet.typing import Floats, Times
from obsnet.work import isolated
from obsnet.work.parallel import map_unordered
from obsnet.work.progress import progress
from obsnet.work.work import Work

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import xarray as xr

__all__ = ["Task", "convert_file", "convert_files", "match_observations", "part_name"]

_EARTH_KM = 6371.0


@dataclass(frozen=True)
class Task:
    """One file to convert.

    Parameters
    ----------
    path, out : str
        Footprint file; folder of the Jacobian.
    options : Options
        For the reader.
    format : str or None
        Reader, found out by content otherwise.
    unresolved : str
        See `inversion.transport.files.binning.sparse_tables`.
    names : mapping of str to tuple of str, or None
        Observations that each receptor stands for; None leaves receptors their own identity.
    curtain : tuple of str or None
        Boundary file, species and unit.
    nest : (str, Options) or None
        File with a finer grid inside this one, and how to read it; see `inversion.transport.conversion.nest`.
    """

    path: str
    out: str
    options: Options = field(default_factory=Options)
    format: str | None = None
    unresolved: Unresolved = "refuse"
    names: Mapping[str, tuple[str, ...]] | None = None
    curtain: tuple[str, str, str | None] | None = None
    nest: tuple[str, Options] | None = None


def part_name(path: str | Path) -> str:
    """Return the name of a file's part: its own name and eight digits of its full path."""
    path = Path(path)
    clean = re.sub(r"[^A-Za-z0-9._+-]", "_", path.stem).lstrip("._-+") or "part"
    return f"{clean[:80]}-{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"


def convert_file(task: Task) -> dict[str, Any]:
    """Convert one file into a part of the Jacobian.

    Returns
    -------
    dict
        ``path, receptors, missing, observations, total, lost, notes``, or ``path, error``.
    """
    try:
        return _convert(task)
    except StorageError:
        raise  # the disk's fault, not the file's
    except ObsnetError as error:
        return {"path": task.path, "error": str(error)}


def _convert(task: Task) -> dict[str, Any]:
    import pyarrow as pa

    store = JacobianStore(task.out)
    grid, edges = store.grid, store.time_edges
    source = _usable(open_footprints(task.path, task.options, format=task.format))
    curtain = None
    if task.curtain is not None:
        from inversion.transport.readers.curtain import read_curtain

        name, species, unit = task.curtain
        curtain = read_curtain(name, species, unit=unit)
    report: dict[str, Any] = {"path": task.path, "receptors": len(source), "missing": 0, "total": 0.0}
    lost: dict[str, float] = {}
    sensitivity, background = [], []
    batches: Iterable[tuple[xr.Dataset, ...]] = ((data,) for data in source.batches())
    if task.nest is not None:
        batches = nested_batches(source, open_footprints(task.nest[0], task.nest[1], format=task.format))
    for layers in batches:
        data = layers[0]
        report["missing"] += int(data.attrs["missing_receptors"])
        parts = [sparse_tables(layer, grid, edges, unresolved=task.unresolved) for layer in layers]
        binned = parts[0]
        beside = binned.background
        if curtain is not None:
            beside = _with_background(data, beside, curtain)
        report["total"] += sum(part.total for part in parts)
        for reason in binned.lost:
            lost[reason] = lost.get(reason, 0.0) + sum(part.lost[reason] for part in parts)
        table = binned.sensitivity if len(parts) == 1 else add_up([part.sensitivity for part in parts])
        sensitivity.append(_renamed(table, task.names))
        if beside is not None:
            background.append(_renamed(beside, task.names))
    table = pa.concat_tables(sensitivity)
    if len(table):
        store.write_part(part_name(task.path), table, pa.concat_tables(background) if background else None)
    ids = table["obs_id"].unique()
    notes = list(source.notes)
    if task.nest is not None:
        notes.append("joined with the finer grid inside it; where that is, the outer grid's values give way")
    return {**report, "observations": len(ids), "lost": lost, "notes": notes}


def _usable(source: FootprintFile) -> FootprintFile:
    if source.weighting == "unknown" and source.format != "store":
        raise FormatError(
            f"{source.path}: it is not known whether this column footprint is weighted; say --weighting "
            "kernel, pressure or none"
        )
    return source


def _with_background(data: Any, beside: pa.Table | None, curtain: Any) -> pa.Table:
    import pyarrow as pa

    from inversion.transport.readers.curtain import background

    if beside is None:
        raise FormatError(
            f"{data.attrs['source_file']}: no shares of particles leaving the domain, so no background"
        )
    values = background(data, curtain)["background"]
    column = values.loc[beside["obs_id"].to_pylist()].to_numpy()
    return beside.append_column("background", pa.array(column, from_pandas=True))


def _renamed(table: pa.Table, names: Mapping[str, tuple[str, ...]] | None) -> pa.Table:
    """Give rows the identity of the observations they stand for; drop receptors nobody asked for."""
    import pyarrow as pa

    if names is None:
        return table
    old = np.asarray(table["obs_id"].to_pylist(), dtype=np.str_)
    count = np.array([len(names.get(str(n), ())) for n in old], dtype=np.int64)
    rows = np.repeat(np.arange(old.size), count)
    new = [o for n in old for o in names.get(str(n), ())]
    at = table.schema.get_field_index("obs_id")
    return table.take(pa.array(rows)).set_column(at, "obs_id", pa.array(new, pa.string()))


def convert_files(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    options: Options | None = None,
    format: str | None = None,
    grid: Grid | None = None,
    step: str = "1h",
    start: Any = None,
    stop: Any = None,
    unresolved: Unresolved = "refuse",
    observations: pa.Table | None = None,
    max_km: float = 5.0,
    max_minutes: float = 30.0,
    curtain: tuple[str, str, str | None] | None = None,
    work: Work | None = None,
) -> dict[str, Any]:
    """Convert footprint files into a sparse Jacobian.

    Parameters
    ----------
    paths : sequence of path
        Files of any make that `inversion.transport.readers` opens. A FLEXPART nest beside its mother file, and
        the two grids of a nested file under ``part="both"``, become one footprint.
    out : path
        Folder of the Jacobian. Files whose part stands there already are not read again.
    options, format
        For the readers; one for all files.
    grid : Grid, optional
        Flux cells; the files' own, which must then be the same, otherwise.
    step : str
        Flux time bins, as in `obsnet.times.time_bins`.
    start, stop : time, optional
        Flux times to cover; by default all that the files know.
    unresolved : {"refuse", "release", "drop"}
        See `inversion.transport.files.binning.sparse_tables`.
    observations : pyarrow.Table, optional
        Observation table; receptors get the identity of the observations they stand for, and those that stand
        for none are left out.
    max_km, max_minutes : float
        How near an observation must be to a receptor, beyond the receptor's own interval.
    curtain : (path, species, unit), optional
        Boundary file that gives each observation its background.
    work : Work, optional
        How it is run.

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
        Files on different grids and no `grid` given.
    """
    options = replace(options or Options(), grid=(options.grid if options and options.grid else grid))
    if not paths:
        raise ConfigError("no footprint files to convert")
    nests: dict[Path, tuple[str, Options]] = {m: (str(n), options) for m, n in pair_up(paths).items()}
    inner = {n for n, _ in nests.values()}
    if options.part == "both":
        options, fine = replace(options, part="low"), replace(options, part="high")
        nests |= {Path(p): (str(p), fine) for p in paths if nest_in(p)}
    apart = work is not None and work.scheduler != "serial"
    opened, failed = _open_all([p for p in paths if str(Path(p)) not in inner], options, format, apart=apart)
    if not opened:
        raise ConfigError(f"none of {len(paths)} files could be opened; the first: {failed[0]['error']}")
    grid = grid or _common_grid(opened)
    store = JacobianStore(out)
    fresh = not (store.path / "meta.json").exists()
    given = fresh or start is not None or stop is not None
    edges = _edges(opened, step, start, stop) if given else store.time_edges
    lifetime = _common(opened, "lifetime_hours")
    store.create(
        {
            "grid": grid,
            "time_edges": edges,
            "unit": UNIT,
            "kind": _common(opened, "kind"),
            "model": " + ".join(sorted({o.model for o in opened})),
            # Without loss a footprint is the same for every species.
            "species": None if lifetime is None else _common(opened, "species"),
            "lifetime_hours": lifetime,
            "weighting": " + ".join(sorted({o.weighting for o in opened})),
        }
    )
    names, unmatched = _names(opened, observations, max_km, max_minutes)
    done = set(store.parts())
    todo = [o for o in opened if part_name(o.path) not in done]
    tasks = []
    for source in todo:
        own = None if names is None else {k: names[k] for k in source.receptors["obs_id"] if k in names}
        nest = nests.get(source.path)
        tasks.append(Task(str(source.path), str(out), options, format, unresolved, own, curtain, nest))
    report: dict[str, Any] = {
        "files": len(paths),
        "done": 0,
        "skipped": len(opened) - len(todo),
        "failed": failed,
        "receptors": 0,
        "missing": 0,
        "observations": 0,
        "unmatched": unmatched,
        "total": 0.0,
        "lost": {},
        "notes": {},
    }
    with progress(len(tasks), "footprint files") as advance:
        for _, result in map_unordered(convert_file, tasks, work, on_death=_died if apart else None):
            advance(1)
            if "error" in result:
                report["failed"].append(result)
                continue
            report["done"] += 1
            for name in ("receptors", "missing", "observations", "total"):
                report[name] += result[name]
            for reason, amount in result["lost"].items():
                report["lost"][reason] = report["lost"].get(reason, 0.0) + amount
            for note in result["notes"]:
                report["notes"][note] = report["notes"].get(note, 0) + 1
    if fresh and not store.parts():
        # Nothing came of it, so nothing binds the next attempt.
        (store.path / "meta.json").unlink()
    return report


def _died(task: Task, reason: str) -> dict[str, Any]:
    return {"path": task.path, "error": f"{task.path}: {reason}"}


def head_of(path: str | Path, options: Options, format: str | None) -> FootprintFile:
    """Open a footprint file and return all of it but its values, for another process."""
    return replace(open_footprints(path, options, format=format), load=_elsewhere)


def _elsewhere(_start: int, _stop: int) -> Any:
    raise FormatError("only the head of this footprint file was read")


def _open_all(
    paths: Sequence[str | Path],
    options: Options,
    format: str | None,
    *,
    apart: bool,
) -> tuple[list[FootprintFile], list[dict[str, str]]]:

    def head(path: str | Path) -> FootprintFile:
        return isolated.apart(head_of, path, options, format) if apart else head_of(path, options, format)

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


def _common_grid(opened: Sequence[FootprintFile]) -> Grid:
    first = opened[0]
    for other in opened[1:]:
        if other.grid != first.grid:
            raise GridError(
                f"{first.path} is on {first.grid!r}, {other.path} on {other.grid!r}; say on which grid all "
                "shall be (--grid south,north,west,east,dlat,dlon): sensitivities are shared out by area, "
                "sums kept"
            )
    return first.grid


def _edges(opened: Sequence[FootprintFile], step: str, start: Any, stop: Any) -> Times:
    import pandas as pd

    try:
        offset = pd.tseries.frequencies.to_offset(step)
    except ValueError as error:
        raise ConfigError(f"{step!r} is not a time step; write it as 3h, 1D or MS") from error
    first = pd.Timestamp(as_utc(start) if start is not None else min(o.span[0] for o in opened))
    last = as_utc(stop) if stop is not None else max(o.span[1] for o in opened)
    if start is None:
        try:
            first = first.floor(step)
        except ValueError:  # months and the like
            first = offset.rollback(first.normalize())
    return time_bins(first, max(last, np.datetime64(first, "us") + np.timedelta64(1, "h")), step)


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


def _names(
    opened: Sequence[FootprintFile], observations: pa.Table | None, max_km: float, max_minutes: float
) -> tuple[dict[str, tuple[str, ...]] | None, int]:
    import pandas as pd

    if observations is None:
        return None, 0
    receptors = pd.concat([o.receptors for o in opened], ignore_index=True)
    matched = match_observations(receptors, observations, max_km=max_km, max_minutes=max_minutes)
    out: dict[str, tuple[str, ...]] = {}
    for obs_id, receptor in matched.items():
        out[receptor] = (*out.get(receptor, ()), obs_id)
    if not out:
        raise ConfigError(
            f"none of {len(observations)} observations lies within {max_km:g} km and {max_minutes:g} min of "
            f"one of {len(receptors)} receptors ({receptors['time'].min()} to {receptors['time'].max()})"
        )
    return out, len(observations) - len(matched)


def match_observations(
    receptors: pd.DataFrame, observations: pa.Table, *, max_km: float = 5.0, max_minutes: float = 30.0
) -> dict[str, str]:
    """Find the receptor that stands for each observation.

    Parameters
    ----------
    receptors : pandas.DataFrame
        As in `FootprintFile.receptors`.
    observations : pyarrow.Table
        Columns ``obs_id, time, latitude, longitude`` and optionally ``intake_height_m``.
    max_km : float
        Largest distance on the ground.
    max_minutes : float
        Largest time between the observation and the receptor's interval.

    Returns
    -------
    dict of str to str
        Receptor by observation: the one nearest in time, then in intake height, then in distance.
        Observations without one are not in it.
    """
    n = len(receptors)
    start, end = (
        receptors[k].to_numpy().astype("datetime64[us]").astype(np.int64) for k in ("time_start", "time_end")
    )
    order = np.argsort(start, kind="stable")
    lat, lon, height = (receptors[k].to_numpy(dtype=float) for k in ("latitude", "longitude", "height_m"))
    names = receptors["obs_id"].to_numpy()
    slack = round(max_minutes * 6e7)
    longest = int((end - start).max(initial=0))
    when = observations["time"].to_numpy().astype("datetime64[us]").astype(np.int64)
    intake = np.full(len(observations), np.nan)
    if "intake_height_m" in observations.column_names:
        intake = observations["intake_height_m"].to_numpy(zero_copy_only=False).astype(float)
    place = [observations[k].to_numpy() for k in ("latitude", "longitude")]
    out = {}
    for i, obs_id in enumerate(observations["obs_id"].to_pylist()):
        low = np.searchsorted(start[order], when[i] - slack - longest, side="left")
        high = np.searchsorted(start[order], when[i] + slack, side="right")
        near = order[low:high] if n else order
        apart = np.maximum(np.maximum(start[near] - when[i], when[i] - end[near]), 0)
        far = _distance_km(place[0][i], place[1][i], lat[near], lon[near])
        fits = (apart <= slack) & (far <= max_km)
        if not fits.any():
            continue
        near, apart, far = near[fits], apart[fits], far[fits]
        rise = np.nan_to_num(np.abs(height[near] - intake[i]))
        out[obs_id] = str(names[near[np.lexsort((near, far, rise, apart))[0]]])
    return out


def _distance_km(lat0: float, lon0: float, lat: npt.NDArray[Any], lon: npt.NDArray[Any]) -> Floats:
    """Return great-circle distances by the haversine formula."""
    a, b = np.deg2rad(lat0), np.deg2rad(lat)
    h = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.deg2rad(lon - lon0) / 2) ** 2
    return np.asarray(2.0 * _EARTH_KM * np.arcsin(np.sqrt(np.clip(h, 0.0, 1.0))))
