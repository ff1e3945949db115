"""The table of the documentation: every method on one problem, to 1e-9 and better."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "make_inversion_table.py"


def load():
    spec = importlib.util.spec_from_file_location("make_inversion_table", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["T", "S"])
def test_every_method_gives_one_answer(name):
    text, worst = load().table(name)
    assert worst < 1e-10
    exact = [line for line in text.splitlines() if line.startswith("|")][2:-3]
    assert len(exact) >= 10
    drawn = [float(line.split("|")[3].split()[0]) for line in text.splitlines()[-3:]]
    # sixteen times the members, a quarter of the error
    assert drawn[0] > drawn[1] > drawn[2]
    assert drawn[2] < 0.5 * drawn[0]
