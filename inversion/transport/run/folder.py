"""The folder of footprints: what it was made for, which parts it holds, and how both change without losing any.

Beside the Jacobian (`inversion.jacobian.store`) it holds ``plan.json``: what decides the footprints, and for each part
a mark of every observation in it. Asked for other observations, the parts whose observations are all still wanted
stay, the rest is planned anew. Only files of parts that the plan names are ever removed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inversion.jacobian.store import JacobianStore
from obsnet.atomic import write_text
from obsnet.errors import ConfigError, FormatError
from obsnet.seal import read_json, sealed_json
from obsnet.typing import Times
from obsnet.work.shards import FOLDER

__all__ = ["KINDS", "Plan", "adopt", "marks", "never_made", "plan_of", "read_plan", "settle"]

# Folders with one file a part, and how the files end.
KINDS = {
    "sensitivity": "parquet",
    "background": "parquet",
    "receptors": "parquet",
    "endpoints": "parquet",
    "paths": "parquet",
    "transport_error": "parquet",
    "skipped": "json",
    "observations": "parquet",
}
_MOVING, _READY = "moving", "ready"  # parts on a longer time axis, about to take the place of the old ones
_OWN = {"meta.json", "plan.json", "met", _MOVING, FOLDER, *KINDS}
# What a footprint does not depend on.
_VALUES = {"value", "uncertainty", "uncertainty_systematic", "quality", "quality_original"}
_ROWS = 1000  # at a time


@dataclass(frozen=True)
class Plan:
    """What a folder of footprints is for.

    Parameters
    ----------
    decides : mapping
        Settings and inputs that all footprints depend on, as JSON has them.
    parts : mapping of str to tuple of str
        Marks of the observations of each part, in their order.
    """

    decides: Mapping[str, Any]
    parts: Mapping[str, tuple[str, ...]]


def marks(table: pa.Table) -> list[str]:
    """Return a mark of each row: where, when and how an observation looks, without its value."""
    seen = table.drop_columns([name for name in table.column_names if name in _VALUES])
    return [
        hashlib.blake2b(repr(sorted(row.items())).encode(), digest_size=8).hexdigest()
        for batch in seen.to_batches(_ROWS)
        for row in batch.to_pylist()
    ]


def read_plan(out: Path) -> Plan | None:
    """Return the plan of a folder, None where there is none yet.

    Raises
    ------
    ConfigError
        The folder holds other things, so that nothing may be written or removed there.
    FormatError
        ``plan.json`` is damaged.
    """
    strange = (
        sorted(p.name for p in out.iterdir() if p.name not in _OWN and not _passing(p))
        if out.is_dir()
        else []
    )
    if strange:
        more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
        raise ConfigError(
            f"{out}: holds {', '.join(strange[:3])}{more}, which are no footprints; give footprints a folder of "
            "their own (out)"
        )
    path = out / "plan.json"
    try:
        data = read_json(path)
        return Plan(data["decides"], {name: tuple(ids) for name, ids in data["parts"].items()})
    except FileNotFoundError:
        pass
    except (FormatError, KeyError, AttributeError, TypeError) as error:
        why = str(error).removeprefix(f"{path}: ")
        raise FormatError(f"{path}: damaged ({why}); delete the folder and run again") from None
    if any((out / name).exists() for name in ("meta.json", *KINDS)):
        raise ConfigError(f"{out}: holds a Jacobian that this model did not plan; write to another folder")
    return None


def never_made(out: Path) -> dict[str, tuple[str, ...]]:
    """Return the parts that a folder was planned to hold and does not, with the marks of their observations.

    A Jacobian that this model did not plan misses none.
    """
    if not (out / "plan.json").exists():
        return {}
    plan, there = read_plan(out), set(JacobianStore(out).parts())
    return {} if plan is None else {name: own for name, own in plan.parts.items() if name not in there}


def _passing(path: Path) -> bool:
    """Tell whether a file is one that a writer has not yet moved into its place."""
    return path.name.startswith((".tmp-", ".met."))


def plan_of(
    table: pa.Table,
    decides: Mapping[str, Any],
    batch: int,
    before: Plan | None,
    together: Sequence[Any] | None = None,
) -> tuple[Plan, dict[str, np.ndarray], list[str]]:
    """Share the observations out among parts.

    Parameters
    ----------
    table : pyarrow.Table
        In the order in which parts take them.
    decides : mapping
        What all footprints depend on.
    batch : int
        Observations a part.
    before : Plan or None
        Of the folder.
    together : sequence, optional
        What each observation is best computed with: no part ends within those of the same entry, but where there are
        more of them than `batch`.

    Returns
    -------
    plan : Plan
    rows : dict of str to ndarray of int
        Rows of the table in each part.
    gone : list of str
        Parts of `before` that hold other footprints than those asked for.
    """
    ids = marks(table)
    at = {mark: k for k, mark in enumerate(ids)}
    if len(at) < len(ids):
        raise ConfigError("the same observation is there twice; give each obs_id once")
    same = before is not None and before.decides == decides
    old = before.parts if before is not None else {}
    kept = {name: own for name, own in old.items() if same and all(mark in at for mark in own)}
    there = {mark for own in kept.values() for mark in own}
    rest = [k for k, mark in enumerate(ids) if mark not in there]
    rows = {name: np.array([at[mark] for mark in own]) for name, own in kept.items()}
    for chosen in _batches(rest, batch, together):
        own = tuple(ids[k] for k in chosen)
        when = str(table["time"][chosen[0]].as_py())[:13].replace(" ", "T").replace("-", "")
        rows[f"{when}-{hashlib.sha256(''.join(own).encode()).hexdigest()[:12]}"] = np.array(chosen)
    plan = Plan(dict(decides), {name: tuple(ids[k] for k in own) for name, own in rows.items()})
    return plan, rows, sorted(set(old) - set(kept))


def _batches(rows: list[int], batch: int, together: Sequence[Any] | None) -> Iterator[list[int]]:
    """Yield rows, at most `batch` at a time."""
    start = 0
    while start < len(rows):
        stop = min(start + batch, len(rows))
        if together is not None and stop < len(rows):
            whole = stop
            while whole > start and together[rows[whole]] == together[rows[whole - 1]]:
                whole -= 1
            stop = whole if whole > start else stop
        yield rows[start:stop]
        start = stop


def differs(before: Plan, decides: Mapping[str, Any], gone: Sequence[str]) -> str:
    """Return in what a folder's footprints differ from those asked for; empty where all of them are still wanted."""
    for name in {**decides, **before.decides}:
        theirs, mine = before.decides.get(name), decides.get(name)
        if theirs != mine:
            plain = isinstance(mine, str | int | float) and name not in {"grid", "version"}
            return f"other {name}" + (f" ({theirs} there, {mine} now)" if plain else "")
    if gone:
        count = sum(len(before.parts[name]) for name in gone)
        return f"other observations ({count} stand in parts with one that is not asked for now)"
    return ""


