"""One table of terms: the page is made from it and Chinese pages use it."""

import importlib.util

from tests.docs.pages import DOCS, ROOT

SPEC = importlib.util.spec_from_file_location("make_glossary", ROOT / "scripts" / "make_glossary.py")
GLOSSARY = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(GLOSSARY)


def test_the_page_is_made_from_the_tables():
    assert (DOCS / "glossary.md").read_text(encoding="utf-8") == GLOSSARY.page()


def test_chinese_pages_use_its_words():
    pages = "".join(p.read_text(encoding="utf-8") for p in [*DOCS.glob("*.zh.md"), *ROOT.glob("*.zh.md")])
    terms = GLOSSARY.field_terms()
    assert len({english for english, _ in terms}) == len(terms)
    assert [f"{english} {chinese}" for english, chinese in terms if chinese not in pages] == []


def test_a_verdict_has_one_name():
    verdicts = dict(GLOSSARY.sections()["Verdicts"])
    for name in ("crosscheck.md", "crosscheck.zh.md"):
        text = (DOCS / name).read_text(encoding="utf-8")
        assert all(english in text and chinese in text for english, chinese in verdicts.items())
