"""Every kind of page on a telephone and on a wide screen: nothing sticks out, nothing is cut or squeezed."""

import re
from importlib.resources import files

import pytest

from tests.browser.conftest import resize
from tests.browser.every_page import KINDS

WIDTHS = (390, 1400)
# What reaches out of the page and does not stand in a box that scrolls.
OUT = """
const boxed = (e) => { for (; e; e = e.parentElement)
  if (["auto", "scroll"].includes(getComputedStyle(e).overflowX)) return true; };
return Array.from(document.querySelectorAll("body *")).filter((e) => {
  const r = e.getBoundingClientRect();
  return r.width && (r.right > innerWidth + 1 || r.left < -1) && !boxed(e.parentElement);
}).map((e) => e.outerHTML.slice(0, 80));
"""
# Text beside a word that it explains, a cell of a table: words of them that are broken for want of room.
BROKEN = """
const narrow = (e, word) => { const s = document.createElement("span"); s.textContent = word;
  s.style.cssText = "white-space: nowrap; visibility: hidden; position: absolute"; e.append(s);
  const w = s.getBoundingClientRect().width; s.remove(); return w > e.clientWidth + 1; };
return Array.from(document.querySelectorAll("dd, th, td, li, figcaption")).filter((e) => e.clientWidth).flatMap((e) =>
  e.innerText.split(/[^A-Za-z]+/).filter((word) => word.length > 2 && word.length < 16 && narrow(e, word)).slice(0, 1));
"""


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(params=WIDTHS)
def shown(request, chromium, every_page, kind):
    resize(chromium, request.param)
    chromium.get(every_page[kind].as_uri())
    chromium.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    chromium.width = request.param
    return chromium


def test_nothing_sticks_out(shown):
    assert shown.execute_script("return document.documentElement.scrollWidth") <= shown.width
    assert shown.execute_script(OUT) == []
    shown.execute_script(
        "document.body.insertAdjacentHTML('beforeend', '<p style=\"min-width: 3000px\">wide</p>')"
    )
    assert shown.execute_script(OUT)


def test_words_are_whole(shown):
    assert shown.execute_script(BROKEN) == []


def test_pictures_stay_readable_and_are_reached_by_the_keyboard(shown):
    """On a telephone a picture scrolls in its own box: shrunk to the screen its letters would be 3 px."""
    sizes = shown.execute_script("return Array.from(document.images, i => [i.naturalWidth, i.width])")
    assert all(width >= min(natural, 540) for natural, width in sizes), sizes
    boxes = shown.execute_script(
        "return Array.from(document.querySelectorAll('body *')).filter(b => b.scrollWidth > b.clientWidth + 1 &&"
        " getComputedStyle(b).overflowX === 'auto').map(b => [b.tabIndex, b.getAttribute('aria-label')])"
    )
    assert all(tab == 0 and label for tab, label in boxes), boxes


def test_no_kind_of_page_is_forgotten():
    """A template of a whole page belongs to a kind above."""
    known = {"report.html.j2", "inversion.html.j2", "admission.html", "card.html.j2"}
    found = {
        path.name
        for package in ("obsnet", "retrieval", "inversion", "stations")
        for path in files(package).rglob("*.html*")
        if re.match(r"<!doctype html", path.read_text(encoding="utf-8"), re.IGNORECASE)
    }
    assert found == known
