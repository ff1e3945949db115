"""Scripts that run by themselves know ``--help``, which none of them may take for a folder or ignore."""

from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).resolve().parents[1] / "scripts").glob("*.py"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_it_reads_its_arguments(path):
    text = path.read_text(encoding="utf-8")
    if "__main__" in text:
        assert "ArgumentParser(" in text
        assert "parse_args()" in text or "parse_args(arguments" in text
