"""What the documents show can be typed: commands, options and tables exist, and Chinese pages show the same."""

import re
import tomllib

import pytest

from tests.docs.pages import DOCS, ROOT, blocks

ZH = sorted([*DOCS.glob("*.zh.md"), *ROOT.glob("*.zh.md")])


def commands(page):
    """Return the lines of a page that call obsnet, without what is said of them."""
    text = page.read_text(encoding="utf-8")
    lines = re.findall(r"^(?: {4}|)(?:\$ )?((?:mpirun -n \d+ )?obsnet .*)$", text, re.MULTILINE)
    return [" ".join(re.sub(r"\s+#.*", "", line).split()) for line in lines]


def english(page):
    return page.with_name(page.name.replace(".zh.md", ".md"))


def test_the_promised_pages_are_there():
    tasks = ("tutorial", "satellite", "stations", "transport", "inversion", "crosscheck", "inventory", "hpc")
    assert {f"{task}.zh.md" for task in tasks} <= {p.name for p in ZH}
    assert (ROOT / "README.zh.md").exists()


@pytest.mark.parametrize("page", ZH, ids=lambda p: p.name)
def test_a_chinese_page_shows_the_commands_of_the_english_one(page):
    assert commands(page) == commands(english(page))
    assert blocks(page) == blocks(english(page))


@pytest.mark.parametrize("page", ZH, ids=lambda p: p.name)
def test_pages_name_each_other(page):
    assert f"({english(page).name})" in page.read_text(encoding="utf-8")
    assert page.name in english(page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda p: p.name)
def test_tables_of_cases_are_toml(page):
    for text in blocks(page, "toml"):
        tomllib.loads(text)
