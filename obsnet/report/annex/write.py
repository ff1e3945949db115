"""An annex as a document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from obsnet.language import Words
from obsnet.report.annex.chapters import chapters
from obsnet.report.annex.document import write_document
from obsnet.report.annex.texts import text
from obsnet.report.content import Content

__all__ = ["write_annex"]


def write_annex(
    path: Path, content: Content, files: Sequence[tuple[str, str, Words]], template: Path | None = None
) -> Path:
    """Write ``annex.docx`` in the language of the content; whole or not at all; see `chapters`.

    Returns
    -------
    Path
        Of the file.
    """
    made = content.table.iloc[0]
    subtitle = text("subtitle", gas=made["gas"], inventory_period=made["inventory_period"])
    return write_document(path, content.title, subtitle, chapters(content, files), content.language, template)
