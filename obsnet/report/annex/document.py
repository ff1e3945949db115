"""A document for word processors from chapters of sections: headings, paragraphs, pictures, tables that run over pages.

Fonts are named for Latin and for Chinese letters apart, since a style that names one only leaves the other to chance;
Word and LibreOffice put another in the place of one that is not installed. A document of the user's keeps its page,
styles, headers and what stands in it; the chapters follow, and only styles that it lacks are made.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from obsnet.atomic import atomic_path
from obsnet.language import Language, Words
from obsnet.report.annex.chapters import Chapter
from obsnet.report.annex.template import add_lacking, counts_itself, open_template
from obsnet.report.sections.section import Section

__all__ = ["check_template", "said", "write_document"]

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # what no XML may hold
_HEIGHT_CM = 16.0  # of pictures inside the margins of A4
_PADDING_CM = 0.4  # of a cell's sides
_SHARES = (1.0, 0.93, 0.87, 0.8)  # of a cell's letters, to which a head may shrink before its words break
_FONTS = {  # Latin, Chinese: of the text, of headings
    "en": (("Calibri", "SimSun"), ("Calibri", "SimHei")),
    "zh": (("Times New Roman", "SimSun"), ("Arial", "SimHei")),
}
_LABELS = {"table": Words("Table", "表"), "figure": Words("Figure", "图")}
_LONG = 14.0  # sizes of its letters, beyond which a word may break
_NARROW = "fijlrtI.,:;|/()[]²'- "
_WIDE = 0x2E7F  # letters beyond it are twice as wide
_GREY = "E7E6E6"
_CELL = "Cell"
_SIZES = {  # in points, and whether a heading's font
    "Normal": (10.5, False), _CELL: (7.5, False), "Caption": (9, False), "Footer": (8, False), "Title": (20, True),
    "Subtitle": (11, False), "Heading 1": (15, True), "Heading 2": (12, True),
}  # fmt: skip
_GRID = "Table Grid"
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_TEXT, _END = '<w:t xml:space="preserve">', "</w:t>"


def said(text: Words | str, language: Language) -> str:
    """Return a text in a language, without what a document cannot hold."""
    if isinstance(text, Words):
        text = (text.zh or text.en) if language == "zh" else (text.en or text.zh)
    return _CONTROL.sub("", str(text))


def check_template(template: Path, path: Path) -> None:
    """Refuse a template that `write_document` would refuse, before there is anything to write.

    Parameters
    ----------
    template : Path
        A document of the user's.
    path : Path
        Of the document that will be written on it.
    """
    add_lacking(open_template(template, path), (*_SIZES, _GRID))


def write_document(
    path: Path,
    title: Words | str,
    subtitle: Words,
    chapters: Sequence[Chapter],
    language: Language,
    template: Path | None = None,
) -> Path:
    """Write chapters as ``.docx``; whole or not at all.

    Parameters
    ----------
    path : Path
        Of the document.
    title, subtitle : Words or str
        On its first page.
    chapters : sequence of Chapter
        Numbered in their order; so are tables and figures.
    language : {"en", "zh"}
        Of all text, and of the proofing tools.
    template : Path, optional
        A document of the user's that is written on, whose author and comments stay; by default A4 with the fonts above,
        by obsnet.

    Raises
    ------
    FormatError
        A template that is no Word document, the annex itself, too large when unpacked, or fetches something from
        elsewhere when it is opened.
    """
    from docx import Document
    from docx.shared import Cm

    book = Document() if template is None else open_template(template, path)
    if template is None:
        page = book.sections[0]
        page.page_width, page.page_height = Cm(21.0), Cm(29.7)
        page.left_margin = page.right_margin = Cm(2.2)
        page.top_margin = page.bottom_margin = Cm(2.2)
        _footer(page, said(title, language))
    lacking = add_lacking(book, (*_SIZES, _GRID))
    _styles(book, language, [name for name in _SIZES if template is None or name in lacking])
    known = book.core_properties
    known.title, known.last_modified_by = said(title, language), "obsnet"
    known.language = "zh-CN" if language == "zh" else "en-GB"
    if template is None:  # the library's own says of whose it is
        known.author, known.comments = "obsnet", ""
    book.add_paragraph(said(title, language), style="Title")
    book.add_paragraph(said(subtitle, language), style="Subtitle")
    writer = _Writer(book, language)
    counted = {k: counts_itself(book.styles[f"Heading {k}"]) for k in (1, 2)}
    for number, chapter in enumerate(chapters, 1):
        title = said(chapter.title, language)
        book.add_heading(title if counted[1] else f"{number}  {title}", 1)
        below = 0
        for section in chapter.sections:
            heading = said(section.title, language)
            if heading:
                below += 1
                book.add_heading(heading if counted[2] else f"{number}.{below}  {heading}", 2)
            writer.section(section, heading or said(chapter.title, language))
    with atomic_path(path) as temporary:
        book.save(str(temporary))
    return path


class _Writer:
    """Puts sections into a document and counts its tables and figures."""

    def __init__(self, book: Any, language: Language) -> None:
        from docx.shared import Cm

        self.book, self.language = book, language
        page = book.sections[-1]  # of which a document need not say how wide it is
        sides = (page.left_margin or Cm(2.2)) + (page.right_margin or Cm(2.2))
        self.width = ((page.page_width or Cm(21.0)) - sides) / Cm(1.0)  # in cm, inside the margins
        self.count = dict.fromkeys(_LABELS, 0)

    def section(self, section: Section, heading: str) -> None:
        for paragraph in section.text:
            shown = said(paragraph, self.language)
            if shown:
                self.book.add_paragraph(shown)
        if section.rows:
            self._caption("table", heading)
            self._table(section.head, section.rows)
        if section.picture is not None:
            self._picture(section.picture, said(section.caption, self.language))

    def _caption(self, kind: str, words: str) -> None:
        """Write ``Table 1`` with a field that a word processor counts, so that lists of tables can be made."""
        self.count[kind] += 1
        paragraph = self.book.add_paragraph(style="Caption")
        paragraph.paragraph_format.keep_with_next = kind == "table"
        paragraph.add_run(f"{said(_LABELS[kind], self.language)} ")
        _field(paragraph, f"SEQ {kind.title()} \\* ARABIC", str(self.count[kind]))
        paragraph.add_run(f"{'　' if self.language == 'zh' else '. '}{words}")

    def _picture(self, image: bytes, words: str) -> None:
        from docx.enum.text import WD_ALIGN_PARAGRAPH
        from docx.shared import Cm

        paragraph = self.book.add_paragraph()
        paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
        paragraph.paragraph_format.keep_with_next = True
        shape = paragraph.add_run().add_picture(io.BytesIO(image))
        scale = min(1.0, Cm(self.width) / shape.width, Cm(_HEIGHT_CM) / shape.height)
        shape.width, shape.height = int(shape.width * scale), int(shape.height * scale)
        shape._inline.docPr.set("descr", words)
        self._caption("figure", words)

    def _table(self, head: Sequence[Words], rows: Sequence[Sequence[Any]]) -> None:
        from docx.enum.table import WD_TABLE_ALIGNMENT
        from docx.oxml import parse_xml
        from docx.shared import Cm

        texts = [
            [said(c, self.language).replace(" ± ", "\u00a0±\u00a0") for c in row] for row in (head, *rows)
        ]
        table = self.book.add_table(rows=0, cols=len(head), style=_GRID)
        table.alignment = WD_TABLE_ALIGNMENT.CENTER
        table.autofit = False
        cell = self.book.styles[_CELL]
        points = _SIZES[_CELL][0] if cell.font.size is None else cell.font.size.pt
        found, share = _widths(texts, self.width, points)
        widths = [Cm(w) for w in found]
        right = [k > 0 and all(_numeric(r[k]) for r in texts[1:]) for k in range(len(head))]
        small = round(2.0 * share * points) if share < 1.0 else 0  # in halves of a point
        for number, row in enumerate(texts):
            cells = zip(row, [w.twips for w in widths], right, strict=True)
            table._tbl.append(parse_xml(_row(list(cells), cell.style_id, number == 0, small)))
        for column, width in zip(table.columns, widths, strict=True):
            column.width = width
        self.book.add_paragraph().paragraph_format.space_after = 0


def _styles(book: Any, language: Language, names: Sequence[str]) -> None:
    """Name fonts of both scripts in styles, and where the text's own is among them the language of the text."""
    from docx.enum.style import WD_STYLE_TYPE
    from docx.oxml.ns import qn
    from docx.shared import Pt, RGBColor

    if _CELL in names:  # which no document has by itself
        cell = book.styles.add_style(_CELL, WD_STYLE_TYPE.PARAGRAPH)
        cell.base_style = book.styles["Normal"]
    body, heads = _FONTS[language]
    for name in names:
        style, (size, heading) = book.styles[name], _SIZES[name]
        latin, chinese = heads if heading else body
        style.font.size = Pt(size)
        style.font.name = latin
        style.font.color.rgb = RGBColor(0, 0, 0)
        style.font.italic = False
        fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
        for key in [k for k in fonts.attrib if k.endswith("Theme")]:
            del fonts.attrib[key]  # a theme's font goes before the one that is named
        for script, font in (("ascii", latin), ("hAnsi", latin), ("cs", latin), ("eastAsia", chinese)):
            fonts.set(qn(f"w:{script}"), font)
    for name, before, after in (("Normal", 0, 6), (_CELL, 1, 1), ("Caption", 6, 4)):
        if name in names:
            shape = book.styles[name].paragraph_format
            shape.space_before, shape.space_after = Pt(before), Pt(after)
    if "Normal" in names:
        text = book.styles["Normal"].element.get_or_add_rPr()
        tongue = text.makeelement(qn("w:lang"))
        tongue.set(qn("w:val"), "en-GB")
        tongue.set(qn("w:eastAsia"), "zh-CN")
        text.append(tongue)


