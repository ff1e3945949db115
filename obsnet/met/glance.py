"""Which times and points meteorological files have, without building anything of them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from obsnet.met.options import MetOptions
from obsnet.met.readers import reader_for
from obsnet.met.readers.archives import Unpacked
from obsnet.times import from_epoch

__all__ = ["met_summary"]


def met_summary(files: Sequence[str | Path], options: MetOptions) -> str:
    """Open meteorological files and say which times and points they have.

    Raises
    ------
    ObsnetError
        No reader fits them, or what every run needs is not in them.
    """
    with contextlib.closing(Unpacked([Path(f) for f in files])) as unpacked:
        reader = reader_for(unpacked.files, options)
        with contextlib.closing(reader):
            times, where = reader.times, reader.horizontal
            span = f"{from_epoch(times[0])} to {from_epoch(times[-1])}"
            return f"{len(times)} times from {span}, {where.y.size} x {where.x.size} points"
