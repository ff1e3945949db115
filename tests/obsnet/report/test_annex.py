"""The annex: the order of an inventory's annex, one language, fonts of both scripts, tables that run over pages."""

import re
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from docx import Document
from docx.oxml.ns import qn

from obsnet.commands.report import report
from obsnet.drawing.figures import figure_png
from obsnet.errors import FormatError
from obsnet.language import NOTHING, Words
from obsnet.report.annex.chapters import Chapter, chapters
from obsnet.report.annex.document import _widths, said, write_document
from obsnet.report.annex.write import write_annex
from obsnet.report.content import Content
from obsnet.report.sections.optional import _MAKERS
from obsnet.report.sections.section import Section
from tests.commands import call

NASTY = "<script>alert(1)</script> & =cmd \x07"


def picture():
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(3, 2))
    axes.plot([0, 1])
    return figure_png(figure, dpi=40)


@pytest.fixture(scope="module")
def annex():
    table = pd.DataFrame(
        {
            "region": ["110000", "x", "540000", "110000+x"],
            "name_en": ["Beijing", NASTY, "Tibet", "Beijing + x"],
            "name_zh": ["北京市", NASTY, "西藏自治区", "北京市 + x"],
            "kind": ["region", "region", "region", "joint"],
            "gas": "CH4",
            "sector": "coal",
            "unit": "Mt",
            "inventory": [100.0, 50.0, np.nan, 150.0],
            "inventory_sd": [5.0, 5.0, np.nan, 7.0],
            "posterior": [140.0, 52.0, 3.0, 190.0],
            "posterior_sd": [5.0, 20.0, 3.0, 6.0],
            "difference": [40.0, 2.0, 0.0, 40.0],
            "difference_sd": [7.0, 12.0, 1.0, 9.0],
            "response": [0.9, 0.4, 0.0, 0.8],
            "minimum_detectable": [20.0, 60.0, np.inf, 30.0],
            "p_adjusted": [1e-5, np.nan, np.nan, 0.2],
            "verdict": ["inconsistent", "not testable", "not testable", "consistent"],
            "reason": ["", "smallest detectable discrepancy 120% exceeds 30%", "no inventory", ""],
            "reason_zh": ["", "最小可检差异 120% 超过 30%", "无清单", ""],
            "remark": "",
            "remark_zh": "",
            "period": "2019",
            "inventory_period": "2019",
            "category": "1.B.1",
            "terminology": "IPCC2006",
            "inventory_source": "book",
            "alpha": 0.2,
            "power": 0.6,
            "detectable": 0.35,
            "margin_share": 0.125,
            "adjustment": "Benjamini-Hochberg",
            "chi_square": 1.03,
            "chi_square_low": 0.5,
            "chi_square_high": 1.25,
        }
    )
    told = Section(Words("What is told apart", "可区分性"), [Words("text", "文字")], picture=picture())
    return Content(
        language="en",
        title="A title",
        notes=[Words("a note", "一条说明")],
        remarks=[Words("a remark", "一条备注")],
        summary=[],
        table=table,
        pictures={"verdicts": picture(), "totals": picture(), "flux": picture()},
        fit="",
        period="2019",
        sections={"told_apart": [told]},
        facts=[(Words("Prior", "先验"), Words(NASTY, NASTY))],
    )


FILES = [("posterior.nc", "0" * 64, Words("The inversion", "反演结果"))]


@pytest.fixture(scope="module", params=["en", "zh"])
def written(annex, request, tmp_path_factory):
    path = write_annex(
        tmp_path_factory.mktemp("annex") / "annex.docx", replace(annex, language=request.param), FILES
    )
    return request.param, path, Document(str(path))


def shown(book):
    return "\n".join(
        [p.text for p in book.paragraphs] + [c.text for t in book.tables for r in t.rows for c in r.cells]
    )


def test_chapters_stand_in_the_order_of_an_inventorys_annex(written):
    language, _, book = written
    heads = [p.text for p in book.paragraphs if p.style.name == "Heading 1"]
    expected = {
        "en": ["Purpose", "Methods", "Definitions", "Results by", "National", "Sectors", "Uncertainties", "Limits",
               "Files"],
        "zh": ["目的", "方法", "定义", "分省", "全国", "部门", "不确定性", "局限", "文件"],
    }[language]  # fmt: skip
    assert [h.split("  ")[0] for h in heads] == [str(n) for n in range(1, 10)]
    assert all(h.split("  ")[1].startswith(e) for h, e in zip(heads, expected, strict=True))