def _footer(page: Any, title: str) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH

    paragraph = page.footer.paragraphs[0]
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    paragraph.add_run(f"{title}　")
    _field(paragraph, "PAGE", "1")


def _field(paragraph: Any, code: str, shown: str) -> None:
    """Put a field with the text that stands until it is counted again."""
    from docx.oxml.ns import qn

    for kind, content in (("begin", ""), ("", code), ("separate", ""), ("text", shown), ("end", "")):
        run = paragraph.add_run(content if kind == "text" else "")
        if kind == "text":
            continue
        part = run._r.makeelement(qn("w:fldChar" if kind else "w:instrText"))
        if kind:
            part.set(qn("w:fldCharType"), kind)
        else:
            part.text = content
        run._r.append(part)


def _row(cells: Sequence[tuple[str, int, bool]], style: str, head: bool, small: int) -> str:
    """Return a row of a table as the file has it: one piece of text is made in a tenth of the time of many calls.

    Parameters
    ----------
    cells : sequence of (str, int, bool)
        Text, width in twentieths of a point, whether set to the right.
    style : str
        Id of the style of the cells.
    head : bool
        A row that is repeated on each page, in bold letters on grey.
    small : int
        Size of the head's letters in halves of a point, 0 for the style's own.
    """
    made = []
    for shown, width, to_right in cells:
        # a stroke may begin a line, which Word does not know by itself
        text = escape(shown.replace("/", "\u200b/") if head else shown)
        text = text.replace("\t", f"{_END}<w:tab/>{_TEXT}").replace("\n", f"{_END}<w:br/>{_TEXT}")
        letters = f'<w:b/><w:sz w:val="{small}"/>' if small else "<w:b/>"
        made.append(
            f'<w:tc><w:tcPr><w:tcW w:type="dxa" w:w="{width}"/>'
            + (f'<w:shd w:val="clear" w:color="auto" w:fill="{_GREY}"/>' if head else "")
            + f"</w:tcPr><w:p><w:pPr><w:pStyle w:val={quoteattr(style)}/>"
            + ('<w:jc w:val="right"/>' if to_right else "")
            + "</w:pPr><w:r>"
            + (f"<w:rPr>{letters}</w:rPr>" if head else "")
            + f"{_TEXT}{text}{_END}</w:r></w:p></w:tc>"
        )
    properties = "<w:cantSplit/>" + ("<w:tblHeader/>" if head else "")
    return f'<w:tr xmlns:w="{_WORD}"><w:trPr>{properties}</w:trPr>{"".join(made)}</w:tr>'


