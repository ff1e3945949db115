"""The report in a real browser: it sorts, filters, speaks one language, asks nobody, fits every width, prints."""

import base64
import json
import re
import shutil
import subprocess

import pytest

from tests.browser.conftest import resize

FIRST = "return Array.from(document.querySelectorAll('#regions tbody tr:not([hidden])'), r => r.cells[0].textContent)"
# Contrast of every text with what is behind it (WCAG 2: 4.5 to 1, large text 3 to 1), worst first.
CONTRAST = """
const parse = (c) => c.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (e) => { for (; e; e = e.parentElement) {
  const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] === 1) return c; }
  return [255, 255, 255]; };
const poor = [];
for (const e of document.querySelectorAll("body *")) {
  if (!Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
  if (["SCRIPT", "OPTION"].includes(e.tagName) || !e.getClientRects().length) continue;
  const style = getComputedStyle(e), a = light(parse(style.color)), b = light(behind(e));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  if (ratio < (large ? 3 : 4.5)) poor.push([ratio, e.tagName, e.className, e.textContent.slice(0, 30)]);
}
return poor.sort((x, y) => x[0] - y[0]);
"""


def heads(page):
    return page.find_elements("css selector", "#regions thead button")


def numbers(page, column):
    script = "return Array.from(document.querySelectorAll('#regions tbody tr'), r => r.cells[arguments[0]].textContent)"
    return page.execute_script(script, column)


def test_a_column_sorts_up_and_down_and_nothing_known_stays_last(page):
    heads(page)[1].click()
    assert numbers(page, 1) == ["89.0", "346", "455", "–"]
    script = "return document.querySelectorAll('#regions thead th')[1].getAttribute('aria-sort')"
    assert page.execute_script(script) == "ascending"
    heads(page)[1].click()
    assert numbers(page, 1) == ["455", "346", "89.0", "–"]
    assert page.execute_script(script) == "descending"
    heads(page)[4].click()
    assert numbers(page, 4) == ["+3.0", "+4", "+90", "–"]
    assert page.execute_script(script) is None


def test_a_column_sorts_by_the_keyboard_alone(page):
    from selenium.webdriver.common.keys import Keys

    seen = []
    for _ in range(60):
        page.switch_to.active_element.send_keys(Keys.TAB)
        at = page.switch_to.active_element
        seen.append(at.tag_name)
        if at.tag_name == "button" and at.text.strip(" ↕\xa0") in ("Inversion", "反演"):
            break
    else:
        pytest.fail(f"no button of a head is reached by the tabulator: {seen}")
    outline = page.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert numbers(page, 2) == ["3.0", "92.0", "440", "460"]


def test_the_filter_takes_words_and_verdicts_and_says_how_many_are_left(page):
    box = page.find_element("css selector", "#filter input")
    box.send_keys("HENAN" if page.language == "en" else "河南")
    assert page.execute_script(FIRST) == ["Henan <b>" if page.language == "en" else "河南"]
    said = page.find_element("css selector", "#filter output").text
    assert said == {"en": "1 of 4 rows", "zh": "显示 1 / 4 行"}[page.language]
    box.clear()
    page.find_element("css selector", '#filter option[value="not testable"]').click()
    assert page.execute_script(FIRST) == ["Tibet" if page.language == "en" else "西藏"]
    page.find_element("css selector", '#filter option[value=""]').click()
    assert len(page.execute_script(FIRST)) == 4


def test_tables_of_sections_sort_too(page):
    script = "return Array.from(document.querySelectorAll('table'), t => t.tHead.querySelectorAll('button').length)"
    counts = page.execute_script(script)
    assert min(counts) >= 3
    assert len(counts) >= 6


def test_one_language(page):
    assert (
        page.execute_script("return document.documentElement.lang")
        == {"en": "en", "zh": "zh-Hans"}[page.language]
    )
    text = page.find_element("css selector", "body").text
    assert ("两分钟摘要" in text, "In two minutes" in text) == (page.language == "zh", page.language == "en")


def test_no_error_and_no_request_leaves_the_page(page):
    heads(page)[1].click()
    assert page.get_log("browser") == []
    asked = []
    for entry in page.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
    outside = [a for a in asked if not a.startswith(("data:", page.current_url))]
    assert any(a.startswith("file:") for a in asked)
    assert outside == []


def test_a_script_from_elsewhere_would_not_run(page):
    page.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.evil = 1'; document.body.append(s)"
    )
    assert page.execute_script("return window.evil") is None
    page.get_log("browser")


@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_sticks_out(page, width):
    """The body never scrolls sideways; what is wide does so in a box of its own, which the keyboard reaches."""
    resize(page, width)
    page.get(page.current_url)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    boxes = page.execute_script(
        "return Array.from(document.querySelectorAll('.scroll, .picture'),"
        " b => [b.scrollWidth > b.clientWidth, b.tabIndex, b.getAttribute('aria-label')])"
    )
    assert all(tab == 0 for _, tab, _ in boxes)
    wide = [label for scrolls, _, label in boxes if scrolls]
    assert bool(wide) == (width == 390), wide
    sizes = page.execute_script(
        "return Array.from(document.querySelectorAll('p, li, td, dd, figcaption'),"
        " e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 14


@pytest.mark.parametrize("width", [390, 1400])
def test_contrast(page, width):
    resize(page, width)
    assert page.execute_script(CONTRAST) == []
    page.execute_script("document.querySelector('.tag').style.color = '#fff'")
    assert page.execute_script(CONTRAST)


def test_a_picture_says_what_it_shows_to_those_who_do_not_see_it(page):
    texts = page.execute_script("return Array.from(document.images, i => i.alt)")
    assert len(texts) >= 9
    assert all(len(t) >= 2 for t in texts)
    assert page.execute_script("return Array.from(document.images).every(i => i.naturalWidth > 300)")


def print_pdf(page, path):
    """Print a page and return the text of each sheet."""
    made = page.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True, "printBackground": True})
    path.write_bytes(base64.b64decode(made["data"]))
    reader = shutil.which("pdftotext")
    if reader is None:
        pytest.skip("no pdftotext on this machine (apt install poppler-utils)")
    text = subprocess.run(
        [reader, "-layout", str(path), "-"], capture_output=True, text=True, check=True
    ).stdout
    return text.split("\f")[:-1]


def test_it_prints_whole_on_a4_without_what_only_a_screen_can_do(page, tmp_path):
    sheets = print_pdf(page, tmp_path / "r.pdf")
    text = " ".join(sheets)
    assert 4 <= len(sheets) <= 20
    assert re.search(rf"1 ?/ ?{len(sheets)}\s*$", sheets[0])
    assert "↕" not in text
    wanted = {"en": "Show regions whose row holds", "zh": "筛选含有下列文字的地区"}[page.language]
    assert wanted not in text
    assert ("Methods and inputs" if page.language == "en" else "方法与输入") in text


def test_a_failed_fit_stands_on_every_sheet(chromium, pages, tmp_path):
    chromium.get(pages.address("failed"))
    words = "This run does not fit its own errors"
    assert chromium.find_element("css selector", ".failed").text.startswith(words)
    assert (
        chromium.execute_script("return document.querySelector('.failed').getBoundingClientRect().top") < 300
    )
    sheets = print_pdf(chromium, tmp_path / "f.pdf")
    assert all(words in s for s in sheets)
    chromium.get(pages.address("en"))
    assert all(words not in s for s in print_pdf(chromium, tmp_path / "g.pdf"))
