"""The two READMEs say the same, and what they claim of checks stands on the pages and in the files that they name."""

import re

import pytest

from tests.docs.pages import DOCS, ROOT

EN, ZH = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))
FIGURE = re.compile(r"10[⁻⁰-⁹]+|\d+(?:\.\d+)?(?:e-\d+)?")


def checks(text):
    """Return the cells of each row of the table of what was checked against whom, without its head."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if re.match(r"\| (what|内容) \|", line))
    table = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def figures(row):
    said = re.sub(r"\([^()]*\.md\)", "", " ".join(row[:3]))
    return sorted(FIGURE.findall(re.sub(r"CO2|XCO2|XCH4", "", said)))


def typed(text):
    """Return what of a text in backticks is a command."""
    return set(re.findall(r"`(obsnet [^`]+)`", text))


def test_sections_pictures_and_commands_are_the_same():
    for pattern in (r"^## ", r"^    obsnet ([^#\n]*[^#\s])", r"!\[.*?\]\((.*?)\)", r"^```sh\n(.*?)^```"):
        found = [re.findall(pattern, text, re.MULTILINE | re.DOTALL) for text in (EN, ZH)]
        assert len(found[0]) >= 2, pattern
        assert found[0] == found[1]
    assert typed(EN) <= typed(ZH)


def test_the_rows_of_the_table_are_the_same():
    assert len(checks(EN)) == len(checks(ZH)) >= 7
    for one, other in zip(checks(EN), checks(ZH), strict=True):
        assert len(one) == len(other) == 4
        assert figures(one) == figures(other)
        assert re.findall(r"`[^`]+`", one[3]) == re.findall(r"`[^`]+`", other[3])
        assert re.findall(r"docs/\w+", one[2]) == re.findall(r"docs/\w+", other[2])


def test_every_row_names_what_makes_it():
    for row in checks(EN):
        named = re.findall(r"`([^`]+)`", row[3])
        assert named
        for name in named:
            assert (ROOT / name).is_file() or name.startswith("obsnet footprints check"), name


def test_figures_are_those_of_the_pages():
    rows = {row[0]: row[2] for row in checks(EN)}
    page = (DOCS / "transport.md").read_text(encoding="utf-8")
    for figure in ("1.1 %", "2.07", "0.22 km of 9.4"):
        assert figure in page
        assert figure in rows["dispersion"]
    assert "within 10⁻⁵ ppm" in (DOCS / "stations.md").read_text(encoding="utf-8")
    assert "(to 1e-12 on the full-physics output)" in (DOCS / "satellite.md").read_text(encoding="utf-8")


def test_solvers_agree_as_well_as_is_said():
    text = (DOCS / "inversion.md").read_text(encoding="utf-8").partition("<!-- agreement:")[2]
    lines = [r.split("|") for r in text.partition("<!-- /agreement -->")[0].splitlines() if r.count("|") == 7]
    worst = max(float(r[3]) for r in lines if re.fullmatch(r" \d+e[+-]\d+ ", r[3]))
    assert f"{worst:.0e} of means" in next(row[2] for row in checks(EN) if "solver" in row[0])


def test_rates_of_verdicts_span_what_is_said():
    """Of all scenarios but that of cells split by area, which is there to show why they are not."""
    text = (DOCS / "crosscheck.md").read_text(encoding="utf-8").partition("<!-- calibration:")[2]
    lines = text.partition("<!-- /calibration -->")[0].splitlines()
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines if "±" in line]
    cells = [c for c in cells if "as before" not in c[0]]

    def span(column, rows):
        of = [float(r[column].split()[0]) for r in rows if r[column] != "–"]
        return min(of), max(of)

    called, found = (
        span(3, cells),
        span(5, [c for c in cells if "by its minimum" in c[0] or "by their" in c[0]]),
    )
    said = next(row[2] for row in checks(EN) if row[0] == "verdicts")
    assert f"called inconsistent {called[0]:.1f} to {called[1]:.1f} %" in said
    assert f"found {found[0]:.0f} to {found[1]:.0f} %" in said


@pytest.mark.parametrize("text", [EN, ZH], ids=["en", "zh"])
def test_pages_that_are_linked_exist(text):
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target


def test_every_chinese_page_is_linked():
    assert {p.name for p in DOCS.glob("*.zh.md")} == set(re.findall(r"docs/(\w+\.zh\.md)\) \|", ZH))