def _numeric(text: str) -> bool:
    return bool(re.fullmatch(r"[-+−±–.,%<>~e\d\s]*", text))


def _ems(word: str, bold: bool = False) -> float:
    """Return how wide a word is in the widest usual font (DejaVu Sans), in sizes of its letters."""
    wide = sum(
        1.2 if ord(c) > _WIDE else 0.45 if c in _NARROW else 1.05 if c in "mwMW%" else 0.9 if c in "+−±<>~=" else
        0.78 if c.isupper() else 0.7
        for c in word
    )  # fmt: skip
    return wide if bold else 0.92 * wide


def _least(texts: Sequence[Sequence[str]], letter: float, share: float) -> list[float]:
    """Return the widths in cm at which no word breaks, the head's letters smaller by a share."""
    found = []
    for head, *cells in zip(*texts, strict=True):
        first = max(_ems(w, bold=True) for w in re.split(r" |(?=/)", head))
        longest = max((_ems(w) for t in cells for w in t.split(" ")), default=0.0)
        found.append(max(first * share, min(longest, _LONG)) * letter + _PADDING_CM)
    return found


def _widths(texts: Sequence[Sequence[str]], width: float, points: float) -> tuple[list[float], float]:
    """Return widths in cm that fill the page, and the share of their size that the head's letters may have.

    The longest word fits, what is left goes to the longest cells.
    """
    letter = points * 2.54 / 72.0
    share = next((s for s in _SHARES if sum(_least(texts, letter, s)) <= width), _SHARES[-1])
    least = _least(texts, letter, share)
    longest = (max(map(_ems, column)) * letter + _PADDING_CM for column in zip(*texts, strict=True))
    whole = [max(m, w) for m, w in zip(least, longest, strict=True)]
    spare = width - sum(least)
    if spare <= 0:
        return [width * w / sum(least) for w in least], share
    missing = [(w - m) ** 0.5 for w, m in zip(whole, least, strict=True)]
    wanted = sum(missing) or 1.0
    filled = [min(m + spare * k / wanted, w) for m, k, w in zip(least, missing, whole, strict=True)]
    rest = width - sum(filled)
    return [w + rest * w / sum(filled) for w in filled], share
