"""Whole-year parts of a store: which input files they hold, and which single parts they stand for.

``year=2019/month=0/1of2.parquet`` holds the rows that many input files have in a year, and its footer lists them. A
single part (``month=3/<file_id>.parquet``) of an input that a whole-year part of its year lists is what a killed
compaction left: its rows are in the whole-year part already, so nobody reads it. Thus the moment when the whole-year
part appears is the moment when the single parts are gone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from obsnet.seal import check_parquet

__all__ = ["HOLDS", "WHOLE", "held", "is_whole", "living", "whole_parts"]

WHOLE = "month=0"  # folder of whole-year parts
HOLDS = b"obsnet:holds"  # of the footer: JSON, the number of single parts by file_id
_seen: dict[tuple[str, int, int, int], dict[str, int]] = {}


def is_whole(part: Path) -> bool:
    """Tell whether a part is one of a whole year."""
    return part.parent.name == WHOLE


def whole_parts(source: Path) -> list[Path]:
    """Return the whole-year parts of a source's folder, sorted."""
    return sorted(p for year in source.glob("year=*") for p in (year / WHOLE).glob("[!.]*.parquet"))


def held(part: Path) -> dict[str, int]:
    """Return which input files a whole-year part holds, and of how many single parts each is made.

    Raises
    ------
    FormatError
        The part is damaged.
    """
    about = os.stat(part)
    key = (str(part), about.st_ino, about.st_size, about.st_mtime_ns)
    if key not in _seen:
        _seen[key] = json.loads((check_parquet(part, ()).metadata or {}).get(HOLDS, b"{}"))
    return _seen[key]


def living(parts: Iterable[Path]) -> list[Path]:
    """Return the parts that count, in their order: without those that a whole-year part stands for."""
    parts = list(parts)
    whole: dict[Path, set[str]] = {}
    for part in filter(is_whole, parts):
        whole.setdefault(part.parents[1], set()).update(held(part))
    return [p for p in parts if is_whole(p) or p.stem not in whole.get(p.parents[1], ())]
