"""The report: self-contained, escaped, one language throughout, pictures that are pictures."""

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from obsnet.drawing import fonts
from obsnet.drawing.maps import VERDICT_COLOURS
from obsnet.errors import FormatError
from obsnet.report.content import Content
from obsnet.report.page import write_report
from obsnet.report.pictures import flux_map, verdict_map
from tests.obsnet.report.synthetic import GRID, nowcast, verdicts

_NO_PICTURES = dict.fromkeys(("verdicts", "differences", "totals", "flux"), b"")


def page_of(path, language="en", **changes):
    """Write a page without pictures and return it."""
    given = {
        "language": language, "title": "t", "notes": [], "remarks": [], "summary": [], "table": verdicts(),
        "pictures": _NO_PICTURES, "fit": "", "period": "2019",
    } | changes  # fmt: skip
    write_report(path / "r.html", Content(**given))
    return (path / "r.html").read_text(encoding="utf-8")


class Texts(HTMLParser):
    """What a person reads on a page: text outside script, style and what is marked as English, and spoken labels."""

    def __init__(self):
        super().__init__()
        self.open, self.found = [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in ("meta", "link", "img", "input"):
            self.open.append(
                (tag, tag in ("script", "style") or (attrs.get("lang") == "en" and tag != "html"))
            )
        self.found += [attrs[k] for k in ("alt", "aria-label") if k in attrs]

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if not any(skipped for _, skipped in self.open):
            self.found.append(data.strip())


def texts_of(html):
    parser = Texts()
    parser.feed(html)
    return [t for t in parser.found if t]


# What may stand in Latin letters on a Chinese page: names of files, commands, options, packages, products, formulas.
_LATIN = re.compile(
    r"--[a-z-]+|\[[a-z.]+\]|[\w./-]+\.(csv|nc|tif|json|toml|parquet|html)|doi:\S+|obsnet( run| invert)?"
    r"|Benjamini-Hochberg|Mann-Kendall|OCO-2 MIP|CEADs|GCOS|ISO 13528|E_n|ln\(|RMSE|CRPS|CO2|Sen|Desroziers|sha256"
    r"|Mt|ppm|tianditu"
)


def english_in(texts):
    """Return texts with two English words in a row that are none of `_LATIN`."""
    return [t for t in texts if re.search(r"[A-Za-z]{2,}[ ,]+[A-Za-z]{2,}", _LATIN.sub("·", t))]


def test_the_search_for_english_finds_it():
    assert english_in(["见 provinces.csv", "Benjamini-Hochberg 校正", "差值 --bridge-sector"]) == []
    assert english_in(["差值 of the inventory"])


def test_a_chinese_page_is_chinese_throughout(made):
    """Text, spoken labels, and every word in every picture."""
    if made.language == "en":
        chinese = [t for t in [*texts_of(made.html), *made.drawn] if re.search("[\u4e00-\u9fff]", t)]
        assert chinese == []
        return
    assert '<html lang="zh-Hans">' in made.html
    assert english_in(texts_of(made.html)) == []
    assert len(made.drawn) > 100
    if fonts.chinese_font() is not None:
        assert english_in(made.drawn) == []
        assert "反演，不一致" in made.drawn
        assert "图中标注为英文" not in made.html


def test_pictures_are_png_beside_the_page(made):
    for name in ("verdicts", "differences", "totals", "flux"):
        image = (made.folder / f"{name}.png").read_bytes()
        assert image.startswith(b"\x89PNG")
        assert len(image) > 10_000
    assert made.html.count("data:image/png;base64,iVBOR") == 11


def test_page_needs_nothing_from_outside(made):
    assert not re.search(r"(src|href)=\"(?!data:|#)", made.html)
    assert not re.search(r"https?://|@import|url\(", made.html)
    assert made.html.count("<script") == 1
    assert "script-src 'sha256-" in made.html
    assert len(made.html) < 5e6


def test_text_is_escaped(made):
    if made.language == "en":
        assert "Henan &lt;b&gt;" in made.html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in made.html
        assert "A &lt;title&gt; &amp; more" in made.html
    assert "<script>alert" not in made.html


def test_the_records_notes_are_there_whatever_is_said_later(made, tmp_path):
    """Heading and notes come from run.json; what is said on the command is added to them."""
    assert ("数据均为虚构" if made.language == "zh" else "data are invented") in made.html
    from obsnet.report.options import ReportOptions
    from obsnet.report.record import with_record

    said = with_record(ReportOptions(notes=["and this"], title="mine"), made.folder)
    assert said.notes == ["data are invented", "and this"]
    assert (said.title, said.title_zh) == ("mine", "标题")
    assert with_record(ReportOptions(title="mine"), tmp_path).title == "mine"
    # a document of the case lies beside the case, wherever the command runs; one of the command where it runs
    record = {"config": {"report": {"template": "paper.docx"}}, "case_folder": "../.."}
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert with_record(ReportOptions(), tmp_path).template == tmp_path / "../../paper.docx"
    assert with_record(ReportOptions(template=Path("a.docx")), tmp_path).template == Path("a.docx")


def test_the_rule_is_the_tables(tmp_path):
    """The table was made with 20 %, 60 %, 200 %; nothing of the defaults may be on the page."""
    page = page_of(tmp_path)
    assert (
        "Rule: 20% false alarms over 3 tested regions (Benjamini-Hochberg), power 60%, testable up to 200%"
        in page
    )
    assert "consistent within 12.5% of it" in page
    for default in ("80% power", "to 30% of", "within 30%", "up to 5%"):
        assert default not in page
    assert "可证与清单之差在 12.5% 以内" in page_of(tmp_path, "zh")


def test_the_summary_says_what_was_found():
    from obsnet.report.summary import summary

    lines = summary(verdicts(), "en")
    assert lines[0] == (
        "fossil CO2 of the inversion, 2019-01-05 to 2019-01-20, is held against the inventory's total (CEADs) of 2015."
    )
    assert lines[1].startswith(
        "Of 4 regions 1 are inconsistent with their inventory, 1 are shown to agree, 1 are not"
    )
    assert "Henan <b>: the inventory says 346 ± 17, the inversion 440 ± 20 Mt a year" in lines[2]
    assert "+90 ± 22" in lines[2]
    assert lines[3] == "Shown to agree: Beijing."
    none = summary(verdicts(verdict="not testable"), "en")
    assert "No inventory is shown to differ." in none
    near = summary(verdicts(verdict="not testable", detectable=0.1), "en")
    assert any(line.startswith("Nearest to being testable: Henan <b>, where 19%") for line in near)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_failed_fit_is_boxed_and_on_every_printed_page(tmp_path, language):
    from obsnet.report.sections.fit import fit_words

    bad = verdicts(chi_square=3.0)
    page = page_of(tmp_path, language, table=bad, fit=fit_words(bad).said(language))
    words = {"en": "This run does not fit its own errors", "zh": "本次反演与其误差假设不符"}[language]
    assert re.search(rf'class="failed" role="alert"><p>{words}</p><p>[^<]*3 ?', page)
    assert f'@top-center {{ content: "{words}"' in page
    good = page_of(tmp_path, language)
    assert words not in good
    assert "@top-center" not in good
    assert "not known" in fit_words(verdicts(chi_square=np.nan)).en


def test_a_source_that_does_not_fit_is_boxed_too(tmp_path):
    """The words of the test and of the box are one: whatever bars verdicts for want of fit begins alike."""
    from obsnet.crosscheck.words import say
    from obsnet.report.sections.fit import MISFIT, fit_words, fits

    whole = say("misfit", chi=3.0, low=0.5, high=1.25, where="x")
    source = say("source misfit", where="flasks", high=9.0)
    for said in (whole, source):
        assert said.en.startswith(MISFIT)
    table = verdicts(verdict="not testable", reason=source.en, reason_zh=source.zh)
    assert fits(verdicts()) is True
    assert fits(table) is False
    assert fit_words(table) == source
    assert 'class="failed"' in page_of(tmp_path, table=table)


def test_counts_and_numbers(tmp_path):
    page = page_of(tmp_path)
    assert re.search(r"<b>1</b>not testable", page)
    assert re.search(r"<b>1</b>not decided", page)
    assert "+90" in page
    assert "19%" in page  # 65 of 346
    assert "1e-05" in page
    assert "–" in page  # nothing where there is no inventory


def test_inconsistent_comes_first(tmp_path):
    page = page_of(tmp_path)
    assert page.index("Henan") < page.index("Beijing") < page.index("Xinjiang")


def test_every_file_is_named_with_its_hash(made):
    import hashlib

    for name in ("posterior.nc", "provinces.csv"):
        assert hashlib.sha256((made.folder / name).read_bytes()).hexdigest() in made.html
    assert "ababababab" in made.html
    assert "obsnet run case.toml" in made.html


def test_within_a_run_the_record_of_the_run_before_is_not_shown(made):
    from obsnet.report.record import inputs_section

    texts = [t.en for t in inputs_section(made.folder, {}, within_run=True).text]
    assert not any("obsnet run case.toml" in t for t in texts)
    assert any("in run.json beside it" in t for t in texts)


def test_a_stages_files_are_named_or_counted(tmp_path):
    """Few by name and hash, many by one hash over the sorted list, stages in the order of the chain."""
    import hashlib

    from obsnet.report.record import inputs_section
    from obsnet.stage_mark import Mark, write_mark

    (tmp_path / ".stages").mkdir()
    many = {f"f{k:02d}": f"{k:064d}" for k in range(20)}
    for name, inputs in (
        ("invert", {"a": "1" * 64, "absent": None}),
        ("ingest", many),
        ("report", {"x": "2" * 64}),
    ):
        write_mark(tmp_path / ".stages" / f"{name}.json", Mark({"inputs": inputs}))
    section = inputs_section(tmp_path, {})
    whole = hashlib.sha256("\n".join(f"{k} {v}" for k, v in many.items()).encode()).hexdigest()
    assert section.rows == [("ingest", "f00 … f19 (20)", whole), ("invert", "a", "1" * 64)]
    assert "no record of a run" in section.text[-1].en


def test_what_stages_said_is_on_the_page(tmp_path):
    from obsnet.report.record import said_section
    from obsnet.stage_mark import Mark, write_mark

    assert said_section(tmp_path, {"prior_notes": ""}, "en") == []
    (tmp_path / ".stages").mkdir()
    for name, notes in (
        ("crosscheck", []),
        ("convert", {f"note {k}": 3 for k in range(14)}),
        ("footprints", ["flat"]),
    ):
        write_mark(tmp_path / ".stages" / f"{name}.json", Mark({}, record={"notes": notes}))
    attrs = {"prior_notes": "prior has one time, taken as constant; 3 rows were set aside"}
    [section] = said_section(tmp_path, attrs, "zh")
    assert [stage for stage, _ in section.rows] == ["convert"] * 13 + ["footprints"] + ["invert"] * 2
    assert section.rows[0] == ("convert", "note 0（文件数：3）")
    assert section.rows[12] == ("convert", "另有 2 条，见 run.json")
    assert section.rows[-1] == ("invert", "搁置 3 行")


def test_the_geotiff_has_the_error_as_a_band(made):
    import rasterio

    with rasterio.open(made.folder / "flux.tif") as source:
        assert source.count == 2
        assert source.descriptions[1].startswith("standard deviation of posterior fossil flux")
        assert np.allclose(source.read(2), 1e-7)


def test_cells_that_nobody_saw_are_not_coloured(monkeypatch):
    from obsnet.report import pictures as module

    drawn = []
    monkeypatch.setattr(module, "grid_map", lambda _axes, _grid, values, **_more: drawn.append(values))
    flux = {k: np.ones(GRID.shape) for k in ("prior", "posterior")}
    flux["reduction"] = np.where(np.arange(GRID.shape[1]) < 4, 0.0, 0.3) * np.ones(GRID.shape)
    flux_map(flux, grid=GRID)
    for values in drawn:
        assert np.isnan(values[:, :4]).all()
        assert np.isfinite(values[:, 4:]).all()
    assert len(drawn) == 2
    said = []
    monkeypatch.setattr(module, "figure_png", lambda figure, _dpi: said.append(figure.get_suptitle()))
    for reduction in (flux["reduction"], np.zeros(GRID.shape)):
        flux_map({**flux, "reduction": reduction}, "zh", grid=GRID)
    assert said[0] == ""
    assert "无可着色" in said[1]


def test_a_missing_font_is_said_once_and_pictures_are_english(no_fonts, tmp_path, capsys):
    """The page itself is Chinese all the same: its text is set by the reader's fonts."""
    from obsnet.commands.report import report
    from tests.commands import call
    from tests.obsnet.report.synthetic import folder

    call(report, folder(tmp_path / "f"), "--language", "zh", "--format", "csv")
    said = capsys.readouterr()
    assert said.err.count("pip install zhplot") == 1
    assert said.err.count("apt install fonts-noto-cjk") == 1
    html = (tmp_path / "f" / "report.html").read_text(encoding="utf-8")
    assert "图中标注为英文" in html
    assert "两分钟摘要" in html
    assert fonts.missing("en") == []


def test_report_command_says_what_is_missing(tmp_path):
    from obsnet.commands.report import report
    from tests.commands import call

    with pytest.raises(FormatError, match=r"posterior.nc is missing; `obsnet invert`"):
        call(report, tmp_path)


def test_percentages_as_people_read_them():
    from obsnet.report.sections.section import percent

    shown = [percent(v) for v in (-0.004, 0.004, 0.86, -0.012, 12.0, math.nan, math.inf)]
    assert shown == ["0%", "0%", "86%", "-1%", "> 1000%", "–", "–"]


def test_a_section_of_rapid_estimates_and_forecasts(tmp_path):
    from obsnet.report.sections.nowcast import nowcast_sections

    nowcast(tmp_path)
    sections = nowcast_sections(tmp_path)
    page = page_of(tmp_path, sections={"nowcast": sections})
    assert "Rapid estimate" in page
    assert "used: &lt;i&gt;" in page
    assert "damped &lt;b&gt;" in page
    assert "-0.70 ± 0.30" in page
    assert "80.0 – 99.0" in page
    assert "2013: revised" in page
    assert page.count("data:image/png;base64,iVBOR") == 1
    chinese = nowcast_sections(tmp_path, "zh")
    assert [r[0] for r in chinese[0].rows] == ["北京市", "own"]
    assert chinese[1].rows[0][3] == "damped <b>"  # a model that we do not know stands as it is
    (tmp_path / "summary.json").write_text('{"obsnet_nowcast": 2}', encoding="utf-8")
    with pytest.raises(FormatError, match="another version"):
        nowcast_sections(tmp_path)
    with pytest.raises(FormatError, match="is missing; `obsnet nowcast rapid"):
        nowcast_sections(tmp_path / "none")


def test_a_province_that_is_only_testable_with_others_is_hatched(monkeypatch):
    """Its colour is that of the sum; one that is testable by itself keeps its own."""
    from obsnet.report import pictures as module

    drawn = []
    monkeypatch.setattr(
        module, "region_map", lambda _axes, colours, hatch=None: drawn.append((dict(colours), hatch))
    )
    joint = "410000+540000"
    both = verdicts(joint=["", joint, joint, ""])
    row = both.iloc[[0]].assign(region=joint, kind="joint", verdict="consistent", joint="")
    verdict_map(pd.concat([both, row], ignore_index=True), [])
    (plain, none), (hatched, pattern) = drawn
    assert none is None
    assert pattern
    assert hatched == {"540000": VERDICT_COLOURS["consistent"]}
    assert plain["410000"] == VERDICT_COLOURS["inconsistent"]
    assert "540000" not in plain