def test_detectability_comes_before_the_verdicts(written):
    _, _, book = written
    heads = [p.text for p in book.paragraphs if p.style.name == "Heading 2" and p.text.startswith("4.")]
    first = {"en": ["What could be found", "Verdicts"], "zh": ["可检出程度", "检验结论"]}[written[0]]
    assert [h.split("  ")[1] for h in heads[:2]] == first


def test_only_one_language(written):
    """Names, verdicts, reasons, captions: nothing of the other language but what files say."""
    language, _, book = written
    text = shown(book).replace(said(NASTY, "en"), "")
    if language == "en":
        assert not any("\u4e00" <= c <= "\u9fff" for c in text)
        assert "Of 3 regions 1 could be tested" in text
        assert "20%" in text  # the rule of the table, of which no default may be here
        assert "within 12.5%" in text
    else:
        for word in ("inconsistent", "not testable", "Beijing", "exceeds", "Table", "Figure", "Inventory"):
            assert word not in text
        assert "3 个地区中 1 个可检验" in text
        assert "最小可检差异 120% 超过 30%" in text


def test_texts_of_files_are_texts(written):
    _, path, book = written
    assert "<script>alert(1)</script> & =cmd" in shown(book)
    with zipfile.ZipFile(path) as archive:
        assert b"<script>" not in archive.read("word/document.xml")


def test_heads_of_tables_are_repeated_and_rows_stay_whole(written):
    _, _, book = written
    assert len(book.tables) >= 6
    for table in book.tables:
        marks = [row._tr.trPr for row in table.rows]
        assert marks[0].find(qn("w:tblHeader")) is not None
        assert all(m.find(qn("w:cantSplit")) is not None for m in marks)
        assert all(m.find(qn("w:tblHeader")) is None for m in marks[1:])
        assert sum(c.width.cm for c in table.rows[0].cells) == pytest.approx(16.6, abs=0.05)


def test_both_scripts_have_fonts(written):
    _, _, book = written
    for name in ("Normal", "Cell", "Caption", "Title", "Heading 1", "Heading 2"):
        fonts = book.styles[name].element.rPr.rFonts
        assert fonts.get(qn("w:eastAsia")) in {"SimSun", "SimHei"}
        assert fonts.get(qn("w:ascii"))
        assert not [k for k in fonts.attrib if k.endswith("Theme")]


def test_pictures_are_there_and_described(written):
    _, _, book = written
    pictures = book.inline_shapes
    assert len(pictures) == 4
    assert all(p.width.cm <= 16.6 and p._inline.docPr.get("descr") is not None for p in pictures)
    labels = [p.text for p in book.paragraphs if p.style.name == "Caption"]
    figures = [t for t in labels if t.startswith({"en": "Figure", "zh": "图"}[written[0]])]
    assert len(figures) == 4
    assert len(labels) == 4 + len(book.tables)


def test_what_was_not_made_is_said(annex):
    made = {c.title.en: c for c in chapters(annex, FILES)}
    said_ = [t.en for c in made.values() for s in c.sections for t in s.text]
    assert any("no bridge between definitions" in t for t in said_)
    assert any("obsnet attribute" in t for t in said_)
    bridge = Section(Words("Definitions", "定义统一"), [Words("closes", "闭合")])
    with_one = {c.title.en: c for c in chapters(replace(annex, sections={"bridge": [bridge]}), FILES)}
    assert [s.title.en for s in with_one["Definitions and the bridge between them"].sections] == [
        "Definitions"
    ]


def test_every_section_of_the_report_has_its_chapter_once(annex):
    own = ["bridge", "beside", "told_apart", "nowcast", "fit", "inputs"]
    keys = [*own, *(Path(name).stem for name in _MAKERS)]
    made = chapters(replace(annex, sections={k: [Section(Words(k, k))] for k in keys}), FILES)
    titles = [s.title.en for c in made for s in c.sections]
    assert [titles.count(k) for k in keys] == [1] * len(keys)


