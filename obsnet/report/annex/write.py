"""An annex as a document."""

from __future__ import annotations

from pathlib import Path

from obsnet.inventory.words import Language
from obsnet.report.annex.chapters import Annex, chapters
from obsnet.report.annex.document import write_document
from obsnet.report.annex.texts import text

__all__ = ["write_annex"]


def write_annex(path: Path, annex: Annex, language: Language) -> Path:
    """Write ``annex.docx`` in one language; whole or not at all.

    Returns
    -------
    Path
        Of the file.
    """
    made = annex.table.iloc[0]
    subtitle = text("subtitle", gas=made["gas"], inventory_period=made["inventory_period"])
    return write_document(path, annex.title, subtitle, chapters(annex), language)
