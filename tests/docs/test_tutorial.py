"""Every command of docs/tutorial.md, as a reader pastes it, on the real sample files."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.docs.pages import DOCS, blocks

PAGE = DOCS / "tutorial.md"


def paste(text: str, folder: Path, sample_data: Path) -> str:
    """Run a block in a shell that stops at the first command that fails."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    program = programs / "obsnet"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m obsnet "$@"\n')
    program.chmod(0o755)
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "OBSNET_SAMPLE_DATA": str(sample_data)}
    env |= {"PYTHONPATH": str(DOCS.parent), "MPLBACKEND": "Agg"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_two_towers(sample_data, tmp_path):
    first = blocks(PAGE)[:4]
    assert [b.split()[0] for b in first] == ["mkdir", "cat", "obsnet", "obsnet"]
    said = paste("\n".join(first), tmp_path, sample_data)
    run = tmp_path / "uk-ch4" / "run"
    assert "scale TU-87" in said
    assert "scale WMO CH4 X2004A" in said
    assert (
        "157 of 27163 observations have a receptor" not in said
    )  # config check came before there was a store
    assert said.count("off all that the inversion can explain") == 2  # only without the solved boundary
    table = pd.read_csv(run / "provinces.csv", index_col="region")
    assert table.loc["British Isles", "verdict"] == "not testable"
    assert 0.5 < table.loc["British Isles", "chi_square"] < 1.5
    assert "British Isles" in (run / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_three_orbits(sample_data, tmp_path):
    rest = blocks(PAGE)[4:]
    (tmp_path / "uk-ch4").mkdir()
    said = paste("cd uk-ch4\n" + "\n".join(rest), tmp_path, sample_data)
    assert "soundings 35129, good 35129" in said
    made = {p.suffix for p in (tmp_path / "china-xch4" / "run" / "maps").rglob("*") if p.is_file()}
    assert {".nc", ".tif", ".png"} <= made
