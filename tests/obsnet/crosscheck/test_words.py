"""Reasons and remarks: both languages, put together and taken apart."""

import re

import pytest

from obsnet.crosscheck import words
from obsnet.crosscheck.words import common_first, joined, say
from obsnet.language import NOTHING, Words


@pytest.mark.parametrize("key", words._TEXTS)
def test_every_text_has_both_languages_and_names_the_same(key):
    english, chinese = words._TEXTS[key]
    assert re.search("[\u4e00-\u9fff]", chinese)
    assert not re.search("[\u4e00-\u9fff]", english)

    def names(text):
        return {n.removesuffix("_zh") for n in re.findall(r"\{(\w+)", text)}

    assert names(english) == names(chinese)


def test_remarks_of_all_rows_stand_once():
    a, b, c = (Words(x, x.upper()) for x in "abc")
    rows = [joined([a, b]), joined([c, a, a]), joined([NOTHING, a])]
    assert rows[1] == Words("c; a", "C；A")
    common, own = common_first(rows)
    assert common == [a]
    assert own == [b, c, NOTHING]
    assert common_first([NOTHING]) == ([], [NOTHING])


def test_names_do_not_take_remarks_apart():
    odd = say("category", category="1; 2；3", sector="fossil")
    assert common_first([joined([odd, Words("x", "y")])])[0] == [odd, Words("x", "y")]
