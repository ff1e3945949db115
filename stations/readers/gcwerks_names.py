"""Which files of GCWerks belong together, by name alone."""

from __future__ import annotations

from pathlib import Path

__all__ = ["is_companion", "main_of", "precisions_of"]


def is_companion(path: Path) -> bool:
    """Tell whether a file is read together with another one beside it, and not by itself."""
    return path.name.endswith(".precisions.C") and main_of(path).exists()


def main_of(path: Path) -> Path:
    """Return the ``.C`` file that a file of precisions belongs to."""
    return _beside(path, "")


def precisions_of(path: Path) -> Path:
    """Return where the precisions of a ``.C`` file are."""
    return _beside(path, ".precisions")


def _beside(path: Path, part: str) -> Path:
    """Return ``x.precisions.C`` of ``x.C`` (part ``.precisions``), or the other way round (empty part)."""
    stem = path.name.removesuffix(".C").removesuffix(".precisions")
    return path.with_name(f"{stem}{part}.C")
