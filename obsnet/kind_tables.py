"""Tables of entries that each name a kind: rules of quality control, criteria of admission."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from obsnet.config import Options, read_toml, validate
from obsnet.errors import ConfigError, nearest

__all__ = ["Kind", "find_table", "read_kinds", "table_names"]


@dataclass(frozen=True)
class Kind:
    """A kind of entry: what a table may say of it, and the function that takes its subject and those options."""

    options: type[Options]
    run: Callable[[Any, Any], Any]


Common = TypeVar("Common", bound=Options)


def table_names(folder: Path) -> list[str]:
    """Return the names of the tables in a folder of the package."""
    return sorted(p.stem for p in folder.glob("*.toml"))


def find_table(name: str | Path, folder: Path, what: str) -> Path:
    """Return the path of a table: one of the package's by name, or a ``.toml`` file of one's own.

    Raises
    ------
    ConfigError
        No such table; the text names the nearest.
    """
    path = Path(name)
    if path.suffix == ".toml":
        return path
    known = table_names(folder)
    if str(name) not in known:
        raise ConfigError(f"no {what} {str(name)!r}{nearest(str(name), known)}; or give a .toml file")
    return folder / f"{name}.toml"


def read_kinds(
    path: Path, key: str, common: type[Common], kinds: Mapping[str, Kind]
) -> tuple[dict[str, Any], list[tuple[Common, Options]]]:
    """Read ``[[key]]`` entries: what every entry may say, and the options of its kind.

    Parameters
    ----------
    path : Path
        TOML.
    key : str
        ``"rule"``, ``"criterion"``.
    common : type
        Options that every entry may have; one of them is ``kind``.
    kinds : mapping
        By name; each has ``options``.

    Returns
    -------
    head : dict
        What the file says beside the entries, unchecked.
    entries : list of (common, own)
        In order.

    Raises
    ------
    ConfigError
        No entries, an unknown kind, faulty options: every fault on its own line.
    """
    head = read_toml(path)
    rows = head.pop(key, [])
    if not isinstance(rows, list) or not rows:
        raise ConfigError(f"{path.name}: at least one [[{key}]] is needed")
    entries, faults = [], []
    for number, row in enumerate(rows, 1):
        where = f"{path.name}: {key} {number}"
        try:
            if not isinstance(row, dict):
                raise ConfigError(f"{where}: must be a table")
            shared = validate(common, {k: v for k, v in row.items() if k in common.model_fields}, where)
            kind = str(row.get("kind", ""))
            if kind not in kinds:
                raise ConfigError(f"{where}: unknown kind {kind!r}{nearest(kind, kinds)}")
            rest = {k: v for k, v in row.items() if k not in common.model_fields}
            entries.append((shared, validate(kinds[kind].options, rest, where)))
        except ConfigError as fault:
            faults.append(str(fault))
    if faults:
        raise ConfigError("\n".join(faults))
    return head, entries
