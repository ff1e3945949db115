"""What a stage leaves behind: all it was made from, and the files it made, each by content.

The mark ``.stages/<name>.json`` is compared with how things stand today. Whatever differs is said in words, so that
nobody has to guess why a stage runs again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from obsnet.atomic import write_text
from obsnet.content import Contents
from obsnet.errors import FormatError
from obsnet.seal import read_json, sealed_json

__all__ = ["Mark", "differences", "flat", "name_of", "read_mark", "remove_leftovers", "write_mark"]

_SHOWN = 3  # changes named in a line; the rest is counted
_WORDS = {"data": "package {}", "options": "option {}", "inputs": "{}", "before": "stage {}"}


@dataclass(frozen=True)
class Mark:
    """What a stage was made from and what it made.

    Parameters
    ----------
    source : mapping
        ``version``, ``seed``, ``data`` (versions of packages of data), ``options`` (by dotted key), ``inputs``
        (sha256 by name, None where absent) and ``before`` (fingerprints of the stages that it needs).
    outputs : sequence of str
        What must be there, by name relative to the run's outputs.
    files : mapping of str to str or None
        sha256 of each file that was written.
    record : mapping
        ``seconds``, ``failed`` and what else the stage says of itself.
    """

    source: Mapping[str, Any]
    outputs: Sequence[str] = ()
    files: Mapping[str, str | None] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Hash of all that the stage was made from."""
        return hashlib.sha256(json.dumps(self.source, sort_keys=True).encode()).hexdigest()


def name_of(path: Path, folder: Path) -> str:
    """Return a path relative to a folder where it lies in it, so that a case may be moved; else in full."""
    full, base = (Path(os.path.abspath(p)) for p in (path, folder))
    return full.relative_to(base).as_posix() if full.is_relative_to(base) else full.as_posix()


def flat(data: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested tables as one, by dotted key."""
    if not isinstance(data, Mapping):
        return {prefix: data}
    dotted = {f"{prefix}.{name}" if prefix else str(name): inner for name, inner in data.items()}
    return {k: v for name, inner in dotted.items() for k, v in flat(inner, name).items()}


def read_mark(path: Path) -> Mark | None:
    """Read a mark; None where there is none or it is damaged."""
    try:
        content = read_json(path)
        return Mark(content["source"], content["outputs"], content["files"], content["record"])
    except (FileNotFoundError, FormatError, KeyError):
        return None


def write_mark(path: Path, mark: Mark) -> None:
    """Write a mark, sealed; atomically."""
    said = json.dumps({"fingerprint": mark.fingerprint, **vars(mark)}, default=str)
    write_text(path, sealed_json(json.loads(said)))


def differences(mark: Mark | None, source: Mapping[str, Any], out: Path, contents: Contents) -> str:
    """Say why a stage has to run; empty where all is as it was.

    Parameters
    ----------
    mark : Mark or None
        Of the last time.
    source : mapping
        As `Mark.source`, of today.
    out : Path
        Folder of the run's outputs.
    contents : Contents
        Hashes of files.
    """
    if mark is None:
        return "not finished before"
    old, said = mark.source, []
    if old.get("version") != source["version"]:
        said.append(f"its algorithm is now version {source['version']}, then {old.get('version')}")
    if old.get("seed") != source["seed"]:
        said.append("the seed changed")
    for kind, words in _WORDS.items():
        before, now = old.get(kind, {}), source[kind]
        changes = ((name, _change(before, now, name)) for name in sorted({*before, *now}))
        said += [f"{words.format(name)} {how}" for name, how in changes if how]
    for name in dict.fromkeys((*mark.outputs, *mark.files)):
        if not (out / name).exists():
            said.append(f"its output {name} is gone")
        elif name in mark.files and contents.digest(out / name) != mark.files[name]:
            said.append(f"its output {name} was changed by something else")
    if mark.record.get("failed"):
        said.append(f"{mark.record['failed']} inputs failed the last time")
    more = f" and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
    return ", ".join(said[:_SHOWN]) + more


def _change(before: Mapping[str, Any], now: Mapping[str, Any], name: str) -> str:
    there, here = (name in table and table[name] is not None for table in (before, now))
    if there and here:
        return "" if before[name] == now[name] else "changed"
    return "is new" if here else "is gone" if there else ""


def remove_leftovers(old: Mark | None, new: Mark, out: Path, contents: Contents) -> int:
    """Remove files that the stage made the last time in folders of its outputs and now no longer makes.

    Only files that still hold what the stage wrote go: what somebody changed is somebody's.

    Returns
    -------
    int
        How many.
    """
    folders = [(out / name).resolve() for name in new.outputs if name not in new.files]
    before = old.files.items() if old is not None else ()
    gone = [
        out / name
        for name, digest in before
        if name not in new.files
        and any((out / name).parent.resolve().is_relative_to(f) for f in folders)  # no link, no .. leads out
        and contents.digest(out / name) == digest is not None
    ]
    if gone:
        from obsnet.store import forget_parts

        forget_parts(gone)
    return len(gone)