def adopt(
    out: Path, meta: Mapping[str, Any], before: Plan | None, plan: Plan, gone: Sequence[str]
) -> JacobianStore:
    """Make the folder one of this plan: other parts go, those that stay come onto the time axis of `meta`.

    Every step may be cut short and is finished by the next run (`settle`).
    """
    if before is not None:
        for name in gone:
            for kind, ending in KINDS.items():
                (out / kind / f"{name}.{ending}").unlink(missing_ok=True)
        if before.decides != plan.decides:
            (out / "meta.json").unlink(missing_ok=True)
        elif (out / "meta.json").exists():
            store = JacobianStore(out)
            _prolong(store, np.asarray(meta["time_edges"]))
    out.mkdir(parents=True, exist_ok=True)
    write_plan(out, plan)
    return JacobianStore(out).create(meta)


def write_plan(out: Path, plan: Plan) -> None:
    """Write the plan of a folder, sealed; atomically."""
    parts = {name: list(own) for name, own in plan.parts.items()}
    write_text(out / "plan.json", sealed_json({"decides": plan.decides, "parts": parts}))


def _prolong(store: JacobianStore, edges: Times) -> None:
    """Put the parts of a store on a time axis that holds its own."""
    old = store.time_edges
    if np.array_equal(old, edges):
        return
    shift = int(np.searchsorted(edges, old[0])) if edges.size > 2 else 0
    moved = JacobianStore(store.path / _MOVING).create({**store.meta, "time_edges": edges})
    for part in store.parts() if shift else ():
        tables = [store.path / kind / f"{part}.parquet" for kind in ("sensitivity", "background")]
        moved.write_part(part, *(_shifted(path, shift) for path in tables if path.exists()))
    write_text(moved.path / _READY, "")
    settle(store.path)


def _shifted(path: Path, shift: int) -> pa.Table:
    table = pq.ParquetFile(path).read()
    at = table.schema.get_field_index("time_bin")
    return table.set_column(at, "time_bin", pa.array(table["time_bin"].to_numpy() + shift, pa.int32()))


def settle(out: Path) -> None:
    """Finish a move that was cut short; one that was not ready is forgotten."""
    moving = out / _MOVING
    if not moving.is_dir():
        return
    if (moving / _READY).exists():
        for path in (*sorted(moving.glob("*/*.parquet")), *moving.glob("meta.json")):
            os.replace(path, out / path.relative_to(moving))
    shutil.rmtree(moving)
