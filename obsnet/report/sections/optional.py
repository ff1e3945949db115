"""Sections of tables that other commands left in the folder of the report; one a file, none without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from obsnet.language import Language
from obsnet.report.sections.reconciled import reconciled
from obsnet.report.sections.section import Section
from obsnet.report.sections.sectors import sectors
from obsnet.report.sections.systems import systems
from obsnet.report.sections.trends import trends

__all__ = ["optional_files", "optional_sections"]

# In the order of the page.
_MAKERS: dict[str, Callable[[Path, Language], Section]] = {
    "compare.json": systems,
    "reconciled.csv": reconciled,
    "attribution.csv": sectors,
    "trends.csv": trends,
}


def optional_files(folder: Path) -> list[Path]:
    """Return the tables of other commands that are there, with what goes with them."""
    names = [Path(name) for name in _MAKERS]
    return sorted(p for name in names for p in folder.glob(f"{name.stem}*{name.suffix}"))


def optional_sections(folder: Path, language: Language = "en") -> dict[str, list[Section]]:
    """Return a section of each that is there, by the table's name."""
    return {
        Path(name).stem: [make(folder / name, language)]
        for name, make in _MAKERS.items()
        if (folder / name).is_file()
    }
