"""Pages of the reference: every public name at a package's door, from its docstring.

python scripts/make_reference.py                     # writes docs/api/*.md
mkdocs build --strict --config-file scripts/site.yml # the site, from all of docs/ (pip install 'obsnet[docs]')
"""

import argparse
import importlib
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs" / "api"
PACKAGES = ("obsnet", "stations", "retrieval", "inversion")


def page(package: str) -> str:
    """Return the page of a package, for mkdocstrings."""
    door = importlib.import_module(package)
    lines = [f"# {package}", "", (door.__doc__ or "").strip(), ""]
    for name in sorted(door.__all__, key=str.lower):
        thing = getattr(door, name)
        lines += [f"## {package}.{name}", "", f"::: {thing.__module__}.{name}", ""]
    return "\n".join(lines)


def main() -> None:
    """Write the pages."""
    argparse.ArgumentParser(description="Write docs/api/*.md from the packages' doors.").parse_args()
    DOCS.mkdir(exist_ok=True)
    for package in PACKAGES:
        (DOCS / f"{package}.md").write_text(page(package), encoding="utf-8")
        print(DOCS / f"{package}.md")


if __name__ == "__main__":
    main()
