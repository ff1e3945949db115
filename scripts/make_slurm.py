#!/usr/bin/env python
"""Write the job scripts of scripts/slurm/year.toml beside it: python scripts/make_slurm.py [FOLDER]."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from obsnet.chain import chain, write_scripts
from obsnet.config import read_toml
from obsnet.pipeline import read_case

SLURM = Path(__file__).resolve().parent / "slurm"


def templates(folder=SLURM):
    """Write the scripts as they are handed in from the folder of the case; return where they are."""
    path = SLURM / "year.toml"
    case, steps = read_case(read_toml(path), path)
    jobs = chain(case, steps, path, program=("obsnet",))
    here = str(SLURM)
    texts = [
        job.script.replace(f"{here}/", "").replace(f"cd {here} ", 'cd "$SLURM_SUBMIT_DIR" ') for job in jobs
    ]
    return write_scripts([replace(job, script=text) for job, text in zip(jobs, texts, strict=True)], folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=SLURM, help="where the scripts go")
    for script in templates(parser.parse_args().folder):
        print(script)
