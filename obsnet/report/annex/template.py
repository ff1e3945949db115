"""A Word document of the user's that an annex is written on: opened safely, with the styles that it lacks."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from obsnet.errors import FormatError
from obsnet.reading import reading

__all__ = ["add_lacking", "counts_itself", "open_template"]

_UNPACKED = 256 << 20  # bytes


def open_template(path: Path, made: Path) -> Any:
    """Open a document of the user's.

    Parameters
    ----------
    path : Path
        Of the template.
    made : Path
        Of the document that will be written.

    Raises
    ------
    FormatError
        No Word document, the annex itself, too large when unpacked, or one that fetches something from elsewhere when
        it is opened.
    """
    from docx import Document
    from docx.opc.constants import RELATIONSHIP_TYPE
    from docx.oxml.ns import qn

    if path.suffix.lower() != ".docx":
        raise FormatError(f"{path}: a template is a Word document; save it as .docx and give that")
    if not path.is_file():
        raise FormatError(f"{path}: no such file (the template of the annex)")
    if made.exists() and path.samefile(made):
        raise FormatError(f"{path}: the annex itself, which would grow each time; copy it and give the copy")
    with reading(path, "a Word document"):
        with zipfile.ZipFile(path) as packed:
            size = sum(part.file_size for part in packed.infolist())
        if size > _UNPACKED:
            raise FormatError(
                f"{path}: {size >> 20} MiB when unpacked, a template may have {_UNPACKED >> 20}; "
                "make its pictures smaller"
            )
        book = Document(str(path))
        # a paper names the file that it was once made from, which nobody else has and Word would look for
        for named in book.settings.element.findall(qn("w:attachedTemplate")):
            named.getparent().remove(named)
            book.part.part_related_by(RELATIONSHIP_TYPE.SETTINGS).drop_rel(named.get(qn("r:id")))
        links = book.part.package.iter_rels()
        away = [k.target_ref for k in links if k.is_external and k.reltype != RELATIONSHIP_TYPE.HYPERLINK]
    if away:
        raise FormatError(
            f"{path}: fetches {away[0]} when it is opened, and so would the annex; "
            "embed it in the template, or remove it"
        )
    return book


def counts_itself(style: Any) -> bool:
    """Tell whether a style, or one that it is based on, numbers its paragraphs."""
    from docx.oxml.ns import qn

    while style is not None:
        properties = style.element.pPr
        if properties is not None and properties.find(qn("w:numPr")) is not None:
            return True
        style = style.base_style
    return False


def add_lacking(book: Any, names: Sequence[str]) -> list[str]:
    """Copy styles that a document lacks from an empty one, where that has them; return the names of all it lacked."""
    from docx import Document

    there, plain = {s.name for s in book.styles}, Document().styles
    taken = {s.style_id for s in book.styles}
    lacking = [n for n in names if n not in there]
    for name in lacking:
        if name not in plain:
            continue
        if plain[name].style_id in taken:
            raise FormatError(
                f"the template has no style {name!r}, and another whose id is {plain[name].style_id!r}; "
                f"rename that one, or add {name!r}"
            )
        book.styles.element.append(deepcopy(plain[name].element))
    return lacking
