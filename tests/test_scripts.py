"""Scripts that run by themselves know ``--help``, which none of them may take for a folder or ignore."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = sorted((Path(__file__).resolve().parents[1] / "scripts").glob("*.py"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_it_reads_its_arguments(path):
    text = path.read_text(encoding="utf-8")
    if "__main__" in text:
        assert "ArgumentParser(" in text
        assert "parse_args()" in text or "parse_args(arguments" in text


def test_the_page_of_growth_can_be_made(tmp_path):
    """Every row is measured and written; how long it took is nobody's to assert."""
    script, out = SCRIPTS[0].parent / "bench_all.py", tmp_path / "table.md"
    done = subprocess.run(
        [sys.executable, str(script), "--small", "--out", str(out)],
        env={**os.environ, "PYTHONPATH": str(script.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    rows = [
        line.split("|")[1:-1] for line in out.read_text(encoding="utf-8").splitlines() if line[:2] == "| "
    ]
    assert [name.strip() for name, *_ in rows[2:]] == [
        *("granules", "soundings", "stored observations", "receptors", "unknowns", "observations", "cells")
    ]
    for _, _, sizes, seconds, grows, memory, memory_grows in rows[2:]:
        first, last = (int(size.replace(",", "")) for size in sizes.split(" – "))
        assert last == 16 * first
        assert float(seconds) > 0
        assert float(memory) >= 0
        for exponent in (grows, memory_grows):
            assert exponent.strip() == "–" or np.isfinite(float(exponent))
