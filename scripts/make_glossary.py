"""The terms of the field and of our tables in both languages: docs/glossary.md.

    python scripts/make_glossary.py

Field terms are in scripts/glossary.csv; the rest is read from the tables from which reports and
workbooks take their words.
"""

import argparse
import csv
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "glossary.md"


def field_terms() -> list[tuple[str, str]]:
    """Return the terms of the field, English and Chinese."""
    with (HERE / "glossary.csv").open(encoding="utf-8") as stream:
        return [(row["english"], row["chinese"]) for row in csv.DictReader(stream)]


def sections() -> dict[str, list[tuple[str, str]]]:
    """Return every table of words by its heading."""
    from obsnet.crosscheck.bridge.definitions import COMPONENTS
    from obsnet.inventory.words import CHINESE
    from obsnet.nowcast.notes import MODELS_ZH
    from obsnet.report.words import VERDICTS

    return {
        "The field": field_terms(),
        "Verdicts": [tuple(name) for name, _ in VERDICTS.values()],
        "What a total is of": [tuple(words) for words in COMPONENTS.values()],
        "Columns of inventories": list(CHINESE.items()),
        "Models of nowcasts": list(MODELS_ZH.items()),
    }


def page() -> str:
    """Return the page."""
    lines = [
        "# Glossary 术语表",
        "",
        "Made by `scripts/make_glossary.py` from the tables that the program's own words come from.",
        "",
    ]
    for heading, rows in sections().items():
        lines += [f"## {heading}", "", "| English | 中文 |", "| --- | --- |"]
        lines += [f"| {english} | {chinese} |" for english, chinese in rows]
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Write the page."""
    argparse.ArgumentParser(description="Write docs/glossary.md.").parse_args()
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
