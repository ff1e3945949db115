"""``obsnet station compact``: many small parts of a store into a few."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from obsnet.command import Shown, command

if TYPE_CHECKING:
    from stations.store.options import CompactTable

__all__ = ["compact"]


@command("stations.store.options:CompactTable")
def compact(options: CompactTable) -> Shown:
    """Merge the station rows of a store by year; the same rows are read before, meanwhile and after."""
    from stations.store.whole import compact_store

    found = compact_store(options, report=lambda line: print(line, file=sys.stderr))
    lines = [
        f"{f['species']} {f['source']}: {f['before']} parts, now {f['after']}, {f['rows']} rows moved"
        for f in found
    ]
    return Shown({"store": str(options.store), "sources": found}, lines)
