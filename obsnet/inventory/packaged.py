"""The tables that come with the package."""

from __future__ import annotations

import csv
from importlib import resources

__all__ = ["package_rows"]


def package_rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a table of the package ``obsnet/inventory/tables``."""
    text = (resources.files("obsnet.inventory") / "tables" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