def test_a_table_wider_than_the_page_is_made_to_fit(tmp_path):
    head = [Words(f"column{k}", "") for k in range(14)]
    wide = Chapter(Words("c", "章"), [Section(NOTHING, [], head, [["123,456.789"] * 14])])
    path = write_document(tmp_path / "w.docx", Words("t", "题"), NOTHING, [wide], "en")
    (table,) = Document(str(path)).tables
    assert sum(c.width.cm for c in table.rows[0].cells) == pytest.approx(16.6, abs=0.05)


@pytest.mark.parametrize(
    "head",
    [
        "Source,n,Information,Bias before,Bias after,RMSE before,RMSE after,Error assumed,Error suggested,Residual²/R",
        "Region,Inventory,Inversion,Difference,p adj.,Verdict,Reason and remark",
        "Region,z,E_n,ln(inversion / inventory),± sd,Inversion's relative sd,Asked (GCOS),Met",
    ],
)
@pytest.mark.parametrize("cell", ["0.95", "+1.372", "1,014 ± 86"])
def test_no_word_of_a_head_or_number_breaks_in_the_widest_font(head, cell):
    """Measured in DejaVu Sans, which takes the place of Calibri where nothing nearer is installed."""
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.ft2font import FT2Font

    heads = head.split(",")
    row = ["oco2_lite_x2019", *[cell if k < 2 else "2.686" for k in range(1, len(heads))]]
    widths, share = _widths([heads, row], 16.6, 7.5)
    assert sum(widths) == pytest.approx(16.6)
    assert 0.8 <= share <= 1.0
    for texts, weight, points in ((heads, "bold", 7.5 * share), (row, "normal", 7.5)):
        font = FT2Font(findfont(FontProperties(family="DejaVu Sans", weight=weight)))
        font.set_size(100.0 * points, 72)  # so large that no pixel rounds it
        for text, width in zip(texts, widths, strict=True):
            for word in re.split(r" |(?=/)", text):
                font.set_text(word)
                assert font.get_width_height()[0] / 6400 * 2.54 / 72 <= width - 0.38, (word, share)


def test_a_document_of_the_users_keeps_what_it_has(tmp_path):
    """An institute's paper: Letter, headers, a cover, its own fonts, and some of our styles missing."""
    from docx.shared import Cm, Pt

    own = Document()
    own.sections[0].page_width, own.sections[0].left_margin = Cm(21.59), Cm(4.0)
    own.sections[0].header.paragraphs[0].text = "生态环境厅"
    own.add_paragraph("Cover")
    own.styles["Heading 2"].element.get_or_add_pPr().get_or_add_numPr()  # numbered by the paper itself
    own.core_properties.author, own.core_properties.comments = "某省生态环境厅", "draft"
    own.styles["Heading 1"].font.name, own.styles["Heading 1"].font.size = "FangSong", Pt(22)
    for name in ("Table Grid", "Caption", "Subtitle"):
        own.styles.element.remove(own.styles[name].element)
    own.save(str(tmp_path / "paper.docx"))
    section = Section(
        Words("s", "节"), [], [Words("h", "头")] * 8, [["1,234"] * 8], picture(), Words("p", "图")
    )
    what = (Words("Title here", "题"), Words("sub", "副"), [Chapter(Words("c", "章"), [section])], "zh")
    book = Document(str(write_document(tmp_path / "a.docx", *what, tmp_path / "paper.docx")))
    assert [p.text for p in book.paragraphs[:5]] == ["Cover", "题", "副", "1  章", "节"]
    assert book.sections[0].header.paragraphs[0].text == "生态环境厅"
    assert book.sections[0].footer.paragraphs[0].text == ""
    assert (book.styles["Heading 1"].font.name, book.styles["Heading 1"].font.size) == ("FangSong", Pt(22))
    assert book.styles["Caption"].element.rPr.rFonts.get(qn("w:eastAsia")) == "SimSun"
    known = book.core_properties
    assert (known.title, known.author, known.comments) == ("题", "某省生态环境厅", "draft")
    assert known.last_modified_by == "obsnet"
    page = book.sections[0]
    inside = (page.page_width - page.left_margin - page.right_margin) / Cm(1.0)
    assert sum(c.width.cm for c in book.tables[0].rows[0].cells) == pytest.approx(inside, abs=0.05)
    assert book.tables[0].style.name == "Table Grid"
    (tmp_path / "text.docx").write_text("no document")
    for name, said_ in (
        ("text.docx", "cannot be read as a Word document"),
        ("a.dotx", "save it as .docx"),
        ("b.docx", "no such file"),
    ):
        with pytest.raises(FormatError, match=said_):
            write_document(tmp_path / "b.docx", *what, tmp_path / name)


