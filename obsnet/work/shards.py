"""What a run that fills a folder set out to do, what of it is done, and who may read the folder before all is.

A run may come in shards, as the tasks of a job array, at any time and on any node. Each, and a run of all at once too,
keeps under ``_shards/<stage>-<plan>/`` of the folder it fills the plan (every item by name) and a record of itself:
``running``, then ``done`` or ``failed``. A killed one stays ``running``. A stage that reads the folder asks
`require_finished`, which refuses with what is missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from obsnet.atomic import write_text
from obsnet.config import Options
from obsnet.errors import FormatError, UnfinishedError
from obsnet.job import job_id
from obsnet.journal import now
from obsnet.seal import read_json, sealed_json
from obsnet.work.work import Work

__all__ = [
    "FOLDER",
    "AllowMissing",
    "Part",
    "ShardPlan",
    "plans_of",
    "require_finished",
    "taking_part",
    "unfinished",
]

FOLDER = "_shards"
_PLAN = ("stage", "settings", "items")
_RECORD = ("state", "items", "failed", "error", "host", "pid", "job", "started", "without")
_NAMED = 8  # shards in a line


class AllowMissing(Options):
    """For stages that read what another run filled."""

    allow_missing: bool = Field(
        False,
        description="go on although a run that fills what is read here has shards that failed or never ran; the output "
        "says which",
    )


@dataclass(frozen=True)
class Part:
    """What became of one shard.

    Parameters
    ----------
    shard : (int, int)
        Index from 0, and count; (0, 1) is a run of all at once.
    record : mapping
        ``state`` (running, done, failed), ``items``, ``failed`` (bad inputs), ``error``, ``host``, ``pid``, ``job``,
        ``started``, ``ended``, ``without`` (what was missing in what it read).
    """

    shard: tuple[int, int]
    record: Mapping[str, Any]

    @property
    def done(self) -> bool:
        """Whether it came to its end."""
        return self.record["state"] == "done"

    @property
    def said(self) -> str:
        """What is to be known of one that is not done."""
        if self.record["state"] == "failed":
            return f"failed: {self.record['error']}"
        job = f", job {self.record['job']}" if self.record["job"] else ""
        return f"began {self.record['started']} on {self.record['host']}{job} and has not ended"


@dataclass(frozen=True)
class ShardPlan:
    """What a run set out to do, and its shards so far.

    Parameters
    ----------
    folder : Path
        Where it is kept; who deletes it gives the run up.
    stage : str
    settings : str
        Hash of what else decides: shards of other settings do not count for each other.
    items : sequence of str
    parts : sequence of Part
    """

    folder: Path
    stage: str
    settings: str
    items: Sequence[str]
    parts: Sequence[Part]

    @property
    def done(self) -> set[str]:
        """Items of shards that ended, whatever their count."""
        return {
            name for part in self.parts if part.done for name in self.items[part.shard[0] :: part.shard[1]]
        }

    def missing(self, done: Collection[str]) -> str:
        """Say which shards are not done; empty where every item is.

        Parameters
        ----------
        done : collection of str
            Items that are.
        """
        left = [name for name in self.items if name not in done]
        if not left:
            return ""
        n = max(Counter(p.shard[1] for p in self.parts).items(), key=lambda c: c[::-1], default=(1, 0))[0]
        known = {p.shard[0]: p for p in self.parts if p.shard[1] == n}
        wanting = [k for k in range(n) if any(name not in done for name in self.items[k::n])]
        told = {k: known[k].said if k in known and not known[k].done else "never ran" for k in wanting}
        if n == 1:
            return f"{self.stage} of {len(self.items)} items {told[0]}"
        groups: dict[str, list[int]] = {}
        for k, why in told.items():
            groups.setdefault(why, []).append(k + 1)
        said = [f"{_ranges(of)} {why}" for why, of in groups.items()]
        return (
            f"{self.stage}, of {n} shards: " + "; ".join(said) + f" ({len(left)} of {len(self.items)} items)"
        )


@contextlib.contextmanager
def taking_part(
    folder: str | os.PathLike[str],
    stage: str,
    items: Iterable[str],
    settings: Any,
    work: Work,
    *,
    without: str = "",
    alone: bool = False,
) -> Iterator[dict[str, Any]]:
    """Keep the plan and the record of a shard, or of a run of all at once, while it is at work.

    Parameters
    ----------
    folder : path
        What the run fills.
    stage : str
        Its name.
    items : iterable of str
        All there is to do, before it is shared out, in the order in which it is.
    settings : Any
        What else decides what comes out, as JSON has it.
    work : Work
        Gives the shard.
    without : str
        What was missing in what the run reads, see `require_finished`.
    alone : bool
        Earlier plans of the stage count no more, whatever they held. Otherwise only those do of which every item is
        planned here again.

    Yields
    ------
    dict
        The record; what is put into it (``failed``) is kept. ``plan`` is the name of the folder that the plan is in.

    Raises
    ------
    UnfinishedError
        Another run planned the same items otherwise while this one was at work.
    """
    names = list(items)
    print_ = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:12]
    which = hashlib.sha256(json.dumps([stage, print_, names]).encode()).hexdigest()[:12]
    home = Path(folder) / FOLDER / f"{stage}-{which}"
    at, count = work.part or (0, 1)
    place = home / f"{at + 1}of{count}.json"
    if not (home / "plan.json").exists():
        write_text(home / "plan.json", sealed_json({"stage": stage, "settings": print_, "items": names}))
    _retire(Path(folder), home, stage, set(names), alone=alone)
    record: dict[str, Any] = {
        "state": "running",
        "items": len(names[at::count]),
        "failed": 0,
        "error": "",
        "host": platform.node(),
        "pid": os.getpid(),
        "job": job_id(),
        "started": now(),
        "ended": "",
        "without": without,
        "plan": home.name,
    }
    write_text(place, sealed_json(record))
    try:
        yield record
    except BaseException as error:
        said = " ".join(str(error).split()) or type(error).__name__
        with contextlib.suppress(
            OSError
        ):  # the disk may be what failed: then it stays `running`, which is not done
            write_text(place, sealed_json({**record, "state": "failed", "error": said, "ended": now()}))
        raise
    if not (home / "plan.json").exists():
        shutil.rmtree(home, ignore_errors=True)
        raise UnfinishedError(
            f"{folder}: while this {stage} was at work another began with other settings; its items are mixed: let one "
            "end before the other begins, and run this one again"
        )
    write_text(place, sealed_json({**record, "state": "done", "ended": now()}))


def plans_of(folder: str | os.PathLike[str]) -> list[ShardPlan]:
    """Return the plans of a folder with their records, by name.

    Raises
    ------
    FormatError
        A plan or a record is damaged.
    """
    found = []
    for home in sorted((Path(folder) / FOLDER).glob("*-*")):
        with contextlib.suppress(FileNotFoundError):  # given up in this moment
            plan = _said(home / "plan.json", _PLAN)
            records = sorted(home.glob("[0-9]*of*.json"))
            parts = [Part(_shard_of(p), _said(p, _RECORD)) for p in records]
            found.append(ShardPlan(home, plan["stage"], plan["settings"], plan["items"], parts))
    return found


def _said(path: Path, names: Collection[str]) -> dict[str, Any]:
    """Read a plan or a record that has what is asked of it."""
    found = read_json(path)
    if not set(names) <= set(found):
        raise FormatError(f"{path}: lacks {', '.join(n for n in names if n not in found)}; is it damaged?")
    return found


def unfinished(
    folder: str | os.PathLike[str], *, besides: Collection[str] = ()
) -> list[tuple[ShardPlan, str]]:
    """Return the plans of a folder that are not done, and what is missing of each."""
    plans = [p for p in plans_of(folder) if p.stage not in besides]
    done: dict[tuple[str, str], set[str]] = {}
    for plan in plans:
        done.setdefault((plan.stage, plan.settings), set()).update(plan.done)
    told = [(plan, plan.missing(done[plan.stage, plan.settings])) for plan in plans]
    return [(plan, text) for plan, text in told if text]


def require_finished(
    folder: str | os.PathLike[str],
    *,
    allow: bool = False,
    besides: Collection[str] = (),
    more: Sequence[str] = (),
) -> str:
    """Refuse to read a folder that a run has not filled to the end.

    Parameters
    ----------
    folder : path
        Observation store, or footprints.
    allow : bool
        Go on; see `AllowMissing`.
    besides : collection of str
        Stages that do not count, such as the one that asks.
    more : sequence of str
        What else is missing there, of which the folder itself tells.

    Returns
    -------
    str
        What is missing here, and was in what the folder was made from; empty where nothing is.

    Raises
    ------
    UnfinishedError
        Something is missing and that was not allowed.
    """
    plans = unfinished(folder, besides=besides)
    missing = [*(text for _, text in plans), *more]
    if missing and not allow:
        forget = f", give it up (delete {plans[0][0].folder})" if plans else ""
        raise UnfinishedError(
            f"{folder}: not finished: {'; '.join(missing)}; run what is missing{forget}, or go on without it "
            "(--allow-missing, allow_missing = true)"
        )
    before = {
        p.record["without"] for plan in plans_of(folder) for p in plan.parts if plan.stage not in besides
    }
    said = [f"{Path(folder).name} without {text}" for text in missing]
    return "; ".join([*said, *sorted(before - {""})])


def _retire(folder: Path, home: Path, stage: str, names: set[str], *, alone: bool) -> None:
    """Give up earlier plans of a stage in whose place this one comes."""
    for other in (folder / FOLDER).glob(f"{stage}-*"):
        if other == home or other.is_symlink():
            continue
        with contextlib.suppress(FileNotFoundError):
            if alone or names.issuperset(_said(other / "plan.json", _PLAN)["items"]):
                (other / "plan.json").unlink()  # from here on it is none
                shutil.rmtree(other, ignore_errors=True)


def _shard_of(path: Path) -> tuple[int, int]:
    at, _, count = path.stem.partition("of")
    return int(at) - 1, int(count)


def _ranges(numbers: Sequence[int]) -> str:
    """Return ``1, 3-5`` of increasing numbers."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    shown = [f"{r[0]}-{r[-1]}" if len(r) > 1 else str(r[0]) for r in runs]
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    return ", ".join(shown[:_NAMED]) + more
