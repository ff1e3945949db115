"""Commands of the documents: fenced blocks marked ``sh`` are what a reader pastes into a shell."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks(page: Path, language: str = "sh") -> list[str]:
    """Return the fenced blocks of a page that are marked with a language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
