"""Station rows of a store in a few parts of whole years instead of one a month and file; see `obsnet.compact`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from obsnet.compact import compact
from obsnet.errors import FormatError
from obsnet.holdings import held, whole_parts
from obsnet.store import ObservationStore
from stations.store.options import CompactTable

__all__ = ["SENSOR", "compact_store", "forget_unnamed"]

SENSOR = "station"  # of the index, for every file that stations read


def compact_store(
    options: CompactTable, report: Callable[[str], None] = lambda _line: None
) -> list[dict[str, Any]]:
    """Compact everything in a store that station files brought.

    Returns
    -------
    list of dict
        ``species, source, before, after, rows``, one a species and source.

    Raises
    ------
    FormatError
        The store holds no rows of stations.
    """
    store = ObservationStore(options.store)
    rows = [r for r in store.index.read().to_pylist() if r["sensor"] == SENSOR]
    sources = {r["version"] for r in rows if r["version"]}
    found = [
        (name, source) for name in store.species() for source in store.sources(name) if source in sources
    ]
    if not found:
        raise FormatError(
            f"{options.store}: no rows of station files here; `obsnet station read … --out` writes them"
        )
    done = []
    for name, source in found:
        counts = compact(store, name, source, rows=options.rows, report=report)
        done.append({"species": name, "source": source, **counts})
    return done


def forget_unnamed(store: ObservationStore, named: Collection[str]) -> int:
    """Take out of whole-year parts what a case no longer names; single parts of such files go by the stage's mark.

    Parameters
    ----------
    named : collection of str
        ``file_id`` of the case's files.

    Returns
    -------
    int
        Files whose rows were taken out.
    """
    ours = {r["file_id"] for r in store.index.read().to_pylist() if r["sensor"] == SENSOR}
    sources = store.path.glob("species=*/source=*")
    inside = {i for source in sources for part in whole_parts(source) for i in held(part)}
    gone = (inside & ours) - set(named)
    if gone:
        store.forget(gone)
    return len(gone)
