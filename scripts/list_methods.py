#!/usr/bin/env python
"""Write the table of methods into docs/inversion.md, from `inversion.case.methods`.

python scripts/list_methods.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

from inversion.case.methods import METHODS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "inversion.md"
BEGIN, END = "<!-- methods: the table METHODS of inversion.case.methods -->", "<!-- /methods -->"


def table() -> str:
    """Return the table as Markdown."""
    rows = [f"| `{name}` | {method.text} |" for name, method in METHODS.items()]
    return "\n".join(["| method | |", "|---|---|", *rows])


def main() -> None:
    """Write it."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    tail = rest.partition(END)[2]
    PAGE.write_text(f"{head}{BEGIN}\n{table()}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
