"""Two languages: one declaration of the option, one table for what an inversion says of itself."""

import re
from pathlib import Path

import pytest

from obsnet import run_words
from obsnet.language import Words, filled

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_option_is_declared_once():
    """Pictures of stations have a third choice, auto, and therefore their own."""
    found = [
        path.relative_to(REPOSITORY).as_posix()
        for package in ("obsnet", "retrieval", "inversion", "stations")
        for path in (REPOSITORY / package).rglob("*.py")
        if re.search(
            r'^    language: .*Field\(|^\w+ = Literal\["en", "zh"\]',
            path.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    ]
    assert sorted(found) == ["obsnet/language.py", "stations/pictures/options.py"]


def test_a_name_that_holds_what_parts_remarks_does_not_part_them():
    assert filled(("{a}; {b}", "{a}；{b}"), a="x; y", b=Words("p", "q")) == Words("x, y; p", "x, y；q")
    assert Words("", "只有中文").said("en") == "只有中文"
    assert Words("only English", "").said("zh") == "only English"


@pytest.mark.parametrize("key", list(run_words._TEXTS))
def test_what_is_written_is_found_again_in_chinese(key):
    """With every hole filled; no other sentence of the table takes it for its own."""
    english, chinese = run_words._TEXTS[key]
    names = set(re.findall(r"\{(\w+)\}", english))
    assert names == set(re.findall(r"\{(\w+)\}", chinese))
    values = {name: f"+1.5 {name.upper()}; (a, b)" for name in names}
    text = run_words.line(key, **values)
    assert run_words.in_both(text) == Words(text, chinese.format(**values))
    assert not re.search(r"[A-Za-z]{3,} [A-Za-z]{3,}", chinese.replace("lognormal 或 truncated", ""))


def test_a_sentence_that_is_not_in_the_table_stands_as_it_is():
    assert run_words.in_both("something else") == Words("something else", "")


def test_what_the_checks_write_is_in_the_table():
    from inversion.case.checks.remarks import _biased
    from inversion.errors.source_bias import Offset

    offset = Offset("flasks; b", 7, 1.234, 0.5, deviations=2.5, p_adjusted=1e-4)
    assert _biased(offset) == (
        "flasks; b: its 7 observations are +1.23 ± 0.5 off all that the inversion can explain; solve an offset "
        "([invert.offset] sigma) or leave it out"
    )
    assert run_words.in_both(_biased(offset)).zh.startswith("flasks; b：其 7 个观测偏离")
