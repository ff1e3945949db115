"""Sections of tables that other commands left in the folder of the report; one a file, none without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from obsnet.report.sections.reconciled import reconciled
from obsnet.report.sections.section import Section
from obsnet.report.sections.sectors import sectors
from obsnet.report.sections.trends import trends

__all__ = ["optional_files", "optional_sections"]

# In the order of the page.
_MAKERS: dict[str, Callable[[Path], Section]] = {
    "reconciled.csv": reconciled,
    "attribution.csv": sectors,
    "trends.csv": trends,
}


def optional_files(folder: Path) -> list[Path]:
    """Return the tables of other commands that are there, with what goes with them."""
    stems = [Path(name).stem for name in _MAKERS]
    return sorted(p for stem in stems for p in folder.glob(f"{stem}*.csv"))


def optional_sections(folder: Path) -> list[Section]:
    """Return a section of each that is there."""
    return [make(folder / name) for name, make in _MAKERS.items() if (folder / name).is_file()]
