"""Sections of the report that are there when their table is."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from obsnet.errors import FormatError
from obsnet.report.sections.section import Section, percent, plain, signed
from obsnet.report.sections.told_apart import told_apart
from tests.obsnet.report.synthetic import NASTY, comparison
from tests.obsnet.report.test_report import page_of


@pytest.fixture
def verdicts():
    return pd.DataFrame(
        {
            "region": ["110000", "x", "110000+x"],
            "name_en": ["Beijing", NASTY, f"Beijing + {NASTY}"],
            "name_zh": ["北京市", NASTY, f"北京市 + {NASTY}"],
            "kind": ["region", "region", "joint"],
            "resolution": [0.8, 0.5, np.nan],
            "correlation": [-0.6, -0.6, np.nan],
            "correlation_with": ["x", "110000", ""],
            "joint": ["110000+x", "110000+x", ""],
        }
    )


def square(table, values):
    keys = pd.Index(table["region"], name="region")
    return pd.DataFrame(values, index=keys, columns=keys.to_numpy())


def test_what_is_told_apart(verdicts):
    cov = square(verdicts, np.array([[25.0, -15, 10], [-15, 25, 10], [10, 10, 20]]))
    section = told_apart(verdicts, cov)
    assert section.rows[0] == (
        "Beijing",
        "80%",
        "-0.60",
        NASTY,
        f"Beijing + {NASTY}",
    )
    assert "2 of 2 regions are not told apart" in section.text[0].en
    assert "归为 1 组" in section.text[0].zh
    assert section.picture.startswith(b"\x89PNG")
    assert told_apart(verdicts, cov, "zh").rows[0][0] == "北京市"
    alone = verdicts.assign(joint="").iloc[:2]
    assert told_apart(alone, cov).rows == []


def test_a_correlation_that_is_not_known_is_drawn(verdicts):
    assert told_apart(verdicts, square(verdicts, np.full((3, 3), np.nan))).picture.startswith(b"\x89PNG")


def test_names_are_drawn_letter_for_letter():
    figure, axes = plt.subplots()
    axes.set_title(plain(NASTY))
    figure.canvas.draw()
    assert axes.get_title() == NASTY.replace("$", r"\$")
    plt.close(figure)


def test_numbers_as_people_read_them():
    assert [signed(v) for v in (-0.2, 1234.5, np.nan)] == ["+0", "+1,234", "–"]
    assert percent(np.inf) == "–"


def test_sections_are_on_the_page_and_escaped(tmp_path, verdicts):
    section = told_apart(verdicts, square(verdicts, np.eye(3)))
    text = page_of(
        tmp_path, sections={"x": [section, Section(section.title, rows=[("a", "b")], head=section.head[:2])]}
    )
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert text.count(">What is told apart</h2>") == 2
    assert text.count("data:image/png;base64,iVBOR") == 1


@pytest.mark.parametrize("language", ["en", "zh"])
def test_other_systems_side_by_side(tmp_path, language):
    """Numbers of the comparison's own file, one that is not stated as a dash."""
    from obsnet.report.sections.optional import optional_files, optional_sections

    path = tmp_path / "compare.json"
    path.write_text(json.dumps(comparison()), encoding="utf-8")
    assert optional_files(tmp_path) == [path]
    (section,) = optional_sections(tmp_path, language)["compare"]
    assert section.rows[0][0] == {"en": "Germany", "zh": "德国"}[language]
    assert section.rows[0][3:] == ("2", "2.607", "0.073", "0.194", "2.469 (intem)", "2.744 (elris)", "–")
    assert "not surer than one of them" in section.text[1].en
    assert section.picture.startswith(b"\x89PNG")
    path.write_text(json.dumps({"systems": [], "spread": []}), encoding="utf-8")
    with pytest.raises(FormatError, match="no rows of systems"):
        optional_sections(tmp_path)