def test_a_template_is_asked_for_before_anything_is_read(tmp_path):
    """The files of the run are none at all, and what is told is the template."""
    for name in ("posterior.nc", "provinces.csv", "provinces_covariance.csv", "provinces_statistics.csv"):
        (tmp_path / name).write_text("")
    with pytest.raises(FormatError, match=r"none.docx: no such file \(the template of the annex\)"):
        call(report, tmp_path, "--template", tmp_path / "none.docx")


def test_a_template_that_fetches_swells_or_is_the_annex(tmp_path, monkeypatch):
    """Links that a reader clicks and the name of the file it was made from do no harm."""
    what = (Words("T", "题"), Words("s", "副"), [], "en")
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
    own, paper, annex = Document(), tmp_path / "paper.docx", tmp_path / "annex.docx"
    own.part.relate_to("https://example.org/", kind + "hyperlink", is_external=True)
    settings = own.part.part_related_by(kind + "settings")
    named = settings.relate_to("file:///C:/house.dotm", kind + "attachedTemplate", is_external=True)
    made_from = own.settings.element.makeelement(qn("w:attachedTemplate"))
    made_from.set(qn("r:id"), named)
    own.settings.element.append(made_from)
    other = own.styles.add_style("Cell", 1)
    other.element.set(qn("w:styleId"), "a5")
    own.save(str(paper))
    row = Chapter(Words("c", "章"), [Section(Words("s", "节"), [], [Words("h", "头")], [["1"]])])
    write_document(annex, *what[:2], [row], "en", paper)
    assert b"house.dotm" not in b"".join(map(zipfile.ZipFile(annex).read, zipfile.ZipFile(annex).namelist()))
    assert Document(str(annex)).tables[0].cell(0, 0).paragraphs[0].style.name == "Cell"
    with pytest.raises(FormatError, match="the annex itself, which would grow"):
        write_document(annex, *what, annex)
    own.part.relate_to("https://example.org/a.png", kind + "image", is_external=True)
    own.save(str(paper))
    with pytest.raises(FormatError, match=r"paper.docx: fetches https://example.org/a.png when it is opened"):
        write_document(annex, *what, paper)
    monkeypatch.setattr("obsnet.report.annex.template._UNPACKED", 1000)
    with pytest.raises(FormatError, match="MiB when unpacked"):
        write_document(annex, *what, paper)


def test_libreoffice_opens_it(written, tmp_path):
    """Its pages have the text, and the head of a table that runs over pages stands on each of them."""
    language, path, book = written
    office, reader = shutil.which("libreoffice") or shutil.which("soffice"), shutil.which("pdftotext")
    if office is None or reader is None:
        pytest.skip("LibreOffice or pdftotext is not installed")
    head = Words("Heads of columns stand here", "列标题在此")
    long = Section(NOTHING, [], [head], [[f"row {k}"] for k in range(150)])
    write_document(
        tmp_path / "a.docx", Words("t", "题"), NOTHING, [Chapter(Words("c", "章"), [long])], language
    )
    shutil.copy(path, tmp_path / "b.docx")
    home = f"-env:UserInstallation={(tmp_path / 'home').as_uri()}"
    done = subprocess.run(
        [office, home, "--headless", "--convert-to", "pdf", "--outdir", str(tmp_path), str(tmp_path / "a.docx"),
         str(tmp_path / "b.docx")],
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages, text = (
        subprocess.run([reader, str(tmp_path / f"{n}.pdf"), "-"], capture_output=True, text=True).stdout
        for n in ("a", "b")
    )
    assert pages.count(said(head, language)) == pages.count("\f") >= 3
    for paragraph in book.paragraphs[:6]:
        assert paragraph.text.split()[0][:8] in text
