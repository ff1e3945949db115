"""Notes are read back by their form, and their Chinese has no English word in it."""

import re

import pytest

from obsnet.nowcast.notes import _SENTENCES, in_both
from obsnet.nowcast.revisions import REVISIONS

KEYS = sorted(_SENTENCES._texts)
VALUES = {
    "region": "130000", "regions": "130000, 140000", "name": "thermal power", "model": "regression + nation",
    "kind": "spike", "where": "130000 2015-07, … (9)",
    "why": "no inventory of the nation itself", "names": "广西 and 广西壮族自治区",
    "what": REVISIONS[0].en,
    "source": "1", "file": "1", "parts": "1.A.1.a, 2.A", "category": "1.A", "day": "2020-02-28",
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_a_note_is_found_by_its_form(key):
    holes = re.findall(r"\{(\w+)\}", _SENTENCES._texts[key][0])
    assert sorted(holes) == sorted(re.findall(r"\{(\w+)\}", _SENTENCES._texts[key][1]))
    text = _SENTENCES.line(key, **{h: VALUES.get(h, "2013") for h in holes})
    found = in_both(text)
    assert found.en == text
    assert not re.search(r"[A-Za-z]{3,}", found.zh.replace("--shifts", "")), found.zh
    assert found.zh


def test_what_is_not_a_note_stands_as_it_is():
    assert in_both("something else") == ("something else", "")
