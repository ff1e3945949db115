"""Commands of the documents: fenced blocks marked ``sh`` are what a reader pastes into a shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks(page: Path, language: str = "sh") -> list[str]:
    """Return the fenced blocks of a page that are marked with a language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


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
