"""The report: self-contained, escaped, both languages, pictures that are pictures."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from obsnet.errors import FormatError
from obsnet.grid import Grid
from obsnet.report import fonts
from obsnet.report.maps import VERDICT_COLOURS, figure_png, grid_map, map_axes, region_map
from obsnet.report.page import draw, write_report

GRID = Grid.regular(20, 50, 80, 130, 5, 5)


@pytest.fixture(scope="module")
def table():
    verdicts = ["consistent", "inconsistent", "not testable", "not decided"]
    return pd.DataFrame(
        {
            "region": ["110000", "410000", "540000", "650000"],
            "kind": "region",
            "joint": "",
            "name_en": ["Beijing", "Henan <b>", "Tibet", "Xinjiang"],
            "name_zh": ["北京", "河南", "西藏", "新疆"],
            "gas": "CO2",
            "sector": "fossil",
            "unit": "Mt",
            "inventory": [89.0, 346.0, np.nan, 455.0],
            "inventory_sd": [4.0, 17.0, np.nan, 23.0],
            "posterior": [92.0, 440.0, 3.0, 460.0],
            "posterior_sd": [5.0, 20.0, 3.0, 120.0],
            "difference": [3.0, 90.0, 0.0, 4.0],
            "difference_sd": [6.0, 22.0, 1.0, 30.0],
            "response": [0.8, 0.95, 0.0, 0.1],
            "minimum_detectable": [20.0, 65.0, np.inf, 900.0],
            "p_adjusted": [0.6, 1e-5, np.nan, np.nan],
            "verdict": verdicts,
            "reason": ["", "", "no inventory", "<script>alert(1)</script>"],
            "reason_zh": ["", "", "无清单", ""],
            "remark": ["", "given <20%>", "", ""],
            "remark_zh": ["", "取指定值", "", ""],
            "period": "2015-01-01 to 2016-01-01",
            "inventory_period": "2015",
            "category": "total",
            "terminology": "CEADs",
            "inventory_source": "book",
            "alpha": 0.2,
            "power": 0.6,
            "detectable": 2.0,
            "margin_share": 0.125,
            "adjustment": "Benjamini-Hochberg",
        }
    )


@pytest.fixture(scope="module")
def pictures(table):
    rng = np.random.default_rng(0)
    prior = rng.uniform(0, 1e-6, GRID.shape)
    return draw(table, prior, 1.1 * prior, GRID, [(36.3, 100.9), (40.6, 117.1)])


@pytest.fixture(scope="module")
def page(table, pictures, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(
        path,
        table,
        pictures,
        title="A <title> & more",
        title_zh="标题",
        notes=["first note"],
        facts=[("Prior", "the <prior>")],
        period="2019-01-05 to 2019-01-20",
    )
    return path.read_text(encoding="utf-8")


def test_pictures_are_png(pictures):
    assert set(pictures) == {"verdicts", "totals", "flux"}
    assert all(p.startswith(b"\x89PNG") and len(p) > 10_000 for p in pictures.values())


def test_page_needs_nothing_from_outside(page):
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    assert page.count("data:image/png;base64,") == 3
    assert "Content-Security-Policy" in page


def test_text_is_escaped(page):
    assert "Henan &lt;b&gt;" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "A &lt;title&gt; &amp; more" in page
    assert "the &lt;prior&gt;" in page


def test_both_languages_and_all_regions(page):
    for text in (
        "Beijing",
        "北京",
        "河南",
        "不一致",
        "无法检验",
        "not testable",
        "no inventory",
        "first note",
    ):
        assert text in page
    assert page.count('<td class="name">') == 8
    for text in (
        "not decided",
        "未能判定",
        "given &lt;20%&gt;",
        "取指定值",
        "无清单",
        "可证与清单之差在 12.5% 以内",
    ):
        assert text in page


def test_the_rule_is_the_tables(page):
    """The table was made with 20 %, 60 %, 200 %; nothing of the defaults may be on the page."""
    assert (
        "Rule: 20% false alarms over 3 tested regions (Benjamini-Hochberg), power 60%, testable up to 200%"
        in page
    )
    assert "consistent within 12.5% of it" in page
    assert "with the inventory's total (CEADs) of 2015" in page
    assert "2015-01-01 to 2016-01-01" in page
    for default in ("80% power", "检出功效 80%", "to 30% of", "within 30%", "误报率 5%", "up to 5%"):
        assert default not in page


def test_counts_and_numbers(page):
    assert re.search(r"<b>1</b>not testable", page)
    assert re.search(r"<b>1</b>not decided", page)
    assert "+90" in page
    assert "19%" in page  # 65 of 346
    assert "1e-05" in page
    assert "–" in page  # nothing where there is no inventory


def test_inconsistent_comes_first(page):
    assert page.index("Henan") < page.index("Beijing") < page.index("Xinjiang")


def test_colours_are_told_apart_without_red_and_green():
    def luminance(colour):
        r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    values = sorted(luminance(c) for c in VERDICT_COLOURS.values())
    assert len(set(VERDICT_COLOURS.values())) == 4
    assert min(np.diff(values)) > 5


def test_map_with_missing_values():
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(3, 3))
    axes = map_axes(figure)
    values = np.full(GRID.shape, np.nan)
    grid_map(axes, GRID, values, label="nothing")
    region_map(axes, {"110000": "red", "999999": "blue"})
    assert figure_png(figure, dpi=40).startswith(b"\x89PNG")


def test_fonts(monkeypatch):
    from matplotlib import font_manager

    fonts.chinese_font.cache_clear()
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: ["/f/DejaVuSans.ttf", "/f/wqy-microhei.ttc"])
    assert fonts.chinese_font() == "/f/wqy-microhei.ttc"
    fonts.chinese_font.cache_clear()
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: ["/f/DejaVuSans.ttf"])
    assert fonts.chinese_font() is None
    assert fonts.use_fonts() is False
    fonts.chinese_font.cache_clear()


def test_report_command_says_what_is_missing(tmp_path):
    from obsnet.commands.report import report
    from tests.commands import call

    with pytest.raises(FormatError, match=r"posterior.nc is missing; `obsnet invert`"):
        call(report, tmp_path)


def test_percentages_as_people_read_them():
    from obsnet.report.sections.section import percent

    shown = [percent(v) for v in (-0.004, 0.004, 0.86, -0.012, 12.0, math.nan, math.inf)]
    assert shown == ["0%", "0%", "86%", "-1%", "> 1000%", "–", "–"]


def test_a_section_of_rapid_estimates_and_forecasts(table, pictures, tmp_path):
    from obsnet.report.sections.nowcast import nowcast_sections

    scores = pd.DataFrame(
        {
            "region": ["provinces", "CHN", "110000"], "step": 1, "model": "damped <b>", "category": "total",
            "cases": 330,
            "mae": 4.5, "crps": 3.3, "bias": -0.5, "cover80": 0.78, "cover90": 0.9,
            "than_persistence": [-0.7, np.nan, 0.0],
            "than_persistence_sd": 0.3,
        }
    )  # fmt: skip
    values = pd.DataFrame(
        {
            "region": ["110000", "own"],
            "period": "2020",
            "category": "total",
            "value": [90.0, 5.0],
            "low90": 80.0,
            "high90": 99.0,
        }
    )
    reliable = pd.DataFrame(
        {"low": [0.0, 0.5], "high": [0.5, 1.0], "count": [50, 60], "years": 5, "forecast": [0.2, 0.8],
         "observed": [0.25, 0.75],
         "observed_sd": [0.05, np.nan]}
    )  # fmt: skip
    for name, frame in (("scores", scores), ("estimate", values), ("reliability", reliable)):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    said = '{"obsnet_nowcast": 1, "kind": "rapid", "statements": [["used: <i>", "采用"]], "notes": ["2013: revised"]}'
    (tmp_path / "summary.json").write_text(said, encoding="utf-8")
    sections = nowcast_sections(tmp_path)
    write_report(
        tmp_path / "r.html",
        table,
        pictures,
        title="t",
        title_zh="题",
        notes=[],
        facts=[],
        period="2015",
        sections=sections,
    )
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Rapid estimate · 快速核算" in page
    assert "used: &lt;i&gt;" in page
    assert "damped &lt;b&gt;" in page
    assert "-0.70 ± 0.30" in page
    assert "80.0 – 99.0" in page
    assert "2013: revised" in page
    assert page.count("data:image/png") == len(pictures) + 1
    (tmp_path / "summary.json").write_text('{"obsnet_nowcast": 2}', encoding="utf-8")
    with pytest.raises(FormatError, match="another version"):
        nowcast_sections(tmp_path)
    with pytest.raises(FormatError, match="is missing; `obsnet nowcast rapid"):
        nowcast_sections(tmp_path / "none")


def test_a_province_that_is_only_testable_with_others_is_hatched(table, monkeypatch):
    """Its colour is that of the sum; one that is testable by itself keeps its own."""
    from obsnet.report import page as module

    drawn = []
    monkeypatch.setattr(
        module, "region_map", lambda _axes, colours, hatch=None: drawn.append((dict(colours), hatch))
    )
    joint = "410000+540000"
    both = table.assign(joint=["", joint, joint, ""])
    row = both.iloc[[0]].assign(region=joint, kind="joint", verdict="consistent", joint="")
    module._verdict_map(pd.concat([both, row], ignore_index=True), [])
    (plain, none), (hatched, pattern) = drawn
    assert none is None
    assert pattern
    assert hatched == {"540000": VERDICT_COLOURS["consistent"]}
    assert plain["410000"] == VERDICT_COLOURS["inconsistent"]
    assert "540000" not in plain
