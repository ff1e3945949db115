"""A short seeded slice of ``scripts/fuzz.py``: damaged files of every kind end in an answer or one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz_targets import TARGETS

SCRIPT = Path(__file__).parents[1] / "scripts" / "fuzz.py"


@pytest.mark.slow
def test_damaged_files_are_read_or_refused_in_one_line(tmp_path):
    command = [sys.executable, str(SCRIPT), str(tmp_path), "--inputs", "60", "--seed", "11"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert len(found) == 60
    assert {r["target"] for r in found} == set(TARGETS)
    # a crash of a library is contained where files are read apart, see test_crashes.py
    wrong = [r for r in found if r["outcome"] not in ("read", "refused", "killed")]
    assert not wrong, wrong
    apart = tmp_path / "apart.jsonl"
    again = [json.loads(line) for line in apart.read_text().splitlines()] if apart.exists() else []
    assert len(again) == sum(r["outcome"] == "killed" for r in found)
    assert all(r["contained"] for r in again), again
    assert "| all | 60 |" in done.stdout
    more = subprocess.run(command, capture_output=True, text=True, check=True)  # goes on where it was
    assert more.stdout == done.stdout
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 60


def test_each_input_is_decided_by_the_seed_and_its_number(tmp_path):
    import numpy as np

    from tests.mutations import mutate

    (tmp_path / "a").write_bytes(bytes(range(256)) * 40)
    for number in range(60):
        made = []
        for copy in ("b", "c"):
            what = mutate(tmp_path / "a", tmp_path / copy, np.random.default_rng([1, number]))
            made.append((what, (tmp_path / copy).read_bytes()))
        assert made[0] == made[1]
