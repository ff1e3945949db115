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


def load(name, monkeypatch):
    """Import a script as it imports others: from its folder."""
    import importlib

    monkeypatch.syspath_prepend(str(SCRIPTS[0].parent))
    return importlib.import_module(name)


def test_ratios_of_times_are_not_claimed_where_others_use_the_machine(monkeypatch):
    bench = load("bench_scale", monkeypatch)
    monkeypatch.setattr(bench.os, "sched_getaffinity", lambda _pid: {0, 1})
    for load_, claimed in ((15.8, False), (0.6, False), (0.2, True)):
        monkeypatch.setattr(bench.os, "getloadavg", lambda load_=load_: (load_, 0.0, 0.0))
        said = bench.machine()
        assert said["claimed"] is claimed
        assert said["said"].startswith("machine idle" if claimed else f"machine busy: load {load_}")
    found = bench.judged(
        {"strong": 1.6, "overhead": 0.01}, strong=("at least", 1.7), overhead=("at most", 0.05)
    )
    assert [v["met"] for v in found["asked"].values()] == [False, True]


def test_a_store_that_is_measured_loses_nothing(monkeypatch):
    found = load("bench_scale", monkeypatch).station_store(3, 2)
    assert found["files_before"] == 3 * 24
    assert found["files_after"] == 2
    assert found["rows"] == 3 * 105
    assert found["lost_or_doubled"] == 0
    assert all(v["met"] for v in found["asked"].values())


def test_a_chain_is_predicted_exactly_where_stages_are_lines(monkeypatch):
    chain = load("run_chain", monkeypatch)
    cost = {"ingest": (3.0, 0.5), "invert": (10.0, 0.0), "footprints": (0.0, 7.0)}

    def took(days):
        return {name: a + b * days for name, (a, b) in cost.items()}

    assert chain.predicted(took(3), took(6), 2.0) == pytest.approx(took(12))


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
