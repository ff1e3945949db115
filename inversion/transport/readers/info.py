"""What a footprint file or a sparse Jacobian holds, whichever it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inversion.jacobian.store import JacobianStore
from inversion.transport.files.summary import store_summary, summary
from inversion.transport.readers import open_footprints
from inversion.transport.readers.options import ReaderOptions
from obsnet.work.isolated import apart

__all__ = ["summary_of"]


def summary_of(path: Path, options: ReaderOptions | None = None) -> dict[str, Any]:
    """Return `inversion.transport.files.summary.summary`, or that of a sparse Jacobian where its folder is given."""
    if (path / "meta.json").is_file():
        return store_summary(JacobianStore(path))
    return apart(_summary, path, options)


def _summary(path: Path, options: ReaderOptions | None) -> dict[str, Any]:
    return summary(open_footprints(path, options))
